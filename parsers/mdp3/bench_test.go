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
	exchange "github.com/tickwire/tickwire/sim/mdp3"
	"github.com/tickwire/tickwire/sim/mdp3gen"
	"github.com/tickwire/tickwire/tick"
)

// mixed is packets as a busy futures channel sends them: orders alone, levels with their orders, trades with volume, of 2,000 instruments.
func mixed(tb testing.TB, packets int) (out [][]byte, messages int) {
	tb.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	rpt := map[int]int{}
	for i := range 2000 { // as many of factor 1 as of 0.01
		d := future(100_000+i, "X", "X", "X")
		d["DisplayFactor"] = []int64{1e9, 1e7}[i%2]
		out = append(out, packet(uint32(i+1), msg(tb, 54, d, nil)))
	}
	messages = len(out)
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
		out = append(out, packet(uint32(len(out)+1), ms...))
	}
	return out, messages
}

// generated is the packets of one line of a generated session, and how many messages they have.
func generated(tb testing.TB, o mdp3gen.Options) (out [][]byte, messages int) {
	tb.Helper()
	g, err := mdp3gen.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	c, err := exchange.NewChannel(g, exchange.ChannelOptions{}, func(_ uint32, _ uint64, packet []byte) error {
		out = append(out, slices.Clone(packet))
		return nil
	})
	for ok := true; ok && err == nil; {
		ok, err = c.Event()
	}
	if err == nil {
		err = c.Idle(g.Time() + 1<<40)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return out, int(g.Messages())
}

// BenchmarkAppend is decoding of two streams beside a generated ITCH day, by the byte, in turns: a generated session (sim/mdp3gen), and a mix of which no
// branch can be foreseen and that has 2,000 instruments.
//
//	budget  a byte of the session takes at most twice what ITCH's takes; no allocation (TestAppendDoesNotAllocate)
//	seen    session 24 to 26 ns/msg, 12 ns/row, 1.9 x ITCH (1.7 to 2.1); mix 33 to 37 ns/msg, 2.0 x (1.7 to 2.1); ITCH with AVX-512 5.4 to 7.6 GB/s.
//	        By the definition alone (-tags purego decodes ITCH that way too): 65 ns/msg and 80 ns/msg, 5.2 x and 4.9 x of ITCH with AVX-512.
//	        Two-core EPYC (Zen 4) VM with other work on both cores, Go 1.26, 2026-11-26
//
// What is left: packets of 1,000 that a predictor can learn and a cache can hold take 17 ns/msg, some 190 instructions for nearly two rows; the rest is
// branches that nobody can foresee (which template, how many entries, whether the packet ends). The mix has more of those, and 2,000 instruments.
//
// Streams lie in memory one packet behind the other, are decoded in passes of some 512 rows, and are timed by the chunk: what counts is a
// chunk's median over the runs, for what else the machine does hits some runs of a chunk, seldom most of them. Pin it (taskset -c 1).
func BenchmarkAppend(b *testing.B) {
	out := newBatch(b)
	session := newStream(generated(b, mdp3gen.Options{Messages: 500_000}))
	mix := newStream(mixed(b, 100_000))
	const messages = 2_000_000
	g, err := itchgen.New(itchgen.Options{Messages: messages, Symbols: 8000, Seed: 42, Profile: itchgen.Realistic})
	if err != nil {
		b.Fatal(err)
	}
	day := itchgen.AppendAll(make([]byte, 0, messages*36), g, nil)
	theirs := func(lap func()) {
		var c itch.Counters
		for at, n := 0, 0; at < len(day); n++ {
			used, _ := itch.Append(day[at:], 1, c.Messages+1, 512, out, &c)
			out.Reset()
			at += used
			if n%64 == 63 {
				lap()
			}
		}
		lap()
	}
	var sessionLaps, mixLaps, itchLaps laps
	runtime.GC()
	for b.Loop() {
		for range 3 {
			session.run(b, out, &sessionLaps)
			mix.run(b, out, &mixLaps)
			theirs(itchLaps.begin())
		}
	}
	beside := itchLaps.median() / float64(len(day))
	for _, s := range []struct {
		name string
		of   *stream
		ns   float64
	}{{"", session, sessionLaps.median()}, {"mixed-", mix, mixLaps.median()}} {
		b.ReportMetric(s.ns/float64(s.of.messages), s.name+"ns/msg")
		b.ReportMetric(s.ns/float64(s.of.rows), s.name+"ns/row")
		b.ReportMetric(float64(s.of.bytes)/s.ns, s.name+"GB/s")
		b.ReportMetric(s.ns/float64(s.of.bytes)/beside, s.name+"x-itch/byte")
	}
	b.ReportMetric(1/beside, "itch-GB/s")
	b.ReportMetric(0, "ns/op")
}

// stream is packets in memory. Definitions at its begin are not timed: they come once a week.
type stream struct {
	definitions, bodies   [][]byte
	bytes, messages, rows int
}

func newStream(packets [][]byte, messages int) *stream {
	s := &stream{messages: messages}
	for mdp3.Message(packets[0][mdp3.PacketBytes:]).Template() == mdp3.DefinitionFuture {
		s.definitions, packets = append(s.definitions, packets[0][mdp3.PacketBytes:]), packets[1:]
		s.messages--
	}
	slab := slices.Concat(packets...)
	for _, p := range packets {
		s.bodies = append(s.bodies, slab[s.bytes+mdp3.PacketBytes:s.bytes+len(p)])
		s.bytes += len(p)
	}
	return s
}

// run decodes all of it.
func (s *stream) run(b *testing.B, out *tick.Batch, of *laps) {
	d := newDecoder(b, mdp3.Options{})
	for i, body := range s.definitions {
		out.Reset()
		if used, n := d.Append(body, uint64(i+1), 1, out); n != 1 {
			b.Fatalf("definition %d: %d of %d bytes", i, used, len(body))
		}
	}
	out.Reset()
	s.rows = 0
	lap := of.begin()
	for i, body := range s.bodies {
		if used, n := d.Append(body, uint64(len(s.definitions)+i+1), 1, out); n != 1 {
			b.Fatalf("packet %d: %d of %d bytes", i, used, len(body))
		}
		if out.N > 512 || out.Sides.Definitions > 256 {
			s.rows += out.N
			out.Reset()
		}
		if i%4000 == 3999 {
			lap()
		}
	}
	s.rows += out.N
	out.Reset()
	lap()
	if d.Refused() != 0 || d.Counters.Unknown != 0 {
		b.Fatalf("%+v", d.Counters)
	}
}

// laps are the times of a stream's chunks, by run.
type laps struct{ runs [][]float64 }

// begin begins a run; what it gives is to be called at the end of each chunk.
func (l *laps) begin() (lap func()) {
	l.runs = append(l.runs, make([]float64, 0, 1024))
	run := &l.runs[len(l.runs)-1]
	last := time.Now()
	return func() {
		now := time.Now()
		*run = append(*run, float64(now.Sub(last).Nanoseconds()))
		last = now
	}
}

// median is a run that is the median of all in each chunk.
func (l *laps) median() (sum float64) {
	for k := range l.runs[0] {
		var of []float64
		for _, run := range l.runs {
			of = append(of, run[k])
		}
		slices.Sort(of)
		sum += of[len(of)/2]
	}
	return sum
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
