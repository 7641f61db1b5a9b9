package xdpgen

import (
	"slices"
	"testing"

	"github.com/tickwire/tickwire/parsers/xdp"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/tick"
)

// told is a session by the rows that its messages become.
type told struct {
	g *Gen
	d *xdp.Decoder
	b *tick.Batch
	n uint64
}

func tell(t *testing.T, o Options) *told {
	t.Helper()
	d, err := xdp.NewDecoder(xdp.Options{Version: o.Version.String()})
	if err != nil {
		t.Fatal(err)
	}
	b, err := tick.NewBatch()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Free() })
	k := &told{g: newGen(t, o), d: d, b: b}
	d.Start(k.g.Midnight())
	return k
}

// rows decodes what pends of a generator, or its next message, and gives each row to fn.
func (k *told) rows(t *testing.T, blocks []byte, fn func(i int)) {
	t.Helper()
	whole, used := xdp.Walk(blocks, 1<<20)
	if used != len(blocks) {
		t.Fatalf("%d of %d bytes are whole messages", used, len(blocks))
	}
	k.b.Reset()
	if _, n := k.d.Append(blocks, k.n+1, whole, k.b); n != whole {
		t.Fatalf("%d of %d messages were taken", n, whole)
	}
	k.n += uint64(whole)
	for i := range k.b.N {
		fn(i)
	}
}

// clean says what a decoder has to complain of.
func (k *told) clean(t *testing.T) {
	t.Helper()
	if c := k.d.Counters(); k.d.Refused() != 0 || c.SymbolGaps != 0 || c.Unknown != 0 || c.Timeless != 0 || c.StopGap != 0 || c.OddTimes != 0 || c.OtherFeed != 0 || c.OtherMarket != 0 {
		t.Errorf("%+v", c)
	}
}

// event has one of itchgen's messages told.
func (k *told) event(m []byte, at uint64) []byte {
	g := k.g
	g.now = max(g.now, at)
	g.pending = g.pending[:0]
	g.say(m)
	for g.round.state != 0 && !g.ended {
		g.tell()
	}
	return g.pending
}

// TestQuotes: event by event, the quotes of a BBO feed are the best prices with a round lot of the books that the same events make of an Integrated one.
func TestQuotes(t *testing.T) {
	for _, v := range []xdp.Version{xdp.V21, xdp.V25} {
		o := Options{Messages: 40_000, Symbols: 40, Seed: 5, Version: v}
		orders := tell(t, o)
		o.Product, o.Market = xdp.BBO, "american"
		quotes := tell(t, o)
		src, err := itchgen.New(itchgen.Options{Messages: 40_000, Symbols: 40, Seed: 5})
		if err != nil {
			t.Fatal(err)
		}
		books := &naive{orders: map[[2]uint64]*resting{}, sides: map[uint32]*[2][]*resting{}}
		type quote struct {
			price [2]int64
			size  [2]uint64
		}
		now := map[uint32]quote{}
		told, checked := 0, 0
		for {
			m, ok := src.Next(nil)
			if !ok || m[0] == 'S' && m[11] == 'E' {
				break
			}
			orders.rows(t, orders.event(m, src.Time()), func(i int) { books.row(t, orders.b, i, orders.n) })
			quotes.rows(t, quotes.event(m, src.Time()), func(i int) {
				b := quotes.b
				if b.Kind[i] != tick.KindQuote {
					return
				}
				told++
				q := quote{[2]int64{b.Price[i], b.OldPrice[i]}, [2]uint64{b.Size[i], b.OldSize[i]}}
				if q == now[b.Instrument[i]] && b.N == 1 {
					t.Fatalf("quote of %d is the one before", b.Instrument[i])
				}
				now[b.Instrument[i]] = q
			})
			n := be.Uint16(m[1:]) - 1
			if int(n) >= len(orders.g.symbols) {
				continue
			}
			index := orders.g.symbols[n].index
			got, known := now[index]
			want := quote{price: [2]int64{tick.UndefPrice, tick.UndefPrice}}
			for k, side := range []byte{'B', 'S'} {
				want.price[k], want.size[k] = lots(*books.side(index, side), side)
			}
			if !known && want.size == [2]uint64{} {
				continue
			}
			if checked++; got != want {
				t.Fatalf("%v, message %d, %c: %+v is quoted, want %+v", v, src.Messages(), m[0], got, want)
			}
		}
		orders.clean(t)
		quotes.clean(t)
		if told < 3000 || checked < 20_000 {
			t.Errorf("%d quotes were told, %d compared", told, checked)
		}
	}
}

// lots is the best price with a round lot, and the whole lots there.
func lots(side []*resting, which byte) (price int64, size uint64) {
	sums := map[int64]uint64{}
	for _, r := range side {
		sums[r.price] += r.size
	}
	price = tick.UndefPrice
	for p, sum := range sums {
		if sum >= 100 && (price == tick.UndefPrice || which == 'B' && p > price || which == 'S' && p < price) {
			price, size = p, sum/100*100
		}
	}
	return price, size
}

// TestTrades: a Trades feed has the prints of the same events on an Integrated one, crosses among them, and takes back those that it takes back.
func TestTrades(t *testing.T) {
	o := Options{Messages: 40_000, Symbols: 40, Seed: 5, Version: xdp.V25}
	orders := tell(t, o)
	o.Product, o.Market = xdp.Trades, "nyse"
	trades := tell(t, o)
	src, err := itchgen.New(itchgen.Options{Messages: 200_000, Symbols: 40, Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	type print struct {
		instrument uint32
		id         uint64
		price      int64
		size       uint64
	}
	var want, got []print
	var voidWant, voidGot []uint64
	for {
		m, ok := src.Next(nil)
		if !ok || m[0] == 'S' && m[11] == 'E' {
			break
		}
		orders.rows(t, orders.event(m, src.Time()), func(i int) {
			b := orders.b
			switch p := (print{b.Instrument[i], b.Aux[i], b.Price[i], b.Size[i]}); b.Kind[i] {
			case tick.KindExecAt:
				if b.Sub[i] == 'Y' {
					want = append(want, p)
				}
			case tick.KindTrade, tick.KindCross:
				want = append(want, p)
			case tick.KindBreak:
				voidWant = append(voidWant, b.Aux[i])
			case tick.KindExt: // 113: the volume of a cross is another
				e := b.Exts[b.Aux[i]&0xFFFF]
				if e.Kind == tick.ExtRaw && e.A == uint64(xdp.TypeCrossCorrection) {
					at := slices.IndexFunc(want, func(p print) bool { return p.id == e.B })
					voidWant = append(voidWant, e.B)
					want = append(want, print{want[at].instrument, e.B | 1<<31, want[at].price, e.C})
				}
			}
		})
		trades.rows(t, trades.event(m, src.Time()), func(i int) {
			b := trades.b
			switch b.Kind[i] {
			case tick.KindTrade:
				got = append(got, print{b.Instrument[i], b.Aux[i], b.Price[i], b.Size[i]})
			case tick.KindBreak:
				voidGot = append(voidGot, b.Aux[i])
			}
		})
	}
	orders.clean(t)
	trades.clean(t)
	if !slices.Equal(got, want) || len(want) < 500 {
		t.Errorf("%d trades, want %d", len(got), len(want))
	}
	if !slices.Equal(voidGot, voidWant) || len(voidWant) == 0 {
		t.Errorf("void are %d, want %d", voidGot, voidWant)
	}
}

// TestProducts: sessions of the other feeds are sound to their end: they begin with their own reset, say whose they are, have no more messages than
// they may, and end with every symbol closed, or with its last figures.
func TestProducts(t *testing.T) {
	for _, o := range []Options{
		{Product: xdp.BBO, Market: "arca"}, {Product: xdp.BBO, Version: xdp.V25}, {Product: xdp.Trades, Market: "texas", Version: xdp.V25}, {Product: xdp.Trades},
		{Summaries: true, Version: xdp.V25}, {Summaries: true, Product: xdp.Trades, Market: "nyse"}, {Market: "national", Version: xdp.V24},
	} {
		for _, symbols := range []int{1, 30} {
			o.Messages, o.Symbols, o.Seed = 8_000, symbols, 3
			k := tell(t, o)
			market, err := xdp.ParseMarket(k.g.o.Market)
			if err != nil {
				t.Fatal(err)
			}
			kinds, closed, last := map[uint16]int{}, map[uint32]bool{}, []byte(nil)
			for ok := true; ; {
				var m []byte
				if m, ok = k.g.Next(nil); !ok {
					break
				}
				typ := xdp.Type(m)
				if k.n == 0 && (typ != xdp.TypeSequenceNumberReset || xdp.ProductOf(m[12]) != k.g.o.Product || xdp.MarketOfProduct(m[12]) != market) {
					t.Fatalf("begins with %x", m)
				}
				kinds[typ]++
				if typ == xdp.TypeSecurityStatus && m[20] == 'X' || typ == xdp.TypeStockSummary {
					closed[xdp.SymbolOf(m)] = true
				} else if typ >= 100 && closed[xdp.SymbolOf(m)] {
					t.Fatalf("%s of a symbol that is closed", xdp.Name(typ))
				}
				last = m
				k.rows(t, m, func(i int) {
					if d := k.b.Definitions[0]; k.b.Kind[i] == tick.KindDefinition && string(d.Exchange[:4]) != market.MIC {
						t.Fatalf("defined at %s, want %s", d.Exchange[:], market.MIC)
					}
				})
			}
			k.clean(t)
			if k.n > o.Messages || k.n < o.Messages/50 || len(closed) != symbols || kinds[xdp.TypeSymbolIndexMapping] != symbols {
				t.Errorf("%+v: %d messages, %d of %d symbols closed", o, k.n, len(closed), symbols)
			}
			switch {
			case o.Summaries:
				if kinds[xdp.TypeStockSummary] < 100 || kinds[xdp.TypeSourceTimeReference]+kinds[xdp.TypeAddOrder]+kinds[xdp.TypeTrade] != 0 || xdp.Type(last) != xdp.TypeStockSummary {
					t.Errorf("summaries: %v", kinds)
				}
			case o.Product == xdp.BBO:
				if kinds[xdp.TypeQuote] < 500 || kinds[xdp.TypeAddOrder] != 0 || kinds[xdp.TypeSourceTimeReference] == 0 {
					t.Errorf("bbo: %v", kinds)
				}
			case o.Product == xdp.Trades:
				if kinds[xdp.TypeTrade] < 100 || kinds[xdp.TypeQuote] != 0 || kinds[xdp.TypeSourceTimeReference] != 0 || kinds[xdp.TypeTradesCancel] == 0 {
					t.Errorf("trades: %v", kinds)
				}
			}
		}
	}
	for _, o := range []Options{{Market: "nasdaq"}, {Product: xdp.OtherProduct}, {Product: xdp.BBO, Summaries: true}} {
		if o.Validate() == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

// TestSummaries: the figures of each minute are those of the trades up to it.
func TestSummaries(t *testing.T) {
	o := Options{Messages: 40_000, Symbols: 20, Seed: 6, Version: xdp.V25, Product: xdp.Trades}
	trades := tell(t, o)
	o.Summaries = true
	sums := tell(t, o)
	src, err := itchgen.New(itchgen.Options{Messages: 100_000, Symbols: 20, Seed: 6})
	if err != nil {
		t.Fatal(err)
	}
	type day struct {
		high, low int64
		volume    uint64
	}
	days := map[uint32]day{}
	checked, at := 0, uint64(0)
	for {
		m, ok := src.Next(nil)
		if !ok || m[0] == 'S' && m[11] == 'E' {
			break
		}
		trades.rows(t, trades.event(m, src.Time()), func(i int) {
			b := trades.b
			if b.Kind[i] != tick.KindTrade || b.Aux[i] >= 1<<31 { // a correction's volume is not the day's here
				return
			}
			d, met := days[b.Instrument[i]]
			if d.high = max(d.high, b.Price[i]); !met || b.Price[i] < d.low {
				d.low = b.Price[i]
			}
			d.volume += b.Size[i]
			days[b.Instrument[i]] = d
		})
		sums.rows(t, sums.event(m, src.Time()), func(i int) {
			b := sums.b
			if b.Kind[i] != tick.KindStatistics {
				return
			}
			first, n := tick.SplitSideRows(b.Aux[i])
			for _, s := range b.Statistics[first : first+n] {
				d := days[s.InstrumentID]
				switch s.StatType {
				case 5:
					if s.Price != d.high {
						t.Fatalf("high of %d is %d, want %d", s.InstrumentID, s.Price, d.high)
					}
				case 4:
					if s.Price != d.low {
						t.Fatalf("low of %d is %d, want %d", s.InstrumentID, s.Price, d.low)
					}
				case 10001:
					if s.Quantity != int64(d.volume) {
						t.Fatalf("volume of %d is %d, want %d", s.InstrumentID, s.Quantity, d.volume)
					}
					checked++
				}
			}
			if b.TsEvent[i] < at {
				t.Fatal("time goes back")
			}
			at = b.TsEvent[i]
		})
	}
	sums.clean(t)
	if checked < 5000 {
		t.Errorf("%d compared", checked)
	}
}

// TestLiveProducts: a live session of any feed has a message whenever it is asked for one, at the time that it is asked for, and its numbers have no holes.
func TestLiveProducts(t *testing.T) {
	for _, o := range []Options{{}, {Product: xdp.BBO}, {Product: xdp.Trades}, {Summaries: true}, {Product: xdp.Trades, Summaries: true}} {
		o.Live, o.Symbols, o.Version = true, 20, xdp.V25
		k := tell(t, o)
		const from, step = 10 * 3600 * 1_000_000_000, 50_000
		for n := uint64(0); n < 20_000; n++ {
			m := k.g.NextAt(nil, from+n*step)
			if len(m) == 0 {
				t.Fatalf("%+v: nothing at %d", o, n)
			}
			k.rows(t, m, func(i int) {
				if at := k.b.TsEvent[i]; xdp.Type(m) != xdp.TypeSymbolIndexMapping && (at < k.g.Midnight()+from || at > k.g.Midnight()+from+n*step) {
					t.Fatalf("%+v: message %d, %s, at %d", o, n, xdp.Name(xdp.Type(m)), at)
				}
			})
		}
		k.clean(t)
	}
}
