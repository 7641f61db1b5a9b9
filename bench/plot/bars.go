package plot

import (
	"fmt"
	"html"
	"io"
	"math"
	"strings"
)

// Bar is one figure of Bars.
type Bar struct {
	Name  string
	Value float64
	Limit float64 // a mark across the bar; NaN: none
}

// Bars is figures of one unit beside each other, from 0 on.
//
//	64 bytes   ████████████████│████     3,203,624
//	512 bytes  ███████████           │   1,773,557
//	                                 limit
type Bars struct {
	Title string
	Note  string // below, in small
	Unit  string
	Bars  []Bar
	Text  func(float64) string // how a figure is written; nil: three digits
}

const (
	barLeft, barRight, barTop, barStep, barHeight = 190, 150, 60, 34, 20
)

// Write draws. It fails with ErrEmpty, or as w does.
func (p *Bars) Write(w io.Writer) error {
	most := 0.0
	for _, b := range p.Bars {
		most = max(most, b.Value)
		if !math.IsNaN(b.Limit) {
			most = max(most, b.Limit)
		}
	}
	if len(p.Bars) == 0 || math.IsInf(most, 0) || math.IsNaN(most) {
		return ErrEmpty
	}
	if most == 0 {
		most = 1
	}
	write := p.Text
	if write == nil {
		write = func(v float64) string { return fmt.Sprintf("%.3g", v) }
	}
	notes := strings.Split(p.Note, "\n")
	tall := barTop + barStep*len(p.Bars) + 24 + 16*len(notes)
	scale := float64(width-barLeft-barRight) / most
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13" fill="#222">`+"\n", width, tall, width, tall)
	fmt.Fprintf(&b, `<title>%s</title><rect width="100%%" height="100%%" fill="#fff"/>`+"\n", html.EscapeString(p.Title))
	text(&b, 20, 30, "start", 18, p.Title)
	for i, bar := range p.Bars {
		y := barTop + barStep*i
		text(&b, barLeft-10, y+15, "end", 13, bar.Name)
		long := max(0, bar.Value) * scale
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", barLeft, y, long, barHeight, colours[0])
		end := long
		if !math.IsNaN(bar.Limit) {
			x := float64(barLeft) + max(0, bar.Limit)*scale
			fmt.Fprintf(&b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="%s" stroke-width="3"/>`+"\n", x, y-4, x, y+barHeight+4, colours[1])
			end = max(end, max(0, bar.Limit)*scale)
		}
		text(&b, barLeft+int(end)+10, y+15, "start", 13, strings.TrimSpace(write(bar.Value)+" "+p.Unit))
	}
	for i, note := range notes {
		text(&b, 20, barTop+barStep*len(p.Bars)+18+16*i, "start", 11, note)
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}
