package xdp

import (
	"bytes"
	"encoding/binary"

	"github.com/tickwire/tickwire/tick"
)

// mapping enters a symbol and makes its definition. A mapping that contradicts itself unmaps the symbol: its older scale may be wrong now.
func (d *Decoder) mapping(m []byte, sequence uint64, out *tick.Batch) {
	index, code := binary.LittleEndian.Uint32(m[4:]), m[24]
	if index == 0 || code > 9 {
		d.c.Contradict++
		if s := d.symbol(index); s != &d.none {
			s.scale = 0
		}
		return
	}
	s := d.enter(index)
	if s == nil {
		d.remember(index)
		return
	}
	known := s.scale != 0
	s.scale, s.system = scales[code], m[22]
	if !known {
		s.rpi, s.next = ' ', 0
		if d.missed(index) {
			s.state |= suspect
			d.c.LateMaps++
			d.doubtOf(index)
		}
	}
	if market := marketID(m); d.market != 0 && market != d.market && market != marketTRF {
		d.c.OtherMarket++
		d.other = market
	}
	i := row(index, sequence, d.now(), out)
	d.define(m, i, known, s, out)
	listing(m, i, s, out)
}

func marketID(m []byte) uint16 { return binary.LittleEndian.Uint16(m[20:]) }

// listing is what a definition has no field for. The close of the day before is no figure of this day's, so it is none of its statistics.
func listing(m []byte, i int, s *symbol, out *tick.Batch) {
	le := binary.LittleEndian
	market, price, shares := uint64(blank(m[23])), int64(tick.UndefPrice), uint64(0)
	if len(m) >= 36 {
		price, shares = priceOrNone(le.Uint32(m[28:]), s.scale), uint64(le.Uint32(m[32:]))
	}
	if len(m) >= 38 {
		market |= uint64(blank(m[37])) << 8
	}
	ext(also(i, out), out, tick.ExtListing, market, uint64(price), shares)
}

// scales are 1e-9 in a price unit, by price_scale_code.
var scales = [10]int64{1e9, 1e8, 1e7, 1e6, 1e5, 1e4, 1e3, 1e2, 10, 1}

// define fills in a definition; fields that the message is too short for stay unset.
func (d *Decoder) define(m []byte, i int, known bool, s *symbol, out *tick.Batch) {
	le := binary.LittleEndian
	def := &out.Definitions[out.Sides.Definitions]
	*def = tick.UndefDefinition
	def.Header = header(i, out, 130, tick.RTypeDefinition)
	def.RawInstrumentID = uint64(out.Instrument[i])
	def.DisplayFactor = tick.PriceScale
	symbol, _, _ := bytes.Cut(m[8:19], []byte{0})
	copy(def.RawSymbol[:], symbol)
	copy(def.Currency[:], "USD")
	copy(def.Exchange[:], mics[marketID(m)])
	def.InstrumentClass, def.MatchAlgorithm = 'K', 'F'
	if marketID(m) == Markets[0].ID {
		def.MatchAlgorithm = ' ' // parity, which has no code
	}
	if known {
		def.SecurityUpdateAction = 'M'
	}
	if len(m) > 25 {
		def.SecurityType[0] = blank(m[25])
		if m[25] == 'T' && d.version != V21 {
			copy(def.SecurityType[:], "TEST")
		}
	}
	if len(m) >= 28 {
		def.MinLotSizeRoundLot = int32(le.Uint16(m[26:]))
	}
	if len(m) >= 40 && le.Uint16(m[38:]) != 0 {
		def.MinPriceIncrement = int64(le.Uint16(m[38:])) * mpvToE9
	}
	if len(m) >= 42 {
		def.MinLotSize = int32(le.Uint16(m[40:]))
	}
	out.Kind[i], out.Aux[i] = tick.KindDefinition, tick.SideRows(out.Sides.Definitions, 1)
	out.Sides.Definitions++
}

const mpvToE9 = 100_000 // mpv counts 1/100 cent

// mics are the MICs of market_id.
var mics = func() map[uint16]string {
	all := map[uint16]string{marketTRF: "FINY"}
	for i := range Markets {
		all[Markets[i].ID] = Markets[i].MIC
	}
	return all
}()
