package package_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// settings are a unit's, by Section.Name, every value in turn.
func settings(t *testing.T, file string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	all, section := map[string][]string{}, ""
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		line := strings.TrimSpace(s.Text())
		switch name, value, ok := strings.Cut(line, "="); {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			section = strings.Trim(line, "[]")
		case ok:
			all[section+"."+name] = append(all[section+"."+name], value)
		default:
			t.Fatalf("%s: %q", file, line)
		}
	}
	return all
}

var units = []string{"tickwire-feed@.service", "tickwire-serve.service", "tickwire-run.service", "tickwire-consolidate.service"}

// TestUnits: what each unit must say, whatever else it says.
func TestUnits(t *testing.T) {
	for _, name := range units {
		t.Run(name, func(t *testing.T) {
			got := settings(t, filepath.Join(tree, "deploy/systemd", name))
			want := map[string]string{
				"Service.Type": "notify", "Service.Restart": "on-failure", "Service.RestartPreventExitStatus": "2", "Unit.StartLimitIntervalSec": "0",
				"Service.User": "tickwire", "Service.NoNewPrivileges": "yes", "Service.ProtectSystem": "strict", "Service.UMask": "0027",
			}
			const feed = "CAP_NET_RAW CAP_NET_ADMIN CAP_BPF CAP_PERFMON CAP_IPC_LOCK CAP_SYS_NICE"
			spins := name == "tickwire-feed@.service" || name == "tickwire-run.service"
			if spins {
				want["Service.AmbientCapabilities"], want["Service.CapabilityBoundingSet"], want["Service.LimitMEMLOCK"] = feed, feed, "infinity"
			} else {
				want["Service.AmbientCapabilities"], want["Service.CapabilityBoundingSet"] = "", ""
			}
			if name != "tickwire-serve.service" {
				want["Service.Slice"] = "tickwire.slice" // not system.slice, whose cores are taken from it
			}
			for key, value := range want {
				if v := got[key]; len(v) != 1 || v[0] != value {
					t.Errorf("%s=%q, want %q", key, v, value)
				}
			}
			// After a panic the runtime exits with 2, unless it is told to abort: a crash would be taken for a wrong configuration.
			if env := strings.Fields(strings.Join(got["Service.Environment"], " ")); !slices.Contains(env, "GOTRACEBACK=crash") {
				t.Errorf("Environment=%q lacks GOTRACEBACK=crash", env)
			}
			if n, err := strconv.Atoi(got["Service.WatchdogSec"][0]); err != nil || n < 20 {
				t.Errorf("WatchdogSec=%q: a collection of garbage on a busy machine must not be taken for death", got["Service.WatchdogSec"])
			}
			if len(got["Service.ExecStart"]) != 1 {
				t.Fatalf("ExecStart %q", got["Service.ExecStart"])
			}
		})
	}
}

// TestVerify has systemd read the units of the package as it would on the machine, with and without the example's drop-ins.
func TestVerify(t *testing.T) {
	need(t, "systemd-analyze")
	root := extracted(t)
	manager, err := exec.Command("systemctl", "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	version, err := strconv.Atoi(regexp.MustCompile(`\d+`).FindString(string(manager)))
	if err != nil {
		t.Fatal(err)
	}
	// Units that ours name.
	for _, unit := range []string{"sysinit.target", "basic.target", "shutdown.target", "network-online.target", "multi-user.target", "local-fs.target", "slices.target", "-.slice"} {
		if from, err := os.ReadFile("/usr/lib/systemd/system/" + unit); err == nil {
			if err := os.WriteFile(filepath.Join(root, "usr/lib/systemd/system", unit), from, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	verify := func(what string) {
		t.Helper()
		for _, unit := range append(slices.Clone(units), "tickwire-hugepages@.service", "tickwire.slice") {
			if p, s, template := strings.Cut(unit, "@"); template {
				unit = map[bool]string{true: p + "@0-512" + s, false: p + "@totalview" + s}[p == "tickwire-hugepages"]
			}
			out, err := exec.Command("systemd-analyze", "verify", "--man=no", "--root="+root, unit).CombinedOutput()
			var bad []string
			for line := range strings.Lines(string(out)) {
				if version < 254 && regexp.MustCompile(`Unknown key (name )?'(RestartSteps|RestartMaxDelaySec)'`).MatchString(line) {
					continue // they came with 254: the unit says so
				}
				bad = append(bad, line)
			}
			if err != nil || len(bad) > 0 {
				t.Errorf("%s, %s: %v\n%s", unit, what, err, strings.Join(bad, ""))
			}
		}
	}
	verify("as packaged")
	drops := os.DirFS(filepath.Join(root, "usr/share/doc/tickwire/examples/isolation"))
	if err := os.CopyFS(filepath.Join(root, "etc/systemd/system"), drops); err != nil {
		t.Fatal(err)
	}
	verify("with cores of their own")
	// It would have told of a fault.
	if err := os.WriteFile(filepath.Join(root, "etc/systemd/system/tickwire.slice.d/wrong.conf"), []byte("[Slice]\nAllowedCPUs=x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, _ := exec.Command("systemd-analyze", "verify", "--man=no", "--root="+root, "tickwire.slice").CombinedOutput(); !strings.Contains(string(out), "wrong.conf:2: ") {
		t.Errorf("a wrong drop-in was not found: %s", out)
	}
}

// TestSecurity: how much of the machine systemd thinks a unit could reach, from 0 to 10: serve least of all, feed no more than its
// capabilities make necessary.
func TestSecurity(t *testing.T) {
	need(t, "systemd-analyze")
	for name, most := range map[string]float64{
		"tickwire-serve.service": 2, "tickwire-consolidate.service": 2, "tickwire-feed@.service": 4.5, "tickwire-run.service": 4.5,
	} {
		file := filepath.Join(tree, "deploy/systemd", name)
		if p, s, template := strings.Cut(name, "@"); template {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			file = filepath.Join(t.TempDir(), p+"@totalview"+s)
			if err := os.WriteFile(file, text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		out, err := exec.Command("systemd-analyze", "security", "--offline=true", fmt.Sprintf("--threshold=%d", int(most*10)), file).CombinedOutput()
		level := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`).FindSubmatch(out)
		if level == nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		t.Logf("%s: %s", name, level[1])
		if got, _ := strconv.ParseFloat(string(level[1]), 64); got > most || err != nil {
			t.Errorf("%s: exposure %.1f, want at most %.1f (%v)\n%s", name, got, most, err, out)
		}
	}
}
