package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/internal/control"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/afxdp"
	"github.com/tickwire/tickwire/nic/capture"
	"github.com/tickwire/tickwire/nic/udp"
)

// captureOptions are the flags of `capture`.
type captureOptions struct {
	config, runDir, feed string
	lane                 string
	lines, groups        []string
	interfaces           []string
	source               string
	files                capture.FilesOptions
	rotateSize, buffer   sizeFlag
	limits               capture.Limits
	asJSON               bool
}

// sizeFlag is a number of bytes on the command line.
type sizeFlag config.Size

func (s *sizeFlag) String() string {
	text, _ := config.Size(*s).MarshalText()
	return string(text)
}
func (s *sizeFlag) Set(v string) error { return (*config.Size)(s).UnmarshalText([]byte(v)) }
func (s *sizeFlag) Type() string       { return "size" }

func captureCommand() *cobra.Command {
	o := captureOptions{buffer: capture.DefaultBytes}
	c := &cobra.Command{
		Use: "capture --out FILE", Short: "record what the receive path sees, to pcapng", Args: exactly(0),
		Long: `capture writes the packets that a running feed receives to pcapng files, with the feed's own stamps in nanoseconds: the
same packets, on the same lines, before anything is decoded. Any tool that reads pcapng reads them, and so do decode, replay
and sql --from.

It does not slow the feed. The lane copies packets into a ring in shared memory, asks nobody and waits for nobody; this process
writes them to the disk. A disk that is too slow loses packets for the capture, never for the feed; how many is told at the end, in the
file's interface statistics, and by exit code 1. A larger --buffer rides out longer pauses of the disk.

Each interface block of the file is one lane, line and source of stamps (hardware, kernel, loop), as its description says.
Sources without the packet's frame (plain sockets) have their headers made again from addresses and ports, and say so.

A file that is being written ends in .part. It gets its name when it is whole and on the disk. With rotation, names carry the
time and a number: day-20260105T143000.000Z-00001.pcapng.

With --interface it needs no feed: it joins the groups itself, through AF_XDP where it may, else through sockets.`,
		Example: `  tickwire capture --feed nasdaq --out day.pcapng                        all lanes and lines, until Control-C
  tickwire capture --feed nasdaq --line B --for 10s --out - | tshark -r -
  tickwire capture --feed nasdaq --out day.pcapng --rotate-size 1GiB --keep 20 --compress zstd
  tickwire capture --feed nasdaq --group 233.54.12.111:26477 --count 1000 --snaplen 96 --out head.pcapng
  tickwire capture --interface eth1 --group 233.54.12.111:26477 --for 1m --out raw.pcapng
  tickwire decode day.pcapng | head                                      what was on the wire`,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	f := c.Flags()
	configFlag(c, &o.config)
	f.StringVar(&o.feed, "feed", "", "the feed to look into (default: the configuration's only one)")
	f.StringVar(&o.runDir, "run-dir", "", "folder of the control sockets (default: the configuration's instance.run_dir)")
	f.StringVar(&o.lane, "lane", "", "only this lane of the feed (default: all)")
	f.StringArrayVar(&o.lines, "line", nil, "only this line, A or B (default: both)")
	f.StringArrayVar(&o.groups, "group", nil, "only this group, with or without a port; with --interface: a group to join, with its port")
	f.StringArrayVar(&o.interfaces, "interface", nil, "join the groups on this interface instead of asking a feed; twice: line A and line B, groups in turn")
	f.StringVar(&o.source, "source", "auto", "with --interface: afxdp, udp, or auto")
	f.StringVarP(&o.files.Out, "out", "o", "", "file to write; - is standard output")
	f.BoolVar(&o.files.Force, "force", false, "replace a file that exists")
	f.Var(&o.rotateSize, "rotate-size", "begin a new file at this size, such as 1GiB")
	f.DurationVar(&o.files.RotateEvery, "rotate-every", 0, "begin a new file after so long, such as 10m")
	f.IntVar(&o.files.Keep, "keep", 0, "keep so many rotated files, remove the oldest (0: all stay)")
	f.StringVar(&o.files.Compress, "compress", "none", "none or zstd")
	f.IntVar(&o.files.Snap, "snaplen", 0, "bytes that are kept of a packet (0: all)")
	f.Uint64VarP(&o.limits.Count, "count", "n", 0, "stop after so many packets (0: go on)")
	f.DurationVar(&o.limits.For, "for", 0, "stop after so long (0: go on)")
	f.Var(&o.buffer, "buffer", "of each lane's packets in shared memory; a power of two")
	f.BoolVar(&o.asJSON, "json", false, "the last line as JSON")
	return c
}

func (o *captureOptions) run(cmd *cobra.Command) error {
	q := capture.Request{Lane: o.lane, Snap: o.files.Snap, Bytes: uint64(o.buffer)}
	for _, l := range o.lines {
		q.Lines = append(q.Lines, strings.ToUpper(l))
	}
	for _, g := range o.groups {
		at, err := parseGroup(g)
		if err != nil {
			return usageError{err}
		}
		q.Groups = append(q.Groups, at)
	}
	if bits.OnesCount64(q.Bytes) != 1 || q.Bytes < capture.MinBytes || q.Bytes > capture.MaxBytes {
		return usageError{fmt.Errorf("--buffer %s: want a power of two from 1MiB to 4GiB", o.buffer.String())}
	}
	o.files.RotateSize, o.files.Stdout = int64(o.rotateSize), cmd.OutOrStdout()
	if o.files.Out == "" {
		return usageError{errors.New("--out says where to write (- is standard output)")}
	}
	if err := o.files.Validate(); err != nil {
		return usageError{err}
	}
	if len(o.interfaces) > 0 {
		return o.direct(cmd, q)
	}
	return o.fromFeed(cmd, q)
}

// parseGroup reads a group with or without a port.
func parseGroup(s string) (netip.AddrPort, error) {
	if at, err := netip.ParseAddrPort(s); err == nil {
		return at, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("--group %s is no address such as 233.54.12.111:26477", s)
	}
	return netip.AddrPortFrom(a, 0), nil
}

// fromFeed captures what a running feed receives.
func (o *captureOptions) fromFeed(cmd *cobra.Command, q capture.Request) error {
	cfg, err := loadConfig(o.config)
	if err != nil {
		return err
	}
	if o.feed == "" {
		f, err := pickFeed(cfg, "")
		if err != nil {
			return err
		}
		o.feed = f.Name
	}
	if o.runDir == "" {
		o.runDir = cfg.Instance.RunDir
	}
	at, err := capture.Attach(cmd.Context(), control.Path(o.runDir, o.feed), q)
	if err != nil {
		var refused *control.Error
		if errors.As(err, &refused) && (refused.Code == 400 || refused.Code == 404) {
			return usageError{err}
		}
		return err
	}
	defer at.Close()
	return o.write(cmd, at.Inputs, at.Ended, at.Stop, nil)
}

// write runs the capture and says how it went. lost is what else is missing, by its cause; nil: nothing else can be.
func (o *captureOptions) write(cmd *cobra.Command, inputs []*capture.Input, ended <-chan struct{}, stop func(), lost func() map[string]uint64) error {
	files, err := capture.NewFiles(o.files, inputs)
	if err != nil {
		return err
	}
	errs := cmd.ErrOrStderr()
	bar := newProgress(errs)
	wait := o.newWaiting(errs)
	began := time.Now()
	gone := false
	watch := func() { // asked before stop, which ends the connection itself
		select {
		case <-ended:
			gone = true
		default:
		}
		stop()
	}
	s, err := capture.Run(cmd.Context(), inputs, files, o.limits, ended, watch, func(s capture.Stats) {
		if bar.on && s.Packets > 0 {
			bar.note("%d packets, %s, %d dropped", s.Packets, sizeText(int64(s.Bytes)), s.Dropped)
		} else {
			wait.tell(s)
		}
	})
	bar.done()
	report := captureReport{Stats: s, Files: files.Made(), Seconds: time.Since(began).Seconds(), FeedEnded: gone}
	if lost != nil {
		report.Lost = lost()
	}
	report.print(o, cmd.OutOrStdout(), errs)
	switch {
	case err != nil:
		return err
	case gone && (o.limits.Count > 0 || o.limits.For > 0):
		return errors.New("capture: the feed ended before the limit was reached; what it had received is written")
	case s.Dropped > 0:
		return errReported
	}
	return nil
}

// captureReport is the last word of a capture.
type captureReport struct {
	capture.Stats
	Files     []string          `json:"files"`
	Seconds   float64           `json:"seconds"`
	FeedEnded bool              `json:"feed_ended"`
	Lost      map[string]uint64 `json:"lost,omitempty"`
}

func (r *captureReport) print(o *captureOptions, out, errs io.Writer) {
	if o.asJSON {
		if o.files.Out == "-" {
			out = errs
		}
		_ = json.NewEncoder(out).Encode(r)
		return
	}
	fmt.Fprintf(errs, "%d packets, %s, in %.1f s", r.Packets, sizeText(int64(r.Bytes)), r.Seconds)
	if n := len(r.Files); n == 1 {
		fmt.Fprintf(errs, ", in %s", r.Files[0])
	} else if n > 1 {
		fmt.Fprintf(errs, ", in %d files, the last is %s", n, r.Files[n-1])
	}
	fmt.Fprintln(errs)
	if r.Cut > 0 {
		fmt.Fprintf(errs, "%d of them are cut to --snaplen\n", r.Cut)
	}
	for what, n := range r.Lost {
		if n > 0 {
			fmt.Fprintf(errs, "%d packets %s\n", n, what)
		}
	}
	if r.Dropped > 0 {
		fmt.Fprintf(errs, "tickwire: %d packets came faster than they could be written and are not there; a larger --buffer, a faster disk, or --snaplen helps\n", r.Dropped)
	}
}

// liveSource is what direct needs of nic/udp and nic/afxdp.
type liveSource interface {
	nic.Source
	Wait(d time.Duration) error
	Warnings() []string
}

// direct captures without a feed: one goroutine receives, this one writes.
func (o *captureOptions) direct(cmd *cobra.Command, q capture.Request) error {
	if o.feed != "" || o.lane != "" {
		return usageError{errors.New("--interface is for a capture without a feed: it does not go with --feed or --lane")}
	}
	if len(q.Groups) == 0 {
		return usageError{errors.New("--interface needs at least one --group: a capture joins what it is told and nothing else")}
	}
	if len(o.interfaces) > 2 {
		return usageError{errors.New("--interface: one, or two for lines A and B")}
	}
	for _, g := range q.Groups {
		if !g.Addr().IsMulticast() || g.Port() == 0 {
			return usageError{fmt.Errorf("--group %s: with --interface a multicast group with its port is needed", g)}
		}
	}
	info := capture.LaneInfo{}
	copy(info.Interfaces[:], o.interfaces)
	source, missed, err := o.open(q.Groups, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	local, err := capture.NewLocal(capture.Request{Lines: q.Lines, Snap: q.Snap, Bytes: q.Bytes}) // the source receives only the groups
	if err != nil {
		return errors.Join(usageError{err}, source.Close())
	}
	var stop atomic.Bool
	ended := make(chan struct{})
	var failed error
	go func() {
		defer close(ended)
		failed = receive(source, &local.Tap, &stop)
	}()
	err = o.write(cmd, []*capture.Input{{LaneInfo: info, Reader: local.Reader}}, ended, func() {
		stop.Store(true)
		<-ended
		local.Stop()
	}, missed)
	if !stop.Load() { // the writer failed before it began
		stop.Store(true)
		<-ended
	}
	return errors.Join(failed, err, source.Close(), local.Close())
}

// receive polls a source until stop is set.
func receive(source liveSource, tap *capture.Tap, stop *atomic.Bool) error {
	packets := make([]nic.Packet, 256)
	for !stop.Load() {
		n, err := source.Poll(packets)
		tap.Take(packets[:n])
		if err == nil && n == 0 {
			err = source.Wait(time.Millisecond)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// open joins the groups, and says what can tell what was missed.
func (o *captureOptions) open(groups []netip.AddrPort, errs io.Writer) (liveSource, func() map[string]uint64, error) {
	iface := func(i int) (string, uint8) {
		line := i % len(o.interfaces)
		return o.interfaces[line], uint8(line)
	}
	switch o.source {
	case "afxdp", "auto":
		s, err := openAFXDP(groups, iface)
		if err == nil {
			for _, w := range s.Warnings() {
				fmt.Fprintln(errs, "tickwire:", w)
			}
			fmt.Fprintf(errs, "receiving through AF_XDP in mode %s\n", s.Mode())
			return s, func() map[string]uint64 {
				lost := map[string]uint64{}
				if s.Refresh() == nil {
					for _, k := range s.Kernel() {
						lost["found the receive ring full"] += k.RxRingFull
						lost["were dropped by the kernel"] += k.RxDropped + k.FillEmpty
					}
				}
				return lost
			}, nil
		}
		if o.source == "afxdp" {
			return nil, nil, err
		}
		fmt.Fprintf(errs, "no AF_XDP, sockets instead: %v\n", err)
	case "udp":
	default:
		return nil, nil, usageError{fmt.Errorf("--source %q is none of afxdp, udp, auto", o.source)}
	}
	var joined []udp.Group
	for i, g := range groups {
		name, line := iface(i)
		joined = append(joined, udp.Group{Group: g, Interface: name, Line: line})
	}
	s, err := udp.Open(udp.Options{Groups: joined})
	if err != nil {
		return nil, nil, err
	}
	for _, w := range s.Warnings() {
		fmt.Fprintln(errs, "tickwire:", w)
	}
	return s, func() map[string]uint64 {
		c := s.Counters()
		return map[string]uint64{"were dropped by the kernel, whose buffer was full": c.KernelDrops, "were longer than 9216 bytes": c.Truncated}
	}, nil
}

func openAFXDP(groups []netip.AddrPort, iface func(int) (string, uint8)) (*afxdp.Source, error) {
	var joined []afxdp.Group
	for i, g := range groups {
		name, line := iface(i)
		joined = append(joined, afxdp.Group{Group: g, Interface: name, Line: line, Queue: afxdp.AllQueues})
	}
	return new(afxdp.Host).Open(afxdp.Options{Groups: joined})
}
