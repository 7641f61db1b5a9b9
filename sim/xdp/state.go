package xdp

import (
	"encoding/binary"
	"strings"

	wire "github.com/tickwire/tickwire/parsers/xdp"
)

// state is what a refresh tells of each symbol (Integrated Feed and BBO specifications, refresh): mapping, last imbalance, last status, its orders or its
// last quote. Orders are told in the order in which they came to their levels, which is their priority.
//
//	symbol ── mapping, status, imbalance, quote (as they were sent), number
//	       └─ first ⇄ order ⇄ order ⇄ last
type state struct {
	version wire.Version
	symbols map[uint32]*symbol
	order   []uint32 // of symbols
	orders  map[orderKey]*resting
	seconds [256]uint32 // of message 2, by partition
}

type symbol struct {
	mapping, status, imbalance []byte
	quote                      []byte // of a BBO feed
	number                     uint32
	system                     uint8
	first, last                *resting
	orders                     int
}

type orderKey struct {
	symbol uint32
	id     uint64
}

type resting struct {
	o          wire.Order
	prev, next *resting
}

func (s *state) clear() {
	s.symbols, s.orders, s.order, s.seconds = map[uint32]*symbol{}, map[orderKey]*resting{}, nil, [256]uint32{}
}

func u32(m []byte, at int) uint32 { return binary.LittleEndian.Uint32(m[at:]) }

// apply takes a message as it was published.
func (s *state) apply(m []byte) {
	typ := wire.Type(m)
	if size := wire.Size(typ, s.version); size == 0 || len(m) < size {
		return // unknown, or of another version: sent again as it is, and no part of any state
	}
	switch typ {
	case wire.TypeSourceTimeReference:
		s.seconds[m[4]] = u32(m, 12)
		return
	case wire.TypeSymbolIndexMapping:
		s.list(m)
		return
	}
	index := wire.SymbolOf(m)
	y := s.symbols[index]
	if y == nil {
		return
	}
	switch typ {
	case wire.TypeSymbolClear:
		s.empty(index, y)
		y.status, y.imbalance, y.quote, y.number = nil, nil, nil, u32(m, 16)-1
	case wire.TypeSecurityStatus:
		y.status, y.number = append(y.status[:0], m...), u32(m, 16)
		if m[20] == 'X' { // trading is over: the orders go without a word
			s.empty(index, y)
		}
	case wire.TypeImbalance:
		y.imbalance, y.number = append(y.imbalance[:0], m...), u32(m, 16)
	case wire.TypeAddOrderRefresh:
		y.number = max(y.number, u32(m, 16)) // that of an older message
		s.rest(index, y, order106(m))
	case wire.TypeStockSummary:
	case wire.TypeTrade, wire.TypeTradesCancel, wire.TypeTradesCorrection:
		y.number = u32(m, 16)
	case wire.TypeQuote:
		y.quote, y.number = append(y.quote[:0], m...), u32(m, 12)
	default:
		y.number = u32(m, 12)
		s.event(typ, index, y, m)
	}
}

// event is a message of the order flow, with nanoseconds only.
func (s *state) event(typ uint16, index uint32, y *symbol, m []byte) {
	stamp := wire.Stamp{Seconds: s.seconds[y.system], Ns: u32(m, 4), Index: index, Number: u32(m, 12)}
	le := binary.LittleEndian
	switch typ {
	case wire.TypeAddOrder:
		s.rest(index, y, wire.Order{
			Stamp: stamp, ID: le.Uint64(m[16:]), Price: u32(m, 24), Volume: u32(m, 28), Side: m[32], Firm: strings.TrimRight(string(m[33:38]), " "),
		})
	case wire.TypeModifyOrder:
		r := s.orders[orderKey{index, le.Uint64(m[16:])}]
		if r == nil {
			return
		}
		o := r.o
		moved := o.Price != u32(m, 24) || m[32] == 1
		o.Stamp, o.Price, o.Volume = stamp, u32(m, 24), u32(m, 28)
		if r.o = o; moved {
			s.rest(index, y, o)
		}
	case wire.TypeDeleteOrder:
		s.remove(index, y, le.Uint64(m[16:]))
	case wire.TypeOrderExecution:
		id := le.Uint64(m[16:])
		if r := s.orders[orderKey{index, id}]; r != nil {
			if left := r.o.Volume - min(r.o.Volume, u32(m, 32)); left == 0 {
				s.remove(index, y, id)
			} else {
				r.o.Volume = left
			}
		}
	case wire.TypeReplaceOrder:
		id := le.Uint64(m[16:])
		if r := s.orders[orderKey{index, id}]; r != nil {
			o := r.o
			s.remove(index, y, id)
			o.Stamp, o.ID, o.Price, o.Volume = stamp, le.Uint64(m[24:]), u32(m, 32), u32(m, 36)
			s.rest(index, y, o)
		}
	}
}

func order106(m []byte) wire.Order {
	return wire.Order{
		Stamp: wire.Stamp{Seconds: u32(m, 4), Ns: u32(m, 8), Index: u32(m, 12), Number: u32(m, 16)}, ID: binary.LittleEndian.Uint64(m[20:]),
		Price: u32(m, 28), Volume: u32(m, 32), Side: m[36], Firm: strings.TrimRight(string(m[37:42]), " "),
	}
}

func (s *state) list(m []byte) {
	index := u32(m, 4)
	y := s.symbols[index]
	if y == nil {
		y = &symbol{}
		s.symbols[index] = y
		s.order = append(s.order, index)
	}
	y.mapping, y.system = append(y.mapping[:0], m...), m[22]
}

// rest puts an order behind all others, also one that rests already.
func (s *state) rest(index uint32, y *symbol, o wire.Order) {
	s.remove(index, y, o.ID)
	r := &resting{o: o, prev: y.last}
	if y.last != nil {
		y.last.next = r
	} else {
		y.first = r
	}
	y.last = r
	y.orders++
	s.orders[orderKey{index, o.ID}] = r
}

func (s *state) remove(index uint32, y *symbol, id uint64) {
	key := orderKey{index, id}
	r := s.orders[key]
	if r == nil {
		return
	}
	if r.prev != nil {
		r.prev.next = r.next
	} else {
		y.first = r.next
	}
	if r.next != nil {
		r.next.prev = r.prev
	} else {
		y.last = r.prev
	}
	y.orders--
	delete(s.orders, key)
}

func (s *state) empty(index uint32, y *symbol) {
	for r := y.first; r != nil; r = r.next {
		delete(s.orders, orderKey{index, r.o.ID})
	}
	y.first, y.last, y.orders = nil, nil, 0
}
