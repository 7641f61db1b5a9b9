package mdp3

import "sync"

// Archive keeps the latest packets of an incremental feed by number. Safe for concurrent use.
type Archive struct {
	mu      sync.RWMutex
	packets [][]byte // by number modulo their count
	numbers []uint32
	last    uint32
}

// NewArchive makes one of the last keep packets, 0: 65,536.
func NewArchive(keep int) *Archive {
	if keep <= 0 {
		keep = 1 << 16
	}
	return &Archive{packets: make([][]byte, keep), numbers: make([]uint32, keep)}
}

// Add takes a packet; it is copied.
func (a *Archive) Add(sequence uint32, packet []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := int(sequence) % len(a.packets)
	a.packets[at] = append(a.packets[at][:0:0], packet...)
	a.numbers[at] = sequence
	a.last = sequence
}

// Get gives a packet, nil: it is not kept. It must not be changed.
func (a *Archive) Get(sequence uint32) []byte {
	a.mu.RLock()
	defer a.mu.RUnlock()
	at := int(sequence) % len(a.packets)
	if a.numbers[at] != sequence {
		return nil
	}
	return a.packets[at]
}
