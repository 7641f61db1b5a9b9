package ringbuf

import (
	"unsafe"

	"github.com/tickwire/tickwire/tick"
)

// A ring file is one header page, then N slots, N a power of two. Offsets in bytes; every line pair (128 B) below has
// one writer, so that no two cores fight over it. ABI.md says the same with more words.
//
//	0          identity, written once before the file gets its name
//	256        session, written when a producer starts and stops        (seqlock: intent, fields, epoch)
//	384        progress, written by the lane once a pass
//	512        liveness, written by a housekeeping thread
//	640        counters, written by the lane, read for display only
//	768        reserved, zero
//	slotsOff   slot 0 … slot N−1, each: number u64, payload
//
// slotsOff is 4096, or 2 MiB where the ring lies on huge pages.
//
// Invariants:
//
//  1. Readers store nothing.
//  2. Record n lies in slot n mod N. The slot's number is n once the record is whole, and n−1 while it is written.
//  3. A copy counts only if the number was n before and after it.
//  4. Numbers start at N (slot i holds i at birth) and a restart of the producer skips exactly N of them, so the number
//     decides the epoch of a record.
//  5. The session's fields hold for its epoch when intent = epoch.
const (
	ringMagic    = "TWRING01"
	abiMajor     = 1
	abiMinor     = 2 // 1: state 6, stamps; 2: kind 7
	headerBytes  = 4096
	byteOrder    = 0x01020304 // as a native u32
	dbnVersion   = 3
	nameBytes    = 48
	datasetBytes = 16

	offMagic       = 0
	offMajor       = 8  // u16
	offMinor       = 10 // u16
	offHeaderBytes = 12 // u32
	offByteOrder   = 16 // u32
	offSlotBytes   = 20 // u32
	offSlots       = 24 // u64
	offSlotsOffset = 32 // u64
	offFileBytes   = 40 // u64
	offSchema      = 48 // u16
	offDBNVersion  = 50 // u8
	offKind        = 51 // u8
	offPublisher   = 52 // u16
	offChannel     = 54 // u16
	offCreated     = 56 // u64, ns since the Unix epoch
	offUUID        = 64 // u8[16]
	offName        = 80 // char[48]
	offDataset     = 128
	offRingFlags   = 144 // u32, flagGated

	offEpochIntent = 256
	offEpoch       = 264
	offFirst       = 272 // first number of this epoch
	offStartMono   = 280 // ns, CLOCK_MONOTONIC
	offRealOffset  = 288 // ns, realtime − monotonic at start
	offPID         = 296 // u32
	offState       = 300 // u32
	offBootID      = 304 // u8[16]
	offUnused      = 320 // numbers that restarts skipped since the ring was made
	offNextFirst   = 328 // redo: what offFirst becomes when intent is stored
	offNextUnused  = 336 // redo: what offUnused becomes

	offCursor   = 384 // a number already published: a lower bound
	offCursorTs = 392 // ts_recv of that record

	offHeartbeat = 512 // ns, CLOCK_MONOTONIC
	offDoorbell  = 520 // u32, futex word
	offStamps    = 524 // u32, who gave ts_recv lately

	offCounters = 640

	flagGated = 1 // the producer waits for one reader: a private ring of an offline command

	slotHeadBytes = 8
	minSlots      = 1024
	minTestSlots  = 4
	maxSlots      = 1 << 40
	hugeBytes     = 2 << 20
)

// State of a ring's producer.
type State uint32

// States.
const (
	StateInitialising State = 0
	StateRunning      State = 1
	StateFeedDown     State = 2 // producer alive, its input is silent
	StateStopped      State = 3 // stopped cleanly
	StateFailed       State = 4
	StateReplaced     State = 5 // a new file has the name: open it again
	StateRecovering   State = 6 // producer alive, numbers are missing and were asked for: what comes next waits for them
)

func (s State) String() string {
	names := [...]string{"initialising", "running", "feed down", "stopped", "failed", "replaced", "recovering"}
	if int(s) < len(names) {
		return names[s]
	}
	return "unknown"
}

// Alive says that a producer in this state runs, whatever its input does; whether it still does tells its heartbeat.
func (s State) Alive() bool {
	return s == StateRunning || s == StateFeedDown || s == StateRecovering
}

// Counters of a producer, at offCounters in this order. For display: written by the lane without any order among them.
type Counters struct {
	Records       uint64 // published in this epoch
	Packets       uint64 // input packets
	Gaps          uint64
	BadTimestamps uint64 // records with tick.FlagBadTsRecv
	PluginBypass  uint64 // passes that went without a plugin
	LastGap       uint64 // venue sequence of the last gap
}

// Mbp1Slot is the payload of the mbp1 ring, 120 bytes.
type Mbp1Slot struct {
	tick.Mbp1
	TsPublish uint64    // ns since the Unix epoch, when the lane published
	Plugin    [4]uint64 // columns that plugins computed: int64 or float64, as the plugin declared them
}

// TradeSlot is the payload of the trades ring, 56 bytes.
type TradeSlot struct {
	tick.Trade
	MatchID uint64 // venue's match or execution id, 0: none
}

// Mbp10Slot is the payload of the mbp10 ring, 504 bytes.
type Mbp10Slot struct {
	tick.Mbp10
	TsPublish uint64
	_         [128]byte
}

// CbboSlot is the payload of the cbbo ring, 504 bytes: the best prices across venues, and what each venue has.
//
//	0              80            88      89    90     91      96                       480          504
//	+--------------+-------------+-------+-----+------+-------+------------------------+------------+
//	| tick.Cmbp1   | ts_publish  | venues| live| stale|       | 8 × VenueQuote, 48     |            |
//	+--------------+-------------+-------+-----+------+-------+------------------------+------------+
type CbboSlot struct {
	tick.Cmbp1
	TsPublish uint64 // ns since the Unix epoch
	Venues    uint8  // quotes that are filled in
	Live      uint8  // of them, those that the best prices are taken from
	Stale     uint8  // of them, those that have not changed for longer than they may
	_         [5]byte
	Quotes    [MaxVenues]VenueQuote
	_         [24]byte
}

// MaxVenues is how many venues a consolidated record shows.
const MaxVenues = 8

// VenueQuote is what one venue contributes, 48 bytes.
type VenueQuote struct {
	BidPx     int64 // 1e-9, UndefPrice: none
	AskPx     int64
	BidSz     uint32
	AskSz     uint32
	TsRecv    uint64 // of its last change, ns since the Unix epoch
	Slot      uint64 // number of that change in the venue's mbp1 ring
	Publisher uint16
	State     VenueState
	_         [5]byte
}

// VenueState says what a venue's quote is worth.
type VenueState uint8

// States of a venue's quote. Only live ones make the best prices.
const (
	VenueNone    VenueState = iota // the venue has said nothing of this instrument yet
	VenueLive                      // it is what the venue shows now
	VenueStale                     // it has not changed for longer than it may
	VenueSuspect                   // the venue's book is suspect after a loss
	VenueHalted                    // trading is halted there
	VenueSilent                    // nothing comes from the venue: its lines are silent, or its feed has stopped or died
)

func (s VenueState) String() string {
	return [...]string{"none", "live", "stale", "suspect", "halted", "silent"}[min(s, VenueSilent)]
}

// EventSlot is the payload of the events ring, 120 bytes: one status, imbalance, statistics or gap record, zeros after
// it. It is made of words so that the record in it is aligned.
type EventSlot struct{ words [15]uint64 }

// A layout whose size differs either way does not compile.
const (
	_ = 120 - unsafe.Sizeof(Mbp1Slot{})
	_ = unsafe.Sizeof(Mbp1Slot{}) - 120
	_ = 56 - unsafe.Sizeof(TradeSlot{})
	_ = unsafe.Sizeof(TradeSlot{}) - 56
	_ = 504 - unsafe.Sizeof(Mbp10Slot{})
	_ = unsafe.Sizeof(Mbp10Slot{}) - 504
	_ = 504 - unsafe.Sizeof(CbboSlot{})
	_ = unsafe.Sizeof(CbboSlot{}) - 504
	_ = 48 - unsafe.Sizeof(VenueQuote{})
	_ = unsafe.Sizeof(VenueQuote{}) - 48
	_ = 120 - unsafe.Sizeof(EventSlot{})
	_ = unsafe.Sizeof(EventSlot{}) - 120
	_ = 48 - unsafe.Sizeof(Counters{})
	_ = unsafe.Sizeof(Counters{}) - 48
	_ = 56 - unsafe.Sizeof(tick.Mbo{})
	_ = unsafe.Sizeof(tick.Mbo{}) - 56
)
