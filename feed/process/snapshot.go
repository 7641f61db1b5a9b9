package process

import (
	"errors"
	"fmt"
	"time"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// snapshotter is a ring reader like any other: it follows a lane's mbo ring with books of its own and writes them to
// .snap each second. The lane does not notice.
type snapshotter struct {
	reader  *ringbuf.Reader
	books   *book.Books
	batch   *tick.Batch
	file    *ringbuf.SnapWriter
	path    string
	options ringbuf.SideOptions
	records []tick.Mbo
	next    time.Time
	last    tick.Mbo // newest order event
	seq     uint64   // its slot number
	channel uint8
	pub     uint16

	Written uint64
	// Stopped says that the ring overtook this reader: its books are no longer the lane's, and a wrong snapshot is
	// worse than none. A new session, which clears every book, or a restart of the feed starts it again.
	Stopped bool

	failed    bool // no room for a larger file
	directory *ringbuf.InstReader
	values    *ringbuf.LastReader // their generation moves when a new session has cleared every book
	stoppedIn uint64              // generation as of the overrun
	resumeAt  uint64              // Stopped until this record has been taken; 0: no new session yet
}

// snapEvery is the time from one snapshot to the next.
const snapEvery = time.Second

func newSnapshotter(ringPath, snapPath, instPath, lastPath string, records uint64, channel uint8, publisher uint16, keep book.Options, o ringbuf.SideOptions) (*snapshotter, error) {
	s := &snapshotter{path: snapPath, options: o, records: make([]tick.Mbo, 1024), channel: channel, pub: publisher}
	var err error
	if s.reader, err = ringbuf.Open(ringPath, ringbuf.ReaderOptions{Join: ringbuf.JoinOldest, Report: "snapshot"}); err != nil {
		return nil, err
	}
	if s.directory, err = ringbuf.OpenInst(instPath); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if s.values, err = ringbuf.OpenLast(lastPath, s.directory); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if s.books, err = book.New(keep); err == nil {
		if s.batch, err = tick.NewBatch(); err == nil {
			s.file, err = ringbuf.CreateSnap(snapPath, records, o)
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// follow takes what the ring has, at most so many records, and says whether there is more.
func (s *snapshotter) follow(most int) (more bool) {
	for taken := 0; taken < most; {
		n, first, status := ringbuf.PollSlice(s.reader, s.records)
		if n > 0 {
			s.take(s.records[:n], first)
			taken += n
			continue
		}
		switch status {
		case ringbuf.Overrun:
			s.Stopped, s.resumeAt = true, 0
			s.stoppedIn = s.values.Generation()
			s.books.Reset()
		case ringbuf.EpochChanged:
			s.Stopped = false
			s.books.Reset()
		}
		s.resume()
		return false
	}
	return true
}

// resume ends a stop when a session that began after it has cleared every book: the lane publishes R for each, then moves
// the generation of the last values, twice, so that what clears them lies before the cursor as of then.
func (s *snapshotter) resume() {
	if !s.Stopped {
		return
	}
	if s.resumeAt == 0 && s.values.Generation() >= s.stoppedIn+2 {
		s.resumeAt, _ = s.reader.Cursor()
	}
	if s.resumeAt != 0 && s.reader.Next() > s.resumeAt {
		s.Stopped = false
	}
}

// take turns records into rows and has the books apply them. A loss makes every book suspect, until a record of the instrument says that it is not: R of a rebuild, at the latest.
func (s *snapshotter) take(records []tick.Mbo, first uint64) {
	b := s.batch
	b.Reset()
	for i := range records {
		r := &records[i]
		if r.RType != tick.RTypeMbo {
			if g := ringbuf.GapOfMbo(r); g != nil && g.State == tick.GapLost {
				if g.InstrumentID != 0 {
					s.books.SetSuspect(g.InstrumentID, true)
				} else {
					s.books.SetSuspectAll(true)
				}
			}
			continue
		}
		if r.Flags&(tick.FlagMBP|tick.FlagTOB) != 0 {
			continue // a level, not an order
		}
		s.books.SetSuspect(r.InstrumentID, r.Flags&tick.FlagMaybeBadBook != 0)
		s.last = *r
		book.AppendRecord(b, r)
	}
	s.seq = first + uint64(len(records)) - 1
	s.books.Apply(b, 0, b.N)
}

// write makes a snapshot when it is time to.
func (s *snapshotter) write(now time.Time) error {
	if now.Before(s.next) || s.Stopped || s.failed || s.seq == 0 {
		return nil
	}
	s.next = now.Add(snapEvery)
	for {
		err := s.fill()
		if !errors.Is(err, ringbuf.ErrSnapSmall) {
			return err
		}
		// Grow: readers of the old file are told to open the name again.
		old := s.file
		if err := old.Close(); err != nil { // its name must be free for the new one's lock
			s.failed = true
			return err
		}
		file, err := ringbuf.CreateSnap(s.path, 2*old.Capacity(), s.options)
		if err != nil {
			s.failed = true // there is nothing to write to until the feed is started again
			return fmt.Errorf("feed: a larger snapshot file: %w; no snapshots from here on", err)
		}
		s.file = file
	}
}

func (s *snapshotter) fill() (err error) {
	s.file.Begin()
	orders := uint64(0)
	s.books.Instruments(func(id uint32) bool {
		flags := tick.FlagSnapshot | tick.FlagBadTsRecv
		if s.books.Suspect(id) {
			flags |= tick.FlagMaybeBadBook
		}
		rec := tick.Mbo{
			Header: tick.Header{Length: 14, RType: tick.RTypeMbo, PublisherID: s.pub, InstrumentID: id, TsEvent: s.last.TsEvent},
			Price:  tick.UndefPrice, Flags: flags, ChannelID: s.channel, Action: tick.ActionClear, Side: tick.SideNone,
			TsRecv: s.last.TsRecv, Sequence: s.last.Sequence,
		}
		// One record behind: only the last of an instrument carries F_LAST.
		s.books.Walk(id, func(o book.Order) bool {
			if err = s.file.Put(&rec); err != nil {
				return false
			}
			orders++
			rec.OrderID, rec.Price, rec.Size, rec.Action, rec.Side = o.ID, o.Price, tick.Size32(o.Size), tick.ActionAdd, o.Side
			return true
		})
		if err == nil {
			rec.Flags |= tick.FlagLast
			err = s.file.Put(&rec)
		}
		return err == nil
	})
	if err != nil {
		return err
	}
	s.file.End(s.seq, s.reader.Epoch(), s.last.TsRecv, orders)
	s.Written++
	return nil
}

func (s *snapshotter) close() error {
	var errs []error
	if s.file != nil {
		errs = append(errs, s.file.Close())
	}
	if s.batch != nil {
		errs = append(errs, s.batch.Free())
	}
	if s.books != nil {
		errs = append(errs, s.books.Close())
	}
	if s.values != nil {
		errs = append(errs, s.values.Close())
	}
	if s.directory != nil {
		errs = append(errs, s.directory.Close())
	}
	if s.reader != nil {
		errs = append(errs, s.reader.Close())
	}
	return errors.Join(errs...)
}
