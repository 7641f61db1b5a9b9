// Package afxdp receives multicast groups through AF_XDP sockets: frames go from the driver to our memory without the kernel's
// stack, and are decoded where they lie.
//
//	       driver ──► XDP program (package bpf) ──► xsks[queue] ──┐          everything that is not ours: the kernel
//	                       │ flows: group, port, VLAN             ▼
//	UMEM ┌───────┬───────┬───────┬─ … ─┐   fill ring ──► kernel ──► receive ring ──► Poll ──► packets in place
//	     │ chunk │ chunk │ chunk │     │       ▲                                                 │
//	     └───────┴───────┴───────┴─ … ─┘       └───────────────── at the next Poll ──────────────┘
//
//	options.go   what is asked for          device.go    an interface: program, link, flows, counters
//	umem.go      packet memory              socket.go    one socket on one queue, and the ladder of modes
//	ring.go      the shared rings           source.go    Poll, Wait, BusyPoll
//	owner.go     who has the queue          probe.go     what is missing, in words
//	flows.go     groups that come and go    napi.go      the driver's poller and its interrupts
//
// One socket a (interface, queue), each with memory and rings of its own; one goroutine polls them all. No system call a packet:
// the kernel is entered only when it asks to be woken, and in Wait and BusyPoll. Memberships are joined by ordinary sockets
// that nobody reads. The rules are the kernel's (Documentation/networking/af_xdp.rst, net/xdp).
package afxdp
