package irqinfo

import (
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
	"text/tabwriter"

	"github.com/tickwire/tickwire/tuning"
)

// View is what of a Report is shown.
type View struct {
	All  bool        // also what did not fire
	NICs []string    // only what is these interfaces'; empty: all
	On   tuning.CPUs // only these cores; empty: all
}

// maxSources is how many of a core's interrupts are shown.
const maxSources = 4

// causes of what the processors send each other.
var causes = map[string]string{
	"LOC": "timer", "RES": "rescheduling", "CAL": "function calls", "TLB": "unmapped memory", "NMI": "NMI", "PMI": "perf", "IWI": "irq work", "MCE": "machine check", "MCP": "machine check polls", "TRM": "thermal", "HYP": "hypervisor",
}

// Text writes two tables: what interrupted each core, and where each interrupt goes.
func (r *Report) Text(w io.Writer, v View) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	cores := r.Cores
	if len(v.NICs) > 0 { // what else interrupts cores is no matter of an interface
		cores = nil
	} else {
		fmt.Fprintln(t, "core\t/s\tby (/s)")
	}
	for i := range cores {
		c := &cores[i]
		if len(v.On) > 0 && !v.On.Has(c.CPU) {
			continue
		}
		name := fmt.Sprint(c.CPU)
		if c.Role != "" {
			name += " " + c.Role
		}
		fmt.Fprintf(t, "%s\t%.0f\t%s\n", name, c.PerS, tuning.Printable(c.sources()))
	}
	if len(v.NICs) == 0 {
		fmt.Fprintln(t)
	}
	fmt.Fprintln(t, "interrupt\t/s\ton\tmay\twhat")
	rows := make([]*IRQ, 0, len(r.IRQs))
	for i := range r.IRQs {
		irq := &r.IRQs[i]
		if irq.shown(v) {
			rows = append(rows, irq)
		}
	}
	sort.SliceStable(rows, func(i, j int) bool { return rows[i].PerS > rows[j].PerS })
	for _, irq := range rows {
		fmt.Fprintf(t, "%s\t%.0f\t%s\t%s\t%s\n", irq.Name, irq.PerS, tuning.Printable(irq.where()), irq.Allowed, tuning.Printable(irq.what()))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	note := fmt.Sprintf("in %.1f s", r.Seconds)
	if r.Virtual {
		note += "; virtual machine: what the hypervisor does to its cores is not seen here"
	}
	_, err := fmt.Fprintln(w, note)
	return err
}

func (r *IRQ) shown(v View) bool {
	if len(v.NICs) > 0 && !slices.Contains(v.NICs, r.NIC) {
		return false
	}
	if len(v.On) > 0 {
		fires := false
		for cpu := range r.PerCore {
			fires = fires || v.On.Has(cpu)
		}
		if !fires && len(r.Effective.And(v.On)) == 0 {
			return false
		}
	}
	return v.All || len(v.NICs) > 0 || r.PerS > 0 || r.Restarted && r.Total > 0
}

func (c *Core) sources() string {
	var words []string
	for i, s := range c.Sources {
		if i == maxSources {
			words = append(words, fmt.Sprintf("%d more", len(c.Sources)-maxSources))
			break
		}
		what := causes[s.Name]
		if f := strings.Fields(s.What); what == "" && len(f) > 0 {
			what = f[len(f)-1]
		}
		words = append(words, fmt.Sprintf("%s %s %.0f", s.Name, what, s.PerS))
	}
	return strings.Join(words, ", ")
}

// where is the cores that it fired on, else the one that it goes to.
func (r *IRQ) where() string {
	var fired tuning.CPUs
	for cpu := range r.PerCore {
		fired = append(fired, cpu)
	}
	switch {
	case len(fired) > 0:
		return tuning.CPUs(nil).Union(fired).String()
	case r.Reason != "":
		return "?"
	}
	return r.Effective.String()
}

func (r *IRQ) what() string {
	text := r.What
	if r.NIC != "" && r.Queue >= 0 {
		text += fmt.Sprintf("  (%s queue %d)", r.NIC, r.Queue)
	} else if r.NIC != "" {
		text += "  (" + r.NIC + ")"
	}
	if r.Managed {
		text += "  managed"
	}
	if r.Reason != "" {
		text += "  " + r.Reason
	}
	return text
}
