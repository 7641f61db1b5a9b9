//go:build !purego

#include "textflag.h"

// func spin(last, limit, deadline uint64) (from, to, loops uint64)
TEXT ·spin(SB), NOSPLIT, $0-48
	MOVQ last+0(FP), R8
	MOVQ limit+8(FP), R9
	MOVQ deadline+16(FP), R10
	XORQ R11, R11

loop:
	RDTSC
	SHLQ $32, DX
	ORQ  DX, AX
	INCQ R11
	MOVQ AX, BX
	SUBQ R8, BX
	CMPQ BX, R9
	JHI  out
	CMPQ AX, R10
	JCC  out
	MOVQ AX, R8
	JMP  loop

out:
	MOVQ R8, from+24(FP)
	MOVQ AX, to+32(FP)
	MOVQ R11, loops+40(FP)
	RET

// func least(n uint64) (ticks uint64)
TEXT ·least(SB), NOSPLIT, $0-16
	MOVQ  n+0(FP), R9
	MOVQ  $-1, R10
	RDTSC
	SHLQ  $32, DX
	ORQ   DX, AX
	MOVQ  AX, R8

next:
	RDTSC
	SHLQ    $32, DX
	ORQ     DX, AX
	MOVQ    AX, BX
	SUBQ    R8, BX
	MOVQ    AX, R8
	CMPQ    BX, R10
	CMOVQCS BX, R10
	DECQ    R9
	JNE     next
	MOVQ    R10, ticks+8(FP)
	RET

// func now() uint64
TEXT ·now(SB), NOSPLIT, $0-8
	RDTSC
	SHLQ $32, DX
	ORQ  DX, AX
	MOVQ AX, ret+0(FP)
	RET
