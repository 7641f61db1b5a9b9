package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a policy gives plugins by the environment is not shown.
func TestConfigShowHides(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tickwire.toml")
	if err := os.WriteFile(path, []byte("[[plugins.grant]]\nplugin = \"mapper\"\nenv = [\"TOKEN=abc123\", \"HOME\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := command(t, "config", "show", path)
	if code != exitOK || strings.Contains(out, "abc123") || !strings.Contains(out, "TOKEN=(hidden)") || !strings.Contains(out, "HOME") {
		t.Errorf("%d\n%s%s", code, out, errs)
	}
}
