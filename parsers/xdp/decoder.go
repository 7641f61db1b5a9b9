package xdp

import (
	"fmt"

	"github.com/tickwire/tickwire/tick"
)

// Options of a channel's decoder. The zero value takes Pillar 2.5 and whichever product message 1 names.
type Options struct {
	Version string // one of Versions. The default is 2.5
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

	SymbolGaps uint64 // symbol_seq_num was not the one that was due
	Doubts     uint64 // gaps of the channel that may have swallowed a message 2
	StopGap    uint64 // times of which the second is the publisher's, for want of a message 2
	Stale      uint64 // times of which the second is the last one known, for want of both
	Timeless   uint64 // rows with TsEvent UndefTime: no second was ever known
	OddTimes   uint64 // source_time_ns of a second or more: taken as its last nanosecond
	OtherFeed  uint64 // message 1 names another product than the one configured, which is kept
	Forgotten  uint64 // unmapped indexes that Unmapped does not tell, for there are too many

	ByType [256]uint64 // messages by type, refused ones included; larger numbers are in Unknown only
}

// Bounds of what a channel may make a decoder remember.
const (
	maxDense    = 1 << 18 // symbol indexes below are looked up in a table of 16 bytes each, as long as the largest one seen
	maxSparse   = 1 << 16 // … and from there on in a map of at most so many
	maxUnmapped = 1024    // slots of the set of unmapped indexes, three quarters of which are used
)

// symbol is what must be known to decode a symbol's messages. 16 bytes: four a cache line.
type symbol struct {
	scale  int64  // 1e-9 in one unit of its prices; 0: no message 3
	next   uint32 // symbol_seq_num that is due, 0: any
	system uint8  // matching engine, whose message 2 gives the second
	rpi    byte   // retail interest last told
	state  uint8
}

const suspect uint8 = 1 // messages of the symbol were lost

// Decoder makes rows of one channel's messages (pipeline.Decoder). It belongs to one goroutine.
type Decoder struct {
	c       Counters
	version Version
	option  Product // as configured
	product Product // what is decoded by

	plans [256]plan  // of the product's types that Append decodes itself
	need  [256]uint8 // bytes that a type needs, 0: the product does not have it
	tail  [2 * window]byte

	dense  []symbol
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
	d := &Decoder{version: version, option: product, sparse: make(map[uint32]*symbol)}
	d.become(product)
	return d, nil
}

// become sets what is decoded.
func (d *Decoder) become(p Product) {
	d.product = p
	for typ := range uint16(256) {
		m, ok := messages[typ]
		d.need[typ], d.plans[typ].need = 0, never
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
	d.midnight = midnight
	if d.product != d.option {
		d.become(d.option)
	}
}

// Counters is what happened since the decoder was made. The lane that owns it reads it.
func (d *Decoder) Counters() *Counters { return &d.c }

// Product is what the channel's messages are taken for.
func (d *Decoder) Product() Product { return d.product }

// Refused is how many messages could not be taken (pipeline.Decoder).
func (d *Decoder) Refused() uint64 { return d.c.Short + d.c.Contradict + d.c.Unmapped }

// Instruments calls fn with every mapped symbol index until it returns false.
func (d *Decoder) Instruments(fn func(id uint32) bool) {
	d.symbols(func(index uint32, _ *symbol) bool { return fn(index) })
}

// Suspects calls fn with every symbol index of which messages are known to be lost, by a jump of its symbol_seq_num or because they came before
// its mapping, until fn returns false. A symbol stays suspect until message 32 empties it or Cleared is called.
func (d *Decoder) Suspects(fn func(index uint32) bool) {
	d.symbols(func(index uint32, s *symbol) bool { return s.state&suspect == 0 || fn(index) })
}

// Cleared ends a symbol's suspicion: its book was made anew from a refresh as of lastSymbolSeq (message 35).
func (d *Decoder) Cleared(index, lastSymbolSeq uint32) {
	s := d.symbol(index)
	if s == &d.none {
		return
	}
	s.state &^= suspect
	s.next = max(s.next, lastSymbolSeq+1)
}

// Unmapped calls fn with symbol indexes that were met without a mapping and still have none, at most 768, until fn returns false: each is worth
// a message 13.
func (d *Decoder) Unmapped(fn func(index uint32) bool) {
	for _, index := range d.unmapped {
		if index != 0 && d.symbol(index).scale == 0 && !fn(index) {
			return
		}
	}
}

func (d *Decoder) symbols(fn func(index uint32, s *symbol) bool) {
	for i := range d.dense {
		if d.dense[i].scale != 0 && !fn(uint32(i), &d.dense[i]) {
			return
		}
	}
	for i, s := range d.sparse {
		if s.scale != 0 && !fn(i, s) {
			return
		}
	}
}

// symbol finds a symbol; none of scale 0 stands for those that are not there. Hot path.
func (d *Decoder) symbol(index uint32) *symbol {
	if uint64(index) < uint64(len(d.dense)) {
		return &d.dense[index]
	}
	return d.far(index)
}

func (d *Decoder) far(index uint32) *symbol {
	if s := d.sparse[index]; s != nil {
		return s
	}
	return &d.none
}

// enter makes room for a symbol, nil when there is none left. It allocates: an instrument is met for the first time.
func (d *Decoder) enter(index uint32) *symbol {
	if s := d.symbol(index); s != &d.none {
		return s
	}
	if index < maxDense {
		grown := make([]symbol, min(max(int(index)+1, 2*len(d.dense)), maxDense))
		copy(grown, d.dense)
		d.dense = grown
		return &d.dense[index]
	}
	if len(d.sparse) >= maxSparse {
		return nil
	}
	s := new(symbol)
	d.sparse[index] = s
	return s
}

// remember notes that an index was met without its mapping: a set of open addresses that forgets nothing before Start.
func (d *Decoder) remember(index uint32) {
	d.c.Unmapped++
	at := slot(index)
	for d.unmapped[at] != 0 {
		if d.unmapped[at] == index {
			return
		}
		at = (at + 1) % maxUnmapped
	}
	if d.nUnmapped >= maxUnmapped/4*3 {
		d.c.Forgotten++
		return
	}
	d.unmapped[at] = index
	d.nUnmapped++
}

// missed says that messages of an index were refused for want of a mapping.
func (d *Decoder) missed(index uint32) bool {
	for at := slot(index); d.unmapped[at] != 0; at = (at + 1) % maxUnmapped {
		if d.unmapped[at] == index {
			return true
		}
	}
	return false
}

func slot(index uint32) uint32 { return index * 2654435769 >> 22 } // the upper ten bits

const _ = uint(maxUnmapped-1<<10) * uint(1<<10-maxUnmapped) // slot gives ten bits

// track follows a symbol's own sequence. A number that is not the one due makes the symbol suspect, nobody else. Hot path.
func (d *Decoder) track(s *symbol, number uint32) {
	if number != s.next {
		d.jump(s)
	}
	s.next = number + 1
}

func (d *Decoder) jump(s *symbol) {
	if s.next != 0 {
		d.c.SymbolGaps++
		s.state |= suspect
	}
}

// String is for logs.
func (d *Decoder) String() string {
	return fmt.Sprintf("xdp %s version %s", d.product, d.version)
}

// SetSendTime tells the send_time of the packet that the next messages are of, ns since the Unix epoch. Without it times are as good as
// ever while message 2 comes; what has no time of its own (message 3) and what is in doubt (seconds after a gap) is better with it. Hot path.
func (d *Decoder) SetSendTime(ns uint64) { d.sendNs = ns }

// doubtful is the second to add ns to when message 2 of the engine is missing or may have been lost. The publisher's send_time is later than the
// engine's by less than a second, so where ns is far above its own the engine's second is the one before (sheet section 7).
func (d *Decoder) doubtful(system uint8, ns uint64) (base uint64) {
	if d.sendNs >= 2*second {
		d.c.StopGap++
		within := d.sendNs % second
		base = d.sendNs - within
		if ns > within+second/2 {
			base -= second
		}
		return base - uint64(d.lagSec)*second
	}
	if last := d.last[system]; last != 0 {
		d.c.Stale++
		return last
	}
	d.c.Timeless++
	return tick.UndefTime - ns
}

// now is the time of what has none of its own.
func (d *Decoder) now() uint64 {
	if d.sendNs != 0 {
		return d.sendNs - uint64(d.lagSec)*second
	}
	if d.newest != 0 {
		return d.newest
	}
	return d.midnight
}
