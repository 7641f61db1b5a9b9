package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/feed/process"
	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/file"
	"github.com/tickwire/tickwire/nic/pace"
	"github.com/tickwire/tickwire/nic/pcap"
	"github.com/tickwire/tickwire/nic/udp"
	"github.com/tickwire/tickwire/parsers/moldudp64"
	"github.com/tickwire/tickwire/plugins/manifest"
)

type replayOptions struct {
	pace, iface, session string
	input                input
	groups               []string
	ttl                  int
	at                   where
	name, dataset        string
	publisher            uint16
	guests               guests
}

func replayCommand() *cobra.Command {
	var o replayOptions
	c := &cobra.Command{
		Use: "replay FILE", Short: "play a capture into rings, or as multicast", Args: exactly(1),
		Long: `replay plays a capture at its own pace, another, or as fast as it goes.

Without --interface it is a feed whose source is the file: rings and side files appear as a live feed's do, and stay for
readers when it has ended. With --interface and --group it sends packets instead: those of a capture as they are (first
group: line A, second: line B), those of a BinaryFILE day as MoldUDP64 packets on every group given. Nothing is ever sent by a
default route, and with TTL 0, the default, nothing leaves this host.

With --plugin rows pass plugins before they reach the rings, as a feed's do; --protocol may name a parser among them.`,
		Example: `  tickwire replay day.itch.gz --pace x10
  tickwire replay day.pcap --pace recorded --interface lo --group 239.1.1.1:26477 --group 239.1.1.2:26477`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := pace.Parse(o.pace); err != nil {
				return usageError{err}
			}
			if (o.iface == "") != (len(o.groups) == 0) {
				return usageError{errors.New("--interface and --group go together")}
			}
			if o.iface != "" && len(o.guests.paths)+len(o.guests.params) > 0 {
				return usageError{errors.New("--plugin is for rows: packets are sent as they are")}
			}
			if o.iface == "" {
				return o.intoRings(cmd.Context(), args[0], cmd.ErrOrStderr())
			}
			return o.asMulticast(cmd.Context(), args[0], cmd.ErrOrStderr())
		},
	}
	f := c.Flags()
	f.StringVar(&o.pace, "pace", "recorded", "recorded, x10 (any factor), 50000/s (messages), or max")
	o.input.flags(c)
	f.StringVar(&o.name, "name", "replay", "name of the feed in shared memory")
	f.Uint16Var(&o.publisher, "publisher", 0, "DBN publisher id of the records (default: that of the capture's market, or the protocol's)")
	f.StringVar(&o.dataset, "dataset", "", "DBN dataset of the records (default: that of the capture's market, or the protocol's)")
	o.at.flags(c)
	o.guests.flags(c)
	f.StringVar(&o.iface, "interface", "", "send multicast out of this interface instead")
	f.StringArrayVar(&o.groups, "group", nil, "group and port to send to; once for line A, once more for B")
	f.IntVar(&o.ttl, "ttl", 0, "of what is sent; 0 stays on this host")
	f.StringVar(&o.session, "session", "REPLAY0001", "MoldUDP64 session of a BinaryFILE day's packets")
	return c
}

// intoRings runs a feed process whose source is the file.
func (o *replayOptions) intoRings(ctx context.Context, path string, errs io.Writer) error {
	instance := o.at.instance
	if instance == "" {
		instance = "replay"
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	of, err := o.records(path, errs)
	if err != nil {
		return err
	}
	cfg := &config.Config{
		Instance: config.Instance{Name: instance, RingDir: o.at.ringDir},
		Feed: []config.Feed{{
			Name: o.name, Source: "file", Path: abs, Pace: o.pace, Date: o.input.date,
			Protocol: of.protocol, Version: o.input.version, Product: o.input.product, Prices: o.input.prices, Definitions: o.input.definitions, Schema: o.input.schema,
			Publisher: of.publisher, Dataset: of.dataset, Plugin: of.plugins,
		}},
	}
	if len(of.plugins) > 0 {
		c, err := pluginConfig()
		if err != nil {
			return err
		}
		cfg.Plugins = *c
	}
	cfg.Defaults()
	if err := cfg.Validate(); err != nil {
		return usageError{err}
	}
	p, err := process.Open(cfg, &cfg.Feed[0], slog.New(slog.NewTextHandler(errs, nil)))
	if err != nil {
		return err
	}
	fmt.Fprintf(errs, "playing %s into %s/%s/%s.* (tickwire ring ls shows them)\n", path, o.at.ringDir, instance, o.name)
	return errors.Join(p.Run(ctx), p.Close())
}

// played is what a capture is played as.
type played struct {
	protocol, dataset string
	publisher         uint16
	plugins           []config.Plugin // of the feed, as a configuration has them
}

// records tells what a capture's records are, where the flags do not say it, and which plugins the feed has.
func (o *replayOptions) records(path string, errs io.Writer) (of played, err error) {
	if err := o.guests.openHere(errs); err != nil {
		return of, err
	}
	defer func() { err = errors.Join(err, o.guests.close()) }() // the feed compiles them for itself
	of = played{protocol: o.input.protocol, dataset: o.dataset, publisher: o.publisher}
	guest := false // one of them is the parser that --protocol names
	for _, p := range o.guests.loaded {
		of.plugins = append(of.plugins, p.spec)
		guest = guest || p.Unit(manifest.Parser, o.input.protocol) >= 0
	}
	if guest {
		return of, nil
	}
	input := o.input.options()
	if err := o.guests.reads(&input); err != nil {
		return of, err
	}
	proto, publisher, dataset, err := process.RecordsOf(path, input)
	if err != nil {
		return of, err
	}
	if of.protocol = proto.Name; of.publisher == 0 {
		of.publisher = publisher
	}
	if of.dataset == "" {
		of.dataset = dataset
	}
	if owner := o.guests.owner(proto); owner != nil && !owner.given {
		of.plugins = append(of.plugins, owner.spec)
	}
	return of, nil
}

// asMulticast sends packets.
func (o *replayOptions) asMulticast(ctx context.Context, path string, errs io.Writer) error {
	if len(o.groups) > 2 || len(o.session) > 10 {
		return usageError{errors.New("at most two groups, lines A and B, and a session of at most 10 characters")}
	}
	p, err := pace.Parse(o.pace)
	if err != nil {
		return usageError{err}
	}
	var lines []*udp.Sender
	for _, text := range o.groups {
		group, err := netip.ParseAddrPort(text)
		if err != nil {
			return usageError{fmt.Errorf("--group %q: %w", text, err)}
		}
		s, err := udp.NewSender(group, o.iface, o.ttl)
		if err != nil {
			return err
		}
		defer s.Close()
		lines = append(lines, s)
	}
	kind, _, err := nic.Detect(path)
	if err != nil {
		return err
	}
	var stop atomic.Bool
	defer context.AfterFunc(ctx, func() { stop.Store(true) })()
	var sent uint64
	switch kind {
	case nic.FilePcap, nic.FilePcapNG:
		sent, err = sendCapture(path, p, lines, &stop)
	case nic.FileBinary:
		sent, err = o.sendDay(path, p, lines, &stop)
	default:
		return fmt.Errorf("%s is %s; want a capture or a BinaryFILE day", path, kind)
	}
	fmt.Fprintf(errs, "%d packets sent\n", sent)
	return err
}

// sendCapture sends a capture's packets by line.
func sendCapture(path string, p *pace.Pacer, lines []*udp.Sender, stop *atomic.Bool) (sent uint64, err error) {
	r, err := pcap.Open(path)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	packets := make([]nic.Packet, 1)
	for !stop.Load() {
		n, err := r.Poll(packets)
		if n == 1 && int(packets[0].Line) < len(lines) {
			p.Wait(packets[0].TsRecv, 1, stop)
			if _, err := lines[packets[0].Line].Send([][]byte{packets[0].Data}); err != nil {
				return sent, err
			}
			sent++
		}
		if errors.Is(err, io.EOF) {
			return sent, nil
		}
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// mostPayload keeps a packet within an Ethernet frame, as the venue does.
const mostPayload = 1400

// sendDay packs a day's messages: those that are due together go into one packet, as many as fit.
func (o *replayOptions) sendDay(path string, p *pace.Pacer, lines []*udp.Sender, stop *atomic.Bool) (sent uint64, err error) {
	r, err := file.Open(path)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	var session [10]byte
	copy(session[:], fmt.Sprintf("%-10s", o.session))
	var packet []byte
	count, next := 0, uint64(1) // messages in packet; number of the first of them
	flush := func() error {
		if count == 0 {
			return nil
		}
		binary.BigEndian.PutUint16(packet[18:], uint16(count))
		for _, l := range lines {
			if _, err := l.Send([][]byte{packet}); err != nil {
				return err
			}
			sent++
		}
		next += uint64(count)
		count = 0
		return nil
	}
	for !stop.Load() {
		span, _, n, err := r.Next(1024)
		for range n {
			size := 2 + int(binary.BigEndian.Uint16(span))
			ts := uint64(0)
			if size >= 13 {
				ts = binary.BigEndian.Uint64(span[5:]) & (1<<48 - 1)
			}
			if count > 0 && (len(packet)+size > mostPayload || !p.Due(ts)) {
				if err := flush(); err != nil {
					return sent, err
				}
			}
			p.Wait(ts, 1, stop)
			if count == 0 {
				packet = moldudp64.AppendHeader(packet[:0], moldudp64.Header{Session: session, Sequence: next})
			}
			packet = append(packet, span[:size]...)
			span = span[size:]
			count++
		}
		if err := flush(); err != nil {
			return sent, err
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return sent, err
		}
	}
	end := moldudp64.AppendHeader(nil, moldudp64.Header{Session: session, Sequence: next, Count: moldudp64.EndOfSession})
	for _, l := range lines {
		if _, err := l.Send([][]byte{end}); err != nil {
			return sent, err
		}
	}
	time.Sleep(time.Millisecond) // let the kernel hand it over before the sockets go
	return sent, nil
}
