package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/spf13/cobra"

	fixsession "github.com/tickwire/tickwire/feed/session/fix"
	"github.com/tickwire/tickwire/sim/fixgen"
)

func genFIX() *cobra.Command {
	var o fixgen.Options
	var out, version string
	var messages int
	c := &cobra.Command{
		Use: "fix --out FILE", Short: "a day of FIX market data: W and X, the same bytes on every machine", Args: exactly(0),
		Long: `fix writes messages one behind the other, as a session would have brought them: W for each instrument, then X for what changes, with trades among
them. FILE is compressed when it ends in .gz. None of it is real: give it publisher 40003 when you play it.`,
		Example: `  tickwire gen fix --messages 200000 --out day.fix
  tickwire decode day.fix | head -3
  tickwire sql --from day.fix "SELECT symbol, count(*) FROM ticks GROUP BY 1"`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "" {
				return usageError{errors.New("--out is missing: a file to write")}
			}
			v, err := fixsession.ParseVersion(version)
			if err != nil {
				return usageError{err}
			}
			if err := errors.Join(fixMarketFaults(&o), atLeastEach(messages, o.Symbols)); err != nil {
				return usageError{err}
			}
			n, err := writeFIX(out, o, v, messages)
			if err != nil {
				return errors.Join(err, os.Remove(out))
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: %d messages\n", out, n)
			return nil
		},
	}
	f := c.Flags()
	f.StringVarP(&out, "out", "o", "", "file to write, compressed when it ends in .gz")
	f.IntVar(&messages, "messages", 1_000_000, "messages of the day")
	f.IntVar(&o.Symbols, "symbols", 20, "instruments")
	f.IntVar(&o.Levels, "levels", 5, "of each side of a book")
	f.Uint64Var(&o.Seed, "seed", 0, "another seed, another day")
	f.StringVar(&version, "version", "4.4", "4.2, 4.4 or 5.0SP2")
	return c
}

// fixMarketFaults says what of a generated market cannot be.
func fixMarketFaults(o *fixgen.Options) error {
	var errs []error
	if o.Symbols < 1 || o.Symbols > 100_000 {
		errs = append(errs, fmt.Errorf("--symbols %d: want 1 to 100000", o.Symbols))
	}
	if o.Levels < 1 || o.Levels > fixsession.MostLevels {
		errs = append(errs, fmt.Errorf("--levels %d: want 1 to %d", o.Levels, fixsession.MostLevels))
	}
	return errors.Join(errs...)
}

func atLeastEach(messages, symbols int) error {
	if messages < symbols {
		return fmt.Errorf("--messages %d: want at least %d, a W for each symbol", messages, symbols)
	}
	return nil
}

func writeFIX(path string, o fixgen.Options, v fixsession.Version, messages int) (n int, err error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b := bufio.NewWriterSize(f, 1<<20)
	var w io.Writer = b
	if strings.HasSuffix(path, ".gz") {
		z, err := gzip.NewWriterLevel(b, gzip.BestSpeed)
		if err != nil {
			return 0, err
		}
		n, err = fixgen.Write(z, o, v, messages)
		return n, errors.Join(err, z.Close(), b.Flush())
	}
	n, err = fixgen.Write(w, o, v, messages)
	return n, errors.Join(err, b.Flush())
}
