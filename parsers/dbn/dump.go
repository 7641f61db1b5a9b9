package dbn

import (
	"encoding/binary"
	"strconv"
	"unicode/utf8"
)

// AppendFields appends a record of a version as a JSON object, fields in the record's order, names as DBN has them:
// 64-bit integers as decimal strings (lossless in any reader), smaller ones as numbers, characters as strings (empty for
// NUL), fixed strings cut at the first NUL, reserved bytes left out. A type that is not known has its header only. A
// record that is shorter than its type gives false.
func AppendFields(dst, rec []byte, version uint8, tsOut bool) ([]byte, bool) {
	if len(rec) < headerBytes {
		return dst, false
	}
	l := layoutOf(rec[1], version)
	if l != nil && len(rec) < l.size {
		return dst, false
	}
	h := Header(rec)
	name := "Unknown"
	if l != nil {
		name = l.name
	}
	dst = append(dst, `{"struct":"`...)
	dst = append(dst, name...)
	dst = append(dst, `","hd":{"length":`...)
	dst = strconv.AppendUint(dst, uint64(h.Length), 10)
	dst = append(dst, `,"rtype":`...)
	dst = strconv.AppendUint(dst, uint64(h.RType), 10)
	dst = append(dst, `,"publisher_id":`...)
	dst = strconv.AppendUint(dst, uint64(h.PublisherID), 10)
	dst = append(dst, `,"instrument_id":`...)
	dst = strconv.AppendUint(dst, uint64(h.InstrumentID), 10)
	dst = append(dst, `,"ts_event":"`...)
	dst = strconv.AppendUint(dst, h.TsEvent, 10)
	dst = append(dst, `"}`...)
	if l != nil {
		for i := range l.fields {
			dst = append(dst, ',', '"')
			dst = append(dst, l.fields[i].name...)
			dst = append(dst, '"', ':')
			dst = appendField(dst, rec, &l.fields[i])
		}
		if tsOut && len(rec) >= l.size+8 {
			dst = append(dst, `,"ts_out":"`...)
			dst = strconv.AppendUint(dst, binary.LittleEndian.Uint64(rec[l.size:]), 10)
			dst = append(dst, '"')
		}
	}
	return append(dst, '}'), true
}

func appendField(dst, rec []byte, f *field) []byte {
	b := rec[f.at : f.at+f.width]
	switch f.kind {
	case kindChar:
		if b[0] == 0 {
			return append(dst, '"', '"')
		}
		return appendString(dst, string(rune(b[0])))
	case kindText:
		return appendString(dst, text(b))
	case kindPairs, kindConsolidatedPairs:
		dst = append(dst, '[')
		for i := range f.count {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendPair(dst, b[i*32:i*32+32], f.kind == kindConsolidatedPairs)
		}
		return append(dst, ']')
	}
	v := integer(b)
	if f.kind == kindInt {
		s := int64(v<<(64-8*f.width)) >> (64 - 8*f.width)
		if f.width == 8 {
			dst = append(dst, '"')
			dst = strconv.AppendInt(dst, s, 10)
			return append(dst, '"')
		}
		return strconv.AppendInt(dst, s, 10)
	}
	if f.width == 8 {
		dst = append(dst, '"')
		dst = strconv.AppendUint(dst, v, 10)
		return append(dst, '"')
	}
	return strconv.AppendUint(dst, v, 10)
}

func integer(b []byte) (v uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		v = v<<8 | uint64(b[i])
	}
	return v
}

func appendPair(dst, b []byte, consolidated bool) []byte {
	le := binary.LittleEndian
	dst = append(dst, `{"bid_px":"`...)
	dst = strconv.AppendInt(dst, int64(le.Uint64(b)), 10)
	dst = append(dst, `","ask_px":"`...)
	dst = strconv.AppendInt(dst, int64(le.Uint64(b[8:])), 10)
	dst = append(dst, `","bid_sz":`...)
	dst = strconv.AppendUint(dst, uint64(le.Uint32(b[16:])), 10)
	dst = append(dst, `,"ask_sz":`...)
	dst = strconv.AppendUint(dst, uint64(le.Uint32(b[20:])), 10)
	if consolidated {
		dst = append(dst, `,"bid_pb":`...)
		dst = strconv.AppendUint(dst, uint64(le.Uint16(b[24:])), 10)
		dst = append(dst, `,"ask_pb":`...)
		dst = strconv.AppendUint(dst, uint64(le.Uint16(b[28:])), 10)
	} else {
		dst = append(dst, `,"bid_ct":`...)
		dst = strconv.AppendUint(dst, uint64(le.Uint32(b[24:])), 10)
		dst = append(dst, `,"ask_ct":`...)
		dst = strconv.AppendUint(dst, uint64(le.Uint32(b[28:])), 10)
	}
	return append(dst, '}')
}

// appendString quotes for JSON; bytes that are no text become the replacement character.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r < 0x20:
			dst = append(dst, `\u00`...)
			dst = append(dst, "0123456789abcdef"[r>>4], "0123456789abcdef"[r&15])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}

// TypeName is the name of a record type, "Unknown" for one that is not known.
func TypeName(rtype uint8) string {
	if l := layoutOf(rtype, versionMax); l != nil {
		return l.name
	}
	return "Unknown"
}
