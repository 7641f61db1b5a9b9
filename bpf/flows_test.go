package bpf

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"
)

// TestFlows: as many flows as there may be come and go; the program finds those that are there, and no others.
func TestFlows(t *testing.T) {
	p, c := load(t, ProgramPlain)
	flows := NewFlows(c.Maps[MapFlows])
	r := rand.New(rand.NewPCG(3, 1))
	at := func(i int) (netip.AddrPort, FlowKey) {
		g := netip.AddrPortFrom(netip.AddrFrom4([4]byte{233, 54, byte(i >> 8), byte(i)}), 26477)
		k, err := Key(g, 0)
		if err != nil {
			t.Fatal(err)
		}
		return g, k
	}
	there := map[int]bool{}
	for turn := range 6000 {
		i := r.IntN(1400)
		_, k := at(i)
		if there[i] {
			if err := flows.Add(k, Flow{}); !errors.Is(err, ebpf.ErrKeyExist) {
				t.Fatalf("turn %d: flow %d twice: %v", turn, i, err)
			}
			if err := flows.Delete(k); err != nil {
				t.Fatal(err)
			}
			delete(there, i)
			continue
		}
		if err := flows.Delete(k); !errors.Is(err, ebpf.ErrKeyNotExist) {
			t.Fatalf("turn %d: flow %d, which is not there, goes: %v", turn, i, err)
		}
		if err := flows.Add(k, Flow{ID: uint32(i), Queue: AnyQueue}); err != nil {
			t.Fatalf("turn %d, %d flows: %v", turn, len(there), err)
		}
		there[i] = true
	}
	for i := range 1400 {
		g, _ := at(i)
		ip := g.Addr().As4()
		before := counts(t, c)
		if _, _, err := p.Test(frame(set(30, ip[:]...))); err != nil {
			t.Fatal(err)
		}
		after := counts(t, c)
		if found := after.NoSocket == before.NoSocket+1; found != there[i] || !found && after.NoFlow != before.NoFlow+1 {
			t.Fatalf("flow %d: there %v, found %v", i, there[i], found)
		}
	}
	for i := 0; ; i++ {
		_, k := at(2000 + i)
		if err := flows.Add(k, Flow{}); err != nil {
			if len(there)+i != MaxFlows {
				t.Errorf("no room beside %d flows: %v", len(there)+i, err)
			}
			return
		}
	}
}
