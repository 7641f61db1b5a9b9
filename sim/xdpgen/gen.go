package xdpgen

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/tickwire/tickwire/parsers/itch"
	"github.com/tickwire/tickwire/parsers/xdp"
	"github.com/tickwire/tickwire/sim/itchgen"
)

// Bounds of options.
const (
	DefaultMessages = 20_000_000
	DefaultSymbols  = 8_900
	MinMessages     = 2_000
	MaxSymbols      = itchgen.MaxSymbols
	perSymbol       = 40 // messages of a session for each symbol, at least
)

// Product is what a session says it is by default: NYSE Arca Integrated.
const Product = 157

// Options of a session. The zero value works.
type Options struct {
	// Messages is how many the session has, from the reset to the last closed symbol: exactly, but for feeds other than Integrated, which have about as many
	// and never more. At least 2,000. The default is 20 million, and no end in a live session.
	Messages uint64
	// Symbols is 1 to 65,535; one of few messages has a symbol for each fortieth of them at most. The default is 8,900.
	Symbols int
	// Seed makes another session of the same kind. The default is 0, a seed like any other.
	Seed uint64
	// Version is that of the layouts: tails, price scales, halt reasons. The zero value is xdp.V21; commands give xdp.V25.
	Version xdp.Version
	// Market is whose feed it is, by its name in xdp.Markets. The default is arca, whose hours the session has.
	Market string
	// Product is which of the market's feeds says what happens. The default is xdp.Integrated.
	Product xdp.Product
	// Summaries makes the channel beside an Integrated or a Trades feed that has the day's figures of each symbol every minute (message 223), and
	// nothing else.
	Summaries bool
	// Channel is the multicast channel's number, and that of its one matching engine. The default is 1.
	Channel uint8
	// TogetherNs is how long a packet of a capture takes more messages (WritePcap). The default is 20 µs.
	TogetherNs uint64
	// Date of the session: messages carry absolute times. The default is 2026-01-05.
	Date itchgen.Date
	// Live makes a session for NextAt: the opening is short, and then trading goes on without end.
	Live bool
}

// Validate reports all faults at once, as New does.
func (o Options) Validate() error {
	_, err := o.withDefaults()
	return err
}

func (o Options) withDefaults() (Options, error) {
	var errs []error
	if o.Messages == 0 && !o.Live {
		o.Messages = DefaultMessages
	}
	if o.Messages != 0 && o.Messages < MinMessages {
		errs = append(errs, fmt.Errorf("xdpgen: Messages = %d, want at least %d", o.Messages, MinMessages))
	}
	if o.Symbols == 0 {
		o.Symbols = DefaultSymbols
	}
	if o.Symbols < 1 || o.Symbols > MaxSymbols {
		errs = append(errs, fmt.Errorf("xdpgen: Symbols = %d, want 1 to %d", o.Symbols, MaxSymbols))
	}
	if o.Messages != 0 {
		o.Symbols = int(min(uint64(max(o.Symbols, 0)), max(o.Messages/perSymbol, 1)))
	}
	if o.Messages > 1<<32-1 {
		errs = append(errs, fmt.Errorf("xdpgen: Messages = %d, want at most %d: sequence numbers have 32 bits", o.Messages, uint64(1<<32-1)))
	}
	if o.Version > xdp.V25 {
		errs = append(errs, fmt.Errorf("xdpgen: version %d does not exist", o.Version))
	}
	if o.Channel == 0 {
		o.Channel = 1
	}
	if o.Market == "" {
		o.Market = "arca"
	}
	if _, err := xdp.ParseMarket(o.Market); err != nil {
		errs = append(errs, err)
	}
	if o.Product == xdp.AnyProduct {
		o.Product = xdp.Integrated
	}
	if o.Product > xdp.Trades {
		errs = append(errs, fmt.Errorf("xdpgen: product %d is none of integrated, bbo, trades", o.Product))
	}
	if o.Summaries && o.Product == xdp.BBO {
		errs = append(errs, errors.New("xdpgen: there are no summaries beside a BBO feed"))
	}
	if o.Date == (itchgen.Date{}) {
		o.Date = itchgen.Date{Year: 2026, Month: 1, Day: 5}
	}
	return o, errors.Join(errs...)
}

// Gen makes one session, message by message. It belongs to one goroutine. Its memory is itchgen's, and about 60 bytes for each order that
// rests at once.
type Gen struct {
	o        Options
	of       *xdp.Market
	src      *itchgen.Gen
	r        random
	midnight uint64 // ns since the Unix epoch

	symbols []symbol
	orders  map[uint64]order // by itchgen's reference
	lastID  uint64

	event   []byte // itchgen's message
	pending []byte // messages that have not left
	at      int    // how much of pending has
	made    uint64 // messages, pending ones included
	sent    uint64

	now    uint64 // ns since midnight
	second uint64 // that the last message 2 told; 0: none did
	minute uint64 // whose summaries were told
	summed int    // symbol of a live session's latest summary
	round  round
	ended  bool // what remains is the closing round
}

// round tells a new market state to all symbols, one after the other.
type round struct {
	state byte // market_state, 0: no round
	next  int
}

// New prepares a session. It fails when an option is out of range.
func New(o Options) (*Gen, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	midnight, err := itch.Midnight(o.Date.Year, o.Date.Month, o.Date.Day)
	if err != nil {
		return nil, err
	}
	of, err := xdp.ParseMarket(o.Market)
	if err != nil {
		return nil, err
	}
	market := itchgen.Options{Symbols: o.Symbols, Seed: o.Seed, Date: o.Date, Live: o.Live}
	switch {
	case !o.Live:
		market.Messages = o.events()
	case o.Messages != 0:
		market.Messages = o.Messages // in how many seconds they fall is the caller's doing: the end is cut short by as many
	}
	src, err := itchgen.New(market)
	if err != nil {
		return nil, fmt.Errorf("xdpgen: %w", err)
	}
	o.Symbols = src.Options().Symbols
	return &Gen{
		o: o, of: of, src: src, r: random{o.Seed*0x9E3779B97F4A7C15 + 0x6A09E667F3BCC909}, midnight: midnight, orders: make(map[uint64]order, 1<<12),
		symbols: make([]symbol, 0, o.Symbols), pending: make([]byte, 0, 1024),
	}, nil
}

// activity is in how many seconds of the day so many of itchgen's messages fall, each of which a message 2 tells: a few less than were counted.
var activity = [...]struct{ events, seconds uint64 }{
	{0, 0}, {2_000, 780}, {10_000, 3_600}, {50_000, 11_700}, {200_000, 22_000}, {1_000_000, 35_200}, {3_000_000, 42_500}, {20_000_000, 50_000}, {1 << 40, 50_000},
}

// eventsFor is how many of itchgen's messages make the session's, and a few more: it ends at its natural end, at 20:00, or shortly before.
func eventsFor(messages, symbols uint64) uint64 {
	want := messages + min(200, messages/64) - symbols*3/2 // session states are told of each symbol
	events := want
	for range 32 { // the slope is below a half: it converges
		i := 1
		for activity[i].events < events {
			i++
		}
		a, b := activity[i-1], activity[i]
		events = want - a.seconds - (events-a.events)*(b.seconds-a.seconds)/(b.events-a.events)
	}
	return max(events, itchgen.MinMessages)
}

// events is how many of itchgen's messages make the session.
func (o *Options) events() uint64 {
	switch {
	case o.Summaries: // a minute's figures come of whatever happened in it
		return max(o.Messages, itchgen.MinMessages)
	case o.Product == xdp.BBO:
		return max(o.Messages*quotesShare.of/quotesShare.are, itchgen.MinMessages)
	case o.Product == xdp.Trades:
		return max(o.Messages*tradesShare.of/tradesShare.are, itchgen.MinMessages)
	}
	return eventsFor(o.Messages, uint64(o.Symbols))
}

// Options are those of New, with defaults filled in.
func (g *Gen) Options() Options { return g.o }

// Midnight is the start of the venue's day, ns since the Unix epoch.
func (g *Gen) Midnight() uint64 { return g.midnight }

// ProductID is the venue's number of the feed.
func (g *Gen) ProductID() uint8 { return g.of.ProductID(g.o.Product) }

// Next appends the session's next message, msg_size and all; ok is false, and nothing appended, after the last one.
func (g *Gen) Next(dst []byte) (out []byte, ok bool) { return g.next(dst, 0) }

// NextAt is Next with the caller's time, ns since the venue's midnight: for live sessions. A time before that of an earlier message is taken
// as that one's. After the last message nothing is appended.
func (g *Gen) NextAt(dst []byte, nsSinceMidnight uint64) []byte {
	out, _ := g.next(dst, nsSinceMidnight)
	return out
}

func (g *Gen) next(dst []byte, ns uint64) ([]byte, bool) {
	for g.at == len(g.pending) {
		if g.Done() {
			return dst, false
		}
		g.pending, g.at = g.pending[:0], 0
		g.produce(ns)
	}
	m := g.pending[g.at:]
	m = m[:binary.LittleEndian.Uint16(m)]
	g.at += len(m)
	g.sent++
	return append(dst, m...), true
}

// Time is that of the latest message, ns since the venue's midnight.
func (g *Gen) Time() uint64 { return g.now }

// Messages is how many have been given so far.
func (g *Gen) Messages() uint64 { return g.sent }

// Resting is how many orders rest once the latest message's event is over.
func (g *Gen) Resting() int { return len(g.orders) }

// Done says that there are no more messages. A live session without Messages is never done.
func (g *Gen) Done() bool {
	return g.at == len(g.pending) && (g.o.Messages != 0 && g.made == g.o.Messages || g.ended && g.round.state == 0)
}

// Opening says that the symbols and their first orders are not through yet: a live session is best hurried through them.
func (g *Gen) Opening() bool { return g.src.Opening() }

func (g *Gen) endless() bool { return g.o.Messages == 0 }

var errEndless = errors.New("xdpgen: a live session without Messages has no end and cannot be written whole")

// mostAtOnce is how many messages one of itchgen's events becomes at most, message 2 among them.
const mostAtOnce = 8

// produce makes the next messages, which may be none.
func (g *Gen) produce(ns uint64) {
	if g.o.Live && !g.ended { // the closing round has one time, so that no message 2 comes in between
		g.now = max(g.now, ns)
	}
	closing := g.o.Messages != 0 && !g.ended && g.made+mostAtOnce+g.last() > g.o.Messages
	switch {
	case g.round.state != 0:
		if closing && g.round.state != 'X' { // no room for the rest of it
			g.close()
			return
		}
		g.tell()
	case closing:
		g.close()
	default:
		var ok bool
		if g.o.Live {
			before := g.src.Messages()
			g.event = g.src.NextAt(g.event[:0], g.now)
			ok = g.src.Messages() > before
		} else if g.event, ok = g.src.Next(g.event[:0]); ok {
			g.now = max(g.now, g.src.Time())
		}
		if !ok {
			g.close()
			return
		}
		g.say(g.event)
	}
}

// last is how many messages the last round has, at most.
func (g *Gen) last() uint64 {
	n := uint64(len(g.symbols))
	if g.o.Product == xdp.BBO {
		n = 2*n + 1 // each one's last quote, in a second that is to be told of
	}
	return n
}

// close begins the last round. What is left of an Integrated feed's messages before it are retail indicators.
func (g *Gen) close() {
	g.ended = true
	g.round = round{state: 'X'}
	if g.o.Summaries {
		g.round.state = summing
	}
	if len(g.symbols) == 0 {
		g.round.state = 0
	}
	left := uint64(0)
	if g.o.Messages != 0 && g.integrated() {
		left = g.o.Messages - g.made - uint64(len(g.symbols))
	}
	if _, turned := g.turns(); turned && left > 0 { // the closing second is told of here
		g.reference()
		left--
	}
	for ; left > 0; left-- {
		g.retail(uint16(g.r.below(uint64(len(g.symbols)))))
	}
	if len(g.orders) > 0 {
		clear(g.orders)
	}
}

// tell is the round's next symbol.
func (g *Gen) tell() {
	n := g.round.next
	state := g.round.state
	if g.round.next++; g.round.next == len(g.symbols) {
		g.round = round{}
	}
	s := &g.symbols[n]
	if state == summing {
		g.summary(s)
		return
	}
	s.market = state
	if state == 'X' && g.o.Product == xdp.BBO {
		g.noQuote(uint16(n))
	}
	g.status(uint16(n), state, 0, 0)
}

// random is splitmix64 (Steele, Lea, Flood, 2014).
type random struct{ state uint64 }

func (r *random) next() uint64 {
	r.state += 0x9E3779B97F4A7C15
	z := r.state
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// below is uniform in [0, n).
func (r *random) below(n uint64) uint64 {
	hi, _ := bits.Mul64(r.next(), n)
	return hi
}
