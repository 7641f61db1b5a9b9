package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/sim/mdp3gen"
)

func genMDP3() *cobra.Command {
	var o mdp3gen.Options
	var out string
	var loss [2]float64
	c := &cobra.Command{
		Use: "mdp3 --out FILE", Short: "a day of one CME MDP 3.0 channel, the same bytes on every machine", Args: exactly(0),
		Long: `mdp3 writes a capture of a channel's incremental feed, lines A and B: definitions of futures, spreads and options first, then a market by order and by
price at once, with trades, implied levels, statistics, limits and changes of state. None of it is real: give it publisher 40002 when you play it.`,
		Example: `  tickwire gen mdp3 --messages 2000000 --out cme.pcap
  tickwire sql --from cme.pcap "SELECT symbol, count(*) FROM ticks GROUP BY 1"`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "" {
				return usageError{errors.New("--out is missing: a file to write")}
			}
			for _, l := range loss {
				if l < 0 || l > 100 {
					return usageError{fmt.Errorf("a loss of %g %% is not in 0 … 100", l)}
				}
			}
			g, err := mdp3gen.New(o)
			if err != nil {
				return usageError{err}
			}
			p := newProgress(cmd.ErrOrStderr())
			defer p.done()
			if err := writeMDP3(out, g, loss, p); err != nil {
				return errors.Join(err, os.Remove(out))
			}
			p.done()
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: %d messages, %d orders rest at the end\n", out, g.Messages(), g.Resting())
			return nil
		},
	}
	f := c.Flags()
	f.StringVarP(&out, "out", "o", "", "file to write: a capture")
	f.Uint64Var(&o.Messages, "messages", mdp3gen.DefaultMessages, "SBE messages of the session")
	f.IntVar(&o.Instruments, "instruments", mdp3gen.DefaultInstruments, "futures, spreads and options")
	f.Uint64Var(&o.Seed, "seed", 0, "another seed, another session")
	f.IntVar(&o.Version, "version", 13, "of the schema: 9 or 13")
	f.BoolVar(&o.LongQty, "longqty", false, "templates with 64-bit quantities, where there are such")
	f.Float64Var(&loss[0], "loss-a", 0, "percent of packets that line A lacks")
	f.Float64Var(&loss[1], "loss-b", 0, "percent of packets that line B lacks")
	return c
}

func writeMDP3(path string, g *mdp3gen.Gen, loss [2]float64, p *progress) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	o := g.Options()
	tell := func(n uint64) { p.bar(path, int64(n), int64(o.Messages)) }
	return mdp3gen.WritePcap(f, g, mdp3gen.Lines{Seed: o.Seed, LossA: uint64(loss[0] * 100), LossB: uint64(loss[1] * 100)}, tell)
}
