// Package file reads BinaryFILE days: what Nasdaq distributes its ITCH days as.
//
//	+--------+---------------+--------+---------------+-  …  -+--------+
//	| length | message       | length | message       |       | 0 0    |   length: u16, big-endian
//	+--------+---------------+--------+---------------+-  …  -+--------+   length 0: end of session
//
// A plain file is mapped; one under gzip or zstd is streamed through a buffer of fixed size. Messages are handed out in
// spans of whole ones, in the memory where they lie.
package file

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/nic"
)

const (
	prefixBytes = 2
	bufferBytes = 4 << 20 // of a compressed file: several times the largest message
	maxMessage  = 1<<16 - 1
)

// Fault is where a file cannot be read on. Everything before it was handed out.
type Fault struct {
	Message uint64 // 1-based number of the message that could not be read
	Offset  int64  // of its length prefix, in the decompressed file
	Err     error
}

func (f *Fault) Error() string {
	return fmt.Sprintf("file: message %d at byte %d: %v; the messages before it are kept", f.Message, f.Offset, f.Err)
}

func (f *Fault) Unwrap() error { return f.Err }

// ErrTruncated is a file that ends within a message.
var ErrTruncated = errors.New("the file ends within a message")

// ErrZeroPrefix is a file whose length prefixes are all zero: some tools write such files, and they cannot be read without
// knowing each message's length.
var ErrZeroPrefix = errors.New("the length prefix is 0 but more follows: end of session in the middle, or a file without true length prefixes")

// Reader hands out the messages of one file. It belongs to one goroutine.
type Reader struct {
	path     string
	size     int64
	mem      []byte // a plain file, mapped
	src      io.Reader
	file     *os.File
	counted  *countingReader
	closeSrc func()
	buf      []byte // of a compressed file
	from, to int    // unread bytes of buf
	eof      bool
	srcErr   error

	offset int64  // of the next message, in the decompressed file
	next   uint64 // number of the next message
	ended  bool   // end of session was read
	fault  error
}

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

// Open opens a file, whatever its compression. It does not look whether there are messages: Next tells.
func Open(path string) (*Reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("file: %w", err)
	}
	r := &Reader{path: path, file: f, next: 1, closeSrc: func() {}}
	if err := r.open(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *Reader) open() error {
	st, err := r.file.Stat()
	if err != nil {
		return fmt.Errorf("file: %w", err)
	}
	if st.IsDir() {
		return fmt.Errorf("file: %s is a folder", r.path)
	}
	r.size = st.Size()
	head := make([]byte, 16)
	n, err := io.ReadFull(r.file, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("file: %w", err)
	}
	compression := nic.SniffCompression(head[:n])
	if compression == nic.Plain && st.Mode().IsRegular() && r.size > 0 {
		r.mem, err = unix.Mmap(int(r.file.Fd()), 0, int(r.size), unix.PROT_READ, unix.MAP_PRIVATE)
		if err != nil {
			return fmt.Errorf("file: mapping %s: %w", r.path, err)
		}
		_ = unix.Madvise(r.mem, unix.MADV_SEQUENTIAL) // a hint: without it reading ahead is shorter
		return nil
	}
	if n == 0 {
		r.eof = true
		return nil
	}
	if _, err := r.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("file: %s: %w", r.path, err)
	}
	r.counted = &countingReader{r: r.file}
	src, done, err := nic.Decompress(r.counted, compression)
	if err != nil {
		return fmt.Errorf("file: %s: %w", r.path, err)
	}
	r.src, r.closeSrc = src, done
	r.buf = make([]byte, bufferBytes)
	return nil
}

// Next gives at most max whole messages with their length prefixes: the span is valid until the next call, the first
// message in it has number first (1-based). At the end of the file the error is io.EOF, at a message that cannot be
// read a *Fault, in both cases with what could be read before.
func (r *Reader) Next(max int) (span []byte, first uint64, count int, err error) {
	first = r.next
	if r.fault != nil {
		return nil, first, 0, r.fault
	}
	data := r.mem
	if r.mem != nil {
		data = r.mem[r.offset:]
	} else {
		data = r.fill()
	}
	at := 0
	for count < max && !r.ended {
		if len(data)-at < prefixBytes {
			break
		}
		n := int(binary.BigEndian.Uint16(data[at:]))
		if n == 0 {
			r.ended = true
			break
		}
		if at+prefixBytes+n > len(data) {
			break
		}
		at += prefixBytes + n
		count++
	}
	span = data[:at:at]
	r.offset += int64(at)
	r.from += at
	r.next += uint64(count)
	if count == 0 {
		r.fault = r.end(data[at:])
		return span, first, 0, r.fault
	}
	return span, first, count, nil
}

// end says why no message could be read from what is left.
func (r *Reader) end(left []byte) error {
	fault := func(err error) error { return &Fault{Message: r.next, Offset: r.offset, Err: err} }
	switch {
	case r.ended && len(left) > prefixBytes:
		r.ended = false
		return fault(ErrZeroPrefix)
	case r.ended:
		return io.EOF
	case r.srcErr != nil:
		return fault(r.srcErr)
	case len(left) == 0:
		return io.EOF
	case len(left) < prefixBytes:
		return fault(fmt.Errorf("%w: 1 byte of its length prefix", ErrTruncated))
	default:
		return fault(fmt.Errorf("%w: %d bytes of %d", ErrTruncated, len(left)-prefixBytes, binary.BigEndian.Uint16(left)))
	}
}

// fill reads a compressed file on until there is a whole message, or the end.
func (r *Reader) fill() []byte {
	for !r.eof && !holdsMessage(r.buf[r.from:r.to]) {
		if r.from > 0 {
			copy(r.buf, r.buf[r.from:r.to])
			r.from, r.to = 0, r.to-r.from
		}
		for r.to < len(r.buf) && !r.eof {
			n, err := r.src.Read(r.buf[r.to:])
			r.to += n
			if err != nil {
				r.eof = true
				if !errors.Is(err, io.EOF) {
					r.srcErr = fmt.Errorf("decompressing: %w", err)
				}
			}
		}
	}
	return r.buf[r.from:r.to]
}

// holdsMessage says that b begins with a whole message, or with an end of session and more than that.
func holdsMessage(b []byte) bool {
	return len(b) > prefixBytes && len(b) >= prefixBytes+int(binary.BigEndian.Uint16(b))
}

// EndOfSession says that the file's own mark of its end was read: without it a file may have been cut at a message.
func (r *Reader) EndOfSession() bool { return r.ended }

// Offset is how many bytes of the file as it lies on disk have been read: for a progress bar, with Size.
func (r *Reader) Offset() int64 {
	if r.counted != nil {
		return r.counted.n
	}
	return r.offset
}

// Size is the file's size on disk.
func (r *Reader) Size() int64 { return r.size }

// Close unmaps and closes the file.
func (r *Reader) Close() error {
	var errs []error
	if r.mem != nil {
		errs = append(errs, unix.Munmap(r.mem))
		r.mem = nil
	}
	r.closeSrc()
	r.closeSrc = func() {}
	return errors.Join(append(errs, r.file.Close())...)
}
