package book

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/tickwire/tickwire/tick"
)

// mix says what a random stream is like.
type mix struct {
	name        string
	instruments uint32
	ids         uint64 // references are taken from below this
	ticks       int64  // prices are this many ticks wide
	adds        int    // of 100 rows
	hostile     bool   // rows that break rules
	modify      bool   // orders are modified, and instruments cleared
	options     Options
}

// number and id spread what sparse books need not have in a row.
func (x *mix) number(r *rand.Rand) uint32 {
	n := r.Uint32N(x.instruments)
	if x.options.Sparse {
		n *= 0x9E3779B1
	}
	return n
}

func (x *mix) id(r *rand.Rand) uint64 {
	id := r.Uint64N(x.ids)
	if x.options.Sparse && id&1 == 0 {
		id *= 0x9E3779B97F4A7C15
	}
	return id
}

// step makes the next row of a stream; live are orders that may rest.
func (x *mix) step(r *rand.Rand, live *[]naiveID) row {
	w := row{instrument: x.number(r), side: [2]byte{tick.SideBid, tick.SideAsk}[r.IntN(2)]}
	w.price = (1000 + r.Int64N(x.ticks)) * 100_000
	w.size = uint64(1 + r.IntN(500))
	pick := func() uint64 {
		n := len(*live)
		if n == 0 || x.hostile && r.IntN(20) == 0 {
			return x.id(r)
		}
		key := (*live)[r.IntN(n)]
		if x.options.Sparse {
			w.instrument = key.instrument
		}
		return key.id
	}
	switch k := r.IntN(100); {
	case k < x.adds:
		w.kind, w.id, w.aux = tick.KindAdd, x.id(r), uint64(r.Uint32())
		*live = append(*live, naiveID{w.instrument, w.id})
	case k < x.adds+8:
		w.kind, w.id, w.aux = tick.KindReplace, pick(), x.id(r)
		if x.hostile && r.IntN(10) == 0 {
			w.aux = w.id
		}
		*live = append(*live, naiveID{w.instrument, w.aux})
	case k < x.adds+16:
		w.kind, w.id, w.size = tick.KindExec, pick(), uint64(r.IntN(300))
	case k < x.adds+20:
		w.kind, w.id, w.size = tick.KindExecAt, pick(), uint64(r.IntN(300))
	case k < x.adds+26:
		w.kind, w.id, w.size = tick.KindReduce, pick(), uint64(r.IntN(300))
	case k < x.adds+28:
		w.kind = [4]tick.Kind{tick.KindTrade, tick.KindSystem, tick.KindStatus, tick.KindCross}[r.IntN(4)]
	case k >= 97 && x.hostile && r.IntN(150) == 0:
		w.kind, w.sub = tick.KindClear, [...]byte{tick.ClearBoth, tick.ClearLevels, tick.ClearOrders}[r.IntN(3)]
		w.flags = [...]uint8{0, tick.FlagSnapshot}[r.IntN(2)]
	case k >= x.adds+28 && k < x.adds+44 && x.modify:
		w.kind, w.id, w.sub, w.side = tick.KindModify, pick(), [2]byte{tick.ModifyKeep, tick.ModifyTail}[r.IntN(2)], "BANNN"[r.IntN(5)]
		if r.IntN(30) == 0 {
			w.size = 0
		}
	default:
		w.kind, w.id = tick.KindDelete, pick()
		if n := len(*live); n > 0 {
			(*live)[r.IntN(n)] = (*live)[n-1]
			*live = (*live)[:n-1]
		}
	}
	if x.hostile {
		x.spoil(r, &w)
	}
	return w
}

// spoil breaks a rule in one row of eight.
func (x *mix) spoil(r *rand.Rand, w *row) {
	switch r.IntN(80) {
	case 0:
		w.size = 0
	case 1:
		w.price = [...]int64{0, tick.UndefPrice, -tick.UndefPrice, 1 - tick.UndefPrice, math.MinInt64, -5}[r.IntN(6)]
	case 2:
		w.size = math.MaxUint32 + r.Uint64N(2)
	case 3:
		w.instrument = r.Uint32()
	case 4:
		w.side = tick.SideNone
	case 5:
		w.id = r.Uint64() >> r.IntN(64)
	case 6:
		w.aux = r.Uint64()
	case 7:
		w.price = [2]int64{100_000, 199_999_990_000_000}[r.IntN(2)]
	case 8:
		w.size = r.Uint64()
	case 9:
		w.kind = tick.Kind(r.IntN(256))
	}
}

// Goal: the books are those of the naive reference, row by row and as a whole, for sound and for broken streams.
// Method: seeded random streams in batches of random size; every completed row is compared, the whole state and the
// structures at checkpoints.
func TestAgainstNaive(t *testing.T) {
	small := Options{MaxInstruments: 300, MaxReference: 1 << 20}
	sparse := Options{MaxInstruments: 300, Sparse: true, MaxOrders: 1 << 17}
	few := Options{MaxInstruments: 40, Sparse: true, ZeroPrice: true, MaxOrders: 1 << 17}
	for _, x := range []mix{
		{name: "sound", instruments: 8, ids: 1 << 19, ticks: 40, adds: 40, options: small},
		{name: "deep", instruments: 2, ids: 1 << 19, ticks: 3000, adds: 55, options: small},
		{name: "deep, draining", instruments: 2, ids: 1 << 19, ticks: 3000, adds: 33, options: small},
		{name: "crowded references", instruments: 4, ids: 300, ticks: 20, adds: 45, hostile: true, options: small},
		{name: "hostile", instruments: 300, ids: 1 << 20, ticks: 10, adds: 45, hostile: true, options: small},
		{name: "hostile and deep", instruments: 3, ids: 1 << 16, ticks: 2000, adds: 50, hostile: true, options: small},
		{name: "modify", instruments: 8, ids: 1 << 19, ticks: 10, adds: 35, modify: true, options: small},
		{name: "hostile modify", instruments: 8, ids: 500, ticks: 10, adds: 40, modify: true, hostile: true, options: small},
		{name: "sparse", instruments: 8, ids: 1 << 19, ticks: 40, adds: 35, modify: true, options: sparse},
		{name: "sparse, crowded ids", instruments: 4, ids: 100, ticks: 20, adds: 40, modify: true, hostile: true, options: sparse},
		{name: "sparse, hostile", instruments: 250, ids: 1 << 20, ticks: 10, adds: 40, modify: true, hostile: true, options: sparse},
		{name: "sparse, too many instruments", instruments: 50, ids: 1 << 10, ticks: 10, adds: 40, modify: true, hostile: true, options: few},
	} {
		t.Run(x.name, func(t *testing.T) {
			rounds := 4
			if testing.Short() {
				rounds = 1
			}
			for seed := range uint64(rounds) {
				againstNaive(t, &x, seed)
			}
		})
	}
}

func againstNaive(t *testing.T, x *mix, seed uint64) {
	t.Helper()
	const rows, check = 12_000, 3_000
	r := rand.New(rand.NewPCG(seed, 1))
	b, m, batch := newBooks(t, x.options), newNaive(x.options), newBatch(t)
	var live []naiveID
	done, next := 0, check
	for done < rows {
		var want []row
		for range 1 + r.IntN(700) {
			w := x.step(r, &live)
			w.put(batch)
			m.apply(&w)
			want = append(want, w)
		}
		cut := r.IntN(batch.N + 1)
		b.Apply(batch, 0, cut)
		b.Apply(batch, cut, batch.N)
		for i := range want {
			if got := rowOf(batch, i); got != want[i] {
				t.Fatalf("seed %d row %d:\n got %+v\nwant %+v", seed, done+i, got, want[i])
			}
		}
		done += batch.N
		batch.Reset()
		if done >= next {
			next += check
			if err := compare(m, b); err != nil {
				t.Fatalf("seed %d after %d rows: %v", seed, done, err)
			}
		}
		if x.hostile && r.IntN(4) == 0 {
			n, on := x.number(r), r.IntN(2) == 0
			b.SetSuspect(n, on)
			m.mark(n, on, false)
			b.SetHalted(n, on)
			m.mark(n, on, true)
			if r.IntN(4) == 0 {
				b.SetSuspectAll(on)
				m.markAll(on)
			}
		}
	}
	clearAll(b)
	if err := b.Validate(); err != nil {
		t.Fatalf("seed %d, emptied: %v", seed, err)
	}
	if c := b.Counters(); c.Orders|c.Levels|c.Blocks|c.Pages != 0 {
		t.Fatalf("seed %d, emptied, but in use: %+v", seed, *c)
	}
	for id := range uint64(1000) { // not empty when it is reset
		apply(b, batch, bidAt(7, id, 5))
	}
	b.Reset()
	if err := compare(newNaive(x.options), b); err != nil {
		t.Fatalf("seed %d, reset: %v", seed, err)
	}
}

func clearAll(b *Books) {
	for n := range b.known() {
		b.Clear(b.instrument(n).number)
	}
}

// FuzzApply turns bytes into rows, five bytes a row, within so few references, prices and instruments that everything collides, in books of either sort.
func FuzzApply(f *testing.F) {
	f.Add([]byte{1, 1, 1, 1, 1, 2, 1, 1, 1, 1, 6, 1, 2, 2, 2, 1, 2, 2, 2, 2})
	f.Add([]byte{1, 7, 66, 0, 9, 1, 7, 1, 3, 200, 5, 7, 0, 0, 0, 16, 0, 66, 0, 0})
	f.Add([]byte{1, 250, 0, 255, 9, 6, 250, 251, 255, 0, 3, 250, 0, 0, 255})
	f.Add([]byte{1, 7, 66, 0, 9, 1, 8, 66, 0, 9, 17, 7, 67, 0, 8, 17, 7, 66, 8, 9, 17, 8, 0, 8, 0})
	dense := Options{MaxInstruments: 4, MaxOrders: 200, MaxReference: 240, MaxPages: 8}
	sparse := Options{MaxInstruments: 4, MaxOrders: 200, Sparse: true, ZeroPrice: true}
	denseBooks, sparseBooks, batch := newBooks(f, dense), newBooks(f, sparse), newBatch(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzOne(t, dense, denseBooks, batch, data)
		fuzzOne(t, sparse, sparseBooks, batch, data)
	})
}

func fuzzOne(t *testing.T, o Options, b *Books, batch *tick.Batch, data []byte) {
	{
		m := newNaive(o)
		b.Reset()
		batch.Reset()
		for ; len(data) >= 5 && batch.N < 2000; data = data[5:] {
			w := row{
				kind: tick.Kind(data[0] % 22), sub: "\x00T"[data[0]>>7], id: uint64(data[1]), aux: uint64(data[2]), side: "BAN"[data[2]%3],
				instrument: uint32(data[3] % 5), price: int64(data[3]>>2) * 10_000_000, size: uint64(data[4]),
			}
			w.put(batch)
			m.apply(&w)
			b.Apply(batch, batch.N-1, batch.N)
			if got := rowOf(batch, batch.N-1); got != w {
				t.Fatalf("row %d:\n got %+v\nwant %+v", batch.N-1, got, w)
			}
			if len(m.orders) >= o.MaxOrders-1 {
				break // from here on the books refuse what the reference, which has no bound, takes
			}
		}
		if err := compare(m, b); err != nil {
			t.Fatal(err)
		}
	}
}
