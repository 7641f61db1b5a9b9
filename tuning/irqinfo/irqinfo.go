package irqinfo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/tickwire/tickwire/tuning"
)

// Schema names the layout of a Report as JSON.
const Schema = "ticktune.irq/1"

// Report is what interrupted in some time.
type Report struct {
	Schema  string  `json:"schema"`
	Seconds float64 `json:"seconds"`         // between the two looks
	Virtual bool    `json:"virtual_machine"` // the hypervisor's interrupts are not seen
	Cores   []Core  `json:"cores"`
	IRQs    []IRQ   `json:"irqs"`
}

// Core is what interrupted one.
type Core struct {
	CPU     int      `json:"cpu"`
	Role    string   `json:"role,omitempty"` // HOT or NAPI, as planned
	PerS    float64  `json:"per_s"`
	Sources []Source `json:"sources"` // that fired, the busiest first
}

// Source is one interrupt on one core.
type Source struct {
	Name string  `json:"name"` // its number, or LOC and the like
	What string  `json:"what"`
	PerS float64 `json:"per_s"`
}

// IRQ is a row of /proc/interrupts.
type IRQ struct {
	Name      string        `json:"name"` // its number, or LOC and the like
	What      string        `json:"what"` // who asked for it
	NIC       string        `json:"nic,omitempty"`
	Queue     int           `json:"queue"`                   // of the NIC that receives; -1: none, or not known
	Allowed   tuning.CPUs   `json:"allowed,omitempty"`       // where it may go
	Effective tuning.CPUs   `json:"effective,omitempty"`     // where the chip sends it; empty: not told
	Node      int           `json:"node"`                    // -1: none is told
	Managed   bool          `json:"managed"`                 // the kernel places it: it cannot be moved. Known only with debugfs.
	Reason    string        `json:"reason,omitempty"`        // why it is not told where it goes
	Restarted bool          `json:"restarted"`               // its counters began anew between the looks
	Total     uint64        `json:"total"`                   // since it was asked for
	PerS      float64       `json:"per_s"`                   // over all cores
	PerCore   map[int]int64 `json:"fired_by_core,omitempty"` // how often, between the looks, by core; cores with none are left out
}

// Numbered says whether it is a device's: others are the processor's own, and go nowhere else.
func (r *IRQ) Numbered() bool {
	_, err := strconv.ParseUint(r.Name, 10, 31)
	return err == nil
}

// Snapshot is /proc/interrupts at a time.
type Snapshot struct {
	At   time.Time
	Rows *tuning.Interrupts
}

// Take looks now.
func Take(h *tuning.Host) (*Snapshot, error) {
	now := time.Now()
	h.Refresh(now)
	rows, err := h.Interrupts()
	if err != nil {
		return nil, err
	}
	return &Snapshot{now, rows}, nil
}

// Watch looks, waits, looks again and reports what lies between; ctx ends it early, and then what was seen until then is told.
func Watch(ctx context.Context, h *tuning.Host, wait time.Duration) (*Report, error) {
	before, err := Take(h)
	if err != nil {
		return nil, err
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	after, err := Take(h)
	if err != nil {
		return nil, err
	}
	return Between(h, before, after), nil
}

// Between reports what happened between two looks. Where interrupts go is asked now.
func Between(h *tuning.Host, before, after *Snapshot) *Report {
	r := &Report{Schema: Schema, Seconds: after.At.Sub(before.At).Seconds(), Virtual: h.Virt() != ""}
	was := map[string]tuning.IRQ{}
	for _, row := range before.Rows.Rows {
		was[row.Name] = row
	}
	whose := owners(h)
	byCore := map[int]*Core{}
	for _, cpu := range after.Rows.CPUs {
		byCore[cpu] = &Core{CPU: cpu, Role: role(h.Plan, cpu), Sources: []Source{}}
	}
	for _, row := range after.Rows.Rows {
		old := was[row.Name]
		irq := IRQ{Name: row.Name, What: row.What, Queue: -1, Node: -1, PerCore: map[int]int64{}, Restarted: restarted(old, row, before, after)}
		fired := 0.0
		for i := range row.Counts {
			irq.Total += uint64(row.Counts[i])
			n := row.Counts[i]
			if seen := countOn(old, before, after.Rows.CPUs[i]); !irq.Restarted && seen >= 0 {
				n -= seen
			} else if !irq.Restarted {
				continue // the core came online between the looks: since when it counted is not known
			}
			if n == 0 {
				continue
			}
			fired += float64(n)
			cpu := after.Rows.CPUs[i]
			irq.PerCore[cpu] = int64(n)
			core := byCore[cpu]
			core.PerS += rate(float64(n), r.Seconds)
			core.Sources = append(core.Sources, Source{row.Name, row.What, rate(float64(n), r.Seconds)})
		}
		irq.PerS = rate(fired, r.Seconds)
		if irq.Numbered() {
			irq.place(h)
			irq.NIC, irq.Queue = whose.of(row)
		}
		r.IRQs = append(r.IRQs, irq)
	}
	for _, cpu := range slices.Sorted(maps.Keys(byCore)) {
		core := byCore[cpu]
		sort.SliceStable(core.Sources, func(i, j int) bool { return core.Sources[i].PerS > core.Sources[j].PerS })
		r.Cores = append(r.Cores, *core)
	}
	return r
}

// countOn is a row's count of a core at a look; -1: the core was offline, and what it has counted is not known.
func countOn(row tuning.IRQ, at *Snapshot, cpu int) int {
	if i, ok := slices.BinarySearch(at.Rows.CPUs, cpu); ok && i < len(row.Counts) {
		return row.Counts[i]
	}
	return -1
}

// restarted says that a row counts from zero: there was none of its number, it was another device's, or it went back.
func restarted(old, row tuning.IRQ, before, after *Snapshot) bool {
	if old.Name == "" || old.What != row.What {
		return true
	}
	for i := range row.Counts {
		if row.Counts[i] < countOn(old, before, after.Rows.CPUs[i]) {
			return true
		}
	}
	return false
}

func rate(n, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return n / seconds
}

func role(p *tuning.Plan, cpu int) string {
	switch {
	case p.Hot.Has(cpu):
		return "HOT"
	case p.NAPI.Has(cpu):
		return "NAPI"
	}
	return ""
}

// place asks where an interrupt goes. Machines have thousands: what is read is no evidence of a check.
func (r *IRQ) place(h *tuning.Host) {
	dir := "/proc/irq/" + r.Name + "/"
	text, err := h.Peek(dir + "smp_affinity_list")
	if err == nil {
		r.Allowed, err = tuning.ParseCPUs(text)
	}
	if err != nil {
		r.Reason = tuning.Reason(err)
		return
	}
	if text, err := h.Peek(dir + "effective_affinity_list"); err == nil {
		r.Effective, _ = tuning.ParseCPUs(text)
	}
	if text, err := h.Peek(dir + "node"); err == nil {
		if n, err := strconv.Atoi(text); err == nil {
			r.Node = n
		}
	}
	if text, err := h.Peek("/sys/kernel/debug/irq/irqs/" + r.Name); err == nil {
		r.Managed = strings.Contains(text, "IRQD_AFFINITY_MANAGED")
	}
}

// owner says whose interrupts are.
type owner struct {
	nics   []string
	device map[string]string // interface by PCI address and by virtio device
	irq    map[string]string // interface by number, as the bus tells
	queue  map[string]int    // queue by number, as netdev-genl tells
}

func owners(h *tuning.Host) (o owner) {
	o = owner{device: map[string]string{}, irq: map[string]string{}, queue: map[string]int{}}
	o.nics, _ = h.Faces()
	for _, nic := range o.nics {
		dir := "/sys/class/net/" + nic + "/device"
		if bdf := h.BDF(nic); bdf != "" {
			o.device[bdf] = nic
		}
		if name := h.LinkName(dir); name != "" {
			o.device[name] = nic
		}
		for _, file := range h.Glob(dir + "/msi_irqs/*") {
			o.irq[path.Base(file)] = nic
		}
		queues, err := tuning.Ask[[]tuning.Queue](h, nic, "queues")
		if err != nil {
			continue
		}
		napis, _ := tuning.Ask[[]tuning.NAPI](h, nic, "napis")
		for _, n := range napis {
			for _, q := range queues {
				if n.IRQ > 0 && q.NAPI != 0 && q.NAPI == n.ID {
					o.irq[strconv.Itoa(n.IRQ)], o.queue[strconv.Itoa(n.IRQ)] = nic, q.ID
				}
			}
		}
	}
	return o
}

// of says which interface's a row is, and which queue's; "", -1: none's that is known. The kernel's word comes before the name's.
func (o owner) of(row tuning.IRQ) (nic string, queue int) {
	queue = -1
	nic = o.irq[row.Name]
	if q, ok := o.queue[row.Name]; ok {
		return nic, q
	}
	words := strings.Fields(row.What)
	if len(words) == 0 {
		return nic, -1
	}
	last := words[len(words)-1]
	if who, q, ok := tuning.InterruptQueue(last); ok {
		if slices.Contains(o.nics, who) {
			return who, q
		} else if name := o.device[who]; name != "" {
			return name, q
		}
	}
	if nic == "" { // its chip has the device's address ("IR-PCI-MSIX-0000:3b:00.0"), its name perhaps the interface's
		for _, w := range words[:len(words)-1] {
			if i := strings.Index(w, "MSI"); i >= 0 {
				if _, bdf, ok := strings.Cut(w[i:], "-"); ok && o.device[bdf] != "" {
					return o.device[bdf], -1
				}
			}
		}
		if slices.Contains(o.nics, last) {
			return last, -1
		}
		if device, _, ok := strings.Cut(last, "-"); ok && o.device[device] != "" {
			return o.device[device], -1
		}
	}
	return nic, queue
}

// ErrNone is in the error of a name that no interrupt has.
var ErrNone = errors.New("no such interrupt")

// Pick finds interrupts by what people call them: a number ("120"), an interface ("eth2"), a queue of it ("eth2:1"), or a
// pattern of the name as path.Match has it ("nvme0q*").
func (r *Report) Pick(which string) (found []*IRQ, err error) {
	nic, queue, isQueue := strings.Cut(which, ":")
	n, queueErr := strconv.Atoi(queue)
	if _, err := path.Match(which, ""); err != nil {
		return nil, fmt.Errorf("%q: %w", which, err)
	}
	for i := range r.IRQs {
		irq := &r.IRQs[i]
		if !irq.Numbered() {
			continue
		}
		words := strings.Fields(irq.What)
		named := len(words) > 0
		if named {
			named, _ = path.Match(which, words[len(words)-1])
		}
		switch {
		case irq.Name == which, irq.NIC != "" && irq.NIC == which, named,
			isQueue && queueErr == nil && irq.NIC != "" && irq.NIC == nic && irq.Queue == n:
			found = append(found, irq)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s: %w (ticktune irq lists them)", which, ErrNone)
	}
	return found, nil
}

// Move makes the changes that let interrupts go to cores, and to no others. Those that are there already give none. Cores that
// are offline, and interrupts that the kernel places itself, are errors before anything is changed.
func Move(h *tuning.Host, irqs []*IRQ, to tuning.CPUs) (changes []tuning.Change, err error) {
	online := h.Online()
	if off := to.Without(online); len(to) == 0 || len(off) > 0 {
		return nil, fmt.Errorf("cores %q: online are %s", to.String(), online)
	}
	var faults []string
	for _, irq := range irqs {
		switch {
		case irq.Managed:
			faults = append(faults, fmt.Sprintf("interrupt %s (%s) is placed by the kernel: boot with isolcpus=managed_irq,…", irq.Name, irq.What))
		case irq.Reason != "":
			faults = append(faults, fmt.Sprintf("interrupt %s: %s", irq.Name, irq.Reason))
		case !slices.Equal(irq.Allowed, to):
			changes = append(changes, tuning.FileChange("/proc/irq/"+irq.Name+"/smp_affinity_list", to.String(), irq.Allowed.String(), tuning.R1))
		}
	}
	if len(faults) > 0 {
		return nil, errors.New(strings.Join(faults, "; "))
	}
	return changes, nil
}
