//go:build cgo

package duck

import (
	"strings"
	"unicode/utf8"

	"github.com/tickwire/tickwire/sqlgw"
)

// newError turns what DuckDB says into PostgreSQL's terms: SQLSTATE, one sentence, and the place in the statement.
//
//	Binder Error: Referenced column "x" not found in FROM clause!
//	Candidate bindings: "price", …
//
//	LINE 1: SELECT x FROM trades
//	               ^
func newError(text, sql string) *sqlgw.Error {
	e := &sqlgw.Error{State: "XX000"}
	kind, rest, ok := strings.Cut(text, " Error: ")
	if !ok {
		kind, rest = "Invalid Input", text
	}
	body, mark, _ := strings.Cut(rest, "\nLINE ")
	message, detail, _ := strings.Cut(strings.TrimSpace(body), "\n")
	e.Message, e.Detail = message, strings.TrimSpace(detail)
	if mark != "" {
		e.Position = position(mark, sql)
	}
	e.State = stateOf(kind, e.Message)
	switch e.State {
	case "57014":
		e.Message = "canceling statement due to user request"
	case "42501":
		e.Hint = "this port reads no files and changes no configuration"
	}
	return e
}

// states are SQLSTATEs by kind of error; within a kind a part of the message decides.
var states = []struct{ kind, part, state string }{
	{"Parser", "", "42601"},
	{"Syntax", "", "42601"},
	{"Catalog", "Table with name", "42P01"},
	{"Catalog", "Table Function with name", "42883"},
	{"Catalog", "Function with name", "42883"},
	{"Catalog", "Type with name", "42704"},
	{"Catalog", "Schema with name", "3F000"},
	{"Catalog", "unrecognized configuration", "42704"},
	{"Catalog", "already exists", "42P07"},
	{"Catalog", "", "42P01"},
	{"Binder", "Referenced table", "42P01"},
	{"Binder", "Referenced column", "42703"},
	{"Binder", "does not have a column named", "42703"},
	{"Binder", "Ambiguous reference", "42702"},
	{"Binder", "must appear in the GROUP BY", "42803"},
	{"Binder", "No function matches", "42883"},
	{"Binder", "Cannot compare values of type", "42883"},
	{"Binder", "UNIQUE constraint", "42P10"},
	{"Binder", "aggregate", "42803"},
	{"Binder", "", "42P10"},
	{"Conversion", "out of range", "22003"},
	{"Conversion", "timestamp", "22007"},
	{"Conversion", "date", "22008"},
	{"Conversion", "", "22P02"},
	{"Mismatch Type", "", "42804"},
	{"Out of Range", "", "22003"},
	{"Overflow", "", "22003"},
	{"Divide by Zero", "", "22012"},
	{"Invalid Input", "file system operations are disabled", "42501"},
	{"Invalid Input", "configuration has been locked", "42501"},
	{"Invalid Input", "No statement", "42601"},
	{"Invalid Input", "", "22023"},
	{"Permission", "", "42501"},
	{"Not implemented", "", "0A000"},
	{"Missing Extension", "", "0A000"},
	{"Extension", "", "0A000"},
	{"Out of Memory", "", "53200"},
	{"INTERRUPT", "", "57014"},
	{"Constraint", "", "23000"},
	{"TransactionContext", "", "25000"},
	{"Parameter Not Resolved", "", "42P18"},
	{"Parameter Not Allowed", "", "42P18"},
	{"IO", "", "58030"},
}

func stateOf(kind, message string) string {
	if strings.Contains(message, "disabled by configuration") || strings.Contains(message, "configuration has been locked") {
		return "42501"
	}
	if kind == "Invalid Input" && strings.HasPrefix(message, "plugin ") {
		return "38000" // external routine exception
	}
	for _, s := range states {
		if s.kind == kind && strings.Contains(message, s.part) {
			return s.state
		}
	}
	return "XX000"
}

// position finds the 1-based character that DuckDB's mark points at. mark is what follows "LINE ": the line's number, the
// line or an excerpt of it between dots, and below it the caret.
func position(mark, sql string) int {
	shown, caret, ok := strings.Cut(mark, "\n")
	number, excerpt, found := strings.Cut(shown, ": ")
	at := strings.IndexByte(caret, '^')
	if !ok || !found || at < 0 {
		return 0
	}
	line := 0
	for _, r := range number {
		if r < '0' || r > '9' {
			return 0
		}
		line = line*10 + int(r-'0')
	}
	head := utf8.RuneCountInString("LINE " + number + ": ")
	column := utf8.RuneCountInString(caret[:at]) - head
	if column < 0 {
		return 0
	}
	lines := strings.Split(sql, "\n")
	if line < 1 || line > len(lines) {
		return 0
	}
	before := 0
	for _, l := range lines[:line-1] {
		before += utf8.RuneCountInString(l) + 1
	}
	if cut, ok := strings.CutPrefix(excerpt, "..."); ok {
		cut = strings.TrimSuffix(cut, "...")
		start := strings.Index(lines[line-1], cut)
		if start < 0 || column < 3 {
			return 0
		}
		column += utf8.RuneCountInString(lines[line-1][:start]) - 3
	}
	return before + column + 1
}
