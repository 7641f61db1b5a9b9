package tuning

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// What the verbs of ticktune (packages nicinfo, irqinfo, isolate) have in common with the catalogue: the same changes, and the
// same knowledge of whose an interrupt is.

// FileChange writes a file, now.
func FileChange(path, value, old string, risk Risk) Change { return setFile(path, value, old, risk) }

// NICChange is one setting of a driver: key is the group and field as Devices names them; args, and undo to take it back, are
// what follows `ethtool flag IF`.
func NICChange(nic, key, value, old, flag, args, undo string, risk Risk) Change {
	return setNIC(nic, key, value, old, flag, args, undo, risk)
}

// LinkChange is a setting of the interface's .link file, for the next boot.
func LinkChange(nic, key, value string, risk Risk) Change { return setLink(nic, key, value, risk) }

// SysctlPath is where the kernel has a sysctl.
func SysctlPath(key string) string { return sysctlPath(key) }

// TaskChange lets a thread run on cores, and no others.
func TaskChange(t Task, to CPUs, risk Risk) Change { return setAffinity(t, to, risk) }

// QueueIRQ finds the interrupt of a receive queue: as the kernel links them, else by the name that drivers give it. how says
// which; empty: none was found.
func (h *Host) QueueIRQ(in *Interrupts, nic string, queue int) (irq, how string) {
	return h.feedQueueIRQ(in, &Interface{Name: nic}, queue)
}

// InterruptQueue tells of an interrupt's name (mlx5_comp0@pci:0000:3b:00.0, eth2-TxRx-1) which queue of what it is: an
// interface's name, a PCI address or a virtio device's name.
func InterruptQueue(name string) (owner string, queue int, ok bool) { return irqQueue(name) }

// ValidInterface says whether a name can be an interface's: it has no slash, and is safe in a path.
func ValidInterface(name string) bool { return interfaceName.MatchString(name) }

// Reason says in words why something could not be read, as checks do: it is not present, not supported, needs privilege.
func Reason(err error) string { return unread(err).Reason }

// Quote makes a word of a shell command.
func Quote(s string) string { return quote(s) }

// PolicyName names a scheduling policy of a Task: other, fifo, rr, batch, idle, deadline.
func PolicyName(policy int) string {
	if name, ok := policies[policy]; ok {
		return name
	}
	return "policy " + strconv.Itoa(policy)
}

// Upstream is the way of a PCI device to the processor: the device, then the ports above it, the nearest first. Every other
// one is the lower end of a link.
func (h *Host) Upstream(bdf string) []string { return h.upstream(bdf) }

// Printable keeps text of files and drivers from steering the terminal.
func Printable(s string) string { return printable(s) }

// Tail reads the last n bytes of a file that may be of any length, such as a log, from the beginning of a line.
func (h *Host) Tail(name string, n int64) (string, error) {
	text, err := func() (string, error) {
		if e := h.refuse[name]; e != 0 {
			return "", &fs.PathError{Op: "read", Path: name, Err: e}
		}
		f, err := os.Open(h.path(name))
		if err != nil {
			return "", err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return "", err
		}
		if !info.Mode().IsRegular() {
			return "", &fs.PathError{Op: "read", Path: name, Err: unix.EINVAL}
		}
		from := max(0, info.Size()-n)
		b, err := io.ReadAll(io.NewSectionReader(f, from, n))
		if err != nil {
			return "", err
		}
		if _, rest, ok := bytes.Cut(b, []byte("\n")); ok && from > 0 {
			b = rest
		}
		return string(b), nil
	}()
	h.record(name, fmt.Sprintf("the last %d bytes", len(text)), err)
	return text, err
}

// Path is where a file of the machine lies: for sockets, which cannot be read.
func (h *Host) Path(name string) string { return h.path(name) }

// Kinds of changes that only verbs make.
const (
	Schedule   Kind = "schedule"   // the task Target (Key its name) is scheduled as Value: "other 0" (a nice value), "fifo 10" (a priority), also batch, idle, rr
	Controller Kind = "controller" // children of the cgroup Target have the controller Key: Value on or off
	Cgroup     Kind = "cgroup"     // the cgroup Target has the cpuset Value: "isolated 4-5", "root 4-5" or "member 4-5"; it is made if there is none
	Member     Kind = "member"     // the process Target (Key its name) is in the cgroup Value
)

// ParsePolicy reads how a thread is to be scheduled: "other 0", "batch 5" and "idle 0" with a nice value (-20 to 19), "fifo 10" and
// "rr 10" with a priority (1 to 99). The number may be left out where it is 0.
func ParsePolicy(s string) (policy, number int, err error) {
	name, digits, has := strings.Cut(s, " ")
	policy = -1
	for n, known := range policies {
		if known == name && n != 6 { // a deadline needs three numbers, and the right to fail
			policy = n
		}
	}
	if policy < 0 {
		return 0, 0, fmt.Errorf("scheduling %q, want other, batch, idle, fifo N or rr N", s)
	}
	if has {
		if number, err = strconv.Atoi(digits); err != nil {
			return 0, 0, fmt.Errorf("scheduling %q: %q is no number", s, digits)
		}
	}
	low, high := -20, 19
	if policy == 1 || policy == 2 {
		low, high = 1, 99
	}
	if number < low || number > high {
		return 0, 0, fmt.Errorf("scheduling %q: want %s with %d to %d", s, name, low, high)
	}
	return policy, number, nil
}

// Peek reads a file's text as Read does, and leaves no evidence.
func (h *Host) Peek(name string) (string, error) { return h.quiet(name) }
