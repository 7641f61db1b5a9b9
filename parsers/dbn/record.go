package dbn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"github.com/tickwire/tickwire/tick"
)

// Faults of a record. The layer that knows the place wraps them.
var (
	ErrRecordLength = errors.New("record length is below a header's")
	ErrRecordShort  = errors.New("record is shorter than its type")
	ErrTruncated    = errors.New("last record is cut off")
)

// Next cuts the first record off b: its bytes, as they are. n is 0 when b does not hold a whole one yet.
func Next(b []byte) (rec []byte, n int, err error) {
	if len(b) == 0 {
		return nil, 0, nil
	}
	n = 4 * int(b[0])
	if n < headerBytes {
		return nil, 0, fmt.Errorf("%w: %d", ErrRecordLength, n)
	}
	if len(b) < n {
		return nil, 0, nil
	}
	return b[:n], n, nil
}

// Header is a record's header; rec must hold 16 bytes.
func Header(rec []byte) tick.Header {
	le := binary.LittleEndian
	return tick.Header{
		Length: rec[0], RType: rec[1], PublisherID: le.Uint16(rec[2:]), InstrumentID: le.Uint32(rec[4:]), TsEvent: le.Uint64(rec[8:]),
	}
}

// Body is a version 3 record type of package tick.
type Body interface {
	tick.Mbo | tick.Trade | tick.Mbp1 | tick.Mbp10 | tick.Bbo | tick.Cmbp1 | tick.Cbbo | tick.Ohlcv | tick.Status |
		tick.Definition | tick.Imbalance | tick.Statistics | tick.ErrorMsg | tick.SymbolMapping | tick.System
}

// As copies a version 3 record into its struct; a record that is longer, as with ts_out, gives its known part. The
// caller has looked at the type.
func As[T Body](rec []byte) (T, error) {
	var v T
	if len(rec) < int(unsafe.Sizeof(v)) {
		return v, fmt.Errorf("%w: %d bytes, want %d", ErrRecordShort, len(rec), unsafe.Sizeof(v))
	}
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&v)), unsafe.Sizeof(v)), rec)
	return v, nil
}

// Append appends a record as its bytes. The length byte is set from its size.
func Append[T Body](dst []byte, v *T) []byte {
	size := int(unsafe.Sizeof(*v))
	start := len(dst)
	dst = append(dst, unsafe.Slice((*byte)(unsafe.Pointer(v)), size)...)
	dst[start] = byte(size / 4)
	return dst
}
