package symbols

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/tick"
)

func definition(id uint32, symbol string) *tick.Definition {
	d := tick.UndefDefinition
	d.InstrumentID, d.PublisherID = id, tick.PublisherXNAS
	d.InstrumentClass = 'K'
	d.MinLotSizeRoundLot = 100
	copy(d.RawSymbol[:], symbol)
	return &d
}

func newDirectory(t *testing.T, limit int) *Directory {
	t.Helper()
	d, err := New(limit)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDefineAndLookup(t *testing.T) {
	d := newDirectory(t, 0)
	longest := strings.Repeat("X", 71)
	for id, symbol := range map[uint32]string{0: "ZERO", 1: "ABC", 65_535: "BRK.B   ", 65_536: "ESZ6", 1<<32 - 1: longest} {
		if in, err := d.Define(definition(id, symbol)); err != nil || in.ID != id {
			t.Fatalf("%d: %+v, %v", id, in, err)
		}
		want := strings.TrimRight(symbol, " ")
		in := d.Lookup(id)
		if in == nil || string(in.Symbol()) != want || !in.Named || in.Test || in.RoundLot != 100 || in.Class != 'K' || in.Publisher != tick.PublisherXNAS {
			t.Errorf("instrument %d is %+v", id, in)
		}
		if got, ok := d.BySymbol(want); !ok || got != id {
			t.Errorf("%q is %d, %v; want %d", want, got, ok, id)
		}
	}
	if d.Lookup(2) != nil || d.Lookup(1<<20) != nil {
		t.Error("instruments that nobody named are there")
	}
	if _, ok := d.BySymbol("NONE"); ok {
		t.Error("a symbol that nobody has is there")
	}
}

// An instrument that is halted before it is defined gets its name later and keeps its status; a definition that comes
// again overwrites, renames, and takes a symbol over.
func TestLateNameAndOverwriting(t *testing.T) {
	d := newDirectory(t, 0)
	early, err := d.SetStatus(5, tick.StatusHalt)
	if err != nil || early.Named || len(early.Symbol()) != 0 || early.MinPriceIncrement != tick.UndefPrice {
		t.Fatalf("%+v, %v", early, err)
	}
	def := definition(5, "OLD")
	copy(def.SecurityType[:], "TEST")
	if in, _ := d.Define(def); in != early || !in.Test || in.Status != tick.StatusHalt {
		t.Fatalf("%+v", in)
	}
	again := definition(5, "NEW")
	again.MinLotSizeRoundLot = tick.UndefDefinition.MinLotSizeRoundLot
	if _, err := d.Define(again); err != nil {
		t.Fatal(err)
	}
	if early.Test || early.RoundLot != 0 || string(early.Symbol()) != "NEW" || early.Status != tick.StatusHalt {
		t.Errorf("after the second definition: %+v", early)
	}
	if _, ok := d.BySymbol("OLD"); ok {
		t.Error("the old symbol is still there")
	}
	if _, err := d.Define(definition(6, "NEW")); err != nil {
		t.Fatal(err)
	}
	if id, _ := d.BySymbol("NEW"); id != 6 {
		t.Errorf("NEW is %d, want the one defined last", id)
	}
	if _, err := d.Define(definition(5, "THIRD")); err != nil { // must not take 6's symbol away
		t.Fatal(err)
	}
	if id, ok := d.BySymbol("NEW"); !ok || id != 6 {
		t.Errorf("NEW is %d, %v; want 6", id, ok)
	}
	if c := d.Counters(); c != (Counters{Instruments: 2, Defined: 4, Renamed: 2, Moved: 1}) {
		t.Errorf("counters %+v", c)
	}
}

func TestBound(t *testing.T) {
	const limit = 1000
	d := newDirectory(t, limit)
	for id := range uint32(limit + 10) {
		in, err := d.Define(definition(id*100, fmt.Sprint("S", id)))
		if full := id >= limit; full != errors.Is(err, ErrFull) || full != (in == nil) {
			t.Fatalf("%d: %v, %v", id, in, err)
		}
	}
	if _, err := d.SetStatus(7, tick.StatusHalt); !errors.Is(err, ErrFull) {
		t.Errorf("status of one more: %v", err)
	}
	if _, err := d.Define(definition(0, "AGAIN")); err != nil {
		t.Errorf("a known instrument was refused: %v", err)
	}
	n := 0
	d.Each(func(in *Instrument) bool {
		if in.ID != uint32(n)*100 {
			t.Fatalf("instrument %d comes %d.", in.ID, n)
		}
		n++
		return true
	})
	if c := d.Counters(); n != limit || d.Len() != limit || c.Refused != 11 {
		t.Errorf("%d instruments, counters %+v", n, c)
	}
	d.Reset()
	if d.Len() != 0 || d.Lookup(100) != nil || d.Lookup(99_900) != nil || d.Counters() != (Counters{}) {
		t.Error("something is left after Reset")
	}
	if _, ok := d.BySymbol("S5"); ok {
		t.Error("a symbol is left after Reset")
	}
	if _, err := New(-1); err == nil {
		t.Error("a negative limit was accepted")
	}
}

func TestNoAllocation(t *testing.T) {
	d := newDirectory(t, 0)
	def := definition(5, "ABC")
	if _, err := d.Define(def); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := d.Define(def); err != nil {
			t.Fatal(err)
		}
		if _, err := d.SetStatus(5, tick.StatusTrading); err != nil {
			t.Fatal(err)
		}
		d.Lookup(5).Symbol()
		d.BySymbol("ABC")
	}); n != 0 {
		t.Errorf("%v allocations for a known instrument", n)
	}
}
