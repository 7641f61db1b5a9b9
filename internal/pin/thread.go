package pin

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Thread puts the calling thread on a core, and nowhere else. The goroutine must have locked it (runtime.LockOSThread)
// before and must never unlock it: the thread then ends with its goroutine, and its mask is nobody else's.
func Thread(core int) error {
	if core < 0 || core >= len(unix.CPUSet{})*64 {
		return fmt.Errorf("pin: core %d, want 0 to %d", core, len(unix.CPUSet{})*64-1)
	}
	var set unix.CPUSet
	set.Set(core)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		if errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("pin: core %d: %w: it is not there or offline, or the process's cpuset does not have it (Cpus_allowed_list in /proc/self/status; AllowedCPUs= of its unit)", core, err)
		}
		return fmt.Errorf("pin: core %d: %w", core, err)
	}
	return nil
}

// Scheduling classes by their names in the configuration.
const (
	Other = "other"
	FIFO  = "fifo"
)

const (
	schedOther = 0 // sched(7)
	schedFIFO  = 1
)

// Class puts the calling thread into a scheduling class: Other (or ""), or FIFO with a priority from 1 to 99. On a core that
// nobody else uses Other is enough. A FIFO thread that spins starves the kernel's own threads of that core, and the kernel
// takes 50 ms of every second from it (kern.rt_throttle).
func Class(class string, priority int) error {
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: schedOther}
	switch class {
	case Other, "":
	case FIFO:
		if priority < 1 || priority > 99 {
			return fmt.Errorf("pin: priority %d, want 1 to 99", priority)
		}
		attr.Policy, attr.Priority = schedFIFO, uint32(priority)
	default:
		return fmt.Errorf("pin: scheduling class %q is unknown; known: other, fifo", class)
	}
	if err := unix.SchedSetAttr(0, &attr, 0); err != nil {
		if errors.Is(err, unix.EPERM) {
			return fmt.Errorf("pin: scheduling class %s, priority %d: %w: it takes CAP_SYS_NICE, or a limit that allows it (LimitRTPRIO= of the unit, `ulimit -r`)", class, priority, err)
		}
		return fmt.Errorf("pin: scheduling class %s, priority %d: %w", class, priority, err)
	}
	return nil
}
