package jitter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/internal/buildinfo"
	"github.com/tickwire/tickwire/internal/pin"
	"github.com/tickwire/tickwire/tuning"
)

// Mode is how a measuring thread is set up.
type Mode string

const (
	Host    Mode = "host"    // nothing of the runtime is in the way: the machine
	Runtime Mode = "runtime" // as a feed's lane: the machine, and the runtime's share
	Plain   Mode = "plain"   // a goroutine locked to its thread: what a naive test measures
)

// Role is what a core is meant for: it decides what it may do.
type Role string

const (
	RoleHot   Role = "hot"
	RoleNAPI  Role = "napi"
	RoleOther Role = "other"
)

// Options of a run. The zero value measures every core that the process may use, as housekeeping.
type Options struct {
	// Hot, NAPI and Other are the cores to measure, by what they are meant for. None at all: all that the process may use, as Other.
	Hot, NAPI, Other tuning.CPUs
	// For is the length of each mode. A minute is a look, ten are a qualification under load, twelve hours a soak. The default is 30 s.
	For time.Duration
	// Warmup is measured and forgotten, once a mode. The counter's rate is taken in it, too. The default is 1 s.
	Warmup time.Duration
	// Modes, one after the other. The default is Host and Runtime.
	Modes []Mode
	// ThresholdNs is where a gap begins to count. The default is 8 times the smallest difference between two readings, at least 100 ns.
	ThresholdNs float64
	// Shared measures cores on which others run much of the time, too. The default is to refuse: that would measure them.
	Shared bool
	// Before is called before each mode, for whoever waits. May be nil. It must not start anything.
	Before func(mode Mode, cores tuning.CPUs, for_ time.Duration)
}

// Errors that Run returns, wrapped in what was seen.
var (
	ErrOptions  = errors.New("jitter: options")                              // they make no sense; nothing was done
	ErrPlatform = errors.New("jitter: this processor has no counter for it") // other than amd64 and arm64
	ErrShared   = errors.New("jitter: a core is shared")
)

var errStill = errors.New("jitter: the processor's counter stands still, or goes back: it measures nothing")

const (
	maxCores = 1024
	leastFor = 10 * time.Millisecond
	mostFor  = 7 * 24 * time.Hour
	// leastShare is how much of a core its measuring thread must get in the warm-up, less what is late to be accounted.
	leastShare = 0.6
	// besides is how many processors the runtime has beside those that measuring threads hold.
	besides = 4
	// startNs is how long before it the start is told: all threads begin at once.
	startNs = 2_000_000
)

// Validate reports all faults at once, each ErrOptions, and fills in defaults.
func (o *Options) Validate() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("%w: %s", ErrOptions, fmt.Sprintf(format, args...)))
	}
	if o.For == 0 {
		o.For = 30 * time.Second
	}
	if o.Warmup == 0 {
		o.Warmup = time.Second
	}
	if len(o.Modes) == 0 {
		o.Modes = []Mode{Host, Runtime}
	}
	if o.For < leastFor || o.For > mostFor {
		fault("%s is no time to measure, want %s to %s", o.For, leastFor, mostFor)
	}
	if o.Warmup < leastFor || o.Warmup > time.Minute {
		fault("a warm-up of %s, want %s to a minute", o.Warmup, leastFor)
	}
	for i, m := range o.Modes {
		if !slices.Contains([]Mode{Host, Runtime, Plain}, m) {
			fault("mode %q, want host, runtime or plain", m)
		} else if slices.Contains(o.Modes[:i], m) {
			fault("mode %s is there twice", m)
		}
	}
	if o.ThresholdNs < 0 || o.ThresholdNs > 1e9 || o.ThresholdNs != o.ThresholdNs {
		fault("a threshold of %g ns, want 0 (by the machine) to 1e9", o.ThresholdNs)
	}
	for _, both := range []tuning.CPUs{o.Hot.And(o.NAPI), o.Hot.And(o.Other), o.NAPI.And(o.Other)} {
		if len(both) > 0 {
			fault("cores %s are there twice", both)
		}
	}
	if n := len(o.cores()); n > maxCores {
		fault("%d cores at once, at most %d", n, maxCores)
	}
	return errors.Join(faults...)
}

func (o *Options) cores() tuning.CPUs { return o.Hot.Union(o.NAPI).Union(o.Other) }

func (o *Options) role(cpu int) Role {
	switch {
	case o.Hot.Has(cpu):
		return RoleHot
	case o.NAPI.Has(cpu):
		return RoleNAPI
	}
	return RoleOther
}

// Run measures. It belongs to a process that does nothing else meanwhile: the collector is off, nothing that stops the
// world can run but between modes, and all other threads of the process are moved off the measured cores if there are others. All of that
// is put back. A context that ends ends the run with its error; nothing is reported then.
func Run(ctx context.Context, o Options) (*Report, error) {
	if !readable {
		return nil, fmt.Errorf("%w: %s", ErrPlatform, runtime.GOARCH)
	}
	if err := o.Validate(); err != nil {
		return nil, err
	}
	h, err := tuning.Open("/", nil)
	if err != nil {
		return nil, err
	}
	if len(o.cores()) == 0 {
		o.Other = allowed(os.Getpid())
	}
	cores := o.cores()
	if off := cores.Without(h.Online()); len(off) > 0 {
		return nil, fmt.Errorf("%w: cores %s are not online (online: %s)", ErrOptions, off, h.Online())
	}
	facts := h.Run(tuning.Select{Only: []string{"plat.virt"}}).Host
	r := &Report{
		Schema: Schema, ToolVersion: buildinfo.Version, Host: facts, Virtual: facts.Virt != "", Started: time.Now().UTC().Truncate(time.Millisecond),
		ForS: o.For.Seconds(), Counter: counterOf[runtime.GOARCH], Go: runtime.Version(), Results: []Result{},
	}
	s := &session{o: &o, host: h, cores: cores, report: r}
	defer s.putBack()
	if err := s.prepare(); err != nil {
		return nil, err
	}
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

// prepare makes the process quiet.
func (s *session) prepare() error {
	was := runtime.GOMAXPROCS(len(s.cores) + besides)
	s.undo = append(s.undo, func() { runtime.GOMAXPROCS(was) })
	if err := pin.Works(); err != nil {
		s.note("mode host has the runtime's share in it: %v", err)
	} else {
		s.pinned = true
	}
	// What is thrown away by one mode is collected before the next one, when nobody measures.
	percent := debug.SetGCPercent(-1)
	s.undo = append(s.undo, func() { debug.SetGCPercent(percent) })
	if len(s.host.Online().Without(s.cores)) == 0 {
		s.note("all cores are measured: what this program does beside measuring runs on them, too")
		return nil
	}
	moved := s.moveAside()
	s.undo = append(s.undo, func() {
		for tid, set := range moved {
			_ = unix.SchedSetaffinity(tid, &set) // it may have ended
		}
		// Threads that were made meanwhile have the mask of the one that made them.
		for _, tid := range threads() {
			if _, known := moved[tid]; !known {
				set := moved[os.Getpid()]
				_ = unix.SchedSetaffinity(tid, &set)
			}
		}
	})
	return nil
}

// moveAside takes the threads of this process off the measured cores, and returns what they were allowed.
func (s *session) moveAside() map[int]unix.CPUSet {
	masks := map[int]unix.CPUSet{}
	for _, tid := range threads() {
		var was unix.CPUSet
		if unix.SchedGetaffinity(tid, &was) != nil {
			continue
		}
		masks[tid] = was
		to := was
		for _, c := range s.cores {
			to.Clear(c)
		}
		if to.Count() == 0 {
			s.note("this process may run on no core that is not measured: what it does beside measuring runs there, too")
			continue
		}
		_ = unix.SchedSetaffinity(tid, &to) // it may have ended
	}
	return masks
}

func threads() (tids []int) {
	names, _ := filepath.Glob("/proc/self/task/[0-9]*")
	for _, n := range names {
		if tid, err := strconv.Atoi(filepath.Base(n)); err == nil {
			tids = append(tids, tid)
		}
	}
	return tids
}

// allowed are the cores that a thread may use.
func allowed(tid int) (cores tuning.CPUs) {
	var set unix.CPUSet
	if unix.SchedGetaffinity(tid, &set) != nil {
		return nil
	}
	for c := range len(set) * 64 {
		if set.IsSet(c) {
			cores = append(cores, c)
		}
	}
	return cores
}

// runner is the measuring thread of one core.
type runner struct {
	cpu   int
	probe *probe
	done  chan error // nil when it measured to the end, or was told to stop
	ready chan error
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
	before := takeLook(s.host, s.host.Online())
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
	after := takeLook(s.host, s.host.Online())
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

// run is the thread. It ends with its goroutine: mask and affinity are nobody else's.
func (r *runner) run(mode Mode, pinned bool) {
	runtime.LockOSThread()
	if err := pin.Thread(r.cpu); err != nil {
		r.ready <- err
		return
	}
	if mode != Plain {
		// The runtime asks who has run for 10 ms to yield by this signal, and asks again only when it was taken. A lane is started with
		// asyncpreemptoff=1, to the same effect.
		var set unix.Sigset_t
		set.Val[(unix.SIGURG-1)/64] |= 1 << ((unix.SIGURG - 1) % 64)
		if err := unix.PthreadSigmask(unix.SIG_BLOCK, &set, nil); err != nil {
			r.ready <- fmt.Errorf("jitter: core %d: blocking SIGURG: %w", r.cpu, err)
			return
		}
	}
	p := r.probe
	schedstat, err := unix.Open("/proc/thread-self/schedstat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		schedstat = -1
	} else {
		defer unix.Close(schedstat)
	}
	p.msr = -1
	if fd, err := unix.Open(fmt.Sprintf("/dev/cpu/%d/msr", r.cpu), unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
		defer unix.Close(fd)
		if _, ok := readSMI(fd); ok {
			p.msr = int32(fd)
		}
	}
	var w *pin.Window
	switch {
	case mode == Host && pinned:
		w = pin.New(pin.Options{Quantum: 2 * mostFor})
	case mode == Runtime && pinned:
		w = pin.New(pin.Options{})
	}
	p.tid.Store(int32(unix.Gettid()))
	r.ready <- nil
	w.Enter(p.clockNs(now()))
	p.run(w, schedstat)
	w.Leave()
	r.done <- nil
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

// instant is one moment by several clocks.
type instant struct {
	ticks    uint64
	raw      int64 // CLOCK_MONOTONIC_RAW, ns
	tai, utc int64 // ns since 1970
}

// instantNow takes the best of some tries: the one in which least came between.
func instantNow() (best instant) {
	window := ^uint64(0)
	for range 16 {
		var ts unix.Timespec
		a := now()
		if unix.ClockGettime(unix.CLOCK_MONOTONIC_RAW, &ts) != nil {
			continue
		}
		b := now()
		if b-a < window {
			window, best.ticks, best.raw = b-a, a+(b-a)/2, ts.Nano()
		}
	}
	window = ^uint64(0)
	for range 16 {
		var tai, utc unix.Timespec
		a := now()
		if unix.ClockGettime(unix.CLOCK_TAI, &tai) != nil || unix.ClockGettime(unix.CLOCK_REALTIME, &utc) != nil {
			continue
		}
		b := now()
		if b-a < window {
			window, best.tai, best.utc = b-a, tai.Nano(), utc.Nano()
		}
	}
	return best
}

// rate is ns per tick from one moment to a later one; not positive: it cannot be told.
func (a instant) rate(b instant) float64 {
	if b.ticks <= a.ticks {
		return 0
	}
	return float64(b.raw-a.raw) / float64(b.ticks-a.ticks)
}

// quickRate is the rate to some ppm, for the warm-up.
func quickRate() float64 {
	a := instantNow()
	time.Sleep(20 * time.Millisecond)
	return a.rate(instantNow())
}
