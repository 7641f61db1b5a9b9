package resync

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/feed/pricebook"
	"github.com/tickwire/tickwire/tick"
)

// rowDecoder takes messages of one byte: a row of its table. It stands for any venue's.
type rowDecoder struct {
	rows    [256]row
	refused uint64
}

type row struct {
	kind       tick.Kind
	instrument uint32
	id, at     uint64
	side, sub  byte
	price      int64
	size, aux  uint64
}

func (d *rowDecoder) Start(uint64)    {}
func (d *rowDecoder) Refused() uint64 { return d.refused }

func (d *rowDecoder) Append(blocks []byte, first uint64, max int, out *tick.Batch) (used, messages int) {
	for messages < min(max, len(blocks)) && !out.Full() {
		r, i := d.rows[blocks[messages]], out.N
		if r.kind == 0 {
			d.refused++
		} else {
			out.Kind[i], out.Sub[i], out.Side[i], out.Flags[i] = r.kind, r.sub, r.side, 0
			out.Instrument[i], out.TsEvent[i], out.Sequence[i] = r.instrument, r.at, first+uint64(messages)
			out.OrderID[i], out.Aux[i], out.Price[i], out.Size[i] = r.id, r.aux, r.price, r.size
			out.N++
		}
		messages++
	}
	return messages, messages
}

// newPartPair is a pair whose snapshots come by instrument, and whose messages are rows by number.
func newPartPair(t *testing.T, rows map[byte]row) *pair {
	o := book.Options{Sparse: true, ZeroPrice: true, MaxInstruments: 64, MaxOrders: 1 << 10}
	own, err := book.New(o)
	must(t, err)
	d := &rowDecoder{}
	for n, r := range rows {
		if r.side == 0 {
			r.side = tick.SideBid
		}
		d.rows[n] = r
	}
	r, err := New(Options{
		Books: own, Prices: func() (*pricebook.Books, error) { return pricebook.New(pricebook.Options{}) }, LogBytes: minLogBytes, Patience: 1000,
		Decoder: func() (Decoder, error) { return d, nil }, Parts: func(context.Context, func(*Part) error) error { return errors.New("stepped by hand") },
	})
	must(t, err)
	t.Cleanup(func() { must(t, r.Close()); must(t, own.Close()) })
	return &pair{t: t, r: r, lane: r.Lane(), work: r.Worker(), next: 10, own: own}
}

func (p *pair) rows(numbers ...byte) {
	p.lane.Messages(numbers, p.next, len(numbers))
	p.next += uint64(len(numbers))
}

func (p *pair) part(want error, part Part, messages ...byte) {
	p.t.Helper()
	for _, m := range messages {
		part.Messages = append(part.Messages, []byte{m})
	}
	if err := p.work.Part(&part); !errors.Is(err, want) {
		p.t.Fatalf("%v, want %v", err, want)
	}
}

// offered gives the books that are offered.
func (p *pair) offered() *Shadow {
	p.t.Helper()
	p.step(Waiting, nil)
	s := p.lane.Offered(p.next)
	if s == nil {
		p.t.Fatal("no books")
	}
	return s
}

func (p *pair) orders(s *Shadow, instrument uint32, want ...uint64) {
	p.t.Helper()
	var got []uint64
	s.Books.Walk(instrument, func(o book.Order) bool { got = append(got, o.ID); return true })
	if !slices.Equal(got, want) {
		p.t.Errorf("orders of %d: %v, want %v", instrument, got, want)
	}
}

func (p *pair) bids(s *Shadow, instrument uint32, want ...int64) {
	p.t.Helper()
	levels := make([]book.Level, 10)
	var got []int64
	for _, l := range levels[:s.Prices.Levels(instrument, tick.SideBid, levels)] {
		got = append(got, l.Price)
	}
	if !slices.Equal(got, want) {
		p.t.Errorf("levels of %d: %v, want %v", instrument, got, want)
	}
}

// partRows are orders and levels of two instruments with numbers beyond 16 bits, and one that is in no snapshot.
var partRows = map[byte]row{
	1: {kind: tick.KindAdd, instrument: 1 << 20, id: 1, price: 1000, size: 5, at: 1},
	2: {kind: tick.KindAdd, instrument: 1 << 20, id: 2, price: 1000, size: 5, at: 2},
	3: {kind: tick.KindAdd, instrument: 1 << 30, id: 3, price: 2000, size: 5, at: 3},
	4: {kind: tick.KindDelete, instrument: 1 << 20, id: 1, at: 4},
	5: {kind: tick.KindAdd, instrument: 7, id: 9, price: 0, size: 5, at: 5},
	// levels: id is the number of the entry
	11: {kind: tick.KindLevel, sub: tick.LevelNew, instrument: 1 << 20, id: 41, price: 1000, size: 5, aux: tick.LevelAt(1, 1), at: 2},
	12: {kind: tick.KindLevel, sub: tick.LevelNew, instrument: 1 << 20, id: 42, price: 1001, size: 5, aux: tick.LevelAt(1, 1), at: 2},
	13: {kind: tick.KindLevel, sub: tick.LevelNew, instrument: 1 << 30, price: 2000, size: 5, aux: tick.LevelAt(1, 1), at: 3},
	14: {kind: tick.KindLevel, sub: tick.LevelNew, instrument: 1 << 30, price: 2001, size: 5, aux: tick.LevelAt(1, 1), at: 4},
}

// TestParts: each part's own number decides for its instrument and its book alone; of the message that it is as of, time and number of the entry do.
func TestParts(t *testing.T) {
	p := newPartPair(t, partRows)
	p.lane.Want(0, p.next)
	p.rows(1, 11, 3, 13) // 10 to 13
	p.rows(2, 4, 5)      // 14 to 16
	p.rows(12, 14)       // 17, 18
	if !p.work.Begin() {
		t.Fatal()
	}
	p.part(nil, Part{Instrument: 1 << 20, What: Orders, AsOf: 14, Until: 2}, 1, 2) // 15, a delete, is to come
	p.part(nil, Part{Instrument: 1 << 20, What: Levels, AsOf: 17, Entry: 41}, 11)  // 12 is in 17, but entry 42
	p.part(nil, Part{Instrument: 1 << 30, What: Orders, AsOf: 11})                 // 12 is to come
	p.part(nil, Part{Instrument: 1 << 30, What: Levels, AsOf: 18, Until: 3}, 13)   // 14 is in 18, but later
	must(t, p.work.End(0))
	s := p.offered()
	p.orders(s, 1<<20, 2)
	p.orders(s, 1<<30, 3)
	p.orders(s, 7, 9) // in no part: from nothing
	p.bids(s, 1<<20, 1001, 1000)
	p.bids(s, 1<<30, 2001, 2000)
	if c := p.counters(); c.UnknownAfter != 0 || c.AlreadyThere != 0 || c.Orders != 2 {
		t.Errorf("%+v", c)
	}
	must(t, s.Books.Validate())
}

// TestPartsStale: a part from before the log is asked for again; one that begins with the log is right; what is ahead of the stream is waited for.
func TestPartsStale(t *testing.T) {
	p := newPartPair(t, partRows)
	p.lane.Want(0, p.next)
	if !p.work.Begin() {
		t.Fatal()
	}
	p.part(ErrStale, Part{Instrument: 1 << 20, What: Orders, AsOf: 8}, 1)
	p.part(nil, Part{Instrument: 1 << 20, What: Orders, AsOf: 9}, 1)
	p.part(nil, Part{Instrument: 1 << 30, What: Orders, AsOf: 12}, 3)
	must(t, p.work.End(0))
	p.step(Waiting, nil)
	p.rows(4)
	p.step(Waiting, nil)
	if p.lane.Offered(p.next) != nil {
		t.Fatal("books of the future")
	}
	p.rows(5, 2) // 11, 12
	s := p.offered()
	p.orders(s, 1<<20, 2)
	p.orders(s, 1<<30, 3)
	if c := p.counters(); c.Stale != 1 || c.Failed != 0 {
		t.Errorf("%+v", c)
	}
}

// TestPartsEmpty: a snapshot without parts is a venue at which nothing has happened: what was logged is all.
func TestPartsEmpty(t *testing.T) {
	p := newPartPair(t, partRows)
	p.lane.Want(0, p.next)
	p.rows(1, 2)
	if !p.work.Begin() {
		t.Fatal()
	}
	must(t, p.work.End(0))
	p.orders(p.offered(), 1<<20, 1, 2)
}

// TestPartsBad: twice the same, what the decoder refuses, and a loss behind a part.
func TestPartsBad(t *testing.T) {
	p := newPartPair(t, partRows)
	p.lane.Want(0, p.next)
	if !p.work.Begin() {
		t.Fatal()
	}
	p.part(nil, Part{Instrument: 1, What: Orders, AsOf: 9})
	for _, part := range []Part{{Instrument: 1, What: Orders, AsOf: 10}, {Instrument: 2, What: 9, AsOf: 10}} {
		if err := p.work.Part(&part); err == nil || errors.Is(err, ErrStale) {
			t.Errorf("%+v: %v", part, err)
		}
		p.work.Fail(errors.New("failed"))
		if !p.work.Begin() {
			t.Fatal()
		}
	}
	p.part(ErrUnreadable, Part{Instrument: 1, What: Orders, AsOf: 10}, 200)
	p.work.Fail(ErrUnreadable)
	if !p.work.Begin() {
		t.Fatal()
	}
	p.part(nil, Part{Instrument: 1 << 20, What: Orders, AsOf: 9}, 1)
	must(t, p.work.End(0))
	p.next = 20
	p.lane.Want(0, p.next)
	p.rows(4)
	p.step(Over, ErrOver)
	p.work.Begin()
	p.part(ErrStale, Part{Instrument: 1 << 20, What: Orders, AsOf: 18}, 1)
	p.part(nil, Part{Instrument: 1 << 20, What: Orders, AsOf: 19}, 1)
	must(t, p.work.End(0))
	p.orders(p.offered(), 1<<20)
}

// TestPartsNoRoom: more orders than the books hold are no snapshot.
func TestPartsNoRoom(t *testing.T) {
	p := newPartPair(t, partRows)
	p.lane.Want(0, p.next)
	p.work.Begin()
	p.part(ErrTooMany, Part{Instrument: 1 << 20, What: Orders, AsOf: 9}, bytes.Repeat([]byte{1}, 1<<10+1)...)
}

// TestPartsAbsent: what was logged of an instrument in no part is applied from the log's beginning, however far on all parts are.
func TestPartsAbsent(t *testing.T) {
	p := newPartPair(t, partRows)
	p.lane.Want(0, p.next)
	p.rows(5, 1) // 10: of an instrument that the round does not have yet
	if !p.work.Begin() {
		t.Fatal()
	}
	p.part(nil, Part{Instrument: 1 << 20, What: Orders, AsOf: 11}, 1)
	must(t, p.work.End(0))
	s := p.offered()
	p.orders(s, 7, 9)
	p.orders(s, 1<<20, 1)
}

// TestPartsHole: a loss while books are being made begins anew, also when the log was empty then: parts of before are too old.
func TestPartsHole(t *testing.T) {
	p := newPartPair(t, partRows)
	p.lane.Want(0, p.next)
	p.rows(1)
	if !p.work.Begin() {
		t.Fatal()
	}
	p.part(nil, Part{Instrument: 1 << 20, What: Orders, AsOf: 10}, 1)
	must(t, p.work.End(0))
	p.step(Waiting, nil) // the log is empty now
	p.next = 15
	p.lane.Want(0, p.next)
	if p.lane.Offered(p.next) != nil {
		t.Fatal("books with a hole")
	}
	p.step(Over, nil)
	p.rows(2)
	if !p.work.Begin() {
		t.Fatal()
	}
	p.part(ErrStale, Part{Instrument: 1 << 20, What: Orders, AsOf: 13}, 1)
	p.part(nil, Part{Instrument: 1 << 20, What: Orders, AsOf: 14}, 1)
	must(t, p.work.End(0))
	p.orders(p.offered(), 1<<20, 1, 2)
}
