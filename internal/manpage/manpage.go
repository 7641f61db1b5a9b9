// Package manpage writes a command's help as man pages, one a command: what --help says is written once, in the command.
package manpage

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Command is a hidden command for packagers: man DIR. It writes the pages of its root and of all commands below it.
func Command() *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "write the man pages to a folder", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return Write(args[0], cmd.Root()) },
	}
}

// Write makes the pages of a command and all below it in dir, which must be there: tickwire-ring-tail.1 is of `tickwire ring tail`. A page holds
// no date: the same program writes the same bytes.
func Write(dir string, c *cobra.Command) error {
	errs := []error{os.WriteFile(filepath.Join(dir, name(c)+".1"), page(c), 0o644)}
	for _, sub := range c.Commands() {
		if shown(sub) {
			errs = append(errs, Write(dir, sub))
		}
	}
	return errors.Join(errs...)
}

// shown is whether a command has a page. "help" is what the pages are instead.
func shown(c *cobra.Command) bool { return c.IsAvailableCommand() && c.Name() != "help" }

func name(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// page is a command's help in the man macros (man(7)).
func page(c *cobra.Command) []byte {
	c.InitDefaultHelpFlag() // as the first call of the command does
	c.InitDefaultVersionFlag()
	var b bytes.Buffer
	fmt.Fprintf(&b, ".TH %q 1 \"\" %q %q\n.nh\n.ad l\n", strings.ToUpper(name(c)), strings.TrimSpace(c.Root().Name()+" "+c.Root().Version), c.Root().Name())
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", text(name(c)), text(c.Short))
	use := strings.TrimSuffix(c.UseLine(), " [flags]")
	b.WriteString(".SH SYNOPSIS\n")
	if !c.HasAvailableSubCommands() {
		fmt.Fprintf(&b, ".B %s\n", text(use))
	} else {
		if use != c.CommandPath() { // it does something by itself too
			fmt.Fprintf(&b, ".B %s\n.br\n", text(use))
		}
		fmt.Fprintf(&b, ".B %s\n.I COMMAND\n", text(c.CommandPath()))
	}
	if c.Long != "" {
		b.WriteString(".SH DESCRIPTION\n")
		prose(&b, c.Long)
	}
	if c.HasAvailableSubCommands() {
		b.WriteString(".SH COMMANDS\n")
		for _, sub := range c.Commands() {
			if shown(sub) {
				fmt.Fprintf(&b, ".TP\n.BR %s (1)\n%s\n", text(name(sub)), text(sub.Short))
			}
		}
	}
	if c.HasAvailableLocalFlags() {
		b.WriteString(".SH OPTIONS\n")
		c.LocalFlags().VisitAll(func(f *pflag.Flag) { option(&b, f) })
	}
	if c.Example != "" {
		b.WriteString(".SH EXAMPLES\n")
		literal(&b, strings.Split(strings.Trim(c.Example, "\n"), "\n"))
	}
	if c.HasParent() {
		fmt.Fprintf(&b, ".SH SEE ALSO\n.BR %s (1)\n", text(name(c.Parent())))
	}
	return b.Bytes()
}

func option(b *bytes.Buffer, f *pflag.Flag) {
	if f.Hidden {
		return
	}
	what, usage := pflag.UnquoteUsage(f)
	b.WriteString(".TP\n.B ")
	if f.Shorthand != "" {
		b.WriteString(text("-"+f.Shorthand) + ", ")
	}
	b.WriteString(text("--"+f.Name) + "\n")
	if what != "" {
		b.Truncate(b.Len() - 1)
		fmt.Fprintf(b, " \\fI%s\\fP\n", text(what))
	}
	switch f.DefValue {
	case "", "false", "0", "0s", "[]", "<nil>":
	default:
		if !strings.Contains(usage, "(default") {
			usage += " (default " + f.DefValue + ")"
		}
	}
	if usage == "" {
		usage = "\u00a0" // .TP wants a body
	}
	b.WriteString(text(usage) + "\n")
}

// prose writes paragraphs; lines that begin with a blank stay as they are.
func prose(b *bytes.Buffer, s string) {
	for i, paragraph := range strings.Split(strings.Trim(s, "\n"), "\n\n") {
		if i > 0 {
			b.WriteString(".PP\n")
		}
		lines := strings.Split(paragraph, "\n")
		for len(lines) > 0 {
			n := 0
			for n < len(lines) && strings.HasPrefix(lines[n], " ") == strings.HasPrefix(lines[0], " ") {
				n++
			}
			if strings.HasPrefix(lines[0], " ") {
				literal(b, lines[:n])
			} else {
				for _, line := range lines[:n] {
					b.WriteString(text(line) + "\n")
				}
			}
			lines = lines[n:]
		}
	}
}

func literal(b *bytes.Buffer, lines []string) {
	b.WriteString(".nf\n")
	for _, line := range lines {
		b.WriteString(text(line) + "\n")
	}
	b.WriteString(".fi\n")
}

// text escapes what roff takes for its own: the backslash, a hyphen that is a minus, and a dot or quote that begins a line.
func text(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "\n", " ", "`", `\(ga`, "^", `\(ha`, "~", `\(ti`, "'", `\(aq`).Replace(s)
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	return s
}
