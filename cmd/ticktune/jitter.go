package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/bench/plot"
	"github.com/tickwire/tickwire/tuning"
	"github.com/tickwire/tickwire/tuning/jitter"
)

type jitterFlags struct {
	planFlags
	other     string
	modes     []string
	length    time.Duration
	threshold time.Duration
	shared    bool
	trace     bool
	asJSON    bool
	out, svg  string
}

func jitterCommand() *cobra.Command {
	var f jitterFlags
	c := &cobra.Command{
		Use:   "jitter [flags]",
		Short: "what a core takes from who spins on it: gaps, delays, and what they were",
		Long: `jitter reads the processor's counter back to back, on each core at once, and tells of every gap: how many, how long, how much of
the time in all, what a packet that arrives at a random moment waits (weighted by time: the number to quote), and what the kernel's counters
say it was. --cores are judged as cores of lanes (HOT), --napi as those of the driver's poller, --other only told of; without any of them all
cores are measured and none is judged.

Mode host measures the machine, runtime a thread set up as a lane of a feed is, plain a mere goroutine. The default is the first two, one
after the other. A minute is a look, ten under load are a qualification. A core on which others run is refused, unless --shared is given; in a
virtual machine everything is measured, and nothing qualifies.

Exit codes: 0 nothing fails, 1 a core fails, 64 usage, 65 bad plan or report, 69 not supported here, or a core is shared,
77 --trace needs privilege.`,
		Example: "  ticktune jitter --cores 4-7 --napi 8 --for 10m --out before.json --svg before.svg\n" +
			"  ticktune jitter diff before.json after.json",
		Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.add(c)
	fl := c.Flags()
	fl.StringVar(&f.other, "other", "", "more cores to measure, not to judge, such as 0-3")
	fl.StringSliceVar(&f.modes, "mode", nil, "host, runtime or plain; may be given again (default host,runtime)")
	fl.DurationVar(&f.length, "for", 30*time.Second, "`length` of each mode; a second of warm-up is beside it")
	fl.DurationVar(&f.threshold, "threshold", 0, "where a gap begins to count (default 8 times the smallest difference of two readings, at least 100ns)")
	fl.BoolVar(&f.shared, "shared", false, "measure cores on which others run, too")
	fl.BoolVar(&f.trace, "trace", false, "tell of each gap what it was, by the kernel's tracepoints: makes gaps some 100 ns longer (CAP_PERFMON)")
	fl.BoolVar(&f.asJSON, "json", false, "one JSON document")
	fl.StringVar(&f.out, "out", "", "write the JSON document to this `file` as well")
	fl.StringVar(&f.svg, "svg", "", "draw the delays to this `file`")
	c.AddCommand(jitterDiffCommand())
	return c
}

func (f *jitterFlags) run(cmd *cobra.Command) error {
	h, err := f.host()
	if err != nil {
		return err
	}
	if h.Root != "/" {
		return usage(errors.New("jitter measures this machine, and no other: --root is not for it"))
	}
	o := jitter.Options{Hot: h.Plan.Hot, NAPI: h.Plan.NAPI, For: f.length, ThresholdNs: float64(f.threshold), Shared: f.shared, Trace: f.trace}
	if f.other != "" {
		if o.Other, err = tuning.ParseCPUs(f.other); err != nil {
			return usage(fmt.Errorf("--other: %w", err))
		}
	}
	if f.length <= 0 {
		return usage(fmt.Errorf("--for %s is no time to measure", f.length))
	}
	for _, m := range f.modes {
		o.Modes = append(o.Modes, jitter.Mode(m))
	}
	o.Before = func(mode jitter.Mode, cores tuning.CPUs, d time.Duration) {
		fmt.Fprintf(cmd.ErrOrStderr(), "measuring cores %s for %s, mode %s\n", cores, d, mode)
	}
	// What cannot be written is told before a long measurement, not after it; what was there stays until there is something better.
	var files [2]*os.File
	for i, name := range []string{f.out, f.svg} {
		if name == "" {
			continue
		}
		_, missing := os.Lstat(name)
		if files[i], err = os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o644); err != nil {
			return usage(err)
		}
		defer files[i].Close()
		if missing != nil {
			defer func() {
				if info, err := files[i].Stat(); err == nil && info.Size() == 0 {
					_ = os.Remove(name)
				}
			}()
		}
	}
	r, err := jitter.Run(cmd.Context(), o)
	switch {
	case errors.Is(err, jitter.ErrOptions):
		return usage(err)
	case errors.Is(err, jitter.ErrShared):
		return exitError{tuning.ExitPlatform, fmt.Errorf("%w; --shared measures all the same", err)}
	case errors.Is(err, jitter.ErrPlatform):
		return exitError{tuning.ExitPlatform, err}
	case errors.Is(err, jitter.ErrTrace):
		return exitError{tuning.ExitPrivilege, err}
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted: nothing is reported")
	case err != nil:
		return err
	}
	for i, write := range []func(io.Writer) error{r.JSON, func(w io.Writer) error { return drawJitter(r, w) }} {
		if files[i] == nil {
			continue
		}
		_ = files[i].Truncate(0) // a pipe has nothing to cut
		if err := errors.Join(write(files[i]), files[i].Close()); err != nil {
			return err
		}
	}
	show := r.Text
	if f.asJSON {
		show = r.JSON
	}
	if err := show(cmd.OutOrStdout()); err != nil {
		return err
	}
	if r.Failed() {
		return exitError{code: tuning.ExitFail}
	}
	return nil
}

// drawJitter draws the delays.
func drawJitter(r *jitter.Report, w io.Writer) error {
	p := plot.Plot{Title: "Delay of a packet that arrives at a random moment", Of: "moments", Note: fmt.Sprintf("%s, Linux %s, %s each mode, %s", r.Host.CPU, r.Host.Kernel, jitter.Time(r.ForS*1e9), r.Started.Format(time.RFC3339))}
	if r.Virtual {
		p.Title += " (virtual machine)"
	}
	for _, c := range r.Curves() {
		line := plot.Series{Name: c.Name, Dashed: c.Mode != jitter.Host}
		for k := range c.Shares {
			line.Points = append(line.Points, plot.Point{Share: c.Shares[k], Ns: c.Ns[k]})
		}
		p.Series = append(p.Series, line)
	}
	return p.Write(w)
}

func jitterDiffCommand() *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use:     "diff A B [flags]",
		Short:   "two reports of jitter side by side",
		Example: "  ticktune jitter diff before.json after.json",
		Args:    arguments(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var both [2]*jitter.Report
			for i, name := range args {
				file, err := os.Open(name)
				if err != nil {
					return usage(err)
				}
				both[i], err = jitter.Read(file)
				_ = file.Close()
				if errors.Is(err, jitter.ErrReport) {
					return exitError{tuning.ExitPlan, fmt.Errorf("%s: %w", name, err)}
				} else if err != nil {
					return usage(err)
				}
			}
			d := jitter.Compare(both[0], both[1])
			if !asJSON {
				return d.Text(cmd.OutOrStdout())
			}
			e := json.NewEncoder(cmd.OutOrStdout())
			e.SetEscapeHTML(false)
			e.SetIndent("", " ")
			return e.Encode(d)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON document")
	return c
}
