package mdp3

import (
	"fmt"
	"net/netip"
	"strings"
)

// Config is a [[feed]] block of tickwire.toml that receives what is sent.
func (e *Exchange) Config() string { return e.o.config(e.ReplayAddr()) }

// Config is Exchange.Config without opening anything; a replay service at any free port is left out.
func (o Options) Config() string {
	o.defaults()
	lineDefaults(&o.Lines)
	return o.config(o.ReplayAt)
}

func (o *Options) config(replay netip.AddrPort) string {
	var b strings.Builder
	b.WriteString("[[feed]]\nname = \"sim\"\nprotocol = \"mdp3\"\npublisher = 40002 # generated: never to be taken for a venue's\ndataset = \"SIM.MDP3\"\nsource = \"udp\"\n")
	if levels, orders := o.Levels.IsValid(), o.Orders.IsValid(); levels != orders { // books that cannot be rebuilt are not kept
		fmt.Fprintf(&b, "product = %q # there is no loop of the other books\n", map[bool]string{true: "mbp", false: "mbo"}[levels])
	}
	if !o.Definitions.IsValid() && (o.Levels.IsValid() || o.Orders.IsValid()) { // books that begin with a snapshot
		b.WriteString("prices = \"wire\" # there is no loop of definitions, which say what to multiply prices by\n")
	}
	fmt.Fprintf(&b, "\n[[feed.channel]]\nid = %d\n", o.ChannelID)
	for i, group := range []netip.AddrPort{o.Lines.A.Group, o.Lines.B.Group} {
		fmt.Fprintf(&b, "[[feed.channel.line]]\nname = \"%c\"\ninterface = %q%s\ngroup = %q\n", 'A'+i, o.Interfaces[i], o.note(i), group)
	}
	for kind, group := range []netip.AddrPort{o.Levels, o.Orders, o.Definitions} {
		if group.IsValid() && (o.Levels.IsValid() || o.Orders.IsValid()) { // definitions alone rebuild nothing
			fmt.Fprintf(&b, "[[feed.channel.service]]\nkind = %q\ninterface = %q%s\ngroup = %q\n", [...]string{"levels", "orders", "definitions"}[kind], o.Interfaces[0], o.note(0), group)
		}
	}
	if replay.Port() != 0 {
		fmt.Fprintf(&b, "\n[feed.recovery]\nservers = [%q]\n", replay)
		if o.Replay.User != "" {
			fmt.Fprintf(&b, "user = %q\n# password_file = a file whose first line is the password\n", o.Replay.User)
		}
	}
	return b.String()
}

func (o *Options) note(i int) string {
	if o.Interfaces[i] == "lo" {
		return ""
	}
	return " # the receiver's own, towards this one"
}
