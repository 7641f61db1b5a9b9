package pipeline

import (
	"math/bits"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/feed/resync"
	"github.com/tickwire/tickwire/feed/symbols"
)

// near bounds the instrument numbers that have a place in a table; sparse books have larger ones, which are in maps.
const near = 1 << 16

// marks are a set of instruments.
type marks struct {
	near [near / 64]uint64
	far  map[uint32]struct{}
}

func (m *marks) set(id uint32) {
	if id < near {
		m.near[id/64] |= 1 << (id % 64)
	} else {
		m.far[id] = struct{}{}
	}
}

func (m *marks) has(id uint32) bool {
	if id < near {
		return m.near[id/64]&(1<<(id%64)) != 0
	}
	_, ok := m.far[id]
	return ok
}

func (m *marks) clear() {
	clear(m.near[:])
	clear(m.far)
}

func (m *marks) each(fn func(id uint32)) {
	for i, word := range m.near {
		for ; word != 0; word &= word - 1 {
			fn(uint32(i*64 + bits.TrailingZeros64(word)))
		}
	}
	for id := range m.far {
		fn(id)
	}
}

// toldOf is what was published of an instrument's state.
func (r *rebuild) toldOf(id uint32) told {
	if id < near {
		return r.states[id]
	}
	return r.far[id]
}

// turns are the instruments that are to be told, in their order: all numbers, or, of sparse books, those of which anything is known. Of those some are
// in it several times; the first one counts.
type turns struct {
	at     uint32
	most   uint32
	sparse bool
	ids    []uint32
}

// takeTurns begins with the first one. It allocates when a venue has more instruments than ever before.
func (l *Lane) takeTurns() {
	t, r := &l.rebuild.turns, l.rebuild
	o := l.books.Options()
	t.at, t.most, t.sparse, t.ids = 0, uint32(o.MaxInstruments), o.Sparse, t.ids[:0]
	if !t.sparse {
		return
	}
	add := func(id uint32) bool {
		t.ids = append(t.ids, id)
		return true
	}
	l.books.Instruments(add)
	l.symbols.Each(func(in *symbols.Instrument) bool { return add(in.ID) })
	r.shadow.Known(func(a *resync.About) bool { return add(a.Instrument) })
	r.marked.each(func(id uint32) { add(id) })
}

// next is whose turn it is; ok is false behind the last one.
func (t *turns) next(books *book.Books) (id uint32, ok bool) {
	if !t.sparse {
		id = t.at
		t.at++
		return id, id < t.most
	}
	for ; int(t.at) < len(t.ids); t.at++ {
		if id = t.ids[t.at]; books.Behind(id) {
			t.at++
			return id, true
		}
	}
	return 0, false
}
