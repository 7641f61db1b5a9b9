package jitter

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What interrupted a thread can be known for each gap: the kernel counts its tracepoints on a core, and a thread reads these counts after each
// gap. It costs the gap some 100 ns a tracepoint, and the thread 1 to 2 µs a gap, in which it sees nothing: hence only where it is asked for.

// traced are the tracepoints, in the order in which one that was passed explains a gap: a switch takes longer than the interrupt that brought it
// about.
var traced = [...]struct {
	name  string // as in tracefs
	cause Cause
}{
	{"sched/sched_switch", CauseSwitch},
	{"exceptions/page_fault_user", CauseFault},
	{"irq/irq_handler_entry", CauseIRQ},
	{"irq_vectors/local_timer_entry", CauseTick},
	{"irq/softirq_entry", CauseSoftirq},
	{"irq_vectors/call_function_single_entry", CauseCall},
	{"irq_vectors/call_function_entry", CauseCall},
	{"irq_vectors/reschedule_entry", CauseCall},
	{"irq_vectors/irq_work_entry", CauseCall},
}

// ErrTrace: tracepoints cannot be counted here.
var ErrTrace = errors.New("jitter: tracepoints cannot be counted")

// trace is a group of counters of one core.
type trace struct {
	fds []int
	of  [len(traced)]int8 // place of each tracepoint among the values; -1: this kernel has none such
}

// openTrace begins to count on a core. Tracepoints that the kernel does not have are left out, but for all of them.
func openTrace(cpu int) (*trace, error) {
	t := &trace{}
	for i, e := range traced {
		t.of[i] = -1
		id, err := tracepointID(e.name)
		if errors.Is(err, os.ErrNotExist) {
			continue
		} else if err != nil {
			t.close()
			return nil, fmt.Errorf("%w: %w", ErrTrace, err)
		}
		attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_TRACEPOINT, Config: id, Read_format: unix.PERF_FORMAT_GROUP}
		attr.Size = uint32(unsafe.Sizeof(attr))
		leader := -1
		if len(t.fds) > 0 {
			leader = t.fds[0]
		}
		fd, err := unix.PerfEventOpen(&attr, -1, cpu, leader, unix.PERF_FLAG_FD_CLOEXEC)
		if err != nil {
			t.close()
			return nil, fmt.Errorf("%w: core %d: perf_event_open of %s: %w (CAP_PERFMON, kernel.perf_event_paranoid)", ErrTrace, cpu, e.name, err)
		}
		t.of[i] = int8(len(t.fds))
		t.fds = append(t.fds, fd)
	}
	if len(t.fds) == 0 {
		return nil, fmt.Errorf("%w: no tracepoints in /sys/kernel/tracing (is tracefs mounted?)", ErrTrace)
	}
	return t, nil
}

func (t *trace) close() {
	if t == nil {
		return
	}
	for _, fd := range t.fds {
		_ = unix.Close(fd)
	}
}

func tracepointID(name string) (uint64, error) {
	text, err := os.ReadFile("/sys/kernel/tracing/events/" + name + "/id")
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
}

// traceCounts are how often each of traced was passed.
type traceCounts [len(traced)]uint64

// readTrace reads how often each was passed since the group was opened. Raw: it is called while the runtime may not be let in. ok is false when the kernel did
// not answer.
func (p *probe) readTrace(into *traceCounts) (ok bool) {
	buf := &p.traceBuf // how many there are, then each
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(p.traceFD), uintptr(unsafe.Pointer(buf)), unsafe.Sizeof(*buf))
	if errno != 0 || n < 8 {
		if p.failed = errno; errno == 0 {
			p.failed = unix.EIO
		}
		return false
	}
	for i, at := range p.traceOf {
		if at >= 0 && uint64(at) < buf[0] {
			into[i] = buf[1+at]
		}
	}
	return true
}

// traceGap is what a gap was, by what was passed since the gap before.
func (p *probe) traceGap() (seen uint16) {
	was := p.traceSeen
	if !p.readTrace(&p.traceSeen) {
		return 0
	}
	for i := range was {
		if p.traceSeen[i] != was[i] {
			seen |= 1 << i
		}
	}
	return seen
}

// causeIndex is the place of what explains a gap in traced; len(traced): nothing of the kernel's was seen.
func causeIndex(seen uint16) int {
	for i := range traced {
		if seen>>i&1 != 0 {
			return i
		}
	}
	return len(traced)
}

// seenOf are the causes that were seen, each once.
func seenOf(seen uint16) (causes []Cause) {
	for i, e := range traced {
		if seen>>i&1 != 0 && !slices.Contains(causes, e.cause) {
			causes = append(causes, e.cause)
		}
	}
	return causes
}

// sum is how many gaps had one cause, and how long they were, ticks.
type sum struct{ n, total, most uint64 }
