package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/bench/machine"
	"github.com/tickwire/tickwire/bench/meter"
	"github.com/tickwire/tickwire/plugins/pluginbench"
)

// pluginBench is the whole measurement.
type pluginBench struct {
	Machine machine.Machine `json:"machine"`
	Core    int             `json:"core"`
	Runs    int             `json:"runs"`
	Rows    int             `json:"rows_a_batch"`
	Swaps   int             `json:"swaps"`           // of all runs
	Lost    int             `json:"swaps_disturbed"` // of those, in which the kernel gave the core to others
	Figures []pluginFigure  `json:"figures"`
}

// pluginFigure over the runs, in ns.
type pluginFigure struct {
	Name string       `json:"name"`
	What string       `json:"what"`
	Ns   meter.Spread `json:"ns"`
	of   func(*pluginbench.Figures) float64
}

// pluginFigures in the order in which they are told.
func pluginFigures() []pluginFigure {
	return []pluginFigure{
		{Name: "empty_batch", What: "a batch of 1,024 rows through a plugin without columns", of: func(f *pluginbench.Figures) float64 { return f.EmptyBatch }},
		{Name: "empty_one_row", What: "the same with one row", of: func(f *pluginbench.Figures) float64 { return f.EmptyOneRow }},
		{Name: "kernel_row", What: "a row of 1,024, three columns touched", of: func(f *pluginbench.Figures) float64 { return f.KernelRow }},
		{Name: "native_row", What: "the same logic in Go", of: func(f *pluginbench.Figures) float64 { return f.NativeRow }},
		{Name: "over_native_row", What: "a row above native", of: func(f *pluginbench.Figures) float64 { return f.OverNative }},
		{Name: "wide_row", What: "a row of 1,024 through a plugin that uses 128-bit instructions", of: func(f *pluginbench.Figures) float64 { return f.WideRow }},
		{Name: "wide_over_native_row", What: "such a row above native", of: func(f *pluginbench.Figures) float64 { return f.WideOver }},
		{Name: "one_row_batch", What: "a batch of one row, three columns touched", of: func(f *pluginbench.Figures) float64 { return f.OneRow }},
		{Name: "copies_row", What: "of kernel_row: columns copied into the guest and back", of: func(f *pluginbench.Figures) float64 { return f.CopyRow }},
		{Name: "call_with_fuel_row", What: "a row of the call alone, with fuel", of: func(f *pluginbench.Figures) float64 { return f.FuelRow }},
		{Name: "call_without_fuel_row", What: "the same without fuel", of: func(f *pluginbench.Figures) float64 { return f.NoFuelRow }},
		{Name: "fuel_row", What: "what fuel costs a row", of: func(f *pluginbench.Figures) float64 { return f.FuelRow - f.NoFuelRow }},
		{Name: "swap_p50", What: "a lane's way to a new version, under load, half of those in which the thread kept its core", of: func(f *pluginbench.Figures) float64 { return f.SwapP50 }},
		{Name: "swap_p99", What: "99% of them", of: func(f *pluginbench.Figures) float64 { return f.SwapP99 }},
		{Name: "swap_max", What: "the longest of them", of: func(f *pluginbench.Figures) float64 { return f.SwapMax }},
		{Name: "swap_wall", What: "the longest of all, with what the machine took for others", of: func(f *pluginbench.Figures) float64 { return f.SwapWall }},
		{Name: "pass_max", What: "the longest pass meanwhile, with what the machine took for others", of: func(f *pluginbench.Figures) float64 { return f.PassMax }},
	}
}

func benchPlugin() *cobra.Command {
	b := pluginBench{Core: meter.Core(0), Rows: pluginbench.Rows, Figures: pluginFigures()}
	var o pluginbench.Options
	var asJSON bool
	c := &cobra.Command{
		Use: "plugin", Short: "ns a row through a plugin, against the same logic in Go", Args: exactly(0),
		Long: `plugin measures what plugins cost on the decode path: an empty one, and one that touches three columns (price times 100, a flag where
the size is 100 or more) against the same loop in Go, with columns copied, answers checked and rows counted; a batch of one row; the
call alone with and without the fuel that bounds it; and, while batches go on, the lane's way to a new version of a plugin. Within a
run a time is the least of many rounds. swap_p50 to swap_max are of the swaps in which the kernel left the thread its core, as on a core
of its own; swap_wall and pass_max are the longest of all, and contain whatever else the machine did.

A plugin of your own: tickwire plugin bench DIR|FILE.`,
		Example: "  tickwire bench plugin --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Time <= 0 || o.Swaps < 1 {
				return usageError{fmt.Errorf("--for %s, --swaps %d: want more than 0", o.Time, o.Swaps)}
			}
			p := newProgress(cmd.ErrOrStderr())
			b.Machine, b.Runs = machine.Look(), max(b.Runs, 1)
			if err := meter.Pin(b.Core, ""); err != nil {
				return err
			}
			for run := range b.Runs {
				p.note("run %d of %d", run+1, b.Runs)
				f, err := pluginbench.Run(o)
				if err != nil {
					return err
				}
				b.Swaps += f.Swaps
				b.Lost += f.Disturbed
				for k := range b.Figures {
					b.Figures[k].Ns = b.Figures[k].Ns.Add(b.Figures[k].of(&f))
				}
			}
			p.done()
			return b.print(cmd.OutOrStdout(), asJSON)
		},
	}
	f := c.Flags()
	f.DurationVar(&o.Time, "for", 200*time.Millisecond, "`LENGTH` of each measurement")
	f.IntVar(&o.Swaps, "swaps", 1000, "new versions while batches go on, a run")
	benchFlags(f, &b.Runs, &b.Core, &asJSON)
	return c
}

func (b *pluginBench) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(b)
	}
	fmt.Fprintf(out, "%s\ncore %d, %d runs, %d swaps (%d disturbed)\n\n", b.Machine, b.Core, b.Runs, b.Swaps, b.Lost)
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "figure\tns\twhat it is")
	for _, f := range b.Figures {
		fmt.Fprintf(t, "%s\t%s\t%s\n", f.Name, nsSpread(f.Ns), f.What)
	}
	return t.Flush()
}

// nsSpread has two decimals: a row takes few ns.
func nsSpread(s meter.Spread) string {
	if s.Median >= 100 {
		return s.String()
	}
	if len(s.Runs) < 2 {
		return fmt.Sprintf("%.2f", s.Median)
	}
	return fmt.Sprintf("%.2f (%.2f–%.2f)", s.Median, s.Min, s.Max)
}
