package itch_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/parsers/itch"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/tick"
)

// Every way to decode gives what the first one gives: bytes and messages used, counters, the columns that a row's kind has, side tables.
// A twin holds a batch and counters for each way, filled with different rubbish, and decodes the same with all of them.
type twin struct {
	variants []itch.Variant
	batches  []*tick.Batch
	counters []itch.Counters
}

func newTwin(t testing.TB) *twin {
	w := &twin{variants: itch.Variants()}
	w.counters = make([]itch.Counters, len(w.variants))
	for i := range w.variants {
		b := itch.NewBatch(t)
		for row := range tick.MaxRows {
			x := uint64(i+1) * 0x1111111111111111
			b.Kind[row], b.Sub[row], b.Side[row], b.Instrument[row] = tick.Kind(200+i), byte(x), byte(x), uint32(x)
			b.TsEvent[row], b.Sequence[row], b.OrderID[row], b.Aux[row], b.Size[row], b.Price[row] = x, x, x, x, x, int64(x)
		}
		w.batches = append(w.batches, b)
	}
	return w
}

func (w *twin) reset() {
	for _, b := range w.batches {
		b.Reset()
	}
}

// columnsOf are the columns of each kind beyond Instrument, TsEvent and Sequence (tick.Kind): OrderID, Aux, Size, Price, Side (x), Sub (u).
var columnsOf = [256]string{
	tick.KindAdd: "oaspx", tick.KindExec: "oas", tick.KindExecAt: "oaspu", tick.KindReduce: "os", tick.KindDelete: "o",
	tick.KindReplace: "oasp", tick.KindTrade: "oaspx", tick.KindCross: "oaspxu", tick.KindBreak: "a", tick.KindStatus: "a",
	tick.KindImbalance: "oas", tick.KindDefinition: "a", tick.KindStatistics: "a", tick.KindExt: "a", tick.KindSystem: "au",
}

// parsed is the columns of a row that its kind has (tick.Kind), the others 0.
type parsed struct {
	kind                                  tick.Kind
	sub, side                             uint8
	instrument                            uint32
	tsEvent, sequence, orderID, aux, size uint64
	price                                 int64
}

func rowOf(b *tick.Batch, i int) parsed {
	p := parsed{kind: b.Kind[i], instrument: b.Instrument[i], tsEvent: b.TsEvent[i], sequence: b.Sequence[i]}
	for _, c := range columnsOf[p.kind] {
		switch c {
		case 'o':
			p.orderID = b.OrderID[i]
		case 'a':
			p.aux = b.Aux[i]
		case 's':
			p.size = b.Size[i]
		case 'p':
			p.price = b.Price[i]
		case 'x':
			p.side = b.Side[i]
		case 'u':
			p.sub = b.Sub[i]
		}
	}
	return p
}

// decode has every way append what b begins with to its batch. It fails where one differs from the first.
func (w *twin) decode(t testing.TB, b []byte, sequence uint64, max int) (used, messages int) {
	t.Helper()
	first := w.batches[0]
	from, sides := first.N, first.Sides
	used, messages = w.variants[0].Append(b, 1e18, sequence, max, first, &w.counters[0])
	for i := 1; i < len(w.variants); i++ {
		name, batch := w.variants[i].Name, w.batches[i]
		u, m := w.variants[i].Append(b, 1e18, sequence, max, batch, &w.counters[i])
		if u != used || m != messages || batch.N != first.N || batch.Sides != first.Sides {
			t.Fatalf("%s: %d bytes, %d messages, %d rows, %v; want %d, %d, %d, %v", name, u, m, batch.N, batch.Sides, used, messages, first.N, first.Sides)
		}
		if w.counters[i] != w.counters[0] {
			t.Fatalf("%s: counters %+v\nwant %+v", name, w.counters[i], w.counters[0])
		}
		for row := from; row < first.N; row++ {
			if got, want := rowOf(batch, row), rowOf(first, row); got != want {
				t.Fatalf("%s: row %d of %d, sequence %d:\n got %+v\nwant %+v", name, row, first.N, want.sequence, got, want)
			}
		}
		same(t, name, "status", batch.Statuses[sides.Statuses:batch.Sides.Statuses], first.Statuses[sides.Statuses:])
		same(t, name, "imbalance", batch.Imbalances[sides.Imbalances:batch.Sides.Imbalances], first.Imbalances[sides.Imbalances:])
		same(t, name, "definition", batch.Definitions[sides.Definitions:batch.Sides.Definitions], first.Definitions[sides.Definitions:])
		same(t, name, "statistics", batch.Statistics[sides.Statistics:batch.Sides.Statistics], first.Statistics[sides.Statistics:])
		same(t, name, "ext", batch.Exts[sides.Exts:batch.Sides.Exts], first.Exts[sides.Exts:])
	}
	return used, messages
}

func same[T comparable](t testing.TB, name, table string, got, want []T) {
	t.Helper()
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("%s: %s %d:\n got %+v\nwant %+v", name, table, i, got[i], want[i])
		}
	}
}

// all decodes b to its end, or to where no way goes on, in passes of what most gives.
func (w *twin) all(t testing.TB, b []byte, most func() int) (messages int) {
	t.Helper()
	for len(b) > 0 {
		used, n := w.decode(t, b, uint64(messages+1), most())
		if n == 0 {
			if w.batches[0].N == 0 {
				break
			}
			w.reset()
			continue
		}
		b, messages = b[used:], messages+n
		if w.batches[0].Full() {
			w.reset()
		}
	}
	return messages
}

// The test would prove nothing where there is one way only; it says so.
func TestVariantsHere(t *testing.T) {
	for _, v := range itch.Variants() {
		t.Log(v.Name)
	}
}

func TestVariantsOnDays(t *testing.T) {
	const messages = 200_000
	for _, profile := range []itchgen.Profile{itchgen.Realistic, itchgen.Hostile} {
		g, err := itchgen.New(itchgen.Options{Messages: messages, Symbols: 3000, Seed: 5, Profile: profile})
		if err != nil {
			t.Fatal(err)
		}
		day := itchgen.AppendAll(nil, g, nil)
		r := rand.New(rand.NewPCG(1, 2))
		for name, most := range map[string]func() int{
			"whole batches": func() int { return 1 << 30 },
			"any number":    func() int { return r.IntN(1+r.IntN(1500)) + 1 },
			"few":           func() int { return 1 + r.IntN(20) },
		} {
			t.Run(fmt.Sprint(profile, " ", name), func(t *testing.T) {
				if n := newTwin(t).all(t, day, most); n != messages {
					t.Errorf("%d messages, want %d", n, messages)
				}
			})
		}
	}
}

func TestVariantsOnVectors(t *testing.T) {
	messages := itch.VectorMessages(t)
	for _, most := range []int{1, 7, 1 << 20} {
		if n := newTwin(t).all(t, itch.Framed(messages...), func() int { return most }); n != len(messages) {
			t.Errorf("%d messages of %d", n, len(messages))
		}
	}
}

// Side tables fill up, by one type after the other, alone and between types without an entry: every way stops at the same message.
func TestVariantsOnFullTables(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for typ := range 256 {
		if itch.Length(byte(typ)) == 0 {
			continue
		}
		for _, share := range []int{1, 2, 5} {
			var messages [][]byte
			for len(messages) < 6000 {
				m := make([]byte, 64)
				if m[0] = byte(typ); r.IntN(share) != 0 {
					m[0] = "ADUEXFCP"[r.IntN(8)]
				}
				messages = append(messages, m[:itch.Length(m[0])])
			}
			if n := newTwin(t).all(t, itch.Framed(messages...), func() int { return 1 << 30 }); n != len(messages) {
				t.Errorf("%c, one of %d: %d messages of %d", typ, share, n, len(messages))
			}
		}
	}
}

// Every type byte in every place of a group: of its length, a byte short, a byte long, of 0 bytes and of one, and with lengths that lie.
func TestVariantsOnBadMessages(t *testing.T) {
	w := newTwin(t)
	r := rand.New(rand.NewPCG(3, 4))
	message := func(typ byte, length int) []byte {
		m := make([]byte, length)
		for i := range m {
			m[i] = byte(r.Uint32())
		}
		if length > 0 {
			m[0] = typ
		}
		return m
	}
	neighbours := func(n int) (all [][]byte) {
		for range n {
			typ := "ADUEXFCPISQ"[r.IntN(11)]
			all = append(all, message(typ, itch.Length(typ)))
		}
		return all
	}
	for typ := range 256 {
		length := itch.Length(byte(typ))
		for _, n := range []int{length, max(length-1, 0), length + 1, 0, 1, 255, 256 + length, 300} {
			for place := range 10 {
				in := append(neighbours(place), message(byte(typ), n))
				b := itch.Framed(append(in, neighbours(20)...)...)
				w.reset()
				used, got := w.decode(t, b, 7, 1000)
				if 0 < n && n < length { // refused: the next call goes on behind it
					if got != place+1 {
						t.Fatalf("type %#x, %d bytes, place %d: %d messages before it stops", typ, n, place, got)
					}
					_, rest := w.decode(t, b[used:], 7+uint64(got), 1000)
					got += rest
				}
				if got != place+21 {
					t.Fatalf("type %#x, %d bytes, place %d: %d messages", typ, n, place, got)
				}
				// The length of the message says more than there is, or less.
				lie := len(itch.Framed(in[:place]...))
				b[lie], b[lie+1] = byte(r.Uint32())&byte(r.Uint32()), byte(r.Uint32())
				w.reset()
				w.decode(t, b, 7, 1000)
			}
		}
	}
	c := &w.counters[0]
	if c.Unknown == 0 || c.Short == 0 || c.Extended == 0 || c.Empty == 0 {
		t.Errorf("nothing of a kind: %d unknown, %d short, %d longer, %d empty", c.Unknown, c.Short, c.Extended, c.Empty)
	}
}

// Nothing is read behind the slice nor before it: it ends where a page without access begins, then begins where one ends.
func TestVariantsReadNoFurther(t *testing.T) {
	g, err := itchgen.New(itchgen.Options{Messages: 5000, Seed: 9})
	if err != nil {
		t.Fatal(err)
	}
	day := itchgen.AppendAll(nil, g, nil)
	page := unix.Getpagesize()
	mem, err := unix.Mmap(-1, 0, 3*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(mem)
	for _, guard := range [][]byte{mem[:page], mem[2*page:]} {
		if err := unix.Mprotect(guard, unix.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	room := mem[page : 2*page]
	w := newTwin(t)
	at := len(day) / 2 // any byte: where no message begins lengths lie as they like
	for n := range 1200 {
		for _, from := range []int{at + n%97, boundary(day, at+n)} {
			for _, b := range [][]byte{room[page-n:], room[:n]} {
				copy(b, day[from:])
				w.reset()
				w.decode(t, b, 1, 1000)
				if n > 2 { // a last length that reaches beyond the end
					b[len(b)-2] = 0
					w.reset()
					w.decode(t, b, 1, 1000)
				}
			}
		}
	}
}

// boundary is where the first message at or behind a place begins.
func boundary(day []byte, at int) (place int) {
	for place < at {
		place += 2 + int(day[place])<<8 + int(day[place+1])
	}
	return place
}

func TestVariantsAllocateNothing(t *testing.T) {
	g, err := itchgen.New(itchgen.Options{Messages: 20_000, Seed: 9})
	if err != nil {
		t.Fatal(err)
	}
	day := itchgen.AppendAll(nil, g, nil)
	b := itch.NewBatch(t)
	for _, v := range itch.Variants() {
		var c itch.Counters
		if n := testing.AllocsPerRun(5, func() {
			for rest := day; len(rest) > 0; {
				b.Reset()
				used, _ := v.Append(rest, 0, 0, 512, b, &c)
				rest = rest[used:]
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", v.Name, n)
		}
	}
}

// FuzzVariants: whatever comes, in calls of most messages each, every way gives the same. rows are in the batch before.
func FuzzVariants(f *testing.F) {
	g, err := itchgen.New(itchgen.Options{Messages: 2000, Seed: 2})
	if err != nil {
		f.Fatal(err)
	}
	day := itchgen.AppendAll(nil, g, nil)
	from := boundary(day, len(day)/2)
	f.Add(day[from:from+1500], uint16(1000), uint16(0))
	f.Add(day[:1500], uint16(9), uint16(4090))
	f.Add(day[from:from+90], uint16(4), uint16(1))
	f.Add([]byte{0, 0, 0, 0, 255}, uint16(100), uint16(0))
	w := newTwin(f)
	f.Fuzz(func(t *testing.T, in []byte, most, rows uint16) {
		w.reset()
		for _, b := range w.batches {
			b.N = int(rows) % (tick.MaxRows + 1)
		}
		for {
			used, n := w.decode(t, in, 1, int(most))
			if in = in[used:]; n == 0 {
				break
			}
		}
	})
}
