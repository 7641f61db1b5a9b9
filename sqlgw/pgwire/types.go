package pgwire

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/tickwire/tickwire/sqlgw/catalog"
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

// appendArrayBinary is array_send of a one-dimensional array given as text: number of dimensions, whether there are
// NULLs, element type, length and lower bound, then the elements with their lengths.
func appendArrayBinary(out []byte, elem uint32, s string) []byte {
	be := binary.BigEndian
	elements, ok := catalog.ParseArray(s)
	if !ok || len(elements) == 0 {
		out = be.AppendUint32(out, 0)
		out = be.AppendUint32(out, 0)
		return be.AppendUint32(out, elem)
	}
	nulls := uint32(0)
	for _, e := range elements {
		if e.Null {
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
		if e.Null {
			continue
		}
		out = appendScalarBinary(out, elem, e.Text)
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
