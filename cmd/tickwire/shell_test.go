//go:build cgo

package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// TestShell: backslash commands and statements over a capture, as the interactive shell runs them.
func TestShell(t *testing.T) {
	o := &sqlOptions{from: sampleDay(t), publisher: 2, dataset: "XNAS.ITCH"}
	a, err := o.capture(t.Context(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	var out, errs bytes.Buffer
	s := &shell{asker: a, out: &out, errs: &errs, format: "table"}
	do := func(words ...string) string {
		out.Reset()
		errs.Reset()
		if !s.command(t.Context(), words) {
			t.Errorf("%v leaves the shell", words)
		}
		return out.String() + errs.String()
	}
	if got := do(`\d`); !strings.Contains(got, "orders") || !strings.Contains(got, "bars_1s") || strings.Count(got, " orders ") != 1 {
		t.Errorf("\\d: %s", got)
	}
	if got := do(`\d`, "trades"); !strings.Contains(got, "match_id") || !strings.Contains(got, "DECIMAL(18,9)") || strings.Count(got, "match_id") != 1 {
		t.Errorf("\\d trades: %s", got)
	}
	if got := do(`\?`); !strings.Contains(got, `\timing`) {
		t.Errorf("\\?: %s", got)
	}
	do(`\format`, "csv")
	do(`\timing`)
	out.Reset()
	s.answer(t.Context(), "SELECT count(*) AS n FROM definitions")
	if got := out.String(); !strings.HasPrefix(got, "n\n3\n") || !strings.HasSuffix(got, "s\n") {
		t.Errorf("answer with timing: %q", got)
	}
	errs.Reset()
	s.answer(t.Context(), "SELECT 1,\n  nosuch FROM orders")
	if got := errs.String(); !strings.Contains(got, "ERROR 42703") || !strings.Contains(got, "LINE 2:   nosuch FROM orders\n          ^") {
		t.Errorf("an error: %s", got)
	}
	if s.command(t.Context(), []string{`\q`}) {
		t.Error("\\q stays")
	}
}
