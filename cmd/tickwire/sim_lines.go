package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tickwire/tickwire/sim/mold"
)

// flagGroups are a command's flags under titles.
type flagGroups []flagGroup

type flagGroup struct {
	title string
	set   *pflag.FlagSet
}

func (g *flagGroups) add(title string) *pflag.FlagSet {
	f := pflag.NewFlagSet(title, pflag.ContinueOnError)
	f.SortFlags = false
	*g = append(*g, flagGroup{title, f})
	return f
}

// addTo gives a command the flags, and a help that shows the titles.
func (g *flagGroups) addTo(c *cobra.Command) {
	for _, group := range *g {
		c.Flags().AddFlagSet(group.set)
	}
	c.SetUsageFunc(func(c *cobra.Command) error {
		_, err := fmt.Fprintf(c.OutOrStderr(), "Usage:\n  %s\n\nExamples:\n%s\n", c.UseLine(), c.Example)
		for _, group := range *g {
			_, more := fmt.Fprintf(c.OutOrStderr(), "\n%s:\n%s", group.title, group.set.FlagUsages())
			err = errors.Join(err, more)
		}
		return err
	})
}

// lineFlags are what the lines of every simulated venue have: where they go, and what befalls them.
type lineFlags struct {
	lines      *mold.LinesOptions
	ttl        *int
	interfaces []string
	groups     [2]string
	silences   []string
}

// ends are the flags of where lines go.
func (l *lineFlags) ends(f *pflag.FlagSet, a, b netip.AddrPort) {
	f.StringSliceVar(&l.interfaces, "interface", []string{"lo"}, "that lines A and B leave by: one for both, or two")
	f.StringVar(&l.groups[0], "group-a", a.String(), "multicast group of line A")
	f.StringVar(&l.groups[1], "group-b", b.String(), "multicast group of line B")
	f.IntVar(l.ttl, "ttl", 0, "of packets; on lo always 0 (default 1 on other interfaces)")
}

// faults are the flags of what befalls lines.
func (l *lineFlags) faults(f *pflag.FlagSet) {
	for i, line := range []*mold.Line{&l.lines.A, &l.lines.B} {
		at := string(rune('a' + i))
		name := strings.ToUpper(at)
		f.Var((*share)(&line.LossPPM), "loss-"+at, "packets that line "+name+" loses")
		f.Var(&burstValue{&line.BurstPPM, &line.BurstPackets}, "burst-"+at, "packets at which line "+name+" begins to lose N in a row")
		f.Var((*share)(&line.ReorderPPM), "reorder-"+at, "packets of line "+name+" that others overtake")
		f.Var((*share)(&line.DuplicatePPM), "duplicate-"+at, "packets of line "+name+" that come twice")
		f.Var((*nanos)(&line.DelayNs), "delay-"+at, "how far line "+name+" is behind, up to a minute")
		f.Var((*nanos)(&line.JitterNs), "jitter-"+at, "and up to how much more, from packet to packet")
		f.Var(&corruptValue{line}, "corrupt-"+at, "packets of line "+name+" that come damaged; WAYS: header,length,truncate (default), payload, count")
	}
	f.Var(&burstValue{&l.lines.BothPPM, &l.lines.BothPackets}, "both", "packets at which both lines begin to lose N in a row")
	f.StringArrayVar(&l.silences, "silence", nil, "a, b or both, after a time, for a time, again each time: b:10s+500ms/30s")
}

// parse reads what is text still, and reports all faults at once.
func (l *lineFlags) parse() error {
	var errs []error
	if n := len(l.interfaces); n < 1 || n > 2 {
		errs = append(errs, fmt.Errorf("--interface has %d names, want one or two", n))
	}
	var err error
	for i, line := range []*mold.Line{&l.lines.A, &l.lines.B} {
		if line.Group, err = netip.ParseAddrPort(l.groups[i]); err != nil {
			errs = append(errs, fmt.Errorf("--group-%c: %w", 'a'+i, err))
		}
	}
	for _, text := range l.silences {
		silence, err := parseSilence(text)
		if err != nil {
			errs = append(errs, err)
		}
		l.lines.Silences = append(l.lines.Silences, silence)
	}
	return errors.Join(errs...)
}

// both are the interfaces of lines A and B.
func (l *lineFlags) both() (names [2]string) {
	if n := len(l.interfaces); n > 0 {
		names = [2]string{l.interfaces[0], l.interfaces[n-1]}
	}
	return names
}

// server is where a server listens; not valid: nowhere.
func (l *lineFlags) server(flag, text string, port uint16) (netip.AddrPort, error) {
	switch text {
	case "off":
		return netip.AddrPort{}, nil
	case "on":
	default:
		a, err := netip.ParseAddrPort(text)
		if err != nil {
			return a, fmt.Errorf("%s %s is none of: on, off, 127.0.0.1:%d", flag, text, port)
		}
		return a, nil
	}
	if len(l.interfaces) == 0 {
		return netip.AddrPort{}, nil // parse has said so
	}
	name := l.interfaces[0]
	face, err := net.InterfaceByName(name)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("interface %s: %w", name, err)
	}
	addrs, err := face.Addrs()
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("interface %s: %w", name, err)
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok && ip.Unmap().Is4() {
				return netip.AddrPortFrom(ip.Unmap(), port), nil
			}
		}
	}
	return netip.AddrPort{}, fmt.Errorf("interface %s has no IPv4 address: give %s one, or off", name, flag)
}

// lineText says what a line did.
func lineText(i int, group netip.AddrPort, face string, l *mold.LineCounters, refused uint64) string {
	return fmt.Sprintf("line %c  %s on %s: %d sent, %d lost (%d in bursts, %d with the other line, %d in silence), %d twice, %d overtaken, %d damaged, %d refused by the kernel\n",
		'A'+i, group, face, l.Sent, l.Lost, l.InBursts, l.InBoth, l.InSilence, l.Duplicated, l.Late, l.Corrupted, refused)
}
