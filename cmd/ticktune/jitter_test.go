package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/tickwire/tickwire/tuning"
	"github.com/tickwire/tickwire/tuning/jitter"
)

// TestJitter measures as the program that it is, by its memory too: to the terminal, as JSON, drawn; and compares two runs.
func TestJitter(t *testing.T) {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skip("no cycle counter is known on this architecture: amd64 and arm64 have one")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	a, b, svg := filepath.Join(dir, "a.json"), filepath.Join(dir, "b.json"), filepath.Join(dir, "a.svg")
	program := func(args ...string) (string, *os.ProcessState) {
		cmd := exec.Command(self, args...)
		cmd.Env = append(os.Environ(), asProgram+"=1")
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, errs.String())
		}
		return string(out), cmd.ProcessState
	}
	// Of all cores, none of which is judged.
	out, state := program("jitter", "--for", "100ms", "--shared", "--out", a, "--svg", svg)
	if !strings.Contains(out, "host: gaps above") || !strings.Contains(out, "runtime: gaps above") {
		t.Errorf("%s", out)
	}
	most := state.SysUsage().(*syscall.Rusage).Maxrss
	t.Logf("%d KiB of memory", most)
	if most > 30<<10 && !raceEnabled {
		t.Errorf("%d KiB of memory, want at most %d", most, 30<<10)
	}
	text, err := os.ReadFile(svg)
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(bytes.NewReader(text)); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("what was drawn is no XML: %v", err)
		}
	}
	if !bytes.Contains(text, []byte("core 0, host")) || !bytes.Contains(text, []byte("percentile of moments")) {
		t.Errorf("%s", text)
	}
	out, _ = program("jitter", "--for", "50ms", "--shared", "--mode", "host", "--threshold", "500ns", "--json")
	var r jitter.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.Schema != jitter.Schema || len(r.Results) == 0 || r.Results[0].Role != jitter.RoleOther ||
		r.Results[0].ThresholdNs < 499 || r.Results[0].ThresholdNs > 501 || r.Host.Fingerprint == "" {
		t.Errorf("%v: %+v", err, r.Host)
	}
	if err := os.WriteFile(b, []byte(out), 0o644); err != nil {
		t.Fatal(err)
	}
	code, out, errs := call("jitter", "diff", a, b)
	if code != 0 || !strings.Contains(out, "gaps begin at") || !strings.Contains(out, "only in the first report: core 0, runtime") || !strings.Contains(out, "delay_p99_99") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	code, out, _ = call("jitter", "diff", a, b, "--json")
	var d jitter.Difference
	if err := json.Unmarshal([]byte(out), &d); code != 0 || err != nil || len(d.Rows) == 0 {
		t.Errorf("exit %d, %v\n%s", code, err, out)
	}
}

func TestJitterRefuses(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.json")
	if err := os.WriteFile(bad, []byte(`{"schema":"ticktune.check/1"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	// A run that fails leaves a file as it was, and no new one.
	fresh := filepath.Join(dir, "fresh.json")
	for _, name := range []string{bad, fresh} {
		if code, _, _ := call("jitter", "--cores", "8000", "--out", name); code != tuning.ExitUsage {
			t.Errorf("exit %d", code)
		}
	}
	if text, err := os.ReadFile(bad); err != nil || len(text) == 0 {
		t.Errorf("%v: what was there is lost", err)
	}
	if _, err := os.Stat(fresh); err == nil {
		t.Error("a run that failed left a file")
	}
	for _, tc := range []struct {
		args []string
		want int
		text string
	}{
		{[]string{"jitter", "--for", "0s"}, tuning.ExitUsage, "no time to measure"},
		{[]string{"jitter", "--for", "-1s"}, tuning.ExitUsage, "no time to measure"},
		{[]string{"jitter", "--mode", "fast"}, tuning.ExitUsage, `mode "fast"`},
		{[]string{"jitter", "--cores", "5-4"}, tuning.ExitUsage, "--cores"},
		{[]string{"jitter", "--other", "x"}, tuning.ExitUsage, "--other"},
		{[]string{"jitter", "--cores", "1", "--other", "1"}, tuning.ExitUsage, "are there twice"},
		{[]string{"jitter", "--cores", "8000"}, tuning.ExitUsage, "not online"},
		{[]string{"jitter", "--threshold", "2s"}, tuning.ExitUsage, "threshold"},
		{[]string{"jitter", "--svg", filepath.Join(dir, "no", "x.svg")}, tuning.ExitUsage, "no such file"},
		{[]string{"jitter", "--root", dir}, tuning.ExitUsage, "this machine"},
		{[]string{"jitter", "now"}, tuning.ExitUsage, "one argument too many"},
		{[]string{"jitter", "diff", bad}, tuning.ExitUsage, "an argument is missing"},
		{[]string{"jitter", "diff", bad, bad}, tuning.ExitPlan, `schema "ticktune.check/1"`},
		{[]string{"jitter", "diff", bad + "x", bad}, tuning.ExitUsage, "no such file"},
	} {
		if code, out, errs := call(tc.args...); code != tc.want || !strings.Contains(errs, tc.text) || out != "" {
			t.Errorf("%v: exit %d, want %d with %q\n%s%s", tc.args, code, tc.want, tc.text, out, errs)
		}
	}
}
