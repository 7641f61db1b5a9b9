package ringbuf

import (
	"sync/atomic"
	"unsafe"
)

const seqlockTries = 1 << 12 // a writer that died in the middle must not hang its readers

// loadSeqlock copies the words behind the version at p; false when there is nothing there (version 0), or when the
// writer never let go. generation moves when all entries begin anew: a version could come to the same value again.
func loadSeqlock(p, dst unsafe.Pointer, words int, generation *uint64) bool {
	version := (*uint64)(p)
	for range seqlockTries {
		g := atomic.LoadUint64(generation)
		v, ok := seqlockTry(version)
		if !ok {
			continue
		}
		if v == 0 {
			return false
		}
		loadWords(dst, unsafe.Add(p, 8), words)
		if seqlockSame(version, v) && atomic.LoadUint64(generation) == g {
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
