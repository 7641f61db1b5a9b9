package ringbuf

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"
)

// Goal: no reader ever accepts a record that was not written whole. Method: the smallest ring, a writer in another
// process at full speed, so that slots are overwritten while they are copied; payloads that name their record. A
// writer that publishes last but marks nothing is caught by the same reading, so the test can fail.

const (
	tornFor  = 350 * time.Millisecond // a reader's turn
	tornMost = 40                     // turns on a machine that has other work to do, at most
	tornRead = 500                    // records that must have been read while the writer lapped the reader
)

func TestTornReads(t *testing.T) {
	prog := buildC(t, "gcc", "c99", "testdata/ringcheck.c")
	for _, k := range []Kind{KindMbo, KindEvents, KindMbp10} {
		t.Run(k.String(), func(t *testing.T) {
			path := filepath.Join(shmDir(t), "torn.a."+k.String()+".ring")
			startProducer(t, "producer", path, k, 4, 0)
			r, err := Open(path, ReaderOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			for reader, turn := range map[string]func() seen{
				"Go": func() seen { return readFor(t, r, after(tornFor)) },
				"C":  func() seen { return startCReader(t, prog, path, tornFor).report(t) },
			} {
				var read, overruns uint64
				for range tornMost {
					s := turn()
					if s.bad != 0 {
						t.Fatalf("%s: %d of %d records torn", reader, s.bad, s.read)
					}
					read, overruns = read+s.read, overruns+s.overruns
					if read >= tornRead && overruns > 0 {
						break
					}
				}
				t.Logf("%s: %d records read, %d overruns", reader, read, overruns)
				if read < tornRead || overruns == 0 {
					t.Errorf("%s: the writer was not fought over: %d records read, %d overruns", reader, read, overruns)
				}
			}
		})
	}
}

func TestTornReadsCatchesBrokenWriter(t *testing.T) {
	path := filepath.Join(shmDir(t), "torn.a.mbp10.ring")
	startProducer(t, "broken", path, KindMbp10, 4, 0)
	r, err := Open(path, ReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	limit := after(20 * time.Second)
	s := readFor(t, r, func(s *seen) bool { return s.bad > 0 || limit(s) })
	t.Logf("Go: %s", s)
	if s.bad == 0 {
		t.Error("Go: a writer without marks went unnoticed")
	}
	s = startCReader(t, buildC(t, "gcc", "c99", "testdata/ringcheck.c"), path, 20*time.Second, "first-bad").report(t)
	t.Logf("C: %s", s)
	if s.bad == 0 {
		t.Error("C: a writer without marks went unnoticed")
	}
}

// Goal: a producer killed at any moment leaves nothing that a reader takes for a record, and every reader knows how
// many it missed. Method: some hundred producers killed at full speed, one after another, on one ring, with a reader
// in Go and one in C that stay; at the end what was read and what was lost must add up to the numbers that were records.
func TestKilledProducer(t *testing.T) {
	const kills, slots = 200, 64
	path := filepath.Join(shmDir(t), "kill.a.mbo.ring")
	prog := buildC(t, "gcc", "c99", "testdata/ringcheck.c")
	w, err := Create(path, Options{Kind: KindMbo, TestSlots: slots})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := Open(path, ReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	begin := r.Next()
	const limit = 4500 * time.Millisecond
	deadline := time.Now().Add(limit)
	creader := startCReader(t, prog, path, limit)

	done := make(chan struct{})
	result := make(chan seen)
	go func() {
		result <- readFor(t, r, func(*seen) bool {
			select {
			case <-done:
				return r.Wait(0) == false // all read
			default:
				return false
			}
		})
	}()
	killed, torn := 0, 0
	for ; killed < kills && time.Until(deadline) > 600*time.Millisecond; killed++ {
		p := startProducer(t, "producer", path, KindMbo, slots, 0)
		time.Sleep(time.Duration(killed*137%1900) * time.Microsecond)
		p.kill()
		for i := range uint64(slots) {
			if n := r.number(i); n&(slots-1) != i {
				torn++
				break
			}
		}
	}
	close(done)
	g := <-result
	s, err := r.Session()
	if err != nil {
		t.Fatal(err)
	}
	c := creader.report(t)
	t.Logf("%d kills, %d left a run half written\nGo: %s\nC:  %s", killed, torn, g, c)
	if torn < 3 {
		t.Errorf("%d kills of which %d in the middle of a run: the test did not test", killed, torn)
	}
	if g.epoch != s.Epoch || c.epoch != s.Epoch || s.Epoch != uint64(killed)+1 {
		t.Errorf("epoch %d in Go, %d in C, %d in the header after %d kills", g.epoch, c.epoch, s.Epoch, killed)
	}
	for name, got := range map[string]seen{"Go": g, "C": c} {
		if err := got.sound(begin, s.Unused); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// sound says that nothing was bad and that all numbers from begin on are accounted for.
func (s seen) sound(begin, unused uint64) error {
	if s.bad != 0 {
		return fmt.Errorf("%d of %d records bad", s.bad, s.read)
	}
	if written := s.next - begin - unused; s.read+s.lost != written {
		return fmt.Errorf("%d read and %d lost make %d, but %d were written", s.read, s.lost, s.read+s.lost, written)
	}
	return nil
}
