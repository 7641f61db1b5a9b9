package store

// storage is how a column's values lie in a chunk. What SQL sees wider than it is kept is widened when it is asked for.
type storage uint8

const (
	keptI64   storage = iota // as it is
	keptU32                  // bigint
	keptU8                   // smallint
	keptByte                 // text of one character
	keptCode                 // text by number in the dictionary
	keptMicro                // not kept: ts, from ts_ns
	keptSeq                  // not kept: seq, from the chunk's first
	keptVenue                // not kept: one value a chunk
)

var keptBytes = [...]int{keptI64: 8, keptU32: 4, keptU8: 1, keptByte: 1, keptCode: 4, keptMicro: 0, keptSeq: 0, keptVenue: 0}

// layout is a table with the storage of its columns.
type layout struct {
	Table
	kept     []storage
	at       []int   // offset of a column's values in a chunk
	null     []int   // offset of its validity bitmap, -1: every row has a value
	size     int     // bytes of a chunk
	nullable []int   // columns with a bitmap
	tsNs     int     // column ts_ns
	base     *layout // the table's without columns of plugins: what it is known by
}

// chunkRows is the rows of a chunk: large enough that a query's work is in the rows, small enough to leave one by one.
const chunkRows = 1 << 16

const (
	lineBytes = 64
	// stagger keeps the columns of a row out of one cache set: at multiples of 4 KiB each, a dozen of them would evict
	// each other from an 8-way first-level cache (BenchmarkIngest: 3 times the time).
	stagger = 5 * lineBytes
)

type spec struct {
	name    string
	kind    Type
	kept    storage
	null    bool
	comment string
}

func bigint(name, comment string) spec { return spec{name, BigInt, keptI64, false, comment} }
func narrow(name, comment string) spec { return spec{name, BigInt, keptU32, false, comment} }
func price(name, comment string) spec  { return spec{name, Decimal, keptI64, true, comment} }
func maybe(name, comment string) spec  { return spec{name, BigInt, keptI64, true, comment} }
func letter(name, comment string) spec { return spec{name, Text, keptByte, true, comment} }
func small(name, comment string) spec  { return spec{name, SmallInt, keptU8, false, comment} }
func code(name, comment string) spec   { return spec{name, Text, keptCode, true, comment} }

// head are the columns that every table of events begins with.
func head() []spec {
	return []spec{
		{"ts", Timestamp, keptMicro, false, "exchange's time, microseconds, truncated"},
		bigint("ts_ns", "exchange's time, ns since 1970"),
		maybe("ts_recv_ns", "time of arrival, ns since 1970"),
		code("symbol", "as the venue writes it"),
		{"venue", Text, keptVenue, true, "first part of the dataset"},
		narrow("channel", "channel or lane of the feed"),
		narrow("instrument_id", "the venue's number of the instrument, of its day"),
		{"seq", BigInt, keptSeq, false, "number of the row in its table, given when it came in: breaks ties of time"},
	}
}

func newLayout(name, comment string, columns ...spec) *layout {
	l := &layout{Table: Table{Name: name, Comment: comment}}
	l.base = l
	at := 0
	place := func(bytes int) int {
		here := at
		at = (at + bytes + lineBytes - 1) &^ (lineBytes - 1)
		if bytes > 0 {
			at += stagger
		}
		return here
	}
	for _, s := range append(head(), columns...) {
		l.Columns = append(l.Columns, Column{Name: s.name, Type: s.kind, NotNull: !s.null, Comment: s.comment})
		l.kept = append(l.kept, s.kept)
		l.at = append(l.at, place(keptBytes[s.kept]*chunkRows))
		null := -1
		if s.null && s.kept == keptI64 {
			null = place(chunkRows / 8)
			l.nullable = append(l.nullable, len(l.null))
		}
		l.null = append(l.null, null)
	}
	l.size = at
	l.Symbol, l.Time = l.Column("symbol"), l.Column("ts_ns")
	l.tsNs = l.Time
	return l
}

// The tables of events.
var (
	ordersLayout = newLayout("orders", "order events: A add, C cancel, F fill, T trade, R clear",
		bigint("order_id", "the venue's reference; 0 for trades"), letter("side", "B bid, A ask, N none"), letter("action", "A, C, F, T or R"),
		price("price", ""), bigint("size", "shares, exact"), small("flags", "DBN flags: 128 last of event, 8 ts_recv is not of the wire, 4 book may be wrong"),
		narrow("sequence", "the venue's, low 32 bits"))

	ticksLayout = newTicks(nil)

	tradesLayout = newLayout("trades", "trades; those that were broken are taken out",
		letter("side", "the aggressor's; N: not known"), price("price", ""), bigint("size", "shares, exact"),
		bigint("match_id", "the venue's"), small("flags", "DBN flags"), narrow("sequence", "the venue's, low 32 bits"))

	statusLayout = newLayout("status", "changes of trading state",
		narrow("action", "DBN status action: 7 trading, 8 halt, 9 pause, 1 pre-open, …"), narrow("reason", "DBN status reason"),
		narrow("trading_event", "DBN trading event"), letter("is_trading", "Y, N"), letter("is_quoting", "Y, N"),
		letter("is_short_sell_restricted", "Y, N"))

	imbalancesLayout = newLayout("imbalances", "states of auctions",
		price("ref_price", ""), price("cont_book_clr_price", "near price"), price("auct_interest_clr_price", "far price"),
		price("ssr_filling_price", ""), price("ind_match_price", ""), price("upper_collar", ""), price("lower_collar", ""),
		bigint("paired_qty", "shares, exact"), bigint("total_imbalance_qty", "shares, exact"), narrow("market_imbalance_qty", "shares"),
		narrow("unpaired_qty", "shares"), letter("auction_type", "O open, C close, …"), letter("side", "of the imbalance"),
		maybe("auction_time_ns", "ns since 1970"), letter("significant_imbalance", ""))

	statisticsLayout = newLayout("statistics", "official figures",
		narrow("stat_type", "DBN statistic: 1 opening price, 11 close price, 12 net change, …"), price("price", ""), maybe("quantity", ""),
		maybe("ts_ref_ns", "ns since 1970"), small("update_action", "1 new, 2 delete"), small("stat_flags", ""),
		narrow("sequence", "the venue's, low 32 bits"))

	definitionsLayout = newLayout("definitions", "instruments as the venue defined them",
		letter("instrument_class", "DBN class"), price("min_price_increment", ""), maybe("round_lot", "shares"), code("exchange", "listing venue"),
		code("security_type", "TEST: the venue's test security"), code("currency", ""), code("group_code", "market category"),
		letter("security_update_action", "A add, M modify, D delete"))

	gapsLayout = newLayout("gaps", "numbers that are missing, and records this process lost",
		code("kind", "lost: on every line; recovering; closed; reader: this process was lapped"),
		bigint("first", "first missing number of the channel, or record of the ring"), bigint("last", "last one, inclusive"),
		bigint("messages", "how many are missing; of a closed gap how many came"))

	impliedLayout = newLayout("implied", "levels that the venue implies from other instruments, beside its price book",
		letter("action", "A new, M changed, C gone"), letter("side", "B bid, A ask"),
		narrow("level", "1 the best"), price("price", ""), bigint("size", ""), narrow("sequence", "the venue's, low 32 bits"))

	cbboLayout = newLayout("cbbo", "best prices across venues, each time that they changed",
		price("bid_px", ""), price("ask_px", ""), bigint("bid_sz", "shares, of the venue that has the best bid"), bigint("ask_sz", "shares"),
		code("bid_venue", "dataset's first part, or publisher number, of the venue with the best bid"), code("ask_venue", ""),
		narrow("venues", "that are joined"), narrow("live", "of them, those that the best prices are taken from"),
		narrow("stale", "of them, those without a change for too long"), small("flags", "DBN flags"),
		bigint("ts_publish_ns", "when it was published, ns since 1970"))

	cbboVenuesLayout = newLayout("cbbo_venues", "what each venue showed, at each row of cbbo: joins by cbbo_seq",
		bigint("cbbo_seq", "seq of the row in cbbo"), code("source", "dataset's first part, or publisher number, of the venue"),
		code("state", "live, stale, suspect, halted, silent or none"), price("bid_px", ""), price("ask_px", ""), bigint("bid_sz", "shares"),
		bigint("ask_sz", "shares"), maybe("age_ns", "since its last change, ns"))

	depthLayout = newLayout("depth", "ten levels, for the symbols asked for", depthColumns()...)
)

// newTicks is table ticks with columns of plugins behind its own.
func newTicks(custom []spec) *layout {
	return newLayout("ticks", "trades and changes of the best prices, with the best prices", append([]spec{
		letter("action", "T trade (book before it), else what changed the book"), letter("side", "of the change; the aggressor's of a trade"),
		price("price", "of the trade or change"), bigint("size", "of the trade or change"),
		price("bid_px", ""), price("ask_px", ""), bigint("bid_sz", "shares"), bigint("ask_sz", "shares"),
		narrow("bid_ct", "orders at the bid"), narrow("ask_ct", "orders at the ask"), small("flags", "DBN flags"),
		narrow("sequence", "the venue's, low 32 bits"), bigint("ts_publish_ns", "when it was published, ns since 1970"),
		price("last_px", "of the instrument's last trade up to here"), maybe("last_sz", "shares of that trade"),
	}, custom...)...)
}

func depthColumns() []spec {
	columns := []spec{
		letter("action", ""), letter("side", ""), price("price", "of the trade or change"), bigint("size", ""), small("flags", "DBN flags"),
		narrow("sequence", "the venue's, low 32 bits"),
	}
	for i := range 10 {
		n := string(rune('0' + i))
		columns = append(columns, price("bid_px_"+n, ""), price("ask_px_"+n, ""), bigint("bid_sz_"+n, "shares"), bigint("ask_sz_"+n, "shares"),
			narrow("bid_ct_"+n, "orders"), narrow("ask_ct_"+n, "orders"))
	}
	return columns
}

// busy says that a table is one of those that most rows go to.
func (l *layout) busy() bool { return l.Name == ordersLayout.Name || l.Name == ticksLayout.Name }

var layouts = []*layout{
	ordersLayout, ticksLayout, tradesLayout, depthLayout, statusLayout, imbalancesLayout, statisticsLayout, definitionsLayout, gapsLayout,
	impliedLayout, cbboLayout, cbboVenuesLayout,
}

// countersTable, tablesTable and customTable are made anew for each scan.
var (
	countersTable = &Table{Name: "tickwire.counters", Comment: "every counter of every process", Symbol: -1, Time: -1, Columns: []Column{
		{Name: "instance", Type: Text}, {Name: "process", Type: Text}, {Name: "name", Type: Text},
		{Name: "value", Type: BigInt, NotNull: true, Comment: "as of at most 10 ms ago"},
	}}
	tablesTable = &Table{Name: "tickwire.tables", Comment: "what is in memory", Symbol: -1, Time: -1, Columns: []Column{
		{Name: "name", Type: Text}, {Name: "rows", Type: BigInt, NotNull: true}, {Name: "bytes", Type: BigInt, NotNull: true},
		{Name: "oldest_ts_ns", Type: BigInt, Comment: "NULL: no rows"}, {Name: "newest_ts_ns", Type: BigInt},
		{Name: "rows_evicted", Type: BigInt, NotNull: true, Comment: "rows that left for want of memory"},
	}}
	customTable = &Table{Name: "tickwire.custom_fields", Comment: "columns of ticks that plugins fill", Symbol: -1, Time: -1, Columns: []Column{
		{Name: "name", Type: Text}, {Name: "type", Type: Text, Comment: "i64, f64, price, or time (ns since 1970)"}, {Name: "plugin", Type: Text},
		{Name: "description", Type: Text},
	}}
)

// Tables are all tables, those of schema tickwire with that name before a dot. A store whose ticks have columns of plugins has Store.Tables.
func Tables() []*Table { return tablesOf(layouts) }

func tablesOf(layouts []*layout) []*Table {
	var all []*Table
	for _, l := range layouts {
		all = append(all, &l.Table)
	}
	return append(all, countersTable, tablesTable, customTable)
}
