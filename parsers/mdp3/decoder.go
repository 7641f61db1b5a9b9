package mdp3

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tickwire/tickwire/parsers/mdp3/sbe"
	"github.com/tickwire/tickwire/parsers/mdp3/wire"
	"github.com/tickwire/tickwire/tick"
)

// Feed says which of CME's two books rows are wanted of. Both come on the same incremental feed.
type Feed uint8

const (
	FeedBoth Feed = iota // price levels and orders
	FeedMBO              // orders only: no level or implied rows
	FeedMBP              // price levels only: no order rows
)

// Options of a decoder. The zero value is one for schema 13 and both books.
type Options struct {
	// Schema is the path of an SBE schema to go by for messages of its version and of versions later than 13. Templates whose fields moved there are
	// laid out anew before they are decoded, some 100 ns a message; others cost nothing. The default is none.
	Schema string
	// Feed leaves out rows of one of the books. The default is FeedBoth.
	Feed Feed
	// Channel is the channel_id of statistics and definitions. The default, 0, is a channel's number too: see doc.go.
	Channel uint16
}

// Counters of one channel, plain words that belong to the lane.
type Counters struct {
	Packets  uint64 // decoded to their end
	Messages uint64 // seen, whatever became of them
	Unknown  uint64 // of a template that is not known: stepped over by their length
	Foreign  uint64 // of another schema: stepped over
	Newer    uint64 // of a version later than the schema: their known part was decoded
	Refused  uint64 // contradict themselves, or lack what must be known: no rows
	Relaid   uint64 // laid out anew (Options.Schema)
	Admin    uint64 // heartbeats, logons, logouts

	RptSeqGaps    uint64 // times that RptSeq jumped forward: entries of an instrument are missing
	RptSeqBack    uint64 // times that it did not go forward
	Resets        uint64 // channel resets
	Ranges        uint64 // DeleteThru and DeleteFrom, of which CME's pages know nothing (sheet section 7)
	GroupUnknown  uint64 // states of a group of which no instrument is known
	LateAggressor uint64 // order entries of an aggressor that came in another message than its trade: the trade's row had gone without its id
	FillsUnplaced uint64 // order entries of trade summaries that belong to no trade
	Interrupted   uint64 // events whose end did not come
}

// Reasons for which a message is refused. Append counts them, EachMessage gives them.
var (
	errBlock     = errors.New("root block is shorter than its fields, or longer than its message")
	errGroup     = errors.New("group is longer than its message, or its blocks are shorter than their fields")
	errReference = errors.New("order entry refers to no entry with a side and a price")
	errPrice     = errors.New("price is missing, or does not fit 64 bits in 1e-9")
	errLevel     = errors.New("level has no number, or a price or size is missing, negative, or does not fit 64 bits in 1e-9")
	errSize      = errors.New("size is missing or negative")
	errCode      = errors.New("update action or entry type is not known")
)

// Decoder is a channel's messages to rows (pipeline.Decoder). It belongs to the lane.
type Decoder struct {
	Counters Counters

	opts   Options
	orders int // chain of rows of orders
	of     instruments
	newer  *relay // by Options.Schema
	trades pending
	todo   sweep

	refs [256]uint32 // slots of a message's entries, for the orders that refer to them

	definitions []definitionPlan
	snapshots   []snapshotPlan

	first    uint64 // number of the packet that was decoded last, whole or in part
	event    uint32 // number of the event, ours
	time     uint64 // its TransactTime
	open     bool   // it has messages, and its end has not come
	start    int    // first row of it that the call under way made
	sequence uint64 // of the packet under way
	batch    uint32 // number of the call's batch, ours
	last     *tick.Batch
	lastOut  int      // rows of it when the last call ended
	heldBack []uint32 // slots of instruments that had rows in calls that left the event open
}

// NewDecoder makes one channel's decoder. An error says what is wrong with Options.Schema.
func NewDecoder(o Options) (*Decoder, error) {
	d := &Decoder{opts: o, heldBack: make([]uint32, 0, tick.MaxRows)}
	if o.Feed == FeedMBP {
		d.orders = chainLevels
	}
	if o.Schema != "" {
		s, err := sbe.Load(o.Schema)
		if err != nil {
			return nil, fmt.Errorf("mdp3: %w", err)
		}
		if d.newer, err = newRelay(s); err != nil {
			return nil, err
		}
	}
	d.planDefinitions()
	d.planSnapshots()
	d.of.reset()
	d.trades.room = make([]trade, 0, maxPending)
	return d, nil
}

// Start begins a session (pipeline.Decoder). Definitions stay: CME sends them again at the start of the week and not after a channel reset.
func (d *Decoder) Start(uint64) {
	d.of.forget()
	d.trades.reset()
	d.todo = sweep{}
	d.heldBack = d.heldBack[:0]
	d.open, d.first, d.lastOut = false, 0, 0
	d.event++
}

// Refused is how many messages could not be taken (pipeline.Decoder).
func (d *Decoder) Refused() uint64 { return d.Counters.Refused }

// Room that one message may need. A message whose rows might not fit is left for the next batch.
const (
	roomRows  = 1024 // 254 trades of which each takes back another one, 254 fills
	roomSides = 516  // two entries for each of 254, and a few
)

// Append decodes one packet's messages (pipeline.Decoder): a packet is one message to the session, first its number. It stops behind a message
// where out has no room for the next one, and says so with messages = 0: the rest of the packet comes again, with the same number. A
// channel reset or the state of a group can make more rows than a batch has: they go on with the next call.
func (d *Decoder) Append(body []byte, first uint64, max int, out *tick.Batch) (used, messages int) {
	if max < 1 {
		return 0, 0
	}
	d.into(out)
	d.sequence, d.start = first, out.N
	if first != d.first && first != d.first+1 && d.first != 0 {
		d.interrupt()
	}
	d.first = first
	for d.drain(out) && used < len(body) {
		m, size := Next(body[used:])
		if size == 0 { // the session's Walk has seen that there is none such
			d.Counters.Refused++
			used = len(body)
			break
		}
		if out.N > tick.MaxRows-roomRows || sidesFull(&out.Sides) {
			break
		}
		used += size
		d.message(m, out)
	}
	if used == len(body) && d.todo.kinds == 0 {
		messages = 1
		d.Counters.Packets++
	}
	d.hold(out)
	d.lastOut = out.N
	return used, messages
}

// into notes that rows go to another batch than before, or to one that was emptied since.
func (d *Decoder) into(out *tick.Batch) {
	if out != d.last || out.N < d.lastOut || out.N == 0 {
		d.batch = (d.batch + 1) % (1 << 20)
		d.last = out
	}
}

func sidesFull(s *tick.SideCounts) bool {
	const most = tick.MaxSideRows - roomSides
	return s.Statistics > most || s.Exts > most || s.Definitions > most || s.Statuses > most
}

// message decodes one message. One that is refused leaves no rows.
func (d *Decoder) message(m Message, out *tick.Batch) {
	d.Counters.Messages++
	if m.Schema() != SchemaID {
		d.Counters.Foreign++
		return
	}
	if m.Version() > builtin {
		if m = d.relaid(m); m == nil {
			return
		}
	} else if d.newer != nil && m.Version() == d.newer.schema.Version {
		if m = d.relaid(m); m == nil {
			return
		}
	}
	n, sides, trades := out.N, out.Sides, d.trades
	if err := d.rows(m, out); err != nil {
		d.Counters.Refused++
		out.N, out.Sides, d.trades = n, sides, trades
		d.repair(out)
	}
}

// rows is the way by template. Templates of older schemas go the way of their successors, with prices in 1e-7.
func (d *Decoder) rows(m Message, out *tick.Batch) error {
	switch m.Template() {
	case RefreshBook:
		return d.book(m, 1, out)
	case RefreshOrderBook:
		return d.orderBook(m, 1, out)
	case RefreshTradeSummary:
		return d.tradeSummary(m, 1, out)
	case RefreshVolume:
		return d.volume(m, out)
	case OldRefreshBook:
		return d.book(m, oldScale, out)
	case OldRefreshOrderBook:
		return d.orderBook(m, oldScale, out)
	case OldRefreshTradeSummary:
		return d.tradeSummary(m, oldScale, out)
	case RefreshBookLongQty:
		return d.bookLong(m, out)
	case RefreshTradeSummaryLongQty:
		return d.tradeSummaryLong(m, out)
	}
	return d.cold(m, out)
}

func (d *Decoder) cold(m Message, out *tick.Batch) error {
	switch m.Template() {
	case ChannelReset:
		return d.channelReset(m, out)
	case AdminHeartbeat, AdminLogin, AdminLogout:
		d.Counters.Admin++
		return nil
	case SecurityStatus:
		return d.securityStatus(m, out)
	case SecurityStatusWorkup:
		return d.workup(m, out)
	case QuoteRequest:
		return d.quoteRequest(m, out)
	case CollateralMarketValue:
		return d.collateral(m, out)
	case RefreshVolumeLongQty:
		return d.volumeLong(m, out)
	case RefreshDailyStatistics:
		return d.dailyStatistics(m, 1, out)
	case OldRefreshDailyStatistics:
		return d.dailyStatistics(m, oldScale, out)
	case RefreshLimitsBanding:
		return d.limits(m, 1, out)
	case OldRefreshLimitsBanding:
		return d.limits(m, oldScale, out)
	case RefreshSessionStatistics:
		return d.sessionStatistics(m, 1, out)
	case OldRefreshSessionStatistics:
		return d.sessionStatistics(m, oldScale, out)
	case RefreshSessionStatisticsLong:
		return d.sessionStatisticsLong(m, out)
	case OldRefreshTrade:
		return d.oldTrade(m, out)
	case SnapshotFullRefresh, OldSnapshotFullRefresh, SnapshotFullRefreshLongQty, SnapshotFullRefreshTCP, SnapshotFullRefreshTCPLongQty:
		return d.snapshotBook(m, out)
	case SnapshotFullRefreshOrderBook, OldSnapshotFullRefreshOrderBook:
		return d.snapshotOrders(m, out)
	case SnapshotTopOrders:
		return d.topOrders(m, out)
	case DefinitionFuture, DefinitionOption, DefinitionSpread, DefinitionFixedIncome, DefinitionRepo, DefinitionFX,
		OldDefinitionFuture, OldDefinitionOption, OldDefinitionSpread:
		return d.definition(m, out)
	}
	d.Counters.Unknown++
	return nil
}

const oldScale = 100 // prices in 1e-7 to 1e-9

// builtin is the version of the schema that the decoder is made from.
const builtin = 13

// scaled is a price in 1e-9. Null (the largest number) is no price, and neither is what does not fit. Hot path.
func scaled(mantissa, scale int64) (px int64, ok bool) {
	if scale == 1 {
		return mantissa, mantissa != tick.UndefPrice
	}
	px = mantissa * scale
	return px, px/scale == mantissa
}

// root takes a message apart: the bytes of its root block and what follows it. least is how many the block must have. Hot path.
func root(m Message, least int) (block, rest []byte, ok bool) {
	body, length := m[MessageBytes:], m.BlockLength()
	if length < least || length > len(body) {
		return nil, nil, false
	}
	return body[:length], body[length:], true
}

// entries are a group's blocks. None at all: the group is absent or empty.
type entries struct {
	data []byte
	size int // of one, as the wire has it
	n    int
}

func (e *entries) at(i int) []byte { return e.data[i*e.size : (i+1)*e.size] }

// group takes a group off what follows a root block: its dimension has blockLength at 0 and numInGroup at countAt, its last byte. Blocks of
// fewer than least bytes lack fields that every sender has. A group for which nothing is left is one that the sender's schema does not have. Hot path.
func group(b []byte, countAt, least int) (e entries, rest []byte, ok bool) {
	if len(b) <= countAt {
		return e, nil, true
	}
	e.size, e.n = int(binary.LittleEndian.Uint16(b)), int(b[countAt])
	b = b[countAt+1:]
	if e.n == 0 {
		return e, b, true
	}
	total := e.size * e.n
	if e.size < least || e.n == 255 || total > len(b) {
		return e, nil, false
	}
	e.data = b[:total]
	return e, b[total:], true
}

const (
	narrow = 2 // where numInGroup stands in groupSize …
	wide   = 7 // … and in groupSize8Byte
)

// Schema is what the decoder goes by where it was given no other one: CME's version 13, and the older templates.
func Schema() *sbe.Schema { return wire.Schema() }
