//go:build cgo

package main

import (
	"fmt"
	"strings"
	"testing"

	wire "github.com/tickwire/tickwire/parsers/xdp"
)

// TestSQLXDP: a generated capture of NYSE is asked like any other; what each line lacks the other has.
func TestSQLXDP(t *testing.T) {
	path, types := generatedXDP(t, "--loss-a", "2")
	code, out, errs := command(t, "sql", "--from", path, "--format", "csv", "SELECT symbol, count(*) FROM ticks GROUP BY 1 ORDER BY 1")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != exitOK || len(lines) < 1+xdpSymbols/2 {
		t.Fatalf("exit %d, %d lines: %s%s", code, len(lines), out, errs)
	}
	sum := 0
	for _, line := range lines[1:] {
		symbol, n := "", 0
		if _, err := fmt.Sscanf(strings.Replace(line, ",", " ", 1), "%s %d", &symbol, &n); err != nil || symbol == "" || n == 0 {
			t.Errorf("%q: %v", line, err)
		}
		sum += n
	}
	for query, want := range map[string]int{
		"SELECT count(*) FROM ticks":                     sum,
		"SELECT count(*) FROM gaps":                      0,
		"SELECT count(*) FROM orders WHERE action = 'A'": types[wire.TypeAddOrder] + types[wire.TypeReplaceOrder],
		"SELECT count(DISTINCT symbol) FROM orders":      xdpSymbols,
	} {
		code, out, errs := command(t, "sql", "--from", path, "--format", "csv", query)
		if got := strings.Fields(out); code != exitOK || got[len(got)-1] != fmt.Sprint(want) {
			t.Errorf("%s: exit %d: %s%s; want %d", query, code, out, errs, want)
		}
	}
}
