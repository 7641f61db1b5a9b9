package mold

import (
	"container/heap"
	"fmt"
	"math/bits"
	"net/netip"

	"github.com/tickwire/tickwire/parsers/moldudp64"
)

// perMillion is the whole that faults are shares of.
const perMillion = 1_000_000

// Line is one of the two copies of a channel. The zero value is a line without faults.
type Line struct {
	// Group is where packets go. The default is the venue's own: 233.54.12.111:26477 for A, 233.49.196.111:26477 for B.
	Group netip.AddrPort
	// Source is where they come from. The default is in the ranges for documentation: 192.0.2.10:31337, 198.51.100.10:31337.
	Source netip.AddrPort
	// DelayNs is the time from the venue's stamp to the wire. The default is 165 µs for A as observed, 0.8 µs more for B.
	DelayNs uint64
	// JitterNs is added to it, uniformly from 0, without packets overtaking each other. The default is 2 µs.
	JitterNs uint64
	// LossPPM, DuplicatePPM and ReorderPPM are packets of a million that never come, come twice, or come up to 100 µs late and are
	// overtaken by others. The default is 0.
	LossPPM, DuplicatePPM, ReorderPPM uint32
}

var (
	defaultA = Line{
		Group: netip.MustParseAddrPort("233.54.12.111:26477"), Source: netip.MustParseAddrPort("192.0.2.10:31337"), DelayNs: 165_000,
	}
	defaultB = Line{
		Group: netip.MustParseAddrPort("233.49.196.111:26477"), Source: netip.MustParseAddrPort("198.51.100.10:31337"), DelayNs: 165_800,
	}
)

func (l *Line) defaults(d *Line) {
	if !l.Group.IsValid() {
		l.Group = d.Group
	}
	if !l.Source.IsValid() {
		l.Source = d.Source
	}
	if l.DelayNs == 0 {
		l.DelayNs = d.DelayNs
	}
	if l.JitterNs == 0 {
		l.JitterNs = 2_000
	}
}

// LineCounters count what became of one line's packets.
type LineCounters struct {
	Sent       uint64 // put on the wire, second copies included
	Lost       uint64
	Duplicated uint64
	Late       uint64 // delayed so that others may overtake them
}

// Counters of both lines.
type Counters struct {
	Packets      uint64 // of the session
	Lines        [2]LineCounters
	LostBoth     uint64 // packets with messages that neither line has
	LostMessages uint64 // in those: what no receiver can have without asking again
}

// Lines carry packets on two lines. It belongs to one goroutine.
type Lines struct {
	lines   [2]Line
	random  [2]random
	last    [2]uint64 // time of the last packet that was neither late nor a copy
	waiting flights
	free    [][]byte
	number  uint64
	out     func(line int, ts uint64, packet []byte) error
	c       Counters
}

// NewLines has out called with each datagram, in the order of their times; packet is valid for the call. The same seed gives the
// same faults, and a line's do not hang on the other's options.
func NewLines(a, b Line, seed uint64, out func(line int, ts uint64, packet []byte) error) (*Lines, error) {
	a.defaults(&defaultA)
	b.defaults(&defaultB)
	l := &Lines{lines: [2]Line{a, b}, out: out}
	for i := range l.lines {
		l.random[i] = random{seed*2 + uint64(i)}
		for _, share := range []uint32{l.lines[i].LossPPM, l.lines[i].DuplicatePPM, l.lines[i].ReorderPPM} {
			if share > perMillion {
				return nil, fmt.Errorf("mold: line %c: %d packets of %d, want at most all", 'A'+i, share, perMillion)
			}
		}
	}
	return l, nil
}

// Send takes a packet that the venue makes at ts, ns since any moment; never earlier than the one before. It hands out what is due.
func (l *Lines) Send(ts uint64, packet []byte) error {
	return l.send(ts, packet, false)
}

// SendSurely is Send without faults on either line: for packets that a test or a demo cannot do without.
func (l *Lines) SendSurely(ts uint64, packet []byte) error {
	return l.send(ts, packet, true)
}

func (l *Lines) send(ts uint64, packet []byte, sure bool) error {
	// Nothing sent from now on can be on the wire before the shorter delay is over.
	if err := l.handOut(ts + min(l.lines[0].DelayNs, l.lines[1].DelayNs)); err != nil {
		return err
	}
	l.c.Packets++
	lost := 0
	for i := range l.lines {
		if !l.carry(i, ts, packet, sure) {
			lost++
		}
	}
	if lost == len(l.lines) {
		if h, _, err := moldudp64.Parse(packet); err == nil && h.Count != 0 && h.Count != moldudp64.EndOfSession {
			l.c.LostBoth++
			l.c.LostMessages += uint64(h.Count)
		}
	}
	return nil
}

// carry puts a packet on one line; false when it is lost. It draws as often whatever happens, so that one fault does not move the
// next ones.
func (l *Lines) carry(i int, ts uint64, packet []byte, sure bool) bool {
	line, r, c := &l.lines[i], &l.random[i], &l.c.Lines[i]
	jitter := r.below(line.JitterNs + 1)
	lost, late, twice := r.in(line.LossPPM), r.in(line.ReorderPPM), r.in(line.DuplicatePPM)
	more, again := 10_000+r.below(90_000), 5_000+r.below(50_000)
	if sure {
		lost, late, twice = false, false, false
	}
	at := max(ts+line.DelayNs+jitter, l.last[i]+1)
	if lost {
		c.Lost++
		return false
	}
	if late {
		c.Late++
		at += more
	} else {
		l.last[i] = at
	}
	l.fly(i, at, packet)
	if twice {
		c.Duplicated++
		l.fly(i, at+again, packet)
	}
	return true
}

// Flush hands out everything that is still on its way.
func (l *Lines) Flush() error { return l.handOut(^uint64(0)) }

// Counters so far.
func (l *Lines) Counters() Counters { return l.c }

// flight is a datagram on its way.
type flight struct {
	at     uint64
	number uint64 // breaks ties
	packet []byte
	line   int
}

// flights is a heap by time. It holds what the longest delay can hold up: a tenth of a millisecond of traffic.
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

func (l *Lines) fly(line int, at uint64, packet []byte) {
	var b []byte
	if n := len(l.free); n > 0 {
		b, l.free = l.free[n-1][:0], l.free[:n-1]
	}
	l.number++
	heap.Push(&l.waiting, flight{at, l.number, append(b, packet...), line})
}

// handOut gives out what is on the wire before a time.
func (l *Lines) handOut(before uint64) error {
	for len(l.waiting) > 0 && l.waiting[0].at < before {
		f := heap.Pop(&l.waiting).(flight)
		l.c.Lines[f.line].Sent++
		if err := l.out(f.line, f.at, f.packet); err != nil {
			return err
		}
		l.free = append(l.free, f.packet)
	}
	return nil
}

// random is splitmix64 (Steele, Lea, Flood, 2014).
type random struct{ state uint64 }

func (r *random) next() uint64 {
	r.state += 0x9E3779B97F4A7C15
	z := r.state
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// below is uniform in [0, n).
func (r *random) below(n uint64) uint64 {
	hi, _ := bits.Mul64(r.next(), n)
	return hi
}

func (r *random) in(ppm uint32) bool { return r.below(perMillion) < uint64(ppm) }
