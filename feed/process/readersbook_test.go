package process

import (
	"fmt"
	"slices"

	"github.com/tickwire/tickwire/tick"
)

// A reader's book, as plainly as can be: it knows nothing of venues, only what DBN's conventions say of records. A adds, C takes off, M sets, R empties, T, F
// and N change nothing; a quote replaces its side, a level adds to what stands at its price.
type readersBook struct {
	orders map[uint64]*readersOrder
	sides  [2]map[int64]*readersLevel
	tops   []tick.BidAskPair     // behind each record with F_LAST, where it differs from the one before
	tens   [][10]tick.BidAskPair // the same, ten levels
	event  [2]uint64             // sequence and time of the latest record …
	ended  bool                  // … which had F_LAST
}

type readersOrder struct {
	side  int
	price int64
	size  uint64
}

type readersLevel struct {
	size   uint64
	orders uint32
}

func newReadersBook() *readersBook {
	b := &readersBook{tops: []tick.BidAskPair{tick.EmptyPair}, tens: [][10]tick.BidAskPair{{}}}
	for i := range b.tens[0] {
		b.tens[0][i] = tick.EmptyPair
	}
	b.clear()
	return b
}

func (b *readersBook) clear() {
	b.orders, b.sides = map[uint64]*readersOrder{}, [2]map[int64]*readersLevel{{}, {}}
}

// at adds to a level, or takes from it.
func (b *readersBook) at(side int, price int64, size uint64, orders int) error {
	l := b.sides[side][price]
	if l == nil {
		l = &readersLevel{}
		b.sides[side][price] = l
	}
	l.size, l.orders = l.size+size, uint32(int(l.orders)+orders)
	if int64(l.size) < 0 || int32(l.orders) < 0 {
		return fmt.Errorf("less than nothing at %d", price)
	}
	if l.size == 0 {
		delete(b.sides[side], price)
	}
	return nil
}

// ten are the levels, best first. A level's orders are told where records say them.
func (b *readersBook) ten(levels bool, depth int) (ten [10]tick.BidAskPair) {
	for i := range ten {
		ten[i] = tick.EmptyPair
	}
	for side := range 2 {
		prices := make([]int64, 0, len(b.sides[side]))
		for p := range b.sides[side] {
			prices = append(prices, p)
		}
		slices.Sort(prices)
		if side == 0 {
			slices.Reverse(prices)
		}
		for i, p := range prices[:min(depth, len(prices))] {
			l := b.sides[side][p]
			if side == 0 {
				ten[i].BidPx, ten[i].BidSz, ten[i].BidCt = p, tick.Size32(l.size), l.orders
			} else {
				ten[i].AskPx, ten[i].AskSz, ten[i].AskCt = p, tick.Size32(l.size), l.orders
			}
			if levels {
				ten[i].BidCt, ten[i].AskCt = 0, 0
			}
		}
	}
	return ten
}

// take applies a record. An error is a record that a reader cannot follow.
func (b *readersBook) take(r *tick.Mbo) error {
	side := 0
	switch r.Side {
	case tick.SideAsk:
		side = 1
	case tick.SideBid:
	default:
		if r.Action != tick.ActionClear && r.Action != tick.ActionTrade && r.Action != tick.ActionNone && r.Action != tick.ActionFill {
			return fmt.Errorf("%c without a side", r.Action)
		}
	}
	price, size := r.Price, uint64(r.Size)
	aggregated := r.Flags&(tick.FlagMBP|tick.FlagTOB) != 0
	switch r.Action {
	case tick.ActionTrade, tick.ActionFill:
		if price == tick.UndefPrice || size == 0 {
			return fmt.Errorf("%c of %d at %d", r.Action, size, price)
		}
		return nil
	case tick.ActionNone:
		return nil
	case tick.ActionClear:
		b.clear()
		return nil
	}
	if r.Flags&tick.FlagTOB != 0 {
		clear(b.sides[side])
		if price == tick.UndefPrice {
			return nil
		}
		return b.at(side, price, size, 0)
	}
	if price == tick.UndefPrice || size == 0 {
		return fmt.Errorf("%c of %d at %d", r.Action, size, price)
	}
	o := b.orders[r.OrderID]
	switch {
	case aggregated && r.Action == tick.ActionAdd:
		return b.at(side, price, size, 0)
	case aggregated && r.Action == tick.ActionCancel:
		return b.at(side, price, -size, 0)
	case aggregated:
		if b.sides[side][price] == nil {
			return fmt.Errorf("M of no level")
		}
		b.sides[side][price].size = size
		return nil
	case r.Action == tick.ActionAdd:
		if o != nil {
			return fmt.Errorf("A of an order that rests")
		}
		b.orders[r.OrderID] = &readersOrder{side, price, size}
		return b.at(side, price, size, 1)
	case o == nil:
		return fmt.Errorf("%c of no order", r.Action)
	case o.side != side:
		return fmt.Errorf("%c of another side", r.Action)
	case r.Action == tick.ActionCancel:
		if o.price != price || o.size < size {
			return fmt.Errorf("C of %d at %d, it had %d at %d", size, price, o.size, o.price)
		}
		gone := 0
		if o.size -= size; o.size == 0 {
			gone = -1
			delete(b.orders, r.OrderID)
		}
		return b.at(side, price, -size, gone)
	case r.Action == tick.ActionModify:
		if err := b.at(side, o.price, -o.size, -1); err != nil {
			return err
		}
		o.price, o.size = price, size
		return b.at(side, price, size, 1)
	}
	return fmt.Errorf("action %c", r.Action)
}
