package ringbuf

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Futex operations on a word that several processes share (so without the private flag). Waiting works on a read-only
// mapping.
const (
	futexWait = 0
	futexWake = 1
)

// futexSleep returns when the word is woken, when it is not (or no longer) seen, after the time-out, or without a reason.
func futexSleep(word *uint32, seen uint32, timeout time.Duration) {
	ts := unix.NsecToTimespec(int64(timeout))
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWait, uintptr(seen),
		uintptr(unsafe.Pointer(&ts)), 0, 0)
}

// futexWakeAll wakes whoever sleeps on the word.
func futexWakeAll(word *uint32) {
	const all = 1<<31 - 1
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWake, all, 0, 0, 0)
}
