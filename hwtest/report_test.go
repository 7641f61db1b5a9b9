package hwtest

import (
	"bytes"
	"flag"
	"fmt"
	"image"
	_ "image/png"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tickwire/tickwire/bench/machine"
	"github.com/tickwire/tickwire/tuning"
)

var rewrite = flag.Bool("rewrite", false, "write testdata anew")

// fixed is a report of invented figures: one of everything that a report may hold.
func fixed() *Report {
	r := &run{Options: &Options{Plan: &tuning.Plan{Profile: tuning.Colo}}}
	r.report = &Report{
		Schema: Schema, ToolVersion: "v9", Profile: tuning.Colo, Started: time.Date(2026, 1, 5, 14, 30, 0, 0, time.UTC), Seconds: 754.25, For: 60,
		Host:       tuning.HostFacts{Fingerprint: "00112233aabbccdd", Kernel: "6.18.0", CPU: "An <Invented> Processor", NICs: []string{"eth2 (ice)"}},
		Machine:    machine.Machine{CPU: "An <Invented> Processor", Arch: "amd64", Cores: 8, Kernel: "6.18.0", Go: "go1.26", Clocksource: "tsc"},
		PlanDigest: strings.Repeat("ab", 32), Wires: &Wires{Kind: KindCable, Rx: "eth2 (ice 4.4)", Tx: "eth3", Note: "ports of this machine, a cable from each to its peer"},
		LeftOut: []LeftOut{}, Groups: []Group{}, Checks: []Check{
			{ID: "cpu.governor", Status: tuning.Pass, Effective: "performance", Want: "performance"},
			{ID: "cpu.smi", Status: tuning.Error, Want: "no increase", Reason: "/dev/cpu/0/msr: permission denied"},
		},
	}
	g := Group{ID: "receive", Title: "packets a second without loss", Seconds: 420.5, Tests: []Test{}}
	for _, size := range []struct {
		bytes int
		rate  float64
	}{{64, 3_203_624}, {1500, 612_345}} {
		t := r.figure(&g, Test{ID: fmt.Sprintf("receive.rate.%d", size.bytes), Title: fmt.Sprintf("packets a second without loss, frames of %d bytes", size.bytes), Unit: "packets/s", Better: "more",
			Why: "an opening brings more than the day's average"}, size.rate, &Limit{Op: ">=", Value: 800_000}, tuning.Major)
		t.Figures = []Figure{{"offered unpaced", 2 * size.rate, "packets/s"}}
	}
	wanted := 800_000.0
	g.Plots = []Plot{{Title: "packets a second without loss", Unit: "packets/s", Bars: []Bar{{"64 bytes", 3_203_624, &wanted}, {"1500 bytes", 612_345, &wanted}}}}
	r.judged(&g, "receive.unexplained", 0, Figure{"sent", 1e9, "packets"})
	r.report.Groups = append(r.report.Groups, g)

	g = Group{ID: "latency", Title: "from the wire to the ring", Seconds: 61}
	r.judged(&g, "latency.stamp_to_ring.p50", 1_730)
	r.judged(&g, "latency.stamp_to_ring.p99", 5_800)
	r.figure(&g, Test{ID: "latency.stamp_to_ring.worst", Title: "stamp → ring, the worst", Unit: "ns", Better: "less"}, 247_000, nil, tuning.Info)
	g.Plots = []Plot{
		{Title: "from the stamp of a packet to its record in the ring", Note: "a note", Lines: []Line{
			{Name: "stamp → ring", Points: [][2]float64{{0, 900}, {0.5, 1730}, {0.99, 5800}, {0.9999, 247_000}}}, {Name: "stamp → poll", Dashed: true, Points: [][2]float64{{0.1, 300}, {0.999, 2000}}},
		}},
		{Title: "nothing was measured", Lines: []Line{}},
		{Title: "a cache line from core to core", Unit: "ns", Matrix: &Matrix{Names: []string{"4", "5"}, Cells: [][]float64{{-1, 61.5}, {63, -1}}}},
	}
	r.report.Groups = append(r.report.Groups, g)

	g = Group{ID: "nic", Title: "what the NIC can do", Seconds: 1.5}
	r.fact(&g, "nic.native_xdp", "XDP runs in the driver", true, tuning.Crit, "attached and bound, copy mode", "why it matters")
	r.skip(&g, "nic.ntuple", "rules steer a flow to its queue", "the driver has no rules (EOPNOTSUPP): every queue is polled")
	r.unknown(&g, "nic.hardware_stamps", "the NIC stamps packets", tuning.Major, fmt.Errorf("SIOCGHWTSTAMP: \x1b[31m%w", os.ErrPermission))
	r.note(&g, "nic.driver", "driver", `ice <script>alert("x")</script>`)
	r.report.Groups = append(r.report.Groups, g)
	r.report.close()
	return r.report
}

// TestGolden: a report of fixed figures, in each form; -rewrite writes them anew, to be looked at as a diff.
func TestGolden(t *testing.T) {
	r := fixed()
	for name, write := range map[string]func(io.Writer) error{
		"report.json": r.JSON, "report.html": r.HTML, "report.txt": func(w io.Writer) error { return r.Text(w, Style{}) },
		"report.colour.txt": func(w io.Writer) error { return r.Text(w, Style{Colour: true, Quiet: true}) },
	} {
		var got bytes.Buffer
		must(t, write(&got))
		path := filepath.Join("testdata", name)
		if *rewrite {
			must(t, os.WriteFile(path, got.Bytes(), 0o644))
			continue
		}
		want, err := os.ReadFile(path)
		must(t, err)
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s differs; go test ./hwtest -run TestGolden -rewrite, and look at the difference. It is now:\n%s", name, got.String())
		}
	}
	var doc bytes.Buffer
	must(t, r.JSON(&doc))
	again, err := Read(&doc)
	must(t, err)
	var twice bytes.Buffer
	must(t, again.JSON(&twice))
	if golden, err := os.ReadFile(filepath.Join("testdata", "report.json")); err != nil || !bytes.Equal(golden, twice.Bytes()) {
		t.Errorf("a report that is read and written is another one: %v", err)
	}
}

// TestPage: the page needs nothing from elsewhere, runs nothing, and what files of a machine hold stays text.
func TestPage(t *testing.T) {
	var b bytes.Buffer
	must(t, fixed().HTML(&b))
	page := b.String()
	for _, bad := range []string{"<script", "src=", "@import", "url(", "<link", "<iframe", "\x1b"} {
		if strings.Contains(page, bad) {
			t.Errorf("%q is in the page", bad)
		}
	}
	if urls := regexp.MustCompile(`https?://[^"]*`).FindAllString(strings.ReplaceAll(page, "http://www.w3.org/2000/svg", ""), -1); urls != nil {
		t.Errorf("it names %v", urls)
	}
	if !strings.Contains(page, "&lt;script&gt;") || strings.Count(page, "<svg") != 2 || strings.Count(page, `class="matrix"`) != 1 {
		t.Errorf("%d pictures, %d matrices", strings.Count(page, "<svg"), strings.Count(page, `class="matrix"`))
	}
}

// TestChromium: a browser shows the page, light and dark, prints it, and asks for nothing.
func TestChromium(t *testing.T) {
	browser := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			browser = path
			break
		}
	}
	if browser == "" {
		t.Skip("there is no Chromium here (apt: chromium)")
	}
	dir := t.TempDir()
	page := filepath.Join(dir, "report.html")
	f, err := os.Create(page)
	must(t, err)
	must(t, fixed().HTML(f))
	must(t, f.Close())
	// No network for it but what it needs to talk to itself: a name that it asks for does not resolve.
	show := func(args ...string) []byte {
		t.Helper()
		args = append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND",
			"--user-data-dir=" + filepath.Join(dir, "profile"), "--hide-scrollbars", "--window-size=1200,1600"}, args...)
		c := exec.Command(browser, append(args, "file://"+page)...)
		var said bytes.Buffer
		c.Stderr = &said
		out, err := c.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, said.String())
		}
		return out
	}
	dom := string(show("--dump-dom"))
	for _, want := range []string{"not as the profile colo wants it", "3,203,624 packets/s", "5.8 µs", `id="latency"`, "61.5 ns"} {
		if !strings.Contains(dom, want) {
			t.Errorf("%q is not shown", want)
		}
	}
	corner := map[string]uint32{}
	for mode, flag := range map[string]string{"light": "--blink-settings=preferredColorScheme=1", "dark": "--blink-settings=preferredColorScheme=0"} {
		shot := filepath.Join(dir, mode+".png")
		show(flag, "--screenshot="+shot)
		file, err := os.Open(shot)
		must(t, err)
		img, _, err := image.Decode(file)
		must(t, err)
		must(t, file.Close())
		colours := map[[3]uint32]bool{}
		for y := 0; y < img.Bounds().Dy(); y += 3 {
			for x := 0; x < img.Bounds().Dx(); x += 3 {
				r, g, b, _ := img.At(x, y).RGBA()
				colours[[3]uint32{r >> 12, g >> 12, b >> 12}] = true
			}
		}
		if len(colours) < 20 {
			t.Errorf("%s: %d colours are no page", mode, len(colours))
		}
		corner[mode], _, _, _ = img.At(2, 2).RGBA()
	}
	if corner["light"] < 0xF000 || corner["dark"] > 0x3000 {
		t.Errorf("the corner is %x in light, %x in dark", corner["light"], corner["dark"])
	}
	paper := filepath.Join(dir, "report.pdf")
	show("--print-to-pdf=" + paper)
	if text, err := os.ReadFile(paper); err != nil || !bytes.HasPrefix(text, []byte("%PDF")) || len(text) < 10_000 {
		t.Errorf("printed: %d bytes, %v", len(text), err)
	}
}

// TestVerdict: what was not made or does not apply never counts as passed, and only a whole run of the right length on a machine of its own qualifies.
func TestVerdict(t *testing.T) {
	whole := func() *Report {
		r := &Report{Profile: tuning.Colo, For: 600, Wires: &Wires{Kind: KindCable}}
		for _, g := range all() {
			r.Groups = append(r.Groups, Group{ID: g.id, Tests: []Test{{ID: g.id + ".x", Status: tuning.Pass}, {ID: g.id + ".y", Status: tuning.Skip}}})
		}
		return r
	}
	for _, tc := range []struct {
		name      string
		change    func(*Report)
		verdict   tuning.Status
		qualified bool
		failed    bool
		because   string
	}{
		{"all passed", func(*Report) {}, tuning.Pass, true, false, ""},
		{"one warns", func(r *Report) { r.Groups[2].Tests[0].Status = tuning.Warn }, tuning.Warn, true, false, ""},
		{"one fails", func(r *Report) { r.Groups[2].Tests[0].Status = tuning.Fail }, tuning.Fail, false, true, "1 test fails"},
		{"one could not be made", func(r *Report) { r.Groups[2].Tests[0].Status = tuning.Error }, tuning.Error, false, true, "1 test could not be made"},
		{"a group is missing", func(r *Report) { r.Groups = r.Groups[1:] }, tuning.Pass, false, false, "left out: inventory"},
		{"jitter is told only", func(r *Report) { r.group("jitter").Tests[0].Status = tuning.Note }, tuning.Pass, false, false, "nothing was judged: jitter"},
		{"no report of before", func(r *Report) { r.group("persistence").Tests = r.group("persistence").Tests[1:] }, tuning.Pass, false, false, "nothing was judged: persistence"},
		{"an inventory is told only", func(r *Report) { r.group("inventory").Tests[0].Status = tuning.Note }, tuning.Pass, true, false, ""},
		{"a short look", func(r *Report) { r.For = 60 }, tuning.Pass, false, false, "a look"},
		{"a virtual machine", func(r *Report) { r.Host.Virt = "kvm" }, tuning.Pass, false, false, "virtual machine"},
		{"veth", func(r *Report) { r.Wires.Kind = KindVeth }, tuning.Pass, false, false, "veth pair"},
		{"no wires", func(r *Report) { r.Wires = nil }, tuning.Pass, false, false, "no packets"},
	} {
		r := whole()
		tc.change(r)
		r.close()
		if because := strings.Join(r.Because, "; "); r.Verdict != tc.verdict || r.Qualified != tc.qualified || r.Failed() != tc.failed || !strings.Contains(because, tc.because) {
			t.Errorf("%s: %s, qualified %v, failed %v, because %q", tc.name, r.Verdict, r.Qualified, r.Failed(), because)
		}
	}
	for _, tc := range []struct {
		tests []tuning.Status
		want  tuning.Status
	}{
		{nil, tuning.Skip}, {[]tuning.Status{tuning.Skip}, tuning.Skip}, {[]tuning.Status{tuning.Note, tuning.Skip}, tuning.Note}, {[]tuning.Status{tuning.Skip, tuning.Pass}, tuning.Pass},
		{[]tuning.Status{tuning.Pass, tuning.Warn, tuning.Pass}, tuning.Warn}, {[]tuning.Status{tuning.Error, tuning.Warn}, tuning.Error}, {[]tuning.Status{tuning.Fail, tuning.Error}, tuning.Fail},
	} {
		g := Group{}
		for _, s := range tc.tests {
			g.Tests = append(g.Tests, Test{Status: s})
		}
		if g.close(); g.Status != tc.want {
			t.Errorf("a group of %v is %s, want %s", tc.tests, g.Status, tc.want)
		}
	}
}

// TestLimits: each threshold is told once, holds on its own side, counts by severity and profile, and gives way to one of the user's.
func TestLimits(t *testing.T) {
	seen := map[string]bool{}
	for i := range limits {
		l := &limits[i]
		if seen[l.id] || l.title == "" || l.why == "" || l.better != "less" && l.better != "more" || (l.op == "<=") != (l.better == "less") {
			t.Errorf("%+v", l)
		}
		seen[l.id] = true
		for _, stricter := range [][2]float64{{l.colo, l.lab}, {l.lab, l.vm}} {
			if a, b := stricter[0], stricter[1]; !math.IsNaN(b) && (l.op == "<=" && a > b || l.op == ">=" && a < b) {
				t.Errorf("%s: a lesser profile is stricter: %g, then %g", l.id, a, b)
			}
		}
	}
	for _, tc := range []struct {
		profile, id string
		value       float64
		user        map[string]float64
		want        tuning.Status
	}{
		{tuning.Colo, "latency.stamp_to_ring.p99", 5000, nil, tuning.Pass},
		{tuning.Colo, "latency.stamp_to_ring.p99", 5001, nil, tuning.Fail},
		{tuning.Lab, "latency.stamp_to_ring.p99", 200_000, nil, tuning.Warn},
		{tuning.VM, "latency.stamp_to_ring.p9999", 1e9, nil, tuning.Note},
		{tuning.VM, "latency.lost", 1, nil, tuning.Fail},
		{tuning.Colo, "memory.bandwidth", 19.9, nil, tuning.Fail},
		{tuning.Colo, "memory.bandwidth", 9.9, map[string]float64{"memory.bandwidth": 9}, tuning.Pass},
		{tuning.Colo, "memory.bandwidth", math.NaN(), nil, tuning.Error},
		{tuning.Colo, "time.phc_window", 1e6, nil, tuning.Warn},
	} {
		r := &run{Options: &Options{Plan: &tuning.Plan{Profile: tc.profile}, Limits: tc.user}}
		var g Group
		if k := r.judged(&g, tc.id, tc.value); k.Status != tc.want {
			t.Errorf("%s in %s: %g is %s, want %s", tc.id, tc.profile, tc.value, k.Status, tc.want)
		}
	}
}

// TestDocumented: the page of documentation has every group and every threshold.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "docs", "hwtest.md"))
	must(t, err)
	for _, g := range Groups() {
		if !strings.Contains(string(text), "| `"+g+"` |") {
			t.Errorf("group %s is not in docs/hwtest.md", g)
		}
	}
	shown := func(l *limit, v float64) string {
		if math.IsNaN(v) {
			return "–"
		}
		return figure(v, l.unit)
	}
	for i := range limits {
		l := &limits[i]
		if row := fmt.Sprintf("| `%s` | %s %s | %s | %s | %s |", l.id, l.op, shown(l, l.colo), shown(l, l.lab), shown(l, l.vm), l.severity); !strings.Contains(string(text), row) {
			t.Errorf("want in docs/hwtest.md: %s", row)
		}
	}
}

func TestFigure(t *testing.T) {
	for _, tc := range []struct {
		v    float64
		unit string
		want string
	}{
		{0, "packets", "0 packets"}, {3203624.4, "packets/s", "3,203,624 packets/s"}, {-12345, "", "-12,345"}, {999, "", "999"}, {1.5, "ms", "1.5 ms"}, {66.25, "ms", "66.2 ms"},
		{1730, "ns", "1.73 µs"}, {0.25, "", "0.25"}, {2e9, "ns", "2 s"}, {123.4, "GB/s", "123 GB/s"}, {12345.6, "x", "12,346 x"},
	} {
		if got := figure(tc.v, tc.unit); got != tc.want {
			t.Errorf("%g %s is %q, want %q", tc.v, tc.unit, got, tc.want)
		}
	}
}
