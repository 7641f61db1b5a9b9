package clock

import (
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// card is a made-up NIC's clock beside a made-up system's.
type card struct {
	host   uint64  // CLOCK_REALTIME
	offset float64 // PHC − host, ns
	rate   float64 // how fast that grows, ns a ns
	window uint64
	jitter float64
	tai    int
	rnd    *rand.Rand
}

func newCard(offset float64) *card {
	return &card{host: 1_700_000_000_000_000_000, offset: offset, window: 800, tai: 37, rnd: rand.New(rand.NewPCG(3, 4))}
}

func (c *card) phc() uint64 { return c.host + uint64(int64(c.offset)) }

func (c *card) sample() PHCSample {
	// The system's clock is taken in the middle of the window; the NIC's was read somewhere in it.
	return PHCSample{PHC: c.phc() + uint64(int64((c.rnd.Float64()-0.5)*c.jitter)), Host: c.host, Window: c.window}
}

func (c *card) pass(ns uint64) {
	c.host += ns
	c.offset += c.rate * float64(ns)
}

// run feeds n samples, four a second.
func (c *card) run(f *Fit, n int) {
	for range n {
		c.pass(250_000_000)
		f.Add(c.sample(), c.tai)
	}
}

// off converts a stamp taken now and says by how much it differs from the system's clock.
func (c *card) off(t *testing.T, f *Fit) float64 {
	t.Helper()
	utc, ok := f.Convert(c.phc())
	if !ok {
		t.Fatalf("not trusted: %s, %+v", f.Describe(), f.Counters())
	}
	return float64(int64(utc - c.host))
}

const seconds = 1e9

func TestScales(t *testing.T) {
	for _, tc := range []struct {
		name   string
		offset float64
		rate   float64
		tai    int
		want   string
		within float64 // of the system's clock
	}{
		{"TAI", 37*seconds + 200, 0, 37, "in TAI, 200 ns off", 200},
		{"TAI, another leap second since", 38*seconds - 50, 0, 38, "in TAI, -50 ns off", 50},
		{"TAI, and the kernel was not told", 37 * seconds, 0, 0, "ptp.tai", 0},
		{"UTC", -300, 0, 37, "in UTC, -300 ns off", 300},
		{"kept, but far from us", 37*seconds + 2e6, 0, 37, "too much to be kept by the same (ptp.phc2sys)", 1},
		{"free, since boot", -1.6e18, 31e-6, 37, "free-running", 1},
		{"free, far in the future", 4e18, -80e-6, 37, "free-running", 1},
	} {
		c, f := newCard(tc.offset), NewFit(FitOptions{})
		c.rate, c.tai = tc.rate, tc.tai
		c.run(f, 20)
		if got := f.Describe(); !strings.Contains(got, tc.want) {
			t.Errorf("%s: described as %q, want %q", tc.name, got, tc.want)
		}
		c.pass(200_000_000)
		// float64 keeps offsets of 1e18 to 256 ns; the made-up world is that rough, the conversion is not.
		slack := 1 + math.Abs(tc.offset)/4e15
		if off := c.off(t, f); math.Abs(off) > tc.within+slack {
			t.Errorf("%s: converted %.0f ns from the system's clock, want within %g", tc.name, off, tc.within+slack)
		}
		if n := f.Counters(); n.Jumps != 0 || n.Outliers != 0 || n.LiveTrusted != 1 {
			t.Errorf("%s: %+v", tc.name, n)
		}
	}
}

// Differences between stamps of a kept clock are the NIC's own, to the ns, whatever the noise of the measurement.
func TestKeptClockIsArithmetic(t *testing.T) {
	c, f := newCard(37*seconds), NewFit(FitOptions{})
	c.jitter = 800
	for range 100 {
		c.run(f, 1)
		if utc, ok := f.Convert(c.phc()); ok && f.Counters().LiveScale == uint64(ScaleTAI) && utc != c.phc()-37*seconds {
			t.Fatalf("converted to %d, want %d", utc, c.phc()-37*seconds)
		}
	}
	if f.Counters().LiveScale != uint64(ScaleTAI) {
		t.Error(f.Describe())
	}
}

func TestNoiseIsAveraged(t *testing.T) {
	c, f := newCard(-1e15), NewFit(FitOptions{})
	c.rate, c.jitter = 12e-6, 800
	c.run(f, 40)
	worst := 0.0
	for range 100 {
		c.run(f, 1)
		worst = max(worst, math.Abs(c.off(t, f)))
	}
	if n := f.Counters(); worst > 400 || n.Jumps != 0 || n.LiveNoiseNs > 400 || n.LiveNoiseNs == 0 || n.LiveRatePpb < 11_000 || n.LiveRatePpb > 13_000 {
		t.Errorf("worst error %.0f ns, %+v", worst, n)
	}
}

// A clock is trusted after four samples that agree, and no longer than a line lives.
func TestTrust(t *testing.T) {
	c, f := newCard(37*seconds), NewFit(FitOptions{})
	for n := range 6 {
		if _, ok := f.Convert(c.phc()); ok != (n >= fitTrust) {
			t.Errorf("after %d samples trusted: %v", n, ok)
		}
		c.run(f, 1)
	}
	for _, tc := range []struct {
		after uint64
		want  bool
	}{{1_900_000_000, true}, {2_100_000_000, false}, {1 << 62, false}} {
		later := c.phc() + tc.after
		if _, ok := f.Convert(later); ok != tc.want {
			t.Errorf("a stamp %d ns later was converted: %v", tc.after, ok)
		}
		if _, ok := f.Convert(c.phc() - tc.after); ok != tc.want {
			t.Errorf("a stamp %d ns earlier was converted: %v", tc.after, ok)
		}
	}
	if _, ok := f.Convert(0); ok {
		t.Error("no stamp was converted")
	}
}

// Whatever is set, by whomever: no stamp is converted by the old line once it was noticed, nor by the new one too early.
func TestJumps(t *testing.T) {
	for name, jump := range map[string]func(*card){
		"the NIC's clock is set forward":    func(c *card) { c.offset += 1e6 },
		"the NIC's clock goes back":         func(c *card) { c.offset -= 10 * seconds },
		"the NIC's clock starts at 0":       func(c *card) { c.offset = -float64(c.host) },
		"the system's clock is set forward": func(c *card) { c.host += 3e9; c.offset -= 3e9 },
		"the system's clock is set back":    func(c *card) { c.host -= 3e9; c.offset += 3e9 },
		"ptp4l steps it from UTC to TAI":    func(c *card) { c.offset += 37 * seconds },
	} {
		c, f := newCard(100), NewFit(FitOptions{})
		c.run(f, 30)
		jump(c)
		for n := range fitTrust {
			c.run(f, 1)
			if _, ok := f.Convert(c.phc()); ok != (n == fitTrust-1) {
				t.Errorf("%s: after %d samples trusted: %v", name, n+1, ok)
			}
		}
		c.run(f, 10)
		if n := f.Counters(); n.Jumps != 1 {
			t.Errorf("%s: %+v, want one jump", name, n)
		}
		if off := c.off(t, f); math.Abs(off) > 1000 {
			t.Errorf("%s: %.0f ns from the system's clock afterwards, %s", name, off, f.Describe())
		}
	}
}

// ptp4l pulls a clock in: the rate changes by some ppm, which is no jump.
func TestServoIsNoJump(t *testing.T) {
	c, f := newCard(37*seconds), NewFit(FitOptions{})
	for i := range 200 {
		c.rate = 8e-6 * math.Sin(float64(i)/3)
		c.run(f, 1)
	}
	if n := f.Counters(); n.Jumps != 0 || n.LiveTrusted != 1 {
		t.Errorf("%+v", n)
	}
}

// A look during which something came between is left out, and does not move the line.
func TestWideSampleIsLeftOut(t *testing.T) {
	c, f := newCard(-1e15), NewFit(FitOptions{})
	c.run(f, 20)
	before := c.off(t, f)
	c.pass(250_000_000)
	s := c.sample()
	s.Window, s.Host = 400_000, s.Host+150_000
	f.Add(s, c.tai)
	if off := c.off(t, f); math.Abs(off-before) > 2 || f.Counters().Outliers != 1 || f.Counters().Jumps != 0 {
		t.Errorf("%.0f ns off, %.0f before, %+v", off, before, f.Counters())
	}
	for range 3 * fitSamples { // they are all there is
		c.pass(250_000_000)
		s := c.sample()
		s.Window = 400_000
		f.Add(s, c.tai)
	}
	if f.Counters().LiveTrusted != 1 || f.Counters().Jumps != 0 {
		t.Errorf("wide samples only: %+v", f.Counters())
	}
	c.off(t, f)
}

// A leap second: the kernel's clock goes back by one, its TAI − UTC grows by one, and ptp4l's clock goes on.
func TestLeapSecond(t *testing.T) {
	c, f := newCard(37*seconds), NewFit(FitOptions{})
	c.run(f, 20)
	c.host -= seconds
	c.offset += seconds
	c.tai = 38
	c.run(f, 10)
	if off := c.off(t, f); off != 0 || !strings.Contains(f.Describe(), "in TAI") || f.Counters().Jumps != 1 {
		t.Errorf("%.0f ns off, %s, %+v", off, f.Describe(), f.Counters())
	}
}

func TestBestLook(t *testing.T) {
	at := func(ns uint64) unix.PtpClockTime {
		return unix.PtpClockTime{Sec: int64(ns / 1e9), Nsec: uint32(ns % 1e9)}
	}
	look := func(before, phc, after uint64) [3]unix.PtpClockTime {
		return [3]unix.PtpClockTime{at(before), at(phc), at(after)}
	}
	const s = 1_700_000_000_999_999_900
	got, err := bestOf([][3]unix.PtpClockTime{
		look(s, 5e18, s+900), look(s+1000, 5e18+1000, s+1200), look(s+2000, 5e18+2000, s+1900), look(s+3000, 0, s+3001),
	})
	if want := (PHCSample{PHC: 5e18 + 1000, Host: s + 1100, Window: 200}); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if _, err := bestOf([][3]unix.PtpClockTime{look(10, 5, 9)}); err == nil {
		t.Error("a look during which the clock was set was taken")
	}
}

func TestConvertAllocatesNothing(t *testing.T) {
	c, f := newCard(37*seconds), NewFit(FitOptions{})
	c.run(f, 10)
	hw := c.phc()
	if n := testing.AllocsPerRun(1000, func() { f.Convert(hw) }); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

func TestNoHardwareClock(t *testing.T) {
	if _, err := OpenPHC("lo", FitOptions{}); !errors.Is(err, ErrNoPHC) || !strings.Contains(err.Error(), "clock: lo: ") {
		t.Errorf("lo: %v, want that it has none", err)
	}
	if _, err := OpenPHC("tickwire-none", FitOptions{}); err == nil || errors.Is(err, ErrNoPHC) {
		t.Errorf("an interface that is not there: %v", err)
	}
	if _, err := OpenPHC("a-name-longer-than-any", FitOptions{}); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("a name that is too long: %v", err)
	}
	if StampsAll("lo") || StampsAll("tickwire-none") {
		t.Error("lo is said to stamp in hardware")
	}
	if changed, err := StampAll("lo"); err == nil || changed || !strings.Contains(err.Error(), "clock: lo: ") {
		t.Errorf("stamping on lo: changed %v, %v", changed, err)
	}
}

// On a machine with a PTP hardware clock: interfaces that have one give a conversion near the system's clock.
func TestHardwareClock(t *testing.T) {
	names, err := os.ReadDir("/sys/class/net")
	if err != nil {
		t.Skipf("no PTP hardware clock to be found: %v", err)
	}
	for _, n := range names {
		p, err := OpenPHC(n.Name(), FitOptions{})
		if errors.Is(err, ErrNoPHC) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, os.ErrPermission) {
			continue
		}
		if err != nil {
			t.Error(err)
			continue
		}
		defer p.Close()
		s, err := p.sample()
		if err != nil {
			t.Fatal(err)
		}
		utc, ok := p.Convert(s.PHC)
		t.Logf("%s: %s; %d ns from the system's clock", n.Name(), p.Source(), int64(utc-s.Host))
		if !ok || abs(int64(utc-s.Host)) > 10_000_000 {
			t.Errorf("%s: trusted %v, %d ns from the system's clock", n.Name(), ok, int64(utc-s.Host))
		}
		return
	}
	t.Skip("no interface here has a PTP hardware clock")
}

// FuzzFit feeds a Fit anything: it must neither panic nor convert what is further than Life from the last sample.
func FuzzFit(f *testing.F) {
	f.Add(uint64(5e18), uint64(1_700_000_000e9), uint64(500), uint64(250e6), int8(37), uint64(5e18))
	f.Add(uint64(0), uint64(0), uint64(0), uint64(0), int8(0), uint64(0))
	f.Add(^uint64(0), ^uint64(0), ^uint64(0), uint64(1)<<63, int8(-128), uint64(1))
	f.Fuzz(func(t *testing.T, phc, host, window, step uint64, tai int8, hw uint64) {
		fit := NewFit(FitOptions{})
		var last PHCSample
		for i := range uint64(24) {
			last = PHCSample{PHC: phc + i*step, Host: host + i*step, Window: window}
			fit.Add(last, int(tai))
		}
		if _, ok := fit.Convert(hw); ok && min(hw-last.PHC, last.PHC-hw) > 2_000_000_000 && fit.Counters().Outliers == 0 {
			t.Errorf("a stamp %d ns from the last sample was converted", min(hw-last.PHC, last.PHC-hw))
		}
		_ = fit.Describe()
	})
}
