package rxbench

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"time"
)

var (
	runs = flag.Int("runs", 1, "runs of TestBench")
	span = flag.Duration("span", 20*time.Millisecond, "of each stretch")
	only = flag.String("only", "", "receivers")
)

func TestBench(t *testing.T) {
	o := Options{Runs: *runs, Span: *span, Latency: 5 * *span, Progress: func(s string) { t.Log(s) }}
	if *only != "" {
		o.Only = strings.Split(*only, ",")
	}
	r, err := Run(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range r.Rates {
		t.Logf("%-12s %-9s %9.0f offered %9.0f received %9.0f ratio %.3f stamped %.3f %9.0f", l.Load, l.Receiver, l.Median, l.Offered, l.Received, l.Ratio, l.Stamped, l.Runs)
	}
	for _, l := range r.Latencies {
		t.Logf("%+v", l)
	}
	b, _ := json.Marshal(r)
	_, _ = os.Stdout.Write(append(b, '\n'))
}
