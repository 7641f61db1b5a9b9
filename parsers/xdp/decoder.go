package xdp

import "github.com/tickwire/tickwire/tick"

// Options of a channel's decoder. The zero value takes Pillar 2.5 and whichever product message 1 names.
type Options struct {
	Version string // one of Versions. The default is 2.5
	Market  uint16 // market_id that mappings ought to name; 0: any. Others are decoded and counted (OtherMarket)
	Product string // integrated, bbo or trades. The default is what message 1 says; before it all three, whose types have different numbers
}

// Counters of one channel, plain words that belong to the lane. Those marked * are in Refused.
type Counters struct {
	Messages   uint64 // seen, whatever became of them
	Unknown    uint64 // of a type that the product does not have: stepped over
	Short      uint64 // * shorter than the fields that are needed
	Contradict uint64 // * index 0, a scale beyond 1e-9, second 0
	Unmapped   uint64 // * of a symbol index without message 3: no scale, so no price
	NoRow      uint64 // known, and nothing to publish: control, requests, prior-day and fractional trades
	NotPrinted uint64 // message 110 that did not go to the tape: part of a cross, or none of the tape's business

	SymbolGaps  uint64 // symbol_seq_num was not the one that was due
	LateMaps    uint64 // symbols mapped after messages of theirs had been refused
	Doubts      uint64 // gaps of the channel that may have swallowed a message 2
	StopGap     uint64 // times of which the second is the publisher's, for want of a message 2
	Stale       uint64 // times of which the second is the last one known, for want of both
	Timeless    uint64 // rows with TsEvent UndefTime: no second was ever known
	OddTimes    uint64 // source_time_ns of a second or more: taken as its last nanosecond
	OtherMarket uint64 // messages 3 of another market than the one configured
	OtherFeed   uint64 // message 1 names another product than the one configured, which is kept
	Forgotten   uint64 // unmapped indexes that Unmapped does not tell, for there are too many

	ByType [256]uint64 // messages by type, refused ones included; larger numbers are in Unknown only
}

// Decoder makes rows of one channel's messages (pipeline.Decoder). It belongs to one goroutine.
type Decoder struct {
	c       Counters
	version Version
	option  Product // as configured
	product Product // what is decoded by
	market  uint16  // as configured
	other   uint16  // the market that OtherMarket counted last

	plans [256]plan  // of the product's types that Append decodes itself
	need  [256]uint8 // bytes that a type needs, 0: the product does not have it
	tail  [2 * window]byte

	dense []symbol

	asked   *tick.Batch // the batch that was looked at last …
	spreads bool        // … and whether assembly may write it

	sparse map[uint32]*symbol
	none   symbol // stands for symbols that are not mapped

	base   [256]uint64 // second of each matching engine, ns since the Unix epoch; 0: not known, or in doubt
	last   [256]uint64 // the same, doubtful or not
	newest uint64      // largest of last
	sendNs uint64      // the packet's send_time, 0: not told
	lagSec int64       // send_time minus source_time, when they are of different days: a replay in a lab

	midnight   uint64
	due        uint64 // channel sequence number that is due, 0: any
	refreshing bool

	unmapped  [maxUnmapped]uint32
	nUnmapped int

	doubted  [maxDoubted]uint32
	nDoubted int
	nameless uint64 // Short and Contradict when doubts were last taken
}

// NewDecoder makes the decoder of one channel.
func NewDecoder(o Options) (*Decoder, error) {
	version, err := ParseVersion(o.Version)
	if err != nil {
		return nil, err
	}
	product, err := ParseProduct(o.Product)
	if err != nil {
		return nil, err
	}
	d := &Decoder{version: version, option: product, market: o.Market, sparse: make(map[uint32]*symbol)}
	d.become(product)
	return d, nil
}

// become sets what is decoded.
func (d *Decoder) become(p Product) {
	d.product = p
	for typ := range uint16(256) {
		m, ok := messages[typ]
		d.need[typ], d.plans[typ] = 0, plan{need: never}
		if ok && m.of(p) {
			d.need[typ], d.plans[typ] = uint8(m.need), planOf(typ, d.version)
		}
	}
}

// Start begins a day: symbols, seconds, and what message 1 said of the product are void.
func (d *Decoder) Start(midnight uint64) {
	clear(d.dense)
	clear(d.sparse)
	clear(d.unmapped[:])
	d.nUnmapped = 0
	d.base, d.last, d.newest, d.lagSec = [256]uint64{}, [256]uint64{}, 0, 0
	d.due = 0
	d.nDoubted = 0
	d.midnight = midnight
	if d.product != d.option {
		d.become(d.option)
	}
}

// Counters is what happened since the decoder was made. The lane that owns it reads it.
func (d *Decoder) Counters() *Counters { return &d.c }

// Product is what the channel's messages are taken for.
func (d *Decoder) Product() Product { return d.product }

// OtherMarket is the market_id that Counters.OtherMarket counted last. As Counters, for the lane that owns the decoder.
func (d *Decoder) OtherMarket() uint16 { return d.other }

// Refused is how many messages could not be taken (pipeline.Decoder): those marked in Counters. Other symbols than the ones that Suspects and
// Unmapped tell are whole.
func (d *Decoder) Refused() uint64 { return d.c.Short + d.c.Contradict + d.c.Unmapped }
