package latbench

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/tickwire/tickwire/ringbuf"
)

const roleEnv = "TICKWIRE_LATBENCH_CHILD"

// TestMain: with the role set this binary is the other process.
func TestMain(m *testing.M) {
	if os.Getenv(roleEnv) != "" {
		if err := Child(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func ourselves() (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := exec.Command(self)
	c.Env = append(Quieted(os.Environ()), roleEnv+"=1")
	return c, nil
}

// tiny is a measurement that takes half a second.
func tiny() Options {
	return Options{
		Child: ourselves, Rates: []int{20_000}, Runs: 2, Span: 200 * time.Millisecond, Round: 20 * time.Millisecond, Burst: time.Millisecond, Factor: 5,
		Warm: 5000, Symbols: 100,
	}
}

// TestRun: every message is accounted for in one part of its round, the due time is what it counts from, and the JSON has what scripts read.
func TestRun(t *testing.T) {
	for _, kind := range []ringbuf.Kind{ringbuf.KindMbo, ringbuf.KindMbp1} {
		o := tiny()
		o.Ring = kind
		r, err := Run(o)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Faults) != 0 {
			t.Error(r.Faults)
		}
		got := &r.Rates[0]
		all := got.Steady.All.Count + got.Burst.All.Count + got.Behind.All.Count
		// 20,000/s over 180 ms that count, and four times as many again in each of nine bursts of 1 ms; twice.
		const want = 2 * (3600 + 9*80)
		if kind == ringbuf.KindMbo && (all < want*9/10 || all > want) || kind == ringbuf.KindMbp1 && (all < want/100 || all > want) {
			t.Errorf("ring %s: %d messages counted, want about %d: %+v", kind, all, want, got)
		}
		if got.Lost != 0 || got.Burst.All.Count == 0 || got.Behind.All.Count == 0 || len(got.Steady.P50.Runs) != 2 {
			t.Errorf("ring %s: %+v", kind, got)
		}
		if q := got.Steady.All; q.P50 < 50 || q.P50 > q.P99 || q.P99 > q.Worst || q.P50 > int64(time.Second) {
			t.Errorf("ring %s: %+v: the clocks of the two processes do not agree, or nobody decoded", kind, q)
		}
		if got.LaneJitter.All.Count == 0 || got.ReaderJitter.All.Count == 0 || got.Stages.Pass.P50 == 0 || len(got.CoreToCore.Runs) != 2 {
			t.Errorf("%+v", got)
		}
		if got.Lane.GC != 0 {
			t.Errorf("the collector ran: %v", got.Lane)
		}
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"machine", "rates", "steady", "burst", "behind_burst", "jitter_of_lane_core", "jitter_of_reader_core", "p50_ns", "p90_ns", "p99_ns", "p999_ns", "p9999_ns", "worst_ns", "gc", "preemption_signals", "voluntary_switches"} {
			if !strings.Contains(string(b), `"`+key+`":`) {
				t.Errorf("%s is not in the JSON", key)
			}
		}
		var svg strings.Builder
		if err := r.Plot(0).Write(&svg); err != nil || strings.Count(svg.String(), "<polyline") != 5 {
			t.Errorf("%v: %d lines", err, strings.Count(svg.String(), "<polyline"))
		}
	}
}

// TestLateIsNotForgiven: what waits for a lane that cannot keep up counts from when it was due.
func TestLateIsNotForgiven(t *testing.T) {
	o := tiny()
	o.Rates, o.Runs, o.Factor = []int{30_000_000}, 1, 1
	o.Span, o.Warm = 20*time.Millisecond, 2000
	o.Round = 2 * time.Millisecond
	r, err := Run(o)
	if err != nil {
		t.Fatal(err)
	}
	// 600,000 messages in 20 ms, which take any lane longer: what is forgiven would show a microsecond, since a lane is never idle then.
	if got := &r.Rates[0]; got.Steady.All.P50 < int64(time.Millisecond) || got.Late == 0 {
		t.Errorf("p50 %d ns, %d taken late", got.Steady.All.P50, got.Late)
	}
}

func TestSchedule(t *testing.T) {
	o := Options{Round: 10 * time.Millisecond, Burst: time.Millisecond, Factor: 4}
	s := schedule(100_000, &o)
	var n [parts]int
	last := uint64(0)
	for c := (clockwork{s: &s}); last < 10_000_000; {
		at := c.next()
		if at < last {
			t.Fatalf("%d after %d", at, last)
		}
		if last = at; at < 10_000_000 {
			n[s.part(at)]++
		}
	}
	// 10 ms: 1 ms at 400,000/s, 1 ms behind it and 8 ms at 100,000/s.
	for i, want := range [parts]int{800, 400, 100} {
		if n[i] < want-2 || n[i] > want+2 {
			t.Errorf("part %d has %d, want %d", i, n[i], want)
		}
	}
	if got := s.packets(20 * time.Millisecond); got < 2594 || got > 2606 {
		t.Errorf("%d packets in two rounds", got)
	}
	o.Factor = 1
	if s := schedule(1e6, &o); s.part(5_000_001) != Steady || s.packets(time.Millisecond) != 1000 {
		t.Errorf("without bursts: %+v", s)
	}
}

func TestRefuses(t *testing.T) {
	for name, bend := range map[string]func(*Options){
		"no child":  func(o *Options) { o.Child = nil },
		"ring":      func(o *Options) { o.Ring = ringbuf.KindExt },
		"rate":      func(o *Options) { o.Rates = []int{1} },
		"burst":     func(o *Options) { o.Burst = o.Round },
		"packet":    func(o *Options) { o.PerPacket = 21 },
		"round":     func(o *Options) { o.Round = time.Hour },
		"bad core":  func(o *Options) { o.LaneCore, o.ReaderCore = 1000, 1000 },
		"bad child": func(o *Options) { o.Child = func() (*exec.Cmd, error) { return exec.Command("/bin/false"), nil } },
		"no start":  func(o *Options) { o.Child = func() (*exec.Cmd, error) { return nil, errors.New("none") } },
	} {
		o := tiny()
		bend(&o)
		if _, err := Run(o); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestQuieted(t *testing.T) {
	t.Setenv("GODEBUG", "madvdontneed=1")
	if PreemptOff() {
		t.Error("said to be off")
	}
	env := Quieted([]string{"A=1", "GODEBUG=madvdontneed=1"})
	if len(env) != 2 || env[1] != "GODEBUG=madvdontneed=1,asyncpreemptoff=1" {
		t.Error(env)
	}
	t.Setenv("GODEBUG", "madvdontneed=1,asyncpreemptoff=1")
	if !PreemptOff() {
		t.Error("said to be on")
	}
}
