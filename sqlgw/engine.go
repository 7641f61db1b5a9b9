// Package sqlgw is the contract between those who answer SQL (package duck, later the fast path) and those who ask for
// clients: the PostgreSQL port (package pgwire), the command line, the output formats (package format).
//
//	psql, pgx, … ──► pgwire ──┐                       ┌──► duck ──► store
//	                          ├──► Engine, Conn, Stmt ┤
//	tickwire sql ──► format ──┘        Rows, Chunk    └──► (fast path)
//
// Results travel as chunks of columns, so that neither side pays a call for each value.
package sqlgw

import "context"

// Engine answers SQL. It may be used by any number of goroutines.
type Engine interface {
	// Connect makes a session. Whoever called it closes it.
	Connect(ctx context.Context) (Conn, error)
}

// Changing is an Engine in whose place another may come, with other tables. All connections of one client are to be of the same: what it was told of a table holds for it.
type Changing interface {
	// Present is the engine for a client that begins now. Connect of one that has gone since is os.ErrClosed; one that has connections stays.
	Present() Engine
}

// Conn is a session: one statement at a time. Not for use by several goroutines at once, but for Interrupt.
type Conn interface {
	// Prepare parses and binds one statement, without running it. Parameter types that the client gave (PostgreSQL
	// type oids, 0: not said) are taken, the others inferred. Errors are *Error.
	Prepare(ctx context.Context, sql string, paramOIDs []uint32) (Stmt, error)
	// Split cuts a text into its statements, without the semicolons between them; comments and blanks alone are none.
	Split(sql string) ([]string, error)
	// Interrupt makes the statement that runs end with SQLSTATE 57014. From any goroutine.
	Interrupt()
	Close() error
}

// Stmt is a prepared statement of a Conn.
type Stmt interface {
	// Params are the PostgreSQL type oids of $1, $2, …
	Params() []uint32
	// Columns describe the result; none for a statement without one.
	Columns() []Column
	// Query runs it. args hold nil, bool, int64, float64, string, []byte, or time.Time; text is converted to what the
	// statement wants. Rows must be closed before the Conn does anything else.
	Query(ctx context.Context, args []any) (Rows, error)
	Close() error
}

// Rows is a running result.
type Rows interface {
	Columns() []Column
	// Next gives the next chunk, or io.EOF after the last. The chunk is valid until the next call.
	Next(ctx context.Context) (*Chunk, error)
	// Tag is PostgreSQL's command tag without the count, as "SELECT" or "SET".
	Tag() string
	Close() error
}

// Kind is how the values of a column lie in a Vector.
type Kind uint8

const (
	Bool        Kind = iota // I64: 0 or 1
	Int2                    // I64
	Int4                    // I64
	Int8                    // I64
	Float4                  // F64
	Float8                  // F64
	Numeric                 // I64, or Hi and I64 as the two halves of a 128-bit two's complement; divided by 10^Scale
	Text                    // Str
	Bytea                   // Str
	Date                    // I64: days since 1970-01-01
	Time                    // I64: µs since midnight
	Timestamp               // I64: µs since 1970-01-01 00:00, no zone
	TimestampTZ             // I64: µs since 1970-01-01 00:00 UTC
	Interval                // I64: µs; Hi: months<<32 | days, days as the low 32 bits, two's complement
)

// Column of a result.
type Column struct {
	Name  string
	Kind  Kind
	OID   uint32 // PostgreSQL's type
	Mod   int32  // PostgreSQL's type modifier, -1: none
	Width int8   // of Numeric: digits in all, 0: not limited
	Scale int8   // of Numeric: digits after the point
}

// Chunk is some rows of a result, as columns.
type Chunk struct {
	Rows    int
	Vectors []Vector // one a column
}

// Vector is the values of one column in a chunk. Which fields are set follows from the column's Kind.
type Vector struct {
	I64  []int64
	Hi   []int64
	F64  []float64
	Str  []string
	Null []bool // nil: no NULL
}

// IsNull says whether row i has no value.
func (v *Vector) IsNull(i int) bool { return v.Null != nil && v.Null[i] }

// Error is a refusal as PostgreSQL words it.
type Error struct {
	State    string // SQLSTATE, five characters
	Message  string
	Detail   string
	Hint     string
	Position int // 1-based character of the statement, 0: not known
}

// Error gives the message alone: state and position go to those who ask for them.
func (e *Error) Error() string { return e.Message }
