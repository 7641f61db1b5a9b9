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
	l, err := netlink.LinkByIndex(index)
	if err != nil || l.Attrs().Xdp == nil || !l.Attrs().Xdp.Attached {
		return "an interface above it, such as a bond"
	}
	program := l.Attrs().Xdp.ProgId
	if pid, name := linkHolder(index, program); pid != "" {
		return fmt.Sprintf("process %s (%s)", pid, name)
	}
	return fmt.Sprintf("nobody we may see, program %d (`bpftool prog show id %d`; `ip link set %s xdp off` takes away what is left over)",
		program, program, l.Attrs().Name)
}

// linkHolder looks among all processes for an open bpf_link of that program to the interface: indices of interfaces are each network
// namespace's own, numbers of programs are not.
func linkHolder(index int, program uint32) (pid, name string) {
	infos, _ := filepath.Glob("/proc/[0-9]*/fdinfo/*")
	wants := map[string]bool{"link_type:\txdp": true, fmt.Sprintf("ifindex:\t%d", index): true, fmt.Sprintf("prog_id:\t%d", program): true}
	for _, path := range infos {
		f, err := os.Open(path)
		if err != nil {
			continue
		}
		found := 0
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if wants[lines.Text()] {
				found++
			}
		}
		_ = f.Close()
		if found == len(wants) {
			pid = strings.Split(path, "/")[2]
			comm, _ := os.ReadFile(filepath.Join("/proc", pid, "comm"))
			return pid, strings.TrimSpace(string(comm))
		}
	}
	return "", ""
}
