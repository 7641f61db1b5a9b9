package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/sim/fix"
)

func simFIX() *cobra.Command {
	var o fix.Options
	var span time.Duration
	var asJSON, printConfig bool
	c := &cobra.Command{
		Use: "fix", Short: "a venue that speaks FIX: clients log on, subscribe with V, and get W and X", Args: exactly(0),
		Long: `fix is a venue in a box: an acceptor of FIX 4.2, 4.4 and 5.0 SP2 over a generated market. Clients subscribe (V), get W, then X; x gives the list of
instruments, e their status. It listens on loopback unless told otherwise.`,
		Example: `  tickwire sim fix --print-config > fix.toml         # a [[feed]] that subscribes to it: then, side by side,
  tickwire sim fix --for 1m                          #   the venue
  tickwire feed fix --config fix.toml                #   and its client`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			faults := errors.Join(fixMarketFaults(&o.Market), o.Server.Validate())
			if o.Steps < 0 || o.Halts < 0 || o.Rate < -1 || o.Rate == 0 {
				faults = errors.Join(faults, fmt.Errorf("--rate %d, --steps %d, --halts %d: want a rate above 0 or -1, and no negative numbers", o.Rate, o.Steps, o.Halts))
			}
			if faults != nil {
				return usageError{faults}
			}
			if printConfig {
				_, err := fmt.Fprintf(cmd.OutOrStdout(), simFIXConfig, o.Server.Address, o.Server.Clients[0], o.Server.SenderCompID)
				return err
			}
			o.Server.Log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil)).With("process", "sim fix")
			return runSimFIX(cmd.Context(), &o, span, cmd.OutOrStdout(), asJSON)
		},
	}
	f := c.Flags()
	f.StringVar(&o.Server.Address, "address", "127.0.0.1:5201", "to listen at")
	f.StringVar(&o.Server.SenderCompID, "sender", "SIM", "its own CompID")
	f.StringSliceVar(&o.Server.Clients, "client", []string{"TICKWIRE"}, "CompIDs that may log on")
	f.StringVar(&o.Server.StoreDir, "store-dir", "", "where sequence numbers outlive it (default: in memory)")
	f.BoolVar(&o.Server.Resend, "resend", false, "replay what was sent when a client asks (default: fill gaps, and send W anew)")
	f.IntVar(&o.Rate, "rate", 1000, "things that happen a second; -1: as many as are taken")
	f.IntVar(&o.Steps, "steps", 0, "things that happen in all (default: without end)")
	f.IntVar(&o.Halts, "halts", 0, "halt an instrument after so many (default: never)")
	f.IntVar(&o.Market.Symbols, "symbols", 20, "instruments")
	f.IntVar(&o.Market.Levels, "levels", 5, "of each side of a book")
	f.Uint64Var(&o.Market.Seed, "seed", 1, "another seed, another day")
	f.DurationVar(&span, "for", 0, "end after this time (default: at Control-C)")
	f.BoolVar(&asJSON, "json", false, "the summary as JSON")
	f.BoolVar(&printConfig, "print-config", false, "print a [[feed]] block that subscribes to this, and do nothing")
	return c
}

const simFIXConfig = `# Receives what "tickwire sim fix" sends.
[[feed]]
name = "fix"
protocol = "fix"
publisher = 40003
dataset = "SIM.FIX"

[feed.fix]
version = "4.4"
address = %q
sender = %q
target = %q
list = true
`

func runSimFIX(ctx context.Context, o *fix.Options, span time.Duration, out io.Writer, asJSON bool) error {
	v, err := fix.Start(*o)
	if err != nil {
		return err
	}
	if span > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, span)
		defer cancel()
	}
	<-ctx.Done()
	c := v.Counters()
	sum := struct {
		Steps         uint64 `json:"steps"`
		Logons        uint64 `json:"logons"`
		Subscriptions uint64 `json:"subscriptions"`
		Snapshots     uint64 `json:"snapshots"`
		Increments    uint64 `json:"increments"`
		Entries       uint64 `json:"entries"`
		Conflated     uint64 `json:"conflated"`
		Garbled       uint64 `json:"garbled"`
	}{v.Steps(), c.Logons.Load(), c.Subscriptions.Load(), c.Snapshots.Load(), c.Increments.Load(), c.Entries.Load(), c.Conflated.Load(), c.Garbled.Load()}
	if err := v.Close(); err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(out).Encode(sum)
	}
	_, err = fmt.Fprintf(out, "%d steps; %d logons, %d subscriptions; %d W, %d X with %d entries; %d changes conflated for slow clients, %d garbled messages came\n",
		sum.Steps, sum.Logons, sum.Subscriptions, sum.Snapshots, sum.Increments, sum.Entries, sum.Conflated, sum.Garbled)
	return err
}
