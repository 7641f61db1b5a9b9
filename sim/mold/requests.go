package mold

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/parsers/moldudp64"
)

// RequestOptions of a re-request server. The zero value works.
type RequestOptions struct {
	// PayloadBytes is the longest answer, 128 to 65,507. The default is 1,400.
	PayloadBytes int
	// PerSecond is the most answers of a second; requests beyond are dropped and counted. The default is 100,000.
	PerSecond int
	// Interface is the one that answers leave by, whatever the routes say. The default is none: where the address's own routes lead.
	Interface string
	// Delay is how long an answer is kept back, for a slow server. At most 4,096 answers wait; those beyond are dropped and counted. The
	// default is 0.
	Delay time.Duration
	// LossPPM and WrongPPM are answers of a million that are not sent, and that are spoilt: see Spoil. The default is 0.
	LossPPM, WrongPPM uint32
	// Seed of these faults. The default is 0, a seed like any other.
	Seed uint64
}

// RequestCounters count what became of requests.
type RequestCounters struct {
	Requests  uint64 // datagrams that came
	Answers   uint64 // sent
	Messages  uint64 // in those
	Silences  uint64 // requests that are no request, or ask for what there is not
	Limited   uint64 // requests beyond PerSecond, and answers beyond what may wait for Delay
	Lost      uint64 // answers that a fault took
	Spoilt    uint64 // answers that a fault spoilt, sent all the same
	SendFails uint64 // answers that the kernel refused
}

// RequestServer answers requests for messages over UDP, as a venue's does. It has one goroutine, with a Delay two.
//
//	request ──► log of its session ──► Answer ──► faults ──► back to where the request came from
type RequestServer struct {
	log     func(session [10]byte) *Log
	o       RequestOptions
	conn    *net.UDPConn
	random  random
	bucket  bucket
	delayed chan delayed
	done    sync.WaitGroup
	c       struct{ requests, answers, messages, silences, limited, lost, spoilt, sendFails atomic.Uint64 }
}

type delayed struct {
	due    time.Time
	to     netip.AddrPort
	packet []byte
}

const mostDelayed = 4096

// NewRequestServer serves at addr, port 0: any free one; see Addr. log gives the messages of a session, nil when there is none such; it is
// called for each request, by one goroutine. It fails when the address is that of every interface (answers would leave by any route), not
// there or taken, or an option is out of range.
func NewRequestServer(log func(session [10]byte) *Log, addr netip.AddrPort, o RequestOptions) (*RequestServer, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if !addr.Addr().IsValid() || addr.Addr().IsUnspecified() || addr.Addr().IsMulticast() {
		return nil, fmt.Errorf("mold: requests at %s: want the address of one interface, such as 127.0.0.1", addr)
	}
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error { return bindTo(raw, o.Interface) }}
	conn, err := config.ListenPacket(context.Background(), "udp", addr.String())
	if err != nil {
		return nil, fmt.Errorf("mold: requests at %s: %w", addr, err)
	}
	s := &RequestServer{log: log, o: o, conn: conn.(*net.UDPConn), random: random{o.Seed}}
	s.bucket = bucket{perSecond: float64(o.PerSecond)}
	if o.Delay > 0 {
		s.delayed = make(chan delayed, mostDelayed)
		s.done.Go(s.sendDelayed)
	}
	s.done.Go(s.serve)
	return s, nil
}

func (o *RequestOptions) check() error {
	if o.PayloadBytes == 0 {
		o.PayloadBytes = DefaultPayload
	}
	if o.PerSecond == 0 {
		o.PerSecond = 100_000
	}
	if o.PayloadBytes < MinPayload || o.PayloadBytes > MaxPayload {
		return fmt.Errorf("mold: answers of %d bytes, want %d to %d", o.PayloadBytes, MinPayload, MaxPayload)
	}
	if o.PerSecond < 0 || o.Delay < 0 {
		return fmt.Errorf("mold: %d answers a second after %s, want neither below 0", o.PerSecond, o.Delay)
	}
	if o.LossPPM > perMillion || o.WrongPPM > perMillion {
		return fmt.Errorf("mold: %d and %d answers of %d, want at most all", o.LossPPM, o.WrongPPM, perMillion)
	}
	return nil
}

// bindTo ties a socket to an interface; an empty name: none.
func bindTo(raw syscall.RawConn, name string) error {
	if name == "" {
		return nil
	}
	var failed error
	err := raw.Control(func(fd uintptr) { failed = unix.BindToDevice(int(fd), name) })
	if err = errors.Join(err, failed); err != nil {
		return fmt.Errorf("interface %s: %w", name, err)
	}
	return nil
}

// Addr is where the server listens.
func (s *RequestServer) Addr() netip.AddrPort {
	a := s.conn.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// Close ends the server and waits for its goroutines. What waits for Delay is not sent.
func (s *RequestServer) Close() error {
	err := s.conn.Close()
	s.done.Wait()
	return err
}

// Counters so far. Safe to call at any time.
func (s *RequestServer) Counters() RequestCounters {
	return RequestCounters{
		Requests: s.c.requests.Load(), Answers: s.c.answers.Load(), Messages: s.c.messages.Load(), Silences: s.c.silences.Load(),
		Limited: s.c.limited.Load(), Lost: s.c.lost.Load(), Spoilt: s.c.spoilt.Load(), SendFails: s.c.sendFails.Load(),
	}
}

// serve answers until the socket is closed.
func (s *RequestServer) serve() {
	if s.delayed != nil {
		defer close(s.delayed)
	}
	request, answer := make([]byte, 2048), make([]byte, 0, MaxPayload)
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(request)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an answer before this bounced: nobody is there any more
		}
		s.c.requests.Add(1)
		if !s.bucket.take(time.Now()) {
			s.c.limited.Add(1)
			continue
		}
		packet := s.answer(answer, request[:n])
		if packet == nil {
			s.c.silences.Add(1)
			continue
		}
		s.faults(packet, from)
	}
}

// answer finds the session's log and asks it.
func (s *RequestServer) answer(dst, request []byte) []byte {
	h, _, err := moldudp64.Parse(request)
	if err != nil {
		return nil
	}
	log := s.log(h.Session)
	if log == nil {
		return nil
	}
	return log.Answer(dst[:0], request, s.o.PayloadBytes)
}

// faults sends an answer as well as the options have it. It draws as often whatever happens.
func (s *RequestServer) faults(packet []byte, to netip.AddrPort) {
	lost, wrong, how := s.random.in(s.o.LossPPM), s.random.in(s.o.WrongPPM), s.random.next()
	if lost {
		s.c.lost.Add(1)
		return
	}
	if wrong {
		s.c.spoilt.Add(1)
		packet = Spoil(packet, how)
	}
	if s.delayed == nil {
		s.send(packet, to)
		return
	}
	select {
	case s.delayed <- delayed{time.Now().Add(s.o.Delay), to, append([]byte(nil), packet...)}:
	default:
		s.c.limited.Add(1)
	}
}

func (s *RequestServer) send(packet []byte, to netip.AddrPort) {
	if _, err := s.conn.WriteToUDPAddrPort(packet, to); err != nil {
		s.c.sendFails.Add(1)
		return
	}
	s.c.answers.Add(1)
	if h, _, err := moldudp64.Parse(packet); err == nil && h.Count != moldudp64.EndOfSession {
		s.c.messages.Add(uint64(h.Count))
	}
}

// sendDelayed sends answers when they are due. All wait for the same time: the first in is the first due.
func (s *RequestServer) sendDelayed() {
	for d := range s.delayed {
		if wait := time.Until(d.due); wait > 0 {
			time.Sleep(wait)
		}
		s.send(d.packet, d.to)
	}
}

// bucket bounds a rate: it fills evenly and holds a tenth of a second's worth.
type bucket struct {
	perSecond float64
	level     float64
	at        time.Time
}

func (b *bucket) take(now time.Time) bool {
	most := max(b.perSecond/10, 1)
	if b.at.IsZero() {
		b.level = most
	} else {
		b.level = min(most, b.level+now.Sub(b.at).Seconds()*b.perSecond)
	}
	b.at = now
	if b.level < 1 {
		return false
	}
	b.level--
	return true
}
