package main

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/internal/hist"
	"github.com/tickwire/tickwire/ringbuf"
)

// processInfo is what a process left in its counter file.
type processInfo struct {
	Instance string            `json:"instance"`
	Process  string            `json:"process"`
	PID      int               `json:"pid"`
	Alive    bool              `json:"alive"`
	Ended    bool              `json:"ended"` // it said so: nothing is wrong
	Counters map[string]uint64 `json:"counters"`
	// Latencies are the process's histograms, ns, each to within a fifth.
	Latencies []latencyInfo `json:"latencies,omitempty"`
	order     []string
}

// latencyInfo is one histogram in a few numbers: upper bounds, ns; -1 beyond the last bucket's.
type latencyInfo struct {
	Name      string `json:"name"` // <prefix>.<stage>
	Count     uint64 `json:"count"`
	P50       int64  `json:"p50_ns"`
	P90       int64  `json:"p90_ns"`
	P99       int64  `json:"p99_ns"`
	P999      int64  `json:"p99_9_ns"`
	Max       int64  `json:"max_ns"`
	Backwards uint64 `json:"backwards,omitempty"` // spans that ended before they began
}

func latencies(hists []hist.Named) (infos []latencyInfo) {
	ns := func(v uint64) int64 {
		if v == hist.Inf {
			return -1
		}
		return int64(v)
	}
	for i := range hists {
		h := &hists[i]
		infos = append(infos, latencyInfo{
			Name: h.Prefix + "." + h.Stage, Count: h.Count(), P50: ns(h.Quantile(0.5)), P90: ns(h.Quantile(0.9)), P99: ns(h.Quantile(0.99)),
			P999: ns(h.Quantile(0.999)), Max: ns(h.Max()), Backwards: h.Backwards,
		})
	}
	return infos
}

const aliveWithin = time.Second // counter files are touched every few milliseconds; /metrics reckons with the same

// processes reads all counter files of an instance, or of all.
func processes(at *where) ([]processInfo, error) {
	pattern := filepath.Join(at.ringDir, "*", "*."+ringbuf.ExtStats)
	if at.instance != "" {
		pattern = filepath.Join(at.ringDir, at.instance, "*."+ringbuf.ExtStats)
	}
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	var found []processInfo
	for _, path := range paths {
		r, err := ringbuf.OpenStats(path)
		if err != nil {
			return nil, err
		}
		info := processInfo{
			Instance: filepath.Base(filepath.Dir(path)), Process: strings.TrimSuffix(filepath.Base(path), "."+ringbuf.ExtStats),
			PID: r.Pid(), Alive: r.Silence() < aliveWithin && !r.Stopped(), Ended: r.Stopped(), Counters: map[string]uint64{},
		}
		hists, rest := hist.Parse(r.Append(nil))
		info.Latencies = latencies(hists)
		for _, s := range rest {
			info.Counters[s.Name] = s.Value
			info.order = append(info.order, s.Name)
		}
		found = append(found, info)
		if err := r.Close(); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func statusCommand() *cobra.Command {
	var at where
	var asJSON, all bool
	c := &cobra.Command{
		Use: "status", Short: "processes, rings, who reads them, and every counter that is not zero", Args: exactly(0),
		Long: `status reads shared memory only: it works while the processes are busy, hang, or are gone. It exits 1 when a process
that left counters is not alive and did not end in order.

Counters have the names that the SQL table tickwire.counters has too: lane, part, what is counted. They count from the process's
start. Names that end in _at, _ns and bytes are times, spans and sizes, which are shown in words beside the number.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			infos, err := processes(&at)
			if err != nil {
				return err
			}
			entries, err := ringbuf.List(at.ringDir, at.instance)
			if err != nil {
				return err
			}
			rings := []ringInfo{}
			readers := readersOf(at.ringDir, entries)
			for _, e := range entries {
				if info, err := inspect(e); err == nil {
					rings = append(rings, info)
				}
			}
			out := cmd.OutOrStdout()
			if asJSON {
				if infos == nil {
					infos = []processInfo{}
				}
				err = json.NewEncoder(out).Encode(map[string]any{"processes": infos, "rings": rings, "readers": readers})
			} else {
				err = printStatus(out, infos, rings, all)
				if err == nil {
					err = printReaders(out, readers, true)
				}
			}
			if err != nil {
				return err
			}
			for _, p := range infos {
				if !p.Alive && !p.Ended {
					return errReported
				}
			}
			return nil
		},
	}
	at.flags(c)
	c.Flags().BoolVar(&asJSON, "json", false, "for scripts")
	c.Flags().BoolVar(&all, "all", false, "counters that are zero too")
	return c
}

// nsText is a time span for people: of a bucket's bound, so three digits are enough.
func nsText(ns int64) string {
	switch v := float64(ns); {
	case ns < 0:
		return "more"
	case ns < 1e3:
		return fmt.Sprintf("%d ns", ns)
	case ns < 1e6:
		return fmt.Sprintf("%.3g µs", v/1e3)
	case ns < 1e9:
		return fmt.Sprintf("%.3g ms", v/1e6)
	}
	return fmt.Sprintf("%.1f s", float64(ns)/1e9)
}

// printStatus shows a block for each process, then the rings:
//
//	nasdaq/totalview, pid 4711: alive
//
//	  0.lane.messages              146596
//	  0.lane.rows                  146596
//
//	  0.itch.type                          A 64147, D 54316
//
//	  LATENCY                      COUNT   P50    P90    P99    P99.9  MAX
//	  0.lane.pass                  23897   1.3 µs …
func printStatus(out io.Writer, infos []processInfo, rings []ringInfo, all bool) error {
	if len(infos) == 0 && len(rings) == 0 {
		_, err := fmt.Fprintln(out, "nothing runs here; `tickwire demo` shows everything at once")
		return err
	}
	now := time.Now()
	for i := range infos {
		p := &infos[i]
		state := "alive"
		switch {
		case p.Ended:
			state = "ended"
		case !p.Alive:
			state = "NOT ALIVE"
		}
		fmt.Fprintf(out, "%s/%s, pid %d: %s\n", p.Instance, p.Process, p.PID, state)
		printCounters(out, p, all, now)
		if err := printLatencies(out, p.Latencies, all); err != nil {
			return err
		}
		fmt.Fprintln(out)
	}
	if len(rings) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "RING\tSTATE\tRECORDS")
	for _, r := range rings {
		fmt.Fprintf(t, "%s/%s\t%s\t%d\n", r.Instance, r.Ring, r.State, r.Records)
	}
	fmt.Fprintln(t)
	return t.Flush()
}

// printCounters shows counters in their order, an empty line between groups, numbers one under the other. Counters by kind (of message,
// of what was not known) share a line.
func printCounters(out io.Writer, p *processInfo, all bool, now time.Time) {
	type line struct{ name, value, word string }
	var lines []line
	last := ""
	var wideName, wideValue int
	for _, name := range p.order {
		v := p.Counters[name]
		if v == 0 && !all {
			continue
		}
		if g := groupOf(name); g != last {
			lines, last = append(lines, line{}), g
		}
		if of, kind, ok := byKind(name); ok {
			if end := &lines[len(lines)-1]; end.name == of {
				end.word += fmt.Sprintf(", %s %d", kind, v)
			} else {
				lines = append(lines, line{of, "", fmt.Sprintf("%s %d", kind, v)})
			}
			continue
		}
		lines = append(lines, line{name, strconv.FormatUint(v, 10), wordOf(name, v, now)})
		wideName, wideValue = max(wideName, len(name)), max(wideValue, len(lines[len(lines)-1].value))
	}
	for _, l := range lines {
		fmt.Fprintln(out, strings.TrimRight(fmt.Sprintf("  %-*s  %*s  %s", wideName, l.name, wideValue, l.value, l.word), " "))
	}
}

// groupOf is what counters of one group have in common: 0.channel.itch.line.A of 0.channel.itch.line.A.packets.
func groupOf(name string) string {
	if of, _, ok := byKind(name); ok {
		name = of
	}
	return name[:max(0, strings.LastIndexByte(name, '.'))]
}

// byKind splits 0.itch.type.A into 0.itch.type and A.
func byKind(name string) (of, kind string, ok bool) {
	i := strings.LastIndexByte(name, '.')
	if i < 0 || !strings.HasSuffix(name[:i], ".itch.type") && !strings.HasSuffix(name[:i], ".book.unknown") {
		return "", "", false
	}
	return name[:i], name[i+1:], true
}

func printLatencies(out io.Writer, latencies []latencyInfo, all bool) error {
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	head := false
	for _, l := range latencies {
		if l.Count == 0 && !all {
			continue
		}
		if !head {
			fmt.Fprintln(t, "\n  LATENCY\tCOUNT\tP50\tP90\tP99\tP99.9\tMAX")
			head = true
		}
		fmt.Fprintf(t, "  %s\t%d", l.Name, l.Count)
		for _, ns := range []int64{l.P50, l.P90, l.P99, l.P999, l.Max} {
			fmt.Fprintf(t, "\t%s", nsText(ns))
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}
