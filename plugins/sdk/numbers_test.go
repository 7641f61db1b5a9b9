package sdk_test

import (
	"maps"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/build"
	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/plugins/sdk"
	"github.com/tickwire/tickwire/tick"
)

// Columns, kinds of row and operations of types have the same numbers in all SDKs as they have here. Names are compared without underscores and capitals.
func TestNumbers(t *testing.T) {
	want := map[string]int{"custom": manifest.ColumnCustom, "earlier": manifest.ColumnEarlier, "arg": manifest.ColumnArg, "group": manifest.ColumnGroup,
		"argnull": manifest.ColumnArgNull, "result": manifest.ColumnResult, "resultnull": manifest.ColumnNull}
	for _, c := range manifest.Columns {
		want[plain(c.Name)] = int(c.ID)
	}
	kinds := map[string]int{"add": int(tick.KindAdd), "exec": int(tick.KindExec), "execat": int(tick.KindExecAt), "reduce": int(tick.KindReduce), "delete": int(tick.KindDelete),
		"replace": int(tick.KindReplace), "trade": int(tick.KindTrade), "cross": int(tick.KindCross), "break": int(tick.KindBreak), "status": int(tick.KindStatus),
		"imbalance": int(tick.KindImbalance), "definition": int(tick.KindDefinition), "statistics": int(tick.KindStatistics), "ext": int(tick.KindExt),
		"system": int(tick.KindSystem), "clear": int(tick.KindClear), "modify": int(tick.KindModify), "level": int(tick.KindLevel), "implied": int(tick.KindImplied),
		"fill": int(tick.KindFill), "quote": int(tick.KindQuote)}
	if len(kinds) != int(tick.KindCount)-1 {
		t.Errorf("this test has %d kinds of row, tick has %d", len(kinds), tick.KindCount-1)
	}
	operations := map[string]int{"validate": int(plugins.TypeValidate), "normalise": int(plugins.TypeNormalise), "parse": int(plugins.TypeParse),
		"format": int(plugins.TypeFormat), "compare": int(plugins.TypeCompare), "hash": int(plugins.TypeHash)}
	for _, s := range []struct{ file, prefix, columns, kinds, operations string }{ // where the blocks of each begin
		{"c/tickwire.h", "TW_", "/* Numbers of columns. */\nenum {", "/* Kinds of row: what the columns of each mean is written at tick.Kind. */\nenum {", "/* Operations of tw_type. */\nenum {"},
		{"rust/tickwire.rs", "", "pub mod column {", "pub mod kind {", "pub mod op {"},
		{"go/columns.go", "", "\nconst (", "// Kinds of row: what the columns of each mean is written at tick.Kind.\nconst (", "// Operations of tw_type.\nconst ("},
		{"assemblyscript/tickwire.ts", "", "export namespace COLUMN {", "export namespace KIND {", "export namespace OP {"},
	} {
		if got := numbers(t, s.file, s.columns, s.prefix); !maps.Equal(got, want) {
			t.Errorf("%s has columns\n%v\nwant\n%v", s.file, got, want)
		}
		got := map[string]int{}
		for name, n := range numbers(t, s.file, s.kinds, s.prefix) {
			got[strings.TrimPrefix(name, "kind")] = n
		}
		if !maps.Equal(got, kinds) {
			t.Errorf("%s has kinds of row\n%v\nwant\n%v", s.file, got, kinds)
		}
		got = map[string]int{}
		for name, n := range numbers(t, s.file, s.operations, s.prefix) {
			got[strings.TrimPrefix(name, "op")] = n
		}
		if !maps.Equal(got, operations) {
			t.Errorf("%s has operations of types\n%v\nwant\n%v", s.file, got, operations)
		}
	}
}

// Each language's README tells what it has for which of its kinds.
func TestReadmesTellKinds(t *testing.T) {
	for _, lang := range build.Languages() {
		readme := string(read(t, lang+"/README.md"))
		kinds := build.Kinds(lang)
		for _, kind := range kinds {
			told := strings.Contains(readme, "\n| `"+string(kind)+"` | `tw_")
			if len(kinds) < len(manifest.Kinds) { // scripts, of few kinds, for which functions of the SDK make the calls
				told = strings.Contains(readme, "\n* Kinds: ") && strings.Contains(readme, "`"+string(kind))
			}
			if !told {
				t.Errorf("%s/README.md says nothing of a %s", lang, kind)
			}
		}
	}
}

// The kinds of row that scripts in JavaScript see.
func TestKindsOfJavaScript(t *testing.T) {
	b, err := sdk.Files.ReadFile("javascript/tickwire.js")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(b), "KIND: Object.freeze({")
	block, _, _ = strings.Cut(block, "}")
	got := map[string]int{}
	for _, m := range regexp.MustCompile(`([A-Z_]+): (\d+)`).FindAllStringSubmatch(block, -1) {
		got[plain(m[1])], _ = strconv.Atoi(m[2])
	}
	if want := numbers(t, "assemblyscript/tickwire.ts", "export namespace KIND {", ""); !maps.Equal(got, want) {
		t.Errorf("kinds of row\n%v\nwant\n%v", got, want)
	}
}

func plain(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

var constant = regexp.MustCompile(`([A-Z][A-Za-z_]*)(?::? ?u?int\d+|: [iu]\d+)?(?: +(?:uint16 |uint8 )?= ?(1 \+ iota|iota|\d+))?\s*[,;\n]`)

// numbers reads the constants of a block: those with a number, and those without one that go on counting.
func numbers(t *testing.T, file, begin, prefix string) map[string]int {
	t.Helper()
	b, err := sdk.Files.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, block, ok := strings.Cut(string(b), begin)
	if !ok {
		t.Fatalf("%s has no %q", file, begin)
	}
	end := strings.IndexAny(block, "})")
	lines := regexp.MustCompile(`/\*.*?\*/|//.*`).ReplaceAllString(block[:end]+"\n", "")
	got, next := map[string]int{}, 0
	for _, m := range constant.FindAllStringSubmatch(lines, -1) {
		switch {
		case m[2] == "1 + iota":
			next = 1
		case m[2] == "iota":
			next = 0
		case m[2] != "":
			next, _ = strconv.Atoi(m[2])
		}
		got[plain(strings.TrimPrefix(m[1], prefix))] = next
		next++
	}
	return got
}
