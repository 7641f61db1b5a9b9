package meter

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Tracepoint counts how often one thread, or anybody, passes a tracepoint of the kernel.
type Tracepoint struct {
	fds  []int // one; for Everywhere one a processor
	name string
}

// Everywhere counts whatever passes a tracepoint on the machine, the kernel's own threads and interrupts included.
const Everywhere = -1

// Count counts from now on those of thread tid (0: the calling one, or Everywhere) that pass a filter, if there is one. name is as in tracefs, such as
// "raw_syscalls/sys_enter". It fails where the kernel or the process's rights do not allow it, and says why.
func Count(name string, tid int, filter string) (_ *Tracepoint, err error) {
	id, err := tracepointID(name)
	if err != nil {
		return nil, err
	}
	t := &Tracepoint{name: name}
	defer func() {
		if err != nil {
			t.Close()
		}
	}()
	if tid != Everywhere {
		if err := t.open(id, tid, -1, filter); err != nil {
			return nil, err
		}
		return t, nil
	}
	for cpu := range 1024 {
		err := t.open(id, -1, cpu, filter)
		if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EINVAL) && cpu > 0 {
			continue // offline, or there is none
		}
		if err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *Tracepoint) open(id uint64, tid, cpu int, filter string) error {
	attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_TRACEPOINT, Config: id}
	attr.Size = uint32(unsafe.Sizeof(attr))
	fd, err := unix.PerfEventOpen(&attr, tid, cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("perf_event_open of %s: %w (CAP_PERFMON)", t.name, err)
	}
	t.fds = append(t.fds, fd)
	if filter == "" {
		return nil
	}
	text, err := unix.BytePtrFromString(filter)
	if err != nil {
		return err
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.PERF_EVENT_IOC_SET_FILTER, uintptr(unsafe.Pointer(text))); errno != 0 {
		return fmt.Errorf("filter %q of tracepoint %s: %w", filter, t.name, errno)
	}
	return nil
}

// tracepointID is the event's number, from tracefs: mounted where it belongs, else from an instance of our own that is mounted nowhere.
func tracepointID(name string) (uint64, error) {
	path := "events/" + name + "/id"
	dir, err := unix.Open("/sys/kernel/tracing", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == nil {
		id, err := readID(dir, path)
		_ = unix.Close(dir)
		if err == nil {
			return id, nil
		}
	}
	fs, err := unix.Fsopen("tracefs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return 0, fmt.Errorf("tracefs is not mounted at /sys/kernel/tracing, and cannot be opened: %w (CAP_SYS_ADMIN)", err)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return 0, fmt.Errorf("tracefs: %w", err)
	}
	dir, err = unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("tracefs: %w", err)
	}
	defer unix.Close(dir)
	id, err := readID(dir, path)
	if err != nil {
		return 0, fmt.Errorf("tracefs: %s: %w (a kernel without that event)", path, err)
	}
	return id, nil
}

func readID(dir int, path string) (uint64, error) {
	fd, err := unix.Openat(dir, path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
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

// Value is how often since Count. Any thread.
func (t *Tracepoint) Value() (sum uint64, err error) {
	for _, fd := range t.fds {
		var b [8]byte
		if n, err := unix.Read(fd, b[:]); err != nil || n != len(b) {
			return 0, fmt.Errorf("meter: reading the counter of %s: %d bytes, %w", t.name, n, err)
		}
		sum += binary.NativeEndian.Uint64(b[:])
	}
	return sum, nil
}

// Close ends counting.
func (t *Tracepoint) Close() {
	for _, fd := range t.fds {
		_ = unix.Close(fd)
	}
	t.fds = nil
}
