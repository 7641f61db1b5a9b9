package xdp

import "github.com/tickwire/tickwire/tick"

// Refresher is a decoder for books that are made anew: of refreshes, while Refreshing is set, and of the channel's messages, some of which refreshes
// have already. Messages of symbols without a mapping are in nobody's book, and do not count as refused.
type Refresher struct {
	*Decoder
	Refreshing bool

	reflected map[uint32]uint32 // by symbol: the last of its own numbers that its refresh reflects
	gaps      uint64            // SymbolGaps when it was last looked at
	holes     uint64            // those behind refreshes
}

// NewRefresher makes one.
func NewRefresher(o Options) (*Refresher, error) {
	d, err := NewDecoder(o)
	if err != nil {
		return nil, err
	}
	return &Refresher{Decoder: d, reflected: make(map[uint32]uint32)}, nil
}

// Start is Decoder.Start.
func (r *Refresher) Start(midnight uint64) {
	r.Decoder.Start(midnight)
	clear(r.reflected)
}

// Reflects says how far a symbol's refresh goes by the symbol's own numbers (message 35).
func (r *Refresher) Reflects(index, lastSymbolSequence uint32) {
	r.reflected[index] = lastSymbolSequence
}

// Append is Decoder.Append, or Decoder.AppendRefresh as of message first.
func (r *Refresher) Append(blocks []byte, first uint64, max int, out *tick.Batch) (used, messages int) {
	if r.Refreshing {
		return r.Decoder.AppendRefresh(blocks, first, max, out)
	}
	used, messages = r.Decoder.Append(blocks, first, max, out)
	if r.c.SymbolGaps != r.gaps {
		r.gaps = r.c.SymbolGaps
		r.look()
	}
	return used, messages
}

// look counts holes in symbols' numbers, but for those that a refresh is behind: what was in them it has.
func (r *Refresher) look() {
	named := r.TakeDoubts(func(index uint32) {
		if r.symbol(index).next-1 > r.reflected[index] {
			r.holes++
		}
	})
	if !named {
		r.holes++
	}
}

// Refused is how many messages could not be taken of which nobody knows whose they are, and how often a symbol's numbers had a hole behind its refresh.
func (r *Refresher) Refused() uint64 { return r.c.Short + r.c.Contradict + r.holes }
