package fix

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/feed/pricebook"
	"github.com/tickwire/tickwire/tick"
)

// A venue's ten levels a side are changed at random and told as W and X, by number or by price; the feed's price book, given the rows, must have
// the same levels after every message, and nothing to complain of.
func TestLevelsInPriceBook(t *testing.T) {
	for _, numbers := range []bool{true, false} {
		for seed := range uint64(3) {
			r := rand.New(rand.NewPCG(seed, 2))
			s := sessions[seed]
			d, out := decoderOf(t, Options{}), batch(t)
			orders, err := book.New(book.Options{Sparse: true, MaxInstruments: 10, MaxOrders: 1000})
			if err != nil {
				t.Fatal(err)
			}
			prices, err := pricebook.New(pricebook.Options{Depth: 10})
			if err != nil {
				t.Fatal(err)
			}
			var b Builder
			var venue [2][]pricebook.Level // best first
			for n := range 3000 {
				md := MarketData{MsgType: 'X', Instruments: []Instrument{{Symbol: []byte("ES")}}}
				if n == 0 || r.IntN(50) == 0 {
					md.MsgType = 'W'
					for side := range 2 {
						for k, l := range venue[side] {
							e := MDEntry{Type: '0' + byte(side), Price: l.Price, Size: l.Size, Has: HasSize, Orders: l.Orders}
							if numbers {
								e.Level = uint32(k + 1)
							}
							md.Entries = append(md.Entries, e)
						}
					}
				} else {
					for range 1 + r.IntN(5) {
						side := r.IntN(2)
						e := changeLevel(r, &venue[side], side)
						if !numbers {
							e.Level = 0
						}
						md.Entries = append(md.Entries, e)
					}
				}
				md.Append(b.Begin(s.Header, string(md.MsgType)), 9)
				out.Reset()
				raw := b.End()
				if used, _ := d.Append(raw, uint64(n), 1, out); used != len(raw) || d.Refused() != 0 {
					t.Fatalf("%q: %+v", raw, d.Counters)
				}
				orders.Apply(out, 0, out.N)
				prices.Apply(out, 0, out.N)
				for side, code := range []byte{tick.SideBid, tick.SideAsk} {
					var got [10]pricebook.Level
					k := prices.Levels(1, code, got[:])
					if !slices.Equal(got[:k], venue[side]) {
						t.Fatalf("numbers %v, seed %d, message %d %q:\n%v\nwant\n%v\n%+v", numbers, seed, n, raw, got[:k], venue[side], *prices.Counters())
					}
				}
				if prices.Suspect(1) {
					t.Fatalf("suspect after %q: %+v", raw, *prices.Counters())
				}
			}
			want := pricebook.Counters{Instruments: prices.Counters().Instruments, Bytes: prices.Counters().Bytes}
			if c := *prices.Counters(); c != want {
				t.Errorf("%+v", c)
			}
		}
	}
}

// changeLevel makes one entry of an X and does it to one side of the venue's book.
func changeLevel(r *rand.Rand, list *[]pricebook.Level, side int) MDEntry {
	l := *list
	e := MDEntry{Type: '0' + byte(side), Price: tick.UndefPrice}
	price := int64(1+r.IntN(20)) * 250_000_000
	at := 0
	for at < len(l) && (side == 0 && l[at].Price > price || side == 1 && l[at].Price < price) {
		at++
	}
	switch found := at < len(l) && l[at].Price == price; {
	case !found && len(l) < 10:
		level := pricebook.Level{Price: price, Size: uint64(1 + r.IntN(99)), Orders: uint32(1 + r.IntN(9))}
		*list = slices.Insert(l, at, level)
		e.Action, e.Price, e.Size, e.Has, e.Orders, e.Level = ActionNew, price, level.Size, HasSize, level.Orders, uint32(at+1)
		return e
	case !found:
		at = r.IntN(len(l))
	}
	e.Price, e.Level = l[at].Price, uint32(at+1)
	if r.IntN(2) == 0 {
		*list = slices.Delete(l, at, at+1)
		e.Action = ActionDelete
		return e
	}
	l[at].Size, l[at].Orders = uint64(1+r.IntN(99)), uint32(1+r.IntN(9))
	e.Action, e.Size, e.Has, e.Orders = ActionChange, l[at].Size, HasSize, l[at].Orders
	return e
}

// The same of entries with ids and the feed's order book: its levels are the sums of the venue's entries.
func TestOrdersInBook(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	d, out := decoderOf(t, Options{}), batch(t)
	orders, err := book.New(book.Options{Sparse: true, MaxInstruments: 10, MaxOrders: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	var b Builder
	venue := map[string]modelOrder{}
	given := 0
	for n := range 3000 {
		md := MarketData{MsgType: 'X', Instruments: []Instrument{{Symbol: []byte("ES")}}}
		if n == 0 || r.IntN(50) == 0 {
			md.MsgType = 'W'
			for _, id := range slices.Sorted(maps.Keys(venue)) {
				o := venue[id]
				md.Entries = append(md.Entries, MDEntry{Type: o.side, ID: []byte(id), Price: o.price, Size: o.size, Has: HasSize})
			}
		} else {
			for range 1 + r.IntN(5) {
				md.Entries = append(md.Entries, change(r, venue, 0, func() string { given++; return fmt.Sprintf("id-%d", given) }))
			}
		}
		md.Append(b.Begin(sessions[1].Header, string(md.MsgType)), 9)
		out.Reset()
		raw := b.End()
		if used, _ := d.Append(raw, uint64(n), 1, out); used != len(raw) || d.Refused() != 0 {
			t.Fatalf("%q: %+v", raw, d.Counters)
		}
		orders.Apply(out, 0, out.N)
		for i := range out.N {
			if out.Kind[i] != tick.KindDefinition && out.Kind[i] != tick.KindClear && out.State[i]&tick.StateApplied == 0 {
				t.Fatalf("message %d: %s had no effect", n, show(out, i))
			}
		}
		for side, code := range []byte{tick.SideBid, tick.SideAsk} {
			levels := map[int64]book.Level{}
			for _, o := range venue {
				if o.side == '0'+byte(side) {
					l := levels[o.price]
					levels[o.price] = book.Level{Price: o.price, Size: l.Size + o.size, Orders: l.Orders + 1}
				}
			}
			var got [60]book.Level
			k := orders.Levels(1, code, got[:])
			if k != len(levels) {
				t.Fatalf("message %d %q: %d levels, want %d", n, raw, k, len(levels))
			}
			for _, l := range got[:k] {
				if l != levels[l.Price] {
					t.Fatalf("message %d %q: level %+v, want %+v", n, raw, l, levels[l.Price])
				}
			}
		}
	}
}
