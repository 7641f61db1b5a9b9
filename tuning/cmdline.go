package tuning

import (
	"path/filepath"
	"strings"
)

// Param is one parameter of a kernel command line.
type Param struct{ Name, Value string }

// ParseCommandLine reads the kernel's part of a command line: quotes hold white space together, and what follows "--" is init's.
func ParseCommandLine(s string) (params []Param) {
	var word strings.Builder
	quoted, any := false, false
	flush := func() bool {
		defer func() { word.Reset(); any = false }()
		if !any {
			return true
		}
		if word.String() == "--" {
			return false
		}
		name, value, _ := strings.Cut(word.String(), "=")
		params = append(params, Param{name, value})
		return true
	}
	for _, r := range s {
		switch {
		case r == '"':
			quoted, any = !quoted, true
		case !quoted && (r == ' ' || r == '\t' || r == '\n'):
			if !flush() {
				return params
			}
		default:
			word.WriteRune(r)
			any = true
		}
	}
	flush()
	return params
}

// sameParam treats - and _ alike, as the kernel does.
func sameParam(a, b string) bool {
	return strings.ReplaceAll(a, "-", "_") == strings.ReplaceAll(b, "-", "_")
}

// lookup is the last occurrence, which usually wins.
func lookup(params []Param, name string) (value string, ok bool) {
	for _, p := range params {
		if sameParam(p.Name, name) {
			value, ok = p.Value, true
		}
	}
	return value, ok
}

// Param is a parameter that the running kernel was started with. Only it is recorded, never the whole line.
func (h *Host) Param(name string) (value string, ok bool, err error) {
	line, err := h.quiet("/proc/cmdline")
	if err != nil {
		h.record("/proc/cmdline, "+name, "", err)
		return "", false, err
	}
	value, ok = lookup(ParseCommandLine(line), name)
	h.record("/proc/cmdline, "+name, paramText(name, value, ok), nil)
	return value, ok, nil
}

func paramText(name, value string, ok bool) string {
	switch {
	case !ok:
		return "no " + name
	case value == "":
		return name
	}
	return name + "=" + value
}

// bootConfig is what the boot loader will start the next kernel with, as far as its files say.
type bootConfig struct {
	source string
	params []Param
}

// nextBoot finds the command line of the next boot: entries of the Boot Loader Specification, GRUB's defaults, or the file of
// systemd-boot. nil: none of these is there, or none can be read.
func (h *Host) nextBoot() *bootConfig {
	if h.boot != nil {
		if h.boot.source == "" {
			return nil
		}
		return h.boot
	}
	h.boot = h.findBoot()
	if h.boot == nil {
		h.boot = &bootConfig{}
		return nil
	}
	return h.boot
}

func (h *Host) findBoot() *bootConfig {
	// An entry of another kernel may differ: it counts only what all of them have, in the words of the first.
	var common *bootConfig
	entries, _ := filepath.Glob(h.path("/boot/loader/entries/*.conf"))
	for _, full := range entries {
		name := "/boot/loader/entries/" + filepath.Base(full)
		text, err := h.quiet(name)
		if err != nil {
			continue
		}
		for line := range strings.Lines(text) {
			rest, ok := strings.CutPrefix(strings.TrimSpace(line), "options ")
			if !ok || strings.Contains(filepath.Base(full), "rescue") {
				continue
			}
			params := ParseCommandLine(rest)
			if _, ok := lookup(params, "$kernelopts"); ok {
				if env, err := h.quiet("/boot/grub2/grubenv"); err == nil {
					for l := range strings.Lines(env) {
						if opts, ok := strings.CutPrefix(strings.TrimSpace(l), "kernelopts="); ok {
							params = append(ParseCommandLine(opts), params...)
						}
					}
				}
			}
			if common == nil {
				common = &bootConfig{name, params}
				continue
			}
			var kept []Param
			for _, p := range common.params {
				if v, ok := lookup(params, p.Name); ok && v == p.Value {
					kept = append(kept, p)
				}
			}
			common.params = kept
		}
	}
	if common != nil {
		return common
	}
	if text, err := h.quiet("/etc/kernel/cmdline"); err == nil {
		return &bootConfig{"/etc/kernel/cmdline", ParseCommandLine(text)}
	}
	if text, err := h.quiet("/etc/default/grub"); err == nil {
		parts, _ := filepath.Glob(h.path("/etc/default/grub.d/*.cfg"))
		for _, full := range parts {
			if more, err := h.quiet("/etc/default/grub.d/" + filepath.Base(full)); err == nil {
				text += "\n" + more
			}
		}
		return &bootConfig{"/etc/default/grub", grubDefaults(text)}
	}
	return nil
}

// grubDefaults is what update-grub makes of its settings. Of the shell's language it knows assignments and the two variables'
// own values in them, which is what the files that packages install use.
func grubDefaults(text string) []Param {
	vars := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || name != "GRUB_CMDLINE_LINUX" && name != "GRUB_CMDLINE_LINUX_DEFAULT" {
			continue
		}
		value = strings.TrimSpace(value)
		if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			value = value[1 : n-1]
		}
		value = strings.ReplaceAll(value, `\"`, `"`)
		for _, v := range []string{"GRUB_CMDLINE_LINUX_DEFAULT", "GRUB_CMDLINE_LINUX"} {
			value = strings.ReplaceAll(value, "${"+v+"}", vars[v])
			value = strings.ReplaceAll(value, "$"+v, vars[v])
		}
		if len(value) > 1<<16 {
			return nil // it grows without end: nothing that a boot loader takes
		}
		vars[name] = value
	}
	return append(ParseCommandLine(vars["GRUB_CMDLINE_LINUX"]), ParseCommandLine(vars["GRUB_CMDLINE_LINUX_DEFAULT"])...)
}

// NextParam is a parameter that the next boot will have; known is false where no file tells.
func (h *Host) NextParam(name string) (value string, ok, known bool) {
	b := h.nextBoot()
	if b == nil {
		return "", false, false
	}
	value, ok = lookup(b.params, name)
	h.record(b.source+", "+name, paramText(name, value, ok), nil)
	return value, ok, true
}

// NextSysctl is the value that the next boot gives to a sysctl (a key with dots), and the file that does so.
func (h *Host) NextSysctl(key string) (value, source string, ok bool) {
	if h.sysctls == nil {
		h.sysctls = map[string]string{}
		h.readSysctls()
	}
	entry, ok := h.sysctls[strings.TrimPrefix(sysctlPath(key), "/proc/sys/")]
	if !ok {
		return "", "", false
	}
	value, source, _ = strings.Cut(entry, "\x00")
	h.record(source+", "+key, value, nil)
	return value, source, true
}

// readSysctls reads the files in the order of sysctl.d(5): by name, one of /etc hiding one of /run hiding one of /usr/lib.
func (h *Host) readSysctls() {
	files := map[string]string{}
	var names []string
	for _, dir := range []string{"/usr/lib/sysctl.d", "/run/sysctl.d", "/etc/sysctl.d"} {
		found, _ := filepath.Glob(h.path(dir + "/*.conf"))
		for _, full := range found {
			base := filepath.Base(full)
			if files[base] == "" {
				names = append(names, base)
			}
			files[base] = dir + "/" + base
		}
	}
	sortStrings(names)
	for _, name := range names {
		h.readSysctl(files[name])
	}
	h.readSysctl("/etc/sysctl.conf")
}

func (h *Host) readSysctl(name string) {
	text, err := h.quiet(name)
	if err != nil {
		return
	}
	for line := range strings.Lines(text) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "-")
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			continue
		}
		key = strings.TrimSpace(key)
		// The first separator says which of the two it is (sysctl.d(5)).
		if i := strings.IndexAny(key, "./"); i >= 0 && key[i] == '.' {
			key = strings.TrimPrefix(sysctlPath(key), "/proc/sys/")
		}
		h.sysctls[key] = strings.TrimSpace(value) + "\x00" + name
	}
}

// NextTmpfile is what tmpfiles.d writes to a path at boot.
func (h *Host) NextTmpfile(path string) (value string, ok bool) {
	for _, dir := range []string{"/usr/lib/tmpfiles.d", "/run/tmpfiles.d", "/etc/tmpfiles.d"} {
		found, _ := filepath.Glob(h.path(dir + "/*.conf"))
		for _, full := range found {
			name := dir + "/" + filepath.Base(full)
			text, err := h.quiet(name)
			if err != nil {
				continue
			}
			for line := range strings.Lines(text) {
				if f := strings.Fields(line); len(f) >= 7 && strings.TrimRight(f[0], "+!-=~^") == "w" && f[1] == path {
					value, ok = strings.Join(f[6:], " "), true
					h.record(name+", "+path, value, nil)
				}
			}
		}
	}
	return value, ok
}
