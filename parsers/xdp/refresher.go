package xdp

import "github.com/tickwire/tickwire/tick"

// Refresher is a decoder for books that are made anew: of refreshes, while Refreshing is set, and of the channel's messages behind them. Messages of symbols
// without a mapping are in nobody's book, and do not count as refused.
type Refresher struct {
	*Decoder
	Refreshing bool
}

// Append is Decoder.Append, or Decoder.AppendRefresh as of message first.
func (r *Refresher) Append(blocks []byte, first uint64, max int, out *tick.Batch) (used, messages int) {
	if r.Refreshing {
		return r.Decoder.AppendRefresh(blocks, first, max, out)
	}
	return r.Decoder.Append(blocks, first, max, out)
}

// Refused is how many messages could not be taken of which nobody knows whose they are, and how often a symbol's numbers had a hole.
func (r *Refresher) Refused() uint64 { return r.c.Short + r.c.Contradict + r.c.SymbolGaps }
