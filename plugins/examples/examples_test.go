package examples_test

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"fmt"
	"hash/fnv"
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/plugins/build"
	"github.com/tickwire/tickwire/plugins/internal/guest"
	"github.com/tickwire/tickwire/plugins/internal/toolchain"
	"github.com/tickwire/tickwire/plugins/manifest"
)

// load loads an example as it is committed.
func load(t testing.TB, name string, params map[string]any) *guest.Guest {
	t.Helper()
	module, err := os.ReadFile(filepath.Join(name, name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return guest.Load(t, module, params)
}

// Goal: what is committed is what the source says. Method: build it with the pinned compiler, compare bytes.
func TestModulesAreFresh(t *testing.T) {
	manifests, err := filepath.Glob(filepath.Join("*", build.ManifestFile))
	if err != nil || len(manifests) == 0 {
		t.Fatal(manifests, err)
	}
	v, err := build.Clang()
	toolchain.Check(t, err)
	if v != build.PinnedClang {
		t.Skipf("modules are built by clang %s, here is %s", build.PinnedClang, v)
	}
	kinds := map[manifest.Kind]bool{}
	for _, m := range manifests {
		dir := filepath.Dir(m)
		path, err := build.BuildTo(dir, t.TempDir())
		toolchain.Check(t, err)
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, filepath.Base(path)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is another one than its source makes: go generate ./plugins/examples", filepath.Join(dir, filepath.Base(path)))
		}
		of, err := manifest.Of(got)
		if err != nil {
			t.Fatal(err)
		}
		if of.Name != dir || filepath.Base(path) != dir+".wasm" {
			t.Errorf("%s has the name %s", dir, of.Name)
		}
		for _, u := range of.Kinds {
			kinds[u.Kind] = true
		}
	}
	for _, k := range manifest.Kinds {
		if !kinds[k] {
			t.Errorf("there is no example of a %s", k)
		}
	}
}

func TestMicroprice(t *testing.T) {
	g := load(t, "microprice", nil)
	rows := []struct {
		bid, ask, bidSize, askSize, want int64
		null                             uint8
	}{
		{100, 200, 1, 1, 150, 0},
		{100, 200, 3, 1, 175, 0},
		{100, 200, 0, 5, 100, 0},
		{100, 200, 5, 0, 200, 0},
		{100, 100, 5, 5, 100, 0},
		{-200, -100, 1, 3, -175, 0},
		{1, 2, 1, 1, 2, 0}, // halves go up
		{100, 200, 0, 0, 0, 1},
		{100, 200, -1, 5, 0, 1},
		{200, 100, 1, 1, 0, 1},
		{150_120_000_000, 150_130_000_000, 300, 100, 150_127_500_000, 0},
		{math.MinInt64, math.MaxInt64, 7, 0, math.MaxInt64, 0},
		{math.MinInt64, math.MaxInt64, 0, 7, math.MinInt64, 0},
	}
	n := len(rows)
	columns := make([][]int64, 5)
	for _, r := range rows {
		for i, v := range []int64{r.bid, r.ask, r.bidSize, r.askSize, r.want} {
			columns[i] = append(columns[i], v)
		}
	}
	for i := range 4 {
		guest.Set(g, 0, uint16(manifest.ColumnArg+i), columns[i])
	}
	if got := g.Call("tw_function", 0, uint64(n)); got != int64(n) {
		t.Fatalf("%d rows, want %d", got, n)
	}
	got, null := guest.Get[int64](g, 0, manifest.ColumnResult, n), guest.Get[uint8](g, 0, manifest.ColumnNull, n)
	for i, r := range rows {
		if got[i] != r.want || null[i] != r.null {
			t.Errorf("%+v: %d, NULL %d", r, got[i], null[i])
		}
	}
}

// Goal: exact sums, however rows are spread over states and states merged. Method: rows by a seed, some with numbers that overflow 64 bits at once, in three
// partial states; compared with big numbers.
func TestVWAP(t *testing.T) {
	g := load(t, "vwap", nil)
	const groups, rows, parts = 5, 700, 3
	rnd := rand.New(rand.NewPCG(3, 4))
	sums, volumes := make([]big.Int, groups), make([]big.Int, groups)
	stateBytes := groups * g.Manifest.Kinds[0].StateBytes
	var states [parts][]byte
	for p := range parts {
		prices, sizes, of := make([]int64, rows), make([]int64, rows), make([]uint32, rows)
		for i := range rows {
			prices[i], sizes[i], of[i] = rnd.Int64N(200_000_000_000)-50_000_000_000, rnd.Int64N(1000)-10, rnd.Uint32N(groups-1)
			switch rnd.IntN(20) {
			case 0:
				prices[i] = math.MinInt64
			case 1:
				prices[i] = math.MaxInt64
			}
			if rnd.IntN(20) == 0 {
				sizes[i] = 1 << 55 // the volume of them all still fits
			}
			if sizes[i] > 0 {
				sums[of[i]].Add(&sums[of[i]], new(big.Int).Mul(big.NewInt(prices[i]), big.NewInt(sizes[i])))
				volumes[of[i]].Add(&volumes[of[i]], big.NewInt(sizes[i]))
			}
		}
		guest.Set(g, 0, manifest.ColumnArg, prices)
		guest.Set(g, 0, manifest.ColumnArg+1, sizes)
		guest.Set(g, 0, manifest.ColumnGroup, of)
		if n := g.Call("tw_agg_start", 0, groups); n != groups {
			t.Fatalf("start gives %d", n)
		}
		if n := g.Call("tw_agg_update", 0, rows, groups); n != rows {
			t.Fatalf("update gives %d", n)
		}
		states[p] = slices.Clone(g.Out(0)[:stateBytes])
	}
	for _, order := range [][parts]int{{0, 1, 2}, {2, 0, 1}, {1, 2, 0}} {
		g.Call("tw_agg_start", 0, groups)
		for _, p := range order {
			copy(g.In(0), states[p])
			if n := g.Call("tw_agg_merge", 0, groups); n != groups {
				t.Fatalf("merge gives %d", n)
			}
		}
		if n := g.Call("tw_agg_result", 0, groups); n != groups {
			t.Fatalf("result gives %d", n)
		}
		got, null := guest.Get[int64](g, 0, manifest.ColumnResult, groups), guest.Get[uint8](g, 0, manifest.ColumnNull, groups)
		for i := range groups - 1 {
			if want := new(big.Int).Quo(&sums[i], &volumes[i]); null[i] != 0 || got[i] != want.Int64() {
				t.Errorf("order %v, group %d: %d, NULL %d, want %v", order, i, got[i], null[i], want)
			}
		}
		if null[groups-1] != 1 {
			t.Errorf("a group without rows is not NULL but %d", got[groups-1])
		}
	}
}

// acme makes packets of the format that the example reads.
type acme struct{ b []byte }

func packet(session uint32, sequence uint64, count int) *acme {
	p := &acme{append([]byte("AC\x01"), byte(count))}
	p.b = binary.LittleEndian.AppendUint32(p.b, session)
	p.b = binary.LittleEndian.AppendUint64(p.b, sequence)
	return p
}

func (p *acme) message(typ, sub byte, instrument uint32, at uint64, rest ...any) *acme {
	m := binary.LittleEndian.AppendUint32([]byte{typ, 0, sub, 0}, instrument)
	m = binary.LittleEndian.AppendUint64(m, at)
	for _, v := range rest {
		switch v := v.(type) {
		case uint64:
			m = binary.LittleEndian.AppendUint64(m, v)
		case uint32:
			m = binary.LittleEndian.AppendUint32(m, v)
		case string:
			m = append(append(m, v...), make([]byte, 16-len(v))...)
		}
	}
	m[1] = byte(len(m))
	p.b = append(p.b, m...)
	return p
}

const midnight = 1_700_000_000_000_000_000

// parse has a packet framed and parsed as the host does: the second call sees messages only.
func parse(g *guest.Guest, p []byte) (sequence uint64, count, kind uint32, rows int64) {
	copy(g.In(0), p)
	if g.Call("tw_frame", 0, uint64(len(p))) < 0 {
		return 0, 0, 0, -1
	}
	out := g.Out(0)
	sequence = binary.LittleEndian.Uint64(out)
	count, kind = binary.LittleEndian.Uint32(out[8:]), binary.LittleEndian.Uint32(out[12:])
	at := binary.LittleEndian.Uint32(out[16:])
	copy(g.In(0), p[at:])
	return sequence, count, kind, g.Call("tw_parse", 0, uint64(len(p)-int(at)), sequence, uint64(count))
}

func TestAcme(t *testing.T) {
	g := load(t, "acme", nil)
	g.Call("tw_start", 0, midnight)
	p := packet(77, 1000, 6).
		message('I', 0, 5, 1, "WIDGET").
		message('A', 'B', 5, 2, uint64(900), uint64(1_500_100), uint32(300), uint32(0)).
		message('?', 0, 5, 3).                                                                        // not known: stepped over, and counted in the sequence
		message('A', 'S', 5, 4, uint64(901), ^uint64(0), uint32(7), uint32(0), uint64(1), uint64(2)). // a newer revision, longer; price -1
		message('E', 0, 5, 5, uint64(900), uint64(4242), uint32(100), uint32(0)).
		message('D', 0, 5, 6, uint64(901)).b
	copy(g.In(0), p)
	if v := g.Call("tw_looks", 0, uint64(len(p))); v < 80 {
		t.Errorf("it is %d sure of its own packet", v)
	}
	sequence, count, kind, rows := parse(g, p)
	if sequence != 1000 || count != 6 || kind != 0 || rows != 5 {
		t.Fatalf("sequence %d, %d messages, kind %d, %d rows", sequence, count, kind, rows)
	}
	if s := string(g.Out(0)[24:34]); s != "0000000077" {
		t.Errorf("session %q", s)
	}
	var got strings.Builder
	for i, k := range guest.Get[uint8](g, 0, 1, 5) {
		fmt.Fprintf(&got, "%d %c %d %d %d %d %d %d %d %q\n", k, guest.Get[uint8](g, 0, 3, 5)[i], guest.Get[uint32](g, 0, 5, 5)[i], guest.Get[uint64](g, 0, 6, 5)[i]-midnight,
			guest.Get[uint64](g, 0, 8, 5)[i], guest.Get[uint64](g, 0, 9, 5)[i], guest.Get[uint64](g, 0, 10, 5)[i], guest.Get[int64](g, 0, 11, 5)[i],
			guest.Get[uint64](g, 0, 12, 5)[i], g.Texts(0, 30, 5)[i])
	}
	const want = `12 N 5 1 1000 0 0 9223372036854775807 0 "WIDGET"
1 B 5 2 1001 900 0 150010000000 300 ""
1 A 5 4 1003 901 0 -100000 7 ""
2 N 5 5 1004 900 4242 9223372036854775807 100 ""
5 N 5 6 1005 901 0 9223372036854775807 0 ""
`
	if got.String() != want {
		t.Errorf("rows (kind, side, instrument, time, sequence, order, aux, price, size, symbol)\n%swant\n%s", got.String(), want)
	}
	if _, count, kind, _ := parse(g, packet(77, 1006, 0).b); count != 0 || kind != 1 {
		t.Errorf("a heartbeat has %d messages and kind %d", count, kind)
	}
	if _, count, kind, _ := parse(g, packet(77, 1006, 255).b); count != 0 || kind != 2 {
		t.Errorf("the end of the session has %d messages and kind %d", count, kind)
	}
}

// Each packet that is wrong by a byte or more is refused with words.
func TestAcmeRefuses(t *testing.T) {
	good := func() []byte {
		return packet(1, 1, 2).message('D', 0, 5, 6, uint64(901)).message('A', 'B', 5, 2, uint64(900), uint64(1), uint32(300), uint32(0)).b
	}
	edit := func(f func(b []byte) []byte) []byte { return f(good()) }
	for name, p := range map[string][]byte{
		"empty":                 {},
		"half a header":         good()[:15],
		"another magic":         edit(func(b []byte) []byte { b[1] = 'D'; return b }),
		"another version":       edit(func(b []byte) []byte { b[2] = 2; return b }),
		"a byte short":          edit(func(b []byte) []byte { return b[:len(b)-1] }),
		"a message more":        edit(func(b []byte) []byte { b[3] = 3; return b }),
		"a message of no bytes": edit(func(b []byte) []byte { b[17] = 0; return b }),
		"a message too short":   edit(func(b []byte) []byte { b[17] = 23; return b }),
		"a message of one byte": append(packet(1, 1, 1).b, 'D'),
		"another side":          edit(func(b []byte) []byte { b[16+24+2] = 'X'; return b }),
		"a price too large":     edit(func(b []byte) []byte { b[16+24+31] = 0x7f; return b }),
		"no symbol":             packet(1, 1, 1).message('I', 0, 5, 1, "").b,
		"a symbol with a space": packet(1, 1, 1).message('I', 0, 5, 1, "A B").b,
		"a symbol with \\xff":   packet(1, 1, 1).message('I', 0, 5, 1, "A\xff").b,
		"a price too small":     edit(func(b []byte) []byte { b[16+24+31] = 0x80; return b }),
	} {
		g := load(t, "acme", nil)
		if _, _, _, rows := parse(g, p); rows >= 0 {
			t.Errorf("%s: %d rows", name, rows)
		} else if !strings.HasPrefix(g.Error(), "acme: ") {
			t.Errorf("%s: the error's text is %q", name, g.Error())
		}
	}
	if _, _, _, rows := parse(load(t, "acme", nil), good()); rows != 2 {
		t.Errorf("the packet that others are made of gives %d rows", rows)
	}
}

func TestCSV(t *testing.T) {
	g := load(t, "csv", nil)
	rows := [][]string{ // sequence, ts_event, kind, symbol, side, price, size
		{"1", "1700000000000000001", "1", "AAPL", "B", "150.010000000", "300"},
		{"18446744073709551615", "18446744073709551615", "255", `"","",,"""""""",,"""""""",,""""a`, "A", "-9223372036.854775808", "18446744073709551615"},
		{"0", "0", "7", "a\nb,c\r", "N", "", "0"},
		{"3", "4", "12", "", "", "0.000000001", "5"},
		{"3", "4", "2", "x y", "B", "-0.100000000", "5"},
		{"3", "4", "2", strings.Repeat("long", 17) + "er", "B", "-0.100000000", "5"}, // 70 bytes: the longest symbol that there is
	}
	column := func(i int) (out []uint64) {
		for _, r := range rows {
			v, err := strconv.ParseUint(r[i], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, v)
		}
		return out
	}
	var kinds, sides []uint8
	var symbols []string
	var prices []int64
	for i, r := range rows {
		kinds = append(kinds, uint8(column(2)[i]))
		sides = append(sides, append([]byte(r[4]), 0)[0])
		symbols = append(symbols, r[3])
		px, err := strconv.ParseInt(strings.Replace(r[5], ".", "", 1), 10, 64)
		if r[5] == "" {
			px, err = math.MaxInt64, nil
		}
		if err != nil {
			t.Fatal(err)
		}
		prices = append(prices, px)
	}
	guest.Set(g, 0, 8, column(0))
	guest.Set(g, 0, 6, column(1))
	guest.Set(g, 0, 1, kinds)
	g.SetTexts(0, 30, symbols)
	guest.Set(g, 0, 3, sides)
	guest.Set(g, 0, 11, prices)
	guest.Set(g, 0, 12, column(6))
	text := slices.Clone(g.Out(0)[:g.Call("tw_begin", 0)])
	text = append(text, g.Out(0)[:g.Call("tw_serialize", 0, uint64(len(rows)))]...)
	got, err := csv.NewReader(strings.NewReader(strings.ReplaceAll(string(text), "\r\n", "\n"))).ReadAll()
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	want := append([][]string{{"sequence", "ts_event", "kind", "symbol", "side", "price", "size"}}, rows...)
	if !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("read back\n%q\nwant\n%q", got, want)
	}

	// A full batch of the longest rows has room.
	n := g.Manifest.Limits.MaxRows
	full := func(v uint64) (out []uint64) { return slices.Repeat([]uint64{v}, n) }
	guest.Set(g, 0, 8, full(math.MaxUint64))
	guest.Set(g, 0, 6, full(math.MaxUint64))
	guest.Set(g, 0, 1, bytes.Repeat([]byte{255}, n))
	g.SetTexts(0, 30, slices.Repeat([]string{strings.Repeat(`"`, 72)}, n))
	guest.Set(g, 0, 3, bytes.Repeat([]byte{'B'}, n))
	guest.Set(g, 0, 11, slices.Repeat([]int64{math.MinInt64}, n))
	guest.Set(g, 0, 12, full(math.MaxUint64))
	if bytes := g.Call("tw_serialize", 0, uint64(n)); bytes <= 0 || bytes > int64(len(g.Out(0))) {
		t.Errorf("%d bytes in room for %d", bytes, len(g.Out(0)))
	}
}

const eighth = 3_906_250 // of a 32nd, 1e-9

func TestTreasury(t *testing.T) {
	g := load(t, "treasury", nil)
	const validate, normalise, parse, format, compare, hash = 0, 1, 2, 3, 4, 5
	call := func(op, n int) {
		t.Helper()
		if got := g.Call("tw_type", 0, uint64(op), uint64(n)); got != int64(n) {
			t.Fatalf("op %d gives %d, want %d", op, got, n)
		}
	}
	texts := []struct {
		text, written string // written "": it is no price
		eighths       int64
	}{
		{"110-16+", "110-16+", (110*32+16)*8 + 4},
		{"110-165", "110-16+", (110*32+16)*8 + 4},
		{"110-16", "110-16", (110*32 + 16) * 8},
		{"110-160", "110-16", (110*32 + 16) * 8},
		{"110-162", "110-162", (110*32+16)*8 + 2},
		{"110-317", "110-317", (110*32+31)*8 + 6},
		{"110-318", "110-318", (110*32+31)*8 + 7},
		{"0-001", "0-001", 1},
		{"007-00", "7-00", 7 * 256},
		{"-1-08", "-1-08", -(32 + 8) * 8},
		{"99999999-31+", "99999999-31+", (99999999*32+31)*8 + 4},
		{"", "", 0}, {"110", "", 0}, {"110-", "", 0}, {"110-1", "", 0}, {"110-32", "", 0}, {"110-164", "", 0}, {"110-169", "", 0}, {"110-16++", "", 0}, {"-", "", 0},
		{"--1-08", "", 0}, {"110.5", "", 0}, {"x110-16", "", 0}, {"110-16x", "", 0}, {"100000000-00", "", 0}, {"-16", "", 0}, {"1234567890123456", "", 0},
	}
	n := len(texts)
	var in []string
	for _, c := range texts {
		in = append(in, c.text)
	}
	bad := func() []uint8 { return guest.Get[uint8](g, 0, manifest.ColumnNull, n) }
	set := func() {
		g.SetTexts(0, manifest.ColumnArg, in)
		g.SetTexts(0, manifest.ColumnArg+3, make([]string, n))
	}
	set()
	call(validate, n)
	valid := guest.Get[int64](g, 0, manifest.ColumnResult, n)
	set()
	call(parse, n)
	values, badParse := guest.Get[int64](g, 0, manifest.ColumnArg+1, n), bad()
	set()
	call(normalise, n)
	normal, badNormal := g.Texts(0, manifest.ColumnArg+3, n), bad()
	for i, c := range texts {
		good := c.written != ""
		if (valid[i] == 1) != good || (badParse[i] == 0) != good || (badNormal[i] == 0) != good {
			t.Errorf("%q: validate %d, parse %d, normalise %d", c.text, valid[i], badParse[i], badNormal[i])
		}
		if good && (values[i] != c.eighths*eighth || normal[i] != c.written) {
			t.Errorf("%q: %d, %q, want %d, %q", c.text, values[i], normal[i], c.eighths*eighth, c.written)
		}
	}

	// All eighths of some points and their neighbours: what is written is read as what it was.
	var all []int64
	for v := int64(-3); v < 1000; v++ {
		all = append(all, v*eighth)
	}
	guest.Set(g, 0, manifest.ColumnArg+1, all)
	call(format, len(all))
	g.SetTexts(0, manifest.ColumnArg, g.Texts(0, manifest.ColumnArg+3, len(all)))
	guest.Set(g, 0, manifest.ColumnArg+1, make([]int64, len(all)))
	call(parse, len(all))
	if got := guest.Get[int64](g, 0, manifest.ColumnArg+1, len(all)); !slices.Equal(got, all) {
		t.Error("what format wrote is not read as what it was")
	}

	for _, px := range []int64{1, eighth + 1, 100_000_000_000_000_000, math.MaxInt64, math.MinInt64} {
		guest.Set(g, 0, manifest.ColumnArg+1, []int64{px})
		call(format, 1)
		if bad()[0] == 0 {
			t.Errorf("%d is written as %q", px, g.Texts(0, manifest.ColumnArg+3, 1)[0])
		}
	}

	guest.Set(g, 0, manifest.ColumnArg+1, []int64{1, 2, 2, math.MinInt64})
	guest.Set(g, 0, manifest.ColumnArg+2, []int64{2, 1, 2, math.MaxInt64})
	call(compare, 4)
	if got := guest.Get[int64](g, 0, manifest.ColumnResult, 4); !slices.Equal(got, []int64{-1, 1, 0, -1}) {
		t.Errorf("compare gives %v", got)
	}
	guest.Set(g, 0, manifest.ColumnArg+1, []int64{eighth, 2 * eighth, eighth})
	call(hash, 3)
	if h := guest.Get[int64](g, 0, manifest.ColumnResult, 3); h[0] != h[2] || h[0] == h[1] {
		t.Errorf("hashes %x", h)
	}
	if v := g.Call("tw_type", 0, 6, 1); v >= 0 {
		t.Errorf("op 6 gives %d", v)
	}
}

func TestDelta(t *testing.T) {
	g := load(t, "delta", nil)
	rnd := rand.New(rand.NewPCG(5, 6))
	blocks := map[string][]int64{
		"nothing":   {},
		"edges":     {0, 1, -1, 63, -64, 64, math.MaxInt64, math.MinInt64, math.MaxInt64, 0, math.MinInt64},
		"times":     make([]int64, 4096),
		"any value": make([]int64, 4096),
		"the worst": make([]int64, 4096),
	}
	for i := range 4096 {
		blocks["times"][i] = 1_700_000_000_000_000_000 + int64(i)*1000 + rnd.Int64N(500)
		blocks["any value"][i] = int64(rnd.Uint64())
		blocks["the worst"][i] = math.MinInt64 * int64(i%2) // differences of 64 bits
	}
	for name, values := range blocks {
		guest.Set(g, 0, manifest.ColumnArg, values)
		n := g.Call("tw_encode", 0, uint64(len(values)))
		if n < 0 || n > int64(len(g.Out(0))) {
			t.Fatalf("%s: %d bytes", name, n)
		}
		var want []byte // encoding/binary's varint is the same one
		before := int64(0)
		for _, v := range values {
			want = binary.AppendVarint(want, v-before)
			before = v
		}
		if !bytes.Equal(g.Out(0)[:n], want) {
			t.Errorf("%s: bytes are others than encoding/binary's", name)
		}
		copy(g.In(0), g.Out(0)[:n])
		if rows := g.Call("tw_decode", 0, uint64(n)); rows != int64(len(values)) {
			t.Fatalf("%s: %d rows, want %d", name, rows, len(values))
		}
		if got := guest.Get[int64](g, 0, manifest.ColumnResult, len(values)); !slices.Equal(got, values) {
			t.Errorf("%s: other values came back", name)
		}
	}
	for name, b := range map[string][]byte{
		"cut off":       {0x80},
		"cut off later": {2, 0xff, 0xff},
		"eleven bytes":  append(bytes.Repeat([]byte{0x80}, 10), 0),
		"65 bits":       append(bytes.Repeat([]byte{0xff}, 9), 2),
		"too many rows": make([]byte, 4097),
	} {
		copy(g.In(0), b)
		if rows := g.Call("tw_decode", 0, uint64(len(b))); rows >= 0 {
			t.Errorf("%s: %d rows", name, rows)
		}
	}
}

// Goal: a probe never leaves out a row that matches, and leaves out most that cannot. Method: blocks by a seed, ranges at random and at the edges, compared with a
// look at each row.
func TestZonemap(t *testing.T) {
	g := load(t, "zonemap", nil)
	rnd := rand.New(rand.NewPCG(7, 8))
	sorted, random := make([]int64, 4096), make([]int64, 4096)
	for i := range sorted {
		sorted[i], random[i] = int64(i)*10+rnd.Int64N(30), rnd.Int64N(40_000)
	}
	edges := slices.Clone(random)
	edges[77], edges[3000] = math.MinInt64, math.MaxInt64
	for _, tc := range []struct {
		name   string
		values []int64
		advice int64
		most   int // rows of a narrow range
	}{{"in order", sorted, 0, 192}, {"in no order", random, 1, 4096}, {"two far off", edges, 0, 4096}, {"a few", sorted[:65], 1, 65}, {"one", sorted[:1], 1, 1}, {"nothing", nil, 1, 0}} {
		n := len(tc.values)
		guest.Set(g, 0, manifest.ColumnArg, tc.values)
		if a := g.Call("tw_index_advise", 0, uint64(n)); a != tc.advice {
			t.Errorf("%s: advice %d, want %d", tc.name, a, tc.advice)
		}
		size := g.Call("tw_index_build", 0, uint64(n))
		if size < 0 || size > int64(len(g.Out(0))) {
			t.Fatalf("%s: an index of %d bytes", tc.name, size)
		}
		index := slices.Clone(g.Out(0)[:size])
		for range 200 {
			least := rnd.Int64N(42_000) - 1000
			greatest := least + rnd.Int64N(5)
			if rnd.IntN(10) == 0 {
				least, greatest = math.MinInt64, least
			}
			copy(g.In(0), index)
			guest.Set(g, 0, manifest.ColumnArg+1, []int64{least})
			guest.Set(g, 0, manifest.ColumnArg+2, []int64{greatest})
			ranges := int(g.Call("tw_index_probe", 0, uint64(size)))
			if ranges < 0 {
				t.Fatalf("%s: probe gives %d", tc.name, ranges)
			}
			from, behind := guest.Get[uint32](g, 0, manifest.ColumnArg+3, ranges), guest.Get[uint32](g, 0, manifest.ColumnArg+4, ranges)
			covered := make([]bool, n)
			rows, end := 0, uint32(0)
			for i := range ranges {
				if from[i] < end || i > 0 && from[i] == end || behind[i] <= from[i] || int(behind[i]) > n {
					t.Fatalf("%s: ranges %v to %v of %d rows", tc.name, from, behind, n)
				}
				end = behind[i]
				rows += int(end - from[i])
				for r := from[i]; r < end; r++ {
					covered[r] = true
				}
			}
			for r, v := range tc.values {
				if v >= least && v <= greatest && !covered[r] {
					t.Fatalf("%s: row %d has %d, which is in %d … %d, and is left out", tc.name, r, v, least, greatest)
				}
			}
			if least > math.MinInt64 && rows > tc.most {
				t.Errorf("%s: %d … %d gives %d rows, want at most %d", tc.name, least, greatest, rows, tc.most)
			}
		}
	}
	// An index that is none.
	for name, b := range map[string][]byte{"empty": {}, "short": make([]byte, 7), "a zone short": {65, 0, 0, 0, 0, 0, 0, 0, 1}, "of too many rows": bytes.Repeat([]byte{0xff}, 8)} {
		copy(g.In(0), b)
		if v := g.Call("tw_index_probe", 0, uint64(len(b))); v >= 0 {
			t.Errorf("an index that is %s gives %d ranges", name, v)
		}
	}
}

func TestBySymbol(t *testing.T) {
	symbols := []string{"", "A", "AAPL", "MSFT", "BRK.B", strings.Repeat("z", 32), "\xff\xfe"}
	for i := range 1000 {
		symbols = append(symbols, fmt.Sprintf("S%d", i))
	}
	for _, partitions := range []uint64{1, 16, 65536} {
		g := load(t, "by-symbol", map[string]any{"partitions": int64(partitions)})
		g.SetTexts(0, 30, symbols)
		if n := g.Call("tw_partition", 0, uint64(len(symbols))); n != int64(len(symbols)) {
			t.Fatalf("%d rows, want %d", n, len(symbols))
		}
		used := map[uint64]int{}
		for i, key := range guest.Get[uint64](g, 0, manifest.ColumnResult, len(symbols)) {
			h := fnv.New64a()
			h.Write([]byte(symbols[i]))
			if want := (h.Sum64() ^ h.Sum64()>>32) % partitions; key != want {
				t.Errorf("%q of %d partitions: %d, want %d", symbols[i], partitions, key, want)
			}
			used[key]++
		}
		if partitions == 16 {
			for p := range partitions {
				if used[p] < len(symbols)/32 {
					t.Errorf("partition %d has %d of %d symbols", p, used[p], len(symbols))
				}
			}
		}
	}
}

// State that price-band saved is what another instance goes on with; other bytes are refused.
func TestPriceBandMovesOn(t *testing.T) {
	old, fresh := load(t, "price-band", nil), load(t, "price-band", nil)
	judge := func(g *guest.Guest, kind uint8, price int64) int64 {
		guest.Set(g, 0, 1, []uint8{kind})
		guest.Set(g, 0, 5, []uint32{7})
		guest.Set(g, 0, 11, []int64{price})
		return g.Call("tw_validate", 0, 1)
	}
	judge(old, 7, 100_000_000_000)
	if judge(fresh, 1, 200_000_000_000) != 0 || judge(old, 1, 200_000_000_000) != 1 {
		t.Error("want 200 to be outside for the one that saw a trade at 100, and for no other")
	}
	state := old.Got(old.Call("tw_save"))
	if v := fresh.Call("tw_restore", fresh.Put(state), uint64(len(state))); v != 0 {
		t.Fatalf("restore gives %d", v)
	}
	if judge(fresh, 1, 200_000_000_000) != 1 || judge(fresh, 1, 104_000_000_000) != 0 {
		t.Error("the last trade did not move to the other instance")
	}
	if v := fresh.Call("tw_restore", fresh.Put(state[1:]), uint64(len(state)-1)); v >= 0 {
		t.Errorf("restore of too few bytes gives %d", v)
	}
}
