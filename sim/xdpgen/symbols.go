package xdpgen

import (
	"strings"

	"github.com/tickwire/tickwire/parsers/xdp"
)

// symbol is what is known of one; its place is itchgen's locate less one.
type symbol struct {
	name         string
	index        uint32
	number       uint32 // symbol sequence number of the latest message
	scale        uint8
	unit         uint32 // numerators for 1e-4
	last         uint32 // 1e-4
	upper, lower uint32 // collars, 1e-4; 0: none
	crossed      uint64 // shares of displayed orders in the present cross
	market       byte   // market_state
	halt         byte   // halt_condition
	ssr          byte   // ssr_state
	retail       byte

	book [2][]level // a BBO feed's: bids and offers, best first
	told xdp.Quote  // the latest quote
	day  figures    // a summary channel's, of prices in 1e-4
}

// order is what is known of one that rests.
type order struct {
	id     uint64
	price  uint32 // 1e-4
	volume uint32
	side   byte
	firm   string
}

// Largest prices of the scales (Pillar common client 2.4p): 6 up to 2,147.48, 4 above.
const (
	mostAt6E4  = 21_474_800 // 1e-4
	scale4AtE4 = 5_000_000  // from 500 dollars on
)

// numerator of a price in 1e-4. A stub quote that the scale cannot tell is its largest price.
func (s *symbol) numerator(e4 uint32) uint32 {
	if s.unit != 1 {
		e4 = min(e4, mostAt6E4)
	}
	return e4 * s.unit
}

// list takes a directory entry (itchgen's R) and tells of the symbol as a publisher does at its start: mapping, clear, status.
func (g *Gen) list(m []byte, e4 uint32) {
	s := symbol{name: strings.TrimRight(string(m[11:19]), " "), scale: 4, unit: 1, market: 'P', halt: g.halt('~'), ssr: '~', retail: ' ', last: e4}
	if g.o.Version != xdp.V21 && e4 < scale4AtE4 {
		s.scale, s.unit = 6, 100
	}
	s.index = 1 + uint32(g.r.below(6))
	if n := len(g.symbols); n > 0 {
		s.index += g.symbols[n-1].index
	}
	g.symbols = append(g.symbols, s)
	kind := byte('C')
	if g.o.Version == xdp.V21 {
		kind = 'A'
	} else if m[33] == 'Y' { // exchange traded
		kind = 'E'
	}
	if m[29] == 'T' {
		kind = 'T'
	}
	lot := uint16(be.Uint32(m[21:]))
	g.pending = xdp.AppendMapping(g.pending, &xdp.Mapping{
		Index: s.index, Symbol: s.name, Market: g.of.ID, System: g.o.Channel, Exchange: 'P', Scale: s.scale, SecurityType: kind, Lot: lot,
		PrevClose: s.numerator(e4), PrevVolume: uint32(g.r.below(5_000_000)), RoundLot: 'Y', MPV: mpv(e4), UnitOfTrade: 1,
	})
	sec, ns := g.clock()
	g.pending = xdp.AppendSymbolClear(g.pending, sec, ns, s.index, 1)
	g.made += 2
	g.status(uint16(len(g.symbols)-1), 'P', 0, 0)
}

// mpv is the smallest step of a price, 1e-4: a cent from one dollar on.
func mpv(e4 uint32) uint16 {
	if e4 < 10_000 {
		return 1
	}
	return 100
}

// halt is a halt_condition as the version has it: a space is no halt on XDP 2.1, and it knows fewer reasons.
func (g *Gen) halt(reason byte) byte {
	if g.o.Version != xdp.V21 {
		return reason
	}
	switch reason {
	case '~':
		return ' '
	case 'O':
		return 'P'
	}
	return reason
}
