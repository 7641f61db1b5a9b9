package catalog

import (
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/tickwire/tickwire/sqlgw"
)

// Session is what a statement can ask of the session it runs in.
type Session struct {
	User     string
	Database string
	PID      uint32
	Version  string                           // server_version, as "15.4"
	Started  time.Time                        // of the server
	Array    func(n int) uint32               // type of parameter $n where it is an array; nil: not known
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
	SQL    string
	Sets   []Set
	Arrays []int // parameters that are arrays: = ANY ($1)
	edits  []edit
	from   string
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

// apply makes SQL of the edits. It says no when they overlap, which a statement in order does not lead to; what is inserted at the same place goes in with the last first,
// so that an outer call opens before an inner one.
func (r *Rewritten) apply(base []byte) bool {
	if len(r.edits) == 0 {
		r.SQL = string(base)
		return true
	}
	slices.Reverse(r.edits)
	slices.SortStableFunc(r.edits, func(a, b edit) int {
		if a.start != b.start {
			return a.start - b.start
		}
		return a.end - b.end // insertions before the replacement that begins there
	})
	out := make([]byte, 0, len(base)+256)
	at := 0
	for _, e := range r.edits {
		if e.start < at {
			return false
		}
		out = append(out, base[at:e.start]...)
		out = append(out, e.text...)
		at = e.end
	}
	r.SQL = string(append(out, base[at:]...))
	return true
}

// rewriter walks the tokens of one statement.
type rewriter struct {
	Rewritten
	s    *Session
	toks []Token  // without comments
	name []string // what each token means: folded words, names without quotes, signs; "" for strings
	mate []int    // of parentheses and brackets: the index of their partner
	done int      // tokens below that index are dealt with
}

// Rewrite turns PostgreSQL's SQL into the engine's. Strings and comments are never looked into, but for the arguments of
// functions that are answered here.
func Rewrite(sql string, s *Session) (*Rewritten, error) {
	r := &rewriter{Rewritten: Rewritten{from: sql}, s: s}
	base := []byte(sql)
	for _, t := range Lex(sql) {
		text := sql[t.Start:t.End]
		switch t.Class {
		case Comment:
			continue
		case Unended:
			return nil, &sqlgw.Error{State: "42601", Message: "unterminated string, quoted identifier or comment at or near " + ident(start(text)),
				Position: utf8.RuneCountInString(sql[:t.Start]) + 1}
		case Word:
			text = Fold(text)
			copy(base[t.Start:], text)
		case Quoted:
			text = Name(text)
		case String:
			text = ""
		}
		r.toks = append(r.toks, t)
		r.name = append(r.name, text)
	}
	if len(r.toks) > maxTokens {
		return nil, &sqlgw.Error{State: "54001", Message: "statement is too complex", Detail: fmt.Sprintf("It has %d tokens, of at most %d.", len(r.toks), maxTokens)}
	}
	r.pair()
	for i := range r.toks {
		if i < r.done {
			continue
		}
		if err := r.token(i); err != nil {
			return nil, err
		}
	}
	r.labels()
	if !r.apply(base) {
		return nil, &sqlgw.Error{State: "42601", Message: "syntax error: casts, patterns and ANY within one another cannot be told apart", Hint: "Put parentheses around them."}
	}
	return &r.Rewritten, nil
}

const maxTokens = 100_000

// start is the beginning of a text that may be long.
func start(s string) string {
	for i := range s {
		if i > 20 {
			return s[:i]
		}
	}
	return s
}
