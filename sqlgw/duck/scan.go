//go:build cgo

package duck

/*
#include <stdlib.h>
#include <stdint.h>

void tickwireBind(void *);
void tickwireInit(void *);
void tickwireLocal(void *);
void tickwireFunction(void *, void *);
void tickwireDelete(void *);

typedef void (*tickwire_info_t)(void *);
typedef void (*tickwire_call_t)(void *, void *);
*/
import "C"

import (
	"fmt"
	"math/bits"
	"runtime/cgo"
	"unsafe"

	"github.com/duckdb/duckdb-go/v2/mapping"

	"github.com/tickwire/tickwire/sqlgw"
	"github.com/tickwire/tickwire/store"
)

// A table function in DuckDB's own terms: bind names the columns, init begins a scan, local init makes what a thread works
// with, function fills one chunk. What they pass on is Go's, so DuckDB gets a number of it, in memory of C's.

// tableFunction is what bind is given.
type tableFunction struct {
	e *Engine
	t *store.Table
}

// bound is what init is given.
type bound struct{ *tableFunction }

// running is one scan of one query.
type running struct {
	*tableFunction
	scan    *store.Scan
	columns []int // of the table, in the order of the output chunk; -1: the row's number, of which only the count matters
}

// worker is one thread's place in a scan.
type worker struct {
	*running
	block   *store.Block
	at      int
	vectors []store.Vector
}

// keep gives DuckDB a value to hold; it ends with deleteCallback.
func keep(v any) unsafe.Pointer {
	p := C.malloc(C.size_t(unsafe.Sizeof(cgo.Handle(0))))
	*(*cgo.Handle)(p) = cgo.NewHandle(v)
	return p
}

func kept[T any](p unsafe.Pointer) T { return (*(*cgo.Handle)(p)).Value().(T) }

var deleteCallback = unsafe.Pointer(C.tickwire_info_t(C.tickwireDelete))

//export tickwireDelete
func tickwireDelete(p unsafe.Pointer) {
	h := *(*cgo.Handle)(p)
	if r, ok := h.Value().(*running); ok {
		r.scan.Close()
		r.e.Scans.Add(-1)
	}
	h.Delete()
	C.free(p)
}

// register makes the table function of a table.
func (e *Engine) register(c *Conn, t *store.Table) error {
	f := mapping.CreateTableFunction()
	defer mapping.DestroyTableFunction(&f)
	mapping.TableFunctionSetName(f, functionName(t))
	mapping.TableFunctionSetExtraInfo(f, keep(&tableFunction{e, t}), deleteCallback)
	mapping.TableFunctionSetBind(f, unsafe.Pointer(C.tickwire_info_t(C.tickwireBind)))
	mapping.TableFunctionSetInit(f, unsafe.Pointer(C.tickwire_info_t(C.tickwireInit)))
	mapping.TableFunctionSetLocalInit(f, unsafe.Pointer(C.tickwire_info_t(C.tickwireLocal)))
	mapping.TableFunctionSetFunction(f, unsafe.Pointer(C.tickwire_call_t(C.tickwireFunction)))
	mapping.TableFunctionSupportsProjectionPushdown(f, true)
	if mapping.RegisterTableFunction(c.conn, f) == mapping.StateError {
		return fmt.Errorf("duck: table function of %s is refused", t.Name)
	}
	return nil
}

// guarded runs a callback: a panic in Go code that C called would end the process.
func guarded(refuse func(string), fn func() error) {
	defer func() {
		if r := recover(); r != nil {
			refuse(fmt.Sprintf("internal error: %v", r))
		}
	}()
	if err := fn(); err != nil {
		refuse(err.Error())
	}
}

//export tickwireBind
func tickwireBind(p unsafe.Pointer) {
	info := mapping.BindInfo{Ptr: p}
	guarded(func(why string) { mapping.BindSetError(info, why) }, func() error {
		f := kept[*tableFunction](mapping.BindGetExtraInfo(info))
		for i := range f.t.Columns {
			t := logicalType(f.t.Columns[i].Type)
			mapping.BindAddResultColumn(info, f.t.Columns[i].Name, t)
			mapping.DestroyLogicalType(&t)
		}
		mapping.BindSetBindData(info, keep(&bound{f}), deleteCallback)
		return nil
	})
}

func logicalType(t store.Type) mapping.LogicalType {
	switch t {
	case store.Timestamp:
		return mapping.CreateLogicalType(mapping.TypeTimestampTZ)
	case store.Decimal:
		return mapping.CreateDecimalType(18, 9)
	case store.SmallInt:
		return mapping.CreateLogicalType(mapping.TypeSmallInt)
	case store.Text:
		return mapping.CreateLogicalType(mapping.TypeVarchar)
	case store.Double:
		return mapping.CreateLogicalType(mapping.TypeDouble)
	}
	return mapping.CreateLogicalType(mapping.TypeBigInt)
}

//export tickwireInit
func tickwireInit(p unsafe.Pointer) {
	info := mapping.InitInfo{Ptr: p}
	guarded(func(why string) { mapping.InitSetError(info, why) }, func() error {
		b := kept[*bound](mapping.InitGetBindData(info))
		scan, err := b.e.store.Scan(b.t.Name, store.Bounds{})
		if err != nil {
			return err
		}
		r := &running{tableFunction: b.tableFunction, scan: scan}
		for i := range mapping.InitGetColumnCount(info) {
			col := mapping.InitGetColumnIndex(info, i)
			if uint64(col) >= uint64(len(b.t.Columns)) {
				r.columns = append(r.columns, -1)
			} else {
				r.columns = append(r.columns, int(col))
			}
		}
		b.e.Scans.Add(1)
		mapping.InitSetInitData(info, keep(r), deleteCallback)
		mapping.InitSetMaxThreads(info, mapping.IdxT(b.e.threads))
		return nil
	})
}

//export tickwireLocal
func tickwireLocal(p unsafe.Pointer) {
	info := mapping.InitInfo{Ptr: p}
	guarded(func(why string) { mapping.InitSetError(info, why) }, func() error {
		mapping.InitSetInitData(info, keep(&worker{}), deleteCallback)
		return nil
	})
}

// chunkRows is the rows of a vector.
var chunkRows = int(mapping.VectorSize())

//export tickwireFunction
func tickwireFunction(p, out unsafe.Pointer) {
	info, chunk := mapping.FunctionInfo{Ptr: p}, mapping.DataChunk{Ptr: out}
	guarded(func(why string) { mapping.FunctionSetError(info, why) }, func() error {
		w := kept[*worker](mapping.FunctionGetLocalInitData(info))
		if w.running == nil {
			w.running = kept[*running](mapping.FunctionGetInitData(info))
			w.vectors = make([]store.Vector, len(w.columns))
		}
		for w.block == nil || w.at == w.block.Rows {
			if w.block = w.scan.Next(); w.block == nil {
				mapping.DataChunkSetSize(chunk, 0)
				return nil
			}
			w.at = 0
			for i, col := range w.columns {
				if col >= 0 {
					w.vectors[i] = w.block.Column(col)
				}
			}
		}
		n := min(chunkRows, w.block.Rows-w.at)
		for i, col := range w.columns {
			if col >= 0 {
				w.fill(mapping.DataChunkGetVector(chunk, mapping.IdxT(i)), &w.vectors[i], n)
			}
		}
		w.at += n
		mapping.DataChunkSetSize(chunk, mapping.IdxT(n))
		return nil
	})
}

// fill copies n values of a column into a vector of DuckDB's.
func (w *worker) fill(dst mapping.Vector, v *store.Vector, n int) {
	data := mapping.VectorGetData(dst)
	switch {
	case v.I64 != nil:
		copy(unsafe.Slice((*int64)(data), n), v.I64[w.at:w.at+n])
		if v.Valid != nil {
			validity(dst, v.Valid, w.at, n)
		}
	case v.I16 != nil:
		copy(unsafe.Slice((*int16)(data), n), v.I16[w.at:w.at+n])
	case v.Codes != nil:
		w.texts(dst, data, v, n)
	case v.Bytes != nil:
		letters(dst, data, v.Bytes[w.at:w.at+n])
	}
}

// validity copies a bitmap from bit from on. A vector without a bitmap has all its values.
func validity(dst mapping.Vector, valid []uint64, from, n int) {
	words := (n + 63) / 64
	all := true
	word := func(i int) uint64 {
		at, shift := from/64+i, uint(from%64)
		x := valid[at] >> shift
		if shift != 0 && at+1 < len(valid) {
			x |= valid[at+1] << (64 - shift)
		}
		return x
	}
	for i := range words {
		want := ^uint64(0)
		if left := n - i*64; left < 64 {
			want = 1<<left - 1
		}
		if word(i)&want != want {
			all = false
			break
		}
	}
	if all {
		return
	}
	mapping.VectorEnsureValidityWritable(dst)
	mask := unsafe.Slice((*uint64)(mapping.VectorGetValidity(dst)), words)
	for i := range mask {
		mask[i] = word(i)
	}
}

// stringT is duckdb_string_t: texts of up to 12 bytes lie in it, so that no call is needed for them.
type stringT struct {
	length uint32
	inline [12]byte
}

const inlineBytes = 12

var _ [16]byte = [unsafe.Sizeof(stringT{})]byte{}

// texts writes texts by their numbers in the dictionary.
func (w *worker) texts(dst mapping.Vector, data unsafe.Pointer, v *store.Vector, n int) {
	dict := w.e.store.Dict()
	out := unsafe.Slice((*stringT)(data), n)
	var last uint32
	var text string
	var short stringT
	var nulls []int
	for i := range out {
		code := v.Codes[0]
		if !v.Const {
			code = v.Codes[w.at+i]
		}
		if code == 0 {
			nulls = append(nulls, i)
			out[i] = stringT{}
			continue
		}
		if code != last {
			last, text = code, dict.String(code)
			if len(text) <= inlineBytes {
				short = stringT{length: uint32(len(text))}
				copy(short.inline[:], text)
			}
		}
		if len(text) <= inlineBytes {
			out[i] = short
		} else {
			mapping.VectorAssignStringElement(dst, mapping.IdxT(i), text)
		}
	}
	setNulls(dst, nulls, n)
}

// letters writes texts of one character.
func letters(dst mapping.Vector, data unsafe.Pointer, bytes []byte) {
	out := unsafe.Slice((*stringT)(data), len(bytes))
	var nulls []int
	for i, b := range bytes {
		if b == 0 {
			nulls = append(nulls, i)
			out[i] = stringT{}
			continue
		}
		out[i] = stringT{length: 1, inline: [12]byte{b}}
	}
	setNulls(dst, nulls, len(bytes))
}

func setNulls(dst mapping.Vector, nulls []int, n int) {
	if len(nulls) == 0 {
		return
	}
	mapping.VectorEnsureValidityWritable(dst)
	mask := unsafe.Slice((*uint64)(mapping.VectorGetValidity(dst)), (n+bits.UintSize-1)/64)
	for _, i := range nulls {
		mask[i/64] &^= 1 << (i % 64)
	}
}

var _ sqlgw.Engine = (*Engine)(nil)
