package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/parsers/xdp"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/sim/xdpgen"
)

func genXDP() *cobra.Command {
	var o xdpgen.Options
	var version, out string
	var loss [2]float64
	c := &cobra.Command{
		Use: "xdp --out FILE.pcap", Short: "a capture of an NYSE Integrated channel, the same bytes on every machine", Args: exactly(0),
		Long: `xdp writes a session of NYSE Integrated as a capture of its packets on lines A and B: mappings, session states, crosses, halts,
orders that live and die as those of gen itch do. The same options give the same bytes, everywhere.

None of it is real: give it publisher 40001 when you play it.`,
		Example: `  tickwire gen xdp --messages 100000 --symbols 50 --out lines.pcap --loss-a 1 --loss-b 1
  tickwire sql --from lines.pcap "SELECT symbol, count(*) FROM ticks GROUP BY 1"`,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			switch {
			case out == "":
				return usageError{errors.New("--out is missing: a capture to write")}
			case !strings.HasSuffix(out, ".pcap"):
				return usageError{fmt.Errorf("--out %s: want a name that ends in .pcap", out)}
			}
			if o.Version, err = xdp.ParseVersion(version); err != nil {
				return usageError{err}
			}
			if err := checkLoss(loss); err != nil {
				return usageError{err}
			}
			g, err := xdpgen.New(o)
			if err != nil {
				return usageError{err}
			}
			p := newProgress(cmd.ErrOrStderr())
			defer p.done()
			if err := writeXDP(out, g, itchgen.Lines{Seed: o.Seed, LossA: uint64(loss[0] * 100), LossB: uint64(loss[1] * 100)}, p); err != nil {
				return errors.Join(err, os.Remove(out))
			}
			p.done()
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: %d messages of %d symbols\n", out, g.Messages(), g.Options().Symbols)
			return nil
		},
	}
	f := c.Flags()
	f.StringVarP(&out, "out", "o", "", "capture to write, .pcap")
	f.Uint64Var(&o.Messages, "messages", xdpgen.DefaultMessages, "messages of the session")
	f.IntVar(&o.Symbols, "symbols", xdpgen.DefaultSymbols, "instruments")
	f.Uint64Var(&o.Seed, "seed", 0, "another seed, another session")
	f.StringVar(&version, "version", xdp.Versions[0], "of the layouts: "+strings.Join(xdp.Versions, ", "))
	lossFlags(f, &loss)
	return c
}

func writeXDP(path string, g *xdpgen.Gen, l itchgen.Lines, p *progress) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return xdpgen.WritePcap(f, g, l, func(n uint64) { p.bar(path, int64(n), int64(g.Options().Messages)) })
}
