package session

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/parsers/mdp3"
	sim "github.com/tickwire/tickwire/sim/mdp3"
	"github.com/tickwire/tickwire/tick"
)

// packets is CME's framing: a packet is one message.
type packets struct{}

func (packets) Parse(p []byte) (h Header, blocks []byte, err error) {
	x, body, err := mdp3.ParsePacket(p)
	return Header{Sequence: uint64(x.Sequence), Sent: x.SendingTime, Count: 1}, body, err
}

func (packets) Walk(blocks []byte, count int) (whole, used int) { return mdp3.Walk(blocks, count) }

// bodies is a sink that wants every packet's body, in order.
type bodies struct {
	t      *testing.T
	a      *sim.Archive
	next   uint64
	again  int // that were replayed
	closed uint64
}

func (s *bodies) Messages(blocks []byte, first uint64, count int, at Arrival) {
	want := s.a.Get(uint32(first))
	if first != s.next || count != 1 || !bytes.Equal(blocks, want[mdp3.PacketBytes:]) {
		s.t.Fatalf("packet %d (%d bytes, count %d), want %d", first, len(blocks), count, s.next)
	}
	if s.next++; at.Line == LineRecovery {
		s.again++
	}
}

func (s *bodies) Gap(g Gap) {
	switch g.State {
	case tick.GapLost:
		s.t.Errorf("%+v", g)
	case tick.GapClosed:
		s.closed += g.Last - g.First + 1
	}
}

func (s *bodies) SessionStart([10]byte) {}
func (s *bodies) SessionEnd([10]byte)   {}

// TestReplayFillsHoles: a channel whose lines lack packets, one by one and many in a row, has all of them from the TCP replay, in order and whole; a server that cuts connections
// off is asked again.
func TestReplayFillsHoles(t *testing.T) {
	a, last := archived(t, 1<<14)
	for _, cut := range []int{0, 40} {
		s, r := replays(t, a, sim.ReplayOptions{CutAfter: cut}, ReplayOptions{})
		sink := &bodies{t: t, a: a, next: 1}
		c := NewChannel(Config{
			Framing: packets{}, Link: r.Link(), Wait: time.Millisecond, HoldMax: time.Hour, Retry: 300 * time.Millisecond, Tries: 32, AskMessages: 2_000, AskAtOnce: 1,
		}, sink)
		random, missing := rand.New(rand.NewPCG(1, 2)), uint64(0)
		for n, skip := uint32(1), 0; n <= last; n++ {
			if skip == 0 && random.IntN(100) == 0 {
				skip = 1 + random.IntN(100)
			}
			if skip > 0 && n > 1 && n < last { // on both lines
				skip--
				missing++
				continue
			}
			c.Packet(&nic.Packet{Data: a.Get(n), TsRecv: wall()}, wall())
			c.Tick(wall())
		}
		tickUntil(t, c, func() bool { return c.Next() == uint64(last)+1 })
		if uint64(sink.again) != missing || sink.closed != missing || missing < 500 || c.Session.Lost != 0 {
			t.Errorf("cut %d: %d replayed, %d closed of %d missing: %+v", cut, sink.again, sink.closed, missing, c.Session)
		}
		if n := r.Counters(); n.Handed < missing || n.Requests == 0 || (cut == 0) != (n.Failed == 0) {
			t.Errorf("cut %d: %+v, %+v", cut, n, s.Counters())
		}
	}
}
