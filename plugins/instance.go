package plugins

import (
	"github.com/tickwire/tickwire/tick"
)

// Directory is where symbols come from. It is asked from the goroutine that owns the instance.
type Directory interface {
	// Symbol of an instrument as the venue has it, without padding; nil: not known. The bytes are only read, before the next call.
	Symbol(instrument uint32) []byte
}

// Env is what an instance sees of the world.
type Env struct {
	Params    []byte                                      // as Manifest.Values gives them; nil: the defaults
	Directory Directory                                   // nil: no symbols
	Define    func(instrument uint32, symbol []byte) bool // import `define` of parsers, nil: refused. The bytes are valid during the call
	Publisher uint16                                      // column publisher_id
	Lane      bool                                        // the limits of a lane, else those of calls elsewhere
	Now       uint64                                      // time until the first call, ns since the Unix epoch
}

// Instance is a running plugin. It belongs to one goroutine. Calls do not allocate.
//
// A call that fails returns a *Failure; the instance is dead then (Dead) and its owner closes it and makes another one. Nothing of the call was taken.
type Instance struct {
	Now uint64 // what import `now` says, ns since the Unix epoch; the owner sets it

	plugin *Plugin
	dead   bool
}

// Sides are the columns that a chain has beside a batch's.
type Sides struct {
	Custom  [4]*[tick.MaxRows]uint64 // custom columns: int64, float64 or uint64 as bits, by number of CustomColumns
	Verdict *[tick.MaxRows]Verdict
	Reason  *[tick.MaxRows]Reason // why a verdict is not Keep
}

// Verdict on a row.
type Verdict uint8

// Verdicts. Those other than Keep carry F_PUBLISHER_SPECIFIC.
const (
	Keep     Verdict = 0
	Refused  Verdict = 1 // published, since it changed a book
	Flagged  Verdict = 2
	Bypassed Verdict = 3 // a plugin did not handle the row: it failed, or is out
	Dropped  Verdict = 4 // refused, and not to be published
)

// Reason of a verdict: the stage, and its reason's index.
type Reason uint16

// Stage of the chain that gave the verdict.
func (r Reason) Stage() int { return int(r >> 8) }

// Index into its `reasons`; of a bypassed row a Bypass… code.
func (r Reason) Index() int { return int(r & 0xff) }

// Plugin that it is an instance of.
func (i *Instance) Plugin() *Plugin { return i.plugin }

// Dead says that a call failed, so that further ones return ErrDead.
func (i *Instance) Dead() bool { return i.dead }

// Rows that a unit takes in a call, at most.
func (i *Instance) Rows(unit int) int { return 0 }

// Column is a view of a column in the plugin's memory: Rows times the stride, nil: its layout has none. Calls of kinds that do not work on batches take their
// arguments from there and leave results there. Valid until Close; to be written and read between calls only.
func (i *Instance) Column(unit int, id uint16) (view []byte, stride int) { return nil, 0 }

// Transform lets a unit change rows from … from+n-1 of a batch.
func (i *Instance) Transform(unit int, b *tick.Batch, from, n int, s *Sides) error { return ErrDead }

// Validate lets a unit judge rows from … from+n-1. It returns how many it did not keep.
func (i *Instance) Validate(unit int, b *tick.Batch, from, n int, s *Sides) (int, error) {
	return 0, ErrDead
}

// Function computes column 768 from columns 512 and on, n rows.
func (i *Instance) Function(unit, n int) error { return ErrDead }

// AggStart makes empty states of groups in the unit's Out.
func (i *Instance) AggStart(unit, groups int) error { return ErrDead }

// AggUpdate adds n rows of columns 512 and on to the states in Out, by column 527.
func (i *Instance) AggUpdate(unit, n, groups int) error { return ErrDead }

// AggMerge adds the states in In to those in Out.
func (i *Instance) AggMerge(unit, groups int) error { return ErrDead }

// AggResult computes column 768 from the states in Out.
func (i *Instance) AggResult(unit, groups int) error { return ErrDead }

// In is a view of the unit's bytes in, Out of its bytes out.
func (i *Instance) In(unit int) []byte  { return nil }
func (i *Instance) Out(unit int) []byte { return nil }

// Framing of a packet: ABI.md, parser.
type Framing struct {
	Sequence uint64
	Count    uint32
	Kind     uint32 // Frame…
	At       int    // where the messages begin
	Session  [10]byte
}

// Kinds of packet.
const (
	FrameMessages  = 0
	FrameHeartbeat = 1
	FrameEnd       = 2
	FrameBeside    = 3
)

// HasFrame says that the plugin reads framing; without it packets are messages of their own.
func (i *Instance) HasFrame() bool { return false }

// Frame reads the framing of a packet.
func (i *Instance) Frame(unit int, packet []byte) (Framing, error) { return Framing{}, ErrDead }

// Looks says how sure a parser is that a packet is of its protocol: 0 to 100, 0 too if it does not say.
func (i *Instance) Looks(unit int, packet []byte) (int, error) { return 0, ErrDead }

// Start tells a parser that a session begins, midnight in ns since the Unix epoch.
func (i *Instance) Start(unit int, midnight int64) error { return ErrDead }

// Parse appends the rows of a packet's messages to b, which must have room for Rows(unit) more. It returns how many.
func (i *Instance) Parse(unit int, messages []byte, first uint64, count int, b *tick.Batch) (int, error) {
	return 0, ErrDead
}

// Begin gives a serializer's bytes before the first batch, End after the last one; both are valid until the next call.
func (i *Instance) Begin(unit int) ([]byte, error) { return nil, ErrDead }
func (i *Instance) End(unit int) ([]byte, error)   { return nil, ErrDead }

// Serialize gives the bytes of rows from … from+n-1, valid until the next call. s may be nil.
func (i *Instance) Serialize(unit int, b *tick.Batch, from, n int, s *Sides) ([]byte, error) {
	return nil, ErrDead
}

// TypeOp is what tw_type does.
type TypeOp int

// Operations on a type: ABI.md, type.
const (
	TypeValidate  TypeOp = 0
	TypeNormalise TypeOp = 1
	TypeParse     TypeOp = 2
	TypeFormat    TypeOp = 3
	TypeCompare   TypeOp = 4
	TypeHash      TypeOp = 5
)

// Type does op on n rows of the unit's columns.
func (i *Instance) Type(unit int, op TypeOp, n int) error { return ErrDead }

// Encode compresses n values in column 512, decodes them again and compares. The bytes are valid until the next call.
func (i *Instance) Encode(unit, n int) ([]byte, error) { return nil, ErrDead }

// Decode fills column 768 from what Encode gave, and says how many values there are.
func (i *Instance) Decode(unit int, block []byte) (int, error) { return 0, ErrDead }

// Range of rows: from, and the one behind the last.
type Range struct{ From, To uint32 }

// IndexBuild makes an index of n values in column 512 and checks a sample of them. The bytes are valid until the next call.
func (i *Instance) IndexBuild(unit, n int) ([]byte, error) { return nil, ErrDead }

// IndexProbe appends to dst the ranges of rows that may have values within least and greatest, which are as wide as column 513.
func (i *Instance) IndexProbe(unit int, index, least, greatest []byte, dst []Range) ([]Range, error) {
	return dst, ErrDead
}

// IndexAdvise says which of its strategies suits n values in column 512.
func (i *Instance) IndexAdvise(unit, n int) (int, error) { return 0, ErrDead }

// Partition gives the keys of rows from … from+n-1, valid until the next call.
func (i *Instance) Partition(unit int, b *tick.Batch, from, n int) ([]uint64, error) {
	return nil, ErrDead
}

// Health asks whether all is in order; without tw_health it is.
func (i *Instance) Health() error { return ErrDead }

// Save gives the state to carry over a reload, nil: the plugin has none. Valid until the next call.
func (i *Instance) Save() ([]byte, error) { return nil, ErrDead }

// Restore hands over what an instance of another version saved; without tw_restore nothing happens.
func (i *Instance) Restore(state []byte) error { return ErrDead }

// Shutdown lets the plugin end in good order. Close comes after it.
func (i *Instance) Shutdown() error { return ErrDead }

// Close frees the instance. Views of its memory are gone then.
func (i *Instance) Close() error { return nil }
