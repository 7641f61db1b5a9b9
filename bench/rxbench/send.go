package rxbench

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/nic/udp"
)

// socket sends datagrams as any program does. It belongs to the thread of the load.
type socket struct {
	out      *udp.Sender
	payloads [][]byte
}

func newSocket(ns *netns.NS) (*socket, error) {
	s := &socket{}
	if err := ns.Do(func() (err error) { s.out, err = udp.NewSender(group, "gen0", 1); return err }); err != nil {
		return nil, err
	}
	for range batch {
		s.payloads = append(s.payloads, make([]byte, payloadBytes))
	}
	return s, nil
}

// send sends n datagrams, in batches at a rate a second; 0: as fast as it goes.
func (s *socket) send(first uint64, n int, rate float64) (int, time.Duration, error) {
	n = max(n/batch, 1) * batch
	start := monotonic()
	for sent := 0; sent < n; sent += batch {
		for i, p := range s.payloads {
			binary.BigEndian.PutUint64(p[numberAt:], first+uint64(sent+i)+1)
		}
		if rate > 0 {
			for due := start + uint64(float64(sent)*1e9/rate); monotonic() < due; {
			}
		}
		if _, err := s.out.Send(s.payloads); err != nil {
			return sent, time.Duration(monotonic() - start), err
		}
	}
	return n, time.Duration(monotonic() - start), nil
}

// timed sends n datagrams one by one, each with its due time in it; one that leaves late keeps the time it was due.
func (s *socket) timed(first uint64, n int, rate float64) error {
	start := monotonic() + 1000
	for i := range n {
		due := start + uint64(float64(i)*1e9/rate)
		p := s.payloads[0]
		binary.BigEndian.PutUint64(p[numberAt:], first+uint64(i)+1)
		binary.LittleEndian.PutUint64(p[dueAt:], due)
		for monotonic() < due {
		}
		if _, err := s.out.Send(s.payloads[:1]); err != nil {
			return err
		}
	}
	return nil
}

func (s *socket) Close() { _ = s.out.Close() }

// monotonic is CLOCK_MONOTONIC in ns: the clock of the injector's program and of the C receiver too. Without a call into the
// kernel: Go's own clock is the same one, from another zero.
func monotonic() uint64 { return clockZero + uint64(time.Since(clockBase)) }

var clockBase, clockZero = func() (base time.Time, zero uint64) {
	best := time.Hour
	for range 1000 { // the pair that lay closest together
		before := time.Now()
		var ts unix.Timespec
		_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // cannot fail
		if took := time.Since(before); took < best {
			best, base, zero = took, before, uint64(ts.Nano())-uint64(took/2)
		}
	}
	return base, zero
}()
