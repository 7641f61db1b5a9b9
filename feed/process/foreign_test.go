package process

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/internal/netns/nstest"
	"github.com/tickwire/tickwire/sim/glimpse"
)

// TestForeignSnapshot: a feed that joins late wants a snapshot, and does not take one of another session than its channel's, whose numbers would fit: it says so, and
// tries again. With snapshot_session = "any" it takes what it is offered.
func TestForeignSnapshot(t *testing.T) {
	p := nstest.Pair(t, netns.Options{Pairs: 2})
	for _, tc := range []struct {
		session, more string
		taken         bool
	}{
		{"SESSION001", "", true},
		{"SESSION002", "", false},
		{"SESSION002", "recovery.snapshot_session = \"any\"\n", true},
	} {
		t.Run(tc.session+" "+tc.more, func(t *testing.T) {
			venue := &glimpse.State{}
			venue.Begin(tc.session)
			for n := uint64(1); n <= 150; n++ {
				venue.Apply(addOrder(n))
			}
			var server *glimpse.Server
			must(t, p.Tx.Do(func() (err error) { server, err = glimpse.NewServer(txServer, venue, glimpse.Options{}); return err }))
			defer server.Close()
			r := spawn(t, p, t.TempDir(), fmt.Sprintf("source = \"udp\"\nrecovery.snapshot = %q\n%s", server.Addr(), tc.more))
			w := plug(t, p)
			for n := uint64(100); n < 160; n++ { // what packet makes has session SESSION001
				_, err := w.lines[0].Send([][]byte{packet(n, 1)})
				must(t, err)
			}
			if tc.taken {
				r.wait(t, "0.resync.rebuilt", 1)
				if k := r.counters(t); k["0.resync.failed"] != 0 || k["0.resync.orders"] == 0 {
					t.Errorf("%v", moved(k))
				}
				return
			}
			for until := time.Now().Add(patience); r.counters(t)["0.resync.failed"] < 2; time.Sleep(5 * time.Millisecond) {
				if time.Now().After(until) {
					t.Fatalf("%v; the process said:\n%s", moved(r.counters(t)), r.said)
				}
			}
			if k := r.counters(t); k["0.resync.rebuilt"] != 0 || k["0.resync.orders"] != 0 || k["0.resync.live_state"] != 1 {
				t.Errorf("%v", moved(k))
			}
			if said := r.said.String(); !strings.Contains(said, "snapshot is of another session") || !strings.Contains(said, "SESSION002") || !strings.Contains(said, "snapshot_session") {
				t.Errorf("said:\n%s", said)
			}
		})
	}
}
