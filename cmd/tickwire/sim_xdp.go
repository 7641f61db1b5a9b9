package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	wire "github.com/tickwire/tickwire/parsers/xdp"
	"github.com/tickwire/tickwire/sim/exchange"
	"github.com/tickwire/tickwire/sim/xdp"
	"github.com/tickwire/tickwire/sim/xdp/recorded"
	"github.com/tickwire/tickwire/sim/xdpgen"
)

const (
	simXDPPort = 26480  // of the request server by default
	simXDPRate = 50_000 // messages a second of a generated session by default
)

// xdpFlags are the command line's.
type xdpFlags struct {
	o              xdp.Options
	gen            xdpgen.Options
	lines          lineFlags
	path           string
	span, together time.Duration
	heartbeat      time.Duration
	rate           string
	version        string
	product        string
	failovers      []uint
	requests       string
	faults         []string
	services       [2]string // groups
	asJSON         bool
	printConfig    bool

	perSecond float64
	played    recorded.Counters
}

func simXDP() *cobra.Command {
	s := &xdpFlags{}
	c := &cobra.Command{
		Use: "xdp [FILE]", Short: "one channel of an NYSE venue in a box: lines A and B, request server, retransmission, refresh", Args: atMost(1),
		Long: `xdp plays one channel of a feed of the NYSE group as a venue does: packets on multicast lines A and B, a request server by TCP, and the
multicast channels that retransmissions, refreshes and symbol mappings come by.

  tickwire sim xdp                    a generated session with stamps of now, without end
  tickwire sim xdp capture.pcap       the channel of a capture, what either line has, with its own numbers

Nothing leaves this host unless an interface is named: packets go by lo with TTL 0, or by --interface, never by a default route.

Faults are drawn from --seed: the same seed and options give the same faults. A share is written 0.1% or 50ppm. At the end
sim says what it sent and lost on each line, and what neither line had.

Exit codes: 0 played to the end or until --for or Control-C, 1 the source or the network failed, 2 wrong usage.`,
		Example: `  tickwire sim xdp --print-config >> tickwire.toml   # a [[feed]] that receives what sim sends: then, side by side,
  tickwire sim xdp --for 10s                         #   the venue
  tickwire feed sim --config tickwire.toml           #   and its receiver

  tickwire sim xdp --rate 100000/s --loss-a 0.1% --loss-b 0.1% --both 20ppm:50 --for 1m
  tickwire sim xdp --both 0.1%:5 --requests-lose 10% --requests-spoil 5% --request-fault cut=20
  tickwire sim xdp capture.pcap --product-id 11 --channel 3 --pace x10`,
		RunE: func(cmd *cobra.Command, args []string) error {
			s.path = argOr(args, "")
			if err := s.options(); err != nil {
				return usageError{err}
			}
			if s.printConfig {
				_, err := io.WriteString(cmd.OutOrStdout(), s.o.Config())
				return err
			}
			return s.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	s.flags().addTo(c)
	return c
}

func (s *xdpFlags) flags() *flagGroups {
	groups := new(flagGroups)
	o := &s.o
	f := groups.add("What is played")
	f.StringVar(&s.rate, "rate", "", fmt.Sprintf("messages a second, such as 100000/s (default %d/s for a generated session)", simXDPRate))
	f.StringVar(&o.Pace, "pace", "", "instead of a rate: recorded (default for a file), x10, or max")
	f.DurationVar(&s.span, "for", 0, "end after this time (default: with the source, or at Control-C)")
	f.Uint64Var(&s.gen.Messages, "messages", 0, "messages of a generated session (default: without end)")
	f.IntVar(&s.gen.Symbols, "symbols", 500, "instruments of a generated session")
	f.StringVar(&s.version, "version", wire.Versions[0], "of the layouts: "+strings.Join(wire.Versions, ", "))
	f.StringVar(&s.product, "product", "integrated", "of a generated session: "+xdpProducts)
	f.StringVar(&s.gen.Market, "market", "arca", "of a generated session: whose feed it is: "+strings.Join(wire.MarketNames(), ", "))
	f.Uint8Var(&o.Product, "product-id", 0, "of a capture: the venue's number of the feed (default 157, Arca Integrated); a generated session has its own")
	f.Uint8Var(&o.Channel, "channel", 1, "the venue's number of the channel")
	f.Uint64Var(&o.Lines.Seed, "seed", 1, "of the generated session and of all faults")

	f = groups.add("How it is sent")
	s.lines = lineFlags{lines: &o.Lines, ttl: &o.TTL}
	s.lines.ends(f, xdp.GroupA, xdp.GroupB)
	f.StringVar(&s.services[0], "group-retransmission", xdp.RetransmissionGroup.String(), "multicast group of what is asked for again")
	f.StringVar(&s.services[1], "group-refresh", xdp.RefreshGroup.String(), "multicast group of refreshes and mappings")
	f.IntVar(&o.Play.PayloadBytes, "payload", xdp.MaxPayload, "bytes of the longest packet")
	f.DurationVar(&s.together, "together", 20*time.Microsecond, "how long a packet takes more messages")
	f.DurationVar(&s.heartbeat, "heartbeat", time.Second, "idle time after which one is sent")
	f.DurationVar(&o.Linger, "linger", 0, "how long heartbeats follow the last message, and requests are answered, at least")

	f = groups.add("Faults of the lines")
	s.lines.faults(f)
	f.UintSliceVar(&s.failovers, "failover", nil, "another publisher takes over before this message of a generated session; several: 5000,20000")

	f = groups.add("Request server")
	f.StringVar(&s.requests, "requests", "on", "on, off, or its address (on: port "+fmt.Sprint(simXDPPort)+" of the interface)")
	f.StringSliceVar(&o.Requests.Sources, "source-id", nil, "who may ask (default: anybody)")
	f.IntVar(&o.Keep, "requests-keep", 0, "messages that it has, the latest (default 4 million)")
	f.DurationVar(&o.Requests.Faults.Delay, "requests-delay", 0, "how slow it is")
	f.Var((*share)(&o.Requests.Faults.LossPPM), "requests-lose", "packets that the retransmission channel loses")
	f.Var((*share)(&o.Requests.Faults.RefreshLossPPM), "refresh-lose", "packets that the refresh channel loses")
	f.Var((*share)(&o.Requests.Faults.SpoilPPM), "requests-spoil", "packets of both that come damaged")
	f.StringArrayVar(&s.faults, "request-fault", nil, "refuse=STATUS, unavailable, no-data, silent, garbage, cut=REQUESTS, slow=TIME (a byte)")

	f = groups.add("What comes of it")
	f.BoolVar(&s.asJSON, "json", false, "the summary as JSON")
	f.BoolVar(&s.printConfig, "print-config", false, "print a [[feed]] block that receives this, and send nothing")
	return groups
}

func (s *xdpFlags) run(ctx context.Context, out, errs io.Writer) error {
	v, err := xdp.New(s.o)
	if err != nil {
		return err
	}
	if s.span > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.span)
		defer cancel()
	}
	began := time.Now()
	p := newProgress(errs)
	done, shown := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(shown)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				c := v.Counters()
				p.note("message %d  A %d sent, %d lost  B %d sent, %d lost  on neither %d  asked again %d  refreshed %d",
					c.Messages, c.Lines[0].Sent, c.Lines[0].Lost, c.Lines[1].Sent, c.Lines[1].Lost, c.LostMessages, c.Requests.Retransmitted, c.Requests.Refreshed)
			}
		}
	}()
	err = v.Run(ctx)
	close(done)
	<-shown
	p.done()
	took := time.Since(began)
	err = errors.Join(err, v.Close())
	c := v.Counters()
	if s.asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return cmp.Or(err, enc.Encode(&c))
	}
	return cmp.Or(err, s.summary(out, v.RequestAddr(), &c, took))
}

// summary says what was sent.
func (s *xdpFlags) summary(w io.Writer, requests netip.AddrPort, c *xdp.Counters, took time.Duration) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d messages in %d packets, in %s: %.0f messages/s\n", c.Messages, c.Packets, took.Round(time.Millisecond), float64(c.Messages)/took.Seconds())
	for i := range c.Lines {
		b.WriteString(lineText(i, [2]netip.AddrPort{s.o.Lines.A.Group, s.o.Lines.B.Group}[i], s.o.Interfaces[i], &c.Lines[i], c.SendFails[i]))
	}
	if r := &s.played; r.Missing+r.Strays > 0 {
		fmt.Fprintf(&b, "the capture lacks %d messages and has %d packets of no channel\n", r.Missing, r.Strays)
	}
	lost := make([]exchange.Span, len(c.Lost))
	for i, l := range c.Lost {
		lost[i] = exchange.Span{First: l.First, Last: l.Last}
	}
	fmt.Fprintf(&b, "on neither line: %d messages%s\n", c.LostMessages, spansText(lost))
	if r := &c.Requests; requests.IsValid() {
		fmt.Fprintf(&b, "requests at %s: %d clients, %d requests, %d refused; %d messages sent again, %d ranges not to be had, %d symbols refreshed; %d packets lost, %d damaged\n",
			requests, r.Connections, r.Requests, r.Refused, r.Retransmitted, r.Unavailable, r.Refreshed, r.Lost, r.Spoilt)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
