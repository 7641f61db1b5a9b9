package fix_test

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	session "github.com/tickwire/tickwire/feed/session/fix"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// serveRings is a server over the rings of a folder, and a client of it that is logged on.
func serveRings(t *testing.T, dir string) (*session.Server, *wireClient) {
	t.Helper()
	market, err := session.OpenRings(session.RingOptions{RingDir: dir, StaleAfter: time.Minute, Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	s, err := session.Serve(session.ServerConfig{Address: "127.0.0.1:0", SenderCompID: "VENUE", Clients: []string{"ME"}, BookPatience: time.Second, Log: testLog(t)}, market)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	c := dialVenue(t, session.V44, s.Addr().String())
	c.logon("141=Y|")
	c.expect("35=A")
	return s, c
}

// Goal: whoever asked for a snapshot of several instruments gets W of each and no X, though one's book comes later and another's changes meanwhile. Method: a lane
// of orders; the changes are seen by a subscription made after the snapshot, whose X come behind those that must not be.
func TestSnapshotHasNoChanges(t *testing.T) {
	dir := t.TempDir()
	l := makeOrderLane(t, dir, 1<<10)
	l.define(1, "PRICES")
	l.define(2, "ORDERS")
	l.top(1, 500, 501, 0)
	order := orderKey{2, 1}
	l.rest, l.keys = map[orderKey]restingOrder{order: {tick.SideBid, 400e7, 5}}, []orderKey{order}
	l.publish(tick.ActionAdd, order, l.rest[order], tick.FlagLast)
	l.snapshot()
	l.beat()
	s, c := serveRings(t, dir)
	c.send("V|262=ONCE|263=0|264=0|267=1|269=0|146=2|55=ORDERS|55=PRICES|")
	c.expect("35=W", "262=ONCE", "55=ORDERS", "271=5")
	c.send("V|262=LIVE|263=1|264=0|265=1|267=1|269=0|146=1|55=ORDERS|")
	c.expect("35=W", "262=LIVE", "55=ORDERS", "271=5")
	l.publish(tick.ActionCancel, order, restingOrder{tick.SideBid, 400e7, 2}, tick.FlagLast)
	l.beat()
	c.expect("35=X", "262=LIVE", "279=1", "270=4", "271=3")
	until(t, 20*time.Second, "refused", func() bool { l.beat(); return s.Counters().Denied.Load() == 1 })
	c.expect("35=Y", "262=ONCE", "281=5")
}

// Goal: a request that comes while books are not firm is answered in time, by a book that says so: the feed may never write another snapshot.
func TestBooksThatStayStale(t *testing.T) {
	dir := t.TempDir()
	l := makeOrderLane(t, dir, 1<<10)
	l.define(1, "ONE")
	order := orderKey{1, 1}
	l.rest, l.keys = map[orderKey]restingOrder{order: {tick.SideBid, 400e7, 5}}, []orderKey{order}
	l.publish(tick.ActionAdd, order, l.rest[order], tick.FlagLast)
	l.snapshot()
	l.beat()
	s, c := serveRings(t, dir)
	c.send("V|262=A|263=1|264=0|265=1|267=1|269=0|146=1|55=ONE|")
	c.expect("35=W", "262=A", "270=4", "271=5")
	until(t, 20*time.Second, "an overrun", func() bool {
		for range 4 << 10 { // the server is not always slower
			l.publish(tick.ActionTrade, order, restingOrder{tick.SideBid, 400e7, 1}, 0)
		}
		l.beat()
		return s.Counters().Catchups.Load() > 0
	})
	c.expect("35=W", "262=A", "270=4", "276=I")
	c.send("V|262=ONCE|263=0|264=0|267=1|269=0|146=1|55=ONE|")
	c.expect("35=W", "262=ONCE", "270=4", "276=I")
	c.send("V|262=B|263=1|264=0|265=1|267=1|269=0|146=1|55=ONE|")
	c.expect("35=W", "262=B", "270=4", "276=I")
	l.publish(tick.ActionCancel, order, restingOrder{tick.SideBid, 400e7, 2}, tick.FlagLast)
	l.rest[order] = restingOrder{tick.SideBid, 400e7, 3}
	l.snapshot()
	l.beat()
	for range 2 {
		if m := c.expect("35=W", "270=4", "271=3"); strings.Contains(m, "276=I") {
			t.Errorf("%s: the book is firm again", m)
		}
	}
}

// Goal: when a session begins, whose numbers are others, nobody has the books of the one before, or another instrument's; and whoever has one is told, whichever
// record it was by which the beginning was noticed. Method: the directory begins anew and does not name all instruments yet.
func TestNewSessionOfALane(t *testing.T) {
	dir := t.TempDir()
	l := makeOrderLane(t, dir, 1<<10)
	l.define(1, "OLD")
	l.define(2, "BOTH")
	l.top(1, 500, 501, 0)
	l.top(2, 600, 601, 0)
	l.figure(1, tick.StatOpeningPrice, 100e9, tick.UndefQuantity, 1)
	order := orderKey{1, 1}
	l.rest, l.keys = map[orderKey]restingOrder{order: {tick.SideBid, 500e7, 5}}, []orderKey{order}
	l.publish(tick.ActionAdd, order, l.rest[order], tick.FlagLast)
	l.snapshot()
	l.beat()
	m, err := session.OpenRings(session.RingOptions{RingDir: dir, StaleAfter: time.Minute, Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	lost := 0
	poll := func() {
		m.Poll(1000, func(e *session.Event) { lost += map[bool]int{true: 1}[e.Kind == session.EventLost] })
	}
	old, _ := m.Find("OLD")
	m.Follow(old.ID, session.DepthAll, true)
	var b session.Book
	var w session.Whole
	until(t, 20*time.Second, "the orders", func() bool { poll(); return m.Whole(old.ID, &w) == session.Here })
	if m.Book(old.ID, session.DepthTop, &b); b.Pairs[0].BidPx != 500e7 || len(w.Sides[0]) != 1 || len(m.Figures(old.ID, nil)) != 1 {
		t.Fatalf("%v, %v, %v", b.Pairs[0], w, m.Figures(old.ID, nil))
	}
	time.Sleep(600 * time.Millisecond) // until the directory is looked at by the clock, so that in what follows it is not
	poll()
	lost = 0
	l.inst.Reset()
	l.lane.last.Reset()
	l.define(3, "BOTH")
	l.define(1, "NEW") // has the number of OLD
	l.top(3, 700, 701, 0)
	l.top(1, 800, 801, 0)
	poll()
	if lost == 0 {
		t.Error("nobody is told that a session began")
	}
	if a := m.Book(old.ID, session.DepthTop, &b); a != session.Here || b.Pairs[0] != tick.EmptyPair {
		t.Errorf("%d: an instrument of the session before has %v still", a, b.Pairs[0])
	}
	if a := m.Whole(old.ID, &w); a == session.Here || a == session.Stale {
		t.Errorf("%d: the orders of another instrument are told as its own: %v", a, w.Sides)
	}
	if f := m.Figures(old.ID, nil); len(f) > 0 {
		t.Errorf("yesterday's figures are told: %v", f)
	}
	both, _ := m.Find("BOTH")
	if m.Book(both.ID, session.DepthTop, &b); b.Pairs[0].BidPx != 700e7 {
		t.Errorf("%v", b.Pairs[0])
	}
}

// Goal: while a producer that started anew has not made all of its files, the books of the one before are not firm, and whoever has one is told.
func TestBooksOfHalfALane(t *testing.T) {
	dir := t.TempDir()
	l := makeLane(t, dir)
	l.define(7, "AAPL")
	l.top(7, 10025, 10050, 0)
	m, err := session.OpenRings(session.RingOptions{RingDir: dir, StaleAfter: time.Minute, Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	lost := 0
	poll := func() {
		m.Poll(1000, func(e *session.Event) { lost += map[bool]int{true: 1}[e.Kind == session.EventLost] })
	}
	poll()
	if err := l.inst.Close(); err != nil {
		t.Fatal(err)
	}
	inst, err := ringbuf.CreateInst(ringbuf.SidePath(dir, "test", "venue", "0", ringbuf.ExtInst), 64, ringbuf.SideOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer inst.Close()
	if err := os.Remove(ringbuf.SidePath(dir, "test", "venue", "0", ringbuf.ExtLast)); err != nil {
		t.Fatal(err)
	}
	var b session.Book
	until(t, 20*time.Second, "a book that is not firm", func() bool {
		poll()
		m.Book(0, session.DepthTop, &b)
		return b.Suspect && lost > 0
	})
	if b.Pairs[0].BidPx != 10025e7 {
		t.Errorf("%v", b.Pairs[0])
	}
}

// Goal: a resend that is longer than what may wait for a client reaches it whole, what is sent meanwhile behind it, and other clients do not wait for it. Method: a
// client that does not read while it is answered; another one that gets what changes then.
func TestLongResend(t *testing.T) {
	dir := t.TempDir()
	l := makeLane(t, dir)
	l.define(7, "AAPL")
	l.top(7, 1000, 9000, 0)
	market, err := session.OpenRings(session.RingOptions{RingDir: dir, StaleAfter: time.Minute, Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	s, err := session.Serve(session.ServerConfig{
		Address: "127.0.0.1:0", SenderCompID: "VENUE", Clients: []string{"ME", "OTHER"}, Resend: true, QueueBytes: 256 << 10, Log: testLog(t),
	}, market)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const changes, meanwhile = 600, 20
	px := func(i int64) int64 { return 1001 + 10*i } // cents
	slow, other := dialVenue(t, session.V44, s.Addr().String()), dialVenue(t, session.V44, s.Addr().String())
	other.we = "OTHER"
	if err := slow.conn.(*net.TCPConn).SetReadBuffer(16 << 10); err != nil {
		t.Fatal(err)
	}
	id := strings.Repeat("LONG", 250)
	for _, c := range []*wireClient{slow, other} {
		c.logon("141=Y|")
		c.expect("35=A")
	}
	slow.send("V|262=" + id + "|263=1|264=1|265=1|267=1|269=0|146=1|55=AAPL|")
	slow.expect("35=W", "34=2")
	for i := range int64(changes) {
		l.top(7, px(i), 9000, 0)
		slow.expect("35=X", fmt.Sprint("34=", 3+i))
	}
	other.send("V|262=T|263=1|264=1|265=1|267=1|269=0|146=1|55=AAPL|")
	other.expect("35=W")
	slow.send("2|7=3|16=0|")
	until(t, 20*time.Second, "a resend", func() bool { return s.Counters().Resends.Load() == 1 })
	for i := range int64(meanwhile) {
		l.top(7, px(changes+i), 9000, 0)
		other.expect("35=X", "34="+fmt.Sprint(3+i))
	}
	again, live := int64(3), int64(3+changes) // numbers that come next; a live one may have left before the resend began, and is then a part of it
	for again < 3+changes || live < 3+changes+meanwhile {
		m, err := slow.read(patience)
		if err != nil {
			t.Fatalf("no message %d again, nor %d: %v", again, live, err)
		}
		next := &live
		if strings.Contains(m, "|43=Y|") {
			next = &again
		}
		want := fmt.Sprintf("|270=%d.%02d|", px(*next-3)/100, px(*next-3)%100)
		if !strings.Contains(m, fmt.Sprintf("|35=X|34=%d|", *next)) || !strings.Contains(m, want) {
			t.Fatalf("%s: want X %d with %s", strings.Replace(m, id, "…", 1), *next, want)
		}
		*next++
	}
	if n := s.Counters(); n.Backlog.Load()+n.Conflated.Load()+n.ResendsShort.Load() != 0 {
		t.Errorf("backlog %d, conflated %d, short %d", n.Backlog.Load(), n.Conflated.Load(), n.ResendsShort.Load())
	}
}
