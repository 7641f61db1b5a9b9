//go:build !purego

#include "textflag.h"

// The stages of prefetch.go. No branch depends on a row: what a row does not need is looked up as number 0, whose
// lines are always in cache. Offsets are those of chain (prefetch.go), and of the records drawn in doc.go.

#define c_dir 0
#define c_pages 8
#define c_orders 16
#define c_levels 24
#define c_blocks 32
#define c_instruments 40
#define c_limit 48
#define c_count 56
#define c_kind 64
#define c_side 72
#define c_instrument 80
#define c_id 88
#define c_aux 96

#define kindAdd 1
#define kindReplace 6

// AX: a reference; one that is not below the limit (R13) becomes 0 (BX).
#define CLIP \
	CMPQ    AX, R13 \
	CMOVQCC BX, AX

// AX: the row's new id if it is a replace, else 0.
#define NEWID \
	MOVQ    (R10)(CX*8), AX     \
	CMPB    (R11)(CX*1), $kindReplace \
	CMOVQNE BX, AX              \
	CLIP

// AX: reference → number of its entry among all page entries. Uses DI.
#define ENTRY \
	MOVQ AX, DI          \
	SHRQ $6, AX          \
	MOVL (R8)(AX*4), AX  \
	SHRL $7, AX          \
	SHLQ $6, AX          \
	ANDQ $63, DI         \
	ADDQ DI, AX

// AX: the row's instrument's record. Uses R12: the column.
#define INSTRUMENT \
	MOVL    (R12)(CX*4), AX    \
	CMPQ    AX, c_count(SI)    \
	CMOVQCC BX, AX             \
	SHLQ    $6, AX             \
	ADDQ    c_instruments(SI), AX

// A block's number: asks for its four lines.
#define BLOCK(reg) \
	SHLQ $8, reg             \
	ADDQ c_blocks(SI), reg   \
	PREFETCHT0 (reg)         \
	PREFETCHT0 64(reg)       \
	PREFETCHT0 128(reg)      \
	PREFETCHT0 192(reg)

// func askDirectory(c *chain, from, to int)
TEXT ·askDirectory(SB), NOSPLIT, $0-24
	MOVQ c+0(FP), SI
	MOVQ from+8(FP), CX
	MOVQ to+16(FP), DX
	CMPQ CX, DX
	JGE  done
	XORL BX, BX
	MOVQ c_dir(SI), R8
	MOVQ c_id(SI), R9
	MOVQ c_aux(SI), R10
	MOVQ c_kind(SI), R11
	MOVQ c_instrument(SI), R12
	MOVQ c_limit(SI), R13

loop:
	MOVQ (R9)(CX*8), AX
	CLIP
	SHRQ $6, AX
	PREFETCHT0 (R8)(AX*4)
	NEWID
	SHRQ $6, AX
	PREFETCHT0 (R8)(AX*4)
	INSTRUMENT
	PREFETCHT0 (AX)
	INCQ CX
	CMPQ CX, DX
	JLT  loop

done:
	RET

// func askPage(c *chain, from, to int)
TEXT ·askPage(SB), NOSPLIT, $0-24
	MOVQ c+0(FP), SI
	MOVQ from+8(FP), CX
	MOVQ to+16(FP), DX
	CMPQ CX, DX
	JGE  done
	XORL BX, BX
	MOVQ c_dir(SI), R8
	MOVQ c_id(SI), R9
	MOVQ c_aux(SI), R10
	MOVQ c_kind(SI), R11
	MOVQ c_instrument(SI), R12
	MOVQ c_limit(SI), R13

loop:
	MOVQ (R9)(CX*8), AX
	CLIP
	ENTRY
	SHLQ $2, AX
	ADDQ c_pages(SI), AX
	PREFETCHT0 (AX)
	NEWID
	ENTRY
	SHLQ $2, AX
	ADDQ c_pages(SI), AX
	PREFETCHT0 (AX)

	// An add: where on its side the best prices are, and the root if that is another block.
	INSTRUMENT
	MOVQ    c_side(SI), DI
	MOVBLZX (DI)(CX*1), DI
	ANDL    $1, DI             // 'A' is odd, 'B' even
	MOVL    40(AX)(DI*4), R10  // leaf
	MOVL    48(AX)(DI*4), R9   // root
	MOVL    32(AX)(DI*4), DI   // best
	CMPL    R9, R10
	CMOVQEQ BX, R9
	CMPB    (R11)(CX*1), $kindAdd
	CMOVQNE BX, R9
	CMOVQNE BX, R10
	CMOVQNE BX, DI
	BLOCK(R10)
	BLOCK(R9)
	SHLQ    $5, DI
	ADDQ    c_levels(SI), DI
	PREFETCHT0 (DI)
	MOVQ    c_id(SI), R9
	MOVQ    c_aux(SI), R10
	INCQ CX
	CMPQ CX, DX
	JLT  loop

done:
	RET

// func askOrder(c *chain, from, to int)
TEXT ·askOrder(SB), NOSPLIT, $0-24
	MOVQ c+0(FP), SI
	MOVQ from+8(FP), CX
	MOVQ to+16(FP), DX
	CMPQ CX, DX
	JGE  done
	XORL BX, BX
	MOVQ c_dir(SI), R8
	MOVQ c_id(SI), R9
	MOVQ c_orders(SI), R10
	MOVQ c_limit(SI), R13

loop:
	MOVQ (R9)(CX*8), AX
	CLIP
	ENTRY
	MOVQ c_pages(SI), DI
	MOVL (DI)(AX*4), AX
	SHLQ $5, AX
	PREFETCHT0 (R10)(AX*1)

	INCQ CX
	CMPQ CX, DX
	JLT  loop

done:
	RET

// func askLevel(c *chain, from, to int)
TEXT ·askLevel(SB), NOSPLIT, $0-24
	MOVQ c+0(FP), SI
	MOVQ from+8(FP), CX
	MOVQ to+16(FP), DX
	CMPQ CX, DX
	JGE  done
	XORL BX, BX
	MOVQ c_dir(SI), R8
	MOVQ c_id(SI), R9
	MOVQ c_orders(SI), R10
	MOVQ c_pages(SI), R11
	MOVQ c_levels(SI), R12
	MOVQ c_limit(SI), R13

loop:
	MOVQ (R9)(CX*8), AX
	CLIP
	ENTRY
	MOVL (R11)(AX*4), AX
	SHLQ $5, AX
	ADDQ R10, AX
	MOVL 12(AX), DI            // level
	SHLQ $5, DI
	PREFETCHT0 (R12)(DI*1)
	MOVL 16(AX), DI            // ahead
	SHLQ $5, DI
	PREFETCHT0 (R10)(DI*1)
	MOVL 20(AX), DI            // behind
	SHLQ $5, DI
	PREFETCHT0 (R10)(DI*1)

	INCQ CX
	CMPQ CX, DX
	JLT  loop

done:
	RET

// func askLeaf(c *chain, from, to int)
TEXT ·askLeaf(SB), NOSPLIT, $0-24
	MOVQ c+0(FP), SI
	MOVQ from+8(FP), CX
	MOVQ to+16(FP), DX
	CMPQ CX, DX
	JGE  done
	XORL BX, BX
	MOVQ c_dir(SI), R8
	MOVQ c_id(SI), R9
	MOVQ c_orders(SI), R10
	MOVQ c_pages(SI), R11
	MOVQ c_levels(SI), R12
	MOVQ c_limit(SI), R13

loop:
	MOVQ (R9)(CX*8), AX
	CLIP
	ENTRY
	MOVL (R11)(AX*4), AX
	SHLQ $5, AX
	MOVL 12(R10)(AX*1), DI     // level
	SHLQ $5, DI
	ADDQ R12, DI
	MOVL 28(DI), AX            // its leaf, needed when this is its last order
	CMPL 24(DI), $1
	CMOVQNE BX, AX
	BLOCK(AX)
	INCQ CX
	CMPQ CX, DX
	JLT  loop

done:
	RET

// func askLine(p unsafe.Pointer)
TEXT ·askLine(SB), NOSPLIT, $0-8
	MOVQ p+0(FP), AX
	PREFETCHT0 (AX)
	RET

// func askBlock(p unsafe.Pointer)
TEXT ·askBlock(SB), NOSPLIT, $0-8
	MOVQ p+0(FP), AX
	PREFETCHT0 (AX)
	PREFETCHT0 64(AX)
	PREFETCHT0 128(AX)
	PREFETCHT0 192(AX)
	RET
