package mdp3gen

import "github.com/tickwire/tickwire/parsers/mdp3"

// Reset appends a channel reset. The next events restore, instrument by instrument, what still holds: volume, levels with their orders, orders beyond the
// depth, statistics and implied levels, with RptSeq from 1 on; daily statistics do not come again.
func (g *Gen) Reset(dst []byte) []byte {
	g.now++
	g.sent++
	for i := range g.list {
		g.list[i].rpt = 0
		if g.list[i].active {
			g.restore = append(g.restore, i)
		}
	}
	return g.v.AppendChannelReset(dst, g.now, mdp3.WireEndOfEvent, g.o.Channel)
}

// restoreMost is how many levels or orders of a side an event restores.
const restoreMost = 12

// restoring makes the next event of a restoration. Those of one instrument follow each other.
func (g *Gen) restoring(dst []byte) []byte {
	e := &g.event
	x := &g.list[g.restore[0]]
	e.recovery = mdp3.WireRecovery
	if g.restoreAt == 0 {
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
	more := false
	for s := range 2 {
		b := x.books[s].levels
		for at := g.restoreAt; at < min(g.restoreAt+restoreMost, len(b)); at++ {
			ref := g.entry(x, s, at, 0, &b[at])
			for i := range b[at].orders {
				if len(e.orders) >= 20 { // a message is one packet's at most
					ref = 0
				}
				g.tell(x, s, b[at].px, &b[at].orders[i], 0, ref)
			}
		}
		more = more || g.restoreAt+restoreMost < len(b)
	}
	if g.restoreAt += restoreMost; !more {
		g.restore, g.restoreAt = g.restore[1:], 0
	}
	dst, n := e.encode(dst, g)
	g.sent += uint64(n)
	return dst
}
