package session

import (
	"encoding/binary"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/parsers/moldudp64"
	"github.com/tickwire/tickwire/tick"
)

var sessionOne, sessionTwo = [10]byte([]byte("SESSION001")), [10]byte([]byte("SESSION002"))

// body is message n of a session: its bytes name it, its length varies.
func body(n uint64) []byte {
	b := binary.BigEndian.AppendUint64(nil, n*0x9E3779B97F4A7C15)
	return append(b, make([]byte, n%7)...)
}

func packet(session [10]byte, first uint64, count int) []byte {
	b := moldudp64.AppendHeader(nil, moldudp64.Header{Session: session, Sequence: first, Count: uint16(count)})
	for i := range count {
		b, _ = moldudp64.AppendBlock(b, body(first+uint64(i)))
	}
	return b
}

func heartbeat(session [10]byte, next uint64) []byte { return packet(session, next, 0) }

func endOf(session [10]byte, next uint64) []byte {
	return moldudp64.AppendHeader(nil, moldudp64.Header{Session: session, Sequence: next, Count: moldudp64.EndOfSession})
}

// log is a sink that notes what it is given, as text, and checks every message.
type log struct {
	t      testing.TB
	lines  []string
	got    []uint64 // numbers delivered, in order
	gaps   []Gap
	starts int
	ends   int
	came   map[uint64]bool // what any line brought; nil: not looked at
}

func (l *log) Messages(blocks []byte, first uint64, count int, _ Arrival) {
	for i := range count {
		n := int(binary.BigEndian.Uint16(blocks))
		want := body(first + uint64(i))
		if string(blocks[2:2+n]) != string(want) {
			l.t.Fatalf("message %d has the bytes of another", first+uint64(i))
		}
		blocks = blocks[2+n:]
		l.got = append(l.got, first+uint64(i))
	}
	if len(blocks) != 0 {
		l.t.Fatalf("%d bytes behind the last message", len(blocks))
	}
	l.lines = append(l.lines, fmt.Sprintf("%d-%d", first, first+uint64(count)-1))
}

func (l *log) Gap(g Gap) {
	l.gaps = append(l.gaps, g)
	for n := g.First; l.came != nil && n <= g.Last; n++ {
		if l.came[n] {
			l.t.Errorf("number %d is named as lost, and had come", n)
		}
	}
	l.lines = append(l.lines, fmt.Sprintf("gap %d-%d state%d", g.First, g.Last, g.State))
}

func (l *log) SessionStart(id [10]byte) {
	l.starts++
	l.lines = append(l.lines, "start "+string(id[7:]))
}

func (l *log) SessionEnd(id [10]byte) {
	l.ends++
	l.lines = append(l.lines, "end "+string(id[7:]))
}

const ms = uint64(time.Millisecond)

// step is a packet on a line at a time, ms; nil data: only time passes.
type step struct {
	at   uint64
	line uint8
	data []byte
}

func play(t testing.TB, cfg Config, steps []step) (*Channel, *log) {
	l := &log{t: t}
	if cfg.HoldPackets == 0 {
		cfg.HoldPackets = 64 // the default's 38 MB would be made anew for every case
	}
	c := NewChannel(cfg, l)
	for i, s := range steps {
		now := 1_000_000*ms + s.at*ms
		c.Tick(now)
		if s.data != nil {
			c.Packet(&nic.Packet{Data: s.data, TsRecv: now, Frame: uint64(i + 1), Line: s.line}, now)
		}
		c.Tick(now)
	}
	return c, l
}

// TestCases: one thing each.
func TestCases(t *testing.T) {
	p := func(first uint64, count int) []byte { return packet(sessionOne, first, count) }
	q := func(first uint64, count int) []byte { return packet(sessionTwo, first, count) }
	wait := Config{Wait: 10 * time.Millisecond}
	lying := p(3, 2)
	binary.BigEndian.PutUint16(lying[18:], 5) // promises five, has two
	long := p(3, 2)
	binary.BigEndian.PutUint16(long[20:], 5000) // its first message claims to reach past the end
	for _, tc := range []struct {
		name  string
		cfg   Config
		steps []step
		want  string
	}{
		{"in order", wait, []step{{0, 0, p(1, 2)}, {1, 0, p(3, 1)}}, "start 001, 1-2, 3-3"},
		{"second copy", wait, []step{{0, 0, p(1, 2)}, {0, 1, p(1, 2)}}, "start 001, 1-2"},
		{"filled by the other line", wait, []step{{0, 0, p(1, 1)}, {1, 0, p(3, 1)}, {2, 1, p(2, 1)}}, "start 001, 1-1, 2-2, 3-3"},
		{"filled by half a packet", wait, []step{{0, 0, p(1, 1)}, {1, 0, p(3, 2)}, {2, 1, p(1, 3)}}, "start 001, 1-1, 2-3, 4-4"},
		{"never filled", wait, []step{{0, 0, p(1, 1)}, {1, 0, p(3, 1)}, {10, 0, nil}, {11, 0, nil}}, "start 001, 1-1, gap 2-2 state3, 3-3"},
		{"not before its time", wait, []step{{0, 0, p(1, 1)}, {1, 0, p(3, 1)}, {10, 0, nil}}, "start 001, 1-1"},
		{"comes after it was given up", wait, []step{{0, 0, p(1, 1)}, {1, 0, p(3, 1)}, {12, 0, nil}, {13, 1, p(2, 1)}, {14, 0, p(4, 1)}},
			"start 001, 1-1, gap 2-2 state3, 3-3, 4-4"},
		{"two holes, each with its time", wait, []step{{0, 0, p(1, 1)}, {1, 0, p(3, 1)}, {5, 0, p(5, 1)}, {6, 1, p(2, 1)}, {12, 0, nil}, {16, 0, nil}},
			"start 001, 1-1, 2-2, 3-3, gap 4-4 state3, 5-5"},
		{"tail loss told by a heartbeat", wait, []step{{0, 0, p(1, 1)}, {1, 0, heartbeat(sessionOne, 4)}, {12, 0, nil}, {13, 0, p(4, 1)}},
			"start 001, 1-1, gap 2-3 state3, 4-4"},
		{"late start", wait, []step{{0, 0, p(100, 2)}, {1, 0, p(102, 1)}, {11, 0, nil}}, "start 001, gap 1-99 state3, 100-101, 102-102"},
		{"late start that the other line mends", wait, []step{{0, 0, p(3, 1)}, {1, 1, p(1, 2)}}, "start 001, 1-2, 3-3"},
		{"late start by a heartbeat", wait, []step{{0, 0, heartbeat(sessionOne, 100)}, {1, 0, p(100, 1)}, {11, 0, nil}}, "start 001, gap 1-99 state3, 100-100"},
		{"end", wait, []step{{0, 0, p(1, 2)}, {1, 0, endOf(sessionOne, 3)}, {1, 1, endOf(sessionOne, 3)}}, "start 001, 1-2, end 001"},
		{"end before the tail", wait, []step{{0, 0, p(1, 1)}, {1, 0, endOf(sessionOne, 3)}, {2, 1, p(2, 1)}}, "start 001, 1-1, 2-2, end 001"},
		{"end, and the tail never came", wait, []step{{0, 0, p(1, 1)}, {1, 0, endOf(sessionOne, 3)}, {12, 0, nil}}, "start 001, 1-1, gap 2-2 state3, end 001"},
		{"next session", wait, []step{{0, 0, p(1, 1)}, {1, 0, q(1, 1)}, {2, 1, p(2, 1)}, {3, 0, q(2, 1)}}, "start 001, 1-1, start 002, 1-1, 2-2"},
		{"a stray of another session", wait, []step{{0, 0, p(1, 1)}, {1, 0, q(7, 1)}, {2, 0, p(2, 1)}}, "start 001, 1-1, 2-2"},
		{"another session after silence", Config{Wait: 10 * time.Millisecond, Quiet: 100 * time.Millisecond},
			[]step{{0, 0, p(1, 1)}, {101, 0, q(7, 1)}, {120, 0, nil}}, "start 001, 1-1, start 002, gap 1-6 state3, 7-7"},
		{"another session after the end", wait, []step{{0, 0, p(1, 1)}, {0, 0, endOf(sessionOne, 2)}, {1, 0, q(7, 1)}, {20, 0, nil}}, "start 001, 1-1, end 001, start 002, gap 1-6 state3, 7-7"},
		{"an open hole at a session's change", wait, []step{{0, 0, p(1, 1)}, {1, 0, p(3, 1)}, {2, 0, q(1, 1)}}, "start 001, 1-1, gap 2-2 state3, 3-3, start 002, 1-1"},
		{"a count that lies", wait, []step{{0, 0, p(1, 2)}, {1, 0, lying}, {2, 1, p(5, 3)}}, "start 001, 1-2, 3-4, 5-7"},
		{"a length that lies", wait, []step{{0, 0, p(1, 2)}, {1, 0, long}, {2, 0, p(5, 1)}, {13, 0, nil}}, "start 001, 1-2, gap 3-4 state3, 5-5"},
		{"a count that lies, at the live edge", wait, []step{{0, 0, p(1, 2)}, {1, 0, lying}, {12, 0, nil}, {13, 0, p(5, 3)}, {14, 0, endOf(sessionOne, 8)}}, "start 001, 1-2, 3-4, 5-7, end 001"},
		{"number 0", wait, []step{{0, 0, p(0, 2)}, {1, 0, p(1, 1)}}, "start 001, 1-1"},
		{"a short packet", wait, []step{{0, 0, p(1, 1)[:19]}, {1, 0, []byte{}}, {2, 0, p(1, 1)}}, "start 001, 1-1"},
		{"one packet far ahead", wait, []step{{0, 0, p(1, 1)}, {1, 0, p(1<<63, 1)}, {20, 0, nil}, {21, 0, p(2, 1)}}, "start 001, 1-1, 2-2"},
		{"the line was down for long", wait, []step{{0, 0, p(1, 1)}, {1, 0, p(1<<40, 2)}, {2, 0, p(1<<40+2, 1)}, {20, 0, nil}},
			fmt.Sprintf("start 001, 1-1, gap 2-%d state3, %d-%d", 1<<40+1, 1<<40+2, 1<<40+2)},
		{"numbers that wrap", wait, []step{{0, 0, p(math.MaxUint64-1, 1)}, {1, 0, p(math.MaxUint64, 3)}, {20, 0, nil}},
			fmt.Sprintf("start 001, gap 1-%d state3, %d-%d", uint64(math.MaxUint64-2), uint64(math.MaxUint64-1), uint64(math.MaxUint64-1))},
		{"no room for packets", Config{Wait: time.Hour, HoldPackets: 2}, []step{{0, 0, p(1, 1)}, {1, 0, p(3, 1)}, {2, 0, p(5, 1)}, {3, 0, p(7, 1)}},
			"start 001, 1-1, gap 2-2 state3, 3-3"},
		{"no room for messages", Config{Wait: time.Hour, HoldMessages: 5}, []step{{0, 0, p(1, 1)}, {1, 0, p(3, 4)}, {2, 0, p(8, 3)}},
			"start 001, 1-1, gap 2-2 state3, 3-6"},
	} {
		_, l := play(t, tc.cfg, tc.steps)
		if got := strings.Join(l.lines, ", "); got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.name, got, tc.want)
		}
	}
}

var seedFlag = flag.Uint64("session-seed", 0, "replay this schedule of TestEachMessageOnce alone")

// TestEachMessageOnce plays ten thousand random schedules: two lines that cut the stream into packets each in its own way, lose
// some, repeat some, and deliver late and out of order. Whatever happens, messages leave once, in order, and with gaps
// name every number exactly once; what a line delivered in time is never lost.
func TestEachMessageOnce(t *testing.T) {
	if *seedFlag != 0 {
		schedule(t, *seedFlag)
		return
	}
	n := uint64(10_000)
	if testing.Short() {
		n = 1000
	}
	for seed := uint64(1); seed <= n; seed++ {
		schedule(t, seed)
		if t.Failed() {
			t.Fatalf("replay with -run TestEachMessageOnce -session-seed %d", seed)
		}
	}
}

// TestGapsNameWhatIsMissing is the half of TestEachMessageOnce that is about losses on both lines.
func TestGapsNameWhatIsMissing(t *testing.T) {
	for seed := uint64(1 << 32); seed < 1<<32+500; seed++ {
		schedule(t, seed)
		if t.Failed() {
			t.Fatalf("replay with -run TestEachMessageOnce -session-seed %d", seed)
		}
	}
}

func schedule(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 1))
	total := uint64(1 + r.IntN(200))
	wait := uint64(1 + r.IntN(30))                                  // ms
	cfg := Config{Wait: time.Duration(wait * ms), HoldPackets: 256} // more than a schedule has
	if r.IntN(4) == 0 {
		cfg.HoldPackets, cfg.HoldMessages = 1+r.IntN(8), 1+r.IntN(40)
	}
	loss := [2]int{r.IntN(40), r.IntN(40)} // percent
	if seed >= 1<<32 {
		loss = [2]int{30 + r.IntN(50), 30 + r.IntN(50)}
	}
	delay := uint64(r.IntN(20))
	var steps []step
	arrivals := make(map[uint64]uint64) // first time a number arrived, ms
	told := make(map[uint64]uint64)     // first time that a number was known to have gone before, by a heartbeat or an end
	tell := func(next, when uint64) {
		if was, ok := told[next]; !ok || when < was {
			told[next] = when
		}
	}
	for line := range uint8(2) {
		at := uint64(r.IntN(5))
		for first := uint64(1); first <= total; {
			count := min(uint64(1+r.IntN(20)), total-first+1)
			at += uint64(r.IntN(3))
			for copies := 1 + r.IntN(10)/9; copies > 0; copies-- {
				if r.IntN(100) < loss[line] {
					continue
				}
				when := at + uint64(r.IntN(int(delay)+1))
				steps = append(steps, step{when, line, packet(sessionOne, first, int(count))})
				for n := first; n < first+count; n++ {
					if was, ok := arrivals[n]; !ok || when < was {
						arrivals[n] = when
					}
				}
			}
			if r.IntN(10) == 0 {
				when := at + uint64(r.IntN(3))
				steps = append(steps, step{when, line, heartbeat(sessionOne, first)})
				tell(first, when)
			}
			first += count
		}
		if r.IntN(2) == 0 {
			steps = append(steps, step{at + 2, line, endOf(sessionOne, total+1)})
			tell(total+1, at+2)
		}
	}
	slices.SortStableFunc(steps, func(a, b step) int { return int(a.at) - int(b.at) })
	if len(steps) == 0 {
		return
	}
	last := steps[len(steps)-1].at
	steps = append(steps, step{last + wait + 1, 0, nil}, step{last + 2*wait + 2, 0, nil})
	l := &log{t: t, came: make(map[uint64]bool)}
	c := watch(t, cfg, wait, steps, l)
	c.Flush(1_000_000*ms + (last+10*wait)*ms)

	// Delivered and missing numbers together are 1 to the end, in order, each once.
	next := uint64(1)
	gap, got := 0, 0
	for next <= total {
		switch {
		case got < len(l.got) && l.got[got] == next:
			got++
			next++
		case gap < len(l.gaps) && l.gaps[gap].First == next:
			if l.gaps[gap].Last < next || l.gaps[gap].State != tick.GapLost {
				t.Errorf("gap %+v", l.gaps[gap])
				return
			}
			next = l.gaps[gap].Last + 1
			gap++
		default:
			// Nothing tells of a tail that nobody announced.
			if _, ok := arrivals[next]; ok || got < len(l.got) || gap < len(l.gaps) {
				t.Errorf("number %d was neither delivered nor named, %v", next, l.lines)
			}
			next = total + 1
		}
	}
	if got != len(l.got) || gap != len(l.gaps) {
		t.Errorf("%d of %d messages and %d of %d gaps are in order: %v", got, len(l.got), gap, len(l.gaps), l.lines)
	}
	// Lost are only numbers that came too late or not at all, unless a bound of holding was reached.
	if c.Session.HoldFull == 0 {
		for _, g := range l.gaps {
			for n := g.First; n <= g.Last; n++ {
				if when, ok := arrivals[n]; ok && when < noticed(arrivals, told, n)+wait {
					t.Errorf("number %d came at %d ms, in time, and is named as lost: %v", n, when, l.lines)
				}
			}
		}
	}
	if uint64(len(l.got)) != c.Session.Messages || lostOf(l.gaps) != c.Session.LostMessages || c.Session.Lost != uint64(len(l.gaps)) {
		t.Errorf("counters %+v for %d messages and %d lost", c.Session, len(l.got), lostOf(l.gaps))
	}
	if c.HoleOpen() || c.hold.messages != 0 || len(c.hold.free) != cap(c.hold.free) {
		t.Errorf("after Flush: hole %v, %d messages held", c.HoleOpen(), c.hold.messages)
	}
}

// watch plays steps and looks at the channel after each: what it holds is within bounds, and no hole stays open for
// longer than wait, ms. It notes in l what came, before the channel sees it.
func watch(t *testing.T, cfg Config, wait uint64, steps []step, l *log) *Channel {
	c := NewChannel(cfg, l)
	known := []uint64{0} // by number: when it was known to exist, ms
	merged := false      // more holes than have a time of their own
	for i, s := range steps {
		now := 1_000_000*ms + s.at*ms
		c.Tick(now)
		if s.data != nil {
			h, _, _ := moldudp64.Parse(s.data)
			end := h.Sequence
			if h.Count != moldudp64.EndOfSession {
				end += uint64(h.Count)
			}
			for n := h.Sequence; n < end; n++ {
				l.came[n] = true
			}
			for uint64(len(known)) < end {
				known = append(known, s.at)
			}
			c.Packet(&nic.Packet{Data: s.data, TsRecv: now, Frame: uint64(i + 1), Line: s.line}, now)
		}
		c.Tick(now)
		merged = merged || c.holes.n == maxHoles
		if held := len(c.hold.order) - c.hold.head; held > c.cfg.HoldPackets || c.hold.messages > c.cfg.HoldMessages {
			t.Errorf("step %d: %d packets with %d messages held", i, held, c.hold.messages)
		}
		if next := c.Next(); next > 0 && next < uint64(len(known)) && !merged && s.at >= known[next]+wait {
			t.Errorf("step %d at %d ms: number %d is waited for since %d ms", i, s.at, next, known[next])
		}
		if c.HoleOpen() != (c.Next() < uint64(len(known)) && c.Next() > 0) {
			t.Errorf("step %d: hole open %v, next %d of %d", i, c.HoleOpen(), c.Next(), len(known))
		}
	}
	return c
}

// noticed is the earliest time at which a later number than n had come, or was told of: a hole at n cannot be noticed before.
func noticed(arrivals, told map[uint64]uint64, n uint64) uint64 {
	earliest := uint64(math.MaxUint64 / 2)
	for _, m := range []map[uint64]uint64{arrivals, told} {
		for later, when := range m {
			if later > n && when < earliest {
				earliest = when
			}
		}
	}
	return earliest
}

func lostOf(gaps []Gap) (n uint64) {
	for _, g := range gaps {
		n += g.Last - g.First + 1
	}
	return n
}

// TestHoldIsBounded: behind a hole no more is kept than the configuration allows, whatever comes.
func TestHoldIsBounded(t *testing.T) {
	l := &log{t: t}
	c := NewChannel(Config{Wait: time.Hour, HoldPackets: 16, HoldMessages: 50}, l)
	r := rand.New(rand.NewPCG(1, 1))
	now := uint64(1_000_000) * ms
	c.Packet(&nic.Packet{Data: packet(sessionOne, 1, 1), TsRecv: now}, now)
	memory := cap(c.hold.mem)
	for range 20_000 {
		first := 2 + uint64(r.IntN(5000))
		c.Packet(&nic.Packet{Data: packet(sessionOne, first, 1+r.IntN(12)), TsRecv: now}, now)
		if held := len(c.hold.order) - c.hold.head; held > 16 || c.hold.messages > 50 || cap(c.hold.mem) != memory {
			t.Fatalf("%d packets with %d messages held", held, c.hold.messages)
		}
	}
	if c.Session.HoldFull == 0 {
		t.Error("the bound was never reached: this test shows nothing")
	}
}

// TestCounters: each line's counters say what became of its packets, and the skew is measured.
func TestCounters(t *testing.T) {
	p := func(first uint64, count int) []byte { return packet(sessionOne, first, count) }
	c, _ := play(t, Config{Wait: 10 * time.Millisecond}, []step{
		{0, 0, p(1, 2)}, {3, 1, p(1, 2)}, {4, 1, p(3, 1)}, {4, 0, p(3, 1)}, {5, 0, heartbeat(sessionOne, 4)}, {6, 1, packet(sessionTwo, 9, 1)},
		{7, 1, append(p(4, 1), 0xFF)}, {8, 0, p(4, 1)[:10]}, {9, 0, p(0, 1)}, {9, 1, p(1<<50, 1)},
	})
	a, b := c.Lines[0], c.Lines[1]
	a.Bytes, b.Bytes, a.LastAt, b.LastAt = 0, 0, 0, 0
	if want := (LineCounters{Packets: 3, Heartbeats: 1, Won: 1, Duplicates: 1, Short: 1, Zero: 1}); a != want {
		t.Errorf("line A %+v\n  want %+v", a, want)
	}
	if want := (LineCounters{Packets: 3, Won: 2, Duplicates: 1, Trailing: 1, Foreign: 1, Far: 1}); b != want {
		t.Errorf("line B %+v\n  want %+v", b, want)
	}
	if s := c.Skew(); s[21] != 1 || s[0] != 1 { // 3 ms lies in [2^21, 2^22) ns, 0 in the first bucket
		t.Errorf("skew %v", *s)
	}
}

// TestNoAllocation: neither in order, nor with holes that the other line fills.
func TestNoAllocation(t *testing.T) {
	c := NewChannel(Config{}, nothing{})
	now, next := 1_000_000*ms, uint64(1)
	send := func(line uint8, first uint64, data []byte) {
		binary.BigEndian.PutUint64(data[10:], first)
		c.Packet(&nic.Packet{Data: data, TsRecv: now, Line: line}, now)
		c.Tick(now)
	}
	data := packet(sessionOne, 1, 4)
	turn := func() {
		send(0, next, data)
		send(0, next+8, data) // one is missing on A
		send(1, next, data)
		send(1, next+4, data)
		send(1, next+8, data)
		next += 12
		now += ms
	}
	turn()
	if n := testing.AllocsPerRun(1000, turn); n != 0 {
		t.Errorf("%g allocations a turn", n)
	}
	if c.Session.Filled < 1000 || c.Session.Lost != 0 {
		t.Errorf("%+v", c.Session)
	}
}

type nothing struct{}

func (nothing) Messages([]byte, uint64, int, Arrival) {}
func (nothing) Gap(Gap)                               {}
func (nothing) SessionStart([10]byte)                 {}
func (nothing) SessionEnd([10]byte)                   {}

// order checks that messages are whole, and that what is delivered or lost goes on where the last left off.
type order struct {
	t    *testing.T
	next uint64
}

func (o *order) Messages(blocks []byte, first uint64, count int, _ Arrival) {
	if whole, used := moldudp64.Walk(blocks, count); whole != count || used != len(blocks) || count == 0 {
		o.t.Fatalf("%d of %d messages whole", whole, count)
	}
	if first != o.next {
		o.t.Fatalf("message %d, not %d", first, o.next)
	}
	o.next = first + uint64(count)
}

func (o *order) Gap(g Gap) {
	switch {
	case g.State == tick.GapRecovering && g.First >= o.next && g.Last >= g.First:
	case g.State == tick.GapClosed && g.Last < o.next && g.Last >= g.First:
	case g.State == tick.GapLost && g.First == o.next && g.Last >= g.First:
		o.next = g.Last + 1
	default:
		o.t.Fatalf("gap %+v, next is %d", g, o.next)
	}
}

func (o *order) SessionStart([10]byte) { o.next = 1 }
func (o *order) SessionEnd([10]byte)   {}

// FuzzPacket feeds packets cut from arbitrary bytes: no panic, no number twice or left out, nothing held beyond the bounds, and
// nothing after Flush.
func FuzzPacket(f *testing.F) {
	f.Add(append(packet(sessionOne, 1, 2), packet(sessionOne, 5, 2)...), uint8(50))
	f.Add(endOf(sessionOne, 1<<63), uint8(20))
	f.Add(append(packet(sessionOne, 1<<63, 1), packet(sessionOne, 1, 1)...), uint8(30))
	f.Add(append(packet(sessionOne, math.MaxUint64-1, 1), packet(sessionOne, math.MaxUint64, 1)...), uint8(30))
	f.Add(append(heartbeat(sessionOne, 9), append(endOf(sessionOne, 3), heartbeat(sessionTwo, 1)...)...), uint8(19))
	f.Fuzz(func(t *testing.T, b []byte, size uint8) {
		o := &order{t: t}
		c := NewChannel(Config{HoldPackets: 8, HoldMessages: 64}, o)
		memory := cap(c.hold.mem) + cap(c.hold.order) + cap(c.hold.free)
		now := uint64(1e15)
		for n := 0; len(b) > 0; n++ {
			k := min(len(b), int(size)+1)
			c.Packet(&nic.Packet{Data: b[:k], TsRecv: now, Line: uint8(n & 1)}, now)
			c.Tick(now)
			if held := len(c.hold.order) - c.hold.head; held > 8 || c.hold.messages > 64 || held+len(c.hold.free) != 8 {
				t.Fatalf("%d packets with %d messages held, %d slots free", held, c.hold.messages, len(c.hold.free))
			}
			if c.Next() != o.next || c.HoleOpen() != (c.next < c.highest) {
				t.Fatalf("next %d, delivered to %d, highest %d, hole %v", c.Next(), o.next, c.highest, c.HoleOpen())
			}
			b = b[k:]
			now += ms
		}
		c.Flush(now)
		if c.HoleOpen() || c.hold.messages != 0 || memory != cap(c.hold.mem)+cap(c.hold.order)+cap(c.hold.free) {
			t.Fatalf("after Flush: hole %v, %d messages held", c.HoleOpen(), c.hold.messages)
		}
	})
}

// BenchmarkPacket is the session's share of a packet that comes on both lines.
//
//	budget  0 allocs/op
func BenchmarkPacket(b *testing.B) { benchmarkPacket(b, Config{}) }

// BenchmarkPacketWithServers is the same where the venue could be asked, and nothing is missing.
//
//	budget  0 allocs/op, 1.05 × BenchmarkPacket
func BenchmarkPacketWithServers(b *testing.B) {
	link, err := newLink(2, linkBytes)
	if err != nil {
		b.Fatal(err)
	}
	benchmarkPacket(b, Config{Link: link})
}

func benchmarkPacket(b *testing.B, cfg Config) {
	c := NewChannel(cfg, nothing{})
	data := packet(sessionOne, 1, 4)
	now, next := 1_000_000*ms, uint64(1)
	b.ReportAllocs()
	for b.Loop() {
		binary.BigEndian.PutUint64(data[10:], next)
		for line := range uint8(2) {
			c.Packet(&nic.Packet{Data: data, TsRecv: now, Line: line}, now)
		}
		c.Tick(now)
		next += 4
		now += 1000
	}
}
