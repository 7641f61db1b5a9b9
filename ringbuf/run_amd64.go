//go:build amd64 && !purego && !race

package ringbuf

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/cpu"
)

var useAVX2 = cpu.X86.HasAVX2

// publishRun publishes n records in the n slots from slot on; publish.go says how.
func publishRun(slot unsafe.Pointer, slotBytes uintptr, first uint64, recs unsafe.Pointer, n int) {
	if useAVX2 {
		publishAVX2(slot, slotBytes, first, recs, uintptr(n))
		return
	}
	publishPortable(slot, slotBytes, first, recs, n)
}

// pollRun reads at most n records from the slots from slot on; poll.go says how.
func pollRun(slot unsafe.Pointer, slotBytes uintptr, next uint64, dst unsafe.Pointer, n int) int {
	if useAVX2 {
		return int(pollAVX2(slot, slotBytes, next, dst, uintptr(n)))
	}
	return pollPortable(slot, slotBytes, next, dst, n)
}

// storePair stores the cursor's two words, the time first.
func storePair(at unsafe.Pointer, number, ts uint64) {
	if useAVX2 {
		storePairPlain(at, number, ts)
		return
	}
	atomic.StoreUint64((*uint64)(unsafe.Add(at, 8)), ts)
	atomic.StoreUint64((*uint64)(at), number)
}

// n is at least 1 in both; slotBytes is a multiple of 64.
//
//go:noescape
func publishAVX2(slot unsafe.Pointer, slotBytes uintptr, first uint64, recs unsafe.Pointer, n uintptr)

//go:noescape
func pollAVX2(slot unsafe.Pointer, slotBytes uintptr, next uint64, dst unsafe.Pointer, n uintptr) (whole uintptr)

//go:noescape
func storePairPlain(at unsafe.Pointer, number, ts uint64)
