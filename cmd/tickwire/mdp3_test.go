package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMDP3Commands: a generated capture is played again without loops, and what sim prints is a configuration.
func TestMDP3Commands(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cme.pcap")
	if code, _, errs := command(t, "gen", "mdp3", "--messages", "2000", "--out", path, "--loss-a", "1"); code != 0 || !strings.Contains(errs, "2000 messages") {
		t.Fatalf("%d: %s", code, errs)
	}
	if s, err := os.Stat(path); err != nil || s.Size() < 100_000 {
		t.Errorf("%v, %v", s, err)
	}
	if code, out, errs := command(t, "sim", "mdp3", path, "--pace", "max", "--replay", "off", "--json"); code != 0 || !strings.Contains(out, "\"ended\":true") {
		t.Errorf("%d: %s%s", code, out, errs)
	}
	if code, out, _ := command(t, "sim", "mdp3", "--print-config"); code != 0 || strings.Count(out, "[[feed.channel.service]]") != 3 {
		t.Errorf("%d: %s", code, out)
	}
	for _, bad := range [][]string{{"gen", "mdp3"}, {"gen", "mdp3", "--out", path, "--version", "8"}, {"gen", "mdp3", "--out", path, "--loss-a", "200"}, {"sim", "mdp3", "--replay", "here"}, {"sim", "mdp3", "--silence", "x"}, {"sim", "mdp3", "--levels", "10.0.0.1:5"}, {"sim", "mdp3", "--channel", "0"}} {
		if code, _, _ := command(t, bad...); code != 2 {
			t.Errorf("%v: exit code %d, want 2", bad, code)
		}
	}
}
