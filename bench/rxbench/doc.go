// Package rxbench measures receivers of multicast side by side: the same frames, through the same entrance, in one run.
//
//	core of the load                                                      core of the receiver
//	┌──────────────────────────────────────────────────────────┐          ┌────────────────────────────────────┐
//	│ live frames (BPF_PROG_TEST_RUN) ─┐                       │          │ afxdp      package nic/afxdp       │
//	│   a program numbers and paces    ├─► gen0 ═veth═ feed0 ──┼─ rings ─►│ libxdp     C, libxdp's helpers     │
//	│ socket (sendmmsg) ───────────────┘     driver's poll,    │          │ asavie     github.com/asavie/xdp   │
//	│                                        XDP or stack      │          │ packet     AF_PACKET, TPACKET_V3   │
//	└──────────────────────────────────────────────────────────┘          │ recvmmsg   package nic/udp         │
//	                                                                      └────────────────────────────────────┘
//
// afxdp, packet and recvmmsg run as lanes do, with the P pinned and windows (package pin): their polls enter the kernel by raw calls, if at
// all. asavie's cannot, since it enters the kernel by way of the runtime; C knows no runtime. GODEBUG=asyncpreemptoff=1, which only the
// environment can set (`tickwire bench rx` does), turns the runtime's signals off: then afxdp's thread makes no system call at all.
//
// veth has the sender's core do the driver's work of the receiving end, so what a receiver's path costs in the kernel slows the load,
// and what it costs in user space loses frames when it cannot keep up. A receiver's figure is the highest rate at which a run lost
// none: as fast as the load goes when that loses none, else found by halving. Each frame is looked at in the same way by all: its UDP
// payload is found and the number in it read.
//
//	rxbench.go   what is run, in which order          send.go    frames from a socket, paced (from the kernel: package liveload)
//	search.go    the highest rate without loss        lane.go    decode, books and rings behind nic/afxdp
//	receiver.go  the receivers' common side           afxdp.go asavie.go packet.go udp.go libxdp.go
//	counts.go    allocations and system calls         machine.go what it was measured on
//
// The namespaces are the benchmark's own; nothing leaves them.
package rxbench
