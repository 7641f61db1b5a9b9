package rxbench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// calls counts the system calls of one thread, by the tracepoint that each of them passes.
type calls struct{ fd int }

const tracepoint = "events/raw_syscalls/sys_enter/id"

// runtimes is a filter for calls that are not the Go runtime's. It has goroutines take turns some hundred times a second, whatever they
// do: by a signal and its return, and by waking, waiting for and yielding to threads. To receive none of these is of use.
var runtimes = func() string {
	var b strings.Builder
	for i, id := range []int{
		unix.SYS_RT_SIGRETURN, unix.SYS_RT_SIGPROCMASK, unix.SYS_FUTEX, unix.SYS_TGKILL, unix.SYS_GETPID, unix.SYS_SCHED_YIELD, unix.SYS_NANOSLEEP, unix.SYS_MADVISE,
	} {
		if i > 0 {
			b.WriteString(" && ")
		}
		fmt.Fprintf(&b, "id != %d", id)
	}
	return b.String()
}()

// countCalls counts from now on those of thread tid that pass a filter, if there is one.
func countCalls(tid int, filter string) (*calls, error) {
	id, err := tracepointID()
	if err != nil {
		return nil, err
	}
	attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_TRACEPOINT, Config: id}
	attr.Size = uint32(unsafe.Sizeof(attr))
	fd, err := unix.PerfEventOpen(&attr, tid, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return nil, missing("perf_event_open of raw_syscalls:sys_enter: %v (CAP_PERFMON)", err)
	}
	if filter != "" {
		text, err := unix.BytePtrFromString(filter)
		if err != nil {
			return nil, errors.Join(err, unix.Close(fd))
		}
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.PERF_EVENT_IOC_SET_FILTER, uintptr(unsafe.Pointer(text))); errno != 0 {
			_ = unix.Close(fd)
			return nil, missing("filter %q of the tracepoint: %v", filter, errno)
		}
	}
	return &calls{fd}, nil
}

// tracepointID is the event's number, from tracefs: mounted where it belongs, else from an instance of our own that is mounted nowhere.
func tracepointID() (uint64, error) {
	dir, err := unix.Open("/sys/kernel/tracing", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == nil {
		id, err := readID(dir)
		_ = unix.Close(dir)
		if err == nil {
			return id, nil
		}
	}
	fs, err := unix.Fsopen("tracefs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return 0, missing("tracefs is not mounted at /sys/kernel/tracing, and cannot be opened: %v (CAP_SYS_ADMIN)", err)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return 0, missing("tracefs: %v", err)
	}
	dir, err = unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return 0, missing("tracefs: %v", err)
	}
	defer unix.Close(dir)
	id, err := readID(dir)
	if err != nil {
		return 0, missing("tracefs: %s: %v (a kernel without FTRACE_SYSCALLS)", tracepoint, err)
	}
	return id, nil
}

func readID(dir int) (uint64, error) {
	fd, err := unix.Openat(dir, tracepoint, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	b := make([]byte, 32)
	n, err := unix.Read(fd, b)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(b[:n])), 10, 64)
}

// count is how many there were.
func (c *calls) count() (uint64, error) {
	var b [8]byte
	if n, err := unix.Read(c.fd, b[:]); err != nil || n != len(b) {
		return 0, fmt.Errorf("rxbench: reading the tracepoint's counter: %d bytes, %w", n, err)
	}
	return binary.NativeEndian.Uint64(b[:]), nil
}

func (c *calls) close() { _ = unix.Close(c.fd) }
