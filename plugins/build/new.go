package build

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

	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/plugins/sdk"
)

// templateName is the plugin's name in templates.
const templateName = "my-plugin"

// Kinds that there is a template of in a language, nil for one that is not known.
func Kinds(lang string) []manifest.Kind {
	var kinds []manifest.Kind
	for _, k := range manifest.Kinds {
		if _, err := fs.Stat(sdk.Files, path.Join(lang, "template", string(k))); err == nil {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// New writes a plugin to begin from into dir: source, manifest and the files of the SDK. dir is made; if it is there it must be empty. The plugin has its name.
func New(dir, lang string, kind manifest.Kind) error {
	if !slices.Contains(Languages(), lang) {
		return fmt.Errorf("build: language %q is none of %s", lang, strings.Join(Languages(), ", "))
	}
	if kinds := Kinds(lang); !slices.Contains(kinds, kind) {
		return fmt.Errorf("build: there is no template of a %s in %s, only of %v", kind, lang, kinds)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("build: %w", err)
	}
	name, err := nameOf(filepath.Base(abs))
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("build: %w", err)
	case len(entries) > 0:
		return fmt.Errorf("build: %s is not empty, so nothing was written", dir)
	}
	files, err := filesOf(lang, kind)
	if err != nil {
		return fmt.Errorf("build: %w", err)
	}
	for to, text := range files {
		to = filepath.Join(dir, to)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return fmt.Errorf("build: %w", err)
		}
		if err := os.WriteFile(to, []byte(strings.ReplaceAll(text, templateName, name)), 0o644); err != nil {
			return fmt.Errorf("build: %w", err)
		}
	}
	return nil
}

var noName = regexp.MustCompile(`[^a-z0-9]+`)

// nameOf makes a plugin's name of a folder's.
func nameOf(folder string) (string, error) {
	name := strings.Trim(noName.ReplaceAllString(strings.ToLower(folder), "-"), "-")
	name = strings.TrimRight(name[:min(len(name), 63)], "-")
	if name == "" {
		return "", fmt.Errorf("build: folder %q has no letter or digit to name a plugin after", folder)
	}
	return name, nil
}

// What a plugin in Go is beside its template: a module, and the SDK as a module within it, so that nothing has to be fetched.
const (
	goSDK     = "github.com/tickwire/tickwire/plugins/sdk/go"
	goVersion = "1.24"
	goModule  = "module " + templateName + "\n\ngo " + goVersion + "\n\nrequire " + goSDK + " v0.0.0\n\nreplace " + goSDK + " => ./tickwire\n"
	goVendor  = "module " + goSDK + "\n\ngo " + goVersion + "\n"
)

// npmModule is what npm reads to get a package.
func npmModule(name, version string) string {
	return "{\n  \"private\": true,\n  \"devDependencies\": {\n    \"" + name + "\": \"" + version + "\"\n  }\n}\n"
}

// filesOf gives the files of a new plugin by their paths.
func filesOf(lang string, kind manifest.Kind) (map[string]string, error) {
	files := map[string]string{}
	take := func(to, from string) error {
		b, err := sdk.Files.ReadFile(from)
		files[to] = string(b)
		return err
	}
	folder := path.Join(lang, "template", string(kind))
	entries, err := fs.ReadDir(sdk.Files, folder)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if err := take(e.Name(), path.Join(folder, e.Name())); err != nil {
			return nil, err
		}
	}
	switch lang {
	case "c":
		return files, take("tickwire.h", "c/tickwire.h")
	case "cpp":
		return files, errors.Join(take("tickwire.h", "c/tickwire.h"), take("tickwire.hpp", "cpp/tickwire.hpp"))
	case "rust":
		return files, take("tickwire.rs", "rust/tickwire.rs")
	case "assemblyscript":
		files["package.json"] = npmModule("assemblyscript", AssemblyScriptVersion)
		return files, take("tickwire.ts", "assemblyscript/tickwire.ts")
	case "javascript":
		files["package.json"] = npmModule(quickJSPackage, QuickJSVersion)
		return files, take("tickwire.d.ts", "javascript/tickwire.d.ts")
	case "python":
		files["package.json"] = npmModule(pythonPackage, PythonVersion)
		return files, nil
	case "go":
		files["go.mod"], files["tickwire/go.mod"] = goModule, goVendor
		sources, err := fs.Glob(sdk.Files, "go/*.go")
		for _, s := range sources {
			err = errors.Join(err, take(path.Join("tickwire", path.Base(s)), s))
		}
		return files, err
	}
	return files, nil
}
