package ringbuf

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
	"unsafe"
)

// Side files stand beside the rings of a feed and share one header page:
//
//	0     u64       magic: TWINST01, TWLAST01, TWSNAP01 or TWSTAT01
//	8     u16, u16  ABI major, minor
//	12    u32       header bytes: 4,096
//	16    u32       byte order word 0x01020304
//	20    u32       entry bytes
//	24    u64       capacity in entries
//	32    u64       offset of the entries
//	40    u64       file bytes
//	48    u32       pid of the writer
//	56    u64       creation, ns since the Unix epoch
//	64    u8[16]    UUID, new at each creation
//	80    char[48]  name, NUL padded
//	256   u64       generation: counts up when the contents begin anew
//	264   u32       state: 1 running, 3 stopped, 5 replaced (reopen the name)
//	384   u64       entries in use
//	512   u64       heartbeat, CLOCK_MONOTONIC ns
//
// Like rings they are written by one process, under a temporary name until they are complete, and read through a
// read-only mapping.
const (
	sideHeaderBytes = 4096

	sideMagic      = 0
	sideABI        = 8
	sideHeaderLen  = 12
	sideByteOrder  = 16
	sideEntryBytes = 20
	sideCapacity   = 24
	sideOffset     = 32
	sideFileBytes  = 40
	sidePid        = 48
	sideCreated    = 56
	sideUUID       = 64
	sideName       = 80
	sideGeneration = 256
	sideState      = 264
	sideCount      = 384
	sideHeartbeat  = 512

	sideABIMajor      = 1
	sideByteOrderWord = 0x01020304
	sideRunning       = 1
	sideStopped       = 3
	sideReplaced      = 5
)

// SideOptions of a side file. The zero value works.
type SideOptions struct {
	// Mode of the file. The default is 0640: owner writes, group reads.
	Mode os.FileMode
	// Group that may read the file, by name or number. The default is the process's own.
	Group string
}

// sideFile is one mapping, a writer's or a reader's.
type sideFile struct {
	path string
	m    *mapping
	lock *os.File // the writer's: no second process writes this name
}

func createSide(path, magic string, entryBytes int, capacity uint64, extra int, o SideOptions) (*sideFile, error) {
	mode, err := newFileMode(o.Mode, o.Group)
	if err != nil {
		return nil, err
	}
	lock, err := lockName(path, mode)
	if err != nil {
		return nil, err
	}
	size := sideHeaderBytes + entryBytes*int(capacity) + extra
	old := replacing(path)
	f := &sideFile{path: path, lock: lock}
	f.m, err = createFile(path, size, mode, func(m *mapping) error {
		le := binary.LittleEndian
		copy(m.mem[sideMagic:], magic)
		le.PutUint16(m.mem[sideABI:], sideABIMajor)
		le.PutUint32(m.mem[sideHeaderLen:], sideHeaderBytes)
		le.PutUint32(m.mem[sideByteOrder:], sideByteOrderWord)
		le.PutUint32(m.mem[sideEntryBytes:], uint32(entryBytes))
		le.PutUint64(m.mem[sideCapacity:], capacity)
		le.PutUint64(m.mem[sideOffset:], sideHeaderBytes)
		le.PutUint64(m.mem[sideFileBytes:], uint64(size))
		le.PutUint32(m.mem[sidePid:], uint32(os.Getpid()))
		le.PutUint64(m.mem[sideCreated:], uint64(time.Now().UnixNano()))
		if _, err := rand.Read(m.mem[sideUUID : sideUUID+16]); err != nil {
			return fmt.Errorf("ringbuf: %s: %w", path, err)
		}
		copy(m.mem[sideName:sideName+47], filepath.Base(path))
		le.PutUint64(m.mem[sideGeneration:], 1)
		m.store64(sideHeartbeat, MonotonicNow())
		m.store32(sideState, sideRunning)
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, lock.Close(), old.close())
	}
	if old != nil { // its readers are told to open the name again
		old.store32(sideState, sideReplaced)
		if err := old.close(); err != nil {
			return nil, errors.Join(err, f.unmap())
		}
	}
	return f, nil
}

// replacing maps the header of the file that has the name now, nil when there is none of ours.
func replacing(path string) *mapping {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil
	}
	if st, err := file.Stat(); err != nil || st.Size() < sideHeaderBytes {
		_ = file.Close()
		return nil
	}
	m, err := mapFile(file, sideHeaderBytes, true)
	if err != nil {
		return nil
	}
	return m
}

func openSide(path, magic string, entryBytes int) (*sideFile, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("ringbuf: %w", err)
	}
	st, err := file.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("ringbuf: %w", err), file.Close())
	}
	if st.Size() < sideHeaderBytes {
		return nil, errors.Join(fmt.Errorf("ringbuf: %s has %d bytes, less than its header of %d", path, st.Size(), sideHeaderBytes), file.Close())
	}
	m, err := mapFile(file, int(st.Size()), false)
	if err != nil {
		return nil, err
	}
	f := &sideFile{path: path, m: m}
	if err := f.check(magic, entryBytes); err != nil {
		return nil, errors.Join(err, m.close())
	}
	return f, nil
}

func (f *sideFile) check(magic string, entryBytes int) error {
	le := binary.LittleEndian
	switch {
	case !bytes.Equal(f.m.mem[:8], []byte(magic)):
		return fmt.Errorf("ringbuf: %s begins with %q, want %q: %w", f.path, f.m.mem[:8], magic, ErrOtherFile)
	case le.Uint16(f.m.mem[sideABI:]) != sideABIMajor:
		return fmt.Errorf("ringbuf: %s has ABI %d, this reader knows %d", f.path, le.Uint16(f.m.mem[sideABI:]), sideABIMajor)
	case le.Uint32(f.m.mem[sideByteOrder:]) != sideByteOrderWord:
		return fmt.Errorf("ringbuf: %s was written with another byte order", f.path)
	case le.Uint32(f.m.mem[sideEntryBytes:]) != uint32(entryBytes):
		return fmt.Errorf("ringbuf: %s has entries of %d bytes, want %d", f.path, le.Uint32(f.m.mem[sideEntryBytes:]), entryBytes)
	case le.Uint64(f.m.mem[sideFileBytes:]) > uint64(len(f.m.mem)):
		return fmt.Errorf("ringbuf: %s has %d bytes, its header says %d", f.path, len(f.m.mem), le.Uint64(f.m.mem[sideFileBytes:]))
	}
	capacity, offset := le.Uint64(f.m.mem[sideCapacity:]), le.Uint64(f.m.mem[sideOffset:])
	if offset < sideHeaderBytes || offset > uint64(len(f.m.mem)) || capacity > (uint64(len(f.m.mem))-offset)/uint64(entryBytes) {
		return fmt.Errorf("ringbuf: %s: %d entries at %d do not fit its %d bytes", f.path, capacity, offset, len(f.m.mem))
	}
	return nil
}

func (f *sideFile) entries() unsafe.Pointer { return f.m.at(sideHeaderBytes) }

func (f *sideFile) capacity() uint64 { return binary.LittleEndian.Uint64(f.m.mem[sideCapacity:]) }

func (f *sideFile) beat() { f.m.store64(sideHeartbeat, MonotonicNow()) }

// silence is how long ago the writer showed signs of life.
func (f *sideFile) silence() time.Duration {
	return time.Duration(MonotonicNow() - f.m.load64(sideHeartbeat))
}

func (f *sideFile) replaced() bool { return f.m.load32(sideState) == sideReplaced }

// stop is the writer's last word.
func (f *sideFile) stop() error {
	if f.m.base == nil {
		return nil // closed already
	}
	f.m.store32(sideState, sideStopped)
	return f.unmap()
}

func (f *sideFile) unmap() error {
	err := f.m.close()
	if f.lock != nil {
		err = errors.Join(err, f.lock.Close())
	}
	return err
}
