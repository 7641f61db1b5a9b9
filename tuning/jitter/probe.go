package jitter

import (
	"fmt"
	"math/bits"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/internal/pin"
)

const (
	largestCount = 256 // largest gaps that are kept, each with its time
	firstCount   = 64  // first gaps above spikeNs that are kept
	recentCount  = 64  // gaps that are remembered to find a period: power of two

	spikeNs = 10_000 // from here on a gap is worth asking the kernel what it was
	ownNs   = 1_000  // counting a gap takes less: what takes longer was a gap itself

	passNs = 2_000     // between two looks at what the runtime wants: a lane's pass is no longer
	lookNs = 1_000_000 // the same where the runtime wants nothing: only to be told to stop
)

// overNs are the bounds of Over, in its order.
var overNs = [...]uint64{1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 1_000_000}

// classNs are the sizes of gaps whose distances are counted apart: what comes once a second would not be seen among what comes
// a thousand times.
var classNs = [...]uint64{0, 1_000, 10_000, 100_000}

// gridMs are the periods of the scheduler's tick (CONFIG_HZ of 1000, 300, 250 and 100).
var gridMs = [...]float64{1, 10.0 / 3, 4, 10}

const gridSlackNs = 30_000 // a tick waits for whoever has interrupts off, or another interrupt

// settings are what counts, by the counter's rate.
type settings struct {
	limit, spike, ownLimit uint64 // ticks
	lookTicks, forTicks    uint64
	gridTicks              [len(gridMs)]uint64
	gridSlack              uint64
	floor                  uint64 // ticks
	nsPerTick              uint64 // 32.32 fixed point
}

// probe is what one thread writes while it measures: one mapping, touched and locked before, without a pointer in it.
//
//	control ── start, stop ──► probe ◄── everything else ── the measuring thread, which reads it again at its end
type probe struct {
	settings          // the thread's
	final    settings // the control's, until it tells the start
	clock    uint64   // ns per tick for the window, 32.32 fixed point: it does not change
	base     uint64   // reading at which that clock is 0
	msr      int32    // of this core, open; -1: none
	traceFD  int32    // leader of the group of counters; -1: none
	traceOf  [len(traced)]int8

	start atomic.Uint64 // reading of the counter at which it begins; 0: not yet
	stop  atomic.Bool
	tid   atomic.Int32
	_     [128]byte

	began, ended  uint64 // readings of the counter
	n             uint64
	back          uint64 // readings that were before the one before
	stolen        uint64 // ticks above the floor
	least, most   uint64 // ns
	own           uint64 // ticks in which gaps were counted
	loops         uint64
	quiet         uint64 // longest time without a gap, ticks
	lastEnd       uint64
	over          [len(overNs)]uint64
	gaps          Histogram
	apart         [len(classNs)]Histogram // µs
	lastOf        [len(classNs)]uint64
	recent        [recentCount]uint64 // when gaps began
	recentN       uint64
	first         [firstCount]raw
	firstN        int
	largest       [largestCount]raw // a heap, the least on top
	largestN      int
	usage         unix.Rusage // as of the last time that the kernel was asked
	before        unix.Rusage // as of the time before that
	smi           uint64
	usageAtStart  unix.Rusage
	usageAtEnd    unix.Rusage
	failed        unix.Errno
	traceSeen     traceCounts
	traceBuf      [1 + len(traced)]uint64
	causes        [len(traced) + 1]sum // by what explains a gap; the last: nothing of the kernel's
	waitedAtStart [96]byte             // text of schedstat
	waitedAtEnd   [96]byte
}

// raw is one gap that is kept.
type raw struct {
	from, ticks uint64
	switched    uint32 // times that another thread ran, since the last one that was kept
	faults      uint32 // page faults
	smis        uint32
	seen        uint16 // of traced, those that were passed
	grid        uint32 // period of the tick that it fits to, as 1 + index of gridMs; 0: none
}

// newProbe maps one. locked says why it could not be locked, nil: it is.
func newProbe() (p *probe, locked, err error) {
	m, err := unix.Mmap(-1, 0, int(unsafe.Sizeof(probe{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_POPULATE)
	if err != nil {
		return nil, nil, fmt.Errorf("jitter: memory for a core: %w", err)
	}
	p = (*probe)(unsafe.Pointer(unsafe.SliceData(m)))
	p.msr, p.traceFD = -1, -1
	return p, unix.Mlock(m), nil
}

func (p *probe) unmap() error {
	return unix.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(p)), unsafe.Sizeof(*p)))
}

func (p *probe) ns(ticks uint64) uint64 { return scale(ticks, p.nsPerTick) }

func scale(ticks, rate uint64) uint64 {
	high, low := bits.Mul64(ticks, rate)
	return high<<32 | low>>32
}

// clockNs is a clock for the window.
func (p *probe) clockNs(at uint64) uint64 { return scale(at-p.base, p.clock) }

// run measures from start for forTicks, on the calling thread, which is where it belongs. Until start it does the same and forgets
// it: code and data are warm then. schedstat is open on the thread's own file, or -1. With a window the runtime is let in as it is with
// a lane.
func (p *probe) run(w *pin.Window, schedstat int) {
	measuring, end := false, ^uint64(0)
	last := now()
	for {
		from, to, loops := spin(last, p.limit, min(last+p.lookTicks, end))
		p.loops += loops
		last = to
		if to-from > p.limit {
			last = p.count(from, to)
		}
		switch {
		case p.stop.Load():
			p.ended = last
			return
		case !measuring:
			if s := p.start.Load(); s != 0 && last >= s {
				p.settings = p.final
				p.reset(schedstat)
				measuring, last = true, now()
				p.began, p.lastEnd, end = last, last, last+p.forTicks
			}
		case last >= end:
			p.ended = last
			p.quiet = max(p.quiet, last-p.lastEnd)
			p.usageAtEnd = p.ask()
			readStat(schedstat, &p.waitedAtEnd)
			return
		}
		w.Check(p.clockNs(last))
	}
}

// count takes a gap, and returns the reading at which measuring goes on. The time that counting takes is not measured, unless it is too
// long to be only that: then it is a gap itself.
func (p *probe) count(from, to uint64) uint64 {
	for asked := false; ; {
		limit := p.ownLimit
		seen := uint16(0)
		if p.traceFD >= 0 {
			limit, seen = p.spike, p.traceGap()
			if ticks := to - from; int64(ticks) >= 0 {
				c := &p.causes[causeIndex(seen)]
				c.n, c.total, c.most = c.n+1, c.total+ticks, max(c.most, ticks)
			}
		}
		if p.gap(from, to) {
			p.keep(from, to-from, seen, asked)
			if asked = to-from >= p.spike; asked {
				limit = p.spike
			}
		}
		at := now()
		if at-to <= limit {
			p.own += at - to
			return at
		}
		from, to = to, at
	}
}

// gap counts one, and says whether it is to be kept.
func (p *probe) gap(from, to uint64) bool {
	ticks := to - from
	if int64(ticks) < 0 {
		p.back++
		return false
	}
	ns := p.ns(ticks)
	p.n++
	p.stolen += ticks - min(p.floor, ticks)
	p.least, p.most = min(p.least, ns), max(p.most, ns)
	p.gaps.Add(ns)
	for i, bound := range overNs {
		if ns <= bound {
			break
		}
		p.over[i]++
	}
	for i, least := range classNs {
		if ns < least {
			break
		}
		if p.lastOf[i] != 0 {
			p.apart[i].Add(p.ns(from-p.lastOf[i]) / 1000)
		}
		p.lastOf[i] = from
	}
	p.quiet = max(p.quiet, from-min(p.lastEnd, from))
	p.lastEnd = to
	p.recent[p.recentN%recentCount] = from
	p.recentN++
	return p.largestN < largestCount || ticks > p.largest[0].ticks || ticks >= p.spike && p.firstN < firstCount
}

// keep keeps a gap with what the kernel says of it, if it is long enough to be worth the question. asked: it began while the kernel was asked of
// the one before, whose answer may have it in it.
func (p *probe) keep(from, ticks uint64, seen uint16, asked bool) {
	r := raw{from: from, ticks: ticks, seen: seen}
	if ticks >= p.spike {
		u, smi := p.usage, p.smi
		if asked {
			u = p.before
		}
		p.before = u
		p.usage = p.ask()
		r.switched = uint32(p.usage.Nivcsw - u.Nivcsw + p.usage.Nvcsw - u.Nvcsw)
		r.faults = uint32(p.usage.Minflt - u.Minflt + p.usage.Majflt - u.Majflt)
		if p.smi, _ = readSMI(int(p.msr)); p.smi != smi {
			r.smis = uint32(p.smi - smi)
		}
		r.grid = p.grid(from)
		if p.firstN < firstCount {
			p.first[p.firstN] = r
			p.firstN++
		}
	}
	p.push(r)
}

// push keeps a gap among the largest: a heap whose top is the least of them.
func (p *probe) push(r raw) {
	h := &p.largest
	i := p.largestN
	if i < largestCount {
		p.largestN++
		for ; i > 0 && h[(i-1)/2].ticks > r.ticks; i = (i - 1) / 2 {
			h[i] = h[(i-1)/2]
		}
		h[i] = r
		return
	}
	if r.ticks <= h[0].ticks {
		return
	}
	for i = 0; ; {
		c := 2*i + 1
		if c >= largestCount {
			break
		}
		if c+1 < largestCount && h[c+1].ticks < h[c].ticks {
			c++
		}
		if h[c].ticks >= r.ticks {
			break
		}
		h[i] = h[c]
		i = c
	}
	h[i] = r
}

// grid finds the period of the tick that a gap fits to: gaps began one and two periods before it, too.
func (p *probe) grid(from uint64) uint32 {
	for i, period := range p.gridTicks {
		if p.beganNear(from-period) && p.beganNear(from-2*period) {
			return uint32(i + 1)
		}
	}
	return 0
}

func (p *probe) beganNear(at uint64) bool {
	for _, r := range p.recent[:min(p.recentN, recentCount)] {
		if r-at+p.gridSlack <= 2*p.gridSlack {
			return true
		}
	}
	return false
}

// reset forgets what was measured before the start.
func (p *probe) reset(schedstat int) {
	p.n, p.back, p.stolen, p.most, p.own, p.loops, p.quiet, p.recentN, p.firstN, p.largestN = 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
	p.least = ^uint64(0)
	p.over, p.gaps, p.apart, p.lastOf = [len(overNs)]uint64{}, Histogram{}, [len(classNs)]Histogram{}, [len(classNs)]uint64{}
	p.causes = [len(traced) + 1]sum{}
	if p.traceFD >= 0 {
		p.readTrace(&p.traceSeen)
	}
	readStat(schedstat, &p.waitedAtStart)
	p.smi, _ = readSMI(int(p.msr))
	p.usage = p.ask()
	p.usageAtStart = p.usage
}

// ask is what the kernel says of the calling thread. Raw: it is called while the runtime may not be let in (package pin).
func (p *probe) ask() unix.Rusage {
	if _, _, errno := unix.RawSyscall(unix.SYS_GETRUSAGE, unix.RUSAGE_THREAD, uintptr(unsafe.Pointer(&p.usage)), 0); errno != 0 {
		p.failed = errno
	}
	return p.usage
}

// smiMSR is MSR_SMI_COUNT of Intel's processors: 32 bits.
const smiMSR = 0x34

func readSMI(fd int) (n uint64, ok bool) {
	if fd < 0 {
		return 0, false
	}
	var b [8]byte
	if k, _, errno := unix.RawSyscall6(unix.SYS_PREAD64, uintptr(fd), uintptr(unsafe.Pointer(&b)), 8, smiMSR, 0, 0); errno != 0 || k != 8 {
		return 0, false
	}
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24, true
}

func readStat(fd int, into *[96]byte) {
	*into = [96]byte{}
	if fd >= 0 {
		_, _, _ = unix.RawSyscall6(unix.SYS_PREAD64, uintptr(fd), uintptr(unsafe.Pointer(into)), uintptr(len(into)-1), 0, 0, 0)
	}
}
