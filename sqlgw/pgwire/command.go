package pgwire

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tickwire/tickwire/sqlgw"
	"github.com/tickwire/tickwire/sqlgw/catalog"
)

// command is a statement the session answers itself.
type command struct {
	cols    []sqlgw.Column        // of the result, nil for none
	columns func() []sqlgw.Column // instead of cols, where they depend on what the session holds
	inner   *plan                 // the statement within DECLARE
	endsTx  bool                  // may run in a transaction that an error has ended
	run     func(ctx context.Context, p *portal) (rows sqlgw.Rows, tag string, err error)
}

// words reads the tokens of a statement, without comments.
type words struct {
	sql  string
	toks []catalog.Token
	at   int
}

func newWords(sql string) *words {
	w := &words{sql: sql}
	for _, t := range catalog.Lex(sql) {
		if t.Class != catalog.Comment {
			w.toks = append(w.toks, t)
		}
	}
	return w
}

func (w *words) end() bool { return w.at >= len(w.toks) }

// text of the next token, "" at the end.
func (w *words) text() string {
	if w.end() {
		return ""
	}
	return w.toks[w.at].Text(w.sql)
}

// is says whether the next token is that word or sign.
func (w *words) is(word string) bool {
	return !w.end() && w.toks[w.at].Class != catalog.Quoted && Fold(w.text()) == word
}

// take goes past the given words, if all of them come next.
func (w *words) take(all ...string) bool {
	from := w.at
	for _, word := range all {
		if !w.is(word) {
			w.at = from
			return false
		}
		w.at++
	}
	return true
}

// any goes past one of the words.
func (w *words) any(each ...string) bool {
	for _, word := range each {
		if w.take(word) {
			return true
		}
	}
	return false
}

// name reads an identifier.
func (w *words) name() (string, error) {
	if w.end() || w.toks[w.at].Class != catalog.Word && w.toks[w.at].Class != catalog.Quoted {
		return "", w.syntax()
	}
	n := catalog.Name(w.text())
	w.at++
	return n, nil
}

// done refuses what follows a complete statement.
func (w *words) done() error {
	if w.end() {
		return nil
	}
	return w.syntax()
}

// syntax is the error of the next token.
func (w *words) syntax() error {
	if w.end() {
		return &sqlgw.Error{State: "42601", Message: "syntax error at end of input", Position: len([]rune(w.sql)) + 1}
	}
	return &sqlgw.Error{State: "42601", Message: fmt.Sprintf("syntax error at or near %q", w.text()),
		Position: len([]rune(w.sql[:w.toks[w.at].Start])) + 1}
}

// engineWords begin statements that read, and are the engine's to answer.
var engineWords = []string{"select", "with", "values", "table", "from", "explain", "describe", "desc", "summarize", "pivot", "unpivot", "("}

// command understands statements that are not the engine's; nil for those that are. What would change or copy data is
// refused here: this port reads.
func (s *session) command(ctx context.Context, p *plan) (*command, error) {
	w := newWords(p.sql)
	if w.end() || slices.Contains(engineWords, Fold(w.text())) {
		return s.special(w)
	}
	first := Fold(w.text())
	w.at++
	switch first {
	case "begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release", "prepare":
		return s.transaction(first, w)
	case "set", "reset", "show":
		return s.setting(first, w)
	case "declare", "fetch", "move", "close":
		return s.cursorCommand(ctx, first, w, p)
	case "discard", "deallocate":
		return s.discard(first, w)
	case "listen", "unlisten", "notify", "lock", "checkpoint", "load":
		if first == "unlisten" {
			return tagOnly("UNLISTEN"), nil
		}
	case "copy":
		return nil, &sqlgw.Error{State: "0A000", Message: "COPY is not supported", Hint: "Use SELECT; \"tickwire sql\" writes CSV, JSON, Arrow and Parquet."}
	case "insert", "update", "delete", "merge", "truncate", "create", "drop", "alter", "grant", "revoke", "comment", "vacuum",
		"analyze", "reindex", "cluster", "refresh", "import", "call", "do", "security", "reassign":
		return nil, &sqlgw.Error{State: "25006", Message: fmt.Sprintf("cannot execute %s in a read-only transaction", strings.ToUpper(first)),
			Detail: "Ticks come from feeds; this port reads."}
	case "execute":
		return nil, &sqlgw.Error{State: "0A000", Message: "EXECUTE is not supported", Hint: "Prepare with the extended protocol, as drivers do."}
	}
	w.at--
	if c := w.toks[0].Class; c == catalog.Word && slices.Contains(unsupported, first) {
		return nil, &sqlgw.Error{State: "0A000", Message: strings.ToUpper(first) + " is not supported"}
	}
	return nil, w.syntax()
}

// unsupported begin statements of PostgreSQL or of the engine that have no meaning here.
var unsupported = []string{"listen", "notify", "lock", "checkpoint", "load", "attach", "detach", "install", "pragma", "use",
	"export", "force"}

// tagOnly is accepted and does nothing.
func tagOnly(tag string) *command {
	return &command{run: func(context.Context, *portal) (sqlgw.Rows, string, error) { return nil, tag, nil }}
}

// fixedRows is a result that is already there.
type fixedRows struct {
	cols  []sqlgw.Column
	chunk *sqlgw.Chunk
	tag   string
}

func (r *fixedRows) Columns() []sqlgw.Column { return r.cols }
func (r *fixedRows) Tag() string             { return r.tag }
func (r *fixedRows) Close() error            { return nil }

func (r *fixedRows) Next(context.Context) (*sqlgw.Chunk, error) {
	if r.chunk == nil {
		return nil, io.EOF
	}
	c := r.chunk
	r.chunk = nil
	return c, nil
}

// textRows makes a result of texts.
func textRows(tag string, cols []sqlgw.Column, rows ...[]string) *fixedRows {
	c := &sqlgw.Chunk{Rows: len(rows), Vectors: make([]sqlgw.Vector, len(cols))}
	for _, row := range rows {
		for i, v := range row {
			c.Vectors[i].Str = append(c.Vectors[i].Str, v)
		}
	}
	return &fixedRows{cols, c, tag}
}

func textColumns(names ...string) []sqlgw.Column {
	out := make([]sqlgw.Column, len(names))
	for i, n := range names {
		out[i] = sqlgw.Column{Name: n, Kind: sqlgw.Text, OID: oidText, Mod: -1}
	}
	return out
}

// names is what catalogue and session functions answer from.
func (s *session) names() *catalog.Session {
	version, _ := s.settings.get("server_version")
	return &catalog.Session{User: s.user, Database: s.database, PID: s.pid, Version: version, Started: s.srv.started, Setting: s.settings.get}
}
