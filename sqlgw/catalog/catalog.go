// Package catalog makes SQL clients of PostgreSQL feel at home on another engine. It has two parts:
//
//	tables, views ──► Build ──► CREATE and INSERT statements ──► the engine's database, before it is locked
//	PostgreSQL's SQL ──► Rewrite ──► the engine's SQL, with positions that lead back
//
// The catalogue is a real one: pg_class, pg_attribute, pg_type and some sixty others can be joined as clients do. Its
// oids are those of PostgreSQL 15 where PostgreSQL gives them, and for tables follow from the order they are given in, so
// they stay the same while the process lives.
package catalog

import (
	"fmt"
	"strconv"
	"strings"
)

// Schemas that the catalogue lives in. PostgreSQL's own names are taken by the engine.
const (
	pgSchema   = "tw_pg"
	infoSchema = "tw_info"
)

// Table or view that clients can ask for.
type Table struct {
	Schema  string // empty: public
	Name    string
	Comment string
	View    string // text of the query; empty: a table
	Columns []Column
}

// Column of a Table.
type Column struct {
	Name    string
	OID     uint32 // PostgreSQL's type, one that pg_type has
	Mod     int32  // type modifier, -1: none
	NotNull bool
	Comment string
}

// Numeric is the type modifier of numeric(width, scale).
func Numeric(width, scale int) int32 { return int32(width<<16|scale) + 4 }

// Options of Build.
type Options struct {
	Tables   []Table
	Database string            // name of the one database
	Owner    string            // role that owns everything
	Users    []string          // further roles
	Settings map[string]string // rows of pg_settings
}

const (
	firstOID   = 16384 // of what is not PostgreSQL's own
	schemaOID  = 16300 // further schemas of ours
	viewOID    = 17000 // views of the engine that were not named in Options
	ownerOID   = 10
	pgOID      = 11 // namespace pg_catalog
	publicOID  = 2200
	infoOID    = 13000
	databaseID = 5
	heapOID    = 2
)

// Build gives the statements that make the catalogue. They need to run once, in their order, in an empty database of the
// engine; they read nothing but the engine's list of functions.
func Build(o Options) ([]string, error) {
	b := &builder{o: o, schemas: map[string]int{"pg_catalog": pgOID, "public": publicOID, "information_schema": infoOID}}
	if b.o.Database == "" {
		b.o.Database = "tickwire"
	}
	if b.o.Owner == "" {
		b.o.Owner = "tickwire"
	}
	for _, t := range o.Tables {
		for _, c := range t.Columns {
			if typeByOID[c.OID] == nil {
				return nil, fmt.Errorf("catalog: column %s of %s has type oid %d, which pg_type does not", c.Name, t.Name, c.OID)
			}
		}
	}
	b.add("CREATE SCHEMA " + pgSchema)
	b.add("CREATE SCHEMA " + infoSchema)
	for _, r := range systemRelations {
		b.create(pgSchema, r)
	}
	for _, r := range infoRelations {
		b.create(infoSchema, r)
	}
	b.namespaces()
	b.types()
	b.classes()
	b.views()
	b.roles()
	b.macros()
	b.functions()
	return b.out, nil
}

type builder struct {
	o       Options
	out     []string
	schemas map[string]int // oids
}

func (b *builder) add(sql string) { b.out = append(b.out, sql) }

func (b *builder) create(schema string, r relation) {
	var cols []string
	for _, c := range r.columnsOf() {
		cols = append(cols, ident(c.Name)+" "+engineType(c.OID))
	}
	b.add("CREATE TABLE " + schema + "." + ident(r.name) + " (" + strings.Join(cols, ", ") + ")")
}

func ident(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// raw is SQL among values.
type raw string

// literal writes a value. nil is NULL.
func literal(v any) string {
	switch v := v.(type) {
	case nil:
		return "NULL"
	case raw:
		return string(v)
	case string:
		return Quote(v)
	case bool:
		return strconv.FormatBool(v)
	case byte:
		return Quote(string(rune(v)))
	}
	return fmt.Sprint(v)
}

// rows inserts into some columns of a system table; the others are NULL.
func (b *builder) rows(table, cols string, rows ...[]any) {
	const most = 500
	for len(rows) > 0 {
		n := min(len(rows), most)
		var s strings.Builder
		fmt.Fprintf(&s, "INSERT INTO %s (%s) VALUES ", table, cols)
		for i, row := range rows[:n] {
			if i > 0 {
				s.WriteString(", ")
			}
			s.WriteByte('(')
			for k, v := range row {
				if k > 0 {
					s.WriteString(", ")
				}
				s.WriteString(literal(v))
			}
			s.WriteByte(')')
		}
		b.add(s.String())
		rows = rows[n:]
	}
}

func (b *builder) namespaces() {
	b.rows(pgSchema+".pg_namespace", "oid, nspname, nspowner, tableoid, xmin",
		[]any{pgOID, "pg_catalog", ownerOID, 2615, 0}, []any{publicOID, "public", ownerOID, 2615, 0},
		[]any{infoOID, "information_schema", ownerOID, 2615, 0})
	b.rows(pgSchema+".pg_description", "objoid, classoid, objsubid, description",
		[]any{pgOID, 2615, 0, "system catalog schema"}, []any{publicOID, 2615, 0, "ticks as they arrive, and views of them"})
	db := b.o.Database
	for _, n := range []string{"information_schema", "pg_catalog", "public"} {
		b.rows(infoSchema+".schemata", "catalog_name, schema_name, schema_owner", []any{db, n, b.o.Owner})
	}
	b.rows(pgSchema+".pg_am", "oid, amname, amhandler, amtype", []any{heapOID, "heap", 3, byte('t')}, []any{403, "btree", 330, byte('i')})
	b.rows(pgSchema+".pg_tablespace", "oid, spcname, spcowner", []any{1663, "pg_default", ownerOID})
	b.rows(pgSchema+".pg_language", "oid, lanname, lanowner, lanispl, lanpltrusted", []any{12, "internal", ownerOID, false, false}, []any{14, "sql", ownerOID, false, true})
	b.rows(pgSchema+".pg_collation", "oid, collname, collnamespace, collowner, collprovider, collisdeterministic, collencoding",
		[]any{100, "default", pgOID, ownerOID, byte('d'), true, -1}, []any{950, "C", pgOID, ownerOID, byte('c'), true, -1})
	b.rows(pgSchema+".pg_database", "oid, datname, datdba, encoding, datlocprovider, datistemplate, datallowconn, datconnlimit, datfrozenxid, datminmxid, dattablespace, datcollate, datctype, tableoid, xmin",
		[]any{databaseID, db, ownerOID, 6, byte('c'), false, true, -1, 0, 0, 1663, "C", "C", 1262, 0})
	b.rows(infoSchema+".character_sets", "character_set_name, character_repertoire, form_of_use", []any{"UTF8", "UCS", "UTF8"})
}

// types fills pg_type, and pg_proc with the functions that pg_type names: Npgsql joins the two.
func (b *builder) types() {
	const cols = `oid, typname, typnamespace, typowner, typlen, typbyval, typtype, typcategory, typispreferred, typisdefined, typdelim,
		typrelid, typsubscript, typelem, typarray, typinput, typoutput, typreceive, typsend, typmodin, typmodout, typanalyze, typalign,
		typstorage, typnotnull, typbasetype, typtypmod, typndims, typcollation, tableoid, xmin`
	var rows, procs [][]any
	nextProc := 14000
	proc := func(name string, result int) int {
		nextProc++
		procs = append(procs, procRow(nextProc, name, result))
		return nextProc
	}
	procs = append(procs, procRow(750, "array_in", 2277), procRow(751, "array_out", 2275), procRow(2400, "array_recv", 2277), procRow(2401, "array_send", 17))
	for _, t := range types {
		kind := byte('b')
		if t.pseudo {
			kind = 'p'
		}
		base := t.name
		switch t.name {
		case "timestamp", "timestamptz", "time", "timetz", "date", "numeric", "interval", "uuid", "json", "jsonb", "record", "cstring", "void", "array":
			base += "_"
		}
		in, out := proc(base+"in", int(t.oid)), proc(base+"out", 2275)
		receive, send := proc(base+"recv", int(t.oid)), proc(base+"send", 17)
		byval := t.length > 0 && t.length <= 8
		elem := 0
		switch t.name {
		case "int2vector":
			elem = 21
		case "oidvector":
			elem = 26
		}
		collation := 0
		if t.category == 'S' {
			collation = 100
		}
		align := byte('i')
		if t.length == 8 {
			align = 'd'
		}
		storage := byte('p')
		if t.length == -1 {
			storage = 'x'
		}
		preferred := t.name == "bool" || t.name == "text" || t.name == "float8" || t.name == "timestamptz" || t.name == "oid"
		rows = append(rows, []any{t.oid, t.name, pgOID, ownerOID, t.length, byval, kind, t.category, preferred, true, byte(','),
			0, 0, elem, t.array, in, out, receive, send, 0, 0, 0, align, storage, false, 0, -1, 0, collation, 1247, 0})
		if t.array != 0 {
			rows = append(rows, []any{t.array, "_" + t.name, pgOID, ownerOID, -1, false, byte('b'), byte('A'), false, true, byte(','),
				0, 6179, t.oid, 0, 750, 751, 2400, 2401, 0, 0, 3816, align, byte('x'), false, 0, -1, 0, collation, 1247, 0})
		}
	}
	b.rows(pgSchema+".pg_type", cols, rows...)
	b.rows(pgSchema+".pg_proc", procCols, procs...)
}

const procCols = `oid, proname, pronamespace, proowner, prolang, procost, prorows, provariadic, prokind, prosecdef, proleakproof,
	proisstrict, proretset, provolatile, proparallel, pronargs, pronargdefaults, prorettype, proargtypes, prosrc, tableoid, xmin`

func procRow(oid int, name string, result int) []any {
	return []any{oid, name, pgOID, ownerOID, 12, 1, 0, 0, byte('f'), false, false, true, false, byte('i'), byte('s'), 1, 0, result,
		raw("[]::BIGINT[]"), name, 1255, 0}
}

// classes fills what describes tables and their columns, ours first.
func (b *builder) classes() {
	oid := firstOID
	for _, t := range b.o.Tables {
		kind := byte('r')
		if t.View != "" {
			kind = 'v'
		}
		if t.Schema == "" {
			t.Schema = "public"
		}
		b.class(uint32(oid), kind, t)
		b.information(t)
		oid++
	}
	for _, r := range systemRelations {
		t := Table{Schema: "pg_catalog", Name: r.name, Columns: r.columnsOf()}
		b.class(r.oid, 'r', t)
		b.information(t)
	}
	for _, r := range infoRelations {
		b.class(r.oid, 'v', Table{Schema: "information_schema", Name: r.name, Columns: r.columnsOf()})
	}
}

// schema gives the oid of a schema, and makes it known.
func (b *builder) schema(name string) int {
	oid, ok := b.schemas[name]
	if !ok {
		oid = schemaOID + len(b.schemas)
		b.schemas[name] = oid
		b.rows(pgSchema+".pg_namespace", "oid, nspname, nspowner, tableoid, xmin", []any{oid, name, ownerOID, 2615, 0})
		b.rows(infoSchema+".schemata", "catalog_name, schema_name, schema_owner", []any{b.o.Database, name, b.o.Owner})
	}
	return oid
}

func (b *builder) class(oid uint32, kind byte, t Table) {
	schema := b.schema(t.Schema)
	am, identity := heapOID, byte('d')
	if kind == 'v' {
		am = 0
	}
	if kind == 'v' || schema == pgOID {
		identity = 'n'
	}
	b.rows(pgSchema+".pg_class", `oid, relname, relnamespace, reltype, reloftype, relowner, relam, relfilenode, reltablespace, relpages,
		reltuples, relallvisible, reltoastrelid, relhasindex, relisshared, relpersistence, relkind, relnatts, relchecks, relhasrules,
		relhastriggers, relhassubclass, relrowsecurity, relforcerowsecurity, relispopulated, relreplident, relispartition, relrewrite,
		relfrozenxid, relminmxid, tableoid, xmin`,
		[]any{oid, t.Name, schema, 0, 0, ownerOID, am, 0, 0, 0, -1, 0, 0, false, false, byte('p'), kind, len(t.Columns), 0, kind == 'v',
			false, false, false, false, true, identity, false, 0, 0, 0, 1259, 0})
	var attributes, comments [][]any
	if t.Comment != "" {
		comments = append(comments, []any{oid, 1259, 0, t.Comment})
	}
	for i, c := range t.Columns {
		ty := typeByOID[c.OID]
		length, array, collation := int16(-1), ty == nil, 0
		if !array {
			length = ty.length
			if ty.category == 'S' {
				collation = 100
			}
		}
		storage := byte('p')
		if length == -1 {
			storage = 'x'
			if c.OID == 1700 {
				storage = 'm'
			}
		}
		dims := 0
		if array {
			dims = 1
		}
		attributes = append(attributes, []any{oid, c.Name, c.OID, -1, length, i + 1, dims, -1, c.Mod, length > 0 && length <= 8, byte('i'), storage,
			"", c.NotNull, false, false, "", "", false, true, 0, collation, 1249, 0})
		if c.Comment != "" {
			comments = append(comments, []any{oid, 1259, i + 1, c.Comment})
		}
	}
	b.rows(pgSchema+".pg_attribute", `attrelid, attname, atttypid, attstattarget, attlen, attnum, attndims, attcacheoff, atttypmod, attbyval,
		attalign, attstorage, attcompression, attnotnull, atthasdef, atthasmissing, attidentity, attgenerated, attisdropped, attislocal,
		attinhcount, attcollation, tableoid, xmin`, attributes...)
	b.rows(pgSchema+".pg_description", "objoid, classoid, objsubid, description", comments...)
	if schema == pgOID || schema == infoOID {
		return
	}
	if kind == 'v' {
		b.rows(pgSchema+".pg_views", "schemaname, viewname, viewowner, definition", []any{t.Schema, t.Name, b.o.Owner, t.View})
		b.rows(infoSchema+".views", "table_catalog, table_schema, table_name, view_definition, check_option, is_updatable, is_insertable_into",
			[]any{b.o.Database, t.Schema, t.Name, t.View, "NONE", "NO", "NO"})
		return
	}
	b.rows(pgSchema+".pg_tables", "schemaname, tablename, tableowner, hasindexes, hasrules, hastriggers, rowsecurity",
		[]any{t.Schema, t.Name, b.o.Owner, false, false, false, false})
}

// information fills information_schema.tables and columns, with the names of types as PostgreSQL gives them there.
func (b *builder) information(t Table) {
	schema := t.Schema
	kind := "BASE TABLE"
	if t.View != "" {
		kind = "VIEW"
	}
	b.rows(infoSchema+".tables", "table_catalog, table_schema, table_name, table_type, is_insertable_into, is_typed",
		[]any{b.o.Database, schema, t.Name, kind, "NO", "NO"})
	b.rows(infoSchema+".table_privileges", "grantor, grantee, table_catalog, table_schema, table_name, privilege_type, is_grantable, with_hierarchy",
		[]any{b.o.Owner, "PUBLIC", b.o.Database, schema, t.Name, "SELECT", "NO", "YES"})
	var rows [][]any
	for i, c := range t.Columns {
		rows = append(rows, b.informationColumn(schema, t.Name, i+1, c))
	}
	b.rows(infoSchema+".columns", `table_catalog, table_schema, table_name, column_name, ordinal_position, is_nullable, data_type,
		numeric_precision, numeric_precision_radix, numeric_scale, datetime_precision, udt_catalog, udt_schema, udt_name, dtd_identifier,
		is_self_referencing, is_identity, is_generated, is_updatable`, rows...)
}

func (b *builder) informationColumn(schema, table string, at int, c Column) []any {
	null := "YES"
	if c.NotNull {
		null = "NO"
	}
	data, udt := "ARRAY", ""
	var precision, radix, scale, clock any
	if ty := typeByOID[c.OID]; ty != nil {
		data, udt = ty.format, ty.name
	} else {
		for _, t := range types {
			if t.array == c.OID {
				udt = "_" + t.name
			}
		}
	}
	switch udt {
	case "int2":
		precision, radix, scale = 16, 2, 0
	case "int4":
		precision, radix, scale = 32, 2, 0
	case "int8":
		precision, radix, scale = 64, 2, 0
	case "float4":
		precision, radix = 24, 2
	case "float8":
		precision, radix = 53, 2
	case "numeric":
		radix = 10
		if c.Mod > 4 {
			precision, scale = (c.Mod-4)>>16, (c.Mod-4)&0xffff
		}
	case "date":
		clock = 0
	case "timestamp", "timestamptz", "time", "timetz", "interval":
		clock = 6
	}
	return []any{b.o.Database, schema, table, c.Name, at, null, data, precision, radix, scale, clock, b.o.Database, "pg_catalog", udt,
		strconv.Itoa(at), "NO", "NO", "NEVER", "NO"}
}

func (b *builder) roles() {
	oid := ownerOID
	for i, name := range append([]string{b.o.Owner}, b.o.Users...) {
		if i > 0 {
			if name == b.o.Owner {
				continue
			}
			oid = firstOID - 1000 + i
		}
		b.rows(pgSchema+".pg_roles", `rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolconnlimit,
			rolpassword, rolbypassrls, oid`, []any{name, false, true, false, false, true, false, -1, "********", false, oid})
		b.rows(pgSchema+".pg_authid", "oid, rolname", []any{oid, name})
		b.rows(pgSchema+".pg_user", "usename, usesysid, usecreatedb, usesuper, userepl, usebypassrls, passwd", []any{name, oid, false, false, false, false, "********"})
	}
	var rows [][]any
	for _, name := range sortedKeys(b.o.Settings) {
		v := b.o.Settings[name]
		rows = append(rows, []any{name, v, "tickwire", "", "user", "string", "default", v, v, false})
	}
	b.rows(pgSchema+".pg_settings", "name, setting, category, short_desc, context, vartype, source, boot_val, reset_val, pending_restart", rows...)
}
