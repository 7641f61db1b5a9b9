package xdp_test

import (
	"slices"
	"testing"

	"github.com/tickwire/tickwire/feed/book"
	wire "github.com/tickwire/tickwire/parsers/xdp"
	"github.com/tickwire/tickwire/sim/mold"
	"github.com/tickwire/tickwire/sim/xdp"
	"github.com/tickwire/tickwire/sim/xdpgen"
	"github.com/tickwire/tickwire/tick"
)

// few is the beginning of a source.
type few struct {
	mold.Source
	left int
}

func (s *few) Next(dst []byte) ([]byte, bool) {
	if s.left--; s.left < 0 {
		return dst, false
	}
	return s.Source.Next(dst)
}

// receiver has a channel's books, made of its packets as they come.
type receiver struct {
	d      *wire.Decoder
	b      *tick.Batch
	books  *book.Books
	quotes map[uint32][4]uint64
	flags  []byte // of packets, each change of it
	next   uint32
	epoch  uint64 // of the last reset
	resets int
}

func newReceiver(t *testing.T, product string) *receiver {
	t.Helper()
	d, err := wire.NewDecoder(wire.Options{Product: product})
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{d: d, quotes: map[uint32][4]uint64{}}
	if r.b, err = tick.NewBatch(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.b.Free() })
	if r.books, err = book.New(book.Options{Sparse: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.books.Close() })
	d.Start(1_767_589_200_000_000_000)
	return r
}

func (r *receiver) take(t *testing.T, packet []byte) {
	t.Helper()
	h, blocks, err := wire.ParsePacket(packet)
	if err != nil {
		t.Fatal(err)
	}
	switch h.Kind {
	case wire.PacketHeartbeat:
		return
	case wire.PacketReset:
		if h.Epoch == r.epoch {
			return // told again
		}
		r.epoch = h.Epoch
		r.resets++
		r.next = 1
	}
	if n := len(r.flags); n == 0 || r.flags[n-1] != h.Flag {
		r.flags = append(r.flags, h.Flag)
	}
	if h.Sequence != r.next {
		t.Fatalf("packet has number %d, want %d", h.Sequence, r.next)
	}
	r.d.SetSendTime(h.SendNs())
	for n := 0; n < int(h.Count); r.b.Reset() {
		used, messages := r.d.Append(blocks, uint64(h.Sequence)+uint64(n), int(h.Count)-n, r.b)
		blocks, n = blocks[used:], n+messages
		r.books.Apply(r.b, 0, r.b.N)
		for i := range r.b.N {
			switch r.b.Kind[i] {
			case tick.KindQuote:
				r.quotes[r.b.Instrument[i]] = [4]uint64{uint64(r.b.Price[i]), r.b.Size[i], uint64(r.b.OldPrice[i]), r.b.OldSize[i]}
			case tick.KindClear:
				delete(r.quotes, r.b.Instrument[i])
			}
		}
	}
	r.next += uint32(h.Count)
}

// queues are all orders, those of an instrument in the order of their queues.
func (r *receiver) queues() map[uint32][]book.Order {
	all := map[uint32][]book.Order{}
	r.books.Instruments(func(id uint32) bool {
		r.books.Walk(id, func(o book.Order) bool { all[id] = append(all[id], o); return true })
		return true
	})
	return all
}

// TestFailover: another publisher takes over twice. What it tells makes a receiver's books those of a channel whose publisher stayed, order by order or quote by
// quote, with no symbol's numbers broken; so does what the record has to tell of it from then on.
func TestFailover(t *testing.T) {
	for _, product := range []wire.Product{wire.Integrated, wire.BBO, wire.Trades} {
		const plays = 15_000
		source := func() (mold.Source, *xdpgen.Gen) {
			g, err := xdpgen.New(xdpgen.Options{Messages: 20_000, Symbols: 30, Seed: 6, Version: wire.V25, Product: product})
			if err != nil {
				t.Fatal(err)
			}
			return &few{g, plays}, g
		}
		run := func(at ...uint64) (*receiver, *xdp.Record) {
			r, rec := newReceiver(t, product.String()), xdp.NewRecord(wire.V25, 0)
			src, g := source()
			err := xdp.PlayFailovers(src, xdp.PlayOptions{Epoch: g.Midnight()}, rec, g.ProductID(), 1, at, func(_ uint64, packet []byte, _ bool) error {
				r.take(t, packet)
				return rec.Take(packet)
			})
			if err != nil {
				t.Fatal(err)
			}
			return r, rec
		}
		stayed, record := run()
		changed, again := run(2, 5_000, 11_111)
		for name, r := range map[string]*receiver{"stayed": stayed, "changed": changed} {
			if c := r.d.Counters(); r.d.Refused() != 0 || c.SymbolGaps != 0 || c.Unknown != 0 || c.OtherFeed != 0 {
				t.Errorf("%s, %s: %+v", product, name, c)
			}
			if c := r.books.Counters(); c.Duplicate != 0 || c.Unknown != stayed.books.Counters().Unknown || c.BadSide != 0 {
				t.Errorf("%s, %s: %+v", product, name, c)
			}
		}
		if changed.resets != 4 || stayed.resets != 1 || !slices.Equal(changed.flags, []byte{12, 10, 11, 10, 11, 10, 11}) {
			t.Errorf("%s: %d and %d resets, flags %d", product, changed.resets, stayed.resets, changed.flags)
		}
		want, got := stayed.queues(), changed.queues()
		for id, orders := range want {
			if !slices.Equal(got[id], orders) {
				t.Errorf("%s: %d orders of symbol %d, want %d", product, len(got[id]), id, len(orders))
			}
		}
		if len(got) != len(want) || product == wire.Integrated && len(want) < 20 {
			t.Errorf("%s: %d books, want %d", product, len(got), len(want))
		}
		for id, q := range stayed.quotes {
			if changed.quotes[id] != q {
				t.Errorf("%s: quote of %d is %d, want %d", product, id, changed.quotes[id], q)
			}
		}
		if len(changed.quotes) != len(stayed.quotes) || product == wire.BBO && len(stayed.quotes) < 20 {
			t.Errorf("%s: %d quotes, want %d", product, len(changed.quotes), len(stayed.quotes))
		}
		if product == wire.Trades {
			continue
		}
		// A refresh of either record says the same of each symbol, but for the channel's number.
		for _, id := range record.Symbols() {
			a, b := record.Refresh(id, wire.DeliveryRefresh, xdp.MaxPayload, 0), again.Refresh(id, wire.DeliveryRefresh, xdp.MaxPayload, 0)
			if len(a) != len(b) {
				t.Fatalf("%s: %d and %d packets of %d", product, len(a), len(b), id)
			}
			for i := range a {
				_, blocksA, _ := wire.ParsePacket(a[i])
				_, blocksB, _ := wire.ParsePacket(b[i])
				h, restA, _ := wire.ParseRefreshHeader(blocksA)
				g, restB, _ := wire.ParseRefreshHeader(blocksB)
				if h.LastSymbolSequence != g.LastSymbolSequence || !sameButNumbers(restA, restB) {
					t.Fatalf("%s, symbol %d:\n%x\n%x", product, id, blocksA, blocksB)
				}
			}
		}
	}
}

// sameButNumbers compares messages but for the number of each among its symbol's: a status that is told again has another one.
func sameButNumbers(a, b []byte) bool {
	for {
		x, restX := wire.Next(a)
		y, restY := wire.Next(b)
		if x == nil || y == nil {
			return x == nil && y == nil
		}
		x, y = slices.Clone(x), slices.Clone(y)
		at := 16
		switch wire.Type(x) {
		case wire.TypeQuote:
			at = 12
		case wire.TypeSymbolIndexMapping:
			at = len(x) - 4
		}
		clear(x[at : at+4])
		clear(y[at : at+4])
		if !slices.Equal(x, y) {
			return false
		}
		a, b = restX, restY
	}
}
