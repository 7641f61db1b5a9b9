package ringbuf

import (
	"sync/atomic"
	"unsafe"
)

// Reading a run: up to k records from slots that lie side by side, each
//
//	1. number = n?        acquire: otherwise stop
//	2. payload copied
//	3. fence              (load–load)
//	4. number still n?    otherwise the copy may be mixed: stop, it does not count
//
// pollPortable is the definition. On amd64 with AVX2 run_amd64.s does the same with plain loads, which that
// architecture keeps in order.

// pollPortable copies at most n payloads to dst and returns how many are whole and in order. What lies in dst behind
// them is rubbish. Every access is a sequentially consistent load, so the fence is there on every architecture.
func pollPortable(slot unsafe.Pointer, slotBytes uintptr, next uint64, dst unsafe.Pointer, n int) int {
	payload := slotBytes - slotHeadBytes
	for i := range uintptr(n) {
		number := (*uint64)(unsafe.Add(slot, i*slotBytes))
		if atomic.LoadUint64(number) != next+uint64(i) {
			return int(i)
		}
		loadWords(unsafe.Add(dst, i*payload), unsafe.Add(slot, i*slotBytes+slotHeadBytes), int(payload/8))
		if atomic.LoadUint64(number) != next+uint64(i) {
			return int(i)
		}
	}
	return n
}
