package tuning

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Counters since boot say little of now: what is wanted of most is that they stand still. A run over an interval looks twice,
// and the second look is judged by what happened in between.
//
//	Run ── read, calls ──► earlier          interval          Run ── read ──► what went up
//
// A check asks h.interval first: "" is a single look, and then it tells what it always does.

// earlier is the look at the beginning of an interval.
type earlier struct {
	at    time.Time
	read  map[string]answer
	calls map[string]string // answers of calls and registers, by how evidence names them
}

// RunOver makes the checks, waits, and makes them again: the second report, in which counters are judged by what they went up
// by. Its only error is the context's.
func (h *Host) RunOver(ctx context.Context, s Select, length time.Duration) (*Report, error) {
	began, probes := time.Now(), h.Probes
	h.Probes = Probes{} // once is enough: at the end
	h.Run(s)
	h.Probes = probes
	h.earlier = &earlier{h.Now, h.read, h.calls}
	defer func() { h.earlier = nil }()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(length):
	}
	h.Refresh(h.Now.Add(time.Since(began)))
	r := h.Run(s)
	r.IntervalMs = float64(h.Now.Sub(h.earlier.at).Microseconds()) / 1000
	return r, nil
}

// interval is how long ago the first look of an interval was, for people; empty: this is a single look.
func (h *Host) interval() string {
	if h.earlier == nil {
		return ""
	}
	return h.Now.Sub(h.earlier.at).Round(100 * time.Millisecond).String()
}

// wasText is what a file held at the beginning of the interval.
func (h *Host) wasText(name string) (string, bool) {
	if h.earlier == nil {
		return "", false
	}
	a, ok := h.earlier.read[name]
	return a.text, ok && a.err == nil
}

// wentUp is what a file's counter went up by, to what it is: from 0 where it began anew, and not at all where nobody knows.
func (h *Host) wentUp(name string, is int) int {
	text, ok := h.wasText(name)
	was, err := strconv.Atoi(text)
	switch {
	case !ok || err != nil:
		return 0
	case was > is:
		return is
	}
	return is - was
}

// wasCall is what a call answered.
func (h *Host) wasCall(source string) string {
	if h.earlier == nil {
		return ""
	}
	return h.earlier.calls[source]
}

// rest is the rows of /proc/interrupts that are no device's, and what they mostly come of.
var rest = []struct{ name, cause string }{
	{"LOC", "the core's own timer"}, {"RES", "rescheduling"}, {"CAL", "function calls of other cores"},
	{"TLB", "another thread of the process unmapped memory"}, {"PMI", "performance counters"}, {"NMI", "a watchdog or a profiler"},
	{"MCE", "a machine check"}, {"TRM", "heat"},
}

// fewTimers is how many interrupts of its own timer a core without a tick may have in a second.
const fewTimers = 10

// interruptsOver are the interrupts that cores took in an interval: numbered ones, as "CPU 5 took 312 …", with how many they
// were, and the kernel's own.
func interruptsOver(was, is *Interrupts, cores CPUs, seconds float64, spared map[string]bool) (devices, own []string, times int) {
	old := map[string]IRQ{}
	for _, row := range was.Rows {
		old[row.Name] = row
	}
	count := func(in *Interrupts, row IRQ, cpu int) int {
		if i := slices.Index(in.CPUs, cpu); i >= 0 && i < len(row.Counts) {
			return row.Counts[i]
		}
		return 0
	}
	for _, row := range is.Rows {
		_, err := number(row.Name)
		numbered := err == nil
		if numbered && spared[row.Name] {
			continue
		}
		for _, cpu := range cores {
			n := count(is, row, cpu) - count(was, old[row.Name], cpu)
			if n <= 0 {
				continue
			}
			if numbered {
				times += n
				devices = append(devices, fmt.Sprintf("CPU %d took %d interrupts: %s (%s)", cpu, n, row.Name, short(row.What)))
				continue
			}
			for _, r := range rest {
				if r.name == row.Name && !(r.name == "LOC" && float64(n) <= fewTimers*seconds) {
					own = append(own, fmt.Sprintf("%s %d on CPU %d (%s)", r.name, n, cpu, r.cause))
				}
			}
		}
	}
	return devices, own, times
}

// hotOver judges what came to HOT in an interval.
func (h *Host) hotOver(is *Interrupts, spared map[string]bool) (f Finding, ok bool) {
	text, ok := h.wasText("/proc/interrupts")
	if !ok {
		return f, false
	}
	was, err := ParseInterrupts(text)
	if err != nil {
		return f, false
	}
	devices, own, times := interruptsOver(was, is, h.Plan.Hot, h.Now.Sub(h.earlier.at).Seconds(), spared)
	shown := fmt.Sprintf("%d came in %s", times, h.interval())
	f = pass(shown, "none")
	if len(devices) > 0 {
		f = deviates(shown, "none", someOf(devices))
	}
	if len(own) > 0 {
		f.Reason = strings.TrimPrefix(f.Reason+"; the kernel's own: "+someOf(own), "; ")
	}
	return f, true
}

// softnet is a row of /proc/net/softnet_stat.
type softnet struct {
	cpu               int
	dropped, squeezed uint64
}

// parseSoftnet reads the columns 2, 3 and 13, in hex. Kernels before 5.10 do not tell the core: then it is the row's number.
func parseSoftnet(text string) (all []softnet) {
	for line := range strings.Lines(text) {
		w := strings.Fields(line)
		if len(w) < 3 {
			continue
		}
		s := softnet{cpu: len(all)}
		s.dropped, _ = strconv.ParseUint(w[1], 16, 32)
		s.squeezed, _ = strconv.ParseUint(w[2], 16, 32)
		if len(w) >= 13 {
			if n, err := strconv.ParseUint(w[12], 16, 31); err == nil {
				s.cpu = int(n)
			}
		}
		all = append(all, s)
	}
	return all
}

// softnetOver is what was dropped and squeezed since an earlier look; the counters have 32 bits.
func softnetOver(was, is []softnet) (over []softnet) {
	old := map[int]softnet{}
	for _, s := range was {
		old[s.cpu] = s
	}
	for _, s := range is {
		o, ok := old[s.cpu]
		if !ok {
			continue // it came online meanwhile
		}
		over = append(over, softnet{s.cpu, uint64(uint32(s.dropped) - uint32(o.dropped)), uint64(uint32(s.squeezed) - uint32(o.squeezed))})
	}
	return over
}

// smis is the register's count of a machine's system management interrupts, 32 bits.
func smis(b []byte) uint32 { return uint32(binary.LittleEndian.Uint64(b)) }

// Probes are what takes time, and is done only where somebody asked for it and gave us the means. Each may be nil.
type Probes struct {
	// PTP4L asks the ptp4l of a domain.
	PTP4L func(domain int) (PTP4L, error)
	// Frequency loads cores, all at once.
	Frequency func(cores CPUs) ([]CoreFrequency, error)
	// Skew compares the counters of cores.
	Skew func(cores CPUs) (Skew, error)
}

// PTP4L is what ptp4l says of itself (management messages of IEEE 1588).
type PTP4L struct {
	Ports       []string `json:"ports"` // states: SLAVE, MASTER, …
	GMPresent   bool     `json:"gm_present"`
	Grandmaster string   `json:"grandmaster"`
	OffsetNs    int64    `json:"offset_ns"` // from its master
}

// CoreFrequency is what a core ran at under load.
type CoreFrequency struct {
	Core                     int
	MHz, LeastMHz, SpreadPPM float64
}

// Skew is how far counters of cores are apart at most, how much of that is certain, and whether one was behind where it
// cannot have been.
type Skew struct {
	MaxNs, CertainNs float64
	Backwards        uint64
}
