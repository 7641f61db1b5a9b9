package xdp

import (
	"encoding/binary"

	"github.com/tickwire/tickwire/tick"
)

// trade is a print. The official opening and closing prices come as trades too, and are none: they are prices only.
func (d *Decoder) trade(m []byte, s *symbol, i int, out *tick.Batch) {
	le := binary.LittleEndian
	price, volume := int64(le.Uint32(m[24:]))*s.scale, uint64(le.Uint32(m[28:]))
	if official(m, 35) {
		kind := tick.StatClosePrice
		if m[35] == 'Q' {
			kind = tick.StatOpeningPrice
		}
		statistics(i, out, kind, price, int64(volume))
		out.Kind[i], out.Aux[i] = tick.KindStatistics, tick.SideRows(out.Sides.Statistics-1, 1)
		return
	}
	out.Kind[i], out.Aux[i] = tick.KindTrade, uint64(le.Uint32(m[20:]))
	out.Price[i], out.Size[i] = price, volume
	tellConditions(m, 32, i, out)
}

// official says that the trade whose trade_cond_4 is at an offset is an official closing or opening price.
func official(m []byte, at int) bool { return len(m) > at && (m[at] == 'M' || m[at] == 'Q') }

// summary is the day's figures so far: a row of the prices that there are, and one of the volume.
func (d *Decoder) summary(m []byte, s *symbol, i int, out *tick.Batch) {
	le := binary.LittleEndian
	first := out.Sides.Statistics
	for k, kind := range [...]uint16{statHigh, statLow, tick.StatOpeningPrice, tick.StatClosePrice} {
		if p := priceOrNone(le.Uint32(m[16+4*k:]), s.scale); p != tick.UndefPrice {
			statistics(i, out, kind, p, tick.UndefQuantity)
		}
	}
	if n := out.Sides.Statistics - first; n > 0 {
		out.Kind[i], out.Aux[i] = tick.KindStatistics, tick.SideRows(first, n)
		i = more(i, out)
	}
	statistics(i, out, statVenueVolume, tick.UndefPrice, int64(le.Uint32(m[32:])))
	out.Kind[i], out.Aux[i] = tick.KindStatistics, tick.SideRows(out.Sides.Statistics-1, 1)
}

// Types of statistics (DBN section 4.13) that no other parser has.
const (
	statLow         uint16 = 4
	statHigh        uint16 = 5
	statVenueVolume uint16 = 10001
)

// imbalance is an auction's state. 0 in a price says that there is none.
func (d *Decoder) imbalance(m []byte, s *symbol, i int, out *tick.Batch) {
	le := binary.LittleEndian
	price := func(at int) int64 {
		if len(m) < at+4 {
			return tick.UndefPrice
		}
		return priceOrNone(le.Uint32(m[at:]), s.scale)
	}
	b := &out.Imbalances[out.Sides.Imbalances]
	*b = tick.Imbalance{
		Header:               header(i, out, 28, tick.RTypeImbalance),
		RefPrice:             price(20),
		AuctionTime:          d.hhmm(le.Uint16(m[36:])),
		ContBookClrPrice:     price(40),
		AuctInterestClrPrice: price(44),
		SsrFillingPrice:      price(48),
		IndMatchPrice:        price(52),
		UpperCollar:          price(56),
		LowerCollar:          price(60),
		PairedQty:            tick.Size32(uint64(le.Uint32(m[24:]))),
		TotalImbalanceQty:    tick.Size32(uint64(le.Uint32(m[28:]))),
		MarketImbalanceQty:   tick.Size32(uint64(le.Uint32(m[32:]))),
		UnpairedQty:          tick.UndefSize,
		AuctionType:          m[38],
		Side:                 sides[m[39]],
		UnpairedSide:         tick.SideNone,
		SignificantImbalance: '~',
	}
	if len(m) >= 67 {
		b.AuctionStatus, b.FreezeStatus, b.NumExtensions = m[64], m[65], m[66]
	}
	if len(m) >= 72 {
		b.UnpairedQty, b.UnpairedSide = tick.Size32(uint64(le.Uint32(m[67:]))), sides[m[71]]
	}
	if len(m) >= 73 && d.version != V25 {
		b.SignificantImbalance = blank(m[72])
	}
	out.Kind[i], out.Aux[i] = tick.KindImbalance, tick.SideRows(out.Sides.Imbalances, 1)
	out.Size[i], out.OrderID[i] = uint64(le.Uint32(m[24:])), uint64(le.Uint32(m[28:]))
	out.Sides.Imbalances++
}

// hhmm is a time of the venue's day as ns since the Unix epoch.
func (d *Decoder) hhmm(v uint16) uint64 {
	hour, minute := uint64(v/100), uint64(v%100)
	if v == 0 || hour > 23 || minute > 59 || d.midnight == 0 {
		return tick.UndefTime
	}
	return d.midnight + (hour*60+minute)*60*second
}

// priceOrNone is a price of which 0 says that there is none.
func priceOrNone(v uint32, scale int64) int64 {
	if v == 0 {
		return tick.UndefPrice
	}
	return int64(v) * scale
}
