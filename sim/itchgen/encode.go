package itchgen

import "encoding/binary"

// Messages as of the specification's section 7, big-endian.

func (g *Gen) head(typ byte, locate uint16, tracking uint16) []byte {
	b := append(g.out, typ)
	b = binary.BigEndian.AppendUint16(b, locate)
	b = binary.BigEndian.AppendUint16(b, tracking)
	t := g.time
	return append(b, byte(t>>40), byte(t>>32), byte(t>>24), byte(t>>16), byte(t>>8), byte(t))
}

func (g *Gen) system(code byte) { g.out = append(g.head('S', 0, 0), code) }

func (g *Gen) add(o *order) {
	s := &g.symbols[o.symbol]
	typ := byte('A')
	if o.mpid {
		typ = 'F'
	}
	b := g.head(typ, s.locate, 0)
	b = binary.BigEndian.AppendUint64(b, o.ref)
	b = append(b, "BS"[o.side])
	b = binary.BigEndian.AppendUint32(b, o.size)
	b = append(b, s.name[:]...)
	b = binary.BigEndian.AppendUint32(b, s.price(o.level))
	if o.mpid {
		b = append(b, participants[o.ref%uint64(len(participants))]...)
	}
	g.out = b
}

var participants = []string{"AAAA", "BBBB", "CCCC", "DDDD", "EEEE", "FFFF"}

func (g *Gen) executed(o *order, size uint32) {
	b := g.head('E', g.symbols[o.symbol].locate, 2)
	b = binary.BigEndian.AppendUint64(b, o.ref)
	b = binary.BigEndian.AppendUint32(b, size)
	g.out = binary.BigEndian.AppendUint64(b, g.match())
}

func (g *Gen) executedAt(o *order, size uint32, price uint32, printable byte, match uint64) {
	b := g.head('C', g.symbols[o.symbol].locate, 2)
	b = binary.BigEndian.AppendUint64(b, o.ref)
	b = binary.BigEndian.AppendUint32(b, size)
	b = binary.BigEndian.AppendUint64(b, match)
	b = append(b, printable)
	g.out = binary.BigEndian.AppendUint32(b, price)
}

func (g *Gen) canceled(o *order, size uint32) {
	b := g.head('X', g.symbols[o.symbol].locate, 0)
	b = binary.BigEndian.AppendUint64(b, o.ref)
	g.out = binary.BigEndian.AppendUint32(b, size)
}

func (g *Gen) deleted(o *order) {
	g.out = binary.BigEndian.AppendUint64(g.head('D', g.symbols[o.symbol].locate, 0), o.ref)
}

func (g *Gen) replaced(old uint64, o *order) {
	b := g.head('U', g.symbols[o.symbol].locate, 0)
	b = binary.BigEndian.AppendUint64(b, old)
	b = binary.BigEndian.AppendUint64(b, o.ref)
	b = binary.BigEndian.AppendUint32(b, o.size)
	g.out = binary.BigEndian.AppendUint32(b, g.symbols[o.symbol].price(o.level))
}

func (g *Gen) hidden(s *symbol, size, price uint32) {
	b := g.head('P', s.locate, 2)
	b = binary.BigEndian.AppendUint64(b, 0)
	b = append(b, 'B')
	b = binary.BigEndian.AppendUint32(b, size)
	b = append(b, s.name[:]...)
	b = binary.BigEndian.AppendUint32(b, price)
	g.lastHidden = g.match()
	g.out = binary.BigEndian.AppendUint64(b, g.lastHidden)
}

func (g *Gen) broken(match uint64, s *symbol) {
	g.out = binary.BigEndian.AppendUint64(g.head('B', s.locate, 2), match)
}

func (g *Gen) cross(s *symbol, shares uint64, price uint32, match uint64, kind byte) {
	b := g.head('Q', s.locate, 2)
	b = binary.BigEndian.AppendUint64(b, shares)
	b = append(b, s.name[:]...)
	b = binary.BigEndian.AppendUint32(b, price)
	b = binary.BigEndian.AppendUint64(b, match)
	g.out = append(b, kind)
}

func (g *Gen) imbalance(s *symbol, paired, imbalance uint64, direction byte, price uint32, kind byte) {
	b := g.head('I', s.locate, 0)
	b = binary.BigEndian.AppendUint64(b, paired)
	b = binary.BigEndian.AppendUint64(b, imbalance)
	b = append(b, direction)
	b = append(b, s.name[:]...)
	b = binary.BigEndian.AppendUint32(b, price+s.tick)
	b = binary.BigEndian.AppendUint32(b, price)
	b = binary.BigEndian.AppendUint32(b, price)
	g.out = append(b, kind, 'L')
}

func (g *Gen) directory(s *symbol, test bool) {
	b := g.head('R', s.locate, 0)
	b = append(b, s.name[:]...)
	b = append(b, 'Q', 'N')
	b = binary.BigEndian.AppendUint32(b, s.lot)
	authenticity := byte('P')
	if test {
		authenticity = 'T'
	}
	b = append(b, 'N', 'C', 'Z', ' ', authenticity, 'N', ' ', '1', 'N')
	b = binary.BigEndian.AppendUint32(b, 0)
	g.out = append(b, 'N')
}

func (g *Gen) action(s *symbol, state byte, reason string) {
	b := g.head('H', s.locate, 0)
	b = append(b, s.name[:]...)
	b = append(b, state, ' ')
	g.out = append(b, reason...)
}

func (g *Gen) shortSale(s *symbol) {
	b := g.head('Y', s.locate, 0)
	g.out = append(append(b, s.name[:]...), '0')
}

func (g *Gen) position(s *symbol, n int) {
	b := g.head('L', s.locate, 0)
	b = append(b, participants[n%len(participants)]...)
	b = append(b, s.name[:]...)
	g.out = append(b, 'Y', 'N', 'A')
}

func (g *Gen) declines() {
	b := g.head('V', 0, 0)
	for _, level := range []uint64{4_500_00000000, 4_200_00000000, 3_900_00000000} {
		b = binary.BigEndian.AppendUint64(b, level)
	}
	g.out = b
}

func (g *Gen) match() uint64 {
	g.matches++
	return g.matches
}
