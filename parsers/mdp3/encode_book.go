package mdp3

// WireLevel is an entry of NoMDEntries in templates 46 and 64.
type WireLevel struct {
	Price    int64  // 1e-9, WireNoPrice: null
	Size     uint64 // WireNoSize: null
	Security int32
	RptSeq   uint32
	Orders   int32 // WireNoInt: null
	Level    uint8
	Action   uint8 // 0 New, 1 Change, 2 Delete, 3 DeleteThru, 4 DeleteFrom, 5 Overlay
	Type     byte  // '0' '1' 'E' 'F' 'J' 'w' 'x'
}

// WireOrder is an entry of NoOrderIDEntries in templates 46 and 64.
type WireOrder struct {
	ID        uint64
	Priority  uint64
	Size      uint64
	Reference uint8 // the entry of NoMDEntries, 1 the first
	Action    uint8 // 0 New, 1 Update, 2 Delete
}

// WireOrderLevel is an entry of templates 47 and, without Security and Action, 53.
type WireOrderLevel struct {
	ID       uint64
	Priority uint64
	Price    int64
	Size     uint64
	Security int32
	Action   uint8
	Type     byte
}

// AppendBook is template 46, MDIncrementalRefreshBook.
func (v Encoder) AppendBook(dst []byte, transact uint64, indicator byte, levels []WireLevel, orders []WireOrder) []byte {
	dst, at := v.update(dst, 46, transact, indicator)
	dst = groupHead(dst, 32, len(levels))
	for i := range levels {
		l := &levels[i]
		dst = enc.AppendUint64(dst, uint64(l.Price))
		dst = enc.AppendUint32(dst, i32(l.Size))
		dst = l.tail(dst)
		if v >= 10 {
			dst = enc.AppendUint32(dst, uint32(WireNoInt)) // TradeableSize
		} else {
			dst = zeros(dst, 4)
		}
		dst = zeros(dst, 1)
	}
	return end(appendOrders(dst, orders), at)
}

// AppendBookLong is template 64, MDIncrementalRefreshBookLongQty.
func (v Encoder) AppendBookLong(dst []byte, transact uint64, indicator byte, levels []WireLevel, orders []WireOrder) []byte {
	dst, at := v.update(dst, 64, transact, indicator)
	dst = groupHead(dst, 32, len(levels))
	for i := range levels {
		l := &levels[i]
		dst = enc.AppendUint64(dst, uint64(l.Price))
		dst = enc.AppendUint64(dst, l.Size)
		dst = zeros(l.tail(dst), 1)
	}
	return end(appendOrders(dst, orders), at)
}

// tail appends SecurityID to MDEntryType, 15 bytes that both templates have alike.
func (l *WireLevel) tail(dst []byte) []byte {
	dst = enc.AppendUint32(dst, uint32(l.Security))
	dst = enc.AppendUint32(dst, l.RptSeq)
	dst = enc.AppendUint32(dst, uint32(l.Orders))
	return append(dst, l.Level, l.Action, l.Type)
}

func appendOrders(dst []byte, orders []WireOrder) []byte {
	dst = groupHead8(dst, 24, len(orders))
	for i := range orders {
		o := &orders[i]
		dst = enc.AppendUint64(dst, o.ID)
		dst = enc.AppendUint64(dst, o.Priority)
		dst = enc.AppendUint32(dst, i32(o.Size))
		dst = append(dst, o.Reference, o.Action, 0, 0)
	}
	return dst
}

// AppendOrders is template 47, MDIncrementalRefreshOrderBook.
func (v Encoder) AppendOrders(dst []byte, transact uint64, indicator byte, orders []WireOrderLevel) []byte {
	dst, at := v.update(dst, 47, transact, indicator)
	dst = groupHead(dst, 40, len(orders))
	for i := range orders {
		o := &orders[i]
		dst = o.head(dst)
		dst = enc.AppendUint32(dst, uint32(o.Security))
		dst = append(dst, o.Action, o.Type, 0, 0, 0, 0, 0, 0)
	}
	return end(dst, at)
}

// head appends OrderID to MDDisplayQty, 28 bytes.
func (o *WireOrderLevel) head(dst []byte) []byte {
	dst = enc.AppendUint64(dst, o.ID)
	dst = enc.AppendUint64(dst, o.Priority)
	dst = enc.AppendUint64(dst, uint64(o.Price))
	return enc.AppendUint32(dst, i32(o.Size))
}

// WireOrderSnapshot is the root block of template 53.
type WireOrderSnapshot struct {
	LastMsgSeqNumProcessed uint32
	TotNumReports          uint32
	Security               int32
	NoChunks, CurrentChunk uint32
	TransactTime           uint64
}

// AppendOrderSnapshot is template 53, SnapshotFullRefreshOrderBook: one chunk.
func (v Encoder) AppendOrderSnapshot(dst []byte, s *WireOrderSnapshot, orders []WireOrderLevel) []byte {
	dst, at := v.begin(dst, 53, 28)
	b := dst[at+10:]
	u32at(b, 0, s.LastMsgSeqNumProcessed)
	u32at(b, 4, s.TotNumReports)
	u32at(b, 8, uint32(s.Security))
	u32at(b, 12, s.NoChunks)
	u32at(b, 16, s.CurrentChunk)
	u64at(b, 20, s.TransactTime)
	dst = groupHead(dst, 29, len(orders))
	for i := range orders {
		dst = append(orders[i].head(dst), orders[i].Type)
	}
	return end(dst, at)
}

// WireSnapshot is the root block of templates 52 and 69.
type WireSnapshot struct {
	LastMsgSeqNumProcessed uint32
	TotNumReports          uint32
	Security               int32
	RptSeq                 uint32
	TransactTime           uint64
	LastUpdateTime         uint64
	TradeDate              uint16
	Trading                uint8 // SecurityTradingStatus
	High, Low, Variation   int64
}

// WireEntry is an entry of templates 52 and 69.
type WireEntry struct {
	Price      int64
	Size       uint64
	Orders     int32
	Level      uint8 // 0: null
	Date       uint16
	OpenClose  uint8
	SettlPrice uint8 // 52 only
	Type       byte
}

// AppendSnapshot is template 52, SnapshotFullRefresh.
func (v Encoder) AppendSnapshot(dst []byte, s *WireSnapshot, entries []WireEntry) []byte {
	dst, at := s.root(v, dst, 52)
	dst = groupHead(dst, 22, len(entries))
	for i := range entries {
		e := &entries[i]
		dst = enc.AppendUint64(dst, uint64(e.Price))
		dst = enc.AppendUint32(dst, i32(e.Size))
		dst = enc.AppendUint32(dst, uint32(e.Orders))
		dst = append(dst, orByte(e.Level, 127)) // signed in this template
		dst = enc.AppendUint16(dst, e.Date)
		dst = append(dst, e.OpenClose, e.SettlPrice, e.Type)
	}
	return end(dst, at)
}

// AppendSnapshotLong is template 69, SnapshotFullRefreshLongQty.
func (v Encoder) AppendSnapshotLong(dst []byte, s *WireSnapshot, entries []WireEntry) []byte {
	dst, at := s.root(v, dst, 69)
	dst = groupHead(dst, 23, len(entries))
	for i := range entries {
		e := &entries[i]
		dst = enc.AppendUint64(dst, uint64(e.Price))
		dst = enc.AppendUint64(dst, e.Size)
		dst = enc.AppendUint32(dst, uint32(e.Orders))
		dst = append(dst, orByte(e.Level, 255), e.OpenClose, e.Type)
	}
	return end(dst, at)
}

func orByte(v, null uint8) uint8 {
	if v == 0 {
		return null
	}
	return v
}

func (s *WireSnapshot) root(v Encoder, dst []byte, template uint16) ([]byte, int) {
	dst, at := v.begin(dst, template, 59)
	b := dst[at+10:]
	u32at(b, 0, s.LastMsgSeqNumProcessed)
	u32at(b, 4, s.TotNumReports)
	u32at(b, 8, uint32(s.Security))
	u32at(b, 12, s.RptSeq)
	u64at(b, 16, s.TransactTime)
	u64at(b, 24, s.LastUpdateTime)
	u16at(b, 32, s.TradeDate)
	b[34] = s.Trading
	u64at(b, 35, uint64(s.High))
	u64at(b, 43, uint64(s.Low))
	u64at(b, 51, uint64(s.Variation))
	return dst, at
}
