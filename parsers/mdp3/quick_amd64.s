//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// book and orderBook (book.go), tradeSummary (trade.go) and volume (limits.go) for messages of the common shape, which quick_amd64.go draws, with what the loop
// needs in registers. Offsets are those of the Go files, from go_asm.h.
//
//	SI the message    R10 the entry            R12 its instrument     R8 row              R14 price, then anything
//	DX the decoder    R11 behind the levels    R13 behind the orders  R9 Decoder.here     R15 size, then anything
//	DI the first column, from which the others have constant distances               CX quickTables

#define NULL 0x7FFFFFFF // of 32 bits; what is larger, unsigned, is negative

// How far before its use a line is asked for, in bytes: the machine's own prefetch ends at a page.
#define AHEAD 2048

#define PUT1(value, column) MOVB value, column(DI)(R8*1)
#define PUT8(value, column) MOVQ value, column(DI)(R8*8)

// The message is there, of a version that is known, and there is room for its rows: R13 is its end, AX its blockLength and templateId.
#define HEAD \
	CMPQ SI, most-16(SP)            \
	JHI  done                       \
	MOVWLZX (SI), BX                \
	PREFETCHT0 AHEAD(SI)            \
	PREFETCHT0 (AHEAD+64)(SI)       \
	LEAQ (SI)(BX*1), R13            \
	CMPQ R13, end-8(SP)             \
	JHI  done                       \
	CMPQ R8, $const_quickRows       \
	JGT  done                       \
	MOVL 6(SI), AX                  \ // schemaId, version
	CMPL AX, Decoder_usual(DX)      \
	JNE  unusual                    \
usual:                              \
	MOVL 2(SI), AX

// begin (event.go), without a branch that depends on where events end: whether they do is anybody's guess.
#define BEGIN \
	MOVQ 10(SI), AX                 \
	MOVQ Decoder_start(DX), R14     \
	MOVQ Decoder_time(DX), R15      \
	CMPB Decoder_open(DX), $0       \
	CMOVQEQ R8, R14                 \
	CMOVQEQ AX, R15                 \
	CMPQ AX, R15                    \
	JNE  done                       \
	MOVQ R14, Decoder_start(DX)     \
	MOVQ AX, Decoder_time(DX)       \
	MOVB $1, Decoder_open(DX)       \
	MOVQ R8, Decoder_before(DX)     \
	INCQ (Decoder_Counters+Counters_Messages)(DX)

// The instrument of number AX: R12. One that was not met in this session is other's. Slot 0, which is nobody's, was never met.
#define FIND(probe, miss, other) \
	IMUL3L $-1640531527, AX, BX     \ // hash (instrument.go)
	MOVQ (Decoder_of+instruments_shift)(DX), R15 \
	SHRXL R15, BX, BX               \
	MOVQ (Decoder_of+instruments_index)(DX), R14 \
probe:                              \
	CMPL 4(R14)(BX*8), AX           \
	JNE  miss                       \
	MOVL (R14)(BX*8), R12           \
	ADDQ (Decoder_of+instruments_slots)(DX), R12 \
	TESTB $const_seen, instrument_flags(R12) \
	JEQ  other

// What FIND does where the index has another instrument in its place.
#define MISS(probe, miss, other) \
miss:                               \
	CMPQ (R14)(BX*8), $0            \
	JEQ  other                      \
	INCL BX                         \
	MOVL (Decoder_of+instruments_index+8)(DX), R15 \
	DECL R15                        \
	ANDL R15, BX                    \
	JMP  probe

// factor.price (price.go) of R14, where all is well with it; AX and R15 are lost.
#define PRICE(other) \
	IMULQ instrument_inverse(R12), R14 \
	MOVQ instrument_bias(R12), R15  \
	LEAQ (R14)(R15*1), AX           \
	ADDQ R15, R15                   \
	CMPQ AX, R15                    \
	JHI  other                      \
	MOVBLZX instrument_shift(R12), R15 \
	BZHIQ R15, AX, AX               \
	JNE  other                      \
	SARXQ R15, R14, R14             \
	IMULQ instrument_num(R12), R14

// Columns of any row.
#define SHARED \
	PUT8(R14, const_atPrice)     \
	PUT8(R15, const_atSize)      \
	MOVL instrument_id(R12), R14    \
	MOVL R14, const_atInstrument(DI)(R8*4) \
	MOVQ 10(SI), R14                \
	PUT8(R14, const_atTsEvent)   \
	MOVQ Decoder_sequence(DX), R15  \
	PUT8(R15, const_atSequence)

// mark (event.go). No row is held back while this runs (quick), and its instrument is seen: there are no flags to change.
#define MARK(chain, alone) \
	MOVQ (instrument_chain+8*chain)(R12), R14 \
	SUBQ R9, R14                    \ // a row of this batch and event, or a large number
	CMPQ R14, $const_maxRows        \
	JCC  alone                      \
	MOVBLZX const_atFlags(DI)(R14*1), AX \
	MOVBLZX (quickTables_goesOn+256*chain)(CX)(AX*1), AX \
	MOVB AX, const_atFlags(DI)(R14*1) \
alone:                              \
	LEAQ (R9)(R8*1), AX             \
	MOVQ AX, (instrument_chain+8*chain)(R12)

// order: R10 begins with its id and priority. AX is its action, BX quickTables.codes of its entry.
#define ORDER(sizeAt, sized, alone, other) \
	CMPB BX, $const_kindLevel       \
	JNE  other                      \
	CMPL AX, $3                     \
	JCC  other                      \
	CMPQ (R10), $-1                 \
	JEQ  other                      \
	CMPQ 8(R10), $-1                \
	JEQ  other                      \
	MOVL sizeAt(R10), R15           \
	CMPL R15, $NULL                 \
	JCS  sized                      \
	CMPL AX, $2                     \
	JNE  other                      \ // what is deleted needs no size
	XORL R15, R15                   \
sized:                              \
	SHARED                          \
	SHRL $8, BX                     \
	PUT1(BX, const_atSide)       \
	MOVBLZX quickTables_kinds(CX)(AX*1), BX \
	PUT1(BX, const_atKind)       \
	MOVQ quickTables_masks(CX)(AX*8), BX \
	MOVQ 8(R10), AX                 \
	MOVQ AX, R14                    \
	ANDQ BX, R14                    \
	PUT8(R14, const_atAux)       \
	MOVQ (R10), R14                 \
	PUT8(R14, const_atOrderID)   \
	ANDL $const_modifyTail, BX      \
	XORL R15, R15                   \
	MOVQ instrument_top(R12), R14   \
	TESTQ R14, R14                  \
	CMOVLEQ R15, BX                 \ // no order's number is known yet
	CMPQ AX, R14                    \
	CMOVLLS R15, BX                 \ // it kept its place
	CMOVQLS R14, AX                 \
	MOVQ AX, instrument_top(R12)    \
	PUT1(BX, const_atSub)        \
	PUT1($const_flagsOrder, const_atFlags) \
	MARK(const_chainOrders, alone)  \
	INCQ R8

// func quickColumns(d *Decoder, out *tick.Batch, begin unsafe.Pointer, size uint64) (used, way uint64)
TEXT ·quickColumns(SB), NOSPLIT, $32-48
	MOVQ d+0(FP), DX
	MOVQ out+8(FP), AX
	MOVQ begin+16(FP), SI
	MOVQ size+24(FP), BX
	ADDQ SI, BX
	MOVQ BX, end-8(SP)
	SUBQ $const_quickLeast, BX
	MOVQ BX, most-16(SP)
	MOVQ const_batchKind(AX), DI
	MOVQ const_batchN(AX), R8
	MOVL Decoder_event(DX), R9
	SHLQ $32, R9
	MOVL Decoder_batch(DX), AX
	SHLQ $const_rowBits, AX
	ORQ  AX, R9
	LEAQ ·tables(SB), CX
	MOVQ $0, way+40(FP)

message:
	HEAD
	CMPL AX, $const_bookHead
	JNE  alone

	CMPW 21(SI), $const_levelBytes
	JNE  done
	MOVBLZX 23(SI), AX
	CMPL AX, $255
	JEQ  done
	SHLQ $const_levelShift, AX
	LEAQ const_entryAt(SI)(AX*1), R11
	LEAQ 8(R11), R10
	CMPQ R10, R13
	JHI  done
	CMPW (R11), $const_orderBytes
	JNE  done
	MOVBLZX 7(R11), AX
	CMPL AX, $255
	JEQ  done
	LEAQ (AX)(AX*2), AX
	LEAQ (R10)(AX*8), AX
	CMPQ AX, R13
	JHI  done
	MOVQ AX, R13
	BEGIN
	LEAQ const_entryAt(SI), R10
	CMPQ R10, R11
	JEQ  orders

level:
	MOVL 12(R10), AX
	FIND(levelProbe, levelMiss, oddLevel)
	MOVQ R10, R15
	SUBQ SI, R15
	SHRQ $1, R15 // 12 + 16 × the entry's number
	MOVQ R12, (Decoder_met-12)(DX)(R15*1)
	MOVL 16(R10), AX
	CMPL AX, instrument_rpt(R12)
	JNE  oddLevel
	MOVBLZX 26(R10), BX
	MOVWLZX quickTables_codes(CX)(BX*2), BX
	TESTL BX, BX
	JEQ  oddLevel
	MOVL BX, (Decoder_met-12+8)(DX)(R15*1)
	MOVL R8, (Decoder_met-12+12)(DX)(R15*1)
	CMPB 25(R10), $3 // ranges, and an overlay, are rare
	JCC  oddLevel
	CMPB 24(R10), $0
	JEQ  oddLevel
	MOVQ (R10), R14
	PRICE(oddLevel)
	MOVL 8(R10), R15
	CMPL R15, $NULL
	JCC  oddLevel
	INCL instrument_rpt(R12)
	SHARED
	PUT1(BX, const_atKind)
	MOVL BX, AX
	SHRL $8, AX
	PUT1(AX, const_atSide)
	MOVBLZX 25(R10), AX
	MOVBLZX quickTables_subs(CX)(AX*1), AX
	PUT1(AX, const_atSub)
	MOVL 16(R10), AX
	PUT8(AX, const_atOrderID)
	XORL R15, R15
	MOVL 20(R10), AX
	CMPL AX, $NULL
	CMOVLCC R15, AX
	SHLQ $32, AX
	MOVBLZX 24(R10), R14
	ORQ  R14, AX
	PUT8(AX, const_atAux)
	MOVBLZX BX, AX
	MOVBLZX quickTables_flags(CX)(AX*1), AX
	PUT1(AX, const_atFlags)
	CMPB BX, $const_kindLevel
	JNE  levelDone // implied: of no chain
	MARK(const_chainLevels, levelAlone)

levelDone:
	INCQ R8
	ADDQ $const_levelBytes, R10
	CMPQ R10, R11
	JNE  level

orders:
	LEAQ 8(R11), R10
	CMPQ R10, R13
	JEQ  over

order:
	MOVBLZX 20(R10), AX // of the level, from 1
	LEAL -1(AX), R15
	MOVBLZX 23(SI), R14
	CMPL R15, R14
	JCC  oddOrder
	SHLL $4, AX
	MOVQ (Decoder_met-16)(DX)(AX*1), R12
	MOVL (Decoder_met-16+8)(DX)(AX*1), BX
	MOVL (Decoder_met-16+12)(DX)(AX*1), R14
	MOVQ const_atPrice(DI)(R14*8), R14
	MOVBLZX 21(R10), AX
	ORDER(16, orderSized, orderAlone, oddOrder)
	ADDQ $const_orderBytes, R10
	CMPQ R10, R13
	JNE  order

over: // end (event.go), in the same way
	MOVBLZX 18(SI), AX
	SHRL $const_endShift, AX
	ADDL AX, Decoder_event(DX)
	MOVL AX, BX
	XORL $1, BX
	MOVB BX, Decoder_open(DX)
	SHLQ $32, AX
	ADDQ AX, R9
	MOVWLZX (SI), AX
	ADDQ AX, SI
	JMP  message

alone:
	CMPL AX, $const_aloneHead
	JNE  trades
	CMPW 21(SI), $const_aloneBytes
	JNE  done
	MOVBLZX 23(SI), AX
	CMPL AX, $255
	JEQ  done
	LEAQ const_entryAt(SI), R10
	LEAQ (AX)(AX*4), AX
	LEAQ (R10)(AX*8), AX
	CMPQ AX, R13
	JHI  done
	MOVQ AX, R13
	BEGIN
	CMPQ R10, R13
	JEQ  over

aloneOrder:
	MOVL 28(R10), AX
	FIND(aloneProbe, aloneMiss, oddAlone)
	MOVQ 16(R10), R14
	PRICE(oddAlone)
	MOVBLZX 33(R10), BX
	MOVWLZX quickTables_codes(CX)(BX*2), BX
	MOVBLZX 32(R10), AX
	ORDER(24, aloneSized, aloneAlone, oddAlone)
	ADDQ $const_aloneBytes, R10
	CMPQ R10, R13
	JNE  aloneOrder
	JMP  over

trades:
	CMPL AX, $const_tradesHead
	JNE  volumes
	CMPW 21(SI), $const_tradeBytes
	JNE  done
	MOVBLZX 23(SI), AX
	CMPL AX, $255
	JEQ  done
	SHLQ $const_levelShift, AX
	LEAQ const_entryAt(SI)(AX*1), R11
	LEAQ 8(R11), R10
	CMPQ R10, R13
	JHI  done
	CMPW (R11), $const_fillBytes
	JNE  done
	MOVBLZX 7(R11), AX
	CMPL AX, $255
	JEQ  done
	SHLQ $const_fillShift, AX
	LEAQ (R10)(AX*1), AX
	CMPQ AX, R13
	JHI  done
	MOVQ AX, R13
	MOVQ R11, last-32(SP)
	MOVQ R10, R11 // from here on the order entry that comes next
	BEGIN
	LEAQ const_entryAt(SI), R10
	CMPQ R10, last-32(SP)
	JEQ  tradesOver

trade:
	MOVL 12(R10), AX
	FIND(tradeProbe, tradeMiss, oddTrade)
	MOVL 16(R10), AX
	CMPL AX, instrument_rpt(R12)
	JNE  oddTrade
	CMPB 25(R10), $0
	JNE  oddTrade
	CMPL 26(R10), $-1 // without an id
	JEQ  oddTrade
	MOVL 20(R10), BX
	XORL R14, R14
	CMPL BX, $NULL
	CMOVLCC R14, BX
	SHLQ $const_fillShift, BX
	ADDQ R11, BX
	CMPQ BX, R13
	JHI  oddTrade // some of its orders come in another message
	MOVQ BX, fills-24(SP)
	MOVQ (R10), R14
	PRICE(oddTrade)
	MOVL 8(R10), R15
	CMPL R15, $NULL
	JHI  oddTrade
	INCL instrument_rpt(R12)
	SHARED
	MOVBLZX 24(R10), BX
	MOVWLZX quickTables_sides(CX)(BX*2), BX
	PUT1(BX, const_atSide)
	PUT1($const_kindTrade, const_atKind)
	PUT1($0, const_atSub)
	MOVL 26(R10), AX
	PUT8(AX, const_atAux)
	XORL AX, AX
	CMPB BX, $const_sideNone
	JEQ  tradeOrder
	CMPQ R11, fills-24(SP)
	JEQ  tradeOrder
	MOVQ (R11), AX
	ADDQ $const_fillBytes, R11

tradeOrder:
	PUT8(AX, const_atOrderID)
	PUT1($0, const_atFlags)
	MARK(const_chainOrders, tradeAlone)
	MARK(const_chainLevels, tradeLevelsAlone)
	INCQ R8
	SHRL $8, BX
	CMPQ R11, fills-24(SP)
	JEQ  tradeDone

fill:
	MOVQ (const_atPrice-8)(DI)(R8*8), R14 // of the row before: the trade's, or another fill's
	MOVL 8(R11), R15
	CMPL R15, $NULL
	JHI  oddFill
	SHARED
	PUT1(BX, const_atSide)
	PUT1($const_kindFill, const_atKind)
	PUT1($0, const_atSub)
	MOVL 26(R10), AX
	PUT8(AX, const_atAux)
	MOVQ (R11), AX
	PUT8(AX, const_atOrderID)
	PUT1($const_flagsOrder, const_atFlags)
	MARK(const_chainOrders, fillAlone)
	INCQ R8
	ADDQ $const_fillBytes, R11
	CMPQ R11, fills-24(SP)
	JNE  fill

tradeDone:
	ADDQ $const_tradeBytes, R10
	CMPQ R10, last-32(SP)
	JNE  trade

tradesOver:
	SUBQ R11, R13
	SHRQ $const_fillShift, R13
	ADDQ R13, (Decoder_Counters+Counters_FillsUnplaced)(DX)
	JMP  over

volumes:
	CMPL AX, $const_volumesHead
	JNE  done
	CMPW 21(SI), $const_volumeBytes
	JNE  done
	MOVBLZX 23(SI), AX
	CMPL AX, $255
	JEQ  done
	LEAQ const_entryAt(SI), R10
	SHLQ $const_volumeShift, AX
	ADDQ R10, AX
	CMPQ AX, R13
	JHI  done
	MOVQ AX, R13
	BEGIN
	CMPQ R10, R13
	JEQ  over

volume:
	MOVL 4(R10), AX
	FIND(volumeProbe, volumeMiss, oddVolume)
	MOVL 8(R10), AX
	CMPL AX, instrument_rpt(R12)
	JNE  oddVolume
	INCL instrument_rpt(R12)
	MOVQ $const_undefPrice, R14
	XORL R15, R15
	SHARED // it leaves Sequence in R15
	PUT1($const_kindStatistics, const_atKind)
	PUT1($0, const_atSub)
	PUT1($const_sideNone, const_atSide)
	PUT1($const_flagMore, const_atFlags)
	XORL BX, BX
	PUT8(BX, const_atOrderID)
	MOVQ out+8(FP), R14
	MOVQ const_batchStatisticsN(R14), AX
	MOVL AX, BX
	BTSQ $32, BX // one entry
	PUT8(BX, const_atAux)
	LEAQ (AX)(AX*4), BX
	SHLQ $4, BX // entries of 80 bytes
	ADDQ const_batchStatistics(R14), BX
	INCQ AX
	MOVQ AX, const_batchStatisticsN(R14)
	MOVL 4(R10), AX
	SHLQ $32, AX
	ORQ  $const_statHeader, AX
	MOVQ AX, 0(BX)
	MOVQ 10(SI), AX
	MOVQ AX, 8(BX)
	MOVQ $0, 16(BX)
	MOVQ $-1, 24(BX)
	MOVQ $const_undefPrice, AX
	MOVQ AX, 32(BX)
	MOVLQSX (R10), AX
	MOVQ AX, 40(BX)
	MOVL R15, R15
	MOVQ R15, 48(BX)
	XORL AX, AX
	CMPB 12(R10), $2
	SETEQ AX
	INCL AX // statNew, statDelete
	SHLL $16, AX
	MOVWLZX (Decoder_opts+Options_Channel)(DX), R14
	ORL  R14, AX
	SHLQ $16, AX
	ORQ  $const_statVolume, AX
	MOVQ AX, 56(BX)
	MOVQ $0, 64(BX)
	MOVQ $0, 72(BX)
	INCQ R8
	ADDQ $const_volumeBytes, R10
	CMPQ R10, R13
	JNE  volume
	MOVQ out+8(FP), R14
	MOVQ const_batchStatisticsN(R14), AX // sidesFull
	ADDQ const_batchExtsN(R14), AX
	ADDQ const_batchDefinitionsN(R14), AX
	ADDQ const_batchStatusesN(R14), AX
	CMPQ AX, $(const_sideRows-const_roomSides)
	JLE  over
	MOVQ $0, most-16(SP) // no more messages
	JMP  over

	MISS(levelProbe, levelMiss, oddLevel)
	MISS(aloneProbe, aloneMiss, oddAlone)
	MISS(tradeProbe, tradeMiss, oddTrade)
	MISS(volumeProbe, volumeMiss, oddVolume)

unusual: // of another version than the one before, or of another schema
	MOVL AX, BX
	SUBL $const_SchemaID, BX
	RORL $16, BX
	CMPL BX, $const_builtin // another schema makes it larger than any version
	JHI  done
	CMPW BX, Decoder_exact(DX)
	JEQ  done
	MOVL AX, Decoder_usual(DX)
	JMP  usual

oddLevel:
	MOVQ $const_oddLevel, way+40(FP)
	JMP  odd

oddOrder:
	MOVQ $const_oddOrder, way+40(FP)
	JMP  odd

oddAlone:
	MOVQ $const_oddAlone, way+40(FP)
	JMP  odd

oddFill:
	MOVQ $const_oddFill, way+40(FP)
	JMP  odd

oddVolume:
	MOVQ $const_oddVolume, way+40(FP)
	JMP  odd

oddTrade:
	MOVQ $const_oddTrade, way+40(FP)
	SUBQ SI, R11
	MOVQ R11, Decoder_fill(DX)

odd:
	SUBQ SI, R10
	MOVQ R10, Decoder_entry(DX)

done:
	MOVQ out+8(FP), AX
	MOVQ R8, const_batchN(AX)
	SUBQ begin+16(FP), SI
	MOVQ SI, used+32(FP)
	RET
