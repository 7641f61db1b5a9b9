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
