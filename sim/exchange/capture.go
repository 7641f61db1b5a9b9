package exchange

import (
	"errors"
	"fmt"
	"io"

	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/pace"
	"github.com/tickwire/tickwire/nic/pcap"
	"github.com/tickwire/tickwire/parsers/moldudp64"
)

// Bounds of what is put in order: a capture has both lines, which may be far apart, and packets out of order.
const (
	mostHeld   = 4096          // packets behind a hole
	holeWaitNs = 1_000_000_000 // in the capture's own time, for what fills it
	farAhead   = 10_000_000    // messages: a packet that jumps further is not believed
	firstMost  = 1 << 40       // numbers: nor is a capture that begins beyond
	believed   = 8             // packets in a row of another session that make it the present one
)

// merger makes one stream of a capture's lines: each message once, in order, in the packets it came in.
//
//	packets of A and B ──► joined by number ──► packets, first copies only
//
// What neither line has is missing from the stream, and counted. Package session is the receiver proper; this one reads what
// was recorded, and so may wait.
type merger struct {
	id      [10]byte
	next    uint64 // number of the next message; 0: no session yet
	held    map[uint64]heldPacket
	holeAt  uint64 // when the present hole was noticed
	scratch []byte
	out     func(ts uint64, packet []byte, count int) error
	began   func(id [10]byte, first uint64)
	ended   func(ts uint64) error
	told    bool // the end of the session
	other   [10]byte
	others  int // packets in a row of session other

	Missing uint64 // messages that the capture does not have
	Strays  uint64 // packets that are no MoldUDP64, or cannot be of the session
}

type heldPacket struct {
	ts     uint64
	blocks []byte
	count  int
}

// packet takes one datagram.
func (m *merger) packet(ts uint64, data []byte) error {
	h, blocks, err := moldudp64.Parse(data)
	if err != nil || h.Sequence == 0 || h.Sequence > 1<<63 {
		m.Strays++
		return nil
	}
	if m.next == 0 || h.Session != m.id {
		if !m.takesOver(&h) {
			m.Strays++
			return nil
		}
		if err := m.change(h); err != nil {
			return err
		}
	}
	m.others = 0
	if h.Count == moldudp64.EndOfSession {
		return m.end(ts, h.Sequence)
	}
	count, used := moldudp64.Walk(blocks, int(h.Count))
	switch {
	case count == 0 || h.Sequence+uint64(count) <= m.next:
		return nil
	case h.Sequence > m.next+farAhead:
		m.Strays++
		return nil
	case h.Sequence > m.next:
		return m.hold(ts, h.Sequence, blocks[:used], count)
	}
	if err := m.give(ts, h.Sequence, blocks[:used], count); err != nil {
		return err
	}
	return m.drain()
}

// takesOver says whether a packet of another session begins it: one alone, in the middle of the present one, was damaged.
func (m *merger) takesOver(h *moldudp64.Header) bool {
	if h.Session != m.other {
		m.other, m.others = h.Session, 0
	}
	m.others++
	switch {
	case h.Sequence > firstMost || h.Count == moldudp64.EndOfSession:
		return false
	case m.next == 0 || m.told || h.Sequence == 1:
		return true
	}
	return m.others >= believed
}

// change begins another session.
func (m *merger) change(h moldudp64.Header) error {
	if err := m.flush(); err != nil {
		return err
	}
	m.id, m.next, m.told = h.Session, h.Sequence, false
	m.began(m.id, m.next)
	return nil
}

func (m *merger) end(ts, next uint64) error {
	if m.told {
		return nil
	}
	if err := m.flush(); err != nil {
		return err
	}
	if next > m.next && next-m.next <= farAhead {
		m.Missing += next - m.next
		m.next = next
	}
	m.told = true
	return m.ended(ts)
}

// hold keeps a packet that comes too early.
func (m *merger) hold(ts, first uint64, blocks []byte, count int) error {
	if len(m.held) == 0 {
		m.holeAt = ts
	}
	if old, ok := m.held[first]; !ok || old.count < count {
		m.held[first] = heldPacket{ts, append([]byte(nil), blocks...), count}
	}
	if len(m.held) < mostHeld && ts < m.holeAt+holeWaitNs {
		return nil
	}
	return m.skip(ts)
}

// skip gives the present hole up.
func (m *merger) skip(now uint64) error {
	lowest := ^uint64(0)
	for first := range m.held {
		lowest = min(lowest, first)
	}
	m.Missing += lowest - m.next
	m.next, m.holeAt = lowest, now
	return m.drain()
}

// drain gives what is next.
func (m *merger) drain() error {
	for len(m.held) > 0 {
		h, ok := m.held[m.next]
		if ok {
			delete(m.held, m.next)
			if err := m.give(h.ts, m.next, h.blocks, h.count); err != nil {
				return err
			}
			continue
		}
		// One that overlaps, or nothing.
		found := false
		for first, h := range m.held {
			if first < m.next {
				delete(m.held, first)
				if first+uint64(h.count) > m.next {
					found = true
					if err := m.give(h.ts, first, h.blocks, h.count); err != nil {
						return err
					}
				}
				break
			}
		}
		if !found && !m.overlaps() {
			return nil
		}
	}
	return nil
}

func (m *merger) overlaps() bool {
	for first := range m.held {
		if first <= m.next {
			return true
		}
	}
	return false
}

// flush gives all that is held, over holes.
func (m *merger) flush() error {
	for len(m.held) > 0 {
		if err := m.skip(0); err != nil {
			return err
		}
	}
	return nil
}

// give hands out the part of a packet that is new.
func (m *merger) give(ts, first uint64, blocks []byte, count int) error {
	old := int(m.next - first)
	blocks, count = moldudp64.Skip(blocks, old), count-old
	m.scratch = moldudp64.AppendHeader(m.scratch[:0], moldudp64.Header{Session: m.id, Sequence: m.next, Count: uint16(count)})
	m.scratch = append(m.scratch, blocks...)
	m.next += uint64(count)
	return m.out(ts, m.scratch, count)
}

// capture plays a capture's sessions.
func (r *runner) capture() (err error) {
	p, err := pace.Parse(r.o.Pace)
	if err != nil {
		return err
	}
	src, err := pcap.Open(r.o.Path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	m := &merger{held: map[uint64]heldPacket{}}
	defer func() { r.c.Missing, r.c.Strays = m.Missing, m.Strays }()
	heartbeat := r.idleNs()
	m.began = func(id [10]byte, first uint64) { r.begin(id, first) }
	m.out = func(ts uint64, packet []byte, count int) error {
		at := uint64(p.Offset(ts, count))
		for r.sent && at > r.at+heartbeat {
			if err := r.emit(r.at+heartbeat, r.heartbeat()); err != nil {
				return err
			}
		}
		return r.emit(max(at, r.at), packet)
	}
	m.ended = func(uint64) error { return r.end() }
	packets := make([]nic.Packet, 64)
	for {
		n, err := src.Poll(packets)
		for i := range packets[:n] {
			if err := m.packet(packets[i].TsRecv, packets[i].Data); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("%s: %w", r.o.Path, errors.Join(err, m.flush()))
		}
	}
	if err := m.flush(); err != nil {
		return err
	}
	if m.next == 0 {
		return fmt.Errorf("exchange: %s has no MoldUDP64 packet among %d datagrams", r.o.Path, m.Strays)
	}
	if !m.told {
		return r.end()
	}
	return nil
}
