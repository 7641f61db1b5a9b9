package mdp3_test

import (
	"slices"
	"testing"

	"github.com/tickwire/tickwire/parsers/mdp3"
	"github.com/tickwire/tickwire/sim/mdp3gen"
	"github.com/tickwire/tickwire/tick"
)

// rowBooks applies rows the obvious way: levels by number, orders by id, places in the queue as ModifyKeep and ModifyTail have them.
type rowBooks struct {
	ids    []uint32                       // in the order of their definitions
	depth  map[uint32][2]int              // of the real and of the implied book
	levels map[uint32]*[4][]mdp3gen.Level // bids, asks, implied bids, implied asks
	orders map[uint64]*restingOrder
	queues map[queue][]uint64
}

type restingOrder struct {
	at   queue
	size uint64
}

type queue struct {
	instrument uint32
	side       byte
	price      int64
}

func (b *rowBooks) apply(t *testing.T, out *tick.Batch, i int) {
	id, at := out.Instrument[i], queue{out.Instrument[i], out.Side[i], out.Price[i]}
	leave := func(order uint64) {
		o := b.orders[order]
		b.queues[o.at] = slices.DeleteFunc(b.queues[o.at], func(q uint64) bool { return q == order })
	}
	switch out.Kind[i] {
	case tick.KindDefinition:
		first, _ := tick.SplitSideRows(out.Aux[i])
		if b.levels[id] == nil {
			b.ids, b.levels[id], b.depth[id] = append(b.ids, id), new([4][]mdp3gen.Level), [2]int{int(out.Definitions[first].MarketDepth), int(out.Definitions[first].MarketDepthImplied)}
		}
	case tick.KindLevel, tick.KindImplied:
		list := &b.levels[id][int(out.Side[i]&1)+2*int(out.Kind[i]-tick.KindLevel)]
		number, orders := tick.SplitLevelAt(out.Aux[i])
		level := mdp3gen.Level{Price: out.Price[i], Size: out.Size[i], Orders: int(orders)}
		switch k := int(number) - 1; out.Sub[i] {
		case tick.LevelNew:
			*list = slices.Insert(*list, k, level)
			if most := b.depth[id][out.Kind[i]-tick.KindLevel]; len(*list) > most {
				*list = (*list)[:most]
			}
		case tick.LevelChange:
			if (*list)[k].Price != level.Price {
				t.Fatalf("change of level %d of %d has another price", number, id)
			}
			(*list)[k] = level
		case tick.LevelDelete:
			*list = slices.Delete(*list, k, k+1)
		default:
			t.Fatalf("level code %c", out.Sub[i])
		}
	case tick.KindAdd:
		b.orders[out.OrderID[i]] = &restingOrder{at, out.Size[i]}
		b.queues[at] = append(b.queues[at], out.OrderID[i])
	case tick.KindModify:
		o := b.orders[out.OrderID[i]]
		if o.at != at || out.Sub[i] == tick.ModifyTail {
			leave(out.OrderID[i])
			b.queues[at] = append(b.queues[at], out.OrderID[i])
		}
		o.at, o.size = at, out.Size[i]
	case tick.KindDelete:
		leave(out.OrderID[i])
		delete(b.orders, out.OrderID[i])
	}
}

// TestGenerated decodes generated sessions, and has books that were made of their rows agree with the market's own: levels, implied ones, and
// every order in its place.
func TestGenerated(t *testing.T) {
	for _, o := range []mdp3gen.Options{{Messages: 60_000, Seed: 1}, {Messages: 30_000, Seed: 2, Version: 9}, {Messages: 30_000, Seed: 3, LongQty: true}} {
		g, err := mdp3gen.New(o)
		if err != nil {
			t.Fatal(err)
		}
		d, out := newDecoder(t, mdp3.Options{}), newBatch(t)
		b := rowBooks{depth: map[uint32][2]int{}, levels: map[uint32]*[4][]mdp3gen.Level{}, orders: map[uint64]*restingOrder{}, queues: map[queue][]uint64{}}
		kinds := map[tick.Kind]int{}
		for n := uint64(1); ; n++ {
			event, ok := g.Next(nil)
			if !ok {
				break
			}
			if used, whole := d.Append(event, n, 1, out); used != len(event) || whole != 1 {
				t.Fatalf("event %d: %d of %d bytes, %d", n, used, len(event), whole)
			}
			type chain struct {
				instrument uint32
				levels     bool
			}
			last := map[chain]int{}
			in := func(i int) (orders, levels bool) { // the chains that a row is of
				switch out.Kind[i] {
				case tick.KindLevel:
					levels = true
				case tick.KindAdd, tick.KindModify, tick.KindDelete, tick.KindFill:
					orders = true
				case tick.KindTrade:
					orders, levels = true, true
				}
				return
			}
			for i := range out.N {
				b.apply(t, out, i)
				kinds[out.Kind[i]]++
				orders, levels := in(i)
				if orders {
					last[chain{out.Instrument[i], false}] = i
				}
				if levels {
					last[chain{out.Instrument[i], true}] = i
				}
			}
			for i := range out.N {
				orders, levels := in(i)
				moreOrders, moreLevels := tick.More(out.Flags[i])
				if wantOrders, wantLevels := !orders || last[chain{out.Instrument[i], false}] != i, !levels || last[chain{out.Instrument[i], true}] != i; moreOrders != wantOrders || moreLevels != wantLevels {
					t.Fatalf("event %d row %d: more orders %v, levels %v; want %v, %v\n%v", n, i, moreOrders, moreLevels, wantOrders, wantLevels, rowsOf(out))
				}
			}
			out.Reset()
		}
		if c := d.Counters; c.Messages != o.Messages || c.Refused+c.Unknown+c.RptSeqGaps+c.RptSeqBack+c.Interrupted+c.FillsUnplaced+c.LateAggressor+c.GroupUnknown != 0 {
			t.Errorf("%+v", c)
		}
		resting := 0
		for i, id := range b.ids {
			for side := range 2 {
				if got, want := b.levels[id][side], g.Levels(i, side); !slices.Equal(got, want) {
					t.Errorf("levels of %d side %d are %v, want %v", id, side, got, want)
				}
				if got, want := b.levels[id][2+side], g.Implied(i, side); !slices.Equal(got, want) {
					t.Errorf("implied levels of %d side %d are %v, want %v", id, side, got, want)
				}
				want := g.Orders(i, side)
				resting += len(want)
				for len(want) > 0 {
					at := queue{id, "BA"[side], want[0].Price}
					for _, order := range b.queues[at] {
						if len(want) == 0 || order != want[0].ID || b.orders[order].size != want[0].Size {
							t.Fatalf("queue of %v is %v, want %v", at, b.queues[at], want)
						}
						want = want[1:]
					}
					if len(b.queues[at]) == 0 {
						t.Fatalf("queue of %v is empty", at)
					}
				}
			}
		}
		if resting != len(b.orders) || resting == 0 {
			t.Errorf("%d orders rest, want %d", len(b.orders), resting)
		}
		t.Logf("%d instruments, %d orders, rows by kind %v", len(b.ids), resting, kinds)
	}
}
