//go:build !purego

#include "textflag.h"

// func spin(last, limit, deadline uint64) (from, to, loops uint64)
TEXT ·spin(SB), NOSPLIT, $0-48
	MOVD last+0(FP), R1
	MOVD limit+8(FP), R2
	MOVD deadline+16(FP), R3
	MOVD $0, R4

loop:
	MRS CNTVCT_EL0, R0
	ADD $1, R4
	SUB R1, R0, R5
	CMP R2, R5
	BHI out
	CMP R3, R0
	BHS out
	MOVD R0, R1
	B   loop

out:
	MOVD R1, from+24(FP)
	MOVD R0, to+32(FP)
	MOVD R4, loops+40(FP)
	RET

// func least(n uint64) (ticks uint64)
TEXT ·least(SB), NOSPLIT, $0-16
	MOVD n+0(FP), R2
	MOVD $-1, R3
	MRS  CNTVCT_EL0, R1

next:
	MRS  CNTVCT_EL0, R0
	SUB  R1, R0, R4
	MOVD R0, R1
	CMP  R3, R4
	CSEL LO, R4, R3, R3
	SUB  $1, R2
	CBNZ R2, next
	MOVD R3, ticks+8(FP)
	RET

// func now() uint64
TEXT ·now(SB), NOSPLIT, $0-8
	MRS  CNTVCT_EL0, R0
	MOVD R0, ret+0(FP)
	RET
