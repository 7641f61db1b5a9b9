package jitter

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestBuckets: each value lies in its bucket, buckets adjoin, and none is wider than 1/128 of its values.
func TestBuckets(t *testing.T) {
	for i := range buckets - 1 {
		low, next := lowest(i), lowest(i+1)
		if bucket(low) != i || bucket(next-1) != i || next <= low || i > 0 && bucket(low-1) != i-1 {
			t.Fatalf("bucket %d: %d to %d lie in %d and %d", i, low, next-1, bucket(low), bucket(next-1))
		}
		if width := next - low; width > 1 && float64(width)/float64(low) > 1.0/128 {
			t.Fatalf("bucket %d from %d is %d wide", i, low, width)
		}
	}
	for _, v := range []uint64{1 << topBits, 1<<topBits + 1, math.MaxUint64} {
		if bucket(v) != buckets-1 {
			t.Errorf("%d lies in %d", v, bucket(v))
		}
	}
	if bucket(1<<topBits-1) != buckets-2 {
		t.Errorf("the last but one ends early")
	}
}

// slowDelay solves Σ max(0, gap − x) = (1 − share) × run by halving.
func slowDelay(gaps []uint64, share, run float64) float64 {
	low, high := 0.0, 1e12
	for range 200 {
		x := (low + high) / 2
		sum := 0.0
		for _, g := range gaps {
			sum += max(0, float64(g)-x)
		}
		if sum > (1-share)*run {
			low = x
		} else {
			high = x
		}
	}
	return high
}

// TestDelay: against the definition, on random gaps; and turned round it is Above again.
func TestDelay(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var h Histogram
		var gaps []uint64
		total := 0.0
		for range 1 + rnd.IntN(400) {
			g := uint64(math.Exp(rnd.Float64()*16 + 3)) // 20 ns to 180 ms
			gaps = append(gaps, g)
			h.Add(g)
			total += float64(g)
		}
		run := total * (1 + 1000*rnd.Float64())
		for _, share := range []float64{0, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999} {
			got, want := h.Delay(share, run), slowDelay(gaps, share, run)
			// A gap is known to 0.4 %, and so is the delay, of the gap.
			if math.Abs(got-want) > 0.004*float64(slices.Max(gaps))+1 {
				t.Fatalf("share %g of %d gaps: %g, want %g", share, len(gaps), got, want)
			}
			if got > 0 && math.Abs(h.Above(got, run)/(1-share)-1) > 1e-6 {
				t.Fatalf("share %g: above %g is %g", share, got, h.Above(got, run))
			}
		}
	}
	var none Histogram
	if d := none.Delay(0.999, 1e9); d != 0 {
		t.Errorf("without gaps %g", d)
	}
	var one Histogram
	one.Add(1e6) // 1 ms in a second: a packet in a thousand arrives in it, one in 2,000 waits for half of it
	for share, want := range map[float64]float64{0.999: 0, 0.9995: 0.5e6, 0.9999: 0.9e6, 1: 1e6} {
		if d := one.Delay(share, 1e9); math.Abs(d-want) > 0.01*1e6 {
			t.Errorf("share %g: %g, want %g", share, d, want)
		}
	}
}

func TestQuantilesMergeAndJSON(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	var a, b, sum Histogram
	var all []uint64
	for i := range 5000 {
		v := uint64(math.Exp(rnd.Float64() * 23))
		all = append(all, v)
		if i%2 == 0 {
			a.Add(v)
		} else {
			b.Add(v)
		}
	}
	sum.Merge(&a)
	sum.Merge(&b)
	slices.Sort(all)
	for _, q := range []float64{0, 0.5, 0.9, 0.99, 0.999, 0.9} {
		want := float64(all[max(0, int(math.Ceil(q*5000))-1)])
		if got := sum.Quantile(q); want < 1<<topBits && math.Abs(got-want) > want/128+1 {
			t.Errorf("quantile %g: %g, want %g", q, got, want)
		}
	}
	text, err := json.Marshal(&sum)
	if err != nil {
		t.Fatal(err)
	}
	var again Histogram
	if err := json.Unmarshal(text, &again); err != nil {
		t.Fatal(err)
	}
	if again.counts != sum.counts || math.Abs(float64(again.beyond)-float64(sum.beyond)) > float64(len(all)) {
		t.Error("what was written is not what is read")
	}
	for _, bad := range []string{`[[1,18446744073709551615],[5,1]]`, `[[18446744073709551615,2]]`, `{}`, `[[1,-1]]`, `[["a"]]`} {
		if err := json.Unmarshal([]byte(bad), &again); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func TestTime(t *testing.T) {
	for ns, want := range map[float64]string{0: "0ns", 0.385: "0.385ns", 999.4: "999ns", 999.6: "1µs", 999_600: "1ms", 12_345_678: "12.3ms", 999_700_000: "1s", 61e9: "61s"} {
		if got := Time(ns); got != want {
			t.Errorf("%g: %s, want %s", ns, got, want)
		}
	}
}
