package mdp3

import (
	"encoding/binary"
	"math"

	"github.com/tickwire/tickwire/tick"
)

// Encoder makes messages: for generators, simulated venues and tests. Its value is the schema version that it encodes with, 9 or 13, whose
// templates 37 and 46 to 69 differ in nothing but the version in the header and the length of definitions.
//
//	packet    MsgSeqNum u32  SendingTime u64            AppendPacketHeader, then messages, one after the other
//	message   MsgSize u16  blockLength u16  templateId u16  schemaId u16  version u16  root block  groups
//
// Every method appends one whole message to dst and returns it. Nothing here shares code or constants with the decoder: what one writes
// is a test of what the other reads. Layouts: the sheet's section 5, which is the schema's.
type Encoder uint16

// Versions of the schema.
const (
	EncodeV9  Encoder = 9
	EncodeV13 Encoder = 13
)

// Values of a Wire… field that stand for absent.
const (
	WireNoPrice = int64(tick.UndefPrice) // i64 mantissa
	WireNoSize  = ^uint64(0)             // i32 and u64 quantities alike
	WireNoInt   = int32(math.MaxInt32)   // i32
	WireNoU32   = uint32(math.MaxUint32)
	WireNoDate  = uint16(math.MaxUint16)
	WireNoByte  = uint8(math.MaxUint8)
)

// Bits of MatchEventIndicator.
const (
	WireLastTrade   = 0x01
	WireLastVolume  = 0x02
	WireLastQuote   = 0x04
	WireLastStats   = 0x08
	WireLastImplied = 0x10
	WireRecovery    = 0x20
	WireEndOfEvent  = 0x80
)

var enc = binary.LittleEndian

// AppendPacketHeader begins a packet.
func AppendPacketHeader(dst []byte, sequence uint32, sendingTime uint64) []byte {
	return enc.AppendUint64(enc.AppendUint32(dst, sequence), sendingTime)
}

// begin appends a message's header and a root block of zeros; at is where the message begins.
func (v Encoder) begin(dst []byte, template, block uint16) (out []byte, at int) {
	at = len(dst)
	dst = enc.AppendUint16(dst, 0)
	dst = enc.AppendUint16(dst, block)
	dst = enc.AppendUint16(dst, template)
	dst = enc.AppendUint16(dst, 1)
	dst = enc.AppendUint16(dst, uint16(v))
	return zeros(dst, int(block)), at
}

// update begins an incremental message: TransactTime and MatchEventIndicator in a block of 11.
func (v Encoder) update(dst []byte, template uint16, transact uint64, indicator byte) (out []byte, at int) {
	dst, at = v.begin(dst, template, 11)
	enc.PutUint64(dst[at+10:], transact)
	dst[at+18] = indicator
	return dst, at
}

// end fills in a message's length.
func end(dst []byte, at int) []byte {
	enc.PutUint16(dst[at:], uint16(len(dst)-at))
	return dst
}

func zeros(dst []byte, n int) []byte {
	for range n {
		dst = append(dst, 0)
	}
	return dst
}

// groupHead appends a dimension header of 3 bytes. numInGroup reaches to 254.
func groupHead(dst []byte, block uint16, n int) []byte {
	mustFit(n <= 254)
	return append(enc.AppendUint16(dst, block), byte(n))
}

// groupHead8 appends one of 8 bytes.
func groupHead8(dst []byte, block uint16, n int) []byte {
	mustFit(n <= 254)
	return append(enc.AppendUint16(dst, block), 0, 0, 0, 0, 0, byte(n))
}

// mustFit panics where a caller has what the wire cannot carry: a wrong number must not leave.
func mustFit(ok bool) {
	if !ok {
		panic("mdp3: a value does not fit its field on the wire")
	}
}

// i32 is a quantity as the templates without LongQty have it.
func i32(size uint64) uint32 {
	if size == WireNoSize {
		return math.MaxInt32
	}
	mustFit(size < math.MaxInt32)
	return uint32(size)
}

func u64at(b []byte, at int, v uint64) { enc.PutUint64(b[at:], v) }
func u32at(b []byte, at int, v uint32) { enc.PutUint32(b[at:], v) }
func u16at(b []byte, at int, v uint16) { enc.PutUint16(b[at:], v) }

// text copies s into n bytes, NUL padded.
func text(b []byte, at, n int, s string) {
	mustFit(len(s) <= n)
	copy(b[at:at+n], s)
}
