package fix

import "bytes"

// Instruments are numbered from 1 on as they are met, for the day. What names one is its symbol (55; where there is none, or it says "[N/A]", 48),
// and where messages say more (maturity, put or call, strike, exchange, suffix) all that they say: a message is of the instrument that it does not
// contradict. When that is none, it is of a new one; when it is several, it cannot be told which, and the message is refused.
type instruments struct {
	bySymbol map[string]uint32 // the first of that symbol
	all      []instrument      // 0 is not used
	most     int

	resolved map[string]resolution // what was said, to what it meant
	version  uint32                // of all and their names: with another one, it may mean something else
	key      []byte
}

type resolution struct{ id, version uint32 }

type instrument struct {
	named    [qualifiers]string // empty: not said yet
	symbol   string             // as it is called in records
	next     uint32             // of the same symbol
	id       uint32
	identity identity
	ids      uint32 // ring of its entries in ids
	rptSeq   uint64
	told     bool   // a definition row was given
	lost     bool   // since the last W something was missing
	bookOf   uint64 // hash of the subscription that brought its book
	hasBook  bool

	message uint64 // that had the last row
	row     int
}

const qualifiers = 6

func qualifiersOf(n *Instrument) [qualifiers][]byte {
	date := n.MaturityDate
	if date == nil {
		date = n.MaturityDay
	}
	return [qualifiers][]byte{n.SymbolSfx, n.MaturityMonth, date, n.PutOrCall, n.Strike, n.Exchange}
}

func (s *instruments) clear() {
	s.bySymbol, s.resolved, s.all = map[string]uint32{}, map[string]resolution{}, make([]instrument, 1, 64)
}

// symbolOf is the text that an instrument is known by first of all.
func symbolOf(n *Instrument) []byte {
	if len(n.Symbol) == 0 || string(n.Symbol) == "[N/A]" {
		return n.SecurityID
	}
	return n.Symbol
}

// find gives the number of the instrument that a message means, 0: it cannot be told, or there is no room. Hot path but for one that is new.
func (s *instruments) find(n *Instrument) uint32 {
	symbol := symbolOf(n)
	if len(symbol) == 0 {
		return 0
	}
	first := s.bySymbol[string(symbol)]
	if first != 0 && s.all[first].next == 0 && n.bare() {
		return first
	}
	said := qualifiersOf(n)
	s.key = append(s.key[:0], symbol...)
	for _, v := range said {
		s.key = append(append(s.key, soh), v...) // no value has one
	}
	if r, ok := s.resolved[string(s.key)]; ok && r.version == s.version {
		return r.id
	}
	id := s.resolve(symbol, first, &said)
	if len(s.resolved) > 4*s.most {
		clear(s.resolved)
	}
	s.resolved[string(s.key)] = resolution{id, s.version}
	return id
}

// resolve looks through all of a symbol, of which the first is given.
func (s *instruments) resolve(symbol []byte, first uint32, said *[qualifiers][]byte) uint32 {
	fits, last, several := uint32(0), uint32(0), false
	for k := first; k != 0; k = s.all[k].next {
		last = k
		agrees, same := s.all[k].agrees(said)
		if same {
			return k
		}
		if agrees {
			several, fits = fits != 0, k
		}
	}
	switch {
	case several:
		return 0
	case fits != 0:
		if s.all[fits].learn(said) {
			s.version++
		}
		return fits
	case len(s.all) > s.most:
		return 0
	}
	s.version++
	return s.add(symbol, said, last)
}

// learn takes in what was not said before, and says whether there was any.
func (x *instrument) learn(said *[qualifiers][]byte) (news bool) {
	for i, v := range said {
		if x.named[i] == "" && len(v) > 0 {
			x.named[i], news = string(v), true
		}
	}
	return news
}

// bare says that a symbol is all there is.
func (n *Instrument) bare() bool {
	return n.SymbolSfx == nil && n.MaturityMonth == nil && n.MaturityDay == nil && n.MaturityDate == nil && n.PutOrCall == nil && n.Strike == nil && n.Exchange == nil
}

// agrees says whether nothing of what a message says contradicts, and whether it says just what is known.
func (x *instrument) agrees(said *[qualifiers][]byte) (agrees, same bool) {
	same = true
	for i, v := range said {
		if string(v) != x.named[i] {
			same = false
			if len(v) > 0 && x.named[i] != "" {
				return false, false
			}
		}
	}
	return true, same
}

func (s *instruments) add(symbol []byte, said *[qualifiers][]byte, last uint32) uint32 {
	k := uint32(len(s.all))
	x := instrument{id: k, symbol: string(symbol)}
	if last != 0 { // the second of its symbol is called by all that is said of it
		x.symbol = string(bytes.TrimRight(bytes.Join(append([][]byte{symbol}, said[:]...), []byte(" ")), " "))
		s.all[last].next = k
	} else {
		s.bySymbol[string(symbol)] = k
	}
	x.learn(said)
	s.all = append(s.all, x)
	return k
}
