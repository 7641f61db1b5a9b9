package xdp

import (
	"strings"
	"testing"
)

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

func TestLooks(t *testing.T) {
	data := msg(102, 1, 5, 1, uint64(8), byte(0))
	late := packet(DeliveryOriginal, 5, data)
	late[15] = 0xFF // more nanoseconds than a second has
	lie := packet(DeliveryOriginal, 5, data)
	lie[3] = 2
	for _, tc := range []struct {
		name string
		p    []byte
		want int
	}{
		{"data", packet(DeliveryOriginal, 5, data), 95},
		{"one of two is known", packet(DeliveryOriginal, 5, []byte{4, 0, 99, 0}, data), 95},
		{"a request", packet(DeliveryOriginal, 5, msg(12, "TENLETTERS")), 95},
		{"types that are not known", packet(DeliveryOriginal, 5, []byte{4, 0, 99, 0}), 30},
		{"known, but too short to be it", packet(DeliveryOriginal, 5, []byte{4, 0, 102, 0}), 30},
		{"heartbeat", packet(DeliveryHeartbeat, 5), 50},
		{"flag 14", packet(14, 5, data), 0},
		{"count", lie, 0},
		{"time", late, 0},
		{"size", append(packet(DeliveryOriginal, 5, data), 0), 0},
		{"nothing", nil, 0},
	} {
		if got := Looks(tc.p); got != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, got, tc.want)
		}
	}
}

// TestOriginal: each byte of an ordinary packet's header that makes it another kind, and lengths that do not add up.
func TestOriginal(t *testing.T) {
	data := packet(DeliveryOriginal, 5, msg(102, 1, 5, 1, uint64(8), byte(0)))
	if _, _, _, _, ok := Original(data); !ok {
		t.Error("an ordinary packet is refused")
	}
	agree(t, data)
	for flag := range 256 {
		data[2] = byte(flag)
		agree(t, data)
	}
	data[2] = DeliveryOriginal
	for _, count := range []byte{0, 1, 255} {
		data[3] = count
		agree(t, data)
	}
	for n := range len(data) + 1 {
		agree(t, data[:n])
	}
	agree(t, packet(DeliveryOriginal, 5))
	// So long that its length has bits of a flag.
	long := make([]byte, 0x0B_0014)
	copy(long, []byte{0x14, 0, DeliveryOriginal, 1})
	agree(t, long)
}

func TestEachMessage(t *testing.T) {
	data, cut, stray := msg(102, 1, 5, 1, uint64(8), byte(0)), msg(102, 1, 5), []byte{5, 0, 99, 0, 7}
	all := packet(DeliveryOriginal, 7, data, cut, stray, data)
	got := ""
	err := EachMessage(all, "", func(sequence uint64, typ string, raw, fields []byte, err error) bool {
		got += typ + " "
		if err != nil {
			got += "(" + err.Error() + ": " + string(fields) + ") "
		}
		return sequence < 9
	})
	want := `delete_order delete_order (xdp: message 102 (delete_order) has 12 bytes, want 24 at least: {"source_time_ns":1,"symbol_index":5}) 99 `
	if err != nil || got != want {
		t.Errorf("%v\ngot  %s\nwant %s", err, got, want)
	}
	none := func(uint64, string, []byte, []byte, error) bool { return true }
	bad := packet(DeliveryOriginal, 7, data, data)
	bad[16] = 3
	more := packet(DeliveryOriginal, 7, data, stray)
	more[3] = 1
	for _, tc := range []struct {
		p    []byte
		v    string
		want string
	}{
		{all[:20], "", "pkt_size 83 of 20 bytes, delivery_flag 11, number_msgs 4"},
		{all[:3], "", "3 bytes"},
		{all, "9", `version "9" is not known`},
		{bad, "", "message 1 of 2 at byte 16 is not whole: msg_size 3 with 50 bytes left, want 4 at least"},
		{more, "", "5 bytes follow the last of 1 messages"},
	} {
		if err := EachMessage(tc.p, tc.v, none); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v, want %s", err, tc.want)
		}
	}
}
