package rxbench

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"slices"
	"testing"
	"time"
)

// TestRun: a short run has every receiver and load in it, nothing out of order, and no allocation a packet.
func TestRun(t *testing.T) {
	var r *Report
	var err error
	for span := 5 * time.Millisecond; span < 100*time.Millisecond; span *= 4 { // on a busy machine a receiver may not run at all for some ms
		r, err = Run(Options{Runs: 1, Span: span, Latency: 4 * span})
		if errors.Is(err, ErrRights) || err == nil && !slices.ContainsFunc(r.Rates, func(l Rate) bool { return l.Received == 0 }) {
			break
		}
	}
	if errors.Is(err, ErrRights) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range Receivers {
		if i := slices.IndexFunc(r.Missing, func(m Missing) bool { return m.Receiver == name }); i >= 0 {
			t.Logf("%s: not available: %s", name, r.Missing[i].Reason)
			if os.Getenv("CI") != "" {
				t.Error("CI has all peers")
			}
			continue
		}
		loads := 0
		for _, l := range r.Rates {
			if l.Receiver == name && l.Received > 0 && l.Received <= l.Offered*1.001 && len(l.Runs) == 1 && l.Min == l.Median && l.Max == l.Median {
				loads++
			}
		}
		if loads != 2 {
			t.Errorf("%s: received under %d loads of 2: %+v", name, loads, r.Rates)
		}
		latencies := 0
		for _, l := range r.Latencies {
			if l.Receiver == name && l.Packets > 0 && l.P50 > 0 && l.P50 <= l.P90 && l.P90 <= l.P99 && l.P99 <= l.Max {
				latencies++
			}
		}
		if latencies != len(latencyRates) {
			t.Errorf("%s: %d latencies: %+v", name, latencies, r.Latencies)
		}
	}
	if len(r.Faults) != 0 {
		t.Error(r.Faults)
	}
	if c := r.Cost; c.Packets == 0 || c.Allocated > 0.001 || c.Called == nil && c.Why == "" || c.Own != nil && *c.Own > 20 {
		t.Errorf("%+v", c) // what the runtime does beside is not a packet's
	}
	if len(r.Lane.Runs) != 1 || r.Lane.PerPack < 2 {
		t.Errorf("%+v", r.Lane)
	}
	b, err := json.Marshal(r)
	if err != nil || !json.Valid(b) {
		t.Error(err)
	}
}

// sieve is a load and a receiver that loses what exceeds a rate.
type sieve struct {
	most, holds float64
	got         uint64
}

func (s *sieve) Send(_ uint64, n int, rate float64) (int, time.Duration, error) {
	if rate == 0 || rate > s.most {
		rate = s.most
	}
	through := float64(n)
	if rate > s.holds {
		through *= s.holds / rate
	}
	s.got += uint64(through)
	return n, time.Duration(float64(n) / rate * 1e9), nil
}

func (s *sieve) Close()                {}
func (s *sieve) received() uint64      { return s.got }
func (s *sieve) stop() (*tally, error) { return nil, nil }

// TestSearch: the highest rate without loss is found, be it the load's or the receiver's.
func TestSearch(t *testing.T) {
	for _, tc := range []struct{ most, holds, want float64 }{{3e6, 4e6, 3e6}, {3e6, 2.9e6, 2.9e6}, {3e6, 7e5, 7e5}, {3e6, 1e5, 1e5}} {
		s := &sieve{most: tc.most, holds: tc.holds}
		b := bout{receiver: s, load: s, span: time.Second}
		f, err := b.search()
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(f.rate-tc.want)/tc.want > 0.05 || f.rate > tc.want*1.001 || f.offered != tc.most {
			t.Errorf("%+v: %+v", tc, f)
		}
	}
}

// TestTally: frames of others are not counted, those that lie are faults.
func TestTally(t *testing.T) {
	whole := frame()
	whole[headBytes+numberAt+7] = 1
	other := slices.Clone(whole)
	other[36]++
	lies := slices.Clone(whole)
	lies[38] = 255
	for _, tc := range []struct {
		b                  []byte
		received, disorder uint64
	}{{whole, 1, 0}, {other, 0, 0}, {lies, 0, 1}, {whole[:30], 0, 0}, {nil, 0, 0}, {whole[:100], 0, 1}} {
		var c tally
		c.frame(tc.b)
		if c.received != tc.received || c.disorder != tc.disorder {
			t.Errorf("%d bytes: %+v", len(tc.b), c)
		}
	}
	var c tally
	c.frame(whole)
	c.frame(whole)
	if c.disorder != 1 {
		t.Errorf("a number twice: %+v", c)
	}
}
