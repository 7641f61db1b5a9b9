package nic

import (
	"encoding/binary"
	"net/netip"
)

// LinkType is how frames of a capture begin, by the number that capture files use.
type LinkType uint32

// Link types that are understood.
const (
	LinkNull     LinkType = 0   // BSD loopback: family in host order
	LinkEthernet LinkType = 1   // with 802.1Q and QinQ tags
	LinkRaw      LinkType = 101 // IP
	LinkLoop     LinkType = 108 // OpenBSD loopback: family in network order
	LinkSLL      LinkType = 113 // Linux "any", 16 bytes
	LinkIPv4     LinkType = 228
	LinkIPv6     LinkType = 229
	LinkSLL2     LinkType = 276 // Linux "any", 20 bytes
)

// Known says that frames of the type can be taken apart.
func (l LinkType) Known() bool {
	switch l {
	case LinkNull, LinkEthernet, LinkRaw, LinkLoop, LinkSLL, LinkIPv4, LinkIPv6, LinkSLL2:
		return true
	}
	return false
}

const (
	etherIPv4  = 0x0800
	etherIPv6  = 0x86DD
	etherVLAN  = 0x8100
	etherQinQ  = 0x88A8
	etherOldQ  = 0x9100
	protoUDP   = 17
	ipv4Header = 20
	ipv6Header = 40
	udpHeader  = 8
)

// ParseFrame finds the UDP payload in a frame and fills in Data, Group, Src and VLAN. It returns false, and counts why,
// when there is none to hand out. IPv4 with options and IPv6 with extension headers are followed; fragments are not put
// together. A checksum of the IPv4 header that is wrong is counted and no reason to refuse: rewritten captures have none.
func ParseFrame(b []byte, link LinkType, p *Packet, c *Counters) bool {
	ether, at := uint16(0), 0
	switch link {
	case LinkEthernet:
		if len(b) < 14 {
			c.Malformed++
			return false
		}
		ether, at = binary.BigEndian.Uint16(b[12:]), 14
		for tags := 0; ether == etherVLAN || ether == etherQinQ || ether == etherOldQ; tags++ {
			if len(b) < at+4 || tags == 4 {
				c.Malformed++
				return false
			}
			if tags == 0 {
				p.VLAN = binary.BigEndian.Uint16(b[at:]) & 0x0FFF
			}
			ether = binary.BigEndian.Uint16(b[at+2:])
			at += 4
		}
	case LinkSLL:
		if len(b) < 16 {
			c.Malformed++
			return false
		}
		ether, at = binary.BigEndian.Uint16(b[14:]), 16
	case LinkSLL2:
		if len(b) < 20 {
			c.Malformed++
			return false
		}
		ether, at = binary.BigEndian.Uint16(b), 20
	case LinkNull, LinkLoop:
		if len(b) < 4 {
			c.Malformed++
			return false
		}
		at = 4
	}
	if len(b) == at {
		c.Malformed++
		return false
	}
	if ether == 0 { // the IP version tells
		ether = etherIPv4
		if b[at]>>4 == 6 {
			ether = etherIPv6
		}
	}
	switch ether {
	case etherIPv4:
		return parseIPv4(b[at:], p, c)
	case etherIPv6:
		return parseIPv6(b[at:], p, c)
	}
	c.NotUDP++
	return false
}

func parseIPv4(b []byte, p *Packet, c *Counters) bool {
	if len(b) < ipv4Header || b[0]>>4 != 4 {
		c.Malformed++
		return false
	}
	header, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if header < ipv4Header || total < header || len(b) < header {
		c.Malformed++
		return false
	}
	if len(b) < total {
		c.Truncated++
		return false
	}
	if b[9] != protoUDP {
		c.NotUDP++
		return false
	}
	if binary.BigEndian.Uint16(b[6:])&0x3FFF != 0 { // more fragments, or not the first one
		c.Fragments++
		return false
	}
	if checksum(b[:header]) != 0 {
		c.BadChecksum++
	}
	src, dst := netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	return parseUDP(b[header:total], src, dst, p, c)
}

func parseIPv6(b []byte, p *Packet, c *Counters) bool {
	if len(b) < ipv6Header || b[0]>>4 != 6 {
		c.Malformed++
		return false
	}
	total := ipv6Header + int(binary.BigEndian.Uint16(b[4:]))
	if len(b) < total {
		c.Truncated++
		return false
	}
	b = b[:total]
	next, at := b[6], ipv6Header
	for range 8 { // more extension headers than that is nobody's packet
		switch next {
		case protoUDP:
			src, dst := netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
			return parseUDP(b[at:], src, dst, p, c)
		case 44: // fragment
			c.Fragments++
			return false
		case 0, 43, 60: // hop by hop, routing, destination options
			if len(b) < at+8 {
				c.Malformed++
				return false
			}
			length := 8 + int(b[at+1])*8
			if len(b) < at+length {
				c.Malformed++
				return false
			}
			next, at = b[at], at+length
		default:
			c.NotUDP++
			return false
		}
	}
	c.Malformed++
	return false
}

func parseUDP(b []byte, src, dst netip.Addr, p *Packet, c *Counters) bool {
	if len(b) < udpHeader {
		c.Malformed++
		return false
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	if length < udpHeader || length > len(b) {
		c.Malformed++
		return false
	}
	p.Data = b[udpHeader:length:length]
	p.Src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(b))
	p.Group = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(b[2:]))
	c.Packets++
	c.Bytes += uint64(len(p.Data))
	return true
}

// checksum is the ones' complement sum that headers carry; over a header that is right it is 0.
func checksum(b []byte) uint16 {
	sum := uint32(0)
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xFFFF {
		sum = sum>>16 + sum&0xFFFF
	}
	return ^uint16(sum)
}

// AppendFrame appends an Ethernet frame with an IPv4 UDP packet, right checksums, and a tag where vlan is not 0. Multicast
// groups get the MAC address that belongs to them. Both addresses must be IPv4; payload at most 65,507 bytes.
func AppendFrame(dst []byte, src, group netip.AddrPort, vlan uint16, payload []byte) []byte {
	be := binary.BigEndian
	to := group.Addr().As4()
	mac := [6]byte{0x02, 0, to[0], to[1], to[2], to[3]}
	if group.Addr().IsMulticast() {
		mac = [6]byte{0x01, 0x00, 0x5E, to[1] & 0x7F, to[2], to[3]}
	}
	dst = append(dst, mac[:]...)
	from := src.Addr().As4()
	dst = append(dst, 0x02, 0, from[0], from[1], from[2], from[3])
	if vlan != 0 {
		dst = be.AppendUint16(dst, etherVLAN)
		dst = be.AppendUint16(dst, vlan&0x0FFF)
	}
	dst = be.AppendUint16(dst, etherIPv4)
	ip := len(dst)
	dst = append(dst, 0x45, 0)
	dst = be.AppendUint16(dst, uint16(ipv4Header+udpHeader+len(payload)))
	dst = append(dst, 0, 0, 0x40, 0, 1, protoUDP, 0, 0)
	dst = append(dst, from[:]...)
	dst = append(dst, to[:]...)
	be.PutUint16(dst[ip+10:], checksum(dst[ip:ip+ipv4Header]))
	udp := len(dst)
	dst = be.AppendUint16(dst, src.Port())
	dst = be.AppendUint16(dst, group.Port())
	dst = be.AppendUint16(dst, uint16(udpHeader+len(payload)))
	dst = append(dst, 0, 0)
	dst = append(dst, payload...)
	if sum := udpChecksum(from, to, dst[udp:]); sum != 0 {
		be.PutUint16(dst[udp+6:], sum)
	} else {
		be.PutUint16(dst[udp+6:], 0xFFFF)
	}
	return dst
}

// udpChecksum covers the addresses too.
func udpChecksum(from, to [4]byte, datagram []byte) uint16 {
	pseudo := append(make([]byte, 0, 12+len(datagram)), from[:]...)
	pseudo = append(pseudo, to[:]...)
	pseudo = append(pseudo, 0, protoUDP)
	pseudo = binary.BigEndian.AppendUint16(pseudo, uint16(len(datagram)))
	return checksum(append(pseudo, datagram...))
}
