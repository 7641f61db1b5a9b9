package process

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"

	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/afxdp"
	"github.com/tickwire/tickwire/nic/clock"
	"github.com/tickwire/tickwire/nic/udp"
)

// live is a source of multicast packets: sockets of one kind or the other.
type live interface {
	nic.Source
	pipeline.Waiter
	// Leave leaves the groups of the interface with an index, until Rejoin. Any goroutine.
	Leave(index int)
	// Rejoin joins the groups of the interface with an index anew. Any goroutine.
	Rejoin(index int) error
	Warnings() []string
}

// listener is a lane's live source with what keeps house for it.
type listener struct {
	live
	kind       string        // udp or afxdp
	xdp        *afxdp.Source // nil for udp
	routes     []*session.Channel
	names      [2]string // interfaces of lines A and B, of the lane's first channel
	indexes    []int     // of all interfaces, those of VLANs that groups are joined on included
	interfaces []string  // their names
}

// listen opens the lane's groups as the feed's source says. Source auto takes AF_XDP where it may and says why where it may not.
func listen(f *config.Feed, lane string, channels []*session.Channel, p *Process, log *slog.Logger) (*listener, error) {
	l := &listener{kind: f.Source}
	var sockets []udp.Group
	var flows []afxdp.Group
	taken := 0
	for i := range f.Channel {
		if f.Channel[i].Lane != lane {
			continue
		}
		for n, line := range f.Channel[i].Line {
			sockets = append(sockets, udp.Group{Group: line.Group, Interface: line.Interface, SourceIP: line.SourceIP, Line: uint8(n)})
			flows = append(flows, afxdp.Group{
				Group: line.Group, Interface: line.Interface, SourceIP: line.SourceIP, Line: uint8(n), VLAN: line.VLAN, Queue: line.Queue,
			})
			l.routes = append(l.routes, channels[taken])
			if taken == 0 {
				l.names[n] = line.Interface
			}
			if slices.Contains(l.interfaces, line.Interface) {
				continue
			}
			face, err := net.InterfaceByName(line.Interface)
			if err != nil {
				return nil, fmt.Errorf("interface %s: %w (`ip link` shows the interfaces)", line.Interface, err)
			}
			l.interfaces, l.indexes = append(l.interfaces, line.Interface), append(l.indexes, face.Index)
		}
		taken++
	}
	if f.Source != "udp" {
		err := l.openXDP(f, flows, p)
		if err == nil {
			return l, nil
		}
		if f.Source == "afxdp" {
			return nil, err
		}
		log.Warn("source udp is used", "lane", lane, "since", err)
	}
	if tagged := vlans(flows); tagged != 0 {
		log.Warn("source udp: a line's vlan is not looked at: name the VLAN's own interface", "lane", lane, "vlan", tagged)
	}
	s, err := udp.Open(udp.Options{Groups: sockets, Stamp: p.hardwareTime, NoStamps: f.Stamps == "loop"})
	if err != nil {
		return nil, err
	}
	l.live, l.kind = s, "udp"
	return l, nil
}

func vlans(flows []afxdp.Group) uint16 {
	for _, g := range flows {
		if g.VLAN != 0 {
			return g.VLAN
		}
	}
	return 0
}

// hardwareTime is what converts an interface's own stamps, nil: the kernel's are used. Stamping is turned on only where the feed asks
// for it, since some drivers reset their queues then.
func (p *Process) hardwareTime(face string) func(hw uint64) (utc uint64, ok bool) {
	switch p.feed.Stamps {
	case "kernel", "loop":
		return nil
	case "hardware":
		if _, err := clock.StampAll(face); err != nil {
			p.log.Warn("packets have the kernel's stamps, not the NIC's", "interface", face, "since", err)
			return nil
		}
	default:
		if !clock.StampsAll(face) {
			return nil
		}
	}
	return p.runtime.stamps(face)
}

func (l *listener) openXDP(f *config.Feed, flows []afxdp.Group, p *Process) error {
	mode, err := afxdp.ParseMode(f.AFXDP.Mode)
	if err != nil {
		return err
	}
	least, err := afxdp.ParseMode(f.AFXDP.Least)
	if err != nil {
		return err
	}
	s, err := p.host.Open(afxdp.Options{
		Groups: flows, Mode: mode, Least: least, FrameSize: f.AFXDP.FrameSize, Frames: f.AFXDP.Frames, Ring: f.AFXDP.Ring,
		BusyPoll: f.Idle == "busy-poll", NoStamps: f.Stamps == "loop", Stamp: p.hardwareTime,
	})
	if err != nil {
		return err
	}
	l.live, l.xdp, l.kind, l.indexes = s, s, "afxdp", s.Faces()
	return nil
}

// route is the channel of a packet: a source numbers the groups in the order that they were given.
func (l *listener) route(p *nic.Packet) *session.Channel {
	if int(p.Flow) < len(l.routes) {
		return l.routes[p.Flow]
	}
	return nil
}

// export registers what a source counts: its own words on the lane's exporter, the kernel's on the housekeeping's. programs are the
// interfaces whose program is another lane's to tell of: it is one for all queues and lanes.
func (l *listener) export(lane string, own, kernel *exporter, programs map[string]bool) error {
	switch s := l.live.(type) {
	case *udp.Source:
		return own.add(lane+".udp", s.Counters())
	case *afxdp.Source:
		own.also(func() { s.Counters() })
		errs := []error{own.add(lane+".afxdp", &s.Counters().Counters), own.add(lane+".afxdp", s.Counters())}
		for i := range s.Kernel() {
			k := &s.Kernel()[i]
			errs = append(errs, kernel.add(fmt.Sprintf("%s.afxdp.interface.%s.queue.%d", lane, k.Interface, k.Queue), k))
			if !programs[k.Interface] {
				programs[k.Interface] = true
				errs = append(errs, kernel.add(fmt.Sprintf("%s.xdp.interface.%s", lane, k.Interface), &k.Program))
			}
		}
		return errors.Join(errs...)
	}
	return nil
}
