package exchange

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/tickwire/tickwire/nic/udp"
)

// wire is how packets leave: called once a burst.
type wire interface {
	// send sends packets of one line in order, and says how many left. What did not is lost.
	send(line int, packets [][]byte) (int, error)
	close() error
}

// openWire opens what the options say, in the caller's network namespace.
func openWire(o *Options) (wire, error) {
	for _, name := range o.Interfaces {
		face, err := net.InterfaceByName(name)
		if err != nil {
			return nil, fmt.Errorf("exchange: interface %s: %w", name, err)
		}
		if most := face.MTU - ipBytes - udpBytes; o.PayloadBytes > most {
			return nil, fmt.Errorf("exchange: packets of %d bytes, but %s carries %d in one frame", o.PayloadBytes, name, most)
		}
	}
	if o.Via == AFXDP {
		return openAFXDP(o)
	}
	w := &sockets{}
	for i := range w.lines {
		s, err := udp.NewSender(o.line(i).Group, o.Interfaces[i], o.TTL)
		if err != nil {
			return nil, errors.Join(err, w.close())
		}
		w.lines[i] = s
	}
	return w, nil
}

// sockets are two UDP sockets.
type sockets struct{ lines [2]*udp.Sender }

func (w *sockets) send(line int, packets [][]byte) (int, error) { return w.lines[line].Send(packets) }

func (w *sockets) close() error {
	var errs []error
	for _, s := range w.lines {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

// addressOf is an interface's first IPv4 address.
func addressOf(face *net.Interface) netip.Addr {
	addrs, err := face.Addrs()
	if err != nil {
		return netip.Addr{}
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok && ip.Unmap().Is4() {
				return ip.Unmap()
			}
		}
	}
	return netip.Addr{}
}
