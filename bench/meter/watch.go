package meter

import (
	"bytes"
	"fmt"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Counts are what happened between Begin and End: to the process what its name says, to one thread the rest. Pointers are null where it
// could not be counted, and Why says what is missing.
type Counts struct {
	Allocs      uint64  `json:"allocs"`               // objects, of the whole process
	AllocBytes  uint64  `json:"alloc_bytes"`          //
	GC          uint64  `json:"gc"`                   // cycles of the collector
	GCPauseNs   uint64  `json:"gc_pause_ns"`          // that the world was stopped for
	Voluntary   uint64  `json:"voluntary_switches"`   // times the thread gave its core away: it slept, or the Go scheduler parked it
	Involuntary uint64  `json:"involuntary_switches"` // times the kernel gave its core to somebody else
	Faults      uint64  `json:"page_faults"`          // memory touched for the first time
	Signals     *uint64 `json:"preemption_signals"`   // SIGURG, by which the Go runtime asks a goroutine to yield
	Wakeups     *uint64 `json:"wakeups"`              // of other threads by this one: the Go scheduler looking for company
	StealNs     uint64  `json:"steal_ns"`             // time that the hypervisor gave the machine's cores to others
	Why         string  `json:"why,omitempty"`
}

// Watch counts for one thread. The zero value is of no use; see NewWatch.
type Watch struct {
	status   int // files of /proc: the thread's switches,
	stat     int // its page faults,
	machine  int // and what a hypervisor took
	buf      [4096]byte
	signals  *Tracepoint
	wakeups  *Tracepoint
	why      string
	before   Counts
	mem      runtime.MemStats
	sig, wak uint64
}

// preemption is SIGURG: what the runtime preempts by (sigPreempt in runtime/signal_unix.go).
const preemption = "sig == 23"

// NewWatch watches thread tid of this process, 0: the calling one. It never fails: what cannot be counted is left out.
func NewWatch(tid int) *Watch {
	if tid == 0 {
		tid = ThreadID()
	}
	open := func(path string) int {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return -1 // then it reads as nothing
		}
		return fd
	}
	dir := fmt.Sprintf("/proc/self/task/%d/", tid)
	w := &Watch{status: open(dir + "status"), stat: open(dir + "stat"), machine: open("/proc/stat")}
	var err error
	if w.signals, err = Count("signal/signal_deliver", tid, preemption); err == nil {
		w.wakeups, err = Count("sched/sched_waking", tid, "")
	}
	if err != nil {
		w.why = err.Error()
	}
	return w
}

// Begin is now. It stops the world for a moment, which is not counted.
func (w *Watch) Begin() {
	runtime.ReadMemStats(&w.mem)
	w.before = w.thread()
	w.sig, w.wak = value(w.signals), value(w.wakeups)
}

// End is what happened since Begin.
func (w *Watch) End() Counts {
	signals, wakeups := value(w.signals)-w.sig, value(w.wakeups)-w.wak
	c, b := w.thread(), &w.before
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	out := Counts{
		Allocs: mem.Mallocs - w.mem.Mallocs, AllocBytes: mem.TotalAlloc - w.mem.TotalAlloc, GC: uint64(mem.NumGC - w.mem.NumGC),
		GCPauseNs: mem.PauseTotalNs - w.mem.PauseTotalNs, Voluntary: c.Voluntary - b.Voluntary, Involuntary: c.Involuntary - b.Involuntary,
		Faults: c.Faults - b.Faults, StealNs: c.StealNs - b.StealNs, Why: w.why,
	}
	if w.signals != nil {
		out.Signals = new(signals)
	}
	if w.wakeups != nil {
		out.Wakeups = new(wakeups)
	}
	return out
}

// Close ends it.
func (w *Watch) Close() {
	for _, fd := range []int{w.status, w.stat, w.machine} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
	for _, t := range []*Tracepoint{w.signals, w.wakeups} {
		if t != nil {
			t.Close()
		}
	}
}

func value(t *Tracepoint) uint64 {
	if t == nil {
		return 0
	}
	n, _ := t.Value() // a counter that was opened can be read
	return n
}

// thread reads what /proc says of the thread, and of the machine. It allocates nothing, so that it may be counted.
func (w *Watch) thread() (c Counts) {
	for text := w.read(w.status); len(text) > 0; {
		var line []byte
		line, text, _ = bytes.Cut(text, []byte("\n"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch string(name) {
		case "voluntary_ctxt_switches":
			c.Voluntary = number(value)
		case "nonvoluntary_ctxt_switches":
			c.Involuntary = number(value)
		}
	}
	text := w.read(w.stat)
	if at := bytes.LastIndexByte(text, ')'); at >= 0 { // the name before may have anything in it
		c.Faults = number(field(text[at+1:], 7)) // minflt, field 10 of proc_pid_stat(5)
	}
	line, _, _ := bytes.Cut(w.read(w.machine), []byte("\n"))
	c.StealNs = number(field(line, 8)) * uint64(10*time.Millisecond) // of all cores since boot; USER_HZ is 100 wherever Go runs
	return c
}

// read is a file of /proc from its beginning, as much as is of use.
func (w *Watch) read(fd int) []byte {
	n, err := unix.Pread(fd, w.buf[:], 0)
	if err != nil {
		return nil
	}
	return w.buf[:n]
}

// field is the nth word of a line, from 0.
func field(line []byte, n int) []byte {
	for i := 0; ; i++ {
		line = bytes.TrimLeft(line, " ")
		end := bytes.IndexByte(line, ' ')
		if end < 0 {
			end = len(line)
		}
		if i == n || end == 0 {
			return line[:end]
		}
		line = line[end:]
	}
}

// number reads the decimal digits behind white space.
func number(b []byte) (n uint64) {
	for _, d := range bytes.TrimSpace(b) {
		if d < '0' || d > '9' {
			break
		}
		n = n*10 + uint64(d-'0')
	}
	return n
}

// String is a line for people.
func (c Counts) String() string {
	told := func(n *uint64) string {
		if n == nil {
			return "not counted"
		}
		return strconv.FormatUint(*n, 10)
	}
	s := fmt.Sprintf("%d allocations, %d collections, preemption signals: %s, wake-ups: %s, switches: %d given, %d taken, %d page faults, stolen %d ms",
		c.Allocs, c.GC, told(c.Signals), told(c.Wakeups), c.Voluntary, c.Involuntary, c.Faults, c.StealNs/1e6)
	if c.Why != "" {
		s += " (" + c.Why + ")"
	}
	return s
}
