package plugins

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/plugins/sign"
	. "github.com/tickwire/tickwire/plugins/wasm/wasmtest"
	"github.com/tickwire/tickwire/tick"
)

// waitFor waits for a condition that another goroutine brings about.
func waitFor(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !cond(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("waited a minute for %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func (s *stage) ready() bool { return s.live != nil || len(s.spares) > 0 }

const hostileManifest = `{"name": "hostile", "version": "2.3.4", "abi": 1, "limits": {"memory_pages": 64}, %s
	"kinds": [{"kind": "transform", "reads": ["size", "price", "side"], "writes": ["price", "side", "row_ctl", "reason"], "reasons": ["one", "two"]}]}`

// hostile is a transform that first spoils all it may write and then does as told.
func hostile(also string, code func(g *Guest, p Place) Code) []byte {
	g := &Guest{Module: NewModule(), ABI: 1}
	*g = *NewGuest(2)
	return hostileIn(g, also, code)
}

func hostileIn(g *Guest, also string, code func(g *Guest, p Place) Code) []byte {
	p := g.Layout(1024, 0, 0, Column(11, 6, 3, 0), Column(12, 4, 1, 0), Column(3, 1, 3, 0), Column(64, 1, 2, 0), Column(65, 1, 2, 0))
	spoil := Seq(I32(int32(p.Col[11])), I32(0x77), I32(64), MemoryFill, I32(int32(p.Col[3])), I32('B'), I32(4), MemoryFill, I32(int32(p.Col[64])), I32(2), I32(4), MemoryFill)
	c := code(g, p)
	g.Func("tw_transform", "ii:i", "ii", spoil, c)
	return g.Plugin(fmt.Sprintf(hostileManifest, also))
}

// What plugins may do wrong in a call. Each time the batch is what it was but for the mark, the failure is counted and logged by name and version, the spare
// takes over, and the third failure takes the plugin out.
func TestFailures(t *testing.T) {
	ret := func(c Code) func(*Guest, Place) Code { return func(*Guest, Place) Code { return c } }
	for _, tc := range []struct {
		name string
		code func(*Guest, Place) Code
		trap bool
		log  string
	}{
		{"unreachable", ret(Unreachable), true, "tw_transform: wasm error: unreachable"},
		{"division by zero", ret(Seq(I32(1), I32(0), Op(0x6d))), true, "integer divide by zero"},
		{"outside of memory", ret(Seq(I32(1<<30), Load(I32Load, 0))), true, "out of bounds memory access"},
		{"a loop for ever", ret(Seq(Loop(Br(0)), Unreachable)), true, "out of fuel"},
		{"a loop of calls to the host", func(g *Guest, _ Place) Code { return Seq(Loop(Call(0), Drop, Br(0)), Unreachable) }, true, "out of fuel"},
		{"recursion for ever", func(g *Guest, _ Place) Code {
			self := g.Func("", ":", "")
			g.Func("", ":", strings.Repeat("l", 100), Call(self+1))
			return Seq(Call(self+1), Unreachable)
		}, true, "out of fuel"},
		{"memory.fill of all memory, over and over", ret(Seq(I32(63), MemoryGrow, Drop, Loop(I32(0), I32(0), I32(0), MemoryFill, I32(1<<16), I32(0), I32(1<<16), MemoryFill, Br(0)), Unreachable)), true, "out of fuel"},
		{"memory.fill of 4 GiB", ret(Seq(I32(0), I32(0), I32(-1), MemoryFill, LocalGet(1))), true, "out of fuel"},
		{"a row too many", ret(Seq(LocalGet(1), I32(1), I32Add)), false, "it returned 101, want 100"},
		{"a row too few", ret(Seq(LocalGet(1), I32(1), I32Sub)), false, "it returned 99, want 100"},
		{"more rows than fit", ret(I32(1 << 30)), false, "it returned 1073741824"},
		{"an error", func(g *Guest, _ Place) Code {
			g.Data(128, []byte("the moon is in the wrong phase"))
			g.Func("tw_error", ":l", "", I64(128<<32|30))
			return I32(-5)
		}, false, "it returned -5: the moon is in the wrong phase"},
		{"an error without a text", func(g *Guest, _ Place) Code {
			g.Func("tw_error", ":l", "", I64(-1))
			return I32(-5)
		}, false, "it returned -5"},
		{"a row_ctl that is none", func(_ *Guest, p Place) Code {
			return Seq(I32(int32(p.Col[64])+50), I32(3), Store(I32Store8, 0), LocalGet(1))
		}, false, "a row_ctl is none of 0, 1, 2"},
		{"a row_ctl in the last row", func(_ *Guest, p Place) Code {
			return Seq(I32(int32(p.Col[64])+99), I32(128), Store(I32Store8, 0), LocalGet(1))
		}, false, "a row_ctl is none of 0, 1, 2"},
		{"a reason that is none", func(_ *Guest, p Place) Code {
			return Seq(I32(int32(p.Col[65])+3), I32(2), Store(I32Store8, 0), LocalGet(1))
		}, false, "a reason is 2, but there are 2"},
		{"a side that is none", func(_ *Guest, p Place) Code {
			return Seq(I32(int32(p.Col[3])+99), I32('X'), Store(I32Store8, 0), LocalGet(1))
		}, false, "a side is 'X'"},
		{"a layout that changes later", func(_ *Guest, p Place) Code {
			return Seq(I32(int32(p.Layout)+36), I32(1<<20), Store(I32Store, 0), LocalGet(1))
		}, false, "its layout is not what it was"},
		{"memory overwritten from end to end", func(_ *Guest, p Place) Code {
			return Seq(I32(0), I32(0x55), I32(2<<16), MemoryFill, LocalGet(1))
		}, false, "its layout is not what it was"},
		{"a log line from outside of memory", func(g *Guest, _ Place) Code {
			return Seq(I32(1), I32(-16), I32(100), Call(1), LocalGet(1))
		}, true, "an address outside of its memory"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, book := newHost(t, Policy{})
			g := NewGuest(2)
			g.Module = NewModule()
			g.Import("tickwire", "now", ":l")
			g.Import("tickwire", "log", "iii:")
			g.Memory(2, -1)
			c := newChain(t, h, Env{}, compile(t, h, hostileIn(g, "", tc.code)))
			for round := 1; round <= 3; round++ {
				waitFor(t, "a spare", c.stages[0].ready)
				b, want := newBatch(t, 100), newBatch(t, 100)
				c.Pass(b, 1)
				for r := range 100 {
					if b.Price[r] != want.Price[r] || b.Side[r] != want.Side[r] || b.Size[r] != want.Size[r] || b.Kind[r] != want.Kind[r] {
						t.Fatalf("row %d is not what it was", r)
					}
					if b.Flags[r] != tick.FlagPublisherSpecific || c.Verdict[r] != Bypassed {
						t.Fatalf("row %d: flags %02x, verdict %d; want the mark of a row not handled", r, b.Flags[r], c.Verdict[r])
					}
				}
				name, version, why := c.Why(c.Reason[99])
				if name != "hostile" || version != "2.3.4" || !strings.Contains(why, "failed") {
					t.Fatalf("why: %s %s %s", name, version, why)
				}
				s := c.Stats()[0]
				if failed := s.Errors + s.Traps; failed != uint64(round) || (s.Traps > 0) != tc.trap || s.Bypassed != uint64(100*round) || s.Rows != 0 {
					t.Fatalf("round %d: %+v", round, s)
				}
				// How long a call may hold the collector up is told by fuel, not by time: 4,096 and 64 for each of 100 rows.
				if most := uint64(round) * (4096 + 100*64); s.Fuel > most {
					t.Errorf("%d fuel used, want at most %d", s.Fuel, most)
				}
				if s.Out != (round == 3) {
					t.Fatalf("round %d: out is %v", round, s.Out)
				}
			}
			b := newBatch(t, 10)
			c.Pass(b, 1)
			if _, _, why := c.Why(c.Reason[0]); c.Verdict[0] != Bypassed || !strings.Contains(why, "taken out") {
				t.Errorf("after it was taken out: verdict %d, %s", c.Verdict[0], why)
			}
			waitFor(t, "the log", func() bool { return strings.Count(book.String(), "plugin=hostile version=2.3.4") >= 3 })
			if text := book.String(); !strings.Contains(text, tc.log) || strings.Count(text, "taken out") != 1 {
				t.Errorf("want %q and the end told once in the log:\n%s", tc.log, text)
			}
		})
	}
}

// Between failures the plugin works: only the batch that it fails on passes unhandled, and only the slice of it.
func TestSpareTakesOver(t *testing.T) {
	h, _ := newHost(t, Policy{MaxFailures: 100})
	// Fails when the first row's size is 1024: the second slice of a large batch.
	module := hostile("", func(_ *Guest, p Place) Code {
		return Seq(I32(int32(p.Col[12])), Load(I64Load, 0), I64(1024), Op(0x51), If(Unreachable), LocalGet(1))
	})
	c := newChain(t, h, Env{}, compile(t, h, module))
	for round := range 5 {
		waitFor(t, "instances", func() bool { return len(c.stages[0].spares) > 0 })
		b := newBatch(t, 3000)
		c.Pass(b, 1)
		for r := range 3000 {
			want := Keep
			switch {
			case r >= 1024 && r < 2048:
				want = Bypassed
			case r%1024 < 4:
				want = Flagged
			}
			if c.Verdict[r] != want {
				t.Fatalf("round %d row %d: verdict %d, want %d", round, r, c.Verdict[r], want)
			}
		}
	}
	if s := c.Stats()[0]; s.Traps != 5 || s.Rows != 5*(3000-1024) || s.Bypassed != 5*1024 || s.Flagged != 5*8 || s.Batches != 10 || s.Out {
		t.Errorf("%+v", s)
	}
}

// failsOnSeven is a module that fails on a batch whose first row has size 7.
func failsOnSeven() []byte {
	return hostile("", func(_ *Guest, p Place) Code {
		return Seq(I32(int32(p.Col[12])), Load(I64Load, 0), I64(7), Op(0x51), If(Unreachable), LocalGet(1))
	})
}

// What takes a plugin out is batches in a row that fail: one that goes well begins the count anew, and one that passed by for want of an instance is neither.
func TestFailuresInARow(t *testing.T) {
	h, _ := newHost(t, Policy{MostFailures: 1000})
	c, err := h.NewChain([]Stage{{Plugin: compile(t, h, failsOnSeven()), MaxFailures: 4}}, Env{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	pass := func(size uint64) bool {
		t.Helper()
		waitFor(t, "an instance", func() bool { return c.stages[0].live != nil || len(c.stages[0].spares) > 0 || c.stages[0].out.Load() })
		b := newBatch(t, 3)
		b.Size[0] = size
		c.Pass(b, 1)
		return c.Stats()[0].Out
	}
	for range 5 {
		for range 3 {
			if pass(7) {
				t.Fatal("three in a row took it out: four may")
			}
		}
		if pass(1) {
			t.Fatal("a batch that went well took it out")
		}
	}
	if pass(7) || pass(7) || pass(7) || !pass(7) {
		t.Errorf("four in a row: %+v", c.Stats()[0])
	}
	if s := c.Stats()[0]; s.Traps != 19 || s.Batches != 5 {
		t.Errorf("%+v", s)
	}
}

// Failures that are further apart than the window do not add up; those within it do, whatever went well between them.
func TestFailureWindow(t *testing.T) {
	for _, tc := range []struct {
		window time.Duration
		out    bool
	}{{time.Nanosecond, false}, {time.Hour, true}} {
		h, _ := newHost(t, Policy{FailureWindow: tc.window, MostFailures: 5})
		c := newChain(t, h, Env{}, compile(t, h, failsOnSeven()))
		for range 5 {
			for _, size := range []uint64{7, 1} {
				waitFor(t, "an instance", func() bool { return c.stages[0].live != nil || len(c.stages[0].spares) > 0 || c.stages[0].out.Load() })
				b := newBatch(t, 3)
				b.Size[0] = size
				c.Pass(b, 1)
			}
		}
		if s := c.Stats()[0]; s.Traps != 5 || s.Out != tc.out {
			t.Errorf("a window of %v: %+v", tc.window, s)
		}
	}
}

// While no spare can be made the instance that is alive goes on, and a spare is there again when one can; a plugin that has none is taken out.
func TestNoSpareCanBeMade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "granted")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	h, book := granting(t, sign.Grant{Plugin: "hostile", Dir: []sign.Dir{{Path: dir}}}) // an instance cannot be made without it
	c, err := h.NewChain([]Stage{{Plugin: compile(t, h, hostile(`"wasi": true,`, func(_ *Guest, p Place) Code {
		return Seq(I32(int32(p.Col[12])), Load(I64Load, 0), I64(7), Op(0x51), If(Unreachable), LocalGet(1))
	})), MaxFailures: 100}}, Env{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	s := &c.stages[0]
	pass := func(size uint64) StageStats {
		b := newBatch(t, 3)
		b.Size[0] = size
		c.Pass(b, 1)
		return c.Stats()[0]
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	pass(7)
	waitFor(t, "the want of a spare", s.barren.Load)
	if st := pass(1); st.Out || st.Rows != 3 {
		t.Errorf("without a spare: %+v", st)
	}
	waitFor(t, "the log", func() bool { return strings.Contains(book.String(), "no new instance; the plugin goes on") })
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "a spare", func() bool { return len(s.spares) == 1 && !s.barren.Load() })
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	pass(7)
	waitFor(t, "the want of a spare", s.barren.Load)
	if st := pass(7); st.Out {
		t.Errorf("%+v", st)
	}
	if st := pass(1); !st.Out || st.Traps != 3 || st.Rows != 3 || st.Bypassed != 4*3 {
		t.Errorf("without any: %+v", st)
	}
}

func TestOnTrap(t *testing.T) {
	trap := func(*Guest, Place) Code { return Unreachable }
	h, _ := newHost(t, Policy{})
	c := newChain(t, h, Env{}, compile(t, h, hostile(`"on_trap": "drop_output",`, trap)))
	b := newBatch(t, 10)
	c.Pass(b, 1)
	for r := range 10 {
		want := Dropped // a trade
		if r%2 == 0 {
			want = Bypassed // an order: readers' books need it
		}
		if c.Verdict[r] != want {
			t.Errorf("drop_output: row %d has verdict %d, want %d", r, c.Verdict[r], want)
		}
	}
	if s := c.Stats()[0]; s.Dropped != 5 || s.Bypassed != 10 || c.Stopped() != nil {
		t.Errorf("%+v, %v", s, c.Stopped())
	}
	c = newChain(t, h, Env{}, compile(t, h, hostile(`"on_trap": "stop_feed",`, trap)))
	c.Pass(b, 1)
	if err := c.Stopped(); !errors.Is(err, ErrStopped) || !strings.Contains(err.Error(), "hostile 2.3.4") {
		t.Errorf("stop_feed: %v", err)
	}
}

// adder is a transform that sets custom column to ask - bid + plus, or to what it reads of another + plus.
func adder(name, version, custom, from string, plus int64) []byte {
	g := NewGuest(2)
	cols := []Col{Column(128, 6, 2, 0)}
	reads := `"bid_px", "ask_px"`
	if from == "" {
		cols = append(cols, Column(17, 6, 1, 0), Column(18, 6, 1, 0))
	} else {
		cols, reads = append(cols, Column(132, 6, 1, 0)), `"`+from+`"`
	}
	p := g.Layout(256, 0, 0, cols...)
	value := Seq(LocalGet(3), Load(I64Load, p.Col[18]), LocalGet(3), Load(I64Load, p.Col[17]), Op(0x7d))
	if from != "" {
		value = Seq(LocalGet(3), Load(I64Load, p.Col[132]))
	}
	g.Func("tw_transform", "ii:i", "ii", EachRow(1, 2, LocalGet(2), I32(3), I32Shl, LocalSet(3),
		LocalGet(3), value, I64(plus), I64Add, Store(I64Store, p.Col[128])), LocalGet(1))
	return g.Plugin(fmt.Sprintf(`{"name": %q, "version": %q, "abi": 1, "limits": {"max_rows": 256},
		"kinds": [{"kind": "transform", "reads": [%s], "custom": [{"name": %q, "type": "i64"}]}]}`, name, version, reads, custom))
}

func TestCustomColumns(t *testing.T) {
	h, _ := newHost(t, Policy{})
	a, b := compile(t, h, adder("a", "1.0.0", "spread", "", 5)), compile(t, h, adder("b", "1.0.0", "spread_more", "spread", 7))
	c := newChain(t, h, Env{}, a, compile(t, h, Kernel()), b)
	if got := c.CustomColumns(); len(got) != 2 || got[0].Name != "spread" || got[1].Name != "spread_more" || c.Custom[2] != nil {
		t.Fatalf("custom columns %v", got)
	}
	rows := newBatch(t, 1000)
	c.Pass(rows, 1)
	for r := range 1000 {
		if x, y := int64(c.Custom[0][r]), int64(c.Custom[1][r]); x != 4 || y != 11 {
			t.Fatalf("row %d: %d and %d, want 4 and 11", r, x, y)
		}
	}
}

func TestContradictions(t *testing.T) {
	h, _ := newHost(t, Policy{})
	var one []*Plugin
	for k := range 5 {
		one = append(one, compile(t, h, adder(fmt.Sprint("p", k), "1.0.0", fmt.Sprint("c", k), "", 0)))
	}
	same := compile(t, h, adder("same", "1.0.0", "c0", "", 0))
	reader := compile(t, h, adder("reader", "1.0.0", "c9", "c0", 0))
	again := compile(t, h, adder("p0", "2.0.0", "c8", "", 0))
	g := NewGuest(1)
	g.Layout(1, 0, 0, Column(768, 6, 2, 0))
	g.Func("tw_function", "ii:i", "", LocalGet(1))
	function := compile(t, h, g.Plugin(`{"name": "fn", "version": "1.0.0", "abi": 1, "limits": {"max_rows": 1}, "kinds": [{"kind": "function", "name": "f", "returns": "i64"}]}`))
	typed := func(typ string, number uint8) *Plugin {
		g := NewGuest(1)
		g.Layout(1, 0, 0, Column(128, number, 2, 0))
		g.Func("tw_transform", "ii:i", "", LocalGet(1))
		return compile(t, h, g.Plugin(`{"name": "typed", "version": "1.0.0", "abi": 1, "limits": {"max_rows": 1}, "kinds": [{"kind": "transform", "custom": [{"name": "c0", "type": "`+typ+`"}]}]}`))
	}
	for _, tc := range []struct {
		name  string
		chain []*Plugin
		want  string
	}{
		{"the same column", []*Plugin{one[0], same}, "plugin same 1.0.0: its custom column c0 is p0's already"},
		{"five columns", one, "c4 would be the fifth"},
		{"a reader without a writer", []*Plugin{reader}, "it reads c0, which is no column of a batch"},
		{"a reader before its writer", []*Plugin{reader, one[0]}, "it reads c0, which is no column of a batch"},
		{"two versions", []*Plugin{one[0], again}, "a plugin of that name is in the chain already"},
		{"a function", []*Plugin{function}, "it has neither a transform nor a validator"},
		{"another type", []*Plugin{typed("f64", 7), reader}, "column 132 is i64, but the custom column is f64"},
		{"the same type under another name", []*Plugin{typed("price", 6), reader}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var stages []Stage
			for _, p := range tc.chain {
				stages = append(stages, Stage{Plugin: p})
			}
			c, err := h.NewChain(stages, Env{})
			if err == nil {
				c.Close()
			}
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
}

// judgeBy is a validator that refuses rows by size: below 10 refused with reason 0, below 20 flagged with reason 1.
func judgeBy(name string) []byte {
	g := NewGuest(1)
	p := g.Layout(64, 0, 0, Column(12, 4, 1, 0), Column(64, 1, 2, 0), Column(65, 1, 2, 0))
	size := Seq(LocalGet(2), I32(3), I32Shl, Load(I64Load, p.Col[12]))
	g.Func("tw_validate", "ii:i", "ii", EachRow(1, 2,
		size, I64(10), Op(0x54), If(LocalGet(2), I32(1), Store(I32Store8, p.Col[64]), LocalGet(3), I32(1), I32Add, LocalSet(3)),
		size, I64(10), I64GeU, size, I64(20), Op(0x54), Op(0x71), If(
			LocalGet(2), I32(2), Store(I32Store8, p.Col[64]), LocalGet(2), I32(1), Store(I32Store8, p.Col[65]), LocalGet(3), I32(1), I32Add, LocalSet(3))),
		LocalGet(3))
	return g.Plugin(`{"name": "` + name + `", "version": "1.0.0", "abi": 1, "limits": {"max_rows": 64}, "kinds": [{"kind": "validator", "reads": ["size"], "reasons": ["small", "smallish"]}]}`)
}

func TestValidator(t *testing.T) {
	h, _ := newHost(t, Policy{})
	c := newChain(t, h, Env{}, compile(t, h, judgeBy("judge")))
	for _, n := range []int{1, 15, 63, 200} {
		b := newBatch(t, n)
		c.Pass(b, 1)
		for r := range n {
			want, why := Keep, ""
			switch {
			case r < 10 && r%2 == 1:
				want, why = Dropped, "small" // a trade
			case r < 10:
				want, why = Refused, "small" // an order
			case r < 20:
				want, why = Flagged, "smallish"
			}
			if c.Verdict[r] != want || (b.Flags[r]&tick.FlagPublisherSpecific != 0) != (want != Keep) {
				t.Fatalf("row %d: verdict %d, flags %02x", r, c.Verdict[r], b.Flags[r])
			}
			if _, _, got := c.Why(c.Reason[r]); want != Keep && got != why {
				t.Fatalf("row %d: reason %q, want %q", r, got, why)
			}
		}
	}
	if s := c.Stats()[0]; s.Refused != 1+10+10+10 || s.Dropped != 0+5+5+5 || s.Flagged != 0+5+10+10 {
		t.Errorf("%+v", s)
	}
}

// A validator that miscounts is wrong about what it did.
func TestValidatorCount(t *testing.T) {
	g := NewGuest(1)
	p := g.Layout(64, 0, 0, Column(64, 1, 2, 0), Column(65, 1, 2, 0))
	g.Func("tw_validate", "ii:i", "", I32(int32(p.Col[64])), I32(1), Store(I32Store8, 0), I32(2))
	h, _ := newHost(t, Policy{})
	p1 := compile(t, h, g.Plugin(`{"name": "v", "version": "1.0.0", "abi": 1, "limits": {"max_rows": 64}, "kinds": [{"kind": "validator"}]}`))
	c := newChain(t, h, Env{}, p1)
	b := newBatch(t, 10)
	c.Pass(b, 1)
	if s := c.Stats()[0]; s.Errors != 1 || s.Refused != 0 || c.Verdict[0] != Bypassed {
		t.Errorf("%+v, verdict %d", s, c.Verdict[0])
	}
}

// renamer is a transform that sets the first letter of each symbol.
func renamer(name, version string, letter byte) []byte {
	g := NewGuest(2)
	p := g.Layout(256, 0, 0, Column(30, 8, 3, 16))
	g.Func("tw_transform", "ii:i", "i", EachRow(1, 2, LocalGet(2), I32(4), I32Shl, I32(int32(letter)), Store(I32Store8, p.Col[30])), LocalGet(1))
	return g.Plugin(fmt.Sprintf(`{"name": %q, "version": %q, "abi": 1, "limits": {"max_rows": 256}, "kinds": [{"kind": "transform", "reads": ["symbol"], "writes": ["symbol"]}]}`, name, version))
}

type directory map[uint32]string

func (d directory) Symbol(instrument uint32) []byte {
	if s, ok := d[instrument]; ok {
		return []byte(s)
	}
	return nil
}

// Symbols are told once, when they change; a plugin sees what those before it wrote, never what it wrote itself; and they go back when the plugin goes.
func TestSymbols(t *testing.T) {
	h, _ := newHost(t, Policy{})
	dir := directory{1: "AAPL", 2: "MSFT", 3: "Z", 4: "QCOM"}
	told := func(c *Chain) (s []string) {
		for _, r := range c.Renamed() {
			s = append(s, fmt.Sprint(r.Instrument, "=", r.Symbol))
		}
		slices.Sort(s)
		return s
	}
	var seat Seat
	step := func(name, want string) {
		t.Helper()
		b := newBatch(t, 600)
		c := seat.Take()
		c.Pass(b, 1)
		if got := fmt.Sprint(told(c)); got != want {
			t.Errorf("%s: told %s, want %s", name, got, want)
		}
	}
	plugins := func(modules ...[]byte) *Chain {
		var stages []Stage
		for _, m := range modules {
			stages = append(stages, Stage{Plugin: compile(t, h, m)})
		}
		c, err := h.NewChain(stages, Env{Directory: dir})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	seat.Set(plugins(renamer("r", "1.0.0", 'Z')))
	step("at first", "[1=ZAPL 2=ZSFT 4=ZCOM 5=Z]") // 3 is what it was; 5 has none
	step("again", "[]")
	seat.Set(plugins(renamer("r", "1.0.0", 'Z'), renamer("s", "1.0.0", 'Y')))
	step("a second plugin", "[1=YAPL 2=YSFT 3=Y 4=YCOM 5=Y]")
	step("a second plugin, again", "[]")
	seat.Set(plugins(renamer("r", "2.0.0", 'A')))
	step("another version", "[1=AAPL 2=ASFT 3=A 4=ACOM 5=A]")
	seat.Set(plugins(Kernel()))
	step("none that writes", "[2=MSFT 3=Z 4=QCOM 5=]") // 1 is told as it is
	last := seat.Take()
	seat.Set(nil)
	if seat.Take() != nil {
		t.Error("a chain in an empty seat")
	}
	<-last.Closed()
}

// A plugin that changes its symbols on and on is taken out: each change is told anew, in a file that would fill the memory of the rings.
func TestSymbolsOnAndOn(t *testing.T) {
	const stride = 8
	g := NewGuest(1)
	p := g.Layout(1024, 0, 0, Column(30, 8, 3, stride))
	g.Func("tw_transform", "ii:i", "i", EachRow(1, 2,
		LocalGet(2), I32(3), I32Shl, I32('A'), LocalGet(2), I32(1), Op(0x71), I32Add, Store(I32Store8, p.Col[30])), LocalGet(1)) // A and B in turn
	h, book := newHost(t, Policy{MostFailures: 3})
	c := newChain(t, h, Env{Directory: directory{1: "X", 2: "X", 3: "X", 4: "X", 5: "X"}}, compile(t, h, g.Plugin(`{"name": "restless", "version": "1.0.0", "abi": 1,
		"kinds": [{"kind": "transform", "reads": ["symbol"], "writes": ["symbol"]}]}`)))
	b, passes := newBatch(t, 500), 0
	for ; passes < 4*mostAgain/400 && !c.Stats()[0].Out; passes++ {
		waitFor(t, "an instance", func() bool { return c.stages[0].ready() || c.Stats()[0].Out })
		c.Pass(b, 1)
	}
	if s := c.Stats()[0]; !s.Out || s.Errors != 3 || passes < 3*mostAgain/500 {
		t.Errorf("after %d passes: %+v", passes, s)
	}
	waitFor(t, "the line", func() bool { return strings.Contains(book.String(), "symbols that it had written before") })
}

func TestSymbolImpossible(t *testing.T) {
	h, _ := newHost(t, Policy{})
	for _, letter := range []byte{1, ' ', 0x7f, 0xff} {
		c := newChain(t, h, Env{Directory: directory{1: "AAPL"}}, compile(t, h, renamer("r", "1.0.0", letter)))
		c.Pass(newBatch(t, 10), 1)
		if s := c.Stats()[0]; s.Errors != 1 || len(c.Renamed()) != 0 {
			t.Errorf("letter %#x: %+v, renamed %v", letter, s, c.Renamed())
		}
	}
}

// counter keeps a count of batches in memory and puts it into a custom column; it saves and restores, unless it is stateless.
func counter(version string, stateful bool, refuse int32) []byte {
	g := NewGuest(2)
	p := g.Layout(4096, 0, 0, Column(128, 6, 2, 0))
	at := Seq(I32(64))
	g.Func("tw_transform", "ii:i", "i",
		at, at, Load(I64Load, 0), I64(1), I64Add, Store(I64Store, 0),
		EachRow(1, 2, LocalGet(2), I32(3), I32Shl, at, Load(I64Load, 0), Store(I64Store, p.Col[128])), LocalGet(1))
	if stateful {
		g.Func("tw_alloc", "i:i", "", I32(64))
		g.Func("tw_save", ":l", "", I64(64<<32|8))
		g.Func("tw_restore", "ii:i", "", I32(refuse))
	}
	return g.Plugin(fmt.Sprintf(`{"name": "counter", "version": %q, "abi": 1, "limits": {"max_rows": 4096}, "kinds": [{"kind": "transform", "custom": [{"name": "n", "type": "i64"}]}]}`, version))
}

func TestStateMoves(t *testing.T) {
	h, _ := newHost(t, Policy{})
	var seat Seat
	put := func(module []byte) {
		c, err := h.NewChain([]Stage{{Plugin: compile(t, h, module)}}, Env{})
		if err != nil {
			t.Fatal(err)
		}
		seat.Set(c)
	}
	b := newBatch(t, 3)
	pass := func(want int64) {
		t.Helper()
		c := seat.Take()
		c.Pass(b, 1)
		if got := int64(c.Custom[0][2]); got != want {
			t.Errorf("count %d, want %d", got, want)
		}
	}
	put(counter("1.0.0", true, 0))
	pass(1)
	pass(2)
	put(counter("1.1.0", true, 0))
	pass(3)
	put(counter("1.2.0", false, 0)) // keeps none: begins anew
	pass(1)
	pass(2)
	put(counter("1.3.0", true, 0)) // the one before saved none
	pass(1)
	put(counter("1.4.0", true, -3)) // refuses: its spare begins anew
	pass(1)
	c := seat.Take()
	if s := c.Stats()[0]; s.Rows != 7*3 || s.Errors != 1 || s.Version != "1.4.0" {
		t.Errorf("figures go on under the name: %+v", s)
	}
	seat.Set(nil)
	seat.Take()
	<-c.Closed()
}

// A chain that is replaced before a lane takes it is closed without having run.
func TestSeatReplacesUntaken(t *testing.T) {
	h, _ := newHost(t, Policy{})
	p := compile(t, h, Kernel())
	var seat Seat
	var chains []*Chain
	for range 3 {
		c, err := h.NewChain([]Stage{{Plugin: p}}, Env{})
		if err != nil {
			t.Fatal(err)
		}
		chains = append(chains, c)
		seat.Set(c)
	}
	<-chains[0].Closed()
	<-chains[1].Closed()
	if seat.Take() != chains[2] {
		t.Error("the lane does not have the last one")
	}
	seat.Set(nil)
	seat.Take()
	<-chains[2].Closed()
}

// A thousand reloads under load: every batch is handled by one version whole, none is lost or handled twice, and at the end nothing is left over.
func TestReloadUnderLoad(t *testing.T) {
	const versions, swaps = 8, 1000
	h, _ := newHost(t, Policy{})
	var plugins []*Plugin
	for v := range versions {
		plugins = append(plugins, compile(t, h, adder("a", fmt.Sprintf("1.0.%d", v), "version", "", int64(v*100))))
	}
	var seat Seat
	set := func(v int) *Chain {
		c, err := h.NewChain([]Stage{{Plugin: plugins[v%versions]}}, Env{})
		if err != nil {
			t.Error(err)
			return nil
		}
		seat.Set(c)
		return c
	}
	set(0)
	b := newBatch(t, 1000) // four slices each
	stop, passes := make(chan struct{}), uint64(0)
	last := make(chan *Chain)
	go func() {
		for {
			c := seat.Take()
			select {
			case <-stop:
				last <- c
				return
			default:
			}
			c.Pass(b, 1)
			passes++
			first := c.Custom[0][0]
			for r := range b.N {
				if c.Custom[0][r] != first || c.Verdict[r] != Keep {
					t.Errorf("pass %d: row 0 was handled by version %d, row %d by %d; verdict %d", passes, first, r, c.Custom[0][r], c.Verdict[r])
					break
				}
			}
		}
	}()
	for v := 1; v <= swaps; v++ {
		c := set(v)
		for v%10 == 0 && c.state.Load() == chainNew { // others are replaced at any time
			runtime.Gosched()
		}
	}
	close(stop)
	c := <-last
	if s := c.Stats()[0]; s.Rows != passes*1000 || s.Batches != passes*4 || s.Passes != passes || s.Bypassed+s.Traps+s.Errors != 0 {
		t.Errorf("%d passes of 1000 rows, but figures are %+v", passes, s)
	}
	seat.Set(nil)
	seat.Take()
	seat.Take()
	<-c.Closed()
	for _, p := range plugins {
		waitFor(t, "all instances to be gone", func() bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.instances == 0
		})
	}
	t.Logf("%d passes during %d reloads", passes, swaps)
}

// Once warm a pass allocates nothing, whatever a plugin reads and writes.
func TestSteadyState(t *testing.T) {
	all := NewGuest(64)
	var cols []Col
	var reads []string
	for _, c := range manifest.Columns {
		if c.Hidden {
			continue
		}
		access := uint8(1)
		if c.Writable {
			access = 3
		}
		stride := uint32(0)
		if c.Type == manifest.Str {
			stride = 16
		}
		cols, reads = append(cols, Column(c.ID, uint8(c.Type.Wire()), access, stride)), append(reads, `"`+c.Name+`"`)
	}
	cols = append(cols, Column(64, 1, 2, 0), Column(65, 1, 2, 0))
	all.Layout(1024, 0, 0, cols...)
	all.Func("tw_transform", "ii:i", "", LocalGet(1))
	h, _ := newHost(t, Policy{})
	c := newChain(t, h, Env{Directory: preset{}, Publisher: 2}, compile(t, h, Kernel()), compile(t, h, adder("a", "1.0.0", "x", "", 1)), compile(t, h, judgeBy("j")),
		compile(t, h, all.Plugin(fmt.Sprintf(`{"name": "all", "version": "1.0.0", "abi": 1, "kinds": [{"kind": "transform", "reads": [%s],
			"writes": ["price", "size", "side", "symbol", "row_ctl", "reason"], "reasons": ["a"]}]}`, strings.Join(reads, ",")))))
	b := newBatch(t, 2500)
	var seat Seat
	seat.Set(c)
	if n := testing.AllocsPerRun(50, func() { seat.Take().Pass(b, 1) }); n != 0 {
		t.Errorf("%v allocations a pass", n)
	}
	if s := c.Stats()[3]; s.Rows == 0 || s.Errors+s.Traps+s.Bypassed != 0 {
		t.Errorf("%+v", s)
	}
}

type preset struct{}

var presetSymbol = []byte("AAPL")

func (preset) Symbol(uint32) []byte { return presetSymbol }

// Every column is what the batch has.
func TestColumnsAsTheyAre(t *testing.T) {
	h, _ := newHost(t, Policy{})
	b := newBatch(t, 50)
	b.Aux[2] = 0x4443_4241 // an order's MPID
	b.Kind[5], b.Aux[5] = tick.KindExt, tick.SideRows(1, 2)
	b.Exts[1].Kind, b.Exts[2] = tick.ExtSize, tick.Ext{Kind: tick.ExtMPID, A: 0x5a}
	for r := range 50 {
		b.Sub[r], b.State[r], b.Left[r], b.OldPrice[r], b.OldSize[r], b.TsRecv[r] = uint8(r), uint8(r+1), uint64(r+2), int64(-r), uint64(r+3), uint64(r+4)
	}
	dir := directory{1: "AAPL", 2: "A SYMBOL LONGER THAN THAT", 4: "Q"}
	for _, col := range manifest.Columns {
		if col.Hidden {
			continue
		}
		g := NewGuest(1)
		stride := uint32(0)
		if col.Type == manifest.Str {
			stride = 8
		}
		p := g.Layout(64, 0, 0, Column(col.ID, uint8(col.Type.Wire()), 1, stride), Column(768, 4, 2, 0))
		// The key is the value's first eight bytes.
		size := col.Type.Bytes()
		if size == 0 {
			size = 8
		}
		load := map[int]Code{1: Seq(LocalGet(2), Load(0x31, p.Col[col.ID])), 2: Seq(LocalGet(2), I32(1), I32Shl, Load(0x33, p.Col[col.ID])),
			4: Seq(LocalGet(2), I32(2), I32Shl, Load(0x35, p.Col[col.ID])), 8: Seq(LocalGet(2), I32(3), I32Shl, Load(0x29, p.Col[col.ID]))}[size]
		g.Func("tw_partition", "ii:i", "i", EachRow(1, 2, LocalGet(2), I32(3), I32Shl, load, Store(I64Store, p.Col[768])), LocalGet(1))
		i := instance(t, compile(t, h, g.Plugin(`{"name": "p", "version": "1.0.0", "abi": 1, "limits": {"max_rows": 64}, "kinds": [{"kind": "partition", "name": "p", "reads": ["`+col.Name+`"]}]}`)),
			Env{Directory: dir, Publisher: 4711})
		keys, err := i.Partition(0, b, 3, 40)
		if err != nil || len(keys) != 40 {
			t.Fatalf("%s: %d keys, %v", col.Name, len(keys), err)
		}
		for k, got := range keys {
			r := k + 3
			if want := valueOf(b, col.Name, r, dir); got != want {
				t.Fatalf("%s of row %d is %#x, want %#x", col.Name, r, got, want)
			}
		}
		if col.Name == "symbol" && i.Cut != 8 {
			t.Errorf("%d symbols were cut, want 8", i.Cut)
		}
	}
}

// valueOf is the obvious way to a value.
func valueOf(b *tick.Batch, name string, r int, dir directory) uint64 {
	text := func(s string) (v uint64) {
		for k := range min(len(s), 8) {
			v |= uint64(s[k]) << (8 * k)
		}
		return v
	}
	before, after := b.Before[r], b.After[r]
	switch name {
	case "symbol":
		return text(dir[b.Instrument[r]])
	case "mpid":
		if b.Kind[r] == tick.KindExt {
			return b.Exts[2].A
		}
		if b.Kind[r] == tick.KindAdd {
			return b.Aux[r]
		}
		return 0
	}
	return map[string]uint64{
		"kind": uint64(b.Kind[r]), "sub": uint64(b.Sub[r]), "side": uint64(b.Side[r]), "flags": uint64(b.Flags[r]), "instrument_id": uint64(b.Instrument[r]), "ts_event": b.TsEvent[r],
		"ts_recv": b.TsRecv[r], "sequence": b.Sequence[r], "order_id": b.OrderID[r], "aux": b.Aux[r], "price": uint64(b.Price[r]), "size": b.Size[r], "state": uint64(b.State[r]),
		"left": b.Left[r], "old_price": uint64(b.OldPrice[r]), "old_size": b.OldSize[r],
		"bid_px": uint64(after.BidPx), "ask_px": uint64(after.AskPx), "bid_sz": uint64(after.BidSz), "ask_sz": uint64(after.AskSz), "bid_ct": uint64(after.BidCt), "ask_ct": uint64(after.AskCt),
		"prev_bid_px": uint64(before.BidPx), "prev_ask_px": uint64(before.AskPx), "prev_bid_sz": uint64(before.BidSz), "prev_ask_sz": uint64(before.AskSz), "prev_bid_ct": uint64(before.BidCt),
		"prev_ask_ct": uint64(before.AskCt), "publisher_id": 4711,
	}[name]
}

// What a call may use is bounded whatever a plugin declares.
func TestBudget(t *testing.T) {
	h, _ := newHost(t, Policy{})
	p := compile(t, h, Kernel())
	for _, tc := range []struct {
		perRow, rows int64
		lane         bool
		want         int64
	}{{64, 1, true, 4160}, {64, 1024, true, 69_632}, {1 << 30, 4096, true, 400_000}, {1 << 30, 4096, false, 40_000_000}, {64, 0, false, 4096}} {
		i := instance(t, p, Env{Lane: tc.lane})
		i.fuelPerRow = tc.perRow
		if got := i.budget(int(tc.rows)); got != tc.want {
			t.Errorf("%+v: %d", tc, got)
		}
	}
}

// A plugin may grow to what it declared, not further; its columns stay where they are.
func TestMemoryGrows(t *testing.T) {
	g := NewGuest(2)
	g.Module = NewModule()
	g.Memory(2, -1)
	p := g.Layout(64, 0, 0, Column(11, 6, 3, 0), Column(128, 6, 2, 0))
	g.Func("tw_transform", "ii:i", "i", I32(1), MemoryGrow, LocalSet(2), I32(0), LocalGet(2), Op(0xac), Store(I64Store, p.Col[128]),
		I32(0), I32(0), Load(I64Load, p.Col[11]), I64(1), I64Add, Store(I64Store, p.Col[11]), LocalGet(1))
	h, _ := newHost(t, Policy{})
	c := newChain(t, h, Env{}, compile(t, h, g.Plugin(`{"name": "g", "version": "1.0.0", "abi": 1, "limits": {"max_rows": 64, "memory_pages": 5},
		"kinds": [{"kind": "transform", "reads": ["price"], "writes": ["price"], "custom": [{"name": "pages", "type": "i64"}]}]}`)))
	b := newBatch(t, 1)
	b.Price[0] = 0
	for k, want := range []int64{2, 3, 4, -1, -1} {
		c.Pass(b, 1)
		if got := int64(c.Custom[0][0]); got != want || b.Price[0] != int64(k+1) {
			t.Errorf("call %d: memory.grow gave %d, want %d; price %d", k, got, want, b.Price[0])
		}
	}
}

// Rows of kinds without a side have anything in it. A plugin that writes sides and leaves those alone is right.
func TestSideLeftAlone(t *testing.T) {
	g := NewGuest(1)
	p := g.Layout(64, 0, 0, Column(3, 1, 3, 0))
	g.Func("tw_transform", "ii:i", "", I32(0), I32('A'), Store(I32Store8, p.Col[3]), LocalGet(1))
	h, _ := newHost(t, Policy{})
	c := newChain(t, h, Env{}, compile(t, h, g.Plugin(`{"name": "s", "version": "1.0.0", "abi": 1, "limits": {"max_rows": 64}, "kinds": [{"kind": "transform", "writes": ["side"], "reads": ["side"]}]}`)))
	b := newBatch(t, 100)
	b.Side[1], b.Side[99] = 0, 'x'
	c.Pass(b, 1)
	if s := c.Stats()[0]; s.Errors != 0 || b.Side[0] != 'A' || b.Side[64] != 'A' || b.Side[1] != 0 || b.Side[99] != 'x' {
		t.Errorf("%+v, sides %q %q %q %q", s, b.Side[0], b.Side[1], b.Side[64], b.Side[99])
	}
}
