package fix

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	qf "github.com/quickfixgo/quickfix"

	"github.com/tickwire/tickwire/nic"
	codec "github.com/tickwire/tickwire/parsers/fix"
)

// frameOf makes a frame of fields written with '|', from 35= on.
func frameOf(fields string) []byte {
	return appendFrame(nil, "FIX.4.4", []byte(strings.ReplaceAll(fields, "|", "\x01")))
}

func TestEnvelope(t *testing.T) {
	const head = "35=X|34=7|49=A|52=20261125-10:00:00.000|56=B|"
	for _, tc := range []struct {
		name, fields, want string // want: from 35= on, without what stands for the kept frame
		bad                int
		badTag             uint32
	}{
		{"header only", head + "262=r|268=1|279=0|", head, fieldGood, 0},
		{"the version's precisions of a time", "35=X|34=7|52=20261125-10:00:60.123456789|", "35=X|34=7|52=20261125-10:00:59.123|", fieldGood, 0},
		{"seconds", "35=X|34=7|52=20261125-10:00:00|", "35=X|34=7|52=20261125-10:00:00.000|", fieldGood, 0},
		{"one digit", "35=X|34=7|52=20261125-10:00:00.5|", "35=X|34=7|52=20261125-10:00:00.500|", fieldGood, 0},
		{"no time", "35=X|34=7|52=yesterday|", "35=X|34=7|52=yesterday|", fieldGood, 0},
		{"data of the header", "35=X|34=7|90=3|91=a\x01b|49=A|", "35=X|34=7|49=A|", fieldGood, 0},
		{"data that is longer than said", "35=X|34=7|90=1|91=abc|49=A|", "35=X|34=7|", rejectFormat, 0},
		{"an empty field", head + "262=|", head, rejectEmpty, 262},
		{"a field of the header in the body", head + "262=r|50=x|", head, rejectOrder, 50},
		{"no tag", head + "262=r|x=1|", head, rejectTag, 0},
		{"no equals", head + "262|", head, rejectTag, 0},
		{"hops", "35=X|34=7|627=1|628=H|629=20261125-10:00:00|630=3|49=A|", "35=X|34=7|49=A|", fieldGood, 0},
		{"number too large", "35=X|34=99999999999999999999|49=A|", "35=X|49=A|", fieldGood, 0},
		{"Logon", "35=A|34=1|98=0|108=30|95=3|96=||||554=x|", "35=A|34=1|98=0|108=30|554=x|", fieldGood, 0},
		{"Logon without heartbeats", "35=A|34=1|98=0|108=0|", "35=A|34=1|98=0|108=86400|", fieldGood, 0},
		{"SequenceReset", "35=4|34=1|123=Y|36=x|", "35=4|34=1|123=Y|", fieldGood, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var e envelope
			e.read(frameOf(tc.fields))
			got := strings.ReplaceAll(string(e.fields), "\x01", "|")
			if got != tc.want || e.bad != tc.bad || e.badTag != tc.badTag {
				t.Errorf("%q, %d, %d; want %q, %d, %d", got, e.bad, e.badTag, tc.want, tc.bad, tc.badTag)
			}
		})
	}
}

// libraryOf is what the library does with numbers: it asks once, shelves what is early, and when the answer is whole takes from the shelf.
type libraryOf struct {
	next  atomic.Uint64
	got   []uint64
	shelf map[uint64]bool
	end   uint64 // last number of the range that was asked for, 0: none
	asked int
}

func (l *libraryOf) take(seq uint64) {
	next := l.next.Load()
	switch {
	case seq < next:
		return
	case seq > next:
		if l.end == 0 {
			l.end, l.shelf = seq-1, map[uint64]bool{}
			l.asked++
		}
		l.shelf[seq] = true
		return
	}
	l.got = append(l.got, seq)
	l.next.Store(next + 1)
	if l.end == 0 || l.end >= next+1 {
		return
	}
	for l.shelf[l.next.Load()] {
		l.got = append(l.got, l.next.Load())
		l.next.Add(1)
	}
	l.end, l.shelf = 0, nil
}

// Goal: whatever is lost, also of answers, all arrives once and in order, and only what is missing is asked for again. Method: a venue that loses messages by
// chance, and a library as strict as ours.
func TestOrder(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		lib := &libraryOf{}
		lib.next.Store(1)
		o := order{next: &lib.next, most: 1 << 20}
		const last = 300
		come := func(seq uint64, copied bool) {
			if r.IntN(10) == 0 {
				return // lost
			}
			e := envelope{msgType: "X", seq: seq, hasSeq: true, possDup: copied}
			switch o.see(&e) {
			case show:
				lib.take(seq)
			case hold:
				if !o.keep(seq, []byte{byte(seq)}, time.Time{}) {
					t.Fatal("no room")
				}
				return
			}
			for {
				m, ok := o.due()
				if !ok {
					return
				}
				for s := lib.next.Load(); ; s++ { // the number is not in the test's frames but for its last byte
					if byte(s) == m.frame[0] {
						e.seq = s
						break
					}
				}
				if o.see(&e) != show {
					t.Fatal("a due message is held again")
				}
				lib.take(e.seq)
			}
		}
		asked := 0
		for seq := uint64(1); seq <= last; seq++ {
			before := lib.asked
			come(seq, false)
			if lib.asked > before { // the library's own request: all from there
				for s := lib.next.Load(); s < seq; s++ {
					come(s, true)
				}
			}
		}
		for round := 0; lib.next.Load() <= last; round++ { // as stall does
			if round > 1000 {
				t.Fatalf("seed %d: %d is never reached: open %v, early %d, expect %d, held %d", seed, lib.next.Load(), o.open, o.early, o.expect, len(o.held))
			}
			from, end := lib.next.Load(), o.missing.Load()
			if end < from {
				end = last
			}
			for s := from; s <= end; s++ {
				asked++
				come(s, true)
			}
		}
		for i, seq := range lib.got {
			if seq != uint64(i+1) {
				t.Fatalf("seed %d: %d at place %d", seed, seq, i+1)
			}
		}
		if o.bytes != len(o.held)*(keptOverhead+1) {
			t.Errorf("seed %d: %d bytes with %d held", seed, o.bytes, len(o.held))
		}
		if asked > 2*last {
			t.Errorf("seed %d: %d messages were asked for again", seed, asked)
		}
	}
}

func TestKeeper(t *testing.T) {
	k := newKeeper(80 << 10)
	frame := make([]byte, 1000)
	put := func(seq uint64) (uint64, bool) { return k.put(frame, time.Time{}, &envelope{seq: seq}) }
	first, _ := put(5)
	if f, ok := k.take(first); !ok || f.seq != 5 {
		t.Fatal("not kept")
	}
	if _, ok := k.take(first); ok {
		t.Error("kept after it was taken")
	}
	for range 1000 { // copies of what was seen, which the library drops
		if _, ok := put(4); !ok {
			t.Fatal("copies of what was seen fill the room")
		}
	}
	n := 0
	for ok := true; ok && n < 1000; n++ {
		_, ok = put(uint64(10 + n))
	}
	if n < 60 || n > 80 {
		t.Errorf("%d of 1,128 bytes were kept in 80 KiB", n)
	}
	k.clear()
	if _, ok := put(3); !ok || len(k.frames) != 1 {
		t.Error("not cleared")
	}
}

// scriptConn is a connection whose other side has written everything already.
type scriptConn struct {
	net.Conn
	r io.Reader
}

func (c scriptConn) Read(p []byte) (int, error)       { return c.r.Read(p) }
func (c scriptConn) Write(p []byte) (int, error)      { return len(p), nil }
func (c scriptConn) Close() error                     { return nil }
func (c scriptConn) SetReadDeadline(time.Time) error  { return nil }
func (c scriptConn) SetWriteDeadline(time.Time) error { return nil }

// FuzzGate gives a gate any bytes from the network: what it shows the library is always a whole message that the library can read, an application message
// in it is kept, and nothing grows without bound.
func FuzzGate(f *testing.F) {
	logon := frameOf("35=A|34=1|49=A|52=20261125-10:00:00|56=B|98=0|108=30|")
	f.Add(logon, false)
	f.Add([]byte("35=X|34=2|90=3|91=a\x01b|58=x\xff35=4|34=7|123=Y|36=\xff35=2|34=3|7=1|16=-1"), true)
	f.Add([]byte("35=A|34=1|141=Y|108=0\xff35=W|34=2|262=|268=0|50=x\xff35=0|34=4|369=x"), true)
	f.Add(append(logon, frameOf("35=X|34=2|49=A|52=20261125-10:00:00|56=B|262=r|268=1|279=0|269=0|270=1|")...), false)
	f.Add(append(logon, frameOf("35=4|34=9|43=Y|123=Y|36=12|")...), false)
	f.Add(append(logon, frameOf("35=W|34=3|90=3|91=a\x01b|212=2|213=\x01\x01|")...), false)
	f.Add(append(logon, frameOf("35=1|34=|112=|")...), false)
	f.Add(append(append([]byte("8=FIX.4.4\x019=99999\x0135="), logon...), frameOf("35=2|34=2|7=1|16=0|")...), false)
	f.Add(append(logon, frameOf("35=A|34=1|141=Y|108=0|")...), false)
	f.Fuzz(func(t *testing.T, b []byte, framed bool) {
		if framed { // whole messages of any fields, apart at 0xFF
			all := append([]byte(nil), logon...)
			for _, fields := range bytes.Split(b, []byte{0xFF}) {
				all = append(all, frameOf(string(fields)+"|")...)
			}
			b = all
		}
		var c Counters
		var next atomic.Uint64
		next.Store(1)
		k := newKeeper(32 << 10)
		g := newGate(scriptConn{r: bytes.NewReader(b)}, k, limits{maxBody: 4096}, &c, nil)
		g.order.next = &next
		defer g.Close()
		shown, _ := io.ReadAll(onlyRead{g})
		var s codec.Stream
		s.Add(shown)
		for raw := s.Next(); raw != nil; raw = s.Next() {
			m := qf.NewMessage()
			if err := qf.ParseMessage(m, bytes.NewBuffer(append([]byte(nil), raw...))); err != nil {
				t.Fatalf("%q: the library cannot read it: %v", raw, err)
			}
			for _, tag := range []qf.Tag{34, 369} {
				if m.Header.Has(tag) {
					if n, err := m.Header.GetInt(tag); err != nil || n < 0 {
						t.Fatalf("%q: %d is %d, %v", raw, tag, n, err)
					}
				}
			}
			for _, tag := range []qf.Tag{7, 16, 36, 45, 108, 789} {
				if m.Body.Has(tag) {
					if n, err := m.Body.GetInt(tag); isAdmin(mustType(m)) && (err != nil || n < 0) {
						t.Fatalf("%q: %d is %d, %v", raw, tag, n, err)
					}
				}
			}
			if typ := mustType(m); !isAdmin(typ) {
				if _, ok := k.take(numberIn(m)); !ok {
					t.Fatalf("%q: its frame is not kept", raw)
				}
			}
		}
		if n := s.Counters; n.Garbled+n.Skipped != 0 || len(s.Rest()) != 0 {
			t.Fatalf("shown: %d garbled, %d skipped, %d left: %q", n.Garbled, n.Skipped, len(s.Rest()), shown)
		}
		if g.order.bytes > g.order.most || g.order.bytes < 0 {
			t.Fatalf("%d bytes held", g.order.bytes)
		}
	})
}

func mustType(m *qf.Message) string {
	typ, _ := m.MsgType()
	return typ
}

func TestSource(t *testing.T) {
	s := newSource(1 << 12)
	p := make([]nic.Packet, 4)
	r := rand.New(rand.NewPCG(1, 2))
	var sent, got [][]byte
	var numbers []uint64
	at := time.Unix(1, 5)
	for range 5000 {
		for range r.IntN(4) {
			b := bytes.Repeat([]byte{byte(len(sent))}, 1+r.IntN(900))
			if !s.put(b, at) {
				break
			}
			sent = append(sent, b)
		}
		if r.IntN(50) == 0 {
			s.broke()
			sent = append(sent, nil)
		}
		n, err := s.Poll(p[:1+r.IntN(4)])
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range p[:n] {
			got, numbers = append(got, append([]byte(nil), x.Data...)), append(numbers, x.Frame)
			if x.TsRecv != uint64(at.UnixNano()) || x.Stamp != nic.StampLoop {
				t.Fatalf("stamp %d, %v", x.TsRecv, x.Stamp)
			}
		}
	}
	s.end()
	for {
		n, err := s.Poll(p)
		if err == io.EOF {
			break
		}
		for _, x := range p[:n] {
			got, numbers = append(got, append([]byte(nil), x.Data...)), append(numbers, x.Frame)
		}
	}
	n, breaks := 0, 0
	for i, b := range sent {
		if b == nil {
			breaks++
			continue
		}
		if numbers[n] != uint64(i+1) || !bytes.Equal(got[n], b) {
			t.Fatalf("message %d: number %d, %d bytes; want %d, %d", n, numbers[n], len(got[n]), i+1, len(b))
		}
		n++
	}
	if n != len(got) || s.Breaks() != uint64(breaks) || breaks == 0 {
		t.Errorf("%d of %d messages, %d of %d breaks", n, len(got), s.Breaks(), breaks)
	}
	if allocs := testing.AllocsPerRun(100, func() { s.put(sent[0][:1], at); _, _ = s.Poll(p) }); allocs != 0 {
		t.Errorf("%v allocations a message", allocs)
	}
	if newSource(1<<12).put(make([]byte, 1<<11), at) {
		t.Error("a message of half the ring was taken")
	}
}

func TestBackOff(t *testing.T) {
	now := time.Unix(0, 0)
	chance := 0.5
	b := &backOff{least: time.Second, most: 8 * time.Second, now: func() time.Time { return now }, chance: func() float64 { return chance }}
	for i, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 8 * time.Second} {
		if b.failed(); b.due() != want {
			t.Errorf("failure %d: next in %v, want %v", i+1, b.due(), want)
		}
	}
	chance = 1
	if b.failed(); b.due() != 9600*time.Millisecond {
		t.Errorf("next in %v, want a fifth more than 8 s", b.due())
	}
	now = now.Add(time.Minute)
	if b.due() != 0 {
		t.Error("not due after a minute")
	}
	b.worked()
	if b.ended(); b.due() != time.Second {
		t.Errorf("after a session the next in %v, want 1s", b.due())
	}
}

func TestStall(t *testing.T) {
	var next atomic.Uint64
	next.Store(5)
	s := stall{next: &next}
	g := &gate{done: make(chan struct{})}
	at := time.Unix(0, 0)
	ask := func(after time.Duration) *qf.Message { at = at.Add(after); return s.ask(g, at, time.Second) }
	if ask(0) != nil || ask(time.Hour) != nil {
		t.Error("asked without a gap")
	}
	g.high.Store(9)
	g.order.missing.Store(7)
	if ask(500*time.Millisecond) != nil {
		t.Error("asked at once")
	}
	m := ask(time.Second)
	if m == nil {
		t.Fatal("not asked")
	}
	from, _ := m.Body.GetInt(7)
	to, _ := m.Body.GetInt(16)
	if from != 5 || to != 7 {
		t.Errorf("asked for %d to %d, want 5 to 7", from, to)
	}
	next.Store(6)
	if ask(time.Hour) != nil {
		t.Error("asked though the gap closes")
	}
	if ask(time.Second) == nil {
		t.Error("not asked again")
	}
	for i := range 10 { // twice as late each time, up to a bound
		wait := time.Second << min(i+1, mostDoubled)
		if ask(wait-time.Millisecond) != nil {
			t.Errorf("asked a %d. time too soon", i+2)
		}
		if ask(time.Millisecond) == nil {
			t.Errorf("not asked a %d. time after %v", i+2, wait)
		}
	}
	next.Store(7)
	if ask(0) != nil || ask(time.Second) == nil {
		t.Error("another gap does not begin with patience")
	}
	next.Store(10)
	if ask(time.Hour) != nil || ask(time.Hour) != nil {
		t.Error("asked without a gap")
	}
}

func TestConfigFaults(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("user\npass\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	good := Config{Session: Session{SenderCompID: "A", TargetCompID: "B"}, Address: "h:1", Symbols: []string{"S"}}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		set  func(c *Config)
		want string
	}{
		{func(c *Config) { c.Address = "h" }, `fix: address "h": want host:port`},
		{func(c *Config) { c.SenderCompID = "" }, "sender_comp_id is missing"},
		{func(c *Config) { c.TargetCompID = "../x" }, `target_comp_id is "../x"`},
		{func(c *Config) { c.Version = 7 }, "version 7 is not spoken"},
		{func(c *Config) { c.Symbols = nil }, "neither symbols nor a list"},
		{func(c *Config) { c.Symbols = []string{"a\x01b"} }, "symbol \"a\\x01b\""},
		{func(c *Config) { c.Heartbeat = time.Millisecond }, "heartbeat is 1ms"},
		{func(c *Config) { c.RingBytes = 100_000 }, "want a power of two"},
		{func(c *Config) { c.EntryTypes = []string{"00"} }, `entry type "00"`},
		{func(c *Config) { c.Schedule.Start = "07:00:00" }, "one is missing"},
		{func(c *Config) { c.Schedule = Schedule{Start: "7", End: "8"} }, `schedule "7", want HH:MM:SS`},
		{func(c *Config) { c.Schedule.Zone = "Mars" }, "unknown time zone Mars"},
		{func(c *Config) { c.DefaultApplVerID = "12" }, `default_appl_ver_id is "12"`},
		{func(c *Config) { c.CredentialsFile = secret }, "others may read it, want 0600"},
		{func(c *Config) { c.TLS.CAFile = secret }, "has no certificate in PEM"},
		{func(c *Config) { c.RetryLeast, c.RetryMost = time.Minute, time.Second }, "below retry_least"},
		{func(c *Config) { c.Depth = -1 }, "depth is -1"},
	} {
		c := good
		tc.set(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v; want %q", err, tc.want)
		}
	}
	if err := os.Chmod(secret, 0o600); err != nil {
		t.Fatal(err)
	}
	if user, pass, err := readCredentials(secret); user != "user" || pass != "pass" || err != nil {
		t.Errorf("%q, %q, %v", user, pass, err)
	}
	server := ServerConfig{Clients: []string{"A", "A", "x/y"}, MaxSymbols: -1, TLS: TLS{CAFile: secret}, Address: "x"}
	err := server.Validate()
	for _, want := range []string{`client "A" is named twice`, `target_comp_id is "x/y"`, "max_symbols is -1", "a server needs cert_file", `address "x"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
}

func TestVersions(t *testing.T) {
	for text, want := range map[string]Version{
		"4.2": V42, "FIX.4.2": V42, "fix.4.4": V44, "5.0SP2": V50SP2, "5.0 SP2": V50SP2, "FIX.5.0SP2": V50SP2, "FIXT.1.1": V50SP2,
	} {
		if v, err := ParseVersion(text); v != want || err != nil {
			t.Errorf("%q: %v, %v", text, v, err)
		}
	}
	if _, err := ParseVersion("4.3"); err == nil || !strings.Contains(err.Error(), `"4.3" is not spoken`) {
		t.Error(err)
	}
}

// Goal: only the library gets through the hop.
func TestHopWantsItsSecret(t *testing.T) {
	dialled := 0
	h, err := newHop(func(context.Context) (*gate, error) { dialled++; return nil, io.EOF }, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer h.stop()
	for name, say := range map[string]string{
		"no password offered": "\x05\x01\x00", "a wrong password": "\x05\x01\x02\x01\x01u\x01p", "not SOCKS": "GET / HTTP/1.1\r\n\r\n", "SOCKS 4": "\x04\x01\x00\x50",
	} {
		conn, err := net.Dial("tcp", "127.0.0.1:"+h.port())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		if _, err := conn.Write([]byte(say)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: not hung up", name)
		}
		_ = conn.Close()
	}
	if dialled != 0 {
		t.Error("the venue was dialled")
	}
}

func TestPrices(t *testing.T) {
	for px, want := range map[int64]string{
		0: "0", 100_250_000_000: "100.25", -1: "-0.000000001", 5_000_000_000: "5", -1_500_000_000: "-1.5", 1<<63 - 2: "9223372036.854775806",
	} {
		if got := string(appendPx(nil, px)); got != want {
			t.Errorf("%d: %s, want %s", px, got, want)
		}
		if back, err := codec.Price([]byte(want)); back != px || err != nil {
			t.Errorf("%s: %d, %v", want, back, err)
		}
	}
}
