// Package plot draws distributions of latency as SVG: the percentile on one axis, in nines, and the time on the other, in tens. It writes
// plain SVG 1.1 that browsers and papers take, with no script, no font of its own, and nothing from elsewhere.
//
//	ns │                        ____ worst
//	   │                 ______/
//	   │        ________/          each step to the right is a tenth of
//	   │_______/                   the messages that were left
//	   └────┬──────┬──────┬──────┬─────
//	   0    90     99    99.9   99.99 %
package plot

import (
	"cmp"
	"errors"
	"fmt"
	"html"
	"io"
	"math"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Point says that a share of all values, from 0 to 1, is at most Ns.
type Point struct {
	Share float64
	Ns    float64
}

// Series is one line.
type Series struct {
	Name   string
	Points []Point // ascending in both
	Dashed bool    // for what the others are compared with
}

// FromHistogram makes a line of a histogram, with some 20 points in each nine; the last one is the worst value.
func FromHistogram(name string, h *hdrhistogram.Histogram, dashed bool) Series {
	s := Series{Name: name, Dashed: dashed}
	if h == nil || h.TotalCount() == 0 {
		return s
	}
	n := float64(h.TotalCount())
	const each = 20
	for i := 0; ; i++ {
		left := math.Pow(10, -float64(i)/each) // share of the values above
		if left*n < 1 {
			break
		}
		s.Points = append(s.Points, Point{1 - left, float64(max(1, h.ValueAtQuantile(100*(1-left))))})
	}
	s.Points = append(s.Points, Point{1 - 1/(2*n), float64(max(1, h.Max()))})
	return s
}

// Plot is what is drawn.
type Plot struct {
	Title  string
	Note   string // below, in small: the machine
	Of     string // what the percentiles are of. The default is "messages".
	Series []Series
}

const (
	width, height            = 960, 560
	left, right, top, bottom = 90, 30, 60, 110
)

// colours of lines: told apart by those who do not see all colours, and in print (Okabe and Ito).
var colours = []string{"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"}

// scale places values on the page.
type scale struct {
	nines      float64 // on the axis
	low, high  float64 // tens of ns
	plotW, plH float64
}

func (s *scale) x(share float64) float64 {
	return left + s.plotW*min(1, -math.Log10(max(1-share, 1e-15))/s.nines)
}

func (s *scale) y(ns float64) float64 {
	return top + s.plH*(1-(math.Log10(max(ns, 1))-s.low)/(s.high-s.low))
}

// ErrEmpty: there is no point to draw.
var ErrEmpty = errors.New("plot: nothing to draw: no line has a point")

// Write draws. It fails with ErrEmpty, or as w does.
func (p *Plot) Write(w io.Writer) error {
	sc := scale{plotW: width - left - right, plH: height - top - bottom, nines: 2, low: math.Inf(1), high: math.Inf(-1)}
	for _, s := range p.Series {
		for _, q := range s.Points {
			sc.nines = max(sc.nines, -math.Log10(max(1-q.Share, 1e-12)))
			at := math.Log10(max(q.Ns, 1))
			sc.low, sc.high = min(sc.low, at), max(sc.high, at)
		}
	}
	if math.IsInf(sc.low, 1) {
		return ErrEmpty
	}
	if sc.low, sc.high = math.Floor(sc.low), math.Ceil(sc.high); sc.low == sc.high {
		sc.high++
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13" fill="#222">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, `<title>%s</title><rect width="100%%" height="100%%" fill="#fff"/>`+"\n", html.EscapeString(p.Title))
	text(&b, left, 30, "start", 18, p.Title)
	axes(&b, &sc, cmp.Or(p.Of, "messages"))
	for i, s := range p.Series {
		line(&b, &sc, s, colours[i%len(colours)])
	}
	p.legend(&b)
	for i, note := range strings.Split(p.Note, "\n") {
		text(&b, left, height-34+16*i, "start", 11, note)
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func text(b *strings.Builder, x, y int, anchor string, size int, s string) {
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="%s" font-size="%d">%s</text>`+"\n", x, y, anchor, size, html.EscapeString(s))
}

// axes draws grid, ticks and names.
func axes(b *strings.Builder, sc *scale, of string) {
	x0, x1, y0, y1 := float64(left), float64(left)+sc.plotW, float64(top)+sc.plH, float64(top)
	grid := func(xa, ya, xb, yb float64, colour string) {
		fmt.Fprintf(b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"/>`+"\n", xa, ya, xb, yb, colour)
	}
	for ten := sc.low; ten <= sc.high; ten++ {
		y := sc.y(math.Pow(10, ten))
		grid(x0, y, x1, y, "#ccc")
		text(b, left-8, int(y)+5, "end", 13, duration(math.Pow(10, ten)))
		for m := 2.0; m < 10 && ten < sc.high; m++ {
			y := sc.y(m * math.Pow(10, ten))
			grid(x0, y, x1, y, "#eee")
		}
	}
	for nine := 0; float64(nine) <= sc.nines; nine++ {
		x := sc.x(1 - math.Pow(10, -float64(nine)))
		grid(x, y0, x, y1, "#ccc")
		text(b, int(x), int(y0)+20, "middle", 13, percent(nine))
	}
	if half := sc.x(0.5); half > x0+30 {
		grid(half, y0, half, y1, "#eee")
		text(b, int(half), int(y0)+20, "middle", 13, "50%")
	}
	grid(x0, y0, x1, y0, "#222")
	grid(x0, y0, x0, y1, "#222")
	text(b, left+int(sc.plotW)/2, int(y0)+42, "middle", 14, "percentile of "+of+" (each mark to the right: a tenth of those that are left)")
	fmt.Fprintf(b, `<text transform="translate(22 %d) rotate(-90)" text-anchor="middle" font-size="14">latency</text>`+"\n", top+int(sc.plH)/2)
}

func line(b *strings.Builder, sc *scale, s Series, colour string) {
	if len(s.Points) == 0 {
		return
	}
	dash := ""
	if s.Dashed {
		dash = ` stroke-dasharray="6 4"`
	}
	fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="2"%s points="`, colour, dash)
	for _, q := range s.Points {
		fmt.Fprintf(b, "%.1f,%.1f ", sc.x(q.Share), sc.y(q.Ns))
	}
	last := s.Points[len(s.Points)-1]
	fmt.Fprintf(b, `"/><circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"/>`+"\n", sc.x(last.Share), sc.y(last.Ns), colour)
}

// legend names the lines, at the upper left, where a distribution has nothing.
func (p *Plot) legend(b *strings.Builder) {
	y := top + 16
	for i, s := range p.Series {
		if len(s.Points) == 0 {
			continue
		}
		dash := ""
		if s.Dashed {
			dash = ` stroke-dasharray="6 4"`
		}
		fmt.Fprintf(b, `<line x1="%d" y1="%d" x2="%d" y2="%d" stroke="%s" stroke-width="2"%s/>`+"\n", left+14, y-4, left+44, y-4, colours[i%len(colours)], dash)
		text(b, left+52, y, "start", 13, s.Name+", worst "+duration(s.Points[len(s.Points)-1].Ns))
		y += 19
	}
}

// duration is ns for people, three digits.
func duration(ns float64) string {
	for _, u := range []struct {
		name string
		ns   float64
	}{{"s", 1e9}, {"ms", 1e6}, {"µs", 1e3}} {
		if ns >= u.ns {
			return fmt.Sprintf("%.3g %s", ns/u.ns, u.name)
		}
	}
	return fmt.Sprintf("%.3g ns", ns)
}

// percent is the share below so many nines: 0%, 90%, 99%, 99.9%.
func percent(nines int) string {
	switch nines {
	case 0:
		return "0%"
	case 1, 2:
		return strings.Repeat("9", nines) + strings.Repeat("0", 2-nines) + "%"
	}
	return "99." + strings.Repeat("9", nines-2) + "%"
}
