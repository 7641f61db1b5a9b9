package mdp3gen

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"slices"
	"testing"

	"github.com/tickwire/tickwire/parsers/mdp3"
)

// naive is a receiver that does everything the obvious way, from the bytes on and by the sheet's offsets: it shares no code with any decoder or
// book. Its books are what the rules of sections 7 and 8 make of the messages.
type naive struct {
	depth map[int32]int
	by    map[int32]int64 // DisplayFactor, 1e-9
	books map[int32]*naiveBook
	names map[int32]string
	open  bool // an event is under way
	count map[uint16]int
}

type naiveBook struct {
	rpt    uint32
	levels [4][]naiveLevel // bid, offer, implied bid, implied offer
	orders map[uint64]naiveOrder
	volume uint64
	traded uint64
}

type naiveLevel struct {
	px    int64
	size  uint64
	count int32
}

type naiveOrder struct {
	side     int
	px       int64
	priority uint64
	size     uint64
}

func newNaive() *naive {
	return &naive{depth: map[int32]int{}, by: map[int32]int64{}, books: map[int32]*naiveBook{}, names: map[int32]string{}, count: map[uint16]int{}}
}

var le = binary.LittleEndian

func (n *naive) book(id int32) *naiveBook {
	b := n.books[id]
	if b == nil {
		b = &naiveBook{orders: map[uint64]naiveOrder{}}
		n.books[id] = b
	}
	return b
}

// rpt takes an entry's RptSeq: the next one, without exception.
func (b *naiveBook) next(rpt uint32) error {
	if b.rpt+1 != rpt {
		return fmt.Errorf("RptSeq %d after %d", rpt, b.rpt)
	}
	b.rpt = rpt
	return nil
}

// groupOf gives a group's entries and what follows it.
func groupOf(b []byte, head int) (entries [][]byte, rest []byte) {
	block, count := int(le.Uint16(b)), int(b[head-1])
	b = b[head:]
	for range count {
		entries, b = append(entries, b[:block]), b[block:]
	}
	return entries, b
}

func (n *naive) message(m mdp3.Message) error {
	n.count[m.Template()]++
	root := m[10 : 10+m.BlockLength()]
	rest := m[10+m.BlockLength():]
	indicator := byte(0)
	var err error
	switch m.Template() {
	case 54, 55, 56:
		err = n.definition(m, root, rest)
		indicator = root[0]
	case 30:
		indicator = root[26]
	case 46, 64:
		indicator = root[8]
		err = n.update(m.Template(), rest)
	case 47:
		indicator = root[8]
		entries, _ := groupOf(rest, 3)
		for _, e := range entries {
			if err = n.order(int32(le.Uint32(e[28:])), le.Uint64(e), le.Uint64(e[8:]), int64(le.Uint64(e[16:])), uint64(le.Uint32(e[24:])), e[33], e[32]); err != nil {
				break
			}
		}
	case 48, 65:
		indicator = root[8]
		err = n.trades(m.Template(), rest)
	case 37, 66, 49, 50, 51, 67:
		indicator = root[8]
		err = n.others(m.Template(), rest)
	case 4:
		indicator = root[8]
		n.books = map[int32]*naiveBook{}
	}
	if n.open = indicator&0x80 == 0; !n.open && err == nil {
		err = n.agree()
	}
	return err
}

func (n *naive) definition(m mdp3.Message, root, rest []byte) error {
	id := int32(le.Uint32(root[55:]))
	_, rest = groupOf(rest, 3)
	feeds, _ := groupOf(rest, 3)
	for _, f := range feeds {
		if string(f[:3]) == "GBX" {
			n.depth[id] = int(f[3])
		}
	}
	n.names[id] = string(root[35:55])
	n.by[id] = int64(le.Uint64(root[map[uint16]int{54: 99, 55: 127, 56: 102}[m.Template()]:]))
	if n.depth[id] == 0 {
		return fmt.Errorf("instrument %d has no depth", id)
	}
	return nil
}

func (n *naive) update(template uint16, rest []byte) error {
	wide := 0 // template 64 has 4 bytes more before SecurityID
	if template == 64 {
		wide = 4
	}
	levels, rest := groupOf(rest, 3)
	for _, e := range levels {
		size := uint64(le.Uint32(e[8:]))
		if wide > 0 {
			size = le.Uint64(e[8:])
		}
		t := e[12+wide:]
		b, id := n.book(int32(le.Uint32(t))), int32(le.Uint32(t))
		if err := b.next(le.Uint32(t[4:])); err != nil {
			return err
		}
		if err := b.level(n.depthOf(id, t[14]), t[14], t[13], int(t[12]), naiveLevel{int64(le.Uint64(e)), size, int32(le.Uint32(t[8:]))}); err != nil {
			return fmt.Errorf("instrument %d: %w", id, err)
		}
	}
	orders, _ := groupOf(rest, 8)
	for _, e := range orders {
		ref := levels[e[20]-1]
		t := ref[12+wide:]
		if err := n.order(int32(le.Uint32(t)), le.Uint64(e), le.Uint64(e[8:]), int64(le.Uint64(ref)), uint64(le.Uint32(e[16:])), t[14], e[21]); err != nil {
			return err
		}
	}
	return nil
}

func (n *naive) depthOf(id int32, typ byte) int {
	if typ == 'E' || typ == 'F' {
		return 2
	}
	return n.depth[id]
}

func (b *naiveBook) level(depth int, typ, action byte, at int, l naiveLevel) error {
	side := slices.Index([]byte("01EF"), typ)
	rows := &b.levels[side]
	if at < 1 || at > depth {
		return fmt.Errorf("level %d of %d", at, depth)
	}
	if action == 0 {
		if at > len(*rows)+1 {
			return fmt.Errorf("level %d comes in behind %d", at, len(*rows))
		}
		*rows = slices.Insert(*rows, at-1, l)
		*rows = (*rows)[:min(len(*rows), depth)]
		return nil
	}
	if at > len(*rows) || (*rows)[at-1].px != l.px {
		return fmt.Errorf("action %d on level %d at %d: %+v", action, at, l.px, *rows)
	}
	switch action {
	case 1:
		(*rows)[at-1] = l
	case 2:
		if (*rows)[at-1] != l {
			return fmt.Errorf("deleted level %d is %+v, was %+v", at, l, (*rows)[at-1])
		}
		*rows = slices.Delete(*rows, at-1, at)
	default:
		return fmt.Errorf("action %d", action)
	}
	return nil
}

func (n *naive) order(id int32, order, priority uint64, px int64, size uint64, typ, action byte) error {
	b := n.book(id)
	_, known := b.orders[order]
	if known == (action == 0) {
		return fmt.Errorf("instrument %d order %d: action %d, known %v", id, order, action, known)
	}
	if action == 2 {
		delete(b.orders, order)
		return nil
	}
	b.orders[order] = naiveOrder{int(typ - '0'), px, priority, size}
	return nil
}

func (n *naive) trades(template uint16, rest []byte) error {
	trades, rest := groupOf(rest, 3)
	fills, _ := groupOf(rest, 8)
	for _, e := range trades {
		size, t, aggressor := uint64(le.Uint32(e[8:])), e[12:], e[24]
		own := int(le.Uint32(e[20:]))
		if template == 65 {
			size, t, aggressor = le.Uint64(e[8:]), e[16:], e[32]
			own = int(le.Uint32(e[24:]))
		}
		b := n.book(int32(le.Uint32(t)))
		if err := b.next(le.Uint32(t[4:])); err != nil {
			return err
		}
		sum := uint64(0)
		for i := range own {
			if i > 0 {
				sum += uint64(le.Uint32(fills[i][8:]))
			}
		}
		if aggressor != 0 && (sum != size || uint64(le.Uint32(fills[0][8:])) != size) {
			return fmt.Errorf("a trade of %d whose orders got %d", size, sum)
		}
		fills = fills[own:]
	}
	if len(fills) != 0 {
		return fmt.Errorf("%d order entries too many", len(fills))
	}
	return nil
}

func (n *naive) others(template uint16, rest []byte) error {
	at := map[uint16]int{37: 4, 66: 8, 49: 12, 50: 24, 51: 8, 67: 16}[template]
	entries, _ := groupOf(rest, 3)
	for _, e := range entries {
		b := n.book(int32(le.Uint32(e[at:])))
		if err := b.next(le.Uint32(e[at+4:])); err != nil {
			return err
		}
		switch template {
		case 37:
			b.volume = uint64(le.Uint32(e))
		case 66:
			b.volume = le.Uint64(e)
		}
	}
	return nil
}

// agree is the check at the end of each event, for one instrument in turn: the orders at each of the best prices are what the levels say.
func (n *naive) agree() error {
	total := 0
	for _, c := range n.count {
		total += c
	}
	if total%97 != 0 {
		return nil
	}
	for id, b := range n.books {
		for side := range 2 {
			want := map[int64]naiveLevel{}
			for _, o := range b.orders {
				if o.side == side {
					l := want[o.px]
					want[o.px] = naiveLevel{o.px, l.size + o.size, l.count + 1}
				}
			}
			for at, l := range b.levels[side] {
				if want[l.px] != l {
					return fmt.Errorf("instrument %d side %d level %d is %+v, its orders make %+v", id, side, at+1, l, want[l.px])
				}
			}
			if len(b.levels[side]) != min(len(want), n.depth[id]) {
				return fmt.Errorf("instrument %d side %d has %d levels of %d prices", id, side, len(b.levels[side]), len(want))
			}
		}
		if x, y := b.levels[0], b.levels[1]; len(x) > 0 && len(y) > 0 && x[0].px >= y[0].px {
			return fmt.Errorf("instrument %d is crossed: %d bid, %d offered", id, x[0].px, y[0].px)
		}
	}
	return nil
}

// feed takes an event's or a packet's messages.
func (n *naive) feed(tb testing.TB, b []byte) {
	tb.Helper()
	for len(b) > 0 {
		m, used := mdp3.Next(b)
		if used == 0 {
			tb.Fatalf("%d bytes are no message", len(b))
		}
		if err := n.message(m); err != nil {
			tb.Fatalf("template %d: %v", m.Template(), err)
		}
		b = b[used:]
	}
}

// compare wants the receiver's books to be the market's, at conventional prices.
func (n *naive) compare(tb testing.TB, g *Gen) {
	tb.Helper()
	conventional := func(id int32, wire int64) int64 {
		product := new(big.Int).Mul(big.NewInt(wire), big.NewInt(n.by[id]))
		px, rest := product.QuoRem(product, big.NewInt(1_000_000_000), new(big.Int))
		if rest.Sign() != 0 || !px.IsInt64() {
			tb.Fatalf("instrument %d: %d × %d e-9 is no price in 1e-9", id, wire, n.by[id])
		}
		return px.Int64()
	}
	for i := range g.Instruments() {
		id := g.Security(i)
		b := n.book(id)
		if n.by[id] == 0 {
			tb.Errorf("%s has no DisplayFactor", g.Symbol(i))
			continue
		}
		var levels [4][]naiveLevel
		for side, wire := range b.levels {
			for _, l := range wire {
				levels[side] = append(levels[side], naiveLevel{conventional(id, l.px), l.size, l.count})
			}
		}
		if b.rpt != g.RptSeq(i) {
			tb.Errorf("%s: RptSeq %d, want %d", g.Symbol(i), b.rpt, g.RptSeq(i))
		}
		for side := range 2 {
			var want []naiveLevel
			for _, l := range g.Levels(i, side) {
				want = append(want, naiveLevel{l.Price, l.Size, int32(l.Orders)})
			}
			if !slices.Equal(levels[side], want) {
				tb.Errorf("%s side %d: %v, want %v", g.Symbol(i), side, levels[side], want)
			}
			want = nil
			for _, l := range g.Implied(i, side) {
				want = append(want, naiveLevel{l.Price, l.Size, mdp3.WireNoInt})
			}
			if !slices.Equal(levels[2+side], want) {
				tb.Errorf("%s implied side %d: %v, want %v", g.Symbol(i), side, levels[2+side], want)
			}
			orders := g.Orders(i, side)
			for _, o := range orders {
				got := b.orders[o.ID]
				if got.px = conventional(id, got.px); got != (naiveOrder{side, o.Price, o.Priority, o.Size}) {
					tb.Errorf("%s order %d: %+v, want %+v", g.Symbol(i), o.ID, got, o)
				}
			}
		}
		if len(b.orders) != len(g.Orders(i, 0))+len(g.Orders(i, 1)) {
			tb.Errorf("%s: %d orders rest, want %d", g.Symbol(i), len(b.orders), len(g.Orders(i, 0))+len(g.Orders(i, 1)))
		}
	}
}
