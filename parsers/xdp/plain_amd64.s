//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// plain (append.go) with everything that the loop needs in registers. Offsets are those of the Go files, from go_asm.h.
//
//	SI  the message         R8   table      R10  row           DX  its plan      R14  its symbol
//	R13 the one behind it   R9   plans      R11  sequence      CX  its type      R15  its symbol's scale
//	DI  the stretch         R12  seconds

// How far before its use a line is asked for, in bytes: the machine's own prefetch ends at a page.
#define AHEAD 2048

// func plainColumns(s *stretch)
TEXT ·plainColumns(SB), NOSPLIT, $0-8
	MOVQ s+0(FP), DI
	MOVQ stretch_begin(DI), SI
	ADDQ SI, stretch_end(DI)  // both are places now
	ADDQ SI, stretch_last(DI)
	MOVQ stretch_table(DI), R8
	MOVQ stretch_plans(DI), R9
	MOVQ stretch_row(DI), R10
	MOVQ stretch_sequence(DI), R11
	MOVQ stretch_seconds(DI), R12

loop:
	CMPQ R10, stretch_stop(DI)
	JAE  done
	CMPQ SI, stretch_last(DI)
	JHI  done
	PREFETCHT0 AHEAD(SI)

	// Its size and its type.
	MOVL (SI), AX
	CMPL AX, $0x1000000
	JAE  done
	MOVL AX, CX
	SHRL $16, CX
	MOVWLZX AX, AX
	MOVQ CX, DX
	SHLQ $const_planShift, DX
	ADDQ R9, DX
	CMPL AX, plan_need(DX)
	JCS  done
	LEAQ (SI)(AX*1), R13
	CMPQ R13, stretch_end(DI)
	JHI  done

	// Its symbol, which is mapped, of whom it is the message that is due, and plain.
	MOVL 8(SI), BX
	CMPQ BX, stretch_symbols(DI)
	JAE  done
	MOVQ BX, R14
	SHLQ $const_symbolShift, R14
	ADDQ R8, R14
	MOVQ symbol_scale(R14), R15
	TESTQ R15, R15
	JEQ  done
	MOVBLZX plan_must(DX), AX
	MOVQ (SI)(AX*1), AX
	XORQ plan_value(DX), AX
	TESTQ AX, plan_mask(DX)
	JNE  done
	MOVL 12(SI), AX
	CMPL AX, symbol_next(R14)
	JNE  done

	// Its time, in a second that is known. BX is free from the instrument on.
	MOVQ stretch_instrument(DI), R13
	MOVL BX, (R13)(R10*4)
	MOVBLZX symbol_system(R14), BX
	MOVQ (R12)(BX*8), BX
	TESTQ BX, BX
	JEQ  done
	MOVL 4(SI), R13
	CMPL R13, $const_second
	JAE  done
	ADDQ R13, BX
	MOVQ stretch_tsEvent(DI), R13
	MOVQ BX, (R13)(R10*8)

	// It is taken.
	INCL AX
	MOVL AX, symbol_next(R14)
	MOVQ stretch_byType(DI), AX
	INCQ (AX)(CX*8)
	MOVQ stretch_seq(DI), AX
	MOVQ R11, (AX)(R10*8)
	ADDQ stretch_step(DI), R11
	MOVQ stretch_flags(DI), AX
	MOVB $0, (AX)(R10*1)
	MOVBLZX plan_kind(DX), BX
	MOVQ stretch_kind(DI), AX
	MOVB BX, (AX)(R10*1)

	MOVBLZX plan_sub(DX), AX
	MOVBLZX (SI)(AX*1), AX
	MOVL $3, BX
	CMPL AX, BX
	CMOVLHI BX, AX
	MOVBLZX plan_subs(DX)(AX*1), AX
	MOVQ stretch_sub(DI), BX
	MOVB AX, (BX)(R10*1)

	MOVBLZX plan_side(DX), AX
	MOVBLZX (SI)(AX*1), AX
	MOVBLZX plan_sideMask(DX), BX
	ANDL BX, AX
	MOVQ stretch_sides(DI), BX
	MOVBLZX (BX)(AX*1), AX
	MOVQ stretch_side(DI), BX
	MOVB AX, (BX)(R10*1)

	MOVQ 16(SI), AX
	MOVQ stretch_orderID(DI), BX
	MOVQ AX, (BX)(R10*8)

	MOVBLZX plan_price(DX), AX
	MOVL (SI)(AX*1), AX
	IMULQ R15, AX
	MOVQ stretch_price(DI), BX
	MOVQ AX, (BX)(R10*8)

	MOVBLZX plan_size(DX), AX
	MOVL (SI)(AX*1), AX
	MOVQ stretch_size(DI), BX
	MOVQ AX, (BX)(R10*8)

	MOVBLZX plan_aux(DX), AX
	MOVQ (SI)(AX*1), AX
	ANDQ plan_auxMask(DX), AX
	MOVQ stretch_aux(DI), BX
	MOVQ AX, (BX)(R10*8)

	INCQ R10
	MOVWLZX (SI), AX
	ADDQ AX, SI
	JMP  loop

done:
	SUBQ stretch_begin(DI), SI
	MOVQ SI, stretch_used(DI)
	MOVQ R10, stretch_row(DI)
	RET
