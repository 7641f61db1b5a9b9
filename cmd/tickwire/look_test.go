package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tickwire/tickwire/internal/hist"
	"github.com/tickwire/tickwire/internal/testvec"
	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// TestReplayAndLook plays the public sample into rings, then looks at them with every command that looks.
func TestReplayAndLook(t *testing.T) {
	dir := t.TempDir()
	day := filepath.Join(testvec.Dir(t, "nasdaq"), "ex20101224.TEST_ITCH_50.framed.gz")
	if code, _, errs := command(t, "replay", day, "--pace", "max", "--ring-dir", dir); code != exitOK {
		t.Fatalf("replay: exit %d: %s", code, errs)
	}
	code, out, _ := command(t, "ring", "ls", "--json", "--ring-dir", dir)
	var rings []ringInfo
	if err := json.Unmarshal([]byte(out), &rings); code != exitOK || err != nil || len(rings) != 5 {
		t.Fatalf("ring ls: exit %d, %d rings, %v: %s", code, len(rings), err, out)
	}
	records := map[string]uint64{}
	for _, r := range rings {
		records[r.Ring] = r.Records
		if r.State != "stopped" || r.Alive || r.Instance != "replay" || r.Dataset != "XNAS.ITCH" {
			t.Errorf("%+v", r)
		}
	}
	// 12,256 order events, three of them R, and what is inline: status and system events.
	if records["replay.0.mbo"] < 12_256 || records["replay.0.mbp1"] != 5572 || records["replay.0.trades"] != 5180 {
		t.Errorf("records %v", records)
	}
	if code, out, _ := command(t, "ring", "stat", "replay.0.mbo", "--ring-dir", dir); code != exitOK || !strings.Contains(out, "replay.0.mbo") {
		t.Errorf("ring stat: exit %d: %s", code, out)
	}
	if code, _, errs := command(t, "ring", "stat", "nosuch.0.mbo", "--ring-dir", dir); code != exitUsage || !strings.Contains(errs, "nosuch.0.mbo") {
		t.Errorf("ring stat of none: exit %d: %s", code, errs)
	}
	code, out, errs := command(t, "ring", "tail", "replay.0.trades", "--ring-dir", dir, "--from", "oldest", "--count", "3")
	if code != exitOK || strings.Count(out, "\n") != 3 {
		t.Errorf("ring tail: exit %d: %s%s", code, out, errs)
	}
	code, out, _ = command(t, "status", "--ring-dir", dir)
	if code != exitOK || !strings.Contains(out, "ended") || !strings.Contains(out, "0.lane.messages") || !strings.Contains(out, "12012") {
		t.Errorf("status: exit %d: %s", code, out)
	}
	code, out, _ = command(t, "status", "--json", "--ring-dir", dir)
	var status struct {
		Processes []processInfo `json:"processes"`
		Rings     []ringInfo    `json:"rings"`
	}
	if err := json.Unmarshal([]byte(out), &status); code != exitOK || err != nil || len(status.Processes) != 1 || !status.Processes[0].Ended || status.Processes[0].Counters["0.lane.messages"] != 12012 {
		t.Errorf("status --json: exit %d, %v: %s", code, err, out)
	}
	if code, out, _ := command(t, "status", "--ring-dir", t.TempDir()); code != exitOK || !strings.Contains(out, "nothing runs here") {
		t.Errorf("status of nothing: exit %d: %s", code, out)
	}
}

// TestReadersShown: who reads a ring, by stat and status; and latencies in status.
func TestReadersShown(t *testing.T) {
	dir := t.TempDir()
	w, err := ringbuf.Create(ringbuf.Path(dir, "main", "f", "0", ringbuf.KindMbo), ringbuf.Options{Kind: ringbuf.KindMbo, Slots: 1024})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ringbuf.PublishSlice(w, make([]tick.Mbo, 30))
	w.PublishHint()
	r, err := ringbuf.Open(w.Path(), ringbuf.ReaderOptions{Join: ringbuf.JoinOldest, Report: "my strategy"})
	if err != nil || r.Reported() != nil {
		t.Fatal(err, r.Reported())
	}
	defer r.Close()
	stats, err := ringbuf.CreateStats(ringbuf.SidePath(dir, "main", "f", "", ringbuf.ExtStats), 0, ringbuf.SideOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var h hist.Hist
	e, err := hist.Register(stats, "0", "wire_to_poll", &h)
	if err != nil {
		t.Fatal(err)
	}
	h.Record(1000)
	e.Publish()
	_ = stats.Close()
	row := regexp.MustCompile(fmt.Sprintf(`my strategy +\S+ +%d +%d +30 +0`, os.Getuid(), os.Getpid()))
	for _, args := range [][]string{{"ring", "stat", "f.0.mbo"}, {"ring", "stat", w.Path()}, {"status"}} {
		code, out, errs := command(t, append(args, "--ring-dir", dir)...)
		if code != exitOK || !row.MatchString(out) {
			t.Errorf("%v: exit %d: %s%s", args, code, out, errs)
		}
		if args[0] == "status" && (!strings.Contains(out, "1.02 µs") || strings.Contains(out, ".le.")) {
			t.Errorf("latencies: %s", out)
		}
	}
	code, out, _ := command(t, "status", "--json", "--ring-dir", dir)
	var status struct {
		Processes []processInfo
		Readers   []readerInfo
	}
	if err := json.Unmarshal([]byte(out), &status); code != exitOK || err != nil || len(status.Readers) != 1 || *status.Readers[0].Lag != 30 ||
		len(status.Processes[0].Latencies) != 1 || status.Processes[0].Latencies[0].P99 != 1024 {
		t.Errorf("exit %d, %v: %s", code, err, out)
	}
}

// TestReplayFaults: a full or forbidden place for rings, a wrong pace, a group without an interface.
func TestReplayFaults(t *testing.T) {
	day := filepath.Join(testvec.Dir(t, "nasdaq"), "ex20101224.TEST_ITCH_50.framed.gz")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--pace", "fast"}, exitUsage, "recorded, x10, 50000/s"},
		{[]string{"--group", "239.255.70.1:5000"}, exitUsage, "go together"},
		{[]string{"--interface", "lo", "--group", "10.0.0.1:5000"}, exitFailed, "multicast"},
		{[]string{"--interface", "nosuch0", "--group", "239.255.70.1:5000"}, exitFailed, "no such network interface"},
		{[]string{"--ring-dir", file}, exitFailed, "not a directory"},
		{[]string{"--name", "a/b"}, exitUsage, "feed[0].name"},
	} {
		code, _, errs := command(t, append([]string{"replay", day}, tc.args...)...)
		if code != tc.code || !strings.Contains(errs, tc.want) {
			t.Errorf("%v: exit %d, %q", tc.args, code, errs)
		}
	}
}

// TestHelp: every command has words, and completion scripts are there.
func TestHelp(t *testing.T) {
	root := newRoot()
	for _, c := range root.Commands() {
		if c.Hidden {
			continue
		}
		if c.Short == "" {
			t.Errorf("%s says nothing of itself", c.Name())
		}
		if code, out, _ := command(t, c.Name(), "--help"); code != exitOK || !strings.Contains(out, "Usage:") {
			t.Errorf("%s --help: exit %d", c.Name(), code)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if code, out, _ := command(t, "completion", shell); code != exitOK || !strings.Contains(out, "tickwire") {
			t.Errorf("completion %s: exit %d", shell, code)
		}
	}
	if code, _, errs := command(t, "nosuch"); code != exitUsage || !strings.Contains(errs, "nosuch") {
		t.Errorf("an unknown command: exit %d, %q", code, errs)
	}
	if code, _, errs := command(t, "ring", "tial"); code != exitUsage || !strings.Contains(errs, "do you mean tail?") {
		t.Errorf("an unknown command of a command: exit %d, %q", code, errs)
	}
	if code, _, errs := command(t, "ring", "tail"); code != exitUsage || !strings.Contains(errs, "tickwire ring tail RING") {
		t.Errorf("a missing argument: exit %d, %q", code, errs)
	}
	if code, out, _ := command(t, "bench"); code != exitOK || !strings.Contains(out, "Available Commands:") {
		t.Errorf("a command of commands: exit %d, %q", code, out)
	}
	if code, _, _ := command(t, "decode", "--nosuch"); code != exitUsage {
		t.Errorf("an unknown flag: exit %d", code)
	}
}

// TestSupervisor: a feed whose process is killed is started again, and everything ends with the supervisor.
func TestSupervisor(t *testing.T) {
	if !haveDuckDB {
		t.Skip("built without cgo, so without DuckDB: there is no SQL port")
	}
	dir := t.TempDir()
	day := filepath.Join(dir, "20260105.itch")
	if code, _, errs := command(t, "gen", "itch", "--messages", "40000", "--symbols", "20", "--out", day); code != exitOK {
		t.Fatal(errs)
	}
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	scrapes, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "c.toml")
	if err := os.WriteFile(config, fmt.Appendf(nil, `
[instance]
name = "s"
ring_dir = %q
[[feed]]
name = "f"
source = "file"
path = %q
pace = "2000/s"
[serve]
sql = %q
metrics = %q
memory = "128MiB"
`, dir, day, port, scrapes), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(tickwireBinary(t), "run", "--config", config)
	var log strings.Builder
	c.Stdout, c.Stderr = &log, &log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Process.Kill()
	feedPID := func() int {
		infos, err := processes(&where{ringDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range infos {
			if p.Process == "f" && p.Alive && p.Counters["0.lane.messages"] > 0 {
				return p.PID
			}
		}
		return 0
	}
	await := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: not within 20 s\n%s", what, log.String())
			}
		}
	}
	first := 0
	await("the feed", func() bool { first = feedPID(); return first != 0 })
	await("SQL", func() bool {
		code, out, _ := command(t, "sql", "--addr", port, "--format", "csv", "SELECT count(*) > 0 FROM orders")
		return code == exitOK && strings.HasSuffix(out, "\nt\n")
	})
	for _, want := range []string{
		`tickwire_process_up{process="f"} 1`, `tickwire_process_up{process="serve"} 1`, `tickwire_lane_messages_total{feed="f",lane="0"}`,
		`tickwire_ring_reader_lag_records{feed="f",kind="mbo",lane="0",name="store"`, "tickwire_store_rows_total", "go_goroutines",
	} {
		text := ""
		await("/metrics with "+want, func() bool {
			resp, err := http.Get("http://" + scrapes + "/metrics")
			if err != nil {
				return false
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			text = string(b)
			return err == nil && strings.Contains(text, want)
		})
	}
	code, out, _ := command(t, "ring", "stat", "f.0.mbo", "--ring-dir", dir)
	if code != exitOK || !strings.Contains(out, "store") {
		t.Errorf("ring stat without the store's reader: exit %d: %s", code, out)
	}
	p, err := os.FindProcess(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	second := 0
	await("the feed again", func() bool { second = feedPID(); return second != 0 && second != first })
	if code, _, errs := command(t, "sql", "--addr", port, "SELECT count(*) FROM orders"); code != exitOK {
		t.Errorf("SQL after the feed was killed: exit %d, %s", code, errs)
	}
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Errorf("run ended with %v\n%s", err, log.String())
	}
	if feedPID() == second && aliveNow(second) {
		t.Error("the feed outlived its supervisor")
	}
}

// freePort is an address on loopback that nobody listens on at this moment.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func aliveNow(pid int) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	return err == nil
}

// TestCountersShown: groups apart, numbers in a column, kinds in a line, and words for what is no count.
func TestCountersShown(t *testing.T) {
	now := time.Date(2026, 1, 5, 14, 30, 2, 0, time.UTC)
	p := &processInfo{Counters: map[string]uint64{
		"0.lane.messages": 12012, "0.lane.refused": 0, "0.itch.type.A": 7, "0.itch.type.D": 5, "0.book.bytes": 3 << 20,
		"0.channel.0.skew_ns": 1500, "0.channel.0.last_at": uint64(now.Add(-2 * time.Second).UnixNano()),
	}, order: []string{"0.lane.messages", "0.lane.refused", "0.itch.type.A", "0.itch.type.D", "0.book.bytes", "0.channel.0.skew_ns", "0.channel.0.last_at"}}
	var out strings.Builder
	printCounters(&out, p, false, now)
	want := `
  0.lane.messages                    12012

  0.itch.type                               A 7, D 5

  0.book.bytes                     3145728  3 MiB

  0.channel.0.skew_ns                 1500  1.5 µs
  0.channel.0.last_at  1767623400000000000  2026-01-05 14:30:00Z, 2.0 s ago
`
	if out.String() != want {
		t.Errorf("%s\nwant%s", out.String(), want)
	}
}
