package consolidate

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
	"unsafe"

	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// producer is a venue's feed as far as this package sees it: real rings, written by the test.
type producer struct {
	t         *testing.T
	publisher uint16
	mbp1      *ringbuf.Writer
	events    *ringbuf.Writer
	inst      *ringbuf.InstWriter
	last      *ringbuf.LastWriter
	at        uint64
}

func produce(t *testing.T, dir, feed string, publisher uint16) *producer {
	t.Helper()
	return produceLane(t, dir, feed, "0", publisher)
}

func produceLane(t *testing.T, dir, feed, lane string, publisher uint16) *producer {
	t.Helper()
	p := &producer{t: t, publisher: publisher, at: uint64(time.Now().UnixNano())}
	must(t, os.MkdirAll(filepath.Join(dir, "main"), 0o755))
	var err error
	for kind, w := range map[ringbuf.Kind]**ringbuf.Writer{ringbuf.KindMbp1: &p.mbp1, ringbuf.KindEvents: &p.events} {
		*w, err = ringbuf.Create(ringbuf.Path(dir, "main", feed, lane, kind), ringbuf.Options{Kind: kind, Slots: 1024, Publisher: publisher, Dataset: "SIM.X"})
		must(t, err)
		(*w).SetState(ringbuf.StateRunning)
	}
	p.inst, err = ringbuf.CreateInst(ringbuf.SidePath(dir, "main", feed, lane, ringbuf.ExtInst), 1024, ringbuf.SideOptions{})
	must(t, err)
	p.last, err = ringbuf.CreateLast(ringbuf.SidePath(dir, "main", feed, lane, ringbuf.ExtLast), p.inst, publisher, ringbuf.SideOptions{})
	must(t, err)
	p.beat()
	return p
}

func (p *producer) beat() {
	p.mbp1.Beat(ringbuf.MonotonicNow())
	p.events.Beat(ringbuf.MonotonicNow())
}

func (p *producer) close() {
	must(p.t, p.mbp1.Close())
	must(p.t, p.events.Close())
	must(p.t, p.last.Close())
	must(p.t, p.inst.Close())
}

func (p *producer) define(id uint32, symbol string) {
	d := tick.UndefDefinition
	d.PublisherID, d.InstrumentID = p.publisher, id
	copy(d.RawSymbol[:], symbol)
	must(p.t, p.inst.Put(&d, 0))
}

func (p *producer) quote(id uint32, bid int64, bidSz uint32, ask int64, askSz uint32) {
	p.at++
	q := quoteOf(id, p.at, bid, bidSz, ask, askSz, 0)
	q.PublisherID = p.publisher
	p.last.Put(id, q)
	p.mbp1.Publish(unsafe.Pointer(q), 1)
	p.mbp1.PublishHint()
	p.beat()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestRun: venues that come late, stop, start again, begin a new session, and overtake their reader.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	one := produce(t, dir, "one", 2)
	one.define(5, "AAPL")
	one.quote(5, 100, 3, 102, 4) // before anybody looks: it is in .last
	p, err := Open(RunOptions{RingDir: dir, Instance: "main", Name: "cons", Feeds: []string{"one", "two"}, Publishers: []uint16{2, 9}, Slots: 1 << 14})
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	var beating []*producer // those that are meant to live
	beats := func(all ...*producer) { beating = all }
	r, err := ringbuf.Open(ringbuf.Path(dir, "main", "cons", "0", ringbuf.KindCbbo), ringbuf.ReaderOptions{Join: ringbuf.JoinOldest})
	must(t, err)
	defer r.Close()

	// see waits until the newest record says so.
	newest := "nothing"
	see := func(what, want string) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
			for _, b := range beating {
				b.beat()
			}
			var recs [64]ringbuf.CbboSlot
			n, _, _ := ringbuf.PollSlice(r, recs[:])
			for i := range recs[:n] {
				c := &recs[i]
				if c.RType != tick.RTypeCmbp1 || c.PublisherID != tick.PublisherCBBO || c.TsPublish == 0 || c.Venues != 2 {
					t.Fatalf("record %+v", c)
				}
				l := &c.Levels[0]
				newest = fmt.Sprintf("%s@%d / %s@%d live%d", side(l.BidPx, l.BidSz), l.BidPb, side(l.AskPx, l.AskSz), l.AskPb, c.Live)
			}
			if newest == want {
				return
			}
			time.Sleep(time.Millisecond)
		}
		t.Fatalf("%s: shows %s, want %s", what, newest, want)
	}
	beats(one)
	see("joined late: the latest values", "3×100@2 / 4×102@2 live1")
	two := produce(t, dir, "two", 9)
	two.define(70, "AAPL")
	beats(one, two)
	two.quote(70, 101, 1, 103, 1)
	see("a venue that came later", "1×101@9 / 4×102@2 live2")
	two.close()
	beats(one)
	see("its feed has stopped", "3×100@2 / 4×102@2 live1")
	two = produce(t, dir, "two", 9)
	two.define(71, "AAPL")
	beats(one, two)
	two.quote(71, 100, 9, 103, 1)
	see("started again, with other numbers", "9×100@9 / 4×102@2 live2")
	one.inst.Reset() // a new session: 5 is nobody's, then another's
	one.last.Reset()
	one.define(5, "MSFT")
	one.define(6, "AAPL")
	one.quote(6, 99, 1, 101, 7)
	see("a new session", "9×100@9 / 7×101@2 live2")
	for i := range 5000 { // five times the ring, at once
		one.quote(6, 90, uint32(i+1), 95, 1)
	}
	one.quote(6, 98, 5, 99, 6)
	see("after an overrun", "9×100@9 / 6×99@2 live2")
	stop()
	must(t, <-ended)
	engine, lanes := p.Counters()
	if engine.Crossed == 0 || lanes.Restarts == 0 || lanes.Sessions == 0 || lanes.LiveOpen != 2 {
		t.Errorf("%+v %+v", engine, lanes)
	}
	must(t, p.Close())
	one.close()
	two.close()
	in, err := ringbuf.OpenInst(ringbuf.SidePath(dir, "main", "cons", "0", ringbuf.ExtInst))
	must(t, err)
	defer in.Close()
	if e, ok := in.Lookup(tick.PublisherCBBO, 1); !ok || e.Symbol() != "AAPL" {
		t.Errorf("the directory's first instrument is %q", e.Symbol())
	}
}

// TestWhatQuotesAreWorth: what makes a venue's quotes worth nothing, although no record of theirs comes: a loss, a session that begins and says nothing yet, a
// halt that was told while the events ring overtook us. And a lane's new session takes nothing from the venue's other lane.
func TestWhatQuotesAreWorth(t *testing.T) {
	dir := t.TempDir()
	a, b := produceLane(t, dir, "one", "0", 2), produceLane(t, dir, "one", "1", 2)
	defer a.close()
	defer b.close()
	a.define(5, "AAPL")
	b.define(8, "MSFT")
	a.quote(5, 100, 3, 102, 4)
	b.quote(8, 50, 3, 52, 4)
	var out tape
	e, err := New(Options{Publishers: []uint16{2}}, &out)
	must(t, err)
	var c LaneCounters
	var lanes []*lane
	for _, name := range []string{"0", "1"} {
		l := &lane{dir: dir, entry: ringbuf.Entry{Instance: "main", Feed: "one", Lane: name, Path: ringbuf.Path(dir, "main", "one", name, ringbuf.KindMbp1)}}
		must(t, l.open())
		defer l.close()
		l.load(e)
		lanes = append(lanes, l)
	}
	look := func(what string, want ...string) {
		t.Helper()
		for _, l := range lanes {
			if _, gone := l.take(e, &c, a.at); gone {
				t.Fatal("a lane is gone")
			}
		}
		expect(t, what, out.take(), want...)
	}
	look("joined", "AAPL 3×100@2 / 4×102@2 live1 stale0", "MSFT 3×50@2 / 4×52@2 live1 stale0")

	gap := func(p *producer, state uint8, flags uint8, id uint32, q *ringbuf.Mbp1Slot) {
		p.at++
		q.PublisherID, q.Flags, q.TsRecv, q.Action = 2, flags, p.at, tick.ActionNone
		p.last.Put(id, q)
		rec := ringbuf.EventSlot{}
		*(*tick.Gap)(unsafe.Pointer(&rec)) = tick.Gap{Header: tick.Header{Length: 14, RType: tick.RTypeGap, PublisherID: 2}, First: 7, Last: 9, State: state}
		p.events.Publish(unsafe.Pointer(&rec), 1)
		p.events.PublishHint()
	}
	gap(a, tick.GapLost, tick.FlagMaybeBadBook, 5, quoteOf(5, 0, 100, 3, 102, 4, 0))
	look("a loss: nobody knows what AAPL is", "AAPL -@0 / -@0 live0 stale0")
	gap(a, tick.GapClosed, 0, 5, quoteOf(5, 0, 100, 3, 102, 4, 0))
	look("rebuilt", "AAPL 3×100@2 / 4×102@2 live1 stale0")

	a.at += 1000 // the lane's clock, which is ahead of the stamps of packets that it has yet to take
	gap(a, tick.GapLost, tick.FlagMaybeBadBook, 5, quoteOf(5, 0, 100, 3, 102, 4, 0))
	look("another loss", "AAPL -@0 / -@0 live0 stale0")
	a.at -= 1000
	a.quote(5, 100, 3, 103, 4)
	look("a packet of before that", "AAPL 3×100@2 / 4×103@2 live1 stale0")
	a.quote(5, 100, 3, 102, 4)
	look("and another", "AAPL 3×100@2 / 4×102@2 live1 stale0")
	a.at += 1000

	must(t, a.inst.SetStatus(2, 5, uint8(tick.StatusHalt)))
	for range 3000 {
		rec := ringbuf.EventSlot{}
		*(*tick.Status)(unsafe.Pointer(&rec)) = tick.Status{Header: tick.Header{Length: 10, RType: tick.RTypeStatus, PublisherID: 2, InstrumentID: 99}, Action: tick.StatusTrading}
		a.events.Publish(unsafe.Pointer(&rec), 1)
	}
	a.events.PublishHint()
	look("a halt in an overrun", "AAPL -@0 / -@0 live0 stale0")
	must(t, a.inst.SetStatus(2, 5, uint8(tick.StatusTrading)))
	gap(a, tick.GapClosed, 0, 5, quoteOf(5, 0, 100, 3, 102, 4, 0))
	for range 100 { // what is left of the events
		lanes[0].take(e, &c, a.at)
	}
	expect(t, "it trades", out.take(), "AAPL 3×100@2 / 4×102@2 live1 stale0")

	a.quote(5, 99, 3, 102, 4) // of the session before, when it is read; and 5 is another symbol by then
	a.inst.Reset()
	a.last.Reset()
	a.define(5, "IBM")
	look("a new session that says nothing yet", "AAPL -@0 / -@0 live0 stale0")
	a.quote(5, 200, 1, 201, 1)
	look("it says something", "IBM 1×200@2 / 1×201@2 live1 stale0")
	if c.Sessions != 1 || c.Unnamed != 0 {
		t.Errorf("%+v", c)
	}
}
