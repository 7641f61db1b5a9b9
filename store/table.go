package store

// Type is how SQL sees a column. The layout of its values in a Vector follows from it.
type Type uint8

const (
	BigInt    Type = iota // bigint; Vector.I64
	Timestamp             // timestamptz: µs since the Unix epoch, truncated; Vector.I64
	Decimal               // DECIMAL(18,9): the int64 of a record's price; Vector.I64
	SmallInt              // smallint; Vector.I16
	Text                  // text; Vector.Codes or Vector.Bytes
	Double                // double; Vector.I64 has its bits
)

// Column of a table.
type Column struct {
	Name    string
	Type    Type
	NotNull bool   // no value is ever NULL
	Comment string // one sentence for people; unit and source
}

// Table is what SQL can name. Tables are the same for every venue; a venue fills those it has data for.
type Table struct {
	Name    string
	Comment string
	Columns []Column
	Symbol  int // position of column symbol, -1: none
	Time    int // position of column ts_ns, -1: none
}

// Column finds a column by name; -1: there is none.
func (t *Table) Column(name string) int {
	for i := range t.Columns {
		if t.Columns[i].Name == name {
			return i
		}
	}
	return -1
}

// Vector is one column of a Block. Exactly one of I64, I16, Codes and Bytes is set, with one value a row, or a single
// value for all rows if Const. The memory is the store's and valid until the Scan is closed; nobody writes to it.
type Vector struct {
	I64   []int64
	I16   []int16
	Codes []uint32 // Text: Dict.String gives the text; 0 is NULL
	Bytes []byte   // Text of one character: the byte is the character; 0 is NULL
	Const bool     // one value stands for every row
	Valid []uint64 // bit of row i (word i/64) set: there is a value; nil: every row has one. Not for Codes and Bytes.
}

// Bounds are what a statement asks of a table. They prune blocks; rows that remain must still be filtered.
type Bounds struct {
	Symbols []string // empty: all
	From    int64    // first ts_ns of interest, ns since the Unix epoch
	To      int64    // first ts_ns of no interest any more; 0: none
}
