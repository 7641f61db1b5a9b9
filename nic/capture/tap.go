package capture

import (
	"runtime"
	"sync/atomic"

	"github.com/tickwire/tickwire/nic"
)

// Tap is a lane's end. The zero value is off. Take belongs to the lane.
type Tap struct {
	ring   atomic.Pointer[ring]
	inside atomic.Bool // the lane is copying
	taken  uint64
}

// Take copies what a poll gave, when a capture wants it. The lane calls it before anything changes the packets. It never waits
// and never fails. Hot path: off, one load; on, two stores a call and a copy of each packet (BenchmarkTake), no allocation, no call
// into the kernel.
func (t *Tap) Take(packets []nic.Packet) {
	if t.ring.Load() == nil {
		return
	}
	t.take(packets)
}

func (t *Tap) take(packets []nic.Packet) {
	t.inside.Store(true)
	if r := t.ring.Load(); r != nil { // looked at again: off waits only for those it sees inside
		t.taken += r.put(packets)
	}
	t.inside.Store(false)
}

// On says that packets are being taken.
func (t *Tap) On() bool { return t.ring.Load() != nil }

// Taken counts packets that were copied since the lane began. It belongs to the lane; its address may be exported as a
// counter.
func (t *Tap) Taken() *uint64 { return &t.taken }

// on starts copying into r; false when another capture has the lane.
func (t *Tap) on(r *ring) bool { return t.ring.CompareAndSwap(nil, r) }

// off stops copying. Afterwards the lane does not touch the ring any more.
func (t *Tap) off() {
	t.ring.Store(nil)
	for t.inside.Load() { // a copy of one poll's packets: microseconds
		runtime.Gosched()
	}
}
