package fix_test

import (
	"testing"
	"time"

	session "github.com/tickwire/tickwire/feed/session/fix"
	simfix "github.com/tickwire/tickwire/sim/fix"
	"github.com/tickwire/tickwire/sim/fixgen"
)

func startVenue(t testing.TB, o simfix.Options) *simfix.Venue {
	t.Helper()
	o.Server.Address = "127.0.0.1:0"
	if o.Server.SenderCompID == "" {
		o.Server.SenderCompID = "VENUE"
	}
	if o.Server.Clients == nil {
		o.Server.Clients = []string{"ME"}
	}
	o.Server.Log = testLog(t)
	v, err := simfix.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	})
	return v
}

// Goal: our client at our server, all that happens at the venue arrives once and in order, and the books are the venue's. Every message of the server is
// legal by the version's dictionary. Method: a generated day as fast as it goes, books rebuilt by price.
func TestClientAndServer(t *testing.T) {
	for _, v := range session.Versions {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			const steps = 20_000
			venue := startVenue(t, simfix.Options{
				Server: session.ServerConfig{Versions: []session.Version{v}, QueueMessages: 1 << 20, QueueBytes: 256 << 20},
				Market: fixgen.Options{Seed: 7, Symbols: 30}, Rate: -1, Steps: steps, Held: true,
			})
			r := newReader(t, v)
			c, err := session.Open(session.Config{
				Session: session.Session{Version: v, SenderCompID: "ME", TargetCompID: "VENUE", Log: testLog(t)},
				Address: venue.Addr().String(), List: true, PerRequest: 7,
			}, r.take)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			until(t, time.Minute, "all books there", func() bool { return c.Status().Live == 30 })
			venue.Begin()
			whileMoving(t, "the day over", r.entryCount, func() bool {
				return venue.Steps() == steps && uint64(r.entryCount()) == venue.Counters().Entries.Load()
			})
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			r.check(t)
			for i := range 30 {
				symbol := fixgen.New(fixgen.Options{Symbols: 30}).Symbols()[i]
				b, _ := venue.Book(symbol)
				if err := r.same(symbol, &b, 5); err != nil {
					t.Error(err)
				}
			}
			w, x, trades := r.counts()
			if w != 30 || x == 0 || r.entryCount() < steps || trades < steps/20 {
				t.Errorf("%d W, %d X of %d entries, %d trades; want 30 W, at least %d entries and %d trades", w, x, r.entryCount(), trades, steps, steps/20)
			}
			if n := c.Counters(); n.Garbled.Load()+n.Malformed.Load()+n.Stale.Load()+n.Rejects.Load()+n.Gaps.Load() != 0 {
				t.Errorf("garbled %d, malformed %d, stale %d, rejects %d, gaps %d", n.Garbled.Load(), n.Malformed.Load(), n.Stale.Load(), n.Rejects.Load(), n.Gaps.Load())
			}
		})
	}
}
