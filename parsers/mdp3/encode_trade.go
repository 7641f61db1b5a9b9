package mdp3

// WireTrade is an entry of NoMDEntries in templates 48 and 65.
type WireTrade struct {
	Price     int64
	Size      uint64
	Security  int32
	RptSeq    uint32
	Orders    int32 // entries of NoOrderIDEntries that are its own
	Aggressor uint8 // 0 none, 1 buy, 2 sell
	Action    uint8 // 0 a trade, 1 adjusted, 2 void
	ID        uint32
}

// WireFill is an entry of NoOrderIDEntries in templates 48 and 65.
type WireFill struct {
	ID   uint64
	Size uint64
}

// AppendTrades is template 48, MDIncrementalRefreshTradeSummary.
func (v Encoder) AppendTrades(dst []byte, transact uint64, indicator byte, trades []WireTrade, fills []WireFill) []byte {
	dst, at := v.update(dst, 48, transact, indicator)
	dst = groupHead(dst, 32, len(trades))
	for i := range trades {
		t := &trades[i]
		dst = enc.AppendUint64(dst, uint64(t.Price))
		dst = enc.AppendUint32(dst, i32(t.Size))
		dst = enc.AppendUint32(dst, uint32(t.Security))
		dst = enc.AppendUint32(dst, t.RptSeq)
		dst = enc.AppendUint32(dst, uint32(t.Orders))
		dst = append(dst, t.Aggressor, t.Action)
		dst = zeros(enc.AppendUint32(dst, t.ID), 2)
	}
	return end(appendFills(dst, fills), at)
}

// AppendTradesLong is template 65, MDIncrementalRefreshTradeSummaryLongQty.
func (v Encoder) AppendTradesLong(dst []byte, transact uint64, indicator byte, trades []WireTrade, fills []WireFill) []byte {
	dst, at := v.update(dst, 65, transact, indicator)
	dst = groupHead(dst, 40, len(trades))
	for i := range trades {
		t := &trades[i]
		dst = enc.AppendUint64(dst, uint64(t.Price))
		dst = enc.AppendUint64(dst, t.Size)
		dst = enc.AppendUint32(dst, uint32(t.Security))
		dst = enc.AppendUint32(dst, t.RptSeq)
		dst = enc.AppendUint32(dst, uint32(t.Orders))
		dst = enc.AppendUint32(dst, t.ID)
		dst = zeros(append(dst, t.Aggressor, t.Action), 6)
	}
	return end(appendFills(dst, fills), at)
}

func appendFills(dst []byte, fills []WireFill) []byte {
	dst = groupHead8(dst, 16, len(fills))
	for i := range fills {
		dst = enc.AppendUint64(dst, fills[i].ID)
		dst = zeros(enc.AppendUint32(dst, i32(fills[i].Size)), 4)
	}
	return dst
}

// WireVolume is an entry of templates 37 and 66.
type WireVolume struct {
	Size     uint64
	Security int32
	RptSeq   uint32
	Action   uint8
}

// AppendVolume is template 37, MDIncrementalRefreshVolume.
func (v Encoder) AppendVolume(dst []byte, transact uint64, indicator byte, volumes []WireVolume) []byte {
	dst, at := v.update(dst, 37, transact, indicator)
	dst = groupHead(dst, 16, len(volumes))
	for _, x := range volumes {
		dst = enc.AppendUint32(dst, i32(x.Size))
		dst = enc.AppendUint32(dst, uint32(x.Security))
		dst = enc.AppendUint32(dst, x.RptSeq)
		dst = append(dst, x.Action, 0, 0, 0)
	}
	return end(dst, at)
}

// AppendVolumeLong is template 66, MDIncrementalRefreshVolumeLongQty.
func (v Encoder) AppendVolumeLong(dst []byte, transact uint64, indicator byte, volumes []WireVolume) []byte {
	dst, at := v.update(dst, 66, transact, indicator)
	dst = groupHead(dst, 24, len(volumes))
	for _, x := range volumes {
		dst = enc.AppendUint64(dst, x.Size)
		dst = enc.AppendUint32(dst, uint32(x.Security))
		dst = enc.AppendUint32(dst, x.RptSeq)
		dst = zeros(append(dst, x.Action), 7)
	}
	return end(dst, at)
}

// WireStatistic is an entry of templates 49, 51 and 67.
type WireStatistic struct {
	Price      int64
	Size       uint64
	Security   int32
	RptSeq     uint32
	Date       uint16 // 49: TradingReferenceDate
	SettlPrice uint8  // 49: SettlPriceType
	OpenClose  uint8  // 51, 67: OpenCloseSettlFlag
	Action     uint8
	Type       byte // 49: '6' 'B' 'C' 'W'; 51, 67: '4' '7' '8' '9' 'N' 'O'
}

// AppendDaily is template 49, MDIncrementalRefreshDailyStatistics.
func (v Encoder) AppendDaily(dst []byte, transact uint64, indicator byte, stats []WireStatistic) []byte {
	dst, at := v.update(dst, 49, transact, indicator)
	dst = groupHead(dst, 32, len(stats))
	for i := range stats {
		s := &stats[i]
		dst = enc.AppendUint64(dst, uint64(s.Price))
		dst = enc.AppendUint32(dst, i32(s.Size))
		dst = enc.AppendUint32(dst, uint32(s.Security))
		dst = enc.AppendUint32(dst, s.RptSeq)
		dst = enc.AppendUint16(dst, s.Date)
		dst = zeros(append(dst, s.SettlPrice, s.Action, s.Type), 7)
	}
	return end(dst, at)
}

// AppendStatistics is template 51, MDIncrementalRefreshSessionStatistics.
func (v Encoder) AppendStatistics(dst []byte, transact uint64, indicator byte, stats []WireStatistic) []byte {
	dst, at := v.update(dst, 51, transact, indicator)
	dst = groupHead(dst, 24, len(stats))
	for i := range stats {
		s := &stats[i]
		dst = enc.AppendUint64(dst, uint64(s.Price))
		dst = enc.AppendUint32(dst, uint32(s.Security))
		dst = enc.AppendUint32(dst, s.RptSeq)
		dst = append(dst, s.OpenClose, s.Action, s.Type)
		dst = zeros(enc.AppendUint32(dst, i32(s.Size)), 1)
	}
	return end(dst, at)
}

// AppendStatisticsLong is template 67, MDIncrementalRefreshSessionStatisticsLongQty.
func (v Encoder) AppendStatisticsLong(dst []byte, transact uint64, indicator byte, stats []WireStatistic) []byte {
	dst, at := v.update(dst, 67, transact, indicator)
	dst = groupHead(dst, 32, len(stats))
	for i := range stats {
		s := &stats[i]
		dst = enc.AppendUint64(dst, uint64(s.Price))
		dst = enc.AppendUint64(dst, s.Size)
		dst = enc.AppendUint32(dst, uint32(s.Security))
		dst = enc.AppendUint32(dst, s.RptSeq)
		dst = zeros(append(dst, s.OpenClose, s.Action, s.Type), 5)
	}
	return end(dst, at)
}

// WireLimits is an entry of template 50. A null price removes that limit.
type WireLimits struct {
	High, Low, Variation int64
	Security             int32
	RptSeq               uint32
}

// AppendLimits is template 50, MDIncrementalRefreshLimitsBanding.
func (v Encoder) AppendLimits(dst []byte, transact uint64, indicator byte, limits []WireLimits) []byte {
	dst, at := v.update(dst, 50, transact, indicator)
	dst = groupHead(dst, 32, len(limits))
	for _, l := range limits {
		for _, px := range [3]int64{l.High, l.Low, l.Variation} {
			dst = enc.AppendUint64(dst, uint64(px))
		}
		dst = enc.AppendUint32(enc.AppendUint32(dst, uint32(l.Security)), l.RptSeq)
	}
	return end(dst, at)
}
