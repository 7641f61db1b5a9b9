package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/tickwire/tickwire/internal/testvec"
	"github.com/tickwire/tickwire/parsers/mdp3/wire"
)

// TestFresh generates package wire anew and compares it with what is committed. It needs CME's XML, which is not part of the tree.
func TestFresh(t *testing.T) {
	dir := os.Getenv("TICKWIRE_CME_SCHEMAS")
	if dir == "" {
		dir = filepath.Join(testvec.Dir(t, "cme"), "..", "..", "specs", "cme")
	}
	if _, err := os.Stat(filepath.Join(dir, files[0])); err != nil {
		t.Skipf("gen: CME's schemas are not there, so freshness cannot be checked: %v", err)
	}
	schema, err := load(dir)
	if err != nil {
		t.Fatal(err)
	}
	written, err := generate(schema)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range written {
		got, err := os.ReadFile(filepath.Join("..", "wire", name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("wire/%s is not what gen writes: go generate ./parsers/mdp3/wire; %v", name, err)
		}
	}
}

// TestAgree generates package wire from the schema in it: views and schema are of one making, with CME's XML or without.
func TestAgree(t *testing.T) {
	written, err := generate(wire.Schema())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range written {
		if got, err := os.ReadFile(filepath.Join("..", "wire", name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("wire/%s is not what gen writes from wire's own schema; %v", name, err)
		}
	}
}

// TestWithoutSchemas: where CME's XML is not to be had nothing is written, and where a folder was named that is an error.
func TestWithoutSchemas(t *testing.T) {
	out := t.TempDir()
	if err := run("", out); err != nil {
		t.Error(err)
	}
	if err := run(filepath.Join(out, "missing"), out); err == nil {
		t.Error("a folder without schemas was taken")
	}
	if left, _ := os.ReadDir(out); len(left) != 0 {
		t.Errorf("%d files were written", len(left))
	}
}
