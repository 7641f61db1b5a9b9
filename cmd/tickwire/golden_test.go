package main

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
)

// TestGoldenDBN: a generated session as DBN files, to the byte: whoever changes what a venue message becomes says so here.
func TestGoldenDBN(t *testing.T) {
	dir := t.TempDir()
	day := filepath.Join(dir, "20260105.itch")
	if code, _, errs := command(t, "gen", "itch", "--messages", "150000", "--symbols", "80", "--seed", "5", "--out", day); code != exitOK {
		t.Fatal(errs)
	}
	for schema, want := range map[string]string{
		"mbo": "eff27139ba898142", "mbp-1": "c753a5aff20fc0eb", "trades": "7e3a86134e52625f", "status": "b39b494f10a739fe",
		"imbalance": "6d1d881417839ebb", "statistics": "4fcf3124fb1828bf", "definition": "be419c902f796797",
	} {
		out := filepath.Join(dir, schema+".dbn")
		code, _, errs := command(t, "convert", day, "--schema", schema, "--to", "dbn", "--out", out, "--publisher", "40000", "--dataset", "SIM.ITCH")
		if code != exitOK {
			t.Fatal(errs)
		}
		b, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(b)
		if got := hex.EncodeToString(sum[:8]); got != want {
			t.Errorf("%s: %d bytes, %s, want %q", schema, len(b), got, want)
		}
	}
}
