package bpf

import (
	"fmt"
	"unsafe"

	"github.com/cilium/ebpf"
)

// Counters is struct counters, summed over the processors. Every frame is in Seen and in exactly one of the others, Stamp… apart.
type Counters struct {
	Seen       uint64 // frames that reached the program
	NotIP      uint64 // passed: no IPv4, or shorter than its headers
	IPOptions  uint64 // passed: IGMP among them
	NotGroup   uint64 // passed: unicast and link-local control
	NotUDP     uint64 // passed
	Fragment   uint64 // passed: no feed fragments its packets
	Malformed  uint64 // passed: lengths that contradict each other
	NoFlow     uint64 // passed: a group or port that nobody asked for
	Dropped    uint64 // dropped by FlowDrop
	MetaFail   uint64 // passed: the driver has no room for Meta
	Redirected uint64 // handed to a socket; its ring may still be full
	NoSocket   uint64 // passed: a flow of ours on a queue without a socket
	StampOK    uint64 // of the redirected: with the NIC's stamp
	StampNone  uint64 // of the redirected: this frame has no stamp
	StampNever uint64 // of the redirected: the driver cannot, or was not asked
	WrongQueue uint64 // passed: a flow of ours on another queue than it should be steered to
}

// Add adds another processor's.
func (c *Counters) Add(o *Counters) {
	to, from := c.words(), o.words()
	for i := range to {
		to[i] += from[i]
	}
}

func (c *Counters) words() []uint64 {
	return unsafe.Slice(&c.Seen, unsafe.Sizeof(*c)/8) // the fields are words, one after the other
}

// MetaBytes is the size of struct meta, which lies right before a frame.
const MetaBytes = 32

// MetaVersion is that of struct meta.
const MetaVersion = 1

// Meta is struct meta. Hot path: it is read in place.
type Meta struct {
	HWNs    uint64 // the NIC's clock, 0: no stamp
	TAINs   uint64 // CLOCK_TAI when the program ran
	Flow    uint32
	TCI     uint16
	Source  uint8 // SourceXDP or SourceHW
	Version uint8
	Payload uint16 // offset of the UDP payload in the frame
	RxQueue uint16
	_       uint32
}

// Sources of the better stamp in Meta.
const (
	SourceXDP = 1
	SourceHW  = 2
)

const ( // a size that differs either way does not compile
	_ = MetaBytes - unsafe.Sizeof(Meta{})
	_ = unsafe.Sizeof(Meta{}) - MetaBytes
	_ = 128 - unsafe.Sizeof(Counters{})
	_ = unsafe.Sizeof(Counters{}) - 128
)

// Names of the programs, best first, and of the maps.
const (
	ProgramHW    = "rx_hw"    // device-bound: Meta with the NIC's stamp
	ProgramXDP   = "rx_xdp"   // Meta with the kernel's
	ProgramPlain = "rx_plain" // nothing in front of the frame

	// AskTime is a variable of type uint8, 1: whether ProgramHW asks for the NIC's time.
	AskTime = "ask_time"

	MapFlows  = "flows"
	MapXsks   = "xsks"
	MapCounts = "counts"
)

// Spec is what the object file holds. A spec may be loaded in part, and changed: it is the caller's.
func Spec() (*ebpf.CollectionSpec, error) {
	spec, err := loadRx()
	if err != nil {
		return nil, fmt.Errorf("bpf: %w", err)
	}
	// The kernel takes no types for a map of sockets. It would be told of them, refuse, and be asked again: some 13 ms at each set-up.
	spec.Maps[MapXsks].Key, spec.Maps[MapXsks].Value = nil, nil
	return spec, nil
}
