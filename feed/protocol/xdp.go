package protocol

import (
	"net/netip"

	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/parsers/xdp"
	"github.com/tickwire/tickwire/tick"
)

// XDP is the equity feeds of the NYSE group: Integrated, BBO and Trades, in the older XDP and the Pillar layouts.
var XDP = &Protocol{
	Name: "xdp", Title: "NYSE XDP and Pillar: Integrated, BBO, Trades", Versions: versionsOf("2.5", xdp.Versions), Zone: "America/New_York",
	Publisher: tick.PublisherXNYS, Dataset: "XNYS.PILLAR", Generated: tick.PublisherSimXDP, GenSet: "SIM.XDP",
	Transports: []string{"udp"}, Recovery: []string{"retransmission", "refresh"},
	Framing: xdpFraming{}, Product: xdpProduct, Market: xdp.MarketIn, Records: xdpRecords, Channels: true,
	BooksOf: func(product string) Books {
		if product == xdp.BBO.String() || product == xdp.Trades.String() {
			return Books{Sparse: true, Prices: true}
		}
		return Books{Sparse: true, Orders: true}
	},
	New: func(o Options) (pipeline.Decoder, error) {
		return xdp.NewDecoder(xdp.Options{Version: o.Version, Product: o.Product, Market: o.Market})
	},
	Looks: func(payload []byte, _ netip.AddrPort) int { return xdp.Looks(payload) },
	Each: func(payload []byte, version string, fn func(Message) bool) error {
		return xdp.EachMessage(payload, version, each(fn))
	},
}

// versionsOf puts the default first.
func versionsOf(first string, all []string) []string {
	versions := []string{first}
	for _, v := range all {
		if v != first {
			versions = append(versions, v)
		}
	}
	return versions
}

// xdpFraming: the venue has no sessions; message 1 begins a channel anew, and refreshes are outside the sequence.
type xdpFraming struct{}

func (xdpFraming) Parse(p []byte) (h session.Header, blocks []byte, err error) {
	if first, count, sent, blocks, ok := xdp.Original(p); ok {
		h.Sequence, h.Count, h.Sent = uint64(first), uint16(count), sent
		return h, blocks, nil
	}
	x, blocks, err := xdp.ParsePacket(p)
	h = session.Header{Sequence: uint64(x.Sequence), Epoch: x.Epoch, Count: uint16(x.Count), Sent: x.SendNs()}
	switch x.Kind {
	case xdp.PacketData:
	case xdp.PacketHeartbeat:
		h.Kind = session.PacketHeartbeat
	case xdp.PacketReset:
		h.Kind = session.PacketReset
	default:
		h.Kind = session.PacketAside
	}
	return h, blocks, err
}

func (xdpFraming) Walk(blocks []byte, count int) (whole, used int) { return xdp.Walk(blocks, count) }

// xdpProduct tells a product by a type that only it has, or by the id in message 1.
func xdpProduct(payload []byte) string {
	h, blocks, err := xdp.ParsePacket(payload)
	if err != nil {
		return ""
	}
	for m, rest := xdp.Next(blocks); m != nil && h.Count > 0; m, rest = xdp.Next(rest) {
		switch t := xdp.Type(m); {
		case t == xdp.TypeSequenceNumberReset && len(m) > 12:
			if p := xdp.ProductOf(m[12]); p == xdp.Integrated || p == xdp.BBO || p == xdp.Trades {
				return p.String()
			}
		case t == xdp.TypeQuote:
			return xdp.BBO.String()
		case t >= xdp.TypeAddOrder && t < xdp.TypeQuote && t != xdp.TypeImbalance:
			return xdp.Integrated.String()
		case t >= 210 && t <= 222:
			return xdp.Trades.String()
		}
	}
	return ""
}

// xdpRecords are those of a market that its packets tell, and of NYSE where they do not.
func xdpRecords(market uint16, product string) (publisher uint16, dataset string) {
	m := xdp.MarketOf(market)
	if m == nil {
		m = &xdp.Markets[0]
	}
	p, _ := xdp.ParseProduct(product) // one that does not exist is refused by whoever makes the decoder
	return m.Records(p)
}
