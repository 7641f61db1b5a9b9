package tuning

import "strconv"

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
