// Package nic is where packets come in: captures, files and sockets, all polled the same way.
//
//	nic/afxdp  multicast groups from the driver, frames in place
//	nic/udp    multicast groups through sockets, recvmmsg, kernel stamps
//	nic/pcap   pcap and pcapng captures, plain, gzip or zstd
//	nic/file   BinaryFILE day files, memory-mapped or compressed
//	nic/pace   when a recorded packet is due
//	nic/clock  time from the processor, and from NICs
//	nic/link   interfaces that come and go
//	nic/capture  what comes in, to pcapng
//
// A source hands out UDP payloads in the memory it received them in; they are valid until its next Poll.
package nic

import (
	"net/netip"
)

// StampSource says who gave a packet its time of arrival.
type StampSource uint8

// Sources of a stamp, best last.
const (
	StampNone     StampSource = iota // there is none: the lane's clock is used
	StampLoop                        // the lane's own clock, when it polled
	StampFile                        // whoever recorded the capture
	StampKernel                      // the kernel, when the driver handed the packet over
	StampHardware                    // the NIC, on the wire
)

func (s StampSource) String() string {
	return [...]string{"none", "loop", "file", "kernel", "hardware"}[min(s, StampHardware)]
}

// Packet is one UDP payload.
type Packet struct {
	Data   []byte         // valid until the next Poll of its source
	Wire   []byte         // the whole frame, where the source has it: valid as long as Data
	TsRecv uint64         // time of arrival, ns since the Unix epoch, 0: none
	Frame  uint64         // 1-based number of the frame or datagram in its source
	Group  netip.AddrPort // destination
	Src    netip.AddrPort // sender
	Flow   uint16         // of a live source: number of the group in the source's options
	VLAN   uint16         // outermost 802.1Q tag, 0: untagged
	Line   uint8          // 0: A, 1: B
	Stamp  StampSource
}

// Source is polled by one goroutine.
type Source interface {
	// Poll fills p and returns how many packets it has; none and no error when a live source has nothing now, io.EOF at
	// the end of a file. Packets that come with an error are good.
	Poll(p []Packet) (int, error)
	Close() error
}

// Counters are what a source saw and what it could not hand out: every way to lose a packet has one. They belong to the
// goroutine that polls.
type Counters struct {
	Frames      uint64 // frames or datagrams seen
	Packets     uint64 // UDP payloads handed out
	Bytes       uint64 // of them
	NotUDP      uint64 // frames that carry something else
	Fragments   uint64 // IP fragments: not put together
	Truncated   uint64 // recorded or received shorter than they were on the wire
	Malformed   uint64 // headers that contradict themselves
	BadChecksum uint64 // IPv4 headers with a wrong, or no, checksum: handed out all the same
	KernelDrops uint64 // datagrams that the kernel dropped because the socket's buffer was full
	SmallBuffer uint64 // sockets whose receive buffer is smaller than was asked for
}
