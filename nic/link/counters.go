package link

import (
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Counters are what the kernel counts of an interface's receiving side, as its driver tells (struct rtnl_link_stats64). Which of them a driver moves for
// what is its own matter: docs/receive-path.md.
type Counters struct {
	RxPackets uint64 // frames that came in whole
	RxBytes   uint64
	RxErrors  uint64 // frames that were damaged, of all kinds
	RxDropped uint64 // frames for which the host had no room, or no use
	RxMissed  uint64 // frames for which the NIC had no room: the host took too long
	RxCRC     uint64 // frames whose check sum is wrong
	RxFrame   uint64 // frames that end in the middle of a byte
	RxLength  uint64 // frames of a length that cannot be
	RxOver    uint64 // frames that found the NIC's buffer full
	RxFIFO    uint64 // the same, inside of it
}

// Stats reads counters of interfaces, those of the network namespace that it was opened in.
type Stats struct{ list *netlink.Handle }

// OpenStats opens the kernel's ear for questions.
func OpenStats() (*Stats, error) {
	list, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("link: rtnetlink: %w", err)
	}
	return &Stats{list}, nil
}

// Read reads those of the interface with an index. Not for a hot path.
func (s *Stats) Read(index int, into *Counters) error {
	l, err := s.list.LinkByIndex(index)
	if err != nil {
		return fmt.Errorf("link: counters of interface %d: %w", index, err)
	}
	st := l.Attrs().Statistics
	if st == nil {
		return fmt.Errorf("link: the kernel tells no counters of interface %d", index)
	}
	*into = Counters{
		RxPackets: st.RxPackets, RxBytes: st.RxBytes, RxErrors: st.RxErrors, RxDropped: st.RxDropped, RxMissed: st.RxMissedErrors,
		RxCRC: st.RxCrcErrors, RxFrame: st.RxFrameErrors, RxLength: st.RxLengthErrors, RxOver: st.RxOverErrors, RxFIFO: st.RxFifoErrors,
	}
	return nil
}

// Close ends it.
func (s *Stats) Close() { s.list.Close() }
