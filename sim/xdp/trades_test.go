package xdp_test

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	wire "github.com/tickwire/tickwire/parsers/xdp"
	"github.com/tickwire/tickwire/sim/xdp"
)

// nowhere is a multicast channel that nobody listens to.
type nowhere struct{}

func (nowhere) Send(packets [][]byte) (int, error) { return len(packets), nil }

// TestTradesRequests: a Trades feed has mappings to send again, and no state: a refresh is refused as a message of no valid type (sheet section 11.5).
func TestTradesRequests(t *testing.T) {
	for _, tc := range []struct {
		product uint8
		typ     uint16
		want    byte
	}{
		{4, wire.TypeRefreshReq, wire.InvalidMessageType}, {4, wire.TypeSymbolMappingReq, wire.Accepted}, {153, wire.TypeRefreshReq, wire.InvalidMessageType},
		{3, wire.TypeRefreshReq, wire.Accepted}, {11, wire.TypeRefreshReq, wire.Accepted},
	} {
		s, err := xdp.NewServer(xdp.NewRecord(wire.V25, 0), nowhere{}, nowhere{}, xdp.RequestOptions{Addr: netip.MustParseAddrPort("127.0.0.1:0"), Product: tc.product, Channel: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		source, err := wire.ParseSourceID("ME")
		if err != nil {
			t.Fatal(err)
		}
		request := wire.AppendRequest(nil, &wire.Request{Type: tc.typ, Source: source, Product: tc.product, Channel: 1})
		if _, err := c.Write(wire.AppendPacket(nil, wire.DeliveryOriginal, 1, 1, 0, 0, request)); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, wire.PacketHeaderBytes+29)
		_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
		if _, err := io.ReadFull(c, answer); err != nil {
			t.Fatal(err)
		}
		if got := answer[len(answer)-1]; got != tc.want {
			t.Errorf("product %d, request %d: status %c, want %c", tc.product, tc.typ, got, tc.want)
		}
	}
}
