package process

import (
	"bytes"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/ringbuf"
)

// policy starts the policy of a feed with n lanes, and undoes it.
func policy(t *testing.T, f *config.Feed, n int) (p *runtimePolicy, log *bytes.Buffer, path string) {
	t.Helper()
	f.Name = "f"
	f.Lane = make([]config.Lane, n)
	if f.Runtime.Release == 0 {
		f.Runtime.Release = config.Duration(20 * time.Millisecond)
	}
	path = filepath.Join(t.TempDir(), "f.stats")
	stats, err := ringbuf.CreateStats(path, 0, ringbuf.SideOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stats.Close() })
	log = new(bytes.Buffer)
	p, err = startRuntime(f, stats, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	return p, log, path
}

// A feed that sleeps leaves the runtime as it is.
func TestRuntimeOfALaneThatBlocks(t *testing.T) {
	was, percent := runtime.GOMAXPROCS(0), gcPercent()
	p, log, _ := policy(t, &config.Feed{Source: "udp", Idle: "block", Runtime: config.Runtime{LockMemory: "auto", GC: "on"}}, 2)
	if runtime.GOMAXPROCS(0) != was || gcPercent() != percent || p.window(0) != nil || p.counters.LiveCollector != 1 || p.counters.LiveMemoryLocked != 0 {
		t.Errorf("%d processors, collector at %d, window %v, %+v", runtime.GOMAXPROCS(0), gcPercent(), p.window(0), p.counters)
	}
	if strings.Contains(log.String(), "asyncpreemptoff") {
		t.Errorf("told:\n%s", log)
	}
	if convert := p.stamps("lo"); convert != nil || strings.Contains(log.String(), "the NIC's") {
		t.Errorf("a converter for lo, or a warning:\n%s", log)
	}
	if convert := p.stamps("tickwire-none"); convert != nil || !strings.Contains(log.String(), "tickwire-none") {
		t.Errorf("no word of an interface that is not there:\n%s", log)
	}
	if s := p.sources(); len(s) != 1 || s[0] != p.clock.Source() {
		t.Errorf("time comes from %q", s)
	}
	if now, system := p.now()(), uint64(time.Now().UnixNano()); now > system+1e9 || now < system-1e9 {
		t.Errorf("the clock says %d at %d", now, system)
	}
}

func gcPercent() int {
	percent := debug.SetGCPercent(100)
	debug.SetGCPercent(percent)
	return percent
}

// A feed that spins: processors for all, collector off with a fuse, windows; and all of it put back.
func TestRuntimeOfLanesThatSpin(t *testing.T) {
	was, percent, limit := runtime.GOMAXPROCS(0), gcPercent(), debug.SetMemoryLimit(-1)
	t.Setenv("GODEBUG", "madvdontneed=1,asyncpreemptoff=1")
	p, log, _ := policy(t, &config.Feed{Source: "udp", Idle: "spin", Runtime: config.Runtime{LockMemory: "auto", GC: "off"}}, 2)
	if n := runtime.GOMAXPROCS(0); n != 2+besides {
		t.Errorf("%d processors, want %d", n, 2+besides)
	}
	if gcPercent() != -1 || debug.SetMemoryLimit(-1) == math.MaxInt64 {
		t.Errorf("collector at %d, limit %d", gcPercent(), debug.SetMemoryLimit(-1))
	}
	if p.window(0) == nil || p.window(1) == nil || p.window(0) == p.window(1) {
		t.Error("no window of its own for each lane")
	}
	if p.counters.LiveCollector != 0 || p.counters.LivePinnedLanes != 2 || p.counters.LivePreemptedOff != 1 {
		t.Errorf("%+v", p.counters)
	}
	if strings.Contains(log.String(), "asyncpreemptoff") {
		t.Errorf("told though it is set:\n%s", log)
	}
	if locked := mayLock(); locked != (p.counters.LiveMemoryLocked == 1) {
		t.Errorf("may lock memory: %v, locked: %d", locked, p.counters.LiveMemoryLocked)
	}
	p.stop()
	if runtime.GOMAXPROCS(0) != was || gcPercent() != percent || debug.SetMemoryLimit(-1) != limit {
		t.Errorf("afterwards %d processors, collector at %d, limit %d; want %d, %d, %d",
			runtime.GOMAXPROCS(0), gcPercent(), debug.SetMemoryLimit(-1), was, percent, limit)
	}
}

func TestPreemptionSignalsAreToldOf(t *testing.T) {
	t.Setenv("GODEBUG", "")
	_, log, _ := policy(t, &config.Feed{Source: "udp", Idle: "busy-poll", Runtime: config.Runtime{LockMemory: "off", GC: "on"}}, 1)
	if !strings.Contains(log.String(), "GODEBUG=asyncpreemptoff=1") {
		t.Errorf("told:\n%s", log)
	}
}

// lock_memory = on locks, or says what it takes; it is undone.
func TestMemoryIsLocked(t *testing.T) {
	if !mayLock() {
		t.Skip("memory may not be locked here without bound")
	}
	before := locked(t)
	p, _, _ := policy(t, &config.Feed{Source: "udp", Idle: "block", Runtime: config.Runtime{LockMemory: "on", GC: "on"}}, 1)
	during := locked(t)
	p.stop()
	if after := locked(t); during <= before || after >= during || p.counters.LiveMemoryLocked != 1 {
		t.Errorf("%d kB locked, then %d, then %d", before, during, after)
	}
}

// locked is VmLck of this process, kB.
func locked(t *testing.T) (kB int) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if value, ok := strings.CutPrefix(line, "VmLck:"); ok {
			for _, r := range value {
				if r >= '0' && r <= '9' {
					kB = kB*10 + int(r-'0')
				}
			}
		}
	}
	return kB
}

// Garbage is collected on purpose, beside lanes that keep their P for ever unless they are asked for it.
func TestCollectionOnPurpose(t *testing.T) {
	f := &config.Feed{Source: "udp", Idle: "spin", Runtime: config.Runtime{LockMemory: "off", GC: "off", Release: config.Duration(time.Minute)}}
	p, _, path := policy(t, f, 2)
	if p.window(0) == nil {
		t.Fatal("no windows")
	}
	var stop atomic.Bool
	var lanes, keeping sync.WaitGroup
	for i := range p.windows {
		lanes.Go(func() {
			runtime.LockOSThread()
			now, w := p.now(), p.window(i)
			w.Enter(now())
			defer w.Leave()
			for begin := now(); !stop.Load() && now() < begin+uint64(time.Minute); {
				w.Check(now())
			}
		})
	}
	done := make(chan struct{})
	keeping.Go(func() { p.keep(done) })
	var heap [][]byte
	r, err := ringbuf.OpenStats(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	value := func(name string) (v uint64) {
		for _, s := range r.Append(nil) {
			if s.Name == name {
				v = s.Value
			}
		}
		return v
	}
	collections := func(n uint64) {
		for deadline := time.Now().Add(20 * time.Second); value("runtime.collections") < n && time.Now().Before(deadline); {
			time.Sleep(10 * time.Millisecond)
		}
	}
	collections(1) // at start
	for range 24 {
		heap = append(heap[:0], make([]byte, 8<<20)) // 192 MiB in all, 8 of it alive
	}
	collections(2)
	close(done)
	keeping.Wait()
	stop.Store(true)
	lanes.Wait()
	runtime.KeepAlive(heap)
	t.Logf("%+v, %+v", p.counters, *p.window(0).Counters())
	if p.counters.Collections < 2 || p.counters.MaxCollectionNs == 0 || p.counters.FuseCollections != 0 || p.counters.LiveHeapBytes > 100<<20 {
		t.Errorf("%+v", p.counters)
	}
	for i := range p.windows {
		if c := *p.window(i).Counters(); c.Releases == 0 || c.ForcedReleases != 0 {
			t.Errorf("lane %d: %+v, want windows that were wanted", i, c)
		}
	}
	if value("clock.live_counter") > 1 || value("runtime.live_pinned_lanes") != 2 {
		t.Error("counters are not in the file")
	}
}

func TestThreadOfALane(t *testing.T) {
	none := 1000
	f := &config.Feed{Source: "udp", Idle: "block", Runtime: config.Runtime{LockMemory: "off", GC: "on"}}
	p, _, _ := policy(t, f, 2)
	f.Lane[1].Core = &none
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		var before, after unix.CPUSet
		_ = unix.SchedGetaffinity(0, &before)
		if err := p.thread(0); err != nil {
			t.Error(err)
		}
		if _ = unix.SchedGetaffinity(0, &after); before != after {
			t.Error("a lane without a core was moved")
		}
		if err := p.thread(1); err == nil || !strings.Contains(err.Error(), "core 1000") {
			t.Error(err)
		}
	}()
	<-done
}
