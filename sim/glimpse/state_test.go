package glimpse_test

import (
	"encoding/binary"
	"testing"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/parsers/itch"
	"github.com/tickwire/tickwire/sim/glimpse"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/tick"
)

// TestStateIsTheBooks: at checkpoints of generated sessions, books built from a snapshot equal books built from every message: all
// orders, in the order of their queues.
func TestStateIsTheBooks(t *testing.T) {
	for _, profile := range []itchgen.Profile{itchgen.Realistic, itchgen.Hostile} {
		g, err := itchgen.New(itchgen.Options{Messages: 60_000, Symbols: 60, Seed: 5, Profile: profile})
		must(t, err)
		var s glimpse.State
		whole, m, checks := newBuilder(t), []byte(nil), 0
		for n := uint64(1); ; n++ {
			var ok bool
			if m, ok = g.Next(m[:0]); !ok {
				break
			}
			s.Apply(m)
			whole.apply(append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...))
			if n%9_973 != 0 {
				continue
			}
			blocks, next := s.Snapshot(nil)
			if next != n+1 {
				t.Fatalf("snapshot goes on from %d, want %d", next, n+1)
			}
			rebuilt := newBuilder(t)
			rebuilt.apply(blocks)
			rebuilt.books.Instruments(func(id uint32) bool { return compare(t, whole.books, rebuilt.books, id) })
			if a, b := whole.books.Counters().Orders, rebuilt.books.Counters().Orders; a != b || int(a) != s.Orders() || a == 0 {
				t.Fatalf("after %d messages %d orders, %d in the snapshot, %d in the state", n, a, b, s.Orders())
			}
			if rebuilt.names != 60 {
				t.Fatalf("%d definitions", rebuilt.names)
			}
			checks++
		}
		if checks < 5 {
			t.Errorf("%d checks", checks)
		}
	}
}

func compare(t *testing.T, a, b *book.Books, id uint32) bool {
	t.Helper()
	orders := func(b *book.Books) (all []book.Order) {
		b.Walk(id, func(o book.Order) bool { all = append(all, o); return true })
		return all
	}
	want, got := orders(a), orders(b)
	if len(want) != len(got) {
		t.Fatalf("instrument %d: %d orders, want %d", id, len(got), len(want))
	}
	for i := range want {
		if want[i] != got[i] {
			t.Fatalf("instrument %d, order %d: %+v, want %+v", id, i, got[i], want[i])
		}
	}
	return true
}

// builder applies messages to books as a lane does.
type builder struct {
	books *book.Books
	batch *tick.Batch
	c     itch.Counters
	names int
}

func newBuilder(t *testing.T) *builder {
	b := &builder{}
	var err error
	b.books, err = book.New(book.Options{MaxInstruments: 1 << 10, MaxOrders: 1 << 18, MaxReference: 1 << 32})
	must(t, err)
	b.batch, err = tick.NewBatch()
	must(t, err)
	t.Cleanup(func() { must(t, b.books.Close()); must(t, b.batch.Free()) })
	return b
}

func (b *builder) apply(blocks []byte) {
	for len(blocks) > 0 {
		used, _ := itch.Append(blocks, 0, 1, 1000, b.batch, &b.c)
		blocks = blocks[used:]
		b.books.Apply(b.batch, 0, b.batch.N)
		b.names += b.batch.Sides.Definitions
		b.batch.Reset()
	}
}

// TestStateOfBadMessages: each has a number, and does what it does to a book.
func TestStateOfBadMessages(t *testing.T) {
	add := func(ref uint64, side byte, shares, price uint32) []byte {
		b := binary.BigEndian.AppendUint64(append([]byte{'A', 0, 7}, make([]byte, 8)...), ref)
		b = binary.BigEndian.AppendUint32(append(b, side), shares)
		return binary.BigEndian.AppendUint32(append(b, "TEST    "...), price)
	}
	var s glimpse.State
	for i, tc := range []struct {
		name   string
		m      []byte
		orders int
	}{
		{"an order", add(1, 'B', 100, 10), 1},
		{"one byte short", add(2, 'B', 100, 10)[:35], 1},
		{"one byte long", append(add(2, 'B', 100, 10), 0), 2},
		{"nothing", nil, 2},
		{"unknown type", []byte("z123456789012345"), 2},
		{"no shares", add(3, 'B', 0, 10), 2},
		{"no price", add(3, 'B', 100, 0), 2},
		{"no side", add(3, 'X', 100, 10), 2},
		{"given out again", add(2, 'S', 50, 20), 2},
		{"delete of nothing", append([]byte("D\x00\x0712345678"), 0, 0, 0, 0, 0, 0, 0, 9), 2},
		{"delete", append([]byte("D\x00\x0712345678"), 0, 0, 0, 0, 0, 0, 0, 1), 1},
		{"more than there is", append([]byte("X\x00\x0712345678"), 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 1, 0), 0},
	} {
		s.Apply(tc.m)
		if s.Orders() != tc.orders || s.Next() != uint64(i+2) {
			t.Errorf("%s: %d orders, next %d; want %d, %d", tc.name, s.Orders(), s.Next(), tc.orders, i+2)
		}
	}
	s.Begin("")
	if blocks, next := s.Snapshot(nil); len(blocks) != 0 || next != 1 {
		t.Errorf("after Begin: %d bytes, next %d", len(blocks), next)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
