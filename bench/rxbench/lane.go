package rxbench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/tickwire/tickwire/bench/liveload"
	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/feed/symbols"
	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/internal/pin"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/afxdp"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/sim/mold"
	"github.com/tickwire/tickwire/tick"
)

// Lane is what a whole lane takes: packets through nic/afxdp, in order, decoded, with the books of all instruments, into rings.
type Lane struct {
	Median   float64   `json:"packets_per_second"`  // the highest rate without loss, median of the runs
	Messages float64   `json:"messages_per_second"` // of that
	Runs     []float64 `json:"runs"`
	PerPack  float64   `json:"messages_per_packet"`
}

const (
	lanePackets  = 400_000
	laneSpan     = 20 * time.Millisecond
	laneMidnight = 1_767_589_200_000_000_000 // any day's: the figures do not depend on it
)

// generate makes a generated day in packets of one length: messages as many as fit, then zeros.
func generate(n int) (packets [][]byte, messages uint64, err error) {
	g, err := itchgen.New(itchgen.Options{Messages: uint64(n) * 5, Symbols: 1000})
	if err != nil {
		return nil, 0, err
	}
	id, err := mold.SessionID("BENCH")
	if err != nil {
		return nil, 0, err
	}
	pack, err := mold.NewPacker(id, payloadBytes)
	if err != nil {
		return nil, 0, err
	}
	store, msg := make([]byte, n*payloadBytes), []byte(nil)
	for len(packets) < n {
		var ok bool
		if msg, ok = g.Next(msg[:0]); !ok {
			return nil, 0, fmt.Errorf("rxbench: the generated day has %d packets, want %d", len(packets), n)
		}
		full, err := pack.Add(msg)
		if err != nil {
			return nil, 0, err
		}
		if full != nil {
			p := store[len(packets)*payloadBytes : (len(packets)+1)*payloadBytes]
			copy(p, full)
			packets = append(packets, p)
		}
	}
	return packets, pack.Next() - 2, nil
}

// errPlayed is that a load has no more packets.
var errPlayed = errors.New("rxbench: all packets were played")

// played bounds a load to the packets there are.
type played struct {
	*liveload.Load
	most uint64
}

func (p played) Send(first uint64, n int, rate float64) (int, time.Duration, error) {
	if first+uint64(n)+2*batch > p.most {
		return 0, 0, errPlayed
	}
	return p.Load.Send(first, n, rate)
}

// counted is a source that counts what the lane is done with.
type counted struct {
	source *afxdp.Source
	taken  uint64
	done   atomic.Uint64
}

func (c *counted) Poll(p []nic.Packet) (int, error) {
	if c.taken != c.done.Load() {
		c.done.Store(c.taken) // those of the call before are published
	}
	n, err := c.source.Poll(p)
	c.taken += uint64(n)
	return n, err
}

func (c *counted) Close() error { return c.source.Close() }

// lane is a running lane.
type lane struct {
	host  afxdp.Host
	input counted
	lane  *pipeline.Lane
	books *book.Books
	rings []*ringbuf.Writer
	dir   string
	stops atomic.Bool
	ended chan error
}

func (b *bench) startLane(ns *netns.NS) (_ *lane, err error) {
	l := &lane{ended: make(chan error, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	dir := "/dev/shm"
	if _, err := os.Stat(dir); err != nil {
		dir = b.dir
	}
	if l.dir, err = os.MkdirTemp(dir, "tickwire-bench-"); err != nil {
		return nil, err
	}
	var out pipeline.Outputs
	for kind, place := range map[ringbuf.Kind]**ringbuf.Writer{
		ringbuf.KindMbo: &out.Mbo, ringbuf.KindMbp1: &out.Mbp1, ringbuf.KindTrades: &out.Trades,
		ringbuf.KindEvents: &out.Events, ringbuf.KindExt: &out.Ext,
	} {
		w, err := ringbuf.Create(filepath.Join(l.dir, "bench.0."+kind.String()+".ring"), ringbuf.Options{Kind: kind, Slots: 1 << 16})
		if err != nil {
			return nil, err
		}
		l.rings = append(l.rings, w)
		*place = w
	}
	if l.books, err = book.New(book.Options{}); err != nil {
		return nil, err
	}
	directory, err := symbols.New(0)
	if err != nil {
		return nil, err
	}
	l.lane, err = pipeline.New(pipeline.Config{
		Publisher: tick.PublisherSimItch, Books: l.books, Symbols: directory, Out: out,
		Midnight: func(uint64) (uint64, error) { return laneMidnight, nil },
	})
	if err != nil {
		return nil, err
	}
	if err := ns.Do(func() (err error) {
		l.input.source, err = l.host.Open(afxdp.Options{Groups: []afxdp.Group{{Group: group, Interface: "feed0"}}, Mode: afxdp.Copy, Least: afxdp.Copy})
		return err
	}); err != nil {
		return nil, err
	}
	channel := session.NewChannel(session.Config{}, l.lane)
	in := &pipeline.Input{
		Source: &l.input, Route: func(*nic.Packet) *session.Channel { return channel },
		Channels: []*session.Channel{channel}, Idle: pipeline.IdleSpin, PollPinned: true,
	}
	if pin.Works() == nil {
		in.Window = pin.New(pin.Options{})
	}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread is pinned and ends with the goroutine
		tie(b.o.ReceiverCore)
		l.ended <- l.lane.Run(in, &l.stops)
	}()
	return l, nil
}

func (l *lane) received() uint64 { return l.input.done.Load() }

func (l *lane) stop() (*tally, error) {
	l.stops.Store(true)
	err := <-l.ended
	t := &tally{received: l.input.taken, disorder: l.lane.Counters().Refused}
	return t, errors.Join(err, l.close())
}

func (l *lane) close() error {
	var errs []error
	if l.input.source != nil {
		errs = append(errs, l.input.source.Close())
	}
	if l.lane != nil {
		errs = append(errs, l.lane.Close())
	}
	for _, w := range l.rings {
		errs = append(errs, w.Close())
	}
	if l.books != nil {
		errs = append(errs, l.books.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(l.dir))...)
}

// lanes measures the whole lane, run by run: from the start of the day, with books that fill.
func (b *bench) lanes() error {
	b.progress("making a day")
	packets, messages, err := generate(lanePackets)
	if err != nil {
		return err
	}
	per := float64(messages) / lanePackets
	for run := range b.o.Runs {
		b.progress("decode, books and rings, run %d of %d", run+1, b.o.Runs)
		var f found
		_, err := b.use(func(ns *netns.NS) (running, error) { return b.startLane(ns) }, func(p *netns.Pair, r running) error {
			l, err := liveload.New(p.Tx, frame(), headBytes, packets)
			if err != nil {
				return err
			}
			defer l.Close()
			o := bout{receiver: r, load: played{l, lanePackets}, span: laneSpan}
			f, err = o.search()
			return err
		})
		if err != nil {
			return fmt.Errorf("lane: %w", err)
		}
		b.r.Lane.Runs = append(b.r.Lane.Runs, f.rate)
	}
	b.r.Lane.Median = median(b.r.Lane.Runs)
	b.r.Lane.Messages, b.r.Lane.PerPack = b.r.Lane.Median*per, per
	return nil
}
