package session

import "math/bits"

// SkewBuckets is the number of powers of two that skew is counted in.
const SkewBuckets = 40

// skewTable remembers when the first copy of recent packets came, so that the second one tells the lines' skew.
//
// It is a direct-mapped table by first number: a later packet takes an older one's place, and then that older one's
// skew is simply not measured.
type skewTable struct {
	seen    [skewSeen]skewEntry
	buckets [SkewBuckets]uint64
}

type skewEntry struct {
	first uint64
	ts    uint64
	line  uint8
}

const skewSeen = 1 << 10

func (t *skewTable) reset() { t.seen = [skewSeen]skewEntry{} }

func (t *skewTable) first(first uint64, at Arrival) {
	t.seen[skewSlot(first)] = skewEntry{first: first, ts: at.TsRecv, line: at.Line}
}

// second counts a copy's skew and says what it is, ns; 0 when it cannot be told.
func (t *skewTable) second(first uint64, at Arrival) uint64 {
	e := &t.seen[skewSlot(first)]
	if e.first != first || e.line == at.Line || e.ts == 0 || at.TsRecv < e.ts {
		return 0
	}
	skew := at.TsRecv - e.ts
	t.buckets[min(bits.Len64(skew>>1), SkewBuckets-1)]++
	e.first = 0
	return skew
}

// skewSlot spreads numbers that grow by the packet's message count over the table.
func skewSlot(first uint64) uint64 { return first * 0x9E3779B97F4A7C15 >> (64 - 10) }
