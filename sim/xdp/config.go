package xdp

import (
	"fmt"
	"net/netip"
	"strings"

	wire "github.com/tickwire/tickwire/parsers/xdp"
)

// Config is a [[feed]] block of tickwire.toml that receives what is sent, records marked as generated. A request server at any free port is left out.
func (o Options) Config() string {
	o = o.withDefaults()
	return o.config(o.Requests.Addr)
}

// Config is Options.Config with the request server's address as it is.
func (v *Venue) Config() string { return v.o.config(v.RequestAddr()) }

func (o *Options) config(requests netip.AddrPort) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[[feed]]\nname = \"sim\"\nprotocol = \"xdp\"\nversion = %q\nproduct = %q\npublisher = 40001 # generated: never to be taken for a venue's\n"+
		"dataset = \"SIM.XDP\"\nsource = \"udp\"\n\n[[feed.channel]]\nid = %d\n", o.Version.String(), wire.ProductOf(o.Product).String(), o.Channel)
	for i, group := range []netip.AddrPort{o.Lines.A.Group, o.Lines.B.Group} {
		fmt.Fprintf(&b, "[[feed.channel.line]]\nname = \"%c\"\ninterface = %q%s\ngroup = %q\n", 'A'+i, o.Interfaces[i], note(o.Interfaces[i]), group)
	}
	if requests.Port() == 0 {
		return b.String()
	}
	for i, group := range []netip.AddrPort{o.Retransmission, o.Refresh} {
		fmt.Fprintf(&b, "[[feed.channel.service]]\nkind = %q\ninterface = %q\ngroup = %q\n", []string{"retransmission", "refresh"}[i], o.Interfaces[0], group)
	}
	source := "TICKWIRE"
	if len(o.Requests.Sources) > 0 {
		source = o.Requests.Sources[0]
	}
	fmt.Fprintf(&b, "\n[feed.recovery]\nservers = [%q]\nuser = %q\nproduct_id = %d\n", requests, source, o.Product)
	return b.String()
}

func note(face string) string {
	if face == "lo" {
		return ""
	}
	return " # the receiver's own, towards this one"
}
