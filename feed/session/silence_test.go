package session

import (
	"testing"
	"time"

	"github.com/tickwire/tickwire/nic"
)

// TestSilence: a line that was heard falls silent once, until it is heard again; one that never was does not, nor does any after the end, and a new
// session gives each its time anew.
func TestSilence(t *testing.T) {
	c := NewChannel(Config{SilentAfter: 100 * time.Millisecond}, nothing{})
	now := 1_000_000 * ms
	upTo := func(at uint64, lines ...uint8) { // heartbeats each 10 ms
		for ; now < 1_000_000*ms+at*ms; now += 10 * ms {
			for _, line := range lines {
				c.Packet(&nic.Packet{Data: heartbeat(c.id, max(c.next, 1)), Line: line}, now)
			}
			c.Tick(now)
		}
	}
	check := func(what string, a, b bool, silencesA, silencesB uint64) {
		t.Helper()
		l := &c.Lines
		if (l[0].SilentAt != 0) != a || (l[1].SilentAt != 0) != b || l[0].Silences != silencesA || l[1].Silences != silencesB {
			t.Errorf("%s: A silent at %d, %d times, B at %d, %d times", what, l[0].SilentAt, l[0].Silences, l[1].SilentAt, l[1].Silences)
		}
	}
	c.id = sessionOne
	upTo(1000)
	check("nothing came yet", false, false, 0, 0)
	upTo(2000, 0)
	check("B was never heard", false, false, 0, 0)
	upTo(2500, 0, 1)
	check("both are heard", false, false, 0, 0)
	upTo(2590, 0)
	check("B pauses", false, false, 0, 0)
	upTo(2700, 0)
	check("B is silent", false, true, 0, 1)
	if late := c.Lines[1].SilentAt - c.Lines[1].LastAt; late < 100*ms || late > 115*ms {
		t.Errorf("B was found silent after %d ms", late/ms)
	}
	upTo(3000)
	check("both are silent", true, true, 1, 1)
	upTo(3100, 1)
	check("B is back", true, false, 1, 1)
	upTo(3200, 0, 1)
	check("both are back", false, false, 1, 1)
	c.Packet(&nic.Packet{Data: endOf(sessionOne, 1)}, now)
	upTo(9000)
	check("the session has ended", false, false, 1, 1)
	c.Packet(&nic.Packet{Data: packet(sessionTwo, 1, 1)}, now)
	upTo(9090, 0)
	check("the next session begins on A", false, false, 1, 1)
	upTo(9200, 0)
	check("and B does not come", false, true, 1, 2)
	now -= 5000 * ms // the clock is set back
	upTo(4290, 0)
	check("the time runs anew", false, false, 1, 2)
	upTo(4400, 0)
	check("and B is silent again", false, true, 1, 3)
}

// TestLineLosses: what each line went past, what it brought overtaken, and the holes it filled that the other had left.
func TestLineLosses(t *testing.T) {
	p := func(first uint64, count int) []byte { return packet(sessionOne, first, count) }
	lying := p(30, 4)[:20+10] // the header says four, there is not one whole
	for _, tc := range []struct {
		name  string
		steps []step
		a, b  LineCounters // Lost, Behind, LateWins and Late are looked at
	}{
		{"none", []step{{0, 0, p(1, 2)}, {0, 1, p(1, 2)}, {0, 0, p(3, 1)}, {0, 0, heartbeat(sessionOne, 4)}}, LineCounters{}, LineCounters{}},
		{"each loses what the other brings", []step{{0, 0, p(1, 2)}, {0, 1, p(1, 2)}, {0, 0, p(5, 2)}, {1, 1, p(3, 2)}, {2, 1, p(7, 1)}, {3, 0, p(8, 1)}},
			LineCounters{Lost: 3}, LineCounters{Lost: 2, LateWins: 1}},
		{"a hole that is filled in part, behind another", []step{{0, 0, p(1, 1)}, {0, 1, p(1, 1)}, {1, 0, p(9, 1)}, {2, 1, p(5, 2)}, {3, 1, p(3, 1)}},
			LineCounters{Lost: 7}, LineCounters{Lost: 3, LateWins: 1, Behind: 1}},
		{"overtaken on its own line", []step{{0, 0, p(1, 1)}, {1, 0, p(3, 1)}, {2, 0, p(2, 1)}}, LineCounters{Lost: 1, Behind: 1}, LineCounters{}},
		{"twice on one line", []step{{0, 0, p(1, 1)}, {1, 0, p(1, 1)}}, LineCounters{Behind: 1}, LineCounters{}},
		{"told by a heartbeat", []step{{0, 0, p(1, 1)}, {0, 0, heartbeat(sessionOne, 5)}, {1, 0, heartbeat(sessionOne, 5)}}, LineCounters{Lost: 3}, LineCounters{}},
		{"a late start is no loss", []step{{0, 0, p(9, 1)}, {1, 1, p(11, 1)}, {2, 1, p(13, 1)}}, LineCounters{}, LineCounters{Lost: 1}},
		{"a header that promises more", []step{{0, 0, p(29, 1)}, {1, 0, lying}, {2, 0, p(34, 1)}}, LineCounters{Lost: 4}, LineCounters{}},
		{"the next session's first packet, on a line that is up", []step{{0, 0, p(1, 1)}, {0, 1, p(1, 1)}, {1, 0, packet(sessionTwo, 1, 1)}, {2, 1, packet(sessionTwo, 2, 1)}},
			LineCounters{}, LineCounters{Lost: 1}},
		{"after it was given up", []step{{0, 0, p(1, 1)}, {0, 1, p(1, 1)}, {1, 0, p(3, 1)}, {20, 1, p(2, 1)}, {21, 1, p(3, 1)}}, LineCounters{Lost: 1}, LineCounters{Late: 1}},
	} {
		c, _ := play(t, Config{Wait: 10 * time.Millisecond}, tc.steps)
		for i, want := range []LineCounters{tc.a, tc.b} {
			l := c.Lines[i]
			if got := (LineCounters{Lost: l.Lost, Behind: l.Behind, LateWins: l.LateWins, Late: l.Late}); got != want {
				t.Errorf("%s: line %c lost %d, behind %d, late wins %d, late %d; want %d, %d, %d, %d", tc.name, 'A'+i,
					got.Lost, got.Behind, got.LateWins, got.Late, want.Lost, want.Behind, want.LateWins, want.Late)
			}
		}
	}
}
