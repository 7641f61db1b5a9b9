package process

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/protocol"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/feed/symbols"
	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/nic"
	parser "github.com/tickwire/tickwire/parsers/mdp3"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/sim/exchange"
	"github.com/tickwire/tickwire/sim/mdp3"
	"github.com/tickwire/tickwire/sim/mdp3gen"
	"github.com/tickwire/tickwire/sim/mold"
	"github.com/tickwire/tickwire/tick"
)

// cmeTest is a channel in a box on lo, and the feed that receives it.
type cmeTest struct {
	*running
	t    *testing.T
	g    *mdp3gen.Gen
	e    *mdp3.Exchange
	lost []exchange.Span // packets that neither line had; read it after end
	ran  chan error
	stop func()
	look func()    // at the feed, when its lane has ended
	more [2]string // settings of its [[feed]], and of its recovery
}

const (
	cmeRate     = 10_000 // events a second
	cmePassword = "pass word"
)

// cmeExchange opens a channel whose market has so many messages, on groups of its own, and does not begin.
func cmeExchange(t *testing.T, messages uint64, seed uint64, o mdp3.Options) *cmeTest {
	return cmeExchangeOf(t, messages, seed, o, func(g *mdp3gen.Gen) mdp3.Market { return g })
}

// cmeExchangeOf is cmeExchange of what is made of the market.
func cmeExchangeOf(t *testing.T, messages uint64, seed uint64, o mdp3.Options, of func(*mdp3gen.Gen) mdp3.Market) *cmeTest {
	x := &cmeTest{t: t, ran: make(chan error, 1)}
	var err error
	x.g, err = mdp3gen.New(mdp3gen.Options{Live: true, Messages: messages, Instruments: 24, Seed: seed, LongQty: seed%2 == 1})
	must(t, err)
	port := freePort(t)
	on := func(last byte) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{239, 255, 79, last}), port)
	}
	o.Linger = time.Minute
	if o.Rate == 0 {
		o.Rate = cmeRate
	}
	if o.Keep == 0 {
		o.Keep = 1 << 17
	}
	o.Channel.HeartbeatNs = 100_000_000 // what is lost at the end shows soon
	o.Lines.Seed, o.Lines.A.Group, o.Lines.B.Group = seed, on(1), on(2)
	o.Lines.Lost = func(_ [10]byte, first uint64, count int) {
		x.lost = append(x.lost, exchange.Span{First: first, Last: first + uint64(count) - 1})
	}
	for kind, to := range []*netip.AddrPort{&o.Levels, &o.Orders, &o.Definitions} {
		if to.IsValid() {
			*to = on(byte(3 + kind))
		}
	}
	x.e, err = mdp3.NewExchange(of(x.g), o)
	must(t, err)
	t.Cleanup(func() { must(t, x.e.Close()) })
	return x
}

func loops() mdp3.Options {
	return mdp3.Options{Levels: mdp3.LevelsA, Orders: mdp3.OrdersA, Definitions: mdp3.DefinitionsA}
}

// begin has the market go.
func (x *cmeTest) begin() {
	ctx, cancel := context.WithCancel(x.t.Context())
	go func() { x.ran <- x.e.Run(ctx) }()
	x.stop = sync.OnceFunc(func() { cancel(); must(x.t, <-x.ran) })
	x.t.Cleanup(x.stop)
}

// join starts the feed that the exchange's own configuration describes.
func (x *cmeTest) join() {
	x.t.Helper()
	x.running = &running{dir: x.t.TempDir(), said: &said{}}
	text := strings.Replace(x.e.Config(), `name = "sim"`, `name = "nq"`, 1)
	text = strings.Replace(text, `name = "nq"`, `name = "nq"`+"\n"+x.more[0], 1)
	if !strings.Contains(text, "[feed.recovery]") {
		text += "\n[feed.recovery]\n"
	}
	if strings.Contains(text, "user =") {
		path := filepath.Join(x.dir, "password")
		must(x.t, os.WriteFile(path, []byte(cmePassword+"\n"), 0o600))
		text += fmt.Sprintf("password_file = %q\n", path)
	}
	text += fmt.Sprintf("wait = \"10ms\"\nhold_max = \"3s\"\nhold_packets = 16384\n%[2]s\n[feed.rings]\nmbo = 1048576\nmbp1 = 524288\next = 262144\n[instance]\nname = \"t\"\nring_dir = %[1]q\nrun_dir = %[1]q\n", x.dir, x.more[1])
	c, err := config.Parse([]byte(text), nil)
	must(x.t, err)
	x.Process, err = Open(c, &c.Feed[0], slog.New(slog.NewTextHandler(io.MultiWriter(x.said), nil)))
	must(x.t, err)
	ctx, cancel := context.WithCancel(x.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- x.Run(ctx) }()
	x.end = sync.OnceValue(func() error {
		cancel()
		err := <-ended
		if x.look != nil {
			x.look()
		}
		must(x.t, x.Close())
		return err
	})
	x.t.Cleanup(func() { must(x.t, x.end()) })
}

// settle waits until the market has ended, the feed has all of it, and no rebuild is under way; then the exchange stops. It gives the feed's counters.
func (x *cmeTest) settle() map[string]uint64 {
	x.t.Helper()
	until := time.Now().Add(4 * patience)
	quiet := 0
	for {
		k, c := x.counters(x.t), x.e.Counters()
		have := k["0.channel.0.messages"] + k["0.channel.0.lost_messages"]
		if c.Ended && have+2 >= uint64(c.Last) && have > 0 && k["0.resync.live_state"] == 0 && k["0.channel.0.live_holes"] == 0 {
			if quiet++; quiet > 20 {
				x.stop()
				x.look = x.queues
				return k
			}
		} else {
			quiet = 0
		}
		if time.Now().After(until) {
			x.t.Fatalf("the feed has %d packets of %d (ended: %v): %v; it said:\n%s", have, c.Last, c.Ended, moved(k), x.said)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// truth is what a lane makes of all packets that were sent, in order.
func (x *cmeTest) truth() []tick.Mbo {
	t := x.t
	t.Helper()
	path := filepath.Join(t.TempDir(), "f.0.mbo.ring")
	w, err := ringbuf.Create(path, ringbuf.Options{Kind: ringbuf.KindMbo, Slots: 1 << 20})
	must(t, err)
	defer w.Close()
	kept, err := protocol.MDP3.Keep("", 0)
	must(t, err)
	defer kept.Close()
	directory, err := symbols.New(0)
	must(t, err)
	decoder, err := protocol.MDP3.New(protocol.Options{})
	must(t, err)
	lane, err := pipeline.New(pipeline.Config{
		Publisher: 40_002, Decoder: decoder, Books: kept.Orders, Prices: kept.Prices, Symbols: directory, Out: pipeline.Outputs{Mbo: w},
		Midnight: protocol.MDP3.MidnightBefore, MaxPass: pipeline.PassReplay,
	})
	must(t, err)
	defer lane.Close()
	ch := session.NewChannel(session.Config{Framing: protocol.MDP3.Framing}, lane)
	for n := uint32(1); n <= x.e.Counters().Last; n++ {
		packet := x.e.Archive().Get(n)
		if packet == nil {
			t.Fatalf("packet %d is not kept", n)
		}
		ch.Packet(&nic.Packet{Data: packet, TsRecv: uint64(n)}, uint64(n))
		lane.EndPass()
	}
	if d := decoder.(*parser.Decoder); d.Refused() != 0 {
		t.Fatalf("%d messages refused", d.Refused())
	}
	r, err := ringbuf.Open(path, ringbuf.ReaderOptions{Join: ringbuf.JoinOldest})
	must(t, err)
	defer r.Close()
	return bare(orders(t, r))
}

// queues wants the lane's own books to be the market's, place by place in each queue, and no instrument to come to be behind them.
func (x *cmeTest) queues() {
	x.t.Helper()
	if x.feed.Product == "mbp" {
		return
	}
	books := x.lanes[0].books
	for i := range x.g.Instruments() {
		var want, got []uint64
		for side := range 2 {
			for _, o := range x.g.Orders(i, side) {
				want = append(want, o.ID)
			}
		}
		books.Walk(uint32(x.g.Security(i)), func(o book.Order) bool { got = append(got, o.ID); return true })
		if !slices.Equal(got, want) {
			x.t.Errorf("%s: the lane's queues are not the market's: %d orders, want %d", x.g.Symbol(i), len(got), len(want))
		}
	}
	if books.Behind(1) {
		x.t.Error("an instrument that comes later would be told as behind")
	}
}

// restingAt is what a reader of the mbo ring has: A adds, M changes, C takes away, R empties.
func restingAt(recs []tick.Mbo) resting {
	books := resting{}
	for i := range recs {
		r := &recs[i]
		if r.RType != tick.RTypeMbo {
			continue
		}
		b := books[r.InstrumentID]
		if b == nil {
			b = map[uint64]tick.Mbo{}
			books[r.InstrumentID] = b
		}
		switch r.Action {
		case tick.ActionClear:
			clear(b)
		case tick.ActionAdd, tick.ActionModify:
			b[r.OrderID] = tick.Mbo{Price: r.Price, Size: r.Size, Side: r.Side}
		case tick.ActionCancel:
			o := b[r.OrderID]
			if o.Size -= min(r.Size, o.Size); o.Size == 0 {
				delete(b, r.OrderID)
			} else {
				b[r.OrderID] = o
			}
		}
	}
	maps.DeleteFunc(books, func(_ uint32, b map[uint64]tick.Mbo) bool { return len(b) == 0 })
	return books
}

// market is every order of the generator's.
func (x *cmeTest) market() resting {
	books := resting{}
	for i := range x.g.Instruments() {
		b := map[uint64]tick.Mbo{}
		for side := range 2 {
			for _, o := range x.g.Orders(i, side) {
				b[o.ID] = tick.Mbo{Price: o.Price, Size: tick.Size32(o.Size), Side: "BA"[side]}
			}
		}
		if len(b) > 0 {
			books[uint32(x.g.Security(i))] = b
		}
	}
	return books
}

// books wants the readers' books to be the market's: orders by the mbo ring, best prices and symbols by the side files, none of them in doubt.
func (x *cmeTest) books() {
	t := x.t
	t.Helper()
	if x.feed.Product == "mbp" {
		x.levels()
	} else if want, got := x.market(), restingAt(x.ring(t)); !got.equal(want) || want.orders() == 0 {
		t.Errorf("%d orders rest, %d in the market", got.orders(), want.orders())
	}
	side := func(ext string) string { return ringbuf.SidePath(x.dir, "t", "nq", "0", ext) }
	inst, err := ringbuf.OpenInst(side(ringbuf.ExtInst))
	must(t, err)
	defer inst.Close()
	last, err := ringbuf.OpenLast(side(ringbuf.ExtLast), inst)
	must(t, err)
	defer last.Close()
	if x.feed.Product != "mbo" {
		x.implied()
	}
	for i := range x.g.Instruments() {
		id := uint32(x.g.Security(i))
		if in, ok := inst.Lookup(40_002, id); !ok || string(bytes.TrimRight(in.RawSymbol[:], "\x00")) != x.g.Symbol(i) {
			t.Errorf("instrument %d is %q (there: %v), want %s", id, in.RawSymbol[:20], ok, x.g.Symbol(i))
		}
		best := best(x.g, i)
		rec, ok := last.Last(40_002, id)
		if !ok || rec.Levels[0] != best || rec.Flags&tick.FlagMaybeBadBook != 0 {
			t.Errorf("%s: best prices %+v, flags %02x (there: %v), want %+v", x.g.Symbol(i), rec.Levels[0], rec.Flags, ok, best)
		}
	}
}

// certain wants nothing to have been told as certain, at any time, that was not the market's then: against what a lane makes of all packets that were sent, in order.
func (x *cmeTest) certain() {
	t := x.t
	t.Helper()
	all := &recorded{}
	for n := uint32(1); n <= x.e.Counters().Last; n++ {
		packet := x.e.Archive().Get(n)
		if packet == nil {
			t.Fatalf("packet %d is not kept", n)
		}
		all.packets = append(all.packets, packet)
	}
	truth := all.publish(t, x.feed.Product, noFault, pipeline.PassReplay, 1)
	got := &toldBy{}
	readers := map[ringbuf.Kind]*ringbuf.Reader{}
	for _, kind := range []ringbuf.Kind{ringbuf.KindMbo, ringbuf.KindMbp1, ringbuf.KindExt} {
		r, err := ringbuf.Open(ringbuf.Path(x.dir, "t", "nq", "0", kind), ringbuf.ReaderOptions{Join: ringbuf.JoinOldest})
		must(t, err)
		defer r.Close()
		readers[kind] = r
	}
	got.take(t, readers)
	tops, _ := got.tops(t, truth)
	books, told := got.rest(t, truth)
	if tops == 0 || books == 0 {
		t.Errorf("%d best prices and %d books were certain, %d records told anew: this test shows less than it says", tops, books, told)
	}
}

// implied wants a reader's implied books by the ext ring to be the market's.
func (x *cmeTest) implied() {
	x.t.Helper()
	r, err := ringbuf.Open(ringbuf.Path(x.dir, "t", "nq", "0", ringbuf.KindExt), ringbuf.ReaderOptions{Join: ringbuf.JoinOldest})
	must(x.t, err)
	defer r.Close()
	books, n := impliedIn(pollAll[tick.Ext](x.t, r)), 0
	for i := range x.g.Instruments() {
		for side := range 2 {
			var got []mdp3gen.Level
			if b := books[uint32(x.g.Security(i))]; b != nil {
				got = b[side]
			}
			want := x.g.Implied(i, side)
			if n += len(want); !slices.Equal(got, want) {
				x.t.Errorf("%s side %d: implied levels %v, want %v", x.g.Symbol(i), side, got, want)
			}
		}
	}
	if n == 0 {
		x.t.Error("the market has no implied levels: this test shows less than it says")
	}
}

// levels wants a reader's price books by the mbo ring of a feed without orders to be the market's. What falls off an instrument's depth is not told of.
func (x *cmeTest) levels() {
	x.t.Helper()
	books := map[uint32]*[2][]mdp3gen.Level{}
	depths := map[uint32]int{}
	for i := range x.g.Instruments() {
		depths[uint32(x.g.Security(i))], _ = x.g.Depth(i)
	}
	for _, r := range x.ring(x.t) {
		if r.RType != tick.RTypeMbo || r.Flags&tick.FlagMBP == 0 && r.Action != tick.ActionClear {
			continue
		}
		b := books[r.InstrumentID]
		if b == nil || r.Action == tick.ActionClear {
			b = new([2][]mdp3gen.Level)
			books[r.InstrumentID] = b
		}
		if r.Action == tick.ActionClear {
			continue
		}
		side := int(tick.SideBid - r.Side)
		b[side] = slices.DeleteFunc(b[side], func(l mdp3gen.Level) bool { return l.Price == r.Price })
		if r.Action != tick.ActionCancel {
			b[side] = append(b[side], mdp3gen.Level{Price: r.Price, Size: uint64(r.Size)})
		}
		slices.SortFunc(b[side], func(a, b mdp3gen.Level) int { return cmp.Compare(a.Price, b.Price) * (2*side - 1) })
		b[side] = b[side][:min(len(b[side]), depths[r.InstrumentID])]
	}
	for i := range x.g.Instruments() {
		for side := range 2 {
			want, got := x.g.Levels(i, side), books[uint32(x.g.Security(i))][side]
			same := slices.EqualFunc(want, got, func(a, b mdp3gen.Level) bool { return a.Price == b.Price && uint64(tick.Size32(a.Size)) == b.Size })
			if !same {
				x.t.Errorf("%s side %d: levels %v, want %v", x.g.Symbol(i), side, got, want)
			}
		}
	}
}

// TestCMEProducts: a feed that has one of the books alone gets that one back, from its loop alone.
func TestCMEProducts(t *testing.T) {
	for product, o := range map[string]mdp3.Options{"mbp": {Levels: mdp3.LevelsA, Definitions: mdp3.DefinitionsA}, "mbo": {Orders: mdp3.OrdersA, Definitions: mdp3.DefinitionsA}} {
		t.Run(product, func(t *testing.T) {
			o.Lines.BothPPM, o.Lines.BothPackets = 2_000, 4
			x := cmeExchange(t, 15_000, 31, o)
			x.join()
			x.begin()
			k := x.settle()
			must(t, x.end())
			x.books()
			x.certain()
			if x.feed.Product != product || k["0.resync.rebuilt"] == 0 {
				t.Errorf("product %q: %v", x.feed.Product, moved(k))
			}
		})
	}
}

// TestCMEReplay: whatever mix of faults the lines have, what comes back by the TCP replay makes the records of a lossless run.
func TestCMEReplay(t *testing.T) {
	for seed := uint64(1); seed <= 3; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			ppm := func(k, most uint64) uint32 { return uint32((seed * 0x9E3779B97F4A7C15 >> (5 * k)) % most) }
			line := func(k uint64) mold.Line {
				return mold.Line{LossPPM: ppm(k, 60_000), DuplicatePPM: ppm(k+1, 20_000), ReorderPPM: ppm(k+2, 20_000), CorruptPPM: ppm(k+3, 10_000), BurstPPM: 1 + ppm(k+4, 2_000), BurstPackets: 1 + ppm(k+5, 20)}
			}
			o := mdp3.Options{ReplayAt: netip.MustParseAddrPort("127.0.0.1:0"), Lines: mold.LinesOptions{A: line(0), B: line(3), BothPPM: 2_000, BothPackets: 4}}
			if seed == 2 {
				o.Replay.CutAfter = 3
			}
			if seed == 3 {
				o.Replay.User, o.Replay.Password = "firm01", cmePassword
			}
			x := cmeExchange(t, 15_000, seed, o)
			x.join()
			x.begin()
			k := x.settle()
			must(t, x.end())
			all, want := x.ring(t), x.truth()
			if got := bare(all); !slices.Equal(got, want) {
				t.Errorf("%d records differ from the %d of a lossless run", len(got), len(want))
			}
			if n := k["0.channel.0.lost_messages"]; n != 0 || len(gapsIn(all, tick.GapLost)) != 0 {
				t.Errorf("%d packets lost, though all could be had: %v", n, moved(k))
			}
			if len(x.lost) == 0 || k["0.channel.0.ask.recovered"] == 0 || k["0.channel.0.replay.handed"] == 0 {
				t.Errorf("%d packets on neither line: this test shows less than it says: %v", len(x.lost), moved(k))
			}
			x.books()
			t.Logf("%d records; %d spans on neither line; %d packets recovered by %d requests", len(want), len(x.lost), k["0.channel.0.ask.recovered"], k["0.channel.0.replay.requests"])
		})
	}
}

// TestCMELoops: without a replay, what neither line has is named, to the packet; and the books are the market's again in the end, from loops that lose packets
// too and whose snapshots are made in the middle of packets.
func TestCMELoops(t *testing.T) {
	for seed := uint64(1); seed <= 3; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			o := loops()
			o.Lines = mold.LinesOptions{A: mold.Line{LossPPM: 20_000}, B: mold.Line{BurstPPM: 2_000, BurstPackets: 10}, BothPPM: 1_500, BothPackets: 5}
			o.LoopLossPPM, o.Cut = []uint32{0, 50_000, 200_000}[seed-1], seed%2 == 0
			x := cmeExchange(t, 20_000, seed, o)
			x.join()
			x.begin()
			k := x.settle()
			must(t, x.end())
			var named []exchange.Span
			for _, g := range gapsIn(x.ring(t), tick.GapLost) {
				named = append(named, exchange.Span{First: g.First, Last: g.Last})
			}
			last := k["0.channel.0.messages"] + k["0.channel.0.lost_messages"]
			x.lost = slices.DeleteFunc(x.lost, func(s exchange.Span) bool { return s.Last > last }) // heartbeats behind the last packet that came
			if !slices.Equal(merged(named), merged(x.lost)) || len(named) == 0 {
				t.Errorf("gaps name %v\nneither line had %v", merged(named), merged(x.lost))
			}
			x.books()
			x.certain()
			if k["0.resync.rebuilt"] == 0 || k["0.loops.messages"] == 0 {
				t.Errorf("nothing was rebuilt: %v", moved(k))
			}
			t.Logf("%d gaps, %d rebuilds of %d attempts", len(named), k["0.resync.rebuilt"], k["0.resync.attempts"])
		})
	}
}

// holding is a market in which nothing happens while it is held.
type holding struct {
	*mdp3gen.Gen
	held *atomic.Bool
}

func (h holding) NextAt(dst []byte, now uint64) ([]byte, bool) {
	if h.held.Load() {
		return dst, true
	}
	return h.Gen.NextAt(dst, now)
}

// TestCMELateStart: a feed that starts in the middle has symbols and books from the loops, whether packets are lost besides or not, and whatever the replay has.
func TestCMELateStart(t *testing.T) {
	for name, o := range map[string]mdp3.Options{
		"loops":            loops(),
		"loops and replay": {Levels: mdp3.LevelsA, Orders: mdp3.OrdersA, Definitions: mdp3.DefinitionsA, ReplayAt: netip.MustParseAddrPort("127.0.0.1:0"), Keep: 600, Lines: mold.LinesOptions{BothPPM: 1_000, BothPackets: 5}, Cut: true}, // the replay does not go back so far
	} {
		t.Run(name, func(t *testing.T) {
			var held atomic.Bool // so that the market is still there when the feed has come up, however busy the machine
			x := cmeExchangeOf(t, 30_000, 11, o, func(g *mdp3gen.Gen) mdp3.Market { return holding{g, &held} })
			x.begin()
			for x.e.Counters().Last < 800 {
				time.Sleep(time.Millisecond)
			}
			held.Store(true)
			x.join()
			held.Store(false)
			k := x.settle()
			must(t, x.end())
			x.books()
			if k["0.resync.rebuilt"] == 0 || k["0.channel.0.lost_messages"] < 700 || k["0.channel.0.messages"] < 500 {
				t.Errorf("it did not start late: %v", moved(k))
			}
			t.Logf("behind %d packets: %d rebuilds of %d attempts; %d packets live", k["0.channel.0.lost_messages"], k["0.resync.rebuilt"], k["0.resync.attempts"], k["0.channel.0.messages"])
		})
	}
}

// TestCMEReset: a channel reset voids all books, which come again on the feed itself; what instruments are is not said again, and stays known.
func TestCMEReset(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("numbers begin anew: %v", restart), func(t *testing.T) {
			x := cmeExchange(t, 20_000, 21, mdp3.Options{ResetEvery: 700 * time.Millisecond, Restart: restart})
			x.join()
			x.begin()
			for !x.e.Counters().Ended {
				time.Sleep(time.Millisecond)
			}
			until := time.Now().Add(4 * patience)
			for last := uint64(0); ; time.Sleep(150 * time.Millisecond) { // heartbeats go on
				k := x.counters(t)
				if time.Now().After(until) {
					t.Fatalf("the feed does not come to have all that was sent: %v", moved(k))
				}
				n, all := k["0.lane.rows"], k["0.channel.0.messages"]+k["0.channel.0.lost_messages"]+2 >= uint64(x.e.Counters().Last)
				if restart {
					all = k["0.channel.0.sessions"] > x.e.Counters().Resets
				}
				if n == last && n != 0 && all {
					break
				}
				last = n
			}
			k := x.counters(t)
			x.stop()
			time.Sleep(100 * time.Millisecond)
			must(t, x.end())
			x.books()
			if n := x.e.Counters().Resets; n == 0 || restart && k["0.channel.0.sessions"] != 1+n || !restart && k["0.channel.0.sessions"] != 1 || k["0.channel.0.lost_messages"] != 0 {
				t.Errorf("%d resets; %v", n, moved(k))
			}
		})
	}
}

// TestFirstLine: a password is a file's first line; what cannot be one is refused without being told.
func TestFirstLine(t *testing.T) {
	for text, want := range map[string]string{"secret\nmore": "secret", "secret\r\n": "secret", "secret": "secret", "": "", strings.Repeat("x", 256): strings.Repeat("x", 256)} {
		path := filepath.Join(t.TempDir(), "p")
		must(t, os.WriteFile(path, []byte(text), 0o600))
		if got, err := firstLine(path); got != want || err != nil {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{strings.Repeat("y", 257), strings.Repeat("y", 1<<16), "a\x01554=b"} {
		path := filepath.Join(t.TempDir(), "p")
		must(t, os.WriteFile(path, []byte(text), 0o600))
		got, err := firstLine(path)
		if err == nil {
			t.Errorf("%.10q is taken: %q", text, got)
			continue
		}
		if said := strings.ReplaceAll(err.Error(), path, ""); strings.Contains(said, "yy") || strings.Contains(said, "554") { // a folder's number may have these digits
			t.Errorf("%.10q: %q, %v", text, got, err)
		}
	}
	if got, err := firstLine(""); got != "" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := firstLine("/nowhere/at/all"); err == nil {
		t.Error("a file that is not there has a password")
	}
}
