package apply

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/tickwire/tickwire/tuning"
)

// The order of changes (host-tuning §12.8): what stops others first, then cores, memory, the kernel's work and interrupts;
// then the NIC, one interface at a time, since its queues and rings put other things back; what needs those queues after
// that; and what the next boot will do last, when what is so now has been seen to work.
const (
	stageRivals = iota // tuned's profile, units that are stopped
	stagePower         // cores
	stageMemory        //
	stageKernel        // its work, sysctls, tasks
	stageIRQ           //
	stageQueues        // channels and rings
	stageDriver        // the rest of the driver's
	stageSteer         // RSS and rules
	stageNAPI          // RPS, XPS, deferral
	stageStamps        // the time stamps' filter
	stageFiles         // sysctl.d, tmpfiles.d, rules, .link
	stageUnits         // drop-ins
	stageBoot          // kernel command line
)

func stage(c *tuning.Change) int {
	in := func(prefixes ...string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(c.Target, p) })
	}
	switch c.Kind {
	case tuning.Tuned:
		return stageRivals
	case tuning.Systemd:
		if c.Key == unitState {
			return stageRivals
		}
		return stageUnits
	case tuning.CommandLine:
		return stageBoot
	case tuning.Sysctl, tuning.Tmpfiles, tuning.Udev, tuning.Link:
		return stageFiles
	case tuning.Affinity:
		return stageKernel
	case tuning.Ethtool:
		switch group, _, _ := strings.Cut(c.Key, "."); group {
		case "channels", "rings":
			return stageQueues
		case "rss", "rules":
			return stageSteer
		case "hwtstamp":
			return stageStamps
		}
		return stageDriver
	}
	switch {
	case in("/proc/irq/"):
		return stageIRQ
	case in("/sys/class/net/"):
		if strings.HasSuffix(c.Target, "/mtu") {
			return stageDriver
		}
		return stageNAPI
	case in("/sys/devices/system/cpu/", "/sys/bus/pci/", "/sys/module/pcie_aspm/"):
		return stagePower
	case in("/sys/kernel/mm/", "/proc/sys/vm/", "/sys/devices/system/node/"):
		return stageMemory
	}
	return stageKernel
}

// faceOf is the interface that a change is about, whether it may cut it off or not; empty: none.
func faceOf(c *tuning.Change) string {
	if c.NIC != "" || c.Kind == tuning.Ethtool {
		return cmp.Or(c.NIC, c.Target)
	}
	rest, _ := strings.CutPrefix(c.Target, "/sys/class/net/")
	nic, _, _ := strings.Cut(rest, "/")
	return nic
}

// plan says of each change what a run will do with it, in the order of doing.
func (m *machine) plan(changes []tuning.Change) []Step {
	changes = m.tunedInstead(changes)
	slices.SortStableFunc(changes, func(a, b tuning.Change) int {
		x, y := stage(&a), stage(&b)
		if x >= stageQueues && x <= stageStamps && y >= stageQueues && y <= stageStamps {
			if by := strings.Compare(faceOf(&a), faceOf(&b)); by != 0 {
				return by
			}
		}
		return x - y
	})
	v := m.rivals(changes)
	type where struct {
		kind        tuning.Kind
		target, key string
	}
	seen := map[where]string{}
	steps := []Step{}
	for _, c := range changes {
		if c.Kind == tuning.Ethtool && c.Key == "rules.insert" { // the rule of a group is a place of its own
			group, _, _ := strings.Cut(c.Value, " ")
			c.Key += " " + group
		}
		w := where{c.Kind, c.Target, c.Key}
		first, twice := seen[w]
		if twice && first == c.Value {
			continue
		} else if !twice {
			seen[w] = c.Value
		}
		s := Step{Change: c}
		if twice {
			s.State, s.Reason = Refused, fmt.Sprintf("another change makes it %q: which is meant?", first)
		} else {
			m.weigh(&s, v)
		}
		steps = append(steps, s)
	}
	return steps
}

// weigh decides about one change.
func (m *machine) weigh(s *Step, v *rivals) {
	refuse := func(format string, args ...any) { s.State, s.Reason = Refused, fmt.Sprintf(format, args...) }
	var err error
	if s.place, err = m.place(s.Kind, s.Target, s.Key); err != nil {
		refuse("%v", err)
		return
	}
	if c, ok := s.place.(interface {
		shell(string) (do, undo string)
	}); ok {
		if do, undo := c.shell(s.Value); do != "" { // this machine's own tool, where the check could not know it
			s.Command, s.Undo = do, undo
		}
	}
	if err := errors.Join(oneLine(s.Value), s.place.accepts(s.Value)); err != nil {
		refuse("%v", err)
		return
	}
	if s.Was, err = s.place.read(); err != nil {
		if _, task := s.place.(interface{ born() (string, error) }); task && gone(err) {
			s.State, s.Reason = Already, taskGone
			return
		}
		refuse("cannot be read: %v", withoutRoot(err))
		return
	}
	if t, ok := s.place.(mortal); ok {
		if s.mark, err = t.born(); err != nil {
			s.State, s.Reason = Already, taskGone
			return
		}
	}
	want := s.place.wanted(s.Value)
	reason := v.against(&s.Change)
	switch {
	case s.place.same(s.Was, want):
		s.State = Already
	case reason != "":
		refuse("%s", reason)
	case s.Risk >= tuning.R4 && !m.o.AcceptSecurityRisk:
		s.State, s.Reason = Held, "it trades security or integrity: --max-risk r4 --accept-security-risk"
	case s.Risk > m.o.MaxRisk:
		s.State, s.Reason = Held, "--max-risk "+s.Risk.String()+" allows it"
	default:
		s.State = Planned
	}
}

// withoutRoot is an error without the name of a tree.
func withoutRoot(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
