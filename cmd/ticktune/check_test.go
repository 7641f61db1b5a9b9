package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/tickwire/tickwire/tuning"
	"github.com/tickwire/tickwire/tuning/fakeroot"
)

// asProgram makes the test binary be ticktune: tests start it as a process, with rights and memory of its own.
const asProgram = "TICKTUNE_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

func call(args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	code = run(args, strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

// machine is a tree of an archive, and its plan.
func machine(t *testing.T, name string) (root, plan string) {
	t.Helper()
	root = t.TempDir()
	if err := fakeroot.Write(root, os.DirFS("../../tuning/testdata/machines"), name+".txtar"); err != nil {
		t.Fatal(err)
	}
	return root, filepath.Join(root, "plan.toml")
}

func TestExitCodes(t *testing.T) {
	root, plan := machine(t, "mlx5")
	bad := filepath.Join(t.TempDir(), "bad.toml")
	if err := os.WriteFile(bad, []byte("hto = '4'"), 0o644); err != nil {
		t.Fatal(err)
	}
	on := func(args ...string) []string {
		return append([]string{"check", "--root", root, "--plan", plan}, args...)
	}
	for _, tc := range []struct {
		name string
		args []string
		want int
		text string // in output or errors
	}{
		{"all pass", on("--only", "cpu.*"), tuning.ExitOK, "PASS    cpu.governor"},
		{"one fails", on(), tuning.ExitFail, "FAIL    ptp.ptp4l"},
		{"warnings", on("--only", "lim.misc"), tuning.ExitOK, "WARN    lim.misc"},
		{"warnings count", on("--only", "lim.misc", "--strict"), tuning.ExitWarn, "WARN    lim.misc"},
		{"no such check", on("--only", "cpu.gvernor"), tuning.ExitUsage, `there is no check "cpu.gvernor"`},
		{"no such group", on("--group", "cpus"), tuning.ExitUsage, "there are platform,"},
		{"no such flag", on("--fast"), tuning.ExitUsage, "unknown flag"},
		{"no such command", []string{"chek"}, tuning.ExitUsage, `no command "chek"`},
		{"two formats", on("--json", "--junit"), tuning.ExitUsage, "exclude each other"},
		{"order", on("--sort", "size"), tuning.ExitUsage, "want group or severity"},
		{"interval", on("--watch", "1ms"), tuning.ExitUsage, "less than 1s"},
		{"argument", on("now"), tuning.ExitUsage, "one argument too many"},
		{"no id", []string{"explain"}, tuning.ExitUsage, "an argument is missing"},
		{"wrong id", []string{"explain", "governor"}, tuning.ExitUsage, "there is no check"},
		{"cores", []string{"check", "--root", root, "--cores", "7-4"}, tuning.ExitUsage, "--cores"},
		{"interface", []string{"check", "--root", root, "--nic", "../x"}, tuning.ExitUsage, "no name of an interface"},
		{"bad plan", []string{"check", "--root", root, "--plan", bad}, tuning.ExitPlan, "unknown key"},
		{"no plan file", []string{"check", "--root", root, "--plan", bad + "x"}, tuning.ExitUsage, "no such file"},
		{"no machine", []string{"check", "--root", bad}, tuning.ExitPlatform, "is no folder"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, out, errs := call(tc.args...)
			if code != tc.want || !strings.Contains(out+errs, tc.text) {
				t.Errorf("exit %d, want %d with %q\n%s%s", code, tc.want, tc.text, out, errs)
			}
			if code >= tuning.ExitUsage && out != "" {
				t.Errorf("output with a fault: %q", out)
			}
		})
	}
	root, plan = machine(t, "refuse")
	if code, out, errs := call("check", "--root", root, "--plan", plan, "--only", "irq.hot"); code != tuning.ExitError {
		t.Errorf("exit %d, want %d\n%s%s", code, tuning.ExitError, out, errs)
	}
}

// TestExplain: each check can be explained, by both ways, and what was read is told.
func TestExplain(t *testing.T) {
	root, plan := machine(t, "ice")
	for _, c := range tuning.Catalogue() {
		code, out, errs := call("explain", c.ID, "--root", root, "--plan", plan)
		if code != 0 || !strings.Contains(out, c.Why) || !strings.Contains(out, c.ID) {
			t.Fatalf("%s: exit %d\n%s%s", c.ID, code, out, errs)
		}
	}
	_, a, _ := call("explain", "cpu.governor", "--root", root, "--plan", plan)
	_, b, _ := call("check", "--explain", "cpu.governor", "--root", root, "--plan", plan)
	if a != b {
		t.Errorf("explain and check --explain differ")
	}
	for _, part := range []string{"undo: echo powersave > ", "policy0/scaling_governor: powersave", "skipped   in a virtual machine"} {
		if !strings.Contains(a, part) {
			t.Errorf("%q is missing in\n%s", part, a)
		}
	}
}

func TestReport(t *testing.T) {
	root, plan := machine(t, "ice")
	file := filepath.Join(t.TempDir(), "report.json")
	code, out, errs := call("report", "--root", root, "--plan", plan, "--out", file)
	if code != 0 || !strings.HasPrefix(out, "PASS ") {
		t.Fatalf("exit %d\n%s%s", code, out, errs)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Schema string
		Checks []struct{ ID, Status string }
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Schema != tuning.Schema || len(doc.Checks) != len(tuning.Catalogue()) {
		t.Errorf("%s with %d checks", doc.Schema, len(doc.Checks))
	}
	if bytes.Contains(text, []byte("hunter2")) {
		t.Error("the report holds a secret of the command line")
	}
}

// TestFlagsOverPlan: what the command line names goes before the file, and what the file says of an interface still holds.
func TestFlagsOverPlan(t *testing.T) {
	root, plan := machine(t, "mlx5")
	f := planFlags{root: root, plan: plan, nics: []string{"eth2"}, cores: "12-13", profile: "lab"}
	h, err := f.host()
	if err != nil {
		t.Fatal(err)
	}
	if h.Plan.Hot.String() != "12-13" || h.Plan.Profile != "lab" || h.Plan.Interface("eth2").Speed != 25000 {
		t.Errorf("%+v", h.Plan)
	}
}

// TestUnprivileged starts the program as nobody: it looks, says what it could not see, and takes little memory.
func TestUnprivileged(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "check", "--json")
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Dir = "/"
	if os.Getuid() == 0 {
		// The binary of a test lies where only its owner may go: a copy of it is given away.
		dir, err := os.MkdirTemp("", "ticktune")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		copyFile(t, self, filepath.Join(dir, "ticktune"))
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		cmd.Path = filepath.Join(dir, "ticktune")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	code := cmd.ProcessState.ExitCode()
	if code != tuning.ExitOK && code != tuning.ExitFail && code != tuning.ExitError {
		t.Fatalf("%v: exit %d\n%s", err, code, errs.String())
	}
	var doc struct {
		Checks     []struct{ ID, Status, Reason string }
		DurationMs float64 `json:"duration_ms"`
	}
	if err := json.Unmarshal(out.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	refused := 0
	for _, c := range doc.Checks {
		if strings.Contains(c.Reason, "internal") {
			t.Errorf("%s: %s", c.ID, c.Reason)
		}
		if c.Status == "ERROR" {
			refused++
		}
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	t.Logf("%d checks in %.0f ms (%s of a core), %d MB, %d could not be seen", len(doc.Checks), doc.DurationMs, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime(), usage.Maxrss>>10, refused)
	const most = 30 << 10 // KiB
	if usage.Maxrss > most && !raceEnabled {
		t.Errorf("%d KiB of memory, want at most %d", usage.Maxrss, most)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestHelp: the exit codes that --help tells are those of the program.
func TestHelp(t *testing.T) {
	_, out, _ := call("--help")
	text := strings.Join(strings.Fields(out), " ")
	for _, code := range []int{tuning.ExitUsage, tuning.ExitPlan, tuning.ExitPlatform, tuning.ExitInternal, tuning.ExitPrivilege} {
		if !strings.Contains(text, strconv.Itoa(code)+" ") {
			t.Errorf("--help does not tell of exit code %d", code)
		}
	}
}
