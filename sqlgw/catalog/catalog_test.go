package catalog

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func session() *Session {
	return &Session{User: "trader", Database: "tickwire", PID: 7, Version: "15.4", Started: time.Unix(0, 0),
		Setting: func(name string) (string, bool) {
			return map[string]string{"timezone": "UTC"}[name], name == "timezone"
		}}
}

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []string
	}{
		{"", nil},
		{" ;; -- a;b\n/* ; /* ; */ */", nil},
		{"select 1; select 2", []string{"select 1", "select 2"}},
		{`select ';', ";", $$;$$, $a$;$$;$a$, E'\';', 'a'';b'; x`, []string{`select ';', ";", $$;$$, $a$;$$;$a$, E'\';', 'a'';b'`, "x"}},
		{"select 'unended; x", []string{"select 'unended; x"}},
		{"select 1 -- c;\n + 1 /* ; */ ; ", []string{"select 1 -- c;\n + 1"}},
	} {
		got := Split(c.in)
		if len(got) != len(c.want) {
			t.Errorf("%q: %+v", c.in, got)
			continue
		}
		for i, p := range got {
			if p.SQL != c.want[i] || c.in[p.Offset:p.Offset+len(p.SQL)] != p.SQL {
				t.Errorf("%q: %q at %d, want %q", c.in, p.SQL, p.Offset, c.want[i])
			}
		}
	}
}

func TestRewrite(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"select symbol, Price FROM Ticks", "select symbol, price from ticks"},
		{"select 'pg_catalog.version()' as a -- pg_class", "select 'pg_catalog.version()' as a -- pg_class"},
		{"select * from pg_catalog.pg_class c, pg_type where pg_type.oid = 1", "select * from tw_pg.pg_class c, tw_pg.pg_type where pg_type.oid = 1"},
		{"select * from public.ticks where public.ticks.size > 0", "select * from ticks where ticks.size > 0"},
		{`select * from "tickwire"."public"."ticks"`, `select * from "ticks"`},
		{"select table_name from information_schema.tables", "select table_name from tw_info.tables"},
		{"select version()", "select 'PostgreSQL 15.4 on tickwire, compiled by go, 64-bit' AS \"version\""},
		{"select pg_catalog.current_database() d, current_user", "select 'tickwire' d, 'trader' AS \"current_user\""},
		{"select u.user from u", "select u.user from u"},
		{"select current_setting('TimeZone'), current_setting('none', true)", "select 'UTC' AS \"current_setting\", NULL::VARCHAR AS \"current_setting\""},
		{"select x ~ 'a.b', y !~* 'c'", "select x ~ '(?s).*(?:a.b).*' AS \"?column?\", y !~ '(?is).*(?:c).*' AS \"?column?\""},
		{"select x operator(pg_catalog.~) '^(a)$' collate pg_catalog.default as z", "select x ~ '(?s).*(?:^(a)$).*' as z"},
		{"select x ~ $1 as z", "select x ~ ('(?s).*(?:' || ( $1) || ').*') as z"},
		{"select 'a'::regclass as z", "select tw_pg.regclass_oid('a') as z"},
		{"select c.oid::pg_catalog.regclass::pg_catalog.text as z", "select tw_pg.regclass_name(c.oid)::varchar as z"},
		{"select $1::text::regtype::oid as z", "select tw_pg.regtype_oid($1::text)::bigint as z"},
		{"select (a || b)::regtype as z", "select tw_pg.regtype_name((a || b)) as z"},
		{"select f(a, (b))[1]::regtype as z", "select tw_pg.regtype_name(f(a, (b))[1]) as z"},
		{"select case when a then 1 end::regclass as z", "select tw_pg.regclass_name(case when a then 1 end) as z"},
		{"select cast(a as regclass) as z, cast(1 as numeric) as y", "select tw_pg.regclass_name(a ) as z, cast(1 as DECIMAL(38,9)) as y"},
		{"select 1::numeric, 1::numeric(5,2)", "select 1::DECIMAL(38,9) AS \"numeric\", 1::numeric(5,2) AS \"numeric\""},
		{"select 'r'::\"char\" = a.b", "select 'r'::VARCHAR = a.b AS \"?column?\""},
		{"select 1 where a.n = any(i.k) and 2 = any (select 1)", "select 1 AS \"?column?\" where tw_pg.any_eq(a.n ,i.k) and 2 = any (select 1)"},
		{"select 1 as z where a = any($1) and b = any ( '{1,2}' ) and c = any('{}')", "select 1 as z where a in (select unnest($1::varchar[])) and b in ('1', '2' ) and c in (select null where false)"},
		{"select '{a,NULL}'::text[] as z", "select ['a', NULL]::text[] as z"},
		{"select count(*), max(a) over (order by b), a + 1, a.b, -a, (select max(x) from y), case a when 1 then 2 end, a::float8, a[1], true, null, date '2026-01-01', count(*) n, coalesce(a,1) as c from t",
			"select count(*) AS \"count\", max(a) over (order by b) AS \"max\", a + 1 AS \"?column?\", a.b, -a AS \"?column?\", (select max(x) from y) AS \"max\", case a when 1 then 2 end AS \"case\", a::float8 AS \"a\", a[1] AS \"a\", true AS \"bool\", null AS \"?column?\", date '2026-01-01' AS \"date\", count(*) n, coalesce(a,1) as c from t"},
		{"with a as (select 1) select count(*) from a", "with a as (select 1) select count(*) AS \"count\" from a"},
		{"select a is distinct from b from t", "select a is distinct from b AS \"?column?\" from t"},
		{"select * from generate_series(1, 3) s where s > 1", "select * from generate_series(1, 3) s(\"s\") where s > 1"},
		{"select 1 + from t", "select 1 + from t"},
		{"select * from current_schema()", "select * from (SELECT 'public' AS \"current_schema\") AS \"current_schema\""},
		{"select set_config('a.b', 'c', false)", "select 'c' AS \"set_config\""},
	} {
		r, err := Rewrite(c.in, session())
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
		} else if r.SQL != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.in, r.SQL, c.want)
		}
	}
	r, err := Rewrite("select set_config('a.b', 'c', true)", session())
	if err != nil || len(r.Sets) != 1 || r.Sets[0] != (Set{"a.b", "c", true}) {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := Rewrite("select 1, current_setting('none')", session()); err == nil || err.Error() != `unrecognized configuration parameter "none"` {
		t.Error(err)
	}
}

// Each character that a rewriting leaves alone leads back to itself.
func TestPosition(t *testing.T) {
	const in = "select 'ü', version(), 'x'::regclass, public.ticks.zz ~ 'p', nowhere from pg_class"
	r, err := Rewrite(in, session())
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"select", "ü", "ticks", "zz", "nowhere", "pg_class", "from"} {
		at := utf8.RuneCountInString(r.SQL[:strings.LastIndex(r.SQL, word)]) + 1
		want := utf8.RuneCountInString(in[:strings.LastIndex(in, word)]) + 1
		if got := r.Position(at); got != want {
			t.Errorf("%s: %d leads to %d, want %d, in %s", word, at, got, want, r.SQL)
		}
	}
	if got, want := r.Position(utf8.RuneCountInString(r.SQL[:strings.Index(r.SQL, "PostgreSQL")])+1), strings.Index(in, "version"); got != want {
		t.Errorf("within a replacement: %d, want %d", got, want)
	}
}

func FuzzRewrite(f *testing.F) {
	for _, s := range []string{"select 1", "select a::b::regclass[1] ~ ('x') from public.pg_class, f(x) s", "select cast(cast(x as regtype) as numeric), '{a}'::text[]",
		"case end::regclass", "::", "select ]::regtype)(", "with (", "select (((", "$a$", "e'\\", "select a = any(b) = any(c)", "collate pg_catalog", "operator(",
		"select x::numeric(1::numeric(", "select set_config('a','b',c), user, current_setting("} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		last := 0
		for _, tok := range Lex(s) {
			if tok.Start < last || tok.End <= tok.Start || tok.End > len(s) {
				t.Fatalf("token %+v behind %d", tok, last)
			}
			last = tok.End
		}
		for _, p := range Split(s) {
			if s[p.Offset:p.Offset+len(p.SQL)] != p.SQL {
				t.Fatalf("%+v", p)
			}
		}
		r, err := Rewrite(s, session())
		if err != nil {
			return
		}
		n := utf8.RuneCountInString(s)
		for _, p := range []int{1, 2, len(r.SQL) / 2, len(r.SQL), len(r.SQL) + 5} {
			if got := r.Position(p); p > 0 && len(r.edits) > 0 && (got < 1 || got > n+1) {
				t.Fatalf("position %d leads to %d of %d", p, got, n)
			}
		}
	})
}

func TestBuildRefuses(t *testing.T) {
	if _, err := Build(Options{Tables: []Table{{Name: "t", Columns: []Column{{Name: "c", OID: 99999}}}}}); err == nil {
		t.Error("a column of no type was taken")
	}
}
