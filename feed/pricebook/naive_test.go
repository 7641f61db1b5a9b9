package pricebook

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tickwire/tickwire/tick"
)

// naive is the reference: a slice for each list, the rules written down once more. It does not know of levels that are not kept: prices must
// be fewer than the depth where levels are named by them.
type naive struct {
	gone []Gone // by the latest row
	sub  byte   // of it, when complete

	books   map[uint32]*naiveBook
	most    int
	depth   [4]int
	unknown bool
	odd     map[uint32]bool // suspicion of instruments without a book, where it is not unknown
	c       Counters

	now        uint64          // of the rows that step makes
	lastOrders tick.BidAskPair // what their order book may say
}

type naiveBook struct {
	lists                              [4][]Level
	suspect, orders, touched, overlaid bool
	seenPair                           tick.BidAskPair
	event                              uint64
}

type row struct {
	kind          tick.Kind
	sub, side     byte
	flags         uint8
	id            uint32
	aux           uint64
	price         int64
	size          uint64
	oldPrice      int64
	oldSize       uint64
	ts            uint64
	state         uint8
	before, after tick.BidAskPair
}

func (r *row) put(b *tick.Batch) {
	i := b.N
	b.N++
	b.Kind[i], b.Sub[i], b.Side[i], b.Flags[i], b.Instrument[i] = r.kind, r.sub, r.side, r.flags, r.id
	b.Aux[i], b.Price[i], b.Size[i], b.OldPrice[i], b.OldSize[i] = r.aux, r.price, r.size, r.oldPrice, r.oldSize
	b.State[i], b.Before[i], b.After[i], b.TsEvent[i] = r.state, r.before, r.after, r.ts
}

func rowOf(b *tick.Batch, i int) row {
	return row{
		b.Kind[i], b.Sub[i], b.Side[i], b.Flags[i], b.Instrument[i], b.Aux[i], b.Price[i], b.Size[i], b.OldPrice[i], b.OldSize[i], b.TsEvent[i],
		b.State[i], b.Before[i], b.After[i],
	}
}

func (k *naiveBook) top() tick.BidAskPair {
	pair := tick.EmptyPair
	if l := k.lists[0]; len(l) > 0 {
		pair.BidPx, pair.BidSz, pair.BidCt = l[0].Price, tick.Size32(l[0].Size), l[0].Orders
	}
	if l := k.lists[1]; len(l) > 0 {
		pair.AskPx, pair.AskSz, pair.AskCt = l[0].Price, tick.Size32(l[0].Size), l[0].Orders
	}
	return pair
}

func (m *naive) suspects(id uint32) bool {
	if on, ok := m.odd[id]; ok {
		return on
	}
	return m.unknown
}

func (m *naive) apply(r *row) {
	k := m.books[r.id]
	isLevel := r.kind == tick.KindLevel || r.kind == tick.KindImplied
	m.gone, m.sub = nil, r.sub
	defer func() { r.sub = m.sub }()
	if k == nil && (isLevel || r.kind == tick.KindQuote) {
		if len(m.books) == m.most {
			m.c.OverInstrument++
			r.state &^= tick.StateApplied
		} else {
			k = &naiveBook{suspect: m.suspects(r.id)}
			delete(m.odd, r.id)
			m.books[r.id] = k
		}
	}
	orders, ordersSuspect := r.before, r.state&tick.StateSuspect != 0
	r.state &^= tick.StateTop
	if k != nil && k.touched && r.ts != k.event {
		k.touched = false
		a, z := orders, k.top()
		a.BidCt, a.AskCt, z.BidCt, z.AskCt = 0, 0, 0, 0
		if !k.suspect && !ordersSuspect && (k.orders || orders != tick.EmptyPair) && a != z {
			m.c.TopMismatch++
		}
	}
	if k == nil {
		r.before, r.after = tick.EmptyPair, tick.EmptyPair
		if m.suspects(r.id) {
			r.state |= suspectState
		}
		return
	}
	r.before = k.top()
	switch {
	case isLevel:
		r.state = 0
		if m.level(r, k) {
			r.state = tick.StateApplied
			k.touched = k.touched || r.kind == tick.KindLevel
		} else {
			k.suspect = true
		}
	case r.kind == tick.KindQuote:
		r.state = tick.StateApplied
		k.lists[0], k.lists[1] = nil, nil
		if r.price != tick.UndefPrice && r.size > 0 {
			k.lists[0] = []Level{{Price: r.price, Size: r.size}}
		}
		if r.oldPrice != tick.UndefPrice && r.oldSize > 0 {
			k.lists[1] = []Level{{Price: r.oldPrice, Size: r.oldSize}}
		}
		k.suspect, k.overlaid, k.touched = false, false, true
	case r.kind == tick.KindClear:
		r.state |= tick.StateApplied
		if r.sub == tick.ClearOrders {
			break
		}
		k.lists, k.overlaid, k.touched = [4][]Level{}, false, true
		if r.flags&tick.FlagSnapshot != 0 {
			k.suspect = false
		}
	case r.kind >= tick.KindAdd && r.kind <= tick.KindReplace || r.kind == tick.KindModify:
		k.orders, k.touched = true, true
	}
	r.after = k.top()
	if r.flags&tick.FlagMore == 0 {
		if k.overlaid {
			unsorted := false
			for i, l := range k.lists {
				for at := range l {
					if at > 0 && (l[at-1].Price == l[at].Price || l[at-1].Price > l[at].Price != (i%2 == 0)) {
						unsorted = true
					}
				}
			}
			if unsorted {
				m.c.OutOfOrder++
				k.suspect = true
			}
			k.overlaid = false
		}
	}
	if k.touched {
		k.event = r.ts
		k.touched = r.flags&tick.FlagSnapshot == 0
	}
	if r.before != r.after {
		r.state |= tick.StateTop
	}
	if k.suspect {
		r.state |= suspectState
	}
}

func (m *naive) level(r *row, k *naiveBook) bool {
	list := 0
	if r.kind == tick.KindImplied {
		list = 2
	}
	switch r.side {
	case tick.SideBid:
	case tick.SideAsk:
		list++
	default:
		m.c.BadSide++
		return false
	}
	better := func(a, b int64) bool { return a != b && a > b == (list%2 == 0) }
	number, orders := tick.SplitLevelAt(r.aux)
	level := Level{Price: r.price, Size: r.size, Orders: orders}
	l := &k.lists[list]
	n, at := len(*l), int(number)-1
	if number == 0 {
		if r.price == tick.UndefPrice {
			m.c.BadPrice++
			return false
		}
		at = 0
		for at < n && better((*l)[at].Price, r.price) {
			at++
		}
		there := at < n && (*l)[at].Price == r.price
		switch {
		case r.sub == tick.LevelOverlay && r.size == 0 && there:
			m.became(r, tick.LevelDelete, (*l)[at])
			*l = slices.Delete(*l, at, at+1)
		case (r.sub == tick.LevelNew || r.sub == tick.LevelOverlay) && r.size > 0:
			if there {
				if (*l)[at] = level; r.sub == tick.LevelNew {
					m.c.Duplicate++
				}
				m.became(r, tick.LevelChange, level)
			} else {
				m.became(r, tick.LevelNew, level)
				*l = slices.Insert(*l, at, level)
			}
		case (r.sub == tick.LevelNew || r.sub == tick.LevelChange) && r.size == 0:
			if m.c.ZeroSize++; r.sub == tick.LevelNew && there {
				m.c.Duplicate++
			}
			return false
		case !there:
			m.c.Absent++
			return false
		case r.sub == tick.LevelChange:
			(*l)[at] = level
		case r.sub == tick.LevelDelete:
			m.became(r, tick.LevelDelete, (*l)[at])
			*l = slices.Delete(*l, at, at+1)
		case r.sub == tick.LevelThru:
			m.went(r, (*l)[:at+1])
			*l = slices.Delete(*l, 0, at+1)
		case r.sub == tick.LevelFrom:
			m.went(r, (*l)[at:])
			*l = (*l)[:at]
		default:
			m.c.BadCode++
			return false
		}
	} else {
		comes := r.sub == tick.LevelNew || r.sub == tick.LevelOverlay
		switch {
		case number > uint32(m.depth[list]):
			m.c.OverDepth++
			return false
		case at > n || at == n && !comes:
			m.c.Absent++
			return false
		case comes && r.price == tick.UndefPrice:
			m.c.BadPrice++
			return false
		case (comes || r.sub == tick.LevelChange) && r.size == 0:
			m.c.ZeroSize++
			return false
		case (r.sub == tick.LevelChange || r.sub == tick.LevelDelete) && r.price != tick.UndefPrice && r.price != (*l)[at].Price:
			m.c.PriceMismatch++
			return false
		case r.sub == tick.LevelNew && (at > 0 && !better((*l)[at-1].Price, r.price) || at < n && !better(r.price, (*l)[at].Price)):
			m.c.OutOfOrder++
			return false
		}
		switch r.sub {
		case tick.LevelNew:
			if n == m.depth[list] {
				m.went(r, (*l)[n-1:])
			}
			*l = slices.Insert(*l, at, level)
			*l = (*l)[:min(len(*l), m.depth[list])]
		case tick.LevelChange:
			(*l)[at].Size, (*l)[at].Orders = level.Size, orders
		case tick.LevelDelete:
			m.became(r, tick.LevelDelete, (*l)[at])
			*l = slices.Delete(*l, at, at+1)
		case tick.LevelThru:
			m.went(r, (*l)[:at+1])
			*l = slices.Delete(*l, 0, at+1)
		case tick.LevelFrom:
			m.went(r, (*l)[at:])
			*l = (*l)[:at]
		case tick.LevelOverlay:
			switch {
			case at == n:
				m.became(r, tick.LevelNew, level)
			case (*l)[at].Price == level.Price:
				m.became(r, tick.LevelChange, level)
			default:
				m.went(r, (*l)[at:at+1])
				m.became(r, tick.LevelNew, level)
			}
			*l = append((*l)[:at:at], append([]Level{level}, (*l)[min(n, at+1):]...)...)
			k.overlaid = true
		default:
			m.c.BadCode++
			return false
		}
	}
	if r.sub == tick.LevelThru || r.sub == tick.LevelFrom {
		m.c.ThruFrom++
		k.suspect = true
	}
	return true
}

// became is what a row of the market's book says when it is complete.
func (m *naive) became(r *row, code byte, l Level) {
	if r.kind != tick.KindLevel {
		return
	}
	if m.sub = code; code == tick.LevelDelete {
		r.price, r.size = l.Price, l.Size
	}
}

// went notes levels that no row of their own names.
func (m *naive) went(r *row, levels []Level) {
	for _, l := range levels {
		if r.kind == tick.KindLevel {
			m.gone = append(m.gone, Gone{0, r.side, l})
		}
	}
}

// compare reports the first difference between the states of the reference and the books.
func compare(m *naive, b *Books) error {
	c := *b.Counters()
	if int(c.Instruments) != len(m.books) {
		return fmt.Errorf("%d instruments, want %d", c.Instruments, len(m.books))
	}
	c.Instruments, c.Bytes = 0, 0
	if c != m.c {
		return fmt.Errorf("counters %+v, want %+v", c, m.c)
	}
	for id, k := range m.books {
		if b.Top(id) != k.top() || b.Suspect(id) != k.suspect {
			return fmt.Errorf("instrument %d: top %+v suspect %v, want %+v %v", id, b.Top(id), b.Suspect(id), k.top(), k.suspect)
		}
		for list, want := range k.lists {
			var got [MaxDepth]Level
			read := b.Levels
			if list >= implied {
				read = b.Implied
			}
			if n := read(id, "BA"[list%2], got[:]); !slices.Equal(got[:n], want) {
				return fmt.Errorf("instrument %d list %d: %v, want %v", id, list, got[:n], want)
			}
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
