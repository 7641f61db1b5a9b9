package exchange

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/udp"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/sim/mold"
)

// loGroups are groups on lo that no other test has: their port was free a moment ago.
func loGroups(t testing.TB) [2]netip.AddrPort {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	port := uint16(sa.(*unix.SockaddrInet4).Port)
	return [2]netip.AddrPort{
		netip.AddrPortFrom(netip.MustParseAddr("239.255.78.1"), port), netip.AddrPortFrom(netip.MustParseAddr("239.255.78.2"), port),
	}
}

// listener receives both lines, and keeps everything.
type listener struct {
	t       testing.TB
	src     *udp.Source
	stop    chan struct{}
	done    sync.WaitGroup
	packets []received
}

type received struct {
	line uint8
	data []byte
	ts   uint64
}

// listen joins groups in the caller's namespace.
func listen(t testing.TB, groups [2]netip.AddrPort, iface [2]string) *listener {
	t.Helper()
	src, err := udp.Open(udp.Options{Groups: []udp.Group{
		{Group: groups[0], Interface: iface[0]}, {Group: groups[1], Interface: iface[1], Line: 1},
	}, RcvBuf: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{t: t, src: src, stop: make(chan struct{})}
	l.done.Go(l.run)
	return l
}

func (l *listener) run() {
	packets := make([]nic.Packet, 64)
	for stopping := false; ; {
		n, err := l.src.Poll(packets)
		if err != nil {
			l.t.Error(err)
			return
		}
		for _, p := range packets[:n] {
			l.packets = append(l.packets, received{p.Line, append([]byte(nil), p.Data...), p.TsRecv})
		}
		if n > 0 {
			continue
		}
		if stopping {
			return
		}
		select {
		case <-l.stop:
			stopping = true
		default:
			_ = l.src.Wait(2 * time.Millisecond)
		}
	}
}

// all is what came, once nothing comes any more.
func (l *listener) all() []received {
	close(l.stop)
	l.done.Wait()
	if err := l.src.Close(); err != nil {
		l.t.Error(err)
	}
	return l.packets
}

// heard is what a receiver makes of it: the messages it has, and the numbers it lacks.
type heard struct {
	sessions []*heardSession
	ends     int
}

type heardSession struct {
	id     [10]byte
	blocks []byte // as a BinaryFILE without its end
	lost   []session.Gap
}

func (h *heard) Messages(blocks []byte, _ uint64, _ int, _ session.Arrival) {
	s := h.sessions[len(h.sessions)-1]
	s.blocks = append(s.blocks, blocks...)
}
func (h *heard) Gap(g session.Gap) {
	s := h.sessions[len(h.sessions)-1]
	s.lost = append(s.lost, g)
}
func (h *heard) SessionStart(id [10]byte) { h.sessions = append(h.sessions, &heardSession{id: id}) }
func (h *heard) SessionEnd([10]byte)      { h.ends++ }

// hear arbitrates packets by their order alone: time stands still, so nothing is given up before the end.
func hear(packets []received) *heard {
	h := &heard{}
	c := session.NewChannel(session.Config{Wait: time.Hour, HoldPackets: 1 << 13, HoldMessages: 1 << 22}, h)
	for i := range packets {
		c.Packet(&nic.Packet{Line: packets[i].line, Data: packets[i].data, TsRecv: uint64(i) + 1}, uint64(i)+1)
	}
	c.Flush(uint64(len(packets)) + 1)
	return h
}

// play runs an exchange to its end and gives what a listener on lo got. Where the kernel's buffers are small and the machine is busy,
// they overflow at times: then it is played again.
func play(t *testing.T, o Options) ([]received, Counters) {
	t.Helper()
	for range 5 {
		packets, c, dropped := playOnce(t, o)
		if dropped == 0 {
			return packets, c
		}
		t.Logf("the kernel dropped %d packets at the listener: once more", dropped)
	}
	t.Fatal("the kernel drops packets at the listener: raise net.core.rmem_max")
	return nil, Counters{}
}

func playOnce(t *testing.T, o Options) (packets []received, c Counters, dropped uint64) {
	t.Helper()
	groups := loGroups(t)
	o.Lines.A.Group, o.Lines.B.Group = groups[0], groups[1]
	l := listen(t, groups, [2]string{"lo", "lo"})
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	err = e.Run(context.Background())
	if err = errors.Join(err, e.Close()); err != nil {
		t.Fatal(err)
	}
	packets = l.all()
	return packets, e.Counters(), l.src.Counters().KernelDrops
}

// quick is a short session at a pace that every machine keeps up with.
func quick(messages uint64) Options {
	return Options{
		Gen: itchgen.Options{Messages: messages, Symbols: 20, Seed: 3}, Pace: "100000/s", Heartbeat: 20 * time.Millisecond,
	}
}

func readTruth(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasSuffix(b, []byte{0, 0}) {
		t.Fatalf("%s does not end as a BinaryFILE", path)
	}
	return b[:len(b)-2]
}

func count(blocks []byte) (n uint64) {
	for len(blocks) > 0 {
		blocks = blocks[2+int(binary.BigEndian.Uint16(blocks)):]
		n++
	}
	return n
}

// TestClean: both lines carry everything, in time, with stamps of now, and the truth is what was sent.
func TestClean(t *testing.T) {
	o := quick(30_000)
	o.Expect = filepath.Join(t.TempDir(), "truth")
	before := time.Now()
	packets, c := play(t, o)
	h := hear(packets)
	if len(h.sessions) != 1 || len(h.sessions[0].lost) != 0 || h.ends != 1 {
		t.Fatalf("%d sessions, %d ends", len(h.sessions), h.ends)
	}
	if truth := readTruth(t, o.Expect); !bytes.Equal(h.sessions[0].blocks, truth) || count(truth) != 30_000 {
		t.Errorf("%d messages came, %d are true", count(h.sessions[0].blocks), count(truth))
	}
	if c.Messages != 30_000 || c.Next != 30_001 || c.Session != DefaultSession || c.Lines[0].Sent != c.Packets || c.Lines[1].Sent != c.Packets {
		t.Errorf("%+v", c)
	}
	if uint64(len(packets)) != 2*c.Packets || c.Gone != 0 || c.LostMessages != 0 {
		t.Errorf("%d packets came: %+v", len(packets), c)
	}
	if took := time.Duration(c.Took); took < 300*time.Millisecond || time.Since(before) < took {
		t.Errorf("30,000 messages at 100,000/s took %s", took)
	}
	t.Logf("late: half %d ns, 99 of 100 %d ns, all %d ns", c.LateP50, c.LateP99, c.LateMax)
}

// TestFaults: what the lines are told to do, a receiver sees, and nothing else; the counters and the spans say exactly what is lost.
func TestFaults(t *testing.T) {
	for _, tc := range []struct {
		name  string
		lines mold.LinesOptions
		gone  bool
	}{
		{"loss on A", mold.LinesOptions{A: mold.Line{LossPPM: 100_000}}, false},
		{"loss on both", mold.LinesOptions{A: mold.Line{LossPPM: 100_000}, B: mold.Line{LossPPM: 200_000}, Seed: 5}, true},
		{"bursts", mold.LinesOptions{A: mold.Line{BurstPPM: 2_000, BurstPackets: 20}, B: mold.Line{LossPPM: 100_000}}, true},
		{"at once", mold.LinesOptions{BothPPM: 5_000, BothPackets: 3}, true},
		{"reordered, repeated, apart", mold.LinesOptions{
			A: mold.Line{ReorderPPM: 100_000, DuplicatePPM: 100_000}, B: mold.Line{DelayNs: 100_000_000, JitterNs: 1_000_000},
		}, false},
		{"damage", mold.LinesOptions{A: mold.Line{CorruptPPM: 200_000}, B: mold.Line{CorruptPPM: 100_000}}, true},
		{"silence", mold.LinesOptions{Silences: []mold.Silence{
			{Line: 0, AfterNs: 10_000_000, ForNs: 50_000_000}, {Line: mold.Both, AfterNs: 100_000_000, ForNs: 5_000_000},
		}}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := quick(20_000)
			o.Lines = tc.lines
			o.Expect = filepath.Join(t.TempDir(), "truth")
			packets, c := play(t, o)
			h := hear(packets)
			if len(h.sessions) != 1 {
				t.Fatalf("%d sessions", len(h.sessions))
			}
			s := h.sessions[0]
			lost := uint64(0)
			var spans []Span
			for _, g := range s.lost {
				lost += g.Last - g.First + 1
				if n := len(spans); n > 0 && spans[n-1].Last+1 == g.First {
					spans[n-1].Last = g.Last
					continue
				}
				spans = append(spans, Span{DefaultSession, g.First, g.Last})
			}
			if lost != c.LostMessages || lost != c.Gone || tc.gone != (lost > 0) || count(s.blocks)+lost != 20_000 {
				t.Errorf("%d of 20,000 came, %d are lost, want %d", count(s.blocks), lost, c.LostMessages)
			}
			if len(spans) != len(c.Lost) {
				t.Fatalf("%d spans are lost, want %d", len(spans), len(c.Lost))
			}
			truth, at := readTruth(t, o.Expect), uint64(1)
			var want []byte
			for _, span := range append(c.Lost, Span{First: 20_001}) {
				for ; at < span.First; at++ {
					n := 2 + int(binary.BigEndian.Uint16(truth))
					want, truth = append(want, truth[:n]...), truth[n:]
				}
				for ; at <= span.Last; at++ {
					truth = truth[2+int(binary.BigEndian.Uint16(truth)):]
				}
			}
			if !bytes.Equal(want, s.blocks) {
				t.Error("what came is not the truth less what is lost")
			}
			for i := range c.Lines {
				if l := c.Lines[i]; l.Sent != c.Packets-l.Lost+l.Duplicated || l.Lost < l.InBursts+l.InBoth+l.InSilence {
					t.Errorf("line %c: %+v of %d", 'A'+i, l, c.Packets)
				}
			}
		})
	}
}

// writeDay writes a generated day, and gives its path.
func writeDay(t testing.TB, messages uint64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "day.itch")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	g, err := itchgen.New(itchgen.Options{Messages: messages, Symbols: 20, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(itchgen.WriteBinaryFILE(f, g, nil), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestSeeds: the same seed sends the same packets on each line, another one others.
func TestSeeds(t *testing.T) {
	day := writeDay(t, 5_000)
	lines := func(seed uint64) (l [2][]byte) {
		o := Options{Path: day, Pace: "100000/s", Heartbeat: 20 * time.Millisecond, Lines: mold.LinesOptions{
			A: mold.Line{LossPPM: 100_000, CorruptPPM: 50_000, DuplicatePPM: 50_000}, Seed: seed,
			B: mold.Line{LossPPM: 50_000, BurstPPM: 1_000, BurstPackets: 5},
		}}
		packets, _ := play(t, o)
		for _, p := range packets {
			l[p.line] = append(append(l[p.line], byte(len(p.data)>>8), byte(len(p.data))), p.data...)
		}
		return l
	}
	a, b, c := lines(7), lines(7), lines(8)
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			t.Errorf("line %c: two runs differ", 'A'+i)
		}
		if bytes.Equal(a[i], c[i]) {
			t.Errorf("line %c: another seed gives the same", 'A'+i)
		}
	}
}

// TestStop: the context's end stops within a second, even with a line that is seconds behind; nothing is forgotten.
func TestStop(t *testing.T) {
	groups := loGroups(t)
	l := listen(t, groups, [2]string{"lo", "lo"})
	o := Options{Gen: itchgen.Options{Symbols: 20}, Pace: "20000/s"}
	o.Lines.A.Group, o.Lines.B.Group, o.Lines.B.DelayNs = groups[0], groups[1], 5_000_000_000
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if err := e.Run(ctx); err != nil {
		t.Fatal(err)
	}
	c := e.Counters()
	if time.Duration(c.Took) > 1300*time.Millisecond {
		t.Errorf("it took %s to stop", time.Duration(c.Took)-300*time.Millisecond)
	}
	if err := e.Run(context.Background()); err == nil {
		t.Error("it ran twice")
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	h := hear(l.all())
	if c.Messages == 0 || len(h.sessions) != 1 || count(h.sessions[0].blocks) != c.Messages || len(h.sessions[0].lost) != 0 || h.ends != 1 {
		t.Errorf("%d messages, want %d, and an end", count(h.sessions[0].blocks), c.Messages)
	}
	if c.Lines[0].Sent != c.Packets || c.Lines[1].Sent != c.Packets {
		t.Errorf("%+v", c)
	}
}

// TestRestart: sessions follow one another, each from number 1 and with its own truth.
func TestRestart(t *testing.T) {
	for _, roll := range []bool{false, true} {
		o := quick(10_000)
		o.Restart = Restart{Every: 4_000, Times: 2, Roll: roll}
		o.Expect = filepath.Join(t.TempDir(), "truth")
		packets, c := play(t, o)
		h := hear(packets)
		if len(h.sessions) != 3 || c.Sessions != 3 || c.Messages != 18_000 || c.Session != "SIM0000003" {
			t.Fatalf("roll %v: %d sessions, %+v", roll, len(h.sessions), c)
		}
		for i, name := range []string{o.Expect, o.Expect + ".2", o.Expect + ".3"} {
			truth := readTruth(t, name)
			if want := []uint64{4_000, 4_000, 10_000}[i]; count(truth) != want || !bytes.Equal(truth, h.sessions[i].blocks) {
				t.Errorf("roll %v, session %d: %d messages came, %d are true, want %d", roll, i+1, count(h.sessions[i].blocks), count(truth), want)
			}
		}
		if want := map[bool]int{false: 1, true: 3}[roll]; h.ends != want {
			t.Errorf("roll %v: %d ends", roll, h.ends)
		}
	}
}

func TestSessionName(t *testing.T) {
	for _, tc := range []struct {
		first string
		n     int
		want  string
	}{
		{"SIM0000001", 0, "SIM0000001"}, {"SIM0000001", 1, "SIM0000002"}, {"A", 2, "A2"}, {"DAY9", 1, "DAY10"}, {"ABCDEFGHI9", 1, "ABCDEFGH10"},
		{"ABCDEFGHIJ", 12, "ABCDEFGH12"}, {"9999999999", 1, "0000000000"},
	} {
		if got := sessionName(tc.first, tc.n); got != tc.want {
			t.Errorf("%s after %d: %s, want %s", tc.first, tc.n, got, tc.want)
		}
	}
}

// TestOptions: all faults at once, each by its name.
func TestOptions(t *testing.T) {
	bad := Options{
		Pace: "fast", Session: "far too long", Gen: itchgen.Options{Symbols: -1}, TTL: 3, VLAN: 5000, Queue: -1, Together: time.Hour, Via: 9,
		Lines:    mold.LinesOptions{A: mold.Line{LossPPM: 2_000_000, Group: GroupB}, B: mold.Line{DelayNs: uint64(time.Hour)}, BothPPM: 5},
		Requests: Requests{Keep: -1}, PayloadBytes: 7,
	}
	_, err := New(bad)
	if err == nil {
		t.Fatal("it was taken")
	}
	for _, want := range []string{
		"pace", "session", "Symbols", "TTL 3 on lo", "VLAN 5000", "queue -1", "together", "via 9", "line A: 2000000", "both lines go to", "delayed by 1h",
		"both lines: loss needs", "kept", "packets of 7",
	} {
		if !bytes.Contains([]byte(err.Error()), []byte(want)) {
			t.Errorf("nothing about %q in: %v", want, err)
		}
	}
	for _, o := range []Options{
		{Path: "/nowhere"}, {Interfaces: [2]string{"nosuch0", "nosuch1"}}, {Interfaces: [2]string{"lo", "eth0"}}, {Via: AFXDP},
		{Expect: "/nowhere/file"}, {PayloadBytes: 65_508},
		{Requests: Requests{Addr: netip.MustParseAddrPort("0.0.0.0:0")}}, {Snapshots: Snapshots{Addr: netip.MustParseAddrPort("0.0.0.0:0")}},
	} {
		if e, err := New(o); err == nil {
			t.Errorf("%+v was taken", o)
			_ = e.Close()
		}
	}
}

// TestStopAnywhere: the context's end stops within a second whatever is going on, at any pace, and the end is told.
func TestStopAnywhere(t *testing.T) {
	day := writeDay(t, 5_000)
	for _, tc := range []struct {
		name string
		o    Options
	}{
		{"at full speed", Options{Pace: "max"}},
		{"between two messages", Options{Path: day, Pace: "recorded"}},
		{"while the end is told", Options{Path: day, Pace: "max", Linger: time.Hour}},
		{"while the end is told, paced", Options{Path: day, Pace: "500000/s", Ends: 100}},
		{"among restarts", Options{Path: day, Pace: "max", Restart: Restart{Every: 1_000, Times: -1}}},
		{"spinning", Options{Pace: "1/s", Spin: true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			groups := loGroups(t)
			tc.o.Lines.A.Group, tc.o.Lines.B.Group, tc.o.Gen.Symbols = groups[0], groups[1], 20
			e, err := New(tc.o)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- e.Run(ctx) }()
			time.Sleep(100 * time.Millisecond)
			cancel()
			asked := time.Now()
			select {
			case err := <-done:
				if err != nil || time.Since(asked) > time.Second {
					t.Errorf("it took %s: %v", time.Since(asked), err)
				}
			case <-time.After(20 * time.Second):
				t.Fatal("it does not stop")
			}
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// BenchmarkPlay is a generated session at full speed on lo, with both servers and nobody who listens: what the exchange costs beside the kernel.
func BenchmarkPlay(b *testing.B) {
	groups := loGroups(b)
	messages := uint64(max(b.N, itchgen.MinMessages))
	o := Options{
		Gen: itchgen.Options{Messages: messages, Symbols: 100}, Pace: "max", Ends: -1, Requests: Requests{Addr: anyPort}, Snapshots: Snapshots{Addr: anyPort},
		Lines: mold.LinesOptions{A: mold.Line{Group: groups[0], LossPPM: 1000}, B: mold.Line{Group: groups[1], DuplicatePPM: 1000}},
	}
	e, err := New(o)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	if err := e.Run(context.Background()); err != nil {
		b.Fatal(err)
	}
	c := e.Counters()
	packets, _ := c.PerSecond()
	b.ReportMetric(packets/1e6, "Mpackets/s")
	if err := e.Close(); err != nil {
		b.Fatal(err)
	}
}
