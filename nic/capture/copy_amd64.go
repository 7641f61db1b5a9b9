package capture

import "unsafe"

// amd64 keeps stores in order, and loads, and a string move as a whole in its place among other stores: plain accesses
// between the two words that guard them are enough.

func store(p unsafe.Pointer, off uintptr, v uint64) { *(*uint64)(unsafe.Add(p, off)) = v }

func load(p unsafe.Pointer, off uintptr) uint64 { return *(*uint64)(unsafe.Add(p, off)) }

func copyIn(dst unsafe.Pointer, src []byte) { copy(unsafe.Slice((*byte)(dst), len(src)), src) }

func copyOut(dst []byte, src unsafe.Pointer) { copy(dst, unsafe.Slice((*byte)(src), len(dst))) }
