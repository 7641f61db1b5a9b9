package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/bench/machine"
	"github.com/tickwire/tickwire/bench/membench"
	"github.com/tickwire/tickwire/bench/meter"
)

// memoryReport is what bench memory prints.
type memoryReport struct {
	Machine machine.Machine `json:"machine"`
	Core    int             `json:"core"`
	Peer    int             `json:"peer_core"`
	Runs    int             `json:"runs"`
	*membench.Report
}

func benchMemory() *cobra.Command {
	o := membench.Options{Core: meter.Core(0), Peer: meter.Core(1)}
	var runs int
	var sizes []int
	var asJSON bool
	c := &cobra.Command{
		Use: "memory", Short: "ns a load: one at a time, twelve at once; fresh pages; core to core", Args: exactly(0),
		Long: `memory measures what this machine's memory costs: loads that depend on one another and loads that overlap, over working sets from
16 MiB to 1 GiB on small and on huge pages; the kernel's work for a page touched for the first time; and one cache line handed from core to
core. Every other figure follows from these: a book costs its cache misses.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, mib := range sizes {
				if mib < 1 || mib > 1<<20 {
					return usageError{fmt.Errorf("--mib %d: want 1 to 1048576", mib)}
				}
				o.Sizes = append(o.Sizes, mib<<20)
			}
			if !cmd.Flags().Changed("peer-core") {
				o.Peer = meter.Other(o.Core, 0)
			}
			p := newProgress(cmd.ErrOrStderr())
			r := memoryReport{Machine: machine.Look(), Core: o.Core, Peer: o.Peer, Runs: runs}
			if err := meter.Pin(o.Core, o.Sched); err != nil {
				return err
			}
			p.note("working sets")
			probe, err := membench.New(o)
			if err != nil {
				return err
			}
			defer probe.Close()
			for run := range max(1, runs) {
				p.note("run %d of %d", run+1, runs)
				if err := probe.Round(); err != nil {
					return err
				}
			}
			p.done()
			r.Report = probe.Report()
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(r)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s\ncore %d, %d runs\n\n", r.Machine, r.Core, r.Runs)
			return printMemory(cmd.OutOrStdout(), r.Report)
		},
	}
	f := c.Flags()
	f.IntSliceVar(&sizes, "mib", nil, "working sets in MiB (default 16,64,256,1024)")
	f.IntVar(&o.Loads, "loads", 0, "loads of a run (default 300000)")
	f.IntVar(&o.Peer, "peer-core", o.Peer, "the other core of what goes from core to core, -1: none")
	schedFlag(f, &o.Sched)
	benchFlags(f, &runs, &o.Core, &asJSON)
	return c
}

func printMemory(out io.Writer, r *membench.Report) error {
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "ns a load from memory\tpages\ton huge ones\tone at a time\t%d at once\t\n", r.InFlight)
	for _, l := range r.Loads {
		fmt.Fprintf(t, "%s\t%s\t%.0f%%\t%s\t%s\t\n", machine.Bytes(uint64(l.Bytes)), l.Pages, 100*l.Huge, l.Dependent, l.Parallel)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, touch := range r.Touches {
		fmt.Fprintf(out, "first touch of fresh %s pages: %s ns each 4 KiB\n", touch.Pages, touch.Ns)
	}
	if r.CoreToCore != nil {
		fmt.Fprintf(out, "core to core, one line, one way: %s ns\n", *r.CoreToCore)
	}
	for _, m := range r.Missing {
		fmt.Fprintf(out, "not measured: %s\n", m)
	}
	return nil
}
