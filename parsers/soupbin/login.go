package soupbin

import (
	"bytes"
	"fmt"
	"strconv"
)

// Payload of a login request; what follows byte 46 is 4.x only:
//
//	0          6           16          26                    46              51
//	+----------+-----------+-----------+---------------------+---------------+
//	| user a6  | password  | session   | sequence, decimal   | heartbeat     |
//	|          | a10       | a10       | a20                 | timeout, ms   |
//	+----------+-----------+-----------+---------------------+---------------+
//	 padded right           padded left
//
// and of its acceptance:
//
//	0           10                    30
//	+-----------+---------------------+
//	| session   | sequence, decimal   |   number of the next sequenced message
//	| a10       | a20                 |
//	+-----------+---------------------+
const (
	userBytes     = 6
	passwordBytes = 10
	sessionBytes  = 10
	numberBytes   = 20
	timeoutBytes  = 5

	login3Bytes   = userBytes + passwordBytes + sessionBytes + numberBytes
	login4Bytes   = login3Bytes + timeoutBytes
	acceptedBytes = sessionBytes + numberBytes
)

// Reasons of a rejected login. Others may come: treat them alike.
const (
	NotAuthorised       byte = 'A'
	SessionNotAvailable byte = 'S'
)

// Login is what a client asks for. Texts are without padding.
type Login struct {
	User     string // at most 6 characters; servers do not tell lower case from upper
	Password string // at most 10
	Session  string // at most 10; empty: the present one
	Sequence uint64 // of the first message wanted; 1: from the start, 0: from the latest
	// HeartbeatTimeoutMs is after how long a silence the client may be taken for dead: 1 to 99,999 ms. A login that has one is
	// of version 4, a login with 0 of version 3.
	HeartbeatTimeoutMs uint32
}

// AppendLogin appends a login request as a whole packet. It returns ErrTooLong when a text does not fit its field; the text, which may
// be a secret, is not in the error.
func AppendLogin(dst []byte, l *Login) ([]byte, error) {
	for _, f := range []struct {
		name, text string
		most       int
	}{{"user", l.User, userBytes}, {"password", l.Password, passwordBytes}, {"session", l.Session, sessionBytes}} {
		if len(f.text) > f.most {
			return dst, fmt.Errorf("%w: %s has %d characters, want at most %d", ErrTooLong, f.name, len(f.text), f.most)
		}
	}
	if l.HeartbeatTimeoutMs > 99_999 {
		return dst, fmt.Errorf("%w: heartbeat timeout of %d ms, want at most 99999", ErrTooLong, l.HeartbeatTimeoutMs)
	}
	var payload [login4Bytes]byte
	b := payload[:0]
	b = pad(append(b, l.User...), userBytes-len(l.User))
	b = pad(append(b, l.Password...), passwordBytes-len(l.Password))
	b = append(pad(b, sessionBytes-len(l.Session)), l.Session...)
	b = appendNumber(b, numberBytes, l.Sequence)
	if l.HeartbeatTimeoutMs != 0 {
		b = appendNumber(b, timeoutBytes, uint64(l.HeartbeatTimeoutMs))
	}
	dst, _ = AppendPacket(dst, LoginRequest, b)
	return dst, nil
}

// ParseLogin reads the payload of a login request of either version, padded on either side.
func ParseLogin(payload []byte) (l Login, err error) {
	if len(payload) != login3Bytes && len(payload) != login4Bytes {
		return l, ErrLength
	}
	rest := payload
	l.User, rest = cut(rest, userBytes)
	l.Password, rest = cut(rest, passwordBytes)
	l.Session, rest = cut(rest, sessionBytes)
	if l.Sequence, err = ParseNumber(rest[:numberBytes]); err != nil {
		return l, err
	}
	if rest = rest[numberBytes:]; len(rest) > 0 && len(bytes.Trim(rest, " ")) > 0 {
		ms, err := ParseNumber(rest)
		if err != nil {
			return l, err
		}
		l.HeartbeatTimeoutMs = uint32(ms) // five digits
	}
	return l, nil
}

// Accepted is what a server grants.
type Accepted struct {
	Session  string // without padding
	Sequence uint64 // number of the next sequenced message
}

// AppendAccepted appends the acceptance of a login as a whole packet. It returns ErrTooLong for a session of more than 10 characters.
func AppendAccepted(dst []byte, a Accepted) ([]byte, error) {
	if len(a.Session) > sessionBytes {
		return dst, fmt.Errorf("%w: session %q, want at most %d characters", ErrTooLong, a.Session, sessionBytes)
	}
	b := append(pad(make([]byte, 0, acceptedBytes), sessionBytes-len(a.Session)), a.Session...)
	dst, _ = AppendPacket(dst, LoginAccepted, appendNumber(b, numberBytes, a.Sequence))
	return dst, nil
}

// ParseAccepted reads the payload of an acceptance, padded on either side.
func ParseAccepted(payload []byte) (a Accepted, err error) {
	if len(payload) != acceptedBytes {
		return a, ErrLength
	}
	rest := payload
	a.Session, rest = cut(rest, sessionBytes)
	a.Sequence, err = ParseNumber(rest)
	return a, err
}

// AppendRejected appends the refusal of a login as a whole packet.
func AppendRejected(dst []byte, reason byte) []byte {
	dst, _ = AppendPacket(dst, LoginRejected, []byte{reason})
	return dst
}

// ParseRejected reads the reason of a refusal.
func ParseRejected(payload []byte) (reason byte, err error) {
	if len(payload) != 1 {
		return 0, ErrReason
	}
	return payload[0], nil
}

// ParseNumber reads a decimal number out of a field padded with spaces on either side.
func ParseNumber(field []byte) (uint64, error) {
	n, err := strconv.ParseUint(string(bytes.Trim(field, " ")), 10, 64)
	if err != nil || bytes.ContainsRune(field, '+') || bytes.ContainsRune(field, '_') {
		return 0, ErrNumber
	}
	return n, nil
}

func cut(b []byte, n int) (text string, rest []byte) {
	return string(bytes.Trim(b[:n], " ")), b[n:]
}

func pad(dst []byte, n int) []byte { return append(dst, "                    "[:n]...) }

// appendNumber appends a number of at most width digits, padded left.
func appendNumber(dst []byte, width int, n uint64) []byte {
	text := strconv.AppendUint(make([]byte, 0, numberBytes), n, 10)
	return append(pad(dst, width-len(text)), text...)
}
