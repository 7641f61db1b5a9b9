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
		"mbo": "516d5c8a8b7231e7", "mbp-1": "682d6c7b321aaff0", "trades": "66f495e277acdac1", "status": "8f37bdc6b85510d6",
		"imbalance": "f4f469178a65529d", "statistics": "d44fcaa46c1355be", "definition": "be419c902f796797",
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
