package measure

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tickwire/tickwire/tuning"
)

// HeatOptions of WatchHeat.
type HeatOptions struct {
	// Cores that are watched. nil: all that are online.
	Cores []int
	// Root is a tree that stands for a machine. The default is "/".
	Root string
}

// HeatResult is what a machine's counters of being disturbed went up by.
type HeatResult struct {
	Where
	Seconds          float64    `json:"seconds"`
	CoreThrottles    *uint64    `json:"core_throttles"`    // of all cores; null: not counted here
	PackageThrottles *uint64    `json:"package_throttles"` // of the core that saw most: those of a package see the same
	SMIs             *uint64    `json:"smis"`              // of the core that saw most: each stops them all; null: not counted here
	StealMs          *float64   `json:"steal_ms"`          // that a hypervisor gave to others, of all cores, in steps of 10
	Cores            []CoreHeat `json:"cores"`
	HottestC         *float64   `json:"hottest_c"` // of all sensors, at the end, °C
	HottestSensor    string     `json:"hottest_sensor,omitempty"`
	Missing          []string   `json:"missing,omitempty"`
}

// CoreHeat is one core's share.
type CoreHeat struct {
	Core             int     `json:"core"`
	CoreThrottles    uint64  `json:"core_throttles"`
	PackageThrottles uint64  `json:"package_throttles"`
	SMIs             uint64  `json:"smis"`
	StealMs          float64 `json:"steal_ms"`
}

// heat is one reading. What is not counted here has its error.
type heat struct {
	at                               time.Time
	throttles, packages, smis, steal map[int]uint64
	throttleErr, smiErr, stealErr    error
}

// HeatWatch is between WatchHeat and End. It holds nothing, and may be dropped.
type HeatWatch struct {
	root  string
	cores []int
	begin heat
}

// WatchHeat reads the counters of throttling, system management interrupts and steal. It costs nothing until End.
func WatchHeat(o HeatOptions) (*HeatWatch, error) {
	if o.Root == "" {
		o.Root = "/"
	}
	w := &HeatWatch{root: o.Root, cores: o.Cores}
	if w.cores == nil {
		text, err := os.ReadFile(filepath.Join(o.Root, "sys/devices/system/cpu/online"))
		if err != nil {
			return nil, err
		}
		if w.cores, err = tuning.ParseCPUs(string(text)); err != nil {
			return nil, err
		}
	}
	w.begin = w.read()
	return w, nil
}

// End reads the counters again. It may be called more than once: each tells from the beginning.
func (w *HeatWatch) End() *HeatResult {
	is, was := w.read(), w.begin
	r := &HeatResult{Cores: []CoreHeat{}, Seconds: is.at.Sub(was.at).Seconds()}
	if h, err := tuning.Open(w.root, nil); err == nil {
		r.Virtual = h.Virt()
	}
	throttle, smi, steal := errors.Join(was.throttleErr, is.throttleErr), errors.Join(was.smiErr, is.smiErr), errors.Join(was.stealErr, is.stealErr)
	var cores, packages, smis uint64
	var stolen float64
	for _, core := range w.cores {
		c := CoreHeat{Core: core, CoreThrottles: since(was.throttles, is.throttles, core), PackageThrottles: since(was.packages, is.packages, core),
			StealMs: float64(since(was.steal, is.steal, core)) * 10}
		if smi == nil { // a counter of 32 bits
			c.SMIs = uint64(uint32(is.smis[core]) - uint32(was.smis[core]))
		}
		cores, stolen = cores+c.CoreThrottles, stolen+c.StealMs
		packages, smis = max(packages, c.PackageThrottles), max(smis, c.SMIs)
		r.Cores = append(r.Cores, c)
	}
	if throttle == nil {
		r.CoreThrottles, r.PackageThrottles = &cores, &packages
	} else {
		r.Missing = append(r.Missing, "throttling: "+first(throttle))
	}
	if smi == nil {
		r.SMIs = &smis
	} else {
		r.Missing = append(r.Missing, "system management interrupts: "+first(smi))
	}
	if steal == nil {
		r.StealMs = &stolen
	} else {
		r.Missing = append(r.Missing, "steal: "+first(steal))
	}
	if c, name, ok := hottest(w.root); ok {
		r.HottestC, r.HottestSensor = &c, name
	} else {
		r.Missing = append(r.Missing, "temperatures: no sensor (hwmon, thermal zones)")
	}
	return r
}

// since is how much a counter went up. A core that was not there at both times, or whose counter began anew, has none.
func since(was, is map[int]uint64, core int) uint64 {
	a, seen := was[core]
	b := is[core]
	if !seen || b < a {
		return 0
	}
	return b - a
}

// first is the first of joined errors: at both ends they are mostly the same.
func first(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

func (w *HeatWatch) read() heat {
	h := heat{at: time.Now(), throttles: map[int]uint64{}, packages: map[int]uint64{}, smis: map[int]uint64{}, steal: map[int]uint64{}}
	info, _ := os.ReadFile(filepath.Join(w.root, "proc/cpuinfo"))
	if !strings.Contains(string(info), "GenuineIntel") {
		h.smiErr = errors.New("not counted on this processor")
	}
	for _, core := range w.cores {
		dir := filepath.Join(w.root, "sys/devices/system/cpu/cpu"+strconv.Itoa(core), "thermal_throttle")
		for name, into := range map[string]map[int]uint64{"core_throttle_count": h.throttles, "package_throttle_count": h.packages} {
			n, err := readCount(filepath.Join(dir, name))
			if err == nil {
				into[core] = n
			} else if name == "core_throttle_count" && h.throttleErr == nil {
				h.throttleErr = plain(err, "thermal_throttle")
			}
		}
		if h.smiErr == nil {
			n, err := msr(w.root, core, msrSMI)
			h.smis[core], h.smiErr = n, plain(err, "/dev/cpu/N/msr (modprobe msr)")
		}
	}
	text, err := os.ReadFile(filepath.Join(w.root, "proc/stat"))
	h.stealErr = err
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 9 || !strings.HasPrefix(f[0], "cpu") || f[0] == "cpu" {
			continue
		}
		core, err1 := strconv.Atoi(f[0][3:])
		n, err2 := strconv.ParseUint(f[8], 10, 64)
		if err1 == nil && err2 == nil {
			h.steal[core] = n
		}
	}
	return h
}

func plain(err error, what string) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("not present: " + what)
	}
	return err
}

func readCount(name string) (uint64, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
}

// hottest is the highest temperature of all sensors, °C.
func hottest(root string) (highest float64, name string, ok bool) {
	for _, pattern := range []string{"sys/class/hwmon/hwmon*/temp*_input", "sys/class/thermal/thermal_zone*/temp"} {
		files, _ := filepath.Glob(filepath.Join(root, pattern))
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				continue // a sensor that refuses: others may not
			}
			n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 32)
			c := float64(n) / 1000
			if err != nil || c < -50 || c > 200 || ok && c <= highest {
				continue // drivers without a sensor tell nonsense
			}
			highest, name, ok = c, sensor(file), true
		}
	}
	return highest, name, ok
}

// sensor names a file of a temperature as its driver does.
func sensor(file string) string {
	dir, base := filepath.Split(file)
	var names []string
	for _, n := range []string{"name", "type", strings.TrimSuffix(base, "_input") + "_label"} {
		if text, err := os.ReadFile(filepath.Join(dir, n)); err == nil {
			names = append(names, strings.TrimSpace(string(text)))
		}
	}
	if len(names) == 0 {
		return filepath.Base(filepath.Dir(file))
	}
	return strings.Join(names, " ")
}
