package pipeline

import (
	"fmt"

	"github.com/tickwire/tickwire/feed/symbols"
	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// Plugins stand between the books and the records: they see completed rows and change what is published of them, never the books.
//
//	books complete a batch ──► chain ──► rows as they are published ──► expand ──► records, ext: why
//	                             ▲  side, price, size · verdicts · custom columns · symbols
//	          Seat, at the end of a pass
//
// A batch passes one chain, so no row is handled by half of two versions. A rebuild's records (FlagSnapshot) are of books, not of rows: they
// pass no plugin.
//
// Guest code may trap, which is a panic underneath, and it may be stopped by the collector: so the lane goes out of its window for it (package pin).
type guests struct {
	seat  *plugins.Seat  // nil: the lane never has plugins
	kept  *Kept          // nil: nobody wants copies
	chain *plugins.Chain // nil: none
	ran   bool           // the batch passed the chain
	ids   []uint64       // what records name the chain's plugins by

	booked  *[tick.MaxRows]int64 // prices as the books have them
	columns int                  // custom columns of the chain
	names   map[uint32]string    // symbols that plugins gave instruments, where they are not the venue's
	fresh   map[uint32]struct{}  // instruments whose first definition is in the batch
	row     [4]uint64            // custom columns of the row that is being expanded
	tens    []tenOf              // rows of the staged mbp10 records, which are made before plugins see them
}

// tenOf says which row an mbp10 record is of, and what of it is the row's own.
type tenOf struct {
	row  uint16
	from uint8 // ten…
}

const (
	tenPrice uint8 = 1 << 0
	tenSize  uint8 = 1 << 1
	tenSide  uint8 = 1 << 2
	tenRow         = tenPrice | tenSize | tenSide
	tenNone  uint8 = 0
)

func newGuests(seat *plugins.Seat, kept *Kept) guests {
	if seat == nil {
		return guests{}
	}
	return guests{seat: seat, kept: kept, booked: new([tick.MaxRows]int64), names: map[uint32]string{}, fresh: map[uint32]struct{}{}}
}

// Symbols is a directory as plugins ask it: for chains of a lane that has this directory, since both belong to the lane.
type Symbols struct{ *symbols.Directory }

// Symbol is the instrument's, nil when its definition has not come.
func (s Symbols) Symbol(instrument uint32) []byte {
	if in := s.Lookup(instrument); in != nil && in.Named {
		return in.Symbol()
	}
	return nil
}

// Directory is the lane's, for its chains.
func (l *Lane) Directory() plugins.Directory { return Symbols{l.symbols} }

// Err is why the lane cannot go on, nil as long as it can.
func (l *Lane) Err() error { return l.err }

// takePlugins takes a new chain from the seat, if there is one.
func (l *Lane) takePlugins() {
	g := &l.guests
	if !g.seat.Waiting() {
		return
	}
	was := l.window.Out() // state may move from the old one to the new one
	before := l.clock()
	next := g.seat.Take()
	if next != g.chain {
		l.counters.PluginSwaps++
		g.chain = next
		g.columns, g.ids = 0, g.ids[:0]
		if next != nil {
			g.columns = len(next.CustomColumns())
			for _, p := range next.Plugins() {
				g.ids = append(g.ids, ringbuf.PluginID(p.Digest()))
			}
		} else {
			l.restoreSymbols()
		}
		l.counters.LivePluginSwapNs = l.clock() - before
		l.counters.MaxPluginSwapNs = max(l.counters.MaxPluginSwapNs, l.counters.LivePluginSwapNs)
	}
	l.window.In(was)
}

// passPlugins lets the chain have the batch. false says that nothing of it may be published: the feed must not go on.
func (l *Lane) passPlugins() bool {
	g, b := &l.guests, l.batch
	if g.chain == nil {
		l.takePlugins() // the first one need not wait for the end of a pass
	}
	g.ran = g.chain != nil
	if g.kept != nil && (g.ran || g.kept.wanted.Load()) {
		g.kept.keep(b, l.now)
	}
	if !g.ran {
		g.tens = g.tens[:0]
		return true
	}
	copy(g.booked[:b.N], b.Price[:b.N])
	if b.Sides.Definitions != 0 {
		l.meet()
	}
	was := l.window.Out()
	g.chain.Pass(b, l.now)
	l.window.In(was)
	if err := g.chain.Stopped(); err != nil {
		if l.err == nil {
			l.err = fmt.Errorf("pipeline: %w; the batch that it was to judge is not published, nor what came behind it", err)
		}
		g.tens, l.staged.mbp10 = g.tens[:0], l.staged.mbp10[:0]
		return false
	}
	for _, r := range g.chain.Renamed() {
		l.rename(r)
	}
	l.judgeTens()
	return true
}

// expandJudged is expand of a batch that passed plugins.
func (l *Lane) expandJudged() {
	g, b := &l.guests, l.batch
	room, bypassed := l.staged.rows, uint64(0)
	for i := range b.N {
		i &= tick.RowMask
		if room == 0 {
			l.flush()
			room = l.staged.rows
		}
		room--
		if l.only.bounded && !l.only.inTime(l, i) {
			continue
		}
		verdict := g.chain.Verdict[i]
		for k := range g.columns {
			g.row[k] = g.chain.Custom[k][i]
		}
		before := l.marks()
		mbo, mbp1 := len(l.staged.mbo), len(l.staged.mbp1)
		if verdict != plugins.Dropped {
			l.row(i)
		}
		if b.Flags[i]&(tick.FlagMore|tick.FlagMoreElse) != 0 || len(l.staged.open) != 0 {
			l.inEvent(i, len(l.staged.mbo) != mbo, len(l.staged.mbp1) != mbp1)
		}
		if verdict != plugins.Keep {
			l.verdict(i, verdict, g.chain.Reason[i], before)
			if verdict == plugins.Bypassed {
				bypassed++
			}
		}
	}
	g.row = [4]uint64{}
	clear(g.fresh)
	if bypassed != 0 {
		l.counters.PluginBypass++
	}
}

// marks are the numbers that the next records get, by ring.
type marks [tick.RingEvents + 1]uint64

func (l *Lane) marks() (m marks) {
	s := &l.staged
	for ring, w := range [...]*ringbuf.Writer{tick.RingMbo: l.out.Mbo, tick.RingMbp1: l.out.Mbp1, tick.RingTrades: l.out.Trades, tick.RingEvents: l.out.Events} {
		if w != nil {
			m[ring] = w.Next() + uint64([...]int{0, len(s.mbo), len(s.mbp1), len(s.trades), len(s.events)}[ring])
		}
	}
	return m
}

// verdict says in the ext ring what a plugin made of row i, whose first records have the numbers from before on.
func (l *Lane) verdict(i int, v plugins.Verdict, why plugins.Reason, before marks) {
	var ring uint8
	var ref uint64
	now := l.marks()
	for r := tick.RingMbo; r <= tick.RingEvents; r++ {
		if now[r] != before[r] {
			ring, ref = r, before[r]
			break
		}
	}
	if ring == 0 && v != plugins.Dropped && l.batch.State[i]&tick.StateApplied == 0 {
		return // nothing was published of it, as there was nothing to
	}
	if v == plugins.Dropped {
		l.counters.PluginDropped++
	} else {
		l.counters.PluginFlagged++
	}
	l.ext(i, tick.ExtPlugin, ring, ref, l.guests.ids[why.Stage()], uint64(why.Index())|uint64(why.Source())<<8, uint64(verdicts[v])|uint64(why.Stage())<<8)
}

// verdicts are the host's as records have them.
var verdicts = [...]uint8{
	plugins.Refused: tick.VerdictRefused, plugins.Flagged: tick.VerdictFlagged, plugins.Bypassed: tick.VerdictBypassed, plugins.Dropped: tick.VerdictDropped,
}

// bookedPrice is the price of row i in the books: plugins may have changed what is published.
func (l *Lane) bookedPrice(i int) int64 {
	if l.guests.ran {
		return l.guests.booked[i&tick.RowMask]
	}
	return l.batch.Price[i&tick.RowMask]
}

// meet enters the definitions of a batch in the directory before plugins see its rows: a definition is the first row that names its instrument.
func (l *Lane) meet() {
	g, b := &l.guests, l.batch
	for i := range b.N {
		if b.Kind[i&tick.RowMask] != tick.KindDefinition {
			continue
		}
		l.definitions(i, func(d *tick.Definition) {
			if in := l.symbols.Lookup(d.InstrumentID); in == nil || !in.Named {
				g.fresh[d.InstrumentID] = struct{}{}
			}
			_, _ = l.symbols.Define(d) // define counts those that find no room
		})
	}
}

// first says, once, that an instrument's first definition is in this batch.
func (g *guests) first(id uint32) bool {
	_, fresh := g.fresh[id]
	delete(g.fresh, id)
	return fresh
}

func rawSymbol(symbol string) (raw [len(tick.Definition{}.RawSymbol)]byte) {
	copy(raw[:len(raw)-1], symbol)
	return raw
}

// rename gives an instrument the symbol that plugins want, for everybody but the plugins, who go on seeing the venue's. It is told by the instrument's
// definition, where that is the row, else by one made of what the directory has.
func (l *Lane) rename(r plugins.Rename) {
	g, b := &l.guests, l.batch
	venue := Symbols{l.symbols}.Symbol(r.Instrument)
	if string(venue) == r.Symbol {
		delete(g.names, r.Instrument)
	} else {
		g.names[r.Instrument] = r.Symbol
	}
	l.counters.Renamed++
	d := tick.UndefDefinition
	d.TsEvent, d.TsRecv = l.lastTime, max(l.now, l.lastRecv)
	if r.Row >= 0 {
		i, told := r.Row&tick.RowMask, false
		if b.Kind[i] == tick.KindDefinition {
			l.definitions(i, func(d *tick.Definition) { told = told || d.InstrumentID == r.Instrument })
		}
		if told {
			return // expand tells it
		}
		d.TsEvent, d.TsRecv = b.TsEvent[i], b.TsRecv[i]
	}
	if l.out.Instruments != nil {
		l.out.Instruments.Fill(l.publisher, r.Instrument, &d)
	}
	d.PublisherID, d.InstrumentID = l.publisher, r.Instrument
	d.RawSymbol, d.SecurityUpdateAction = rawSymbol(r.Symbol), 'M'
	l.tellDefinition(&d)
}

// restoreSymbols gives instruments the venue's symbols again: no plugin is left that has others for them.
func (l *Lane) restoreSymbols() {
	for id := range l.guests.names {
		l.rename(plugins.Rename{Row: -1, Instrument: id, Symbol: string(Symbols{l.symbols}.Symbol(id))})
	}
}

// forgetPlugins begins a session whose instruments are others.
func (l *Lane) forgetPlugins() {
	clear(l.guests.names)
	if l.guests.chain != nil {
		l.guests.chain.Forget()
	}
}

// judgeTens gives mbp10 records, which are made while the books are at their row, what plugins made of the row.
func (l *Lane) judgeTens() {
	g, b := &l.guests, l.batch
	kept := l.staged.mbp10[:0]
	for k, t := range g.tens {
		i, r := int(t.row)&tick.RowMask, &l.staged.mbp10[k]
		if g.chain.Verdict[i] == plugins.Dropped {
			continue
		}
		r.Flags |= b.Flags[i] & tick.FlagPublisherSpecific
		if t.from&tenPrice != 0 {
			r.Price = b.Price[i]
		}
		if t.from&tenSize != 0 {
			r.Size = tick.Size32(b.Size[i])
		}
		if t.from&tenSide != 0 {
			r.Side = tenSideOf(b, i, r.Action)
		}
		kept = append(kept, *r)
	}
	l.staged.mbp10, g.tens = kept, g.tens[:0]
}

// tenSideOf is the side of an mbp10 record of row i.
func tenSideOf(b *tick.Batch, i int, action byte) byte {
	if action != tick.ActionTrade {
		return b.Side[i&tick.RowMask]
	}
	switch b.Kind[i&tick.RowMask] {
	case tick.KindExec, tick.KindExecAt:
		return tick.OppositeSide(b.Side[i&tick.RowMask])
	}
	return printSide(b, i)
}
