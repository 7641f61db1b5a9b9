// Package symbols is a lane's instrument directory: what the venue has said about each instrument number of the day.
//
//	Definition ──► Define ──► entry ◄── Lookup(id)            entries stay where they are: a pointer is good until Reset
//	Status     ──► SetStatus ─┘   ▲
//	                              └──── BySymbol(text)
//
// Numbers are a venue's and a day's: the directory is filled from the day's own messages, never from another day's
// (ITCH 5.0, stock directory: locate codes). An instrument may be traded before it is defined; it then has an entry without a name, and
// gets the name when the definition comes. A later definition overwrites an earlier one; books are not concerned.
//
// A Directory belongs to one goroutine, the lane's. Lookup, SetStatus of a known instrument, and a definition that repeats the
// symbol do not allocate. Others see instruments through the shared-memory directory that the lane writes.
package symbols

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/tickwire/tickwire/tick"
)

// ErrFull says that a new instrument found no room; those that are there go on.
var ErrFull = errors.New("symbols: no room for another instrument")

const (
	direct     = 1 << 16 // instrument numbers below this are found in a table, others in a map
	chunkShift = 8
	chunkSize  = 1 << chunkShift
)

// Instrument is what is known about one. Callers read it and do not change it.
type Instrument struct {
	ID                uint32
	RoundLot          int32  // shares; 0: not known
	MinPriceIncrement int64  // 1e-9; tick.UndefPrice: not known
	Status            uint16 // tick.Status…: the latest state that a status told; 0: none came
	Publisher         uint16 // of the definition
	Class             byte   // DBN instrument class; 0: not defined
	Named             bool   // its definition has come
	Test              bool   // the venue's test security: prices are not real

	length uint8
	symbol [71]byte
}

// Symbol is the instrument's symbol, empty until it is named. The bytes are the directory's: copy them to keep them.
func (in *Instrument) Symbol() []byte { return in.symbol[:in.length] }

// Counters count what a Directory has met since Reset.
type Counters struct {
	Instruments uint64 // entries
	Defined     uint64 // definitions taken
	Renamed     uint64 // definitions that gave a named instrument another symbol
	Moved       uint64 // definitions whose symbol was another instrument's until then
	Refused     uint64 // instruments that found no room
}

// Directory holds the instruments of a lane. The zero value is not ready: use New.
type Directory struct {
	low      *[direct]uint32 // 1 + position of the entry; 0: none
	high     map[uint32]uint32
	bySymbol map[string]uint32
	chunks   []*[chunkSize]Instrument
	count    int
	limit    int
	counters Counters
}

// New makes an empty directory for at most limit instruments; 0 means 1<<20. Memory is taken as they come, about 110 bytes
// an instrument and 256 KiB for the table.
func New(limit int) (*Directory, error) {
	switch {
	case limit == 0:
		limit = 1 << 20
	case limit < 0 || limit > 1<<24:
		return nil, fmt.Errorf("symbols: limit %d, want 1 to %d (0: %d)", limit, 1<<24, 1<<20)
	}
	d := &Directory{low: new([direct]uint32), limit: limit}
	d.Reset()
	return d, nil
}

// Reset forgets everything: a new day. Pointers from before are stale.
func (d *Directory) Reset() {
	clear(d.low[:])
	d.high = make(map[uint32]uint32)
	d.bySymbol = make(map[string]uint32)
	d.chunks = nil
	d.count = 0
	d.counters = Counters{}
}

// Len is the number of instruments.
func (d *Directory) Len() int { return d.count }

// Counters returns a copy of the counters.
func (d *Directory) Counters() Counters {
	c := d.counters
	c.Instruments = uint64(d.count)
	return c
}

// Lookup gives an instrument's entry, or nil when nothing was ever said about it. Hot path.
func (d *Directory) Lookup(id uint32) *Instrument {
	var at uint32
	if id < direct {
		at = d.low[id]
	} else {
		at = d.high[id]
	}
	if at == 0 {
		return nil
	}
	return d.at(int(at - 1))
}

func (d *Directory) at(n int) *Instrument { return &d.chunks[n>>chunkShift][n&(chunkSize-1)] }

// See is Lookup that makes an entry without a name when there is none. It returns ErrFull when there is no room.
func (d *Directory) See(id uint32) (*Instrument, error) {
	if in := d.Lookup(id); in != nil {
		return in, nil
	}
	if d.count == d.limit {
		d.counters.Refused++
		return nil, ErrFull
	}
	if d.count>>chunkShift == len(d.chunks) {
		d.chunks = append(d.chunks, new([chunkSize]Instrument))
	}
	in := d.at(d.count)
	d.count++
	*in = Instrument{ID: id, MinPriceIncrement: tick.UndefPrice}
	if id < direct {
		d.low[id] = uint32(d.count)
	} else {
		d.high[id] = uint32(d.count)
	}
	return in, nil
}

// Define enters a definition, new or again, and returns the instrument. A symbol that was another instrument's is from now on
// this one's. It returns ErrFull when there is no room.
func (d *Directory) Define(def *tick.Definition) (*Instrument, error) {
	in, err := d.See(def.InstrumentID)
	if err != nil {
		return nil, err
	}
	d.counters.Defined++
	d.name(in, text(def.RawSymbol[:]))
	in.Publisher = def.PublisherID
	in.Class = def.InstrumentClass
	in.RoundLot = max(0, def.MinLotSizeRoundLot)
	if def.MinLotSizeRoundLot == tick.UndefDefinition.MinLotSizeRoundLot {
		in.RoundLot = 0
	}
	in.MinPriceIncrement = def.MinPriceIncrement
	in.Test = string(text(def.SecurityType[:])) == "TEST"
	return in, nil
}

// name gives the instrument its symbol.
func (d *Directory) name(in *Instrument, symbol []byte) {
	if in.Named && !bytes.Equal(in.Symbol(), symbol) {
		d.counters.Renamed++
		if d.bySymbol[string(in.Symbol())] == in.ID {
			delete(d.bySymbol, string(in.Symbol()))
		}
	}
	in.Named = true
	in.length = uint8(copy(in.symbol[:], symbol))
	if len(symbol) == 0 {
		return
	}
	was, taken := d.bySymbol[string(symbol)]
	if taken && was == in.ID {
		return
	}
	if taken {
		d.counters.Moved++
	}
	d.bySymbol[string(symbol)] = in.ID
}

// SetStatus notes an instrument's status action (tick.Status…), making an entry when there is none.
func (d *Directory) SetStatus(id uint32, action uint16) (*Instrument, error) {
	in, err := d.See(id)
	if err == nil {
		in.Status = action
	}
	return in, err
}

// BySymbol gives the instrument that was last defined under a symbol: 1 to 71 characters, without padding.
func (d *Directory) BySymbol(symbol string) (id uint32, ok bool) {
	id, ok = d.bySymbol[symbol]
	return id, ok
}

// Each calls fn with all instruments in the order in which they were first met, until it returns false.
func (d *Directory) Each(fn func(in *Instrument) bool) {
	for n := range d.count {
		if !fn(d.at(n)) {
			return
		}
	}
}

// text is a field of a record without its padding: zeros, or a venue's spaces.
func text(field []byte) []byte {
	if i := bytes.IndexByte(field, 0); i >= 0 {
		field = field[:i]
	}
	return bytes.TrimRight(field, " ")
}
