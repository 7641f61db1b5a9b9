package top

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tickwire/tickwire/internal/hist"
	"github.com/tickwire/tickwire/nic/afxdp"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
	"github.com/tickwire/tickwire/tuning"
	"github.com/tickwire/tickwire/tuning/jitter"
)

// tree writes files below a folder, in place of those that are there.
func tree(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// first is a machine of two cores, 0 and 4, and one interface beside lo.
var first = map[string]string{
	"proc/interrupts":                             "           CPU0       CPU4\n  9:          5       100   IO-APIC   9-fasteoi   acpi\n 33:   0   1000   PCI-MSI eth2-rx-0\nLOC:        10        1000   Local timer interrupts\nCAL:  1  2  Function call interrupts\nERR:          0\n",
	"proc/softirqs":                               "                    CPU0       CPU4\n       TIMER:          7          70\n      NET_RX:          1          2\n",
	"proc/stat":                                   "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 100 0 100 800 0 0 0 0 0 0\ncpu4 1000 0 0 0 0 0 0 0 0 0\nintr 5\n",
	"proc/schedstat":                              "version 15\ntimestamp 4294\ncpu0 0 0 0 0 0 0 1000 2000 30\ndomain0 3 0\ncpu4 0 0 0 0 0 0 1000 5000000 40\n",
	"proc/net/softnet_stat":                       "00000010 00000000 00000000 0 0 0 0 0 0 0 0 0 00000000\nfffffff0 00000001 00000002 0 0 0 0 0 0 0 0 0 00000004\n",
	"sys/class/net/lo/statistics/rx_packets":      "5\n",
	"sys/class/net/eth2/statistics/rx_packets":    "1000\n",
	"sys/class/net/eth2/statistics/rx_bytes":      "1000000\n",
	"sys/class/net/eth2/statistics/rx_dropped":    "7\n",
	"sys/class/net/eth2/statistics/rx_crc_errors": "0\n",
}

// at sets when a look was made: rates are exact then.
func at(l *Look, seconds int) *Look {
	l.at = time.Unix(1_000_000+int64(seconds), 0)
	return l
}

// TestView: differences of two looks at a machine two seconds apart, one of whose counters of 32 bits turns over, and whose columns change places as a core goes off line.
func TestView(t *testing.T) {
	dir := t.TempDir()
	tree(t, dir, first)
	tree(t, dir, map[string]string{ // core 2 goes off line before the second look
		"proc/interrupts": "           CPU0  CPU2     CPU4\n  9:          5    7   100   IO-APIC   9-fasteoi   acpi\n 33:   0  8   1000   PCI-MSI eth2-rx-0\nLOC:        10    9    1000   Local timer interrupts\nCAL:  1  3  2  Function call interrupts\nERR:          0\n",
	})
	plan := &tuning.Plan{Hot: tuning.CPUs{4}, Interfaces: []tuning.Interface{{Name: "eth2"}, {Name: "eth9"}}}
	o := Options{Root: dir, Plan: plan, RingDir: filepath.Join(dir, "none"), Virtual: true}
	a := at(Take(o), 0)
	tree(t, dir, map[string]string{
		"proc/interrupts":       "           CPU0       CPU4\n  9:          5       110   IO-APIC   9-fasteoi   acpi\n 33:   0   1400   PCI-MSI eth2-rx-0\nLOC:        11        1500   Local timer interrupts\nCAL:  1  6  Function call interrupts\n",
		"proc/softirqs":         "                    CPU0       CPU4\n       TIMER:          7          90\n      NET_RX:          1          22\n",
		"proc/stat":             "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 110 0 100 890 0 0 0 0 0 0\ncpu4 1090 0 0 0 0 5 3 2 0 0\n",
		"proc/schedstat":        "version 15\ncpu0 0 0 0 0 0 0 1000 2000 30\ncpu4 0 0 0 0 0 0 1000 7000000 60\n",
		"proc/net/softnet_stat": "00000010 00000000 00000000 0 0 0 0 0 0 0 0 0 00000000\n00000010 00000004 00000002 0 0 0 0 0 0 0 0 0 00000004\n",
		"sys/class/net/eth2/statistics/rx_packets": "3000\n",
		"sys/class/net/eth2/statistics/rx_bytes":   "2000000\n",
		"sys/class/net/eth2/statistics/rx_dropped": "9\n",
	})
	v := Between(a, at(Take(o), 2), o, map[int]Measured{4: {StolenPPM: 12, MaxNs: 3400, DelayNs: 100}})
	if len(v.Cores) != 2 || v.Cores[0].CPU != 4 || v.Cores[0].Role != jitter.RoleHot || v.Cores[1].CPU != 0 {
		t.Fatalf("%+v", v.Cores)
	}
	got := v.Cores[0]
	if got.Switches == nil || *got.Switches != 10 || got.WaitedPPM == nil || *got.WaitedPPM != 1000 {
		t.Errorf("switches %v, waited %v", got.Switches, got.WaitedPPM)
	}
	m := got.Measured
	got.Switches, got.WaitedPPM, got.Measured = nil, nil, nil
	want := Core{CPU: 4, Role: jitter.RoleHot, Devices: 205, Timer: 250, Calls: 2, TopIRQ: "33 eth2-rx-0", Softirqs: 20, BusyPercent: 100, IRQPercent: 8, StealPercent: 2, SoftnetPerS: 16, SoftnetDropped: 3}
	if got != want {
		t.Errorf("core 4: %+v\nwant    %+v", got, want)
	}
	if m == nil || m.MaxNs != 3400 || v.Cores[1].Measured != nil {
		t.Errorf("measured %+v", m)
	}
	if c := v.Cores[1]; c.BusyPercent < 9.99 || c.BusyPercent > 10.01 || c.Timer != 0.5 || c.Devices != 0 {
		t.Errorf("core 0: %+v", c)
	}
	if len(v.NICs) != 1 || v.NICs[0].PerS != 1000 || v.NICs[0].MbitS != 4 || !reflect.DeepEqual(v.NICs[0].Lost, map[string]uint64{"rx_dropped": 2}) || !reflect.DeepEqual(v.NICs[0].LostAll, map[string]uint64{"rx_dropped": 9}) {
		t.Errorf("%+v", v.NICs)
	}
	if !slices.ContainsFunc(v.Unseen, func(s string) bool { return strings.Contains(s, "eth9") }) {
		t.Errorf("%q", v.Unseen)
	}
	var out bytes.Buffer
	if err := v.Text(&out); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"virtual machine", "!205", "rx_dropped !2", "rx_dropped 9", "33 eth2-rx-0", "3.4µs", "not seen: interface eth9"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("%q is missing in\n%s", part, out.String())
		}
	}
}

// TestNothingThere: of a machine that tells nothing all is missing, and nothing fails; counters that begin anew are no losses of 2^64.
func TestNothingThere(t *testing.T) {
	dir := t.TempDir()
	o := Options{Root: dir, RingDir: dir}
	v := Between(Take(o), Take(o), o, nil)
	if len(v.Cores)+len(v.NICs)+len(v.Feeds) != 0 || len(v.Unseen) != 5 {
		t.Errorf("%+v", v)
	}
	var out bytes.Buffer
	if err := v.Text(&out); err != nil || strings.Contains(out.String(), dir) {
		t.Errorf("%v: %s", err, out.String())
	}
	tree(t, dir, first)
	a := at(Take(o), 0)
	tree(t, dir, map[string]string{"sys/class/net/eth2/statistics/rx_dropped": "1\n", "sys/class/net/eth2/statistics/rx_packets": "10\n"})
	if v := Between(a, at(Take(o), 1), o, nil); v.NICs[0].PerS != 10 || v.NICs[0].Lost["rx_dropped"] != 1 {
		t.Errorf("%+v", v.NICs)
	}
	if err := os.RemoveAll(filepath.Join(dir, "sys/class/net/eth2")); err != nil {
		t.Fatal(err)
	}
	if v := Between(a, at(Take(o), 1), o, nil); len(v.NICs) != 0 {
		t.Errorf("%+v", v.NICs)
	}
	// One that has just come has lost nothing yet that we know of.
	gone := at(Take(o), 1)
	tree(t, dir, first)
	if v := Between(gone, at(Take(o), 2), o, nil); len(v.NICs) != 1 || v.NICs[0].PerS != 0 || len(v.NICs[0].Lost) != 0 {
		t.Errorf("%+v", v.NICs)
	}
}

// TestFeed: real counter files and rings of a process, which is this one: lanes, sockets, rings and losses by what grew.
func TestFeed(t *testing.T) {
	dir := t.TempDir()
	w, err := ringbuf.Create(ringbuf.Path(dir, "main", "f", "0", ringbuf.KindMbo), ringbuf.Options{Kind: ringbuf.KindMbo, Slots: 1024})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	stats, err := ringbuf.CreateStats(ringbuf.SidePath(dir, "main", "f", "", ringbuf.ExtStats), 0, ringbuf.SideOptions{})
	if err != nil {
		t.Fatal(err)
	}
	handles := map[string]int{}
	set := func(name string, kind ringbuf.StatKind, v uint64) {
		if _, ok := handles[name]; !ok {
			if handles[name], err = stats.Add(name, kind); err != nil {
				t.Fatal(err)
			}
		}
		stats.Set(handles[name], v)
	}
	const socket = "0.afxdp.interface.eth2.100.queue.4"
	// The names are those of the package that counts.
	for field, name := range map[string]string{"RxDropped": "rx_dropped", "RxRingFull": "rx_ring_full", "FillEmpty": "fill_empty", "InvalidDescs": "invalid_descs", "Waiting": "waiting"} {
		if _, ok := reflect.TypeOf(afxdp.KernelCounters{}).FieldByName(field); !ok {
			t.Errorf("afxdp counts no %s any more", field)
		}
		set(socket+"."+name, ringbuf.StatCounter, 1)
	}
	set("0.lane.messages", ringbuf.StatCounter, 100)
	set("0.lane.passes", ringbuf.StatCounter, 10)
	set("0.channel.a.lost_messages", ringbuf.StatCounter, 5)
	set("0.channel.a.dropped", ringbuf.StatGauge, 3)
	set(socket+".mode", ringbuf.StatGauge, 1)
	var h hist.Hist
	e, err := hist.Register(stats, "0.lane", "pass", &h)
	if err != nil {
		t.Fatal(err)
	}
	h.Record(1000)
	e.Publish()
	stats.Beat()
	o := Options{Root: "/", RingDir: dir}
	a := at(Take(o), 0)
	ringbuf.PublishSlice(w, make([]tick.Mbo, 30))
	w.PublishHint()
	set("0.lane.messages", ringbuf.StatCounter, 300)
	set("0.lane.passes", ringbuf.StatCounter, 30)
	set("0.channel.a.lost_messages", ringbuf.StatCounter, 9)
	set(socket+".rx_ring_full", ringbuf.StatCounter, 4)
	for end := time.Now().Add(20 * time.Millisecond); time.Now().Before(end); { // it runs
	}
	stats.Beat()
	v := Between(a, at(Take(o), 2), o, nil)
	if len(v.Feeds) != 1 {
		t.Fatalf("%+v, %q", v.Feeds, v.Unseen)
	}
	f := v.Feeds[0]
	if f.Name != "main/f" || f.PID != os.Getpid() || f.State != "alive" || f.Rings["f.0.mbo"] != 15 || len(f.Lanes) != 1 || f.Lanes[0] != (Lane{"0", 100, 10}) {
		t.Errorf("%+v", f)
	}
	if len(f.XSK) != 1 || f.XSK[0] != (XSK{Name: "0 eth2.100:4", Mode: "zero-copy", RingFull: 3, Waiting: 1}) {
		t.Errorf("%+v", f.XSK)
	}
	if !reflect.DeepEqual(f.Lost, map[string]uint64{"0.channel.a.lost_messages": 4, socket + ".rx_ring_full": 3}) || f.LostAll["0.channel.a.lost_messages"] != 9 || f.LostAll["0.channel.a.dropped"] != 0 {
		t.Errorf("lost %v, in all %v", f.Lost, f.LostAll)
	}
	if len(f.Latencies) != 1 || f.Latencies[0].Name != "0.lane.pass" || f.Latencies[0].P99Ns != 1024 {
		t.Errorf("%+v", f.Latencies)
	}
	var out bytes.Buffer
	if err := v.Text(&out); err != nil || !strings.Contains(out.String(), "lost now: 0.afxdp.interface.eth2.100.queue.4.rx_ring_full !3, 0.channel.a.lost_messages !4") {
		t.Errorf("%v\n%s", err, out.String())
	}
	if text, err := json.Marshal(v); err != nil || !json.Valid(text) {
		t.Error(err)
	}
	// One that ended says so; a file that is none is told of, and the others are shown.
	if err := stats.Close(); err != nil {
		t.Fatal(err)
	}
	tree(t, dir, map[string]string{"main/bad.stats": "nonsense"})
	v = Between(a, at(Take(o), 2), o, nil)
	if len(v.Feeds) != 1 || v.Feeds[0].State != "ended" || !slices.ContainsFunc(v.Unseen, func(s string) bool { return strings.HasPrefix(s, "feeds: ") }) {
		t.Errorf("%+v, %q", v.Feeds, v.Unseen)
	}
}

// TestThreads: what a thread of a feed had and waited, from its files.
func TestThreads(t *testing.T) {
	dir := t.TempDir()
	files := func(ran, waited, involuntary int) {
		tree(t, dir, map[string]string{
			"proc/77/task/78/stat":      "78 (lane (0) x) R " + strings.Repeat("1 ", 35) + "4 0 0\n",
			"proc/77/task/78/schedstat": fmt.Sprintf("%d %d 5\n", ran, waited),
			"proc/77/task/78/status":    fmt.Sprintf("Name:\tlane\nvoluntary_ctxt_switches:\t3\nnonvoluntary_ctxt_switches:\t%d\n", involuntary),
			"proc/77/task/79/stat":      "nonsense",
			"proc/77/task/79/status":    "nonsense",
		})
	}
	files(0, 0, 10)
	a := feedLook{pid: 77, counters: map[string]uint64{}, threads: takeThreads(dir, 77)}
	files(1_900_000_000, 2_000_000, 14)
	b := feedLook{pid: 77, alive: true, counters: map[string]uint64{}, threads: takeThreads(dir, 77)}
	v := &View{IntervalS: 2}
	f := v.feed("main/f", a, b)
	if len(f.Threads) != 1 || f.Threads[0] != (Thread{TID: 78, Name: "lane (0) x", CPU: 4, BusyPercent: 95, WaitedPPM: 1000, Involuntary: 2}) {
		t.Errorf("%+v", f.Threads)
	}
}

// TestScreen: it fits the terminal, says what does not, paints what is not to be, and lets nobody steer the terminal.
func TestScreen(t *testing.T) {
	v := &View{IntervalS: 1, Cores: []Core{{CPU: 1, Role: jitter.RoleHot, Devices: 5, TopIRQ: "33 \x1b[2J\teth2"}}}
	for i := range 30 {
		v.NICs = append(v.NICs, NIC{Name: fmt.Sprintf("eth%d", i), Lost: map[string]uint64{"rx_dropped": 3}})
	}
	var out bytes.Buffer
	if err := v.Screen(&out, 60, 12, true); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	if !strings.HasPrefix(text, "\x1b[H") || !strings.HasSuffix(text, "\x1b[J") || strings.Contains(text, "\x1b[2J") || strings.Contains(text, "\x01") {
		t.Errorf("%q", text)
	}
	if !strings.Contains(text, "\x1b[31m5\x1b[0m") || !strings.Contains(text, "lines more") {
		t.Errorf("%q", text)
	}
	lines := strings.Split(text, "\r\n")
	if len(lines) != 12 {
		t.Errorf("%d lines", len(lines))
	}
	for _, line := range lines {
		for _, escape := range []string{"\x1b[H", "\x1b[K", "\x1b[J", "\x1b[31m", "\x1b[0m"} {
			line = strings.ReplaceAll(line, escape, "")
		}
		if n := len([]rune(line)); n > 60 {
			t.Errorf("%d columns: %q", n, line)
		}
	}
	out.Reset()
	if err := v.Screen(&out, 200, 100, false); err != nil || strings.Contains(out.String(), "\x1b[31m") || !strings.Contains(out.String(), "rx_dropped !3") || strings.Contains(out.String(), "lines more") {
		t.Errorf("%v: %q", err, out.String())
	}
}

// TestParsers: what is not as it should be is refused, with what was seen.
func TestParsers(t *testing.T) {
	if m, err := parseSoftnet("00000001 00000002 00000003\n00000004 00000005 00000006\n"); err != nil || m[1] != (softnet{4, 5, 6}) {
		t.Errorf("before Linux 5.10: %v, %v", m, err)
	}
	for name, try := range map[string]func(string) error{
		"stat":      func(s string) error { _, err := parseStat(s); return err },
		"schedstat": func(s string) error { _, err := parseSchedstat(s); return err },
		"softnet":   func(s string) error { _, err := parseSoftnet(s); return err },
		"thread":    func(s string) error { _, err := parseThread(s, "1 2", ""); return err },
	} {
		for _, bad := range []string{"", "\n", "cpu", "cpuX 1 2 3 4 5 6 7 8 9 10", "cpu99999 1 2 3 4 5 6 7 8 9 10", "cpu0 1 2", "cpu0 1 2 3 4 5 6 7 -8 -9 x", "zz 1 2", "1 2", "7 (x", ") (", "7 (x) R 1"} {
			if err := try(bad); err == nil && !(name == "softnet" && strings.HasPrefix(bad, "cpu")) {
				t.Errorf("%s took %q", name, bad)
			}
		}
	}
	line := "7 (x) R " + strings.Repeat("1 ", 36)
	for _, bad := range [][3]string{{line, "x y", ""}, {line, "1 -2", ""}, {line, "", "voluntary_ctxt_switches:\tmany\n"}} {
		if _, err := parseThread(bad[0], bad[1], bad[2]); err == nil {
			t.Errorf("took %q", bad)
		}
	}
}

// FuzzParsers: no text of a kernel's makes a parser panic, or claim a core that cannot be.
func FuzzParsers(f *testing.F) {
	for name, text := range first {
		if strings.HasPrefix(name, "proc") {
			f.Add(text)
		}
	}
	f.Add("78 (lane (0) x) R " + strings.Repeat("1 ", 35) + "4 0 0\n")
	f.Fuzz(func(t *testing.T, text string) {
		limit := func(cpu int) {
			if cpu < 0 || cpu >= maxCPU {
				t.Errorf("core %d", cpu)
			}
		}
		stat, _ := parseStat(text)
		for cpu := range stat {
			limit(cpu)
		}
		sched, _ := parseSchedstat(text)
		for cpu := range sched {
			limit(cpu)
		}
		soft, _ := parseSoftnet(text)
		for cpu := range soft {
			limit(cpu)
		}
		th, err := parseThread(text, text, text)
		if err == nil {
			limit(th.cpu)
		}
	})
}
