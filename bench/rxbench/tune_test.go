package rxbench

import (
	"testing"
	"time"

	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/afxdp"
)

func TestTune(t *testing.T) {
	b := &bench{o: Options{ReceiverCore: 1, LoadCore: 0}, dir: t.TempDir()}
	b.libxdp, _ = buildLibxdp(b.dir)
	mk := func(ring, frames int, bare bool) func() (poller, error) {
		return func() (poller, error) {
			r := &ours{packets: make([]nic.Packet, batch)}
			var err error
			r.source, err = r.host.Open(afxdp.Options{Groups: []afxdp.Group{{Group: group, Interface: "feed0"}}, Mode: afxdp.Copy, Least: afxdp.Copy, Ring: ring, Frames: frames, NoStamps: bare})
			return r, err
		}
	}
	variants := []struct {
		name string
		open func() (poller, error)
	}{{"default", mk(0, 0, false)}, {"bare", mk(0, 0, true)}, {"asavie", openAsavie(1)}, {"asavie0", openAsavie(0)}, {"libxdp", nil}, {"libxdp-all", nil}}
	res := map[string][]float64{}
	los := map[string][]float64{}
	for range *runs {
		for _, v := range variants {
			p, err := netns.NewPair("bench", netns.Options{})
			if err != nil {
				t.Fatal(err)
			}
			var r running
			if v.open == nil {
				r, err = startLibxdp(p.Rx, b.libxdp, 1, 0, v.name == "libxdp-all")
			} else {
				r, err = start(p.Rx, 1, false, v.open)
			}
			if err != nil {
				t.Fatal(err)
			}
			err = p.Tx.Do(func() error {
				pin(0)
				l, err := newLive(p.Tx, frame(), nil)
				if err != nil {
					return err
				}
				defer l.Close()
				o := bout{receiver: r, load: l, span: time.Second}
				if _, err := o.try(100000, 0); err != nil {
					return err
				}
				for range 4 {
					x, err := o.try(200000, 0)
					if err != nil {
						return err
					}
					res[v.name] = append(res[v.name], x.rate)
					los[v.name] = append(los[v.name], float64(x.sent-x.received))
				}
				return nil
			})
			r.stop()
			p.Close()
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, v := range variants {
		best := 0.0
		for _, x := range res[v.name] {
			best = max(best, x)
		}
		t.Logf("%-12s median %.0f best %.0f (%.0f ns) median lost %.0f", v.name, median(res[v.name]), best, 1e9/best, median(los[v.name]))
	}
}
