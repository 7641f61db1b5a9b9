//go:build !amd64

package capture

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"
)

// Elsewhere each word is an atomic access, so that none passes the words that guard them.

func store(p unsafe.Pointer, off uintptr, v uint64) {
	atomic.StoreUint64((*uint64)(unsafe.Add(p, off)), v)
}

func load(p unsafe.Pointer, off uintptr) uint64 {
	return atomic.LoadUint64((*uint64)(unsafe.Add(p, off)))
}

// copyIn writes whole words: a record's room is a multiple of 8.
func copyIn(dst unsafe.Pointer, src []byte) {
	off := uintptr(0)
	for ; len(src) >= 8; src = src[8:] {
		store(dst, off, binary.NativeEndian.Uint64(src))
		off += 8
	}
	if len(src) > 0 {
		var last [8]byte
		copy(last[:], src)
		store(dst, off, binary.NativeEndian.Uint64(last[:]))
	}
}

func copyOut(dst []byte, src unsafe.Pointer) {
	off := uintptr(0)
	for ; len(dst) >= 8; dst = dst[8:] {
		binary.NativeEndian.PutUint64(dst, load(src, off))
		off += 8
	}
	if len(dst) > 0 {
		var last [8]byte
		binary.NativeEndian.PutUint64(last[:], load(src, off))
		copy(dst, last[:])
	}
}
