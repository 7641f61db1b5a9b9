package pipeline

import (
	"errors"
	"fmt"
	"time"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/feed/resync"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/feed/symbols"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/parsers/itch"
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
	Books     *book.Books
	Symbols   *symbols.Directory
	Out       Outputs

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
}

// Lane is one pinned loop and everything it owns.
type Lane struct {
	out       Outputs
	books     *book.Books
	symbols   *symbols.Directory
	batch     *tick.Batch
	staged    staging
	itch      itch.Counters
	counters  Counters
	midnight  func(uint64) (uint64, error)
	clock     func() uint64
	depth     depth
	only      selection
	rebuild   *rebuild // nil: there is no snapshot server
	publisher uint16
	channelID uint8
	maxPass   int
	files     bool

	day      uint64 // the venue's midnight
	now      uint64 // lane time of the present pass
	publish  uint64 // ts_publish of the present pass
	replay   bool   // time is the packets': ts_publish too, so that a replay is exact
	lastRecv uint64 // highest ts_recv given out
	lastTime uint64 // ts_event of the last row: stamps what has no time of its own
	suspect  uint8  // FlagMaybeBadBook after a loss, else 0
	refused  uint64 // messages that the parser had refused when it was last looked at
	inPass   int
	err      error // why the lane cannot go on

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
		if back = (&rebuild{half: cfg.Resync.Lane()}); !back.half.Fits(cfg.Books) {
			return nil, errors.New("pipeline: books are to be rebuilt, but not this lane's")
		}
	}
	batch, err := tick.NewBatch()
	if err != nil {
		return nil, err
	}
	return &Lane{
		out: cfg.Out, books: cfg.Books, symbols: cfg.Symbols, batch: batch, staged: newStaging(cfg.MaxPass + 1),
		midnight: cfg.Midnight, clock: cfg.Clock, depth: newDepth(cfg.Depth), only: newSelection(&cfg), rebuild: back,
		packets: make([]nic.Packet, burst), publisher: cfg.Publisher, channelID: cfg.ChannelID, maxPass: cfg.MaxPass, files: cfg.FileStamps,
	}, nil
}

// Close frees the lane's own memory. The rings are the caller's.
func (l *Lane) Close() error { return l.batch.Free() }

// Counters are the lane's own; read them on the lane, or when it has ended.
func (l *Lane) Counters() *Counters { return &l.counters }

// Parser are the parser's counters, under the same rule.
func (l *Lane) Parser() *itch.Counters { return &l.itch }

// Books are the lane's books, under the same rule.
func (l *Lane) Books() *book.Books { return l.books }

// StartDay sets the venue's midnight, in ns since the Unix epoch, for inputs without sessions.
func (l *Lane) StartDay(midnight uint64) { l.day = midnight }

// SetNow tells the lane what time it is, ns since the Unix epoch. The loop does so once a pass.
func (l *Lane) SetNow(now uint64) { l.now = now }

// Messages takes count length-prefixed messages in order; see session.Sink. Rows become records when the pass is full
// or EndPass is called.
func (l *Lane) Messages(blocks []byte, first uint64, count int, at session.Arrival) {
	if l.rebuild != nil {
		l.rebuild.delivered(blocks, first, count)
	}
	for count > 0 {
		from := l.batch.N
		used, n := itch.Append(blocks, l.day, first, min(count, l.maxPass-l.inPass), l.batch, &l.itch)
		l.stamp(from, at)
		blocks, first, count = blocks[used:], first+uint64(n), count-n
		l.inPass += n
		l.counters.Messages += uint64(n)
		l.doubt(first - 1)
		if n == 0 && l.inPass == 0 {
			// An empty batch took nothing: what is left is no message. The session checked the lengths, so this is
			// a defect of one of the two, and it must not be silent.
			l.counters.Refused += uint64(count)
			l.refuse(first, first+uint64(count)-1)
			break
		}
		if n == 0 || l.inPass >= l.maxPass || l.batch.Full() {
			l.endBatch()
		}
	}
	if r := l.rebuild; r != nil && r.doubted {
		r.doubted = false
		l.lost(r.refusedFirst, r.refusedLast)
	}
}

// Span takes length-prefixed messages of a file, the first of which has number first, and returns how many bytes it
// could use: all of them, unless what is left is no message.
func (l *Lane) Span(span []byte, first uint64) (used int) {
	for used < len(span) {
		from := l.batch.N
		n, messages := itch.Append(span[used:], l.day, first, l.maxPass-l.inPass, l.batch, &l.itch)
		l.stamp(from, session.Arrival{})
		used += n
		first += uint64(messages)
		l.inPass += messages
		l.counters.Messages += uint64(messages)
		l.doubt(first - 1)
		if messages == 0 && l.inPass == 0 {
			l.counters.Refused++
			return used
		}
		if messages == 0 || l.inPass >= l.maxPass || l.batch.Full() {
			l.EndPass()
		}
	}
	return used
}

// doubt notices that the parser refused a message: the last one that it took, since it stops behind one.
func (l *Lane) doubt(number uint64) {
	if l.itch.Short == l.refused {
		return
	}
	l.refused = l.itch.Short
	l.refuse(number, number)
}

// refuse makes messages that came, and of which nobody knows what they said, and of whom, a loss like those that did not come: a record in their
// place, and every book suspect from there on.
func (l *Lane) refuse(first, last uint64) {
	if l.inPass != 0 || l.batch.N != 0 {
		l.endBatch()
	}
	l.distrust()
	l.gapRecord(session.Gap{First: first, Last: last, State: tick.GapLost}, 0)
	if r := l.rebuild; r != nil {
		if !r.doubted {
			r.doubted, r.refusedFirst = true, first
		}
		r.refusedLast = last
	}
}

// distrust makes every book suspect. Rows say so from here on; the latest values of instruments that may have no row for long say so at once: some
// 90 ns for each that has had an order, at the first loss since the books were certain.
func (l *Lane) distrust() {
	was := l.suspect
	l.suspect = tick.FlagMaybeBadBook
	l.books.SetSuspectAll(true)
	if was != 0 || l.out.Last == nil {
		return // every value was marked then, or came marked since
	}
	rec := ringbuf.Mbp1Slot{Mbp1: tick.Mbp1{Trade: tick.Trade{
		Header: tick.Header{Length: 20, RType: tick.RTypeMbp1, PublisherID: l.publisher, TsEvent: l.lastTime},
		Price:  tick.UndefPrice, Action: tick.ActionNone, Side: tick.SideNone,
		Flags: snapshotFlags | tick.FlagLast | tick.FlagMaybeBadBook, TsRecv: max(l.now, l.lastRecv),
	}}, TsPublish: l.now}
	l.books.Instruments(func(id uint32) bool {
		rec.InstrumentID, rec.Levels[0] = id, l.books.Top(id)
		l.out.Last.Put(id, &rec)
		return true
	})
}

// stamp fills in when the rows from on came in. Time never goes back on a lane, hence not within an instrument.
func (l *Lane) stamp(from int, at session.Arrival) {
	b := l.batch
	flags := l.suspect
	if l.files {
		for i := from; i < b.N; i++ {
			l.lastRecv = max(l.lastRecv, b.TsEvent[i&tick.RowMask])
			b.TsRecv[i&tick.RowMask] = l.lastRecv
			b.Flags[i&tick.RowMask] = flags | tick.FlagBadTsRecv
		}
		return
	}
	ts := at.TsRecv
	if ts == 0 {
		ts = l.now
	}
	if ts < l.lastRecv {
		ts = l.lastRecv
		flags |= tick.FlagBadTsRecv
		l.counters.BadTsRecv++
	}
	l.lastRecv = ts
	for i := from; i < b.N; i++ {
		b.TsRecv[i&tick.RowMask] = ts
		b.Flags[i&tick.RowMask] = flags
	}
}

// EndPass completes, expands and publishes what the batch holds, and goes on with a rebuild when there is one.
func (l *Lane) EndPass() {
	if l.inPass != 0 || l.batch.N != 0 {
		l.endBatch()
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
		l.depth.apply(l)
		if !l.files && !l.replay {
			l.publish = l.clock() // once a pass: the books' work is behind it
		}
		l.expand()
		l.flush()
	}
	l.counters.Passes++
	b.Reset()
	l.inPass = 0
}

// Gap makes a hole in the sequence a record in the rings, in its place in the order of events; see session.Sink.
// Sequence numbers count all instruments, so after a loss every book is suspect.
func (l *Lane) Gap(g session.Gap) {
	l.EndPass()
	if g.State == tick.GapLost {
		l.distrust()
	}
	came := g.Last - g.First + 1
	if g.State == tick.GapLost {
		came = 0
	}
	l.gapRecord(g, came)
	if g.State == tick.GapLost && l.rebuild != nil {
		l.lost(g.First, g.Last)
	}
}

// gapRecord publishes a gap, of which so many messages came.
func (l *Lane) gapRecord(g session.Gap, came uint64) {
	rec := tick.Gap{
		Header: tick.Header{Length: 14, RType: tick.RTypeGap, PublisherID: l.publisher, TsEvent: l.lastTime},
		First:  g.First, Last: g.Last, TsRecv: max(l.now, l.lastRecv), State: g.State, ChannelID: l.channelID, Line: 255,
		Messages: came,
	}
	inline(l, &rec)
	event(l, &rec)
	l.counters.Gaps++
	l.flush()
}

// SessionStart empties books and directory and tells every reader so; see session.Sink. The rings go on.
func (l *Lane) SessionStart(id [10]byte) {
	l.EndPass()
	day, err := l.midnight(l.now)
	if err != nil {
		l.err = err
		return
	}
	l.day, l.suspect = day, 0
	if l.rebuild != nil {
		l.forget()
		l.rebuild.half.Session(id)
	}
	// The directory's generation moves before the first R, that of the last values after the last: readers tell by them.
	if l.out.Instruments != nil {
		l.out.Instruments.Reset()
	}
	l.clearAll()
	l.books.Reset()
	l.symbols.Reset()
	l.depth.reset()
	l.only.reset()
	if l.out.Last != nil {
		l.out.Last.Reset()
	}
}

// SessionEnd publishes what is left; see session.Sink.
func (l *Lane) SessionEnd([10]byte) { l.EndPass() }

// clearAll sends R for all instruments that have one record behind them: the directory's, and those whose definition was lost.
func (l *Lane) clearAll() {
	if l.out.Mbo == nil {
		return
	}
	l.symbols.Each(func(in *symbols.Instrument) bool { l.clear(in.ID); return true })
	l.books.Instruments(func(id uint32) bool {
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

var _ session.Sink = (*Lane)(nil)
