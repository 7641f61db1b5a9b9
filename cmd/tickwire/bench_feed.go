package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/bench/feedbench"
	"github.com/tickwire/tickwire/bench/meter"
	"github.com/tickwire/tickwire/feed/protocol"
)

// benchFeed measures a venue's capture beside ITCH.
func benchFeed(p *protocol.Protocol) *cobra.Command {
	o := feedbench.Options{Core: meter.Core(0)}
	var in input
	var path string
	var messages uint64
	var asJSON, full bool
	c := &cobra.Command{
		Use: p.Name, Short: "ns a message of " + p.Title + ", beside ITCH", Args: exactly(0),
		Long: p.Name + ` runs a capture from memory through framing, decode into columns, and decode with the venue's books; and a generated ITCH day through the same, in turns
in the same run. The ratio is time a byte over ITCH's, whose packets hold as many messages as the capture's: what a packet costs is shared by its messages.`,
		Example: fmt.Sprintf("  tickwire gen %s --messages 2000000 --out /tmp/day.pcap && tickwire bench %s --file /tmp/day.pcap", p.Name, p.Name),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if path == "" {
				return usageError{errors.New("--file is missing: a capture to measure with (tickwire gen makes one)")}
			}
			progress := newProgress(cmd.ErrOrStderr())
			defer progress.done()
			day, err := feedbench.Load(path, p, protocol.Options{Version: in.version, Product: in.product, Prices: in.prices, Schema: in.schema})
			if err != nil {
				return err
			}
			beside, err := generateDay("realistic", messages, progress)
			if err != nil {
				return err
			}
			o.Progress = func(stage string, run int) { progress.note("%s, run %d of %d", stage, run, o.Runs) }
			like := day
			if full {
				like = nil
			}
			r, err := feedbench.Run(day, feedbench.ITCH(beside.Bytes, beside.Messages, like), o)
			progress.done()
			if err != nil {
				return err
			}
			return printFeed(cmd.OutOrStdout(), r, asJSON)
		},
	}
	f := c.Flags()
	f.StringVar(&path, "file", "", "capture to measure with: the first channel's line A is taken")
	f.StringVar(&in.version, "version", "", "of the protocol")
	f.StringVar(&in.product, "product", "", "which of the venue's feeds")
	in.pricesFlag(f)
	f.StringVar(&in.schema, "schema-file", "", "mdp3: an SBE schema newer than the one built in")
	f.Uint64Var(&messages, "itch-messages", 2_000_000, "of the ITCH day beside it")
	f.BoolVar(&full, "itch-full", false, "fill the ITCH day's packets, in place of as many messages as the capture's packets hold")
	benchFlags(f, &o.Runs, &o.Core, &asJSON)
	return c
}

func printFeed(out io.Writer, r *feedbench.Report, asJSON bool) error {
	if asJSON {
		if err := json.NewEncoder(out).Encode(r); err != nil {
			return err
		}
		return feedFaults(r)
	}
	fmt.Fprintf(out, "%s\ncore %d, %d runs; %s: %s, %d rows; itch: %s\n\n", r.Machine, r.Core, r.Runs, r.Venue.Protocol, feedSide(&r.Venue), r.Venue.Rows, feedSide(&r.ITCH))
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "stage\t%s ns/message\tns/byte\titch ns/message\tns/byte\ttimes itch's a byte\tallocations\tfaults\t\n", r.Venue.Protocol)
	for i, s := range r.Venue.Stages {
		beside := r.ITCH.Stages[i]
		fmt.Fprintf(t, "%s\t%s\t%.3f\t%s\t%.3f\t%.2f\t%d\t%d\t\n", s.Name, s.Ns, s.Byte, beside.Ns, beside.Byte, r.Ratio[s.Name], s.Allocs, s.Faults)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return feedFaults(r)
}

// feedSide says how much work a day is, and how it is packed.
func feedSide(s *feedbench.Side) string {
	return fmt.Sprintf("%d messages, %.1f a packet, %d bytes", s.Messages, float64(s.Messages)/float64(max(s.Packets, 1)), s.Bytes)
}

// feedFaults is an error when the figures are of another work than they say.
func feedFaults(r *feedbench.Report) error {
	for _, s := range r.Venue.Stages {
		if s.Faults > 0 {
			return fmt.Errorf("%d messages of the capture were refused or named unknown orders: the figures are of another work than they say", s.Faults)
		}
	}
	return nil
}
