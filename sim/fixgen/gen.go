// Package fixgen makes up a venue of price levels from a seed: instruments, their books, and what happens to them, for files of FIX messages and for
// the venue in a box (package sim/fix). The same options give the same day, byte for byte.
//
//	step ──┬── 6 of 10: a level's size changes
//	       ├── 2 of 10: a side's best level goes, another comes at its end
//	       ├── 1 of 10: a better level comes, the last one goes
//	       └── 1 of 10: a trade at the best price takes size from it, and the level if nothing is left
package fixgen

import (
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	session "github.com/tickwire/tickwire/feed/session/fix"
	"github.com/tickwire/tickwire/tick"
)

// Options of a generator. The zero value works.
type Options struct {
	// Seed of all chance. The default is 0, which is a seed like any other.
	Seed uint64
	// Symbols is how many instruments there are, SYM0001 and on. The default is 20.
	Symbols int
	// Levels of a side, at most session.MostLevels. The default is 5.
	Levels int
	// Start of the day. The default is 2026-11-25 14:30:00 UTC.
	Start time.Time
	// Gap is the mean time between steps. The default is 100 µs.
	Gap time.Duration
}

func (o *Options) defaults() {
	if o.Symbols <= 0 {
		o.Symbols = 20
	}
	if o.Levels <= 0 {
		o.Levels = 5
	}
	o.Levels = min(o.Levels, session.MostLevels)
	if o.Start.IsZero() {
		o.Start = time.Date(2026, 11, 25, 14, 30, 0, 0, time.UTC)
	}
	if o.Gap <= 0 {
		o.Gap = 100 * time.Microsecond
	}
}

// Gen is a generator at one moment of its day.
type Gen struct {
	o     Options
	rand  *rand.Rand
	now   uint64 // ns since the Unix epoch
	names []string
	books []session.Book
}

// Step is what happened to one instrument.
type Step struct {
	ID       int
	Trade    bool // a trade of Size at Price, before the book changed
	Price    int64
	Size     uint32
	Side     byte // the aggressor's
	TsEvent  uint64
	Was, Now *session.Book // valid until the next step
}

const (
	cent     = tick.PriceScale / 100
	mostSize = 5000
)

// New makes a generator.
func New(o Options) *Gen {
	o.defaults()
	g := &Gen{o: o, rand: rand.New(rand.NewPCG(o.Seed, 0x46495847)), now: uint64(o.Start.UnixNano())}
	for i := range o.Symbols {
		g.names = append(g.names, fmt.Sprintf("SYM%04d", i+1))
		b := session.Book{TsEvent: g.now}
		mid := int64(20+g.rand.IntN(200)) * 100 * cent
		for l := range b.Pairs {
			b.Pairs[l] = tick.EmptyPair
			if l < o.Levels {
				b.Pairs[l] = tick.BidAskPair{
					BidPx: mid - int64(l+1)*cent, AskPx: mid + int64(l+1)*cent, BidSz: g.size(), AskSz: g.size(), BidCt: g.count(), AskCt: g.count(),
				}
			}
		}
		g.books = append(g.books, b)
	}
	return g
}

func (g *Gen) size() uint32  { return uint32(100 * (1 + g.rand.IntN(mostSize/100))) }
func (g *Gen) count() uint32 { return uint32(1 + g.rand.IntN(9)) }

// Symbols are the names of all instruments, by their numbers.
func (g *Gen) Symbols() []string { return g.names }

// Levels of a side.
func (g *Gen) Levels() int { return g.o.Levels }

// Book is an instrument's book now. It is the generator's.
func (g *Gen) Book(id int) *session.Book { return &g.books[id] }

// Next lets one thing happen; was is the caller's memory for the book before.
func (g *Gen) Next(was *session.Book) Step {
	g.now += uint64(1 + g.rand.Int64N(2*int64(g.o.Gap)))
	id := g.rand.IntN(len(g.books))
	b := &g.books[id]
	*was = *b
	s := Step{ID: id, TsEvent: g.now, Was: was, Now: b}
	b.TsEvent = g.now
	bid := g.rand.IntN(2) == 0
	switch what := g.rand.IntN(10); {
	case what < 6:
		g.resize(b, bid, g.rand.IntN(g.o.Levels))
	case what < 8:
		g.leave(b, bid)
	case what < 9:
		g.improve(b, bid)
	default:
		g.trade(b, bid, &s)
	}
	return s
}

func (g *Gen) resize(b *session.Book, bid bool, level int) {
	p := &b.Pairs[level]
	if bid {
		p.BidSz, p.BidCt = other(g.size(), p.BidSz), g.count()
	} else {
		p.AskSz, p.AskCt = other(g.size(), p.AskSz), g.count()
	}
}

// other is a size that differs from the one before: a step changes something.
func other(size, before uint32) uint32 {
	if size == before {
		return size + 100
	}
	return size
}

// leave takes the best level away; the levels behind it move up, and one comes at the end.
func (g *Gen) leave(b *session.Book, bid bool) {
	last := g.o.Levels - 1
	for l := range last {
		p, next := &b.Pairs[l], &b.Pairs[l+1]
		if bid {
			p.BidPx, p.BidSz, p.BidCt = next.BidPx, next.BidSz, next.BidCt
		} else {
			p.AskPx, p.AskSz, p.AskCt = next.AskPx, next.AskSz, next.AskCt
		}
	}
	p := &b.Pairs[last]
	if bid {
		p.BidPx, p.BidSz, p.BidCt = p.BidPx-cent, g.size(), g.count()
	} else {
		p.AskPx, p.AskSz, p.AskCt = p.AskPx+cent, g.size(), g.count()
	}
}

// improve puts a better level in front, if the spread has room; the last one goes.
func (g *Gen) improve(b *session.Book, bid bool) {
	top := b.Pairs[0]
	if top.AskPx-top.BidPx < 2*cent {
		g.resize(b, bid, 0)
		return
	}
	for l := g.o.Levels - 1; l > 0; l-- {
		p, before := &b.Pairs[l], &b.Pairs[l-1]
		if bid {
			p.BidPx, p.BidSz, p.BidCt = before.BidPx, before.BidSz, before.BidCt
		} else {
			p.AskPx, p.AskSz, p.AskCt = before.AskPx, before.AskSz, before.AskCt
		}
	}
	p := &b.Pairs[0]
	if bid {
		p.BidPx, p.BidSz, p.BidCt = top.BidPx+cent, g.size(), g.count()
	} else {
		p.AskPx, p.AskSz, p.AskCt = top.AskPx-cent, g.size(), g.count()
	}
}

func (g *Gen) trade(b *session.Book, bid bool, s *Step) {
	p := &b.Pairs[0]
	s.Trade, s.Price, s.Side = true, p.AskPx, tick.SideBid
	have := &p.AskSz
	if bid {
		s.Price, s.Side, have = p.BidPx, tick.SideAsk, &p.BidSz
	}
	s.Size = min(*have, g.size())
	if *have -= s.Size; *have == 0 {
		g.leave(b, bid)
	}
}

// Write writes a file of whole messages, one behind the other: W for each instrument, then X until there are so many messages in all. What one X says
// is one step's doing, a trade in a message of its own before it.
func Write(w io.Writer, o Options, v session.Version, messages int) (written int, err error) {
	g := New(o)
	enc := session.Encoder{Version: v, SenderCompID: "SIM", TargetCompID: "TICKWIRE"}
	rpt := make([]uint64, len(g.names))
	buf := make([]byte, 0, 1<<16)
	put := func(b []byte) error {
		if len(b) == 0 {
			return nil
		}
		written++
		_, err := w.Write(b)
		return err
	}
	for i := range g.names {
		if written == messages {
			return written, nil
		}
		b := enc.Snapshot(buf[:0], "", g.names[i], &g.books[i], g.o.Levels, time.Unix(0, int64(g.now)))
		if err := put(b); err != nil {
			return written, err
		}
	}
	var was session.Book
	for written < messages {
		s := g.Next(&was)
		sent, name := time.Unix(0, int64(s.TsEvent)), g.names[s.ID]
		if s.Trade {
			if err := put(enc.Trade(buf[:0], "", name, s.Price, s.Size, s.TsEvent, &rpt[s.ID], sent)); err != nil {
				return written, err
			}
		}
		if written == messages {
			break
		}
		if err := put(enc.Increment(buf[:0], "", name, s.Was, s.Now, g.o.Levels, &rpt[s.ID], sent)); err != nil {
			return written, err
		}
	}
	return written, nil
}
