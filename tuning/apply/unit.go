package apply

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/tuning"
)

const (
	unitState    = "state" // the key of a change that enables, disables or masks a unit
	daemonReload = "systemctl daemon-reload"
	reapply      = "tuned-adm profile"
)

// unitPlace is whether a unit is started at boot, and whether it runs: "enabled active".
type unitPlace struct {
	plain
	m    *machine
	unit string
}

func (m *machine) unitPlace(unit string) (place, error) {
	if !unitName.MatchString(unit) {
		return nil, errUnknown(fmt.Sprintf("the unit %q", unit))
	}
	if _, ok := m.tool("systemctl"); !ok || !m.exists("/run/systemd/system") {
		return nil, fmt.Errorf("no systemd runs here")
	}
	return &unitPlace{m: m, unit: unit}, nil
}

// is asks systemctl, whose exit code tells the same as its word.
func (p *unitPlace) is(what string) string {
	out, _ := p.m.run("systemctl", what, p.unit)
	word, _, _ := strings.Cut(strings.TrimSpace(out), "\n")
	return word
}

func (p *unitPlace) read() (Value, error) {
	enabled := p.is("is-enabled")
	switch enabled {
	case "enabled", "disabled", "masked":
	case "not-found", "":
		return Value{}, &fs.PathError{Op: "systemctl is-enabled", Path: p.unit, Err: unix.ENOENT}
	default: // static, indirect, generated, …: enable and disable do nothing to these
		return Value{}, errUnknown(fmt.Sprintf("%s is %q: mask it by hand, if it is to stop for good", p.unit, enabled))
	}
	switch p.is("is-active") {
	case "active", "activating", "reloading":
		return some(enabled + " active"), nil
	}
	return some(enabled + " inactive"), nil
}

func (p *unitPlace) wanted(text string) Value {
	if text == "enabled" {
		return some("enabled active")
	}
	return some(text + " inactive")
}

func (p *unitPlace) accepts(text string) error {
	if !slices.Contains([]string{"enabled", "disabled", "masked"}, text) {
		return errUnknown(fmt.Sprintf("the state %q of a unit", text))
	}
	return nil
}

func (p *unitPlace) write(v Value) error {
	now, err := p.read()
	if err != nil {
		return err
	}
	was, _, _ := strings.Cut(now.Text, " ")
	state, active, _ := strings.Cut(v.Text, " ")
	var verbs []string
	if was == "masked" && state != was {
		verbs = append(verbs, "unmask")
	}
	if active == "inactive" {
		verbs = append(verbs, "stop")
	}
	if verb := map[string]string{"enabled": "enable", "disabled": "disable", "masked": "mask"}[state]; state != was {
		verbs = append(verbs, verb)
	}
	if active == "active" {
		verbs = append(verbs, "start")
	}
	for _, verb := range verbs {
		if _, err := p.m.run("systemctl", verb, p.unit); err != nil {
			return err
		}
	}
	return nil
}

// Where tuned is active, it sets sysctls and cores again whenever it starts: what is to stay so goes into a child of its profile.
//
//	/etc/tuned/tickwire/tuned.conf        [main] include=throughput-performance
//	                                      [sysctl] vm.stat_interval=10
//	                                      [sysfs] /sys/kernel/mm/transparent_hugepage/enabled=never
const child = "tickwire"

// activeProfile is tuned's; empty: tuned does not run.
func (m *machine) activeProfile() string {
	if len(m.h.Running("tuned")) == 0 {
		return ""
	}
	text, err := m.text("/etc/tuned/active_profile")
	if err != nil {
		return ""
	}
	return strings.Join(strings.Fields(text), " ")
}

// childFile: tuned 2.23 moved profiles to a folder of their own.
func (m *machine) childFile() string {
	if m.exists("/etc/tuned/profiles") {
		return "/etc/tuned/profiles/" + child + "/tuned.conf"
	}
	return "/etc/tuned/" + child + "/tuned.conf"
}

// tunedInstead puts into tuned's child profile what its plugins would set again. It gives a list of its own.
func (m *machine) tunedInstead(changes []tuning.Change) (list []tuning.Change) {
	active := m.activeProfile()
	if active == "" {
		return slices.Clone(changes)
	}
	file := m.childFile()
	entry := func(c tuning.Change, section, name, value string) tuning.Change {
		c.Kind, c.Target, c.Key, c.Value, c.Old, c.Persistent = tuning.Tuned, child, section+"."+name, value, "", true
		c.Command = fmt.Sprintf("mkdir -p %s && printf '[%s]\\n%s=%s\\n' >> %s", path.Dir(file), section, name, value, file)
		c.Undo = fmt.Sprintf("sed -i '\\|^%s=|d' %s", name, file)
		return c
	}
	var ours []tuning.Change
	for _, c := range changes {
		switch {
		case c.Kind == tuning.Sysctl:
			ours = append(ours, entry(c, "sysctl", c.Target, c.Value))
		case c.Kind == tuning.Tmpfiles:
			ours = append(ours, entry(c, "sysfs", c.Target, c.Value))
		case c.Kind == tuning.Udev && strings.HasPrefix(c.Key, "cpufreq/"):
			name := strings.TrimPrefix(path.Base(c.Key), "scaling_")
			value := c.Value[strings.LastIndex(strings.TrimSuffix(c.Value, `"`), `"`)+1:]
			ours = append(ours, entry(c, "cpu", name, strings.TrimSuffix(value, `"`)))
		default:
			list = append(list, c)
		}
	}
	if len(ours) == 0 {
		return list
	}
	if active != child {
		base := ours[0]
		base.Risk = tuning.R1
		ours = slices.Insert(ours, 0, entry(base, "main", "include", active))
		back := "tuned-adm profile " + active
		if mode, err := m.text("/etc/tuned/profile_mode"); err == nil && strings.TrimSpace(mode) == "auto" {
			back = "tuned-adm auto_profile"
		}
		turn := tuning.Change{Check: base.Check, Kind: tuning.Tuned, Target: child, Value: child, Persistent: true, Risk: tuning.R1,
			Command: "tuned-adm profile " + child, Undo: back}
		ours = append(ours, turn)
	}
	return append(ours, list...)
}

func (m *machine) tunedPlace(profile, key string) (place, error) {
	if _, ok := m.tool("tuned-adm"); !ok {
		return nil, fmt.Errorf("tuned is active, and there is no tuned-adm")
	}
	if key == "" {
		return &profilePlace{m: m}, nil
	}
	section, name, ok := strings.Cut(key, ".")
	if profile != child || !ok || !slices.Contains([]string{"main", "sysctl", "sysfs", "cpu"}, section) || strings.ContainsAny(name, "=[]# ") {
		return nil, errUnknown(fmt.Sprintf("%s in tuned's profile %q", key, profile))
	}
	return &entryPlace{m: m, file: m.childFile(), section: "[" + section + "]", name: name, tool: reapply,
		value: func(l string) (string, bool) { return assigned(l, name) }, line: func(v string) string { return name + "=" + v },
		valid: func(v string) error {
			if section == "main" && strings.Contains(v, " ") {
				return errUnknown("several profiles of tuned at once: " + v)
			}
			return nil
		}}, nil
}

// profilePlace is which profile of tuned is active.
type profilePlace struct {
	plain
	m *machine
}

func (p *profilePlace) read() (Value, error) {
	text, err := p.m.text("/etc/tuned/active_profile")
	name := strings.Join(strings.Fields(text), " ")
	if mode, err := p.m.text("/etc/tuned/profile_mode"); err == nil && strings.TrimSpace(mode) == "auto" {
		name = chosenByTuned + name
	}
	return some(name), err
}

// chosenByTuned stands before a profile that tuned chose itself, and will choose again where it is told to.
const chosenByTuned = "auto: "

func (p *profilePlace) write(v Value) error {
	if strings.HasPrefix(v.Text, chosenByTuned) {
		_, err := p.m.run("tuned-adm", "auto_profile")
		return err
	}
	_, err := p.m.run("tuned-adm", append([]string{"profile"}, strings.Fields(v.Text)...)...)
	return err
}
