package jitter

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/internal/pin"
	"github.com/tickwire/tickwire/tuning"
)

// asThief makes the test binary be one: "core burn period", both in ms.
const asThief = "JITTER_TEST_THIEF"

func TestMain(m *testing.M) {
	if how := os.Getenv(asThief); how != "" {
		os.Exit(thief(how))
	}
	os.Exit(m.Run())
}

// thief takes a core for burn out of each period, before everybody else, and prints when: ns of CLOCK_TAI.
func thief(how string) int {
	var core, burn, period int
	if _, err := fmt.Sscan(how, &core, &burn, &period); err != nil {
		fmt.Println(err)
		return 1
	}
	runtime.LockOSThread()
	if err := errors.Join(pin.Thread(core), pin.Class(pin.FIFO, 50)); err != nil {
		fmt.Println("cannot:", err)
		return 1
	}
	tai := func() int64 {
		var ts unix.Timespec
		_ = unix.ClockGettime(unix.CLOCK_TAI, &ts)
		return ts.Nano()
	}
	fmt.Println("ready")
	for {
		from := tai()
		for tai()-from < int64(burn)*1e6 {
		}
		if _, err := fmt.Println(from, tai()); err != nil {
			return 0
		}
		time.Sleep(time.Duration(from + int64(period)*1e6 - tai()))
	}
}

// span is a time that a thief had, ns of CLOCK_TAI.
type span struct{ from, to int64 }

// startThief starts one, and returns what ends it and tells what it took. It skips where it may not be.
func startThief(t *testing.T, core, burnMs, periodMs int) (end func() []span) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d %d", asThief, core, burnMs, periodMs))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "ready" {
		text := lines.Text()
		_ = cmd.Wait()
		t.Skipf("no thread of class FIFO here: %s", text)
	}
	done := make(chan []span)
	go func() {
		var taken []span
		for lines.Scan() {
			var s span
			if _, err := fmt.Sscan(lines.Text(), &s.from, &s.to); err == nil {
				taken = append(taken, s)
			}
		}
		done <- taken
	}()
	var taken []span
	ended := false
	end = func() []span {
		if !ended {
			ended = true
			_ = cmd.Process.Kill()
			taken = <-done
			_ = cmd.Wait()
		}
		return taken
	}
	t.Cleanup(func() { end() })
	return end
}

// core is one that this process may use, the last: the first serves interrupts.
func core(t *testing.T) int {
	t.Helper()
	if !readable {
		t.Skip("no cycle counter is known on this architecture: amd64 and arm64 have one")
	}
	all := allowed(os.Getpid())
	return all[len(all)-1]
}

func measure(t *testing.T, o Options) *Report {
	t.Helper()
	o.Shared = true // others run tests beside this one
	r, err := Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestSeesAThief lets somebody take a core for 12 ms of every 60 in a way that can be proved, and wants each of these times to be a gap, at
// its time, of its length, with its cause. oslat and cyclictest must see the same thief, where they are.
func TestSeesAThief(t *testing.T) {
	c := core(t)
	end := startThief(t, c, 12, 60)
	r := measure(t, Options{Hot: tuning.CPUs{c}, For: 1500 * time.Millisecond, Warmup: 100 * time.Millisecond})
	t.Run("oslat", func(t *testing.T) { peerSees(t, oslat(c)) })
	t.Run("cyclictest", func(t *testing.T) { peerSees(t, cyclictest(c)) })
	taken := end()
	for _, res := range r.Results {
		times, gaps := cover(t, &res, taken)
		a := res.Attribution
		if times < 3 || gaps == 0 || res.Over1ms < uint64(gaps) || res.MaxNs < 11.5e6 || a.Involuntary < int64(gaps) || a.WaitedNs != nil && *a.WaitedNs < uint64(times)*11_500_000 {
			t.Errorf("%s: %d times taken; %d gaps above 1 ms, worst %s, %d switches, waited %v", res.Mode, times, res.Over1ms, Time(res.MaxNs), a.Involuntary, a.WaitedNs)
		}
		if s := a.Spikes[CauseSwitch]; s.N < gaps || s.SumNs < float64(times)*11.5e6 {
			t.Errorf("%s: %+v", res.Mode, s)
		}
		// A fifth of the time is taken: whoever arrives at random waits for 6 ms on average if in it.
		if res.StolenPPM < 100_000 || res.DelayP99_9Ns < 10e6 || res.DelayP99_9Ns > res.MaxNs {
			t.Errorf("%s: stolen %.0f ppm, delay p99.9 %s of %s", res.Mode, res.StolenPPM, Time(res.DelayP99_9Ns), Time(res.MaxNs))
		}
		t.Logf("%s: %d times taken, %d gaps above 1 ms, stolen %.0f ppm, %d switches, hints %v", res.Mode, times, res.Over1ms, res.StolenPPM, a.Involuntary, res.Hints)
	}
}

// TestTrace: each gap has one cause, the thief's are switches, and what the kernel did in one is told.
func TestTrace(t *testing.T) {
	c := core(t)
	end := startThief(t, c, 12, 60)
	r, err := Run(context.Background(), Options{Hot: tuning.CPUs{c}, For: 500 * time.Millisecond, Warmup: 50 * time.Millisecond, Modes: []Mode{Host}, Shared: true, Trace: true})
	if errors.Is(err, ErrTrace) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	taken := end()
	res := &r.Results[0]
	n, total := 0, 0.0
	for _, s := range res.Attribution.Gaps {
		n, total = n+s.N, total+s.SumNs
	}
	if uint64(n) != res.N || total < res.StolenNs*0.99 || total > res.StolenNs*1.01+float64(n)*res.FloorNs {
		t.Errorf("%d gaps of %s have causes, of %d of %s", n, Time(total), res.N, Time(res.StolenNs))
	}
	times, gaps := cover(t, res, taken)
	if s := res.Attribution.Gaps[CauseSwitch]; gaps == 0 || s.N < gaps || s.MaxNs < 11.5e6 {
		t.Errorf("%d times taken in %d gaps, %+v", times, gaps, s)
	}
	for _, e := range res.Largest {
		if (e.Cause == CauseSwitch) != slices.Contains(e.Seen, CauseSwitch) {
			t.Errorf("cause %s, seen %v", e.Cause, e.Seen)
		}
	}
	t.Logf("%+v, own %.0f ppm", res.Attribution.Gaps, res.OwnPPM)
}

// cover finds for each time that a thief had during a measurement the gap that it was, which a neighbour of the thief may have made longer: one gap may
// be several such times.
func cover(t *testing.T, res *Result, taken []span) (times, gaps int) {
	t.Helper()
	found := map[uint64]bool{}
	for _, s := range taken {
		if s.from < res.StartTAINs || s.to > res.StartTAINs+int64(res.DurationS*1e9) {
			continue
		}
		times++
		i := slices.IndexFunc(res.Largest, func(e Event) bool {
			return e.Cause == CauseSwitch && min(e.TAINs+int64(e.GapNs), s.to)-max(e.TAINs, s.from) > 11_500_000
		})
		if i >= 0 {
			found[res.Largest[i].Ticks] = true
			continue
		}
		t.Errorf("%s: nobody saw the core taken for %d ns, %d after the start", res.Mode, s.to-s.from, s.from-res.StartTAINs)
		for _, e := range res.Largest {
			if at := e.TAINs - s.from; at > -100e6 && at < 100e6 && e.GapNs > 1e6 {
				t.Logf("a gap %+.3f ms from it: %s of %s", float64(at)/1e6, Time(e.GapNs), e.Cause)
			}
		}
	}
	return times, len(found)
}

// peer is another tool, and where it prints the worst, in µs.
type peer struct {
	name string
	args []string
	max  *regexp.Regexp
}

func oslat(core int) peer {
	return peer{"oslat", []string{"-c", strconv.Itoa(core), "-D", "1s", "-q"}, regexp.MustCompile(`Maximum:\s+(\d+)`)}
}

// cyclictest measures when a timer's thread wakes up: of lower priority than the thief it has to wait for it.
func cyclictest(core int) peer {
	return peer{"cyclictest", []string{"-t1", "-a", strconv.Itoa(core), "-p1", "-i", "1000", "-D", "1", "-q"}, regexp.MustCompile(`Max:\s+(\d+)`)}
}

func peerSees(t *testing.T, p peer) {
	path, err := exec.LookPath(p.name)
	if err != nil {
		t.Skipf("%s is not installed (Debian: rt-tests)", p.name)
	}
	out, err := exec.Command(path, p.args...).CombinedOutput()
	m := p.max.FindSubmatch(out)
	if err != nil || m == nil {
		t.Skipf("%s does not run here: %v\n%s", p.name, err, out)
	}
	most, err := strconv.Atoi(string(m[1]))
	if err != nil || most < 10_000 {
		t.Errorf("%s saw %s µs at most of a thief that takes 12 ms\n%s", p.name, m[1], out)
	}
	t.Logf("%s: worst %d µs", p.name, most)
}

// TestOsnoise: the kernel's own tracer sees noise on the core, where the kernel has it.
func TestOsnoise(t *testing.T) {
	c := core(t)
	path, err := exec.LookPath("rtla")
	if err != nil {
		t.Skip("rtla is not installed (Debian: rtla)")
	}
	tracers, err := os.ReadFile("/sys/kernel/tracing/available_tracers")
	if err != nil || !strings.Contains(string(tracers), "osnoise") {
		t.Skipf("this kernel has no osnoise tracer (CONFIG_OSNOISE_TRACER): %s%v", tracers, err)
	}
	startThief(t, c, 12, 60)
	out, err := exec.Command(path, "osnoise", "hist", "-c", strconv.Itoa(c), "-d", "2s", "-b", "1000", "-E", "100").CombinedOutput()
	m := regexp.MustCompile(`(?m)^max:\s+(\d+)`).FindSubmatch(out)
	if err != nil || m == nil {
		t.Skipf("rtla osnoise does not run here: %v\n%s", err, out)
	}
	if n, _ := strconv.Atoi(string(m[1])); n < 10 { // buckets of 1,000 µs
		t.Errorf("rtla osnoise saw %s ms at most of a thief that takes 12 ms\n%s", m[1], out)
	}
}

// TestRunPutsBack: what is changed about the process is as it was.
func TestRunPutsBack(t *testing.T) {
	c := core(t)
	percent := debug.SetGCPercent(137)
	defer debug.SetGCPercent(percent)
	procs := runtime.GOMAXPROCS(0)
	masks := func() map[int]string {
		m := map[int]string{}
		for _, tid := range threads() {
			m[tid] = allowed(tid).String()
		}
		return m
	}
	before := masks()
	r := measure(t, Options{NAPI: tuning.CPUs{c}, For: 20 * time.Millisecond, Warmup: 20 * time.Millisecond, Modes: []Mode{Host, Runtime, Plain}})
	if len(r.Results) != 3 || r.Results[0].Role != RoleNAPI {
		t.Errorf("%d results", len(r.Results))
	}
	for _, res := range r.Results {
		if res.DurationS < 0.0199 || res.N != res.Histogram.Count() || res.FloorNs < 0 || res.LoopNs <= 0 || res.LoopNs > 1000 || res.ThresholdNs < 50 || r.CounterHz < 1e6 {
			t.Errorf("%s: %.9f s, floor %g ns, turn %g ns, threshold %g ns, %d gaps at %g Hz", res.Mode, res.DurationS, res.FloorNs, res.LoopNs, res.ThresholdNs, res.N, r.CounterHz)
		}
	}
	if n := runtime.GOMAXPROCS(0); n != procs {
		t.Errorf("%d processors, were %d", n, procs)
	}
	if is := debug.SetGCPercent(137); is != 137 {
		t.Errorf("collector at %d", is)
	}
	all := allowed(os.Getpid()).String()
	for tid, mask := range masks() {
		want, known := before[tid]
		if !known {
			want = all
		}
		if mask != want {
			t.Errorf("thread %d may use %s, want %s", tid, mask, want)
		}
	}
}

// TestRefuses: what makes no sense is refused before anything is done, a shared core after the warm-up.
func TestRefuses(t *testing.T) {
	c := core(t)
	for _, o := range []Options{
		{For: -1}, {For: time.Millisecond}, {For: 1000 * time.Hour}, {Warmup: time.Hour}, {Modes: []Mode{"fast"}}, {Modes: []Mode{Host, Host}},
		{ThresholdNs: -1}, {ThresholdNs: 1e10}, {Hot: tuning.CPUs{1}, NAPI: tuning.CPUs{1}}, {Hot: tuning.CPUs{8191}},
	} {
		if _, err := Run(context.Background(), o); !errors.Is(err, ErrOptions) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, Options{Hot: tuning.CPUs{c}, For: time.Hour}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	// In the middle of it: the threads are told, and end.
	ctx, cancel = context.WithCancel(context.Background())
	_, err := Run(ctx, Options{Hot: tuning.CPUs{c}, For: time.Hour, Warmup: leastFor, Shared: true, Modes: []Mode{Host}, Before: func(Mode, tuning.CPUs, time.Duration) {
		time.AfterFunc(300*time.Millisecond, cancel)
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled in the middle: %v", err)
	}
	startThief(t, c, 50, 60)
	if _, err := Run(context.Background(), Options{Hot: tuning.CPUs{c}, For: 20 * time.Millisecond, Warmup: 300 * time.Millisecond}); !errors.Is(err, ErrShared) {
		t.Errorf("a core of which somebody else has five sixths: %v", err)
	}
}
