package store

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/plugins/sign"
	"github.com/tickwire/tickwire/plugins/wasm"
)

// module of a name and version that needs others: "c ^1".
func module(name, version string, needs ...string) []byte {
	var requires []string
	for _, n := range needs {
		of, within, _ := strings.Cut(n, " ")
		requires = append(requires, fmt.Sprintf(`{"name": %q, "version": %q}`, of, within))
	}
	return wasm.AppendCustom([]byte("\x00asm\x01\x00\x00\x00"), manifest.SectionName, fmt.Appendf(nil,
		`{"name": %q, "version": %q, "abi": 1, "kinds": [{"kind": "validator"}], "requires": [%s]}`, name, version, strings.Join(requires, ",")))
}

func open(dir string) *Store { return Open(dir, Options{}) }

func install(t testing.TB, s *Store, modules ...[]byte) {
	t.Helper()
	for _, m := range modules {
		if _, err := s.Install(m); err != nil {
			t.Fatal(err)
		}
	}
}

func enable(t testing.TB, s *Store, refs ...string) {
	t.Helper()
	if _, err := s.Enable(parse(t, refs...)...); err != nil {
		t.Fatal(err)
	}
}

func parse(t testing.TB, refs ...string) (all []Ref) {
	t.Helper()
	for _, text := range refs {
		ref, err := ParseRef(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, ref)
	}
	return all
}

// list is the set in words: name version state, and what is wrong.
func list(t testing.TB, s *Store) string {
	t.Helper()
	all, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, e := range all {
		line := fmt.Sprint(e.Name, " ", e.Version, " ", e.State)
		for _, known := range []error{ErrGone, ErrAltered, ErrUnreadable} {
			if errors.Is(e.Err, known) {
				line += map[error]string{ErrGone: " gone", ErrAltered: " altered", ErrUnreadable: " unreadable"}[known]
			}
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, ", ")
}

func want(t *testing.T, s *Store, set string) {
	t.Helper()
	if got := list(t, s); got != set {
		t.Errorf("the set is\n%s, want\n%s", got, set)
	}
}

func TestLifeCycle(t *testing.T) {
	s := open(filepath.Join(t.TempDir(), "a", "b"))
	want(t, s, "")
	if _, err := os.Stat(s.dir); err == nil {
		t.Error("looking makes the folder")
	}
	install(t, s, module("x", "1.0.0"), module("x", "1.1.0"), module("x", "1.10.0-rc.1"), module("y", "0.1.0"))
	want(t, s, "x 1.10.0-rc.1 installed, x 1.1.0 installed, x 1.0.0 installed, y 0.1.0 installed")
	enable(t, s, "x@1.0.0")
	enable(t, s, "x@^1") // the newest release
	enable(t, s, "y")
	want(t, s, "x 1.10.0-rc.1 installed, x 1.1.0 enabled, x 1.0.0 installed, y 0.1.0 enabled")
	enable(t, s, "x@1.10.0-rc.1")
	if err := s.Disable("x", "y"); err != nil {
		t.Fatal(err)
	}
	want(t, s, "x 1.10.0-rc.1 disabled, x 1.1.0 installed, x 1.0.0 installed, y 0.1.0 disabled")
	if err := s.Disable("x"); err == nil {
		t.Error("disabled twice")
	}
	enable(t, s, "x") // what was chosen, not the newest
	want(t, s, "x 1.10.0-rc.1 enabled, x 1.1.0 installed, x 1.0.0 installed, y 0.1.0 disabled")
	for _, to := range []string{"1.1.0", "1.0.0"} {
		if _, got, skipped, err := s.Rollback("x"); err != nil || got != to || len(skipped) > 0 {
			t.Errorf("back to %s: %s, %v, %v", to, got, skipped, err)
		}
	}
	if _, _, _, err := s.Rollback("x"); !errors.Is(err, ErrNoHistory) {
		t.Errorf("back to before the first: %v", err)
	}
	want(t, s, "x 1.10.0-rc.1 installed, x 1.1.0 installed, x 1.0.0 enabled, y 0.1.0 disabled")
	e, loaded, err := s.Load("x")
	if err != nil || !bytes.Equal(loaded, module("x", "1.0.0")) || e.Version != "1.0.0" || e.Manifest.Name != "x" {
		t.Errorf("%+v, %v", e, err)
	}
	if _, _, err := s.Load("y"); err == nil {
		t.Error("what is disabled loads")
	}
	if err := s.Remove("x", "1.0.0"); !errors.Is(err, ErrInUse) {
		t.Errorf("remove what is enabled: %v", err)
	}
	if err := s.Remove("x", ""); !errors.Is(err, ErrInUse) {
		t.Errorf("remove all: %v", err)
	}
	want(t, s, "x 1.10.0-rc.1 installed, x 1.1.0 installed, x 1.0.0 enabled, y 0.1.0 disabled")
	if err := errors.Join(s.Remove("x", "1.1.0"), s.Remove("y", "")); err != nil {
		t.Error(err)
	}
	want(t, s, "x 1.10.0-rc.1 installed, x 1.0.0 enabled")
	if _, err := os.Stat(filepath.Join(s.dir, "y")); err == nil {
		t.Error("an empty folder stays")
	}
	for _, err := range []error{s.Remove("y", ""), s.Remove("x", "1.1.0")} {
		if !errors.Is(err, ErrNotInstalled) {
			t.Errorf("remove what is not there: %v", err)
		}
	}
	if _, err := s.Enable(Ref{"x", "^2"}); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("enable what is not there: %v", err)
	}
	install(t, s, module("b", "1.0.0+2"), module("b", "1.0.0+1"))
	enable(t, s, "b@1.0.0+1")
	if e, _, err := s.Load("b"); err != nil || e.Version != "1.0.0+1" {
		t.Errorf("another build: %+v, %v", e, err)
	}
	if err := errors.Join(s.Disable("b"), s.Remove("b", "")); err != nil {
		t.Error(err)
	}
	// Another process sees the same.
	want(t, open(s.dir), "x 1.10.0-rc.1 installed, x 1.0.0 enabled")
}

func TestInstallNeverChangesAVersion(t *testing.T) {
	s := open(t.TempDir())
	install(t, s, module("x", "1.0.0"), module("x", "1.0.0"))
	other := wasm.AppendCustom(module("x", "1.0.0"), "more", nil)
	if _, err := s.Install(other); !errors.Is(err, ErrOtherBytes) {
		t.Errorf("other bytes: %v", err)
	}
	if err := os.Remove(s.path("x", "1.0.0")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Install(other); !errors.Is(err, ErrOtherBytes) {
		t.Errorf("other bytes, the file gone: %v", err)
	}
	install(t, s, module("x", "1.0.0"))
	want(t, s, "x 1.0.0 installed")
	for name, m := range map[string][]byte{"no module": []byte("x"), "no manifest": []byte("\x00asm\x01\x00\x00\x00"), "too large": make([]byte, manifest.MostModuleBytes+1)} {
		if _, err := s.Install(m); err == nil {
			t.Errorf("%s is installed", name)
		}
	}
	want(t, s, "x 1.0.0 installed")
}

// TestFilesBehindItsBack: what is done to the folder is told, and never used in silence.
func TestFilesBehindItsBack(t *testing.T) {
	s := open(t.TempDir())
	install(t, s, module("x", "1.0.0"), module("x", "2.0.0"), module("y", "1.0.0"), module("z", "1.0.0"))
	enable(t, s, "x@1.0.0", "y")
	enable(t, s, "x@2.0.0")
	put := func(path string, text []byte) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Remove(s.path("x", "2.0.0")), os.Remove(s.path("x", "1.0.0"))); err != nil {
		t.Fatal(err)
	}
	put(s.path("y", "1.0.0"), wasm.AppendCustom(module("y", "1.0.0"), "evil", nil))
	put(s.path("z", "1.1.0"), module("z", "1.1.0"))
	put(s.path("z", "1.2.0"), module("z", "1.1.0"))
	put(s.path("z", "1.3.0"), []byte("not a module"))
	put(filepath.Join(s.dir, "z", "notes.txt"), nil)
	put(filepath.Join(s.dir, "README"), nil)
	want(t, s, "x 2.0.0 enabled gone, x 1.0.0 installed gone, y 1.0.0 enabled altered, z 1.3.0 found unreadable, z 1.2.0 found unreadable, z 1.1.0 found, z 1.0.0 installed")
	if _, _, err := s.Load("x"); !errors.Is(err, ErrGone) {
		t.Errorf("load what is gone: %v", err)
	}
	if _, _, err := s.Load("y"); !errors.Is(err, ErrAltered) {
		t.Errorf("load what was altered: %v", err)
	}
	if _, _, skipped, err := s.Rollback("x"); !errors.Is(err, ErrNoHistory) || !strings.Contains(err.Error(), "x 1.0.0: its file is gone") || len(skipped) != 1 {
		t.Errorf("back to what is gone: %v, %v", skipped, err)
	}
	if _, err := s.Enable(Ref{"x", "1.0.0"}); !errors.Is(err, ErrGone) {
		t.Errorf("enable what is gone: %v", err)
	}
	if _, err := s.Install(module("y", "1.0.0")); !errors.Is(err, ErrAltered) {
		t.Errorf("install over what was altered: %v", err)
	}
	if _, err := s.Install(wasm.AppendCustom(module("z", "1.1.0"), "x", nil)); !errors.Is(err, ErrOtherBytes) {
		t.Errorf("install over what was found: %v", err)
	}
	// Each way out that the errors name.
	enable(t, s, "z@1.1.0") // taken into the set
	install(t, s, module("x", "2.0.0"))
	if err := errors.Join(s.Remove("x", "1.0.0"), s.Disable("y"), s.Remove("y", ""), s.Remove("z", "1.2.0"), s.Remove("z", "1.3.0")); err != nil {
		t.Error(err)
	}
	install(t, s, module("y", "1.0.0"))
	want(t, s, "x 2.0.0 enabled, y 1.0.0 installed, z 1.1.0 enabled, z 1.0.0 installed")
}

func TestNeeds(t *testing.T) {
	s := open(t.TempDir())
	install(t, s, module("a", "1.0.0", "c ^1"), module("a", "2.0.0", "c ^2"), module("c", "1.0.0"), module("c", "2.0.0"), module("d", "1.0.0", "e *"), module("e", "1.0.0", "d *"))
	refused := func(what string, err error, why string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, want %q", what, err, why)
		}
	}
	_, err := s.Enable(parse(t, "a@1.0.0")...)
	refused("enable without what it needs", err, "a 1.0.0 needs c ^1, which is not there")
	enable(t, s, "a@1.0.0", "c@1.0.0")
	refused("disable what is needed", s.Disable("c"), "a 1.0.0 needs c ^1, which is not there")
	_, err = s.Enable(parse(t, "c@2.0.0")...)
	refused("change what is needed", err, "a 1.0.0 needs c ^1, not 2.0.0")
	enable(t, s, "c@2.0.0", "a@2.0.0") // both at once
	_, _, _, err = s.Rollback("c")
	refused("back from what is needed", err, "a 2.0.0 needs c ^2, not 1.0.0")
	_, err = s.Enable(parse(t, "d", "e")...)
	refused("a circle", err, "a circle: d 1.0.0 needs e 1.0.0 needs d 1.0.0")
	inUse, err := s.InUse()
	if err != nil || len(inUse) != 2 || inUse[0].Name != "c" || inUse[1].Name != "a" {
		t.Errorf("load order: %+v, %v", inUse, err)
	}
	// What is wrong already does not stand in the way of something else.
	if err := os.Remove(s.path("c", "2.0.0")); err != nil {
		t.Fatal(err)
	}
	install(t, s, module("f", "1.0.0"))
	enable(t, s, "f")
	if err := s.Disable("a", "c"); err != nil {
		t.Error(err)
	}
}

func TestPolicy(t *testing.T) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	install(t, open(dir), module("old", "1.0.0"))
	enable(t, open(dir), "old")
	policy := sign.Policy{Keys: []sign.Key{{Name: "us", Public: sign.Word(sign.Public(key))}}}
	if err := policy.Validate(); err != nil {
		t.Fatal(err)
	}
	s := Open(dir, Options{Policy: policy})
	refused := func(what string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), "the policy refuses") {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err = s.Install(module("x", "1.0.0"))
	refused("install", err)
	_, _, err = s.Load("old")
	refused("load", err)
	_, err = s.Enable(Ref{Name: "old"})
	refused("enable", err)
	signed, err := sign.Sign(module("x", "1.0.0"), key)
	if err != nil {
		t.Fatal(err)
	}
	install(t, s, signed)
	enable(t, s, "x")
	if _, m, err := s.Load("x"); err != nil || !bytes.Equal(m, signed) {
		t.Error(err)
	}
}

// TestStateFile: a state that cannot be understood is an error, and stays as it is.
func TestStateFile(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{`{"format": 2}`, "format 2 is newer"},
		{`{}`, "format 0"},
		{``, "unexpected end"},
		{`{"format": 1, "plugins": {"../x": {}}}`, `"../x" is no plugin`},
		{`{"format": 1, "plugins": {"x": null}}`, `"x" is no plugin`},
		{`{"format": 1, "plugins": {"x": {"version": "1.0.0"}}}`, "never installed"},
		{`{"format": 1, "plugins": {"x": {"sha256": {"1.0.0": "abc"}}}}`, "digest"},
		{`{"format": 1, "plugins": {"x": {"sha256": {"../../1.0.0": "` + strings.Repeat("ab", 32) + `"}}}}`, "version"},
		{`{"format": 1, "plugins": {"x": {"history": ["../1.0.0"]}}}`, "history"},
	} {
		s := open(t.TempDir())
		path := filepath.Join(s.dir, stateName)
		if err := os.WriteFile(path, []byte(tc.text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := s.Install(module("x", "1.0.0"))
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "left as it is") {
			t.Errorf("%s: %v, want %q", tc.text, err, tc.want)
		}
		if _, err := s.List(); err == nil {
			t.Errorf("%s: is listed", tc.text)
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != tc.text {
			t.Errorf("%s: is %s then, %v", tc.text, after, err)
		}
	}
	s := open(t.TempDir())
	for _, name := range []string{"../x", "", "X", "a/b"} {
		if _, err := s.Get(name, ""); err == nil || !strings.Contains(err.Error(), "no plugin's name") {
			t.Errorf("get %q: %v", name, err)
		}
		if err := s.Remove(name, ""); err == nil || !strings.Contains(err.Error(), "no plugin's name") {
			t.Errorf("remove %q: %v", name, err)
		}
		if _, err := ParseRef(name + "@1.0.0"); err == nil {
			t.Errorf("%q is a reference", name)
		}
	}
	if _, err := ParseRef("x@"); err == nil {
		t.Error("x@ is a reference")
	}
}

// FuzzState: what is read is written and read again as the same, and its names stay within the folder.
func FuzzState(f *testing.F) {
	f.Add([]byte(`{"format": 1}`))
	f.Add([]byte(`{"format": 1, "plugins": {"x": {"version": "1.0.0", "disabled": true, "history": ["0.9.0"], "sha256": {"1.0.0": "` + strings.Repeat("ab", 32) + `"}}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		st, err := parseState(text)
		if err != nil {
			return
		}
		s := &Store{dir: t.TempDir()}
		for name, p := range st.Plugins {
			for v := range p.SHA256 {
				if path := s.path(name, v); filepath.Dir(filepath.Dir(path)) != s.dir {
					t.Fatalf("%q %q is %s", name, v, path)
				}
			}
		}
		if err := s.write(st); err != nil {
			t.Fatal(err)
		}
		if again, err := s.read(); err != nil || fmt.Sprint(len(again.Plugins)) != fmt.Sprint(len(st.Plugins)) {
			t.Fatalf("%+v, %v", again, err)
		}
	})
}

// TestWatch: each thing that can happen to what is in use is told once.
func TestWatch(t *testing.T) {
	s := open(t.TempDir())
	install(t, s, module("x", "1.0.0"), module("x", "2.0.0"), module("y", "1.0.0"))
	enable(t, s, "x@1.0.0")
	told := make(chan string, 100)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		s.Watch(ctx, time.Millisecond, func(changes []Change, err error) {
			if err != nil {
				told <- "state.json"
			}
			for _, c := range changes {
				told <- fmt.Sprintf("%s %s > %s %v", c.Name, c.Was, c.Is, c.Err)
			}
		})
	})
	defer running.Wait()
	defer cancel()
	expect := func(want ...string) {
		t.Helper()
		for _, w := range want {
			select {
			case got := <-told:
				if got != w {
					t.Fatalf("told %q, want %q", got, w)
				}
			case <-time.After(30 * time.Second):
				t.Fatalf("not told %q", w)
			}
		}
	}
	expect("x  > 1.0.0 <nil>")
	enable(t, s, "x@2.0.0", "y")
	expect("x 1.0.0 > 2.0.0 <nil>", "y  > 1.0.0 <nil>")
	if err := os.Remove(s.path("x", "2.0.0")); err != nil {
		t.Fatal(err)
	}
	expect("x 2.0.0 > 2.0.0 " + ErrGone.Error())
	install(t, s, module("x", "2.0.0"))
	expect("x 2.0.0 > 2.0.0 <nil>")
	beside := filepath.Join(s.dir, "beside") // a new file, so that time stamps of coarse file systems do not hide the change
	if err := errors.Join(os.WriteFile(beside, module("y", "9.0.0"), 0o644), os.Rename(beside, s.path("y", "1.0.0"))); err != nil {
		t.Fatal(err)
	}
	expect("y 1.0.0 > 1.0.0 " + ErrAltered.Error())
	if err := s.Disable("y"); err != nil {
		t.Fatal(err)
	}
	expect("y 1.0.0 >  <nil>")
	state := filepath.Join(s.dir, stateName)
	text, err := os.ReadFile(state)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(beside, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(beside, state); err != nil {
		t.Fatal(err)
	}
	expect("state.json")
	if err := errors.Join(os.WriteFile(beside, text, 0o644), os.Rename(beside, state)); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := s.Rollback("x"); err != nil {
		t.Fatal(err)
	}
	expect("x 2.0.0 > 1.0.0 <nil>")
}

func TestMain(m *testing.M) {
	if job := os.Getenv("STORE_TEST_JOB"); job != "" {
		child(job, os.Getenv("STORE_TEST_DIR"))
		return
	}
	os.Exit(m.Run())
}

// child is what the test's binary does as another process. install-at:STEP installs x 1.1.0 and enables it, and waits at a step for its end; many:N
// installs and enables plugins of its own; hold keeps the lock.
func child(job, dir string) {
	s := Open(dir, Options{Wait: time.Minute})
	check := func(err error) {
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	kind, arg, _ := strings.Cut(job, ":")
	wait := func() {
		fmt.Println("here")
		_, _ = io.Copy(io.Discard, os.Stdin) // until it is killed, or the test is gone
		os.Exit(3)
	}
	switch kind {
	case "install-at":
		step, times, _ := strings.Cut(arg, "#")
		atStep = func(at string) {
			if at != step {
				return
			}
			if times == "" {
				wait()
			}
			times = times[1:]
		}
		_, err := s.Install(module("x", "1.1.0"))
		check(err)
		_, err = s.Enable(Ref{"x", "1.1.0"})
		check(err)
	case "many":
		for i := range 5 {
			name := fmt.Sprintf("p%s-%d", arg, i)
			_, err := s.Install(module(name, "1.0.0"))
			check(err)
			_, err = s.Install(module("shared", fmt.Sprintf("1.%d.0", i)))
			check(err)
			_, err = s.Enable(Ref{name, ""}, Ref{"shared", fmt.Sprintf("1.%d.0", i)})
			check(err)
			for range 2 { // all install and remove one and the same: whoever is last, file and state agree
				_, err = s.Install(module("flux", "1.0.0"))
				check(err)
				if err = s.Remove("flux", ""); !errors.Is(err, ErrNotInstalled) {
					check(err)
				}
			}
			_, err = s.Install(module("flux", "1.0.0"))
			check(err)
		}
	case "hold":
		_, err := s.lock()
		check(err)
		wait()
	}
}

func start(t *testing.T, dir, job string) (cmd *exec.Cmd, out *bufio.Reader) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "STORE_TEST_JOB="+job, "STORE_TEST_DIR="+dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdin.Close() })
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewReader(stdout)
}

// TestKilledInTheMiddle: a process is killed (SIGKILL) at each step of an install and of the enabling behind it. Then the set is whole, what was in use is
// in use, what is not there is not there, and the same install goes through.
func TestKilledInTheMiddle(t *testing.T) {
	for _, tc := range []struct{ step, set string }{
		{"module written", "x 1.0.0 enabled"},
		{"module named", "x 1.1.0 found, x 1.0.0 enabled"},
		{"state written", "x 1.1.0 found, x 1.0.0 enabled"},
		{"state named", "x 1.1.0 installed, x 1.0.0 enabled"},
		{"state written#1", "x 1.1.0 installed, x 1.0.0 enabled"},
		{"state named#1", "x 1.1.0 enabled, x 1.0.0 installed"},
	} {
		t.Run(tc.step, func(t *testing.T) {
			s := open(t.TempDir())
			install(t, s, module("x", "1.0.0"))
			enable(t, s, "x")
			cmd, out := start(t, s.dir, "install-at:"+tc.step)
			if line, err := out.ReadString('\n'); line != "here\n" {
				t.Fatalf("%q, %v", line, err)
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			want(t, s, tc.set)
			if _, _, err := s.Load("x"); err != nil {
				t.Errorf("what was in use does not load: %v", err)
			}
			install(t, s, module("x", "1.1.0"))
			enable(t, s, "x@1.1.0")
			want(t, s, "x 1.1.0 enabled, x 1.0.0 installed")
			for _, pattern := range []string{"*/.*.tmp", ".*.tmp"} {
				if left, _ := filepath.Glob(filepath.Join(s.dir, pattern)); len(left) > 0 {
					t.Errorf("left: %v", left)
				}
			}
		})
	}
}

// TestProcessesTogether: four processes change one set at once, and nothing of any of them is lost.
func TestProcessesTogether(t *testing.T) {
	s := open(t.TempDir())
	var all []*exec.Cmd
	for i := range 4 {
		cmd, out := start(t, s.dir, fmt.Sprint("many:", i))
		go func() { _, _ = io.Copy(os.Stderr, out) }()
		all = append(all, cmd)
	}
	for _, cmd := range all {
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Err != nil || e.State == Found {
			t.Errorf("%s %s is %s: %v", e.Name, e.Version, e.State, e.Err)
		}
	}
	enabled := slices.DeleteFunc(entries, func(e Entry) bool { return e.State != Enabled || e.Err != nil })
	if len(enabled) != 4*5+1 {
		t.Errorf("%d plugins are enabled, want 21: %s", len(enabled), list(t, s))
	}
}

func TestLockIsWaitedForAndFreedByDeath(t *testing.T) {
	s := Open(t.TempDir(), Options{Wait: 50 * time.Millisecond})
	cmd, out := start(t, s.dir, "hold")
	if line, err := out.ReadString('\n'); line != "here\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if _, err := s.Install(module("x", "1.0.0")); !errors.Is(err, ErrLocked) {
		t.Errorf("while another holds the lock: %v", err)
	}
	want(t, s, "") // who reads does not wait
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	install(t, s, module("x", "1.0.0"))
}

// FuzzParseRef: what is a reference names a plugin and a range that can be read.
func FuzzParseRef(f *testing.F) {
	for _, s := range []string{"x", "x@1.0.0", "x@^1", "x@>=1 <2", "x@", "../x", "x@../1.0.0"} {
		f.Add(s)
	}
	s := open(f.TempDir())
	f.Fuzz(func(t *testing.T, text string) {
		ref, err := ParseRef(text)
		if err != nil {
			return
		}
		if _, err := s.Get(ref.Name, ref.Range); !errors.Is(err, ErrNotInstalled) {
			t.Errorf("%+v: %v", ref, err)
		}
	})
}
