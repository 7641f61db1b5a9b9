package nic

import "testing"

func FuzzParseFrame(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x81, 0, 0, 1, 8, 0, 0x45}, uint32(1))
	f.Add([]byte{0x60, 0, 0, 0, 0, 8, 17, 1}, uint32(101))
	f.Fuzz(func(t *testing.T, b []byte, link uint32) {
		var p Packet
		var c Counters
		ok := ParseFrame(b, LinkType(link), &p, &c)
		if lost := c.NotUDP + c.Fragments + c.Truncated + c.Malformed; ok == (lost == 1) || ok != (c.Packets == 1) {
			t.Fatalf("handed out %v, counted %+v", ok, c)
		}
	})
}

func TestSniff(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want FileKind
	}{
		{"", FileEmpty}, {"hello, world\n", FileText}, {"\x4d\x3c\xb2\xa1xx", FilePcap}, {"\x0a\x0d\x0d\x0axxxx", FilePcapNG},
		{"DBN\x03xxxx", FileDBN}, {"\x00\x0cS\x00", FileBinary}, {"\x00\x00S\x00", FileBinary}, {"\x00\x00", FileBinary},
		{"\xfe\xed\xfa\xce", FileUnknown}, {"\x00", FileBinary},
	} {
		if got := Sniff([]byte(tc.in)); got != tc.want {
			t.Errorf("%q is %s, want %s", tc.in, got, tc.want)
		}
	}
}
