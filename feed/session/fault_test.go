package session

import (
	"container/heap"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/parsers/moldudp64"
	"github.com/tickwire/tickwire/sim/mold"
	"github.com/tickwire/tickwire/tick"
)

var faultSeed = flag.Uint64("fault-seed", 0, "replay this schedule of TestFaults alone, telling what happens")

// TestFaults plays ten thousand random schedules of a venue, two lines and re-request servers, all with faults, in virtual time: the channel
// with its link as they are, the goroutine behind the link modelled, the servers' answers from the simulator's own code.
//
// In every one: messages leave in order, once, with the bytes that the venue gave them; what is delivered and what is named as lost is everything, and
// nothing is both; each number told as recovering was missing, and is told as closed or lost once; requests ask only for what is missing; bounds hold.
//
// In those where a server answers within the bounds ("mild"), the output is that of a run without faults: all messages, no loss.
func TestFaults(t *testing.T) {
	if *faultSeed != 0 {
		faultSchedule(t, *faultSeed, true)
		return
	}
	n := uint64(10_000)
	if testing.Short() || raceEnabled {
		n = 1000
	}
	var sum AskCounters
	var lines LineCounters
	var session Counters
	for seed := uint64(1); seed <= n; seed++ {
		w := faultSchedule(t, seed, false)
		if t.Failed() {
			t.Fatalf("replay with -run TestFaults -fault-seed %d", seed)
		}
		sum.Closed += w.c.Ask.Closed
		sum.Retries += w.c.Ask.Retries
		sum.Exhausted += w.c.Ask.Exhausted
		sum.TooLarge += w.c.Ask.TooLarge
		sum.NoRoom += w.c.Ask.NoRoom
		r := &w.c.Recovery
		lines.Won += r.Won
		lines.Late += r.Late
		lines.Duplicates += r.Duplicates
		lines.Foreign += r.Foreign
		lines.Malformed += r.Malformed
		lines.Far += r.Far
		lines.Zero += r.Zero
		lines.Short += r.Short
		lines.Heartbeats += r.Heartbeats
		session.Lost += w.c.Session.Lost
		session.Recovered += w.c.Session.Recovered
		session.Filled += w.c.Session.Filled
		session.HoldFull += w.c.Session.HoldFull
		lines.LateWins += w.c.Lines[0].LateWins + w.c.Lines[1].LateWins
		lines.Silences += w.c.Lines[0].Silences + w.c.Lines[1].Silences
	}
	for name, count := range map[string]uint64{
		"stretches closed": sum.Closed, "retries": sum.Retries, "requests that were given up": sum.Exhausted, "holes too large": sum.TooLarge, "answers without room": sum.NoRoom,
		"answers": lines.Won, "late answers": lines.Late, "answers twice": lines.Duplicates, "foreign answers": lines.Foreign, "malformed answers": lines.Malformed,
		"answers to nothing": lines.Far, "answers numbered 0": lines.Zero, "short answers": lines.Short, "answers without messages": lines.Heartbeats,
		"losses": session.Lost, "holes recovered": session.Recovered, "holes filled by a line": session.Filled, "holds that were full": session.HoldFull,
		"late wins": lines.LateWins, "silences": lines.Silences,
	} {
		if count == 0 && n == 10_000 {
			t.Errorf("there were no %s in all schedules: they show too little", name)
		}
	}
}

const us = uint64(time.Microsecond)

// world is a schedule: the venue's sessions, what is on its way, and the channel that all of it ends in.
type world struct {
	t      *testing.T
	r      *rand.Rand
	tell   bool
	mild   bool
	now    uint64
	step   uint64 // between ticks, ns
	c      *Channel
	link   *Link
	judge  *judge
	logs   map[[10]byte]*mold.Log
	lines  [2]lineFaults
	server []serverFaults
	flying flights
	unique uint64

	recut   bool // line B packs the same messages otherwise: nothing says that both lines cut alike
	back    bool // the clock is set back now and then
	ticking bool // the channel is looking at the time
}

// lineFaults are a line's, in percent of packets unless it says otherwise.
type lineFaults struct {
	loss, burst, late, twice, cut int
	delay                         uint64 // ns
	left                          int    // packets still to be lost of a burst
	silent                        [2]uint64
}

// serverFaults are a server's.
type serverFaults struct {
	loss, wrong, other, twice int // percent of answers
	flood                     int // further packets for each answer
	delay                     uint64
	payload                   int
}

type flight struct {
	at     uint64
	number uint64
	line   int // LineRecovery + server: an answer; sure: line 0, undamaged
	data   []byte
}

const sure = -1

type flights []flight

func (f flights) Len() int { return len(f) }
func (f flights) Less(i, j int) bool {
	return f[i].at < f[j].at || f[i].at == f[j].at && f[i].number < f[j].number
}
func (f flights) Swap(i, j int) { f[i], f[j] = f[j], f[i] }
func (f *flights) Push(x any)   { *f = append(*f, x.(flight)) }
func (f *flights) Pop() any {
	last := (*f)[len(*f)-1]
	*f = (*f)[:len(*f)-1]
	return last
}

func (w *world) fly(at uint64, line int, data []byte) {
	w.unique++
	heap.Push(&w.flying, flight{at, w.unique, line, data})
}

func (w *world) in(percent int) bool { return w.r.IntN(100) < percent }

// faultSchedule makes and plays one schedule.
func faultSchedule(t *testing.T, seed uint64, tell bool) *world {
	r := rand.New(rand.NewPCG(seed, 3))
	w := &world{t: t, r: r, tell: tell, mild: seed%2 == 0, now: 1_000_000 * ms, logs: make(map[[10]byte]*mold.Log)}
	w.step = (50 + r.Uint64N(450)) * us
	w.recut, w.back = r.IntN(4) == 0, r.IntN(4) == 0
	cfg := w.config()
	link, err := newLink(1+r.IntN(3), 1<<15)
	if err != nil {
		t.Fatal(err)
	}
	w.link, cfg.Link = link, link
	w.judge = &judge{w: w, logs: w.logs}
	w.c = NewChannel(cfg, w.judge)
	for i := range w.lines {
		w.lines[i] = w.lineFaults()
	}
	for i := range link.servers {
		w.server = append(w.server, w.serverFaults(i == 0))
	}
	r.Shuffle(len(w.server), func(i, j int) { w.server[i], w.server[j] = w.server[j], w.server[i] })
	if tell {
		t.Logf("mild %v, %+v, lines %+v, servers %+v", w.mild, cfg, w.lines, w.server)
	}
	for n := range 1 + r.IntN(3) {
		w.session([10]byte(fmt.Appendf(nil, "SESSION%03d", n)))
		if t.Failed() {
			return w
		}
	}
	w.finish()
	return w
}

// config draws bounds: wide ones for a mild schedule, any for the others.
func (w *world) config() Config {
	r := w.r
	cfg := Config{
		Wait: time.Duration((1 + r.Uint64N(5)) * ms), Quiet: time.Hour, SilentAfter: time.Duration((20 + r.Uint64N(100)) * ms),
		Retry: time.Duration((1 + r.Uint64N(5)) * ms), AskMessages: 1 + r.IntN(80), AskAtOnce: 1 + r.IntN(12),
		HoldPackets: 200, HoldMax: 1e15, Tries: 32,
	}
	if w.mild {
		return cfg
	}
	cfg.HoldMax = time.Duration((1 + r.Uint64N(60)) * ms)
	cfg.Tries = 1 + r.IntN(5)
	if r.IntN(3) == 0 {
		cfg.HoldPackets, cfg.HoldMessages = 1+r.IntN(20), 1+r.IntN(200)
	}
	if r.IntN(3) == 0 {
		cfg.MostAsked = 1 + r.IntN(30)
	}
	return cfg
}

func (w *world) lineFaults() (f lineFaults) {
	r := w.r
	if r.IntN(5) > 0 {
		f.loss = r.IntN(40)
	}
	if r.IntN(3) == 0 {
		f.burst = r.IntN(5)
	}
	f.late, f.twice, f.cut = r.IntN(20)*r.IntN(2), r.IntN(10)*r.IntN(2), r.IntN(10)*r.IntN(2)
	f.delay = r.Uint64N(10) * ms * uint64(r.IntN(2))
	if r.IntN(4) == 0 {
		from := w.now + r.Uint64N(200)*ms
		f.silent = [2]uint64{from, from + r.Uint64N(200)*ms}
	}
	return f
}

// serverFaults of one server: a mild schedule has one that answers in the end.
func (w *world) serverFaults(first bool) serverFaults {
	r := w.r
	f := serverFaults{delay: r.Uint64N(2000) * us, payload: 200 + r.IntN(1200), twice: 20 * r.IntN(2), flood: r.IntN(20) / 19 * r.IntN(30)}
	if w.mild && first {
		f.loss, f.other = r.IntN(30), r.IntN(30)
		return f
	}
	switch r.IntN(6) {
	case 0:
		f.loss = 100
	case 1:
		f.wrong = 100
	case 2:
		f.other = 100
	case 3:
		f.delay = r.Uint64N(200) * ms
	case 4:
		f.loss, f.wrong, f.other = r.IntN(100), r.IntN(100), r.IntN(100)
	}
	return f
}

// session has the venue send a session, and lets time pass: to its end in a mild schedule, to any moment in the others.
func (w *world) session(id [10]byte) {
	log := mold.NewLog(id, 0)
	w.logs[id] = log
	w.judge.total(id, 0)
	r := w.r
	total := uint64(1 + r.IntN(300))
	at := w.now + r.Uint64N(10)*ms
	for first := uint64(1); first <= total; {
		count := min(uint64(1+r.IntN(20)), total-first+1)
		packet := moldudp64.AppendHeader(nil, moldudp64.Header{Session: id, Sequence: first, Count: uint16(count)})
		for n := first; n < first+count; n++ {
			packet, _ = moldudp64.AppendBlock(packet, sessionBody(id, n))
		}
		first += count
		if r.IntN(4) > 0 {
			at += r.Uint64N(2 * ms)
		}
		w.sendAt(at, packet)
		if r.IntN(10) == 0 {
			w.sendAt(at+r.Uint64N(3*ms), heartbeat(id, first))
		}
		if r.IntN(50) == 0 {
			at += r.Uint64N(100 * ms)
		}
		w.run(at, false)
		if w.t.Failed() {
			return
		}
	}
	if w.mild || r.IntN(2) == 0 {
		for range 3 {
			at += ms
			w.sendAt(at, endOf(id, total+1))
		}
		at += ms
		w.fly(at+w.lines[0].delay, sure, endOf(id, total+1)) // one end comes surely: what nobody tells of cannot be asked for
	}
	if w.mild {
		w.run(at+w.lines[0].delay, false)
		w.run(at+1e15, true)
		w.judge.whole(id, total)
	}
}

// sendAt has the venue send a packet: it is in the log then, and on both lines.
func (w *world) sendAt(at uint64, packet []byte) {
	w.run(at, false)
	h, _, _ := moldudp64.Parse(packet)
	if err := w.logs[h.Session].AppendPacket(packet); err != nil {
		w.t.Fatal(err)
	}
	w.judge.total(h.Session, w.logs[h.Session].Next()-1)
	both := w.in(2)
	for i := range w.lines {
		f := &w.lines[i]
		if f.left > 0 || w.in(f.burst) || both {
			if f.left--; f.left < 0 {
				f.left = w.r.IntN(15)
			}
			continue
		}
		if w.in(f.loss) || at >= f.silent[0] && at < f.silent[1] {
			continue
		}
		for copies := 1 + b2i(w.in(f.twice)); copies > 0; copies-- {
			when := at + f.delay + w.r.Uint64N(100*us)
			if w.in(f.late) {
				when += w.r.Uint64N(5 * ms)
			}
			for _, p := range w.cuts(i, packet) {
				if !w.recut || !w.in(f.loss) {
					w.fly(when+b2u(w.recut)*w.r.Uint64N(ms), i, p)
				}
			}
		}
	}
}

// cuts are the packets that a line makes of one.
func (w *world) cuts(line int, packet []byte) (cut [][]byte) {
	h, blocks, _ := moldudp64.Parse(packet)
	if line == 0 || !w.recut || h.Count == 0 || h.Count == moldudp64.EndOfSession {
		return [][]byte{packet}
	}
	for left := int(h.Count); left > 0; {
		n := 1 + w.r.IntN(left)
		_, used := moldudp64.Walk(blocks, n)
		h.Count = uint16(n)
		cut = append(cut, append(moldudp64.AppendHeader(nil, h), blocks[:used]...))
		h.Sequence += uint64(n)
		blocks, left = blocks[used:], left-n
	}
	return cut
}

func b2u(b bool) uint64 { return uint64(b2i(b)) }

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// run lets time pass until a moment; or, with settled, until nothing is on its way or missing any more, and the moment at the latest. The longer
// nothing happens, the longer the steps.
func (w *world) run(until uint64, settled bool) {
	step := w.step
	for w.now < until && !w.t.Failed() {
		if settled && len(w.flying) == 0 && !w.c.HoleOpen() {
			return
		}
		next := min(w.now+step, until)
		if len(w.flying) > 0 {
			next = min(next, max(w.flying[0].at, w.now))
		}
		if settled {
			step += step / 8
		}
		w.now = next
		for len(w.flying) > 0 && w.flying[0].at <= w.now {
			w.arrive(heap.Pop(&w.flying).(flight))
			step = w.step
		}
		if w.back && w.r.IntN(500) == 0 {
			w.now -= w.r.Uint64N(20 * ms)
		}
		w.tick()
	}
}

// arrive gives a packet to the channel, or an answer to the link.
func (w *world) arrive(f flight) {
	if f.line >= LineRecovery {
		w.link.put(f.line-LineRecovery, w.now, f.data)
		return
	}
	data := f.data
	if f.line == sure {
		f.line = 0
	} else if w.in(w.lines[f.line].cut) {
		data = w.damage(data)
	}
	w.judge.came(data)
	if w.tell {
		h, _, _ := moldudp64.Parse(data)
		w.t.Logf("%8d line %d: %d bytes, %s %d count %d", w.now/us, f.line, len(data), h.Session, h.Sequence, h.Count)
	}
	w.c.Packet(&nic.Packet{Data: data, TsRecv: w.now, Line: uint8(f.line)}, w.now)
}

// damage alters a packet as bad links do, where a receiver can tell: cut, fewer, more or longer messages than it says, another session, or far ahead. The
// last two not where one packet alone is believed: at the start, and where a session may begin.
func (w *world) damage(packet []byte) []byte {
	b := slices.Clone(packet)
	h, _, _ := moldudp64.Parse(b)
	switch w.r.IntN(5) {
	case 0:
		return b[:w.r.IntN(len(b))]
	case 1:
		if h.Count != moldudp64.EndOfSession { // too few, or more than there are
			binary.BigEndian.PutUint16(b[18:], uint16(w.r.IntN(2*int(h.Count)+1)))
		}
	case 2:
		if len(b) > 21 {
			b[20], b[21] = 0xFF, 0xFF
		}
	case 3:
		if w.c.next != 0 && !w.c.ended && h.Sequence != 1 {
			b[w.r.IntN(10)] ^= 0x80
		}
	case 4:
		if w.c.next != 0 && h.Session == w.c.id {
			w.unique++
			binary.BigEndian.PutUint64(b[10:], (1<<20-w.unique)<<40)
		}
	}
	return b
}

// tick lets the channel look at the time, sends what it asks, and looks after its bounds.
func (w *world) tick() {
	c := w.c
	asked := c.asks.n != 0
	w.ticking = true
	c.Tick(w.now)
	w.ticking = false
	for q, ok := w.link.asked(); ok; q, ok = w.link.asked() {
		first, end, missing := c.hold.missing(q.first, q.first+uint64(q.count))
		if !missing || first != q.first || end != q.first+uint64(q.count) || q.first < c.next || end > c.highest || q.session != c.id || int(q.server) >= len(w.server) {
			w.t.Errorf("%+v asks for what is not missing: next %d, highest %d", q, c.next, c.highest)
		}
		w.serve(q)
	}
	if held := len(c.hold.order) - c.hold.head; held > c.cfg.HoldPackets || c.hold.messages > c.cfg.HoldMessages || c.asks.n > c.cfg.AskAtOnce {
		w.t.Errorf("%d packets with %d messages held, %d requests", held, c.hold.messages, c.asks.n)
	}
	if c.holes.n != 0 && w.now-c.holes.first().at >= uint64(c.cfg.HoldMax) &&
		(c.hold.messages != 0 || !asked || w.now-c.holes.first().at >= lastChance*uint64(c.cfg.HoldMax)) {
		w.t.Errorf("a hole is open for %d ns", w.now-c.holes.first().at)
	}
	if c.HoleOpen() != (c.next < c.highest) {
		w.t.Errorf("hole open %v, next %d, highest %d", c.HoleOpen(), c.next, c.highest)
	}
	for i := range c.asks.n {
		for j := range i {
			if a, b := &c.asks.open[i], &c.asks.open[j]; a.first < b.end && b.first < a.end {
				w.t.Errorf("asked for twice at once: %+v and %+v", a, b)
			}
		}
	}
}

// serve is a server, and the network to it.
func (w *world) serve(q request) {
	f := &w.server[q.server]
	log := w.logs[q.session]
	if w.tell {
		w.t.Logf("%8d server %d is asked for %d from %d of %s", w.now/us, q.server, q.count, q.first, q.session)
	}
	ask := moldudp64.AppendRequest(nil, q.session, q.first, int(q.count))
	if w.in(f.other) { // for other numbers than it is asked for, sent or not
		ask = moldudp64.AppendRequest(nil, q.session, 1+w.r.Uint64N(log.Next()+5), 1+w.r.IntN(100))
	}
	packet := log.Answer(nil, ask, f.payload)
	if packet == nil || w.in(f.loss) {
		return
	}
	if w.in(f.wrong) {
		packet = mold.Spoil(packet, w.r.Uint64())
	}
	at := w.now + f.delay + w.r.Uint64N(50*us)
	for range 1 + b2i(w.in(f.twice)) {
		w.fly(at, LineRecovery+int(q.server), packet)
	}
	for range f.flood {
		w.fly(at+w.r.Uint64N(ms), LineRecovery+int(q.server), packet)
	}
}

// finish ends the input and has the judge look at the whole.
func (w *world) finish() {
	if w.t.Failed() {
		return
	}
	w.run(w.now+100*ms, false)
	w.c.Flush(w.now)
	for len(w.flying) > 0 { // nothing of it may do harm any more
		f := heap.Pop(&w.flying).(flight)
		w.now = max(w.now, f.at)
		w.arrive(f)
		w.tick()
	}
	w.c.Flush(w.now)
	c := w.c
	if c.HoleOpen() || c.hold.messages != 0 || len(c.hold.free) != cap(c.hold.free) || c.told.n != 0 {
		w.t.Errorf("after Flush: hole %v, %d messages held, %d stretches told", c.HoleOpen(), c.hold.messages, c.told.n)
	}
	w.judge.end(c)
}

// sessionBody is message n of a session: its bytes name both.
func sessionBody(id [10]byte, n uint64) []byte {
	b := binary.BigEndian.AppendUint64(nil, n*0x9E3779B97F4A7C15)
	b = append(b, id[7:]...)
	return append(b, make([]byte, n%7)...)
}

// judge is the sink. It has a mark for each number of the session.
type judge struct {
	w       *world
	logs    map[[10]byte]*mold.Log
	id      [10]byte
	next    uint64
	totals  map[[10]byte]uint64
	arrived map[[10]byte][]bool // a line brought it
	told    []bool              // as recovering, and neither closed nor lost yet
	starts  [][10]byte
	ends    [][10]byte

	messages, lost, closed uint64
}

func (j *judge) total(id [10]byte, n uint64) {
	if j.totals == nil {
		j.totals, j.arrived = make(map[[10]byte]uint64), make(map[[10]byte][]bool)
	}
	j.totals[id] = n
	for uint64(len(j.arrived[id])) <= n {
		j.arrived[id] = append(j.arrived[id], false)
	}
}

// came notes what a packet of a line brings, before the channel sees it.
func (j *judge) came(packet []byte) {
	h, blocks, err := moldudp64.Parse(packet)
	if err != nil || h.Session != j.id || h.Count == moldudp64.EndOfSession {
		return
	}
	whole, _ := moldudp64.Walk(blocks, int(h.Count))
	for n := h.Sequence; n < h.Sequence+uint64(whole) && n < uint64(len(j.arrived[j.id])); n++ {
		j.arrived[j.id][n] = true
	}
}

func (j *judge) mark(n uint64) *bool {
	for uint64(len(j.told)) <= n {
		j.told = append(j.told, false)
	}
	return &j.told[n]
}

func (j *judge) Messages(blocks []byte, first uint64, count int, at Arrival) {
	if j.w.tell {
		j.w.t.Logf("%8d messages %d-%d of line %d", j.w.now/us, first, first+uint64(count)-1, at.Line)
	}
	if first != j.next || count == 0 {
		j.w.t.Errorf("messages %d-%d, next is %d", first, first+uint64(count)-1, j.next)
	}
	for ; count > 0 && len(blocks) > 2; count-- {
		size := int(binary.BigEndian.Uint16(blocks))
		if want := sessionBody(j.id, j.next); string(blocks[2:2+size]) != string(want) {
			j.w.t.Errorf("message %d of %s has other bytes", j.next, j.id)
		}
		blocks = blocks[2+size:]
		j.next++
		j.messages++
	}
	if count != 0 || len(blocks) != 0 {
		j.w.t.Errorf("%d messages too few, %d bytes behind the last", count, len(blocks))
	}
}

func (j *judge) Gap(g Gap) {
	if j.w.tell {
		j.w.t.Logf("%8d gap %d-%d state %d", j.w.now/us, g.First, g.Last, g.State)
	}
	if g.Last < g.First || g.Last > j.totals[j.id] || g.State == tick.GapLost && g.First != j.next {
		j.w.t.Errorf("gap %+v, next is %d of %d", g, j.next, j.totals[j.id])
		return
	}
	j.due(g)
	for n := g.First; n <= g.Last; n++ {
		mark := j.mark(n)
		switch g.State {
		case tick.GapRecovering:
			if n < j.next || *mark || j.arrived[j.id][n] {
				j.w.t.Errorf("gap %+v: %d is not missing, or told twice", g, n)
			}
			*mark = true
		case tick.GapClosed:
			if n >= j.next || !*mark {
				j.w.t.Errorf("gap %+v: %d is not there, or was not told", g, n)
			}
			*mark = false
			j.closed++
		case tick.GapLost:
			if j.arrived[j.id][n] {
				j.w.t.Errorf("gap %+v: %d had come", g, n)
			}
			*mark = false
			j.next++
			j.lost++
		default:
			j.w.t.Errorf("gap %+v", g)
		}
	}
}

// due checks that a hole was open for as long as it may be, before it is told as recovering and before time alone makes it lost.
func (j *judge) due(g Gap) {
	c := j.w.c
	for i := range c.holes.n {
		hole := c.holes.i(i)
		if hole.end <= g.First {
			continue
		}
		open, least := j.w.now-hole.at, uint64(c.cfg.Wait)
		if g.State == tick.GapLost && !hole.unasked {
			least = uint64(c.cfg.HoldMax)
		}
		if open < least && (j.w.ticking && g.State == tick.GapLost || g.State == tick.GapRecovering) {
			j.w.t.Errorf("gap %+v after %d ns, want %d", g, open, least)
		}
		return
	}
	if g.State != tick.GapClosed {
		j.w.t.Errorf("gap %+v is no hole", g)
	}
}

// all says whether nothing is told as recovering any more.
func (j *judge) all() bool { return !slices.Contains(j.told, true) }

func (j *judge) SessionStart(id [10]byte) {
	if !j.all() {
		j.w.t.Errorf("session %s ends with numbers told as recovering", j.id)
	}
	j.id, j.next, j.told = id, 1, j.told[:0]
	clear(j.arrived[id])
	j.starts = append(j.starts, id)
}

func (j *judge) SessionEnd(id [10]byte) { j.ends = append(j.ends, id) }

// whole is what a run without faults gives.
func (j *judge) whole(id [10]byte, total uint64) {
	if j.id != id || j.next != total+1 || j.lost != 0 || len(j.ends) == 0 || j.ends[len(j.ends)-1] != id || len(j.ends) != len(j.starts) {
		j.w.t.Errorf("session %s: next is %d of %d, %d lost, began %s, ended %s", id, j.next, total, j.lost, j.starts, j.ends)
	}
}

// end looks at the whole.
func (j *judge) end(c *Channel) {
	switch {
	case !j.all():
		j.w.t.Error("numbers were told as recovering, and nothing more")
	case j.next != c.Next() && c.Next() != 0:
		j.w.t.Errorf("next is %d, the channel's %d", j.next, c.Next())
	case j.messages != c.Session.Messages || j.lost != c.Session.LostMessages:
		j.w.t.Errorf("%d messages, %d lost: %+v", j.messages, j.lost, c.Session)
	case c.Session.Sessions != uint64(len(j.starts)):
		j.w.t.Errorf("%d sessions began: %+v", len(j.starts), c.Session)
	}
}

// TestFaultsReplay: a seed gives the same schedule each time, so that a failure can be looked at.
func TestFaultsReplay(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		a, b := faultSchedule(t, seed, false), faultSchedule(t, seed, false)
		if a.c.Session != b.c.Session || a.c.Ask != b.c.Ask || a.c.Recovery != b.c.Recovery || a.c.Lines != b.c.Lines || a.now != b.now {
			t.Errorf("seed %d: two runs differ: %+v, %+v", seed, a.c.Session, b.c.Session)
		}
	}
}
