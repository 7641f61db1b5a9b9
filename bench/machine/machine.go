// Package machine says what a figure was measured on. A figure without its machine is of no use on another one: whoever repeats a
// measurement compares these lines first.
//
//	/proc, /sys ──► Look() ──► Machine ──► two lines above every table, "machine" in every --json
//
// What a machine does not say is left empty: nothing is guessed, and Look never fails.
package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Machine is what was measured on. Strings are empty where the kernel does not say.
type Machine struct {
	CPU         string     `json:"cpu"`
	Arch        string     `json:"arch"`
	Cores       int        `json:"cores"`             // that this process may use
	Threads     int        `json:"threads_per_core"`  // 0: not known
	SIMD        string     `json:"simd"`              // of the instruction sets that decoders choose by, those that are there
	L1d         int        `json:"l1d_bytes"`         // of core 0; 0: not known
	L2          int        `json:"l2_bytes"`          //
	L3          int        `json:"l3_bytes"`          // shared
	Memory      uint64     `json:"memory_bytes"`      //
	Virtual     bool       `json:"virtual"`           // under a hypervisor: other guests' work is in the figures
	Product     string     `json:"product"`           // who made the machine, or the virtual one
	Kernel      string     `json:"kernel"`            //
	Go          string     `json:"go"`                //
	Governor    string     `json:"governor"`          // of the cores' clock frequency
	Clocksource string     `json:"clocksource"`       // that the kernel reads the time from
	Huge        string     `json:"huge_pages"`        // transparent ones, for ordinary memory
	HugeShared  string     `json:"huge_pages_shared"` // transparent ones, for shared memory: rings
	HugeTLB     int        `json:"huge_pages_kept"`   // hugetlb pages set aside
	Isolated    string     `json:"isolated_cores"`    // that the scheduler leaves alone
	Tickless    string     `json:"tickless_cores"`    // nohz_full
	Load        [3]float64 `json:"load"`              // average over 1, 5 and 15 minutes, before the measurement
	Tasks       int        `json:"running_tasks"`     // at that moment, this one included
}

// Look reads it all. Not for the hot path: some twenty files.
func Look() Machine { return look("/") }

func look(root string) Machine {
	m := Machine{Arch: runtime.GOARCH, Cores: runtime.NumCPU(), Go: runtime.Version()}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	r := tree(root)
	r.processor(&m)
	const cpu0 = "sys/devices/system/cpu/cpu0/"
	m.L1d, m.L2, m.L3 = r.cache(1), r.cache(2), r.cache(3)
	m.Governor = r.text(cpu0 + "cpufreq/scaling_governor")
	m.Clocksource = r.text("sys/devices/system/clocksource/clocksource0/current_clocksource")
	m.Huge = chosen(r.text("sys/kernel/mm/transparent_hugepage/enabled"))
	m.HugeShared = chosen(r.text("sys/kernel/mm/transparent_hugepage/shmem_enabled"))
	m.HugeTLB, _ = strconv.Atoi(r.text("proc/sys/vm/nr_hugepages"))
	m.Isolated = cores(r.text("sys/devices/system/cpu/isolated"))
	m.Tickless = cores(r.text("sys/devices/system/cpu/nohz_full"))
	m.Product = strings.TrimSpace(r.text("sys/class/dmi/id/sys_vendor") + " " + r.text("sys/class/dmi/id/product_name"))
	if siblings := r.text(cpu0 + "topology/thread_siblings_list"); siblings != "" {
		m.Threads = count(siblings)
	}
	for line := range strings.SplitSeq(r.text("proc/meminfo"), "\n") {
		if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			kib, _ := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			m.Memory = kib << 10
		}
	}
	if f := strings.Fields(r.text("proc/loadavg")); len(f) >= 4 {
		for i := range m.Load {
			m.Load[i], _ = strconv.ParseFloat(f[i], 64)
		}
		running, _, _ := strings.Cut(f[3], "/")
		m.Tasks, _ = strconv.Atoi(running)
	}
	return m
}

// tree is the root of what is read.
type tree string

func (r tree) text(name string) string {
	b, _ := os.ReadFile(filepath.Join(string(r), name)) // what is not there is empty
	return strings.TrimSpace(string(b))
}

// simd are the sets that matter, by the kernel's names.
var simd = []string{"avx2", "bmi2", "avx512f", "avx512bw", "avx512vl", "avx512_vbmi", "asimd", "sve"}

func (r tree) processor(m *Machine) {
	for line := range strings.SplitSeq(r.text("proc/cpuinfo"), "\n") {
		name, value, _ := strings.Cut(line, ":")
		switch value = strings.TrimSpace(value); strings.TrimSpace(name) {
		case "model name":
			m.CPU = value
		case "flags", "Features":
			has := map[string]bool{}
			for f := range strings.FieldsSeq(value) {
				has[f] = true
			}
			m.Virtual = has["hypervisor"]
			var sets []string
			for _, s := range simd {
				if has[s] {
					sets = append(sets, s)
				}
			}
			m.SIMD = strings.Join(sets, " ")
		}
	}
}

// cache is the size of core 0's data cache at a level.
func (r tree) cache(level int) int {
	for i := range 8 {
		dir := fmt.Sprintf("sys/devices/system/cpu/cpu0/cache/index%d/", i)
		if r.text(dir+"level") != strconv.Itoa(level) || r.text(dir+"type") == "Instruction" {
			continue
		}
		size := r.text(dir + "size")
		n, err := strconv.Atoi(strings.TrimRight(size, "KM"))
		switch {
		case err != nil:
		case strings.HasSuffix(size, "K"):
			return n << 10
		case strings.HasSuffix(size, "M"):
			return n << 20
		}
	}
	return 0
}

// chosen is the word in brackets: "always [madvise] never".
func chosen(s string) string {
	_, rest, ok := strings.Cut(s, "[")
	word, _, end := strings.Cut(rest, "]")
	if !ok || !end {
		return ""
	}
	return word
}

// cores is a list of cores; the kernel prints "(null)" for none.
func cores(s string) string {
	if s == "(null)" {
		return ""
	}
	return s
}

// count is how many cores a list such as "0-1,8" has.
func count(list string) (n int) {
	for part := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(part, "-")
		a, err := strconv.Atoi(from)
		b := a
		if isRange && err == nil {
			b, err = strconv.Atoi(to)
		}
		if err != nil || b < a {
			return 0
		}
		n += b - a + 1
	}
	return n
}

// String is two lines for people.
func (m Machine) String() string {
	kind := "bare metal"
	if m.Virtual {
		kind = "a virtual machine"
	}
	or := func(s, none string) string {
		if s == "" {
			return none
		}
		return s
	}
	return fmt.Sprintf("%s, %d cores, %s, caches %s/%s/%s, %s memory; Linux %s, %s/%s; load %.2f\n"+
		"clock %s, governor %s, huge pages %s (shared: %s, kept: %d), isolated cores %s",
		or(m.CPU, "unknown processor"), m.Cores, kind, Bytes(uint64(m.L1d)), Bytes(uint64(m.L2)), Bytes(uint64(m.L3)), Bytes(m.Memory), m.Kernel, m.Go, m.Arch, m.Load[0],
		or(m.Clocksource, "unknown"), or(m.Governor, "not told"), or(m.Huge, "unknown"), or(m.HugeShared, "unknown"), m.HugeTLB, or(m.Isolated, "none"))
}

// Bytes is a size for people: "32 KiB"; "?" for 0.
func Bytes(n uint64) string {
	switch {
	case n == 0:
		return "?"
	case n < 1<<20:
		return fmt.Sprintf("%d KiB", n>>10)
	case n < 1<<30:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%.3g GiB", float64(n)/(1<<30))
}
