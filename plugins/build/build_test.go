package build

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/fnv"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/internal/exercise"
	"github.com/tickwire/tickwire/plugins/internal/guest"
	"github.com/tickwire/tickwire/plugins/internal/toolchain"
	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/plugins/sdk"
	"github.com/tickwire/tickwire/plugins/trial"
)

// Goal: what `plugin new` writes is a plugin, in each language and of each kind, that does what its kind is for and passes `plugin test`. Method: write it, build it,
// run it: as a guest of which all memory is seen, under the host with rows as many as there may be, and on its case and generated ones.
func TestTemplates(t *testing.T) {
	for _, lang := range Languages() {
		t.Run(lang, func(t *testing.T) {
			want := manifest.Kinds
			if lang == "javascript" || lang == "python" { // interpreted: what needs speed, or bytes in and out, is for others
				want = []manifest.Kind{manifest.Transform, manifest.Validator, manifest.Function, manifest.Partition}
			}
			if kinds := Kinds(lang); !slices.Equal(kinds, want) {
				t.Errorf("there are templates of %v, want %v", kinds, want)
			}
			if lang == "python" {
				t.Skip("its plugins are commands, which are not called: TestPython")
			}
			compiles(t, lang)
			for _, kind := range Kinds(lang) {
				t.Run(string(kind), func(t *testing.T) {
					t.Parallel() // compilers take most of the time
					dir := filepath.Join(t.TempDir(), "Desk one")
					if err := New(dir, lang, kind); err != nil {
						t.Fatal(err)
					}
					if err := trial.WriteTemplate(dir, kind); err != nil {
						t.Fatal(err)
					}
					path, err := Build(dir)
					toolchain.Check(t, err)
					if want := filepath.Join(dir, "desk-one.wasm"); path != want {
						t.Errorf("built %s, want %s", path, want)
					}
					module, err := os.ReadFile(path)
					if err != nil {
						t.Fatal(err)
					}
					g := guest.Load(t, module, nil)
					if g.Manifest.Name != "desk-one" || g.Manifest.Kinds[0].Kind != kind {
						t.Errorf("it is %s, a %s", g.Manifest.Name, g.Manifest.Kinds[0].Kind)
					}
					templates[kind](t, g)
					hosted(t, module, filepath.Join(dir, trial.Folder))
				})
			}
		})
	}
}

// hosted runs a plugin under the host, as tests and feeds do.
func hosted(t *testing.T, module []byte, cases string) {
	t.Helper()
	host, err := plugins.New(plugins.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	plugin, err := host.Compile(module)
	if err != nil {
		t.Fatal(err)
	}
	defer plugin.Close()
	exercise.Plugin(t, plugin)
	checks, err := trial.CheckAll(plugin, cases, trial.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(checks) < 5 || checks[0].Name != "first" || checks[0].Rows == 0 {
		t.Errorf("the case that new wrote is not among the checks: %+v", checks)
	}
	for _, k := range checks {
		if !k.Ok {
			t.Errorf("%s: %s", k.Name, k.What)
		}
	}
}

// compiles makes ready for builds in a language. Builds take seconds each, and another detector sees no more of them.
func compiles(t *testing.T, lang string) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: nothing is compiled")
	}
	switch lang {
	case "assemblyscript":
		toolchain.AssemblyScript(t, AssemblyScriptVersion)
	case "javascript":
		toolchain.JavaScript(t, QuickJSVersion)
	case "python":
		toolchain.Python(t, PythonVersion)
	}
}

const undef = 1<<63 - 1

// templates says what the plugin of each template does.
var templates = map[manifest.Kind]func(*testing.T, *guest.Guest){
	manifest.Transform: func(t *testing.T, g *guest.Guest) {
		guest.Set(g, 0, 17, []int64{100, undef, 100, 300})
		guest.Set(g, 0, 18, []int64{103, 103, undef, 100})
		if n := g.Call("tw_transform", 0, 4); n != 4 {
			t.Errorf("%d rows, want 4", n)
		}
		if got, want := guest.Get[int64](g, 0, manifest.ColumnCustom, 5), []int64{3, 0, 0, -200, 0}; !slices.Equal(got, want) {
			t.Errorf("spread %v, want %v", got, want)
		}
	},
	manifest.Validator: func(t *testing.T, g *guest.Guest) {
		guest.Set(g, 0, 11, []int64{1, 0, -1, undef})
		if n := g.Call("tw_validate", 0, 4); n != 2 {
			t.Errorf("%d rows not kept, want 2", n)
		}
		if got, want := guest.Get[uint8](g, 0, manifest.ColumnRowCtl, 5), []uint8{0, 2, 2, 0, 0}; !slices.Equal(got, want) {
			t.Errorf("row_ctl %v, want %v", got, want)
		}
	},
	manifest.Function: func(t *testing.T, g *guest.Guest) {
		guest.Set(g, 0, manifest.ColumnArg, []int64{100, -7, undef, -1 << 63, 5})
		guest.Set(g, 0, manifest.ColumnArg+1, []int64{104, -5, undef - 2, undef, 8})
		if n := g.Call("tw_function", 0, 5); n != 5 {
			t.Errorf("%d rows, want 5", n)
		}
		if got, want := guest.Get[int64](g, 0, manifest.ColumnResult, 6), []int64{102, -6, undef - 1, -1, 6, 0}; !slices.Equal(got, want) {
			t.Errorf("mid %v, want %v", got, want)
		}
	},
	manifest.Aggregate: func(t *testing.T, g *guest.Guest) {
		start := func() {
			if n := g.Call("tw_agg_start", 0, 3); n != 3 {
				t.Errorf("start %d, want 3", n)
			}
		}
		update := func(prices []int64, groups []uint32) {
			guest.Set(g, 0, manifest.ColumnArg, prices)
			guest.Set(g, 0, manifest.ColumnGroup, groups)
			if n := g.Call("tw_agg_update", 0, uint64(len(prices)), 3); n != int64(len(prices)) {
				t.Errorf("update %d, want %d", n, len(prices))
			}
		}
		start()
		update([]int64{10, -5, 7}, []uint32{0, 1, 0})
		others := slices.Clone(g.Out(0)[:3*g.Manifest.Kinds[0].StateBytes])
		start()
		update([]int64{3, 20}, []uint32{0, 0})
		copy(g.In(0), others)
		if n := g.Call("tw_agg_merge", 0, 3); n != 3 {
			t.Errorf("merge %d, want 3", n)
		}
		if n := g.Call("tw_agg_result", 0, 3); n != 3 {
			t.Errorf("result %d, want 3", n)
		}
		if got, want := guest.Get[int64](g, 0, manifest.ColumnResult, 2), []int64{17, 0}; !slices.Equal(got, want) {
			t.Errorf("ranges %v, want %v", got, want)
		}
		if got, want := guest.Get[uint8](g, 0, manifest.ColumnNull, 3), []uint8{0, 0, 1}; !slices.Equal(got, want) {
			t.Errorf("NULLs %v, want %v", got, want)
		}
	},
	manifest.Parser: func(t *testing.T, g *guest.Guest) {
		const header, first = 16, 1<<40 | 5
		b := binary.LittleEndian.AppendUint64(nil, first)
		b = append(binary.LittleEndian.AppendUint32(b, 2), "TRD1"...)
		for i := range uint64(2) {
			b = binary.LittleEndian.AppendUint32(b, uint32(17+i))
			b = binary.LittleEndian.AppendUint32(b, 300)
			b = binary.LittleEndian.AppendUint64(b, 0xfffffffffffffffe+i)
			b = binary.LittleEndian.AppendUint64(b, 1_700_000_000_123_456_789+i)
		}
		frame := func(b []byte) []byte {
			copy(g.In(0), b)
			if sure, code := g.Call("tw_looks", 0, uint64(len(b))), g.Call("tw_frame", 0, uint64(len(b))); sure != 90 || code != 0 {
				t.Fatalf("looks %d, frame %d", sure, code)
			}
			return slices.Clone(g.Out(0)[:34])
		}
		session := make([]byte, 4+10)
		if got, want := frame(b), append([]byte{5, 0, 0, 0, 0, 1, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, header, 0, 0, 0}, session...); !slices.Equal(got, want) {
			t.Errorf("framing % x, want % x", got, want)
		}
		heartbeat := slices.Clone(b[:header])
		heartbeat[8] = 0
		if got, want := frame(heartbeat), append([]byte{5, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, header, 0, 0, 0}, session...); !slices.Equal(got, want) {
			t.Errorf("framing of a heartbeat % x, want % x", got, want)
		}
		other := slices.Clone(b)
		other[15] = '2'
		for _, b := range [][]byte{nil, b[:header-1], other} {
			copy(g.In(0), b)
			if sure, code := g.Call("tw_looks", 0, uint64(len(b))), g.Call("tw_frame", 0, uint64(len(b))); sure != 0 || code >= 0 || !strings.Contains(g.Error(), "no header") {
				t.Errorf("% x: looks %d, frame %d, %q", b, sure, code, g.Error())
			}
		}
		copy(g.In(0), b[header:])
		if n := g.Call("tw_parse", 0, uint64(len(b)-header), first, 2); n != 2 {
			t.Fatalf("%d rows, want 2", n)
		}
		for i := range 2 {
			if k, side := guest.Get[uint8](g, 0, 1, 2)[i], guest.Get[uint8](g, 0, 3, 2)[i]; k != 7 || side != 'N' {
				t.Errorf("kind %d side %c", k, side)
			}
			if id, at := guest.Get[uint32](g, 0, 5, 2)[i], guest.Get[uint64](g, 0, 6, 2)[i]; id != uint32(17+i) || at != uint64(1_700_000_000_123_456_789+i) {
				t.Errorf("instrument %d at %d", id, at)
			}
			if seq, px, size := guest.Get[uint64](g, 0, 8, 2)[i], guest.Get[int64](g, 0, 11, 2)[i], guest.Get[uint64](g, 0, 12, 2)[i]; seq != uint64(first+i) || px != int64(i-2) || size != 300 {
				t.Errorf("sequence %d price %d size %d", seq, px, size)
			}
		}
		for _, bad := range []struct{ bytes, count uint64 }{{0, 1}, {23, 1}, {25, 1}, {48, 1}, {24, 2}, {24 * 1025, 1025}, {24, 1<<32 - 1}} {
			if got := g.Call("tw_parse", 0, bad.bytes, 1, bad.count); got >= 0 || !strings.Contains(g.Error(), "as its header says") {
				t.Errorf("%+v: %d rows, %q", bad, got, g.Error())
			}
		}
	},
	manifest.Serializer: func(t *testing.T, g *guest.Guest) {
		symbols := []string{"AAPL", "\"\\\x01\x7f\xff", ""}
		guest.Set(g, 0, 6, []uint64{math.MaxUint64, 0, 1_700_000_000_000_000_000})
		g.SetTexts(0, 30, symbols)
		guest.Set(g, 0, 3, []uint8{'B', 0, 'N'})
		guest.Set(g, 0, 11, []int64{math.MinInt64, undef, 100_500_000_000})
		guest.Set(g, 0, 12, []uint64{math.MaxUint64, 0, 10})
		n := g.Call("tw_serialize", 0, 3)
		want := `{"ts":18446744073709551615,"symbol":"AAPL","side":"B","price":-9223372036.854775808,"size":18446744073709551615}
{"ts":0,"symbol":"\u0022\u005c\u0001\u007f\u00ff","side":"\u0000","price":null,"size":0}
{"ts":1700000000000000000,"symbol":"","side":"N","price":100.500000000,"size":10}
`
		if got := string(g.Out(0)[:n]); got != want {
			t.Errorf("written\n%s\nwant\n%s", got, want)
		}
	},
	manifest.TypeKind: func(t *testing.T, g *guest.Guest) {
		texts := []string{"US0378331005", "us037833-1005", " U S 0 3 7 8 3 3 1 0 0 5 ", "AU0000XVGZA3", "DE000BASF111", "GB00B03MLX29", // real ones, and spellings
			"US0378331006", "US0378330105", "US03783310055", "US037833100", "030378331005", "US03783310O5", "US037833100A", "", "-", "US0378331005\xff", "ÜS0378331005"}
		const good, n = 6, 17
		normal := []string{"US0378331005", "US0378331005", "US0378331005", "AU0000XVGZA3", "DE000BASF111", "GB00B03MLX29"}
		call := func(op int) []uint8 {
			t.Helper()
			guest.Set(g, 0, manifest.ColumnNull, make([]uint8, n))
			if got := g.Call("tw_type", 0, uint64(op), n); got != n {
				t.Fatalf("op %d gives %d, want %d", op, got, n)
			}
			return guest.Get[uint8](g, 0, manifest.ColumnNull, n)
		}
		is := func(what string, good bool, row int) {
			t.Helper()
			if want := row < 6; good != want {
				t.Errorf("%s %q: %v", what, texts[row], good)
			}
		}
		g.SetTexts(0, manifest.ColumnArg, texts)
		call(0)
		for row, v := range guest.Get[int64](g, 0, manifest.ColumnResult, n) {
			is("validate", v == 1, row)
		}
		for _, step := range []struct {
			op  int
			out uint16
		}{{1, 515}, {2, 513}, {3, 515}} {
			bad := call(step.op)
			for row, text := range g.Texts(0, step.out, n) {
				if is("operation", bad[row] == 0, row); row < good && text != normal[row] {
					t.Errorf("operation %d makes %q of %q, want %q", step.op, text, texts[row], normal[row])
				}
			}
		}
		g.SetTexts(0, 514, slices.Concat(normal[1:], []string{"US0378331005"}))
		call(4)
		if got, want := guest.Get[int64](g, 0, manifest.ColumnResult, good), []int64{0, 0, 1, -1, -1, -1}; !slices.Equal(got, want) {
			t.Errorf("compare gives %d, want %d", got, want)
		}
		call(5)
		h := fnv.New64a()
		h.Write([]byte(normal[4]))
		if got := guest.Get[int64](g, 0, manifest.ColumnResult, good); got[0] != got[2] || got[4] != int64(h.Sum64()) {
			t.Errorf("hashes %x", got)
		}
		for _, op := range []uint64{6, 1<<32 - 1} {
			if v := g.Call("tw_type", 0, op, 1); v >= 0 {
				t.Errorf("operation %d gives %d", int32(op), v)
			}
		}
	},
	manifest.Codec: func(t *testing.T, g *guest.Guest) {
		worst := make([]int64, 4096)
		for i := range worst {
			worst[i] = math.MinInt64 * int64(i%2) // differences of 64 bits
		}
		for _, values := range [][]int64{{}, {0, 1, -1, 63, -64, 64, math.MaxInt64, math.MinInt64, math.MaxInt64, 0}, worst} {
			guest.Set(g, 0, manifest.ColumnArg, values)
			n := g.Call("tw_encode", 0, uint64(len(values)))
			var want []byte // encoding/binary's varint is the same one
			before := int64(0)
			for _, v := range values {
				want = binary.AppendVarint(want, v-before)
				before = v
			}
			if got := g.Out(0)[:n]; !slices.Equal(got, want) {
				t.Errorf("%d values: % .100x, want % .100x", len(values), got, want)
			}
			copy(g.In(0), g.Out(0)[:n])
			if rows := g.Call("tw_decode", 0, uint64(n)); rows != int64(len(values)) {
				t.Errorf("%d values come back as %d", len(values), rows)
			}
			if got := guest.Get[int64](g, 0, manifest.ColumnResult, len(values)); !slices.Equal(got, values) {
				t.Errorf("%d values come back as others", len(values))
			}
		}
		for text, bad := range map[string][][]byte{
			"cut off":           {{0x80}, {2, 0xff, 0xff}},
			"more than 64 bits": {append(bytes.Repeat([]byte{0x80}, 10), 0), append(bytes.Repeat([]byte{0xff}, 9), 2)},
			"more numbers":      {make([]byte, 4097)},
		} {
			for _, b := range bad {
				copy(g.In(0), b)
				if rows := g.Call("tw_decode", 0, uint64(len(b))); rows >= 0 || !strings.Contains(g.Error(), text) {
					t.Errorf("% .20x: %d rows, %q", b, rows, g.Error())
				}
			}
		}
	},
	manifest.Index: func(t *testing.T, g *guest.Guest) {
		values := make([]int64, 200)
		for i := range values {
			values[i] = int64(i) * 10
		}
		values[130] = math.MinInt64 // zones: 0 … 630, 640 … 1270, MinInt64 … 1910, 1920 … 1990
		guest.Set(g, 0, manifest.ColumnArg, values)
		n := g.Call("tw_index_build", 0, 200)
		if n != 8+4*16 {
			t.Fatalf("an index of %d bytes, want 72", n)
		}
		index := slices.Clone(g.Out(0)[:n])
		copy(g.In(0), index)
		for _, tc := range []struct {
			least, greatest int64
			want            []uint32
		}{
			{0, 0, []uint32{0, 64, 128, 192}}, {630, 640, []uint32{0, 192}}, {1911, 1919, nil}, {1920, math.MaxInt64, []uint32{192, 200}},
			{math.MinInt64, math.MaxInt64, []uint32{0, 200}}, {2000, 3000, nil}, {700, 600, []uint32{128, 192}},
		} {
			guest.Set(g, 0, manifest.ColumnArg+1, []int64{tc.least})
			guest.Set(g, 0, manifest.ColumnArg+2, []int64{tc.greatest})
			var got []uint32
			ranges := int(g.Call("tw_index_probe", 0, uint64(n)))
			for i := range max(ranges, 0) {
				got = append(got, guest.Get[uint32](g, 0, 515, ranges)[i], guest.Get[uint32](g, 0, 516, ranges)[i])
			}
			if ranges < 0 || tc.least <= tc.greatest && !slices.Equal(got, tc.want) {
				t.Errorf("%d … %d: %d ranges %v, want %v", tc.least, tc.greatest, ranges, got, tc.want)
			}
		}
		for _, b := range [][]byte{nil, index[:7], index[:n-1], append(slices.Clone(index), 0), bytes.Repeat([]byte{0xff}, 8)} {
			copy(g.In(0), b)
			if v := g.Call("tw_index_probe", 0, uint64(len(b))); v >= 0 || !strings.Contains(g.Error(), "no bytes of an index") {
				t.Errorf("% x gives %d ranges, %q", b, v, g.Error())
			}
		}
		slices.Sort(values)
		ordered, alike := values[1:], slices.Repeat([]int64{5, -5}, 64)
		for advice, values := range [][]int64{ordered, alike} {
			guest.Set(g, 0, manifest.ColumnArg, values)
			if got := g.Call("tw_index_advise", 0, uint64(len(values))); got != int64(advice) {
				t.Errorf("advice %d, want %d", got, advice)
			}
		}
		if got := g.Call("tw_index_advise", 0, 64); got != 1 {
			t.Errorf("advice for one zone %d, want 1", got)
		}
	},
	manifest.Partition: func(t *testing.T, g *guest.Guest) {
		const day = 86_400_000_000_000
		times := []uint64{0, day - 1, day, 19_675 * day, math.MaxUint64}
		var ts, want []uint64
		var ids []uint32
		used := map[uint64]bool{}
		for _, at := range times {
			for id := range uint32(100) {
				ts, ids = append(ts, at), append(ids, id*41)
				want = append(want, at/day*16+uint64(id*41*2654435769>>28))
				used[want[len(want)-1]] = true
			}
		}
		guest.Set(g, 0, 6, ts)
		guest.Set(g, 0, 5, ids)
		if n := g.Call("tw_partition", 0, uint64(len(ts))); n != int64(len(ts)) {
			t.Fatalf("%d rows, want %d", n, len(ts))
		}
		if got := guest.Get[uint64](g, 0, manifest.ColumnResult, len(ts)); !slices.Equal(got, want) || len(used) != 16*(len(times)-1) {
			t.Errorf("keys %v, %d of them; want %v", got, len(used), want)
		}
	},
}

// Each template has a manifest that parses, and the same for a kind in all languages but for limits, wasi and command.
func TestTemplateManifests(t *testing.T) {
	first := map[manifest.Kind]string{}
	for _, lang := range Languages() {
		for _, kind := range Kinds(lang) {
			b, err := fs.ReadFile(sdk.Files, lang+"/template/"+string(kind)+"/plugin.json")
			if err != nil {
				t.Fatal(err)
			}
			m, err := manifest.Parse(b)
			if err != nil {
				t.Fatalf("%s, %s: %v", lang, kind, err)
			}
			if m.Name != templateName {
				t.Errorf("%s, %s: the name is %s", lang, kind, m.Name)
			}
			if m.WASI != slices.Contains([]string{"go", "javascript", "python"}, lang) || m.Command != (lang == "python") {
				t.Errorf("%s, %s: wasi is %v, command %v", lang, kind, m.WASI, m.Command)
			}
			m.Limits, m.WASI, m.Command = manifest.Limits{}, false, false
			text, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			if first[kind] == "" {
				first[kind] = string(text)
			}
			if string(text) != first[kind] {
				t.Errorf("%s, %s: manifest\n%s\nbut another language has\n%s", lang, kind, text, first[kind])
			}
		}
	}
}

func TestNewRefuses(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		dir, lang string
		kind      manifest.Kind
		want      string
	}{
		{filepath.Join(t.TempDir(), "p"), "cobol", manifest.Transform, `language "cobol" is none of c, cpp, rust, go, javascript, python, assemblyscript`},
		{filepath.Join(t.TempDir(), "p"), "c", "filter", "no template of a filter in c, only of [transform validator "},
		{filepath.Join(t.TempDir(), "__"), "c", manifest.Transform, "no letter or digit"},
		{full, "c", manifest.Transform, "is not empty, so nothing was written"},
	} {
		if err := New(tc.dir, tc.lang, tc.kind); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("New(%s, %s): %v, want … %s …", tc.lang, tc.kind, err, tc.want)
		}
	}
	if entries, _ := os.ReadDir(full); len(entries) != 1 {
		t.Error("something was written to a folder that was not empty")
	}
}

const goodManifest = `{"name": "p", "version": "1.0.0", "abi": 1, "kinds": [{"kind": "transform", "reads": ["price"], "writes": ["price"]}]}`

func TestBuildRefuses(t *testing.T) {
	for _, tc := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"no manifest", map[string]string{"a.c": ""}, "has no plugin.json"},
		{"a broken manifest", map[string]string{"plugin.json": `{"name": "P"}`, "a.c": ""}, `name "P": want`},
		{"no source", map[string]string{"plugin.json": goodManifest, "README.md": ""}, "has no source"},
		{"two languages", map[string]string{"plugin.json": goodManifest, "a.c": "", "b.rs": ""}, "has sources in c and in rust"},
		{"the SDK's file only", map[string]string{"plugin.json": goodManifest, "tickwire.rs": ""}, "has no source"},
		{"no main source", map[string]string{"plugin.json": goodManifest, "a.rs": "", "b.rs": ""}, "none of them is plugin.rs or lib.rs"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range tc.files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if path, err := Build(dir); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s, %v, want … %s …", path, err, tc.want)
			}
		})
	}
}

// A compiler's complaint reaches the user with the file as it is named in his folder, and what was built before stays.
func TestBuildFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "p")
	if err := New(dir, "c", manifest.Transform); err != nil {
		t.Fatal(err)
	}
	path, err := Build(dir)
	toolchain.Check(t, err)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "plugin.c"), []byte("#include \"tickwire.h\"\nint nonsense = ;\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Build(dir); err == nil || !strings.Contains(err.Error(), "plugin.c:2:16: error") {
		t.Errorf("%v, want the compiler's complaint about plugin.c:2:16", err)
	}
	after, err := os.ReadFile(path)
	if err != nil || !slices.Equal(before, after) {
		t.Errorf("the module that was there is another one now (%v)", err)
	}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			t.Errorf("%s is left behind", e.Name())
		}
	}
}

// A wasm-opt in PATH, which clang's driver would run, has no part in what is built; and sources of several files are linked.
func TestNobodyElseOptimises(t *testing.T) {
	dir, bin := filepath.Join(t.TempDir(), "p"), t.TempDir()
	if err := New(dir, "c", manifest.Function); err != nil {
		t.Fatal(err)
	}
	more := "#include <stdint.h>\nint64_t middle(int64_t a, int64_t b);\nint64_t middle(int64_t a, int64_t b) { return (a & b) + ((a ^ b) >> 1); }\n"
	source, err := os.ReadFile(filepath.Join(dir, "plugin.c"))
	if err != nil {
		t.Fatal(err)
	}
	_, calls, _ := strings.Cut(string(source), "result[i] = ")
	calls, _, _ = strings.Cut(calls, ";")
	text := "#include <stdint.h>\nint64_t middle(int64_t a, int64_t b);\n" + strings.Replace(string(source), calls, "middle(bid[i], ask[i])", 1)
	for path, text := range map[string]string{filepath.Join(dir, "more.c"): more, filepath.Join(dir, "plugin.c"): text, filepath.Join(bin, "wasm-opt"): "#!/bin/sh\nexit 1\n"} {
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	path, err := Build(dir)
	toolchain.Check(t, err)
	module, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	templates[manifest.Function](t, guest.Load(t, module, nil))
}

// Without a compiler the error says which one, and how to get it.
func TestMissingCompilers(t *testing.T) {
	install := map[string]string{"c": "apt install clang", "cpp": "apt install clang", "go": "install Go", "assemblyscript": "apt install nodejs"}
	for lang, want := range install {
		dir := filepath.Join(t.TempDir(), "p")
		if err := New(dir, lang, manifest.Transform); err != nil {
			t.Fatal(err)
		}
		path := os.Getenv("PATH")
		os.Setenv("PATH", t.TempDir())
		_, err := Build(dir)
		os.Setenv("PATH", path)
		var missing *MissingError
		if !errors.As(err, &missing) || !strings.Contains(missing.Install, want) {
			t.Errorf("%s: %v, want a missing compiler and: %s", lang, err, want)
		}
	}
	t.Run("a linker", func(t *testing.T) {
		clang, err := exec.LookPath("clang")
		if err != nil {
			t.Skip("clang is not on this machine")
		}
		bin, dir := t.TempDir(), filepath.Join(t.TempDir(), "p")
		if err := New(dir, "c", manifest.Transform); err != nil {
			t.Fatal(err)
		}
		// A driver that finds no linker: the real one would find it beside itself.
		script := "#!/bin/sh\ncase \"$*\" in *-print-prog-name=wasm-ld) echo wasm-ld;; *) exec " + clang + " \"$@\";; esac\n"
		if err := os.WriteFile(filepath.Join(bin, "clang"), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
		var missing *MissingError
		if _, err := Build(dir); !errors.As(err, &missing) || missing.What != "wasm-ld" {
			t.Errorf("%v, want that wasm-ld is missing", err)
		}
	})
}

func TestNameOf(t *testing.T) {
	for folder, want := range map[string]string{"price-band": "price-band", "Price Band 2": "price-band-2", "--x": "x", strings.Repeat("a", 62) + "-b": strings.Repeat("a", 62), "日本": ""} {
		if got, err := nameOf(folder); got != want || (err == nil) != (want != "") {
			t.Errorf("nameOf(%q) = %q, %v, want %q", folder, got, err, want)
		}
	}
}
