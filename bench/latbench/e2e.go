package latbench

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/bench/machine"
	"github.com/tickwire/tickwire/bench/meter"
	"github.com/tickwire/tickwire/bench/plot"
	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/nic/afxdp"
	"github.com/tickwire/tickwire/ringbuf"
)

var (
	group = netip.MustParseAddrPort("233.54.12.111:26477")
	venue = netip.MustParseAddr("10.203.0.2") // gen0 of package netns
)

// EndRate is what one rate came to, on the way through the network and back.
type EndRate struct {
	Rate         int           `json:"packets_per_second"`
	Packets      int           `json:"packets"`       // of a run
	Expected     uint64        `json:"expected"`      // orders, all runs: packets with an order message
	Answered     uint64        `json:"answered"`      // of them
	Late         uint64        `json:"sent_late"`     // packets that left more than a period after they were due
	Lost         uint64        `json:"lost"`          // records, to laps of the ring
	Steady       meter.Latency `json:"tick_to_trade"` // from when a packet was due to its order, steady rate
	Burst        meter.Latency `json:"burst"`
	Behind       meter.Latency `json:"behind_burst"`
	LaneJitter   meter.Latency `json:"jitter_of_lane_core"`
	ReaderJitter meter.Latency `json:"jitter_of_reader_core"`
	Stages       Stages        `json:"stages"` // from the kernel's stamp, of the last run
	Lane         meter.Counts  `json:"lane"`
	Strategy     meter.Counts  `json:"strategy"`
}

// EndReport is a whole measurement.
type EndReport struct {
	Machine    machine.Machine `json:"machine"`
	LaneCore   int             `json:"core"`
	ReaderCore int             `json:"strategy_core"`
	VenueCore  int             `json:"venue_core"`
	Shared     bool            `json:"venue_and_strategy_share_a_core"` // each then waits for the other to yield, and the kernel to switch
	Mode       string          `json:"mode"`                            // of AF_XDP
	Runs       int             `json:"runs"`
	Span       float64         `json:"span_seconds"`
	Factor     float64         `json:"burst_factor"`
	Sched      string          `json:"sched"` // of the lane; the others' core does the driver's work, which a class above the kernel's threads would hold up
	PreemptOff bool            `json:"preemption_signals_off"`
	Pinned     bool            `json:"p_pinned"`
	Rates      []EndRate       `json:"rates"`
	Faults     []string        `json:"faults,omitempty"`
}

// ErrRights is in the error of RunEnd when the process lacks rights.
var ErrRights = errors.New("rights are missing")

// RunEnd measures the way through the network and back. It needs root, or CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF and CAP_PERFMON.
func RunEnd(o Options) (*EndReport, error) {
	o.PerPacket, o.Ring = 1, ringbuf.KindMbo
	if err := o.defaults(10_000); err != nil {
		return nil, err
	}
	if why := rights(); why != "" {
		return nil, fmt.Errorf("latbench: %w: %s", ErrRights, why)
	}
	r := &EndReport{
		Machine: machine.Look(), LaneCore: o.LaneCore, ReaderCore: o.ReaderCore, VenueCore: o.VenueCore, Shared: o.VenueCore == o.ReaderCore, Mode: afxdp.Copy.String(),
		Runs: o.Runs, Span: o.Span.Seconds(), Factor: o.Factor, Sched: o.Sched, PreemptOff: PreemptOff(), Pinned: window() != nil, Rates: make([]EndRate, len(o.Rates)),
	}
	defer quiet()()
	most := 0
	for i, rate := range o.Rates {
		s := schedule(float64(rate), &o)
		most = max(most, s.packets(o.Span))
		r.Rates[i] = EndRate{Rate: rate, Packets: s.packets(o.Span)}
	}
	o.progress("making a session")
	d, err := newDay(o.Symbols, o.Warm, most, 1, 1)
	if err != nil {
		return nil, err
	}
	for run := range o.Runs {
		for i := range r.Rates {
			o.progress("%d packets/s, run %d of %d", r.Rates[i].Rate, run+1, o.Runs)
			faults, err := r.Rates[i].run(&o, d)
			if err != nil {
				return nil, err
			}
			for _, f := range faults {
				r.Faults = append(r.Faults, fmt.Sprintf("%d packets/s, run %d: %s", r.Rates[i].Rate, run+1, f))
			}
		}
	}
	return r, nil
}

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

// wall is the lane's clock here: the kernel stamps packets by it.
func wall() uint64 { return uint64(time.Now().UnixNano()) }

// end is one run.
type end struct {
	o      *Options
	d      *day
	t      *EndRate
	g      *rig
	s      Schedule
	source *afxdp.Source
	out    *socket // of the venue: packets
	back   *socket // of the venue: orders
	parts  [parts]*hdrhistogram.Histogram
	stop   atomic.Bool
	ended  chan error
	first  uint64   // number of the first paced message
	warm   uint64   // ns from the beginning that do not count
	dues   []uint64 // of the paced packets, from the beginning; 0 once its order came
	begin  uint64
	got    uint64
}

func (t *EndRate) run(o *Options, d *day) (faults []string, err error) {
	runtime.GC()
	e := &end{o: o, d: d, t: t, s: schedule(float64(t.Rate), o), ended: make(chan error, 1)}
	for i := range e.parts {
		e.parts[i] = meter.NewHistogram()
	}
	pair, err := netns.NewPair("e2e", netns.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, pair.Close()) }()
	if e.g, err = newRig(wall); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.g.close()) }()
	e.g.fill(d)

	var to netip.AddrPort
	if err := pair.Tx.Do(func() (err error) {
		if e.out, err = dialGroup(group, "gen0"); err == nil {
			e.back, to, err = listen(venue)
		}
		return err
	}); err != nil {
		return nil, err
	}
	defer e.out.close()
	defer e.back.close()
	var host afxdp.Host
	if err := pair.Rx.Do(func() (err error) {
		e.source, err = host.Open(afxdp.Options{Groups: []afxdp.Group{{Group: group, Interface: "feed0"}}, Mode: afxdp.Copy, Least: afxdp.Copy})
		return err
	}); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.source.Close()) }()
	c, err := start(o.Child, pair.Rx.Do, job{
		Ring: e.g.path(ringbuf.KindMbo), Core: o.ReaderCore, Schedule: e.s, Orders: to, Yield: o.ReaderCore == o.VenueCore || o.ReaderCore == o.LaneCore,
	})
	if err != nil {
		return nil, err
	}
	if err := e.measure(pair, c); err != nil {
		return nil, errors.Join(err, c.kill())
	}
	saw, err := c.end()
	if err != nil {
		return nil, err
	}
	t.Lost += saw.Lost
	t.Strategy = worse(t.Strategy, saw.Counts)
	for i, l := range []*meter.Latency{&t.Steady, &t.Burst, &t.Behind} {
		if e.parts[i].TotalCount() > 0 {
			l.Add(e.parts[i])
		}
	}
	t.Stages = stages(e.g)
	faults = e.g.faults()
	if saw.Refused > 0 {
		faults = append(faults, count(saw.Refused, "orders that the kernel did not take"))
	}
	if e.got == 0 {
		faults = append(faults, "no order came back")
	}
	return faults, nil
}

// measure runs the lane and, on a thread of its own in the venue's namespace, the venue.
func (e *end) measure(pair *netns.Pair, c *child) error {
	own := make(chan error, 1)
	counts := make(chan meter.Counts, 1)
	goes := make(chan struct{})
	go func() { // the thread is pinned and ends with the goroutine
		err := meter.Pin(e.o.LaneCore, e.o.Sched)
		if err == nil {
			err = e.jitters(c)
		}
		own <- err
		if err != nil {
			return
		}
		<-goes
		watch := meter.NewWatch(0)
		defer watch.Close()
		watch.Begin()
		e.g.input.Source = e.source
		e.ended <- e.g.lane.Run(&e.g.input, &e.stop)
		counts <- watch.End()
	}()
	if err := <-own; err != nil {
		return err
	}
	e.begin = ringbuf.MonotonicNow() + 20_000_000
	e.warm = (uint64(e.o.Span)/10 + e.s.Round - 1) / e.s.Round * e.s.Round
	var ok bool
	if err := c.ask(instruction{Begin: e.begin + e.warm}, &ok); err != nil {
		close(goes)
		e.stop.Store(true)
		return errors.Join(err, <-e.ended)
	}
	close(goes)
	err := pair.Tx.Do(func() error {
		if err := meter.Pin(e.o.VenueCore, ""); err != nil {
			return err
		}
		return e.play()
	})
	e.stop.Store(true)
	err = errors.Join(err, <-e.ended)
	e.t.Lane = worse(e.t.Lane, <-counts)
	return err
}

// jitters has both cores measure themselves at the same time.
func (e *end) jitters(c *child) error {
	theirs := make(chan error, 1)
	var shot hdrhistogram.Snapshot
	go func() { theirs <- c.ask(instruction{Jitter: e.o.spinning(), PeriodNs: e.s.PeriodNs}, &shot) }()
	h := jitter(e.s.PeriodNs, e.o.spinning())
	if err := <-theirs; err != nil {
		return err
	}
	e.t.LaneJitter.Add(h)
	e.t.ReaderJitter.Add(hdrhistogram.Import(&shot))
	return nil
}

// trailing is how long the venue waits for orders once it has sent all.
const trailing = 10 * time.Second

// play is the venue: packets when they are due, orders as they come. A packet that leaves late keeps the time it was due.
func (e *end) play() error {
	e.first = e.d.first(e.d.warm)
	e.dues = make([]uint64, e.t.Packets)
	shared := e.o.VenueCore == e.o.ReaderCore
	work := clockwork{s: &e.s}
	late, now := e.t.Late, ringbuf.MonotonicNow() // what is late while it warms up does not count
	for i := range e.dues {
		due := work.next()
		if due < e.warm {
			e.t.Late = late
		}
		e.dues[i] = due + 1 // 0 is for those that are answered
		for now = ringbuf.MonotonicNow(); now < e.begin+due; now = ringbuf.MonotonicNow() {
			if !e.take() && shared {
				yield()
			}
		}
		if now-e.begin-due > uint64(e.s.PeriodNs) {
			e.t.Late++
		}
		if !e.out.send(e.d.packet(e.d.warm + i)) {
			return fmt.Errorf("latbench: the venue's packet %d was not taken by the kernel", i)
		}
		e.take()
	}
	expected := uint64(0)
	for i := range e.dues {
		if e.d.answers[i] {
			expected++
		}
	}
	for until := now + uint64(trailing); e.got < expected && ringbuf.MonotonicNow() < until; {
		if !e.take() && shared {
			yield()
		}
	}
	e.t.Expected += expected
	e.t.Answered += e.got
	return nil
}

// take takes an order if one is there: the trade's time is now. Orders for what has none of its own (an auction's, say) are not counted.
func (e *end) take() bool {
	sequence, ok := e.back.receive()
	if !ok {
		return false
	}
	now := ringbuf.MonotonicNow()
	i := int64(uint64(sequence) - e.first&0xFFFF_FFFF)
	if i < 0 || i >= int64(len(e.dues)) || e.dues[i] == 0 || !e.d.answers[i] {
		return true
	}
	due := e.dues[i] - 1
	e.dues[i] = 0
	e.got++
	if due >= e.warm {
		meter.Record(e.parts[e.s.part(due)], now-e.begin-due)
	}
	return true
}

// Plot draws one rate.
func (r *EndReport) Plot(i int) *plot.Plot {
	t := &r.Rates[i]
	return &plot.Plot{
		Title: fmt.Sprintf("tick to trade over veth and AF_XDP (%s), %d packets/s", r.Mode, t.Rate),
		Note:  r.Machine.String(),
		Series: []plot.Series{
			plot.FromHistogram("steady", t.Steady.Histogram(), false),
			plot.FromHistogram(fmt.Sprintf("in bursts of %g times the rate", r.Factor), t.Burst.Histogram(), false),
			plot.FromHistogram("right behind a burst", t.Behind.Histogram(), false),
			plot.FromHistogram("the lane's core by itself", t.LaneJitter.Histogram(), true),
			plot.FromHistogram("the strategy's core by itself", t.ReaderJitter.Histogram(), true),
		},
	}
}
