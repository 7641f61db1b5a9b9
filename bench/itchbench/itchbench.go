// Package itchbench measures what a message of an ITCH day costs, stage by stage, from memory.
//
//	walk       length prefix to length prefix: the floor
//	decode     every field into tick.Batch columns
//	books      decode, and full-depth books of all instruments completing the rows
//	publish    the same, and records of every ring in shared memory, with no reader
//	ring       as many records as that, put into the rings and nothing else
//
// Each stage runs over the whole day, once to warm up and then as often as there are runs, stages taking turns, so that a noisy minute
// hits all of them; the median of the runs is the figure. Between the runs the machine's memory is measured (package membench): a book
// costs its cache misses, so a figure can be carried to another machine only beside what a miss costs.
//
// What allocates, collects and interrupts is counted for the thread that works (meter.Counts).
package itchbench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"
	"unsafe"

	"github.com/tickwire/tickwire/bench/machine"
	"github.com/tickwire/tickwire/bench/membench"
	"github.com/tickwire/tickwire/bench/meter"
	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/symbols"
	"github.com/tickwire/tickwire/nic/file"
	"github.com/tickwire/tickwire/parsers/itch"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// Day is a day in memory: length-prefixed messages, side by side.
type Day struct {
	Bytes    []byte
	Messages uint64
}

// Load reads a BinaryFILE into memory.
func Load(path string) (*Day, error) {
	r, err := file.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	d := &Day{}
	for {
		span, _, count, err := r.Next(1 << 16)
		d.Bytes = append(d.Bytes, span...)
		d.Messages += uint64(count)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if d.Messages == 0 {
		return nil, fmt.Errorf("%s: no messages to measure with", path)
	}
	return d, nil
}

// Stage is what was measured.
type Stage struct {
	Name      string       `json:"stage"`
	Ns        meter.Spread `json:"ns_per_message"`
	CPU       meter.Spread `json:"cpu_ns_per_message"` // time that the thread ran: on a machine that others use, what to look at
	PerSecond float64      `json:"messages_per_second"`
	Counts    meter.Counts `json:"counts"` // of the run with the fewest allocations
	Faults    uint64       `json:"faults"` // messages refused, unknown references and the like: 0 on a clean day
}

// Share is a part of the time that the thread ran in stage publish. The parts add up to it.
type Share struct {
	Part string  `json:"part"`
	Ns   float64 `json:"cpu_ns_per_message"`
}

// Report is a whole measurement. Ns are medians a message, and each stage contains those before it.
type Report struct {
	Machine   machine.Machine  `json:"machine"`
	Core      int              `json:"core"`
	Runs      int              `json:"runs"`
	Pass      int              `json:"pass"`
	Messages  uint64           `json:"messages"`
	Bytes     int              `json:"bytes"`
	WalkNs    float64          `json:"walk_ns"`
	DecodeNs  float64          `json:"decode_ns"`
	BooksNs   float64          `json:"books_ns"`
	PublishNs float64          `json:"publish_ns"`
	RingNs    float64          `json:"ring_ns"`             // the records of a message put into the rings, and nothing else
	Records   float64          `json:"records_per_message"` // of all rings
	Allocs    uint64           `json:"allocs"`              // objects, of stage publish, over the whole day, in its best run
	GC        uint64           `json:"gc"`                  // collections while any stage ran
	Orders    uint64           `json:"max_orders"`          // most that rested at once
	BookBytes uint64           `json:"book_bytes"`          // memory of the books that was touched
	Stages    []Stage          `json:"stages"`
	Budget    []Share          `json:"budget"`
	Memory    *membench.Report `json:"memory,omitempty"`
}

// Faults over all stages.
func (r *Report) Faults() (n uint64) {
	for i := range r.Stages {
		n += r.Stages[i].Faults
	}
	return n
}

// Options of a run. The zero value works.
type Options struct {
	Runs int    // of each stage, after one that warms up; the default is 5
	Pass int    // messages of a pass; the default is pipeline.PassReplay
	Dir  string // for the rings of stage publish; the default is /dev/shm, else the folder for temporary files
	Core int    // the thread is pinned to; meter.NoCore: to none
	Peer int    // of the memory probe, for what a line costs from core to core
	// NoMemory leaves the probe of the machine's memory out, which takes a second a run.
	NoMemory bool
	Memory   membench.Options // of the probe; the default measures 16 and 256 MiB
	// Progress is called before each step. It may be nil.
	Progress func(stage string, run int)
}

// Run measures all stages. It locks the calling goroutine to its thread and pins that.
func Run(d *Day, o Options) (*Report, error) {
	if o.Runs <= 0 {
		o.Runs = meter.Runs
	}
	if o.Pass <= 0 {
		o.Pass = pipeline.PassReplay
	}
	r := &Report{Machine: machine.Look(), Core: o.Core, Runs: o.Runs, Pass: o.Pass, Messages: d.Messages, Bytes: len(d.Bytes)}
	if err := meter.Pin(o.Core, ""); err != nil {
		return nil, err
	}
	b, err := newBench(&o)
	if err != nil {
		return nil, err
	}
	defer b.close()
	var probe *membench.Probe
	if !o.NoMemory {
		if len(o.Memory.Sizes) == 0 {
			o.Memory.Sizes = []int{16 << 20, 256 << 20}
		}
		o.Memory.Core, o.Memory.Peer = o.Core, o.Peer
		if probe, err = membench.New(o.Memory); err != nil {
			return nil, err
		}
		defer probe.Close()
		r.Memory = probe.Report()
	}
	watch := meter.NewWatch(0)
	defer watch.Close()
	r.Stages = []Stage{{Name: "walk"}, {Name: "decode"}, {Name: "books"}, {Name: "publish"}, {Name: "ring"}}
	work := []func(*Day) (uint64, error){b.walk, b.decode, b.book, b.publish, b.ring}
	for run := range o.Runs + 1 { // run 0 warms up: memory is touched, branches are learned
		for i := range r.Stages {
			s := &r.Stages[i]
			if o.Progress != nil {
				o.Progress(s.Name, run)
			}
			b.reset(s.Name)
			runtime.GC()
			watch.Begin()
			start, ran := time.Now(), meter.CPUTime()
			faults, err := work[i](d)
			took, used := time.Since(start), meter.CPUTime()-ran
			counts := watch.End()
			if err != nil {
				return nil, fmt.Errorf("stage %s: %w", s.Name, err)
			}
			s.Faults = faults
			if run == 0 {
				continue
			}
			if run == 1 || counts.Allocs < s.Counts.Allocs {
				s.Counts = counts
			}
			r.GC += counts.GC
			s.Ns = s.Ns.Add(float64(took.Nanoseconds()) / float64(d.Messages))
			s.CPU = s.CPU.Add(float64(used) / float64(d.Messages))
			s.PerSecond = 1e9 / s.Ns.Median
		}
		if probe != nil && run > 0 {
			if o.Progress != nil {
				o.Progress("memory", run)
			}
			if err := probe.Round(); err != nil {
				return nil, err
			}
		}
	}
	r.Orders, r.BookBytes = b.own.Counters().MaxOrders, b.own.Counters().Bytes
	r.Records = float64(b.records()) / float64(d.Messages)
	r.sum()
	return r, nil
}

// sum fills in what follows from the stages. The parts of the budget are differences, so they add up by construction; what publishing
// costs beyond the rings' own work is the making of the records.
func (r *Report) sum() {
	ns := func(i int) float64 { return r.Stages[i].Ns.Median }
	cpu := func(i int) float64 { return r.Stages[i].CPU.Median }
	r.WalkNs, r.DecodeNs, r.BooksNs, r.PublishNs, r.RingNs = ns(0), ns(1), ns(2), ns(3), ns(4)
	r.Allocs = r.Stages[3].Counts.Allocs
	r.Budget = []Share{
		{"walk", cpu(0)}, {"decode", cpu(1) - cpu(0)}, {"books", cpu(2) - cpu(1)}, {"expand", cpu(3) - cpu(2) - cpu(4)}, {"publish", cpu(4)},
	}
}

// bench holds what the stages work with.
type bench struct {
	pass    int
	dir     string
	batch   *tick.Batch
	books   *book.Books
	lane    *pipeline.Lane
	own     *book.Books // the lane's
	rings   []*ringbuf.Writer
	out     pipeline.Outputs
	parsed  itch.Counters
	before  pipeline.Counters // of the lane, before stage publish
	made    pipeline.Counters // by stage publish
	refused uint64            // messages that the lane's parser refused so far, in all runs
	staged  []uint64          // records for stage ring: as many as a pass has
}

// midnight is any day's: the figures do not depend on it.
const midnight = 1_767_589_200_000_000_000

func newBench(o *Options) (b *bench, err error) {
	b = &bench{pass: o.Pass}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	if b.batch, err = tick.NewBatch(); err != nil {
		return nil, err
	}
	if b.books, err = book.New(book.Options{}); err != nil {
		return nil, err
	}
	if b.own, err = book.New(book.Options{}); err != nil {
		return nil, err
	}
	dir := o.Dir
	if dir == "" {
		dir = "/dev/shm"
		if _, err := os.Stat(dir); err != nil {
			dir = os.TempDir()
		}
	}
	if b.dir, err = os.MkdirTemp(dir, "tickwire-bench-"); err != nil {
		return nil, err
	}
	out := &b.out
	for kind, place := range map[ringbuf.Kind]**ringbuf.Writer{
		ringbuf.KindMbo: &out.Mbo, ringbuf.KindMbp1: &out.Mbp1, ringbuf.KindTrades: &out.Trades,
		ringbuf.KindEvents: &out.Events, ringbuf.KindExt: &out.Ext,
	} {
		w, err := ringbuf.Create(filepath.Join(b.dir, "bench.0."+kind.String()+".ring"), ringbuf.Options{Kind: kind, Slots: 1 << 18})
		if err != nil {
			return nil, err
		}
		b.rings = append(b.rings, w)
		*place = w
	}
	directory, err := symbols.New(0)
	if err != nil {
		return nil, err
	}
	b.lane, err = pipeline.New(pipeline.Config{
		Publisher: tick.PublisherSimItch, Books: b.own, Symbols: directory, Out: *out, MaxPass: o.Pass, FileStamps: true,
		Midnight: func(uint64) (uint64, error) { return midnight, nil },
	})
	return b, err
}

func (b *bench) close() {
	if b.lane != nil {
		_ = b.lane.Close()
	}
	for _, w := range b.rings {
		_ = w.Close()
	}
	for _, books := range []*book.Books{b.books, b.own} {
		if books != nil {
			_ = books.Close()
		}
	}
	if b.batch != nil {
		_ = b.batch.Free()
	}
	if b.dir != "" {
		_ = os.RemoveAll(b.dir)
	}
}

// reset makes ready for a stage: books and session are new, their memory is not.
func (b *bench) reset(stage string) {
	b.books.Reset()
	if stage == "publish" {
		b.lane.SessionStart([10]byte{})
		b.lane.StartDay(midnight)
		b.before = *b.lane.Counters()
	}
	b.parsed = itch.Counters{}
	b.batch.Reset()
}

// walked keeps the compiler from dropping the walk.
var walked int

func (b *bench) walk(d *Day) (uint64, error) {
	n := 0
	for at := 0; at+2 <= len(d.Bytes); n++ {
		at += 2 + int(binary.BigEndian.Uint16(d.Bytes[at:]))
	}
	walked = n
	if uint64(n) != d.Messages {
		return 0, fmt.Errorf("%d messages walked, %d loaded", n, d.Messages)
	}
	return 0, nil
}

func (b *bench) decode(d *Day) (uint64, error) {
	return b.passes(d, func() { b.batch.Reset() })
}

func (b *bench) book(d *Day) (uint64, error) {
	faults, err := b.passes(d, func() {
		b.books.Apply(b.batch, 0, b.batch.N)
		b.batch.Reset()
	})
	return faults + bookFaults(b.books), err
}

// passes decodes the day into the batch, a pass at a time.
func (b *bench) passes(d *Day, use func()) (uint64, error) {
	seq, left := uint64(1), d.Bytes
	for len(left) > 0 {
		used, n := itch.Append(left, midnight, seq, b.pass, b.batch, &b.parsed)
		if n == 0 {
			return 0, errors.New("the decoder takes no more")
		}
		left, seq = left[used:], seq+uint64(n)
		use()
	}
	if seq-1 != d.Messages {
		return 0, fmt.Errorf("%d messages decoded, %d loaded", seq-1, d.Messages)
	}
	return b.parsed.Short + b.parsed.Unknown, nil
}

func (b *bench) publish(d *Day) (uint64, error) {
	if used := b.lane.Span(d.Bytes, 1); used != len(d.Bytes) {
		return 0, fmt.Errorf("the lane took %d bytes of %d", used, len(d.Bytes))
	}
	b.lane.EndPass()
	p, c := b.lane.Parser(), b.lane.Counters()
	b.made = pipeline.Counters{
		Passes: c.Passes - b.before.Passes, Mbo: c.Mbo - b.before.Mbo, Mbp1: c.Mbp1 - b.before.Mbp1, Trades: c.Trades - b.before.Trades,
		Events: c.Events - b.before.Events, Ext: c.Ext - b.before.Ext,
	}
	refused := p.Short + p.Unknown - b.refused
	b.refused += refused
	return refused + bookFaults(b.own), nil
}

// records is how many of them stage publish made.
func (b *bench) records() uint64 {
	return b.made.Mbo + b.made.Mbp1 + b.made.Trades + b.made.Events + b.made.Ext
}

// ring publishes as many records as stage publish did, in as many passes, from memory that is in the cache.
func (b *bench) ring(*Day) (uint64, error) {
	type share struct {
		w          *ringbuf.Writer
		each, owed float64 // records a pass
	}
	passes := float64(max(b.made.Passes, 1))
	var shares []share
	for _, k := range []struct {
		w *ringbuf.Writer
		n uint64
	}{{b.out.Mbo, b.made.Mbo}, {b.out.Mbp1, b.made.Mbp1}, {b.out.Trades, b.made.Trades}, {b.out.Ext, b.made.Ext}, {b.out.Events, b.made.Events}} {
		shares = append(shares, share{w: k.w, each: float64(k.n) / passes})
		most := (int(float64(k.n)/passes) + 1) * k.w.Header().Kind.PayloadBytes() / 8
		if most > len(b.staged) {
			b.staged = make([]uint64, most) // in the run that warms up
		}
	}
	recs := unsafe.Pointer(unsafe.SliceData(b.staged))
	for range b.made.Passes {
		for i := range shares {
			s := &shares[i]
			s.owed += s.each
			if n := int(s.owed); n > 0 {
				s.owed -= float64(n)
				s.w.Publish(recs, n)
				s.w.PublishHint()
			}
		}
	}
	return 0, nil
}

func bookFaults(b *book.Books) uint64 {
	c := b.Counters()
	n := c.Duplicate + c.Clamped + c.ZeroSize + c.BadPrice + c.BadSide + c.NoRoom + c.LocateMismatch + c.OverInstrument + c.OverReference + c.BadSize
	for _, u := range c.Unknown {
		n += u
	}
	return n
}
