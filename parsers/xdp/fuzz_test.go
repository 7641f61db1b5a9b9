package xdp

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/tickwire/tickwire/tick"
)

func seeds(f *testing.F) {
	for _, s := range samples() {
		f.Add(packet(DeliveryOriginal, 5, s.wire, clock(7, 1001), s.wire))
	}
	f.Add(packet(DeliveryHeartbeat, 5))
	f.Add(packet(DeliveryReset, 1, msg(1, 1000, 123, byte(11), byte(1))))
	f.Add(packet(DeliveryRefresh, 1, msg(35, uint16(1), uint16(2), 900, 48), mapped(5, "FIVE", 7, 4)))
	f.Add(packet(DeliveryOriginal, 1, msg(10, 1, 2, "TICK\x00\x00\x00\x00\x00\x00", byte(11), byte(1)), msg(12, "TICK\x00\x00\x00\x00\x00\x00")))
}

// Whatever comes, the decoder takes what the framing cut, makes rows that have a kind, and says the same of a stream in one piece and by the
// message.
func FuzzAppend(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, p []byte) {
		h, blocks, err := ParsePacket(p)
		agree(t, p)
		if id := MarketIn(p); err != nil && id != 0 {
			t.Fatalf("a packet that is none is of market %d", id)
		}
		if err != nil {
			blocks = p[min(len(p), PacketHeaderBytes):]
			h.Count = 255
		}
		whole, used := Walk(blocks, int(h.Count))
		d, b := begun(t, Options{})
		if u, n := d.Append(blocks[:used], 5, whole, b); u != used || n != whole {
			t.Fatalf("used %d of %d bytes, %d of %d messages", u, used, n, whole)
		}
		for i := range b.N {
			if k := b.Kind[i]; k == 0 || k >= tick.KindCount || b.Instrument[i] == 0 || b.Sequence[i] < 5 || b.Sequence[i] >= 5+uint64(whole) {
				t.Fatalf("row %d is %s", i, show(b, i))
			}
		}
		rows := map[uint64]bool{}
		for i := range b.N {
			rows[b.Sequence[i]] = true
		}
		if c := &d.c; uint64(len(rows))+c.Unknown+c.Short+c.Contradict+c.Unmapped+c.NoRow+c.NotPrinted != uint64(whole)+2 { // two of begun
			t.Fatalf("%d messages, rows of %d, %+v: some are lost without a count", whole, len(rows), *c)
		}
		all := showAll(b)
		e, c := begun(t, Options{})
		var single []string
		for m, rest := Next(blocks[:used]); m != nil; m, rest = Next(rest) {
			c.Reset()
			e.Append(slices.Clone(m), 5+e.c.Messages-4, 1, c)
			single = append(single, showAll(c)...)
		}
		if !slices.Equal(all, single) || d.c != e.c {
			t.Fatalf("in one piece %q\nby the message %q\n%+v\n%+v", all, single, d.c, e.c)
		}
		g, _ := begun(t, Options{Version: "2.1"})
		b.Reset()
		g.AppendRefresh(blocks[:used], 5, whole, b)
	})
}

func FuzzEachMessage(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, p []byte) {
		for _, version := range Versions {
			given := 0
			err := EachMessage(p, version, func(sequence uint64, typ string, raw, fields []byte, err error) bool {
				given++
				if !json.Valid(fields) || typ == "" || len(raw) < MessageHeaderBytes {
					t.Fatalf("%s %x: %s", typ, raw, fields)
				}
				return true
			})
			h, blocks, refused := ParsePacket(p)
			if refused != nil {
				if err == nil || given != 0 || Looks(p) != 0 {
					t.Fatalf("refused by %v, but decode gives %d messages", refused, given)
				}
				continue
			}
			whole, used := Walk(blocks, int(h.Count))
			if given != whole || (err == nil) != (whole == int(h.Count) && used == len(blocks)) {
				t.Fatalf("%d messages of %d, %v", given, whole, err)
			}
		}
	})
}

// agree: Original takes the packets that ParsePacket takes as data with flag 11, messages included, and reads the same of them.
func agree(t *testing.T, p []byte) {
	t.Helper()
	h, blocks, err := ParsePacket(p)
	first, count, sent, ordinary, ok := Original(p)
	if want := err == nil && h.Flag == DeliveryOriginal && len(blocks) > 0; ok != want {
		t.Fatalf("%x: original %v, want %v (%v)", p[:min(len(p), PacketHeaderBytes)], ok, want, err)
	}
	if ok && (first != h.Sequence || count != uint32(h.Count) || sent != h.SendNs() || len(ordinary) != len(blocks) || &ordinary[0] != &blocks[0]) {
		t.Fatalf("%x: number %d, %d messages, sent %d, %d bytes; want %+v, %d bytes", p, first, count, sent, len(ordinary), h, len(blocks))
	}
}
