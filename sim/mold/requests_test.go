package mold

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/tickwire/tickwire/parsers/moldudp64"
)

var logSession = [10]byte([]byte("LOG0000001"))

// numbered is message n: its bytes name it, its length varies.
func numbered(n uint64) []byte {
	return append(binary.BigEndian.AppendUint64(nil, n), make([]byte, n*n%50)...)
}

// messagesOf takes an answer apart and checks each message.
func messagesOf(t testing.TB, answer []byte) (first uint64, count int) {
	t.Helper()
	h, blocks, err := moldudp64.Parse(answer)
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(h.Count) {
		size := int(binary.BigEndian.Uint16(blocks))
		if !bytes.Equal(blocks[2:2+size], numbered(h.Sequence+i)) {
			t.Fatalf("message %d of answer %d is another one", h.Sequence+i, h.Sequence)
		}
		blocks = blocks[2+size:]
	}
	if len(blocks) != 0 || h.Session != logSession {
		t.Fatalf("answer of session %q with %d bytes too many", h.Session, len(blocks))
	}
	return h.Sequence, int(h.Count)
}

// TestAnswers: one case of the protocol each. The log has messages 901 to 1,000, its last 100.
func TestAnswers(t *testing.T) {
	l := NewLog(logSession, 100)
	for n := uint64(1); n <= 1000; n++ {
		if err := l.Append(numbered(n)); err != nil {
			t.Fatal(err)
		}
	}
	other := [10]byte([]byte("LOG0000002"))
	ask := func(first uint64, count int) []byte { return moldudp64.AppendRequest(nil, logSession, first, count) }
	for _, tc := range []struct {
		name    string
		request []byte
		payload int
		count   int // 0: silence
	}{
		{"one", ask(950, 1), 0, 1},
		{"the oldest that is kept", ask(901, 2), 0, 2},
		{"one older", ask(900, 2), 0, 0},
		{"the last", ask(1000, 1), 0, 1},
		{"more than was sent", ask(999, 50), 0, 2},
		{"not yet sent", ask(1001, 1), 0, 0},
		{"number 0", ask(0, 1), 0, 0},
		{"no message", ask(950, 0), 0, 0},
		{"the count of an end", append(ask(950, 1)[:18], 0xFF, 0xFF), 0, 0},
		{"as many as fit", ask(901, moldudp64.MaxRequest), 200, 6},
		{"not even one fits", ask(907, 1), 64, 0},
		{"another session", moldudp64.AppendRequest(nil, other, 950, 1), 0, 0},
		{"a byte short", ask(950, 1)[:19], 0, 0},
		{"a byte long", append(ask(950, 1), 0), 0, 0},
		{"nothing", nil, 0, 0},
	} {
		answer := l.Answer([]byte("in front"), tc.request, tc.payload)
		if tc.count == 0 {
			if answer != nil {
				t.Errorf("%s: answered with %d bytes, want silence", tc.name, len(answer))
			}
			continue
		}
		if !bytes.HasPrefix(answer, []byte("in front")) {
			t.Errorf("%s: no answer, or not appended", tc.name)
			continue
		}
		first, count := messagesOf(t, answer[8:])
		payload := max(tc.payload, tc.payload+(1-min(tc.payload, 1))*DefaultPayload)
		if want := binary.BigEndian.Uint64(tc.request[10:]); first != want || count != tc.count || len(answer)-8 > payload {
			t.Errorf("%s: %d messages from %d on in %d bytes, want %d from %d", tc.name, count, first, len(answer)-8, tc.count, want)
		}
	}
}

// TestLogAgainstList: any way of filling a log, with any number kept, and any request, against a plain list.
func TestLogAgainstList(t *testing.T) {
	for seed := range uint64(40) {
		r := random{seed}
		keep := int(r.below(3)) * int(1+r.below(30_000))
		l := NewLog(logSession, keep)
		known := []bool{false}
		for len(known) < 40_000 {
			next := uint64(len(known))
			if r.below(3) == 0 {
				_ = l.Append(numbered(next))
				known = append(known, true)
				continue
			}
			first, count := next, r.below(30)
			if r.below(4) == 0 {
				first = max(next-min(next, 10), 1) // a copy, in part
			}
			if r.below(200) == 0 {
				first += r.below(50) // some are left out
			}
			packet := moldudp64.AppendHeader(nil, moldudp64.Header{Session: logSession, Sequence: first, Count: uint16(count)})
			for n := first; n < first+count; n++ {
				packet, _ = moldudp64.AppendBlock(packet, numbered(n))
				for uint64(len(known)) <= n {
					known = append(known, uint64(len(known)) == n)
				}
			}
			if err := l.AppendPacket(packet); err != nil {
				t.Fatal(err)
			}
		}
		for uint64(len(known)) < l.Next() {
			known = append(known, false)
		}
		if l.Next() != uint64(len(known)) {
			t.Fatalf("seed %d: next is %d, want %d", seed, l.Next(), len(known))
		}
		for range 2000 {
			from, count := 1+r.below(uint64(len(known))+10), int(1+r.below(60))
			oldest := uint64(1)
			if keep != 0 {
				oldest = uint64(max(len(known)-keep, 1))
			}
			want, size := 0, moldudp64.HeaderBytes
			for n := from; from >= oldest && n < uint64(len(known)) && known[n] && want < count; n++ {
				if size += 2 + len(numbered(n)); size > 700 {
					break
				}
				want++
			}
			answer := l.Answer(nil, moldudp64.AppendRequest(nil, logSession, from, count), 700)
			if want == 0 {
				if answer != nil {
					t.Fatalf("seed %d: %d from %d on, keep %d: an answer, want silence", seed, count, from, keep)
				}
				continue
			}
			if answer == nil {
				t.Fatalf("seed %d: %d from %d on, keep %d: silence, want %d", seed, count, from, keep, want)
			}
			if first, n := messagesOf(t, answer); first != from || n != want {
				t.Fatalf("seed %d: %d from %d on, keep %d: %d from %d on, want %d", seed, count, from, keep, n, first, want)
			}
		}
		held := uint64(0)
		for _, r := range l.runs {
			held += uint64(len(r.at))
		}
		if keep != 0 && held > uint64(keep)+2*runBytes/10 {
			t.Errorf("seed %d: %d messages are held, %d to be kept", seed, held, keep)
		}
	}
}

func TestLogRefuses(t *testing.T) {
	l := NewLog(logSession, 0)
	good := moldudp64.AppendHeader(nil, moldudp64.Header{Session: logSession, Sequence: 1, Count: 1})
	good, _ = moldudp64.AppendBlock(good, numbered(1))
	foreign, zero, cut := bytes.Clone(good), bytes.Clone(good), good[:len(good)-1]
	foreign[0]++
	zero[17] = 0
	for name, packet := range map[string][]byte{"foreign": foreign, "number 0": zero, "cut": cut, "short": good[:19]} {
		if err := l.AppendPacket(packet); err == nil || l.Next() != 1 {
			t.Errorf("%s: %v, next %d", name, err, l.Next())
		}
	}
	if err := l.Append(make([]byte, 1<<16)); err == nil || l.Next() != 1 {
		t.Errorf("a message that is too long: %v, next %d", err, l.Next())
	}
	if err := l.AppendPacket(good); err != nil || l.Next() != 2 {
		t.Errorf("%v, next %d", err, l.Next())
	}
}

// FuzzAnswer: whatever is asked, the answer is nothing or a whole packet within bounds, of what was asked for.
func FuzzAnswer(f *testing.F) {
	l := NewLog(logSession, 500)
	for n := uint64(1); n <= 1000; n++ {
		_ = l.Append(numbered(n))
	}
	f.Add(moldudp64.AppendRequest(nil, logSession, 600, 10), uint16(200))
	f.Add(moldudp64.AppendRequest(nil, logSession, 1<<63, 65_534), uint16(0))
	f.Fuzz(func(t *testing.T, request []byte, payload uint16) {
		answer := l.Answer(nil, request, int(payload))
		if answer == nil {
			return
		}
		first, count := messagesOf(t, answer)
		if first < 501 || first+uint64(count) > 1001 || payload != 0 && len(answer) > int(payload) || !bytes.Equal(request[:18], answer[:18]) ||
			count == 0 || count > int(binary.BigEndian.Uint16(request[18:])) {
			t.Fatalf("%d from %d on for %x", count, first, request)
		}
	})
}

// patience is how long tests wait for what must come: a busy machine is slow.
const patience = 20 * time.Second

// asker sends requests to a server and reads answers.
type asker struct {
	t    *testing.T
	conn *net.UDPConn
}

func newAsker(t *testing.T, s *RequestServer) *asker {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(s.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &asker{t, conn}
}

// ask repeats a request until an answer comes: datagrams may be lost on the loopback, too.
func (a *asker) ask(request []byte) []byte {
	a.t.Helper()
	buf := make([]byte, MaxPayload)
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if _, err := a.conn.Write(request); err != nil {
			a.t.Fatal(err)
		}
		_ = a.conn.SetReadDeadline(time.Now().Add(time.Second))
		if n, err := a.conn.Read(buf); err == nil {
			return buf[:n]
		}
	}
	a.t.Fatal("no answer")
	return nil
}

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

// TestServer: requests over the loopback interface are answered, of the session they name, and what cannot be is not.
func TestServer(t *testing.T) {
	l := NewLog(logSession, 0)
	for n := uint64(1); n <= 5000; n++ {
		_ = l.Append(numbered(n))
	}
	find := func(id [10]byte) *Log {
		if id == logSession {
			return l
		}
		return nil
	}
	s, err := NewRequestServer(find, loopback, RequestOptions{Interface: "lo"})
	if err != nil {
		t.Fatal(err)
	}
	a := newAsker(t, s)
	for next := uint64(1); next <= 5000; {
		first, count := messagesOf(t, a.ask(moldudp64.AppendRequest(nil, logSession, next, 5000)))
		if first > next || count == 0 {
			t.Fatalf("%d from %d on, want from %d", count, first, next)
		}
		next = max(next, first+uint64(count))
	}
	// Silence comes for these; an answer comes to the request behind them, and nothing before it.
	for _, silent := range [][]byte{
		moldudp64.AppendRequest(nil, [10]byte{}, 1, 1), moldudp64.AppendRequest(nil, logSession, 5001, 1), {1, 2, 3}, make([]byte, 1999),
	} {
		if _, err := a.conn.Write(silent); err != nil {
			t.Fatal(err)
		}
	}
	if first, _ := messagesOf(t, a.ask(moldudp64.AppendRequest(nil, logSession, 4711, 1))); first != 4711 {
		t.Errorf("answer %d to a request for 4711", first)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if c := s.Counters(); c.Silences < 4 || c.Answers+c.Silences != c.Requests || c.Messages < 5001 || c.SendFails != 0 {
		t.Errorf("%+v", c)
	}
}

// TestServerFaults: answers are lost, spoilt, late and too many as the options have it, and counted.
func TestServerFaults(t *testing.T) {
	l := NewLog(logSession, 0)
	_ = l.Append(numbered(1))
	find := func([10]byte) *Log { return l }
	request := moldudp64.AppendRequest(nil, logSession, 1, 1)
	open := func(o RequestOptions) (*RequestServer, *asker) {
		s, err := NewRequestServer(find, loopback, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s, newAsker(t, s)
	}

	s, a := open(RequestOptions{LossPPM: 500_000, Delay: time.Millisecond, Seed: 3})
	a.ask(request)
	for range 50 {
		_, _ = a.conn.Write(request)
	}
	for end := time.Now().Add(patience); s.Counters().Lost == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no answer was lost: %+v", s.Counters())
		}
		_, _ = a.conn.Write(request)
	}

	s, a = open(RequestOptions{WrongPPM: 1_000_000})
	right, _ := moldudp64.AppendBlock(moldudp64.AppendHeader(nil, moldudp64.Header{Session: logSession, Sequence: 1, Count: 1}), numbered(1))
	if bytes.Equal(a.ask(request), right) || s.Counters().Spoilt == 0 {
		t.Errorf("not spoilt: %+v", s.Counters())
	}

	s, a = open(RequestOptions{PerSecond: 1})
	a.ask(request)
	for end := time.Now().Add(patience); s.Counters().Limited == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("every request was answered: %+v", s.Counters())
		}
		_, _ = a.conn.Write(request)
	}
}

func TestServerRefuses(t *testing.T) {
	find := func([10]byte) *Log { return nil }
	for _, tc := range []struct {
		addr string
		o    RequestOptions
	}{
		{"0.0.0.0:0", RequestOptions{}}, {"[::]:0", RequestOptions{}}, {"233.252.0.1:0", RequestOptions{}}, {"192.0.2.1:0", RequestOptions{}},
		{"127.0.0.1:0", RequestOptions{PayloadBytes: 10}}, {"127.0.0.1:0", RequestOptions{PerSecond: -1}}, {"127.0.0.1:0", RequestOptions{Delay: -1}},
		{"127.0.0.1:0", RequestOptions{LossPPM: 1_000_001}}, {"127.0.0.1:0", RequestOptions{Interface: "none-such"}},
	} {
		if s, err := NewRequestServer(find, netip.MustParseAddrPort(tc.addr), tc.o); err == nil {
			s.Close()
			t.Errorf("%s with %+v was taken", tc.addr, tc.o)
		}
	}
	if s, err := NewRequestServer(find, netip.AddrPort{}, RequestOptions{}); err == nil {
		s.Close()
		t.Error("no address was taken")
	}
}

// TestSpoil: every way to spoil an answer comes up, none keeps it as it was, and none alters a message that is still told whole with its number.
func TestSpoil(t *testing.T) {
	l := NewLog(logSession, 0)
	for n := uint64(1); n <= 10; n++ {
		_ = l.Append(numbered(n))
	}
	right := l.Answer(nil, moldudp64.AppendRequest(nil, logSession, 3, 5), 0)
	for how := range uint64(2000) {
		b := Spoil(bytes.Clone(right), how)
		if bytes.Equal(b, right) {
			t.Fatalf("%d: not spoilt", how)
		}
		h, blocks, err := moldudp64.Parse(b)
		if err != nil || h.Session != logSession || h.Sequence == 0 || h.Sequence > 10 || h.Count == moldudp64.EndOfSession {
			continue
		}
		whole, _ := moldudp64.Walk(blocks, int(h.Count))
		for i := range uint64(whole) {
			size := int(binary.BigEndian.Uint16(blocks))
			if !bytes.Equal(blocks[2:2+size], numbered(h.Sequence+i)) {
				t.Fatalf("%d: message %d is another one", how, h.Sequence+i)
			}
			blocks = blocks[2+size:]
		}
	}
}
