package package_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// loadProfile has tuned's own code load the profile and print what it comes to, as section.key = value. Its arguments: folders of
// profiles beside tuned's own.
const loadProfile = `
import os, sys, tuned
from tuned.profiles.loader import Loader
from tuned.profiles.locator import Locator
from tuned.profiles.merger import Merger
from tuned.profiles.factory import Factory
from tuned.profiles.variables import Variables
lib = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(tuned.__file__))))
v = Variables()
p = Loader(Locator([lib + "/tuned", lib + "/tuned/profiles"] + sys.argv[1:]), Factory(), Merger(), None, v).load("tickwire")
for name, unit in p.units.items():
    for key, value in unit.options.items():
        if isinstance(value, str):
            print(name + "." + key + " = " + v.expand(value))
`

// TestTuned: each variable of the profile is somebody's. Where tuned is installed it loads the profile: with the variables of a machine of
// one isolated core, and not without them.
func TestTuned(t *testing.T) {
	profile, err := os.ReadFile(filepath.Join(tree, "deploy/tuned/tuned.conf"))
	if err != nil {
		t.Fatal(err)
	}
	variables, err := os.ReadFile(filepath.Join(tree, "deploy/tuned/tickwire-variables.conf"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(variables)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			t.Errorf("%s: cores are a machine's own, not the package's", line)
		}
	}
	known := map[string]bool{"not_isolated_cpumask": true, "not_isolated_cores_expanded": true} // cpu-partitioning's
	for _, m := range regexp.MustCompile(`(?m)^#? ?(\w+) ?=`).FindAllStringSubmatch(string(variables)+string(profile), -1) {
		known[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`\$\{(\w+)\}`).FindAllStringSubmatch(string(profile), -1) {
		if !known[m[1]] {
			t.Errorf("${%s} is nobody's", m[1])
		}
	}

	if exec.Command("python3", "-c", "import tuned").Run() != nil {
		t.Log("tuned is not installed: it did not load the profile") // CI has no use for its daemon
		return
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "variables.conf")
	own := strings.ReplaceAll(string(profile), "/etc/tuned/tickwire-variables.conf", file)
	if err := os.MkdirAll(filepath.Join(dir, "tickwire"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tickwire/tuned.conf"), []byte(own), 0o644); err != nil {
		t.Fatal(err)
	}
	load := func(set string) string {
		t.Helper()
		if err := os.WriteFile(file, []byte(set), 0o644); err != nil {
			t.Fatal(err)
		}
		c := exec.Command("python3", "-c", loadProfile, dir)
		c.Env = append(os.Environ(), "TMPDIR="+t.TempDir()) // cpu-partitioning makes a folder there
		out, _ := c.CombinedOutput()
		return string(out)
	}
	for set, want := range map[string]string{
		string(variables):                  "isolated_cores are set",
		"isolated_cores=1\n":               "lane_cores are set",
		"isolated_cores=1\nlane_cores=1\n": "isolcpus=domain,managed_irq,1 irqaffinity=0 ",
	} {
		if got := load(set); !strings.Contains(got, want) {
			t.Errorf("with %q: no %q in\n%s", set, want, got)
		}
	}
	got := load("isolated_cores=1\nlane_cores=1\n")
	for _, want := range []string{
		"sysctl.net.core.busy_poll = 0", "vm.transparent_hugepages = never", "nohz_full=1 rcu_nocbs=1", ";.*tickwire.*\n", "cpu.governor = performance",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
