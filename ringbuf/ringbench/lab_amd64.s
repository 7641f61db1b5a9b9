//go:build !purego

#include "textflag.h"

// Publication of a run of 64-byte slots (ringbuf/run_amd64.s), with one thing changed each; lab.go says what.

// PREFETCHW (R8): the line is wanted to be written.
#define PREFETCHW_R8 BYTE $0x41; BYTE $0x0f; BYTE $0x0d; BYTE $0x08

// func labPrefetch(slot unsafe.Pointer, n uintptr)
TEXT ·labPrefetch(SB), NOSPLIT, $0-16
	MOVQ slot+0(FP), R8
	MOVQ n+8(FP), CX
loop:
	PREFETCHW_R8
	ADDQ $64, R8
	DECQ CX
	JNZ  loop
	RET

// func labPublish(slot unsafe.Pointer, first uint64, recs unsafe.Pointer, n uintptr)
TEXT ·labPublish(SB), NOSPLIT, $0-32
	MOVQ slot+0(FP), DI
	MOVQ first+8(FP), AX
	MOVQ recs+16(FP), SI
	MOVQ n+24(FP), CX

	MOVQ DI, R8
	MOVQ CX, R9
	LEAQ -1(AX), R10
mark:
	MOVQ R10, (R8)
	INCQ R10
	ADDQ $64, R8
	DECQ R9
	JNZ  mark

	MOVQ DI, R8
	MOVQ CX, R9
payload:
	VMOVDQU (SI), Y0
	VMOVDQU 24(SI), Y1
	VMOVDQU Y0, 8(R8)
	VMOVDQU Y1, 32(R8)
	ADDQ    $56, SI
	ADDQ    $64, R8
	DECQ    R9
	JNZ     payload

number:
	MOVQ AX, (DI)
	INCQ AX
	ADDQ $64, DI
	DECQ CX
	JNZ  number
	VZEROUPPER
	RET

// func labPublishNT(slot unsafe.Pointer, first uint64, recs unsafe.Pointer, n uintptr)
//
// Non-temporal stores are not ordered with others: both fences become SFENCE. The first 8 bytes of a line have the mark
// meanwhile, so the payload goes in as 8-byte and 32-byte moves behind it.
TEXT ·labPublishNT(SB), NOSPLIT, $0-32
	MOVQ slot+0(FP), DI
	MOVQ first+8(FP), AX
	MOVQ recs+16(FP), SI
	MOVQ n+24(FP), CX

	MOVQ DI, R8
	MOVQ CX, R9
	LEAQ -1(AX), R10
markNT:
	MOVQ R10, (R8)
	INCQ R10
	ADDQ $64, R8
	DECQ R9
	JNZ  markNT
	SFENCE

	MOVQ DI, R8
	MOVQ CX, R9
payloadNT:
	MOVQ     (SI), R10
	MOVQ     8(SI), R11
	MOVQ     16(SI), R12
	VMOVDQU  24(SI), Y1
	MOVNTIQ  R10, 8(R8)
	MOVNTIQ  R11, 16(R8)
	MOVNTIQ  R12, 24(R8)
	VMOVNTDQ Y1, 32(R8)
	ADDQ     $56, SI
	ADDQ     $64, R8
	DECQ     R9
	JNZ      payloadNT
	SFENCE

numberNT:
	MOVQ AX, (DI)
	INCQ AX
	ADDQ $64, DI
	DECQ CX
	JNZ  numberNT
	VZEROUPPER
	RET
