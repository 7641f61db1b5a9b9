package hwtest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/tickwire/tickwire/bench/meter"
	"github.com/tickwire/tickwire/feed/process"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/sim/exchange"
	"github.com/tickwire/tickwire/tick"
	"github.com/tickwire/tickwire/tuning"
)

const (
	scratchPrefix = "tickwire-hwtest-"
	instance      = "hwtest"
	feedName      = "sim"
	patience      = 30 * time.Second // for what must come, on a machine however busy
)

func clearDead(parent string) { process.ClearDead(parent, scratchPrefix) }

// feed is a feed process in the receiving namespace: the product itself, by Options.Feed.
type feed struct {
	dir   string
	cmd   *exec.Cmd
	ended chan error
	said  *tail
}

// tail keeps the end of what a process says.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	const most = 4096
	t.text = append(t.text, b...)
	t.text = t.text[max(0, len(t.text)-most):]
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.text))
}

// configuration of the feed: both lines, recovery from the exchange's servers, with the patience of a machine that has other work, since what is
// looked at is whether all comes back. Generated data carries publisher 40000, never a venue's.
func (r *run) configuration(dir string, e *exchange.Exchange) string {
	core, _ := r.cores()
	idle := "spin"
	switch {
	case core < 0:
		idle = "block" // the sender needs the core too
	case r.Plan.Layout == tuning.LayoutB:
		idle = "busy-poll"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "[instance]\nname = %q\nring_dir = %q\nrun_dir = %[2]q\n[[feed]]\nname = %q\npublisher = 40000\ndataset = \"SIM.ITCH\"\nsource = \"afxdp\"\nidle = %q\n"+
		"afxdp.ring = 16384\nafxdp.frames = 32768\nrecovery.wait = \"10ms\"\nrecovery.hold_max = \"20s\"\nrecovery.tries = 12\nrecovery.hold_packets = 65536\nrecovery.hold_messages = 1000000\n", instance, dir, feedName, idle)
	if a := e.RequestAddr(); a.IsValid() {
		fmt.Fprintf(&b, "recovery.servers = [%q]\n", a)
	}
	if a := e.SnapshotAddr(); a.IsValid() {
		fmt.Fprintf(&b, "recovery.snapshot = %q\n", a)
	}
	b.WriteString("[feed.rings]\nmbo = 262144\nmbp1 = 262144\ntrades = 16384\nevents = 16384\next = 65536\ninstruments = 16384\n")
	if core >= 0 {
		fmt.Fprintf(&b, "[[feed.lane]]\ncore = %d\n", core)
	}
	b.WriteString("[[feed.channel]]\n")
	for i, group := range lines {
		fmt.Fprintf(&b, "[[feed.channel.line]]\ninterface = %q\ngroup = %q\nqueue = -1\n", r.wires.rx[i], group)
	}
	return b.String()
}

// startFeed starts a feed in dir, where one may have run before, and waits until it polls.
func (r *run) startFeed(dir string, e *exchange.Exchange) (*feed, error) {
	if r.Feed == nil {
		return nil, errors.New("hwtest: there is no feed process to start")
	}
	path := filepath.Join(dir, "tickwire.toml")
	if err := os.WriteFile(path, []byte(r.configuration(dir, e)), 0o600); err != nil {
		return nil, err
	}
	f := &feed{dir: dir, ended: make(chan error, 1), said: &tail{}}
	var err error
	if f.cmd, err = r.Feed(path); err != nil {
		return nil, err
	}
	f.cmd.Stdout, f.cmd.Stderr = f.said, f.said
	// The kernel ends the child with the thread that started it, so that one stays until the end. Setpgid: Control-C comes to us alone.
	f.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started := make(chan error, 1)
	go func() {
		err := r.wires.inRx(func() error {
			err := f.cmd.Start()
			started <- err
			if err == nil {
				f.ended <- f.cmd.Wait()
			}
			return nil
		})
		if err != nil { // the namespace could not be entered: nothing was started
			started <- err
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("hwtest: starting a feed process: %w", err)
	}
	if err := r.await(patience, "the feed process does not come up", func() (bool, error) {
		select {
		case err := <-f.ended:
			f.ended <- err
			return false, fmt.Errorf("hwtest: the feed process ended: %v; it said:\n%s", err, f.said)
		default:
		}
		k, pid := f.counters()
		return pid == f.cmd.Process.Pid && k["0.poll.polls"] > 0, nil
	}); err != nil {
		return nil, errors.Join(err, f.stop())
	}
	return f, nil
}

// counters are the feed's, as anybody may read them, and whose they are; they are copied each 10 ms.
func (f *feed) counters() (k map[string]uint64, pid int) {
	k = map[string]uint64{}
	for _, s := range f.stats(&pid) {
		k[s.Name] = s.Value
	}
	return k, pid
}

func (f *feed) stats(pid *int) []ringbuf.Stat {
	s, err := ringbuf.OpenStats(ringbuf.SidePath(f.dir, instance, feedName, "", ringbuf.ExtStats))
	if err != nil {
		return nil // it is not there yet
	}
	defer s.Close()
	*pid = s.Pid()
	return s.Append(nil)
}

func (f *feed) value(name string) uint64 {
	k, _ := f.counters()
	return k[name]
}

func (f *feed) ring(k ringbuf.Kind) string {
	return ringbuf.Path(f.dir, instance, feedName, "0", k)
}

// stop ends the feed: by asking, then by force.
func (f *feed) stop() error {
	_ = f.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case err := <-f.ended:
		f.ended <- nil
		if err != nil {
			return fmt.Errorf("hwtest: the feed process: %w; it said:\n%s", err, f.said)
		}
		return nil
	case <-time.After(patience):
		_ = f.cmd.Process.Kill()
		<-f.ended
		f.ended <- nil
		return fmt.Errorf("hwtest: the feed process did not end when it was told to; it said:\n%s", f.said)
	}
}

// kill ends it as nothing else does.
func (f *feed) kill() error {
	err := f.cmd.Process.Kill()
	<-f.ended
	f.ended <- nil
	return err
}

// Names of the channel's counters.
const (
	messages = "0.channel.0.messages"
	lostFor  = "0.channel.0.lost_messages"
	packetsA = "0.channel.0.line.A.packets"
	packetsB = "0.channel.0.line.B.packets"
)

// venue is an exchange that plays while a group is made.
type venue struct {
	*exchange.Exchange
	cancel context.CancelFunc
	ran    chan error
	once   sync.Once
	err    error
}

// startVenue opens an exchange at the sending end. It plays when play is called.
func (r *run) startVenue(o exchange.Options) (*venue, error) {
	server := netip.MustParseAddrPort("127.0.0.1:0")
	if r.wires.pair != nil {
		server = netip.AddrPortFrom(r.wires.from, 0)
	}
	o.Interfaces, o.Lines.Seed, o.Gen.Seed, o.Heartbeat = r.wires.tx, r.Seed, r.Seed, 100*time.Millisecond
	o.Lines.A.Group, o.Lines.B.Group = lines[0], lines[1]
	o.Requests.Addr, o.Snapshots.Addr = server, server
	v := &venue{ran: make(chan error, 1)}
	err := r.wires.inTx(func() (err error) { v.Exchange, err = exchange.New(o); return err })
	if err != nil {
		return nil, fmt.Errorf("hwtest: %w", err)
	}
	return v, nil
}

func (v *venue) play(ctx context.Context) {
	ctx, v.cancel = context.WithCancel(ctx)
	go func() { v.ran <- v.Run(ctx) }()
}

// end stops it.
func (v *venue) end() error {
	v.once.Do(func() {
		if v.cancel != nil {
			v.cancel()
			v.err = <-v.ran
		}
		v.err = errors.Join(v.err, v.Close())
	})
	return v.err
}

// reader follows a ring as a strategy would, but asleep between looks: what it needs is in the records. The mbp1 ring tells when a record was
// published, and gives latencies; the mbo ring has a record of every message, and gives pauses.
type reader struct {
	ring  *ringbuf.Reader
	kind  ringbuf.Kind
	from  uint64 // records received before do not count, ns since the epoch
	hist  *hdrhistogram.Histogram
	lost  uint64 // known at the end
	count uint64
	back  uint64 // records published before they were received: clocks that do not agree

	mu    sync.Mutex
	times []uint64 // of receipt, of the mbo ring, the first so many

	stop atomic.Bool
	done chan struct{}
}

const mostTimes = 1 << 22

func (f *feed) follow(kind ringbuf.Kind, join ringbuf.JoinMode, from time.Time) (*reader, error) {
	ring, err := ringbuf.Open(f.ring(kind), ringbuf.ReaderOptions{Join: join})
	if err != nil {
		return nil, fmt.Errorf("hwtest: %w", err)
	}
	d := &reader{ring: ring, kind: kind, from: uint64(from.UnixNano()), hist: meter.NewHistogram(), done: make(chan struct{})}
	take := d.prices
	if kind == ringbuf.KindMbo {
		take = d.orders
	}
	go func() {
		defer close(d.done)
		for !d.stop.Load() {
			if !take() {
				time.Sleep(500 * time.Microsecond)
			}
		}
		for take() { // what was published until then
		}
	}()
	return d, nil
}

// prices takes records of the mbp1 ring.
func (d *reader) prices() bool {
	var slots [512]ringbuf.Mbp1Slot
	n, _, _ := ringbuf.PollSlice(d.ring, slots[:])
	for i := range slots[:n] {
		switch s := &slots[i]; {
		case s.TsRecv < d.from:
		case s.TsPublish < s.TsRecv:
			d.back++
		default:
			d.count++
			meter.Record(d.hist, s.TsPublish-s.TsRecv)
		}
	}
	return n > 0
}

// orders takes records of the mbo ring.
func (d *reader) orders() bool {
	var slots [512]tick.Mbo
	n, _, _ := ringbuf.PollSlice(d.ring, slots[:])
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range slots[:n] {
		if s := &slots[i]; s.RType == tick.RTypeMbo && s.TsRecv >= d.from && len(d.times) < mostTimes {
			d.times = append(d.times, s.TsRecv)
		}
	}
	return n > 0
}

// after is when the first record after a moment was received, 0: none was yet.
func (d *reader) after(at time.Time) uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range d.times {
		if t > uint64(at.UnixNano()) {
			return t
		}
	}
	return 0
}

// pause is the longest time between two records from one moment to another.
func (d *reader) pause(from, to time.Time) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	last, end, worst := uint64(from.UnixNano()), uint64(to.UnixNano()), uint64(0)
	for _, t := range d.times {
		if t > last && t < end {
			worst, last = max(worst, t-last), t
		}
	}
	return time.Duration(max(worst, end-last))
}

// end reads what is there to be read and closes the ring. The figures may be read afterwards.
func (d *reader) end() error {
	d.stop.Store(true)
	<-d.done
	d.lost = d.ring.Lost()
	return d.ring.Close()
}

// stage is what somebody measures with a feed and a venue.
type stage struct {
	*run
	venue *venue
	feed  *feed
	dir   string
}

// staged runs f with a feed and an exchange that play, and ends both.
func (r *run) staged(o exchange.Options, f func(*stage) error) (err error) {
	s := &stage{run: r}
	if s.dir, err = scratch(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(s.dir)) }()
	if s.venue, err = r.startVenue(o); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.venue.end()) }()
	if s.feed, err = r.startFeed(s.dir, s.venue.Exchange); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.feed.stop()) }()
	return f(s)
}

// opens waits until the session trades.
func (s *stage) opens() error {
	return s.await(patience, "the session does not open", func() (bool, error) {
		select {
		case err := <-s.venue.ran:
			s.venue.ran <- err
			return false, fmt.Errorf("hwtest: the exchange ended after %d messages: %v", s.venue.Messages(), err)
		default:
		}
		return s.feed.value(messages) >= opening, nil
	})
}

// whole waits until the feed has, or has named as lost, all that was sent.
func (s *stage) whole() error {
	var seen, sent uint64
	err := s.await(patience, "what was sent is not all there", func() (bool, error) {
		select {
		case err := <-s.feed.ended:
			s.feed.ended <- err
			return false, fmt.Errorf("hwtest: the feed process ended: %v; it said:\n%s", err, s.feed.said)
		default:
		}
		k, _ := s.feed.counters()
		seen, sent = k[messages]+k[lostFor], s.venue.Messages()
		return seen >= sent, nil
	})
	if err != nil && s.ctx.Err() == nil {
		return fmt.Errorf("%w: %d of %d", err, seen, sent)
	}
	return err
}
