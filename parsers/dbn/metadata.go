package dbn

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// The metadata header (section 2). Fixed part, offsets from the start of the file:
//
//	0   "DBN" version u8     4  length u32: bytes behind offset 8      8   dataset char[16]
//	24  schema u16           26 start u64   34 end u64   42 limit u64
//	v1: 50 record_count u64  58 stype_in u8  59 stype_out u8  60 ts_out u8
//	v2+: 50 stype_in u8      51 stype_out u8 52 ts_out u8    53 symbol_cstr_len u16
//	108 schema_definition_length u32, always 0
//	112 symbols, partial, not_found: u32 count, count × char[symbol_cstr_len] each
//	    mappings: u32 count, each char[n], u32 count of {start u32, end u32, char[n]}
//	v3: zeros, so that the first record lies on an 8-byte boundary

// Metadata is the header of a file or stream.
type Metadata struct {
	Version   uint8
	Dataset   string // such as XNAS.ITCH, at most 15 characters
	Schema    Schema
	Start     uint64 // ns since the Unix epoch, inclusive
	End       uint64 // exclusive, all ones: open
	Limit     uint64 // records at most, 0: no limit
	STypeIn   SType
	STypeOut  SType
	TsOut     bool // every record carries 8 bytes more: the gateway's send time
	Symbols   []string
	Partial   []string
	NotFound  []string
	Mappings  []Mapping
	symbolLen int
	length    int
	padding   int
}

// Mapping says what a symbol stood for, day by day.
type Mapping struct {
	RawSymbol string
	Intervals []Interval
}

// Interval is a range of UTC days [Start, End), each as the decimal number YYYYMMDD.
type Interval struct {
	Start, End uint32
	Symbol     string
}

// Bounds of what is believed of a header.
const (
	metadataFixed = 112
	metadataMin   = 100
	metadataMax   = 64 << 20 // bytes: a file that claims more is not one
	symbolLenV1   = 22
	symbolLen     = 71
	versionMax    = 3
)

// Faults of a header.
var (
	ErrShort   = errors.New("dbn: header is cut off")
	ErrMagic   = errors.New("dbn: does not begin with DBN and a version")
	ErrVersion = errors.New("dbn: version is newer than 3")
	ErrHeader  = errors.New("dbn: header contradicts itself")
)

// MetadataBytes tells from the first 8 bytes how long the whole header is.
func MetadataBytes(b []byte) (int, error) {
	if len(b) < 8 {
		return 0, ErrShort
	}
	if string(b[:3]) != "DBN" {
		return 0, ErrMagic
	}
	if b[3] == 0 || b[3] > versionMax {
		return 0, fmt.Errorf("%w: %d", ErrVersion, b[3])
	}
	n := binary.LittleEndian.Uint32(b[4:])
	if n < metadataMin || n > metadataMax {
		return 0, fmt.Errorf("%w: length %d at byte 4, want %d to %d", ErrHeader, n, metadataMin, metadataMax)
	}
	return 8 + int(n), nil
}

// ParseMetadata reads a header and returns how many bytes it took.
func ParseMetadata(b []byte) (*Metadata, int, error) {
	total, err := MetadataBytes(b)
	if err != nil {
		return nil, 0, err
	}
	if len(b) < total {
		return nil, 0, fmt.Errorf("%w: %d bytes of %d", ErrShort, len(b), total)
	}
	le := binary.LittleEndian
	m := &Metadata{
		Version: b[3], Dataset: text(b[8:24]), Schema: Schema(le.Uint16(b[24:])),
		Start: le.Uint64(b[26:]), End: le.Uint64(b[34:]), Limit: le.Uint64(b[42:]),
		symbolLen: symbolLenV1, length: total - 8,
	}
	at := 58
	if m.Version >= 2 {
		at = 50
		m.symbolLen = int(le.Uint16(b[53:]))
		if m.symbolLen == 0 || m.symbolLen > 1024 {
			return nil, 0, fmt.Errorf("%w: symbols of %d bytes at byte 53", ErrHeader, m.symbolLen)
		}
	}
	m.STypeIn, m.STypeOut, m.TsOut = SType(b[at]), SType(b[at+1]), b[at+2] != 0
	if total < metadataFixed {
		return nil, 0, fmt.Errorf("%w: %d bytes hold no symbol lists", ErrHeader, total)
	}
	if n := le.Uint32(b[108:]); n != 0 {
		return nil, 0, fmt.Errorf("%w: a schema definition of %d bytes at byte 108, want none", ErrHeader, n)
	}
	p := lists{b: b[:total], at: metadataFixed, symbolLen: m.symbolLen}
	m.Symbols, m.Partial, m.NotFound = p.symbols(), p.symbols(), p.symbols()
	m.Mappings = p.mappings()
	if p.err != nil {
		return nil, 0, p.err
	}
	m.padding = total - p.at
	if m.Version >= 3 && m.padding > 7 {
		return nil, 0, fmt.Errorf("%w: %d bytes behind the lists at byte %d, want at most 7", ErrHeader, m.padding, p.at)
	}
	return m, total, nil
}

// lists reads the variable part. Counts are anybody's claim: they are checked against the bytes that are there before
// anything is allocated.
type lists struct {
	b         []byte
	at        int
	symbolLen int
	err       error
}

// count reads a number of entries that take at least size bytes each.
func (p *lists) count(size int) int {
	if p.err != nil {
		return 0
	}
	if len(p.b)-p.at < 4 {
		p.err = fmt.Errorf("%w: a count at byte %d is cut off", ErrHeader, p.at)
		return 0
	}
	n := binary.LittleEndian.Uint32(p.b[p.at:])
	p.at += 4
	if uint64(n)*uint64(size) > uint64(len(p.b)-p.at) {
		p.err = fmt.Errorf("%w: %d entries at byte %d do not fit", ErrHeader, n, p.at-4)
		return 0
	}
	return int(n)
}

func (p *lists) symbol() string {
	s := text(p.b[p.at : p.at+p.symbolLen])
	p.at += p.symbolLen
	return s
}

func (p *lists) symbols() []string {
	list := make([]string, p.count(p.symbolLen))
	for i := range list {
		list[i] = p.symbol()
	}
	return list
}

func (p *lists) mappings() []Mapping {
	list := make([]Mapping, p.count(p.symbolLen+4))
	for i := range list {
		if len(p.b)-p.at < p.symbolLen+4 {
			p.err = fmt.Errorf("%w: mapping %d at byte %d is cut off", ErrHeader, i, p.at)
			return nil
		}
		list[i].RawSymbol = p.symbol()
		n := p.count(8 + p.symbolLen)
		if p.err != nil {
			return nil
		}
		list[i].Intervals = make([]Interval, n)
		for k := range list[i].Intervals {
			v := &list[i].Intervals[k]
			v.Start, v.End = binary.LittleEndian.Uint32(p.b[p.at:]), binary.LittleEndian.Uint32(p.b[p.at+4:])
			p.at += 8
			v.Symbol = p.symbol()
		}
	}
	return list
}

// text is a NUL-padded string.
func text(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// AppendMetadata appends a version 3 header.
func AppendMetadata(dst []byte, m *Metadata) ([]byte, error) {
	if len(m.Dataset) > 15 {
		return dst, fmt.Errorf("dbn: dataset %q has more than 15 characters", m.Dataset)
	}
	start := len(dst)
	le := binary.LittleEndian
	dst = append(dst, 'D', 'B', 'N', versionMax, 0, 0, 0, 0)
	dst = appendText(dst, m.Dataset, 16)
	dst = le.AppendUint16(dst, uint16(m.Schema))
	dst = le.AppendUint64(dst, m.Start)
	dst = le.AppendUint64(dst, m.End)
	dst = le.AppendUint64(dst, m.Limit)
	dst = append(dst, byte(m.STypeIn), byte(m.STypeOut), 0)
	if m.TsOut {
		dst[len(dst)-1] = 1
	}
	dst = le.AppendUint16(dst, symbolLen)
	dst = append(dst, make([]byte, metadataFixed-(len(dst)-start))...)
	for _, list := range [][]string{m.Symbols, m.Partial, m.NotFound} {
		dst = le.AppendUint32(dst, uint32(len(list)))
		for _, s := range list {
			if len(s) >= symbolLen {
				return dst[:start], fmt.Errorf("dbn: symbol %q has more than %d characters", s, symbolLen-1)
			}
			dst = appendText(dst, s, symbolLen)
		}
	}
	dst = le.AppendUint32(dst, uint32(len(m.Mappings)))
	for _, mapping := range m.Mappings {
		dst = appendText(dst, mapping.RawSymbol, symbolLen)
		dst = le.AppendUint32(dst, uint32(len(mapping.Intervals)))
		for _, v := range mapping.Intervals {
			dst = le.AppendUint32(dst, v.Start)
			dst = le.AppendUint32(dst, v.End)
			dst = appendText(dst, v.Symbol, symbolLen)
		}
	}
	for (len(dst)-start)%8 != 0 {
		dst = append(dst, 0)
	}
	le.PutUint32(dst[start+4:], uint32(len(dst)-start-8))
	return dst, nil
}

// appendText pads with NULs and always leaves one at the end.
func appendText(dst []byte, s string, n int) []byte {
	if len(s) > n-1 {
		s = s[:n-1]
	}
	dst = append(dst, s...)
	return append(dst, make([]byte, n-len(s))...)
}
