package afxdp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/bpf"
	"github.com/tickwire/tickwire/nic"
)

// Source receives groups. Poll, Wait, BusyPoll and Counters belong to one goroutine, which may be any thread; Refresh and
// Kernel to another one; Add, Remove and Rejoin to any.
type Source struct {
	queues   []*queue
	devices  []*device
	control  control
	polls    []unix.PollFd
	turn     int
	frame    uint64
	counters Counters
	tai      atomic.Uint64 // CLOCK_TAI − CLOCK_REALTIME, ns
	fault    atomic.Pointer[string]
	kernel   []KernelCounters
	warnings []string
}

// Counters of a Source. Owned by the goroutine that polls.
type Counters struct {
	nic.Counters
	Hardware  uint64 // packets with the NIC's stamp
	Kernel    uint64 // packets with the stamp of the program
	Distrust  uint64 // NIC's stamps that were not taken, since its clock cannot be trusted
	Foreign   uint64 // packets of a sender that was not asked for (SourceIP)
	Stray     uint64 // packets of a flow that is not this source's
	BadFrames uint64 // descriptors or metadata that make no sense: a defect of driver or kernel
	Kicks     uint64 // calls to wake the kernel
}

// KernelCounters are what the kernel counted of one socket and of the program of its interface. Owned by whoever calls
// Refresh.
type KernelCounters struct {
	Interface string
	Queue     int

	Mode         uint64 // 1 zero-copy, 2 copy, 3 generic
	HugePages    uint64 // 1: packet memory lies on huge pages
	RxDropped    uint64 // frames that did not fit a chunk, or found none
	RxRingFull   uint64 // frames that found the receive ring full: copy mode lost them
	FillEmpty    uint64 // frames that found no chunk
	InvalidDescs uint64 // chunks that the kernel refused
	// Astray are chunks that are neither in a ring nor in one batch of packets: never in order, and each makes the ring smaller. Known
	// where the driver keeps none, so 0 in zero-copy mode.
	Astray  uint64
	Waiting uint64 // frames in the receive ring at this moment
	Program bpf.Counters
}

// Open attaches the program to the groups' interfaces where this process has not yet, opens a socket on each queue, and
// joins the groups. It is to be called in the network namespace of the interfaces. Faults name interface, queue and what to
// do; ErrCapability is in them when rights are missing.
func (h *Host) Open(o Options) (_ *Source, err error) {
	if err := o.defaults(); err != nil {
		return nil, err
	}
	s := &Source{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	for i := range o.Groups {
		g := &o.Groups[i]
		if err := s.open(h, g, &o); err != nil {
			return nil, fmt.Errorf("afxdp: group %s on %s: %w", g.Group, g.Interface, err)
		}
	}
	for _, g := range o.Groups {
		if _, err := s.Add(g); err != nil {
			return nil, err
		}
	}
	for i := range s.control.groups {
		if e := &s.control.groups[i]; e.VLAN != 0 {
			s.warnTag(e)
		}
	}
	for _, q := range s.queues {
		s.polls = append(s.polls, unix.PollFd{Fd: int32(q.fd), Events: unix.POLLIN})
		s.kernel = append(s.kernel, KernelCounters{Interface: q.dev.name, Queue: q.id})
		s.warn(q, &o)
	}
	if err := s.Refresh(); err != nil {
		return nil, err
	}
	return s, nil
}

// open opens what a group needs and is not open yet.
func (s *Source) open(h *Host, g *Group, o *Options) error {
	d := s.device(g.Interface)
	if d == nil {
		var err error
		if d, err = s.climb(h, g, o); err != nil {
			return err
		}
	}
	ids := []int{g.Queue}
	if g.Queue == AllQueues {
		ids = nil
		for id := range d.queues {
			ids = append(ids, id)
		}
	}
	for _, id := range ids {
		if s.queue(d, id) != nil {
			continue
		}
		q, err := openOn(d, id, s.first(d).mode, o)
		if err != nil {
			return fmt.Errorf("queue %d: %w", id, err)
		}
		q.convert = s.first(d).convert
		s.queues = append(s.queues, q)
	}
	return nil
}

// climb opens an interface with its first socket: in the best mode that works, from Mode down to Least.
func (s *Source) climb(h *Host, g *Group, o *Options) (*device, error) {
	first := max(g.Queue, 0)
	var tried []error
	convert := o.converterOf(g.Interface)
	for mode := o.Mode; mode <= o.Least; mode++ {
		d, err := h.open(g.Interface, mode == Generic, o.NoStamps, convert != nil)
		if err == nil {
			var q *queue
			if q, err = openOn(d, first, mode, o); err == nil {
				q.convert = convert
				s.devices = append(s.devices, d)
				s.queues = append(s.queues, q)
				for _, t := range tried {
					s.warnings = append(s.warnings, t.Error())
				}
				return d, nil
			}
			err = errors.Join(err, d.release())
		}
		tried = append(tried, fmt.Errorf("mode %s: %w", mode, err))
		if errors.As(err, new(hopeless)) || errors.Is(err, ErrCapability) || errors.Is(err, unix.EBUSY) {
			return nil, err // no other mode would do better
		}
	}
	return nil, errors.Join(tried...)
}

// openOn opens a socket from a thread near the interface: the kernel takes the rings' memory from the caller's node.
func openOn(d *device, id int, mode Mode, o *Options) (q *queue, err error) {
	near := nearDevice(d.name)
	if near == "" {
		return openQueue(d, id, mode, o)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, set unix.CPUSet
	if unix.SchedGetaffinity(0, &before) == nil && parseList(near, &set) {
		if unix.SchedSetaffinity(0, &set) == nil {
			defer func() { _ = unix.SchedSetaffinity(0, &before) }()
		}
	}
	return openQueue(d, id, mode, o)
}

// parseList reads a list of processors such as 0-3,8.
func parseList(list string, set *unix.CPUSet) bool {
	for part := range strings.SplitSeq(list, ",") {
		var from, to int
		if n, _ := fmt.Sscanf(part, "%d-%d", &from, &to); n == 1 {
			to = from
		} else if n != 2 {
			return false
		}
		for c := from; c <= to; c++ {
			set.Set(c)
		}
	}
	return true
}

func (s *Source) device(name string) *device {
	for _, d := range s.devices {
		if d.name == name {
			return d
		}
	}
	return nil
}

func (s *Source) queue(d *device, id int) *queue {
	for _, q := range s.queues {
		if q.dev == d && q.id == id {
			return q
		}
	}
	return nil
}

// first is an interface's first socket, which climb opened.
func (s *Source) first(d *device) *queue {
	for _, q := range s.queues {
		if q.dev == d {
			return q
		}
	}
	return nil
}

// warn says what may hurt.
func (s *Source) warn(q *queue, o *Options) {
	if !q.umem.huge {
		s.warnings = append(s.warnings, fmt.Sprintf("%s queue %d: packet memory lies on small pages (sysctl -w vm.nr_hugepages=%d gives enough large ones)",
			q.dev.name, q.id, len(q.umem.mem)>>21+1))
	}
	if o.BusyPoll && q.napi == 0 {
		s.warnings = append(s.warnings, fmt.Sprintf("%s queue %d: driver %s does not say which poller is the queue's, so busy polling does nothing here; idle = \"spin\" is the choice",
			q.dev.name, q.id, q.dev.driver))
	}
	if q.noisy != nil {
		s.warnings = append(s.warnings, fmt.Sprintf("%s queue %d: interrupts are not put off while it is polled, so busy polling gains little: %v", q.dev.name, q.id, q.noisy))
	}
	if q.dev.queues > 1 && q.dev.mode != Generic {
		s.warnings = append(s.warnings, fmt.Sprintf("%s has %d receive queues: packets are taken on the configured ones only (steer each group there with `ethtool -N`, "+
			"set queue = -1 for all, or `ethtool -L %s combined 1`); the counter wrong_queue tells of others", q.dev.name, q.dev.queues, q.dev.name))
	}
}

// Poll fills p with what has come, without waiting and without entering the kernel. Packets are valid until the next call.
// It fails when an interface is gone.
func (s *Source) Poll(p []nic.Packet) (int, error) {
	n := 0
	s.turn++
	for i := range s.queues {
		q := s.queues[(s.turn+i)%len(s.queues)]
		q.giveBack()
		if n < len(p) {
			n += s.take(q, p[n:])
		}
	}
	if n == 0 {
		return 0, s.idle()
	}
	return n, nil
}

// nudgeEvery is after how many polls that brought nothing the kernel is woken again, while it says that it waits for that: 64 take some µs.
const nudgeEvery = 64

// idle is what there is to do when nothing came. A driver that ran out of chunks may say so right after we looked (giveBack): then no packet
// comes by which we would look again.
func (s *Source) idle() error {
	if why := s.fault.Load(); why != nil {
		return errors.New(*why)
	}
	if s.turn%nudgeEvery == 0 {
		for _, q := range s.queues {
			if q.fill.wanted() {
				q.kick()
			}
		}
	}
	return nil
}

// take hands out what waits in a queue. Hot path.
func (s *Source) take(q *queue, p []nic.Packet) (out int) {
	n := q.rx.available(uint32(min(len(p), cap(q.held))))
	if n == 0 {
		return 0
	}
	tai, meta, steered := s.tai.Load(), q.meta.Load(), q.steered.Load()
	for i := range n {
		d := q.rx.desc(i)
		addr, size := d.addr, d.len
		q.held = append(q.held, addr)
		s.frame++
		s.counters.Frames++
		frame, ok := q.umem.at(addr, size)
		if !ok {
			s.counters.BadFrames++
			continue
		}
		k := &p[out]
		k.Frame, k.Wire = s.frame, frame
		if meta {
			ok = s.withMeta(q, k, frame, (*bpf.Meta)(unsafe.Add(q.umem.base, addr-bpf.MetaBytes)), steered, tai)
		} else {
			ok = s.without(k, frame, steered)
		}
		if ok {
			out++
		}
	}
	q.rx.release(n)
	return out
}

const (
	udpBytes  = 8
	ipBytes   = 20 // the program passes packets with options
	ethBytes  = 14
	tagBytes  = 4
	ipSource  = ipBytes + udpBytes - 12 // offset of the sender's address before the payload
	leastHead = ethBytes + ipBytes + udpBytes
)

// withMeta makes a packet of a frame that the program left its findings in front of: it has looked at every length.
func (s *Source) withMeta(q *queue, k *nic.Packet, frame []byte, m *bpf.Meta, t *table, tai uint64) bool {
	at := int(m.Payload)
	if m.Version != bpf.MetaVersion || at < leastHead || at > len(frame) {
		s.counters.BadFrames++
		return false
	}
	f := t.byNumber(m.Flow)
	if f == nil {
		s.counters.Stray++
		return false
	}
	k.VLAN = m.TCI & 0x0FFF
	if !s.fill(k, frame, at, f) {
		return false
	}
	s.stamp(k, m, q.convert, tai)
	return true
}

// fill makes a packet of flow f of a frame whose payload is at an offset.
func (s *Source) fill(k *nic.Packet, frame []byte, at int, f *flow) bool {
	end := at - udpBytes + int(binary.BigEndian.Uint16(frame[at-4:]))
	if end < at || end > len(frame) {
		s.counters.Malformed++
		return false
	}
	k.Data = frame[at:end:end]
	k.Src = netip.AddrPortFrom(netip.AddrFrom4([4]byte(frame[at-ipSource:])), binary.BigEndian.Uint16(frame[at-udpBytes:]))
	k.Group, k.Line, k.Flow = f.group, f.line, f.index
	if f.source.IsValid() && f.source != k.Src.Addr() {
		s.counters.Foreign++
		return false
	}
	s.counters.Packets++
	s.counters.Bytes += uint64(len(k.Data))
	return true
}

// stamp gives a packet its time of arrival: the NIC's where there is one and its clock can be trusted, else the program's.
func (s *Source) stamp(k *nic.Packet, m *bpf.Meta, convert converter, tai uint64) {
	if m.Source == bpf.SourceHW && convert != nil {
		if utc, ok := convert(m.HWNs); ok {
			k.TsRecv, k.Stamp = utc, nic.StampHardware
			s.counters.Hardware++
			return
		}
		s.counters.Distrust++
	}
	k.TsRecv, k.Stamp = m.TAINs-tai, nic.StampKernel
	s.counters.Kernel++
}

// without makes a packet of a bare frame: the lane's clock will be its time of arrival. The program has looked at it, so its headers
// are known to be whole and of one size; that is looked at again, since what follows reads memory by it.
func (s *Source) without(k *nic.Packet, frame []byte, t *table) bool {
	at, vid := leastHead, uint16(0)
	for tag := 0; len(frame) >= at && tag < 2; tag++ {
		kind := binary.BigEndian.Uint16(frame[at-leastHead+ethBytes-2:])
		if kind != unix.ETH_P_8021Q && kind != unix.ETH_P_8021AD {
			break
		}
		if tag == 0 {
			vid = binary.BigEndian.Uint16(frame[ethBytes:]) & 0x0FFF
		}
		at += tagBytes
	}
	if len(frame) < at || binary.BigEndian.Uint16(frame[at-leastHead+ethBytes-2:]) != unix.ETH_P_IP || frame[at-ipBytes-udpBytes] != 0x45 {
		s.counters.Malformed++
		return false
	}
	key := bpf.FlowKey(binary.LittleEndian.Uint32(frame[at-udpBytes-4:])) | bpf.FlowKey(binary.LittleEndian.Uint16(frame[at-udpBytes+2:]))<<32 | bpf.FlowKey(vid)<<48
	f := t.byKey(key)
	if f == nil {
		s.counters.Stray++
		return false
	}
	k.VLAN, k.TsRecv, k.Stamp = vid, 0, nic.StampNone
	return s.fill(k, frame, at, f)
}

// Wait returns when a frame may be there, or after d. A call into the kernel.
func (s *Source) Wait(d time.Duration) error {
	timeout := unix.NsecToTimespec(d.Nanoseconds())
	_, err := unix.Ppoll(s.polls, &timeout, nil)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return os.NewSyscallError("ppoll", err)
	}
	return nil
}

// BusyPoll lets each driver look for frames once, in our context. A call into the kernel for each queue.
func (s *Source) BusyPoll() error {
	for _, q := range s.queues {
		_, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(q.fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
		if errno != 0 && errno != unix.EAGAIN && errno != unix.EINTR && errno != unix.ENETDOWN {
			return &pollError{q.dev.name, q.id, errno}
		}
	}
	return nil
}

// pollError is made where nothing may be formatted: the lane's P may be pinned.
type pollError struct {
	face  string
	queue int
	errno unix.Errno
}

func (e *pollError) Error() string {
	if e.errno == unix.ENXIO { // the kernel has unbound the socket
		return fmt.Sprintf("afxdp: interface %s is gone: queue %d: %v", e.face, e.queue, e.errno)
	}
	return fmt.Sprintf("afxdp: %s queue %d: busy polling: %v", e.face, e.queue, e.errno)
}

func (e *pollError) Unwrap() error { return e.errno }

// Counters belong to the goroutine that polls.
func (s *Source) Counters() *Counters {
	s.counters.Kicks = 0
	for _, q := range s.queues {
		s.counters.Kicks += q.kicks
	}
	return &s.counters
}

// Kernel are the counters of the last Refresh, an entry a socket. They stay where they are.
func (s *Source) Kernel() []KernelCounters { return s.kernel }

// Warnings are sentences about what may hurt. There may be more of them after a Refresh: that a driver has no room for stamps is seen when its
// first frames come. Any goroutine.
func (s *Source) Warnings() []string {
	all := slices.Clone(s.warnings)
	for _, d := range s.devices {
		if program, why := d.running(); why != "" {
			all = append(all, fmt.Sprintf("%s: program %s runs, since %s", d.name, program, why))
		}
	}
	return all
}

// Mode is how frames come: the worst of the source's sockets.
func (s *Source) Mode() Mode {
	worst := ZeroCopy
	for _, q := range s.queues {
		worst = max(worst, q.mode)
	}
	return worst
}

// Stamps says who stamps packets, as far as is known before the first one.
func (s *Source) Stamps() nic.StampSource {
	for _, d := range s.devices {
		if program, _ := d.running(); program == bpf.ProgramPlain {
			return nic.StampLoop
		}
	}
	return nic.StampKernel
}

// Refresh looks at what the kernel counted, at the clocks' difference and at the interfaces' health; once a second. Any
// goroutine but the polling one, and one at a time.
func (s *Source) Refresh() error {
	var utc, tai unix.Timespec
	if err := errors.Join(unix.ClockGettime(unix.CLOCK_REALTIME, &utc), unix.ClockGettime(unix.CLOCK_TAI, &tai)); err != nil {
		return err
	}
	// Whole seconds apart; a second may have turned between the two calls.
	s.tai.Store(uint64(time.Duration(tai.Nano() - utc.Nano()).Round(time.Second)))
	var errs []error
	for i, q := range s.queues {
		errs = append(errs, s.refresh(q, &s.kernel[i]))
	}
	return errors.Join(errs...)
}

func (s *Source) refresh(q *queue, k *KernelCounters) error {
	if errno, err := unix.GetsockoptInt(q.fd, unix.SOL_SOCKET, unix.SO_ERROR); err == nil && errno != 0 {
		why := fmt.Sprintf("afxdp: interface %s is gone: queue %d: %v", q.dev.name, q.id, unix.Errno(errno))
		s.fault.CompareAndSwap(nil, &why)
	}
	st, err := q.statistics()
	if err != nil {
		return err
	}
	k.Mode, k.HugePages = uint64(q.mode), 0
	if q.umem.huge {
		k.HugePages = 1
	}
	k.RxDropped, k.RxRingFull, k.FillEmpty, k.InvalidDescs = st.Rx_dropped, st.Rx_ring_full, st.Rx_fill_ring_empty_descs, st.Rx_invalid_descs
	k.Waiting = uint64(q.rx.between())
	k.Astray = q.astray()
	if err := q.dev.counters(&k.Program); err != nil {
		return err
	}
	if k.Program.MetaFail > 0 && k.Program.Redirected == 0 {
		return q.dev.plain()
	}
	return nil
}

// Close gives queues and interfaces back. Nobody may be polling.
func (s *Source) Close() error {
	errs := []error{s.control.close()}
	for _, q := range s.queues {
		errs = append(errs, q.close())
	}
	for _, d := range s.devices {
		errs = append(errs, d.release())
	}
	s.queues, s.devices = nil, nil
	return errors.Join(errs...)
}
