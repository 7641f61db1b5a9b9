package resync

import (
	"slices"
	"testing"
)

// TestWantOf: who fetches is told of which instruments; asked for others, or for all, it begins anew, and what was under way is over.
func TestWantOf(t *testing.T) {
	p := newPartPair(t, partRows)
	p.lane.WantOf(0, p.next, []uint32{7})
	if only := p.lane.r.Only(); !slices.Equal(only, []uint32{7}) || !p.work.Begin() {
		t.Fatalf("%v", only)
	}
	p.lane.WantOf(0, p.next, []uint32{7, 9})
	if only := p.lane.r.Only(); !slices.Equal(only, []uint32{7, 9}) || p.work.Current() {
		t.Errorf("%v, current %v", only, p.work.Current())
	}
	p.part(ErrOver, Part{Instrument: 7, What: Orders, AsOf: p.next}, 1)
	p.lane.Want(0, p.next)
	if only := p.lane.r.Only(); only != nil || !p.lane.Logging() {
		t.Errorf("%v", only)
	}
}
