//go:build !purego && !race

#include "textflag.h"

// Stores leave an x86-64 core in program order and loads are performed in it (no non-temporal moves, no string moves
// here), so both fences of the protocol are nothing but this order of instructions. 32-byte moves need not be atomic:
// the numbers around them are what counts.
//
// A slot is whole cache lines, the first with the number in its first 8 bytes:
//
//	slot  0: number │ payload 0…55      two moves of 32 bytes at 8 and 32, which overlap by 8
//	slot 64: payload 56…119             two moves of 32 bytes, and so on

// func publishAVX2(slot unsafe.Pointer, slotBytes uintptr, first uint64, recs unsafe.Pointer, n uintptr)
TEXT ·publishAVX2(SB), NOSPLIT, $0-40
	MOVQ slot+0(FP), DI
	MOVQ slotBytes+8(FP), DX
	MOVQ first+16(FP), AX
	MOVQ recs+24(FP), SI
	MOVQ n+32(FP), CX

	// Marks: one less than the number to come.
	MOVQ DI, R8
	MOVQ CX, R9
	LEAQ -1(AX), R10
mark:
	MOVQ R10, (R8)
	INCQ R10
	ADDQ DX, R8
	DECQ R9
	JNZ  mark

	// Payloads.
	MOVQ DI, R8
	MOVQ CX, R9
payload:
	VMOVDQU (SI), Y0
	VMOVDQU 24(SI), Y1
	VMOVDQU Y0, 8(R8)
	VMOVDQU Y1, 32(R8)
	ADDQ    $56, SI
	ADDQ    $64, R8
	MOVQ    DX, R11
	SUBQ    $64, R11
	JZ      payloadNext
payloadLine:
	VMOVDQU (SI), Y0
	VMOVDQU 32(SI), Y1
	VMOVDQU Y0, (R8)
	VMOVDQU Y1, 32(R8)
	ADDQ    $64, SI
	ADDQ    $64, R8
	SUBQ    $64, R11
	JNZ     payloadLine
payloadNext:
	DECQ R9
	JNZ  payload

	// Numbers, ascending.
number:
	MOVQ AX, (DI)
	INCQ AX
	ADDQ DX, DI
	DECQ CX
	JNZ  number
	VZEROUPPER
	RET

// func pollAVX2(slot unsafe.Pointer, slotBytes uintptr, next uint64, dst unsafe.Pointer, n uintptr) (whole uintptr)
TEXT ·pollAVX2(SB), NOSPLIT, $0-48
	MOVQ slot+0(FP), SI
	MOVQ slotBytes+8(FP), DX
	MOVQ next+16(FP), AX
	MOVQ dst+24(FP), DI
	MOVQ n+32(FP), CX
	XORQ BX, BX
	MOVQ (SI), R10
	CMPQ R10, AX
	JNE  empty
slot:
	VMOVDQU 8(SI), Y0
	VMOVDQU 32(SI), Y1
	VMOVDQU Y0, (DI)
	VMOVDQU Y1, 24(DI)
	LEAQ    64(SI), R8
	ADDQ    $56, DI
	MOVQ    DX, R11
	SUBQ    $64, R11
	JZ      again
line:
	VMOVDQU (R8), Y0
	VMOVDQU 32(R8), Y1
	VMOVDQU Y0, (DI)
	VMOVDQU Y1, 32(DI)
	ADDQ    $64, R8
	ADDQ    $64, DI
	SUBQ    $64, R11
	JNZ     line
again:
	MOVQ (SI), R10
	CMPQ R10, AX
	JNE  done
	INCQ BX
	INCQ AX
	MOVQ R8, SI
	DECQ CX
	JZ   done
	MOVQ (SI), R10
	CMPQ R10, AX
	JEQ  slot
done:
	VZEROUPPER
empty:
	MOVQ BX, whole+40(FP)
	RET

// func storePairPlain(at unsafe.Pointer, number, ts uint64)
TEXT ·storePairPlain(SB), NOSPLIT, $0-24
	MOVQ at+0(FP), DI
	MOVQ number+8(FP), AX
	MOVQ ts+16(FP), BX
	MOVQ BX, 8(DI)
	MOVQ AX, (DI)
	RET
