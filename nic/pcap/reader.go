// Package pcap reads captures, pcap and pcapng, plain or under gzip or zstd, and writes pcap.
//
// pcap: a header of 24 bytes, then records; byte order and the unit of time by the magic:
//
//	0       magic a1b2c3d4 (µs) or a1b23c4d (ns), in the writer's byte order
//	4       version u16 major, u16 minor     8 zone i32    12 accuracy u32    16 snap length u32    20 link type u32
//	record: seconds u32, fraction u32, captured bytes u32, bytes on the wire u32, then the captured bytes
//
// pcapng is blocks; see ng.go. Captures are read as streams: memory does not grow with the file.
package pcap

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"

	"github.com/tickwire/tickwire/nic"
)

// Bounds of what is believed.
const (
	maxFrame   = 1 << 20 // bytes of a frame: a record that claims more is not one
	arenaBytes = 1 << 20 // frames of one Poll
	maxLines   = 64      // groups whose line is remembered
)

// Fault is where a capture cannot be read on. Everything before it was handed out.
type Fault struct {
	Packet uint64 // 1-based number of the frame that could not be read
	Offset int64  // of its record in the decompressed file
	Err    error
}

func (f *Fault) Error() string {
	return fmt.Sprintf("pcap: packet %d at byte %d: %v; reading stops", f.Packet, f.Offset, f.Err)
}

func (f *Fault) Unwrap() error { return f.Err }

// Faults of a capture.
var (
	ErrNotCapture = errors.New("not a capture: the first bytes are no pcap or pcapng magic")
	ErrLength     = errors.New("captured length is not to be believed")
	ErrBlock      = errors.New("block contradicts itself")
)

// Reader is a source of UDP payloads.
type Reader struct {
	src      *bufio.Reader
	closers  []func()
	offset   int64
	frame    uint64
	counters nic.Counters
	arena    []byte

	ng       bool
	order    binary.ByteOrder
	nano     bool
	snapLen  uint32
	link     nic.LinkType
	ifaces   []iface // pcapng, of the present section
	lines    map[netip.AddrPort]uint8
	err      error // what the next Poll reports
	progress *counting
}

// Open reads a file. A file that is no capture is refused with what it is.
func Open(path string) (*Reader, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("pcap: %w", err)
	}
	r, err := NewReader(file)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	r.closers = append(r.closers, func() { file.Close() })
	return r, nil
}

// counting counts the bytes that were taken from the compressed file: what progress is reckoned by.
type counting struct {
	r io.Reader
	n int64
}

func (c *counting) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

// NewReader reads from anywhere. Close frees decompressors; the source is the caller's.
func NewReader(src io.Reader) (*Reader, error) {
	r := &Reader{lines: make(map[netip.AddrPort]uint8), arena: make([]byte, 0, arenaBytes), progress: &counting{r: src}}
	raw := bufio.NewReaderSize(r.progress, 1<<16)
	head, err := raw.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("pcap: %w", err)
	}
	in, done, err := nic.Decompress(raw, nic.SniffCompression(head))
	if err != nil {
		return nil, err
	}
	r.closers = append(r.closers, done)
	r.src = bufio.NewReaderSize(in, 1<<18)
	if err := r.begin(); err != nil {
		done()
		return nil, err
	}
	return r, nil
}

func (r *Reader) begin() error {
	head, err := r.src.Peek(512)
	if err != nil && len(head) < 24 && !errors.Is(err, io.EOF) {
		return fmt.Errorf("pcap: %w", err)
	}
	switch nic.Sniff(head) {
	case nic.FileEmpty:
		return fmt.Errorf("pcap: %w", nic.ErrEmpty)
	case nic.FileText:
		return fmt.Errorf("pcap: %w", nic.ErrText)
	case nic.FilePcapNG:
		r.ng = true
		return nil
	case nic.FilePcap:
	default:
		return fmt.Errorf("pcap: %w", ErrNotCapture)
	}
	if len(head) < 24 {
		return fmt.Errorf("pcap: header of 24 bytes is cut off after %d: %w", len(head), io.ErrUnexpectedEOF)
	}
	switch binary.BigEndian.Uint32(head) {
	case 0xA1B2C3D4:
		r.order = binary.BigEndian
	case 0xA1B23C4D:
		r.order, r.nano = binary.BigEndian, true
	case 0xD4C3B2A1:
		r.order = binary.LittleEndian
	case 0x4D3CB2A1:
		r.order, r.nano = binary.LittleEndian, true
	}
	r.snapLen = r.order.Uint32(head[16:])
	r.link = nic.LinkType(r.order.Uint32(head[20:]) & 0x0FFFFFFF)
	if !r.link.Known() {
		return fmt.Errorf("pcap: link type %d is not understood (Ethernet, raw IP, Linux cooked and loopback are)", r.link)
	}
	return r.skip(24)
}

func (r *Reader) skip(n int) error {
	got, err := r.src.Discard(n)
	r.offset += int64(got)
	return err
}

// SetLine says which line packets to a group belong to. Without it the first group seen with a port is line A and the
// second one B.
func (r *Reader) SetLine(group netip.AddrPort, line uint8) { r.lines[group] = line }

// Counters are the reader's own, for the goroutine that polls.
func (r *Reader) Counters() *nic.Counters { return &r.counters }

// Consumed is how many bytes of the file, as it lies on disk, were read: for a progress bar.
func (r *Reader) Consumed() int64 { return r.progress.n }

// Close frees what was opened.
func (r *Reader) Close() error {
	for _, fn := range r.closers {
		fn()
	}
	r.closers = nil
	return nil
}

// Poll hands out the next UDP payloads. At the end it gives io.EOF, where it cannot go on a *Fault; packets that come
// with either are good.
func (r *Reader) Poll(p []nic.Packet) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	r.arena = r.arena[:0]
	n := 0
	for n < len(p) && len(r.arena) < arenaBytes-maxFrame/4 {
		data, ts, link, err := r.next()
		if err != nil {
			r.err = err
			return n, err
		}
		if data == nil {
			continue
		}
		p[n] = nic.Packet{TsRecv: ts, Frame: r.frame, Stamp: nic.StampFile}
		if nic.ParseFrame(data, link, &p[n], &r.counters) {
			p[n].Line = r.lineOf(p[n].Group)
			n++
		}
	}
	return n, nil
}

func (r *Reader) lineOf(group netip.AddrPort) uint8 {
	line, ok := r.lines[group]
	if !ok && len(r.lines) < maxLines {
		line = uint8(min(len(r.lines), 1))
		r.lines[group] = line
	}
	return line
}

func (r *Reader) fault(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return &Fault{Packet: r.frame + 1, Offset: r.offset, Err: err}
}

// next reads one frame into the arena; no data and no error: a record without one.
func (r *Reader) next() (data []byte, ts uint64, link nic.LinkType, err error) {
	if r.ng {
		return r.nextBlock()
	}
	head, err := r.src.Peek(16)
	if len(head) == 0 && errors.Is(err, io.EOF) {
		return nil, 0, 0, io.EOF
	}
	if err != nil {
		return nil, 0, 0, r.fault(fmt.Errorf("record header of 16 bytes is cut off after %d: %w", len(head), cut(err)))
	}
	sec, frac := uint64(r.order.Uint32(head)), uint64(r.order.Uint32(head[4:]))
	captured, wire := r.order.Uint32(head[8:]), r.order.Uint32(head[12:])
	if captured > maxFrame {
		return nil, 0, 0, r.fault(fmt.Errorf("%w: %d bytes, snap length %d", ErrLength, captured, r.snapLen))
	}
	if !r.nano {
		frac *= 1000
	}
	if err := r.skip(16); err != nil {
		return nil, 0, 0, r.fault(err)
	}
	data, err = r.take(int(captured))
	if err != nil {
		return nil, 0, 0, err
	}
	return r.whole(data, captured, wire), sec*1_000_000_000 + frac, r.link, nil
}

func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// whole counts a frame and drops it when it was recorded shorter than it was.
func (r *Reader) whole(data []byte, captured, wire uint32) []byte {
	r.frame++
	r.counters.Frames++
	if captured < wire {
		r.counters.Truncated++
		return nil
	}
	return data
}

// take reads n bytes into the arena. Memory grows as bytes come, never by a claim.
func (r *Reader) take(n int) ([]byte, error) {
	start := len(r.arena)
	for n > 0 {
		step := min(n, 1<<16)
		at := len(r.arena)
		r.arena = append(r.arena, make([]byte, step)...)
		got, err := io.ReadFull(r.src, r.arena[at:])
		if err != nil {
			return nil, r.fault(fmt.Errorf("frame is cut off, %d bytes are missing: %w", n-got, cut(err)))
		}
		r.offset += int64(got)
		n -= step
	}
	return r.arena[start:], nil
}
