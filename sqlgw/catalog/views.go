package catalog

import (
	"fmt"
	"strings"

	"github.com/tickwire/tickwire/store"
)

// Of describes the tables of a store. A name with a point is schema and name.
func Of(tables []*store.Table) []Table {
	var out []Table
	for _, t := range tables {
		d := Table{Name: t.Name, Comment: t.Comment}
		if schema, name, ok := strings.Cut(t.Name, "."); ok {
			d.Schema, d.Name = schema, name
		}
		for _, c := range t.Columns {
			k := Column{Name: c.Name, OID: 25, Mod: -1, NotNull: c.NotNull, Comment: c.Comment}
			switch c.Type {
			case store.BigInt:
				k.OID = 20
			case store.Timestamp:
				k.OID = 1184
			case store.Decimal:
				k.OID, k.Mod = 1700, Numeric(18, 9)
			case store.SmallInt:
				k.OID = 21
			case store.Double:
				k.OID = 701
			}
			d.Columns = append(d.Columns, k)
		}
		out = append(out, d)
	}
	return out
}

// views describes what the engine has beyond Options.Tables: it is asked for its views when the statements run. Their oids
// follow the order of their names.
func (b *builder) views() {
	known := []string{"''"}
	for _, t := range b.o.Tables {
		schema := t.Schema
		if schema == "" {
			schema = "public"
		}
		known = append(known, Quote(schema+"."+t.Name))
	}
	db, owner := Quote(b.o.Database), Quote(b.o.Owner)
	b.add(fmt.Sprintf(`CREATE TABLE %[1]s.found AS SELECT %[2]d + row_number() OVER (ORDER BY schema_name, view_name) AS oid, schema_name, view_name, column_count,
		regexp_replace(rtrim(sql, ';'), '^CREATE VIEW .*? AS ', '') AS definition
		FROM duckdb_views() WHERE NOT internal AND schema_name NOT IN ('main', 'tw_pg', 'tw_info') AND schema_name || '.' || view_name NOT IN (%[3]s)`,
		pgSchema, viewOID, strings.Join(known, ", ")))
	b.add(fmt.Sprintf(`INSERT INTO tw_pg.pg_namespace (oid, nspname, nspowner, tableoid, xmin) SELECT %d + row_number() OVER (ORDER BY schema_name), schema_name, %d, 2615, 0
		FROM (SELECT DISTINCT schema_name FROM tw_pg.found WHERE schema_name NOT IN (SELECT nspname FROM tw_pg.pg_namespace))`, schemaOID+50, ownerOID))
	b.add(fmt.Sprintf(`INSERT INTO tw_info.schemata (catalog_name, schema_name, schema_owner) SELECT %s, nspname, %s FROM tw_pg.pg_namespace WHERE oid > %d`,
		db, owner, schemaOID+50))
	b.add(`INSERT INTO tw_pg.pg_class (oid, relname, relnamespace, reltype, reloftype, relowner, relam, relfilenode, reltablespace, relpages,
		reltuples, relallvisible, reltoastrelid, relhasindex, relisshared, relpersistence, relkind, relnatts, relchecks, relhasrules,
		relhastriggers, relhassubclass, relrowsecurity, relforcerowsecurity, relispopulated, relreplident, relispartition, relrewrite,
		relfrozenxid, relminmxid, tableoid, xmin)
		SELECT f.oid, view_name, n.oid, 0, 0, 10, 0, 0, 0, 0, -1, 0, 0, false, false, 'p', 'v', column_count, 0, true,
		false, false, false, false, true, 'n', false, 0, 0, 0, 1259, 0 FROM tw_pg.found f JOIN tw_pg.pg_namespace n ON n.nspname = schema_name`)
	b.add(fmt.Sprintf(`INSERT INTO tw_pg.pg_views (schemaname, viewname, viewowner, definition) SELECT schema_name, view_name, %s, definition FROM tw_pg.found`, owner))
	b.add(fmt.Sprintf(`INSERT INTO tw_info.views (table_catalog, table_schema, table_name, view_definition, check_option, is_updatable, is_insertable_into)
		SELECT %s, schema_name, view_name, definition, 'NONE', 'NO', 'NO' FROM tw_pg.found`, db))
	b.add(fmt.Sprintf(`INSERT INTO tw_info.tables (table_catalog, table_schema, table_name, table_type, is_insertable_into, is_typed)
		SELECT %s, schema_name, view_name, 'VIEW', 'NO', 'NO' FROM tw_pg.found`, db))
	b.add(fmt.Sprintf(`INSERT INTO tw_info.table_privileges (grantor, grantee, table_catalog, table_schema, table_name, privilege_type, is_grantable, with_hierarchy)
		SELECT %s, 'PUBLIC', %s, schema_name, view_name, 'SELECT', 'NO', 'YES' FROM tw_pg.found`, owner, db))
	b.viewColumns(db)
	b.add("DROP TABLE tw_pg.found")
}

// viewColumns takes the types of views' columns from the engine's names for them.
func (b *builder) viewColumns(db string) {
	b.add(`CREATE TABLE tw_pg.found_columns AS SELECT f.oid, f.schema_name, f.view_name, c.column_name, c.column_index, c.is_nullable,
		c.numeric_precision, c.numeric_scale,
		CASE WHEN starts_with(c.data_type, 'DECIMAL') THEN 1700 ELSE CASE c.data_type WHEN 'BOOLEAN' THEN 16 WHEN 'BLOB' THEN 17 WHEN 'BIGINT' THEN 20
			WHEN 'UINTEGER' THEN 20 WHEN 'SMALLINT' THEN 21 WHEN 'TINYINT' THEN 21 WHEN 'UTINYINT' THEN 21 WHEN 'INTEGER' THEN 23
			WHEN 'USMALLINT' THEN 23 WHEN 'FLOAT' THEN 700 WHEN 'DOUBLE' THEN 701 WHEN 'HUGEINT' THEN 1700 WHEN 'UBIGINT' THEN 1700
			WHEN 'UHUGEINT' THEN 1700 WHEN 'DATE' THEN 1082 WHEN 'TIME' THEN 1083 WHEN 'TIMESTAMP' THEN 1114 WHEN 'TIMESTAMP_NS' THEN 1114
			WHEN 'TIMESTAMP WITH TIME ZONE' THEN 1184 WHEN 'INTERVAL' THEN 1186 WHEN 'UUID' THEN 2950 ELSE 25 END END AS type,
		CASE WHEN starts_with(c.data_type, 'DECIMAL') THEN (c.numeric_precision << 16 | c.numeric_scale) + 4 ELSE -1 END AS mod
		FROM tw_pg.found f JOIN duckdb_columns() c ON c.schema_name = f.schema_name AND c.table_name = f.view_name`)
	b.add(`INSERT INTO tw_pg.pg_attribute (attrelid, attname, atttypid, attstattarget, attlen, attnum, attndims, attcacheoff, atttypmod, attbyval,
		attalign, attstorage, attcompression, attnotnull, atthasdef, atthasmissing, attidentity, attgenerated, attisdropped, attislocal,
		attinhcount, attcollation, tableoid, xmin)
		SELECT c.oid, column_name, type, -1, t.typlen, column_index, 0, -1, mod, t.typbyval, t.typalign, CASE type WHEN 1700 THEN 'm' ELSE t.typstorage END,
		'', false, false, false, '', '', false, true, 0, t.typcollation, 1249, 0 FROM tw_pg.found_columns c JOIN tw_pg.pg_type t ON t.oid = type`)
	b.add(fmt.Sprintf(`INSERT INTO tw_info.columns (table_catalog, table_schema, table_name, column_name, ordinal_position, is_nullable, data_type,
		numeric_precision, numeric_precision_radix, numeric_scale, datetime_precision, udt_catalog, udt_schema, udt_name, dtd_identifier,
		is_self_referencing, is_identity, is_generated, is_updatable)
		SELECT %[1]s, schema_name, view_name, column_name, column_index, 'YES', %[2]s,
		CASE type WHEN 21 THEN 16 WHEN 23 THEN 32 WHEN 20 THEN 64 WHEN 700 THEN 24 WHEN 701 THEN 53 WHEN 1700 THEN CASE WHEN mod > 0 THEN numeric_precision END END,
		CASE WHEN type IN (20, 21, 23, 700, 701) THEN 2 WHEN type = 1700 THEN 10 END,
		CASE WHEN type IN (20, 21, 23) THEN 0 WHEN type = 1700 AND mod > 0 THEN numeric_scale END,
		CASE WHEN type IN (1083, 1114, 1184, 1186) THEN 6 WHEN type = 1082 THEN 0 END,
		%[1]s, 'pg_catalog', t.typname, column_index::VARCHAR, 'NO', 'NO', 'NEVER', 'NO' FROM tw_pg.found_columns JOIN tw_pg.pg_type t ON t.oid = type`,
		db, formatCase()))
	b.add("DROP TABLE tw_pg.found_columns")
}

// formatCase is format_type without modifiers, of a column called type.
func formatCase() string {
	var s strings.Builder
	s.WriteString("CASE type")
	for _, t := range types {
		fmt.Fprintf(&s, " WHEN %d THEN %s", t.oid, Quote(t.format))
	}
	return s.String() + " END"
}
