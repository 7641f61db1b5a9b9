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

	// An add: where on its side the best prices are.
	INSTRUMENT
	MOVQ    c_side(SI), DI
	MOVBLZX (DI)(CX*1), DI
	ANDL    $1, DI             // 'A' is odd, 'B' even
	MOVBLZX 59(AX)(DI*1), R9   // fill
	SHLQ    $4, R9
	MOVL    40(AX)(DI*4), R10  // leaf
	MOVL    32(AX)(DI*4), DI   // best
	CMPB    (R11)(CX*1), $kindAdd
	CMOVQNE BX, R10
	CMOVQNE BX, DI
	SHLQ    $9, R10
	ADDQ    c_blocks(SI), R10
	PREFETCHT0 (R10)
	PREFETCHT0 (R10)(R9*1)
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
	MOVQ c_kind(SI), R11
	MOVQ c_instrument(SI), R12
	MOVQ c_limit(SI), R13

loop:
	MOVQ (R9)(CX*8), AX
	CLIP
	ENTRY
	MOVQ c_pages(SI), DI
	MOVL (DI)(AX*4), AX
	SHLQ $5, AX
	PREFETCHT0 (R10)(AX*1)

	// An add: the last order of the best level.
	INSTRUMENT
	MOVQ    c_side(SI), DI
	MOVBLZX (DI)(CX*1), DI
	ANDL    $1, DI
	MOVL    32(AX)(DI*4), DI   // best
	CMPB    (R11)(CX*1), $kindAdd
	CMOVQNE BX, DI
	SHLQ    $5, DI
	ADDQ    c_levels(SI), DI
	MOVL    20(DI), AX         // its tail
	SHLQ    $5, AX
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

	// The leaf with the best prices of its side, at its line 0 and at its last entry.
	MOVL 24(AX), AX            // owner
	MOVL AX, DI
	SHRL $31, DI
	ANDL $0x7FFFFFFF, AX
	SHLQ $6, AX
	ADDQ c_instruments(SI), AX
	MOVBLZX 59(AX)(DI*1), BX   // fill
	SHLQ $4, BX
	MOVL 40(AX)(DI*4), DI      // leaf
	SHLQ $9, DI
	ADDQ c_blocks(SI), DI
	PREFETCHT0 (DI)
	PREFETCHT0 (DI)(BX*1)
	XORL BX, BX
	INCQ CX
	CMPQ CX, DX
	JLT  loop

done:
	RET
