package glimpse

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadPassword(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	for text, want := range map[string]string{"": "", "hunter2": "hunter2", "hunter2\n": "hunter2", "hunter2\r\nmore\n": "hunter2", " a b \n": " a b "} {
		must(t, os.WriteFile(path, []byte(text), 0o600))
		if got, err := ReadPassword(path); err != nil || got != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	must(t, os.WriteFile(path, []byte(strings.Repeat("x", 100_000)), 0o600))
	if _, err := ReadPassword(path); err == nil || strings.Contains(err.Error(), "xx") {
		t.Error(err)
	}
	if _, err := ReadPassword(path + ".none"); !os.IsNotExist(err) && err == nil {
		t.Error(err)
	}
}
