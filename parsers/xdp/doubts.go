package xdp

// What is known to be missing is told by whom it is of: a symbol whose own numbers jump, and one that was mapped after messages of its had been
// refused. Refused messages of symbols that have no mapping yet are in nobody's book: Unmapped tells those.

// maxDoubted is how many symbols are remembered between two looks.
const maxDoubted = 64

// Doubts grows whenever messages are known to be missing: of a symbol, or, those that contradict themselves, of whom nobody knows. Hot path, once a
// packet.
func (d *Decoder) Doubts() uint64 { return d.c.SymbolGaps + d.c.LateMaps + d.c.Short + d.c.Contradict }

// TakeDoubts calls fn with the symbols that messages are missing of since the last call. false: they were too many, or messages were refused of which
// nobody knows whose they are; then any symbol may be of them.
func (d *Decoder) TakeDoubts(fn func(index uint32)) bool {
	named := d.nDoubted <= maxDoubted && d.nameless == d.c.Short+d.c.Contradict
	for _, index := range d.doubted[:min(d.nDoubted, maxDoubted)] {
		fn(index)
	}
	d.nDoubted, d.nameless = 0, d.c.Short+d.c.Contradict
	return named
}

func (d *Decoder) doubtOf(index uint32) {
	for _, known := range d.doubted[:min(d.nDoubted, maxDoubted)] {
		if known == index {
			return
		}
	}
	if d.nDoubted < maxDoubted {
		d.doubted[d.nDoubted] = index
	}
	d.nDoubted = min(d.nDoubted+1, maxDoubted+1)
}

// Exchange has d learn what a Refresher did whose books take the place of d's, up to the message that d takes next; false: other is none. Symbols that d has a
// mapping of keep it; the suspicion of all that other knows ends, and so does d's knowledge of which of their numbers are due. Not for the hot path: a
// look at each symbol, some 0.1 ms for a venue's.
func (d *Decoder) Exchange(other any) bool {
	r, ok := other.(*Refresher)
	if !ok {
		return false
	}
	r.symbols(func(index uint32, from *symbol) bool {
		s := d.enter(index)
		if s == nil {
			return true
		}
		if s.scale == 0 {
			*s = *from
		}
		s.state &^= suspect
		s.next = from.next
		return true
	})
	d.nDoubted = 0
	return true
}
