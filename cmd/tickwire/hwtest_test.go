package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tickwire/tickwire/hwtest"
	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/nic/afxdp"
)

// hwtestRun runs tickwire hwtest in this process, which is not to start itself anew without the runtime's signals.
func hwtestRun(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	t.Setenv("GODEBUG", "asyncpreemptoff=1")
	var o, e bytes.Buffer
	code = run(append([]string{"hwtest"}, args...), strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

// TestHwtestUsage: what is wrong with a command line is said before anything is measured.
func TestHwtestUsage(t *testing.T) {
	notDir := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(notDir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"--only", "engine"}, `there is no group "engine"`},
		{[]string{"--profile", "race"}, "want colo, lab or vm"},
		{[]string{"--nic", "eth7"}, "1 ports and 0 peers"},
		{[]string{"--limit", "latency"}, "want test=value"},
		{[]string{"--limit", "no.such=1"}, `no threshold "no.such"`},
		{[]string{"--cores", "x"}, "--cores"},
		{[]string{"--out", filepath.Join(notDir, "x")}, "not a directory"},
		{[]string{"--plan", filepath.Join(notDir, "x")}, "not a directory"},
		{[]string{"surplus"}, "surplus"},
		{[]string{"compare", "one.json"}, "an argument is missing"},
		{[]string{"--rate", "NaN"}, "NaN packets"},
		{[]string{"--limit", "disk.write=Inf"}, "disk.write: +Inf"},
		{[]string{"compare", "--tolerance", "-1", "a", "b"}, "--tolerance"},
		{[]string{"compare", "--tolerance", "NaN", "a", "b"}, "--tolerance"},
	} {
		if code, out, errs := hwtestRun(t, tc.args...); code != exitUsage || !strings.Contains(errs, tc.want) || out != "" {
			t.Errorf("%v: exit %d, %q, want %q; it printed %q", tc.args, code, errs, tc.want, out)
		}
	}
	if code, out, _ := hwtestRun(t, "--list", "--profile", "vm"); code != exitOK || !strings.Contains(out, "failover") || !strings.Contains(out, "latency.stamp_to_ring.p50") {
		t.Errorf("--list: exit %d:\n%s", code, out)
	}
}

// TestHwtestReport: what needs no rights is measured and written, and two reports are compared.
func TestHwtestReport(t *testing.T) {
	dir := t.TempDir()
	args := []string{"--profile", "vm", "--quick", "--only", "inventory,disk,persistence", "--dir", dir, "--limit", "disk.write=0.001", "--limit", "disk.fsync_p99=1e12", "--out", dir}
	code, out, errs := hwtestRun(t, args...)
	if code != exitOK || !strings.Contains(out, "it is no qualification for the profile vm") || !strings.Contains(out, "written: ") {
		t.Fatalf("exit %d: %s\n%s", code, errs, out)
	}
	page, err := os.ReadFile(filepath.Join(dir, reportHTML))
	if err != nil || !bytes.Contains(page, []byte("disk.fsync_p99")) {
		t.Errorf("the page: %v", err)
	}
	one := filepath.Join(dir, reportJSON)
	if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || left != nil {
		t.Errorf("left: %v, %v", left, err)
	}
	if code, out, _ := hwtestRun(t, "compare", one, one); code != exitOK || !strings.Contains(out, "0 better, 0 worse") {
		t.Errorf("a report with itself: exit %d: %s", code, out)
	}
	code, out, errs = hwtestRun(t, "--profile", "vm", "--only", "persistence", "--since", one, "--json")
	if code != exitOK {
		t.Fatalf("--since: exit %d: %s", code, errs)
	}
	r, err := hwtest.Read(strings.NewReader(out))
	if err != nil || len(r.Groups) != 1 || *r.Groups[0].Tests[0].Value != 0 {
		t.Errorf("--since a moment ago: %v\n%s", err, out)
	}
	// A threshold that nothing keeps: exit 1, and so does the comparison.
	worse := filepath.Join(dir, "worse")
	if code, _, errs := hwtestRun(t, "--profile", "colo", "--quick", "--only", "disk", "--dir", dir, "--limit", "disk.write=1e9", "--out", worse); code != exitFailed && !inMemory(t, worse) {
		t.Errorf("a threshold that nothing keeps: exit %d: %s", code, errs)
	}
	code, out, _ = hwtestRun(t, "compare", "--json", one, filepath.Join(worse, reportJSON))
	var c hwtest.Comparison
	if err := json.Unmarshal([]byte(out), &c); err != nil || code != exitFailed && !inMemory(t, worse) || len(c.Notes) == 0 {
		t.Errorf("compared: exit %d, %v:\n%s", code, err, out)
	}
	if code, _, errs := hwtestRun(t, "compare", one, filepath.Join(dir, reportHTML)); code != exitFailed || !strings.Contains(errs, "no report of hwtest") {
		t.Errorf("a page compared: exit %d: %s", code, errs)
	}
}

// TestHwtestDeliver: what goes wrong after all was measured is told, and the report is there all the same.
func TestHwtestDeliver(t *testing.T) {
	r, after := &hwtest.Report{Schema: hwtest.Schema}, errors.New("port eth2: its stamping is not as before")
	f := &hwtestFlags{out: t.TempDir(), asJSON: true}
	var out bytes.Buffer
	if err := f.deliver(&out, r, after); !errors.Is(err, after) {
		t.Errorf("it is not told: %v", err)
	}
	file, err := os.ReadFile(filepath.Join(f.out, reportJSON))
	if err != nil || !bytes.Equal(file, out.Bytes()) || len(file) == 0 {
		t.Errorf("the report: %v\n%s\n%s", err, file, out.String())
	}
}

// inMemory says that the folder of tests is on no disk: then it was not judged.
func inMemory(t *testing.T, dir string) bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, reportJSON))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(text, []byte("is memory: name a folder"))
}

// TestHwtestFeed: the binary itself is the feed of its own test, in namespaces.
func TestHwtestFeed(t *testing.T) {
	if why := afxdp.Missing(); why != "" || os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal(why)
		}
		t.Skipf("packets take root: %s", why)
	}
	c := exec.CommandContext(t.Context(), tickwireBinary(t), "hwtest", "--profile", "vm", "--quick", "--for", "200ms", "--only", "soak", "--json")
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v: %s\n%s", err, errs.String(), out)
	}
	r, err := hwtest.Read(bytes.NewReader(out))
	if err != nil || r.Failed() || r.Wires == nil || len(r.Groups) != 1 || r.Groups[0].Summary.Pass < 3 {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestHwtestHangup: a terminal that goes, in the middle of a run, leaves nothing behind; under nohup the run goes on.
func TestHwtestHangup(t *testing.T) {
	if why := afxdp.Missing(); why != "" || os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal(why)
		}
		t.Skipf("packets take root: %s", why)
	}
	hangups := make(chan os.Signal, 1) // a signal that is caught here is as usual in a child; one that was ignored from the start, as below nohup, would be ignored there too
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	for _, nohup := range []bool{false, true} {
		args := []string{tickwireBinary(t), "hwtest", "--profile", "vm", "--for", "1m", "--only", "latency"}
		if nohup {
			args = append([]string{"sh", "-c", `trap '' HUP; exec "$@"`, "sh"}, args...)
		}
		c := exec.CommandContext(t.Context(), args[0], args[1:]...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- c.Wait() }()
		spaces := func() []string {
			found, _ := filepath.Glob(fmt.Sprintf("/run/netns/%s%d-*", netns.Prefix, c.Process.Pid))
			return found
		}
		const patience = 30 * time.Second
		for until := time.Now().Add(patience); len(spaces()) < 2; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(until) {
				_ = c.Process.Kill()
				t.Fatal("the run makes no namespaces")
			}
		}
		_ = c.Process.Signal(syscall.SIGHUP)
		if nohup {
			select {
			case err := <-ended:
				t.Errorf("under nohup it ended with %v", err)
				continue
			case <-time.After(time.Second):
				_ = c.Process.Signal(syscall.SIGTERM)
			}
		}
		select {
		case <-ended:
		case <-time.After(2 * patience):
			_ = c.Process.Kill()
			t.Error("it does not end")
		}
		if left := spaces(); c.ProcessState == nil || c.ProcessState.ExitCode() != exitFailed || left != nil {
			t.Errorf("nohup %v: it ended with %v and left %v", nohup, c.ProcessState, left)
		}
	}
}
