package exchange

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	glimpseclient "github.com/tickwire/tickwire/feed/session/glimpse"
	"github.com/tickwire/tickwire/parsers/moldudp64"
	"github.com/tickwire/tickwire/sim/glimpse"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/sim/mold"
)

var anyPort = netip.MustParseAddrPort("127.0.0.1:0")

// again asks for messages [first, last] until all have come, and appends them as a BinaryFILE has them.
func again(t *testing.T, server netip.AddrPort, session [10]byte, dst []byte, first, last uint64) []byte {
	t.Helper()
	conn, err := net.Dial("udp", server.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	buf := make([]byte, 1<<16)
	for patience := time.Now().Add(20 * time.Second); first <= last; {
		if time.Now().After(patience) {
			t.Fatalf("message %d was not sent again", first)
		}
		request := moldudp64.AppendRequest(nil, session, first, int(last-first+1))
		if _, err := conn.Write(request); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		n, err := conn.Read(buf)
		if err != nil {
			continue
		}
		h, blocks, err := moldudp64.Parse(buf[:n])
		if err != nil || h.Session != session || h.Sequence != first {
			continue
		}
		whole, used := moldudp64.Walk(blocks, int(h.Count))
		if whole != int(h.Count) || used != len(blocks) || first+uint64(whole)-1 > last {
			continue // spoilt
		}
		dst = append(dst, blocks...)
		first += uint64(whole)
	}
	return dst
}

// TestRequests: what is lost on both lines is sent again, also by a server that loses and spoils answers: together it is the truth.
func TestRequests(t *testing.T) {
	groups := loGroups(t)
	l := listen(t, groups, [2]string{"lo", "lo"})
	o := quick(20_000)
	o.Lines = mold.LinesOptions{BothPPM: 10_000, BothPackets: 5, A: mold.Line{Group: groups[0]}, B: mold.Line{Group: groups[1]}}
	o.Requests = Requests{Addr: anyPort, RequestOptions: mold.RequestOptions{LossPPM: 100_000, WrongPPM: 200_000}}
	o.Expect = filepath.Join(t.TempDir(), "truth")
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	h := hear(l.all())
	c := e.Counters()
	s, truth := h.sessions[0], readTruth(t, o.Expect)
	if len(s.lost) == 0 || c.Gone != 0 || c.LostMessages == 0 {
		t.Fatalf("%d holes, %+v", len(s.lost), c)
	}
	var got []byte
	at := uint64(1)
	for _, g := range s.lost {
		for ; at < g.First; at++ {
			n := 2 + int(binary.BigEndian.Uint16(s.blocks))
			got, s.blocks = append(got, s.blocks[:n]...), s.blocks[n:]
		}
		got, at = again(t, e.RequestAddr(), s.id, got, g.First, g.Last), g.Last+1
	}
	if got = append(got, s.blocks...); !bytes.Equal(got, truth) {
		t.Errorf("%d messages with those sent again, %d are true", count(got), count(truth))
	}
	if r := e.Counters().Requests; r.Requests == 0 || r.Messages < c.LostMessages || r.Spoilt == 0 {
		t.Errorf("%+v", r)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestSnapshot: a snapshot taken in the middle and the stream from its number on come to the same books as the whole session.
func TestSnapshot(t *testing.T) {
	groups := loGroups(t)
	l := listen(t, groups, [2]string{"lo", "lo"})
	o := Options{
		Gen: itchgen.Options{Messages: 60_000, Symbols: 20, Seed: 3}, Pace: "60000/s", Heartbeat: 20 * time.Millisecond,
		Snapshots: Snapshots{Addr: anyPort, Options: glimpse.Options{User: "ME", Password: "secret"}},
	}
	o.Lines.A.Group, o.Lines.B.Group = groups[0], groups[1]
	o.Expect = filepath.Join(t.TempDir(), "truth")
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- e.Run(context.Background()) }()
	for patience := time.Now().Add(20 * time.Second); e.Messages() < 20_000 && time.Now().Before(patience); {
		time.Sleep(time.Millisecond)
	}
	var joined glimpse.State
	next, err := glimpseclient.Fetch(context.Background(), glimpseclient.Config{Server: e.SnapshotAddr().String(), User: "ME", Password: "secret"},
		func(blocks []byte, count int) error {
			apply(&joined, blocks, count)
			return nil
		})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(<-done, e.Close()); err != nil {
		t.Fatal(err)
	}
	s := hear(l.all()).sessions[0]
	truth := readTruth(t, o.Expect)
	if next < 10_000 || next > 60_000 || len(s.lost) != 0 {
		t.Fatalf("the snapshot goes on with %d; %d holes", next, len(s.lost))
	}
	apply(&joined, moldudp64.Skip(s.blocks, int(next-1)), 1<<30)
	var whole glimpse.State
	apply(&whole, truth, 1<<30)
	a, _ := joined.Snapshot(nil)
	b, number := whole.Snapshot(nil)
	if !bytes.Equal(a, b) || number != 60_001 || whole.Orders() == 0 {
		t.Errorf("%d orders after the snapshot, %d in truth, next is %d", joined.Orders(), whole.Orders(), number)
	}
	if c := e.Counters(); c.Snapshots.Snapshots != 1 || c.Snapshots.Rejected != 0 {
		t.Errorf("%+v", c.Snapshots)
	}
}

func apply(s *glimpse.State, blocks []byte, count int) {
	for ; count > 0 && len(blocks) > 0; count-- {
		n := 2 + int(binary.BigEndian.Uint16(blocks))
		s.Apply(blocks[2:n])
		blocks = blocks[n:]
	}
}
