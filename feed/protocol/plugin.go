package protocol

import (
	"bytes"
	"errors"
	"net/netip"
	"strconv"
	"strings"

	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/tick"
)

// A plugin of kind parser is a protocol like any other: its tw_frame is the framing, its tw_parse the decoder.
//
//	packet ─► Framing.Parse ── tw_frame ─► session: order, holes, A and B ─► Decoder.Append ── tw_frame, tw_parse ─► rows
//
// Only the plugin can cut its packets, so what the session carries is whole packets: the framing hands out the packet with its header, and the decoder reads it
// again. A packet of which the first messages came already is parsed whole, and the rows of those are left out, by their sequence.
//
// An instance that failed is replaced by a spare one; while there is none, or when the plugin was taken out, packets are refused, which makes books suspect as any
// message does that could not be taken. Another version waits in the seat, and is taken between two passes: a packet is read by one of them, wholly.

// Errors of packets.
var (
	errUnread   = errors.New("protocol: the plugin could not read the packet")
	errNoParser = errors.New("protocol: the plugin failed, and another instance is not there yet")
)

// Plugin is a protocol that a plugin speaks, for one lane, or one capture: its functions belong to one goroutine at a time.
type Plugin struct {
	Protocol
	guest *parserGuest
}

// FromPlugin makes a protocol of a plugin's parser: unit is its place in the manifest, lane says whose limits its calls have. Close it behind the lane. Products are what
// its rows are: orders (default), levels, or both.
func FromPlugin(st plugins.Stage, unit int, lane bool) (*Plugin, error) {
	p := st.Plugin
	first, err := p.Host().NewReader(st, unit, plugins.Env{Lane: lane})
	if err != nil {
		return nil, err
	}
	g := &parserGuest{framed: first.Framed()}
	g.seat.Set(first)
	g.reader = g.seat.Take()
	u := &p.Manifest().Kinds[unit]
	title := u.Title
	if title == "" {
		title = "plugin " + p.Manifest().Name + " " + p.Manifest().Version
	}
	out := &Plugin{guest: g, Protocol: Protocol{
		Name: u.Name, Title: title, Versions: []string{p.Manifest().Version}, Zone: "UTC",
		Publisher: tick.PublisherPlugin, Dataset: Dataset(u.Name), Generated: tick.PublisherPlugin, GenSet: Dataset(u.Name),
		Transports: []string{"udp"}, Framing: g, Unnumbered: !g.framed,
		New:   func(Options) (pipeline.Decoder, error) { return &guestDecoder{g: g, ids: map[uint32]struct{}{}}, nil },
		Looks: g.looks,
	}}
	out.Each = func(packet []byte, _ string, fn func(Message) bool) error { return g.each(u, packet, fn) }
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

// Seat is where another version of the plugin is put, which must read framing if the first one does. The lane takes it between two passes.
func (p *Plugin) Seat() *plugins.Seat { return &p.guest.seat }

// Reader is the chain that reads now. The lane's.
func (p *Plugin) Reader() *plugins.Chain { return p.guest.reader }

// Close ends its instances. The lane has ended.
func (p *Plugin) Close() error {
	last := p.guest.reader
	p.guest.seat.Set(nil)
	p.guest.seat.Take()
	err := last.Close()
	if b := p.guest.shown; b != nil {
		p.guest.shown = nil
		err = errors.Join(err, b.Free())
	}
	return err
}

// parserGuest is the parser that reads a lane's packets.
type parserGuest struct {
	seat   plugins.Seat
	reader *plugins.Chain
	framed bool
	number uint64      // of the packet that came last, where packets have none
	shown  *tick.Batch // of each
}

// endPass takes another version, if there is one.
func (g *parserGuest) endPass(now uint64) {
	if g.reader.Settle(now); g.seat.Waiting() {
		if next := g.seat.Take(); next != nil {
			g.reader = next
		}
	}
}

func (g *parserGuest) frame(p []byte) (plugins.Framing, error) {
	f, err := g.reader.Frame(p)
	switch err {
	case nil:
		return f, nil
	case plugins.ErrNoInstance:
		return f, errNoParser
	}
	return f, errUnread
}

// Parse is session.Framing's. blocks is the packet.
func (g *parserGuest) Parse(p []byte) (h session.Header, blocks []byte, err error) {
	f, err := g.frame(p)
	if err != nil {
		return h, nil, err
	}
	h = session.Header{Session: f.Session, Sequence: f.Sequence, Count: uint16(min(f.Count, 1<<16-1))}
	if !g.framed {
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
	if g.framed {
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

func (g *parserGuest) looks(payload []byte, _ netip.AddrPort) int {
	n, err := g.reader.Looks(payload)
	if err == nil && n == 0 { // it does not say, or no: what it can frame may be its own
		if f, err := g.reader.Frame(payload); err == nil && (!g.framed || f.Kind != plugins.FrameBeside) {
			return 1
		}
	}
	return n
}

// Claims says how sure the plugin itself is that a packet is its own, 0 to 100: what tw_looks says, 0 without it.
func (p *Plugin) Claims(payload []byte) int {
	n, err := p.guest.reader.Looks(payload)
	if err != nil {
		return 0
	}
	return n
}

// each gives a packet's rows for people: what the parser writes of them, by the columns' names. A row's type is its kind, and of the wire's bytes nobody knows which are
// its own.
func (g *parserGuest) each(u *manifest.Unit, packet []byte, fn func(Message) bool) (err error) {
	if g.shown == nil {
		if g.shown, err = tick.NewBatch(); err != nil {
			return err
		}
	}
	b := g.shown
	b.Reset()
	g.number++
	f := plugins.Framing{Sequence: g.number, Count: 1}
	if g.framed {
		if f, err = g.reader.Frame(packet); err != nil || f.Kind == plugins.FrameHeartbeat || f.Kind == plugins.FrameEnd {
			return err
		}
	}
	if _, err := g.reader.Parse(packet, f.At, f.Sequence, int(f.Count), b); err != nil {
		return err
	}
	for r := range b.N {
		m := Message{Sequence: b.Sequence[r], Type: strconv.Itoa(int(b.Kind[r])), Fields: appendRow(nil, u, b, r)}
		if !fn(m) {
			break
		}
	}
	return nil
}

// appendRow writes what a parser wrote of a row as a JSON object.
func appendRow(dst []byte, u *manifest.Unit, b *tick.Batch, r int) []byte {
	dst = append(dst, '{')
	for _, name := range u.Writes {
		c, ok := manifest.ColumnNamed(name)
		v, there := plugins.Cell(b, r, c.ID)
		if !ok || c.Hidden || !there && name != "symbol" || name == "symbol" && b.Kind[r] != tick.KindDefinition {
			continue
		}
		if len(dst) > 1 {
			dst = append(dst, ',')
		}
		dst = append(strconv.AppendQuote(dst, name), ':')
		switch {
		case name == "symbol":
			first, _ := tick.SplitSideRows(b.Aux[r])
			text, _, _ := bytes.Cut(b.Definitions[first].RawSymbol[:], []byte{0})
			dst = strconv.AppendQuote(dst, string(text)) // printable ASCII
		case name == "side":
			dst = strconv.AppendQuote(dst, string(rune(v)))
		case c.Type == manifest.I64 || c.Type == manifest.Price:
			dst = strconv.AppendInt(dst, int64(v), 10)
		default:
			dst = strconv.AppendUint(dst, v, 10)
		}
	}
	return append(dst, '}')
}

// guestDecoder is a pipeline.Decoder.
type guestDecoder struct {
	g        *parserGuest
	midnight uint64 // of the session
	refused  uint64
	ids      map[uint32]struct{}
}

// EndPass is between two passes, at now.
func (d *guestDecoder) EndPass(now uint64) { d.g.endPass(now) }

// Append takes whole packets: all messages that are left of one, or none, however many that are. Of one whose framing cannot be read again it refuses as many as it was asked
// for: what is left of them comes without bytes.
func (d *guestDecoder) Append(blocks []byte, first uint64, most int, out *tick.Batch) (used, messages int) {
	g := d.g
	f := plugins.Framing{Sequence: first, Count: 1}
	if g.framed {
		if len(blocks) == 0 { // behind a packet that could not be read: more of its messages
			return d.refuse(blocks, most)
		}
		var err error
		if f, err = g.frame(blocks); err != nil || first < f.Sequence || first >= f.Sequence+uint64(f.Count) {
			return d.refuse(blocks, most)
		}
	}
	left := int(f.Sequence + uint64(f.Count) - first)
	from := out.N
	if room := g.reader.MostRows() + plugins.MostDefined; out.N != 0 && (tick.MaxRows-out.N < room || out.Sides.Definitions != 0) { // any row may be a definition
		return 0, 0 // behind what is there already
	}
	if _, err := g.reader.Parse(blocks, f.At, f.Sequence, int(f.Count), out); err != nil {
		return d.refuse(blocks, left)
	}
	if first > f.Sequence {
		d.drop(out, from, first)
	}
	defined := g.reader.Defined()
	for k := range defined {
		d.tell(out, &defined[k], first)
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
	now := d.midnight
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
	d.midnight = midnight
	clear(d.ids)
	d.g.reader.Begin(int64(midnight))
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
