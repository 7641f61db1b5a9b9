package mdp3

import (
	"math"

	"github.com/tickwire/tickwire/parsers/mdp3/sbe"
	"github.com/tickwire/tickwire/parsers/mdp3/wire"
	"github.com/tickwire/tickwire/tick"
)

// Snapshots of price levels: five templates with the same names at different places.

// snapshotPlan is where a template has what a snapshot says; nil: nowhere.
type snapshotPlan struct {
	message                                              *sbe.Message
	id, rpt, time, lastUpdate, status, high, low, band   *sbe.Field
	px, size, orders, number, date, openFlag, settl, typ *sbe.Field
	scale                                                int64
}

func (d *Decoder) planSnapshots() {
	for _, id := range []uint16{SnapshotFullRefresh, OldSnapshotFullRefresh, SnapshotFullRefreshLongQty, SnapshotFullRefreshTCP, SnapshotFullRefreshTCPLongQty} {
		d.snapshots = append(d.snapshots, planSnapshot(wire.Schema().Message(id)))
	}
}

func (d *Decoder) snapshotPlan(id uint16) *snapshotPlan {
	for i := range d.snapshots {
		if d.snapshots[i].message.ID == id {
			return &d.snapshots[i]
		}
	}
	return nil
}

func planSnapshot(m *sbe.Message) snapshotPlan {
	p := snapshotPlan{message: m, scale: 1}
	for name, f := range map[string]**sbe.Field{"SecurityID": &p.id, "RptSeq": &p.rpt, "TransactTime": &p.time, "LastUpdateTime": &p.lastUpdate,
		"MDSecurityTradingStatus": &p.status, "HighLimitPrice": &p.high, "LowLimitPrice": &p.low, "MaxPriceVariation": &p.band} {
		*f = m.Field(name)
	}
	for name, f := range map[string]**sbe.Field{"MDEntryPx": &p.px, "MDEntrySize": &p.size, "NumberOfOrders": &p.orders, "MDPriceLevel": &p.number,
		"TradingReferenceDate": &p.date, "OpenCloseSettlFlag": &p.openFlag, "SettlPriceType": &p.settl, "MDEntryType": &p.typ} {
		*f = m.Groups[0].Field(name)
	}
	if p.px.Type.Exponent == -7 {
		p.scale = oldScale
	}
	return p
}

// integer reads a field that a template may not have.
func integer(f *sbe.Field, block []byte, version uint16) (int64, bool) {
	if f == nil {
		return 0, false
	}
	return f.Int(block, version)
}

// price reads the mantissa of a price, UndefPrice: null, or there is no such field.
func price(f *sbe.Field, block []byte, version uint16) int64 {
	v, ok := integer(f, block, version)
	if !ok {
		return tick.UndefPrice
	}
	return v
}

// snapshotBook decodes templates 52, 38, 69, 61, 68.
func (d *Decoder) snapshotBook(m Message, out *tick.Batch) error {
	p := d.snapshotPlan(m.Template())
	var room [2]sbe.Part
	parts, _, err := p.message.Split(room[:0], m.Body(), m.BlockLength(), m.Version())
	if err != nil {
		return errGroup
	}
	if len(parts) < 1 || parts[0].Length < p.message.Required(p.message.Since) {
		return errBlock
	}
	if len(parts) < 2 || parts[1].Count > 0 && parts[1].Length < p.message.Groups[0].Required(p.message.Since) {
		return errGroup
	}
	head, version := parts[0].Data, m.Version()
	id, _ := integer(p.id, head, version)
	time, _ := integer(p.time, head, version)
	s := &d.of.slots[d.of.find(uint32(id))]
	if s.undefined() { // a book without its levels would be a wrong one
		d.lack(s)
		return nil
	}
	first := out.N
	err = d.beside(uint64(time), func() error {
		d.clear(out, s, BookLevels)
		if err := d.whole(s, chainLevels, true, func() error { return d.snapshotLevels(p, &parts[1], version, s, out) }); err != nil {
			return err
		}
		if err := d.snapshotFigures(p, &parts[1], version, s, out); err != nil {
			return err
		}
		high, low, band := price(p.high, head, version), price(p.low, head, version), price(p.band, head, version)
		if high != tick.UndefPrice || low != tick.UndefPrice || band != tick.UndefPrice {
			if err := d.limitRows(out, s, m.Template(), p.scale, high, low, band); err != nil {
				return err
			}
		}
		if status, ok := integer(p.status, head, version); ok {
			v := state(uint8(status), 5, 0)
			d.statusRow(out, s, &v)
		}
		return nil
	})
	if err != nil {
		return err
	}
	flagSnapshot(out, first)
	if rpt, ok := integer(p.rpt, head, version); ok {
		s.rpt, s.flags = uint32(rpt)+1, s.flags&^jumped
	}
	return nil
}

func flagSnapshot(out *tick.Batch, first int) {
	for i := first; i < out.N; i++ {
		out.Flags[i&tick.RowMask] |= tick.FlagSnapshot
	}
}

// snapshotLevels makes rows of the four lists of levels, each from level 1 on, whatever their order on the wire, up to one whose price is inexact.
func (d *Decoder) snapshotLevels(p *snapshotPlan, g *sbe.Part, version uint16, s *instrument, out *tick.Batch) error {
	var at [4][256]uint8 // entry + 1 of a level
	lists := [256]uint8{'0': 1, '1': 2, 'E': 3, 'F': 4}
	var count [4]int
	for k := range g.Count {
		b := g.Entry(k)
		typ, _ := integer(p.typ, b, version)
		list := lists[uint8(typ)]
		if list == 0 {
			continue
		}
		number, ok := integer(p.number, b, version)
		if !ok || number < 1 || number > 254 || at[list-1][number] != 0 {
			return errLevel
		}
		at[list-1][number] = uint8(k) + 1
		count[list-1]++
	}
	for list, typ := range [4]uint8{'0', '1', 'E', 'F'} {
		inexact := d.Counters.Inexact
		for number := 1; number <= count[list] && d.Counters.Inexact == inexact; number++ {
			k := int(at[list][number]) - 1
			if k < 0 {
				return errLevel // a hole: some level of it did not come
			}
			b := g.Entry(k)
			px, ok := integer(p.px, b, version)
			if !ok {
				return errLevel
			}
			size := sizeOf(p.size, b, version)
			orders, _ := integer(p.orders, b, version)
			if err := d.level(out, s, px, p.scale, size, int32(orders), uint8(number), 0, typ); err != nil {
				return err
			}
		}
	}
	return nil
}

// sizeOf is a size as level takes it: null is MaxUint64.
func sizeOf(f *sbe.Field, b []byte, version uint16) uint64 {
	v, ok := f.Raw(b, version)
	if !ok {
		return math.MaxUint64
	}
	return v
}

// snapshotFigures makes rows of the entries that are no levels.
func (d *Decoder) snapshotFigures(p *snapshotPlan, g *sbe.Part, version uint16, s *instrument, out *tick.Batch) error {
	for k := range g.Count {
		b := g.Entry(k)
		typ, _ := integer(p.typ, b, version)
		quantity, ok := quantity64(sizeOf(p.size, b, version))
		if !ok && p.size.Type.Size == 8 {
			return errSize
		}
		flag, _ := integer(p.openFlag, b, version)
		kind := openKind(statKinds[uint8(typ)], uint8(flag))
		if kind == 0 && typ != '2' {
			continue
		}
		mantissa := price(p.px, b, version)
		px, ok := s.optional(mantissa, p.scale)
		if !ok {
			if err := d.unpriced(s, mantissa); err != nil {
				return err
			}
			continue
		}
		if typ == '2' {
			// The last trade is no trade: whoever adds up volume would count it twice.
			i := d.row(out, s, tick.KindExt)
			d.ext(out, i, p.message.ID, 31, uint64(px))
			d.ext(out, i, p.message.ID, 32, uint64(quantity))
			continue
		}
		v := d.stat(out, s, kind, px, quantity, 0)
		if date, ok := integer(p.date, b, version); ok {
			v.TsRef = day(uint16(date))
		}
		if settl, ok := integer(p.settl, b, version); ok {
			v.StatFlags = settlementFlags(kind, uint8(settl))
		}
	}
	return nil
}
