package ptpinfo

import (
	"fmt"
	"io"
	"strings"

	"github.com/tickwire/tickwire/tuning"
)

// Text writes it for people.
func (r *Report) Text(w io.Writer) error {
	var b strings.Builder
	line := func(format string, args ...any) { b.WriteString(tuning.Printable(fmt.Sprintf(format, args...)) + "\n") }
	s := r.System
	switch {
	case s.Error != "":
		line("system   %s: %s", s.Source, s.Error)
	default:
		state := "not synchronised"
		if s.Synchronised {
			state = "synchronised"
		}
		line("system   %s, %s, offset %d ns, frequency %+.3f ppm, max error %d µs, TAI-UTC %d s", s.Source, state, s.OffsetNs, float64(s.FreqPPB)/1000, s.MaxErrUs, s.TAI)
	}
	if len(r.Clocks) == 0 {
		line("clocks   none: no /dev/ptpN")
	}
	for _, c := range r.Clocks {
		of := c.Name
		if len(c.NICs) > 0 {
			of += " (" + strings.Join(c.NICs, " ") + ")"
		}
		switch {
		case c.Error != "":
			line("ptp%-5d %s: %s", c.Index, of, c.Error)
		case c.Scale == "neither":
			line("ptp%-5d %s: %+d ns to the system, read in %d ns: neither TAI nor UTC", c.Index, of, c.OffsetNs, c.WindowNs)
		default:
			line("ptp%-5d %s: keeps %s, %+d ns from the system's, read in %d ns", c.Index, of, c.Scale, c.AwayNs, c.WindowNs)
		}
	}
	for _, n := range r.NICs {
		text := "stamps by the kernel only"
		switch {
		case n.Error != "":
			text = n.Error
		case n.All:
			text = "can stamp all packets"
		case n.Some:
			text = "can stamp PTP packets only"
		}
		if n.Filter == 1 {
			text += ", and does"
		} else if n.Filter >= 0 && (n.All || n.Some) {
			text += fmt.Sprintf(", filter now %d", n.Filter)
		}
		if n.Clock >= 0 {
			text += fmt.Sprintf(", clock ptp%d", n.Clock)
		}
		line("nic      %s: %s", n.Name, text)
	}
	for i := range r.Servers {
		r.Servers[i].text(line)
	}
	for _, d := range r.Daemons {
		line("daemon   %s, process %d  %s", d.Name, d.PID, strings.Join(d.Args, " "))
	}
	if r.Unseen != "" {
		line("daemon   not told: %s", r.Unseen)
	}
	for _, l := range r.Lines {
		switch {
		case l.State != "":
			line("log      %s: %s is %s", l.Program, l.Subject, l.State)
		case l.Summary:
			line("log      %s: %s rms %d ns, max %d ns, frequency %+d ppb", l.Program, l.Subject, l.OffsetNs, l.MaxNs, l.FreqPPB)
		default:
			line("log      %s: %s %+d ns, %s, frequency %+d ppb", l.Program, l.Subject, l.OffsetNs, l.Servo, l.FreqPPB)
		}
	}
	for _, n := range r.Notes {
		line("note     %s", n)
	}
	if r.Virtual {
		line("virtual machine: what is told of clocks is what the hypervisor shows")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (s *Server) text(line func(format string, args ...any)) {
	if s.Default == nil {
		line("ptp4l    %s: %s", s.Socket, s.Error)
		return
	}
	line("ptp4l    %s: clock %s, domain %d, priority %d, class %d", s.Socket, s.Default.Identity, s.Default.Domain, s.Default.Priority1, s.Default.Class)
	for _, p := range s.Ports {
		name := fmt.Sprintf("port %d", p.Number)
		if p.Interface != "" {
			name += " (" + p.Interface + ", " + p.Stamping + " stamps)"
		}
		line("         %s: %s", name, p.State)
	}
	if t := s.Status; t != nil {
		if t.Present {
			line("         master offset %+d ns, grandmaster %s", t.OffsetNs, t.Grandmaster)
		} else {
			line("         no grandmaster")
		}
	}
	if c := s.Current; c != nil && s.Parent != nil && c.Steps > 0 {
		line("         %d steps from the grandmaster, path delay %.0f ns", c.Steps, c.DelayNs)
	}
	if t := s.Time; t != nil {
		line("         TAI-UTC %d s (%s)", t.UTCOffset, map[bool]string{true: "vouched for", false: "not vouched for"}[t.Valid])
	}
}
