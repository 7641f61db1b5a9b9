package xdp

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// field is one field of a message: kind is that of the table in layout.go.
type field struct {
	name  string
	kind  byte
	at    int
	width int
}

// layouts are the fields by version and type. Printing goes by them, decoding (append.go) does not: each is the other's check.
var layouts = func() (all [versions]map[uint16][]field) {
	for v := range versions {
		all[v] = make(map[uint16][]field, len(messages))
		for typ, m := range messages {
			all[v][typ] = cut(m.base + m.tails[v])
		}
	}
	return all
}()

// cut reads a text of fields as layout.go has them.
func cut(text string) (fields []field) {
	at := MessageHeaderBytes
	for entry := range strings.SplitSeq(text, ",") {
		name, kind, _ := strings.Cut(strings.TrimSpace(entry), " ")
		f := field{name: name, kind: kind[0], at: at, width: 1}
		if digits := kind[1:]; digits != "" {
			f.width = 0
			for _, c := range digits {
				f.width = f.width*10 + int(c-'0')
			}
		}
		fields = append(fields, f)
		at += f.width
	}
	return fields
}

// Size is the msg_size that a type has in the documents of a version, 0 for a type that is not known. 105 and 140 had other sizes within
// version 2.1: 73 bytes from XDP 2.2 on, and 34 from BBO 2.4d on. The short form of 35 has 8.
func Size(typ uint16, v Version) int {
	switch {
	case typ == TypeImbalance && v == V21:
		return 67
	case typ == TypeQuote && v != V21:
		return 34
	}
	fields := layouts[v][typ]
	if len(fields) == 0 {
		return 0
	}
	last := fields[len(fields)-1]
	return last.at + last.width
}

// Name is a type's name, empty for one that is not known.
func Name(typ uint16) string { return messages[typ].name }

// AppendFields appends a message's fields as a JSON object in wire order: integers as they are on the wire, text without its padding, characters
// as they are, opaque bytes in hex. Fields that the message is too short for are left out, bytes behind the last one are not shown. ok is false
// when the type is not known or the message lacks fields that decoding needs.
func AppendFields(dst, m []byte, v Version) (out []byte, ok bool) {
	dst = append(dst, '{')
	if len(m) >= MessageHeaderBytes {
		for i, f := range layouts[v][Type(m)] {
			if f.at+f.width > len(m) {
				break
			}
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, '"')
			dst = append(dst, f.name...)
			dst = append(dst, '"', ':')
			dst = appendValue(dst, m[f.at:f.at+f.width], f.kind)
		}
		need := messages[Type(m)].need
		ok = need > 0 && len(m) >= need
	}
	return append(dst, '}'), ok
}

func appendValue(dst, b []byte, kind byte) []byte {
	switch kind {
	case 'u':
		v := uint64(0)
		for k := len(b) - 1; k >= 0; k-- {
			v = v<<8 | uint64(b[k])
		}
		return strconv.AppendUint(dst, v, 10)
	case 'b':
		dst = append(dst, '"')
		dst = hex.AppendEncode(dst, b)
		return append(dst, '"')
	case 'a':
		for k, c := range b {
			if c == 0 {
				b = b[:k]
				break
			}
		}
	case 's':
		for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == 0) {
			b = b[:len(b)-1]
		}
	}
	dst = append(dst, '"')
	for _, c := range b {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20 || c >= 0x7F:
			const digits = "0123456789abcdef"
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// EachMessage calls fn with the messages of a packet, a UDP payload or a unit of the TCP connection, until it returns false: its number (that of
// the header plus its place, also where the packet is outside the sequence), its name or, when the type is not known, its number as text, its
// bytes, and its fields as AppendFields gives them. raw and fields are valid for the call. A message that is too short for its type comes with an
// err and what fields it has; a type that is not known is no error. version is one of Versions, empty the default. The error returned says
// what is wrong with the packet; the messages before were given.
func EachMessage(payload []byte, version string, fn func(sequence uint64, typ string, raw, fields []byte, err error) bool) error {
	v, err := ParseVersion(version)
	if err != nil {
		return err
	}
	h, blocks, err := ParsePacket(payload)
	if err != nil {
		return fmt.Errorf("%w: %s", err, seen(payload))
	}
	var buf []byte
	rest := blocks
	for i := range int(h.Count) {
		m, after := Next(rest)
		if m == nil {
			return fmt.Errorf("xdp: message %d of %d at byte %d is not whole: %s", i+1, h.Count, len(payload)-len(rest), sizeOf(rest))
		}
		var ok bool
		buf, ok = AppendFields(buf[:0], m, v)
		name, need := messages[Type(m)].name, messages[Type(m)].need
		var bad error
		if name == "" {
			name = strconv.Itoa(int(Type(m)))
		} else if !ok {
			bad = fmt.Errorf("xdp: message %d (%s) has %d bytes, want %d at least", Type(m), name, len(m), need)
		}
		if !fn(uint64(h.Sequence)+uint64(i), name, m, buf, bad) {
			return nil
		}
		rest = after
	}
	if len(rest) > 0 {
		return fmt.Errorf("xdp: %d bytes follow the last of %d messages, want none", len(rest), h.Count)
	}
	return nil
}

// seen says what a packet's header has.
func seen(p []byte) string {
	if len(p) < PacketHeaderBytes {
		return fmt.Sprintf("%d bytes", len(p))
	}
	return fmt.Sprintf("pkt_size %d of %d bytes, delivery_flag %d, number_msgs %d", int(p[0])|int(p[1])<<8, len(p), p[2], p[3])
}

func sizeOf(rest []byte) string {
	if len(rest) < MessageHeaderBytes {
		return fmt.Sprintf("%d bytes are left, want a header of %d", len(rest), MessageHeaderBytes)
	}
	return fmt.Sprintf("msg_size %d with %d bytes left, want %d at least", int(rest[0])|int(rest[1])<<8, len(rest), MessageHeaderBytes)
}

// Looks says how much a UDP payload looks like an XDP packet: 0 not at all, 50 a heartbeat, 95 a packet that adds up and has a message of a
// known type, 30 one that has none.
func Looks(payload []byte) int {
	h, blocks, err := ParsePacket(payload)
	if err != nil || h.Kind == PacketUnknown || h.SendTimeNs >= second {
		return 0
	}
	if whole, used := Walk(blocks, int(h.Count)); whole != int(h.Count) || used != len(blocks) {
		return 0
	}
	if h.Kind == PacketHeartbeat {
		return 50
	}
	for m, rest := Next(blocks); m != nil; m, rest = Next(rest) {
		if known := messages[Type(m)]; known.need > 0 && len(m) >= known.need {
			return 95
		}
	}
	return 30
}
