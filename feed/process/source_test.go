package process

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/internal/netns/nstest"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/udp"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/sim/mold"
	"github.com/tickwire/tickwire/tick"
)

const patience = 20 * time.Second

var lineGroups = [2]netip.AddrPort{netip.MustParseAddrPort("233.54.12.111:26477"), netip.MustParseAddrPort("233.49.196.111:26477")}

// running is a feed inside a namespace: in this test's own process, or in one of its own.
type running struct {
	*Process
	dir    string
	said   *said
	end    func() error
	child  *exec.Cmd // of a process of its own
	killed bool
}

// said keeps what a process logs.
type said struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// configOf is the configuration of a feed on feed0 (line A) and feed1 (line B) of a pair; more is added to its [[feed]] block.
func configOf(dir, more string) []byte {
	return fmt.Appendf(nil, `
[instance]
name = "t"
ring_dir = %[1]q
run_dir = %[1]q
[[feed]]
name = "nq"
publisher = 40000
dataset = "SIM.ITCH"
%[2]s
afxdp.ring = 16384
afxdp.frames = 32768
recovery.hold_packets = 16384
[feed.rings]
mbo = 262144
mbp1 = 131072
trades = 16384
events = 16384
ext = 65536
[[feed.channel]]
[[feed.channel.line]]
interface = "feed0"
group = "%[3]s"
[[feed.channel.line]]
interface = "feed1"
group = "%[4]s"
`, dir, more, lineGroups[0], lineGroups[1])
}

// start runs a feed in this process. What it opens later, such as a connection for a snapshot, is not in the pair's namespace: then
// it is spawn that is wanted.
func start(t *testing.T, p *netns.Pair, more string) *running {
	t.Helper()
	return startWith(t, p, func(dir string) []byte { return configOf(dir, more) })
}

func startWith(t *testing.T, p *netns.Pair, text func(dir string) []byte) *running {
	t.Helper()
	r, err := openWith(t, p, text)
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	r.end = sync.OnceValue(func() error { cancel(); err := <-ended; must(t, r.Close()); return err })
	t.Cleanup(func() {
		if err := r.end(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func openWith(t *testing.T, p *netns.Pair, text func(dir string) []byte) (*running, error) {
	t.Helper()
	r := &running{dir: t.TempDir(), said: &said{}}
	c, err := config.Parse(text(r.dir), nil)
	must(t, err)
	log := slog.New(slog.NewTextHandler(r.said, nil))
	return r, p.Rx.Do(func() (err error) { r.Process, err = Open(c, &c.Feed[0], log); return err })
}

// spawned is the name of the variable that makes this test's binary a feed process: it holds the folder of its configuration.
const spawned = "TICKWIRE_TEST_FEED_IN"

func TestMain(m *testing.M) {
	dir := os.Getenv(spawned)
	if dir == "" {
		os.Exit(m.Run())
	}
	if err := asFeed(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// asFeed is a feed process's main.
func asFeed(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, "tickwire.toml"))
	if err != nil {
		return err
	}
	c, err := config.Parse(text, nil)
	if err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(context.Background(), unix.SIGTERM)
	defer cancel()
	p, err := Open(c, &c.Feed[0], slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return err
	}
	return errors.Join(p.Run(ctx), p.Close())
}

// spawn runs a feed as a process of its own inside the receiving namespace, in dir, where one may have run before.
func spawn(t *testing.T, p *netns.Pair, dir, more string) *running {
	t.Helper()
	return spawnWith(t, p, dir, func(dir string) []byte { return configOf(dir, more) })
}

func spawnWith(t *testing.T, p *netns.Pair, dir string, text func(dir string) []byte) *running {
	t.Helper()
	r := &running{dir: dir, said: &said{}}
	must(t, os.WriteFile(filepath.Join(dir, "tickwire.toml"), text(dir), 0o600))
	r.child = exec.Command(os.Args[0])
	r.child.Env = append(os.Environ(), spawned+"="+dir)
	r.child.Stdout, r.child.Stderr = r.said, r.said
	must(t, p.Rx.Do(r.child.Start))
	r.end = sync.OnceValue(func() error {
		_ = r.child.Process.Signal(unix.SIGTERM) // it may have ended
		return r.child.Wait()
	})
	t.Cleanup(func() {
		if err := r.end(); err != nil && !r.killed {
			t.Errorf("%v; it said:\n%s", err, r.said)
		}
	})
	for until := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		f, err := ringbuf.OpenStats(ringbuf.SidePath(dir, "t", "nq", "", ringbuf.ExtStats))
		if err == nil {
			ready := f.Pid() == r.child.Process.Pid && slices.ContainsFunc(f.Append(nil), func(s ringbuf.Stat) bool { return s.Name == "0.poll.polls" && s.Value > 0 })
			must(t, f.Close())
			if ready {
				return r
			}
		}
		if time.Now().After(until) {
			t.Fatalf("the feed process does not come up; it said:\n%s", r.said)
		}
	}
}

// kill ends a spawned process as nothing else does.
func (r *running) kill(t *testing.T) {
	t.Helper()
	r.killed = true
	must(t, r.child.Process.Kill())
	_ = r.end() // says that it was killed
}

// counters are the process's, as anybody may read them.
func (r *running) counters(t *testing.T) map[string]uint64 {
	t.Helper()
	f, err := ringbuf.OpenStats(ringbuf.SidePath(r.dir, "t", "nq", "", ringbuf.ExtStats))
	must(t, err)
	defer f.Close()
	seen := map[string]uint64{}
	for _, s := range f.Append(nil) {
		seen[s.Name] = s.Value
	}
	return seen
}

// wait waits until a counter is what it should be.
func (r *running) wait(t *testing.T, name string, want uint64) {
	t.Helper()
	for until := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		got, there := r.counters(t)[name]
		if there && got == want {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("counter %s is %d (there: %v), want %d; the process said:\n%s", name, got, there, want, r.said)
		}
	}
}

// ring reads all records of the mbo ring, as far as they came, without what hangs on the time they arrived.
func (r *running) ring(t *testing.T) (recs []tick.Mbo) {
	t.Helper()
	return r.records(t, "t", "nq")
}

func (r *running) records(t *testing.T, instance, feed string) (recs []tick.Mbo) {
	t.Helper()
	rd, err := ringbuf.Open(ringbuf.Path(r.dir, instance, feed, "0", ringbuf.KindMbo), ringbuf.ReaderOptions{Join: ringbuf.JoinOldest})
	must(t, err)
	defer rd.Close()
	for {
		var some [512]tick.Mbo
		n, _, status := ringbuf.PollSlice(rd, some[:])
		if status == ringbuf.Overrun {
			t.Fatal("the ring is too small for this test")
		}
		if n == 0 {
			return recs
		}
		for i := range some[:n] {
			rec := some[i]
			switch rec.RType {
			case tick.RTypeMbo:
				rec.TsRecv, rec.TsInDelta = 0, 0
			case tick.RTypeStatus:
				(*tick.Status)(unsafe.Pointer(&rec)).TsRecv = 0
			}
			rec.Flags &^= tick.FlagBadTsRecv // two interfaces' stamps may be out of order
			recs = append(recs, rec)
		}
	}
}

// wire is the sending end of both lines.
type wire struct {
	lines [2]*udp.Sender
}

func plug(t *testing.T, p *netns.Pair) *wire {
	t.Helper()
	w := &wire{}
	must(t, p.Tx.Do(func() (err error) {
		for i := range w.lines {
			if w.lines[i], err = udp.NewSender(lineGroups[i], fmt.Sprintf("gen%d", i), 1); err != nil {
				return err
			}
		}
		return nil
	}))
	t.Cleanup(func() { must(t, w.lines[0].Close()); must(t, w.lines[1].Close()) })
	return w
}

// day is a small generated session as packets.
func day(t *testing.T, messages uint64) (packets [][]byte) {
	t.Helper()
	g, err := itchgen.New(itchgen.Options{Messages: messages, Symbols: 50, Seed: 7})
	must(t, err)
	must(t, mold.Play(g, mold.PlayOptions{}, func(_ uint64, packet []byte, end bool) error {
		if !end {
			packets = append(packets, append([]byte(nil), packet...))
		}
		return nil
	}))
	return packets
}

// TestSourcesAgree: every source gives the same records for the same packets, also when the lines lack some of them.
func TestSourcesAgree(t *testing.T) {
	const messages = 20_000
	p := nstest.Pair(t, netns.Options{Pairs: 2})
	packets := day(t, messages)
	var first []tick.Mbo
	for _, tc := range []struct{ name, config, said string }{
		{"udp", `source = "udp"`, ""},
		{"afxdp, copy", "source = \"afxdp\"\nafxdp.mode = \"copy\"", ""},
		{"afxdp, generic", "source = \"afxdp\"\nafxdp.mode = \"generic\"", ""},
		{"auto", `source = "auto"`, "mode zerocopy: "},
		{"spinning", "source = \"afxdp\"\nidle = \"spin\"", ""},
		{"busy polling", "source = \"afxdp\"\nidle = \"busy-poll\"", "busy polling does nothing here"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := start(t, p, tc.config+"\nrecovery.wait = \"5s\"")
			w := plug(t, p)
			for i, b := range packets {
				for line, l := range w.lines {
					if i%5 != 3*line { // each line lacks every fifth packet, never the same one
						_, err := l.Send([][]byte{b})
						must(t, err)
					}
				}
				if i%64 == 0 {
					time.Sleep(time.Millisecond)
				}
			}
			r.wait(t, "0.channel.0.messages", messages)
			if !strings.Contains(r.said.String(), tc.said) {
				t.Errorf("no word of %q in:\n%s", tc.said, r.said)
			}
			if c := r.counters(t); c["0.channel.0.lost_messages"] != 0 || c["0.lane.unrouted"] != 0 {
				t.Errorf("%d lost, %d unrouted", c["0.channel.0.lost_messages"], c["0.lane.unrouted"])
			}
			must(t, r.end())
			recs := r.ring(t)
			if first == nil {
				first = recs
			}
			if len(recs) < messages/2 || len(recs) != len(first) {
				t.Fatalf("%d records, the first source gave %d", len(recs), len(first))
			}
			for i := range recs {
				if recs[i] != first[i] {
					t.Fatalf("record %d:\n%+v, the first source gave\n%+v", i, recs[i], first[i])
				}
			}
		})
	}
}

// TestAutoWithoutRights: source auto says why it takes udp, and then works.
func TestAutoWithoutRights(t *testing.T) {
	p := nstest.Pair(t, netns.Options{Pairs: 2})
	// Another program holds the interface: AF_XDP may not have it.
	other := start(t, p, `source = "afxdp"`)
	r := start(t, p, `source = "auto"`)
	if said := r.said.String(); !strings.Contains(said, "source udp is used") || !strings.Contains(said, fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("said:\n%s", said)
	}
	must(t, other.end())
	w := plug(t, p)
	_, err := w.lines[0].Send([][]byte{packet(1, 3)})
	must(t, err)
	r.wait(t, "0.channel.0.messages", 3)
}

// TestStamps: packets have the time that the feed asks for, with every source, and status says whose.
func TestStamps(t *testing.T) {
	p := nstest.Pair(t, netns.Options{Pairs: 2})
	for _, source := range []string{"udp", "afxdp"} {
		for _, tc := range []struct{ stamps, want string }{{"auto", "kernel"}, {"kernel", "kernel"}, {"loop", "loop"}, {"hardware", "kernel"}} {
			t.Run(source+" "+tc.stamps, func(t *testing.T) {
				r := start(t, p, fmt.Sprintf("source = %q\nstamps = %q", source, tc.stamps))
				w, before := plug(t, p), time.Now()
				for n, until := uint64(1), before.Add(patience); ; n++ { // the kernel begins to stamp a moment after the first socket asked for it
					_, err := w.lines[0].Send([][]byte{packet(n, 1)})
					must(t, err)
					r.wait(t, "0.channel.0.messages", n)
					s := r.Status().Lanes[0]
					if s.Stamps == tc.want && slices.Equal(s.Interfaces, []string{"feed0", "feed1"}) {
						break
					}
					if time.Now().After(until) {
						t.Fatalf("%+v", s)
					}
				}
				if k := r.counters(t); k["0.poll.stamp_"+tc.want] == 0 || k["0.poll.stamp_hardware"] != 0 {
					t.Errorf("%v", moved(k))
				}
			})
		}
	}
}

// TestWhatIsLookedAt: what becomes of frames that are damaged or odd hangs on the source, as docs/receive-path.md has it. Each is followed by its message in a whole
// frame, which is a duplicate when the first one was taken.
func TestWhatIsLookedAt(t *testing.T) {
	p := nstest.Pair(t, netns.Options{Pairs: 2})
	whole := func(n uint64) []byte {
		return nic.AppendFrame(nil, netip.MustParseAddrPort("10.203.0.2:4660"), lineGroups[0], 0, packet(n, 1))
	}
	const ip, udpAt = 14, 34
	type frames [][]byte
	for _, tc := range []struct {
		name       string
		make       func(b []byte) frames
		afxdp, udp bool   // who takes it
		passed     string // what the program counts it as
	}{
		{"whole", func(b []byte) frames { return frames{b} }, true, true, ""},
		{"no UDP check sum", func(b []byte) frames { b[udpAt+6], b[udpAt+7] = 0, 0; return frames{b} }, true, true, ""},
		{"wrong UDP check sum", func(b []byte) frames { b[udpAt+7]++; return frames{b} }, true, false, ""},
		{"wrong IP check sum", func(b []byte) frames { b[ip+11]++; return frames{b} }, true, false, ""},
		{"UDP longer than IP", func(b []byte) frames { b[udpAt+5]++; return frames{b} }, false, false, "malformed"},
		{"two fragments", func(b []byte) frames { return fragments(b, 16) }, false, true, "fragment"},
		{"IP options", func(b []byte) frames { return frames{withOptions(b)} }, false, true, "ip_options"},
	} {
		for _, source := range []string{"udp", "afxdp"} {
			t.Run(tc.name+" "+source, func(t *testing.T) {
				r := start(t, p, fmt.Sprintf("source = %q", source))
				var raw int
				must(t, p.Tx.Do(func() (err error) {
					if raw, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
						return err
					}
					face, err := net.InterfaceByName("gen0")
					if err != nil {
						return err
					}
					return unix.Bind(raw, &unix.SockaddrLinklayer{Ifindex: face.Index})
				}))
				defer unix.Close(raw)
				for n := uint64(1); n <= 5; n++ {
					for _, b := range append(tc.make(whole(n)), whole(n)) {
						_, err := unix.Write(raw, b)
						must(t, err)
					}
				}
				want := uint64(5)
				if source == "afxdp" && tc.afxdp || source == "udp" && tc.udp {
					want = 10
				}
				r.wait(t, "0.channel.0.messages", 5)
				r.wait(t, "0.channel.0.line.A.packets", want)
				if k := r.counters(t); k["0.channel.0.line.A.duplicates"] != want-5 || k["0.lane.refused"] != 0 {
					t.Errorf("%v", moved(k))
				}
				if source == "afxdp" && tc.passed != "" {
					r.wait(t, "0.xdp.interface.feed0."+tc.passed, uint64(5*len(tc.make(whole(1)))))
				}
			})
		}
	}
}

// ipSum puts an IPv4 header's check sum right.
func ipSum(b []byte) {
	b[10], b[11] = 0, 0
	sum := uint32(0)
	for i := 0; i < int(b[0]&0xF)*4; i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	for sum > 0xFFFF {
		sum = sum>>16 + sum&0xFFFF
	}
	b[10], b[11] = ^byte(sum>>8), ^byte(sum)
}

// fragments cuts a frame's datagram in two, at a multiple of 8 bytes.
func fragments(b []byte, at int) [][]byte {
	const ip, data = 14, 34
	ident := b[len(b)-1] | 1 // fragments of one datagram share it
	cut := func(payload []byte, offset int, more byte) []byte {
		f := append(slices.Clone(b[:data]), payload...)
		binary.BigEndian.PutUint16(f[ip+2:], uint16(20+len(payload)))
		f[ip+5], f[ip+6], f[ip+7] = ident, more, byte(offset/8)
		ipSum(f[ip:])
		return f
	}
	return [][]byte{cut(b[data:data+at], 0, 0x20), cut(b[data+at:], at, 0)}
}

// withOptions puts a router alert into a frame's IP header.
func withOptions(b []byte) []byte {
	const ip, data = 14, 34
	f := append(slices.Clone(b[:data]), 0x94, 4, 0, 0)
	f = append(f, b[data:]...)
	f[ip] = 0x46
	binary.BigEndian.PutUint16(f[ip+2:], uint16(len(f)-ip))
	ipSum(f[ip:])
	return f
}

// TestSilence: a line that falls silent is told of, and so is its return; the other line goes on.
func TestSilence(t *testing.T) {
	p := nstest.Pair(t, netns.Options{Pairs: 2})
	r := start(t, p, "source = \"udp\"\nrecovery.silent_after = \"200ms\"\n")
	w := plug(t, p)
	next := uint64(1)
	send := func(lines ...*udp.Sender) {
		b := packet(next, 1)
		next++
		for _, l := range lines {
			_, err := l.Send([][]byte{b})
			must(t, err)
		}
	}
	said := func(what string, lines ...*udp.Sender) {
		t.Helper()
		for until := time.Now().Add(patience); !strings.Contains(r.said.String(), what); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(until) {
				t.Fatalf("no word of %q in:\n%s", what, r.said)
			}
			send(lines...)
		}
	}
	for range 20 {
		send(w.lines[0], w.lines[1])
	}
	said("channel=0 line=B", w.lines[0])
	if text := r.said.String(); !strings.Contains(text, "line is silent: not even heartbeats come") {
		t.Errorf("said:\n%s", text)
	}
	said("line is heard again", w.lines[0], w.lines[1])
}
