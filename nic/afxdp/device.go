package afxdp

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/bpf"
)

// Host keeps the interfaces of a process: all lanes that receive from one share its program. The zero value is ready.
type Host struct {
	mu      sync.Mutex
	devices map[string]*device
}

// device is an interface with the program attached. Attached through a link: when the process dies, however, the kernel
// detaches it, and the packets go to the kernel's stack again.
type device struct {
	host     *Host
	name     string
	index    int
	mtu      int
	queues   int
	driver   string
	mode     Mode // Copy: attached in the driver; Generic: in front of the kernel's stack
	program  string
	why      string // why no better program runs
	programs map[string]*ebpf.Program
	maps     map[string]*ebpf.Map
	flows    *bpf.Flows
	bare     bool // nothing is put in front of frames, since nobody wants stamps
	clock    bool // the NIC's time is asked for
	link     link.Link
	sockets  []*queue // of all lanes
	users    int
	nextFlow uint32
	pollers  *napiSettings // of all its queues, as they were before
}

// open gives an interface with the program attached, in the driver or, when generic is set, in front of the stack; bare: without stamps,
// clock: with the NIC's.
func (h *Host) open(name string, generic, bare, clock bool) (*device, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if d := h.devices[name]; d != nil {
		if generic != (d.mode == Generic) {
			return nil, fmt.Errorf("another lane of this process has %s in mode %s already: give all lanes of an interface the same mode", name, d.mode)
		}
		if bare != d.bare || clock && !d.clock {
			return nil, hopeless{fmt.Errorf("another lane of this process has %s with other stamps: all lanes of an interface have the NIC's, the kernel's, or none", name)}
		}
		d.users++
		return d, nil
	}
	d := &device{host: h, name: name, mode: Copy, bare: bare, clock: clock, users: 1, programs: map[string]*ebpf.Program{}}
	if generic {
		d.mode = Generic
	}
	if err := d.look(); err != nil {
		return nil, hopeless{err}
	}
	if err := d.load(); err != nil {
		return nil, errors.Join(err, d.close())
	}
	if err := d.attach(); err != nil {
		return nil, errors.Join(err, d.close())
	}
	if h.devices == nil {
		h.devices = map[string]*device{}
	}
	h.devices[name] = d
	return d, nil
}

// look finds out what the interface is.
func (d *device) look() error {
	l, err := netlink.LinkByName(d.name)
	if err != nil {
		return fmt.Errorf("interface %s: %w (`ip link` shows the interfaces)", d.name, err)
	}
	a := l.Attrs()
	d.index, d.mtu, d.queues, d.driver = a.Index, a.MTU, max(1, a.NumRxQueues), driverOf(a.Index)
	if n, ok := channels(a.Index); ok {
		d.queues = n
	}
	if a.Flags&net.FlagUp == 0 {
		return fmt.Errorf("interface %s is down (`ip link set %s up`)", d.name, d.name)
	}
	return nil
}

// load loads the maps and the best program that the interface takes.
func (d *device) load() error {
	_ = rlimit.RemoveMemlock() // kernels before 5.11 count maps against it
	spec, err := bpf.Spec()
	if err != nil {
		return err
	}
	if !d.clock {
		if err := spec.Variables[bpf.AskTime].Set(uint8(0)); err != nil {
			return fmt.Errorf("variable %s: %w", bpf.AskTime, err)
		}
	}
	progs := spec.Programs
	spec.Programs = nil
	coll, err := ebpf.NewCollection(spec)
	if err != nil {
		return capabilities(fmt.Errorf("loading the maps: %w", err))
	}
	d.maps, d.flows = coll.Maps, bpf.NewFlows(coll.Maps[bpf.MapFlows])
	coll.Maps = nil
	coll.Close()
	names := []string{bpf.ProgramHW, bpf.ProgramXDP, bpf.ProgramPlain}
	if d.mode == Generic {
		names = names[1:] // a device-bound program cannot run there
		d.why = "generic mode has no access to the NIC's stamps"
	}
	if d.bare {
		names, d.why = []string{bpf.ProgramPlain}, ""
	}
	for _, name := range names {
		p := progs[name]
		if name == bpf.ProgramHW {
			p = p.Copy()
			p.Ifindex, p.Flags = uint32(d.index), p.Flags|unix.BPF_F_XDP_DEV_BOUND_ONLY
		}
		loaded, err := d.loadOne(spec, name, p)
		if err != nil {
			if name == bpf.ProgramPlain {
				return capabilities(fmt.Errorf("loading the program: %w", err))
			}
			d.why = fmt.Sprintf("%s: %v", name, err)
			continue
		}
		d.programs[name] = loaded
		if d.program == "" {
			d.program = name
		}
	}
	return nil
}

func (d *device) loadOne(spec *ebpf.CollectionSpec, name string, p *ebpf.ProgramSpec) (*ebpf.Program, error) {
	one := spec.Copy()
	one.Programs = map[string]*ebpf.ProgramSpec{name: p}
	coll, err := ebpf.NewCollectionWithOptions(one, ebpf.CollectionOptions{MapReplacements: d.maps})
	if err != nil {
		return nil, err
	}
	defer coll.Close()
	return coll.DetachProgram(name), nil
}

// attach attaches the best program that the driver takes, and says whose the interface is when it has one already.
func (d *device) attach() error {
	flags := link.XDPDriverMode
	if d.mode == Generic {
		flags = link.XDPGenericMode
	}
	var err error
	for _, name := range []string{bpf.ProgramHW, bpf.ProgramXDP, bpf.ProgramPlain} {
		p := d.programs[name]
		if p == nil || name == bpf.ProgramPlain && !d.bare {
			continue // bare frames are for whoever asks for them, and for drivers that turn out to have no room
		}
		if d.link, err = link.AttachXDP(link.XDPOptions{Program: p, Interface: d.index, Flags: flags}); err == nil {
			d.program = name
			return nil
		}
		if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("interface %s has an XDP program already, of %s: one process receives from an interface by AF_XDP (%w)", d.name, ownerOf(d.index), unix.EBUSY)
		}
		if name == bpf.ProgramHW {
			d.why = fmt.Sprintf("%s: %v", name, err)
		}
	}
	return capabilities(fmt.Errorf("attaching to %s (driver %s, mode %s): %w", d.name, d.driver, d.mode, err))
}

// plain makes the program that puts nothing in front of packets run: the driver has no room there. Not one packet was redirected
// before, since the other programs redirect none then, so every packet from now on is without.
func (d *device) plain() error {
	d.host.mu.Lock()
	defer d.host.mu.Unlock()
	if d.program == bpf.ProgramPlain {
		return nil
	}
	for _, q := range d.sockets {
		q.meta.Store(false)
	}
	if err := d.link.Update(d.programs[bpf.ProgramPlain]); err != nil {
		return fmt.Errorf("afxdp: %s: changing to %s: %w", d.name, bpf.ProgramPlain, err)
	}
	d.program, d.why = bpf.ProgramPlain, "driver "+d.driver+" keeps no room in front of a packet"
	return nil
}

// running is the program that runs, and why no better one does.
func (d *device) running() (program, why string) {
	d.host.mu.Lock()
	defer d.host.mu.Unlock()
	return d.program, d.why
}

// adopt and disown keep the list of sockets that a change of program is told to.
func (d *device) adopt(q *queue) {
	d.host.mu.Lock()
	defer d.host.mu.Unlock()
	q.meta.Store(d.program != bpf.ProgramPlain)
	d.sockets = append(d.sockets, q)
}

// taken says that a source of this process has a queue.
func (d *device) taken(id int) bool {
	d.host.mu.Lock()
	defer d.host.mu.Unlock()
	return slices.ContainsFunc(d.sockets, func(o *queue) bool { return o.id == id })
}

func (d *device) disown(q *queue) {
	d.host.mu.Lock()
	defer d.host.mu.Unlock()
	d.sockets = slices.DeleteFunc(d.sockets, func(o *queue) bool { return o == q })
}

// number gives a flow its number on the interface. Numbers are not used twice: a frame that waits may still bear an old one.
func (d *device) number() uint32 {
	d.host.mu.Lock()
	defer d.host.mu.Unlock()
	d.nextFlow++
	return d.nextFlow - 1
}

// flow has a group's packets redirected, under a number.
func (d *device) flow(g *Group, number uint32) error {
	key, err := bpf.Key(g.Group, g.VLAN)
	if err != nil {
		return err
	}
	f := bpf.Flow{ID: number, Queue: bpf.AnyQueue}
	if g.Queue != AllQueues {
		f.Queue = uint16(g.Queue)
	}
	err = d.flows.Add(key, f)
	if errors.Is(err, ebpf.ErrKeyExist) {
		return fmt.Errorf("another lane of this process receives group %s on %s already", g.Group, d.name)
	}
	return err
}

// unflow lets a group's packets pass again.
func (d *device) unflow(g *Group) error {
	key, err := bpf.Key(g.Group, g.VLAN)
	if err != nil {
		return err
	}
	return d.flows.Delete(key)
}

// counters are the program's, summed over the processors.
func (d *device) counters(into *bpf.Counters) error {
	var per []bpf.Counters
	if err := d.maps[bpf.MapCounts].Lookup(uint32(0), &per); err != nil {
		return fmt.Errorf("afxdp: %s: counters of the program: %w", d.name, err)
	}
	*into = bpf.Counters{}
	for i := range per {
		into.Add(&per[i])
	}
	return nil
}

// release gives the interface back; with its last user the program goes.
func (d *device) release() error {
	d.host.mu.Lock()
	defer d.host.mu.Unlock()
	if d.users--; d.users > 0 {
		return nil
	}
	delete(d.host.devices, d.name)
	return d.close()
}

func (d *device) close() error {
	var errs []error
	if d.pollers != nil {
		errs = append(errs, d.pollers.restore())
	}
	if d.link != nil {
		errs = append(errs, d.link.Close())
	}
	for _, p := range d.programs {
		errs = append(errs, p.Close())
	}
	for _, m := range d.maps {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}
