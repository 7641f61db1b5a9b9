package plugins

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/plugins/manifest"
	. "github.com/tickwire/tickwire/plugins/wasm/wasmtest"
	"github.com/tickwire/tickwire/tick"
)

// one is an instance of a module with one unit of a kind; rows are at most 64.
func one(t *testing.T, g *Guest, kind string, env Env) *Instance {
	t.Helper()
	h, _ := newHost(t, Policy{})
	return instance(t, compile(t, h, g.Plugin(`{"name": "p", "version": "1.0.0", "abi": 1, "limits": {"max_rows": 64}, "kinds": [`+kind+`]}`)), env)
}

func put64(i *Instance, id uint16, values ...uint64) {
	view, _ := i.Column(0, id)
	for k, v := range values {
		binary.LittleEndian.PutUint64(view[8*k:], v)
	}
}

func get64(i *Instance, id uint16, n int) (values []uint64) {
	view, _ := i.Column(0, id)
	for k := range n {
		values = append(values, binary.LittleEndian.Uint64(view[8*k:]))
	}
	return values
}

// failure checks that a call failed as told and that the instance is dead for it.
func failure(t *testing.T, i *Instance, err error, want string) {
	t.Helper()
	var f *Failure
	if !errors.As(err, &f) || !strings.Contains(f.Line(), want) || !i.Dead() {
		t.Errorf("error %v, dead %v; want a failure with %q", err, i.Dead(), want)
	}
}

func TestFunction(t *testing.T) {
	g := NewGuest(1)
	p := g.Layout(64, 0, 0, Column(512, 6, 1, 0), Column(513, 6, 1, 0), Column(768, 6, 2, 0))
	at := Seq(LocalGet(2), I32(3), I32Shl)
	g.Func("tw_function", "ii:i", "i", EachRow(1, 2, at, at, Load(I64Load, p.Col[512]), at, Load(I64Load, p.Col[513]), I64Mul, Store(I64Store, p.Col[768])), LocalGet(1))
	i := one(t, g, `{"kind": "function", "name": "times", "args": ["i64", "price"], "returns": "price"}`, Env{})
	put64(i, 512, 2, 3, 4)
	put64(i, 513, 10, 20, 30)
	if err := i.Function(0, 3); err != nil || fmt.Sprint(get64(i, 768, 3)) != "[20 60 120]" {
		t.Errorf("%v, %v", get64(i, 768, 3), err)
	}
	if err := i.Function(0, 65); err != ErrRows {
		t.Errorf("65 rows: %v", err)
	}
	if err := i.Function(1, 1); err != ErrNoUnit {
		t.Errorf("unit 1: %v", err)
	}
	if _, err := i.Partition(0, nil, 0, 1); err != ErrNoUnit {
		t.Errorf("a function as a partition: %v", err)
	}
	if n := testing.AllocsPerRun(100, func() { _ = i.Function(0, 64) }); n != 0 {
		t.Errorf("%v allocations a call", n)
	}
	i.Close()
	if err := i.Function(0, 1); err != ErrDead {
		t.Errorf("a closed instance: %v", err)
	}
}

// TestResultNulls: a plugin says which results are NULL, not which are none: what it said before is forgotten.
func TestResultNulls(t *testing.T) {
	at := Seq(LocalGet(2), I32(3), I32Shl)
	zero := func(value Code, null int) Code { // NULL where the value is 0, and nothing is said of the others
		return EachRow(1, 2, value, Op(0x50), If(LocalGet(2), I32(1), Store(I32Store8, null)))
	}
	g := NewGuest(1)
	p := g.Layout(64, 0, 0, Column(512, 6, 1, 0), Column(768, 6, 2, 0), Column(769, 1, 2, 0))
	g.Func("tw_function", "ii:i", "i", zero(Seq(at, Load(I64Load, p.Col[512])), p.Col[769]), LocalGet(1))
	i := one(t, g, `{"kind": "function", "name": "f", "args": ["i64"], "returns": "i64"}`, Env{})
	agg := NewGuest(1)
	q := agg.Layout(64, 8*16, 8*16, Column(512, 6, 1, 0), Column(527, 3, 1, 0), Column(768, 6, 2, 0), Column(769, 1, 2, 0))
	for _, name := range []string{"tw_agg_start", "tw_agg_merge"} {
		agg.Func(name, "ii:i", "", LocalGet(1))
	}
	agg.Func("tw_agg_update", "iii:i", "", LocalGet(1))
	agg.Func("tw_agg_result", "ii:i", "i", zero(Seq(at, Load(I64Load, q.Out)), q.Col[769]), LocalGet(1))
	a := one(t, agg, `{"kind": "aggregate", "name": "a", "args": ["i64"], "returns": "i64", "state_bytes": 8}`, Env{})
	for _, c := range []struct {
		values []uint64
		want   string
	}{{[]uint64{0, 1, 0}, "[1 0 1]"}, {[]uint64{5, 0, 7}, "[0 1 0]"}} {
		put64(i, 512, c.values...)
		nulls, _ := i.Column(0, manifest.ColumnNull)
		if err := i.Function(0, 3); err != nil || fmt.Sprint(nulls[:3]) != c.want {
			t.Errorf("function of %v: NULLs %v, %v; want %s", c.values, nulls[:3], err, c.want)
		}
		for k, v := range c.values {
			binary.LittleEndian.PutUint64(a.Out(0)[8*k:], v)
		}
		nulls, _ = a.Column(0, manifest.ColumnNull)
		if err := a.AggResult(0, 3); err != nil || fmt.Sprint(nulls[:3]) != c.want {
			t.Errorf("aggregate of %v: NULLs %v, %v; want %s", c.values, nulls[:3], err, c.want)
		}
	}
}

// An aggregate with states of 8 bytes: sums by group; two instances' states are merged.
func TestAggregate(t *testing.T) {
	g := NewGuest(1)
	p := g.Layout(64, 8*16, 8*16, Column(512, 6, 1, 0), Column(527, 3, 1, 0), Column(768, 6, 2, 0))
	g.Func("tw_agg_start", "ii:i", "", I32(int32(p.Out)), I32(0), LocalGet(1), I32(3), I32Shl, MemoryFill, LocalGet(1))
	state := Seq(LocalGet(3), I32(2), I32Shl, Load(I32Load, p.Col[527]), I32(3), I32Shl)
	g.Func("tw_agg_update", "iii:i", "i", EachRow(1, 3, state, state, Load(I64Load, p.Out), LocalGet(3), I32(3), I32Shl, Load(I64Load, p.Col[512]), I64Add, Store(I64Store, p.Out)), LocalGet(1))
	at := Seq(LocalGet(2), I32(3), I32Shl)
	g.Func("tw_agg_merge", "ii:i", "i", EachRow(1, 2, at, at, Load(I64Load, p.Out), at, Load(I64Load, p.In), I64Add, Store(I64Store, p.Out)), LocalGet(1))
	g.Func("tw_agg_result", "ii:i", "i", EachRow(1, 2, at, at, Load(I64Load, p.Out), Store(I64Store, p.Col[768])), LocalGet(1))
	h, _ := newHost(t, Policy{})
	module := compile(t, h, g.Plugin(`{"name": "p", "version": "1.0.0", "abi": 1, "limits": {"max_rows": 64}, "kinds": [{"kind": "aggregate", "name": "total", "args": ["i64"], "returns": "i64", "state_bytes": 8}]}`))
	a, b := instance(t, module, Env{}), instance(t, module, Env{})
	if n := a.AggGroups(0); n != 16 {
		t.Fatalf("%d groups, want 16", n)
	}
	for k, i := range []*Instance{a, b} {
		put64(i, 512, 1, 2, 3, 4)
		groups, _ := i.Column(0, 527)
		for r, group := range []uint32{0, 1, 1, 2} {
			binary.LittleEndian.PutUint32(groups[4*r:], group)
		}
		if err := errors.Join(i.AggStart(0, 3), i.AggUpdate(0, 4, 3), i.AggUpdate(0, 4, 3)); err != nil {
			t.Fatal(k, err)
		}
	}
	copy(a.In(0), b.Out(0)[:24])
	if err := errors.Join(a.AggMerge(0, 3), a.AggResult(0, 3)); err != nil || fmt.Sprint(get64(a, 768, 3)) != "[4 20 16]" {
		t.Errorf("%v, %v; want [4 20 16]", get64(a, 768, 3), err)
	}
	if err := a.AggStart(0, 17); err != ErrRows {
		t.Errorf("17 groups: %v", err)
	}
}

func TestSerializer(t *testing.T) {
	g := NewGuest(1)
	p := g.Layout(64, 0, 512, Column(12, 4, 1, 0))
	g.Data(64, []byte("begin!end!"))
	g.Func("tw_begin", "i:i", "", I32(int32(p.Out)), I32(64), I32(6), MemoryCopy, I32(6))
	g.Func("tw_end", "i:i", "", I32(int32(p.Out)), I32(70), I32(4), MemoryCopy, I32(4))
	g.Func("tw_serialize", "ii:i", "", I32(int32(p.Out)), I32(int32(p.Col[12])), LocalGet(1), I32(3), I32Shl, MemoryCopy, LocalGet(1), I32(3), I32Shl)
	i := one(t, g, `{"kind": "serializer", "name": "raw", "reads": ["size"], "extension": "raw", "media_type": "x/y"}`, Env{})
	b := newBatch(t, 100)
	var out bytes.Buffer
	for _, call := range []func() ([]byte, error){
		func() ([]byte, error) { return i.Begin(0) },
		func() ([]byte, error) { return i.Serialize(0, b, 7, 2, nil) },
		func() ([]byte, error) { return i.End(0) },
	} {
		text, err := call()
		if err != nil {
			t.Fatal(err)
		}
		out.Write(text)
	}
	if out.String() != "begin!\x07\x00\x00\x00\x00\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00end!" {
		t.Errorf("%q", out.String())
	}
	over := NewGuest(1)
	over.Layout(64, 0, 512, Column(12, 4, 1, 0))
	over.Func("tw_serialize", "ii:i", "", I32(513))
	i = one(t, over, `{"kind": "serializer", "name": "raw", "reads": ["size"]}`, Env{})
	_, err := i.Serialize(0, b, 0, 1, nil)
	failure(t, i, err, "it returned 513 bytes, but out has room for 512")
}

// A type of texts of one letter, whose value is the letter.
func TestType(t *testing.T) {
	g := NewGuest(1)
	p := g.Layout(64, 0, 0, Column(512, 8, 1, 8), Column(513, 6, 3, 0), Column(514, 6, 1, 0), Column(515, 8, 2, 8), Column(768, 6, 2, 0), Column(769, 1, 2, 0))
	at := Seq(LocalGet(3), I32(3), I32Shl)
	g.Func("tw_type", "iii:i", "i",
		LocalGet(1), I32(2), I32Eq, If(EachRow(2, 3, at, at, Load(0x31, p.Col[512]), Store(I64Store, p.Col[513]), // parse
			LocalGet(3), at, Load(I32Load8U, p.Col[512]), I32Eqz, Store(I32Store8, p.Col[769]))),
		LocalGet(1), I32(3), I32Eq, If(EachRow(2, 3, at, at, Load(I64Load, p.Col[513]), Store(I64Store, p.Col[515]))), // format
		LocalGet(2))
	i := one(t, g, `{"kind": "type", "name": "letter", "base": "i64"}`, Env{})
	texts, _ := i.Column(0, 512)
	copy(texts, "A\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00C")
	if err := i.Type(0, TypeParse, 3); err != nil || fmt.Sprint(get64(i, 513, 3)) != "[65 0 67]" {
		t.Errorf("parse: %v, %v", get64(i, 513, 3), err)
	}
	if wrong, _ := i.Column(0, 769); wrong[0] != 0 || wrong[1] == 0 || wrong[2] != 0 {
		t.Errorf("rows that cannot be: %v", wrong[:3])
	}
	if err := i.Type(0, TypeFormat, 3); err != nil || fmt.Sprint(get64(i, 515, 3)) != "[65 0 67]" {
		t.Errorf("format: %v, %v", get64(i, 515, 3), err)
	}
	if wrong, _ := i.Column(0, 769); wrong[1] != 0 {
		t.Error("marks of an earlier call are still there")
	}
	if err := i.Type(0, 6, 1); err != ErrRows {
		t.Errorf("an operation that is none: %v", err)
	}
}

// copier is a codec that stores values as they are; spoil is a value that it changes.
func copier(spoil int64) *Guest {
	g := NewGuest(1)
	p := g.Layout(64, 512, 512, Column(512, 6, 1, 0), Column(768, 6, 2, 0))
	bytesOf := Seq(LocalGet(1), I32(3), I32Shl)
	g.Func("tw_encode", "ii:i", "", I32(int32(p.Out)), I32(int32(p.Col[512])), bytesOf, MemoryCopy,
		I32(0), Load(I64Load, p.Out), I64(spoil), Op(0x51), If(I32(0), I64(0), Store(I64Store, p.Out)), bytesOf)
	g.Func("tw_decode", "ii:i", "", I32(int32(p.Col[768])), I32(int32(p.In)), LocalGet(1), MemoryCopy, LocalGet(1), I32(3), Op(0x76))
	return g
}

func TestCodec(t *testing.T) {
	i := one(t, copier(42), `{"kind": "codec", "name": "copy", "type": "i64"}`, Env{})
	put64(i, 512, 7, 8, 9)
	block, err := i.Encode(0, 3)
	if err != nil || len(block) != 24 {
		t.Fatalf("%x, %v", block, err)
	}
	put64(i, 768, 0, 0, 0)
	if n, err := i.Decode(0, bytes.Clone(block)); n != 3 || err != nil || fmt.Sprint(get64(i, 768, 3)) != "[7 8 9]" {
		t.Errorf("%d, %v, %v", n, get64(i, 768, 3), err)
	}
	put64(i, 512, 42, 8, 9)
	if _, err := i.Encode(0, 3); err != ErrRoundTrip || i.Dead() {
		t.Errorf("a block that decodes to something else: %v, dead %v", err, i.Dead())
	}
	if _, err := i.Decode(0, make([]byte, 513)); err != ErrRows {
		t.Errorf("a block that is too long: %v", err)
	}
}

// indexer is an index that answers row 0 … rows-1 for everything.
func indexer(rows int32) *Guest {
	g := NewGuest(1)
	p := g.Layout(64, 64, 64, Column(512, 6, 1, 0), Column(513, 6, 1, 0), Column(514, 6, 1, 0), Column(515, 3, 2, 0), Column(516, 3, 2, 0))
	g.Func("tw_index_build", "ii:i", "", I32(0), LocalGet(1), Store(I32Store, p.Out), I32(4))
	g.Func("tw_index_probe", "ii:i", "", I32(0), I32(0), Store(I32Store, p.Col[515]), I32(0), I32(rows), Store(I32Store, p.Col[516]), I32(1))
	g.Func("tw_index_advise", "ii:i", "", LocalGet(1), I32(1), I32Sub)
	return g
}

func TestIndex(t *testing.T) {
	const kind = `{"kind": "index", "name": "all", "type": "i64", "strategies": ["none", "zones"]}`
	i := one(t, indexer(64), kind, Env{})
	put64(i, 512, 5, 6, 7)
	index, err := i.IndexBuild(0, 3)
	if err != nil || len(index) != 4 {
		t.Fatalf("%x, %v", index, err)
	}
	ranges, err := i.IndexProbe(0, index, binary.LittleEndian.AppendUint64(nil, 5), binary.LittleEndian.AppendUint64(nil, 6), nil)
	if err != nil || fmt.Sprint(ranges) != "[{0 64}]" {
		t.Errorf("%v, %v", ranges, err)
	}
	if s, err := i.IndexAdvise(0, 2); s != 1 || err != nil {
		t.Errorf("advice %d, %v", s, err)
	}
	_, err = i.IndexAdvise(0, 3)
	failure(t, i, err, "it returned 2, but there are 2 strategies")
	i = one(t, indexer(2), kind, Env{})
	_, err = i.IndexBuild(0, 3)
	failure(t, i, err, "the index does not find row 2 by its own value")
	i = one(t, indexer(0), kind, Env{})
	_, err = i.IndexProbe(0, nil, nil, nil, nil)
	failure(t, i, err, "range 0, rows 0 to 0, does not ascend")
}

// lineParser reads packets of 16-byte messages {kind u8, ctl u8, side u8, flags u8, instrument u32, price i64} behind a frame of 8 bytes {count u32, kind u32}.
func lineParser() *Guest {
	g := NewGuest(2)
	p := g.Layout(64, 1024, 64, Column(1, 1, 2, 0), Column(3, 1, 2, 0), Column(4, 1, 2, 0), Column(5, 3, 2, 0), Column(11, 6, 2, 0), Column(30, 8, 2, 8), Column(64, 1, 2, 0))
	src := Seq(LocalGet(4), I32(4), I32Shl)
	g.Func("tw_parse", "iili:i", "i",
		LocalGet(1), I32(15), Op(0x71), If(I32(-2), Return), // not whole messages
		LocalGet(1), I32(4), Op(0x76), LocalSet(1),
		EachRow(1, 4,
			LocalGet(4), src, Load(I32Load8U, p.In), Store(I32Store8, p.Col[1]),
			LocalGet(4), src, Load(I32Load8U, p.In+1), Store(I32Store8, p.Col[64]),
			LocalGet(4), src, Load(I32Load8U, p.In+2), Store(I32Store8, p.Col[3]),
			LocalGet(4), src, Load(I32Load8U, p.In+3), Store(I32Store8, p.Col[4]),
			LocalGet(4), I32(2), I32Shl, src, Load(I32Load, p.In+4), Store(I32Store, p.Col[5]),
			LocalGet(4), I32(3), I32Shl, src, Load(I64Load, p.In+8), Store(I64Store, p.Col[11]),
			LocalGet(4), I32(3), I32Shl, src, Load(I64Load, p.In+8), Store(I64Store, p.Col[30])), // a definition's symbol
		LocalGet(1))
	g.Func("tw_frame", "ii:i", "",
		LocalGet(1), I32(8), I32LtU, If(I32(-1), Return),
		I32(0), I64(77), Store(I64Store, p.Out), I32(0), I32(0), Load(I32Load, p.In), Store(I32Store, p.Out+8), I32(0), I32(0), Load(I32Load, p.In+4), Store(I32Store, p.Out+12),
		I32(0), I32(8), Store(I32Store, p.Out+16), I32(0))
	g.Func("tw_looks", "ii:i", "", LocalGet(1))
	g.Func("tw_start", "il:i", "", I32(0))
	g.Func("tw_error", ":l", "", I64(0))
	return g
}

const lineKind = `{"kind": "parser", "name": "line", "writes": ["kind", "side", "flags", "instrument_id", "price", "symbol", "row_ctl"]}`

func message(kind tick.Kind, ctl, side, flags byte, instrument uint32, price int64) []byte {
	m := []byte{byte(kind), ctl, side, flags}
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32(m, instrument), uint64(price))
}

func symbolPrice(s string) int64 {
	return int64(binary.LittleEndian.Uint64(append([]byte(s), make([]byte, 8-len(s))...)))
}

func TestParser(t *testing.T) {
	i := one(t, lineParser(), lineKind, Env{Lane: true})
	if err := i.Start(0, 1_700_000_000_000_000_000); err != nil {
		t.Fatal(err)
	}
	if f, err := i.Frame(0, []byte{3, 0, 0, 0, 1, 0, 0, 0, 9}); err != nil || f.Sequence != 77 || f.Count != 3 || f.Kind != FrameHeartbeat || f.At != 8 {
		t.Errorf("frame %+v, %v", f, err)
	}
	var p *PacketError
	if _, err := i.Frame(0, []byte{1}); !errors.As(err, &p) || p.Code != -1 || i.Dead() {
		t.Errorf("a packet cut off: %v", err)
	}
	if n, err := i.Looks(0, make([]byte, 80)); n != 80 || err != nil {
		t.Errorf("looks %d, %v", n, err)
	}
	b := newBatch(t, tick.MaxRows) // full of old rows
	b.N = 10
	packet := bytes.Join([][]byte{
		message(tick.KindDefinition, 0, 'N', 0, 9, symbolPrice("ACME")),
		message(tick.KindAdd, 0, 'B', tick.FlagSnapshot, 9, 125),
		message(tick.KindTrade, 1, 'N', 0, 9, 126), // refused
		message(tick.KindTrade, 2, 'A', 0, 9, 127), // flagged
	}, nil)
	n, err := i.Parse(0, packet, 4711, 4, b)
	if err != nil || n != 3 || b.N != 13 {
		t.Fatalf("%d rows, %v, N %d", n, err, b.N)
	}
	d := &b.Definitions[0]
	if b.Sides.Definitions != 1 || b.Aux[10] != tick.SideRows(0, 1) || string(d.RawSymbol[:5]) != "ACME\x00" || d.InstrumentID != 9 || d.RType != tick.RTypeDefinition {
		t.Errorf("definition %+v of row with aux %x", d, b.Aux[10])
	}
	for k, want := range []struct {
		kind  tick.Kind
		side  byte
		flags byte
		price int64
	}{{tick.KindDefinition, 'N', 0, symbolPrice("ACME")}, {tick.KindAdd, 'B', tick.FlagSnapshot, 125}, {tick.KindTrade, 'A', tick.FlagPublisherSpecific, 127}} {
		r := 10 + k
		if b.Kind[r] != want.kind || b.Side[r] != want.side || b.Flags[r] != want.flags || b.Price[r] != want.price || b.Instrument[r] != 9 ||
			b.Sequence[r] != 4711 || b.Size[r] != 0 || b.OrderID[r] != 0 || b.Sub[r] != 0 || b.OldSize[r] != 0 {
			t.Errorf("row %d: kind %d side %c flags %02x price %d size %d sequence %d", r, b.Kind[r], b.Side[r], b.Flags[r], b.Price[r], b.Size[r], b.Sequence[r])
		}
	}
	if _, err := i.Parse(0, packet[:17], 1, 1, b); !errors.As(err, &p) || p.Code != -2 || b.N != 13 || i.Dead() {
		t.Errorf("half a message: %v", err)
	}
	b.N = tick.MaxRows - 63
	if _, err := i.Parse(0, packet, 1, 1, b); err != ErrRoom {
		t.Errorf("a batch without room: %v", err)
	}
	if _, err := i.Parse(0, make([]byte, 1025), 1, 1, b); err != ErrRows {
		t.Errorf("a packet larger than in: %v", err)
	}
	b.N = 0
	if n := testing.AllocsPerRun(100, func() { b.Reset(); _, _ = i.Parse(0, packet, 1, 4, b) }); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}

// Rows that a parser must not make. The batch is what it was.
func TestParserImpossible(t *testing.T) {
	for _, tc := range []struct {
		name   string
		packet []byte
		want   string
	}{
		{"no kind", message(0, 0, 'N', 0, 1, 1), "kind 0 is not for plugins"},
		{"a kind of side tables", message(tick.KindImbalance, 0, 'N', 0, 1, 1), "kind 11 is not for plugins"},
		{"a kind that is none", message(tick.KindCount, 0, 'N', 0, 1, 1), "kind 22 is not known"},
		{"a level without a code", message(tick.KindLevel, 0, 'B', 0, 1, 1), "sub 0 of kind 18"},
		{"a side", message(tick.KindAdd, 0, 'S', 0, 1, 1), `side is 'S'`},
		{"flags of the session's", message(tick.KindAdd, 0, 'B', tick.FlagMaybeBadBook, 1, 1), "flags are 0x04"},
		{"row_ctl", message(tick.KindAdd, 3, 'B', 0, 1, 1), "row_ctl is 3"},
		{"a definition of nothing", message(tick.KindDefinition, 0, 'N', 0, 1, 0), "without a symbol"},
		{"a symbol that cannot be shown", message(tick.KindDefinition, 0, 'N', 0, 1, symbolPrice("A\n")), "want printable ASCII"},
		{"more rows than fit", bytes.Repeat(message(tick.KindAdd, 0, 'B', 0, 1, 1), 64), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			i := one(t, lineParser(), lineKind, Env{Lane: true})
			b := newBatch(t, 5)
			b.Sides.Definitions = tick.MaxSideRows - 63
			_, err := i.Parse(0, tc.packet, 1, 1, b)
			if tc.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			failure(t, i, err, tc.want)
			if b.N != 5 || b.Sides.Definitions != tick.MaxSideRows-63 {
				t.Errorf("N %d, definitions %d", b.N, b.Sides.Definitions)
			}
		})
	}
}

// More definitions than the batch has room for are no fault of the plugin's: nothing is taken, and it reads on.
func TestParserManyDefinitions(t *testing.T) {
	many := bytes.Repeat(message(tick.KindDefinition, 0, 'N', 0, 9, symbolPrice("A")), 64)
	i := one(t, lineParser(), lineKind, Env{Lane: true})
	b := newBatch(t, 5)
	b.Sides.Definitions = tick.MaxSideRows - 63
	if _, err := i.Parse(0, many, 1, 1, b); err != ErrRoom || i.Dead() || b.N != 5 || b.Sides.Definitions != tick.MaxSideRows-63 {
		t.Errorf("%v, dead %v, N %d, definitions %d", err, i.Dead(), b.N, b.Sides.Definitions)
	}
	if n, err := i.Parse(0, many[:len(many)/64*63], 1, 1, b); err != nil || n != 63 || b.N != 68 || b.Sides.Definitions != tick.MaxSideRows {
		t.Errorf("what fits: %d rows, %v, N %d, definitions %d", n, err, b.N, b.Sides.Definitions)
	}
}

// What a plugin gets from the host, each import by a function that hands it on.
func TestImports(t *testing.T) {
	g := NewGuest(1)
	g.Module = NewModule()
	log := g.Import("tickwire", "log", "iii:")
	config := g.Import("tickwire", "config", "iiii:i")
	metric := g.Import("tickwire", "metric", "iil:")
	now := g.Import("tickwire", "now", ":l")
	lookup := g.Import("tickwire", "lookup", "iii:i")
	define := g.Import("tickwire", "define", "iii:i")
	g.Memory(1, 1)
	p := g.Layout(64, 0, 256, Column(512, 6, 1, 0), Column(768, 6, 2, 0))
	g.Data(64, []byte("bandsmall text band_bp name nothing there "))
	g.Func("tw_alloc", "i:i", "", I32(60<<10))
	g.Func("tw_init", "ii:i", "", I32(int32(p.Out)+128), LocalGet(0), LocalGet(1), MemoryCopy, I32(0))
	result := func(c Code) Code { return Seq(I32(0), c, Store(I64Store, p.Col[768])) }
	g.Func("tw_function", "ii:i", "",
		I32(1), I32(68), I32(10), Call(log), // "small text"
		I32(64), I32(4), I64(5), Call(metric), // band
		I32(64), I32(4), I64(-2), Call(metric),
		result(Seq(I32(79), I32(7), I32(int32(p.Out)), I32(16), Call(config), Op(0xac))),                                // band_bp
		Seq(I32(8), I32(87), I32(4), I32(int32(p.Out)+16), I32(3), Call(config), Op(0xac), Store(I64Store, p.Col[768])), // name, of which three bytes fit
		Seq(I32(16), I32(92), I32(7), I32(int32(p.Out)), I32(9), Call(config), Op(0xac), Store(I64Store, p.Col[768])),   // nothing
		Seq(I32(24), Call(now), Store(I64Store, p.Col[768])),
		Seq(I32(32), I32(7), I32(int32(p.Out)+32), I32(8), Call(lookup), Op(0xac), Store(I64Store, p.Col[768])),
		Seq(I32(40), I32(8), I32(int32(p.Out)+32), I32(8), Call(lookup), Op(0xac), Store(I64Store, p.Col[768])),
		Seq(I32(48), I32(9), I32(64), I32(4), Call(define), Op(0xac), Store(I64Store, p.Col[768])),
		LocalGet(1))
	h, book := newHost(t, Policy{LogLines: 3})
	plugin := compile(t, h, g.Plugin(`{"name": "imp", "version": "1.0.0", "abi": 1, "limits": {"max_rows": 64},
		"params": [{"name": "band_bp", "type": "i64", "default": 500}, {"name": "name", "type": "string", "default": "a \"b\""}],
		"kinds": [{"kind": "function", "name": "f", "args": ["i64"], "returns": "i64"}]}`))
	var defined []string
	i := instance(t, plugin, Env{Directory: directory{7: "AAPL"}, Define: func(id uint32, s []byte) bool { defined = append(defined, fmt.Sprint(id, string(s))); return true }})
	i.Now = 1234
	if err := i.Function(0, 8); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(get64(i, 768, 7)); got != fmt.Sprint([]uint64{3, 5, math.MaxUint64, 1234, 4, math.MaxUint64, 0}) {
		t.Errorf("results %s", got)
	}
	out := i.Out(0)
	if string(out[:3]) != "500" || string(out[16:20]) != "a \"\x00" || string(out[32:36]) != "AAPL" || fmt.Sprint(defined) != "[9 band]" && fmt.Sprint(defined) != "[9band]" {
		t.Errorf("%q, defined %v", out[:40], defined)
	}
	if want := `{"band_bp":500,"name":"a \"b\""}`; string(out[128:128+len(want)]) != want {
		t.Errorf("tw_init got %q, want %s", out[128:], want)
	}
	if m := plugin.Metrics(); m["band"] != 3 || len(m) != 1 {
		t.Errorf("metrics %v", m)
	}
	for range 50 { // within a second most are beyond three lines
		if err := i.Function(0, 1); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, "the line", func() bool { return strings.Contains(book.String(), `msg="small text" plugin=imp version=1.0.0`) })
	if n := strings.Count(book.String(), "small text"); n > 12 {
		t.Errorf("%d lines were written, but 3 a second are allowed", n)
	}
}

// Asking the host costs no allocation.
func TestImportsDoNotAllocate(t *testing.T) {
	g := NewGuest(1)
	g.Module = NewModule()
	config := g.Import("tickwire", "config", "iiii:i")
	metric := g.Import("tickwire", "metric", "iil:")
	now := g.Import("tickwire", "now", ":l")
	lookup := g.Import("tickwire", "lookup", "iii:i")
	g.Memory(1, 1)
	g.Layout(64, 0, 0, Column(768, 6, 2, 0))
	g.Data(64, []byte("band"))
	g.Func("tw_function", "ii:i", "", I32(64), I32(4), I32(128), I32(16), Call(config), Drop, I32(64), I32(4), I64(5), Call(metric),
		Call(now), Drop, I32(7), I32(160), I32(8), Call(lookup), Drop, LocalGet(1))
	h, _ := newHost(t, Policy{})
	p := compile(t, h, g.Plugin(`{"name": "imp", "version": "1.0.0", "abi": 1, "limits": {"max_rows": 64}, "params": [{"name": "band", "type": "i64", "default": 500}],
		"kinds": [{"kind": "function", "name": "f", "returns": "i64"}]}`))
	i := instance(t, p, Env{Directory: preset{}})
	if n := testing.AllocsPerRun(100, func() { _ = i.Function(0, 1) }); n != 0 || i.Dead() {
		t.Errorf("%v allocations a call, dead %v", n, i.Dead())
	}
	if p.Metrics()["band"] < 500 {
		t.Errorf("metrics %v", p.Metrics())
	}
}

// What the host does for a guest ends when its fuel does, however much one call asks for.
func TestImportsEndWithFuel(t *testing.T) {
	const vectors = 512
	for _, tc := range []struct {
		name, signature string
		call            func(f, out int) Code
	}{
		{"fd_write", "iiii:i", func(f, out int) Code { // a line in each second byte
			fill := Seq(I32(0), LocalSet(2), Loop(LocalGet(2), I32(0x0a610a61), Store(I32Store, 64<<10), LocalGet(2), I32(4), I32Add, LocalTee(2), I32(32<<10), I32LtU, BrIf(0)))
			list := Seq(I32(0), LocalSet(2), Loop(LocalGet(2), I32(64<<10), Store(I32Store, 128<<10), LocalGet(2), I32(32<<10), Store(I32Store, 128<<10+4),
				LocalGet(2), I32(8), I32Add, LocalTee(2), I32(8*vectors), I32LtU, BrIf(0)))
			return Seq(fill, list, I32(1), I32(128<<10), I32(vectors), I32(int32(out)), Call(f), Drop)
		}},
		{"random_get", "ii:i", func(f, out int) Code { return Seq(I32(int32(out)), I32(7<<16), Call(f), Drop) }},
	} {
		g := NewGuest(8)
		g.Module = NewModule()
		f := g.Import("wasi_snapshot_preview1", tc.name, tc.signature)
		g.Memory(8, 8)
		p := g.Layout(64, 0, 64, Column(768, 6, 2, 0))
		g.Func("tw_function", "ii:i", "i", tc.call(f, p.Out), LocalGet(1))
		h, _ := newHost(t, Policy{Fuel: 40_000})
		plugin := compile(t, h, g.Plugin(`{"name": "says", "version": "1.0.0", "abi": 1, "wasi": true, "limits": {"max_rows": 64, "memory_pages": 8, "fuel_per_row": 1000000},
			"kinds": [{"kind": "function", "name": "f", "returns": "i64"}]}`))
		i := instance(t, plugin, Env{})
		var fail *Failure
		if err := i.Function(0, 64); !errors.As(err, &fail) || !fail.Fuel {
			t.Errorf("%s: error %v, want no more fuel", tc.name, err)
		}
		if out := i.Out(0); !bytes.Equal(out, make([]byte, len(out))) {
			t.Errorf("%s: it went on without fuel: % x", tc.name, out)
		}
	}
}

// A plugin has 64 counters at most; further names are not kept.
func TestMetricsAreBounded(t *testing.T) {
	var m metrics
	for k := range 100 {
		m.add(fmt.Appendf(nil, "m%d", k), 1)
		m.add([]byte("m0"), 1)
	}
	if all := m.values(); len(all) != mostMetrics || all["m0"] != 101 {
		t.Errorf("%d counters, m0 %d", len(all), all["m0"])
	}
}

func TestShutdownAndHealth(t *testing.T) {
	g := NewGuest(1)
	g.Module = NewModule()
	log := g.Import("tickwire", "log", "iii:")
	g.Memory(1, 1)
	g.Data(64, []byte("good bye"))
	g.Layout(64, 0, 0, Column(64, 1, 2, 0), Column(65, 1, 2, 0))
	ill := g.Global(0)
	g.Func("tw_validate", "ii:i", "", I64(1), GlobalSet(ill), I32(0))
	g.Func("tw_health", ":i", "", GlobalGet(ill), I32Wrap)
	g.Func("tw_shutdown", ":", "", I32(1), I32(64), I32(8), Call(log))
	h, book := newHost(t, Policy{})
	c, err := h.NewChain([]Stage{{Plugin: compile(t, h, g.Plugin(`{"name": "p", "version": "1.0.0", "abi": 1, "limits": {"max_rows": 64}, "kinds": [{"kind": "validator"}]}`))}}, Env{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Health(); err != nil {
		t.Errorf("before: %v", err)
	}
	c.Pass(newBatch(t, 5), 1)
	if err := c.Health(); err == nil || !strings.Contains(err.Error(), "tw_health: it returned 1") {
		t.Errorf("after: %v", err)
	}
	if s := c.Stats()[0]; s.Errors != 1 {
		t.Errorf("%+v", s)
	}
	waitFor(t, "a spare", c.stages[0].ready)
	c.Pass(newBatch(t, 5), 1)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	waitFor(t, "the shutdown's line", func() bool { return strings.Contains(book.String(), "good bye") })
}

// TestErrorTextIsText: what a plugin says of its error is one line, and cannot steer a terminal.
func TestErrorTextIsText(t *testing.T) {
	g := NewGuest(1)
	g.Layout(64, 0, 0, Column(768, 6, 2, 0))
	said := "a\x1b[2Jb\nc\u202ed\xff"
	g.Data(64, []byte(said))
	g.Func("tw_error", ":l", "", I64(64<<32|int64(len(said))))
	g.Func("tw_function", "ii:i", "", I32(-3))
	i := one(t, g, `{"kind": "function", "name": "f", "args": [], "returns": "i64"}`, Env{})
	failure(t, i, i.Function(0, 1), "a [2Jb c d?")
}

const goGuest = `package main

import (
	"fmt"
	"os"
	"time"
	"unsafe"
)

type cells struct {
	_      [64]byte
	layout [16]uint32
	_      [64]byte
	values [128]int64
}

var c cells

func at(p unsafe.Pointer) uint32 { return (uint32(uintptr(p)) + 63) &^ 63 }

//go:wasmexport tw_abi
func abi() int32 { return 1 }

//go:wasmexport tw_layout
func layout(unit int32) uint32 {
	fmt.Println("hello from", len(os.Args), "arguments at", time.Now().UnixNano())
	_, err := os.Open("/etc/passwd")
	fmt.Fprintln(os.Stderr, "the file:", err != nil, "the environment:", len(os.Environ()))
	c.layout = [16]uint32{0x31505754, 64, 0, 0, 0, 0, 1, 0, 128 | 6<<16 | 2<<24, at(unsafe.Pointer(&c.values)), 8, 0}
	return uint32(uintptr(unsafe.Pointer(&c.layout)))
}

//go:wasmexport tw_transform
func transform(unit, n int32) int32 {
	values := (*[64]int64)(unsafe.Pointer(uintptr(at(unsafe.Pointer(&c.values)))))
	for i := range n {
		values[i] = int64(i) * 3
	}
	if n == 7 {
		panic("seven")
	}
	return n
}

func main() {}
`

// A guest of the Go toolchain, with its runtime and WASI: it starts, works, allocates, panics as a trap, and sees no arguments, files or environment.
func TestGoGuest(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a Go program for wasip1: left out with -short")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(goGuest), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module guest\n\ngo 1.24\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code := goModule(t, dir)
	with := func(wasi string) []byte {
		return appendManifest(code, `{"name": "go", "version": "1.0.0", "abi": 1, "wasi": `+wasi+`, "limits": {"max_rows": 64, "memory_pages": 1024}, "kinds": [{"kind": "transform", "custom": [{"name": "x", "type": "i64"}]}]}`)
	}
	refusing, _ := newHost(t, Policy{RefuseWASI: true})
	if _, err := refusing.Compile(with("true")); err == nil || !strings.Contains(err.Error(), "which the policy refuses") {
		t.Errorf("with a policy against it: %v", err)
	}
	h, book := newHost(t, Policy{})
	if _, err := h.Compile(with("false")); err == nil || !strings.Contains(err.Error(), "does not say wasi") {
		t.Errorf("without wasi in the manifest: %v", err)
	}
	c := newChain(t, h, Env{Now: 99}, compile(t, h, with("true")))
	b := newBatch(t, 200)
	c.Pass(b, 1)
	if c.Custom[0][63] != 63*3 || c.Custom[0][199] != 7*3 {
		t.Errorf("custom %d %d, stats %+v", c.Custom[0][63], c.Custom[0][199], c.Stats()[0])
	}
	b.N = 7
	c.Pass(b, 1)
	if s := c.Stats()[0]; s.Traps != 1 || c.Verdict[0] != Bypassed {
		t.Errorf("after a panic: %+v", s)
	}
	waitFor(t, "its lines", func() bool {
		text := book.String()
		return strings.Contains(text, "the file: true the environment: 0") && strings.Contains(text, "arguments at 99") && strings.Contains(text, "panic: seven")
	})
}

// goModule builds the Go program in a folder as a module.
func goModule(t *testing.T, dir string) []byte {
	t.Helper()
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", "guest.wasm", ".")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOWORK=off", "GOFLAGS=")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	code, err := os.ReadFile(filepath.Join(dir, "guest.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func appendManifest(module []byte, text string) []byte {
	body := append([]byte{byte(len(manifest.SectionName))}, manifest.SectionName...)
	body = append(body, text...)
	out := append(bytes.Clone(module), 0)
	return append(binary.AppendUvarint(out, uint64(len(body))), body...)
}

// Layouts of any bytes are refused or right, never a panic, and what is right lies within memory and apart.
func FuzzLayout(f *testing.F) {
	g := NewGuest(1)
	p := g.Layout(64, 64, 64, Column(1, 1, 2, 0), Column(3, 1, 2, 0), Column(4, 1, 2, 0), Column(5, 3, 2, 0), Column(11, 6, 2, 0), Column(30, 8, 2, 8), Column(64, 1, 2, 0))
	_ = p
	good := []byte{}
	for _, w := range []uint32{layoutMagic, 64, 4096, 64, 8192, 64, 1, 0, 11 | 6<<16 | 3<<24, 12288, 8, 0} {
		good = binary.LittleEndian.AppendUint32(good, w)
	}
	f.Add(good, uint32(64))
	f.Add(good, uint32(65500))
	f.Add(bytes.Repeat([]byte{0xff}, 64), uint32(0xffffffff))
	m, err := mapMemory(1)
	if err != nil {
		f.Fatal(err)
	}
	m.Reallocate(pageBytes)
	want := []wanted{{11, manifest.Price, 3, true}, {12, manifest.U64, 1, true}, {30, manifest.Str, 0, true}, {132, 0, 1, true}}
	f.Fuzz(func(t *testing.T, image []byte, at uint32) {
		clear(m.all)
		if int(at) < len(m.all) {
			copy(m.all[at:], image)
		}
		l, err := readLayout(m, at, 64, want)
		if err != nil {
			return
		}
		owner := make([]bool, pageBytes)
		claim := func(at, n uint32) {
			for k := at; k < at+n; k++ {
				if owner[k] {
					t.Fatalf("byte %d has two uses", k)
				}
				owner[k] = true
			}
		}
		claim(l.at, uint32(len(l.image)))
		claim(l.in, l.inBytes)
		claim(l.out, l.outBytes)
		for _, c := range l.columns {
			claim(c.at, c.stride*64)
		}
	})
}

// Packets of any bytes through a parser in the sandbox: rows are possible ones or none, and a packet takes nothing from its neighbours.
func FuzzParse(f *testing.F) {
	f.Add(message(tick.KindAdd, 0, 'B', 0, 9, 125))
	f.Add(append(message(tick.KindDefinition, 0, 'N', 0, 9, symbolPrice("ACME")), message(tick.KindTrade, 1, 'N', 0, 9, 1)...))
	h, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	defer h.Close()
	p, err := h.Compile(lineParser().Plugin(`{"name": "p", "version": "1.0.0", "abi": 1, "limits": {"max_rows": 64}, "kinds": [` + lineKind + `]}`))
	if err != nil {
		f.Fatal(err)
	}
	defer p.Close()
	b, err := tick.NewBatch()
	if err != nil {
		f.Fatal(err)
	}
	defer b.Free()
	var i *Instance
	f.Fuzz(func(t *testing.T, packet []byte) {
		if i == nil || i.Dead() {
			if i != nil {
				i.Close()
			}
			if i, err = p.Instance(Env{Lane: true}); err != nil {
				t.Fatal(err)
			}
		}
		b.Reset()
		b.N = 1
		b.Kind[0], b.Price[0] = tick.KindAdd, 4711
		n, err := i.Parse(0, packet, 1, 1, b)
		if (err != nil) && b.N != 1 || err == nil && b.N != 1+n || b.Price[0] != 4711 {
			t.Fatalf("%d rows, %v, but N is %d and the neighbour's price %d", n, err, b.N, b.Price[0])
		}
		for r := 1; r < b.N; r++ {
			if b.Kind[r] == 0 || b.Kind[r] >= tick.KindCount || b.Side[r] != 'A' && b.Side[r] != 'B' && b.Side[r] != 'N' {
				t.Fatalf("row %d: kind %d, side %q", r, b.Kind[r], b.Side[r])
			}
		}
	})
}
