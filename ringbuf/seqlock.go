package ringbuf

import "sync/atomic"

// A seqlock word guards a few words that change seldom: even is stable, odd is in change, 0 is empty.
//
//	writer: version odd │ words │ version even        one writer
//	reader: version even? │ copy │ same version?      any number, writing nothing
//
// Words in between are accessed atomically (loadWords, storeWords): Go has no other way to keep their order on every
// architecture.

// seqlockBegin makes the version odd and returns what it becomes when the change is done. A version left odd by a
// producer that died is taken over.
func seqlockBegin(version *uint64) (after uint64) {
	v := atomic.LoadUint64(version) | 1
	atomic.StoreUint64(version, v)
	return v + 1
}

// seqlockEnd publishes the change.
func seqlockEnd(version *uint64, after uint64) { atomic.StoreUint64(version, after) }

// seqlockTry reads the version before a copy: not ok while it is odd.
func seqlockTry(version *uint64) (v uint64, ok bool) {
	v = atomic.LoadUint64(version)
	return v, v&1 == 0
}

// seqlockSame says after a copy that it holds.
func seqlockSame(version *uint64, v uint64) bool { return atomic.LoadUint64(version) == v }
