package ringbuf

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
	"unsafe"

	"github.com/tickwire/tickwire/tick"
	"golang.org/x/sys/unix"
)

// ringFile is the bytes of a small sound ring and its path.
func ringFile(t testing.TB) ([]byte, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.a.mbp1.ring")
	w, err := Create(path, Options{Kind: KindMbp1, TestSlots: 16})
	if err != nil {
		t.Fatal(err)
	}
	publishN(w, 3)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b, path
}

// badFiles are the ways in which a file is not a ring, each with the one thing wrong with it; codes are tickring.h's.
var badFiles = []struct {
	name   string
	change func(b []byte) []byte
	want   error
	code   string
}{
	{"sound", func(b []byte) []byte { return b }, nil, ""},
	{"empty", func(b []byte) []byte { return nil }, ErrShort, "shorter than"},
	{"cut in the header", func(b []byte) []byte { return b[:headerBytes-1] }, ErrShort, "shorter than"},
	{"cut in the slots", func(b []byte) []byte { return b[:len(b)-1] }, ErrFileSize, "file size"},
	{"longer", func(b []byte) []byte { return append(b, make([]byte, 4096)...) }, nil, ""},
	{"magic", put8(offMagic, 'X'), ErrMagic, "not a tickwire ring"},
	{"byte order", put32(offByteOrder, 0x04030201), ErrByteOrder, "byte order"},
	{"major 0", put8(offMajor, 0), ErrVersion, "major version"},
	{"major 2", put8(offMajor, 2), ErrVersion, "major version"},
	{"minor 9", put8(offMinor, 9), nil, ""},
	{"header too small", put32(offHeaderBytes, 128), ErrHeaderSize, "header size"},
	{"header too large", put32(offHeaderBytes, 1<<30), ErrHeaderSize, "header size"},
	{"slot size of another kind", put32(offSlotBytes, 64), ErrSlotSize, "slot size"},
	{"slot size 0", put32(offSlotBytes, 0), ErrSlotSize, "slot size"},
	{"kind 0", put8(offKind, 0), ErrSlotSize, "slot size"},
	{"kind 200", put8(offKind, 200), ErrSlotSize, "slot size"},
	{"capacity 0", put64(offSlots, 0), ErrCapacity, "capacity"},
	{"capacity 15", put64(offSlots, 15), ErrCapacity, "capacity"},
	{"capacity 2", put64(offSlots, 2), ErrCapacity, "capacity"},
	{"capacity huge", put64(offSlots, 1<<63), ErrCapacity, "capacity"},
	{"capacity doubled", put64(offSlots, 32), ErrFileSize, "file size"},
	{"capacity that overflows with the slot", put64(offSlots, 1<<57), ErrCapacity, "capacity"},
	{"slots in the header", put64(offSlotsOffset, 2048), ErrOffset, "impossible offset"},
	{"slots far off", put64(offSlotsOffset, 1<<62), ErrOffset, "impossible offset"},
	{"slots unaligned", put64(offSlotsOffset, 4100), ErrOffset, "impossible offset"},
	{"declares more", put64(offFileBytes, 1<<40), ErrFileSize, "file size"},
	{"declares less", put64(offFileBytes, 4096), ErrFileSize, "file size"},
	{"DBN 2", put8(offDBNVersion, 2), ErrDBNVersion, "DBN version"},
	{"epoch 0", put64(offEpoch, 0), ErrRestarting, "restarting"},
	{"epoch in change", put64(offEpochIntent, 2), ErrRestarting, "restarting"},
}

func put8(off int, v byte) func([]byte) []byte {
	return func(b []byte) []byte { b[off] = v; return b }
}

func put32(off int, v uint32) func([]byte) []byte {
	return func(b []byte) []byte { binary.LittleEndian.PutUint32(b[off:], v); return b }
}

func put64(off int, v uint64) func([]byte) []byte {
	return func(b []byte) []byte { binary.LittleEndian.PutUint64(b[off:], v); return b }
}

func TestOpenRefuses(t *testing.T) {
	good, path := ringFile(t)
	for _, tc := range badFiles {
		if err := os.WriteFile(path, tc.change(append([]byte(nil), good...)), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Open(path, ReaderOptions{})
		if !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
		if err == nil {
			_ = r.Close()
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none.ring"), ReaderOptions{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := Open(t.TempDir(), ReaderOptions{}); !errors.Is(err, ErrShort) {
		t.Errorf("a directory: %v", err)
	}
	pipe := filepath.Join(t.TempDir(), "pipe.a.mbo.ring")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(pipe, ReaderOptions{}); !errors.Is(err, ErrShort) {
		t.Errorf("a pipe: %v", err)
	}
}

// Any header and any slots: a reader refuses or reads, but never goes outside the file and never hangs.
func FuzzOpen(f *testing.F) {
	good, _ := ringFile(f)
	for _, tc := range badFiles {
		f.Add(tc.change(append([]byte(nil), good...)))
	}
	path := filepath.Join(f.TempDir(), "fuzz.a.mbp1.ring")
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<20 {
			return
		}
		b = append([]byte(nil), b...)
		if len(b) >= headerBytes { // a session in change is waited for, which takes time: fuzz what comes after
			b[offEpoch] |= 1
			copy(b[offEpochIntent:offEpochIntent+8], b[offEpoch:offEpoch+8])
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Open(path, ReaderOptions{Join: JoinOldest})
		if err != nil {
			return
		}
		defer r.Close()
		buf := make([]byte, 64*r.Kind().PayloadBytes())
		for range 2 * idleChecks {
			n, _, _ := r.Poll(buf, 64)
			if n > 64 || uint64(n) > r.Slots() {
				t.Fatalf("%d records", n)
			}
		}
		_, _, _ = r.Lag(), r.Alive(), r.Counters()
		_ = r.Seek(r.Next())
	})
}

func TestClockIsTheKernels(t *testing.T) {
	for range 100 {
		var ts unix.Timespec
		before := MonotonicNow()
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
			t.Fatal(err)
		}
		if now, after := uint64(ts.Nano()), MonotonicNow(); now < before || now > after {
			t.Fatalf("the kernel says %d between our %d and %d", now, before, after)
		}
	}
}

func TestReaderCannotWrite(t *testing.T) {
	path := filepath.Join(shmDir(t), "x.a.mbo.ring")
	mustCreate(t, path, Options{Kind: KindMbo, Slots: 1024})
	r := mustOpen(t, path, ReaderOptions{})
	if err := unix.Mprotect(r.m.mem, unix.PROT_READ|unix.PROT_WRITE); err != unix.EACCES {
		t.Errorf("a reader's mapping can be made writable: %v", err)
	}
}

func TestSilentAndStates(t *testing.T) {
	path := filepath.Join(shmDir(t), "x.a.mbo.ring")
	w := mustCreate(t, path, Options{Kind: KindMbo, Slots: 1024})
	r := mustOpen(t, path, ReaderOptions{StaleAfter: 10 * time.Second})
	w.Beat(MonotonicNow())
	if st := pollStatus(r); st != None || !r.Alive() {
		t.Errorf("with a heartbeat: %s, alive %v", st, r.Alive())
	}
	w.Beat(MonotonicNow() - 11e9)
	if st := pollStatus(r); st != Silent || r.Alive() || r.Heartbeat() < 11*time.Second {
		t.Errorf("without one: %s, alive %v", st, r.Alive())
	}
	publishN(w, 1)
	if n, _, _ := PollSlice(r, make([]tickMbo, 1)); n != 1 {
		t.Error("a record of a silent producer was withheld")
	}
	w.Beat(MonotonicNow())
	w.SetState(StateFeedDown)
	if st := pollStatus(r); st != None || r.State() != StateFeedDown || !r.Alive() {
		t.Errorf("input silent: %s, %s", st, r.State())
	}
	w.SetState(StateFailed)
	publishN(w, 1)
	if !r.Wait(0) {
		t.Error("a last record was not seen")
	}
	if _, _, st := PollSlice(r, make([]tickMbo, 4)); st != OK {
		t.Errorf("the news of the end came before the last record: %s", st)
	}
	_ = w.Close()
	if st := pollStatus(r); st != Stopped || r.State() != StateFailed {
		t.Errorf("failed: %s, %s", st, r.State())
	}
}

// Empty polls look at the header by themselves, once in 1,024.
func TestIdlePollsNoticeTheEnd(t *testing.T) {
	path := filepath.Join(shmDir(t), "x.a.mbo.ring")
	w := mustCreate(t, path, Options{Kind: KindMbo, Slots: 1024})
	r := mustOpen(t, path, ReaderOptions{})
	_ = w.Close()
	for polls := 1; ; polls++ {
		if _, _, st := PollSlice(r, make([]tickMbo, 1)); st == Stopped {
			if polls != idleChecks {
				t.Errorf("after %d polls", polls)
			}
			return
		} else if st != None || polls > idleChecks {
			t.Fatalf("poll %d: %s", polls, st)
		}
	}
}

func TestWait(t *testing.T) {
	path := filepath.Join(shmDir(t), "x.a.mbo.ring")
	w := mustCreate(t, path, Options{Kind: KindMbo, Slots: 1024})
	r := mustOpen(t, path, ReaderOptions{})
	begin := time.Now()
	if r.Wait(5*time.Millisecond) || time.Since(begin) < 4*time.Millisecond {
		t.Errorf("nothing came and the wait ended after %v", time.Since(begin))
	}
	go func() {
		time.Sleep(10 * time.Millisecond)
		publishN(w, 1)
		w.Beat(MonotonicNow())
	}()
	begin = time.Now()
	for !r.Wait(time.Second) {
		if time.Since(begin) > 3*time.Second {
			t.Fatal("the doorbell woke nobody")
		}
	}
	if d := time.Since(begin); d > 900*time.Millisecond {
		t.Errorf("woken after %v: by the time-out, not by the doorbell", d)
	}
	if !r.Wait(time.Second) {
		t.Error("a record is there and the reader sleeps")
	}
	// At most one ring in 100 µs, and none without news.
	bell := w.m.load32(offDoorbell)
	now := MonotonicNow() + 1e6
	w.Beat(now)
	publishN(w, 1)
	w.Beat(now + 1)
	publishN(w, 1)
	w.Beat(now + 99_000)
	w.Beat(now + 200_000)
	w.Beat(now + 400_000)
	if rung := w.m.load32(offDoorbell) - bell; rung != 2 {
		t.Errorf("%d rings, want 2", rung)
	}
}

func TestCursorAndCounters(t *testing.T) {
	dir := t.TempDir()
	w := mustCreate(t, filepath.Join(dir, "x.a.mbo.ring"), Options{Kind: KindMbo, Slots: 1024})
	r := mustOpen(t, w.Path(), ReaderOptions{})
	recs := make([]tick.Mbo, 3)
	for i := range recs {
		recs[i] = tick.Mbo{Header: tick.Header{Length: 14, RType: tick.RTypeMbo}, TsRecv: uint64(100 + i)}
	}
	PutGapMbo(&recs[2], &tick.Gap{Header: tick.Header{Length: 14, RType: tick.RTypeGap}, TsRecv: 777, First: 5, Last: 9})
	first := PublishSlice(w, recs[:2])
	if n, _ := r.Cursor(); n != first-1 {
		t.Errorf("cursor moved without PublishHint: %d", n)
	}
	w.PublishHint()
	if n, ts := r.Cursor(); n != first+1 || ts != 101 {
		t.Errorf("cursor %d at %d", n, ts)
	}
	PublishSlice(w, recs[2:])
	w.PublishHint()
	if n, ts := r.Cursor(); n != first+2 || ts != 777 {
		t.Errorf("cursor %d at %d", n, ts)
	}
	got := make([]tick.Mbo, 4)
	if n, _, _ := PollSlice(r, got); n != 3 || got[0] != recs[0] || GapOfMbo(&got[2]) == nil || GapOfMbo(&got[2]).Last != 9 || GapOfMbo(&got[0]) != nil {
		t.Errorf("read %d: %+v", n, got)
	}
	c := Counters{1, 2, 3, 4, 5, 6}
	w.StoreCounters(&c)
	if got := r.Counters(); got != c {
		t.Errorf("counters %+v", got)
	}
}

func TestEventSlots(t *testing.T) {
	var e EventSlot
	e.PutImbalance(&tick.Imbalance{Header: tick.Header{RType: tick.RTypeImbalance}, PairedQty: 5, SignificantImbalance: 'L'})
	if i := e.Imbalance(); i == nil || i.PairedQty != 5 || i.SignificantImbalance != 'L' || e.Status() != nil || e.Gap() != nil || e.Statistics() != nil {
		t.Error("imbalance")
	}
	e.PutStatus(&tick.Status{Header: tick.Header{RType: tick.RTypeStatus}, Action: tick.StatusHalt})
	if s := e.Status(); s == nil || s.Action != tick.StatusHalt || e.Imbalance() != nil || e.words[5] != 0 || e.words[14] != 0 {
		t.Error("status: or what was there before is still behind it")
	}
	e.PutStatistics(&tick.Statistics{Header: tick.Header{RType: tick.RTypeStatistics}, Price: 7})
	if s := e.Statistics(); s == nil || s.Price != 7 {
		t.Error("statistics")
	}
	e.PutGap(&tick.Gap{Header: tick.Header{RType: tick.RTypeGap}, Last: 8})
	if g := e.Gap(); g == nil || g.Last != 8 {
		t.Error("gap")
	}
	var m tick.Mbo
	PutStatusMbo(&m, &tick.Status{Header: tick.Header{RType: tick.RTypeStatus}, Reason: 3})
	if s := StatusOfMbo(&m); s == nil || s.Reason != 3 || GapOfMbo(&m) != nil {
		t.Error("status inline")
	}
}

func TestNoAllocations(t *testing.T) {
	path := filepath.Join(shmDir(t), "x.a.mbp1.ring")
	w := mustCreate(t, path, Options{Kind: KindMbp1, Slots: 1024})
	r := mustOpen(t, path, ReaderOptions{})
	recs, got := make([]Mbp1Slot, 40), make([]Mbp1Slot, 64)
	var c Counters
	now := MonotonicNow()
	if n := testing.AllocsPerRun(1000, func() {
		w.Publish(unsafe.Pointer(&recs[0]), len(recs))
		PublishSlice(w, recs)
		w.PublishHint()
		w.StoreCounters(&c)
		now += 200_000
		w.Beat(now)
		for {
			if n, _, _ := PollSlice(r, got); n == 0 {
				break
			}
		}
		r.Wait(0)
		_, _, _ = r.PollInto(nil, 0)
	}); n != 0 {
		t.Errorf("%v allocations a pass", n)
	}
}
