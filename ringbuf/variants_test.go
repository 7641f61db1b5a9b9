package ringbuf

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"unsafe"
)

// heapRing is a ring on the Go heap, where the race detector and the pointer checks see every access.
func heapRing(k Kind, slots, first uint64) (*Writer, *Reader) {
	h := Header{Kind: k, SlotBytes: k.SlotBytes(), Slots: slots, SlotsOffset: headerBytes, FileBytes: headerBytes + slots*uint64(k.SlotBytes())}
	m := heapMapping(int(h.FileBytes))
	initRing(m, h, first)
	r := newReader("heap", m, h)
	r.stale = 1e9
	if err := r.Join(JoinLive); err != nil {
		panic(err) // initRing left a session
	}
	return newWriter("heap", m, h, first, false), r
}

// The portable versions are the definition: whatever this machine uses gives the same bytes, in slots and out of them.
func TestVariantsAgree(t *testing.T) {
	for _, k := range []Kind{KindMbo, KindMbp1, KindMbp10} {
		t.Run(k.String(), func(t *testing.T) {
			words, slotSize := k.PayloadBytes()/8, uintptr(k.SlotBytes())
			for n := 1; n <= 70; n++ {
				first := uint64(n) * 1000
				recs := make([]uint64, n*words)
				fillWords(recs, words, first)
				from := unsafe.Pointer(unsafe.SliceData(recs))

				want, got := heapMapping((n+1)*k.SlotBytes()), heapMapping((n+1)*k.SlotBytes())
				publishPortable(want.base, slotSize, first, from, n)
				publishRun(got.base, slotSize, first, from, n)
				if !bytes.Equal(want.mem, got.mem) {
					t.Fatalf("%d records: published bytes differ", n)
				}
				// Readers: all of them, and with a slot in the middle that is not ready.
				for _, hole := range []int{n, n / 2, 0} {
					*got.word(uintptr(hole) * slotSize) = first + uint64(hole) - 1
					a, b := make([]uint64, (n+1)*words), make([]uint64, (n+1)*words)
					na := pollPortable(got.base, slotSize, first, unsafe.Pointer(unsafe.SliceData(a)), n)
					nb := pollRun(got.base, slotSize, first, unsafe.Pointer(unsafe.SliceData(b)), n)
					if na != hole || nb != hole {
						t.Fatalf("%d records with slot %d missing: portable reads %d, this machine %d", n, hole, na, nb)
					}
					if !slices.Equal(a[:hole*words], recs[:hole*words]) || !slices.Equal(b[:hole*words], recs[:hole*words]) {
						t.Fatalf("%d records: read bytes differ", n)
					}
					for i, w := range b[n*words:] {
						if w != 0 {
							t.Fatalf("%d records: word %d behind the buffer was written", n, i)
						}
					}
				}
			}
		})
	}
}

// The protocol between goroutines on the heap: with -race every access of both sides is seen by the detector.
func TestHeapRing(t *testing.T) {
	for _, k := range []Kind{KindMbo, KindMbp10} {
		w, r := heapRing(k, 64, 64)
		begin, words := r.Next(), k.PayloadBytes()/8
		const records = 60_000
		go func() {
			recs := make([]uint64, 40*words)
			for n := 0; w.Next()-begin < records; n = (n + 7) % 40 {
				fillWords(recs[:(n+1)*words], words, w.Next())
				w.Publish(unsafe.Pointer(unsafe.SliceData(recs)), n+1)
				w.PublishHint()
			}
			w.SetState(StateStopped)
		}()
		s := readFor(t, r, func(*seen) bool { return r.State() == StateStopped && !r.Wait(0) })
		t.Logf("%s: %s", k, s)
		if err := s.sound(begin, 0); err != nil {
			t.Errorf("%s: %v", k, err)
		}
	}
}

// Numbers are compared by their difference: neither half of the range nor its end is special.
func TestNumbersWrap(t *testing.T) {
	for _, first := range []uint64{1<<63 - 64, 1<<64 - 64} {
		t.Run(fmt.Sprintf("%#x", first), func(t *testing.T) {
			path := t.TempDir() + "/wrap.a.mbo.ring"
			w, err := Create(path, Options{Kind: KindMbo, TestSlots: 16, firstNumber: first})
			if err != nil {
				t.Fatal(err)
			}
			r, err := Open(path, ReaderOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			slow, err := Open(path, ReaderOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer slow.Close()
			recs := make([]uint64, 8*7)
			var s seen
			for epoch := range 3 {
				for range 20 {
					fillWords(recs, 7, w.Next())
					w.Publish(unsafe.Pointer(unsafe.SliceData(recs)), 8)
					w.PublishHint()
					got := readFor(t, r, func(s *seen) bool { return !r.Wait(0) })
					s.read, s.bad, s.overruns = s.read+got.read, s.bad+got.bad, s.overruns+got.overruns
				}
				if lag := slow.Lag(); epoch == 0 && lag != 160 {
					t.Errorf("lag %d, want 160", lag)
				}
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
				if w, err = Create(path, Options{Kind: KindMbo, TestSlots: 16}); err != nil {
					t.Fatal(err)
				}
			}
			defer w.Close()
			if s.read != 3*160 || s.bad != 0 || r.Lost() != 0 {
				t.Errorf("%s, %d lost; want 480 read, none bad or lost", s, r.Lost())
			}
			late := readFor(t, slow, func(*seen) bool { return slow.Epoch() == 4 })
			if late.bad != 0 || late.read+late.lost != 480 {
				t.Errorf("slow reader: %s; want 480 read or lost", late)
			}
			if err := slow.Join(JoinOldest); err != nil || slow.Next() != w.Next() {
				t.Errorf("join in an empty epoch: %v, next %d, want %d", err, slow.Next(), w.Next())
			}
		})
	}
}
