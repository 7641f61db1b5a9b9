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
	reach uint64 // one more than the highest number of this packet and of those before it in order
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
	i, reach := h.behind(first), first+uint64(count)
	if i > 0 && live[i-1].reach >= reach {
		return holdDuplicate
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
	h.order = slices.Insert(h.order, h.head+i, held{first: first, reach: reach, at: at, count: count, size: len(blocks), slot: slot})
	for i += h.head + 1; i < len(h.order) && h.order[i].reach < reach; i++ {
		h.order[i].reach = reach
	}
	h.messages += count
	return holdAdded
}

// behind is the place, counted from head, behind all packets that begin at or before first.
func (h *hold) behind(first uint64) int {
	live := h.order[h.head:]
	lo, hi := 0, len(live)
	for lo < hi {
		if mid := (lo + hi) / 2; live[mid].first <= first {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// missing is the first stretch [first, end) within [from, to) that no held packet has. Nothing before from counts, delivered or not.
func (h *hold) missing(from, to uint64) (first, end uint64, ok bool) {
	live := h.order[h.head:]
	i := h.behind(from)
	if i > 0 {
		from = max(from, live[i-1].reach)
	}
	for ; i < len(live) && live[i].first <= from; i++ {
		from = max(from, live[i].reach)
	}
	if from >= to {
		return 0, 0, false
	}
	if i < len(live) {
		to = min(to, live[i].first)
	}
	return from, to, true
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
