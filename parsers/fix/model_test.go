package fix

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tickwire/tickwire/tick"
)

type modelOrder struct {
	side  byte // of 269
	price int64
	size  uint64
}

// A venue's book of entries with ids is changed at random and told as W and X, of several instruments, in pieces of all sizes; what the rows make of it must be the
// same book after every message. Entries leave out what they may: the instrument, the type, the part that does not change.
func TestBookByID(t *testing.T) {
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 1))
		s := sessions[seed%3]
		d, out := decoderOf(t, Options{}), batch(t)
		var b Builder
		venue := [3]map[string]modelOrder{{}, {}, {}}
		books := map[uint32]map[uint64]modelOrder{}
		names := [3]string{"ES", "NQ", "YM"}
		given := 0
		newID := func() string {
			if given++; seed%2 == 0 {
				return fmt.Sprint(given)
			}
			return fmt.Sprintf("order-%d", given)
		}
		for n := range 3000 {
			md := MarketData{MsgType: 'X', Instruments: []Instrument{{Symbol: []byte(names[0])}, {Symbol: []byte(names[1])}, {Symbol: []byte(names[2])}}}
			which := r.IntN(3)
			if r.IntN(20) == 0 || n < 3 {
				which = (which + n) % 3
				md.MsgType, md.Instruments = 'W', md.Instruments[which:which+1]
				for _, id := range slices.Sorted(maps.Keys(venue[which])) {
					o := venue[which][id]
					md.Entries = append(md.Entries, MDEntry{Type: o.side, ID: []byte(id), Price: o.price, Size: o.size, Has: HasSize})
				}
			} else {
				for range 1 + r.IntN(8) {
					if r.IntN(3) == 0 {
						which = r.IntN(3)
					}
					md.Entries = append(md.Entries, change(r, venue[which], which, newID))
				}
			}
			md.Append(b.Begin(s.Header, string(md.MsgType)), 9)
			out.Reset()
			raw := b.End()
			if used, messages := d.Append(raw, uint64(n), 1, out); used != len(raw) || messages != 1 || d.Refused() != 0 {
				t.Fatalf("seed %d, message %d: %q: %+v", seed, n, raw, d.Counters)
			}
			applyOrders(t, out, books)
			for i, name := range names {
				id := d.in.find(&Instrument{Symbol: []byte(name)})
				if want, got := summed(venue[i]), summed(books[id]); !maps.Equal(want, got) {
					t.Fatalf("seed %d, message %d, %s after %q:\n%v\nwant\n%v", seed, n, name, raw, got, want)
				}
			}
		}
		total := 0
		for _, v := range venue {
			total += len(v)
		}
		if total != d.ids.count {
			t.Errorf("seed %d: %d ids are kept, the venue has %d", seed, d.ids.count, total)
		}
	}
}

// change makes one entry of an X and does it to the venue's book.
func change(r *rand.Rand, book map[string]modelOrder, which int, newID func() string) MDEntry {
	e := MDEntry{Instrument: which, Price: tick.UndefPrice}
	ids := slices.Sorted(maps.Keys(book))
	if len(ids) == 0 || r.IntN(5) < 2 {
		id := newID()
		o := modelOrder{"01"[r.IntN(2)], int64(1+r.IntN(50)) * 250_000_000, uint64(1 + r.IntN(99))}
		book[id] = o
		e.Action, e.Type, e.ID, e.Price, e.Size, e.Has = ActionNew, o.side, []byte(id), o.price, o.size, HasSize
		return e
	}
	id := ids[r.IntN(len(ids))]
	o := book[id]
	e.ID = []byte(id)
	if r.IntN(2) == 0 {
		e.Type = o.side
	}
	if r.IntN(3) > 0 {
		delete(book, id)
		e.Action = ActionDelete
		return e
	}
	e.Action = ActionChange
	if r.IntN(2) == 0 {
		o.price = int64(1+r.IntN(50)) * 250_000_000
		e.Price = o.price
	}
	if r.IntN(2) == 0 {
		o.size = uint64(1 + r.IntN(99))
		e.Size, e.Has = o.size, HasSize
	}
	if r.IntN(3) == 0 {
		delete(book, id)
		e.RefID = e.ID
		id = newID()
		e.ID = []byte(id)
	}
	book[id] = o
	return e
}

// applyOrders does what the rows say.
func applyOrders(t *testing.T, out *tick.Batch, books map[uint32]map[uint64]modelOrder) {
	t.Helper()
	for i := range out.N {
		book := books[out.Instrument[i]]
		order := modelOrder{'0', out.Price[i], out.Size[i]}
		if out.Side[i] == tick.SideAsk {
			order.side = '1'
		}
		_, there := book[out.OrderID[i]]
		switch out.Kind[i] {
		case tick.KindDefinition:
			book = map[uint64]modelOrder{}
			books[out.Instrument[i]] = book
			continue
		case tick.KindClear:
			clear(book)
			continue
		case tick.KindAdd:
			if there {
				t.Fatalf("%s: is there", show(out, i))
			}
			book[out.OrderID[i]] = order
			continue
		}
		if !there {
			t.Fatalf("%s: is not there", show(out, i))
		}
		switch out.Kind[i] {
		case tick.KindModify:
			book[out.OrderID[i]] = order
		case tick.KindReplace:
			delete(book, out.OrderID[i])
			book[out.Aux[i]] = order
		case tick.KindDelete:
			delete(book, out.OrderID[i])
		default:
			t.Fatal(show(out, i))
		}
	}
}

// summed is how often each order is there, whatever it is called.
func summed[K comparable](book map[K]modelOrder) map[modelOrder]int {
	sum := map[modelOrder]int{}
	for _, o := range book {
		sum[o]++
	}
	return sum
}
