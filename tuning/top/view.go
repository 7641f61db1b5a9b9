package top

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tickwire/tickwire/tuning"
	"github.com/tickwire/tickwire/tuning/jitter"
)

// Schema names the layout of a View as JSON.
const Schema = "ticktune.top/1"

// View is what happened between two looks. Rates are per second.
type View struct {
	Schema    string    `json:"schema"`
	At        time.Time `json:"at"`
	IntervalS float64   `json:"interval_s"` // between the looks
	Virtual   bool      `json:"virtual"`
	Cores     []Core    `json:"cores"` // HOT, then NAPI, then the others
	NICs      []NIC     `json:"nics"`
	Feeds     []Feed    `json:"feeds"`
	Unseen    []string  `json:"not_seen,omitempty"`
}

// Core is one core. What the kernel does not tell is 0, and in Unseen.
type Core struct {
	CPU            int         `json:"cpu"`
	Role           jitter.Role `json:"role"`
	Devices        float64     `json:"device_irqs_per_s"`
	Timer          float64     `json:"timer_irqs_per_s"`
	Calls          float64     `json:"other_irqs_per_s"` // between cores, and the rest without a number
	TopIRQ         string      `json:"top_irq,omitempty"`
	Softirqs       float64     `json:"softirqs_per_s"`
	Switches       *float64    `json:"switches_per_s"`     // threads put on it; nil: not told
	WaitedPPM      *float64    `json:"waited_ppm"`         // time that threads which could run waited for others, of the time that went by: above a million where several wait; nil: not told
	BusyPercent    float64     `json:"busy_percent"`       //
	IRQPercent     float64     `json:"irq_percent"`        // of time, in interrupts and softirqs
	StealPercent   float64     `json:"steal_percent"`      // of time, taken by the hypervisor
	SoftnetPerS    float64     `json:"softnet_per_s"`      // packets that the stack took
	SoftnetDropped uint64      `json:"softnet_dropped"`    // since the look before
	Squeezed       uint64      `json:"softnet_squeezed"`   // times that packets were left for a later turn
	Measured       *Measured   `json:"measured,omitempty"` // where it was asked for
}

// Measured is a short measurement by package jitter.
type Measured struct {
	StolenPPM float64 `json:"stolen_ppm"`
	MaxNs     float64 `json:"max_ns"`
	DelayNs   float64 `json:"delay_p99_9_ns"`
}

// NIC is one interface.
type NIC struct {
	Name    string            `json:"name"`
	PerS    float64           `json:"rx_packets_per_s"`
	MbitS   float64           `json:"rx_mbit_per_s"`
	Lost    map[string]uint64 `json:"lost"`     // what grew since the look before, of what is not to grow
	LostAll map[string]uint64 `json:"lost_all"` // since the interface came up
}

// Feed is one process of tickwire.
type Feed struct {
	Name      string             `json:"name"` // instance/process
	PID       int                `json:"pid"`
	State     string             `json:"state"` // alive, ended or NOT ALIVE
	Lanes     []Lane             `json:"lanes"`
	XSK       []XSK              `json:"xsk"`
	Threads   []Thread           `json:"threads"` // that ran for a twentieth of the time or more, by cores
	Rings     map[string]float64 `json:"ring_records_per_s"`
	Lost      map[string]uint64  `json:"lost"`     // losses that grew since the look before
	LostAll   map[string]uint64  `json:"lost_all"` // since the process started
	Latencies []Latency          `json:"latencies,omitempty"`
}

// Lane is one lane of a feed.
type Lane struct {
	Name     string  `json:"name"`
	Messages float64 `json:"messages_per_s"`
	Passes   float64 `json:"passes_per_s"`
}

// Thread is one of a feed's: of lanes, what their cores take from them.
type Thread struct {
	TID         int     `json:"tid"`
	Name        string  `json:"name"`
	CPU         int     `json:"cpu"` // that it ran on last
	BusyPercent float64 `json:"busy_percent"`
	WaitedPPM   float64 `json:"waited_ppm"` // time in which it could have run and another did
	Involuntary float64 `json:"involuntary_switches_per_s"`
	Voluntary   float64 `json:"voluntary_switches_per_s"`
}

// XSK is one AF_XDP socket: counts since the look before.
type XSK struct {
	Name     string `json:"name"` // <lane> <interface>:<queue>
	Mode     string `json:"mode"`
	Dropped  uint64 `json:"rx_dropped"`
	RingFull uint64 `json:"rx_ring_full"`
	NoChunk  uint64 `json:"fill_empty"`
	Invalid  uint64 `json:"invalid_descs"`
	Waiting  uint64 `json:"waiting"` // frames in its ring at this moment
}

// lossy are the ends of names of counters of what was lost, or refused.
var lossy = []string{
	".rx_dropped", ".rx_ring_full", ".fill_empty", ".invalid_descs", ".kernel_drops", ".small_buffer", ".bad_checksum", ".malformed", ".truncated", ".bad_frames", ".lost_messages",
	".no_socket", ".dropped", ".meta_fail", ".wrong_queue", ".refused", ".plugin_dropped", ".definitions_dropped", ".rx_missed", ".rx_errors",
}

// Between is what happened from a to b, the later one. measured may be nil.
func Between(a, b *Look, o Options, measured map[int]Measured) *View {
	o.defaults()
	v := &View{Schema: Schema, Virtual: o.Virtual, At: b.at.UTC().Truncate(time.Millisecond), IntervalS: max(b.at.Sub(a.at).Seconds(), 1e-3), Cores: []Core{}, NICs: []NIC{}, Feeds: []Feed{}, Unseen: b.unseen}
	for _, cpu := range b.online() {
		c := v.core(a, b, cpu, o.Plan)
		if m, ok := measured[cpu]; ok {
			c.Measured = &m
		}
		v.Cores = append(v.Cores, c)
	}
	rank := map[jitter.Role]int{jitter.RoleHot: 0, jitter.RoleNAPI: 1, jitter.RoleOther: 2}
	slices.SortStableFunc(v.Cores, func(x, y Core) int { return rank[x.Role] - rank[y.Role] })
	for _, name := range slices.Sorted(maps.Keys(b.nics)) {
		if len(o.Plan.Interfaces) == 0 || o.Plan.Interface(name) != nil {
			v.NICs = append(v.NICs, v.nic(name, a.nics[name], b.nics[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b.feeds)) {
		v.Feeds = append(v.Feeds, v.feed(name, a.feeds[name], b.feeds[name]))
	}
	return v
}

// online are the cores that anything is known of.
func (l *Look) online() []int {
	var cores tuning.CPUs
	for cpu := range l.stat {
		cores = append(cores, cpu)
	}
	if l.irqs != nil {
		cores = append(cores, l.irqs.CPUs...)
	}
	slices.Sort(cores)
	return slices.Compact(cores)
}

// grown is how much a counter grew. One that is smaller than before began anew.
func grown(was, is uint64) uint64 {
	if is < was {
		return is
	}
	return is - was
}

func (v *View) rate(was, is uint64) float64 { return float64(grown(was, is)) / v.IntervalS }

func (v *View) core(a, b *Look, cpu int, plan *tuning.Plan) Core {
	c := Core{CPU: cpu, Role: jitter.RoleOther}
	switch {
	case plan.Hot.Has(cpu):
		c.Role = jitter.RoleHot
	case plan.NAPI.Has(cpu):
		c.Role = jitter.RoleNAPI
	}
	most := uint64(0)
	for row, n := range columns(a.irqs, b.irqs, cpu) {
		rate := float64(n) / v.IntervalS
		switch {
		case row.Name == "LOC":
			c.Timer += rate
		case row.Name[0] >= '0' && row.Name[0] <= '9':
			c.Devices += rate
			if n > most {
				most, c.TopIRQ = n, strings.TrimSpace(row.Name+" "+lastWord(row.What))
			}
		default:
			c.Calls += rate
		}
	}
	for _, n := range columns(a.softirqs, b.softirqs, cpu) {
		c.Softirqs += float64(n) / v.IntervalS
	}
	x, y := a.stat[cpu], b.stat[cpu]
	if all := float64(grown(x.all(), y.all())); all > 0 && x != (cpuTimes{}) {
		c.BusyPercent = 100 * (1 - min(1, float64(grown(x.idle, y.idle))/all))
		c.IRQPercent, c.StealPercent = 100*float64(grown(x.irq, y.irq))/all, 100*float64(grown(x.steal, y.steal))/all
	}
	from, ok1 := a.sched[cpu]
	to, ok2 := b.sched[cpu]
	if ok1 && ok2 {
		switches, waited := v.rate(from.slices, to.slices), v.rate(from.waitedNs, to.waitedNs)/1e3
		c.Switches, c.WaitedPPM = &switches, &waited
	}
	p, ok1 := a.softnet[cpu]
	q, ok2 := b.softnet[cpu]
	if ok1 && ok2 { // counters of 32 bits, which turn over
		c.SoftnetPerS = float64(uint32(q.processed-p.processed)) / v.IntervalS
		c.SoftnetDropped, c.Squeezed = uint64(uint32(q.dropped-p.dropped)), uint64(uint32(q.squeezed-p.squeezed))
	}
	return c
}

func lastWord(s string) string {
	f := strings.Fields(s)
	if len(f) == 0 {
		return ""
	}
	return f[len(f)-1]
}

// columns yields rows that grew in a core's column, by names: columns move when a core goes.
func columns(a, b *tuning.Interrupts, cpu int) func(yield func(tuning.IRQ, uint64) bool) {
	return func(yield func(tuning.IRQ, uint64) bool) {
		if a == nil || b == nil {
			return
		}
		i, j := slices.Index(a.CPUs, cpu), slices.Index(b.CPUs, cpu)
		if i < 0 || j < 0 {
			return
		}
		was := map[string]int{}
		for _, row := range a.Rows {
			if i < len(row.Counts) {
				was[row.Name] = row.Counts[i]
			}
		}
		for _, row := range b.Rows {
			if j >= len(row.Counts) || row.Name == "" {
				continue
			}
			if n := grown(uint64(was[row.Name]), uint64(row.Counts[j])); n > 0 && !yield(row, n) {
				return
			}
		}
	}
}

func (v *View) nic(name string, a, b map[string]uint64) NIC {
	n := NIC{Name: name, Lost: map[string]uint64{}, LostAll: map[string]uint64{}}
	if a == nil {
		a = b // it has just come: what it counted before says nothing of now
	}
	n.PerS = v.rate(a["rx_packets"], b["rx_packets"])
	n.MbitS = v.rate(a["rx_bytes"], b["rx_bytes"]) * 8 / 1e6
	for _, c := range nicCounters[2:] {
		if b[c] > 0 {
			n.LostAll[c] = b[c]
		}
		if d := grown(a[c], b[c]); d > 0 {
			n.Lost[c] = d
		}
	}
	return n
}

// modes are gauges of AF_XDP sockets, by nic/afxdp.
var modes = map[uint64]string{1: "zero-copy", 2: "copy", 3: "generic"}

func (v *View) feed(name string, a, b feedLook) Feed {
	f := Feed{Name: name, PID: b.pid, State: "alive", Lanes: []Lane{}, XSK: []XSK{}, Threads: []Thread{}, Rings: map[string]float64{}, Lost: map[string]uint64{}, LostAll: map[string]uint64{}, Latencies: b.slowest}
	switch {
	case b.ended:
		f.State = "ended"
	case !b.alive:
		f.State = "NOT ALIVE"
	}
	if a.counters == nil || a.pid != b.pid {
		a = feedLook{counters: b.counters, rings: b.rings, threads: b.threads} // it has just come
	}
	for _, c := range slices.Sorted(maps.Keys(b.counters)) {
		is := b.counters[c]
		delta := grown(a.counters[c], is)
		if lane, ok := strings.CutSuffix(c, ".lane.messages"); ok {
			passes := lane + ".lane.passes"
			f.Lanes = append(f.Lanes, Lane{lane, float64(delta) / v.IntervalS, v.rate(a.counters[passes], b.counters[passes])})
		}
		if socket, ok := strings.CutSuffix(c, ".mode"); ok && strings.Contains(socket, ".afxdp.interface.") {
			of := func(what string) uint64 { return grown(a.counters[socket+what], b.counters[socket+what]) }
			f.XSK = append(f.XSK, XSK{Name: socketName(socket), Mode: modes[is], Dropped: of(".rx_dropped"), RingFull: of(".rx_ring_full"), NoChunk: of(".fill_empty"),
				Invalid: of(".invalid_descs"), Waiting: b.counters[socket+".waiting"]})
		}
		if !b.gauges[c] && slices.ContainsFunc(lossy, func(end string) bool { return strings.HasSuffix(c, end) }) {
			if is > 0 {
				f.LostAll[c] = is
			}
			if delta > 0 {
				f.Lost[c] = delta
			}
		}
	}
	const least = 5 // per cent
	for tid, is := range b.threads {
		was, ok := a.threads[tid]
		if !ok {
			continue
		}
		t := Thread{TID: tid, Name: is.name, CPU: is.cpu, BusyPercent: v.rate(was.ranNs, is.ranNs) / 1e7, WaitedPPM: v.rate(was.waitedNs, is.waitedNs) / 1e3,
			Involuntary: v.rate(was.involuntary, is.involuntary), Voluntary: v.rate(was.voluntary, is.voluntary)}
		if t.BusyPercent >= least {
			f.Threads = append(f.Threads, t)
		}
	}
	slices.SortFunc(f.Threads, func(x, y Thread) int { return cmp.Or(x.CPU-y.CPU, x.TID-y.TID) })
	for ring, n := range b.rings {
		f.Rings[ring] = v.rate(a.rings[ring], n)
	}
	return f
}

// socketName is "0 eth2:4" of "0.afxdp.interface.eth2.queue.4". An interface's name may have dots.
func socketName(counter string) string {
	lane, rest, _ := strings.Cut(counter, ".afxdp.interface.")
	i := strings.LastIndex(rest, ".queue.")
	if i < 0 {
		return lane + " " + rest
	}
	return lane + " " + rest[:i] + ":" + rest[i+len(".queue."):]
}
