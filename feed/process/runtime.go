package process

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/internal/host"
	"github.com/tickwire/tickwire/internal/pin"
	"github.com/tickwire/tickwire/nic/clock"
	"github.com/tickwire/tickwire/ringbuf"
)

// runtimePolicy is what a feed does to the Go runtime and its own process so that nothing disturbs a lane. With idle =
// block it does next to nothing: such lanes sleep, and the runtime may do as it likes.
//
//	start    processors for the spinners and four beside them; memory locked; collector off, with a limit as a fuse
//	lane     thread on its core, in its class; a window (package pin)
//	keep     when the heap has grown: want ─► windows open ─► collect ─► want taken back; the clock is checked
//	stop     everything as it was
type runtimePolicy struct {
	feed     *config.Feed
	log      *slog.Logger
	clock    *clock.Clock
	windows  []*pin.Window // one a lane; nil: its P is not pinned
	counters RuntimeCounters
	clocks   clock.Counters // as of the last turn of keep
	hardware []*hardwareClock
	stats    exporter
	undo     []func()
	readings []metrics.Sample
}

// hardwareClock is the PTP hardware clock of an interface.
type hardwareClock struct {
	*clock.PHC
	counters clock.FitCounters // as of the last turn of keep
	failing  bool
}

// RuntimeCounters are what the policy did. Owned by keep. Live… are gauges.
type RuntimeCounters struct {
	Collections      uint64 // deliberate ones
	CollectionNs     uint64 // time they took, windows included
	MaxCollectionNs  uint64
	FuseCollections  uint64 // those that the runtime began by itself: with gc = off, since the memory limit was reached
	LiveHeapBytes    uint64
	LiveCollector    uint64 // 1: the collector runs when it likes
	LiveMemoryLocked uint64 // 1: no page leaves memory
	LivePinnedLanes  uint64 // lanes whose P is pinned
	LivePreemptedOff uint64 // 1: GODEBUG has asyncpreemptoff=1
}

const (
	// besides is how many processors the runtime has besides those that lanes hold: the beat, snapshots, control, the collector.
	besides = 4
	// grownBy is how much garbage a feed lets lie before it collects on purpose.
	grownBy = 64 << 20
	// fuse is how much more memory than at start brings the runtime's own collector back.
	fuse = 1 << 30

	preemptOff = "asyncpreemptoff=1"
)

// startRuntime does what must be done before lanes run. What it did is undone by stop, also when it fails.
func startRuntime(f *config.Feed, stats *ringbuf.StatsWriter, log *slog.Logger) (*runtimePolicy, error) {
	p := &runtimePolicy{feed: f, log: log, clock: clock.New(), windows: make([]*pin.Window, len(f.Lane))}
	p.stats.file = stats
	p.readings = []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/cycles/automatic:gc-cycles"}}
	if src := p.clock.Source(); strings.HasPrefix(src, "system: ") {
		log.Warn("lanes take the time from the system's clock, which costs 40 ns more a pass: " + strings.TrimPrefix(src, "system: "))
	}
	for _, w := range host.Look("/", p.plan()) {
		log.Warn(w.Text, "check", w.Check)
	}
	if err := p.lockMemory(); err != nil {
		p.stop()
		return nil, err
	}
	p.counters.LiveCollector = 1
	if p.spins() {
		p.processors()
		p.pins()
		p.preemption()
	}
	if f.Runtime.GC == "off" {
		p.collector()
	}
	if err := errors.Join(p.stats.add("runtime", &p.counters), p.stats.add("clock", &p.clocks)); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// spins says whether lanes keep their cores to themselves.
func (p *runtimePolicy) spins() bool {
	return p.feed.Source != "file" && (p.feed.Idle == "spin" || p.feed.Idle == "busy-poll")
}

// plan is what the host is looked at for.
func (p *runtimePolicy) plan() host.Plan {
	plan := host.Plan{BusyPoll: p.feed.Idle == "busy-poll", MemoryLocked: p.feed.Runtime.LockMemory != "off"}
	if !p.spins() {
		return plan
	}
	for i := range p.feed.Lane {
		if c := p.feed.Lane[i].Core; c != nil {
			plan.Cores = append(plan.Cores, *c)
		}
		plan.FIFO = plan.FIFO || p.feed.Lane[i].Sched == pin.FIFO
	}
	for i := range p.feed.Channel {
		for _, line := range p.feed.Channel[i].Line {
			if !slices.Contains(plan.Interfaces, line.Interface) {
				plan.Interfaces = append(plan.Interfaces, line.Interface)
			}
		}
	}
	return plan
}

// processors gives the runtime enough of them: the default counts the cores that the process was started on, which under
// isolation are few, and two lanes could hold them all. Said explicitly it is not changed by the runtime either.
func (p *runtimePolicy) processors() {
	was := runtime.GOMAXPROCS(len(p.feed.Lane) + besides)
	p.undo = append(p.undo, func() { runtime.GOMAXPROCS(was) })
}

// pins makes a window for each lane, if pinning does what we think it does.
func (p *runtimePolicy) pins() {
	if len(p.feed.Plugin) > 0 { // a trap is a panic underneath, which would kill the process
		p.log.Info("lanes are on their cores, but their processors are not pinned: plugins run on them")
		return
	}
	if err := pin.Works(); err != nil {
		p.log.Warn("lanes are on their cores, but the runtime may interrupt them", "err", err)
		return
	}
	for i := range p.windows {
		p.windows[i] = pin.New(pin.Options{Quantum: time.Duration(p.feed.Runtime.Release)})
	}
	p.counters.LivePinnedLanes = uint64(len(p.windows))
}

// preemption says when the environment lets the runtime send signals to lanes: a program cannot turn that off itself.
func (p *runtimePolicy) preemption() {
	for _, setting := range strings.Split(os.Getenv("GODEBUG"), ",") {
		if setting == preemptOff {
			p.counters.LivePreemptedOff = 1
			return
		}
	}
	p.log.Warn("the runtime sends each lane up to a hundred signals a second, 1 to 3 µs each: start the process with GODEBUG=" + preemptOff +
		" (`tickwire run` and the systemd unit do)")
}

// collector turns the collector off. A memory limit that the user gave (GOMEMLIMIT) is the fuse, else there is one of ours.
func (p *runtimePolicy) collector() {
	if limit := debug.SetMemoryLimit(-1); limit == math.MaxInt64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		debug.SetMemoryLimit(int64(m.Sys) + fuse)
		p.undo = append(p.undo, func() { debug.SetMemoryLimit(limit) })
	}
	percent := debug.SetGCPercent(-1)
	p.undo = append(p.undo, func() { debug.SetGCPercent(percent) })
	p.counters.LiveCollector = 0
}

// lockMemory keeps every page that is touched in memory, as lock_memory says.
func (p *runtimePolicy) lockMemory() error {
	mode := p.feed.Runtime.LockMemory
	if mode == "off" || mode != "on" && (!p.spins() || !mayLock()) {
		return nil
	}
	// On fault: else the runtime's arenas and the books' address space would be populated, all of it.
	if err := unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT); err != nil {
		if mode == "on" {
			return fmt.Errorf("feed %s: runtime.lock_memory = \"on\": %w: it takes CAP_IPC_LOCK, or a limit that is infinite (LimitMEMLOCK=infinity of the unit, `ulimit -l unlimited`); not started", p.feed.Name, err)
		}
		p.log.Warn("memory is not locked: pages may leave it", "err", err, "check", "lim.memlock")
		return nil
	}
	p.undo = append(p.undo, func() { _ = unix.Munlockall() })
	p.counters.LiveMemoryLocked = 1
	return nil
}

// mayLock says whether locking has no bound: with one, what is mapped later would fail.
func mayLock() bool {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit) == nil && limit.Cur == unix.RLIM_INFINITY {
		return true
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	return unix.Capget(&header, &data[0]) == nil && data[unix.CAP_IPC_LOCK/32].Effective&(1<<(unix.CAP_IPC_LOCK%32)) != 0
}

// window is what a lane's Input gets, nil: its P is not pinned.
func (p *runtimePolicy) window(lane int) *pin.Window { return p.windows[lane] }

// now is a clock for one lane, which never sees it go back.
func (p *runtimePolicy) now() func() uint64 { return p.clock.Local().Now }

// thread puts the calling thread, a lane's, where its configuration says. The goroutine has locked it.
func (p *runtimePolicy) thread(lane int) error {
	l := &p.feed.Lane[lane]
	if l.Core == nil {
		return nil
	}
	if err := pin.Thread(*l.Core); err != nil {
		return err
	}
	if l.Sched == "" || l.Sched == pin.Other {
		return nil
	}
	return pin.Class(l.Sched, l.Priority)
}

// stamps gives the converter of an interface's hardware stamps to ns since the Unix epoch, nil when it has no clock that we may
// read. Interfaces of one NIC share theirs. Before keep.
func (p *runtimePolicy) stamps(face string) func(hw uint64) (utc uint64, ok bool) {
	c, err := clock.OpenPHC(face, clock.FitOptions{})
	if errors.Is(err, clock.ErrNoPHC) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil // a virtual interface: nothing is amiss
	}
	if err == nil {
		for _, h := range p.hardware {
			if h.Index() == c.Index() {
				_ = c.Close()
				return h.Convert
			}
		}
		h := &hardwareClock{PHC: c, counters: c.Counters()}
		if err = p.stats.add("phc."+face, &h.counters); err == nil {
			p.hardware = append(p.hardware, h)
			p.undo = append(p.undo, func() { _ = c.Close() })
			p.log.Info("hardware clock of " + face + ": " + c.Source())
			return h.Convert
		}
		_ = c.Close()
	}
	p.log.Warn("packets of "+face+" have the kernel's stamps, not the NIC's", "err", err, "check", "ptp.phc")
	return nil
}

// sources say where the time comes from: the lanes' clock first, then each hardware clock. Any goroutine, once stamps is done with.
func (p *runtimePolicy) sources() []string {
	all := []string{p.clock.Source()}
	for _, h := range p.hardware {
		all = append(all, h.Interface()+": "+h.Source())
	}
	return all
}

// check takes a sample of each hardware clock, and tells of one that cannot be read when that begins.
func (p *runtimePolicy) check() {
	for _, h := range p.hardware {
		err := h.Check()
		if err != nil && !h.failing {
			p.log.Error("packets get the kernel's stamps", "err", err)
		}
		h.failing = err != nil
		h.counters = h.Counters()
	}
}

// keep checks clocks and heap until done is closed.
func (p *runtimePolicy) keep(done <-chan struct{}) {
	tick := time.NewTicker(clock.Every)
	defer tick.Stop()
	var base uint64 // the heap after the last collection, or at start
	if p.counters.LiveCollector == 0 {
		base = p.collect() // what starting left behind
	}
	before := p.automatic()
	for turn := 0; ; turn++ {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		p.clock.Check()
		if turn%int(clock.PHCEvery/clock.Every) == 0 {
			p.check()
		}
		if turn%10 != 0 {
			continue
		}
		heap := p.heap()
		if p.counters.LiveCollector == 0 && heap > base+grownBy {
			heap = p.collect()
			base = heap
		}
		p.counters.LiveHeapBytes = heap
		p.counters.FuseCollections = p.automatic() - before
		p.clocks = p.clock.Counters()
		p.stats.export(uint64(time.Now().UnixNano()))
	}
}

// collect collects on purpose: every window is open for as long as it takes. It returns what is left.
func (p *runtimePolicy) collect() (heap uint64) {
	want := func(on bool) {
		for _, w := range p.windows {
			if w != nil {
				w.Want(on)
			}
		}
	}
	begin := time.Now()
	want(true)
	runtime.GC()
	want(false)
	took := uint64(time.Since(begin))
	p.counters.Collections++
	p.counters.CollectionNs += took
	p.counters.MaxCollectionNs = max(p.counters.MaxCollectionNs, took)
	return p.heap()
}

func (p *runtimePolicy) heap() uint64 {
	metrics.Read(p.readings)
	return p.readings[0].Value.Uint64()
}

func (p *runtimePolicy) automatic() uint64 {
	metrics.Read(p.readings)
	return p.readings[1].Value.Uint64()
}

// stop puts everything back. Lanes have ended.
func (p *runtimePolicy) stop() {
	for _, undo := range slices.Backward(p.undo) {
		undo()
	}
	p.undo = nil
}
