package apply

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/tuning"
)

// Places of what ticktune isolate does: how a thread is scheduled, which cgroup a process is in, and cgroups themselves.

// mortal is a place whose thread may end, and its number become another's: born tells them apart.
type mortal interface{ born() (string, error) }

// cgroupDir is where cgroup v2 is mounted as the one hierarchy.
const cgroupDir = "/sys/fs/cgroup"

// cgroupName is a cgroup right below the root: an isolated partition has to be the child of one.
var cgroupName = regexp.MustCompile(`^/[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

func (m *machine) isolatePlace(kind tuning.Kind, target, key string) (place, error) {
	switch kind {
	case tuning.Controller:
		if target == "/" && key == "cpuset" {
			return &controllerPlace{m: m}, nil
		}
		return nil, errUnknown("the controller " + strconv.Quote(key) + " of " + strconv.Quote(target))
	case tuning.Cgroup:
		if cgroupName.MatchString(target) {
			return &cgroupPlace{m: m, name: target}, nil
		}
		return nil, errUnknown("the cgroup " + strconv.Quote(target))
	}
	id, err := strconv.Atoi(target)
	if err != nil || id < 1 {
		return nil, errUnknown("the task " + strconv.Quote(target))
	}
	task := taskPlace{m: m, tid: id, name: key}
	if kind == tuning.Member {
		return &memberPlace{task}, nil
	}
	return &schedulePlace{task}, nil
}

// schedulePlace is how a thread is scheduled: "other 0" with its nice value, "fifo 10" with its priority.
type schedulePlace struct{ taskPlace }

func (*schedulePlace) same(a, b Value) bool { return a == b }

// Fields of /proc/TID/stat behind the name, the first of which is number 3.
const (
	statPriority = 18 - 3
	statNice     = 19 - 3
	statRT       = 40 - 3
	statPolicy   = 41 - 3
)

// stat gives what is up to the name's end, and the fields behind it.
func (p *taskPlace) stat() (head string, fields []string, err error) {
	text, err := p.m.text(p.file("stat"))
	if err != nil {
		return "", nil, err
	}
	end := strings.LastIndexByte(text, ')')
	fields = strings.Fields(text[end+1:])
	if end < 0 || len(fields) <= statPolicy {
		return "", nil, fmt.Errorf("/proc/%d/stat: no line of a task", p.tid)
	}
	return text[:end+1], fields, nil
}

func (p *schedulePlace) read() (Value, error) {
	if _, err := p.born(); err != nil {
		return Value{}, err
	}
	_, f, err := p.stat()
	if err != nil {
		return Value{}, err
	}
	policy, err := strconv.Atoi(f[statPolicy])
	if err != nil {
		return Value{}, fmt.Errorf("/proc/%d/stat: policy %q", p.tid, f[statPolicy])
	}
	n := f[statNice]
	if policy == unix.SCHED_FIFO || policy == unix.SCHED_RR {
		n = f[statRT]
	}
	return some(tuning.PolicyName(policy) + " " + n), nil
}

func (p *schedulePlace) write(v Value) error {
	policy, n, err := tuning.ParsePolicy(v.Text)
	if err != nil {
		return err
	}
	real := policy == unix.SCHED_FIFO || policy == unix.SCHED_RR
	if !p.m.real {
		return p.pretend(policy, n, real)
	}
	// What else a thread has, such as that its children begin anew, stays.
	a, err := unix.SchedGetAttr(p.tid, 0)
	if err != nil {
		return err
	}
	a.Policy, a.Nice, a.Priority = uint32(policy), 0, 0
	if real {
		a.Priority = uint32(n)
	} else {
		a.Nice = int32(n)
	}
	const resetOnFork = 1
	a.Flags &= resetOnFork
	return unix.SchedSetAttr(p.tid, a, 0)
}

// pretend writes a tree's stat as the kernel would.
func (p *schedulePlace) pretend(policy, n int, real bool) error {
	head, f, err := p.stat()
	if err != nil {
		return err
	}
	f[statPolicy], f[statRT], f[statNice], f[statPriority] = strconv.Itoa(policy), "0", strconv.Itoa(n), strconv.Itoa(20+n)
	if real {
		f[statRT], f[statNice], f[statPriority] = strconv.Itoa(n), "0", strconv.Itoa(-1-n)
	}
	return os.WriteFile(p.m.dir(p.file("stat")), []byte(head+" "+strings.Join(f, " ")+"\n"), 0o644)
}

// memberPlace is the cgroup (v2) that a process is in, with all its threads.
type memberPlace struct{ taskPlace }

func (*memberPlace) same(a, b Value) bool { return a == b }

func (p *memberPlace) read() (Value, error) {
	if _, err := p.born(); err != nil {
		return Value{}, err
	}
	text, err := p.m.text(fmt.Sprintf("/proc/%d/cgroup", p.tid))
	if err != nil {
		return Value{}, err
	}
	for line := range strings.Lines(text) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return some(name), nil
		}
	}
	return Value{}, fmt.Errorf("/proc/%d/cgroup: no cgroup v2", p.tid)
}

func (p *memberPlace) write(v Value) error {
	if !path.IsAbs(v.Text) || path.Clean(v.Text) != v.Text {
		return errUnknown("the cgroup " + strconv.Quote(v.Text))
	}
	if err := p.m.tell(path.Join(cgroupDir, v.Text, "cgroup.procs"), strconv.Itoa(p.tid)); err != nil || p.m.real {
		return err
	}
	name := fmt.Sprintf("/proc/%d/cgroup", p.tid)
	text, err := p.m.text(name)
	if err != nil {
		return err
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "0::") {
			line = "0::" + v.Text + "\n"
		}
		b.WriteString(line)
	}
	return os.WriteFile(p.m.dir(name), []byte(b.String()), 0o644)
}

// tell is one write to a file of the kernel's, which has to be there.
func (m *machine) tell(name, text string) error {
	f, err := os.OpenFile(m.dir(name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if !m.real {
		err = f.Truncate(0)
	}
	_, err2 := f.WriteString(text + "\n")
	return errors.Join(err, err2, f.Close())
}

// controllerPlace is whether children of the root have the controller cpuset: on or off.
type controllerPlace struct {
	plain
	m *machine
}

const subtreeControl = cgroupDir + "/cgroup.subtree_control"

func (p *controllerPlace) read() (Value, error) {
	text, err := p.m.text(subtreeControl)
	return some(onOff(slices.Contains(strings.Fields(text), "cpuset"))), err
}

func (p *controllerPlace) write(v Value) error {
	sign := "-"
	if v.Text == "on" {
		sign = "+"
	}
	if p.m.real {
		return p.m.tell(subtreeControl, sign+"cpuset")
	}
	text, err := p.m.text(subtreeControl)
	if err != nil {
		return err
	}
	words := slices.DeleteFunc(strings.Fields(text), func(w string) bool { return w == "cpuset" })
	if sign == "+" {
		words = append(words, "cpuset")
	}
	return p.m.tell(subtreeControl, strings.Join(words, " "))
}

// cgroupPlace is a cgroup, and what its cpuset is: "isolated 4-5", "root 4-5", "member 4-5"; nothing: there is none.
type cgroupPlace struct {
	plain
	m    *machine
	name string
}

func (p *cgroupPlace) file(name string) string { return path.Join(cgroupDir, p.name, name) }

func (p *cgroupPlace) read() (Value, error) {
	if !p.m.exists(p.file("")) {
		if !p.m.exists(cgroupDir + "/cgroup.controllers") {
			return Value{}, fmt.Errorf("%s is no cgroup v2", cgroupDir)
		}
		return Value{}, nil
	}
	kind, err := p.m.text(p.file("cpuset.cpus.partition"))
	if errors.Is(err, fs.ErrNotExist) {
		return some("member "), nil // without the controller it has none
	} else if err != nil {
		return Value{}, err
	}
	cores, err := p.m.text(p.file("cpuset.cpus"))
	return some(strings.TrimSpace(kind) + " " + strings.TrimSpace(cores)), err
}

func (p *cgroupPlace) write(v Value) (err error) {
	dir := p.m.dir(p.file(""))
	if !v.There {
		if p.m.exists(p.file("cpuset.cpus.partition")) {
			if err := p.m.tell(p.file("cpuset.cpus.partition"), "member"); err != nil {
				return err
			}
		}
		if !p.m.real {
			return os.RemoveAll(dir) // files of a cgroup go with it
		}
		return os.Remove(dir)
	}
	kind, _, _ := strings.Cut(v.Text, " ") // "isolated invalid (reason) 4-5" was asked to be isolated
	cores := v.Text[strings.LastIndexByte(v.Text, ' ')+1:]
	if !slices.Contains([]string{"member", "root", "isolated"}, kind) {
		return errUnknown("the kind of a cpuset " + strconv.Quote(kind))
	}
	if err := os.Mkdir(dir, 0o755); err == nil {
		defer func() { // half a cgroup would be neither as it was nor as it should be
			if err != nil {
				_ = os.Remove(dir)
			}
		}()
		if !p.m.real {
			for _, name := range []string{"cpuset.cpus", "cpuset.cpus.partition", "cgroup.procs"} {
				if err := os.WriteFile(p.m.dir(p.file(name)), nil, 0o644); err != nil {
					return err
				}
			}
		}
	} else if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := p.m.tell(p.file("cpuset.cpus"), cores); err != nil {
		return err
	}
	return p.m.tell(p.file("cpuset.cpus.partition"), kind)
}

// same takes lists of cores for what they are.
func (p *cgroupPlace) same(a, b Value) bool {
	if a == b || !a.There || !b.There {
		return a == b
	}
	i, j := strings.LastIndexByte(a.Text, ' '), strings.LastIndexByte(b.Text, ' ')
	if i < 0 || j < 0 || a.Text[:i] != b.Text[:j] {
		return false
	}
	x, err1 := tuning.ParseCPUs(a.Text[i:])
	y, err2 := tuning.ParseCPUs(b.Text[j:])
	return err1 == nil && err2 == nil && slices.Equal(x, y)
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}
