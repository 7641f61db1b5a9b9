package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tickwire/tickwire/feed/pipeline"
	fixsession "github.com/tickwire/tickwire/feed/session/fix"
	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/parsers/fix"
	"github.com/tickwire/tickwire/ringbuf"
	simfix "github.com/tickwire/tickwire/sim/fix"
	"github.com/tickwire/tickwire/sim/fixgen"
	"github.com/tickwire/tickwire/tick"
)

// fixRun is a feed of protocol fix at a venue in a box, with a proxy between them that can spoil messages and cut the connection.
type fixRun struct {
	t      *testing.T
	venue  *simfix.Venue
	steps  uint64 // of its day
	proxy  *fixProxy
	p      *Process
	log    *lockedBuffer
	cancel context.CancelFunc
	ended  chan error
	inst   *ringbuf.InstReader
	last   *ringbuf.LastReader
	mbo    *ringbuf.Reader
	mbp1   *ringbuf.Reader
	mbp10  *ringbuf.Reader
	trades *ringbuf.Reader
	ids    map[string]uint32
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.String()
}

const fixSymbols, fixLevels = 6, 5

func fixMarket() fixgen.Options {
	return fixgen.Options{Seed: 11, Symbols: fixSymbols, Levels: fixLevels}
}

func within(t *testing.T, limit time.Duration, what string, good func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !good(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after %v: not yet %s", limit, what)
		}
	}
}

// startFIX starts venue, proxy and feed; the day has not begun, all books are there.
func startFIX(t *testing.T, version string, steps, rate int, spoil func(raw []byte) []byte) *fixRun {
	t.Helper()
	r := &fixRun{t: t, steps: uint64(steps), log: &lockedBuffer{}, ids: map[string]uint32{}}
	var err error
	r.venue, err = simfix.Start(simfix.Options{
		Server: fixsession.ServerConfig{Address: "127.0.0.1:0", SenderCompID: "VENUE", Clients: []string{"ME"}, QueueMessages: 1 << 20, QueueBytes: 64 << 20},
		Market: fixMarket(), Steps: steps, Rate: rate, Held: true,
	})
	must(t, err)
	t.Cleanup(func() { _ = r.venue.Close() })
	r.proxy = startFIXProxy(t, r.venue.Addr().String(), spoil)
	dir := t.TempDir()
	c, err := config.Parse(fmt.Appendf(nil, `
[instance]
name = "t"
ring_dir = %[1]q
run_dir = %[1]q
[[feed]]
name = "fx"
protocol = "fix"
publisher = 40003
depth = ["SYM0001"]
[feed.rings]
mbo = 262144
mbp1 = 262144
trades = 65536
[feed.fix]
version = %[2]q
address = %[3]q
sender = "ME"
target = "VENUE"
list = true
`, dir, version, r.proxy.address()), nil)
	must(t, err)
	r.p, err = Open(c, &c.Feed[0], slog.New(slog.NewTextHandler(r.log, nil)))
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	r.cancel, r.ended = cancel, make(chan error, 1)
	go func() { r.ended <- r.p.Run(ctx) }()
	t.Cleanup(func() {
		r.stop()
		if t.Failed() {
			t.Log(r.log.text())
		}
	})
	open := func(kind ringbuf.Kind) *ringbuf.Reader {
		one, err := ringbuf.Open(ringbuf.Path(dir, "t", "fx", "0", kind), ringbuf.ReaderOptions{Join: ringbuf.JoinOldest})
		must(t, err)
		t.Cleanup(func() { _ = one.Close() })
		return one
	}
	r.mbo, r.mbp1, r.mbp10, r.trades = open(ringbuf.KindMbo), open(ringbuf.KindMbp1), open(ringbuf.KindMbp10), open(ringbuf.KindTrades)
	r.inst, err = ringbuf.OpenInst(ringbuf.SidePath(dir, "t", "fx", "0", ringbuf.ExtInst))
	must(t, err)
	r.last, err = ringbuf.OpenLast(ringbuf.SidePath(dir, "t", "fx", "0", ringbuf.ExtLast), r.inst)
	must(t, err)
	t.Cleanup(func() { _, _ = r.inst.Close(), r.last.Close() })
	within(t, 20*time.Second, "all books there", func() bool { return r.client().Status().Live == fixSymbols && r.inst.Count() == fixSymbols })
	r.inst.Each(func(_ uint64, e *ringbuf.Inst) { r.ids[e.Symbol()] = e.InstrumentID })
	return r
}

func (r *fixRun) client() *fixsession.Client { return r.p.lanes[0].fix.client }

// stop is what SIGTERM does.
func (r *fixRun) stop() {
	if r.p == nil {
		return
	}
	r.cancel()
	must(r.t, <-r.ended)
	must(r.t, r.p.Close())
	r.p = nil
}

// books waits until the best prices in .last are the venue's, and are trusted.
func (r *fixRun) books() {
	r.t.Helper()
	why := ""
	defer func() {
		if r.t.Failed() {
			r.t.Log(why)
		}
	}()
	within(r.t, 30*time.Second, "the day over", func() bool { return r.venue.Steps() == r.steps })
	within(r.t, 20*time.Second, "the venue's books in .last, trusted", func() bool {
		for symbol, id := range r.ids {
			b, _ := r.venue.Book(symbol)
			rec, ok := r.last.Last(40003, id)
			if want := b.Pairs[0]; !ok || rec.Levels[0] != want || rec.Flags&tick.FlagMaybeBadBook != 0 {
				why = fmt.Sprintf("%s: %+v flags %#x, want %+v", symbol, rec.Levels[0], rec.Flags, want)
				return false
			}
		}
		return true
	})
}

func all[T any](t *testing.T, r *ringbuf.Reader) (recs []T) {
	t.Helper()
	some := make([]T, 1024)
	for {
		n, _, st := ringbuf.PollSlice(r, some)
		if st == ringbuf.Overrun {
			t.Fatal("overrun")
		}
		if n == 0 {
			return recs
		}
		recs = append(recs, some[:n]...)
	}
}

// levelsIn is what a reader of the mbo ring has who knows nothing else: by price, of each side.
func levelsIn(recs []tick.Mbo) map[uint32]map[byte]map[int64]uint32 {
	books := map[uint32]map[byte]map[int64]uint32{}
	for i := range recs {
		m := &recs[i]
		if m.RType != tick.RTypeMbo {
			continue
		}
		if books[m.InstrumentID] == nil || m.Action == tick.ActionClear {
			books[m.InstrumentID] = map[byte]map[int64]uint32{tick.SideBid: {}, tick.SideAsk: {}}
		}
		b := books[m.InstrumentID]
		switch m.Action {
		case tick.ActionAdd, tick.ActionModify:
			b[m.Side][m.Price] = m.Size
		case tick.ActionCancel:
			delete(b[m.Side], m.Price)
		}
	}
	return books
}

// wholeBooks waits until the levels in the mbo ring and the ten levels of SYM0001 are the venue's, and gives all records of the mbo ring, those before among
// them.
func (r *fixRun) wholeBooks(before []tick.Mbo) []tick.Mbo {
	r.t.Helper()
	recs, deep, why := before, [fixsession.MostLevels]tick.BidAskPair{}, ""
	good := func() bool {
		recs = append(recs, all[tick.Mbo](r.t, r.mbo)...)
		books := levelsIn(recs)
		for symbol, id := range r.ids {
			want := map[byte]map[int64]uint32{tick.SideBid: {}, tick.SideAsk: {}}
			b, _ := r.venue.Book(symbol)
			for _, p := range b.Pairs[:fixLevels] {
				want[tick.SideBid][p.BidPx], want[tick.SideAsk][p.AskPx] = p.BidSz, p.AskSz
			}
			if got, want := fmt.Sprint(books[id]), fmt.Sprint(want); got != want {
				why = fmt.Sprintf("%s in the mbo ring:\n got %s\nwant %s", symbol, got, want)
				return false
			}
		}
		if some := all[ringbuf.Mbp10Slot](r.t, r.mbp10); len(some) > 0 {
			deep = some[len(some)-1].Levels
		}
		b, _ := r.venue.Book("SYM0001")
		why = "mbp10 does not end with the venue's book"
		return deep == b.Pairs
	}
	for end := time.Now().Add(10 * time.Second); !good(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatal(why)
		}
	}
	return recs
}

// Goal: what a FIX venue says is in the rings: books by level and by best price, trades, the directory; and SIGTERM logs out. Method: a generated day
// over a real session, compared with the venue's own books, and with the day generated again.
func TestFIXFeed(t *testing.T) {
	for _, version := range []string{"4.2", "4.4", "5.0SP2"} {
		t.Run(version, func(t *testing.T) {
			const steps = 6000
			r := startFIX(t, version, steps, 4000, nil)
			if got, want := len(r.ids), fixSymbols; got != want || r.ids["SYM0001"] == 0 {
				t.Fatalf("directory: %v", r.ids)
			}
			r.venue.Begin()
			r.books()
			mbo := r.wholeBooks(nil)
			for i := range mbo {
				if mbo[i].RType == tick.RTypeGap || mbo[i].Flags&tick.FlagMaybeBadBook != 0 {
					t.Fatalf("a loss where there was none: %+v", mbo[i])
				}
			}
			tops, want := all[ringbuf.Mbp1Slot](t, r.mbp1), 0
			latest := map[uint32]tick.BidAskPair{}
			for i := range tops {
				latest[tops[i].InstrumentID] = tops[i].Levels[0]
			}
			g, was := fixgen.New(fixMarket()), fixsession.Book{}
			var volume, size uint64
			for range steps {
				if s := g.Next(&was); s.Trade {
					want, volume = want+1, volume+uint64(s.Size)
				}
			}
			for symbol, id := range r.ids {
				if b, _ := r.venue.Book(symbol); latest[id] != b.Pairs[0] {
					t.Errorf("%s: mbp1 ends with %+v, want %+v", symbol, latest[id], b.Pairs[0])
				}
			}
			trades := all[ringbuf.TradeSlot](t, r.trades)
			for i := range trades {
				size += uint64(trades[i].Size)
			}
			if len(trades) != want || size != volume {
				t.Errorf("%d trades of %d, want %d of %d", len(trades), size, want, volume)
			}
			if s := r.mbo.State(); s != ringbuf.StateRunning {
				t.Errorf("state %v", s)
			}
			r.stop()
			within(t, 10*time.Second, "logged out", func() bool { return r.proxy.logouts() > 0 })
			if s := r.mbo.State(); s != ringbuf.StateStopped {
				t.Errorf("after the end: state %v", s)
			}
		})
	}
}

// Goal: a connection that breaks is a loss at once, books are suspect and the rings say that nothing comes; once the venue is back and has sent
// its books again all is whole. Method: a proxy cuts and refuses for a while.
func TestFIXFeedBreaks(t *testing.T) {
	const steps = 8000
	r := startFIX(t, "4.4", steps, 2000, nil)
	r.venue.Begin()
	within(t, 10*time.Second, "some of the day", func() bool { return r.venue.Steps() > 1000 })
	r.proxy.cut(true)
	within(t, 10*time.Second, "down", func() bool { return r.mbo.State() == ringbuf.StateFeedDown })
	var recs []tick.Mbo
	within(t, 10*time.Second, "a gap, though no message has come since", func() bool {
		recs = append(recs, all[tick.Mbo](t, r.mbo)...)
		return len(gapsIn(recs, tick.GapLost)) == 1
	})
	for symbol, id := range r.ids {
		if rec, ok := r.last.Last(40003, id); !ok || rec.Flags&tick.FlagMaybeBadBook == 0 {
			t.Errorf("%s: the latest value is not suspect: flags %#x", symbol, rec.Flags)
		}
	}
	if g := gapsIn(recs, tick.GapLost)[0]; g.InstrumentID != 0 || g.Messages != 0 {
		t.Errorf("%+v", g)
	}
	r.proxy.cut(false)
	within(t, 20*time.Second, "up again", func() bool { return r.mbo.State() == ringbuf.StateRunning && r.client().Status().Live == fixSymbols })
	r.books()
	recs = r.wholeBooks(recs)
	whole, lost := map[uint32]bool{}, false
	for i := range recs {
		m := &recs[i]
		switch {
		case m.RType == tick.RTypeGap:
			lost = true
			clear(whole)
		case lost && m.Action == tick.ActionClear:
			whole[m.InstrumentID] = true
		}
		if suspect := m.Flags&tick.FlagMaybeBadBook != 0; m.RType == tick.RTypeMbo && suspect != (lost && !whole[m.InstrumentID]) {
			t.Fatalf("record %d, after a loss %v, whole again %v: %+v", i, lost, whole[m.InstrumentID], m)
		}
	}
	if len(whole) != fixSymbols {
		t.Errorf("%d instruments are whole again", len(whole))
	}
	if n := r.client().Counters(); n.Logons.Load() != 2 || r.p.lanes[0].fix.source.Breaks() != 1 && n.Gaps.Load() == 0 {
		t.Errorf("logons %d, breaks %d", n.Logons.Load(), r.p.lanes[0].fix.source.Breaks())
	}
}

// resum gives a message its sum again.
func resum(raw []byte) []byte {
	at := len(raw) - len("10=000|")
	return fmt.Appendf(raw[:at:at], "10=%03d\x01", fix.Sum(raw[:at]))
}

// Goal: where the venue's own count shows that entries are missing, the instrument alone is suspect, is subscribed to anew, and is whole with its
// W. Method: the proxy changes RptSeq of one X.
func TestFIXFeedLosesEntries(t *testing.T) {
	const steps = 6000
	n, symbol := 0, ""
	r := startFIX(t, "5.0SP2", steps, 2000, func(raw []byte) []byte {
		rpt := valueOf(raw, "83")
		if valueOf(raw, "35") != "X" || rpt == "" {
			return raw
		}
		if n++; n != 200 {
			return raw
		}
		symbol = valueOf(raw, "55") // of the first entry, as RptSeq
		other := []byte(rpt)
		other[len(other)-1] = '0' + (other[len(other)-1]-'0'+3)%10
		return resum(bytes.Replace(raw, []byte("\x0183="+rpt+"\x01"), []byte("\x0183="+string(other)+"\x01"), 1))
	})
	r.venue.Begin()
	r.books()
	within(t, 10*time.Second, "subscribed anew", func() bool { return r.client().Counters().Renewed.Load() > 0 })
	recs := r.wholeBooks(nil)
	id := r.ids[symbol]
	gaps := gapsIn(recs, tick.GapLost)
	if id == 0 || len(gaps) != 1 || gaps[0].InstrumentID != id {
		t.Fatalf("%s is %d; gaps %+v", symbol, id, gaps)
	}
	flagged, counted := 0, map[uint32]int{}
	for i := range recs {
		if m := &recs[i]; m.RType == tick.RTypeMbo && m.Flags&tick.FlagMaybeBadBook != 0 {
			flagged++
			counted[m.InstrumentID]++
		}
	}
	if flagged == 0 || counted[id] != flagged {
		t.Errorf("suspect records by instrument: %v, want of %d alone", counted, id)
	}
	if trades, want := all[ringbuf.TradeSlot](t, r.trades), tradesOf(steps); len(trades) != want {
		t.Errorf("%d trades, want %d: a subscription anew loses none of what goes on", len(trades), want)
	}
	if c := r.client().Counters(); c.Resubscribe.Load() != 0 {
		t.Errorf("all was subscribed to anew %d times", c.Resubscribe.Load())
	}
}

func tradesOf(steps int) (n int) {
	g, was := fixgen.New(fixMarket()), fixsession.Book{}
	for range steps {
		if g.Next(&was).Trade {
			n++
		}
	}
	return n
}

// Goal: a message that cannot be read is a loss of everybody's, in its place, and everything is subscribed to anew. Method: the proxy makes a price
// of one X a word.
func TestFIXFeedRefuses(t *testing.T) {
	const steps = 6000
	n := 0
	r := startFIX(t, "4.2", steps, 2000, func(raw []byte) []byte {
		if valueOf(raw, "35") != "X" {
			return raw
		}
		if n++; n != 500 {
			return raw
		}
		px := valueOf(raw, "270")
		return resum(bytes.Replace(raw, []byte("\x01270="+px+"\x01"), []byte("\x01270="+strings.Repeat("x", len(px))+"\x01"), 1))
	})
	r.venue.Begin()
	r.books()
	within(t, 10*time.Second, "subscribed anew", func() bool { return r.client().Counters().Renewed.Load() == 1 })
	r.books()
	recs := r.wholeBooks(nil)
	if gaps := gapsIn(recs, tick.GapLost); len(gaps) != 1 || gaps[0].InstrumentID != 0 || gaps[0].First != gaps[0].Last {
		t.Errorf("gaps %+v", gaps)
	}
	if !strings.Contains(r.log.text(), "a message could not be read") {
		t.Error("the log does not say it")
	}
}

func valueOf(raw []byte, tag string) string {
	_, rest, _ := strings.Cut(string(raw), "\x01"+tag+"=")
	value, _, _ := strings.Cut(rest, "\x01")
	return value
}

// fixProxy passes a venue's messages on, spoiled where it is told to.
type fixProxy struct {
	l     net.Listener
	venue string
	spoil func(raw []byte) []byte

	mu    sync.Mutex
	gone  bool
	conns []net.Conn
	outs  int // logouts that clients sent
}

func startFIXProxy(t *testing.T, venue string, spoil func([]byte) []byte) *fixProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	x := &fixProxy{l: l, venue: venue, spoil: spoil}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", venue)
			x.mu.Lock()
			if err != nil || x.gone {
				x.mu.Unlock()
				_ = near.Close()
				if far != nil {
					_ = far.Close()
				}
				continue
			}
			x.conns = append(x.conns, near, far)
			x.mu.Unlock()
			wg.Go(func() { x.pass(near, far, x.spoil) })
			wg.Go(func() { x.pass(far, near, x.heard) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		x.cut(true)
		wg.Wait()
	})
	return x
}

func (x *fixProxy) address() string { return x.l.Addr().String() }

func (x *fixProxy) heard(raw []byte) []byte {
	if valueOf(raw, "35") == "5" {
		x.mu.Lock()
		x.outs++
		x.mu.Unlock()
	}
	return raw
}

func (x *fixProxy) logouts() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.outs
}

// cut breaks all connections, and refuses others until it is called with false.
func (x *fixProxy) cut(gone bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.gone = gone
	for _, c := range x.conns {
		_ = c.Close()
	}
	x.conns = nil
}

func (x *fixProxy) pass(to, from net.Conn, change func([]byte) []byte) {
	defer to.Close()
	var s fix.Stream
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		s.Add(b[:n])
		for raw := s.Next(); raw != nil; raw = s.Next() {
			if change != nil {
				raw = change(append([]byte(nil), raw...))
			}
			if _, err := to.Write(raw); err != nil && !errors.Is(err, net.ErrClosed) {
				return
			}
		}
	}
}

var _ pipeline.Decoder = (*fix.Decoder)(nil)
