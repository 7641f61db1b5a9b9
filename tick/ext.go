package tick

// Ext carries what the venue sends and DBN has no field for, 56 bytes, in the ext ring. RefSeq names the slot it
// belongs to in the ring RefRing; 0 when it stands alone.
//
//	kind              A                  B                 C
//	ExtSize           exact size         –                 –
//	ExtMPID           MPID, 4 ASCII      order id          –
//	ExtBreak          match id           –                 –
//	ExtPlugin         which plugin       reason            verdict | place<<8
//	ExtImplied        price, i64 1e-9    size              side | level<<8 | action<<16 | orders<<32
//	ExtParticipant    MPID, 4 ASCII      codes, 3 ASCII    –
//	ExtIPOQuoting     release time, s    qualifier ASCII   price 1e-9
//	ExtRetail         interest, ASCII    –                 –
//	ExtDirectListing  part<<8 | status   value             value     (three records, parts 0 to 2)
//	ExtImbalanceSize  paired shares      imbalance shares  –
//	ExtRaw            wire type, ASCII   –                 –
//	ExtConditions     4 ASCII            match id          –
//	ExtListing        market, Y or N     price 1e-9        shares
//
// ExtConditions are a trade's, where they are not those of every day: settlement, trade through, session, tape. ExtListing is what a venue says of an instrument
// beside its definition: the code of the market that lists it, whether it takes round lots (a second ASCII), the close and the volume of the day before.
//
// ExtImplied is a change of the implied book: A, M or C of a level, counted from 1 (0: by its price), as in an mbp record. R, of level 0 and neither side, says that the
// book is void: what is in it, if anything, follows as A.
//
// ExtPlugin says why a row's records carry FlagPublisherSpecific, or why it has none: it belongs to the row's first record, in the order ring if it has
// one there. A is the first eight bytes of the SHA-256 of the plugin's file, the first lowest, so that it means the same whichever process wrote it; B is reason |
// source<<8: a place in the reasons of its transform (source 0) or its validator (1), or why it did not handle the row (2): 0 its call failed, 1 it had just
// failed and was not back yet, 2 it was taken out. Place is the plugin's in the chain.
//
// ASCII values are packed with their first character in the lowest byte.
type Ext struct {
	Header // RTypeExt
	RefSeq uint64
	Kind   uint8 // Ext…
	Ring   uint8 // Ring… that RefSeq counts in
	_      [2]byte
	Seq32  uint32 // venue's sequence, low 32 bits
	A      uint64
	B      uint64
	C      uint64
}

// Kinds of Ext.
const (
	ExtSize          uint8 = 1
	ExtMPID          uint8 = 2
	ExtBreak         uint8 = 3
	ExtPlugin        uint8 = 4
	ExtImplied       uint8 = 5
	ExtParticipant   uint8 = 6
	ExtIPOQuoting    uint8 = 7
	ExtRetail        uint8 = 8
	ExtDirectListing uint8 = 9
	ExtImbalanceSize uint8 = 10
	ExtRaw           uint8 = 11
	ExtConditions    uint8 = 12
	ExtListing       uint8 = 13
)

// Rings a RefSeq can count in.
const (
	RingMbo    uint8 = 1
	RingMbp1   uint8 = 2
	RingTrades uint8 = 3
	RingEvents uint8 = 4
)

// Verdicts of a plugin on a row, in the lowest byte of C of ExtPlugin.
const (
	VerdictRefused  uint8 = 1 // published all the same, since it changed a book
	VerdictFlagged  uint8 = 2
	VerdictBypassed uint8 = 3 // the plugin did not handle the row: it failed, or was taken out
	VerdictDropped  uint8 = 4 // not published: this record stands for it
)
