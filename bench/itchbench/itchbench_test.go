package itchbench

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/bench/membench"
	"github.com/tickwire/tickwire/bench/meter"
	"github.com/tickwire/tickwire/sim/itchgen"
)

const symbolCount = 200

func day(t *testing.T, profile itchgen.Profile) *Day {
	t.Helper()
	g, err := itchgen.New(itchgen.Options{Messages: 60_000, Symbols: symbolCount, Seed: 7, Profile: profile})
	if err != nil {
		t.Fatal(err)
	}
	return &Day{Bytes: itchgen.AppendAll(nil, g, nil), Messages: g.Messages()}
}

// apart runs on a goroutine of its own: Run pins its thread, which ends with it.
func apart(d *Day, o Options) (r *Report, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		r, err = Run(d, o)
	}()
	<-done
	return r, err
}

// TestRun: a short day goes through every stage, cleanly; parts add up, and what scripts read is there.
func TestRun(t *testing.T) {
	for _, profile := range []itchgen.Profile{itchgen.Realistic, itchgen.Hostile} {
		r, err := apart(day(t, profile), Options{
			Runs: 3, Pass: 64, Core: meter.Core(0), Peer: meter.Core(1),
			Memory: membench.Options{Sizes: []int{2 << 20}, Loads: 1000, Touch: 2 << 20, Handovers: 1000},
		})
		if err != nil {
			t.Fatal(err)
		}
		if r.Faults() != 0 {
			t.Errorf("%d faults: %+v", r.Faults(), r.Stages)
		}
		cpu := func(i int) float64 { return r.Stages[i].CPU.Median } // others on the machine do not turn the order round
		if !(cpu(0) > 0 && cpu(0) < cpu(1) && cpu(1) < cpu(3) && cpu(2) > cpu(0) && cpu(4) > 0) || r.DecodeNs <= 0 || r.BooksNs <= 0 || r.PublishNs <= 0 {
			t.Errorf("%+v", r.Stages)
		}
		sum := 0.0
		for _, s := range r.Budget {
			sum += s.Ns
		}
		if math.Abs(sum-r.Stages[3].CPU.Median) > 1e-6*sum || len(r.Budget) != 5 {
			t.Errorf("the parts are %v and come to %v, not %v", r.Budget, sum, r.Stages[3].CPU.Median)
		}
		if r.Records < 1 || r.Orders == 0 || r.BookBytes == 0 || r.Memory == nil || len(r.Memory.Loads) != 2 || len(r.Memory.Loads[0].Dependent.Runs) != 3 {
			t.Errorf("%+v", r)
		}
		for _, s := range r.Stages {
			if len(s.Ns.Runs) != 3 || s.Ns.Min > s.Ns.Median || s.Ns.Median > s.Ns.Max || s.CPU.Min <= 0 || s.CPU.Median > s.Ns.Max*1.05 {
				t.Errorf("%+v", s)
			}
			// What the runtime does beside is not a message's; an instrument that is met for the first time in a session allocates.
			if s.Counts.Allocs > 50+2*symbolCount || s.Counts.GC != 0 {
				t.Errorf("stage %s: %v", s.Name, s.Counts)
			}
		}
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"machine", "messages", "bytes", "walk_ns", "decode_ns", "books_ns", "publish_ns", "ring_ns", "allocs", "gc", "stages", "budget", "memory", "pass", "core", "runs"} {
			if !strings.Contains(string(b), `"`+key+`":`) {
				t.Errorf("%s is not in the JSON", key)
			}
		}
	}
}

// TestFaults: a day that is not clean is told, in every run alike.
func TestFaults(t *testing.T) {
	d := day(t, itchgen.Realistic)
	d.Bytes = append(d.Bytes, 0, 19, 'D') // an order that never was
	d.Bytes = append(d.Bytes, make([]byte, 18)...)
	d.Messages++
	r, err := apart(d, Options{Runs: 2, Core: meter.NoCore, NoMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	if r.Faults() != 2 || r.Memory != nil { // one in stage books, one in stage publish
		t.Errorf("%d faults: %+v", r.Faults(), r.Stages)
	}
	d.Messages++
	if _, err := apart(d, Options{Runs: 1, Core: meter.NoCore, NoMemory: true}); err == nil || !strings.Contains(err.Error(), "stage walk") {
		t.Errorf("a day of fewer messages than it says: %v", err)
	}
}

func TestLoad(t *testing.T) {
	d := day(t, itchgen.Realistic)
	path := filepath.Join(t.TempDir(), "day.itch")
	if err := os.WriteFile(path, append(d.Bytes, 0, 0), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil || got.Messages != d.Messages || string(got.Bytes) != string(d.Bytes) {
		t.Errorf("%v: %+v messages, want %d", err, got, d.Messages)
	}
	if err := os.WriteFile(path, []byte{0, 0}, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil {
		t.Error("a file without messages was taken")
	}
}
