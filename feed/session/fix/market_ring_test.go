package fix_test

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	session "github.com/tickwire/tickwire/feed/session/fix"
	codec "github.com/tickwire/tickwire/parsers/fix"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// lane is a lane's files, as a feed process writes them.
type lane struct {
	t     *testing.T
	dir   string
	mbp1  *ringbuf.Writer
	mbp10 *ringbuf.Writer
	side  *ringbuf.Writer
	inst  *ringbuf.InstWriter
	last  *ringbuf.LastWriter
	now   uint64

	quit chan struct{}
	wg   sync.WaitGroup
}

func makeLane(t *testing.T, dir string) *lane {
	t.Helper()
	l := &lane{t: t, dir: dir, now: uint64(time.Date(2026, 11, 25, 15, 0, 0, 0, time.UTC).UnixNano())}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	for kind, w := range map[ringbuf.Kind]**ringbuf.Writer{ringbuf.KindMbp1: &l.mbp1, ringbuf.KindMbp10: &l.mbp10, ringbuf.KindEvents: &l.side} {
		*w, err = ringbuf.Create(ringbuf.Path(dir, "test", "venue", "0", kind), ringbuf.Options{Kind: kind, TestSlots: 64, Publisher: 2})
		must(err)
		(*w).SetState(ringbuf.StateRunning)
	}
	l.inst, err = ringbuf.CreateInst(ringbuf.SidePath(dir, "test", "venue", "0", ringbuf.ExtInst), 64, ringbuf.SideOptions{})
	must(err)
	l.last, err = ringbuf.CreateLast(ringbuf.SidePath(dir, "test", "venue", "0", ringbuf.ExtLast), l.inst, 2, ringbuf.SideOptions{})
	must(err)
	l.beat()
	l.quit = make(chan struct{})
	writers := []*ringbuf.Writer{l.mbp1, l.mbp10, l.side}
	l.wg.Go(func() { // as a feed's housekeeping does
		for {
			select {
			case <-l.quit:
				return
			case <-time.After(10 * time.Millisecond):
			}
			for _, w := range writers {
				w.Beat(ringbuf.MonotonicNow())
			}
		}
	})
	t.Cleanup(l.stop)
	return l
}

func (l *lane) beat() {
	for _, w := range []*ringbuf.Writer{l.mbp1, l.mbp10, l.side} {
		w.PublishHint()
		w.Beat(ringbuf.MonotonicNow())
	}
}

func (l *lane) stop() {
	if l.mbp1 == nil {
		return
	}
	close(l.quit)
	l.wg.Wait()
	for _, w := range []*ringbuf.Writer{l.mbp1, l.mbp10, l.side} {
		_ = w.Close()
	}
	_, _ = l.last.Close(), l.inst.Close()
	l.mbp1 = nil
}

func (l *lane) define(id uint32, symbol string) {
	d := tick.Definition{Header: tick.Header{PublisherID: 2, InstrumentID: id}, InstrumentClass: 'K'}
	copy(d.RawSymbol[:], symbol)
	copy(d.Exchange[:], "XTST")
	copy(d.Currency[:], "USD")
	if err := l.inst.Put(&d, 0); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lane) header(rtype uint8, id uint32) tick.Header {
	l.now += 1000
	return tick.Header{RType: rtype, PublisherID: 2, InstrumentID: id, TsEvent: l.now}
}

// top publishes a top of book, in cents; 0: an empty side.
func (l *lane) top(id uint32, bid, ask int64, flags uint8) {
	rec := ringbuf.Mbp1Slot{Mbp1: tick.Mbp1{Trade: tick.Trade{Header: l.header(tick.RTypeMbp1, id), Action: tick.ActionAdd, Flags: flags}}, TsPublish: l.now}
	rec.Levels[0] = tick.EmptyPair
	if bid != 0 {
		rec.Levels[0].BidPx, rec.Levels[0].BidSz, rec.Levels[0].BidCt = bid*1e7, 100, 1
	}
	if ask != 0 {
		rec.Levels[0].AskPx, rec.Levels[0].AskSz, rec.Levels[0].AskCt = ask*1e7, 200, 2
	}
	ringbuf.PublishSlice(l.mbp1, []ringbuf.Mbp1Slot{rec})
	l.last.Put(id, &rec)
	l.beat()
}

func (l *lane) trade(id uint32, px int64, size uint32) {
	rec := ringbuf.Mbp1Slot{Mbp1: tick.Mbp1{Trade: tick.Trade{Header: l.header(tick.RTypeMbp1, id), Action: tick.ActionTrade, Price: px * 1e7, Size: size}}, TsPublish: l.now}
	ringbuf.PublishSlice(l.mbp1, []ringbuf.Mbp1Slot{rec})
	l.beat()
}

func (l *lane) deep(id uint32, bids ...int64) {
	rec := ringbuf.Mbp10Slot{Mbp10: tick.Mbp10{Trade: tick.Trade{Header: l.header(tick.RTypeMbp10, id), Action: tick.ActionAdd}}, TsPublish: l.now}
	for i := range rec.Levels {
		rec.Levels[i] = tick.EmptyPair
		if i < len(bids) {
			rec.Levels[i].BidPx, rec.Levels[i].BidSz = bids[i]*1e7, uint32(i+1)
		}
	}
	ringbuf.PublishSlice(l.mbp10, []ringbuf.Mbp10Slot{rec})
	l.beat()
}

func (l *lane) status(id uint32, action uint16) {
	var e ringbuf.EventSlot
	e.PutStatus(&tick.Status{Header: l.header(tick.RTypeStatus, id), Action: action})
	ringbuf.PublishSlice(l.side, []ringbuf.EventSlot{e})
	l.beat()
}

// Goal: tickwire as a venue: what a real ring holds and then publishes reaches a FIX client as W and X. Method: a lane's files written by the test, a
// client by hand.
func TestServerOnRings(t *testing.T) {
	dir := t.TempDir()
	l := makeLane(t, dir)
	l.define(7, "AAPL")
	l.define(9, "MSFT")
	l.top(7, 10025, 10050, 0)
	l.deep(9, 500, 499, 498)
	market, err := session.OpenRings(session.RingOptions{RingDir: dir, StaleAfter: time.Minute, Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	defer close(stop)
	s, err := session.Serve(session.ServerConfig{Address: "127.0.0.1:0", SenderCompID: "VENUE", Clients: []string{"ME"}, Log: testLog(t)}, market)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := dialVenue(t, session.V50SP2, s.Addr().String())
	c.logon("141=Y|")
	c.expect("35=A")
	l.beat()
	c.send("x|320=L|559=4|")
	c.expect("35=y", "146=2", "55=AAPL", "207=XTST", "15=USD")
	l.beat()
	c.send("V|262=T|263=1|264=1|265=1|267=3|269=0|269=1|269=2|146=1|55=AAPL|")
	c.expect("35=W", "55=AAPL", "268=2", "270=100.25", "271=100", "346=2", "270=100.5", "272=20261125", "1021=1")
	l.top(7, 10025, 10049, 0)
	m := c.expect("35=X", "262=T", "268=2", "83=2")
	if want := "279=2|269=1|55=AAPL|270=100.5|272=20261125|273=15:00:00.000|83=1|279=0|269=1|55=AAPL|270=100.49|271=200|"; !strings.Contains(m, want) {
		t.Errorf("%s: has no %s", m, want)
	}
	l.trade(7, 10049, 30)
	c.expect("35=X", "279=0", "269=2", "270=100.49", "271=30")
	l.top(7, 0, 10049, tick.FlagMaybeBadBook)
	m = c.expect("35=X", "279=2", "269=0", "270=100.25")
	if !strings.Contains(m, "279=1|269=1|55=AAPL|270=100.49|271=200|272=20261125|273=15:00:00.000|276=I|") {
		t.Errorf("%s: the suspect book is not marked", m)
	}
	c.send("V|262=D|263=1|264=2|265=1|267=1|269=0|146=1|55=MSFT|")
	c.expect("35=W", "55=MSFT", "268=2", "270=5", "270=4.99", "1021=2")
	l.deep(9, 501, 500, 499)
	m = c.expect("35=X", "262=D")
	if !strings.Contains(m, "279=2|269=0|55=MSFT|270=4.99|") || !strings.Contains(m, "279=0|269=0|55=MSFT|270=5.01|271=1|") || strings.Contains(m, "270=4.98") {
		t.Errorf("%s", m)
	}
	for _, bad := range [][2]string{
		{"264=2|265=1|267=1|269=0|146=1|55=AAPL|", "58=of AAPL the top of book is had: MarketDepth 1"},
		{"264=0|265=1|267=1|269=0|146=1|55=MSFT|", "58=of MSFT the full book is not had, MarketDepth 1 to 10 is"},
		{"264=11|265=1|267=1|269=0|146=1|55=MSFT|", "58=MarketDepth 11 is not had of MSFT, 1 to 10 is"},
	} {
		c.send("V|262=B|263=1|" + bad[0])
		c.expect("35=Y", "262=B", "281=5", bad[1])
	}
	c.send("e|324=S|55=AAPL|263=1|")
	c.expect("35=f", "55=AAPL")
	l.status(7, tick.StatusHalt)
	c.expect("35=f", "324=S", "55=AAPL", "326=2")
	l.define(11, "NEW")
	l.top(11, 100, 101, 0)
	c.send("V|262=N|263=0|264=1|267=1|269=0|146=1|55=NEW|")
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		l.beat()
		m, err := c.read(patience)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(m, "|35=W|") {
			break
		}
		if time.Now().After(end) || !strings.Contains(m, "|35=Y|") {
			t.Fatal(m)
		}
		c.send("V|262=N|263=0|264=1|267=1|269=0|146=1|55=NEW|")
	}
}

// Goal: the market of rings says what was missed, what a silent producer's books are worth, and finds a producer that starts again.
func TestRingMarket(t *testing.T) {
	dir := t.TempDir()
	l := makeLane(t, dir)
	l.define(7, "AAPL")
	l.top(7, 10025, 10050, 0)
	m, err := session.OpenRings(session.RingOptions{RingDir: dir, Instance: "test", Feed: "venue", StaleAfter: time.Minute, Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var events []string
	poll := func() {
		events = events[:0]
		m.Poll(1000, func(e *session.Event) {
			text := fmt.Sprintf("%d of %d", e.Kind, e.ID)
			if e.Book != nil {
				text += fmt.Sprint(" ", e.Book.Pairs[0].BidPx/1e7)
			}
			events = append(events, text)
		})
	}
	want := func(all ...string) {
		t.Helper()
		if strings.Join(events, ", ") != strings.Join(all, ", ") {
			t.Errorf("events %q, want %q", events, all)
		}
	}
	var b session.Book
	poll()
	want()
	if i, ok := m.Find("AAPL"); !ok || i.Exchange != "XTST" || m.Book(i.ID, session.DepthTop, &b) != session.Here || b.Pairs[0].BidPx != 10025e7 || m.Book(i.ID, session.DepthTen, &b) != session.Nothing {
		t.Errorf("%+v, %v", i, b.Pairs[0])
	}
	l.top(7, 10026, 10050, 0)
	l.trade(7, 10050, 1)
	poll()
	want("0 of 0 10026", fmt.Sprintf("%d of 0", session.EventTrade))
	for i := range int64(200) { // three laps
		l.top(7, 10100+i, 10500, 0)
	}
	poll()
	if len(events) != 1 || events[0] != fmt.Sprintf("%d of 0", session.EventLost) {
		t.Errorf("events %q, want a loss, and nothing that .last has already", events)
	}
	if m.Book(0, session.DepthTop, &b); b.Pairs[0].BidPx != 10299e7 {
		t.Errorf("after a loss the bid is %d", b.Pairs[0].BidPx)
	}
	l.stop()
	for range 3000 { // the header is looked at now and then
		if poll(); len(events) > 0 {
			break
		}
	}
	want(fmt.Sprintf("%d of 0", session.EventLost))
	if m.Book(0, session.DepthTop, &b); !b.Suspect {
		t.Error("the book of a producer that is gone is taken for firm")
	}
	l = makeLane(t, dir)
	l.define(8, "AAPL") // another number today
	l.top(8, 20000, 20001, 0)
	found := false
	for end := time.Now().Add(patience); !found && time.Now().Before(end); time.Sleep(time.Millisecond) {
		l.beat()
		poll()
		m.Book(0, session.DepthTop, &b)
		found = b.Pairs[0].BidPx == 20000e7 && !b.Suspect
	}
	if !found {
		t.Errorf("the new producer is not found: %v", b.Pairs[0])
	}
	l.top(8, 20001, 20002, 0)
	poll()
	want("0 of 0 20001")
}

func (l *lane) figure(id uint32, kind uint16, px, quantity int64, action uint8) {
	var e ringbuf.EventSlot
	e.PutStatistics(&tick.Statistics{Header: l.header(tick.RTypeStatistics, id), StatType: kind, Price: px, Quantity: quantity, UpdateAction: action})
	ringbuf.PublishSlice(l.side, []ringbuf.EventSlot{e})
	l.beat()
}

func (l *lane) imbalance(id uint32, side byte, px int64, size uint32) {
	var e ringbuf.EventSlot
	e.PutImbalance(&tick.Imbalance{Header: l.header(tick.RTypeImbalance, id), RefPrice: px, TotalImbalanceQty: size, Side: side})
	ringbuf.PublishSlice(l.side, []ringbuf.EventSlot{e})
	l.beat()
}

// Goal: figures and imbalances of the events ring are entries of W and X: those that were told before, those that come, what is taken back; what is no figure is
// refused by its type; an overrun of the ring forgets them, for what they became is not known. Every message is legal by the dictionary. Method: rings written by
// the test, a client by hand.
func TestFigures(t *testing.T) {
	dir := t.TempDir()
	l := makeLane(t, dir)
	l.define(7, "AAPL")
	l.figure(7, tick.StatOpeningPrice, 100e9, math.MaxInt64, 1)
	l.figure(7, 10001, tick.UndefPrice, 5_000_000_000, 1)
	market, err := session.OpenRings(session.RingOptions{RingDir: dir, StaleAfter: time.Minute, Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	s, err := session.Serve(session.ServerConfig{Address: "127.0.0.1:0", SenderCompID: "VENUE", Clients: []string{"ME"}, Log: testLog(t)}, market)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := dialVenue(t, session.V44, s.Addr().String())
	c.logon("141=Y|")
	c.expect("35=A")
	legal := newReader(t, session.V44)
	expect := func(want ...string) string {
		t.Helper()
		m := c.expect(want...)
		raw := strings.ReplaceAll(m, "|", "\x01")
		if err := legal.m.Parse([]byte(raw), legal.dict); err != nil {
			t.Errorf("%s: %v", m, err)
		} else if err := legal.m.Validate(codec.Checks{}); err != nil {
			t.Errorf("%s: %v", m, err)
		}
		return m
	}
	c.send("V|262=F|263=1|264=0|265=1|267=5|269=4|269=5|269=B|269=A|269=6|146=1|55=AAPL|")
	expect("35=W", "262=F", "268=2", "269=4", "270=100", "269=B", "271=5000000000")
	l.figure(7, tick.StatClosePrice, 101_500_000_000, math.MaxInt64, 1)
	expect("35=X", "262=F", "279=0", "269=5", "55=AAPL", "270=101.5")
	l.figure(7, tick.StatClosePrice, 102e9, math.MaxInt64, 1)
	expect("35=X", "262=F", "279=1", "269=5", "270=102")
	l.figure(7, tick.StatClosePrice, 102e9, math.MaxInt64, 2)
	expect("35=X", "262=F", "279=2", "269=5", "270=102")
	l.figure(7, 5, 103e9, math.MaxInt64, 1) // a high: not asked for
	l.imbalance(7, tick.SideAsk, 99e9, 700)
	expect("35=X", "262=F", "279=0", "269=A", "270=99", "271=700", "277=Q")
	for _, typ := range []string{"3", "D", "J"} {
		c.send("V|262=B|263=1|264=1|265=1|267=1|269=" + typ + "|146=1|55=AAPL|")
		if typ == "3" {
			expect("35=Y", "262=B", "281=8")
		} else {
			c.expect("35=3", "371=269", "373=5") // 4.4 has no such type
		}
	}
	c.send("e|324=S|55=AAPL|263=1|")
	c.expect("35=f", "55=AAPL")
	if err := l.inst.SetStatus(2, 7, uint8(tick.StatusHalt)); err != nil { // of which the record is missed
		t.Fatal(err)
	}
	until(t, 20*time.Second, "a loss noticed", func() bool {
		for range 200 { // three laps: the server is not always as fast
			l.figure(7, 5, 104e9, math.MaxInt64, 1)
		}
		return s.Counters().Catchups.Load() > 0
	})
	expect("35=f", "324=S", "326=2")
	expect("35=W", "262=F", "268=0")
}

// Goal: what a client asks for again is replayed as long as it is kept; for the rest numbers are filled, the subscription gets W, and it is counted. Method:
// changes of a ring, more than are kept; a client by hand.
func TestResendIsBounded(t *testing.T) {
	dir := t.TempDir()
	l := makeLane(t, dir)
	l.define(7, "AAPL")
	l.top(7, 1000, 2000, 0)
	market, err := session.OpenRings(session.RingOptions{RingDir: dir, StaleAfter: time.Minute, Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	s, err := session.Serve(session.ServerConfig{Address: "127.0.0.1:0", SenderCompID: "VENUE", Clients: []string{"ME"}, Resend: true, ResendMessages: 3, Log: testLog(t)}, market)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := dialVenue(t, session.V44, s.Addr().String())
	c.logon("141=Y|")
	c.expect("35=A", "34=1")
	c.send("V|262=T|263=1|264=1|265=1|267=1|269=0|146=1|55=AAPL|")
	c.expect("35=W", "34=2")
	for i := range int64(5) {
		l.top(7, 1001+i, 2000, 0)
		c.expect("35=X", fmt.Sprint("34=", 3+i))
	}
	c.send("2|7=5|16=0|") // all of that is kept
	for i := range 3 {
		c.expect("35=X", fmt.Sprint("34=", 5+i), "43=Y", fmt.Sprintf("270=10.0%d", 3+i))
	}
	c.send("1|112=KEPT|")
	c.expect("35=0", "34=8", "112=KEPT")
	if n := s.Counters().ResendsShort.Load(); n != 0 {
		t.Errorf("%d resends were short, want none", n)
	}
	c.send("2|7=1|16=0|") // of that not
	c.expect("35=4", "34=1", "36=5", "43=Y", "123=Y")
	for i := range 3 {
		c.expect("35=X", fmt.Sprint("34=", 5+i), "43=Y")
	}
	c.expect("35=4", "34=8", "36=9", "43=Y", "123=Y")
	c.expect("35=W", "34=9", "262=T", "270=10.05")
	c.send("2|7=2|16=3|") // nothing of that
	c.expect("35=4", "34=2", "36=4", "43=Y", "123=Y")
	c.expect("35=W", "34=10", "262=T")
	if n := s.Counters().ResendsShort.Load(); n != 2 {
		t.Errorf("%d resends were short, want 2", n)
	}
}
