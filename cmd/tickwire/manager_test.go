package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestServiceManager starts the processes that units start as systemd does (a notify socket, a watchdog) and listens: each is ready,
// alive, and stops when it is told to; the children of run are silent. A feed that crashes is started again: not taken for one whose
// configuration is wrong, as the runtime's own exit code would have it.
func TestServiceManager(t *testing.T) {
	if !haveDuckDB {
		t.Skip("built without cgo: no serve")
	}
	dir := t.TempDir()
	sql, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	group, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(group, ":")
	config := filepath.Join(dir, "c.toml")
	if err := os.WriteFile(config, fmt.Appendf(nil, `
[instance]
name = "m"
ring_dir = %[1]q
run_dir = %[1]q
[[feed]]
name = "f"
source = "udp"
idle = "block"
[feed.rings]
mbo = 4096
[[feed.channel]]
[[feed.channel.line]]
interface = "lo"
group = "239.255.73.1:%[2]s"
[serve]
sql = %[3]q
memory = "128MiB"
`, dir, port, sql), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		status string
		args   []string
	}{
		{"1 lane(s), udp", []string{"feed", "f"}},
		{"SQL on " + sql, []string{"serve"}},
		{"2 processes", []string{"run"}},
	} {
		t.Run(tc.args[0], func(t *testing.T) {
			socket := filepath.Join(t.TempDir(), "notify")
			l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			c := exec.Command(tickwireBinary(t), append(tc.args, "--config", config)...)
			c.Env = append(os.Environ(), "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=300000")
			log, err := os.Create(filepath.Join(t.TempDir(), "log"))
			if err != nil {
				t.Fatal(err)
			}
			defer log.Close()
			c.Stdout, c.Stderr = log, log
			told := func() string {
				text, _ := os.ReadFile(log.Name())
				return string(text)
			}
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			defer c.Process.Kill()
			next := func() string {
				t.Helper()
				b := make([]byte, 4096)
				if err := l.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
					t.Fatal(err)
				}
				n, err := l.Read(b)
				if err != nil {
					t.Fatalf("%v\n%s", err, told())
				}
				return string(b[:n])
			}
			if got, want := next(), "READY=1\nSTATUS="+tc.status; got != want {
				t.Fatalf("heard %q, want %q", got, want)
			}
			if got := next(); got != "WATCHDOG=1" {
				t.Errorf("heard %q, want a sign of life", got)
			}
			if tc.args[0] == "run" {
				crash(t, dir, told)
			}
			if err := c.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			got := "WATCHDOG=1"
			for got == "WATCHDOG=1" {
				got = next()
			}
			if got != "STOPPING=1" {
				t.Errorf("heard %q, want that it stops; and READY once, from the process itself", got)
			}
			if err := c.Wait(); err != nil {
				t.Errorf("ended with %v\n%s", err, told())
			}
		})
	}
}

// crash has the feed of a supervisor die as the Go runtime dies of a panic, and waits for the next one.
func crash(t *testing.T, dir string, told func() string) {
	t.Helper()
	feed := func(other int) (pid int) {
		t.Helper()
		for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
			infos, err := processes(&where{ringDir: dir})
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			for _, p := range infos {
				if p.Process == "f" && p.Alive && p.PID != other {
					return p.PID
				}
			}
			if time.Now().After(end) {
				t.Fatalf("no feed but %d within a minute\n%s", other, told())
			}
		}
	}
	first := feed(0)
	if err := syscall.Kill(first, syscall.SIGQUIT); err != nil { // the runtime's own: it prints the stacks, and ends as after a panic
		t.Fatal(err)
	}
	feed(first)
}
