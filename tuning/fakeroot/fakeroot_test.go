package fakeroot

import (
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
)

func TestWrite(t *testing.T) {
	archives := fstest.MapFS{
		"base":  {Data: []byte("words\n-- a/keep --\n1\n-- a/gone --\n2\n-- cpu{2-3}/n --\n{}\n")},
		"top":   {Data: []byte("# base: base\n-- !a/gone --\n-- b hex --\n00ff\n-- link --\n-> a/keep\n")},
		"out":   {Data: []byte("-- ../x --\n1\n")},
		"loop":  {Data: []byte("# base: loop\n")},
		"range": {Data: []byte("-- cpu{0-999999}/n --\n1\n")},
		"hex":   {Data: []byte("-- b hex --\nzz\n")},
	}
	dir := t.TempDir()
	if err := Write(dir, archives, "top"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a/keep": "1\n", "cpu2/n": "2\n", "cpu3/n": "3\n", "b": "\x00\xff", "link": "1\n"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "a/gone")); !os.IsNotExist(err) {
		t.Errorf("a/gone: %v", err)
	}
	for _, bad := range []string{"out", "loop", "range", "hex", "none"} {
		if Write(t.TempDir(), archives, bad) == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}
