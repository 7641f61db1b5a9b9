package latbench

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

// TestRunEnd: each packet that a strategy can answer is answered, once, over the network both ways.
func TestRunEnd(t *testing.T) {
	o := tiny()
	o.Rates, o.Factor = []int{5_000}, 4
	r, err := RunEnd(o)
	if errors.Is(err, ErrRights) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Faults) != 0 {
		t.Error(r.Faults)
	}
	got := &r.Rates[0]
	if got.Expected == 0 || got.Answered != got.Expected || got.Lost != 0 {
		t.Errorf("%d orders of %d, %d records lost", got.Answered, got.Expected, got.Lost)
	}
	counted := uint64(got.Steady.All.Count + got.Burst.All.Count + got.Behind.All.Count)
	if counted == 0 || counted > got.Answered || counted < got.Answered/2 {
		t.Errorf("%d of %d counted", counted, got.Answered)
	}
	if q := got.Steady.All; q.P50 < 500 || q.P50 > q.P99 || q.P99 > q.Worst {
		t.Errorf("%+v", q)
	}
	if got.Lane.GC != 0 || got.Strategy.GC != 0 {
		t.Errorf("the collector ran: %v, %v", got.Lane, got.Strategy)
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"machine", "rates", "tick_to_trade", "p50_ns", "worst_ns", "answered", "expected", "sent_late"} {
		if !strings.Contains(string(b), `"`+key+`":`) {
			t.Errorf("%s is not in the JSON", key)
		}
	}
	var svg strings.Builder
	if err := r.Plot(0).Write(&svg); err != nil {
		t.Error(err)
	}
}

// TestSockets: an order arrives as it was sent, and what is none is not taken for one.
func TestSockets(t *testing.T) {
	in, at, err := listen(netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	defer in.close()
	out, err := dial(at)
	if err != nil {
		t.Fatal(err)
	}
	defer out.close()
	if _, ok := in.receive(); ok {
		t.Error("an order from nobody")
	}
	if !out.send(make([]byte, orderBytes)) || !out.send([]byte("short")) {
		t.Fatal("not sent")
	}
	e := eye{orders: out}
	e.answer(0xDEADBEEF)
	if e.sent != 1 || e.refused != 0 {
		t.Errorf("%d sent, %d refused", e.sent, e.refused)
	}
	for limit := time.Now().Add(20 * time.Second); ; {
		if sequence, ok := in.receive(); ok {
			if sequence != 0xDEADBEEF {
				t.Errorf("order %x", sequence)
			}
			break
		}
		if time.Now().After(limit) {
			t.Fatal("no order came in 20 s")
		}
	}
	if _, err := dialGroup(group, "no-such-interface"); err == nil {
		t.Error("an interface that is not there was taken")
	}
}
