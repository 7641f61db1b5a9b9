package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/tuning"
	"github.com/tickwire/tickwire/tuning/top"
)

func TestTop(t *testing.T) {
	none := t.TempDir()
	code, out, errs := call("top", "--once", "--every", "100ms", "--ring-dir", none)
	if code != 0 || !strings.Contains(out, "core  role") || strings.Contains(out, "\x1b") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	args := []string{"top", "--once", "--json", "--every", "100ms", "--ring-dir", none}
	if runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64" {
		args = append(args, "--measure", "0")
	}
	code, out, errs = call(args...)
	var v top.View
	if err := json.Unmarshal([]byte(out), &v); code != 0 || err != nil || v.Schema != top.Schema || len(v.Cores) == 0 || len(args) > 7 && (v.Cores[0].Measured == nil || v.Cores[0].Measured.DelayNs <= 0) {
		t.Errorf("exit %d, %v\n%s%s", code, err, out, errs)
	}
	root, plan := machine(t, "mlx5")
	code, out, errs = call("top", "--once", "--every", "100ms", "--root", root, "--plan", plan, "--ring-dir", none)
	if code != 0 || !strings.Contains(out, "hot") || !strings.Contains(out, "not seen: ") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	for _, tc := range []struct{ args, text string }{
		{"--every 1ms", "less than 100ms"}, {"--measure 5-4", "--measure"}, {"--measure 8000", "not online"}, {"now", "one argument too many"},
	} {
		code, out, errs := call(append([]string{"top", "--once"}, strings.Fields(tc.args)...)...)
		if code != tuning.ExitUsage || out != "" || !strings.Contains(errs, tc.text) {
			t.Errorf("%s: exit %d\n%s%s", tc.args, code, out, errs)
		}
	}
}

// TestTopScreen runs it on a terminal: turns are drawn one over the other, and at the end the terminal is as it was.
func TestTopScreen(t *testing.T) {
	ours, theirs := terminal(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "top", "--every", "100ms", "--ring-dir", t.TempDir())
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Stdout, cmd.Stderr = theirs, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended, unless the test failed
	_ = theirs.Close()
	var seen bytes.Buffer
	b := make([]byte, 4096)
	for told := false; ; {
		n, err := ours.Read(b)
		seen.Write(b[:n])
		if err != nil { // EIO: nobody has the other end any more
			break
		}
		if !told && strings.Count(seen.String(), "\x1b[H") >= 3 {
			told = true
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after Control-C: %v", err)
	}
	text := seen.String()
	if !strings.HasPrefix(text, "\x1b[?1049h\x1b[?25l") || !strings.HasSuffix(text, "\x1b[?25h\x1b[?1049l") || !strings.Contains(text, "core  role") {
		t.Errorf("%q", text)
	}
}

// terminal is a pseudo terminal of 120 columns and 40 lines: our end and the program's.
func terminal(t *testing.T) (ours, theirs *os.File) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	t.Cleanup(func() { _ = ours.Close() })
	fd := int(ours.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 120}); err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}
