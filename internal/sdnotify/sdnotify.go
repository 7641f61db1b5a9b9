// Package sdnotify tells the service manager how a process is, by systemd's protocol (sd_notify(3)): one datagram of
// NAME=value lines to the socket that NOTIFY_SOCKET names.
//
//	READY=1        started: rings are there and groups joined, or ports listen
//	STATUS=…       a line for systemctl status
//	WATCHDOG=1     alive; what does not say so for WatchdogSec is killed and started again
//	STOPPING=1     told to end
//
// Without NOTIFY_SOCKET, or where the manager does not listen, everything here does nothing: no process depends on it.
// Nothing of it is for a lane: each call enters the kernel.
package sdnotify

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// Manager is who started this process. A nil one is nobody.
type Manager struct {
	addr     net.UnixAddr
	watchdog time.Duration // 0: nobody waits for signs of life
}

// The environment's variables. WATCHDOG_PID is there so that a child does not answer for its parent.
const (
	envSocket = "NOTIFY_SOCKET"
	envPeriod = "WATCHDOG_USEC"
	envFor    = "WATCHDOG_PID"
)

// sendFor bounds a call when the manager does not read: it is late, and so may we be, but not for ever.
const sendFor = time.Second

// FromEnvironment takes the manager's variables out of the environment, so that no child speaks in our name. It returns nil when
// nobody wants to hear. A variable that cannot be read is an error, and the Manager then goes without what it says.
func FromEnvironment() (*Manager, error) {
	socket, period, pid := os.Getenv(envSocket), os.Getenv(envPeriod), os.Getenv(envFor)
	for _, name := range []string{envSocket, envPeriod, envFor} {
		_ = os.Unsetenv(name) // fails for a bad name only
	}
	if socket == "" {
		return nil, nil
	}
	if socket[0] != '/' && socket[0] != '@' {
		return nil, fmt.Errorf("sdnotify: %s=%q, want a path or an abstract socket (@name)", envSocket, socket)
	}
	m := &Manager{addr: net.UnixAddr{Name: socket, Net: "unixgram"}} // net makes @ the zero byte of an abstract name
	if period == "" || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return m, nil
	}
	micros, err := strconv.ParseUint(period, 10, 63)
	if err != nil || micros == 0 || micros > uint64(time.Duration(1<<63-1)/time.Microsecond) {
		return m, fmt.Errorf("sdnotify: %s=%q, want microseconds", envPeriod, period)
	}
	m.watchdog = time.Duration(micros) * time.Microsecond
	return m, nil
}

// Ready says that the process does its work from now on. status is a line for people.
func (m *Manager) Ready(status string) error {
	return m.send("READY=1\nSTATUS=" + oneLine(status))
}

// Status is a line for people: what systemctl status shows.
func (m *Manager) Status(status string) error { return m.send("STATUS=" + oneLine(status)) }

// Stopping says that the process was told to end and does so.
func (m *Manager) Stopping() error { return m.send("STOPPING=1") }

// Watch gives a sign of life three times each WatchdogSec until ctx ends, as long as alive returns nil. What it returns else is
// told to the manager as the status and to tell, each time that it changes, "" when it is over. It returns at once when nobody waits.
func (m *Manager) Watch(ctx context.Context, alive func() error, tell func(fault string, err error)) {
	if m == nil || m.watchdog == 0 {
		return
	}
	tick := time.NewTicker(max(m.watchdog/3, time.Millisecond))
	defer tick.Stop()
	told := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		fault := ""
		var err error
		if dead := alive(); dead != nil {
			fault = dead.Error()
		} else {
			err = m.send("WATCHDOG=1")
		}
		if fault == told && err == nil {
			continue
		}
		if fault != told {
			err = errors.Join(err, m.Status(fault))
		}
		told = fault
		tell(fault, err)
	}
}

func (m *Manager) send(text string) error {
	if m == nil {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &m.addr)
	if err != nil {
		return fmt.Errorf("sdnotify: %w", err)
	}
	defer c.Close()
	if err := c.SetWriteDeadline(time.Now().Add(sendFor)); err != nil {
		return fmt.Errorf("sdnotify: %w", err)
	}
	if _, err := c.Write([]byte(text)); err != nil {
		return fmt.Errorf("sdnotify: %w", err)
	}
	return nil
}

// oneLine keeps a status from being read as further assignments.
func oneLine(s string) string { return strings.ReplaceAll(s, "\n", "; ") }
