package mdp3gen

import (
	"github.com/tickwire/tickwire/parsers/mdp3"
)

// event gathers what an event has to say, kind by kind, and encodes it in the order in which the venue sends kinds:
//
//	48 trades ► 37 volume ► 47 orders ► 46 levels with orders ► 51 statistics ► 46 implied ► or an empty 46
//	LastTrade   LastVolume  ───────────── LastQuote             LastStats       LastImplied   EndOfEvent
//
// EndOfEvent is on the last message, or on an empty one behind it.
type event struct {
	time    uint64
	trades  []mdp3.WireTrade
	fills   []mdp3.WireFill
	volumes []mdp3.WireVolume
	alone   []mdp3.WireOrderLevel
	levels  []mdp3.WireLevel
	orders  []mdp3.WireOrder
	stats   []mdp3.WireStatistic
	implied []mdp3.WireLevel
	daily   []mdp3.WireStatistic
	limits  []mdp3.WireLimits

	of, ofTrades, ofVolumes, ofStats, ofImplied, ofRest []*instrument // whose the entries are, in step with them

	split    bool // orders come by themselves even where a level's entry could name them
	empty    bool // an empty message closes the event
	recovery byte // WireRecovery, or nothing
	was      []resting
	starts   []int
}

func (e *event) reset(now uint64) {
	e.time = now
	e.trades, e.fills, e.volumes, e.alone, e.levels = e.trades[:0], e.fills[:0], e.volumes[:0], e.alone[:0], e.levels[:0]
	e.orders, e.stats, e.implied, e.daily, e.limits = e.orders[:0], e.stats[:0], e.implied[:0], e.daily[:0], e.limits[:0]
	e.of, e.ofTrades, e.ofVolumes, e.ofStats, e.ofImplied, e.ofRest = e.of[:0], e.ofTrades[:0], e.ofVolumes[:0], e.ofStats[:0], e.ofImplied[:0], e.ofRest[:0]
	e.split, e.empty, e.recovery = false, false, 0
}

// number gives an instrument's next entry its number.
func (e *event) number(x *instrument) uint32 {
	x.rpt++
	x.last, x.active = e.time, true
	return x.rpt
}

// numbers gives the entries their RptSeq, in the order of the wire.
func (e *event) numbers() {
	for i := range e.trades {
		e.trades[i].RptSeq = e.number(e.ofTrades[i])
	}
	for i := range e.volumes {
		e.volumes[i].RptSeq = e.number(e.ofVolumes[i])
	}
	for i := range e.levels {
		e.levels[i].RptSeq = e.number(e.of[i])
	}
	for i := range e.stats {
		e.stats[i].RptSeq = e.number(e.ofStats[i])
	}
	for i := range e.implied {
		e.implied[i].RptSeq = e.number(e.ofImplied[i])
	}
	for i := range e.daily {
		e.daily[i].RptSeq = e.number(e.ofRest[i])
	}
	for i := range e.limits {
		e.limits[i].RptSeq = e.number(e.ofRest[len(e.daily)+i])
	}
}

// mostAlone is how many entries template 47 has at most: a message never spans packets.
const mostAlone = 30

// encode appends the event's messages and says how many there are.
func (e *event) encode(dst []byte, g *Gen) (out []byte, n int) {
	v, long := g.v, g.o.LongQty
	e.numbers()
	e.starts = e.starts[:0]
	begin := func() { e.starts = append(e.starts, len(dst)) }
	book := func(bits byte, levels []mdp3.WireLevel, orders []mdp3.WireOrder) {
		begin()
		if long {
			dst = v.AppendBookLong(dst, e.time, bits|e.recovery, levels, orders)
		} else {
			dst = v.AppendBook(dst, e.time, bits|e.recovery, levels, orders)
		}
	}
	if len(e.trades) > 0 {
		begin()
		if long {
			dst = v.AppendTradesLong(dst, e.time, mdp3.WireLastTrade, e.trades, e.fills)
		} else {
			dst = v.AppendTrades(dst, e.time, mdp3.WireLastTrade, e.trades, e.fills)
		}
	}
	if len(e.volumes) > 0 {
		begin()
		if long {
			dst = v.AppendVolumeLong(dst, e.time, mdp3.WireLastVolume|e.recovery, e.volumes)
		} else {
			dst = v.AppendVolume(dst, e.time, mdp3.WireLastVolume|e.recovery, e.volumes)
		}
	}
	for alone := e.alone; len(alone) > 0; {
		begin()
		bits, n := byte(0), min(len(alone), mostAlone)
		if len(e.levels) == 0 && n == len(alone) {
			bits = mdp3.WireLastQuote
		}
		dst = v.AppendOrders(dst, e.time, bits|e.recovery, alone[:n])
		alone = alone[n:]
	}
	if len(e.levels) > 0 {
		book(mdp3.WireLastQuote, e.levels, e.orders)
	}
	if len(e.stats) > 0 {
		begin()
		if long {
			dst = v.AppendStatisticsLong(dst, e.time, mdp3.WireLastStats|e.recovery, e.stats)
		} else {
			dst = v.AppendStatistics(dst, e.time, mdp3.WireLastStats|e.recovery, e.stats)
		}
	}
	if len(e.implied) > 0 {
		book(mdp3.WireLastImplied, e.implied, nil)
	}
	if len(e.daily) > 0 {
		begin()
		dst = v.AppendDaily(dst, e.time, e.recovery, e.daily)
	}
	if len(e.limits) > 0 {
		begin()
		dst = v.AppendLimits(dst, e.time, e.recovery, e.limits)
	}
	if e.empty {
		book(0, nil, nil)
	}
	if len(e.starts) > 0 {
		dst[e.starts[len(e.starts)-1]+18] |= mdp3.WireEndOfEvent
	}
	return dst, len(e.starts)
}
