package resync

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"testing"
	"unsafe"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestLogIsAQueue: whatever is put in comes out, whole and in order, or was refused for want of room; at every place of the ring.
func TestLogIsAQueue(t *testing.T) {
	g, err := newByteLog(minLogBytes)
	must(t, err)
	r := rand.New(rand.NewPCG(7, 7))
	var want []logRecord
	refused := 0
	for n := uint64(0); n < 200_000; n++ {
		if r.IntN(4) < 1+int(n>>9&1)*2 { // it fills up for a while, then empties
			rec := logRecord{blocks: bytes.Repeat([]byte{byte(n)}, r.IntN(1+r.IntN(2000))), count: r.IntN(100), first: n, generation: n / 1000}
			if r.IntN(10) == 0 {
				rec.blocks = nil
			}
			if g.put(rec.generation, rec.first, rec.count, rec.blocks) {
				want = append(want, rec)
			} else if refused++; g.pending() < minLogBytes/2 {
				t.Fatalf("refused with %d bytes pending", g.pending())
			}
			if g.pending() > minLogBytes {
				t.Fatalf("%d bytes in a ring of %d", g.pending(), minLogBytes)
			}
		}
		for range r.IntN(2) {
			rec, ok := g.peek()
			if ok != (len(want) > 0) {
				t.Fatalf("peek %v with %d records in", ok, len(want))
			}
			if !ok {
				break
			}
			w := want[0]
			if !bytes.Equal(rec.blocks, w.blocks) || rec.count != w.count || rec.first != w.first || rec.generation != w.generation {
				t.Fatalf("record %d: %d bytes, count %d, first %d; want %d, %d, %d", w.first, len(rec.blocks), rec.count, rec.first, len(w.blocks), w.count, w.first)
			}
			g.drop(&rec)
			want = want[1:]
		}
	}
	if rounds := g.tail.Load() / minLogBytes; refused == 0 || rounds < 100 {
		t.Errorf("%d refused, %d times round: this test shows less than it says", refused, rounds)
	}
	if g.put(1, 1, 1, make([]byte, minLogBytes)) {
		t.Error("a record larger than the ring")
	}
}

// TestLogBetweenThreads: one writes, another reads, at the same time.
func TestLogBetweenThreads(t *testing.T) {
	g, err := newByteLog(minLogBytes)
	must(t, err)
	const records = 100_000
	done := make(chan error, 1)
	go func() {
		for n := uint64(0); n < records; {
			rec, ok := g.peek()
			if !ok {
				runtime.Gosched()
				continue
			}
			for _, b := range rec.blocks {
				if b != byte(n) {
					done <- fmt.Errorf("record %d holds %d", n, b)
					return
				}
			}
			if rec.first != n || len(rec.blocks) != int(n%700) {
				done <- fmt.Errorf("record %d of %d bytes, want %d", rec.first, len(rec.blocks), n)
				return
			}
			g.drop(&rec)
			n++
		}
		done <- nil
	}()
	blocks := make([]byte, 700)
	for n := uint64(0); n < records; {
		b := blocks[:n%700]
		for i := range b {
			b[i] = byte(n)
		}
		if g.put(1, n, 1, b) {
			n++
			continue
		}
		select {
		case err := <-done:
			t.Fatal(err)
		default:
			runtime.Gosched()
		}
	}
	must(t, <-done)
}

func TestLogSize(t *testing.T) {
	for _, bytes := range []int{1, minLogBytes - 1, minLogBytes + 1, 3 << 20, 2 * maxLogBytes} {
		if _, err := newByteLog(bytes); err == nil {
			t.Errorf("a log of %d bytes", bytes)
		}
	}
}

// TestCountersAreWords: the struct is taken for an array, of which the first part is the worker's.
func TestCountersAreWords(t *testing.T) {
	typ := reflect.TypeFor[Counters]()
	for i := range typ.NumField() {
		if f := typ.Field(i); f.Type.Kind() != reflect.Uint64 || f.Offset != uintptr(i)*8 {
			t.Errorf("%s is no word in its place", f.Name)
		}
	}
	var c Counters
	if uintptr(len(c.words()))*8 != unsafe.Sizeof(c) || typ.Field(int(workerWords)).Name != "Rebuilt" {
		t.Error("the worker's part ends elsewhere")
	}
	from, to, shared := Counters{Attempts: 1, LiveLogBytes: 2, Rebuilt: 3}, Counters{Rebuilt: 4}, sharedCounters{}
	shared.publish(&from)
	shared.fetch(&to)
	if to != (Counters{Attempts: 1, LiveLogBytes: 2, Rebuilt: 4}) {
		t.Errorf("%+v", to)
	}
}
