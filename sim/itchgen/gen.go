package itchgen

import (
	"errors"
	"fmt"
	"time"

	"github.com/tickwire/tickwire/parsers/itch"
)

// Profile is what kind of session is made.
type Profile uint8

// Profiles.
const (
	// Realistic has the mix, the lifetimes and the locality of a real day.
	Realistic Profile = iota
	// Hostile has the mix of a real day, but symbols, references, prices and victims uniformly at random: a cache's worst day.
	Hostile
)

func (p Profile) String() string {
	switch p {
	case Realistic:
		return "realistic"
	case Hostile:
		return "hostile"
	}
	return fmt.Sprintf("profile %d", uint8(p))
}

// ParseProfile reads a profile's name.
func ParseProfile(name string) (Profile, error) {
	for _, p := range []Profile{Realistic, Hostile} {
		if name == p.String() {
			return p, nil
		}
	}
	return 0, fmt.Errorf("itchgen: profile %q, want realistic or hostile", name)
}

// Bounds of options.
const (
	DefaultMessages = 20_000_000
	DefaultSymbols  = 8_900
	MinMessages     = 1_000
	MaxSymbols      = 65_535 // a locate has 16 bits, and 0 is none
	perSymbol       = 20     // messages of a session for each symbol, at least
)

// Options of a session. The zero value works.
type Options struct {
	// Profile is Realistic by default.
	Profile Profile
	// Messages is how many the session has, from the first to the last: exactly. At least 1,000. The default is 20 million, and no
	// end in a live session.
	Messages uint64
	// Symbols is the size of the directory, 1 to 65,535. A session is not all directory: one of few messages has a symbol for each
	// twentieth of them at most (Gen.Options tells). Each costs 9 KB. The default is 8,900.
	Symbols int
	// Seed makes another session of the same kind. The default is 0, a seed like any other.
	Seed uint64
	// Date of the session, for whoever gives its messages absolute times; messages carry none. The default is 2026-01-05.
	Date Date
	// Live makes a session for NextAt: the opening is short, and then trading goes on without end.
	Live bool
}

// Date is a day of the venue.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// Midnight is the start of the day, ns since the Unix epoch, by the rules of the venue's zone.
func (d Date) Midnight() (uint64, error) { return itch.Midnight(d.Year, d.Month, d.Day) }

// Validate reports all faults at once, as New does.
func (o Options) Validate() error {
	_, err := o.withDefaults()
	return err
}

// withDefaults fills in defaults, and reports all faults at once.
func (o Options) withDefaults() (Options, error) {
	var errs []error
	if o.Profile > Hostile {
		errs = append(errs, fmt.Errorf("itchgen: %v does not exist", o.Profile))
	}
	if o.Messages == 0 && !o.Live {
		o.Messages = DefaultMessages
	}
	if o.Messages != 0 && o.Messages < MinMessages {
		errs = append(errs, fmt.Errorf("itchgen: Messages = %d, want at least %d", o.Messages, MinMessages))
	}
	if o.Symbols == 0 {
		o.Symbols = DefaultSymbols
	}
	if o.Symbols < 1 || o.Symbols > MaxSymbols {
		errs = append(errs, fmt.Errorf("itchgen: Symbols = %d, want 1 to %d", o.Symbols, MaxSymbols))
	}
	if o.Messages != 0 {
		o.Symbols = int(min(uint64(max(o.Symbols, 0)), max(o.Messages/perSymbol, 1)))
	}
	if o.Date == (Date{}) {
		o.Date = Date{2026, time.January, 5}
	}
	return o, errors.Join(errs...)
}

// Gen makes one session, message by message. It belongs to one goroutine. Its memory is about 9 KB a symbol and 60 bytes for each
// order that rests at once: 0.2 GB for the default session.
type Gen struct {
	o       Options
	r       random
	hostile bool

	symbols  []symbol
	listings []listing
	byRank   []uint16 // symbols, busiest first
	busy     *zipf    // draws ranks
	queues   []queue  // symbols × levels
	pool     pool
	lives    lives
	everyone []uint32 // all resting orders (hostile)

	refs    references
	matches uint64
	printed print // the latest trade

	out     []byte // of the caller while an event is made: its messages are appended
	from    int    // where they begin
	pending []byte // messages of the present event that have not left
	at      int    // how much of pending has
	made    uint64 // messages, pending ones included
	sent    uint64

	script  script
	clock   clock
	now     uint64 // ns since midnight
	step    uint64 // events of the market so far
	same    uint64 // how many more events stay with symbol sticky
	sticky  uint16
	auction auction
	done    bool
}

// New prepares a session. It fails when an option is out of range.
func New(o Options) (*Gen, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	g := &Gen{o: o, r: random{o.Seed*0xD1342543DE82EF95 + 0x2545F4914F6CDD1D}, hostile: o.Profile == Hostile}
	g.pending = make([]byte, 0, 1024)
	g.list(o.Symbols)
	g.busy = newZipf(o.Symbols, zipfShift)
	g.queues = make([]queue, o.Symbols*levels)
	g.pool.orders = make([]order, 1, 1<<16)
	g.refs.init(&g.r)
	g.plan()
	g.planPauses()
	return g, nil
}

// Options are those of New, with defaults filled in.
func (g *Gen) Options() Options { return g.o }

// Next appends the session's next message, without a length; ok is false, and nothing appended, after the last one. The message's
// time is Time. It allocates only when there are more orders at once than ever before.
func (g *Gen) Next(dst []byte) (out []byte, ok bool) {
	out, ok = g.next(dst)
	if ok {
		g.stampOn(out[len(dst):])
	}
	return out, ok
}

// next appends a message without its time. An event writes straight behind dst; when it has several messages, the others wait.
func (g *Gen) next(dst []byte) ([]byte, bool) {
	if g.at < len(g.pending) {
		b := g.pending[g.at:]
		b = b[:wireLen[b[0]]]
		g.at += len(b)
		g.sent++
		return append(dst, b...), true
	}
	g.out, g.from = dst, len(dst)
	ok := g.produce()
	out := g.out
	g.out = nil
	if !ok {
		return out, false
	}
	if end := g.from + int(wireLen[out[g.from]]); end < len(out) {
		g.pending, g.at = append(g.pending[:0], out[end:]...), 0
		out = out[:end]
	}
	g.sent++
	return out, true
}

// stampOn writes the present time into a message.
func (g *Gen) stampOn(b []byte) {
	be.PutUint16(b[5:], uint16(g.now>>32))
	be.PutUint32(b[7:], uint32(g.now))
}

// NextAt is Next with the caller's time, ns since the venue's midnight: for live sessions. A time before that of an earlier message is
// taken as that one's. After the last message nothing is appended.
func (g *Gen) NextAt(dst []byte, nsSinceMidnight uint64) []byte {
	out, ok := g.next(dst)
	if ok {
		g.now = max(g.now, nsSinceMidnight)
		g.stampOn(out[len(dst):])
	}
	return out
}

// AppendFramed appends up to max messages as BinaryFILE has them, each after its length in two bytes, and says how many there
// were: fewer only when Done. The zero length at the end of a file is not among them.
func (g *Gen) AppendFramed(dst []byte, max int) ([]byte, int) {
	n := 0
	for ; n < max; n++ {
		at, ok := len(dst), false
		if dst, ok = g.Next(append(dst, 0, 0)); !ok {
			return dst[:at], n
		}
		be.PutUint16(dst[at:], uint16(len(dst)-at-2))
	}
	return dst, n
}

// Time is that of the latest message, ns since the venue's midnight.
func (g *Gen) Time() uint64 { return g.now }

// Messages is how many have been given so far.
func (g *Gen) Messages() uint64 { return g.sent }

// Resting is how many orders rest once the latest message's event is over.
func (g *Gen) Resting() int { return int(g.pool.count) }

// Price is where the price of the symbol with locate n+1 walks around, 1e-4.
func (g *Gen) Price(n uint16) uint32 { return g.symbols[n].base }

// endless says that the session has no last message.
func (g *Gen) endless() bool { return g.o.Messages == 0 }

var errEndless = errors.New("itchgen: a live session without Messages has no end and cannot be written whole")

// Done says that there are no more messages. A live session without Messages is never done.
func (g *Gen) Done() bool { return g.done && g.at == len(g.pending) }

// Opening says that the directory, the first orders and the opening crosses are not through yet: a live session is best
// hurried through them.
func (g *Gen) Opening() bool { return g.script.opening }

// references gives out order references. Four counters take turns, each with a block of its own, so that numbers come from four
// ascending ranges and stay dense; now and then a number is set aside, and used hours later.
type references struct {
	next, end [4]uint64
	block     uint64
	aside     [1 << 12]uint64
	head, set uint64 // of aside: first, and behind the last
	count     uint64 // hostile
	key       uint64
}

const refBlock = 1 << 16

func (f *references) init(r *random) {
	f.key = r.next()
	for i := range f.next {
		f.take(i)
	}
	f.next[0]++ // 0 is a legal reference, and a trap: it stays free
}

func (f *references) take(i int) {
	f.next[i], f.end[i] = f.block*refBlock, (f.block+1)*refBlock
	f.block++
}

func (f *references) draw(r *random) uint64 {
	x := r.next()
	i := x & 3
	f.next[i] += x >> 2 & 1
	if f.next[i] >= f.end[i] {
		f.take(int(i))
	}
	ref := f.next[i]
	f.next[i]++
	switch x >> 3 & 1023 {
	case 0:
		if f.set-f.head < uint64(len(f.aside)) && f.next[i] < f.end[i] {
			f.aside[f.set&uint64(len(f.aside)-1)] = f.next[i]
			f.next[i]++
			f.set++
		}
	case 1, 2:
		if f.set-f.head > uint64(len(f.aside))/2 {
			ref = f.aside[f.head&uint64(len(f.aside)-1)] // ref itself stays unused
			f.head++
		}
	}
	return ref
}

// scattered is a reference of the hostile profile: all of 2^28 numbers in random order, then the same again. An order would have to
// outlive 2^28 others to meet its own number, and victims are drawn uniformly: of 1.5 million resting orders, none does.
func (f *references) scattered() uint64 {
	f.count++
	return shuffle28(f.count&(1<<28-1), f.key)
}

func (g *Gen) ref() uint64 {
	if g.hostile {
		return g.refs.scattered()
	}
	return g.refs.draw(&g.r)
}
