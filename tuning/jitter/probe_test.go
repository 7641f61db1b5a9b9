package jitter

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// made is a probe whose ticks are ns.
func made(t *testing.T) *probe {
	p, _, err := newProbe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.unmap() })
	p.settings = settings{limit: 100, spike: spikeNs, ownLimit: ownNs, floor: 10, nsPerTick: 1 << 32, gridSlack: gridSlackNs}
	for i, ms := range gridMs {
		p.gridTicks[i] = uint64(ms * 1e6)
	}
	p.clock = p.nsPerTick
	p.reset(-1)
	return p
}

// TestCounts: what gaps are counted as, on made-up times.
func TestCounts(t *testing.T) {
	p := made(t)
	at := uint64(1e9)
	p.lastEnd = at
	for _, gap := range []uint64{150, 1_000, 1_001, 6_000, 10_000, 30_000, 2_000_000} {
		at += 1_000_000
		p.gap(at, at+gap)
		at += gap
	}
	p.gap(at, at-5)
	if p.n != 7 || p.back != 1 || p.least != 150 || p.most != 2_000_000 || p.stolen != 150+1_000+1_001+6_000+10_000+30_000+2_000_000-7*10 || p.quiet != 1_000_000 {
		t.Errorf("n %d, back %d, %d to %d, stolen %d, quiet %d", p.n, p.back, p.least, p.most, p.stolen, p.quiet)
	}
	if want := [len(overNs)]uint64{5, 4, 4, 2, 2, 1, 1, 1}; p.over != want {
		t.Errorf("over %v, want %v", p.over, want)
	}
	for class, want := range []uint64{6, 5, 2, 0} {
		if n := p.apart[class].Count(); n != want {
			t.Errorf("class %d: %d distances, want %d", class, n, want)
		}
	}
}

// TestLargest: the heap keeps what sorting keeps, and the first ones are those above 10 µs, in order.
func TestLargest(t *testing.T) {
	p := made(t)
	rnd := rand.New(rand.NewPCG(5, 6))
	var all []uint64
	at := uint64(1e9)
	for range 5000 {
		gap := 100 + rnd.Uint64N(20_000)
		if p.gap(at, at+gap) {
			p.keep(at, gap, 0, false)
		}
		all = append(all, gap)
		at += gap + 50_000
	}
	var first []uint64
	for _, g := range all {
		if g >= spikeNs && len(first) < firstCount {
			first = append(first, g)
		}
	}
	slices.SortFunc(all, func(a, b uint64) int { return int(b) - int(a) })
	var got []uint64
	for _, r := range p.largest[:p.largestN] {
		got = append(got, r.ticks)
	}
	slices.SortFunc(got, func(a, b uint64) int { return int(b) - int(a) })
	if !slices.Equal(got, all[:largestCount]) {
		t.Errorf("kept %d to %d, want %d to %d", got[len(got)-1], got[0], all[largestCount-1], all[0])
	}
	for i, r := range p.first[:p.firstN] {
		if r.ticks != first[i] {
			t.Fatalf("first %d is %d, want %d", i, r.ticks, first[i])
		}
	}
	if p.firstN != firstCount {
		t.Errorf("%d first ones", p.firstN)
	}
}

// TestTick: a gap with others one and two periods before it is the tick's; one beside them is not; and hints name the period.
func TestTick(t *testing.T) {
	p := made(t)
	at := uint64(1e9)
	for i := range 500 {
		jitter := uint64(i % 7 * 1000)
		p.gap(at+jitter, at+jitter+3_000)
		at += 4_000_000
	}
	if g := p.grid(at); g != 3 {
		t.Errorf("on the grid of 4 ms: %d", g)
	}
	if g := p.grid(at + 2_000_000 + 100_000); g != 0 {
		t.Errorf("beside it: %d", g)
	}
	hints := hints(&p.apart, false)
	if len(hints) != 1 || hints[0].PeriodMs < 3.9 || hints[0].PeriodMs > 4.1 || hints[0].Text != textOf(4, false) || hints[0].Share < 0.9 {
		t.Errorf("%+v", hints)
	}
}

// TestHints: what is rare and large is seen among what is frequent and small; what has no period gives no hint.
func TestHints(t *testing.T) {
	p := made(t)
	for at := uint64(0); at < 60e9; at += 4_000_000 {
		p.gap(1e9+at, 1e9+at+2_000)
		if at%1_000_000_000 == 0 {
			p.gap(1e9+at+1_000_000, 1e9+at+1_200_000)
		}
	}
	var texts []string
	for _, h := range hints(&p.apart, false) {
		texts = append(texts, h.Text)
	}
	if !slices.Contains(texts, textOf(1000, false)) || !slices.Contains(texts, textOf(4, false)) {
		t.Errorf("%q", texts)
	}
	p = made(t)
	rnd := rand.New(rand.NewPCG(7, 8))
	for at, i := uint64(1e9), 0; i < 5000; i++ {
		at += uint64(rnd.ExpFloat64() * 5e6)
		p.gap(at, at+2_000)
	}
	if found := hints(&p.apart, false); len(found) != 0 {
		t.Errorf("of random times: %+v", found)
	}
	for ms, parks := range map[float64]bool{10: true, 500: false, 1000: false, 5000: false, 300_000: false, 10.1: false} {
		if text := textOf(ms, parks); text == textOf(123, false) {
			t.Errorf("%g ms has no name", ms)
		}
	}
}

// TestTogether: gaps at the same time on all cores are told, those of one core are not, nor those that have a cause.
func TestTogether(t *testing.T) {
	one := func(from, gap uint64, c Cause) Event {
		return Event{Ticks: from, end: from + gap, GapNs: float64(gap), Cause: c}
	}
	all := []Result{
		{CPU: 0, Largest: []Event{one(1000, 100_000, CauseUnknown), one(500_000, 50_000, CauseUnknown), one(900_000, 40_000, CauseSwitch), one(990_000, 500, CauseUnknown)}},
		{CPU: 1, Largest: []Event{one(11_000, 100_000, CauseUnknown), one(540_000, 50_000, CauseUnknown), one(900_000, 40_000, CauseUnknown)}},
	}
	findTogether(all)
	for i, want := range [][]Cause{{CauseTogether, CauseUnknown, CauseSwitch, CauseUnasked}, {CauseTogether, CauseUnknown, CauseUnknown}} {
		for k, e := range all[i].Largest {
			if e.Cause != want[k] {
				t.Errorf("core %d, gap %d: %s, want %s", i, k, e.Cause, want[k])
			}
		}
	}
	if s := all[0].Attribution.Spikes; s[CauseTogether].N != 1 || s[CauseSwitch].SumNs != 40_000 || len(s) != 3 {
		t.Errorf("%+v", s)
	}
}

// TestCountsItself: what takes longer than counting was a gap, and nothing that counts allocates.
func TestCountsItself(t *testing.T) {
	p := made(t)
	if !readable {
		t.Skip("no cycle counter is known on this architecture: amd64 and arm64 have one")
	}
	at := now()
	if n := testing.AllocsPerRun(100, func() { at = p.count(at, at+50_000) }); n != 0 {
		t.Errorf("%g allocations a gap", n)
	}
	p = made(t)
	p.ownLimit, p.spike = ^uint64(0), ^uint64(0)
	from := now()
	if end := p.count(from, from+1); end < from || p.n != 1 || p.own == 0 {
		t.Errorf("%d gaps, own %d", p.n, p.own)
	}
}
