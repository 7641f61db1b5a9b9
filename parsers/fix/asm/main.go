// Command asm writes ../masks_amd64.s.
//
// Two loops over whole blocks of 64 bytes, two registers a block:
//
//	masks  bytes ──VPCMPEQB──> which are SOH ──VPMOVMSKB──> one bit a byte, a word a block
//	sum    bytes ──VPSADBW against 0──> sums of eight bytes ──VPADDQ──> one sum
package main

import (
	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("amd64,!purego")
	masks()
	sum()
	Generate()
}

func masks() {
	TEXT("masksAVX2", attr.NOSPLIT, "func(p *byte, blocks int, out *uint64)")
	Doc("masksAVX2 needs AVX2 and at least one block.")
	Load(Param("p"), RSI)
	Load(Param("blocks"), RCX)
	Load(Param("out"), RDI)
	MOVQ(U64(0x0101010101010101), RAX) // SOH
	VMOVQ(RAX, X4)
	VPBROADCASTQ(X4, Y4)
	Label("block")
	VPCMPEQB(Mem{Base: RSI}, Y4, Y0)
	VPCMPEQB(Mem{Base: RSI, Disp: 32}, Y4, Y1)
	VPMOVMSKB(Y0, EAX)
	VPMOVMSKB(Y1, EDX)
	SHLQ(Imm(32), RDX)
	ORQ(RDX, RAX)
	MOVQ(RAX, Mem{Base: RDI})
	ADDQ(Imm(64), RSI)
	ADDQ(Imm(8), RDI)
	DECQ(RCX)
	JNZ(LabelRef("block"))
	VZEROUPPER()
	RET()
}

func sum() {
	TEXT("sumAVX2", attr.NOSPLIT, "func(p *byte, blocks int) uint64")
	Doc("sumAVX2 needs AVX2 and at least one block.")
	Load(Param("p"), RSI)
	Load(Param("blocks"), RCX)
	zero, a, b := Y0, Y1, Y2
	VPXOR(zero, zero, zero)
	VPXOR(a, a, a)
	VPXOR(b, b, b)
	Label("block")
	VPSADBW(Mem{Base: RSI}, zero, Y3)
	VPSADBW(Mem{Base: RSI, Disp: 32}, zero, Y4)
	VPADDQ(Y3, a, a)
	VPADDQ(Y4, b, b)
	ADDQ(Imm(64), RSI)
	DECQ(RCX)
	JNZ(LabelRef("block"))
	VPADDQ(b, a, a)
	VEXTRACTI128(Imm(1), a, X3)
	VPADDQ(X3, X1, X1)
	VPSHUFD(Imm(0xEE), X1, X3)
	VPADDQ(X3, X1, X1)
	VMOVQ(X1, RAX)
	Store(RAX, ReturnIndex(0))
	VZEROUPPER()
	RET()
}
