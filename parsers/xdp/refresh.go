package xdp

import (
	"encoding/binary"

	"github.com/tickwire/tickwire/tick"
)

// A refresh is a snapshot of one symbol in one or more packets on the refresh channel (sheet section 11.4). Each begins with message 35:
//
//	0        4                     6                    8              12                    16
//	+--------+---------------------+--------------------+--------------+---------------------+
//	| size,  | current_refresh_pkt | total_refresh_pkts | last_seq_num | last_symbol_seq_num |   the first packet of a symbol
//	| type   | u16, from 1         | u16                | u32          | u32                 |   (the others end at 8)
//	+--------+---------------------+--------------------+--------------+---------------------+

// RefreshHeader is message 35.
type RefreshHeader struct {
	Packet, Packets    uint16 // this one, from 1, and all of the symbol's
	LastSequence       uint32 // of the channel: what the snapshot is as of
	LastSymbolSequence uint32 // of the symbol
	Long               bool   // the two are there
}

// ParseRefreshHeader reads the message 35 at the head of a refresh packet's blocks; rest is what follows. Answers to message 13 have none: ok is
// false, and nothing is cut off.
func ParseRefreshHeader(blocks []byte) (h RefreshHeader, rest []byte, ok bool) {
	m, rest := Next(blocks)
	if len(m) < 8 || Type(m) != TypeRefreshHeader {
		return h, blocks, false
	}
	le := binary.LittleEndian
	h.Packet, h.Packets = le.Uint16(m[4:]), le.Uint16(m[6:])
	if len(m) >= 16 {
		h.LastSequence, h.LastSymbolSequence, h.Long = le.Uint32(m[8:]), le.Uint32(m[12:]), true
	}
	return h, rest, true
}

// AppendRefresh is Append for the blocks of a refresh packet: every row has the number sequence, that of the snapshot, and FlagSnapshot. What the
// channel's own messages taught (its sequence and the symbols', but not their mappings) is left alone. A quote's second is that of the engine's
// last message 2, or of the refresh, so it may be later than the quote was. Not for the hot path.
func (d *Decoder) AppendRefresh(blocks []byte, sequence uint64, max int, out *tick.Batch) (used, messages int) {
	d.refreshing = true
	defer func() { d.refreshing = false }()
	for messages < max {
		m, _ := Next(blocks[used:])
		if m == nil {
			break
		}
		first := out.N
		if _, n := d.one(m, sequence, out); n == 0 {
			break
		}
		for i := first; i < out.N; i++ {
			out.Flags[i] |= tick.FlagSnapshot
		}
		used, messages = used+len(m), messages+1
	}
	return used, messages
}

// one decodes one message and leaves its symbol's sequence as it was.
func (d *Decoder) one(m []byte, sequence uint64, out *tick.Batch) (used, messages int) {
	if typ := Type(m); len(m) < 16 || typ > 255 || !d.plans[typ].inside {
		return d.append(m, sequence, 0, 1, out)
	}
	s := d.symbol(binary.LittleEndian.Uint32(m[8:]))
	next, state := s.next, s.state
	s.next = binary.LittleEndian.Uint32(m[12:])
	used, messages = d.append(m, sequence, 0, 1, out)
	s.next, s.state = next, state
	return used, messages
}
