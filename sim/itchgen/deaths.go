package itchgen

// Orders die by a wheel of messages: a slot for each of the next 2^20 messages of the market, and laps beyond.
const (
	wheelBits = 20
	wheelMask = 1<<wheelBits - 1
)

type death struct {
	ref   uint64 // the order may be gone, and its number another's: then nothing happens
	order uint32
	next  uint32
	laps  uint32
}

type wheel struct {
	slots  []uint32
	deaths []death
	free   uint32
	due    uint32 // chain of those that are due now
}

func newWheel() wheel {
	return wheel{slots: make([]uint32, 1<<wheelBits), deaths: make([]death, 1, 1<<16)}
}

// schedule has an order die when the market is at message at.
func (w *wheel) schedule(now, at uint64, order uint32, ref uint64) {
	n := w.free
	if n != 0 {
		w.free = w.deaths[n].next
	} else {
		w.deaths = append(w.deaths, death{})
		n = uint32(len(w.deaths) - 1)
	}
	slot := &w.slots[at&wheelMask]
	w.deaths[n] = death{ref: ref, order: order, next: *slot, laps: uint32((at - now) >> wheelBits)}
	*slot = n
}

// turn looks at the slot of message now: what is due goes to the chain, what has laps left goes back.
func (w *wheel) turn(now uint64) {
	slot := &w.slots[now&wheelMask]
	n := *slot
	*slot = 0
	for n != 0 {
		d := &w.deaths[n]
		next := d.next
		if d.laps > 0 {
			d.laps--
			d.next = *slot
			*slot = n
		} else {
			d.next = w.due
			w.due = n
		}
		n = next
	}
}

// pop gives an order whose time has come, 0: none is.
func (w *wheel) pop(p *pool) uint32 {
	for w.due != 0 {
		n := w.due
		d := w.deaths[n]
		w.due = d.next
		w.deaths[n].next = w.free
		w.free = n
		if p.orders[d.order].ref == d.ref {
			return d.order
		}
	}
	return 0
}

// lifetime in messages of the whole market: half of all orders are gone within some hundred, and the tail is heavy, from
// microseconds to the whole day: a life eight times as long is half as likely.
func (g *Gen) lifetime(far bool) uint64 {
	life := uint64(40) << min(3*g.r.decay(), 27)
	if far {
		life *= 64
	}
	return life + g.r.below(life)
}
