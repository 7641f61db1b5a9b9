package isolate

import (
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/tickwire/tickwire/tuning"
)

// Schema names the layout of a Placement as JSON.
const Schema = "ticktune.isolate/1"

// Options say what goes where.
type Options struct {
	PID    int         // of the process; 0: none, only the cgroup is made
	Cores  tuning.CPUs // for every thread that no rule names, and for the cgroup
	Policy string      // for every thread that no rule names, as tuning.ParsePolicy has it. The default is what they have.
	Rules  []Rule      // the first that matches a thread's name decides
	Cgroup string      // name of the isolated partition that the process comes into. The default is none.
}

// Rule is for threads of a name.
type Rule struct {
	Name   string      // a pattern, as path.Match has it
	Cores  tuning.CPUs // within Options.Cores where there is a cgroup
	Policy string      // the default is what they have
}

// ParseRule reads "NAME=CORES" and "NAME=CORES:POLICY", such as "lane*=4-5:fifo:10".
func ParseRule(s string) (r Rule, err error) {
	i := strings.LastIndexByte(s, '=')
	if i < 1 {
		return r, fmt.Errorf("thread %q, want NAME=CORES or NAME=CORES:POLICY", s)
	}
	cores, policy, _ := strings.Cut(s[i+1:], ":")
	r.Name = s[:i]
	if _, err := path.Match(r.Name, ""); err != nil {
		return r, fmt.Errorf("thread %q: the pattern %q: %w", s, r.Name, err)
	}
	if r.Cores, err = tuning.ParseCPUs(cores); err != nil || len(r.Cores) == 0 {
		return r, fmt.Errorf("thread %q: %q are no cores", s, cores)
	}
	if policy != "" {
		if r.Policy, err = Policy(policy); err != nil {
			return r, fmt.Errorf("thread %q: %w", s, err)
		}
	}
	return r, nil
}

// Policy reads a policy as flags have it, "fifo:10", and gives it as changes have it, "fifo 10".
func Policy(s string) (string, error) {
	policy, number, err := tuning.ParsePolicy(strings.ReplaceAll(s, ":", " "))
	if err != nil {
		return "", err
	}
	return tuning.PolicyName(policy) + " " + strconv.Itoa(number), nil
}

// Placement is what is to be done.
type Placement struct {
	Schema  string          `json:"schema"`
	PID     int             `json:"pid,omitempty"`
	Name    string          `json:"name,omitempty"`
	Threads []Thread        `json:"threads,omitempty"`
	Cgroup  *Cgroup         `json:"cgroup,omitempty"`
	Notes   []string        `json:"notes"`
	Changes []tuning.Change `json:"changes"`
}

// Thread is one, from where to where.
type Thread struct {
	TID      int         `json:"tid"`
	Name     string      `json:"name"`
	Allowed  tuning.CPUs `json:"allowed"`
	To       tuning.CPUs `json:"to"`
	Policy   string      `json:"policy"`
	ToPolicy string      `json:"to_policy"`
	LastCPU  int         `json:"last_cpu"`
}

// Cgroup is the partition, and where the process is now.
type Cgroup struct {
	Name  string      `json:"name"`
	Cores tuning.CPUs `json:"cores"`
	From  string      `json:"from,omitempty"`
}

// Errors of Plan.
var (
	ErrGone     = errors.New("no such process")
	ErrNoCgroup = errors.New("no isolated partition can be made here")
)

// Plan looks at the process and makes the changes; nothing is changed. What is as wanted gives no change.
func Plan(h *tuning.Host, o Options) (*Placement, error) {
	if err := o.validate(h); err != nil {
		return nil, err
	}
	p := &Placement{Schema: Schema, Notes: []string{}, Changes: []tuning.Change{}}
	if o.PID != 0 {
		if err := p.threads(h, &o); err != nil {
			return nil, err
		}
	}
	if o.Cgroup != "" {
		if err := p.cgroup(h, &o); err != nil {
			return nil, err
		}
	} else if o.PID != 0 {
		p.within(h, &o)
	}
	p.notes(h, &o)
	return p, nil
}

func (o *Options) all() tuning.CPUs {
	all := o.Cores
	for _, r := range o.Rules {
		all = all.Union(r.Cores)
	}
	return all
}

var groupName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

// validate tells all faults at once.
func (o *Options) validate(h *tuning.Host) error {
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	online, all := h.Online(), o.all()
	if len(all) == 0 {
		fault("no cores are named")
	}
	if off := all.Without(online); len(off) > 0 {
		fault("cores %s are not online (%s are)", off, online)
	}
	if o.PID < 0 || o.PID == 1 {
		fault("process %d is not put in place", o.PID)
	}
	if o.PID == 0 && o.Cgroup == "" {
		fault("neither a process nor a cgroup is named")
	}
	if o.Cgroup != "" {
		if !groupName.MatchString(o.Cgroup) {
			fault("cgroup %q is no name of one below the root", o.Cgroup)
		}
		for _, r := range o.Rules {
			if out := r.Cores.Without(o.Cores); len(out) > 0 {
				fault("threads %s: cores %s are not the cgroup's (%s)", r.Name, out, o.Cores)
			}
		}
		if len(o.Cores) == 0 {
			fault("a cgroup needs --cores")
		}
		// A partition takes its cores from everybody else.
		for _, n := range h.Nodes() {
			set, err := h.List(fmt.Sprintf("/sys/devices/system/node/node%d/cpulist", n))
			if set = set.And(online); err == nil && len(set) > 0 && len(set.Without(o.Cores)) == 0 {
				fault("cores %s are all of NUMA node %d: leave one for the rest of the work", set, n)
			}
		}
		if len(online) > 0 && len(online.Without(o.Cores)) == 0 {
			fault("cores %s are all there are: leave one for the rest of the work", online)
		}
	}
	if len(faults) > 0 {
		return errors.New(strings.Join(faults, "; "))
	}
	return nil
}

// threads finds where each goes.
func (p *Placement) threads(h *tuning.Host, o *Options) error {
	tasks, err := h.TasksOf(o.PID)
	if err != nil {
		return fmt.Errorf("process %d: %s", o.PID, tuning.Reason(err))
	}
	if len(tasks) == 0 {
		return fmt.Errorf("process %d: %w", o.PID, ErrGone)
	}
	if tasks[0].Kernel {
		return fmt.Errorf("%d is a thread of the kernel (%s): kernel threads are check kern.kthreads's", o.PID, tasks[0].Name)
	}
	p.PID = o.PID
	used := make([]bool, len(o.Rules))
	for _, t := range tasks {
		if t.TID == t.PID {
			p.Name = t.Name
		}
		one := Thread{TID: t.TID, Name: t.Name, Allowed: t.Allowed, To: o.Cores, Policy: policyOf(t), ToPolicy: o.Policy, LastCPU: t.LastCPU}
		for i, r := range o.Rules {
			if ok, _ := path.Match(r.Name, t.Name); ok {
				one.To, one.ToPolicy, used[i] = r.Cores, r.Policy, true
				break
			}
		}
		if len(one.To) == 0 {
			one.To = one.Allowed // only rules name cores, and none names this
		}
		if one.ToPolicy == "" {
			one.ToPolicy = one.Policy
		}
		p.Threads = append(p.Threads, one)
		if !slices.Equal(one.Allowed, one.To) {
			p.Changes = append(p.Changes, tuning.TaskChange(t, one.To, tuning.R1))
		}
		if one.ToPolicy != one.Policy {
			p.Changes = append(p.Changes, scheduleChange(&one))
		}
	}
	for i, r := range o.Rules {
		if !used[i] {
			p.Notes = append(p.Notes, fmt.Sprintf("no thread is called %s", r.Name))
		}
	}
	return nil
}

// policyOf is how a thread is scheduled, in the words of changes.
func policyOf(t tuning.Task) string {
	n := t.Nice
	if t.Policy == 1 || t.Policy == 2 {
		n = t.Priority
	}
	return tuning.PolicyName(t.Policy) + " " + strconv.Itoa(n)
}

// scheduleChange is one that schedules a thread. A real-time thread that spins starves whatever else is on its core.
func scheduleChange(t *Thread) tuning.Change {
	id := strconv.Itoa(t.TID)
	c := tuning.Change{Kind: tuning.Schedule, Target: id, Key: t.Name, Value: t.ToPolicy, Old: t.Policy, Risk: tuning.R1, Command: chrt(t.ToPolicy, id), Undo: chrt(t.Policy, id)}
	if isRealTime(t.ToPolicy) {
		c.Risk = tuning.R3
	}
	return c
}

func isRealTime(policy string) bool {
	return strings.HasPrefix(policy, "fifo ") || strings.HasPrefix(policy, "rr ")
}

// chrt is the command for it; the nice value is renice's.
func chrt(policy, id string) string {
	name, n, _ := strings.Cut(policy, " ")
	if isRealTime(policy) {
		return "chrt --" + name + " -p " + n + " " + id
	}
	return "chrt --" + name + " -p 0 " + id + " && renice -n " + n + " -p " + id
}

const cgroupDir = "/sys/fs/cgroup"

func (p *Placement) cgroup(h *tuning.Host, o *Options) error {
	controllers, err := h.Read(cgroupDir + "/cgroup.controllers")
	if err != nil {
		return fmt.Errorf("%w: cgroup v2 is not what %s is (%s); without --cgroup affinities are set all the same", ErrNoCgroup, cgroupDir, tuning.Reason(err))
	}
	if !slices.Contains(strings.Fields(controllers), "cpuset") {
		return fmt.Errorf("%w: cgroup v2 has no cpuset controller (another hierarchy may have it)", ErrNoCgroup)
	}
	name := "/" + o.Cgroup
	dir := cgroupDir + name
	p.Cgroup = &Cgroup{Name: name, Cores: o.Cores}
	below, err := h.Read(cgroupDir + "/cgroup.subtree_control")
	if err != nil {
		return fmt.Errorf("%w: %s", ErrNoCgroup, tuning.Reason(err))
	}
	if !slices.Contains(strings.Fields(below), "cpuset") {
		file := cgroupDir + "/cgroup.subtree_control"
		p.Changes = append(p.Changes, tuning.Change{Kind: tuning.Controller, Target: "/", Key: "cpuset", Value: "on", Old: "off", Risk: tuning.R1,
			Command: "echo +cpuset > " + file, Undo: "echo -cpuset > " + file})
	}
	want, now := "isolated "+o.Cores.String(), ""
	undo := "echo member > " + dir + "/cpuset.cpus.partition && rmdir " + dir
	if h.Exists(dir) {
		kind, _ := h.Read(dir + "/cpuset.cpus.partition")
		cores, _ := h.Read(dir + "/cpuset.cpus")
		now = kind + " " + cores
		undo = "echo " + tuning.Quote(cores) + " > " + dir + "/cpuset.cpus && echo " + tuning.Quote(kind) + " > " + dir + "/cpuset.cpus.partition"
	}
	if now != want {
		p.Changes = append(p.Changes, tuning.Change{Kind: tuning.Cgroup, Target: name, Value: want, Old: now, Risk: tuning.R1, Undo: undo,
			Command: "mkdir -p " + dir + " && echo " + o.Cores.String() + " > " + dir + "/cpuset.cpus && echo isolated > " + dir + "/cpuset.cpus.partition"})
	}
	if o.PID == 0 {
		return nil
	}
	from, err := h.CgroupOf(o.PID)
	if err != nil {
		return fmt.Errorf("process %d: %w", o.PID, ErrGone)
	}
	p.Cgroup.From = from
	if from != name {
		id := strconv.Itoa(o.PID)
		p.Changes = append(p.Changes, tuning.Change{Kind: tuning.Member, Target: id, Key: p.Name, Value: name, Old: from, Risk: tuning.R1,
			Command: "echo " + id + " > " + dir + "/cgroup.procs", Undo: "echo " + id + " > " + path.Join(cgroupDir, from, "cgroup.procs")})
	}
	if unit := path.Base(from); strings.HasSuffix(unit, ".service") || strings.HasSuffix(unit, ".scope") {
		p.Notes = append(p.Notes, fmt.Sprintf("the process leaves %s: the unit's limits no longer hold, and systemd does not see it in there; for good set AllowedCPUs= of a slice", unit))
	}
	return nil
}

// within notes where the process's cgroup lets it run: the kernel cuts affinities to that.
func (p *Placement) within(h *tuning.Host, o *Options) {
	var files []string
	if from, err := h.CgroupOf(o.PID); err == nil {
		for dir := from; ; dir = path.Dir(dir) {
			files = append(files, cgroupDir+path.Join(dir, "/cpuset.cpus.effective"))
			if dir == "/" || dir == "." {
				break
			}
		}
	}
	if text, err := h.Read(fmt.Sprintf("/proc/%d/cpuset", o.PID)); err == nil { // cgroup v1
		files = append(files, cgroupDir+path.Join("/cpuset", text, "cpuset.effective_cpus"))
	}
	for _, file := range files {
		set, err := h.List(file)
		if err != nil || len(set) == 0 {
			continue
		}
		if out := o.all().Without(set); len(out) > 0 {
			p.Notes = append(p.Notes, fmt.Sprintf("its cgroup has cores %s only, not %s: the kernel will refuse or cut what is asked (%s)", set, out, path.Dir(file)))
		}
		return
	}
}

func (p *Placement) notes(h *tuning.Host, o *Options) {
	note := func(format string, args ...any) { p.Notes = append(p.Notes, fmt.Sprintf(format, args...)) }
	all := o.all()
	if isolated := h.Isolated(); o.Cgroup == "" && len(all.Without(isolated)) > 0 {
		note("cores %s are not isolated: other processes may run there too (--cgroup NAME, or isolcpus= at boot)", all.Without(isolated))
	}
	nodes := map[int]bool{}
	for _, cpu := range all {
		nodes[h.NodeOf(cpu)] = true
	}
	if len(nodes) > 1 {
		note("cores %s are on %d NUMA nodes", all, len(nodes))
	}
	for _, cpu := range all {
		siblings, err := h.List(fmt.Sprintf("/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu))
		if out := siblings.Without(all); err == nil && len(out) > 0 {
			note("core %d shares its circuits with %s, which is not meant to be quiet", cpu, out)
		}
	}
	// More spinning threads than cores starve each other when they are real-time.
	for _, t := range p.Threads {
		if isRealTime(t.ToPolicy) && len(t.To) > 0 {
			note("%s is to be real-time: if it never sleeps, nothing else of its core runs, the kernel's own work neither (check kern.rt_throttle)", t.Name)
			break
		}
	}
}

// Text writes it for people: each thread, from where to where.
func (p *Placement) Text(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(p.Threads) > 0 {
		fmt.Fprintln(t, "thread\tname\tlast on\tmay run on\tscheduled")
	}
	for i := range p.Threads {
		x := &p.Threads[i]
		cores, policy := x.Allowed.String(), x.Policy
		if !slices.Equal(x.To, x.Allowed) {
			cores += " → " + x.To.String()
		}
		if x.ToPolicy != x.Policy {
			policy += " → " + x.ToPolicy
		}
		fmt.Fprintf(t, "%d\t%s\t%d\t%s\t%s\n", x.TID, tuning.Printable(x.Name), x.LastCPU, cores, policy)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if c := p.Cgroup; c != nil {
		text := fmt.Sprintf("cgroup %s: isolated, cores %s", c.Name, c.Cores)
		if c.From != "" && c.From != c.Name {
			text += ", the process comes from " + c.From
		}
		if _, err := fmt.Fprintln(w, tuning.Printable(text)); err != nil {
			return err
		}
	}
	for _, n := range p.Notes {
		if _, err := fmt.Fprintln(w, "note:", tuning.Printable(n)); err != nil {
			return err
		}
	}
	return nil
}
