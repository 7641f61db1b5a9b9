package mdp3gen

import "github.com/tickwire/tickwire/parsers/mdp3"

// Reset appends a channel reset and what restores, instrument by instrument, what still holds: volume, levels with their orders, orders beyond the depth, session
// statistics and implied levels, with RptSeq from 1 on; daily statistics do not come again.
func (g *Gen) Reset(dst []byte) []byte {
	g.now++
	g.sent++
	dst = g.v.AppendChannelReset(dst, g.now, mdp3.WireEndOfEvent, g.o.Channel)
	for i := range g.list {
		x := &g.list[i]
		if x.rpt = 0; !x.active {
			continue
		}
		for at, more := 0, true; more; at += restoreMost {
			g.now++
			g.event.reset(g.now)
			dst, more = g.restore(dst, x, at)
		}
	}
	return dst
}

// restoreMost is how many levels or orders of a side an event restores.
const restoreMost = 12

// restore appends an event with an instrument's levels from one on, the first with all else; more says that there are others.
func (g *Gen) restore(dst []byte, x *instrument, from int) (out []byte, more bool) {
	e := &g.event
	e.recovery, e.split = mdp3.WireRecovery, true // orders by themselves: they come in the order of their queues
	if from == 0 {
		e.volumes = append(e.volumes, mdp3.WireVolume{Size: x.volume, Security: x.def.Security})
		e.ofVolumes = append(e.ofVolumes, x)
		if x.open != mdp3.WireNoPrice {
			g.stat(x, '4', x.open)
			e.stats[0].OpenClose = 0
			g.stat(x, '7', x.high)
			g.stat(x, '8', x.low)
		}
		for s := range 2 {
			for at, r := range x.imply[s] {
				g.implied(x, s, at, 0, r)
			}
		}
	}
	for s := range 2 {
		b := x.books[s].levels
		for at := from; at < min(from+restoreMost, len(b)); at++ {
			ref := g.entry(x, s, at, 0, &b[at])
			for i := range b[at].orders {
				g.tell(x, s, b[at].px, &b[at].orders[i], 0, ref)
			}
		}
		more = more || from+restoreMost < len(b)
	}
	dst, n := e.encode(dst, g)
	g.sent += uint64(n)
	return dst, more
}
