package session

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/tick"
)

// fromServer as a step's line is an answer of server 0; the next ones are those of the others.
const fromServer = 10

// recovery plays steps with a link to two servers; what is asked becomes a line of the log, too.
func recovery(t testing.TB, cfg Config, steps []step) (*Channel, *log) {
	link, err := newLink(2, 1<<15)
	if err != nil {
		t.Fatal(err)
	}
	l := &log{t: t}
	cfg.Link = link
	if cfg.HoldPackets == 0 {
		cfg.HoldPackets = 64
	}
	c := NewChannel(cfg, l)
	for i, s := range steps {
		now := 1_000_000*ms + s.at*ms
		switch {
		case s.data == nil:
		case s.line >= fromServer:
			if !link.put(int(s.line-fromServer), now, s.data) {
				t.Fatal("no room on the link")
			}
		default:
			c.Packet(&nic.Packet{Data: s.data, TsRecv: now, Frame: uint64(i + 1), Line: s.line}, now)
		}
		c.Tick(now)
		for q, ok := link.asked(); ok; q, ok = link.asked() {
			l.lines = append(l.lines, fmt.Sprintf("ask%d %d-%d", q.server, q.first, q.first+uint64(q.count)-1))
		}
	}
	return c, l
}

// TestRecovery: one thing each. Wait is 10 ms, HoldMax 50 ms, Retry 5 ms; "ask1 2-3" is a request to server 1; state 1 is recovering, 2 closed, 3 lost.
func TestRecovery(t *testing.T) {
	p := func(first uint64, count int) []byte { return packet(sessionOne, first, count) }
	q := func(first uint64, count int) []byte { return packet(sessionTwo, first, count) }
	cfg := Config{Wait: 10 * time.Millisecond}
	with := func(f func(*Config)) Config { c := cfg; f(&c); return c }
	hole := []step{{0, 0, p(1, 1)}, {1, 0, p(5, 1)}, {11, 0, nil}} // 2 to 4 are missing, and asked for
	const asked = "start 001, 1-1, gap 2-4 state1, ask0 2-4"
	lying := p(2, 3)
	binary.BigEndian.PutUint16(lying[18:], 4)
	for _, tc := range []struct {
		name  string
		cfg   Config
		steps []step
		want  string
	}{
		{"filled by the other line in time", cfg, []step{{0, 0, p(1, 1)}, {1, 0, p(3, 1)}, {10, 1, p(2, 1)}, {30, 0, nil}}, "start 001, 1-1, 2-2, 3-3"},
		{"answered", cfg, append(hole, step{12, fromServer, p(2, 3)}), asked + ", 2-4, gap 2-4 state2, 5-5"},
		{"filled by the other line after all", cfg, append(hole, step{12, 1, p(2, 3)}, step{13, fromServer, p(2, 3)}), asked + ", 2-4, gap 2-4 state2, 5-5"},
		{"answered in part: the rest is asked for at once", cfg, append(hole, step{12, fromServer, p(2, 1)}, step{13, fromServer, p(3, 2)}),
			asked + ", 2-2, ask0 3-4, 3-4, gap 2-4 state2, 5-5"},
		{"not answered: the next server, after twice the time, then given up", cfg,
			append(hole, step{15, 0, nil}, step{16, 0, nil}, step{25, 0, nil}, step{26, 0, nil}, step{46, 0, nil}, step{50, 0, nil}, step{51, 0, nil}),
			asked + ", ask1 2-4, ask0 2-4, ask1 2-4, gap 2-4 state3, 5-5"},
		{"tries run out", with(func(c *Config) { c.Tries = 2 }), append(hole, step{16, 0, nil}, step{26, 0, nil}, step{46, 0, nil}, step{50, fromServer, p(2, 3)}),
			asked + ", ask1 2-4, 2-4, gap 2-4 state2, 5-5"},
		{"given up in part", cfg, append(hole, step{12, fromServer, p(2, 1)}, step{51, 0, nil}), asked + ", 2-2, ask0 3-4, gap 2-2 state2, gap 3-4 state3, 5-5"},
		{"given up around what came", cfg, append(hole, step{12, fromServer, p(3, 1)}, step{51, 0, nil}),
			asked + ", gap 2-2 state3, 3-3, gap 3-3 state2, gap 4-4 state3, 5-5"},
		{"too late", cfg, append(hole, step{51, 0, nil}, step{52, fromServer, p(2, 3)}, step{53, 0, p(6, 1)}), asked + ", gap 2-4 state3, 5-5, 6-6"},
		{"a request is bounded, and several go at once", with(func(c *Config) { c.AskMessages = 2 }), append(hole, step{12, fromServer, p(4, 1)}, step{13, fromServer, p(2, 2)}),
			"start 001, 1-1, gap 2-4 state1, ask0 2-3, ask0 4-4, 2-3, 4-4, gap 2-4 state2, 5-5"},
		{"requests at once are bounded", with(func(c *Config) { c.AskMessages, c.AskAtOnce = 1, 2 }), append(hole, step{12, fromServer, p(3, 1)}, step{13, fromServer, p(4, 1)}, step{14, fromServer, p(2, 1)}),
			"start 001, 1-1, gap 2-4 state1, ask0 2-2, ask0 3-3, ask0 4-4, 2-2, 3-3, 4-4, gap 2-4 state2, 5-5"},
		{"only what lies between held packets", cfg, []step{{0, 0, p(1, 1)}, {1, 0, p(8, 1)}, {2, 1, p(4, 2)}, {11, 0, nil}, {12, fromServer, p(6, 2)}, {13, fromServer, p(2, 2)}},
			"start 001, 1-1, gap 2-3 state1, gap 6-7 state1, ask0 2-3, ask0 6-7, 2-3, gap 2-3 state2, 4-5, 6-7, gap 6-7 state2, 8-8"},
		{"two holes, each with its time", cfg, []step{{0, 0, p(1, 1)}, {1, 0, p(3, 1)}, {5, 0, p(5, 1)}, {11, 0, nil}, {12, fromServer, p(2, 1)}, {15, 0, nil}, {16, fromServer, p(4, 1)}},
			"start 001, 1-1, gap 2-2 state1, ask0 2-2, 2-2, gap 2-2 state2, 3-3, gap 4-4 state1, ask0 4-4, 4-4, gap 4-4 state2, 5-5"},
		{"tail told by a heartbeat", cfg, []step{{0, 0, p(1, 1)}, {1, 0, heartbeat(sessionOne, 4)}, {11, 0, nil}, {12, fromServer, p(2, 2)}},
			"start 001, 1-1, gap 2-3 state1, ask0 2-3, 2-3, gap 2-3 state2"},
		{"tail told by the end", cfg, []step{{0, 0, p(1, 1)}, {1, 0, endOf(sessionOne, 4)}, {11, 0, nil}, {12, fromServer, p(2, 2)}},
			"start 001, 1-1, gap 2-3 state1, ask0 2-3, 2-3, gap 2-3 state2, end 001"},
		{"the end is the last chance: nothing is held up, so that the last try is waited for", with(func(c *Config) { c.Tries = 4 }),
			[]step{{0, 0, p(1, 1)}, {1, 0, endOf(sessionOne, 3)}, {11, 0, nil}, {16, 0, nil}, {26, 0, nil}, {46, 0, nil}, {51, 0, nil}, {84, fromServer + 1, p(2, 1)}},
			"start 001, 1-1, gap 2-2 state1, ask0 2-2, ask1 2-2, ask0 2-2, ask1 2-2, 2-2, gap 2-2 state2, end 001"},
		{"and given up behind it", with(func(c *Config) { c.Tries = 4 }),
			[]step{{0, 0, p(1, 1)}, {1, 0, endOf(sessionOne, 3)}, {11, 0, nil}, {16, 0, nil}, {26, 0, nil}, {46, 0, nil}, {51, 0, nil}, {86, 0, nil}, {87, 0, nil}},
			"start 001, 1-1, gap 2-2 state1, ask0 2-2, ask1 2-2, ask0 2-2, ask1 2-2, gap 2-2 state3, end 001"},
		{"but not for ever", with(func(c *Config) { c.Retry = time.Hour }), []step{{0, 0, p(1, 1)}, {1, 0, endOf(sessionOne, 3)}, {11, 0, nil}, {500, 0, nil}, {501, 0, nil}},
			"start 001, 1-1, gap 2-2 state1, ask0 2-2, gap 2-2 state3, end 001"},
		{"nor when something is held up", cfg, []step{{0, 0, p(1, 1)}, {1, 0, heartbeat(sessionOne, 3)}, {11, 0, nil}, {49, 0, nil}, {51, 0, nil}, {52, 0, p(3, 1)}, {53, 0, p(5, 1)}},
			"start 001, 1-1, gap 2-2 state1, ask0 2-2, ask1 2-2, gap 2-2 state3, 3-3"},
		{"a late start", cfg, []step{{0, 0, p(10, 1)}, {10, 0, nil}, {11, fromServer, p(1, 9)}}, "start 001, gap 1-9 state1, ask0 1-9, 1-9, gap 1-9 state2, 10-10"},
		{"too large a hole", with(func(c *Config) { c.MostAsked = 8 }), []step{{0, 0, p(10, 1)}, {10, 0, nil}}, "start 001, gap 1-9 state3, 10-10"},
		{"too large a hole behind one that is asked for", with(func(c *Config) { c.MostAsked = 3 }),
			[]step{{0, 0, p(1, 1)}, {1, 0, p(3, 1)}, {2, 0, p(8, 1)}, {12, 0, nil}, {13, fromServer, p(2, 1)}},
			"start 001, 1-1, gap 2-2 state1, ask0 2-2, 2-2, gap 2-2 state2, 3-3, gap 4-7 state3, 8-8"},
		{"the session changes", cfg, append(hole, step{12, 0, q(1, 1)}, step{13, fromServer, p(2, 3)}, step{14, 0, q(3, 1)}, step{24, 0, nil}, step{25, fromServer, q(2, 1)}),
			asked + ", gap 2-4 state3, 5-5, start 002, 1-1, gap 2-2 state1, ask0 2-2, 2-2, gap 2-2 state2, 3-3"},
		{"no room to hold", with(func(c *Config) { c.HoldPackets = 2 }), append(hole, step{12, 0, p(7, 1)}, step{13, 0, p(9, 1)}),
			asked + ", gap 2-4 state3, 5-5"},
		{"an answer takes no held packet's place", with(func(c *Config) { c.HoldPackets = 1 }), append(hole, step{12, fromServer, p(3, 2)}, step{13, fromServer, p(2, 3)}),
			asked + ", 2-4, gap 2-4 state2, 5-5"},
		{"an answer with more than was asked for", cfg, append(hole, step{12, fromServer, p(2, 9)}), asked + ", 2-4, gap 2-4 state2, 5-5"},
		{"an answer that begins before", cfg, append(hole, step{12, fromServer, p(1, 4)}), asked + ", 2-4, gap 2-4 state2, 5-5"},
		{"beyond what is known to exist", cfg, append(hole, step{12, fromServer, p(2, 9)}, step{13, 0, heartbeat(sessionOne, 6)}), asked + ", 2-4, gap 2-4 state2, 5-5"},
		{"the next server is asked first once it was the one that answered", cfg,
			append(hole, step{16, 0, nil}, step{17, fromServer + 1, p(2, 3)}, step{18, 0, p(7, 1)}, step{28, 0, nil}), asked + ", ask1 2-4, 2-4, gap 2-4 state2, 5-5, gap 6-6 state1, ask1 6-6"},
		{"answers that say nothing", cfg, append(hole, step{12, fromServer, heartbeat(sessionOne, 2)}, step{12, fromServer, endOf(sessionOne, 2)}, step{12, fromServer, endOf(sessionOne, 6)},
			step{12, fromServer, heartbeat(sessionOne, 99)}, step{12, fromServer, p(2, 3)[:19]}, step{12, fromServer, q(2, 3)}, step{12, fromServer, q(1, 1)}, step{12, fromServer, p(0, 3)},
			step{12, fromServer, lying}, step{12, fromServer, p(1<<63, 1)}, step{12, fromServer, p(6, 1)}, step{12, fromServer, p(5, 1)}, step{12, fromServer, p(1<<64-1, 1)}), asked},
		{"answers before anything came", cfg, []step{{0, fromServer, p(1, 1)}, {1, 0, p(1, 1)}}, "start 001, 1-1"},
		{"the clock is set back: asked for anew, in time", cfg, append(hole, step{5, 0, nil}, step{9, 0, nil}, step{10, 0, nil}), asked + ", ask1 2-4"},
	} {
		c, l := recovery(t, tc.cfg, tc.steps)
		if got := strings.Join(l.lines, ", "); got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.name, got, tc.want)
		}
		want := StateLive
		switch {
		case strings.Count(tc.want, "state1") > strings.Count(tc.want, "state2")+strings.Count(tc.want, "state3"):
			want = StateRecovering
		case c.HoleOpen():
			want = StateGap
		case strings.HasSuffix(tc.want, "end 001"):
			want = StateEnded
		}
		if c.State() != want || c.Session.LiveState != uint64(want) {
			t.Errorf("%s: state %s, told %d", tc.name, c.State(), c.Session.LiveState)
		}
	}
}

// TestAnswerCounters: each datagram of a server is counted as what it is, and nothing else.
func TestAnswerCounters(t *testing.T) {
	p := func(first uint64, count int) []byte { return packet(sessionOne, first, count) }
	lying := p(2, 3)
	binary.BigEndian.PutUint16(lying[18:], 4)
	c, _ := recovery(t, Config{Wait: 10 * time.Millisecond, HoldPackets: 2}, []step{
		{0, 0, p(1, 1)}, {1, 0, p(10, 1)}, {11, 0, nil}, // 2 to 9
		{12, fromServer, heartbeat(sessionOne, 2)}, {12, fromServer, endOf(sessionOne, 11)}, {12, fromServer, p(2, 3)[:19]}, {12, fromServer, packet(sessionTwo, 2, 3)},
		{12, fromServer, p(0, 3)}, {12, fromServer, lying}, {12, fromServer, p(11, 1)}, {12, fromServer, p(1<<64-1, 3)},
		{13, fromServer, append(p(2, 2), 0)}, {13, fromServer, p(3, 1)}, {14, fromServer, p(5, 2)}, {15, fromServer, p(8, 1)}, {20, 0, nil},
		{51, 0, nil}, {52, fromServer, p(4, 1)}, {53, fromServer, p(3, 2)},
	})
	r := c.Recovery
	r.Bytes = 0
	if want := (LineCounters{Packets: 11, Heartbeats: 2, Won: 2, Duplicates: 3, Short: 1, Malformed: 2, Trailing: 1, Foreign: 1, Zero: 1, Far: 1, Late: 2,
		LastAt: 1_000_053 * ms}); r != want {
		t.Errorf("answers %+v\n    want %+v", r, want)
	}
	if want := (AskCounters{Asked: 1, AskedMessages: 8, Requests: 3, Retries: 1, NoRoom: 1, Closed: 2, Recovered: 4}); c.Ask != want {
		t.Errorf("asked %+v\n  want %+v", c.Ask, want)
	}
	if s := c.Session; s.Filled != 0 || s.Recovered != 0 || s.Lost != 2 || s.LostMessages != 4 || s.Messages != 6 || s.HoldFull != 0 {
		t.Errorf("%+v", s)
	}
}

// TestRequestsAreFew: with packets pouring in and no answer, what is missing is asked for Tries times and not more; a full link is counted.
func TestRequestsAreFew(t *testing.T) {
	link, _ := newLink(2, 1<<15)
	c := NewChannel(Config{Link: link, HoldMax: time.Hour, Tries: 4, HoldPackets: 4096}, nothing{})
	now := 1_000_000 * ms
	c.Packet(&nic.Packet{Data: packet(sessionOne, 1, 1)}, now)
	for n := range uint64(3000) {
		c.Packet(&nic.Packet{Data: packet(sessionOne, 3+2*(n/1000)+n, 1), Line: uint8(n & 1)}, now) // three holes: 2, and one at each thousand
		c.Tick(now)
		now += ms / 10
	}
	for range 2000 {
		c.Tick(now)
		now += ms
	}
	if c.Ask.Requests != 3*4 || c.Ask.Retries != 3*3 || c.Ask.Exhausted != 3 || c.Ask.Unsent != 0 || c.Ask.LiveAsks != 0 {
		t.Errorf("%+v", c.Ask)
	}

	c = NewChannel(Config{Link: link, HoldMax: time.Hour, AskMessages: 1, AskAtOnce: 64, HoldPackets: 16}, nothing{})
	c.Packet(&nic.Packet{Data: packet(sessionOne, 1000, 1)}, now)
	for range 2000 {
		c.Tick(now)
		now += ms
	}
	if c.Ask.Unsent == 0 || c.Ask.Unsent != c.Ask.Requests-(linkRequests-12) || c.Ask.Exhausted == 0 {
		t.Errorf("%+v", c.Ask)
	}
}

// TestBackOff: what is not answered is asked for after Retry, then after twice that, and so on; an answer in part sets the time back.
func TestBackOff(t *testing.T) {
	link, _ := newLink(3, 1<<15)
	c := NewChannel(Config{Link: link, Wait: 10 * time.Millisecond, HoldMax: time.Hour, Tries: 4, HoldPackets: 16}, nothing{})
	var got []string
	for at := range uint64(300) {
		now := (1_000_000 + at) * ms
		switch at {
		case 0:
			c.Packet(&nic.Packet{Data: packet(sessionOne, 5, 1)}, now)
		case 30:
			link.put(1, now, packet(sessionOne, 1, 2))
		}
		c.Tick(now)
		for q, ok := link.asked(); ok; q, ok = link.asked() {
			got = append(got, fmt.Sprintf("%d:%d from server %d", at, q.first, q.server))
		}
	}
	want := "10:1 from server 0, 15:1 from server 1, 25:1 from server 2, 30:3 from server 2, 35:3 from server 0, 45:3 from server 1, 65:3 from server 2"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("asked at %s\n    want %s", s, want)
	}
	if !link.alert.Load() {
		t.Error("the link's other end was not told of a hole")
	}
}

// TestAnswersAreBounded: a flood of answers has a bounded share of each pass, and what it brings comes in the end.
func TestAnswersAreBounded(t *testing.T) {
	link, _ := newLink(1, 1<<15)
	l := &log{t: t}
	c := NewChannel(Config{Link: link, HoldPackets: 16}, l)
	now := 1_000_000 * ms
	c.Packet(&nic.Packet{Data: packet(sessionOne, 201, 1)}, now)
	c.Tick(now + 2*ms)
	for n := range uint64(200) {
		if !link.put(0, now, packet(sessionOne, 1+n, 1)) {
			t.Fatal("no room")
		}
	}
	for tick := range uint64(200 / answersPerTick) {
		c.Tick(now + 2*ms)
		if want := (tick + 1) * answersPerTick; c.Session.Messages != want {
			t.Fatalf("%d messages after %d passes, want %d", c.Session.Messages, tick+1, want)
		}
	}
	if c.Tick(now + 2*ms); c.Session.Messages != 201 || c.HoleOpen() {
		t.Errorf("%+v", c.Session)
	}
}

// TestManyHoles: more disjoint holes than are told at once are all told, asked for and closed in the end.
func TestManyHoles(t *testing.T) {
	link, _ := newLink(1, 1<<15)
	l := &log{t: t}
	const holes = 3 * mostTold
	c := NewChannel(Config{Link: link, HoldPackets: 2 * holes, HoldMax: time.Second}, l)
	now := 1_000_000 * ms
	for n := range uint64(holes) {
		c.Packet(&nic.Packet{Data: packet(sessionOne, 2+2*n, 1), TsRecv: now}, now)
	}
	for range 900 {
		now += ms / 2
		c.Tick(now)
		for q, ok := link.asked(); ok; q, ok = link.asked() {
			link.put(0, now, packet(sessionOne, q.first, int(q.count)))
		}
	}
	told, closed := uint64(0), uint64(0)
	for _, g := range l.gaps {
		switch g.State {
		case tick.GapRecovering:
			told += g.Last - g.First + 1
		case tick.GapClosed:
			closed += g.Last - g.First + 1
		}
	}
	if c.HoleOpen() || c.Session.Messages != 2*holes || told != holes || closed != holes || c.Session.Lost != 0 || c.Ask.Requests != holes {
		t.Errorf("%d told, %d closed, %+v, %+v", told, closed, c.Session, c.Ask)
	}
}

// TestRecoveryDoesNotAllocate: with holes told, asked for, answered, asked for again and given up, all the time.
func TestRecoveryDoesNotAllocate(t *testing.T) {
	link, _ := newLink(2, 1<<16)
	c := NewChannel(Config{Link: link, HoldPackets: 64, Tries: 2}, nothing{})
	data, now, next := packet(sessionOne, 1, 4), 1_000_000*ms, uint64(1)
	at := func(first uint64) []byte {
		binary.BigEndian.PutUint64(data[10:], first)
		return data
	}
	turn := func() {
		c.Packet(&nic.Packet{Data: at(next), TsRecv: now}, now)
		c.Packet(&nic.Packet{Data: at(next + 8), TsRecv: now, Line: 1}, now)
		c.Packet(&nic.Packet{Data: at(next + 16), TsRecv: now, Line: 1}, now)
		for range 70 { // ms; the first of two holes is answered, the second is not
			now += ms
			c.Tick(now)
			for q, ok := link.asked(); ok; q, ok = link.asked() {
				if q.first < next+8 {
					link.put(int(q.server), now, at(q.first))
				}
			}
		}
		next += 20
	}
	turn()
	if n := testing.AllocsPerRun(200, turn); n != 0 {
		t.Errorf("%g allocations a turn", n)
	}
	if c.Session.Recovered < 200 || c.Session.Lost < 200 || c.Ask.Retries < 200 || c.Ask.Exhausted < 200 {
		t.Errorf("%+v, %+v", c.Session, c.Ask)
	}
}

// FuzzAnswers gives arbitrary bytes to a channel as answers, with a hole open: no panic, no message or number that is not of the session, nothing out of
// order, no bound passed, no session begun or ended.
func FuzzAnswers(f *testing.F) {
	f.Add(packet(sessionOne, 3, 5), uint8(200))
	f.Add(append(packet(sessionOne, 5, 2), packet(sessionOne, 3, 2)...), uint8(60))
	f.Add(append(endOf(sessionOne, 3), heartbeat(sessionOne, 1<<63)...), uint8(19))
	f.Add(packet(sessionTwo, 1, 3), uint8(99))
	f.Fuzz(func(t *testing.T, b []byte, size uint8) {
		link, err := newLink(1, 1<<15)
		if err != nil {
			t.Fatal(err)
		}
		o := &order{t: t}
		c := NewChannel(Config{Link: link, HoldPackets: 8, HoldMessages: 64}, o)
		now := uint64(1e15)
		c.Packet(&nic.Packet{Data: packet(sessionOne, 1, 2), TsRecv: now}, now)
		c.Packet(&nic.Packet{Data: packet(sessionOne, 10, 2), TsRecv: now}, now)
		for n := 0; len(b) > 0; n++ {
			k := min(len(b), int(size)+1)
			link.put(n%3, now, b[:k])
			c.Tick(now)
			if held := len(c.hold.order) - c.hold.head; held > 8 || c.hold.messages > 64 || c.highest != 12 || c.Session.Sessions != 1 || c.ended || c.Next() != o.next {
				t.Fatalf("%d packets held, next %d, highest %d, ended %v", held, c.next, c.highest, c.ended)
			}
			b = b[k:]
			now += ms
		}
		c.Flush(now)
		r := &c.Recovery
		if c.HoleOpen() || c.Next() != 12 || c.hold.messages != 0 || r.Packets < r.Won+r.Duplicates+r.Malformed {
			t.Fatalf("next %d, %+v", c.Next(), *r)
		}
	})
}

// BenchmarkRecovery is what a hole of 64 messages costs the lane from the first packet behind it to the last message: told, asked for, answered by two
// packets, closed.
//
//	budget  0 allocs/op
func BenchmarkRecovery(b *testing.B) {
	link, err := newLink(1, 1<<16)
	if err != nil {
		b.Fatal(err)
	}
	c := NewChannel(Config{Link: link, HoldPackets: 64}, nothing{})
	one, half, now, next := packet(sessionOne, 1, 1), packet(sessionOne, 1, 32), 1_000_000*ms, uint64(1)
	b.ReportAllocs()
	for b.Loop() {
		binary.BigEndian.PutUint64(one[10:], next)
		c.Packet(&nic.Packet{Data: one, TsRecv: now}, now)
		binary.BigEndian.PutUint64(one[10:], next+65)
		c.Packet(&nic.Packet{Data: one, TsRecv: now}, now)
		now += 2 * ms
		for range 2 {
			c.Tick(now)
			q, _ := link.asked()
			binary.BigEndian.PutUint64(half[10:], q.first)
			link.put(0, now, half)
		}
		c.Tick(now)
		next += 66
	}
	if c.Session.Recovered != uint64(b.N) || c.Session.Lost != 0 {
		b.Errorf("%+v, %+v", c.Session, c.Ask)
	}
}
