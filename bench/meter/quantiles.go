package meter

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Worst is the longest latency that a histogram tells from longer ones, ns.
const Worst = 10_000_000_000

// NewHistogram has three digits, from 1 ns to Worst.
func NewHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, Worst, 3) }

// Record takes one value; those beyond are Worst.
func Record(h *hdrhistogram.Histogram, ns uint64) { _ = h.RecordValue(int64(min(ns, Worst))) }

// Quantiles of a latency in ns.
type Quantiles struct {
	Count int64 `json:"count"`
	P50   int64 `json:"p50_ns"`
	P90   int64 `json:"p90_ns"`
	P99   int64 `json:"p99_ns"`
	P999  int64 `json:"p999_ns"`
	P9999 int64 `json:"p9999_ns"`
	Worst int64 `json:"worst_ns"`
}

// QuantilesOf reads a histogram.
func QuantilesOf(h *hdrhistogram.Histogram) Quantiles {
	at := h.ValueAtQuantile
	return Quantiles{Count: h.TotalCount(), P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), P9999: at(99.99), Worst: h.Max()}
}

// Latency is one latency over several runs.
type Latency struct {
	All   Quantiles `json:"all"` // of the runs' messages together
	P50   Spread    `json:"p50_ns"`
	P90   Spread    `json:"p90_ns"`
	P99   Spread    `json:"p99_ns"`
	P999  Spread    `json:"p999_ns"`
	P9999 Spread    `json:"p9999_ns"`
	Worst Spread    `json:"worst_ns"`

	hist *hdrhistogram.Histogram
}

// Add takes a run. h is not kept.
func (l *Latency) Add(h *hdrhistogram.Histogram) {
	if l.hist == nil {
		l.hist = NewHistogram()
	}
	l.hist.Merge(h)
	l.All = QuantilesOf(l.hist)
	q := QuantilesOf(h)
	l.P50, l.P90, l.P99 = l.P50.Add(float64(q.P50)), l.P90.Add(float64(q.P90)), l.P99.Add(float64(q.P99))
	l.P999, l.P9999, l.Worst = l.P999.Add(float64(q.P999)), l.P9999.Add(float64(q.P9999)), l.Worst.Add(float64(q.Worst))
}

// Histogram is that of all runs; nil of none.
func (l *Latency) Histogram() *hdrhistogram.Histogram { return l.hist }

// Row is one line of Table.
type Row struct {
	Name    string
	Latency *Latency
}

// Table prints latencies: medians of the runs' quantiles, and below them the least and the most.
func Table(out io.Writer, rows ...Row) error {
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "ns\tp50\tp90\tp99\tp99.9\tp99.99\tworst\tmessages\t")
	for _, r := range rows {
		l := r.Latency
		if l.All.Count == 0 {
			continue
		}
		all := []*Spread{&l.P50, &l.P90, &l.P99, &l.P999, &l.P9999, &l.Worst}
		fmt.Fprintf(t, "%s\t", r.Name)
		for _, s := range all {
			fmt.Fprintf(t, "%s\t", short(s.Median))
		}
		fmt.Fprintf(t, "%d\t\n", l.All.Count)
		if len(l.P50.Runs) < 2 {
			continue
		}
		fmt.Fprint(t, "\t")
		for _, s := range all {
			fmt.Fprintf(t, "%s–%s\t", short(s.Min), short(s.Max))
		}
		fmt.Fprintln(t, "\t")
	}
	return t.Flush()
}
