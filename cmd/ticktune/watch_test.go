package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestWatch starts check --watch, changes the machine, and waits for the line that tells of it; SIGTERM ends it in peace.
func TestWatch(t *testing.T) {
	root, plan := machine(t, "mlx5")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "check", "--root", root, "--plan", plan, "--only", "nic.link", "--watch", "1s")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended, unless the test failed
	lines := bufio.NewScanner(out)
	until := func(part string) string {
		for lines.Scan() {
			if strings.Contains(lines.Text(), part) {
				return lines.Text()
			}
		}
		t.Fatalf("the program ended without a line with %q", part)
		return ""
	}
	until("PASS 1 ")
	if err := os.WriteFile(filepath.Join(root, "sys/class/net/eth2/carrier"), []byte("0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if line := until("nic.link"); !strings.Contains(line, "FAIL") || !strings.Contains(line, "(was PASS)") {
		t.Errorf("%q", line)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
}
