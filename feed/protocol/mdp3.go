package protocol

import (
	"fmt"
	"net/netip"

	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/parsers/mdp3"
	"github.com/tickwire/tickwire/tick"
)

// MDP3 is CME's market data: price books, order books, or both on one feed.
var MDP3 = &Protocol{
	Name: "mdp3", Title: "CME MDP 3.0", Versions: versionsOf(mdp3.Versions[len(mdp3.Versions)-1], mdp3.Versions), Zone: "America/Chicago",
	Publisher: tick.PublisherGLBX, Dataset: "GLBX.MDP3", Generated: tick.PublisherSimMDP3, GenSet: "SIM.MDP3",
	Transports: []string{"udp"}, Recovery: []string{"snapshot loops", "replay", "natural refresh"},
	Framing: mdp3Framing{}, Channels: true, Loop: mdp3Loop, Aside: mdp3Aside, Natural: true,
	BooksOf: func(product string) Books {
		return Books{Sparse: true, Orders: product != "mbp", Prices: product != "mbo", ZeroPrice: true}
	},
	New: func(o Options) (pipeline.Decoder, error) {
		feed, ok := map[string]mdp3.Feed{"": mdp3.FeedBoth, "both": mdp3.FeedBoth, "mbp": mdp3.FeedMBP, "mbo": mdp3.FeedMBO}[o.Product]
		if !ok {
			return nil, fmt.Errorf("mdp3: product %q is none of both, mbp, mbo", o.Product)
		}
		prices, ok := map[string]mdp3.Prices{"": mdp3.PricesConventional, PricesConventional: mdp3.PricesConventional, PricesWire: mdp3.PricesWire}[o.Prices]
		if !ok {
			return nil, fmt.Errorf("mdp3: prices %q are none of %s, %s", o.Prices, PricesConventional, PricesWire)
		}
		return mdp3.NewDecoder(mdp3.Options{Schema: o.Schema, Feed: feed, Prices: prices, Definitions: o.Definitions, Channel: uint16(o.Channel)})
	},
	Looks: func(payload []byte, _ netip.AddrPort) int { return mdp3.Looks(payload) },
	Each: func(payload []byte, version string, fn func(Message) bool) error {
		return mdp3.EachMessage(payload, version, each(fn))
	},
}

// mdp3Framing: a packet is one unit of the sequence, whatever it holds.
type mdp3Framing struct{}

func (mdp3Framing) Parse(p []byte) (h session.Header, blocks []byte, err error) {
	m, blocks, err := mdp3.ParsePacket(p)
	h = session.Header{Sequence: uint64(m.Sequence), Count: 1, Sent: m.SendingTime}
	if m.Reset != 0 {
		h.Kind, h.Epoch = session.PacketReset, m.Reset
	}
	return h, blocks, err
}

func (mdp3Framing) Walk(blocks []byte, count int) (whole, used int) { return mdp3.Walk(blocks, count) }

// mdp3Aside: the instrument replay feed.
func mdp3Aside(payload []byte) bool {
	_, body, err := mdp3.ParsePacket(payload)
	if err != nil {
		return false
	}
	m, size := mdp3.Next(body)
	return size != 0 && mdp3.Replayed(m)
}

// mdp3Loop: a snapshot is of a moment that the incremental feed is past. Definitions, which repeat too, are Aside.
func mdp3Loop(payload []byte) bool {
	_, body, err := mdp3.ParsePacket(payload)
	if err != nil {
		return false
	}
	m, size := mdp3.Next(body)
	if size == 0 {
		return false
	}
	switch m.Template() {
	case mdp3.SnapshotFullRefresh, mdp3.OldSnapshotFullRefresh, mdp3.SnapshotFullRefreshLongQty, mdp3.SnapshotFullRefreshOrderBook,
		mdp3.OldSnapshotFullRefreshOrderBook:
		return true
	}
	return false
}
