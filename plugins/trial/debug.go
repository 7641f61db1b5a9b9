package trial

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"text/tabwriter"

	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/sign"
	"github.com/tickwire/tickwire/plugins/wasm"
)

// Fault is a failure as people look for it.
type Fault struct {
	What        string   `json:"what"`
	Call        string   `json:"call"`
	Trap        bool     `json:"trap"`
	Text        string   `json:"text,omitempty"`        // what tw_error said
	Offset      int      `json:"offset,omitempty"`      // in the module, of the instruction
	Instruction string   `json:"instruction,omitempty"` // what is there
	Stack       []string `json:"stack,omitempty"`       // functions, the innermost first
	Case        *Case    `json:"-"`                     // with which it happens
}

// Debug runs a case on a module, which gets what trust grants it (nil: nothing), and says where it fails. Reduce leaves out rows with which it fails all the same. A fault that is nil goes with a result.
func Debug(module []byte, trust *sign.Policy, read func(*plugins.Plugin) (*Case, error), reduce bool, log *slog.Logger) (*Fault, *Case, *Result, error) {
	host, err := plugins.New(plugins.Options{Mark: true, Trust: trust, Log: log})
	if err != nil {
		return nil, nil, nil, err
	}
	defer host.Close()
	p, err := host.Compile(module)
	if err != nil {
		return nil, nil, nil, err
	}
	defer p.Close()
	c, err := read(p)
	if err != nil {
		return nil, nil, nil, err
	}
	r, err := Run(p, c, 0)
	var f *plugins.Failure
	if !errors.As(err, &f) {
		return nil, c, r, err
	}
	if reduce {
		c = reduced(p, c, func(err error) bool {
			var other *plugins.Failure
			return errors.As(err, &other) && other.Call == f.Call && other.Trap == f.Trap
		})
		if _, err = Run(p, c, 0); !errors.As(err, &f) {
			return nil, nil, nil, fmt.Errorf("it failed, and then it did not: %w", err)
		}
	}
	fault := &Fault{What: strings.TrimPrefix(f.Line(), fmt.Sprintf("plugin %s %s: %s: ", f.Plugin, f.Version, f.Call)), Call: f.Call, Trap: f.Trap, Text: f.Text, Offset: f.At, Case: c}
	if f.At > 0 {
		fault.Instruction = wasm.InstructionAt(module, f.At)
	}
	if _, stack, ok := strings.Cut(f.Err.Error(), "wasm stack trace:\n"); ok {
		for line := range strings.Lines(stack) {
			if line = strings.TrimPrefix(strings.TrimSpace(line), "."); line != "" {
				fault.Stack = append(fault.Stack, line)
			}
		}
	}
	return fault, c, nil, nil
}

// Print tells a fault to people.
func (f *Fault) Print(out io.Writer) {
	how := "failed"
	if f.Trap {
		how = "trapped"
	}
	fmt.Fprintf(out, "%s %s: %s\n", f.Call, how, f.What)
	if f.Offset > 0 {
		fmt.Fprintf(out, "  at offset 0x%x of the module: %s\n", f.Offset, f.Instruction)
	}
	for k, line := range f.Stack {
		word := "by"
		if k == 0 {
			word = "in"
		}
		fmt.Fprintf(out, "  %s %s\n", word, line)
	}
}

// Print writes what goes in beside what comes out, or one after the other where they are not the same rows.
func (r *Result) Print(out io.Writer, c *Case) error {
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	if len(r.Lines) == len(c.In.Rows)+1 {
		fmt.Fprintf(t, "row\t%s\t→\t%s\n", strings.Join(c.In.Columns, "\t"), strings.Join(tokens(r.Lines[0]), "\t"))
		for k, cells := range c.In.Rows {
			fmt.Fprintf(t, "%d\t%s\t→\t%s\n", k+1, strings.Join(cells, "\t"), strings.Join(tokens(r.Lines[k+1]), "\t"))
		}
	} else {
		for _, line := range r.Lines {
			fmt.Fprintln(t, strings.Join(tokens(line), "\t"))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\n%d calls, %d fuel\n", r.Calls, r.Fuel)
	return err
}
