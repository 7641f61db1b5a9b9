package tuning

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Host is a machine that is looked at. All reading goes through it, and is recorded as evidence of the check that is being
// made. It is for one goroutine.
type Host struct {
	Root    string // "/" or a tree that stands for a machine
	Plan    *Plan
	Devices Devices
	Now     time.Time
	Probes  Probes // that were asked for

	evidence []Evidence
	read     map[string]answer // a file is read once: checks agree with each other, and a look stays fast
	calls    map[string]string // what calls answered, by how evidence names them
	earlier  *earlier          // the look at the beginning of an interval; nil: there is none
	refuse   map[string]syscall.Errno
	check    *Check // that is being made
	want     string // its want, with the plan's override
	tasks    []Task
	tasksErr error
	boot     *bootConfig
	sysctls  map[string]string
	ptp      *ptpAnswer
}

type answer struct {
	text string
	err  error
}

// Open gives the machine under root, "/" for this one. A nil plan is the empty one. In another tree, fake/*.json stands for
// what calls would answer, and fake/errors.json names files that refuse: {"/proc/swaps": "EPERM"}.
func Open(root string, plan *Plan) (*Host, error) {
	if plan == nil {
		plan = &Plan{}
	}
	if err := plan.Validate(); err != nil {
		return nil, err
	}
	h := &Host{Root: root, Plan: plan, Now: time.Now(), read: map[string]answer{}, calls: map[string]string{}}
	if filepath.Clean(root) == "/" {
		h.Devices = kernel{}
		return h, nil
	}
	if info, err := os.Stat(root); err != nil {
		return nil, err
	} else if !info.IsDir() {
		return nil, fmt.Errorf("%s is no folder", root)
	}
	h.Devices = fakeDevices{filepath.Join(root, "fake")}
	if text, err := os.ReadFile(filepath.Join(root, "fake", "errors.json")); err == nil {
		var names map[string]string
		if err := json.Unmarshal(text, &names); err != nil {
			return nil, fmt.Errorf("fake/errors.json: %w", err)
		}
		h.refuse = map[string]syscall.Errno{}
		for path, name := range names {
			if h.refuse[path] = errnoOf(name); h.refuse[path] == 0 {
				return nil, fmt.Errorf("fake/errors.json: %q is no error that is known", name)
			}
		}
	}
	return h, nil
}

func errnoOf(name string) syscall.Errno {
	for _, e := range []syscall.Errno{unix.EPERM, unix.EACCES, unix.EINVAL, unix.EOPNOTSUPP, unix.ENODEV, unix.ENOENT, unix.EIO, unix.ESRCH, unix.ENXIO} {
		if unix.ErrnoName(e) == name || e == unix.EOPNOTSUPP && name == "EOPNOTSUPP" {
			return e
		}
	}
	return 0
}

// maxFile bounds what is read of one file, in bytes: /proc/interrupts of a machine with 512 cores has about 5 MB.
const maxFile = 16 << 20

// path is where a file of the machine lies.
func (h *Host) path(name string) string { return filepath.Join(h.Root, name) }

// Read gives a file's text without white space around it.
func (h *Host) Read(name string) (string, error) {
	text, err := h.quiet(name)
	h.record(name, text, err)
	return text, err
}

// quiet reads without recording: for files of which only a part is evidence, or must be.
func (h *Host) quiet(name string) (string, error) {
	if a, ok := h.read[name]; ok {
		return a.text, a.err
	}
	text, err := h.fresh(name)
	h.read[name] = answer{text, err}
	return text, err
}

func (h *Host) fresh(name string) (string, error) {
	if e := h.refuse[name]; e != 0 {
		return "", &fs.PathError{Op: "read", Path: name, Err: e}
	}
	f, err := os.Open(h.path(name))
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return "", err
	}
	if len(text) > maxFile {
		return "", fmt.Errorf("%s is longer than %d bytes", name, maxFile)
	}
	return strings.TrimSpace(string(text)), nil
}

// ReadAt reads n bytes of a file at an offset: registers and configuration space.
func (h *Host) ReadAt(name string, offset int64, n int) ([]byte, error) {
	source := readAt(name, offset, n)
	b := make([]byte, n)
	err := func() error {
		if e := h.refuse[name]; e != 0 {
			return &fs.PathError{Op: "read", Path: name, Err: e}
		}
		f, err := os.Open(h.path(name))
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = f.ReadAt(b, offset)
		return err
	}()
	h.called(source, fmt.Sprintf("%x", b), err)
	return b, err
}

func readAt(name string, offset int64, n int) string {
	return fmt.Sprintf("%s, %d bytes at 0x%x", name, n, offset)
}

// maxEvidence bounds one value of evidence, in bytes.
const maxEvidence = 2000

func (h *Host) record(source, value string, err error) {
	e := Evidence{Source: source, Value: value}
	if err != nil {
		e.Value, e.Error = "", plainError(err)
	} else if len(value) > maxEvidence {
		e.Value = strings.ToValidUTF8(value[:maxEvidence], "") + fmt.Sprintf(" … (%d bytes)", len(value))
	}
	if !slices.Contains(h.evidence, e) {
		h.evidence = append(h.evidence, e)
	}
}

// called records what a call answered, and keeps it for a look that comes after an interval.
func (h *Host) called(source, value string, err error) {
	h.record(source, value, err)
	if err == nil {
		h.calls[source] = value
	}
}

// plainError is an error without the path, which the evidence names: roots of tests would be in it.
func plainError(err error) string {
	var e syscall.Errno
	if errors.As(err, &e) {
		if e == unix.EOPNOTSUPP {
			return "EOPNOTSUPP: " + e.Error() // ErrnoName knows it by its other name
		}
		return unix.ErrnoName(e) + ": " + e.Error()
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "ENOENT: no such file or directory"
	}
	return err.Error()
}

// Int reads a number.
func (h *Host) Int(name string) (int, error) {
	text, err := h.Read(name)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("%s holds %q, want a number", name, short(text))
	}
	return n, nil
}

// List reads a set of cores.
func (h *Host) List(name string) (CPUs, error) {
	text, err := h.Read(name)
	if err != nil {
		return nil, err
	}
	set, err := ParseCPUs(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return set, nil
}

// Mask reads a mask of cores.
func (h *Host) Mask(name string) (CPUs, error) {
	text, err := h.Read(name)
	if err != nil {
		return nil, err
	}
	set, err := ParseMask(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return set, nil
}

// Chosen reads a file such as "always [madvise] never": what is in brackets, or all of it when nothing is.
func (h *Host) Chosen(name string) (string, error) {
	text, err := h.Read(name)
	if err != nil {
		return "", err
	}
	return bracketed(text), nil
}

func bracketed(text string) string {
	if _, after, ok := strings.Cut(text, "["); ok {
		if word, _, ok := strings.Cut(after, "]"); ok {
			return word
		}
	}
	return text
}

func short(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}

// Glob gives the names that match, in the order of their numbers. That there are none is evidence.
func (h *Host) Glob(pattern string) []string {
	names, _ := filepath.Glob(h.path(pattern))
	root := filepath.Clean(h.Root)
	for i, n := range names {
		if root != "/" {
			names[i] = strings.TrimPrefix(n, root)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	if len(names) == 0 {
		h.record(pattern, "", &fs.PathError{Op: "glob", Path: pattern, Err: unix.ENOENT})
	}
	return names
}

// Exists says whether a file or folder is there. It is evidence.
func (h *Host) Exists(name string) bool {
	_, err := os.Stat(h.path(name))
	if e := h.refuse[name]; e != 0 {
		err = e
	}
	h.record(name, "(is there)", err)
	return err == nil
}

// LinkName is the last part of where a symbolic link points; empty: there is none.
func (h *Host) LinkName(name string) string {
	to, err := os.Readlink(h.path(name))
	h.record(name, to, err)
	if err != nil {
		return ""
	}
	return filepath.Base(to)
}

// Ask asks a driver or the kernel (devices.go), and records the answer.
func Ask[T any](h *Host, nic, group string) (T, error) {
	var v T
	err := h.Devices.Ask(nic, group, &v)
	kind, arg, _ := strings.Cut(group, ":")
	source := groups[kind].source
	if arg != "" {
		source += " " + arg
	}
	if nic != "" {
		source = nic + ": " + source
	}
	text, _ := json.Marshal(v)
	h.called(source, string(text), err)
	return v, err
}

// unread is the finding of a check that could not read what it needs: a missing file or an unsupported call does not apply, a
// refused one is unknown, and so is what does not parse.
func unread(err error) Finding {
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ESRCH):
		name := ""
		var p *fs.PathError
		if errors.As(err, &p) {
			name = ": " + filepath.Base(p.Path)
		}
		return Finding{Status: Skip, Reason: "not present" + name}
	case errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.ENOSYS):
		return Finding{Status: Skip, Reason: "not supported by the driver or kernel (" + plainError(err) + ")"}
	case errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) || errors.Is(err, fs.ErrPermission):
		return Finding{Status: Error, Reason: "needs privilege (" + plainError(err) + ")"}
	}
	return Finding{Status: Error, Reason: err.Error()}
}

func skip(format string, args ...any) Finding {
	return Finding{Status: Skip, Reason: fmt.Sprintf(format, args...)}
}

// Online, Possible and Isolated are sets of cores; empty where they cannot be read.
func (h *Host) Online() CPUs {
	set, err := h.List("/sys/devices/system/cpu/online")
	if err != nil || len(set) == 0 {
		set, _ = h.List("/sys/devices/system/cpu/present")
	}
	return set
}

func (h *Host) Possible() CPUs {
	set, _ := h.List("/sys/devices/system/cpu/possible")
	if len(set) == 0 {
		return h.Online()
	}
	return set
}

func (h *Host) Isolated() CPUs {
	boot, _ := h.List("/sys/devices/system/cpu/isolated")
	group, _ := h.List("/sys/fs/cgroup/cpuset.cpus.isolated")
	return boot.Union(group)
}

// HK is housekeeping: as planned, or the online cores that are neither HOT nor NAPI. Nothing is moved to cores that somebody else
// has isolated, unless there are no others.
func (h *Host) HK() CPUs {
	if len(h.Plan.HK) > 0 {
		return h.Plan.HK
	}
	rest := h.Online().Without(h.Plan.Busy())
	if free := rest.Without(h.Isolated()); len(free) > 0 {
		return free
	}
	return rest
}

// Nodes are the NUMA nodes.
func (h *Host) Nodes() (nodes []int) {
	for _, name := range h.Glob("/sys/devices/system/node/node[0-9]*") {
		if n, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(name), "node")); err == nil {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// NodeOf is the node of a core; -1: it is not told.
func (h *Host) NodeOf(cpu int) int {
	for _, n := range h.Nodes() {
		if set, err := h.List(fmt.Sprintf("/sys/devices/system/node/node%d/cpulist", n)); err == nil && set.Has(cpu) {
			return n
		}
	}
	return -1
}

// initialPIDs is the kernel's number of the process namespace of the machine itself (PROC_PID_INIT_INO).
const initialPIDs = "pid:[4026531836]"

// Container says in what kind of container we are; empty: in none. A file that an image brought along proves nothing: the
// namespace decides where it can be read.
func (h *Host) Container() string {
	if ns, err := os.Readlink(h.path("/proc/self/ns/pid")); err == nil {
		h.record("/proc/self/ns/pid", ns, nil)
		if ns == initialPIDs {
			return ""
		}
	}
	if kind, err := h.Read("/run/systemd/container"); err == nil && kind != "" {
		return kind
	}
	if h.Exists("/.dockerenv") {
		return "docker"
	}
	if h.Exists("/run/.containerenv") {
		return "podman"
	}
	if _, err := os.Lstat(h.path("/proc/self/ns/pid")); err == nil {
		return "container" // its processes have a namespace of their own
	}
	return ""
}

// Virt names the hypervisor; empty: bare metal, as far as can be told.
func (h *Host) Virt() string {
	guest := false
	if info, err := h.quiet("/proc/cpuinfo"); err == nil {
		guest = slices.Contains(strings.Fields(cpuField(info, "flags")), "hypervisor")
		h.record("/proc/cpuinfo flag hypervisor", strconv.FormatBool(guest), nil)
	}
	if kind, err := h.Read("/sys/hypervisor/type"); err == nil && kind != "" {
		return kind
	}
	vendor, _ := h.Read("/sys/class/dmi/id/sys_vendor")
	product, _ := h.Read("/sys/class/dmi/id/product_name")
	for _, known := range []struct{ text, name string }{
		{"KVM", "kvm"}, {"QEMU", "kvm"}, {"VMware", "vmware"}, {"VirtualBox", "virtualbox"}, {"Virtual Machine", "hyperv"}, {"Amazon EC2", "amazon"},
		{"Google Compute", "google"}, {"OpenStack", "kvm"}, {"Bochs", "kvm"}, {"HVM domU", "xen"},
	} {
		// The clouds' bare-metal machines have the clouds' names too: there the processor's flag decides.
		cloud := known.name == "amazon" || known.name == "google"
		if strings.Contains(vendor+" "+product, known.text) && (guest || !cloud && !strings.Contains(product, "metal")) {
			return known.name
		}
	}
	if !guest {
		return ""
	}
	if clocks, err := h.Read("/sys/devices/system/clocksource/clocksource0/available_clocksource"); err == nil && strings.Contains(clocks, "kvm-clock") {
		return "kvm"
	}
	return "unknown hypervisor"
}

// cpuField is a field of the first processor of /proc/cpuinfo that has it.
func cpuField(info, name string) string {
	for line := range strings.Lines(info) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// DriverOf and BDF are of an interface, from its device's uevent; empty: a virtual one.
func (h *Host) DriverOf(nic string) string { return h.uevent(nic, "DRIVER") }
func (h *Host) BDF(nic string) string      { return h.uevent(nic, "PCI_SLOT_NAME") }

func (h *Host) uevent(nic, key string) string {
	text, err := h.Read("/sys/class/net/" + nic + "/device/uevent")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), key+"="); ok {
			return v
		}
	}
	return ""
}

// Physical says whether an interface is a device of a bus that is not the hypervisor's.
func (h *Host) Physical(nic string) bool { return h.BDF(nic) != "" && h.DriverOf(nic) != "virtio_net" }

// native32 reads a number of a device file, which is in the processor's byte order.
func native32(b []byte) int32 { return int32(binary.NativeEndian.Uint32(b)) }
