// Package bpf holds the XDP program that steers market data to AF_XDP sockets: its source in C, the object that clang made
// of it, and the Go that loads it. Building tickwire needs no compiler for C; `go generate ./bpf` needs clang and llvm-strip, and
// continuous integration compares what they make with what is committed.
//
//	rx.bpf.c    the decision, drawn at its top; kernel.h is all that it includes
//	meta.go     what it puts in front of a packet
//
// The program is under the Apache license like the rest; "Dual BSD/GPL" is what the kernel has to read to let it call the
// helpers it calls.
package bpf

//go:generate go tool bpf2go -go-package bpf -no-global-types -target bpfel -cflags "-O2 -g -Wall -Werror" rx rx.bpf.c
