package mold

import (
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"

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
	// Exact takes DelayNs and JitterNs as they are, 0 included.
	Exact bool
	// LossPPM, DuplicatePPM and ReorderPPM are packets of a million that never come, come twice, or come up to 100 µs late and are
	// overtaken by others. The default is 0.
	LossPPM, DuplicatePPM, ReorderPPM uint32
	// BurstPPM are packets of a million at which a burst of loss begins, that one and the next ones: BurstPackets of them. The default
	// is 0.
	BurstPPM, BurstPackets uint32
	// CorruptPPM are packets of a million that come damaged, in one of the ways of Corrupt. The default is 0, and every way that a
	// receiver can tell.
	CorruptPPM uint32
	Corrupt    Corruption
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
	if l.DelayNs == 0 && !l.Exact {
		l.DelayNs = d.DelayNs
	}
	if l.JitterNs == 0 && !l.Exact {
		l.JitterNs = 2_000
	}
	if l.Corrupt == 0 {
		l.Corrupt = CorruptHeader | CorruptLength | CorruptTruncate
	}
}

// check appends what is wrong with line i.
func (l *Line) check(i int, errs []error) []error {
	for _, share := range []uint32{l.LossPPM, l.DuplicatePPM, l.ReorderPPM, l.BurstPPM, l.CorruptPPM} {
		if share > perMillion {
			errs = append(errs, fmt.Errorf("mold: line %c: %d packets of %d, want at most all", 'A'+i, share, perMillion))
		}
	}
	if (l.BurstPPM == 0) != (l.BurstPackets == 0) {
		errs = append(errs, fmt.Errorf("mold: line %c: bursts need both a share and a length, have %d ppm of %d packets", 'A'+i, l.BurstPPM, l.BurstPackets))
	}
	if l.Corrupt&^everyCorruption != 0 {
		errs = append(errs, fmt.Errorf("mold: line %c: %v does not exist", 'A'+i, l.Corrupt))
	}
	return errs
}

// Silence is a time in which nothing comes on a line, or on both. What was sent then is lost.
type Silence struct {
	Line    int    // 0: A, 1: B, Both
	AfterNs uint64 // when it begins, after the first packet
	ForNs   uint64 // how long it lasts
	EveryNs uint64 // again each so long; 0: once
}

// Both lines.
const Both = -1

func (s *Silence) check(errs []error) []error {
	if s.Line < Both || s.Line > 1 {
		errs = append(errs, fmt.Errorf("mold: silence on line %d, want 0, 1 or both (-1)", s.Line))
	}
	if s.ForNs == 0 || s.EveryNs != 0 && s.EveryNs < s.ForNs {
		errs = append(errs, fmt.Errorf("mold: silence of %d ns each %d ns, want more than none, and less than always", s.ForNs, s.EveryNs))
	}
	return errs
}

// covers says whether a moment, ns since the first packet, lies in it.
func (s *Silence) covers(at uint64) bool {
	if at < s.AfterNs {
		return false
	}
	at -= s.AfterNs
	if s.EveryNs != 0 {
		at %= s.EveryNs
	}
	return at < s.ForNs
}

// LinesOptions are the lines and what befalls both. The zero value works: lines without faults.
type LinesOptions struct {
	A, B Line
	// Seed of all faults. The default is 0, a seed like any other.
	Seed uint64
	// BothPPM are packets of a million at which both lines lose BothPackets in a row. The default is 0.
	BothPPM, BothPackets uint32
	// Silences of the lines. The default is none.
	Silences []Silence
	// Lost is told of messages that neither line has, in order. It may be nil.
	Lost func(session [10]byte, first uint64, count int)

	// Numbers tells a packet's session, first number and messages. The default is by MoldUDP64's header; other framings say so themselves.
	Numbers func(packet []byte) (session [10]byte, first uint64, count int)
	// Damage spoils a packet in its memory, and says how many messages a receiver can still use, and whether one of them is another than was sent; how
	// picks. The default is what Line.Corrupt says of MoldUDP64 packets.
	Damage func(packet []byte, ways Corruption, how uint64) (out []byte, whole int, poisoned bool)
}

func (o *LinesOptions) defaults() {
	o.A.defaults(&defaultA)
	o.B.defaults(&defaultB)
	if o.Numbers == nil {
		o.Numbers = moldNumbers
	}
	if o.Damage == nil {
		o.Damage = func(b []byte, ways Corruption, how uint64) ([]byte, int, bool) {
			b, d := corrupt(b, ways, how)
			return b, d.whole, d.poisoned
		}
	}
}

// Validate reports all faults at once.
func (o *LinesOptions) Validate() error {
	errs := o.B.check(1, o.A.check(0, nil))
	if o.BothPPM > perMillion {
		errs = append(errs, fmt.Errorf("mold: both lines: %d packets of %d, want at most all", o.BothPPM, perMillion))
	}
	if (o.BothPPM == 0) != (o.BothPackets == 0) {
		errs = append(errs, fmt.Errorf("mold: both lines: loss needs both a share and a length, has %d ppm of %d packets", o.BothPPM, o.BothPackets))
	}
	for i := range o.Silences {
		errs = o.Silences[i].check(errs)
	}
	return errors.Join(errs...)
}

// LineCounters count what became of one line's packets.
type LineCounters struct {
	Sent       uint64 `json:"sent"`        // put on the wire, second copies included
	Lost       uint64 `json:"lost"`        // in whichever way: the next three are among them
	InBursts   uint64 `json:"lost_bursts"` // in the line's own bursts
	InBoth     uint64 `json:"lost_both"`   // with the other line's
	InSilence  uint64 `json:"lost_silence"`
	Duplicated uint64 `json:"duplicated"`
	Late       uint64 `json:"late"`      // delayed so that others may overtake them
	Corrupted  uint64 `json:"corrupted"` // sent, second copies not counted
	Poisoned   uint64 `json:"poisoned"`  // of those: a message was changed, and nothing else tells
}

// Counters of both lines.
type Counters struct {
	Packets      uint64          `json:"packets"` // of the session
	Lines        [2]LineCounters `json:"lines"`
	LostBoth     uint64          `json:"lost_both"`     // packets with messages that neither line has
	LostMessages uint64          `json:"lost_messages"` // in those: what no receiver can have without asking again
}

// Lines carry packets on two lines. It belongs to one goroutine. Once warm it does not allocate.
type Lines struct {
	o       LinesOptions
	lines   [2]Line
	random  [2]random
	extra   [2]random // for bursts and damage, so that options of one kind leave the others' faults where they are
	both    random
	burst   [2]uint32 // packets that the line's burst has still
	inBoth  uint32
	last    [2]uint64 // time of the last packet that was neither late nor a copy
	first   uint64    // time of the first packet
	waiting flights
	free    [][]byte
	number  uint64
	out     func(line int, ts uint64, packet []byte) error
	c       Counters
}

// NewLines is NewLinesWith for lines without common faults.
func NewLines(a, b Line, seed uint64, out func(line int, ts uint64, packet []byte) error) (*Lines, error) {
	return NewLinesWith(LinesOptions{A: a, B: b, Seed: seed}, out)
}

// NewLinesWith has out called with each datagram, in the order of their times; packet is valid for the call. The same seed gives the
// same faults, and a line's do not hang on the other's options.
func NewLinesWith(o LinesOptions, out func(line int, ts uint64, packet []byte) error) (*Lines, error) {
	o.defaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	l := &Lines{o: o, lines: [2]Line{o.A, o.B}, out: out, both: random{o.Seed ^ 0x6A09E667F3BCC908}}
	for i := range l.lines {
		l.random[i] = random{o.Seed*2 + uint64(i)}
		l.extra[i] = random{(o.Seed*2 + uint64(i)) ^ 0xBB67AE8584CAA73B}
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

// Advance hands out what is on the wire before what is sent from ts on can be. Send does so too.
func (l *Lines) Advance(ts uint64) error {
	// Nothing sent from now on can be on the wire before the shorter delay is over; what is at that very moment was sent earlier.
	return l.handOut(ts + min(l.lines[0].DelayNs, l.lines[1].DelayNs) + 1)
}

func (l *Lines) send(ts uint64, packet []byte, sure bool) error {
	if err := l.handOut(ts + min(l.lines[0].DelayNs, l.lines[1].DelayNs)); err != nil {
		return err
	}
	if l.c.Packets == 0 {
		l.first = ts
	}
	if len(l.waiting) >= mostFlights {
		return fmt.Errorf("mold: %d packets are on their way: the lines' delays are too long for this rate", len(l.waiting))
	}
	l.c.Packets++
	if start := l.both.in(l.o.BothPPM); start && l.inBoth == 0 && !sure {
		l.inBoth = l.o.BothPackets
	}
	there := 0 // messages that come on one line or the other, from the packet's first on
	for i := range l.lines {
		there = max(there, l.carry(i, ts, packet, sure))
	}
	if l.inBoth > 0 && !sure {
		l.inBoth--
	}
	if session, first, count := l.o.Numbers(packet); there < count {
		l.c.LostBoth++
		l.c.LostMessages += uint64(count - there)
		if l.o.Lost != nil {
			l.o.Lost(session, first+uint64(there), count-there)
		}
	}
	return nil
}

// moldNumbers are those of a MoldUDP64 packet.
func moldNumbers(packet []byte) (session [10]byte, first uint64, count int) {
	h, _, err := moldudp64.Parse(packet)
	if err != nil || h.Count == moldudp64.EndOfSession {
		return h.Session, h.Sequence, 0
	}
	return h.Session, h.Sequence, int(h.Count)
}

// messages is how many a MoldUDP64 packet has.
func messages(packet []byte) int {
	_, _, count := moldNumbers(packet)
	return count
}

// carry puts a packet on one line, and says how many of its messages come, from the first on. It draws as often whatever happens, so
// that one fault does not move the next ones.
func (l *Lines) carry(i int, ts uint64, packet []byte, sure bool) int {
	line, r, c := &l.lines[i], &l.random[i], &l.c.Lines[i]
	jitter := r.below(line.JitterNs + 1)
	lost, late, twice := r.in(line.LossPPM), r.in(line.ReorderPPM), r.in(line.DuplicatePPM)
	more, again := 10_000+r.below(90_000), 5_000+r.below(50_000)
	bursts, damaged, how := l.extra[i].in(line.BurstPPM), l.extra[i].in(line.CorruptPPM), l.extra[i].next()
	at := max(ts+line.DelayNs+jitter, l.last[i]+1)
	if sure {
		late, twice, damaged = false, false, false
	} else if l.loses(i, ts, lost, bursts) {
		c.Lost++
		return 0
	}
	if late {
		c.Late++
		at += more
	} else {
		l.last[i] = at
	}
	b := append(l.buffer(), packet...)
	_, _, there := l.o.Numbers(packet)
	if damaged {
		poisoned := false
		b, there, poisoned = l.o.Damage(b, line.Corrupt, how)
		c.Corrupted++
		if poisoned {
			c.Poisoned++
		}
	}
	l.fly(i, at, b)
	if twice {
		c.Duplicated++
		l.fly(i, at+again, append(l.buffer(), b...))
	}
	return there
}

// loses decides whether a line loses a packet, and counts why.
func (l *Lines) loses(i int, ts uint64, lost, bursts bool) bool {
	c := &l.c.Lines[i]
	if bursts && l.burst[i] == 0 {
		l.burst[i] = l.lines[i].BurstPackets
	}
	inBurst := l.burst[i] > 0
	if inBurst {
		l.burst[i]--
	}
	silent := slices.ContainsFunc(l.o.Silences, func(s Silence) bool {
		return (s.Line == i || s.Line == Both) && s.covers(ts-l.first)
	})
	switch {
	case silent:
		c.InSilence++
	case l.inBoth > 0:
		c.InBoth++
	case inBurst:
		c.InBursts++
	default:
		return lost
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

// flights is a heap by time. It holds what the longest delay can hold up, and no more than mostFlights.
type flights []flight

const mostFlights = 1 << 20

func (f flights) less(i, j int) bool {
	return f[i].at < f[j].at || f[i].at == f[j].at && f[i].number < f[j].number
}

func (f *flights) push(x flight) {
	*f = append(*f, x)
	h := *f
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if !h.less(i, parent) {
			break
		}
		h[i], h[parent] = h[parent], h[i]
		i = parent
	}
}

// pop takes the first one. There is one.
func (f *flights) pop() flight {
	h := *f
	first, n := h[0], len(h)-1
	h[0], h[n] = h[n], flight{}
	h = h[:n]
	for i := 0; ; {
		child := 2*i + 1
		if child >= n {
			break
		}
		if child+1 < n && h.less(child+1, child) {
			child++
		}
		if !h.less(child, i) {
			break
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
	*f = h
	return first
}

// buffer is an empty one, used before if there is such.
func (l *Lines) buffer() []byte {
	n := len(l.free)
	if n == 0 {
		return make([]byte, 0, DefaultPayload)
	}
	b := l.free[n-1]
	l.free = l.free[:n-1]
	return b[:0]
}

// fly takes packet over.
func (l *Lines) fly(line int, at uint64, packet []byte) {
	l.number++
	l.waiting.push(flight{at, l.number, packet, line})
}

// handOut gives out what is on the wire before a time.
func (l *Lines) handOut(before uint64) error {
	for len(l.waiting) > 0 && l.waiting[0].at < before {
		f := l.waiting.pop()
		l.c.Lines[f.line].Sent++
		err := l.out(f.line, f.at, f.packet)
		l.free = append(l.free, f.packet)
		if err != nil {
			return err
		}
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
