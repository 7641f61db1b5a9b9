//go:build wasip1

// Package tickwire is what a plugin in Go needs. A plugin is a main package:
//
//	var (
//		rows  = tickwire.NewLayout(1024)                        // what the host sees
//		price = tickwire.Both[int64](rows, tickwire.Price)      // the column: a slice of 1,024
//	)
//
//	func init() { tickwire.Units(rows) }                        // one layout for each of the manifest's kinds
//
//	//go:wasmexport tw_transform
//	func transform(unit, n int32) int32 {                       // the call: n rows lie in the columns
//		for i := range n {
//			price[i] *= 100
//		}
//		return n
//	}
//
//	func main() {}                                              // never called
//
// plugins/ABI.md says what each call gets and returns; a negative number is an error. Prices are 1e-9, times ns since the Unix epoch.
//
// Calls should not allocate: the collector runs within them, and fuel bounds them. The manifest says "wasi": true, for Go's runtime imports it.
//
// Built with: GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -ldflags='-s -w'  (tickwire plugin build does it)
package tickwire

import (
	"encoding/binary"
	"strconv"
	"strings"
	"unsafe"
)

const (
	abi         = 1
	magic       = 0x31505754
	headBytes   = 32
	columnBytes = 16
	mostColumns = 64
	align       = 64
)

// Number is what a column may hold beside texts.
type Number interface {
	uint8 | uint16 | uint32 | uint64 | int32 | int64 | float64
}

// Layout is what the host sees of a unit: its columns, and its bytes in and out. Columns stay where they are, for Go does not move what it has allocated.
type Layout struct {
	rows    int
	columns int
	table   []byte // as ABI.md draws it
	keep    []any  // what the table has the addresses of
}

var units []*Layout

// NewLayout begins the layout of a unit; maxRows is limits.max_rows of the manifest.
func NewLayout(maxRows int) *Layout {
	l := &Layout{rows: maxRows, table: aligned[byte](headBytes + mostColumns*columnBytes)}
	binary.LittleEndian.PutUint32(l.table, magic)
	binary.LittleEndian.PutUint32(l.table[4:], uint32(maxRows))
	return l
}

// Units says which layouts the manifest's kinds have, in order.
func Units(l ...*Layout) { units = l }

// Read is a column that the plugin reads, Write one that it writes, Both one that it does both to: maxRows values, of which a call uses the first n.
func Read[T Number](l *Layout, id uint16) []T  { return column[T](l, id, 1) }
func Write[T Number](l *Layout, id uint16) []T { return column[T](l, id, 2) }
func Both[T Number](l *Layout, id uint16) []T  { return column[T](l, id, 3) }

// Texts is a column of texts of stride bytes each, filled up with NUL.
type Texts struct {
	bytes  []byte
	stride int
}

// At is the bytes of a row, stride of them, to be read or written in place.
func (t Texts) At(row int32) []byte {
	at := int(row) * t.stride
	return t.bytes[at : at+t.stride : at+t.stride]
}

// ReadTexts, WriteTexts and BothTexts are columns of texts; the stride is a multiple of 8, to 256.
func ReadTexts(l *Layout, id uint16, stride int) Texts  { return texts(l, id, 1, stride) }
func WriteTexts(l *Layout, id uint16, stride int) Texts { return texts(l, id, 2, stride) }
func BothTexts(l *Layout, id uint16, stride int) Texts  { return texts(l, id, 3, stride) }

// In is room for bytes in (parsers, decoders, indexes, merged states), Out for bytes out (serializers, encoders, indexes, states).
func (l *Layout) In(bytes int) []byte  { return l.io(8, bytes) }
func (l *Layout) Out(bytes int) []byte { return l.io(16, bytes) }

// Frame is what tw_frame writes to bytes out.
type Frame struct {
	Sequence uint64 // of the first message
	Count    uint32 // messages
	Kind     uint32 // 0 messages, 1 heartbeat, 2 end of session, 3 beside the sequence
	At       uint32 // where the messages begin
	_        uint32
	Session  [10]byte
}

// Frame is room for a parser's framing, as bytes out.
func (l *Layout) Frame() *Frame {
	return (*Frame)(unsafe.Pointer(unsafe.SliceData(l.Out(int(unsafe.Sizeof(Frame{}))))))
}

func (l *Layout) io(at, bytes int) []byte {
	b := aligned[byte](bytes)
	l.keep = append(l.keep, b)
	binary.LittleEndian.PutUint32(l.table[at:], address(b))
	binary.LittleEndian.PutUint32(l.table[at+4:], uint32(bytes))
	return b
}

func column[T Number](l *Layout, id uint16, access uint8) []T {
	values := aligned[T](l.rows)
	var zero T
	typ := map[any]uint8{uint8(0): 1, uint16(0): 2, uint32(0): 3, uint64(0): 4, int32(0): 5, int64(0): 6, float64(0): 7}[any(zero)]
	l.add(id, typ, access, address(values), int(unsafe.Sizeof(zero)), values)
	return values
}

func texts(l *Layout, id uint16, access uint8, stride int) Texts {
	b := aligned[byte](l.rows * stride)
	l.add(id, 8, access, address(b), stride, b)
	return Texts{b, stride}
}

func (l *Layout) add(id uint16, typ, access uint8, at uint32, stride int, keep any) {
	l.keep = append(l.keep, keep)
	c := l.table[headBytes+l.columns*columnBytes:]
	binary.LittleEndian.PutUint16(c, id)
	c[2], c[3] = typ, access
	binary.LittleEndian.PutUint32(c[4:], at)
	binary.LittleEndian.PutUint32(c[8:], uint32(stride))
	l.columns++
	binary.LittleEndian.PutUint32(l.table[24:], uint32(l.columns))
}

// aligned makes n values on a boundary of 64 bytes.
func aligned[T Number](n int) []T {
	var zero T
	size := int(unsafe.Sizeof(zero))
	b := make([]T, n+align/size)
	skip := int(-address(b)%align) / size
	return b[skip : skip+n : skip+n]
}

func address[T Number](b []T) uint32 { return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) }

// AppendPrice appends a price as a decimal number with nine decimals, 21 bytes at most.
func AppendPrice(dst []byte, px int64) []byte {
	v := uint64(px)
	if px < 0 {
		dst, v = append(dst, '-'), -v
	}
	dst = append(strconv.AppendUint(dst, v/1e9, 10), '.')
	for unit := uint64(1e8); unit > 0; unit /= 10 {
		dst = append(dst, '0'+byte(v/unit%10))
	}
	return dst
}

// Params are the parameters by name, defaults filled in: int64 (prices too, in 1e-9), float64, bool or string.
type Params map[string]any

// Int is a parameter of type i64 or price.
func (p Params) Int(name string) int64 { v, _ := p[name].(int64); return v }

// Float is a parameter of type f64.
func (p Params) Float(name string) float64 {
	switch v := p[name].(type) {
	case int64:
		return float64(v)
	case float64:
		return v
	}
	return 0
}

// Bool is a parameter of type bool.
func (p Params) Bool(name string) bool { v, _ := p[name].(bool); return v }

// String is a parameter of type string.
func (p Params) String(name string) string { v, _ := p[name].(string); return v }

var (
	configure func(Params) error
	room      []byte
	lastError []byte
)

// OnInit has f called with the parameters, once, before any other call. An error of it refuses them.
func OnInit(f func(Params) error) { configure = f }

// Fail keeps an error's text for the host and gives the negative number to return.
func Fail(text string) int32 {
	lastError = append(lastError[:0], text...)
	return -1
}

//go:wasmexport tw_abi
func exportABI() int32 { return abi }

//go:wasmexport tw_alloc
func exportAlloc(bytes int32) uint32 {
	if bytes < 0 || bytes > 1<<20 {
		return 0
	}
	if cap(room) < int(bytes)+1 {
		room = make([]byte, bytes+1)
	}
	return address(room)
}

//go:wasmexport tw_init
func exportInit(at uint32, n int32) int32 {
	if configure == nil {
		return 0
	}
	if n < 0 || int(n) > cap(room) || at != address(room) {
		return Fail("parameters do not lie where tw_alloc said")
	}
	p, ok := parse(string(room[:n]))
	if !ok {
		return Fail("parameters are no flat JSON object")
	}
	if err := configure(p); err != nil {
		return Fail(err.Error())
	}
	return 0
}

//go:wasmexport tw_layout
func exportLayout(unit int32) uint32 {
	if unit < 0 || int(unit) >= len(units) {
		return 0
	}
	return address(units[unit].table)
}

//go:wasmexport tw_error
func exportError() int64 { return int64(address(lastError))<<32 | int64(len(lastError)) }

// parse reads the flat JSON object of tw_init. encoding/json would do too, at the price of a larger module; of JSON's escapes Go's own syntax lacks two, which the
// host does not write (\/ and surrogate pairs).
func parse(s string) (Params, bool) {
	p := Params{}
	s = strings.TrimSpace(s)
	if !strings.HasPrefix(s, "{") || !strings.HasSuffix(s, "}") {
		return nil, false
	}
	for s = s[1 : len(s)-1]; s != ""; s = strings.TrimPrefix(s, ",") {
		key, err := strconv.QuotedPrefix(s)
		if err != nil || !strings.HasPrefix(s[len(key):], ":") {
			return nil, false
		}
		s = s[len(key)+1:]
		name, _ := strconv.Unquote(key)
		if text, err := strconv.QuotedPrefix(s); err == nil {
			if p[name], err = strconv.Unquote(text); err != nil {
				return nil, false
			}
			s = s[len(text):]
			continue
		}
		end := strings.IndexByte(s, ',')
		if end < 0 {
			end = len(s)
		}
		v, ok := value(s[:end])
		if !ok {
			return nil, false
		}
		p[name], s = v, s[end:]
	}
	return p, true
}

func value(s string) (any, bool) {
	if b, err := strconv.ParseBool(s); err == nil && len(s) > 1 {
		return b, true
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}
