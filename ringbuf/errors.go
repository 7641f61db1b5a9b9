package ringbuf

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Why a file is refused as a ring: one value a condition, wrapped with the path, what was found and what was wanted.
var (
	ErrShort      = errors.New("file shorter than a ring's header")
	ErrMagic      = errors.New("not a tickwire ring")
	ErrByteOrder  = errors.New("written by a host of the other byte order")
	ErrVersion    = errors.New("another major version of the ring ABI")
	ErrHeaderSize = errors.New("header size out of range")
	ErrSlotSize   = errors.New("slot size is not that of the ring's kind")
	ErrCapacity   = errors.New("capacity is not a power of two in range")
	ErrOffset     = errors.New("slots begin at an impossible offset")
	ErrFileSize   = errors.New("file size does not match the header")
	ErrDBNVersion = errors.New("records of another DBN version")
	// ErrRestarting: the session's fields were in change for a tenth of a second. A producer is just starting, or died
	// while it did: then it must be started again.
	ErrRestarting = errors.New("producer is restarting, or died while it was")
)

// ErrOtherFile says that a file beside the rings is not of the kind that was asked for.
var ErrOtherFile = errors.New("another kind of file")

// Why Seek refuses.
var (
	ErrTooOld  = errors.New("record is no longer in the ring")
	ErrTooFar  = errors.New("record is not yet in the ring")
	ErrNoSpace = errors.New("no room in shared memory")
	ErrBusy    = errors.New("ring has a producer already")
)

// NoSpaceError says that the file system of a ring cannot hold it. errors.Is(err, ErrNoSpace) and
// errors.Is(err, unix.ENOSPC) hold.
type NoSpaceError struct {
	Path string
	Need uint64 // bytes
	Free uint64 // bytes
}

func (e *NoSpaceError) Error() string {
	return fmt.Sprintf("ringbuf: %s: %s: %d bytes needed, %d free on its file system; nothing was created: "+
		"make the mount larger (mount -o remount,size=…; containers commonly get 64 MiB of /dev/shm), take fewer slots, or choose another ring_dir",
		e.Path, ErrNoSpace, e.Need, e.Free)
}

// Is makes errors.Is find ErrNoSpace and unix.ENOSPC.
func (e *NoSpaceError) Is(target error) bool { return target == ErrNoSpace || target == unix.ENOSPC }

// BusyError says that another producer owns a ring. errors.Is(err, ErrBusy) holds.
type BusyError struct {
	Path string
	PID  int // of the owner, 0 when it has not said yet
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("ringbuf: %s: %s: process %d; not touched: stop that process, or give this feed or lane another name",
		e.Path, ErrBusy, e.PID)
}

// Is makes errors.Is find ErrBusy.
func (e *BusyError) Is(target error) bool { return target == ErrBusy }
