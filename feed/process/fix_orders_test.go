package process

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	fixsession "github.com/tickwire/tickwire/feed/session/fix"
	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/parsers/fix"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// idVenue is a venue, by hand, that tells its orders by MDEntryID: W of all that rest when it is asked, then X. What rests it keeps in a plain map.
type idVenue struct {
	t       *testing.T
	l       net.Listener
	dict    *fix.Dictionary
	symbols []string

	mu     sync.Mutex
	conn   net.Conn
	rand   *rand.Rand
	seq    int // the last number sent
	ids    int // given so far
	orders map[string]*idOrder
	runs   map[string]string // symbol: MDReqID
	faults []string
}

type idOrder struct {
	symbol string
	side   byte // '0' or '1'
	cents  int
	size   int
}

func startIDVenue(t *testing.T, symbols ...string) *idVenue {
	t.Helper()
	dict, err := fix.Builtin("FIX.4.4")
	must(t, err)
	v := &idVenue{t: t, dict: dict, symbols: symbols, rand: rand.New(rand.NewPCG(8, 8)), orders: map[string]*idOrder{}, runs: map[string]string{}}
	v.l, err = net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := v.l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { v.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = v.l.Close()
		v.cut()
		wg.Wait()
	})
	return v
}

// serve answers a client.
func (v *idVenue) serve(conn net.Conn) {
	var s fix.Stream
	var m fix.Message
	buf := make([]byte, 64<<10)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			_ = conn.Close()
			return
		}
		s.Add(buf[:n])
		for raw := s.Next(); raw != nil; raw = s.Next() {
			v.mu.Lock()
			if err := m.Parse(raw, v.dict); err != nil {
				v.faults = append(v.faults, err.Error())
			} else {
				v.answer(conn, &m)
			}
			v.mu.Unlock()
		}
	}
}

func (v *idVenue) answer(conn net.Conn, m *fix.Message) {
	switch string(m.MsgType()) {
	case "A":
		clear(v.runs)
		v.conn = conn
		v.send("A", "98=0|108=30|")
	case "1":
		v.send("0", fmt.Sprintf("112=%s|", m.Get(112)))
	case "2": // old quotes have no value
		from, _ := strconv.Atoi(string(m.Get(7)))
		v.write(from, "4", fmt.Sprintf("43=Y|122=%s|123=Y|36=%d|", time.Now().UTC().Format("20060102-15:04:05.000"), v.seq+1))
	case "5":
		v.send("5", "")
	case "V":
		var r fix.MDRequest
		if err := r.Decode(m); err != nil {
			v.faults = append(v.faults, err.Error())
			return
		}
		if r.Aggregated != 'N' {
			v.faults = append(v.faults, "the client does not ask for orders")
		}
		for i := range r.Instruments {
			symbol := string(r.Instruments[i].Symbol)
			if r.Subscription != '2' {
				v.runs[symbol] = string(r.ReqID)
				v.book(symbol)
			} else if v.runs[symbol] == string(r.ReqID) {
				delete(v.runs, symbol)
			}
		}
	}
}

func (v *idVenue) book(symbol string) {
	n, body := 0, ""
	for id, o := range v.orders {
		if o.symbol == symbol {
			n++
			body += fmt.Sprintf("269=%c|270=%d.%02d|271=%d|278=%s|", o.side, o.cents/100, o.cents%100, o.size, id)
		}
	}
	v.send("W", fmt.Sprintf("55=%s|262=%s|268=%d|%s", symbol, v.runs[symbol], n, body))
}

func (v *idVenue) send(typ, body string) {
	if v.conn == nil {
		return
	}
	v.seq++
	v.write(v.seq, typ, body)
}

func (v *idVenue) write(seq int, typ, body string) {
	stamp := time.Now().UTC().Format("20060102-15:04:05.000")
	body = fmt.Sprintf("35=%s|34=%d|49=VENUE|52=%s|56=ME|%s", typ, seq, stamp, body)
	raw := strings.ReplaceAll(fmt.Sprintf("8=FIX.4.4|9=%d|%s", len(body), body), "|", "\x01")
	_, _ = v.conn.Write(fmt.Appendf(nil, "%s10=%03d\x01", raw, fix.Sum([]byte(raw))))
}

func (v *idVenue) cut() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.conn != nil {
		_ = v.conn.Close()
		v.conn = nil
	}
}

// step changes up to four orders of an instrument, and tells it unless it is to be lost.
func (v *idVenue) step(lost bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	symbol := v.symbols[v.rand.IntN(len(v.symbols))]
	var mine []string
	for id, o := range v.orders {
		if o.symbol == symbol {
			mine = append(mine, id)
		}
	}
	n, body := 0, ""
	add := func(format string, args ...any) {
		n++
		body += fmt.Sprintf(format, args...)
	}
	for range 1 + v.rand.IntN(4) {
		if len(mine) == 0 || len(mine) < 80 && v.rand.IntN(2) == 0 {
			v.ids++
			id, o := fmt.Sprint("id-", v.ids), &idOrder{symbol, byte('0' + v.rand.IntN(2)), 0, 1 + v.rand.IntN(900)}
			if o.cents = 10_000 - v.rand.IntN(40); o.side == '1' {
				o.cents = 10_001 + v.rand.IntN(40)
			}
			v.orders[id], mine = o, append(mine, id)
			add("279=0|269=%c|278=%s|55=%s|270=%d.%02d|271=%d|", o.side, id, symbol, o.cents/100, o.cents%100, o.size)
			continue
		}
		at := v.rand.IntN(len(mine))
		id := mine[at]
		o := v.orders[id]
		switch v.rand.IntN(3) {
		case 0:
			o.size = 1 + v.rand.IntN(900)
			add("279=1|269=%c|278=%s|55=%s|270=%d.%02d|271=%d|", o.side, id, symbol, o.cents/100, o.cents%100, o.size)
		case 1: // under another id
			v.ids++
			again := fmt.Sprint("id-", v.ids)
			delete(v.orders, id)
			v.orders[again], mine[at] = o, again
			add("279=1|269=%c|278=%s|280=%s|55=%s|270=%d.%02d|271=%d|", o.side, again, id, symbol, o.cents/100, o.cents%100, o.size)
		default:
			delete(v.orders, id)
			mine = append(mine[:at], mine[at+1:]...)
			add("279=2|269=%c|278=%s|55=%s|", o.side, id, symbol)
		}
	}
	if request, ok := v.runs[symbol]; ok && !lost {
		v.send("X", fmt.Sprintf("262=%s|268=%d|%s", request, n, body))
	}
}

// levels is what the venue has of a symbol: sizes by side and price, and how many orders.
func (v *idVenue) levels(symbol string) (out map[byte]map[int64]int, orders int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	out = map[byte]map[int64]int{'0': {}, '1': {}}
	for _, o := range v.orders {
		if o.symbol == symbol {
			out[o.side][int64(o.cents)*1e7] += o.size
			orders++
		}
	}
	return out, orders
}

// priceReader rebuilds books from W and X of a server of ours, by price.
type priceReader struct {
	mu    sync.Mutex
	dict  *fix.Dictionary
	m     fix.Message
	books map[string]map[byte]map[int64]int
}

func (r *priceReader) take(raw []byte, _ time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.m.Parse(raw, r.dict) != nil {
		return
	}
	symbol, whole := string(r.m.Get(55)), string(r.m.MsgType()) == "W"
	if whole {
		r.books[symbol] = map[byte]map[int64]int{'0': {}, '1': {}}
	}
	for _, e := range r.m.Entries(nil, 268) {
		if !whole {
			symbol = string(r.m.In(e, 55))
		}
		side := r.books[symbol][r.m.In(e, 269)[0]]
		px, _ := fix.Price(r.m.In(e, 270))
		if size, _ := strconv.Atoi(string(r.m.In(e, 271))); string(r.m.In(e, 279)) != "2" {
			side[px] = size
		} else {
			delete(side, px)
		}
	}
}

// Goal: a live session with a venue that tells orders by MDEntryID: they are orders of the mbo ring, through a lost message (an id that is not there: that
// instrument is asked for anew) and a broken connection (all are). And out again: the full book that a FIX client has of that feed, from the .snap that the feed
// writes and its mbo ring, is the venue's. Method: a venue by hand, the feed's process, our server on its rings, a client.
func TestFIXOrdersLive(t *testing.T) {
	v := startIDVenue(t, "AAA", "BBB", "CCC")
	for range 300 {
		v.step(false)
	}
	dir := t.TempDir()
	c, err := config.Parse(fmt.Appendf(nil, `
[instance]
name = "t"
ring_dir = %[1]q
run_dir = %[1]q
[[feed]]
name = "ids"
protocol = "fix"
product = "orders"
publisher = 40003
[feed.rings]
mbo = 262144
mbp1 = 65536
[feed.fix]
version = "4.4"
address = %[2]q
sender = "ME"
target = "VENUE"
symbols = ["AAA", "BBB", "CCC"]
`, dir, v.l.Addr()), nil)
	must(t, err)
	log := &lockedBuffer{}
	p, err := Open(c, &c.Feed[0], slog.New(slog.NewTextHandler(log, nil)))
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		must(t, <-ended)
		must(t, p.Close())
		if t.Failed() {
			t.Log(log.text())
		}
	})
	client := p.lanes[0].fix.client
	mbo, err := ringbuf.Open(ringbuf.Path(dir, "t", "ids", "0", ringbuf.KindMbo), ringbuf.ReaderOptions{Join: ringbuf.JoinOldest})
	must(t, err)
	defer mbo.Close()
	inst, err := ringbuf.OpenInst(ringbuf.SidePath(dir, "t", "ids", "0", ringbuf.ExtInst))
	must(t, err)
	defer inst.Close()

	type key struct{ instrument, id uint64 }
	rests := map[key]tick.Mbo{}
	why := ""
	same := func(what string) {
		t.Helper()
		defer func() {
			if t.Failed() {
				t.Log(why)
			}
		}()
		within(t, time.Minute, what, func() bool {
			for _, r := range all[tick.Mbo](t, mbo) {
				k := key{uint64(r.InstrumentID), r.OrderID}
				switch o := rests[k]; {
				case r.RType != tick.RTypeMbo:
				case r.Action == tick.ActionAdd || r.Action == tick.ActionModify:
					rests[k] = r
				case r.Action == tick.ActionCancel && o.Size > r.Size:
					o.Size -= r.Size
					rests[k] = o
				case r.Action == tick.ActionCancel:
					delete(rests, k)
				case r.Action == tick.ActionClear:
					for o := range rests {
						if o.instrument == k.instrument {
							delete(rests, o)
						}
					}
				}
			}
			good := inst.Count() == 3
			inst.Each(func(_ uint64, e *ringbuf.Inst) {
				got, n := map[byte]map[int64]int{'0': {}, '1': {}}, 0
				for k, o := range rests {
					if k.instrument == uint64(e.InstrumentID) {
						got['0'+tick.SideBid-o.Side][o.Price] += int(o.Size)
						n++
					}
				}
				if want, orders := v.levels(e.Symbol()); fmt.Sprint(got) != fmt.Sprint(want) || n != orders {
					why, good = fmt.Sprintf("%s: %d orders %v, want %d %v", e.Symbol(), n, got, orders, want), false
				}
			})
			return good
		})
	}
	within(t, time.Minute, "all books there", func() bool { return client.Status().Live == 3 })
	same("the venue's orders are in the mbo ring")
	for range 500 {
		v.step(false)
	}
	same("and what became of them")
	v.step(true)
	within(t, time.Minute, "the loss is seen, and a book asked for anew", func() bool {
		v.step(false)
		return client.Counters().Renewed.Load() > 0
	})
	same("after a lost message")
	v.cut()
	for range 100 { // which nobody hears
		v.step(false)
	}
	within(t, time.Minute, "logged on again", func() bool {
		return client.Status().Up && client.Status().Live == 3 && client.Counters().Logons.Load() == 2
	})
	same("after a break")

	market, err := fixsession.OpenRings(fixsession.RingOptions{RingDir: dir, Instance: "t", StaleAfter: time.Minute})
	must(t, err)
	server, err := fixsession.Serve(fixsession.ServerConfig{Address: "127.0.0.1:0", Clients: []string{"BUYER"}, BookPatience: time.Minute}, market)
	must(t, err)
	defer server.Close()
	dict, err := fix.Builtin("FIX.5.0SP2")
	must(t, err)
	r := &priceReader{dict: dict, books: map[string]map[byte]map[int64]int{}}
	buyer, err := fixsession.Open(fixsession.Config{
		Session: fixsession.Session{Version: fixsession.V50SP2, SenderCompID: "BUYER", TargetCompID: "TICKWIRE"}, Address: server.Addr().String(),
		Symbols: []string{"AAA", "BBB", "CCC"},
	}, r.take)
	must(t, err)
	defer buyer.Close()
	served := func(what string) {
		t.Helper()
		within(t, time.Minute, what, func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, symbol := range v.symbols {
				if want, _ := v.levels(symbol); fmt.Sprint(r.books[symbol]) != fmt.Sprint(want) {
					return false
				}
			}
			return true
		})
	}
	served("the full book at the client of our server")
	for range 500 {
		v.step(false)
	}
	served("and what became of it")
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, f := range v.faults {
		t.Error(f)
	}
}
