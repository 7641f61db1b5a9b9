package ringbuf

import (
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Go, tickring.h and ABI.md say the same of the files beside the rings, byte by byte.

// field is one field of a drawn layout.
type field struct{ offset, bytes int }

var typeBytes = map[string]int{"u8": 1, "i8": 1, "char": 1, "u16": 2, "u32": 4, "i32": 4, "u64": 8, "i64": 8}

// abiTable reads the rows of the first table below a heading or sentence of ABI.md: "| 96 | i32, i32 | … |".
func abiTable(t *testing.T, below string) (all []field, text map[int]string) {
	t.Helper()
	abi, err := os.ReadFile("ABI.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(abi), below)
	if !ok {
		t.Fatalf("ABI.md has no %q", below)
	}
	_, rest, _ = strings.Cut(rest, "|---|---|---|\n")
	text = map[int]string{}
	array := regexp.MustCompile(`^(\w+)\[(\d+)\]$`)
	for line := range strings.Lines(rest) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			break
		}
		at, err := strconv.Atoi(strings.TrimSpace(cells[1]))
		if err != nil { // a range that is reserved
			first, last, _ := strings.Cut(strings.TrimSpace(cells[1]), "–")
			from, err := strconv.Atoi(first)
			to, err2 := strconv.Atoi(last)
			if err != nil || err2 != nil {
				t.Fatalf("ABI.md: %q is no offset", cells[1])
			}
			all = append(all, field{from, to - from + 1})
			continue
		}
		text[at] = strings.TrimSpace(cells[3])
		for _, name := range strings.Split(strings.TrimSpace(cells[2]), ", ") {
			bytes, count := typeBytes[name], 1
			if m := array.FindStringSubmatch(name); m != nil {
				bytes = typeBytes[m[1]]
				count, _ = strconv.Atoi(m[2])
			}
			if bytes == 0 {
				t.Fatalf("ABI.md: %q is no type", name)
			}
			all = append(all, field{at, bytes * count})
			at += bytes * count
		}
	}
	return all, text
}

// TestInstLayout: the fields of an entry in Go's struct, in C as compiled, and in ABI.md.
func TestInstLayout(t *testing.T) {
	var inGo []field
	for i := range reflect.TypeFor[Inst]().NumField() {
		f := reflect.TypeFor[Inst]().Field(i)
		inGo = append(inGo, field{int(f.Offset), int(f.Type.Size())})
	}
	for _, compiler := range [][2]string{{"gcc", "c99"}, {"g++", "c++11"}} {
		out, err := exec.Command(buildC(t, compiler[0], compiler[1], "testdata/sideoffsets.c")).Output()
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if len(lines) != len(inGo) {
			t.Fatalf("%s: %d fields, Go has %d", compiler[0], len(lines), len(inGo))
		}
		for i, line := range lines {
			var name string
			var f field
			if _, err := fmt.Sscan(line, &name, &f.offset, &f.bytes); err != nil || f != inGo[i] {
				t.Errorf("%s: %s, Go has %s at %d with %d bytes (%v)", compiler[0], line, reflect.TypeFor[Inst]().Field(i).Name, inGo[i].offset, inGo[i].bytes, err)
			}
		}
	}
	drawn, _ := abiTable(t, "### `.inst`")
	want := []field{{0, 8}}
	for _, f := range inGo {
		want = append(want, field{f.offset + 8, f.bytes})
	}
	if !reflect.DeepEqual(drawn, want) {
		t.Errorf("ABI.md draws\n%v\nGo has\n%v", drawn, want)
	}
}

// TestSideHeaderLayout: the header page and the control lines, in Go's constants, in the header's and in ABI.md.
func TestSideHeaderLayout(t *testing.T) {
	header, err := os.ReadFile("c/tickring.h")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^#define (TW_(?:SIDE|SNAP|INST|LAST|STATS)_\w+) (\d+)`).FindAllStringSubmatch(string(header), -1) {
		got[m[1]], _ = strconv.Atoi(m[2])
	}
	want := map[string]int{
		"TW_SIDE_OFF_MAGIC": sideMagic, "TW_SIDE_OFF_ABI": sideABI, "TW_SIDE_OFF_HEADER_BYTES": sideHeaderLen, "TW_SIDE_OFF_BYTE_ORDER": sideByteOrder,
		"TW_SIDE_OFF_ENTRY_BYTES": sideEntryBytes, "TW_SIDE_OFF_CAPACITY": sideCapacity, "TW_SIDE_OFF_OFFSET": sideOffset,
		"TW_SIDE_OFF_FILE_BYTES": sideFileBytes, "TW_SIDE_OFF_PID": sidePid, "TW_SIDE_OFF_CREATED": sideCreated, "TW_SIDE_OFF_UUID": sideUUID,
		"TW_SIDE_OFF_NAME": sideName, "TW_SIDE_OFF_GENERATION": sideGeneration, "TW_SIDE_OFF_STATE": sideState, "TW_SIDE_OFF_COUNT": sideCount,
		"TW_SIDE_OFF_ACTIVE": snapActive, "TW_SIDE_OFF_HEARTBEAT": sideHeartbeat,
	}
	_, drawn := abiTable(t, "## 2a. Files beside the rings")
	word := map[string]string{
		"TW_SIDE_OFF_MAGIC": "magic", "TW_SIDE_OFF_ABI": "ABI", "TW_SIDE_OFF_HEADER_BYTES": "header bytes", "TW_SIDE_OFF_BYTE_ORDER": "byte order",
		"TW_SIDE_OFF_ENTRY_BYTES": "entry bytes", "TW_SIDE_OFF_CAPACITY": "capacity", "TW_SIDE_OFF_OFFSET": "offset", "TW_SIDE_OFF_FILE_BYTES": "file bytes",
		"TW_SIDE_OFF_PID": "pid", "TW_SIDE_OFF_CREATED": "creation", "TW_SIDE_OFF_UUID": "UUID", "TW_SIDE_OFF_NAME": "name",
		"TW_SIDE_OFF_GENERATION": "generation", "TW_SIDE_OFF_STATE": "state", "TW_SIDE_OFF_COUNT": "entries in use", "TW_SIDE_OFF_ACTIVE": "`.snap`",
		"TW_SIDE_OFF_HEARTBEAT": "heartbeat",
	}
	if len(drawn) != len(want) {
		t.Errorf("ABI.md draws %d fields of the header page, Go has %d", len(drawn), len(want))
	}
	for name, at := range want {
		if !strings.HasPrefix(drawn[at], word[name]) {
			t.Errorf("ABI.md has %q at %d, want %s", drawn[at], at, word[name])
		}
	}
	for name, v := range map[string]int{
		"TW_SIDE_HEADER": sideHeaderBytes, "TW_SNAP_CONTROL": snapControl, "TW_SNAP_LINE": snapLine, "TW_INST_ENTRY": instEntryBytes, "TW_INST_NAMED": int(InstNamed),
		"TW_INST_TEST": int(InstTest), "TW_LAST_ENTRY": lastEntryBytes, "TW_SNAP_ENTRY": snapRecord, "TW_STATS_ENTRY": statsEntryBytes, "TW_STATS_OFF_KIND": 8, "TW_STATS_OFF_NAME": 16,
	} {
		want[name] = v
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("tickring.h has\n%v\nGo has\n%v", got, want)
	}
	for magic, bytes := range map[string]int{instMagic: instEntryBytes, lastMagic: lastEntryBytes, snapMagic: snapRecord, statsMagic: statsEntryBytes} {
		if !strings.Contains(drawn[sideMagic], magic) || !strings.Contains(drawn[sideEntryBytes], strconv.Itoa(bytes)) || !strings.Contains(string(header), `"`+magic+`"`) {
			t.Errorf("%s with entries of %d bytes is missing in ABI.md or tickring.h", magic, bytes)
		}
	}
	line, _ := abiTable(t, "### `.snap`")
	if !reflect.DeepEqual(line, []field{{0, 8}, {8, 8}, {16, 8}, {24, 8}, {32, 8}, {40, 8}}) {
		t.Errorf("ABI.md draws a control line as %v", line)
	}
	value, _ := abiTable(t, "### `.last`")
	if !reflect.DeepEqual(value, []field{{0, 8}, {8, lastWords * 8}}) {
		t.Errorf("ABI.md draws a last value as %v", value)
	}
	stat, _ := abiTable(t, "### `.stats`")
	if !reflect.DeepEqual(stat, []field{{0, 8}, {8, 1}, {9, 7}, {16, statsNameBytes}}) {
		t.Errorf("ABI.md draws a counter as %v", stat)
	}
}
