package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/sim/mdp3"
	"github.com/tickwire/tickwire/sim/mdp3gen"
	"github.com/tickwire/tickwire/sim/mold"
)

// simReplayPort is the TCP replay's by default: fixed, so that a configuration can be copied.
const simReplayPort = 26480

func simMDP3() *cobra.Command {
	o := mdp3.Options{Levels: mdp3.LevelsA, Orders: mdp3.OrdersA, Definitions: mdp3.DefinitionsA}
	g := mdp3gen.Options{Live: true}
	var span time.Duration
	var asJSON, printConfig bool
	var interfaces, silences []string
	var pace, replay string
	c := &cobra.Command{
		Use: "mdp3 [CAPTURE]", Short: "a CME MDP 3.0 channel in a box: lines A and B, snapshot loops, definitions, TCP replay", Args: atMost(1),
		Long: `mdp3 plays one channel as the venue does: packets on multicast lines A and B, the loops of snapshots by price and by order and of definitions, and
the replay of packets over TCP. The market is generated, with stamps of now, without end. A CAPTURE of a channel's incremental feed is played instead, without
loops, for it has no state.

Nothing leaves this host unless an interface is named: packets go by lo with TTL 0, or by --interface, never by a default route.`,
		Example: `  tickwire sim mdp3 --print-config > cme.toml        # a [[feed]] that receives it: then, side by side,
  tickwire sim mdp3 --for 1m --both 200ppm:20        #   the channel
  tickwire feed sim --config cme.toml                #   and its receiver`,
		RunE: func(cmd *cobra.Command, args []string) error {
			path := argOr(args, "")
			if err := simMDP3Options(&o, interfaces, silences, replay, path); err != nil {
				return usageError{err}
			}
			if printConfig {
				_, err := io.WriteString(cmd.OutOrStdout(), o.Config())
				return err
			}
			ctx := cmd.Context()
			if span > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, span)
				defer cancel()
			}
			g.Seed, g.Channel = o.Lines.Seed, int16(o.ChannelID)
			return runSimMDP3(ctx, &o, g, path, pace, cmd.OutOrStdout(), asJSON)
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.Float64Var(&o.Rate, "rate", 10_000, "events a second of the generated market")
	f.IntVar(&g.Instruments, "instruments", mdp3gen.DefaultInstruments, "futures, spreads and options")
	f.Uint64Var(&g.Messages, "messages", 0, "messages of the generated session (default: without end)")
	f.BoolVar(&g.LongQty, "long-qty", false, "templates with 64-bit quantities")
	f.StringVar(&pace, "pace", "recorded", "of a capture: recorded, x10, 50000/s (packets) or max")
	f.DurationVar(&span, "for", 0, "end after this time (default: at Control-C)")
	f.Uint64Var(&o.Lines.Seed, "seed", 1, "of the market and of all faults")
	f.StringSliceVar(&interfaces, "interface", []string{"lo"}, "that lines A and B leave by: one for both, or two")
	f.IntVar(&o.TTL, "ttl", 0, "of packets; on lo always 0 (default 1 on other interfaces)")
	f.IntVar(&o.ChannelID, "channel", 310, "number of the channel")
	for i, l := range []*mold.Line{&o.Lines.A, &o.Lines.B} {
		at := string(rune('a' + i))
		name := strings.ToUpper(at)
		f.Var((*share)(&l.LossPPM), "loss-"+at, "packets that line "+name+" loses")
		f.Var((*nanos)(&l.DelayNs), "delay-"+at, "how far line "+name+" is behind, up to a minute")
		f.Var(&corruptValue{l}, "corrupt-"+at, "packets of line "+name+" that come damaged; WAYS: header,length,truncate (default), payload")
	}
	f.Var(&burstValue{&o.Lines.BothPPM, &o.Lines.BothPackets}, "both", "packets at which both lines begin to lose N in a row")
	f.StringArrayVar(&silences, "silence", nil, "a, b or both, after a time, for a time, again each time: b:10s+500ms/30s")
	f.Var((*share)(&o.LoopLossPPM), "loss-loops", "packets that the loops lose")
	f.DurationVar(&o.LoopEvery, "loop-every", time.Millisecond, "time between two packets of a loop")
	f.DurationVar(&o.ResetEvery, "reset-every", 0, "reset the channel each so long (default: never)")
	f.BoolVar(&o.Restart, "restart", false, "begin numbers with 1 again at a reset")
	f.StringVar(&replay, "replay", "on", fmt.Sprintf("on, off, or the TCP replay's address (on: port %d of loopback)", simReplayPort))
	f.BoolVar(&asJSON, "json", false, "the summary as JSON")
	f.BoolVar(&printConfig, "print-config", false, "print a [[feed]] block that receives this, and send nothing")
	return c
}

// simMDP3Options makes options of what was typed.
func simMDP3Options(o *mdp3.Options, interfaces, silences []string, replay, path string) error {
	if len(interfaces) < 1 || len(interfaces) > 2 {
		return fmt.Errorf("%d interfaces, want one or two", len(interfaces))
	}
	copy(o.Interfaces[:], interfaces)
	for _, text := range silences {
		s, err := parseSilence(text)
		if err != nil {
			return err
		}
		o.Lines.Silences = append(o.Lines.Silences, s)
	}
	switch replay {
	case "off":
	case "on":
		o.ReplayAt = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), simReplayPort)
	default:
		var err error
		if o.ReplayAt, err = netip.ParseAddrPort(replay); err != nil {
			return fmt.Errorf("--replay %s: want on, off or an address with a port", replay)
		}
	}
	if path != "" {
		o.Levels, o.Orders, o.Definitions = netip.AddrPort{}, netip.AddrPort{}, netip.AddrPort{}
	}
	return nil
}

func runSimMDP3(ctx context.Context, o *mdp3.Options, g mdp3gen.Options, path, pace string, out io.Writer, asJSON bool) error {
	market, err := mdp3gen.New(g)
	if err != nil {
		return usageError{err}
	}
	e, err := mdp3.NewExchange(market, *o)
	if err != nil {
		return err
	}
	if path != "" {
		err = e.Play(ctx, path, pace)
	} else {
		err = e.Run(ctx)
	}
	c := e.Counters()
	if err = errors.Join(err, e.Close()); err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(out).Encode(c)
	}
	_, err = fmt.Fprintf(out, "%d events in %d packets; line A sent %d and lost %d, B %d and %d; %d packets on neither; loops sent %d (levels), %d (orders), %d (definitions) and lost %d; %d packets replayed on %d requests; %d resets, %d sends refused\n",
		c.Events, c.Packets, c.Lines[0].Sent, c.Lines[0].Lost, c.Lines[1].Sent, c.Lines[1].Lost, c.LostBoth, c.LoopPackets[0], c.LoopPackets[1], c.LoopPackets[2], c.LoopLost,
		c.Replay.Packets, c.Replay.Requests, c.Resets, c.SendFails)
	return err
}
