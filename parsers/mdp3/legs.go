package mdp3

import (
	"math"

	"github.com/tickwire/tickwire/parsers/mdp3/sbe"
	"github.com/tickwire/tickwire/tick"
)

// Groups of instrument definitions.

// groups fills in what the groups of a definition say, and gives its legs; nil: it has none.
func (p *definitionPlan) groups(v *tick.Definition, parts []sbe.Part, version uint16) (legs *sbe.Part) {
	for i := range parts {
		g := &parts[i]
		if g.Group == nil || g.Count == 0 {
			continue
		}
		switch g.Group.Name {
		case "NoEvents":
			events(v, g, version)
		case "NoMDFeedTypes":
			depths(v, g, version)
		case "NoInstAttrib":
			if bits, ok := integer(g.Block.Field("InstAttribValue"), g.Entry(0), version); ok {
				v.InstAttribValue = int32(uint32(bits))
			}
		case "NoLotTypeRules":
			lots(v, g, version)
		case "NoUnderlyings":
			if id, ok := integer(g.Block.Field("UnderlyingSecurityID"), g.Entry(0), version); ok {
				v.UnderlyingID = uint32(id)
			}
			text, _ := g.Block.Field("UnderlyingSymbol").Text(g.Entry(0), version)
			copy(v.Underlying[:len(v.Underlying)-1], text)
		case "NoLegs":
			legs = g
		}
	}
	return legs
}

// events are the first and the last moment of trading (EventType 5 and 7).
func events(v *tick.Definition, g *sbe.Part, version uint16) {
	for k := range g.Count {
		b := g.Entry(k)
		typ, _ := integer(g.Block.Field("EventType"), b, version)
		at, _ := integer(g.Block.Field("EventTime"), b, version)
		switch typ {
		case 5:
			v.Activation = uint64(at)
		case 7:
			v.Expiration = uint64(at)
		}
	}
}

// depths are the levels of the real book (GBX) and of the implied one (GBI).
func depths(v *tick.Definition, g *sbe.Part, version uint16) {
	for k := range g.Count {
		b := g.Entry(k)
		feed, _ := g.Block.Field("MDFeedType").Text(b, version)
		depth, ok := integer(g.Block.Field("MarketDepth"), b, version)
		switch {
		case !ok:
		case string(feed) == "GBX":
			v.MarketDepth = int32(depth)
		case string(feed) == "GBI":
			v.MarketDepthImplied = int32(depth)
		}
	}
}

// lots are the smallest sizes, by LotType (tag 1093): 1 odd lot, 2 round lot, 3 block. DBN holds whole numbers; others are left out.
func lots(v *tick.Definition, g *sbe.Part, version uint16) {
	for k := range g.Count {
		b := g.Entry(k)
		typ, _ := integer(g.Block.Field("LotType"), b, version)
		f := g.Block.Field("MinLotSize")
		size, ok := integer(f, b, version)
		if f.Type.Kind == sbe.Decimal {
			for range -f.Type.Exponent {
				ok = ok && size%10 == 0
				size /= 10
			}
		}
		if !ok || size < 0 || size >= math.MaxInt32 {
			continue
		}
		switch typ {
		case 1:
			v.MinLotSize = int32(size)
		case 2:
			v.MinLotSizeRoundLot = int32(size)
		case 3:
			v.MinLotSizeBlock = int32(size)
		}
	}
}

// definitionRows makes a row of a definition, or one for each of its legs.
func (d *Decoder) definitionRows(out *tick.Batch, s *instrument, v *tick.Definition, legs *sbe.Part) {
	if legs == nil {
		d.definitionRow(out, s, v)
		return
	}
	v.LegCount = uint16(legs.Count)
	for k := range legs.Count {
		v.LegIndex = uint16(k)
		d.leg(v, legs.Block, legs.Entry(k))
		d.definitionRow(out, s, v)
	}
}

func (d *Decoder) definitionRow(out *tick.Batch, s *instrument, v *tick.Definition) {
	i := d.row(out, s, tick.KindDefinition)
	k := out.Sides.Definitions
	out.Definitions[k] = *v
	out.Definitions[k].Header = header(i, out, 130, tick.RTypeDefinition)
	out.Sides.Definitions++
	out.Aux[i] = tick.SideRows(k, 1)
}

// leg fills in one leg. Its symbol and class are those of its own definition, where that came before.
func (d *Decoder) leg(v *tick.Definition, block *sbe.Block, b []byte) {
	const always = math.MaxUint16 // fields of legs are as old as their templates
	id, _ := integer(block.Field("LegSecurityID"), b, always)
	side, _ := integer(block.Field("LegSide"), b, always)
	ratio, _ := integer(block.Field("LegRatioQty"), b, always)
	v.LegInstrumentID, v.LegSide = uint32(id), aggressor(uint8(side))
	v.LegRatioQtyNumerator, v.LegRatioQtyDenom = int32(ratio), 1
	v.LegPrice, v.LegDelta = tick.UndefPrice, tick.UndefPrice
	n, met := d.of.known(uint32(id))
	if raw, ok := integer(block.Field("LegPrice"), b, always); ok {
		f := d.of.begin
		if met {
			f = d.of.slots[n].factor() // a price of the leg's, not of the spread's
		}
		px, fits := decimalE9(block.Field("LegPrice").Type, raw)
		if fits {
			v.LegPrice, fits = f.price(px) // UndefPrice where it cannot be told
		}
		if !fits && f.known() {
			d.Counters.Inexact++
		}
	}
	if raw, ok := integer(block.Field("LegOptionDelta"), b, always); ok {
		v.LegDelta, _ = decimalE9(block.Field("LegOptionDelta").Type, raw)
	}
	v.LegRawSymbol, v.LegInstrumentClass, v.LegUnderlyingID = [71]byte{}, 0, 0
	if met && d.of.slots[n].flags&defined != 0 {
		a := &d.of.about[n]
		copy(v.LegRawSymbol[:], a.symbol[:])
		v.LegInstrumentClass, v.LegUnderlyingID = a.class, a.under
	}
}

// spreadClass is a spread's DBN class: S of futures, T of options, M of both. Its legs' definitions decide, else its SecurityType.
func (d *Decoder) spreadClass(v *tick.Definition, legs *sbe.Part) byte {
	futures, options := 0, 0
	for k := range legs.Count {
		id, _ := integer(legs.Block.Field("LegSecurityID"), legs.Entry(k), math.MaxUint16)
		n, ok := d.of.known(uint32(id))
		if !ok {
			continue
		}
		switch d.of.about[n].class {
		case 'F', 'S':
			futures++
		case 'C', 'P', 'T':
			options++
		}
	}
	switch {
	case futures > 0 && options > 0:
		return 'M'
	case futures == legs.Count:
		return 'S'
	case options == legs.Count:
		return 'T'
	}
	switch string(v.SecurityType[:3]) {
	case "FUT":
		return 'S'
	case "OOF", "OPT", "OOC":
		return 'T'
	}
	return 'M'
}
