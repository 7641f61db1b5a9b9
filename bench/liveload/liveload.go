// Package liveload has the kernel make frames: the only load on one core that a receiver on another one can hardly keep up with, and one
// that is paced to the frame.
package liveload

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/internal/netns"
)

// Batch is how many frames the load makes at once: what a driver's poll takes.
const Batch = 64

// Load makes frames in the kernel: BPF_PROG_TEST_RUN hands fresh ones to a program, which gives each its number, waits until its
// batch is due, and sends it out of gen0; so it comes in on feed0 as from a wire.
type Load struct {
	prog  *ebpf.Program
	state *ebpf.Map
	store *ebpf.Map // packets to play, of a load that has some
	frame []byte
	at    int // offset in the frame of its number, or of the packet that is played
}

// liveState is the program's memory.
type liveState struct {
	Next     uint64 // number of the next frame
	Due      uint64 // CLOCK_MONOTONIC, ns, of the next batch
	Interval uint64 // ns between batches; 0: as fast as it goes
	Began    uint64 // when the first batch was made, and the last one
	Last     uint64
}

const (
	testLiveFrames = 1 << 1 // BPF_F_TEST_XDP_LIVE_FRAMES
	waitTurns      = 60_000 // looks at the clock for one batch at most: a millisecond. A bound is what the verifier wants
)

// New loads the program, in the namespace that has gen0. frame is sent again and again with its number at an offset, 8 bytes, big-endian, from 1 on; or, with
// packets, their payloads, which have one length, are played one after the other, at that offset. It needs CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN.
func New(ns *netns.NS, frame []byte, at int, packets [][]byte) (*Load, error) {
	return On("gen0", ns.Do, frame, at, packets)
}

// On is New by another interface: frames leave by it, and come in at the other end of its cable. A driver that cannot send what a program redirects
// drops them, and nobody says so. inside runs a function where the interface is.
func On(name string, inside func(func() error) error, frame []byte, at int, packets [][]byte) (l *Load, err error) {
	_ = rlimit.RemoveMemlock() // kernels before 5.11 count maps against it
	l = &Load{frame: frame, at: at}
	if at < 0 || at+8 > len(frame) {
		return nil, fmt.Errorf("liveload: a number at %d of a frame of %d bytes", at, len(frame))
	}
	defer func() {
		if err != nil {
			l.Close()
		}
	}()
	if l.state, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 40, MaxEntries: 1}); err != nil {
		return l, fmt.Errorf("liveload: map of the injector: %w", err)
	}
	if len(packets) > 0 {
		if err := l.keep(packets); err != nil {
			return l, err
		}
	}
	var index int
	if err := inside(func() error {
		face, err := net.InterfaceByName(name)
		if err == nil {
			index = face.Index
		}
		return err
	}); err != nil {
		return l, fmt.Errorf("liveload: %w", err)
	}
	l.prog, err = ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "Dual BSD/GPL", Instructions: l.program(int32(index))})
	if err != nil {
		return l, fmt.Errorf("liveload: the injector's program: %w", err)
	}
	return l, nil
}

// keep puts packets where the program finds them.
func (l *Load) keep(packets [][]byte) (err error) {
	size := len(packets[0])
	l.store, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: uint32(size), MaxEntries: uint32(len(packets))})
	if err != nil {
		return fmt.Errorf("liveload: map of %d packets: %w", len(packets), err)
	}
	for i, p := range packets {
		if len(p) != size {
			return fmt.Errorf("liveload: packet %d has %d bytes, the first %d", i, len(p), size)
		}
		if err := l.store.Put(uint32(i), p); err != nil {
			return fmt.Errorf("liveload: packet %d: %w", i, err)
		}
	}
	return nil
}

// program is, in words:
//
//	n = state.next++
//	if n % 64 == 0:
//	    if interval: wait until state.due; state.due += interval
//	    state.last = now; state.began = state.began or now
//	payload = packets[n], or its number := n + 1, big-endian
//	redirect to gen0
func (l *Load) program(ifindex int32) asm.Instructions {
	ins := asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.StoreImm(asm.RFP, -4, 0, asm.Word),
		asm.LoadMapPtr(asm.R1, l.state.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "drop"),
		asm.Mov.Reg(asm.R7, asm.R0),
		asm.LoadMem(asm.R9, asm.R7, 0, asm.DWord),
		asm.Mov.Reg(asm.R1, asm.R9), asm.Add.Imm(asm.R1, 1),
		asm.StoreMem(asm.R7, 0, asm.R1, asm.DWord),
		asm.StoreMem(asm.RFP, -16, asm.R9, asm.DWord),
		asm.And.Imm(asm.R9, Batch-1),
		asm.JNE.Imm(asm.R9, 0, "due"),
		asm.LoadMem(asm.R1, asm.R7, 16, asm.DWord),
		asm.JEq.Imm(asm.R1, 0, "clock"),
		asm.LoadMem(asm.R8, asm.R7, 8, asm.DWord),
		asm.Mov.Imm(asm.R9, waitTurns),
		asm.JEq.Imm(asm.R9, 0, "waited").WithSymbol("wait"),
		asm.Sub.Imm(asm.R9, 1),
		asm.FnKtimeGetNs.Call(),
		asm.JLT.Reg(asm.R0, asm.R8, "wait"), // the way round is the branch: the verifier then follows one path at a time
		asm.LoadMem(asm.R1, asm.R7, 16, asm.DWord).WithSymbol("waited"),
		asm.Add.Reg(asm.R8, asm.R1),
		asm.StoreMem(asm.R7, 8, asm.R8, asm.DWord),
		asm.FnKtimeGetNs.Call().WithSymbol("clock"),
		asm.StoreMem(asm.R7, 32, asm.R0, asm.DWord),
		asm.LoadMem(asm.R1, asm.R7, 24, asm.DWord),
		asm.JNE.Imm(asm.R1, 0, "due"),
		asm.StoreMem(asm.R7, 24, asm.R0, asm.DWord),
		asm.LoadMem(asm.R9, asm.RFP, -16, asm.DWord).WithSymbol("due"),
	}
	if l.store != nil {
		ins = append(ins,
			asm.StoreMem(asm.RFP, -4, asm.R9, asm.Word),
			asm.LoadMapPtr(asm.R1, l.store.FD()),
			asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -4),
			asm.FnMapLookupElem.Call(),
			asm.JEq.Imm(asm.R0, 0, "drop"),
			asm.Mov.Reg(asm.R1, asm.R6), asm.Mov.Imm(asm.R2, int32(l.at)),
			asm.Mov.Reg(asm.R3, asm.R0), asm.Mov.Imm(asm.R4, int32(l.store.ValueSize())),
			asm.FnXdpStoreBytes.Call(),
			asm.JNE.Imm(asm.R0, 0, "drop"),
		)
	} else {
		ins = append(ins,
			asm.LoadMem(asm.R1, asm.R6, 0, asm.Word),
			asm.LoadMem(asm.R2, asm.R6, 4, asm.Word),
			asm.Mov.Reg(asm.R3, asm.R1), asm.Add.Imm(asm.R3, int32(l.at)+8),
			asm.JGT.Reg(asm.R3, asm.R2, "drop"),
			asm.Add.Imm(asm.R9, 1),
			asm.HostTo(asm.BE, asm.R9, asm.DWord),
			asm.StoreMem(asm.R1, int16(l.at), asm.R9, asm.DWord),
		)
	}
	return append(ins,
		asm.Mov.Imm(asm.R1, ifindex), asm.Mov.Imm(asm.R2, 0),
		asm.FnRedirect.Call(),
		asm.Return(),
		asm.Mov.Imm(asm.R0, 1).WithSymbol("drop"),
		asm.Return(),
	)
}

// Send makes n frames numbered from first+1 on, at a rate a second, 0: as fast as it goes, and returns how many it made and how long that
// took. It belongs to the thread of the load.
func (l *Load) Send(first uint64, n int, rate float64) (int, time.Duration, error) {
	n = max(n/Batch, 2) * Batch
	if err := l.Prepare(first, rate); err != nil {
		return 0, 0, err
	}
	for made := 0; ; {
		err := l.Run(n - made)
		var st liveState
		if err := l.state.Lookup(uint32(0), &st); err != nil {
			return 0, 0, fmt.Errorf("liveload: injector: %w", err)
		}
		made = int(st.Next - first)
		if errors.Is(err, unix.EINTR) && made < n { // a signal of the Go runtime's
			continue
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return 0, 0, err
		}
		// By the program's clock: the call takes up to a tick of the kernel's more than its frames do.
		return made, time.Duration(st.Last-st.Began) * time.Duration(made) / time.Duration(max(made-Batch, 1)), nil
	}
}

// Prepare tells the program what comes.
func (l *Load) Prepare(first uint64, rate float64) error {
	st := liveState{Next: first}
	if rate > 0 {
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
			return err
		}
		st.Due, st.Interval = uint64(now.Nano())+50_000, uint64(Batch*1e9/rate)
	}
	if err := l.state.Put(uint32(0), &st); err != nil {
		return fmt.Errorf("liveload: injector: %w", err)
	}
	return nil
}

// testRun is the part of union bpf_attr that BPF_PROG_TEST_RUN reads.
type testRun struct {
	fd, retval, dataIn, dataOut      uint32
	data, result                     uint64
	repeat, duration, ctxIn, ctxOut  uint32
	ctx, ctxResult                   uint64
	flags, processor, batch, padding uint32
}

const progTestRun = 10 // BPF_PROG_TEST_RUN

// Run makes n frames in one call into the kernel, and allocates nothing. It is to be called in the namespace of gen0.
func (l *Load) Run(n int) error {
	attr := testRun{
		fd: uint32(l.prog.FD()), dataIn: uint32(len(l.frame)), data: uint64(uintptr(unsafe.Pointer(&l.frame[0]))),
		repeat: uint32(n), flags: testLiveFrames, batch: Batch,
	}
	_, _, errno := unix.Syscall(unix.SYS_BPF, progTestRun, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	runtime.KeepAlive(l.frame)
	if errno == unix.EINTR {
		return errno // as it is: to wrap it would allocate, while a caller may be counting that
	}
	if errno != 0 {
		return fmt.Errorf("liveload: BPF_PROG_TEST_RUN with live frames (Linux 5.18 and later): %w", errno)
	}
	return nil
}

// Close gives program and maps back.
func (l *Load) Close() {
	if l.prog != nil {
		_ = l.prog.Close()
	}
	for _, m := range []*ebpf.Map{l.state, l.store} {
		if m != nil {
			_ = m.Close()
		}
	}
}
