package trial

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/tickwire/tickwire/plugins/manifest"
)

// Docs is a plugin's page from what its manifest says and from the exports of its module, if there is one: Markdown, or aligned text for a terminal.
func Docs(m *manifest.Manifest, exports []string, markdown bool) string {
	d := docs{markdown: markdown}
	d.title(m.Name + " " + m.Version)
	d.text(m.Description)
	by := []string{}
	if m.Author != "" {
		by = append(by, "By "+m.Author)
	}
	if m.License != "" {
		by = append(by, "license "+m.License)
	}
	d.text(strings.Join(by, ", "))
	for k := range m.Kinds {
		d.unit(&m.Kinds[k])
	}
	var rows [][]string
	for _, p := range m.Params {
		rows = append(rows, []string{p.Name, p.Type, defaultOf(p), rangeOf(p), p.Description})
	}
	d.table("Parameters", []string{"name", "type", "default", "range", "what it does"}, rows)
	rows = nil
	for _, r := range m.Requires {
		rows = append(rows, []string{r.Name, r.Version})
	}
	d.table("Needs", []string{"plugin", "versions"}, rows)
	yes := func(b bool) string {
		if b {
			return "yes"
		}
		return "no"
	}
	d.table("Limits", []string{"", ""}, [][]string{
		{"rows a call", fmt.Sprint(m.Limits.MaxRows)},
		{"memory", fmt.Sprintf("%d KiB", m.Limits.MemoryPages*64)},
		{"fuel a row", fmt.Sprint(m.Limits.FuelPerRow)},
		{"when a call fails", onTrapText[m.OnTrap]},
		{"same rows whatever the batches' sizes", yes(m.Deterministic)},
		{"WASI", yes(m.WASI)},
	})
	if len(exports) > 0 {
		d.section("Exports")
		d.text(strings.Join(exports, ", "))
	}
	return d.b.String()
}

var onTrapText = map[manifest.OnTrap]string{
	manifest.Pass: "the rows pass as they were", manifest.DropOutput: "rows that may be dropped are dropped", manifest.StopFeed: "the feed stops",
}

func defaultOf(p manifest.Param) string {
	if p.Default == nil {
		return "must be set"
	}
	return fmt.Sprint(p.Default)
}

func rangeOf(p manifest.Param) string {
	switch {
	case p.Min != nil && p.Max != nil:
		return fmt.Sprintf("%v to %v", *p.Min, *p.Max)
	case p.Min != nil:
		return fmt.Sprintf("from %v", *p.Min)
	case p.Max != nil:
		return fmt.Sprintf("up to %v", *p.Max)
	}
	return ""
}

// docs is a page being written.
type docs struct {
	b        strings.Builder
	markdown bool
}

func (d *docs) title(s string) {
	if d.markdown {
		fmt.Fprintf(&d.b, "# %s\n", d.clean(s))
		return
	}
	fmt.Fprintln(&d.b, d.clean(s))
}

func (d *docs) section(s string) {
	if d.markdown {
		fmt.Fprintf(&d.b, "\n## %s\n", d.clean(s))
		return
	}
	word, rest, _ := strings.Cut(d.clean(s), " ") // names are what they are
	fmt.Fprintf(&d.b, "\n%s\n", strings.TrimSpace(strings.ToUpper(word)+" "+rest))
}

func (d *docs) text(s string) {
	if s != "" && d.markdown {
		fmt.Fprintf(&d.b, "\n%s\n", d.clean(s))
	} else if s != "" {
		fmt.Fprintf(&d.b, "  %s\n", d.clean(s))
	}
}

// clean keeps what a manifest says from being anything but text of one line.
func (d *docs) clean(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\u2028' || r == '\u2029'
	}), " ")
	if d.markdown {
		s = strings.NewReplacer("|", `\|`, "<", "&lt;", "`", "'").Replace(s)
	}
	return s
}

func (d *docs) table(title string, head []string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	d.section(title)
	if d.markdown {
		fmt.Fprintf(&d.b, "\n| %s |\n|%s\n", strings.Join(head, " | "), strings.Repeat("---|", len(head)))
		for _, r := range rows {
			for k := range r {
				r[k] = d.clean(r[k])
			}
			fmt.Fprintf(&d.b, "| %s |\n", strings.Join(r, " | "))
		}
		return
	}
	t := tabwriter.NewWriter(&d.b, 0, 8, 2, ' ', 0)
	if head[0] != "" {
		rows = append([][]string{head}, rows...)
	}
	for _, r := range rows {
		for k := range r {
			r[k] = d.clean(r[k])
		}
		fmt.Fprintf(t, "  %s\n", strings.TrimRight(strings.Join(r, "\t"), "\t"))
	}
	_ = t.Flush() // into memory
}

func (d *docs) unit(u *manifest.Unit) {
	what := strings.TrimSpace(string(u.Kind) + " " + u.Name)
	if u.Title != "" {
		what += ": " + u.Title
	}
	var types []string
	for _, t := range u.Args {
		types = append(types, t.String())
	}
	switch u.Kind {
	case manifest.Function, manifest.Aggregate:
		what = fmt.Sprintf("%s %s(%s) → %s", u.Kind, u.Name, strings.Join(types, ", "), u.Returns)
	case manifest.TypeKind:
		what += " over " + u.Base.String()
	case manifest.Codec, manifest.Index:
		what += " of " + u.Type.String()
	}
	var rows [][]string
	for _, name := range u.Reads {
		access, t := "read", "custom column of a plugin before it"
		if c, ok := manifest.ColumnNamed(name); ok {
			t = c.Type.String()
		}
		for _, w := range u.Writes {
			if w == name {
				access = "read, written"
			}
		}
		rows = append(rows, []string{name, t, access, ""})
	}
	for _, name := range u.Writes {
		c, _ := manifest.ColumnNamed(name)
		if !strings.Contains(" "+strings.Join(u.Reads, " ")+" ", " "+name+" ") {
			rows = append(rows, []string{name, c.Type.String(), "written", ""})
		}
	}
	for _, c := range u.Custom {
		rows = append(rows, []string{c.Name, c.Type.String(), "added", c.Description})
	}
	if len(rows) == 0 {
		d.section(what)
	}
	d.table(what, []string{"column", "type", "access", "what it is"}, rows)
	for k, r := range u.Reasons {
		d.text(fmt.Sprintf("Reason %d: %s", k, r))
	}
	if len(u.Ports) > 0 {
		d.text("Ports " + strings.Trim(fmt.Sprint(u.Ports), "[]"))
	}
	if u.Extension != "" || u.MediaType != "" {
		d.text(strings.TrimSpace("Files ." + strings.TrimPrefix(u.Extension, ".") + " " + u.MediaType))
	}
	if len(u.Strategies) > 0 {
		d.text("Strategies: " + strings.Join(u.Strategies, ", "))
	}
	if u.StateBytes > 0 {
		d.text(fmt.Sprintf("%d bytes of state a group", u.StateBytes))
	}
}
