package trial

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tickwire/tickwire/plugins"
)

func load(t *testing.T, o plugins.Options, path string) *plugins.Plugin {
	t.Helper()
	module, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return compile(t, o, module)
}

func compile(t *testing.T, o plugins.Options, module []byte) *plugins.Plugin {
	t.Helper()
	host, err := plugins.New(o)
	if err != nil {
		t.Fatal(err)
	}
	p, err := host.Compile(module)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if err := host.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// The shipped examples pass: of each kind one, on its cases and on generated ones.
func TestExamples(t *testing.T) {
	paths, err := filepath.Glob("../examples/*/*.wasm")
	if err != nil || len(paths) < 10 {
		t.Fatalf("%d examples, %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			p := load(t, plugins.Options{}, path)
			checks, err := CheckAll(p, CasesOf(filepath.Dir(path)), Options{Fuzz: 50 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			if len(checks) < 5 {
				t.Errorf("%d checks", len(checks))
			}
			for _, k := range checks {
				if !k.Ok {
					t.Errorf("%s, %s: %s", k.Name, k.Unit, k.What)
					if k.Case != nil {
						t.Logf("%.2000s", k.Case.Append(nil))
					}
				} else if k.Rows == 0 && !strings.Contains(k.Unit, "index") {
					t.Errorf("%s, %s: nothing was run", k.Name, k.Unit)
				}
			}
		})
	}
}
