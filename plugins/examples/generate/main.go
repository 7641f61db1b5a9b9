// Generate builds the modules of the examples. It runs in plugins/examples, by `go generate`.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/tickwire/tickwire/plugins/build"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	// Another clang would make other bytes, and every module would seem to have changed.
	if v, err := build.Clang(); err != nil || v != build.PinnedClang {
		return fmt.Errorf("examples: committed modules are built by clang %s, here is %q (%v); nothing was built", build.PinnedClang, v, err)
	}
	manifests, err := filepath.Glob(filepath.Join("*", build.ManifestFile))
	if err != nil {
		return err
	}
	for _, m := range manifests {
		if _, err := build.Build(filepath.Dir(m)); err != nil {
			return err
		}
	}
	return nil
}
