package tuning

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// Task is a thread of the machine.
type Task struct {
	PID, TID int
	Name     string
	Kernel   bool // the kernel's own (PF_KTHREAD)
	Fixed    bool // may not be moved (PF_NO_SETAFFINITY)
	LastCPU  int
	Policy   int // 0 other, 1 fifo, 2 rr
	Priority int // of real time, 1 to 99
	Nice     int // of the others, -20 to 19
	Allowed  CPUs
}

// Flags of /proc/PID/stat (include/linux/sched.h).
const (
	pfKthread       = 0x00200000
	pfNoSetaffinity = 0x04000000
)

var errStat = errors.New("no line of /proc/PID/stat")

// parseStat reads the line of a thread. Its name may have blanks and parentheses: fields count from the last one that closes.
func parseStat(text string) (t Task, err error) {
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 1 || end < open {
		return t, errStat
	}
	if t.TID, err = strconv.Atoi(strings.TrimSpace(text[:open])); err != nil {
		return t, errStat
	}
	t.Name = text[open+1 : end]
	f := strings.Fields(text[end+1:]) // the first is field 3
	if len(f) < 39 {
		return t, errStat
	}
	flags, err1 := strconv.ParseUint(f[9-3], 10, 64)
	cpu, err2 := strconv.Atoi(f[39-3])
	prio, err3 := strconv.Atoi(f[40-3])
	policy, err4 := strconv.Atoi(f[41-3])
	nice, err5 := strconv.Atoi(f[19-3])
	if errors.Join(err1, err2, err3, err4, err5) != nil {
		return t, errStat
	}
	t.Kernel, t.Fixed = flags&pfKthread != 0, flags&pfNoSetaffinity != 0
	t.LastCPU, t.Priority, t.Policy, t.Nice = cpu, prio, policy, nice
	return t, nil
}

// statusField is a field of /proc/PID/status.
func statusField(text, name string) string {
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// maxTasks bounds a look: beyond it, what is told is of the first so many.
const maxTasks = 100_000

// Tasks are all threads of the machine that still were there when they were looked at.
func (h *Host) Tasks() ([]Task, error) {
	if h.tasks == nil && h.tasksErr == nil {
		h.tasks, h.tasksErr = h.readTasks()
	}
	h.record("/proc/*/task/*/{stat,status}", fmt.Sprintf("%d threads", len(h.tasks)), h.tasksErr)
	return h.tasks, h.tasksErr
}

// TasksOf are the threads of one process that still were there; none: there is no such process. They are read afresh.
func (h *Host) TasksOf(pid int) ([]Task, error) {
	dir := fmt.Sprintf("/proc/%d/task", pid)
	tasks, err := h.tasksAt(dir + "/[0-9]*")
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	h.record(dir+"/*/{stat,status}", fmt.Sprintf("%d threads", len(tasks)), err)
	return tasks, err
}

// CgroupOf is the cgroup (v2) that a process is in, below the mount.
func (h *Host) CgroupOf(pid int) (string, error) {
	name := fmt.Sprintf("/proc/%d/cgroup", pid)
	text, err := h.fresh(name)
	h.record(name, text, err)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(text) {
		if group, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return group, nil
		}
	}
	return "", &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
}

// readTasks refuses a look that shows only some: where /proc is mounted with hidepid, what nobody sees would pass for not running.
func (h *Host) readTasks() ([]Task, error) {
	tasks, err := h.tasksAt("/proc/[0-9]*/task/[0-9]*")
	if err == nil && tasks[0].PID != 1 && len(tasks) < maxTasks {
		return nil, &fs.PathError{Op: "read", Path: "/proc/1 (hidepid)", Err: fs.ErrPermission}
	}
	return tasks, err
}

func (h *Host) tasksAt(pattern string) (tasks []Task, err error) {
	dirs, _ := filepath.Glob(h.path(pattern))
	for _, full := range dirs {
		tid := filepath.Base(full)
		pid := filepath.Base(filepath.Dir(filepath.Dir(full)))
		dir := "/proc/" + pid + "/task/" + tid
		stat, err := h.fresh(dir + "/stat")
		if errors.Is(err, fs.ErrPermission) {
			return nil, err
		} else if err != nil {
			continue // it ended
		}
		t, err := parseStat(stat)
		if err != nil {
			return nil, fmt.Errorf("%s/stat: %w", dir, err)
		}
		status, err := h.fresh(dir + "/status")
		if err != nil {
			continue
		}
		t.PID, _ = strconv.Atoi(pid)
		t.Allowed, _ = ParseCPUs(statusField(status, "Cpus_allowed_list"))
		if tasks = append(tasks, t); len(tasks) == maxTasks {
			break
		}
	}
	if len(tasks) == 0 {
		return nil, &fs.PathError{Op: "read", Path: "/proc/PID", Err: fs.ErrNotExist}
	}
	sort.Slice(tasks, func(i, j int) bool { return tasks[i].TID < tasks[j].TID })
	return tasks, nil
}

// Running are the tasks of a program's name that are no kernel threads, one a process.
func (h *Host) Running(names ...string) (found []Task) {
	tasks, _ := h.Tasks()
	for _, t := range tasks {
		for _, n := range names {
			// The kernel keeps 15 bytes of a name.
			if t.PID == t.TID && !t.Kernel && (t.Name == n || len(n) > 15 && t.Name == n[:15]) {
				found = append(found, t)
			}
		}
	}
	return found
}

func sortStrings(s []string) { sort.Strings(s) }

// IRQ is one row of /proc/interrupts.
type IRQ struct {
	Name   string // its number, or LOC and the like
	Counts []int  // by column
	What   string // the rest of the line: chip, and who asked for it
}

// Interrupts is /proc/interrupts: cores are the columns, which offline cores lack.
type Interrupts struct {
	CPUs CPUs
	Rows []IRQ
}

// ParseInterrupts reads /proc/interrupts. Rows such as ERR have fewer columns than there are cores.
func ParseInterrupts(text string) (*Interrupts, error) {
	head, rest, _ := strings.Cut(text, "\n")
	var in Interrupts
	for _, word := range strings.Fields(head) {
		n, err := strconv.Atoi(strings.TrimPrefix(word, "CPU"))
		if err != nil || !strings.HasPrefix(word, "CPU") || n < 0 || n >= maxCPU {
			return nil, fmt.Errorf("/proc/interrupts: head %q", short(word))
		}
		if k := len(in.CPUs); k > 0 && n <= in.CPUs[k-1] {
			return nil, fmt.Errorf("/proc/interrupts: core %d comes after %d", n, in.CPUs[k-1])
		}
		in.CPUs = append(in.CPUs, n)
	}
	if len(in.CPUs) == 0 {
		return nil, errors.New("/proc/interrupts: no head")
	}
	for line := range strings.Lines(rest) {
		name, after, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		row := IRQ{Name: strings.TrimSpace(name)}
		for range in.CPUs {
			word, more, _ := strings.Cut(strings.TrimLeft(after, " \t\n"), " ")
			n, err := strconv.Atoi(strings.TrimSpace(word))
			if err != nil || n < 0 {
				break
			}
			row.Counts, after = append(row.Counts, n), more
		}
		row.What = strings.Join(strings.Fields(after), " ")
		in.Rows = append(in.Rows, row)
	}
	return &in, nil
}

// Interrupts reads them.
func (h *Host) Interrupts() (*Interrupts, error) {
	text, err := h.quiet("/proc/interrupts")
	if err != nil {
		h.record("/proc/interrupts", "", err)
		return nil, err
	}
	in, err := ParseInterrupts(text)
	if err != nil {
		h.record("/proc/interrupts", "", err)
		return nil, err
	}
	h.record("/proc/interrupts", fmt.Sprintf("%d rows, cores %s", len(in.Rows), in.CPUs), nil)
	return in, nil
}
