package meter

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/internal/pin"
)

// NoCore leaves a thread where the scheduler puts it.
const NoCore = -1

// Allowed are the cores that this process may run on, in order: taskset and cpusets are in it.
func Allowed() (cores []int) {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		for c := range runtime.NumCPU() {
			cores = append(cores, c)
		}
		return cores
	}
	for c := range len(set) * 64 {
		if set.IsSet(c) {
			cores = append(cores, c)
		}
	}
	return cores
}

// allowed is as of the start of the process: a pinned thread's answer is one core.
var allowed = Allowed()

// Core is the nth core from the end that the process may use, the last one is 0; the first one where there are not so many. Core 0 of a machine
// serves interrupts, hence from the end.
func Core(n int) int {
	if len(allowed) == 0 {
		return NoCore
	}
	return allowed[max(0, len(allowed)-1-n)]
}

// Other is the nth core from the end, the last one is 0, of those beside one that is taken; where there are not so many the first of them, and
// where there is none the one that is taken.
func Other(taken, n int) int {
	var left []int
	for _, c := range allowed {
		if c != taken {
			left = append(left, c)
		}
	}
	if len(left) == 0 {
		return taken
	}
	return left[max(0, len(left)-1-n)]
}

// Cores is how many cores the process may use.
func Cores() int { return max(1, len(allowed)) }

// Pin locks the goroutine to its thread and the thread to a core, NoCore: to none. The goroutine must not be unlocked any more. sched is the
// thread's scheduling class, pin.Other (or empty) or pin.FIFO: that keeps other programs off the core, for just under a second at a time, after
// which the kernel lets them have it for 50 ms.
func Pin(core int, sched string) error {
	runtime.LockOSThread()
	if sched == pin.FIFO {
		if err := pin.Class(sched, 1); err != nil {
			return err
		}
	} else if sched != "" && sched != pin.Other {
		return fmt.Errorf("meter: scheduling class %q is unknown; known: %s, %s", sched, pin.Other, pin.FIFO)
	}
	if core == NoCore {
		return nil
	}
	if err := pin.Thread(core); err != nil {
		return fmt.Errorf("%w; -1 measures without", err)
	}
	return nil
}

// CPUTime is the time that the calling thread has run, ns: what others took from its core is not in it, but what they threw out of its
// caches is.
func CPUTime() uint64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts) // cannot fail
	return uint64(ts.Nano())
}

// ThreadID is the calling thread's, for a Watch of it.
func ThreadID() int { return unix.Gettid() }
