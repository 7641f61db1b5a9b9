package package_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// machine is a folder that stands for a machine: dpkg fills it as its root.
type machine struct {
	t    *testing.T
	root string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	need(t, "dpkg", "systemd-sysusers", "systemd-tmpfiles")
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("dpkg --root needs root")
		}
		t.Skip("dpkg --root needs root")
	}
	m := &machine{t, t.TempDir()}
	for _, dir := range []string{"etc/systemd/system/multi-user.target.wants", "dev/shm", "run", "var/lib/dpkg/info", "var/lib/dpkg/updates"} {
		if err := os.MkdirAll(m.at(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m.write("var/lib/dpkg/status", "")
	return m
}

func (m *machine) at(name string) string { return filepath.Join(m.root, name) }

func (m *machine) write(name, text string) {
	m.t.Helper()
	if err := os.WriteFile(m.at(name), []byte(text), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) read(name string) string {
	m.t.Helper()
	text, err := os.ReadFile(m.at(name))
	if err != nil {
		m.t.Fatal(err)
	}
	return string(text)
}

func (m *machine) has(name string) bool {
	_, err := os.Lstat(m.at(name))
	return !errors.Is(err, fs.ErrNotExist)
}

// dpkg runs it on the machine. Its scripts run out here and are told of the root (DPKG_ROOT); what the packages depend on is not there.
func (m *machine) dpkg(args ...string) string {
	m.t.Helper()
	c := exec.Command("dpkg", append([]string{"--root=" + m.root, "--force-script-chrootless", "--force-depends", "--force-confold"}, args...)...)
	c.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	out, err := c.CombinedOutput()
	if err != nil {
		m.t.Fatalf("dpkg %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// next is a package like another one, of a later version, with a file changed.
func next(t *testing.T, file, version, changed, more string) string {
	t.Helper()
	dir := t.TempDir()
	tree, out := filepath.Join(dir, "tree"), filepath.Join(dir, version+".deb")
	if said, err := exec.Command("dpkg-deb", "-R", file, tree).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	edit := func(name string, change func(string) string) {
		t.Helper()
		at := filepath.Join(tree, name)
		text, err := os.ReadFile(at)
		if err == nil {
			err = os.WriteFile(at, []byte(change(string(text))), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	edit("DEBIAN/control", func(s string) string {
		return strings.Replace(s, "Version: "+control(t, file, "Version"), "Version: "+version, 1)
	})
	if changed != "" {
		edit(changed, func(s string) string { return s + more })
	}
	if err := os.Truncate(filepath.Join(tree, "usr/bin/tickwire"), 0); err != nil { // no matter here, and long to pack
		t.Fatal(err)
	}
	if said, err := exec.Command("dpkg-deb", "-Znone", "-b", tree, out).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return out
}

// TestInstall lives through a machine's life with the packages: installation, an edited configuration, upgrades, removal, purge.
func TestInstall(t *testing.T) {
	m := newMachine(t)
	file := deb(t, "tickwire")
	m.dpkg("-i", file, deb(t, "ticktune"))

	// The user, and the folders of the rings and sockets, which are the user's.
	uid := ""
	for line := range strings.Lines(m.read("etc/passwd")) {
		if f := strings.Split(line, ":"); f[0] == "tickwire" {
			uid = f[2]
			if f[2] == "0" || !strings.HasSuffix(strings.TrimSpace(line), "nologin") {
				t.Errorf("the user is %s", line)
			}
		}
	}
	for _, dir := range []string{"run/tickwire", "dev/shm/tickwire"} {
		info, err := os.Stat(m.at(dir))
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(info.Sys().(*syscall.Stat_t).Uid); got != uid || info.Mode().Perm() != 0o750 {
			t.Errorf("%s is %s's, %s; want %s's, 0750", dir, got, info.Mode(), uid)
		}
	}
	for _, program := range []string{"tickwire", "ticktune"} {
		if out, err := exec.Command(m.at("usr/bin/"+program), "--help").CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", program, err, out)
		}
	}
	if wants, err := os.ReadDir(m.at("etc/systemd/system/multi-user.target.wants")); err != nil || len(wants) > 0 {
		t.Errorf("the installation enabled %v, %v", wants, err)
	}

	// An edited file stays, whether the next version's is another one or not.
	const config, variables = "etc/tickwire/tickwire.toml", "etc/tuned/tickwire-variables.conf"
	mine := "# mine\n" + m.read(config)
	m.write(config, mine)
	m.write(variables, "lane_cores=9\n")
	m.write("etc/tickwire/risk.password", "secret\n")
	if err := os.MkdirAll(m.at("var/lib/tickwire/plugins"), 0o755); err != nil {
		t.Fatal(err)
	}
	m.write("var/lib/tickwire/plugins/kept", "")
	m.dpkg("-i", next(t, file, "9.1", "", ""))
	if m.read(config) != mine || m.has(config+".dpkg-dist") {
		t.Error("the configuration is not what it was, or there is another one, though the package's is the same as before")
	}
	m.dpkg("-i", next(t, file, "9.2", config, "# new\n"))
	if m.read(config) != mine || !strings.HasSuffix(m.read(config+".dpkg-dist"), "# new\n") {
		t.Error("the configuration is not what it was, or the package's new one is not beside it")
	}
	// One that nobody touched is the newest.
	m.write(config, m.read(config+".dpkg-dist"))
	if err := os.Remove(m.at(config + ".dpkg-dist")); err != nil {
		t.Fatal(err)
	}
	m.dpkg("-i", next(t, file, "9.3", config, "# newer\n"))
	if !strings.HasSuffix(m.read(config), "# newer\n") {
		t.Error("the package's configuration, as it was, was not replaced")
	}
	if !m.has("var/lib/tickwire/plugins/kept") || m.read(variables) != "lane_cores=9\n" {
		t.Error("an upgrade took what was not the package's")
	}

	// Removed, but for what is somebody's; purged, nothing stays but files that the packages do not know.
	m.write("etc/systemd/system/other.service", "")
	for name, to := range map[string]string{"tickwire-feed@x.service": "/usr/lib/systemd/system/tickwire-feed@.service", "other.service": "../other.service"} {
		if err := os.Symlink(to, m.at("etc/systemd/system/multi-user.target.wants/"+name)); err != nil {
			t.Fatal(err)
		}
	}
	m.dpkg("-r", "tickwire", "ticktune")
	if m.has("usr/bin/tickwire") || m.has("usr/lib/systemd/system/tickwire-serve.service") || m.has("usr/lib/tuned/profiles/tickwire") {
		t.Error("removal left programs or units")
	}
	if !m.has(config) || !m.has(variables) || !m.has("var/lib/tickwire/plugins/kept") {
		t.Error("removal took configuration or data")
	}
	m.dpkg("-P", "tickwire", "ticktune")
	for _, gone := range []string{config, variables, "var/lib/tickwire", "run/tickwire", "dev/shm/tickwire", "etc/systemd/system/multi-user.target.wants/tickwire-feed@x.service"} {
		if m.has(gone) {
			t.Errorf("purging left %s", gone)
		}
	}
	for _, stays := range []string{"etc/tickwire/risk.password", "etc/systemd/system/multi-user.target.wants/other.service"} {
		if !m.has(stays) {
			t.Errorf("purging took %s", stays)
		}
	}
}

// TestPurgeLinks: purging takes the links that enabled the package's units, and none of a unit that an administrator wrote, whatever its name.
func TestPurgeLinks(t *testing.T) {
	root := t.TempDir()
	wants := filepath.Join(root, "etc/systemd/system/multi-user.target.wants")
	if err := os.MkdirAll(wants, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{
		"tickwire-feed@x.service": "/usr/lib/systemd/system/tickwire-feed@.service", "tickwire-serve.service": "/lib/systemd/system/tickwire-serve.service",
		"tickwire-strategy.service": "/etc/systemd/system/tickwire-strategy.service",
	} {
		if err := os.Symlink(to, filepath.Join(wants, name)); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command("./postrm", "purge")
	c.Env = append(os.Environ(), "DPKG_ROOT="+root)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	left, err := os.ReadDir(wants)
	if err != nil || len(left) != 1 || left[0].Name() != "tickwire-strategy.service" {
		t.Errorf("left: %v, %v; want the administrator's", left, err)
	}
}

// TestHugepages: the script asks for what is missing, takes nothing away, and fails where the kernel grants fewer.
func TestHugepages(t *testing.T) {
	for _, tc := range []struct {
		name, arg, had, after, says string
		code                        int
	}{
		{"more", "0-512", "8", "512", "node 0: 512 huge pages of 2 MiB, 512 wanted, 8 before", 0},
		{"enough", "0-512", "600", "600", "600 huge pages", 0},
		{"the kernel says no", "0-512", "", "", "granted 0 of 512", 1},
		{"no such node", "7-512", "8", "8", "no node 7", 1},
		{"no node", "-512", "8", "8", "no NODE-COUNT", 2},
		{"no count", "0-", "8", "8", "no NODE-COUNT", 2},
		{"three numbers", "0-1-2", "8", "8", "no NODE-COUNT", 2},
		{"a folder", "../0-2", "8", "8", "no NODE-COUNT", 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			nodes := t.TempDir()
			at := filepath.Join(nodes, "node0/hugepages/hugepages-2048kB")
			if err := os.MkdirAll(at, 0o755); err != nil {
				t.Fatal(err)
			}
			at = filepath.Join(at, "nr_hugepages")
			granted := at
			if tc.had == "" { // a kernel without memory: whatever is written, 0 is read
				bin := t.TempDir()
				if err := os.WriteFile(filepath.Join(bin, "cat"), []byte("#!/bin/sh\necho 0\n"), 0o755); err != nil {
					t.Fatal(err)
				}
				t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
				granted = ""
			}
			if err := os.WriteFile(at, []byte(tc.had+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			c := exec.Command("./hugepages", tc.arg)
			c.Env = append(os.Environ(), "HUGEPAGES_NODES="+nodes)
			out, _ := c.CombinedOutput()
			if c.ProcessState.ExitCode() != tc.code || !strings.Contains(string(out), tc.says) {
				t.Errorf("exit %d, %s; want %d, %q", c.ProcessState.ExitCode(), out, tc.code, tc.says)
			}
			if granted != "" {
				if text, err := os.ReadFile(at); err != nil || strings.TrimSpace(string(text)) != tc.after {
					t.Errorf("%q, %v in the file, want %q", text, err, tc.after)
				}
			}
		})
	}
}
