package apply

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/tickwire/tickwire/tuning"
)

// Drop-ins of ours have a first line that says so, and before each entry a comment that names the check:
//
//	# Made by ticktune; `ticktune revert` takes its entries out again.
//	# kern.vmstat: vm.stat_interval
//	vm.stat_interval = 10
//
// Files in sections have the section's head as well. An entry that goes takes its comment along, and the last one the file.
const header = "# Made by ticktune; `ticktune revert` takes its entries out again.\n"

// entryPlace is one entry of a drop-in.
type entryPlace struct {
	plain
	m       *machine
	file    string
	section string                           // "[Link]"; empty: the file has none
	name    string                           // of the entry, in its comment
	value   func(line string) (string, bool) // what a line says of the entry; nil: the line after the comment is the value
	line    func(value string) string
	head    string // what a new file has between our first line and the entries
	check   string // the check it is for
	tool    string
	valid   func(string) error
	effect  func(Value) error
	traces  func(Value) bool                     // whether the tool made something of it; nil: it may have
	command func(value string) (do, undo string) // in a shell; nil: as the change says
}

func (p *entryPlace) made(v Value) bool { return p.traces == nil || p.traces(v) }

func (p *entryPlace) shell(value string) (do, undo string) {
	if p.command == nil {
		return "", ""
	}
	return p.command(value)
}

func (p *entryPlace) settle() string { return p.tool }

func (p *entryPlace) settled(v Value) error {
	if p.effect == nil {
		return nil
	}
	return p.effect(v)
}

func (p *entryPlace) accepts(text string) error {
	if p.valid == nil {
		return nil
	}
	return p.valid(text)
}

// willMake are the folders that are not there yet.
func (p *entryPlace) willMake() (dirs []string) {
	for dir := path.Dir(p.file); dir != "/" && !p.m.exists(dir); dir = path.Dir(dir) {
		dirs = append(dirs, dir)
	}
	slices.Reverse(dirs)
	return dirs
}

func (p *entryPlace) temporary() string { return temporaryOf(p.file) }

// lines of the file; nil: there is none.
func (p *entryPlace) lines() ([]string, error) {
	text, err := p.m.text(p.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return p.split(text)
}

// split refuses what an entry cannot be put into and taken out of without a trace.
func (p *entryPlace) split(text string) ([]string, error) {
	if p.section != "" && !strings.HasPrefix(text, header) {
		return nil, fmt.Errorf("%s is there, and is not ticktune's: put it there by hand", p.file)
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		return nil, fmt.Errorf("%s does not end with a line break: it is not as ticktune left it", p.file)
	}
	return append([]string{}, slices.Collect(strings.Lines(text))...), nil // not nil: an empty file is one
}

// find gives the entry's line, by number, and its value; -1: there is none. at is where a new one belongs, before the line
// of that number; -1: its section is not there.
func (p *entryPlace) find(lines []string) (i int, value string, at int) {
	i, at = -1, -1
	in := p.section == ""
	if in {
		at = len(lines)
	}
	for n, l := range lines {
		l = strings.TrimSpace(l)
		if p.section != "" && strings.HasPrefix(l, "[") {
			in = l == p.section
		}
		if !in {
			continue
		}
		at = n + 1
		if p.value == nil {
			if n > 0 && p.ours(lines[n-1]) {
				i, value = n, l
			}
		} else if v, ok := p.value(l); ok {
			i, value = n, v
		}
	}
	return i, value, at
}

// ours says whether a line is the comment of this entry.
func (p *entryPlace) ours(l string) bool {
	l, ok := strings.CutPrefix(strings.TrimSuffix(l, "\n"), "# ")
	_, name, colon := strings.Cut(l, ": ")
	return ok && colon && name == p.name
}

func (p *entryPlace) read() (Value, error) {
	lines, err := p.lines()
	if err != nil {
		return Value{}, err
	}
	i, value, _ := p.find(lines)
	return Value{value, i >= 0}, nil
}

func (p *entryPlace) write(v Value) error {
	lines, err := p.lines()
	if err != nil {
		return err
	}
	if i, _, _ := p.find(lines); i < 0 && !v.There {
		return nil
	}
	text, keep := p.edit(lines, v)
	if !keep {
		if err := p.m.o.fault("rename", nil); err != nil {
			return err
		}
		if err := os.Remove(p.m.dir(p.file)); err != nil {
			return err
		}
		return syncDir(filepath.Dir(p.m.dir(p.file)))
	}
	if err := os.MkdirAll(p.m.dir(path.Dir(p.file)), 0o755); err != nil {
		return err
	}
	return p.m.replace(p.file, text, 0o644)
}

// edit gives what the file will be; keep is false when nothing of it is left. nil lines: there is no file.
func (p *entryPlace) edit(lines []string, v Value) (text string, keep bool) {
	i, _, at := p.find(lines)
	switch {
	case !v.There && i < 0:
		return strings.Join(lines, ""), lines != nil
	case !v.There:
		from := i
		if i > 0 && p.ours(lines[i-1]) {
			from--
		}
		lines = p.shrink(slices.Delete(lines, from, i+1))
		text = strings.Join(lines, "")
		return text, text != header+p.head
	case i >= 0:
		lines[i] = p.line(v.Text) + "\n"
		return strings.Join(lines, ""), true
	}
	if lines == nil {
		lines = slices.Collect(strings.Lines(header + p.head))
		_, _, at = p.find(lines)
	}
	if at < 0 {
		lines = append(lines, p.section+"\n")
		at = len(lines)
	}
	return strings.Join(slices.Insert(lines, at, "# "+p.check+": "+p.name+"\n", p.line(v.Text)+"\n"), ""), true
}

// shrink takes sections without entries out of a file of ours.
func (p *entryPlace) shrink(lines []string) []string {
	if len(lines) == 0 || lines[0] != header {
		return lines
	}
	for n := len(lines) - 1; n >= 1+strings.Count(p.head, "\n"); n-- {
		if strings.HasPrefix(lines[n], "[") && (n+1 == len(lines) || strings.HasPrefix(lines[n+1], "[")) {
			lines = slices.Delete(lines, n, n+1)
		}
	}
	return lines
}

// temporaryOf is what a file is called until it is whole. No daemon reads that ending.
func temporaryOf(name string) string { return name + ".ticktune-new" }

// replace makes a file of the machine whole in one step: after a crash it is the old one or the new one.
func (m *machine) replace(name, text string, mode os.FileMode) error {
	full, uid, gid := m.dir(name), -1, -1
	if info, err := os.Lstat(full); err == nil {
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is no ordinary file", name)
		}
		mode = info.Mode().Perm()
		if s, ok := info.Sys().(*syscall.Stat_t); ok {
			uid, gid = int(s.Uid), int(s.Gid)
		}
	}
	temporary := m.dir(temporaryOf(name))
	_ = os.Remove(temporary) // of a run that was killed: it may have any mode
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Chown(uid, gid), f.Chmod(mode), f.Sync(), f.Close()); err == nil {
		err = m.o.fault("rename", nil)
	}
	if err == nil {
		err = os.Rename(temporary, full)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return syncDir(filepath.Dir(full))
}

// Files of ours, one a mechanism.
const (
	sysctlFile   = "/etc/sysctl.d/90-feed-ticktune.conf"
	tmpfilesFile = "/etc/tmpfiles.d/90-feed-ticktune.conf"
	udevFile     = "/etc/udev/rules.d/90-feed-ticktune.rules"
	dropIn       = "90-feed-ticktune.conf"
)

// assigned reads "name = value" of a line.
func assigned(line, name string) (string, bool) {
	key, value, ok := strings.Cut(line, "=")
	return strings.TrimSpace(value), ok && strings.TrimSpace(key) == name
}

// oneLine is what every value must be.
func oneLine(text string) error {
	if strings.ContainsAny(text, "\n\r\x00") || len(text) > 1000 {
		return errUnknown("a value that is not one line")
	}
	return nil
}

var (
	sysctlName  = regexp.MustCompile(`^[a-zA-Z0-9_]+([./][a-zA-Z0-9_:*-]+)+$`)
	sysFile     = regexp.MustCompile(`^/(sys|proc)(/[a-zA-Z0-9_:.,@+-]+)+$`)
	linkKey     = regexp.MustCompile(`^(Rx|Tx)(BufferSize|CoalesceSec|MaxCoalescedFrames|FlowControl|Channels)$|^UseAdaptive[RT]xCoalesce$|^CombinedChannels$|^MTUBytes$|^AutoNegotiationFlowControl$|^(Generic|Large)ReceiveOffload(Hardware)?$|^ReceiveVLANCTAGHardwareAcceleration$|^NTupleFilter$`)
	interfaceRe = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,14}$`)
	unitName    = regexp.MustCompile(`^[A-Za-z0-9@_.:-]+\.(service|slice|scope|timer|socket|target)$`)
	unitKey     = regexp.MustCompile(`^(Unit|Service|Slice|Scope|Manager)\.([A-Z][A-Za-z]+)$`)
	udevRule    = regexp.MustCompile(`^ACTION=="add"(, (SUBSYSTEM|SUBSYSTEMS|KERNEL|KERNELS|DRIVERS|ATTR\{[\w/.-]+\})=="[^"]*")+, ATTR\{[\w/:.-]+\}="[^"]*"$`)
)

func (m *machine) sysctlPlace(key string) (place, error) {
	if !sysctlName.MatchString(key) {
		return nil, errUnknown(fmt.Sprintf("the sysctl %q", key))
	}
	return &entryPlace{m: m, file: sysctlFile, name: key,
		value: func(l string) (string, bool) { return assigned(l, key) }, line: func(v string) string { return key + " = " + v },
		effect: func(v Value) error {
			m.h.Refresh(m.h.Now)
			if next, source, ok := m.h.NextSysctl(key); v.There && (!ok || next != v.Text) {
				return fmt.Errorf("the next boot has %q, by %s", next, source)
			}
			return nil
		}}, nil
}

func (m *machine) tmpfilesPlace(name string) (place, error) {
	if !sysFile.MatchString(name) || path.Clean(name) != name {
		return nil, errUnknown(fmt.Sprintf("the file %q in tmpfiles.d", name))
	}
	return &entryPlace{m: m, file: tmpfilesFile, name: name,
		value: func(l string) (string, bool) {
			f := strings.Fields(l)
			if len(f) < 7 || f[0] != "w" || f[1] != name {
				return "", false
			}
			return strings.Join(f[6:], " "), true
		},
		line: func(v string) string { return "w " + name + " - - - - " + v },
		valid: func(v string) error {
			if v == "" || strings.Contains(v, "%") || v != strings.Join(strings.Fields(v), " ") {
				return errUnknown(fmt.Sprintf("the value %q in tmpfiles.d", v))
			}
			return nil
		},
		effect: func(v Value) error {
			m.h.Refresh(m.h.Now)
			if next, ok := m.h.NextTmpfile(name); v.There && (!ok || next != v.Text) {
				return fmt.Errorf("the next boot has %q: another file of tmpfiles.d sets it, too", next)
			}
			return nil
		}}, nil
}

// udevPlace: a rule does not name the file it is for, so its comment does.
func (m *machine) udevPlace(device, attr string) (place, error) {
	return &entryPlace{m: m, file: udevFile, name: device + " " + attr, line: func(v string) string { return v },
		valid: func(v string) error {
			if !udevRule.MatchString(v) {
				return errUnknown("a udev rule that does more than set an attribute of a device that appears")
			}
			return nil
		}}, nil
}

// linkPlace: the first .link file that matches is the only one that counts, so ours has to have what systemd's own says, and
// matches by what an interface keeps when it is renamed.
func (m *machine) linkPlace(nic, key string) (place, error) {
	if !interfaceRe.MatchString(nic) || !linkKey.MatchString(key) {
		return nil, errUnknown(fmt.Sprintf("%s of %q in a .link file", key, nic))
	}
	match := "OriginalName=" + nic
	if bdf := m.h.BDF(nic); bdf != "" {
		match = "Path=pci-" + bdf
	}
	return &entryPlace{m: m, file: linkFile(nic), section: "[Link]", name: key,
		command: func(v string) (do, undo string) {
			return "printf '[Match]\\n" + match + "\\n[Link]\\n" + key + "=" + v + "\\n' >> " + linkFile(nic), "sed -i '/^" + key + "=/d' " + linkFile(nic)
		},
		head:  "[Match]\n" + match + "\n[Link]\nNamePolicy=keep kernel database onboard slot path\nAlternativeNamesPolicy=database onboard slot path\nMACAddressPolicy=persistent\n",
		value: func(l string) (string, bool) { return assigned(l, key) }, line: func(v string) string { return key + "=" + v }}, nil
}

func linkFile(nic string) string { return "/etc/systemd/network/90-feed-" + nic + ".link" }

// propertyPlace is a property of a unit.
func (m *machine) propertyPlace(unit, key string) (place, error) {
	f := unitKey.FindStringSubmatch(key)
	if f == nil || !unitName.MatchString(unit) {
		return nil, errUnknown(fmt.Sprintf("%s of unit %q", key, unit))
	}
	return &entryPlace{m: m, file: "/etc/systemd/system/" + unit + ".d/" + dropIn, section: "[" + f[1] + "]", name: key, tool: daemonReload,
		value: func(l string) (string, bool) { return assigned(l, f[2]) }, line: func(v string) string { return f[2] + "=" + v }}, nil
}

// place of the persistent kinds.
func (m *machine) filePlace(kind tuning.Kind, target, key string) (place, error) {
	switch kind {
	case tuning.Sysctl:
		return m.sysctlPlace(target)
	case tuning.Tmpfiles:
		return m.tmpfilesPlace(target)
	case tuning.Udev:
		return m.udevPlace(target, key)
	case tuning.Link:
		return m.linkPlace(target, key)
	case tuning.Systemd:
		if key == unitState {
			return m.unitPlace(target)
		}
		return m.propertyPlace(target, key)
	case tuning.Tuned:
		return m.tunedPlace(target, key)
	case tuning.CommandLine:
		return m.bootPlace(target)
	}
	return nil, errUnknown(fmt.Sprintf("changes of kind %q", kind))
}
