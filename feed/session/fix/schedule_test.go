package fix_test

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	session "github.com/tickwire/tickwire/feed/session/fix"
	simfix "github.com/tickwire/tickwire/sim/fix"
	"github.com/tickwire/tickwire/sim/fixgen"
)

// closing is a schedule that ends after open, and begins anew a pause later. It says when.
func closing(open, pause time.Duration) (s session.Schedule, end, start time.Time) {
	end = time.Now().UTC().Add(open).Truncate(time.Second)
	start = end.Add(pause)
	return session.Schedule{Start: start.Format(time.TimeOnly), End: end.Format(time.TimeOnly)}, end, start
}

// Goal: at the end of a schedule's window a session logs out, in the pause nobody is let in, and with the next window it is up again with numbers from 1, on both
// sides. Method: a window that ends in some seconds, and begins anew a few later; a machine too slow to be logged on by then gets a longer one.
func TestSchedule(t *testing.T) {
	t.Parallel()
	for _, open := range []time.Duration{6 * time.Second, 20 * time.Second, time.Minute} {
		if inWindow(t, open) {
			return
		}
	}
	t.Fatal("never logged on before the window's end")
}

func inWindow(t *testing.T, open time.Duration) bool {
	schedule, end, start := closing(open, 4*time.Second)
	venueName := "TIMED" + strconv.Itoa(int(open.Seconds())) // the library knows a name once
	venue := startVenue(t, simfix.Options{
		Server: session.ServerConfig{SenderCompID: venueName, Versions: []session.Version{session.V44}, Clients: []string{"ME", "HAND"}, StoreDir: t.TempDir(), Schedule: schedule},
		Market: fixgen.Options{Symbols: 2}, Rate: 50,
	})
	var mu sync.Mutex
	type window struct { // what is handed out, cut where numbers begin anew
		first, last int
		began       time.Time
	}
	var windows []window
	c, err := session.Open(session.Config{
		Session: session.Session{Version: session.V44, SenderCompID: "ME", TargetCompID: venueName, StoreDir: t.TempDir(), Schedule: schedule, Log: testLog(t)},
		Address: venue.Addr().String(), List: true, Depth: 5, RetryLeast: 100 * time.Millisecond, RetryMost: 300 * time.Millisecond,
	}, func(raw []byte, recv time.Time) {
		mu.Lock()
		defer mu.Unlock()
		number, _ := strconv.Atoi(fieldOf(raw, "34"))
		if n := len(windows); n == 0 || number <= windows[n-1].last {
			windows = append(windows, window{first: number, began: recv})
		}
		windows[len(windows)-1].last = number
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	hand := dialVenue(t, session.V44, venue.Addr().String())
	hand.we, hand.they = "HAND", venueName
	hand.logon("")
	if m, err := hand.read(time.Until(end)); err != nil {
		t.Logf("no Logon in %v: %q, %v", open, m, err)
		return false
	}
	for c.Status().Live < 2 {
		if time.Sleep(5 * time.Millisecond); time.Now().After(end) {
			return false
		}
	}
	m, err := hand.read(time.Until(end) + time.Minute)
	for err == nil && (strings.Contains(m, "|35=0|") || strings.Contains(m, "|35=1|")) { // a long window has heartbeats, and asks for those of a client that sends none
		m, err = hand.read(time.Until(end) + time.Minute)
	}
	if err != nil || !strings.Contains(m, "|35=5|") || time.Now().Before(end) {
		t.Fatalf("%q, %v before %v; want Logout at the end", m, err, end)
	}
	_, _ = hand.conn.Write(wire(hand.v.BeginString(), hand.fields("5|"))) // it may be closed by now
	hand.expectClosed()
	// A machine that is late may be in the next window by now: then there is nothing to be seen of the pause.
	if early := dialVenue(t, session.V44, venue.Addr().String()); time.Until(start) > time.Second {
		early.we, early.they, early.seq = "HAND", venueName, hand.seq
		early.logon("")
		if m, err := early.read(time.Until(start)); err == nil && time.Now().Before(start) {
			t.Errorf("in the pause: %q", m)
		}
		early.close()
	}
	until(t, time.Minute, "the client is up again", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(windows) > 1 && c.Status().Up && c.Status().Live == 2
	})
	mu.Lock()
	defer mu.Unlock()
	if w := windows[0]; w.first != 2 || w.last < 3 {
		t.Errorf("in the first window numbers %d to %d, want 2, behind the Logon, and on", w.first, w.last)
	}
	if w := windows[1]; w.first != 2 || w.began.Before(start) || len(windows) > 2 {
		t.Errorf("up again with number %d, %v behind the window's begin; %d windows", w.first, w.began.Sub(start), len(windows))
	}
	if n := c.Counters().Logouts.Load(); n != 1 {
		t.Errorf("%d logouts, want 1", n)
	}
	again := dialVenue(t, session.V44, venue.Addr().String())
	again.we, again.they = "HAND", venueName
	again.logon("") // with 1
	again.expect("35=A", "34=1")
	return true
}
