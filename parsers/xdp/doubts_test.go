package xdp

import (
	"slices"
	"testing"

	"github.com/tickwire/tickwire/tick"
)

func newDoubts(t *testing.T) (*Decoder, func(m []byte), func() ([]uint32, bool)) {
	t.Helper()
	d, err := NewDecoder(Options{Product: "integrated"})
	if err != nil {
		t.Fatal(err)
	}
	b, err := tick.NewBatch()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Free() })
	number := uint64(1)
	take := func(m []byte) {
		b.Reset()
		if used, n := d.Append(m, number, 1, b); used != len(m) || n != 1 {
			t.Fatalf("used %d of %d, %d messages", used, len(m), n)
		}
		number++
	}
	return d, take, func() (whose []uint32, named bool) {
		named = d.TakeDoubts(func(index uint32) { whose = append(whose, index) })
		return whose, named
	}
}

func mappingOf(index uint32) []byte {
	return AppendMapping(nil, &Mapping{Index: index, Symbol: "A", Market: 3, Scale: 4, UnitOfTrade: 1})
}

func addOf(index, number uint32) []byte {
	return AppendAdd(nil, V25, &Order{Stamp: Stamp{Index: index, Number: number}, ID: uint64(number), Price: 1, Volume: 1, Side: 'B'})
}

// TestDoubts: whoever lacks messages is named once; what is of nobody's leaves everybody in doubt; what no symbol has is in no book.
func TestDoubts(t *testing.T) {
	d, take, whose := newDoubts(t)
	for index := uint32(1); index <= 3; index++ {
		take(mappingOf(index))
		take(addOf(index, 1))
	}
	take(addOf(9, 1)) // not mapped
	if d.Doubts() != 0 {
		t.Errorf("%d doubts", d.Doubts())
	}
	take(addOf(2, 3))
	take(addOf(2, 7))
	take(mappingOf(9))
	before := d.Doubts()
	if got, named := whose(); before != 3 || !named || !slices.Equal(got, []uint32{2, 9}) {
		t.Errorf("%d doubts, of %v, named %v", before, got, named)
	}
	if got, named := whose(); !named || len(got) != 0 {
		t.Errorf("told twice: %v, %v", got, named)
	}
	take(mappingOf(0)) // contradicts itself
	if got, named := whose(); named || len(got) != 0 || d.Doubts() == before {
		t.Errorf("%v, named %v", got, named)
	}
	for index := uint32(100); index <= 100+maxDoubted; index++ {
		take(mappingOf(index))
		take(addOf(index, 1))
		take(addOf(index, 3))
	}
	if got, named := whose(); named || len(got) != maxDoubted {
		t.Errorf("%d named, %v", len(got), named)
	}
}

// TestExchange: a decoder learns the mappings that a rebuild's has, and what of the symbols' numbers is due behind it; its suspicion ends.
func TestExchange(t *testing.T) {
	d, take, whose := newDoubts(t)
	take(mappingOf(1))
	take(addOf(1, 1))
	take(addOf(1, 5))
	if got, _ := whose(); len(got) != 1 {
		t.Fatal("no doubt")
	}
	o, takeOther, _ := newDoubts(t)
	takeOther(mappingOf(1))
	takeOther(mappingOf(300_000)) // a sparse one
	takeOther(addOf(300_000, 4))
	if d.Exchange(o) || !d.Exchange(&Refresher{Decoder: o}) {
		t.Error("who is taken for a rebuild's decoder?")
	}
	suspects := 0
	d.Suspects(func(uint32) bool { suspects++; return true })
	if suspects != 0 || !d.Mapped(300_000) {
		t.Errorf("%d suspects, mapped %v", suspects, d.Mapped(300_000))
	}
	take(addOf(300_000, 5))
	take(addOf(1, 9)) // the rebuild had no message of it: whichever comes is due
	if got, named := whose(); !named || len(got) != 0 {
		t.Errorf("%v, %v", got, named)
	}
	take(addOf(300_000, 7))
	if got, _ := whose(); !slices.Equal(got, []uint32{300_000}) {
		t.Errorf("%v", got)
	}
}

// TestRefresher: a refresh's messages are taken as such, and neither they nor messages of symbols without a mapping are refused.
func TestRefresher(t *testing.T) {
	r, err := NewRefresher(Options{Product: "integrated"})
	if err != nil {
		t.Fatal(err)
	}
	d := r.Decoder
	r.Refreshing = true
	b, err := tick.NewBatch()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Free()
	refresh := append(mappingOf(5), AppendAddRefresh(nil, V25, &Order{Stamp: Stamp{Index: 5, Number: 8}, ID: 77, Price: 1, Volume: 1, Side: 'S'})...)
	if _, n := r.Append(refresh, 41, 2, b); n != 2 || b.N != 3 || b.Kind[2] != tick.KindAdd || b.Flags[2]&tick.FlagSnapshot == 0 || b.Sequence[2] != 41 {
		t.Errorf("%d messages, %d rows, %+v", n, b.N, b.Flags[:3])
	}
	r.Refreshing = false
	b.Reset()
	r.Append(slices.Concat(addOf(5, 9), addOf(6, 1)), 42, 2, b)
	if b.N != 1 || r.Refused() != 0 || d.Refused() != 1 {
		t.Errorf("%d rows, %d and %d refused", b.N, r.Refused(), d.Refused())
	}
	r.Reflects(5, 20)
	b.Reset()
	r.Append(addOf(5, 11), 44, 1, b)
	if r.Refused() != 0 {
		t.Error("a hole that the refresh is behind counts")
	}
	r.Append(addOf(5, 22), 45, 1, b)
	if r.Refused() != 1 {
		t.Error("a hole behind the refresh does not count")
	}
}
