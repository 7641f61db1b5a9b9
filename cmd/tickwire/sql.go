package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tickwire/tickwire/feed/process"
	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/sqlgw/format"
)

type sqlOptions struct {
	from, addr, format, out, between string
	input                            input
	symbols                          []string
	memory                           string
	statement                        string
	publisher                        uint16
	dataset                          string
	guests                           guests
}

func sqlCommand() *cobra.Command {
	o := &sqlOptions{}
	c := &cobra.Command{
		Use: "sql [STATEMENT]", Short: "ask a capture, or a running server", Args: atMost(1),
		Long: `sql answers SQL. With --from it runs a capture through the whole pipeline first, filling only the tables that the
statement names; without, it asks a server (--addr). Without a statement it asks for them: history, \d, \timing, \? for help; or
it reads one from standard input when that is no terminal.

Tables: orders, ticks, trades, depth, status, imbalances, statistics, definitions, gaps, and the views market_data, bars_1s,
bars_1m. ts is a timestamptz of microseconds, ts_ns a bigint of nanoseconds.

With --plugin rows pass plugins as a feed's do: columns that they add are columns of ticks (tickwire.custom_fields lists them), their
functions and aggregates are SQL's, and --protocol may name a parser among them (docs/plugins-sql.md).`,
		Example: `  tickwire sql --from day.itch.gz "SELECT symbol, sum(size) FROM trades GROUP BY symbol ORDER BY 2 DESC LIMIT 10"
  tickwire sql --from day.itch.gz --symbols AAPL --between 09:30,10:00 --format parquet --out aapl.parquet "SELECT * FROM ticks"
  tickwire sql --from day.itch.gz --plugin plugins/examples/vwap "SELECT symbol, vwap(price, size) FROM trades GROUP BY symbol"
  tickwire sql --addr 127.0.0.1:5433`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.statement = argOr(args, "")
			if !format.Known(o.format) {
				return usageError{fmt.Errorf("--format %q is none of %s", o.format, strings.Join(format.Names, ", "))}
			}
			if o.from != "" && cmd.Flags().Changed("addr") {
				return usageError{errors.New("--from and --addr exclude each other")}
			}
			if o.from == "" && len(o.guests.paths)+len(o.guests.params) > 0 {
				return usageError{errors.New("--plugin goes with --from: a server has those of its configuration")}
			}
			return o.run(cmd)
		},
	}
	f := c.Flags()
	f.StringVar(&o.from, "from", "", "capture: pcap, pcapng or BinaryFILE, plain or compressed")
	f.StringVar(&o.addr, "addr", "127.0.0.1:5433", "server to ask: host:port, or a postgres:// URL")
	f.StringVar(&o.format, "format", "table", strings.Join(format.Names, ", "))
	f.StringVarP(&o.out, "out", "o", "-", "file to write the answer to")
	o.input.flags(c)
	f.StringSliceVar(&o.symbols, "symbols", nil, "only these instruments of the capture, with commas between")
	f.StringVar(&o.between, "between", "", "only this time of the venue's day: 09:30,10:00")
	f.StringVar(&o.memory, "memory", "", "bound of the tables, such as 4GiB (default: a quarter of the machine's)")
	f.Uint16Var(&o.publisher, "publisher", 0, "DBN publisher id of a capture's records (default: that of the capture's market, or the protocol's)")
	f.StringVar(&o.dataset, "dataset", "", "DBN dataset; its first part is column venue (default: that of the capture's market, or the protocol's)")
	o.guests.flags(c)
	return c
}

func (o *sqlOptions) run(cmd *cobra.Command) error {
	interactive := o.statement == "" && isTerminal(cmd.InOrStdin())
	if o.statement == "" && !interactive {
		text, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), 16<<20))
		if err != nil {
			return err
		}
		o.statement = strings.TrimSuffix(strings.TrimSpace(string(text)), ";")
		if o.statement == "" {
			return usageError{errors.New("no statement: give one as an argument or on standard input")}
		}
	}
	ctx := cmd.Context()
	var a asker
	var err error
	if o.from != "" {
		a, err = o.capture(ctx, cmd.ErrOrStderr())
	} else if r, refused := dial(ctx, o.addr); refused != nil {
		err = refused
	} else {
		a = r
	}
	if a == nil {
		return err
	}
	defer a.close()
	if err != nil { // the capture could not be read to its end: what came before can be asked all the same
		fmt.Fprintln(cmd.ErrOrStderr(), "tickwire:", err)
	}
	if interactive {
		name := o.format
		return errors.Join((&shell{asker: a, out: cmd.OutOrStdout(), errs: cmd.ErrOrStderr(), format: name}).run(ctx), reported(err))
	}
	return errors.Join(o.answer(ctx, a, cmd), reported(err))
}

// reported makes an error that was printed already decide the exit code alone.
func reported(err error) error {
	if err == nil {
		return nil
	}
	return errReported
}

func isTerminal(r io.Reader) bool {
	f, ok := r.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// answer writes the answer to the statement where it is wanted.
func (o *sqlOptions) answer(ctx context.Context, a asker, cmd *cobra.Command) (err error) {
	out := cmd.OutOrStdout()
	if (o.format == "parquet" || o.format == "arrow") && o.out == "-" {
		if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			return usageError{fmt.Errorf("--format %s is not for a terminal: give --out FILE", o.format)}
		}
	}
	if o.out != "-" {
		f, err := os.Create(o.out)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		out = f
	}
	if _, err := answer(ctx, a, out, o.format, o.statement); err != nil {
		if errors.Is(err, syscall.EPIPE) {
			return err
		}
		printSQLError(cmd.ErrOrStderr(), o.statement, err)
		return errReported
	}
	return nil
}

// window reads --between as times of the venue's day.
func (o *sqlOptions) window(midnight uint64) (from, to uint64, err error) {
	if o.between == "" {
		return 0, 0, nil
	}
	a, b, ok := strings.Cut(o.between, ",")
	from, err1 := timeOfDay(a)
	to, err2 := timeOfDay(b)
	if !ok || err1 != nil || err2 != nil || from >= to {
		return 0, 0, usageError{fmt.Errorf("--between %q: want two times of day, earlier first, such as 09:30,10:00:05.5", o.between)}
	}
	return midnight + from, midnight + to, nil
}

func timeOfDay(s string) (uint64, error) {
	for _, layout := range []string{"15:04", "15:04:05"} { // fractions of a second are read with either
		if t, err := time.Parse(layout, strings.TrimSpace(s)); err == nil {
			return uint64(t.Sub(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC))), nil
		}
	}
	return 0, fmt.Errorf("%q is no time of day", s)
}

// memoryBytes reads --memory.
func (o *sqlOptions) memoryBytes() (int64, error) {
	if o.memory == "" {
		return 0, nil
	}
	var size config.Size
	if err := size.UnmarshalText([]byte(o.memory)); err != nil {
		return 0, usageError{fmt.Errorf("--memory: %w", err)}
	}
	return int64(size), nil
}

// midnightOf finds the start of a capture's day before it is opened for good.
func midnightOf(path string, o process.CaptureOptions) (uint64, error) {
	found, err := scanCapture(path, o)
	if found == nil || found.first == 0 {
		if err == nil {
			err = errors.New("the capture has no messages: --between has nothing to choose from")
		}
		return 0, err
	}
	return found.protocol.MidnightBefore(found.first)
}
