package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/bench/machine"
	"github.com/tickwire/tickwire/bench/membench"
	"github.com/tickwire/tickwire/bench/meter"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/ringbuf/ringbench"
)

// ringFigures are what the reader's process saw, as it prints them to the writer's.
type ringFigures struct {
	Records uint64                 `json:"records"`
	Lost    uint64                 `json:"lost"`
	Bad     uint64                 `json:"bad"`
	Seconds float64                `json:"seconds"`
	Hist    *hdrhistogram.Snapshot `json:"histogram,omitempty"` // between the two processes only
}

// ringBench is the whole measurement.
type ringBench struct {
	Machine    machine.Machine `json:"machine"`
	WriterCore int             `json:"core"`
	ReaderCore int             `json:"reader_core"`
	Sched      string          `json:"sched"`
	Runs       int             `json:"runs"`
	Run        int             `json:"records_at_once"`
	PublishNs  meter.Spread    `json:"publish_ns_per_record"`
	Written    meter.Spread    `json:"written_per_second"`
	Read       meter.Spread    `json:"read_per_second"`
	Flood      ringFigures     `json:"flood"` // all runs
	Rate       int             `json:"paced_per_second"`
	Late       uint64          `json:"published_late"`
	CoreToCore meter.Spread    `json:"core_to_core_ns"` // of one cache line, in the same runs
	Latency    meter.Latency   `json:"latency"`
	Paced      ringFigures     `json:"paced"`  // all runs
	Writer     meter.Counts    `json:"writer"` // of the paced run with the most allocations
}

// add sums the runs.
func (f *ringFigures) add(o *ringFigures) {
	f.Records, f.Lost, f.Bad, f.Seconds = f.Records+o.Records, f.Lost+o.Lost, f.Bad+o.Bad, f.Seconds+o.Seconds
}

func benchRing() *cobra.Command {
	b := ringBench{WriterCore: meter.Core(0), ReaderCore: meter.Core(1)}
	var span time.Duration
	var asJSON bool
	c := &cobra.Command{
		Use: "ring", Short: "ns a record published, and latency in another process", Args: exactly(0),
		Long: `ring publishes order events to shared memory in this process and reads them in another: first as fast as it goes, with
runs of --run records, every record checked for tearing; then paced, with the time from the moment a record was due to the
reader's clock after it was validated (a record that is published late counts as late, not as moved). The two processes are
pinned to --core and --reader-core. The first run of each kind warms up and is not shown.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("reader-core") {
				b.ReaderCore = meter.Other(b.WriterCore, 0)
			}
			p := newProgress(cmd.ErrOrStderr())
			b.Machine, b.Runs = machine.Look(), max(b.Runs, 1)
			if err := meter.Pin(b.WriterCore, b.Sched); err != nil {
				return err
			}
			watch := meter.NewWatch(0)
			defer watch.Close()
			for run := range b.Runs + 1 {
				p.note("run %d of %d", run, b.Runs)
				if err := b.round(run == 0, span, watch); err != nil {
					return err
				}
			}
			p.done()
			return b.print(cmd.OutOrStdout(), asJSON)
		},
	}
	f := c.Flags()
	f.IntVar(&b.Rate, "rate", 100_000, "records a second when paced")
	f.IntVar(&b.Run, "run", 64, "records published at once when not paced")
	f.DurationVar(&span, "for", time.Second, "length of each run")
	f.IntVar(&b.ReaderCore, "reader-core", b.ReaderCore, "core of the reader, -1: not pinned")
	schedFlag(f, &b.Sched)
	benchFlags(f, &b.Runs, &b.WriterCore, &asJSON)
	return c
}

// round is a run of each kind.
func (b *ringBench) round(warm bool, span time.Duration, watch *meter.Watch) error {
	if warm {
		span = min(span, 200*time.Millisecond)
	}
	w, f, err := ringRound(func(w *ringbuf.Writer) ringbench.Written { return ringbench.Flood(w, b.Run, span) }, "flood", b)
	if err != nil {
		return err
	}
	line, err := membench.CoreToCore(b.WriterCore, b.ReaderCore, b.Sched)
	if err != nil {
		return err
	}
	var counts meter.Counts
	pw, pf, err := ringRound(func(w *ringbuf.Writer) ringbench.Written {
		watch.Begin()
		defer func() { counts = watch.End() }()
		return ringbench.Pace(w, b.Rate, span)
	}, "pace", b)
	if err != nil {
		return err
	}
	b.Flood.Bad += f.Bad
	if warm {
		return nil
	}
	f.Bad = 0 // counted already
	b.CoreToCore = b.CoreToCore.Add(line)
	b.Flood.add(&f)
	b.Paced.add(&pf)
	b.PublishNs = b.PublishNs.Add(float64(w.Elapsed.Nanoseconds()) / float64(w.Records))
	b.Written = b.Written.Add(float64(w.Records) / w.Elapsed.Seconds())
	b.Read = b.Read.Add(float64(f.Records) / w.Elapsed.Seconds())
	b.Late += pw.Late
	if pf.Hist != nil {
		b.Latency.Add(hdrhistogram.Import(pf.Hist))
	}
	if counts.Allocs >= b.Writer.Allocs {
		b.Writer = counts
	}
	return nil
}

func (b *ringBench) print(out io.Writer, asJSON bool) error {
	b.Flood.Hist, b.Paced.Hist = nil, nil
	if asJSON {
		if err := json.NewEncoder(out).Encode(b); err != nil {
			return err
		}
		return b.faults()
	}
	fmt.Fprintf(out, "%s\nwriter on core %d, reader on core %d, %d runs\n\n", b.Machine, b.WriterCore, b.ReaderCore, b.Runs)
	million := func(s meter.Spread) string {
		return fmt.Sprintf("%.1f M/s (%.1f–%.1f)", s.Median/1e6, s.Min/1e6, s.Max/1e6)
	}
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(t, "publish, %d at once\t%s ns a record\t%s\n", b.Run, b.PublishNs, million(b.Written))
	fmt.Fprintf(t, "read by another process\t%s\t%d lost to laps of %d, %d torn\n", million(b.Read), b.Flood.Lost, b.Flood.Records+b.Flood.Lost, b.Flood.Bad)
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\npaced at %d/s, due to read:\n", b.Rate)
	if err := meter.Table(out, meter.Row{Name: "one way", Latency: &b.Latency}); err != nil {
		return err
	}
	fmt.Fprintf(out, "one cache line from core to core: %s ns\n%d published late, %d lost; writer: %s\n", b.CoreToCore, b.Late, b.Paced.Lost, b.Writer)
	return b.faults()
}

// faults is an error when a record was torn: then the ring is broken and the figures are of no use.
func (b *ringBench) faults() error {
	if b.Flood.Bad > 0 {
		return fmt.Errorf("%d records were torn", b.Flood.Bad)
	}
	return nil
}

// ringRound makes a ring, starts a reader process on it, has write fill it, and gives what both saw.
func ringRound(write func(*ringbuf.Writer) ringbench.Written, mode string, b *ringBench) (ringbench.Written, ringFigures, error) {
	var figures ringFigures
	fail := func(err error) (ringbench.Written, ringFigures, error) { return ringbench.Written{}, figures, err }
	dir, err := os.MkdirTemp("/dev/shm", "tickwire-bench-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "bench.0.mbo.ring")
	w, err := ringbuf.Create(path, ringbuf.Options{Kind: ringbuf.KindMbo, HugePages: true})
	if err != nil {
		return fail(err)
	}
	defer w.Close()
	self, err := os.Executable()
	if err != nil {
		return fail(err)
	}
	child := exec.Command(self, "bench-ring-reader", mode, path, fmt.Sprint(b.ReaderCore), b.Sched)
	child.Stderr = os.Stderr
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdin, err := child.StdinPipe()
	if err != nil {
		return fail(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		return fail(err)
	}
	if err := child.Start(); err != nil {
		return fail(err)
	}
	dec := json.NewDecoder(out)
	var ready bool
	if err := dec.Decode(&ready); err != nil {
		return fail(fmt.Errorf("the reader's process did not start: %w", err))
	}
	written := write(w)
	if err := stdin.Close(); err != nil { // the reader's sign to end
		return fail(err)
	}
	if err := dec.Decode(&figures); err != nil {
		return fail(fmt.Errorf("the reader's process: %w", err))
	}
	return written, figures, child.Wait()
}

// benchRingReader is the other process of bench ring.
func benchRingReader() *cobra.Command {
	return &cobra.Command{
		Use: "bench-ring-reader", Hidden: true, Args: exactly(4),
		RunE: func(cmd *cobra.Command, args []string) error {
			core := -1
			if _, err := fmt.Sscan(args[2], &core); err != nil {
				return usageError{err}
			}
			if err := meter.Pin(core, args[3]); err != nil {
				return err
			}
			r, err := ringbuf.Open(args[1], ringbuf.ReaderOptions{})
			if err != nil {
				return err
			}
			defer r.Close()
			var ended atomic.Bool
			go func() {
				_, _ = io.Copy(io.Discard, cmd.InOrStdin())
				ended.Store(true)
			}()
			enc := json.NewEncoder(cmd.OutOrStdout())
			if err := enc.Encode(true); err != nil {
				return err
			}
			var f ringFigures
			var read ringbench.Read
			if args[0] == "flood" {
				read = ringbench.Drain(r, 256, ended.Load)
			} else {
				h := meter.NewHistogram()
				read = ringbench.Latencies(r, func(ns uint64) { meter.Record(h, ns) }, ended.Load)
				f.Hist = h.Export()
			}
			f.Records, f.Lost, f.Bad, f.Seconds = read.Records, read.Lost, read.Bad, read.Elapsed.Seconds()
			return enc.Encode(f)
		},
	}
}
