package mdp3

import (
	"math"

	"github.com/tickwire/tickwire/parsers/mdp3/wire"
	"github.com/tickwire/tickwire/tick"
)

// Electronic volume, limit prices and price bands.

// volume decodes template 37: the electronic volume of the session.
func (d *Decoder) volume(m Message, out *tick.Batch) error { return d.volumesFrom(m, 0, out) }

// volumesFrom is volume from an entry on.
func (d *Decoder) volumesFrom(m Message, entry int, out *tick.Batch) error {
	group, indicator, err := d.entriesOf(m, len(wire.MDIncrementalRefreshVolume37MDEntries{}), out)
	if err != nil {
		return err
	}
	for i := entry; i < group.n; i++ {
		e := (*wire.MDIncrementalRefreshVolume37MDEntries)(group.at(i))
		s := &d.of.slots[d.of.find(uint32(e.SecurityID()))]
		d.report(s, e.RptSeq())
		d.stat(out, s, statVolume, tick.UndefPrice, int64(e.MDEntrySize()), e.MDUpdateAction())
	}
	d.end(indicator)
	return nil
}

// volumeLong decodes template 66.
func (d *Decoder) volumeLong(m Message, out *tick.Batch) error {
	group, indicator, err := d.entriesOf(m, len(wire.MDIncrementalRefreshVolumeLongQty66MDEntries{}), out)
	if err != nil {
		return err
	}
	for i := range group.n {
		e := (*wire.MDIncrementalRefreshVolumeLongQty66MDEntries)(group.at(i))
		s := &d.of.slots[d.of.find(uint32(e.SecurityID()))]
		d.report(s, e.RptSeq())
		if e.MDEntrySize() >= math.MaxInt64 {
			return errSize
		}
		d.stat(out, s, statVolume, tick.UndefPrice, int64(e.MDEntrySize()), e.MDUpdateAction())
	}
	d.end(indicator)
	return nil
}

// limits decodes templates 50 and 34: two figures, and the price band, for which DBN has none. A limit that is null is taken away.
func (d *Decoder) limits(m Message, scale int64, out *tick.Batch) error {
	group, indicator, err := d.entriesOf(m, len(wire.MDIncrementalRefreshLimitsBanding50MDEntries{}), out)
	if err != nil {
		return err
	}
	for i := range group.n {
		e := (*wire.MDIncrementalRefreshLimitsBanding50MDEntries)(group.at(i))
		s := &d.of.slots[d.of.find(uint32(e.SecurityID()))]
		d.report(s, e.RptSeq())
		if err := d.limitRows(out, s, m.Template(), scale, e.HighLimitPrice(), e.LowLimitPrice(), e.MaxPriceVariation()); err != nil {
			return err
		}
	}
	d.end(indicator)
	return nil
}

func (d *Decoder) limitRows(out *tick.Batch, s *instrument, template uint16, scale, high, low, band int64) error {
	if s.undefined() && (high != tick.UndefPrice || low != tick.UndefPrice || band != tick.UndefPrice) {
		d.lack(s)
		return nil
	}
	for i, mantissa := range [3]int64{high, low, band} {
		px, ok := s.optional(mantissa, scale)
		switch {
		case !ok:
			if err := d.unpriced(s, mantissa); err != nil {
				return err
			}
		case i == 2:
			d.ext(out, d.row(out, s, tick.KindExt), template, 1143, uint64(px))
		default:
			action := uint8(0)
			if px == tick.UndefPrice {
				action = 2
			}
			d.stat(out, s, [2]uint16{statUpperLimit, statLowerLimit}[i], px, tick.UndefQuantity, action)
		}
	}
	return nil
}
