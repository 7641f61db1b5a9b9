package tuning

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// Profiles: how much is demanded of a machine.
const (
	Colo = "colo" // it trades: what the catalogue says
	Lab  = "lab"  // it tests: only what breaks a feed is a failure, the rest are warnings
	VM   = "vm"   // a virtual machine: as lab, and no qualification comes of it
)

// Layouts: who runs the driver's poller (docs/receive-path.md).
const (
	LayoutA = "A"     // receivers spin on HOT, the poller has NAPI cores of its own
	LayoutB = "B"     // receivers poll in line on HOT
	Plain   = "plain" // ordinary sockets, no AF_XDP
)

// Plan is what a person decided for this machine. It is never guessed: the zero value names no core and no interface, and
// what needs one is then not judged.
//
//	profile = "colo"            # colo, lab or vm. The default is colo.
//	layout = "A"                # A, B or plain. The default is A.
//	hot = "4-7"                 # cores of receivers that spin
//	napi = "8"                  # cores that run the driver's poller for the feed queues
//	housekeeping = "0-3"        # the rest. The default is all others that are online.
//	hardware_time = true        # stamps of the NIC are wanted
//	ptp_domain = 24             # that ptp4l is asked about. The default is the one that it was started with.
//
//	[[interface]]
//	name = "eth2"
//	bdf = "0000:3b:00.0"        # its place on the bus, checked against the machine
//	queues = [4, 5]             # that feed packets come in by
//	speed = 25000               # Mbit/s that are wanted. The default is what it has.
//	fec = "rs"                  # rs, baser or off, as agreed with the exchange
//	channels = 6                # queues it should have in all
//	groups = ["233.54.12.111:26477"]
//
//	[[waiver]]
//	check = "cpu.smt"           # shown as WAIVED, until it expires
//	reason = "one socket is shared with the risk gateway"
//	owner = "net-ops"
//	expires = 2027-01-31
//
//	[check."nic.rings"]
//	want = "1024-2048"          # in place of what the catalogue wants
//	severity = "minor"
//	skip = "why it is not looked at"
type Plan struct {
	Profile      string              `toml:"profile,omitempty" json:"profile,omitempty"`
	Layout       string              `toml:"layout,omitempty" json:"layout,omitempty"`
	Hot          CPUs                `toml:"hot,omitempty" json:"hot,omitempty"`
	NAPI         CPUs                `toml:"napi,omitempty" json:"napi,omitempty"`
	HK           CPUs                `toml:"housekeeping,omitempty" json:"housekeeping,omitempty"`
	HardwareTime bool                `toml:"hardware_time,omitempty" json:"hardware_time,omitempty"`
	PTPDomain    int                 `toml:"ptp_domain,omitempty" json:"ptp_domain,omitempty"`
	Firmware     map[string]string   `toml:"firmware,omitempty" json:"firmware,omitempty"` // golden versions: by driver, "bios", "microcode"
	Interfaces   []Interface         `toml:"interface,omitempty" json:"interface,omitempty"`
	Waivers      []Waiver            `toml:"waiver,omitempty" json:"waiver,omitempty"`
	Overrides    map[string]Override `toml:"check,omitempty" json:"check,omitempty"`
}

// Interface is one that feed packets come in by.
type Interface struct {
	Name     string   `toml:"name" json:"name"`
	BDF      string   `toml:"bdf,omitempty" json:"bdf,omitempty"`
	Queues   []int    `toml:"queues,omitempty" json:"queues,omitempty"`
	Speed    int      `toml:"speed,omitempty" json:"speed,omitempty"` // Mbit/s
	FEC      string   `toml:"fec,omitempty" json:"fec,omitempty"`
	Channels int      `toml:"channels,omitempty" json:"channels,omitempty"`
	Groups   []string `toml:"groups,omitempty" json:"groups,omitempty"` // group:port
	Driver   string   `toml:"driver,omitempty" json:"driver,omitempty"` // a vendor's build that is meant to be there
}

// Waiver is a finding that somebody answers for.
type Waiver struct {
	Check   string         `toml:"check" json:"check"`
	Reason  string         `toml:"reason" json:"reason"`
	Owner   string         `toml:"owner" json:"owner"`
	Expires toml.LocalDate `toml:"expires" json:"expires"` // the last day on which it holds, UTC
}

// Override changes one check.
type Override struct {
	Want     string `toml:"want,omitempty" json:"want,omitempty"`
	Severity string `toml:"severity,omitempty" json:"severity,omitempty"`
	Skip     string `toml:"skip,omitempty" json:"skip,omitempty"`
}

// ErrPlan is in every error about the content of a plan.
var ErrPlan = errors.New("plan")

// ReadPlan reads a plan file. An error that is ErrPlan is about what it says, all faults at once; others are about reading it.
func ReadPlan(name string) (*Plan, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	p, err := ParsePlan(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// maxPlan bounds a plan file, in bytes.
const maxPlan = 1 << 20

// ParsePlan reads the text of a plan and validates it. Unknown keys are errors: a mistyped one would be a check not made.
func ParsePlan(text []byte) (*Plan, error) {
	if len(text) > maxPlan {
		return nil, fmt.Errorf("%w: %d bytes is more than %d", ErrPlan, len(text), maxPlan)
	}
	var p Plan
	d := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		var strict *toml.StrictMissingError
		if errors.As(err, &strict) {
			return nil, fmt.Errorf("%w: unknown key: %s", ErrPlan, strings.TrimSpace(strict.String()))
		}
		return nil, fmt.Errorf("%w: %w", ErrPlan, err)
	}
	if err := p.Validate(); err != nil {
		return nil, err
	}
	return &p, nil
}

// interfaceName is what the kernel allows and a path may safely have in it: 15 bytes, no slash, not . or ..
var interfaceName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,14}$`)

var pciAddress = regexp.MustCompile(`^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$`)

// Validate reports all faults at once, each ErrPlan, and fills in the defaults of profile and layout.
func (p *Plan) Validate() error {
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if p.Profile == "" {
		p.Profile = Colo
	}
	if p.Layout == "" {
		p.Layout = LayoutA
	}
	if !slices.Contains([]string{Colo, Lab, VM}, p.Profile) {
		fault("profile = %q, want colo, lab or vm", p.Profile)
	}
	if !slices.Contains([]string{LayoutA, LayoutB, Plain}, p.Layout) {
		fault("layout = %q, want A, B or plain", p.Layout)
	}
	for _, both := range []struct {
		name string
		set  CPUs
	}{{"hot and napi", p.Hot.And(p.NAPI)}, {"hot and housekeeping", p.Hot.And(p.HK)}, {"napi and housekeeping", p.NAPI.And(p.HK)}} {
		if len(both.set) > 0 {
			fault("cores %s are in %s", both.set, both.name)
		}
	}
	if p.PTPDomain < 0 || p.PTPDomain > 255 {
		fault("ptp_domain = %d, want 0 to 255", p.PTPDomain)
	}
	seen := map[string]bool{}
	for i := range p.Interfaces {
		f := &p.Interfaces[i]
		switch {
		case !interfaceName.MatchString(f.Name):
			fault("interface %d: name = %q is no name of an interface", i+1, f.Name)
		case seen[f.Name]:
			fault("interface %s is there twice", f.Name)
		}
		seen[f.Name] = true
		if f.BDF != "" && !pciAddress.MatchString(f.BDF) {
			fault("interface %s: bdf = %q, want one such as 0000:3b:00.0", f.Name, f.BDF)
		}
		if !slices.Contains([]string{"", "rs", "baser", "off"}, f.FEC) {
			fault("interface %s: fec = %q, want rs, baser or off", f.Name, f.FEC)
		}
		for _, q := range f.Queues {
			if q < 0 || q > 65535 {
				fault("interface %s: queue %d is out of range", f.Name, q)
			}
		}
		if f.Speed < 0 || f.Channels < 0 {
			fault("interface %s: speed and channels are not negative", f.Name)
		}
		for _, g := range f.Groups {
			if a, err := netip.ParseAddrPort(g); err != nil || !a.Addr().Is4() || !a.Addr().IsMulticast() {
				fault("interface %s: group %q, want one such as 233.54.12.111:26477", f.Name, g)
			}
		}
	}
	for i, w := range p.Waivers {
		if w.Check == "" || w.Reason == "" || w.Owner == "" || w.Expires.Year == 0 {
			fault("waiver %d: check, reason, owner and expires are all needed", i+1)
		} else if !Known(w.Check) {
			fault("waiver %d: there is no check %q", i+1, w.Check)
		}
	}
	for id, o := range p.Overrides {
		c := Find(id)
		if c == nil {
			fault("check.%q: there is no such check", id)
			continue
		}
		if _, err := ParseSeverity(o.Severity); o.Severity != "" && err != nil {
			fault("check.%q: %v", id, err)
		}
		if o.Want != "" {
			if err := c.validWant(o.Want); err != nil {
				fault("check.%q: want = %q: %v", id, o.Want, err)
			}
		}
	}
	if len(faults) == 0 {
		return nil
	}
	slices.Sort(faults)
	return fmt.Errorf("%w: %s", ErrPlan, strings.Join(faults, "; "))
}

// Busy is every core that must be left alone: HOT and NAPI.
func (p *Plan) Busy() CPUs { return p.Hot.Union(p.NAPI) }

// Named says whether the plan names cores.
func (p *Plan) Named() bool { return len(p.Hot) > 0 }

// Interface finds one by name; nil: it is not in the plan.
func (p *Plan) Interface(name string) *Interface {
	for i := range p.Interfaces {
		if p.Interfaces[i].Name == name {
			return &p.Interfaces[i]
		}
	}
	return nil
}

// waiver is the one for a check that holds at a time; nil: none.
func (p *Plan) waiver(id string, now time.Time) *Waiver {
	for i := range p.Waivers {
		w := &p.Waivers[i]
		if w.Check == id && now.UTC().Before(w.Expires.AsTime(time.UTC).AddDate(0, 0, 1)) {
			return w
		}
	}
	return nil
}

// Digest tells plans apart: SHA-256 over the whole of it.
func (p *Plan) Digest() string {
	text, err := toml.Marshal(p)
	if err != nil {
		panic("tuning: a plan that does not marshal: " + err.Error())
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
