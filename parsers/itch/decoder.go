package itch

import "github.com/tickwire/tickwire/tick"

// Decoder is Append with what it needs to know: the day. The zero value works, once it is started. It belongs to one goroutine.
type Decoder struct {
	Counters Counters
	midnight uint64
}

// Append is the package's Append for the decoder's day. Hot path. Flags are left to the caller: no message has any.
func (d *Decoder) Append(blocks []byte, first uint64, max int, out *tick.Batch) (used, messages int) {
	return Append(blocks, d.midnight, first, max, out, &d.Counters)
}

// Start sets the day: the venue's midnight, ns since the Unix epoch.
func (d *Decoder) Start(midnight uint64) { d.midnight = midnight }

// Refused counts messages shorter than their type.
func (d *Decoder) Refused() uint64 { return d.Counters.Short }

// StopsAtRefused says that Append stops behind a message that it refuses.
func (d *Decoder) StopsAtRefused() {}

// Instruments calls fn with nothing: ITCH has one channel, so its instruments are all there are.
func (d *Decoder) Instruments(func(id uint32) bool) {}
