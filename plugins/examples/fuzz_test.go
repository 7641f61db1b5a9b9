package examples_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/tickwire/tickwire/plugins/internal/guest"
	"github.com/tickwire/tickwire/plugins/manifest"
)

// FuzzAcme: whatever a packet holds, the parser does not trap, and makes no more rows than it has messages, each with a kind and a side that there is.
func FuzzAcme(f *testing.F) {
	g := load(f, "acme", nil)
	f.Add(packet(1, 1, 2).message('D', 0, 5, 6, uint64(901)).message('A', 'B', 5, 2, uint64(900), uint64(1), uint32(300), uint32(0)).b)
	f.Add(packet(1, 1, 1).message('I', 0, 5, 1, "WIDGET").b)
	f.Add(packet(1, 1, 1).message('E', 0, 5, 1, uint64(1), uint64(2), uint32(3), uint32(0)).b)
	f.Add(packet(0xffffffff, 1<<63, 255).b)
	f.Add(packet(1, 1, 0).b)
	f.Fuzz(func(t *testing.T, p []byte) {
		g.For(t)
		if len(p) > len(g.In(0)) {
			return
		}
		_, count, _, rows := parse(g, p)
		if rows > int64(count) {
			t.Fatalf("%d rows of %d messages", rows, count)
		}
		for i := range max(rows, 0) {
			kind, side := guest.Get[uint8](g, 0, 1, int(rows))[i], guest.Get[uint8](g, 0, 3, int(rows))[i]
			if kind != 12 && kind != 1 && kind != 2 && kind != 5 || side != 'B' && side != 'A' && side != 'N' {
				t.Fatalf("row %d has kind %d and side %q", i, kind, side)
			}
		}
	})
}

// FuzzDelta: bytes that decode are those that their values encode to, or longer ones; others are refused. No trap.
func FuzzDelta(f *testing.F) {
	g := load(f, "delta", nil)
	for _, b := range [][]byte{{}, {0}, {2, 3, 4}, {0x80}, {0x80, 0}, bytes.Repeat([]byte{0xff}, 10), binary.AppendVarint(nil, -1<<63)} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		g.For(t)
		if len(b) > len(g.In(0)) {
			return
		}
		copy(g.In(0), b)
		rows := g.Call("tw_decode", 0, uint64(len(b)))
		if rows < 0 {
			return
		}
		values := guest.Get[int64](g, 0, manifest.ColumnResult, int(rows))
		guest.Set(g, 0, manifest.ColumnArg, values)
		n := g.Call("tw_encode", 0, uint64(rows))
		if n > int64(len(b)) || n == int64(len(b)) && !bytes.Equal(g.Out(0)[:n], b) {
			t.Fatalf("% x is decoded to %v, which is encoded as % x", b, values, g.Out(0)[:n])
		}
	})
}

// FuzzTreasury: a text that is a price is written in one way, which is read as the same price.
func FuzzTreasury(f *testing.F) {
	g := load(f, "treasury", nil)
	for _, s := range []string{"110-16+", "110-162", "-1-08", "0-00", "99999999-31+", "110-32", "", "-"} {
		f.Add(s)
	}
	read := func(s string) (int64, bool) {
		g.SetTexts(0, manifest.ColumnArg, []string{s})
		g.Call("tw_type", 0, 2, 1)
		return guest.Get[int64](g, 0, manifest.ColumnArg+1, 1)[0], guest.Get[uint8](g, 0, manifest.ColumnNull, 1)[0] == 0
	}
	f.Fuzz(func(t *testing.T, s string) {
		g.For(t)
		if len(s) > 16 {
			return
		}
		px, ok := read(s)
		if !ok {
			return
		}
		g.Call("tw_type", 0, 3, 1)
		written := g.Texts(0, manifest.ColumnArg+3, 1)[0]
		if guest.Get[uint8](g, 0, manifest.ColumnNull, 1)[0] != 0 {
			t.Fatalf("%q is %d, which cannot be written", s, px)
		}
		if again, ok := read(written); !ok || again != px {
			t.Fatalf("%q is %d, written %q, which is %d", s, px, written, again)
		}
	})
}
