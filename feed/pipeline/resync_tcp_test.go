package pipeline

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tickwire/tickwire/feed/resync"
	client "github.com/tickwire/tickwire/feed/session/glimpse"
	"github.com/tickwire/tickwire/sim/glimpse"
)

// TestRebuildOverTCP: the same as TestRebuild with everything real but the packets: a snapshot server, the client, the worker's goroutine.
func TestRebuildOverTCP(t *testing.T) {
	cfg := client.Config{User: "alice", Password: "secret", Silence: 2 * time.Second}
	w := newWorld(t, 77, 40_000, func(o *resync.Options) {
		o.LogBytes, o.Patience, o.Retry, o.MaxRetry = 1<<22, time.Minute, time.Millisecond, 5*time.Millisecond
		o.Fetch = func(ctx context.Context, session string, fn func([]byte, int) error) (uint64, error) {
			cfg := cfg
			cfg.Session = session
			return client.Fetch(ctx, cfg, fn)
		}
	})
	w.running, w.pace = true, 100_000
	venue := &named{State: &w.venue}
	venue.name.Store("SESSION")
	server, err := glimpse.NewServer(netip.MustParseAddrPort("127.0.0.1:0"), venue, glimpse.Options{User: "alice", Password: "secret"})
	must(t, err)
	defer server.Close()
	cfg.Server = server.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	var worker sync.WaitGroup
	worker.Go(func() { w.resync.Run(ctx) })
	defer worker.Wait()
	defer cancel()

	c := &w.half.Counters
	// until feeds the lane, as long as there are messages, until the condition holds.
	until := func(what string, condition func() bool) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); !condition(); time.Sleep(50 * time.Microsecond) {
			if w.IntN(3) == 0 {
				w.packet(1 + w.IntN(3))
			}
			w.tick()
			if time.Now().After(end) {
				t.Fatalf("%s: not in time: %+v %+v", what, *c, server.Counters())
			}
		}
	}
	closed := func(n int) func() bool { return func() bool { return w.closed == n && !w.lane.rebuild.active } }

	w.lane.SetNow(w.now)
	w.lane.SessionStart([10]byte([]byte("SESSION   ")))
	w.lose(5000)
	until("a late start", closed(1))
	w.packet(100)
	w.lose(50)
	until("a loss", closed(2))

	base := c.Failed
	failed := func() bool { return c.Failed > base+2 }
	venue.name.Store("OTHER") // its numbers may fit, and its orders are others
	w.lose(50)
	until("a snapshot of another session", failed)
	if w.closed != 2 || c.Rebuilt != 2 {
		t.Errorf("books of another session were joined: %+v", *c)
	}
	venue.name.Store("SESSION")
	until("a snapshot of the session", closed(3))

	base = c.Failed
	server.SetFaults(glimpse.Faults{CutAfter: 20})
	w.lose(50)
	until("a server that hangs up", failed)
	server.SetFaults(glimpse.Faults{Refuse: 'A'})
	until("a server that refuses", func() bool { return server.Counters().Rejected > 2 })
	server.SetFaults(glimpse.Faults{Late: 50 * time.Millisecond})
	until("a server that came to its senses", closed(4))

	server.SetFaults(glimpse.Faults{Shift: -3000})
	w.lose(10)
	until("a number from long ago", func() bool { return c.TooOld > 0 })
	server.SetFaults(glimpse.Faults{Silent: true})
	connections := server.Counters().Connections
	until("a silent server", func() bool { return server.Counters().Connections > connections })
	w.lane.SessionStart([10]byte{2}) // the session ends while a server says nothing: nobody waits for it
	if w.lane.rebuild.active || w.half.Logging() {
		t.Error("a rebuild outlives its session")
	}
	until("the end of the session", func() bool { w.half.Refresh(); return c.Abandoned > 0 })
}

// named is a venue whose session has any name.
type named struct {
	*glimpse.State
	name atomic.Value
}

func (n *named) Session() string { return n.name.Load().(string) }

// TestLoggingAllocatesNothing: neither while nothing is rebuilt, nor while messages are logged, nor while readers are told.
func TestLoggingAllocatesNothing(t *testing.T) {
	w := newWorld(t, 5, 20_000, func(o *resync.Options) { o.LogBytes = 1 << 24 })
	w.lane.SetNow(w.now)
	w.lane.SessionStart([10]byte{1})
	for w.at < 10_000 {
		w.packet(10)
		w.lane.EndPass()
	}
	var blocks []byte
	for _, m := range [][]byte{add(1<<20, 7, 'B', 300, 1_000_000), msg('D', 7, 17, uint64(1<<20))} {
		blocks = append(append(blocks, 0, byte(len(m))), m...)
	}
	next := uint64(w.at + 1)
	pass := func() {
		w.now += 1000
		w.lane.SetNow(w.now)
		w.lane.Messages(blocks, next, 2, arrival(w.now))
		w.lane.EndPass()
		next += 2
	}
	pass()
	if n := testing.AllocsPerRun(500, pass); n != 0 {
		t.Errorf("%g allocations a pass while nothing is rebuilt", n)
	}
	w.lane.Gap(lostGap(next, next+4))
	next += 5
	if n := testing.AllocsPerRun(500, pass); n != 0 || w.half.Counters.Logged == 0 {
		t.Errorf("%g allocations a pass while %d messages are logged", n, w.half.Counters.Logged)
	}
	for n := 0; w.sent < 10_000; n++ {
		w.venue.Apply(w.messages[w.sent])
		w.sent++
	}
	if !w.worker.Begin() {
		t.Fatal("nothing is wanted")
	}
	snapshot, _ := w.venue.Snapshot(nil)
	must(t, w.worker.Snapshot(snapshot, blocksIn(snapshot)))
	must(t, w.worker.End(next))
	for st := resync.Working; st == resync.Working; {
		var err error
		st, err = w.worker.Step(1)
		must(t, err)
	}
	pass() // the exchange
	if w.lane.rebuild.shadow == nil {
		t.Fatalf("no exchange: %+v", w.half.Counters)
	}
	told := w.half.Counters.Republished
	if n := testing.AllocsPerRun(100, pass); n != 0 || w.half.Counters.Republished == told {
		t.Errorf("%g allocations a pass while %d records are told", n, w.half.Counters.Republished-told)
	}
}
