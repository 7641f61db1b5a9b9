package book

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/tickwire/tickwire/tick"
)

// naive is the reference: maps and slices, the rules that doc.go names written down once more, slowly.
type naive struct {
	instruments  uint32
	maxReference uint64
	sparse       bool
	zeroPrice    bool
	known        map[uint32]bool // instruments of sparse books
	unknown      bool            // those that are not known are suspect
	orders       map[naiveID]*naiveOrder
	queues       map[naiveLevel][]uint64
	sides        map[naiveLevel]map[int64]bool // prices in use; the key's own price is 0
	suspect      map[uint32]bool
	full         bool // the next new order finds no room
	c            Counters
}

// naiveID names an order: in books that are not sparse by the id alone.
type naiveID struct {
	instrument uint32
	id         uint64
}

func (m *naive) id(instrument uint32, id uint64) naiveID {
	if !m.sparse {
		instrument = 0
	}
	return naiveID{instrument, id}
}

// knows says that an instrument has a book.
func (m *naive) knows(instrument uint32) bool {
	if m.sparse {
		return m.known[instrument]
	}
	return instrument < m.instruments
}

// meets makes an instrument known where there is room for it.
func (m *naive) meets(instrument uint32) bool {
	if m.sparse && !m.known[instrument] && len(m.known) < int(m.instruments) {
		m.known[instrument] = true
		m.suspect[instrument] = m.unknown
	}
	return m.knows(instrument)
}

// mark is SetSuspect, and SetHalted when halt is set.
func (m *naive) mark(instrument uint32, on, halt bool) {
	if !m.knows(instrument) && (!m.sparse || on == (m.unknown && !halt)) {
		return
	}
	if !m.meets(instrument) {
		m.c.OverInstrument++
		return
	}
	if !halt {
		m.suspect[instrument] = on
	}
}

// markAll is SetSuspectAll.
func (m *naive) markAll(on bool) {
	for n := range m.known {
		m.suspect[n] = on
	}
	if m.unknown = on; !m.sparse {
		m.unknown = false
		for n := range m.instruments {
			m.suspect[n] = on
		}
	}
}

type naiveLevel struct {
	instrument uint32
	side       byte
	price      int64
}

type naiveOrder struct {
	naiveLevel
	size uint64
	mpid uint32
}

func newNaive(o Options) *naive {
	o, _ = o.withDefaults()
	return &naive{
		instruments: uint32(o.MaxInstruments), maxReference: o.MaxReference,
		sparse: o.Sparse, zeroPrice: o.ZeroPrice, known: map[uint32]bool{},
		orders: map[naiveID]*naiveOrder{}, queues: map[naiveLevel][]uint64{}, sides: map[naiveLevel]map[int64]bool{}, suspect: map[uint32]bool{},
	}
}

// row is one batch row as a struct.
type row struct {
	kind       tick.Kind
	sub        byte
	flags      uint8
	side       byte
	instrument uint32
	id, aux    uint64
	price      int64
	size       uint64

	state    uint8
	left     uint64
	oldPrice int64
	oldSize  uint64
	before   tick.BidAskPair
	after    tick.BidAskPair
}

func (r *row) put(b *tick.Batch) {
	i := b.N
	b.N++
	b.Kind[i], b.Sub[i], b.Flags[i], b.Side[i], b.Instrument[i] = r.kind, r.sub, r.flags, r.side, r.instrument
	b.OrderID[i], b.Aux[i], b.Price[i], b.Size[i] = r.id, r.aux, r.price, r.size
	b.State[i], b.Left[i], b.OldPrice[i], b.OldSize[i] = 0xFF, 0, 0, 0
}

func rowOf(b *tick.Batch, i int) row {
	return row{
		b.Kind[i], b.Sub[i], b.Flags[i], b.Side[i], b.Instrument[i], b.OrderID[i], b.Aux[i], b.Price[i], b.Size[i],
		b.State[i], b.Left[i], b.OldPrice[i], b.OldSize[i], b.Before[i], b.After[i],
	}
}

func (m *naive) prices(instrument uint32, side byte) []int64 {
	prices := slices.Sorted(maps.Keys(m.sides[naiveLevel{instrument, side, 0}]))
	if side == tick.SideBid {
		slices.Reverse(prices)
	}
	return prices
}

// queue sets a level's queue.
func (m *naive) queue(l naiveLevel, q []uint64) {
	side := naiveLevel{l.instrument, l.side, 0}
	if m.sides[side] == nil {
		m.sides[side] = map[int64]bool{}
	}
	if len(q) == 0 {
		delete(m.queues, l)
		delete(m.sides[side], l.price)
		return
	}
	m.queues[l] = q
	m.sides[side][l.price] = true
}

func (m *naive) level(instrument uint32, side byte, price int64) Level {
	l := Level{Price: price}
	for _, id := range m.queues[naiveLevel{instrument, side, price}] {
		l.Orders++
		l.Size += m.orders[m.id(instrument, id)].size
	}
	return l
}

func (m *naive) levels(instrument uint32, side byte) []Level {
	var levels []Level
	for _, price := range m.prices(instrument, side) {
		levels = append(levels, m.level(instrument, side, price))
	}
	return levels
}

func (m *naive) top(instrument uint32) tick.BidAskPair {
	pair := tick.EmptyPair
	var bids, asks []int64
	for price := range m.sides[naiveLevel{instrument, tick.SideBid, 0}] {
		bids = append(bids, price)
	}
	for price := range m.sides[naiveLevel{instrument, tick.SideAsk, 0}] {
		asks = append(asks, price)
	}
	if len(bids) > 0 {
		l := m.level(instrument, tick.SideBid, slices.Max(bids))
		pair.BidPx, pair.BidSz, pair.BidCt = l.Price, tick.Size32(l.Size), l.Orders
	}
	if len(asks) > 0 {
		l := m.level(instrument, tick.SideAsk, slices.Min(asks))
		pair.AskPx, pair.AskSz, pair.AskCt = l.Price, tick.Size32(l.Size), l.Orders
	}
	return pair
}

func (m *naive) remove(instrument uint32, id uint64) {
	key := m.id(instrument, id)
	l := m.orders[key].naiveLevel
	q := m.queues[l]
	m.queue(l, slices.Delete(q, slices.Index(q, id), slices.Index(q, id)+1))
	delete(m.orders, key)
}

// creates says whether an order could be made, counting why not.
func (m *naive) creates(instrument uint32, id uint64, price int64, size uint64) bool {
	switch {
	case size == 0:
		m.c.ZeroSize++
	case price == 0 && !m.zeroPrice || price == tick.UndefPrice || price == -tick.UndefPrice || price == math.MinInt64:
		m.c.BadPrice++
	case size > math.MaxUint32:
		m.c.BadSize++
		m.suspect[instrument] = true
	case id >= m.maxReference && !m.sparse:
		m.c.OverReference++
		m.suspect[instrument] = true
	default:
		return true
	}
	return false
}

func (m *naive) rest(r *row, l naiveLevel, id uint64, mpid uint32) bool {
	if !m.creates(l.instrument, id, r.price, r.size) {
		return false
	}
	if m.full {
		m.c.NoRoom++
		m.suspect[l.instrument] = true
		return false
	}
	key := m.id(l.instrument, id)
	if stale := m.orders[key]; stale != nil {
		if r.kind == tick.KindAdd {
			r.oldPrice, r.oldSize = stale.price, stale.size
		}
		m.remove(l.instrument, id)
		m.c.Duplicate++
		r.state |= tick.StateDuplicate
	}
	m.orders[key] = &naiveOrder{l, r.size, mpid}
	m.queue(l, append(m.queues[l], id))
	return true
}

func (m *naive) apply(r *row) {
	r.state = tick.StateApplied
	named := r.kind >= tick.KindExec && r.kind <= tick.KindReplace || r.kind == tick.KindModify
	var o *naiveOrder
	if named {
		if o = m.orders[m.id(r.instrument, r.id)]; o == nil {
			m.c.Unknown[r.kind]++
			r.state = 0
		} else if o.instrument != r.instrument {
			m.c.LocateMismatch++
			r.instrument = o.instrument
		}
	}
	if r.kind == tick.KindAdd {
		m.meets(r.instrument)
	}
	if !m.knows(r.instrument) {
		if r.kind == tick.KindAdd || r.kind == tick.KindClear && !m.sparse && r.sub != tick.ClearLevels {
			m.c.OverInstrument++
			r.state = 0
		}
		if m.unknown {
			r.state |= tick.StateSuspect
		}
		r.before, r.after = tick.EmptyPair, tick.EmptyPair
		return
	}
	r.before = m.top(r.instrument)
	if r.state != 0 {
		m.change(r, o)
	}
	r.after = m.top(r.instrument)
	if r.before != r.after {
		r.state |= tick.StateTop
	}
	if m.suspect[r.instrument] {
		r.state |= tick.StateSuspect
	}
}

func (m *naive) change(r *row, o *naiveOrder) {
	switch r.kind {
	case tick.KindAdd:
		if r.side != tick.SideBid && r.side != tick.SideAsk {
			m.c.BadSide++
			r.state = 0
		} else if !m.rest(r, naiveLevel{r.instrument, r.side, r.price}, r.id, uint32(r.aux)) {
			r.state = 0
		}
	case tick.KindExec, tick.KindExecAt, tick.KindReduce, tick.KindDelete:
		r.side = o.side
		if r.kind == tick.KindExecAt {
			r.oldPrice = o.price
		} else {
			r.price = o.price
		}
		if r.kind <= tick.KindExecAt && m.queues[o.naiveLevel][0] != r.id {
			m.c.OutOfTurn++
		}
		if r.kind == tick.KindDelete {
			r.size = o.size
		} else if r.size > o.size {
			m.c.Clamped++
			r.state |= tick.StateClamped
			r.size = o.size
		}
		o.size -= r.size
		if r.left = o.size; r.left == 0 {
			r.state |= tick.StateGone
			m.remove(r.instrument, r.id)
		}
	case tick.KindModify:
		m.modify(r, o)
	case tick.KindReplace:
		r.side, r.oldPrice, r.oldSize = o.side, o.price, o.size
		l, mpid := o.naiveLevel, o.mpid
		l.price = r.price
		m.remove(r.instrument, r.id)
		if !m.rest(r, l, r.aux, mpid) {
			r.state |= tick.StateGone
		}
	case tick.KindClear:
		if r.sub == tick.ClearLevels {
			break
		}
		if r.flags&tick.FlagSnapshot != 0 {
			m.suspect[r.instrument] = false
		}
		for key, o := range m.orders {
			if o.instrument == r.instrument {
				delete(m.orders, key)
				m.queue(o.naiveLevel, nil)
			}
		}
	}
}

func (m *naive) modify(r *row, o *naiveOrder) {
	if r.side != o.side && r.side != tick.SideNone {
		m.c.SideMismatch++
	}
	r.side, r.oldPrice, r.oldSize, r.left = o.side, o.price, o.size, r.size
	l, mpid := o.naiveLevel, o.mpid
	if r.price == o.price && r.size > 0 && r.size <= math.MaxUint32 && r.sub != tick.ModifyTail {
		o.size = r.size
		return
	}
	m.remove(r.instrument, r.id)
	if r.size == 0 {
		r.state |= tick.StateGone
		return
	}
	full := m.full
	m.full = full && r.price != o.price // at its own level it finds room
	l.price = r.price
	if !m.rest(r, l, r.id, mpid) {
		m.suspect[r.instrument] = true
		r.state |= tick.StateGone
		r.left = 0
	}
	m.full = full
}

// compare reports the first difference between the whole states of the reference and the books.
func compare(m *naive, b *Books) error {
	if err := b.Validate(); err != nil {
		return err
	}
	c := *b.Counters()
	if c.Orders != uint64(len(m.orders)) || c.Levels != uint64(len(m.queues)) {
		return fmt.Errorf("%d orders in %d levels, want %d in %d", c.Orders, c.Levels, len(m.orders), len(m.queues))
	}
	c.Orders, c.MaxOrders, c.Levels, c.Blocks, c.Pages, c.Bytes = 0, 0, 0, 0, 0, 0
	if c != m.c {
		return fmt.Errorf("counters %+v, want %+v", c, m.c)
	}
	instruments := map[uint32]bool{}
	for l := range m.queues {
		instruments[l.instrument] = true
	}
	for n := range instruments {
		if b.Top(n) != m.top(n) {
			return fmt.Errorf("instrument %d: best prices %+v, want %+v", n, b.Top(n), m.top(n))
		}
		walked := []Order{}
		b.Walk(n, func(o Order) bool { walked = append(walked, o); return true })
		for _, side := range []byte{tick.SideBid, tick.SideAsk} {
			want := m.levels(n, side)
			got := make([]Level, len(want)+1)
			got = got[:b.Levels(n, side, got)]
			if !slices.Equal(got, want) {
				return fmt.Errorf("instrument %d side %c: levels %v, want %v", n, side, got, want)
			}
			for _, l := range want {
				if got, ok := b.LevelAt(n, side, l.Price); !ok || got != l {
					return fmt.Errorf("instrument %d side %c: level at its price %v, want %v", n, side, got, l)
				}
				if got, ok := b.LevelAt(n, side, l.Price+1); ok {
					return fmt.Errorf("instrument %d side %c: a level %v at %d", n, side, got, l.Price+1)
				}
				var ahead uint64
				for i, id := range m.queues[naiveLevel{n, side, l.Price}] {
					o := m.orders[m.id(n, id)]
					wantOrder := Order{id, o.price, o.size, o.instrument, o.mpid, o.side}
					if len(walked) == 0 || walked[0] != wantOrder {
						return fmt.Errorf("instrument %d: walk has %v, want %v", n, walked, wantOrder)
					}
					walked = walked[1:]
					if got, ok := b.OrderOf(n, id); !ok || got != wantOrder {
						return fmt.Errorf("order %d is %v, want %v", id, got, wantOrder)
					}
					if got, ok := b.Order(id); ok == m.sparse || !m.sparse && got != wantOrder {
						return fmt.Errorf("order %d is %v, want %v", id, got, wantOrder)
					}
					if at, size, ok := b.QueuePositionOf(n, id); !ok || at != i || size != ahead {
						return fmt.Errorf("order %d is behind %d orders with %d, want %d with %d", id, at, size, i, ahead)
					}
					ahead += o.size
				}
			}
		}
		if len(walked) != 0 {
			return fmt.Errorf("instrument %d: walk has %v beyond the last order", n, walked)
		}
	}
	return nil
}

func newBooks(tb testing.TB, o Options) *Books {
	tb.Helper()
	b, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := b.Close(); err != nil {
			tb.Error(err)
		}
	})
	return b
}

func newBatch(tb testing.TB) *tick.Batch {
	tb.Helper()
	b, err := tick.NewBatch()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := b.Free(); err != nil {
			tb.Error(err)
		}
	})
	return b
}
