package hwtest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/tickwire/tickwire/bench/liveload"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/udp"
)

// A frame that is counted, of any length from 64 bytes (without its check sum on the wire, 4 bytes):
//
//	0          14    34     42          52         60
//	| Ethernet | IP  | UDP  | zeros     | number   | zeros …
//	                        ^ payload     u64 BE, from 1
const (
	headBytes = 14 + 20 + 8
	numberAt  = 10
)

// load makes n frames numbered from first+1 on, at a rate a second or, with 0, as fast as it can; it returns how many it made and how long that
// took. It belongs to the thread that is in the sending namespace.
type load interface {
	Send(first uint64, n int, rate float64) (int, time.Duration, error)
	Close()
}

// newLoad makes a load of frames of a size on line A. It is called in the sending namespace. Without kernel only a socket sends.
func (w *wires) newLoad(size int, kernel bool) (load, string, error) {
	s, err := udp.NewSender(lines[0], w.tx[0], 1)
	if err != nil {
		return nil, "", err
	}
	l := &socketLoad{s: s}
	for range batch {
		l.payloads = append(l.payloads, make([]byte, size-headBytes))
	}
	if !kernel {
		return l, "sent by a socket", nil
	}
	from := w.from
	if !from.IsValid() {
		from = netip.MustParseAddr("10.203.0.2")
	}
	frame := nic.AppendFrame(nil, netip.AddrPortFrom(from, 4660), lines[0], 0, make([]byte, size-headBytes))
	frame[headBytes-2], frame[headBytes-1] = 0, 0 // no UDP check sum
	fast, err := liveload.On(w.tx[0], func(f func() error) error { return f() }, frame, headBytes+numberAt, nil)
	if err != nil {
		return nil, "", errors.Join(err, s.Close())
	}
	return &kernelLoad{fast, l}, "sent by the kernel", nil
}

// batch is how many frames leave at once.
const batch = liveload.Batch

// kernelLoad is frames that the kernel makes: nothing sends faster. They come in batches and are paced down to slow; below, a socket sends.
type kernelLoad struct {
	*liveload.Load
	slow *socketLoad
}

const slow = 100_000 // packets a second

func (l *kernelLoad) Send(first uint64, n int, rate float64) (int, time.Duration, error) {
	if rate > 0 && rate < slow {
		return l.slow.Send(first, n, rate)
	}
	return l.Load.Send(first, n, rate)
}

func (l *kernelLoad) Close() {
	l.Load.Close()
	l.slow.Close()
}

// socketLoad sends as any program does.
type socketLoad struct {
	s        *udp.Sender
	payloads [][]byte
}

// together is how long packets of one call may lie apart, s: a sender that is paced makes no bursts to speak of, and a call for each packet is
// more than a shared core can do.
const together = 100e-6

func (l *socketLoad) Send(first uint64, n int, rate float64) (int, time.Duration, error) {
	most := batch
	if rate > 0 {
		most = max(1, min(batch, int(rate*together)))
	}
	began := time.Now()
	for sent := 0; sent < n; {
		some := l.payloads[:min(most, n-sent)]
		for i, p := range some {
			binary.BigEndian.PutUint64(p[numberAt:], first+uint64(sent+i)+1)
		}
		if rate > 0 {
			for due := time.Duration(float64(sent) * 1e9 / rate); time.Since(began) < due; {
			}
		}
		k, err := l.s.Send(some)
		sent += k
		if err != nil {
			return sent, time.Since(began), fmt.Errorf("hwtest: sending: %w", err)
		}
	}
	return n, time.Since(began), nil
}

func (l *socketLoad) Close() { _ = l.s.Close() }

// stretch is a number of frames sent in one go.
type stretch struct {
	sent, taken uint64
	rate        float64 // a second, as sent
}

func (s stretch) lossless() bool { return s.sent == s.taken }

// bout is one receiver under one load.
type bout struct {
	take *taker
	load load
	next uint64 // frames sent so far
	late bool   // some of the last stretch did not come: they may yet
}

func (b *bout) try(n int, rate float64) (stretch, error) {
	before := b.take.count()
	if b.late {
		before = b.take.settled(1<<63, quiet)
	}
	sent, took, err := b.load.Send(b.next, max(n, batch), rate)
	if err != nil {
		return stretch{}, err
	}
	b.next += uint64(sent)
	got := b.take.settled(before+uint64(sent), quiet) - before
	b.late = got != uint64(sent)
	return stretch{uint64(sent), got, float64(sent) / max(took.Seconds(), 1e-9)}, nil
}

// quiet is how long nothing has to come until what is missing is taken for lost: a busy machine has the receiver wait.
const quiet = 100 * time.Millisecond

// found is what a search came to.
type found struct {
	rate    float64 // the highest without loss
	lossy   float64 // the lowest at which some were lost; 0: none were
	offered float64 // as fast as the load goes
	taken   float64 // of that
}

const (
	warmUps = 5
	again   = 2 // a rate is given up when it loses this often: one loss may be the machine's
)

var errSilent = errors.New("frames were sent and none came")

func isSilent(err error) bool { return errors.Is(err, errSilent) }

// search finds the highest rate at which nothing is lost, by halving.
func (b *bout) search(span time.Duration, halvings int) (f found, err error) {
	var warm stretch
	for range warmUps {
		if warm, err = b.try(1<<14, 0); err != nil {
			return f, err
		}
		if warm.taken != 0 {
			break
		}
	}
	if warm.taken == 0 {
		return f, fmt.Errorf("hwtest: %d %w", warm.sent, errSilent)
	}
	n := int(warm.rate * span.Seconds())
	for range again {
		t, err := b.try(n, 0)
		if err != nil {
			return f, err
		}
		f.offered, f.taken = t.rate, t.rate*float64(t.taken)/float64(t.sent)
		if t.lossless() {
			f.rate = t.rate
			return f, nil
		}
		f.lossy = t.rate
	}
	low, high := 0.0, f.offered
	for step := range halvings {
		at := (low + high) / 2
		if step == 0 {
			at = min(f.taken, 0.95*high) // a good guess saves turns
		}
		held := false
		for range again {
			t, err := b.try(int(at*span.Seconds()), at)
			if err != nil {
				return f, err
			}
			if held = t.lossless(); held {
				low = max(low, min(t.rate, at))
				break
			}
			f.lossy = min(f.lossy, max(t.rate, low))
		}
		if !held {
			high = at
		}
	}
	f.rate, f.lossy = low, max(f.lossy, low) // what lost some and did not when it was tried again loses none
	return f, nil
}
