package pipeline

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/internal/pin"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/clock"
	"github.com/tickwire/tickwire/nic/udp"
	"github.com/tickwire/tickwire/parsers/moldudp64"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/sim/itchgen"
)

// patience is how long a test waits for what must come, on a machine however busy.
const patience = 20 * time.Second

// deck is a source of packets that are in memory already: a few a poll, then nothing for a while, then the end.
type deck struct {
	packets [][]byte
	at      int
	burst   int
	empty   int // polls that bring nothing after each one that brings something
	rest    int
	stamp   nic.StampSource
	forever bool // no end: it begins anew
	busy    int
	look    func() // at each poll
}

func (d *deck) Poll(p []nic.Packet) (int, error) {
	if d.look != nil {
		d.look()
	}
	if d.rest > 0 {
		d.rest--
		return 0, nil
	}
	if d.at == len(d.packets) {
		if !d.forever {
			return 0, io.EOF
		}
		d.at = 0
	}
	n := min(d.burst, len(p), len(d.packets)-d.at)
	for i := range n {
		p[i] = nic.Packet{Data: d.packets[d.at], TsRecv: testMidnight + uint64(d.at), Stamp: d.stamp}
		d.at++
	}
	d.rest = d.empty
	return n, nil
}

func (d *deck) BusyPoll() error { d.busy++; return nil }

func (d *deck) Close() error { return nil }

// packetsOf cuts a generated day into packets of up to ten messages of the given sessions, one after the other.
func packetsOf(t testing.TB, messages int, sessions ...string) (packets [][]byte) {
	t.Helper()
	for _, name := range sessions {
		g, err := itchgen.New(itchgen.Options{Messages: uint64(messages), Symbols: 50, Seed: 5})
		must(t, err)
		h := moldudp64.Header{Sequence: 1}
		copy(h.Session[:], name)
		var blocks, m []byte
		for more := true; more; {
			m, more = g.Next(m[:0])
			if more {
				blocks, _ = moldudp64.AppendBlock(blocks, m)
				h.Count++
			}
			if h.Count == 10 || !more && h.Count > 0 {
				packets = append(packets, append(moldudp64.AppendHeader(nil, h), blocks...))
				h.Sequence += uint64(h.Count)
				h.Count, blocks = 0, blocks[:0]
			}
		}
	}
	return packets
}

// input is an Input of one channel for a lane.
func input(l *Lane, s nic.Source) *Input {
	c := session.NewChannel(session.Config{}, l)
	return &Input{Source: s, Channels: []*session.Channel{c}, Route: func(*nic.Packet) *session.Channel { return c }}
}

// onThread runs a lane as a feed does: on a thread of its own that ends with it.
func onThread(l *Lane, in *Input, stop *atomic.Bool) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- l.Run(in, stop)
	}()
	return <-done
}

// processors gives the test some of the runtime's whatever the machine has, and says that pinning works here.
func processors(t testing.TB) {
	t.Helper()
	if runtime.GOMAXPROCS(0) < 4 {
		was := runtime.GOMAXPROCS(4)
		t.Cleanup(func() { runtime.GOMAXPROCS(was) })
	}
	must(t, pin.Works())
}

// A lane whose P is pinned gives the same as one that is not, while somebody collects garbage and makes more of it all the
// time. Two sessions with lines that lose: definitions, directories made anew, holes, the calendar. Whatever parks or enters
// the scheduler in there kills the process.
func TestPinnedLaneUnderCollections(t *testing.T) {
	processors(t)
	day := packetsOf(t, 60_000, "MONDAY", "TUESDAY")
	var packets [][]byte
	for i, p := range day {
		if i%500 != 499 { // lost
			packets = append(packets, p)
		}
	}
	run := func(w *pin.Window, pinned bool) (*bench, *Input) {
		now := testMidnight // a look at the clock takes 1 µs, so that both lanes see the same times
		b := newBench(t, func(c *Config) { c.Clock = func() uint64 { now += 1000; return now } })
		in := input(b.lane, &deck{packets: packets, burst: 3, empty: 20, stamp: nic.StampHardware})
		in.Idle, in.Window, in.PollPinned = IdleSpin, w, pinned
		in.Between = func(uint64) {}
		must(t, onThread(b.lane, in, new(atomic.Bool)))
		return b, in
	}
	want, _ := run(nil, false)

	w := pin.New(pin.Options{Quantum: 5 * time.Millisecond})
	var stop atomic.Bool
	collected := make(chan int)
	go func() {
		n := 0
		for ; !stop.Load(); n++ {
			_ = make([]byte, 1<<20)
			runtime.GC()
		}
		collected <- n
	}()
	got, in := run(w, true)
	stop.Store(true)
	n := <-collected
	t.Logf("%d collections, %+v, %+v", n, *w.Counters(), in.Counters)
	if *got.lane.Counters() != *want.lane.Counters() {
		t.Errorf("pinned:\n%+v\nnot pinned:\n%+v", *got.lane.Counters(), *want.lane.Counters())
	}
	if c := want.lane.Counters(); c.Gaps == 0 || c.Definitions < 100 || c.Rows < 80_000 {
		t.Errorf("the input is not what it should be: %+v", *c)
	}
	if c := w.Counters(); c.ForcedReleases == 0 || c.Outs == 0 || n == 0 {
		t.Errorf("%+v, %d collections: want windows, and times out", *c, n)
	}
	if c := in.Counters; c.StampHardware != uint64(len(packets)) || c.IdlePolls < 20*c.StampHardware/3 || c.Polls < c.IdlePolls {
		t.Errorf("%d packets, %+v", len(packets), c)
	}
}

// A pinned lane polls sockets, for which it goes out, and is stopped within a window.
func TestPinnedLaneOnSockets(t *testing.T) {
	processors(t)
	port, err := net.ListenPacket("udp4", "127.0.0.1:0")
	must(t, err)
	group := netip.AddrPortFrom(netip.MustParseAddr("239.255.71.9"), port.LocalAddr().(*net.UDPAddr).AddrPort().Port())
	must(t, port.Close())
	source, err := udp.Open(udp.Options{Groups: []udp.Group{{Group: group, Interface: "lo"}}})
	must(t, err)
	defer source.Close()
	sender, err := udp.NewSender(group, "lo", 0)
	must(t, err)
	defer sender.Close()

	c := clock.New()
	b := newBench(t, func(cfg *Config) { cfg.Clock = c.Local().Now })
	in := input(b.lane, source)
	w := pin.New(pin.Options{Quantum: 10 * time.Millisecond})
	in.Idle, in.Window = IdleSpin, w
	var seen, stop atomic.Bool
	packets := packetsOf(t, 2000, "LIVE")
	in.Between = func(uint64) {
		if b.lane.Counters().Messages >= 2000 {
			seen.Store(true)
		}
	}
	done := make(chan error)
	go func() { done <- onThread(b.lane, in, &stop) }()
	for i := range packets {
		if n, err := sender.Send(packets[i : i+1]); n != 1 || err != nil {
			t.Fatal(err)
		}
		if i%50 == 0 {
			runtime.GC()
			c.Check()
		}
	}
	for deadline := time.Now().Add(patience); !seen.Load() && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	stop.Store(true)
	must(t, <-done)
	if n := b.lane.Counters().Messages; n < 2000 || in.Counters.StampKernel == 0 || w.Counters().Outs == 0 {
		t.Errorf("%d messages, %+v, %+v", n, in.Counters, *w.Counters())
	}
}

// What may be called pinned is, and what may not is not.
func TestWhatRunsPinned(t *testing.T) {
	processors(t)
	for _, pollPinned := range []bool{false, true} {
		w := pin.New(pin.Options{})
		wrong := func(what string, want bool) {
			if w.Pinned() != want {
				t.Errorf("%s with the P pinned: %v, want %v", what, w.Pinned(), want)
			}
		}
		calendar, tapped, between := 0, 0, 0
		b := newBench(t, func(c *Config) {
			c.Midnight = func(uint64) (uint64, error) { wrong("calendar", false); calendar++; return testMidnight, nil }
		})
		d := &deck{packets: packetsOf(t, 3000, "ONE", "TWO"), burst: 4, look: func() { wrong("poll", pollPinned) }}
		in := input(b.lane, d)
		in.Idle, in.Window, in.PollPinned = IdleBusyPoll, w, pollPinned
		route := in.Route
		in.Route = func(p *nic.Packet) *session.Channel { wrong("route", true); return route(p) }
		in.Tap = tapFunc(func(p []nic.Packet) { wrong("tap", false); tapped += len(p) })
		in.Latency = new(Latency)
		in.Between = func(uint64) { wrong("between", false); between++ }
		must(t, onThread(b.lane, in, new(atomic.Bool)))
		if calendar != 2 || tapped != len(d.packets) || between < 2 {
			t.Errorf("calendar %d, tapped %d of %d, between %d times", calendar, tapped, len(d.packets), between)
		}
		if w.Pinned() {
			t.Error("pinned after the end")
		}
	}
}

func TestIdlePolicies(t *testing.T) {
	packets := packetsOf(t, 1000, "ONE")
	for idle, name := range map[Idle]string{IdleBlock: "block", IdleSpin: "spin", IdleBusyPoll: "busy-poll"} {
		if got, err := ParseIdle(name); got != idle || err != nil {
			t.Errorf("%s is %d, %v", name, got, err)
		}
		b := newBench(t, nil)
		d := &deck{packets: packets, burst: 1, empty: 1}
		in := input(b.lane, d)
		in.Idle = idle
		must(t, onThread(b.lane, in, new(atomic.Bool)))
		busy := 0
		if idle == IdleBusyPoll {
			busy = len(packets)
		}
		if d.busy != busy || in.Counters.BusyPolls != uint64(busy) || in.Counters.IdlePolls != uint64(len(packets)) {
			t.Errorf("%s: the driver was asked %d times, want %d; %+v", name, d.busy, busy, in.Counters)
		}
		if c := in.Counters; c.StampLoop != uint64(len(packets)) || c.StampHardware+c.StampKernel+c.StampFile != 0 {
			t.Errorf("%s: %+v", name, c)
		}
	}
	if _, err := ParseIdle("sleep"); err == nil {
		t.Error("idle = sleep was taken")
	}
}

func TestStampsAreCounted(t *testing.T) {
	packets := packetsOf(t, 1000, "ONE")
	for stamp, of := range map[nic.StampSource]func(*RunCounters) uint64{
		nic.StampNone:     func(c *RunCounters) uint64 { return c.StampLoop },
		nic.StampLoop:     func(c *RunCounters) uint64 { return c.StampLoop },
		nic.StampFile:     func(c *RunCounters) uint64 { return c.StampFile },
		nic.StampKernel:   func(c *RunCounters) uint64 { return c.StampKernel },
		nic.StampHardware: func(c *RunCounters) uint64 { return c.StampHardware },
	} {
		b := newBench(t, nil)
		in := input(b.lane, &deck{packets: packets, burst: 7, stamp: stamp})
		must(t, b.lane.Run(in, new(atomic.Bool)))
		if of(&in.Counters) != uint64(len(packets)) {
			t.Errorf("%s: %+v, want %d", stamp, in.Counters, len(packets))
		}
	}
}

type broken struct{ deck }

func (broken) BusyPoll() error { return errors.New("the driver is gone") }

func TestBusyPollThatFailsEndsTheLane(t *testing.T) {
	b := newBench(t, nil)
	in := input(b.lane, &broken{deck{packets: packetsOf(t, 1000, "ONE"), burst: 1000, empty: 1}})
	in.Idle = IdleBusyPoll
	err := b.lane.Run(in, new(atomic.Bool))
	if err == nil || err.Error() != "pipeline: the driver is gone; 640 messages before it are published" {
		t.Error(err)
	}
}

func TestPinnedLaneMustNotWaitForReaders(t *testing.T) {
	w, err := ringbuf.Create(filepath.Join(t.TempDir(), "f.0.mbo.ring"), ringbuf.Options{Kind: ringbuf.KindMbo, Slots: 1 << 10, Private: true})
	must(t, err)
	defer w.Close()
	b := newBench(t, func(c *Config) { c.Out.Mbo = w })
	in := input(b.lane, &deck{})
	in.Idle, in.Window = IdleSpin, pin.New(pin.Options{})
	if err := b.lane.Run(in, new(atomic.Bool)); err == nil {
		t.Error("started")
	}
}

// A whole pass, poll to counters, allocates nothing: idle, and with packets.
func TestPassAllocatesNothing(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Clock = clock.New().Local().Now })
	d := &deck{packets: packetsOf(t, 1000, "ONE"), burst: 4}
	in := input(b.lane, d)
	must(t, b.lane.Run(in, new(atomic.Bool)))
	d.forever = true // all of it again: duplicates; what rows cost is TestSteadyStateAllocatesNothing's
	in.Between = func(uint64) {}
	if n := testing.AllocsPerRun(1000, func() { _, _ = b.lane.pass(in) }); n != 0 {
		t.Errorf("%g allocations a pass", n)
	}
	d.rest = 1 << 30
	if n := testing.AllocsPerRun(1000, func() { _, _ = b.lane.pass(in); _ = b.lane.idle(in) }); n != 0 {
		t.Errorf("%g allocations an idle pass", n)
	}
}

// BenchmarkIdlePass is how soon a packet is seen: a turn of the loop that finds nothing, by the clock and by what is
// around it.
//
//	budget  0 allocs; with the counter and pinned less than half of the system's clock
func BenchmarkIdlePass(b *testing.B) {
	system := func() uint64 { return uint64(time.Now().UnixNano()) }
	c := clock.New()
	done := make(chan struct{})
	go c.Keep(done)
	defer close(done)
	for _, bc := range []struct {
		name   string
		clock  func() uint64
		window *pin.Window
	}{
		{"system", system, nil},
		{"counter", c.Local().Now, nil},
		{"counter-pinned", c.Local().Now, pin.New(pin.Options{})},
	} {
		b.Run(bc.name, func(b *testing.B) {
			t := newBench(b, func(cfg *Config) { cfg.Clock = bc.clock })
			in := input(t.lane, &deck{rest: 1 << 60})
			in.PollPinned, in.window = true, bc.window
			in.Between = func(uint64) {}
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			b.ReportAllocs()
			b.ResetTimer()
			in.window.Enter(t.lane.clock())
			for range b.N {
				_, _ = t.lane.pass(in)
				_ = t.lane.idle(in)
				in.window.Check(t.lane.now)
			}
			in.window.Leave()
		})
	}
}

// tapFunc is a tap that is always on.
type tapFunc func([]nic.Packet)

func (f tapFunc) On() bool            { return true }
func (f tapFunc) Take(p []nic.Packet) { f(p) }

// A lane that was away does not count that time as waiting, and a hole is not given up while what fills it may lie unread: line A jumps, the
// core is gone for a second, and what line B brought meanwhile is behind more packets than a poll takes.
func TestAwayIsNotWaiting(t *testing.T) {
	packet := func(first uint64) []byte {
		b := moldudp64.AppendHeader(nil, moldudp64.Header{Session: [10]byte([]byte("SESSION001")), Sequence: first, Count: 1})
		b, _ = moldudp64.AppendBlock(b, []byte("S\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00O"))
		return b
	}
	now := testMidnight
	b := newBench(t, func(c *Config) { c.Clock = func() uint64 { return now } })
	var packets [][]byte
	packets = append(packets, packet(1))
	for first := uint64(3); first < 1003; first++ { // number 2 is missing on line A
		packets = append(packets, packet(first))
	}
	packets = append(packets, packet(2))
	d := &deck{packets: packets, burst: burst}
	polls := 0
	d.look = func() {
		if polls++; polls == 2 {
			now += 1_000_000_000
		}
	}
	in := input(b.lane, d)
	c := in.Channels[0]
	must(t, onThread(b.lane, in, new(atomic.Bool)))
	if c.Session.LostMessages != 0 || c.Session.Messages != 1002 || c.Session.PausedNs == 0 {
		t.Errorf("%d messages, %d lost, paused %d ns", c.Session.Messages, c.Session.LostMessages, c.Session.PausedNs)
	}
}
