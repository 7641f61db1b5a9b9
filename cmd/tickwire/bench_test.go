package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/bench/latbench"
)

const benchEnv = "TICKWIRE_BENCH_TEST"

// With benchEnv set this binary is tickwire: benches pin their threads and start themselves again as other processes.
func init() {
	if os.Getenv(benchEnv) != "" {
		os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
}

// benchRun runs tickwire bench, and gives what it printed.
func benchRun(t *testing.T, args ...string) (string, error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), self, append([]string{"bench"}, args...)...)
	c.Env = append(os.Environ(), benchEnv+"=1")
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		return out.String(), errors.New(err.Error() + ": " + errs.String())
	}
	return out.String(), nil
}

// benches are all that run without DuckDB, with parameters so small that each takes a second or two, and what must be in their JSON: scripts
// rely on it.
var benches = []struct {
	name string
	args []string
	keys []string
	text string // in what people read
}{
	{"itch", []string{"--messages", "20000", "--runs", "2", "--no-memory", "--pass", "live"},
		[]string{"machine", "core", "runs", "pass", "messages", "bytes", "walk_ns", "decode_ns", "books_ns", "publish_ns", "ring_ns", "records_per_message", "allocs", "gc", "stages", "budget"}, "ns/message"},
	{"memory", []string{"--mib", "1", "--loads", "10000", "--runs", "2"},
		[]string{"machine", "core", "runs", "loads", "in_flight", "first_touch", "core_to_core_ns"}, "one at a time"},
	{"ring", []string{"--for", "50ms", "--runs", "2", "--rate", "5000"},
		[]string{"machine", "core", "reader_core", "runs", "publish_ns_per_record", "written_per_second", "read_per_second", "flood", "paced", "latency", "core_to_core_ns"}, "read by another process"},
	{"latency", []string{"--for", "100ms", "--round", "10ms", "--runs", "2", "--rate", "10000,20000", "--fill", "2000"},
		[]string{"machine", "core", "reader_core", "ring", "runs", "span_seconds", "burst_factor", "preemption_signals_off", "p_pinned", "rates"}, "lane's core by itself"},
	{"e2e", []string{"--for", "100ms", "--round", "10ms", "--runs", "1", "--rate", "2000", "--fill", "2000"},
		[]string{"machine", "core", "strategy_core", "venue_core", "venue_and_strategy_share_a_core", "mode", "rates"}, "tick to trade"},
}

// TestBench: each bench runs, says what it was measured on, and has a stable set of names in its JSON.
func TestBench(t *testing.T) {
	for _, b := range benches {
		t.Run(b.name, func(t *testing.T) {
			out, err := benchRun(t, append([]string{b.name, "--json"}, b.args...)...)
			if err != nil && os.Getenv("CI") == "" && strings.Contains(err.Error(), latbench.ErrRights.Error()) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			var got map[string]any
			if err := json.Unmarshal([]byte(out), &got); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			for _, key := range b.keys {
				if _, ok := got[key]; !ok {
					t.Errorf("%s is not in the JSON", key)
				}
			}
			m, _ := got["machine"].(map[string]any)
			for _, key := range []string{"cpu", "cores", "kernel", "go", "virtual", "l3_bytes", "governor", "huge_pages", "clocksource", "isolated_cores", "load"} {
				if _, ok := m[key]; !ok {
					t.Errorf("machine has no %s: %v", key, m)
				}
			}
			if out, err = benchRun(t, append([]string{b.name}, b.args...)...); err != nil || !strings.Contains(out, b.text) || !strings.Contains(out, "huge pages") {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

// TestBenchITCHFile: the command, on a small file.
func TestBenchITCHFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "day.itch")
	var out, errs bytes.Buffer
	if code := run([]string{"gen", "itch", "--messages", "20000", "--symbols", "50", "--profile", "hostile", "--out", path}, nil, &out, &errs); code != exitOK {
		t.Fatal(errs.String())
	}
	text, err := benchRun(t, "itch", "--file", path, "--runs", "1", "--no-memory", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Messages uint64  `json:"messages"`
		Publish  float64 `json:"publish_ns"`
		Stages   []struct {
			Stage string `json:"stage"`
		} `json:"stages"`
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil || got.Messages != 20000 || got.Publish <= 0 || len(got.Stages) != 5 {
		t.Errorf("%v: %+v", err, got)
	}
}

// TestBenchPlot: one file a rate.
func TestBenchPlot(t *testing.T) {
	dir := t.TempDir()
	args := append([]string{"latency", "--plot", filepath.Join(dir, "l.svg")}, benches[3].args...)
	if _, err := benchRun(t, args...); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"l.svg", "l-20000.svg"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Contains(b, []byte("<polyline")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBenchRefuses: what cannot be measured is wrong usage or a plain error, and nothing runs.
func TestBenchRefuses(t *testing.T) {
	for _, args := range [][]string{
		{"itch", "--pass", "0"}, {"itch", "--pass", "many"}, {"itch", "--profile", "kind"}, {"memory", "--mib", "0"}, {"latency", "--ring", "ext"},
		{"latency", "--rate", "1"}, {"latency", "--burst", "1s"}, {"latency", "--per-packet", "99"}, {"memory", "--core", "1000"}, {"ring", "--sched", "batch"},
		{"itch", "--file", "no such file"},
	} {
		if out, err := benchRun(t, args...); err == nil || out != "" {
			t.Errorf("%q: %v, printed %q", args, err, out)
		}
	}
	if !slices.ContainsFunc(benchCommand().Commands(), func(c *cobra.Command) bool { return c.Name() == "child" }) {
		t.Error("benches have no other process")
	}
}
