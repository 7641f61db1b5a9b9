package exchange

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/tickwire/tickwire/nic/file"
	"github.com/tickwire/tickwire/nic/pace"
	"github.com/tickwire/tickwire/parsers/moldudp64"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/sim/mold"
)

// messages are one session's. Times are ns since the exchange began.
type messages interface {
	mold.Source
	io.Closer
	// err is why there are no more, nil at the proper end.
	err() error
}

// liveSource makes messages with stamps of their due times.
type liveSource struct {
	g        *itchgen.Gen
	p        *pace.Pacer
	midnight uint64 // what to add to a time to have it since the venue's midnight, ns
	from     uint64 // when the session begins
	at       uint64
}

func (s *liveSource) Next(dst []byte) ([]byte, bool) {
	if s.g.Done() {
		return dst, false
	}
	s.at = s.from + uint64(s.p.Offset(0, 1))
	out := s.g.NextAt(dst, s.midnight+s.at)
	return out, len(out) > len(dst)
}

func (s *liveSource) Time() uint64 { return s.at }
func (s *liveSource) Close() error { return nil }
func (s *liveSource) err() error   { return nil }

// daySource plays a generated day by its own times.
type daySource struct {
	g    *itchgen.Gen
	p    *pace.Pacer
	from uint64
	at   uint64
}

func (s *daySource) Next(dst []byte) ([]byte, bool) {
	out, ok := s.g.Next(dst)
	if ok {
		s.at = s.from + uint64(s.p.Offset(s.g.Time(), 1))
	}
	return out, ok
}

func (s *daySource) Time() uint64 { return s.at }
func (s *daySource) Close() error { return nil }
func (s *daySource) err() error   { return nil }

// fileSource plays a BinaryFILE.
type fileSource struct {
	r     *file.Reader
	p     *pace.Pacer
	from  uint64
	at    uint64
	stamp uint64 // of the latest message that has one
	span  []byte
	fault error
}

const spanMessages = 1024

func (s *fileSource) Next(dst []byte) ([]byte, bool) {
	if len(s.span) == 0 {
		var err error
		s.span, _, _, err = s.r.Next(spanMessages)
		if len(s.span) == 0 {
			if !errors.Is(err, io.EOF) {
				s.fault = err
			}
			return dst, false
		}
	}
	n := 2 + int(binary.BigEndian.Uint16(s.span))
	m := s.span[2:n]
	s.span = s.span[n:]
	if ns, ok := stampOf(m); ok {
		s.stamp = ns
	}
	s.at = s.from + uint64(s.p.Offset(s.stamp, 1))
	return append(dst, m...), true
}

func (s *fileSource) Time() uint64 { return s.at }
func (s *fileSource) Close() error { return s.r.Close() }
func (s *fileSource) err() error   { return s.fault }

// stampOf is a message's time, ns since midnight: six bytes at the same place in every ITCH message (ITCH 5.0).
func stampOf(m []byte) (uint64, bool) {
	if len(m) < 11 {
		return 0, false
	}
	ns := uint64(binary.BigEndian.Uint16(m[5:]))<<32 | uint64(binary.BigEndian.Uint32(m[7:]))
	return ns, ns < 2*86_400_000_000_000
}

// shortened ends a session early.
type shortened struct {
	messages
	left  uint64 // messages it may have still
	until uint64 // when it ends
}

func (s *shortened) Next(dst []byte) ([]byte, bool) {
	if s.left == 0 {
		return dst, false
	}
	out, ok := s.messages.Next(dst)
	if !ok || s.Time() > s.until {
		s.left = 0
		return dst, false
	}
	s.left--
	return out, true
}

// open makes the source of session number n (from 0), which begins at from.
func (r *runner) open(n int, from uint64) (messages, error) {
	p, err := pace.Parse(r.o.Pace)
	if err != nil {
		return nil, err
	}
	m, err := r.openPaced(n, from, p)
	if err != nil {
		return nil, err
	}
	if n < r.o.Restart.Times || r.o.Restart.Times < 0 {
		s := &shortened{messages: m, left: ^uint64(0), until: ^uint64(0)}
		if r.o.Restart.Every != 0 {
			s.left = r.o.Restart.Every
		}
		if r.o.Restart.After != 0 {
			s.until = from + uint64(r.o.Restart.After)
		}
		m = s
	}
	return m, nil
}

func (r *runner) openPaced(n int, from uint64, p *pace.Pacer) (messages, error) {
	if r.o.Path != "" {
		f, err := file.Open(r.o.Path)
		if err != nil {
			return nil, err
		}
		return &fileSource{r: f, p: p, from: from}, nil
	}
	o := r.o.Gen
	o.Seed += uint64(n)
	o.Live = r.o.live(p)
	g, err := itchgen.New(o)
	if err != nil {
		return nil, err
	}
	if o.Live {
		return &liveSource{g: g, p: p, midnight: r.midnight, from: from}, nil
	}
	return &daySource{g: g, p: p, from: from}, nil
}

// sessionName is the name of session number n, from 0: the first one's counted up.
func sessionName(first string, n int) string {
	if n == 0 {
		return first
	}
	digits := len(first)
	for digits > 0 && first[digits-1] >= '0' && first[digits-1] <= '9' {
		digits--
	}
	number, _ := strconv.ParseUint("0"+first[digits:], 10, 64) // at most ten digits
	text := strconv.FormatUint(number+uint64(n), 10)
	if pad := len(first) - digits - len(text); pad > 0 {
		text = strings.Repeat("0", pad) + text
	}
	const most = len(moldudp64.Header{}.Session)
	text = text[max(0, len(text)-most):]
	return first[:min(digits, most-len(text))] + text
}

// session plays a session of messages as packets.
func (r *runner) session(n int) error {
	src, err := r.open(n, r.at)
	if err != nil {
		return err
	}
	name := sessionName(r.o.Session, n)
	id, err := mold.SessionID(name)
	if err != nil {
		return errors.Join(err, src.Close())
	}
	r.begin(id, 1)
	err = mold.Play(src, mold.PlayOptions{
		Session: name, PayloadBytes: r.o.PayloadBytes, TogetherNs: uint64(r.o.Together), HeartbeatNs: r.idleNs(), Ends: -1,
	}, func(ts uint64, packet []byte, _ bool) error { return r.emit(ts, packet) })
	if err == nil {
		err = src.err()
	}
	if err != nil && !errors.Is(err, errStopped) && r.o.Path != "" {
		err = fmt.Errorf("%s: %w", r.o.Path, err)
	}
	return errors.Join(err, src.Close())
}
