//go:build cgo

package duck

import (
	"bytes"
	"math"
	"unicode/utf8"
	"unsafe"

	"github.com/duckdb/duckdb-go/v2/mapping"

	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/tick"
)

// argument is one column of a chunk.
type argument struct {
	data  unsafe.Pointer
	valid []uint64 // a bit a row; nil: no NULL
}

func (a *argument) null(row int) bool { return a.valid != nil && a.valid[row/64]>>(row%64)&1 == 0 }

// arguments are the n rows of a chunk, with h.rows those that the plugin is asked about: all but those with a NULL that it would not see.
func (g *guest) arguments(h *hand, chunk mapping.DataChunk, n int) []argument {
	args := make([]argument, len(g.u.Args))
	var hidden []*argument
	for k := range args {
		v := mapping.DataChunkGetVector(chunk, mapping.IdxT(k))
		a := &args[k]
		a.data = mapping.VectorGetData(v)
		if mask := mapping.VectorGetValidity(v); mask != nil {
			a.valid = unsafe.Slice((*uint64)(mask), (n+63)/64)
			if sees, _ := h.Column(g.unit, uint16(manifest.ColumnArgNull+k)); sees == nil {
				hidden = append(hidden, a)
			}
		}
	}
	h.rows = h.rows[:0]
rows:
	for r := range n {
		for _, a := range hidden {
			if a.null(r) {
				continue rows
			}
		}
		h.rows = append(h.rows, r)
	}
	return args
}

// give writes rows of the arguments into the plugin's columns. Where it sees a NULL the value is zero.
func (g *guest) give(h *hand, args []argument, rows []int) error {
	for k, t := range g.u.Args {
		a := &args[k]
		to, stride := h.Column(g.unit, uint16(manifest.ColumnArg+k))
		if null, _ := h.Column(g.unit, uint16(manifest.ColumnArgNull+k)); null != nil {
			for i, r := range rows {
				null[i] = 0
				if a.null(r) {
					null[i] = 1
				}
			}
		}
		fault := -1
		switch t {
		case manifest.I64, manifest.Price, manifest.F64:
			give8(to, a, rows)
		case manifest.Bool:
			for i, r := range rows {
				to[i] = 0
				if !a.null(r) && *(*byte)(unsafe.Add(a.data, r)) != 0 {
					to[i] = 1
				}
			}
		case manifest.Str:
			if i := giveTexts(to, stride, a, rows); i >= 0 {
				s := stringAt((*stringT)(unsafe.Add(a.data, rows[i]*16)))
				if len(s) > stride {
					return g.wrong("argument %d is a text of %d bytes, its column takes %d", k+1, len(s), stride)
				}
				return g.wrong("argument %d is a text with a NUL in it", k+1)
			}
		case manifest.U64, manifest.Time:
			fault = giveWithin(to, a, rows, 0, math.MaxInt64, func(i int, v int64) { *(*int64)(unsafe.Pointer(&to[i*8])) = v })
		case manifest.U32:
			fault = giveWithin(to, a, rows, 0, math.MaxUint32, func(i int, v int64) { *(*uint32)(unsafe.Pointer(&to[i*4])) = uint32(v) })
		case manifest.I32:
			fault = giveWithin(to, a, rows, math.MinInt32, math.MaxInt32, func(i int, v int64) { *(*int32)(unsafe.Pointer(&to[i*4])) = int32(v) })
		case manifest.U16:
			fault = giveWithin(to, a, rows, 0, math.MaxUint16, func(i int, v int64) { *(*uint16)(unsafe.Pointer(&to[i*2])) = uint16(v) })
		case manifest.U8:
			fault = giveWithin(to, a, rows, 0, math.MaxUint8, func(i int, v int64) { to[i] = uint8(v) })
		}
		if fault >= 0 {
			return g.wrong("argument %d is %d, which is no %s", k+1, *(*int64)(unsafe.Add(a.data, rows[fault]*8)), t)
		}
	}
	return nil
}

// give8 copies values of 8 bytes.
func give8(to []byte, a *argument, rows []int) {
	if len(rows) == 0 {
		return
	}
	out := unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(to))), len(rows)) // columns begin at multiples of 64
	from := unsafe.Slice((*uint64)(a.data), rows[len(rows)-1]+1)
	if a.valid == nil {
		for i, r := range rows {
			out[i] = from[r]
		}
		return
	}
	for i, r := range rows {
		out[i] = 0
		if !a.null(r) {
			out[i] = from[r]
		}
	}
}

// giveWithin copies integers that must lie within bounds; the index of one that does not, else -1.
func giveWithin(to []byte, a *argument, rows []int, least, most int64, set func(i int, v int64)) int {
	for i, r := range rows {
		v := int64(0)
		if !a.null(r) {
			v = *(*int64)(unsafe.Add(a.data, r*8))
		}
		if v < least || v > most {
			return i
		}
		set(i, v)
	}
	return -1
}

// giveTexts copies texts, the rest of the column NUL; the index of one that does not fit, or that has a NUL, else -1.
func giveTexts(to []byte, stride int, a *argument, rows []int) int {
	for i, r := range rows {
		cell := to[i*stride : (i+1)*stride]
		n := 0
		if !a.null(r) {
			s := textBytes((*stringT)(unsafe.Add(a.data, r*16)))
			if len(s) > stride || bytes.IndexByte(s, 0) >= 0 {
				return i
			}
			n = copy(cell, s)
		}
		clear(cell[n:])
	}
	return -1
}

// textBytes is a text of DuckDB's, where it lies.
func textBytes(p *stringT) []byte {
	if p.length <= inlineBytes {
		return p.inline[:p.length]
	}
	return unsafe.Slice((*longT)(unsafe.Pointer(p)).data, p.length)
}

// mostDecimal is the first price, in 1e-9, that DECIMAL(18,9) does not hold.
const mostDecimal = 1e18

// take copies results, of which the i-th is row rows[i]'s. NULLs are added to h.nulls. What SQL's type cannot hold is an error, but undefined prices and times are NULL as in tables.
func (g *guest) take(h *hand, out mapping.Vector, rows []int) error {
	from, stride := h.Column(g.unit, manifest.ColumnResult)
	null, _ := h.Column(g.unit, manifest.ColumnNull)
	data := mapping.VectorGetData(out)
	for i, r := range rows {
		if null != nil && null[i] != 0 {
			h.nulls = append(h.nulls, r)
			continue
		}
		cell := unsafe.Pointer(&from[i*stride])
		to := unsafe.Add(data, r*8)
		switch g.u.Returns {
		case manifest.I64, manifest.F64:
			*(*uint64)(to) = *(*uint64)(cell)
		case manifest.Price:
			v := *(*int64)(cell)
			if v == tick.UndefPrice {
				h.nulls = append(h.nulls, r)
			} else if v >= mostDecimal || v <= -mostDecimal {
				return g.wrong("the result %d/1e9 does not fit DECIMAL(18,9)", v)
			}
			*(*int64)(to) = v
		case manifest.Bool:
			*(*byte)(unsafe.Add(data, r)) = min(1, *(*byte)(cell))
		case manifest.Str:
			text, _, _ := bytes.Cut(from[i*stride:(i+1)*stride], []byte{0})
			if !utf8.Valid(text) {
				return g.wrong("the result %q is no UTF-8", text)
			}
			mapping.VectorAssignStringElementLen(out, mapping.IdxT(r), text)
		case manifest.U64, manifest.Time:
			v := *(*uint64)(cell)
			if g.u.Returns == manifest.Time && v == tick.UndefTime {
				h.nulls = append(h.nulls, r)
			} else if v > math.MaxInt64 {
				return g.wrong("the result %d does not fit bigint", v)
			}
			*(*uint64)(to) = v
		case manifest.U32:
			*(*int64)(to) = int64(*(*uint32)(cell))
		case manifest.I32:
			*(*int64)(to) = int64(*(*int32)(cell))
		case manifest.U16:
			*(*int64)(to) = int64(*(*uint16)(cell))
		case manifest.U8:
			*(*int64)(to) = int64(*(*uint8)(cell))
		}
	}
	return nil
}
