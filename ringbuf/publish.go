package ringbuf

import (
	"sync/atomic"
	"unsafe"
)

// Publication of a run: records n … n+k−1 into k slots that lie side by side.
//
//	1. marks:     slot i ← n+i−1         nobody accepts that number: readers of n+i see "not yet", lapped ones "overrun"
//	2. fence      (store–store)
//	3. payloads
//	4. fence      (store–store)
//	5. numbers:   slot i ← n+i, ascending: what is published is always a prefix
//
// Without step 1 the old number would stand over half-replaced payloads and a reader that checks twice would accept
// them: 0.3–3 % torn when tried (ABI.md 3); TestTornReadsCatchesBrokenWriter shows it.
//
// publishPortable is the definition. On amd64 with AVX2 run_amd64.s does the same with plain stores, which that
// architecture keeps in order (TestVariantsAgree).

// publishPortable is publishRun with an atomic access for every word: in Go's memory model these are sequentially
// consistent, so both fences are there on every architecture.
func publishPortable(slot unsafe.Pointer, slotBytes uintptr, first uint64, recs unsafe.Pointer, n int) {
	for i := range uintptr(n) {
		atomic.StoreUint64((*uint64)(unsafe.Add(slot, i*slotBytes)), first+uint64(i)-1)
	}
	payload := slotBytes - slotHeadBytes
	for i := range uintptr(n) {
		storeWords(unsafe.Add(slot, i*slotBytes+slotHeadBytes), unsafe.Add(recs, i*payload), int(payload/8))
	}
	for i := range uintptr(n) {
		atomic.StoreUint64((*uint64)(unsafe.Add(slot, i*slotBytes)), first+uint64(i))
	}
}
