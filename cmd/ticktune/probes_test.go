package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/tuning"
)

// TestCheckMeasures is on this machine: what is measured is in the report, and says on what.
func TestCheckMeasures(t *testing.T) {
	h, err := tuning.Open("/", nil)
	if err != nil {
		t.Fatal(err)
	}
	online := h.Online()
	code, out, errs := call("check", "--profile", "vm", "--cores", online.String(), "--only", "cpu.freq,time.tsc_sync,net.backlog", "--for", "200ms", "--measure")
	if code != tuning.ExitOK && code != tuning.ExitFail || errs != "" {
		t.Fatalf("%d %s %s", code, out, errs)
	}
	if !strings.Contains(out, " MHz") || len(online) > 1 && !strings.Contains(out, " ns apart") && !strings.Contains(out, "not an x86") || !strings.Contains(out, "squeezed in ") {
		t.Errorf("%s", out)
	}
}

func TestIntervalsThatAreNone(t *testing.T) {
	for _, args := range [][]string{{"--for", "1ms"}, {"--for", "2h"}, {"--for", "-1s"}, {"--measure", "--root", t.TempDir()}} {
		if code, _, errs := call(append([]string{"check"}, args...)...); code != tuning.ExitUsage {
			t.Errorf("%v: %d %s", args, code, errs)
		}
	}
}

// TestAskPTP asks a real ptp4l, which is found by the options it was started with.
func TestAskPTP(t *testing.T) {
	program, err := exec.LookPath("ptp4l")
	if err != nil {
		t.Skip("no ptp4l here: apt install linuxptp")
	}
	if os.Geteuid() != 0 {
		t.Skip("ptp4l needs root")
	}
	h, err := tuning.Open("/", nil)
	if err != nil {
		t.Fatal(err)
	}
	// Another one on this machine would be asked as well: then nothing follows from what is said.
	own := 0
	alone := func() {
		t.Helper()
		h.Refresh(time.Now())
		for _, task := range h.Running("ptp4l") {
			if task.PID != own {
				t.Skip("another ptp4l runs on this machine")
			}
		}
	}
	askPTP(t.Context(), h)
	if said, err := h.Probes.PTP4L(0); !errors.Is(err, unix.ENOENT) {
		alone()
		t.Fatalf("none runs: %+v, %v", said, err)
	}
	socket := filepath.Join(t.TempDir(), "ptp4l")
	cmd := exec.CommandContext(t.Context(), program, "-i", "lo", "-S", "--uds_address="+socket, "--domainNumber=24")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	own = cmd.Process.Pid
	t.Cleanup(func() { _ = cmd.Process.Signal(unix.SIGTERM); _ = cmd.Wait() }) // it takes its sockets away
	deadline := time.Now().Add(20 * time.Second)
	for {
		said, err := h.Probes.PTP4L(0)
		if err == nil {
			alone()
			if len(said.Ports) != 1 || !slices.Contains([]string{"INITIALIZING", "LISTENING", "MASTER", "GRAND_MASTER", "FAULTY"}, said.Ports[0]) || said.GMPresent {
				t.Errorf("%+v", said)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if said, err := h.Probes.PTP4L(3); err == nil || errors.Is(err, unix.ENOENT) {
		alone()
		t.Errorf("another domain: %+v, %v", said, err)
	}
}
