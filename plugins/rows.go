package plugins

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"unsafe"

	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/tick"
)

// Sides are the columns that a chain has beside a batch's.
type Sides struct {
	Custom  [manifest.MostCustom]*[tick.MaxRows]uint64 // custom columns: int64, float64 or uint64 as bits, by number of CustomColumns
	Verdict *[tick.MaxRows]Verdict
	Reason  *[tick.MaxRows]Reason // why a verdict is not Keep
}

// Verdict on a row.
type Verdict uint8

// Verdicts. Those other than Keep carry F_PUBLISHER_SPECIFIC.
const (
	Keep     Verdict = 0
	Refused  Verdict = 1 // published, since it changed a book
	Flagged  Verdict = 2
	Bypassed Verdict = 3 // a plugin did not handle the row: it failed, or is out
	Dropped  Verdict = 4 // refused, and not to be published
)

// Reason of a verdict: stage << 16 | source << 8 | index.
type Reason uint32

// Sources of a reason.
const (
	FromTransform = 0 // index into its `reasons`
	FromValidator = 1
	FromHost      = 2 // the row was not handled: index is a Bypass… code
)

// Stage of the chain that gave the verdict.
func (r Reason) Stage() int { return int(r >> 16) }

// Source is From….
func (r Reason) Source() int { return int(r >> 8 & 0xff) }

// Index of the reason.
func (r Reason) Index() int { return int(r & 0xff) }

// Droppable says which refused rows are not published: those that touch no order and no price level, and are about one instrument's trading or figures. What
// changed a book or tells its state must be published, or readers' books would differ from the venue's.
func Droppable(k tick.Kind) bool { return k < tick.KindCount && droppable>>k&1 != 0 }

const droppable uint32 = 1<<tick.KindTrade | 1<<tick.KindCross | 1<<tick.KindFill | 1<<tick.KindImbalance | 1<<tick.KindStatistics | 1<<tick.KindExt

// unit is one of a plugin's kinds in an instance's memory.
type unit struct {
	layout
	manifest *manifest.Unit

	ins    []column // written before a call
	zeros  []column // cleared before a call
	outs   []column // of the batch, taken after it
	ctl    int      // address of row_ctl, 0: none
	reason int
	side   int // address of side among outs, 0: none
	symbol int // address of symbol among what it writes, 0: none
	stride int // of symbol

	customAt  [manifest.MostCustom]uint32 // addresses
	customTo  [manifest.MostCustom]uint8  // columns of Sides
	earlierOf [manifest.MostCustom]uint8
}

// read reads a unit's layout.
func (u *unit) read(i *Instance, m *manifest.Unit, at uint32) error {
	want, inBytes, outBytes := wants(m)
	l, err := readLayout(i.memory, at, i.plugin.manifest.Limits.MaxRows, want)
	if err != nil {
		return err
	}
	if m.Kind == manifest.Parser && i.fns[fnFrame] != nil {
		outBytes = frameBytes
	}
	switch {
	case l.inBytes < inBytes:
		return fmt.Errorf("layout at %d: in has %d bytes, want %d or more", at, l.inBytes, inBytes)
	case l.outBytes < outBytes:
		return fmt.Errorf("layout at %d: out has %d bytes, want %d or more", at, l.outBytes, outBytes)
	}
	if m.Kind == manifest.Parser && l.column(columnKind) == nil {
		return errors.New("its writes lack kind, without which a row is none")
	}
	u.layout, u.manifest = *l, m
	for k := range u.customTo {
		u.customTo[k], u.earlierOf[k] = uint8(k), uint8(k)
	}
	for _, c := range u.columns {
		u.place(c)
		i.memory.touch(int(c.at), int(c.stride)*u.maxRows)
	}
	return nil
}

// place says what becomes of a column of rows before and after a call.
func (u *unit) place(c column) {
	written := c.access&accessWrite != 0
	switch {
	case c.id == manifest.ColumnRowCtl:
		u.ctl, u.zeros = int(c.at), append(u.zeros, c)
	case c.id == manifest.ColumnReason:
		u.reason, u.zeros = int(c.at), append(u.zeros, c)
	case c.id >= manifest.ColumnCustom && c.id < manifest.ColumnCustom+manifest.MostCustom:
		u.customAt[c.id-manifest.ColumnCustom] = c.at
		u.zeros = append(u.zeros, c)
	case c.id >= manifest.ColumnArg || u.manifest.Kind == manifest.Parser:
	case c.id == columnSymbol && written:
		u.symbol, u.stride = int(c.at), int(c.stride)
		u.ins = append(u.ins, c)
	default:
		u.ins = append(u.ins, c) // written ones too: rows left alone keep their value
		if written {
			u.outs = append(u.outs, c)
			if c.id == columnSide {
				u.side = int(c.at)
			}
		}
	}
}

// Numbers of columns that are not copied as they are.
const (
	columnKind       = 1
	columnSub        = 2
	columnSide       = 3
	columnFlags      = 4
	columnInstrument = 5
	columnTsEvent    = 6
	columnTsRecv     = 7
	columnSequence   = 8
	columnOrderID    = 9
	columnAux        = 10
	columnPrice      = 11
	columnSize       = 12
	columnState      = 13
	columnLeft       = 14
	columnOldPrice   = 15
	columnOldSize    = 16
	columnBidPx      = 17
	columnAskCt      = 22
	columnPrevBidPx  = 23
	columnPrevAskCt  = 28
	columnPublisher  = 29
	columnSymbol     = 30
	columnMPID       = 31
)

// rowsOf is where a column of a batch begins, and the bytes of a value; nil: it has no such column.
func rowsOf(b *tick.Batch, id uint16) (unsafe.Pointer, int) {
	switch id {
	case columnKind:
		return unsafe.Pointer(b.Kind), 1
	case columnSub:
		return unsafe.Pointer(b.Sub), 1
	case columnSide:
		return unsafe.Pointer(b.Side), 1
	case columnFlags:
		return unsafe.Pointer(b.Flags), 1
	case columnInstrument:
		return unsafe.Pointer(b.Instrument), 4
	case columnTsEvent:
		return unsafe.Pointer(b.TsEvent), 8
	case columnTsRecv:
		return unsafe.Pointer(b.TsRecv), 8
	case columnSequence:
		return unsafe.Pointer(b.Sequence), 8
	case columnOrderID:
		return unsafe.Pointer(b.OrderID), 8
	case columnAux:
		return unsafe.Pointer(b.Aux), 8
	case columnPrice:
		return unsafe.Pointer(b.Price), 8
	case columnSize:
		return unsafe.Pointer(b.Size), 8
	case columnState:
		return unsafe.Pointer(b.State), 1
	case columnLeft:
		return unsafe.Pointer(b.Left), 8
	case columnOldPrice:
		return unsafe.Pointer(b.OldPrice), 8
	case columnOldSize:
		return unsafe.Pointer(b.OldSize), 8
	}
	return nil, 0
}

// pairPlaces are offsets of a column's value in a BidAskPair, from bid_px on.
var pairPlaces = [...]uintptr{
	unsafe.Offsetof(tick.BidAskPair{}.BidPx), unsafe.Offsetof(tick.BidAskPair{}.AskPx), unsafe.Offsetof(tick.BidAskPair{}.BidSz),
	unsafe.Offsetof(tick.BidAskPair{}.AskSz), unsafe.Offsetof(tick.BidAskPair{}.BidCt), unsafe.Offsetof(tick.BidAskPair{}.AskCt),
}

// fill writes the columns of n rows, from row from on, into the guest's memory. Hot path.
//
// The addresses were checked with the layout; memory never moves and never shrinks.
func (i *Instance) fill(u *unit, b *tick.Batch, from, n int, s *Sides) {
	mem := i.memory.all
	for k := range u.zeros {
		c := &u.zeros[k]
		clear(mem[c.at : int(c.at)+n*int(c.stride)])
	}
	for k := range u.ins {
		c := &u.ins[k]
		dst := mem[c.at : int(c.at)+n*int(c.stride)]
		if src, size := rowsOf(b, c.id); src != nil {
			copy(dst, unsafe.Slice((*byte)(unsafe.Add(src, from*size)), n*size))
			continue
		}
		switch {
		case c.id >= manifest.ColumnEarlier:
			fillEarlier(dst, s, int(u.earlierOf[c.id-manifest.ColumnEarlier]), from)
		case c.id == columnPublisher:
			for r := 0; r+2 <= len(dst); r += 2 {
				binary.LittleEndian.PutUint16(dst[r:], i.env.Publisher)
			}
		case c.id == columnSymbol:
			i.fillSymbols(dst, int(c.stride), b.Instrument[from:from+n])
		case c.id == columnMPID:
			i.fillMPIDs(dst, int(c.stride), b, from, n)
		case c.id >= columnPrevBidPx:
			fillPairs(dst, b.Before[from:from+n], pairPlaces[c.id-columnPrevBidPx], int(c.stride))
		default:
			fillPairs(dst, b.After[from:from+n], pairPlaces[c.id-columnBidPx], int(c.stride))
		}
	}
}

func fillEarlier(dst []byte, s *Sides, k, from int) {
	if s == nil || s.Custom[k] == nil {
		clear(dst)
		return
	}
	copy(dst, unsafe.Slice((*byte)(unsafe.Pointer(&s.Custom[k][from])), len(dst)))
}

// fillPairs picks one value out of each pair.
func fillPairs(dst []byte, pairs []tick.BidAskPair, place uintptr, size int) {
	if size == 8 {
		out := unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(dst))), len(pairs))
		for r := range pairs {
			out[r] = *(*uint64)(unsafe.Add(unsafe.Pointer(&pairs[r]), place))
		}
		return
	}
	out := unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(dst))), len(pairs))
	for r := range pairs {
		out[r] = *(*uint32)(unsafe.Add(unsafe.Pointer(&pairs[r]), place))
	}
}

// fillSymbols looks up each row's symbol, once for rows of the same instrument in a row.
func (i *Instance) fillSymbols(dst []byte, stride int, instruments []uint32) {
	var last []byte // in dst
	for r, id := range instruments {
		cell := dst[r*stride : (r+1)*stride]
		if r > 0 && id == instruments[r-1] {
			copy(cell, last)
			continue
		}
		last = cell
		if i.env.Directory == nil {
			clear(cell)
			continue
		}
		i.putText(cell, i.env.Directory.Symbol(id))
	}
}

// putText writes a text into a cell. One that is longer is cut, and counted.
func (i *Instance) putText(cell, text []byte) {
	n := copy(cell, text)
	clear(cell[n:])
	if n < len(text) {
		i.Cut++
	}
}

// fillMPIDs writes the participant that a row names: an order's, or the first one of an ext row.
func (i *Instance) fillMPIDs(dst []byte, stride int, b *tick.Batch, from, n int) {
	clear(dst)
	for r := range n {
		row := (from + r) & tick.RowMask
		packed := uint64(0)
		switch b.Kind[row] {
		case tick.KindAdd:
			packed = b.Aux[row]
		case tick.KindExt:
			first, count := tick.SplitSideRows(b.Aux[row])
			for k := first; k < first+count && k < tick.MaxSideRows; k++ {
				if e := &b.Exts[k]; e.Kind == tick.ExtMPID || e.Kind == tick.ExtParticipant {
					packed = e.A
					break
				}
			}
		}
		binary.LittleEndian.PutUint64(dst[r*stride:], packed)
	}
}

// Transform lets a unit change rows from … from+n-1 of a batch. A symbol that it writes is not taken: it stands in column 30 (Chain hands it on).
func (i *Instance) Transform(unit int, b *tick.Batch, from, n int, s *Sides) error {
	_, err := i.judge(unit, manifest.Transform, fnTransform, b, from, n, s, Reason(FromTransform<<8))
	return err
}

// Validate lets a unit judge rows from … from+n-1. It returns how many it did not keep.
func (i *Instance) Validate(unit int, b *tick.Batch, from, n int, s *Sides) (int, error) {
	v, err := i.judge(unit, manifest.Validator, fnValidate, b, from, n, s, Reason(FromValidator<<8))
	return v.refused + v.flagged, err
}

// verdicts counts rows.
type verdicts struct{ refused, flagged, dropped int }

// judge runs a transform or a validator. Hot path.
func (i *Instance) judge(unit int, kind manifest.Kind, fn int, b *tick.Batch, from, n int, s *Sides, why Reason) (verdicts, error) {
	u, err := i.unitOf(unit, kind)
	switch {
	case err != nil:
		return verdicts{}, err
	case n < 0 || n > u.maxRows || from < 0 || from+n > tick.MaxRows:
		return verdicts{}, ErrRows
	case n == 0:
		return verdicts{}, nil
	}
	i.judged, i.judgedRows = unit, n
	i.fill(u, b, from, n, s)
	i.stack[0], i.stack[1] = uint64(unit), uint64(n)
	got, err := i.ask(fn, i.budget(n))
	if err == nil && kind == manifest.Transform {
		err = i.countIs(fn, got, n)
	}
	if err == nil {
		err = i.kept(u, fn)
	}
	notKept := 0
	if err == nil {
		notKept, err = i.possible(u, fn, b, from, n)
	}
	if err == nil && kind == manifest.Validator {
		err = i.countIs(fn, got, notKept)
	}
	if err != nil {
		return verdicts{}, err
	}
	i.take(u, b, from, n, s)
	if notKept == 0 {
		return verdicts{}, nil
	}
	return i.verdicts(u, b, from, n, s, why), nil
}

// possible checks verdicts, reasons and sides before anything of them is taken, and says how many rows are not kept. Hot path.
func (i *Instance) possible(u *unit, fn int, b *tick.Batch, from, n int) (notKept int, err error) {
	mem := i.memory.all
	if u.ctl != 0 {
		bad := uint64(0)
		words, last := u.verdictWords(mem, n)
		for k, w := range words {
			if k == len(words)-1 {
				w &= last
			}
			bad |= w&^threes | w&(w>>1)&ones
			notKept += bits.OnesCount64(w) // 1 and 2 have one bit each
			if u.reason != 0 && w != 0 {
				if err := i.reasonsOf(u, fn, k*8, w); err != nil {
					return 0, err
				}
			}
		}
		if bad != 0 {
			return 0, i.wrong(fn, errors.New("a row_ctl is none of 0, 1, 2"))
		}
	}
	if u.side != 0 {
		for r, c := range mem[u.side : u.side+n] {
			// Rows of kinds that have no side have anything there, which may stay.
			if c != 'A' && c != 'B' && c != 'N' && c != b.Side[(from+r)&tick.RowMask] {
				return 0, i.wrong(fn, fmt.Errorf("a side is %q, none of A, B, N", c))
			}
		}
	}
	if u.symbol != 0 {
		for r := range n {
			if err := symbolIn(mem[u.symbol+r*u.stride : u.symbol+(r+1)*u.stride]); err != nil {
				return 0, i.wrong(fn, err)
			}
		}
	}
	return notKept, nil
}

// textIn is the text in a cell, without the NULs behind it.
func textIn(cell []byte) []byte {
	if n := bytes.IndexByte(cell, 0); n >= 0 {
		return cell[:n]
	}
	return cell
}

// symbolIn checks that a cell has a symbol or nothing.
func symbolIn(cell []byte) error {
	text := textIn(cell)
	if len(text) > mostSymbol-1 {
		return fmt.Errorf("a symbol of %d bytes, but at most %d", len(text), mostSymbol-1)
	}
	for _, c := range text {
		if c <= ' ' && (c != ' ' || len(bytes.Trim(text, " ")) < len(text)) || c >= 0x7f {
			return fmt.Errorf("a symbol %q: want printable ASCII, without spaces around it", text)
		}
	}
	return nil
}

const (
	ones   = 0x0101010101010101
	threes = 3 * ones
)

// verdictWords is row_ctl, eight rows a word; of the last word only the bits of last are of rows. Columns are at multiples of 64 in a mapping of whole pages, so
// a word that begins within a column is within the mapping.
func (u *unit) verdictWords(mem []byte, n int) (words []uint64, last uint64) {
	return unsafe.Slice((*uint64)(unsafe.Pointer(&mem[u.ctl])), (n+7)/8), ^uint64(0) >> (uint(-n) % 8 * 8)
}

// reasonsOf checks the reasons of those of eight rows that are not kept.
func (i *Instance) reasonsOf(u *unit, fn, r int, w uint64) error {
	for ; w != 0; w &= w - 1 {
		reason := int(i.memory.all[u.reason+r+bits.TrailingZeros64(w)/8])
		if reason > 0 && reason >= len(u.manifest.Reasons) {
			return i.wrong(fn, fmt.Errorf("a reason is %d, but there are %d", reason, len(u.manifest.Reasons)))
		}
	}
	return nil
}

// verdicts takes row_ctl: most rows are kept, and most of the others only flagged. Hot path.
func (i *Instance) verdicts(u *unit, b *tick.Batch, from, n int, s *Sides, why Reason) (v verdicts) {
	words, last := u.verdictWords(i.memory.all, n)
	for k, w := range words {
		if k == len(words)-1 {
			w &= last
		}
		row := from + 8*k
		if w&ones == 0 && u.reason == 0 && row <= tick.MaxRows-8 && s != nil && s.Verdict != nil {
			if w == 0 || s.flag8(b, row, w, why) {
				v.flagged += bits.OnesCount64(w)
				continue
			}
		}
		for ; w != 0; w &= w - 1 {
			at := bits.TrailingZeros64(w) / 8
			i.verdict(u, b, (row+at)&tick.RowMask, 8*k+at, s, why, &v)
		}
	}
	return v
}

// flag8 flags those of eight rows whose byte in w is 2, unless one of the eight has a verdict already. Reasons of rows that are kept do not count, so all are
// written.
func (s *Sides) flag8(b *tick.Batch, row int, w uint64, why Reason) bool {
	verdicts := (*uint64)(unsafe.Pointer(&s.Verdict[row&tick.RowMask]))
	if *verdicts != 0 {
		return false
	}
	*verdicts = w                                               // Flagged is 2
	*(*uint64)(unsafe.Pointer(&b.Flags[row&tick.RowMask])) |= w // FlagPublisherSpecific is 2 as well
	reasons := (*[4]uint64)(unsafe.Pointer(&s.Reason[row&tick.RowMask]))
	two := uint64(why) | uint64(why)<<32
	reasons[0], reasons[1], reasons[2], reasons[3] = two, two, two, two
	return true
}

const ( // flag8 does not compile if they change
	_ = uint(Flagged - Verdict(tick.FlagPublisherSpecific))
	_ = uint(Verdict(tick.FlagPublisherSpecific) - Flagged)
)

// verdict takes one row's.
func (i *Instance) verdict(u *unit, b *tick.Batch, row, k int, s *Sides, why Reason, v *verdicts) {
	what := Verdict(i.memory.all[u.ctl+k])
	b.Flags[row] |= tick.FlagPublisherSpecific
	if what == Flagged {
		v.flagged++
	} else {
		v.refused++
		if Droppable(b.Kind[row]) {
			what = Dropped
			v.dropped++
		}
	}
	if s == nil || s.Verdict == nil {
		return
	}
	// A refusal stands above a flag; of equals the first one counts.
	if was := s.Verdict[row]; was == Keep || what != Flagged && was != Refused && was != Dropped {
		s.Verdict[row] = what
		s.Reason[row] = why
		if u.reason != 0 {
			s.Reason[row] |= Reason(i.memory.all[u.reason+k])
		}
	}
}

// take takes back what a transform wrote. Hot path.
func (i *Instance) take(u *unit, b *tick.Batch, from, n int, s *Sides) {
	mem := i.memory.all
	for k := range u.outs {
		c := &u.outs[k]
		dst, size := rowsOf(b, c.id)
		copy(unsafe.Slice((*byte)(unsafe.Add(dst, from*size)), n*size), mem[c.at:int(c.at)+n*size])
	}
	if s == nil {
		return
	}
	for k := range u.manifest.Custom {
		if dst := s.Custom[u.customTo[k]]; dst != nil {
			copy(unsafe.Slice((*byte)(unsafe.Pointer(&dst[from])), n*8), mem[u.customAt[k]:int(u.customAt[k])+n*8])
		}
	}
}
