//go:build cgo

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tickwire/tickwire/bench/machine"
	"github.com/tickwire/tickwire/bench/meter"
	"github.com/tickwire/tickwire/feed/process"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/sqlgw/duck"
	"github.com/tickwire/tickwire/store"
)

// sqlBench is the way from a capture to answers.
type sqlBench struct {
	Machine machine.Machine `json:"machine"`
	Rows    uint64          `json:"rows"`
	Seconds float64         `json:"seconds"`
	PerSec  float64         `json:"rows_per_second"`
	Queries []queryBench    `json:"queries"`
}

type queryBench struct {
	SQL      string  `json:"sql"`
	Ms       float64 `json:"milliseconds"` // median
	Min      float64 `json:"min_milliseconds"`
	Max      float64 `json:"max_milliseconds"`
	RowsSec  float64 `json:"rows_scanned_per_second"`
	Answered int64   `json:"rows_answered"`
}

var benchQueries = []string{
	"SELECT count(*) FROM orders",
	"SELECT sum(size) FROM orders",
	"SELECT symbol, count(*), sum(size), max(price) FROM orders GROUP BY symbol",
	"SELECT max(ts_ns) FROM orders WHERE symbol = 'NONE'",
}

func benchSQL() *cobra.Command {
	var path string
	var messages uint64
	var rounds int
	var asJSON bool
	c := &cobra.Command{
		Use: "sql", Short: "rows a second from a capture to SQL, and what queries cost", Args: exactly(0),
		Long: `sql runs a day through pipeline and private rings into the hot columns (orders, ticks, trades), as sql --from does, and then
asks DuckDB over them. Without --file it generates a day.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p := newProgress(cmd.ErrOrStderr())
			if path == "" {
				dir, err := os.MkdirTemp("", "tickwire-bench-")
				if err != nil {
					return err
				}
				defer os.RemoveAll(dir)
				path = filepath.Join(dir, "20260105.itch")
				g, err := itchgen.New(itchgen.Options{Messages: messages})
				if err != nil {
					return usageError{err}
				}
				if err := writeSession(path, g, &itchgen.Options{Messages: messages}, [2]float64{}, p); err != nil {
					return err
				}
			}
			b, err := runSQLBench(cmd.Context(), path, max(rounds, 1), p)
			p.done()
			if err != nil {
				return err
			}
			return b.print(cmd.OutOrStdout(), asJSON)
		},
	}
	c.Flags().StringVar(&path, "file", "", "capture (default: generate a day)")
	c.Flags().Uint64Var(&messages, "messages", 5_000_000, "of a generated day")
	c.Flags().IntVar(&rounds, "runs", meter.Runs, "times each query is asked; the median is shown")
	c.Flags().BoolVar(&asJSON, "json", false, "for scripts")
	return c
}

func runSQLBench(ctx context.Context, path string, rounds int, p *progress) (*sqlBench, error) {
	tables := []string{"orders", "ticks", "trades"}
	s, err := store.Open(store.Options{Tables: tables})
	if err != nil {
		return nil, err
	}
	o := &sqlOptions{from: path}
	here := machine.Look()
	began := time.Now()
	if err := o.fill(ctx, s, process.OfflineOptions{Kinds: store.Rings(tables), Publisher: 2, Dataset: "XNAS.ITCH"}, io.Discard); err != nil {
		return nil, err
	}
	b := &sqlBench{Machine: here, Rows: s.Rows.Load(), Seconds: time.Since(began).Seconds()}
	b.PerSec = float64(b.Rows) / b.Seconds
	engine, err := duck.Open(duck.Options{Store: s})
	if err != nil {
		return nil, err
	}
	conn, err := engine.Connect(ctx)
	if err != nil {
		return nil, err
	}
	l := &local{engine: engine, conn: conn, store: s}
	defer l.close()
	scan, err := s.Scan("orders", store.Bounds{})
	if err != nil {
		return nil, err
	}
	orders := float64(scan.Rows())
	scan.Close()
	for _, sql := range benchQueries {
		p.note("%s", sql)
		q := queryBench{SQL: sql}
		var took []float64
		for range rounds {
			began := time.Now()
			n, err := answer(ctx, l, io.Discard, "csv", sql)
			if err != nil {
				return nil, err
			}
			took = append(took, time.Since(began).Seconds())
			q.Answered = n
		}
		spread := meter.Of(took)
		q.Ms, q.Min, q.Max, q.RowsSec = spread.Median*1e3, spread.Min*1e3, spread.Max*1e3, orders/spread.Median
		b.Queries = append(b.Queries, q)
	}
	return b, nil
}

func (b *sqlBench) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(b)
	}
	fmt.Fprintf(out, "%s\n\n", b.Machine)
	fmt.Fprintf(out, "%d rows of orders, ticks and trades in %.2f s: %.3g rows/s from file to columns\n\n", b.Rows, b.Seconds, b.PerSec)
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "ms\tleast\tmost\trows scanned/s\trows answered\t  query")
	for _, q := range b.Queries {
		fmt.Fprintf(t, "%.1f\t%.1f\t%.1f\t%.3g\t%d\t  %s\n", q.Ms, q.Min, q.Max, q.RowsSec, q.Answered, q.SQL)
	}
	return t.Flush()
}
