package rxbench

import (
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/udp"
)

// sockets is package nic/udp: recvmmsg.
type sockets struct {
	source  *udp.Source
	packets []nic.Packet
}

func openUDP() (poller, error) {
	r := &sockets{packets: make([]nic.Packet, batch)}
	var err error
	r.source, err = udp.Open(udp.Options{Groups: []udp.Group{{Group: group, Interface: "feed0"}}})
	return r, err
}

func (r *sockets) poll(t *tally) (int, error) {
	n, err := r.source.Poll(r.packets)
	if n > 0 && t.late != nil {
		t.now = monotonic()
	}
	for i := range r.packets[:n] {
		t.payload(r.packets[i].Data)
	}
	return n, err
}

func (r *sockets) raw() {}

func (r *sockets) close() error { return r.source.Close() }
