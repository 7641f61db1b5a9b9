package resync

import (
	"github.com/tickwire/tickwire/parsers/itch"
	"github.com/tickwire/tickwire/tick"
)

// Decoder turns a channel's messages into rows: what a rebuild needs of pipeline.Decoder, by whose rules it goes.
type Decoder interface {
	Append(blocks []byte, first uint64, max int, out *tick.Batch) (used, messages int)
	Start(midnight uint64)
	Refused() uint64
}

// jumper is a decoder of a venue that counts an instrument's entries: it calls fn with the instruments of which some were missing since it was last asked
// (mdp3.Decoder, by RptSeq).
type jumper interface {
	Jumped(fn func(id, missing uint32) bool)
}

// jumps is how many instruments lack entries between their part of the snapshot and what was logged: a number is wrong, or the log is.
func (s *Shadow) jumps() (n int) {
	if j, ok := s.Decoder.(jumper); ok {
		j.Jumped(func(uint32, uint32) bool { n++; return true })
	}
	s.counters.Jumps += uint64(n)
	return n
}

// itchDecoder is ITCH's, the default.
type itchDecoder struct {
	midnight uint64
	c        itch.Counters
}

func (d *itchDecoder) Append(blocks []byte, first uint64, max int, out *tick.Batch) (used, messages int) {
	return itch.Append(blocks, d.midnight, first, max, out, &d.c)
}

func (d *itchDecoder) Start(midnight uint64) { *d = itchDecoder{midnight: midnight} }

func (d *itchDecoder) Refused() uint64 { return d.c.Short }

// decode has a decoder take count messages, and calls rows for each batch of them; rows gives whether to go on. It says what was left, 0 unless the decoder
// could not go on. The batch is empty again afterwards.
func (s *Shadow) decode(blocks []byte, first uint64, count int, rows func(b *tick.Batch)) (left int) {
	b := s.batch
	for count > 0 {
		used, n := s.Decoder.Append(blocks, first, count, b)
		if used == 0 && n == 0 && b.N == 0 {
			return count
		}
		rows(b)
		b.Reset()
		blocks, first, count = blocks[used:], first+uint64(n), count-n
	}
	return 0
}
