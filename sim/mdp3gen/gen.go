package mdp3gen

import (
	"errors"
	"fmt"
	"time"

	"github.com/tickwire/tickwire/parsers/mdp3"
)

// Bounds of options.
const (
	DefaultMessages    = 2_000_000
	DefaultInstruments = 40
	MinMessages        = 1_000
	MaxInstruments     = 5_000
	perInstrument      = 20 // messages of a session for each instrument, at least
)

// Options of a session. The zero value works.
type Options struct {
	// Messages is how many SBE messages the session has: exactly. At least 1,000. The default is 2 million, and no end in a live session.
	Messages uint64
	// Instruments is how many there are; of a short session a twentieth of Messages at most. The default is 40.
	Instruments int
	// Seed makes another session of the same kind. The default is 0, a seed like any other.
	Seed uint64
	// Date of the session. The default is 2026-01-05.
	Date time.Time
	// Version of the schema, 9 or 13. The default is 13.
	Version int
	// Channel is ApplID. The default is 310.
	Channel int16
	// LongQty has the templates with 64-bit quantities (64 to 67, 69) used, with volumes beyond 32 bits. The default is off.
	LongQty bool
	// Live makes a session for NextAt, which goes on without end unless Messages is given.
	Live bool
}

// Validate reports all faults at once, as New does.
func (o Options) Validate() error {
	_, err := o.withDefaults()
	return err
}

func (o Options) withDefaults() (Options, error) {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("mdp3gen: "+format, args...)) }
	if o.Messages == 0 && !o.Live {
		o.Messages = DefaultMessages
	}
	if o.Messages != 0 && o.Messages < MinMessages {
		bad("Messages = %d, want at least %d", o.Messages, MinMessages)
	}
	if o.Instruments == 0 {
		o.Instruments = DefaultInstruments
	}
	if o.Instruments < 1 || o.Instruments > MaxInstruments {
		bad("Instruments = %d, want 1 to %d", o.Instruments, MaxInstruments)
	}
	if o.Messages != 0 {
		o.Instruments = int(min(uint64(max(o.Instruments, 0)), max(o.Messages/perInstrument, 1)))
	}
	if o.Version == 0 {
		o.Version = 13
	}
	if o.Version != 9 && o.Version != 13 {
		bad("Version = %d, want 9 or 13", o.Version)
	}
	if o.Version < 12 && o.LongQty {
		bad("LongQty takes version 13: version 9 has no templates for it")
	}
	if o.Channel == 0 {
		o.Channel = 310
	}
	if o.Date.IsZero() {
		o.Date = time.Date(2026, time.January, 5, 0, 0, 0, 0, time.UTC)
	}
	return o, errors.Join(errs...)
}

// Gen makes one session, event by event. It belongs to one goroutine.
type Gen struct {
	o       Options
	v       mdp3.Encoder
	r       random
	list    []instrument
	event   event
	phase   phase
	at      int // instrument that the phase has come to
	now     uint64
	end     uint64 // of the session, ns since the Unix epoch
	burst   int
	order   uint64 // latest order id
	queue   uint64 // latest MDOrderPriority
	trade   uint32 // latest MDTradeEntryID
	sent    uint64 // messages
	resting int
}

type phase uint8

const (
	defining phase = iota
	opening        // books fill, nobody trades
	trading
	closed
)

// fillEvents is how many orders an instrument begins with, at most.
const fillEvents = 60

// New prepares a session. It fails when an option is out of range.
func New(o Options) (*Gen, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	g := &Gen{o: o, v: mdp3.Encoder(o.Version), r: random{o.Seed*0xD1342543DE82EF95 + 0x2545F4914F6CDD1D}}
	day := uint64(o.Date.UTC().Truncate(24 * time.Hour).UnixNano())
	g.now = day + uint64(13*time.Hour+30*time.Minute)
	g.end = day + uint64(21*time.Hour)
	g.order = 6_800_000_000_000 + g.r.below(1<<30)
	g.queue = 40_000_000_000 + g.r.below(1<<30)
	g.list = g.directory(o.Instruments)
	return g, nil
}

// Options are those of New, with defaults filled in.
func (g *Gen) Options() Options { return g.o }

// Time is TransactTime of the latest event, ns since the Unix epoch. It does not go back.
func (g *Gen) Time() uint64 { return g.now }

// Messages is how many have been given so far.
func (g *Gen) Messages() uint64 { return g.sent }

// Resting is how many orders rest.
func (g *Gen) Resting() int { return g.resting }

// Opening says that definitions and first orders are not through yet: a live session is best hurried through them.
func (g *Gen) Opening() bool { return g.phase < trading }

// Next appends the messages of the session's next event, each after its MsgSize; ok is false, and nothing appended, after the last one.
func (g *Gen) Next(dst []byte) (out []byte, ok bool) {
	if g.done() {
		return dst, false
	}
	if g.phase == trading && !g.o.Live {
		g.tick()
	} else {
		g.now += 1 + g.r.below(50_000)
	}
	return g.make(dst), true
}

// NextAt is Next at the caller's time, ns since the Unix epoch: for live sessions. A time before an earlier event's is taken as that one's.
func (g *Gen) NextAt(dst []byte, now uint64) (out []byte, ok bool) {
	if g.done() {
		return dst, false
	}
	g.now = max(g.now, now)
	return g.make(dst), true
}

func (g *Gen) done() bool { return g.o.Messages != 0 && g.sent >= g.o.Messages }

// tick is the time of the next event: bursts, and quiet between them.
func (g *Gen) tick() {
	if g.burst > 0 {
		g.burst--
		g.now += g.r.below(3_000)
		return
	}
	left := max(g.o.Messages-g.sent, 1)
	mean := (g.end - min(g.now, g.end)) / left
	g.burst = g.r.decay() * g.r.decay()
	if g.r.below(20_000) == 0 {
		g.burst = 2_000
	}
	g.now += g.r.below(2*mean*uint64(g.burst+1) + 1)
}

// mostOfEvent bounds an event's messages: so many before the end, events of one message are made.
const mostOfEvent = 12

func (g *Gen) make(dst []byte) []byte {
	e := &g.event
	e.reset(g.now)
	last := g.o.Messages != 0 && g.o.Messages-g.sent <= mostOfEvent
	switch {
	case last && g.phase == trading: // the last messages close the market, group by group, and repeat that
		g.phase, g.at = closed, 0
		fallthrough
	case g.phase == closed:
		dst = g.state(dst, &g.list[g.at%len(g.list)], 4, 0)
		g.at++
		return dst
	case g.phase == defining:
		return g.define(dst)
	case g.phase == opening:
		return g.open(dst)
	}
	g.market()
	dst, n := e.encode(dst, g)
	g.sent += uint64(n)
	return dst
}
