package xdp

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/tickwire/tickwire/nic/pace"
	wire "github.com/tickwire/tickwire/parsers/xdp"
	"github.com/tickwire/tickwire/sim/mold"
)

// Groups of the retransmission and the refresh channel by default.
var (
	RetransmissionGroup = netip.MustParseAddrPort("239.255.78.13:13064")
	RefreshGroup        = netip.MustParseAddrPort("239.255.78.14:14064")
)

// Options of a venue. Source or Packets, Product and Channel must be given; the rest works at zero: lines on lo, without faults and without a request server.
type Options struct {
	// Source gives the messages: package xdpgen's. Live(…) makes one of a generator whose times are the caller's.
	Source mold.Source
	// Packets plays packets in the place of a Source's messages: recorded.File's. It calls send with each one, due at ts, ns since the first, as
	// PlayOptions' send is called; epoch is what times of sending are counted from.
	Packets func(p *pace.Pacer, epoch uint64, send func(ts uint64, packet []byte, sure bool) error) error
	// Pace is "recorded", "x10", "100000/s" or "max", as package pace has it. The default is recorded.
	Pace string
	// Version of the layouts, for refreshes.
	Version wire.Version
	// Product and Channel of what the source gives.
	Product, Channel uint8
	// Play says how packets are cut; Epoch is ignored: packets carry the time when they are due.
	Play PlayOptions
	// Lines are groups, delays and faults, with their seed. Delays are taken as they are. The default groups are GroupA and GroupB.
	Lines mold.LinesOptions
	// Interfaces that lines A and B leave by; the other two channels leave as A does. The default is lo, and A's for B.
	Interfaces [2]string
	// TTL of packets. On lo it is 0: nothing leaves this host. The default on any other interface is 1.
	TTL int
	// Requests is the request server; the default, no Addr, is none.
	Requests RequestOptions
	// Retransmission and Refresh are the groups of its two channels.
	Retransmission, Refresh netip.AddrPort
	// Failovers are the messages of the source, counted from 1, before which another publisher takes over, ascending. The default is none.
	Failovers []uint64
	// Keep is how many messages are sent again, the latest ones. The default is 4 million.
	Keep int
	// Linger is how long heartbeats follow the last message. The default is what Play.Ends take.
	Linger time.Duration
}

const defaultKeep = 4_000_000

func (o Options) withDefaults() Options {
	if o.Pace == "" {
		o.Pace = "recorded"
	}
	if o.Interfaces[0] == "" {
		o.Interfaces[0] = "lo"
	}
	if o.Interfaces[1] == "" {
		o.Interfaces[1] = o.Interfaces[0]
	}
	if o.TTL == 0 && o.Interfaces[0] != "lo" && o.Interfaces[1] != "lo" {
		o.TTL = 1
	}
	if o.Keep == 0 {
		o.Keep = defaultKeep
	}
	orGroup := func(p *netip.AddrPort, group netip.AddrPort) {
		if !p.IsValid() {
			*p = group
		}
	}
	orGroup(&o.Lines.A.Group, GroupA)
	orGroup(&o.Lines.B.Group, GroupB)
	orGroup(&o.Retransmission, RetransmissionGroup)
	orGroup(&o.Refresh, RefreshGroup)
	o.Lines.A.Exact, o.Lines.B.Exact = true, true
	o.Requests.Product, o.Requests.Channel = o.Product, o.Channel
	o.Play.defaults()
	if n := int(o.Linger / time.Duration(o.Play.HeartbeatNs)); o.Linger > 0 {
		o.Play.Ends = max(n, 1)
	}
	return o
}

// Validate reports all faults at once.
func (o Options) Validate() error {
	o = o.withDefaults()
	var errs []error
	if (o.Source == nil) == (o.Packets == nil) {
		errs = append(errs, errors.New("xdp: want either a source of messages or packets"))
	}
	if len(o.Failovers) > 0 && o.Source == nil {
		errs = append(errs, errors.New("xdp: recorded packets have the publisher that they had"))
	}
	if _, err := pace.Parse(o.Pace); err != nil {
		errs = append(errs, err)
	}
	errs = append(errs, o.Lines.Validate())
	if n := o.Play.PayloadBytes; n != 0 && (n < MinPayload || n > MaxPayload) {
		errs = append(errs, fmt.Errorf("xdp: packets of %d bytes, want %d to %d", n, MinPayload, MaxPayload))
	}
	for i, name := range o.Interfaces {
		if name == "lo" && o.TTL != 0 || o.TTL < 0 || o.TTL > 255 {
			errs = append(errs, fmt.Errorf("xdp: line %c: TTL %d on %s, want 0 on lo, else 0 to 255", 'A'+i, o.TTL, name))
		}
	}
	if o.Requests.Addr.IsValid() {
		errs = append(errs, o.Requests.Validate())
	}
	return errors.Join(errs...)
}
