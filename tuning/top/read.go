package top

import (
	"fmt"
	"strconv"
	"strings"
)

// cpuTimes are what /proc/stat has of a core, in ticks of 10 ms since boot.
type cpuTimes struct{ user, system, idle, irq, steal uint64 }

func (c cpuTimes) all() uint64 { return c.user + c.system + c.idle + c.irq + c.steal }

// maxCPU bounds what a file may claim.
const maxCPU = 1 << 14

// parseStat reads the lines of cores of /proc/stat: user nice system idle iowait irq softirq steal, then more.
func parseStat(text string) (map[int]cpuTimes, error) {
	cores := map[int]cpuTimes{}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 || !strings.HasPrefix(f[0], "cpu") || f[0] == "cpu" {
			continue
		}
		cpu, err := strconv.ParseUint(f[0][3:], 10, 31)
		if err != nil || cpu >= maxCPU || len(f) < 9 {
			return nil, fmt.Errorf("/proc/stat: %q is no line of a core", short(line))
		}
		var n [8]uint64
		for i := range n {
			if n[i], err = strconv.ParseUint(f[1+i], 10, 63); err != nil {
				return nil, fmt.Errorf("/proc/stat: core %d: %q is no number", cpu, short(f[1+i]))
			}
		}
		cores[int(cpu)] = cpuTimes{user: n[0] + n[1], system: n[2], idle: n[3] + n[4], irq: n[5] + n[6], steal: n[7]}
	}
	if len(cores) == 0 {
		return nil, fmt.Errorf("/proc/stat: no cores")
	}
	return cores, nil
}

// cpuSched is what /proc/schedstat has of a core.
type cpuSched struct {
	waitedNs uint64 // time that threads which could run waited for others
	slices   uint64 // times that a thread was put on it
}

// parseSchedstat reads the lines of cores of /proc/schedstat, version 15 and later: the eighth number is the time that threads waited, ns, the ninth
// how many times one was put on the core.
func parseSchedstat(text string) (map[int]cpuSched, error) {
	cores := map[int]cpuSched{}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 || !strings.HasPrefix(f[0], "cpu") {
			continue
		}
		cpu, err := strconv.ParseUint(f[0][3:], 10, 31)
		if err != nil || cpu >= maxCPU || len(f) < 10 {
			return nil, fmt.Errorf("/proc/schedstat: %q is no line of a core", short(line))
		}
		waited, err1 := strconv.ParseUint(f[8], 10, 64)
		slices, err2 := strconv.ParseUint(f[9], 10, 64)
		if err1 != nil || err2 != nil {
			return nil, fmt.Errorf("/proc/schedstat: core %d: no numbers", cpu)
		}
		cores[int(cpu)] = cpuSched{waited, slices}
	}
	if len(cores) == 0 {
		return nil, fmt.Errorf("/proc/schedstat: no cores")
	}
	return cores, nil
}

// softnet is what /proc/net/softnet_stat has of a core.
type softnet struct{ processed, dropped, squeezed uint64 }

// parseSoftnet reads /proc/net/softnet_stat: columns of hex, the 13th is the core. Before Linux 5.10 there were fewer: then lines are cores in their
// order.
func parseSoftnet(text string) (map[int]softnet, error) {
	cores := map[int]softnet{}
	row := -1
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		row++
		if len(f) < 3 {
			return nil, fmt.Errorf("/proc/net/softnet_stat: line %d has %d columns", row+1, len(f))
		}
		var n [13]uint64
		n[12] = uint64(row)
		for i := range min(len(n), len(f)) {
			v, err := strconv.ParseUint(f[i], 16, 32)
			if err != nil {
				return nil, fmt.Errorf("/proc/net/softnet_stat: %q is no number", short(f[i]))
			}
			n[i] = v
		}
		if n[12] >= maxCPU {
			return nil, fmt.Errorf("/proc/net/softnet_stat: core %d", n[12])
		}
		cores[int(n[12])] = softnet{n[0], n[1], n[2]}
	}
	if len(cores) == 0 {
		return nil, fmt.Errorf("/proc/net/softnet_stat: empty")
	}
	return cores, nil
}

// threadLook is one thread of a feed at one moment.
type threadLook struct {
	name                   string
	cpu                    int // that it ran on last
	ranNs, waitedNs        uint64
	voluntary, involuntary uint64
}

// parseThread reads a thread's files stat, schedstat and status.
func parseThread(stat, schedstat, status string) (t threadLook, err error) {
	open, end := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
	if open < 0 || end < open {
		return t, fmt.Errorf("stat of a thread: %q", short(stat))
	}
	t.name = stat[open+1 : end]
	f := strings.Fields(stat[end+1:]) // the first is field 3
	if len(f) < 37 {
		return t, fmt.Errorf("stat of a thread has %d fields", len(f)+2)
	}
	cpu, err := strconv.ParseUint(f[39-3], 10, 31)
	if err != nil || cpu >= maxCPU {
		return t, fmt.Errorf("stat of a thread: core %q", short(f[39-3]))
	}
	t.cpu = int(cpu)
	if f = strings.Fields(schedstat); len(f) >= 2 {
		var err1, err2 error
		t.ranNs, err1 = strconv.ParseUint(f[0], 10, 64)
		t.waitedNs, err2 = strconv.ParseUint(f[1], 10, 64)
		if err1 != nil || err2 != nil {
			return t, fmt.Errorf("schedstat of a thread: %q", short(schedstat))
		}
	}
	for line := range strings.Lines(status) {
		key, value, _ := strings.Cut(line, ":")
		into := map[string]*uint64{"voluntary_ctxt_switches": &t.voluntary, "nonvoluntary_ctxt_switches": &t.involuntary}[key]
		if into == nil {
			continue
		}
		if *into, err = strconv.ParseUint(strings.TrimSpace(value), 10, 64); err != nil {
			return t, fmt.Errorf("status of a thread: %q", short(line))
		}
	}
	return t, nil
}

func short(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}
