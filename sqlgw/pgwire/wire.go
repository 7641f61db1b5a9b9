// Package pgwire speaks PostgreSQL's protocol, version 3.0, over an sqlgw.Engine: psql, JDBC, pgx, psycopg and those
// who embed them ask it for ticks. Messages are pgproto3's; framing, rows and the state machine are here.
//
//	client ══TCP/TLS══► start-up ► authentication ► session ──┬─► command (BEGIN, SET, SHOW, FETCH …)
//	                        │                                 └─► catalog.Rewrite ► Engine ► rows ► encode ══► client
//	                        └─► CancelRequest ► session by process id and key
//
// One goroutine serves a session. Its memory is bounded: one chunk of a result and 64 KiB of encoded rows at a time.
// Transactions are accepted and mean nothing: a statement sees what is in the store when it runs.
package pgwire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgproto3"
)

// A message is
//
//	offset  size  field
//	0       1     type
//	1       4     length of this field and the body, big-endian
//	5       n     body
//
// and a start-up packet has no type.
const (
	maxStartup = 10_000    // PostgreSQL's MAX_STARTUP_PACKET_LENGTH
	maxSmall   = 30_000    // PostgreSQL's PQ_SMALL_MESSAGE_LIMIT: all but Query, Parse, Bind
	flushAt    = 64 << 10  // of encoded answer, in bytes
	keepBuffer = 256 << 10 // larger buffers are given back after the message that needed them
	protocol30 = 0x0003_0000
	codeCancel = 80877102
	codeSSL    = 80877103
	codeGSS    = 80877104
)

// wire is the framed connection. Not for several goroutines.
type wire struct {
	conn     net.Conn
	in       *bufio.Reader
	buf      []byte // body of the last message read
	out      []byte // answer not yet sent
	max      int    // largest body
	counters *Counters
}

func newWire(c net.Conn, limit int, n *Counters) *wire {
	return &wire{conn: c, in: bufio.NewReaderSize(c, 8<<10), max: limit, counters: n}
}

// errTooLong is a length that is no message's. The stream cannot be read on after it.
type errTooLong struct {
	kind   byte
	length int
	limit  int
}

func (e *errTooLong) Error() string {
	return fmt.Sprintf("message type %q of %d bytes: the length must be from 4 to %d", e.kind, e.length, e.limit+4)
}

// startup reads a packet without a type. The body is valid until the next read.
func (w *wire) startup() ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(w.in, head[:]); err != nil {
		return nil, err
	}
	n := int(int32(binary.BigEndian.Uint32(head[:])))
	if n < 8 || n > maxStartup {
		return nil, &errTooLong{0, n, maxStartup}
	}
	return w.body(n - 4)
}

// read gives the next message. The body is valid until the next read.
func (w *wire) read() (kind byte, body []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(w.in, head[:]); err != nil {
		return 0, nil, err
	}
	n := int(int32(binary.BigEndian.Uint32(head[1:])))
	limit := min(w.max, maxSmall)
	switch head[0] {
	case 'Q', 'P', 'B', 'd':
		limit = w.max
	}
	if n < 4 || n-4 > limit {
		return head[0], nil, &errTooLong{head[0], n, limit}
	}
	body, err = w.body(n - 4)
	return head[0], body, err
}

// body grows with what arrives, not with what a length claims.
func (w *wire) body(n int) ([]byte, error) {
	const step = 64 << 10
	if cap(w.buf) > keepBuffer {
		w.buf = nil
	}
	w.buf = w.buf[:0]
	for len(w.buf) < n {
		have := len(w.buf)
		more := min(n-have, step)
		for cap(w.buf) < have+more {
			w.buf = append(w.buf[:cap(w.buf)], 0)
		}
		w.buf = w.buf[:have+more]
		if _, err := io.ReadFull(w.in, w.buf[have:]); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return w.buf, nil
}

// send puts a message into the answer. Only messages of bounded size come here; rows are appended in place.
func (w *wire) send(m pgproto3.BackendMessage) error {
	out, err := m.Encode(w.out)
	if err != nil {
		return err
	}
	w.out = out
	if len(w.out) >= flushAt {
		return w.flush()
	}
	return nil
}

// flush sends what is pending; it blocks while the client does not read.
func (w *wire) flush() error {
	if len(w.out) == 0 {
		return nil
	}
	n, err := w.conn.Write(w.out)
	w.counters.BytesOut.Add(uint64(n))
	if cap(w.out) > keepBuffer {
		w.out = nil
	}
	w.out = w.out[:0]
	if err != nil {
		return errors.Join(errGone, err)
	}
	return nil
}

// errGone ends a session without a word: nobody is there to read it.
var errGone = errors.New("client is gone")
