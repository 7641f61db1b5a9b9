package fix

import (
	"strconv"
	"time"

	qf "github.com/quickfixgo/quickfix"

	"github.com/tickwire/tickwire/tick"
)

// Bodies of what a server sends. Groups are written here, in the order of the dictionaries:
//
//	W  268 (269 270 271 272 273 276 277 346 290)
//	X  268 (279 269 55 270 271 272 273 276 277 346 290 [83])            [5.0 SP2]

// appendPx appends a price, 1e-9, as FIX writes it: no exponent, no zeros that mean nothing.
func appendPx(dst []byte, px int64) []byte {
	magnitude := uint64(px)
	if px < 0 {
		dst = append(dst, '-')
		magnitude = -magnitude
	}
	dst = strconv.AppendUint(dst, magnitude/tick.PriceScale, 10)
	frac := magnitude % tick.PriceScale
	if frac == 0 {
		return dst
	}
	dst = append(dst, '.')
	for unit := uint64(tick.PriceScale / 10); frac > 0; unit /= 10 {
		dst = append(dst, byte('0'+frac/unit))
		frac %= unit
	}
	return dst
}

// stamp is an instant as 272 and 273 write it. It keeps the last text: entries of a message have the same.
type stamp struct {
	ns   uint64
	text []byte
}

func (s *stamp) appendTo(dst []byte, ns uint64) []byte {
	if ns == 0 || ns == tick.UndefTime {
		return dst
	}
	if ns != s.ns {
		s.ns = ns
		t := time.Unix(0, int64(ns)).UTC()
		s.text = t.AppendFormat(append(s.text[:0], "272="...), "20060102") // apart: 272 would be read as a part of the format
		s.text = t.AppendFormat(append(s.text, "\x01273="...), "15:04:05.000")
		s.text = append(s.text, soh)
	}
	return append(dst, s.text...)
}

// entry is a line of a book, a trade, or a figure.
type entry struct {
	action byte // '0' New, '1' Change, '2' Delete; of X
	typ    byte // MDEntryType: '0' bid, '1' offer, '2' trade, figures
	px     int64
	size   uint64 // noSize: none
	count  uint32 // orders, 0: not known
	level  int    // 1: best, 0: none
	soft   bool   // the book is suspect: quote condition Non-Firm
	more   byte   // of an imbalance: whose there is more of
	ns     uint64 // when, 0: not known
}

func (e *entry) appendTo(dst []byte, s *stamp) []byte {
	if e.px != tick.UndefPrice {
		dst = append(appendPx(append(dst, "270="...), e.px), soh)
	}
	gone := e.action == '2'
	if !gone && e.size != noSize {
		dst = append(strconv.AppendUint(append(dst, "271="...), e.size, 10), soh)
	}
	dst = s.appendTo(dst, e.ns)
	if e.soft && !gone {
		dst = append(dst, "276=I\x01"...)
	}
	switch e.more {
	case tick.SideBid:
		dst = append(dst, "277=P\x01"...) // more buyers
	case tick.SideAsk:
		dst = append(dst, "277=Q\x01"...)
	}
	if e.count != 0 && !gone {
		dst = appendInt(dst, 346, int64(e.count))
	}
	if e.level != 0 && !gone {
		dst = appendInt(dst, 290, int64(e.level))
	}
	return dst
}

// wanted are the entry types of a subscription.
type wanted struct {
	bids, offers, trades bool
	figures              string // a byte each
}

// book says that levels are wanted.
func (w *wanted) book() bool { return w.bids || w.offers }

// bookLines appends the lines of a book.
func bookLines(dst []entry, b *Book, levels int, w wanted) []entry {
	side := func(typ byte) {
		for i := range levels {
			e := lineOf(b, i, typ)
			if e.px == tick.UndefPrice {
				return
			}
			dst = append(dst, e)
		}
	}
	if w.bids {
		side('0')
	}
	if w.offers {
		side('1')
	}
	return dst
}

// wholeLines appends the lines of all levels. They have no numbers: what changes is told by price.
func wholeLines(dst []entry, b *Whole, w wanted) []entry {
	for side, want := range []bool{w.bids, w.offers} {
		if !want {
			continue
		}
		for _, l := range b.Sides[side] {
			dst = append(dst, entry{typ: byte('0' + side), px: l.Price, size: l.Size, count: l.Orders, soft: b.Suspect, ns: b.TsEvent})
		}
	}
	return dst
}

// snapshot builds W of lines. levels is how many of a side there may be, 0: all.
func snapshot(v Version, id, symbol string, lines []entry, levels int, s *stamp) *qf.Message {
	var text []byte
	for i := range lines {
		e := &lines[i]
		text = append(append(append(text, "269="...), e.typ), soh)
		text = e.appendTo(text, s)
	}
	m := qf.NewMessage()
	m.Header.SetString(35, "W")
	m.Body.SetString(55, symbol)
	m.Body.SetString(262, id)
	if len(lines) > 0 {
		m.Body.SetBytes(268, group(len(lines), text))
	} else {
		m.Body.SetInt(268, 0)
	}
	if v == V50SP2 {
		m.Body.SetInt(1021, bookType(levels))
	}
	return m
}

func bookType(levels int) int {
	if levels == 1 {
		return 1 // top of book
	}
	return 2 // price depth
}

// lineOf is level i of a side.
func lineOf(b *Book, i int, typ byte) entry {
	p := &b.Pairs[i]
	if typ == '0' {
		return entry{typ: typ, px: p.BidPx, size: uint64(p.BidSz), count: p.BidCt, level: i + 1, soft: b.Suspect, ns: b.TsEvent}
	}
	return entry{typ: typ, px: p.AskPx, size: uint64(p.AskSz), count: p.AskCt, level: i + 1, soft: b.Suspect, ns: b.TsEvent}
}

// changes appends what turns the side typ of book was into now, by price: what left, then what came or changed, best first.
func changes(dst []entry, was, now *Book, levels int, typ byte) []entry {
	find := func(b *Book, px int64) (e entry, ok bool) {
		for i := range levels {
			if e = lineOf(b, i, typ); e.px == px {
				return e, true
			}
			if e.px == tick.UndefPrice {
				break
			}
		}
		return e, false
	}
	for i := range levels {
		e := lineOf(was, i, typ)
		if e.px == tick.UndefPrice {
			break
		}
		if _, ok := find(now, e.px); !ok {
			e.action, e.ns = '2', now.TsEvent
			dst = append(dst, e)
		}
	}
	for i := range levels {
		e := lineOf(now, i, typ)
		if e.px == tick.UndefPrice {
			break
		}
		old, ok := find(was, e.px)
		switch {
		case !ok:
			e.action = '0'
		case old.size != e.size || old.count != e.count || old.soft != e.soft:
			e.action = '1'
		default:
			continue
		}
		dst = append(dst, e)
	}
	return dst
}

// increments are the entries of an X to be.
type increments struct {
	lines []byte
	count int
}

// add appends entries of one instrument. rpt counts the instrument's, for 5.0 SP2.
func (x *increments) add(v Version, symbol string, entries []entry, rpt *uint64, s *stamp) {
	for i := range entries {
		e := &entries[i]
		x.lines = append(append(append(x.lines, "279="...), e.action), soh)
		x.lines = append(append(append(x.lines, "269="...), e.typ), soh)
		x.lines = appendField(x.lines, 55, symbol)
		x.lines = e.appendTo(x.lines, s)
		if v == V50SP2 {
			*rpt++
			x.lines = appendInt(x.lines, 83, int64(*rpt))
		}
	}
	x.count += len(entries)
}

// message builds X of what was added, and empties x.
func (x *increments) message(id string) *qf.Message {
	m := qf.NewMessage()
	m.Header.SetString(35, "X")
	m.Body.SetString(262, id)
	m.Body.SetBytes(268, group(x.count, x.lines))
	x.lines, x.count = x.lines[:0], 0
	return m
}

// refusal builds Y.
func refusal(id string, reason byte, text string) *qf.Message {
	m := qf.NewMessage()
	m.Header.SetString(35, "Y")
	m.Body.SetString(262, id)
	m.Body.SetString(281, string(reason))
	m.Body.SetString(58, text)
	return m
}

// listFragment is how many instruments a y names.
const listFragment = 100

// list builds the answer to x, in fragments, or to c of 4.2, one d an instrument.
func list(v Version, id string, all []Instrument) (out []*qf.Message) {
	if v == V42 {
		for i := range all {
			m := qf.NewMessage()
			m.Header.SetString(35, "d")
			m.Body.SetString(55, all[i].Symbol)
			if all[i].Exchange != "" {
				m.Body.SetString(207, all[i].Exchange)
			}
			m.Body.SetString(320, id)
			m.Body.SetString(322, id+"-"+strconv.Itoa(i+1))
			m.Body.SetInt(323, 4) // list of securities
			m.Body.SetInt(393, len(all))
			out = append(out, m)
		}
		return out
	}
	result := 0
	if len(all) == 0 {
		result = 2 // none found
	}
	for at := 0; at == 0 || at < len(all); at += listFragment {
		part := all[at:min(at+listFragment, len(all))]
		var lines []byte
		for i := range part {
			lines = appendField(lines, 55, part[i].Symbol)
			if part[i].Exchange != "" {
				lines = appendField(lines, 207, part[i].Exchange)
			}
			if part[i].Currency != "" {
				lines = appendField(lines, 15, part[i].Currency)
			}
		}
		m := qf.NewMessage()
		m.Header.SetString(35, "y")
		m.Body.SetString(320, id)
		m.Body.SetString(322, id+"-"+strconv.Itoa(at/listFragment+1))
		m.Body.SetInt(560, result)
		m.Body.SetInt(393, len(all))
		m.Body.SetString(893, yesNo(at+listFragment >= len(all)))
		if len(part) > 0 {
			m.Body.SetBytes(146, group(len(part), lines))
		}
		out = append(out, m)
	}
	return out
}

// statusMessage builds f.
func statusMessage(id, symbol string, status uint16) *qf.Message {
	m := qf.NewMessage()
	m.Header.SetString(35, "f")
	m.Body.SetString(324, id)
	m.Body.SetString(55, symbol)
	if s := tradingStatus(status); s != 0 {
		m.Body.SetInt(326, s)
	}
	return m
}

// tradingStatus is 326 SecurityTradingStatus of a DBN status action, 0: none says the same.
func tradingStatus(action uint16) int {
	switch action {
	case tick.StatusTrading:
		return 17 // ready to trade
	case tick.StatusHalt, tick.StatusPause, tick.StatusSuspend:
		return 2 // trading halt
	case tick.StatusClose, tick.StatusPostClose, tick.StatusNotAvail:
		return 18 // not available for trading
	}
	return 0
}
