package hwtest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tickwire/tickwire/internal/pin"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/afxdp"
	"github.com/tickwire/tickwire/ringbuf"
)

// taker takes packets of line A as a lane does: on a thread of its own, with its processor pinned but for windows (package pin).
type taker struct {
	host   afxdp.Host
	source *afxdp.Source
	window *pin.Window
	core   int  // -1: the scheduler's choice
	inline bool // layout B: the driver's poll is run by this thread

	taken atomic.Uint64
	ended atomic.Bool
	done  chan error
	seen  sight // the thread's, until it has ended
}

// sight is what packets told.
type sight struct {
	last     uint64 // number of the packet before
	disorder uint64 // numbers that went back, or payloads of a wrong length
	stamp    uint64 // of the packet before, ns since the epoch
	back     uint64 // stamps that went back
	zero     uint64 // packets without a stamp
	by       [nic.StampHardware + 1]uint64
}

// open makes a source on line A; on every queue of its port, in the best mode that works unless o says otherwise.
func (t *taker) open(w *wires, o afxdp.Options) error { return t.openOn(w, afxdp.AllQueues, o) }

func (t *taker) openOn(w *wires, queue int, o afxdp.Options) error {
	o.Groups = []afxdp.Group{{Group: lines[0], Interface: w.rx[0], Queue: queue}}
	return w.inRx(func() (err error) {
		t.source, err = t.host.Open(o)
		return err
	})
}

// start has a thread take packets until stop.
func (t *taker) start() {
	if pin.Works() == nil {
		t.window = pin.New(pin.Options{})
	}
	t.done = make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread is tied to a core and ends with the goroutine
		if t.core >= 0 {
			_ = pin.Thread(t.core) // without the right to, the figures are those of a thread that moves
		}
		t.done <- t.loop()
	}()
}

func (t *taker) loop() error {
	packets := make([]nic.Packet, batch)
	t.window.Enter(ringbuf.MonotonicNow())
	defer t.window.Leave()
	for turn := 0; !t.ended.Load(); turn++ {
		if turn%1024 == 0 {
			t.window.Check(ringbuf.MonotonicNow())
		}
		n, err := t.source.Poll(packets)
		if err == nil && n == 0 && t.inline {
			err = t.source.BusyPoll()
		}
		if err != nil {
			return err
		}
		if n > 0 {
			for i := range packets[:n] {
				t.seen.packet(&packets[i])
			}
			t.taken.Add(uint64(n))
		}
	}
	return nil
}

func (s *sight) packet(p *nic.Packet) {
	if len(p.Data) < numberAt+8 {
		s.disorder++
		return
	}
	n := binary.BigEndian.Uint64(p.Data[numberAt:])
	if n <= s.last {
		s.disorder++
	}
	s.last = n
	s.by[p.Stamp]++
	switch {
	case p.TsRecv == 0:
		s.zero++
	case p.TsRecv < s.stamp:
		s.back++
	}
	s.stamp = p.TsRecv
}

func (t *taker) count() uint64 { return t.taken.Load() }

// settled waits until want packets have been taken, or none has come for a while and none waits in the ring, and returns how many have. A thread that
// a busy machine keeps from its core has lost nothing yet.
func (t *taker) settled(want uint64, quiet time.Duration) uint64 {
	seen, last := t.count(), time.Now().Add(patience)
	for until := time.Now().Add(quiet); seen < want; {
		time.Sleep(200 * time.Microsecond)
		if n := t.count(); n != seen {
			seen, until = n, time.Now().Add(quiet)
		} else if now := time.Now(); now.After(until) {
			if !t.waiting() || now.After(last) || len(t.done) > 0 {
				return seen
			}
			until = now.Add(quiet)
		}
	}
	return seen
}

// waiting says that there are packets in the ring.
func (t *taker) waiting() bool {
	if t.source == nil || t.source.Refresh() != nil {
		return false
	}
	return slices.ContainsFunc(t.source.Kernel(), func(k afxdp.KernelCounters) bool { return k.Waiting > 0 })
}

// stop ends the thread; the source stays open, for its counters.
func (t *taker) stop() error {
	if t.done == nil {
		return nil
	}
	t.ended.Store(true)
	err := <-t.done
	t.done = nil
	return err
}

func (t *taker) close() error {
	err := t.stop()
	if t.source == nil {
		return err
	}
	return errors.Join(err, t.source.Close())
}

// losses is where packets went that were not taken, as the kernel and the program count.
type losses struct {
	seen, passed               uint64 // by the program
	ringFull, fillEmpty, other uint64
	own                        uint64 // by the source: frames that make no sense, of others, malformed
	kicks                      uint64
}

// lost reads them. Nobody may be polling.
func (t *taker) lost() (l losses, err error) {
	if err := t.source.Refresh(); err != nil {
		return l, err
	}
	devices := map[string]bool{}
	for _, k := range t.source.Kernel() {
		l.ringFull += k.RxRingFull
		l.fillEmpty += k.FillEmpty
		l.other += k.RxDropped - min(k.RxDropped, k.FillEmpty) + k.InvalidDescs // a frame without a chunk counts in both
		if !devices[k.Interface] {
			devices[k.Interface] = true
			l.seen += k.Program.Redirected
		}
	}
	c := t.source.Counters()
	l.own, l.kicks = c.BadFrames+c.Foreign+c.Stray+c.Malformed, c.Kicks
	return l, nil
}

func (l *losses) counted() uint64 { return l.ringFull + l.fillEmpty + l.other + l.own }

func (l *losses) figures(sent, taken uint64) []Figure {
	return []Figure{
		{Name: "sent", Value: float64(sent), Unit: "packets"}, {Name: "redirected by the program", Value: float64(l.seen), Unit: "packets"},
		{Name: "taken", Value: float64(taken), Unit: "packets"}, {Name: "ring full", Value: float64(l.ringFull), Unit: "packets"},
		{Name: "no chunk", Value: float64(l.fillEmpty), Unit: "packets"}, {Name: "too long or refused", Value: float64(l.other), Unit: "packets"},
		{Name: "refused by the source", Value: float64(l.own), Unit: "packets"}, {Name: "kernel woken", Value: float64(l.kicks), Unit: "times"},
	}
}

// unexplained are packets that are neither taken nor counted as lost. What the program never saw is explained as far as drivers count losses.
func (l *losses) unexplained(sent, taken uint64, before *lacks) float64 {
	missing := float64(sent) - float64(taken) - float64(l.counted())
	early := float64(sent) - float64(l.seen)
	return max(0, missing-min(max(0, early), before.total()))
}

func (l *losses) String() string {
	return fmt.Sprintf("ring full %d, no chunk %d, too long or refused %d, refused by the source %d", l.ringFull, l.fillEmpty, l.other, l.own)
}
