package afxdp

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"github.com/tickwire/tickwire/bpf"
	"github.com/tickwire/tickwire/nic/udp"
)

// Flows come and go while packets stream. Whoever polls sees a table that never changes; another one takes its place:
//
//	Add      table with the flow ─► the program steers it ─► the group is joined
//	Remove   the group is left ─► the program passes it ─► table without the flow
//
// so no packet is steered that the table does not know, and other flows notice nothing.

// table is a source's flows on one interface. It never changes.
type table struct {
	flows   []flow
	numbers []uint16 // by number on the interface: index in flows and one; 0: another source's, or gone
	keys    map[bpf.FlowKey]uint16
}

// flow is what a packet of a group needs.
type flow struct {
	group  netip.AddrPort
	source netip.Addr
	number uint32
	index  uint16 // in the source's groups
	line   uint8
}

// byNumber is a flow by its number on the interface; nil: there is none. Hot path.
func (t *table) byNumber(n uint32) *flow {
	if uint64(n) < uint64(len(t.numbers)) {
		if i := t.numbers[n]; i != 0 {
			return &t.flows[i-1]
		}
	}
	return nil
}

// byKey is the same by the packet's addresses. Hot path.
func (t *table) byKey(key bpf.FlowKey) *flow {
	if i, ok := t.keys[key]; ok {
		return &t.flows[i]
	}
	return nil
}

// control is what Add and Remove work on; nobody who polls looks at it.
type control struct {
	mu     sync.Mutex
	groups []steered // by what Packet.Flow says; those that were removed keep their place
}

// steered is a group that is, or was, received.
type steered struct {
	Group
	dev     *device // nil: it was removed
	number  uint32
	face    int // index of the interface that it is joined on
	members *udp.Members
}

// maxGroups is how many groups a source can have had.
const maxGroups = 1<<16 - 1

// Add receives another group, on an interface and queue that the source has open already; it returns what Packet.Flow will be. No packet
// of other groups is lost or delayed. To be called in the interfaces' network namespace.
func (s *Source) Add(g Group) (uint16, error) {
	s.control.mu.Lock()
	defer s.control.mu.Unlock()
	fail := func(err error) (uint16, error) {
		return 0, fmt.Errorf("afxdp: group %s on %s: %w", g.Group, g.Interface, err)
	}
	if err := check(&g); err != nil {
		return 0, err
	}
	d := s.device(g.Interface)
	switch {
	case d == nil:
		return fail(errors.New("the source has no queue of that interface: sockets are opened at the start"))
	case g.Queue != AllQueues && s.queue(d, g.Queue) == nil:
		return fail(fmt.Errorf("the source has no socket on queue %d: sockets are opened at the start", g.Queue))
	case len(s.control.groups) == maxGroups:
		return fail(fmt.Errorf("the source has had %d groups already", maxGroups))
	}
	for i := range s.control.groups {
		if o := &s.control.groups[i]; o.dev == d && o.Group.Group == g.Group && o.VLAN == g.VLAN {
			return fail(errors.New("it is received already"))
		}
	}
	index := len(s.control.groups)
	s.control.groups = append(s.control.groups, steered{Group: g, dev: d, number: d.number()})
	e := &s.control.groups[index]
	s.steer(d)
	if err := d.flow(&g, e.number); err != nil {
		e.dev = nil
		s.steer(d)
		return fail(err)
	}
	name, face, err := d.face(g.VLAN)
	if err == nil { // ports are no matter of memberships
		e.face = face
		e.members, err = udp.Join([]udp.Group{{Group: netip.AddrPortFrom(g.Group.Addr(), 0), Interface: name, SourceIP: g.SourceIP}})
	}
	if err != nil {
		err = errors.Join(err, d.unflow(&g))
		e.dev = nil
		s.steer(d)
		return fail(err)
	}
	return uint16(index), nil
}

// Remove ends receiving the group that Add gave a number, or that has it by its place in Options.Groups. What of it waits in the ring is
// counted as stray.
func (s *Source) Remove(index uint16) error {
	s.control.mu.Lock()
	defer s.control.mu.Unlock()
	if int(index) >= len(s.control.groups) || s.control.groups[index].dev == nil {
		return fmt.Errorf("afxdp: group number %d is not received", index)
	}
	e := &s.control.groups[index]
	d := e.dev
	err := errors.Join(e.members.Close(), d.unflow(&e.Group))
	e.dev, e.members = nil, nil
	s.steer(d)
	return err
}

// steer gives whoever polls a table of what an interface's flows are now.
func (s *Source) steer(d *device) {
	t := &table{keys: map[bpf.FlowKey]uint16{}}
	for i := range s.control.groups {
		e := &s.control.groups[i]
		if e.dev != d {
			continue
		}
		for int(e.number) >= len(t.numbers) {
			t.numbers = append(t.numbers, 0)
		}
		if key, err := bpf.Key(e.Group.Group, e.VLAN); err == nil { // it was looked at before
			t.keys[key] = uint16(len(t.flows))
		}
		t.flows = append(t.flows, flow{group: e.Group.Group, source: e.SourceIP, number: e.number, index: uint16(i), line: e.Line})
		t.numbers[e.number] = uint16(len(t.flows))
	}
	for _, q := range s.queues {
		if q.dev == d {
			q.steered.Store(t)
		}
	}
}

// Faces are the indexes of all interfaces that the source hangs on: those it receives from, and those of VLANs that groups are joined on. Any goroutine.
func (s *Source) Faces() (indexes []int) {
	s.control.mu.Lock()
	defer s.control.mu.Unlock()
	for i := range s.control.groups {
		if e := &s.control.groups[i]; e.dev != nil {
			indexes = append(indexes, e.dev.index, e.face)
		}
	}
	slices.Sort(indexes)
	return slices.Compact(indexes)
}

// on are the groups that are received from the interface with an index, or joined on it.
func (c *control) on(index int) (groups []*steered) {
	for i := range c.groups {
		if e := &c.groups[i]; e.dev != nil && (e.dev.index == index || e.face == index) {
			groups = append(groups, e)
		}
	}
	return groups
}

// Leave leaves the groups of the interface with an index, or of VLANs on it, until Rejoin: see udp.Members.Leave. Any goroutine.
func (s *Source) Leave(index int) {
	s.control.mu.Lock()
	defer s.control.mu.Unlock()
	for _, e := range s.control.on(index) {
		e.members.Leave(e.face)
	}
}

// Rejoin joins the groups of the interface with an index, or of VLANs on it, anew: its link was down. Any goroutine.
func (s *Source) Rejoin(index int) error {
	s.Leave(index)
	s.control.mu.Lock()
	defer s.control.mu.Unlock()
	var errs []error
	for _, e := range s.control.on(index) {
		errs = append(errs, e.members.Rejoin(e.face))
	}
	return errors.Join(errs...)
}

func (c *control) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for i := range c.groups {
		if e := &c.groups[i]; e.dev != nil {
			if e.members != nil {
				errs = append(errs, e.members.Close())
			}
			errs = append(errs, e.dev.unflow(&e.Group))
		}
	}
	c.groups = nil
	return errors.Join(errs...)
}
