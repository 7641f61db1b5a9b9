package xdp

import (
	wire "github.com/tickwire/tickwire/parsers/xdp"
)

// Packets of answers. Each is a slice of its own.

// Retransmission is what the retransmission channel carries for a closed range: the messages that there are, packed anew, and message 31 for each
// stretch that there is not. at is the time of sending, ns since the Unix epoch; most is the longest packet, bytes.
func (r *Record) Retransmission(begin, end uint32, product, channel uint8, most int, at uint64) (packets [][]byte, messages int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if begin == 0 || begin > end {
		return append(packets, unavailable(begin, end, product, channel, at)), 0
	}
	part := -1
	for n := uint64(begin); n <= uint64(end); {
		if r.find(n) == nil {
			known := min(r.known(n), uint64(end)+1)
			packets = append(packets, unavailable(uint32(n), uint32(known-1), product, channel, at))
			n = known
			continue
		}
		first, count := n, 0
		var blocks []byte
		for ; n <= uint64(end) && count < mostMessages; n++ {
			m := r.find(n)
			if m == nil || wire.PacketHeaderBytes+len(blocks)+len(m) > most && count > 0 {
				break
			}
			blocks = append(blocks, m...)
			count++
		}
		flag := wire.DeliveryRetransmitPart
		if part < 0 {
			part, flag = len(packets), wire.DeliveryRetransmit
		} else {
			packets[part][2] = wire.DeliveryRetransmitPart
		}
		packets = append(packets, packet(flag, count, first, at, blocks))
		messages += count
	}
	return packets, messages
}

func packet(flag uint8, count int, first, at uint64, blocks []byte) []byte {
	return wire.AppendPacket(nil, flag, uint8(count), uint32(first), uint32(at/1e9), uint32(at%1e9), blocks)
}

func unavailable(begin, end uint32, product, channel uint8, at uint64) []byte {
	return packet(wire.DeliveryUnavailable, 1, uint64(begin), at, wire.AppendUnavailable(nil, begin, end, product, channel))
}

// Refresh is what the refresh channel carries of one symbol (11.4 of the sheet; common client specification, refresh): message 35 at the head of
// each packet, the mapping, the last imbalance, the last status, the last quote, and one message 106 an order. nil: there is no such symbol.
func (r *Record) Refresh(index uint32, flag uint8, most int, at uint64) (packets [][]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	y := r.state.symbols[index]
	if y == nil {
		return nil
	}
	const head, short = 16, 8
	var bodies [][]byte
	var counts []int
	body, count, room := []byte(nil), 1, most-wire.PacketHeaderBytes-head
	add := func(m []byte) {
		if len(m) == 0 {
			return
		}
		if len(body)+len(m) > room || count == mostMessages {
			bodies, counts = append(bodies, body), append(counts, count)
			body, count, room = nil, 1, most-wire.PacketHeaderBytes-short
		}
		body = append(body, m...)
		count++
	}
	add(y.mapping)
	add(y.imbalance)
	add(y.status)
	add(y.quote)
	var m []byte
	for o := y.first; o != nil; o = o.next {
		m = wire.AppendAddRefresh(m[:0], r.state.version, &o.o)
		add(m)
	}
	bodies, counts = append(bodies, body), append(counts, count)
	for i, body := range bodies {
		var blocks []byte
		if i == 0 {
			blocks = wire.AppendRefreshHeader(nil, 1, uint16(len(bodies)), uint32(r.next-1), y.number)
		} else {
			blocks = wire.AppendShortRefreshHeader(nil, uint16(i+1), uint16(len(bodies)))
		}
		f := flag
		if flag == wire.DeliveryRefresh && len(bodies) > 1 {
			f = wire.DeliveryRefreshPart // an answer for one symbol of several packets
		}
		packets = append(packets, packet(f, counts[i], r.next, at, append(blocks, body...)))
	}
	return packets
}

// Mappings is what the refresh channel carries for message 13: the symbols' messages 3, without a message 35. index 0: all.
func (r *Record) Mappings(index uint32, most int, at uint64) (packets [][]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if index != 0 {
		if y := r.state.symbols[index]; y != nil {
			packets = append(packets, packet(wire.DeliveryRefresh, 1, r.next, at, y.mapping))
		}
		return packets
	}
	var blocks []byte
	count := 0
	flush := func() {
		flag := wire.DeliveryRefreshPart
		if len(packets) == 0 {
			flag = wire.DeliveryRefreshStart
		}
		packets = append(packets, packet(flag, count, r.next, at, blocks))
		blocks, count = nil, 0
	}
	for _, i := range r.state.order {
		m := r.state.symbols[i].mapping
		if wire.PacketHeaderBytes+len(blocks)+len(m) > most {
			flush()
		}
		blocks = append(blocks, m...)
		count++
	}
	if count > 0 {
		flush()
		packets[len(packets)-1][2] = wire.DeliveryRefreshEnd
	}
	return packets
}
