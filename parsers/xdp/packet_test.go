package xdp

import "testing"

// TestSizes holds the table against the directory of messages (sheet section 1).
func TestSizes(t *testing.T) {
	for typ, want := range map[uint16]int{
		1: 14, 2: 16, 3: 44, 10: 24, 11: 29, 12: 14, 13: 21, 15: 20, 31: 14, 32: 20, 33: 21, 34: 46, 35: 16,
		100: 39, 101: 35, 102: 25, 103: 42, 104: 42, 106: 43, 110: 33, 111: 29, 112: 20, 113: 24, 114: 17, 223: 36,
		220: 36, 221: 24, 222: 40, 215: 36, 216: 24, 217: 40, 218: 44, 219: 40, 210: 48, 212: 52, 213: 48, 214: 44,
	} {
		for v := range versions {
			if got := Size(typ, v); got != want {
				t.Errorf("%d %s: %d bytes in version %s, want %d", typ, Name(typ), got, v, want)
			}
		}
	}
	for v, want := range map[Version][2]int{V21: {67, 38}, V24: {73, 34}, V25: {73, 34}} {
		if got := [2]int{Size(105, v), Size(140, v)}; got != want {
			t.Errorf("version %s: 105 and 140 have %d bytes, want %d", v, got, want)
		}
	}
	if len(messages) != 39 || Size(99, V25) != 0 {
		t.Errorf("%d types, 99 has %d bytes", len(messages), Size(99, V25))
	}
	for typ, m := range messages {
		for v := range versions {
			if m.need > Size(typ, v) {
				t.Errorf("%d needs %d bytes of %d in version %s", typ, m.need, Size(typ, v), v)
			}
		}
	}
}
