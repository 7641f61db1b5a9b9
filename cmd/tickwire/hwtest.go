package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tickwire/tickwire/bench/latbench"
	"github.com/tickwire/tickwire/hwtest"
	"github.com/tickwire/tickwire/tuning"
)

type hwtestFlags struct {
	hwtest.Options
	plan, profile, cores, napi string
	limits                     []string
	out                        string
	asJSON, quiet, list        bool
}

func hwtestCommand() *cobra.Command {
	var f hwtestFlags
	c := &cobra.Command{
		Use: "hwtest", Short: "qualify this machine: groups of tests with thresholds, and a report", Args: exactly(0),
		Long: `hwtest makes groups of tests of this machine, each with a threshold of the profile (colo, lab or vm), a verdict and the raw figures:

  ` + strings.Join(hwtest.Groups(), ", ") + `

Packets go over veth pairs in network namespaces of its own, or with --nic and --peer over a cable between two ports of this machine. These are
named: their links are set down and up, and packets are lost; a port with the default route or a TCP session is refused. Everything is removed and set
back at the end. Packets take root; without it the groups that need it are left out, and the report says so.

Each long measurement takes --for, the whole run some ten times as long and up to four minutes for the rates. A qualification takes ten minutes each,
ports with a cable, --cores or a plan, --since, and no virtual machine: what is missing for one is said.

Exit codes: 0 nothing fails, 1 a test fails or could not be made, 2 wrong usage.`,
		Example: "  sudo tickwire hwtest --profile vm --quick --out /tmp/report\n" +
			"  sudo tickwire hwtest --profile colo --for 10m --nic eth2 --peer eth3 --cores 4-7 --out report\n" +
			"  tickwire hwtest --only static --json\n  tickwire hwtest compare before.json after.json",
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	fl := c.Flags()
	fl.StringVar(&f.plan, "plan", "", "the plan of this machine, as ticktune has it (TOML `file`)")
	fl.StringVar(&f.profile, "profile", "", "how much is demanded: colo, lab or vm (default: the plan's, else colo)")
	fl.StringVar(&f.cores, "cores", "", "cores of receivers, such as 4-7; the first one is the tests'")
	fl.StringVar(&f.napi, "napi", "", "cores of the driver's poller")
	fl.StringSliceVar(&f.Ports, "nic", nil, "`port` that receives, of line A and then B, each joined by a cable to its --peer (default: veth pairs)")
	fl.StringSliceVar(&f.Peers, "peer", nil, "`port` that sends, of line A and then B")
	fl.StringSliceVar(&f.Only, "only", nil, "make these groups only")
	fl.DurationVar(&f.For, "for", 0, "length of each long measurement (default 1m, with --quick 2s)")
	fl.BoolVar(&f.Quick, "quick", false, "measure less, in under two minutes")
	fl.Float64Var(&f.Rate, "rate", 0, "packets a second to be taken without loss (default 1000000 colo, 250000 lab, 50000 vm)")
	fl.Uint64Var(&f.Seed, "seed", 1, "of generated sessions, and of what goes wrong in them")
	fl.StringVar(&f.Since, "since", "", "compare settings with this `file` of before: a report of hwtest, or of ticktune report")
	fl.StringSliceVar(&f.limits, "limit", nil, "a threshold in place of the profile's, `test=value` (--list shows them)")
	fl.StringVar(&f.Dir, "dir", ".", "folder on the disk that is measured")
	fl.StringVar(&f.out, "out", "", "write report.json and report.html into this `folder`")
	fl.BoolVar(&f.asJSON, "json", false, "the report as one JSON document instead of text")
	fl.BoolVarP(&f.quiet, "quiet", "q", false, "show only what is not as wanted, or could not be seen")
	fl.BoolVar(&f.list, "list", false, "show the groups and the profile's thresholds, and measure nothing")
	c.AddCommand(hwtestCompare())
	return c
}

// options reads the plan and what flags say in place of it.
func (f *hwtestFlags) options() (hwtest.Options, error) {
	o := f.Options
	o.Plan = &tuning.Plan{}
	if f.plan != "" {
		var err error
		if o.Plan, err = tuning.ReadPlan(f.plan); err != nil {
			return o, usageError{err}
		}
	}
	if f.profile != "" {
		o.Plan.Profile = f.profile
	}
	for _, set := range []struct {
		flag, text string
		into       *tuning.CPUs
	}{{"--cores", f.cores, &o.Plan.Hot}, {"--napi", f.napi, &o.Plan.NAPI}} {
		if set.text != "" {
			cores, err := tuning.ParseCPUs(set.text)
			if err != nil {
				return o, usageError{fmt.Errorf("%s: %w", set.flag, err)}
			}
			*set.into = cores
		}
	}
	for _, name := range f.Ports {
		if o.Plan.Interface(name) == nil {
			o.Plan.Interfaces = append(o.Plan.Interfaces, tuning.Interface{Name: name})
		}
	}
	if err := o.Plan.Validate(); err != nil {
		return o, usageError{err}
	}
	o.Limits = map[string]float64{}
	for _, text := range f.limits {
		id, value, ok := strings.Cut(text, "=")
		v, err := strconv.ParseFloat(value, 64)
		if !ok || err != nil {
			return o, usageError{fmt.Errorf("--limit %s: want test=value, such as latency.stamp_to_ring.p99=5000", text)}
		}
		o.Limits[id] = v
	}
	o.Feed = func(config string) (*exec.Cmd, error) {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		c := exec.Command(self, "feed", "--config", config)
		c.Env = latbench.Quieted(demoEnvironment(os.Environ())) // as `tickwire run` starts its feeds, and without overrides of the configuration
		return c, nil
	}
	return o, nil
}

func (f *hwtestFlags) run(cmd *cobra.Command) error {
	o, err := f.options()
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if f.list {
		_, err := fmt.Fprintf(out, "groups: %s\n\nthresholds of the profile %s:\n%s", strings.Join(hwtest.Groups(), ", "), o.Plan.Profile, hwtest.Limits(o.Plan.Profile))
		return err
	}
	if err := writable(f.out); err != nil {
		return usageError{err}
	}
	if err := undisturbed(); err != nil {
		return err
	}
	p := newProgress(cmd.ErrOrStderr())
	o.Progress = func(group, what string, done float64) {
		const whole = 1000
		p.bar(fmt.Sprintf("%-12s %-44s", group, what), int64(done*whole), whole)
	}
	ctx := cmd.Context()
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		// A terminal that goes ends the run as Control-C does: ports and namespaces are given back.
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(ctx, syscall.SIGHUP)
		defer stop()
	}
	r, err := hwtest.Run(ctx, o)
	p.done()
	if errors.Is(err, hwtest.ErrOptions) {
		return usageError{err}
	} else if r == nil {
		return err
	}
	return f.deliver(out, r, err)
}

// deliver shows a report and writes it. after is what went wrong once all was measured, such as a port that is not as before: that takes nothing away
// from the report.
func (f *hwtestFlags) deliver(out io.Writer, r *hwtest.Report, after error) (err error) {
	if f.asJSON {
		err = r.JSON(out)
	} else {
		err = r.Text(out, hwtest.Style{Colour: colourful(out), Quiet: f.quiet})
	}
	if f.out != "" {
		if failed := writeReport(f.out, r); failed != nil {
			err = errors.Join(err, failed)
		} else if !f.asJSON {
			fmt.Fprintf(out, "written: %s and %s\n", filepath.Join(f.out, reportJSON), filepath.Join(f.out, reportHTML))
		}
	}
	if err = errors.Join(err, after); err == nil && r.Failed() {
		return errReported
	}
	return err
}

// writable makes the folder of the report, and finds out before anything is measured that it cannot be written to.
func writable(dir string) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, ".report-*")
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), os.Remove(file.Name()))
}

const reportJSON, reportHTML = "report.json", "report.html"

// writeReport writes both files, each whole or not at all.
func writeReport(dir string, r *hwtest.Report) error {
	for name, write := range map[string]func(io.Writer) error{reportJSON: r.JSON, reportHTML: r.HTML} {
		file, err := os.CreateTemp(dir, "."+name+"-*")
		if err != nil {
			return err
		}
		err = errors.Join(write(file), file.Chmod(0o644), file.Close())
		if err == nil {
			err = os.Rename(file.Name(), filepath.Join(dir, name))
		}
		if err != nil {
			return errors.Join(err, os.Remove(file.Name()))
		}
	}
	return nil
}

// colourful is for people at a terminal who have not said NO_COLOR (no-color.org).
func colourful(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && term.IsTerminal(int(file.Fd()))
}

func hwtestCompare() *cobra.Command {
	asJSON, tolerance := false, 10.0
	c := &cobra.Command{
		Use: "compare BEFORE.json AFTER.json", Short: "what two reports differ in", Args: exactly(2),
		Long: `compare says which tests of two reports have another verdict, and which figures are better or worse by more than --tolerance percent.
It exits with 1 when a verdict or a figure is worse.`,
		Example: "  tickwire hwtest compare before/report.json after/report.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			if !(tolerance >= 0 && tolerance <= 1000) { // NaN is none
				return usageError{fmt.Errorf("--tolerance %g is not in 0 … 1000 percent", tolerance)}
			}
			var both [2]*hwtest.Report
			for i, name := range args {
				file, err := os.Open(name)
				if err != nil {
					return err
				}
				both[i], err = hwtest.Read(file)
				if err = errors.Join(err, file.Close()); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
			d := hwtest.Compare(both[0], both[1], tolerance/100)
			var err error
			if asJSON {
				err = d.JSON(cmd.OutOrStdout())
			} else {
				err = d.Text(cmd.OutOrStdout(), hwtest.Style{Colour: colourful(cmd.OutOrStdout())})
			}
			if err == nil && d.Worse > 0 {
				return errReported
			}
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "for scripts")
	c.Flags().Float64Var(&tolerance, "tolerance", tolerance, "`percent` that figures may move without being told")
	return c
}
