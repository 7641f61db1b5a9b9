//go:build wasip1

// Flags (or refuses) orders and trades whose price is further than band_bp basis points from the instrument's last trade. The trade itself is the last one from
// then on, so the band follows the market whatever was said of it. Before an instrument's first trade there is nothing to go by.
package main

import tickwire "github.com/tickwire/tickwire/plugins/sdk/go"

var (
	rows       = tickwire.NewLayout(1024)
	kind       = tickwire.Read[uint8](rows, tickwire.Kind)
	instrument = tickwire.Read[uint32](rows, tickwire.InstrumentID)
	price      = tickwire.Read[int64](rows, tickwire.Price)
	rowCtl     = tickwire.Write[uint8](rows, tickwire.RowCtl)
	reason     = tickwire.Write[uint8](rows, tickwire.Reason)
)

// Last trades: an open hash of instruments, 0 is a free slot. One that finds no slot within probes is not judged, and counted.
const (
	slotBits = 14
	slots    = 1 << slotBits
	probes   = 16
)

var last struct {
	instrument [slots]uint32
	price      [slots]int64
}

const outsideBand = 0

var (
	bandBP  int64
	verdict uint8
)

func init() {
	tickwire.Units(rows)
	tickwire.OnInit(func(p tickwire.Params) error {
		bandBP, verdict = p.Int("band_bp"), tickwire.Flag
		if p.Bool("refuse") {
			verdict = tickwire.Refuse
		}
		return nil
	})
}

func lastOf(id uint32) *int64 {
	at := id * 2654435761 >> (32 - slotBits)
	for range probes {
		if last.instrument[at] == 0 {
			last.instrument[at] = id
		}
		if last.instrument[at] == id {
			return &last.price[at]
		}
		at = (at + 1) % slots
	}
	return nil
}

func outside(px, ref int64) bool {
	apart := uint64(px) - uint64(ref)
	if px < ref {
		apart = -apart
	}
	return ref > 0 && apart > uint64(ref/10000*bandBP)
}

//go:wasmexport tw_validate
func validate(unit, n int32) int32 {
	notKept := int32(0)
	for i := range n {
		trade := false
		switch kind[i] {
		case tickwire.KindExec, tickwire.KindExecAt, tickwire.KindTrade:
			trade = true
		case tickwire.KindAdd, tickwire.KindReplace, tickwire.KindModify:
		default:
			continue
		}
		if instrument[i] == 0 || price[i] == tickwire.UndefPrice {
			continue
		}
		ref := lastOf(instrument[i])
		if ref == nil {
			tickwire.Metric("untracked", 1)
			continue
		}
		if outside(price[i], *ref) {
			rowCtl[i], reason[i] = verdict, outsideBand
			notKept++
		}
		if trade {
			*ref = price[i]
		}
	}
	return notKept
}

func main() {}
