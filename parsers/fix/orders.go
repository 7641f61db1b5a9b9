package fix

import "github.com/tickwire/tickwire/tick"

// order makes a row of an entry that is known by its id.
func (d *Decoder) order(out *tick.Batch, x *instrument, e *MDEntry, side byte, ts uint64) {
	x.identity = byID
	at := e.ID
	if e.RefID != nil && e.Action != ActionNew && e.Action != ActionDelete {
		at = e.RefID
	}
	if e.ID == nil {
		at = e.RefID
	}
	k := d.ids.find(x.id, at)
	switch {
	case e.Action == ActionNew, k == 0 && e.Action == ActionOverlay && e.Price != tick.UndefPrice && e.Has&HasSize != 0:
		d.newOrder(out, x, e, side, ts, k)
	case k == 0:
		d.unknownID(x)
	case e.Action == ActionDelete, e.Has&HasSize != 0 && e.Size == 0:
		if e.Action != ActionDelete {
			d.Counters.Empty++
		}
		d.deleteOrder(out, x, ts, k)
	default:
		d.changeOrder(out, x, e, ts, k, at)
	}
}

func (d *Decoder) deleteOrder(out *tick.Batch, x *instrument, ts uint64, k uint32) {
	i := d.row(out, x, ts, tick.KindDelete, true)
	out.OrderID[i] = d.ids.nodes[k].number
	d.ids.remove(k, &x.ids)
}

func (d *Decoder) newOrder(out *tick.Batch, x *instrument, e *MDEntry, side byte, ts uint64, k uint32) {
	if k != 0 {
		d.Counters.Duplicates++
	}
	if e.Size == 0 {
		d.Counters.Empty++
		if k != 0 {
			d.deleteOrder(out, x, ts, k)
		}
		return
	}
	if k == 0 {
		k = d.ids.add(x.id, e.ID, &x.ids) // check saw to the room
	}
	n := &d.ids.nodes[k]
	n.side, n.price, n.size = side, e.Price, e.Size
	i := d.row(out, x, ts, tick.KindAdd, true)
	out.OrderID[i], out.Side[i], out.Price[i], out.Size[i] = n.number, side, e.Price, e.Size
}

// changeOrder makes a Modify row, or a Replace row where the entry gets a new id. What it does not say stays.
func (d *Decoder) changeOrder(out *tick.Batch, x *instrument, e *MDEntry, ts uint64, k uint32, at []byte) {
	n := d.ids.nodes[k]
	if e.Price != tick.UndefPrice {
		n.price = e.Price
	}
	if e.Has&HasSize != 0 {
		n.size = e.Size
	}
	kind, number := tick.KindModify, n.number
	if e.ID != nil && string(e.ID) != string(at) {
		kind = tick.KindReplace
		d.ids.remove(k, &x.ids)
		if k = d.ids.find(x.id, e.ID); k != 0 {
			d.Counters.Duplicates++
		} else {
			k = d.ids.add(x.id, e.ID, &x.ids)
		}
	}
	to := &d.ids.nodes[k]
	to.side, to.price, to.size = n.side, n.price, n.size
	i := d.row(out, x, ts, kind, true)
	out.OrderID[i], out.Side[i], out.Price[i], out.Size[i] = number, n.side, n.price, n.size
	if kind == tick.KindReplace {
		out.Aux[i] = to.number
	}
}
