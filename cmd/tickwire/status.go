package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
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

const aliveWithin = 500e6 // ns: counter files are touched every few milliseconds

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
that left counters is not alive and did not end in order.`,
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

// nsText is a latency for people: of a bucket's bound, so two digits are enough.
func nsText(ns int64) string {
	if ns < 0 {
		return "more than any"
	}
	return time.Duration(ns).String()
}

func printStatus(out interface{ Write([]byte) (int, error) }, infos []processInfo, rings []ringInfo, all bool) error {
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	if len(infos) == 0 && len(rings) == 0 {
		fmt.Fprintln(t, "nothing runs here; `tickwire demo` shows everything at once")
		return t.Flush()
	}
	for _, p := range infos {
		state := "alive"
		switch {
		case p.Ended:
			state = "ended"
		case !p.Alive:
			state = "NOT ALIVE"
		}
		fmt.Fprintf(t, "%s/%s\tpid %d\t%s\n", p.Instance, p.Process, p.PID, state)
		for _, name := range p.order {
			if v := p.Counters[name]; v != 0 || all {
				fmt.Fprintf(t, "  %s\t%d\t%s\n", name, v, wordOf(name, v))
			}
		}
		for _, l := range p.Latencies {
			if l.Count > 0 || all {
				fmt.Fprintf(t, "  %s\t%d\tp50 %s, p90 %s, p99 %s, p99.9 %s, max %s\n", l.Name, l.Count, nsText(l.P50), nsText(l.P90), nsText(l.P99), nsText(l.P999), nsText(l.Max))
			}
		}
	}
	for _, r := range rings {
		fmt.Fprintf(t, "%s/%s\t%s\t%d records\n", r.Instance, r.Ring, r.State, r.Records)
	}
	return t.Flush()
}
