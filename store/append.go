package store

import (
	"math"
	"slices"

	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// Columns that every table begins with, in the order of head.
const (
	colTs = iota
	colTsNs
	colTsRecv
	colSymbol
	colVenue
	colChannel
	colInstrument
	colSeq
	colOwn // first column of the table's own
)

// mostDecimal is beyond DECIMAL(18,9): such prices are NULL and counted.
const mostDecimal = 1_000_000_000_000_000_000

// row is a place to fill in.
type row struct {
	*chunk
	n int
}

// begin finds a place for a row of a series and fills in what every table has. ok is false when there is no memory for it.
func (f *follower) begin(x *series, h *tick.Header, recv uint64, channel uint32) (r row, ok bool) {
	return f.beginAs(x, h, recv, channel, f.symbol(h, recv))
}

// beginAs is begin of a row whose symbol is known.
func (f *follower) beginAs(x *series, h *tick.Header, recv uint64, channel, symbol uint32) (r row, ok bool) {
	c := x.live
	if c == nil || c.filled == chunkRows || c.layout != x.l.Load() {
		if c != nil {
			c.show()
			c.sealed.Store(true)
		}
		if c = f.s.grow(x, f.venue); c == nil {
			f.s.NoMemory.Add(1)
			return row{}, false
		}
	}
	r = row{c, c.filled & (chunkRows - 1)}
	c.i64(colTsNs)[r.n] = int64(h.TsEvent)
	r.time(colTsRecv, recv)
	c.u32(colSymbol)[r.n] = symbol
	c.u32(colChannel)[r.n] = channel
	c.u32(colInstrument)[r.n] = h.InstrumentID
	return r, true
}

// end counts the row; show makes it visible.
func (f *follower) end(r row) {
	r.done(r.i64(colTsNs)[r.n], r.u32(colSymbol)[r.n])
	f.rows++
}

// show lets scans see what was taken in since it was last called.
func (f *follower) show() {
	if f.rows == 0 {
		return
	}
	for _, x := range f.all {
		if x != nil && x.live != nil {
			x.live.show()
		}
	}
	f.s.Rows.Add(f.rows)
	f.rows = 0
}

func (r row) set(col int, v int64)    { r.i64(col)[r.n] = v }
func (r row) set32(col int, v uint32) { r.u32(col)[r.n] = v }
func (r row) set8(col int, v uint8)   { r.u8(col)[r.n] = v }

func (r row) maybe(col int, v int64, there bool) {
	r.i64(col)[r.n] = v
	if there {
		r.word[col] |= 1 << (r.n % 64)
	}
}

func (r row) time(col int, v uint64) { r.maybe(col, int64(v), v != tick.UndefTime && v != 0) }

func (f *follower) price(r row, col int, p int64) {
	there := p != tick.UndefPrice
	if there && (p >= mostDecimal || p <= -mostDecimal) {
		f.s.OverPrice.Add(1)
		there = false
	}
	r.maybe(col, p, there)
}

// letter is a code of one character; DBN's "not known" is NULL.
func (r row) letter(col int, c byte) {
	if c == '~' || c == ' ' || c >= 0x80 {
		c = 0
	}
	r.u8(col)[r.n] = c
}

// Places of orders' own columns.
const (
	ordersID = colOwn + iota
	ordersSide
	ordersAction
	ordersPrice
	ordersSize
	ordersFlags
	ordersSequence
)

func (f *follower) order(m *tick.Mbo, number uint64) {
	if m.RType != tick.RTypeMbo || m.Flags&tick.FlagSnapshot != 0 {
		return
	}
	symbol := uint32(0)
	roll := m.Action == tick.ActionClear && m.Sequence == 0 // a session is over: speaks of its instruments, not the next one's
	switch {
	case !roll:
		symbol = f.symbol(&m.Header, m.TsRecv)
	case m.TsRecv == f.rolledAt:
		symbol = f.before.get(m.InstrumentID, m.TsRecv-1)
	default:
		symbol = f.names.get(m.InstrumentID, m.TsRecv-1) // the next session may define at the same time
	}
	r, ok := f.beginAs(f.orders, &m.Header, m.TsRecv, uint32(m.ChannelID), symbol)
	if !ok {
		return
	}
	r.set(ordersID, int64(m.OrderID))
	r.letter(ordersSide, m.Side)
	r.letter(ordersAction, m.Action)
	f.price(r, ordersPrice, m.Price)
	r.set(ordersSize, int64(m.Size))
	r.set8(ordersFlags, m.Flags)
	r.set32(ordersSequence, m.Sequence)
	f.saturated(tick.RingMbo, number, m.Size, r, ordersSize)
	f.end(r)
	if roll {
		f.cleared(m.TsRecv)
	}
}

// Places of ticks' own columns.
const (
	ticksAction = colOwn + iota
	ticksSide
	ticksPrice
	ticksSize
	ticksBidPx
	ticksAskPx
	ticksBidSz
	ticksAskSz
	ticksBidCt
	ticksAskCt
	ticksFlags
	ticksSequence
	ticksPublish
	ticksLastPx
	ticksLastSz
	ticksCustom // the first of plugins' columns
)

// lastTrade is the last trade of an instrument.
type lastTrade struct{ price, size int64 }

func (f *follower) tick(m *ringbuf.Mbp1Slot, number uint64) {
	if m.Flags&tick.FlagSnapshot != 0 {
		return // books were rebuilt: nothing happened at the venue
	}
	r, ok := f.begin(f.ticks, &m.Header, m.TsRecv, f.channel)
	if !ok {
		return
	}
	r.letter(ticksAction, m.Action)
	r.letter(ticksSide, m.Side)
	f.price(r, ticksPrice, m.Price)
	r.set(ticksSize, int64(m.Size))
	l := &m.Levels[0]
	f.price(r, ticksBidPx, l.BidPx)
	f.price(r, ticksAskPx, l.AskPx)
	r.set(ticksBidSz, int64(l.BidSz))
	r.set(ticksAskSz, int64(l.AskSz))
	r.set32(ticksBidCt, l.BidCt)
	r.set32(ticksAskCt, l.AskCt)
	r.set8(ticksFlags, m.Flags)
	r.set32(ticksSequence, m.Sequence)
	r.set(ticksPublish, int64(m.TsPublish))
	if m.Action == tick.ActionTrade {
		f.trade(m.InstrumentID, lastTrade{m.Price, int64(m.Size)})
	}
	last, traded := f.lastTrades[m.InstrumentID]
	if traded {
		f.price(r, ticksLastPx, last.price)
	}
	r.maybe(ticksLastSz, last.size, traded)
	if f.custom.all != nil {
		f.customRow(r, m)
	}
	f.saturated(tick.RingMbp1, number, m.Size, r, ticksSize)
	f.end(r)
}

// Places of trades' own columns.
const (
	tradesSide = colOwn + iota
	tradesPrice
	tradesSize
	tradesMatch
	tradesFlags
	tradesSequence
)

func (f *follower) print(m *ringbuf.TradeSlot, number uint64) {
	r, ok := f.begin(f.trades, &m.Header, m.TsRecv, f.channel)
	if !ok {
		return
	}
	r.letter(tradesSide, m.Side)
	f.price(r, tradesPrice, m.Price)
	r.set(tradesSize, int64(m.Size))
	r.set(tradesMatch, int64(m.MatchID))
	r.set8(tradesFlags, m.Flags)
	r.set32(tradesSequence, m.Sequence)
	f.saturated(tick.RingTrades, number, m.Size, r, tradesSize)
	f.end(r)
}

// takeOut removes the trade with a match id. Breaks are rare and mostly of late trades, so the newest rows are looked at first.
func (f *follower) takeOut(match uint64) {
	f.s.mu.Lock()
	chunks := slices.Clone(f.trades.chunks)
	f.s.mu.Unlock()
	for i := len(chunks) - 1; i >= 0; i-- {
		c := chunks[i]
		if !c.hold() {
			continue
		}
		ids := c.i64(tradesMatch)
		for n := int(c.rows.Load()) - 1; n >= 0; n-- {
			if uint64(ids[n]) == match {
				c.kill(n)
				c.release()
				return
			}
		}
		c.release()
	}
	f.s.UnknownBreak.Add(1)
}

func (f *follower) depthRow(m *ringbuf.Mbp10Slot) {
	if m.Flags&tick.FlagSnapshot != 0 {
		return
	}
	r, ok := f.begin(f.depth, &m.Header, m.TsRecv, f.channel)
	if !ok {
		return
	}
	r.letter(colOwn, m.Action)
	r.letter(colOwn+1, m.Side)
	f.price(r, colOwn+2, m.Price)
	r.set(colOwn+3, int64(m.Size))
	r.set8(colOwn+4, m.Flags)
	r.set32(colOwn+5, m.Sequence)
	for i := range m.Levels {
		l, at := &m.Levels[i], colOwn+6+6*i
		f.price(r, at, l.BidPx)
		f.price(r, at+1, l.AskPx)
		r.set(at+2, int64(l.BidSz))
		r.set(at+3, int64(l.AskSz))
		r.set32(at+4, l.BidCt)
		r.set32(at+5, l.AskCt)
	}
	f.end(r)
}

func (f *follower) event(e *ringbuf.EventSlot, number uint64) {
	switch e.RType() {
	case tick.RTypeStatus:
		f.statusRow(e.Status())
	case tick.RTypeImbalance:
		f.imbalanceRow(e.Imbalance(), number)
	case tick.RTypeStatistics:
		f.statisticsRow(e.Statistics())
	case tick.RTypeGap:
		f.gapRow(e.Gap())
	}
}

func (f *follower) statusRow(s *tick.Status) {
	if f.status == nil {
		return
	}
	r, ok := f.begin(f.status, &s.Header, s.TsRecv, f.channel)
	if !ok {
		return
	}
	r.set32(colOwn, uint32(s.Action))
	r.set32(colOwn+1, uint32(s.Reason))
	r.set32(colOwn+2, uint32(s.TradingEvent))
	r.letter(colOwn+3, s.IsTrading)
	r.letter(colOwn+4, s.IsQuoting)
	r.letter(colOwn+5, s.IsShortSellRestricted)
	f.end(r)
}

// Places of imbalances' quantities that a record may hold saturated.
const (
	imbalancesPaired = colOwn + 7
	imbalancesTotal  = colOwn + 8
)

func (f *follower) imbalanceRow(m *tick.Imbalance, number uint64) {
	if f.imbalances == nil {
		return
	}
	r, ok := f.begin(f.imbalances, &m.Header, m.TsRecv, f.channel)
	if !ok {
		return
	}
	for i, p := range []int64{m.RefPrice, m.ContBookClrPrice, m.AuctInterestClrPrice, m.SsrFillingPrice, m.IndMatchPrice, m.UpperCollar, m.LowerCollar} {
		if p == 0 {
			p = tick.UndefPrice // public data carries 0 in fields that a venue does not use (DBN conventions)
		}
		f.price(r, colOwn+i, p)
	}
	r.set(imbalancesPaired, int64(m.PairedQty))
	r.set(imbalancesTotal, int64(m.TotalImbalanceQty))
	r.set32(colOwn+9, m.MarketImbalanceQty)
	r.set32(colOwn+10, m.UnpairedQty)
	r.letter(colOwn+11, m.AuctionType)
	r.letter(colOwn+12, m.Side)
	r.time(colOwn+13, m.AuctionTime)
	r.letter(colOwn+14, m.SignificantImbalance)
	if m.PairedQty == tick.MaxSize || m.TotalImbalanceQty == tick.MaxSize {
		f.pending[exactKey{tick.RingEvents, number}] = exactPlace{r, imbalancesPaired}
		f.s.Inexact.Add(1)
	}
	f.end(r)
}

func (f *follower) statisticsRow(s *tick.Statistics) {
	if f.statistics == nil {
		return
	}
	r, ok := f.begin(f.statistics, &s.Header, s.TsRecv, f.channel)
	if !ok {
		return
	}
	r.set32(colOwn, uint32(s.StatType))
	f.price(r, colOwn+1, s.Price)
	r.maybe(colOwn+2, s.Quantity, s.Quantity != 1<<63-1)
	r.time(colOwn+3, s.TsRef)
	r.set8(colOwn+4, s.UpdateAction)
	r.set8(colOwn+5, s.StatFlags)
	r.set32(colOwn+6, s.Sequence)
	f.end(r)
}

func (f *follower) gapRow(g *tick.Gap) {
	kind := map[uint8]string{tick.GapRecovering: "recovering", tick.GapClosed: "closed", tick.GapLost: "lost"}[g.State]
	messages := g.Last - g.First + 1
	if g.State == tick.GapClosed {
		messages = g.Messages
	}
	f.missing(kind, &g.Header, g.TsRecv, uint32(g.ChannelID), g.First, g.Last, messages)
}

// missing enters a row of gaps.
func (f *follower) missing(kind string, h *tick.Header, recv uint64, channel uint32, first, last, messages uint64) {
	if f.gaps == nil {
		return
	}
	r, ok := f.begin(f.gaps, h, recv, channel)
	if !ok {
		return
	}
	r.set32(colOwn, f.s.dict.add(kind))
	r.set(colOwn+1, bounded(first))
	r.set(colOwn+2, bounded(last))
	r.set(colOwn+3, bounded(messages))
	f.end(r)
}

// bounded is a number of 64 bits in a column that has 63: a packet that lies about where it is may have any.
func bounded(n uint64) int64 { return int64(min(n, math.MaxInt64)) }

func (f *follower) definition(d *tick.Definition) {
	r, ok := f.begin(f.definitions, &d.Header, d.TsRecv, f.channel)
	if !ok {
		return
	}
	text := func(b []byte) uint32 { return f.s.dict.add(cut(b)) }
	r.set32(colSymbol, text(d.RawSymbol[:]))
	r.letter(colOwn, d.InstrumentClass)
	f.price(r, colOwn+1, d.MinPriceIncrement)
	r.maybe(colOwn+2, int64(d.MinLotSizeRoundLot), d.MinLotSizeRoundLot != tick.UndefDefinition.MinLotSizeRoundLot)
	r.set32(colOwn+3, text(d.Exchange[:]))
	r.set32(colOwn+4, text(d.SecurityType[:]))
	r.set32(colOwn+5, text(d.Currency[:]))
	r.set32(colOwn+6, text(d.Group[:]))
	r.letter(colOwn+7, d.SecurityUpdateAction)
	f.end(r)
}

// cut is a field without its padding.
func cut(b []byte) string {
	for i, c := range b {
		if c == 0 {
			b = b[:i]
			break
		}
	}
	for len(b) > 0 && b[len(b)-1] == ' ' {
		b = b[:len(b)-1]
	}
	return string(b)
}

// exactKey names a record whose size was too large for it; the exact one comes in the ext ring.
type exactKey struct {
	ring   uint8
	number uint64
}

type exactPlace struct {
	row
	col int
}

// saturated notes a row whose size is only a bound.
func (f *follower) saturated(ring uint8, number uint64, size uint32, r row, col int) {
	if size == tick.MaxSize {
		f.pending[exactKey{ring, number}] = exactPlace{r, col}
		f.s.Inexact.Add(1)
	}
}

// extension takes what had no place in a record.
func (f *follower) extension(e *tick.Ext) {
	switch e.Kind {
	case tick.ExtBreak:
		if f.trades != nil {
			f.takeOut(e.A)
		}
	case tick.ExtImplied:
		f.impliedLevel(e)
	case tick.ExtSize, tick.ExtImbalanceSize:
		key := exactKey{e.Ring, e.RefSeq}
		p, ok := f.pending[key]
		if !ok {
			return
		}
		delete(f.pending, key)
		f.s.Inexact.Add(^uint64(0))
		store := func(col int, v uint64) { storeValue(&p.i64(col)[p.n], int64(v)) }
		store(p.col, e.A)
		if e.Kind == tick.ExtImbalanceSize {
			store(imbalancesTotal, e.B)
		}
	}
}
