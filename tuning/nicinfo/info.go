package nicinfo

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/tuning"
)

// Schema names the layout of Info as JSON.
const Schema = "ticktune.nic/1"

// Info is what is known of an interface. A group that could not be asked is nil, and Unknown says why.
type Info struct {
	Schema   string            `json:"schema"`
	Name     string            `json:"name"`
	Virtual  bool              `json:"virtual_machine"` // what is told of the hardware is what the hypervisor says
	Face     *tuning.Face      `json:"face,omitempty"`
	Driver   *tuning.Driver    `json:"driver,omitempty"`
	PCI      *PCI              `json:"pci,omitempty"` // nil: on no PCI bus
	NUMANode int               `json:"numa_node"`     // -1: none is told
	Cores    tuning.CPUs       `json:"local_cores,omitempty"`
	Link     *tuning.LinkMode  `json:"link,omitempty"`
	FEC      *tuning.FEC       `json:"fec,omitempty"`
	Channels *tuning.Channels  `json:"channels,omitempty"`
	Rings    *tuning.Rings     `json:"rings,omitempty"`
	Coalesce *tuning.Coalesce  `json:"coalesce,omitempty"`
	Pause    *tuning.Pause     `json:"pause,omitempty"`
	EEE      *tuning.EEE       `json:"eee,omitempty"`
	Features tuning.Features   `json:"features,omitempty"`
	Private  tuning.Private    `json:"private,omitempty"`
	RSS      *RSS              `json:"rss,omitempty"`
	Rules    tuning.Rules      `json:"rules"` // null: not told
	Stamping *Stamping         `json:"stamping,omitempty"`
	XDP      *XDP              `json:"xdp,omitempty"`
	Queues   []Queue           `json:"queues,omitempty"` // that receive
	Losses   map[string]uint64 `json:"losses"`           // counters of what was lost that are not zero, since the driver was loaded
	Unknown  map[string]string `json:"unknown"`          // by group: why it is not told
}

// PCI is a card's place, and its way to the processor.
type PCI struct {
	BDF   string    `json:"bdf"`
	Links []PCILink `json:"links,omitempty"` // the card's own first, then those of switches on the way; empty: the bus does not tell
}

// PCILink is one link, as its lower end says.
type PCILink struct {
	Device   string `json:"device"`
	Speed    string `json:"speed"` // as sysfs has it, "16.0 GT/s PCIe"
	MaxSpeed string `json:"max_speed"`
	Lanes    int    `json:"lanes"`
	MaxLanes int    `json:"max_lanes"`
	Narrow   bool   `json:"narrow"` // it runs slower than its end could
}

// RSS is which queues the table leads other traffic to.
type RSS struct {
	Entries int         `json:"entries"`
	Queues  map[int]int `json:"queues"`          // queue: how many entries lead to it
	UDP4    []string    `json:"udp4,omitempty"`  // the fields that are hashed of UDP over IPv4
	Table   []int       `json:"table,omitempty"` // all of it
}

// Stamping is whether and how the NIC stamps packets.
type Stamping struct {
	PHC       int    `json:"phc"`     // index of /dev/ptpN; -1: no clock
	RxAll     bool   `json:"rx_all"`  // it can stamp every packet
	RxSome    bool   `json:"rx_some"` // it can stamp those of PTP
	Filter    int    `json:"rx_filter"`
	FilterOn  string `json:"rx_filter_name"` // what is stamped now; empty: it is not told
	HasKernel bool   `json:"kernel"`         // the kernel stamps
}

// XDP is what the driver can do, and what is attached.
type XDP struct {
	Features []string `json:"features"`
	Metadata []string `json:"metadata"`
	Segments int      `json:"zc_max_segs"`
	Attached bool     `json:"attached"`
	Mode     string   `json:"mode,omitempty"`
	Program  uint32   `json:"program,omitempty"`
}

// Queue is a queue that receives: who polls it, and which cores its interrupt goes to.
type Queue struct {
	ID       int         `json:"id"`
	NAPI     int         `json:"napi"` // 0: the driver does not tell
	IRQ      string      `json:"irq"`  // empty: none was found
	IRQBy    string      `json:"irq_by,omitempty"`
	Cores    tuning.CPUs `json:"irq_cores,omitempty"`
	XSK      bool        `json:"xsk"`
	Threaded bool        `json:"threaded"`
}

// ErrGone is in the error of an interface that is not there, or vanished while it was looked at.
var ErrGone = errors.New("no such interface")

// Look gathers what is known of an interface of the caller's network namespace, or of the tree that h stands for. An error that
// is ErrGone: there is none, or no longer; otherwise what could not be known is in Unknown.
func Look(h *tuning.Host, nic string) (*Info, error) {
	if !tuning.ValidInterface(nic) {
		return nil, fmt.Errorf("%q: %w", nic, ErrGone)
	}
	in := &Info{Schema: Schema, Name: nic, Virtual: h.Virt() != "", NUMANode: -1, Losses: map[string]uint64{}, Unknown: map[string]string{}}
	index, err := in.face(h)
	if err != nil {
		return nil, err
	}
	in.Driver = ask[tuning.Driver](h, in, "driver")
	in.sysfs(h)
	in.Link = ask[tuning.LinkMode](h, in, "link")
	in.FEC = ask[tuning.FEC](h, in, "fec")
	in.Channels = ask[tuning.Channels](h, in, "channels")
	in.Rings = ask[tuning.Rings](h, in, "rings")
	in.Coalesce = ask[tuning.Coalesce](h, in, "coalesce")
	in.Pause = ask[tuning.Pause](h, in, "pause")
	in.EEE = ask[tuning.EEE](h, in, "eee")
	if f := ask[tuning.Features](h, in, "features"); f != nil {
		in.Features = *f
	}
	if p := ask[tuning.Private](h, in, "private"); p != nil {
		in.Private = *p
	}
	in.rss(h)
	if r := ask[tuning.Rules](h, in, "rules"); r != nil {
		in.Rules = *r
	}
	in.stamping(h)
	in.xdp(h)
	in.queues(h)
	if s := ask[tuning.Stats](h, in, "stats"); s != nil {
		in.losses(*s)
	}
	if now, err := in.face(h); err != nil || now != index {
		return nil, fmt.Errorf("%s: %w: it vanished while it was looked at", nic, ErrGone)
	}
	return in, nil
}

// ask asks one group; nil: Unknown has the reason.
func ask[T any](h *tuning.Host, in *Info, group string) *T {
	v, err := tuning.Ask[T](h, in.Name, group)
	if err != nil {
		in.Unknown[group] = tuning.Reason(err)
		return nil
	}
	return &v
}

// face looks whether the interface is there, and gives its number: another interface may come to its name.
func (in *Info) face(h *tuning.Host) (index int, err error) {
	f, err := tuning.Ask[tuning.Face](h, in.Name, "face")
	switch {
	case err == nil:
		in.Face = &f
		return f.Index, nil
	case errors.Is(err, unix.ENODEV) || !h.Exists("/sys/class/net/"+in.Name):
		return 0, fmt.Errorf("%s: %w", in.Name, ErrGone)
	}
	in.Unknown["face"] = tuning.Reason(err)
	return 0, nil
}

// sysfs adds what only files tell: the bus and the node. They are of the network namespace in which /sys was mounted, which
// may have another interface of the same name: then nothing is taken from them.
func (in *Info) sysfs(h *tuning.Host) {
	dir := "/sys/class/net/" + in.Name
	if in.Face != nil && path.Clean(h.Root) == "/" {
		if n, err := h.Int(dir + "/ifindex"); err != nil || n != in.Face.Index {
			in.Unknown["pci"] = "/sys is of another network namespace: mount it anew inside (as `ip netns exec` does)"
			return
		}
	}
	device, bdf := dir+"/device", h.BDF(in.Name)
	if bdf == "" { // a virtio device hangs on one that is on the bus
		if full, err := filepath.EvalSymlinks(h.Path(device)); err == nil && pciAddress.MatchString(filepath.Base(filepath.Dir(full))) {
			bdf = filepath.Base(filepath.Dir(full))
			device = "/sys/bus/pci/devices/" + bdf
		}
	}
	if n, err := h.Int(device + "/numa_node"); err == nil {
		in.NUMANode = n
	} else {
		in.Unknown["numa_node"] = tuning.Reason(err)
	}
	in.Cores, _ = h.List(device + "/local_cpulist")
	if bdf == "" {
		in.Unknown["pci"] = "on no PCI bus"
		return
	}
	in.PCI = &PCI{BDF: bdf}
	for i, dev := range h.Upstream(bdf) {
		if l, ok := pciLink(h, dev); ok && i%2 == 0 {
			in.PCI.Links = append(in.PCI.Links, l)
		}
	}
	if len(in.PCI.Links) == 0 {
		in.Unknown["pci_link"] = "the bus does not tell"
	}
}

var pciAddress = regexp.MustCompile(`^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$`)

func pciLink(h *tuning.Host, dev string) (l PCILink, ok bool) {
	dir := "/sys/bus/pci/devices/" + dev + "/"
	l.Device = dev
	l.Speed, _ = h.Read(dir + "current_link_speed")
	l.MaxSpeed, _ = h.Read(dir + "max_link_speed")
	l.Lanes, _ = h.Int(dir + "current_link_width")
	l.MaxLanes, _ = h.Int(dir + "max_link_width")
	l.Narrow = l.Speed != l.MaxSpeed || l.Lanes < l.MaxLanes
	return l, l.Speed != "" && !strings.HasPrefix(l.Speed, "Unknown") && l.Lanes > 0 && l.Lanes <= 32 // 255: there is no link
}

func (in *Info) rss(h *tuning.Host) {
	r := ask[tuning.RSS](h, in, "rss")
	if r == nil {
		return
	}
	in.RSS = &RSS{Entries: len(r.Table), Queues: r.Queues(), Table: r.Table}
	if hash := ask[tuning.Hash](h, in, "hash"); hash != nil {
		in.RSS.UDP4 = hash.Fields()
	}
}

// Filters of packets to be stamped (HWTSTAMP_FILTER_* of linux/net_tstamp.h).
var stampFilters = []string{"none", "all", "some", "PTP v1 events", "PTP v1 sync", "PTP v1 delay requests", "PTP v2 events, UDP", "PTP v2 sync, UDP", "PTP v2 delay requests, UDP",
	"PTP v2 events, Ethernet", "PTP v2 sync, Ethernet", "PTP v2 delay requests, Ethernet", "PTP v2 events", "PTP v2 sync", "PTP v2 delay requests", "NTP"}

// Bits of SOF_TIMESTAMPING_*.
const (
	rxHardware  = 1 << 2
	rxSoftware  = 1 << 3
	rawHardware = 1 << 6
)

func (in *Info) stamping(h *tuning.Host) {
	s := ask[tuning.Stamping](h, in, "stamping")
	if s == nil {
		return
	}
	hardware := s.Modes&rxHardware != 0 && s.Modes&rawHardware != 0
	in.Stamping = &Stamping{PHC: s.PHC, RxAll: hardware && s.Filters&(1<<1) != 0, RxSome: hardware && s.Filters>>2 != 0, HasKernel: s.Modes&rxSoftware != 0}
	if !hardware {
		return
	}
	if t := ask[tuning.HWTstamp](h, in, "hwtstamp"); t != nil {
		in.Stamping.Filter, in.Stamping.FilterOn = t.RxFilter, "filter "+strconv.Itoa(t.RxFilter)
		if t.RxFilter >= 0 && t.RxFilter < len(stampFilters) {
			in.Stamping.FilterOn = stampFilters[t.RxFilter]
		}
	}
}

// Names of bits of linux/netdev.h, from the lowest.
var (
	xdpFeatures = []string{"basic", "redirect", "redirect-target", "zero-copy", "offload", "fragments", "redirect-fragments"}
	xdpMetadata = []string{"timestamp", "hash", "vlan"}
	xdpModes    = []string{"none", "native", "generic", "offloaded", "several"}
)

func bits(v uint64, names []string) (set []string) {
	for i, name := range names {
		if v>>i&1 != 0 {
			set = append(set, name)
		}
	}
	if rest := v >> len(names); rest != 0 {
		set = append(set, fmt.Sprintf("and bits 0x%x", rest<<len(names)))
	}
	return set
}

func (in *Info) xdp(h *tuning.Host) {
	x := ask[tuning.XDP](h, in, "xdp")
	if x == nil {
		return
	}
	in.XDP = &XDP{Features: bits(x.Features, xdpFeatures), Metadata: bits(x.Metadata, xdpMetadata), Segments: int(x.ZCSegments), Attached: x.Attached}
	if x.Attached {
		in.XDP.Program, in.XDP.Mode = x.Program, xdpModes[min(int(x.Mode), len(xdpModes)-1)]
	}
}

// maxQueues bounds what is told of queues.
const maxQueues = 4096

func (in *Info) queues(h *tuning.Host) {
	byID := map[int]*Queue{}
	add := func(id int) *Queue {
		if byID[id] == nil && len(byID) < maxQueues {
			byID[id] = &Queue{ID: id}
		}
		return byID[id]
	}
	napis := map[int]tuning.NAPI{}
	if all := ask[[]tuning.NAPI](h, in, "napis"); all != nil {
		for _, n := range *all {
			napis[n.ID] = n
		}
	}
	if all := ask[[]tuning.Queue](h, in, "queues"); all != nil {
		for _, q := range *all {
			if k := add(q.ID); k != nil {
				k.NAPI, k.XSK, k.Threaded = q.NAPI, q.XSK, napis[q.NAPI].Threaded
			}
		}
	}
	if in.Channels != nil {
		for id := range min(in.Channels.RxQueues(), maxQueues) {
			add(id)
		}
	}
	interrupts, err := h.Interrupts()
	if err != nil {
		in.Unknown["irqs"] = tuning.Reason(err)
	}
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		q := byID[id]
		if err == nil {
			q.IRQ, q.IRQBy = h.QueueIRQ(interrupts, in.Name, id)
		}
		if q.IRQ != "" {
			q.Cores = IRQCores(h, q.IRQ)
		}
		in.Queues = append(in.Queues, *q)
	}
}

// IRQCores is where an interrupt lands: as the chip says, else all cores that it may go to; empty: it is not told.
func IRQCores(h *tuning.Host, irq string) tuning.CPUs {
	for _, file := range []string{"effective_affinity_list", "smp_affinity_list"} {
		if set, err := h.List(path.Join("/proc/irq", irq, file)); err == nil && len(set) > 0 {
			return set
		}
	}
	return nil
}

// lossWords are parts of the names that drivers give to counters of losses (specs of drivers differ, words hardly).
var lossWords = []string{"drop", "discard", "miss", "no_buf", "nobuf", "out_of_buffer", "no_desc", "alloc_fail", "overrun", "overflow", "fifo", "crc", "error", "errs"}

func (in *Info) losses(s tuning.Stats) {
	for name, n := range s {
		low := strings.ToLower(name)
		if n != 0 && strings.Contains(low, "rx") && slices.ContainsFunc(lossWords, func(w string) bool { return strings.Contains(low, w) }) {
			in.Losses[name] = n
		}
	}
}

// List looks at every interface of the network namespace. Those that vanish meanwhile are left out.
func List(h *tuning.Host) (all []*Info, err error) {
	names, err := h.Faces()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		in, err := Look(h, name)
		if errors.Is(err, ErrGone) || errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, err
		}
		all = append(all, in)
	}
	return all, nil
}
