package process

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/internal/config"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/udp"
)

// TestAlive: an idle lane makes turns, one that hangs in a pass does not, and is named. The lane hangs where it asks for a packet's
// channel, for as long as the test likes.
func TestAlive(t *testing.T) {
	group := netip.AddrPortFrom(netip.MustParseAddr("239.255.74.1"), freePort(t))
	dir := t.TempDir()
	c, err := config.Parse(fmt.Appendf(nil, `
[instance]
name = "t"
ring_dir = %[1]q
run_dir = %[1]q
[[feed]]
name = "nq"
idle = "block"
[feed.rings]
mbo = 4096
[[feed.lane]]
name = "left"
[[feed.channel]]
lane = "left"
[[feed.channel.line]]
interface = "lo"
group = "%[2]s"
`, dir, group), nil)
	must(t, err)
	p, err := Open(c, &c.Feed[0], slog.New(slog.NewTextHandler(io.Discard, nil)))
	must(t, err)
	in := &p.lanes[0].input
	route, entered, release := in.Route, make(chan struct{}), make(chan struct{})
	in.Route = func(pkt *nic.Packet) *session.Channel {
		select {
		case entered <- struct{}{}:
			<-release
		case <-release:
		}
		return route(pkt)
	}
	want := "feed nq: no turn of lane left since the last look"
	if err := p.Alive(); err == nil || err.Error() != want {
		t.Errorf("before it runs: %v, want %q", err, want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	await := func(what string) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); p.Alive() != nil; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal(what + ": no turn within 30 s")
			}
		}
	}
	await("an idle lane")
	s, err := udp.NewSender(group, "lo", 0)
	must(t, err)
	defer s.Close()
	_, err = s.Send([][]byte{packet(1, 1)})
	must(t, err)
	<-entered
	_ = p.Alive() // turns before the packet
	if err := p.Alive(); err == nil || err.Error() != want {
		t.Errorf("a lane that hangs: %v, want %q", err, want)
	}
	close(release)
	await("a lane that goes on")
	cancel()
	must(t, <-ended)
	must(t, p.Close())
}
