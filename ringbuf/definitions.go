package ringbuf

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/tick"
)

// Full definitions, `.definitions.dbn`: an ordinary DBN version 3 file, so that any DBN tool reads it. The lane hands
// records over through a queue, a housekeeping goroutine appends them to the file: a write is a call into the kernel.
const (
	definitionsHeader = 128     // DBN metadata without symbols
	definitionBytes   = 520     // one record
	definitionsQueue  = 1 << 14 // records between the lane and the file: 8.5 MB, touched only when used
)

// DefinitionsWriter appends definitions. Append is the lane's, Drain the housekeeping's.
type DefinitionsWriter struct {
	file    *os.File
	queue   []byte // off the heap
	head    atomic.Uint64
	_       [120]byte
	tail    atomic.Uint64
	written uint64
	Dropped uint64 // records that found the queue full; the directory has them all the same
}

// CreateDefinitions makes the file with its metadata, replacing one of that name. publisherDataset is such as
// "XNAS.ITCH", start the beginning of the day in ns since the Unix epoch.
func CreateDefinitions(path, dataset string, start uint64, o SideOptions) (*DefinitionsWriter, error) {
	mode, err := newFileMode(o.Mode, o.Group)
	if err != nil {
		return nil, err
	}
	if err := mode.makeDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode.mode)
	if err != nil {
		return nil, fmt.Errorf("ringbuf: %w", err)
	}
	if err := mode.apply(file); err != nil {
		file.Close()
		return nil, err
	}
	if _, err := file.Write(appendDefinitionsHeader(nil, dataset, start)); err != nil {
		file.Close()
		return nil, fmt.Errorf("ringbuf: %s: %w", path, err)
	}
	queue, err := unix.Mmap(-1, 0, definitionsQueue*definitionBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("ringbuf: %s: memory for the queue: %w", path, err)
	}
	return &DefinitionsWriter{file: file, queue: queue}, nil
}

// appendDefinitionsHeader is DBN metadata, version 3, of schema definition without symbols (DBN section 2).
func appendDefinitionsHeader(dst []byte, dataset string, start uint64) []byte {
	var h [definitionsHeader]byte
	le := binary.LittleEndian
	copy(h[:], "DBN\x03")
	le.PutUint32(h[4:], definitionsHeader-8)
	copy(h[8:23], dataset)
	le.PutUint16(h[24:], 9) // schema definition
	le.PutUint64(h[26:], start)
	le.PutUint64(h[34:], tick.UndefTime)
	h[50] = 0xFF // symbols of any kind
	h[51] = 0    // instrument ids
	le.PutUint16(h[53:], 71)
	return append(dst, h[:]...)
}

// Append queues a definition and returns the byte offset that it will have in the file. It may be called on the lane.
// When the queue is full it returns 0 and counts: the directory still has the entry.
func (w *DefinitionsWriter) Append(d *tick.Definition) uint64 {
	tail := w.tail.Load()
	if tail-w.head.Load() == definitionsQueue {
		w.Dropped++
		return 0
	}
	*(*tick.Definition)(unsafe.Pointer(&w.queue[tail%definitionsQueue*definitionBytes])) = *d
	w.tail.Store(tail + 1)
	return definitionsHeader + tail*definitionBytes
}

// Drain writes what is queued, each record where Append said that it will be: what a full disk let only begin is written anew by the next call.
func (w *DefinitionsWriter) Drain() error {
	head, tail := w.head.Load(), w.tail.Load()
	for head < tail {
		from := head % definitionsQueue
		n := min(tail-head, definitionsQueue-from)
		if _, err := w.file.WriteAt(w.queue[from*definitionBytes:(from+n)*definitionBytes], int64(definitionsHeader+head*definitionBytes)); err != nil {
			return fmt.Errorf("ringbuf: %s: %w", w.file.Name(), err)
		}
		head += n
		w.head.Store(head)
	}
	return nil
}

// Close writes what is queued and closes the file.
func (w *DefinitionsWriter) Close() error {
	err := w.Drain()
	if cerr := w.file.Close(); err == nil {
		err = cerr
	}
	if uerr := unix.Munmap(w.queue); err == nil {
		err = uerr
	}
	return err
}
