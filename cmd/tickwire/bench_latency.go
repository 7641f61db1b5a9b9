package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tickwire/tickwire/bench/latbench"
	"github.com/tickwire/tickwire/bench/meter"
	"github.com/tickwire/tickwire/bench/plot"
	"github.com/tickwire/tickwire/ringbuf"
)

func benchLatency() *cobra.Command {
	var o latbench.Options
	var ring, picture string
	var asJSON bool
	c := &cobra.Command{
		Use: "latency", Short: "from when a packet was due to another process's clock", Args: exactly(0),
		Long: `latency has a lane take packets of a generated session when they are due: it decodes them, keeps the books and publishes, and another process
reads the ring, on another core. The time counts from when a packet was due to the reader's clock after the record was found to be whole; a packet that waits for the
lane is late, not moved. In each round there is a burst, which is told apart. Before each run both cores measure what a handler that does nothing
would see there: what the machine itself adds, a hypervisor above all. It needs no rights, and two cores that are left alone.`,
		Example: "  tickwire bench latency --plot latency.svg\n  tickwire bench latency --rate 100000,1000000 --burst-factor 1 --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch ring {
			case "mbo":
				o.Ring = ringbuf.KindMbo
			case "mbp1":
				o.Ring = ringbuf.KindMbp1
			default:
				return usageError{fmt.Errorf("--ring %s: want mbo or mbp1", ring)}
			}
			if !cmd.Flags().Changed("reader-core") {
				o.ReaderCore = meter.Other(o.LaneCore, 0)
			}
			if err := undisturbed(); err != nil {
				return err
			}
			p := newProgress(cmd.ErrOrStderr())
			o.Progress = func(what string) { p.note("%s", what) }
			r, err := latbench.Run(o)
			p.done()
			if err != nil {
				return err
			}
			for i := range r.Rates {
				if err := draw(picture, i, r.Rates[i].Rate, r.Plot(i)); err != nil {
					return err
				}
			}
			return printLatency(cmd.OutOrStdout(), r, asJSON)
		},
	}
	f := c.Flags()
	o.Child = itself
	o.LaneCore, o.ReaderCore = meter.Core(0), meter.Core(1)
	f.StringVar(&ring, "ring", "mbo", "that is read: mbo, or mbp1 (trades and changes of the best prices only)")
	f.IntVar(&o.PerPacket, "per-packet", 1, "messages of a packet, 1 to 20")
	f.IntVar(&o.ReaderCore, "reader-core", o.ReaderCore, "core of the reader's process, -1: none")
	latencyFlags(f, &o, &picture, &asJSON, "messages a second, one measurement each (default 1000000, and on a virtual machine 100000 too)")
	return c
}

// latencyFlags are those that latency and e2e share.
func latencyFlags(f *pflag.FlagSet, o *latbench.Options, picture *string, asJSON *bool, rates string) {
	f.IntSliceVar(&o.Rates, "rate", nil, rates)
	f.DurationVar(&o.Span, "for", 0, "length of a run (default 2s), of which a tenth warms up")
	f.DurationVar(&o.Round, "round", 0, "time from burst to burst (default 100ms)")
	f.DurationVar(&o.Burst, "burst", 0, "length of a burst (default a hundredth of a round)")
	f.Float64Var(&o.Factor, "burst-factor", 10, "how many times the rate it has; 1: no bursts")
	f.IntVar(&o.Warm, "fill", 0, "messages that fill the books before a run (default 500000)")
	f.StringVar(picture, "plot", "", "draw the distributions into this file (SVG); with several rates one file each, the rate in its name")
	schedFlag(f, &o.Sched)
	benchFlags(f, &o.Runs, &o.LaneCore, asJSON)
}

// itself is this program again, as the other process of a bench.
func itself() (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := exec.Command(self, "bench", "child")
	c.Env = latbench.Quieted(os.Environ())
	return c, nil
}

// undisturbed sees to it that the Go runtime sends no preemption signals to threads of this process, as `tickwire run` does for its feeds: a program
// can be told that only at its start, so it starts itself anew.
func undisturbed() error {
	if latbench.PreemptOff() {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return fmt.Errorf("starting anew with GODEBUG=asyncpreemptoff=1: %w", syscall.Exec(self, os.Args, latbench.Quieted(os.Environ())))
}

// benchChild is the other process of bench latency and bench e2e.
func benchChild() *cobra.Command {
	return &cobra.Command{
		Use: "child", Hidden: true, Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error { return latbench.Child(cmd.InOrStdin(), cmd.OutOrStdout()) },
	}
}

// draw writes a picture: the first one under the name that was given, the others with their rate in it.
func draw(path string, i, rate int, p *plot.Plot) error {
	if path == "" {
		return nil
	}
	if i > 0 {
		ext := filepath.Ext(path)
		path = fmt.Sprintf("%s-%d%s", strings.TrimSuffix(path, ext), rate, ext)
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(p.Write(f), f.Close())
}

func printLatency(out io.Writer, r *latbench.Report, asJSON bool) error {
	if asJSON {
		return errors.Join(json.NewEncoder(out).Encode(r), latencyFaults(r.Faults))
	}
	fmt.Fprintf(out, "%s\nlane on core %d, reader of ring %s on core %d; packets of %d messages; %d runs of %g s; %s\n",
		r.Machine, r.LaneCore, r.Ring, r.ReaderCore, r.PerPacket, r.Runs, r.Span, runtimeText(r.PreemptOff, r.Pinned))
	for i := range r.Rates {
		t := &r.Rates[i]
		fmt.Fprintf(out, "\n%d messages/s, due to read:\n", t.Rate)
		if err := meter.Table(out,
			meter.Row{Name: "steady", Latency: &t.Steady}, meter.Row{Name: "in bursts", Latency: &t.Burst}, meter.Row{Name: "behind bursts", Latency: &t.Behind},
			meter.Row{Name: "lane's core by itself", Latency: &t.LaneJitter}, meter.Row{Name: "reader's core by itself", Latency: &t.ReaderJitter},
		); err != nil {
			return err
		}
		printStages(out, &t.Stages, "due to poll")
		fmt.Fprintf(out, "one cache line from core to core: %s ns\n", t.CoreToCore)
		fmt.Fprintf(out, "%d records read, %d lost to laps; %d packets taken late\nlane: %s\nreader: %s\n", t.Records, t.Lost, t.Late, t.Lane, t.Reader)
	}
	return latencyFaults(r.Faults)
}

func printStages(out io.Writer, s *latbench.Stages, first string) {
	fmt.Fprintf(out, "within the lane: %s p50 %d, p99 %d, worst %d ns; poll to ring p50 %d, p99 %d, worst %d ns\n",
		first, s.Polled.P50, s.Polled.P99, s.Polled.Max, s.Pass.P50, s.Pass.P99, s.Pass.Max)
}

func runtimeText(signals, pinned bool) string {
	word := func(on bool, yes, no string) string {
		if on {
			return yes
		}
		return no
	}
	return "preemption signals " + word(signals, "off", "on") + ", P " + word(pinned, "pinned", "not pinned")
}

// latencyFaults is an error when the figures are of something else than they say.
func latencyFaults(all []string) error {
	if len(all) == 0 {
		return nil
	}
	return errors.New("the figures are of another work than they say: " + strings.Join(all, "; "))
}
