package pgwire

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/tickwire/tickwire/sqlgw"
)

// startup runs from the first byte to ReadyForQuery (PostgreSQL 15, section 55.2.1). ok is false when there is no
// session: a cancel request, a client that went, or a refusal, which err then tells.
func (s *session) startup() (ok bool, err error) {
	deadline := time.Now().Add(s.srv.Options.StartupTimeout)
	s.raw.SetDeadline(deadline)
	body, err := s.firstPacket()
	if err != nil || body == nil {
		return false, s.refuse(err)
	}
	params, unknown, minor, err := startupParams(body)
	if err != nil {
		return false, s.refuse(err)
	}
	if minor > 0 || len(unknown) > 0 {
		if err := s.w.send(&pgproto3.NegotiateProtocolVersion{NewestMinorProtocol: protocol30, UnrecognizedOptions: unknown}); err != nil {
			return false, err
		}
	}
	if err := s.applyStartup(params); err != nil {
		return false, s.refuse(err)
	}
	if err := s.authenticate(); err != nil {
		return false, s.refuse(err)
	}
	if !s.srv.remember(s) {
		return false, s.refuse(&sqlgw.Error{State: "53300", Message: "sorry, too many clients already",
			Detail: fmt.Sprintf("This server takes %d sessions at once.", s.srv.Options.MaxConnections)})
	}
	if err := s.greet(); err != nil {
		s.srv.forget(s)
		return false, err
	}
	s.raw.SetDeadline(time.Time{})
	return true, nil
}

// firstPacket answers what may come before the StartupMessage. nil: there will be no session, and no one to tell.
func (s *session) firstPacket() ([]byte, error) {
	var ssl, gss bool
	for {
		if first, err := s.w.in.Peek(1); err == nil && first[0] == 0x16 && s.srv.Options.TLS != nil && !ssl {
			// libpq 17 with sslnegotiation=direct begins with the hand-shake.
			if err := s.encrypt(); err != nil {
				return nil, err
			}
			ssl = true
		}
		body, err := s.w.startup()
		if err != nil {
			return nil, err
		}
		switch code := binary.BigEndian.Uint32(body); {
		case code == codeCancel:
			s.srv.cancel(body)
			return nil, nil
		case code == codeSSL && !ssl:
			ssl = true
			if s.srv.Options.TLS == nil {
				err = s.byte('N')
			} else if err = s.byte('S'); err == nil {
				err = s.encrypt()
			}
		case code == codeGSS && !gss:
			gss = true
			err = s.byte('N')
		case code>>16 == 3:
			return body, nil
		default:
			return nil, &sqlgw.Error{State: "08P01", Message: fmt.Sprintf("unsupported frontend protocol %d.%d: server supports 3.0 to 3.0", code>>16, code&0xffff)}
		}
		if err != nil {
			return nil, err
		}
	}
}

func (s *session) byte(b byte) error {
	_, err := s.raw.Write([]byte{b})
	return err
}

// encrypt turns the connection into TLS. What a client sent in clear behind its SSLRequest must not be taken for part of
// the encrypted stream (CVE-2021-23214): the connection ends.
func (s *session) encrypt() error {
	held := s.w.in.Buffered()
	first, _ := s.w.in.Peek(min(held, 1))
	direct := held > 0 && first[0] == 0x16
	if held > 0 && !direct {
		return protocol("received unencrypted data after SSL request")
	}
	var under net.Conn = s.raw
	if direct {
		b, _ := s.w.in.Peek(held)
		under = &resumed{Conn: s.raw, head: bytes.Clone(b)}
	}
	conf := s.srv.Options.TLS.Clone()
	if conf.MinVersion < tls.VersionTLS12 {
		conf.MinVersion = tls.VersionTLS12
	}
	conf.NextProtos = []string{"postgresql"}
	c := tls.Server(under, conf)
	if err := c.HandshakeContext(s.ctx); err != nil {
		return errors.Join(errGone, err)
	}
	s.tls = true
	s.w = newWire(c, s.srv.Options.MaxMessage, &s.srv.Counters)
	return nil
}

// resumed is a connection some bytes of which have been read already.
type resumed struct {
	net.Conn
	head []byte
}

func (r *resumed) Read(p []byte) (int, error) {
	if len(r.head) > 0 {
		n := copy(p, r.head)
		r.head = r.head[n:]
		return n, nil
	}
	return r.Conn.Read(p)
}

// startupParams reads version and name-value pairs. Names that begin with _pq_. are protocol extensions, and unknown.
func startupParams(body []byte) (params map[string]string, unknown []string, minor uint32, err error) {
	minor = binary.BigEndian.Uint32(body) & 0xffff
	params = map[string]string{}
	rest := body[4:]
	for {
		key, after, ok := bytes.Cut(rest, []byte{0})
		if !ok {
			return nil, nil, 0, protocol("invalid startup packet layout: expected terminator as last byte")
		}
		if len(key) == 0 {
			if len(after) != 0 {
				return nil, nil, 0, protocol("invalid startup packet layout: expected terminator as last byte")
			}
			return params, unknown, minor, nil
		}
		value, after, ok := bytes.Cut(after, []byte{0})
		if !ok {
			return nil, nil, 0, protocol("invalid startup packet layout: a parameter without a value")
		}
		if name := string(key); strings.HasPrefix(name, "_pq_.") {
			unknown = append(unknown, name)
		} else {
			params[name] = string(value)
		}
		rest = after
	}
}

// applyStartup takes user, database and the first values of session parameters.
func (s *session) applyStartup(params map[string]string) error {
	s.user, s.database = params["user"], params["database"]
	if s.user == "" {
		return &sqlgw.Error{State: "28000", Message: "no PostgreSQL user name specified in startup packet"}
	}
	if s.database == "" {
		s.database = s.user
	}
	if r := params["replication"]; r != "" && r != "false" && r != "off" && r != "0" && r != "no" {
		return &sqlgw.Error{State: "0A000", Message: "replication connections are not supported"}
	}
	for name, value := range params {
		switch name {
		case "user", "database", "replication":
			continue
		case "options":
			if err := s.startupOptions(value); err != nil {
				return err
			}
			continue
		}
		if err := s.settings.startup(name, value); err != nil {
			return err
		}
	}
	s.settings.put("session_authorization", s.user)
	s.settings.reported() // what was set so far goes out with the rest
	return nil
}

// startupOptions reads "-c name=value --name=value"; a backslash keeps a blank.
func (s *session) startupOptions(text string) error {
	var words []string
	var word strings.Builder
	has := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			i++
			word.WriteByte(text[i])
			has = true
		case c == ' ' || c == '\t' || c == '\n':
			if has {
				words = append(words, word.String())
			}
			word.Reset()
			has = false
		default:
			word.WriteByte(c)
			has = true
		}
	}
	if has {
		words = append(words, word.String())
	}
	for i := 0; i < len(words); i++ {
		w := words[i]
		switch {
		case w == "-c" && i+1 < len(words):
			i++
			w = words[i]
		case strings.HasPrefix(w, "--"):
			w = w[2:]
		case strings.HasPrefix(w, "-c"):
			w = w[2:]
		default:
			continue // other switches of the postgres program mean nothing here
		}
		name, value, ok := strings.Cut(w, "=")
		if !ok {
			return &sqlgw.Error{State: "42601", Message: fmt.Sprintf("-c %s requires a value", w)}
		}
		if err := s.settings.startup(strings.ReplaceAll(name, "-", "_"), value); err != nil {
			return err
		}
	}
	return nil
}

// greet sends the parameters clients cannot do without, the cancel key and the first ReadyForQuery.
func (s *session) greet() error {
	if err := s.w.send(&pgproto3.AuthenticationOk{}); err != nil {
		return err
	}
	for _, p := range reportedNames {
		value, _ := s.settings.get(Fold(p))
		if err := s.w.send(&pgproto3.ParameterStatus{Name: p, Value: value}); err != nil {
			return err
		}
	}
	if err := s.w.send(&pgproto3.BackendKeyData{ProcessID: s.pid, SecretKey: s.key[:]}); err != nil {
		return err
	}
	return s.ready()
}

// refuse tells a client why it has no session.
func (s *session) refuse(err error) error {
	if err == nil {
		return nil
	}
	var e *sqlgw.Error
	var long *errTooLong
	var timeout net.Error
	switch {
	case errors.As(err, &e):
	case errors.As(err, &long):
		s.srv.Counters.ProtocolFault.Add(1)
		e = protocol("invalid length of startup packet")
	case errors.As(err, &timeout) && timeout.Timeout():
		e = &sqlgw.Error{State: "08006", Message: "canceling authentication due to timeout"}
	default:
		if s.w.in.Buffered() == 0 && !s.begun {
			return nil // a port scan, or a client that changed its mind
		}
		return err
	}
	s.raw.SetWriteDeadline(time.Now().Add(time.Second))
	s.sendError("FATAL", e, 0)
	s.w.flush()
	return e
}

func protocol(message string) *sqlgw.Error { return &sqlgw.Error{State: "08P01", Message: message} }

func stack() string { return string(debug.Stack()) }
