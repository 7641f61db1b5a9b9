package rxbench

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/bench/liveload"
	"github.com/tickwire/tickwire/bench/meter"
	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/nic/afxdp"
)

// Options of a run. The zero value works.
type Options struct {
	Runs    int           // of each receiver under each load; the default is 5
	Span    time.Duration // of one stretch of frames; a search makes some ten of them. The default is 150 ms
	Latency time.Duration // of each latency run; the default is 1 s, 0 < Latency
	// ReceiverCore and LoadCore are pinned to. The defaults, for both 0, are the last core and the one before.
	ReceiverCore, LoadCore int
	// Only names the receivers that are measured; the default is all.
	Only []string
	// Progress is called before each step. It may be nil.
	Progress func(what string)
}

// Rate is a receiver under a load.
type Rate struct {
	Load     string    `json:"load"`
	Receiver string    `json:"receiver"`
	Median   float64   `json:"packets_per_second"` // the highest rate without loss, median of the runs
	Min      float64   `json:"min"`
	Max      float64   `json:"max"`
	Runs     []float64 `json:"runs"`
	Offered  float64   `json:"offered"`                       // median, as fast as the load goes
	Received float64   `json:"received"`                      // of that, with loss
	Ratio    float64   `json:"afxdp_ratio,omitempty"`         // of afxdp's rate to this one's in the same run, median
	Stamped  float64   `json:"afxdp_stamped_ratio,omitempty"` // of afxdp-stamped's
	offered  []float64
	received []float64
}

// Latency is a receiver's time from when a packet was due to when it was in hand. Packets that were sent late count from when they were due.
type Latency struct {
	Rate     int    `json:"rate"`
	Receiver string `json:"receiver"`
	Packets  uint64 `json:"packets"`
	Lost     uint64 `json:"lost"`
	P50      int64  `json:"p50_ns"`
	P90      int64  `json:"p90_ns"`
	P99      int64  `json:"p99_ns"`
	Max      int64  `json:"max_ns"`
}

// Cost is what packets cost the receiving thread of package nic/afxdp beside time.
type Cost struct {
	Packets     uint64   `json:"packets"`
	Allocations uint64   `json:"allocations"`
	Allocated   float64  `json:"allocations_per_packet"`
	Calls       *uint64  `json:"system_calls"`            // of the thread; null: could not be counted
	Own         *uint64  `json:"system_calls_of_receipt"` // of them, those that are not the Go runtime's taking turns
	Called      *float64 `json:"system_calls_per_packet"` // of those
	Why         string   `json:"why,omitempty"`           // why they could not
}

// Missing is a peer that could not be measured.
type Missing struct {
	Receiver string `json:"receiver"`
	Reason   string `json:"reason"`
}

// Report is a whole measurement.
type Report struct {
	Machine      Machine   `json:"machine"`
	FrameBytes   int       `json:"frame_bytes"`
	Runs         int       `json:"runs"`
	SpanSeconds  float64   `json:"span_seconds"`
	ReceiverCore int       `json:"receiver_core"`
	LoadCore     int       `json:"load_core"`
	Rates        []Rate    `json:"rates"`
	Latencies    []Latency `json:"latency"`
	Lane         Lane      `json:"lane"`
	Cost         Cost      `json:"cost"`
	Missing      []Missing `json:"not_available,omitempty"`
	Faults       []string  `json:"faults,omitempty"` // numbers that went back and the like: the figures are of something else then
}

// Names of receivers.
const (
	Ours          = "afxdp"          // flows steered; the lane's clock is the time of arrival, as with the peers beside it
	Libxdp        = "libxdp"         // C, behind libxdp's own program: every frame of the queue is taken, SSH's too
	Asavie        = "asavie"         // as documented: every frame of the queue is taken, Poll sleeps
	AsavieSpin    = "asavie-spin"    // the same with a Poll that does not
	Packet        = "packet"         // with the kernel's stamps, as it always has
	UDP           = "recvmmsg"       // with the kernel's stamps
	Stamped       = "afxdp-stamped"  // flows steered, the kernel's stamps
	LibxdpStamped = "libxdp-stamped" // C, behind the same program
)

// Receivers are all, in the order they are measured in.
var Receivers = []string{Ours, Libxdp, Asavie, AsavieSpin, Packet, UDP, Stamped, LibxdpStamped}

// Names of loads.
const (
	LoadLive   = "live frames"
	LoadSocket = "socket"
)

var latencyRates = []int{20_000, 100_000}

type bench struct {
	o      Options
	dir    string
	libxdp string
	r      Report
}

// ErrRights is in the error of Run when the process lacks rights.
var ErrRights = errors.New("rights are missing")

// Run measures. It needs root, or CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF and CAP_PERFMON.
func Run(o Options) (*Report, error) {
	if o.Runs <= 0 {
		o.Runs = 5
	}
	if o.Span <= 0 {
		o.Span = 150 * time.Millisecond
	}
	if o.Latency <= 0 {
		o.Latency = time.Second
	}
	if o.ReceiverCore == 0 && o.LoadCore == 0 {
		o.ReceiverCore, o.LoadCore = runtime.NumCPU()-1, max(0, runtime.NumCPU()-2)
	}
	if len(o.Only) == 0 {
		o.Only = Receivers
	}
	for _, name := range o.Only {
		if !slices.Contains(Receivers, name) {
			return nil, fmt.Errorf("rxbench: receiver %q is unknown; known: %v", name, Receivers)
		}
	}
	if why := rights(); why != "" {
		return nil, fmt.Errorf("rxbench: %w: %s", ErrRights, why)
	}
	b := &bench{o: o, r: Report{Machine: look(), FrameBytes: frameBytes, Runs: o.Runs, SpanSeconds: o.Span.Seconds(), ReceiverCore: o.ReceiverCore, LoadCore: o.LoadCore}}
	var err error
	if b.dir, err = os.MkdirTemp("", "tickwire-bench-"); err != nil {
		return nil, err
	}
	defer os.RemoveAll(b.dir)
	defer debug.SetGCPercent(debug.SetGCPercent(-1))                            // by hand, between the stretches
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(4, runtime.GOMAXPROCS(0)))) // beside the one that a receiver holds
	if slices.Contains(o.Only, Libxdp) || slices.Contains(o.Only, LibxdpStamped) {
		if b.libxdp, err = buildLibxdp(b.dir); err != nil && (!b.without(Libxdp, err) || !b.without(LibxdpStamped, err)) {
			return nil, err
		}
	}
	if err := b.rates(); err != nil {
		return nil, err
	}
	if err := b.latencies(); err != nil {
		return nil, err
	}
	if slices.Contains(b.o.Only, Ours) {
		if err := b.cost(); err != nil {
			return nil, err
		}
		if err := b.lanes(); err != nil {
			return nil, err
		}
	}
	return &b.r, nil
}

// without notes that a peer is missing, and goes on without it; false: the error is another one.
func (b *bench) without(name string, err error) bool {
	var m errMissing
	if !errors.As(err, &m) {
		return false
	}
	b.r.Missing = append(b.r.Missing, Missing{name, m.why})
	b.o.Only = slices.DeleteFunc(slices.Clone(b.o.Only), func(s string) bool { return s == name })
	return true
}

func (b *bench) progress(format string, args ...any) {
	if b.o.Progress != nil {
		b.o.Progress(fmt.Sprintf(format, args...))
	}
}

// start runs a receiver in a namespace.
func (b *bench) start(name string, ns *netns.NS, samples int) (running, error) {
	latency := samples > 0
	switch name {
	case Ours, Stamped:
		return start(ns, b.o.ReceiverCore, latency, openOurs(name == Stamped))
	case Asavie:
		return start(ns, b.o.ReceiverCore, latency, func() (poller, error) { return openAsavie(10) })
	case AsavieSpin:
		return start(ns, b.o.ReceiverCore, latency, func() (poller, error) { return openAsavie(0) })
	case Packet:
		return start(ns, b.o.ReceiverCore, latency, openPacket)
	case UDP:
		return start(ns, b.o.ReceiverCore, latency, openUDP)
	}
	return startLibxdp(ns, b.libxdp, b.o.ReceiverCore, samples, name == LibxdpStamped)
}

// with runs a receiver by name: see use.
func (b *bench) with(name string, samples int, use func(p *netns.Pair, r running) error) (*tally, error) {
	t, err := b.use(func(ns *netns.NS) (running, error) { return b.start(name, ns, samples) }, use)
	if err != nil {
		return nil, fmt.Errorf("rxbench: receiver %s: %w", name, err)
	}
	if t.disorder != 0 {
		b.r.Faults = append(b.r.Faults, fmt.Sprintf("%s: %d packets out of order or of a wrong length", name, t.disorder))
	}
	return t, nil
}

// use makes namespaces, runs a receiver, and calls f on the load's thread. A receiver gets an interface of its own each time: not all of them
// give a queue back.
func (b *bench) use(open func(*netns.NS) (running, error), f func(p *netns.Pair, r running) error) (*tally, error) {
	runtime.GC()
	p, err := netns.NewPair("bench", netns.Options{})
	if err != nil {
		return nil, err
	}
	defer p.Close()
	if err := p.Rx.Do(func() error { return gro("feed0") }); err != nil {
		return nil, fmt.Errorf("turning GRO on: %w", err)
	}
	r, err := open(p.Rx)
	if err != nil {
		return nil, err
	}
	err = p.Tx.Do(func() error {
		tie(b.o.LoadCore)
		return f(p, r)
	})
	t, stopped := r.stop()
	return t, errors.Join(err, stopped)
}

// rates searches for each receiver's highest rate, the receivers taking turns.
func (b *bench) rates() error {
	table := map[[2]string]*Rate{}
	for run := range b.o.Runs {
		for _, name := range slices.Clone(b.o.Only) {
			b.progress("%s, run %d of %d", name, run+1, b.o.Runs)
			_, err := b.with(name, 0, func(p *netns.Pair, r running) error {
				for _, kind := range []string{LoadLive, LoadSocket} {
					f, err := b.one(kind, p, r)
					if err != nil {
						return err
					}
					key := [2]string{kind, name}
					if table[key] == nil {
						table[key] = &Rate{Load: kind, Receiver: name}
					}
					t := table[key]
					t.Runs, t.offered, t.received = append(t.Runs, f.rate), append(t.offered, f.offered), append(t.received, f.received)
				}
				return nil
			})
			if err != nil && !b.without(name, err) {
				return err
			}
		}
	}
	for _, kind := range []string{LoadLive, LoadSocket} {
		for _, name := range Receivers {
			if t := table[[2]string{kind, name}]; t != nil {
				t.Median, t.Offered, t.Received = median(t.Runs), median(t.offered), median(t.received)
				t.Min, t.Max = slices.Min(t.Runs), slices.Max(t.Runs)
				t.Ratio, t.Stamped = ratio(table[[2]string{kind, Ours}], t), ratio(table[[2]string{kind, Stamped}], t)
				b.r.Rates = append(b.r.Rates, *t)
			}
		}
	}
	return nil
}

func (b *bench) one(kind string, p *netns.Pair, r running) (found, error) {
	l, err := b.load(kind, p)
	if err != nil {
		return found{}, err
	}
	defer l.Close()
	o := bout{receiver: r, load: l, span: b.o.Span}
	if kind == LoadSocket {
		o.next = 1 << 40 // behind all the numbers of the load before
	}
	return o.search()
}

func (b *bench) load(kind string, p *netns.Pair) (load, error) {
	if kind == LoadLive {
		return liveload.New(p.Tx, frame(), headBytes+numberAt, nil)
	}
	return newSocket(p.Tx)
}

// latencies has each receiver take paced packets.
func (b *bench) latencies() error {
	for _, rate := range latencyRates {
		for _, name := range b.o.Only {
			b.progress("latency of %s at %d/s", name, rate)
			n := int(b.o.Latency.Seconds() * float64(rate))
			t, err := b.with(name, n+1, func(p *netns.Pair, r running) error {
				s, err := newSocket(p.Tx)
				if err != nil {
					return err
				}
				defer s.Close()
				err = s.timed(0, n, float64(rate))
				settled(r, uint64(n))
				return err
			})
			if err != nil {
				return err
			}
			h := t.late
			b.r.Latencies = append(b.r.Latencies, Latency{
				Rate: rate, Receiver: name, Packets: t.received, Lost: uint64(n) - min(uint64(n), t.received),
				P50: h.ValueAtQuantile(50), P90: h.ValueAtQuantile(90), P99: h.ValueAtQuantile(99), Max: h.Max(),
			})
		}
	}
	return nil
}

// cost counts allocations of the process and system calls of the receiving thread while frames stream.
func (b *bench) cost() error {
	b.progress("allocations and system calls")
	_, err := b.with(Ours, 0, func(p *netns.Pair, r running) error {
		l, err := liveload.New(p.Tx, frame(), headBytes+numberAt, nil)
		if err != nil {
			return err
		}
		defer l.Close()
		warm, took, err := l.Send(0, 1<<17, 0)
		if err != nil {
			return err
		}
		settled(r, uint64(warm))
		half := max(0.5*float64(warm)/took.Seconds(), 200_000) // of what it can: the thread is never without work for long, and keeps up
		return b.count(r.(*thread), l, uint64(warm), int(half), half)
	})
	return err
}

// count looks at a stream of n frames: one call into the kernel for the load where no signal cuts it short, and nothing of this package
// meanwhile.
func (b *bench) count(r *thread, l *liveload.Load, first uint64, n int, rate float64) error {
	cost := &b.r.Cost
	all, err := meter.Count(sysEnter, r.tid, "")
	var own *meter.Tracepoint
	if err == nil {
		defer all.Close()
		own, err = meter.Count(sysEnter, r.tid, runtimes)
	}
	if err == nil {
		defer own.Close()
	} else {
		cost.Why = err.Error()
	}
	if err := l.Prepare(first, rate); err != nil {
		return err
	}
	var before, after runtime.MemStats
	r.stopped(func() {
		runtime.ReadMemStats(&before) // what else it costs is behind us
		runtime.ReadMemStats(&before)
	})
	var calls, callsAfter [2]uint64
	if own != nil {
		if calls, err = both(all, own); err != nil {
			return err
		}
	}
	from := r.received()
	to := from
	for turns := 0; turns < 1000 && to-from < uint64(n); turns++ { // a signal of the runtime's cuts the call short, to a batch if need be
		err := l.Run(n - int(to-from))
		to = r.received()
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
	if own != nil {
		if callsAfter, err = both(all, own); err != nil {
			return err
		}
	}
	r.stopped(func() { runtime.ReadMemStats(&after) })
	cost.Packets, cost.Allocations = to-from, after.Mallocs-before.Mallocs
	if cost.Packets == 0 {
		return fmt.Errorf("none of %d frames came while allocations were counted", n)
	}
	cost.Allocated = float64(cost.Allocations) / float64(cost.Packets)
	if own != nil {
		cost.Calls, cost.Own = new(callsAfter[0]-calls[0]), new(callsAfter[1]-calls[1])
		cost.Called = new(float64(*cost.Own) / float64(cost.Packets))
	}
	return nil
}

func both(all, own *meter.Tracepoint) (n [2]uint64, err error) {
	if n[0], err = all.Value(); err == nil {
		n[1], err = own.Value()
	}
	return n, err
}

// ratio is the median of us to them, run by run.
func ratio(us, them *Rate) float64 {
	if us == nil || us == them {
		return 0
	}
	var v []float64
	for run, rate := range them.Runs {
		if run < len(us.Runs) && rate > 0 {
			v = append(v, us.Runs[run]/rate)
		}
	}
	return median(v)
}

func median(v []float64) float64 { return meter.Median(v) }

// rights says what is missing to measure at all; empty: nothing.
func rights() string {
	why := afxdp.Missing()
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&head, &data[0]) == nil && data[unix.CAP_SYS_ADMIN/32].Effective&(1<<(unix.CAP_SYS_ADMIN%32)) == 0 {
		if why != "" {
			why = "; " + why
		}
		why = "CAP_SYS_ADMIN to make network namespaces" + why
	}
	return why
}

// gro turns generic receive offload on: veth then has a driver's poll without an XDP program too, so that sockets get their packets from where
// AF_XDP gets its frames.
func gro(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	value := struct{ cmd, data uint32 }{unix.ETHTOOL_SGRO, 1}
	var req struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}
	copy(req.name[:unix.IFNAMSIZ-1], name)
	req.data = unsafe.Pointer(&value)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req))); errno != 0 {
		return errno
	}
	return nil
}
