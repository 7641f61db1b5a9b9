//go:build cgo

package duck

/*
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// Parts of duckdb.h that the Go bindings leave out: aggregate functions. The bindings link the library.
typedef uint64_t idx_t;
extern void *duckdb_create_aggregate_function(void);
extern void duckdb_destroy_aggregate_function(void **);
extern void duckdb_aggregate_function_set_name(void *, const char *);
extern void duckdb_aggregate_function_add_parameter(void *, void *);
extern void duckdb_aggregate_function_set_return_type(void *, void *);
extern void duckdb_aggregate_function_set_functions(void *, idx_t (*)(void *), void (*)(void *, void *), void (*)(void *, void *, void **),
	void (*)(void *, void **, void **, idx_t), void (*)(void *, void **, void *, idx_t, idx_t));
extern int duckdb_register_aggregate_function(void *, void *);
extern void duckdb_aggregate_function_set_special_handling(void *);
extern void duckdb_aggregate_function_set_extra_info(void *, void *, void (*)(void *));
extern void *duckdb_aggregate_function_get_extra_info(void *);
extern void duckdb_aggregate_function_set_error(void *, const char *);

void tickwireScalar(void *, void *, void *);
void tickwireUpdate(void *, void *, void **);
void tickwireMerge(void *, void **, void **, idx_t);
void tickwireResult(void *, void **, void *, idx_t, idx_t);
void tickwireDelete(void *);

// What DuckDB keeps of an aggregate: a handle first, as keep's, then the empty state, so that a group is begun without a call into Go.
typedef struct {
	uintptr_t handle;
	idx_t bytes;
	unsigned char empty[];
} tickwire_aggregate;

static idx_t tickwireStateBytes(void *info)
{
	return ((tickwire_aggregate *)duckdb_aggregate_function_get_extra_info(info))->bytes;
}

static void tickwireStart(void *info, void *state)
{
	tickwire_aggregate *a = duckdb_aggregate_function_get_extra_info(info);
	memcpy(state, a->empty, a->bytes);
}

static int tickwireRegister(void *connection, void *f, tickwire_aggregate *a)
{
	duckdb_aggregate_function_set_special_handling(f); // NULLs come here too: some plugins see them
	duckdb_aggregate_function_set_extra_info(f, a, tickwireDelete);
	duckdb_aggregate_function_set_functions(f, tickwireStateBytes, tickwireStart, tickwireUpdate, tickwireMerge, tickwireResult);
	return duckdb_register_aggregate_function(connection, f);
}

typedef void (*tickwire_scalar_t)(void *, void *, void *);
*/
import "C"

import (
	"runtime/cgo"
	"unsafe"

	"github.com/duckdb/duckdb-go/v2/mapping"
)

var functionCallback = unsafe.Pointer(C.tickwire_scalar_t(C.tickwireScalar))

//export tickwireScalar
func tickwireScalar(p, in, out unsafe.Pointer) {
	info := mapping.FunctionInfo{Ptr: p}
	guarded(func(why string) { mapping.ScalarFunctionSetError(info, why) }, func() error {
		return kept[*guest](mapping.ScalarFunctionGetExtraInfo(info)).function(mapping.DataChunk{Ptr: in}, mapping.Vector{Ptr: out})
	})
}

// guardedAggregate is guarded of a callback of an aggregate.
func guardedAggregate(info unsafe.Pointer, fn func(*aggregate) error) {
	guarded(func(why string) {
		text := C.CString(why)
		defer C.free(unsafe.Pointer(text))
		C.duckdb_aggregate_function_set_error(info, text)
	}, func() error { return fn(kept[*aggregate](C.duckdb_aggregate_function_get_extra_info(info))) })
}

//export tickwireUpdate
func tickwireUpdate(info, in unsafe.Pointer, states *unsafe.Pointer) {
	guardedAggregate(info, func(a *aggregate) error {
		chunk := mapping.DataChunk{Ptr: in}
		n := int(mapping.DataChunkGetSize(chunk))
		return a.update(chunk, n, unsafe.Slice((*state)(states), n))
	})
}

//export tickwireMerge
func tickwireMerge(info unsafe.Pointer, from, to *unsafe.Pointer, n C.idx_t) {
	guardedAggregate(info, func(a *aggregate) error {
		return a.merge(unsafe.Slice((*state)(from), n), unsafe.Slice((*state)(to), n))
	})
}

//export tickwireResult
func tickwireResult(info unsafe.Pointer, from *unsafe.Pointer, out unsafe.Pointer, n, offset C.idx_t) {
	guardedAggregate(info, func(a *aggregate) error {
		return a.result(unsafe.Slice((*state)(from), n), mapping.Vector{Ptr: out}, int(offset))
	})
}

// registerWith makes the aggregate function in DuckDB. empty is a state of no rows.
func (a *aggregate) registerWith(c *Conn, empty []byte) error {
	f := C.duckdb_create_aggregate_function()
	defer C.duckdb_destroy_aggregate_function(&f)
	name := C.CString(a.u.Name)
	defer C.free(unsafe.Pointer(name))
	C.duckdb_aggregate_function_set_name(f, name)
	for _, t := range a.u.Args {
		l := sqlType(t)
		C.duckdb_aggregate_function_add_parameter(f, l.Ptr)
		mapping.DestroyLogicalType(&l)
	}
	l := sqlType(a.u.Returns)
	C.duckdb_aggregate_function_set_return_type(f, l.Ptr)
	mapping.DestroyLogicalType(&l)
	extra := (*C.tickwire_aggregate)(C.malloc(C.size_t(unsafe.Sizeof(C.tickwire_aggregate{})) + C.size_t(len(empty))))
	extra.handle, extra.bytes = C.uintptr_t(cgo.NewHandle(a)), C.idx_t(len(empty))
	copy(unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(extra), unsafe.Sizeof(C.tickwire_aggregate{}))), len(empty)), empty)
	if C.tickwireRegister(c.conn.Ptr, f, extra) != 0 {
		return a.wrong("DuckDB refuses it")
	}
	return nil
}
