//go:build cgo

package duck

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/tickwire/tickwire/plugins"
	w "github.com/tickwire/tickwire/plugins/wasm/wasmtest"
	"github.com/tickwire/tickwire/sqlgw"
)

// address of row's value of 8 bytes: the column's place is the load's or store's offset.
func address(row int) w.Code { return w.Seq(w.LocalGet(row), w.I32(3), w.I32Shl) }

// mathModule has functions of two i64, and an aggregate:
//
//	plus      a + b
//	seen      a + b, where NULLs are seen: they count as 1000 each, and a result of 7 is NULL
//	trapping  traps where b is 13, else a
//	looping   for ever where b is 13, else a
//	total     sum of a, of which 8 groups fit in a call of 16 rows
//	trap_sum  the same, but traps where a is 13
//
// Its calls take so few rows that a chunk of DuckDB's needs many.
func mathModule() []byte {
	g := w.NewGuest(4)
	const i64, u8, u32 = 6, 1, 3
	two := func(more ...w.Col) w.Place {
		return g.Layout(16, 0, 0, append([]w.Col{w.Column(512, i64, 1, 0), w.Column(513, i64, 1, 0), w.Column(768, i64, 2, 0)}, more...)...)
	}
	plus, seen, trap, loop := two(), two(w.Column(640, u8, 1, 0), w.Column(641, u8, 1, 0), w.Column(769, u8, 2, 0)), two(), two()
	sum := func() w.Place {
		return g.Layout(16, 64, 64, w.Column(512, i64, 1, 0), w.Column(527, u32, 1, 0), w.Column(768, i64, 2, 0))
	}
	total, trapSum := sum(), sum()
	a := func(p w.Place) w.Code { return w.Seq(address(2), w.Load(w.I64Load, p.Col[512])) }
	b := func(p w.Place) w.Code { return w.Seq(address(2), w.Load(w.I64Load, p.Col[513])) }
	thirteen := func(v w.Code, then ...w.Code) w.Code { return w.Seq(v, w.I64(13), w.Op(0x51), w.If(then...)) }
	null := func(p w.Place, id uint16) w.Code {
		return w.Seq(w.LocalGet(2), w.Load(w.I32Load8U, p.Col[id]), w.I64ExtendU, w.I64(1000), w.I64Mul)
	}
	put := func(p w.Place, v ...w.Code) w.Code {
		return w.Seq(address(2), w.Seq(v...), w.Store(w.I64Store, p.Col[768]))
	}
	unit := func(k int32, body w.Code) w.Code { return w.Seq(w.LocalGet(0), w.I32(k), w.I32Eq, w.If(body)) }
	g.Func("tw_function", "ii:i", "il",
		unit(0, w.EachRow(1, 2, put(plus, a(plus), b(plus), w.I64Add))),
		unit(1, w.EachRow(1, 2,
			a(seen), b(seen), w.I64Add, null(seen, 640), w.I64Add, null(seen, 641), w.I64Add, w.LocalSet(3), put(seen, w.LocalGet(3)),
			w.LocalGet(2), w.LocalGet(3), w.I64(7), w.Op(0x51), w.Store(w.I32Store8, seen.Col[769]))),
		unit(2, w.EachRow(1, 2, thirteen(b(trap), w.Unreachable), put(trap, a(trap)))),
		unit(3, w.EachRow(1, 2, thirteen(b(loop), w.Loop(w.Br(0))), put(loop, a(loop)))),
		w.LocalGet(1))
	// An aggregate's locals: 0 unit, 1 n, 2 (of update) groups, then the row.
	each := func(name string, do func(p w.Place) w.Code) {
		g.Func(name, "ii:i", "i", unit(4, w.EachRow(1, 2, do(total))), unit(5, w.EachRow(1, 2, do(trapSum))), w.LocalGet(1))
	}
	each("tw_agg_start", func(p w.Place) w.Code { return w.Seq(address(2), w.I64(0), w.Store(w.I64Store, p.Out)) })
	each("tw_agg_merge", func(p w.Place) w.Code {
		return w.Seq(address(2), address(2), w.Load(w.I64Load, p.Out), address(2), w.Load(w.I64Load, p.In), w.I64Add, w.Store(w.I64Store, p.Out))
	})
	each("tw_agg_result", func(p w.Place) w.Code { return put(p, address(2), w.Load(w.I64Load, p.Out)) })
	add := func(p w.Place, before w.Code) w.Code {
		value := w.Seq(address(3), w.Load(w.I64Load, p.Col[512]))
		if before != nil {
			before = thirteen(value, before)
		}
		cell := w.Seq(w.LocalGet(3), w.I32(2), w.I32Shl, w.Load(w.I32Load, p.Col[527]), w.I32(3), w.I32Shl)
		return w.EachRow(1, 3, before, cell, cell, w.Load(w.I64Load, p.Out), value, w.I64Add, w.Store(w.I64Store, p.Out))
	}
	g.Func("tw_agg_update", "iii:i", "i", unit(4, add(total, nil)), unit(5, add(trapSum, w.Unreachable)), w.LocalGet(1))
	function := func(name string) string {
		return fmt.Sprintf(`{"kind": "function", "name": %q, "args": ["i64", "i64"], "returns": "i64"}`, name)
	}
	aggregate := func(name string) string {
		return fmt.Sprintf(`{"kind": "aggregate", "name": %q, "args": ["i64"], "returns": "i64", "state_bytes": 8}`, name)
	}
	return g.Plugin(`{"name": "math", "version": "1.2.3", "abi": 1, "limits": {"max_rows": 16, "memory_pages": 4}, "kinds": [` + strings.Join([]string{
		function("plus"), function("seen"), function("trapping"), function("looping"), aggregate("total"), aggregate("trap_sum")}, ",") + `]}`)
}

// typesModule has functions that give back their argument, one of each type: same_i64 and so on. Texts have 16 bytes.
func typesModule() []byte {
	g := w.NewGuest(4)
	var code w.Code
	var kinds []string
	for k, t := range sameTypes {
		p := g.Layout(64, 0, 0, w.Column(512, t.wire, 1, 0), w.Column(768, t.wire, 2, 0))
		size := int32([...]int{0, 1, 2, 4, 8, 4, 8, 8, 16}[t.wire])
		code = w.Seq(code, w.LocalGet(0), w.I32(int32(k)), w.I32Eq, w.If(
			w.I32(int32(p.Col[768])), w.I32(int32(p.Col[512])), w.LocalGet(1), w.I32(size), w.I32Mul, w.MemoryCopy))
		kinds = append(kinds, fmt.Sprintf(`{"kind": "function", "name": "same_%s", "args": [%q], "returns": %q}`, t.name, t.name, t.name))
	}
	g.Func("tw_function", "ii:i", "", code, w.LocalGet(1))
	return g.Plugin(`{"name": "same", "version": "0.1.0", "abi": 1, "limits": {"max_rows": 64, "memory_pages": 4}, "kinds": [` + strings.Join(kinds, ",") + `]}`)
}

var sameTypes = []struct {
	name string
	wire uint8
}{{"i64", 6}, {"u64", 4}, {"u32", 3}, {"i32", 5}, {"u16", 2}, {"u8", 1}, {"f64", 7}, {"price", 6}, {"time", 4}, {"bool", 1}, {"str", 8}}

// guestEngine is an engine without tables, with plugins.
func guestEngine(t testing.TB, threads int, modules ...[]byte) (*Engine, error) {
	t.Helper()
	return guestEngineWith(t, func(*Options) {}, threads, modules...)
}

func guestEngineWith(t testing.TB, change func(*Options), threads int, modules ...[]byte) (*Engine, error) {
	t.Helper()
	h, err := plugins.New(plugins.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, h.Close()) })
	var guests []Guest
	for _, m := range modules {
		p, err := h.Compile(m)
		must(t, err)
		t.Cleanup(func() { must(t, p.Close()) })
		guests = append(guests, Guest{Plugin: p})
	}
	o := Options{Threads: threads, Plugins: guests}
	change(&o)
	e, err := Open(o)
	if err == nil {
		t.Cleanup(func() { must(t, e.Close()) })
	}
	return e, err
}

func guestConn(t testing.TB, threads int, modules ...[]byte) *Conn {
	t.Helper()
	e, err := guestEngine(t, threads, modules...)
	must(t, err)
	return (&world{e: e}).conn(t)
}

// example is a module of plugins/examples.
func example(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("../../plugins/examples/" + name + "/" + name + ".wasm")
	must(t, err)
	return b
}

// noise is a table of random values: a and b integers with NULLs, g a group.
const noise = `(SELECT i, CASE WHEN hash(i) %% 7 <> 0 THEN (hash(i) %% 1000)::BIGINT - 500 END AS a, CASE WHEN hash(i + 1) %% 5 <> 0 THEN (hash(i + 2) %% 1000)::BIGINT + 20 END AS b,
  (hash(i + 3) %% 100)::BIGINT AS g FROM range(%d) r(i)) n`

// TestFunctionsAgree compares functions with DuckDB's own over random data with NULLs, on several threads.
func TestFunctionsAgree(t *testing.T) {
	c := guestConn(t, 4, mathModule(), example(t, "microprice"))
	from := fmt.Sprintf(noise, 300_000)
	want(t, c, "SELECT count(*) FROM "+from+" WHERE plus(a, b) IS DISTINCT FROM a + b", "0")
	want(t, c, "SELECT count(plus(a, b)) = count(a + b), count(plus(a, b)) < 300000 FROM "+from, "t,t")
	want(t, c, "SELECT count(*) FROM "+from+" WHERE seen(a, b) IS DISTINCT FROM nullif(coalesce(a, 1000) + coalesce(b, 1000), 7)", "0")
	want(t, c, "SELECT count(*) FROM "+from+" WHERE trapping(a, b) IS DISTINCT FROM CASE WHEN b IS NOT NULL THEN a END", "0")
	want(t, c, "SELECT plus(40, 2), plus(NULL, 2), seen(NULL, 1), seen(3, 4), plus(i, 1) FROM range(1) r(i)", "42,,1001,,1")
	want(t, c, "SELECT microprice(10.00, 10.04, 300, 100), microprice(10.04, 10.00, 1, 1), microprice(10, 11, NULL, 1)", "10.030000000,,")
	want(t, c, "SELECT sum(plus(i, plus(i, 1))) FROM range(0) r(i)", "")
	if columnName(`plus(a, b)`) != "plus" {
		t.Error("the column's name is not the function's")
	}
}

// TestTypesCross: each type to a plugin and back, at its bounds; what does not fit is an error.
func TestTypesCross(t *testing.T) {
	c := guestConn(t, 2, typesModule())
	for _, tc := range []struct{ sql, want string }{
		{"same_i64(-9223372036854775808)", "-9223372036854775808"}, {"same_u64(9223372036854775807)", "9223372036854775807"}, {"same_u32(4294967295)", "4294967295"},
		{"same_i32(-2147483648)", "-2147483648"}, {"same_u16(65535)", "65535"}, {"same_u8(255)", "255"}, {"same_f64(-0.5)", "-0.5"}, {"same_f64('nan'::DOUBLE)", "NaN"},
		{"same_price(-999999999.999999999)", "-999999999.999999999"}, {"same_price(5)", "5.000000000"}, {"same_time(1767623400000000001)", "1767623400000000001"},
		{"same_bool(true)", "t"}, {"same_bool(false)", "f"}, {"same_str('')", `""`}, {"same_str('AAPL')", "AAPL"}, {"same_str('sixteen bytes ok')", "sixteen bytes ok"},
		{"same_str('ééé')", "ééé"}, {"same_str(NULL)", ""}, {"same_bool(NULL)", ""}, {"same_u8(NULL)", ""}, {"same_price(NULL)", ""},
	} {
		want(t, c, "SELECT "+tc.sql, tc.want)
	}
	want(t, c, "SELECT count(*) FROM range(10000) r(i) WHERE same_str('text ' || i) <> 'text ' || i OR same_bool(i % 3 = 0) <> (i % 3 = 0) OR same_u16(i) <> i", "0")
	for sql, says := range map[string]string{
		"same_u8(256)": "argument 1 is 256, which is no u8", "same_u64(-1)": "argument 1 is -1, which is no u64", "same_time(-1)": "which is no time",
		"same_i32(2147483648)": "which is no i32", "same_str('seventeen bytes !')": "a text of 17 bytes, its column takes 16", "same_str('a' || chr(0))": "a text with a NUL",
	} {
		_, err := ask(c, "SELECT "+sql)
		var e *sqlgw.Error
		if !errors.As(err, &e) || e.State != "38000" || !strings.Contains(e.Message, says) || !strings.Contains(e.Message, "plugin same 0.1.0") {
			t.Errorf("%s: %v (%s), want %q", sql, err, stateOrNone(e), says)
		}
	}
}

// TestAggregatesAgree compares aggregates with DuckDB's own: alone, by group, with more groups than a call holds, of nothing, filtered, merged by threads, over lists.
func TestAggregatesAgree(t *testing.T) {
	c := guestConn(t, 4, mathModule(), example(t, "vwap"))
	must(t, (&Conn{e: c.e, conn: c.conn, trusted: true}).run(context.Background(), "CREATE TABLE big AS SELECT * FROM "+fmt.Sprintf(noise, 2_000_000)))
	want(t, c, "SELECT total(a) = sum(a) FROM big", "t")
	want(t, c, "SELECT count(*), count(*) FILTER (t = s) FROM (SELECT g, total(a) t, sum(a) s FROM big GROUP BY g)", "100,100")
	want(t, c, "SELECT count(*), count(*) FILTER (t = coalesce(s, 0)) FROM (SELECT i // 20 AS k, total(a) t, sum(a) s FROM big WHERE i < 200000 GROUP BY k)", "10000,10000")
	want(t, c, "SELECT total(a), total(a) FILTER (g < 0) FROM big WHERE i < 0", "0,0")
	want(t, c, "SELECT total(DISTINCT g), list_aggregate([1, NULL, 41], 'total'), (SELECT total(v) FROM (SELECT 1 AS v ORDER BY 1)) FROM big", "4950,42,1")
	want(t, c, "SELECT count(*) FILTER (t IS DISTINCT FROM coalesce(s, 0)), count(*) FROM (SELECT total(DISTINCT a) t, sum(DISTINCT a) s FROM big GROUP BY ROLLUP (g, b > 500))", "0,401")
	want(t, c, "SELECT \"0\" = s FROM (PIVOT (SELECT g % 3 AS k, a FROM big) ON k IN (0, 1, 2) USING total(a)), (SELECT sum(a) AS s FROM big WHERE g % 3 = 0)", "t")
	want(t, c, "SELECT total(a) FILTER (g < 50) = sum(a) FILTER (g < 50), total(a) FILTER (g >= 50) = sum(a) FILTER (g >= 50), total(b) = sum(b) FROM big", "t,t,t")
	want(t, c, "SELECT count(*) FILTER (t = s) FROM (SELECT g, total(a) FILTER (b > 500) t, sum(a) FILTER (b > 500) s FROM big GROUP BY g)", "100")
	want(t, c, "SELECT count(*) FILTER (list_aggregate(l, 'total') = list_sum(l)) FROM (SELECT list(a) AS l FROM big WHERE i < 500000 GROUP BY g)", "100")
	want(t, c, "SELECT count(*) FILTER (t = s) FROM (SELECT g, (SELECT total(a) FROM big y WHERE y.g = x.g AND y.i < 20000) t, (SELECT sum(a) FROM big y WHERE y.g = x.g AND y.i < 20000) s FROM (SELECT DISTINCT g FROM big) x)", "100")
	// Groups that DuckDB has as constants or dictionaries take other ways through it.
	for _, from := range []string{
		"(SELECT 1 AS k, a FROM big)", "(SELECT 'one' AS k, a FROM big UNION ALL SELECT 'two', a FROM big UNION ALL SELECT NULL, b FROM big)",
		"(SELECT d.name AS k, a FROM big JOIN (SELECT i AS g, 'name of the group ' || i // 3 AS name FROM range(100) r(i)) d USING (g))",
		"(SELECT (g // 10)::VARCHAR::ENUM ('0', '1', '2', '3', '4', '5', '6', '7', '8', '9') AS k, a FROM big)", "(SELECT i < 1000 AS k, 5 AS a FROM big)",
		"(SELECT i // 2048 AS k, a FROM big WHERE i < 100000)",
	} {
		want(t, c, "SELECT count(*) > 0, count(*) FILTER (t IS DISTINCT FROM s) FROM (SELECT k, total(a) AS t, sum(a) AS s FROM "+from+" GROUP BY k)", "t,0")
	}
	want(t, c, "SELECT total(5), total(NULL), total(1) FILTER (false) FROM range(100000)", "500000,0,0")
	// vwap is exact, rounded towards zero: as integers do it.
	want(t, c, `SELECT count(*), count(*) FILTER (v IS DISTINCT FROM w) FROM (SELECT g, (vwap((a * 0.01)::DECIMAL(18,9), b) * 1000000000)::BIGINT AS v,
		(sum((a * 10000000)::HUGEINT * b) FILTER (b > 0 AND a IS NOT NULL) // sum(b) FILTER (b > 0 AND a IS NOT NULL))::BIGINT AS w FROM big GROUP BY g)`, "100,0")
	want(t, c, "SELECT vwap(1.5, 0), vwap(NULL, 1), vwap(2.5, 10) FROM range(3)", ",,2.500000000")
}

// TestUnfitAggregates: where DuckDB would read what is not there, or give wrong numbers.
func TestUnfitAggregates(t *testing.T) {
	c := guestConn(t, 1, mathModule())
	for _, sql := range []string{
		"SELECT total(i ORDER BY i) FROM range(9) r(i)", `SELECT "TOTAL" /* ( */ (i -- )
			order by i) FROM range(9) r(i)`, "SELECT i.total(ORDER BY i) FROM range(9) r(i)", "SELECT (SELECT main.total((i) ORDER BY (i))) FROM range(9) r(i)",
		"FROM query('SELECT total(i ORDER BY i) FROM range(9) r(i)')", "SELECT total(i ORDER BY i) OVER () FROM range(9) r(i)",
		"SELECT total(i) OVER () FROM range(9) r(i)", "SELECT total(i) FILTER (i < (3)) /* */ OVER w FROM range(9) r(i) WINDOW w AS (ORDER BY i)",
		"SELECT max(t) FROM (SELECT total((i)) over (ORDER BY i) AS t FROM range(9) r(i))", "SELECT total(i) WITHIN GROUP (ORDER BY i) FROM range(9) r(i)",
		"SELECT total(i) EXPORT_STATE FROM range(9) r(i)",
		// DuckDB makes such characters spaces before it reads a statement.
		"SELECT total(i\u00a0ORDER\u00a0BY i) FROM range(9) r(i)", "SELECT total(i ORDER\u2003BY i) FROM range(9) r(i)", "SELECT total\u00a0(i ORDER BY i) FROM range(9) r(i)",
		"SELECT \"total\"\u3000(i ORDER BY i) FROM range(9) r(i)", "SELECT total(i\ufeffORDER BY i) FROM range(9) r(i)", "SELECT total(i\u200bORDER\u2060BY i) FROM range(9) r(i)",
		"SELECT total(i + length(\u00a0E'\\')') ORDER BY i) FROM range(9) r(i)", "SELECT total(i + 0x1\u00a0ORDER\u00a0BY i) FROM range(9) r(i)",
		"SELECT total(i + length($\u00a0$)$\u00a0$) ORDER BY i) FROM range(9) r(i)", "SELECT total(i\xffORDER BY i) FROM range(9) r(i)",
		"SELECT total(i)\u00a0OVER () FROM range(9) r(i)",
	} {
		_, err := ask(c, sql)
		var e *sqlgw.Error
		if !errors.As(err, &e) || e.State != "0A000" || e.Position == 0 {
			t.Errorf("%s: %v (%s)", sql, err, stateOrNone(e))
		}
	}
	want(t, c, "SELECT total(i), sum(i ORDER BY i), '(' FROM range(9) r(i) GROUP BY i < 0 ORDER BY 1", "36,36,(")
	want(t, c, "SELECT total(i) FILTER (i < 3), max(sum(i)) OVER (), total(i) + 1 FROM range(9) r(i)", "3,36,37")
	want(t, c, "SELECT total(i) AS \"größe\u00a0x\", length('\u00a0' || $$\u2003$$) AS größe /* \u00a0 */ FROM range(9) r(i) -- \u2003", "36,2")
}

// TestWithoutAggregates: without aggregates of plugins nothing of what they do not support is refused, and functions are there.
func TestWithoutAggregates(t *testing.T) {
	e, err := guestEngineWith(t, func(o *Options) { o.NoAggregates = true }, 1, mathModule())
	must(t, err)
	c := (&world{e: e}).conn(t)
	want(t, c, "SELECT plus(40, 2)", "42")
	want(t, c, "FROM query('SELECT sum(i) FROM range(9) r(i)')", "36")
	if _, err := ask(c, "SELECT total(i) FROM range(9) r(i)"); err == nil || !strings.Contains(err.Error(), "total") {
		t.Errorf("an aggregate that was left out: %v", err)
	}
}

// TestGuestsFail: a trap or a loop ends the query, with the plugin's name, and nothing else; again and again, beside queries that go well.
func TestGuestsFail(t *testing.T) {
	c := guestConn(t, 2, mathModule())
	var wg sync.WaitGroup
	for range 2 {
		other := (&world{e: c.e}).conn(t)
		wg.Go(func() {
			for range 10 {
				got, err := ask(other, "SELECT sum(plus(i, 1)), total(i) FROM range(20000) r(i)")
				if err != nil || got != "200010000,199990000" {
					t.Errorf("beside failures: %q, %v", got, err)
				}
			}
		})
	}
	for range 5 {
		for sql, says := range map[string]string{
			"SELECT trapping(i, i) FROM range(5000) r(i)":                     "plugin math 1.2.3: tw_function: ",
			"SELECT looping(i, 13) FROM range(5) r(i)":                        "plugin math 1.2.3: tw_function: out of fuel",
			"SELECT trap_sum(i) FROM range(5000) r(i)":                        "plugin math 1.2.3: tw_agg_update: ",
			"SELECT i % 10, trap_sum(i) FROM range(5000) r(i) GROUP BY 1":     "plugin math 1.2.3: tw_agg_update: ",
			"SELECT trapping(1, 13)":                                          "plugin math 1.2.3: tw_function: ",
			"SELECT count(*) FROM range(5000) r(i) WHERE trapping(i, i) < 10": "plugin math 1.2.3: tw_function: ",
		} {
			_, err := ask(c, sql)
			var e *sqlgw.Error
			if !errors.As(err, &e) || e.State != "38000" || !strings.Contains(e.Message, says) || strings.Contains(e.Message, "\n") {
				t.Errorf("%s: %v (%s), want %q", sql, err, stateOrNone(e), says)
			}
		}
	}
	wg.Wait()
	want(t, c, "SELECT trapping(4, 5), looping(6, 7)", "4,6")
	for _, p := range c.e.pools {
		if out, idle := len(p.room), len(p.idle); out != 0 || idle > c.e.threads {
			t.Errorf("%d instances are out and %d idle, of %d threads", out, idle, c.e.threads)
		}
	}
}

// TestGuestNames: what SQL has already cannot be taken, by plugins neither.
func TestGuestNames(t *testing.T) {
	named := func(plugin, function string) []byte {
		g := w.NewGuest(1)
		g.Layout(16, 0, 0, w.Column(768, 6, 2, 0))
		g.Func("tw_function", "ii:i", "", w.LocalGet(1))
		return g.Plugin(fmt.Sprintf(`{"name": %q, "version": "1.0.0", "abi": 1, "limits": {"max_rows": 16, "memory_pages": 1}, "kinds": [
			{"kind": "function", "name": %q, "returns": "i64", "volatile": true}]}`, plugin, function))
	}
	for name, modules := range map[string][][]byte{
		"sum": {named("a", "sum")}, "abs": {named("a", "abs")}, "twice": {named("a", "twice"), named("b", "twice")}, "list_sum": {named("a", "list_sum")},
	} {
		if _, err := guestEngine(t, 1, modules...); err == nil || !strings.Contains(err.Error(), "SQL has a function of that name already") {
			t.Errorf("%s: %v", name, err)
		}
	}
	want(t, guestConn(t, 1, named("a", "nothing")), "SELECT nothing(), count(nothing()) FROM range(3000) GROUP BY 1", "0,3000")
}

// BenchmarkGuests is what a row costs by a plugin, beside DuckDB's own: a million rows, one thread.
func BenchmarkGuests(b *testing.B) {
	c := guestConn(b, 1, example(b, "microprice"), example(b, "vwap"))
	for _, bc := range []struct{ name, sql string }{
		{"function", "SELECT max(microprice(p, p, i, 1)) FROM (SELECT i, 1.5::DECIMAL(18,9) + i AS p FROM range(1000000) r(i))"},
		{"function-native", "SELECT max(p + (p - p) * i / (i + 1)) FROM (SELECT i, 1.5::DECIMAL(18,9) + i AS p FROM range(1000000) r(i))"},
		{"aggregate", "SELECT vwap(p, i) FROM (SELECT i, 1.5::DECIMAL(18,9) + i % 100 AS p FROM range(1000000) r(i))"},
		{"aggregate-native", "SELECT sum(p * i) / sum(i) FROM (SELECT i, 1.5::DECIMAL(18,9) + i % 100 AS p FROM range(1000000) r(i))"},
		{"groups", "SELECT i % 1000, vwap(p, i) FROM (SELECT i, 1.5::DECIMAL(18,9) + i % 100 AS p FROM range(1000000) r(i)) GROUP BY 1"},
	} {
		b.Run(bc.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := ask(c, bc.sql); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1e6, "ns/row")
		})
	}
}

// FuzzUnfit: whatever the text, the answer is none or has a place in it.
func FuzzUnfit(f *testing.F) {
	for _, sql := range []string{
		"SELECT total(i ORDER BY i)", "SELECT total(i) FILTER (i > 1) OVER ()", "total(", "((total)(", "\"total\"(') order", "query(", "total(i) filter over", "$a$total($a$ order", ")))", "é total(i) over",
	} {
		f.Add(sql)
	}
	e := &Engine{aggregates: map[string]bool{"total": true}}
	f.Fuzz(func(t *testing.T, sql string) {
		err := e.refuseUnfit(sql)
		var refused *sqlgw.Error
		if err != nil && (!errors.As(err, &refused) || refused.Position < 1 || refused.Position > len(sql) || refused.State != "0A000") {
			t.Errorf("%q: %v", sql, err)
		}
	})
}
