package latbench

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/tickwire/tickwire/bench/machine"
	"github.com/tickwire/tickwire/bench/membench"
	"github.com/tickwire/tickwire/bench/meter"
	"github.com/tickwire/tickwire/bench/plot"
	"github.com/tickwire/tickwire/ringbuf"
)

// Options of a measurement. Child must be given; what else is zero has a default.
type Options struct {
	// Child makes the command whose main calls Child.
	Child func() (*exec.Cmd, error)
	// Rates in messages a second are measured one after the other, in each run. The default is 1,000,000 and, on a virtual machine, 100,000; for the way
	// through the network 10,000.
	Rates []int
	// PerPacket is how many messages a packet has, 1 to 20. The default is 1.
	PerPacket int
	// Ring that is read: KindMbo, the default, or KindMbp1, in which only trades and changes of the best prices are.
	Ring ringbuf.Kind
	// Runs of each rate. The default is 5.
	Runs int
	// Span of a run, from its first packet to its last. The default is 2 s. What is due in the first tenth warms up and does not count.
	Span time.Duration
	// Round, Burst and Factor: see Schedule. In each round the rate is Factor times as high for Burst. The defaults are 100 ms, 1 ms and 10; a Factor
	// of 1 is no burst.
	Round, Burst time.Duration
	Factor       float64
	// Warm is how many messages fill the books before a run. The default is 500,000.
	Warm int
	// Symbols of the generated session. The default is 8,900.
	Symbols int
	// LaneCore, ReaderCore and VenueCore are pinned to. With all of them 0 they are the last, the one before and the one before that; where there
	// are not so many, the venue shares the reader's.
	LaneCore, ReaderCore, VenueCore int
	// Sched is the class that the measured threads are scheduled in: see meter.Pin.
	Sched string
	// Progress is called before each step. It may be nil.
	Progress func(what string)
}

func (o *Options) defaults(rates ...int) error {
	or := func(p *time.Duration, v time.Duration) {
		if *p == 0 {
			*p = v
		}
	}
	if o.Child == nil {
		return errors.New("latbench: there is no other process to start")
	}
	or(&o.Span, 2*time.Second)
	or(&o.Round, 100*time.Millisecond)
	or(&o.Burst, o.Round/100)
	if o.Factor == 0 {
		o.Factor = 10
	}
	if o.Runs <= 0 {
		o.Runs = meter.Runs
	}
	if o.PerPacket == 0 {
		o.PerPacket = 1
	}
	if o.Ring == 0 {
		o.Ring = ringbuf.KindMbo
	}
	if o.Ring != ringbuf.KindMbo && o.Ring != ringbuf.KindMbp1 {
		return fmt.Errorf("latbench: ring %s is not read here, want mbo or mbp1", o.Ring)
	}
	if o.Warm == 0 {
		o.Warm = 500_000
	}
	if o.LaneCore == 0 && o.ReaderCore == 0 && o.VenueCore == 0 {
		o.LaneCore = meter.Core(0)
		o.ReaderCore, o.VenueCore = meter.Other(o.LaneCore, 0), meter.Other(o.LaneCore, 1)
	}
	if len(o.Rates) == 0 {
		o.Rates = rates
	}
	return o.check()
}

func (o *Options) progress(format string, args ...any) {
	if o.Progress != nil {
		o.Progress(fmt.Sprintf(format, args...))
	}
}

// Stages of the lane's own share, as the lane measures them.
type Stages struct {
	Polled Quick `json:"due_to_poll"`  // from when a packet was due to the poll that took it
	Pass   Quick `json:"poll_to_ring"` // from there to its last record in the rings
}

// Quick is a latency by the lane's own histogram: buckets of an eighth.
type Quick struct {
	P50 uint64 `json:"p50_ns"`
	P99 uint64 `json:"p99_ns"`
	Max uint64 `json:"worst_ns"`
}

// Rate is what one rate came to.
type Rate struct {
	Rate         int           `json:"messages_per_second"`
	Messages     int           `json:"messages"`   // of a run
	Records      uint64        `json:"records"`    // read, all runs
	Lost         uint64        `json:"lost"`       // of them, to laps of the ring: 0, or the reader was stopped for long
	Late         uint64        `json:"taken_late"` // packets that waited for the lane for longer than the time between two
	Steady       meter.Latency `json:"steady"`
	Burst        meter.Latency `json:"burst"`           // due while the rate was higher
	Behind       meter.Latency `json:"behind_burst"`    // due shortly after that
	CoreToCore   meter.Spread  `json:"core_to_core_ns"` // of one cache line, in the same runs
	LaneJitter   meter.Latency `json:"jitter_of_lane_core"`
	ReaderJitter meter.Latency `json:"jitter_of_reader_core"`
	Stages       Stages        `json:"stages"` // of the last run, bursts included, the warm-up not
	Lane         meter.Counts  `json:"lane"`   // of the run with the most switches
	Reader       meter.Counts  `json:"reader"` // the same
}

// Report is a whole measurement.
type Report struct {
	Machine    machine.Machine `json:"machine"`
	LaneCore   int             `json:"core"`
	ReaderCore int             `json:"reader_core"`
	Ring       string          `json:"ring"`
	PerPacket  int             `json:"messages_per_packet"`
	Runs       int             `json:"runs"`
	Span       float64         `json:"span_seconds"`
	Round      float64         `json:"round_seconds"`
	Burst      float64         `json:"burst_seconds"`
	Factor     float64         `json:"burst_factor"`
	Sched      string          `json:"sched"`
	PreemptOff bool            `json:"preemption_signals_off"`
	Pinned     bool            `json:"p_pinned"` // the Go runtime does not interrupt the lane either
	Rates      []Rate          `json:"rates"`
	Faults     []string        `json:"faults,omitempty"` // the figures are of something else then
}

// Run measures. It needs no rights.
func Run(o Options) (*Report, error) {
	rates := []int{1_000_000}
	m := machine.Look()
	if m.Virtual {
		rates = append(rates, 100_000)
	}
	if err := o.defaults(rates...); err != nil {
		return nil, err
	}
	r := &Report{
		Machine: m, LaneCore: o.LaneCore, ReaderCore: o.ReaderCore, Ring: o.Ring.String(), PerPacket: o.PerPacket, Runs: o.Runs, Span: o.Span.Seconds(),
		Round: o.Round.Seconds(), Burst: o.Burst.Seconds(), Factor: o.Factor, Sched: o.Sched, PreemptOff: PreemptOff(), Pinned: window() != nil,
		Rates: make([]Rate, len(o.Rates)),
	}
	defer quiet()()
	most := 0
	for i, rate := range o.Rates {
		s := schedule(float64(rate)/float64(o.PerPacket), &o)
		most = max(most, s.packets(o.Span))
		r.Rates[i] = Rate{Rate: rate, Messages: s.packets(o.Span) * o.PerPacket}
	}
	o.progress("making a session")
	d, err := newDay(o.Symbols, o.Warm, most, o.PerPacket, 1)
	if err != nil {
		return nil, err
	}
	for run := range o.Runs {
		for i := range r.Rates {
			o.progress("%d messages/s, run %d of %d", r.Rates[i].Rate, run+1, o.Runs)
			faults, err := r.Rates[i].run(&o, d)
			if err != nil {
				return nil, err
			}
			r.fault(faults...)
		}
	}
	return r, nil
}

func (r *Report) fault(all ...string) {
	for _, f := range all {
		if !slices.Contains(r.Faults, f) {
			r.Faults = append(r.Faults, f)
		}
	}
}

// spinning bounds the time that cores measure themselves for.
func (o *Options) spinning() time.Duration { return max(o.Span/4, 20*time.Millisecond) }

// run is one run at one rate, on a thread of its own.
func (t *Rate) run(o *Options, d *day) (faults []string, err error) {
	runtime.GC()
	g, err := newRig(ringbuf.MonotonicNow)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	s := schedule(float64(t.Rate)/float64(o.PerPacket), o)
	c, err := start(o.Child, nil, job{Ring: g.path(o.Ring), Core: o.ReaderCore, Sched: o.Sched, Schedule: s, Yield: o.ReaderCore == o.LaneCore})
	if err != nil {
		return nil, err
	}
	g.fill(d)
	var p *source
	var counts meter.Counts
	done := make(chan error, 1)
	go func() { // the thread is pinned and ends with the goroutine
		done <- func() error {
			if err := meter.Pin(o.LaneCore, o.Sched); err != nil {
				return err
			}
			ns, err := membench.CoreToCore(o.LaneCore, o.ReaderCore, o.Sched)
			if err != nil {
				return err
			}
			t.CoreToCore = t.CoreToCore.Add(ns)
			if err := t.jitters(o, g, c, s.PeriodNs); err != nil {
				return err
			}
			watch := meter.NewWatch(0)
			defer watch.Close()
			begin := ringbuf.MonotonicNow() + 20_000_000 // the reader hears of it before
			// A whole number of rounds warms up, so that the reader's rounds are ours.
			warm := (uint64(o.Span)/10 + s.Round - 1) / s.Round * s.Round
			var ok bool
			if err := c.ask(instruction{Begin: begin + warm}, &ok); err != nil {
				return err
			}
			p = newSource(d, &s, begin, t.Messages/o.PerPacket)
			p.warm, p.latency = begin+warm, &g.latency
			g.input.Source = p
			watch.Begin()
			err = g.lane.Run(&g.input, new(atomic.Bool))
			counts = watch.End()
			return err
		}()
	}()
	if err := <-done; err != nil {
		return nil, errors.Join(err, c.kill())
	}
	saw, err := c.end()
	if err != nil {
		return nil, err
	}
	t.Records, t.Lost, t.Late = t.Records+saw.Records, t.Lost+saw.Lost, t.Late+p.late
	for i, l := range []*meter.Latency{&t.Steady, &t.Burst, &t.Behind} {
		if h := hdrhistogram.Import(saw.Parts[i]); h.TotalCount() > 0 {
			l.Add(h)
		}
	}
	t.Lane, t.Reader = worse(t.Lane, counts), worse(t.Reader, saw.Counts)
	t.Stages = stages(g)
	return g.faults(), nil
}

// jitters has both cores measure themselves at the same time: they are both busy later too.
func (t *Rate) jitters(o *Options, g *rig, c *child, periodNs float64) error {
	theirs := make(chan error, 1)
	var shot hdrhistogram.Snapshot
	go func() { theirs <- c.ask(instruction{Jitter: o.spinning(), PeriodNs: periodNs}, &shot) }()
	g.input.Window.Enter(ringbuf.MonotonicNow())
	h := jitter(periodNs, o.spinning())
	g.input.Window.Leave()
	t.LaneJitter.Add(h)
	if err := <-theirs; err != nil {
		return err
	}
	t.ReaderJitter.Add(hdrhistogram.Import(&shot))
	return nil
}

func stages(g *rig) Stages {
	polled, pass := g.latency.Polled.Snapshot(), g.latency.Pass.Snapshot()
	return Stages{
		Polled: Quick{polled.Quantile(0.5), polled.Quantile(0.99), polled.Max()},
		Pass:   Quick{pass.Quantile(0.5), pass.Quantile(0.99), pass.Max()},
	}
}

// worse is the one of two with more switches.
func worse(a, b meter.Counts) meter.Counts {
	if b.Voluntary+b.Involuntary >= a.Voluntary+a.Involuntary {
		return b
	}
	return a
}

// Plot draws one rate: what was measured, and what the cores do by themselves.
func (r *Report) Plot(i int) *plot.Plot {
	t := &r.Rates[i]
	return &plot.Plot{
		Title: fmt.Sprintf("due to read by another process, ring %s, %d messages/s", r.Ring, t.Rate),
		Note:  r.Machine.String(),
		Series: []plot.Series{
			plot.FromHistogram("steady", t.Steady.Histogram(), false),
			plot.FromHistogram(fmt.Sprintf("in bursts of %g times the rate", r.Factor), t.Burst.Histogram(), false),
			plot.FromHistogram("right behind a burst", t.Behind.Histogram(), false),
			plot.FromHistogram("the lane's core by itself", t.LaneJitter.Histogram(), true),
			plot.FromHistogram("the reader's core by itself", t.ReaderJitter.Histogram(), true),
		},
	}
}
