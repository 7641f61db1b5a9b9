package sbe_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tickwire/tickwire/internal/testvec"
	"github.com/tickwire/tickwire/parsers/mdp3/sbe"
)

// schemas are CME's files, where they are.
func schemas(tb testing.TB) map[string]*sbe.Schema {
	tb.Helper()
	dir := filepath.Join(testvec.Dir(tb, "cme"), "..", "..", "specs", "cme")
	out := map[string]*sbe.Schema{}
	for _, v := range []string{"8", "9", "13"} {
		path := filepath.Join(dir, "Cme.Futures.Mdp3.Sbe.v1."+v+".xml")
		if _, err := os.Stat(path); err != nil {
			tb.Skipf("sbe: CME's schemas are not beside the captures: %v", err)
		}
		s, err := sbe.Load(path)
		if err != nil {
			tb.Fatal(err)
		}
		out[v] = s
	}
	return out
}

func TestLoad(t *testing.T) {
	all := schemas(t)
	for v, want := range map[string]int{"8": 19, "9": 29, "13": 31} {
		if got := len(all[v].Messages); got != want {
			t.Errorf("version %s has %d messages, want %d", v, got, want)
		}
	}
	m := all["13"].Message(46)
	if m == nil || m.Length != 11 || len(m.Groups) != 2 || m.Groups[1].Dimension.CountAt != 7 || m.Groups[1].Dimension.Size != 8 {
		t.Fatalf("template 46 is %+v", m)
	}
	f := m.Groups[0].Field("TradeableSize")
	if f == nil || f.Offset != 27 || f.Since != 10 || !f.Type.Nullable || f.Type.Null != 1<<31-1 {
		t.Fatalf("TradeableSize is %+v", f)
	}
	if f := m.Groups[0].Field("MDEntryPx"); f.Type.Exponent != -9 || f.Type.Null != 1<<63-1 {
		t.Fatalf("MDEntryPx is %+v %+v", f, f.Type)
	}
}
