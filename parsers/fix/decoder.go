package fix

import (
	"fmt"
	"hash/maphash"
	"io/fs"

	"github.com/tickwire/tickwire/tick"
)

// Identity is what says which entry of a book an entry of an X is about.
type Identity uint8

// Identities. Auto takes the id (278) where MDBookType says orders, the level or the price where it says prices; where it says nothing, the id if the
// snapshot's entries, or without a snapshot the entry itself, have one, else the level (1023, 290) if there is one, else the price.
const (
	Auto    Identity = iota
	ByID             // rows are orders
	ByLevel          // rows are levels, found by number, or by price where an entry has no number
	ByPrice          // rows are levels, found by price; numbers are not looked at
)

// Options of a Decoder. The zero value works.
type Options struct {
	Version  string // of messages over FIXT.1.1 without ApplVerID; one of Versions. The default is FIX.5.0SP2
	Dir      fs.FS  // a folder with dictionaries in the place of those that are built in. The default is nil
	Identity Identity
	// SizeDecimals is how many decimals sizes have: they count in 10 to the power of - SizeDecimals. A size with more of them refuses its message.
	// The default is 0: whole units.
	SizeDecimals   int
	MaxMessage     int // bytes. The default is DefaultMaxMessage
	MaxInstruments int // of a day; a message of one more is refused. The default is 1<<20, some 400 bytes for each that is there
	MaxEntries     int // known by id at a time; a message with one more is refused. The default is 1<<20, some 110 bytes for each that was ever there at the same time as others
}

// Counters of a Decoder.
type Counters struct {
	Messages uint64 // whole ones, whatever became of them
	Refused  uint64 // of those: gave no row, and would have been about instruments
	Garbled  uint64 // bytes that are no message, once a place
	Other    uint64 // of types that have no rows
	Rejects  uint64 // of those: Y

	Groups    uint64 // refused: groups that are not as counted, or fields that stand where they cannot
	Versions  uint64 // refused: BeginString or ApplVerID not known
	Numbers   uint64 // refused: not a number, or out of range
	Digits    uint64 // refused: a price with more than 9 decimals
	Fractions uint64 // refused: a size with more decimals than SizeDecimals
	Fields    uint64 // refused: a field twice, missing, without meaning, a time that is none
	Unnamed   uint64 // refused: instrument not named, or named so that it may be several
	Full      uint64 // refused: more instruments or ids than there is room for

	Entries      uint64 // of W and X, those of refused messages left out
	UnknownTypes uint64 // entries of a type without a row: passed over
	UnknownIDs   uint64 // entries about an id that is not there: passed over, the instrument is lost until its next W
	Duplicates   uint64 // new entries of an id that is there: they replace it
	Empty        uint64 // bids and offers with size 0 that are known by id or price: taken as a deletion, in a W passed over
	PossDups     uint64 // messages with PossDupFlag, taken like others: that none is taken twice is the session's work; a recording may have some twice
	PartTrades   uint64 // trades without a price or a size: passed over
	SeqGaps      uint64 // RptSeq was not the one after the last: the instrument is lost until its next W
}

// Decoder turns messages into rows. Its methods are those of pipeline.Decoder. What it remembers: instruments by name, entries by id, each instrument's RptSeq.
//
//	W  Clear, then Level New or Add of each bid and offer       FlagSnapshot on all its rows
//	X  Level or Add, Modify, Replace, Delete of each
//	   trades: Trade; their deletion: Break; their change: Break, Trade
//	   opening, close, settlement, high, low, VWAP, volume, open interest, …: Statistics; imbalance: Imbalance; empty book: Clear
//	d y BK BP  Definition        f  Status
//
// Rows of one W or X have FlagMore but for the last one of each instrument. An instrument's first row is a Definition, of its symbol at least, and
// none of the event. A message becomes all of its rows or none: a number that cannot be read makes
// the whole message refused, since the entries after it may depend on it.
type Decoder struct {
	Counters Counters

	opts         Options
	dictionaries map[string]*Dictionary
	fix42, fix44 *Dictionary
	fixt         *Dictionary // of FIXT.1.1 without ApplVerID
	newest       *Dictionary

	m          Message
	md         MarketData
	list       SecurityList
	status     SecurityStatus
	found      []uint32
	in         instruments
	ids        ids
	number     uint64 // of the message among all
	losses     uint64 // see Losses
	seq        uint64 // of the message, as the caller counts
	done       int    // entries of it whose rows were given with an earlier batch
	unnumbered bool   // its levels are found by price, whatever their numbers
	flags      uint8  // of its rows
}

// NewDecoder makes a decoder. It fails where a dictionary cannot be read.
func NewDecoder(o Options) (*Decoder, error) {
	if o.Version == "" {
		o.Version = "FIX.5.0SP2"
	}
	if o.MaxMessage <= 0 {
		o.MaxMessage = DefaultMaxMessage
	}
	if o.MaxInstruments <= 0 {
		o.MaxInstruments = 1 << 20
	}
	if o.MaxEntries <= 0 {
		o.MaxEntries = 1 << 20
	}
	if o.SizeDecimals < 0 || o.SizeDecimals > 18 {
		return nil, fmt.Errorf("fix: sizes have 0 to 18 decimals, not %d", o.SizeDecimals)
	}
	d := &Decoder{opts: o}
	for _, v := range []struct {
		name string
		to   **Dictionary
	}{{"FIX.4.2", &d.fix42}, {"FIX.4.4", &d.fix44}, {"FIX.5.0SP2", &d.newest}, {o.Version, &d.fixt}} {
		var err error
		if o.Dir != nil {
			*v.to, err = LoadDir(o.Dir, v.name)
		} else {
			*v.to, err = Builtin(v.name)
		}
		if err != nil {
			return nil, err
		}
	}
	d.md.SizeDecimals = o.SizeDecimals
	d.in.most = o.MaxInstruments
	d.in.clear()
	d.ids = newIDs(o.MaxEntries)
	return d, nil
}

// Start begins a session: instruments are numbered anew, books are unknown. FIX says the date with each time, so midnight is not needed.
func (d *Decoder) Start(midnight uint64) {
	d.in.clear()
	d.ids.clear()
}

// Refused is how many messages could not be taken: what they said, and of which instruments, is not known.
func (d *Decoder) Refused() uint64 { return d.Counters.Refused + d.Counters.Garbled }

// StopsAtRefused says that Append stops behind a message that it refuses, and behind one that shows a loss.
func (d *Decoder) StopsAtRefused() {}

// Losses is how many times an instrument turned out to lack something that the venue had said (RptSeq, ids that are not there). Others are as they
// were; it is not counted again until its next W. Its rows have FlagMaybeBadBook from there on.
func (d *Decoder) Losses() uint64 { return d.losses }

// lose notes that an instrument lacks something.
func (d *Decoder) lose(x *instrument) {
	if !x.lost {
		x.lost = true
		d.losses++
	}
}

// Symbol is what an instrument is called in records, empty: there is no such number.
func (d *Decoder) Symbol(id uint32) string {
	if id == 0 || int(id) >= len(d.in.all) {
		return ""
	}
	return d.in.all[id].symbol
}

// Instruments calls fn with all of the day, until it returns false.
func (d *Decoder) Instruments(fn func(id uint32) bool) {
	for i := range d.in.all[1:] {
		if !fn(uint32(i + 1)) {
			return
		}
	}
}

// Lost calls fn with those whose book misses something since their last W, which only a new W mends: to be subscribed anew. Until it returns false.
func (d *Decoder) Lost(fn func(id uint32, symbol string) bool) {
	for i := range d.in.all[1:] {
		if x := &d.in.all[i+1]; x.lost && !fn(x.id, x.symbol) {
			return
		}
	}
}

// Append decodes whole messages, one after the other, from blocks into out, at most max of them; the first has number first. It stops before a
// message whose rows do not fit; those of one that would not fit an empty batch come in several: rows, and nothing used. It stops behind a message that
// it refuses or that shows a loss. Bytes that are no message are counted and stepped over. Hot path.
func (d *Decoder) Append(blocks []byte, first uint64, max int, out *tick.Batch) (used, messages int) {
	bad := d.Counters.Refused + d.losses
	for bad == d.Counters.Refused+d.losses && messages < max && used < len(blocks) && !out.Full() {
		skip, n, err := Frame(blocks[used:], d.opts.MaxMessage)
		if err != nil || n == 0 {
			d.Counters.Garbled++
			used += skip
			if err == nil { // what is left is not whole, and never will be
				used = len(blocks)
			}
			continue
		}
		if skip > 0 {
			d.Counters.Garbled++
		}
		if seq := first + uint64(messages); d.seq != seq {
			d.seq, d.done = seq, 0
		}
		if !d.message(blocks[used+skip:used+skip+n], out) {
			if skip > 0 {
				d.Counters.Garbled-- // it will be seen again
			}
			return used, messages
		}
		used += skip + n
		messages++
	}
	return used, messages
}

// message decodes one; false: it does not fit.
func (d *Decoder) message(raw []byte, out *tick.Batch) bool {
	d.number++
	d.flags = 0
	err := d.parse(raw)
	fits := true
	if err == nil {
		switch string(d.m.MsgType()) {
		case "W", "X":
			fits, err = d.market(out)
		case "d", "y", "BK", "BP":
			fits, err = d.definitions(out)
		case "f":
			fits, err = d.tradingStatus(out)
		case "Y":
			d.Counters.Rejects++
			d.Counters.Other++
		default:
			d.Counters.Other++
		}
	}
	if !fits {
		return false
	}
	d.done = 0
	d.Counters.Messages++
	d.countPossDup()
	if err != nil {
		d.refuse(err)
	}
	return true
}

func (d *Decoder) countPossDup() {
	for i, f := range d.m.Fields[:d.m.body] {
		if f.Tag == TagPossDupFlag && string(d.m.Value(i)) == "Y" {
			d.Counters.PossDups++
		}
	}
}

// parse reads a message by its version's dictionary.
func (d *Decoder) parse(raw []byte) error {
	begin := raw[len("8="):min(len(raw), len("8=FIXT.1.1|"))]
	switch {
	case string(begin[:8]) == "FIX.4.2\x01":
		return d.m.Parse(raw, d.fix42)
	case string(begin[:8]) == "FIX.4.4\x01", string(begin[:8]) == "FIX.4.3\x01":
		return d.m.Parse(raw, d.fix44)
	case string(begin) == "FIXT.1.1\x01":
	default:
		return errVersion
	}
	by := d.fixt
	err := d.m.Parse(raw, by)
	if err != nil && d.m.fault.Reason == ReasonGarbled {
		return err
	}
	for i := 3; i < d.m.body; i++ {
		if d.m.Fields[i].Tag != TagApplVerID {
			continue
		}
		switch string(d.m.Value(i)) {
		case "4":
			by = d.fix42
		case "5", "6":
			by = d.fix44
		case "7", "8", "9":
			by = d.newest
		default:
			return errVersion
		}
	}
	if by != d.fixt {
		return d.m.Parse(raw, by)
	}
	return err
}

// What the decoder refuses beyond what reading does.
var (
	errVersion   = fmt.Errorf("fix: version of the message is not known")
	errAmbiguous = fmt.Errorf("fix: instrument is named so that it may be several")
	errFull      = fmt.Errorf("fix: more instruments or ids than there is room for, or an id of more than 48 bytes")
)

func (d *Decoder) refuse(err error) {
	c := &d.Counters
	c.Refused++
	switch err {
	case errVersion:
		c.Versions++
	case ErrNumber, ErrRange, ErrNegative:
		c.Numbers++
	case ErrFraction:
		c.Fractions++
	case ErrDigits:
		c.Digits++
	case errAmbiguous, ErrUnnamed:
		c.Unnamed++
	case errFull:
		c.Full++
	case ErrTwice, ErrMissing, ErrValue, ErrTime, ErrWrongMsg:
		c.Fields++
	default:
		c.Groups++
	}
}

// resolve finds the instruments of a message.
func (d *Decoder) resolve(all []Instrument) error {
	d.found = d.found[:0]
	for i := range all {
		if symbol := symbolOf(&all[i]); i > 0 && len(symbol) > 0 && string(symbol) == string(symbolOf(&all[i-1])) && all[i].bare() && all[i-1].bare() {
			d.found = append(d.found, d.found[i-1])
			continue
		}
		id := d.in.find(&all[i])
		if id == 0 {
			if len(d.in.all) > d.in.most {
				return errFull
			}
			return errAmbiguous
		}
		d.found = append(d.found, id)
	}
	return nil
}

// fits says whether rows and those of side tables are to be made now, and whether all have room, with a definition of each instrument that is not told yet.
// What not even an empty batch has room for is taken when the batch is empty, a batch at a time: Append then gives rows and says that it used nothing, until the
// last ones.
func (d *Decoder) fits(out *tick.Batch, rows, side int) (now, whole bool) {
	for _, id := range d.found {
		if !d.in.all[id].told {
			rows, side = rows+1, side+1
		}
	}
	s := &out.Sides
	whole = out.N+rows <= tick.MaxRows && max(s.Definitions, s.Statuses, s.Statistics, s.Imbalances)+side <= tick.MaxSideRows
	return whole || out.N == 0, whole
}

// hasRoom says whether the rows of one more entry have room: its instrument's definition, and two.
func hasRoom(out *tick.Batch) bool {
	s := &out.Sides
	return out.N+3 <= tick.MaxRows && max(s.Definitions, s.Statistics, s.Imbalances) < tick.MaxSideRows
}

// row adds one with nothing in it. chained ones are an instrument's event: all but the last of a message have FlagMore. Hot path.
func (d *Decoder) row(out *tick.Batch, x *instrument, ts uint64, kind tick.Kind, chained bool) int {
	i := out.N & tick.RowMask
	out.N++
	out.Kind[i], out.Sub[i], out.Side[i], out.Flags[i] = kind, 0, tick.SideNone, d.flags
	if x.lost {
		out.Flags[i] |= tick.FlagMaybeBadBook
	}
	out.Instrument[i], out.TsEvent[i], out.Sequence[i] = x.id, ts, d.seq
	out.OrderID[i], out.Aux[i], out.Price[i], out.Size[i] = 0, 0, tick.UndefPrice, 0
	if chained {
		if x.message == d.number {
			out.Flags[x.row] |= tick.FlagMore
		}
		x.message, x.row = d.number, i
	}
	return i
}

func (d *Decoder) hashOf(request []byte) uint64 { return maphash.Bytes(d.ids.seed, request) | 1 }
