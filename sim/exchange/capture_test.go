package exchange

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tickwire/tickwire/parsers/moldudp64"
	"github.com/tickwire/tickwire/sim/glimpse"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/sim/mold"
)

// TestCapture: a capture of two lines with faults is played as one session: all that either line had, in order.
func TestCapture(t *testing.T) {
	gen := itchgen.Options{Messages: 20_000, Symbols: 20, Seed: 3}
	for _, tc := range []struct {
		name string
		a, b mold.Line
	}{
		{"clean", mold.Line{}, mold.Line{}},
		{"one line", mold.Line{}, mold.Line{LossPPM: 1_000_000}},
		{"losses", mold.Line{LossPPM: 100_000, ReorderPPM: 100_000, DuplicatePPM: 50_000}, mold.Line{LossPPM: 100_000, DelayNs: 50_000_000}},
		{"damage", mold.Line{CorruptPPM: 200_000}, mold.Line{CorruptPPM: 200_000}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g, err := itchgen.New(gen)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "lines.pcap")
			f, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			made, err := mold.WriteCapture(f, g, mold.CaptureOptions{A: tc.a, B: tc.b})
			if err = errors.Join(err, f.Close()); err != nil {
				t.Fatal(err)
			}
			o := Options{Path: path, Pace: "100000/s", Heartbeat: 20 * time.Millisecond, Expect: filepath.Join(t.TempDir(), "truth")}
			packets, c := play(t, o)
			h := hear(packets)
			truth := readTruth(t, o.Expect)
			if len(h.sessions) != 1 || !bytes.Equal(h.sessions[0].blocks, truth) || h.ends != 1 {
				t.Fatalf("%d sessions, %d ends", len(h.sessions), h.ends)
			}
			if c.Missing != made.LostMessages || c.Messages+c.Missing != 20_000 || c.Gone != c.Missing || c.Sessions != 1 {
				t.Errorf("%d messages, %d missing, want %d: %+v", c.Messages, c.Missing, made.LostMessages, c)
			}
			lost := uint64(0)
			for _, g := range h.sessions[0].lost {
				lost += g.Last - g.First + 1
			}
			if lost != c.Missing {
				t.Errorf("a receiver lacks %d, want %d", lost, c.Missing)
			}
		})
	}
}

// TestMerger: sessions that change, strays that do not change them, and what comes too late.
func TestMerger(t *testing.T) {
	packet := func(session string, first uint64, messages ...string) []byte {
		id, err := mold.SessionID(session)
		if err != nil {
			t.Fatal(err)
		}
		b := moldudp64.AppendHeader(nil, moldudp64.Header{Session: id, Sequence: first, Count: uint16(len(messages))})
		for _, m := range messages {
			b, _ = moldudp64.AppendBlock(b, []byte(m))
		}
		return b
	}
	end := func(session string, next uint64) []byte {
		b := packet(session, next)
		b[18], b[19] = 0xFF, 0xFF
		return b
	}
	for _, tc := range []struct {
		name    string
		packets [][]byte
		want    string
		missing uint64
		strays  uint64
	}{
		{"both lines", [][]byte{packet("A", 1, "a", "b"), packet("A", 1, "a", "b"), packet("A", 3, "c"), packet("A", 3, "c")}, "A:ab A:c", 0, 0},
		{"out of order", [][]byte{packet("A", 1, "a"), packet("A", 4, "d"), packet("A", 2, "b", "c")}, "A:a A:bc A:d", 0, 0},
		{"overlap", [][]byte{packet("A", 1, "a", "b"), packet("A", 2, "b", "c"), packet("A", 5, "e"), packet("A", 3, "c", "d", "e", "f")}, "A:ab A:c A:def", 0, 0},
		{"hole", [][]byte{packet("A", 1, "a"), packet("A", 3, "c"), packet("A", 5, "e")}, "A:a A:c A:e", 2, 0},
		{"end", [][]byte{packet("A", 1, "a"), end("A", 4), end("A", 4)}, "A:a end", 2, 0},
		{"next day", [][]byte{packet("A", 7, "a"), end("A", 8), packet("B", 3, "x")}, "A:a end B:x", 0, 0},
		{"failover", [][]byte{packet("A", 7, "a"), packet("B", 1, "x"), packet("B", 2, "y")}, "A:a B:x B:y", 0, 0},
		{"strays", [][]byte{packet("A", 7, "a"), packet("B", 9, "x"), packet("A", 8, "b"), []byte("short"), packet("A", 0, "z"), packet("A", 1<<40, "z")}, "A:a A:b", 0, 4},
		{"a lie", [][]byte{append(packet("A", 1, "a"), 0, 9, 'x')}, "A:a", 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			m := &merger{held: map[uint64]heldPacket{}}
			m.began = func([10]byte, uint64) {}
			m.ended = func(uint64) error { got = append(got, "end"); return nil }
			m.out = func(_ uint64, packet []byte, count int) error {
				h, blocks, err := moldudp64.Parse(packet)
				if err != nil || int(h.Count) != count {
					t.Fatal(err, h.Count, count)
				}
				text := name(h.Session) + ":"
				for range count {
					text += string(blocks[2 : 2+int(blocks[1])])
					blocks = blocks[2+int(blocks[1]):]
				}
				got = append(got, text)
				return nil
			}
			for i, p := range tc.packets {
				if err := m.packet(uint64(i), p); err != nil {
					t.Fatal(err)
				}
			}
			if err := m.flush(); err != nil {
				t.Fatal(err)
			}
			if text := strings.Join(got, " "); text != tc.want || m.Missing != tc.missing || m.Strays != tc.strays {
				t.Errorf("%s, %d missing, %d strays; want %s, %d, %d", text, m.Missing, m.Strays, tc.want, tc.missing, tc.strays)
			}
		})
	}
}

// FuzzMerger: whatever a capture has, each session comes out in order, without repeats, in whole packets, and bounded.
func FuzzMerger(f *testing.F) {
	one := moldudp64.AppendHeader(nil, moldudp64.Header{Session: [10]byte([]byte("SESSION   ")), Sequence: 1, Count: 1})
	one, _ = moldudp64.AppendBlock(one, []byte("message"))
	f.Add(append(append([]byte{byte(len(one))}, one...), append([]byte{byte(len(one))}, one...)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		next := uint64(0)
		m := &merger{held: map[uint64]heldPacket{}}
		m.began = func(_ [10]byte, first uint64) { next = first }
		m.ended = func(uint64) error { return nil }
		m.out = func(_ uint64, packet []byte, count int) error {
			h, blocks, err := moldudp64.Parse(packet)
			if err != nil || h.Sequence < next || count == 0 || int(h.Count) != count || len(m.held) > mostHeld {
				t.Fatalf("%+v, next is %d: %v", h, next, err)
			}
			if whole, used := moldudp64.Walk(blocks, count); whole != count || used != len(blocks) {
				t.Fatalf("%d of %d blocks", whole, count)
			}
			next = h.Sequence + uint64(count)
			return nil
		}
		for ts := uint64(0); len(data) > 0; ts++ {
			n := min(1+int(data[0]), len(data))
			if err := m.packet(ts, data[1:n]); err != nil {
				t.Fatal(err)
			}
			data = data[n:]
		}
		if err := m.flush(); err != nil || len(m.held) != 0 {
			t.Fatal(err, len(m.held))
		}
	})
}

// TestSkip: numbers that a capture begins after, or lacks, count in the books.
func TestSkip(t *testing.T) {
	var s glimpse.State
	if err := skipTo(&s, 1000); err != nil || s.Next() != 1000 {
		t.Error(err, s.Next())
	}
	if err := skipTo(&s, 5); err != nil || s.Next() != 1000 {
		t.Error(err, s.Next())
	}
	if err := skipTo(&s, 1<<50); err == nil {
		t.Error("2^50 numbers were skipped")
	}
}

// TestBadFiles: files that cannot be played say what they are, and those that end within a message are played as far as they go.
func TestBadFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if _, err := New(Options{Path: write("text", []byte("some words in a file\n"))}); err == nil || !strings.Contains(err.Error(), "text") {
		t.Errorf("text: %v", err)
	}
	day, err := os.ReadFile(writeDay(t, 2_000))
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(Options{Path: write("cut", day[:len(day)-8]), Pace: "max", Ends: -1})
	if err != nil {
		t.Fatal(err)
	}
	err = e.Run(t.Context())
	if c := e.Counters(); err == nil || !strings.Contains(err.Error(), "cut: file: message 2000") || c.Messages != 1_999 {
		t.Errorf("%d messages: %v", c.Messages, err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	empty := []byte{0xD4, 0xC3, 0xB2, 0xA1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0}
	if e, err = New(Options{Path: write("empty.pcap", empty)}); err != nil {
		t.Fatal(err)
	}
	if err := e.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "no MoldUDP64") {
		t.Errorf("an empty capture: %v", err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}
