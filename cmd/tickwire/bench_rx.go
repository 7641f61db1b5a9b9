package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/bench/rxbench"
)

func benchRx() *cobra.Command {
	var o rxbench.Options
	var seconds float64
	var asJSON bool
	c := &cobra.Command{
		Use: "rx", Short: "packets a second without loss, and latency, of receivers side by side", Args: exactly(0),
		Long: `rx makes network namespaces joined by a veth pair, and has several receivers take the same frames of 200 bytes there, one after the
other: package nic/afxdp with and without the kernel's stamps, a C receiver on libxdp, asavie/xdp (as documented, and spinning), AF_PACKET's
TPACKET_V3, and recvmmsg. A receiver's figure is the highest rate at which nothing was lost, the median of --runs; once with frames that the
kernel makes (BPF_PROG_TEST_RUN), once from a socket. Then the time from when a paced packet was due to when it was in hand; the
rate with decode, books and rings behind the receiver; and allocations and system calls a packet. It needs root, some two
minutes, and two cores that are left alone.`,
		Example: "  tickwire bench rx --json\n  tickwire bench rx --runs 3 --only afxdp,recvmmsg",
		RunE: func(cmd *cobra.Command, _ []string) error {
			withoutSignals()
			p := newProgress(cmd.ErrOrStderr())
			o.Span = time.Duration(seconds * float64(time.Second))
			o.Progress = func(what string) { p.note("%s", what) }
			r, err := rxbench.Run(o)
			p.done()
			if err != nil {
				return err
			}
			return printRx(cmd.OutOrStdout(), r, asJSON)
		},
	}
	f := c.Flags()
	f.IntVar(&o.Runs, "runs", 5, "runs of each receiver under each load")
	f.Float64Var(&seconds, "seconds", 0.15, "length of one stretch of frames, some ten of which make a run")
	f.DurationVar(&o.Latency, "latency", time.Second, "length of each latency run")
	f.IntVar(&o.ReceiverCore, "receiver-core", 0, "core of the receiver (default, with the other's: the last one)")
	f.IntVar(&o.LoadCore, "load-core", 0, "core of the load, which does the driver's work too (default: the last but one)")
	f.StringSliceVar(&o.Only, "only", nil, "receivers to measure: "+strings.Join(rxbench.Receivers, ", "))
	f.BoolVar(&asJSON, "json", false, "for scripts")
	return c
}

// withoutSignals starts this process again, in its place, with the runtime's signals turned off, as feeds that spin are started: only the
// environment can. Where that fails the measurement goes on, and counts them.
func withoutSignals() {
	set := os.Getenv("GODEBUG")
	if strings.Contains(set, "asyncpreemptoff=") {
		return
	}
	if self, err := os.Executable(); err == nil && os.Setenv("GODEBUG", strings.TrimPrefix(withoutPreemption(set), "GODEBUG=")) == nil {
		_ = unix.Exec(self, os.Args, os.Environ())
	}
}

func printRx(out io.Writer, r *rxbench.Report, asJSON bool) error {
	if asJSON {
		if err := json.NewEncoder(out).Encode(r); err != nil {
			return err
		}
		return rxFaults(r)
	}
	m := r.Machine
	fmt.Fprintf(out, "%s\n%s in mode %s; receiver on core %d, load on core %d; frames of %d bytes, %d runs\n\n",
		m, m.Driver, m.Mode, r.ReceiverCore, r.LoadCore, r.FrameBytes, r.Runs)
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "load\treceiver\tpackets/s without loss\tleast\tmost\tload unpaced\treceived of that\tafxdp/it\tafxdp-stamped/it\t")
	for _, l := range r.Rates {
		fmt.Fprintf(t, "%s\t%s\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%s\t%s\t\n", l.Load, l.Receiver, l.Median, l.Min, l.Max, l.Offered, l.Received, ratioText(l.Ratio), ratioText(l.Stamped))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	t = tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "packets/s\treceiver\tp50 ns\tp90 ns\tp99 ns\tmax ns\tlost\t")
	for _, l := range r.Latencies {
		fmt.Fprintf(t, "%d\t%s\t%d\t%d\t%d\t%d\t%d\t\n", l.Rate, l.Receiver, l.P50, l.P90, l.P99, l.Max, l.Lost)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out, "\nfrom when a packet was due, sent late or not, to when the receiver had it in hand; TPACKET_V3 hands over blocks each ms")
	if l := r.Lane; len(l.Runs) > 0 {
		fmt.Fprintf(out, "%s with decode, books of all instruments and rings behind it, live frames: %.0f packets/s without loss, %.3g messages/s\n", rxbench.Stamped, l.Median, l.Messages)
	}
	if c := r.Cost; c.Packets > 0 {
		fmt.Fprintf(out, "afxdp, %d packets: %d allocations of the process (%.6f a packet), ", c.Packets, c.Allocations, c.Allocated)
		if c.Calls != nil {
			fmt.Fprintf(out, "%d system calls of the receive path (%.6f a packet), and %d of the Go runtime on that thread\n", *c.Own, *c.Called, *c.Calls-*c.Own)
		} else {
			fmt.Fprintf(out, "system calls not counted: %s\n", c.Why)
		}
	}
	for _, m := range r.Missing {
		fmt.Fprintf(out, "%s: not available: %s\n", m.Receiver, m.Reason)
	}
	return rxFaults(r)
}

func ratioText(v float64) string {
	if v == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", v)
}

// rxFaults is an error when the figures are of something else than they say.
func rxFaults(r *rxbench.Report) error {
	if len(r.Faults) > 0 {
		return errors.New(strings.Join(r.Faults, "; "))
	}
	return nil
}
