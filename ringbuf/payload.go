package ringbuf

import (
	"sync/atomic"
	"unsafe"
)

const seqlockTries = 1 << 12 // a writer that died in the middle must not hang its readers

// loadSeqlock copies the words behind the version at p; false when there is nothing there (version 0), or when the
// writer never let go.
func loadSeqlock(p, dst unsafe.Pointer, words int) bool {
	version := (*uint64)(p)
	for range seqlockTries {
		v, ok := seqlockTry(version)
		if !ok {
			continue
		}
		if v == 0 {
			return false
		}
		loadWords(dst, unsafe.Add(p, 8), words)
		if seqlockSame(version, v) {
			return true
		}
	}
	return false
}

func clearWords(dst unsafe.Pointer, words int) {
	for i := range words {
		atomic.StoreUint64((*uint64)(unsafe.Add(dst, i*8)), 0)
	}
}
