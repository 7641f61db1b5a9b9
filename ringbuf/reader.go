package ringbuf

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// Status is what a Poll that gave no record has to say.
type Status uint8

// Statuses.
const (
	// OK: there are records.
	OK Status = iota
	// None: nothing new yet.
	None
	// Overrun: the writer was a lap ahead. Lost has grown by the exact number missed and reading goes on half a ring
	// behind the newest record. Whoever keeps books drops them and joins by a snapshot.
	Overrun
	// EpochChanged: the producer was started again. Reading goes on at its first record; Lost has grown by what was missed
	// before, in most cases nothing. Books are built anew from what follows.
	EpochChanged
	// Replaced: another file has the name now (or none has); this one is read to its end. Close and Open again.
	Replaced
	// Silent: no heartbeat within ReaderOptions.StaleAfter, and no record. The producer hangs or is gone.
	Silent
	// Stopped: the producer ended, cleanly or not (State says which), and all records are read. It may come back.
	Stopped
)

func (s Status) String() string {
	names := [...]string{"ok", "none", "overrun", "epoch changed", "replaced", "silent", "stopped"}
	if int(s) < len(names) {
		return names[s]
	}
	return "unknown"
}

// JoinMode says where in the ring to begin.
type JoinMode uint8

// Join modes.
const (
	JoinLive   JoinMode = iota // with the next record
	JoinHalf                   // half a ring of history, as far as this epoch reaches
	JoinOldest                 // all that is there of this epoch; at least an eighth of the ring ahead of the writer
)

// ReaderOptions of Open. The zero value works.
type ReaderOptions struct {
	// Join says where reading begins. The default is JoinLive.
	Join JoinMode
	// StaleAfter is the age of the last heartbeat from which a ring is Silent. Producers beat every millisecond. The
	// default is 50 ms.
	StaleAfter time.Duration
	// Report makes the reader seen, by `tickwire status` and on /metrics, under this name (at most 31 bytes): it keeps a
	// progress file beside the ring. It costs a few stores each 4,096 records and each time the reader has caught up. A file
	// that cannot be made is no reason not to read: Reported says why. The default, none, reads unseen.
	Report string
}

// Reader reads one ring through a read-only mapping. It belongs to one goroutine; any number of readers, in any
// number of processes, may read the same ring.
type Reader struct {
	next     uint64
	mask     uint64
	slots    unsafe.Pointer
	slotSize uintptr
	idle     uint32 // polls without a record
	lost     uint64
	epoch    uint64
	unused   uint64 // Session.Unused as of epoch
	stale    uint64 // ns
	sameBoot bool
	m        *mapping
	header   Header
	path     string

	progress   *progress // nil: reads unseen
	unreported error
}

const idleChecks = 1024 // every so many empty polls the header is looked at; a power of two

// Open maps a ring and joins it. Errors say which of the conditions of a ring does not hold (Err…), or that the file is
// missing or may not be read.
func Open(path string, o ReaderOptions) (*Reader, error) {
	m, h, err := openRing(path, false)
	if err != nil {
		return nil, err
	}
	if o.StaleAfter <= 0 {
		o.StaleAfter = 50 * time.Millisecond
	}
	r := newReader(path, m, h)
	r.stale = uint64(o.StaleAfter)
	if err := r.Join(o.Join); err != nil {
		_ = m.close()
		return nil, err
	}
	if o.Report != "" && !h.Gated {
		r.progress, r.unreported = openProgress(r, o.Report)
	}
	return r, nil
}

func newReader(path string, m *mapping, h Header) *Reader {
	return &Reader{mask: h.Slots - 1, slots: m.at(uintptr(h.SlotsOffset)), slotSize: uintptr(h.SlotBytes), m: m, header: h, path: path}
}

func (r *Reader) number(n uint64) uint64 {
	return atomic.LoadUint64((*uint64)(unsafe.Add(r.slots, uintptr(n&r.mask)*r.slotSize)))
}

// Join begins anew at the place that m says. What is skipped by it is no loss. It fails only with ErrRestarting.
func (r *Reader) Join(m JoinMode) error {
	s, err := awaitSession(r.path, r.m)
	if err != nil {
		return err
	}
	r.epoch, r.unused, r.sameBoot = s.Epoch, s.Unused, s.BootID == bootID()
	r.next = r.tail(s.First)
	slots := r.mask + 1
	have := r.next - s.First
	switch {
	case m == JoinHalf:
		r.next -= min(have, slots/2)
	case m == JoinOldest && have <= slots:
		r.next = s.First
	case m == JoinOldest:
		r.next -= slots - slots/8
	}
	return nil
}

// tail is the number of the next record to be published, or one a little older or (never more than a run) newer. The
// cursor lags by a pass at most; slots are looked at from there.
func (r *Reader) tail(first uint64) uint64 {
	n := r.m.load64(offCursor) + 1
	if int64(n-first) < 0 {
		n = first
	}
	for range r.mask + 1 {
		found := r.number(n)
		switch {
		case found == n:
			n++
		case int64(found-n) > 0:
			n = found // a lap was written since the cursor was
		default:
			return n
		}
	}
	return n
}

// Seek makes seq the next record. It must be one of this epoch that is still there (otherwise ErrTooOld), or the next
// one to come (otherwise ErrTooFar); on an error the place is unchanged. A snapshot that holds at record S is followed by Seek(S+1).
func (r *Reader) Seek(seq uint64) error {
	s, err := awaitSession(r.path, r.m)
	if err != nil {
		return err
	}
	tail := r.tail(s.First)
	switch {
	case int64(seq-s.First) < 0 || int64(tail-seq) > int64(r.mask+1):
		return fmt.Errorf("ringbuf: %s: record %d: %w: epoch %d began at %d, next is %d, the ring holds %d", r.path, seq, ErrTooOld, s.Epoch, s.First, tail, r.mask+1)
	case int64(seq-tail) > 0:
		return fmt.Errorf("ringbuf: %s: record %d: %w: next is %d", r.path, seq, ErrTooFar, tail)
	}
	r.epoch, r.unused, r.sameBoot = s.Epoch, s.Unused, s.BootID == bootID()
	r.next = seq
	return nil
}

// Poll copies up to max records, or as many as dst holds, PayloadBytes each, in order and whole; first is the number
// of dst's first. With n = 0 the status says why. Records that lie before an overrun are handed out first. What dst
// holds behind n records is undefined. Hot path: no allocation, no call into the kernel but once in 1,024 empty polls
// of a silent ring.
func (r *Reader) Poll(dst []byte, max int) (n int, first uint64, st Status) {
	return r.PollInto(unsafe.Pointer(unsafe.SliceData(dst)), min(max, len(dst)/int(r.slotSize-slotHeadBytes)))
}

// PollSlice is Poll into a slice of the kind's payload type. A type of another size panics.
func PollSlice[T any](r *Reader, dst []T) (n int, first uint64, st Status) {
	if unsafe.Sizeof(*new(T)) != r.slotSize-slotHeadBytes {
		panic("ringbuf: records of another size than the ring's payload")
	}
	return r.PollInto(unsafe.Pointer(unsafe.SliceData(dst)), len(dst))
}

// PollInto is Poll into memory with room for max payloads.
func (r *Reader) PollInto(dst unsafe.Pointer, max int) (n int, first uint64, st Status) {
	first = r.next
	for n < max {
		at := r.next & r.mask
		k := min(uint64(max-n), r.mask+1-at)
		got := pollRun(unsafe.Add(r.slots, uintptr(at)*r.slotSize), r.slotSize, r.next,
			unsafe.Add(dst, uintptr(n)*(r.slotSize-slotHeadBytes)), int(k))
		r.next += uint64(got)
		n += got
		if got < int(k) {
			break
		}
	}
	if n > 0 {
		r.idle = 0
		if p := r.progress; p != nil && r.next-p.next >= progressEvery {
			p.tell(r, true)
		}
		return n, first, OK
	}
	st = r.empty()
	r.told(r.idle%idleChecks == 0)
	return 0, r.next, st
}

// empty finds out why there was no record.
func (r *Reader) empty() Status {
	if found := r.number(r.next); int64(found-r.next) > 0 {
		if st := r.repair(found); st != None {
			r.idle = 0
			return st
		}
	}
	r.idle++
	if r.idle%idleChecks != 0 {
		return None
	}
	return r.check()
}

// repair is for a number beyond the awaited one: a lap, or a new epoch. None: a restart is under way, ask again.
func (r *Reader) repair(found uint64) Status {
	// The number was read before the epoch: with the epoch unchanged it was written in ours.
	if r.m.load64(offEpoch) != r.epoch {
		return r.newEpoch()
	}
	tail := r.m.load64(offCursor)
	if int64(found-tail) > 0 {
		tail = found
	}
	to := tail - (r.mask+1)/2
	if int64(to-r.next) <= 0 {
		to = r.next + 1
	}
	r.lost += to - r.next
	r.next = to
	return Overrun
}

// newEpoch goes to the first record of the session that runs now, over any number of epochs.
func (r *Reader) newEpoch() Status {
	s, ok := readSession(r.m)
	if !ok {
		return None
	}
	// Not below 0: a reader that joined in the middle of a run which was then cut short was ahead by that much.
	r.lost += uint64(max(0, int64(s.First-r.next-(s.Unused-r.unused))))
	r.next, r.epoch, r.unused = s.First, s.Epoch, s.Unused
	r.sameBoot = s.BootID == bootID()
	return EpochChanged
}

// check looks at the header, now and then while no record comes. What it reads there counts only if there is still no
// record afterwards: the last ones of a producer come before its news.
func (r *Reader) check() Status {
	epoch, state := r.m.load64(offEpoch), State(r.m.load32(offState))
	beat := r.m.load64(offHeartbeat)
	if int64(r.number(r.next)-r.next) >= 0 {
		return None
	}
	switch {
	case epoch != r.epoch:
		return r.newEpoch()
	case state == StateReplaced:
		return Replaced
	case state == StateStopped || state == StateFailed:
		return r.unlessUnlinked(Stopped)
	case !r.sameBoot || int64(MonotonicNow()-beat) > int64(r.stale):
		return r.unlessUnlinked(Silent)
	}
	return None
}

// unlessUnlinked is st, or Replaced when the file has lost its name.
func (r *Reader) unlessUnlinked(st Status) Status {
	if r.m.file == nil {
		return st
	}
	var stat syscall.Stat_t
	if err := syscall.Fstat(int(r.m.file.Fd()), &stat); err == nil && stat.Nlink == 0 {
		return Replaced
	}
	return st
}

// Wait sleeps until the producer rings (some 100 µs after a record at most, when its housekeeping runs), or for timeout,
// and says whether a record may be there. It does not sleep when one is there already. Not for the hot path: waking
// takes microseconds. The next Poll without a record looks at heartbeat and state.
func (r *Reader) Wait(timeout time.Duration) bool {
	r.idle = idleChecks - 1
	bell := r.m.half(offDoorbell)
	seen := atomic.LoadUint32(bell) // before the slot: a ring in between ends the sleep at once
	if int64(r.number(r.next)-r.next) >= 0 {
		return true
	}
	if timeout > 0 {
		futexSleep(bell, seen, timeout)
	}
	runtime.KeepAlive(r)
	return int64(r.number(r.next)-r.next) >= 0
}

// Next is the number of the record that comes next; all before it were handed out or lost.
func (r *Reader) Next() uint64 { return r.next }

// Lost counts records missed since Open, exactly, over overruns and restarts of the producer.
func (r *Reader) Lost() uint64 { return r.lost }

// Lag is how many records are known to lie ahead. Past three quarters of Slots an overrun is near.
func (r *Reader) Lag() uint64 {
	ahead := int64(r.m.load64(offCursor) + 1 - r.next)
	return uint64(max(0, ahead))
}

// Cursor is the newest record known to monitors and its receive time (ns since the Unix epoch); the two may belong to
// neighbouring passes.
func (r *Reader) Cursor() (number, tsRecv uint64) {
	return r.m.load64(offCursor), r.m.load64(offCursorTs)
}

// Epoch is the producer's start that the next record belongs to, as far as is known.
func (r *Reader) Epoch() uint64 { return r.epoch }

// State is what the producer says of itself at this moment.
func (r *Reader) State() State { return State(r.m.load32(offState)) }

// Stamps says who gave the latest records their ts_recv: see Writer.SetStamps.
func (r *Reader) Stamps() uint8 { return uint8(r.m.load32(offStamps)) }

// Heartbeat is the age of the producer's last heartbeat.
func (r *Reader) Heartbeat() time.Duration {
	return time.Duration(max(0, int64(MonotonicNow()-r.m.load64(offHeartbeat))))
}

// Alive says that the producer runs and has a heartbeat younger than ReaderOptions.StaleAfter.
func (r *Reader) Alive() bool {
	return r.State().Alive() && r.sameBoot && uint64(r.Heartbeat()) <= r.stale
}

// Session is the running epoch's, or ErrRestarting.
func (r *Reader) Session() (Session, error) { return awaitSession(r.path, r.m) }

// Counters are the producer's, as shown last.
func (r *Reader) Counters() (c Counters) {
	loadWords(unsafe.Pointer(&c), r.m.at(offCounters), int(unsafe.Sizeof(c)/8))
	return c
}

// Header is the ring's identity.
func (r *Reader) Header() Header { return r.header }

// Kind of the ring.
func (r *Reader) Kind() Kind { return r.header.Kind }

// Slots is the ring's capacity.
func (r *Reader) Slots() uint64 { return r.header.Slots }

// UUID of the file: (UUID, epoch, number) names a record for ever.
func (r *Reader) UUID() [16]byte { return r.header.UUID }

// Name is <feed>.<lane>.<kind>.
func (r *Reader) Name() string { return r.header.Name }

// Dataset is the DBN dataset.
func (r *Reader) Dataset() string { return r.header.Dataset }

// Path is where the ring was opened.
func (r *Reader) Path() string { return r.path }

// Close unmaps the ring; no other call may follow or run meanwhile.
func (r *Reader) Close() error { return errors.Join(r.progress.close(), r.m.close()) }
