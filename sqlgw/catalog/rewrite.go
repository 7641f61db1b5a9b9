package catalog

import (
	"errors"
	"slices"
	"unicode/utf8"

	"github.com/tickwire/tickwire/sqlgw"
)

// Session is what a statement can ask of the session it runs in.
type Session struct {
	User     string
	Database string
	PID      uint32
	Version  string                           // server_version, as "15.4"
	Setting  func(name string) (string, bool) // a parameter of the session, by its folded name
}

// Set is a change of a session parameter that a statement makes when it runs: set_config(Name, Value, Local).
type Set struct {
	Name  string
	Value string
	Local bool
}

// Rewritten is a statement as the engine takes it.
type Rewritten struct {
	SQL   string
	Sets  []Set
	edits []edit
	from  string
}

// edit replaces the bytes from start to end of the original by text.
type edit struct {
	start, end int
	text       string
}

// Position gives the 1-based character of the original for one of SQL. What lies within a replacement is where that
// begins.
func (r *Rewritten) Position(p int) int {
	if len(r.edits) == 0 {
		return p
	}
	at := 0 // byte offset of character p in SQL
	for i := range r.SQL {
		if p--; p == 0 {
			at = i
			break
		}
	}
	if p > 0 {
		at = len(r.SQL)
	}
	shift := 0 // bytes SQL is ahead of the original
	for _, e := range r.edits {
		start := e.start + shift
		if at < start {
			break
		}
		if at < start+len(e.text) {
			return utf8.RuneCountInString(r.from[:e.start]) + 1
		}
		shift += len(e.text) - (e.end - e.start)
	}
	return utf8.RuneCountInString(r.from[:min(max(at-shift, 0), len(r.from))]) + 1
}

// Locate gives an error of SQL its position in the original.
func (r *Rewritten) Locate(err error) error {
	var e *sqlgw.Error
	if !errors.As(err, &e) || e.Position <= 0 {
		return err
	}
	copied := *e
	copied.Position = r.Position(e.Position)
	return &copied
}

// apply makes SQL of the edits. They must not overlap.
func (r *Rewritten) apply() {
	slices.SortStableFunc(r.edits, func(a, b edit) int { return a.start - b.start })
	out := make([]byte, 0, len(r.from)+64)
	at := 0
	for _, e := range r.edits {
		out = append(out, r.from[at:e.start]...)
		out = append(out, e.text...)
		at = e.end
	}
	r.SQL = string(append(out, r.from[at:]...))
}

// Rewrite turns PostgreSQL's SQL into the engine's.
func Rewrite(sql string, s *Session) (*Rewritten, error) {
	r := &Rewritten{from: sql}
	r.apply()
	return r, nil
}
