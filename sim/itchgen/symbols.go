package itchgen

import (
	"bytes"
	"slices"
)

// A symbol's prices are a ladder of levels. Around the middle, where the day begins, a level is a tick; outside levels are wider, so
// that orders rest far away too; the outermost two are stub quotes.
//
//	level   0       1 … 127      128 … 896            897 … 1022   1023
//	      0.0001   wider steps   a tick each (± 384)  wider steps  199,999.99
//
// A tick is a cent from one dollar on, 0.0001 below. A ladder never mixes them the wrong way: that of a symbol below a dollar ends
// below a dollar.
const (
	levels = 1024
	center = levels / 2
	inner  = 384
	words  = levels / 64

	stubBid = 0
	stubAsk = levels - 1

	stubBidPx = 1
	stubAskPx = 1_999_999_900
)

// symbol is what the market's events need of a symbol; what only the directory says is in listing.
type symbol struct {
	name   [8]byte
	base   uint32 // price of the middle level, 1e-4
	tick   uint32 // 1e-4
	coarse uint32 // a step outside, 1e-4
	unit   uint32 // messages of the whole market for one of this symbol
	best   [2]int16
	fair   int16 // level that prices walk around
	half   int16 // half the usual spread, in levels
	walk   int16 // how far fair goes from the middle
	low    int16 // lowest level an order may have
	state  byte  // trading state as in H
	cross  bool  // has real crosses
	last   uint32
	bits   [2][words]uint64 // levels with orders, of bids and of asks
}

// listing is a symbol's directory entry (message R).
type listing struct {
	category, financial byte
	lot                 uint32
	class               byte
	subType             [2]byte
	authenticity        byte
	ipo                 byte
	tier                byte
	etp                 byte
	leverage            uint32
	inverse             byte
}

// price of a level, 1e-4.
func (s *symbol) price(level int16) uint32 {
	switch d := int64(level) - center; {
	case level == stubBid:
		return stubBidPx
	case level == stubAsk:
		return stubAskPx
	case d > inner:
		return s.base + inner*s.tick + uint32(d-inner)*s.coarse
	case d < -inner:
		return s.base - inner*s.tick - uint32(-d-inner)*s.coarse
	default:
		return uint32(int64(s.base) + d*int64(s.tick))
	}
}

const (
	consonants = "BCDFGHJKLMNPRSTVWXYZ"
	vowels     = "AEIOU"
)

// testNames are Nasdaq's own test securities, marked as such in the directory.
var testNames = [...]string{"ZBZZT", "ZJZZT", "ZVZZT", "ZWZZT", "ZXZZT"}

// spell writes number n in a pattern of c (consonant) and v (vowel): different numbers, different words.
func spell(dst []byte, pattern string, n uint64) []byte {
	for _, p := range []byte(pattern) {
		set := consonants
		if p == 'v' {
			set = vowels
		}
		dst = append(dst, set[n%uint64(len(set))])
		n /= uint64(len(set))
	}
	return dst
}

// tickers makes count names that are pronounceable, all different, and sorted as a directory is.
func tickers(count int) [][8]byte {
	names := make([][8]byte, count)
	tests := 0
	if count >= 50 {
		tests = len(testNames)
	}
	four := func(n uint64) []byte { return spell(nil, "cvcv", n*7919%10_000) }
	for i := range names {
		var name []byte
		n, kind := uint64(i)/10, uint64(i)%10
		switch {
		case i < tests:
			name = []byte(testNames[i])
		case kind < 6 && n < 1666:
			name = four(n*6 + kind)
		case kind < 8 && n < 1000:
			name = spell(nil, "cvc", (n*2+kind-6)*1031%2_000)
		case kind == 9 && n < 1666:
			name = append(four(n*6), [...]string{".B", "-A", "=", "+"}[n%4]...)
		default:
			name = spell(nil, "cvccv", uint64(i)*104_729%200_000)
		}
		names[i] = [8]byte([]byte("        "))
		copy(names[i][:], name)
	}
	slices.SortFunc(names, func(a, b [8]byte) int { return bytes.Compare(a[:], b[:]) })
	return names
}

// list makes the directory. Locates are 1 … count in the order of names; how busy a symbol is has nothing to do with it.
func (g *Gen) list(count int) {
	g.symbols = make([]symbol, count)
	g.listings = make([]listing, count)
	g.byRank = make([]uint16, count)
	for i := range g.byRank {
		g.byRank[i] = uint16(i)
	}
	for i := count - 1; i > 0; i-- {
		j := g.r.below(uint64(i) + 1)
		g.byRank[i], g.byRank[j] = g.byRank[j], g.byRank[i]
	}
	for i, name := range tickers(count) {
		g.symbols[i].name = name
	}
	harmonic := uint64(0) // sum of the weights of all ranks, in 1/1024
	for rank := range uint64(count) {
		harmonic += 1024 * 1024 / (rank + zipfShift)
	}
	for rank, n := range g.byRank {
		s := &g.symbols[n]
		s.unit = uint32((uint64(rank) + zipfShift) * harmonic >> 20)
		if g.o.Profile == Hostile {
			s.unit = uint32(count)
		}
		s.unit = max(s.unit, 1)
		s.cross = rank < count/4
		s.state = 'T'
		s.best = [2]int16{-1, levels}
		g.appraise(s, uint64(rank), uint64(count))
		g.describe(s, &g.listings[n])
	}
}

// zipfShift flattens Zipf's law at its top: the busiest of 8,900 symbols has 1.5 % of the messages.
const zipfShift = 10

// appraise gives a symbol its price and its usual spread. rank 0 is the busiest.
func (g *Gen) appraise(s *symbol, rank, count uint64) {
	s.tick = 100
	cents := uint64(0)
	switch x := g.r.below(1000); {
	case rank*20 < count: // busy ones are not cheap
		cents = 3_000 + g.r.below(40_000)
	case x < 70: // below a dollar
		s.tick = 1
		cents = 1_200 + g.r.below(7_300) // in ticks of 0.0001
	case x < 400:
		cents = 200 + g.r.below(1_300)
	case x < 850:
		cents = 1_500 + g.r.below(6_000)
	case x < 990:
		cents = 7_500 + g.r.below(30_000)
	default:
		cents = 40_000 + g.r.below(400_000)
	}
	ticks := uint32(cents)
	s.base = ticks * s.tick
	s.coarse = max(1, ticks/500) * s.tick
	if s.tick == 1 {
		s.coarse = min(s.coarse, (9_999-ticks-inner)/(center-inner-1))
	}
	s.low = 1
	if ticks < center {
		s.low = int16(center - ticks + 1)
	}
	s.walk = int16(min(256, ticks/16+2))
	s.fair = center
	// Spreads: a tick for the busiest, up to half a percent of the price for the quiet ones, more on expensive symbols.
	s.half = int16(min(60, uint64(ticks)*(rank*40/count)/20_000+uint64(ticks)/8_000))
	s.last = s.base
}

func (g *Gen) describe(s *symbol, l *listing) {
	*l = listing{
		category: "QQGGSNNPPZ"[g.r.below(10)], financial: ' ', lot: 100, class: 'C', subType: [2]byte{'Z', ' '},
		authenticity: 'P', ipo: ' ', tier: "12"[g.r.below(2)], etp: 'N', inverse: 'N',
	}
	switch l.category {
	case 'Q', 'G', 'S':
		l.financial = 'N'
		if g.r.in(100) {
			l.financial = 'D'
		}
	case 'P', 'Z':
		l.class, l.subType, l.etp, l.leverage = 'Q', [2]byte{'E', ' '}, 'Y', 1
		if g.r.in(600) {
			l.leverage = 2 + uint32(g.r.below(2))
			l.inverse = "YN"[g.r.below(2)]
		}
	}
	switch s.name[4] {
	case '+':
		l.class = 'W'
	case '=':
		l.class = 'U'
	case '-':
		l.class = 'P'
	}
	switch { // round lots by price, as of Regulation NMS since November 2025
	case s.base > 100_000_000:
		l.lot = 1
	case s.base > 10_000_000:
		l.lot = 10
	case s.base > 2_500_000:
		l.lot = 40
	}
	for _, test := range testNames {
		if string(s.name[:5]) == test {
			l.authenticity = 'T'
		}
	}
}
