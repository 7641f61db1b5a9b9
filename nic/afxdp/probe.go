package afxdp

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// capability is one that receiving needs, and what for.
type capability struct {
	bit  uint
	name string
	what string
}

var needed = []capability{
	{unix.CAP_NET_RAW, "CAP_NET_RAW", "to open the socket"},
	{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN", "to attach the program"},
	{unix.CAP_BPF, "CAP_BPF", "to load the program"},
	{unix.CAP_PERFMON, "CAP_PERFMON", "to let the program step over a packet's tags"}, // arithmetic with packet pointers
}

// ErrCapability is in the error of Open when the process lacks a right.
var ErrCapability = errors.New("capabilities are missing")

// Missing says in words which rights receiving lacks, and how to give them; empty: none.
func Missing() string {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&head, &data[0]); err != nil {
		return ""
	}
	var missing, names []string
	for _, c := range needed {
		if data[c.bit/32].Effective&(1<<(c.bit%32)) == 0 {
			missing = append(missing, c.name+" "+c.what)
			names = append(names, strings.ToLower(c.name))
		}
	}
	if len(missing) == 0 {
		return ""
	}
	return fmt.Sprintf("the process lacks %s. Under systemd: AmbientCapabilities=%s in the unit; by hand: "+
		"`setcap %s=ep` on a binary built with CGO_ENABLED=0, or root",
		strings.Join(missing, ", "), strings.ToUpper(strings.Join(names, " ")), strings.Join(names, ","))
}

// capabilities adds to an error which rights are missing, where it may come of that.
func capabilities(err error) error {
	if errors.Is(err, os.ErrPermission) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		if m := Missing(); m != "" {
			return fmt.Errorf("%w: %s (%w)", ErrCapability, m, err)
		}
	}
	return err
}

// driverOf is the name of an interface's driver, by ETHTOOL_GDRVINFO; "?" when it does not tell.
func driverOf(index int) string {
	name, err := nameOf(index)
	if err != nil {
		return "?"
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "?"
	}
	defer unix.Close(fd)
	info, err := unix.IoctlGetEthtoolDrvinfo(fd, name)
	if err != nil {
		return "?"
	}
	return unix.ByteSliceToString(info.Driver[:])
}

func nameOf(index int) (string, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	var req struct {
		name  [unix.IFNAMSIZ]byte
		index int32
		_     [20]byte
	}
	req.index = int32(index)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCGIFNAME, uintptr(unsafe.Pointer(&req))); errno != 0 {
		return "", errno
	}
	return unix.ByteSliceToString(req.name[:]), nil
}

// channels is how many receive queues an interface has in use, by ETHTOOL_GCHANNELS; false when it does not tell.
func channels(index int) (int, bool) {
	name, err := nameOf(index)
	if err != nil {
		return 0, false
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, false
	}
	defer unix.Close(fd)
	var ch struct{ cmd, maxRx, maxTx, maxOther, maxCombined, rx, tx, other, combined uint32 }
	ch.cmd = unix.ETHTOOL_GCHANNELS
	var req struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}
	copy(req.name[:unix.IFNAMSIZ-1], name)
	req.data = unsafe.Pointer(&ch)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req))); errno != 0 {
		return 0, false
	}
	n := int(ch.rx + ch.combined)
	return n, n > 0
}

// nearDevice are the processors of the interface's NUMA node, as a list such as 0-15; empty when that is all the same.
func nearDevice(name string) string {
	node, err := os.ReadFile(filepath.Join("/sys/class/net", name, "device/numa_node"))
	if err != nil || strings.HasPrefix(string(node), "-") {
		return ""
	}
	list, err := os.ReadFile(filepath.Join("/sys/class/net", name, "device/local_cpulist"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(list))
}
