package package_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// tree is the top of the source tree.
const tree = "../.."

var built struct {
	once sync.Once
	dir  string // of the packages
	own  bool   // made here, and removed here
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.own {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// packages is a folder with what deploy/package/build makes: that of TICKWIRE_PACKAGES, else made here, once.
func packages(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: no packages are built")
	}
	need(t, "dpkg-deb", "git", "gcc")
	built.once.Do(func() {
		if built.dir = os.Getenv("TICKWIRE_PACKAGES"); built.dir != "" {
			return
		}
		if built.dir, built.err = os.MkdirTemp("", "tickwire-packages-"); built.err == nil {
			built.own, built.err = true, build(built.dir)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.dir
}

func build(out string) error {
	c := exec.Command(filepath.Join(tree, "deploy/package/build"), out)
	if said, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, said)
	}
	return nil
}

// need skips a test for want of programs; where CI is set they must be there.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err == nil {
			continue
		}
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is not installed", p)
		}
		t.Skipf("%s is not installed", p)
	}
}

// deb is the path of a package.
func deb(t *testing.T, name string) string {
	t.Helper()
	dir := packages(t)
	found, err := filepath.Glob(filepath.Join(dir, name+"_*_"+runtime.GOARCH+".deb"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%v, %v: want one package of %s in %s", found, err, name, dir)
	}
	return found[0]
}

// control is a field of a package, or what is in a file of its control part.
func control(t *testing.T, file, field string) string {
	t.Helper()
	out, err := exec.Command("dpkg-deb", "-f", file, field).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

type entry struct {
	*tar.Header
	body []byte
}

func entries(t *testing.T, r io.Reader) map[string]entry {
	t.Helper()
	all := map[string]entry{}
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		all[path.Clean("/"+h.Name)] = entry{h, body}
	}
}

// contents are the files of a package.
func contents(t *testing.T, file string) map[string]entry {
	t.Helper()
	out, err := exec.Command("dpkg-deb", "--fsys-tarfile", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	return entries(t, bytes.NewReader(out))
}

// commit is what git says of the tree's.
func commit(t *testing.T, format string) string {
	t.Helper()
	out, err := exec.Command("git", "-C", tree, "log", "-1", "--format="+format).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// commitTime is when the tree was committed: of every file of the packages.
func commitTime(t *testing.T) time.Time {
	t.Helper()
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		text = commit(t, "%ct")
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Unix(n, 0)
}

// TestReproducible: the same commit makes the same bytes, also under another umask.
func TestReproducible(t *testing.T) {
	first := packages(t)
	again := t.TempDir()
	old := syscall.Umask(0o077)
	err := build(again)
	syscall.Umask(old)
	if err != nil {
		t.Fatal(err)
	}
	var sums [2]string
	for i, dir := range []string{first, again} {
		text, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
		if err != nil {
			t.Fatal(err)
		}
		sums[i] = string(text)
	}
	if strings.Count(sums[0], "\n") != 3 || sums[0] != sums[1] {
		t.Errorf("two builds differ:\n%s\n%s", sums[0], sums[1])
	}
	c := exec.Command("sha256sum", "-c", "--quiet", "SHA256SUMS")
	c.Dir = again
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("SHA256SUMS: %v\n%s", err, out)
	}
}

func TestContents(t *testing.T) {
	here, err := filepath.Abs(tree)
	if err != nil {
		t.Fatal(err)
	}
	committed := commitTime(t)
	for name, want := range map[string][]string{
		"tickwire": {
			"/usr/bin/tickwire", "/usr/libexec/tickwire/hugepages", "/etc/tickwire/tickwire.toml", "/usr/include/tickring.h",
			"/usr/lib/systemd/system/tickwire-feed@.service", "/usr/lib/systemd/system/tickwire-serve.service",
			"/usr/lib/systemd/system/tickwire-run.service", "/usr/lib/systemd/system/tickwire-consolidate.service",
			"/usr/lib/systemd/system/tickwire-hugepages@.service", "/usr/lib/systemd/system/tickwire.slice",
			"/usr/lib/sysusers.d/tickwire.conf", "/usr/lib/tmpfiles.d/tickwire.conf", "/usr/lib/udev/rules.d/60-tickwire.rules",
			"/usr/share/doc/tickwire/copyright", "/usr/share/doc/tickwire/third-party.gz", "/usr/share/doc/tickwire/NOTICE",
			"/usr/share/doc/tickwire/quickfix.gz", "/usr/share/doc/tickwire/examples/tickwire.toml",
			"/usr/share/doc/tickwire/examples/isolation/tickwire-feed@.service.d/90-feed-cores.conf",
			"/usr/share/doc/tickwire/examples/python/tickring/__init__.py", "/usr/share/doc/tickwire/docs/install.md",
			"/usr/share/man/man1/tickwire.1.gz", "/usr/share/man/man1/tickwire-feed.1.gz", "/usr/share/man/man1/tickwire-ring-tail.1.gz",
			"/usr/share/bash-completion/completions/tickwire", "/usr/share/zsh/vendor-completions/_tickwire",
			"/usr/share/fish/vendor_completions.d/tickwire.fish",
		},
		"ticktune": {
			"/usr/bin/ticktune", "/usr/lib/tuned/tickwire/tuned.conf", "/usr/lib/tuned/profiles/tickwire", "/etc/tuned/tickwire-variables.conf",
			"/usr/share/man/man1/ticktune-check.1.gz", "/usr/share/bash-completion/completions/ticktune", "/usr/share/doc/ticktune/third-party.gz",
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := deb(t, name)
			all := contents(t, file)
			for _, w := range want {
				if _, there := all[w]; !there {
					t.Errorf("%s is missing", w)
				}
			}
			var etc []string
			for at, e := range all {
				if e.Uid != 0 || e.Gid != 0 {
					t.Errorf("%s belongs to %d:%d, want root", at, e.Uid, e.Gid)
				}
				if !e.ModTime.Equal(committed) {
					t.Errorf("%s is of %s, want the commit's time %s", at, e.ModTime, committed)
				}
				mode := fs.FileMode(e.Mode).Perm()
				switch {
				case e.Typeflag == tar.TypeDir:
					if mode != 0o755 {
						t.Errorf("folder %s has mode %o", at, mode)
					}
				case e.Typeflag == tar.TypeSymlink:
					if _, there := all[path.Join(path.Dir(at), e.Linkname)]; !there {
						t.Errorf("%s leads to %s, which is not in the package", at, e.Linkname)
					}
				case e.Typeflag != tar.TypeReg:
					t.Errorf("%s is of type %c", at, e.Typeflag)
				case strings.HasPrefix(at, "/usr/bin/"), strings.HasPrefix(at, "/usr/libexec/"):
					if mode != 0o755 {
						t.Errorf("program %s has mode %o", at, mode)
					}
				case mode != 0o644:
					t.Errorf("%s has mode %o", at, mode)
				}
				if strings.HasPrefix(at, "/etc/") && e.Typeflag == tar.TypeReg {
					etc = append(etc, at)
				}
				if bytes.Contains(e.body, []byte(here+"/")) {
					t.Errorf("%s tells where it was built: %s", at, here)
				}
			}
			slices.Sort(etc)
			if got, err := exec.Command("dpkg-deb", "--info", file, "conffiles").Output(); err != nil || !slices.Equal(strings.Fields(string(got)), etc) {
				t.Errorf("conffiles %q, %v; want all of /etc: %q", got, err, etc)
			}
			pages(t, name, all)
			for _, shell := range []string{"bash", "zsh", "fish"} {
				if _, err := exec.LookPath(shell); err != nil {
					continue
				}
				at := map[string]string{"bash": "/usr/share/bash-completion/completions/", "zsh": "/usr/share/zsh/vendor-completions/_",
					"fish": "/usr/share/fish/vendor_completions.d/"}[shell] + name
				if shell == "fish" {
					at += ".fish"
				}
				c := exec.Command(shell, "-n", "/dev/stdin")
				c.Stdin = bytes.NewReader(all[at].body)
				if out, err := c.CombinedOutput(); err != nil {
					t.Errorf("%s: %v: %s", at, err, out)
				}
			}
		})
	}
}

// pages: each command has its man page, and roff has nothing to say about it.
func pages(t *testing.T, name string, all map[string]entry) {
	need(t, "groff")
	said := regexp.MustCompile(`(?m)^\.BR (\S+) \(1\)$`)
	seen := 0
	for at, e := range all {
		if !strings.HasPrefix(at, "/usr/share/man/man1/"+name) {
			continue
		}
		seen++
		z, err := gzip.NewReader(bytes.NewReader(e.body))
		if err != nil {
			t.Fatal(err)
		}
		page, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range said.FindAllSubmatch(page, -1) {
			other := "/usr/share/man/man1/" + strings.ReplaceAll(string(m[1]), `\-`, "-") + ".1.gz"
			if _, there := all[other]; !there {
				t.Errorf("%s speaks of %s, which is missing", at, other)
			}
		}
		c := exec.Command("groff", "-ww", "-K", "utf8", "-man", "-Tutf8", "-z")
		c.Stdin = bytes.NewReader(page)
		if out, err := c.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v: %s", at, err, out)
		}
	}
	if seen < 4 {
		t.Errorf("%d man pages", seen)
	}
}

// extracted is a folder with the files of both packages.
func extracted(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range []string{"tickwire", "ticktune"} {
		if out, err := exec.Command("dpkg-deb", "-x", deb(t, name), root).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return root
}

// TestPrograms: they start, say their version, and need no newer libraries than the package says; ticktune needs none, and is small.
func TestPrograms(t *testing.T) {
	root := extracted(t)
	version := "v" + strings.Replace(control(t, deb(t, "tickwire"), "Version"), "~", "-", 1)
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"tickwire", "version"}, "tickwire " + version + " " + commit(t, "%H") + " "},
		{[]string{"tickwire", "version"}, "with DuckDB"},
		{[]string{"ticktune", "--version"}, version},
		{[]string{"tickwire", "config", "check", root + "/etc/tickwire/tickwire.toml"}, "good: "},
	} {
		out, err := exec.Command(filepath.Join(root, "usr/bin", tc.args[0]), tc.args[1:]...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), tc.want) {
			t.Errorf("%q: %v: %s; want %q", tc.args, err, out, tc.want)
		}
	}

	file, err := elf.Open(filepath.Join(root, "usr/bin/tickwire"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	symbols, err := file.ImportedSymbols()
	if err != nil {
		t.Fatal(err)
	}
	depends := control(t, deb(t, "tickwire"), "Depends")
	for _, tc := range []struct{ prefix, most, depend string }{
		{"GLIBC_", "2.34", "libc6 (>= 2.34)"},
		{"GLIBCXX_", "3.4.30", "libstdc++6 (>= 12)"}, // of GCC 12
		{"CXXABI_", "1.3.13", "libstdc++6 (>= 12)"},
		{"GCC_", "3.4", "libgcc-s1"},
	} {
		if !strings.Contains(depends, tc.depend) {
			t.Errorf("it depends on %s, want %s among it", depends, tc.depend)
		}
		for _, s := range symbols {
			if v, of := strings.CutPrefix(s.Version, tc.prefix); of && newer(v, tc.most) {
				t.Errorf("%s needs %s, but %s is what the package asks for: raise it in tickwire.yaml", s.Name, s.Version, tc.depend)
			}
		}
	}

	tune, err := elf.Open(filepath.Join(root, "usr/bin/ticktune"))
	if err != nil {
		t.Fatal(err)
	}
	defer tune.Close()
	libraries, err := tune.ImportedLibraries()
	if err != nil || len(libraries) > 0 || slices.ContainsFunc(tune.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		t.Errorf("ticktune is not static: %v %v", libraries, err)
	}
	for program, most := range map[string]int64{"ticktune": 20e6, "tickwire": 150e6} {
		info, err := os.Stat(filepath.Join(root, "usr/bin", program))
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > most {
			t.Errorf("%s has %d bytes, want at most %d", program, info.Size(), most)
		}
		t.Logf("%s: %.1f MB", program, float64(info.Size())/1e6)
	}
}

// newer is whether version a is after b: numbers with dots.
func newer(a, b string) bool {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(x), len(y)) {
		n, _ := strconv.Atoi(x[i])
		m, _ := strconv.Atoi(y[i])
		if n != m {
			return n > m
		}
	}
	return len(x) > len(y)
}

// TestTarball: it has the packages' files, less /etc, and no folders, whose owners and modes it would change where it is unpacked.
func TestTarball(t *testing.T) {
	found, err := filepath.Glob(filepath.Join(packages(t), "tickwire-*-linux-"+runtime.GOARCH+".tar.gz"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%v, %v: want one tarball", found, err)
	}
	top := "/" + strings.TrimSuffix(filepath.Base(found[0]), ".tar.gz")
	file, err := os.Open(found[0])
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	got := entries(t, z)
	for _, name := range []string{"tickwire", "ticktune"} {
		for at, want := range contents(t, deb(t, name)) {
			if want.Typeflag == tar.TypeDir || strings.HasPrefix(at, "/etc/") {
				continue
			}
			e, there := got[top+at]
			if !there || e.Typeflag != want.Typeflag || e.Mode&0o777 != want.Mode&0o777 && e.Typeflag == tar.TypeReg || !bytes.Equal(e.body, want.body) {
				t.Errorf("%s differs from the package's", at)
			}
			delete(got, top+at)
		}
	}
	for at := range got {
		t.Errorf("%s is in no package", at)
	}
}

// TestLintian: Debian's own opinion, where it can be had. What is otherwise on purpose is said in deploy/package/*.lintian.
func TestLintian(t *testing.T) {
	if _, err := exec.LookPath("lintian"); err != nil {
		t.Skip("lintian is not installed")
	}
	out, err := exec.Command("lintian", "--allow-root", "--fail-on", "error,warning", deb(t, "tickwire"), deb(t, "ticktune")).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
