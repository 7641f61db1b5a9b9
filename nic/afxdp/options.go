package afxdp

import (
	"errors"
	"fmt"
	"net/netip"
)

// Mode is how frames come to us, best first.
type Mode uint8

const (
	_        Mode = iota
	ZeroCopy      // the NIC writes into our memory
	Copy          // the driver's program runs on its own memory, the kernel copies
	Generic       // the kernel makes a socket buffer first: for tests and odd drivers
)

var modeNames = [...]string{"none", "zerocopy", "copy", "generic"}

func (m Mode) String() string { return modeNames[min(m, Generic)] }

// ParseMode reads a mode's name.
func ParseMode(s string) (Mode, error) {
	for i, name := range modeNames[ZeroCopy:] {
		if s == name {
			return Mode(i + 1), nil
		}
	}
	return 0, fmt.Errorf("afxdp: mode %q is unknown; known: zerocopy, copy, generic", s)
}

// AllQueues makes a group be received on every queue of its interface: where a driver cannot steer flows to a queue.
const AllQueues = -1

// Group is one multicast group on one interface.
type Group struct {
	Group     netip.AddrPort // IPv4
	Interface string         // by name; required
	SourceIP  netip.Addr     // only packets from there; the zero value: from anybody
	VLAN      uint16         // 802.1Q tag that its packets carry, 0: none
	Queue     int            // receive queue that the group is steered to, or AllQueues
	Line      uint8          // 0: A, 1: B
}

// Options of a Source. Groups must be given.
type Options struct {
	Groups []Group
	// Mode is tried first, then the worse ones down to Least. The defaults are ZeroCopy and Generic: whatever works.
	Mode, Least Mode
	// FrameSize is the size of a chunk of packet memory in bytes, 2048 or 4096. Of it 256 are headroom. The default is 2048.
	FrameSize int
	// Frames is the number of chunks of each queue in zero-copy mode, a power of two, at least twice Ring: the NIC has as many as wait
	// for us. It costs Frames × FrameSize bytes that are never paged out. The default is twice Ring. In the other modes just
	// as many go round as the receive ring has entries, and a batch: more would never be used, and cost cache.
	Frames int
	// Ring is the number of entries of the receive ring, a power of two: what may wait for us. The default is 4,096: 4 ms
	// at a million packets a second.
	Ring int
	// BusyPoll makes the sockets fit for BusyPoll: the driver then leaves polling to us where it can, and its interrupts are put off
	// by 200 µs each time we poll. What was set before comes back with Close; a process that is killed leaves it. The
	// default is false.
	BusyPoll bool
	// Budget is how many packets one BusyPoll takes from the driver. The default is 64.
	Budget int
	// NoStamps has the program put nothing in front of frames: no time of arrival, which saves the core of the driver's poll some
	// 50 ns a frame; the lane's clock when it polls is then all there is. All sources of an interface must agree. The
	// default is false.
	NoStamps bool
	// Stamp gives what turns the time of an interface's NIC into ns since the Unix epoch, nil for one whose stamps are not wanted: the
	// kernel's are used there, as without Stamp. It is asked once for each interface.
	Stamp func(iface string) func(hw uint64) (utc uint64, ok bool)
}

// converter turns a NIC's clock into ns since the Unix epoch; false: the clock cannot be trusted now. It is called for each
// packet on the polling goroutine: it must not lock, allocate or enter the kernel.
type converter func(hw uint64) (uint64, bool)

// converterOf is an interface's, nil: none.
func (o *Options) converterOf(iface string) converter {
	if o.Stamp == nil || o.NoStamps {
		return nil
	}
	return o.Stamp(iface)
}

func (o *Options) defaults() error {
	if len(o.Groups) == 0 {
		return errors.New("afxdp: no groups to receive")
	}
	if o.Mode == 0 {
		o.Mode = ZeroCopy
	}
	if o.Least == 0 {
		o.Least = Generic
	}
	if o.FrameSize == 0 {
		o.FrameSize = 2048
	}
	if o.Ring == 0 {
		o.Ring = 4096
	}
	if o.Frames == 0 {
		o.Frames = 2 * o.Ring
	}
	if o.Budget == 0 {
		o.Budget = 64
	}
	power := func(n int) bool { return n > 0 && n&(n-1) == 0 }
	switch {
	case o.Least < o.Mode:
		return fmt.Errorf("afxdp: mode %s is to be tried first, and %s is the least that is taken", o.Mode, o.Least)
	case o.FrameSize != 2048 && o.FrameSize != 4096:
		return fmt.Errorf("afxdp: frame size %d, want 2048 or 4096", o.FrameSize)
	case !power(o.Ring) || o.Ring < 64 || o.Ring > 1<<16:
		return fmt.Errorf("afxdp: a receive ring of %d entries, want a power of two from 64 to 65536", o.Ring)
	case !power(o.Frames) || o.Frames < 2*o.Ring || o.Frames > 1<<20:
		return fmt.Errorf("afxdp: %d frames, want a power of two, at least twice the ring's %d entries", o.Frames, o.Ring)
	case o.Budget < 1 || o.Budget > 1024:
		return fmt.Errorf("afxdp: a budget of %d packets, want 1 to 1024", o.Budget)
	}
	for i := range o.Groups {
		g := &o.Groups[i]
		if err := check(g); err != nil {
			return err
		}
		for _, other := range o.Groups[:i] {
			if other.Group == g.Group && other.Interface == g.Interface && other.VLAN == g.VLAN {
				return fmt.Errorf("afxdp: group %s on %s is given twice", g.Group, g.Interface)
			}
		}
	}
	return nil
}

// check looks at what can be told of a group without its interface.
func check(g *Group) error {
	switch {
	case !g.Group.Addr().Is4() || !g.Group.Addr().IsMulticast() || g.Group.Port() == 0:
		return fmt.Errorf("afxdp: group %s: want an IPv4 multicast address with a port (source udp takes IPv6)", g.Group)
	case g.VLAN > 4094:
		return fmt.Errorf("afxdp: group %s: VLAN %d, want 1 to 4094, or 0 for none", g.Group, g.VLAN)
	case g.Queue < AllQueues:
		return fmt.Errorf("afxdp: group %s: queue %d, want one from 0 on, or -1 for all", g.Group, g.Queue)
	}
	return nil
}
