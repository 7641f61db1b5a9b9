package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/ringbuf/ringbench"
)

// ringFigures are what the reader's process saw, as it prints them to the writer's.
type ringFigures struct {
	Records uint64  `json:"records"`
	Lost    uint64  `json:"lost"`
	Bad     uint64  `json:"bad"`
	Seconds float64 `json:"seconds"`
	P50     int64   `json:"p50_ns,omitempty"`
	P90     int64   `json:"p90_ns,omitempty"`
	P99     int64   `json:"p99_ns,omitempty"`
	P999    int64   `json:"p999_ns,omitempty"`
	Max     int64   `json:"max_ns,omitempty"`
}

// ringBench is the whole measurement.
type ringBench struct {
	PublishNs float64     `json:"publish_ns_per_record"` // median of the rounds
	Rounds    []float64   `json:"publish_rounds"`
	Written   float64     `json:"written_per_second"`
	Flood     ringFigures `json:"flood"`
	Rate      int         `json:"paced_per_second"`
	Late      uint64      `json:"published_late"`
	Paced     ringFigures `json:"paced"`
}

func benchRing() *cobra.Command {
	var rate, run, rounds int
	var span time.Duration
	var writerCore, readerCore int
	var asJSON bool
	c := &cobra.Command{
		Use: "ring", Short: "ns a record published, and latency in another process", Args: exactly(0),
		Long: `ring publishes order events to shared memory in this process and reads them in another: first as fast as it goes, with
runs of --run records, every record checked for tearing; then paced, with the time from the moment a record was due to the
reader's clock after it was validated (a record that is published late counts as late, not as moved). The two processes are
pinned to --writer-core and --reader-core.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p := newProgress(cmd.ErrOrStderr())
			b := ringBench{Rate: rate}
			pin(writerCore)
			for round := range max(rounds, 1) {
				p.note("flood, round %d of %d", round+1, rounds)
				w, f, err := ringRound(func(w *ringbuf.Writer) ringbench.Written { return ringbench.Flood(w, run, span) }, "flood", readerCore)
				if err != nil {
					return err
				}
				b.Rounds = append(b.Rounds, float64(w.Elapsed.Nanoseconds())/float64(w.Records))
				f.Bad += b.Flood.Bad
				b.Flood = f
			}
			p.note("paced at %d/s", rate)
			w, f, err := ringRound(func(w *ringbuf.Writer) ringbench.Written { return ringbench.Pace(w, rate, span) }, "pace", readerCore)
			p.done()
			if err != nil {
				return err
			}
			b.Late, b.Paced = w.Late, f
			sorted := slices.Sorted(slices.Values(b.Rounds))
			b.PublishNs = sorted[len(sorted)/2]
			b.Written = 1e9 / b.PublishNs
			return b.print(cmd.OutOrStdout(), asJSON)
		},
	}
	f := c.Flags()
	f.IntVar(&rate, "rate", 100_000, "records a second when paced")
	f.IntVar(&run, "run", 64, "records published at once when not paced")
	f.IntVar(&rounds, "rounds", 3, "rounds as fast as it goes")
	f.DurationVar(&span, "for", 2*time.Second, "length of each round")
	f.IntVar(&writerCore, "writer-core", runtime.NumCPU()-1, "core of the producer, -1: not pinned")
	f.IntVar(&readerCore, "reader-core", max(0, runtime.NumCPU()-2), "core of the reader, -1: not pinned")
	f.BoolVar(&asJSON, "json", false, "for scripts")
	return c
}

func (b *ringBench) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(b)
	}
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(t, "publish\t%.1f ns a record\t%.3g records/s\n", b.PublishNs, b.Written)
	fmt.Fprintf(t, "read by another process\t%.3g records/s\t%d lost to laps, %d torn\n", float64(b.Flood.Records)/b.Flood.Seconds, b.Flood.Lost, b.Flood.Bad)
	fmt.Fprintf(t, "latency at %d/s\tp50 %d ns, p90 %d ns\tp99 %d ns, p99.9 %d ns, max %d ns\n", b.Rate, b.Paced.P50, b.Paced.P90, b.Paced.P99, b.Paced.P999, b.Paced.Max)
	fmt.Fprintf(t, "\t%d records\t%d published late, %d lost\n", b.Paced.Records, b.Late, b.Paced.Lost)
	return t.Flush()
}

// pin ties this thread to a core, where there is one.
func pin(core int) {
	runtime.LockOSThread()
	if core < 0 {
		return
	}
	var set unix.CPUSet
	set.Set(core)
	_ = unix.SchedSetaffinity(0, &set) // without the right to, or the core, the figures are those of an unpinned process
}

// ringRound makes a ring, starts a reader process on it, has write fill it, and gives what both saw.
func ringRound(write func(*ringbuf.Writer) ringbench.Written, mode string, core int) (ringbench.Written, ringFigures, error) {
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
	child := exec.Command(self, "bench-ring-reader", mode, path, fmt.Sprint(core))
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
		Use: "bench-ring-reader", Hidden: true, Args: exactly(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			core := -1
			if _, err := fmt.Sscan(args[2], &core); err != nil {
				return usageError{err}
			}
			pin(core)
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
				h := hdrhistogram.New(1, 10_000_000_000, 3)
				read = ringbench.Latencies(r, func(ns uint64) { _ = h.RecordValue(int64(min(ns, 9_999_999_999))) }, ended.Load)
				f.P50, f.P90, f.P99, f.P999, f.Max = h.ValueAtQuantile(50), h.ValueAtQuantile(90), h.ValueAtQuantile(99), h.ValueAtQuantile(99.9), h.Max()
			}
			f.Records, f.Lost, f.Bad, f.Seconds = read.Records, read.Lost, read.Bad, read.Elapsed.Seconds()
			return enc.Encode(f)
		},
	}
}
