package session

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"
)

// wordFraming is a venue without sessions that tells its resets: u8 kind, u64 sequence, u64 epoch, u8 count, then messages as length-prefixed
// blocks.
type wordFraming struct{}

func (wordFraming) Parse(p []byte) (h Header, blocks []byte, err error) {
	if len(p) < 18 {
		return h, nil, errors.New("short")
	}
	h = Header{Kind: PacketKind(p[0]), Sequence: binary.BigEndian.Uint64(p[1:]), Epoch: binary.BigEndian.Uint64(p[9:]), Count: uint16(p[17])}
	return h, p[18:], nil
}

func (wordFraming) Walk(blocks []byte, count int) (whole, used int) {
	return moldFraming{}.Walk(blocks, count)
}

func word(kind PacketKind, first, epoch uint64, count int) []byte {
	b := append([]byte{byte(kind)}, binary.BigEndian.AppendUint64(nil, first)...)
	b = append(binary.BigEndian.AppendUint64(b, epoch), byte(count))
	for i := range count {
		m := body(first + uint64(i))
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(m))), m...)
	}
	return b
}

// TestReset: a venue that numbers anew after a reset, and says it many times over.
func TestReset(t *testing.T) {
	data := func(first uint64, count int) []byte { return word(PacketData, first, 0, count) }
	reset := func(epoch uint64) []byte { return word(PacketReset, 1, epoch, 1) }
	cfg := Config{Framing: wordFraming{}, Wait: 10 * time.Millisecond}
	for _, tc := range []struct {
		name  string
		steps []step
		want  []string
	}{
		{"priming: the same reset over and over, on both lines",
			[]step{{0, 0, reset(7)}, {1, 1, reset(7)}, {2, 0, reset(7)}, {3, 0, data(2, 3)}, {4, 1, reset(7)}, {5, 1, data(2, 3)}},
			[]string{"start \x00\x00\x00", "1-1", "2-4"}},
		{"a new day: numbers begin again, at once",
			[]step{{0, 0, reset(7)}, {1, 0, data(2, 3)}, {2, 0, reset(9)}, {3, 0, data(2, 1)}},
			[]string{"start \x00\x00\x00", "1-1", "2-4", "start \x00\x00\x00", "1-1", "2-2"}},
		{"the slow line's copy of a reset that the fast one was done with",
			[]step{{0, 0, reset(7)}, {1, 0, data(2, 3)}, {2, 0, reset(9)}, {3, 0, data(2, 1)}, {4, 1, reset(7)}, {5, 1, reset(9)}, {6, 0, data(3, 1)}},
			[]string{"start \x00\x00\x00", "1-1", "2-4", "start \x00\x00\x00", "1-1", "2-2", "3-3"}},
		{"joined by what came behind the reset: line B still brings it, and the hole closes",
			[]step{{0, 0, data(2, 2)}, {5, 1, reset(7)}, {6, 1, data(2, 2)}, {7, 0, data(4, 1)}},
			[]string{"start \x00\x00\x00", "1-1", "2-3", "4-4"}},
		{"a late start, and a failover much later",
			[]step{{0, 0, data(5000, 1)}, {20, 0, data(5001, 1)}, {6000, 0, data(5002, 1)}, {6001, 0, reset(9)}, {6002, 0, data(2, 1)}},
			[]string{"start \x00\x00\x00", "gap 1-4999 state3", "5000-5000", "5001-5001", "5002-5002", "start \x00\x00\x00", "1-1", "2-2"}},
		{"a reset that numbers go on behind",
			[]step{{0, 0, data(1, 3)}, {1, 0, word(PacketReset, 4, 9, 1)}, {2, 0, data(5, 1)}, {3, 1, word(PacketReset, 4, 9, 1)}},
			[]string{"start \x00\x00\x00", "1-3", "4-4", "5-5"}},
		{"what is outside the sequence moves nothing",
			[]step{{0, 0, reset(7)}, {1, 0, word(PacketAside, 900, 0, 2)}, {2, 0, data(2, 1)}},
			[]string{"start \x00\x00\x00", "1-1", "2-2"}},
		{"a heartbeat shows the tail that is missing",
			[]step{{0, 0, reset(7)}, {1, 0, word(PacketHeartbeat, 4, 0, 0)}, {30, 0, nil}},
			[]string{"start \x00\x00\x00", "1-1", "gap 2-3 state3"}},
	} {
		c, l := play(t, cfg, tc.steps)
		if !slices.Equal(l.lines, tc.want) {
			t.Errorf("%s:\n got %q\nwant %q", tc.name, l.lines, tc.want)
		}
		if tc.name == "what is outside the sequence moves nothing" && c.Lines[0].Aside != 1 {
			t.Errorf("%s: counted %d", tc.name, c.Lines[0].Aside)
		}
	}
}

// sentFraming is wordFraming of a venue that says when it sent a packet: of data, the word that is the epoch of resets.
type sentFraming struct{ wordFraming }

func (f sentFraming) Parse(p []byte) (h Header, blocks []byte, err error) {
	if h, blocks, err = f.wordFraming.Parse(p); h.Kind != PacketReset {
		h.Sent, h.Epoch = h.Epoch, 0
	}
	return h, blocks, err
}

// TestResetBehindJoin: a feed that was started just before the venue counts anew: the reset is later than what the sequence was joined by, and so no
// repetition of the one before that. Taken for one, all that follows would count as old.
func TestResetBehindJoin(t *testing.T) {
	data := func(first, sent uint64) []byte { return word(PacketData, first, sent, 1) }
	for _, tc := range []struct {
		name  string
		steps []step
		want  []string
	}{
		{"the venue counts anew", []step{{0, 0, data(90, 10)}, {1, 0, data(91, 11)}, {20, 0, word(PacketReset, 1, 12, 1)}, {21, 1, word(PacketReset, 1, 12, 1)}, {22, 0, data(2, 13)}},
			[]string{"start \x00\x00\x00", "gap 1-89 state3", "90-90", "91-91", "start \x00\x00\x00", "1-1", "2-2"}},
		{"line B still brings the reset that was before", []step{{0, 0, data(2, 10)}, {1, 1, word(PacketReset, 1, 9, 1)}, {2, 0, data(3, 11)}},
			[]string{"start \x00\x00\x00", "1-1", "2-2", "3-3"}},
	} {
		if _, l := play(t, Config{Framing: sentFraming{}, Wait: 10 * time.Millisecond}, tc.steps); !slices.Equal(l.lines, tc.want) {
			t.Errorf("%s:\n got %q\nwant %q", tc.name, l.lines, tc.want)
		}
	}
}

// TestResetThatGoesOn: numbers go on behind a reset, as CME's do: it is a packet like any other, and so is the copy that the other line brings, however
// far behind, and even in a hole.
func TestResetThatGoesOn(t *testing.T) {
	data := func(first uint64) []byte { return word(PacketData, first, 0, 1) }
	reset := word(PacketReset, 5002, 9, 1)
	want := []string{"start \x00\x00\x00", "gap 1-4999 state3", "5000-5000", "5001-5001", "5002-5002", "5003-5003", "5004-5004"}
	for name, steps := range map[string][]step{
		"line B is behind":     {{0, 0, data(5000)}, {6000, 0, data(5001)}, {6001, 0, reset}, {6002, 1, reset}, {6003, 0, data(5003)}, {6004, 1, reset}, {6005, 0, data(5004)}},
		"line A did not bring": {{0, 0, data(5000)}, {6000, 0, data(5001)}, {6001, 0, data(5003)}, {6002, 1, reset}, {6003, 0, reset}, {6004, 0, data(5004)}},
	} {
		if _, l := play(t, Config{Framing: wordFraming{}, Wait: 10 * time.Millisecond}, steps); !slices.Equal(l.lines, want) {
			t.Errorf("%s:\n got %q\nwant %q", name, l.lines, want)
		}
	}
	late := []step{{0, 0, data(5000)}, {6000, 0, data(5001)}, {6001, 0, data(5003)}, {6050, 0, data(5004)}, {6060, 1, reset}, {6061, 0, data(5005)}}
	want = []string{"start \x00\x00\x00", "gap 1-4999 state3", "5000-5000", "5001-5001", "gap 5002-5002 state3", "5003-5003", "5004-5004", "5005-5005"}
	if _, l := play(t, Config{Framing: wordFraming{}, Wait: 10 * time.Millisecond}, late); !slices.Equal(l.lines, want) {
		t.Errorf("it comes when it was given up:\n got %q\nwant %q", l.lines, want)
	}
}
