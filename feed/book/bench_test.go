package book

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tickwire/tickwire/tick"
)

// op is a row of a benchmark's stream, kept compact so that reading it costs little.
type op struct {
	id, aux    uint64
	price      int64
	size       uint32
	instrument uint32
	kind       tick.Kind
	side       byte
}

// death is when an order's next event falls due.
type death struct {
	at   uint64
	id   uint64
	inst uint32
	side byte
	size uint32
	from int64 // price
}

type deaths []death

func (d deaths) Len() int           { return len(d) }
func (d deaths) Less(i, j int) bool { return d[i].at < d[j].at }
func (d deaths) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }
func (d *deaths) Push(x any)        { *d = append(*d, x.(death)) }
func (d *deaths) Pop() any {
	last := (*d)[len(*d)-1]
	*d = (*d)[:len(*d)-1]
	return last
}

// stream makes warm and timed rows. Both profiles have 8,000 instruments and the message mix of a real day: adds 44, deletes 42, replaces 9, executions and reductions 5.
//
//	realistic  Zipf instruments, references from four ascending counters, most orders short-lived and within a few
//	           ticks of the touch, 600,000 that rest long and far
//	hostile    uniform instruments and references, 1,500,000 live orders, each event at a random one of them
func stream(hostile bool, warm, timed int) (first, then []op) {
	r := rand.New(rand.NewPCG(42, 42))
	g := &streamer{r: r, hostile: hostile, used: map[uint64]bool{}}
	for i := range g.counters {
		g.counters[i] = uint64(1+i) * 20_000_000
	}
	g.weights = make([]float64, instrumentCount)
	sum := 0.0
	for i := range g.weights {
		sum += 1 / math.Pow(float64(i+1), 0.95)
		g.weights[i] = sum
	}
	g.perm = r.Perm(instrumentCount)
	g.mid = make([]int64, instrumentCount)
	for i := range g.mid {
		g.mid[i] = 2000 + r.Int64N(30_000)
	}
	for range warm {
		first = append(first, g.add(true))
	}
	for len(then) < timed {
		g.now++
		then = append(then, g.next())
	}
	return first, then
}

const instrumentCount = 8000

type streamer struct {
	r        *rand.Rand
	hostile  bool
	now      uint64
	counters [4]uint64
	weights  []float64
	perm     []int
	mid      []int64
	queue    deaths
	live     []death // hostile
	used     map[uint64]bool
}

func (g *streamer) instrument() uint32 {
	if g.hostile {
		return 1 + g.r.Uint32N(instrumentCount)
	}
	x := g.r.Float64() * g.weights[instrumentCount-1]
	lo, hi := 0, instrumentCount-1
	for lo < hi {
		if m := (lo + hi) / 2; g.weights[m] < x {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return 1 + uint32(g.perm[lo])
}

func (g *streamer) id() uint64 {
	if g.hostile {
		for {
			if id := g.r.Uint64N(1 << 28); !g.used[id] {
				g.used[id] = true
				return id
			}
		}
	}
	c := &g.counters[g.r.IntN(4)]
	*c += 1 + g.r.Uint64N(3)
	return *c
}

// price is near the touch for short lives, far for long ones; both sides keep apart.
func (g *streamer) price(inst uint32, side byte, far bool) int64 {
	mid := &g.mid[inst-1]
	if !far && g.r.IntN(16) == 0 {
		*mid += g.r.Int64N(3) - 1
	}
	away := int64(1 + g.r.ExpFloat64()*3)
	if far {
		away = 5 + int64(g.r.ExpFloat64()*40)
	}
	if side == tick.SideBid {
		away = -away
	}
	return max(1, *mid+away) * 10_000_000
}

func (g *streamer) add(far bool) op {
	o := op{kind: tick.KindAdd, id: g.id(), instrument: g.instrument(), side: [2]byte{tick.SideBid, tick.SideAsk}[g.r.IntN(2)]}
	o.size = uint32(100 * (1 + g.r.IntN(5)))
	o.price = g.price(o.instrument, o.side, far || g.hostile)
	g.born(o.id, o, far)
	return o
}

func (g *streamer) born(id uint64, o op, far bool) {
	d := death{id: id, inst: o.instrument, side: o.side, size: o.size, from: o.price}
	if g.hostile {
		g.live = append(g.live, d)
		return
	}
	// Heavy-tailed: half of all orders last less than some hundred messages, one in a hundred half a million.
	life := 60 * math.Pow(1-g.r.Float64(), -1.9)
	if far {
		life = 2_000_000 * math.Pow(1-g.r.Float64(), -1)
	}
	d.at = g.now + 1 + uint64(min(life, 1e15))
	heap.Push(&g.queue, d)
}

func (g *streamer) next() op {
	var d death
	if g.hostile {
		if g.r.IntN(100) < 46 {
			return g.add(false)
		}
		n := g.r.IntN(len(g.live))
		d = g.live[n]
		g.live[n] = g.live[len(g.live)-1]
		g.live = g.live[:len(g.live)-1]
	} else {
		if len(g.queue) == 0 || g.queue[0].at > g.now {
			return g.add(false)
		}
		d = heap.Pop(&g.queue).(death)
	}
	o := op{id: d.id, instrument: d.inst, side: d.side, size: d.size, price: d.from}
	switch k := g.r.IntN(100); {
	case k < 16:
		o.kind, o.aux = tick.KindReplace, g.id()
		if g.hostile {
			o.price = g.price(d.inst, d.side, true)
		} else {
			o.price = max(1, d.from/10_000_000+g.r.Int64N(7)-3) * 10_000_000
		}
		g.born(o.aux, o, false)
	case k < 20:
		o.kind = tick.KindExec
	case k < 23 && d.size > 100:
		o.kind, o.size = tick.KindReduce, 100
		d.size -= 100
		d.at = g.now + 500
		if g.hostile {
			g.live = append(g.live, d)
		} else {
			heap.Push(&g.queue, d)
		}
	default:
		o.kind, o.size = tick.KindDelete, 0
	}
	return o
}

// feed fills the batch with ops and applies it, in passes of rows; it returns the time that Apply took.
func feed(b *Books, batch *tick.Batch, ops []op, rows int) (took time.Duration) {
	for len(ops) > 0 {
		n := min(rows, len(ops))
		for i := range ops[:n] {
			o := &ops[i]
			batch.Kind[i&tick.RowMask], batch.Side[i&tick.RowMask] = o.kind, o.side
			batch.Instrument[i&tick.RowMask], batch.OrderID[i&tick.RowMask] = o.instrument, o.id
			batch.Aux[i&tick.RowMask], batch.Price[i&tick.RowMask] = o.aux, o.price
			batch.Size[i&tick.RowMask] = uint64(o.size)
		}
		start := time.Now()
		b.Apply(batch, 0, n)
		took += time.Since(start)
		ops = ops[n:]
	}
	return took
}

// BenchmarkApply is the books' share of what a message may cost: completing rows that are in cache, as the parser
// leaves them, with orders and levels that mostly are not.
//
//	budget  0 allocs/op; realistic 100 ns/msg, hostile 190 ns/msg; at most 128 bytes/order realistic, 192 hostile
//	got     93 and 204 to 282 ns, 95 and 160 bytes; 32 a pass: 109 to 125 and 183 to 211 ns (EPYC Zen 4, a core of two shared ones)
//
// Sparse books have two look-ups by hash more: budget 200 ns/msg for either profile; got 172 and 196 ns on a machine that was busy. The table is most of
// their bytes/order.
//
// Pinned to a core that nothing else uses; the figure moves by a third with a busy neighbour in the shared cache.
func BenchmarkApply(b *testing.B) {
	for _, tc := range []struct {
		name    string
		hostile bool
		warm    int
		options Options
	}{
		{"realistic", false, 600_000, Options{}}, {"hostile", true, 1_500_000, Options{}},
		{"sparse realistic", false, 600_000, Options{Sparse: true}}, {"sparse hostile", true, 1_500_000, Options{Sparse: true}},
	} {
		first, then := stream(tc.hostile, tc.warm, 2_500_000)
		for _, rows := range []int{1024, 32} {
			name := tc.name
			if rows == 32 {
				name += ", 32 a pass"
			}
			b.Run(name, func(b *testing.B) {
				books, batch := newBooks(b, tc.options), newBatch(b)
				var took time.Duration
				b.ReportAllocs()
				for b.Loop() {
					books.Reset()
					feed(books, batch, first, 1024)
					feed(books, batch, then[:len(then)/5], 1024)
					took += feed(books, batch, then[len(then)/5:], rows)
				}
				c := books.Counters()
				if c.Unknown != [tick.KindCount]uint64{} || c.Duplicate+c.NoRoom+c.OverReference != 0 {
					b.Fatalf("stream is not clean: %+v", *c)
				}
				b.ReportMetric(float64(took.Nanoseconds())/float64(b.N*(len(then)-len(then)/5)), "ns/msg")
				b.ReportMetric(float64(c.Bytes-uint64(books.known())*instrumentBytes)/float64(c.MaxOrders), "bytes/order")
				b.ReportMetric(float64(c.Orders), "live")
				b.ReportMetric(float64(c.Levels), "levels")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
