package hwtest

import (
	"errors"
	"math"
	"testing"
	"time"
)

// narrow is a load with a receiver that takes so many packets a second and loses the rest: what a search has to find out.
type narrow struct {
	take          *taker
	fast          float64 // what the load can do
	carries       float64 // what the receiver can
	loses         int     // stretches that lose one packet for no reason, the machine's
	rates         []float64
	sent, skipped uint64
}

func (l *narrow) Send(first uint64, n int, rate float64) (int, time.Duration, error) {
	if rate == 0 || rate > l.fast {
		rate = l.fast
	}
	l.rates = append(l.rates, rate)
	got := uint64(n)
	if rate > l.carries {
		got = uint64(float64(n) * l.carries / rate)
	} else if l.loses > 0 {
		l.loses--
		got--
	}
	l.take.taken.Add(got)
	l.sent += uint64(n)
	return n, time.Duration(float64(n) / rate * 1e9), nil
}

func (l *narrow) Close() {}

// TestSearch: the rate that is found is one that is taken without loss, and near the highest; a loss that is the machine's own does not spoil it.
func TestSearch(t *testing.T) {
	for _, tc := range []struct {
		name          string
		fast, carries float64
		loses         int
		want          float64
	}{
		{"the load is the limit", 1e6, 2e6, 0, 1e6},
		{"the receiver is", 4e6, 1.1e6, 0, 1.1e6},
		{"by far", 4e6, 5e4, 0, 5e4},
		{"a loss of the machine's", 4e6, 1.1e6, 1, 1.1e6},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := &narrow{take: &taker{}, fast: tc.fast, carries: tc.carries, loses: tc.loses}
			b := &bout{take: l.take, load: l}
			f, err := b.search(10*time.Millisecond, 8)
			must(t, err)
			if f.rate > tc.carries || math.Abs(f.rate-tc.want) > 0.03*tc.want+tc.fast/256 {
				t.Errorf("found %.0f, want %.0f; tried %.0f", f.rate, tc.want, l.rates)
			}
			if f.lossy != 0 && f.lossy < f.rate {
				t.Errorf("loss begins by %.0f, below %.0f which has none", f.lossy, f.rate)
			}
			if (f.lossy == 0) != (tc.fast <= tc.carries) {
				t.Errorf("loss begins by %.0f", f.lossy)
			}
			if b.next != l.sent {
				t.Errorf("%d frames are counted, %d were sent", b.next, l.sent)
			}
		})
	}
	deaf := &narrow{take: &taker{}, fast: 1e6, carries: 0}
	if _, err := (&bout{take: deaf.take, load: deaf}).search(time.Millisecond, 4); !errors.Is(err, errSilent) {
		t.Errorf("a receiver that takes nothing: %v", err)
	}
}

// TestUnexplained: what drivers count before the program explains what the program never saw, and nothing else.
func TestUnexplained(t *testing.T) {
	for _, tc := range []struct {
		sent, seen, taken, full, before uint64
		want                            float64
	}{
		{100, 100, 100, 0, 0, 0}, {100, 100, 90, 10, 0, 0}, {100, 100, 90, 9, 0, 1}, {100, 95, 95, 0, 5, 0}, {100, 95, 95, 0, 3, 2}, {100, 100, 90, 0, 50, 10}, {100, 100, 100, 7, 0, 0},
	} {
		l := losses{seen: tc.seen, ringFull: tc.full}
		before := lacks{[]Figure{{"x", float64(tc.before), ""}}}
		if got := l.unexplained(tc.sent, tc.taken, &before); got != tc.want {
			t.Errorf("%+v: %g", tc, got)
		}
	}
}

// TestPause: the longest time without a record, the ends of what is looked at included.
func TestPause(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(int64(1000 + ms)) }
	d := &reader{}
	for _, ms := range []int{-50, 10, 20, 15, 70, 75, 200} {
		d.times = append(d.times, uint64(at(ms).UnixNano()))
	}
	if got := d.pause(at(0), at(100)); got != 50*time.Millisecond {
		t.Errorf("pause of %s", got)
	}
	if got := d.pause(at(72), at(190)); got != 115*time.Millisecond {
		t.Errorf("pause of %s to the end", got)
	}
	if got := d.after(at(72)); got != uint64(at(75).UnixNano()) {
		t.Errorf("after: %d", got)
	}
	if d.after(at(500)) != 0 {
		t.Error("a record of the future")
	}
}
