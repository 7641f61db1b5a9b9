package mdp3

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	wire "github.com/tickwire/tickwire/parsers/mdp3"
	"github.com/tickwire/tickwire/sim/tcp"
)

// ReplayOptions of a replay server. The zero value works.
type ReplayOptions struct {
	// Channel that it has packets of; 0: whatever is asked for.
	Channel int
	// User and Password of a logon. The default is that anybody may.
	User, Password string
	// Most is how many packets a request may ask for. The default is 2,000.
	Most int
	// CutAfter breaks each connection off after so many packets; 0: never. A fault.
	CutAfter int
	// Mute has logons never answered. A fault.
	Mute bool
}

// ReplayCounters count what became of requests.
type ReplayCounters struct {
	Connections uint64 `json:"connections"`
	Requests    uint64 `json:"requests"`
	Rejected    uint64 `json:"rejected"`
	Packets     uint64 `json:"packets"`
}

// ReplayServer sends packets of an archive again, over TCP: one request a connection.
type ReplayServer struct {
	a       *Archive
	o       ReplayOptions
	clients *tcp.Clients
	c       struct{ requests, rejected, packets atomic.Uint64 }
}

// mostConns is how many connections are served at once; mostText is the longest message of a client, bytes.
const (
	mostConns = 64
	mostText  = 4_096
	textWait  = 5 * time.Second
)

// NewReplayServer serves at addr, port 0: any free one; see Addr. It fails when the address is that of every interface, not there or taken.
func NewReplayServer(a *Archive, addr netip.AddrPort, o ReplayOptions) (*ReplayServer, error) {
	if !addr.Addr().IsValid() || addr.Addr().IsUnspecified() || addr.Addr().IsMulticast() {
		return nil, fmt.Errorf("mdp3: replay at %s: want the address of one interface, such as 127.0.0.1", addr)
	}
	if o.Most <= 0 {
		o.Most = 2_000
	}
	clients, err := tcp.Listen(addr, mostConns)
	if err != nil {
		return nil, fmt.Errorf("mdp3: replay at %s: %w", addr, err)
	}
	s := &ReplayServer{a: a, o: o, clients: clients}
	clients.Serve(s.serve)
	return s, nil
}

// Addr is where it listens.
func (s *ReplayServer) Addr() netip.AddrPort { return s.clients.Addr() }

// Counters so far.
func (s *ReplayServer) Counters() ReplayCounters {
	return ReplayCounters{s.clients.Accepted(), s.c.requests.Load(), s.c.rejected.Load(), s.c.packets.Load()}
}

// Close ends all connections and waits.
func (s *ReplayServer) Close() error { return s.clients.Close() }

// serve is one connection: logon, request, packets, logout.
func (s *ReplayServer) serve(conn net.Conn) {
	in, sequence := bufio.NewReader(conn), uint32(0)
	admin := func(message []byte) error {
		sequence++
		return s.send(conn, append(wire.AppendPacketHeader(nil, sequence, uint64(time.Now().UnixNano())), message...))
	}
	logon, err := s.hear(conn, in)
	if err != nil || s.o.Mute {
		_, _ = in.ReadByte() // until the client goes
		return
	}
	if logon[35] != "A" || s.o.User != "" && (logon[553] != s.o.User || logon[554] != s.o.Password) {
		s.c.rejected.Add(1)
		_ = admin(wire.EncodeV13.AppendLogout(nil, "logon refused"))
		return
	}
	if admin(wire.EncodeV13.AppendLogin(nil, 60)) != nil {
		return
	}
	ask, err := s.hear(conn, in)
	if err != nil {
		return
	}
	s.c.requests.Add(1)
	reason := s.replay(conn, ask)
	if reason == "" {
		reason = "replay complete"
	} else {
		s.c.rejected.Add(1)
	}
	if admin(wire.EncodeV13.AppendLogout(nil, reason)) == nil {
		_, _ = s.hear(conn, in)
	}
}

// replay sends what was asked for, or says why not.
func (s *ReplayServer) replay(conn net.Conn, ask map[int]string) (refused string) {
	number := func(tag int) uint64 {
		n, err := strconv.ParseUint(ask[tag], 10, 32)
		if err != nil {
			return 0
		}
		return n
	}
	first, last := number(1182), number(1183)
	switch {
	case ask[35] != "V":
		return "market data request expected"
	case s.o.Channel != 0 && number(1180) != uint64(s.o.Channel):
		return "no such channel"
	case first == 0 || last < first:
		return "no such range"
	case last-first >= uint64(s.o.Most):
		return fmt.Sprintf("over %d packets", s.o.Most)
	case s.a.Get(uint32(first)) == nil || s.a.Get(uint32(last)) == nil:
		return "not available"
	}
	for n := first; n <= last; n++ {
		packet := s.a.Get(uint32(n))
		if packet == nil {
			continue
		}
		if s.o.CutAfter != 0 && n-first >= uint64(s.o.CutAfter) {
			_ = conn.Close()
			return "cut"
		}
		if s.send(conn, packet) != nil {
			return "connection lost"
		}
		s.c.packets.Add(1)
	}
	return ""
}

func (s *ReplayServer) send(conn net.Conn, packet []byte) error {
	if err := conn.SetWriteDeadline(time.Now().Add(textWait)); err != nil {
		return err
	}
	_, err := conn.Write(append(binary.LittleEndian.AppendUint16(nil, uint16(len(packet))), packet...))
	return err
}

// errText is a client's message that is none.
var errText = errors.New("mdp3: no FIX message with BodyLength and CheckSum")

// hear reads a client's message: fields by tag, of which the last one of each counts.
func (s *ReplayServer) hear(conn net.Conn, in *bufio.Reader) (map[int]string, error) {
	if err := conn.SetReadDeadline(time.Now().Add(textWait)); err != nil {
		return nil, err
	}
	var text []byte
	for {
		field, err := in.ReadSlice(1)
		if err != nil {
			return nil, err
		}
		if len(text)+len(field) > mostText {
			return nil, errText
		}
		text = append(text, field...)
		if bytes.HasPrefix(field, []byte("10=")) && len(text) > len(field) {
			return parseText(text, len(text)-len(field))
		}
	}
}

// parseText takes a message apart and checks it; sumAt is where CheckSum begins.
func parseText(text []byte, sumAt int) (map[int]string, error) {
	fields := make(map[int]string)
	sum, bodyAt := byte(0), 0
	for _, b := range text[:sumAt] {
		sum += b
	}
	for at := 0; at < len(text); {
		n := bytes.IndexByte(text[at:], 1)
		tag, value, ok := bytes.Cut(text[at:at+n], []byte("="))
		number, err := strconv.Atoi(string(tag))
		if !ok || err != nil {
			return nil, errText
		}
		fields[number] = string(value)
		at += n + 1
		if number == 9 && bodyAt == 0 {
			bodyAt = at
		}
	}
	length, err := strconv.Atoi(fields[9])
	if err != nil || bodyAt == 0 || length != sumAt-bodyAt || fields[10] != fmt.Sprintf("%03d", sum) {
		return nil, errText
	}
	return fields, nil
}
