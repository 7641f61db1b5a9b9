package mold_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/pcap"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/sim/mold"
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
	for ; m.next <= g.Last; m.next++ {
		m.buf, _ = m.g.Next(m.buf[:0])
		m.lost++
	}
}
func (m *matcher) SessionStart([10]byte) {}
func (m *matcher) SessionEnd([10]byte)   {}
