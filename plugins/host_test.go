package plugins

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tickwire/tickwire/plugins/wasm/wasmtest"
	"github.com/tickwire/tickwire/tick"
)

// Guests are put together by package wasmtest, run in the real engine and see real batches.

// logbook collects what the host logs.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newHost(t testing.TB, policy Policy) (*Host, *logbook) {
	t.Helper()
	book := &logbook{}
	h, err := New(Options{Policy: policy, Log: slog.New(slog.NewTextHandler(book, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h, book
}

func compile(t testing.TB, h *Host, module []byte) *Plugin {
	t.Helper()
	p, err := h.Compile(module)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func instance(t testing.TB, p *Plugin, env Env) *Instance {
	t.Helper()
	i, err := p.Instance(env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { i.Close() })
	return i
}

func newBatch(t testing.TB, n int) *tick.Batch {
	t.Helper()
	b, err := tick.NewBatch()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Free() })
	for r := range n {
		b.Kind[r], b.Side[r], b.Flags[r] = tick.KindTrade, 'N', 0
		if r%2 == 0 {
			b.Kind[r], b.Side[r] = tick.KindAdd, 'B'
		}
		b.Instrument[r] = uint32(1 + r%5)
		b.TsEvent[r], b.Sequence[r], b.OrderID[r] = uint64(1000+r), uint64(r), uint64(100+r)
		b.Price[r], b.Size[r] = int64(r+1)*1_000_000_000, uint64(r)
		b.Before[r] = tick.BidAskPair{BidPx: int64(r), AskPx: int64(r + 1), BidSz: uint32(r + 2), AskSz: uint32(r + 3), BidCt: uint32(r + 4), AskCt: uint32(r + 5)}
		b.After[r] = tick.BidAskPair{BidPx: -int64(r), AskPx: -int64(r + 1), BidSz: uint32(r + 6), AskSz: uint32(r + 7), BidCt: uint32(r + 8), AskCt: uint32(r + 9)}
	}
	b.N = n
	return b
}

func newChain(t testing.TB, h *Host, env Env, plugins ...*Plugin) *Chain {
	t.Helper()
	var stages []Stage
	for _, p := range plugins {
		stages = append(stages, Stage{Plugin: p})
	}
	c, err := h.NewChain(stages, env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// The kernel against the same thing in Go, over batches that end in all places of a word and of max_rows.
func TestKernel(t *testing.T) {
	h, _ := newHost(t, Policy{})
	c := newChain(t, h, Env{}, compile(t, h, wasmtest.Kernel()))
	for _, n := range []int{1, 2, 7, 8, 9, 63, 64, 100, 101, 1023, 1024, 1025, 2048, 3333, tick.MaxRows} {
		b := newBatch(t, n)
		c.Pass(b, 7)
		flagged := uint64(0)
		for r := range n {
			wantFlags, wantVerdict := uint8(0), Keep
			if r >= 100 {
				wantFlags, wantVerdict = tick.FlagPublisherSpecific, Flagged
				flagged++
			}
			if b.Price[r] != int64(r+1)*100_000_000_000 || b.Flags[r] != wantFlags || c.Verdict[r] != wantVerdict || b.Size[r] != uint64(r) {
				t.Fatalf("%d rows, row %d: price %d, size %d, flags %02x, verdict %d", n, r, b.Price[r], b.Size[r], b.Flags[r], c.Verdict[r])
			}
		}
	}
	s := c.Stats()[0]
	if s.Plugin != "kernel" || s.Rows == 0 || s.Traps+s.Errors+s.Bypassed != 0 || s.Fuel < s.Rows {
		t.Errorf("stats %+v", s)
	}
}

// refusals of Compile and Instance.
func TestRefused(t *testing.T) {
	kernel := func(change func(g *wasmtest.Guest), manifest string) []byte {
		g := wasmtest.NewGuest(2)
		g.Layout(1024, 0, 0, wasmtest.Col{ID: 11, Type: 6, Access: 3}, wasmtest.Col{ID: 12, Type: 4, Access: 1}, wasmtest.Col{ID: 64, Type: 1, Access: 2})
		change(g)
		if manifest == "" {
			manifest = wasmtest.KernelManifest
		}
		return g.Plugin(manifest)
	}
	transform := func(g *wasmtest.Guest) { g.Func("tw_transform", "ii:i", "", wasmtest.LocalGet(1)) }
	with := func(from, to string) string { return strings.Replace(wasmtest.KernelManifest, from, to, 1) }
	many := wasmtest.NewGuest(1)
	for range 100_000 {
		many.Func("", ":", "")
	}
	for _, tc := range []struct {
		name   string
		module []byte
		want   string
	}{
		{"empty", nil, "not a WebAssembly module"},
		{"an ELF file", []byte("\x7fELF\x02\x01\x01\x00\x00\x00"), "not a WebAssembly module"},
		{"a component", []byte("\x00asm\x0d\x00\x01\x00"), "component"},
		{"no manifest", wasmtest.NewModule().Bytes(), "no manifest"},
		{"a newer ABI", kernel(transform, with(`"abi": 1`, `"abi": 2`)), "abi 2 is newer than this tickwire's 1"},
		{"tw_abi that is newer", kernel(func(g *wasmtest.Guest) { g.ABI = 2; transform(g) }, ""), "tw_abi says 2, but its manifest 1"},
		{"no tw_abi", kernel(func(g *wasmtest.Guest) { g.NoABI = true; transform(g) }, ""), "does not export tw_abi"},
		{"an unknown column", kernel(transform, with(`"size"`, `"volume"`)), `reads volume, which is no column of a batch`},
		{"a column that cannot be written", kernel(transform, with(`["price", "row_ctl"]`, `["order_id"]`)), "column order_id cannot be there"},
		{"an unknown import", kernel(func(g *wasmtest.Guest) {}, ""), "does not export tw_transform, which its kind transform needs"},
		{"a wrong signature", kernel(func(g *wasmtest.Guest) { g.Func("tw_transform", "i:i", "", wasmtest.LocalGet(0)) }, ""), "tw_transform has the signature i:i, want ii:i"},
		{"more memory than declared", kernel(transform, with(`"abi": 1`, `"abi": 1, "limits": {"memory_pages": 1}`)), "begins with 2 pages, but it has at most 1"},
		{"10^5 functions", many.Plugin(wasmtest.KernelManifest), "items, but at most 100000"},
		{"save without restore", kernel(func(g *wasmtest.Guest) { transform(g); g.Func("tw_save", ":l", "", wasmtest.I64(0)) }, ""), "both or none"},
		{"parameters without room for them", kernel(func(g *wasmtest.Guest) { transform(g); g.Func("tw_init", "ii:i", "", wasmtest.I32(0)) }, with(`"abi": 1`, `"abi": 1, "params": [{"name": "x", "type": "i64", "default": 1}]`)), "does not export tw_alloc"},
		{"a parameter that must be set", kernel(transform, with(`"abi": 1`, `"abi": 1, "params": [{"name": "x", "type": "i64"}]`)), "parameter x must be set"},
		{"a start function that loops", kernel(func(g *wasmtest.Guest) { transform(g); g.Start(g.Func("", ":", "", wasmtest.Loop(wasmtest.Br(0)))) }, ""), "unreachable"},
		{"tw_init that refuses", kernel(func(g *wasmtest.Guest) { transform(g); g.Func("tw_init", "ii:i", "", wasmtest.I32(-7)) }, ""), "tw_init: it returned -7"},
		{"tw_init that loops", kernel(func(g *wasmtest.Guest) {
			transform(g)
			g.Func("tw_init", "ii:i", "", wasmtest.Loop(wasmtest.Br(0)), wasmtest.Unreachable)
		}, ""), "tw_init: out of fuel"},
		{"ill at the start", kernel(func(g *wasmtest.Guest) { transform(g); g.Func("tw_health", ":i", "", wasmtest.I32(3)) }, ""), "tw_health: it returned 3"},
		{"wasi without saying so", func() []byte {
			g := wasmtest.NewGuest(1)
			g.Import("wasi_snapshot_preview1", "fd_write", "iiii:i")
			transform(g)
			return g.Plugin(wasmtest.KernelManifest)
		}(), "its manifest does not say wasi"},
		{"an import of nobody's", func() []byte {
			g := wasmtest.NewGuest(1)
			g.Import("env", "system", "i:i")
			return g.Plugin(wasmtest.KernelManifest)
		}(), `it imports the function "system" of "env", which is not to be had`},
		{"a memory of others'", func() []byte {
			g := wasmtest.NewGuest(1)
			g.ImportRaw("tickwire", "log", 2, 0, 1)
			return g.Plugin(wasmtest.KernelManifest)
		}(), `it imports the memory "log"`},
		{"an import with a wrong signature", func() []byte {
			g := wasmtest.NewGuest(1)
			g.Import("tickwire", "log", "ii:")
			g.Layout(1024, 0, 0)
			transform(g)
			return g.Plugin(wasmtest.KernelManifest)
		}(), "import tickwire.log has the signature ii:, want iii:"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, _ := newHost(t, Policy{InitFuel: 1_000_000})
			p, err := h.Compile(tc.module)
			if err == nil {
				defer p.Close()
				var c *Chain
				if c, err = h.NewChain([]Stage{{Plugin: p}}, Env{}); err == nil {
					c.Close()
				}
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
}

// Layouts that are wrong in one thing each.
func TestLayoutRefused(t *testing.T) {
	price, size, ctl := wasmtest.Col{ID: 11, Type: 6, Access: 3}, wasmtest.Col{ID: 12, Type: 4, Access: 1}, wasmtest.Col{ID: 64, Type: 1, Access: 2}
	put := func(at int, b ...byte) func(*wasmtest.Guest, wasmtest.Place) {
		return func(g *wasmtest.Guest, p wasmtest.Place) { g.Data(p.Layout+at, b) }
	}
	for _, tc := range []struct {
		name string
		cols []wasmtest.Col
		and  func(*wasmtest.Guest, wasmtest.Place)
		want string
	}{
		{"right", []wasmtest.Col{price, size, ctl}, nil, ""},
		{"another order", []wasmtest.Col{ctl, size, price}, nil, ""},
		{"magic", []wasmtest.Col{price, size, ctl}, put(0, 9), "it begins with 31505709"},
		{"max_rows", []wasmtest.Col{price, size, ctl}, put(4, 0, 8), "max_rows is 2048, but 1024"},
		{"a column missing", []wasmtest.Col{price, ctl}, nil, "column 12 is missing"},
		{"a column too many", []wasmtest.Col{price, size, ctl, {ID: 9, Type: 4, Access: 1}}, nil, "column 9: the manifest does not name it"},
		{"a column twice", []wasmtest.Col{price, size, ctl, size}, nil, "column 12: there twice"},
		{"another type", []wasmtest.Col{price, {ID: 12, Type: 3, Access: 1}, ctl}, nil, "column 12: its type is u32, want u64"},
		{"an unknown type", []wasmtest.Col{price, size, ctl}, put(32+2, 9), "column 11: type 9 is not known"},
		{"another access", []wasmtest.Col{price, {ID: 12, Type: 4, Access: 3}, ctl}, nil, "column 12: its access is 3, want 1"},
		{"a stride", []wasmtest.Col{price, {ID: 12, Type: 4, Access: 1, Stride: 16}, ctl}, nil, "stride 16, want 8"},
		{"an offset that is not aligned", []wasmtest.Col{price, size, ctl}, put(32+4, 8), "is no multiple of 64 above 0"},
		{"an offset of nothing", []wasmtest.Col{price, size, ctl}, put(32+2*16+4, 0, 0), "column 64: offset 0"}, // else its verdicts would count as none
		{"an offset outside", []wasmtest.Col{price, size, ctl}, put(32+4, 0, 0, 0, 0x80), "behind the end of its memory"},
		{"an offset that wraps round", []wasmtest.Col{price, size, ctl}, put(32+4, 0xc0, 0xff, 0xff, 0xff), "behind the end of its memory"},
		{"columns that overlap", []wasmtest.Col{price, size, ctl}, func(g *wasmtest.Guest, p wasmtest.Place) {
			at := p.Col[12] + 64
			g.Data(p.Layout+32+4, []byte{byte(at), byte(at >> 8)})
		}, "overlap"},
		{"bytes in that overlap", []wasmtest.Col{price, size, ctl}, func(g *wasmtest.Guest, p wasmtest.Place) {
			g.Data(p.Layout+8, []byte{byte(p.Col[11]), byte(p.Col[11] >> 8), 0, 0, 1})
		}, "overlap"},
		{"columns without number", []wasmtest.Col{price, size, ctl}, put(24, 0xff, 0xff, 0xff, 0xff), "but at most 64"},
		{"columns behind memory", []wasmtest.Col{price, size, ctl}, put(24, 4), "column"},
		{"a word of a later ABI", []wasmtest.Col{price, size, ctl}, put(28, 1), "a word that is 0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := wasmtest.NewGuest(2)
			p := g.Layout(1024, 0, 0, tc.cols...)
			if tc.and != nil {
				tc.and(g, p)
			}
			g.Func("tw_transform", "ii:i", "", wasmtest.LocalGet(1))
			h, _ := newHost(t, Policy{})
			i, err := compile(t, h, g.Plugin(wasmtest.KernelManifest)).Instance(Env{Lane: true})
			if err == nil {
				i.Close()
			}
			switch {
			case tc.want == "" && err != nil:
				t.Error(err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
	t.Run("tw_layout that refuses", func(t *testing.T) {
		g := wasmtest.NewGuest(1)
		g.Func("tw_transform", "ii:i", "", wasmtest.LocalGet(1))
		h, _ := newHost(t, Policy{})
		if _, err := compile(t, h, g.Plugin(wasmtest.KernelManifest)).Instance(Env{}); err == nil || !strings.Contains(err.Error(), "layout at 0") {
			t.Errorf("error %v", err)
		}
	})
}

// The cache is the owner's alone, and what another host left there is used.
func TestCache(t *testing.T) {
	dir := t.TempDir() + "/cache"
	var files [2]int
	for round := range files {
		h, err := New(Options{CacheDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		p := compile(t, h, wasmtest.Kernel())
		instance(t, p, Env{}).Close()
		p.Close()
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		all, err := filepath.Glob(dir + "/*/*")
		if err != nil {
			t.Fatal(err)
		}
		files[round] = len(all)
	}
	if files[0] == 0 || files[0] != files[1] {
		t.Errorf("%d files in the cache after the first host, %d after the second", files[0], files[1])
	}
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v; want 0700", st.Mode(), err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{CacheDir: dir}); err == nil || !strings.Contains(err.Error(), "chmod 700") {
		t.Errorf("a cache that all may write: %v", err)
	}
	if os.Geteuid() != 0 {
		return // a folder can be given away by root alone
	}
	if err := errors.Join(os.Chmod(dir, 0o700), os.Chown(dir, 65534, -1)); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{CacheDir: dir}); err == nil || !strings.Contains(err.Error(), "another user") {
		t.Errorf("a cache of another user's: %v", err)
	}
}
