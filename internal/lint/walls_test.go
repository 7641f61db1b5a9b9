package lint

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/tickwire/tickwire/"

// walls says which rooms a room may import. internal/… may be used by all, test files may import anything.
var walls = map[string][]string{
	"tick":     {},
	"bpf":      {},
	"nic":      {"bpf"},
	"parsers":  {"tick"},
	"ringbuf":  {"tick"},
	"plugins":  {"tick"},
	"feed":     {"tick", "parsers", "nic", "plugins", "ringbuf"},
	"store":    {"tick", "ringbuf"},
	"sqlgw":    {"store", "plugins", "tick"},
	"tuning":   {"nic", "ringbuf", "sim", "feed"},
	"hwtest":   {"tick", "nic", "ringbuf", "sim", "feed", "tuning", "bench"},
	"sim":      nil, // nil: the rooms it drives
	"bench":    nil,
	"cmd":      nil,
	"internal": nil,
	"examples": nil,
}

// heavy libraries stay behind one package each.
var heavy = map[string]string{
	"github.com/duckdb/":      "sqlgw/duck",
	"github.com/quickfixgo/":  "feed/session/fix",
	"github.com/tetratelabs/": "plugins",
	"oras.land/":              "plugins/registry", // registries and their many ways to ask for credentials
}

func TestWalls(t *testing.T) {
	root := filepath.Join("..", "..")
	files := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "dist") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		files++
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		check(t, path, filepath.ToSlash(rel))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 20 {
		t.Errorf("only %d Go files found", files)
	}
}

func check(t *testing.T, path, rel string) {
	room, _, ok := strings.Cut(rel, "/")
	if !ok {
		return
	}
	allowed, known := walls[room]
	if !known {
		t.Errorf("%s: the room %s is not in the list of walls: add it to internal/lint/walls_test.go with what it may import", rel, room)
		return
	}
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Errorf("%s: %v", rel, err)
		return
	}
	for _, imp := range f.Imports {
		target, err := strconv.Unquote(imp.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		for prefix, home := range heavy {
			if strings.HasPrefix(target, prefix) && !strings.HasPrefix(rel, home+"/") {
				t.Errorf("%s imports %s, which stays behind %s: use that package", rel, target, home)
			}
		}
		inside, ours := strings.CutPrefix(target, module)
		if !ours || allowed == nil {
			continue
		}
		to, _, _ := strings.Cut(inside, "/")
		if to == room || to == "internal" {
			continue
		}
		good := false
		for _, a := range allowed {
			good = good || a == to
		}
		if !good {
			t.Errorf("%s imports %s: %s may import %v only; move the code, or turn the import round with an interface on the caller's side", rel, target, room, allowed)
		}
	}
}

// The folders of the feed process and below build without cgo, so that the hot process carries no C++.
func TestHotProcessHasNoCgo(t *testing.T) {
	for _, room := range []string{"tick", "parsers", "nic", "feed", "ringbuf", "bpf", "plugins"} {
		dir := filepath.Join("..", "..", room)
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			if err == nil && strings.Contains(string(text), "\nimport \"C\"") {
				t.Errorf("%s imports C: the feed process is built without cgo; move it behind sqlgw/duck or do without", path)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}
