package pgwire

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"
)

// Type oids of PostgreSQL (pg_type.dat) that the port treats differently from text.
const (
	oidBool        = 16
	oidBytea       = 17
	oidChar        = 18
	oidName        = 19
	oidInt8        = 20
	oidInt2        = 21
	oidInt4        = 23
	oidText        = 25
	oidOID         = 26
	oidJSON        = 114
	oidFloat4      = 700
	oidFloat8      = 701
	oidUnknown     = 705
	oidBpchar      = 1042
	oidVarchar     = 1043
	oidDate        = 1082
	oidTime        = 1083
	oidTimestamp   = 1114
	oidTimestampTZ = 1184
	oidInterval    = 1186
	oidNumeric     = 1700
	oidUUID        = 2950
	oidJSONB       = 3802
)

// arrays maps array types to the types of their elements.
var arrays = map[uint32]uint32{
	1000: oidBool, 1001: oidBytea, 1002: oidChar, 1003: oidName, 1016: oidInt8, 1005: oidInt2, 1007: oidInt4, 1009: oidText,
	1028: oidOID, 1021: oidFloat4, 1022: oidFloat8, 1014: oidBpchar, 1015: oidVarchar, 1182: oidDate, 1183: oidTime,
	1115: oidTimestamp, 1185: oidTimestampTZ, 1187: oidInterval, 1231: oidNumeric, 2951: oidUUID,
}

func elementOf(oid uint32) uint32 { return arrays[oid] }

// sizeOf is pg_type.typlen: bytes of a value, -1 for those that vary.
func sizeOf(oid uint32) int16 {
	switch oid {
	case oidBool, oidChar:
		return 1
	case oidInt2:
		return 2
	case oidInt4, oidFloat4, oidDate, oidOID:
		return 4
	case oidInt8, oidFloat8, oidTime, oidTimestamp, oidTimestampTZ:
		return 8
	case oidInterval, oidUUID:
		return 16
	case oidName:
		return 64
	case oidUnknown:
		return -2
	}
	return -1
}

// binaryElement says whether elements of that type have a binary form here. Arrays of others are described as text.
func binaryElement(oid uint32) bool {
	switch oid {
	case oidBool, oidInt2, oidInt4, oidInt8, oidOID, oidFloat4, oidFloat8, oidText, oidVarchar, oidBpchar, oidName, oidChar:
		return true
	}
	return false
}

// element of an array's text form.
type element struct {
	text string
	null bool
}

// parseArray takes a one-dimensional array apart: {1,NULL,"a b"} as PostgreSQL writes it (section 8.15.2).
func parseArray(s string) ([]element, bool) {
	s = strings.TrimSpace(s)
	if len(s) < 2 || s[0] != '{' || s[len(s)-1] != '}' {
		return nil, false
	}
	s = s[1 : len(s)-1]
	if strings.TrimSpace(s) == "" {
		return nil, true
	}
	var out []element
	for i := 0; ; {
		var e element
		var ok bool
		if e, i, ok = parseElement(s, i); !ok {
			return nil, false
		}
		out = append(out, e)
		if i == len(s) {
			return out, true
		}
		i++ // the comma
	}
}

func parseElement(s string, i int) (e element, next int, ok bool) {
	for i < len(s) && s[i] == ' ' {
		i++
	}
	var b strings.Builder
	quoted := i < len(s) && s[i] == '"'
	if quoted {
		for i++; ; i++ {
			if i >= len(s) {
				return e, i, false
			}
			if s[i] == '"' {
				i++
				break
			}
			if s[i] == '\\' && i+1 < len(s) {
				i++
			}
			b.WriteByte(s[i])
		}
		for i < len(s) && s[i] == ' ' {
			i++
		}
		if i < len(s) && s[i] != ',' {
			return e, i, false
		}
		return element{text: b.String()}, i, true
	}
	for i < len(s) && s[i] != ',' {
		if s[i] == '{' || s[i] == '}' || s[i] == '"' {
			return e, i, false // arrays of arrays are not taken
		}
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
		i++
	}
	text := strings.TrimRight(b.String(), " ")
	if text == "" {
		return e, i, false
	}
	return element{text: text, null: strings.EqualFold(text, "null")}, i, true
}

// appendArrayBinary is array_send of a one-dimensional array given as text: number of dimensions, whether there are
// NULLs, element type, length and lower bound, then the elements with their lengths.
func appendArrayBinary(out []byte, elem uint32, s string) []byte {
	be := binary.BigEndian
	elements, ok := parseArray(s)
	if !ok || len(elements) == 0 {
		out = be.AppendUint32(out, 0)
		out = be.AppendUint32(out, 0)
		return be.AppendUint32(out, elem)
	}
	nulls := uint32(0)
	for _, e := range elements {
		if e.null {
			nulls = 1
		}
	}
	out = be.AppendUint32(out, 1)
	out = be.AppendUint32(out, nulls)
	out = be.AppendUint32(out, elem)
	out = be.AppendUint32(out, uint32(len(elements)))
	out = be.AppendUint32(out, 1)
	for _, e := range elements {
		at := len(out)
		out = append(out, 0xff, 0xff, 0xff, 0xff)
		if e.null {
			continue
		}
		out = appendScalarBinary(out, elem, e.text)
		be.PutUint32(out[at:], uint32(len(out)-at-4))
	}
	return out
}

// appendScalarBinary turns the text of a number, truth value or text into its binary form.
func appendScalarBinary(out []byte, oid uint32, s string) []byte {
	be := binary.BigEndian
	switch oid {
	case oidBool:
		if s == "t" || s == "true" {
			return append(out, 1)
		}
		return append(out, 0)
	case oidInt2, oidInt4, oidInt8, oidOID:
		n, _ := strconv.ParseInt(s, 10, 64)
		switch oid {
		case oidInt2:
			return be.AppendUint16(out, uint16(n))
		case oidInt8:
			return be.AppendUint64(out, uint64(n))
		}
		return be.AppendUint32(out, uint32(n))
	case oidFloat4:
		f, _ := strconv.ParseFloat(s, 32)
		return be.AppendUint32(out, math.Float32bits(float32(f)))
	case oidFloat8:
		f, _ := strconv.ParseFloat(s, 64)
		return be.AppendUint64(out, math.Float64bits(f))
	}
	return append(out, s...)
}
