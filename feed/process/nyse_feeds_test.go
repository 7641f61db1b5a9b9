package process

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/internal/netns/nstest"
	"github.com/tickwire/tickwire/internal/testvec"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/pcap"
	xdpwire "github.com/tickwire/tickwire/parsers/xdp"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/sim/mold"
	"github.com/tickwire/tickwire/sim/xdp"
	"github.com/tickwire/tickwire/sim/xdpgen"
	"github.com/tickwire/tickwire/tick"
)

// nyseDay writes a small session as a capture.
func nyseDay(t *testing.T, o xdpgen.Options) string {
	t.Helper()
	o.Messages, o.Symbols, o.Seed, o.Version = 3_000, 10, 4, xdpwire.V25
	g, err := xdpgen.New(o)
	must(t, err)
	path := filepath.Join(t.TempDir(), "day.pcap")
	f, err := os.Create(path)
	must(t, err)
	must(t, xdpgen.WritePcap(f, g, itchgen.Lines{}, nil))
	must(t, f.Close())
	return path
}

// TestMarkets: the records of a capture are its market's, as its mappings, or its reset, say, without anybody naming the publisher; a publisher that is named
// stays.
func TestMarkets(t *testing.T) {
	for _, tc := range []struct {
		market    string
		product   xdpwire.Product
		publisher uint16
		dataset   string
	}{
		{"nyse", xdpwire.Integrated, 9, "XNYS.PILLAR"}, {"nyse", xdpwire.BBO, 44, "XNYS.BBO"}, {"nyse", xdpwire.Trades, 45, "XNYS.TRADES"},
		{"arca", xdpwire.Integrated, 43, "ARCX.PILLAR"}, {"american", xdpwire.BBO, 11, "XASE.PILLAR"}, {"national", xdpwire.Trades, 10, "XCIS.PILLAR"},
		{"texas", xdpwire.Integrated, 12, "XCHI.PILLAR"},
	} {
		path := nyseDay(t, xdpgen.Options{Market: tc.market, Product: tc.product})
		kind := map[xdpwire.Product]ringbuf.Kind{xdpwire.Integrated: ringbuf.KindMbo, xdpwire.BBO: ringbuf.KindMbp1, xdpwire.Trades: ringbuf.KindTrades}[tc.product]
		for _, named := range []uint16{0, 40_001} {
			o, err := OpenOffline(path, OfflineOptions{Kinds: []ringbuf.Kind{kind}, Publisher: named, Slots: 1 << 16})
			must(t, err)
			must(t, o.Run(nil))
			r, err := ringbuf.Open(ringbuf.Path(o.Dir, OfflineInstance, OfflineFeed, OfflineLane, kind), ringbuf.ReaderOptions{Join: ringbuf.JoinOldest})
			must(t, err)
			want := tc.publisher
			if named != 0 {
				want = named
			}
			if h := r.Header(); h.Publisher != want || r.Dataset() != tc.dataset {
				t.Errorf("%s %s: publisher %d, %s, want %d, %s", tc.market, tc.product, h.Publisher, r.Dataset(), want, tc.dataset)
			}
			publisher := uint16(0)
			switch kind {
			case ringbuf.KindMbo:
				var recs [1]tick.Mbo
				ringbuf.PollSlice(r, recs[:])
				publisher = recs[0].PublisherID
			case ringbuf.KindMbp1:
				var recs [1]ringbuf.Mbp1Slot
				ringbuf.PollSlice(r, recs[:])
				publisher = recs[0].PublisherID
			default:
				var recs [1]ringbuf.TradeSlot
				ringbuf.PollSlice(r, recs[:])
				publisher = recs[0].PublisherID
			}
			if publisher != want {
				t.Errorf("%s %s: the first record has publisher %d, want %d", tc.market, tc.product, publisher, want)
			}
			must(t, r.Close())
			must(t, o.Close())
		}
	}
	// Real packets: a mapping or a reset says whose they are; of others nothing is known, and NYSE's they are by default.
	for folder, want := range map[string]struct {
		publisher uint16
		dataset   string
	}{"integrated.xdp.v2.1": {9, "XNYS.PILLAR"}, "bbo.xdp.v2.3a": {44, "XNYS.BBO"}} {
		files, err := filepath.Glob(filepath.Join(testvec.Dir(t, "nyse"), folder, "*.pcap"))
		must(t, err)
		if len(files) == 0 {
			t.Fatal("no captures")
		}
		for _, file := range files {
			name := filepath.Base(file)
			c, err := OpenCapture(file, CaptureOptions{Version: "2.1", Date: "2017-09-01"})
			must(t, err)
			told := strings.HasPrefix(name, "Sequence") || strings.HasPrefix(name, "SymbolIndex")
			if (c.market == 1) != told {
				t.Errorf("%s: market %d", name, c.market)
			}
			publisher, dataset := c.Records()
			if c.options.Product != "" && (publisher != want.publisher || dataset != want.dataset) {
				t.Errorf("%s: %d, %s", name, publisher, dataset)
			}
			must(t, c.Close())
		}
	}
}

// TestNYSEExt: what DBN has no field for is in the ext ring: the conditions of trades that say anything, each with the match id that its trade has in the trades ring,
// and what mappings say beside definitions. Expected is what the capture's own messages have.
func TestNYSEExt(t *testing.T) {
	for _, product := range []xdpwire.Product{xdpwire.Integrated, xdpwire.Trades} {
		path := nyseDay(t, xdpgen.Options{Product: product})
		conditions, listings := map[[3]uint64]int{}, map[[4]uint64]int{}
		eachPacket(t, path, func(p *nic.Packet) {
			if p.Group != xdp.GroupA { // the other line has the same
				return
			}
			_, blocks, err := xdpwire.ParsePacket(p.Data)
			must(t, err)
			for m, rest := xdpwire.Next(blocks); m != nil; m, rest = xdpwire.Next(rest) {
				u32 := func(at int) uint64 { return uint64(binary.LittleEndian.Uint32(m[at:])) }
				trade := func(symbol, id, at int) {
					if c := u32(at); c != 0x20202040 { // "@   "
						conditions[[3]uint64{u32(symbol), u32(id), c}]++
					}
				}
				switch xdpwire.Type(m) {
				case xdpwire.TypeOrderExecution:
					trade(8, 24, 38)
				case xdpwire.TypeNonDisplayedTrade:
					if m[28] == 1 {
						trade(8, 16, 29)
					}
				case xdpwire.TypeTrade:
					trade(12, 20, 32)
				case xdpwire.TypeTradesCorrection:
					trade(12, 24, 36)
				case xdpwire.TypeSymbolIndexMapping:
					scale := map[byte]uint64{4: 100_000, 6: 1_000}[m[24]]
					listings[[4]uint64{u32(4), uint64(m[23]) | uint64(m[37])<<8, u32(28) * scale, u32(32)}]++
				}
			}
		})
		if len(conditions) < 30 || len(listings) != 10 {
			t.Fatalf("%s: %d trades have conditions, %d listings: this test sees nothing", product, len(conditions), len(listings))
		}
		o, err := OpenOffline(path, OfflineOptions{Kinds: []ringbuf.Kind{ringbuf.KindExt, ringbuf.KindTrades}, Slots: 1 << 14})
		must(t, err)
		must(t, o.Run(nil))
		open := func(kind ringbuf.Kind) *ringbuf.Reader {
			r, err := ringbuf.Open(ringbuf.Path(o.Dir, OfflineInstance, OfflineFeed, OfflineLane, kind), ringbuf.ReaderOptions{Join: ringbuf.JoinOldest})
			must(t, err)
			t.Cleanup(func() { r.Close() })
			return r
		}
		exts, trades := open(ringbuf.KindExt), open(ringbuf.KindTrades)
		matched := map[[2]uint64]bool{}
		for {
			var some [256]ringbuf.TradeSlot
			n, _, _ := ringbuf.PollSlice(trades, some[:])
			if n == 0 {
				break
			}
			for _, s := range some[:n] {
				matched[[2]uint64{uint64(s.InstrumentID), s.MatchID}] = true
			}
		}
		alone := 0
		for {
			var some [256]tick.Ext
			n, _, _ := ringbuf.PollSlice(exts, some[:])
			if n == 0 {
				break
			}
			for _, e := range some[:n] {
				switch e.Kind {
				case tick.ExtConditions:
					conditions[[3]uint64{uint64(e.InstrumentID), e.B, e.A}]--
					if !matched[[2]uint64{uint64(e.InstrumentID), e.B}] {
						alone++ // not printed: it is no trade
					}
				case tick.ExtListing:
					listings[[4]uint64{uint64(e.InstrumentID), e.A, e.B, e.C}]--
				}
			}
		}
		for k, n := range conditions {
			if n != 0 {
				t.Errorf("%s: conditions %x: %d more were sent", product, k, n)
			}
		}
		for k, n := range listings {
			if n != 0 {
				t.Errorf("%s: listing %x: %d more were sent", product, k, n)
			}
		}
		if product == xdpwire.Trades && alone != 0 || alone > len(conditions)/2 {
			t.Errorf("%s: %d of %d conditions are of no trade", product, alone, len(conditions))
		}
		must(t, o.Close())
	}
}

// eachPacket calls fn with all packets of a capture.
func eachPacket(t *testing.T, path string, fn func(*nic.Packet)) {
	t.Helper()
	r, err := pcap.Open(path)
	must(t, err)
	defer r.Close()
	for {
		var packets [64]nic.Packet
		n, err := r.Poll(packets[:])
		for i := range packets[:n] {
			fn(&packets[i])
		}
		if errors.Is(err, io.EOF) {
			return
		}
		must(t, err)
	}
}

// TestOtherMarket: a feed that is configured for one market and meets the mappings of another says so, once, and what to set; one that is configured right, or
// for none, does not.
func TestOtherMarket(t *testing.T) {
	path := nyseDay(t, xdpgen.Options{Market: "arca"})
	for _, tc := range []struct {
		more string
		said bool
	}{{"", true}, {"market = \"american\"\n", true}, {"market = \"arca\"\n", false}, {"publisher = 40001\ndataset = \"SIM.XDP\"\n", false}} {
		dir := t.TempDir()
		c, err := config.Parse(fmt.Appendf(nil, "[instance]\nname = \"t\"\nring_dir = %[1]q\nrun_dir = %[1]q\n[[feed]]\nname = \"n\"\nprotocol = \"xdp\"\nsource = \"file\"\npath = %[2]q\n%[3]s", dir, path, tc.more), nil)
		must(t, err)
		var said bytes.Buffer
		p, err := Open(c, &c.Feed[0], slog.New(slog.NewTextHandler(&said, nil)))
		must(t, err)
		must(t, p.Run(t.Context()))
		must(t, p.Close())
		if n := strings.Count(said.String(), "another market"); n != map[bool]int{true: 1}[tc.said] || tc.said && !strings.Contains(said.String(), `market = \"arca\"`) {
			t.Errorf("%q: it said:\n%s", tc.more, said.String())
		}
	}
}

// nyseFeed is the configuration of a feed of another product than the integrated one.
func nyseFeed(dir string, b *nyseBox, services []string, product xdpwire.Product) []byte {
	text := string(nyseConfigOf(dir, b.RequestAddr(), services, "recovery.wait = \"10ms\"\nrecovery.hold_max = \"5s\"\n"))
	text = strings.Replace(text, `product = "integrated"`, fmt.Sprintf("product = %q", product), 1)
	return []byte(strings.Replace(text, fmt.Sprintf("product_id = %d", xdpgen.Product), fmt.Sprintf("product_id = %d", b.id), 1))
}

// newProductBox is a box of any feed of the venue's.
func newProductBox(t *testing.T, p *netns.Pair, gen xdpgen.Options, rate float64, lines mold.LinesOptions, linger time.Duration, failovers ...uint64) *nyseBox {
	t.Helper()
	gen.Symbols, gen.Seed, gen.Version, gen.Channel, gen.Live, gen.Date = 50, 5, xdpwire.V25, nyseChannel, true, itchgen.Date{Year: 2026, Month: 1, Day: 5}
	b := &nyseBox{gen: gen, ran: make(chan error, 1)}
	g, err := xdpgen.New(gen)
	must(t, err)
	b.id = g.ProductID()
	lines.Seed, lines.A.Group, lines.B.Group = 5, lineGroups[0], lineGroups[1]
	b.open(t, p, xdp.Options{Source: b.source(t, rate), Lines: lines, Requests: xdp.RequestOptions{Addr: txServer}, Linger: linger, Failovers: failovers})
	return b
}

// runBox plays a box to a feed until what was sent came or was given up, and what until says holds; the feed has ended then.
func runBox(t *testing.T, p *netns.Pair, b *nyseBox, messages uint64, text func(dir string) []byte, until func(k map[string]uint64) bool) (*running, map[string]uint64) {
	t.Helper()
	r := spawnWith(t, p, t.TempDir(), text)
	r.wait(t, "requests.live_connected", 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b.play(ctx)
	k := r.settle(t, messages)
	sent, since := uint64(0), time.Now() // what is told again comes on top of messages, so the source says when all was given, and what was sent stays the same
	over := func() bool {
		if n := b.Counters().Messages; n != sent {
			sent, since = n, time.Now()
		}
		return b.given.Load() && time.Since(since) > 500*time.Millisecond
	}
	for end := time.Now().Add(patience); !over() || !until(k); k = r.counters(t) {
		if time.Now().After(end) {
			t.Fatalf("%v; the process said:\n%s", moved(k), r.said)
		}
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	must(t, <-b.ran)
	must(t, r.end())
	return r, k
}

// TestNYSEQuotes: what a BBO feed loses for good costs best prices, and the refresh brings them back: in the end each symbol's are the last ones that the
// venue told, and none is in doubt, whether it was quoted again or not.
func TestNYSEQuotes(t *testing.T) {
	p := nstest.Pair(t, netns.Options{Pairs: 2})
	for _, tc := range []struct {
		name      string
		services  []string
		failovers []uint64
	}{{"refresh", []string{"refresh"}, nil}, {"refresh, and another publisher", []string{"refresh"}, []uint64{15_000}}} {
		t.Run(tc.name, func(t *testing.T) {
			b := newProductBox(t, p, xdpgen.Options{Product: xdpwire.BBO}, 20_000, mold.LinesOptions{BothPPM: 500, BothPackets: 3}, 15*time.Second, tc.failovers...)
			r, k := runBox(t, p, b, nyseMessages, func(dir string) []byte { return nyseFeed(dir, b, tc.services, xdpwire.BBO) }, func(k map[string]uint64) bool {
				return k["0.resync.rebuilt"] > 0 && k["0.resync.live_state"] == 0
			})
			side := func(ext string) string { return ringbuf.SidePath(r.dir, "t", "nq", "0", ext) }
			inst, err := ringbuf.OpenInst(side(ringbuf.ExtInst))
			must(t, err)
			defer inst.Close()
			last, err := ringbuf.OpenLast(side(ringbuf.ExtLast), inst)
			must(t, err)
			defer last.Close()
			quoted := 0
			for _, symbol := range b.Record().Symbols() {
				want, told := lastQuote(t, b.Record(), symbol)
				rec, ok := last.Last(40_001, symbol)
				if !told {
					continue
				}
				quoted++
				if !ok || rec.Levels[0] != want || rec.Flags&tick.FlagMaybeBadBook != 0 {
					t.Errorf("symbol %d: %+v, flags %02x (there: %v), want %+v", symbol, rec.Levels[0], rec.Flags, ok, want)
				}
			}
			if quoted < 40 || k["0.channel.0.aside.symbols"] == 0 || len(b.Counters().Lost) == 0 || k["0.resync.unreadable"]+k["0.resync.strange"] > 0 {
				t.Errorf("%d symbols were quoted; %v\n%s", quoted, moved(k), r.said)
			}
		})
	}
}

// lastQuote is what a refresh says of a symbol's best prices.
func lastQuote(t *testing.T, rec *xdp.Record, symbol uint32) (best tick.BidAskPair, told bool) {
	t.Helper()
	best = tick.EmptyPair
	scale := int64(0)
	for _, p := range rec.Refresh(symbol, xdpwire.DeliveryRefresh, xdp.MaxPayload, 0) {
		_, blocks, err := xdpwire.ParsePacket(p)
		must(t, err)
		for m, rest := xdpwire.Next(blocks); m != nil; m, rest = xdpwire.Next(rest) {
			u32 := func(at int) uint32 { return binary.LittleEndian.Uint32(m[at:]) }
			switch xdpwire.Type(m) {
			case xdpwire.TypeSymbolIndexMapping:
				scale = map[byte]int64{4: 100_000, 6: 1_000}[m[24]]
			case xdpwire.TypeQuote:
				told = true
				if u32(24) != 0 {
					best.BidPx, best.BidSz = int64(u32(24))*scale, u32(28)
				}
				if u32(16) != 0 {
					best.AskPx, best.AskSz = int64(u32(16))*scale, u32(20)
				}
			}
		}
	}
	return best, told
}

// TestNYSEFailover: another publisher takes over, twice, on lines that lose: the numbers begin anew, what it tells again and what follows is asked for where it is
// missing, and in the end the books are those of a publisher that stayed.
func TestNYSEFailover(t *testing.T) {
	p := nstest.Pair(t, netns.Options{Pairs: 2})
	for range 5 { // a machine that is slow to ask when a publisher goes loses what that one alone had: such a run shows nothing
		if nyseFailover(t, p) {
			return
		}
	}
	t.Error("messages were lost in each of five runs")
}

// nyseFailover is one run. false: something was lost for good.
func nyseFailover(t *testing.T, p *netns.Pair) bool {
	const rate = 15_000
	b := newProductBox(t, p, xdpgen.Options{}, rate, mold.LinesOptions{BothPPM: 2_000, BothPackets: 4}, 5*time.Second, 9_000, 20_000)
	r, k := runBox(t, p, b, nyseMessages, func(dir string) []byte {
		return nyseConfigOf(dir, b.RequestAddr(), []string{"retransmission"}, "recovery.wait = \"10ms\"\nrecovery.hold_max = \"5s\"\nrecovery.tries = 8\n")
	}, func(k map[string]uint64) bool {
		return k["0.channel.0.messages"]+k["0.channel.0.lost_messages"] >= b.Counters().Messages
	})
	c := b.Counters()
	if c.Failovers != 2 || c.Messages <= nyseMessages || k["0.channel.0.sessions"] != 3 {
		t.Errorf("%d publishers took over, %d messages; %v", c.Failovers, c.Messages, moved(k))
	}
	lost := k["0.channel.0.lost_messages"]
	t.Logf("%d messages, %d asked for, %d sent again, %d lost", c.Messages, c.Requests.Requests, c.Requests.Retransmitted, lost)
	if lost != 0 {
		return false
	}
	all := r.ring(t)
	want, got := restingIn(b.truth(t, rate)), restingIn(bare(all))
	if !got.equal(want) || want.orders() == 0 {
		t.Errorf("%d orders rest, %d in a run whose publisher stays; %v\n%s", got.orders(), want.orders(), moved(k), r.said)
	}
	return true
}

// TestNYSESummaries: the channel of summaries has numbers of its own, and what both of its lines lose is sent again: the day's figures are those of a lossless run.
func TestNYSESummaries(t *testing.T) {
	p := nstest.Pair(t, netns.Options{Pairs: 2})
	b := newProductBox(t, p, xdpgen.Options{Summaries: true}, 20_000, mold.LinesOptions{BothPPM: 5_000, BothPackets: 3}, 5*time.Second)
	r, k := runBox(t, p, b, nyseMessages, func(dir string) []byte {
		return bytes.Replace(nyseFeed(dir, b, []string{"retransmission"}, xdpwire.Integrated), []byte("events = 65536"), []byte("events = 262144"), 1)
	}, func(map[string]uint64) bool { return true })
	c := b.Counters()
	if c.LostMessages == 0 || c.Requests.Retransmitted == 0 || k["0.channel.0.lost_messages"] != 0 || k["0.channel.0.xdp.unmapped"] != 0 {
		t.Errorf("%d lost by both lines, %d sent again; %v", c.LostMessages, c.Requests.Retransmitted, moved(k))
	}
	// All figures of the venue's record, and those of the ring.
	figures := map[string]int{}
	for n := uint64(1); n < b.Record().Next(); n++ {
		m := b.Record().Message(n)
		if xdpwire.Type(m) == xdpwire.TypeStockSummary {
			figures[fmt.Sprint(n, " ", xdpwire.SymbolOf(m), " ", binary.LittleEndian.Uint32(m[32:]))]++
		}
	}
	sent := len(figures)
	rd, err := ringbuf.Open(ringbuf.Path(r.dir, "t", "nq", "0", ringbuf.KindEvents), ringbuf.ReaderOptions{Join: ringbuf.JoinOldest})
	must(t, err)
	defer rd.Close()
	for {
		var some [256][120 / 8]uint64
		n, _, status := ringbuf.PollSlice(rd, some[:])
		if status == ringbuf.Overrun {
			t.Fatal("the ring is too small for this test")
		}
		if n == 0 {
			break
		}
		for i := range some[:n] {
			s := (*tick.Statistics)(unsafe.Pointer(&some[i]))
			if s.RType == tick.RTypeStatistics && s.StatType == 10001 {
				figures[fmt.Sprint(s.Sequence, " ", s.InstrumentID, " ", s.Quantity)]--
			}
		}
	}
	wrong := 0
	for _, n := range figures {
		if n != 0 {
			wrong++
		}
	}
	if wrong != 0 || sent < 20_000 {
		t.Errorf("%d of %d summaries are not what was sent", wrong, sent)
	}
}

// TestNYSETrades: of a Trades feed, too, what both lines lose is sent again: the trades ring has the prints of the venue's record, each once.
func TestNYSETrades(t *testing.T) {
	p := nstest.Pair(t, netns.Options{Pairs: 2})
	b := newProductBox(t, p, xdpgen.Options{Product: xdpwire.Trades, Market: "nyse"}, 10_000, mold.LinesOptions{BothPPM: 5_000, BothPackets: 3}, 5*time.Second)
	r, k := runBox(t, p, b, nyseMessages, func(dir string) []byte {
		return bytes.Replace(nyseFeed(dir, b, []string{"retransmission"}, xdpwire.Trades), []byte("trades = 16384"), []byte("trades = 65536"), 1)
	}, func(map[string]uint64) bool { return true })
	if c := b.Counters(); c.LostMessages == 0 || c.Requests.Retransmitted == 0 || k["0.channel.0.lost_messages"] != 0 {
		t.Errorf("%d lost by both lines, %d sent again; %v", c.LostMessages, c.Requests.Retransmitted, moved(k))
	}
	prints := map[[3]uint64]int{}
	for n := uint64(1); n < b.Record().Next(); n++ {
		m := b.Record().Message(n)
		at := map[uint16]int{xdpwire.TypeTrade: 20, xdpwire.TypeTradesCorrection: 24}[xdpwire.Type(m)]
		if at != 0 {
			prints[[3]uint64{uint64(xdpwire.SymbolOf(m)), uint64(binary.LittleEndian.Uint32(m[at:])), uint64(binary.LittleEndian.Uint32(m[at+8:]))}]++
		}
	}
	sent := len(prints)
	rd, err := ringbuf.Open(ringbuf.Path(r.dir, "t", "nq", "0", ringbuf.KindTrades), ringbuf.ReaderOptions{Join: ringbuf.JoinOldest})
	must(t, err)
	defer rd.Close()
	for {
		var some [256]ringbuf.TradeSlot
		n, _, _ := ringbuf.PollSlice(rd, some[:])
		if n == 0 {
			break
		}
		for _, s := range some[:n] {
			prints[[3]uint64{uint64(s.InstrumentID), s.MatchID, uint64(s.Size)}]--
		}
	}
	wrong := 0
	for _, n := range prints {
		if n != 0 {
			wrong++
		}
	}
	if wrong != 0 || sent < 20_000 {
		t.Errorf("%d of %d prints are not in the ring once", wrong, sent)
	}
}
