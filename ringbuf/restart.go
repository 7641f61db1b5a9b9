package ringbuf

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
	"unsafe"
)

// Taking over a ring that a producer left, killed perhaps in the middle of a run or of this very procedure.
//
//	last  = greatest number over slots where number mod N = slot's index: the others are marks of a run cut short
//	first = last + 1 + N                the slot that every caught-up reader is looking at
//	redo fields ← first, unused + N │ intent ← epoch+1 │ session fields │ epoch ← epoch+1 │ cursor ← first−1
//
// A producer that dies between intent and epoch leaves the redo fields, from which the next one repeats the step; one
// that dies before its first record has used its numbers up nevertheless (last is at least first−1). So an epoch costs
// exactly N numbers, and offUnused says how many of all numbers were never records.

// restart begins a new epoch in m. Not ok, and nothing changed, when what lies there cannot be continued.
func restart(path string, m *mapping, h Header) (*Writer, bool) {
	epoch, intent := m.load64(offEpoch), m.load64(offEpochIntent)
	var boot [16]byte
	loadWords(unsafe.Pointer(&boot), m.at(offBootID), 2)
	if State(m.load32(offState)) == StateReplaced || boot != bootID() || epoch == 0 {
		return nil, false // unfinished business of another boot: pages may be anything
	}
	switch intent {
	case epoch:
		last, ok := lastNumber(m, h)
		if !ok {
			return nil, false
		}
		m.store64(offNextFirst, last+1+h.Slots)
		m.store64(offNextUnused, m.load64(offUnused)+h.Slots)
		m.store64(offEpochIntent, epoch+1)
	case epoch + 1: // died here before: the redo fields hold
	default:
		return nil, false
	}
	first := m.load64(offNextFirst)
	publishSession(m, first, m.load64(offNextUnused), epoch+1)
	return newWriter(path, m, h, first, false), true
}

// publishSession writes the session's fields and makes them hold. The intent is stored already.
func publishSession(m *mapping, first, unused, epoch uint64) {
	mono := MonotonicNow()
	m.store64(offFirst, first)
	m.store64(offUnused, unused)
	m.store64(offStartMono, mono)
	m.store64(offRealOffset, uint64(time.Now().UnixNano())-mono)
	m.store64(offPID, uint64(uint32(os.Getpid()))|uint64(StateRunning)<<32)
	boot := bootID()
	storeWords(m.at(offBootID), unsafe.Pointer(&boot), 2)
	m.store64(offHeartbeat, mono)
	m.store64(offEpoch, epoch)
	m.store64(offCursor, first-1) // after the epoch: readers of the old one never see a cursor beyond their records
}

// lastNumber finds the last record written. Not ok when the numbers cannot be a producer's.
func lastNumber(m *mapping, h Header) (last uint64, ok bool) {
	first := m.load64(offFirst)
	last = first - 1
	slots := m.at(uintptr(h.SlotsOffset))
	for i := range h.Slots {
		n := atomic.LoadUint64((*uint64)(unsafe.Add(slots, uintptr(i)*uintptr(h.SlotBytes))))
		if n&(h.Slots-1) == i && int64(n-last) > 0 {
			last = n
		}
	}
	return last, int64(last-m.load64(offCursor)) >= 0
}

func dirOf(path string) string { return filepath.Dir(path) }
