package pcap

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/tickwire/tickwire/internal/testvec"
	"github.com/tickwire/tickwire/nic"
)

var (
	groupA = netip.MustParseAddrPort("233.54.12.111:26477")
	groupB = netip.MustParseAddrPort("233.49.196.111:26477")
	sender = netip.MustParseAddrPort("10.0.0.1:4000")
)

// got is a packet with its data kept.
type got struct {
	nic.Packet
	data []byte
}

func readAll(r *Reader) (all []got, err error) {
	burst := make([]nic.Packet, 3) // small, so that several polls are needed
	for {
		n, err := r.Poll(burst)
		for _, p := range burst[:n] {
			all = append(all, got{p, bytes.Clone(p.Data)})
		}
		if err != nil {
			if err == io.EOF {
				err = nil
			}
			return all, err
		}
	}
}

func TestVectors(t *testing.T) {
	dir := testvec.Dir(t, "nasdaq")
	text, err := os.ReadFile(filepath.Join(dir, "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var files map[string][]struct {
		Frame    uint64
		Time     uint64 `json:"capture_time_ns"`
		VLAN     uint16
		Src, Dst string
		Length   int `json:"udp_payload_length"`
	}
	if err := json.Unmarshal(text, &files); err != nil {
		t.Fatal(err)
	}
	if len(files) != 23 {
		t.Fatalf("%d captures", len(files))
	}
	for name, want := range files {
		r, err := Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		packets, err := readAll(r)
		if err != nil || len(packets) != len(want) {
			t.Fatalf("%s: %d packets, want %d; %v", name, len(packets), len(want), err)
		}
		for i, p := range packets {
			w := want[i]
			if p.Frame != w.Frame || p.TsRecv != w.Time || p.VLAN != w.VLAN || p.Src.String() != w.Src || p.Group.String() != w.Dst || len(p.data) != w.Length {
				t.Errorf("%s: %+v, want %+v", name, p.Packet, w)
			}
		}
		wantBad := uint64(0)
		if strings.Contains(name, "20230822") && want[0].Src == "0.0.0.0:0" {
			wantBad = uint64(len(want)) // rewritten captures have no IPv4 checksum
		}
		if r.Counters().BadChecksum != wantBad {
			t.Errorf("%s: %d bad checksums, want %d", name, r.Counters().BadChecksum, wantBad)
		}
		r.Close()
	}
}

func sample(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	w := NewWriter(&out)
	for i, group := range []netip.AddrPort{groupA, groupB, groupA} {
		if err := w.WriteUDP(1_700_000_000_000_000_007+uint64(i)*1000, sender, group, uint16(i), []byte{byte(i), 2, 3}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func check(t *testing.T, name string, in []byte, unit uint64) {
	t.Helper()
	r, err := NewReader(bytes.NewReader(in))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	defer r.Close()
	packets, err := readAll(r)
	if err != nil || len(packets) != 3 {
		t.Fatalf("%s: %d packets, %v", name, len(packets), err)
	}
	for i, p := range packets {
		ts := (1_700_000_000_000_000_007 + uint64(i)*1000) / unit * unit
		group, line := groupA, uint8(0)
		if i == 1 {
			group, line = groupB, 1
		}
		if p.TsRecv != ts || p.Group != group || p.Src != sender || p.VLAN != uint16(i) || p.Line != line || p.Frame != uint64(i+1) || !bytes.Equal(p.data, []byte{byte(i), 2, 3}) {
			t.Errorf("%s: packet %d: %+v %v", name, i, p.Packet, p.data)
		}
	}
	if c := r.Counters(); c.BadChecksum != 0 || c.Packets != 3 {
		t.Errorf("%s: %+v", name, c)
	}
}

func TestRoundTrip(t *testing.T) {
	plain := sample(t)
	check(t, "plain", plain, 1)
	var gz bytes.Buffer
	z := gzip.NewWriter(&gz)
	z.Write(plain)
	z.Close()
	check(t, "gzip", gz.Bytes(), 1)
	zw, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	check(t, "zstd", zw.EncodeAll(plain, nil), 1)
	// Microseconds, and the other byte order.
	micro := bytes.Clone(plain)
	binary.LittleEndian.PutUint32(micro, 0xA1B2C3D4)
	for at := 24; at < len(micro); at += 16 + int(binary.LittleEndian.Uint32(micro[at+8:])) {
		binary.LittleEndian.PutUint32(micro[at+4:], binary.LittleEndian.Uint32(micro[at+4:])/1000)
	}
	check(t, "µs", micro, 1000)
	big := bytes.Clone(plain)
	swap := func(at int) {
		binary.BigEndian.PutUint32(big[at:], binary.LittleEndian.Uint32(big[at:]))
	}
	for at := 24; at < len(big); {
		n := int(binary.LittleEndian.Uint32(big[at+8:]))
		for k := range 4 {
			swap(at + 4*k)
		}
		at += 16 + n
	}
	swap(0)
	swap(16)
	swap(20)
	check(t, "big-endian", big, 1)
}

// ng builds a pcapng of the sample's frames, with the unit of time given.
func ng(t testing.TB, order binary.AppendByteOrder, resolution byte, perSec uint64, kinds []uint32) []byte {
	t.Helper()
	block := func(dst []byte, kind uint32, body []byte) []byte {
		for len(body)%4 != 0 {
			body = append(body, 0)
		}
		dst = order.AppendUint32(dst, kind)
		dst = order.AppendUint32(dst, uint32(12+len(body)))
		dst = append(dst, body...)
		return order.AppendUint32(dst, uint32(12+len(body)))
	}
	section := order.AppendUint32(nil, 0x1A2B3C4D)
	section = append(section, 0, 1, 0, 0)
	section = append(section, bytes.Repeat([]byte{0xFF}, 8)...)
	out := block(nil, blockSection, section)
	out = block(out, 0x0BAD, []byte("a block that nobody knows"))
	iface := order.AppendUint16(nil, 1)
	iface = order.AppendUint16(iface, 0)
	iface = order.AppendUint32(iface, 0)
	iface = order.AppendUint16(iface, 9)
	iface = order.AppendUint16(iface, 1)
	iface = append(iface, resolution, 0, 0, 0)
	iface = order.AppendUint32(iface, 0)
	out = block(out, blockIface, iface)
	frames := sample(t)[24:]
	for _, kind := range kinds {
		n := int(binary.LittleEndian.Uint32(frames[8:]))
		sec, ns := uint64(binary.LittleEndian.Uint32(frames)), uint64(binary.LittleEndian.Uint32(frames[4:]))
		units := sec*perSec + ns*perSec/1_000_000_000
		frame := frames[16 : 16+n]
		var b []byte
		switch kind {
		case blockEnhanced, blockOld:
			if kind == blockEnhanced {
				b = order.AppendUint32(b, 0)
			} else {
				b = order.AppendUint16(b, 0)
				b = order.AppendUint16(b, 9)
			}
			b = order.AppendUint32(b, uint32(units>>32))
			b = order.AppendUint32(b, uint32(units))
			b = order.AppendUint32(b, uint32(n))
		}
		b = order.AppendUint32(b, uint32(n))
		out = block(out, kind, append(b, frame...))
		frames = frames[16+n:]
	}
	return out
}

func TestNextGeneration(t *testing.T) {
	three := []uint32{blockEnhanced, blockEnhanced, blockEnhanced}
	check(t, "ns little", ng(t, binary.LittleEndian, 9, 1e9, three), 1)
	check(t, "ns big", ng(t, binary.BigEndian, 9, 1e9, three), 1)
	check(t, "µs old blocks", ng(t, binary.LittleEndian, 6, 1e6, []uint32{blockOld, blockOld, blockOld}), 1000)
	r, err := NewReader(bytes.NewReader(ng(t, binary.LittleEndian, 0x80|30, 1<<30, three)))
	if err != nil {
		t.Fatal(err)
	}
	packets, err := readAll(r)
	if err != nil || len(packets) != 3 || packets[0].TsRecv/1000 != 1_700_000_000_000_000 {
		t.Errorf("2^-30 s: %v %v", packets, err)
	}
	r, err = NewReader(bytes.NewReader(ng(t, binary.LittleEndian, 6, 1e6, []uint32{blockSimple})))
	if err != nil {
		t.Fatal(err)
	}
	if packets, err = readAll(r); err != nil || len(packets) != 1 || packets[0].TsRecv != 0 {
		t.Errorf("simple packets have no time: %v %v", packets, err)
	}
	// Two sections one after the other, of different byte order.
	both := append(ng(t, binary.LittleEndian, 9, 1e9, three), ng(t, binary.BigEndian, 9, 1e9, three)...)
	r, err = NewReader(bytes.NewReader(both))
	if err != nil {
		t.Fatal(err)
	}
	if packets, err = readAll(r); err != nil || len(packets) != 6 || packets[5].TsRecv != packets[2].TsRecv {
		t.Errorf("two sections: %d packets, %v", len(packets), err)
	}
}

// Whatever is wrong is said with packet and byte, and what came before it was handed out.
func TestBadInput(t *testing.T) {
	good := sample(t)
	second := 24 + 16 + int(binary.LittleEndian.Uint32(good[24+8:]))
	goodNG := ng(t, binary.LittleEndian, 9, 1e9, []uint32{blockEnhanced, blockEnhanced, blockEnhanced})
	for _, tc := range []struct {
		name    string
		in      []byte
		packets int
		want    error
		saying  string
	}{
		{"empty", nil, 0, nic.ErrEmpty, "empty"},
		{"text", []byte("time,symbol,price\n1,ABC,2\n"), 0, nic.ErrText, "text"},
		{"rubbish", bytes.Repeat([]byte{0xFE, 0x01}, 40), 0, ErrNotCapture, "magic"},
		{"header cut", good[:20], 0, io.ErrUnexpectedEOF, "cut off"},
		{"link type", func() []byte { b := bytes.Clone(good); b[20] = 105; return b }(), 0, nil, "link type 105"},
		{"record header cut", good[:second+7], 1, io.ErrUnexpectedEOF, "packet 2 at byte"},
		{"frame cut", good[:len(good)-1], 2, io.ErrUnexpectedEOF, "1 bytes are missing"},
		{"captured length", func() []byte { b := bytes.Clone(good); b[second+11] = 0x7F; return b }(), 1, ErrLength, "packet 2 at byte"},
		{"ng block cut", goodNG[:len(goodNG)-3], 2, io.ErrUnexpectedEOF, "packet 3"},
		{"ng lengths differ", func() []byte { b := bytes.Clone(goodNG); b[len(b)-1] = 1; return b }(), 2, ErrBlock, "two lengths"},
		{"ng block length", func() []byte { b := bytes.Clone(goodNG); b[4] = 13; return b }(), 0, ErrBlock, "length 13"},
		{"ng byte order", func() []byte { b := bytes.Clone(goodNG); b[8] = 0; return b }(), 0, ErrBlock, "byte order"},
	} {
		r, err := NewReader(bytes.NewReader(tc.in))
		var packets []got
		if err == nil {
			packets, err = readAll(r)
		}
		if err == nil || !strings.Contains(err.Error(), tc.saying) || tc.want != nil && !errors.Is(err, tc.want) || len(packets) != tc.packets {
			t.Errorf("%s: %d packets, then %v; want %d, then %v saying %q", tc.name, len(packets), err, tc.packets, tc.want, tc.saying)
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none.pcap")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// Frames that carry no UDP payload for us are counted, each under its reason, and their neighbours are handed out.
func TestFramesAreCounted(t *testing.T) {
	good := nic.AppendFrame(nil, sender, groupA, 0, []byte("abc"))
	change := func(at int, v byte) []byte { b := bytes.Clone(good); b[at] = v; return b }
	six := append(bytes.Clone(good[:12]), 0x86, 0xDD, 0x60, 0, 0, 0, 0, 19, 0, 1) // hop-by-hop first
	six = append(six, netip.MustParseAddr("fe80::1").AsSlice()...)
	six = append(six, netip.MustParseAddr("ff02::5").AsSlice()...)
	six = append(six, 17, 0, 1, 4, 0, 0, 0, 0)
	six = append(six, good[34:]...)
	var out bytes.Buffer
	w := NewWriter(&out)
	for _, frame := range [][]byte{good, change(23, 6), change(20, 0x20), change(13, 6), good[:13], good[:30], change(14, 0x41), change(38, 200), change(24, 0xAA), six} {
		if err := w.WriteFrame(1, frame); err != nil {
			t.Fatal(err)
		}
	}
	w.Flush()
	r, err := NewReader(&out)
	if err != nil {
		t.Fatal(err)
	}
	packets, err := readAll(r)
	if err != nil {
		t.Fatal(err)
	}
	c := *r.Counters()
	if len(packets) != 3 || c.Frames != 10 || c.Packets != 3 || c.NotUDP != 2 || c.Fragments != 1 || c.BadChecksum == 0 {
		t.Errorf("%d packets, %+v", len(packets), c)
	}
	if len(packets) == 3 && packets[2].Group.String() != "[ff02::5]:26477" {
		t.Errorf("IPv6 behind an extension header: %+v", packets[2].Packet)
	}
	if got := c.Packets + c.NotUDP + c.Fragments + c.Malformed + r.Counters().Truncated; got != c.Frames {
		t.Errorf("%d frames accounted for, want %d", got, c.Frames)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(sample(f))
	f.Add(ng(f, binary.LittleEndian, 9, 1e9, []uint32{blockEnhanced, blockOld, blockSimple}))
	f.Add(ng(f, binary.BigEndian, 0x80|30, 1<<30, []uint32{blockEnhanced}))
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := NewReader(bytes.NewReader(in))
		if err != nil {
			return
		}
		defer r.Close()
		burst := make([]nic.Packet, 16)
		for range 1 << 16 {
			n, err := r.Poll(burst)
			if n > len(burst) {
				t.Fatal(n)
			}
			if err != nil {
				return
			}
		}
		t.Fatal("no end")
	})
}
