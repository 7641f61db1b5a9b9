package ringbuf

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// Writer is the producer's side of a ring. Publish, PublishHint and StoreCounters belong to one goroutine, the lane's;
// Beat, SetState, Gate and Close may be called by another.
type Writer struct {
	// The lane's.
	next     uint64
	mask     uint64
	slots    unsafe.Pointer
	slotSize uintptr
	runMax   uint64
	hinted   uint64 // what PublishHint stored last
	epoch    uint64
	gate     atomic.Pointer[atomic.Uint64]
	m        *mapping

	_ [64]byte // housekeeping's from here on: never on the lane's line

	mu       sync.Mutex
	belled   uint64 // cursor at the last ring of the doorbell
	belledNs uint64
	path     string
	header   Header
	huge     bool
	lock     *os.File
	closed   bool
}

const (
	maxRunBytes = 4096    // a run's slots stay in the first-level cache between its three passes
	doorbellNs  = 100_000 // a wake costs microseconds: at most one in this time
	gatePause   = 20 * time.Microsecond
	gateSpins   = 1000
)

func newWriter(path string, m *mapping, h Header, first uint64, huge bool) *Writer {
	return &Writer{
		next: first, mask: h.Slots - 1, slots: m.at(uintptr(h.SlotsOffset)), slotSize: uintptr(h.SlotBytes),
		runMax: min(maxRunBytes/uint64(h.SlotBytes), h.Slots/2), hinted: first, epoch: m.load64(offEpoch), m: m,
		belled: first - 1, path: path, header: h, huge: huge,
	}
}

// Publish appends n records that lie side by side at recs, PayloadBytes each and aligned to 8, and returns the number
// of the first. They become visible in order, as whole records, in runs of at most 4 KiB of slots. n = 0 is allowed.
// One goroutine; no allocation, no call into the kernel unless a gate is shut (Gate).
func (w *Writer) Publish(recs unsafe.Pointer, n int) (first uint64) {
	first = w.next
	next, end, payload := first, first+uint64(n), w.slotSize-slotHeadBytes
	for next != end {
		at := next & w.mask
		k := min(end-next, w.runMax, w.mask+1-at)
		if w.gate.Load() != nil {
			w.awaitRoom(k)
		}
		from := unsafe.Add(recs, uintptr(next-first)*payload) // never past the last record
		publishRun(unsafe.Add(w.slots, uintptr(at)*w.slotSize), w.slotSize, next, from, int(k))
		next += k
		w.next = next
	}
	return first
}

// PublishSlice is Publish of a slice. T is the kind's payload type; another size panics.
func PublishSlice[T any](w *Writer, recs []T) (first uint64) {
	if unsafe.Sizeof(*new(T)) != w.slotSize-slotHeadBytes {
		panic("ringbuf: records of another size than the ring's payload")
	}
	return w.Publish(unsafe.Pointer(unsafe.SliceData(recs)), len(recs))
}

// Next is the number that the next record will get. The lane's goroutine only.
func (w *Writer) Next() uint64 { return w.next }

// PublishHint stores the cursor, a lower bound of what is published, for those who join and for monitors, with the
// receive time of the last record. Call it once a pass; without news it does nothing. Hot path.
func (w *Writer) PublishHint() {
	if w.hinted == w.next {
		return
	}
	w.hinted = w.next
	last := w.next - 1
	ts := tsRecvOf(unsafe.Add(w.slots, uintptr(last&w.mask)*w.slotSize+slotHeadBytes))
	storePair(w.m.at(offCursor), last, ts)
}

// StoreCounters shows c to monitors. Hot path, once a pass at most.
func (w *Writer) StoreCounters(c *Counters) {
	storeWords(w.m.at(offCounters), unsafe.Pointer(c), int(unsafe.Sizeof(*c)/8))
}

// Gate makes Publish wait until *progress, the number a reader takes next (Reader.Next once it has used what came
// before), leaves room: the ring then loses nothing. nil lifts the gate, also under a Publish that waits: whoever owns
// the reader does that when the reader ends. For private rings (Options.Private) only: on another it panics, since a
// reader must never hold a live feed up. Any goroutine.
func (w *Writer) Gate(progress *atomic.Uint64) {
	if !w.header.Gated && progress != nil {
		panic("ringbuf: gate on a ring that is not private")
	}
	w.gate.Store(progress)
}

// awaitRoom returns when k more records overwrite nothing unread. Readers learn by cursor and doorbell that there is
// work, since the lane that waits here cannot end its pass.
func (w *Writer) awaitRoom(k uint64) {
	for spin := 0; ; spin++ {
		progress := w.gate.Load()
		if progress == nil || int64(progress.Load()+w.mask+1-(w.next+k)) >= 0 {
			return
		}
		if spin < gateSpins {
			runtime.Gosched()
			continue
		}
		w.PublishHint()
		w.Beat(MonotonicNow())
		time.Sleep(gatePause)
	}
}

// Beat stores the heartbeat and rings the doorbell when the cursor has moved since, at most every 100 µs. nowNs is
// MonotonicNow. Called every millisecond or more often by a housekeeping goroutine, not by the lane: waking sleepers
// is a call into the kernel.
func (w *Writer) Beat(nowNs uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.m.store64(offHeartbeat, nowNs)
	cursor := w.m.load64(offCursor)
	if cursor == w.belled || nowNs-w.belledNs < doorbellNs {
		return
	}
	w.belled, w.belledNs = cursor, nowNs
	ringDoorbell(w.m)
}

func ringDoorbell(m *mapping) {
	atomic.AddUint32(m.half(offDoorbell), 1)
	futexWakeAll(m.half(offDoorbell))
}

// SetState tells readers how the producer fares, and wakes those who sleep.
func (w *Writer) SetState(s State) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.m.store32(offState, uint32(s))
	ringDoorbell(w.m)
}

// SetStamps tells readers who gave the latest records their ts_recv: 0 not known, 1 the lane's clock, 2 whoever recorded them, 3 the
// kernel, 4 the NIC (the values of nic.StampSource). Any goroutine; no call into the kernel.
func (w *Writer) SetStamps(source uint8) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.m.store32(offStamps, uint32(source))
	}
}

// Close ends the epoch as stopped cleanly (a state of StateFailed is left), and gives the ring up; the file stays for
// readers and for the next producer. The lane must have published its last record.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	w.closed = true
	w.PublishHint()
	if State(w.m.load32(offState)) != StateFailed {
		w.m.store32(offState, uint32(StateStopped))
	}
	ringDoorbell(w.m)
	return errors.Join(w.m.close(), w.lock.Close())
}

// Path is where the ring lies.
func (w *Writer) Path() string { return w.path }

// Header is the ring's identity.
func (w *Writer) Header() Header { return w.header }

// UUID of the file: new when Create made one.
func (w *Writer) UUID() [16]byte { return w.header.UUID }

// Epoch counts producers on this file, this one included.
func (w *Writer) Epoch() uint64 { return w.epoch }

// HugePages says whether the kernel put the ring on huge pages when this Writer made it.
func (w *Writer) HugePages() bool { return w.huge }
