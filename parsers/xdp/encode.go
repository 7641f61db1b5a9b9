package xdp

import "encoding/binary"

// Encoders: what a generator and a simulated venue send. Each appends one whole message, msg_size and msg_type included, with the layout of
// layout.go; a field that a version does not have is not written. Nothing is checked but the room of padded text, which is cut. Prices are
// numerators, as on the wire.

var le = binary.LittleEndian

// PutHeader writes a packet's header into the first 16 bytes of b. size is the whole packet's, header included.
func PutHeader(b []byte, size int, flag, messages uint8, sequence, seconds, ns uint32) {
	_ = b[15]
	le.PutUint16(b, uint16(size))
	b[2], b[3] = flag, messages
	le.PutUint32(b[4:], sequence)
	le.PutUint32(b[8:], seconds)
	le.PutUint32(b[12:], ns)
}

// AppendPacket appends a packet of whole messages.
func AppendPacket(dst []byte, flag, messages uint8, sequence, seconds, ns uint32, blocks []byte) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, PacketHeaderBytes)...)
	PutHeader(dst[at:], PacketHeaderBytes+len(blocks), flag, messages, sequence, seconds, ns)
	return append(dst, blocks...)
}

// grow makes room for one and writes its head.
func grow(dst []byte, typ uint16, size int) (out, m []byte) {
	n := len(dst)
	if n+size > cap(dst) {
		dst = append(make([]byte, 0, 2*cap(dst)+size), dst...)
	}
	out = dst[:n+size]
	m = out[n:]
	clear(m)
	le.PutUint16(m, uint16(size))
	le.PutUint16(m[2:], typ)
	return out, m
}

// words writes 32-bit fields one behind the other from m[at] on.
func words(m []byte, at int, fields ...uint32) {
	for i, f := range fields {
		le.PutUint32(m[at+4*i:], f)
	}
}

// AppendReset is message 1.
func AppendReset(dst []byte, seconds, ns uint32, product, channel uint8) []byte {
	dst, m := grow(dst, TypeSequenceNumberReset, 14)
	words(m, 4, seconds, ns)
	m[12], m[13] = product, channel
	return dst
}

// AppendTimeReference is message 2: the second that later nanoseconds of partition id belong to.
func AppendTimeReference(dst []byte, id, seconds uint32) []byte {
	dst, m := grow(dst, TypeSourceTimeReference, 16)
	words(m, 4, id, 0, seconds)
	return dst
}

// Mapping is what message 3 says of a symbol.
type Mapping struct {
	Index           uint32
	Symbol          string // at most 11 characters
	Market          uint16
	System          uint8
	Exchange        byte
	Scale           uint8
	SecurityType    byte
	Lot             uint16
	PrevClose       uint32
	PrevVolume      uint32
	PriceResolution uint8
	RoundLot        byte
	MPV             uint16
	UnitOfTrade     uint16
}

// AppendMapping is message 3.
func AppendMapping(dst []byte, s *Mapping) []byte {
	dst, m := grow(dst, TypeSymbolIndexMapping, 44)
	le.PutUint32(m[4:], s.Index)
	copy(m[8:19], s.Symbol)
	le.PutUint16(m[20:], s.Market)
	m[22], m[23], m[24], m[25] = s.System, s.Exchange, s.Scale, s.SecurityType
	le.PutUint16(m[26:], s.Lot)
	words(m, 28, s.PrevClose, s.PrevVolume)
	m[36], m[37] = s.PriceResolution, s.RoundLot
	le.PutUint16(m[38:], s.MPV)
	le.PutUint16(m[40:], s.UnitOfTrade)
	return dst
}

// AppendSymbolClear is message 32. next is the symbol sequence number that the symbol's next message carries.
func AppendSymbolClear(dst []byte, seconds, ns, index, next uint32) []byte {
	dst, m := grow(dst, TypeSymbolClear, 20)
	words(m, 4, seconds, ns, index, next)
	return dst
}

// Stamp is a complete time, and of which symbol, at which place of its own sequence: the first four fields of many messages.
type Stamp struct {
	Seconds, Ns   uint32
	Index, Number uint32
}

func (s *Stamp) put(m []byte) { words(m, 4, s.Seconds, s.Ns, s.Index, s.Number) }

// short is the same without the seconds.
func (s *Stamp) short(m []byte) { words(m, 4, s.Ns, s.Index, s.Number) }

// Status is what message 34 says.
type Status struct {
	Stamp
	Security, Halt    byte
	Price1, Price2    uint32
	SSRExchange       byte
	SSRVolume         uint32
	Time              uint32
	SSRState          byte
	Market, SessionOf byte // market_state, session_state
}

// AppendStatus is message 34.
func AppendStatus(dst []byte, s *Status) []byte {
	dst, m := grow(dst, TypeSecurityStatus, 46)
	s.put(m)
	m[20], m[21] = s.Security, s.Halt
	words(m, 26, s.Price1, s.Price2)
	m[34] = s.SSRExchange
	words(m, 35, s.SSRVolume, s.Time)
	m[43], m[44], m[45] = s.SSRState, s.Market, s.SessionOf
	return dst
}

// AppendRefreshHeader is message 35, long: the first packet of a symbol. lastSequence and lastSymbol are the numbers of the channel and the
// symbol that the snapshot is as of.
func AppendRefreshHeader(dst []byte, current, total uint16, lastSequence, lastSymbol uint32) []byte {
	dst, m := grow(dst, TypeRefreshHeader, 16)
	le.PutUint16(m[4:], current)
	le.PutUint16(m[6:], total)
	words(m, 8, lastSequence, lastSymbol)
	return dst
}

// AppendShortRefreshHeader is message 35, short: every other packet of the symbol.
func AppendShortRefreshHeader(dst []byte, current, total uint16) []byte {
	dst, m := grow(dst, TypeRefreshHeader, 8)
	le.PutUint16(m[4:], current)
	le.PutUint16(m[6:], total)
	return dst
}

// AppendUnavailable is message 31. The range is closed.
func AppendUnavailable(dst []byte, begin, end uint32, product, channel uint8) []byte {
	dst, m := grow(dst, TypeMessageUnavailable, 14)
	words(m, 4, begin, end)
	m[12], m[13] = product, channel
	return dst
}

// Order is an order as messages 100, 101, 104 and 106 have it. The stamp's seconds are written by message 106 alone.
type Order struct {
	Stamp
	ID            uint64
	Price, Volume uint32
	Side          byte   // 'B', 'S'
	Firm          string // at most 5 characters; padded with spaces
	Splits        uint8  // before Pillar 2.5: num_parity_splits, new_price_parity_splits
	PrevSplits    uint8  // before Pillar 2.5: prev_price_parity_splits
	Moved         uint8  // message 101: position_change
}

// putFirm writes five characters.
func putFirm(m []byte, name string) {
	copy(m[:5], "     ")
	copy(m[:5], name)
}

// AppendAdd is message 100.
func AppendAdd(dst []byte, v Version, o *Order) []byte {
	dst, m := grow(dst, TypeAddOrder, 39)
	o.short(m)
	le.PutUint64(m[16:], o.ID)
	words(m, 24, o.Price, o.Volume)
	m[32] = o.Side
	putFirm(m[33:], o.Firm)
	if v != V25 {
		m[38] = o.Splits
	}
	return dst
}

// parityTail is the tail of messages 101 and 104.
func parityTail(m []byte, v Version, o *Order) {
	if v == V25 {
		m[0] = o.Side
	} else {
		m[0], m[1] = o.PrevSplits, o.Splits
	}
}

// AppendModify is message 101.
func AppendModify(dst []byte, v Version, o *Order) []byte {
	dst, m := grow(dst, TypeModifyOrder, 35)
	o.short(m)
	le.PutUint64(m[16:], o.ID)
	words(m, 24, o.Price, o.Volume)
	m[32] = o.Moved
	parityTail(m[33:], v, o)
	return dst
}

// AppendDelete is message 102.
func AppendDelete(dst []byte, v Version, s *Stamp, id uint64, splits uint8) []byte {
	dst, m := grow(dst, TypeDeleteOrder, 25)
	s.short(m)
	le.PutUint64(m[16:], id)
	if v != V25 {
		m[24] = splits
	}
	return dst
}

// Execution is what messages 103 and 110 say of a trade; the second has no order.
type Execution struct {
	Stamp
	Order         uint64
	Trade         uint32
	Price, Volume uint32
	Printable     uint8
	Splits        uint8  // before Pillar 2.5
	DBExec        uint32 // XDP 2.1: db_exec_id
	Conditions    [4]byte
}

// execTail is the tail of messages 103 and 110.
func execTail(m []byte, v Version, e *Execution) {
	if v == V21 {
		le.PutUint32(m, e.DBExec)
	} else {
		copy(m, e.Conditions[:])
	}
}

// AppendExecution is message 103.
func AppendExecution(dst []byte, v Version, e *Execution) []byte {
	dst, m := grow(dst, TypeOrderExecution, 42)
	e.short(m)
	le.PutUint64(m[16:], e.Order)
	words(m, 24, e.Trade, e.Price, e.Volume)
	m[36] = e.Printable
	if v != V25 {
		m[37] = e.Splits
	}
	execTail(m[38:], v, e)
	return dst
}

// AppendReplace is message 104: o is the new order, old the one it takes the place of.
func AppendReplace(dst []byte, v Version, old uint64, o *Order) []byte {
	dst, m := grow(dst, TypeReplaceOrder, 42)
	o.short(m)
	le.PutUint64(m[16:], old)
	le.PutUint64(m[24:], o.ID)
	words(m, 32, o.Price, o.Volume)
	parityTail(m[40:], v, o)
	return dst
}

// Auction is what message 105 says of an imbalance.
type Auction struct {
	Stamp
	Reference, Paired, Imbalance, MarketImbalance uint32
	Time                                          uint16 // hhmm
	Type, Side                                    byte
	BookClearing, AuctionClearing                 uint32
	SSRFiling, Indicative                         uint32
	Upper, Lower                                  uint32
	Status, Freeze, Extensions                    uint8
	Unpaired                                      uint32 // from XDP 2.2 on
	UnpairedSide, Significant                     byte   // from XDP 2.2 on
}

// AppendImbalance is message 105: 67 bytes in XDP 2.1, 73 later.
func AppendImbalance(dst []byte, v Version, a *Auction) []byte {
	size := 73
	if v == V21 {
		size = 67
	}
	dst, m := grow(dst, TypeImbalance, size)
	a.put(m)
	words(m, 20, a.Reference, a.Paired, a.Imbalance, a.MarketImbalance)
	le.PutUint16(m[36:], a.Time)
	m[38], m[39] = a.Type, a.Side
	words(m, 40, a.BookClearing, a.AuctionClearing, a.SSRFiling, a.Indicative, a.Upper, a.Lower)
	m[64], m[65], m[66] = a.Status, a.Freeze, a.Extensions
	if v != V21 {
		le.PutUint32(m[67:], a.Unpaired)
		m[71], m[72] = a.UnpairedSide, a.Significant
	}
	return dst
}

// AppendAddRefresh is message 106.
func AppendAddRefresh(dst []byte, v Version, o *Order) []byte {
	dst, m := grow(dst, TypeAddOrderRefresh, 43)
	o.put(m)
	le.PutUint64(m[20:], o.ID)
	words(m, 28, o.Price, o.Volume)
	m[36] = o.Side
	putFirm(m[37:], o.Firm)
	if v != V25 {
		m[42] = o.Splits
	}
	return dst
}

// AppendNonDisplayed is message 110.
func AppendNonDisplayed(dst []byte, v Version, e *Execution) []byte {
	dst, m := grow(dst, TypeNonDisplayedTrade, 33)
	e.short(m)
	words(m, 16, e.Trade, e.Price, e.Volume)
	m[28] = e.Printable
	execTail(m[29:], v, e)
	return dst
}

// AppendCross is message 111. kind is 'E', 'O', '5' or '6'.
func AppendCross(dst []byte, s *Stamp, cross, price, volume uint32, kind byte) []byte {
	dst, m := grow(dst, TypeCrossTrade, 29)
	s.short(m)
	words(m, 16, cross, price, volume)
	m[28] = kind
	return dst
}

// AppendTradeCancel is message 112.
func AppendTradeCancel(dst []byte, s *Stamp, trade uint32) []byte {
	dst, m := grow(dst, TypeTradeCancel, 20)
	s.short(m)
	words(m, 16, trade)
	return dst
}

// AppendCrossCorrection is message 113. volume is the whole new one.
func AppendCrossCorrection(dst []byte, s *Stamp, cross, volume uint32) []byte {
	dst, m := grow(dst, TypeCrossCorrection, 24)
	s.short(m)
	words(m, 16, cross, volume)
	return dst
}

// AppendRetail is message 114. indicator is ' ', 'A', 'B' or 'C'.
func AppendRetail(dst []byte, s *Stamp, indicator byte) []byte {
	dst, m := grow(dst, TypeRetailPriceImprovement, 17)
	s.short(m)
	m[16] = indicator
	return dst
}

// Summary is what message 223 says of a day. It has no symbol sequence number: Stamp.Number is not written.
type Summary struct {
	Stamp
	High, Low, Open, Close, Volume uint32
}

// AppendSummary is message 223.
func AppendSummary(dst []byte, s *Summary) []byte {
	dst, m := grow(dst, TypeStockSummary, 36)
	words(m, 4, s.Seconds, s.Ns, s.Index, s.High, s.Low, s.Open, s.Close, s.Volume)
	return dst
}

// Quote is what message 140 says: both best prices, in round lots. A side without a price or shares is empty.
type Quote struct {
	Stamp
	AskPrice, AskVolume uint32
	BidPrice, BidVolume uint32
	Condition, Retail   byte
}

// AppendQuote is message 140: of 38 bytes in version 2.1, as BBO 2.3a has it, of 34 in later ones.
func AppendQuote(dst []byte, v Version, q *Quote) []byte {
	dst, m := grow(dst, TypeQuote, Size(TypeQuote, v))
	q.short(m)
	words(m, 16, q.AskPrice, q.AskVolume, q.BidPrice, q.BidVolume)
	m[32], m[33] = q.Condition, q.Retail
	return dst
}

// AppendTrade is message 220: of e its trade, price, volume and conditions.
func AppendTrade(dst []byte, e *Execution) []byte {
	dst, m := grow(dst, TypeTrade, 36)
	e.put(m)
	words(m, 20, e.Trade, e.Price, e.Volume)
	copy(m[32:], e.Conditions[:])
	return dst
}

// AppendTradesCancel is message 221.
func AppendTradesCancel(dst []byte, s *Stamp, trade uint32) []byte {
	dst, m := grow(dst, TypeTradesCancel, 24)
	s.put(m)
	words(m, 20, trade)
	return dst
}

// AppendTradesCorrection is message 222: the trade old is e from now on.
func AppendTradesCorrection(dst []byte, old uint32, e *Execution) []byte {
	dst, m := grow(dst, TypeTradesCorrection, 40)
	e.put(m)
	words(m, 20, old, e.Trade, e.Price, e.Volume)
	copy(m[36:], e.Conditions[:])
	return dst
}
