package hwtest

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tickwire/tickwire/tuning"
)

// limit is a threshold by profile; NaN: none, the figure is told.
type limit struct {
	id            string // of the test
	op            string
	colo, lab, vm float64
	unit          string
	severity      tuning.Severity
	better        string // "less" or "more"
	title, why    string
}

var none = math.NaN()

// limits are starting points, of the sheets that the design is made from: what a site measures on its own good machines is better (--limits).
// In the profile colo what is major or crit fails; in lab and vm what is major warns.
var limits = []limit{
	{"cpu.frequency", ">=", 0.99, 0.9, 0.5, "", tuning.Major, "more", "steadiness of the clock frequency", "a core that changes its speed stretches every latency"},
	{"cpu.throttled", "<=", 0, 0, 0, "", tuning.Major, "less", "times that heat throttled a core", "a throttled core is slow for milliseconds"},
	{"cpu.smi", "<=", 0, 0, none, "", tuning.Major, "less", "system management interrupts", "each stops all cores for tens to hundreds of µs"},
	{"cpu.steal", "<=", 0, 0, 0, "ms", tuning.Major, "less", "time that a hypervisor gave to others", "a core that is not there takes no packets"},
	{"cpu.core_to_core", "<=", 150, 300, 2000, "ns", tuning.Major, "less", "a cache line from core to core, the slowest pair", "each hand-over between lanes and readers costs that much"},
	{"jitter.worst", "<=", 20_000, 200_000, none, "ns", tuning.Major, "less", "longest time stolen from a spinning core", "a packet that arrives then waits so long"},
	{"jitter.napi_worst", "<=", 50_000, 500_000, none, "ns", tuning.Major, "less", "longest time stolen from a NAPI core", "packets wait in the NIC so long"},
	{"jitter.over_10us", "<=", 10, 1000, none, "", tuning.Major, "less", "times that a core was stolen for more than 10 µs", "each is a packet that is late"},
	{"jitter.stolen", "<=", 50, 1000, none, "ppm", tuning.Major, "less", "share of the time that was stolen", "none of it is there for packets"},
	{"jitter.delay", "<=", 1000, 20_000, none, "ns", tuning.Major, "less", "delay of a packet that arrives at any moment, 99.99 %", "the share of the tail that is the machine's"},
	{"memory.bandwidth", ">=", 20, 10, 2, "GB/s", tuning.Major, "more", "memory bandwidth of a node, reading", "books and rings are memory"},
	{"memory.latency", "<=", 120, 150, 1000, "ns", tuning.Major, "less", "latency of memory", "each cache miss of a book costs that much"},
	{"disk.fsync_p99", "<=", 2_000_000, 20_000_000, 100_000_000, "ns", tuning.Major, "less", "fsync of the log, 99 %", "what is not durable is lost when power fails"},
	{"disk.write", ">=", 500, 100, 50, "MB/s", tuning.Major, "more", "sequential writing", "captures and segments are written at the feed's rate"},
	{"time.tsc_skew", "<=", 50, 200, 1000, "ns", tuning.Major, "less", "counters of the cores apart", "stamps of two cores could not be compared"},
	{"time.backwards", "<=", 0, 0, 0, "", tuning.Major, "less", "times that a core's counter was behind another's", "time would go back"},
	{"time.phc_offset", "<=", 1_000, 100_000, none, "ns", tuning.Major, "less", "the NIC's clock off the system's", "records carry its time"},
	{"time.phc_window", "<=", 5_000, 20_000, none, "ns", tuning.Minor, "less", "width of the reading of the NIC's clock", "its offset is known to that much only"},
	{"nic.starved_unexplained", "<=", 0, 0, 0, "packets", tuning.Crit, "less", "packets that went without a count while nobody took any", "a loss that nobody counts is not found"},
	{"receive.unexplained", "<=", 0, 0, 0, "packets", tuning.Crit, "less", "packets that are neither taken nor counted as lost", "a loss that nobody counts is not found"},
	{"receive.disorder", "<=", 0, 0, 0, "packets", tuning.Crit, "less", "packets out of order", "each looks like a gap"},
	{"receive.sustained", "<=", 0, 0, 0, "packets", tuning.Crit, "less", "packets lost at the stated rate", "the feed breaks"},
	{"receive.burst", "<=", 0, 0, 0, "packets", tuning.Major, "less", "packets lost of a burst of the ring's depth", "openings come in bursts"},
	{"pcie.errors", "<=", 0, 0, none, "", tuning.Major, "less", "errors on the bus while packets came", "replays delay what the NIC writes"},
	{"latency.stamp_to_ring.p50", "<=", 3_000, 20_000, 200_000, "ns", tuning.Major, "less", "stamp → ring, half of the records", "what a strategy sees of every tick"},
	{"latency.stamp_to_ring.p99", "<=", 5_000, 100_000, 10_000_000, "ns", tuning.Major, "less", "stamp → ring, 99 %", "what it sees when it matters"},
	{"latency.stamp_to_ring.p9999", "<=", 20_000, 1_000_000, none, "ns", tuning.Major, "less", "stamp → ring, 99.99 %", "the tail"},
	{"latency.lost", "<=", 0, 0, 0, "messages", tuning.Crit, "less", "messages lost while latency was measured", "latency of what is lost is not in the figures"},
	{"failover.kill.noticed", "<=", 60, 100, 2000, "ms", tuning.Major, "less", "receiver killed: readers notice", "orders would go on at old prices"},
	{"failover.kill.back", "<=", 3000, 5000, 30_000, "ms", tuning.Major, "less", "receiver killed: its successor publishes", "no prices until then"},
	{"failover.unplug.noticed", "<=", 100, 200, 2000, "ms", tuning.Major, "less", "line A unplugged: noticed", "nobody mends what nobody knows of"},
	{"failover.unplug.pause", "<=", 20, 50, 2000, "ms", tuning.Major, "less", "line A unplugged: longest pause in the messages", "line B carries on at once, or it is of no use"},
	{"failover.unplug.lost", "<=", 0, 0, 0, "messages", tuning.Crit, "less", "line A unplugged: messages lost", "the other line has them all"},
	{"failover.unplug.back", "<=", 1000, 1000, 10_000, "ms", tuning.Major, "less", "line A plugged in: packets come again", "one line is no line"},
	{"failover.flap.back", "<=", 1000, 1000, 10_000, "ms", tuning.Major, "less", "both links down and up: messages come again", "no prices until then"},
	{"failover.flap.lost", "<=", 0, 0, 0, "messages", tuning.Crit, "less", "both links down and up: messages lost for good", "the venue's re-request server has them"},
	{"soak.unbalanced", "<=", 0, 0, 0, "messages", tuning.Crit, "less", "messages that are neither published nor named as lost", "a silent loss is a wrong book"},
	{"soak.lost", "<=", 0, 0, 0, "messages", tuning.Crit, "less", "messages lost for good, though they could be had", "recovery is there for that"},
	{"soak.packets", "<=", 0, 0, 0, "packets", tuning.Crit, "less", "packets of either line that were sent and not counted as taken", "a loss below the lines' own counts"},
	{"soak.reader", "<=", 0, 0, 0, "records", tuning.Crit, "less", "records lost by a reader of the ring", "the reader was lapped"},
	{"persistence.drift", "<=", 0, 0, 0, "checks", tuning.Major, "less", "checks that are worse than before", "a setting did not survive"},
}

// by finds one.
func by(id string) *limit {
	if i := slices.IndexFunc(limits, func(l limit) bool { return l.id == id }); i >= 0 {
		return &limits[i]
	}
	return nil
}

// of is the threshold for a profile; nil: none.
func (l *limit) of(profile string) *Limit {
	v := map[string]float64{tuning.Colo: l.colo, tuning.Lab: l.lab, tuning.VM: l.vm}[profile]
	if math.IsNaN(v) {
		return nil
	}
	return &Limit{Op: l.op, Value: v}
}

// rates are the packets a second that a machine is to take without loss, by profile, at sizes at which the link carries so many.
var rates = map[string]float64{tuning.Colo: 1_000_000, tuning.Lab: 250_000, tuning.VM: 50_000}

// Limits says which thresholds there are for a profile, one a line: for --help and the documentation.
func Limits(profile string) string {
	var b strings.Builder
	for i := range limits {
		if l := limits[i].of(profile); l != nil {
			fmt.Fprintf(&b, "%-28s %s %s\n", limits[i].id, l.Op, figure(l.Value, limits[i].unit))
		}
	}
	return b.String()
}

// judge is what a deviation counts for: as in the catalogue of package tuning.
func judge(s tuning.Severity, profile string) tuning.Status {
	switch {
	case s == tuning.Info:
		return tuning.Note
	case s == tuning.Minor || s == tuning.Major && profile != tuning.Colo:
		return tuning.Warn
	}
	return tuning.Fail
}
