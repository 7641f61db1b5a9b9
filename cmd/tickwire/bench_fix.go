package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/bench/fixbench"
	"github.com/tickwire/tickwire/bench/meter"
	fixsession "github.com/tickwire/tickwire/feed/session/fix"
	"github.com/tickwire/tickwire/sim/fixgen"
)

func benchFIX() *cobra.Command {
	o := fixbench.Options{Core: meter.Core(0)}
	var path, version string
	var messages int
	var asJSON bool
	c := &cobra.Command{
		Use: "fix", Short: "ns a FIX message, beside the C++ engine's reading of the same", Args: exactly(0),
		Long: `fix runs messages from memory through each stage: tags and values found, length and sum verified, groups by the dictionary, rows of W and X, and
the same with price books; beside a loop that only looks at the bytes (bytes), and one that finds the same tags and values a byte at a time (loop). Where g++ and libquickfix-dev are installed the C++ engine reads the very same messages in
turns in the same run, without and with its data dictionary (FIX::Message of the text, length and sum verified); else its lines are left out, and why is said.
Without --file it generates a day.`,
		Example: "  tickwire bench fix\n  tickwire gen fix --version 5.0SP2 --messages 200000 --out /tmp/day.fix && tickwire bench fix --file /tmp/day.fix --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if messages < 100 || messages > 10_000_000 {
				return usageError{fmt.Errorf("--messages %d: want 100 to 10000000", messages)}
			}
			v, err := fixsession.ParseVersion(version)
			if err != nil {
				return usageError{err}
			}
			p := newProgress(cmd.ErrOrStderr())
			defer p.done()
			day, err := fixDay(path, v, messages)
			if err != nil {
				return err
			}
			o.Progress = func(stage string, run int) { p.note("%s, run %d of %d", stage, run, o.Runs) }
			r, err := fixbench.Run(day, o)
			p.done()
			if err != nil {
				return err
			}
			return printFIX(cmd.OutOrStdout(), r, asJSON)
		},
	}
	f := c.Flags()
	f.StringVar(&path, "file", "", "messages to measure with, plain or compressed (default: generate a day)")
	f.StringVar(&version, "version", "4.4", "of a generated day: 4.2, 4.4 or 5.0SP2")
	f.IntVar(&messages, "messages", 200_000, "of a generated day; of a file at most so many")
	benchFlags(f, &o.Runs, &o.Core, &asJSON)
	return c
}

func fixDay(path string, v fixsession.Version, messages int) (*fixbench.Day, error) {
	if path != "" {
		return fixbench.Load(path, messages)
	}
	var b bytes.Buffer
	if _, err := fixgen.Write(&b, fixgen.Options{}, v, messages); err != nil {
		return nil, err
	}
	return fixbench.Of(b.Bytes())
}

func printFIX(out io.Writer, r *fixbench.Report, asJSON bool) error {
	if asJSON {
		if err := json.NewEncoder(out).Encode(r); err != nil {
			return err
		}
		return fixFaults(r)
	}
	fmt.Fprintf(out, "%s\ncore %d, %d runs; %s: %d messages, %d bytes, %d rows\n\n", r.Machine, r.Core, r.Runs, r.Version, r.Messages, r.Bytes, r.Rows)
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "stage\tns/message\tGB/s\tallocations\tfaults\t\n")
	for _, s := range r.Stages {
		fmt.Fprintf(t, "%s\t%s\t%.2f\t%d\t%d\t\n", s.Name, s.Ns, s.GB, s.Allocs, s.Faults)
	}
	for _, s := range r.Engine {
		fmt.Fprintf(t, "engine %s\t%s\t%.2f\t\t%d\t\n", s.Name, s.Ns, s.GB, s.Faults)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if r.Missing != "" {
		fmt.Fprintf(out, "\nthe C++ engine is not measured: %s\n", r.Missing)
	} else {
		fmt.Fprintf(out, "\nthe C++ engine with its dictionary takes %.1f times frame and parse together\n", r.Ratio)
	}
	return fixFaults(r)
}

// fixFaults is an error when the figures are of another work than they say.
func fixFaults(r *fixbench.Report) error {
	for _, s := range append(r.Stages, r.Engine...) {
		if s.Faults > 0 {
			return fmt.Errorf("stage %s did not take %d messages or entries: the figures are of another work than they say", s.Name, s.Faults)
		}
	}
	return nil
}
