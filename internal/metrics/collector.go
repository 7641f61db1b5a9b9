// Package metrics shows an instance to Prometheus.
//
//	<ring_dir>/<instance>/*.stats                counters and histograms of each process ──┐
//	<ring_dir>/<instance>/*.ring                 header pages ─────────────────────────────┼─► Collector ─► /metrics
//	<ring_dir>/<instance>/readers/*, /proc       who reads ────────────────────────────────┘   at each scrape
//
// Nothing is kept between scrapes: what is told is what lies in shared memory then, of processes that run, hang, ended or
// died; of one that died the last values. A file that is absent or damaged is a metric, not an error of the scrape. Names are
// made by rule (names.go) and documented in docs/metrics.md.
package metrics

import (
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tickwire/tickwire/internal/buildinfo"
	"github.com/tickwire/tickwire/internal/hist"
	"github.com/tickwire/tickwire/ringbuf"
)

// Options of a Collector.
type Options struct {
	RingDir, Instance string
	// Feeds are those of the configuration: one that never ran is shown as absent.
	Feeds []string
	// AttachedEvery is how often /proc is looked through for readers, at most. The default is 5 s.
	AttachedEvery time.Duration
}

// Collector reads shared memory at each scrape. Safe for concurrent use.
type Collector struct {
	o Options

	mu       sync.Mutex
	attached []ringbuf.Attached
	looked   time.Time
	users    map[uint32]string
}

// NewCollector makes a collector. It opens nothing yet.
func NewCollector(o Options) *Collector {
	if o.AttachedEvery <= 0 {
		o.AttachedEvery = 5 * time.Second
	}
	return &Collector{o: o, users: map[uint32]string{}}
}

// aliveWithin is the age of a heartbeat up to which a process counts as alive: they beat every few milliseconds.
const aliveWithin = time.Second

// States of a process.
const (
	stateRunning = "running"
	stateEnded   = "ended"  // it said so
	stateDied    = "died"   // it left its file and does not beat
	stateAbsent  = "absent" // configured, and there is no file
	stateBad     = "bad"    // there is a file that cannot be read
)

var processStates = []string{stateRunning, stateEnded, stateDied, stateAbsent, stateBad}

var ringStates = []ringbuf.State{
	ringbuf.StateInitialising, ringbuf.StateRunning, ringbuf.StateFeedDown, ringbuf.StateStopped, ringbuf.StateFailed, ringbuf.StateReplaced,
	ringbuf.StateRecovering,
}

// Fixed families. Those of counters are made as they come.
var (
	ringLabels   = []string{"feed", "lane", "kind"}
	readerLabels = []string{"feed", "lane", "kind", "uid", "user", "pid", "name"}

	descUp        = desc("process_up", "1 while the process runs: its counter file has a heartbeat younger than a second.", "process")
	descState     = desc("process_state", "1 for the state that the process is in: running, ended (it said so), died, absent (configured, never started), bad (its counter file cannot be read).", "process", "state")
	descProcBeat  = desc("process_heartbeat_age_seconds", "Age of the process's last heartbeat.", "process")
	descBuild     = desc("build_info", "Version of this tickwire.", "version", "goversion")
	descRecords   = desc("ring_records_total", "Records that the ring's producer has published in this epoch.", ringLabels...)
	descCursor    = desc("ring_cursor", "Number of the newest record.", ringLabels...)
	descCapacity  = desc("ring_capacity_records", "Slots of the ring.", ringLabels...)
	descEpoch     = desc("ring_epoch", "Starts of a producer on this ring's file.", ringLabels...)
	descRingState = desc("ring_state", "1 for the state that the producer says the ring is in.", append(ringLabels[:3:3], "state")...)
	descBeat      = desc("ring_heartbeat_age_seconds", "Age of the producer's last heartbeat.", ringLabels...)
	descNewest    = desc("ring_newest_timestamp_seconds", "Receive time of the newest record, since the Unix epoch; 0: none yet.", ringLabels...)
	descReader    = desc("ring_reader_attached", "1 for each reader of the ring: reports is false for one that was found by its mapping only, whose lag is not known.", append(readerLabels[:7:7], "reports")...)
	descLag       = desc("ring_reader_lag_records", "Records that lie ahead of the reader.", readerLabels...)
	descLost      = desc("ring_reader_lost_records_total", "Records that the reader missed because the ring overtook it, since it opened the ring.", readerLabels...)
	descReadBeat  = desc("ring_reader_heartbeat_age_seconds", "Age of the reader's last heartbeat; one that sleeps does not beat.", readerLabels...)
	descSkipped   = desc("metrics_skipped", "Values of this scrape that could not be told: two of one name and labels, or of another type than their family.")

	fixed = []*prometheus.Desc{
		descUp, descState, descProcBeat, descBuild, descRecords, descCursor, descCapacity, descEpoch, descRingState, descBeat, descNewest,
		descReader, descLag, descLost, descReadBeat, descSkipped,
	}
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prefix+name, help, labels, nil)
}

// Describe sends nothing: which families there are is known when counter files are read.
func (c *Collector) Describe(chan<- *prometheus.Desc) {}

// scrape is one Collect.
type scrape struct {
	out      chan<- prometheus.Metric
	seen     map[string]bool   // family and labels
	families map[string]family // as first told: type and help must not change within a scrape
	skipped  int
}

type family struct {
	kind prometheus.ValueType // 0: histogram
	help string
}

// Collect reads everything.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &scrape{out: out, seen: map[string]bool{}, families: map[string]family{}}
	constant := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	constant(descBuild, 1, buildinfo.Version, runtime.Version())
	c.processes(s)
	c.rings(s)
	constant(descSkipped, float64(s.skipped))
}

// processes tells of every counter file of the instance.
func (c *Collector) processes(s *scrape) {
	paths, _ := filepath.Glob(filepath.Join(c.o.RingDir, c.o.Instance, "*."+ringbuf.ExtStats)) // a pattern that is wrong finds none
	found := map[string]bool{}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), "."+ringbuf.ExtStats)
		found[name] = true
		r, err := ringbuf.OpenStats(path)
		if err != nil {
			s.state(name, stateBad)
			continue
		}
		silence := r.Silence()
		state := stateRunning
		switch {
		case r.Stopped():
			state = stateEnded
		case silence > aliveWithin:
			state = stateDied
		}
		s.state(name, state)
		s.out <- prometheus.MustNewConstMetric(descProcBeat, prometheus.GaugeValue, silence.Seconds(), valid(name))
		s.stats(name, r.Append(nil))
		_ = r.Close()
	}
	for _, name := range c.o.Feeds {
		if !found[name] {
			s.state(name, stateAbsent)
		}
	}
}

func (s *scrape) state(process, state string) {
	is := func(v bool) float64 {
		if v {
			return 1
		}
		return 0
	}
	process = valid(process)
	s.out <- prometheus.MustNewConstMetric(descUp, prometheus.GaugeValue, is(state == stateRunning), process)
	for _, x := range processStates {
		s.out <- prometheus.MustNewConstMetric(descState, prometheus.GaugeValue, is(state == x), process, x)
	}
}

// stats tells the counters and histograms of a process.
func (s *scrape) stats(process string, stats []ringbuf.Stat) {
	lanes := lanesOf(stats)
	hists, rest := hist.Parse(stats)
	for _, x := range rest {
		s.value(toSample(process, lanes, x))
	}
	for i := range hists {
		s.histogram(process, lanes, &hists[i])
	}
}

// value tells one counter or gauge.
func (s *scrape) value(x sample) {
	kind := prometheus.CounterValue
	if x.gauge {
		kind = prometheus.GaugeValue
	}
	if d, values, ok := s.describe(x.family, x.labels, kind, helpOf(x.family, x.pattern)); ok {
		if m, err := prometheus.NewConstMetric(d, kind, x.value, values...); err == nil {
			s.out <- m
			return
		}
	}
	s.skipped++
}

// describe makes the description of a value, when it is the first of its labels and like its family.
func (s *scrape) describe(name string, labels []label, kind prometheus.ValueType, help string) (*prometheus.Desc, []string, bool) {
	f, known := s.families[name]
	if !known {
		f = family{kind, help}
		s.families[name] = f
	}
	var key strings.Builder
	key.WriteString(name)
	names, values := make([]string, len(labels)), make([]string, len(labels))
	for i, l := range labels {
		names[i], values[i] = l.name, valid(l.value)
		key.WriteString("\x00" + l.name + "\x00" + values[i])
	}
	if f.kind != kind || s.seen[key.String()] {
		return nil, nil, false
	}
	s.seen[key.String()] = true
	return prometheus.NewDesc(name, f.help, names, nil), values, true
}

// valid makes a label's value UTF-8: names of files and readers may be anything.
func valid(s string) string { return strings.ToValidUTF8(s, "?") }

// histogram tells one, in seconds: of a lane's stages as lane_latency_seconds{stage}, of others as <what>_<stage>_seconds.
func (s *scrape) histogram(process string, lanes map[string]bool, h *hist.Named) {
	words, labels, pattern := place(process, lanes, h.Prefix+".hist")
	words = words[:len(words)-1] // hist
	pattern = strings.TrimSuffix(pattern, ".hist") + ".hist."
	name := prefix + "lane_latency_seconds"
	if len(words) == 0 || len(words) == 1 && words[0] == "lane" {
		labels = append(labels, label{"stage", h.Stage})
		pattern += "<stage>"
	} else {
		name = prefix + clean(strings.Join(words, "_")+"_"+h.Stage) + "_seconds"
		pattern += h.Stage
	}
	buckets, sum := map[float64]uint64{}, uint64(0)
	for i, n := range h.Counts {
		sum += n
		if b := h.Bounds[i]; b != hist.Inf && half(i, len(h.Counts)) {
			buckets[float64(b)/1e9] = sum
		}
	}
	if d, values, ok := s.describe(name, labels, 0, helpOf(name, pattern)); ok {
		if m, err := prometheus.NewConstHistogram(d, sum, h.Estimate()/1e9, buckets, values...); err == nil {
			s.out <- m
		} else {
			s.skipped++
		}
	} else {
		s.skipped++
	}
	if h.HasSum {
		s.value(sample{family: strings.TrimSuffix(name, "_seconds") + "_backwards_total", labels: labels, pattern: pattern + ".backwards", value: float64(h.Backwards)})
	}
}

// half leaves out every second bound of a fine histogram: two in each power of two are enough for a graph, and each is a
// series.
func half(i, n int) bool { return n != hist.Buckets || i%2 == 0 }

// rings tells of every ring and its readers.
func (c *Collector) rings(s *scrape) {
	entries, err := ringbuf.List(c.o.RingDir, c.o.Instance)
	if err != nil {
		return // the folder cannot be read: the processes' states say so
	}
	for _, e := range entries {
		i, err := ringbuf.Look(e.Path)
		if err != nil {
			s.skipped++
			continue
		}
		labels := []string{valid(e.Feed), valid(e.Lane), e.Kind.String()}
		gauge := func(d *prometheus.Desc, v float64) {
			s.out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
		}
		s.out <- prometheus.MustNewConstMetric(descRecords, prometheus.CounterValue, float64(i.Records()), labels...)
		gauge(descCursor, float64(i.Cursor))
		gauge(descCapacity, float64(i.Slots))
		gauge(descEpoch, float64(i.Epoch))
		gauge(descBeat, i.Beat.Seconds())
		gauge(descNewest, float64(i.CursorTs)/1e9)
		for _, st := range ringStates {
			v := 0.0
			if st == i.State {
				v = 1
			}
			s.out <- prometheus.MustNewConstMetric(descRingState, prometheus.GaugeValue, v, append(labels[:3:3], word(st.String()))...)
		}
	}
	if now := time.Now(); now.Sub(c.looked) >= c.o.AttachedEvery {
		c.attached, c.looked = ringbuf.AttachedTo(c.o.RingDir, entries), now
	}
	for _, a := range c.attached {
		c.reader(s, a)
	}
}

// word is a state as a label's value.
func word(s string) string { return strings.ReplaceAll(s, " ", "_") }

// reader tells of one reader. Two of one process and name cannot be told apart here: the first is told.
func (c *Collector) reader(s *scrape, a ringbuf.Attached) {
	feed, lane, kind := splitRing(a.Ring)
	labels := []string{valid(feed), valid(lane), kind, strconv.FormatUint(uint64(a.UID), 10), c.user(a.UID), strconv.Itoa(a.PID), valid(a.Name)}
	key := "reader\x00" + strings.Join(labels, "\x00")
	if s.seen[key] {
		s.skipped++
		return
	}
	s.seen[key] = true
	s.out <- prometheus.MustNewConstMetric(descReader, prometheus.GaugeValue, 1, append(labels[:7:7], strconv.FormatBool(a.Reports))...)
	if !a.Reports {
		return
	}
	s.out <- prometheus.MustNewConstMetric(descLag, prometheus.GaugeValue, float64(a.Lag), labels...)
	s.out <- prometheus.MustNewConstMetric(descLost, prometheus.CounterValue, float64(a.Lost), labels...)
	s.out <- prometheus.MustNewConstMetric(descReadBeat, prometheus.GaugeValue, a.Silence.Seconds(), labels...)
}

// splitRing takes <feed>.<lane>.<kind> apart; a feed's name may have dots.
func splitRing(ring string) (feed, lane, kind string) {
	rest := ring
	if i := strings.LastIndexByte(rest, '.'); i >= 0 {
		rest, kind = rest[:i], rest[i+1:]
	}
	if i := strings.LastIndexByte(rest, '.'); i >= 0 {
		rest, lane = rest[:i], rest[i+1:]
	}
	return rest, lane, kind
}

// user is a uid's name, the number where it has none.
func (c *Collector) user(uid uint32) string {
	name, ok := c.users[uid]
	if !ok {
		name = strconv.FormatUint(uint64(uid), 10)
		if u, err := user.LookupId(name); err == nil {
			name = valid(u.Username)
		}
		c.users[uid] = name
	}
	return name
}
