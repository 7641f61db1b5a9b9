package trial

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/plugins/wasm"
	. "github.com/tickwire/tickwire/plugins/wasm/wasmtest"
)

// guest is a transform of price whose code for a row is given: local 0 is the address of the row's price in the column, 1 the rows, 2 the row.
func guest(t *testing.T, more string, row func(g *Guest, price int) Code) []byte {
	t.Helper()
	g := NewGuest(1)
	p := g.Layout(256, 0, 0, Column(11, 6, 3, 0))
	body := row(g, p.Col[11])
	idx := g.Func("tw_transform", "ii:i", "ii", EachRow(1, 2, body, LocalGet(3), I32(8), I32Add, LocalSet(3)), LocalGet(1))
	// The name section says what the export table says too, and names the helper.
	names := []byte{2, 0, 4, 'b', 'a', 'n', 'g', byte(idx), 3, 'r', 'u', 'n'}
	g.Custom("name", append([]byte{1, byte(len(names))}, names...))
	return g.Plugin(`{"name": "faulty", "version": "1.0.0", "abi": 1, "kinds": [{"kind": "transform", "reads": ["price"], "writes": ["price"]}],
		"limits": {"max_rows": 256, "memory_pages": 1, "fuel_per_row": 8}` + more + `}`)
}

// traps divides by zero, in a function that it calls, where a price is negative.
func traps(t *testing.T) []byte {
	return guest(t, "", func(g *Guest, price int) Code {
		bang := g.Func("", "i:i", "", I32(1), LocalGet(0), Op(0x6d)) // i32.div_s
		return Seq(I64(0), LocalGet(3), Load(I64Load, price), I64GtS, If(I32(0), Call(bang), Drop))
	})
}

// forgets is an aggregate that counts rows, and what it is to merge it forgets.
func forgets(t *testing.T) []byte {
	t.Helper()
	g := NewGuest(1)
	p := g.Layout(64, 64, 64, Column(512, 6, 1, 0), Column(527, 3, 1, 0), Column(768, 6, 2, 0))
	g.Func("tw_agg_start", "ii:i", "", I32(0), I64(0), Store(I64Store, p.Out), LocalGet(1))
	g.Func("tw_agg_update", "iii:i", "", I32(0), I32(0), Load(I64Load, p.Out), LocalGet(1), I64ExtendU, I64Add, Store(I64Store, p.Out), LocalGet(1))
	g.Func("tw_agg_merge", "ii:i", "", LocalGet(1))
	g.Func("tw_agg_result", "ii:i", "", I32(0), I32(0), Load(I64Load, p.Out), Store(I64Store, p.Col[768]), LocalGet(1))
	return g.Plugin(`{"name": "forgets", "version": "1.0.0", "abi": 1, "kinds": [{"kind": "aggregate", "name": "rows", "args": ["i64"], "returns": "i64", "state_bytes": 64}],
		"limits": {"max_rows": 64}, "deterministic": true}`)
}

func problems(t *testing.T, module []byte, o Options) []string {
	t.Helper()
	checks, err := CheckAll(compile(t, plugins.Options{}, module), t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, k := range checks {
		if !k.Ok {
			all = append(all, k.Name+": "+k.What)
		}
	}
	return all
}

// Goal: what is wrong with a plugin is found. Method: plugins that are wrong in one way each.
func TestFaultsAreFound(t *testing.T) {
	for _, tc := range []struct {
		name   string
		module []byte
		want   string
	}{
		{"it traps", traps(t), "integer divide by zero"},
		{"it loops", guest(t, "", func(*Guest, int) Code { return Loop(Br(0)) }), "out of fuel"},
		{"rows depend on the call", guest(t, `, "deterministic": true`, func(_ *Guest, price int) Code {
			return Seq(LocalGet(3), LocalGet(2), Op(0xac), Store(I64Store, price))
		}), "deterministic it is not: row 2: price is 0 in calls of 1 row, 0.000000001 in calls of max_rows"},
		{"the count is wrong", guest(t, "", func(*Guest, int) Code { return Seq(LocalGet(1), I32(0), I32Eq, BrIf(0), I32(7), Return) }), "it returned 7, want 1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if all := problems(t, tc.module, Options{}); !strings.Contains(strings.Join(all, "\n"), tc.want) {
				t.Errorf("%q, want %q", all, tc.want)
			}
		})
	}
	if all := problems(t, forgets(t), Options{}); !strings.Contains(strings.Join(all, "\n"), "in two parts that are merged") {
		t.Errorf("%q", all)
	}
	if all := problems(t, guest(t, "", func(_ *Guest, price int) Code { // the third one, which promises nothing
		return Seq(LocalGet(3), LocalGet(2), Op(0xac), Store(I64Store, price))
	}), Options{}); len(all) > 0 {
		t.Errorf("%q", all)
	}
}

// A batch that fails is cut down to the row that matters, and debug says where in the module it was.
func TestDebug(t *testing.T) {
	module := traps(t)
	checks, err := CheckAll(compile(t, plugins.Options{}, module), t.TempDir(), Options{Fuzz: time.Millisecond, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	last := checks[len(checks)-1]
	if !strings.HasPrefix(last.Name, "fuzz") || last.Ok || len(last.Case.In.Rows) != 1 || !strings.HasPrefix(last.Case.In.Rows[0][0], "-") {
		t.Fatalf("%+v", last)
	}
	dir := t.TempDir()
	last.Case.Name = "small"
	path, err := WriteCase(dir, last.Case)
	if err != nil {
		t.Fatal(err)
	}
	read := func(*plugins.Plugin) (*Case, error) {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		return ParseCase("small", text)
	}
	for _, reduce := range []bool{false, true} {
		fault, _, _, err := Debug(module, nil, read, reduce, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if fault == nil || !fault.Trap || fault.Call != "tw_transform" || fault.Instruction != "i32.div_s" || module[fault.Offset] != 0x6d {
			t.Fatalf("%+v", fault)
		}
		if len(fault.Stack) != 2 || !strings.HasPrefix(fault.Stack[0], "bang(") || !strings.HasPrefix(fault.Stack[1], "run(") {
			t.Errorf("stack %q", fault.Stack)
		}
		var out bytes.Buffer
		fault.Print(&out)
		if !strings.Contains(out.String(), "tw_transform trapped: wasm error: integer divide by zero\n  at offset 0x") {
			t.Error(out.String())
		}
	}
	fault, c, r, err := Debug(module, nil, func(p *plugins.Plugin) (*Case, error) {
		return ParseCase("fine", []byte("unit transform\nin\nprice\n1\n-\n"))
	}, false, slog.New(slog.DiscardHandler))
	if err != nil || fault != nil || !slices.Equal(r.Lines, []string{"price", "1", "-"}) {
		t.Fatalf("%+v, %+v, %v", fault, r, err)
	}
	var out bytes.Buffer
	if err := r.Print(&out, c); err != nil || !strings.Contains(out.String(), "2    -      →  -") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// Fuel in a profile is all of it, and each function has its own.
func TestProfile(t *testing.T) {
	module := guest(t, "", func(g *Guest, price int) Code {
		bang := g.Func("", "i:i", "", LocalGet(0))
		return Seq(I32(0), Call(bang), Drop)
	})
	text := []byte("unit transform\nin\nprice\n1\n2\n3\n")
	pr, err := NewProfile(module, nil, func(*plugins.Plugin) ([]*Case, error) {
		c, err := ParseCase("three", text)
		return []*Case{c}, err
	}, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	n := pr.Batches
	// An entry and three turns, and three entries of what it calls.
	if n == 0 || pr.Rows != 3*n || pr.Fuel != uint64(7*n) || len(pr.Functions) != 2 {
		t.Fatalf("%+v", pr)
	}
	for _, f := range pr.Functions {
		want := map[string]Function{"run": {Calls: n, Fuel: uint64(4 * n), TotalFuel: uint64(7 * n)}, "bang": {Calls: 3 * n, Fuel: uint64(3 * n), TotalFuel: uint64(3 * n)}}[f.Name]
		if f.Calls != want.Calls || f.Fuel != want.Fuel || f.TotalFuel != want.TotalFuel || f.TotalNs < f.Ns {
			t.Errorf("%+v, want %+v", f, want)
		}
	}
	if lines := strings.Split(string(pr.Folded(false)), "\n"); len(lines) != 3 || !strings.HasPrefix(lines[0], "run ") || !strings.HasPrefix(lines[1], "run;bang ") {
		t.Errorf("%q", lines)
	}
	if _, err := NewProfile(traps(t), nil, func(*plugins.Plugin) ([]*Case, error) {
		c, err := ParseCase("bad", []byte("unit transform\nin\nprice\n-1\n"))
		return []*Case{c}, err
	}, time.Millisecond); err == nil || !strings.Contains(err.Error(), "divide by zero") {
		t.Errorf("%v", err)
	}
}

// Every kind can be measured, and what it takes is within what its manifest declares.
func TestBench(t *testing.T) {
	paths, err := filepath.Glob("../examples/*/*.wasm")
	if err != nil {
		t.Fatal(err)
	}
	packet, err := ParseCase("acme", []byte("unit parser acme\npackets\n4143010101000000 0100000000000000 44180000 05000000 0000000000000000 8403000000000000\n"))
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]bool{}
	for _, path := range paths {
		costs, err := Bench(load(t, plugins.Options{}, path), []*Case{packet}, time.Millisecond)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		for _, c := range costs {
			kind, _, _ := strings.Cut(c.Unit, " ")
			kinds[kind] = true
			if c.RowNs <= 0 || c.CallNs <= 0 || c.FuelRow <= 0 || c.Rows == 1024 && c.FuelRow > float64(c.FuelMost) {
				t.Errorf("%s: %+v", path, c)
			}
		}
	}
	if len(kinds) != len(manifest.Kinds) {
		t.Errorf("%d kinds, want %d: %v", len(kinds), len(manifest.Kinds), kinds)
	}
	if _, err := Bench(compile(t, plugins.Options{}, traps(t)), nil, time.Millisecond); err == nil {
		t.Error("a plugin that traps has a cost")
	}
}

// Cases that a unit cannot be given are refused in words.
func TestCasesRefused(t *testing.T) {
	p := compile(t, plugins.Options{}, guest(t, "", func(_ *Guest, price int) Code { return nil }))
	for text, want := range map[string]string{
		"unit transform\nin\nprices\n1\n":                              `no column "prices"`,
		"unit transform\nin\nprice\none\n":                             `row 1: price: "one" is no price`,
		"unit transform\nin\nprice\n0.0000000001\n":                    `is no price`,
		"unit transform\nin\nprice\n9223372036.854775808\n":            `is no price`,
		"unit transform\nin\nkind\n256\n":                              `"256" is no u8`,
		"unit validator\nin\nprice\n1\n":                               "the plugin has no validator",
		"unit transform\nparam x 1\nin\nprice\n1\n":                    `no parameter "x"`,
		"unit transform\nin\ninstrument_id symbol\n1 \"A\"\n1 \"B\"\n": `instrument 1 is "B", but "A"`,
		"unit transform\nin\nmpid\nABCDE\n":                            "longer than 4",
		"unit transform\nin\npublisher_id\n1\n":                        `no column "publisher_id"`,
		"unit transform\nin\nrow_ctl\n1\n":                             `no column "row_ctl"`,
	} {
		c, err := ParseCase("case", []byte(text))
		if err == nil {
			_, err = Run(p, c, 0)
		}
		var f *plugins.Failure
		if err == nil || errors.As(err, &f) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestParseCaseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                       "no line `unit KIND`",
		"# nothing\n":                            "no line `unit KIND`",
		"unit transfrom\n":                       "line 1: unit transfrom",
		"unit transform\nhello\n":                `line 2: "hello" is none of`,
		"unit transform\nin\na a\n":              "column a twice",
		"unit transform\nin\na b\n1\n":           "line 4: 1 values, but there are 2 columns",
		"unit transform\nin\na\n1\nin\nb\n":      "a second table",
		"unit parser x\npackets\n012\n":          "odd length",
		"unit parser x\npackets\nzz\n":           "invalid byte",
		"unit transform\nparam a 1\nparam a 2\n": "param a twice",
		"unit transform\nnow x\n":                "line 2",
		"unit transform\npublisher 70000\n":      "line 2",
		"unit transform\nin\na\n" + strings.Repeat("1\n", MostRows+1): "more than 4096 rows",
	} {
		if _, err := ParseCase("case", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", text, err, want)
		}
	}
}

// A case comes back as it was written, and what expects nothing is told from what expects no rows.
func TestCaseRoundTrip(t *testing.T) {
	text := "# two rows\nunit function mid\nparam a \"with space\"\nnow 5\npublisher 7\nin\narg0   arg1\n\"a b\"  NULL\n\"\\x00\" 1\nwant\nresult\n\"é\"\n"
	c, err := ParseCase("c", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(c.Append(nil)); got != text {
		t.Errorf("got\n%s\nwant\n%s", got, text)
	}
	if c, err := ParseCase("c", []byte("unit transform\nin\na\n \nwant\n")); err != nil || c.Want == nil || len(c.Want) > 0 {
		t.Errorf("%+v, %v", c, err)
	}
}

// What parses is written and parses as the same again.
func FuzzParseCase(f *testing.F) {
	for _, dir := range []string{"template", "../examples/price-band/testdata"} {
		names, err := filepath.Glob(filepath.Join(dir, "*.txt"))
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Add([]byte("unit parser\nwant\n #"))
	f.Add([]byte("unit function f\nparam x \"\\n\"\nin\narg0\n\"\\\"\"\nwant\nresult\nNULL\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := ParseCase("c", text)
		if err != nil {
			return
		}
		once := c.Append(nil)
		again, err := ParseCase("c", once)
		if err != nil {
			t.Fatalf("%v\n%s", err, once)
		}
		if twice := again.Append(nil); !bytes.Equal(once, twice) {
			t.Fatalf("\n%s\nand then\n%s", once, twice)
		}
	})
}

// Prices go to text and back.
func TestPriceText(t *testing.T) {
	for v, want := range map[int64]string{0: "0", 1: "0.000000001", -1: "-0.000000001", -1 << 63: "-9223372036.854775808", 1<<63 - 2: "9223372036.854775806", 1<<63 - 1: "-", 100_500_000_000: "100.5"} {
		back, ok := parsePrice(want)
		if got := formatPrice(v); got != want || back != v || !ok {
			t.Errorf("%d: %q, want %q; back %d", v, got, want, back)
		}
	}
	for _, bad := range []string{"", ".", ".5", "1.", "+1", "1e3", "--1", "1.0000000000", "9223372036.854775808", "-9223372036.854775809"} {
		if v, ok := parsePrice(bad); ok {
			t.Errorf("%q is %d", bad, v)
		}
	}
}

// A plugin's page tells all that its manifest has, and nothing that a manifest says breaks out of it.
func TestDocs(t *testing.T) {
	m, err := manifest.Parse([]byte(`{"name": "p", "version": "1.0.0", "abi": 1, "description": "a | b\n# <script>\u001b[2J", "author": "A desk", "license": "MIT",
		"kinds": [{"kind": "transform", "reads": ["price", "other"], "writes": ["price", "row_ctl"], "custom": [{"name": "mine", "type": "price", "description": "what it is"}], "reasons": ["too much"]},
		{"kind": "function", "name": "f", "args": ["price", "str"], "returns": "i64"}, {"kind": "serializer", "name": "s", "reads": ["price"], "extension": ".out", "media_type": "x/y"}],
		"params": [{"name": "n", "type": "i64", "default": 5, "min": 1, "max": 9, "description": "how many"}], "requires": [{"name": "q", "version": "^1"}], "on_trap": "stop_feed", "wasi": true}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, markdown := range []bool{true, false} {
		got := Docs(m, []string{"tw_transform"}, markdown)
		for _, want := range []string{"p 1.0.0", "A desk", "MIT", "read, written", "custom column of a plugin before it", "what it is", "too much", "f(price, str) → i64", "1 to 9", "how many", "^1", "the feed stops", "tw_transform", "Files .out x/y"} {
			if !strings.Contains(got, want) {
				t.Errorf("markdown %v: no %q in\n%s", markdown, want, got)
			}
		}
		if strings.Contains(got, "\x1b") || strings.Contains(got, "\n# <") || markdown && strings.Contains(got, "<script") {
			t.Errorf("markdown %v:\n%s", markdown, got)
		}
	}
	if _, err := wasm.FunctionCount(traps(t)); err != nil {
		t.Error(err)
	}
}
