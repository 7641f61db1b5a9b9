package session

import "slices"

// hold keeps early packets, ordered by their first number.
//
//	order:  [first 120, slot 3] [first 131, slot 0] [first 140, slot 7]      ascending
//	slots:  slotBytes each, in one block of memory without pointers; free: the unused ones
//
// Bounds: the number of packets and of messages. A packet larger than a slot is refused like one too many: no
// Ethernet frame, jumbo ones included, is larger.
type hold struct {
	order    []held // order[:head] were delivered already
	head     int
	mem      []byte
	free     []int32
	messages int
	most     int // messages
}

type held struct {
	first uint64
	at    Arrival
	count int
	size  int
	slot  int32
}

const slotBytes = 9216 // a jumbo frame

type holdResult uint8

const (
	holdAdded holdResult = iota
	holdDuplicate
	holdFull
)

func newHold(packets, messages int) hold {
	h := hold{
		order: make([]held, 0, packets),
		mem:   make([]byte, packets*slotBytes),
		free:  make([]int32, 0, packets),
		most:  messages,
	}
	h.reset()
	return h
}

func (h *hold) reset() {
	h.order, h.head = h.order[:0], 0
	h.free = h.free[:0]
	h.messages = 0
	for slot := cap(h.free) - 1; slot >= 0; slot-- {
		h.free = append(h.free, int32(slot))
	}
}

// add copies a packet's blocks. A packet is a duplicate when a held one covers it whole.
func (h *hold) add(blocks []byte, first uint64, count int, at Arrival) holdResult {
	live := h.order[h.head:]
	i, _ := slices.BinarySearchFunc(live, first, func(e held, first uint64) int {
		if e.first <= first { // place behind its equals
			return -1
		}
		return 1
	})
	if i > 0 {
		if e := live[i-1]; e.first+uint64(e.count) >= first+uint64(count) {
			return holdDuplicate
		}
	}
	if len(h.free) == 0 || h.messages+count > h.most || len(blocks) > slotBytes {
		return holdFull
	}
	slot := h.free[len(h.free)-1]
	h.free = h.free[:len(h.free)-1]
	copy(h.mem[int(slot)*slotBytes:], blocks)
	if len(h.order) == cap(h.order) {
		h.order = append(h.order[:0], live...)
		h.head = 0
	}
	h.order = slices.Insert(h.order, h.head+i, held{first: first, at: at, count: count, size: len(blocks), slot: slot})
	h.messages += count
	return holdAdded
}

func (h *hold) lowest() (uint64, bool) {
	if len(h.order) == h.head {
		return 0, false
	}
	return h.order[h.head].first, true
}

// due is the lowest held packet when it begins at or before next. It stays held until pop.
func (h *hold) due(next uint64) (held, []byte, bool) {
	if len(h.order) == h.head || h.order[h.head].first > next {
		return held{}, nil, false
	}
	e := h.order[h.head]
	at := int(e.slot) * slotBytes
	return e, h.mem[at : at+e.size], true
}

func (h *hold) pop() {
	e := h.order[h.head]
	h.free = append(h.free, e.slot)
	h.messages -= e.count
	if h.head++; h.head == len(h.order) {
		h.order, h.head = h.order[:0], 0
	}
}
