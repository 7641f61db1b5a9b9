package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/nic/pcap"
)

// empty is a capture of nothing.
func empty(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "empty.pcap")
	f, err := os.Create(path)
	if err == nil {
		err = errors.Join(pcap.NewWriter(f).Flush(), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

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
	for _, more := range [][]string{nil, {"--prices", "wire"}, {"--definitions", path}} {
		out := filepath.Join(t.TempDir(), "trades.csv")
		if code, _, errs := command(t, append([]string{"convert", path, "--to", "csv", "--schema", "trades", "--out", out}, more...)...); code != 0 {
			t.Errorf("%v: %d: %s", more, code, errs)
		}
		if b, err := os.ReadFile(out); err != nil || len(b) < 1000 {
			t.Errorf("%v: %d bytes, %v", more, len(b), err)
		}
	}
	itch := filepath.Join(t.TempDir(), "20260105.itch")
	if code, _, errs := command(t, "gen", "itch", "--messages", "2000", "--out", itch); code != 0 {
		t.Fatalf("%d: %s", code, errs)
	}
	for says, args := range map[string][]string{
		"none of conventional, wire":   {"convert", path, "--to", "csv", "--out", "-", "--prices", "display"},
		"holds no definitions":         {"convert", path, "--to", "csv", "--out", "-", "--definitions", empty(t)},
		"protocol itch has no use for": {"convert", itch, "--to", "csv", "--out", "-", "--definitions", path},
	} {
		if code, _, errs := command(t, args...); code == 0 || !strings.Contains(errs, says) {
			t.Errorf("%v: %d: %s, want %q", args, code, errs, says)
		}
	}
	for _, bad := range [][]string{{"gen", "mdp3"}, {"gen", "mdp3", "--out", path, "--version", "8"}, {"gen", "mdp3", "--out", path, "--loss-a", "200"}, {"sim", "mdp3", "--replay", "here"}, {"sim", "mdp3", "--silence", "x"}, {"sim", "mdp3", "--levels", "10.0.0.1:5"}, {"sim", "mdp3", "--channel", "0"}} {
		if code, _, _ := command(t, bad...); code != 2 {
			t.Errorf("%v: exit code %d, want 2", bad, code)
		}
	}
}
