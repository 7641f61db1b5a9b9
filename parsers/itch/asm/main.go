// Command asm writes ../columns_amd64.s: how messages become columns with AVX-512 and with AVX2. columns_amd64.go says what
// the functions do, and draws what they share with it; this says how.
//
// Both work in groups (of 8 and of 4 messages). In a group every message goes the same way whatever its type, so there is no branch to
// miss; what differs is a row of a table:
//
//	length ──> type ──> known, and of its length? ──> one-hot count += ──> bytes of each column, by a shuffle of the type ──> next
//
// and then the group's columns, which lie across one register a message, are turned and stored, a register a column.
//
// The walk is what bounds it: a length has to be loaded before the next message's place is known. Its chain is one load of one byte and
// one addition. The two bytes of each prefix are not added but are part of the next load's displacement.
package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Offsets in struct work; its file has a constant for each that does not compile when they differ.
const (
	workBegin    = 0
	workRoom     = 8
	workLeft     = 16
	workRow      = 24
	workMidnight = 32
	workSequence = 40
	workTables   = 48
	workKind     = 56
	workSub      = 64
	workSide     = 72
	workInst     = 80
	workTs       = 88
	workSeq      = 96
	workOrder    = 104
	workAux      = 112
	workPrice    = 120
	workSize     = 128
	workBytes    = 136
	workUsed     = 144
	workCounts   = 152
	workSeldom   = 160
	workCold     = 168
	workBase     = 200
)

// Offsets in struct tables.
const (
	tablesWant   = 0
	tablesOne    = 1024
	tablesPick   = 3072
	tablesKinds  = 19456
	tablesGather = 19520
	tablesHead   = 19584
	tablesBody   = 23680
	tablesSmall  = 40064
	tablesWords  = 40256
)

// Rows of tablesSmall, 32 bytes each.
const (
	smallInst = iota
	smallTypes
	smallKinds4
	smallKinds5
	smallMisc
	smallIota
)

// Words of tablesWords, 8 bytes each.
const (
	wordEight = iota
	wordFour
	wordPrice
	wordBuy
	wordSell
	wordBid
	wordAsk
	wordNone
)

// ahead is how far before its use a line is asked for, in bytes: the machine's own prefetch ends at a page and is late for 8 bytes a ns.
// Tried on days from memory: none 5.5 ns a message, 512 4.6, 1024 4.3, 2048 3.8, 4096 3.9; from second-level cache it costs nothing.
const ahead = 2048

// Registers that both functions use alike.
var (
	work, tables = RDI, RSI
	at           = R8  // the message's length prefix, less two bytes for each message of the group before it
	last         = R9  // at, at most
	left         = R10 // messages that may still be taken
	row          = R11 // of the group's first message
	counts       = R12 // a byte for each type that has columns of its own
	group        = R13 // index of the group
	seldom       = R14 // not 0: a row is for cold
	typ          = RAX
	length       = RCX
	prefixed     = RDX
	tmp          = RBX
	took         = R15 // messages of this group
)

func main() {
	ConstraintExpr("amd64,!purego")
	columnsAVX512()
	columnsAVX2()
	Generate()
}

func field(offset int) Mem { return Mem{Base: work, Disp: offset} }
func table(offset int) Mem { return Mem{Base: tables, Disp: offset} }

// column is where the group's rows of a column begin, elem bytes a row.
func column(offset int, elem uint8) Mem {
	MOVQ(field(offset), tmp)
	return Mem{Base: tmp, Index: row, Scale: elem}
}

// function opens one of the two and leaves its registers loaded.
func function(name, doc string) {
	TEXT(name, attr.NOSPLIT, "func(w *byte)")
	Doc(doc)
	MOVQ(Mem{Symbol: Symbol{Name: "w"}, Base: FramePointer}, work)
	MOVQ(field(workTables), tables)
	MOVQ(field(workBegin), at)
	MOVQ(field(workRoom), last)
	ADDQ(at, last)
	MOVQ(field(workLeft), left)
	MOVQ(field(workRow), row)
	XORL(counts.As32(), counts.As32())
	XORL(group.As32(), group.As32())
	XORL(seldom.As32(), seldom.As32())
}

// word is one of the table's in all parts of a register.
func word(i int, to Op) { VPBROADCASTQ(table(tablesWords+8*i), to) }

// rows notes which rows of the group are for cold: the bits of tmp.
func rows() {
	MOVB(tmp.As8(), Mem{Base: work, Index: group, Scale: 1, Disp: workCold})
	ORL(tmp.As32(), seldom.As32())
}

// walk is a group of messages: decode has the k-th one's fields put into its registers, having read no further than 64 bytes from its
// length prefix. A message that may not be read so goes by decodeEnd, which is told how many bytes there are, or, without one, ends the
// group before it. So does one that is not known or not of its length, and the last one that was asked for ends it behind itself.
func walk(size int, decode, decodeEnd func(k int)) {
	next := func(k int) {
		ADDQ(length, at)
		DECQ(left)
		if k < size-1 {
			JZ(LabelRef(fmt.Sprint("stop", k+1)))
		}
	}
	check := func(k int) {
		prefix := Mem{Base: at, Disp: 2 * k}
		MOVBLZX(prefix.Offset(2), typ.As32())
		MOVBLZX(prefix.Offset(1), length.As32())
		MOVWLZX(prefix, prefixed.As32())
		CMPL(prefixed.As32(), Mem{Base: tables, Index: typ, Scale: 4, Disp: tablesWant})
		JNE(LabelRef(fmt.Sprint("stop", k)))
	}
	count := func() { ADDQ(Mem{Base: tables, Index: typ, Scale: 8, Disp: tablesOne}, counts) }

	Label("group")
	// Where the group begins, for the one who looks at it again.
	MOVQ(at, tmp)
	SUBQ(field(workBegin), tmp)
	MOVL(tmp.As32(), Mem{Base: work, Index: group, Scale: 4, Disp: workBase})
	for k := range size {
		Label(fmt.Sprint("message", k))
		CMPQ(at, last)
		if decodeEnd == nil {
			JHI(LabelRef(fmt.Sprint("stop", k)))
		} else {
			JHI(LabelRef(fmt.Sprint("end", k)))
		}
		check(k)
		count()
		decode(k)
		PREFETCHT0(Mem{Base: at, Disp: 2*k + ahead})
		next(k)
	}
	Label(fmt.Sprint("message", size))
	MOVL(U32(size), took.As32())
	JMP(LabelRef("turn"))
	for k := size - 1; k > 0; k-- {
		Label(fmt.Sprint("stop", k))
		MOVL(U32(k), took.As32())
		JMP(LabelRef("turn"))
	}
	for k := range size {
		if decodeEnd == nil {
			break
		}
		Label(fmt.Sprint("end", k))
		MOVQ(field(workBegin), tmp)
		ADDQ(field(workBytes), tmp)
		SUBQ(at, tmp)
		SUBQ(Imm(uint64(2*k)), tmp)
		CMPQ(tmp, Imm(3)) // a length and a type
		JLT(LabelRef(fmt.Sprint("stop", k)))
		check(k)
		LEAQ(Mem{Base: length, Disp: 2}, prefixed)
		CMPQ(tmp, prefixed)
		JLT(LabelRef(fmt.Sprint("stop", k)))
		count()
		decodeEnd(k)
		next(k)
		JMP(LabelRef(fmt.Sprint("message", k+1)))
	}
	Label("turn")
}

// next is what follows a group: another one, or the end.
func next(size int) {
	LEAQ(Mem{Base: at, Index: took, Scale: 2}, at)
	ADDQ(took, row)
	INCQ(group)
	CMPQ(took, Imm(uint64(size)))
	JNE(LabelRef("done"))
	TESTQ(left, left)
	JNZ(LabelRef("group"))
	Label("stop0")
	Label("done")
	SUBQ(field(workBegin), at)
	MOVQ(at, field(workUsed))
	MOVQ(row, field(workRow))
	MOVQ(seldom, field(workSeldom))
	MOVQ(counts, field(workCounts))
	VZEROUPPER()
	RET()
}

// columnsAVX512: 64 bytes from the length prefix on hold every field of a message. One VPERMB of the type puts them into eight
// 64-bit integers, bytes turned; a place without a byte takes the prefix's first, which is 0 because no type is that long.
//
//	ts  order  aux  size  price  [locate u32, type u8, side u8, sub u8, 0]  0  0
//
// Eight such registers are an 8 × 8 matrix, turned in 22 shuffles (two columns are not needed).
func columnsAVX512() {
	function("columnsAVX512", "columnsAVX512 needs AVX-512 F, BW, VL and VBMI, and BMI2.")
	midnight, sequence, eight, e5, gather, kinds := Z20, Z21, Z22, Z23, Z24, Z25
	buy, sell, none, bid, ask := X26, X27, X28, X29, X30
	VPBROADCASTQ(field(workMidnight), midnight)
	VPBROADCASTQ(field(workSequence), sequence)
	VPMOVZXBQ(table(tablesSmall+32*smallIota), eight)
	VPADDQ(eight, sequence, sequence)
	word(wordEight, eight)
	word(wordPrice, e5)
	VMOVDQU64(table(tablesGather), gather)
	VMOVDQU64(table(tablesKinds), kinds)
	word(wordBuy, buy)
	word(wordSell, sell)
	word(wordBid, bid)
	word(wordAsk, ask)
	word(wordNone, none)

	msgs := [8]VecPhysical{Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7}
	pick := func(k int) {
		SHLL(Imm(6), typ.As32())
		VMOVDQU64(Mem{Base: tables, Index: typ, Scale: 1, Disp: tablesPick}, msgs[k])
	}
	walk(8, func(k int) {
		pick(k)
		VPERMB(Mem{Base: at, Disp: 2 * k}, msgs[k], msgs[k])
	}, func(k int) { // a load under a mask reads nothing that the mask leaves out
		pick(k)
		MOVQ(I64(-1), prefixed)
		BZHIQ(tmp, prefixed, prefixed)
		KMOVQ(prefixed, K3)
		VMOVDQU8_Z(Mem{Base: at, Disp: 2 * k}, K3, Z8)
		VPERMB(Z8, msgs[k], msgs[k])
	})

	// turn takes column pairs (0,1), (2,3), (4,5) from lanes 0, 1, 2: of each the even or the odd one.
	turn := func(unpack func(ops ...Op), c0, c2, c4 VecPhysical) {
		a, b, c, d := Z8, Z9, Z10, Z11
		for i, to := range []VecPhysical{a, b, c, d} {
			unpack(msgs[2*i+1], msgs[2*i], to)
		}
		VSHUFI64X2(Imm(0x44), b, a, Z12) // lanes 0 1 of messages 0 1, 2 3
		VSHUFI64X2(Imm(0x44), d, c, Z13) // … of messages 4 5, 6 7
		VSHUFI64X2(Imm(0xEE), b, a, Z14) // lanes 2 3
		VSHUFI64X2(Imm(0xEE), d, c, Z15)
		VSHUFI64X2(Imm(0x88), Z13, Z12, c0)
		VSHUFI64X2(Imm(0xDD), Z13, Z12, c2)
		VSHUFI64X2(Imm(0x88), Z15, Z14, c4)
	}
	ts, aux, price, order, size, misc := Z16, Z17, Z18, Z19, Z8, Z9
	turn(func(ops ...Op) { VPUNPCKLQDQ(ops...) }, ts, aux, price)
	VPADDQ(midnight, ts, ts)
	VPMULUDQ(e5, price, price)
	VMOVDQU64(ts, column(workTs, 8))
	VMOVDQU64(aux, column(workAux, 8))
	VMOVDQU64(price, column(workPrice, 8))
	turn(func(ops ...Op) { VPUNPCKHQDQ(ops...) }, order, size, misc)
	VMOVDQU64(order, column(workOrder, 8))
	VMOVDQU64(size, column(workSize, 8))
	VMOVDQU64(sequence, column(workSeq, 8))
	VPADDQ(eight, sequence, sequence)
	VPMOVQD(misc, column(workInst, 4))

	// Eight types, eight sides, eight subs.
	VPERMB(misc, gather, misc)
	VPERMB(kinds, misc, Z10)
	VPTESTNMB(X10, X10, K1)
	KMOVW(K1, tmp.As32())
	MOVBLZX(tmp.As8(), tmp.As32()) // of sides and subs nothing
	rows()
	VMOVQ(X10, column(workKind, 1))
	VPCMPEQB(buy, X9, K1)
	VPCMPEQB(sell, X9, K2)
	VMOVDQU8(none, X11)
	VMOVDQU8(bid, K1, X11)
	VMOVDQU8(ask, K2, X11)
	VMOVHPS(X11, column(workSide, 1))
	VEXTRACTI128(Imm(1), Y9, X9)
	VMOVQ(X9, column(workSub, 1))
	next(8)
}

// columnsAVX2: no instruction moves a byte across 16 of them, so a message is three loads of 16 bytes, each with a shuffle of the type.
//
//	bytes 3 … 18            [ts  order]
//	bytes 19 … 34, 28 … 43  [aux  size  price  (side u8, sub u8)], the one or the other
//	bytes 0 … 3             type and locate, one integer of a register for the four messages
func columnsAVX2() {
	function("columnsAVX2", "columnsAVX2 needs AVX2.")
	midnight, sequence, four, e5 := Y12, Y13, Y14, Y15
	VPBROADCASTQ(field(workMidnight), midnight)
	VPBROADCASTQ(field(workSequence), sequence)
	VPMOVZXBQ(table(tablesSmall+32*smallIota), four)
	VPADDQ(four, sequence, sequence)
	word(wordFour, four)
	word(wordPrice, e5)
	heads := [4]VecPhysical{X0, X1, X2, X3}
	bodies := [4]VecPhysical{Y4, Y5, Y6, Y7}
	first := X8
	walk(4, func(k int) {
		VPINSRD(Imm(uint64(k)), Mem{Base: at, Disp: 2*k + 2}, first, first)
		SHLL(Imm(4), typ.As32())
		VMOVDQU(Mem{Base: at, Disp: 2*k + 2 + 3}, heads[k])
		VPSHUFB(Mem{Base: tables, Index: typ, Scale: 1, Disp: tablesHead}, heads[k], heads[k])
		VBROADCASTI128(Mem{Base: at, Disp: 2*k + 2 + 19}, bodies[k])
		VBROADCASTI128(Mem{Base: at, Disp: 2*k + 2 + 28}, Y9)
		SHLL(Imm(2), typ.As32())
		VPSHUFB(Mem{Base: tables, Index: typ, Scale: 1, Disp: tablesBody}, bodies[k], bodies[k])
		VPSHUFB(Mem{Base: tables, Index: typ, Scale: 1, Disp: tablesBody + 32}, Y9, Y9)
		VPOR(Y9, bodies[k], bodies[k])
	}, nil)
	VINSERTI128(Imm(1), X2, Y0, Y0)
	VINSERTI128(Imm(1), X3, Y1, Y1)
	VPUNPCKLQDQ(Y1, Y0, Y2)
	VPUNPCKHQDQ(Y1, Y0, Y3)
	VPADDQ(midnight, Y2, Y2)
	VMOVDQU(Y2, column(workTs, 8))
	VMOVDQU(Y3, column(workOrder, 8))
	VPUNPCKLQDQ(Y5, Y4, Y0) // aux, price of 0 1
	VPUNPCKHQDQ(Y5, Y4, Y1) // size, misc of 0 1
	VPUNPCKLQDQ(Y7, Y6, Y2)
	VPUNPCKHQDQ(Y7, Y6, Y3)
	VPERM2I128(Imm(0x20), Y2, Y0, Y4) // aux
	VPERM2I128(Imm(0x31), Y2, Y0, Y5) // price
	VPERM2I128(Imm(0x20), Y3, Y1, Y6) // size
	VPERM2I128(Imm(0x31), Y3, Y1, Y7) // misc
	VPMULUDQ(e5, Y5, Y5)
	VMOVDQU(Y4, column(workAux, 8))
	VMOVDQU(Y5, column(workPrice, 8))
	VMOVDQU(Y6, column(workSize, 8))
	VMOVDQU(sequence, column(workSeq, 8))
	VPADDQ(four, sequence, sequence)

	small := func(i int) Mem { return table(tablesSmall + 32*i) }
	VPSHUFB(small(smallInst), first, X0)
	VMOVDQU(X0, column(workInst, 4))
	VPSHUFB(small(smallTypes), first, X0)
	VMOVDQU(small(smallKinds4), X1)
	VMOVDQU(small(smallKinds5), X2)
	VPSHUFB(X0, X1, X1)
	VPSHUFB(X0, X2, X2)
	VPSLLW(Imm(3), X0, X0) // bit 4 tells 0x4… from 0x5…
	VPBLENDVB(X0, X2, X1, X1)
	VMOVD(X1, column(workKind, 1))
	VPXOR(X2, X2, X2)
	VPCMPEQB(X2, X1, X2)
	VPMOVMSKB(X2, tmp.As32())
	ANDL(U32(0xF), tmp.As32())
	rows()

	VPSHUFB(small(smallMisc), Y7, Y7)
	VEXTRACTI128(Imm(1), Y7, X0)
	VPOR(X0, X7, X0) // four sides, four subs
	word(wordBuy, X1)
	word(wordSell, X2)
	VPCMPEQB(X1, X0, X1)
	VPCMPEQB(X2, X0, X2)
	word(wordNone, X4)
	word(wordBid, X3)
	VPBLENDVB(X1, X3, X4, X4)
	word(wordAsk, X3)
	VPBLENDVB(X2, X3, X4, X4)
	VMOVD(X4, column(workSide, 1))
	VPEXTRD(Imm(1), X0, column(workSub, 1))
	next(4)
}
