package mdp3

import (
	"math"
	"time"

	"github.com/tickwire/tickwire/parsers/mdp3/sbe"
	"github.com/tickwire/tickwire/parsers/mdp3/wire"
	"github.com/tickwire/tickwire/tick"
)

// Instrument definitions (templates 54 to 58, 63; 27, 29, 41) become DBN definitions: one row, for spreads one a leg (LegCount, LegIndex). Fields of the
// nine templates have the same names at different places, so they are found by name. Fields that are prices of the instrument are multiplied by the DisplayFactor beside
// them (price.go); amounts of money, quantities and ratios are not. What a definition says beyond DBN's record becomes rows behind
// it: settlement price, open interest and cleared volume are statistics, the state (of the replay feed's definitions only) is a status.

// isPrice are those of numbers that are prices of the instrument.
var isPrice = map[string]bool{"MinPriceIncrement": true, "HighLimitPrice": true, "LowLimitPrice": true, "MaxPriceVariation": true, "StrikePrice": true}

// numbers are fields of a root block that are integers or decimals, and where they go. Decimals come in 1e-9.
var numbers = []struct {
	name string
	set  func(d *tick.Definition, v int64)
}{
	{"MinPriceIncrement", func(d *tick.Definition, v int64) { d.MinPriceIncrement = v }},
	{"DisplayFactor", func(d *tick.Definition, v int64) { d.DisplayFactor = v }},
	{"HighLimitPrice", func(d *tick.Definition, v int64) { d.HighLimitPrice = v }},
	{"LowLimitPrice", func(d *tick.Definition, v int64) { d.LowLimitPrice = v }},
	{"MaxPriceVariation", func(d *tick.Definition, v int64) { d.MaxPriceVariation = v }},
	{"UnitOfMeasureQty", func(d *tick.Definition, v int64) { d.UnitOfMeasureQty = v }},
	{"MinPriceIncrementAmount", func(d *tick.Definition, v int64) { d.MinPriceIncrementAmount = v }},
	{"PriceRatio", func(d *tick.Definition, v int64) { d.PriceRatio = v }},
	{"StrikePrice", func(d *tick.Definition, v int64) { d.StrikePrice = v }},
	{"MarketSegmentID", func(d *tick.Definition, v int64) { d.MarketSegmentID = uint32(v) }},
	{"MaxTradeVol", func(d *tick.Definition, v int64) { d.MaxTradeVol = uint32(v) }},
	{"MinTradeVol", func(d *tick.Definition, v int64) { d.MinTradeVol = uint32(v) }},
	{"ContractMultiplier", func(d *tick.Definition, v int64) { d.ContractMultiplier = int32(v) }},
	{"DecayQuantity", func(d *tick.Definition, v int64) { d.DecayQuantity = int32(v) }},
	{"OriginalContractSize", func(d *tick.Definition, v int64) { d.OriginalContractSize = int32(v) }},
	{"ApplID", func(d *tick.Definition, v int64) { d.ApplID = int16(v) }},
	{"DecayStartDate", func(d *tick.Definition, v int64) { d.DecayStartDate = uint16(v) }},
	{"MainFraction", func(d *tick.Definition, v int64) { d.MainFraction = uint8(v) }},
	{"SubFraction", func(d *tick.Definition, v int64) { d.SubFraction = uint8(v) }},
	{"PriceDisplayFormat", func(d *tick.Definition, v int64) { d.PriceDisplayFormat = uint8(v) }},
	{"UnderlyingProduct", func(d *tick.Definition, v int64) { d.UnderlyingProduct = uint8(v) }},
	{"ContractMultiplierUnit", func(d *tick.Definition, v int64) { d.ContractMultiplierUnit = int8(v) }},
	{"FlowScheduleType", func(d *tick.Definition, v int64) { d.FlowScheduleType = int8(v) }},
	{"TickRule", func(d *tick.Definition, v int64) { d.TickRule = uint8(v) }},
	{"MatchAlgorithm", func(d *tick.Definition, v int64) { d.MatchAlgorithm = byte(v) }},
	{"SecurityUpdateAction", func(d *tick.Definition, v int64) { d.SecurityUpdateAction = byte(v) }},
	{"UserDefinedInstrument", func(d *tick.Definition, v int64) { d.UserDefinedInstrument = byte(v) }},
	{"PutOrCall", func(d *tick.Definition, v int64) { d.InstrumentClass = [2]byte{'P', 'C'}[v&1] }},
	// A bond says when it matures as a date, the others as parts of one.
	{"MaturityDate", func(d *tick.Definition, v int64) {
		year, month, date := time.Unix(v*86400, 0).UTC().Date()
		d.MaturityYear, d.MaturityMonth, d.MaturityDay = uint16(year), uint8(month), uint8(date)
	}},
}

// texts are fields of a root block that are names, and where they go.
var texts = []struct {
	name string
	to   func(d *tick.Definition) []byte
}{
	{"Symbol", func(d *tick.Definition) []byte { return d.RawSymbol[:] }},
	{"SecurityGroup", func(d *tick.Definition) []byte { return d.Group[:] }},
	{"SecurityExchange", func(d *tick.Definition) []byte { return d.Exchange[:] }},
	{"Asset", func(d *tick.Definition) []byte { return d.Asset[:] }},
	{"CFICode", func(d *tick.Definition) []byte { return d.Cfi[:] }},
	{"SecurityType", func(d *tick.Definition) []byte { return d.SecurityType[:] }},
	{"SecuritySubType", func(d *tick.Definition) []byte { return d.Secsubtype[:] }},
	{"Currency", func(d *tick.Definition) []byte { return d.Currency[:] }},
	{"SettlCurrency", func(d *tick.Definition) []byte { return d.SettlCurrency[:] }},
	{"StrikeCurrency", func(d *tick.Definition) []byte { return d.StrikePriceCurrency[:] }},
	{"UnitOfMeasure", func(d *tick.Definition) []byte { return d.UnitOfMeasure[:] }},
}

// definitionPlan is one template's fields, in the order of the tables; nil where it has none.
type definitionPlan struct {
	message *sbe.Message
	class   byte // DBN instrument_class where nothing says more
	numbers []*sbe.Field
	texts   []*sbe.Field

	id, updated, reports, status, factor, reference, referenceDate, settl, interest, cleared, maturity *sbe.Field
}

func (d *Decoder) planDefinitions() {
	for _, t := range []struct {
		id    uint16
		class byte
	}{
		{DefinitionFuture, 'F'}, {OldDefinitionFuture, 'F'}, {DefinitionOption, ' '}, {OldDefinitionOption, ' '}, {DefinitionSpread, 'M'}, {OldDefinitionSpread, 'M'},
		{DefinitionFixedIncome, 'B'}, {DefinitionRepo, 'B'}, {DefinitionFX, 'X'},
	} {
		m := wire.Schema().Message(t.id)
		p := definitionPlan{message: m, class: t.class, id: m.Field("SecurityID"), updated: m.Field("LastUpdateTime"), reports: m.Field("TotNumReports"),
			status: m.Field("MDSecurityTradingStatus"), factor: m.Field("DisplayFactor"), reference: m.Field("TradingReferencePrice"), referenceDate: m.Field("TradingReferenceDate"),
			settl: m.Field("SettlPriceType"), interest: m.Field("OpenInterestQty"), cleared: m.Field("ClearedVolume"), maturity: m.Field("MaturityMonthYear")}
		for i := range numbers {
			p.numbers = append(p.numbers, m.Field(numbers[i].name))
		}
		for i := range texts {
			f := m.Field(texts[i].name)
			if f != nil && (f.Type.Kind != sbe.Text || f.Type.Size >= len(texts[i].to(&tick.Definition{}))) {
				f = nil // a repo's sub type is a number
			}
			p.texts = append(p.texts, f)
		}
		d.definitions = append(d.definitions, p)
	}
}

// decimalE9 is a decimal in 1e-9, and a number as it is.
func decimalE9(t *sbe.Type, v int64) (int64, bool) {
	if t.Kind != sbe.Decimal {
		return v, true
	}
	for range t.Exponent + 9 {
		if v > math.MaxInt64/10 || v < math.MinInt64/10 {
			return 0, false
		}
		v *= 10
	}
	return v, true
}

// definition decodes a definition of any kind.
func (d *Decoder) definition(m Message, out *tick.Batch) error {
	var p *definitionPlan
	for i := range d.definitions {
		if d.definitions[i].message.ID == m.Template() {
			p = &d.definitions[i]
		}
	}
	var room [9]sbe.Part
	parts, _, err := p.message.Split(room[:0], m.Body(), m.BlockLength(), m.Version())
	if err != nil {
		return errGroup
	}
	for i := range parts {
		g := &parts[i]
		switch {
		case g.Group == nil && g.Length < p.message.Required(p.message.Since):
			return errBlock
		case g.Group != nil && g.Count > 0 && g.Length < g.Block.Required(max(p.message.Since, g.Group.Since)):
			return errGroup
		}
	}
	block, version := parts[0].Data, m.Version()
	id, _ := integer(p.id, block, version)
	updated, _ := integer(p.updated, block, version)
	_, replayed := integer(p.reports, block, version)
	f, err := d.definitionFactor(p, block, version)
	if err != nil {
		return err
	}
	v := tick.UndefDefinition
	v.InstrumentClass, v.RawInstrumentID, v.ChannelID = p.class, uint64(uint32(id)), d.opts.Channel
	n := d.of.find(uint32(id))
	if updated = max(updated, 0); d.outdated(n, f, updated, replayed, out) {
		d.Counters.Older++
		if updated > d.of.about[n].updated { // it is news to this decoder alone
			d.of.about[n].updated = updated
			p.fields(&v, &f, block, version, new(uint64))
			if legs := p.groups(&v, parts, version); legs != nil {
				v.InstrumentClass = d.spreadClass(&v, legs)
			}
			d.learn(n, &v, block, p)
		}
		return nil
	}
	p.fields(&v, &f, block, version, &d.Counters.Inexact)
	settled := d.definitionSettlement(p, &f, block, version)
	d.of.about[n].updated = max(updated, d.of.about[n].updated)
	var first int
	_ = d.beside(uint64(updated), func() error {
		d.define(&d.of.slots[n], f, updated, out)
		first = out.N // what empties books there is no snapshot's
		legs := p.groups(&v, parts, version)
		d.learn(n, &v, block, p)
		if legs != nil {
			v.InstrumentClass = d.spreadClass(&v, legs)
			d.of.about[n].class = v.InstrumentClass
		}
		d.definitionRows(out, &d.of.slots[n], &v, legs)
		d.definitionFigures(p, out, &d.of.slots[n], settled, block, version)
		return nil
	})
	if replayed {
		flagSnapshot(out, first)
	}
	return nil
}

// outdated says that a newer definition of an instrument is known than one of a factor and a time, 0: it does not say. Rounds of the loop come behind what the channel has told meanwhile
// (sheet section 11). Of two that are as new the channel's order tells; one of the loop is the other one again, or of another factor, and then nothing says that it is newer. What another
// decoder was told holds here from now on.
func (d *Decoder) outdated(n uint32, f factor, updated int64, replayed bool, out *tick.Batch) bool {
	s := &d.of.slots[n]
	newest := told{s.factor(), d.of.about[n].updated}
	elsewhere := false
	if d.of.share != nil {
		if t, ok := d.of.share.get(s.id); ok && t.updated > newest.updated {
			newest, elsewhere = t, true
		}
	}
	older := updated != 0 && (updated < newest.updated || updated == newest.updated && replayed && f != newest.f)
	if older && elsewhere {
		_ = d.beside(uint64(newest.updated), func() error {
			d.define(s, newest.f, newest.updated, out)
			return nil
		})
	}
	return older
}

// definitionFactor is the factor of prices to come.
func (d *Decoder) definitionFactor(p *definitionPlan, block []byte, version uint16) (f factor, err error) {
	if d.opts.Prices != PricesConventional {
		return one, nil
	}
	raw, _ := integer(p.factor, block, version)
	display, fits := decimalE9(p.factor.Type, raw)
	if !fits {
		return unknown, errPrice
	}
	if f, fits = factorOf(display); !fits {
		return unknown, errFactor
	}
	return f, nil
}

// definitionSettlement is the settlement price in the root block, UndefPrice: none, or it is inexact.
func (d *Decoder) definitionSettlement(p *definitionPlan, f *factor, block []byte, version uint16) int64 {
	raw, ok := integer(p.reference, block, version)
	if !ok {
		return tick.UndefPrice
	}
	px, fits := decimalE9(p.reference.Type, raw)
	if fits {
		px, fits = f.price(px)
	}
	if !fits {
		d.Counters.Inexact++
		return tick.UndefPrice
	}
	return px
}

// fields fills in what the root block says. What is inexact stays undefined, and is counted.
func (p *definitionPlan) fields(v *tick.Definition, by *factor, block []byte, version uint16, inexact *uint64) {
	for i, f := range p.numbers {
		if f == nil {
			continue
		}
		if f.Type.Kind == sbe.Text { // one character
			if text, _ := f.Text(block, version); len(text) == 1 {
				numbers[i].set(v, int64(text[0]))
			}
			continue
		}
		if raw, ok := f.Int(block, version); ok {
			value, fits := decimalE9(f.Type, raw)
			if fits && isPrice[numbers[i].name] {
				value, fits = by.price(value)
			}
			if !fits {
				*inexact++
				continue
			}
			numbers[i].set(v, value)
		}
	}
	for i, f := range p.texts {
		if f != nil {
			text, _ := f.Text(block, version)
			copy(texts[i].to(v), text)
		}
	}
	if f := p.maturity; f != nil {
		b := block[f.Offset:]
		for i := range f.Type.Members {
			member := &f.Type.Members[i]
			raw, ok := member.Raw(b, version)
			if !ok {
				continue
			}
			switch member.Name {
			case "year":
				v.MaturityYear = uint16(raw)
			case "month":
				v.MaturityMonth = uint8(raw)
			case "day":
				v.MaturityDay = uint8(raw)
			case "week":
				v.MaturityWeek = uint8(raw)
			}
		}
	}
}

// learn remembers what group states and later spreads ask of an instrument.
func (d *Decoder) learn(n uint32, v *tick.Definition, block []byte, p *definitionPlan) {
	s, a := &d.of.slots[n], &d.of.about[n]
	group, asset := p.message.Field("SecurityGroup"), p.message.Field("Asset")
	a.group, a.asset = pack6(block[group.Offset:]), pack6(block[asset.Offset:])
	a.class, a.under = v.InstrumentClass, v.UnderlyingID
	s.flags |= defined
	if v.SecurityUpdateAction == 'D' {
		s.flags &^= defined
	}
	copy(a.symbol[:], v.RawSymbol[:20])
}

// definitionFigures makes rows of what DBN's definition has no field for and its statistics and status have.
func (d *Decoder) definitionFigures(p *definitionPlan, out *tick.Batch, s *instrument, settled int64, block []byte, version uint16) {
	if settled != tick.UndefPrice {
		v := d.stat(out, s, statSettlement, settled, tick.UndefQuantity, 0)
		if date, ok := integer(p.referenceDate, block, version); ok {
			v.TsRef = day(uint16(date))
		}
		if settl, ok := integer(p.settl, block, version); ok {
			v.StatFlags = settlementFlags(statSettlement, uint8(settl))
		}
	}
	if n, ok := integer(p.interest, block, version); ok {
		d.stat(out, s, statOpenInterest, tick.UndefPrice, n, 0)
	}
	if n, ok := integer(p.cleared, block, version); ok {
		d.stat(out, s, statCleared, tick.UndefPrice, n, 0)
	}
	_, replayed := integer(p.reports, block, version)
	if status, ok := integer(p.status, block, version); ok && replayed {
		v := state(uint8(status), 5, 0)
		d.statusRow(out, s, &v)
	}
}

// Defines says that a message is an instrument's definition.
func Defines(m Message) bool {
	switch m.Template() {
	case DefinitionFuture, DefinitionOption, DefinitionSpread, DefinitionFixedIncome, DefinitionRepo, DefinitionFX, OldDefinitionFuture, OldDefinitionOption, OldDefinitionSpread:
		return m.Schema() == SchemaID
	}
	return false
}

// Replayed says that a message is a definition as the instrument replay feed has it, over and over: TotNumReports says of how many.
func Replayed(m Message) bool {
	if !Defines(m) || m.BlockLength() > len(m)-MessageBytes {
		return false
	}
	_, ok := integer(wire.Schema().Message(m.Template()).Field("TotNumReports"), m.Body()[:m.BlockLength()], m.Version())
	return ok
}

// AppendRefresh takes one message that is outside the channel's numbers: a definition, as the instrument replay feed sends them, or as they were recorded before. Its rows have
// FlagSnapshot, and sequence (pipeline.asideDecoder). Others become no rows. out must have room for 1,024 rows and 516 side rows, else nothing is taken.
func (d *Decoder) AppendRefresh(b []byte, sequence uint64, max int, out *tick.Batch) (used, messages int) {
	m, used := Next(b)
	if used == 0 || max < 1 || out.N > tick.MaxRows-roomRows || sidesFull(&out.Sides) {
		return 0, 0
	}
	if first := out.N; Defines(m) {
		d.Counters.Messages++
		if d.alone(m, sequence, out, func(m Message) error { return d.definition(m, out) }) == nil { // else it is counted as refused
			flagSnapshot(out, first)
		}
	}
	return used, 1
}
