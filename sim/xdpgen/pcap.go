package xdpgen

import (
	"io"

	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/sim/mold"
	"github.com/tickwire/tickwire/sim/xdp"
)

// WritePcap writes the rest of the session as a capture of XDP packets on lines A and B, on Options.Date. Resets and the last heartbeats are
// never lost. progress is called now and then with the messages so far; it may be nil.
func WritePcap(w io.Writer, g *Gen, l itchgen.Lines, progress func(messages uint64)) error {
	if g.endless() {
		return errEndless
	}
	const ppm = 100 // of one of 10,000
	_, err := xdp.WriteCapture(w, g, xdp.CaptureOptions{
		Play: xdp.PlayOptions{Epoch: g.midnight, TogetherNs: g.o.TogetherNs, Progress: progress},
		Lines: mold.LinesOptions{
			Seed: l.Seed, A: mold.Line{LossPPM: uint32(min(l.LossA, 10_000) * ppm)}, B: mold.Line{LossPPM: uint32(min(l.LossB, 10_000) * ppm)},
		},
	})
	return err
}
