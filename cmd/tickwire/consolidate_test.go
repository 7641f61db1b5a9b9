package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestConsolidate: two feeds of the same symbols, joined by a process of its own, all under run. Every row of cbbo is what the live rows of its
// venues say, and no less is asked of SQL than that.
func TestConsolidate(t *testing.T) {
	if !haveDuckDB {
		t.Skip("built without cgo, so without DuckDB: there is no SQL port")
	}
	dir := t.TempDir()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("[instance]\nname = \"c\"\nring_dir = %q\n[serve]\nsql = %q\nmemory = \"128MiB\"\n[consolidate]\nfeeds = [\"one\", \"two\"]\n", dir, port)
	for i, name := range []string{"one", "two"} {
		day := filepath.Join(dir, name+"20260105.itch")
		if code, _, errs := command(t, "gen", "itch", "--messages", "60000", "--symbols", "20", "--seed", fmt.Sprint(i+1), "--out", day); code != exitOK {
			t.Fatal(errs)
		}
		text += fmt.Sprintf("[[feed]]\nname = %q\nsource = \"file\"\npath = %q\npace = \"4000/s\"\npublisher = %d\ndataset = \"VEN%d.ITCH\"\n", name, day, 40_000+i, i+1)
	}
	config := filepath.Join(dir, "c.toml")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(tickwireBinary(t), "run", "--config", config)
	var log strings.Builder
	c.Stdout, c.Stderr = &log, &log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Process.Kill()
	ask := func(statement string) string {
		code, out, _ := command(t, "sql", "--addr", port, "--format", "csv", statement)
		if code != exitOK {
			return ""
		}
		_, out, _ = strings.Cut(out, "\n")
		return strings.TrimSpace(out)
	}
	await := func(what, statement, want string) {
		t.Helper()
		got := ""
		for end := time.Now().Add(30 * time.Second); got != want; time.Sleep(50 * time.Millisecond) {
			if got = ask(statement); time.Now().After(end) {
				t.Fatalf("%s: %q, want %q\n%s", what, got, want, log.String())
			}
		}
	}
	await("quotes of both venues", "SELECT count(*) > 1000 AND count(DISTINCT bid_venue) = 2 AND count(DISTINCT symbol) > 5 FROM cbbo WHERE live = 2", "t")
	// Each row against its venues' rows: the best of those that are live, and nobody else's.
	if got := ask(`SELECT count(*) FROM (
		SELECT c.seq, any_value(c.bid_px) AS bid, any_value(c.ask_px) AS ask, any_value(c.live) AS live,
			max(v.bid_px) FILTER (WHERE v.state = 'live') AS best_bid, min(v.ask_px) FILTER (WHERE v.state = 'live') AS best_ask,
			count(*) FILTER (WHERE v.state = 'live') AS lives
		FROM (SELECT * FROM cbbo ORDER BY seq LIMIT 5000) c JOIN cbbo_venues v ON v.cbbo_seq = c.seq GROUP BY 1
	) WHERE bid IS DISTINCT FROM best_bid OR ask IS DISTINCT FROM best_ask OR live <> lives`); got != "0" {
		t.Errorf("%s rows of cbbo are not what their venues' rows say", got)
	}
	code, out, errs := command(t, "ring", "tail", "consolidated.0.cbbo", "--ring-dir", dir, "--from", "half", "--count", "3")
	if code != exitOK || strings.Count(out, `"venues":[{"publisher":40000`) != 3 {
		t.Errorf("ring tail: exit %d: %s%s", code, out, errs)
	}
	code, out, _ = command(t, "status", "--ring-dir", dir)
	if code != exitOK || !strings.Contains(out, "consolidated") || !strings.Contains(out, "0.cbbo") {
		t.Errorf("status: exit %d: %s", code, out)
	}
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Errorf("run ended with %v\n%s", err, log.String())
	}
}
