package mold

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/tickwire/tickwire/parsers/moldudp64"
)

// Corruption is a set of ways in which a line damages packets.
type Corruption uint8

// Ways. A receiver can tell the first three by the packet alone; what the others do it may take for good.
const (
	// CorruptHeader makes it one of another session, one of numbers far from all others, or one that says that it has fewer messages.
	CorruptHeader Corruption = 1 << iota
	// CorruptLength makes a message's length reach past the packet's end: that one and those behind it are lost.
	CorruptLength
	// CorruptTruncate cuts the end off.
	CorruptTruncate
	// CorruptPayload changes one byte of one message.
	CorruptPayload
	// CorruptCount promises up to a hundred messages more than there are: a receiver that believes it waits for numbers that are still to
	// come, or never will.
	CorruptCount

	everyCorruption = CorruptHeader | CorruptLength | CorruptTruncate | CorruptPayload | CorruptCount
)

var corruptions = []struct {
	way  Corruption
	name string
}{{CorruptHeader, "header"}, {CorruptLength, "length"}, {CorruptTruncate, "truncate"}, {CorruptPayload, "payload"}, {CorruptCount, "count"}}

// ParseCorruption reads a set such as "header,truncate". An empty one is refused.
func ParseCorruption(text string) (set Corruption, err error) {
next:
	for name := range strings.SplitSeq(text, ",") {
		for _, c := range corruptions {
			if c.name == strings.TrimSpace(name) {
				set |= c.way
				continue next
			}
		}
		return 0, fmt.Errorf("mold: damage %q, want some of header, length, truncate, payload, count", name)
	}
	return set, nil
}

func (c Corruption) String() string {
	var names []string
	for _, k := range corruptions {
		if c&k.way != 0 {
			names = append(names, k.name)
			c &^= k.way
		}
	}
	if c != 0 {
		names = append(names, fmt.Sprintf("damage %#x", uint8(c)))
	}
	return strings.Join(names, ",")
}

// damage is what became of a packet.
type damage struct {
	whole    int  // messages that a receiver can still use, from the first on
	poisoned bool // one of them is another one than was sent
}

// corrupt damages a packet in its memory, in one of the ways given; how picks. One without messages has a header only.
func corrupt(b []byte, ways Corruption, how uint64) ([]byte, damage) {
	if len(b) < 2 {
		return b, damage{}
	}
	r := random{how}
	count := messages(b)
	if count > 0 {
		count, _ = moldudp64.Walk(b[moldudp64.HeaderBytes:], count)
	}
	if count == 0 {
		if ways &= CorruptHeader | CorruptTruncate | CorruptCount; ways == 0 {
			ways = CorruptTruncate
		}
	}
	way := pick(ways, &r)
	if len(b) < moldudp64.HeaderBytes {
		way = CorruptTruncate
	}
	switch way {
	case CorruptHeader:
		return corruptHeader(b, count, &r)
	case CorruptLength:
		n := int(r.below(uint64(count)))
		_, at := moldudp64.Walk(b[moldudp64.HeaderBytes:], n)
		binary.BigEndian.PutUint16(b[moldudp64.HeaderBytes+at:], 0xFFFF)
		return b, damage{whole: n}
	case CorruptTruncate:
		b = b[:1+r.below(uint64(len(b)-1))]
		if len(b) < moldudp64.HeaderBytes {
			return b, damage{}
		}
		whole, _ := moldudp64.Walk(b[moldudp64.HeaderBytes:], count)
		return b, damage{whole: whole}
	}
	if way == CorruptCount {
		binary.BigEndian.PutUint16(b[18:], uint16(min(count+1+int(r.below(100)), moldudp64.MaxRequest)))
		return b, damage{whole: count}
	}
	n := int(r.below(uint64(count)))
	_, at := moldudp64.Walk(b[moldudp64.HeaderBytes:], n)
	at += moldudp64.HeaderBytes
	size := uint64(binary.BigEndian.Uint16(b[at:]))
	if size == 0 {
		return b, damage{whole: count} // there is no byte to change
	}
	b[at+2+int(r.below(size))] ^= byte(1 + r.below(255))
	return b, damage{whole: count, poisoned: true}
}

// pick is one way of a set that is not empty.
func pick(ways Corruption, r *random) Corruption {
	for {
		if way := Corruption(1) << r.below(uint64(len(corruptions))); ways&way != 0 {
			return way
		}
	}
}

func corruptHeader(b []byte, count int, r *random) ([]byte, damage) {
	switch way := r.below(3); {
	case way == 0 || way == 2 && count == 0:
		b[r.below(10)] ^= byte(1 + r.below(255))
		return b, damage{}
	case way == 1:
		binary.BigEndian.PutUint64(b[10:], binary.BigEndian.Uint64(b[10:])^1<<(33+r.below(30)))
		return b, damage{}
	}
	fewer := int(r.below(uint64(count)))
	binary.BigEndian.PutUint16(b[18:], uint16(fewer))
	return b, damage{whole: fewer}
}
