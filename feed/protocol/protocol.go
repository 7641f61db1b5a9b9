// Package protocol is the registry of the protocols that tickwire speaks: what each is called, how it is recognised, cut and decoded, and what
// its books need. Commands, configuration and feeds ask here; a new venue is one folder in parsers and one entry here.
package protocol

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/parsers/mdp3"
)

// Protocol is one entry. Functions that are nil say that there is no such thing.
type Protocol struct {
	Name     string   // as --protocol and the configuration have it
	Title    string   // for people
	Versions []string // the first is the default
	Zone     string   // IANA name of the venue's time zone: its day begins there

	Publisher uint16 // DBN publisher of the venue's records
	Dataset   string
	Generated uint16 // publisher of generated records, never a venue's
	GenSet    string // their dataset

	Transports []string // what carries it: moldudp64, udp, tcp, binaryfile
	Recovery   []string // how what is missing comes back: re-request, glimpse, retransmission, refresh, snapshot, replay, resend

	// Framing cuts packets; nil for what comes by TCP.
	Framing session.Framing
	// Unnumbered says that packets have no numbers: Framing counts them, so it must be asked once a packet, and there can be no second line.
	Unnumbered bool
	// Request appends a request by UDP for count messages of a session from number first on, where the venue is asked that way. nil: MoldUDP64's,
	// or none.
	Request func(dst []byte, session [10]byte, first uint64, count int) []byte
	// New makes the decoder of one channel.
	New func(o Options) (pipeline.Decoder, error)
	// Product tells which of the venue's products a packet is of; empty: it does not say.
	Product func(payload []byte) string
	// Loop says that a packet is of a feed that repeats what is known already, for those who join late, on groups and with numbers of its own.
	Loop func(payload []byte) bool
	// Aside says that a packet is of a feed that says over and over what instruments are, on groups and with numbers of its own: the decoder takes its messages one by
	// one, beside those of its channel.
	Aside func(payload []byte) bool
	// Market tells which of the markets that share the protocol, and numbers of instruments, a packet is of; 0: it does not say.
	Market func(payload []byte) uint16
	// Records gives the publisher and dataset of the records of a market, 0: not known, and a product. nil: Publisher and Dataset are all there is.
	Records func(market uint16, product string) (publisher uint16, dataset string)
	// Channels says that a feed has several, whose instruments are apart.
	Channels bool
	// Books says what the venue's numbers need of books; BooksOf the same, where its products differ in that.
	Books   Books
	BooksOf func(product string) Books
	// Mends says that a row that empties a book, with FlagSnapshot, comes before the venue's whole state of the instrument: its book is to be
	// trusted again, whatever was lost before.
	Mends bool
	// Natural says that the venue numbers levels, so that price books come back from the stream itself in time, as far as they do (resync.Natural).
	Natural bool
	// Looks says whether a packet's payload is the protocol's: 0 no, 100 certain. Two protocols never claim the same packet with the same number.
	Looks func(payload []byte, to netip.AddrPort) int
	// Each calls fn with the messages of a packet for tickwire decode, until it returns false. An error says what in the packet is wrong, and
	// where; what came before it was given.
	Each func(payload []byte, version string, fn func(m Message) bool) error
}

// Options of a decoder.
type Options struct {
	Version string // one of Protocol.Versions, empty: the default
	Product string // which of the protocol's feeds: xdp: integrated, bbo, trades; iex: deep, tops; mdp3: both, mbp, mbo; empty: the first
	Prices  string // mdp3: PricesConventional (empty) or PricesWire
	// Definitions are mdp3's, shared by the decoders of a lane and of who rebuilds its books; nil: each has its own.
	Definitions *mdp3.Definitions
	Schema      string // mdp3: path of an SBE schema that is newer than the one built in
	Channel     uint8
	Market      uint16 // xdp: market_id that the channel is to be of; 0: any
}

// RecordsOf are the publisher and dataset of the records of a market, 0: not known, and a product.
func (p *Protocol) RecordsOf(market uint16, product string) (publisher uint16, dataset string) {
	if p.Records == nil {
		return p.Publisher, p.Dataset
	}
	return p.Records(market, product)
}

// Options.Prices: what mdp3's records have. Conventional prices are the wire's times DisplayFactor, which definitions tell; they must come first.
const (
	PricesConventional = "conventional"
	PricesWire         = "wire"
)

// Books is what a venue needs of package book.
type Books struct {
	Sparse bool // numbers of orders and instruments are any 64 and 32 bits: they are hashed
	Orders bool // it sends orders
	Prices bool // it sends price levels: mbp1 and mbp10 come from them
	// ZeroPrice says that 0 is a price like any other, as of a spread.
	ZeroPrice bool
	Depth     int // levels a side that the venue sends at most; 0: ten
}

// Message is one message for people and scripts: as it is on the wire, integers unscaled, padded text trimmed.
type Message struct {
	Sequence uint64
	Type     string // the venue's own letter, number or name
	Raw      []byte // valid for the call
	Fields   []byte // a JSON object, valid for the call
	// Err says what is wrong with the message; its neighbours are whole.
	Err error
}

// All are the entries, in the order in which they are told.
var All = []*Protocol{ITCH, XDP, MDP3, IEX, IEXTops, FIX}

// Find gives the protocol of a name. Case does not matter.
func Find(name string) (*Protocol, error) {
	for _, p := range All {
		if strings.EqualFold(p.Name, name) {
			return p, nil
		}
	}
	return nil, fmt.Errorf("protocol %q is unknown; known: %s", name, strings.Join(Names(), ", "))
}

// Names are the names of all.
func Names() []string {
	names := make([]string, len(All))
	for i, p := range All {
		names[i] = p.Name
	}
	return names
}

// Recognise tells the protocol of a packet by its bytes, nil: it is none of those that are known.
func Recognise(payload []byte, to netip.AddrPort) *Protocol {
	var best *Protocol
	most := 0
	for _, p := range All {
		if p.Looks == nil {
			continue
		}
		if n := p.Looks(payload, to); n > most {
			best, most = p, n
		}
	}
	return best
}
