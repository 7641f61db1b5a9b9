package session

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tickwire/tickwire/parsers/moldudp64"
)

// TestStrays: packets that contradict the stream, or come from another, one thing each.
func TestStrays(t *testing.T) {
	p := func(first uint64, count int) []byte { return packet(sessionOne, first, count) }
	q := func(first uint64, count int) []byte { return packet(sessionTwo, first, count) }
	wait := Config{Wait: 10 * time.Millisecond}
	quiet := Config{Wait: 10 * time.Millisecond, Quiet: 100 * time.Millisecond}
	const away = 1 << 40
	for _, tc := range []struct {
		name  string
		cfg   Config
		steps []step
		want  string
	}{
		{"the first packet lies, still held", wait, []step{{0, 0, p(1<<63, 1)}, {1, 0, p(1, 1)}, {20, 0, p(2, 1)}}, "start 001, start 001, 1-1, 2-2"},
		{"the first packet lies, given up", wait, []step{{0, 0, p(away, 1)}, {20, 0, p(1, 1)}, {21, 0, p(2, 1)}},
			fmt.Sprintf("start 001, gap 1-%d state3, %d-%d, start 001, 1-1, 2-2", away-1, away, away)},
		{"the first packet lies about the end", wait, []step{{0, 0, endOf(sessionOne, 1<<63)}, {1, 0, p(1, 1)}, {20, 0, p(2, 1)}, {21, 0, endOf(sessionOne, 3)}},
			"start 001, start 001, 1-1, 2-2, end 001"},
		{"a start that was borne out stays", wait, []step{{0, 0, p(away, 1)}, {20, 0, p(away+1, 1)}, {21, 1, p(1, 1)}, {22, 0, p(away+2, 1)}},
			fmt.Sprintf("start 001, gap 1-%d state3, %d-%d, %d-%d, %d-%d", away-1, away, away, away+1, away+1, away+2, away+2)},
		{"far ahead on both lines, which alternate", wait, []step{{0, 0, p(1, 1)}, {1, 0, p(away+2, 1)}, {1, 1, p(away+1, 1)}, {2, 0, p(away+3, 1)},
			{2, 1, p(away+2, 1)}, {20, 0, nil}}, fmt.Sprintf("start 001, 1-1, gap 2-%d state3, %d-%d, %d-%d", away+1, away+2, away+2, away+3, away+3)},
		{"far ahead, and the second packet of it is lost", wait, []step{{0, 0, p(1, 1)}, {1, 0, p(away, 2)}, {2, 0, p(away+7, 1)}, {20, 0, nil}},
			fmt.Sprintf("start 001, 1-1, gap 2-%d state3, %d-%d", away+6, away+7, away+7)},
		{"a heartbeat far ahead, copied by the other line", wait, []step{{0, 0, p(1, 1)}, {1, 0, heartbeat(sessionOne, 1<<63)},
			{1, 1, heartbeat(sessionOne, 1<<63)}, {20, 0, p(2, 1)}}, "start 001, 1-1, 2-2"},
		{"two far ahead with the stream between", wait, []step{{0, 0, p(1, 1)}, {1, 0, p(away, 1)}, {2, 0, p(2, 1)}, {3, 0, p(away+1, 1)}, {20, 0, p(3, 1)}},
			"start 001, 1-1, 2-2, 3-3"},
		{"as far as is believed", wait, []step{{0, 0, p(1, 1)}, {1, 0, p(2+farthest, 1)}, {20, 0, nil}},
			fmt.Sprintf("start 001, 1-1, gap 2-%d state3, %d-%d", 1+farthest, 2+farthest, 2+farthest)},
		{"one farther", wait, []step{{0, 0, p(1, 1)}, {1, 0, p(3+farthest, 1)}, {20, 0, p(2, 1)}}, "start 001, 1-1, 2-2"},
		{"a slow line brings the first packet of the session before", wait,
			[]step{{0, 0, p(1, 1)}, {1, 0, q(1, 1)}, {2, 1, p(1, 1)}, {3, 1, q(1, 1)}, {4, 0, q(2, 1)}}, "start 001, 1-1, start 002, 1-1, 2-2"},
		{"the end of an empty session is repeated", wait,
			[]step{{0, 0, endOf(sessionOne, 1)}, {1, 0, q(1, 1)}, {2, 0, endOf(sessionOne, 1)}, {3, 0, q(2, 1)}}, "start 001, end 001, start 002, 1-1, 2-2"},
		{"the session before, when the present one has ended", wait,
			[]step{{0, 0, p(1, 1)}, {1, 0, q(1, 1)}, {2, 0, endOf(sessionTwo, 2)}, {3, 1, p(2, 1)}, {4, 0, q(1, 1)}}, "start 001, 1-1, start 002, 1-1, end 002"},
		{"the session before, after silence", quiet, []step{{0, 0, p(1, 1)}, {1, 0, q(1, 1)}, {101, 0, p(2, 1)}, {120, 0, nil}},
			"start 001, 1-1, start 002, 1-1, start 001, gap 1-1 state3, 2-2"},
		{"an invented session takes over, the true one comes back", quiet, []step{{0, 0, p(1, 1)}, {1, 0, q(1, 1)}, {2, 0, p(2, 1)}, {101, 0, p(3, 1)}, {120, 0, nil}},
			"start 001, 1-1, start 002, 1-1, start 001, gap 1-2 state3, 3-3"},
		{"the session counts from 1 again, after silence", quiet, []step{{0, 0, p(1, 3)}, {1, 0, p(5, 1)}, {102, 0, p(1, 1)}, {103, 1, p(1, 1)}, {104, 0, p(2, 9)}},
			"start 001, 1-3, gap 4-4 state3, 5-5, start 001, 1-1, 2-10"},
		{"so says a heartbeat", quiet, []step{{0, 0, p(1, 3)}, {1, 0, endOf(sessionOne, 4)}, {102, 0, heartbeat(sessionOne, 1)}, {200, 0, heartbeat(sessionOne, 1)},
			{201, 0, p(1, 1)}}, "start 001, 1-3, end 001, start 001, 1-1"},
		{"the first packet once more, sooner", quiet, []step{{0, 0, p(1, 3)}, {99, 0, p(1, 3)}, {190, 1, p(1, 3)}, {191, 0, p(4, 1)}}, "start 001, 1-3, 4-4"},
		{"an empty session's end, after silence", quiet, []step{{0, 0, p(1, 3)}, {102, 0, endOf(sessionOne, 1)}, {103, 0, p(4, 1)}}, "start 001, 1-3, 4-4"},
		{"an end before what exists", wait, []step{{0, 0, p(1, 5)}, {1, 0, endOf(sessionOne, 3)}, {2, 0, q(9, 1)}, {3, 0, p(6, 1)}, {4, 0, endOf(sessionOne, 7)}},
			"start 001, 1-5, 6-6, end 001"},
		{"messages after the end", wait, []step{{0, 0, p(1, 1)}, {1, 0, endOf(sessionOne, 2)}, {2, 0, p(2, 1)}, {3, 0, q(9, 1)}, {4, 0, p(3, 1)}, {5, 0, endOf(sessionOne, 4)}},
			"start 001, 1-1, end 001, 2-2, 3-3, end 001"},
		{"messages beyond an end that is waited for", wait, []step{{0, 0, p(1, 1)}, {1, 0, endOf(sessionOne, 3)}, {2, 0, p(3, 1)}, {3, 1, p(2, 1)}}, "start 001, 1-1, 2-2, 3-3"},
		{"beyond the last number", wait, []step{{0, 0, p(1, 1)}, {1, 0, p(math.MaxUint64, 2)}, {2, 0, p(2, 1)}}, "start 001, 1-1, 2-2"},
		{"no room, and the packet at hand lies in the hole", Config{Wait: time.Hour, HoldPackets: 1}, []step{{0, 0, p(1, 1)}, {1, 0, p(10, 1)}, {2, 1, p(5, 2)}, {3, 1, p(7, 3)}},
			"start 001, 1-1, gap 2-4 state3, 5-6, 7-9, 10-10"},
		{"more messages than may be held", Config{Wait: time.Hour, HoldMessages: 2}, []step{{0, 0, p(1, 1)}, {1, 0, p(4, 3)}}, "start 001, 1-1, gap 2-3 state3, 4-6"},
		{"wait 0 is the default", Config{}, []step{{0, 0, p(1, 1)}, {1, 0, p(3, 1)}, {2, 0, nil}, {3, 0, nil}}, "start 001, 1-1, gap 2-2 state3, 3-3"},
		{"the clock is set back", wait, []step{{50, 0, p(1, 1)}, {51, 0, p(3, 1)}, {40, 1, nil}, {49, 1, p(2, 1)}, {49, 0, p(5, 1)}, {30, 0, nil}, {39, 0, nil}},
			"start 001, 1-1, 2-2, 3-3"},
		{"the clock is set back, and the hole is waited for anew", wait, []step{{50, 0, p(1, 1)}, {51, 0, p(3, 1)}, {20, 0, nil}, {30, 0, nil}}, "start 001, 1-1, gap 2-2 state3, 3-3"},
		{"the clock is set back, and that is no silence", wait, []step{{50, 0, p(1, 1)}, {49, 0, q(7, 1)}, {51, 0, p(2, 1)}}, "start 001, 1-1, 2-2"},
		{"a count without a block", wait, []step{{0, 0, p(1, 1)}, {1, 0, p(2, 3)[:20]}, {2, 1, p(2, 3)}}, "start 001, 1-1, 2-4"},
		{"a count of 65,534 without a block", wait, []step{{0, 0, p(1, 1)},
			{1, 0, moldudp64.AppendHeader(nil, moldudp64.Header{Session: sessionOne, Sequence: 2, Count: moldudp64.MaxRequest})}, {2, 1, p(2, 1)}, {3, 1, p(3, 1)}}, "start 001, 1-1, 2-2, 3-3"},
	} {
		_, l := play(t, tc.cfg, tc.steps)
		if got := strings.Join(l.lines, ", "); got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.name, got, tc.want)
		}
	}
}

// TestStrayCounters: each stray is counted on the line it came on, and none as something else.
func TestStrayCounters(t *testing.T) {
	p := func(first uint64, count int) []byte { return packet(sessionOne, first, count) }
	c, _ := play(t, Config{}, []step{
		{0, 1, p(1<<63, 1)}, {1, 0, p(1, 5)}, {2, 0, endOf(sessionOne, 3)}, {3, 0, p(math.MaxUint64, 2)}, {3, 1, p(1<<62, 1)},
		{4, 0, packet(sessionTwo, 2, 1)}, {5, 0, endOf(sessionOne, 6)},
	})
	a, b := c.Lines[0], c.Lines[1]
	a.Bytes, b.Bytes, a.LastAt, b.LastAt = 0, 0, 0, 0
	if want := (LineCounters{Packets: 3, Heartbeats: 2, Won: 1, Malformed: 1, Far: 1, Foreign: 1}); a != want {
		t.Errorf("line A %+v\n  want %+v", a, want)
	}
	if want := (LineCounters{Packets: 1, Won: 1, Far: 2}); b != want {
		t.Errorf("line B %+v\n  want %+v", b, want)
	}
	if want := (Counters{Sessions: 2, Messages: 5, Gaps: 1, HeldPackets: 1, LiveState: uint64(StateEnded)}); c.Session != want || !c.Ended() {
		t.Errorf("ended %v, %+v\n  want %+v", c.Ended(), c.Session, want)
	}
}

// TestLastNumbers: a session's numbers end with 2^64-2, so that the next one is a number too; a packet beyond is refused whole.
func TestLastNumbers(t *testing.T) {
	c, l := play(t, Config{}, []step{
		{0, 0, packet(sessionOne, math.MaxUint64-1, 1)}, {1, 0, packet(sessionOne, math.MaxUint64-1, 2)}, {2, 0, packet(sessionOne, math.MaxUint64, 3)},
		{3, 0, packet(sessionOne, math.MaxUint64, 1)}, {4, 0, endOf(sessionOne, math.MaxUint64)}, {20, 0, nil},
	})
	if m := c.Lines[0].Malformed; m != 3 || c.Lines[0].Duplicates != 0 || len(l.got) != 1 || c.Next() != math.MaxUint64 || !c.Ended() {
		t.Errorf("%d malformed, %v, next %d, ended %v", m, l.lines, c.Next(), c.Ended())
	}
}

// TestStraysChangeNothing: a stream with strays among its packets is delivered as without them.
func TestStraysChangeNothing(t *testing.T) {
	for seed := uint64(1); seed <= 1000; seed++ {
		r := rand.New(rand.NewPCG(seed, 2))
		var clean, strayed []step
		for first, at := uint64(1), uint64(0); first < 100; at++ {
			count := 1 + r.IntN(5)
			for line := range uint8(2) {
				if first == 1 || r.IntN(4) > 0 {
					s := step{at, line, packet(sessionOne, first, count)}
					clean, strayed = append(clean, s), append(strayed, s)
				}
				for range r.IntN(3) {
					strayed = append(strayed, step{at, uint8(r.IntN(2)), stray(r)})
				}
			}
			first += uint64(count)
		}
		clean, strayed = append(clean, step{1000, 0, nil}), append(strayed, step{1000, 0, nil})
		_, want := play(t, Config{}, clean)
		c, got := play(t, Config{}, strayed)
		if !slices.Equal(got.lines, want.lines) {
			t.Fatalf("seed %d:\n got %v\nwant %v", seed, got.lines, want.lines)
		}
		sum := uint64(0)
		for _, l := range c.Lines {
			sum += l.Packets + l.Foreign + l.Far + l.Zero + l.Short
		}
		if packets := uint64(len(strayed) - 1); sum != packets {
			t.Fatalf("seed %d: %d of %d packets are counted", seed, sum, packets)
		}
	}
}

// stray is a packet that must not change what is delivered, whenever it comes behind the first.
func stray(r *rand.Rand) []byte {
	other := sessionTwo
	binary.BigEndian.PutUint64(other[:], r.Uint64())
	switch r.IntN(8) {
	case 0:
		return packet(sessionOne, 1<<40+r.Uint64N(1<<63), 1)
	case 1:
		return heartbeat(sessionOne, 1<<40+r.Uint64N(1<<63))
	case 2:
		return endOf(sessionOne, 1<<40+r.Uint64N(1<<63))
	case 3:
		return endOf(sessionOne, 1)
	case 4:
		return packet(other, 2+r.Uint64N(200), 3)
	case 5:
		return packet(sessionOne, 1, 1)[:r.IntN(moldudp64.HeaderBytes)]
	case 6:
		return packet(sessionOne, 0, 2)
	default:
		return packet(sessionOne, math.MaxUint64-r.Uint64N(3), 4) // far ahead, or past the last number
	}
}
