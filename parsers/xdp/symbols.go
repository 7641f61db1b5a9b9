package xdp

// Bounds of what a channel may make a decoder remember.
const (
	maxDense    = 1 << 18 // symbol indexes below are looked up in a table of 16 bytes each, as long as the largest one seen
	maxSparse   = 1 << 16 // … and from there on in a map of at most so many
	maxUnmapped = 1024    // slots of the set of unmapped indexes, three quarters of which are used
)

// symbol is what must be known to decode a symbol's messages. 16 bytes: four a cache line.
type symbol struct {
	scale  int64  // 1e-9 in one unit of its prices; 0: no message 3
	next   uint32 // symbol_seq_num that is due, 0: any
	system uint8  // matching engine, whose message 2 gives the second
	rpi    byte   // retail interest last told
	state  uint8
}

const suspect uint8 = 1 // messages of the symbol were lost

// Instruments calls fn with every mapped symbol index until it returns false.
func (d *Decoder) Instruments(fn func(id uint32) bool) {
	d.symbols(func(index uint32, _ *symbol) bool { return fn(index) })
}

// Mapped says whether a symbol index has a mapping.
func (d *Decoder) Mapped(index uint32) bool { return d.symbol(index).scale != 0 }

// Suspects calls fn with every symbol index of which messages are known to be lost, by a jump of its symbol_seq_num or because they came before
// its mapping, until fn returns false. A symbol stays suspect until message 32 empties it or Cleared is called.
func (d *Decoder) Suspects(fn func(index uint32) bool) {
	d.symbols(func(index uint32, s *symbol) bool { return s.state&suspect == 0 || fn(index) })
}

// Cleared ends a symbol's suspicion: its book was made anew from a refresh as of lastSymbolSeq (message 35).
func (d *Decoder) Cleared(index, lastSymbolSeq uint32) {
	s := d.symbol(index)
	if s == &d.none {
		return
	}
	s.state &^= suspect
	s.next = max(s.next, lastSymbolSeq+1)
}

// Unmapped calls fn with symbol indexes that were met without a mapping and still have none, at most 768, until fn returns false: each is worth
// a message 13.
func (d *Decoder) Unmapped(fn func(index uint32) bool) {
	for _, index := range d.unmapped {
		if index != 0 && d.symbol(index).scale == 0 && !fn(index) {
			return
		}
	}
}

func (d *Decoder) symbols(fn func(index uint32, s *symbol) bool) {
	for i := range d.dense {
		if d.dense[i].scale != 0 && !fn(uint32(i), &d.dense[i]) {
			return
		}
	}
	for i, s := range d.sparse {
		if s.scale != 0 && !fn(i, s) {
			return
		}
	}
}

// symbol finds a symbol; none of scale 0 stands for those that are not there. Hot path.
func (d *Decoder) symbol(index uint32) *symbol {
	if uint64(index) < uint64(len(d.dense)) {
		return &d.dense[index]
	}
	return d.far(index)
}

func (d *Decoder) far(index uint32) *symbol {
	if s := d.sparse[index]; s != nil {
		return s
	}
	return &d.none
}

// enter makes room for a symbol, nil when there is none left. It allocates: an instrument is met for the first time.
func (d *Decoder) enter(index uint32) *symbol {
	if s := d.symbol(index); s != &d.none {
		return s
	}
	if index < maxDense {
		grown := make([]symbol, min(max(int(index)+1, 2*len(d.dense)), maxDense))
		copy(grown, d.dense)
		d.dense = grown
		return &d.dense[index]
	}
	if len(d.sparse) >= maxSparse {
		return nil
	}
	s := new(symbol)
	d.sparse[index] = s
	return s
}

// remember notes that an index was met without its mapping: a set of open addresses that forgets nothing before Start.
func (d *Decoder) remember(index uint32) {
	d.c.Unmapped++
	at := slot(index)
	for d.unmapped[at] != 0 {
		if d.unmapped[at] == index {
			return
		}
		at = (at + 1) % maxUnmapped
	}
	if d.nUnmapped >= maxUnmapped/4*3 {
		d.c.Forgotten++
		return
	}
	d.unmapped[at] = index
	d.nUnmapped++
}

// missed says that messages of an index were refused for want of a mapping.
func (d *Decoder) missed(index uint32) bool {
	for at := slot(index); d.unmapped[at] != 0; at = (at + 1) % maxUnmapped {
		if d.unmapped[at] == index {
			return true
		}
	}
	return false
}

func slot(index uint32) uint32 { return index * 2654435769 >> 22 } // the upper ten bits

const _ = uint(maxUnmapped-1<<10) * uint(1<<10-maxUnmapped) // slot gives ten bits

// track follows a symbol's own sequence. A number that is not the one due makes the symbol suspect, nobody else. Hot path.
func (d *Decoder) track(s *symbol, index, number uint32) {
	if number != s.next {
		d.jump(s, index)
	}
	s.next = number + 1
}

func (d *Decoder) jump(s *symbol, index uint32) {
	if s.next != 0 {
		d.c.SymbolGaps++
		s.state |= suspect
		d.doubtOf(index)
	}
}
