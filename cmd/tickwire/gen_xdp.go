package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/parsers/xdp"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/sim/xdpgen"
)

func genXDP() *cobra.Command {
	var o xdpgen.Options
	var version, product, out string
	var together time.Duration
	var loss [2]float64
	c := &cobra.Command{
		Use: "xdp --out FILE.pcap", Short: "a capture of a channel of an NYSE feed, the same bytes on every machine", Args: exactly(0),
		Long: `xdp writes a session of one of the NYSE group's feeds as a capture of its packets on lines A and B: mappings, session states, crosses, halts,
orders that live and die as those of gen itch do. The same market makes the quotes of --product bbo, the prints of trades, and the figures of summary,
the channel beside the others that tells the day of each symbol once a minute. The same options give the same bytes, everywhere.

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
			if err := xdpProduct(&o, product); err != nil {
				return usageError{err}
			}
			if o.Product != xdp.Integrated && !cmd.Flags().Changed("messages") {
				o.Messages = 1_000_000 // a day has so many of them at most
			}
			if together < 0 {
				return usageError{fmt.Errorf("--together %s is negative", together)}
			}
			o.TogetherNs = uint64(together)
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
	f.Uint64Var(&o.Messages, "messages", xdpgen.DefaultMessages, "messages of the session; of other feeds than integrated that many at most, and 1000000 by default")
	f.IntVar(&o.Symbols, "symbols", xdpgen.DefaultSymbols, "instruments")
	f.Uint64Var(&o.Seed, "seed", 0, "another seed, another session")
	f.StringVar(&version, "version", xdp.Versions[0], "of the layouts: "+strings.Join(xdp.Versions, ", "))
	f.StringVar(&product, "product", "integrated", xdpProducts)
	f.StringVar(&o.Market, "market", "arca", "whose feed it is: "+strings.Join(xdp.MarketNames(), ", "))
	f.DurationVar(&together, "together", 20*time.Microsecond, "how long a packet takes more messages: 1h fills all")
	lossFlags(f, &loss)
	return c
}

// xdpProducts says what --product may be.
const xdpProducts = "which of its feeds: integrated, bbo, trades, or summary (the channel of stock summaries)"

// xdpProduct reads --product.
func xdpProduct(o *xdpgen.Options, product string) (err error) {
	if o.Summaries = product == "summary"; o.Summaries {
		product = "integrated"
	}
	o.Product, err = xdp.ParseProduct(product)
	return err
}

func writeXDP(path string, g *xdpgen.Gen, l itchgen.Lines, p *progress) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return xdpgen.WritePcap(f, g, l, func(n uint64) { p.bar(path, int64(n), int64(g.Options().Messages)) })
}
