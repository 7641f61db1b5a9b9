package mdp3_test

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/tickwire/tickwire/parsers/itch"
	"github.com/tickwire/tickwire/parsers/mdp3"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/tick"
)

// mixed is packets as a busy futures channel sends them: orders alone, levels with their orders, trades with volume, of 2,000 instruments.
func mixed(tb testing.TB, packets int) (out [][]byte, messages int) {
	tb.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	rpt := map[int]int{}
	id := func() int { return 100_000 + int(r.ExpFloat64()*200)%2000 }
	entry := func(security int) f {
		rpt[security]++
		return f{"MDEntryPx": px(4000 + float64(r.IntN(400))*0.25), "MDEntrySize": 1 + r.IntN(500), "SecurityID": security, "RptSeq": rpt[security],
			"NumberOfOrders": 1 + r.IntN(50), "MDPriceLevel": 1 + r.IntN(10), "MDUpdateAction": r.IntN(3), "MDEntryType": '0' + r.IntN(2)}
	}
	for n := range packets {
		var ms [][]byte
		now := 1_700_000_000_000_000_000 + n*1000
		switch k := r.IntN(10); {
		case k < 4: // an order behind the best ten levels
			ms = append(ms, msg(tb, 47, at(now, 0x84), map[string][]f{"NoMDEntries": {{"OrderID": r.Int(), "MDOrderPriority": 1000 + n, "MDEntryPx": px(4000),
				"MDDisplayQty": 1 + r.IntN(20), "SecurityID": id(), "MDUpdateAction": r.IntN(3), "MDEntryType": '0' + r.IntN(2)}}}))
		case k < 9: // levels and their orders
			var levels, orders []f
			for i := range 1 + r.IntN(4) {
				levels = append(levels, entry(id()))
				orders = append(orders, f{"OrderID": r.Int(), "MDOrderPriority": 1000 + n, "MDDisplayQty": 1 + r.IntN(20), "ReferenceID": i + 1, "OrderUpdateAction": r.IntN(3)})
			}
			ms = append(ms, msg(tb, 46, at(now, 0x84), map[string][]f{"NoMDEntries": levels, "NoOrderIDEntries": orders}))
		default: // a trade
			security := id()
			rpt[security]++
			ms = append(ms, msg(tb, 48, at(now, 0x01), map[string][]f{"NoMDEntries": {{"MDEntryPx": px(4000), "MDEntrySize": 2, "SecurityID": security, "RptSeq": rpt[security],
				"NumberOfOrders": 3, "AggressorSide": 1, "MDTradeEntryID": n}}, "NoOrderIDEntries": {{"OrderID": n, "LastQty": 2}, {"OrderID": n + 1, "LastQty": 1}, {"OrderID": n + 2, "LastQty": 1}}}))
			rpt[security]++
			ms = append(ms, msg(tb, 37, at(now, 0x02), map[string][]f{"NoMDEntries": {{"MDEntrySize": n, "SecurityID": security, "RptSeq": rpt[security]}}}))
			e := entry(security)
			e["MDUpdateAction"] = 1
			ms = append(ms, msg(tb, 46, at(now, 0x84), map[string][]f{"NoMDEntries": {e}}))
		}
		messages += len(ms)
		out = append(out, packet(uint32(n+1), ms...))
	}
	return out, messages
}

// BenchmarkAppend is decoding of a mixed stream beside ITCH's of a generated day, by the byte, in turns.
//
//	budget  0 allocs/op; a byte takes at most twice what ITCH's portable decoder takes
//	seen    see the report of the last honest run
func BenchmarkAppend(b *testing.B) {
	packets, messages := mixed(b, 100_000)
	d, out := newDecoder(b, mdp3.Options{}), newBatch(b)
	g, err := itchgen.New(itchgen.Options{Messages: 400_000, Symbols: 8000, Seed: 42})
	if err != nil {
		b.Fatal(err)
	}
	day := itchgen.AppendAll(nil, g, nil)
	total, rows := 0, 0
	slab := slices.Concat(packets...) // one behind the other, as the day is
	bodies := make([][]byte, len(packets))
	for i, p := range packets {
		bodies[i] = slab[total+mdp3.PacketBytes : total+len(p)]
		total += len(p)
	}
	ours := func() time.Duration {
		begin := time.Now()
		for i, body := range bodies {
			d.Append(body, uint64(i+1), 1, out)
			if out.N > 512 {
				rows += out.N
				out.Reset()
			}
		}
		return time.Since(begin)
	}
	theirs := func() time.Duration {
		var c itch.Counters
		begin := time.Now()
		for at := 0; at < len(day); {
			used, n := itch.Append(day[at:], 0, 1, 512, out, &c)
			out.Reset()
			if n == 0 {
				break
			}
			at += used
		}
		return time.Since(begin)
	}
	ours()
	theirs()
	runtime.GC()
	var mdp, it []float64
	rows = 0
	b.ReportAllocs()
	for b.Loop() {
		mdp = append(mdp, float64(ours().Nanoseconds()))
		it = append(it, float64(theirs().Nanoseconds()))
	}
	slices.Sort(mdp)
	slices.Sort(it)
	m, i := mdp[len(mdp)/2], it[len(it)/2]
	b.ReportMetric(m/float64(messages), "ns/msg")
	b.ReportMetric(m/float64(rows/len(mdp)), "ns/row")
	b.ReportMetric(float64(total)/m, "GB/s")
	b.ReportMetric(float64(len(day))/i, "itch-GB/s")
	b.ReportMetric(m/float64(total)/(i/float64(len(day))), "x-itch/byte")
	b.ReportMetric(mdp[0]/float64(messages), "min-ns/msg")
	b.ReportMetric(mdp[0]/float64(total)/(it[0]/float64(len(day))), "min-x")
	b.ReportMetric(0, "ns/op")
	if d.Refused() != 0 || d.Counters.Unknown != 0 {
		b.Fatalf("%+v", d.Counters)
	}
}

// TestAppendDoesNotAllocate: once the instruments are known.
func TestAppendDoesNotAllocate(t *testing.T) {
	packets, _ := mixed(t, 2000)
	d, out := newDecoder(t, mdp3.Options{}), newBatch(t)
	run := func() {
		for _, p := range packets {
			h, body, _ := mdp3.ParsePacket(p)
			d.Append(body, uint64(h.Sequence), 1, out)
			if out.N > 2000 {
				out.Reset()
			}
		}
	}
	run()
	if n := testing.AllocsPerRun(5, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if d.Refused() != 0 || d.Counters.Messages == 0 || out.N == 0 {
		t.Errorf("%+v", d.Counters)
	}
}

var _ = tick.MaxRows
