package tuning

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestIDsOfOthers: what the rest of the tree sends people to is in the catalogue.
func TestIDsOfOthers(t *testing.T) {
	id := regexp.MustCompile(`warn\("([a-z0-9_.]+)"|ticktune (?:check --explain|explain) ([a-z0-9_]+\.[a-z0-9_]+)`)
	found := 0
	for _, pattern := range []string{"../internal/host/*.go", "../nic/*/*.go", "../docs/*.md", "../README.md", "../cmd/*/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range id.FindAllStringSubmatch(string(text), -1) {
				found++
				if name := strings.TrimRight(m[1]+m[2], "."); !Known(name) {
					t.Errorf("%s sends people to %q, which is no check", file, name)
				}
			}
		}
	}
	if found < 10 {
		t.Errorf("%d ids found: the pattern has missed them", found)
	}
}
