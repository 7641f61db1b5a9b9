// Package measure measures what a machine does: what package tuning can only read off its settings. Each measure is a
// function of a context and options, whose zero value works, to a plain result.
//
//	CoreToCore   a cache line from one core to another and back, all pairs
//	Memory       latency by working set, size of pages and node; bandwidth by node
//	HugePages    whether they are granted, on which node, and what they are worth
//	Disk         writing and reading in a row, and how long fdatasync takes
//	Clock        the counter against CLOCK_MONOTONIC_RAW, skew between cores, NICs' clocks
//	Frequency    what cores really run at, all at once, under load
//	WatchHeat    throttling, system management interrupts, steal and temperatures between two moments
//
// Promises, each with its test:
//   - A context that ends is obeyed within 100 ms, and its error is what comes back (TestCancel). Only a page of 1 GiB, which the
//     kernel clears in one go, takes longer.
//   - Nothing is left behind: no file even after a kill, no pages, no threads with a mask of their own (TestDisk, TestThreads).
//   - What cannot be measured here is in Missing, with the reason. It is an error where nothing at all can be.
//   - Nothing is refused for being a virtual machine. Each result says that it is one (Where).
//
// Measures of one process wait for each other: two at a time would measure each other. They start threads of their own, and
// raise GOMAXPROCS while they run, since isolated cores do not count in its default. On a busy machine figures are worse, not
// wrong: times are cut into pieces, and the median of the pieces is the figure.
package measure

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/internal/pin"
	"github.com/tickwire/tickwire/tuning"
)

// Where is on what a figure was measured.
type Where struct {
	Virtual string `json:"virtual_machine,omitempty"` // its hypervisor; empty: bare metal, as far as can be told
}

// String is "virtual machine (kvm)", or empty.
func (w Where) String() string {
	if w.Virtual == "" {
		return ""
	}
	return "virtual machine (" + w.Virtual + ")"
}

func where() Where {
	h, err := tuning.Open("/", nil)
	if err != nil {
		return Where{}
	}
	return Where{h.Virt()}
}

// Stat is a figure over the pieces of a run. The unit is in the name of the field that holds it.
type Stat struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func statOf(values []float64) Stat {
	if len(values) == 0 {
		return Stat{}
	}
	s := slices.Sorted(slices.Values(values))
	return Stat{Median: (s[(len(s)-1)/2] + s[len(s)/2]) / 2, Min: s[0], Max: s[len(s)-1]}
}

// quantile is of sorted values: the smallest that at least the share q of them does not exceed.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	i := int(q*float64(len(sorted))+0.999999) - 1
	return sorted[min(max(i, 0), len(sorted)-1)]
}

// turn is held by the measure that runs.
var turn = make(chan struct{}, 1)

// begin waits for the turn, and gives the runtime as many processors as threads will spin, and one more.
func begin(ctx context.Context, threads int) (end func(), err error) {
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	was := runtime.GOMAXPROCS(0)
	if was > threads {
		return func() { <-turn }, nil
	}
	runtime.GOMAXPROCS(threads + 1)
	return func() { runtime.GOMAXPROCS(was); <-turn }, nil
}

// on runs f on a thread of its own that stays on a core, and ends with f.
func on(core int, f func() error) <-chan error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends here
		var was unix.CPUSet
		err := unix.SchedGetaffinity(0, &was)
		if err == nil {
			err = pin.Thread(core)
		}
		if err == nil {
			err = f()
			_ = unix.SchedSetaffinity(0, &was) // for the process's first thread, which the runtime parks for good in place of ending it
		}
		done <- err
	}()
	return done
}

// usable are the cores that threads may be put on: those named, or all that are online and that the process's cpuset has.
// Cores that are named and not usable are an error, so that nobody takes another core's figure for theirs.
func usable(named []int) ([]int, error) {
	var good []int
	if named == nil {
		text, err := os.ReadFile("/sys/devices/system/cpu/online")
		if err != nil {
			return nil, fmt.Errorf("measure: which cores are online: %w", err)
		}
		all, err := tuning.ParseCPUs(string(text))
		if err != nil {
			return nil, fmt.Errorf("measure: /sys/devices/system/cpu/online: %w", err)
		}
		for _, core := range all {
			if <-on(core, func() error { return nil }) == nil {
				good = append(good, core)
			}
		}
		return good, nil
	}
	for _, core := range named {
		if err := <-on(core, func() error { return nil }); err != nil {
			return nil, fmt.Errorf("measure: %w", err)
		}
		if !slices.Contains(good, core) {
			good = append(good, core)
		}
	}
	return good, nil
}

// node is one NUMA node: its number, and those of the usable cores that are on it.
type node struct {
	n     int
	cores []int
}

// nodesOf sorts cores by node. A machine that does not tell has one node, 0.
func nodesOf(cores []int) []node {
	names, _ := os.ReadDir("/sys/devices/system/node")
	var nodes []node
	for _, e := range names {
		n, err := strconv.Atoi(strings.TrimPrefix(e.Name(), "node"))
		if err != nil || !strings.HasPrefix(e.Name(), "node") {
			continue
		}
		text, _ := os.ReadFile("/sys/devices/system/node/" + e.Name() + "/cpulist")
		set, _ := tuning.ParseCPUs(string(text))
		is := node{n: n}
		for _, core := range cores {
			if set.Has(core) {
				is.cores = append(is.cores, core)
			}
		}
		nodes = append(nodes, is)
	}
	if len(nodes) == 0 {
		return []node{{0, cores}}
	}
	slices.SortFunc(nodes, func(a, b node) int { return a.n - b.n })
	return nodes
}

// room is how much memory may be taken on a node, in bytes: a quarter of what is free, there and in all. Where pages are bound to
// a node, one that runs out of them ends processes, however much others have.
func room(n int) uint64 {
	free := available()
	text, err := os.ReadFile(fmt.Sprintf("/sys/devices/system/node/node%d/meminfo", n))
	if err == nil {
		free = min(free, nodeFree(string(text)))
	}
	return free / 4
}

// nodeFree reads a node's meminfo: what is free, and what files take, which the kernel gives up.
func nodeFree(text string) (bytes uint64) {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) == 5 && (f[2] == "MemFree:" || f[2] == "FilePages:") { // Node 0 MemFree: 123 kB
			kib, _ := strconv.ParseUint(f[3], 10, 50)
			bytes += kib << 10
		}
	}
	return bytes
}

// available is the memory that is free, in bytes.
func available() uint64 {
	text, _ := os.ReadFile("/proc/meminfo")
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "MemAvailable:"); ok {
			if kib, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64); err == nil {
				return kib << 10
			}
		}
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	return uint64(info.Freeram) * uint64(info.Unit)
}
