package mdp3

// Ids of templates. Those of the second group were used before version 9 or beside it: the same layout, with prices in 1e-7 where their successors
// have 1e-9 (sheet section 4).
const (
	ChannelReset                  uint16 = 4
	AdminHeartbeat                uint16 = 12
	AdminLogin                    uint16 = 15
	AdminLogout                   uint16 = 16
	SecurityStatus                uint16 = 30
	RefreshVolume                 uint16 = 37
	QuoteRequest                  uint16 = 39
	RefreshBook                   uint16 = 46
	RefreshOrderBook              uint16 = 47
	RefreshTradeSummary           uint16 = 48
	RefreshDailyStatistics        uint16 = 49
	RefreshLimitsBanding          uint16 = 50
	RefreshSessionStatistics      uint16 = 51
	SnapshotFullRefresh           uint16 = 52
	SnapshotFullRefreshOrderBook  uint16 = 53
	DefinitionFuture              uint16 = 54
	DefinitionOption              uint16 = 55
	DefinitionSpread              uint16 = 56
	DefinitionFixedIncome         uint16 = 57
	DefinitionRepo                uint16 = 58
	SnapshotTopOrders             uint16 = 59
	SecurityStatusWorkup          uint16 = 60
	SnapshotFullRefreshTCP        uint16 = 61
	CollateralMarketValue         uint16 = 62
	DefinitionFX                  uint16 = 63
	RefreshBookLongQty            uint16 = 64
	RefreshTradeSummaryLongQty    uint16 = 65
	RefreshVolumeLongQty          uint16 = 66
	RefreshSessionStatisticsLong  uint16 = 67
	SnapshotFullRefreshTCPLongQty uint16 = 68
	SnapshotFullRefreshLongQty    uint16 = 69

	OldDefinitionFuture             uint16 = 27
	OldDefinitionSpread             uint16 = 29
	OldRefreshBook                  uint16 = 32
	OldRefreshDailyStatistics       uint16 = 33
	OldRefreshLimitsBanding         uint16 = 34
	OldRefreshSessionStatistics     uint16 = 35
	OldRefreshTrade                 uint16 = 36 // superseded by 42
	OldSnapshotFullRefresh          uint16 = 38
	OldDefinitionOption             uint16 = 41
	OldRefreshTradeSummary          uint16 = 42
	OldRefreshOrderBook             uint16 = 43
	OldSnapshotFullRefreshOrderBook uint16 = 44
)

// Bits of MatchEventIndicator (tag 5799): this message is the event's last one …
const (
	LastTradeMsg   uint8 = 1 << 0 // … of trade summaries
	LastVolumeMsg  uint8 = 1 << 1 // … of electronic volume
	LastQuoteMsg   uint8 = 1 << 2 // … of the real book
	LastStatsMsg   uint8 = 1 << 3 // … of statistics
	LastImpliedMsg uint8 = 1 << 4 // … of the implied book
	RecoveryMsg    uint8 = 1 << 5 // sent again during recovery
	EndOfEvent     uint8 = 1 << 7 // … of all
)
