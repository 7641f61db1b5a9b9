package process

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/internal/netns/nstest"
)

// TestLossReport: messages that never came are told of with what each place between the wire and the lane counted meanwhile: nothing where they were lost before the
// wire, and the place that lost them where it was ours. To lose on purpose the process is stopped while packets come.
func TestLossReport(t *testing.T) {
	p := nstest.Pair(t, netns.Options{Pairs: 2})
	for _, tc := range []struct {
		source, lost string // the attribute that has what was lost here
		packets      uint64 // more than there is room for
	}{{"afxdp", "ring_full", 20_000}, {"udp", "buffer_full", 150_000}} {
		t.Run(tc.source, func(t *testing.T) {
			r := spawn(t, p, t.TempDir(), "source = \""+tc.source+"\"\n")
			w := plug(t, p)
			next := uint64(1)
			send := func(n uint64) {
				t.Helper()
				for ; n > 0; n, next = n-1, next+1 {
					_, err := w.lines[0].Send([][]byte{packet(next, 1)})
					must(t, err)
				}
			}
			told := func(reports int) map[string]uint64 {
				t.Helper()
				for until := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
					lines := regexp.MustCompile(`messages were lost.*`).FindAllString(r.said.String(), -1)
					if len(lines) >= reports {
						values := map[string]uint64{}
						for _, m := range regexp.MustCompile(`(\w+)=(\d+)`).FindAllStringSubmatch(lines[reports-1], -1) {
							values[m[1]], _ = strconv.ParseUint(m[2], 10, 64)
						}
						return values
					}
					if time.Now().After(until) {
						t.Fatalf("%d reports, want %d; the process said:\n%s", len(lines), reports, r.said)
					}
				}
			}
			send(100)
			r.wait(t, "0.channel.0.messages", 100)
			next += 7 // the venue's, or the network's
			send(50)
			v := told(1)
			if v["messages"] != 7 || v["received"] != 150 || v["wire"] < 150 || v["damaged"]+v["no_room"]+v["ring_full"]+v["dropped"]+v["buffer_full"] != 0 {
				t.Errorf("%v", v)
			}
			if tc.source == "afxdp" && (v["redirected"] != 150 || v["seen"] < 150) {
				t.Errorf("%v", v)
			}

			must(t, r.child.Process.Signal(unix.SIGSTOP))
			time.Sleep(20 * time.Millisecond) // all its threads stand still
			send(tc.packets)
			must(t, r.child.Process.Signal(unix.SIGCONT))
			for sent := next; r.counters(t)["0.channel.0.messages"] < 151 || strings.Count(r.said.String(), "messages were lost") < 2; time.Sleep(50 * time.Millisecond) {
				send(1) // one that comes shows what is missing before it
				if next > sent+400 {
					t.Fatalf("%v; the process said:\n%s", moved(r.counters(t)), r.said)
				}
			}
			v = told(2)
			if v["messages"] == 0 || v["messages"] != v[tc.lost] || v["wire"] < tc.packets || v["received"]+v["messages"] < tc.packets || v["damaged"] != 0 ||
				v["no_room"] != 0 && v["no_room"] != v[tc.lost] { // veth counts a redirect that failed as dropped, too
				t.Errorf("%v", v)
			}
			if tc.source == "afxdp" && v["redirected"] < tc.packets {
				t.Errorf("%v", v)
			}
			if k := r.counters(t); k["0.link.interface.feed0.rx_packets"] < tc.packets+150 || k["0.link.interface.feed1.rx_packets"] > 1000 {
				t.Errorf("%v", moved(k))
			}
		})
	}
}
