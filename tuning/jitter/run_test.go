package jitter

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
		t.Skip("no counter on this architecture")
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
	if uint64(n) != res.N+res.Backward || total < res.StolenNs*0.99 || total > res.StolenNs*1.01+float64(n)*res.FloorNs {
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

// emptyLoop is the same measurement in C, with nothing around it: the smallest and mean difference that is no gap, in ticks, and the share of time in
// gaps, in ppm.
const emptyLoop = `
#define _GNU_SOURCE
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
static inline uint64_t ticks(void) {
#if defined(__x86_64__)
	uint32_t a, d;
	__asm__ volatile("rdtsc" : "=a"(a), "=d"(d));
	return (uint64_t)d << 32 | a;
#else
	uint64_t t;
	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(t));
	return t;
#endif
}
int main(int argc, char **argv) {
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(atoi(argv[1]), &set);
	if (sched_setaffinity(0, sizeof set, &set)) return 1;
	uint64_t limit = strtoull(argv[2], 0, 10), run = strtoull(argv[3], 0, 10);
	uint64_t begin = ticks(), last = begin, end = begin + run, n = 0, loops = 0, gaps = 0, least = -1;
	while (last < end) {
		uint64_t now = ticks(), gap = now - last;
		loops++;
		if (gap > limit) { n++; gaps += gap; }
		if (gap < least) least = gap;
		last = now;
	}
	printf("%llu %f %f\n", (unsigned long long)least, (double)(last - begin - gaps) / (loops - n), 1e6 * gaps / (last - begin));
	return 0;
}
`

// TestOwnNoise: in the same run, our loop beside one in C that does nothing else. Its ordinary turn takes no longer, so that it sees no less; the time in
// which it counts is small; and the thread that measures is not disturbed by anything of ours: it gives nothing away and faults on nothing.
func TestOwnNoise(t *testing.T) {
	c := core(t)
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler")
	}
	dir := t.TempDir()
	source, program := filepath.Join(dir, "loop.c"), filepath.Join(dir, "loop")
	if err := os.WriteFile(source, []byte(emptyLoop), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(cc, "-O2", "-o", program, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// Whoever else runs here disturbs both: of some rounds the best counts.
	ours, theirs := []float64{}, []float64{}
	var noise, peer []float64
	for range 5 {
		r := measure(t, Options{Other: tuning.CPUs{c}, For: 300 * time.Millisecond, Warmup: 50 * time.Millisecond, Modes: []Mode{Host}})
		res := r.Results[0]
		hz := r.CounterHz
		if a := res.Attribution; a.Voluntary != 0 || a.MinorFaults+a.MajorFaults > 2 && !raceEnabled { // the detector's shadow is memory too
			t.Errorf("%d voluntary switches, %d faults: the measurement disturbs itself", a.Voluntary, a.MinorFaults+a.MajorFaults)
		}
		if res.OwnPPM > 20_000 {
			t.Errorf("%.0f ppm of the time went into counting", res.OwnPPM)
		}
		out, err := exec.Command(program, strconv.Itoa(c), strconv.FormatFloat(res.ThresholdNs*hz/1e9, 'f', 0, 64), strconv.FormatFloat(0.3*hz, 'f', 0, 64)).Output()
		if err != nil {
			t.Fatal(err)
		}
		var least, mean, ppm float64
		if _, err := fmt.Sscan(string(out), &least, &mean, &ppm); err != nil {
			t.Fatal(err)
		}
		ours, theirs = append(ours, res.LoopNs), append(theirs, mean*1e9/hz)
		noise, peer = append(noise, res.StolenPPM), append(peer, ppm)
	}
	ratio := slices.Min(ours) / slices.Min(theirs)
	t.Logf("a turn: %.2f ns, in C %.2f ns, ratio %.2f; stolen: %.0f ppm, in C %.0f ppm, ratio %.2f (least of 5)",
		slices.Min(ours), slices.Min(theirs), ratio, slices.Min(noise), slices.Min(peer), slices.Min(noise)/slices.Min(peer))
	if ratio > 1.5 {
		t.Errorf("our loop takes %.2f times as long as one in C", ratio)
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
		if res.DurationS < 0.0199 || res.N != res.Histogram.Count() || res.FloorNs <= 0 || res.LoopNs <= 0 || res.LoopNs > 1000 || res.ThresholdNs < 99 || r.CounterHz < 1e6 {
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

// TestVerdict: what a core may do depends on what it is for, and a virtual machine never qualifies.
func TestVerdict(t *testing.T) {
	one := uint64(1)
	ms := 10.0
	good := Result{Role: RoleHot, Mode: Host, DurationS: 600, MaxNs: 15_000, Over10us: 3, StolenPPM: 20, DelayP99_99Ns: 400, ThresholdNs: 100}
	for _, tc := range []struct {
		name    string
		change  func(*Result)
		virtual bool
		want    tuning.Status
		reasons int
	}{
		{"good", func(*Result) {}, false, tuning.Pass, 0},
		{"good, virtual", func(*Result) {}, true, tuning.Note, 0},
		{"max", func(r *Result) { r.MaxNs = 20_000 }, false, tuning.Fail, 1},
		{"max, virtual", func(r *Result) { r.MaxNs = 20_000 }, true, tuning.Note, 1},
		{"max of NAPI", func(r *Result) { r.Role, r.MaxNs = RoleNAPI, 49_000 }, false, tuning.Pass, 0},
		{"too much of NAPI", func(r *Result) { r.Role, r.MaxNs = RoleNAPI, 50_000 }, false, tuning.Fail, 1},
		{"all", func(r *Result) {
			r.MaxNs, r.Over10us, r.StolenPPM, r.DelayP99_99Ns = 1e6, 11, 50, 1000
			r.Attribution.Voluntary, r.Attribution.SMI, r.Attribution.StealMs = 1, &one, &ms
		}, false, tuning.Fail, 7},
		{"housekeeping", func(r *Result) { r.Role, r.MaxNs = RoleOther, 1e9 }, false, tuning.Note, 0},
		{"plain", func(r *Result) { r.Mode, r.MaxNs = Plain, 1e9 }, false, tuning.Note, 0},
	} {
		r := good
		tc.change(&r)
		rep := &Report{Virtual: tc.virtual}
		r.judge(rep)
		rep.Results = []Result{r}
		if r.Verdict.Status != tc.want || len(r.Verdict.Reasons) != tc.reasons || rep.Failed() != (tc.want == tuning.Fail) || r.Verdict.Virtual != (tc.virtual && r.Role != RoleOther) {
			t.Errorf("%s: %+v", tc.name, r.Verdict)
		}
	}
}

// TestReport: what is written is read again, shown, drawn and compared.
func TestReport(t *testing.T) {
	c := core(t)
	r := measure(t, Options{Hot: tuning.CPUs{c}, For: 50 * time.Millisecond, Warmup: 20 * time.Millisecond, Modes: []Mode{Host}})
	var text bytes.Buffer
	if err := r.JSON(&text); err != nil {
		t.Fatal(err)
	}
	again, err := Read(bytes.NewReader(text.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	var twice bytes.Buffer
	if err := again.JSON(&twice); err != nil || !bytes.Equal(text.Bytes(), twice.Bytes()) {
		t.Errorf("%v: read and written again it is another", err)
	}
	var out bytes.Buffer
	if err := again.Text(&out); err != nil || !strings.Contains(out.String(), fmt.Sprintf("core %d, host", c)) {
		t.Errorf("%v\n%s", err, out.String())
	}
	curves := again.Curves()
	if len(curves) != 1 || curves[0].Name != fmt.Sprintf("core %d, host", c) || !slices.IsSorted(curves[0].Shares) || !slices.IsSorted(curves[0].Ns) || curves[0].Ns[140] < r.Results[0].DelayP99_9Ns {
		t.Errorf("%+v", curves)
	}
	many := Report{}
	for cpu := range 20 {
		one := r.Results[0]
		one.CPU, one.Role = cpu, map[bool]Role{true: RoleHot, false: RoleNAPI}[cpu < 10]
		many.Results = append(many.Results, one)
	}
	// Ten cores that are alike have together the delays of one.
	if all := many.Curves(); len(all) != 2 || all[0].Name != "hot cores, host" || all[1].Ns[60] < 0.999*curves[0].Ns[60] || all[1].Ns[60] > 1.001*curves[0].Ns[60] {
		t.Errorf("%d curves", len(all))
	}
	d := Compare(again, again)
	if len(d.Rows) != len(figures) || len(d.OnlyA)+len(d.OnlyB) != 0 {
		t.Errorf("%+v", d)
	}
	for _, row := range d.Rows {
		if row.A != row.B || row.Ratio != nil && *row.Ratio != 1 {
			t.Errorf("%+v", row)
		}
	}
	other := *again
	other.Host.Fingerprint, other.ForS = "another", 1
	other.Results = []Result{{CPU: c, Mode: Runtime, Role: RoleHot, Histogram: new(Histogram)}}
	d = Compare(again, &other)
	out.Reset()
	if err := d.Text(&out); err != nil || len(d.Rows) != 0 || len(d.OnlyA) != 1 || len(d.OnlyB) != 1 || !strings.Contains(out.String(), "two machines") || !strings.Contains(out.String(), "nothing to compare") {
		t.Errorf("%v %+v\n%s", err, d, out.String())
	}
}

// FuzzRead: a report of anybody's is refused or read, and what is read can be shown, compared and drawn.
func FuzzRead(f *testing.F) {
	h := new(Histogram)
	h.Add(1234)
	r := Report{Schema: Schema, Results: []Result{{CPU: 1, Mode: Host, Role: RoleHot, ThresholdNs: 100, DurationS: 1, Histogram: h, Largest: []Event{{GapNs: 1234}},
		Attribution: Attribution{Spikes: map[Cause]Spikes{CauseTick: {1, 2, 3}}}}}}
	text, err := json.Marshal(r)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"schema":"ticktune.jitter/1","notes":["\u001b[2J"],"results":[{"cpu":1,"mode":"host","role":"hot","n_per_s":-1e308,"histogram":[[18446744073709551615,1]]}]}`))
	f.Add([]byte(`{"schema":"ticktune.jitter/1","results":[{"mode":"\u001b[2J"}]}`))
	f.Add([]byte(`{"schema":"ticktune.jitter/2"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Read(bytes.NewReader(text))
		if err != nil {
			if !errors.Is(err, ErrReport) {
				t.Errorf("%v", err)
			}
			return
		}
		var out bytes.Buffer
		if err := errors.Join(r.Text(&out), Compare(r, r).Text(&out)); err != nil {
			t.Error(err)
		}
		if bytes.ContainsRune(out.Bytes(), 0x1b) {
			t.Error("the terminal can be steered")
		}
		r.Curves()
	})
}
