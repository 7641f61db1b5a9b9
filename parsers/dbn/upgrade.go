package dbn

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"unsafe"

	"github.com/tickwire/tickwire/tick"
)

// Upgrade appends rec, a record of the given version, as its version 3 form (section 6). Fields are copied by name; a
// wider field keeps the meaning "not set"; what the old version did not have is not set. Types that are not known are
// appended as they are.
func Upgrade(dst, rec []byte, version uint8, tsOut bool) ([]byte, error) {
	l := layoutOf(rec[1], version)
	if l == nil {
		return append(dst, rec...), nil
	}
	want := l.size
	if tsOut {
		want += 8
	}
	if len(rec) < want {
		return dst, fmt.Errorf("%w: %s has %d bytes, want %d", ErrRecordShort, l.name, len(rec), want)
	}
	to := layoutOf(rec[1], versionMax)
	if l == to {
		return append(dst, rec...), nil
	}
	start := len(dst)
	dst = append(dst, make([]byte, to.size)...)
	out := dst[start:]
	initial(out, rec[1])
	copy(out, rec[:headerBytes])
	for i := range to.fields {
		f := &to.fields[i]
		if old := l.field(f.name); old != nil {
			widen(out, f, rec, old)
		}
	}
	if rec[1] == tick.RTypeSystem || rec[1] == tick.RTypeError {
		out[to.field("code").at] = codeOf(rec[1], text(rec[headerBytes:l.size]))
	}
	if tsOut {
		dst = append(dst, rec[l.size:l.size+8]...)
	}
	dst[start] = byte((len(dst) - start) / 4)
	return dst, nil
}

// initial fills a record with "not set".
func initial(out []byte, rtype uint8) {
	switch rtype {
	case tick.RTypeDefinition:
		copy(out, unsafe.Slice((*byte)(unsafe.Pointer(&tick.UndefDefinition)), unsafe.Sizeof(tick.UndefDefinition)))
	case tick.RTypeMapping:
		l := layoutOf(rtype, versionMax)
		out[l.field("stype_in").at], out[l.field("stype_out").at] = 0xFF, 0xFF
	case tick.RTypeError:
		out[layoutOf(rtype, versionMax).field("is_last").at] = 0xFF
	}
}

// widen copies one field into its wider form.
func widen(out []byte, to *field, rec []byte, from *field) {
	dst, src := out[to.at:to.at+to.width], rec[from.at:from.at+from.width]
	switch {
	case to.width == from.width:
		copy(dst, src)
	case to.kind == kindText:
		clear(dst)
		copy(dst[:len(dst)-1], text(src))
	case to.kind == kindInt: // statistics: quantity
		v := int64(int32(binary.LittleEndian.Uint32(src)))
		if v == math.MaxInt32 {
			v = math.MaxInt64
		}
		binary.LittleEndian.PutUint64(dst, uint64(v))
	default: // definition: raw_instrument_id
		binary.LittleEndian.PutUint64(dst, uint64(binary.LittleEndian.Uint32(src)))
	}
}

// codeOf finds the code of a gateway's message by its text: version 1 had none (section 4.14).
func codeOf(rtype uint8, message string) uint8 {
	type known struct {
		text string
		code uint8
	}
	list := []known{{"Heartbeat", 0}, {"Subscription request ", 1}, {"Warning: slow reading", 2}, {"Finished ", 3}, {"End of interval for ", 4}}
	if rtype == tick.RTypeError {
		list = []known{{"User or API key deactivated", 2}, {"User has reached their open connection limit", 3},
			{"Failed to resolve symbol", 4}, {"Internal error", 6}, {"Slow client detected for ", 7}}
	}
	for _, k := range list {
		if strings.HasPrefix(message, k.text) {
			return k.code
		}
	}
	return 255
}
