package tuning

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Face is group "face": what rtnetlink says of an interface. Unlike /sys/class/net it is always of the network namespace that
// asks: /sys is of the one in which it was mounted.
type Face struct {
	Index     int      `json:"index"`
	Kind      string   `json:"kind"` // device, veth, vlan, …
	MAC       string   `json:"mac"`
	Permanent string   `json:"permanent_mac,omitempty"`
	AltNames  []string `json:"alt_names,omitempty"`
	MTU       int      `json:"mtu"`
	Up        bool     `json:"up"`      // it is set up
	Carrier   bool     `json:"carrier"` // and the link is
	Promisc   bool     `json:"promisc"`
	AllMulti  bool     `json:"allmulti"`
	RxQueues  int      `json:"rx_queues"`
	TxQueues  int      `json:"tx_queues"`
	Master    int      `json:"master,omitempty"` // index of the bridge or bond that it is a part of
	VFs       int      `json:"vfs,omitempty"`
}

// Hash is group "hash": which fields of a packet of UDP over IPv4 decide about its queue, bits of RXH_*.
type Hash struct {
	UDP4 uint64 `json:"udp4"`
}

// Fields names them; empty: none, all such packets come by the first queue of the table.
func (h Hash) Fields() (names []string) {
	for _, f := range []struct {
		bit  uint64
		name string
	}{{1 << 4, "src-ip"}, {1 << 5, "dst-ip"}, {1 << 6, "src-port"}, {1 << 7, "dst-port"}, {1 << 1, "dst-mac"}, {1 << 2, "vlan"}, {1 << 3, "protocol"}, {1 << 31, "discard"}} {
		if h.UDP4&f.bit != 0 {
			names = append(names, f.name)
		}
	}
	return names
}

func askFace(nic string, v *Face) error {
	l, err := indexOf(nic)
	if err != nil {
		return err
	}
	a := l.Attrs()
	*v = Face{Index: a.Index, Kind: l.Type(), MAC: a.HardwareAddr.String(), Permanent: a.PermHWAddr.String(), AltNames: a.AltNames, MTU: a.MTU,
		Up: a.Flags&net.FlagUp != 0, Carrier: a.RawFlags&unix.IFF_LOWER_UP != 0, Promisc: a.Promisc != 0, AllMulti: a.Allmulti != 0,
		RxQueues: a.NumRxQueues, TxQueues: a.NumTxQueues, Master: a.MasterIndex, VFs: len(a.Vfs)}
	return nil
}

// Faces names the interfaces of the network namespace, by their indexes: by rtnetlink on this machine, from /sys/class/net in
// another tree.
func (h *Host) Faces() (names []string, err error) {
	if _, real := h.Devices.(kernel); !real {
		for _, path := range h.Glob("/sys/class/net/*") {
			names = append(names, path[strings.LastIndexByte(path, '/')+1:])
		}
		return names, nil
	}
	links, err := netlink.LinkList()
	for tries := 0; err == netlink.ErrDumpInterrupted && tries < 10; tries++ {
		links, err = netlink.LinkList()
	}
	for _, l := range links {
		names = append(names, l.Attrs().Name)
	}
	h.record("rtnetlink links", strings.Join(names, " "), err)
	return names, err
}

func (e ethtool) hash(v *Hash) error {
	b := make([]byte, rxnfcBytes)
	binary.NativeEndian.PutUint32(b, 0x29)
	binary.NativeEndian.PutUint32(b[4:], flowUDPv4)
	err := e.bytes(b)
	v.UDP4 = binary.NativeEndian.Uint64(b[8:])
	return err
}

// Types of flows (linux/ethtool.h), and what has its ports where a UDP flow has them.
var flowTypes = map[uint32]string{1: "tcp4", 2: "udp4", 3: "sctp4", 4: "ah/esp4", 5: "tcp6", 6: "udp6", 7: "sctp6", 8: "ah/esp6", 9: "ah4", 10: "esp4", 11: "ah6", 12: "esp6",
	13: "ip4", 14: "ip6", 18: "ether"}

// Flags of a flow's type.
const (
	flowExt    = 0x80000000
	flowMACExt = 0x40000000
	flowRSS    = 0x20000000
)

// Offsets of struct ethtool_flow_ext in a rule's values and masks.
const (
	extVLAN = 52 + 10
	extMAC  = 52 + 2
)

// ruleText says in words what a rule takes, of struct ethtool_rx_flow_spec (at least 168 bytes).
func ruleText(spec []byte) string {
	kind := binary.NativeEndian.Uint32(spec)
	flags := kind & (flowExt | flowMACExt | flowRSS)
	kind &^= flags
	name, ok := flowTypes[kind]
	if !ok {
		name = fmt.Sprintf("type 0x%x", kind)
	}
	values, masks := spec[specValues:specMasks], spec[specMasks:specCookie]
	words := []string{name}
	field := func(label string, from, to int, show func([]byte) string) {
		m := masks[from:to]
		if allBytes(m, 0) {
			return
		}
		text := label + " " + show(values[from:to])
		if !allBytes(m, 0xff) {
			text += fmt.Sprintf(" mask %x", m)
		}
		words = append(words, text)
	}
	ip := func(b []byte) string { a, _ := netip.AddrFromSlice(b); return a.String() }
	port := func(b []byte) string { return fmt.Sprint(binary.BigEndian.Uint16(b)) }
	mac := func(b []byte) string { return net.HardwareAddr(b).String() }
	switch kind {
	case 1, 2, 3:
		field("src", 0, 4, ip)
		field("dst", 4, 8, ip)
		field("src-port", 8, 10, port)
		field("dst-port", 10, 12, port)
	case 13:
		field("src", 0, 4, ip)
		field("dst", 4, 8, ip)
	case 5, 6, 7:
		field("src", 0, 16, ip)
		field("dst", 16, 32, ip)
		field("src-port", 32, 34, port)
		field("dst-port", 34, 36, port)
	case 18:
		field("dst-mac", 0, 6, mac)
		field("src-mac", 6, 12, mac)
		field("ethertype", 12, 14, func(b []byte) string { return fmt.Sprintf("0x%x", b) })
	}
	if flags&flowExt != 0 {
		field("vlan", extVLAN, extVLAN+2, func(b []byte) string { return fmt.Sprint(binary.BigEndian.Uint16(b) & 0xfff) })
	}
	if flags&flowMACExt != 0 {
		field("dst-mac", extMAC, extMAC+6, mac)
	}
	if flags&flowRSS != 0 {
		words = append(words, "spread by RSS")
	}
	return strings.Join(words, " ")
}

func allBytes(b []byte, want byte) bool {
	for _, c := range b {
		if c != want {
			return false
		}
	}
	return true
}
