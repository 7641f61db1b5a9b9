package manifest

import (
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/plugins/wasm"
)

var emptyModule = []byte("\x00asm\x01\x00\x00\x00")

const least = `{"name": "x", "version": "1.0.0", "abi": 1, "kinds": [{"kind": "validator"}]}`

// TestABIExample: the manifest that ABI.md shows is one, and says what is written there.
func TestABIExample(t *testing.T) {
	page, err := os.ReadFile("../ABI.md")
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile("(?s)```json\n(.*?)```").FindSubmatch(page)
	if example == nil {
		t.Fatal("ABI.md has no example")
	}
	m, err := Of(wasm.AppendCustom(emptyModule, SectionName, example[1]))
	if err != nil {
		t.Fatal(err)
	}
	if m.Name != "price-band" || m.Version != "1.2.0" || m.Kinds[0].Kind != Validator || m.Limits != (Limits{1024, 16, 64}) || m.OnTrap != Pass || m.Requires[0] != (Requirement{"symbol-map", ">=1.0.0 <2.0.0"}) || !m.Deterministic {
		t.Errorf("%+v", m)
	}
	if got, err := m.Values(nil); err != nil || string(got) != `{"band_bp":500}` {
		t.Errorf("%s, %v", got, err)
	}
}

// TestRoundTrip: a manifest written as JSON reads back as itself, with each kind in it.
func TestRoundTrip(t *testing.T) {
	text := `{"name": "all", "version": "1.0.0-rc.1+5", "abi": 1, "kinds": [
		{"kind": "transform", "reads": ["price", "from_before"], "writes": ["price", "row_ctl"], "custom": [{"name": "spread", "type": "price"}], "reasons": ["r"]},
		{"kind": "validator", "reads": ["symbol"]},
		{"kind": "function", "name": "f", "args": ["price", "i64", "str", "bool"], "returns": "f64"},
		{"kind": "aggregate", "name": "f", "args": ["u8"], "returns": "time", "state_bytes": 16},
		{"kind": "parser", "name": "p", "writes": ["kind", "price"], "ports": [4000, 65535], "title": "P"},
		{"kind": "serializer", "name": "s", "reads": ["price"], "extension": "csv", "media_type": "text/csv"},
		{"kind": "type", "name": "t", "base": "i64"},
		{"kind": "codec", "name": "c", "type": "u32"},
		{"kind": "index", "name": "i", "type": "i64", "strategies": ["bloom"]},
		{"kind": "partition", "name": "k", "reads": ["symbol"]}],
		"limits": {"max_rows": 1, "memory_pages": 65536, "fuel_per_row": 1}, "on_trap": "stop_feed", "wasi": true, "wants": {"dirs": [{"at": "/maps", "write": true}], "env": ["DESK"]}, "unknown": {"a": [{}, 1]}}`
	m, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	n, err := Parse(again)
	if err != nil || !reflect.DeepEqual(m, n) {
		t.Errorf("%v\n%+v\n%+v", err, m, n)
	}
}

func TestRefused(t *testing.T) {
	with := func(key, value string) string { return strings.Replace(least, "{", `{"`+key+`": `+value+`, `, 1) }
	kind := func(k string) string {
		return strings.Replace(least, `{"kind": "validator"}`, k, 1)
	}
	for _, tc := range []struct{ name, text, want string }{
		{"nothing", ``, "EOF"},
		{"cut off", least[:40], "unexpected EOF"},
		{"null", `null`, `name ""`},
		{"an array", `[]`, "array"},
		{"something behind", least + `{}`, "more behind"},
		{"not UTF-8", strings.Replace(least, `"x"`, "\"x\xff\"", 1), "UTF-8"},
		{"a key twice", with("name", `"y"`), `a second key "name"`},
		{"a key twice, capitals", with("NAME", `"y"`), `a second key "name"`},
		{"a key twice, deep", with("params", `[{"name": "p", "type": "i64", "default": 1, "default": 2}]`), `a second key "default"`},
		{"a key twice in what is ignored", with("more", `[[{"a": 1, "b": {}, "a": 2}]]`), `a second key "a"`},
		{"a key twice behind a number that is too large", with("more", `[1e999, {"a": 1, "a": 2}]`), `a second key "a"`},
		{"too long", with("description", `"`+strings.Repeat("a", MostBytes)+`"`), "at most 65536"},
		{"no name", strings.Replace(least, `"x"`, `""`, 1), `name ""`},
		{"a name with a slash", strings.Replace(least, `"x"`, `"../x"`, 1), `name "../x"`},
		{"no version", strings.Replace(least, `1.0.0`, `1.0`, 1), `version "1.0"`},
		{"newer ABI", strings.Replace(least, `"abi": 1`, `"abi": 2`, 1), "abi 2 is newer than this tickwire's 1"},
		{"no ABI", strings.Replace(least, `"abi": 1`, `"abi": 0`, 1), "abi 0"},
		{"ABI as text", strings.Replace(least, `"abi": 1`, `"abi": "1"`, 1), "abi"},
		{"no kinds", kind(``), "there is none"},
		{"unknown kind", kind(`{"kind": "filter", "name": "f"}`), `kind "filter" is not known`},
		{"two validators", kind(`{"kind": "validator"}, {"kind": "validator"}`), "a second validator"},
		{"a validator with a name", kind(`{"kind": "validator", "name": "v"}`), "has no name"},
		{"a function without a name", kind(`{"kind": "function", "returns": "i64"}`), `name ""`},
		{"two functions of a name", kind(`{"kind": "function", "name": "f", "returns": "i64"}, {"kind": "function", "name": "f", "returns": "f64"}`), "a second function f"},
		{"unknown type", kind(`{"kind": "function", "name": "f", "returns": "i128"}`), `type "i128"`},
		{"a type's number", kind(`{"kind": "function", "name": "f", "returns": 6}`), "a type is text"},
		{"types as base64", kind(`{"kind": "function", "name": "f", "returns": "i64", "args": "BQ=="}`), "args"},
		{"too many arguments", kind(`{"kind": "function", "name": "f", "returns": "i64", "args": [` + strings.Repeat(`"i64",`, 15) + `"i64"]}`), "at most 15"},
		{"unknown column", strings.Replace(least, `"validator"`, `"validator", "reads": ["Price"]`, 1), `no column "Price"`},
		{"a column twice", strings.Replace(least, `"validator"`, `"validator", "reads": ["price", "price"]`, 1), "price twice"},
		{"its own answer read", strings.Replace(least, `"validator"`, `"validator", "reads": ["row_ctl"]`, 1), "row_ctl cannot be there"},
		{"a validator that writes", strings.Replace(least, `"validator"`, `"validator", "writes": ["price"]`, 1), "writes its verdicts"},
		{"a transform of the book's own", kind(`{"kind": "transform", "writes": ["order_id"]}`), "order_id cannot be there"},
		{"a transform of nothing", kind(`{"kind": "transform"}`), "changes nothing"},
		{"five custom columns", kind(`{"kind": "transform", "custom": [{"name": "a", "type": "i64"}, {"name": "b", "type": "i64"}, {"name": "c", "type": "i64"}, {"name": "d", "type": "i64"}, {"name": "e", "type": "i64"}]}`), "at most 4"},
		{"a custom column of every row", kind(`{"kind": "transform", "custom": [{"name": "price", "type": "i64"}]}`), "column of every row"},
		{"a custom text", kind(`{"kind": "transform", "custom": [{"name": "a", "type": "str"}]}`), "none of i64"},
		{"no state", kind(`{"kind": "aggregate", "name": "a", "returns": "i64"}`), "state_bytes 0"},
		{"a parser of nothing", kind(`{"kind": "parser", "name": "p"}`), "makes no rows"},
		{"a port too high", kind(`{"kind": "parser", "name": "p", "writes": ["kind"], "ports": [65536]}`), "ports"},
		{"all in one partition", kind(`{"kind": "partition", "name": "p"}`), "all keys are the same"},
		{"a partition by a plugin's column", kind(`{"kind": "partition", "name": "p", "reads": ["mine"]}`), `no column "mine"`},
		{"a type of prices", kind(`{"kind": "type", "name": "t", "base": "price"}`), "base price"},
		{"a codec of text", kind(`{"kind": "codec", "name": "c", "type": "str"}`), "type is missing"},
		{"an index of no strategy", kind(`{"kind": "index", "name": "i", "type": "i64"}`), "strategies"},
		{"files without wasi", with("wants", `{"dirs": [{"at": "/maps"}]}`), "but wasi is not true"},
		{"a folder by dots", strings.Replace(with("wants", `{"dirs": [{"at": "/maps/.."}]}`), "{", `{"wasi": true, `, 1), `wants: dirs[0]: at "/maps/.."`},
		{"a command without WASI", with("command", `true`), "wasi is not true"},
		{"a command of bytes", strings.Replace(kind(`{"kind": "codec", "name": "c", "type": "i64"}`), "{", `{"wasi": true, "command": true, `, 1), "a command cannot be a codec"},
		{"a variable with its value", strings.Replace(with("wants", `{"env": ["A=b"]}`), "{", `{"wasi": true, `, 1), `wants: env[0]: "A=b"`},
		{"an empty reason", strings.Replace(least, `"validator"`, `"validator", "reasons": [""]`, 1), "reasons[0]"},
		{"rows no power of two", with("limits", `{"max_rows": 1000}`), "max_rows 1000"},
		{"rows below zero", with("limits", `{"max_rows": -1}`), "max_rows -1"},
		{"too many rows", with("limits", `{"max_rows": 8192}`), "max_rows 8192"},
		{"pages", with("limits", `{"memory_pages": 65537}`), "memory_pages 65537"},
		{"fuel", with("limits", `{"fuel_per_row": -5}`), "fuel_per_row -5"},
		{"on_trap", with("on_trap", `"retry"`), `on_trap "retry"`},
		{"needs itself", with("requires", `[{"name": "x", "version": "*"}]`), "needs itself"},
		{"needs no name", with("requires", `[{"name": "X", "version": "*"}]`), `"X" is no plugin's name`},
		{"needs no range", with("requires", `[{"name": "y", "version": "newest"}]`), `"newest" is no version`},
		{"needs twice", with("requires", `[{"name": "y", "version": "*"}, {"name": "y", "version": "^1"}]`), "a second y"},
		{"a parameter's type", with("params", `[{"name": "p", "type": "u8"}]`), `type "u8"`},
		{"a parameter's name", with("params", `[{"name": "P", "type": "i64"}]`), "params[0] (P): name"},
		{"a parameter twice", with("params", `[{"name": "p", "type": "i64"}, {"name": "p", "type": "i64"}]`), "a second p"},
		{"a default below its least", with("params", `[{"name": "p", "type": "i64", "default": 0, "min": 1}]`), "default: 0 is below 1"},
		{"a default of another type", with("params", `[{"name": "p", "type": "bool", "default": 1}]`), "is no bool"},
		{"bounds of a text", with("params", `[{"name": "p", "type": "string", "min": 1}]`), "for numbers"},
		{"bounds crossed", with("params", `[{"name": "p", "type": "f64", "min": 2, "max": 1}]`), "min 2 is above max 1"},
	} {
		m, err := Parse([]byte(tc.text))
		if err == nil {
			t.Errorf("%s: taken: %+v", tc.name, m)
		} else if !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "manifest: ") {
			t.Errorf("%s: %v; want manifest: … %q", tc.name, err, tc.want)
		}
	}
}

func TestOf(t *testing.T) {
	module := wasm.AppendCustom(emptyModule, SectionName, []byte(least))
	if m, err := Of(module); err != nil || m.Name != "x" || m.Limits != (Limits{1024, 64, 64}) {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := Of(emptyModule); !errors.Is(err, ErrNone) {
		t.Errorf("without a manifest: %v", err)
	}
	if _, err := Of(wasm.AppendCustom(module, SectionName, []byte(least))); err == nil || !strings.Contains(err.Error(), "a second section") {
		t.Errorf("with two: %v", err)
	}
	if _, err := Of([]byte("GIF89a..")); !errors.Is(err, wasm.ErrMagic) {
		t.Errorf("no module: %v", err)
	}
}

// FuzzManifest: what is taken is written and read back as the same, and its defaults can be given to tw_init.
func FuzzManifest(f *testing.F) {
	f.Add([]byte(least))
	f.Add([]byte(`{"name":"a","version":"0.1.0","abi":1,"kinds":[{"kind":"function","name":"f","args":["i64"],"returns":"price"}],"params":[{"name":"p","type":"price","default":"-.5","min":-1}]}`))
	f.Add([]byte(`{"name":"a","version":"1.0.0","abi":1,"kinds":[{"kind":"transform","custom":[{"name":"c","type":"time"}]}],"requires":[{"name":"b","version":"^1"}],"x":[[{"a":1}],null]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := Parse(text)
		if err != nil {
			return
		}
		again, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if len(again) <= MostBytes {
			if n, err := Parse(again); err != nil || n.Name != m.Name || n.Version != m.Version || len(n.Kinds) != len(m.Kinds) {
				t.Errorf("%s reads back as %+v, %v", again, n, err)
			}
		}
		set := map[string]any{}
		for _, p := range m.Params {
			if p.Default == nil {
				return
			}
			set[p.Name] = p.Default
		}
		if values, err := m.Values(set); err != nil || !json.Valid(values) {
			t.Errorf("defaults: %s, %v", values, err)
		}
	})
}
