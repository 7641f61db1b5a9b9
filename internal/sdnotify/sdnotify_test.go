package sdnotify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// manager listens as systemd does.
func manager(t *testing.T, name string) *net.UnixConn {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// heard is the next datagram.
func heard(t *testing.T, c *net.UnixConn) string {
	t.Helper()
	b := make([]byte, 4096)
	if err := c.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

func TestReady(t *testing.T) {
	for _, socket := range []string{
		filepath.Join(t.TempDir(), "notify"),
		fmt.Sprintf("@tickwire-test-%d", os.Getpid()), // abstract, as in containers
	} {
		t.Run(socket[:1], func(t *testing.T) {
			c := manager(t, socket)
			t.Setenv(envSocket, socket)
			t.Setenv(envPeriod, "3000000")
			t.Setenv(envFor, strconv.Itoa(os.Getpid()))
			m, err := FromEnvironment()
			if err != nil {
				t.Fatal(err)
			}
			if m.watchdog != 3*time.Second {
				t.Errorf("watchdog %s, want 3s", m.watchdog)
			}
			for _, name := range []string{envSocket, envPeriod, envFor} {
				if v, there := os.LookupEnv(name); there {
					t.Errorf("%s=%s is left for children", name, v)
				}
			}
			if err := errors.Join(m.Ready("2 lanes\nREADY=0"), m.Status("a line"), m.Stopping()); err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"READY=1\nSTATUS=2 lanes; READY=0", "STATUS=a line", "STOPPING=1"} {
				if got := heard(t, c); got != want {
					t.Errorf("heard %q, want %q", got, want)
				}
			}
		})
	}
}

func TestEnvironment(t *testing.T) {
	for _, tc := range []struct{ name, socket, period, pid, fault string }{
		{"none", "", "", "", ""},
		{"a watchdog without a socket", "", "1000000", "", ""},
		{"no path", "notify", "", "", `"notify", want a path`},
		{"a child's watchdog", "/run/x", "1000000", "1", ""},
		{"not a number", "/run/x", "soon", "", `"soon", want microseconds`},
		{"zero", "/run/x", "0", "", "want microseconds"},
		{"more than a Duration holds", "/run/x", "9223372036854775807", "", "want microseconds"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv(envSocket, tc.socket)
			t.Setenv(envPeriod, tc.period)
			t.Setenv(envFor, tc.pid)
			m, err := FromEnvironment()
			if tc.fault == "" && err != nil || tc.fault != "" && (err == nil || !strings.Contains(err.Error(), tc.fault)) {
				t.Errorf("error %v, want %q", err, tc.fault)
			}
			if m != nil && m.watchdog != 0 {
				t.Errorf("watchdog %s, want none", m.watchdog)
			}
			m.Watch(context.Background(), nil, nil) // returns
			if tc.socket == "" && errors.Join(m.Ready(""), m.Status(""), m.Stopping()) != nil {
				t.Error("nobody listens, and that is an error")
			}
		})
	}
	gone := &Manager{addr: net.UnixAddr{Name: filepath.Join(t.TempDir(), "gone"), Net: "unixgram"}}
	if err := gone.Ready(""); err == nil || !strings.Contains(err.Error(), "sdnotify: ") {
		t.Errorf("a manager that is gone: %v", err)
	}
}

// TestWatch: signs of life come while there is life, and a fault is told once.
func TestWatch(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	c := manager(t, socket)
	m := &Manager{addr: net.UnixAddr{Name: socket, Net: "unixgram"}, watchdog: 30 * time.Millisecond}
	ctx, end := context.WithCancel(t.Context())
	var stuck atomic.Bool
	var asked atomic.Int64
	told := make(chan string, 16)
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.Watch(ctx, func() error {
			asked.Add(1)
			if stuck.Load() {
				return errors.New("lane 0 stands still")
			}
			return nil
		}, func(fault string, err error) {
			if err != nil {
				t.Error(err)
			}
			told <- fault
		})
	}()
	for range 3 {
		if got := heard(t, c); got != "WATCHDOG=1" {
			t.Fatalf("heard %q", got)
		}
	}
	stuck.Store(true)
	for got := "WATCHDOG=1"; got == "WATCHDOG=1"; { // those that were under way
		if got = heard(t, c); got != "WATCHDOG=1" && got != "STATUS=lane 0 stands still" {
			t.Fatalf("heard %q", got)
		}
	}
	if got := <-told; got != "lane 0 stands still" {
		t.Errorf("told %q", got)
	}
	for before := asked.Load(); asked.Load() < before+3; time.Sleep(time.Millisecond) {
	}
	if len(told) != 0 {
		t.Errorf("told again: %q", <-told)
	}
	stuck.Store(false)
	if got := heard(t, c); got != "WATCHDOG=1" {
		t.Errorf("heard %q after the fault", got)
	}
	if got := heard(t, c); got != "STATUS=" {
		t.Errorf("heard %q, want the status taken back", got)
	}
	if got := <-told; got != "" {
		t.Errorf("told %q, want that it is over", got)
	}
	end()
	<-done
}
