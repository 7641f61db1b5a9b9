package membench

import (
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/bench/meter"
)

// set is one working set: in each line the offset of the line that comes next.
type set struct {
	mem  []byte
	base unsafe.Pointer
	size int
	at   [InFlight]uintptr // where the chains go on
}

const (
	multiplier = 0x5DEECE66D // a − 1 is divisible by four
	increment  = 11          // odd
)

func newSet(size int, huge bool) (*set, error) {
	mem, base, err := fresh(size, huge)
	if err != nil {
		return nil, err
	}
	s := &set{mem: mem, base: base, size: size}
	lines := uint64(size / lineBytes)
	for x := range lines {
		*(*uintptr)(unsafe.Add(base, x*lineBytes)) = uintptr((x*multiplier+increment)&(lines-1)) * lineBytes
	}
	for i := range s.at { // anywhere on the cycle, far from one another
		s.at[i] = uintptr(uint64(i)*lines/InFlight) * lineBytes
	}
	return s, nil
}

// share is how much of the set lies on huge pages.
func (s *set) share() float64 { return min(1, float64(smaps(uintptr(s.base)))/float64(s.size)) }

// piece is how many loads of a chain are timed together.
const piece = 10_000

// dependent is ns a load, one after the other.
func (s *set) dependent(n int) float64 {
	p, base := s.at[0], s.base
	var all []float64
	for range max(1, n/piece) {
		begin := time.Now()
		for range piece {
			p = *(*uintptr)(unsafe.Add(base, p))
		}
		all = append(all, float64(time.Since(begin).Nanoseconds())/piece)
	}
	s.at[0] = p
	return meter.Median(all)
}

// parallel is ns a load with InFlight chains side by side.
func (s *set) parallel(n int) float64 {
	base := s.base
	a, b, c, d, e, f := s.at[0], s.at[1], s.at[2], s.at[3], s.at[4], s.at[5]
	g, h, i, j, k, l := s.at[6], s.at[7], s.at[8], s.at[9], s.at[10], s.at[11]
	var all []float64
	for range max(1, n/piece) {
		begin := time.Now()
		for range piece {
			a, b = *(*uintptr)(unsafe.Add(base, a)), *(*uintptr)(unsafe.Add(base, b))
			c, d = *(*uintptr)(unsafe.Add(base, c)), *(*uintptr)(unsafe.Add(base, d))
			e, f = *(*uintptr)(unsafe.Add(base, e)), *(*uintptr)(unsafe.Add(base, f))
			g, h = *(*uintptr)(unsafe.Add(base, g)), *(*uintptr)(unsafe.Add(base, h))
			i, j = *(*uintptr)(unsafe.Add(base, i)), *(*uintptr)(unsafe.Add(base, j))
			k, l = *(*uintptr)(unsafe.Add(base, k)), *(*uintptr)(unsafe.Add(base, l))
		}
		all = append(all, float64(time.Since(begin).Nanoseconds())/(piece*InFlight))
	}
	s.at = [InFlight]uintptr{a, b, c, d, e, f, g, h, i, j, k, l}
	return meter.Median(all)
}

// touch is ns for each 4 KiB of size bytes of fresh memory, written to one after the other.
func touch(size int, huge bool) (float64, error) {
	size &^= hugeBytes - 1
	size = max(size, hugeBytes)
	mem, base, err := fresh(size, huge)
	if err != nil {
		return 0, err
	}
	var all []float64
	for from := 0; from < size; from += hugeBytes {
		begin := time.Now()
		for at := from; at < from+hugeBytes; at += pageBytes {
			*(*byte)(unsafe.Add(base, at)) = 1
		}
		all = append(all, float64(time.Since(begin).Nanoseconds())/(hugeBytes/pageBytes))
	}
	return meter.Median(all), unix.Munmap(mem)
}

// line is one cache line, alone, its neighbour too: processors fetch lines in pairs.
type line struct {
	_ [2 * lineBytes]byte
	n atomic.Uint64
	_ [2*lineBytes - 8]byte
}

// chunk is how many handovers are timed together: the median of the chunks is that of two threads which both run.
const chunk = 1000

// patience bounds a handing over that somebody disturbs.
const patience = 20 * time.Second

// CoreToCore is ns for one line to cross from the calling thread's core, which should be pinned, to peer: see handover. 0 where there is no other
// core. It takes some milliseconds. A host that moves virtual cores about makes several times as much of it as it was before, so it belongs beside every
// figure that two cores have a part in.
func CoreToCore(core, peer int, sched string) (float64, error) {
	if core == peer || core == meter.NoCore || peer == meter.NoCore {
		return 0, nil
	}
	return handover(peer, sched, 50*chunk)
}

// handover is ns from one core's store to the other core's load that sees it: the caller stores even numbers and the peer odd ones, so the
// line crosses over with each.
func handover(peer int, sched string, n int) (float64, error) {
	l := new(line)
	ready := make(chan error)
	ended := make(chan struct{})
	var stop atomic.Bool
	go func() {
		defer close(ended)
		err := meter.Pin(peer, sched) // the thread ends with the goroutine
		ready <- err
		if err != nil {
			return
		}
		for want := uint64(1); !stop.Load(); {
			for spin := 0; spin < 1<<12; spin++ {
				if l.n.Load() == want {
					l.n.Store(want + 1)
					want += 2
					spin = 0
				}
			}
		}
	}()
	if err := <-ready; err != nil {
		return 0, err
	}
	var chunks []float64
	limit := time.Now().Add(patience)
	for at := uint64(0); len(chunks) < max(1, n/chunk) && time.Now().Before(limit); {
		begin := time.Now()
		for range chunk / 2 {
			l.n.Store(at + 1)
			at += 2
			for l.n.Load() != at {
			}
		}
		chunks = append(chunks, float64(time.Since(begin).Nanoseconds())/chunk)
	}
	stop.Store(true)
	<-ended
	runtime.KeepAlive(l)
	return meter.Median(chunks), nil
}
