package mdp3

import "slices"

// Exchange exchanges all that two decoders of one channel know, when the books that go with it are exchanged: of each instrument its entries' numbers, its trading
// state, the places of its orders, and what of an event is under way. Counters stay where they are and go on. It returns false, and changes nothing, when other is no
// Decoder, or one with other Options.
func (d *Decoder) Exchange(other any) bool {
	o, ok := other.(*Decoder)
	if !ok || o.opts != d.opts {
		return false
	}
	*d, *o = *o, *d
	d.Counters, o.Counters = o.Counters, d.Counters
	d.doubts, o.doubts = o.doubts, d.doubts
	d.nameless, o.nameless = o.nameless, d.nameless
	d.lacked, o.lacked = 0, 0
	d.settle(o)
	return true
}

// settle keeps the newest definitions, and what d has told of instruments without a definition told: what took part in a rebuild has met them too, or it has not, and either way another rebuild would
// bring them no definition; nor exact prices, where the snapshot had others. Whatever else came in between that makes books doubtful is told. What only the rebuild has met is counted here, for it will not be again.
func (d *Decoder) settle(before *Decoder) {
	for i := 1; i < len(before.of.slots); i++ {
		was, f := &before.of.about[i], before.of.slots[i].factor()
		if was.updated == 0 {
			continue
		}
		n := d.of.find(before.of.slots[i].id)
		s, a := &d.of.slots[n], &d.of.about[n]
		if was.updated <= a.updated {
			continue
		}
		short := a.short
		*a = *was
		a.short = short
		s.flags |= before.of.slots[i].flags & defined
		if s.factor() != f { // its books were made by the older one
			if s.flags&(seen|lacking) != 0 {
				d.doubt(s)
			}
			a.short = 0
			s.set(f)
		}
	}
	for i := range before.of.slots {
		if before.of.slots[i].flags&lacking == 0 {
			continue
		}
		if n, ok := d.of.known(before.of.slots[i].id); ok && d.of.slots[n].undefined() {
			d.of.slots[n].flags |= lacking
		} else if !ok {
			d.of.slots[d.of.find(before.of.slots[i].id)].flags |= lacking
		}
	}
	d.doubtful = slices.DeleteFunc(d.doubtful, func(id uint32) bool {
		n, _ := d.of.known(id)
		s := &d.of.slots[n]
		if !s.undefined() {
			if d.of.about[n].short == 0 {
				return false
			}
			s.flags &^= doubted
			return true
		}
		s.flags &^= doubted
		if was, ok := before.of.known(id); !ok || before.of.slots[was].flags&lacking == 0 {
			d.Counters.UndefinedInstruments++
		}
		return true
	})
	d.doubts += uint64(len(d.doubtful))
}
