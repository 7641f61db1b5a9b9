package tuning

import (
	"errors"
	"fmt"
	"strings"
)

// Severity is what comes of a check that fails.
type Severity uint8

const (
	Info  Severity = iota // to be known
	Minor                 // visible in the worst case
	Major                 // visible in the 99th percentile
	Crit                  // the feed breaks or loses packets
)

var severities = [...]string{"info", "minor", "major", "crit"}

func (s Severity) String() string               { return severities[min(s, Crit)] }
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// ParseSeverity reads one of info, minor, major and crit.
func ParseSeverity(s string) (Severity, error) {
	for i, name := range severities {
		if s == name {
			return Severity(i), nil
		}
	}
	return 0, fmt.Errorf("severity %q, want info, minor, major or crit", s)
}

// Risk is what carrying out a change may do.
type Risk uint8

const (
	R0 Risk = iota // harmless
	R1             // latency and power only
	R2             // touches a NIC: the link may flap, packets are lost
	R3             // needs a reboot, or may cost remote access
	R4             // trades security or integrity of data: needs consent
)

func (r Risk) String() string               { return "r" + string('0'+rune(min(r, R4))) }
func (r Risk) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

func (r *Risk) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRisk(string(text))
	return err
}

// ParseRisk reads one of r0 to r4.
func ParseRisk(s string) (Risk, error) {
	if len(s) == 2 && s[0] == 'r' && s[1] >= '0' && s[1] <= '4' {
		return Risk(s[1] - '0'), nil
	}
	return 0, fmt.Errorf("risk %q, want r0 to r4", s)
}

// Status is the outcome of a check. Skip and Error are never folded into Pass.
type Status uint8

const (
	Pass   Status = iota // as wanted
	Note                 // INFO: told, not judged
	Skip                 // does not apply; Reason says why
	Waived               // not as wanted, and somebody answers for it
	Warn                 // not as wanted, and bearable
	Error                // could not be determined; Reason says what is missing
	Fail                 // not as wanted
)

var statuses = [...]string{"PASS", "INFO", "SKIP", "WAIVED", "WARN", "ERROR", "FAIL"}

func (s Status) String() string               { return statuses[min(s, Fail)] }
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
func (s *Status) UnmarshalText(text []byte) error {
	for i, name := range statuses {
		if string(text) == name {
			*s = Status(i)
			return nil
		}
	}
	return fmt.Errorf("status %q is none", text)
}

// Check is one entry of the catalogue.
type Check struct {
	ID       string // never changes its meaning; ids that go are not given again
	Section  string // the group it is shown in
	Title    string // what it is, a few words
	Severity Severity
	Risk     Risk   // of bringing it about
	Why      string // one or two sentences: what comes of it when it is not so
	Want     string // what is wanted, as text that Look understands; empty: it follows from the plan, and cannot be overridden
	Human    string // what a person has to do, where no command can
	Refs     []string
	// Bare: only bare metal. Contained: a container sees its host's, and cannot judge it. Planned: cores must be named.
	// NICs: interfaces must be named. Run answers for these, and does not call Look.
	Bare, Uncontained, Planned, NICs bool
	measured                         bool // where Probes measure, a guest is as good as bare metal
	valid                            func(want string) error
	Look                             func(*Host) Finding
}

func (c *Check) validWant(want string) error {
	if c.Want == "" {
		return errors.New("what this check wants comes from the plan's cores and interfaces")
	}
	if c.valid != nil {
		return c.valid(want)
	}
	return nil
}

// Value is something read: the text, and the number, list or boolean it stands for where it is more than text.
type Value struct {
	Raw    string `json:"raw"`
	Parsed any    `json:"parsed,omitempty"`
}

// Evidence is one thing that was read, so that a person can read it again.
type Evidence struct {
	Source string `json:"source"` // a path below the root, or a call
	Value  string `json:"value,omitempty"`
	Error  string `json:"error,omitempty"`
}

// Persistence is how what is now relates to what the next boot will bring.
type Persistence string

const (
	Unknown Persistence = ""                       // nothing was found that says
	Kept    Persistence = "kept"                   // it is so, and will be
	Lost    Persistence = "will be lost at reboot" // it is as wanted now only
	Pending Persistence = "pending reboot"         // it is not yet, but will be
)

// Finding is what a check found.
type Finding struct {
	Status      Status
	Effective   Value // what the kernel says now
	Configured  Value // what the next boot will do, where files say
	Want        string
	Unit        string
	Reason      string // what is wrong in words; for Skip and Error why
	Persistence Persistence
	Human       string // what a person has to do; the default is the check's
	Changes     []Change
	bad         bool // not as wanted: Run makes it a Status by severity and profile
}

// Kind says who carries a change out.
type Kind string

const (
	WriteFile   Kind = "file"     // write Value to the file Target, read it back
	Sysctl      Kind = "sysctl"   // Target = Value in /etc/sysctl.d/90-feed-*.conf
	Tmpfiles    Kind = "tmpfiles" // "w Target - - - - Value" in /etc/tmpfiles.d/90-feed-*.conf
	Udev        Kind = "udev"     // Value is a whole rule for /etc/udev/rules.d/90-feed-*.rules; Target the device it is about
	Systemd     Kind = "systemd"  // Key = Value for the unit Target: a property in a drop-in; Key "state" with masked, disabled or enabled
	CommandLine Kind = "cmdline"  // the parameter Target gets Value, by the boot loader's own tool; Value "" is a bare word
	Ethtool     Kind = "ethtool"  // Key (group.field of Devices) of the interface Target gets Value
	Affinity    Kind = "affinity" // the task Target (a thread's number; Key its name, to be sure of it) may run on Value
	Link        Kind = "link"     // Key = Value in the .link file of the interface Target
	Tuned       Kind = "tuned"    // Key (section.name) = Value in tuned's child profile Target; without a Key: Target is the active profile's name. apply makes these.
)

// Change is one thing that apply can do.
type Change struct {
	Check      string `json:"check"` // set by Run
	Kind       Kind   `json:"kind"`
	Target     string `json:"target"`
	Key        string `json:"key,omitempty"`
	Value      string `json:"value"`
	Old        string `json:"old,omitempty"` // what was read, where it was
	Persistent bool   `json:"persistent"`    // for the next boot; else for now
	Command    string `json:"command"`       // a shell command that does the same
	Undo       string `json:"undo"`          // and one that takes it back
	Risk       Risk   `json:"risk"`
	Reboot     bool   `json:"needs_reboot"`
	NIC        string `json:"nic,omitempty"` // the interface it touches: packets may be lost on it
}

// quote makes a word of a shell command.
func quote(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./,:=@%+", r))
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// setFile is the change that writes a file, now.
func setFile(path, value, old string, risk Risk) Change {
	return Change{Kind: WriteFile, Target: path, Value: value, Old: old, Risk: risk,
		Command: "echo " + quote(value) + " > " + quote(path), Undo: "echo " + quote(old) + " > " + quote(path)}
}

// setSysctl is a sysctl for now and for the next boot. key has dots.
func setSysctl(key, value, old string, risk Risk) []Change {
	const file = "/etc/sysctl.d/90-feed-ticktune.conf"
	now := setFile(sysctlPath(key), value, old, risk)
	now.Command, now.Undo = "sysctl -w "+quote(key+"="+value), "sysctl -w "+quote(key+"="+old)
	return []Change{now, {Kind: Sysctl, Target: key, Value: value, Persistent: true, Risk: risk,
		Command: "echo " + quote(key+" = "+value) + " >> " + file, Undo: "sed -i " + quote(`\|^`+key+" = |d") + " " + file}}
}

// sysctlPath is where the kernel has one. Names of interfaces have dots of their own: those are written with a slash.
func sysctlPath(key string) string {
	return "/proc/sys/" + strings.Map(func(r rune) rune {
		switch r {
		case '.':
			return '/'
		case '/':
			return '.'
		}
		return r
	}, key)
}

// setTmpfile is a constant file of /sys for the next boot.
func setTmpfile(path, value string, risk Risk) Change {
	return Change{Kind: Tmpfiles, Target: path, Value: value, Persistent: true, Risk: risk,
		Command: "echo " + quote("w "+path+" - - - - "+value) + " >> /etc/tmpfiles.d/90-feed-ticktune.conf",
		Undo:    "sed -i " + quote(`\|^w `+path+" |d") + " /etc/tmpfiles.d/90-feed-ticktune.conf"}
}

// setBoot is a parameter of the kernel's command line. spell writes its commands.
func setBoot(name, value string, risk Risk) Change {
	return Change{Kind: CommandLine, Target: name, Value: value, Persistent: true, Risk: max(risk, R3), Reboot: true}
}

// setNIC is one setting of a driver: group and field as Devices names them, by `ethtool flag IF args`.
func setNIC(nic, key, value, old, flag, args, undo string, risk Risk) Change {
	return Change{Kind: Ethtool, Target: nic, Key: key, Value: value, Old: old, Risk: risk, NIC: nic,
		Command: "ethtool " + flag + " " + nic + " " + args, Undo: "ethtool " + flag + " " + nic + " " + undo}
}

// setLink is a setting of the interface's .link file, for the next boot. spell writes its commands.
func setLink(nic, key, value string, risk Risk) Change {
	return Change{Kind: Link, Target: nic, Key: key, Value: value, Persistent: true, Risk: risk}
}

// setUdev writes an attribute of a device each time that it appears.
func setUdev(device, match, attr, value string, risk Risk) Change {
	rule := `ACTION=="add", ` + match + `, ATTR{` + attr + `}="` + value + `"`
	return Change{Kind: Udev, Target: device, Key: attr, Value: rule, Persistent: true, Risk: risk,
		Command: "echo " + quote(rule) + " >> /etc/udev/rules.d/90-feed-ticktune.rules",
		Undo:    "sed -i '\\|" + attr + "|d' /etc/udev/rules.d/90-feed-ticktune.rules"}
}

// setUnit is a property of a unit, by a drop-in.
func setUnit(unit, section, key, value string, risk Risk) Change {
	dir := "/etc/systemd/system/" + unit + ".d"
	return Change{Kind: Systemd, Target: unit, Key: section + "." + key, Value: value, Persistent: true, Risk: risk,
		Command: "mkdir -p " + dir + " && printf '[" + section + "]\\n" + key + "=" + value + "\\n' > " + dir + "/90-feed-ticktune.conf && systemctl daemon-reload",
		Undo:    "rm " + dir + "/90-feed-ticktune.conf && systemctl daemon-reload"}
}

// stopUnit disables a unit, now and for good.
func stopUnit(unit string, risk Risk) Change {
	return Change{Kind: Systemd, Target: unit, Key: "state", Value: "disabled", Old: "enabled", Persistent: true, Risk: risk,
		Command: "systemctl disable --now " + unit, Undo: "systemctl enable --now " + unit}
}
