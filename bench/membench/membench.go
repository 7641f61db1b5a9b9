// Package membench measures what a machine's memory costs: the price list behind every other figure.
//
//	dependent     each address comes from the load before: what one cache miss costs
//	parallel      twelve such chains side by side: what a miss costs when others overlap it
//	first touch   the kernel's work for a page that nobody has used yet
//	core to core  one cache line handed over between two threads, one way
//
// Each run is cut into pieces of a millisecond or two, whose median is the run's figure: what the kernel or a hypervisor gives to others is in
// few of them.
//
// A chain visits the lines of its working set in an order without pattern, each once: line x is followed by a·x + c modulo their
// number, a full cycle when that is a power of two, c is odd and a − 1 is divisible by four (Hull and Dobell, 1962). So the chain is
// written from front to back and needs no shuffling.
package membench

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/bench/meter"
)

// InFlight is how many loads are under way at once in the parallel figure: fewer than any core of the last ten years can have.
const InFlight = 12

const (
	lineBytes = 64
	pageBytes = 4096
	hugeBytes = 2 << 20
)

// Names of page sizes.
const (
	Small = "4 KiB"
	Huge  = "2 MiB"
)

// Options of a probe. The zero value works.
type Options struct {
	// Sizes are working sets in bytes, rounded down to powers of two, at least 1 MiB. The default is 16 MiB, 64 MiB, 256 MiB and 1 GiB. Sets
	// of more than a quarter of the memory that is free are left out.
	Sizes []int
	// Loads of one run of a chain. The default is 300,000.
	Loads int
	// Touch is how much fresh memory a run of first touch takes. The default is 64 MiB.
	Touch int
	// Handovers of one run from core to core. The default is 200,000.
	Handovers int
	// Core and Peer are the cores that hand the line over; the caller pins itself to Core. Without a second core, or with Peer = meter.NoCore,
	// that figure is left out.
	Core, Peer int
	// Sched is the scheduling class of the peer's thread; see meter.Pin.
	Sched string
}

func (o *Options) defaults() {
	if len(o.Sizes) == 0 {
		o.Sizes = []int{16 << 20, 64 << 20, 256 << 20, 1 << 30}
	}
	if o.Loads <= 0 {
		o.Loads = 300_000
	}
	if o.Touch <= 0 {
		o.Touch = 64 << 20
	}
	if o.Handovers <= 0 {
		o.Handovers = 200_000
	}
}

// Load is what a load costs in one working set.
type Load struct {
	Bytes     int          `json:"bytes"`
	Pages     string       `json:"pages"`
	Huge      float64      `json:"huge_share"`   // of the working set that lies on huge pages, as the kernel says: 0 to 1
	Dependent meter.Spread `json:"dependent_ns"` // a load
	Parallel  meter.Spread `json:"parallel_ns"`  // a load, InFlight under way
}

// Touch is what fresh memory costs.
type Touch struct {
	Pages string       `json:"pages"`
	Ns    meter.Spread `json:"ns_per_4kib"`
}

// Report is a whole measurement.
type Report struct {
	Loads      []Load        `json:"loads"`
	InFlight   int           `json:"in_flight"`
	Touches    []Touch       `json:"first_touch"`
	CoreToCore *meter.Spread `json:"core_to_core_ns"`   // null: there is no second core
	Missing    []string      `json:"missing,omitempty"` // what could not be measured, and why
}

// Probe holds the working sets. It belongs to one goroutine, which is locked to its thread and pinned.
type Probe struct {
	o    Options
	r    Report
	sets []*set
}

// New makes the working sets: for each size one on small pages and one on huge ones.
func New(o Options) (*Probe, error) {
	o.defaults()
	p := &Probe{o: o, r: Report{InFlight: InFlight, Touches: []Touch{{Pages: Small}, {Pages: Huge}}}}
	budget := available() / 4
	for _, size := range o.Sizes {
		if size < 1<<20 {
			return nil, errors.Join(fmt.Errorf("membench: a working set of %d bytes, want 1 MiB or more", size), p.Close())
		}
		for size&(size-1) != 0 {
			size &= size - 1
		}
		if uint64(size) > budget {
			p.r.Missing = append(p.r.Missing, fmt.Sprintf("a working set of %d MiB: more than a quarter of the %d MiB of memory that are free", size>>20, budget*4>>20))
			continue
		}
		for _, pages := range []string{Small, Huge} {
			s, err := newSet(size, pages == Huge)
			if err != nil {
				return nil, errors.Join(err, p.Close())
			}
			p.sets = append(p.sets, s)
			p.r.Loads = append(p.r.Loads, Load{Bytes: size, Pages: pages, Huge: s.share()})
		}
	}
	if o.Peer == meter.NoCore || o.Peer == o.Core {
		p.r.Missing = append(p.r.Missing, "core to core: it takes two cores")
	}
	return p, nil
}

// Round adds one run to every figure: loads first, then fresh memory, then the handing over.
func (p *Probe) Round() error {
	for i, s := range p.sets {
		l := &p.r.Loads[i]
		l.Dependent = l.Dependent.Add(s.dependent(p.o.Loads))
		l.Parallel = l.Parallel.Add(s.parallel(p.o.Loads))
	}
	for i := range p.r.Touches {
		t := &p.r.Touches[i]
		ns, err := touch(p.o.Touch, t.Pages == Huge)
		if err != nil {
			return err
		}
		t.Ns = t.Ns.Add(ns)
	}
	if p.o.Peer == meter.NoCore || p.o.Peer == p.o.Core {
		return nil
	}
	ns, err := handover(p.o.Peer, p.o.Sched, p.o.Handovers)
	if err != nil {
		return err
	}
	if p.r.CoreToCore == nil {
		p.r.CoreToCore = &meter.Spread{}
	}
	*p.r.CoreToCore = p.r.CoreToCore.Add(ns)
	return nil
}

// Report is what the rounds so far came to.
func (p *Probe) Report() *Report { return &p.r }

// Close gives the memory back.
func (p *Probe) Close() error {
	var errs []error
	for _, s := range p.sets {
		errs = append(errs, unix.Munmap(s.mem))
	}
	p.sets = nil
	return errors.Join(errs...)
}

// Lookup finds a working set's figures; nil when it was not measured.
func (r *Report) Lookup(bytes int, pages string) *Load {
	for i := range r.Loads {
		if l := &r.Loads[i]; l.Bytes == bytes && l.Pages == pages {
			return l
		}
	}
	return nil
}

// fresh is memory that nobody has touched, on pages of one size or the other, aligned to a huge page.
func fresh(size int, huge bool) (mem []byte, at unsafe.Pointer, err error) {
	mem, err = unix.Mmap(-1, 0, size+hugeBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		return nil, nil, fmt.Errorf("membench: %d MiB of memory: %w", size>>20, err)
	}
	base := unsafe.Pointer(unsafe.SliceData(mem))
	at = unsafe.Add(base, -uintptr(base)&(hugeBytes-1))
	advice := unix.MADV_NOHUGEPAGE
	if huge {
		advice = unix.MADV_HUGEPAGE
	}
	_ = unix.Madvise(mem, advice) // a kernel without huge pages has small ones only, and huge_share says so
	return mem, at, nil
}

// smaps is what the kernel says of the mapping that at lies in: bytes on huge pages.
func smaps(at uintptr) uint64 {
	text, _ := os.ReadFile("/proc/self/smaps")
	inside := false
	for line := range strings.SplitSeq(string(text), "\n") {
		name, rest, _ := strings.Cut(line, " ")
		from, to, isRange := strings.Cut(name, "-")
		if isRange {
			a, err1 := strconv.ParseUint(from, 16, 64)
			b, err2 := strconv.ParseUint(to, 16, 64)
			inside = err1 == nil && err2 == nil && a <= uint64(at) && uint64(at) < b
			continue
		}
		if inside && name == "AnonHugePages:" {
			kib, _ := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10
		}
	}
	return 0
}

// available is the memory that is free, 8 GiB where the kernel does not say.
func available() uint64 {
	text, _ := os.ReadFile("/proc/meminfo")
	for line := range strings.SplitSeq(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, "MemAvailable:"); ok {
			if kib, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64); err == nil {
				return kib << 10
			}
		}
	}
	return 8 << 30
}
