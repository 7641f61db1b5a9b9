package ringbuf

import (
	"sync/atomic"
	"time"
	"unsafe"
)

// The last-value file, `.last`: the latest mbp1 record of each instrument, a seqlock slot each, at the index that the
// instrument has in `.inst`.
//
//	0  u64       version: 0 none yet, odd being written, even stable
//	8  u8[120]   payload of an mbp1 slot (Mbp1Slot)
const (
	lastMagic      = "TWLAST01"
	lastEntryBytes = 128
	lastWords      = lastEntryBytes/8 - 1

	lastDense = 1 << 16 // instrument ids below have their index cached
)

// LastWriter writes last values beside a directory. It belongs to the goroutine that owns the directory's writer, and
// may be called on the hot path: no allocation, no call into the kernel.
type LastWriter struct {
	f         *sideFile
	inst      *InstWriter
	publisher uint16
	index     [lastDense]int32 // −1: not known yet
	Refused   uint64           // values of instruments that the full directory had no place for
}

// CreateLast makes the file for all places of the directory.
func CreateLast(path string, inst *InstWriter, publisher uint16, o SideOptions) (*LastWriter, error) {
	f, err := createSide(path, lastMagic, lastEntryBytes, inst.mask+1, 0, o)
	if err != nil {
		return nil, err
	}
	w := &LastWriter{f: f, inst: inst, publisher: publisher}
	w.forget()
	return w, nil
}

func (w *LastWriter) forget() {
	for i := range w.index {
		w.index[i] = -1
	}
}

// Put makes rec the latest value of the instrument.
func (w *LastWriter) Put(instrument uint32, rec *Mbp1Slot) {
	index := int32(-1)
	if instrument < lastDense {
		index = w.index[instrument]
	}
	if index < 0 {
		at, err := w.inst.Index(w.publisher, instrument)
		if err != nil {
			w.Refused++
			return
		}
		index = int32(at)
		if instrument < lastDense {
			w.index[instrument] = index
		}
	}
	p := unsafe.Add(w.f.entries(), uintptr(index)*lastEntryBytes)
	version := (*uint64)(p)
	after := seqlockBegin(version)
	storePayload(unsafe.Add(p, 8), unsafe.Pointer(rec), lastWords)
	seqlockEnd(version, after)
}

// Reset forgets all values, after the directory was reset.
func (w *LastWriter) Reset() {
	atomic.AddUint64(w.f.m.word(sideGeneration), 1) // and again below: whoever reads across a reset starts over
	for i := range w.inst.mask + 1 {
		p := unsafe.Add(w.f.entries(), uintptr(i)*lastEntryBytes)
		if *(*uint64)(p) != 0 {
			seqlockBegin((*uint64)(p))
			clearWords(unsafe.Add(p, 8), lastWords)
			atomic.StoreUint64((*uint64)(p), 0)
		}
	}
	w.forget()
	atomic.AddUint64(w.f.m.word(sideGeneration), 1)
}

// Beat is the writer's sign of life, for a housekeeping goroutine.
func (w *LastWriter) Beat() { w.f.beat() }

// Close says that the writer stopped, and unmaps.
func (w *LastWriter) Close() error { return w.f.stop() }

// LastReader reads last values. Safe for several goroutines.
type LastReader struct {
	f    *sideFile
	inst *InstReader
}

// OpenLast maps a last-value file and the directory beside it, read-only.
func OpenLast(path string, inst *InstReader) (*LastReader, error) {
	f, err := openSide(path, lastMagic, lastEntryBytes)
	if err != nil {
		return nil, err
	}
	return &LastReader{f: f, inst: inst}, nil
}

// Last copies the latest value of an instrument; false when it has none.
func (r *LastReader) Last(publisher uint16, instrument uint32) (Mbp1Slot, bool) {
	index, ok := r.inst.index(publisher, instrument)
	if !ok || index >= r.f.capacity() {
		return Mbp1Slot{}, false
	}
	rec, ok := r.At(index)
	// A new session between the two look-ups may have given the place to another instrument.
	return rec, ok && rec.InstrumentID == instrument && rec.PublisherID == publisher
}

// At copies the value at an index of the directory.
func (r *LastReader) At(index uint64) (Mbp1Slot, bool) {
	var rec Mbp1Slot
	if index >= r.f.capacity() {
		return rec, false
	}
	ok := loadSeqlock(unsafe.Add(r.f.entries(), uintptr(index)*lastEntryBytes), unsafe.Pointer(&rec), lastWords, r.f.m.word(sideGeneration))
	return rec, ok
}

// Generation counts how often the values began anew; it moves before and after.
func (r *LastReader) Generation() uint64 { return atomic.LoadUint64(r.f.m.word(sideGeneration)) }

// Silence is how long ago the writer showed signs of life.
func (r *LastReader) Silence() time.Duration { return r.f.silence() }

// Replaced says that a new file has this name.
func (r *LastReader) Replaced() bool { return r.f.replaced() }

// Close unmaps. The directory is the caller's.
func (r *LastReader) Close() error { return r.f.unmap() }
