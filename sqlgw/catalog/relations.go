package catalog

import "strings"

// relation is a system table as clients join it. Column types are PostgreSQL's names, with [] for arrays.
type relation struct {
	oid  uint32 // PostgreSQL's where clients may know it, else given
	name string
	cols string // "name type, name type"
}

// systemRelations of schema pg_catalog. Those without rows are there since clients join them.
var systemRelations = []relation{
	{2615, "pg_namespace", "oid oid, nspname name, nspowner oid, nspacl aclitem[], tableoid oid, xmin xid"},
	{1259, "pg_class", `oid oid, relname name, relnamespace oid, reltype oid, reloftype oid, relowner oid, relam oid, relfilenode oid,
		reltablespace oid, relpages int4, reltuples float4, relallvisible int4, reltoastrelid oid, relhasindex bool, relisshared bool,
		relpersistence char, relkind char, relnatts int2, relchecks int2, relhasrules bool, relhastriggers bool, relhassubclass bool,
		relrowsecurity bool, relforcerowsecurity bool, relispopulated bool, relreplident char, relispartition bool, relrewrite oid,
		relfrozenxid xid, relminmxid xid, relacl aclitem[], reloptions text[], relpartbound text, tableoid oid, xmin xid`},
	{1249, "pg_attribute", `attrelid oid, attname name, atttypid oid, attstattarget int4, attlen int2, attnum int2, attndims int4,
		attcacheoff int4, atttypmod int4, attbyval bool, attalign char, attstorage char, attcompression char, attnotnull bool,
		atthasdef bool, atthasmissing bool, attidentity char, attgenerated char, attisdropped bool, attislocal bool, attinhcount int4,
		attcollation oid, attacl aclitem[], attoptions text[], attfdwoptions text[], attmissingval text, tableoid oid, xmin xid`},
	{1247, "pg_type", `oid oid, typname name, typnamespace oid, typowner oid, typlen int2, typbyval bool, typtype char, typcategory char,
		typispreferred bool, typisdefined bool, typdelim char, typrelid oid, typsubscript oid, typelem oid, typarray oid, typinput oid,
		typoutput oid, typreceive oid, typsend oid, typmodin oid, typmodout oid, typanalyze oid, typalign char, typstorage char,
		typnotnull bool, typbasetype oid, typtypmod int4, typndims int4, typcollation oid, typdefaultbin text, typdefault text,
		typacl aclitem[], tableoid oid, xmin xid`},
	{1255, "pg_proc", `oid oid, proname name, pronamespace oid, proowner oid, prolang oid, procost float4, prorows float4,
		provariadic oid, prosupport oid, prokind char, prosecdef bool, proleakproof bool, proisstrict bool, proretset bool,
		provolatile char, proparallel char, pronargs int2, pronargdefaults int2, prorettype oid, proargtypes oidvector,
		proallargtypes oid[], proargmodes char[], proargnames text[], proargdefaults text, protrftypes oid[], prosrc text, probin text,
		prosqlbody text, proconfig text[], proacl aclitem[], tableoid oid, xmin xid`},
	{2609, "pg_description", "objoid oid, classoid oid, objsubid int4, description text, tableoid oid"},
	{2396, "pg_shdescription", "objoid oid, classoid oid, description text"},
	{2604, "pg_attrdef", "oid oid, adrelid oid, adnum int2, adbin text, tableoid oid"},
	{2610, "pg_index", `indexrelid oid, indrelid oid, indnatts int2, indnkeyatts int2, indisunique bool, indnullsnotdistinct bool,
		indisprimary bool, indisexclusion bool, indimmediate bool, indisclustered bool, indisvalid bool, indcheckxmin bool,
		indisready bool, indislive bool, indisreplident bool, indkey int2vector, indcollation oidvector, indclass oidvector,
		indoption int2vector, indexprs text, indpred text, xmin xid`},
	{2606, "pg_constraint", `oid oid, conname name, connamespace oid, contype char, condeferrable bool, condeferred bool,
		convalidated bool, conrelid oid, contypid oid, conindid oid, conparentid oid, confrelid oid, confupdtype char, confdeltype char,
		confmatchtype char, conislocal bool, coninhcount int4, connoinherit bool, conkey int2[], confkey int2[], conpfeqop oid[],
		conppeqop oid[], conffeqop oid[], confdelsetcols int2[], conexclop oid[], conbin text, tableoid oid, xmin xid`},
	{2601, "pg_am", "oid oid, amname name, amhandler oid, amtype char, xmin xid"},
	{1260, "pg_authid", "oid oid, rolname name"},
	{12001, "pg_roles", `rolname name, rolsuper bool, rolinherit bool, rolcreaterole bool, rolcreatedb bool, rolcanlogin bool,
		rolreplication bool, rolconnlimit int4, rolpassword text, rolvaliduntil timestamptz, rolbypassrls bool, rolconfig text[], oid oid`},
	{12002, "pg_user", `usename name, usesysid oid, usecreatedb bool, usesuper bool, userepl bool, usebypassrls bool, passwd text,
		valuntil timestamptz, useconfig text[]`},
	{12003, "pg_group", "groname name, grosysid oid, grolist oid[]"},
	{1261, "pg_auth_members", "roleid oid, member oid, grantor oid, admin_option bool"},
	{1262, "pg_database", `oid oid, datname name, datdba oid, encoding int4, datlocprovider char, datistemplate bool, datallowconn bool,
		datconnlimit int4, datfrozenxid xid, datminmxid xid, dattablespace oid, datcollate text, datctype text, daticulocale text,
		datcollversion text, datacl aclitem[], tableoid oid, xmin xid`},
	{1213, "pg_tablespace", "oid oid, spcname name, spcowner oid, spcacl aclitem[], spcoptions text[], xmin xid"},
	{3501, "pg_enum", "oid oid, enumtypid oid, enumsortorder float4, enumlabel name"},
	{3541, "pg_range", "rngtypid oid, rngsubtype oid, rngmultitypid oid, rngcollation oid, rngsubopc oid, rngcanonical oid, rngsubdiff oid"},
	{2611, "pg_inherits", "inhrelid oid, inhparent oid, inhseqno int4, inhdetachpending bool"},
	{3256, "pg_policy", "oid oid, polname name, polrelid oid, polcmd char, polpermissive bool, polroles oid[], polqual text, polwithcheck text"},
	{3381, "pg_statistic_ext", `oid oid, stxrelid oid, stxname name, stxnamespace oid, stxowner oid, stxstattarget int4, stxkeys int2vector,
		stxkind char[], stxexprs text`},
	{6104, "pg_publication", `oid oid, pubname name, pubowner oid, puballtables bool, pubinsert bool, pubupdate bool, pubdelete bool,
		pubtruncate bool, pubviaroot bool`},
	{6106, "pg_publication_rel", "oid oid, prpubid oid, prrelid oid, prqual text, prattrs int2vector"},
	{6237, "pg_publication_namespace", "oid oid, pnpubid oid, pnnspid oid"},
	{12004, "pg_publication_tables", "pubname name, schemaname name, tablename name, attnames name[], rowfilter text"},
	{3456, "pg_collation", `oid oid, collname name, collnamespace oid, collowner oid, collprovider char, collisdeterministic bool,
		collencoding int4, collcollate text, collctype text, colliculocale text, collversion text`},
	{12005, "pg_settings", `name text, setting text, unit text, category text, short_desc text, extra_desc text, context text, vartype text,
		source text, min_val text, max_val text, enumvals text[], boot_val text, reset_val text, sourcefile text, sourceline int4,
		pending_restart bool`},
	{2224, "pg_sequence", "seqrelid oid, seqtypid oid, seqstart int8, seqincrement int8, seqmax int8, seqmin int8, seqcache int8, seqcycle bool"},
	{12006, "pg_sequences", `schemaname name, sequencename name, sequenceowner name, data_type text, start_value int8, min_value int8,
		max_value int8, increment_by int8, cycle bool, cache_size int8, last_value int8`},
	{12007, "pg_statio_all_tables", "relid oid, schemaname name, relname name, heap_blks_read int8, heap_blks_hit int8, idx_blks_read int8, idx_blks_hit int8"},
	{12008, "pg_stat_activity", `datid oid, datname name, pid int4, leader_pid int4, usesysid oid, usename name, application_name text,
		client_addr text, client_hostname text, client_port int4, backend_start timestamptz, xact_start timestamptz,
		query_start timestamptz, state_change timestamptz, wait_event_type text, wait_event text, state text, backend_xid xid,
		backend_xmin xid, query_id int8, query text, backend_type text`},
	{12009, "pg_stat_user_tables", `relid oid, schemaname name, relname name, seq_scan int8, seq_tup_read int8, idx_scan int8, n_live_tup int8,
		n_dead_tup int8, last_vacuum timestamptz, last_autovacuum timestamptz, last_analyze timestamptz, last_autoanalyze timestamptz`},
	{3079, "pg_extension", "oid oid, extname name, extowner oid, extnamespace oid, extrelocatable bool, extversion text, extconfig oid[], extcondition text[], xmin xid"},
	{12010, "pg_available_extensions", "name name, default_version text, installed_version text, comment text"},
	{2607, "pg_conversion", "oid oid, conname name, connamespace oid, conowner oid, conforencoding int4, contoencoding int4, conproc oid, condefault bool"},
	{12011, "pg_locks", `locktype text, database oid, relation oid, page int4, tuple int2, virtualxid text, transactionid xid, classid oid,
		objid oid, objsubid int2, virtualtransaction text, pid int4, mode text, granted bool, fastpath bool, waitstart timestamptz`},
	{2620, "pg_trigger", `oid oid, tgrelid oid, tgparentid oid, tgname name, tgfoid oid, tgtype int2, tgenabled char, tgisinternal bool,
		tgconstrrelid oid, tgconstrindid oid, tgconstraint oid, tgdeferrable bool, tginitdeferred bool, tgnargs int2, tgattr int2vector,
		tgargs bytea, tgqual text, tgoldtable name, tgnewtable name, tableoid oid, xmin xid`},
	{2618, "pg_rewrite", "oid oid, rulename name, ev_class oid, ev_type char, ev_enabled char, is_instead bool, ev_qual text, ev_action text, xmin xid"},
	{12012, "pg_rules", "schemaname name, tablename name, rulename name, definition text"},
	{2600, "pg_aggregate", "aggfnoid oid, aggkind char, aggnumdirectargs int2, aggtransfn oid, aggfinalfn oid, aggcombinefn oid, aggtranstype oid, aggsortop oid, agginitval text"},
	{2617, "pg_operator", `oid oid, oprname name, oprnamespace oid, oprowner oid, oprkind char, oprcanmerge bool, oprcanhash bool,
		oprleft oid, oprright oid, oprresult oid, oprcom oid, oprnegate oid, oprcode oid, oprrest oid, oprjoin oid`},
	{2616, "pg_opclass", "oid oid, opcmethod oid, opcname name, opcnamespace oid, opcowner oid, opcfamily oid, opcintype oid, opcdefault bool, opckeytype oid"},
	{2605, "pg_cast", "oid oid, castsource oid, casttarget oid, castfunc oid, castcontext char, castmethod char"},
	{2612, "pg_language", "oid oid, lanname name, lanowner oid, lanispl bool, lanpltrusted bool, lanplcallfoid oid, laninline oid, lanvalidator oid, lanacl aclitem[], xmin xid"},
	{2608, "pg_depend", "classid oid, objid oid, objsubid int4, refclassid oid, refobjid oid, refobjsubid int4, deptype char"},
	{1214, "pg_shdepend", "dbid oid, classid oid, objid oid, objsubid int4, refclassid oid, refobjid oid, deptype char"},
	{826, "pg_default_acl", "oid oid, defaclrole oid, defaclnamespace oid, defaclobjtype char, defaclacl aclitem[]"},
	{2964, "pg_db_role_setting", "setdatabase oid, setrole oid, setconfig text[]"},
	{1417, "pg_foreign_server", "oid oid, srvname name, srvowner oid, srvfdw oid, srvtype text, srvversion text, srvacl aclitem[], srvoptions text[]"},
	{2328, "pg_foreign_data_wrapper", "oid oid, fdwname name, fdwowner oid, fdwhandler oid, fdwvalidator oid, fdwacl aclitem[], fdwoptions text[]"},
	{3118, "pg_foreign_table", "ftrelid oid, ftserver oid, ftoptions text[]"},
	{1418, "pg_user_mapping", "oid oid, umuser oid, umserver oid, umoptions text[]"},
	{3350, "pg_partitioned_table", "partrelid oid, partstrat char, partnatts int2, partdefid oid, partattrs int2vector, partclass oidvector, partcollation oidvector, partexprs text"},
	{3466, "pg_event_trigger", "oid oid, evtname name, evtevent name, evtowner oid, evtfoid oid, evtenabled char, evttags text[]"},
	{6100, "pg_subscription", "oid oid, subdbid oid, subname name, subowner oid, subenabled bool"},
	{12013, "pg_cursors", "name text, statement text, is_holdable bool, is_binary bool, is_scrollable bool, creation_time timestamptz"},
	{12014, "pg_prepared_statements", "name text, statement text, prepare_time timestamptz, parameter_types text[], from_sql bool"},
	{12015, "pg_tables", `schemaname name, tablename name, tableowner name, tablespace name, hasindexes bool, hasrules bool, hastriggers bool,
		rowsecurity bool`},
	{12016, "pg_views", "schemaname name, viewname name, viewowner name, definition text"},
	{12017, "pg_matviews", "schemaname name, matviewname name, matviewowner name, tablespace name, hasindexes bool, ispopulated bool, definition text"},
	{12018, "pg_indexes", "schemaname name, tablename name, indexname name, tablespace name, indexdef text"},
	{12019, "pg_timezone_names", "name text, abbrev text, utc_offset interval, is_dst bool"},
}

// infoRelations are information_schema's, in PostgreSQL's types.
var infoRelations = []relation{
	{12101, "schemata", `catalog_name name, schema_name name, schema_owner name, default_character_set_catalog name,
		default_character_set_schema name, default_character_set_name name, sql_path varchar`},
	{12102, "tables", `table_catalog name, table_schema name, table_name name, table_type varchar, self_referencing_column_name name,
		reference_generation varchar, user_defined_type_catalog name, user_defined_type_schema name, user_defined_type_name name,
		is_insertable_into varchar, is_typed varchar, commit_action varchar`},
	{12103, "columns", `table_catalog name, table_schema name, table_name name, column_name name, ordinal_position int4,
		column_default varchar, is_nullable varchar, data_type varchar, character_maximum_length int4, character_octet_length int4,
		numeric_precision int4, numeric_precision_radix int4, numeric_scale int4, datetime_precision int4, interval_type varchar,
		interval_precision int4, character_set_catalog name, character_set_schema name, character_set_name name, collation_catalog name,
		collation_schema name, collation_name name, domain_catalog name, domain_schema name, domain_name name, udt_catalog name,
		udt_schema name, udt_name name, scope_catalog name, scope_schema name, scope_name name, maximum_cardinality int4,
		dtd_identifier name, is_self_referencing varchar, is_identity varchar, identity_generation varchar, identity_start varchar,
		identity_increment varchar, identity_maximum varchar, identity_minimum varchar, identity_cycle varchar, is_generated varchar,
		generation_expression varchar, is_updatable varchar`},
	{12104, "views", `table_catalog name, table_schema name, table_name name, view_definition varchar, check_option varchar,
		is_updatable varchar, is_insertable_into varchar, is_trigger_updatable varchar, is_trigger_deletable varchar,
		is_trigger_insertable_into varchar`},
	{12105, "table_constraints", `constraint_catalog name, constraint_schema name, constraint_name name, table_catalog name,
		table_schema name, table_name name, constraint_type varchar, is_deferrable varchar, initially_deferred varchar, enforced varchar`},
	{12106, "key_column_usage", `constraint_catalog name, constraint_schema name, constraint_name name, table_catalog name,
		table_schema name, table_name name, column_name name, ordinal_position int4, position_in_unique_constraint int4`},
	{12107, "referential_constraints", `constraint_catalog name, constraint_schema name, constraint_name name,
		unique_constraint_catalog name, unique_constraint_schema name, unique_constraint_name name, match_option varchar,
		update_rule varchar, delete_rule varchar`},
	{12108, "constraint_column_usage", `table_catalog name, table_schema name, table_name name, column_name name,
		constraint_catalog name, constraint_schema name, constraint_name name`},
	{12109, "table_privileges", `grantor name, grantee name, table_catalog name, table_schema name, table_name name,
		privilege_type varchar, is_grantable varchar, with_hierarchy varchar`},
	{12110, "column_privileges", `grantor name, grantee name, table_catalog name, table_schema name, table_name name,
		column_name name, privilege_type varchar, is_grantable varchar`},
	{12111, "routines", `specific_catalog name, specific_schema name, specific_name name, routine_catalog name, routine_schema name,
		routine_name name, routine_type varchar, data_type varchar`},
	{12112, "sequences", "sequence_catalog name, sequence_schema name, sequence_name name, data_type varchar"},
	{12113, "triggers", "trigger_catalog name, trigger_schema name, trigger_name name, event_manipulation varchar, event_object_schema name, event_object_table name"},
	{12114, "character_sets", "character_set_catalog name, character_set_schema name, character_set_name name, character_repertoire name, form_of_use name"},
	{12115, "element_types", "object_catalog name, object_schema name, object_name name, object_type varchar, collection_type_identifier name, data_type varchar"},
}

// columnsOf takes a relation's columns apart.
func (r *relation) columnsOf() []Column {
	var out []Column
	for part := range strings.SplitSeq(r.cols, ",") {
		name, kind, _ := strings.Cut(strings.TrimSpace(part), " ")
		base, isArray := strings.CutSuffix(kind, "[]")
		t := typeByName[base]
		oid := t.oid
		if isArray {
			oid = t.array
		}
		out = append(out, Column{Name: name, OID: oid, Mod: -1})
	}
	return out
}

// engineType is the engine's type of a system column.
func engineType(oid uint32) string {
	for _, t := range types {
		if t.array == oid && oid != 0 {
			return casts[t.name] + "[]"
		}
	}
	return casts[typeByOID[oid].name]
}

// ownPG are the names of schema pg_catalog's relations, which clients write with or without it.
var ownPG = func() map[string]bool {
	m := map[string]bool{}
	for _, r := range systemRelations {
		m[r.name] = true
	}
	return m
}()
