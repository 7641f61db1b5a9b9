//go:build cgo

package duck

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/sqlgw"
	"github.com/tickwire/tickwire/sqlgw/format"
	"github.com/tickwire/tickwire/store"
	"github.com/tickwire/tickwire/tick"
)

const testDay = uint64(1_767_623_400_000_000_000) // 2026-01-05 14:30 UTC

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world is an engine over a store that follows real rings.
type world struct {
	e     *Engine
	s     *store.Store
	rings map[ringbuf.Kind]*ringbuf.Writer
}

const symbols = 5

// newWorld fills orders with n rows: order i is of symbol S(i mod 5), price i/100, every tenth without a price.
func newWorld(t testing.TB, n int) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{rings: map[ringbuf.Kind]*ringbuf.Writer{}}
	for _, k := range []ringbuf.Kind{ringbuf.KindMbo, ringbuf.KindTrades, ringbuf.KindMbp1, ringbuf.KindEvents, ringbuf.KindExt, ringbuf.KindMbp10} {
		ring, err := ringbuf.Create(ringbuf.Path(dir, "t", "f", "0", k), ringbuf.Options{Kind: k, Slots: 1 << 12, Dataset: "XNAS.ITCH"})
		must(t, err)
		t.Cleanup(func() { _ = ring.Close() })
		w.rings[k] = ring
	}
	inst, err := ringbuf.CreateInst(ringbuf.SidePath(dir, "t", "f", "0", ringbuf.ExtInst), 0, ringbuf.SideOptions{})
	must(t, err)
	t.Cleanup(func() { _ = inst.Close() })
	for i := range uint32(symbols) {
		d := tick.UndefDefinition
		d.Header = tick.Header{Length: 130, RType: tick.RTypeDefinition, PublisherID: 2, InstrumentID: i + 1}
		copy(d.RawSymbol[:], fmt.Sprintf("S%d", i))
		if i == symbols-1 {
			copy(d.RawSymbol[:], "A.LONG.SYMBOL.OF.OVER.12")
		}
		must(t, inst.Put(&d, 0))
	}
	w.s, err = store.Open(store.Options{RingDir: dir})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.s.Follow(ctx, store.FollowOptions{RingDir: dir}) }()
	w.e, err = Open(Options{Store: w.s, Threads: 2})
	must(t, err)
	t.Cleanup(func() {
		must(t, w.e.Close())
		cancel()
		must(t, <-done)
		must(t, w.s.Close())
	})
	batch := make([]tick.Mbo, 0, 1000)
	for i := 1; i <= n; i++ {
		r := tick.Mbo{
			Header:  tick.Header{Length: 14, RType: tick.RTypeMbo, PublisherID: 2, InstrumentID: uint32(i%symbols) + 1, TsEvent: testDay + uint64(i)*1000},
			OrderID: uint64(i), Price: int64(i) * 1e7, Size: uint32(i % 100), Flags: 128, Action: "AC"[i%2], Side: "BA"[i%2], TsRecv: testDay + uint64(i)*1000 + 7,
			Sequence: uint32(i),
		}
		if i%10 == 0 {
			r.Price = tick.UndefPrice
		}
		if batch = append(batch, r); len(batch) == cap(batch) || i == n {
			publish(w, ringbuf.KindMbo, batch)
			w.await(t, uint64(i))
			batch = batch[:0]
		}
	}
	return w
}

func publish[T any](w *world, k ringbuf.Kind, recs []T) {
	ringbuf.PublishSlice(w.rings[k], recs)
	w.rings[k].PublishHint()
	w.rings[k].Beat(ringbuf.MonotonicNow())
}

func (w *world) await(t testing.TB, rows uint64) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); w.s.Rows.Load() < rows; time.Sleep(50 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatalf("%d rows of %d", w.s.Rows.Load(), rows)
		}
	}
}

func (w *world) conn(t testing.TB) *Conn {
	t.Helper()
	c, err := w.e.connect()
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	return c
}

// ask gives a result as CSV without its header.
func ask(c *Conn, sql string, args ...any) (string, error) {
	ctx := context.Background()
	s, err := c.Prepare(ctx, sql, nil)
	if err != nil {
		return "", err
	}
	defer s.Close()
	rows, err := s.Query(ctx, args)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var out strings.Builder
	if _, err := format.Write(ctx, &out, "csv", rows); err != nil {
		return "", err
	}
	_, body, _ := strings.Cut(out.String(), "\n")
	return strings.TrimSuffix(body, "\n"), nil
}

func want(t *testing.T, c *Conn, sql, answer string, args ...any) {
	t.Helper()
	got, err := ask(c, sql, args...)
	if err != nil || got != answer {
		t.Errorf("%s\n got %q, %v\nwant %q", sql, got, err, answer)
	}
}

// TestAnswers: rows, NULLs, projections in any order, joins of a table with itself, views, parameters.
func TestAnswers(t *testing.T) {
	const n = 100_000
	w := newWorld(t, n)
	c := w.conn(t)
	sum := int64(n) * (n + 1) / 2
	want(t, c, "SELECT count(*) FROM orders", "100000")
	want(t, c, "SELECT count(*), sum(order_id), count(price), min(seq), max(seq), count(DISTINCT seq) FROM public.orders",
		fmt.Sprintf("100000,%d,90000,1,100000,100000", sum))
	want(t, c, "SELECT symbol, count(*), min(order_id) FROM orders GROUP BY symbol ORDER BY symbol",
		"A.LONG.SYMBOL.OF.OVER.12,20000,4\nS0,20000,5\nS1,20000,1\nS2,20000,2\nS3,20000,3")
	want(t, c, "SELECT venue, side, action, flags, price, size, ts, ts_ns, ts_recv_ns FROM orders WHERE order_id = 12345",
		"XNAS,A,C,128,123.450000000,45,2026-01-05 14:30:00.012345+00,1767623400012345000,1767623400012345007")
	want(t, c, "SELECT price, size FROM orders WHERE order_id = 20", ",20")
	want(t, c, "SELECT count(*) FROM orders a JOIN orders b ON a.order_id = b.order_id + 1 WHERE a.symbol = 'S1'", "19999")
	want(t, c, "SELECT order_id FROM orders WHERE symbol = $1 AND ts_ns >= $2 ORDER BY order_id LIMIT $3", "1001\n1006", "S1", int64(testDay)+1_000_000, int64(2))
	want(t, c, "SELECT order_id FROM orders WHERE order_id IN ($1, $2) ORDER BY 1 DESC", "9\n7", "7", int64(9))
	want(t, c, "SELECT count(*) FROM orders WHERE ts >= '2026-01-05T14:30:00.05Z' AND ts < '2026-01-05 14:30:00.06+00'", "10000")
	want(t, c, "SELECT avg(price)::DECIMAL(18,4), 5/2, sum(size) * price FROM orders WHERE order_id = 11 GROUP BY price", "0.1100,2,1.210000000")
	// Every pair of columns, in both orders: what is asked for is what comes.
	columns := []string{"order_id", "symbol", "price", "size", "side", "flags", "seq", "ts_ns", "venue", "sequence"}
	value := map[string]string{"order_id": "77", "symbol": "S2", "price": "0.770000000", "size": "77", "side": "A", "flags": "128", "seq": "77",
		"ts_ns": fmt.Sprint(testDay + 77000), "venue": "XNAS", "sequence": "77"}
	for _, a := range columns {
		for _, b := range columns {
			if a != b {
				want(t, c, fmt.Sprintf("SELECT %s, %s FROM orders WHERE seq = 77", a, b), value[a]+","+value[b])
			}
		}
	}
	if n := w.e.Scans.Load(); n != 0 {
		t.Errorf("%d scans are still held", n)
	}
}

// TestBars: open and close by arrival, prices exact, one bar a symbol and second.
func TestBars(t *testing.T) {
	w := newWorld(t, 0)
	c := w.conn(t)
	var recs []ringbuf.TradeSlot
	for i, px := range []int64{100, 103, 99, 101, 50} {
		ts := testDay + uint64(i/4)*1e9
		recs = append(recs, ringbuf.TradeSlot{Trade: tick.Trade{
			Header: tick.Header{Length: 12, RType: tick.RTypeTrade, PublisherID: 2, InstrumentID: 1, TsEvent: ts}, Price: px * 1e9, Size: uint32(i + 1), Action: 'T', Side: 'N', TsRecv: ts,
		}, MatchID: uint64(i)})
	}
	publish(w, ringbuf.KindTrades, recs)
	w.await(t, 5)
	want(t, c, "SELECT ts, symbol, venue, open, high, low, close, volume, vwap, trades FROM bars_1s ORDER BY ts",
		"2026-01-05 14:30:00+00,S0,XNAS,100.000000000,103.000000000,99.000000000,101.000000000,10,100.700000000,4\n"+
			"2026-01-05 14:30:01+00,S0,XNAS,50.000000000,50.000000000,50.000000000,50.000000000,5,50.000000000,1")
	want(t, c, "SELECT count(*), sum(volume) FROM bars_1m", "1,15")
	want(t, c, "SELECT count(*) FROM realtime_market_data", "0")
	want(t, c, "SELECT name, rows FROM tickwire.tables WHERE rows > 0", "trades,5")
}

// TestKinds: every type of DuckDB comes as PostgreSQL would have it.
func TestKinds(t *testing.T) {
	w := newWorld(t, 0)
	c := w.conn(t)
	for _, tc := range []struct{ sql, want string }{
		{"true", "t"}, {"1::TINYINT", "1"}, {"-5::SMALLINT", "-5"}, {"200::UTINYINT", "200"}, {"1::INTEGER", "1"}, {"9223372036854775807", "9223372036854775807"},
		{"18446744073709551615::UBIGINT", "18446744073709551615"}, {"170141183460469231731687303715884105727::HUGEINT", "170141183460469231731687303715884105727"},
		{"-1::HUGEINT", "-1"}, {"1.5::FLOAT", "1.5"}, {"1e300::DOUBLE", "1e+300"}, {"1.50::DECIMAL(4,2)", "1.50"}, {"-0.01::DECIMAL(18,9)", "-0.010000000"},
		{"12345678901234567890.5::DECIMAL(30,1)", "12345678901234567890.5"}, {"'x'", "x"}, {"'more than twelve bytes'", "more than twelve bytes"},
		{`'\x00\xFF'::BLOB`, `\x00ff`}, {"DATE '1969-12-31'", "1969-12-31"}, {"TIME '01:02:03.4'", "01:02:03.4"},
		{"TIMESTAMP '2026-01-02 03:04:05.678901'", "2026-01-02 03:04:05.678901"}, {"TIMESTAMPTZ '2026-01-02 03:04:05+02'", "2026-01-02 01:04:05+00"},
		{"TIMESTAMP_NS '2026-01-02 03:04:05.123456789'", "2026-01-02 03:04:05.123456"}, {"make_timestamp_ns(-1)", "1969-12-31 23:59:59.999999"},
		{"TIMESTAMP_S '2026-01-02 03:04:05'", "2026-01-02 03:04:05"}, {"INTERVAL '1 month 2 days 3 seconds'", "1 mon 2 days 00:00:03"},
		{"[1, NULL, 3]", `"{1,NULL,3}"`}, {"['a', 'b c']", `"{a,""b c""}"`}, {"'6ba7b810-9dad-11d1-80b4-00c04fd430c8'::UUID", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"},
		{"'b'::ENUM('a', 'b')", "b"}, {"NULL", ""}, {"NULL::INTEGER", ""},
	} {
		want(t, c, "SELECT "+tc.sql, tc.want)
	}
}

func TestColumnNames(t *testing.T) {
	for duck, want := range map[string]string{
		"count_star()": "count", "min(price)": "min", "(1 + 1)": "?column?", "1": "?column?", "'x'": "?column?", "price": "price", "my col": "my col",
		"CAST(price AS DOUBLE)": "price", "CAST('t' AS BOOLEAN)": "boolean", "CASE  WHEN (a) THEN (b) ELSE c END": "case", "": "?column?",
		`"version"()`: "version", "CAST(CAST(price AS DOUBLE) AS BIGINT)": "price",
	} {
		if got := columnName(duck); got != want {
			t.Errorf("%q is called %q, want %q", duck, got, want)
		}
	}
}

// TestErrors: SQLSTATE and place, and the session goes on.
func TestErrors(t *testing.T) {
	w := newWorld(t, 10)
	c := w.conn(t)
	long := "SELECT " + strings.Repeat("order_id + ", 40) + "nosuch FROM orders"
	for _, tc := range []struct{ sql, state, at string }{
		{"SELEC 1", "42601", "SELEC"}, {"SELECT * FROM nosuch", "42P01", "nosuch"}, {"SELECT nosuch FROM orders", "42703", "nosuch"},
		{"SELECT\n  nosuch\nFROM orders", "42703", "nosuch"}, {long, "42703", "nosuch"}, {"SELECT nosuch(1)", "42883", "nosuch"},
		{"SELECT 'é', nosuch FROM orders", "42703", "nosuch"}, {"SELECT 'x'::INTEGER", "22P02", ""}, {"SELECT 9223372036854775807 + 1", "22003", ""},
		{"SELECT symbol, count(*) FROM orders", "42803", "symbol"}, {"SELECT 1 FROM orders WHERE size > 'abc'", "22P02", ""},
		{"", "42601", ""},
	} {
		_, err := ask(c, tc.sql)
		var e *sqlgw.Error
		if !errors.As(err, &e) || e.State != tc.state {
			t.Errorf("%.60s: %v (%s), want state %s", tc.sql, err, stateOrNone(e), tc.state)
			continue
		}
		if tc.at != "" {
			runes := []rune(tc.sql)
			if e.Position < 1 || e.Position > len(runes) || !strings.HasPrefix(string(runes[e.Position-1:]), tc.at) {
				t.Errorf("%.60s: position %d, want that of %q", tc.sql, e.Position, tc.at)
			}
		}
		if strings.Contains(e.Message, "\n") {
			t.Errorf("message of several lines: %q", e.Message)
		}
		want(t, c, "SELECT count(*) FROM orders", "10")
	}
}

func stateOrNone(e *sqlgw.Error) string {
	if e == nil {
		return "none"
	}
	return e.State
}

// TestLockedDown: nothing that a session can say reads or writes a file, changes a setting or defines anything.
func TestLockedDown(t *testing.T) {
	w := newWorld(t, 10)
	c := w.conn(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "x.csv")
	must(t, os.WriteFile(file, []byte("a,b\n1,2\n"), 0o600))
	for _, sql := range []string{
		"COPY orders TO '" + file + ".out'", "COPY (SELECT 1) TO '" + file + ".out' (FORMAT parquet)", "SELECT * FROM read_csv('" + file + "')",
		"SELECT * FROM '" + file + "'", "SELECT * FROM read_text('" + file + "')", "SELECT * FROM read_blob('/etc/passwd')", "SELECT * FROM glob('/*')",
		"ATTACH '" + file + ".db' AS x", "INSTALL httpfs", "LOAD json", "EXPORT DATABASE '" + dir + "/e'", "IMPORT DATABASE '" + dir + "'",
		"SET memory_limit = '100GB'", "SET enable_external_access = true", "SET lock_configuration = false", "RESET memory_limit", "PRAGMA enable_profiling",
		"CREATE TABLE x (a INT)", "CREATE TEMP TABLE x (a INT)", "INSERT INTO orders VALUES (1)", "DELETE FROM orders", "DROP VIEW orders", "CREATE VIEW y AS SELECT 1",
		"CREATE OR REPLACE VIEW orders AS SELECT 1", "CREATE MACRO f(x) AS x", "CALL pragma_version()", "VACUUM", "CHECKPOINT", "DETACH memory", "USE tickwire",
		"CREATE SECRET s (TYPE s3)", "SELECT * FROM query('COPY (SELECT 1) TO ''" + file + ".out''')", "PREPARE p AS SELECT 1", "SELECT * FROM sniff_csv('" + file + "')",
		"SELECT * FROM parquet_scan('" + file + "')", "SELECT getenv('HOME')", "UPDATE EXTENSIONS", "SELECT * FROM read_json('" + file + "')",
	} {
		if got, err := ask(c, sql); err == nil {
			t.Errorf("%s was answered: %q", sql, got)
		} else {
			var e *sqlgw.Error
			if !errors.As(err, &e) || e.State == "XX000" {
				t.Errorf("%s: %v (state %s)", sql, err, stateOrNone(e))
			}
		}
	}
	left, err := os.ReadDir(dir)
	must(t, err)
	if len(left) != 1 {
		t.Errorf("files were written: %v", left)
	}
	want(t, c, "SELECT count(*) FROM orders", "10")
}

// TestInterrupt: a query that takes long ends soon after its context, or an Interrupt, and the session goes on.
func TestInterrupt(t *testing.T) {
	w := newWorld(t, 1000)
	c := w.conn(t)
	const endless = "SELECT count(*) FROM orders a, orders b, orders c, orders d"
	for _, way := range []string{"context", "interrupt"} {
		ctx, cancel := context.WithCancel(context.Background())
		s, err := c.Prepare(ctx, endless, nil)
		must(t, err)
		timer := time.AfterFunc(100*time.Millisecond, func() {
			if way == "context" {
				cancel()
			} else {
				c.Interrupt()
			}
		})
		began := time.Now()
		rows, err := s.Query(ctx, nil)
		if err == nil {
			_, err = rows.Next(ctx)
			must(t, rows.Close())
		}
		var e *sqlgw.Error
		if !errors.As(err, &e) || e.State != "57014" {
			t.Errorf("%s: %v", way, err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s took %v", way, took)
		}
		timer.Stop()
		cancel()
		must(t, s.Close())
		want(t, c, "SELECT count(*) FROM orders", "1000")
	}
	if n := w.e.Scans.Load(); n != 0 {
		t.Errorf("%d scans are still held", n)
	}
}

// TestStreaming: a large result comes chunk by chunk, and may be left in the middle.
func TestStreaming(t *testing.T) {
	w := newWorld(t, 1000)
	c := w.conn(t)
	ctx := t.Context()
	s, err := c.Prepare(ctx, "SELECT a.order_id, b.symbol FROM orders a, orders b, range(100)", nil)
	must(t, err)
	rows, err := s.Query(ctx, nil)
	must(t, err)
	got := 0
	for range 10 {
		chunk, err := rows.Next(ctx)
		must(t, err)
		got += chunk.Rows
	}
	must(t, rows.Close())
	must(t, s.Close())
	if got == 0 || w.e.Scans.Load() != 0 {
		t.Errorf("%d rows, %d scans held", got, w.e.Scans.Load())
	}
	rows2, err := ask(c, "SELECT count(*) FROM orders")
	if err != nil || rows2 != "1000" {
		t.Error(rows2, err)
	}
}

// TestSessionsAtOnce: many sessions, one answer.
func TestSessionsAtOnce(t *testing.T) {
	w := newWorld(t, 20_000)
	var wg sync.WaitGroup
	for range 8 {
		c := w.conn(t)
		wg.Go(func() {
			for range 20 {
				if got, err := ask(c, "SELECT count(*), sum(order_id) FROM orders WHERE symbol = 'S3'"); err != nil || got != "4000,40002000" {
					t.Error(got, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestSplit(t *testing.T) {
	for sql, want := range map[string][]string{
		"": nil, ";;": nil, "-- ping": nil, "/* a; /* b; */ c */ ;": nil, "SELECT 1": {"SELECT 1"}, "SELECT ';'; SELECT \"a;b\";": {"SELECT ';'", `SELECT "a;b"`},
		"SELECT $$;$$; SELECT $a$;$b$;$a$": {"SELECT $$;$$", "SELECT $a$;$b$;$a$"}, "SELECT E'\\';'; SELECT 2": {"SELECT E'\\';'", "SELECT 2"},
		"SELECT 'it''s;'; x": {"SELECT 'it''s;'", "x"}, "SELECT $1; SELECT $2": {"SELECT $1", "SELECT $2"}, "SELECT 1 -- ;\n; x": {"SELECT 1 -- ;", "x"},
	} {
		if got, err := split(sql); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v", sql, got, err)
		}
	}
	for _, sql := range []string{"SELECT 'x", `SELECT "x`, "/* x", "SELECT $a$ x"} {
		if _, err := split(sql); err == nil {
			t.Errorf("%q was split", sql)
		}
	}
}

func FuzzSplit(f *testing.F) {
	f.Add("SELECT ';'; $$;$$ /* */ -- x\n E'\\''")
	f.Fuzz(func(t *testing.T, sql string) {
		parts, err := split(sql)
		if err != nil {
			return
		}
		for _, p := range parts {
			again, err := split(p)
			if err != nil || len(again) != 1 {
				t.Fatalf("%q: part %q splits into %q, %v", sql, p, again, err)
			}
		}
	})
}

// BenchmarkScan is what DuckDB makes of the hot columns, rows a second.
func BenchmarkScan(b *testing.B) {
	const n = 1_000_000
	w := newWorld(b, n)
	c := w.conn(b)
	for name, sql := range map[string]string{
		"count": "SELECT count(*) FROM orders", "sum": "SELECT sum(size) FROM orders", "group by symbol": "SELECT symbol, sum(size), max(price) FROM orders GROUP BY symbol",
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := ask(c, sql); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
		})
	}
}
