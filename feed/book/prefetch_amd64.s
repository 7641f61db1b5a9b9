//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// The stages of prefetch.go. Hardly a branch depends on a row: what a row does not need is looked up as number 0, whose
// lines are always in cache. Offsets and constants are the Go files', from go_asm.h; sizes of records are checked there
// (records.go), and the count below is written out for fourteen entries a block.

#define ringMask (const_ahead-1)

#define l_key (node_level+level_key)
#define l_tail (node_level+level_tail)

// A stage gets its rows in registers, CX to DX-1, and SI chain, BX 0. It may use all others.
#define ROWS \
	CMPQ CX, DX          \
	JGE  done

// The rows of stage at, counted from 0: group rows from first - at*const_group on, of those from from to to-1.
#define STAGE(at, stage) \
	MOVQ    first+16(FP), CX       \
	SUBQ    $(at*const_group), CX        \
	LEAQ    const_group(CX), DX          \
	MOVQ    from+8(FP), AX         \
	CMPQ    CX, AX                 \
	CMOVQLT AX, CX                 \
	MOVQ    to+24(FP), AX          \
	CMPQ    DX, AX                 \
	CMOVQGT AX, DX                 \
	CALL    stage<>(SB)

#define NEXT(loop) \
	INCQ CX     \
	CMPQ CX, DX \
	JLT  loop

// AX: a reference; one that is not below the limit (R13) becomes 0.
#define CLIP \
	CMPQ    AX, R13 \
	CMOVQCC BX, AX

// AX: the row's new id if it is a replace, else 0. R10, R11: columns aux, kind.
#define NEWID \
	MOVQ    (R10)(CX*8), AX     \
	CMPB    (R11)(CX*1), $const_kindReplace \
	CMOVQNE BX, AX              \
	CLIP

// AX: reference → address of its entry in its page; of a lone order's, in page 0. R8, R9: directory, pages. Uses DI.
#define ENTRY \
	MOVQ AX, DI            \
	SHRQ $6, AX            \
	MOVL (R8)(AX*4), AX    \
	TESTL AX, AX           \
	CMOVLMI BX, AX         \
	SHRL $7, AX            \
	SHLQ $6, AX            \
	ANDL $63, DI           \
	ADDQ DI, AX            \
	LEAQ (R9)(AX*4), AX

// AX: the row's instrument's record. R12, R13, R14: column, how many there are, records.
#define INSTRUMENT \
	MOVL    (R12)(CX*4), AX    \
	CMPQ    AX, R13            \
	CMOVQCC BX, AX             \
	SHLQ    $6, AX             \
	ADDQ    R14, AX

// reg: a node's number → asks for its line. R8: nodes.
#define NODE(reg) \
	SHLQ $6, reg             \
	PREFETCHT0 (R8)(reg*1)

// The second node of a free list: the first one was the second a group ago. R8: nodes.
#define FREE(list) \
	MOVL list(SI), AX        \
	SHLQ $6, AX              \
	PREFETCHT0 (R8)(AX*1)    \
	MOVL order_next(R8)(AX*1), AX \
	NODE(AX)

// reg: a block's number → its address. base: blocks.
#define BLOCK(reg, base) \
	LEAQ (reg)(reg*2), reg   \
	SHLQ $6, reg             \
	ADDQ base, reg

#define LINES(reg) \
	PREFETCHT0 (reg)         \
	PREFETCHT0 64(reg)       \
	PREFETCHT0 128(reg)

// cnt -= 1 if the key of entry at is greater than R10
#define COUNT1(blk, at, cnt) \
	CMPQ R10, (block_keys+8*at)(blk) \
	SBBQ $0, cnt

// cnt: the entry of the block to follow for the key in R10: that before the first greater one, not looking at entry 0
#define CHILD(blk, cnt) \
	MOVL $13, cnt         \
	COUNT1(blk, 1, cnt)   \
	COUNT1(blk, 2, cnt)   \
	COUNT1(blk, 3, cnt)   \
	COUNT1(blk, 4, cnt)   \
	COUNT1(blk, 5, cnt)   \
	COUNT1(blk, 6, cnt)   \
	COUNT1(blk, 7, cnt)   \
	COUNT1(blk, 8, cnt)   \
	COUNT1(blk, 9, cnt)   \
	COUNT1(blk, 10, cnt)  \
	COUNT1(blk, 11, cnt)  \
	COUNT1(blk, 12, cnt)  \
	COUNT1(blk, 13, cnt)

// func lookAhead(c *chain, from, first, to int)
TEXT ·lookAhead(SB), NOSPLIT, $0-32
	MOVQ c+0(FP), SI
	XORL BX, BX
	MOVQ chain_nodes(SI), R8
	FREE(chain_free)
	FREE(chain_halves)
	STAGE(0, askDirectory)
	STAGE(1, askPage)
	STAGE(2, askOrder)
	STAGE(3, askLevel)
	STAGE(4, askTree)
	STAGE(5, askTail)
	RET

// func lookAheadSparse(c *chain, from, first, to int)
TEXT ·lookAheadSparse(SB), NOSPLIT, $0-32
	MOVQ c+0(FP), SI
	XORL BX, BX
	MOVQ chain_nodes(SI), R8
	FREE(chain_free)
	FREE(chain_halves)
	STAGE(0, askSlots)
	STAGE(2, askSlotOrder)
	STAGE(3, askLevel)
	STAGE(4, askTree)
	STAGE(5, askTail)
	RET

TEXT askSlots<>(SB), NOSPLIT, $0-0
	ROWS
	MOVQ chain_table(SI), R8
	MOVQ chain_instrument(SI), R12
	MOVQ chain_instrumentCount(SI), R13
	MOVQ chain_instruments(SI), R14

loop:
	MOVQ CX, DI
	ANDL $ringMask, DI
	MOVL chain_homes(SI)(DI*4), AX
	PREFETCHT0 (R8)(AX*8)
	MOVL chain_homes2(SI)(DI*4), AX
	PREFETCHT0 (R8)(AX*8)
	INSTRUMENT
	PREFETCHT0 (AX)
	NEXT(loop)

done:
	RET

TEXT askSlotOrder<>(SB), NOSPLIT, $0-0
	ROWS
	MOVQ chain_table(SI), R8
	MOVQ chain_nodes(SI), R11

loop:
	MOVQ CX, DI
	ANDL $ringMask, DI
	MOVL chain_tags(SI)(DI*4), R10
	MOVL chain_homes(SI)(DI*4), AX
	MOVQ (R8)(AX*8), R9         // a slot: the tag is its lower half
	INCL AX
	ANDL chain_mask(SI), AX
	MOVQ (R8)(AX*8), R12
	CMPL R9, R10
	CMOVQNE R12, R9
	MOVQ R9, AX
	SHRQ $32, AX
	CMPL R9, R10
	CMOVQNE BX, AX
	MOVL AX, chain_num(SI)(DI*4)
	SHLQ $6, AX
	PREFETCHT0 (R11)(AX*1)
	NEXT(loop)

done:
	RET

TEXT askDirectory<>(SB), NOSPLIT, $0-0
	ROWS
	MOVQ chain_dir(SI), R8
	MOVQ chain_id(SI), R9
	MOVQ chain_aux(SI), R10
	MOVQ chain_kind(SI), R11
	MOVQ chain_instrument(SI), R12
	MOVQ chain_limit(SI), R13
	MOVQ chain_instruments(SI), R14

loop:
	MOVQ (R9)(CX*8), AX
	CLIP
	SHRQ $6, AX
	PREFETCHT0 (R8)(AX*4)
	NEWID
	SHRQ $6, AX
	PREFETCHT0 (R8)(AX*4)
	MOVL (R12)(CX*4), AX
	CMPQ AX, chain_instrumentCount(SI)
	CMOVQCC BX, AX
	SHLQ $6, AX
	PREFETCHT0 (R14)(AX*1)
	NEXT(loop)

done:
	RET

TEXT askPage<>(SB), NOSPLIT, $0-0
	ROWS
	MOVQ chain_dir(SI), R8
	MOVQ chain_pages(SI), R9
	MOVQ chain_id(SI), R12
	MOVQ chain_aux(SI), R10
	MOVQ chain_kind(SI), R11
	MOVQ chain_limit(SI), R13

loop:
	MOVQ (R12)(CX*8), AX
	CLIP
	ENTRY
	PREFETCHT0 (AX)
	NEWID
	ENTRY
	PREFETCHT0 (AX)
	NEXT(loop)

done:
	RET

TEXT askOrder<>(SB), NOSPLIT, $0-0
	ROWS
	MOVQ chain_dir(SI), R8
	MOVQ chain_pages(SI), R9
	MOVQ chain_id(SI), R12
	MOVQ chain_nodes(SI), R11
	MOVQ chain_limit(SI), R13

loop:
	MOVQ (R12)(CX*8), AX
	CLIP
	MOVQ    AX, R10
	MOVQ    AX, R14
	SHRQ    $6, R14
	ENTRY
	MOVL    (AX), AX
	MOVL    (R8)(R14*4), R14
	MOVL    R14, DI
	SHRL    $25, DI
	XORL    R10, DI
	TESTL   $63, DI
	MOVL    R14, DI
	CMOVLNE BX, DI             // a lone order, but another one
	ANDL    $0x1ffffff, DI
	TESTL   R14, R14
	CMOVLMI DI, AX
	MOVQ CX, DI
	ANDL $ringMask, DI
	MOVL AX, chain_num(SI)(DI*4)
	SHLQ $6, AX
	PREFETCHT0 (R11)(AX*1)
	NEXT(loop)

done:
	RET

TEXT askLevel<>(SB), NOSPLIT, $0-0
	ROWS
	MOVQ chain_nodes(SI), R8
	MOVQ chain_blocks(SI), R9
	MOVQ chain_side(SI), R10
	MOVQ chain_kind(SI), R11
	MOVQ chain_instrument(SI), R12
	MOVQ chain_instrumentCount(SI), R13
	MOVQ chain_instruments(SI), R14

loop:
	MOVQ CX, R15
	ANDL $ringMask, R15
	MOVL chain_num(SI)(R15*4), AX
	SHLQ $6, AX
	ADDQ R8, AX
	MOVL order_owner(AX), DI
	SHRL $31, DI
	MOVL order_prev(AX), R15
	NODE(R15)
	MOVL order_next(AX), R15
	NODE(R15)
	MOVL order_level(AX), R15
	NODE(R15)

	// The side: an add's own, else the order's.
	MOVBLZX (R10)(CX*1), AX
	ANDL    $1, AX             // 'A' is odd, 'B' even
	CMPB    (R11)(CX*1), $const_kindAdd
	CMOVQEQ AX, DI
	MOVQ    CX, R15
	ANDL    $ringMask, R15
	MOVL    DI, chain_sides(SI)(R15*4)

	INSTRUMENT
	MOVL instrument_best(AX)(DI*4), R15
	NODE(R15)
	MOVL instrument_leaf(AX)(DI*4), R15
	BLOCK(R15, R9)
	LINES(R15)
	MOVL instrument_root(AX)(DI*4), R15
	BLOCK(R15, R9)
	LINES(R15)
	NEXT(loop)

done:
	RET

TEXT askTree<>(SB), NOSPLIT, $0-0
	ROWS
	MOVQ chain_nodes(SI), R8
	MOVQ chain_blocks(SI), R9
	MOVQ chain_instrument(SI), R12

loop:
	MOVQ CX, R13
	ANDL $ringMask, R13
	MOVL chain_sides(SI)(R13*4), DI

	// The key: of an add or a replace that of its price, else that of the level the order rests in.
	MOVL    chain_num(SI)(R13*4), AX
	SHLQ    $6, AX
	MOVL    order_level(R8)(AX*1), AX
	SHLQ    $6, AX
	MOVQ    l_key(R8)(AX*1), R10
	MOVQ    chain_price(SI), R11
	MOVQ    (R11)(CX*8), R11
	MOVQ    DI, R14
	NEGQ    R14
	XORQ    R14, R11
	SUBQ    R14, R11
	BTCQ    $63, R11
	MOVQ    $-1, R15           // of a removal the next worse level is wanted
	MOVQ    chain_kind(SI), R14
	MOVBLZX (R14)(CX*1), R14
	CMPL    R14, $const_kindReplace
	CMOVQEQ R11, R10
	CMOVQEQ BX, R15
	CMPL    R14, $const_kindAdd
	CMOVQEQ R11, R10
	CMOVQEQ BX, R15
	MOVQ    R10, chain_keys(SI)(R13*8)

	// The block: the leaf with the best prices, or for a key below that the root, which is the same when there is one leaf.
	MOVL    (R12)(CX*4), AX
	CMPQ    AX, chain_instrumentCount(SI)
	CMOVQCC BX, AX
	SHLQ    $6, AX
	ADDQ    chain_instruments(SI), AX
	MOVL    instrument_root(AX)(DI*4), R14
	MOVL    instrument_leaf(AX)(DI*4), AX
	MOVQ    AX, R11
	MOVQ    AX, DI
	BLOCK(DI, R9)
	CMPQ    R10, block_keys(DI)
	CMOVQCS R14, R11
	MOVQ    R11, DI
	BLOCK(DI, R9)
	CHILD(DI, R14)
	CMPQ    R11, AX
	JNE     below

	ADDQ    R15, R14
	CMOVQMI BX, R14
	MOVL    block_refs(DI)(R14*4), DI
	MOVL    DI, chain_found(SI)(R13*4)
	NODE(DI)
	NEXT(loop)
	RET

below:
	MOVL block_refs(DI)(R14*4), DI
	MOVQ DI, R14
	BTSQ $31, R14
	MOVL R14, chain_found(SI)(R13*4)
	BLOCK(DI, R9)
	LINES(DI)
	NEXT(loop)

done:
	RET

TEXT askTail<>(SB), NOSPLIT, $0-0
	ROWS
	MOVQ chain_nodes(SI), R8
	MOVQ chain_blocks(SI), R9

loop:
	MOVQ  CX, R13
	ANDL  $ringMask, R13
	MOVL  chain_found(SI)(R13*4), AX
	TESTL AX, AX
	JMI   below
	SHLQ  $6, AX
	MOVL  l_tail(R8)(AX*1), AX
	NODE(AX)
	NEXT(loop)
	RET

below:
	BTRQ $31, AX
	MOVQ chain_keys(SI)(R13*8), R10
	BLOCK(AX, R9)
	CHILD(AX, R14)
	MOVL block_refs(AX)(R14*4), AX
	NODE(AX)
	NEXT(loop)

done:
	RET
