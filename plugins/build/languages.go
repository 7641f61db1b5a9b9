package build

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/plugins/sdk"
)

type language struct {
	name       string // as New knows it, and the folder of the SDK
	extensions []string
	sdk        []string // files of the SDK that stand beside the sources
	main       []string // where a compiler begins that finds the other sources itself; nil: it is given all
	compile    func(job) error
}

var languages = []language{
	{name: "c", extensions: []string{".c"}, sdk: []string{"tickwire.h"}, compile: compileC},
	{name: "cpp", extensions: []string{".cpp", ".cc", ".cxx"}, sdk: []string{"tickwire.h", "tickwire.hpp"}, compile: compileCPP},
	{name: "rust", extensions: []string{".rs"}, sdk: []string{"tickwire.rs"}, main: []string{"plugin.rs", "lib.rs"}, compile: compileRust},
	{name: "go", extensions: []string{".go"}, compile: compileGo},
	{name: "javascript", extensions: []string{".js"}, main: []string{"plugin.js", "index.js"}, compile: compileJavaScript},
	{name: "python", extensions: []string{".py"}, main: []string{"plugin.py", "main.py"}, compile: compilePython},
	{name: "assemblyscript", extensions: []string{".ts"}, sdk: []string{"tickwire.ts"}, main: []string{"plugin.ts", "index.ts"}, compile: compileAssemblyScript},
}

// Languages that plugins are built from, as New takes them.
func Languages() []string {
	names := make([]string, len(languages))
	for i, l := range languages {
		names[i] = l.name
	}
	return names
}

// job is one compilation: sources within dir, which is where the compiler runs so that it names them as the user does.
type job struct {
	dir, temp, out string
	sources        []string
	named          bool // names of functions stay in the module
	manifest       *manifest.Manifest
}

// strip is one of two flags: with names, and without.
func (j job) strip(named, bare string) string {
	if j.named {
		return named
	}
	return bare
}

// run calls a compiler. What it says is the error.
func (j job) run(env []string, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = j.dir, append(os.Environ(), env...)
	said, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("build: %s: %w\n%s", filepath.Base(name), err, bytes.TrimSpace(said[:min(len(said), 16<<10)]))
	}
	return nil
}

// Of a plugin in C or C++. 16 KiB of stack are enough for what allocates nothing there, and below it there is no memory: an overflow traps.
var (
	clangFlags = []string{"--target=wasm32", "-O3", "-Wall", "-Wextra", "-Wno-unused-parameter", "-mbulk-memory"}
	linkFlags  = []string{"--target=wasm32", "-nostdlib", "-Wl,--no-entry", "-Wl,--stack-first", "-Wl,-z,stack-size=16384"}
	cppFlags   = []string{"-std=c++20", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics", "-Werror=global-constructors"}
)

func compileC(j job) error { return j.clang("C", "clang", []string{"-std=c11"}) }

func compileCPP(j job) error { return j.clang("C++", "clang++", cppFlags) }

func (j job) clang(lang, tool string, flags []string) error {
	clang, err := find(tool, 14, 22)
	if err != nil {
		return &MissingError{lang, tool, "apt install clang lld"}
	}
	// The driver looks for its linker beside itself and in PATH, and answers with the bare name if it is in neither.
	linker, err := exec.Command(clang, "--target=wasm32", "-print-prog-name=wasm-ld").Output()
	if path := strings.TrimSpace(string(linker)); err != nil || !filepath.IsAbs(path) {
		return &MissingError{lang, "wasm-ld", "apt install lld"}
	}
	headers := filepath.Join(j.temp, "sdk")
	if err := extract(headers, "c/tickwire.h", "cpp/tickwire.hpp"); err != nil {
		return err
	}
	// Linked apart, without -O: with it the driver runs a wasm-opt that it finds in PATH, of whatever version, over what was linked.
	link := append(slices.Clone(linkFlags), j.strip("-Wl,--strip-debug", "-Wl,--strip-all"), "-o", j.out)
	for i, source := range j.sources {
		object := filepath.Join(j.temp, fmt.Sprintf("%d.o", i))
		args := append(slices.Clone(clangFlags), flags...)
		if err := j.run(nil, clang, append(args, "-I.", "-I"+headers, "-c", "-o", object, source)...); err != nil {
			return err
		}
		link = append(link, object)
	}
	return j.run(nil, clang, link...)
}

// PinnedClang is the version that committed modules are built by.
const PinnedClang = "14"

// Clang is the major version of the clang that plugins in C are built by.
func Clang() (string, error) {
	clang, err := find("clang", 14, 22)
	if err != nil {
		return "", &MissingError{"C", "clang", "apt install clang lld"}
	}
	version, err := exec.Command(clang, "-dumpversion").Output()
	major, _, _ := strings.Cut(strings.TrimSpace(string(version)), ".")
	return major, err
}

// find looks for a tool in PATH, by its own name, then with a version behind it.
func find(tool string, from, to int) (string, error) {
	if path, err := exec.LookPath(tool); err == nil {
		return path, nil
	}
	for v := to; v >= from; v-- {
		if path, err := exec.LookPath(fmt.Sprintf("%s-%d", tool, v)); err == nil {
			return path, nil
		}
	}
	return "", exec.ErrNotFound
}

// extract writes files of the SDKs into a folder.
func extract(to string, names ...string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return fmt.Errorf("build: %w", err)
	}
	for _, name := range names {
		b, err := sdk.Files.ReadFile(name)
		if err != nil {
			return fmt.Errorf("build: %w", err)
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(name)), b, 0o644); err != nil {
			return fmt.Errorf("build: %w", err)
		}
	}
	return nil
}

const rustTarget = "wasm32-unknown-unknown"

func compileRust(j job) error {
	rustc, err := findRust()
	if err != nil {
		return err
	}
	return j.run(nil, rustc, "--edition", "2021", "--target", rustTarget, "--crate-type", "cdylib", "--crate-name", "plugin",
		"-C", "opt-level=3", "-C", "lto", "-C", "panic=abort", "-C", j.strip("strip=debuginfo", "strip=symbols"), "-C", "target-feature=+bulk-memory",
		"-C", "link-arg=-zstack-size=16384", "-C", "link-arg=--stack-first", "-o", j.out, j.sources[0])
}

// findRust finds a compiler that has the library of the target: the one in PATH may be another than the system's that has it.
func findRust() (string, error) {
	found := false
	for _, name := range []string{"rustc", "/usr/bin/rustc"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		found = true
		lib, err := exec.Command(path, "--print", "target-libdir", "--target", rustTarget).Output()
		if err != nil {
			continue
		}
		if core, _ := filepath.Glob(filepath.Join(strings.TrimSpace(string(lib)), "libcore-*.rlib")); len(core) > 0 {
			return path, nil
		}
	}
	if !found {
		return "", &MissingError{"Rust", "rustc", "apt install rustc libstd-rust-dev-wasm32"}
	}
	return "", &MissingError{"Rust", "the library of " + rustTarget, "apt install libstd-rust-dev-wasm32, or rustup target add " + rustTarget}
}

func compileGo(j job) error {
	path, err := exec.LookPath("go")
	if err != nil {
		return &MissingError{"Go", "go", "install Go 1.24 or later"}
	}
	return j.run([]string{"GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0"}, path,
		"build", "-trimpath", "-buildvcs=false", "-buildmode=c-shared", j.strip("-ldflags=-w", "-ldflags=-s -w"), "-o", j.out, ".")
}

// AssemblyScriptVersion is the compiler that the SDK is tested with.
const AssemblyScriptVersion = "0.28.20"

func compileAssemblyScript(j job) error {
	asc, err := findAsc(j.dir)
	if err != nil {
		return err
	}
	out, err := filepath.Rel(j.dir, j.out) // asc takes a path from its root for one below its folder
	if err != nil {
		return fmt.Errorf("build: %w", err)
	}
	args := []string{j.sources[0], "-O3", "--noAssert", "--runtime", "stub", "--use", "abort=", "--outFile", out}
	if j.named {
		args = append(args, "--debug")
	}
	return j.run(nil, asc, args...)
}

// findAsc looks where npm puts it, in dir and the folders that dir is in, then in PATH.
func findAsc(dir string) (string, error) {
	if _, err := exec.LookPath("node"); err != nil {
		return "", &MissingError{"AssemblyScript", "node", "apt install nodejs npm"}
	}
	at, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("build: %w", err)
	}
	for {
		asc := filepath.Join(at, "node_modules", ".bin", "asc")
		if _, err := os.Stat(asc); err == nil {
			return asc, nil
		}
		if at == filepath.Dir(at) {
			break
		}
		at = filepath.Dir(at)
	}
	asc, err := exec.LookPath("asc")
	if errors.Is(err, exec.ErrNotFound) {
		return "", &MissingError{"AssemblyScript", "asc", "npm install assemblyscript@" + AssemblyScriptVersion + " in " + dir}
	}
	return asc, err
}
