package process

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestClearDead: folders of the dead go, those of the living and those that are named otherwise stay.
func TestClearDead(t *testing.T) {
	parent := t.TempDir()
	for name, stays := range map[string]bool{
		"x-999999999":                        false,
		"x-999999999-123":                    false,
		fmt.Sprintf("x-%d", os.Getpid()):     true,
		fmt.Sprintf("x-%d-77", os.Getppid()): true,
		"x-abc":                              true,
		"x--5":                               true, // a group of processes, were it taken for a number
		"x-0":                                true,
		"y-999999999":                        true,
	} {
		dir := filepath.Join(parent, name)
		if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o700); err != nil {
			t.Fatal(err)
		}
		ClearDead(parent, "x-")
		if _, err := os.Stat(dir); (err == nil) != stays {
			t.Errorf("%s: stays %v, want %v", name, err == nil, stays)
		}
	}
}
