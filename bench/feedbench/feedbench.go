// Package feedbench measures what a message of any venue's capture costs, from memory, beside ITCH in the same run.
//
//	frame      packet headers and message lengths: the floor
//	decode     frame, and every field into tick.Batch columns
//	books      decode, and the venue's books (orders, levels, or both) completing the rows
//
// The same three are measured over a generated ITCH day, in MoldUDP64 packets, in turns with the capture, so that a noisy minute hits both: the ratio
// per byte says whether a format is read as fast as ITCH is. ITCH's packets hold as many messages as the capture's do, one after the other: what a packet
// costs is shared by its messages, and a day of single ones beside a day of full packets would compare how busy they were.
// Stages run once to warm up, then as often as there are runs; medians are shown.
package feedbench

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"time"

	"github.com/tickwire/tickwire/bench/machine"
	"github.com/tickwire/tickwire/bench/meter"
	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/protocol"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/pcap"
	"github.com/tickwire/tickwire/parsers/moldudp64"
	"github.com/tickwire/tickwire/tick"
)

// Day is a capture in memory: the packets of one line of one channel.
type Day struct {
	Protocol *protocol.Protocol
	Options  protocol.Options
	Midnight uint64
	Messages uint64 // the venue's messages, as tickwire decode counts them
	Bytes    []byte

	ends   []int    // of each packet in Bytes
	counts []uint16 // messages of each packet that has some
}

// Packets is how many packets have messages.
func (d *Day) Packets() int { return len(d.counts) }

// ErrEmpty is a capture without a packet of its protocol.
var ErrEmpty = errors.New("no packet of the protocol to measure with")

// Load reads the first group's packets of a capture.
func Load(path string, p *protocol.Protocol, o protocol.Options) (*Day, error) {
	r, err := pcap.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	d := &Day{Protocol: p, Options: o}
	tell := o.Product == "" && p.Product != nil
	var group netip.AddrPort
	packets := make([]nic.Packet, 64)
	for {
		n, err := r.Poll(packets)
		for i := range packets[:n] {
			k := &packets[i]
			if !group.IsValid() && p.Looks(k.Data, k.Group) > 0 {
				group = k.Group
				if d.Midnight, err = p.MidnightBefore(k.TsRecv); err != nil {
					return nil, err
				}
			}
			if k.Group != group {
				continue
			}
			if tell && d.Options.Product == "" {
				d.Options.Product = p.Product(k.Data)
			}
			d.Bytes = append(d.Bytes, k.Data...)
			d.ends = append(d.ends, len(d.Bytes))
			count := uint16(0)
			_ = p.Each(k.Data, o.Version, func(protocol.Message) bool { count++; return true })
			if d.Messages += uint64(count); count > 0 {
				d.counts = append(d.counts, count)
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if d.Messages == 0 {
		return nil, fmt.Errorf("%s: %w (%s)", path, ErrEmpty, p.Name)
	}
	return d, nil
}

// itchPayload is how long the packets of the ITCH day get, in bytes.
const itchPayload = 1_400

// ITCH puts length-prefixed ITCH messages into packets, to be measured beside: as many messages in each as like's packets have, over and over. like nil
// makes full packets.
func ITCH(blocks []byte, messages uint64, like *Day) *Day {
	d := &Day{Protocol: protocol.ITCH, Midnight: 1_767_589_200_000_000_000, Messages: messages}
	h := moldudp64.Header{Session: [10]byte([]byte("BENCH     ")), Sequence: 1}
	for len(blocks) > 0 {
		most := moldudp64.MaxRequest
		if like != nil {
			most = int(like.counts[len(d.counts)%len(like.counts)])
		}
		whole, used := moldudp64.Walk(blocks[:min(len(blocks), itchPayload-moldudp64.HeaderBytes)], most)
		if whole == 0 {
			break // bytes that are no message
		}
		h.Count = uint16(whole)
		d.Bytes = append(moldudp64.AppendHeader(d.Bytes, h), blocks[:used]...)
		d.ends, d.counts = append(d.ends, len(d.Bytes)), append(d.counts, h.Count)
		h.Sequence, blocks = h.Sequence+uint64(whole), blocks[used:]
	}
	return d
}

// Stage is what was measured of one day.
type Stage struct {
	Name   string       `json:"stage"`
	Ns     meter.Spread `json:"ns_per_message"`
	Byte   float64      `json:"ns_per_byte"`
	Allocs uint64       `json:"allocs"` // of the run with the fewest
	Faults uint64       `json:"faults"` // messages refused, unknown orders and the like: 0 on a clean day
}

// Side is a day's figures.
type Side struct {
	Protocol string  `json:"protocol"`
	Messages uint64  `json:"messages"`
	Packets  int     `json:"packets"` // those with messages
	Bytes    int     `json:"bytes"`
	Rows     uint64  `json:"rows"`
	Stages   []Stage `json:"stages"`
}

// Report is a whole measurement. Ratio of a stage is its time a byte over ITCH's: above 1 it is slower.
type Report struct {
	Machine machine.Machine    `json:"machine"`
	Core    int                `json:"core"`
	Runs    int                `json:"runs"`
	Venue   Side               `json:"venue"`
	ITCH    Side               `json:"itch"`
	Ratio   map[string]float64 `json:"ratio_per_byte"`
}

// Options of a run. The zero value works.
type Options struct {
	Runs     int
	Core     int // the thread is pinned to; meter.NoCore: to none
	Progress func(stage string, run int)
}

// Run measures a day beside an ITCH day. It locks the calling goroutine to its thread and pins that.
func Run(venue, beside *Day, o Options) (*Report, error) {
	if o.Runs <= 0 {
		o.Runs = meter.Runs
	}
	if err := meter.Pin(o.Core, ""); err != nil {
		return nil, err
	}
	r := &Report{Machine: machine.Look(), Core: o.Core, Runs: o.Runs, Ratio: map[string]float64{}}
	var works [2]*work
	sides := [2]*Side{&r.Venue, &r.ITCH}
	for i, d := range []*Day{venue, beside} {
		w, err := newWork(d)
		if err != nil {
			return nil, err
		}
		defer w.close()
		works[i] = w
		*sides[i] = Side{Protocol: d.Protocol.Name, Messages: d.Messages, Packets: d.Packets(), Bytes: len(d.Bytes), Stages: []Stage{{Name: "frame"}, {Name: "decode"}, {Name: "books"}}}
	}
	watch := meter.NewWatch(0)
	defer watch.Close()
	for run := range o.Runs + 1 { // run 0 warms up
		for stage := range 3 {
			for i, w := range works {
				s := &sides[i].Stages[stage]
				if o.Progress != nil {
					o.Progress(sides[i].Protocol+" "+s.Name, run)
				}
				if err := w.reset(); err != nil {
					return nil, err
				}
				runtime.GC()
				watch.Begin()
				began := time.Now()
				faults, err := w.run(stage)
				took := time.Since(began)
				counts := watch.End()
				if err != nil {
					return nil, fmt.Errorf("%s, stage %s: %w", sides[i].Protocol, s.Name, err)
				}
				if s.Faults, sides[i].Rows = faults, w.rows; run == 0 {
					continue
				}
				if run == 1 || counts.Allocs < s.Allocs {
					s.Allocs = counts.Allocs
				}
				s.Ns = s.Ns.Add(float64(took.Nanoseconds()) / float64(w.day.Messages))
				s.Byte = s.Ns.Median * float64(w.day.Messages) / float64(len(w.day.Bytes))
			}
		}
	}
	for i := range r.Venue.Stages {
		r.Ratio[r.Venue.Stages[i].Name] = r.Venue.Stages[i].Byte / r.ITCH.Stages[i].Byte
	}
	return r, nil
}

// work is what the stages of a day work with.
type work struct {
	day     *Day
	batch   *tick.Batch
	kept    protocol.Kept
	decoder pipeline.Decoder
	rows    uint64
	framed  int // keeps the compiler from dropping the framing
}

func newWork(d *Day) (*work, error) {
	w := &work{day: d}
	var err error
	if w.batch, err = tick.NewBatch(); err != nil {
		return nil, err
	}
	if w.kept, err = d.Protocol.Keep(d.Options.Product, 0); err != nil {
		return nil, errors.Join(err, w.batch.Free())
	}
	return w, nil
}

func (w *work) close() {
	_ = w.kept.Close()
	_ = w.batch.Free()
}

// reset makes ready for a stage: decoder and books are new, their memory is not.
func (w *work) reset() (err error) {
	w.kept.Orders.Reset()
	if w.kept.Prices != nil {
		w.kept.Prices.Reset()
	}
	w.batch.Reset()
	w.rows = 0
	if w.decoder, err = w.day.Protocol.New(w.day.Options); err != nil {
		return err
	}
	w.decoder.Start(w.day.Midnight)
	return nil
}

// run is one stage over the whole day.
func (w *work) run(stage int) (faults uint64, err error) {
	framing, at := w.day.Protocol.Framing, 0
	for _, end := range w.day.ends {
		h, blocks, err := framing.Parse(w.day.Bytes[at:end])
		at = end
		if err != nil {
			return 0, err
		}
		whole, used := framing.Walk(blocks, int(h.Count))
		w.framed += used
		if stage == 0 || whole == 0 {
			continue
		}
		if err := w.blocks(blocks[:used], h.Sequence, whole, stage); err != nil {
			return 0, err
		}
	}
	w.flush(stage)
	return w.faults(stage), nil
}

// blocks takes whole messages through a stage. Passes are emptied as a lane does, when they are full.
func (w *work) blocks(b []byte, first uint64, count, stage int) error {
	for count > 0 {
		used, n := w.decoder.Append(b, first, min(count, pipeline.PassReplay), w.batch)
		if used == 0 && n == 0 && w.batch.N == 0 {
			return errors.New("the decoder takes no more")
		}
		b, first, count = b[used:], first+uint64(n), count-n
		if used == 0 || w.batch.N >= pipeline.PassReplay || w.batch.Full() {
			w.flush(stage)
		}
	}
	return nil
}

// flush empties the batch.
func (w *work) flush(stage int) {
	w.rows += uint64(w.batch.N)
	if stage == 2 {
		w.kept.Orders.Apply(w.batch, 0, w.batch.N)
		if w.kept.Prices != nil {
			w.kept.Prices.Apply(w.batch, 0, w.batch.N)
		}
	}
	w.batch.Reset()
}

// faults are what was not by the book, of the whole stage.
func (w *work) faults(stage int) uint64 {
	n := w.decoder.Refused()
	if stage == 2 {
		c := w.kept.Orders.Counters()
		n += c.Duplicate + c.Clamped + c.ZeroSize + c.BadPrice + c.BadSide + c.NoRoom + c.OverInstrument + c.OverReference + c.BadSize
		for _, u := range c.Unknown {
			n += u
		}
		if w.kept.Prices != nil {
			p := w.kept.Prices.Counters()
			n += p.Absent + p.Duplicate + p.OutOfOrder + p.PriceMismatch // TopMismatch is no message's fault: a message's levels come before its orders
		}
	}
	return n
}
