// Package itchbench measures what a message of an ITCH day costs, stage by stage, from memory.
//
//	walk       length prefix to length prefix: the floor
//	decode     every field into tick.Batch columns
//	books      decode, and full-depth books of all instruments completing the rows
//	publish    the same, and records of every ring in shared memory, with no reader
//
// Each stage runs over the whole day, rounds times, stages taking turns, so that a noisy minute hits all of them; the
// median of the rounds is the figure.
package itchbench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

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
	Name      string    `json:"stage"`
	NsPerMsg  float64   `json:"ns_per_message"` // median of the rounds
	Rounds    []float64 `json:"rounds"`
	PerSecond float64   `json:"messages_per_second"`
	Allocs    uint64    `json:"allocations"` // of the fastest round, whole process
	Messages  uint64    `json:"messages"`
	Faults    uint64    `json:"faults"` // messages refused, unknown references and the like: 0 on a clean day
}

// Options of a run. The zero value works.
type Options struct {
	Rounds int    // of each stage; the default is 3
	Pass   int    // messages of a pass; the default is pipeline.PassReplay
	Dir    string // for the rings of stage publish; the default is /dev/shm, else the folder for temporary files
	// Progress is called before each round. It may be nil.
	Progress func(stage string, round int)
}

// Run measures all stages.
func Run(d *Day, o Options) ([]Stage, error) {
	if o.Rounds <= 0 {
		o.Rounds = 3
	}
	if o.Pass <= 0 {
		o.Pass = pipeline.PassReplay
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b, err := newBench(&o)
	if err != nil {
		return nil, err
	}
	defer b.close()
	stages := []Stage{{Name: "walk"}, {Name: "decode"}, {Name: "books"}, {Name: "publish"}}
	work := []func(*Day) (uint64, error){b.walk, b.decode, b.book, b.publish}
	for round := range o.Rounds {
		for i := range stages {
			s := &stages[i]
			if o.Progress != nil {
				o.Progress(s.Name, round)
			}
			b.reset()
			runtime.GC()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			faults, err := work[i](d)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if err != nil {
				return nil, fmt.Errorf("stage %s: %w", s.Name, err)
			}
			if allocs := after.Mallocs - before.Mallocs; round == 0 || allocs < s.Allocs {
				s.Allocs = allocs
			}
			s.Faults, s.Messages = faults, d.Messages
			s.Rounds = append(s.Rounds, float64(took.Nanoseconds())/float64(d.Messages))
		}
	}
	for i := range stages {
		sorted := slices.Sorted(slices.Values(stages[i].Rounds))
		stages[i].NsPerMsg = sorted[len(sorted)/2]
		stages[i].PerSecond = 1e9 / stages[i].NsPerMsg
	}
	return stages, nil
}

// bench holds what the stages work with.
type bench struct {
	pass   int
	dir    string
	batch  *tick.Batch
	books  *book.Books
	lane   *pipeline.Lane
	own    *book.Books // the lane's
	rings  []*ringbuf.Writer
	parsed itch.Counters
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
	var out pipeline.Outputs
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
		Publisher: tick.PublisherSimItch, Books: b.own, Symbols: directory, Out: out, MaxPass: o.Pass, FileStamps: true,
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

func (b *bench) reset() {
	b.books.Reset()
	b.lane.SessionStart([10]byte{})
	b.lane.StartDay(midnight)
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
	p := b.lane.Parser()
	return p.Short + p.Unknown + bookFaults(b.own), nil
}

func bookFaults(b *book.Books) uint64 {
	c := b.Counters()
	n := c.Duplicate + c.Clamped + c.ZeroSize + c.BadPrice + c.BadSide + c.NoRoom + c.LocateMismatch + c.OverInstrument + c.OverReference + c.BadSize
	for _, u := range c.Unknown {
		n += u
	}
	return n
}
