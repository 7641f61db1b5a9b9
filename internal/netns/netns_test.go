package netns_test

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tickwire/tickwire/internal/netns"
	"github.com/tickwire/tickwire/internal/netns/nstest"
)

// TestPair: a datagram goes from one namespace to the other, and nothing is left behind.
func TestPair(t *testing.T) {
	p := nstest.Pair(t, netns.Options{Pairs: 2, Queues: 2})
	for _, at := range []string{"10.203.0.1:0", "10.203.1.1:0"} {
		var in net.PacketConn
		if err := p.Rx.Do(func() (err error) { in, err = net.ListenPacket("udp4", at); return err }); err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		if err := p.Tx.Do(func() error {
			out, err := net.Dial("udp4", in.LocalAddr().String())
			if err != nil {
				return err
			}
			defer out.Close()
			_, err = out.Write([]byte(at))
			return err
		}); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 64)
		_ = in.SetReadDeadline(time.Now().Add(5 * time.Second))
		n, _, err := in.ReadFrom(b)
		if err != nil || string(b[:n]) != at {
			t.Errorf("%s: %q, %v", at, b[:n], err)
		}
	}
	if err := p.Rx.Do(func() error { _, err := net.Dial("udp4", "192.0.2.1:9"); return err }); err == nil {
		t.Error("there is a way out")
	}
	if _, err := os.Stat(filepath.Join("/run/netns", p.Rx.Name)); err != nil {
		t.Error(err)
	}
}
