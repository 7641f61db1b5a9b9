package afxdp

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
)

// ownerOf says in words who has an interface's XDP program: the process that holds the link to it, as far as we may see,
// else the program's number.
func ownerOf(index int) string {
	if pid, name := linkHolder(index); pid != "" {
		return fmt.Sprintf("process %s (%s)", pid, name)
	}
	if l, err := netlink.LinkByIndex(index); err == nil && l.Attrs().Xdp != nil && l.Attrs().Xdp.Attached {
		return fmt.Sprintf("nobody we may see, program %d (`bpftool prog show id %d`; `ip link set %s xdp off` takes away what is left over)",
			l.Attrs().Xdp.ProgId, l.Attrs().Xdp.ProgId, l.Attrs().Name)
	}
	return "an interface above it, such as a bond"
}

// linkHolder looks for an open bpf_link of XDP to the interface among all processes.
func linkHolder(index int) (pid, name string) {
	infos, _ := filepath.Glob("/proc/[0-9]*/fdinfo/*")
	want := fmt.Sprintf("ifindex:\t%d", index)
	for _, path := range infos {
		f, err := os.Open(path)
		if err != nil {
			continue
		}
		isXDP, isOurs := false, false
		for lines := bufio.NewScanner(f); lines.Scan(); {
			isXDP = isXDP || lines.Text() == "link_type:\txdp"
			isOurs = isOurs || lines.Text() == want
		}
		_ = f.Close()
		if isXDP && isOurs {
			pid = strings.Split(path, "/")[2]
			comm, _ := os.ReadFile(filepath.Join("/proc", pid, "comm"))
			return pid, strings.TrimSpace(string(comm))
		}
	}
	return "", ""
}
