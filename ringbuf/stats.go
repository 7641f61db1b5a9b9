package ringbuf

import (
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"
)

// The counter file of a process, `.stats`: named 64-bit values that anyone may read while the process runs, and after it
// died.
//
//	0   u64        value
//	8   u8         kind: 1 counter (only grows), 2 gauge
//	16  char[112]  name, NUL padded: dotted, in lower case, such as lane.0.messages
//
// Names are written before the count of entries in use; a name never changes.
const (
	statsMagic      = "TWSTAT01"
	statsEntryBytes = 128
	statsNameBytes  = 112
)

// StatKind says how a value may move.
type StatKind uint8

const (
	StatCounter StatKind = 1 // only grows
	StatGauge   StatKind = 2 // goes up and down
)

// StatsWriter writes a process's counters. Add may be called from one goroutine, Set from any: the value is one word.
type StatsWriter struct {
	f    *sideFile
	used uint64
}

// CreateStats makes a counter file with room for capacity values (0: 8,192, which is 1 MiB).
func CreateStats(path string, capacity uint64, o SideOptions) (*StatsWriter, error) {
	if capacity == 0 {
		capacity = 8192
	}
	f, err := createSide(path, statsMagic, statsEntryBytes, capacity, 0, o)
	if err != nil {
		return nil, err
	}
	return &StatsWriter{f: f}, nil
}

// Add registers a value and returns its handle for Set.
func (w *StatsWriter) Add(name string, kind StatKind) (int, error) {
	if len(name) >= statsNameBytes {
		return 0, fmt.Errorf("ringbuf: counter name %q has %d characters, at most %d fit", name, len(name), statsNameBytes-1)
	}
	if w.used >= w.f.capacity() {
		return 0, fmt.Errorf("ringbuf: %s is full with %d counters", w.f.path, w.used)
	}
	p := w.at(int(w.used))
	*(*uint8)(unsafe.Add(p, 8)) = uint8(kind)
	copy(unsafe.Slice((*byte)(unsafe.Add(p, 16)), statsNameBytes), name)
	w.used++
	atomic.StoreUint64(w.f.m.word(sideCount), w.used)
	return int(w.used - 1), nil
}

func (w *StatsWriter) at(i int) unsafe.Pointer {
	return unsafe.Add(w.f.entries(), uintptr(i)*statsEntryBytes)
}

// Set publishes a value. No allocation, no call into the kernel.
func (w *StatsWriter) Set(handle int, value uint64) {
	atomic.StoreUint64((*uint64)(w.at(handle)), value)
}

// Beat is the process's sign of life.
func (w *StatsWriter) Beat() { w.f.beat() }

// Close says that the process stopped, and unmaps.
func (w *StatsWriter) Close() error { return w.f.stop() }

// Stat is one value with its name.
type Stat struct {
	Name  string
	Kind  StatKind
	Value uint64
}

// StatsReader reads a process's counters.
type StatsReader struct{ f *sideFile }

// OpenStats maps a counter file read-only.
func OpenStats(path string) (*StatsReader, error) {
	f, err := openSide(path, statsMagic, statsEntryBytes)
	if err != nil {
		return nil, err
	}
	return &StatsReader{f: f}, nil
}

// Append appends all values to dst.
func (r *StatsReader) Append(dst []Stat) []Stat {
	n := min(atomic.LoadUint64(r.f.m.word(sideCount)), r.f.capacity())
	for i := range n {
		p := unsafe.Add(r.f.entries(), uintptr(i)*statsEntryBytes)
		dst = append(dst, Stat{
			Name:  cstring(unsafe.Slice((*byte)(unsafe.Add(p, 16)), statsNameBytes)),
			Kind:  StatKind(*(*uint8)(unsafe.Add(p, 8))),
			Value: atomic.LoadUint64((*uint64)(p)),
		})
	}
	return dst
}

// Silence is how long ago the process showed signs of life.
func (r *StatsReader) Silence() time.Duration { return r.f.silence() }

// Stopped says that the process ended and said so.
func (r *StatsReader) Stopped() bool { return r.f.m.load32(sideState) == sideStopped }

// Pid is the process that wrote, or writes, the file.
func (r *StatsReader) Pid() int { return int(*r.f.m.half(sidePid)) }

// Replaced says that a new file has this name.
func (r *StatsReader) Replaced() bool { return r.f.replaced() }

// Close unmaps.
func (r *StatsReader) Close() error { return r.f.unmap() }
