package mdp3

// WireInstrument is what templates 54 (future), 55 (option) and 56 (spread) have in common and what tells them apart.
type WireInstrument struct {
	Indicator      byte
	TotNumReports  uint32 // WireNoU32 on the incremental feed
	Action         byte   // 'A' 'D' 'M'
	LastUpdateTime uint64
	Trading        uint8 // SecurityTradingStatus; WireNoByte on the incremental feed
	Channel        int16
	Segment        uint8
	Product        uint8 // UnderlyingProduct
	Exchange       string
	Group, Asset   string
	Symbol         string
	Security       int32
	SecurityType   string
	CFI            string
	Year           uint16 // of maturity
	Month          uint8
	Currency       string
	Increment      int64 // MinPriceIncrement
	DisplayFactor  int64
	Unit           string // UnitOfMeasure
	UnitQty        int64
	Reference      int64 // TradingReferencePrice: the settlement before
	ReferenceDate  uint16
	OpenInterest   uint64
	Cleared        uint64
	High, Low      int64
	Activation     uint64
	Expiration     uint64
	Depth          int8 // GBX
	ImpliedDepth   int8 // GBI; 0: no implied book
	Attributes     uint32
	GUID           uint64

	Put              bool  // 55
	Strike           int64 // 55
	Underlying       int32 // 55
	UnderlyingSymbol string
	Legs             []WireLeg // 56
}

// WireLeg is a leg of a spread.
type WireLeg struct {
	Security int32
	Side     uint8 // 1 buy, 2 sell
	Ratio    int8
}

// AppendFuture is template 54, MDInstrumentDefinitionFuture.
func (v Encoder) AppendFuture(dst []byte, d *WireInstrument) []byte {
	dst, at := v.begin(dst, 54, v.length(216, 224))
	b := dst[at+10:]
	d.common(b)
	maturity(b, 71, d)
	text(b, 76, 3, d.Currency)
	text(b, 79, 3, d.Currency)
	b[82] = 'F'
	u32at(b, 83, 1)
	u32at(b, 87, 10_000)
	u64at(b, 91, uint64(d.Increment))
	u64at(b, 99, uint64(d.DisplayFactor))
	b[107], b[108], b[109] = WireNoByte, WireNoByte, WireNoByte
	text(b, 110, 30, d.Unit)
	prices(b, 140, d.UnitQty, d.Reference)
	u32at(b, 157, i32(d.OpenInterest))
	u32at(b, 161, i32(d.Cleared))
	prices(b, 165, d.High, d.Low, WireNoPrice)
	u32at(b, 189, uint32(WireNoInt))
	u16at(b, 193, WireNoDate)
	u32at(b, 195, uint32(WireNoInt))
	u32at(b, 199, uint32(WireNoInt))
	b[203], b[204] = 127, 127
	u64at(b, 205, uint64(WireNoPrice))
	b[213] = 'N'
	u16at(b, 214, d.ReferenceDate)
	if v >= 10 {
		u64at(b, 216, d.GUID)
	}
	return end(d.groups(dst), at)
}

// AppendOption is template 55, MDInstrumentDefinitionOption.
func (v Encoder) AppendOption(dst []byte, d *WireInstrument) []byte {
	dst, at := v.begin(dst, 55, v.length(213, 221))
	b := dst[at+10:]
	d.common(b)
	if !d.Put {
		b[71] = 1
	}
	maturity(b, 72, d)
	text(b, 77, 3, d.Currency)
	u64at(b, 80, uint64(d.Strike))
	text(b, 88, 3, d.Currency)
	text(b, 91, 3, d.Currency)
	u64at(b, 94, uint64(WireNoPrice))
	b[102] = 'F'
	u32at(b, 103, 1)
	u32at(b, 107, 10_000)
	prices(b, 111, d.Increment, WireNoPrice, d.DisplayFactor)
	b[135], b[136], b[137], b[138] = 127, WireNoByte, WireNoByte, WireNoByte
	text(b, 139, 30, d.Unit)
	prices(b, 169, d.UnitQty, d.Reference)
	u32at(b, 186, i32(d.Cleared))
	u32at(b, 190, i32(d.OpenInterest))
	prices(b, 194, d.Low, d.High)
	b[210] = 'N'
	u16at(b, 211, d.ReferenceDate)
	if v >= 10 {
		u64at(b, 213, d.GUID)
	}
	dst = d.groups(dst)
	dst = groupHead(dst, 24, 1)
	n := len(dst)
	dst = zeros(dst, 24)
	u32at(dst, n, uint32(d.Underlying))
	text(dst, n+4, 20, d.UnderlyingSymbol)
	return end(groupHead(dst, 24, 0), at)
}

// AppendSpread is template 56, MDInstrumentDefinitionSpread.
func (v Encoder) AppendSpread(dst []byte, d *WireInstrument) []byte {
	dst, at := v.begin(dst, 56, v.length(195, 255))
	b := dst[at+10:]
	d.common(b)
	maturity(b, 71, d)
	text(b, 76, 3, d.Currency)
	text(b, 79, 5, "SP")
	b[84], b[85] = 'N', 'F'
	u32at(b, 86, 1)
	u32at(b, 90, 10_000)
	prices(b, 94, d.Increment, d.DisplayFactor)
	b[110] = WireNoByte
	u64at(b, 111, uint64(WireNoPrice))
	b[119] = 127
	text(b, 120, 30, d.Unit)
	u64at(b, 150, uint64(d.Reference))
	u32at(b, 159, i32(d.OpenInterest))
	u32at(b, 163, i32(d.Cleared))
	prices(b, 167, d.High, d.Low, WireNoPrice)
	b[191], b[192] = WireNoByte, WireNoByte
	u16at(b, 193, d.ReferenceDate)
	if v >= 10 {
		u64at(b, 212, d.GUID)
		text(b, 220, 35, d.Symbol)
	}
	dst = groupHead(d.groups(dst), 18, len(d.Legs))
	for _, l := range d.Legs {
		dst = enc.AppendUint32(dst, uint32(l.Security))
		dst = append(dst, l.Side, byte(l.Ratio))
		dst = enc.AppendUint64(dst, uint64(WireNoPrice))
		dst = enc.AppendUint32(dst, uint32(WireNoInt))
	}
	return end(dst, at)
}

// length of a root block that version 10 made longer.
func (v Encoder) length(before, since uint16) uint16 {
	if v < 10 {
		return before
	}
	return since
}

// common fills in the 71 bytes that all definitions begin with.
func (d *WireInstrument) common(b []byte) {
	b[0] = d.Indicator
	u32at(b, 1, d.TotNumReports)
	b[5] = d.Action
	u64at(b, 6, d.LastUpdateTime)
	b[14] = d.Trading
	u16at(b, 15, uint16(d.Channel))
	b[17], b[18] = d.Segment, d.Product
	text(b, 19, 4, d.Exchange)
	text(b, 23, 6, d.Group)
	text(b, 29, 6, d.Asset)
	text(b, 35, 20, d.Symbol)
	u32at(b, 55, uint32(d.Security))
	text(b, 59, 6, d.SecurityType)
	text(b, 65, 6, d.CFI)
}

func maturity(b []byte, at int, d *WireInstrument) {
	u16at(b, at, d.Year)
	b[at+2], b[at+3], b[at+4] = d.Month, WireNoByte, WireNoByte
}

func prices(b []byte, at int, px ...int64) {
	for i, p := range px {
		u64at(b, at+8*i, uint64(p))
	}
}

// groups appends NoEvents, NoMDFeedTypes, NoInstAttrib and NoLotTypeRules.
func (d *WireInstrument) groups(dst []byte) []byte {
	dst = groupHead(dst, 9, 2)
	dst = enc.AppendUint64(append(dst, 5), d.Activation)
	dst = enc.AppendUint64(append(dst, 7), d.Expiration)
	if d.ImpliedDepth == 0 {
		dst = groupHead(dst, 4, 1)
	} else {
		dst = append(groupHead(dst, 4, 2), 'G', 'B', 'I', byte(d.ImpliedDepth))
	}
	dst = append(dst, 'G', 'B', 'X', byte(d.Depth))
	dst = enc.AppendUint32(groupHead(dst, 4, 1), d.Attributes)
	return enc.AppendUint32(append(groupHead(dst, 5, 1), 3), 10_000) // a minimum lot of 1
}
