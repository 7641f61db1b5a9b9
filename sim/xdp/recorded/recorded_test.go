package recorded

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/tickwire/tickwire/nic/pace"
	"github.com/tickwire/tickwire/nic/pcap"
	wire "github.com/tickwire/tickwire/parsers/xdp"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/sim/xdp"
	"github.com/tickwire/tickwire/sim/xdp/xdptest"
	"github.com/tickwire/tickwire/sim/xdpgen"
)

const count = 20_000

func newGen(t testing.TB) *xdpgen.Gen {
	t.Helper()
	g, err := xdpgen.New(xdpgen.Options{Messages: count, Symbols: 30, Seed: 6, Version: wire.V25})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// messages are the session's, one behind the other.
func messages(t testing.TB) (b []byte) {
	g := newGen(t)
	for ok := true; ok; {
		b, ok = g.Next(b)
	}
	return b
}

// TestPlay: a recorded day with lossy lines is played with the numbers it had, first copies in order, and what neither line has is counted.
func TestPlay(t *testing.T) {
	var file bytes.Buffer
	if err := xdpgen.WritePcap(&file, newGen(t), itchgen.Lines{Seed: 1, LossA: 500, LossB: 500}, nil); err != nil {
		t.Fatal(err)
	}
	all := map[uint64][]byte{}
	for n, b := uint64(1), messages(t); len(b) > 0; n++ {
		all[n], b = wire.Next(b)
	}
	for _, groups := range [][]netip.AddrPort{nil, {xdp.GroupA, xdp.GroupB}, {xdp.GroupB}} {
		r, err := pcap.NewReader(bytes.NewReader(file.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		p, err := pace.Parse("recorded")
		if err != nil {
			t.Fatal(err)
		}
		given, last, lastTs := uint64(0), uint64(0), uint64(0)
		done, err := Play(r, groups, p, 1_000_000_000_000, func(ts uint64, packet []byte, sure bool) error {
			h, blocks, err := wire.ParsePacket(packet)
			if err != nil || ts < lastTs || h.SendNs() != 1_000_000_000_000+ts || sure != (h.Kind == wire.PacketReset) {
				t.Fatalf("%+v at %d: %v", h, ts, err)
			}
			lastTs = ts
			for n := uint64(h.Sequence); len(blocks) > 0; n++ {
				var m []byte
				if m, blocks = wire.Next(blocks); n <= last || !bytes.Equal(m, all[n]) {
					t.Fatalf("message %d behind %d is another one", n, last)
				}
				last = n
				given++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if given != done.Messages || given+done.Missing != count || done.Missing == 0 || (done.Strays > 0) != (len(groups) == 1) {
			t.Errorf("%v: %d given, %+v", groups, given, done)
		}
		if most := uint64(count / 50); len(groups) != 1 && done.Missing > most {
			t.Errorf("%d are missing, want at most %d", done.Missing, most)
		}
	}
}

// TestFile: a venue plays a capture, and knows at its end what the capture has.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "day.pcap")
	var file bytes.Buffer
	if err := xdpgen.WritePcap(&file, newGen(t), itchgen.Lines{}, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	var done Counters
	o := xdp.Options{Packets: File(path, nil, func(c Counters) { done = c }), Pace: "max", Version: wire.V25, Product: xdpgen.Product, Channel: 1}
	o.Lines.A.Group, o.Lines.B.Group = xdptest.Group(t, 21), xdptest.Group(t, 22)
	v, err := xdp.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if err := v.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if done.Messages != count || done.Missing != 0 || v.Record().Next() != count+1 || len(v.Record().Symbols()) != 30 || v.Counters().Messages != count {
		t.Errorf("%+v, next %d", done, v.Record().Next())
	}
}
