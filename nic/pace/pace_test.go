package pace

import (
	"sync/atomic"
	"testing"
	"time"
)

// clock is virtual time that passes by sleeping, a little too long each time, as sleeping does.
type clock struct{ at time.Time }

func virtual(t *testing.T, text string) (*Pacer, *clock) {
	t.Helper()
	p, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{at: time.Unix(1000, 0)}
	p.now = func() time.Time { return c.at }
	p.sleep = func(d time.Duration) { c.at = c.at.Add(d + 50*time.Microsecond) }
	return p, c
}

// TestLatenessDoesNotAddUp: a thousand packets a millisecond apart end after a second, for all that each sleep is late.
func TestLatenessDoesNotAddUp(t *testing.T) {
	for _, tc := range []struct {
		pace string
		want time.Duration
	}{{"recorded", time.Second}, {"x10", 100 * time.Millisecond}, {"x0.5", 2 * time.Second}, {"2000/s", 500 * time.Millisecond}} {
		p, c := virtual(t, tc.pace)
		begin := c.at
		var stop atomic.Bool
		for i := range uint64(1001) {
			p.Wait(5_000_000_000+i*1_000_000, 1, &stop)
		}
		if took := c.at.Sub(begin); took < tc.want || took > tc.want+200*time.Microsecond {
			t.Errorf("%s: %v, want %v", tc.pace, took, tc.want)
		}
	}
}

func TestStampsThatGoBack(t *testing.T) {
	p, c := virtual(t, "recorded")
	begin := c.at
	var stop atomic.Bool
	for _, ts := range []uint64{100, 50, 100} {
		p.Wait(ts, 1, &stop)
	}
	if p.Backwards != 1 || c.at != begin {
		t.Errorf("%d counted, %v slept", p.Backwards, c.at.Sub(begin))
	}
}

func TestStop(t *testing.T) {
	p, c := virtual(t, "recorded")
	begin := c.at
	var stop atomic.Bool
	p.Wait(0, 1, &stop)
	stop.Store(true)
	p.Wait(3_600_000_000_000, 1, &stop)
	if c.at != begin {
		t.Errorf("slept %v after stop", c.at.Sub(begin))
	}
}

func TestDue(t *testing.T) {
	p, c := virtual(t, "recorded")
	var stop atomic.Bool
	p.Wait(1000, 1, &stop)
	if p.Due(2000) || p.Time(2000) != 1000 {
		t.Errorf("due %v ns early", p.Time(2000))
	}
	c.at = c.at.Add(time.Microsecond)
	if !p.Due(2000) {
		t.Error("not due in time")
	}
}

func TestParse(t *testing.T) {
	for _, bad := range []string{"x", "x0", "x-1", "fast", "10", "0/s", "/s", "xNaN", "x1e300"} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	for _, at := range []string{"", "max"} {
		if p, err := Parse(at); err != nil || !p.Max() || !p.Due(1) || p.Time(5) != 0 {
			t.Errorf("%q: %v", at, err)
		}
	}
}

// TestOffset: due times without a clock.
func TestOffset(t *testing.T) {
	for _, tc := range []struct {
		pace string
		want [4]time.Duration
	}{
		{"max", [4]time.Duration{0, 1000, 1000, 3000}}, {"recorded", [4]time.Duration{0, 1000, 1000, 3000}},
		{"x10", [4]time.Duration{0, 100, 100, 300}}, {"500000/s", [4]time.Duration{0, 4000, 8000, 12000}},
	} {
		p, err := Parse(tc.pace)
		if err != nil {
			t.Fatal(err)
		}
		var got [4]time.Duration
		for i, ts := range []uint64{5000, 6000, 5500, 8000} {
			got[i] = p.Offset(ts, 2)
		}
		if got != tc.want || p.Backwards != 1 {
			t.Errorf("%s: %v, want %v; %d backwards", tc.pace, got, tc.want, p.Backwards)
		}
	}
}
