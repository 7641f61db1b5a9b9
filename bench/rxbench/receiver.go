package rxbench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/bench/liveload"
	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/internal/pin"
	"github.com/tickwire/tickwire/nic"
)

// The frames: 200 bytes to one group. A payload begins as a MoldUDP64 packet does, so that the lane can be fed the same way.
//
//	0          14    34     42          52         60     62         200
//	| Ethernet | IP  | UDP  | session   | number   | …    |          |
//	                        ^ payload     u64 BE     ^ due time, u64 LE (latency runs)
const (
	frameBytes   = 200
	headBytes    = 14 + 20 + 8
	payloadBytes = frameBytes - headBytes
	numberAt     = 10
	dueAt        = 20
)

var (
	group  = netip.MustParseAddrPort("233.54.12.111:26477")
	source = netip.MustParseAddrPort("10.203.0.2:4660")
)

// frame is what the live load sends, before it is numbered. Its UDP checksum is 0, which stands for none.
func frame() []byte {
	b := nic.AppendFrame(nil, source, group, 0, make([]byte, payloadBytes))
	b[headBytes-2], b[headBytes-1] = 0, 0
	return b
}

// tally is what came in.
type tally struct {
	received uint64
	disorder uint64 // numbers that went back, or payloads of a wrong length
	last     uint64
	now      uint64 // latency runs: when the packets were in hand; else 0
	late     *hdrhistogram.Histogram
}

// payload looks at one packet as every receiver does.
func (t *tally) payload(b []byte) {
	if len(b) < dueAt+8 {
		t.disorder++
		return
	}
	n := binary.BigEndian.Uint64(b[numberAt:])
	if n <= t.last {
		t.disorder++
	}
	t.last = n
	t.received++
	if t.now != 0 {
		_ = t.late.RecordValue(int64(min(t.now-min(t.now, binary.LittleEndian.Uint64(b[dueAt:])), mostLate)))
	}
}

// frame finds the payload of a frame as it came from the wire.
func (t *tally) frame(b []byte) {
	if len(b) < headBytes || binary.BigEndian.Uint16(b[12:]) != 0x0800 || b[14] != 0x45 || b[23] != 17 || binary.BigEndian.Uint16(b[36:]) != group.Port() {
		return // of the namespace's own, such as its IGMP
	}
	n := int(binary.BigEndian.Uint16(b[38:]))
	if n < 8 || 34+n > len(b) {
		t.disorder++
		return
	}
	t.payload(b[headBytes : 34+n])
}

const mostLate = 10_000_000_000

// batch is how many packets are taken at once, and sent.
const batch = liveload.Batch

// poller is a receiver in this process: poll hands what has come to t, without waiting, and returns how much that was.
type poller interface {
	poll(t *tally) (int, error)
	close() error
}

// running is a receiver at work on its own core.
type running interface {
	received() uint64
	// stop ends it and returns what it saw.
	stop() (*tally, error)
}

// raw is a poller that may run with the P pinned, as lanes' sources do: poll enters the kernel by RawSyscall only, and takes no lock.
type raw interface{ raw() }

// thread runs a poller on a pinned thread, and where that may be with its P pinned (package pin).
type thread struct {
	p       poller
	window  *pin.Window // nil: the P is not pinned
	t       tally
	count   atomic.Uint64
	ended   atomic.Bool
	done    chan error
	tid     int
	latency bool
}

// start has open make the poller in the receiving namespace, and runs it.
func start(ns *netns.NS, core int, latency bool, open func() (poller, error)) (*thread, error) {
	var p poller
	if err := ns.Do(func() (err error) { p, err = open(); return err }); err != nil {
		return nil, err
	}
	r := &thread{p: p, done: make(chan error, 1), latency: latency}
	if _, ok := p.(raw); ok && pin.Works() == nil {
		r.window = pin.New(pin.Options{})
	}
	if latency {
		r.t.late = hdrhistogram.New(1, mostLate, 3)
	}
	ready := make(chan struct{})
	go func() {
		runtime.LockOSThread() // never unlocked: the thread is pinned and ends with the goroutine
		tie(core)
		r.tid = unix.Gettid()
		close(ready)
		r.done <- r.loop()
	}()
	<-ready
	return r, nil
}

func (r *thread) loop() error {
	r.window.Enter(monotonic())
	defer r.window.Leave()
	for turn := 0; !r.ended.Load(); turn++ {
		if turn%1024 == 0 { // some ten µs
			r.window.Check(monotonic())
		}
		if r.latency {
			r.t.now = 0
		}
		n, err := r.p.poll(&r.t)
		if err != nil {
			return err
		}
		if n > 0 {
			r.count.Store(r.t.received)
		}
	}
	return nil
}

// stopped calls f, which stops the world: a window is open for it.
func (r *thread) stopped(f func()) {
	if r.window != nil {
		r.window.Want(true)
		defer r.window.Want(false)
	}
	f()
}

func (r *thread) received() uint64 { return r.count.Load() }

func (r *thread) stop() (*tally, error) {
	r.ended.Store(true)
	err := <-r.done
	return &r.t, errors.Join(err, r.p.close())
}

// settled waits until a receiver has want packets, or nothing has come for a while, and returns how many it has.
func settled(r running, want uint64) uint64 {
	seen := r.received()
	for until := time.Now().Add(quiet); seen < want && time.Now().Before(until); {
		time.Sleep(200 * time.Microsecond)
		if n := r.received(); n != seen {
			seen, until = n, time.Now().Add(quiet)
		}
	}
	return seen
}

// quiet is how long nothing has to come until what is missing is taken for lost. TPACKET_V3 holds a block back for some ms.
const quiet = 60 * time.Millisecond

// tie ties the calling thread to a core.
func tie(core int) {
	var set unix.CPUSet
	set.Set(core)
	_ = unix.SchedSetaffinity(0, &set) // without the right to, the figures are those of an unpinned thread
}

// errMissing is that a peer cannot run here.
type errMissing struct{ why string }

func (e errMissing) Error() string { return e.why }

func missing(format string, args ...any) error { return errMissing{fmt.Sprintf(format, args...)} }
