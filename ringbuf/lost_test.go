package ringbuf

import (
	"errors"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"
)

func mustCreate(t testing.TB, path string, o Options) *Writer {
	t.Helper()
	w, err := Create(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func mustOpen(t testing.TB, path string, o ReaderOptions) *Reader {
	t.Helper()
	r, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// publishN publishes n records that name themselves, and the cursor.
func publishN(w *Writer, n int) {
	words := w.header.Kind.PayloadBytes() / 8
	recs := make([]uint64, n*words)
	fillWords(recs, words, w.Next())
	w.Publish(unsafe.Pointer(unsafe.SliceData(recs)), n)
	w.PublishHint()
}

// Goal: what a reader got and what it was told it lost make what the writer wrote. Method: a reader in the same
// process that falls asleep at random (seed printed) while the writer laps it.
func TestLostIsExact(t *testing.T) {
	const records = 3_000_000
	path := filepath.Join(shmDir(t), "lost.a.mbo.ring")
	w := mustCreate(t, path, Options{Kind: KindMbo, Slots: 1024})
	r := mustOpen(t, path, ReaderOptions{StaleAfter: time.Minute})
	begin := r.Next()
	go func() {
		recs := make([]uint64, 37*7)
		for w.Next()-begin < records {
			fillWords(recs, 7, w.Next())
			w.Publish(unsafe.Pointer(unsafe.SliceData(recs)), 37)
			w.PublishHint()
		}
		w.SetState(StateStopped)
	}()
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	s := readFor(t, r, func(s *seen) bool {
		if rng.IntN(2000) == 0 {
			time.Sleep(time.Duration(rng.IntN(400)) * time.Microsecond)
		}
		return r.State() == StateStopped && !r.Wait(0)
	})
	t.Log(s)
	if err := s.sound(begin, 0); err != nil {
		t.Error(err)
	}
	if s.overruns == 0 {
		t.Error("the reader was never lapped: the test did not test")
	}
	if s.next != w.Next() {
		t.Errorf("reader ends at %d, writer at %d", s.next, w.Next())
	}
}

// Goal: the same for a reader that sleeps through several producers, among them one without a record and one that died
// in the middle of taking the ring over.
func TestLostAcrossEpochs(t *testing.T) {
	path := filepath.Join(shmDir(t), "lost.a.events.ring")
	o := Options{Kind: KindEvents, Slots: 1024}
	w := mustCreate(t, path, o)
	r := mustOpen(t, path, ReaderOptions{})
	begin := r.Next()
	written := 0
	for _, n := range []int{10, 5000, 0, 3, 1024} {
		publishN(w, n)
		written += n
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		w = mustCreate(t, path, o)
	}
	// A producer dies between intent and epoch, with some of the fields written.
	first, unused, epoch := w.m.load64(offFirst), w.m.load64(offUnused), w.Epoch()
	publishN(w, 7)
	written += 7
	w.m.store64(offNextFirst, w.Next()+1024)
	w.m.store64(offNextUnused, unused+1024)
	w.m.store64(offEpochIntent, epoch+1)
	w.m.store64(offFirst, w.Next()+1024)
	if _, ok := readSession(w.m); ok {
		t.Error("a session in change was taken for whole")
	}
	if _, err := Open(path, ReaderOptions{}); !errors.Is(err, ErrRestarting) {
		t.Errorf("open of a ring in change: %v, want ErrRestarting", err)
	}
	_ = w.lock.Close() // as the kernel does for the dead
	_ = w.m.close()
	w.closed = true
	w = mustCreate(t, path, o)
	if w.Epoch() != epoch+1 || w.Next() != first+7+1024 {
		t.Errorf("taken over as epoch %d from %d, want %d from %d", w.Epoch(), w.Next(), epoch+1, first+7+1024)
	}
	publishN(w, 4)
	written += 4
	s := readFor(t, r, func(*seen) bool { return r.Epoch() == w.Epoch() && !r.Wait(0) })
	t.Log(s)
	session, err := r.Session()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.sound(begin, session.Unused); err != nil {
		t.Error(err)
	}
	if s.read+s.lost != uint64(written) || s.next != w.Next() {
		t.Errorf("%d read and %d lost of %d written; next %d, want %d", s.read, s.lost, written, s.next, w.Next())
	}
}

// A reader that joined in the middle of a run, of which the producer then died, was ahead of the last record: that is no
// loss, and above all not one of 2^64 records.
func TestJoinInARunCutShort(t *testing.T) {
	path := filepath.Join(shmDir(t), "cut.a.mbo.ring")
	o := Options{Kind: KindMbo, Slots: 1024}
	w := mustCreate(t, path, o)
	publishN(w, 2000)
	cut := w.Next()
	for n := cut; n < cut+20; n++ { // marks, and no more
		*(*uint64)(unsafe.Add(w.slots, uintptr(n&w.mask)*w.slotSize)) = n - 1
	}
	r := mustOpen(t, path, ReaderOptions{})
	r.next = cut + 10
	_ = w.Close()
	w = mustCreate(t, path, o)
	if w.Next() != cut+1024 {
		t.Errorf("goes on at %d, want %d", w.Next(), cut+1024)
	}
	publishN(w, 1)
	if s := readFor(t, r, func(*seen) bool { return r.Epoch() == 2 && !r.Wait(0) }); s.lost != 0 || s.read != 1 || s.bad != 0 {
		t.Error(s)
	}
}

// A reader that keeps up loses nothing by a restart and learns of it before the first new record.
func TestRestartIsNoLoss(t *testing.T) {
	path := filepath.Join(shmDir(t), "restart.a.mbo.ring")
	o := Options{Kind: KindMbo, Slots: 1024}
	w := mustCreate(t, path, o)
	r := mustOpen(t, path, ReaderOptions{StaleAfter: time.Minute})
	uuid := r.UUID()
	for i := range 5 {
		publishN(w, 100)
		if s := readFor(t, r, func(*seen) bool { return !r.Wait(0) }); s.read != 100 || s.bad != 0 {
			t.Fatalf("epoch %d: %s", i+1, s)
		}
		if st := pollStatus(r); st != Stopped && st != None {
			t.Fatalf("status %s", st)
		}
		_ = w.Close()
		if st := pollStatus(r); st != Stopped || r.State() != StateStopped {
			t.Fatalf("after a clean end: %s, state %s", st, r.State())
		}
		w = mustCreate(t, path, o)
		if i%2 == 0 { // known by the first record …
			publishN(w, 1)
			if n, _, st := PollSlice(r, make([][56]byte, 4)); n != 0 || st != EpochChanged {
				t.Fatalf("at the first record: %d, %s", n, st)
			}
			if n, first, st := PollSlice(r, make([][56]byte, 4)); n != 1 || st != OK || first != w.Next()-1 {
				t.Fatalf("first record: %d, %d, %s", n, first, st)
			}
		} else if st := pollStatus(r); st != EpochChanged { // … or by looking while idle
			t.Fatalf("while idle: %s", st)
		}
	}
	if r.Lost() != 0 || r.Epoch() != 6 || w.UUID() != uuid {
		t.Errorf("%d lost, epoch %d, same file %v", r.Lost(), r.Epoch(), w.UUID() == uuid)
	}
}

// pollStatus asks until the header has been looked at.
func pollStatus(r *Reader) (st Status) {
	r.Wait(0)
	_, _, st = r.PollInto(nil, 0)
	return st
}

func TestJoin(t *testing.T) {
	path := filepath.Join(shmDir(t), "join.a.mbo.ring")
	w := mustCreate(t, path, Options{Kind: KindMbo, Slots: 1024})
	first := w.Next()
	for _, tc := range []struct {
		write              int
		live, half, oldest uint64 // numbers before Next
	}{
		{0, 0, 0, 0},
		{10, 0, 10, 10},
		{800, 0, 512, 810},
		{214, 0, 512, 1024},
		{5000, 0, 512, 896},
	} {
		publishN(w, tc.write)
		for m, want := range []uint64{tc.live, tc.half, tc.oldest} {
			r := mustOpen(t, path, ReaderOptions{Join: JoinMode(m)})
			if got := w.Next() - r.Next(); got != want {
				t.Errorf("after %d records, join %d: %d back, want %d", w.Next()-first, m, got, want)
			}
			if n, at, st := PollSlice(r, make([]tickMbo, 2000)); uint64(n) != want || at != w.Next()-want || (st == OK) != (want > 0) {
				t.Errorf("join %d: poll gives %d from %d (%s)", m, n, at, st)
			}
			if r.Lost() != 0 {
				t.Errorf("join %d: %d lost", m, r.Lost())
			}
		}
	}
	// A cursor that lags, even by laps, does not hide where the writer is.
	w.m.store64(offCursor, first-1)
	if r := mustOpen(t, path, ReaderOptions{}); r.Next() != w.Next() {
		t.Errorf("join behind a lagging cursor: %d, want %d", r.Next(), w.Next())
	}
}

type tickMbo [56]byte

func TestSeek(t *testing.T) {
	path := filepath.Join(shmDir(t), "seek.a.mbo.ring")
	w := mustCreate(t, path, Options{Kind: KindMbo, Slots: 1024})
	r := mustOpen(t, path, ReaderOptions{})
	first := w.Next()
	publishN(w, 3000)
	for _, tc := range []struct {
		seq  uint64
		want error
	}{
		{w.Next(), nil}, {w.Next() - 1, nil}, {w.Next() - 1024, nil}, {w.Next() - 1025, ErrTooOld}, {first, ErrTooOld}, {first - 1, ErrTooOld},
		{w.Next() + 1, ErrTooFar}, {0, ErrTooOld},
	} {
		before := r.Next()
		err := r.Seek(tc.seq)
		if !errors.Is(err, tc.want) {
			t.Errorf("seek %d: %v, want %v", tc.seq, err, tc.want)
		}
		if err != nil && r.Next() != before {
			t.Errorf("seek %d failed and moved", tc.seq)
		}
		if err == nil && r.Next() != tc.seq {
			t.Errorf("seek %d: next is %d", tc.seq, r.Next())
		}
	}
	if r.Lost() != 0 {
		t.Errorf("%d lost by seeking", r.Lost())
	}
}

// A gated ring loses nothing, however slow its reader; a lifted gate lets the writer go.
func TestGate(t *testing.T) {
	const records = 200_000
	path := filepath.Join(shmDir(t), "gate.a.mbo.ring")
	w := mustCreate(t, path, Options{Kind: KindMbo, Slots: 1024, Private: true})
	r := mustOpen(t, path, ReaderOptions{})
	if !r.Header().Gated {
		t.Error("the header does not say that the ring is gated")
	}
	begin := r.Next()
	var progress atomic.Uint64
	progress.Store(begin)
	w.Gate(&progress)
	done := make(chan struct{})
	go func() {
		defer close(done)
		recs := make([]uint64, 3000*7) // longer than the ring
		for w.Next()-begin < records {
			fillWords(recs, 7, w.Next())
			w.Publish(unsafe.Pointer(unsafe.SliceData(recs)), 3000)
		}
		w.PublishHint()
	}()
	turn := 0
	s := readFor(t, r, func(s *seen) bool {
		if turn++; turn%500 == 0 {
			time.Sleep(time.Millisecond)
		}
		progress.Store(r.Next())
		return s.read >= records
	})
	if s.lost != 0 || s.bad != 0 || s.overruns != 0 {
		t.Errorf("gated ring: %s", s)
	}
	<-done
	go func() { // a reader that ends
		time.Sleep(20 * time.Millisecond)
		w.Gate(nil)
	}()
	publishN(w, 5000)
	if w.Next()-begin < records+5000 {
		t.Error("lifted gate did not let the writer go")
	}
}

func TestGateIsRefusedOnLiveRings(t *testing.T) {
	w := mustCreate(t, filepath.Join(t.TempDir(), "live.a.mbo.ring"), Options{Kind: KindMbo, Slots: 1024})
	defer func() {
		if recover() == nil {
			t.Error("a reader could gate a live feed")
		}
	}()
	w.Gate(new(atomic.Uint64))
}
