package ringbuf

import (
	"errors"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"unsafe"

	"github.com/tickwire/tickwire/tick"
)

// orders is all that rests in a lane: id to size. It stands for a book where only what rests is asked.
type orders map[uint64]uint32

func (o orders) apply(r *tick.Mbo) {
	switch r.Action {
	case tick.ActionAdd:
		o[r.OrderID] = r.Size
	case tick.ActionCancel:
		if o[r.OrderID] -= r.Size; o[r.OrderID] == 0 {
			delete(o, r.OrderID)
		}
	case tick.ActionClear:
		clear(o)
	}
}

// lane writes random orders to an mbo ring, and snapshots of what rests.
type lane struct {
	t    *testing.T
	path string
	rand *rand.Rand
	ring *Writer
	snap *SnapWriter
	rest orders
	ids  []uint64 // those that may rest
}

func newLane(t *testing.T, slots uint64) *lane {
	t.Helper()
	dir := shmDir(t)
	l := &lane{t: t, path: filepath.Join(dir, "f.0.mbo.ring"), rand: rand.New(rand.NewPCG(1, 2)), rest: orders{}}
	l.ring = mustCreate(t, l.path, Options{Kind: KindMbo, Slots: slots})
	l.newSnap(1 << 12)
	t.Cleanup(func() { _ = l.snap.Close() })
	return l
}

func (l *lane) snapPath() string { return filepath.Join(filepath.Dir(l.path), "f.0.snap") }

func (l *lane) newSnap(capacity uint64) {
	l.t.Helper()
	var err error
	if l.snap, err = CreateSnap(l.snapPath(), capacity, SideOptions{}); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lane) write(count int) {
	for range count {
		n := l.ring.Next()
		rec := tick.Mbo{Header: tick.Header{Length: 14, RType: tick.RTypeMbo, InstrumentID: 7, TsEvent: n}, OrderID: n, Size: 1 + l.rand.Uint32N(9), Action: tick.ActionAdd}
		if i := l.rand.IntN(1000); i < len(l.ids) && l.rest[l.ids[i]] > 0 {
			rec.OrderID, rec.Action = l.ids[i], tick.ActionCancel
			rec.Size = 1 + l.rand.Uint32N(l.rest[rec.OrderID])
		} else if i < len(l.ids) {
			l.ids[i] = n // in the place of one that no longer rests
		} else {
			l.ids = append(l.ids, n)
		}
		l.ring.Publish(unsafe.Pointer(&rec), 1)
		l.rest.apply(&rec)
	}
	l.ring.PublishHint()
	l.ring.Beat(MonotonicNow())
}

func (l *lane) snapshot() {
	l.t.Helper()
	l.snap.Begin()
	rec := tick.Mbo{Header: tick.Header{InstrumentID: 7}, Action: tick.ActionClear}
	err := l.snap.Put(&rec)
	rec.Action = tick.ActionAdd
	for id, size := range l.rest {
		rec.OrderID, rec.Size = id, size
		err = errors.Join(err, l.snap.Put(&rec))
	}
	if err != nil {
		l.t.Fatal(err)
	}
	l.snap.End(l.ring.Next()-1, l.ring.Epoch(), 1, uint64(len(l.rest)))
}

// book joins and reads to the end.
func (l *lane) book(r *Reader, s *SnapReader, snap *Snapshot) (orders, error) {
	if err := JoinBook(r, s, snap); err != nil {
		return nil, err
	}
	got := orders{99: 1} // what R empties
	for i := range snap.Records {
		got.apply(&snap.Records[i])
	}
	var recs [64]tick.Mbo
	for want := snap.Seq + 1; ; {
		n, first, status := PollSlice(r, recs[:])
		if n == 0 {
			if status == Overrun || status == EpochChanged {
				l.t.Fatalf("%v right after a join", status)
			}
			return got, nil
		}
		if first != want {
			l.t.Fatalf("record %d comes, %d should", first, want)
		}
		for i := range recs[:n] {
			got.apply(&recs[i])
		}
		want += uint64(n)
	}
}

func (l *lane) open() (*Reader, *SnapReader) {
	l.t.Helper()
	r := mustOpen(l.t, l.path, ReaderOptions{})
	s, err := OpenSnap(l.snapPath())
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = s.Close() })
	return r, s
}

// TestJoinBook: a snapshot and the records behind it are the state at the end, whenever one joins, and again after having
// been lapped.
func TestJoinBook(t *testing.T) {
	l := newLane(t, 4096)
	r, s := l.open()
	var snap Snapshot
	if err := JoinBook(r, s, &snap); !errors.Is(err, ErrNoSnapshot) {
		t.Errorf("no snapshot yet: %v", err)
	}
	for turn := range 200 {
		l.write(l.rand.IntN(2000))
		l.snapshot()
		behind := l.rand.IntN(4000)
		l.write(behind)
		got, err := l.book(r, s, &snap)
		if err != nil {
			t.Fatalf("turn %d, %d records behind the snapshot: %v", turn, behind, err)
		}
		if !maps.Equal(got, l.rest) {
			t.Fatalf("turn %d: %d orders rest, the joined book has %d", turn, len(l.rest), len(got))
		}
	}
	if len(l.rest) < 100 {
		t.Errorf("only %d orders rest: the test shows little", len(l.rest))
	}
	l.snapshot()
	l.write(4097)
	next := r.Next()
	if err := JoinBook(r, s, &snap); !errors.Is(err, ErrTooOld) || r.Next() != next {
		t.Errorf("a ring that went on: %v, place %d, was %d", err, r.Next(), next)
	}
	if _, _, status := PollSlice(r, make([]tick.Mbo, 1)); status != Overrun {
		t.Errorf("%v, want the overrun", status)
	}
	l.snapshot()
	if got, err := l.book(r, s, &snap); err != nil || !maps.Equal(got, l.rest) {
		t.Errorf("after the overrun: %v, %d orders of %d", err, len(got), len(l.rest))
	}
}

// TestJoinBookEpochs: a snapshot of the epoch before, or of another ring, is refused and the reader stays where it was; the
// first snapshot of the new epoch joins.
func TestJoinBookEpochs(t *testing.T) {
	l := newLane(t, 4096)
	r, s := l.open()
	var snap Snapshot
	l.write(500)
	l.snapshot()
	if _, err := l.book(r, s, &snap); err != nil {
		t.Fatal(err)
	}
	if err := l.ring.Close(); err != nil {
		t.Fatal(err)
	}
	l.ring = mustCreate(t, l.path, Options{Kind: KindMbo, Slots: 4096})
	if l.ring.Epoch() != 2 {
		t.Fatalf("epoch %d after a restart", l.ring.Epoch())
	}
	next := r.Next()
	if err := JoinBook(r, s, &snap); !errors.Is(err, ErrTooOld) || r.Next() != next || r.Epoch() != 1 {
		t.Errorf("a snapshot of the epoch before: %v, place %d epoch %d", err, r.Next(), r.Epoch())
	}
	clear(l.rest)
	l.ids = nil
	l.write(300)
	l.snap.Begin()
	l.snap.End(l.ring.Next()-1, 1, 1, 0)
	if err := JoinBook(r, s, &snap); !errors.Is(err, ErrSnapshotEpoch) || r.Next() != next || r.Epoch() != 1 {
		t.Errorf("a number of this epoch with the name of another: %v, place %d epoch %d", err, r.Next(), r.Epoch())
	}
	l.snapshot()
	l.write(100)
	if got, err := l.book(r, s, &snap); err != nil || !maps.Equal(got, l.rest) || r.Epoch() != 2 {
		t.Errorf("in the new epoch: %v, %d orders of %d, epoch %d", err, len(got), len(l.rest), r.Epoch())
	}
}

// TestJoinBookRefuses: a file that was replaced will have no snapshot any more; a ring of trades has no place for one; a
// number that is not there yet is of another ring.
func TestJoinBookRefuses(t *testing.T) {
	l := newLane(t, 1024)
	r, s := l.open()
	var snap Snapshot
	l.write(100)
	l.snapshot()
	trades := filepath.Join(filepath.Dir(l.path), "f.0.trades.ring")
	mustCreate(t, trades, Options{Kind: KindTrades, Slots: 1024})
	if err := JoinBook(mustOpen(t, trades, ReaderOptions{}), s, &snap); !errors.Is(err, ErrNotMbo) {
		t.Errorf("a ring of trades: %v", err)
	}
	l.snap.Begin()
	l.snap.End(l.ring.Next(), l.ring.Epoch(), 1, 0)
	if err := JoinBook(r, s, &snap); !errors.Is(err, ErrTooFar) {
		t.Errorf("a record to come: %v", err)
	}
	if err := l.snap.Close(); err != nil {
		t.Fatal(err)
	}
	l.newSnap(1 << 13)
	if err := JoinBook(r, s, &snap); !errors.Is(err, ErrSnapshotReplaced) {
		t.Errorf("a larger file has the name: %v", err)
	}
	l.snapshot()
	_, s = l.open()
	if got, err := l.book(r, s, &snap); err != nil || !maps.Equal(got, l.rest) {
		t.Errorf("the new file: %v, %d orders of %d", err, len(got), len(l.rest))
	}
}
