package meter

import (
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestSpread(t *testing.T) {
	s := Of([]float64{3, 1, 2})
	if s.Median != 2 || s.Min != 1 || s.Max != 3 || !slices.Equal(s.Runs, []float64{3, 1, 2}) {
		t.Errorf("%+v", s)
	}
	if s = s.Add(10); s.Median != 2.5 || s.Max != 10 {
		t.Errorf("%+v", s)
	}
	if got := Of([]float64{12.34, 99, 1234.5}).String(); got != "99 (12.3–1234)" && got != "99 (12.3–1235)" {
		t.Error(got)
	}
	if none := Of(nil); none.Median != 0 || none.Runs == nil || none.String() != "0" {
		t.Errorf("%+v", none)
	}
}

func TestLatency(t *testing.T) {
	var l Latency
	for run := range 3 {
		h := NewHistogram()
		for v := uint64(1); v <= 1000; v++ {
			Record(h, v*uint64(run+1))
		}
		Record(h, 2*Worst)
		l.Add(h)
	}
	if l.All.Count != 3003 || l.P50.Median < 990 || l.P50.Median > 1010 || l.P50.Min > 510 || l.P50.Max < 1490 || l.All.Worst < Worst*99/100 {
		t.Errorf("%+v", l)
	}
	var out strings.Builder
	if err := Table(&out, Row{"one", &l}, Row{"none", &Latency{}}); err != nil || !strings.Contains(out.String(), "one") || strings.Contains(out.String(), "none") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestPin(t *testing.T) {
	if Core(1<<20) != Allowed()[0] || Core(0) != Allowed()[len(Allowed())-1] {
		t.Errorf("cores %d to %d of %v", Core(1<<20), Core(0), Allowed())
	}
	if other := Other(Core(0), 0); Cores() > 1 && other == Core(0) || Cores() == 1 && other != Core(0) || Other(Core(0), 1<<20) == Core(0) && Cores() > 1 {
		t.Errorf("core %d beside %d of %v", other, Core(0), Allowed())
	}
	done := make(chan error)
	go func() {
		err := Pin(Core(0), "other")
		var set unix.CPUSet
		if unix.SchedGetaffinity(0, &set) != nil || set.Count() != 1 || !set.IsSet(Core(0)) {
			t.Error("not pinned")
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	go func() { done <- Pin(1<<20, "") }()
	if err := <-done; err == nil {
		t.Error("a core that is not there was taken")
	}
	go func() { done <- Pin(NoCore, "idle") }()
	if err := <-done; err == nil {
		t.Error("an unknown class was taken")
	}
	if Cores() != len(Allowed()) {
		t.Errorf("%d cores after another thread was pinned, want %d", Cores(), len(Allowed()))
	}
}

// kept keeps allocations from being optimised away.
var kept []byte

// TestWatch: what a thread does shows in its counts, and what cannot be counted says why.
func TestWatch(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	w := NewWatch(0)
	defer w.Close()
	w.Begin()
	kept = make([]byte, 1<<20)
	runtime.GC()
	for range 3 {
		time.Sleep(2 * time.Millisecond)
	}
	// A signal as the runtime sends them.
	if err := unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGURG); err != nil {
		t.Fatal(err)
	}
	m, err := unix.Mmap(-1, 0, 64<<12, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(m); i += 4096 {
		m[i] = 1
	}
	c := w.End()
	_ = unix.Munmap(m)
	if c.Allocs == 0 || c.AllocBytes < 1<<20 || c.GC == 0 || c.Voluntary == 0 || c.Faults < 32 {
		t.Errorf("%+v", c)
	}
	switch {
	case c.Signals != nil && *c.Signals == 0:
		t.Error("the signal was not counted")
	case c.Signals == nil && c.Why == "":
		t.Error("signals were not counted, and nobody says why")
	case c.Signals == nil && os.Getenv("CI") != "":
		t.Errorf("CI can count: %s", c.Why)
	}
	if CPUTime() == 0 {
		t.Error("the thread has not run")
	}
	w.Begin()
	if c := w.End(); c.GC != 0 || c.Allocs > 20 {
		t.Errorf("of nothing: %+v", c)
	}
	if s := c.String(); !strings.Contains(s, "collections") {
		t.Error(s)
	}
}

// TestCountRefuses: a tracepoint or a filter that is not there is an error, not a count of 0.
func TestCountRefuses(t *testing.T) {
	if p, err := Count("no/such_event", 0, ""); err == nil {
		p.Close()
		t.Error("a tracepoint that is not there was counted")
	}
	if p, err := Count("raw_syscalls/sys_enter", 0, "nonsense =="); err == nil {
		p.Close()
		t.Error("a filter that is none was taken")
	}
}
