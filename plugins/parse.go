package plugins

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unsafe"

	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/tick"
)

// Framing of a packet (ABI.md, parser), as tw_frame writes it:
//
//	0          8       12     16   20    24           34
//	+----------+-------+------+----+-----+------------+
//	| sequence | count | kind | at | 0   | session    |
//	+----------+-------+------+----+-----+------------+
type Framing struct {
	Sequence uint64
	Count    uint32
	Kind     uint32 // Frame…
	At       int    // where the messages begin
	Session  [10]byte
}

const frameBytes = 34

// Kinds of packet.
const (
	FrameMessages  = 0
	FrameHeartbeat = 1
	FrameEnd       = 2
	FrameBeside    = 3
)

// PacketError is a packet that a parser could not read. The instance lives: it is the packet that is wrong.
type PacketError struct {
	Plugin, Version string
	Call            string // the export
	Code            int32  // negative
	Text            string // what tw_error said
}

func (e *PacketError) Error() string {
	text := fmt.Sprintf("plugin %s %s: %s: the packet cannot be read (%d)", e.Plugin, e.Version, e.Call, e.Code)
	if e.Text != "" {
		text += ": " + e.Text
	}
	return text
}

// read gives a parser's call bytes in. Further arguments are in the stack.
func (i *Instance) read(u *unit, fn int, b []byte) (int, error) {
	copy(i.memory.all[u.in:u.in+u.inBytes], b)
	got, err := i.call(fn, i.budget(len(b)/fuelBytes+1))
	if err == nil {
		err = i.kept(u, fn)
	}
	if err == nil && got < 0 {
		e := &PacketError{Plugin: i.plugin.manifest.Name, Version: i.plugin.manifest.Version, Call: exports[fn].name, Code: got}
		if i.fns[fnError] != nil {
			e.Text = i.errorText()
		}
		return 0, e
	}
	return int(got), err
}

func (i *Instance) parser(n int, packet []byte) (*unit, error) {
	u, err := i.unitOf(n, manifest.Parser)
	if err == nil && len(packet) > int(u.inBytes) {
		err = ErrRows
	}
	return u, err
}

// HasFrame says that the plugin reads framing; without it packets are messages of their own.
func (i *Instance) HasFrame() bool { return i.fns[fnFrame] != nil }

// Frame reads the framing of a packet.
func (i *Instance) Frame(unit int, packet []byte) (f Framing, err error) {
	u, err := i.parser(unit, packet)
	if err != nil {
		return f, err
	}
	if i.fns[fnFrame] == nil {
		return Framing{Count: 1}, nil
	}
	i.stack[0], i.stack[1] = uint64(unit), uint64(len(packet))
	if _, err := i.read(u, fnFrame, packet); err != nil {
		return f, err
	}
	b := i.memory.all[u.out : u.out+frameBytes]
	f = Framing{Sequence: binary.LittleEndian.Uint64(b), Count: binary.LittleEndian.Uint32(b[8:]), Kind: binary.LittleEndian.Uint32(b[12:]), Session: [10]byte(b[24:])}
	at := binary.LittleEndian.Uint32(b[16:])
	if f.Kind > FrameBeside || at > uint32(len(packet)) {
		return Framing{}, i.wrong(fnFrame, fmt.Errorf("kind %d, messages at %d of a packet of %d bytes", f.Kind, at, len(packet)))
	}
	f.At = int(at)
	return f, nil
}

// Looks says how sure a parser is that a packet is of its protocol: 0 to 100, 0 too if it does not say.
func (i *Instance) Looks(unit int, packet []byte) (int, error) {
	u, err := i.parser(unit, packet)
	if err != nil || i.fns[fnLooks] == nil {
		return 0, err
	}
	i.stack[0], i.stack[1] = uint64(unit), uint64(len(packet))
	sure, err := i.read(u, fnLooks, packet)
	if err == nil && sure > 100 {
		err = i.wrong(fnLooks, fmt.Errorf("it is %d of 100 sure", sure))
	}
	return sure, err
}

// HasLooks says that the plugin tells packets of its own from others.
func (i *Instance) HasLooks() bool { return i.fns[fnLooks] != nil }

// Start tells a parser that a session begins, midnight in ns since the Unix epoch.
func (i *Instance) Start(unit int, midnight int64) error {
	_, err := i.unitOf(unit, manifest.Parser)
	if err != nil || i.fns[fnStart] == nil {
		return err
	}
	i.stack[0], i.stack[1] = uint64(unit), uint64(midnight)
	return i.code(fnStart, i.mostFuel)
}

// Parse appends the rows of a packet's messages to b, which must have room for Rows(unit) more, and for as many definitions as there are among them (ErrRoom, with
// which the instance lives). It returns how many.
// A packet that cannot be read is a *PacketError and leaves b as it was, as a failure does.
func (i *Instance) Parse(unit int, messages []byte, first uint64, count int, b *tick.Batch) (int, error) {
	u, err := i.parser(unit, messages)
	switch {
	case err != nil:
		return 0, err
	case tick.MaxRows-b.N < u.maxRows:
		return 0, ErrRoom
	}
	i.stack[0], i.stack[1], i.stack[2], i.stack[3] = uint64(unit), uint64(len(messages)), first, uint64(uint32(count))
	n, err := i.read(u, fnParse, messages)
	if err != nil {
		return 0, err
	}
	if n > u.maxRows {
		return 0, i.wrong(fnParse, fmt.Errorf("it made %d rows, but at most %d", n, u.maxRows))
	}
	p := parsed{mem: i.memory.all, n: n}
	p.find(u)
	refused, err := p.check(tick.MaxSideRows - b.Sides.Definitions)
	switch err {
	case nil:
	case ErrRoom: // which is nothing that the parser could know
		return 0, err
	default:
		return 0, i.wrong(fnParse, err)
	}
	return i.append(u, &p, b, first, refused), nil
}

// parsed is rows in a parser's memory: addresses of those columns that have more to them than their bytes, 0: not written.
type parsed struct {
	mem                         []byte
	n                           int
	kind, sub, side, flags, ctl int
	symbol, symbolStride        int
}

func (p *parsed) find(u *unit) {
	for k := range u.columns {
		c := &u.columns[k]
		switch c.id {
		case columnKind:
			p.kind = int(c.at)
		case columnSub:
			p.sub = int(c.at)
		case columnSide:
			p.side = int(c.at)
		case columnFlags:
			p.flags = int(c.at)
		case columnSymbol:
			p.symbol, p.symbolStride = int(c.at), int(c.stride)
		case manifest.ColumnRowCtl:
			p.ctl = int(c.at)
		}
	}
}

// parserFlags are those that a parser may set.
const parserFlags = tick.FlagSnapshot | tick.FlagMBP | tick.FlagTOB | tick.FlagMore | tick.FlagMoreElse

// check looks at all rows before any is taken. Rows whose Aux would name entries of side tables that a plugin cannot fill are not for plugins.
func (p *parsed) check(definitions int) (refused int, err error) {
	at := func(column, row int) byte {
		if column == 0 {
			return 0
		}
		return p.mem[column+row]
	}
	for r := range p.n {
		ctl := at(p.ctl, r)
		if ctl > uint8(Flagged) {
			return 0, fmt.Errorf("row %d: row_ctl is %d, none of 0, 1, 2", r, ctl)
		}
		if ctl == uint8(Refused) {
			refused++
			continue
		}
		kind, sub := tick.Kind(at(p.kind, r)), at(p.sub, r)
		switch kind {
		case 0, tick.KindStatus, tick.KindImbalance, tick.KindStatistics, tick.KindExt:
			return 0, fmt.Errorf("row %d: kind %d is not for plugins", r, kind)
		case tick.KindDefinition:
			if definitions--; definitions < 0 {
				return 0, ErrRoom
			}
			if p.symbol == 0 || p.mem[p.symbol+r*p.symbolStride] == 0 {
				return 0, fmt.Errorf("row %d: a definition (kind 12) without a symbol", r)
			}
			if err := symbolIn(p.mem[p.symbol+r*p.symbolStride : p.symbol+(r+1)*p.symbolStride]); err != nil {
				return 0, fmt.Errorf("row %d: %w", r, err)
			}
		case tick.KindModify, tick.KindLevel, tick.KindImplied, tick.KindClear:
			if !bytes.Contains(subsOf[kind], []byte{sub}) {
				return 0, fmt.Errorf("row %d: sub %d of kind %d is not known", r, sub, kind)
			}
		default:
			if kind >= tick.KindCount {
				return 0, fmt.Errorf("row %d: kind %d is not known", r, kind)
			}
		}
		if p.side != 0 {
			if c := p.mem[p.side+r]; c != 'A' && c != 'B' && c != 'N' {
				return 0, fmt.Errorf("row %d: side is %q, none of A, B, N", r, c)
			}
		}
		if f := at(p.flags, r); f&^parserFlags != 0 {
			return 0, fmt.Errorf("row %d: flags are 0x%02x, but a parser may set 0x%02x only", r, f, parserFlags)
		}
	}
	return refused, nil
}

var subsOf = map[tick.Kind][]byte{
	tick.KindModify:  {tick.ModifyKeep, tick.ModifyTail},
	tick.KindLevel:   {tick.LevelNew, tick.LevelChange, tick.LevelDelete, tick.LevelThru, tick.LevelFrom, tick.LevelOverlay},
	tick.KindImplied: {tick.LevelNew, tick.LevelChange, tick.LevelDelete, tick.LevelThru, tick.LevelFrom, tick.LevelOverlay},
	tick.KindClear:   {tick.ClearBoth, tick.ClearLevels, tick.ClearOrders},
}

// parserColumns are what a parser fills of a batch.
var parserColumns = [...]uint16{columnKind, columnSub, columnSide, columnFlags, columnInstrument, columnTsEvent, columnSequence, columnOrderID, columnAux, columnPrice, columnSize,
	columnOldPrice, columnOldSize}

// append takes the rows, and says how many.
func (i *Instance) append(u *unit, p *parsed, b *tick.Batch, first uint64, refused int) int {
	from := b.N
	for _, id := range parserColumns {
		dst, size := rowsOf(b, id)
		rows := unsafe.Slice((*byte)(unsafe.Add(dst, from*size)), p.n*size)
		if c := u.column(id); c != nil {
			copy(rows, p.mem[c.at:])
			continue
		}
		clear(rows)
		for r := from; r < from+p.n; r++ {
			switch id {
			case columnSide:
				b.Side[r&tick.RowMask] = 'N'
			case columnSequence:
				b.Sequence[r&tick.RowMask] = first
			case columnPrice:
				b.Price[r&tick.RowMask] = tick.UndefPrice
			}
		}
	}
	to := from
	for r := range p.n {
		if p.ctl != 0 && p.mem[p.ctl+r] == uint8(Refused) {
			continue
		}
		if to != from+r {
			moveRow(b, to, from+r)
		}
		if p.ctl != 0 && p.mem[p.ctl+r] == uint8(Flagged) {
			b.Flags[to&tick.RowMask] |= tick.FlagPublisherSpecific
		}
		if b.Kind[to&tick.RowMask] == tick.KindDefinition {
			i.define(b, to&tick.RowMask, textIn(p.mem[p.symbol+r*p.symbolStride:p.symbol+(r+1)*p.symbolStride]))
		}
		to++
	}
	b.N = to
	return p.n - refused
}

func moveRow(b *tick.Batch, to, from int) {
	for _, id := range parserColumns {
		p, size := rowsOf(b, id)
		copy(unsafe.Slice((*byte)(unsafe.Add(p, to*size)), size), unsafe.Slice((*byte)(unsafe.Add(p, from*size)), size))
	}
}

// define fills in the definition of a row of kind 12.
func (i *Instance) define(b *tick.Batch, row int, symbol []byte) {
	k := b.Sides.Definitions
	d := &b.Definitions[k]
	*d = tick.UndefDefinition
	d.InstrumentID, d.TsEvent = b.Instrument[row], b.TsEvent[row]
	d.RawInstrumentID = uint64(b.Instrument[row])
	d.DisplayFactor = tick.PriceScale
	copy(d.RawSymbol[:len(d.RawSymbol)-1], symbol) // symbolIn saw that it fits
	b.Sides.Definitions++
	b.Aux[row] = tick.SideRows(k, 1)
}
