package apply

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/tickwire/tickwire/tuning"
)

// settler runs what a group of places needs once, after the last of them: systemd reads its files again, the boot loader's
// tool makes its configuration. All of these make one thing of another, so to run them once more does no harm.
type settler struct {
	keys   []string
	ids    map[string][]int
	failed map[int]bool // entries whose tool failed
}

// before runs what earlier places need, before another kind comes.
func (s *settler) before(m *machine, p place) error {
	key := p.settle()
	if len(s.keys) > 0 && s.keys[len(s.keys)-1] != key {
		if err := s.all(m); err != nil {
			return err
		}
	}
	s.after(0, p)
	return nil
}

// after remembers what a place needs.
func (s *settler) after(id int, p place) {
	key := p.settle()
	if key == "" {
		return
	}
	if s.ids == nil {
		s.ids, s.failed = map[string][]int{}, map[int]bool{}
	}
	if s.ids[key] == nil {
		s.keys = append(s.keys, key)
	}
	s.ids[key] = append(s.ids[key], id)
}

// all runs everything that is due.
func (s *settler) all(m *machine) error {
	var errs []error
	for _, key := range s.keys {
		err := m.o.fault("settle", nil)
		if err == nil {
			err = m.settle(key)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
			for _, id := range s.ids[key] {
				s.failed[id] = true
			}
		}
	}
	s.keys, s.ids = nil, nil
	return errors.Join(errs...)
}

// settle runs what a key stands for.
func (m *machine) settle(key string) error {
	var err error
	switch key {
	case daemonReload:
		if _, ok := m.tool("systemctl"); ok && m.exists("/run/systemd/system") { // else no manager runs that would have to read
			_, err = m.run("systemctl", "daemon-reload")
		}
	case reapply:
		if m.activeProfile() == child && m.exists(m.childFile()) { // else it is made active, or was left, by a change of its own
			_, err = m.run("tuned-adm", "profile", child)
		}
	case updateGrub:
		_, err = m.run("update-grub")
	case kernelInstall:
		err = m.installKernels()
	}
	return err
}

// toolDirs are where tools are looked for: not in PATH, which whoever calls us may have set.
var toolDirs = []string{"/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// tool finds a program. A tree has its own in fake/bin, which are told the tree as ROOT.
func (m *machine) tool(name string) (string, bool) {
	dirs := toolDirs
	if !m.real {
		dirs = []string{m.dir("fake/bin")}
	}
	for _, d := range dirs {
		file := filepath.Join(d, name)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file, true
		}
	}
	return "", false
}

// toolTime bounds a tool: update-grub on a machine with many disks takes most of a minute.
const toolTime = 3 * time.Minute

// run runs a tool, and gives what it wrote. Its error has what it complained about.
func (m *machine) run(name string, args ...string) (string, error) {
	file, ok := m.tool(name)
	if !ok {
		return "", fmt.Errorf("there is no %s", name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), toolTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, file, args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + strings.Join(toolDirs, ":"), "LC_ALL=C", "SYSTEMD_PAGER=", "ROOT=" + m.root}
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Control-C is for us: a boot loader's tool is not to be cut off halfway
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		text := strings.TrimSpace(errs.String())
		if len(text) > 500 {
			text = text[len(text)-500:]
		}
		return out.String(), fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, tuning.Printable(text))
	}
	return out.String(), nil
}
