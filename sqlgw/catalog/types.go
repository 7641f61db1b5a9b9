package catalog

// typ is a row of pg_type. The oids are those of PostgreSQL 15 (pg_type.dat).
type typ struct {
	oid      uint32
	name     string
	format   string // as format_type writes it
	length   int16
	category byte
	array    uint32
	pseudo   bool
}

var types = []typ{
	{16, "bool", "boolean", 1, 'B', 1000, false},
	{17, "bytea", "bytea", -1, 'U', 1001, false},
	{18, "char", `"char"`, 1, 'Z', 1002, false},
	{19, "name", "name", 64, 'S', 1003, false},
	{20, "int8", "bigint", 8, 'N', 1016, false},
	{21, "int2", "smallint", 2, 'N', 1005, false},
	{22, "int2vector", "int2vector", -1, 'A', 1006, false},
	{23, "int4", "integer", 4, 'N', 1007, false},
	{24, "regproc", "regproc", 4, 'N', 1008, false},
	{25, "text", "text", -1, 'S', 1009, false},
	{26, "oid", "oid", 4, 'N', 1028, false},
	{27, "tid", "tid", 6, 'U', 1010, false},
	{28, "xid", "xid", 4, 'U', 1011, false},
	{29, "cid", "cid", 4, 'U', 1012, false},
	{30, "oidvector", "oidvector", -1, 'A', 1013, false},
	{114, "json", "json", -1, 'U', 199, false},
	{142, "xml", "xml", -1, 'U', 143, false},
	{700, "float4", "real", 4, 'N', 1021, false},
	{701, "float8", "double precision", 8, 'N', 1022, false},
	{705, "unknown", "unknown", -2, 'X', 0, true},
	{790, "money", "money", 8, 'N', 791, false},
	{829, "macaddr", "macaddr", 6, 'U', 1040, false},
	{650, "cidr", "cidr", -1, 'I', 651, false},
	{869, "inet", "inet", -1, 'I', 1041, false},
	{1033, "aclitem", "aclitem", 12, 'U', 1034, false},
	{1042, "bpchar", "character", -1, 'S', 1014, false},
	{1043, "varchar", "character varying", -1, 'S', 1015, false},
	{1082, "date", "date", 4, 'D', 1182, false},
	{1083, "time", "time without time zone", 8, 'D', 1183, false},
	{1114, "timestamp", "timestamp without time zone", 8, 'D', 1115, false},
	{1184, "timestamptz", "timestamp with time zone", 8, 'D', 1185, false},
	{1186, "interval", "interval", 16, 'T', 1187, false},
	{1266, "timetz", "time with time zone", 12, 'D', 1270, false},
	{1560, "bit", "bit", -1, 'V', 1561, false},
	{1562, "varbit", "bit varying", -1, 'V', 1563, false},
	{1700, "numeric", "numeric", -1, 'N', 1231, false},
	{1790, "refcursor", "refcursor", -1, 'U', 2201, false},
	{2205, "regclass", "regclass", 4, 'N', 2210, false},
	{2206, "regtype", "regtype", 4, 'N', 2211, false},
	{2249, "record", "record", -1, 'P', 2287, true},
	{2275, "cstring", "cstring", -2, 'P', 1263, true},
	{2276, "any", `"any"`, 4, 'P', 0, true},
	{2277, "anyarray", "anyarray", -1, 'P', 0, true},
	{2278, "void", "void", 4, 'P', 0, true},
	{2283, "anyelement", "anyelement", 4, 'P', 0, true},
	{2950, "uuid", "uuid", 16, 'U', 2951, false},
	{3802, "jsonb", "jsonb", -1, 'U', 3807, false},
}

// casts are names of types as clients write them, in the engine's words. Those of the reg family are no casts but look
// names up, see cast.
var casts = map[string]string{
	"name": "varchar", "text": "varchar", "bpchar": "varchar", "char": "varchar", "cstring": "varchar", "unknown": "varchar",
	"varchar": "varchar", "bool": "boolean", "int2": "smallint", "int4": "integer", "int8": "bigint", "float4": "real",
	"float8": "double", "oid": "bigint", "xid": "bigint", "bytea": "blob", "timestamptz": "timestamptz", "timestamp": "timestamp",
	"numeric": "numeric", "decimal": "decimal", "date": "date", "time": "time", "interval": "interval", "uuid": "uuid", "json": "json",
	"jsonb": "json", "int2vector": "smallint[]", "oidvector": "bigint[]", "integer": "integer", "bigint": "bigint", "smallint": "smallint",
	"boolean": "boolean", "real": "real", "aclitem": "varchar",
}

// changedCasts are those of casts that the engine does not know, or takes for something else.
var changedCasts = map[string]bool{"name": true, "unknown": true, "cstring": true, "xid": true, "jsonb": true, "int2vector": true,
	"oidvector": true, "aclitem": true, "oid": true}

var typeByName = func() map[string]*typ {
	m := map[string]*typ{}
	for i := range types {
		m[types[i].name] = &types[i]
	}
	return m
}()

var typeByOID = func() map[uint32]*typ {
	m := map[uint32]*typ{}
	for i := range types {
		m[types[i].oid] = &types[i]
	}
	return m
}()
