package hwtest

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"

	"github.com/tickwire/tickwire/bench/plot"
	"github.com/tickwire/tickwire/tuning"
)

//go:embed report.html.tmpl
var pageText string

// page escapes whatever files of the machine hold. Pictures are package plot's, which escapes too.
var page = template.Must(template.New("report").Funcs(template.FuncMap{
	"seconds": seconds,
	"figure":  figure,
	"value": func(t Test) string {
		if t.Value == nil {
			return ""
		}
		return figure(*t.Value, t.Unit)
	},
	"words": func(t Test) string {
		if t.Found == t.Reason && t.Status != tuning.Pass {
			return "" // the reason says it
		}
		return t.Found
	},
	"want":    func(t Test) string { return t.want() },
	"passing": func(t Test) bool { return t.Status == tuning.Pass },
	"passed":  func(g Group) int { return g.share() },
	"plot":    func(p Plot) (template.HTML, error) { return p.html() },
}).Parse(pageText))

// HTML writes the report as one page: no script, and nothing from elsewhere.
func (r *Report) HTML(w io.Writer) error {
	var b bytes.Buffer
	err := page.Execute(&b, struct {
		R        *Report
		Sentence string
	}{r, r.sentence()})
	if err == nil {
		text := bytes.Map(func(c rune) rune { // control characters that files of the machine hold are none of HTML's
			if c < ' ' && c != '\n' && c != '\t' || c >= 0x7f && c < 0xa0 {
				return ' '
			}
			return c
		}, b.Bytes())
		_, err = w.Write(text)
	}
	if err != nil {
		return fmt.Errorf("hwtest: writing the page: %w", err)
	}
	return nil
}

// share is the part of the tests that passed, of those that were judged, in percent.
func (g *Group) share() int {
	made := g.Summary.Pass + g.Summary.Warn + g.Summary.Fail + g.Summary.Error
	if made == 0 {
		return 0
	}
	return 100 * g.Summary.Pass / made
}

// html draws a plot. One with nothing in it is left out.
func (p *Plot) html() (template.HTML, error) {
	var b strings.Builder
	b.WriteString("<figure>\n")
	err := p.draw(&b)
	if errors.Is(err, plot.ErrEmpty) {
		return "", nil
	}
	b.WriteString("</figure>")
	return template.HTML(b.String()), err
}

func (p *Plot) draw(w io.Writer) error {
	switch {
	case p.Matrix != nil:
		return p.Matrix.html(w, p.Title, p.Unit)
	case len(p.Bars) > 0:
		bars := plot.Bars{Title: p.Title, Note: p.Note, Text: func(v float64) string { return figure(v, p.Unit) }}
		for _, b := range p.Bars {
			one := plot.Bar{Name: b.Name, Value: b.Value, Limit: math.NaN()}
			if b.Limit != nil {
				one.Limit = *b.Limit
				bars.Note = strings.TrimSpace("the mark is what is wanted\n" + p.Note)
			}
			bars.Bars = append(bars.Bars, one)
		}
		return bars.Write(w)
	}
	drawn := plot.Plot{Title: p.Title, Note: p.Note}
	for i := range p.Lines {
		drawn.Series = append(drawn.Series, p.Lines[i].series())
	}
	return drawn.Write(w)
}

// matrixPage is a table whose cells are the darker the greater they are.
var matrixPage = template.Must(template.New("matrix").Parse(`<figcaption><b>{{.Title}}</b></figcaption>
<div class="scroll"><table class="matrix"><tr><th></th>{{range .Names}}<th>{{.}}</th>{{end}}</tr>
{{- range .Rows}}
<tr><th>{{.Name}}</th>{{range .Cells}}<td style="background:rgba(213,94,0,{{.Shade}})">{{.Text}}</td>{{end}}</tr>
{{- end}}
</table></div>
`))

type matrixCell struct{ Text, Shade string }

type matrixRow struct {
	Name  string
	Cells []matrixCell
}

func (m *Matrix) html(w io.Writer, title, unit string) error {
	low, high := math.Inf(1), math.Inf(-1)
	for _, row := range m.Cells {
		for _, v := range row {
			if v >= 0 {
				low, high = min(low, v), max(high, v)
			}
		}
	}
	if low > high {
		return plot.ErrEmpty
	}
	var rows []matrixRow
	for i, cells := range m.Cells {
		row := matrixRow{}
		if i < len(m.Names) {
			row.Name = m.Names[i]
		}
		for _, v := range cells {
			cell := matrixCell{"–", "0"}
			if v >= 0 {
				cell = matrixCell{figure(v, unit), fmt.Sprintf("%.2f", 0.08+0.5*(v-low)/max(high-low, 1e-9))}
			}
			row.Cells = append(row.Cells, cell)
		}
		rows = append(rows, row)
	}
	return matrixPage.Execute(w, struct {
		Title string
		Names []string
		Rows  []matrixRow
	}{title, m.Names, rows})
}
