package protocol

import (
	"errors"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/tick"
)

// A plugin of kind parser is a protocol like any other: its tw_frame is the framing, its tw_parse the decoder.
//
//	packet ─► Framing.Parse ── tw_frame ─► session: order, holes, A and B ─► Decoder.Append ── tw_frame, tw_parse ─► rows
//
// Only the plugin can cut its packets, so what the session carries is whole packets: the framing hands out the packet with its header, and the decoder reads it
// again. A packet of which the first messages came already is parsed whole, and the rows of those are left out, by their sequence.
//
// An instance that failed is replaced by a spare one, which a goroutine makes; while there is none packets are refused, which makes books suspect as any
// message does that could not be taken.

// Errors of packets.
var (
	errUnread   = errors.New("protocol: the plugin could not read the packet")
	errNoParser = errors.New("protocol: the plugin failed, and another instance is not there yet")
)

// mostDefined bounds the instruments that a packet may name outside of rows.
const mostDefined = 64

// Plugin is a protocol that a plugin speaks, for one lane, or one capture: its functions belong to one goroutine at a time.
type Plugin struct {
	Protocol
	guest *parserGuest
}

// FromPlugin makes a protocol of a plugin's parser: unit is its place in the manifest, params as Manifest.Values gives them, lane says whose limits its calls have. Close
// it behind the lane. Products are what its rows are: orders (default), levels, or both.
func FromPlugin(p *plugins.Plugin, unit int, params []byte, lane bool) (*Plugin, error) {
	u := &p.Manifest().Kinds[unit]
	g := &parserGuest{plugin: p, unit: unit, midnight: -1}
	g.env = plugins.Env{Params: params, Lane: lane, Define: g.define}
	first, err := p.Instance(g.env)
	if err != nil {
		return nil, err
	}
	g.live = first
	g.keep()
	title := u.Title
	if title == "" {
		title = "plugin " + p.Manifest().Name + " " + p.Manifest().Version
	}
	out := &Plugin{guest: g, Protocol: Protocol{
		Name: u.Name, Title: title, Versions: []string{p.Manifest().Version}, Zone: "UTC",
		Publisher: tick.PublisherPlugin, Dataset: Dataset(u.Name), Generated: tick.PublisherPlugin, GenSet: Dataset(u.Name),
		Transports: []string{"udp"}, Framing: g, Unnumbered: !first.HasFrame(),
		New:   func(Options) (pipeline.Decoder, error) { return &guestDecoder{g: g, ids: map[uint32]struct{}{}}, nil },
		Looks: g.looks,
	}}
	out.BooksOf = func(product string) Books {
		switch product {
		case "levels":
			return Books{Sparse: true, Prices: true}
		case "both":
			return Books{Sparse: true, Orders: true, Prices: true}
		}
		return Books{Sparse: true, Orders: true}
	}
	return out, nil
}

// Dataset is the name of a plugin protocol's records.
func Dataset(name string) string { return "PLUGIN." + strings.ToUpper(name[:min(len(name), 8)]) }

// Close ends its instances. The lane has ended.
func (p *Plugin) Close() error { return p.guest.close() }

// parserGuest is the instance that reads a lane's packets, with a spare.
type parserGuest struct {
	plugin   *plugins.Plugin
	unit     int
	env      plugins.Env
	live     *plugins.Instance // nil: it failed
	midnight int64             // of the session, -1: none began
	number   uint64            // of the packet that came last, where packets have none
	defined  []tick.Definition // what the present packet names outside of rows

	spare  atomic.Pointer[plugins.Instance]
	wake   chan struct{} // a spare is wanted
	done   chan struct{}
	closed sync.WaitGroup
}

// keep has a goroutine make a spare whenever there is none.
func (g *parserGuest) keep() {
	g.wake, g.done = make(chan struct{}, 1), make(chan struct{})
	g.wake <- struct{}{}
	g.closed.Go(func() {
		for {
			select {
			case <-g.done:
				return
			case <-g.wake:
			}
			if g.spare.Load() == nil {
				if i, err := g.plugin.Instance(g.env); err == nil {
					g.spare.Store(i)
				}
			}
		}
	})
}

func (g *parserGuest) close() error {
	close(g.done)
	g.closed.Wait()
	var errs []error
	for _, i := range []*plugins.Instance{g.live, g.spare.Swap(nil)} {
		if i != nil {
			errs = append(errs, i.Close())
		}
	}
	g.live = nil
	return errors.Join(errs...)
}

// instance is one that lives, nil: there is none just now.
func (g *parserGuest) instance() *plugins.Instance {
	if g.live != nil && !g.live.Dead() {
		return g.live
	}
	if g.live != nil {
		_ = g.live.Close() // frees its memory: a failure is no time to save one
		g.live = nil
	}
	if g.live = g.spare.Swap(nil); g.live != nil && g.midnight >= 0 {
		g.plugin.Tell(g.live.Start(g.unit, g.midnight)) // one that fails is dead, and noticed by whoever calls it next
	}
	select {
	case g.wake <- struct{}{}:
	default:
	}
	return g.live
}

// define takes an instrument that the plugin names outside of rows.
func (g *parserGuest) define(instrument uint32, symbol []byte) bool {
	var d tick.Definition
	if len(g.defined) == mostDefined || len(symbol) == 0 || len(symbol) >= len(d.RawSymbol) {
		return false
	}
	d = tick.UndefDefinition
	d.InstrumentID, d.RawInstrumentID, d.DisplayFactor = instrument, uint64(instrument), tick.PriceScale
	copy(d.RawSymbol[:], symbol)
	g.defined = append(g.defined, d)
	return true
}

func (g *parserGuest) frame(p []byte) (plugins.Framing, error) {
	i := g.instance()
	if i == nil {
		return plugins.Framing{}, errNoParser
	}
	f, err := i.Frame(g.unit, p)
	if err != nil {
		g.plugin.Tell(err)
		return f, errUnread
	}
	return f, nil
}

// Parse is session.Framing's. blocks is the packet.
func (g *parserGuest) Parse(p []byte) (h session.Header, blocks []byte, err error) {
	f, err := g.frame(p)
	if err != nil {
		return h, nil, err
	}
	h = session.Header{Session: f.Session, Sequence: f.Sequence, Count: uint16(min(f.Count, 1<<16-1))}
	if g.live != nil && !g.live.HasFrame() {
		g.number++
		h.Sequence, h.Count = g.number, 1
		return h, p, nil
	}
	switch f.Kind {
	case plugins.FrameHeartbeat:
		h.Kind, h.Count = session.PacketHeartbeat, 0
	case plugins.FrameEnd:
		h.Kind, h.Count = session.PacketEnd, 0
	case plugins.FrameBeside:
		h.Kind = session.PacketAside
	default:
		if f.Count > 1<<16-1 {
			return h, nil, errUnread
		}
		if h.Count == 0 {
			h.Kind = session.PacketHeartbeat
		}
	}
	return h, p, nil
}

// Walk is session.Framing's: a packet has all its messages or, for fewer than it has, cannot be cut.
func (g *parserGuest) Walk(blocks []byte, count int) (whole, used int) {
	total := 1
	if !g.unnumbered() {
		f, err := g.frame(blocks)
		if err != nil {
			return 0, 0
		}
		total = int(f.Count)
	}
	if count < total {
		return count, 0
	}
	return total, len(blocks)
}

func (g *parserGuest) unnumbered() bool { return g.live != nil && !g.live.HasFrame() }

func (g *parserGuest) looks(payload []byte, _ netip.AddrPort) int {
	i := g.instance()
	if i == nil {
		return 0
	}
	n, err := i.Looks(g.unit, payload)
	if err != nil {
		g.plugin.Tell(err)
		return 0
	}
	if n == 0 { // it does not say, or no: what it can frame may be its own
		if f, err := i.Frame(g.unit, payload); err == nil && (i.HasFrame() && f.Kind != plugins.FrameBeside || !i.HasFrame()) {
			return 1
		}
	}
	return n
}

// guestDecoder is a pipeline.Decoder.
type guestDecoder struct {
	g       *parserGuest
	refused uint64
	ids     map[uint32]struct{}
}

// Append takes whole packets: all messages that are left of one, or none, however many that are.
func (d *guestDecoder) Append(blocks []byte, first uint64, _ int, out *tick.Batch) (used, messages int) {
	g := d.g
	i := g.instance()
	if i == nil {
		return d.refuse(blocks, 1)
	}
	f := plugins.Framing{Sequence: first, Count: 1}
	if i.HasFrame() {
		var err error
		if f, err = g.frame(blocks); err != nil || first < f.Sequence || first >= f.Sequence+uint64(f.Count) {
			return d.refuse(blocks, 1)
		}
	}
	left := int(f.Sequence + uint64(f.Count) - first)
	from := out.N
	if room := i.Rows(g.unit) + mostDefined; out.N != 0 && (tick.MaxRows-out.N < room || out.Sides.Definitions != 0) { // any row may be a definition
		return 0, 0 // behind what is there already
	}
	g.defined = g.defined[:0]
	if _, err := i.Parse(g.unit, blocks[f.At:], f.Sequence, int(f.Count), out); err != nil {
		g.plugin.Tell(err)
		return d.refuse(blocks, left)
	}
	if first > f.Sequence {
		d.drop(out, from, first)
	}
	for k := range g.defined {
		d.tell(out, &g.defined[k], first)
	}
	for r := from; r < out.N; r++ {
		id := out.Instrument[r&tick.RowMask]
		if _, known := d.ids[id]; !known {
			d.ids[id] = struct{}{}
		}
	}
	return len(blocks), left
}

// refuse counts messages that could not be taken.
func (d *guestDecoder) refuse(blocks []byte, messages int) (int, int) {
	d.refused += uint64(messages)
	return len(blocks), messages
}

// drop leaves out the rows of messages that came already.
func (d *guestDecoder) drop(b *tick.Batch, from int, first uint64) {
	to := from
	for r := from; r < b.N; r++ {
		if b.Sequence[r&tick.RowMask] < first {
			continue
		}
		if to != r {
			b.MoveRow(to, r)
		}
		to++
	}
	b.N = to
}

// tell makes a definition a row.
func (d *guestDecoder) tell(b *tick.Batch, def *tick.Definition, sequence uint64) {
	if b.N == tick.MaxRows || b.Sides.Definitions == tick.MaxSideRows {
		d.refused++
		return
	}
	i, k := b.N&tick.RowMask, b.Sides.Definitions
	now := uint64(max(d.g.midnight, 0))
	if b.N > 0 {
		now = b.TsEvent[(b.N-1)&tick.RowMask]
	}
	b.Definitions[k] = *def
	b.Definitions[k].TsEvent = now
	b.Kind[i], b.Sub[i], b.Side[i], b.Flags[i] = tick.KindDefinition, 0, tick.SideNone, 0
	b.Instrument[i], b.TsEvent[i], b.Sequence[i] = def.InstrumentID, now, sequence
	b.OrderID[i], b.Aux[i], b.Price[i], b.Size[i], b.OldPrice[i], b.OldSize[i] = 0, tick.SideRows(k, 1), tick.UndefPrice, 0, tick.UndefPrice, 0
	b.Sides.Definitions++
	b.N++
}

// Start begins a session.
func (d *guestDecoder) Start(midnight uint64) {
	d.g.midnight = int64(midnight)
	clear(d.ids)
	if i := d.g.instance(); i != nil {
		d.g.plugin.Tell(i.Start(d.g.unit, int64(midnight))) // one that fails is dead, and another one starts
	}
}

// Refused is how many messages could not be taken.
func (d *guestDecoder) Refused() uint64 { return d.refused }

// Instruments that rows were about.
func (d *guestDecoder) Instruments(fn func(id uint32) bool) {
	for id := range d.ids {
		if id != 0 && !fn(id) {
			return
		}
	}
}
