package itchgen

import (
	"io"

	"github.com/tickwire/tickwire/sim/mold"
)

// Lines say what a capture's lines lack. Package mold has more faults, and all options.
type Lines struct {
	Seed uint64
	// LossA and LossB are packets of 10,000 that a line lacks.
	LossA, LossB uint64
}

// WritePcap writes the rest of the session as a capture of MoldUDP64 packets on lines A and B, on Options.Date. The first packet
// and the end of the session are never lost. progress is called now and then with the messages so far; it may be nil.
func WritePcap(w io.Writer, g *Gen, l Lines, progress func(messages uint64)) error {
	if g.endless() {
		return errEndless
	}
	midnight, err := g.o.Date.Midnight()
	if err != nil {
		return err
	}
	const ppm = 100 // of one of 10,000
	_, err = mold.WriteCapture(w, g, mold.CaptureOptions{
		Play: mold.PlayOptions{Progress: progress}, Midnight: midnight, Seed: l.Seed,
		A: mold.Line{LossPPM: uint32(min(l.LossA, 10_000) * ppm)}, B: mold.Line{LossPPM: uint32(min(l.LossB, 10_000) * ppm)},
	})
	return err
}
