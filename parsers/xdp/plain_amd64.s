//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// plain (append.go) with everything that the loop needs in registers. Offsets are those of the Go files, from go_asm.h.
//
//	SI  the message         R8   table      R10  row           DX  its plan      R14  its symbol
//	R13 the one behind it   R9   plans      R11  sequence      CX  its type      R15  its symbol's scale
//	DI  the stretch         R12  columns

// How far before its use a line is asked for, in bytes: the machine's own prefetch ends at a page.
#define AHEAD 2048

#define BEGIN \
	MOVQ s+0(FP), DI                \
	MOVQ stretch_begin(DI), SI      \
	ADDQ SI, stretch_end(DI)        \ // both are places from here on
	ADDQ SI, stretch_last(DI)       \
	MOVQ stretch_table(DI), R8      \
	MOVQ stretch_plans(DI), R9      \
	MOVQ stretch_row(DI), R10       \
	MOVQ stretch_sequence(DI), R11  \
	MOVQ stretch_columns(DI), R12

// The message's size and type: AX, CX.
#define HEAD \
	CMPQ R10, stretch_stop(DI)      \
	JAE  done                       \
	CMPQ SI, stretch_last(DI)       \
	JHI  done                       \
	PREFETCHT0 AHEAD(SI)            \
	MOVL (SI), AX                   \
	MOVL AX, CX                     \
	SHRL $16, CX                    \
	MOVWLZX AX, AX

// It ends within the packet, and its symbol is in the table and mapped: BX, R14, R15.
#define SYMBOL \
	LEAQ (SI)(AX*1), R13            \
	CMPQ R13, stretch_end(DI)       \
	JHI  done                       \
	MOVL 8(SI), BX                  \
	CMPQ BX, stretch_symbols(DI)    \
	JAE  done                       \
	MOVQ BX, R14                    \
	SHLQ $const_symbolShift, R14    \
	ADDQ R8, R14                    \
	MOVQ symbol_scale(R14), R15     \
	TESTQ R15, R15                  \
	JEQ  done

// It is the one due, in a second that is known, and taken: its columns that do not depend on the type.
#define TAKE \
	MOVL 12(SI), AX                 \
	CMPL AX, symbol_next(R14)       \
	JNE  done                       \
	MOVL BX, const_atInstrument(R12)(R10*4) \
	MOVBLZX symbol_system(R14), BX  \
	MOVQ stretch_seconds(DI), R13   \
	MOVQ (R13)(BX*8), BX            \
	TESTQ BX, BX                    \
	JEQ  done                       \
	MOVL 4(SI), R13                 \
	CMPL R13, $const_second         \
	JAE  done                       \
	ADDQ R13, BX                    \
	MOVQ BX, const_atTsEvent(R12)(R10*8) \
	INCL AX                         \
	MOVL AX, symbol_next(R14)       \
	MOVQ R11, const_atSequence(R12)(R10*8) \
	ADDQ stretch_step(DI), R11

#define PUT1(value, column) MOVB value, column(R12)(R10*1)
#define PUT8(value, column) MOVQ value, column(R12)(R10*8)

#define NEXT \
	INCQ R10                        \
	MOVWLZX (SI), AX                \
	ADDQ AX, SI                     \
	JMP  loop

#define END \
	SUBQ stretch_begin(DI), SI      \
	MOVQ SI, stretch_used(DI)       \
	MOVQ R10, stretch_row(DI)       \
	RET

// func plainColumns(s *stretch)
TEXT ·plainColumns(SB), NOSPLIT, $0-8
	BEGIN

loop:
	HEAD
	CMPL CX, $0x100
	JAE  done
	MOVQ CX, DX
	SHLQ $const_planShift, DX
	ADDQ R9, DX
	CMPL AX, plan_need(DX)
	JCS  done
	SYMBOL
	MOVBLZX plan_must(DX), AX
	MOVQ (SI)(AX*1), AX
	XORQ plan_value(DX), AX
	TESTQ AX, plan_mask(DX)
	JNE  done
	TAKE
	MOVQ stretch_byType(DI), AX
	INCQ (AX)(CX*8)

	MOVBLZX plan_kind(DX), AX
	PUT1(AX, const_atKind)
	MOVBLZX plan_sub(DX), AX
	MOVBLZX (SI)(AX*1), AX
	MOVQ plan_subs(DX), BX
	MOVBLZX (BX)(AX*1), AX
	PUT1(AX, const_atSub)
	MOVBLZX plan_side(DX), AX
	MOVBLZX (SI)(AX*1), AX
	MOVQ plan_sides(DX), BX
	MOVBLZX (BX)(AX*1), AX
	PUT1(AX, const_atSide)
	MOVQ 16(SI), AX
	PUT8(AX, const_atOrderID)
	MOVBLZX plan_price(DX), AX
	MOVL (SI)(AX*1), AX
	IMULQ R15, AX
	PUT8(AX, const_atPrice)
	MOVBLZX plan_size(DX), AX
	MOVL (SI)(AX*1), AX
	PUT8(AX, const_atSize)
	MOVBLZX plan_aux(DX), AX
	MOVQ (SI)(AX*1), AX
	ANDQ plan_auxMask(DX), AX
	PUT8(AX, const_atAux)
	NEXT

done:
	END

// One side of a quote, at an offset: price AX, shares BX. Where either is 0 nobody is there. R9: UndefPrice.
#define SIDE(at) \
	MOVL at(SI), AX                 \
	MOVL (at+4)(SI), BX             \
	MOVL AX, CX                     \
	IMULQ R15, AX                   \
	TESTL BX, BX                    \
	CMOVQEQ R9, AX                  \
	TESTL CX, CX                    \
	CMOVQEQ R9, AX                  \
	CMOVQEQ CX, BX

// func quoteColumns(s *stretch)
TEXT ·quoteColumns(SB), NOSPLIT, $0-8
	BEGIN
	MOVQ $const_undefPrice, R9

loop:
	HEAD
	CMPL CX, $const_TypeQuote
	JNE  done
	CMPL AX, $34
	JCS  done
	SYMBOL
	MOVBLZX symbol_rpi(R14), AX
	CMPB 33(SI), AX
	JNE  done
	TAKE
	PUT1($const_quoteFlags, const_atFlags)
	PUT1($const_quoteKind, const_atKind)
	PUT1($0, const_atSub)
	PUT1($const_sideNone, const_atSide)
	PUT8($0, const_atAux)
	SIDE(16)
	PUT8(AX, const_atOldPrice)
	PUT8(BX, const_atOldSize)
	SIDE(24)
	PUT8(AX, const_atPrice)
	PUT8(BX, const_atSize)
	NEXT

done:
	END
