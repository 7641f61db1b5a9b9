package process

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/pace"
	"github.com/tickwire/tickwire/parsers/fix"
	"github.com/tickwire/tickwire/tick"
)

// Messages is a file of FIX messages, one behind the other, plain or compressed. It belongs to one goroutine.
type Messages struct {
	file   *os.File
	from   io.Reader
	free   func()
	stream fix.Stream
	buf    []byte
	read   int64 // bytes of the file, as it lies on disk
	err    error
}

// OpenMessages opens one.
func OpenMessages(path string) (*Messages, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	m := &Messages{file: file, buf: make([]byte, 1<<16)}
	head := make([]byte, 4)
	n, _ := file.ReadAt(head, 0)
	if m.from, m.free, err = nic.Decompress(counted{m}, nic.SniffCompression(head[:n])); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return m, nil
}

// counted counts what is read of the file.
type counted struct{ m *Messages }

func (c counted) Read(b []byte) (int, error) {
	n, err := c.m.file.Read(b)
	c.m.read += int64(n)
	return n, err
}

// Next gives the next message, valid until it is called again; io.EOF at the end. Bytes that are no message are counted and passed over.
func (m *Messages) Next() ([]byte, error) {
	for {
		if msg := m.stream.Next(); msg != nil {
			return msg, nil
		}
		if rest := len(m.stream.Rest()); m.err == io.EOF && rest > 0 {
			return nil, fmt.Errorf("the file ends within a message, of which it has %d bytes: %w", rest, io.ErrUnexpectedEOF)
		}
		if m.err != nil {
			return nil, m.err
		}
		n, err := m.from.Read(m.buf)
		m.stream.Add(m.buf[:n])
		m.err = err // once what came with it is used up
	}
}

// Counters of what was no message.
func (m *Messages) Counters() fix.StreamCounters { return m.stream.Counters }

// Close closes the file.
func (m *Messages) Close() error {
	m.free()
	return m.file.Close()
}

// sentAt is a message's SendingTime, ns since the Unix epoch; 0: it has none that can be read.
func sentAt(msg []byte) uint64 {
	_, rest, ok := bytes.Cut(msg, []byte("\x0152="))
	value, _, end := bytes.Cut(rest, []byte{1})
	if !ok || !end {
		return 0
	}
	ns, _ := fix.Timestamp(value)
	return ns
}

// firstSent is the SendingTime of a file's first message that has one.
func firstSent(path string) (uint64, error) {
	m, err := OpenMessages(path)
	if err != nil {
		return 0, err
	}
	defer m.Close()
	for range 1000 {
		msg, err := m.Next()
		if err != nil {
			return 0, err
		}
		if ns := sentAt(msg); ns != 0 {
			return ns, nil
		}
	}
	return 0, errors.New("the first thousand messages have no SendingTime")
}

const messagesPerPass = 64

// playMessages plays a file of messages.
func (c *Capture) playMessages(lane *pipeline.Lane, pacer *pace.Pacer, o *PlayOptions, stop *atomic.Bool) error {
	lane.StartDay(c.midnight)
	between := func() {
		lane.EndPass()
		now := uint64(time.Now().UnixNano())
		lane.SetNow(now)
		if o.Between != nil {
			o.Between(now)
		}
	}
	between()
	defer between()
	passed := uint64(0)
	for n, played := uint64(1), 0; !stop.Load(); n, played = n+1, played+1 {
		if err := lane.Err(); err != nil {
			return err
		}
		msg, err := c.messages.Next()
		if now := c.messages.Counters(); now.Skipped != passed {
			// Bytes that are no message were one, or several, when they were written: of whom, nobody knows.
			passed = now.Skipped
			lane.Gap(session.Gap{First: n, Last: n, State: tick.GapLost})
			n++
		}
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w; %d messages before it are published", err, played)
		}
		if !pacer.Max() {
			if ts := sentAt(msg); ts != 0 {
				if !pacer.Due(ts) {
					between()
				}
				pacer.Wait(ts, 1, stop)
			}
		}
		lane.Span(msg, n)
		if played%messagesPerPass == messagesPerPass-1 {
			between()
		}
	}
	return nil
}
