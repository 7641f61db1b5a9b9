package config

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestExampleFile: the documented example is good as it stands, and every line in it that is commented out is a key that
// exists.
func TestExampleFile(t *testing.T) {
	text, err := os.ReadFile("../../examples/tickwire.toml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Feed) != 1 || len(c.Feed[0].Channel) != 1 || len(c.Feed[0].Channel[0].Line) != 2 {
		t.Errorf("the example has lost its lines: %+v", c.Feed)
	}
	key := regexp.MustCompile(`(?m)^# ((\w+ = \S)|(\[[\w.\[]+\]))`)
	all := key.ReplaceAllString(string(text), "$1")
	if n := strings.Count(all, "\n# "); n > 3 {
		t.Errorf("%d lines are still comments: the file has changed its manner, and this test with it sees less", n)
	}
	if _, err := Parse([]byte(all), nil); err != nil {
		t.Errorf("with everything switched on: %v", err)
	}
}
