package mdp3

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
	return true
}
