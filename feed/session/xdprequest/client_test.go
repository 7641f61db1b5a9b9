package xdprequest

import (
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tickwire/tickwire/parsers/xdp"
	simxdp "github.com/tickwire/tickwire/sim/xdp"
	"github.com/tickwire/tickwire/sim/xdp/xdptest"
	"github.com/tickwire/tickwire/sim/xdpgen"
)

// patience is how long tests wait for what must come: a busy machine is slow.
const patience = 20 * time.Second

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("still waiting: ", what)
		}
	}
}

func open(t *testing.T, o Options) *Client {
	t.Helper()
	if o.Source == "" {
		o.Source = "CLIENT1"
	}
	if o.Retry == 0 {
		o.Retry = 10 * time.Millisecond
	}
	if o.MaxRetry == 0 {
		o.MaxRetry = 50 * time.Millisecond
	}
	o.Interface = "lo"
	c, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func connected(t *testing.T, addr string) *Client {
	t.Helper()
	c := open(t, Options{Servers: []string{addr}})
	until(t, "a connection", c.Connected)
	return c
}

// outcome asks and waits for what comes of it.
func outcome(t *testing.T, ask func(done func(Outcome)) error) Outcome {
	t.Helper()
	ch := make(chan Outcome, 2)
	if err := ask(func(o Outcome) { ch <- o }); err != nil {
		return Outcome{Err: err}
	}
	select {
	case o := <-ch:
		return o
	case <-time.After(patience):
		t.Fatal("no outcome")
		return Outcome{}
	}
}

func retransmission(c *Client, product, channel uint8, begin, end uint32) func(func(Outcome)) error {
	return func(done func(Outcome)) error { return c.Retransmission(product, channel, begin, end, done) }
}

// TestStatuses: each refusal of the protocol comes back as its status, and what is right is accepted.
func TestStatuses(t *testing.T) {
	v := xdptest.New(t, xdptest.Options{Keep: 5_000, Requests: simxdp.RequestOptions{
		Sources: []string{"CLIENT1"}, Legacy: true, Retransmissions: 3, Refreshes: 3, All: 1,
	}})
	c := connected(t, v.Addr().String())
	const p, n = xdpgen.Product, xdptest.Number
	last := uint32(v.Record.Next() - 1)
	for _, tc := range []struct {
		what string
		ask  func(func(Outcome)) error
		want byte
	}{
		{"the last 1,000", retransmission(c, p, n, last-999, last), xdp.Accepted},
		{"1,001", retransmission(c, p, n, last-1000, last), xdp.TooLong},
		{"backwards", retransmission(c, p, n, last, last-1), xdp.InvalidRange},
		{"beyond the end", retransmission(c, p, n, last, last+1), xdp.InvalidRange},
		{"old ones", retransmission(c, p, n, 1, 10), xdp.TooOld},
		{"another product", retransmission(c, p+1, n, last, last), xdp.UnknownProduct},
		{"another channel", retransmission(c, p, n+1, last, last), xdp.UnknownChannel},
		{"the second", retransmission(c, p, n, last, last), xdp.Accepted},
		{"the third", retransmission(c, p, n, last, last), xdp.Accepted},
		{"the fourth", retransmission(c, p, n, last, last), xdp.TooManyRequests},
		{"a refresh of all", func(d func(Outcome)) error { return c.Refresh(p, n, 0, d) }, xdp.Accepted},
		{"a second refresh of all", func(d func(Outcome)) error { return c.Refresh(p, n, 0, d) }, xdp.TooManyRefreshes},
		{"a mapping", func(d func(Outcome)) error { return c.Mapping(p, n, 7, d) }, xdp.Accepted},
	} {
		if o := outcome(t, tc.ask); o.Err != nil || o.Status != tc.want || o.Accepted() != (tc.want == xdp.Accepted) || (o.Error() == nil) != o.Accepted() {
			t.Errorf("%s: %+v, want status %c", tc.what, o, tc.want)
		}
	}
	if n := c.Counters(); n.Accepted != 5 || n.Refused != 8 || n.Strange != 0 || n.Unanswered != 0 || n.LastStatus != uint64(xdp.TooManyRefreshes) {
		t.Errorf("%+v", n)
	}
	stranger := open(t, Options{Servers: []string{v.Addr().String()}, Source: "NOBODY"})
	until(t, "a connection", stranger.Connected)
	if o := outcome(t, retransmission(stranger, p, n, last, last)); o.Status != xdp.UnknownSource {
		t.Errorf("a stranger: %+v", o)
	}
}

// TestLimits: a client stops short of the venue's limits, and the next day begins anew.
func TestLimits(t *testing.T) {
	v := xdptest.New(t, xdptest.Options{})
	var day atomic.Int64
	c := open(t, Options{
		Servers: []string{v.Addr().String()}, Limits: Limits{Retransmissions: 2, Refreshes: 2, All: 1},
		Clock: func() time.Time { return time.Unix(1_700_000_000+day.Load()*86_400, 0) },
	})
	until(t, "a connection", c.Connected)
	const p, n = xdpgen.Product, xdptest.Number
	all := func(d func(Outcome)) error { return c.Refresh(p, n, 0, d) }
	one := func(d func(Outcome)) error { return c.Mapping(p, n, 1, d) }
	for _, ask := range []func(func(Outcome)) error{retransmission(c, p, n, 1, 1), retransmission(c, p, n, 1, 1), all, one} {
		if o := outcome(t, ask); !o.Accepted() {
			t.Errorf("within the limit: %+v", o)
		}
	}
	for _, ask := range []func(func(Outcome)) error{retransmission(c, p, n, 1, 1), all, one} {
		if o := outcome(t, ask); !errors.Is(o.Err, ErrQuota) {
			t.Errorf("beyond the limit: %+v", o)
		}
	}
	day.Add(1)
	if o := outcome(t, retransmission(c, p, n, 1, 1)); !o.Accepted() {
		t.Errorf("the next day: %+v", o)
	}
	if n := c.Counters(); n.OverLimit != 3 || n.Requests != 5 {
		t.Errorf("%+v", n)
	}
}

// TestHeartbeats: a server that closes who does not answer keeps a client that does.
func TestHeartbeats(t *testing.T) {
	v := xdptest.New(t, xdptest.Options{Requests: simxdp.RequestOptions{Heartbeat: 20 * time.Millisecond, Patience: 2 * time.Second}})
	c := connected(t, v.Addr().String())
	until(t, "heartbeats", func() bool { return c.Counters().Heartbeats >= 10 })
	if n, s := c.Counters(), v.Counters(); n.Connections != 1 || s.Dropped != 0 || s.Malformed != 0 {
		t.Errorf("%+v; server %+v", n, s)
	}
	// And one that does not answer is left: the server is no formality.
	conn, err := net.Dial("tcp", v.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	until(t, "the silent client's end", func() bool { return v.Counters().Dropped == 1 })
}

// TestLatestConnection: of one source id only the latest connection lives.
func TestLatestConnection(t *testing.T) {
	v := xdptest.New(t, xdptest.Options{})
	first := open(t, Options{Servers: []string{v.Addr().String()}, Retry: time.Hour, MaxRetry: time.Hour})
	until(t, "a connection", first.Connected)
	const p, n = xdpgen.Product, xdptest.Number
	outcome(t, retransmission(first, p, n, 1, 1))
	second := connected(t, v.Addr().String())
	outcome(t, retransmission(second, p, n, 1, 1))
	until(t, "the first one's end", func() bool { return !first.Connected() && first.Counters().Ended == 1 })
	if !second.Connected() || v.Counters().Replaced != 1 {
		t.Errorf("%+v", v.Counters())
	}
	if o := outcome(t, retransmission(first, p, n, 1, 1)); !errors.Is(o.Err, ErrDown) {
		t.Errorf("without a connection: %+v", o)
	}
}

// TestGoneAndBack: the server goes in the middle of a request, and the client's first choice is dead: it comes back, at the other one, and goes on.
func TestGoneAndBack(t *testing.T) {
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	v := xdptest.New(t, xdptest.Options{Requests: simxdp.RequestOptions{Faults: simxdp.Faults{CutAfter: 1}}})
	c := open(t, Options{Servers: []string{dead.Addr().String(), v.Addr().String()}})
	until(t, "a connection", c.Connected)
	const p, n = xdpgen.Product, xdptest.Number
	if o := outcome(t, retransmission(c, p, n, 1, 1)); !errors.Is(o.Err, ErrDown) {
		t.Errorf("cut off: %+v", o)
	}
	v.SetFaults(simxdp.Faults{})
	until(t, "an answer", func() bool { return outcome(t, retransmission(c, p, n, 1, 1)).Accepted() })
	if n := c.Counters(); n.Connections < 2 || n.DialFails == 0 || n.Ended == 0 || n.Unanswered == 0 {
		t.Errorf("%+v", n)
	}
}

// TestBadServers: one that drips bytes, one that is silent, one that sends garbage, and one that never responds: each costs a connection or an
// answer, in bounded time, and nothing else.
func TestBadServers(t *testing.T) {
	const p, n = xdpgen.Product, xdptest.Number
	short := Options{Whole: 100 * time.Millisecond, Silence: 200 * time.Millisecond, Answer: 5 * time.Second}
	for _, tc := range []struct {
		name    string
		faults  simxdp.Faults
		options Options
		want    error
		count   func(Counters) uint64
	}{
		{"slow", simxdp.Faults{Slow: 20 * time.Millisecond}, short, ErrDown, func(c Counters) uint64 { return c.Silent }},
		{"silent", simxdp.Faults{Silent: true}, short, ErrDown, func(c Counters) uint64 { return c.Silent }},
		{"garbage", simxdp.Faults{Garbage: []byte("HTTP/1.1 400 Bad Request\r\n\r\n")}, short, ErrDown, func(c Counters) uint64 { return c.Malformed }},
		{"tiny", simxdp.Faults{Garbage: make([]byte, 16)}, short, ErrDown, func(c Counters) uint64 { return c.Malformed }},
		{"no answer", simxdp.Faults{Silent: true}, Options{Answer: 50 * time.Millisecond}, ErrNoAnswer, func(c Counters) uint64 { return c.Unanswered }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := xdptest.New(t, xdptest.Options{Messages: 2_000, Requests: simxdp.RequestOptions{Faults: tc.faults}})
			o := tc.options
			o.Servers = []string{v.Addr().String()}
			c := open(t, o)
			until(t, "a connection", c.Connected)
			if got := outcome(t, retransmission(c, p, n, 1, 1)); !errors.Is(got.Err, tc.want) {
				t.Errorf("%+v, want %v", got, tc.want)
			}
			until(t, "the counter", func() bool { return tc.count(c.Counters()) > 0 })
			v.SetFaults(simxdp.Faults{})
			v.DropClients()
			until(t, "an answer", func() bool { return outcome(t, retransmission(c, p, n, 1, 1)).Accepted() })
		})
	}
}

// TestStrangeResponses: responses to nothing, to somebody else and of another range end no request.
func TestStrangeResponses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := open(t, Options{Servers: []string{l.Addr().String()}})
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	until(t, "a connection", c.Connected)
	got := make(chan Outcome, 1)
	if err := c.Retransmission(1, 2, 10, 20, func(o Outcome) { got <- o }); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	if n, err := conn.Read(buf); err != nil || n != 40 {
		t.Fatalf("%d bytes, %v, want a request of 40", n, err)
	}
	source, _ := xdp.ParseSourceID("CLIENT1")
	right := xdp.Response{Request: 1, Begin: 10, End: 20, Source: source, Product: 1, Channel: 2, Status: xdp.Accepted}
	var stream []byte
	send := func(change func(r *xdp.Response)) {
		r := right
		change(&r)
		stream = xdp.AppendPacket(stream, xdp.DeliveryOriginal, 1, 1, 0, 0, xdp.AppendResponse(nil, &r))
	}
	send(func(r *xdp.Response) { r.Request = 2 })
	send(func(r *xdp.Response) { r.Source[0] = 'X' })
	send(func(r *xdp.Response) { r.Product = 9 })
	send(func(r *xdp.Response) { r.Channel = 9 })
	send(func(r *xdp.Response) { r.End = 21 })
	stream = xdp.AppendPacket(stream, xdp.DeliveryOriginal, 1, 1, 0, 0, xdp.AppendUnavailable(nil, 1, 2, 3, 4)) // another message
	stream = xdp.AppendPacket(stream, xdp.DeliveryHeartbeat, 0, 1, 0, 0, nil)
	for len(stream) > 0 { // in pieces of 7 bytes: packets are put together
		n := min(7, len(stream))
		if _, err := conn.Write(stream[:n]); err != nil {
			t.Fatal(err)
		}
		stream = stream[n:]
	}
	until(t, "strange ones", func() bool { n := c.Counters(); return n.Strange == 6 && n.Heartbeats == 1 })
	select {
	case o := <-got:
		t.Fatalf("%+v without its response", o)
	default:
	}
	send(func(*xdp.Response) {})
	if _, err := conn.Write(stream); err != nil {
		t.Fatal(err)
	}
	if o := <-got; !o.Accepted() {
		t.Errorf("%+v", o)
	}
}

// TestClose: what is asked ends with the client, and nothing can be asked after.
func TestClose(t *testing.T) {
	v := xdptest.New(t, xdptest.Options{Messages: 2_000, Requests: simxdp.RequestOptions{Faults: simxdp.Faults{Silent: true}}})
	c := connected(t, v.Addr().String())
	got := make(chan Outcome, 2)
	if err := c.Refresh(1, 2, 0, func(o Outcome) { got <- o }); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if o := <-got; o.Err == nil {
		t.Errorf("%+v", o)
	}
	if err := c.Refresh(1, 2, 0, func(Outcome) {}); !errors.Is(err, ErrClosed) {
		t.Errorf("%v", err)
	}
}

func TestFaults(t *testing.T) {
	for _, o := range []Options{
		{Source: "A"}, {Servers: []string{"x"}, Source: "A"}, {Servers: []string{"127.0.0.1:1"}}, {Servers: []string{"127.0.0.1:1"}, Source: "ELEVENCHARS"},
		{Servers: make([]string, 17), Source: "A"},
	} {
		if c, err := Open(o); err == nil {
			c.Close()
			t.Errorf("%+v was taken", o)
		}
	}
}

// FuzzPackets: whatever a stream has, and however it comes in pieces, it is cut into the same packets, each whole and bounded, or refused at the
// same place.
func FuzzPackets(f *testing.F) {
	source, _ := xdp.ParseSourceID("CLIENT1")
	r := xdp.AppendPacket(nil, xdp.DeliveryOriginal, 1, 1, 2, 3, xdp.AppendResponse(nil, &xdp.Response{Request: 1, Source: source, Status: '0'}))
	f.Add(xdp.AppendPacket(r, xdp.DeliveryHeartbeat, 0, 1, 0, 0, nil), uint8(5))
	f.Add([]byte{16, 0, 1, 1}, uint8(1))
	f.Add(make([]byte, 40), uint8(3))
	f.Fuzz(func(t *testing.T, stream []byte, piece uint8) {
		type packet struct{ sequence, bytes int }
		cut := func(step int) (all []packet, end int, failed bool) {
			for n := 0; n < len(stream); {
				n = min(n+step, len(stream))
				used, err := packets(stream[end:n], func(h *xdp.Packet, blocks []byte) error {
					if len(blocks) != int(h.Size)-xdp.PacketHeaderBytes || int(h.Size) > xdp.MaxPacketBytes {
						t.Fatalf("a packet of %d bytes with %d of messages", h.Size, len(blocks))
					}
					for range h.Count {
						var m []byte
						if m, blocks = xdp.Next(blocks); m == nil {
							t.Fatal("a message that is not whole")
						}
						response(m)
					}
					all = append(all, packet{int(h.Sequence), int(h.Size)})
					return nil
				})
				if used > n-end {
					t.Fatalf("%d bytes used of %d", used, n-end)
				}
				end += used
				if err != nil {
					return all, end, true
				}
			}
			return all, end, false
		}
		a, endA, badA := cut(len(stream) + 1)
		b, endB, badB := cut(1 + int(piece))
		if len(a) != len(b) || endA != endB || badA != badB {
			t.Fatalf("%d packets to %d (%v) at once, %d to %d (%v) in pieces", len(a), endA, badA, len(b), endB, badB)
		}
		for i := range a {
			if a[i] != b[i] {
				t.Fatalf("packet %d: %+v and %+v", i, a[i], b[i])
			}
		}
	})
}
