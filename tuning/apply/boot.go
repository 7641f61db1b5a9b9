package apply

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/tickwire/tickwire/tuning"
)

// The kernel's command line is changed by the boot loader's own tool:
//
//	grubby          entries of the Boot Loader Specification (RHEL and kin), one parameter a call
//	update-grub     a drop-in in /etc/default/grub.d (Debian and kin), then the tool, once
//	kernelstub      one parameter a call (Pop!_OS)
//	kernel-install  /etc/kernel/cmdline (systemd-boot), then the tool for each kernel, once
//
// Entries to rescue and to recover with stay as they are, so that a bad parameter leaves something to boot.

const (
	updateGrub    = "update-grub"
	kernelInstall = "kernel-install add"
	grubFile      = "/etc/default/grub.d/90-feed-ticktune.cfg"
	grubConfig    = "/boot/grub/grub.cfg"
	kernelLine    = "/etc/kernel/cmdline"
	stubFile      = "/etc/kernelstub/configuration"
	blsEntries    = "/boot/loader/entries/*.conf"
)

var (
	bootName  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)
	bootValue = regexp.MustCompile(`^[A-Za-z0-9_.,:/+=@-]*$`) // no quotes, blanks or dollars: nothing a shell or GRUB would read
)

func validBoot(v string) error {
	if !bootValue.MatchString(v) {
		return errUnknown(fmt.Sprintf("the value %q of a kernel parameter", v))
	}
	return nil
}

// argument is a parameter as one word.
func argument(name, value string) string {
	if value == "" {
		return name
	}
	return name + "=" + value
}

func (m *machine) bootPlace(name string) (place, error) {
	if !bootName.MatchString(name) {
		return nil, errUnknown(fmt.Sprintf("the kernel parameter %q", name))
	}
	tool := func(t string) bool { _, ok := m.tool(t); return ok }
	entries, _ := filepath.Glob(m.dir(blsEntries))
	switch {
	case len(entries) > 0 && tool("grubby"):
		return &grubbyPlace{m: m, name: name}, nil
	case m.exists("/etc/default/grub") && tool("update-grub"):
		return m.grubPlace(name), nil
	case tool("kernelstub") && m.exists(stubFile):
		return &stubPlace{m: m, name: name}, nil
	case m.exists(kernelLine) && tool("kernel-install"):
		return &wordPlace{m: m, name: name}, nil
	}
	return nil, errors.New("no boot loader that is known: grubby with entries in /boot/loader, update-grub, kernelstub or kernel-install with /etc/kernel/cmdline")
}

// grubPlace is a line of our own in GRUB's settings: `GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT skew_tick=1"`.
// That variable is not used for recovery entries.
func (m *machine) grubPlace(name string) place {
	const before, after = `GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT `, `"`
	return &entryPlace{m: m, file: grubFile, name: name, tool: updateGrub, valid: validBoot,
		command: func(v string) (do, undo string) {
			l := before + argument(name, v) + after
			return "echo '" + l + "' >> " + grubFile + " && update-grub", "sed -i '\\|" + argument(name, v) + "|d' " + grubFile + " && update-grub"
		},
		line: func(v string) string { return before + argument(name, v) + after },
		value: func(l string) (string, bool) {
			l, ok1 := strings.CutPrefix(l, before)
			l, ok2 := strings.CutSuffix(l, after)
			key, v, _ := strings.Cut(l, "=")
			return v, ok1 && ok2 && key == name
		},
		effect: func(v Value) error { return m.inGrub(name, v) },
		traces: func(v Value) bool { // a tool that does not work must not keep from setting back what it never got to see
			text, err := m.text(grubConfig)
			return err != nil || slices.Contains(strings.Fields(text), argument(name, v.Text))
		}}
}

// inGrub looks for a parameter in what update-grub made.
func (m *machine) inGrub(name string, v Value) error {
	if !v.There {
		return nil
	}
	text, err := m.text(grubConfig)
	if err != nil {
		return err
	}
	return inGrubConfig(text, argument(name, v.Text))
}

// inGrubConfig wants a word in each line that starts a kernel, but for recovery.
func inGrubConfig(text, word string) error {
	found := 0
	for l := range strings.Lines(text) {
		f := strings.Fields(l)
		if len(f) == 0 || !slices.Contains([]string{"linux", "linux16", "linuxefi"}, f[0]) || slices.Contains(f, "recovery") || slices.Contains(f, "single") ||
			!strings.Contains(l, "root=") {
			continue
		}
		if !slices.Contains(f, word) {
			return fmt.Errorf("%s does not have %s for %s: are files of /etc/default/grub.d read at all?", grubConfig, word, f[min(1, len(f)-1)])
		}
		found++
	}
	if found == 0 {
		return fmt.Errorf("%s starts no kernel that ticktune knows", grubConfig)
	}
	return nil
}

// one is a parameter that is there at most once: of several, which one wins is the parameter's own affair.
func one(params []tuning.Param, name string) (v Value, err error) {
	for _, p := range params {
		if strings.ReplaceAll(p.Name, "-", "_") != strings.ReplaceAll(name, "-", "_") {
			continue
		}
		if v.There {
			return Value{}, errUnknown(name + " is there more than once")
		}
		v = some(p.Value)
	}
	return v, nil
}

// grubbyPlace is a parameter of all entries but those for rescue.
type grubbyPlace struct {
	plain
	m    *machine
	name string
}

func (p *grubbyPlace) accepts(text string) error { return validBoot(text) }

// entry is one of the Boot Loader Specification's.
type entry struct{ file, kernel, options string }

// parseEntry reads an entry's text; env is what GRUB has for $kernelopts.
func parseEntry(name, text, env string) entry {
	e := entry{file: name}
	for l := range strings.Lines(text) {
		key, rest, _ := strings.Cut(strings.TrimSpace(l), " ")
		switch key {
		case "linux":
			if e.kernel = strings.TrimSpace(rest); !strings.HasPrefix(e.kernel, "/boot/") {
				e.kernel = path.Join("/boot", e.kernel)
			}
		case "options":
			e.options = strings.TrimSpace(rest)
		}
	}
	for l := range strings.Lines(env) {
		if opts, ok := strings.CutPrefix(strings.TrimSpace(l), "kernelopts="); ok && strings.Count(e.options, "$kernelopts") == 1 {
			e.options = strings.Replace(e.options, "$kernelopts", opts, 1)
		}
	}
	return e
}

func (p *grubbyPlace) entries() (normal, rescue []entry, err error) {
	files, _ := filepath.Glob(p.m.dir(blsEntries))
	for _, f := range files {
		name := filepath.Base(f)
		text, err := p.m.text(path.Join(path.Dir(blsEntries), name))
		if err != nil {
			return nil, nil, err
		}
		env := ""
		if strings.Contains(text, "$kernelopts") {
			if env, err = p.m.text("/boot/grub2/grubenv"); err != nil {
				return nil, nil, err
			}
		}
		e := parseEntry(name, text, env)
		if strings.Contains(e.file, "rescue") {
			rescue = append(rescue, e)
		} else {
			normal = append(normal, e)
		}
	}
	if len(normal) == 0 {
		return nil, nil, errors.New("/boot/loader/entries has no kernel but for rescue")
	}
	return normal, rescue, nil
}

func (p *grubbyPlace) read() (v Value, err error) {
	normal, _, err := p.entries()
	if err != nil {
		return v, err
	}
	for i, e := range normal {
		here, err := one(tuning.ParseCommandLine(e.options), p.name)
		if err != nil {
			return Value{}, err
		}
		if i > 0 && here != v {
			return Value{}, errUnknown(fmt.Sprintf("boot entries differ in %s: %s has %s, %s has %s", p.name, normal[0].file, v, e.file, here))
		}
		v = here
	}
	return v, nil
}

func (p *grubbyPlace) write(v Value) error {
	_, rescue, err := p.entries()
	if err != nil {
		return err
	}
	had := make([]Value, len(rescue))
	for i, e := range rescue {
		if had[i], err = one(tuning.ParseCommandLine(e.options), p.name); err == nil && e.kernel == "" {
			err = errors.New("it names no kernel")
		}
		if err != nil { // it could not be left as it is
			return fmt.Errorf("/boot/loader/entries/%s: %w", e.file, err)
		}
	}
	if err := p.set("ALL", v); err != nil {
		return err
	}
	for i, e := range rescue { // ALL takes these in
		if had[i] != v {
			if err := p.set(e.kernel, had[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// set changes a kernel's entries, or those of ALL.
func (p *grubbyPlace) set(kernel string, v Value) error {
	arg := "--remove-args=" + p.name
	if v.There {
		arg = "--args=" + argument(p.name, v.Text)
	}
	_, err := p.m.run("grubby", "--update-kernel="+kernel, arg)
	return err
}

// stubPlace is a parameter of kernelstub's.
type stubPlace struct {
	plain
	m    *machine
	name string
}

func (p *stubPlace) accepts(text string) error { return validBoot(text) }

func (p *stubPlace) shell(v string) (do, undo string) {
	return "kernelstub -a " + argument(p.name, v), "kernelstub -d " + argument(p.name, v)
}

func (p *stubPlace) read() (Value, error) {
	text, err := p.m.text(stubFile)
	if err != nil {
		return Value{}, err
	}
	options, err := stubOptions(text)
	if err != nil {
		return Value{}, err
	}
	return one(tuning.ParseCommandLine(strings.Join(options, " ")), p.name)
}

func (p *stubPlace) write(v Value) error {
	now, err := p.read()
	if err != nil {
		return err
	}
	if now.There {
		if _, err := p.m.run("kernelstub", "-d", argument(p.name, now.Text)); err != nil {
			return err
		}
	}
	if v.There {
		_, err = p.m.run("kernelstub", "-a", argument(p.name, v.Text))
	}
	return err
}

// wordPlace is a parameter in /etc/kernel/cmdline.
type wordPlace struct {
	plain
	m    *machine
	name string
}

func (p *wordPlace) accepts(text string) error { return validBoot(text) }
func (p *wordPlace) settle() string            { return kernelInstall }
func (p *wordPlace) temporary() string         { return temporaryOf(kernelLine) }

func (p *wordPlace) shell(v string) (do, undo string) {
	const install = " " + kernelLine + " && kernel-install add $(uname -r) /lib/modules/$(uname -r)/vmlinuz"
	return "sed -i 's|$| " + argument(p.name, v) + "|'" + install, "sed -i 's| " + argument(p.name, v) + "||'" + install
}

func (p *wordPlace) read() (Value, error) {
	text, err := p.m.text(kernelLine)
	if err != nil {
		return Value{}, err
	}
	return one(tuning.ParseCommandLine(text), p.name)
}

func (p *wordPlace) write(v Value) error {
	text, err := p.m.text(kernelLine)
	if err != nil {
		return err
	}
	then, err := setWord(text, p.name, v)
	if err != nil || then == text {
		return err
	}
	return p.m.replace(kernelLine, then, 0o644)
}

// setWord sets a parameter in a command line, or takes it out; all else stays as it is written.
func setWord(text, name string, v Value) (string, error) {
	now, err := one(tuning.ParseCommandLine(text), name)
	if err != nil {
		return "", err
	}
	kernel, rest := text, ""
	if i := strings.Index(text, " -- "); i >= 0 { // what follows is init's
		kernel, rest = text[:i], text[i:]
	} else {
		kernel = strings.TrimRight(text, " \n")
		rest = text[len(kernel):]
	}
	word := " " + argument(name, now.Text)
	i := -1
	if now.There {
		if i = wordIndex(kernel, word); i < 0 {
			return "", errUnknown(name + " in " + kernelLine + " is written in a way that cannot be changed")
		}
	}
	switch {
	case now.There && v.There:
		kernel = kernel[:i] + " " + argument(name, v.Text) + kernel[i+len(word):]
	case now.There:
		kernel = kernel[:i] + kernel[i+len(word):]
	case v.There:
		kernel += " " + argument(name, v.Text)
	}
	if then, err := one(tuning.ParseCommandLine(kernel+rest), name); err != nil || then != v {
		return "", errUnknown(kernelLine + " is written in a way that cannot be changed")
	}
	return kernel + rest, nil
}

// wordIndex finds a word with the blank before it; -1: it is not there. The first word of a line has none, and is found as
// little as one in quotes.
func wordIndex(text, word string) int {
	for from := 0; ; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return -1
		}
		i += from
		if end := i + len(word); end == len(text) || text[end] == ' ' || text[end] == '\n' || text[end] == '\t' {
			return i
		}
		from = i + 1
	}
}

// installKernels makes boot entries anew, of each kernel that is installed.
func (m *machine) installKernels() error {
	found := 0
	dirs, _ := filepath.Glob(m.dir("/lib/modules/*"))
	for _, d := range dirs {
		version := filepath.Base(d)
		for _, image := range []string{"/lib/modules/" + version + "/vmlinuz", "/boot/vmlinuz-" + version} {
			if m.exists(image) {
				if _, err := m.run("kernel-install", "add", version, image); err != nil {
					return err
				}
				found++
				break
			}
		}
	}
	if found == 0 {
		return errors.New("no kernel in /lib/modules has its image beside it, or in /boot")
	}
	return nil
}

// keepBoot copies what boot loaders read into the state's folder, before a run changes it: so that a person with a rescue
// system finds it.
func (m *machine) keepBoot(run int) error {
	dir := path.Join(m.o.Dir, "originals", fmt.Sprintf("run-%d", run))
	for _, pattern := range []string{"/etc/default/grub", "/etc/default/grub.d/*", grubConfig, "/boot/grub2/grubenv", blsEntries, kernelLine, stubFile} {
		files, _ := filepath.Glob(m.dir(pattern))
		for _, f := range files {
			rel, err := filepath.Rel(m.root, f)
			if err != nil {
				return err
			}
			info, err := os.Stat(f)
			if err != nil || !info.Mode().IsRegular() {
				continue
			}
			text, err := os.ReadFile(f)
			if err != nil {
				return err
			}
			to := path.Join(dir, rel)
			if err := os.MkdirAll(m.dir(path.Dir(to)), 0o700); err != nil {
				return err
			}
			copied, err := os.OpenFile(m.dir(to), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) // only their owner: a command line may hold secrets
			if err != nil {
				return err
			}
			_, err = copied.Write(text)
			if err = errors.Join(err, copied.Sync(), copied.Close(), syncDir(m.dir(path.Dir(to)))); err != nil { // on disk before the others change
				return err
			}
		}
	}
	return nil
}

// stubOptions are the parameters that kernelstub's configuration has for the user.
func stubOptions(text string) ([]string, error) {
	var c struct {
		User struct {
			Options []string `json:"kernel_options"`
		} `json:"user"`
	}
	err := json.Unmarshal([]byte(text), &c)
	return c.User.Options, err
}
