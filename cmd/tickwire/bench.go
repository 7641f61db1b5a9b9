package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/bench/itchbench"
)

func benchCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "bench", Short: "measure this machine with the real code",
		Long: `Figures are medians of several rounds, stages taking turns. Pin the process for steady ones (taskset -c 1 tickwire bench …)
and leave the machine alone meanwhile.`,
	}
	c.AddCommand(benchITCH(), benchRing(), benchRx(), benchSQL())
	return c
}

func benchITCH() *cobra.Command {
	var o itchbench.Options
	var path, profile string
	var messages uint64
	var asJSON bool
	c := &cobra.Command{
		Use: "itch", Short: "ns a message: framing, decode, books, rings", Args: exactly(0),
		Long: `itch runs a whole day from memory through each stage of the hot path: the framing walk, decode into columns, decode and
order books of all instruments, and the same with records published to shared memory. Without --file it generates a day.`,
		Example: "  tickwire gen itch --messages 20000000 --out /tmp/day.itch && tickwire bench itch --file /tmp/day.itch",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var day *itchbench.Day
			var err error
			p := newProgress(cmd.ErrOrStderr())
			if path != "" {
				day, err = itchbench.Load(path)
			} else {
				day, err = generateDay(profile, messages, p)
			}
			if err != nil {
				return err
			}
			o.Progress = func(stage string, round int) { p.note("%s, round %d of %d", stage, round+1, max(o.Rounds, 3)) }
			stages, err := itchbench.Run(day, o)
			p.done()
			if err != nil {
				return err
			}
			return printStages(cmd.OutOrStdout(), day, stages, asJSON)
		},
	}
	c.Flags().StringVar(&path, "file", "", "BinaryFILE day, plain or compressed (default: generate one)")
	c.Flags().StringVar(&profile, "profile", "realistic", "of a generated day: realistic or hostile")
	c.Flags().Uint64Var(&messages, "messages", 20_000_000, "of a generated day")
	c.Flags().IntVar(&o.Rounds, "rounds", 3, "rounds of each stage")
	c.Flags().IntVar(&o.Pass, "pass", 0, "messages of a pass (default: that of a replay)")
	c.Flags().BoolVar(&asJSON, "json", false, "for scripts")
	return c
}

func printStages(out io.Writer, day *itchbench.Day, stages []itchbench.Stage, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(map[string]any{"messages": day.Messages, "bytes": len(day.Bytes), "stages": stages})
	}
	fmt.Fprintf(out, "%d messages, %d bytes\n\n", day.Messages, len(day.Bytes))
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "stage\tns/message\tmessages/s\tallocations\tfaults\t")
	faults := uint64(0)
	for _, s := range stages {
		fmt.Fprintf(t, "%s\t%.1f\t%.3g\t%d\t%d\t\n", s.Name, s.NsPerMsg, s.PerSecond, s.Allocs, s.Faults)
		faults += s.Faults
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out, "\neach stage contains the ones above it; allocations are the whole process's, in the best round")
	if faults > 0 {
		return errors.New("the day is not clean: messages were refused or named unknown orders; the figures are of another work than they say")
	}
	return nil
}
