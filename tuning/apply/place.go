package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/tuning"
)

// Value is what a place holds: text, or nothing at all, which is another thing than empty text. As JSON a string or null.
type Value struct {
	Text  string
	There bool
}

func some(text string) Value { return Value{text, true} }

func (v Value) String() string {
	switch {
	case !v.There:
		return "(nothing)"
	case v.Text == "":
		return "(empty)"
	}
	return v.Text
}

func (v Value) MarshalJSON() ([]byte, error) {
	if !v.There {
		return []byte("null"), nil
	}
	return json.Marshal(v.Text)
}

func (v *Value) UnmarshalJSON(text []byte) error {
	*v = Value{}
	if string(text) == "null" {
		return nil
	}
	v.There = true
	return json.Unmarshal(text, &v.Text)
}

// place is somewhere a value is held. What write wrote, read gives back in a form that is the same.
type place interface {
	read() (Value, error)
	write(Value) error
	same(a, b Value) bool
	accepts(text string) error // whether a Change's value is understood
	wanted(text string) Value  // what it means here
	willMake() []string        // folders that write will make, outermost first
	settle() string            // what has to be run once after a group of writes; empty: nothing
	settled(Value) error       // whether that had its effect
}

// plain is what most places have in common.
type plain struct{}

func (plain) same(a, b Value) bool     { return a == b }
func (plain) accepts(string) error     { return nil }
func (plain) wanted(text string) Value { return some(text) }
func (plain) willMake() []string       { return nil }
func (plain) settle() string           { return "" }
func (plain) settled(Value) error      { return nil }

// machine is a host that is changed.
type machine struct {
	h         *tuning.Host
	o         *Options
	root      string
	real      bool // the machine we are on: system calls and its tools
	dev       tuning.Setter
	boot      string // boot_id
	unguarded bool   // this process is the guard
	doubt     int    // the entry that an interrupted run was at; 0: none
}

func newMachine(h *tuning.Host, o *Options) (*machine, error) {
	m := &machine{h: h, o: o, root: filepath.Clean(h.Root)}
	m.real = m.root == "/"
	var ok bool
	if m.dev, ok = h.Devices.(tuning.Setter); !ok {
		return nil, errors.New("apply: this host's devices can only be looked at")
	}
	text, err := m.text("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, fmt.Errorf("apply: without a boot_id the journal cannot tell what is void: %w", err)
	}
	m.boot = strings.TrimSpace(text)
	return m, nil
}

// maxText bounds a file that is changed, in bytes.
const maxText = 1 << 20

// text reads a file of the machine.
func (m *machine) text(name string) (string, error) {
	f, err := os.Open(m.dir(name))
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxText+1))
	if err != nil {
		return "", err
	}
	if len(b) > maxText {
		return "", fmt.Errorf("%s is longer than %d bytes", name, maxText)
	}
	return string(b), nil
}

func (m *machine) exists(name string) bool {
	_, err := os.Stat(m.dir(name))
	return err == nil
}

// errUnknown is for what is not understood, and so not touched.
type errUnknown string

func (e errUnknown) Error() string { return "not understood: " + string(e) }

// place finds where a change goes.
func (m *machine) place(kind tuning.Kind, target, key string) (place, error) {
	if strings.ContainsAny(target+key, "\n\x00") {
		return nil, errUnknown("a name with a line break")
	}
	switch kind {
	case tuning.WriteFile:
		return m.kernelFile(target)
	case tuning.Ethtool:
		group, field, _ := strings.Cut(key, ".")
		word, _, _ := strings.Cut(field, " ")
		if !tuning.Settable(group, word) {
			return nil, errUnknown("the driver's setting " + strconv.Quote(key))
		}
		return &driverPlace{m: m, nic: target, group: group, field: field}, nil
	case tuning.Schedule, tuning.Controller, tuning.Cgroup, tuning.Member:
		return m.isolatePlace(kind, target, key)
	case tuning.Affinity:
		tid, err := strconv.Atoi(target)
		if err != nil || tid < 1 {
			return nil, errUnknown("the task " + strconv.Quote(target))
		}
		return &taskPlace{m: m, tid: tid, name: key}, nil
	}
	return m.filePlace(kind, target, key)
}

// kernelPlace is a file of the kernel's.
type kernelPlace struct {
	plain
	m    *machine
	name string
}

// kernelRoots are where files of the kernel are that may be written. Anything else would be an ordinary file.
var kernelRoots = []string{"/proc/sys/", "/proc/irq/", "/sys/"}

func (m *machine) kernelFile(name string) (place, error) {
	if path.Clean(name) == name {
		for _, r := range kernelRoots {
			if strings.HasPrefix(name, r) {
				return &kernelPlace{m: m, name: name}, nil
			}
		}
	}
	return nil, errUnknown("a file that is not the kernel's: " + strconv.Quote(name))
}

// chosen is the word in brackets of a file such as "always [madvise] never", and where it is.
func chosen(text string) (word string, ok bool) {
	_, after, ok := strings.Cut(text, "[")
	if !ok {
		return text, false
	}
	word, _, ok = strings.Cut(after, "]")
	return word, ok && !strings.Contains(word, " ")
}

func (p *kernelPlace) read() (Value, error) {
	text, err := p.m.text(p.name)
	if err != nil {
		return Value{}, err
	}
	if word, ok := chosen(text); ok {
		text = word
	}
	return some(strings.Join(strings.Fields(text), " ")), nil
}

func (p *kernelPlace) write(v Value) error {
	if !v.There {
		return fmt.Errorf("%s cannot be removed", p.name)
	}
	if !p.m.real {
		return p.pretend(v.Text)
	}
	f, err := os.OpenFile(p.m.dir(p.name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(v.Text + "\n") // one write: the kernel takes each for a whole value
	err = errors.Join(err, f.Close())
	if strings.HasPrefix(p.name, "/proc/irq/") && (errors.Is(err, unix.EIO) || errors.Is(err, unix.EPERM)) {
		return fmt.Errorf("%w (the kernel manages this interrupt itself: isolcpus=managed_irq keeps it off)", err)
	}
	return err
}

// pretend does to a file of a tree what the kernel does to its own: among words in brackets it moves the brackets.
func (p *kernelPlace) pretend(v string) error {
	old, err := p.m.text(p.name)
	if err != nil {
		return err
	}
	text := v + "\n"
	if word, ok := chosen(old); ok {
		text = strings.ReplaceAll(old, "["+word+"]", word)
		words := strings.Fields(text)
		found := false
		for i, w := range words {
			if w == v {
				words[i], found = "["+w+"]", true
			}
		}
		if !found {
			return &fs.PathError{Op: "write", Path: p.name, Err: unix.EINVAL}
		}
		text = strings.Join(words, " ") + "\n"
	}
	f, err := os.OpenFile(p.m.dir(p.name), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// same takes masks, lists and numbers that the kernel writes in another form for what they are.
func (p *kernelPlace) same(a, b Value) bool {
	if a == b {
		return true
	}
	if !a.There || !b.There {
		return false
	}
	parse := tuning.ParseMask
	switch base := path.Base(p.name); {
	case strings.HasSuffix(base, "_list"), base == "watchdog_cpumask", strings.HasPrefix(base, "cpuset."):
		parse = tuning.ParseCPUs
	case strings.HasSuffix(base, "cpumask"), strings.HasSuffix(base, "_cpus"), strings.HasSuffix(base, "smp_affinity"), base == "xps_rxqs", base == "rps_default_mask":
	default:
		x, err1 := strconv.ParseInt(a.Text, 0, 64)
		y, err2 := strconv.ParseInt(b.Text, 0, 64)
		return err1 == nil && err2 == nil && x == y
	}
	x, err1 := parse(a.Text)
	y, err2 := parse(b.Text)
	return err1 == nil && err2 == nil && x.String() == y.String()
}

// driverPlace is a setting of an interface's driver.
type driverPlace struct {
	plain
	m                 *machine
	nic, group, field string
}

func (p *driverPlace) read() (Value, error) {
	text, err := tuning.Field(p.m.dev, p.nic, p.group, p.field)
	return some(text), err
}

func (p *driverPlace) write(v Value) error {
	word, _, _ := strings.Cut(p.field, " ")
	return p.m.dev.Set(p.nic, p.group, word, v.Text)
}

// taskPlace is where a thread may run.
type taskPlace struct {
	plain
	m    *machine
	tid  int
	name string
}

// file is one of the thread's folder. A tree has only those below its process.
func (p *taskPlace) file(name string) string {
	direct := fmt.Sprintf("/proc/%d/%s", p.tid, name)
	if !p.m.exists(direct) {
		if found, _ := filepath.Glob(p.m.dir(fmt.Sprintf("/proc/[0-9]*/task/%d/%s", p.tid, name))); len(found) == 1 {
			if rel, err := filepath.Rel(p.m.root, found[0]); err == nil {
				return "/" + rel
			}
		}
	}
	return direct
}

// born tells the thread from a later one of the same number: when it started, in clock ticks since the boot.
func (p *taskPlace) born() (string, error) {
	stat, err := p.m.text(p.file("stat"))
	if err != nil {
		return "", err
	}
	first, last := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
	f := strings.Fields(stat[last+1:])
	if first < 0 || last < first || len(f) < 20 {
		return "", fmt.Errorf("/proc/%d/stat: no line of a task", p.tid)
	}
	if name := stat[first+1 : last]; p.name != "" && name != p.name {
		return "", fmt.Errorf("task %d is %s, not %s: %w", p.tid, name, p.name, unix.ESRCH)
	}
	return f[22-3], nil
}

// anyName: a thread that called itself something else still is the one, by when it started.
func (p *taskPlace) anyName() { p.name = "" }

func (p *taskPlace) read() (Value, error) {
	if _, err := p.born(); err != nil {
		return Value{}, err
	}
	status, err := p.m.text(p.file("status"))
	if err != nil {
		return Value{}, err
	}
	for line := range strings.Lines(status) {
		if list, ok := strings.CutPrefix(line, "Cpus_allowed_list:"); ok {
			return some(strings.TrimSpace(list)), nil
		}
	}
	return Value{}, fmt.Errorf("/proc/%d/status names no cores", p.tid)
}

func (p *taskPlace) write(v Value) error {
	cpus, err := tuning.ParseCPUs(v.Text)
	if err != nil {
		return err
	}
	if p.m.real {
		var set unix.CPUSetDynamic
		if len(cpus) > 0 {
			set = unix.NewCPUSet(cpus[len(cpus)-1] + 1)
		}
		for _, c := range cpus {
			set.Set(c)
		}
		return unix.SchedSetaffinityDynamic(p.tid, set)
	}
	name := p.file("status")
	status, err := p.m.text(name)
	if err != nil {
		return err
	}
	var b strings.Builder
	for line := range strings.Lines(status) {
		if strings.HasPrefix(line, "Cpus_allowed_list:") {
			line = "Cpus_allowed_list:\t" + v.Text + "\n"
		}
		b.WriteString(line)
	}
	return os.WriteFile(p.m.dir(name), []byte(b.String()), 0o644)
}

func (p *taskPlace) same(a, b Value) bool {
	x, err1 := tuning.ParseCPUs(a.Text)
	y, err2 := tuning.ParseCPUs(b.Text)
	return err1 == nil && err2 == nil && a.There == b.There && x.String() == y.String()
}

// put writes a value and reads it back. After a change of an interface that had a carrier it waits for that to return.
func (m *machine) put(ctx context.Context, p place, e *Entry, v Value, nic string) error {
	if err := m.o.fault("write", e); err != nil {
		return err
	}
	if named, ok := p.(*entryPlace); ok {
		named.check = e.Check
	}
	up := nic != "" && m.carrier(nic)
	if err := p.write(v); err != nil {
		return err
	}
	if err := m.o.fault("written", e); err != nil {
		return err
	}
	now, err := p.read()
	if err != nil {
		return fmt.Errorf("cannot be read back: %w", err)
	}
	if !p.same(now, v) {
		return fmt.Errorf("reads back as %s, want %s", now, v)
	}
	if up {
		if err := m.waitCarrier(ctx, nic); err != nil {
			return err
		}
	}
	return m.o.fault("read back", e)
}

// carrier says whether an interface has one.
func (m *machine) carrier(nic string) bool {
	text, err := m.text("/sys/class/net/" + nic + "/carrier")
	return err == nil && strings.TrimSpace(text) == "1"
}

func (m *machine) waitCarrier(ctx context.Context, nic string) error {
	end := time.NewTimer(m.o.CarrierWait)
	defer end.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !m.carrier(nic) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-end.C:
			return fmt.Errorf("%s has no carrier %s after it", nic, m.o.CarrierWait)
		case <-tick.C:
		}
	}
	return nil
}
