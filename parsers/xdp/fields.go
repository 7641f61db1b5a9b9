package xdp

import (
	"strings"
)

// field is one field of a message: kind is that of the table in layout.go.
type field struct {
	name  string
	kind  byte
	at    int
	width int
}

// layouts are the fields by version and type. Printing goes by them, decoding (append.go) does not: each is the other's check.
var layouts = func() (all [versions]map[uint16][]field) {
	for v := range versions {
		all[v] = make(map[uint16][]field, len(messages))
		for typ, m := range messages {
			all[v][typ] = cut(m.base + m.tails[v])
		}
	}
	return all
}()

// cut reads a text of fields as layout.go has them.
func cut(text string) (fields []field) {
	at := MessageHeaderBytes
	for entry := range strings.SplitSeq(text, ",") {
		name, kind, _ := strings.Cut(strings.TrimSpace(entry), " ")
		f := field{name: name, kind: kind[0], at: at, width: 1}
		if digits := kind[1:]; digits != "" {
			f.width = 0
			for _, c := range digits {
				f.width = f.width*10 + int(c-'0')
			}
		}
		fields = append(fields, f)
		at += f.width
	}
	return fields
}

// Size is the msg_size that a type has in the documents of a version, 0 for a type that is not known. 105 and 140 had other sizes within
// version 2.1: 73 bytes from XDP 2.2 on, and 34 from BBO 2.4d on. The short form of 35 has 8.
func Size(typ uint16, v Version) int {
	switch {
	case typ == TypeImbalance && v == V21:
		return 67
	case typ == TypeQuote && v != V21:
		return 34
	}
	fields := layouts[v][typ]
	if len(fields) == 0 {
		return 0
	}
	last := fields[len(fields)-1]
	return last.at + last.width
}

// Name is a type's name, empty for one that is not known.
func Name(typ uint16) string { return messages[typ].name }
