package jitter

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tickwire/tickwire/tuning"
)

// Count is how often something happened on a core while it was measured.
type Count struct {
	Name  string `json:"name"`           // number of the interrupt, or LOC and the like; name of the softirq
	What  string `json:"what,omitempty"` // who asked for it
	Count uint64 `json:"count"`
}

// CoreCounters are what the kernel counted on one core between two looks. What it does not tell is nil, and why is in
// Unseen.
type CoreCounters struct {
	Interrupts []Count  `json:"interrupts"` // those that moved, the most frequent first
	Softirqs   []Count  `json:"softirqs"`
	StealMs    *float64 `json:"steal_ms"`            // in steps of a clock tick, 10 ms
	SMI        *uint64  `json:"smi"`                 // system management interrupts
	Throttle   *uint64  `json:"throttle"`            // thermal, core and package
	FreqMHz    *float64 `json:"freq_mhz"`            // APERF over MPERF; nil where there are no MSRs
	Unseen     []string `json:"not_seen,omitempty"`  // what could not be read, with the reason
	Irregular  string   `json:"irregular,omitempty"` // the machine changed meanwhile
}

// look is the state of the machine at one moment.
type look struct {
	interrupts *tuning.Interrupts
	softirqs   *tuning.Interrupts
	cores      map[int]coreLook
	idle       map[int]map[string]uint64 // entries by state, of other cores
	unseen     []string
}

type coreLook struct {
	stealTicks  uint64
	hasSteal    bool
	smi         uint64
	hasSMI      bool
	throttle    uint64
	hasThrottle bool
	aperf       uint64
	mperf       uint64
	hasFreq     bool
}

// takeLook reads what there is of the cores that are measured, and idle states of others. Nothing is fatal: what could not be read is named.
func takeLook(h *tuning.Host, cores, others tuning.CPUs) *look {
	h.Refresh(time.Now())
	l := &look{cores: map[int]coreLook{}, idle: map[int]map[string]uint64{}}
	missing := func(what string, err error) {
		if text := what + ": " + reason(err); !slices.Contains(l.unseen, text) {
			l.unseen = append(l.unseen, text)
		}
	}
	var err error
	if l.interrupts, err = h.Interrupts(); err != nil {
		missing("interrupts", err)
	}
	text, err := h.Read("/proc/softirqs")
	if err == nil {
		l.softirqs, err = tuning.ParseInterrupts(text)
	}
	if err != nil {
		missing("softirqs", err)
	}
	stat, statErr := h.Read("/proc/stat")
	if statErr != nil {
		missing("steal", statErr)
	}
	const cpuDir = "/sys/devices/system/cpu/cpu"
	intel := vendor(h) == "GenuineIntel"
	for _, cpu := range cores {
		var c coreLook
		if statErr == nil {
			c.stealTicks, c.hasSteal = stealOf(stat, cpu)
		}
		dir := cpuDir + strconv.Itoa(cpu)
		for _, name := range []string{"core", "package"} {
			n, err := h.Int(dir + "/thermal_throttle/" + name + "_throttle_count")
			if err != nil || n < 0 {
				missing("throttling", err)
				break
			}
			c.throttle, c.hasThrottle = c.throttle+uint64(n), true
		}
		msr := fmt.Sprintf("/dev/cpu/%d/msr", cpu)
		if intel {
			b, err := h.ReadAt(msr, smiMSR, 8)
			if err != nil {
				missing("SMI counter", err)
			} else {
				c.smi, c.hasSMI = binary.LittleEndian.Uint64(b)&(1<<32-1), true
			}
		}
		m, errM := h.ReadAt(msr, 0xe7, 8)
		a, errA := h.ReadAt(msr, 0xe8, 8)
		if errM == nil && errA == nil {
			c.mperf, c.aperf, c.hasFreq = binary.LittleEndian.Uint64(m), binary.LittleEndian.Uint64(a), true
		} else {
			missing("frequency (APERF/MPERF)", errM)
		}
		l.cores[cpu] = c
	}
	for _, cpu := range others {
		for _, state := range h.Glob(cpuDir + strconv.Itoa(cpu) + "/cpuidle/state[0-9]*") {
			name, err1 := h.Read(state + "/name")
			n, err2 := h.Int(state + "/usage")
			if err1 != nil || err2 != nil || n < 0 {
				continue
			}
			if l.idle[cpu] == nil {
				l.idle[cpu] = map[string]uint64{}
			}
			l.idle[cpu][name] += uint64(n)
		}
	}
	if !intel {
		l.unseen = append(l.unseen, "SMI counter: this processor has none that can be read from here")
	}
	return l
}

func vendor(h *tuning.Host) string {
	text, err := h.Read("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "vendor_id" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func reason(err error) string {
	if err == nil {
		return "not told"
	}
	text := err.Error()
	if i := strings.LastIndex(text, ": "); i >= 0 {
		return text[i+2:]
	}
	return text
}

// stealOf is the eighth number of a core's line of /proc/stat, in ticks of 10 ms (USER_HZ is 100 on all machines of ours).
func stealOf(stat string, cpu int) (uint64, bool) {
	name := "cpu" + strconv.Itoa(cpu)
	for line := range strings.Lines(stat) {
		f := strings.Fields(line)
		if len(f) < 9 || f[0] != name {
			continue
		}
		n, err := strconv.ParseUint(f[8], 10, 64)
		return n, err == nil
	}
	return 0, false
}

// between is what happened on a core from one look to a later one.
func between(a, b *look, cpu int, tscHz float64) CoreCounters {
	c := CoreCounters{Interrupts: []Count{}, Softirqs: []Count{}, Unseen: b.unseen}
	var changed bool
	c.Interrupts, changed = moved(a.interrupts, b.interrupts, cpu)
	if changed {
		c.Irregular = "cores went on or off line, or counters went back: interrupts are not told"
	}
	c.Softirqs, _ = moved(a.softirqs, b.softirqs, cpu)
	x, y := a.cores[cpu], b.cores[cpu]
	if x.hasSteal && y.hasSteal && y.stealTicks >= x.stealTicks {
		ms := float64(y.stealTicks-x.stealTicks) * 10
		c.StealMs = &ms
	}
	if x.hasSMI && y.hasSMI {
		n := uint64(uint32(y.smi - x.smi))
		c.SMI = &n
	}
	if x.hasThrottle && y.hasThrottle && y.throttle >= x.throttle {
		n := y.throttle - x.throttle
		c.Throttle = &n
	}
	if x.hasFreq && y.hasFreq && y.mperf != x.mperf {
		mhz := float64(y.aperf-x.aperf) / float64(y.mperf-x.mperf) * tscHz / 1e6
		c.FreqMHz = &mhz
	}
	return c
}

// idleBetween are the idle states that other cores went into from one look to a later one, by cores.
func idleBetween(a, b *look, mode Mode) (all []Idle) {
	for _, cpu := range slices.Sorted(maps.Keys(b.idle)) {
		entries := map[string]uint64{}
		for name, n := range b.idle[cpu] {
			if was := a.idle[cpu][name]; n > was {
				entries[name] = n - was
			}
		}
		if len(entries) > 0 {
			all = append(all, Idle{cpu, mode, entries})
		}
	}
	return all
}

// moved are the rows that grew in a core's column. Columns are found by their names: they change when a core goes.
func moved(a, b *tuning.Interrupts, cpu int) (counts []Count, changed bool) {
	counts = []Count{}
	if a == nil || b == nil {
		return counts, false
	}
	i, j := slices.Index(a.CPUs, cpu), slices.Index(b.CPUs, cpu)
	if i < 0 || j < 0 {
		return counts, true
	}
	was := map[string]int{}
	for _, row := range a.Rows {
		if i < len(row.Counts) {
			was[row.Name+" "+row.What] = row.Counts[i]
		}
	}
	for _, row := range b.Rows {
		if j >= len(row.Counts) {
			continue
		}
		n := row.Counts[j] - was[row.Name+" "+row.What] // one that is new began at 0
		if n < 0 {
			return []Count{}, true
		}
		if n > 0 {
			counts = append(counts, Count{row.Name, row.What, uint64(n)})
		}
	}
	slices.SortStableFunc(counts, func(x, y Count) int {
		switch {
		case x.Count > y.Count:
			return -1
		case x.Count < y.Count:
			return 1
		}
		return 0
	})
	return counts, false
}

// waited is the second number of a thread's schedstat: ns that it was runnable and another ran. ok: the file was there.
func waited(text []byte) (ran, waited uint64, ok bool) {
	f := strings.Fields(strings.TrimRight(string(text), "\x00"))
	if len(f) < 2 {
		return 0, 0, false
	}
	ran, err1 := strconv.ParseUint(f[0], 10, 64)
	waited, err2 := strconv.ParseUint(f[1], 10, 64)
	return ran, waited, err1 == nil && err2 == nil
}
