package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tickwire/tickwire/bench/itchbench"
	"github.com/tickwire/tickwire/sim/itchgen"
)

func genCommand() *cobra.Command {
	c := &cobra.Command{Use: "gen", Short: "make plausible sessions"}
	c.AddCommand(genITCH(), genXDP(), genFIX(), genMDP3())
	return c
}

func genITCH() *cobra.Command {
	var o itchgen.Options
	var profile, out string
	var loss [2]float64
	c := &cobra.Command{
		Use: "itch --out FILE", Short: "an ITCH 5.0 session, the same bytes on every machine", Args: exactly(0),
		Long: `itch writes a session: directory, pre-market, crosses, halts, orders that live and die as on a real day, executions that
match the book. The same options give the same bytes, everywhere.

FILE is a BinaryFILE; compressed when it ends in .gz. When it ends in .pcap it is a capture of MoldUDP64 packets instead, lines A and
B, on one day in January 2026.

Profiles: realistic (Zipf symbols, lifetimes as measured) and hostile (uniform symbols, victims and references: the cache's
worst case). None of it is real: give it publisher 40000 when you play it.`,
		Example: `  tickwire gen itch --messages 20000000 --out day.itch
  tickwire gen itch --messages 100000 --symbols 50 --out lines.pcap --loss-a 1 --loss-b 1`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "" {
				return usageError{errors.New("--out is missing: a file to write")}
			}
			var err error
			if o.Profile, err = itchgen.ParseProfile(profile); err != nil {
				return usageError{err}
			}
			if err := checkLoss(loss); err != nil {
				return usageError{err}
			}
			g, err := itchgen.New(o)
			if err != nil {
				return usageError{err}
			}
			p := newProgress(cmd.ErrOrStderr())
			defer p.done()
			if err := writeSession(out, g, &o, loss, p); err != nil {
				return errors.Join(err, os.Remove(out))
			}
			p.done()
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: %d messages, %d orders rest at the end\n", out, g.Messages(), g.Resting())
			return nil
		},
	}
	f := c.Flags()
	f.StringVarP(&out, "out", "o", "", "file to write: BinaryFILE, .gz, or .pcap")
	f.Uint64Var(&o.Messages, "messages", itchgen.DefaultMessages, "messages of the session")
	f.IntVar(&o.Symbols, "symbols", itchgen.DefaultSymbols, "instruments")
	f.Uint64Var(&o.Seed, "seed", 0, "another seed, another session")
	f.StringVar(&profile, "profile", "realistic", "realistic or hostile")
	lossFlags(f, &loss)
	return c
}

func lossFlags(f *pflag.FlagSet, loss *[2]float64) {
	for i, line := range []string{"a", "b"} {
		f.Float64Var(&loss[i], "loss-"+line, 0, "percent of packets that line "+strings.ToUpper(line)+" of a capture lacks")
	}
}

func checkLoss(loss [2]float64) error {
	for _, l := range loss {
		if !(l >= 0 && l <= 100) {
			return fmt.Errorf("a loss of %g %% is not in 0 … 100", l)
		}
	}
	return nil
}

func writeSession(path string, g *itchgen.Gen, o *itchgen.Options, loss [2]float64, p *progress) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	tell := func(n uint64) { p.bar(path, int64(n), int64(o.Messages)) }
	switch {
	case strings.HasSuffix(path, ".pcap"):
		return itchgen.WritePcap(f, g, itchgen.Lines{Seed: o.Seed, LossA: uint64(loss[0] * 100), LossB: uint64(loss[1] * 100)}, tell)
	case strings.HasSuffix(path, ".gz"):
		z, err := gzip.NewWriterLevel(f, gzip.BestSpeed)
		if err != nil {
			return err
		}
		return errors.Join(itchgen.WriteBinaryFILE(z, g, tell), z.Close())
	}
	return itchgen.WriteBinaryFILE(f, g, tell)
}

// generateDay makes a day in memory for bench.
func generateDay(profile string, messages uint64, p *progress) (*itchbench.Day, error) {
	kind, err := itchgen.ParseProfile(profile)
	if err != nil {
		return nil, usageError{err}
	}
	g, err := itchgen.New(itchgen.Options{Messages: messages, Profile: kind})
	if err != nil {
		return nil, usageError{err}
	}
	all := itchgen.AppendAll(make([]byte, 0, 34*messages), g, func(n uint64) { p.bar("generating", int64(n), int64(messages)) })
	return &itchbench.Day{Bytes: all, Messages: g.Messages()}, nil
}
