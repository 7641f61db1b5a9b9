package session

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"testing"
)

// TestLinkAnswers: datagrams of any length go round the ring many times, from one goroutine to another; what comes out is what went in, in order.
func TestLinkAnswers(t *testing.T) {
	l, err := newLink(3, 1<<15)
	if err != nil {
		t.Fatal(err)
	}
	const datagrams = 50_000
	content := func(r *rand.Rand, n int) []byte {
		b := make([]byte, r.IntN(mostAnswerSize+1)>>r.IntN(12))
		for i := range b {
			b[i] = byte(n + i)
		}
		return b
	}
	done := make(chan int)
	go func() {
		r, refused := rand.New(rand.NewPCG(1, 1)), 0
		for n := range datagrams {
			for b := content(r, n); !l.put(n%3, uint64(n), b); refused++ {
				runtime.Gosched()
			}
		}
		done <- refused
	}()
	r := rand.New(rand.NewPCG(1, 1))
	for n := 0; n < datagrams; {
		a, ok := l.answer()
		if !ok {
			runtime.Gosched()
			continue
		}
		if want := content(r, n); !bytes.Equal(a.data, want) || a.server != n%3 || a.ts != uint64(n) {
			t.Fatalf("datagram %d: %d bytes of server %d at %d, want %d", n, len(a.data), a.server, a.ts, len(want))
		}
		l.release()
		n++
	}
	if refused := <-done; refused == 0 {
		t.Error("the ring was never full: this test shows little")
	}
	if _, ok := l.answer(); ok {
		t.Error("there is one more")
	}
	if l.put(0, 0, make([]byte, mostAnswerSize+1)) {
		t.Error("a datagram that cannot be held was taken")
	}
}

// TestLinkRequests: as many as there are places, in order.
func TestLinkRequests(t *testing.T) {
	l, err := newLink(1, 1<<15)
	if err != nil {
		t.Fatal(err)
	}
	for round := range uint64(3) {
		for n := range uint64(linkRequests) {
			if !l.ask(request{first: round*1000 + n, count: 7}) {
				t.Fatalf("no room for request %d", n)
			}
		}
		if l.ask(request{}) {
			t.Fatal("one too many was taken")
		}
		for n := range uint64(linkRequests) {
			if q, ok := l.asked(); !ok || q.first != round*1000+n || q.count != 7 {
				t.Fatalf("request %d: %+v, %v", n, q, ok)
			}
		}
		if _, ok := l.asked(); ok {
			t.Fatal("there is one more")
		}
	}
}

func TestLinkBounds(t *testing.T) {
	for _, tc := range []struct{ servers, bytes int }{{0, 1 << 20}, {mostServers + 1, 1 << 20}, {1, 1 << 14}, {1, 100_000}, {1, 0}, {-1, 1 << 20}} {
		if _, err := newLink(tc.servers, tc.bytes); err == nil {
			t.Errorf("%+v was taken", tc)
		}
	}
}

// FuzzLink: any lengths, put and taken in any order: nothing is altered, nothing runs over.
func FuzzLink(f *testing.F) {
	f.Add([]byte{255, 255, 1, 255, 255, 0, 128, 3})
	f.Add(binary.BigEndian.AppendUint64(nil, 1<<63|12345))
	f.Fuzz(func(t *testing.T, ops []byte) {
		l, err := newLink(1, 1<<15)
		if err != nil {
			t.Fatal(err)
		}
		var in [][]byte
		for i, op := range ops {
			if op%4 == 0 {
				a, ok := l.answer()
				if ok != (len(in) > 0) || ok && !bytes.Equal(a.data, in[0]) {
					t.Fatalf("step %d: %d bytes, %v, of %d", i, len(a.data), ok, len(in))
				}
				if ok {
					l.release()
					in = in[1:]
				}
				continue
			}
			b := bytes.Repeat([]byte{op}, int(op)*36)
			if l.put(0, 0, b) {
				in = append(in, b)
			} else if len(in) == 0 {
				t.Fatalf("step %d: %d bytes find no room in an empty ring", i, len(b))
			}
		}
	})
}
