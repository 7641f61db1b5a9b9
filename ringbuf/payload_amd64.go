package ringbuf

import "unsafe"

// storePayload writes a payload between two atomic stores of its version. On amd64 those are exchanges, full barriers
// that neither the compiler nor the processor moves plain stores across.
func storePayload(dst, src unsafe.Pointer, words int) {
	copy(unsafe.Slice((*uint64)(dst), words), unsafe.Slice((*uint64)(src), words))
}
