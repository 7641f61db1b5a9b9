package tick

// Actions of a record (DBN section 5). Book state is changed only by A, C, M and R; T, F and N never change it.
const (
	ActionAdd    byte = 'A'
	ActionCancel byte = 'C' // full or partial: size is the quantity taken out
	ActionModify byte = 'M'
	ActionClear  byte = 'R' // the instrument's book is empty from here on
	ActionTrade  byte = 'T' // the aggressor's view of an execution
	ActionFill   byte = 'F' // the resting order's view of it
	ActionNone   byte = 'N'
)

// Sides of a record. For T the side is the aggressor's, for F and C the resting order's.
const (
	SideBid  byte = 'B'
	SideAsk  byte = 'A'
	SideNone byte = 'N'
)

// Flags of a record (DBN section 5).
const (
	FlagLast              uint8 = 0x80 // last record of the venue event for this instrument
	FlagTOB               uint8 = 0x40 // top-of-book message, not an order: A is all that its side has
	FlagSnapshot          uint8 = 0x20 // from a snapshot or a replay
	FlagMBP               uint8 = 0x10 // an aggregated level, not an order: A adds to what is at its price, C takes off, M sets it
	FlagBadTsRecv         uint8 = 0x08 // ts_recv was made up or moved forward
	FlagMaybeBadBook      uint8 = 0x04 // a loss on the channel was not recovered: the book is suspect
	FlagPublisherSpecific uint8 = 0x02 // a plugin's verdict: see the ext ring
	// FlagMore is of batch rows only, where a venue's event has several for one instrument: another one follows, so this one's records lack
	// F_LAST. It is never published.
	FlagMore uint8 = 0x01
	// FlagMoreElse is of batch rows only, where a venue tells one instrument's orders and price levels in one event: what FlagMore says is true of records of the
	// mbo ring alone, and the contrary is of those of mbp1 and mbp10. A row that is no part of an event has FlagMore: it ends none. Never published.
	FlagMoreElse uint8 = 0x80
)

// More says whether records of the mbo ring, and of mbp1 and mbp10, follow in the event of a row with these flags. Hot path.
func More(flags uint8) (orders, levels bool) {
	return flags&FlagMore != 0, (flags&FlagMore != 0) != (flags&FlagMoreElse != 0)
}

// Record types: rtype of DBN, and from 0xE0 ours, which appear in shared memory only.
const (
	RTypeTrade      uint8 = 0x00
	RTypeMbp1       uint8 = 0x01
	RTypeMbp10      uint8 = 0x0A
	RTypeStatus     uint8 = 0x12
	RTypeDefinition uint8 = 0x13
	RTypeImbalance  uint8 = 0x14
	RTypeError      uint8 = 0x15
	RTypeMapping    uint8 = 0x16
	RTypeSystem     uint8 = 0x17
	RTypeStatistics uint8 = 0x18
	RTypeOhlcv1s    uint8 = 0x20
	RTypeOhlcv1m    uint8 = 0x21
	RTypeOhlcv1h    uint8 = 0x22
	RTypeOhlcv1d    uint8 = 0x23
	RTypeOhlcvEod   uint8 = 0x24
	RTypeMbo        uint8 = 0xA0
	RTypeCmbp1      uint8 = 0xB1
	RTypeCbbo1s     uint8 = 0xC0
	RTypeCbbo1m     uint8 = 0xC1
	RTypeTcbbo      uint8 = 0xC2
	RTypeBbo1s      uint8 = 0xC3
	RTypeBbo1m      uint8 = 0xC4
	RTypeGap        uint8 = 0xE0 // ours: Gap
	RTypeExt        uint8 = 0xE1 // ours: Ext
)

// Publisher ids (DBN section 5). Ids from 40,000 up are ours: generated data must never be taken for a venue's.
const (
	PublisherGLBX       uint16 = 1 // GLBX.MDP3
	PublisherXNAS       uint16 = 2
	PublisherXNYS       uint16 = 9      // XNYS.PILLAR
	PublisherXCIS       uint16 = 10     // XCIS.PILLAR: NYSE National
	PublisherXASE       uint16 = 11     // XASE.PILLAR: NYSE American
	PublisherXCHI       uint16 = 12     // XCHI.PILLAR: NYSE Texas, once Chicago
	PublisherIEXG       uint16 = 38     // IEXG.TOPS
	PublisherARCX       uint16 = 43     // ARCX.PILLAR
	PublisherXNYSBBO    uint16 = 44     // XNYS.BBO
	PublisherXNYSTrades uint16 = 45     // XNYS.TRADES
	PublisherSimItch    uint16 = 40_000 // dataset SIM.ITCH
	PublisherSimXDP     uint16 = 40_001 // dataset SIM.XDP
	PublisherSimMDP3    uint16 = 40_002 // dataset SIM.MDP3
	PublisherSimFIX     uint16 = 40_003 // dataset SIM.FIX
	PublisherSimIEX     uint16 = 40_004 // dataset SIM.IEX
	PublisherSimIEXTops uint16 = 40_005 // dataset SIM.IEXTOPS
	PublisherIEXDeep    uint16 = 40_100 // dataset IEXG.DEEP: no vendor's id exists for it
	PublisherFIX        uint16 = 40_101 // dataset FIX.MD: a venue that speaks FIX and has no id of its own
	PublisherPlugin     uint16 = 40_102 // dataset PLUGIN.<protocol>: a plugin reads the venue's packets, and no number of its own was given
	PublisherCBBO       uint16 = 40_200 // dataset CONS.CBBO: made from several venues
)

// OppositeSide turns a resting order's side into its aggressor's, and leaves SideNone. Hot path.
func OppositeSide(side byte) byte {
	switch side {
	case SideBid:
		return SideAsk
	case SideAsk:
		return SideBid
	}
	return SideNone
}
