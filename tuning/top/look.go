package top

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tickwire/tickwire/internal/hist"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tuning"
	"github.com/tickwire/tickwire/tuning/jitter"
)

// Options say what is looked at. The zero value is this machine, all its interfaces but lo, and all feeds of the default folder.
type Options struct {
	Root     string       // "/" or a tree that stands for a machine. The default is "/".
	Plan     *tuning.Plan // cores and interfaces that matter: they are shown first. May be nil.
	RingDir  string       // folder of shared memory. The default is /dev/shm/tickwire.
	Instance string       // only this instance of feeds. The default is all.
	Virtual  bool         // in a virtual machine, which Views then say
}

func (o *Options) defaults() {
	if o.Root == "" {
		o.Root = "/"
	}
	if o.RingDir == "" {
		o.RingDir = "/dev/shm/tickwire"
	}
	if o.Plan == nil {
		o.Plan = &tuning.Plan{}
	}
}

// Look is a machine at one moment.
type Look struct {
	at       time.Time
	irqs     *tuning.Interrupts
	softirqs *tuning.Interrupts
	stat     map[int]cpuTimes
	sched    map[int]cpuSched
	softnet  map[int]softnet
	nics     map[string]map[string]uint64
	feeds    map[string]feedLook
	unseen   []string
}

// feedLook is one process that counts, and its rings.
type feedLook struct {
	pid      int
	alive    bool
	ended    bool
	counters map[string]uint64
	gauges   map[string]bool
	slowest  []Latency
	rings    map[string]uint64 // records by name
	threads  map[int]threadLook
}

// maxFile bounds what is read of one file, bytes.
const maxFile = 16 << 20

// aliveWithin is how long ago a process that lives has shown it: as with tickwire status.
const aliveWithin = time.Second

// nicCounters are what is shown of an interface: files of its folder statistics.
var nicCounters = []string{"rx_packets", "rx_bytes", "rx_dropped", "rx_missed_errors", "rx_errors", "rx_fifo_errors", "rx_over_errors", "rx_crc_errors", "rx_nohandler"}

// Take looks. Nothing is fatal: what could not be read is named in the View.
func Take(o Options) *Look {
	o.defaults()
	l := &Look{at: time.Now(), nics: map[string]map[string]uint64{}, feeds: map[string]feedLook{}}
	read := func(name string) (string, error) {
		f, err := os.Open(filepath.Join(o.Root, name))
		if err != nil {
			return "", err
		}
		defer f.Close()
		text, err := io.ReadAll(io.LimitReader(f, maxFile))
		return string(text), err
	}
	missing := func(what string, err error) {
		if err != nil {
			l.unseen = append(l.unseen, what+": "+plain(err))
		}
	}
	text, err := read("/proc/interrupts")
	if err == nil {
		l.irqs, err = tuning.ParseInterrupts(text)
	}
	missing("interrupts", err)
	if text, err = read("/proc/softirqs"); err == nil {
		l.softirqs, err = tuning.ParseInterrupts(text)
	}
	missing("softirqs", err)
	if text, err = read("/proc/stat"); err == nil {
		l.stat, err = parseStat(text)
	}
	missing("times of cores", err)
	if text, err = read("/proc/schedstat"); err == nil {
		l.sched, err = parseSchedstat(text)
	}
	missing("waiting (CONFIG_SCHEDSTATS)", err)
	if text, err = read("/proc/net/softnet_stat"); err == nil {
		l.softnet, err = parseSoftnet(text)
	}
	missing("softnet", err)
	dirs, _ := filepath.Glob(filepath.Join(o.Root, "/sys/class/net/*/statistics"))
	for _, dir := range dirs {
		name := filepath.Base(filepath.Dir(dir))
		if name == "lo" && o.Plan.Interface(name) == nil {
			continue
		}
		n := map[string]uint64{}
		for _, c := range nicCounters {
			text, err := os.ReadFile(filepath.Join(dir, c))
			if err != nil {
				continue // an old kernel, or it is gone
			}
			if v, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil {
				n[c] = v
			}
		}
		l.nics[name] = n
	}
	for _, f := range o.Plan.Interfaces {
		if l.nics[f.Name] == nil {
			l.unseen = append(l.unseen, "interface "+f.Name+": it is not there")
		}
	}
	missing("feeds", l.takeFeeds(&o))
	return l
}

// plain is an error without paths: roots of trees would be in it.
func plain(err error) string {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

// takeFeeds reads counter files and headers of rings.
func (l *Look) takeFeeds(o *Options) error {
	instance := o.Instance
	if instance == "" {
		instance = "*"
	}
	paths, err := filepath.Glob(filepath.Join(o.RingDir, instance, "*."+ringbuf.ExtStats))
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range paths {
		f, err := lookAtFeed(path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if f.alive {
			f.threads = takeThreads(o.Root, f.pid)
		}
		l.feeds[feedName(path)] = f
	}
	entries, err := ringbuf.List(o.RingDir, o.Instance)
	errs = append(errs, err)
	for _, e := range entries {
		info, err := ringbuf.Look(e.Path)
		if err != nil {
			continue // it is being made, or has gone
		}
		ring := strings.TrimSuffix(filepath.Base(e.Path), ".ring")
		process, _, _ := strings.Cut(ring, ".")
		if f, ok := l.feeds[e.Instance+"/"+process]; ok {
			f.rings[ring] = info.Records()
		}
	}
	return errors.Join(errs...)
}

// feedName is instance/process.
func feedName(path string) string {
	return filepath.Base(filepath.Dir(path)) + "/" + strings.TrimSuffix(filepath.Base(path), "."+ringbuf.ExtStats)
}

func lookAtFeed(path string) (f feedLook, err error) {
	r, err := ringbuf.OpenStats(path)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	f = feedLook{pid: r.Pid(), ended: r.Stopped(), counters: map[string]uint64{}, gauges: map[string]bool{}, rings: map[string]uint64{}}
	f.alive = r.Silence() < aliveWithin && !f.ended
	hists, rest := hist.Parse(r.Append(nil))
	for _, s := range rest {
		f.counters[s.Name] = s.Value
		f.gauges[s.Name] = s.Kind == ringbuf.StatGauge
	}
	for i := range hists {
		h := &hists[i]
		if h.Count() > 0 {
			f.slowest = append(f.slowest, Latency{Name: h.Prefix + "." + h.Stage, P50Ns: bound(h.Quantile(0.5)), P99Ns: bound(h.Quantile(0.99)), MaxNs: bound(h.Max())})
		}
	}
	slices.SortFunc(f.slowest, func(a, b Latency) int { return strings.Compare(a.Name, b.Name) })
	return f, nil
}

// maxThreads bounds what is looked at of one process.
const maxThreads = 1000

// takeThreads looks at the threads of a process; none where we may not. Those that end meanwhile are left out.
func takeThreads(root string, pid int) map[int]threadLook {
	threads := map[int]threadLook{}
	dirs, _ := filepath.Glob(filepath.Join(root, "/proc", strconv.Itoa(pid), "task/[0-9]*"))
	for _, dir := range dirs[:min(len(dirs), maxThreads)] {
		tid, err := strconv.Atoi(filepath.Base(dir))
		stat, err1 := os.ReadFile(filepath.Join(dir, "stat"))
		schedstat, _ := os.ReadFile(filepath.Join(dir, "schedstat")) // CONFIG_SCHED_INFO
		status, err2 := os.ReadFile(filepath.Join(dir, "status"))
		if errors.Join(err, err1, err2) != nil {
			continue
		}
		if t, err := parseThread(string(stat), string(schedstat), string(status)); err == nil {
			threads[tid] = t
		}
	}
	return threads
}

// bound is a histogram's bound as JSON has it: -1 beyond the last one.
func bound(ns uint64) int64 {
	if ns == hist.Inf {
		return -1
	}
	return int64(ns)
}

// Latency is a histogram of a feed since its start, ns; each to within a fifth, -1: beyond its range.
type Latency struct {
	Name  string `json:"name"`
	P50Ns int64  `json:"p50_ns"`
	P99Ns int64  `json:"p99_ns"`
	MaxNs int64  `json:"max_ns"`
}

func (l Latency) String() string {
	text := func(ns int64) string {
		if ns < 0 {
			return "more"
		}
		return jitter.Time(float64(ns))
	}
	return fmt.Sprintf("%s p50 %s p99 %s max %s", l.Name, text(l.P50Ns), text(l.P99Ns), text(l.MaxNs))
}
