package rxbench

import (
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/afxdp"
)

// ours is package nic/afxdp as a lane uses it.
type ours struct {
	host    afxdp.Host
	source  *afxdp.Source
	packets []nic.Packet
}

func openOurs(stamped bool) func() (poller, error) {
	return func() (poller, error) {
		r := &ours{packets: make([]nic.Packet, batch)}
		var err error
		r.source, err = r.host.Open(afxdp.Options{
			Groups: []afxdp.Group{{Group: group, Interface: "feed0"}}, Mode: afxdp.Copy, Least: afxdp.Copy, NoStamps: !stamped,
		})
		return r, err
	}
}

func (r *ours) poll(t *tally) (int, error) {
	n, err := r.source.Poll(r.packets)
	if n > 0 && t.late != nil {
		t.now = monotonic()
	}
	for i := range r.packets[:n] {
		t.payload(r.packets[i].Data)
	}
	return n, err
}

func (r *ours) raw() {}

func (r *ours) close() error { return r.source.Close() }
