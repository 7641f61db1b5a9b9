package build

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/plugins/internal/guest"
	"github.com/tickwire/tickwire/plugins/internal/toolchain"
	"github.com/tickwire/tickwire/plugins/manifest"
)

// probe answers with its parameters: n, its neighbours whose names begin or end as its own does, one that is not there, a price, two truths.
const probeManifest = `{
  "name": "probe", "version": "1.0.0", "abi": 1, "wasi": WASI, "limits": {"memory_pages": 128},
  "kinds": [{"kind": "function", "name": "probe", "args": ["i64"], "returns": "i64"}],
  "params": [
    {"name": "text", "type": "string", "default": "{\"n\":7,\"n\":8,\\\\/<\u00e9"},
    {"name": "comma", "type": "string", "default": ","},
    {"name": "nn", "type": "i64", "default": 5},
    {"name": "n_n", "type": "i64", "default": 6},
    {"name": "f", "type": "f64", "default": 1.5},
    {"name": "n", "type": "i64", "default": -3},
    {"name": "no", "type": "bool", "default": false},
    {"name": "yes", "type": "bool", "default": true},
    {"name": "px", "type": "price", "default": "-0.5"}
  ]
}`

var probes = map[string]string{
	"c": `#include "tickwire.h"
TW_COLUMN(int64_t, arg, 1024);
TW_COLUMN(int64_t, result, 1024);
TW_LAYOUT(call, 1024, TW_READ(TW_ARG, arg), TW_WRITE(TW_RESULT, result));
TW_UNITS(&call)
TW_ROOM(4096)
static int64_t got[13];
int32_t tw_init(const char *p, int32_t len)
{
	got[0] = tw_param_i64(p, len, "n", 99);
	got[1] = tw_param_i64(p, len, "nn", 99);
	got[2] = tw_param_i64(p, len, "n_n", 99);
	got[3] = tw_param_i64(p, len, "none", 99);
	got[4] = tw_param_i64(p, len, "px", 99);
	got[5] = tw_param_bool(p, len, "no");
	got[6] = tw_param_bool(p, len, "yes");
	char text[8] = {0};
	got[7] = tw_config("comma", 5, text, sizeof text) * 1000 + text[0];
	got[8] = tw_config("none", 4, text, sizeof text);
	got[9] = tw_lookup(7, text, sizeof text) * 1000 + text[2];
	got[10] = tw_lookup(8, text, sizeof text);
	got[11] = tw_define(9, "XY", 2);
	got[12] = tw_now();
	tw_metric("count", 5, -4000000000);
	tw_log(TW_WARN, "words", 5);
	return 0;
}
int32_t tw_function(int32_t unit, int32_t n)
{
	for (int i = 0; i < 13; i++)
		result[i] = got[i];
	return n;
}
`,
	"cpp": `#include "tickwire.hpp"
static tickwire::column<int64_t, 1024> arg, result;
static constinit tickwire::layout call(1024, arg.read(TW_ARG), result.write(TW_RESULT));
TICKWIRE_UNITS(call)
TICKWIRE_ROOM(4096)
static int64_t got[13];
int32_t tw_init(const char *text, int32_t len)
{
	tickwire::params p{text, len};
	got[0] = p.i64("n", 99);
	got[1] = p.i64("nn", 99);
	got[2] = p.i64("n_n", 99);
	got[3] = p.i64("none", 99);
	got[4] = p.i64("px", 99);
	got[5] = p.boolean("no");
	got[6] = p.boolean("yes");
	char to[8] = {};
	got[7] = tw_config("comma", 5, to, sizeof to) * 1000 + to[0];
	got[8] = tw_config("none", 4, to, sizeof to);
	got[9] = tw_lookup(7, to, sizeof to) * 1000 + to[2];
	got[10] = tw_lookup(8, to, sizeof to);
	got[11] = tw_define(9, "XY", 2);
	got[12] = tw_now();
	tickwire::metric("count", -4000000000);
	tickwire::log(TW_WARN, "words");
	return 0;
}
int32_t tw_function(int32_t unit, int32_t n)
{
	for (int i = 0; i < 13; i++)
		result[i] = got[i];
	return n;
}
`,
	"rust": `#![no_std]
mod tickwire;
use tickwire::*;
static ARG: Column<i64, 1024> = Column::new();
static RESULT: Column<i64, 1024> = Column::new();
static CALL: Layout<2> = Layout::new(1024, [ARG.read(column::ARG), RESULT.write(column::RESULT)]);
units!(CALL);
static GOT: Global<[i64; 13]> = Global::new([0; 13]);
params!(4096, |p| {
    let mut to = [0; 8];
    let (mut comma, mut name) = (-1, -1);
    if let Some(text) = config("comma", &mut to) {
        comma = text.len() as i64 * 1000 + text[0] as i64;
    }
    let none = config("none", &mut to).map_or(-1, |_| 0);
    if let Some(text) = lookup(7, &mut to) {
        name = text.len() as i64 * 1000 + text[2] as i64;
    }
    let nobody = lookup(8, &mut to).map_or(-1, |_| 0);
    metric("count", -4000000000);
    log(2, "words");
    GOT.set([
        p.i64("n", 99), p.i64("nn", 99), p.i64("n_n", 99), p.i64("none", 99), p.i64("px", 99), p.bool("no") as i64, p.bool("yes") as i64,
        comma, none, name, nobody, !define(9, b"XY") as i64, now(),
    ]);
    0
});
#[no_mangle]
pub extern "C" fn tw_function(_unit: i32, n: i32) -> i32 {
    for (result, got) in RESULT.rows(13).iter().zip(GOT.get()) {
        result.set(got);
    }
    n
}
`,
	"go": `//go:build wasip1

package main

import tickwire "github.com/tickwire/tickwire/plugins/sdk/go"

var (
	call   = tickwire.NewLayout(1024)
	_      = tickwire.Read[int64](call, tickwire.Arg)
	result = tickwire.Write[int64](call, tickwire.Result)
	got    [13]int64
)

func init() {
	tickwire.Units(call)
	tickwire.OnInit(func(p tickwire.Params) error {
		none := int64(99)
		if _, ok := p["none"]; ok {
			none = p.Int("none")
		}
		got = [13]int64{p.Int("n"), p.Int("nn"), p.Int("n_n"), none, p.Int("px")}
		if p.Bool("no") {
			got[5] = 1
		}
		if p.Bool("yes") && p.String("text") == "{\"n\":7,\"n\":8,\\\\/<\u00e9" && p.String("comma") == "," && p.Float("f") == 1.5 && p.Float("n_n") == 6 {
			got[6] = 1
		}
		text, _ := tickwire.Config("comma", make([]byte, 0, 8))
		got[7] = int64(len(text))*1000 + int64(text[0])
		if _, ok := tickwire.Config("none", make([]byte, 0, 8)); !ok {
			got[8] = -1
		}
		text, _ = tickwire.Lookup(7, make([]byte, 0, 8))
		got[9] = int64(len(text))*1000 + int64(text[2])
		if _, ok := tickwire.Lookup(8, make([]byte, 0, 8)); !ok {
			got[10] = -1
		}
		if !tickwire.Define(9, "XY") {
			got[11] = 1
		}
		got[12] = tickwire.Now()
		tickwire.Metric("count", -4_000_000_000)
		tickwire.Log(tickwire.Warn, "words")
		return nil
	})
}

//go:wasmexport tw_function
func function(unit, n int32) int32 {
	copy(result, got[:])
	return n
}

func main() {}
`,
	"assemblyscript": `import { Column, Layout, COLUMN, paramI64, paramBool, config, lookup, define, now, metric, log } from "./tickwire";
export { tw_abi } from "./tickwire";
const arg = changetype<Column<i64>>(memory.data(8 * 1024, 64));
const result = changetype<Column<i64>>(memory.data(8 * 1024, 64));
const got = changetype<Column<i64>>(memory.data(8 * 13, 64));
const call = changetype<Layout>(memory.data(Layout.BYTES, 64));
call.begin(1024);
call.read<i64>(COLUMN.ARG, arg);
call.write<i64>(COLUMN.RESULT, result);
export function tw_layout(unit: i32): usize { return unit == 0 ? changetype<usize>(call) : 0; }
const room = memory.data(4096);
const to = memory.data(8);
const COMMA = memory.data<u8>([0x63, 0x6f, 0x6d, 0x6d, 0x61]);
const NONE = memory.data<u8>([0x6e, 0x6f, 0x6e, 0x65]);
const COUNT = memory.data<u8>([0x63, 0x6f, 0x75, 0x6e, 0x74]);
const WORDS = memory.data<u8>([0x77, 0x6f, 0x72, 0x64, 0x73]);
const XY = memory.data<u8>([0x58, 0x59]);
export function tw_alloc(bytes: u32): usize { return bytes <= 4096 ? room : 0; }
export function tw_init(p: usize, len: i32): i32 {
  got[0] = paramI64(p, len, "n", 99);
  got[1] = paramI64(p, len, "nn", 99);
  got[2] = paramI64(p, len, "n_n", 99);
  got[3] = paramI64(p, len, "none", 99);
  got[4] = paramI64(p, len, "px", 99);
  got[5] = paramBool(p, len, "no") ? 1 : 0;
  got[6] = paramBool(p, len, "yes") ? 1 : 0;
  got[7] = config(COMMA, 5, to, 8) * 1000 + load<u8>(to);
  got[8] = config(NONE, 4, to, 8);
  got[9] = lookup(7, to, 8) * 1000 + load<u8>(to, 2);
  got[10] = lookup(8, to, 8);
  got[11] = define(9, XY, 2);
  got[12] = now();
  metric(COUNT, 5, -4000000000);
  log(2, WORDS, 5);
  return 0;
}
export function tw_function(unit: i32, n: i32): i32 {
  for (let i = 0; i < 13; i++) result[i] = got[i];
  return n;
}
`,
}

// Goal: each SDK reads the parameters that the host hands over, whatever stands in texts beside them, and calls all imports as they are. A text that looks like
// JSON is a parameter too.
func TestParams(t *testing.T) {
	for _, lang := range Languages() {
		if lang == "javascript" || lang == "python" {
			continue // TestJavaScriptParams, TestPython
		}
		t.Run(lang, func(t *testing.T) {
			compiles(t, lang)
			dir := filepath.Join(t.TempDir(), "probe")
			if err := New(dir, lang, manifest.Function); err != nil {
				t.Fatal(err)
			}
			source := map[string]string{"c": "plugin.c", "cpp": "plugin.cpp", "rust": "plugin.rs", "go": "main.go", "assemblyscript": "plugin.ts"}[lang]
			wasi := "false"
			if lang == "go" {
				wasi = "true"
			}
			for name, text := range map[string]string{source: probes[lang], ManifestFile: strings.ReplaceAll(probeManifest, "WASI", wasi)} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			path, err := Build(dir)
			toolchain.Check(t, err)
			module, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, tc := range []struct {
				set  map[string]any
				want []int64
			}{
				{nil, []int64{-3, 5, 6, 99, -500_000_000, 0, 1}},
				{map[string]any{"n": int64(-1 << 63), "nn": int64(1<<63 - 1), "no": true}, []int64{-1 << 63, 1<<63 - 1, 6, 99, -500_000_000, 1, 1}},
			} {
				g := guest.Load(t, module, tc.set)
				g.Call("tw_function", 0, 13)
				got := guest.Get[int64](g, 0, manifest.ColumnResult, 13)
				if !slices.Equal(got[:7], tc.want) {
					t.Errorf("%v: n, nn, n_n, none, px, no, yes are %v, want %v", tc.set, got[:7], tc.want)
				}
				if want := []int64{1000 + ',', -1, 3000 + 'C', -1, 0, guest.Now}; !slices.Equal(got[7:], want) {
					t.Errorf("config, of nothing, lookup, of nobody, define, now are %v, want %v", got[7:], want)
				}
				if g.Symbols[9] != "XY" || g.Metrics["count"] != -4_000_000_000 || !slices.Equal(g.Log, []string{"2 words"}) {
					t.Errorf("defined %v, counted %v, logged %q", g.Symbols, g.Metrics, g.Log)
				}
			}
		})
	}
}
