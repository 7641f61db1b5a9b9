package mold_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/pcap"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/sim/mold"
	"github.com/tickwire/tickwire/tick"
)

// TestITCH: a generated session on two lossy lines: every message that comes through is the generated one.
func TestITCH(t *testing.T) {
	o := itchgen.Options{Messages: 100_000, Symbols: 100, Seed: 4}
	g, err := itchgen.New(o)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	c, err := mold.WriteCapture(&file, g, mold.CaptureOptions{A: mold.Line{LossPPM: 20_000}, B: mold.Line{LossPPM: 20_000}})
	if err != nil {
		t.Fatal(err)
	}
	if g, err = itchgen.New(o); err != nil {
		t.Fatal(err)
	}
	src, err := pcap.NewReader(&file)
	if err != nil {
		t.Fatal(err)
	}
	seen := matcher{t: t, g: g, next: 1}
	channel := session.NewChannel(session.Config{}, &seen)
	packets := make([]nic.Packet, 1)
	for err == nil {
		var n int
		if n, err = src.Poll(packets); n == 1 {
			if packets[0].Group.Addr().String() == "233.49.196.111" {
				packets[0].Line = 1
			}
			channel.Tick(packets[0].TsRecv)
			channel.Packet(&packets[0], packets[0].TsRecv)
		}
	}
	if !errors.Is(err, io.EOF) || seen.next != o.Messages+1 || seen.lost != c.LostMessages || seen.lost == 0 {
		t.Errorf("%d messages, %d lost, want %d: %v", seen.next-1, seen.lost, c.LostMessages, err)
	}
}

// TestITCHRecovered: the same, with a re-request server over the loopback interface: every message comes through.
func TestITCHRecovered(t *testing.T) {
	o := itchgen.Options{Messages: 100_000, Symbols: 100, Seed: 4}
	g, err := itchgen.New(o)
	if err != nil {
		t.Fatal(err)
	}
	id, err := mold.SessionID("SIM0000001")
	if err != nil {
		t.Fatal(err)
	}
	sent := mold.NewLog(id, 0)
	for msg, ok := g.Next(nil); ok; msg, ok = g.Next(msg[:0]) {
		if err := sent.Append(msg); err != nil {
			t.Fatal(err)
		}
	}
	server, err := mold.NewRequestServer(func([10]byte) *mold.Log { return sent }, netip.MustParseAddrPort("127.0.0.1:0"),
		mold.RequestOptions{Interface: "lo", LossPPM: 50_000, WrongPPM: 50_000})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	asker, err := session.NewRequester([]netip.AddrPort{server.Addr()}, session.RequesterOptions{Interface: "lo"})
	if err != nil {
		t.Fatal(err)
	}
	defer asker.Close()

	var file bytes.Buffer
	if g, err = itchgen.New(o); err != nil {
		t.Fatal(err)
	}
	c, err := mold.WriteCapture(&file, g, mold.CaptureOptions{A: mold.Line{LossPPM: 50_000}, B: mold.Line{LossPPM: 50_000, DelayNs: 400_000}})
	if err != nil {
		t.Fatal(err)
	}
	if g, err = itchgen.New(o); err != nil {
		t.Fatal(err)
	}
	src, err := pcap.NewReader(&file)
	if err != nil {
		t.Fatal(err)
	}
	seen := matcher{t: t, g: g, next: 1}
	channel := session.NewChannel(session.Config{Link: asker.Link(), HoldMax: time.Hour, Tries: 32}, &seen)
	packets, now, late := make([]nic.Packet, 1), uint64(0), time.Now().Add(time.Minute)
	for err == nil {
		var n int
		if n, err = src.Poll(packets); n == 1 {
			if packets[0].Group.Addr().String() == "233.49.196.111" {
				packets[0].Line = 1
			}
			now = max(now, packets[0].TsRecv)
			channel.Tick(now)
			channel.Packet(&packets[0], now)
		}
		for channel.State() == session.StateRecovering { // the capture's time waits for the server's
			now += 100_000
			channel.Tick(now)
			if time.Sleep(50 * time.Microsecond); time.Now().After(late) {
				t.Fatalf("still waiting: %+v, %+v", channel.Ask, channel.Recovery)
			}
		}
	}
	if !errors.Is(err, io.EOF) || seen.next != o.Messages+1 || seen.lost != 0 || !channel.Ended() || channel.Ask.Recovered < c.LostMessages || c.LostMessages == 0 {
		t.Errorf("%d messages, %d lost, %d of %d recovered, ended %v: %v", seen.next-1, seen.lost, channel.Ask.Recovered, c.LostMessages, channel.Ended(), err)
	}
}

// matcher compares with a second run of the generator.
type matcher struct {
	t    *testing.T
	g    *itchgen.Gen
	next uint64
	lost uint64
	buf  []byte
}

func (m *matcher) Messages(blocks []byte, first uint64, count int, _ session.Arrival) {
	for n := range uint64(count) {
		m.buf, _ = m.g.Next(m.buf[:0])
		length := int(binary.BigEndian.Uint16(blocks))
		if first+n != m.next || !bytes.Equal(blocks[2:2+length], m.buf) {
			m.t.Fatalf("message %d is another one", first+n)
		}
		blocks, m.next = blocks[2+length:], m.next+1
	}
}

func (m *matcher) Gap(g session.Gap) {
	if g.State != tick.GapLost {
		return
	}
	for ; m.next <= g.Last; m.next++ {
		m.buf, _ = m.g.Next(m.buf[:0])
		m.lost++
	}
}
func (m *matcher) SessionStart([10]byte) {}
func (m *matcher) SessionEnd([10]byte)   {}
