// Package build makes plugins from source: it finds out the language, calls its compiler with the flags that suit a plugin, and puts the manifest into the module.
//
//	plugin.json + plugin.c | plugin.cpp | plugin.rs | main.go | plugin.ts  ──compiler──► module ──+ section tickwire.plugin.v1──► <name>.wasm
//
// Compilers are those of the machine. A missing one is a *MissingError, which says what to install.
package build

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/plugins/wasm"
)

// ManifestFile is the manifest of a plugin in source.
const ManifestFile = "plugin.json"

// MissingError says that a compiler, or a part of it, is not on this machine.
type MissingError struct {
	Language string
	What     string // "clang", "wasm-ld", …
	Install  string // what to do about it
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("build: %s needs %s, which is not on this machine: %s", e.Language, e.What, e.Install)
}

// Missing tells it from other errors.
func (e *MissingError) Missing() bool { return true }

// Build compiles the plugin in dir and writes it beside its source as <name>.wasm, whole or not at all. Errors of the compiler are told as it told them, with
// files named as they are in dir.
func Build(dir string) (path string, err error) { return BuildTo(dir, dir) }

// BuildTo is Build, with the module written to another folder.
func BuildTo(dir, to string) (path string, err error) { return build(dir, to, false) }

// BuildNamed is BuildTo of a module that keeps the names of its functions, for people who look into it: stacks and profiles. The code is the same.
func BuildNamed(dir, to string) (path string, err error) { return build(dir, to, true) }

func build(dir, to string, named bool) (path string, err error) {
	text, err := os.ReadFile(filepath.Join(dir, ManifestFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("build: %s has no %s: `tickwire plugin new` makes one", dir, ManifestFile)
	case err != nil:
		return "", fmt.Errorf("build: %w", err)
	}
	m, err := manifest.Parse(text)
	if err != nil {
		return "", fmt.Errorf("build: %s: %w", filepath.Join(dir, ManifestFile), err)
	}
	lang, sources, err := detect(dir)
	if err != nil {
		return "", err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("build: %w", err)
	}
	temp, err := os.MkdirTemp("", "tickwire-build-")
	if err != nil {
		return "", fmt.Errorf("build: %w", err)
	}
	defer os.RemoveAll(temp)
	out := filepath.Join(temp, "plugin.wasm")
	if err := lang.compile(job{dir: abs, temp: temp, sources: sources, out: out, named: named, manifest: m}); err != nil {
		return "", err
	}
	module, err := os.ReadFile(out)
	if err != nil {
		return "", fmt.Errorf("build: %w", err)
	}
	if module, err = withManifest(module, text); err != nil {
		return "", fmt.Errorf("build: %s: what the compiler made: %w", dir, err)
	}
	path = filepath.Join(to, m.Name+".wasm")
	if err := writeFile(path, module); err != nil {
		return "", fmt.Errorf("build: %w", err)
	}
	return path, nil
}

// withManifest gives a module its manifest, in place of one that it has.
func withManifest(module, text []byte) ([]byte, error) {
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return nil, err
	}
	module, err := wasm.WithoutCustom(module, manifest.SectionName)
	if err != nil {
		return nil, err
	}
	return wasm.AppendCustom(module, manifest.SectionName, compact.Bytes()), nil
}

// writeFile replaces a file: a reader finds the old one or the new one.
func writeFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// detect finds the one language that dir has sources of.
func detect(dir string) (*language, []string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("build: %w", err)
	}
	var found *language
	var sources []string
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".d.ts") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		for i := range languages {
			l := &languages[i]
			if !slices.Contains(l.extensions, filepath.Ext(name)) || slices.Contains(l.sdk, name) {
				continue
			}
			if found != nil && found != l {
				return nil, nil, fmt.Errorf("build: %s has sources in %s and in %s: want one language", dir, found.name, l.name)
			}
			found, sources = l, append(sources, name)
		}
	}
	if found == nil {
		return nil, nil, fmt.Errorf("build: %s has no source: want one of .c, .cpp, .cc, .rs, .go, .ts, .js, .py", dir)
	}
	if found.main != nil {
		for _, name := range found.main {
			if slices.Contains(sources, name) {
				return found, []string{name}, nil
			}
		}
		if len(sources) > 1 {
			return nil, nil, fmt.Errorf("build: %s has several sources, and none of them is %s, where the compiler would begin", dir, strings.Join(found.main, " or "))
		}
	}
	return found, sources, nil
}
