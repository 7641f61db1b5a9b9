package manifest

import (
	"encoding/json"
	"fmt"
)

// Type of a column's values: ABI.md, Layout. Its number is a byte there; it is wider here because encoding/json would read text into a slice of bytes as
// base64, and so take "args": "BQ==" for one i64.
type Type uint16

// Types by their numbers in a layout. Price and Time are I64 and U64 there, Bool is U8: only manifests and SQL know them.
const (
	U8 Type = 1 + iota
	U16
	U32
	U64
	I32
	I64
	F64
	Str
	Price Type = 16 + iota
	Time
	Bool
)

var typeNames = map[Type]string{U8: "u8", U16: "u16", U32: "u32", U64: "u64", I32: "i32", I64: "i64", F64: "f64", Str: "str", Price: "price", Time: "time", Bool: "bool"}

// Wire is the type that a layout has for it.
func (t Type) Wire() Type {
	switch t {
	case Price:
		return I64
	case Time:
		return U64
	case Bool:
		return U8
	}
	return t
}

// Bytes of a value; 0 for Str, whose stride the plugin chooses.
func (t Type) Bytes() int {
	switch t.Wire() {
	case U8:
		return 1
	case U16:
		return 2
	case U32, I32:
		return 4
	case Str:
		return 0
	}
	return 8
}

func (t Type) String() string {
	if s, ok := typeNames[t]; ok {
		return s
	}
	return fmt.Sprintf("type %d", uint16(t))
}

// MarshalText writes the name that manifests use.
func (t Type) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads it.
func (t *Type) UnmarshalText(b []byte) error {
	for of, name := range typeNames {
		if name == string(b) {
			*t = of
			return nil
		}
	}
	return fmt.Errorf("type %q is none of u8, u16, u32, u64, i32, i64, f64, str, price, time, bool", b)
}

// UnmarshalJSON reads it as a JSON string: a number would be taken for text.
func (t *Type) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("a type is text, not %s", b)
	}
	return t.UnmarshalText([]byte(s))
}

// Column is a column of rows by its number in a layout: ABI.md, Columns of rows.
type Column struct {
	ID       uint16
	Name     string
	Type     Type
	Writable bool // by a transform
	Parsed   bool // written by a parser
	Hidden   bool // not to be read: it is the plugin's answer
}

// Numbers of columns that are not of a batch.
const (
	ColumnRowCtl  = 64
	ColumnReason  = 65
	ColumnCustom  = 128 // a transform's own
	ColumnEarlier = 132 // custom columns of plugins before it
	ColumnArg     = 512
	ColumnGroup   = 527
	ColumnArgNull = 640
	ColumnResult  = 768
	ColumnNull    = 769

	MostCustom = 4  // custom columns of a feed's chain
	MostArgs   = 15 // of a function or an aggregate
)

// Columns are those of a batch, by number.
var Columns = []Column{
	{ID: 1, Name: "kind", Type: U8, Parsed: true},
	{ID: 2, Name: "sub", Type: U8, Parsed: true},
	{ID: 3, Name: "side", Type: U8, Writable: true, Parsed: true},
	{ID: 4, Name: "flags", Type: U8, Parsed: true},
	{ID: 5, Name: "instrument_id", Type: U32, Parsed: true},
	{ID: 6, Name: "ts_event", Type: Time, Parsed: true},
	{ID: 7, Name: "ts_recv", Type: Time},
	{ID: 8, Name: "sequence", Type: U64, Parsed: true},
	{ID: 9, Name: "order_id", Type: U64, Parsed: true},
	{ID: 10, Name: "aux", Type: U64, Parsed: true},
	{ID: 11, Name: "price", Type: Price, Writable: true, Parsed: true},
	{ID: 12, Name: "size", Type: U64, Writable: true, Parsed: true},
	{ID: 13, Name: "state", Type: U8},
	{ID: 14, Name: "left", Type: U64},
	{ID: 15, Name: "old_price", Type: Price, Parsed: true},
	{ID: 16, Name: "old_size", Type: U64, Parsed: true},
	{ID: 17, Name: "bid_px", Type: Price},
	{ID: 18, Name: "ask_px", Type: Price},
	{ID: 19, Name: "bid_sz", Type: U32},
	{ID: 20, Name: "ask_sz", Type: U32},
	{ID: 21, Name: "bid_ct", Type: U32},
	{ID: 22, Name: "ask_ct", Type: U32},
	{ID: 23, Name: "prev_bid_px", Type: Price},
	{ID: 24, Name: "prev_ask_px", Type: Price},
	{ID: 25, Name: "prev_bid_sz", Type: U32},
	{ID: 26, Name: "prev_ask_sz", Type: U32},
	{ID: 27, Name: "prev_bid_ct", Type: U32},
	{ID: 28, Name: "prev_ask_ct", Type: U32},
	{ID: 29, Name: "publisher_id", Type: U16},
	{ID: 30, Name: "symbol", Type: Str, Writable: true, Parsed: true},
	{ID: 31, Name: "mpid", Type: Str},
	{ID: ColumnRowCtl, Name: "row_ctl", Type: U8, Writable: true, Parsed: true, Hidden: true},
	{ID: ColumnReason, Name: "reason", Type: U8, Writable: true, Hidden: true},
}

// ColumnNamed finds a column of a batch.
func ColumnNamed(name string) (Column, bool) {
	for _, c := range Columns {
		if c.Name == name {
			return c, true
		}
	}
	return Column{}, false
}

// ColumnName is the name of a column of rows, "": it is none.
func ColumnName(id uint16) string {
	for _, c := range Columns {
		if c.ID == id {
			return c.Name
		}
	}
	return ""
}
