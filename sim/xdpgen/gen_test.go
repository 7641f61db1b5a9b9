package xdpgen

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"testing"

	"github.com/tickwire/tickwire/parsers/xdp"
	"github.com/tickwire/tickwire/sim/itchgen"
)

func newGen(tb testing.TB, o Options) *Gen {
	tb.Helper()
	g, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

func all(tb testing.TB, o Options) (b []byte) {
	g := newGen(tb, o)
	for ok := true; ok; {
		b, ok = g.Next(b)
	}
	return b
}

// Hashes of all bytes of two sessions: SHA-256, the first 16 digits. Whoever changes them, here or in itchgen, changes what seeds mean.
const (
	golden21 = "f45409878e1b75f1"
	golden25 = "568f87d78f2de4c6"
)

// TestGolden: the same bytes for the same options, on every machine and for ever.
func TestGolden(t *testing.T) {
	for _, tc := range []struct {
		version xdp.Version
		want    string
	}{{xdp.V21, golden21}, {xdp.V25, golden25}} {
		o := Options{Messages: 100_000, Seed: 1, Version: tc.version}
		b := all(t, o)
		sum := sha256.Sum256(b)
		if got := hex.EncodeToString(sum[:8]); got != tc.want {
			t.Errorf("%v: %s, want %s", tc.version, got, tc.want)
		}
		if !bytes.Equal(b, all(t, o)) {
			t.Errorf("%v: a second run gives other bytes", tc.version)
		}
		o.Seed++
		if bytes.Equal(b, all(t, o)) {
			t.Errorf("%v: another seed gives the same session", tc.version)
		}
	}
}

// TestEnds: a session has exactly the messages it was asked for, begins with the reset and ends with each symbol closed; large ones after the
// market's close.
func TestEnds(t *testing.T) {
	for _, messages := range []uint64{MinMessages, 2_345, 20_000, 150_000} {
		for _, symbols := range []int{0, 1, 3, 300} {
			g := newGen(t, Options{Messages: messages, Symbols: symbols, Version: xdp.V25})
			var b []byte
			n, closed := uint64(0), 0
			for ok := true; ; n++ {
				if b, ok = g.Next(b[:0]); !ok {
					break
				}
				typ := xdp.Type(b)
				if len(b) != xdp.Size(typ, xdp.V25) {
					t.Fatalf("%s has %d bytes", xdp.Name(typ), len(b))
				}
				if (n == 0) != (typ == xdp.TypeSequenceNumberReset) {
					t.Fatalf("message %d is a %s", n+1, xdp.Name(typ))
				}
				if typ == xdp.TypeSecurityStatus && b[20] == 'X' {
					closed++
				} else if closed > 0 {
					t.Fatalf("%s after the first symbol was closed", xdp.Name(typ))
				}
			}
			if n != messages || g.Messages() != messages || !g.Done() || closed != len(g.symbols) {
				t.Errorf("%d symbols: %d messages of %d, %d closed", symbols, n, messages, closed)
			}
			if messages >= 100_000 && g.Time() < 16*3600*1e9 {
				t.Errorf("%d messages, %d symbols: the day ends at %d s", messages, symbols, g.Time()/1e9)
			}
		}
	}
}

// TestEveryType: a session of some size has every message that the feed has, but for those of other channels.
func TestEveryType(t *testing.T) {
	for _, version := range []xdp.Version{xdp.V21, xdp.V24, xdp.V25} {
		seen, states, scales := map[uint16]int{}, map[byte]int{}, map[byte]int{}
		for b := all(t, Options{Messages: 300_000, Symbols: 300, Seed: 4, Version: version}); len(b) > 0; {
			m := b[:binary.LittleEndian.Uint16(b)]
			b = b[len(m):]
			seen[xdp.Type(m)]++
			switch xdp.Type(m) {
			case xdp.TypeSecurityStatus:
				states[m[20]]++
			case xdp.TypeSymbolIndexMapping:
				scales[m[24]]++
			}
		}
		for _, typ := range []uint16{1, 2, 3, 32, 34, 100, 101, 102, 103, 104, 105, 110, 111, 112, 113, 114} {
			if seen[typ] == 0 {
				t.Errorf("%v: no %s", version, xdp.Name(typ))
			}
		}
		for _, code := range "PEOLX45IGC" {
			if states[byte(code)] == 0 {
				t.Errorf("%v: no status %c", version, code)
			}
		}
		if version == xdp.V21 && scales[4] != 300 || version != xdp.V21 && (scales[4] == 0 || scales[6] == 0) {
			t.Errorf("%v: scales %v", version, scales)
		}
	}
}

// TestLive: stamps are the caller's, and a live session with Messages has an end.
func TestLive(t *testing.T) {
	g := newGen(t, Options{Live: true, Symbols: 50, Seed: 3, Version: xdp.V25})
	var b []byte
	const start = 50_000_000_000_000
	seen := map[uint16]int{}
	for n := range 300_000 {
		b = g.NextAt(b[:0], start+uint64(n)*20_000)
		seen[xdp.Type(b)]++
	}
	for _, typ := range []uint16{1, 2, 3, 32, 34, 100, 101, 102, 103, 104, 110} {
		if seen[typ] == 0 {
			t.Errorf("no %s within six seconds", xdp.Name(typ))
		}
	}
	if seen[2] != 6 {
		t.Errorf("%d seconds were told, want 6", seen[2])
	}
	g = newGen(t, Options{Live: true, Messages: 50_000, Symbols: 20, Version: xdp.V25})
	n := uint64(0)
	for ; !g.Done(); n++ {
		b = g.NextAt(b[:0], start+n*700_000_000)
	}
	if n != 50_000 || xdp.Type(b) != xdp.TypeSecurityStatus || b[20] != 'X' || len(g.NextAt(nil, start)) != 0 {
		t.Errorf("%d messages, the last is a %s", n, xdp.Name(xdp.Type(b)))
	}
}

func TestFaults(t *testing.T) {
	for _, o := range []Options{{Symbols: -1}, {Symbols: MaxSymbols + 1}, {Messages: MinMessages - 1}, {Messages: 1 << 32}, {Version: 3}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	if err := WritePcap(nil, newGen(t, Options{Live: true, Symbols: 10}), itchgen.Lines{}, nil); err == nil {
		t.Error("an endless session was written")
	}
}

// BenchmarkNext is the cost of a generated message.
//
//	budget  twice itchgen's
func BenchmarkNext(b *testing.B) {
	g := newGen(b, Options{Messages: 1 << 31, Symbols: 2_000, Version: xdp.V25})
	var buf []byte
	for range 500_000 {
		buf, _ = g.Next(buf[:0])
	}
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = g.Next(buf[:0])
	}
}
