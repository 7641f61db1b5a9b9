package mdp3

import (
	"encoding/binary"

	"github.com/tickwire/tickwire/parsers/mdp3/wire"
	"github.com/tickwire/tickwire/tick"
)

// A state (templates 30 and 60) is one instrument's, or that of a product (Asset) within a group, or a whole group's: then every instrument gets
// a row of its own whose definition put it there. A group of which no definition came is told by one row of instrument 0, and counted.

// Actions, reasons and events of DBN (section 4.10) that package tick has no name for.
const (
	statusPreCross   uint16 = 2
	statusNewPrice   uint16 = 6
	reasonActivation uint16 = 4
	reasonExpiration uint16 = 5
	reasonRecovery   uint16 = 6
	eventNoCancel    uint16 = 1
	eventSession     uint16 = 2
	eventImpliedOn   uint16 = 3
	eventImpliedOff  uint16 = 4
)

// state is SecurityTradingStatus, HaltReason and SecurityTradingEvent as DBN has them. No change (103), unknown (20) and null are no action.
func state(status, reason, event uint8) (s tick.Status) {
	s.IsTrading, s.IsQuoting, s.IsShortSellRestricted = '~', '~', '~'
	switch status {
	case 2:
		s.Action, s.IsTrading = tick.StatusHalt, 'N'
	case 4:
		s.Action, s.IsTrading, s.IsQuoting = tick.StatusClose, 'N', 'N'
	case 15:
		s.Action, s.IsTrading = statusNewPrice, 'N'
	case 17, 201, 202: // ready to trade, and BrokerTec's workups, which are trading too
		s.Action, s.IsTrading, s.IsQuoting = tick.StatusTrading, 'Y', 'Y'
	case 18:
		s.Action, s.IsTrading, s.IsQuoting = tick.StatusNotAvail, 'N', 'N'
	case 21:
		s.Action, s.IsTrading, s.IsQuoting = tick.StatusPreOpen, 'N', 'Y'
	case 24:
		s.Action = statusPreCross
	case 25:
		s.Action = tick.StatusCross
	case 26:
		s.Action, s.IsTrading = tick.StatusPostClose, 'N'
	}
	switch reason {
	case 0, 7: // group schedule, trade date roll
		s.Reason = tick.ReasonScheduled
	case 1:
		s.Reason = tick.ReasonSurveillance
	case 2:
		s.Reason = tick.ReasonMarketEvent
	case 3:
		s.Reason = reasonActivation
	case 4:
		s.Reason = reasonExpiration
	case 6:
		s.Reason = reasonRecovery
	}
	switch event {
	case 1:
		s.TradingEvent = eventNoCancel
	case 4: // statistics of the session begin anew
		s.TradingEvent = eventSession
	case 5:
		s.TradingEvent = eventImpliedOn
	case 6:
		s.TradingEvent = eventImpliedOff
	}
	return s
}

func (d *Decoder) statusRow(out *tick.Batch, s *instrument, v *tick.Status) {
	i := d.row(out, s, tick.KindStatus)
	k := out.Sides.Statuses
	out.Statuses[k] = *v
	out.Statuses[k].Header = header(i, out, 10, tick.RTypeStatus)
	out.Sides.Statuses++
	out.Aux[i] = tick.SideRows(k, 1)
}

// pack6 packs a name of six characters.
func pack6(b []byte) uint64 {
	return uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint16(b[4:]))<<32
}

// securityStatus decodes template 30.
func (d *Decoder) securityStatus(m Message, out *tick.Batch) error {
	block, _, ok := root(m, len(wire.SecurityStatus30{}))
	if !ok {
		return errBlock
	}
	e := (*wire.SecurityStatus30)(block)
	d.begin(e.TransactTime(), out)
	v := state(e.SecurityTradingStatus(), e.HaltReason(), e.SecurityTradingEvent())
	if id := e.SecurityID(); id != maxNull32 {
		d.statusRow(out, &d.of.slots[d.of.find(uint32(id))], &v)
	} else {
		d.todo.status, d.todo.group, d.todo.asset, d.todo.found = v, pack6(e.SecurityGroup()), pack6(e.Asset()), false
		d.todo.kinds |= sweepStatus
	}
	d.end(e.MatchEventIndicator())
	return nil
}

// workup decodes template 60: the state of a BrokerTec workup, with its price and orders.
func (d *Decoder) workup(m Message, out *tick.Batch) error {
	block, rest, ok := root(m, len(wire.SecurityStatusWorkup60{}))
	if !ok {
		return errBlock
	}
	orders, _, ok := group(rest, narrow, len(wire.SecurityStatusWorkup60OrderIDEntries{}))
	if !ok {
		return errGroup
	}
	e := (*wire.SecurityStatusWorkup60)(block)
	d.begin(e.TransactTime(), out)
	s := &d.of.slots[d.of.find(uint32(e.SecurityID()))]
	v := state(e.SecurityTradingStatus(), e.HaltReason(), e.SecurityTradingEvent())
	d.statusRow(out, s, &v)
	px, ok := s.optional(e.MDEntryPx(), 1)
	if !ok {
		if err := d.unpriced(s, e.MDEntryPx()); err != nil {
			return err
		}
	}
	i := d.row(out, s, tick.KindExt)
	if ok {
		d.ext(out, i, SecurityStatusWorkup, 270, uint64(px))
	}
	d.ext(out, i, SecurityStatusWorkup, 820, uint64(e.TradeLinkID()))
	for k := range orders.n {
		b := orders.at(k)
		o := (*wire.SecurityStatusWorkup60OrderIDEntries)(b)
		i := d.row(out, s, tick.KindExt)
		d.ext(out, i, SecurityStatusWorkup, 37, o.OrderID())
		d.ext(out, i, SecurityStatusWorkup, 54, uint64(o.Side()))
		if aggressor, ok := wire.SecurityStatusWorkup60OrderIDEntriesAggressorIndicator(b); ok {
			d.ext(out, i, SecurityStatusWorkup, 1057, uint64(aggressor))
		}
	}
	d.end(e.MatchEventIndicator())
	return nil
}

// quoteRequest decodes template 39: who asks for a quote of what.
func (d *Decoder) quoteRequest(m Message, out *tick.Batch) error {
	block, rest, ok := root(m, len(wire.QuoteRequest39{}))
	if !ok {
		return errBlock
	}
	asked, _, ok := group(rest, narrow, len(wire.QuoteRequest39RelatedSym{}))
	if !ok {
		return errGroup
	}
	e := (*wire.QuoteRequest39)(block)
	d.begin(e.TransactTime(), out)
	for k := range asked.n {
		b := asked.at(k)
		r := (*wire.QuoteRequest39RelatedSym)(b)
		side, sided := wire.QuoteRequest39RelatedSymSide(b)
		i := d.row(out, &d.of.slots[d.of.find(uint32(r.SecurityID()))], tick.KindExt)
		if size := r.OrderQty(); size != maxNull32 {
			d.ext(out, i, QuoteRequest, 38, uint64(size))
		}
		if sided {
			d.ext(out, i, QuoteRequest, 54, uint64(side))
		}
		d.ext(out, i, QuoteRequest, 537, uint64(r.QuoteType()))
	}
	d.end(e.MatchEventIndicator())
	return nil
}

// collateral decodes template 62: prices of repo collateral, which has no SecurityID, hence no DisplayFactor: as on the wire.
func (d *Decoder) collateral(m Message, out *tick.Batch) error {
	group, indicator, err := d.entriesOf(m, len(wire.CollateralMarketValue62MDEntries{}), out)
	if err != nil {
		return err
	}
	for k := range group.n {
		e := (*wire.CollateralMarketValue62MDEntries)(group.at(k))
		name := e.UnderlyingSecurityAltID()
		i := d.aside(out, tick.KindExt)
		d.ext(out, i, CollateralMarketValue, 37519, e.UnderlyingInstrumentGUID())
		d.ext(out, i, CollateralMarketValue, 2689, uint64(e.CollateralMarketPrice()))
		d.ext(out, i, CollateralMarketValue, 37001, uint64(e.DirtyPrice()))
		i = d.aside(out, tick.KindExt)
		d.ext(out, i, CollateralMarketValue, 458, binary.LittleEndian.Uint64(name))
		d.ext(out, i, CollateralMarketValue, 458, uint64(binary.LittleEndian.Uint32(name[8:])))
		d.ext(out, i, CollateralMarketValue, 459, uint64(e.UnderlyingSecurityAltIDSource()))
	}
	d.end(indicator)
	return nil
}
