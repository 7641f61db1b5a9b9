package xdp

import "github.com/tickwire/tickwire/sim/mold"

// Damage is what a line does to a packet.
var Damage = damage

// PlayFailovers is Play of a venue whose publishers take over before some messages of the source.
func PlayFailovers(src mold.Source, o PlayOptions, rec *Record, product, channel uint8, at []uint64, send func(ts uint64, packet []byte, sure bool) error) error {
	v := &Venue{o: Options{Failovers: at, Product: product, Channel: channel}, rec: rec}
	o.takeover = v.takeover()
	return Play(src, o, send)
}
