package tuning_test

import (
	"errors"
	"fmt"
	"testing"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/internal/netns/nstest"
	"github.com/tickwire/tickwire/tuning"
)

// TestBoundQueues binds an AF_XDP socket to a veth of the test's own, and finds it by sock_diag alone, and at its queue.
func TestBoundQueues(t *testing.T) {
	_, diag := tuning.BoundQueues("lo")
	if diag != nil {
		t.Logf("no sock_diag of AF_XDP: %v", diag)
	}
	h, err := tuning.Open("/", nil)
	if err != nil {
		t.Fatal(err)
	}
	p := nstest.Pair(t, netns.Options{Queues: 2})
	skip := ""
	if err := p.Rx.Do(func() error {
		const nic = "feed0"
		if q, err := tuning.BoundQueues(nic); diag == nil && (err != nil || len(q) != 0) {
			t.Errorf("bound before: %v, %v", q, err)
		}
		end, err := bindXSK(nic, 1)
		if err != nil {
			skip = err.Error()
			return nil
		}
		defer end()
		if q, err := tuning.BoundQueues(nic); diag == nil && (err != nil || len(q) != 1 || q[0] != 1) {
			t.Errorf("%v, %v, want queue 1", q, err)
		}
		queues, err := tuning.Ask[[]tuning.Queue](h, nic, "queues")
		for _, q := range queues {
			if q.XSK != (q.ID == 1) {
				if diag != nil && q.ID == 1 {
					skip = "neither sock_diag nor the queue tells of the socket"
					continue
				}
				t.Errorf("queue %d: bound: %v", q.ID, q.XSK)
			}
		}
		if err != nil && skip == "" {
			skip = fmt.Sprint("queues: ", err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if skip != "" {
		t.Skip(skip)
	}
}

// bindXSK makes an AF_XDP socket in copy mode, with memory of its own.
func bindXSK(nic string, queue uint32) (end func(), err error) {
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	const frames, frame = 64, 2048
	area, err := unix.Mmap(-1, 0, frames*frame, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	end = func() { _ = unix.Close(fd); _ = unix.Munmap(area) }
	set := func(option int, at unsafe.Pointer, size uintptr) {
		if _, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_XDP, uintptr(option), uintptr(at), size, 0); errno != 0 {
			err = errors.Join(err, fmt.Errorf("option %d: %w", option, errno))
		}
	}
	reg := unix.XDPUmemReg{Addr: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(area)))), Len: frames * frame, Size: frame}
	set(unix.XDP_UMEM_REG, unsafe.Pointer(&reg), unsafe.Sizeof(reg))
	slots := uint32(frames)
	for _, option := range []int{unix.XDP_UMEM_FILL_RING, unix.XDP_UMEM_COMPLETION_RING, unix.XDP_RX_RING} {
		set(option, unsafe.Pointer(&slots), 4)
	}
	link, err2 := netlink.LinkByName(nic)
	if err = errors.Join(err, err2); err == nil {
		err = unix.Bind(fd, &unix.SockaddrXDP{Flags: unix.XDP_COPY, Ifindex: uint32(link.Attrs().Index), QueueID: queue})
	}
	if err != nil {
		end()
	}
	return end, err
}
