package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/sim/exchange"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/sim/mold"
)

// Ports of the servers by default: fixed, so that a configuration can be copied.
const (
	simRequestPort  = 26478
	simSnapshotPort = 26479
)

// simFlags are the command line's.
type simFlags struct {
	o           exchange.Options
	span        time.Duration
	rate        string
	profile     string
	via         string
	lines       lineFlags
	requests    string
	snapshots   string
	password    string
	together    time.Duration
	snapFaults  []string
	asJSON      bool
	printConfig bool
}

func simCommand() *cobra.Command {
	s := &simFlags{}
	c := &cobra.Command{
		Use: "sim [FILE]", Short: "an exchange in a box: lines A and B, re-requests, snapshots, and all that goes wrong", Args: atMost(1),
		Long: `sim plays a session as a venue does: MoldUDP64 packets on multicast lines A and B, a server for what is asked again, a GLIMPSE
server for who comes late. It is for your tests of whatever receives such a feed, tickwire included.

  tickwire sim                    a generated session with stamps of now, without end
  tickwire sim day.itch.gz        a BinaryFILE, by the times of its messages
  tickwire sim capture.pcap       the MoldUDP64 packets of a capture, what either line has

Nothing leaves this host unless an interface is named: packets go by lo with TTL 0, or by --interface, never by a default route.

Faults are drawn from --seed: the same seed and options give the same faults. A share is written 0.1% or 50ppm. At the end
sim says what it sent and lost on each line, and what no receiver can have; --expect writes all messages in order, to compare
with what yours made of them.

Exit codes: 0 played to the end or until --for or Control-C, 1 the source, the network or the truth failed, 2 wrong usage.`,
		Example: `  tickwire sim --print-config >> tickwire.toml       # a [[feed]] that receives what sim sends: then, side by side,
  tickwire sim --for 10s                             #   the exchange
  tickwire feed sim --config tickwire.toml           #   and its receiver

  tickwire sim --rate 200000/s --loss-a 0.1% --loss-b 0.1% --both 20ppm:50 --expect truth.itch --for 1m
  tickwire sim day.itch --pace x10 --delay-b 3s --silence a:10s+2s/30s --corrupt-b 100ppm
  tickwire sim --restart-after 30s --restarts 3 --roll --requests-wrong 10% --snapshot-fault cut=1000
  tickwire sim capture.pcap --via afxdp --interface gen0,gen1 --pace max --json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			s.o.Path = argOr(args, "")
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
	c.AddCommand(simXDP(), simFIX(), simMDP3())
	return c
}

func (s *simFlags) flags() *flagGroups {
	groups := new(flagGroups)
	group := groups.add
	o := &s.o
	f := group("What is played")
	f.StringVar(&s.rate, "rate", "", "messages a second, such as 100000/s (default 50000/s for a generated session)")
	f.StringVar(&o.Pace, "pace", "", "instead of a rate: recorded (default for a file), x10, or max")
	f.DurationVar(&s.span, "for", 0, "end after this time (default: with the source, or at Control-C)")
	f.Uint64Var(&o.Gen.Messages, "messages", 0, "messages of a generated session (default: without end)")
	f.IntVar(&o.Gen.Symbols, "symbols", 500, "instruments of a generated session")
	f.StringVar(&s.profile, "profile", "realistic", "of a generated session: realistic or hostile")
	f.Uint64Var(&o.Lines.Seed, "seed", 1, "of the generated session and of all faults")
	f.StringVar(&o.Session, "session", exchange.DefaultSession, "name of the first session, at most 10 characters")

	f = group("How it is sent")
	s.lines = lineFlags{lines: &o.Lines, ttl: &o.TTL}
	s.lines.ends(f, exchange.GroupA, exchange.GroupB)
	f.StringVar(&s.via, "via", "sockets", "sockets, or afxdp: whole frames to the driver (CAP_NET_RAW, not on lo)")
	f.IntVar(&o.Queue, "queue", 0, "of the interface, with afxdp")
	f.Uint16Var(&o.VLAN, "vlan", 0, "tag of the frames, with afxdp")
	f.IntVar(&o.PayloadBytes, "payload", mold.DefaultPayload, "bytes of the longest packet")
	f.DurationVar(&s.together, "together", 20*time.Microsecond, "how long a packet takes more messages")
	f.DurationVar(&o.Heartbeat, "heartbeat", time.Second, "idle time after which one is sent")
	f.BoolVar(&o.Spin, "spin", false, "burn a core for sending to the microsecond")

	f = group("Faults of the lines")
	s.lines.faults(f)

	f = group("Sessions")
	f.Uint64Var(&o.Restart.Every, "restart-every", 0, "begin a new session after so many messages")
	f.DurationVar(&o.Restart.After, "restart-after", 0, "or after a time")
	f.IntVar(&o.Restart.Times, "restarts", 0, "how often; -1: for ever (default: once with the above)")
	f.BoolVar(&o.Restart.Roll, "roll", false, "tell a session's end before the next one, as at a change of day")
	f.IntVar(&o.Ends, "ends", 3, "how often the end is told; -1: not at all")
	f.DurationVar(&o.Linger, "linger", 0, "how long the end is told, and requests answered, at least")

	f = group("Re-request server")
	f.StringVar(&s.requests, "requests", "on", "on, off, or its address (on: port "+fmt.Sprint(simRequestPort)+" of the interface)")
	f.IntVar(&o.Requests.Keep, "requests-keep", exchange.DefaultKeep, "messages of a session that it has, the latest")
	f.DurationVar(&o.Requests.Delay, "requests-delay", 0, "how slow it is")
	f.Var((*share)(&o.Requests.LossPPM), "requests-lose", "answers that it does not give; 100%: never any")
	f.Var((*share)(&o.Requests.WrongPPM), "requests-wrong", "answers that are cut, garbage, of another session, of other numbers")
	f.IntVar(&o.Requests.PayloadBytes, "requests-payload", 0, "bytes of the longest answer: small ones answer in part (default --payload)")

	f = group("Snapshot server (GLIMPSE)")
	f.StringVar(&s.snapshots, "snapshots", "on", "on, off, or its address (on: port "+fmt.Sprint(simSnapshotPort)+" of the interface)")
	f.StringVar(&o.Snapshots.User, "snapshots-user", "", "who may log in (default: anybody)")
	f.StringVar(&s.password, "snapshots-password-file", "", "whose first line is the password")
	f.StringArrayVar(&s.snapFaults, "snapshot-fault", nil, "refuse, silent, no-heartbeats, endless, garbage, cut=MESSAGES, end=MESSAGES, shift=NUMBERS, slow=BYTES (a second), delay=TIME, late=TIME")

	f = group("What comes of it")
	f.StringVar(&o.Expect, "expect", "", "file for all messages in order (BinaryFILE); further sessions go to FILE.2 and on")
	f.BoolVar(&s.asJSON, "json", false, "the summary as JSON")
	f.BoolVar(&s.printConfig, "print-config", false, "print a [[feed]] block that receives this, and send nothing")
	return groups
}

// options makes options of what was typed, and reports all faults at once.
func (s *simFlags) options() error {
	o := &s.o
	var errs []error
	also := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	if s.rate != "" {
		if o.Pace != "" {
			errs = append(errs, errors.New("--rate and --pace exclude each other"))
		}
		o.Pace = strings.TrimSuffix(s.rate, "/s") + "/s"
	}
	if s.span < 0 {
		errs = append(errs, fmt.Errorf("--for %s is negative", s.span))
	}
	o.Gen.Seed = o.Lines.Seed
	o.Requests.Seed = o.Lines.Seed
	o.Together = s.together
	var err error
	o.Gen.Profile, err = itchgen.ParseProfile(s.profile)
	also(err)
	o.Via, err = exchange.ParseVia(s.via)
	also(err)
	also(s.lines.parse())
	o.Interfaces = s.lines.both()
	o.Requests.Addr, err = s.lines.server("--requests", s.requests, simRequestPort)
	also(err)
	o.Snapshots.Addr, err = s.lines.server("--snapshots", s.snapshots, simSnapshotPort)
	also(err)
	o.Snapshots.Faults, err = parseSnapshotFaults(s.snapFaults)
	also(err)
	if s.password != "" {
		o.Snapshots.Password, err = firstLine(s.password)
		also(err)
	}
	also(o.Validate())
	return errors.Join(errs...)
}

func firstLine(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	line, err := bufio.NewReader(f).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}

func (s *simFlags) run(ctx context.Context, out, errs io.Writer) error {
	e, err := exchange.New(s.o)
	if err != nil {
		return err
	}
	if s.span > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.span)
		defer cancel()
	}
	p := newProgress(errs)
	done := make(chan struct{})
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		simProgress(p, e, done)
	}()
	err = e.Run(ctx)
	close(done)
	<-shown
	p.done()
	err = errors.Join(err, e.Close())
	c := e.Counters()
	if s.asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return cmp.Or(err, enc.Encode(c))
	}
	return cmp.Or(err, simSummary(out, e, &c))
}

// simProgress shows what goes out, on a terminal.
func simProgress(p *progress, e *exchange.Exchange, done chan struct{}) {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	last, at, rate := uint64(0), time.Now(), 0.0
	for {
		select {
		case <-done:
			return
		case now := <-tick.C:
			if now.Sub(at) >= time.Second {
				n := e.Messages()
				rate, last, at = float64(n-last)/now.Sub(at).Seconds(), n, now
			}
			c := e.Counters()
			p.note("%s  message %d  %.0f/s  A %d sent, %d lost  B %d sent, %d lost  on neither %d  asked again %d  snapshots %d",
				c.Session, c.Messages, rate, c.Lines[0].Sent, c.Lines[0].Lost, c.Lines[1].Sent, c.Lines[1].Lost, c.LostMessages, c.Requests.Messages,
				c.Snapshots.Snapshots)
		}
	}
}

// simSummary says what was sent.
func simSummary(w io.Writer, e *exchange.Exchange, c *exchange.Counters) error {
	o := e.Options()
	packets, messages := c.PerSecond()
	var b strings.Builder
	fmt.Fprintf(&b, "%d messages of %d session(s) in %d packets, in %s: %.0f messages/s, %.0f packets/s by %s\n",
		c.Messages, c.Sessions, c.Packets, time.Duration(c.Took).Round(time.Millisecond), messages, packets, o.Via)
	fmt.Fprintf(&b, "last session %s, last message %d\n", c.Session, max(c.Next, 1)-1)
	for i := range c.Lines {
		b.WriteString(lineText(i, [2]netip.AddrPort{o.Lines.A.Group, o.Lines.B.Group}[i], o.Interfaces[i], &c.Lines[i], c.SendFails[i]))
	}
	if c.LastFail != "" {
		fmt.Fprintf(&b, "last refusal: %s\n", c.LastFail)
	}
	if c.LateMax > 0 {
		fmt.Fprintf(&b, "late: half %s, 99 of 100 %s, all %s\n", time.Duration(c.LateP50), time.Duration(c.LateP99), time.Duration(c.LateMax))
	}
	if c.Missing+c.Strays > 0 {
		fmt.Fprintf(&b, "the capture lacks %d messages and has %d packets of no session\n", c.Missing, c.Strays)
	}
	fmt.Fprintf(&b, "on neither line: %d messages%s; no receiver can have %d\n", c.LostMessages, spansText(c.Lost), c.Gone)
	if a := e.Options().Requests.Addr; a.IsValid() {
		r := &c.Requests
		fmt.Fprintf(&b, "re-requests at %s: %d came, %d answered with %d messages, %d met with silence, %d lost, %d spoilt\n",
			e.RequestAddr(), r.Requests, r.Answers, r.Messages, r.Silences, r.Lost, r.Spoilt)
	}
	if a := e.Options().Snapshots.Addr; a.IsValid() {
		n := &c.Snapshots
		fmt.Fprintf(&b, "snapshots at %s: %d connections, %d refused, %d sent whole with %d messages, %d cut\n",
			e.SnapshotAddr(), n.Connections, n.Rejected, n.Snapshots, n.Messages, n.Cut)
	}
	if o.Expect != "" {
		fmt.Fprintf(&b, "the truth: %s", o.Expect)
		if c.Sessions > 1 {
			fmt.Fprintf(&b, " and %s.2 … .%d", o.Expect, c.Sessions)
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// spansText names the first losses.
func spansText(lost []exchange.Span) string {
	const most = 5
	var b strings.Builder
	for i, s := range lost {
		if i == most {
			fmt.Fprintf(&b, " and %d more (--json has them)", len(lost)-most)
			break
		}
		b.WriteString(map[bool]string{true: ": ", false: ", "}[i == 0])
		if s.First == s.Last {
			fmt.Fprintf(&b, "%d", s.First)
			continue
		}
		fmt.Fprintf(&b, "%d–%d", s.First, s.Last)
	}
	return b.String()
}
