package afxdp

import (
	"errors"
	"fmt"
	"math/bits"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/bpf"
)

// queue is one socket on one receive queue, with all that it owns. Receive ring and fill ring belong to the goroutine that
// polls.
type queue struct {
	dev     *device
	id      int
	fd      int
	mode    Mode
	meta    atomic.Bool           // struct meta lies in front of each frame
	steered atomic.Pointer[table] // our flows on the interface; never nil while it is polled
	umem    umem
	fill    ring
	rx      ring
	chunks  int      // that go round
	held    []uint64 // chunks whose packets were handed out by the last Poll
	napi    int      // of the driver's poller; 0: it does not tell
	mapped  bool     // xsks[id] is ours
	kicks   uint64   // calls to wake the kernel
	lost    uint64   // chunks that were nowhere when they were last counted
	poller  *napiSettings
	convert converter // of the NIC's stamps; nil: they are not asked for
	noisy   error     // why the poller's interrupts are not put off
}

// openQueue makes a socket on a queue in one mode. The caller holds the device.
func openQueue(d *device, id int, mode Mode, o *Options) (_ *queue, err error) {
	if id >= d.queues {
		return nil, hopeless{fmt.Errorf("interface %s has %d receive queues in use, there is no queue %d (`ethtool -l %s`)", d.name, d.queues, id, d.name)}
	}
	// A frame with Ethernet header, two tags and check sum has to fit a chunk: packets in pieces are not put together.
	if room := o.FrameSize - headroom - o.front(mode); d.mtu+26 > room {
		return nil, hopeless{fmt.Errorf("interface %s has MTU %d, but frames of at most %d bytes fit: lower it (`ip link set dev %s mtu 1500`) or set frame_size = 4096; "+
			"frames in several pieces are not received", d.name, d.mtu, room, d.name)}
	}
	if d.taken(id) {
		return nil, hopeless{fmt.Errorf("another lane of this process receives from queue %d of %s: give each lane of an interface a queue of its own, or all its groups to one lane (%w)", id, d.name, unix.EBUSY)}
	}
	q := &queue{dev: d, id: id, fd: -1, mode: mode}
	defer func() {
		if err != nil {
			err = errors.Join(err, q.close())
		}
	}()
	if q.fd, err = unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
		if errors.Is(err, unix.EAFNOSUPPORT) {
			return nil, fmt.Errorf("socket: %w: this kernel was built without XDP_SOCKETS", err)
		}
		return nil, capabilities(fmt.Errorf("socket: %w", err))
	}
	if err := q.memory(o); err != nil {
		return nil, err
	}
	if err := q.bind(mode); err != nil {
		return nil, err
	}
	if o.BusyPoll {
		if err := q.busy(o.Budget); err != nil {
			return nil, err
		}
	}
	q.napi, _ = unix.GetsockoptInt(q.fd, unix.SOL_SOCKET, unix.SO_INCOMING_NAPI_ID)
	if o.BusyPoll && q.napi > 0 {
		if q.poller, q.noisy = deferInterrupts(uint32(q.napi)); errors.Is(q.noisy, errNoSuch) {
			q.noisy = d.deferInterrupts()
		}
	}
	if err := d.maps[bpf.MapXsks].Put(uint32(id), uint32(q.fd)); err != nil {
		return nil, fmt.Errorf("entering the socket of queue %d: %w", id, err)
	}
	q.mapped = true
	d.adopt(q)
	return q, nil
}

// hopeless is an error that is the same in every mode.
type hopeless struct{ error }

func (h hopeless) Unwrap() error { return h.error }

// memory makes packet memory and rings, and gives the kernel its chunks: before bind, since some drivers look then.
func (q *queue) memory(o *Options) (err error) {
	q.chunks = o.Frames
	if q.mode != ZeroCopy {
		q.chunks = o.Ring + mostHeld
	}
	filling := 1 << bits.Len(uint(q.chunks-1))
	if q.umem, err = newUmem(q.chunks * o.FrameSize); err != nil {
		return err
	}
	reg := unix.XDPUmemReg{Addr: uint64(uintptr(q.umem.base)), Len: uint64(len(q.umem.mem)), Size: uint32(o.FrameSize), Headroom: uint32(o.front(q.mode))}
	if err := q.set(unix.XDP_UMEM_REG, unsafe.Pointer(&reg), unsafe.Sizeof(reg)); err != nil {
		if errors.Is(err, unix.ENOBUFS) {
			return fmt.Errorf("registering %d MiB of packet memory: %w: more than the process may lock (ulimit -l; LimitMEMLOCK=infinity in the unit, or CAP_IPC_LOCK)",
				len(q.umem.mem)>>20, err)
		}
		return fmt.Errorf("registering packet memory: %w", err)
	}
	for _, r := range []struct {
		option, entries int
		name            string
	}{{unix.XDP_UMEM_FILL_RING, filling, "fill"}, {unix.XDP_UMEM_COMPLETION_RING, 64, "completion"}, {unix.XDP_RX_RING, o.Ring, "receive"}} {
		n := uint32(r.entries)
		if err := q.set(r.option, unsafe.Pointer(&n), 4); err != nil {
			return fmt.Errorf("%s ring of %d entries: %w", r.name, n, err)
		}
	}
	var off unix.XDPMmapOffsets
	size := uint32(unsafe.Sizeof(off))
	if _, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(q.fd), unix.SOL_XDP, unix.XDP_MMAP_OFFSETS, uintptr(unsafe.Pointer(&off)), uintptr(unsafe.Pointer(&size)), 0); errno != 0 {
		return fmt.Errorf("XDP_MMAP_OFFSETS: %w", errno)
	}
	if size != uint32(unsafe.Sizeof(off)) {
		return fmt.Errorf("XDP_MMAP_OFFSETS: %d bytes, want %d: a kernel before 5.4", size, unsafe.Sizeof(off))
	}
	if q.fill, err = mapRing(q.fd, unix.XDP_UMEM_PGOFF_FILL_RING, off.Fr, filling, 8); err != nil {
		return err
	}
	if q.rx, err = mapRing(q.fd, unix.XDP_PGOFF_RX_RING, off.Rx, o.Ring, int(unsafe.Sizeof(desc{}))); err != nil {
		return err
	}
	n := uint32(q.chunks)
	for i := range n {
		q.fill.put(i, uint64(i)*uint64(o.FrameSize))
	}
	q.fill.submit(n)
	q.held = make([]uint64, 0, mostHeld)
	return nil
}

// mostHeld is how many packets of a queue one Poll hands out.
const mostHeld = 64

// front is the room that a chunk begins with.
func (o *Options) front(mode Mode) int {
	if mode == ZeroCopy || o.NoStamps { // NICs write to where they find it best aligned; bare frames begin a cache line
		return 0
	}
	return bpf.MetaBytes
}

// bindFor is how long a queue that is taken is tried again: the kernel gives one back by a work item, also after a crash.
const bindFor = time.Second

func (q *queue) bind(mode Mode) error {
	flags := uint16(unix.XDP_USE_NEED_WAKEUP | unix.XDP_COPY)
	if mode == ZeroCopy {
		flags = unix.XDP_USE_NEED_WAKEUP | unix.XDP_ZEROCOPY
	}
	at := &unix.SockaddrXDP{Flags: flags, Ifindex: uint32(q.dev.index), QueueID: uint32(q.id)}
	for until := time.Now().Add(bindFor); ; time.Sleep(10 * time.Millisecond) {
		err := unix.Bind(q.fd, at)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EBUSY) && time.Now().Before(until):
		case errors.Is(err, unix.EBUSY):
			return fmt.Errorf("bind: %w: queue %d of %s is another socket's, of a process that `ss --xdp -p` shows", err, q.id, q.dev.name)
		case errors.Is(err, unix.ENODEV):
			return fmt.Errorf("bind: %w: %s is not in this network namespace", err, q.dev.name)
		default:
			return fmt.Errorf("bind in mode %s: %w", mode, err)
		}
	}
}

// busy makes the socket fit for in-line busy polling.
func (q *queue) busy(budget int) error {
	for _, o := range []struct {
		option, value int
		name          string
	}{{unix.SO_PREFER_BUSY_POLL, 1, "SO_PREFER_BUSY_POLL"}, {unix.SO_BUSY_POLL, 20, "SO_BUSY_POLL"}, {unix.SO_BUSY_POLL_BUDGET, budget, "SO_BUSY_POLL_BUDGET"}} {
		if err := unix.SetsockoptInt(q.fd, unix.SOL_SOCKET, o.option, o.value); err != nil {
			return capabilities(fmt.Errorf("%s: %w", o.name, err))
		}
	}
	return nil
}

func (q *queue) set(option int, value unsafe.Pointer, size uintptr) error {
	_, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(q.fd), unix.SOL_XDP, uintptr(option), uintptr(value), size, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// giveBack returns the chunks of the last Poll to the kernel. Hot path.
func (q *queue) giveBack() {
	n := uint32(len(q.held))
	if n == 0 {
		return
	}
	// There is room: the fill ring has an entry for every chunk that goes round.
	for i, addr := range q.held {
		q.fill.put(uint32(i), addr)
	}
	q.fill.submit(n)
	q.held = q.held[:0]
	if q.fill.wanted() {
		q.kick()
	}
}

// kick enters the kernel once, without waiting. The thread may have its processor pinned, so the Go scheduler must not hear of it.
func (q *queue) kick() {
	q.kicks++
	_, _, _ = unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(q.fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
}

// statistics are the kernel's of this socket. It takes the socket's lock: for housekeeping.
func (q *queue) statistics() (s unix.XDPStatistics, err error) {
	size := uint32(unsafe.Sizeof(s))
	if _, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(q.fd), unix.SOL_XDP, unix.XDP_STATISTICS, uintptr(unsafe.Pointer(&s)), uintptr(unsafe.Pointer(&size)), 0); errno != 0 {
		return s, fmt.Errorf("afxdp: %s queue %d: XDP_STATISTICS: %w", q.dev.name, q.id, errno)
	}
	return s, nil
}

// astray counts the chunks that are nowhere (a kernel that was given a wrong address says nothing). Whoever polls goes on
// meanwhile, so what is missing counts once it was missing twice. For housekeeping.
func (q *queue) astray() uint64 {
	if q.mode == ZeroCopy {
		return 0
	}
	before := q.lost
	q.lost = uint64(max(0, q.chunks-int(q.fill.between())-int(q.rx.between())-mostHeld))
	return min(before, q.lost)
}

// close ends the socket. The rings' mappings hold it too, so they go as well: else the queue would stay taken.
func (q *queue) close() error {
	var errs []error
	q.dev.disown(q)
	if q.poller != nil {
		errs = append(errs, q.poller.restore())
		q.poller = nil
	}
	if q.fd >= 0 {
		if q.mapped { // another socket's entry is left alone
			_ = q.dev.maps[bpf.MapXsks].Delete(uint32(q.id)) // closing empties the slot too
		}
		errs = append(errs, unix.Close(q.fd))
		q.fd = -1
	}
	return errors.Join(append(errs, q.rx.unmap(), q.fill.unmap(), q.umem.unmap())...)
}
