package hwtest

import (
	"slices"
	"strings"

	"github.com/tickwire/tickwire/tuning"
)

// drivers are counters of drivers at both ends that tell of frames that the XDP program never saw.
type drivers struct {
	ask    func(rx bool) tuning.Stats
	before [2]tuning.Stats
}

// lacks are frames that a driver counts as lost since, by counter.
type lacks struct{ by []Figure }

// drivers reads them now. A driver that tells none explains none.
func (r *run) drivers() *drivers {
	d := &drivers{ask: func(rx bool) (s tuning.Stats) {
		if rx {
			_ = r.wires.ask(r.host, "stats", &s)
			return s
		}
		_ = r.wires.inTx(func() error { return r.host.Devices.Ask(r.wires.tx[0], "stats", &s) })
		return s
	}}
	d.before = [2]tuning.Stats{d.ask(true), d.ask(false)}
	return d
}

// telling are parts of the names of such counters, as drivers have them (mlx5, ice, i40e, ixgbe, igb, ena, virtio, veth).
var telling = []string{"drop", "discard", "missed", "out_of_buffer", "no_dma", "alloc_err", "xmit_errors", "crc", "_err"}

func (d *drivers) since() (l lacks) {
	for end, before := range d.before {
		after := d.ask(end == 0)
		for name, v := range after {
			if v > before[name] && slices.ContainsFunc(telling, func(part string) bool { return strings.Contains(name, part) }) {
				l.by = append(l.by, Figure{Name: []string{"receiver's ", "sender's "}[end] + name, Value: float64(v - before[name]), Unit: "packets"})
			}
		}
	}
	slices.SortFunc(l.by, func(a, b Figure) int { return strings.Compare(a.Name, b.Name) })
	return l
}

func (l *lacks) total() (n float64) {
	for _, f := range l.by {
		n += f.Value
	}
	return n
}
