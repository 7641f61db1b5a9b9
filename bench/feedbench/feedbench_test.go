package feedbench

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tickwire/tickwire/bench/meter"
	"github.com/tickwire/tickwire/feed/protocol"
	"github.com/tickwire/tickwire/parsers/xdp"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/sim/xdpgen"
)

// TestRun: a generated NYSE session beside a generated ITCH day: everything is measured, nothing is at fault, and the work is the whole day's.
func TestRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "day.pcap")
	f, err := os.Create(path)
	must(t, err)
	g, err := xdpgen.New(xdpgen.Options{Messages: 60_000, Symbols: 50, Version: xdp.V25})
	must(t, err)
	must(t, xdpgen.WritePcap(f, g, itchgen.Lines{}, nil))
	must(t, f.Close())
	day, err := Load(path, protocol.XDP, protocol.Options{})
	must(t, err)
	// The reset comes several times over: priming.
	if day.Messages < 60_000 || day.Messages > 60_010 || day.Options.Product != "integrated" {
		t.Errorf("%d messages of product %q were loaded", day.Messages, day.Options.Product)
	}
	beside, err := itchgen.New(itchgen.Options{Messages: 60_000, Symbols: 50})
	must(t, err)
	blocks := itchgen.AppendAll(nil, beside, nil)
	r, err := Run(day, ITCH(blocks, beside.Messages(), day), Options{Runs: 3, Core: meter.NoCore})
	must(t, err)
	// As many messages a packet, as far as the days are of one length.
	if v, i := perPacket(r.Venue), perPacket(r.ITCH); v < 1 || i < v*0.95 || i > v*1.05 {
		t.Errorf("%.3f messages a packet beside %.3f of ITCH", v, i)
	}
	if full := ITCH(blocks, beside.Messages(), nil); full.Packets() > 60_000/20 || full.Messages != 60_000 {
		t.Errorf("%d full packets of %d messages", full.Packets(), full.Messages)
	}
	for _, side := range []Side{r.Venue, r.ITCH} {
		if side.Rows < side.Messages/2 || side.Messages < 60_000 {
			t.Errorf("%s: %d rows of %d messages", side.Protocol, side.Rows, side.Messages)
		}
		last := 0.0
		for _, s := range side.Stages {
			if s.Faults != 0 || s.Ns.Median <= 0 || s.Byte <= 0 {
				t.Errorf("%s %s: %+v", side.Protocol, s.Name, s)
			}
			if s.Name == "books" && s.Ns.Median < last { // books contain decode
				t.Errorf("%s: books %v ns, decode %v", side.Protocol, s.Ns.Median, last)
			}
			last = s.Ns.Median
		}
	}
	if r.Ratio["decode"] <= 0 || r.Ratio["books"] <= 0 {
		t.Errorf("ratios %v", r.Ratio)
	}
}

func perPacket(s Side) float64 { return float64(s.Messages) / float64(s.Packets) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
