package measure

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/tuning"
)

// two are two cores, or the test is skipped.
func two(t *testing.T) []int {
	t.Helper()
	cores, err := usable(nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(cores) < 2 {
		t.Skip("one core only")
	}
	return cores[:2]
}

// told checks that a result names its units, and goes through JSON and back.
func told[T any](t *testing.T, r *T) {
	t.Helper()
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", text)
	var back T
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	again, _ := json.MarshalIndent(&back, "", " ")
	if string(text) != string(again) {
		t.Errorf("came back as %s", again)
	}
	h, err := tuning.Open("/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if virt := h.Virt(); virt != "" && !strings.Contains(string(text), `"virtual_machine": "`+virt+`"`) {
		t.Error("does not say that this is a virtual machine")
	}
}

func TestCoreToCore(t *testing.T) {
	cores := two(t)
	r, err := CoreToCore(t.Context(), CoreOptions{Cores: cores, PairFor: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	told(t, r)
	for i := range cores {
		for j := range cores {
			median, least := r.MedianNs[i][j], r.MinNs[i][j]
			if i == j {
				if median != 0 || least != 0 {
					t.Errorf("a core with itself takes %g ns", median)
				}
				continue
			}
			// A line that never leaves a core takes about 1 ns; one that did not arrive would show as the scheduler's slices.
			if least < 5 || median < least || least > 1e6 {
				t.Errorf("from %d to %d: median %g, least %g ns", cores[i], cores[j], median, least)
			}
		}
	}
	if r.BestNs <= 0 || r.WorstNs < r.BestNs || r.Slowest == [2]int{} {
		t.Errorf("best %g, worst %g of %v", r.BestNs, r.WorstNs, r.Slowest)
	}
}

func TestCoresThatAreNone(t *testing.T) {
	for name, f := range map[string]func() error{
		"core to core": func() error { _, err := CoreToCore(t.Context(), CoreOptions{Cores: []int{0, 9999}}); return err },
		"one core":     func() error { _, err := CoreToCore(t.Context(), CoreOptions{Cores: []int{0, 0}}); return err },
		"memory":       func() error { _, err := Memory(t.Context(), MemoryOptions{Cores: []int{-1}}); return err },
		"clock":        func() error { _, err := Clock(t.Context(), ClockOptions{Cores: []int{9999}}); return err },
		"frequency":    func() error { _, err := Frequency(t.Context(), FrequencyOptions{Cores: []int{9999}}); return err },
		"no cores":     func() error { _, err := Frequency(t.Context(), FrequencyOptions{Cores: []int{}}); return err },
		"small set":    func() error { _, err := Memory(t.Context(), MemoryOptions{Sizes: []int{64}}); return err },
		"no folder":    func() error { _, err := Disk(t.Context(), DiskOptions{}); return err },
		"lost folder":  func() error { _, err := Disk(t.Context(), DiskOptions{Dir: "/nowhere"}); return err },
		"huge file":    func() error { _, err := Disk(t.Context(), DiskOptions{Dir: "/", Bytes: 1 << 40}); return err },
	} {
		if err := f(); err == nil || !strings.HasPrefix(err.Error(), "measure: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMemory(t *testing.T) {
	r, err := Memory(t.Context(), MemoryOptions{Sizes: []int{16 << 10, 3 << 20, 64 << 20, 1 << 50}, Loads: 50_000, BandwidthBytes: 32 << 20, BandwidthFor: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	told(t, r)
	if len(r.Missing) != 1 || !strings.Contains(r.Missing[0], "a quarter") {
		t.Errorf("of a set of a petabyte it says %q", r.Missing)
	}
	ns := map[int]float64{}
	for _, l := range r.Latency {
		if l.LoadNs.Min <= 0.2 || l.LoadNs.Median < l.LoadNs.Min || l.LoadNs.Max < l.LoadNs.Median {
			t.Errorf("%+v", l)
		}
		if l.Pages == SmallPages {
			if l.HugeShare != 0 {
				t.Errorf("small pages, %g of them huge", l.HugeShare)
			}
			if l.CoreNode == l.MemoryNode {
				ns[l.Bytes] = l.LoadNs.Min
			}
		}
	}
	if !(ns[16<<10] < ns[64<<20]) || ns[2<<20] == 0 {
		t.Errorf("a load of a large set is no slower than one of a small set: %v", ns)
	}
	for _, b := range r.Bandwidth {
		if b.ReadGBPerS < 0.1 || b.WriteGBPerS < 0.1 || b.CopyGBPerS < 0.1 || b.ReadGBPerS > 1e5 {
			t.Errorf("%+v", b)
		}
	}
	if len(r.Bandwidth) == 0 {
		t.Error("no bandwidth")
	}
}

// A chain goes through every line once, or it measures a smaller set than it says.
func TestChaseIsACycle(t *testing.T) {
	for _, size := range []int{4 << 10, 64 << 10, 1 << 20} {
		mem := make([]uint64, size/8)
		if _, err := chase(t.Context(), ptr(mem), size, pieceLoads); err != nil {
			t.Fatal(err)
		}
		seen, at := 0, uint64(0)
		for {
			at = mem[at/8]
			if seen++; at == 0 || seen > size/lineBytes {
				break
			}
		}
		if seen != size/lineBytes {
			t.Errorf("%d bytes: a cycle of %d lines, want %d", size, seen, size/lineBytes)
		}
	}
}

func TestRemoteRatio(t *testing.T) {
	at := func(core, memory, bytes int, ns float64) Latency {
		return Latency{CoreNode: core, MemoryNode: memory, Bytes: bytes, Pages: SmallPages, LoadNs: Stat{Median: ns}}
	}
	all := []Latency{at(0, 0, 64, 100), at(0, 1, 64, 150), at(1, 0, 64, 180), at(1, 1, 64, 90), at(0, 1, 32, 900)}
	if got := remote(all, 64); got != 2 {
		t.Errorf("%g, want 2", got)
	}
	if got := remote(all[:1], 64); got != 0 {
		t.Errorf("one node: %g", got)
	}
}

func TestRoom(t *testing.T) {
	if got := nodeFree("Node 0 MemTotal:       24684084 kB\nNode 0 MemFree:        1000 kB\nNode 0 FilePages:       24 kB\nNode 0 HugePages_Free:     9\nNode 0 MemFree: x kB\n"); got != 1024<<10 {
		t.Errorf("%d", got)
	}
	if got := room(0); got == 0 || got > available() {
		t.Errorf("%d of %d bytes", got, available())
	}
}

func TestHugePages(t *testing.T) {
	r, err := HugePages(t.Context(), HugeOptions{Bytes: 8 << 20, Loads: 50_000})
	if err != nil {
		t.Fatal(err)
	}
	told(t, r)
	for _, g := range r.Grants {
		switch {
		case g.Pages == SmallPages && (!g.Whole() || g.LoadNs == nil || g.OnNodeBytes != nil && g.OnNodeBytes[g.Node] != g.AskedBytes):
			t.Errorf("%+v", g)
		case g.Pages == HugeTLB && (g.Granted < g.AskedBytes) != (g.Why != ""):
			t.Errorf("%+v: less than asked without a reason, or the other way round", g)
		}
	}
	if after := pools("/"); !reflect.DeepEqual(r.Pools, after) {
		t.Errorf("pools were %+v, are %+v", r.Pools, after)
	}
}

// A reserved page is granted, measured and given back. The pool is enlarged for that, and put back.
func TestHugeTLB(t *testing.T) {
	const file = "/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages"
	was, err := os.ReadFile(file)
	if err != nil {
		t.Skip(err)
	}
	n, _ := readCount(file)
	if err := os.WriteFile(file, []byte(itoa(n+4)), 0); err != nil {
		t.Skip("the pool cannot be enlarged: ", err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(file, was, 0); err != nil {
			t.Error(err)
		}
	})
	if got, _ := readCount(file); got < n+4 {
		t.Skip("the kernel grants no huge pages")
	}
	var g *Grant
	r, err := HugePages(t.Context(), HugeOptions{Bytes: 8 << 20, Loads: 50_000})
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.Grants {
		if r.Grants[i].Pages == HugeTLB && r.Grants[i].PageBytes == hugeBytes && r.Grants[i].Node == 0 {
			g = &r.Grants[i]
		}
	}
	if g == nil || !g.Whole() || g.LoadNs == nil || g.LoadNs.Min <= 0 || g.OnNodeBytes[0] != 8<<20 {
		t.Fatalf("%+v", g)
	}
	// More than there are is refused with a reason, not by a signal.
	if r, err = HugePages(t.Context(), HugeOptions{Bytes: 64 << 30, Loads: 50_000}); err != nil {
		t.Fatal(err)
	}
	for _, g := range r.Grants {
		if g.Pages == HugeTLB && (g.Whole() || g.Why == "") {
			t.Errorf("64 GiB of a pool of 8 MiB: %+v", g)
		}
	}
}

// What a pool does not have is an error of populate, where a store would end the process.
func TestPopulateBeyondThePool(t *testing.T) {
	m, err := newMapping(1<<30, HugeTLB, hugeBytes)
	if err == nil {
		defer m.free()
		t.Skip("the pool has 1 GiB")
	}
	free := 0
	for _, p := range pools("/") {
		if p.PageBytes == hugeBytes {
			free += p.Free
		}
	}
	mem, err := unix.Mmap(-1, 0, 1<<30, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE|unix.MAP_HUGETLB|21<<unix.MAP_HUGE_SHIFT)
	if err != nil {
		t.Skip(err)
	}
	defer unix.Munmap(mem)
	m = &mapping{mem: mem, base: ptr(mem), size: 1 << 30, pages: HugeTLB}
	if n, err := m.populate(t.Context(), hugeBytes); err == nil || n > free*hugeBytes {
		t.Errorf("%d bytes of %d pages, %v", n, free, err)
	}
}

func TestDisk(t *testing.T) {
	for _, base := range []string{"", "/dev/shm"} {
		if base != "" {
			if _, err := os.Stat(base); err != nil {
				continue
			}
		}
		dir, err := os.MkdirTemp(base, "measure")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		r, err := Disk(t.Context(), DiskOptions{Dir: dir, Bytes: 8 << 20, Syncs: 20})
		if err != nil {
			t.Fatal(err)
		}
		told(t, r)
		if r.WriteMBPerS <= 0 || r.ReadMBPerS <= 0 || r.WriteMiBUs.Count != 8 || r.SyncUs.Count != 20 || r.SyncUs.P50 > r.SyncUs.P99 || r.SyncUs.P99 > r.SyncUs.Max || r.SyncUs.P50 <= 0 {
			t.Errorf("%+v", r)
		}
		if base == "/dev/shm" && (!r.InMemory || r.Filesystem != "tmpfs" || !strings.Contains(strings.Join(r.Missing, " "), "no disk's")) {
			t.Errorf("tmpfs: %+v", r)
		}
		empty(t, dir)
	}
}

func empty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// Where a filesystem has no files without names, one is made whose name goes at once.
func TestUnlinked(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".measure-"+itoa(uint64(os.Getpid()))+"-0"), nil, 0o600); err != nil { // of a run before
		t.Fatal(err)
	}
	fd, err := unlinked(dir, unix.O_RDWR|unix.O_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := writeAll(fd, []byte("x"), 0); err != nil {
		t.Error(err)
	}
	left, _ := os.ReadDir(dir)
	if len(left) != 1 {
		t.Errorf("%v, want the file of the run before only", left)
	}
	for n := range uint64(101) { // all names are taken
		if err := os.WriteFile(filepath.Join(dir, ".measure-"+itoa(uint64(os.Getpid()))+"-"+itoa(n)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := unlinked(dir, unix.O_RDWR|unix.O_CLOEXEC); !errors.Is(err, unix.EEXIST) {
		t.Error(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 101 {
		t.Errorf("%d files of others are left of 101", len(left))
	}
}

func TestClock(t *testing.T) {
	cores := two(t)
	r, err := Clock(t.Context(), ClockOptions{For: 300 * time.Millisecond, Cores: cores, NICs: []string{"lo"}})
	if err != nil {
		t.Fatal(err)
	}
	told(t, r)
	if r.FrequencyHz < 1e6 || r.FrequencyHz > 1e10 || r.Seconds < 0.25 || r.ReadNs <= 0 {
		t.Errorf("%+v", r)
	}
	if len(r.Skews) != 1 {
		t.Fatalf("skews: %+v", r.Skews)
	}
	if s := r.Skews[0]; s.Core != cores[1] || s.Exchanges < leastPieces*rounds || s.LowNs > s.HighNs && s.Backwards == 0 {
		t.Errorf("%+v", s)
	}
	// Where the kernel trusts the counter it goes alike on all cores, and bounds hold whatever else runs.
	if r.SameSource && (r.Backwards > 0 || r.CertainSkewNs > SkewLimitNs) {
		t.Errorf("the kernel's clock source, and skew %+v", r.Skews[0])
	}
	if len(r.PHCs) != 0 || !strings.Contains(strings.Join(r.Missing, "\n"), "clock of lo") {
		t.Errorf("the loopback's clock: %+v, missing %q", r.PHCs, r.Missing)
	}
}

func TestFrequency(t *testing.T) {
	cores := two(t)
	r, err := Frequency(t.Context(), FrequencyOptions{Cores: cores, For: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	told(t, r)
	for i, c := range r.Cores {
		if c.Core != cores[i] || c.MHz.Min < 100 || c.MHz.Max > 10_000 || c.SpreadPPM < 0 || c.Steady != (c.SpreadPPM <= 10_000) || c.FirstMHz < c.MHz.Min || c.FirstMHz > c.MHz.Max {
			t.Errorf("%+v", c)
		}
	}
}

func TestHeat(t *testing.T) {
	w, err := WatchHeat(HeatOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r := w.End()
	told(t, r)
	if len(r.Cores) == 0 || r.StealMs == nil || (r.SMIs == nil) != strings.Contains(strings.Join(r.Missing, "\n"), "system management") {
		t.Errorf("%+v", r)
	}
}

// A machine that throttles, with a management interrupt and stolen time between the two looks.
func TestHeatOfATree(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		file := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	smi := func(n byte) string {
		return strings.Repeat("\x00", msrSMI) + string([]byte{n, 255, 255, 255, 0, 0, 0, 0})
	}
	write("proc/cpuinfo", "vendor_id : GenuineIntel\n")
	write("sys/devices/system/cpu/online", "0-1\n")
	for _, core := range []string{"0", "1"} {
		write("sys/devices/system/cpu/cpu"+core+"/thermal_throttle/core_throttle_count", "5\n")
		write("sys/devices/system/cpu/cpu"+core+"/thermal_throttle/package_throttle_count", "7\n")
		write("dev/cpu/"+core+"/msr", smi(254))
	}
	write("proc/stat", "cpu  1 1 1 1 1 1 1 3\ncpu0 1 1 1 1 1 1 1 1\ncpu1 1 1 1 1 1 1 1 2\n")
	write("sys/class/hwmon/hwmon0/temp1_input", "71500\n")
	write("sys/class/hwmon/hwmon0/temp2_input", "-273150\n")
	write("sys/class/hwmon/hwmon0/name", "coretemp\n")
	write("sys/class/hwmon/hwmon0/temp1_label", "Package id 0\n")
	w, err := WatchHeat(HeatOptions{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	write("sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count", "9\n")
	write("sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count", "8\n")
	write("sys/devices/system/cpu/cpu1/thermal_throttle/package_throttle_count", "8\n")
	write("dev/cpu/0/msr", strings.Repeat("\x00", msrSMI)+"\x01\x00\x00\x00\x00\x00\x00\x00") // it has gone round
	write("proc/stat", "cpu  1 1 1 1 1 1 1 6\ncpu0 1 1 1 1 1 1 1 1\ncpu1 1 1 1 1 1 1 1 5\n")
	r := w.End()
	if *r.CoreThrottles != 4 || *r.PackageThrottles != 1 || *r.SMIs != 3 || *r.StealMs != 30 || *r.HottestC != 71.5 || r.HottestSensor != "coretemp Package id 0" || len(r.Missing) != 0 {
		t.Errorf("%+v", r)
	}
}

// A context that ends is obeyed within 100 ms, whatever is under way. Threads that wait for a core come on top of it.
func TestCancel(t *testing.T) {
	dir := t.TempDir()
	for name, f := range map[string]func(context.Context) error{
		"core to core": func(ctx context.Context) error {
			_, err := CoreToCore(ctx, CoreOptions{PairFor: time.Hour})
			return err
		},
		"memory": func(ctx context.Context) error { _, err := Memory(ctx, MemoryOptions{Loads: 1 << 40}); return err },
		"bandwidth": func(ctx context.Context) error {
			_, err := Memory(ctx, MemoryOptions{Sizes: []int{4096}, Loads: 1, BandwidthFor: time.Hour})
			return err
		},
		"huge pages": func(ctx context.Context) error { _, err := HugePages(ctx, HugeOptions{Loads: 1 << 40}); return err },
		"disk": func(ctx context.Context) error {
			_, err := Disk(ctx, DiskOptions{Dir: dir, Syncs: 1 << 40, Bytes: mib})
			return err
		},
		"clock": func(ctx context.Context) error { _, err := Clock(ctx, ClockOptions{For: time.Hour}); return err },
		"skew": func(ctx context.Context) error {
			_, err := Clock(ctx, ClockOptions{For: time.Millisecond, PairFor: time.Hour})
			return err
		},
		"frequency": func(ctx context.Context) error {
			_, err := Frequency(ctx, FrequencyOptions{For: time.Hour})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			best := time.Hour
			// A machine that is busy elsewhere is late now and then, or mostly: what is too slow by itself always is.
			for limit := time.Now().Add(time.Minute); time.Now().Before(limit); {
				ctx, cancel := context.WithCancel(t.Context())
				var ended time.Time
				time.AfterFunc(400*time.Millisecond, func() { ended = time.Now(); cancel() })
				err := f(ctx)
				late := time.Since(ended)
				if !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
				if best = min(best, late); best < 100*time.Millisecond {
					break
				}
			}
			if best >= 100*time.Millisecond {
				t.Errorf("returned %v after the end", best)
			}
		})
	}
	empty(t, dir)
}

// The second measure waits for the first, and is not made when its context ends meanwhile.
func TestOneAtATime(t *testing.T) {
	end, err := begin(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := Frequency(ctx, FrequencyOptions{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	end()
	procs := runtime.GOMAXPROCS(0)
	end, err = begin(t.Context(), procs+2)
	if err != nil {
		t.Fatal(err)
	}
	if got := runtime.GOMAXPROCS(0); got != procs+3 {
		t.Errorf("GOMAXPROCS %d, want %d", got, procs+3)
	}
	end()
	if got := runtime.GOMAXPROCS(0); got != procs {
		t.Errorf("GOMAXPROCS %d, was %d", got, procs)
	}
}

// processMask is as of the start of the process.
var processMask = func() (mask unix.CPUSet) { _ = unix.SchedGetaffinity(0, &mask); return mask }()

// Threads that were pinned end with their measure: every thread that is left has the process's mask.
func TestThreads(t *testing.T) {
	cores := two(t)
	if _, err := CoreToCore(t.Context(), CoreOptions{Cores: cores, PairFor: time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	left := "?"
	for deadline := time.Now().Add(20 * time.Second); left != "" && time.Now().Before(deadline); time.Sleep(time.Millisecond) { // a thread takes a moment to end
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Fatal(err)
		}
		left = ""
		for _, task := range tasks {
			tid, _ := strconv.Atoi(task.Name())
			var is unix.CPUSet
			if unix.SchedGetaffinity(tid, &is) == nil && is != processMask {
				left = task.Name()
			}
		}
	}
	if left != "" {
		t.Errorf("thread %s still has a mask of its own", left)
	}
}
