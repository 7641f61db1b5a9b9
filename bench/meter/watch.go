package meter

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
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
	tid      int
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
	w := &Watch{tid: tid}
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

// thread reads what /proc says of the thread, and of the machine.
func (w *Watch) thread() (c Counts) {
	dir := fmt.Sprintf("/proc/self/task/%d/", w.tid)
	status, _ := os.ReadFile(dir + "status")
	for line := range strings.SplitSeq(string(status), "\n") {
		name, text, _ := strings.Cut(line, ":")
		n, _ := strconv.ParseUint(strings.TrimSpace(text), 10, 64)
		switch name {
		case "voluntary_ctxt_switches":
			c.Voluntary = n
		case "nonvoluntary_ctxt_switches":
			c.Involuntary = n
		}
	}
	stat, _ := os.ReadFile(dir + "stat")
	if at := strings.LastIndexByte(string(stat), ')'); at >= 0 { // the name before may have anything in it
		if f := strings.Fields(string(stat[at+1:])); len(f) > 7 {
			c.Faults, _ = strconv.ParseUint(f[7], 10, 64) // minflt, field 10 of proc_pid_stat(5)
		}
	}
	c.StealNs = steal()
	return c
}

// steal is the time that a hypervisor took from all cores since boot, to 10 ms.
func steal() uint64 {
	text, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(text), "\n")
	f := strings.Fields(line)
	if len(f) < 9 || f[0] != "cpu" {
		return 0
	}
	n, _ := strconv.ParseUint(f[8], 10, 64)
	return n * uint64(10*time.Millisecond) // USER_HZ is 100 wherever Go runs
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
