package membench

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"unsafe"

	"github.com/tickwire/tickwire/bench/meter"
)

// TestChainVisitsEveryLineOnce: else the working set would be smaller than it says.
func TestChainVisitsEveryLineOnce(t *testing.T) {
	s, err := newSet(1<<20, false)
	if err != nil {
		t.Fatal(err)
	}
	seen := make([]bool, s.size/lineBytes)
	steps, runs := 0, 0
	for at, before := s.at[0], uintptr(0); !seen[at/lineBytes]; steps++ {
		seen[at/lineBytes] = true
		next := *(*uintptr)(unsafe.Add(s.base, at))
		if next-at == at-before {
			runs++ // two steps of one length: a prefetcher would see it
		}
		before, at = at, next
	}
	if steps != len(seen) || runs > steps/100 {
		t.Errorf("%d of %d lines visited, %d steps like the one before", steps, len(seen), runs)
	}
	before := s.at
	s.parallel(1)
	for i, at := range before {
		for range piece {
			at = *(*uintptr)(unsafe.Add(s.base, at))
		}
		if s.at[i] != at {
			t.Errorf("chain %d is not where its steps lead", i)
		}
	}
}

// TestProbe: every figure is there and in a plausible order: loads that overlap are cheaper than those that wait for one another.
func TestProbe(t *testing.T) {
	done := make(chan struct{})
	go func() { // the thread is pinned and ends with the goroutine
		defer close(done)
		core, peer := meter.Core(0), meter.Core(1)
		if err := meter.Pin(core, ""); err != nil {
			t.Error(err)
			return
		}
		p, err := New(Options{Sizes: []int{64<<20 + 5, 1 << 44}, Loads: 20_000, Touch: 4 << 20, Handovers: 2000, Core: core, Peer: peer})
		if err != nil {
			t.Error(err)
			return
		}
		defer p.Close()
		for range 3 {
			if err := p.Round(); err != nil {
				t.Error(err)
				return
			}
		}
		r := p.Report()
		if len(r.Loads) != 2 || r.Lookup(64<<20, Small) == nil || r.Lookup(64<<20, Huge) == nil || r.Lookup(1, Small) != nil {
			t.Errorf("%+v", r.Loads)
			return
		}
		for _, l := range r.Loads {
			if l.Dependent.Min <= 1 || l.Parallel.Min <= 0 || l.Parallel.Median >= l.Dependent.Median || len(l.Parallel.Runs) != 3 {
				t.Errorf("%+v", l)
			}
		}
		if small := r.Lookup(64<<20, Small); small.Huge != 0 {
			t.Errorf("small pages, %.2f of them huge", small.Huge)
		}
		for _, touch := range r.Touches {
			if touch.Ns.Min <= 0 {
				t.Errorf("%+v", touch)
			}
		}
		if meter.Cores() > 1 && (r.CoreToCore == nil || r.CoreToCore.Min < 2) {
			t.Errorf("core to core: %+v", r.CoreToCore)
		}
		if !strings.Contains(strings.Join(r.Missing, "\n"), "working set of 16777216 MiB") {
			t.Errorf("missing: %q", r.Missing)
		}
		b, err := json.Marshal(r)
		if err != nil {
			t.Error(err)
		}
		for _, key := range []string{"dependent_ns", "parallel_ns", "first_touch", "core_to_core_ns", "median"} {
			if !strings.Contains(string(b), `"`+key+`"`) {
				t.Errorf("%s is not in %s", key, b)
			}
		}
	}()
	<-done
}

func TestHugeShare(t *testing.T) {
	text, _ := os.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled")
	if !strings.Contains(string(text), "[madvise]") && !strings.Contains(string(text), "[always]") {
		t.Skip("transparent huge pages are off here")
	}
	s, err := newSet(8<<20, true)
	if err != nil {
		t.Fatal(err)
	}
	if share := s.share(); share == 0 {
		t.Skip("the kernel had no huge page free")
	} else if share > 1 {
		t.Errorf("%v of the set on huge pages", share)
	}
}

func TestRefuses(t *testing.T) {
	if p, err := New(Options{Sizes: []int{4096}}); err == nil {
		p.Close()
		t.Error("a working set of a page was taken")
	}
}
