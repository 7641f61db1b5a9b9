package catalog

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// macro is a function of PostgreSQL in the engine's words. Several forms differ in their number of parameters.
type macro struct {
	name  string
	forms []string // "(a, b) AS expression"
}

// scalars are functions of schema pg_catalog that the engine does not have, or has with other results.
var scalars = []macro{
	{"pg_get_userbyid", []string{"(role) AS (SELECT coalesce(max(rolname), 'unknown (OID=' || role || ')') FROM tw_pg.pg_authid WHERE oid = role)"}},
	{"pg_table_is_visible", []string{"(o) AS coalesce((SELECT max(relnamespace) FROM tw_pg.pg_class WHERE oid = o), 0) IN (11, 2200)"}},
	{"pg_type_is_visible", []string{"(o) AS true"}},
	{"pg_function_is_visible", []string{"(o) AS true"}},
	{"pg_operator_is_visible", []string{"(o) AS true"}},
	{"pg_collation_is_visible", []string{"(o) AS true"}},
	{"pg_opclass_is_visible", []string{"(o) AS true"}},
	{"pg_statistics_obj_is_visible", []string{"(o) AS true"}},
	{"pg_get_expr", []string{"(e, r) AS e::VARCHAR", "(e, r, p) AS e::VARCHAR"}},
	{"pg_get_constraintdef", []string{"(o) AS NULL::VARCHAR", "(o, p) AS NULL::VARCHAR"}},
	{"pg_get_indexdef", []string{"(o) AS NULL::VARCHAR", "(o, c, p) AS NULL::VARCHAR"}},
	{"pg_get_ruledef", []string{"(o) AS NULL::VARCHAR", "(o, p) AS NULL::VARCHAR"}},
	{"pg_get_triggerdef", []string{"(o) AS NULL::VARCHAR", "(o, p) AS NULL::VARCHAR"}},
	{"pg_get_partkeydef", []string{"(o) AS NULL::VARCHAR"}},
	{"pg_get_partition_constraintdef", []string{"(o) AS NULL::VARCHAR"}},
	{"pg_get_statisticsobjdef_columns", []string{"(o) AS NULL::VARCHAR"}},
	{"pg_get_serial_sequence", []string{"(t, c) AS NULL::VARCHAR"}},
	{"pg_get_function_identity_arguments", []string{"(o) AS tw_pg.pg_get_function_arguments(o)"}},
	{"pg_get_functiondef", []string{"(o) AS NULL::VARCHAR"}},
	{"pg_get_function_sqlbody", []string{"(o) AS NULL::VARCHAR"}},
	{"pg_get_viewdef", []string{
		"(o) AS (SELECT max(v.definition) FROM tw_pg.pg_views v, tw_pg.pg_class c WHERE c.relname = v.viewname AND (c.oid::VARCHAR = o::VARCHAR OR c.relname = o::VARCHAR))",
		"(o, p) AS (SELECT max(v.definition) FROM tw_pg.pg_views v, tw_pg.pg_class c WHERE c.relname = v.viewname AND (c.oid::VARCHAR = o::VARCHAR OR c.relname = o::VARCHAR))"}},
	{"pg_relation_is_publishable", []string{"(o) AS false"}},
	{"pg_encoding_to_char", []string{"(e) AS CASE e WHEN 6 THEN 'UTF8' WHEN 0 THEN 'SQL_ASCII' ELSE '' END"}},
	{"pg_char_to_encoding", []string{"(e) AS CASE upper(e) WHEN 'UTF8' THEN 6 WHEN 'SQL_ASCII' THEN 0 ELSE -1 END"}},
	{"pg_size_pretty", []string{`(n) AS CASE WHEN abs(n) < 10240 THEN n || ' bytes' WHEN abs(n) < 10485760 THEN round(n / 1024.0)::BIGINT || ' kB'
		WHEN abs(n) < 10737418240 THEN round(n / 1048576.0)::BIGINT || ' MB' ELSE round(n / 1073741824.0)::BIGINT || ' GB' END`}},
	{"pg_table_size", []string{"(o) AS 0::BIGINT"}},
	{"pg_relation_size", []string{"(o) AS 0::BIGINT", "(o, f) AS 0::BIGINT"}},
	{"pg_total_relation_size", []string{"(o) AS 0::BIGINT"}},
	{"pg_indexes_size", []string{"(o) AS 0::BIGINT"}},
	{"pg_database_size", []string{"(o) AS 0::BIGINT"}},
	{"pg_tablespace_size", []string{"(o) AS 0::BIGINT"}},
	{"pg_tablespace_location", []string{"(o) AS ''"}},
	{"pg_stat_get_numscans", []string{"(o) AS 0::BIGINT"}},
	{"obj_description", []string{"(o) AS (SELECT max(description) FROM tw_pg.pg_description WHERE objoid = o AND objsubid = 0)",
		"(o, c) AS (SELECT max(description) FROM tw_pg.pg_description d, tw_pg.pg_class k WHERE d.classoid = k.oid AND k.relname = c AND k.relnamespace = 11 AND d.objoid = o AND d.objsubid = 0)"}},
	{"col_description", []string{"(o, n) AS (SELECT max(description) FROM tw_pg.pg_description WHERE objoid = o AND objsubid = n AND classoid = 1259)"}},
	{"shobj_description", []string{"(o, c) AS NULL::VARCHAR"}},
	{"quote_ident", []string{`(s) AS CASE WHEN regexp_full_match(s, '[a-z_][a-z0-9_$]*') THEN s ELSE '"' || replace(s, '"', '""') || '"' END`}},
	{"quote_literal", []string{`(s) AS '''' || replace(s::VARCHAR, '''', '''''') || ''''`}},
	{"quote_nullable", []string{`(s) AS coalesce('''' || replace(s::VARCHAR, '''', '''''') || '''', 'NULL')`}},
	{"parse_ident", []string{`(s) AS list_transform(string_split(s, '.'), lambda x: trim(x, '"'))`}},
	{"has_schema_privilege", []string{"(s, p) AS true", "(u, s, p) AS true"}},
	{"has_table_privilege", []string{"(t, p) AS upper(p) IN ('SELECT')", "(u, t, p) AS upper(p) IN ('SELECT')"}},
	{"has_any_column_privilege", []string{"(t, p) AS upper(p) IN ('SELECT')", "(u, t, p) AS upper(p) IN ('SELECT')"}},
	{"has_column_privilege", []string{"(t, c, p) AS upper(p) IN ('SELECT')", "(u, t, c, p) AS upper(p) IN ('SELECT')"}},
	{"has_database_privilege", []string{"(d, p) AS upper(p) IN ('CONNECT')", "(u, d, p) AS upper(p) IN ('CONNECT')"}},
	{"has_function_privilege", []string{"(f, p) AS true", "(u, f, p) AS true"}},
	{"has_tablespace_privilege", []string{"(t, p) AS false", "(u, t, p) AS false"}},
	{"pg_has_role", []string{"(r, p) AS true", "(u, r, p) AS true"}},
	{"array_upper", []string{"(a, d) AS CASE WHEN d = 1 THEN nullif(len(a), 0) END"}},
	{"array_lower", []string{"(a, d) AS CASE WHEN d = 1 AND len(a) > 0 THEN 1 END"}},
	{"array_length", []string{"(a) AS len(a)", "(a, d) AS CASE WHEN d = 1 THEN nullif(len(a), 0) END"}},
	{"array_ndims", []string{"(a) AS CASE WHEN len(a) > 0 THEN 1 END"}},
	{"array_remove", []string{"(a, v) AS list_filter(a, lambda x: x IS DISTINCT FROM v)"}},
	{"getdatabaseencoding", []string{"() AS 'UTF8'"}},
	{"pg_client_encoding", []string{"() AS 'UTF8'"}},
	{"cardinality", []string{"(a) AS len(a)"}},
	{"pg_is_in_recovery", []string{"() AS false"}},
	{"pg_is_wal_replay_paused", []string{"() AS false"}},
	{"txid_current", []string{"() AS 1::BIGINT"}},
	{"pg_current_xact_id", []string{"() AS 1::BIGINT"}},
	{"mxid_age", []string{"(x) AS 0"}},
	{"pg_advisory_unlock_all", []string{"() AS ''"}},
	{"pg_advisory_lock", []string{"(k) AS ''"}},
	{"pg_advisory_unlock", []string{"(k) AS true"}},
	{"pg_try_advisory_lock", []string{"(k) AS true"}},
	{"pg_notify", []string{"(c, p) AS error('pg_notify is not supported')"}},
	{"pg_my_temp_schema", []string{"() AS 0"}},
	{"pg_is_other_temp_schema", []string{"(o) AS false"}},
	{"pg_jit_available", []string{"() AS false"}},
	{"inet_server_addr", []string{"() AS NULL::VARCHAR"}},
	{"inet_server_port", []string{"() AS NULL::INTEGER"}},
	{"inet_client_addr", []string{"() AS NULL::VARCHAR"}},
	{"inet_client_port", []string{"() AS NULL::INTEGER"}},
	{"lastval", []string{"() AS error('lastval is not yet defined in this session')"}},
	{"current_schemas", []string{"(implicit) AS CASE WHEN implicit THEN ['pg_catalog', 'public'] ELSE ['public'] END"}},
	{"current_setting", []string{"(n) AS (SELECT max(setting) FROM tw_pg.pg_settings WHERE name = lower(n))",
		"(n, m) AS (SELECT max(setting) FROM tw_pg.pg_settings WHERE name = lower(n))"}},
	{"to_regclass", []string{"(n) AS (SELECT max(oid) FROM tw_pg.pg_class WHERE relname = tw_pg.bare(n))"}},
	{"to_regtype", []string{"(n) AS (SELECT max(oid) FROM tw_pg.pg_type WHERE typname = tw_pg.bare(n))"}},
	{"any_eq", []string{"(x, l) AS list_contains(l, x)"}},
}

// Lookups of names and oids: what ::regclass and its kin become.
func regMacros() []macro {
	bare := `regexp_replace(replace(n::VARCHAR, '"', ''), '^(public|pg_catalog|information_schema)\.', '')`
	reg := func(kind, table, column, alias string) []macro {
		return []macro{
			{kind + "_oid", []string{fmt.Sprintf(`(n) AS CASE WHEN n IS NULL THEN NULL WHEN regexp_full_match(n::VARCHAR, '[0-9]+') THEN n::VARCHAR::BIGINT
				ELSE coalesce((SELECT min(oid) FROM tw_pg.%s WHERE %s = %s), error(%s || n::VARCHAR || '" does not exist')) END`,
				table, column, alias, Quote(map[string]string{"regclass": `relation "`, "regtype": `type "`, "regproc": `function "`,
					"regnamespace": `schema "`, "regrole": `role "`}[kind]))}},
			{kind + "_name", []string{fmt.Sprintf(`(n) AS CASE WHEN NOT regexp_full_match(n::VARCHAR, '[0-9]+') THEN n::VARCHAR WHEN n::VARCHAR = '0' THEN '-'
				ELSE coalesce((SELECT max(%s) FROM tw_pg.%s WHERE oid::VARCHAR = n::VARCHAR), n::VARCHAR) END`, column, table)}},
		}
	}
	out := []macro{{"bare", []string{"(n) AS " + bare}}}
	out = append(out, reg("regclass", "pg_class", "relname", "tw_pg.bare(n)")...)
	out = append(out, reg("regnamespace", "pg_namespace", "nspname", "tw_pg.bare(n)")...)
	out = append(out, reg("regrole", "pg_authid", "rolname", "tw_pg.bare(n)")...)
	out = append(out, reg("regproc", "pg_proc", "proname", `regexp_replace(tw_pg.bare(n), '\(.*$', '')`)...)
	out = append(out, reg("regtype", "pg_type", "typname", "tw_pg.type_alias(tw_pg.bare(n))")...)
	var alias strings.Builder
	alias.WriteString("(n) AS CASE lower(n)")
	for _, t := range types {
		if t.format != t.name && !strings.HasPrefix(t.format, `"`) {
			fmt.Fprintf(&alias, " WHEN %s THEN %s", Quote(t.format), Quote(t.name))
		}
		if t.array != 0 {
			fmt.Fprintf(&alias, " WHEN %s THEN %s", Quote(t.format+"[]"), Quote("_"+t.name))
			if t.format != t.name {
				fmt.Fprintf(&alias, " WHEN %s THEN %s", Quote(t.name+"[]"), Quote("_"+t.name))
			}
		}
	}
	alias.WriteString(" WHEN 'int' THEN 'int4' WHEN 'decimal' THEN 'numeric' WHEN 'float' THEN 'float8' ELSE lower(n) END")
	// DuckDB binds a macro's body when it is made: what others use comes first.
	return append([]macro{{"type_alias", []string{alias.String()}}}, out...)
}

// formatType is format_type as one CASE: no look-up, since clients ask it for every column of every table.
func formatType() macro {
	var s strings.Builder
	s.WriteString("(t, m) AS CASE WHEN t IS NULL THEN NULL WHEN m > 4 AND t = 1700 THEN 'numeric(' || ((m::BIGINT - 4) >> 16) || ',' || ((m::BIGINT - 4) & 65535) || ')'" +
		" WHEN m > 4 AND t = 1043 THEN 'character varying(' || (m - 4) || ')' WHEN m > 4 AND t = 1042 THEN 'character(' || (m - 4) || ')'" +
		" WHEN m >= 0 AND t = 1184 THEN 'timestamp(' || m || ') with time zone' WHEN m >= 0 AND t = 1114 THEN 'timestamp(' || m || ') without time zone'" +
		" ELSE CASE t")
	for _, t := range types {
		fmt.Fprintf(&s, " WHEN %d THEN %s", t.oid, Quote(t.format))
		if t.array != 0 {
			fmt.Fprintf(&s, " WHEN %d THEN %s", t.array, Quote(t.format+"[]"))
		}
	}
	s.WriteString(" WHEN 0 THEN '-' ELSE '???' END END")
	return macro{"format_type", []string{s.String()}}
}

func (b *builder) macros() {
	// The engine's functions, with the texts that psql shows of them.
	b.add("CREATE TABLE tw_pg.functions (oid BIGINT, result VARCHAR, arguments VARCHAR)")
	all := []macro{formatType(),
		{"pg_get_function_result", []string{"(o) AS (SELECT max(result) FROM tw_pg.functions WHERE oid = o)"}},
		{"pg_get_function_arguments", []string{"(o) AS (SELECT max(arguments) FROM tw_pg.functions WHERE oid = o)"}}}
	all = append(all, regMacros()...)
	all = append(all, scalars...)
	for _, m := range all {
		b.add("CREATE MACRO tw_pg." + ident(m.name) + strings.Join(m.forms, ", "))
	}
	b.add("CREATE MACRO tw_info._pg_expandarray(a) AS unnest(list_transform(a, lambda x, i: {'x': x, 'n': i}))")
	b.add("CREATE MACRO tw_pg.pg_show_all_settings() AS TABLE SELECT * FROM tw_pg.pg_settings")
	b.add(`CREATE MACRO tw_pg.pg_get_keywords() AS TABLE SELECT keyword_name AS word,
		CASE keyword_category WHEN 'reserved' THEN 'R' WHEN 'unreserved' THEN 'U' WHEN 'column_name' THEN 'C' ELSE 'T' END AS catcode,
		keyword_category AS catdesc FROM duckdb_keywords()`)
}

// functions lists the engine's functions in pg_proc, numbered by name and parameters.
func (b *builder) functions() {
	b.add(`CREATE TABLE tw_pg.engine_functions AS SELECT 20000 + row_number() OVER (ORDER BY function_name, arguments) AS oid, * FROM (
		SELECT DISTINCT function_name, coalesce(lower(return_type), '') AS result, array_to_string(parameter_types, ', ') AS arguments,
			function_type, len(parameters) AS n
		FROM duckdb_functions() WHERE schema_name NOT IN ('tw_pg', 'tw_info') AND function_type IN ('scalar', 'aggregate', 'macro')
			AND regexp_full_match(function_name, '[a-z][a-z0-9_]*') AND NOT starts_with(function_name, '__'))`)
	b.add(`INSERT INTO tw_pg.functions SELECT oid, result, coalesce(lower(arguments), '') FROM tw_pg.engine_functions`)
	b.add(`INSERT INTO tw_pg.pg_proc (` + procCols + `) SELECT oid, function_name, 11, 10, 12, 1, 0, 0,
		CASE function_type WHEN 'aggregate' THEN 'a' ELSE 'f' END, false, false, false, false, 's', 's', n, 0, 2276, []::BIGINT[], function_name, 1255, 0
		FROM tw_pg.engine_functions`)
	b.add("DROP TABLE tw_pg.engine_functions")
}

var ownFunctions = func() map[string]bool {
	m := map[string]bool{"format_type": true, "pg_get_function_result": true, "pg_get_function_arguments": true, "pg_get_keywords": true, "pg_show_all_settings": true}
	for _, s := range scalars {
		m[s.name] = true
	}
	delete(m, "any_eq")
	return m
}()
