package mold

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/pcap"
	"github.com/tickwire/tickwire/parsers/moldudp64"
)

// counting is a source of messages that hold their own number, of different lengths; the times have pauses and bursts.
type counting struct {
	n, most uint64
	r       random
	ts      uint64
}

func (c *counting) Next(dst []byte) ([]byte, bool) {
	if c.n == c.most {
		return dst, false
	}
	c.n++
	switch x := c.r.below(1000); {
	case x < 2:
		c.ts += c.r.below(4_000_000_000)
	case x < 400:
		c.ts += c.r.below(100_000)
	case x < 600:
		c.ts += c.r.below(1_000)
	}
	return append(binary.BigEndian.AppendUint64(dst, c.n), make([]byte, c.r.below(60))...), true
}

func (c *counting) Time() uint64 { return c.ts }

// TestPacker: any messages, any packet length: packets are within bounds, whole, and have all messages in order.
func TestPacker(t *testing.T) {
	for _, payload := range []int{MinPayload, 200, DefaultPayload, MaxPayload} {
		id, err := SessionID("A")
		if err != nil {
			t.Fatal(err)
		}
		p, err := NewPacker(id, payload)
		if err != nil {
			t.Fatal(err)
		}
		r := random{7}
		next, packets := uint64(1), 0
		take := func(packet []byte) {
			if packet == nil {
				return
			}
			h, blocks, err := moldudp64.Parse(packet)
			if err != nil || len(packet) > payload || h.Sequence != next || h.Session != id {
				t.Fatalf("packet of %d bytes, %+v, want message %d: %v", len(packet), h, next, err)
			}
			if whole, used := moldudp64.Walk(blocks, int(h.Count)); whole != int(h.Count) || used != len(blocks) {
				t.Fatalf("%d of %d blocks in %d of %d bytes", whole, h.Count, used, len(blocks))
			}
			for range h.Count {
				m := blocks[2 : 2+binary.BigEndian.Uint16(blocks)]
				if len(m) > 0 && m[0] != byte(next) {
					t.Fatalf("message %d is another one", next)
				}
				blocks, next = blocks[2+len(m):], next+1
			}
			packets++
		}
		for n := uint64(1); n <= 20_000; n++ {
			full, err := p.Add(bytes.Repeat([]byte{byte(n)}, int(r.below(80))))
			if err != nil {
				t.Fatal(err)
			}
			take(full)
			if r.below(50) == 0 {
				take(p.Flush())
			}
			if r.below(50) == 0 { // says what comes next, and disturbs nothing
				h, rest, err := moldudp64.Parse(p.Heartbeat())
				if err != nil || len(rest) != 0 || h.Count != 0 || h.Sequence+uint64(p.Pending()) != p.Next() || p.Next() != n+1 {
					t.Fatalf("heartbeat %+v after message %d: %v", h, n, err)
				}
			}
		}
		take(p.Flush())
		if p.Flush() != nil || next != 20_001 {
			t.Errorf("payload %d: next is %d", payload, next)
		}
		if h, _, _ := moldudp64.Parse(p.EndOfSession()); h.Count != moldudp64.EndOfSession || h.Sequence != 20_001 {
			t.Errorf("end of session %+v", h)
		}
	}
}

func TestPackerBounds(t *testing.T) {
	id, _ := SessionID("A")
	for _, payload := range []int{-1, 1, MinPayload - 1, MaxPayload + 1} {
		if _, err := NewPacker(id, payload); err == nil {
			t.Errorf("packets of %d bytes were taken", payload)
		}
	}
	for _, name := range []string{"", "12345678901", "a\nb"} {
		if _, err := SessionID(name); err == nil {
			t.Errorf("session %q was taken", name)
		}
	}
	p, err := NewPacker(id, MinPayload)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Add(make([]byte, MinPayload-moldudp64.HeaderBytes-2)); err != nil {
		t.Errorf("a message that just fits: %v", err)
	}
	if _, err := p.Add(make([]byte, MinPayload-moldudp64.HeaderBytes-1)); err == nil || p.Next() != 2 {
		t.Errorf("a message that fits no packet was taken, next is %d", p.Next())
	}
	message := make([]byte, 36)
	if n := testing.AllocsPerRun(1000, func() { _, _ = p.Add(message) }); n != 0 {
		t.Errorf("%g allocations a message", n)
	}
}

// receiver is what a channel delivers.
type receiver struct {
	got   []uint64 // numbers in messages
	lost  uint64
	ended int
	fault string
}

func (r *receiver) Messages(blocks []byte, first uint64, count int, _ session.Arrival) {
	for n := range uint64(count) {
		m := blocks[2 : 2+binary.BigEndian.Uint16(blocks)]
		blocks = blocks[2+len(m):]
		number := binary.BigEndian.Uint64(m)
		if number != first+n {
			r.fault = "a message has another number than its packet says"
		}
		r.got = append(r.got, number)
	}
}
func (r *receiver) Gap(g session.Gap)     { r.lost += g.Last - g.First + 1 }
func (r *receiver) SessionStart([10]byte) {}
func (r *receiver) SessionEnd([10]byte)   { r.ended++ }

// receive runs a capture through arbitration, checking that its frames are in the order of their times.
func receive(t *testing.T, capture []byte) (*receiver, *session.Channel) {
	t.Helper()
	src, err := pcap.NewReader(bytes.NewReader(capture))
	if err != nil {
		t.Fatal(err)
	}
	var got receiver
	c := session.NewChannel(session.Config{}, &got)
	packets := make([]nic.Packet, 1)
	now := uint64(0)
	for {
		n, err := src.Poll(packets)
		for i := range packets[:n] {
			p := &packets[i]
			if p.TsRecv < now {
				t.Fatalf("frame %d is %d ns before the one before it", p.Frame, now-p.TsRecv)
			}
			now = p.TsRecv
			c.Tick(now)
			switch p.Group {
			case defaultA.Group:
			case defaultB.Group:
				p.Line = 1
			default:
				t.Fatalf("frame %d goes to %v", p.Frame, p.Group)
			}
			c.Packet(p, now)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	c.Flush(now)
	return &got, c
}

func capture(t *testing.T, o CaptureOptions, messages uint64) ([]byte, Counters) {
	t.Helper()
	var b bytes.Buffer
	c, err := WriteCapture(&b, &counting{most: messages, r: random{1}}, o)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), c
}

// TestArbitration: what lines lose, the channel names, and nothing else; what one line has comes through, in order.
func TestArbitration(t *testing.T) {
	const n = 50_000
	for _, tc := range []struct {
		name string
		o    CaptureOptions
		lost bool
	}{
		{"clean", CaptureOptions{}, false},
		{"A lossy, late, repeated", CaptureOptions{A: Line{LossPPM: 100_000, ReorderPPM: 50_000, DuplicatePPM: 50_000}}, false},
		{"B silent", CaptureOptions{B: Line{LossPPM: perMillion}}, false},
		{"both lossy", CaptureOptions{A: Line{LossPPM: 50_000}, B: Line{LossPPM: 80_000}}, true},
		{"everything", CaptureOptions{
			A: Line{LossPPM: 50_000, ReorderPPM: 100_000, DuplicatePPM: 100_000}, B: Line{LossPPM: 50_000, ReorderPPM: 100_000}, Seed: 9, VLAN: 7,
		}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			file, c := capture(t, tc.o, n)
			got, channel := receive(t, file)
			if got.fault != "" {
				t.Fatal(got.fault)
			}
			if !slices.IsSorted(got.got) || uint64(len(got.got))+got.lost != n || got.ended != 1 {
				t.Errorf("%d messages and %d lost of %d, %d ends", len(got.got), got.lost, n, got.ended)
			}
			if got.lost != c.LostMessages || tc.lost != (c.LostMessages > 0) {
				t.Errorf("%d are lost, the lines lost %d on both: %+v", got.lost, c.LostMessages, c)
			}
			for i := range c.Lines {
				l := &c.Lines[i]
				if l.Sent != c.Packets-l.Lost+l.Duplicated || channel.Lines[i].Packets != l.Sent {
					t.Errorf("line %c: %d packets came, counters %+v", 'A'+i, channel.Lines[i].Packets, *l)
				}
			}
			if again, _ := capture(t, tc.o, n); !bytes.Equal(again, file) {
				t.Error("a second run gives other bytes")
			}
		})
	}
}

// TestFaultsAreApart: a line's faults do not hang on the other's, and shares are what they should be.
func TestFaultsAreApart(t *testing.T) {
	times := func(b Line) (at []uint64) {
		l, err := NewLines(Line{LossPPM: 100_000, ReorderPPM: 20_000, DuplicatePPM: 20_000}, b, 3, func(line int, ts uint64, _ []byte) error {
			if line == 0 {
				at = append(at, ts)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for n := range uint64(100_000) {
			if err := l.Send(n*1000, []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		c := l.Counters().Lines[0]
		if c.Lost < 9_500 || c.Lost > 10_500 || c.Late < 1_600 || c.Late > 2_000 || c.Duplicated < 1_600 || c.Duplicated > 2_000 {
			t.Errorf("%+v", c)
		}
		return at
	}
	if !slices.Equal(times(Line{}), times(Line{LossPPM: 500_000, ReorderPPM: 1000})) {
		t.Error("line A changes with line B's options")
	}
	if _, err := NewLines(Line{}, Line{LossPPM: perMillion + 1}, 0, nil); err == nil {
		t.Error("more than all packets lost")
	}
}

// TestPlay: packets have what comes together, heartbeats fill pauses, the end is told three times.
func TestPlay(t *testing.T) {
	var singles, full, beats, ends int
	last, next := uint64(0), uint64(1)
	src := &counting{most: 30_000, r: random{2}}
	told := uint64(0)
	err := Play(src, PlayOptions{Progress: func(n uint64) { told = n }}, func(ts uint64, packet []byte, end bool) error {
		h, _, err := moldudp64.Parse(packet)
		if err != nil || h.Sequence != next || ts < last || last != 0 && ts > last+1_000_000_000+20_000 {
			t.Fatalf("%+v at %d, want message %d after %d: %v", h, ts, next, last, err)
		}
		last = ts
		switch {
		case end != (h.Count == moldudp64.EndOfSession):
			t.Fatalf("end is %v for %+v", end, h)
		case end:
			ends++
			return nil
		case h.Count == 0:
			beats++
		case h.Count == 1:
			singles++
		case len(packet) > DefaultPayload-100:
			full++
		}
		next += uint64(h.Count)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if singles == 0 || beats < 10 || ends != endPackets || next != 30_001 || told != 30_000 {
		t.Errorf("%d packets of one message, %d full, %d heartbeats, %d ends, %d messages, told %d", singles, full, beats, ends, next-1, told)
	}
}

type brokenDisk struct{ left int }

func (d *brokenDisk) Write(b []byte) (int, error) {
	if d.left -= len(b); d.left < 0 {
		return 0, errFull
	}
	return len(b), nil
}

var errFull = errors.New("no space left")

func TestCaptureFaults(t *testing.T) {
	src := func() Source { return &counting{most: 50_000} }
	if _, err := WriteCapture(&brokenDisk{1 << 20}, src(), CaptureOptions{}); !errors.Is(err, errFull) {
		t.Errorf("full disk: %v", err)
	}
	for _, o := range []CaptureOptions{
		{Play: PlayOptions{Session: "far too long for it"}}, {Play: PlayOptions{PayloadBytes: 5}}, {A: Line{DuplicatePPM: perMillion + 1}},
	} {
		if _, err := WriteCapture(io.Discard, src(), o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}
