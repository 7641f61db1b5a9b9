package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/bench/latbench"
	"github.com/tickwire/tickwire/bench/meter"
)

func benchE2E() *cobra.Command {
	var o latbench.Options
	var picture string
	var asJSON bool
	c := &cobra.Command{
		Use: "e2e", Short: "tick to trade: from when a packet was due to a strategy's order", Args: exactly(0),
		Long: `e2e makes network namespaces joined by a veth pair. A venue sends packets of a generated session there, one message each, when they are due; a lane
takes them by AF_XDP and publishes; a strategy, another process, reads the ring and answers each order message with a datagram; the venue takes the time from
when the packet was due to when the answer is in hand. A packet that is sent late counts from when it was due. It needs root. Three cores are wanted; with
two the venue and the strategy share one and yield to each other, which is in the figures.`,
		Example: "  tickwire bench e2e --plot e2e.svg\n  tickwire bench e2e --rate 1000,10000,50000 --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("strategy-core") {
				o.ReaderCore = meter.Other(o.LaneCore, 0)
			}
			if !cmd.Flags().Changed("venue-core") {
				o.VenueCore = meter.Other(o.LaneCore, 1) // with two cores it is the strategy's
			}
			if err := undisturbed(); err != nil {
				return err
			}
			p := newProgress(cmd.ErrOrStderr())
			o.Progress = func(what string) { p.note("%s", what) }
			r, err := latbench.RunEnd(o)
			p.done()
			if err != nil {
				return err
			}
			for i := range r.Rates {
				if err := draw(picture, i, r.Rates[i].Rate, r.Plot(i)); err != nil {
					return err
				}
			}
			return printE2E(cmd.OutOrStdout(), r, asJSON)
		},
	}
	f := c.Flags()
	o.Child = itself
	o.LaneCore = meter.Core(0)
	o.ReaderCore, o.VenueCore = meter.Other(o.LaneCore, 0), meter.Other(o.LaneCore, 1)
	f.IntVar(&o.ReaderCore, "strategy-core", o.ReaderCore, "core of the strategy's process, -1: none")
	f.IntVar(&o.VenueCore, "venue-core", o.VenueCore, "core of the venue, which does the driver's work too, -1: none")
	latencyFlags(f, &o, &picture, &asJSON, "packets a second, one measurement each (default 10000)")
	return c
}

func printE2E(out io.Writer, r *latbench.EndReport, asJSON bool) error {
	if asJSON {
		return errors.Join(json.NewEncoder(out).Encode(r), latencyFaults(r.Faults))
	}
	fmt.Fprintf(out, "%s\nlane on core %d, strategy on core %d, venue on core %d; veth, AF_XDP in mode %s; %d runs of %g s; %s\n",
		r.Machine, r.LaneCore, r.ReaderCore, r.VenueCore, r.Mode, r.Runs, r.Span, runtimeText(r.PreemptOff, r.Pinned))
	if r.Shared {
		fmt.Fprintln(out, "venue and strategy share a core: the kernel's switching between them is in every figure")
	}
	for i := range r.Rates {
		t := &r.Rates[i]
		fmt.Fprintf(out, "\n%d packets/s, tick to trade:\n", t.Rate)
		if err := meter.Table(out,
			meter.Row{Name: "steady", Latency: &t.Steady}, meter.Row{Name: "in bursts", Latency: &t.Burst}, meter.Row{Name: "behind bursts", Latency: &t.Behind},
			meter.Row{Name: "lane's core by itself", Latency: &t.LaneJitter}, meter.Row{Name: "strategy's core by itself", Latency: &t.ReaderJitter},
		); err != nil {
			return err
		}
		printStages(out, &t.Stages, "kernel's stamp to poll")
		fmt.Fprintf(out, "%d orders of %d; %d records lost to laps; %d packets sent late\nlane: %s\nstrategy: %s\n", t.Answered, t.Expected, t.Lost, t.Late, t.Lane, t.Strategy)
	}
	return latencyFaults(r.Faults)
}
