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
)

// simReplayPort is the TCP replay's by default: fixed, so that a configuration can be copied.
const simReplayPort = 26480

func simMDP3() *cobra.Command {
	var s simMDP3Flags
	g := mdp3gen.Options{Live: true}
	var span time.Duration
	var asJSON, printConfig bool
	var pace string
	o := &s.o
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
			if err := s.options(path); err != nil {
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
			return runSimMDP3(ctx, o, g, path, pace, cmd.OutOrStdout(), asJSON)
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.Float64Var(&o.Rate, "rate", 10_000, "events a second of the generated market")
	f.IntVar(&g.Instruments, "instruments", mdp3gen.DefaultInstruments, "futures, spreads and options")
	f.Uint64Var(&g.Messages, "messages", 0, "messages of the generated session (default: without end)")
	f.BoolVar(&g.LongQty, "longqty", false, "templates with 64-bit quantities")
	f.StringVar(&pace, "pace", "recorded", "of a capture: recorded, x10, 50000/s (packets) or max")
	f.DurationVar(&span, "for", 0, "end after this time (default: at Control-C)")
	f.Uint64Var(&o.Lines.Seed, "seed", 1, "of the market and of all faults")
	s.lines = lineFlags{lines: &o.Lines, ttl: &o.TTL}
	s.lines.ends(f, mdp3.GroupA, mdp3.GroupB)
	f.IntVar(&o.ChannelID, "channel", 310, "number of the channel")
	s.lines.faults(f)
	f.BoolVar(&s.noLoops, "no-loops", false, "no snapshots and no definitions")
	for kind, group := range []netip.AddrPort{mdp3.LevelsA, mdp3.OrdersA, mdp3.DefinitionsA} {
		name := mdp3Loops[kind]
		f.StringVar(&s.loops[kind], name, group.String(), "multicast group of the loop of "+name+", or off")
	}
	f.Var((*share)(&o.LoopLossPPM), "loss-loops", "packets that the loops lose")
	f.DurationVar(&o.LoopEvery, "loop-every", time.Millisecond, "time between two packets of a loop")
	f.DurationVar(&o.ResetEvery, "reset-every", 0, "reset the channel each so long (default: never)")
	f.BoolVar(&o.Restart, "restart", false, "begin numbers with 1 again at a reset")
	f.StringVar(&s.replay, "replay", "on", fmt.Sprintf("on, off, or the TCP replay's address (on: port %d of loopback)", simReplayPort))
	f.StringVar(&o.Replay.User, "replay-user", "", "who may ask for a replay (default: anybody)")
	f.StringVar(&s.password, "replay-password-file", "", "whose first line is the password")
	f.IntVar(&o.Replay.CutAfter, "replay-cut", 0, "break each connection off after so many packets (default: never)")
	f.BoolVar(&asJSON, "json", false, "the summary as JSON")
	f.BoolVar(&printConfig, "print-config", false, "print a [[feed]] block that receives this, and send nothing")
	return c
}

// simMDP3Flags are what is text on the command line, and the options that are made of it.
type simMDP3Flags struct {
	o        mdp3.Options
	lines    lineFlags
	loops    [3]string
	noLoops  bool
	replay   string
	password string
}

var mdp3Loops = [3]string{"levels", "orders", "definitions"}

// options makes options of what was typed, and reports all faults at once. A recording, path, has no loops.
func (s *simMDP3Flags) options(path string) error {
	o := &s.o
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	group := func(flag, text string) netip.AddrPort {
		a, err := netip.ParseAddrPort(text)
		if err != nil || !a.Addr().IsMulticast() || a.Port() == 0 {
			bad("--%s %s is no multicast address with a port", flag, text)
		}
		return a
	}
	if err := s.lines.parse(); err != nil {
		errs = append(errs, err)
	}
	o.Interfaces = s.lines.both()
	for kind, to := range []*netip.AddrPort{&o.Levels, &o.Orders, &o.Definitions} {
		if path == "" && !s.noLoops && s.loops[kind] != "off" {
			*to = group(mdp3Loops[kind], s.loops[kind])
		}
	}
	var err error
	switch s.replay {
	case "off":
	case "on":
		o.ReplayAt = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), simReplayPort)
	default:
		if o.ReplayAt, err = netip.ParseAddrPort(s.replay); err != nil {
			bad("--replay %s is none of: on, off, 127.0.0.1:%d", s.replay, simReplayPort)
		}
	}
	if s.password != "" {
		if o.Replay.Password, err = firstLine(s.password); err != nil {
			errs = append(errs, err)
		}
	}
	if o.ChannelID < 1 || o.ChannelID > 1<<15-1 {
		bad("--channel %d, want 1 to %d", o.ChannelID, 1<<15-1)
	}
	return errors.Join(errs...)
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
	c, at := e.Counters(), e.ReplayAddr()
	if err = errors.Join(err, e.Close()); err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(out).Encode(c)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d events in %d packets, the last of which has number %d; %d resets, %d sends refused by the kernel\n", c.Events, c.Packets, c.Last, c.Resets, c.SendFails)
	for i, group := range []netip.AddrPort{o.Lines.A.Group, o.Lines.B.Group} {
		l := &c.Lines[i]
		fmt.Fprintf(&b, "line %c  %s: %d sent, %d lost (%d in bursts, %d with the other line, %d in silence), %d twice, %d overtaken, %d damaged\n",
			'A'+i, group, l.Sent, l.Lost, l.InBursts, l.InBoth, l.InSilence, l.Duplicated, l.Late, l.Corrupted)
	}
	fmt.Fprintf(&b, "on neither line: %d packets\n", c.LostBoth)
	for kind, group := range []netip.AddrPort{o.Levels, o.Orders, o.Definitions} {
		if group.IsValid() {
			fmt.Fprintf(&b, "loop of %s  %s: %d packets, %d rounds begun\n", mdp3Loops[kind], group, c.LoopPackets[kind], c.Rounds[kind])
		}
	}
	if c.LoopLost > 0 {
		fmt.Fprintf(&b, "loops lost %d packets\n", c.LoopLost)
	}
	if o.ReplayAt.IsValid() {
		r := &c.Replay
		fmt.Fprintf(&b, "replay at %s: %d connections, %d requests, %d refused, %d packets sent again\n", at, r.Connections, r.Requests, r.Rejected, r.Packets)
	}
	if c.Strays > 0 {
		fmt.Fprintf(&b, "the capture has %d packets that are of no such channel\n", c.Strays)
	}
	_, err = io.WriteString(out, b.String())
	return err
}
