package pipeline

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/feed/pricebook"
	"github.com/tickwire/tickwire/feed/resync"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/feed/symbols"
	"github.com/tickwire/tickwire/internal/pin"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/parsers/itch"
	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// Pass sizes: the most messages a pass takes before it publishes.
const (
	PassLive   = 64   // the first message of a burst waits for 63 others at most: a few µs
	PassReplay = 2048 // nobody waits: let the cache misses overlap
	passMost   = tick.MaxRows
)

// Config of a lane. Books, Symbols and Midnight must be given.
type Config struct {
	Publisher uint16
	ChannelID uint8
	// Decoder reads the messages that the lane itself is given as a session.Sink. Further channels have their own: Stream. The default is ITCH's.
	Decoder Decoder
	Books   *book.Books
	// Prices are the venue's price books, from which best prices and depth come then. The default is none: they come from Books.
	Prices *pricebook.Books
	// Levels says that the venue has no orders, so that its levels stand for them in the mbo ring, with F_MBP.
	Levels bool
	// Mends says that a clearing row with FlagSnapshot comes before the whole state of its instrument: the instrument alone is suspect after a loss,
	// and no more from there on.
	Mends bool
	// Natural has price books that are suspect learnt anew from the stream itself, where the venue numbers levels; of no use without Prices. The default is off.
	Natural bool
	Symbols *symbols.Directory
	Out     Outputs

	// Midnight gives the start of the venue's day that the time now falls into, both in ns since the Unix epoch. It is
	// asked when a session begins.
	Midnight func(now uint64) (uint64, error)
	// Clock is the lane's own time in ns since the Unix epoch. The default is the system's clock.
	Clock func() uint64
	// FileStamps makes ts_recv the venue's own time, with F_BAD_TS_RECV: the input has no time of arrival.
	FileStamps bool
	// MaxPass is the most messages of a pass. The default is PassLive.
	MaxPass int
	// Depth lists the instruments that the mbp10 ring is kept for, by symbol. The default is none.
	Depth []string
	// Only restricts books and records to these symbols: a question to a file about some of thousands. The default is all.
	Only []string
	// From and To bound what is published by the venue's time, ns since the Unix epoch, To excluded; books are kept from
	// the beginning all the same. The default, 0, is no bound.
	From, To uint64
	// Resync rebuilds the books after a loss; it must have been made for Books, and the lane must have one channel. Its Run is the
	// caller's to start. The default is none: after a loss books are suspect to the end of the day.
	Resync *resync.Resync
	// Plugins is where chains of plugins come from, whose directory must be this lane's (Lane.Directory). The default is none: rows are published as the
	// books completed them.
	Plugins *plugins.Seat
	// Kept gets copies of batches that plugins are tried on. The default is none.
	Kept *Kept
	// Rows is called behind each batch, when its records are published, with each run of rows that were: n rows from from on, as plugins left them, and the chain
	// that they passed, nil: none. Not for live lanes: it may take its time. The default is none.
	Rows func(b *tick.Batch, from, n int, chain *plugins.Chain)
}

// Counters of a lane. Owned by the lane; Snapshot copies them.
type Counters struct {
	Passes      uint64
	Messages    uint64 // venue messages that were decoded, whatever became of them
	Rows        uint64 // of them, those that became rows
	Refused     uint64 // messages that a packet promised and the parser could not take
	Mbo         uint64 // records published, by ring
	Mbp1        uint64
	Trades      uint64
	Events      uint64
	Ext         uint64
	Mbp10       uint64
	Definitions uint64
	Undefined   uint64 // definitions that a directory refused: it is full
	Gaps        uint64 // gap records
	Unrouted    uint64 // packets of no channel of ours
	BadTsRecv   uint64 // packets whose time of arrival lay before the one before: moved forward

	PluginFlagged    uint64 // rows whose records carry a plugin's verdict
	PluginDropped    uint64 // rows that were not published, as a plugin said
	PluginBypass     uint64 // passes with rows that a plugin did not handle
	PluginSwaps      uint64 // changes of the chain
	LivePluginSwapNs uint64 // what the latest one took
	MaxPluginSwapNs  uint64 // and the longest
	Renamed          uint64 // symbols that plugins changed
}

// Lane is one pinned loop and everything it owns.
type Lane struct {
	out       Outputs
	books     *book.Books
	symbols   *symbols.Directory
	batch     *tick.Batch
	staged    staging
	main      Stream
	streams   int // main included
	passes    []passDecoder
	current   *Stream // whose rows the batch has
	counters  Counters
	midnight  func(uint64) (uint64, error)
	clock     func() uint64
	depth     depth
	only      selection
	rebuild   *rebuild // nil: there is no snapshot server
	guests    guests
	window    *pin.Window // Input.Window while it is in use
	naturals  []*Stream
	natural   resync.NaturalCounters
	doubts    uint64 // the price books' Doubts when they were looked at last
	learning  bool   // Config.Natural, with price books
	publisher uint16
	channelID uint8
	maxPass   int
	files     bool
	rows      func(b *tick.Batch, from, n int, chain *plugins.Chain) // Config.Rows
	mends     bool                                                   // Config.Mends

	day      uint64 // the venue's midnight
	now      uint64 // lane time of the present pass
	publish  uint64 // ts_publish of the present pass
	replay   bool   // time is the packets': ts_publish too, so that a replay is exact
	lastRecv uint64 // highest ts_recv given out
	lastTime uint64 // ts_event of the last row: stamps what has no time of its own
	suspect  uint8  // FlagMaybeBadBook after a loss, else 0
	inPass   int
	err      error // why the lane cannot go on
	lastGap  uint64

	sent  *[tick.MaxRows]uint64 // by row of the batch: when the venue sent it, ns since the Unix epoch; 0: it does not say
	tells bool                  // some packet said so

	packets []nic.Packet
}

// burst is how many packets a poll takes at most: as many as a pass has messages, at one message a packet.
const burst = PassLive

// New makes a lane. The caller keeps and closes books and rings.
func New(cfg Config) (*Lane, error) {
	if cfg.Books == nil || cfg.Symbols == nil || cfg.Midnight == nil {
		return nil, errors.New("pipeline: a lane needs books, a directory and a calendar")
	}
	if cfg.MaxPass <= 0 {
		cfg.MaxPass = PassLive
	}
	if cfg.MaxPass > passMost {
		return nil, fmt.Errorf("pipeline: max_pass = %d, but a batch has %d rows", cfg.MaxPass, passMost)
	}
	if cfg.Clock == nil {
		cfg.Clock = func() uint64 { return uint64(time.Now().UnixNano()) }
	}
	var back *rebuild
	if cfg.Resync != nil {
		if back = newRebuild(cfg.Resync.Lane()); !back.half.Fits(cfg.Books) {
			return nil, errors.New("pipeline: books are to be rebuilt, but not this lane's")
		}
	}
	batch, err := tick.NewBatch()
	if err != nil {
		return nil, err
	}
	if cfg.Decoder == nil {
		cfg.Decoder = &itch.Decoder{}
	}
	l := &Lane{
		out: cfg.Out, books: cfg.Books, symbols: cfg.Symbols, batch: batch, staged: newStaging(cfg.MaxPass + 1),
		midnight: cfg.Midnight, clock: cfg.Clock, depth: newDepth(cfg.Depth), only: newSelection(&cfg), rebuild: back, guests: newGuests(cfg.Plugins, cfg.Kept),
		packets: make([]nic.Packet, burst), sent: new([tick.MaxRows]uint64), publisher: cfg.Publisher, channelID: cfg.ChannelID, maxPass: cfg.MaxPass, files: cfg.FileStamps, mends: cfg.Mends,
	}
	l.rows = cfg.Rows
	l.depth.price(cfg.Prices, cfg.Levels)
	l.learning = cfg.Natural && cfg.Prices != nil
	l.main = l.stream(cfg.Decoder, cfg.ChannelID)
	l.main.learns(l.learning)
	l.current = &l.main
	return l, nil
}

// Close frees the lane's own memory. The rings are the caller's.
func (l *Lane) Close() error { return l.batch.Free() }

// Counters are the lane's own; read them on the lane, or when it has ended.
func (l *Lane) Counters() *Counters { return &l.counters }

// Parser are the counters of the lane's own decoder when that is ITCH's, under the same rule; else zeros.
func (l *Lane) Parser() *itch.Counters {
	if d, ok := l.main.decoder.(*itch.Decoder); ok {
		return &d.Counters
	}
	return &itch.Counters{}
}

// Books are the lane's books, under the same rule.
func (l *Lane) Books() *book.Books { return l.books }

// StartDay sets the venue's midnight, in ns since the Unix epoch, for inputs without sessions.
func (l *Lane) StartDay(midnight uint64) {
	l.day = midnight
	l.main.decoder.Start(midnight)
}

// ShowCounters shows monitors of the rings what the lane counted. No allocation, no call into the kernel.
func (l *Lane) ShowCounters() {
	n := &l.counters
	show := func(w *ringbuf.Writer, records uint64) {
		if w != nil {
			w.StoreCounters(&ringbuf.Counters{Records: records, Gaps: n.Gaps, BadTimestamps: n.BadTsRecv, PluginBypass: n.PluginBypass, LastGap: l.lastGap})
		}
	}
	show(l.out.Mbo, n.Mbo)
	show(l.out.Mbp1, n.Mbp1)
	show(l.out.Trades, n.Trades)
	show(l.out.Events, n.Events)
	show(l.out.Ext, n.Ext)
	show(l.out.Mbp10, n.Mbp10)
}

// SetNow tells the lane what time it is, ns since the Unix epoch. The loop does so once a pass.
func (l *Lane) SetNow(now uint64) { l.now = now }

// distrust makes every book suspect. Rows say so from here on; the latest values of instruments that may have no row for long say so at once: some
// 90 ns for each that has had an order, at the first loss since the books were certain.
func (l *Lane) distrust() {
	was := l.suspect
	l.suspect = tick.FlagMaybeBadBook
	l.setSuspectAll(true)
	if was != 0 || l.out.Last == nil {
		return // every value was marked then, or came marked since
	}
	l.eachBook(func(id uint32) bool {
		l.distrustLast(id)
		return true
	})
}

// distrustLast marks an instrument's latest value as suspect.
func (l *Lane) distrustLast(id uint32) {
	l.putLast(id, tick.ActionNone, tick.FlagMaybeBadBook, l.ladder().Top(id))
}

// putLast makes an instrument's latest value one of no row.
func (l *Lane) putLast(id uint32, action, flags uint8, top tick.BidAskPair) {
	if l.out.Last == nil {
		return
	}
	rec := ringbuf.Mbp1Slot{Mbp1: tick.Mbp1{Trade: tick.Trade{
		Header: tick.Header{Length: 20, RType: tick.RTypeMbp1, PublisherID: l.publisher, InstrumentID: id, TsEvent: l.lastTime},
		Price:  tick.UndefPrice, Action: action, Side: tick.SideNone,
		Flags: snapshotFlags | tick.FlagLast | flags, TsRecv: max(l.now, l.lastRecv),
	}, Levels: [1]tick.BidAskPair{top}}, TsPublish: l.now}
	l.out.Last.Put(id, &rec)
}

// EndPass completes, expands and publishes what the batch holds, and goes on with a rebuild when there is one.
func (l *Lane) EndPass() {
	if l.inPass != 0 || l.batch.N != 0 {
		l.endBatch()
	}
	for _, s := range l.naturals {
		if s.natural.Pending() {
			s.tellWhole()
		}
	}
	if l.guests.seat != nil {
		l.takePlugins()
	}
	for _, d := range l.passes { // behind the chain: a plugin that is both changes as both
		d.EndPass(l.now)
	}
	if l.rebuild != nil && l.rebuild.active {
		l.rebuildPass()
	}
}

// endBatch is EndPass while a packet may be half taken.
func (l *Lane) endBatch() {
	b := l.batch
	if b.N > 0 {
		l.counters.Rows += uint64(b.N)
		l.lastTime = b.TsEvent[(b.N-1)&tick.RowMask]
		l.only.apply(l)
		l.publish = l.now
		if n := l.current.natural; n != nil && n.Active() {
			l.current.learn()
		}
		l.depth.apply(l)
		if l.learning && l.depth.prices.Doubts() != l.doubts {
			l.current.doubtBooks()
		}
		publish := l.guests.seat == nil || l.passPlugins()
		if !l.files && !l.replay {
			l.publish = l.clock() // once a pass: the books' work is behind it
		}
		switch {
		case !publish:
		case l.guests.ran:
			l.expandJudged()
			l.flush()
		default:
			l.expand()
			l.flush()
		}
		if l.rows != nil && publish {
			l.showRows()
		}
	}
	l.counters.Passes++
	b.Reset()
	l.inPass = 0
}

// gapRecord publishes a gap, of which so many messages came, in the books of one instrument, or of all of the channel's: 0.
func (l *Lane) gapRecord(g session.Gap, came uint64, instrument uint32) {
	recv := max(l.now, l.lastRecv)
	rec := tick.Gap{ // before the first row the venue's time is not known: 1970 would hide it from whoever asks for the day
		Header: tick.Header{Length: 14, RType: tick.RTypeGap, PublisherID: l.publisher, InstrumentID: instrument, TsEvent: cmp.Or(l.lastTime, recv)},
		First:  g.First, Last: g.Last, TsRecv: recv, State: g.State, ChannelID: l.channelID, Line: 255,
		Messages: came,
	}
	inline(l, &rec)
	event(l, &rec)
	l.counters.Gaps++
	l.lastGap = g.Last
	l.flush()
}

// clearAll sends R for all instruments that have one record behind them: the directory's, and those whose definition was lost.
func (l *Lane) clearAll() {
	if l.out.Mbo == nil {
		return
	}
	l.symbols.Each(func(in *symbols.Instrument) bool { l.clear(in.ID); return true })
	l.eachBook(func(id uint32) bool {
		if l.symbols.Lookup(id) == nil {
			l.clear(id)
		}
		return true
	})
	l.flush()
}

func (l *Lane) clear(id uint32) {
	l.staged.mbo = append(l.staged.mbo, slot56{})
	r := (*tick.Mbo)(asMbo(&l.staged.mbo[len(l.staged.mbo)-1]))
	*r = tick.Mbo{
		Header: tick.Header{Length: 14, RType: tick.RTypeMbo, PublisherID: l.publisher, InstrumentID: id, TsEvent: l.lastTime},
		Price:  tick.UndefPrice, Flags: tick.FlagLast, ChannelID: l.channelID,
		Action: tick.ActionClear, Side: tick.SideNone, TsRecv: max(l.now, l.lastRecv),
	}
	if len(l.staged.mbo) == cap(l.staged.mbo) {
		l.flush()
	}
}
