package trial

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/plugins"
	. "github.com/tickwire/tickwire/plugins/wasm/wasmtest"
	"github.com/tickwire/tickwire/tick"
)

// directory knows the symbol of instrument 7.
type directory struct{}

func (directory) Symbol(id uint32) []byte {
	if id == 7 {
		return []byte("BRK B")
	}
	return nil
}

// Goal: what a plugin fails on in a chain can be run again outside of it. Method: one that traps at a price above 100 and reads all sorts of columns; the file that is
// kept is run by Debug. Of three failures two are kept.
func TestKeep(t *testing.T) {
	g := NewGuest(1)
	p := g.Layout(64, 0, 0, Column(11, 6, 1, 0), Column(3, 1, 3, 0), Column(5, 3, 1, 0), Column(30, 8, 1, 16), Column(29, 2, 1, 0), Column(18, 6, 1, 0))
	g.Func("tw_alloc", "i:i", "", I32(512))
	g.Func("tw_transform", "ii:i", "ii", EachRow(1, 2,
		LocalGet(3), Load(I64Load, p.Col[11]), I64(100_000_000_000), I64GtS, If(Unreachable),
		LocalGet(3), I32(8), I32Add, LocalSet(3)), LocalGet(1))
	module := g.Plugin(`{"name": "faulty", "version": "1.2.0", "abi": 1, "limits": {"max_rows": 64},
		"kinds": [{"kind": "transform", "reads": ["price", "side", "instrument_id", "symbol", "publisher_id", "ask_px"], "writes": ["side"]}],
		"params": [{"name": "band", "type": "price", "default": "0.5"}, {"name": "word", "type": "string", "default": "a b"}]}`)
	dir := filepath.Join(t.TempDir(), "kept")
	plugin := compile(t, plugins.Options{OnFailure: Keep(dir, 2, slog.New(slog.DiscardHandler)), Log: slog.New(slog.DiscardHandler)}, module)
	b, err := tick.NewBatch()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Free()
	for range 3 {
		chain, err := plugin.Host().NewChain([]plugins.Stage{{Plugin: plugin}}, plugins.Env{Directory: directory{}, Publisher: 40_000})
		if err != nil {
			t.Fatal(err)
		}
		for r := range 70 { // the second call of the pass is the one that fails
			b.Kind[r], b.Side[r], b.Price[r], b.Instrument[r], b.After[r] = tick.KindAdd, 'A', int64(r)*tick.PriceScale, 7, tick.EmptyPair
		}
		b.Instrument[65], b.Price[66], b.Side[66] = 8, 101*tick.PriceScale, 'N'
		b.N = 70
		chain.Pass(b, 1_700_000_000_000_000_000)
		if err := chain.Close(); err != nil {
			t.Fatal(err)
		}
	}
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(names) != 2 || filepath.Base(names[0]) != "faulty-1.2.0-1.txt" {
		t.Fatalf("%q, %v", names, err)
	}
	text, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseCase("kept", text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if c.Now != 1_700_000_000_000_000_000 || c.Publisher != 40_000 || c.Params["band"] != "0.5" || c.Params["word"] != "a b" || len(c.In.Rows) != 6 ||
		!slices.Equal(c.In.Rows[1], []string{"65", "A", "8", `""`, "-"}) || !slices.Equal(c.In.Rows[2], []string{"101", "N", "7", `"BRK B"`, "-"}) ||
		!strings.HasPrefix(string(text), "# plugin faulty 1.2.0: tw_transform: ") || !strings.Contains(string(text), "# side may be what the plugin wrote") {
		t.Errorf("%s", text)
	}
	fault, small, _, err := Debug(module, nil, func(*plugins.Plugin) (*Case, error) { return c, nil }, true, slog.New(slog.DiscardHandler))
	if err != nil || fault == nil || fault.Instruction != "unreachable" || len(small.In.Rows) != 1 || small.In.Rows[0][0] != "101" {
		t.Errorf("%+v, %+v, %v", fault, small, err)
	}
}
