package exchange

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"net"
	"net/netip"
)

// frame is the head of all packets to one group, and what changes from one to the next.
//
//	0        6        12       14/18                 34/38       42/46
//	+--------+--------+--------+---------------------+-----------+-- - -
//	| to     | from   | 0x0800 | IPv4, 20 bytes      | UDP       | payload
//	+--------+--------+--------+---------------------+-----------+-- - -
//	         802.1Q: 0x8100 and the tag before 0x0800
//
// to is 01:00:5e and the low 23 bits of the group (RFC 1112, section 6.4).
type frame struct {
	head [46]byte
	n    int // bytes of head
	ip   int // where the IPv4 header begins
	id   uint16
	sum  uint64 // of what does not change in the pseudo header and the UDP header
}

const (
	ipBytes   = 20
	udpBytes  = 8
	protoUDP  = 17
	dontSplit = 0x4000
	minFrame  = 60 // without its check sequence
)

func newFrame(from net.HardwareAddr, src, group netip.AddrPort, ttl int, vlan uint16) (*frame, error) {
	if len(from) != 6 {
		return nil, fmt.Errorf("it has no Ethernet address (%q)", from)
	}
	if !src.Addr().Is4() || !group.Addr().Is4() {
		return nil, errors.New("it has no IPv4 address to send from")
	}
	f := &frame{ip: 14}
	be := binary.BigEndian
	to := group.Addr().As4()
	copy(f.head[:], []byte{1, 0, 0x5E, to[1] & 0x7F, to[2], to[3]})
	copy(f.head[6:], from)
	if vlan != 0 {
		be.PutUint16(f.head[12:], 0x8100)
		be.PutUint16(f.head[14:], vlan)
		f.ip = 18
	}
	be.PutUint16(f.head[f.ip-2:], 0x0800)
	ip := f.head[f.ip:]
	ip[0] = 0x45
	be.PutUint16(ip[6:], dontSplit)
	ip[8], ip[9] = byte(ttl), protoUDP
	from4 := src.Addr().As4()
	copy(ip[12:], from4[:])
	copy(ip[16:], to[:])
	udp := ip[ipBytes:]
	be.PutUint16(udp, src.Port())
	be.PutUint16(udp[2:], group.Port())
	f.n = f.ip + ipBytes + udpBytes
	f.sum = uint64(fold(add(0, ip[12:20]))) + protoUDP + uint64(src.Port()) + uint64(group.Port())
	return f, nil
}

// write puts a whole frame into b and returns its length. b is long enough.
func (f *frame) write(b, payload []byte) int {
	be := binary.BigEndian
	copy(b, f.head[:f.n])
	ip := b[f.ip:]
	f.id++
	be.PutUint16(ip[2:], uint16(ipBytes+udpBytes+len(payload)))
	be.PutUint16(ip[4:], f.id)
	be.PutUint16(ip[10:], ^fold(add(0, ip[:ipBytes])))
	udp := ip[ipBytes:]
	length := udpBytes + len(payload)
	be.PutUint16(udp[4:], uint16(length))
	sum := ^fold(add(f.sum+2*uint64(length), payload))
	if sum == 0 {
		sum = 0xFFFF // 0 says that there is none (RFC 768)
	}
	be.PutUint16(udp[6:], sum)
	n := f.n + copy(b[f.n:], payload)
	for ; n < minFrame; n++ {
		b[n] = 0
	}
	return n
}

// add adds b as 16-bit numbers, in ones' complement arithmetic of 64 bits (RFC 1071, section 2).
func add(sum uint64, b []byte) uint64 {
	var carry uint64
	for ; len(b) >= 8; b = b[8:] {
		sum, carry = bits.Add64(sum, binary.BigEndian.Uint64(b), 0)
		sum += carry
	}
	var rest [8]byte
	copy(rest[:], b)
	sum, carry = bits.Add64(sum, binary.BigEndian.Uint64(rest[:]), 0)
	return sum + carry
}

func fold(sum uint64) uint16 {
	for sum > 0xFFFF {
		sum = sum>>16 + sum&0xFFFF
	}
	return uint16(sum)
}
