package top

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/tickwire/tickwire/tuning/jitter"
)

// mark begins what is not to be: it becomes red, or "!" where there are no colours.
const mark = '\x01'

// Text writes a view as lines for people and scripts: each table under its head.
func (v *View) Text(w io.Writer) error {
	var b strings.Builder
	for _, line := range v.lines() {
		b.WriteString(strings.TrimRight(strings.ReplaceAll(line, string(mark), "!"), " ") + "\n")
	}
	b.WriteByte('\n')
	_, err := io.WriteString(w, b.String())
	return err
}

// Screen writes a view over the one before, for a terminal of so many columns and lines: what does not fit is left out, and told. It begins where the
// cursor is to go, and leaves nothing of what was there.
func (v *View) Screen(w io.Writer, columns, rows int, colour bool) error {
	var b strings.Builder
	b.WriteString("\x1b[H")
	lines := v.lines()
	if left := len(lines) - (rows - 1); left > 0 && rows > 2 {
		lines = append(lines[:rows-2], fmt.Sprintf("… %d lines more: a larger screen, or --cores, --nic, --instance", left+1))
	}
	for _, line := range lines {
		line = cut(line, columns)
		if colour {
			line = paint(line)
		} else {
			line = strings.ReplaceAll(line, string(mark), "!")
		}
		b.WriteString(line + "\x1b[K\r\n")
	}
	b.WriteString("\x1b[J")
	_, err := io.WriteString(w, b.String())
	return err
}

// cut keeps a line within the columns of a screen. The mark takes one, as "!" does.
func cut(line string, columns int) string {
	r := []rune(strings.TrimRight(line, " "))
	if columns > 0 && len(r) > columns {
		return string(r[:columns])
	}
	return string(r)
}

// paint makes what is marked red, up to the next blank.
func paint(line string) string {
	for {
		before, after, ok := strings.Cut(line, string(mark))
		if !ok {
			return line
		}
		word, rest := after, ""
		if i := strings.IndexByte(after, ' '); i >= 0 {
			word, rest = after[:i], after[i:]
		}
		// The mark had a column, which a blank takes.
		line = before + " \x1b[31m" + word + "\x1b[0m" + rest
	}
}

// bad marks a number that is not to be there.
func bad[N uint64 | float64](n N, format string) string {
	text := fmt.Sprintf(format, n)
	if strings.Trim(text, "0.") == "" {
		return text
	}
	return string(mark) + text
}

func (v *View) lines() []string {
	var b strings.Builder
	kind := ""
	if v.Virtual {
		kind = ", virtual machine"
	}
	fmt.Fprintf(&b, "%s, %.1f s%s\n\n", v.At.Format("2006-01-02 15:04:05Z"), v.IntervalS, kind)
	v.coreLines(&b)
	v.nicLines(&b)
	for i := range v.Feeds {
		v.Feeds[i].lines(&b)
	}
	for _, u := range v.Unseen {
		fmt.Fprintf(&b, "not seen: %s\n", printable(u))
	}
	return strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
}

// table lines up columns. Tabs are its cells, so what is printed must have none.
func table(b *strings.Builder) *tabwriter.Writer { return tabwriter.NewWriter(b, 0, 8, 2, ' ', 0) }

func (v *View) coreLines(b *strings.Builder) {
	t := table(b)
	measured := slices.ContainsFunc(v.Cores, func(c Core) bool { return c.Measured != nil })
	head := "core\trole\tbusy%\tirq%\tsteal%\tswitch/s\twaited ppm\tdevice/s\ttimer/s\tother/s\tsoftirq/s\tsoftnet/s\tdrop\tsqueeze\tirq"
	if measured {
		head += "\tstolen ppm\tmax\tdelay99.9"
	}
	fmt.Fprintln(t, head)
	for i := range v.Cores {
		c := &v.Cores[i]
		// On a lane's core nothing but the lane is to be.
		should := func(n *float64) string {
			switch {
			case n == nil:
				return "-"
			case c.Role == jitter.RoleHot:
				return bad(*n, "%.0f")
			}
			return fmt.Sprintf("%.0f", *n)
		}
		fmt.Fprintf(t, "%d\t%s\t%.0f\t%.0f\t%s\t%s\t%s\t%s\t%.0f\t%s\t%.0f\t%.0f\t%s\t%s\t%s", c.CPU, c.Role, c.BusyPercent, c.IRQPercent, bad(c.StealPercent, "%.0f"), should(c.Switches), should(c.WaitedPPM),
			should(&c.Devices), c.Timer, should(&c.Calls), c.Softirqs, c.SoftnetPerS, bad(c.SoftnetDropped, "%d"), bad(c.Squeezed, "%d"), printable(c.TopIRQ))
		switch m := c.Measured; {
		case m != nil:
			fmt.Fprintf(t, "\t%.0f\t%s\t%s", m.StolenPPM, jitter.Time(m.MaxNs), jitter.Time(m.DelayNs))
		case measured:
			fmt.Fprint(t, "\t-\t-\t-")
		}
		fmt.Fprintln(t)
	}
	_ = t.Flush() // a Builder takes everything
}

func (v *View) nicLines(b *strings.Builder) {
	if len(v.NICs) == 0 {
		return
	}
	b.WriteByte('\n')
	t := table(b)
	fmt.Fprintln(t, "interface\tpackets/s\tMbit/s\tlost now\tlost in all")
	for i := range v.NICs {
		n := &v.NICs[i]
		fmt.Fprintf(t, "%s\t%.0f\t%.1f\t%s\t%s\n", printable(n.Name), n.PerS, n.MbitS, counts(n.Lost, true), counts(n.LostAll, false))
	}
	_ = t.Flush()
}

// counts is "name 1, name 2"; "-" for none.
func counts(m map[string]uint64, marked bool) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		n := fmt.Sprint(m[name])
		if marked {
			n = string(mark) + n
		}
		parts = append(parts, printable(name)+" "+n)
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ", ")
}

func (f *Feed) lines(b *strings.Builder) {
	state := f.State
	if state == "NOT ALIVE" {
		state = string(mark) + "NOT " + string(mark) + "ALIVE"
	}
	fmt.Fprintf(b, "\n%s, pid %d: %s\n", printable(f.Name), f.PID, state)
	t := table(b)
	if len(f.Lanes) > 0 {
		fmt.Fprintln(t, "  lane\tmessages/s\tpasses/s")
		for _, l := range f.Lanes {
			fmt.Fprintf(t, "  %s\t%.0f\t%.0f\n", printable(l.Name), l.Messages, l.Passes)
		}
	}
	_ = t.Flush()
	t = table(b)
	if len(f.XSK) > 0 {
		fmt.Fprintln(t, "  socket\tmode\tdropped\tring full\tno chunk\tinvalid\twaiting")
		for _, x := range f.XSK {
			fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%s\t%d\n", printable(x.Name), x.Mode, bad(x.Dropped, "%d"), bad(x.RingFull, "%d"), bad(x.NoChunk, "%d"), bad(x.Invalid, "%d"), x.Waiting)
		}
	}
	_ = t.Flush()
	t = table(b)
	if len(f.Threads) > 0 {
		fmt.Fprintln(t, "  thread\tcore\tbusy%\twaited ppm\tinvoluntary/s\tvoluntary/s")
		for _, x := range f.Threads {
			fmt.Fprintf(t, "  %d %s\t%d\t%.0f\t%.0f\t%.0f\t%.0f\n", x.TID, printable(x.Name), x.CPU, x.BusyPercent, x.WaitedPPM, x.Involuntary, x.Voluntary)
		}
	}
	_ = t.Flush()
	if len(f.Rings) > 0 {
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(f.Rings)) {
			parts = append(parts, fmt.Sprintf("%s %.0f/s", printable(name), f.Rings[name]))
		}
		fmt.Fprintf(b, "  rings: %s\n", strings.Join(parts, ", "))
	}
	fmt.Fprintf(b, "  lost now: %s\n", counts(f.Lost, true))
	if len(f.LostAll) > 0 {
		fmt.Fprintf(b, "  lost since its start: %s\n", counts(f.LostAll, false))
	}
	for _, l := range f.Latencies {
		fmt.Fprintf(b, "  since its start: %s\n", printable(l.String()))
	}
}

// printable keeps what others wrote from steering the terminal, or the table.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}
