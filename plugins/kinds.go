package plugins

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/tick"
)

// Rows that a unit takes in a call, at most; 0: there is no such unit.
func (i *Instance) Rows(unit int) int {
	if unit < 0 || unit >= len(i.units) {
		return 0
	}
	return i.units[unit].maxRows
}

// Column is a view of a column in the plugin's memory: Rows times the stride, nil: its layout has none. Calls of kinds that do not work on batches take their
// arguments from there and leave results there. Valid until Close; to be written and read between calls only.
func (i *Instance) Column(unit int, id uint16) (view []byte, stride int) {
	if unit < 0 || unit >= len(i.units) {
		return nil, 0
	}
	u := &i.units[unit]
	c := u.column(id)
	if c == nil {
		return nil, 0
	}
	return i.memory.view(c.at, uint32(u.maxRows)*c.stride), int(c.stride)
}

// In is a view of the unit's bytes in, as Column's; nil: it has none.
func (i *Instance) In(unit int) []byte {
	if unit < 0 || unit >= len(i.units) {
		return nil
	}
	return i.memory.view(i.units[unit].in, i.units[unit].inBytes)
}

// Out is a view of the unit's bytes out, as Column's; nil: it has none.
func (i *Instance) Out(unit int) []byte {
	if unit < 0 || unit >= len(i.units) {
		return nil
	}
	return i.memory.view(i.units[unit].out, i.units[unit].outBytes)
}

// over calls an export with a unit and a count of rows, which it returns.
func (i *Instance) over(unit int, kind manifest.Kind, fn, n int) error {
	u, err := i.unitOf(unit, kind)
	switch {
	case err != nil:
		return err
	case n < 0 || n > u.maxRows:
		return ErrRows
	}
	i.stack[0], i.stack[1] = uint64(unit), uint64(n)
	return i.counts(u, fn, n)
}

// counts calls an export that works on n rows and returns n. Arguments are in the stack.
func (i *Instance) counts(u *unit, fn, n int) error {
	got, err := i.ask(fn, i.budget(n))
	if err == nil {
		err = i.countIs(fn, got, n)
	}
	if err == nil {
		err = i.kept(u, fn)
	}
	return err
}

// results is over of a call that fills column 768. Column 769, which says what is NULL, begins as zeros: what the call before said is not this one's.
func (i *Instance) results(unit int, kind manifest.Kind, fn, n int) error {
	if u, err := i.unitOf(unit, kind); err == nil && n >= 0 && n <= u.maxRows {
		if c := u.column(manifest.ColumnNull); c != nil {
			clear(i.memory.view(c.at, uint32(n)))
		}
	}
	return i.over(unit, kind, fn, n)
}

// Function computes column 768 from columns 512 and on, n rows.
func (i *Instance) Function(unit, n int) error {
	return i.results(unit, manifest.Function, fnFunction, n)
}

// AggGroups is how many groups a unit can hold at once.
func (i *Instance) AggGroups(unit int) int {
	u, err := i.unitOf(unit, manifest.Aggregate)
	if err != nil {
		return 0
	}
	return min(u.maxRows, int(min(u.inBytes, u.outBytes))/u.manifest.StateBytes)
}

// AggStart makes empty states of groups in Out.
func (i *Instance) AggStart(unit, groups int) error {
	return i.aggregate(unit, fnAggStart, groups)
}

// AggMerge adds the states in In to those in Out.
func (i *Instance) AggMerge(unit, groups int) error {
	return i.aggregate(unit, fnAggMerge, groups)
}

// AggResult computes column 768 from the states in Out.
func (i *Instance) AggResult(unit, groups int) error {
	if groups > i.AggGroups(unit) && !i.dead {
		return ErrRows
	}
	return i.results(unit, manifest.Aggregate, fnAggResult, groups)
}

func (i *Instance) aggregate(unit, fn, groups int) error {
	if groups > i.AggGroups(unit) && !i.dead {
		return ErrRows
	}
	return i.over(unit, manifest.Aggregate, fn, groups)
}

// AggUpdate adds n rows of columns 512 and on to the states in Out, by column 527, which must be below groups.
func (i *Instance) AggUpdate(unit, n, groups int) error {
	u, err := i.unitOf(unit, manifest.Aggregate)
	switch {
	case err != nil:
		return err
	case n < 0 || n > u.maxRows || groups < 0 || groups > i.AggGroups(unit):
		return ErrRows
	}
	i.stack[0], i.stack[1], i.stack[2] = uint64(unit), uint64(n), uint64(groups)
	return i.counts(u, fnAggUpdate, n)
}

// Begin gives a serializer's bytes before the first batch, valid until the next call.
func (i *Instance) Begin(unit int) ([]byte, error) { return i.edge(unit, fnBegin) }

// End gives a serializer's bytes after the last batch, valid until the next call.
func (i *Instance) End(unit int) ([]byte, error) { return i.edge(unit, fnEnd) }

func (i *Instance) edge(unit, fn int) ([]byte, error) {
	u, err := i.unitOf(unit, manifest.Serializer)
	if err != nil || i.fns[fn] == nil {
		return nil, err
	}
	i.stack[0] = uint64(unit)
	got, err := i.ask(fn, i.budget(u.maxRows))
	if err != nil {
		return nil, err
	}
	return i.answered(u, fn, got)
}

// answered is n bytes out, checked.
func (i *Instance) answered(u *unit, fn, n int) ([]byte, error) {
	if n > int(u.outBytes) {
		return nil, i.wrong(fn, fmt.Errorf("it returned %d bytes, but out has room for %d", n, u.outBytes))
	}
	if err := i.kept(u, fn); err != nil {
		return nil, err
	}
	return i.memory.view(u.out, uint32(n)), nil
}

// Serialize gives the bytes of rows from … from+n-1, valid until the next call. Of s only Custom counts: the custom columns that `reads` names, in that order; nil:
// they are zeros.
func (i *Instance) Serialize(unit int, b *tick.Batch, from, n int, s *Sides) ([]byte, error) {
	u, err := i.unitOf(unit, manifest.Serializer)
	switch {
	case err != nil:
		return nil, err
	case n < 0 || n > u.maxRows || from < 0 || from+n > tick.MaxRows:
		return nil, ErrRows
	}
	i.fill(u, b, from, n, s)
	i.stack[0], i.stack[1] = uint64(unit), uint64(n)
	got, err := i.ask(fnSerialize, i.budget(n))
	if err != nil {
		return nil, err
	}
	return i.answered(u, fnSerialize, got)
}

// TypeOp is what tw_type does.
type TypeOp int

// Operations on a type: ABI.md, type.
const (
	TypeValidate  TypeOp = 0
	TypeNormalise TypeOp = 1
	TypeParse     TypeOp = 2
	TypeFormat    TypeOp = 3
	TypeCompare   TypeOp = 4
	TypeHash      TypeOp = 5
)

// Type does op on n rows of the unit's columns.
func (i *Instance) Type(unit int, op TypeOp, n int) error {
	u, err := i.unitOf(unit, manifest.TypeKind)
	switch {
	case err != nil:
		return err
	case n < 0 || n > u.maxRows || op < TypeValidate || op > TypeHash:
		return ErrRows
	}
	clear(i.memory.view(u.column(manifest.ColumnNull).at, uint32(n)))
	i.stack[0], i.stack[1], i.stack[2] = uint64(unit), uint64(op), uint64(n)
	return i.counts(u, fnType, n)
}

// ErrRoundTrip says that a codec's block decodes to something else than it was made of. The instance lives.
var ErrRoundTrip = errors.New("plugins: the block decodes to other values than it was made of")

// Encode compresses n values in column 512, decodes them again and compares. The bytes are valid until the next call of Encode.
func (i *Instance) Encode(unit, n int) ([]byte, error) {
	u, err := i.unitOf(unit, manifest.Codec)
	switch {
	case err != nil:
		return nil, err
	case n < 0 || n > u.maxRows:
		return nil, ErrRows
	}
	from := u.column(512)
	was := append(i.scratch[:0], i.memory.view(from.at, uint32(n)*from.stride)...) // the plugin may write there
	i.scratch = was
	i.stack[0], i.stack[1] = uint64(unit), uint64(n)
	got, err := i.ask(fnEncode, i.budget(n))
	if err != nil {
		return nil, err
	}
	block, err := i.answered(u, fnEncode, got)
	if err != nil {
		return nil, err
	}
	if len(block) > int(u.inBytes) {
		return nil, i.wrong(fnEncode, fmt.Errorf("a block of %d bytes, but in has room for %d", len(block), u.inBytes))
	}
	i.scratch = append(i.scratch, block...)
	was, block = i.scratch[:len(was)], i.scratch[len(was):]
	back, err := i.Decode(unit, block)
	if err != nil {
		return nil, err
	}
	to := u.column(768)
	if back != n || !bytes.Equal(was, i.memory.view(to.at, uint32(n)*to.stride)) {
		return nil, ErrRoundTrip
	}
	return block, nil
}

// Decode fills column 768 from what Encode gave, and says how many values there are.
func (i *Instance) Decode(unit int, block []byte) (int, error) {
	u, err := i.unitOf(unit, manifest.Codec)
	switch {
	case err != nil:
		return 0, err
	case len(block) > int(u.inBytes):
		return 0, ErrRows
	}
	copy(i.In(unit), block)
	i.stack[0], i.stack[1] = uint64(unit), uint64(len(block))
	got, err := i.ask(fnDecode, i.budget(u.maxRows))
	if err == nil && got > u.maxRows {
		err = i.wrong(fnDecode, fmt.Errorf("it returned %d rows, but at most %d", got, u.maxRows))
	}
	if err == nil {
		err = i.kept(u, fnDecode)
	}
	return got, err
}

// Range of rows: from, and the one behind the last.
type Range struct{ From, To uint32 }

// IndexBuild makes an index of n values in column 512, and looks a sample of them up. The bytes are valid until the next call of IndexBuild.
func (i *Instance) IndexBuild(unit, n int) ([]byte, error) {
	u, err := i.unitOf(unit, manifest.Index)
	switch {
	case err != nil:
		return nil, err
	case n < 0 || n > u.maxRows:
		return nil, ErrRows
	}
	c := u.column(512)
	stride := int(c.stride)
	values := append(i.scratch[:0], i.memory.view(c.at, uint32(n)*c.stride)...)
	i.stack[0], i.stack[1] = uint64(unit), uint64(n)
	got, err := i.ask(fnIndexBuild, i.budget(n))
	if err != nil {
		return nil, err
	}
	out, err := i.answered(u, fnIndexBuild, got)
	if err != nil {
		return nil, err
	}
	i.scratch = append(values, out...)
	values, index := i.scratch[:len(values)], i.scratch[len(values):]
	var room [64]Range
	for k := range min(n, indexSamples) {
		row := k * n / indexSamples
		if n < indexSamples {
			row = k
		}
		v := values[row*stride : (row+1)*stride]
		found, err := i.IndexProbe(unit, index, v, v, room[:0])
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(found, func(r Range) bool { return uint32(row) >= r.From && uint32(row) < r.To }) {
			return nil, i.wrong(fnIndexBuild, fmt.Errorf("the index does not find row %d by its own value", row))
		}
	}
	return index, nil
}

const indexSamples = 8

// IndexProbe appends to dst the ranges of rows that may have values within least and greatest, which are as wide as column 513.
func (i *Instance) IndexProbe(unit int, index, least, greatest []byte, dst []Range) ([]Range, error) {
	u, err := i.unitOf(unit, manifest.Index)
	if err != nil {
		return dst, err
	}
	lo, hi, from, to := u.column(513), u.column(514), u.column(515), u.column(516)
	if len(index) > int(u.inBytes) || len(least) > int(lo.stride) || len(greatest) > int(hi.stride) {
		return dst, ErrRows
	}
	copy(i.In(unit), index)
	pad(i.memory.view(lo.at, lo.stride), least)
	pad(i.memory.view(hi.at, hi.stride), greatest)
	i.stack[0], i.stack[1] = uint64(unit), uint64(len(index))
	got, err := i.ask(fnIndexProbe, i.budget(u.maxRows))
	if err == nil && got > u.maxRows {
		err = i.wrong(fnIndexProbe, fmt.Errorf("it returned %d ranges, but at most %d", got, u.maxRows))
	}
	if err == nil {
		err = i.kept(u, fnIndexProbe)
	}
	if err != nil {
		return dst, err
	}
	behind := uint32(0)
	for k := range uint32(got) {
		r := Range{binary.LittleEndian.Uint32(i.memory.all[from.at+4*k:]), binary.LittleEndian.Uint32(i.memory.all[to.at+4*k:])}
		if r.From < behind || r.To <= r.From {
			return dst, i.wrong(fnIndexProbe, fmt.Errorf("range %d, rows %d to %d, does not ascend", k, r.From, r.To))
		}
		behind = r.To
		dst = append(dst, r)
	}
	return dst, nil
}

func pad(cell, b []byte) { clear(cell[copy(cell, b):]) }

// IndexAdvise says which of its strategies suits n values in column 512.
func (i *Instance) IndexAdvise(unit, n int) (int, error) {
	u, err := i.unitOf(unit, manifest.Index)
	switch {
	case err != nil:
		return 0, err
	case n < 0 || n > u.maxRows:
		return 0, ErrRows
	}
	i.stack[0], i.stack[1] = uint64(unit), uint64(n)
	got, err := i.ask(fnIndexAdvise, i.budget(n))
	if err == nil && got >= len(u.manifest.Strategies) {
		err = i.wrong(fnIndexAdvise, fmt.Errorf("it returned %d, but there are %d strategies", got, len(u.manifest.Strategies)))
	}
	if err == nil {
		err = i.kept(u, fnIndexAdvise)
	}
	return got, err
}

// Partition gives the keys of rows from … from+n-1, valid until the next call.
func (i *Instance) Partition(unit int, b *tick.Batch, from, n int) ([]uint64, error) {
	u, err := i.unitOf(unit, manifest.Partition)
	switch {
	case err != nil:
		return nil, err
	case n < 0 || n > u.maxRows || from < 0 || from+n > tick.MaxRows:
		return nil, ErrRows
	case n == 0:
		return nil, nil
	}
	i.fill(u, b, from, n, nil)
	if err := i.over(unit, manifest.Partition, fnPartition, n); err != nil {
		return nil, err
	}
	return unsafe.Slice((*uint64)(unsafe.Pointer(&i.memory.all[u.column(manifest.ColumnResult).at])), n), nil // at a multiple of 64 in a mapping
}
