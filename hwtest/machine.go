package hwtest

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tickwire/tickwire/bench/meter"
	"github.com/tickwire/tickwire/tuning"
	"github.com/tickwire/tickwire/tuning/measure"
)

// spinning are the plan's HOT and NAPI cores, nil without a plan: all.
func (r *run) spinning() []int { return r.Plan.Busy() }

// cpu is what cores do under load, and what disturbs them meanwhile.
func (r *run) cpu(g *Group) error {
	heat, heatErr := measure.WatchHeat(measure.HeatOptions{Cores: r.spinning()})
	r.progress("core to core", 0)
	cores := r.spinning()
	n := len(cores)
	if n < 2 {
		cores, n = nil, meter.Cores()
	}
	// Each pair, both ways: on a large machine the less time for each.
	each := max(time.Millisecond, min(20*time.Millisecond, 30*time.Second/time.Duration(max(1, n*(n-1)))))
	if c, err := measure.CoreToCore(r.ctx, measure.CoreOptions{Cores: cores, PairFor: each}); err != nil {
		r.unknown(g, "cpu.core_to_core", by("cpu.core_to_core").title, tuning.Major, err)
	} else {
		r.judged(g, "cpu.core_to_core", c.WorstNs, Figure{"the fastest pair", c.BestNs, "ns"}).Found = fmt.Sprintf("between cores %d and %d", c.Slowest[0], c.Slowest[1])
		m := &Matrix{Cells: c.MedianNs}
		for i, core := range c.Cores {
			m.Names = append(m.Names, strconv.Itoa(core))
			m.Cells[i][i] = -1 // a core with itself has none
		}
		g.Plots = append(g.Plots, Plot{Title: "a cache line from core (row) to core (column), half of there and back", Unit: "ns", Matrix: m})
	}
	r.progress("frequency under load", 0.1)
	if f, err := measure.Frequency(r.ctx, measure.FrequencyOptions{Cores: r.spinning(), For: r.For}); err != nil {
		r.unknown(g, "cpu.frequency", by("cpu.frequency").title, tuning.Major, err)
	} else {
		steady, figures := 1.0, []Figure{}
		for i := range f.Cores {
			c := &f.Cores[i]
			steady = min(steady, c.MHz.Min/c.MHz.Median)
			figures = append(figures, Figure{fmt.Sprintf("core %d", c.Core), c.MHz.Median, "MHz"}, Figure{fmt.Sprintf("core %d, the slowest 50 ms", c.Core), c.MHz.Min, "MHz"})
			if c.APERFMHz > 0 {
				figures = append(figures, Figure{fmt.Sprintf("core %d, by APERF/MPERF", c.Core), c.APERFMHz, "MHz"})
			}
		}
		r.judged(g, "cpu.frequency", steady, figures...).Found = fmt.Sprintf("the slowest piece to the median, all cores loaded for %s, by %s", seconds(f.Seconds), f.Method)
	}
	if heatErr != nil {
		r.unknown(g, "cpu.throttled", by("cpu.throttled").title, tuning.Major, heatErr)
		return r.ctx.Err()
	}
	r.heat(g, heat.End())
	return r.ctx.Err()
}

// heat adds what cores were disturbed by; a counter that this machine does not have is SKIP.
func (r *run) heat(g *Group, h *measure.HeatResult) {
	throttles := h.CoreThrottles
	if throttles != nil && h.PackageThrottles != nil {
		throttles = new(*throttles + *h.PackageThrottles)
	}
	for _, c := range []struct {
		id, about string
		value     *float64
	}{{"cpu.throttled", "throttling", float(throttles)}, {"cpu.smi", "system management", float(h.SMIs)}, {"cpu.steal", "steal", h.StealMs}} {
		if c.value == nil {
			why := "not counted here"
			for _, missing := range h.Missing {
				if strings.HasPrefix(missing, c.about) {
					why = missing
				}
			}
			r.skip(g, c.id, by(c.id).title, why)
			continue
		}
		r.judged(g, c.id, *c.value, Figure{"watched", h.Seconds, "s"})
	}
	if h.HottestC != nil {
		r.figure(g, Test{ID: "cpu.temperature", Title: "hottest sensor", Unit: "°C", Better: "less", Found: h.HottestSensor}, *h.HottestC, nil, tuning.Info)
	}
}

func float(n *uint64) *float64 {
	if n == nil {
		return nil
	}
	return new(float64(*n))
}

// memory is latency and bandwidth, near and far, and whether huge pages are granted where they are wanted.
func (r *run) memory(g *Group) error {
	r.progress("latency and bandwidth", 0)
	m, err := measure.Memory(r.ctx, measure.MemoryOptions{Cores: r.spinning()})
	if err != nil {
		return err
	}
	// The figure is the largest working set on the own node, by whichever pages do better: books ask for huge ones.
	best, most := math.NaN(), 0
	figures := []Figure{}
	for i := range m.Latency {
		l := &m.Latency[i]
		figures = append(figures, Figure{fmt.Sprintf("core %d, node %d, %s, %s", l.Core, l.MemoryNode, size(l.Bytes), l.Pages), l.LoadNs.Median, "ns"})
		if l.CoreNode != l.MemoryNode || l.Bytes < most {
			continue
		}
		if l.Bytes > most {
			most, best = l.Bytes, l.LoadNs.Median
		}
		best = min(best, l.LoadNs.Median)
	}
	r.judged(g, "memory.latency", best, figures...).Found = "loads at random over " + size(most)
	slowest := math.Inf(1)
	figures = []Figure{}
	for i := range m.Bandwidth {
		b := &m.Bandwidth[i]
		if b.CoreNode == b.MemoryNode {
			slowest = min(slowest, b.ReadGBPerS)
		}
		name := fmt.Sprintf("node %d's cores (%d threads), memory of node %d", b.CoreNode, b.Threads, b.MemoryNode)
		figures = append(figures, Figure{name + ", read", b.ReadGBPerS, "GB/s"}, Figure{name + ", write", b.WriteGBPerS, "GB/s"}, Figure{name + ", copy", b.CopyGBPerS, "GB/s"})
	}
	r.judged(g, "memory.bandwidth", slowest, figures...)
	const id, title = "memory.remote", "latency of another node's memory to the own one's"
	if m.RemoteRatio == 0 {
		r.skip(g, id, title, "one node")
	} else {
		r.figure(g, Test{ID: id, Title: title, Better: "less"}, m.RemoteRatio, nil, tuning.Info)
	}
	for i, what := range m.Missing {
		r.note(g, fmt.Sprintf("memory.missing.%d", i+1), "not measured", what)
	}
	r.progress("huge pages", 0.7)
	h, err := measure.HugePages(r.ctx, measure.HugeOptions{})
	if err != nil {
		return err
	}
	r.huge(g, h)
	return nil
}

func (r *run) huge(g *Group, h *measure.HugeResult) {
	const title, why = "reserved huge pages are granted, on the node that asks", "packet memory on small pages costs a look-up more a packet"
	reserved, free := 0, 0
	for _, p := range h.Pools {
		reserved, free = reserved+p.Total, free+p.Free
	}
	whole, told := true, []string{}
	var figures []Figure
	for i := range h.Grants {
		n := &h.Grants[i]
		name := fmt.Sprintf("%s, node %d", n.Pages, n.Node)
		if n.PageBytes > 0 {
			name = fmt.Sprintf("%s of %s, node %d", n.Pages, size(n.PageBytes), n.Node)
		}
		figures = append(figures, Figure{name, float64(n.Granted) / (1 << 20), "MiB granted"})
		if n.LoadNs != nil {
			figures = append(figures, Figure{name + ", a load", n.LoadNs.Median, "ns"})
		}
		if n.Pages == measure.HugeTLB && !n.Whole() && reserved > 0 {
			whole, told = false, append(told, fmt.Sprintf("%s: %s of %s; %s", name, size(n.Granted), size(n.AskedBytes), n.Why))
		}
	}
	if reserved == 0 {
		r.skip(g, "memory.huge_pages", title, "none are reserved (sysctl vm.nr_hugepages); check mem.hugepages says how many are wanted").Figures = figures
		return
	}
	found := fmt.Sprintf("%d reserved, %d free", reserved, free)
	if !whole {
		found += "; " + strings.Join(told, "; ")
	}
	r.fact(g, "memory.huge_pages", title, whole, tuning.Major, found, why).Figures = figures
}

// size is bytes for people.
func size(n int) string {
	switch {
	case n >= 1<<30 && n%(1<<30) == 0:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}

// disk is the one that captures and segments are written to.
func (r *run) disk(g *Group) error {
	dir, err := filepath.Abs(r.Dir)
	if err != nil {
		return err
	}
	o := measure.DiskOptions{Dir: dir}
	if r.Quick {
		o.Bytes, o.Syncs, o.Limit = 64<<20, 100, 3*time.Second
	}
	d, err := measure.Disk(r.ctx, o)
	if err != nil {
		return err
	}
	where := d.Dir + ", " + d.Filesystem
	if d.InMemory {
		r.skip(g, "disk.fsync_p99", by("disk.fsync_p99").title, where+" is memory: name a folder on the disk (--dir)")
		r.skip(g, "disk.write", by("disk.write").title, where+" is memory: name a folder on the disk (--dir)")
		return nil
	}
	const us = 1000 // ns
	if d.SyncUs.Count == 0 {
		r.unknown(g, "disk.fsync_p99", by("disk.fsync_p99").title, tuning.Major, fmt.Errorf("not measured: %s", orNone(strings.Join(d.Missing, "; "))))
	} else {
		r.judged(g, "disk.fsync_p99", d.SyncUs.P99*us, Figure{"times", float64(d.SyncUs.Count), ""}, Figure{"p50", d.SyncUs.P50 * us, "ns"}, Figure{"worst", d.SyncUs.Max * us, "ns"}).Found = where
	}
	t := r.judged(g, "disk.write", d.WriteMBPerS, Figure{"read in a row", d.ReadMBPerS, "MB/s"}, Figure{"a MiB written, p99", d.WriteMiBUs.P99 * us, "ns"}, Figure{"written", float64(d.Bytes) / 1e6, "MB"})
	t.Found = where
	if !d.Direct {
		t.Found += ", through the page cache"
	}
	for i, what := range d.Missing {
		r.note(g, fmt.Sprintf("disk.missing.%d", i+1), "not measured", what)
	}
	return nil
}

// time is the processor's counter, and NICs' clocks against the system's.
func (r *run) time(g *Group) error {
	nics := append([]string{}, r.Ports...)
	for _, face := range r.Plan.Interfaces {
		if !slices.Contains(nics, face.Name) {
			nics = append(nics, face.Name)
		}
	}
	c, err := measure.Clock(r.ctx, measure.ClockOptions{For: r.For, NICs: nics})
	if err != nil {
		return err
	}
	figures := []Figure{{"counter", c.FrequencyHz / 1e6, "MHz"}, {"reading it", c.ReadNs, "ns"}, {"off the line from first to last, at most", c.OffLineNs, "ns"}, {"CLOCK_REALTIME faster by", c.RealtimePPM, "ppm"}}
	for _, s := range c.Skews {
		figures = append(figures, Figure{fmt.Sprintf("core %d ahead by", s.Core), s.SkewNs, "ns"}, Figure{fmt.Sprintf("core %d, known to within", s.Core), (s.HighNs - s.LowNs) / 2, "ns"})
	}
	r.judged(g, "time.tsc_skew", c.MaxSkewNs, figures...).Found = "the kernel's clock source is " + c.Source
	r.judged(g, "time.backwards", float64(c.Backwards))
	if len(c.PHCs) == 0 {
		why := orNone(strings.Join(c.Missing, "; "))
		if len(nics) == 0 {
			why = "no interface is named (--nic, or a plan)"
		}
		r.skip(g, "time.phc", "the NIC's clock", why)
	}
	for i := range c.PHCs {
		p := &c.PHCs[i]
		off := math.Abs(float64(p.OffsetNs))
		const tai = 37e9 // a clock in TAI
		off = min(off, math.Abs(float64(p.OffsetNs)-tai))
		r.named(g, "time.phc_offset", p.NIC, off, Figure{"drift", p.DriftPPB, "ppb"}, Figure{"as read", float64(p.OffsetNs), "ns"})
		r.named(g, "time.phc_window", p.NIC, float64(p.WindowNs))
	}
	return nil
}

// named is judged for one of several things: its name ends the id.
func (r *run) named(g *Group, id, name string, value float64, figures ...Figure) *Test {
	t := r.judged(g, id, value, figures...)
	t.ID, t.Title = id+"."+name, t.Title+" ("+name+")"
	return t
}

// aer are the kinds of errors that a PCIe device counts.
var aer = []string{"aer_dev_correctable", "aer_dev_nonfatal", "aer_dev_fatal"}

// errorsOf adds up the errors of a port's device; false: it counts none.
func errorsOf(port string) (n uint64, counted bool) {
	for _, kind := range aer {
		text, err := os.ReadFile(filepath.Join("/sys/class/net", port, "device", kind))
		if err != nil {
			continue
		}
		for l := range strings.Lines(string(text)) {
			if f := strings.Fields(l); len(f) == 2 && strings.HasPrefix(f[0], "TOTAL_") {
				v, err := strconv.ParseUint(f[1], 10, 64)
				n, counted = n+v, counted || err == nil
			}
		}
	}
	return n, counted
}

// pcie is the bus that the port is on, after it has received all that it could.
func (r *run) pcie(g *Group) error {
	if r.wires.pair != nil {
		r.skip(g, "pcie.link", "width and speed of the link", "a veth is on no bus")
		r.skip(g, "pcie.errors", by("pcie.errors").title, "a veth is on no bus")
		return nil
	}
	r.host.Refresh(r.report.Started)
	for _, c := range tuning.Catalogue() {
		if strings.HasPrefix(c.ID, "pci.") {
			res := r.host.Look(c)
			r.checked(g, "pcie."+strings.TrimPrefix(c.ID, "pci."), &res)
		}
	}
	for i, port := range r.Ports {
		n, counted := errorsOf(port)
		if !counted {
			r.skip(g, "pcie.errors."+port, by("pcie.errors").title+" ("+port+")", "the device counts none (AER)")
			continue
		}
		r.named(g, "pcie.errors", port, float64(n-min(n, r.wires.errors[i])))
	}
	return nil
}
