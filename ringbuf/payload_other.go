//go:build !amd64

package ringbuf

import "unsafe"

// storePayload writes a payload between two atomic stores of its version. Elsewhere than on amd64 a plain store may pass
// an atomic one, so each word is an atomic store of its own.
func storePayload(dst, src unsafe.Pointer, words int) { storeWords(dst, src, words) }
