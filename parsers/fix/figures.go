package fix

import (
	"math"

	"github.com/tickwire/tickwire/tick"
)

// trade makes a Trade row, a Break row, or both for a trade that was changed. FIX does not say who the aggressor is.
func (d *Decoder) trade(out *tick.Batch, x *instrument, e *MDEntry, ts uint64) {
	id := e.TradeID
	if id == nil {
		id = e.ID
	}
	match := d.matchID(id)
	if e.Action != ActionNew {
		i := d.row(out, x, ts, tick.KindBreak, true)
		out.Aux[i] = match
	}
	switch {
	case e.Action == ActionDelete:
	case e.Price == tick.UndefPrice || e.Has&HasSize == 0:
		d.Counters.PartTrades++
	default:
		i := d.row(out, x, ts, tick.KindTrade, true)
		out.Price[i], out.Size[i], out.Aux[i] = e.Price, e.Size, match
	}
}

// matchID is a trade's number: the one that its id is, else a hash of it from 2^63 up, the same in every run (FNV-1a), since trades are not remembered: among a
// million of a day two are the same with a chance of 1 in 10 million.
func (d *Decoder) matchID(id []byte) uint64 {
	if len(id) == 0 {
		return 0
	}
	if v, ok := plainNumber(id); ok {
		return v
	}
	h := uint64(14695981039346656037)
	for _, c := range id {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h | 1<<63
}

// statistics of entry types: DBN section 4.13. amount says that the value is the size.
var statistics = [256]struct {
	kind   uint16
	amount bool
}{
	'4': {kind: tick.StatOpeningPrice},
	'5': {kind: tick.StatClosePrice},
	'6': {kind: statSettlement},
	'7': {kind: statHigh},
	'8': {kind: statLow},
	'9': {kind: statVWAP},
	'B': {kind: statVolume, amount: true},
	'C': {kind: statOpenInterest, amount: true},
	'N': {kind: statHighestBid},
	'O': {kind: statLowestOffer},
	'Q': {kind: tick.StatUncrossingPrice},
	'W': {kind: statFixing},
}

const (
	statSettlement   uint16 = 3
	statLow          uint16 = 4
	statHigh         uint16 = 5
	statLowestOffer  uint16 = 7
	statHighestBid   uint16 = 8
	statOpenInterest uint16 = 9
	statFixing       uint16 = 10
	statVWAP         uint16 = 13
	statVolume       uint16 = 10001 // of the session so far; 6 is what was cleared
)

// statistic makes a Statistics row of an entry that is a figure; of one that is none that is known it counts.
func (d *Decoder) statistic(out *tick.Batch, x *instrument, e *MDEntry, ts uint64) {
	s := statistics[e.Type]
	if s.kind == 0 || e.Action > ActionDelete && e.Action != ActionOverlay {
		d.Counters.UnknownTypes++
		return
	}
	quantity := tick.UndefQuantity
	if e.Has&HasSize != 0 && e.Size < math.MaxInt64 {
		quantity = int64(e.Size)
	}
	action := uint8(1)
	if e.Action == ActionDelete {
		action = 2
	}
	k := out.Sides.Statistics
	out.Statistics[k] = tick.Statistics{
		Header: tick.Header{Length: 20, RType: tick.RTypeStatistics, InstrumentID: x.id, TsEvent: ts}, TsRef: tick.UndefTime,
		Price: e.Price, Quantity: quantity, Sequence: uint32(d.seq), StatType: s.kind, ChannelID: math.MaxUint16, UpdateAction: action,
	}
	out.Sides.Statistics++
	i := d.row(out, x, ts, tick.KindStatistics, true)
	out.Aux[i] = tick.SideRows(k, 1)
}

// imbalance makes an Imbalance row. TradeCondition says whose it is: P more buyers, Q more sellers.
func (d *Decoder) imbalance(out *tick.Batch, x *instrument, e *MDEntry, ts uint64) {
	side := tick.SideNone
	switch string(e.Condition) {
	case "P":
		side = tick.SideBid
	case "Q":
		side = tick.SideAsk
	}
	k, total := out.Sides.Imbalances, uint32(tick.UndefSize)
	if e.Has&HasSize != 0 {
		total = tick.Size32(e.Size)
	}
	out.Imbalances[k] = tick.Imbalance{
		Header:   tick.Header{Length: 28, RType: tick.RTypeImbalance, InstrumentID: x.id, TsEvent: ts},
		RefPrice: e.Price, AuctionTime: tick.UndefTime, ContBookClrPrice: tick.UndefPrice, AuctInterestClrPrice: tick.UndefPrice,
		SsrFillingPrice: tick.UndefPrice, IndMatchPrice: tick.UndefPrice, UpperCollar: tick.UndefPrice, LowerCollar: tick.UndefPrice,
		PairedQty: tick.UndefSize, TotalImbalanceQty: total, MarketImbalanceQty: tick.UndefSize, UnpairedQty: tick.UndefSize,
		Side: side, UnpairedSide: tick.SideNone, AuctionType: '~', SignificantImbalance: '~',
	}
	out.Sides.Imbalances++
	i := d.row(out, x, ts, tick.KindImbalance, true)
	out.Aux[i], out.OrderID[i] = tick.SideRows(k, 1), e.Size
}
