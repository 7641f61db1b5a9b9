package capture

import (
	"net/netip"

	"github.com/tickwire/tickwire/nic"
)

// filter says which packets are wanted. The zero value wants all.
type filter struct {
	lines  uint8 // bit 0: A, bit 1: B; 0: both
	groups []netip.AddrPort
}

// match is asked on the lane.
func (f *filter) match(p *nic.Packet) bool {
	if f.lines != 0 && f.lines>>(p.Line&7)&1 == 0 {
		return false
	}
	if len(f.groups) == 0 {
		return true
	}
	for i := range f.groups {
		if g := &f.groups[i]; *g == p.Group || g.Port() == 0 && g.Addr() == p.Group.Addr() {
			return true
		}
	}
	return false
}
