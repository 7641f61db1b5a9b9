// Package conformance holds the rows that the three examples of every SDK are run on, and what must come of them: whatever the language, the same bytes.
//
//	price-normaliser   price × multiplier ÷ divisor, rounded half away from zero
//	symbol-normaliser  capital letters, one dot between parts
//	price-band         rows outside a band around the instrument's last trade
//
// What must come is computed here in the plainest way there is (big numbers, maps), so that a mistake is not made twice. batch.txt has it as text, for SDKs
// that are not in this tree.
package conformance

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"

	"github.com/tickwire/tickwire/tick"
)

// Rows are the columns that the examples read.
type Rows struct {
	Kind       []uint8
	Instrument []uint32
	Price      []int64
	Symbol     []string // at most SymbolBytes
}

// SymbolBytes is the longest symbol of the batch, and that there is.
const SymbolBytes = 70

// Parameters that the conformance runs use.
const (
	Multiplier = 3
	Divisor    = 200
	BandBP     = 500
)

// Batch is the same rows each time: the edges first, then a thousand by a seed.
func Batch() Rows {
	var r Rows
	add := func(kind tick.Kind, instrument uint32, price int64, symbol string) {
		r.Kind, r.Instrument = append(r.Kind, uint8(kind)), append(r.Instrument, instrument)
		r.Price, r.Symbol = append(r.Price, price), append(r.Symbol, symbol)
	}
	for i, px := range []int64{0, 1, -1, 33, -33, 34, 99, 100, 101, -100, math.MaxInt64, math.MaxInt64 - 1, math.MinInt64, math.MinInt64 + 1,
		math.MaxInt64 / Multiplier, math.MaxInt64/Multiplier + 1, math.MinInt64 / Multiplier, math.MinInt64/Multiplier - 1} {
		add(tick.KindAdd, uint32(i), px, edges[i%len(edges)])
	}
	for i, s := range edges { // of the band: the last trade, then prices at the very edge of it
		id := uint32(1000 + i)
		add(tick.KindTrade, id, 100_000_000_000, s)
		add(tick.KindAdd, id, 105_000_000_000, s)
		add(tick.KindAdd, id, 105_000_000_001, s)
		add(tick.KindReplace, id, 95_000_000_000, s)
		add(tick.KindModify, id, 94_999_999_999, s)
		add(tick.KindExecAt, id, 200_000_000_000, s)
		add(tick.KindExec, id, -1, s)
		add(tick.KindAdd, id, 1, s)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	const letters = "abcdefXYZ0123456789 /-_."
	for range 1000 {
		var s strings.Builder
		for n := rnd.IntN(16); n > 0; n-- {
			s.WriteByte(letters[rnd.IntN(len(letters))])
		}
		if rnd.IntN(20) == 0 {
			s.WriteByte(byte(1 + rnd.IntN(255)))
		}
		px := 50_000_000_000 + rnd.Int64N(5_000_000_000)
		switch rnd.IntN(20) {
		case 0:
			px = int64(rnd.Uint64())
		case 1:
			px = math.MaxInt64
		}
		add(tick.Kind(1+rnd.IntN(int(tick.KindCount)-1)), rnd.Uint32N(400)*uint32(1+rnd.IntN(2)*7919), px, s.String())
	}
	return r
}

var edges = []string{"", "AAPL", "brk/b", "BRK B", " BRK-B ", "-", " ./-_", "a", "..A..B..", "x_y", "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345", "abcdefghijklmnopqrstuvwxyz/12345",
	strings.Repeat(" ", 69) + "a", strings.Repeat("x-", 34) + "yz", "{[`@~", "\xc3\xa9\xff", "1 2  3"}

// PriceNormaliser says what becomes of prices, and which rows are flagged.
func PriceNormaliser(r Rows) (price []int64, ctl []uint8) {
	for _, px := range r.Price {
		out, flag := px, uint8(0)
		if px != math.MaxInt64 {
			product := new(big.Int).Mul(big.NewInt(px), big.NewInt(Multiplier))
			if product.IsInt64() {
				out = nearest(product, Divisor)
			} else {
				flag = 2
			}
		}
		price, ctl = append(price, out), append(ctl, flag)
	}
	return price, ctl
}

// nearest divides, halves away from zero.
func nearest(n *big.Int, by int64) int64 {
	twice := new(big.Int).Abs(n)
	twice.Add(twice.Lsh(twice, 1), big.NewInt(by))
	twice.Quo(twice, big.NewInt(2*by))
	return twice.Int64() * int64(n.Sign())
}

// SymbolNormaliser says what becomes of symbols; "" is none.
func SymbolNormaliser(r Rows) (symbol []string) {
	for _, s := range r.Symbol {
		parts := strings.FieldsFunc(asBytes(s), func(c rune) bool { return strings.ContainsRune(" /-_.", c) })
		name := upper(strings.Join(parts, "."))
		if strings.ContainsFunc(name, func(c rune) bool { return c < '!' || c > '~' }) {
			name = ""
		}
		symbol = append(symbol, name)
	}
	return symbol
}

// asBytes makes a rune of each byte: symbols are bytes, whatever they mean.
func asBytes(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteRune(rune(s[i]))
	}
	return b.String()
}

func upper(s string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' {
			return c - 'a' + 'A'
		}
		return c
	}, s)
}

// PriceBand says which rows are flagged.
func PriceBand(r Rows) (ctl []uint8) {
	last := map[uint32]int64{}
	for i, px := range r.Price {
		trade, order := false, false
		switch tick.Kind(r.Kind[i]) {
		case tick.KindExec, tick.KindExecAt, tick.KindTrade:
			trade = true
		case tick.KindAdd, tick.KindReplace, tick.KindModify:
			order = true
		}
		verdict := uint8(0)
		if id := r.Instrument[i]; id != 0 && px != math.MaxInt64 && (trade || order) {
			if ref := last[id]; ref > 0 {
				apart := new(big.Int).Sub(big.NewInt(px), big.NewInt(ref))
				if apart.CmpAbs(big.NewInt(ref/10000*BandBP)) > 0 {
					verdict = 2
				}
			}
			if trade {
				last[id] = px
			}
		}
		ctl = append(ctl, verdict)
	}
	return ctl
}

// Text is rows and what must come of them, a row a line.
func Text() string {
	r := Batch()
	price, flagged := PriceNormaliser(r)
	symbol, outside := SymbolNormaliser(r), PriceBand(r)
	var b strings.Builder
	fmt.Fprintf(&b, "# Columns: kind, instrument_id, price, symbol | price-normaliser (multiplier %d, divisor %d): price, row_ctl | symbol-normaliser: symbol |\n"+
		"# price-band (band_bp %d): row_ctl. All rows are one sequence; batches may be of any size. Custom column raw_price is the price.\n", Multiplier, Divisor, BandBP)
	for i := range r.Kind {
		fmt.Fprintf(&b, "%d %d %d %q | %d %d | %q | %d\n", r.Kind[i], r.Instrument[i], r.Price[i], r.Symbol[i], price[i], flagged[i], symbol[i], outside[i])
	}
	return b.String()
}
