// Package numainfo tells how a machine is laid out: nodes with their cores, memory and huge pages, which caches cores share,
// and which NICs are near which.
//
//	/sys/devices/system/node ──► Node: cores, memory, huge pages, distances
//	cpuN/cache/index3 ─────────► caches: cores that share one
//	/sys/class/net ────────────► NIC: its node
//	the plan ──────────────────► Notes: what is far from what it works with
package numainfo

import (
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/tickwire/tickwire/tuning"
)

// Schema names the layout of a Report as JSON.
const Schema = "ticktune.numa/1"

// Report is the layout.
type Report struct {
	Schema  string        `json:"schema"`
	Virtual bool          `json:"virtual_machine"` // a guest's layout may be another than the machine's
	Nodes   []Node        `json:"nodes"`           // a kernel without NUMA: one, number 0
	Caches  []tuning.CPUs `json:"l3_caches"`       // cores that share each; empty: it is not told
	NICs    []NIC         `json:"nics"`
	Offline tuning.CPUs   `json:"offline,omitempty"`
	Notes   []string      `json:"notes"`
}

// Node is one.
type Node struct {
	ID        int         `json:"id"`
	Cores     tuning.CPUs `json:"cores"`
	Hot       tuning.CPUs `json:"hot,omitempty"` // of the plan
	NAPI      tuning.CPUs `json:"napi,omitempty"`
	TotalKiB  int64       `json:"memory_kib"`      // -1: not told
	FreeKiB   int64       `json:"memory_free_kib"` // -1: not told
	Huge      []Huge      `json:"huge_pages"`
	Distances []int       `json:"distances,omitempty"` // to each node in the order of the list; 10 is itself
}

// Huge is the pages of a size.
type Huge struct {
	PageKiB int `json:"page_kib"`
	Count   int `json:"count"`
	Free    int `json:"free"`
}

// NIC is an interface of a bus.
type NIC struct {
	Name   string      `json:"name"`
	BDF    string      `json:"bdf,omitempty"`
	Driver string      `json:"driver"`
	Node   int         `json:"node"` // -1: the firmware does not tell
	Near   tuning.CPUs `json:"near_cores,omitempty"`
}

// Look tells the layout. What files do not tell is left out.
func Look(h *tuning.Host) *Report {
	r := &Report{Schema: Schema, Virtual: h.Virt() != "", Nodes: []Node{}, Caches: []tuning.CPUs{}, NICs: []NIC{}, Notes: []string{}}
	online := h.Online()
	r.Offline = h.Possible().Without(online)
	for _, id := range h.Nodes() {
		dir := fmt.Sprintf("/sys/devices/system/node/node%d/", id)
		cores, _ := h.List(dir + "cpulist")
		n := Node{ID: id, Cores: cores, TotalKiB: -1, FreeKiB: -1}
		if text, err := h.Read(dir + "meminfo"); err == nil {
			n.TotalKiB, n.FreeKiB = memory(text, "MemTotal:"), memory(text, "MemFree:")
		}
		n.huge(h, dir+"hugepages/")
		if text, err := h.Read(dir + "distance"); err == nil {
			for _, w := range strings.Fields(text) {
				d, _ := strconv.Atoi(w)
				n.Distances = append(n.Distances, d)
			}
		}
		r.Nodes = append(r.Nodes, n)
	}
	if len(r.Nodes) == 0 { // a kernel without NUMA
		n := Node{Cores: online, TotalKiB: -1, FreeKiB: -1}
		if text, err := h.Read("/proc/meminfo"); err == nil {
			n.TotalKiB, n.FreeKiB = memory(text, "MemTotal:"), memory(text, "MemFree:")
		}
		n.huge(h, "/sys/kernel/mm/hugepages/")
		r.Nodes = append(r.Nodes, n)
	}
	for i := range r.Nodes {
		r.Nodes[i].Hot, r.Nodes[i].NAPI = r.Nodes[i].Cores.And(h.Plan.Hot), r.Nodes[i].Cores.And(h.Plan.NAPI)
	}
	r.caches(h, online)
	r.nics(h)
	r.judge(h)
	return r
}

// memory is a line of a node's meminfo ("Node 0 MemTotal: 16 kB") or of /proc/meminfo, in KiB; -1: there is none.
func memory(text, name string) int64 {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if i := slices.Index(f, name); i >= 0 && i+1 < len(f) {
			if n, err := strconv.ParseInt(f[i+1], 10, 64); err == nil && n >= 0 {
				return n
			}
		}
	}
	return -1
}

func (n *Node) huge(h *tuning.Host, dir string) {
	n.Huge = []Huge{}
	for _, sub := range h.Glob(dir + "hugepages-*kB") {
		kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(path.Base(sub), "hugepages-"), "kB"))
		if err != nil {
			continue
		}
		count, err := h.Int(sub + "/nr_hugepages")
		if err != nil {
			continue
		}
		free, _ := h.Int(sub + "/free_hugepages")
		n.Huge = append(n.Huge, Huge{kib, count, free})
	}
}

func (r *Report) caches(h *tuning.Host, online tuning.CPUs) {
	seen := map[string]bool{}
	for _, cpu := range online {
		set, err := h.List(fmt.Sprintf("/sys/devices/system/cpu/cpu%d/cache/index3/shared_cpu_list", cpu))
		if err == nil && len(set) > 0 && !seen[set.String()] {
			seen[set.String()] = true
			r.Caches = append(r.Caches, set)
		}
	}
}

func (r *Report) nics(h *tuning.Host) {
	for _, name := range names(h) {
		dir := "/sys/class/net/" + name + "/device"
		driver := h.DriverOf(name)
		if driver == "" {
			continue // of no bus
		}
		n := NIC{Name: name, BDF: h.BDF(name), Driver: driver, Node: -1}
		if id, err := h.Int(dir + "/numa_node"); err == nil {
			n.Node = id
		}
		n.Near, _ = h.List(dir + "/local_cpulist")
		r.NICs = append(r.NICs, n)
	}
}

// names are those of /sys, not of rtnetlink: what is told of them is from there.
func names(h *tuning.Host) (all []string) {
	for _, p := range h.Glob("/sys/class/net/*") {
		all = append(all, path.Base(p))
	}
	return all
}

func (r *Report) judge(h *tuning.Host) {
	note := func(format string, args ...any) { r.Notes = append(r.Notes, fmt.Sprintf(format, args...)) }
	busy := h.Plan.Busy()
	for _, n := range r.NICs {
		planned := h.Plan.Interface(n.Name) != nil
		switch {
		case n.Node < 0 && len(r.Nodes) > 1 && n.BDF != "":
			note("%s: the firmware does not tell its node, of %d", n.Name, len(r.Nodes))
		case n.Node < 0 || !planned:
		default:
			far := busy
			for _, node := range r.Nodes {
				if node.ID == n.Node {
					far = busy.Without(node.Cores)
				}
			}
			if len(far) > 0 {
				note("%s is on node %d, and cores %s of the plan are not: each packet crosses between sockets", n.Name, n.Node, far)
			}
		}
	}
	if len(h.Plan.Hot) > 0 && len(h.Plan.NAPI) > 0 && len(r.Caches) > 1 {
		shared := slices.ContainsFunc(r.Caches, func(c tuning.CPUs) bool { return len(busy.Without(c)) == 0 })
		if !shared {
			note("HOT %s and NAPI %s share no L3 cache", h.Plan.Hot, h.Plan.NAPI)
		}
	}
	for _, n := range r.Nodes {
		if n.TotalKiB == 0 {
			note("node %d has no memory: what its cores need lies elsewhere", n.ID)
		}
		if len(n.Hot) > 0 && !slices.ContainsFunc(n.Huge, func(p Huge) bool { return p.Free > 0 }) {
			note("node %d has cores of the plan and no free huge page", n.ID)
		}
	}
}

// Text writes it for people.
func (r *Report) Text(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "node\tcores\tplan\tmemory\tfree\thuge pages (free)\tdistances\tNICs")
	for _, n := range r.Nodes {
		var plan, huge, far, nics []string
		if len(n.Hot) > 0 {
			plan = append(plan, "HOT "+n.Hot.String())
		}
		if len(n.NAPI) > 0 {
			plan = append(plan, "NAPI "+n.NAPI.String())
		}
		for _, p := range n.Huge {
			huge = append(huge, fmt.Sprintf("%d×%s (%d)", p.Count, size(int64(p.PageKiB)), p.Free))
		}
		for _, d := range n.Distances {
			far = append(far, strconv.Itoa(d))
		}
		for _, nic := range r.NICs {
			if nic.Node == n.ID || len(r.Nodes) == 1 && nic.Node < 0 {
				nics = append(nics, nic.Name)
			}
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", n.ID, dash(n.Cores.String()), dash(strings.Join(plan, ", ")), size(n.TotalKiB), size(n.FreeKiB),
			dash(strings.Join(huge, ", ")), dash(strings.Join(far, " ")), tuning.Printable(dash(strings.Join(nics, " "))))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	var b strings.Builder
	if len(r.Caches) > 0 {
		b.WriteString("L3 shared by")
		for i, c := range r.Caches {
			b.WriteString([]string{" ", "; "}[min(i, 1)] + c.String())
		}
		b.WriteByte('\n')
	}
	if len(r.Offline) > 0 {
		fmt.Fprintf(&b, "offline: %s\n", r.Offline)
	}
	for _, n := range r.Notes {
		b.WriteString("note: " + tuning.Printable(n) + "\n")
	}
	if r.Virtual {
		b.WriteString("virtual machine: the layout is the hypervisor's to tell\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func size(kib int64) string {
	switch {
	case kib < 0:
		return "-"
	case kib >= 1<<20 && kib%(1<<20) != 0:
		return fmt.Sprintf("%.1fGiB", float64(kib)/(1<<20))
	case kib >= 1<<20:
		return fmt.Sprintf("%dGiB", kib>>20)
	case kib >= 1<<10:
		return fmt.Sprintf("%dMiB", kib>>10)
	}
	return fmt.Sprintf("%dKiB", kib)
}
