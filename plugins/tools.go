package plugins

import (
	"unsafe"

	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/tick"
)

// TypeOf is the type that a column has in a unit's layout, 0: there is no such column.
func (i *Instance) TypeOf(unit int, id uint16) manifest.Type {
	if unit < 0 || unit >= len(i.units) {
		return 0
	}
	if c := i.units[unit].column(id); c != nil {
		return c.typ
	}
	return 0
}

// Params are what the instance was given: JSON as Manifest.Values makes it.
func (i *Instance) Params() []byte { return i.env.Params }

// Again calls the export of a kind that works on rows with what its columns hold, and takes nothing back: the call without the copies, for tools that measure.
func (i *Instance) Again(unit, n int) error {
	if unit < 0 || unit >= len(i.units) {
		return ErrNoUnit
	}
	fn, ok := overRows[i.units[unit].manifest.Kind]
	if !ok {
		return ErrNoUnit
	}
	u, err := i.unitOf(unit, i.units[unit].manifest.Kind)
	switch {
	case err != nil:
		return err
	case n < 0 || n > u.maxRows:
		return ErrRows
	}
	i.stack[0], i.stack[1] = uint64(unit), uint64(n)
	_, err = i.ask(fn, i.budget(n))
	return err
}

var overRows = map[manifest.Kind]int{
	manifest.Transform: fnTransform, manifest.Validator: fnValidate, manifest.Function: fnFunction, manifest.Serializer: fnSerialize, manifest.Partition: fnPartition,
	manifest.Codec: fnEncode, manifest.Index: fnIndexBuild,
}

// SetCell writes a number as a column of a batch has it; false: it is no number of a row's.
func SetCell(b *tick.Batch, row int, id uint16, v uint64) bool { return cell(b, row, id, &v, true) }

// Cell reads what SetCell writes.
func Cell(b *tick.Batch, row int, id uint16) (v uint64, ok bool) {
	ok = cell(b, row, id, &v, false)
	return v, ok
}

func cell(b *tick.Batch, row int, id uint16, v *uint64, set bool) bool {
	p, size := rowsOf(b, id)
	switch {
	case p != nil:
		p = unsafe.Add(p, (row&tick.RowMask)*size)
	case id >= columnPrevBidPx && id <= columnPrevAskCt:
		p, size = pairCell(&b.Before[row&tick.RowMask], id-columnPrevBidPx)
	case id >= columnBidPx && id <= columnAskCt:
		p, size = pairCell(&b.After[row&tick.RowMask], id-columnBidPx)
	default:
		return false
	}
	at := unsafe.Slice((*byte)(p), size)
	if set {
		for k := range at {
			at[k] = byte(*v >> (8 * k))
		}
		return true
	}
	*v = 0
	for k := range at {
		*v |= uint64(at[k]) << (8 * k)
	}
	return true
}

func pairCell(pair *tick.BidAskPair, k uint16) (unsafe.Pointer, int) {
	size := 4
	if k < 2 {
		size = 8
	}
	return unsafe.Add(unsafe.Pointer(pair), pairPlaces[k]), size
}
