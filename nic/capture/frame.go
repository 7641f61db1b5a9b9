package capture

import (
	"encoding/binary"
	"net/netip"
)

// Frames of sources that hand out payloads only. What the source does not know is made up so that it can be told: MAC
// addresses are locally administered (02:…) but for a group's own, TTL is 1, the identification 0.
const (
	etherIPv4 = 0x0800
	etherIPv6 = 0x86DD
	etherVLAN = 0x8100
	protoUDP  = 17
)

// appendFrame appends an Ethernet frame around a payload, of which whole bytes were on the wire and data are kept.
// Checksums are right where all of the payload is there; otherwise the UDP one is 0.
func appendFrame(b []byte, src, dst netip.AddrPort, vlan uint16, data []byte, whole int) []byte {
	be := binary.BigEndian
	to := dst.Addr().AsSlice()
	if dst.Addr().Is4() {
		b = append(b, 0x01, 0x00, 0x5E, to[1]&0x7F, to[2], to[3]) // RFC 1112 6.4
	} else {
		b = append(b, 0x33, 0x33, to[12], to[13], to[14], to[15]) // RFC 2464 7
	}
	if !dst.Addr().IsMulticast() {
		copy(b[len(b)-6:], []byte{0x02, 0, to[len(to)-4], to[len(to)-3], to[len(to)-2], to[len(to)-1]})
	}
	from := src.Addr()
	if from.Is4() != dst.Addr().Is4() || !from.IsValid() { // not known
		from = netip.IPv4Unspecified()
		if !dst.Addr().Is4() {
			from = netip.IPv6Unspecified()
		}
	}
	f := from.AsSlice()
	b = append(b, 0x02, 0, f[len(f)-4], f[len(f)-3], f[len(f)-2], f[len(f)-1])
	if vlan != 0 {
		b = be.AppendUint16(b, etherVLAN)
		b = be.AppendUint16(b, vlan&0x0FFF)
	}
	if dst.Addr().Is4() {
		b = be.AppendUint16(b, etherIPv4)
		ip := len(b)
		b = append(b, 0x45, 0)
		b = be.AppendUint16(b, uint16(20+8+whole))
		b = append(b, 0, 0, 0x40, 0, 1, protoUDP, 0, 0)
		b = append(b, f...)
		b = append(b, to...)
		be.PutUint16(b[ip+10:], fold(sum(0, b[ip:])))
	} else {
		b = be.AppendUint16(b, etherIPv6)
		b = append(b, 0x60, 0, 0, 0)
		b = be.AppendUint16(b, uint16(8+whole))
		b = append(b, protoUDP, 1)
		b = append(b, f...)
		b = append(b, to...)
	}
	udp := len(b)
	b = be.AppendUint16(b, src.Port())
	b = be.AppendUint16(b, dst.Port())
	b = be.AppendUint16(b, uint16(8+whole))
	b = append(b, 0, 0)
	b = append(b, data...)
	if len(data) == whole {
		c := fold(sum(sum(sum(protoUDP+uint32(8+whole), f), to), b[udp:]))
		if c == 0 {
			c = 0xFFFF
		}
		be.PutUint16(b[udp+6:], c)
	}
	return b
}

func sum(s uint32, b []byte) uint32 {
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

func fold(s uint32) uint16 {
	for s > 0xFFFF {
		s = s>>16 + s&0xFFFF
	}
	return ^uint16(s)
}
