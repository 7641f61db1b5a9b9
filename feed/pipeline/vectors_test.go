package pipeline

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"unsafe"

	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/internal/testvec"
	"github.com/tickwire/tickwire/nic/file"
	"github.com/tickwire/tickwire/ringbuf"
)

// sample is the public sample as one run of length-prefixed messages.
func sample(t *testing.T) (all []byte, messages int) {
	t.Helper()
	r, err := file.Open(filepath.Join(testvec.Dir(t, "nasdaq"), "ex20101224.TEST_ITCH_50.framed.gz"))
	must(t, err)
	defer r.Close()
	for {
		span, _, n, err := r.Next(1000)
		all = append(all, span...)
		messages += n
		if errors.Is(err, io.EOF) {
			return all, messages
		}
		must(t, err)
	}
}

// digest reads a ring to its end and gives a hash of its payloads, their number with it.
func digest(t *testing.T, r *ringbuf.Reader) string {
	t.Helper()
	h := sha256.New()
	total := 0
	words := make([]uint64, 64*r.Kind().PayloadBytes()/8)
	for {
		n, _, st := r.PollInto(unsafe.Pointer(&words[0]), 64)
		if st == ringbuf.Overrun {
			t.Fatalf("%s was lapped", r.Name())
		}
		if n == 0 {
			return fmt.Sprintf("%d %x", total, h.Sum(nil))
		}
		h.Write(unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), n*r.Kind().PayloadBytes()))
		total += n
	}
}

// TestPassSizeDoesNotMatter plays the public sample with passes of several sizes, and with spans cut at random places: every
// ring has the same bytes each time.
func TestPassSizeDoesNotMatter(t *testing.T) {
	all, messages := sample(t)
	var want map[ringbuf.Kind]string
	for _, pass := range []int{1, 7, 64, 2048, 4096} {
		b := newBench(t, func(c *Config) {
			c.MaxPass, c.FileStamps = pass, true
			c.Depth = []string{"ALC", "CHAR"}
			books, err := book.New(book.Options{}) // the sample's references are wider than the small book's
			must(t, err)
			t.Cleanup(func() { must(t, books.Close()) })
			c.Books = books
		})
		r := rand.New(rand.NewPCG(uint64(pass), 1))
		first := uint64(1)
		for left := all; len(left) > 0; {
			n, cut := 0, 1+r.IntN(300)
			count := 0
			for ; count < cut && n < len(left); count++ {
				n += 2 + int(left[n])<<8 + int(left[n+1])
			}
			if used := b.lane.Span(left[:n], first); used != n {
				t.Fatalf("%d bytes used of %d", used, n)
			}
			left, first = left[n:], first+uint64(count)
		}
		b.lane.EndPass()
		if got := b.lane.Counters().Messages; got != uint64(messages) {
			t.Errorf("pass of %d: %d messages of %d", pass, got, messages)
		}
		got := map[ringbuf.Kind]string{}
		for kind, reader := range b.readers {
			got[kind] = digest(t, reader)
		}
		if want == nil {
			want = got
			continue
		}
		for kind := range want {
			if got[kind] != want[kind] {
				t.Errorf("passes of %d: ring %s is %s, want %s", pass, kind, got[kind], want[kind])
			}
		}
	}
}
