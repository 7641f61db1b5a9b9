package plugins

import (
	"slices"
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

// Alone gives a call of an export on what a unit's columns and bytes hold, whose answer is neither checked nor taken: a kind's own code, for tools that measure. args,
// at most three, are what the export is given behind the unit; rows are what it has fuel for.
func (i *Instance) Alone(unit int, name string, rows int, args ...uint64) (func() error, error) {
	fn := slices.IndexFunc(exports[:], func(e export) bool { return e.name == name })
	if fn < 0 || i.fns[fn] == nil && i.command == nil || len(args) >= len(i.stack) {
		return nil, ErrNoUnit
	}
	if _, err := i.unitOf(unit, exports[fn].kind); err != nil {
		return nil, err
	}
	return func() error {
		if i.dead {
			return ErrDead
		}
		i.stack[0] = uint64(unit)
		copy(i.stack[1:], args)
		_, err := i.call(fn, i.budget(rows))
		return err
	}, nil
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
