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

func newPair(tb testing.TB, prices mdp3.Prices) *pair {
	o := mdp3.Options{Channel: 7, Prices: prices}
	p := &pair{quick: newDecoder(tb, o), slow: newDecoder(tb, o), a: newBatch(tb), b: newBatch(tb)}
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
		if x, y := parsedRow(a, i), parsedRow(b, i); x != y {
			return fmt.Sprintf("row %d is %+v, want %+v", i, x, y)
		}
	}
	s := &a.Sides
	if !slices.Equal(a.Statistics[:s.Statistics], b.Statistics[:s.Statistics]) || !slices.Equal(a.Statuses[:s.Statuses], b.Statuses[:s.Statuses]) ||
		!slices.Equal(a.Exts[:s.Exts], b.Exts[:s.Exts]) || !slices.Equal(a.Definitions[:s.Definitions], b.Definitions[:s.Definitions]) {
		return "side tables differ"
	}
	return ""
}

// parsed is the columns that a parser fills, flags aside.
type parsed struct {
	kind                                   tick.Kind
	sub, side                              byte
	instrument                             uint32
	time, sequence, orderID, aux, px, size uint64
}

func parsedRow(b *tick.Batch, i int) parsed {
	return parsed{b.Kind[i], b.Sub[i], b.Side[i], b.Instrument[i], b.TsEvent[i], b.Sequence[i], b.OrderID[i], b.Aux[i], uint64(b.Price[i]), b.Size[i]}
}

// TestQuickIsTheSame: over sessions, captures, and both with damage of every kind, the quick way makes the same rows as the definition and leaves
// the same state. Batches are emptied at any time, so that events span them.
func TestQuickIsTheSame(t *testing.T) {
	streams := map[string][][]byte{}
	for name, o := range map[string]mdp3gen.Options{"version 13": {Messages: 15_000, Seed: 1}, "version 9": {Messages: 15_000, Seed: 2, Version: 9},
		"64 bits": {Messages: 10_000, Seed: 3, LongQty: true}, "many instruments": {Messages: 15_000, Seed: 4, Instruments: 1000}} {
		streams[name], _ = generated(t, o)
	}
	streams["mix"], _ = mixed(t, 5_000)
	streams["half of the definitions"] = undefine(streams["many instruments"])
	streams["one event after the other in packets of their own"] = apart(streams["version 13"])
	for _, v := range vectors(t) {
		streams["captures"] = append(streams["captures"], v.payload)
	}
	for name, packets := range streams {
		t.Run(name, func(t *testing.T) {
			prices := mdp3.PricesConventional
			if name == "captures" || name == "version 9" { // captures have no definitions
				prices = mdp3.PricesWire
			}
			for seed := range uint64(3) {
				r := rand.New(rand.NewPCG(seed, 5))
				p := newPair(t, prices)
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
				if c := p.quick.Counters; seed > 0 && prices == mdp3.PricesConventional && len(packets) > 1000 && c.Inexact == 0 {
					t.Errorf("no price was inexact: this test shows less than it says")
				}
				if c := p.quick.Counters; seed == 0 && c.Refused != 0 || seed > 0 && c.Refused+c.RptSeqGaps == 0 && len(packets) > 1000 {
					t.Errorf("%+v", c)
				}
			}
		})
	}
}

// undefine leaves every other definition out of the packets.
func undefine(packets [][]byte) (out [][]byte) {
	n := 0
	for _, p := range packets {
		kept := slices.Clone(p[:mdp3.PacketBytes])
		for rest := p[mdp3.PacketBytes:]; ; {
			m, size := mdp3.Next(rest)
			if size == 0 {
				break
			}
			rest = rest[size:]
			if id := m.Template(); id >= mdp3.DefinitionFuture && id <= mdp3.DefinitionSpread {
				if n++; n%2 == 0 {
					continue
				}
			}
			kept = append(kept, m...)
		}
		out = append(out, kept)
	}
	return out
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
	switch r.IntN(6) {
	case 4, 5:
		spoil(r, body)
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
	pairs := []*pair{newPair(f, mdp3.PricesConventional), newPair(f, mdp3.PricesWire)}
	var definitions []byte
	for _, m := range apart(packets) {
		if id := mdp3.Message(m[mdp3.PacketBytes:]).Template(); id >= mdp3.DefinitionFuture && id <= mdp3.DefinitionSpread {
			definitions = append(definitions, m[mdp3.PacketBytes:]...)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, p := range pairs {
			p.quick.Start(0)
			p.slow.Start(0)
			p.reset()
			p.take(t, definitions, 1, false)
			p.take(t, packets[len(packets)-21][mdp3.PacketBytes:], 2, false)
			p.take(t, body, 3, false)
			p.take(t, body, 4, true)
		}
	})
}

// TestQuickEveryByte: each byte of each kind of message, whatever it is, at a time when its instruments are known and nothing is open.
func TestQuickEveryByte(t *testing.T) {
	e := mdp3.EncodeV13
	const now, id = 1_700_000_000_000_000_000, 77
	level := mdp3.WireLevel{Price: 4e12, Size: 5, Security: id, Orders: 2, Level: 1, Type: '0'}
	messages := func(rpt uint32) [][]byte {
		level.RptSeq = rpt
		trade := mdp3.WireTrade{Price: 4e12, Size: 3, Security: id, RptSeq: rpt, Orders: 2, Aggressor: 1, ID: 9}
		return [][]byte{
			e.AppendBook(nil, now, 0x84, []mdp3.WireLevel{level}, []mdp3.WireOrder{{ID: 5, Priority: 6, Size: 3, Reference: 1}}),
			e.AppendOrders(nil, now, 0x84, []mdp3.WireOrderLevel{{ID: 5, Priority: 6, Price: 4e12, Size: 3, Security: id, Type: '1'}}),
			e.AppendTrades(nil, now, 0x81, []mdp3.WireTrade{trade}, []mdp3.WireFill{{ID: 5, Size: 3}, {ID: 6, Size: 1}}),
			e.AppendVolume(nil, now, 0x82, []mdp3.WireVolume{{Size: 9, Security: id, RptSeq: rpt}}),
		}
	}
	for _, prices := range []mdp3.Prices{mdp3.PricesWire, mdp3.PricesConventional} {
		everyByte(t, newPair(t, prices), messages)
	}
}

func everyByte(t *testing.T, p *pair, messages func(rpt uint32) [][]byte) {
	const id = 77
	p.take(t, msg(t, 54, f{"SecurityID": id, "SecurityUpdateAction": int('A'), "DisplayFactor": 10_000_000}, nil), 1, true)
	number := uint64(1)
	for kind, m := range messages(2) {
		for at := range m {
			for _, value := range []byte{0, 1, 2, 3, 4, 5, 6, 7, 0x7F, 0x80, 0xFE, 0xFF} {
				p.quick.Start(0)
				p.slow.Start(0)
				p.reset()
				body := slices.Concat(messages(1)[0], m, messages(3)[kind])
				body[len(messages(1)[0])+at] = value
				number++
				p.take(t, body, number, at%8 == 0)
			}
		}
	}
}

// Fields of entries, as offset and bytes, by template: of its first group, then of its second one.
var entryFields = map[uint16][2][][2]int{
	46: {{{0, 8}, {8, 4}, {12, 4}, {16, 4}, {20, 4}, {24, 1}, {25, 1}, {26, 1}}, {{0, 8}, {8, 8}, {16, 4}, {20, 1}, {21, 1}}},
	47: {{{0, 8}, {8, 8}, {16, 8}, {24, 4}, {28, 4}, {32, 1}, {33, 1}}},
	48: {{{0, 8}, {8, 4}, {12, 4}, {16, 4}, {20, 4}, {24, 1}, {25, 1}, {26, 4}}, {{0, 8}, {8, 4}}},
	37: {{{0, 4}, {4, 4}, {8, 4}, {12, 1}}},
}

// spoil gives one field of one entry a value that means something else: null, 0, a negative one, all ones, or a small one.
func spoil(r *rand.Rand, body []byte) {
	for {
		m, size := mdp3.Next(body)
		if size == 0 {
			return
		}
		body = body[size:]
		groups, rest := entryFields[m.Template()], m.Body()[min(m.BlockLength(), len(m.Body())):]
		for g, countAt := range []int{2, 7} {
			if len(rest) <= countAt {
				break
			}
			block, n := int(rest[0])|int(rest[1])<<8, int(rest[countAt])
			rest = rest[countAt+1:]
			if groups[g] == nil || n*block > len(rest) {
				break
			}
			if n > 0 && r.IntN(2) == 0 {
				field := groups[g][r.IntN(len(groups[g]))]
				if to := rest[r.IntN(n)*block:]; field[0]+field[1] <= block {
					put := to[field[0] : field[0]+field[1]]
					low, high := []byte{0, 0xFF, 0xFF, 0, byte(r.IntN(8))}, []byte{0, 0x7F, 0xFF, 0x80, 0}
					k := min(r.IntN(9), 4)
					for i := range put {
						put[i] = low[k]
						if k == 4 && i > 0 {
							put[i] = 0
						}
					}
					if len(put) > 1 {
						put[len(put)-1] = high[k]
					}
					return
				}
			}
			rest = rest[n*block:]
		}
	}
}
