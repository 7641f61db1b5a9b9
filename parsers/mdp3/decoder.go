package mdp3

import (
	"fmt"

	"github.com/tickwire/tickwire/parsers/mdp3/sbe"
	"github.com/tickwire/tickwire/parsers/mdp3/wire"
	"github.com/tickwire/tickwire/tick"
)

// Decoder is a channel's messages to rows (pipeline.Decoder). It belongs to the lane.
type Decoder struct {
	Counters Counters

	opts   Options
	chains uint8     // of rows that there are (event.go)
	flags  [32]uint8 // that a row begins with, by its kind
	of     instruments
	newer  *relay // by Options.Schema
	exact  uint16 // version of that one, 0: there is none
	trades pending
	todo   sweep

	doubtful []uint32 // instruments whose books are not the venue's, until somebody asks (price.go)
	doubts   uint64   // how often there was one
	nameless uint64   // Refused when somebody asked last
	lacked   uint64   // number of the last message that counts as Undefined, from 1

	refs [256]uint32 // slots of a message's entries, for the orders that refer to them

	// The quick way's: the batch that it may fill, nil: none; schemaId and version of its latest message; instruments of the message under way, rows
	// before it; and where it stopped: at which entry, and which order entry of a trade comes next, in bytes from the message's begin.
	fit         *tick.Batch
	slow        bool // for tests: it is not taken
	usual       uint32
	met         [256]met
	before      int
	entry, fill int

	definitions []definitionPlan
	snapshots   []snapshotPlan

	first    uint64 // number of the packet that was decoded last, whole or in part
	event    uint32 // number of the event, ours
	time     uint64 // its TransactTime
	open     bool   // it has messages, and its end has not come
	start    int    // first row of it that the call under way made
	sequence uint64 // of the packet under way
	week     uint64 // Start's midnight from which definitions are kept
	batch    uint32 // number of the call's batch, ours
	last     *tick.Batch
	lastOut  int      // rows of it when the last call ended
	heldBack []uint32 // slots of instruments that had rows in calls that left the event open
}

// NewDecoder makes one channel's decoder. An error says what is wrong with Options.Schema.
func NewDecoder(o Options) (*Decoder, error) {
	d := &Decoder{opts: o, heldBack: make([]uint32, 0, tick.MaxRows)}
	d.chainTables()
	if o.Schema != "" {
		s, err := sbe.Load(o.Schema)
		if err != nil {
			return nil, fmt.Errorf("mdp3: %w", err)
		}
		if d.newer, err = newRelay(s); err != nil {
			return nil, err
		}
		d.exact = s.Version
	}
	if d.usual = SchemaID | builtin<<16; d.exact == builtin {
		d.usual = SchemaID | (builtin-1)<<16
	}
	d.planDefinitions()
	d.planSnapshots()
	d.of.reset(d.begins())
	d.trades.room = make([]trade, 0, maxPending)
	return d, nil
}

// begins is what instruments begin with: their factor, and where to ask for one.
func (d *Decoder) begins() (factor, *Definitions) {
	if d.opts.Prices == PricesWire {
		return one, nil
	}
	return unknown, d.opts.Definitions
}

// Start begins a session (pipeline.Decoder). Definitions stay if they are of the same week: CME sends them again at its start, and not after a channel
// reset. Those of another week are void.
func (d *Decoder) Start(midnight uint64) {
	if d.opts.Definitions != nil {
		d.opts.Definitions.start(midnight)
	}
	if !d.Keeps(midnight) {
		d.week = midnight
		d.of.reset(d.begins())
	}
	d.of.forget()
	d.doubtful = d.doubtful[:0]
	d.trades.reset()
	d.todo = sweep{}
	d.heldBack = d.heldBack[:0]
	d.open, d.first, d.lastOut = false, 0, 0
	d.event++
}

// Keeps says that Start would keep definitions.
func (d *Decoder) Keeps(midnight uint64) bool { return keeps(d.week, midnight) }

// Refused is how many messages could not be taken (pipeline.Decoder).
func (d *Decoder) Refused() uint64 { return d.Counters.Refused }

// Room that one message may need. A message whose rows might not fit is left for the next batch.
const (
	roomRows  = 1024 // 254 trades of which each takes back another one, 254 fills
	roomSides = 516  // two entries of a table for each of 254, and a few
)

// Append decodes one packet's messages (pipeline.Decoder): a packet is one message to the session, first its number. It stops behind a message
// where out has no room for the next one, and says so with messages = 0: the rest of the packet comes again, with the same number. A
// channel reset or the state of a group can make more rows than a batch has: they go on with the next call.
func (d *Decoder) Append(body []byte, first uint64, max int, out *tick.Batch) (used, messages int) {
	if max < 1 {
		return 0, 0
	}
	if out != d.last || out.N < d.lastOut || out.N == 0 {
		d.into(out)
	}
	d.sequence, d.start = first, out.N
	if first != d.first && first != d.first+1 && d.first != 0 {
		d.interrupt()
	}
	d.first = first
	if d.todo.kinds == 0 {
		used = d.quick(body, out)
	}
	if used < len(body) || d.todo.kinds != 0 {
		used += d.decode(body[used:], out)
	}
	if used == len(body) && d.todo.kinds == 0 {
		messages = 1
		d.Counters.Packets++
	}
	if d.open {
		d.hold(out)
	}
	d.lastOut = out.N
	return used, messages
}

// decode takes messages one by one until the batch is full, and what there is to be done between them.
func (d *Decoder) decode(body []byte, out *tick.Batch) (used int) {
	for (d.todo.kinds == 0 || d.drain(out)) && used < len(body) {
		m, size := Next(body[used:])
		if size == 0 { // the session's Walk has seen that there is none such
			d.Counters.Refused++
			return len(body)
		}
		if out.N > tick.MaxRows-roomRows || sidesFull(&out.Sides) {
			break
		}
		used += size
		d.message(m, out)
		if d.todo.kinds == 0 {
			used += d.quick(body[used:], out)
		}
	}
	return used
}

// into notes that rows go to another batch than before, or to one that was emptied since.
func (d *Decoder) into(out *tick.Batch) {
	d.batch = (d.batch + 1) % (1 << 20)
	if d.last = out; d.fit != out {
		d.fit = nil
		if d.fits(out) {
			d.fit = out
		}
	}
}

func sidesFull(s *tick.SideCounts) bool {
	return s.Statistics+s.Exts+s.Definitions+s.Statuses > tick.MaxSideRows-roomSides
}

// message decodes one message. One that is refused leaves no rows.
func (d *Decoder) message(m Message, out *tick.Batch) {
	d.Counters.Messages++
	if m.Schema() != SchemaID {
		d.Counters.Foreign++
		return
	}
	if m = d.local(m); m == nil {
		return
	}
	n := out.N
	if err := d.rows(m, out); err != nil {
		d.refuse(n, out)
	}
}

// refuse takes back what a refused message made: rows from n on and their side rows, which are counted anew. Trades that wait for order entries
// wait no longer, for what belongs to which is not known any more.
func (d *Decoder) refuse(n int, out *tick.Batch) {
	d.Counters.Refused++
	out.N, out.Sides = n, tick.SideCounts{}
	for i := range n {
		first, count := tick.SplitSideRows(out.Aux[i&tick.RowMask])
		switch end := first + count; out.Kind[i&tick.RowMask] {
		case tick.KindStatus:
			out.Sides.Statuses = max(out.Sides.Statuses, end)
		case tick.KindImbalance:
			out.Sides.Imbalances = max(out.Sides.Imbalances, end)
		case tick.KindDefinition:
			out.Sides.Definitions = max(out.Sides.Definitions, end)
		case tick.KindStatistics:
			out.Sides.Statistics = max(out.Sides.Statistics, end)
		case tick.KindExt:
			out.Sides.Exts = max(out.Sides.Exts, end)
		}
	}
	d.trades.reset()
	d.repair(out)
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

// Schema is what the decoder goes by where it was given no other one: CME's version 13, and the older templates.
func Schema() *sbe.Schema { return wire.Schema() }
