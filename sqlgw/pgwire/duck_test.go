//go:build cgo

package pgwire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/tickwire/tickwire/sqlgw/catalog"
	"github.com/tickwire/tickwire/sqlgw/duck"
)

// testTables are what the tests over the real engine ask.
var testTables = []catalog.Table{
	{Name: "ticks", Comment: "trades and quotes", Columns: []catalog.Column{
		{Name: "ts", OID: 1184, Mod: -1, NotNull: true, Comment: "exchange's time"},
		{Name: "ts_ns", OID: 20, Mod: -1, NotNull: true},
		{Name: "symbol", OID: 25, Mod: -1},
		{Name: "price", OID: 1700, Mod: catalog.Numeric(18, 9), Comment: "of the trade"},
		{Name: "size", OID: 20, Mod: -1, NotNull: true},
		{Name: "flags", OID: 21, Mod: -1, NotNull: true}}},
}

// serveDuck runs a server over DuckDB with a table of 1,000 ticks and a view.
func serveDuck(t testing.TB, o Options) (*Server, string) {
	t.Helper()
	init := []string{
		`CREATE TABLE public.ticks AS SELECT make_timestamptz(1767623400000000 + i) AS ts, 1767623400000000000 + i * 1000 + 789 AS ts_ns,
			CASE i % 3 WHEN 0 THEN 'AAPL' WHEN 1 THEN 'MSFT' END AS symbol, (100 + i / 1000.0)::DECIMAL(18,9) AS price, i::BIGINT AS size,
			(i % 100)::SMALLINT AS flags FROM range(1000) r(i)`,
		`CREATE VIEW main.ticks AS SELECT * FROM public.ticks`,
		`CREATE VIEW public.market_data AS SELECT ts AS timestamp, symbol, price, size AS volume FROM public.ticks`,
		`CREATE VIEW main.market_data AS SELECT * FROM public.market_data`,
	}
	statements, err := catalog.Build(catalog.Options{Tables: testTables, Database: "tickwire", Settings: Parameters(o)})
	if err != nil {
		t.Fatal(err)
	}
	e, err := duck.Open(duck.Options{Init: append(init, statements...), Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return serve(t, e, o)
}

func connect(t *testing.T, addr, more string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(t.Context(), "postgres://trader@"+addr+"/tickwire?sslmode=disable"+more)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

// psql runs the real client.
func psql(t *testing.T, addr string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("psql")
	if err != nil {
		skipOrFail(t, "psql is not installed")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	host, port, _ := strings.Cut(addr, ":")
	out, _ := exec.CommandContext(ctx, path, append([]string{"-X", "-h", host, "-p", port, "-U", "trader", "-d", "tickwire"}, args...)...).CombinedOutput()
	return string(out)
}

func TestPsql(t *testing.T) {
	_, addr := serveDuck(t, Options{})
	for _, c := range []struct{ name, args, want string }{
		{"list", `\d`, "            List of relations\n Schema |    Name     | Type  |  Owner   \n--------+-------------+-------+----------\n public | market_data | view  | tickwire\n public | ticks       | table | tickwire\n(2 rows)\n\n"},
		{"table", `\d ticks`, `                        Table "public.ticks"
 Column |           Type           | Collation | Nullable | Default 
--------+--------------------------+-----------+----------+---------
 ts     | timestamp with time zone |           | not null | 
 ts_ns  | bigint                   |           | not null | 
 symbol | text                     |           |          | 
 price  | numeric(18,9)            |           |          | 
 size   | bigint                   |           | not null | 
 flags  | smallint                 |           | not null | 

`},
		{"view", `\d market_data`, `                       View "public.market_data"
  Column   |           Type           | Collation | Nullable | Default 
-----------+--------------------------+-----------+----------+---------
 timestamp | timestamp with time zone |           |          | 
 symbol    | text                     |           |          | 
 price     | numeric(18,9)            |           |          | 
 volume    | bigint                   |           |          | 

`},
		{"views", `\dv`, "           List of relations\n Schema |    Name     | Type |  Owner   \n--------+-------------+------+----------\n public | market_data | view | tickwire\n(1 row)\n\n"},
		{"schemas", `\dn`, "  List of schemas\n  Name  |  Owner   \n--------+----------\n public | tickwire\n(1 row)\n\n"},
		{"no such table", `\d nowhere`, "Did not find any relation named \"nowhere\".\n"},
		{"names", `select count(*), 1+1, price::float8, max(size) m, 'x'::text from ticks where size=1 group by price`, " count | ?column? |  price  | m | text \n-------+----------+---------+---+------\n     1 |        2 | 100.001 | 1 | x\n(1 row)\n\n"},
		{"caret", `select symbol, nowhere from ticks`, "ERROR:  .*\nLINE 1: select symbol, nowhere from ticks\n                       \\^"},
		{"caret behind a rewriting", `select version() is null, nowhere from ticks`, "ERROR:  .*\nLINE 1: select version() is null, nowhere from ticks\n                                  \\^"},
		{"syntax", "select\n 1 +\n from x y z", "ERROR:  syntax error.*\nLINE 3: "},
		{"division", `select 5/2, 'AAPL' ~ 'AP', 'x'::text collate "default"`, " ?column? | ?column? | text \n----------+----------+------\n        2 | t        | x\n(1 row)\n\n"},
	} {
		got := psql(t, addr, "-c", c.args)
		if pattern := c.want; strings.HasPrefix(pattern, "ERROR") {
			for line := range strings.SplitSeq(pattern, "\n") {
				line = strings.ReplaceAll(strings.TrimSuffix(line, ".*"), `\^`, "^")
				if !strings.Contains(got, line) {
					t.Errorf("%s: got\n%s\nwithout %q", c.name, got, line)
				}
			}
		} else if got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
	for _, c := range []string{`\dt+`, `\d+ ticks`, `\d+ market_data`, `\l`, `\l+`, `\du`, `\df`, `\df lower`, `\dT`, `\di`, `\dn+`, `\dp`, `\dx`, `\db`, `\conninfo`, `\d pg_class`,
		`\dt pg_catalog.*`, `\sv market_data`, `\dconfig`, `\dO`, `\dE`, `\ds`, `\dy`, `\do`, `\dC`, `\dD`, `\dc`, `\des`, `\dRp`} {
		if got := psql(t, addr, "-c", c); strings.Contains(got, "ERROR") || got == "" {
			t.Errorf("%s: %s", c, got)
		}
	}
	got := psql(t, addr, "-v", "FETCH_COUNT=100", "-At", "-c", "select size from ticks order by size")
	if lines := strings.Fields(got); len(lines) != 1000 || lines[999] != "999" {
		t.Errorf("FETCH_COUNT: %d lines, %.300s", len(lines), got)
	}
	got = psql(t, addr, "-c", "set statement_timeout = 100", "-c", "select count(*) from range(100000000000) a", "-c", "select 7 as after")
	if !strings.Contains(got, "canceling statement due to statement timeout") || !strings.Contains(got, "after") {
		t.Errorf("statement_timeout: %s", got)
	}
	got = psql(t, addr, "-c", `copy ticks to stdout`, "-c", `begin`, "-c", "select nowhere", "-c", "select 1", "-c", "rollback")
	if !strings.Contains(got, "COPY is not supported") || !strings.Contains(got, "current transaction is aborted") {
		t.Errorf("%s", got)
	}
}

func TestPgx(t *testing.T) {
	_, addr := serveDuck(t, Options{})
	c := connect(t, addr, "")
	ctx := t.Context()
	var n int64
	var price pgtype.Numeric
	var ts time.Time
	var symbol string
	if err := c.QueryRow(ctx, "select count(*) from ticks where symbol = $1 and size < $2", "AAPL", 300).Scan(&n); err != nil || n != 100 {
		t.Errorf("count: %d, %v", n, err)
	}
	if err := c.QueryRow(ctx, "select ts, symbol, price, size from public.ticks where size = $1", 4).Scan(&ts, &symbol, &price, &n); err != nil {
		t.Error(err)
	} else if v, _ := price.Value(); ts.UnixMicro() != 1767623400000004 || symbol != "MSFT" || v != "100.004000000" || n != 4 {
		t.Error(ts, symbol, v, n)
	}
	if err := c.QueryRow(ctx, "select count(*) from ticks where ts = $1", time.UnixMicro(1767623400000004)).Scan(&n); err != nil || n != 1 {
		t.Errorf("by time: %d, %v", n, err)
	}
	if err := c.Ping(ctx); err != nil {
		t.Error(err)
	}
	// Arrays find the type of what they are compared with.
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
		for _, q := range []struct {
			where string
			arg   any
			want  int64
		}{{"size = any($1)", []int64{1, 2, 5000}, 2}, {"symbol = any($1)", []string{"AAPL", "it's", `a"b\c`}, 334}, {"price = any($1)", []float64{100.004, 100.5}, 2},
			{"size = any($1)", []int64{}, 0}, {"ts = any($1)", []time.Time{time.UnixMicro(1767623400000004)}, 1}} {
			if err := c.QueryRow(ctx, "select count(*) from ticks where "+q.where, mode, q.arg).Scan(&n); err != nil || n != q.want {
				t.Errorf("%v %s: %d, want %d; %v", mode, q.where, n, q.want, err)
			}
		}
	}
	// Pipelining: one round trip, an error in the middle.
	b := &pgx.Batch{}
	b.Queue("select 1")
	b.Queue("select size from ticks where size = $1", 5)
	r := c.SendBatch(ctx, b)
	for _, want := range []int64{1, 5} {
		if err := r.QueryRow().Scan(&n); err != nil || n != want {
			t.Errorf("batch: %d, %v", n, err)
		}
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	var e *pgconn.PgError
	if _, err := c.Exec(ctx, "select * from nowhere"); err == nil || !asPgError(err, &e) || e.Code != "42P01" || e.Position != 15 {
		t.Errorf("%v %+v", err, e)
	}
	// A context that ends cancels the statement; pgx then gives the connection up.
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	from := time.Now()
	if _, err := c.Exec(short, "select count(*) from range(100000000000) a"); err == nil {
		t.Error("an endless statement ended")
	}
	if d := time.Since(from); d > 3*time.Second {
		t.Errorf("cancelling took %v", d)
	}
	c = connect(t, addr, "")
	tx, err := c.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, "declare x cursor for select size from ticks order by size"); err != nil {
		t.Fatal(err)
	}
	rows, _ := tx.Query(ctx, "fetch 3 from x")
	got, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil || !reflect.DeepEqual(got, []int64{0, 1, 2}) {
		t.Error(got, err)
	}
	tx.Rollback(ctx)
	var typtype string
	var oid uint32
	if err := c.QueryRow(ctx, "select typtype::text, oid::int8 from pg_type where oid = $1::text::regtype::oid", "timestamptz").Scan(&typtype, &oid); err != nil || typtype != "b" || oid != 1184 {
		t.Errorf("type: %s %d, %v", typtype, oid, err)
	}
}

func asPgError(err error, to **pgconn.PgError) bool { return errors.As(err, to) }

// Text and binary of the engine's values are the same values, whatever the type.
func TestDuckFormats(t *testing.T) {
	_, addr := serveDuck(t, Options{})
	c := connect(t, addr, "")
	for _, expr := range []string{"true", "5::smallint", "-7::int", "9007199254740993::bigint", "18446744073709551615::ubigint", "1.5::real", "0.1::double",
		"100.01::decimal(18,9)", "-0.000000001::decimal(18,9)", "sum(size)", "avg(size)", "'x'", "''", "'\\x01\\xff'::blob", "date '2026-01-05'", "time '09:30:00.000001'",
		"timestamp '2026-01-05 14:30:00.123456'", "timestamptz '2026-01-05 14:30:00.123456+00'", "interval '1 month -3 days 04:05:06.7'", "NULL::int",
		"'1969-12-31 23:59:59.999999'::timestamp", "170141183460469231731687303715884105727::hugeint", "'b0b1b2b3-0000-4000-8000-000000000001'::uuid", "'infinity'::timestamp"} {
		compareFormats(t, c, "select "+expr+" as v from ticks")
	}
}

func TestKindsFormats(t *testing.T) {
	_, addr := serve(t, &fixture{}, Options{})
	c := connect(t, addr, "")
	compareFormats(t, c, "select kinds")
}

// compareFormats reads a result as text and as binary, decodes both with pgx, and compares.
func compareFormats(t *testing.T, c *pgx.Conn, sql string) {
	t.Helper()
	text := c.PgConn().ExecParams(t.Context(), sql, nil, nil, nil, nil).Read()
	bin := c.PgConn().ExecParams(t.Context(), sql, nil, nil, nil, []int16{1}).Read()
	if text.Err != nil || bin.Err != nil {
		t.Errorf("%s: %v, %v", sql, text.Err, bin.Err)
		return
	}
	m := c.TypeMap()
	for r := range text.Rows {
		for i, f := range text.FieldDescriptions {
			a, b := text.Rows[r][i], bin.Rows[r][i]
			if (a == nil) != (b == nil) {
				t.Errorf("%s row %d %s: NULL in one format only", sql, r, f.Name)
				continue
			}
			if a == nil {
				continue
			}
			ty, ok := m.TypeForOID(f.DataTypeOID)
			if !ok {
				t.Errorf("%s: type %d", sql, f.DataTypeOID)
				continue
			}
			va, err1 := ty.Codec.DecodeValue(m, f.DataTypeOID, 0, a)
			vb, err2 := ty.Codec.DecodeValue(m, f.DataTypeOID, 1, b)
			if err1 != nil || err2 != nil {
				t.Errorf("%s row %d %s: %q %v, %x %v", sql, r, f.Name, a, err1, b, err2)
				continue
			}
			if !sameValue(va, vb) {
				t.Errorf("%s row %d %s: text %s is %v, binary %x is %v", sql, r, f.Name, a, va, b, vb)
			}
		}
	}
}

func sameValue(a, b any) bool {
	switch x := a.(type) {
	case time.Time:
		y, ok := b.(time.Time)
		return ok && x.Equal(y)
	case pgtype.Numeric:
		y, ok := b.(pgtype.Numeric)
		vx, _ := x.Value()
		vy, _ := y.Value()
		return ok && trimZeros(fmt.Sprint(vx)) == trimZeros(fmt.Sprint(vy))
	}
	return reflect.DeepEqual(a, b)
}

func trimZeros(s string) string {
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// Five million rows of the real engine pass through without being held.
func TestLargeResult(t *testing.T) {
	_, addr := serveDuck(t, Options{})
	c := connect(t, addr, "")
	before := resident(t)
	rows, err := c.Query(t.Context(), "select i, i::varchar as t, (i / 7)::decimal(18,9) as d from range(5000000) r(i)", pgx.QueryResultFormats{1})
	if err != nil {
		t.Fatal(err)
	}
	n, sum, peak := 0, int64(0), before
	for rows.Next() {
		b := rows.RawValues()[0]
		sum += int64(binary.BigEndian.Uint64(b))
		if n++; n%500_000 == 0 {
			peak = max(peak, resident(t))
		}
	}
	if rows.Err() != nil || n != 5_000_000 || sum != 5_000_000*4_999_999/2 {
		t.Errorf("%d rows, sum %d, %v", n, sum, rows.Err())
	}
	if peak > before+200<<20 {
		t.Errorf("resident memory grew from %d to %d MiB", before>>20, peak>>20)
	}
}

// resident memory of this process, in bytes; 0 where there is no telling.
func resident(t *testing.T) int64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, pages int64
	fmt.Sscan(string(b), &size, &pages)
	return pages * int64(os.Getpagesize())
}

func TestManyClientsOfDuck(t *testing.T) {
	_, addr := serveDuck(t, Options{})
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			c, err := pgx.Connect(t.Context(), "postgres://trader@"+addr+"/tickwire?sslmode=disable")
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close(context.Background())
			for k := range 5 {
				var n int64
				if err := c.QueryRow(t.Context(), "select size from ticks where size = $1", i*10+k).Scan(&n); err != nil || n != int64(i*10+k) {
					t.Errorf("client %d: %d, %v", i, n, err)
				}
				if _, err := c.Exec(t.Context(), "select nowhere"); err == nil {
					t.Error("a bad statement passed")
				}
			}
		})
	}
	all.Wait()
}

func TestScram(t *testing.T) {
	v := derive("pencil", []byte("0123456789abcdef"), 4096)
	stored := fmt.Sprintf("SCRAM-SHA-256$4096:%s$%s:%s", b64(v.salt), b64(v.storedKey), b64(v.serverKey))
	_, addr := serve(t, &fixture{}, Options{Users: []User{{"trader", "s3crèt"}, {"risk", stored}}})
	for _, c := range []struct{ user, password, code string }{{"trader", "s3cr%C3%A8t", ""}, {"risk", "pencil", ""}, {"trader", "wrong", "28P01"}, {"nobody", "x", "28P01"}} {
		conn, err := pgx.Connect(t.Context(), fmt.Sprintf("postgres://%s:%s@%s/d?sslmode=disable", c.user, c.password, addr))
		var e *pgconn.PgError
		switch {
		case err == nil:
			conn.Close(t.Context())
			if c.code != "" {
				t.Errorf("%s got in with %s", c.user, c.password)
			}
		case c.code == "" || !asPgError(err, &e) || e.Code != c.code:
			t.Errorf("%s: %v", c.user, err)
		}
	}
}

func TestPsycopg2(t *testing.T) {
	python := ""
	for _, p := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(p, "-c", "import psycopg2").Run() == nil {
			python = p
			break
		}
	}
	if python == "" {
		skipOrFail(t, "python3 has no psycopg2")
	}
	_, addr := serveDuck(t, Options{})
	host, port, _ := strings.Cut(addr, ":")
	script := `
import psycopg2, datetime, decimal, sys
c = psycopg2.connect(host=sys.argv[1], port=sys.argv[2], user="trader", dbname="tickwire")
k = c.cursor()
k.execute("select ts, symbol, price, size from ticks where size = %s and symbol = %s", (3, "AAPL"))
r = k.fetchone()
assert r[0].microsecond == 3 and r[1] == "AAPL" and r[2] == decimal.Decimal("100.003") and r[3] == 3, r
assert [d.name for d in k.description] == ["ts", "symbol", "price", "size"], k.description
try:
    k.execute("select nowhere from ticks"); assert False
except psycopg2.Error as e:
    assert e.pgcode == "42703", e.pgcode
try:
    k.execute("select 1"); assert False
except psycopg2.Error as e:
    assert e.pgcode == "25P02", e.pgcode
c.rollback()
n = c.cursor("named"); n.itersize = 100
n.execute("select size from ticks order by size")
assert [x[0] for x in n] == list(range(1000))
c.commit()
c.set_session(isolation_level="READ COMMITTED", readonly=True, autocommit=True)
k.execute("select count(*) from information_schema.columns where table_name = 'ticks'"); assert k.fetchone() == (6,)
k.execute("select 'ticks'::regclass::oid, current_database(), version()"); print(k.fetchone())
k.execute("set timezone to 'America/New_York'"); k.execute("select ts from ticks limit 1"); print(k.fetchone())
print("good")
`
	out, err := exec.CommandContext(t.Context(), python, "-c", script, host, port).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "good") {
		t.Errorf("%v: %s", err, out)
	}
}
