package fix

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	session "github.com/tickwire/tickwire/feed/session/fix"
	"github.com/tickwire/tickwire/sim/fixgen"
)

// Goal: a client of the venue sees the day at the rate that was asked for, and halts where they were asked for.
func TestVenue(t *testing.T) {
	v, err := Start(Options{
		Server: session.ServerConfig{Address: "127.0.0.1:0", SenderCompID: "SIM", Clients: []string{"ME"}},
		Market: fixgen.Options{Symbols: 4}, Rate: 2000, Steps: 1000, Halts: 100, Held: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	var updates atomic.Int64
	k, err := session.Open(session.Config{
		Session: session.Session{Version: session.V44, SenderCompID: "ME", TargetCompID: "SIM"}, Address: v.Addr().String(), List: true,
	}, func(raw []byte, _ time.Time) {
		if strings.Contains(string(raw), "\x0135=X\x01") {
			updates.Add(int64(strings.Count(string(raw), "\x01279=")))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	wait := func(what string, good func() bool) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); !good(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("not yet ", what)
			}
		}
	}
	wait("live", func() bool { return k.Status().Live == 4 })
	begin := time.Now()
	v.Begin()
	wait("over", func() bool { return v.Steps() == 1000 })
	if took := time.Since(begin); took < 450*time.Millisecond {
		t.Errorf("1,000 steps at 2,000 a second took %v", took)
	}
	wait("all updates there", func() bool { return uint64(updates.Load()) == v.Counters().Entries.Load() })
	if _, ok := v.Book("SYM0004"); !ok {
		t.Error("no book of SYM0004")
	}
	if _, ok := v.Book("SYM0005"); ok {
		t.Error("a book of SYM0005")
	}
}
