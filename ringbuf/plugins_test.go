package ringbuf

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func info(n int) PluginInfo {
	var digest [32]byte
	digest[0], digest[1] = byte(n), byte(n>>8)
	return PluginInfo{ID: PluginID(digest), Name: "p", Version: fmt.Sprintf("1.0.%d", n), Digest: fmt.Sprintf("sha256:%x", digest), ValidatorReasons: []string{"because"}}
}

// TestPluginsFile: what is written is read, a chain that went is former, and neither list grows for ever.
func TestPluginsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "i", "f.plugins.json")
	got, err := ReadPlugins(path)
	if err != nil || len(got.Chain) != 0 {
		t.Fatalf("a feed without plugins: %+v, %v", got, err)
	}
	var p Plugins
	for n := range 100 {
		p.Follow(Plugins{Since: uint64(n), Chain: []PluginInfo{info(n)}, Custom: []PluginColumn{{Name: "c", Type: "price", Plugin: "p"}}})
		if err := WritePlugins(path, &p, SideOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	got, err = ReadPlugins(path)
	if err != nil {
		t.Fatal(err)
	}
	if got.Generation != 100 || len(got.Former) != MostFormer || got.Former[0].Version != "1.0.98" || got.Custom[0].Type != "price" {
		t.Errorf("%+v", got)
	}
	if e := got.Find(info(99).ID); e == nil || e.Version != "1.0.99" {
		t.Errorf("the present one: %+v", e)
	}
	if e := got.Find(info(98).ID); e == nil || e.Reason(1<<8) != "because" || e.Reason(0) != "" || e.Reason(2<<8|2) != "it was taken out after failures" || e.Reason(1<<8|1) != "" {
		t.Errorf("the one before: %+v", e)
	}
	if e := got.Find(info(1).ID); e != nil {
		t.Errorf("one of long ago is still told: %+v", e)
	}
	p.Follow(Plugins{Chain: []PluginInfo{info(98)}}) // rolled back: not former and present at once
	for _, f := range p.Former {
		if f.ID == info(98).ID {
			t.Error("the present one is former too")
		}
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("files: %v", left)
	}
}

// TestPluginsFileWhole: whoever reads while it is replaced reads one whole file.
func TestPluginsFileWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.plugins.json")
	var p Plugins
	write := func(n int) {
		p.Follow(Plugins{Chain: []PluginInfo{info(n)}})
		if err := WritePlugins(path, &p, SideOptions{}); err != nil {
			t.Error(err)
		}
	}
	write(0)
	var done sync.WaitGroup
	done.Go(func() {
		for n := range 200 {
			write(n)
		}
	})
	last := uint64(0)
	for last <= 200 && !t.Failed() {
		got, err := ReadPlugins(path)
		if err != nil {
			t.Fatal(err)
		}
		if got.Generation < last || len(got.Chain) != 1 {
			t.Fatalf("%+v after %d", got, last)
		}
		last = got.Generation
	}
	done.Wait()
}

// TestPluginsFileRefused: what is no such file is refused, with its name.
func TestPluginsFileRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.plugins.json")
	for _, text := range []string{"", "{", `{"custom":[{},{},{},{},{}]}`, `{"chain":[{"id":"x"}]}`, strings.Repeat(" ", mostPluginsFile+1)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadPlugins(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	if _, err := ReadPlugins(filepath.Dir(path)); err == nil {
		t.Error("a folder was read")
	}
}
