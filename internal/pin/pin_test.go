package pin

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// patience is how long a test waits for what must come, on a machine however busy.
const patience = 20 * time.Second

// two gives the test two processors of the runtime whatever the machine has: the kernel shares the cores out.
func two(t *testing.T) {
	t.Helper()
	if !linked {
		t.Skip("built with tickwire_noprocpin")
	}
	if runtime.GOMAXPROCS(0) < 4 {
		was := runtime.GOMAXPROCS(4)
		t.Cleanup(func() { runtime.GOMAXPROCS(was) })
	}
	if err := Works(); err != nil {
		t.Fatal(err)
	}
}

func now() uint64 { return uint64(time.Now().UnixNano()) }

// spinner is a goroutine that works pinned until it is stopped.
type spinner struct {
	stop atomic.Bool
	done chan struct{}
}

func spin(t *testing.T, w *Window) *spinner {
	s := &spinner{done: make(chan struct{})}
	ready := make(chan struct{})
	go func() {
		defer close(s.done)
		runtime.LockOSThread()
		w.Enter(now())
		defer w.Leave()
		close(ready)
		for !s.stop.Load() {
			w.Check(now())
		}
	}()
	<-ready
	t.Cleanup(s.end)
	return s
}

func (s *spinner) end() {
	s.stop.Store(true)
	<-s.done
}

// voluntary is how often the calling thread has given its core away. RawSyscall: it is called pinned.
func voluntary() int64 {
	var u unix.Rusage
	const thread = 1 // RUSAGE_THREAD
	if _, _, errno := unix.RawSyscall(unix.SYS_GETRUSAGE, thread, uintptr(unsafe.Pointer(&u)), 0); errno != 0 {
		panic(errno)
	}
	return u.Nvcsw
}

func collect() <-chan struct{} {
	done := make(chan struct{})
	go func() {
		runtime.GC()
		close(done)
	}()
	return done
}

// A collection that nobody announced waits for the quantum and no longer; the counters show it (acceptance 9).
func TestForcedCollectionWaitsForAQuantum(t *testing.T) {
	two(t)
	w := New(Options{Quantum: 30 * time.Millisecond})
	s := spin(t, w)
	begin := time.Now()
	select {
	case <-collect():
	case <-time.After(patience):
		t.Fatalf("a collection did not end in %v beside a window of 30 ms", patience)
	}
	took := time.Since(begin)
	s.end()
	c := *w.Counters()
	t.Logf("collection %v, %+v", took, c)
	if c.ForcedReleases == 0 || c.UsedReleases == 0 || c.Releases != 0 {
		t.Errorf("%+v: want forced windows, one of them used", c)
	}
}

// Without a window a collection waits; with one that is wanted it does not. While the world waits for the pinned goroutine
// nobody else runs, this test neither: so the goroutine itself looks, and raises want.
func TestWantedWindow(t *testing.T) {
	two(t)
	w := New(Options{Quantum: time.Minute})
	var begun, ended, early atomic.Bool
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		runtime.LockOSThread()
		w.Enter(now())
		defer w.Leave()
		for begin := now(); !begun.Load() || now() < begin+50_000_000; {
			if now() > begin+uint64(patience) {
				return
			}
			w.Check(now())
		}
		early.Store(ended.Load())
		w.Want(true)
		for begin := now(); !ended.Load() && now() < begin+uint64(patience); {
			w.Check(now())
		}
		w.Want(false)
		for begin := now(); !w.Pinned() && now() < begin+uint64(patience); {
			w.Check(now())
		}
	}()
	go func() {
		begun.Store(true)
		runtime.GC()
		ended.Store(true)
	}()
	<-finished
	if early.Load() {
		t.Error("a collection ended beside a pinned P")
	}
	if !ended.Load() {
		t.Errorf("a collection did not end in %v though a window was wanted", patience)
	}
	if c := *w.Counters(); c.Releases == 0 || c.UsedReleases == 0 || c.ForcedReleases != 0 || c.OpenNs == 0 {
		t.Errorf("%+v: want wanted windows, used", c)
	}
}

// Between two windows the thread gives its core away never (acceptance 8). The runtime would have it do so ten times.
func TestPinnedThreadIsNotParked(t *testing.T) {
	two(t)
	parked := make(chan int64)
	go func() {
		runtime.LockOSThread()
		w := New(Options{Quantum: time.Minute})
		w.Enter(now())
		before := voluntary()
		for begin := now(); now() < begin+200_000_000; {
			w.Check(now())
		}
		n := voluntary() - before
		w.Leave()
		parked <- n
	}()
	if n := <-parked; n > 0 {
		t.Errorf("%d voluntary context switches while pinned, want none", n)
	}
}

// Going out lets the world stop, and coming in pins again.
func TestOut(t *testing.T) {
	two(t)
	w := New(Options{Quantum: time.Minute})
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	w.Enter(1)
	was := w.Out()
	runtime.GC() // from the owner itself: with the P pinned it throws
	nested := w.Out()
	w.In(nested)
	if !was || nested || w.Pinned() {
		t.Errorf("Out said %v, then %v, pinned %v; want true, false, false", was, nested, w.Pinned())
	}
	w.In(was)
	if !w.Pinned() {
		t.Error("not pinned after In")
	}
	w.Leave()
	w.Leave()
	w.Check(1 << 60)
	if w.Pinned() || w.Counters().Outs != 1 {
		t.Errorf("after Leave: pinned %v, %d times out", w.Pinned(), w.Counters().Outs)
	}
	runtime.GC()
}

// The rules of windows, by a clock of our own.
func TestWindowTimes(t *testing.T) {
	two(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	w := New(Options{Quantum: time.Millisecond})
	w.Enter(0)
	defer w.Leave()
	step := func(at uint64, want bool) {
		t.Helper()
		if w.Check(at); w.Pinned() != want {
			t.Fatalf("at %d ns: pinned %v, want %v", at, w.Pinned(), want)
		}
	}
	step(999_999, true)
	step(1_000_000, false) // the quantum is over
	for at := uint64(1_010_000); at < 1_200_000; at += 10_000 {
		step(at, false)
	}
	step(1_200_000, true) // nobody came
	step(2_199_999, true)
	step(2_200_000, false)
	step(2_300_000, false) // 100 µs passed in one turn: it was used, and stays open
	for at := uint64(2_310_000); at < 3_300_000; at += 10_000 {
		step(at, false)
	}
	step(3_300_000, true)
	w.Want(true)
	w.Want(true)
	step(3_300_001, false)
	w.Want(false)
	step(50_000_000, false)
	w.Want(false)
	step(51_000_000, true)
	want := Counters{Releases: 1, ForcedReleases: 2, UsedReleases: 2, OpenNs: 200_000 + 1_100_000 + 47_699_999, MaxOpenNs: 47_699_999}
	if got := *w.Counters(); got != want {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}

func TestWorks(t *testing.T) {
	if linked {
		two(t)
	} else if err := Works(); err == nil || !strings.Contains(err.Error(), "tickwire_noprocpin") {
		t.Errorf("built without pinning: %v", err)
	}
}

func TestNoWindow(t *testing.T) {
	var w *Window
	w.Enter(1)
	w.Check(2)
	w.In(w.Out())
	w.Leave()
	if w.Pinned() {
		t.Error("a window that is not there is pinned")
	}
}

// What the package comment says of panics and parking, tried in a process of its own: should the runtime learn to forgive
// them, the comment is out of date.
func TestForbiddenKills(t *testing.T) {
	if !linked {
		t.Skip("built with tickwire_noprocpin")
	}
	const variable = "TICKWIRE_PIN_TEST"
	acts := map[string]func(){
		"panic": func() {
			defer func() { _ = recover() }()
			panic("of a guest")
		},
		"park": func() { <-make(chan int) },
	}
	if what := os.Getenv(variable); what != "" {
		runtime.LockOSThread()
		New(Options{}).Enter(0)
		acts[what]()
		os.Exit(0)
	}
	for what, want := range map[string]string{"panic": "panic holding locks", "park": "holding locks"} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestForbiddenKills$")
		cmd.Env = append(os.Environ(), variable+"="+what)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%s while pinned: %v, want a death by %q:\n%.500s", what, err, want, out)
		}
	}
}

func TestThread(t *testing.T) {
	done := make(chan struct{})
	go func() { // the thread ends with the goroutine
		defer close(done)
		runtime.LockOSThread()
		var may, is unix.CPUSet
		if err := unix.SchedGetaffinity(0, &may); err != nil {
			t.Error(err)
			return
		}
		core := 0
		for !may.IsSet(core) {
			core++
		}
		if err := Thread(core); err != nil {
			t.Error(err)
		}
		if err := unix.SchedGetaffinity(0, &is); err != nil || is.Count() != 1 || !is.IsSet(core) {
			t.Errorf("the thread may use %d cores (%v), want core %d alone", is.Count(), err, core)
		}
		for _, none := range []int{-1, 1 << 20} {
			if err := Thread(none); err == nil {
				t.Errorf("core %d was taken", none)
			}
		}
		if err := Thread(1000); err == nil || !strings.Contains(err.Error(), "pin: core 1000") {
			t.Errorf("core 1000: %v", err)
		}
		for _, bad := range []struct {
			class    string
			priority int
		}{{"batch", 1}, {FIFO, 0}, {FIFO, 100}} {
			if err := Class(bad.class, bad.priority); err == nil {
				t.Errorf("class %q, priority %d was taken", bad.class, bad.priority)
			}
		}
		if err := Class(FIFO, 3); err == nil {
			if a, err := unix.SchedGetAttr(0, 0); err != nil || a.Policy != schedFIFO || a.Priority != 3 {
				t.Errorf("class is %+v (%v), want fifo 3", a, err)
			}
		} else if os.Geteuid() == 0 && os.Getenv("CI") != "" || !strings.Contains(err.Error(), "CAP_SYS_NICE") {
			t.Error(err)
		}
		if err := Class(Other, 0); err != nil {
			t.Error(err)
		}
	}()
	<-done
}

// BenchmarkCheck is what a pass pays for the window.
//
//	budget  3 ns, 0 allocs
func BenchmarkCheck(b *testing.B) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	w := New(Options{Quantum: time.Minute})
	w.Enter(0)
	for range b.N { // not b.Loop: it may do what must not be done pinned
		w.Check(1)
	}
	w.Leave()
}

// BenchmarkOut is what it pays for going out and coming in again.
func BenchmarkOut(b *testing.B) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	w := New(Options{Quantum: time.Minute})
	w.Enter(0)
	for range b.N {
		w.In(w.Out())
	}
	w.Leave()
}
