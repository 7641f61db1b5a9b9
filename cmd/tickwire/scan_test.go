package main

import (
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/tickwire/tickwire/feed/process"
	"github.com/tickwire/tickwire/nic/pcap"
	"github.com/tickwire/tickwire/parsers/iex"
)

// TestScanNumbersAsALane: IEX has no instrument numbers, so those in the header of what convert writes must be those that the lane gives: by the order of
// the messages, not of the packets, and without what another product's packets name.
func TestScanNumbersAsALane(t *testing.T) {
	path := filepath.Join(t.TempDir(), "20260105.pcap")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := pcap.NewWriter(f)
	send := func(at uint64, group string, protocol uint16, sequence uint64, symbol string) {
		m := make([]byte, 38) // a trade
		m[0], m[1], m[18], m[22] = 'T', 0, 100, 1
		copy(m[2:], "\x00\x00\x00\x00\x00\x00\x88\x18")
		copy(m[10:18], symbol+"        ")
		p := iex.AppendHeader(nil, &iex.Header{Protocol: protocol, Channel: 1, Session: 9, Count: 1, Sequence: sequence})
		p = append(append(p, 38, 0), m...)
		iex.Finish(p)
		if err := w.WriteUDP(1_767_623_400_000_000_000+at*1000, netip.MustParseAddrPort("192.0.2.1:4000"), netip.MustParseAddrPort(group), 0, p); err != nil {
			t.Fatal(err)
		}
	}
	const deep, tops = "233.215.21.4:10378", "233.215.21.3:10377"
	send(0, deep, iex.ProtocolDEEPPlus, 1, "AAA")
	send(1, tops, iex.ProtocolTOPS, 1, "ZZZ")
	send(2, deep, iex.ProtocolDEEPPlus, 3, "CCC") // overtook the one before
	send(3, deep, iex.ProtocolDEEPPlus, 2, "BBB")
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	s, err := scanCapture(path, process.CaptureOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if want := map[uint32]string{1: "AAA", 2: "BBB", 3: "CCC"}; !maps.Equal(s.names, want) {
		t.Errorf("%v, want %v", s.names, want)
	}
}
