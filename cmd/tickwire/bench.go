package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tickwire/tickwire/bench/itchbench"
	"github.com/tickwire/tickwire/bench/machine"
	"github.com/tickwire/tickwire/bench/meter"
	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/protocol"
	"github.com/tickwire/tickwire/internal/pin"
	"github.com/tickwire/tickwire/tick"
)

func benchCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "bench", Short: "measure this machine with the real code",
		Long: `Figures are medians of several runs, with the least and the most beside them; what they were measured on is printed above. Threads are
pinned to cores. Leave the machine alone meanwhile. docs/performance.md says how to read them.`,
	}
	c.AddCommand(benchITCH(), benchFIX(), benchMemory(), benchRing(), benchLatency(), benchE2E(), benchRx(), benchSQL(), benchPlugin(), benchChild())
	c.AddCommand(benchFeed(protocol.XDP), benchFeed(protocol.MDP3), benchFeed(protocol.IEX))
	return c
}

func benchITCH() *cobra.Command {
	o := itchbench.Options{Core: meter.Core(0)}
	var path, profile, pass string
	var messages uint64
	var asJSON bool
	c := &cobra.Command{
		Use: "itch", Short: "ns a message: framing, decode, books, rings", Args: exactly(0),
		Long: `itch runs a whole day from memory through each stage of the hot path: the framing walk, decode into columns, decode and
order books of all instruments, and the same with records published to shared memory; then the rings' part alone. Between the runs it
measures the machine's memory, so that a figure can be carried to another machine. Without --file it generates a day.`,
		Example: "  tickwire gen itch --messages 20000000 --out /tmp/day.itch && tickwire bench itch --file /tmp/day.itch\n  tickwire bench itch --profile hostile --pass live --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var day *itchbench.Day
			var err error
			if o.Pass, err = parsePass(pass); err != nil {
				return usageError{err}
			}
			p := newProgress(cmd.ErrOrStderr())
			if path != "" {
				day, err = itchbench.Load(path)
			} else {
				day, err = generateDay(profile, messages, p)
			}
			if err != nil {
				return err
			}
			o.Peer = meter.Other(o.Core, 0)
			o.Progress = func(stage string, run int) { p.note("%s, run %d of %d", stage, run, o.Runs) }
			r, err := itchbench.Run(day, o)
			p.done()
			if err != nil {
				return err
			}
			return printITCH(cmd.OutOrStdout(), r, asJSON)
		},
	}
	f := c.Flags()
	f.StringVar(&path, "file", "", "BinaryFILE day, plain or compressed (default: generate one)")
	f.StringVar(&profile, "profile", "realistic", "of a generated day: realistic or hostile")
	f.Uint64Var(&messages, "messages", 20_000_000, "of a generated day")
	f.StringVar(&pass, "pass", "replay", "messages of a pass: replay (2048), live (64), or a number")
	f.BoolVar(&o.NoMemory, "no-memory", false, "do not measure the machine's memory beside it")
	benchFlags(f, &o.Runs, &o.Core, &asJSON)
	return c
}

// benchFlags are those that every bench has.
func benchFlags(f *pflag.FlagSet, runs, core *int, asJSON *bool) {
	f.IntVar(runs, "runs", meter.Runs, "runs of each figure; medians are shown, with the least and the most")
	f.IntVar(core, "core", *core, "core that the measured thread is pinned to, -1: none")
	f.BoolVar(asJSON, "json", false, "for scripts")
}

// schedFlag is for benches whose figures others on the machine would spoil.
func schedFlag(f *pflag.FlagSet, sched *string) {
	f.StringVar(sched, "sched", pin.Other, "scheduling class of the measured threads: other, or fifo, which keeps other programs off their cores for runs of up to 0.9s (CAP_SYS_NICE)")
}

func parsePass(s string) (int, error) {
	switch s {
	case "replay":
		return pipeline.PassReplay, nil
	case "live":
		return pipeline.PassLive, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > tick.MaxRows {
		return 0, fmt.Errorf("--pass %s: want live, replay, or 1 to %d messages", s, tick.MaxRows)
	}
	return n, nil
}

func printITCH(out io.Writer, r *itchbench.Report, asJSON bool) error {
	if asJSON {
		if err := json.NewEncoder(out).Encode(r); err != nil {
			return err
		}
		return itchFaults(r)
	}
	fmt.Fprintf(out, "%s\ncore %d, passes of %d messages; %d messages, %d bytes, %d runs\n\n", r.Machine, r.Core, r.Pass, r.Messages, r.Bytes, r.Runs)
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "stage\tns/message\tof them run\tmessages/s\tallocations\tcollections\tfaults\t")
	for _, s := range r.Stages {
		fmt.Fprintf(t, "%s\t%s\t%s\t%.3g\t%d\t%d\t%d\t\n", s.Name, s.Ns, s.CPU, s.PerSecond, s.Counts.Allocs, s.Counts.GC, s.Faults)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out, "\neach stage but the last contains the ones above it; ring is the rings' part of publish. Where the thread's time goes in publish:")
	t = tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	for _, s := range r.Budget {
		fmt.Fprintf(t, "%s\t%.1f ns\t%.0f%%\t\n", s.Part, s.Ns, 100*s.Ns/r.Stages[3].CPU.Median)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "%.2f records a message; at most %d orders rested at once, books of %s (%.0f bytes an order)\n",
		r.Records, r.Orders, machine.Bytes(r.BookBytes), float64(r.BookBytes)/float64(max(r.Orders, 1)))
	for _, s := range r.Stages {
		if s.Name == "publish" {
			fmt.Fprintf(out, "publish, its best run: %s\n", s.Counts)
		}
	}
	if r.Memory != nil {
		fmt.Fprintln(out)
		if err := printMemory(out, r.Memory); err != nil {
			return err
		}
	}
	return itchFaults(r)
}

// itchFaults is an error when the figures are of another work than they say.
func itchFaults(r *itchbench.Report) error {
	if r.Faults() > 0 {
		return errors.New("the day is not clean: messages were refused or named unknown orders; the figures are of another work than they say")
	}
	return nil
}
