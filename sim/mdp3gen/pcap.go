package mdp3gen

import (
	"errors"
	"io"

	"github.com/tickwire/tickwire/sim/mdp3"
	"github.com/tickwire/tickwire/sim/mold"
)

// Lines say what a capture's lines lack. Package sim/mdp3 has all options.
type Lines struct {
	Seed uint64
	// LossA and LossB are packets of 10,000 that a line lacks.
	LossA, LossB uint64
}

// WritePcap writes the rest of the session as a capture of lines A and B, definitions first. The first packet, and a heartbeat behind the last, are never
// lost. progress is called now and then with the messages so far; it may be nil.
func WritePcap(w io.Writer, g *Gen, l Lines, progress func(messages uint64)) error {
	if g.o.Messages == 0 {
		return errors.New("mdp3gen: a live session without Messages has no end and cannot be written whole")
	}
	o := mdp3.CaptureOptions{Lines: mold.LinesOptions{Seed: l.Seed}}
	o.Lines.A.LossPPM = uint32(min(l.LossA, 10_000) * 100)
	o.Lines.B.LossPPM = uint32(min(l.LossB, 10_000) * 100)
	if progress != nil {
		o.Progress = func(uint64) { progress(g.sent) }
	}
	_, err := mdp3.WriteCapture(w, g, o)
	return err
}
