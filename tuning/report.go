package tuning

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// Style is how a Report is shown as text.
type Style struct {
	Colour bool
	Quiet  bool // what is PASS, SKIP or INFO is left out
	Flat   bool // one list, not by group: for reports that were sorted
}

// ANSI colours of statuses: red, yellow, green, grey.
var colours = map[Status]string{Fail: "31", Error: "35", Warn: "33", Pass: "32", Skip: "90", Note: "36", Waived: "90"}

// printable keeps what files of the machine hold from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}

// Text writes the report for people. No width is assumed.
func (r *Report) Text(w io.Writer, s Style) error {
	var b strings.Builder
	section := ""
	for i := range r.Checks {
		c := &r.Checks[i]
		if s.Quiet && (c.Status == Pass || c.Status == Skip || c.Status == Note) {
			continue
		}
		if !s.Flat && c.Section != section {
			if section = c.Section; b.Len() > 0 {
				b.WriteByte('\n')
			}
			b.WriteString(section + "\n")
		}
		c.text(&b, s)
	}
	if b.Len() > 0 {
		b.WriteByte('\n')
	}
	b.WriteString(r.Summary.String() + "\n")
	if r.Summary.Error > 0 {
		b.WriteString("ERROR: could not be seen. Root, or CAP_NET_ADMIN, CAP_SYS_RAWIO and CAP_SYS_PTRACE, sees more.\n")
	}
	if r.Host.Virt != "" || r.Host.Container != "" {
		b.WriteString("virtual: what is measured here qualifies no machine.\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (c *Result) text(b *strings.Builder, s Style) {
	status := fmt.Sprintf("%-6s", c.Status)
	if s.Colour {
		status = "\x1b[" + colours[c.Status] + "m" + status + "\x1b[0m"
	}
	fmt.Fprintf(b, "%s  %-22s ", status, c.ID)
	switch {
	case c.Status == Skip:
		b.WriteString(printable(c.Reason))
	default:
		if c.Effective != nil {
			b.WriteString(printable(c.Effective.Raw))
			if c.Unit != "" {
				b.WriteString(" " + c.Unit)
			}
			if c.Reason != "" && c.Reason != c.Effective.Raw {
				b.WriteString(": ")
			}
		}
		if c.Reason != "" && (c.Effective == nil || c.Reason != c.Effective.Raw) {
			b.WriteString(printable(c.Reason))
		}
		if c.Want != "" && c.Status != Pass && c.Status != Note {
			b.WriteString("  want: " + wantText(c.Want))
		}
	}
	if c.Persistence == Lost || c.Persistence == Pending {
		b.WriteString("  (" + string(c.Persistence) + ")")
	}
	b.WriteByte('\n')
	if c.Waiver != nil {
		fmt.Fprintf(b, "        waived: %s (%s, until %s)\n", printable(c.Waiver.Reason), printable(c.Waiver.Owner), c.Waiver.Expires)
		return
	}
	if c.Status != Fail && c.Status != Warn {
		return
	}
	if m := c.Remediation; m != nil {
		lines := func(label string, commands []string) {
			const shown = 3
			for i, command := range commands {
				if i == shown {
					fmt.Fprintf(b, "        %s … %d more (--explain %s)\n", label, len(commands)-shown, c.ID)
					break
				}
				fmt.Fprintf(b, "        %s %s\n", label, printable(command))
			}
		}
		lines("fix: ", m.Runtime)
		lines("keep:", m.Persistent)
		if m.Human != "" {
			fmt.Fprintf(b, "        do:   %s\n", m.Human)
		}
		if len(m.Changes) > 0 {
			reboot := ""
			if m.NeedsReboot {
				reboot = ", needs a reboot"
			}
			fmt.Fprintf(b, "        risk: %s%s\n", m.Risk, reboot)
		}
	}
	if c.Why != "" {
		fmt.Fprintf(b, "        why:  %s\n", c.Why)
	}
}

// JSON writes the report as one document.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// JSONLines writes one object a check, and the report without its checks as the last.
func (r *Report) JSONLines(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for i := range r.Checks {
		if err := e.Encode(&r.Checks[i]); err != nil {
			return err
		}
	}
	head := struct {
		Schema      string    `json:"schema"`
		ToolVersion string    `json:"tool_version"`
		Host        HostFacts `json:"host"`
		PlanDigest  string    `json:"plan_digest"`
		DurationMs  float64   `json:"duration_ms"`
		IntervalMs  float64   `json:"interval_ms,omitempty"`
		Summary     Summary   `json:"summary"`
	}{r.Schema, r.ToolVersion, r.Host, r.PlanDigest, r.DurationMs, r.IntervalMs, r.Summary}
	return e.Encode(head)
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Failure *junitMessage `xml:"failure,omitempty"`
	Error   *junitMessage `xml:"error,omitempty"`
	Skipped *junitMessage `xml:"skipped,omitempty"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// JUnit writes the report as a test suite: FAIL is a failure, ERROR an error, SKIP and WAIVED are skipped, WARN passes with its text.
func (r *Report) JUnit(w io.Writer) error {
	suite := struct {
		XMLName  xml.Name    `xml:"testsuite"`
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Time     string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
	}{Name: "ticktune check", Tests: len(r.Checks), Failures: r.Summary.Fail, Errors: r.Summary.Error, Skipped: r.Summary.Skip + r.Summary.Waived,
		Time: fmt.Sprintf("%.3f", r.DurationMs/1000)}
	for i := range r.Checks {
		c := &r.Checks[i]
		one := junitCase{Name: c.ID, Class: c.Section}
		var b strings.Builder
		c.text(&b, Style{})
		m := &junitMessage{Message: printable(c.Reason), Text: b.String()}
		switch c.Status {
		case Fail:
			one.Failure = m
		case Error:
			one.Error = m
		case Skip, Waived:
			one.Skipped = m
		default:
			one.Out = b.String()
		}
		suite.Cases = append(suite.Cases, one)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(suite); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// Explain writes all that is known of a check, and, with a result of it, what was found and read here.
func (c *Check) Explain(w io.Writer, res *Result) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\n", c.ID, c.Title)
	fmt.Fprintf(&b, "group     %s\nseverity  %s\nrisk      %s of bringing it about\nwhy       %s\n", c.Section, c.Severity, riskText[min(c.Risk, R4)], c.Why)
	if c.Want != "" {
		fmt.Fprintf(&b, "wanted    %s (a plan may say otherwise: [check.%q] want = …)\n", wantText(c.Want), c.ID)
	}
	var not []string
	for _, n := range []struct {
		is   bool
		text string
	}{{c.Bare, "in a virtual machine"}, {c.Uncontained, "in a container"}, {c.Planned, "without a plan that names cores"}, {c.NICs, "without a plan that names interfaces"}} {
		if n.is {
			not = append(not, n.text)
		}
	}
	if len(not) > 0 {
		fmt.Fprintf(&b, "skipped   %s\n", strings.Join(not, ", "))
	}
	if c.Human != "" {
		fmt.Fprintf(&b, "by hand   %s\n", c.Human)
	}
	for _, ref := range c.Refs {
		fmt.Fprintf(&b, "see       %s\n", ref)
	}
	if res != nil {
		b.WriteString("\nhere\n")
		res.text(&b, Style{})
		if res.Configured != nil {
			fmt.Fprintf(&b, "        next boot: %s\n", printable(res.Configured.Raw))
		}
		if m := res.Remediation; m != nil && len(m.Changes) > 0 {
			b.WriteString("\nchanges, each with how to take it back\n")
			for _, ch := range m.Changes {
				fmt.Fprintf(&b, "  %s  %s\n      undo: %s\n", ch.Risk, printable(ch.Command), printable(ch.Undo))
			}
		}
		b.WriteString("\nread\n")
		for _, e := range res.Evidence {
			value := printable(e.Value)
			if e.Error != "" {
				value = e.Error
			}
			fmt.Fprintf(&b, "  %s: %s\n", e.Source, short(value))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

var riskText = [...]string{"r0 (harmless)", "r1 (latency and power)", "r2 (touches a NIC: packets may be lost)", "r3 (a reboot, or remote access at stake)", "r4 (trades security or integrity)"}
