//go:build cgo

package main

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/sim/mdp3gen"
	"github.com/tickwire/tickwire/tick"
)

// TestMDP3SQL: a generated capture of which each line lacks packets, asked in SQL: every instrument has its symbol and its share of rows, nothing is missing, and
// each one's best prices at the end are those of the generator's own books, whatever the version of the schema.
func TestMDP3SQL(t *testing.T) {
	for _, o := range []mdp3gen.Options{{Messages: 20_000}, {Messages: 10_000, Version: 9, Seed: 2, Instruments: 16}, {Messages: 10_000, LongQty: true, Seed: 3}} {
		path := filepath.Join(t.TempDir(), "cme.pcap")
		args := []string{"gen", "mdp3", "--out", path, "--loss-a", "3", "--messages", fmt.Sprint(o.Messages), "--seed", fmt.Sprint(o.Seed), fmt.Sprintf("--longqty=%v", o.LongQty)}
		if o.Version != 0 {
			args = append(args, "--version", fmt.Sprint(o.Version), "--instruments", fmt.Sprint(o.Instruments))
		}
		if code, _, errs := command(t, args...); code != exitOK {
			t.Fatalf("%v: exit %d: %s", args, code, errs)
		}
		ask := func(query string) string {
			code, out, errs := command(t, "sql", "--from", path, "--format", "csv", query)
			if code != exitOK {
				t.Fatalf("%s: exit %d: %s", query, code, errs)
			}
			return out
		}
		g, err := mdp3gen.New(o)
		if err != nil {
			t.Fatal(err)
		}
		for ok := true; ok; {
			_, ok = g.Next(nil)
		}
		if got, want := ask("SELECT symbol, bid_px, bid_sz, ask_px, ask_sz FROM ticks QUALIFY row_number() OVER (PARTITION BY symbol ORDER BY seq DESC) = 1 ORDER BY symbol"), bestOf(g); got != want {
			t.Errorf("%+v: best prices at the end\n%s\nwant\n%s", o, got, want)
		}
		const highest = "SELECT CAST(max(price) * %d AS DECIMAL(18,4)) FROM trades WHERE symbol = 'ESH6'" // whose DisplayFactor is 0.01
		code, wire, errs := command(t, "sql", "--from", path, "--prices", "wire", "--format", "csv", fmt.Sprintf(highest, 1))
		if got := ask(fmt.Sprintf(highest, 100)); code != exitOK || wire != got || len(strings.Split(got, ".")) != 2 {
			t.Errorf("%+v: exit %d, the highest price on the wire is %s, and a hundred times ours %s; %s", o, code, wire, got, errs)
		}
		const counts = "SELECT count(DISTINCT symbol), count(*) - count(symbol), min(n) > 0 FROM (SELECT *, count(*) OVER (PARTITION BY symbol) AS n FROM ticks)"
		if got, want := ask(counts), fmt.Sprintf("%d,0,t\n", g.Instruments()); !strings.HasSuffix(got, want) {
			t.Errorf("%+v: symbols %s, want %s", o, got, want)
		}
		if got := ask("SELECT (SELECT count(*) FROM gaps), (SELECT count(*) FROM definitions) >= (SELECT count(DISTINCT symbol) FROM ticks)"); !strings.HasSuffix(got, "\n0,t\n") {
			t.Errorf("%+v: gaps and definitions %s", o, got)
		}
	}
}

// bestOf is the generator's best prices as SQL gives them, by symbol.
func bestOf(g *mdp3gen.Gen) string {
	type row struct{ symbol, text string }
	var rows []row
	for i := range g.Instruments() {
		text := g.Symbol(i)
		for side := range 2 {
			if l := g.Levels(i, side); len(l) > 0 {
				text += fmt.Sprintf(",%s,%d", nine(l[0].Price), tick.Size32(l[0].Size))
			} else {
				text += ",,0"
			}
		}
		rows = append(rows, row{g.Symbol(i), text})
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.symbol, b.symbol) })
	out := "symbol,bid_px,bid_sz,ask_px,ask_sz\n"
	for _, r := range rows {
		out += r.text + "\n"
	}
	return out
}

// nine is a price in 1e-9 with nine decimals.
func nine(px int64) string {
	sign := ""
	if px < 0 {
		sign, px = "-", -px
	}
	return fmt.Sprintf("%s%d.%09d", sign, px/1e9, px%1e9)
}
