package consolidate

import (
	"errors"
	"io/fs"

	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// lane is one lane of a venue, as it is read: its mbp1 ring, its events ring for trading status, its directory and its latest values.
//
//	.inst ──symbols──► Engine.Know
//	.last ──latest───► Engine.Update     when it is joined, and when the ring has overtaken us
//	mbp1  ──changes──► Engine.Update
//	events ─status───► Engine.Status
type lane struct {
	venue  int
	entry  ringbuf.Entry
	dir    string
	ring   *ringbuf.Reader
	events *ringbuf.Reader
	inst   *ringbuf.InstReader
	last   *ringbuf.LastReader

	generation uint64   // of the directory that the venue's numbers are from
	ids        []uint32 // that the engine knows from this lane
	from       uint64   // mbp1 records up to this one are in what was loaded last, or of the session before: passed over
	eventsFrom uint64   // likewise of events
	dead       bool     // nothing comes from the producer
	recs       [256]ringbuf.Mbp1Slot
	statuses   [64]ringbuf.EventSlot
}

// LaneCounters count what was met while reading rings.
type LaneCounters struct {
	Overruns uint64 // times that a ring overtook us: quotes were taken from the latest values instead
	Restarts uint64 // of producers
	Sessions uint64 // directories that began anew
	Unnamed  uint64 // records of instruments that no directory names: passed over
	LiveOpen uint64 // lanes that are read now
}

// open joins a lane. It fails with fs.ErrNotExist or ringbuf.ErrRestarting while the producer is not ready.
func (l *lane) open() (err error) {
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	side := func(ext string) string {
		return ringbuf.SidePath(l.dir, l.entry.Instance, l.entry.Feed, l.entry.Lane, ext)
	}
	if l.ring, err = ringbuf.Open(l.entry.Path, ringbuf.ReaderOptions{Join: ringbuf.JoinLive, Report: "consolidate"}); err != nil {
		return err
	}
	path := ringbuf.Path(l.dir, l.entry.Instance, l.entry.Feed, l.entry.Lane, ringbuf.KindEvents)
	if l.events, err = ringbuf.Open(path, ringbuf.ReaderOptions{Join: ringbuf.JoinLive}); err != nil {
		return err
	}
	if l.inst, err = ringbuf.OpenInst(side(ringbuf.ExtInst)); err != nil {
		return err
	}
	l.last, err = ringbuf.OpenLast(side(ringbuf.ExtLast), l.inst)
	return err
}

func (l *lane) close() {
	for _, r := range []*ringbuf.Reader{l.ring, l.events} {
		if r != nil {
			_ = r.Close()
		}
	}
	if l.last != nil {
		_ = l.last.Close()
	}
	if l.inst != nil {
		_ = l.inst.Close()
	}
	l.ring, l.events, l.inst, l.last = nil, nil, nil, nil
}

// notReady says that an error of open passes by itself.
func notReady(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, ringbuf.ErrRestarting)
}

// load takes all latest values: what the venue shows now. The producer writes a latest value before its record, so that what the rings have by now is
// in them; and a session begins behind the last record of the one before, whose numbers may mean other instruments. A state comes before its quote, which
// is not shown as live even for a moment.
func (l *lane) load(e *Engine) {
	l.generation = l.inst.Generation()
	l.from, _ = l.ring.Cursor()
	l.eventsFrom, _ = l.events.Cursor()
	l.inst.Each(func(index uint64, in *ringbuf.Inst) {
		if in.Symbol() == "" {
			return
		}
		l.know(e, in.InstrumentID, in.Symbol())
		e.Status(l.venue, in.InstrumentID, uint16(in.StatusAction), in.Updated)
		if rec, ok := l.last.At(index); ok && rec.InstrumentID == in.InstrumentID {
			e.Update(l.venue, &rec, 0)
		}
	})
}

func (l *lane) know(e *Engine, id uint32, symbol string) {
	if !e.Knows(l.venue, id) {
		l.ids = append(l.ids, id)
	}
	e.Know(l.venue, id, symbol)
}

// forget takes back all that the engine has from this lane.
func (l *lane) forget(e *Engine, at uint64) {
	e.Forget(l.venue, at, l.ids...)
	l.ids = l.ids[:0]
}

// session looks whether the venue's numbers mean other instruments now.
func (l *lane) session(e *Engine, c *LaneCounters, at uint64) {
	if l.inst.Generation() != l.generation {
		c.Sessions++
		l.forget(e, at)
		l.load(e)
	}
}

// take reads what is there, at most one buffer of each ring, and says how many records that was. gone: the lane must be joined anew.
func (l *lane) take(e *Engine, c *LaneCounters, now uint64) (n int, gone bool) {
	n, first, st := ringbuf.PollSlice(l.ring, l.recs[:])
	l.session(e, c, now) // behind the poll, so that none of its records is of another session unseen; also when it brought none: what was shown is void
	for i := range l.recs[:n] {
		m := &l.recs[i]
		if first+uint64(i) <= l.from {
			continue
		}
		if !e.Knows(l.venue, m.InstrumentID) {
			in, ok := l.inst.Lookup(m.PublisherID, m.InstrumentID)
			if l.inst.Generation() != l.generation {
				break // the name may be of the next session: it is loaded at the next look, and these records are before it
			}
			if !ok || in.Symbol() == "" {
				c.Unnamed++
				continue
			}
			l.know(e, m.InstrumentID, in.Symbol())
		}
		e.Update(l.venue, m, first+uint64(i))
	}
	switch st {
	case ringbuf.Overrun:
		c.Overruns++
		l.load(e)
	case ringbuf.EpochChanged, ringbuf.Replaced:
		c.Restarts++
		return n, true
	}
	return n + l.takeEvents(e, c, now), false
}

// takeEvents reads trading states. A loss, and the end of one, are of quotes that no record may be of for long: the latest values say what each is worth.
func (l *lane) takeEvents(e *Engine, c *LaneCounters, now uint64) int {
	n, first, st := ringbuf.PollSlice(l.events, l.statuses[:])
	if n > 0 {
		l.session(e, c, now)
	}
	reload := false
	for i := range l.statuses[:n] {
		if first+uint64(i) <= l.eventsFrom {
			continue
		}
		slot := &l.statuses[i]
		if s := slot.Status(); s != nil && s.InstrumentID != 0 {
			e.Status(l.venue, s.InstrumentID, s.Action, s.TsRecv)
		} else if g := slot.Gap(); g != nil && g.State != tick.GapRecovering {
			reload = true
		}
	}
	if st == ringbuf.Overrun {
		c.Overruns++
		reload = true
	}
	if reload {
		l.load(e)
	}
	return n
}

// silent says that nothing that the lane's rings show can be relied on to be what the venue shows.
func (l *lane) silent() bool {
	return l.ring == nil || !l.ring.Alive() || l.ring.State() == ringbuf.StateFeedDown
}
