package protocol

import (
	"net/netip"

	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/parsers/iex"
	"github.com/tickwire/tickwire/tick"
)

// IEX is the order-by-order feed of the Investors Exchange, IEXTops its top of book and last sale. Both ride on IEX-TP, and a session is of one.
var (
	IEX = iexEntry(&Protocol{
		Name: "iex", Title: "IEX DEEP+ over IEX-TP", Versions: []string{"1.02"},
		Publisher: tick.PublisherIEXDeep, Dataset: "IEXG.DEEP", Generated: tick.PublisherSimIEX, GenSet: "SIM.IEX",
		Books: Books{Sparse: true, Orders: true},
	}, iex.ProtocolDEEPPlus)
	IEXTops = iexEntry(&Protocol{
		Name: "iex-tops", Title: "IEX TOPS 1.6 over IEX-TP", Versions: []string{"1.6"},
		Publisher: tick.PublisherIEXG, Dataset: "IEXG.TOPS", Generated: tick.PublisherSimIEXTops, GenSet: "SIM.IEXTOPS",
		Books: Books{Sparse: true, Prices: true},
	}, iex.ProtocolTOPS)
)

func iexEntry(p *Protocol, number uint16) *Protocol {
	p.Zone = "America/New_York"
	p.Transports, p.Recovery = []string{"iex-tp"}, []string{"gap fill"}
	p.Framing = iexFraming{number}
	p.Request = iexRequest
	p.New = func(Options) (pipeline.Decoder, error) { return iex.NewDecoder(number), nil }
	p.Looks = func(payload []byte, _ netip.AddrPort) int {
		if h, _, err := iex.Parse(payload); err != nil || h.Protocol != number {
			return 0
		}
		return iex.Looks(payload)
	}
	p.Each = func(payload []byte, _ string, fn func(Message) bool) error {
		return iex.EachMessage(payload, each(fn))
	}
	return p
}

// each adapts a parser's way of telling messages to the registry's.
func each(fn func(Message) bool) func(sequence uint64, typ string, raw, fields []byte, err error) bool {
	return func(sequence uint64, typ string, raw, fields []byte, err error) bool {
		return fn(Message{Sequence: sequence, Type: typ, Raw: raw, Fields: fields, Err: err})
	}
}

// iexFraming takes the segments of one protocol; those of the other are somebody else's.
type iexFraming struct{ protocol uint16 }

func (f iexFraming) Parse(p []byte) (h session.Header, blocks []byte, err error) {
	s, blocks, err := iex.Parse(p)
	h = session.Header{Session: s.ID(), Sequence: s.Sequence, Count: s.Count, Sent: s.Sent}
	switch {
	case s.Protocol != f.protocol:
		h.Kind = session.PacketAside
	case s.Count == 0:
		h.Kind = session.PacketHeartbeat
	}
	return h, blocks, err
}

func (iexFraming) Walk(blocks []byte, count int) (whole, used int) { return iex.Walk(blocks, count) }

// iexRequest asks for messages again by UDP; the answer comes to the address that asked.
func iexRequest(dst []byte, id [10]byte, first uint64, count int) []byte {
	return iex.AppendRequest(dst, id, first, first+uint64(min(count, iex.MostAsked))-1)
}
