package protocol

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/tickwire/tickwire/internal/testvec"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/pcap"
)

// packetsOf are the packets of all captures below a folder of vectors.
func packetsOf(t testing.TB, venue string) (all [][]byte) {
	t.Helper()
	err := filepath.WalkDir(testvec.Dir(t, venue), func(path string, e fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".pcap" {
			return err
		}
		r, err := pcap.Open(path)
		if err != nil {
			return err
		}
		defer r.Close()
		packets := make([]nic.Packet, 64)
		for {
			n, err := r.Poll(packets)
			for i := range packets[:n] {
				all = append(all, bytes.Clone(packets[i].Data))
			}
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestRecognise: each real packet is its venue's, and no other protocol claims it; what is left of it when it is cut, or bytes of it are damaged, is the
// venue's or nobody's.
func TestRecognise(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for venue, want := range map[string]*Protocol{"nyse": XDP, "iex": IEX, "cme": MDP3} {
		packets := packetsOf(t, venue)
		if len(packets) == 0 {
			t.Errorf("%s: no packets", venue)
		}
		for _, p := range packets {
			for _, other := range All {
				if other.Looks == nil {
					continue
				}
				if n := other.Looks(p, netip.AddrPort{}); (n != 0) != (other == want) {
					t.Errorf("%s: %s says %d of % x", venue, other.Name, n, p[:min(24, len(p))])
				}
			}
			for range 2000 {
				m := bytes.Clone(p)
				if r.IntN(3) == 0 {
					m = m[:r.IntN(len(m)+1)]
				}
				for range r.IntN(4) {
					if len(m) > 0 {
						m[r.IntN(len(m))] = byte(r.Uint32())
					}
				}
				if got := Recognise(m, netip.AddrPort{}); got != nil && got != want && !(venue == "iex" && got == IEXTops) {
					t.Fatalf("%s: damaged, it is taken for %s: % x", venue, got.Name, m[:min(40, len(m))])
				}
			}
		}
	}
}
