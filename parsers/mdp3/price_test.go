package mdp3_test

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/parsers/mdp3"
	"github.com/tickwire/tickwire/parsers/mdp3/sbe"
	"github.com/tickwire/tickwire/sim/mdp3gen"
	"github.com/tickwire/tickwire/tick"
)

var billion = big.NewInt(1_000_000_000)

// conventional is wire × display in 1e-9, by numbers of any size; ok is false where it is none.
func conventional(wire, displayE9 int64) (px int64, ok bool) {
	product, rest := new(big.Int).QuoRem(new(big.Int).Mul(big.NewInt(wire), big.NewInt(displayE9)), billion, new(big.Int))
	if rest.Sign() != 0 || !product.IsInt64() {
		return 0, false
	}
	px = product.Int64()
	return px, px < math.MaxInt64 && px > -math.MaxInt64 && wire != math.MaxInt64 && wire != math.MinInt64
}

func checkPrice(t *testing.T, displayE9, wire int64) {
	px, ok, known := mdp3.Price(displayE9, wire)
	want, fits := conventional(wire, displayE9)
	if known != (displayE9 > 0) || ok != (fits && known) || ok && px != want || !ok && px != tick.UndefPrice {
		t.Fatalf("%d × %d e-9 is %d, %v (factor: %v), want %d, %v", wire, displayE9, px, ok, known, want, fits)
	}
}

var factors = []int64{1e9, 1e7, 1e5, 1e3, 100, 1, 1e8, 1e11, 5e8, 25e7, 31_250_000, 3e9, 7, 1e18, 2, 512, 1_953_125, 999_999_999, math.MaxInt64, math.MaxInt64 - 1, 1 << 62, 0, -1, -1e7, math.MinInt64}

// TestFactor compares multiplication by an inverse with numbers of any size: at the ends of what fits, at multiples and beside them, and at random.
func TestFactor(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	products := 0
	for n := range 200 {
		display := factors[min(n, len(factors)-1)]
		if n >= len(factors) {
			display = int64(r.Uint64() >> r.IntN(64))
		}
		around := []int64{0, math.MaxInt64, math.MinInt64, 519_975_000_000_000}
		if display > 0 {
			step := 1_000_000_000 / new(big.Int).GCD(nil, nil, big.NewInt(display), billion).Int64() // what a price must be a multiple of
			most := new(big.Int).Div(new(big.Int).Mul(big.NewInt(math.MaxInt64), billion), big.NewInt(display))
			if most.IsInt64() {
				around = append(around, most.Int64(), most.Int64()/step*step, -most.Int64()/step*step)
			}
			around = append(around, step, -step, math.MaxInt64/step*step, -(math.MaxInt64 / step * step))
			for range 20 {
				around = append(around, int64(r.Uint64()>>r.IntN(64))/step*step, -int64(r.Uint64()>>(1+r.IntN(63)))/step*step)
			}
		}
		for _, x := range around {
			for d := int64(-2); d <= 2; d++ {
				checkPrice(t, display, x+d)
				if _, ok := conventional(x+d, display); ok && display > 0 {
					products++
				}
			}
		}
	}
	if products < 3000 {
		t.Errorf("%d products: this test shows less than it says", products)
	}
}

func FuzzFactor(f *testing.F) {
	for _, display := range factors {
		for _, wire := range []int64{0, 1, -519_975_000_000_000, 1 << 54, math.MaxInt64 / 512 * 512, math.MaxInt64, math.MinInt64} {
			f.Add(display, wire)
		}
	}
	f.Fuzz(checkPrice)
}

// converted holds a batch's prices against those of the same messages on the wire, instrument by instrument, and says how many there were.
func converted(t *testing.T, what string, got, wire *tick.Batch, display map[uint32]int64) (prices int) {
	t.Helper()
	if got.N != wire.N || got.Sides != wire.Sides {
		t.Fatalf("%s: %d rows, %+v; %d on the wire, %+v", what, got.N, got.Sides, wire.N, wire.Sides)
	}
	one := func(id uint32, name string, px, on int64) {
		t.Helper()
		want, ok := int64(tick.UndefPrice), true
		if on != tick.UndefPrice {
			prices++
			want, ok = conventional(on, display[id])
		}
		if px != want || !ok {
			t.Fatalf("%s: %s of %d is %d, on the wire %d: want %d (%v)", what, name, id, px, on, want, ok)
		}
	}
	for i := range got.N {
		x, y := parsedRow(got, i), parsedRow(wire, i)
		x.px, y.px = 0, 0
		if x != y || got.Flags[i] != wire.Flags[i] {
			t.Fatalf("%s: row %d is %+v, on the wire %+v", what, i, x, y)
		}
		one(got.Instrument[i], fmt.Sprint("row ", got.Kind[i]), got.Price[i], wire.Price[i])
	}
	for i := range got.Sides.Statistics {
		x, y := got.Statistics[i], wire.Statistics[i]
		one(x.InstrumentID, fmt.Sprint("statistic ", x.StatType), x.Price, y.Price)
		if x.Price = y.Price; x != y {
			t.Fatalf("%s: %+v, on the wire %+v", what, x, y)
		}
	}
	for i := range got.Sides.Exts {
		x, y := got.Exts[i], wire.Exts[i]
		if slices.Contains([]uint64{270, 31, 1143}, x.B) {
			one(x.InstrumentID, fmt.Sprint("tag ", x.B), int64(x.C), int64(y.C))
			x.C = y.C
		}
		if x != y {
			t.Fatalf("%s: %+v, on the wire %+v", what, x, y)
		}
	}
	for i := range got.Sides.Definitions {
		x, y := got.Definitions[i], wire.Definitions[i]
		for name, p := range map[string][2]*int64{"increment": {&x.MinPriceIncrement, &y.MinPriceIncrement}, "high limit": {&x.HighLimitPrice, &y.HighLimitPrice},
			"low limit": {&x.LowLimitPrice, &y.LowLimitPrice}, "variation": {&x.MaxPriceVariation, &y.MaxPriceVariation}, "strike": {&x.StrikePrice, &y.StrikePrice}} {
			one(x.InstrumentID, name, *p[0], *p[1])
			*p[0] = *p[1]
		}
		if x != y {
			t.Fatalf("%s: definition %+v, on the wire %+v", what, x, y)
		}
	}
	return prices
}

// TestConventionalPrices: each price of a generated day, and of snapshots of it, is the wire's times DisplayFactor; nothing else differs.
func TestConventionalPrices(t *testing.T) {
	for _, o := range []mdp3gen.Options{{Messages: 40_000, Seed: 1, Instruments: 56}, {Messages: 20_000, Seed: 2, Version: 9, Instruments: 56}, {Messages: 20_000, Seed: 3, LongQty: true, Instruments: 56}} {
		g, err := mdp3gen.New(o)
		if err != nil {
			t.Fatal(err)
		}
		d, a := newDecoder(t, mdp3.Options{}), newBatch(t)
		onWire, b := newDecoder(t, onWire), newBatch(t)
		display, prices, negative := map[uint32]int64{}, 0, 0
		number := uint64(0)
		take := func(body []byte) {
			number++
			a.Reset()
			b.Reset()
			for _, x := range []struct {
				d   *mdp3.Decoder
				out *tick.Batch
			}{{d, a}, {onWire, b}} {
				if used, n := x.d.Append(body, number, 1, x.out); used != len(body) || n != 1 {
					t.Fatalf("packet %d: %d of %d bytes", number, used, len(body))
				}
			}
			for i := range b.Sides.Definitions {
				display[b.Definitions[i].InstrumentID] = b.Definitions[i].DisplayFactor
			}
			prices += converted(t, fmt.Sprint("packet ", number), a, b, display)
			for _, px := range a.Price[:a.N] {
				if px < 0 {
					negative++
				}
			}
		}
		for {
			event, ok := g.Next(nil)
			if !ok {
				break
			}
			take(event)
		}
		for i := range g.Instruments() {
			take(g.AppendDefinition(nil, i, 7))
			take(g.AppendSnapshot(nil, i, 1, 1))
			g.EachOrderSnapshot(i, 1, 1, take)
		}
		of := map[int64]bool{}
		for _, f := range display {
			of[f] = true
		}
		if d.Refused()+d.Counters.Undefined != 0 || negative == 0 || len(of) < 5 || uint64(prices) < o.Messages {
			t.Errorf("%d prices, %d negative ones, factors %v; %+v", prices, negative, of, d.Counters)
		}
		t.Logf("%d prices, %d negative rows, by factors %v", prices, negative, of)
	}
}

// priced is one message of a template, with a price in each field that is one of an instrument's.
func priced(t *testing.T, id uint16, security int) []byte {
	m := mdp3.Schema().Message(id)
	typ := map[uint16]byte{49: '6', 33: '6', 51: '7', 35: '7', 67: '7', 48: '2', 42: '2', 65: '2', 36: '2'}[id]
	if typ == 0 {
		typ = '0'
	}
	values := f{"TransactTime": 5, "SecurityID": security, "RptSeq": 1, "MDEntrySize": 5, "MDPriceLevel": 1, "MDEntryType": int(typ), "OrderID": 3, "MDOrderPriority": 4, "MDDisplayQty": 5,
		"NoChunks": 1, "CurrentChunk": 1, "ReferenceID": 1, "NumberOfOrders": 1, "LastQty": 5, "MatchEventIndicator": 0x80, "DisplayFactor": 10_000_000, "SecurityUpdateAction": int('A'),
		"LegSecurityID": security, "LegSide": 1, "LegRatioQty": 1}
	of := func(b *sbe.Block) f {
		out := f{}
		for i := range b.Fields {
			x := &b.Fields[i]
			if v, ok := values[x.Name]; ok {
				if x.Name == "DisplayFactor" && x.Type.Exponent == -7 {
					v = 100_000
				}
				out[x.Name] = v
			} else if x.Type.Kind == sbe.Decimal && x.Type.Size == 8 {
				out[x.Name] = 519_975 * int64(math.Pow10(-x.Type.Exponent))
			}
		}
		return out
	}
	gs := groups{}
	for i := range m.Groups {
		gs[m.Groups[i].Name] = []f{of(&m.Groups[i].Block)}
	}
	return msg(t, id, of(&m.Block), gs)
}

// templates are those that have prices of an instrument.
var pricedTemplates = []uint16{46, 32, 64, 47, 43, 48, 42, 65, 36, 49, 33, 50, 34, 51, 35, 67, 52, 38, 69, 61, 68, 53, 44, 59, 60, 54, 27, 55, 41, 56, 29, 57, 58, 63}

// TestEveryTemplatesPrices: 519975 by 0.01 is 5199.75, wherever it comes from; without a definition it is not there, and what has no price is.
func TestEveryTemplatesPrices(t *testing.T) {
	for _, id := range pricedTemplates {
		name := fmt.Sprint("template ", id)
		m := priced(t, id, 7)
		definition := msg(t, 54, f{"SecurityID": 7, "SecurityUpdateAction": int('A'), "DisplayFactor": 10_000_000}, nil)
		var outs [2]*tick.Batch
		for i, o := range []mdp3.Options{{}, onWire} {
			d := newDecoder(t, o)
			outs[i] = newBatch(t)
			feed(t, d, outs[i], packet(1, definition))
			outs[i].Reset()
			feed(t, d, outs[i], packet(2, m))
			if d.Refused() != 0 || outs[i].N == 0 || d.Counters.Undefined != 0 {
				t.Fatalf("%s: %d rows, %+v", name, outs[i].N, d.Counters)
			}
		}
		if legs := outs[0].Sides.Definitions; legs > 0 && (id == 56 || id == 29) { // a leg has a factor of its own, here the same
			x, y := &outs[0].Definitions[0], &outs[1].Definitions[0]
			if id == 56 && (x.LegPrice != 5_199_750_000_000 || y.LegPrice != 519_975_000_000_000) {
				t.Errorf("%s: leg at %d, on the wire %d", name, x.LegPrice, y.LegPrice)
			}
			x.LegPrice = y.LegPrice
		}
		if n := converted(t, name, outs[0], outs[1], map[uint32]int64{7: 10_000_000}); n == 0 {
			t.Errorf("%s: no price", name)
		}
		if outs[0].Sides.Definitions > 0 {
			continue
		}
		d, out := newDecoder(t, mdp3.Options{}), newBatch(t)
		feed(t, d, out, packet(2, m))
		for i := range out.N {
			if k := out.Kind[i]; out.Price[i] != tick.UndefPrice || k != tick.KindStatistics && k != tick.KindStatus && k != tick.KindExt {
				t.Errorf("%s without a definition: %s", name, rowOf(out, i))
			}
		}
		for _, s := range out.Statistics[:out.Sides.Statistics] {
			if s.Price != tick.UndefPrice {
				t.Errorf("%s without a definition: %+v", name, s)
			}
		}
		for _, e := range out.Exts[:out.Sides.Exts] {
			if slices.Contains([]uint64{270, 31, 1143}, e.B) {
				t.Errorf("%s without a definition: %+v", name, e)
			}
		}
		if c := d.Counters; c.Refused != 0 || c.Undefined != 1 || c.UndefinedInstruments != 1 {
			t.Errorf("%s without a definition: %+v", name, c)
		}
	}
}

// taken is what TakeDoubts says.
func taken(d *mdp3.Decoder) string {
	var ids []uint32
	named := d.TakeDoubts(func(id uint32) { ids = append(ids, id) })
	return fmt.Sprint(ids, " ", named)
}

func defined(t *testing.T, id int, displayE9 int64) []byte {
	return msg(t, 54, f{"SecurityID": id, "SecurityUpdateAction": int('A'), "DisplayFactor": displayE9}, nil)
}

// onBoth runs a test over the quick way and the definition of it.
func onBoth(t *testing.T, run func(t *testing.T, d *mdp3.Decoder, out *tick.Batch)) {
	for _, way := range []string{"quick", "slow"} {
		t.Run(way, func(t *testing.T) {
			d, out := newDecoder(t, mdp3.Options{}), newBatch(t)
			if way == "slow" {
				d.Slow()
			}
			run(t, d, out)
		})
	}
}

// TestUndefined: what is of an instrument without a definition is left out, counted, told once; its neighbours in the same message are whole, and get their own orders.
func TestUndefined(t *testing.T) {
	onBoth(t, func(t *testing.T, d *mdp3.Decoder, out *tick.Batch) {
		level := func(id, rpt, at int) f {
			return f{"MDEntryPx": px(100), "MDEntrySize": id, "SecurityID": id, "RptSeq": rpt, "MDPriceLevel": at, "MDEntryType": int('0')}
		}
		order := func(id, ref int) f {
			return f{"OrderID": id, "MDOrderPriority": id, "MDDisplayQty": 1, "ReferenceID": ref}
		}
		book := func(rpt, rpt2 int) []byte {
			return msg(t, 46, at(5, 0x84), groups{"NoMDEntries": {level(1, rpt, 1), level(2, rpt2, 1), level(1, rpt+1, 2)}, "NoOrderIDEntries": {order(11, 1), order(12, 2), order(13, 3)}})
		}
		want := []string{"level N 1 B1 1 @ 1.00, 0 orders +", "level N 1 B2 1 @ 1.00, 0 orders", "add 1 11 B 1 @ 1.00 +", "add 1 13 B 1 @ 1.00"}
		feed(t, d, out, packet(1, defined(t, 1, 1e7), defined(t, 3, 1e9)))
		out.Reset()
		feed(t, d, out, packet(2, book(1, 1)))
		same(t, "book", rowsOf(out), want)
		if got := taken(d); got != "[2] true" || d.Doubts() != 1 {
			t.Errorf("in doubt are %s, %d", got, d.Doubts())
		}
		out.Reset()
		feed(t, d, out, packet(3, book(3, 2)))
		same(t, "book again", rowsOf(out), want)

		trade := func(id, rpt int) f {
			return f{"MDEntryPx": px(100), "MDEntrySize": 2, "SecurityID": id, "RptSeq": rpt, "NumberOfOrders": 2, "AggressorSide": 1, "MDTradeEntryID": id}
		}
		fills := []f{{"OrderID": 21, "LastQty": 2}, {"OrderID": 22, "LastQty": 2}, {"OrderID": 23, "LastQty": 2}, {"OrderID": 24, "LastQty": 2}}
		wantTrades := []string{"trade 1 23 B 2 @ 1.00 aux 1 +", "fill 1 24 A 2 @ 1.00 aux 1"}
		out.Reset()
		feed(t, d, out, packet(4, msg(t, 48, at(6, 0x81), groups{"NoMDEntries": {trade(2, 3), trade(1, 5)}, "NoOrderIDEntries": fills})))
		same(t, "trades", rowsOf(out), wantTrades)
		out.Reset() // and where their orders come in another message
		feed(t, d, out, packet(5, msg(t, 48, at(7, 0), groups{"NoMDEntries": {trade(2, 4), trade(1, 6)}}), msg(t, 48, at(7, 0x81), groups{"NoOrderIDEntries": fills})))
		same(t, "split trades", rowsOf(out), []string{"trade 1 0 B 2 @ 1.00 aux 1 +", "fill 1 24 A 2 @ 1.00 aux 1"})

		out.Reset()
		feed(t, d, out, packet(6, msg(t, 37, at(8, 0x82), groups{"NoMDEntries": {{"MDEntrySize": 9, "SecurityID": 2, "RptSeq": 5}, {"MDEntrySize": 9, "SecurityID": 3, "RptSeq": 1}}}),
			msg(t, 49, at(8, 0x80), groups{"NoMDEntries": {{"MDEntryPx": px(1), "SecurityID": 2, "RptSeq": 6, "MDEntryType": int('6'), "SettlPriceType": 0x80}, {"MDEntrySize": 4, "SecurityID": 2, "RptSeq": 7, "MDEntryType": int('C')},
				{"MDEntryPx": px(1), "SecurityID": 3, "RptSeq": 2, "MDEntryType": int('6'), "SettlPriceType": 0x80}}})))
		same(t, "figures", rowsOf(out), []string{"stat 2 type 10001 - 9 action 1 flags 0", "stat 3 type 10001 - 9 action 1 flags 0", "stat 2 type 9 - 4 action 1 flags 0", "stat 3 type 3 1.00 9223372036854775807 action 1 flags 0"})
		if c := d.Counters; c.Undefined != 5 || c.UndefinedInstruments != 1 || c.Refused+c.RptSeqGaps+c.RptSeqBack+c.FillsUnplaced != 0 || taken(d) != "[] true" {
			t.Errorf("%+v", c)
		}
		number := uint32(6)
		if n := testing.AllocsPerRun(20, func() { // what it costs for ever is no memory
			number++
			p := packets46[number%2]
			out.Reset()
			d.Append(p, uint64(number), 1, out)
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}

		// The definition comes at last: books lack what was before it.
		out.Reset()
		feed(t, d, out, packet(1, defined(t, 2, 1e9), book(10, 10)))
		if got := taken(d); got != "[2] true" || out.N != 7 || out.Price[2] != 100e9 || out.Price[1] != 1e9 {
			t.Errorf("in doubt are %s, rows\n%s", got, strings.Join(rowsOf(out), "\n"))
		}
		d.Start(0) // within a week definitions stay, beyond it they do not
		out.Reset()
		feed(t, d, out, packet(1, book(1, 1)))
		if out.N != 6 || taken(d) != "[] true" {
			t.Errorf("%d rows", out.N)
		}
		d.Start(7 * 86_400_000_000_000)
		out.Reset()
		feed(t, d, out, packet(1, book(1, 1)))
		if got := taken(d); out.N != 0 || got != "[1 2] true" {
			t.Errorf("%d rows in another week, in doubt are %s", out.N, got)
		}
	})
}

// packets46 are messages of instrument 2 alone, for TestUndefined.
var packets46 = func() (out [2][]byte) {
	for i := range out {
		out[i] = mdp3.EncodeV13.AppendOrders(nil, 9, 0x84, []mdp3.WireOrderLevel{{ID: 5, Priority: 6, Price: 4e12, Size: 3, Security: 2, Type: '1'}})
	}
	return out
}()

// TestRescaled: another factor makes something else of all prices before it: both books are emptied, and are in doubt. The same one again, and another one between
// sessions, do nothing of the kind.
func TestRescaled(t *testing.T) {
	onBoth(t, func(t *testing.T, d *mdp3.Decoder, out *tick.Batch) {
		rpt := map[int]int{}
		feed(t, d, out, packet(1, defined(t, 1, 1e9), bookOf(t, 1, 0x84, rpt, 1), defined(t, 1, 1e9), bookOf(t, 2, 0x84, rpt, 1)))
		if got := taken(d); got != "[] true" || d.Counters.Rescaled != 0 {
			t.Errorf("in doubt are %s, %+v", got, d.Counters)
		}
		out.Reset()
		feed(t, d, out, packet(2, defined(t, 1, 1e7), bookOf(t, 3, 0x84, rpt, 1)))
		got := rowsOf(out)
		for i := range got {
			got[i], _, _ = strings.Cut(got[i], " class")
		}
		same(t, "rows", got, []string{"clear 1", "definition 1 ", "level C 1 B1 3 @ 0.01, 0 orders"})
		if got := taken(d); got != "[1] true" || d.Counters.Rescaled != 1 {
			t.Errorf("in doubt are %s, %+v", got, d.Counters)
		}
		out.Reset() // one that says how many there are is of a replay, and no snapshot of the books: nothing follows that would make them right
		feed(t, d, out, packet(3, msg(t, 54, f{"SecurityID": 1, "SecurityUpdateAction": int('A'), "DisplayFactor": 1_000_000, "TotNumReports": 2}, nil)))
		if out.N < 2 || out.Kind[0] != tick.KindClear || out.Flags[0]&tick.FlagSnapshot != 0 || out.Kind[1] != tick.KindDefinition || out.Flags[1]&tick.FlagSnapshot == 0 || taken(d) != "[1] true" {
			t.Errorf("rows %v, flags %x", rowsOf(out), out.Flags[:out.N])
		}
		d.Start(0)
		out.Reset()
		feed(t, d, out, packet(1, defined(t, 1, 1e8), bookOf(t, 3, 0x84, rpt, 1)))
		if got := taken(d); got != "[] true" || d.Counters.Rescaled != 2 || out.Kind[0] != tick.KindDefinition || out.Price[1] != 1e8 {
			t.Errorf("in doubt are %s, %+v, rows %v", got, d.Counters, rowsOf(out))
		}
	})
}

// TestInexact: what has a price whose product is no multiple of 1e-9, or does not fit, is left out, and nothing else; whose it was is said.
func TestInexact(t *testing.T) {
	onBoth(t, func(t *testing.T, d *mdp3.Decoder, out *tick.Batch) {
		feed(t, d, out, packet(1, defined(t, 1, 1e7), defined(t, 2, 1e11), defined(t, 3, 1e9)))
		order := func(id int, px int64) []byte {
			return msg(t, 47, at(1, 0x84), groups{"NoMDEntries": {{"OrderID": 1, "MDOrderPriority": 1, "MDEntryPx": px, "MDDisplayQty": 1, "SecurityID": id, "MDEntryType": int('0')}}})
		}
		// Once all are met, both ways are taken.
		feed(t, d, out, packet(2, order(1, 100), order(2, -1), order(3, 7)))
		out.Reset()
		feed(t, d, out, packet(3, order(1, 300), order(1, 301), order(2, -5), order(2, math.MaxInt64-1), order(2, math.MinInt64), order(3, 8), order(1, -50), order(3, math.MaxInt64-1)))
		var prices []int64
		for i := range out.N {
			prices = append(prices, out.Price[i])
		}
		if want := []int64{3, -500, 8, math.MaxInt64 - 1}; !slices.Equal(prices, want) {
			t.Errorf("prices %v, want %v", prices, want)
		}
		if c := d.Counters; c.Inexact != 4 || c.Refused != 0 || c.Undefined != 0 {
			t.Errorf("%+v", c)
		}
		if got := taken(d); got != "[1 2] true" || taken(d) != "[] true" {
			t.Errorf("in doubt are %s", got)
		}
		feed(t, d, out, packet(4, order(1, math.MaxInt64))) // null is another reason
		if c, got := d.Counters, taken(d); c.Inexact != 4 || c.Refused != 1 || got != "[] false" {
			t.Errorf("null: %+v, in doubt are %s", c, got)
		}
		old := msg(t, 43, at(1, 0x84), groups{"NoMDEntries": {{"OrderID": 1, "MDOrderPriority": 1, "MDEntryPx": int64(math.MaxInt64 / 50), "MDDisplayQty": 1, "SecurityID": 3, "MDEntryType": int('0')}}})
		feed(t, d, out, packet(5, old))
		if c, got := d.Counters, taken(d); c.Inexact != 5 || c.Refused != 1 || got != "[3] true" {
			t.Errorf("a price in 1e-7 that does not fit 1e-9: %+v, in doubt are %s", c, got)
		}
	})
}

// TestInexactEntry: within a message, neighbours of what is inexact are whole, and get their own orders and fills.
func TestInexactEntry(t *testing.T) {
	onBoth(t, func(t *testing.T, d *mdp3.Decoder, out *tick.Batch) {
		level := func(id, rpt, at int, px int64) f {
			return f{"MDEntryPx": px, "MDEntrySize": id, "SecurityID": id, "RptSeq": rpt, "MDPriceLevel": at, "MDEntryType": int('0')}
		}
		order := func(id, ref int) f {
			return f{"OrderID": id, "MDOrderPriority": id, "MDDisplayQty": 1, "ReferenceID": ref}
		}
		book := func(rpt int, inexact int64) []byte {
			return msg(t, 46, at(5, 0x84), groups{"NoMDEntries": {level(1, rpt, 1, px(100)), level(2, rpt, 1, inexact), level(1, rpt+1, 2, px(100))}, "NoOrderIDEntries": {order(11, 1), order(12, 2), order(13, 3)}})
		}
		feed(t, d, out, packet(1, defined(t, 1, 1e7), defined(t, 2, 1e7), book(1, px(100))))
		out.Reset()
		feed(t, d, out, packet(2, book(3, 1), book(5, px(100))))
		same(t, "book", rowsOf(out)[:4], []string{"level N 1 B1 1 @ 1.00, 0 orders +", "level N 1 B2 1 @ 1.00, 0 orders", "add 1 11 B 1 @ 1.00 +", "add 1 13 B 1 @ 1.00"})
		if c, got := d.Counters, taken(d); out.N != 4+6 || got != "[2] true" || c.Inexact != 2 || c.Refused != 0 || c.RptSeqGaps != 2 { // the test itself leaves out numbers of 2
			t.Errorf("%d rows, in doubt are %s, %+v", out.N, got, c)
		}
		trade := func(id, rpt int, px int64, action int) f {
			return f{"MDEntryPx": px, "MDEntrySize": 2, "SecurityID": id, "RptSeq": rpt, "NumberOfOrders": 2, "AggressorSide": 1, "MDTradeEntryID": id, "MDUpdateAction": action}
		}
		fills := []f{{"OrderID": 21, "LastQty": 2}, {"OrderID": 22, "LastQty": 2}, {"OrderID": 23, "LastQty": 2}, {"OrderID": 24, "LastQty": 2}}
		out.Reset()
		feed(t, d, out, packet(3, msg(t, 48, at(6, 0x81), groups{"NoMDEntries": {trade(2, 6, 3, 0), trade(1, 7, px(100), 0)}, "NoOrderIDEntries": fills})))
		same(t, "trades", rowsOf(out), []string{"trade 1 23 B 2 @ 1.00 aux 1 +", "fill 1 24 A 2 @ 1.00 aux 1"})
		out.Reset()
		feed(t, d, out, packet(4, msg(t, 48, at(7, 0), groups{"NoMDEntries": {trade(2, 7, 3, 0), trade(1, 8, px(100), 0)}}), msg(t, 48, at(7, 0x81), groups{"NoOrderIDEntries": fills})))
		same(t, "split trades", rowsOf(out), []string{"trade 1 0 B 2 @ 1.00 aux 1 +", "fill 1 24 A 2 @ 1.00 aux 1"})
		out.Reset()
		feed(t, d, out, packet(5, msg(t, 48, at(8, 0x81), groups{"NoMDEntries": {trade(2, 8, 3, 1), trade(2, 9, 3, 2), trade(1, 9, px(100), 0)}})))
		same(t, "corrections", rowsOf(out)[:2], []string{"break 2 of 2", "break 2 of 2"}) // what they take back may have been told
		if c, got := d.Counters, taken(d); out.N != 3 || c.Inexact != 6 || c.Refused+c.FillsUnplaced != 0 || got != "[2] true" {
			t.Errorf("in doubt are %s, %+v", got, c)
		}
	})
}

// TestInexactFigures: of what is no entry of a book that figure, or that field, alone is left out, and nothing is in doubt.
func TestInexactFigures(t *testing.T) {
	d, out := newDecoder(t, mdp3.Options{}), newBatch(t)
	feed(t, d, out, packet(1, defined(t, 1, 1e7)))
	stat := func(id uint16, rpt int, typ byte, px int64) f {
		return f{"MDEntryPx": px, "SecurityID": 1, "RptSeq": rpt, "MDEntryType": int(typ), "SettlPriceType": 0x80}
	}
	for _, tc := range []struct {
		name    string
		m       []byte
		inexact uint64
		want    []string
	}{
		{"settlement", msg(t, 49, at(8, 0x80), groups{"NoMDEntries": {stat(49, 1, '6', 1), stat(49, 2, '6', px(100))}}), 1, []string{"stat 1 type 3 1.00 9223372036854775807 action 1 flags 0"}},
		{"VWAP", msg(t, 51, at(8, 0x80), groups{"NoMDEntries": {{"MDEntryPx": int64(1), "SecurityID": 1, "RptSeq": 3, "MDEntryType": int('9')}, {"MDEntryPx": px(100), "SecurityID": 1, "RptSeq": 4, "MDEntryType": int('7')}}}), 1,
			[]string{"stat 1 type 5 1.00 9223372036854775807 action 1 flags 0"}},
		{"limit", msg(t, 50, at(8, 0x80), groups{"NoMDEntries": {{"HighLimitPrice": int64(1), "LowLimitPrice": px(100), "MaxPriceVariation": int64(1), "SecurityID": 1, "RptSeq": 5}}}), 2,
			[]string{"stat 1 type 18 1.00 9223372036854775807 action 1 flags 0"}},
		{"workup", msg(t, 60, f{"TransactTime": 9, "MDEntryPx": int64(1), "SecurityID": 1, "TradeLinkID": 4, "MatchEventIndicator": 0x80}, nil), 1, []string{"", "ext 1 60/820=4"}},
		{"snapshot", msg(t, 52, f{"SecurityID": 1, "TransactTime": 5, "HighLimitPrice": int64(1)}, groups{"NoMDEntries": {{"MDEntryPx": px(100), "MDEntrySize": 3, "MDPriceLevel": 1, "MDEntryType": int('0')},
			{"MDEntryPx": int64(1), "MDEntrySize": 3, "MDEntryType": int('2')}, {"MDEntryPx": int64(1), "MDEntryType": int('6')}}}), 3, []string{"clear L 1 s +", "level N 1 B1 3 @ 1.00, 0 orders s", "stat 1 type 18 - 9223372036854775807 action 2 flags 0 s", "ext 1 52/1143=9223372036854775807 s"}},
	} {
		out.Reset()
		before := d.Counters.Inexact
		feed(t, d, out, packet(2, tc.m))
		got := rowsOf(out)
		if len(got) > 0 && tc.want[0] == "" {
			got[0] = ""
		}
		same(t, tc.name, got, tc.want)
		if n := d.Counters.Inexact - before; n != tc.inexact || d.Refused() != 0 || d.Hopeless(1) {
			t.Errorf("%s: %d inexact, %+v", tc.name, n, d.Counters)
		}
	}
	if got := taken(d); got != "[] true" || d.Doubts() != 0 {
		t.Errorf("in doubt are %s", got)
	}
}

// TestInexactDefinition: a field that is inexact is not there, and the rest of its definition holds. Without a factor it is none.
func TestInexactDefinition(t *testing.T) {
	for name, root := range map[string]f{
		"an inexact limit":      {"DisplayFactor": 10_000_000, "HighLimitPrice": int64(1)},
		"an inexact tick":       {"DisplayFactor": 10_000_000, "MinPriceIncrement": int64(1)},
		"a limit beyond all":    {"DisplayFactor": int64(1e12), "HighLimitPrice": int64(math.MaxInt64 / 2)},
		"a settlement, alike":   {"DisplayFactor": 10_000_000, "TradingReferencePrice": int64(3)},
		"the same in the loop":  {"DisplayFactor": 10_000_000, "TradingReferencePrice": int64(3), "TotNumReports": 2},
		"of an older template":  {"DisplayFactor": 100_000, "HighLimitPrice": int64(math.MaxInt64 / 50)},
		"of an older one, also": {"DisplayFactor": 100_000, "UnitOfMeasureQty": int64(math.MaxInt64 / 50)},
	} {
		root["SecurityID"], root["SecurityUpdateAction"], root["LowLimitPrice"] = 1, int('A'), px(100)
		id := uint16(54)
		if root["DisplayFactor"] == 100_000 {
			id = 27
		}
		d, out := newDecoder(t, mdp3.Options{}), newBatch(t)
		feed(t, d, out, packet(1, msg(t, id, root, nil), defined(t, 2, 1e9), bookOf(t, 1, 0x84, map[int]int{}, 1, 2)))
		c := d.Counters
		if out.N != 4 || out.Sides.Statistics != 0 || c.Refused+c.UndefinedInstruments != 0 || c.Inexact != 1 || taken(d) != "[] true" {
			t.Errorf("%s: %+v, rows %v", name, c, rowsOf(out))
			continue
		}
		if v := &out.Definitions[0]; v.LowLimitPrice == tick.UndefPrice || v.HighLimitPrice != tick.UndefPrice || root["MinPriceIncrement"] != nil && v.MinPriceIncrement != tick.UndefPrice || v.UnitOfMeasureQty != tick.UndefPrice {
			t.Errorf("%s: %+v", name, v)
		}
	}
	for name, root := range map[string]f{"of factor 0": {"DisplayFactor": 0}, "of factor -0.01": {"DisplayFactor": -10_000_000}} {
		root["SecurityID"], root["SecurityUpdateAction"] = 1, int('A')
		d, out := newDecoder(t, mdp3.Options{}), newBatch(t)
		feed(t, d, out, packet(1, msg(t, 54, root, nil), defined(t, 2, 1e9), bookOf(t, 1, 0x84, map[int]int{}, 1, 2)))
		if out.N != 2 || out.Instrument[0] != 2 || out.Instrument[1] != 2 || d.Counters.Refused != 1 || d.Counters.Inexact != 0 || d.Counters.UndefinedInstruments != 1 {
			t.Errorf("%s: %+v, rows %v", name, d.Counters, rowsOf(out))
		}
	}
}

// TestInexactSnapshot: a snapshot with an inexact price is taken but for that; books that are made of it are not the venue's, and others would not be either, so that after an
// exchange they are no reason for another rebuild. One that is whole ends it, and so do another factor and a session.
func TestInexactSnapshot(t *testing.T) {
	orders := func(prices ...int64) []byte {
		var list []f
		for i, px := range prices {
			list = append(list, f{"OrderID": i + 1, "MDOrderPriority": i + 1, "MDEntryPx": px, "MDDisplayQty": 5, "MDEntryType": int('0')})
		}
		return msg(t, 53, f{"SecurityID": 7, "TransactTime": 1, "NoChunks": 1, "CurrentChunk": 1}, groups{"NoMDEntries": list})
	}
	levels := func(prices ...int64) []byte {
		var list []f
		for i, px := range prices {
			list = append(list, f{"MDEntryPx": px, "MDEntrySize": 5, "MDPriceLevel": i + 1, "MDEntryType": int('0')})
		}
		return msg(t, 52, f{"SecurityID": 7, "RptSeq": 9, "TransactTime": 1}, groups{"NoMDEntries": append(list, f{"MDEntryPx": px(500), "MDEntrySize": 5, "MDPriceLevel": 1, "MDEntryType": int('1')})})
	}
	d, other, out := newDecoder(t, mdp3.Options{}), newDecoder(t, mdp3.Options{}), newBatch(t)
	take := func(m ...[]byte) []string {
		out.Reset()
		feed(t, d, out, packet(1, m...))
		return rowsOf(out)
	}
	lacking := func() (n int) {
		d.Lacking(func(uint32) { n++ })
		return n
	}
	take(defined(t, 7, 1e7))
	same(t, "orders", take(orders(px(100), 1, px(100))), []string{"clear O 7 s +", "add 7 1 B 5 @ 1.00 s +", "add 7 3 B 5 @ 1.00 s"})
	if got := taken(d); got != "[7] true" || !d.Hopeless(7) || lacking() != 1 || d.Hopeless(8) {
		t.Errorf("in doubt are %s, %d lack something", got, lacking())
	}
	same(t, "levels", take(levels(px(300), 1, px(100))), []string{"clear L 7 s +", "level N 7 B1 5 @ 3.00, 0 orders s +", "level N 7 A1 5 @ 5.00, 0 orders s"})
	take(orders(px(100)))
	if !d.Hopeless(7) {
		t.Error("the levels are whole without being told")
	}
	take(levels(px(300)))
	if d.Hopeless(7) || lacking() != 0 || d.Counters.Inexact != 2 || d.Refused() != 0 {
		t.Errorf("not whole: %+v", d.Counters)
	}
	for name, m := range map[string][]byte{"a factor": defined(t, 7, 1e9), "a session": nil} {
		take(defined(t, 7, 1e7), orders(1))
		if !d.Hopeless(7) {
			t.Errorf("before %s: whole", name)
		}
		if m == nil {
			d.Start(1)
		} else {
			take(m)
		}
		if d.Hopeless(7) {
			t.Errorf("after %s: not whole", name)
		}
	}
	take(defined(t, 7, 1e7), orders(1))
	entry := msg(t, 47, at(1, 0x84), groups{"NoMDEntries": {{"OrderID": 1, "MDOrderPriority": 1, "MDEntryPx": int64(1), "MDDisplayQty": 1, "SecurityID": 7, "MDEntryType": int('0')}}})
	take(entry)
	other.Exchange(d)
	d, other = other, d
	if got := taken(d); got != "[] true" || lacking() != 1 {
		t.Errorf("in doubt after the exchange are %s, %d lack something", got, lacking())
	}
	take(orders(px(100)), entry) // the entry came behind the snapshot: another one would have it
	other.Exchange(d)
	d = other
	if got := taken(d); got != "[7] true" || lacking() != 0 {
		t.Errorf("in doubt after the other exchange are %s, %d lack something", got, lacking())
	}
}

// updated is a definition as of a time, of the loop where it says of how many.
func updated(t *testing.T, id int, displayE9 int64, time, reports int) []byte {
	root := f{"SecurityID": id, "SecurityUpdateAction": int('A'), "DisplayFactor": displayE9, "LastUpdateTime": time, "Symbol": fmt.Sprint("AT", time), "SecurityGroup": "G", "OpenInterestQty": 5}
	if reports > 0 {
		root["TotNumReports"] = reports
	}
	return msg(t, 54, root, nil)
}

// TestOlderDefinition: the newest definition of an instrument holds, whatever order they come in: an older one makes no rows, and sets no factor back.
func TestOlderDefinition(t *testing.T) {
	for _, prices := range []mdp3.Prices{mdp3.PricesConventional, mdp3.PricesWire} {
		shared := new(mdp3.Definitions)
		d, out := newDecoder(t, mdp3.Options{Definitions: shared, Prices: prices}), newBatch(t)
		rpt, number := map[int]int{}, uint64(0)
		check := func(name string, m []byte, older bool, price int64) {
			t.Helper()
			out.Reset()
			before := d.Counters.Older
			number++
			if got, n := d.AppendRefresh(m, number, 1, out); got != len(m) || n != 1 || out.N > 0 == older || d.Counters.Older-before > 0 != older {
				t.Errorf("%s: rows %v, %+v", name, rowsOf(out), d.Counters)
			}
			out.Reset()
			feed(t, d, out, packet(uint32(number), bookOf(t, int(number), 0x84, rpt, 1)))
			if prices == mdp3.PricesWire {
				price = px1
			}
			if out.N != 1 || out.Price[0] != price {
				t.Errorf("%s: rows %v, want one at %d", name, rowsOf(out), price)
			}
		}
		check("the first", updated(t, 1, 1e9, 20, 0), false, px1)
		check("an older round", updated(t, 1, 1e7, 10, 2), true, px1)
		check("of the same time", updated(t, 1, 1e9, 20, 2), false, px1)
		check("an older one on the line", updated(t, 1, 1e7, 19, 0), true, px1)
		if prices == mdp3.PricesConventional {
			check("of the same time, and another factor, in the loop", updated(t, 1, 1e7, 20, 2), true, px1)
			check("of the same time on the line: its order tells", updated(t, 1, 1e8, 20, 0), false, px1/10)
			check("of the same time as that in the loop", updated(t, 1, 1e9, 20, 2), true, px1/10)
		}
		check("a newer round", updated(t, 1, 1e7, 30, 2), false, px1/100)
		check("an older round again", updated(t, 1, 1e9, 20, 2), true, px1/100)
		check("without a time", updated(t, 1, 1e8, 0, 0), false, px1/10)
		check("and that sets no time back", updated(t, 1, 1e9, 29, 2), true, px1/10)
		if d.Refused() != 0 {
			t.Errorf("%+v", d.Counters)
		}
		d.Start(1) // of the same week
		check("in another session", updated(t, 1, 1e9, 29, 2), true, px1/10)
		d.Start(7 * 86_400_000_000_000)
		check("in another week", updated(t, 1, 1e9, 5, 2), false, px1)
	}
}

const px1 = 1_000_000_000

// TestOlderDefinitionElsewhere: newer may be what another decoder was told: a rebuild's that is given an older round of the loop does not set it back, learns from that round what it
// knows nothing of, and gives nothing older in exchange.
func TestOlderDefinitionElsewhere(t *testing.T) {
	for _, shared := range []*mdp3.Definitions{new(mdp3.Definitions), nil} {
		lane, rebuild, out := newDecoder(t, mdp3.Options{Definitions: shared}), newDecoder(t, mdp3.Options{Definitions: shared}), newBatch(t)
		rpt := map[int]int{}
		feed(t, lane, out, packet(1, updated(t, 1, 1e9, 20, 0), bookOf(t, 1, 0x84, rpt, 1)))
		out.Reset()
		feed(t, rebuild, out, packet(1, updated(t, 1, 1e7, 10, 2), bookOf(t, 1, 0x84, rpt, 1)))
		if want := int64(px1); shared != nil && (out.N != 1 || out.Price[0] != want || rebuild.Counters.Older != 1) {
			t.Errorf("rows %v, %+v", rowsOf(out), rebuild.Counters)
		}
		out.Reset()
		feed(t, rebuild, out, packet(2, msg(t, 30, f{"SecurityGroup": "G", "SecurityTradingStatus": 17, "TransactTime": 9, "MatchEventIndicator": 0x80}, nil)))
		if out.N != 1 || out.Instrument[0] != 1 {
			t.Errorf("a state of its group: rows %v", rowsOf(out))
		}
		if !lane.Exchange(rebuild) {
			t.Fatal("no exchange")
		}
		if got, want := taken(lane), map[bool]string{true: "[] true", false: "[1] true"}[shared != nil]; got != want { // made by the older factor
			t.Errorf("in doubt are %s, want %s", got, want)
		}
		out.Reset()
		feed(t, lane, out, packet(3, bookOf(t, 1, 0x84, rpt, 1), updated(t, 1, 1e7, 10, 2), bookOf(t, 1, 0x84, rpt, 1)))
		if out.N != 2 || out.Price[0] != px1 || out.Price[1] != px1 || lane.Counters.Older != 1 {
			t.Errorf("rows %v, %+v", rowsOf(out), lane.Counters)
		}
	}
	// Two channels: what the one was told holds on the other from the moment on that an older one comes there.
	shared := new(mdp3.Definitions)
	a, b, out := newDecoder(t, mdp3.Options{Definitions: shared}), newDecoder(t, mdp3.Options{Definitions: shared}), newBatch(t)
	rpt := map[int]int{}
	feed(t, b, out, packet(1, updated(t, 1, 1e7, 10, 0), bookOf(t, 1, 0x84, rpt, 1)))
	feed(t, a, out, packet(1, updated(t, 1, 1e9, 20, 0)))
	out.Reset()
	feed(t, b, out, packet(2, updated(t, 1, 1e7, 10, 2), bookOf(t, 1, 0x84, rpt, 1)))
	if got := taken(b); out.N != 2 || out.Kind[0] != tick.KindClear || out.Price[1] != px1 || got != "[1] true" || b.Counters.Rescaled != 1 || b.Counters.Older != 1 {
		t.Errorf("rows %v, in doubt are %s, %+v", rowsOf(out), got, b.Counters)
	}
}

// TestSharedDefinitions: what one decoder was told another one knows, from the moment on that it meets the instrument, or misses its definition; not in another week.
func TestSharedDefinitions(t *testing.T) {
	shared := new(mdp3.Definitions)
	a, b, out := newDecoder(t, mdp3.Options{Definitions: shared}), newDecoder(t, mdp3.Options{Definitions: shared}), newBatch(t)
	rows := func(d *mdp3.Decoder, number uint32, messages ...[]byte) int {
		out.Reset()
		feed(t, d, out, packet(number, messages...))
		return out.N
	}
	rpt := map[int]int{}
	a.Start(1)
	b.Start(1)
	rows(a, 1, defined(t, 1, 1e7))
	if n := rows(b, 1, bookOf(t, 1, 0x84, rpt, 1)); n != 1 || out.Price[0] != 1e7 || taken(b) != "[] true" {
		t.Errorf("%d rows, %v", n, rowsOf(out))
	}
	if n := rows(b, 2, bookOf(t, 2, 0x84, rpt, 2)); n != 0 || taken(b) != "[2] true" {
		t.Errorf("%d rows of what nobody knows", n)
	}
	rows(a, 2, defined(t, 2, 1e9))
	if n := rows(b, 3, bookOf(t, 3, 0x84, rpt, 2, 2)); n != 1 || out.Price[0] != 1e9 || taken(b) != "[2] true" { // the first of the two shows that it is lacking
		t.Errorf("%d rows after it was told: %v", n, rowsOf(out))
	}
	if n := rows(b, 4, bookOf(t, 4, 0x84, rpt, 1, 2)); n != 2 || taken(b) != "[] true" || b.Counters.Undefined != 2 {
		t.Errorf("%d rows from then on: %+v", n, b.Counters)
	}
	a.Start(7 * 86_400_000_000_000)
	b.Start(7 * 86_400_000_000_000)
	if n := rows(b, 5, bookOf(t, 5, 0x84, map[int]int{}, 1, 2)); n != 0 || taken(b) != "[1 2] true" {
		t.Errorf("%d rows in another week", n)
	}
}

// TestExchangeKeepsTold: that an instrument has no definition is told once, also when a rebuild's decoder takes over that never met it: another rebuild would bring no definition
// either. What else that decoder doubts is told.
func TestExchangeKeepsTold(t *testing.T) {
	lane, other, out := newDecoder(t, mdp3.Options{}), newDecoder(t, mdp3.Options{}), newBatch(t)
	rpt := map[int]int{}
	feed(t, lane, out, packet(1, defined(t, 1, 1e9), bookOf(t, 1, 0x84, rpt, 1, 2)))
	if got := taken(lane); got != "[2] true" {
		t.Errorf("in doubt are %s", got)
	}
	out.Reset()
	feed(t, other, out, packet(1, defined(t, 1, 1e9), bookOf(t, 1, 0x84, map[int]int{}, 1), defined(t, 1, 1e8), bookOf(t, 1, 0x84, map[int]int{}, 3)))
	before := lane.Doubts()
	if !lane.Exchange(other) || lane.Doubts() == before {
		t.Errorf("doubts stay at %d", before)
	}
	if got := taken(lane); got != "[1] true" {
		t.Errorf("in doubt are %s", got)
	}
	out.Reset()
	before = lane.Doubts()
	feed(t, lane, out, packet(2, bookOf(t, 2, 0x84, rpt, 2, 3)))
	if lane.Doubts() != before || lane.Counters.UndefinedInstruments != 2 { // 3, which the other one alone had met, counts, too
		t.Errorf("told again: %+v", lane.Counters)
	}
	var lacking []uint32
	lane.Lacking(func(id uint32) { lacking = append(lacking, id) })
	if slices.Sort(lacking); !slices.Equal(lacking, []uint32{2, 3}) {
		t.Errorf("%d lack a definition, want 2 and 3", lacking)
	}
}
