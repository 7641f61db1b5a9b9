package tuning

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// kernel asks this machine's. All of it reads; structures are those of linux/ethtool.h, as arrays of their 32-bit words.
type kernel struct{}

func (kernel) Ask(nic, group string, into any) error {
	kind, arg, _ := strings.Cut(group, ":")
	if nic == "" {
		return askSystem(kind, arg, into)
	}
	if len(nic) >= unix.IFNAMSIZ {
		return unix.ENODEV
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	e := ethtool{fd, nic}
	switch v := into.(type) {
	case *Driver:
		d, err := unix.IoctlGetEthtoolDrvinfo(fd, nic)
		if err != nil {
			return err
		}
		text := func(b []byte) string { return strings.TrimSpace(unix.ByteSliceToString(b)) }
		*v = Driver{text(d.Driver[:]), text(d.Version[:]), text(d.Fw_version[:]), text(d.Bus_info[:])}
		return nil
	case *LinkMode:
		return e.link(v)
	case *FEC:
		w := [4]uint32{0: 0x50}
		err := e.call(unsafe.Pointer(&w))
		*v = FEC{Active: w[1], Configured: w[2]}
		return err
	case *Rings:
		w := [9]uint32{0: 0x10}
		err := e.call(unsafe.Pointer(&w))
		*v = Rings{RxMax: int(w[1]), TxMax: int(w[4]), RxPending: int(w[5]), TxPending: int(w[8])}
		return err
	case *Coalesce:
		w := [23]uint32{0: 0x0e}
		err := e.call(unsafe.Pointer(&w))
		*v = Coalesce{RxUsecs: int(w[1]), RxFrames: int(w[2]), TxUsecs: int(w[5]), TxFrames: int(w[6]), AdaptiveRx: w[10] != 0, AdaptiveTx: w[11] != 0}
		return err
	case *Pause:
		w := [4]uint32{0: 0x12}
		err := e.call(unsafe.Pointer(&w))
		*v = Pause{w[1] != 0, w[2] != 0, w[3] != 0}
		return err
	case *Channels:
		w := [9]uint32{0: 0x3c}
		err := e.call(unsafe.Pointer(&w))
		*v = Channels{MaxRx: int(w[1]), MaxTx: int(w[2]), MaxCombined: int(w[4]), Rx: int(w[5]), Tx: int(w[6]), Combined: int(w[8])}
		return err
	case *EEE:
		w := [10]uint32{0: 0x44}
		err := e.call(unsafe.Pointer(&w))
		*v = EEE{Active: w[4] != 0, Enabled: w[5] != 0}
		return err
	case *Features:
		return e.features(v)
	case *Private:
		return e.private(v)
	case *Stats:
		return e.stats(v)
	case *RSS:
		return e.rss(v)
	case *Rules:
		return e.rules(v)
	case *Stamping:
		t, err := unix.IoctlGetEthtoolTsInfo(fd, nic)
		if err != nil {
			return err
		}
		*v = Stamping{PHC: int(t.Phc_index), Modes: t.So_timestamping, Filters: t.Rx_filters}
		return nil
	case *HWTstamp:
		t, err := unix.IoctlGetHwTstamp(fd, nic)
		if err != nil {
			return err
		}
		*v = HWTstamp{TxType: int(t.Tx_type), RxFilter: int(t.Rx_filter)}
		return nil
	case *Face:
		return askFace(nic, v)
	case *Hash:
		return e.hash(v)
	case *XDP:
		return askXDP(nic, v)
	case *[]Queue:
		return askQueues(nic, v)
	case *[]NAPI:
		return askNAPIs(nic, v)
	case *Filters:
		return askFilters(nic, v)
	}
	return unix.EOPNOTSUPP
}

type ethtool struct {
	fd  int
	nic string
}

// ifreq is struct ifreq with a pointer in its union.
type ifreq struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [24 - unsafe.Sizeof(uintptr(0))]byte
}

// call is one SIOCETHTOOL: data begins with the number of the command.
func (e ethtool) call(data unsafe.Pointer) error {
	var r ifreq
	copy(r.name[:unix.IFNAMSIZ-1], e.nic)
	r.data = data
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(e.fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&r)))
	runtime.KeepAlive(data)
	if errno != 0 {
		return errno
	}
	return nil
}

func (e ethtool) bytes(b []byte) error { return e.call(unsafe.Pointer(&b[0])) }

// link is ETHTOOL_GLINKSETTINGS: the first call tells, as a negative number, how many words its three masks have.
func (e ethtool) link(v *LinkMode) error {
	const head, words = 48, 15
	b := make([]byte, head)
	binary.NativeEndian.PutUint32(b, 0x4c)
	if err := e.bytes(b); err != nil {
		return err
	}
	n := int8(b[words+3])
	if n >= 0 || n < -40 {
		return unix.EOPNOTSUPP
	}
	b = make([]byte, head+3*4*int(-n))
	binary.NativeEndian.PutUint32(b, 0x4c)
	b[words+3] = byte(-n)
	if err := e.bytes(b); err != nil {
		return err
	}
	*v = LinkMode{Speed: int(int32(binary.NativeEndian.Uint32(b[4:]))), Full: b[8] == 1, Port: int(b[9]), Autoneg: b[11] != 0}
	return nil
}

// Sets of strings (enum ethtool_stringset).
const (
	setStats    = 1
	setPrivate  = 2
	setFeatures = 4
)

// maxStrings bounds what a driver may claim to have.
const maxStrings = 1 << 16

func (e ethtool) strings(set uint32) ([]string, error) {
	var info struct {
		cmd, _ uint32
		mask   uint64
		count  uint32
	}
	info.cmd, info.mask = 0x37, 1<<set
	if err := e.call(unsafe.Pointer(&info)); err != nil {
		return nil, err
	}
	if info.mask == 0 || info.count == 0 {
		return nil, nil
	}
	if info.count > maxStrings {
		return nil, fmt.Errorf("the driver claims %d strings", info.count)
	}
	b := make([]byte, 12+32*int(info.count))
	binary.NativeEndian.PutUint32(b, 0x1b)
	binary.NativeEndian.PutUint32(b[4:], set)
	binary.NativeEndian.PutUint32(b[8:], info.count)
	if err := e.bytes(b); err != nil {
		return nil, err
	}
	// The kernel says how many it wrote: fewer, when the driver changed its mind between the calls.
	n := min(binary.NativeEndian.Uint32(b[8:]), info.count)
	names := make([]string, n)
	for i := range names {
		names[i] = unix.ByteSliceToString(b[12+32*i : 12+32*(i+1)])
	}
	return names, nil
}

func (e ethtool) features(v *Features) error {
	names, err := e.strings(setFeatures)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return unix.EOPNOTSUPP
	}
	blocks := (len(names) + 31) / 32
	w := make([]uint32, 2+4*blocks)
	w[0], w[1] = 0x3a, uint32(blocks)
	if err := e.call(unsafe.Pointer(&w[0])); err != nil {
		return err
	}
	*v = Features{}
	for i, name := range names {
		if name == "" {
			continue
		}
		b, bit := w[2+4*(i/32):], uint32(1)<<(i%32) // available, requested, active, never changed
		(*v)[name] = Feature{On: b[2]&bit != 0, Fixed: b[0]&bit == 0 || b[3]&bit != 0}
	}
	return nil
}

func (e ethtool) private(v *Private) error {
	names, err := e.strings(setPrivate)
	if err != nil {
		return err
	}
	*v = Private{}
	if len(names) == 0 {
		return nil
	}
	w := [2]uint32{0x27}
	if err := e.call(unsafe.Pointer(&w)); err != nil {
		return err
	}
	for i, name := range names[:min(len(names), 32)] {
		(*v)[name] = w[1]>>i&1 != 0
	}
	return nil
}

func (e ethtool) stats(v *Stats) error {
	names, err := e.strings(setStats)
	if err != nil {
		return err
	}
	*v = Stats{}
	if len(names) == 0 {
		return nil
	}
	// A driver may have more by now than its strings said (a queue more, say): it writes as many as it has.
	w := make([]uint64, 1+2*len(names)+1024)
	head := (*[2]uint32)(unsafe.Pointer(&w[0]))
	head[0], head[1] = 0x1d, uint32(len(names))
	if err := e.call(unsafe.Pointer(&w[0])); err != nil {
		return err
	}
	for i, name := range names[:min(len(names), int(head[1]))] {
		(*v)[name] = w[1+i]
	}
	return nil
}

// rss is ETHTOOL_GRSSH: the first call tells the sizes of table and key.
func (e ethtool) rss(v *RSS) error {
	w := make([]uint32, 6)
	w[0] = 0x46
	if err := e.call(unsafe.Pointer(&w[0])); err != nil {
		return err
	}
	table, key := w[2], w[3]
	if table > maxStrings || key > maxStrings {
		return fmt.Errorf("the driver claims a table of %d", table)
	}
	if table == 0 {
		return unix.EOPNOTSUPP
	}
	w = make([]uint32, 6+int(table)+int(key+3)/4)
	w[0], w[2], w[3] = 0x46, table, key
	if err := e.call(unsafe.Pointer(&w[0])); err != nil {
		return err
	}
	for _, q := range w[6 : 6+table] {
		v.Table = append(v.Table, int(q))
	}
	return nil
}

// Offsets in struct ethtool_rxnfc of 64-bit machines.
const (
	rxnfcBytes = 192
	rxnfcSpec  = 16
	rxnfcCount = 184
	rxnfcLocs  = 188
	specValues = 4
	specMasks  = 76
	specCookie = 152
	specLoc    = 160
	flowUDPv4  = 2
)

func (e ethtool) rules(v *Rules) error {
	b := make([]byte, rxnfcBytes)
	put, get := binary.NativeEndian.PutUint32, binary.NativeEndian.Uint32
	put(b, 0x2e)
	if err := e.bytes(b); err != nil {
		return err
	}
	n := get(b[rxnfcCount:])
	if n > maxStrings {
		return fmt.Errorf("the driver claims %d rules", n)
	}
	*v = Rules{}
	if n == 0 {
		return nil
	}
	all := make([]byte, rxnfcBytes+4*int(n))
	put(all, 0x30)
	put(all[rxnfcCount:], n)
	if err := e.bytes(all); err != nil {
		return err
	}
	for i := range int(min(n, get(all[rxnfcCount:]))) {
		location := get(all[rxnfcLocs+4*i:])
		one := make([]byte, rxnfcBytes)
		put(one, 0x2f)
		put(one[rxnfcSpec+specLoc:], location)
		if err := e.bytes(one); errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) {
			continue // it was deleted meanwhile
		} else if err != nil {
			return err
		}
		*v = append(*v, parseRule(one[rxnfcSpec:], int(location)))
	}
	return nil
}

// parseRule reads struct ethtool_rx_flow_spec, which has at least 168 bytes.
func parseRule(spec []byte, location int) Rule {
	r := Rule{Location: location, Queue: -1, Text: ruleText(spec)}
	if cookie := binary.NativeEndian.Uint64(spec[specCookie:]); cookie != 1<<64-1 {
		r.Queue = int(cookie & 0xffffffff) // above it: a virtual function
	}
	values, masks := spec[specValues:], spec[specMasks:]
	exact := func(from, to int) bool {
		for _, b := range masks[from:to] {
			if b != 0xff {
				return false
			}
		}
		return true
	}
	if binary.NativeEndian.Uint32(spec)&0x7fffffff == flowUDPv4 && exact(4, 8) && exact(10, 12) {
		r.Group = netip.AddrPortFrom(netip.AddrFrom4([4]byte(values[4:8])), binary.BigEndian.Uint16(values[10:])).String()
	}
	return r
}

// genlHeader is struct genlmsghdr: command, version, and two bytes that have to be zero.
type genlHeader [nl.SizeofGenlmsg]byte

func (h genlHeader) Len() int          { return len(h) }
func (h genlHeader) Serialize() []byte { return h[:] }

// netdev asks the generic netlink family of network devices, and gives each answer's attributes.
func netdev(command uint8, flags int, attr uint16, index int, each func(map[uint16]uint64)) error {
	family, err := netlink.GenlFamilyGet("netdev")
	if errors.Is(err, unix.ENOENT) {
		return unix.EOPNOTSUPP // a kernel before 6.3
	} else if err != nil {
		return err
	}
	req := nl.NewNetlinkRequest(int(family.ID), flags)
	req.AddData(genlHeader{command, uint8(family.Version)})
	req.AddData(nl.NewRtAttr(int(attr), nl.Uint32Attr(uint32(index))))
	out, err := req.Execute(unix.NETLINK_GENERIC, 0)
	if err != nil {
		return err
	}
	for _, m := range out {
		if len(m) < nl.SizeofGenlmsg {
			continue
		}
		attrs, err := nl.ParseRouteAttr(m[nl.SizeofGenlmsg:])
		if err != nil {
			return err
		}
		values := map[uint16]uint64{}
		for _, a := range attrs {
			values[a.Attr.Type&^unix.NLA_F_NESTED] = attrNumber(a.Value)
		}
		each(values)
	}
	return nil
}

func attrNumber(b []byte) uint64 {
	switch len(b) {
	case 4:
		return uint64(binary.NativeEndian.Uint32(b))
	case 8:
		return binary.NativeEndian.Uint64(b)
	}
	return 0
}

// indexOf is an interface's number, and its link.
func indexOf(nic string) (netlink.Link, error) {
	l, err := netlink.LinkByName(nic)
	var gone netlink.LinkNotFoundError
	if errors.As(err, &gone) {
		return nil, unix.ENODEV
	}
	return l, err
}

// Commands of family netdev (linux/netdev.h).
const (
	netdevDevGet   = 1
	netdevQueueGet = 10
	netdevNAPIGet  = 11
)

func askXDP(nic string, v *XDP) error {
	l, err := indexOf(nic)
	if err != nil {
		return err
	}
	if err := netdev(netdevDevGet, unix.NLM_F_ACK, 1, l.Attrs().Index, func(a map[uint16]uint64) {
		v.Features, v.ZCSegments, v.Metadata = a[3], uint32(a[4]), a[5]
	}); err != nil {
		return err
	}
	if x := l.Attrs().Xdp; x != nil {
		v.Attached, v.Mode, v.Program = x.Attached, x.AttachMode, x.ProgId
	}
	return nil
}

func askQueues(nic string, v *[]Queue) error {
	l, err := indexOf(nic)
	if err != nil {
		return err
	}
	bound, _ := boundQueues(l.Attrs().Index)
	return netdev(netdevQueueGet, unix.NLM_F_DUMP, 2, l.Attrs().Index, func(a map[uint16]uint64) {
		if a[3] == 0 { // of receiving
			_, xsk := a[7]
			*v = append(*v, Queue{ID: int(a[1]), NAPI: int(a[4]), XSK: xsk || slices.Contains(bound, int(a[1]))})
		}
	})
}

// boundQueues are the queues of an interface that AF_XDP sockets are bound to, as sock_diag tells (CONFIG_XDP_SOCKETS_DIAG): before Linux
// 6.15 queues do not say so themselves.
func boundQueues(index int) (queues []int, err error) {
	all, err := netlink.SocketDiagXDP()
	for _, s := range all {
		if s.XDPInfo != nil && int(s.XDPInfo.Ifindex) == index {
			queues = append(queues, int(s.XDPInfo.QueueID))
		}
	}
	slices.Sort(queues)
	return slices.Compact(queues), err
}

// BoundQueues are the queues of an interface of this machine that AF_XDP sockets are bound to, also where the kernel does not tell
// of queues. It knows those of the caller's network namespace.
func BoundQueues(nic string) ([]int, error) {
	l, err := indexOf(nic)
	if err != nil {
		return nil, err
	}
	return boundQueues(l.Attrs().Index)
}

func askNAPIs(nic string, v *[]NAPI) error {
	l, err := indexOf(nic)
	if err != nil {
		return err
	}
	return netdev(netdevNAPIGet, unix.NLM_F_DUMP, 1, l.Attrs().Index, func(a map[uint16]uint64) {
		*v = append(*v, NAPI{ID: int(a[2]), IRQ: int(a[3]), PID: int(a[4]), Defer: int(a[5]), Flush: int(a[6]), Threaded: a[8] != 0})
	})
}

func askFilters(nic string, v *Filters) error {
	l, err := indexOf(nic)
	if err != nil {
		return err
	}
	qdiscs, err := netlink.QdiscList(l)
	if err != nil {
		return err
	}
	ingress := false
	for _, q := range qdiscs {
		v.Qdiscs = append(v.Qdiscs, q.Type())
		ingress = ingress || q.Type() == "clsact" || q.Type() == "ingress"
	}
	if !ingress {
		return nil
	}
	filters, err := netlink.FilterList(l, netlink.HANDLE_MIN_INGRESS)
	if err != nil {
		return err
	}
	v.Ingress = len(filters)
	return nil
}

func askSystem(kind, arg string, into any) error {
	switch v := into.(type) {
	case *Adjtimex:
		var t unix.Timex // no modes: it only reads
		state, err := unix.Adjtimex(&t)
		if err != nil {
			return err
		}
		offset := int64(t.Offset)
		if t.Status&unix.STA_NANO == 0 {
			offset *= 1000
		}
		*v = Adjtimex{Status: t.Status, State: state, OffsetNs: offset, FreqPPB: int64(t.Freq) * 1000 / 65536, MaxErrUs: int64(t.Maxerror), EstErrUs: int64(t.Esterror), TAI: int(t.Tai)}
		return nil
	case *Audit:
		return askAudit(v)
	case *PHC:
		n, err := strconv.Atoi(arg)
		if kind != "phc" || err != nil || n < 0 {
			return unix.ENODEV
		}
		f, err := os.Open(fmt.Sprintf("/dev/ptp%d", n))
		if err != nil {
			return err
		}
		defer f.Close()
		o, err := unix.IoctlPtpSysOffsetExtended(int(f.Fd()), 10)
		if err != nil {
			return err
		}
		ns := func(t unix.PtpClockTime) int64 { return t.Sec*1e9 + int64(t.Nsec) }
		for i := range min(10, int(o.Samples)) { // the reading that took least is the truest
			before, phc, after := ns(o.Ts[i][0]), ns(o.Ts[i][1]), ns(o.Ts[i][2])
			if window := after - before; i == 0 || window < v.WindowNs {
				*v = PHC{OffsetNs: phc - before - window/2, WindowNs: window}
			}
		}
		return nil
	}
	return unix.EOPNOTSUPP
}

// askAudit sends AUDIT_GET and AUDIT_LIST_RULES. The kernel answers from threads of its own, so the wait has an end.
func askAudit(v *Audit) error {
	const get, list = 1000, 1013
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_AUDIT)
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		return unix.EOPNOTSUPP // a kernel without
	} else if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000}); err != nil {
		return err
	}
	b := make([]byte, 1<<16)
	for _, command := range []uint16{get, list} {
		req := make([]byte, unix.NLMSG_HDRLEN)
		binary.NativeEndian.PutUint32(req, uint32(len(req)))
		binary.NativeEndian.PutUint16(req[4:], command)
		binary.NativeEndian.PutUint16(req[6:], unix.NLM_F_REQUEST)
		if err := unix.Sendto(fd, req, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			return err
		}
	answers:
		for range 100_000 {
			n, _, err := unix.Recvfrom(fd, b, 0)
			if errors.Is(err, unix.EINTR) {
				continue
			} else if err != nil {
				return fmt.Errorf("audit does not answer: %w", err)
			}
			kind, data, ok := auditMessage(b[:n])
			switch {
			case !ok:
				return errors.New("audit answers with half a message")
			case kind == unix.NLMSG_ERROR && len(data) >= 4:
				if e := int32(binary.NativeEndian.Uint32(data)); e != 0 {
					return unix.Errno(-e)
				}
			case kind == get && command == get && len(data) >= 8:
				v.Enabled = binary.NativeEndian.Uint32(data[4:])
				break answers
			case kind == list:
				v.Rules++
			case kind == unix.NLMSG_DONE:
				break answers
			}
		}
	}
	return nil
}

// auditMessage cuts one netlink message. The lengths that audit's rules bear are of the data alone: only the head is judged.
func auditMessage(b []byte) (kind uint16, data []byte, ok bool) {
	if len(b) < unix.NLMSG_HDRLEN {
		return 0, nil, false
	}
	return binary.NativeEndian.Uint16(b[4:]), b[unix.NLMSG_HDRLEN:], true
}
