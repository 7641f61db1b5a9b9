package pgwire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/tickwire/tickwire/sqlgw"
	"github.com/tickwire/tickwire/sqlgw/catalog"
)

// session is a client after its start-up. All of it belongs to one goroutine, but run and the socket's deadlines.
type session struct {
	srv      *Server
	ctx      context.Context
	w        *wire
	raw      net.Conn // under TLS
	tls      bool
	begun    bool // the client has seen an answer
	user     string
	database string
	pid      uint32
	key      [4]byte
	settings *settings
	run      running

	engine     sqlgw.Engine // of conns, where it may change
	conns      []*lease
	statements map[string]*prepared
	portals    map[string]*portal
	tx         byte // 'I' none, 'T' in a transaction, 'E' in one that an error has ended
	skip       bool // after an error, until Sync
}

// Limits of a session. What clients hold is small, but there must be an end to it.
const (
	maxStatements = 4096
	maxPortals    = 256
	maxConns      = 16 // engine connections: one for statements, others for portals that wait
)

// lease is an engine connection, and the portal whose result it is in the middle of.
type lease struct {
	conn sqlgw.Conn
	busy *portal
}

// prepared is a statement of Parse.
type prepared struct {
	plan *plan
}

// serve answers messages until the client ends the session, or it cannot go on.
func (s *session) serve() error {
	s.statements, s.portals, s.tx = map[string]*prepared{}, map[string]*portal{}, 'I'
	s.run.gone = gone(s.raw)
	s.run.ended = func(reason) { s.srv.Counters.Cancelled.Add(1) }
	for {
		kind, body, err := s.next()
		if err != nil || kind == 'X' {
			return err
		}
		if s.skip && kind != 'S' {
			continue
		}
		if err := s.message(kind, body); err != nil {
			if fatal := s.fail(err); fatal != nil {
				return fatal
			}
			switch kind {
			case 'P', 'B', 'D', 'E', 'C', 'H':
				s.skip = true // the extended protocol goes on at Sync
			case 'Q', 'F':
				err = s.ready()
			}
			if errors.Is(err, errGone) {
				return err
			}
		}
	}
}

// next waits for a message, and meanwhile ends portals that have grown old.
func (s *session) next() (kind byte, body []byte, err error) {
	for s.w.in.Buffered() == 0 {
		if s.ctx.Err() != nil {
			return 0, nil, s.farewell()
		}
		wait := s.expire()
		if wait > 0 {
			s.raw.SetReadDeadline(time.Now().Add(wait))
			if s.ctx.Err() != nil { // shutdown may have set a deadline that was just overwritten
				return 0, nil, s.farewell()
			}
		}
		_, err := s.w.in.Peek(1)
		if wait > 0 {
			s.raw.SetReadDeadline(time.Time{})
		}
		if err == nil {
			break
		}
		if s.ctx.Err() != nil {
			return 0, nil, s.farewell()
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || wait == 0 {
			return 0, nil, errGone
		}
	}
	kind, body, err = s.w.read()
	var long *errTooLong
	switch {
	case err == nil:
		return kind, body, nil
	case s.ctx.Err() != nil:
		return 0, nil, s.farewell()
	case errors.As(err, &long):
		s.srv.Counters.ProtocolFault.Add(1)
		s.sendError("FATAL", protocol("invalid message length: "+long.Error()), 0)
		s.w.flush()
		return 0, nil, err
	}
	return 0, nil, errGone
}

// shutdown comes from another goroutine when the server ends.
func (s *session) shutdown() {
	s.raw.SetReadDeadline(time.Now())
	time.AfterFunc(s.srv.Options.Grace, func() {
		s.run.stop(byShutdown)
		s.raw.SetWriteDeadline(time.Now().Add(time.Second)) // a client that does not read cannot hold the end up
	})
}

func (s *session) farewell() error {
	s.raw.SetWriteDeadline(time.Now().Add(time.Second))
	s.sendError("FATAL", byShutdown.err(), 0)
	s.w.flush()
	return errGone
}

func (s *session) close() {
	s.run.end()
	for _, p := range s.portals {
		p.close()
	}
	for _, l := range s.conns {
		l.conn.Close()
	}
}

// message does what one message asks. An error is answered by the caller.
func (s *session) message(kind byte, body []byte) error {
	switch kind {
	case 'Q':
		var m pgproto3.Query
		if err := m.Decode(body); err != nil {
			return malformed("Query")
		}
		return s.query(m.String)
	case 'P':
		var m pgproto3.Parse
		if err := m.Decode(body); err != nil {
			return malformed("Parse")
		}
		return s.parse(&m)
	case 'B':
		var m pgproto3.Bind
		if err := m.Decode(body); err != nil {
			return malformed("Bind")
		}
		return s.bind(&m)
	case 'D':
		var m pgproto3.Describe
		if err := m.Decode(body); err != nil {
			return malformed("Describe")
		}
		return s.describe(&m)
	case 'E':
		var m pgproto3.Execute
		if err := m.Decode(body); err != nil {
			return malformed("Execute")
		}
		return s.execute(&m)
	case 'C':
		var m pgproto3.Close
		if err := m.Decode(body); err != nil {
			return malformed("Close")
		}
		return s.closeMessage(&m)
	case 'H':
		return s.w.flush()
	case 'S':
		s.skip = false
		if s.tx == 'I' {
			s.dropPortals(false)
		}
		return s.ready()
	case 'F':
		return &sqlgw.Error{State: "0A000", Message: "function calls by the protocol's own message are not supported", Hint: "Use SELECT."}
	case 'd', 'c', 'f':
		return nil // COPY data of a copy that was refused
	}
	s.srv.Counters.ProtocolFault.Add(1)
	s.sendError("FATAL", protocol(fmt.Sprintf("invalid frontend message type %d", kind)), 0)
	s.w.flush()
	return errGone
}

func malformed(name string) error { return protocol("malformed " + name + " message") }

// query is the simple protocol: every statement of the text, one answer each, one ReadyForQuery.
func (s *session) query(text string) error {
	if !utf8.ValidString(text) {
		return &sqlgw.Error{State: "22021", Message: "invalid byte sequence for encoding \"UTF8\""}
	}
	s.closePortal("")
	pieces := catalog.Split(text)
	if len(pieces) == 0 {
		if err := s.w.send(&pgproto3.EmptyQueryResponse{}); err != nil {
			return err
		}
		return s.ready()
	}
	for _, piece := range pieces {
		if err := s.simple(text, piece); err != nil {
			if fatal := s.fail(err); fatal != nil {
				return fatal
			}
			break
		}
	}
	s.closePortal("")
	if s.tx == 'I' {
		s.dropPortals(false)
	}
	return s.ready()
}

// simple prepares, describes and runs one statement, with all values as text.
func (s *session) simple(text string, piece catalog.Piece) error {
	return s.finish(s.runSimple(s.begin(), text, piece))
}

func (s *session) runSimple(ctx context.Context, text string, piece catalog.Piece) error {
	pl, err := s.plan(ctx, text, piece, nil)
	if err != nil {
		return err
	}
	defer pl.drop()
	if len(pl.params) > 0 {
		return &sqlgw.Error{State: "42P02", Message: "there is no parameter $1", Hint: "Parameters come with the extended protocol."}
	}
	p := newPortal(s, "", pl)
	s.portals[""] = p
	defer s.closePortal("")
	if cols := pl.columns(); cols != nil {
		if err := s.w.send(describeRow(cols, nil)); err != nil {
			return err
		}
	}
	return s.fetch(ctx, p, 0)
}

// begin and finish enclose what a client may cancel and statement_timeout covers.
func (s *session) begin() context.Context { return s.run.begin(s.ctx, s.settings.limit) }

// finish puts the reason why a statement was stopped in the place of the error that followed from it.
func (s *session) finish(err error) error {
	why := s.run.end()
	if err == nil || errors.Is(err, errGone) {
		return err
	}
	if why != notStopped {
		var e *sqlgw.Error
		if errors.Is(err, context.Canceled) || errors.As(err, &e) && e.State == "57014" {
			return why.err()
		}
	}
	return err
}

// ready tells the client that it is its turn.
func (s *session) ready() error {
	for _, name := range s.settings.reported() {
		value, _ := s.settings.get(Fold(name))
		if err := s.w.send(&pgproto3.ParameterStatus{Name: name, Value: value}); err != nil {
			return err
		}
	}
	tx := s.tx
	if tx == 0 {
		tx = 'I'
	}
	if err := s.w.send(&pgproto3.ReadyForQuery{TxStatus: tx}); err != nil {
		return err
	}
	return s.w.flush()
}

// fail answers with an ErrorResponse. What it returns ends the session.
func (s *session) fail(err error) error {
	var e *sqlgw.Error
	switch {
	case errors.Is(err, errGone):
		return err
	case errors.As(err, &e):
	case errors.Is(err, context.Canceled):
		e = byUser.err()
	case errors.Is(err, io.ErrUnexpectedEOF):
		return err
	default:
		e = &sqlgw.Error{State: "XX000", Message: err.Error()}
	}
	if s.tx == 'T' {
		s.tx = 'E'
	}
	if e.State == "57P01" {
		s.sendError("FATAL", e, 0)
		s.w.flush()
		return errGone
	}
	return s.sendError("ERROR", e, e.Position)
}

// sendError puts an ErrorResponse into the answer.
func (s *session) sendError(severity string, e *sqlgw.Error, position int) error {
	s.srv.Counters.Errors.Add(1)
	return s.w.send(&pgproto3.ErrorResponse{Severity: severity, SeverityUnlocalized: severity, Code: e.State, Message: clean(e.Message),
		Detail: clean(e.Detail), Hint: clean(e.Hint), Position: int32(position)})
}

// notice is a warning: the statement goes on.
func (s *session) notice(state, message string) error {
	return s.w.send(&pgproto3.NoticeResponse{Severity: "WARNING", SeverityUnlocalized: "WARNING", Code: state, Message: clean(message)})
}

// clean keeps a text from ending a field early.
func clean(text string) string {
	for i := 0; i < len(text); i++ {
		if text[i] == 0 {
			return text[:i]
		}
	}
	return text
}
