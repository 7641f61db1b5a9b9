package plot

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// made is a histogram whose quantiles are known: value v for a share of 1 − 1/v.
func made(t *testing.T, n int) *hdrhistogram.Histogram {
	t.Helper()
	h := hdrhistogram.New(1, 10_000_000_000, 3)
	for i := range n {
		if err := h.RecordValue(int64(100 * float64(n) / float64(n-i))); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

func TestFromHistogram(t *testing.T) {
	s := FromHistogram("x", made(t, 100_000), false)
	if len(s.Points) < 95 || len(s.Points) > 110 {
		t.Errorf("%d points for five nines", len(s.Points))
	}
	for i, p := range s.Points {
		if i > 0 && (p.Share < s.Points[i-1].Share || p.Ns < s.Points[i-1].Ns) {
			t.Fatalf("point %d goes back: %v", i, p)
		}
		if want := 100 / (1 - p.Share); p.Share < 0.999 && math.Abs(p.Ns-want) > want/10 {
			t.Errorf("%v, want %.0f ns", p, want)
		}
	}
	if last := s.Points[len(s.Points)-1]; last.Ns < 9_990_000 {
		t.Errorf("the last point is %v, not the worst value", last)
	}
	if none := FromHistogram("none", nil, true); none.Points != nil {
		t.Error("a line of nothing")
	}
}

// TestWrite: the picture is well-formed, has its names, and its lines lie inside it and rise.
func TestWrite(t *testing.T) {
	p := Plot{Title: "a < b & c", Note: "one\ntwo", Series: []Series{
		FromHistogram("paced", made(t, 10_000), false), FromHistogram("the machine's own", made(t, 1000), true), {Name: "nothing"},
	}}
	var out strings.Builder
	if err := p.Write(&out); err != nil {
		t.Fatal(err)
	}
	svg := out.String()
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"a &lt; b &amp; c", ">99.9%<", ">1 µs<", ">latency<", "percentile of messages", "paced, worst 1 ms", "stroke-dasharray", ">two<"} {
		if !strings.Contains(svg, want) {
			t.Errorf("%q is not in the picture", want)
		}
	}
	lines := regexp.MustCompile(`points="([^"]+)"`).FindAllStringSubmatch(svg, -1)
	if len(lines) != 2 || strings.Contains(svg, "nothing") {
		t.Fatalf("%d lines, want 2", len(lines))
	}
	for _, l := range lines {
		x0, y0 := 0.0, math.Inf(1)
		for pair := range strings.FieldsSeq(l[1]) {
			xs, ys, _ := strings.Cut(pair, ",")
			x, err1 := strconv.ParseFloat(xs, 64)
			y, err2 := strconv.ParseFloat(ys, 64)
			if err1 != nil || err2 != nil || x < left-1 || x > width-right+1 || y < top-1 || y > height-bottom+1 || x < x0 || y > y0 {
				t.Fatalf("point %s of %s", pair, l[1])
			}
			x0, y0 = x, y
		}
	}
	if err := (&Plot{Series: []Series{{Name: "nothing"}}}).Write(io.Discard); !errors.Is(err, ErrEmpty) {
		t.Errorf("of nothing: %v", err)
	}
	one := Plot{Series: []Series{{Name: "one", Points: []Point{{0, 0}}}}}
	if err := one.Write(io.Discard); err != nil {
		t.Error(err)
	}
}

func TestNames(t *testing.T) {
	for n, want := range []string{"0%", "90%", "99%", "99.9%", "99.99%"} {
		if got := percent(n); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for ns, want := range map[float64]string{1: "1 ns", 999: "999 ns", 1500: "1.5 µs", 2e6: "2 ms", 1e10: "10 s"} {
		if got := duration(ns); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
