package mdp3_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tickwire/tickwire/parsers/mdp3"
	"github.com/tickwire/tickwire/sim/mdp3gen"
	"github.com/tickwire/tickwire/tick"
)

// TestQuickIsTaken: a change of the batch's layout must not take the quick way away unnoticed.
func TestQuickIsTaken(t *testing.T) {
	d := newDecoder(t, mdp3.Options{})
	if got := d.Quick(newBatch(t)); got != mdp3.HasQuick {
		t.Errorf("the quick way is taken: %v, want %v; if NewBatch lays columns out in another way now, quick_amd64.go's distances must follow", got, mdp3.HasQuick)
	}
}

// pair is a decoder beside one of which all messages go the way that is the definition.
type pair struct {
	quick, slow *mdp3.Decoder
	a, b        *tick.Batch
}

func newPair(tb testing.TB) *pair {
	p := &pair{quick: newDecoder(tb, mdp3.Options{Channel: 7}), slow: newDecoder(tb, mdp3.Options{Channel: 7}), a: newBatch(tb), b: newBatch(tb)}
	p.slow.Slow()
	return p
}

func (p *pair) reset() { p.a.Reset(); p.b.Reset() }

// take gives both a packet's body, as often as it takes, and compares what they make of it; state: and what they remember.
func (p *pair) take(tb testing.TB, body []byte, number uint64, state bool) {
	tb.Helper()
	for {
		from := p.a.N
		used, n := p.quick.Append(body, number, 1, p.a)
		wantUsed, want := p.slow.Append(body, number, 1, p.b)
		if used != wantUsed || n != want {
			tb.Fatalf("packet %d: %d bytes, %d messages, want %d, %d\n%x", number, used, n, wantUsed, want, body)
		}
		if diff := rowsDiffer(p.a, p.b, from); diff != "" {
			tb.Fatalf("packet %d: %s\n%x", number, diff, body)
		}
		if p.quick.Counters != p.slow.Counters {
			tb.Fatalf("packet %d: %+v, want %+v\n%x", number, p.quick.Counters, p.slow.Counters, body)
		}
		if state {
			if diff := p.quick.Difference(p.slow); diff != "" {
				tb.Fatalf("packet %d: %s\n%x", number, diff, body)
			}
		}
		body = body[used:]
		if n == 1 {
			return
		}
		p.reset()
	}
}

// rowsDiffer compares rows from one on, their flags from the first on, and side tables.
func rowsDiffer(a, b *tick.Batch, from int) string {
	if a.N != b.N || a.Sides != b.Sides {
		return fmt.Sprintf("%d rows, %+v; want %d, %+v", a.N, a.Sides, b.N, b.Sides)
	}
	if !slices.Equal(a.Flags[:a.N], b.Flags[:b.N]) {
		return fmt.Sprintf("flags are %x, want %x", a.Flags[:a.N], b.Flags[:b.N])
	}
	for i := from; i < a.N; i++ {
		x := fmt.Sprint(a.Kind[i], a.Sub[i], a.Side[i], a.Instrument[i], a.TsEvent[i], a.Sequence[i], a.OrderID[i], a.Aux[i], a.Price[i], a.Size[i])
		y := fmt.Sprint(b.Kind[i], b.Sub[i], b.Side[i], b.Instrument[i], b.TsEvent[i], b.Sequence[i], b.OrderID[i], b.Aux[i], b.Price[i], b.Size[i])
		if x != y {
			return fmt.Sprintf("row %d is %s, want %s", i, x, y)
		}
	}
	s := &a.Sides
	if !slices.Equal(a.Statistics[:s.Statistics], b.Statistics[:s.Statistics]) || !slices.Equal(a.Statuses[:s.Statuses], b.Statuses[:s.Statuses]) ||
		!slices.Equal(a.Exts[:s.Exts], b.Exts[:s.Exts]) || !slices.Equal(a.Definitions[:s.Definitions], b.Definitions[:s.Definitions]) {
		return "side tables differ"
	}
	return ""
}

// TestQuickIsTheSame: over sessions, captures, and both with damage of every kind, the quick way makes the same rows as the definition and leaves
// the same state. Batches are emptied at any time, so that events span them.
func TestQuickIsTheSame(t *testing.T) {
	streams := map[string][][]byte{}
	for name, o := range map[string]mdp3gen.Options{"version 13": {Messages: 30_000, Seed: 1}, "version 9": {Messages: 30_000, Seed: 2, Version: 9},
		"64 bits": {Messages: 10_000, Seed: 3, LongQty: true}, "many instruments": {Messages: 30_000, Seed: 4, Instruments: 1000}} {
		streams[name], _ = generated(t, o)
	}
	streams["mix"], _ = mixed(t, 5_000)
	streams["one event after the other in packets of their own"] = apart(streams["version 13"])
	for _, v := range vectors(t) {
		streams["captures"] = append(streams["captures"], v.payload)
	}
	for name, packets := range streams {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(4) {
				r := rand.New(rand.NewPCG(seed, 5))
				p := newPair(t)
				number := uint64(0)
				for i, packet := range packets {
					number++
					body := slices.Clone(packet[mdp3.PacketBytes:])
					if seed > 0 { // the first round is whole
						switch r.IntN(40) {
						case 0:
							number++ // one is missing
							continue
						case 1, 2, 3, 4:
							damage(r, body)
						}
					}
					p.take(t, body, number, i%97 == 0 || i == len(packets)-1)
					if r.IntN(30) == 0 {
						p.reset()
					}
				}
				if c := p.quick.Counters; seed == 0 && c.Refused != 0 || seed > 0 && c.Refused+c.RptSeqGaps == 0 && len(packets) > 1000 {
					t.Errorf("%+v", c)
				}
			}
		})
	}
}

// apart gives each message a packet of its own: events span them.
func apart(packets [][]byte) (out [][]byte) {
	for _, p := range packets {
		for rest := p[mdp3.PacketBytes:]; ; {
			m, size := mdp3.Next(rest)
			if size == 0 {
				break
			}
			out = append(out, append(slices.Clone(p[:mdp3.PacketBytes]), m...))
			rest = rest[size:]
		}
	}
	return out
}

// damage changes some bytes of a packet: mostly to what means something, mostly in a message's head or an entry's last fields.
func damage(r *rand.Rand, body []byte) {
	if len(body) == 0 {
		return
	}
	at := r.IntN(len(body))
	switch r.IntN(4) {
	case 0: // a field of 8 or 4 bytes, null
		for k := range min(len(body)-at, 4<<r.IntN(2)) {
			body[at+k] = 0xFF
		}
		if end := at + 7; end < len(body) {
			body[end] = 0x7F
		}
	case 1: // in the head
		at = r.IntN(min(len(body), 32))
		body[at] = byte(r.IntN(256))
	case 2:
		body[at] = []byte{0, 1, 2, 3, 4, 5, 6, 9, 13, 14, 16, 24, 32, 40, 0x7F, 0x80, 0xFE, 0xFF, 'J', 'E', 'w'}[r.IntN(21)]
	default:
		body[at] ^= 1 << r.IntN(8)
	}
}

// FuzzQuick: any bytes, behind a packet that made the instruments known.
func FuzzQuick(f *testing.F) {
	packets, _ := generated(f, mdp3gen.Options{Messages: 2_000, Instruments: 3})
	for _, p := range packets[len(packets)-20:] {
		f.Add(p[mdp3.PacketBytes:])
	}
	for _, m := range fuzzMessages(f) {
		f.Add(m)
	}
	p := newPair(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		p.quick.Start(0)
		p.slow.Start(0)
		p.reset()
		p.take(t, packets[len(packets)-21][mdp3.PacketBytes:], 1, false)
		p.take(t, body, 2, false)
		p.take(t, body, 3, true)
	})
}
