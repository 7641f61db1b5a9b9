package jitter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/tickwire/tickwire/internal/buildinfo"
	"github.com/tickwire/tickwire/tuning"
)

// Run measures. It belongs to a process that does nothing else meanwhile: the collector is off, nothing that stops the
// world can run but between modes, and all other threads of the process are moved off the measured cores if there are others. All of that
// is put back. A context that ends ends the run with its error; nothing is reported then.
func Run(ctx context.Context, o Options) (*Report, error) {
	if !readable {
		return nil, fmt.Errorf("%w: %s", ErrPlatform, runtime.GOARCH)
	}
	if len(o.cores()) == 0 {
		o.Other = allowed(os.Getpid())
	}
	if err := o.Validate(); err != nil {
		return nil, err
	}
	h, err := tuning.Open("/", nil)
	if err != nil {
		return nil, err
	}
	cores := o.cores()
	if off := cores.Without(h.Online()); len(off) > 0 {
		return nil, fmt.Errorf("%w: cores %s are not online (online: %s)", ErrOptions, off, h.Online())
	}
	facts := h.Run(tuning.Select{Only: []string{"plat.virt"}}).Host
	r := &Report{
		Schema: Schema, ToolVersion: buildinfo.Version, Host: facts, Virtual: facts.Virt != "", Started: time.Now().UTC().Truncate(time.Millisecond),
		ForS: o.For.Seconds(), Counter: counterOf[runtime.GOARCH], Go: runtime.Version(), Results: []Result{}, Idle: []Idle{},
	}
	s := &session{o: &o, host: h, cores: cores, report: r}
	defer s.putBack()
	s.prepare()
	for _, m := range o.Modes {
		if err := s.measure(ctx, m); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(r.Results, func(a, b Result) int { return a.CPU - b.CPU })
	return r, nil
}

var counterOf = map[string]string{"amd64": "tsc", "arm64": "cntvct_el0"}

// session is one Run.
type session struct {
	o      *Options
	host   *tuning.Host
	cores  tuning.CPUs
	report *Report
	pinned bool // the P can be pinned
	undo   []func()
}

func (s *session) putBack() {
	for _, f := range slices.Backward(s.undo) {
		f()
	}
}

func (s *session) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(s.report.Notes, text) {
		s.report.Notes = append(s.report.Notes, text)
	}
}

// measure is one mode on all cores.
func (s *session) measure(ctx context.Context, mode Mode) (err error) {
	runtime.GC()
	if s.o.Before != nil {
		s.o.Before(mode, s.cores, s.o.For)
	}
	begin := instantNow()
	floor := least(10_000)
	rate := quickRate()
	if rate <= 0 {
		return errStill
	}
	var runners []*runner
	defer func() {
		for _, r := range runners {
			r.probe.stop.Store(true)
			if r.done != nil {
				<-r.done
			}
			r.trace.close()
			err = errors.Join(err, r.probe.unmap())
		}
	}()
	for _, cpu := range s.cores {
		p, locked, err := newProbe()
		if err != nil {
			return err
		}
		if locked != nil {
			s.note("memory of the measurement is not locked: %v (lim.memlock)", locked)
		}
		r := &runner{cpu: cpu, probe: p, ready: make(chan error, 1), done: make(chan error, 1)}
		runners = append(runners, r)
		p.settings = s.settings(mode, rate, floor)
		p.clock, p.base = p.nsPerTick, now()
		if s.o.Trace {
			if r.trace, err = openTrace(cpu); err != nil {
				r.done = nil
				return err
			}
			p.traceFD, p.traceOf = int32(r.trace.fds[0]), r.trace.of
		}
		go r.run(mode, s.pinned)
		if err := <-r.ready; err != nil {
			r.done = nil // it did not begin
			return err
		}
	}
	ranFrom := s.ran(runners)
	warmFrom := time.Now()
	if err := sleep(ctx, s.o.Warmup); err != nil {
		return err
	}
	warm := time.Since(warmFrom)
	if err := s.shared(runners, ranFrom, s.ran(runners), warm); err != nil {
		return err
	}
	others := s.host.Online().Without(s.cores)
	before := takeLook(s.host, s.cores, others)
	rate = begin.rate(instantNow())
	if rate <= 0 {
		return errStill
	}
	start := now() + uint64(startNs/rate)
	for _, r := range runners {
		r.probe.final = s.settings(mode, rate, floor)
		r.probe.start.Store(start)
	}
	// The threads end by themselves: with a P pinned, a timer of ours is not to be relied on.
	for _, r := range runners {
		select {
		case err := <-r.done:
			r.done = nil
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	after := takeLook(s.host, s.cores, others)
	s.report.Idle = append(s.report.Idle, idleBetween(before, after, mode)...)
	end := instantNow()
	rate = begin.rate(end)
	if s.report.TAIOffsetS = (end.tai - end.utc + 500_000_000) / 1_000_000_000; s.report.TAIOffsetS == 0 {
		s.note("the kernel does not know the offset of TAI (ptp.tai): times of gaps are UTC")
	}
	for _, r := range runners {
		s.report.Results = append(s.report.Results, s.result(r, mode, before, after, begin, rate))
	}
	findTogether(s.report.Results[len(s.report.Results)-len(runners):])
	for i := range s.report.Results {
		s.report.Results[i].judge(s.report)
	}
	s.report.CounterHz = 1e9 / rate
	return nil
}

// settings are those of a mode by the counter's rate in ns per tick.
func (s *session) settings(mode Mode, rate float64, floor uint64) (c settings) {
	ticks := func(ns float64) uint64 { return uint64(ns / rate) }
	threshold := s.o.ThresholdNs
	if threshold == 0 {
		threshold = max(8*float64(floor)*rate, 100)
	}
	c.limit, c.spike, c.ownLimit, c.floor = ticks(threshold), ticks(spikeNs), ticks(ownNs), floor
	if c.lookTicks = ticks(lookNs); mode == Runtime && s.pinned {
		c.lookTicks = ticks(passNs)
	}
	c.forTicks = ticks(float64(s.o.For))
	c.nsPerTick = uint64(rate * (1 << 32))
	for i, ms := range gridMs {
		c.gridTicks[i] = ticks(ms * 1e6)
	}
	c.gridSlack = ticks(gridSlackNs)
	return c
}

// ran is how long each measuring thread has run, ns; nil where the kernel does not tell.
func (s *session) ran(runners []*runner) (all []uint64) {
	for _, r := range runners {
		text, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/schedstat", r.probe.tid.Load()))
		n, _, ok := waited(text)
		if err != nil || !ok {
			s.note("the kernel keeps no times of threads (CONFIG_SCHED_INFO): whether cores are shared was not looked at")
			return nil
		}
		all = append(all, n)
	}
	return all
}

// shared is ErrShared when others had much of a core in the warm-up.
func (s *session) shared(runners []*runner, from, to []uint64, in time.Duration) error {
	var faults []error
	for i, r := range runners {
		if from == nil || to == nil {
			return nil
		}
		share := float64(to[i]-from[i]) / float64(in)
		if share >= leastShare {
			continue
		}
		if s.o.Shared {
			s.note("core %d is shared: in the warm-up the measuring thread had %.0f %% of it", r.cpu, 100*share)
			continue
		}
		faults = append(faults, fmt.Errorf("%w: core %d: others had %.0f %% of it in %s (ps -eLo psr,pcpu,comm tells who); not measured", ErrShared, r.cpu, 100*(1-share), in.Round(10*time.Millisecond)))
	}
	return errors.Join(faults...)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
