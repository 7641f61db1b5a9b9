//go:build !amd64 || purego || race

package ringbuf

import (
	"sync/atomic"
	"unsafe"
)

// publishRun publishes n records in the n slots from slot on; publish.go says how.
func publishRun(slot unsafe.Pointer, slotBytes uintptr, first uint64, recs unsafe.Pointer, n int) {
	publishPortable(slot, slotBytes, first, recs, n)
}

// pollRun reads at most n records from the slots from slot on; poll.go says how.
func pollRun(slot unsafe.Pointer, slotBytes uintptr, next uint64, dst unsafe.Pointer, n int) int {
	return pollPortable(slot, slotBytes, next, dst, n)
}

// storePair stores the cursor's two words, the time first.
func storePair(at unsafe.Pointer, number, ts uint64) {
	atomic.StoreUint64((*uint64)(unsafe.Add(at, 8)), ts)
	atomic.StoreUint64((*uint64)(at), number)
}
