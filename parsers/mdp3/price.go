package mdp3

import (
	"math/bits"

	"github.com/tickwire/tickwire/tick"
)

// On the wire a price is Globex's display price. What everybody else calls the price is that times DisplayFactor (tag 9787 of the instrument's definition; sheet section
// 2.3): ES at 519975 with a factor of 0.01 is 5199.75. Rows have the latter, exactly. A product that is no multiple of 1e-9, or does not fit, is inexact, and never rounded: what
// has it is left out, and counted. Where that is an entry of a book, or a trade, its instrument's books are in doubt.

// Prices says which prices rows have.
type Prices uint8

const (
	PricesConventional Prices = iota // wire × DisplayFactor: of an instrument without a definition there are none
	PricesWire                       // as on the wire: no definition is needed
)

// factor is a DisplayFactor as prices are multiplied by it: num / (odd << shift), in lowest terms.
//
// A number that an odd one divides is divided by multiplying it by the odd one's inverse modulo 2^64; one that it does not divide lands beyond 2^63 / odd, for within it
// the way back would be exact too. So one multiplication divides, and one comparison says whether that was right, whether the result fits, and whether the number was
// null, 2^63-1: bias is the most that may come out, so that what is right lies in 0 to 2 bias once bias is added.
//
//	m × inverse = q << shift,   |q << shift| <= bias,   its low bits 0   ──►   price = q × num
//
// The zero value is not to be used: there is unknown.
type factor struct {
	inverse uint64
	bias    uint64
	num     int64
	shift   uint8
}

var (
	unknown = factor{bias: 1 << 63}                          // twice the bias is 0: no price comes of it
	one     = factor{inverse: 1, bias: largestPrice, num: 1} // of prices as they are on the wire
)

const (
	largestPrice = tick.UndefPrice - 1 // and the negative of it is the smallest
	unit         = 1_000_000_000       // of DisplayFactor: it comes in 1e-9
)

// factorOf makes one of a DisplayFactor in 1e-9. One that is not positive is none.
func factorOf(displayE9 int64) (f factor, ok bool) {
	if displayE9 <= 0 {
		return unknown, false
	}
	num, den := displayE9, int64(unit)
	for a, b := num, den; ; a, b = b, a%b {
		if b == 0 {
			num, den = num/a, den/a
			break
		}
	}
	f.shift = uint8(bits.TrailingZeros64(uint64(den)))
	odd := uint64(den) >> f.shift
	f.num, f.inverse = num, odd
	for range 5 { // Newton: an odd number is its own inverse modulo 8, and each step doubles the bits
		f.inverse *= 2 - odd*f.inverse
	}
	f.bias = min((1<<63-1)/odd>>f.shift, uint64(largestPrice/num)) << f.shift
	return f, true
}

// known says that there is one.
func (f *factor) known() bool { return f.inverse != 0 }

// price multiplies a price in 1e-9. ok is false where the product is no multiple of 1e-9, or does not fit, or the price is null, or the factor unknown. Hot path.
func (f *factor) price(mantissa int64) (px int64, ok bool) {
	q := uint64(mantissa) * f.inverse
	if within := q + f.bias; within > 2*f.bias || within&(1<<(f.shift&63)-1) != 0 {
		return tick.UndefPrice, false
	}
	return int64(q) >> (f.shift & 63) * f.num, true
}

// factor is the instrument's.
func (s *instrument) factor() factor {
	return factor{inverse: s.inverse, bias: s.bias, num: s.num, shift: s.shift}
}

// undefined says that no definition gave a factor.
func (s *instrument) undefined() bool { return s.inverse == 0 }

// price is the price that rows have of a mantissa in 1e-9 × scale. Hot path.
func (s *instrument) price(mantissa, scale int64) (px int64, ok bool) {
	if scale != 1 {
		inE9 := mantissa * scale
		if inE9/scale != mantissa {
			return tick.UndefPrice, false
		}
		mantissa = inE9
	}
	f := s.factor()
	return f.price(mantissa)
}

// optional is price for one that may be null.
func (s *instrument) optional(mantissa, scale int64) (px int64, ok bool) {
	if mantissa == tick.UndefPrice {
		return mantissa, true
	}
	return s.price(mantissa, scale)
}

// unpriced says what becomes of a figure whose price could not be told, null aside where null is no error: nil, it is left out, for its instrument has no definition, or it is
// inexact.
func (d *Decoder) unpriced(s *instrument, mantissa int64) error {
	switch {
	case s.undefined():
		d.lack(s)
	case mantissa == tick.UndefPrice:
		return errPrice
	default:
		d.Counters.Inexact++
	}
	return nil
}

// unpricedEntry is unpriced for an entry of a book, and for a trade: without it the books are not the venue's.
func (d *Decoder) unpricedEntry(s *instrument, mantissa int64) error {
	if !s.undefined() && mantissa != tick.UndefPrice {
		d.doubt(s)
	}
	return d.unpriced(s, mantissa)
}

// lack notes that an entry was left out for want of its instrument's definition. The instrument is told the first time in a session: its book is not the venue's.
func (d *Decoder) lack(s *instrument) {
	if d.lacked != d.Counters.Messages+1 {
		d.lacked = d.Counters.Messages + 1
		d.Counters.Undefined++
	}
	if s.flags&lacking == 0 {
		s.flags |= lacking
		d.Counters.UndefinedInstruments++
		d.doubt(s)
	}
	if f, ok := d.of.share.learned(s); ok { // from the next entry on it is known
		s.set(f)
		d.doubt(s)
	}
}

// doubt notes that an instrument's books are not the venue's, for TakeDoubts.
func (d *Decoder) doubt(s *instrument) {
	d.doubts++
	if s.flags&doubted == 0 {
		s.flags |= doubted
		d.doubtful = append(d.doubtful, s.id)
	}
}

// define gives an instrument the factor of its definition, which is as of a time. Where that is another one than before, what is in its books means something else: they are emptied. Where entries were
// left out for want of it, its books lack them.
func (d *Decoder) define(s *instrument, f factor, updated int64, out *tick.Batch) {
	switch was := s.factor(); {
	case was.known() && was != f && s.flags&seen != 0:
		d.Counters.Rescaled++
		d.clear(out, s, BookBoth)
		d.doubt(s)
	case s.flags&lacking != 0:
		d.doubt(s)
	}
	if was := s.factor(); was != f {
		d.aboutOf(s).short = 0
	}
	s.set(f)
	if d.of.share != nil {
		d.of.share.put(s.id, told{f, updated})
	}
}

// set gives an instrument its factor.
func (s *instrument) set(f factor) {
	s.flags &^= lacking
	s.inverse, s.bias, s.num, s.shift = f.inverse, f.bias, f.num, f.shift
}

// Doubts grows whenever something that came is in no book: messages that were refused, entries that were left out for want of a definition, once an instrument, or for an inexact price; and when
// a definition comes too late, or changes DisplayFactor (pipeline.namingDecoder). Hot path, once a packet.
func (d *Decoder) Doubts() uint64 { return d.doubts + d.Counters.Refused }

// TakeDoubts calls fn with the instruments whose books are not the venue's for want of a definition or of an exact price, since the last call. false: messages were refused besides, and any
// book may lack what they said.
func (d *Decoder) TakeDoubts(fn func(id uint32)) bool {
	for _, id := range d.doubtful {
		if n, ok := d.of.known(id); ok {
			d.of.slots[n].flags &^= doubted
		}
		fn(id)
	}
	d.doubtful = d.doubtful[:0]
	named := d.nameless == d.Counters.Refused
	d.nameless = d.Counters.Refused
	return named
}

// Lacking calls fn with the instruments of which entries were left out since Start for want of a definition, and none has come, and those of whose snapshots inexact ones were:
// their books cannot be the venue's, whoever made them (pipeline.lackingDecoder). Not for the hot path.
func (d *Decoder) Lacking(fn func(id uint32)) {
	for i := range d.of.slots {
		if s := &d.of.slots[i]; s.flags&lacking != 0 && s.undefined() || d.of.about[i].short != 0 {
			fn(s.id)
		}
	}
}

// Hopeless says that the latest snapshot of an instrument lacks something: books that are made anew would, too (pipeline.lackingDecoder).
func (d *Decoder) Hopeless(id uint32) bool {
	n, ok := d.of.known(id)
	return ok && d.of.about[n].short != 0
}

// whole runs what makes rows of a snapshot of one of an instrument's books, or of a part of it, and notes whether entries of it were inexact; first: it begins the book.
func (d *Decoder) whole(s *instrument, chain int, first bool, rows func() error) error {
	bit, inexact := uint8(1)<<chain, d.Counters.Inexact
	a := d.aboutOf(s)
	if first {
		a.short &^= bit
	}
	err := rows()
	if d.Counters.Inexact != inexact {
		a.short |= bit
	}
	return err
}

// aboutOf is what else is known of an instrument. Not for the hot path.
func (d *Decoder) aboutOf(s *instrument) *about {
	n, _ := d.of.known(s.id)
	return &d.of.about[n]
}
