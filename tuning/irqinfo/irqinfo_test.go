package irqinfo

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tickwire/tickwire/tuning"
	"github.com/tickwire/tickwire/tuning/apply"
	"github.com/tickwire/tickwire/tuning/fakeroot"
)

func machine(t testing.TB, name string, plan *tuning.Plan) *tuning.Host {
	t.Helper()
	root := t.TempDir()
	if err := fakeroot.Write(root, os.DirFS("../testdata/machines"), name+".txtar"); err != nil {
		t.Fatal(err)
	}
	h, err := tuning.Open(root, plan)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func put(t testing.TB, h *tuning.Host, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(h.Path(name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.Path(name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func snapshot(t testing.TB, text string, seconds int64) *Snapshot {
	t.Helper()
	rows, err := tuning.ParseInterrupts(text)
	if err != nil {
		t.Fatal(err)
	}
	return &Snapshot{time.Unix(1000+seconds, 0), rows}
}

func (r *Report) row(name string) *IRQ {
	for i := range r.IRQs {
		if r.IRQs[i].Name == name {
			return &r.IRQs[i]
		}
	}
	return &IRQ{Name: "none"}
}

// TestBetween takes two looks 2 s apart, between which core 3 came online, interrupt 60 was given to another device, 61 is new
// and 62 was asked for anew: rates are never negative, and never of what came before.
func TestBetween(t *testing.T) {
	h := machine(t, "mlx5", &tuning.Plan{Hot: tuning.CPUs{1}, NAPI: tuning.CPUs{2}})
	before := snapshot(t, `       CPU0  CPU1  CPU2
 120:  100   10    1000   IR-PCI-MSIX-0000:3b:00.0  1-edge  mlx5_comp0@pci:0000:3b:00.0
 60:   900   0     0      IO-APIC  8-edge  rtc0
 62:   50    50    0      IO-APIC  9-edge  acpi
 LOC:  5000  5000  5000   Local timer interrupts
 ERR:  0
`, 0)
	after := snapshot(t, `       CPU0  CPU1  CPU2  CPU3
 120:  100   12    3000  0     IR-PCI-MSIX-0000:3b:00.0  1-edge  mlx5_comp0@pci:0000:3b:00.0
 60:   4     0     0     0     IO-APIC  8-edge  ahci
 61:   0     6     0     0     IO-APIC  7-edge  new
 62:   0     60    0     0     IO-APIC  9-edge  acpi
 LOC:  5100  5000  5100  7000000  Local timer interrupts
 ERR:  0
`, 2)
	r := Between(h, before, after)
	for _, tc := range []struct {
		name      string
		perS      float64
		restarted bool
		nic       string
		queue     int
	}{{"120", 1001, false, "eth2", 0}, {"60", 2, true, "", -1}, {"61", 3, true, "", -1}, {"62", 30, true, "", -1}, {"LOC", 100, false, "", -1}} {
		irq := r.row(tc.name)
		if irq.PerS != tc.perS || irq.Restarted != tc.restarted || irq.NIC != tc.nic || irq.Queue != tc.queue {
			t.Errorf("%s: %+v", tc.name, irq)
		}
	}
	roles, perS := "", []float64{}
	for _, c := range r.Cores {
		roles += c.Role + ","
		perS = append(perS, c.PerS)
	}
	if want := []float64{52, 34, 1050, 0}; !slices.Equal(perS, want) || roles != ",HOT,NAPI,," {
		t.Errorf("cores %v %q, want %v", perS, roles, want)
	}
	if busiest := r.Cores[2].Sources[0]; busiest.Name != "120" || busiest.PerS != 1000 {
		t.Errorf("%+v", busiest)
	}
	var b strings.Builder
	if err := r.Text(&b, View{}); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"2 NAPI  1050  120 mlx5_comp0@pci:0000:3b:00.0 1000, LOC timer 50\n", "(eth2 queue 0)", "in 2.0 s\n"} {
		if !strings.Contains(b.String(), part) {
			t.Errorf("%q is missing in\n%s", part, b.String())
		}
	}
	b.Reset()
	if err := r.Text(&b, View{NICs: []string{"eth2"}}); err != nil || strings.Contains(b.String(), "LOC") || !strings.Contains(b.String(), "120") {
		t.Errorf("of one interface: %v\n%s", err, b.String())
	}
}

// TestNoTime: two looks at the same moment give no rate, not infinity.
func TestNoTime(t *testing.T) {
	h, err := tuning.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	one := snapshot(t, "CPU0\n 1: 5 a b\n", 0)
	two := snapshot(t, "CPU0\n 1: 9 a b\n", 0)
	if irq := Between(h, one, two).row("1"); irq.PerS != 0 || irq.PerCore[0] != 4 {
		t.Errorf("%+v", irq)
	}
}

// TestPickAndMove: interrupts are found by number, interface, queue and pattern; moving them is carried out on a tree and taken back.
func TestPickAndMove(t *testing.T) {
	h := machine(t, "mlx5", nil)
	now, err := Take(h)
	if err != nil {
		t.Fatal(err)
	}
	r := Between(h, now, now)
	names := func(which string) string {
		found, err := r.Pick(which)
		if err != nil {
			return err.Error()
		}
		var all []string
		for _, irq := range found {
			all = append(all, irq.Name)
		}
		return strings.Join(all, " ")
	}
	for which, want := range map[string]string{"120": "120", "eth2": "120 121", "eth2:1": "121", "ahci*": "24", "*": "24 120 121"} {
		if got := names(which); got != want {
			t.Errorf("%s: %q, want %q", which, got, want)
		}
	}
	for which, want := range map[string]string{"eth3": "no such interrupt", "eth2:7": "no such interrupt", "LOC": "no such interrupt", "[": "syntax error", "": "no such interrupt"} {
		if got := names(which); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", which, got, want)
		}
	}
	found, _ := r.Pick("eth2")
	changes, err := Move(h, found, tuning.CPUs{8})
	if err != nil || len(changes) != 1 || changes[0].Target != "/proc/irq/120/smp_affinity_list" { // 121 is there already
		t.Fatalf("%+v, %v", changes, err)
	}
	o := apply.Options{}
	if out, err := apply.Run(context.Background(), h, changes, o); err != nil || out.Count(apply.Done) != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	if set, err := h.List("/proc/irq/120/smp_affinity_list"); err != nil || set.String() != "8" {
		t.Errorf("on %s, %v", set, err)
	}
	h.Refresh(h.Now)
	if _, err := apply.Revert(h, apply.Which{All: true}, o); err != nil {
		t.Fatal(err)
	}
	h.Refresh(h.Now)
	if set, err := h.List("/proc/irq/120/smp_affinity_list"); err != nil || set.String() != "12-15" {
		t.Errorf("put back on %s, %v", set, err)
	}
}

// TestCannotMove: offline cores, managed interrupts and those that cannot be seen are faults before anything is done.
func TestCannotMove(t *testing.T) {
	h := machine(t, "mlx5", nil)
	put(t, h, "/sys/kernel/debug/irq/irqs/24", "handler:  handle_edge_irq\ndstate:   0x37408200\n            IRQD_ACTIVATED\n            IRQD_AFFINITY_MANAGED\n")
	if err := os.RemoveAll(h.Path("/proc/irq/120")); err != nil {
		t.Fatal(err)
	}
	now, err := Take(h)
	if err != nil {
		t.Fatal(err)
	}
	r := Between(h, now, now)
	if !r.row("24").Managed || r.row("121").Managed {
		t.Error("24 is managed, 121 is not")
	}
	for _, tc := range []struct{ which, to, want string }{{"24", "1", "placed by the kernel"}, {"120", "1", "not present"}, {"121", "99", "online are"}, {"121", "", "online are"}} {
		found, err := r.Pick(tc.which)
		if err != nil {
			t.Fatal(err)
		}
		to, err := tuning.ParseCPUs(tc.to)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Move(h, found, to); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s to %q: %v, want %q", tc.which, tc.to, err, tc.want)
		}
	}
}

// TestNoInterrupts: a machine without the file is an error, not a quiet machine.
func TestNoInterrupts(t *testing.T) {
	h, err := tuning.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Watch(context.Background(), h, time.Millisecond); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// TestThisMachine counts for real: time goes by, timers fire, and a context that ends ends the wait.
func TestThisMachine(t *testing.T) {
	h, err := tuning.Open("/", nil)
	if err != nil {
		t.Fatal(err)
	}
	before, err := Take(h)
	if err != nil {
		t.Skip(err) // a container without
	}
	fired := func() float64 {
		after, err := Take(h)
		if err != nil {
			t.Fatal(err)
		}
		var sum float64
		for _, irq := range Between(h, before, after).IRQs {
			sum += irq.PerS
		}
		return sum
	}
	for fired() == 0 { // there is no machine without timers
		time.Sleep(10 * time.Millisecond)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if r, err := Watch(ctx, h, time.Hour); err != nil || len(r.Cores) == 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestRealMove moves an interrupt of this machine that never fires, and puts it back. Not every machine lets itself.
func TestRealMove(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("root is needed")
	}
	h, err := tuning.Open("/", nil)
	if err != nil {
		t.Fatal(err)
	}
	now, err := Take(h)
	if err != nil {
		t.Skip(err)
	}
	online := h.Online()
	if len(online) < 2 {
		t.Skip("one core")
	}
	r := Between(h, now, now)
	for i := range slices.Backward(r.IRQs) {
		irq := &r.IRQs[i]
		if !irq.Numbered() || irq.Total != 0 || irq.Reason != "" || irq.Managed || len(irq.Allowed) < 2 {
			continue
		}
		file := "/proc/irq/" + irq.Name + "/smp_affinity_list"
		was, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.WriteFile(file, was, 0) }) // whatever comes
		to := irq.Allowed[:1]
		changes, err := Move(h, []*IRQ{irq}, to)
		if err != nil || len(changes) != 1 {
			t.Fatalf("%+v, %v", changes, err)
		}
		o := apply.Options{Dir: filepath.Join(t.TempDir(), "journal")}
		if _, err := apply.Run(context.Background(), h, changes, o); err != nil {
			t.Skipf("interrupt %s does not let itself be moved here: %v", irq.Name, err)
		}
		if set, err := h.List(file); err != nil || !slices.Equal(set, to) {
			t.Errorf("%s on %s, %v, want %s", irq.Name, set, err, to)
		}
		if _, err := apply.Revert(h, apply.Which{All: true}, o); err != nil {
			t.Error(err)
		}
		h.Refresh(time.Now())
		if again, err := os.ReadFile(file); err != nil || string(again) != string(was) {
			t.Errorf("put back as %q, want %q, %v", again, was, err)
		}
		return
	}
	t.Skip("no interrupt that never fires")
}

// FuzzBetween: whatever two looks say, rates are not negative, and the sum over cores is the sum over interrupts.
func FuzzBetween(f *testing.F) {
	f.Add("CPU0 CPU1\n 1: 5 6 a b\n", "CPU0 CPU1\n 1: 7 6 a b\nLOC: 5 5 x\n")
	f.Add("CPU0\n1: 9 a\n", "CPU1 CPU0\n1: 1 2 b\n1: 3\n")
	f.Add("CPU0 CPU1\n1: 1 1\n", "CPU0 CPU1\n1: 9223372036854775807 9223372036854775807 q\n")
	h, err := tuning.Open(f.TempDir(), nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		one, err := tuning.ParseInterrupts(a)
		if err != nil {
			return
		}
		two, err := tuning.ParseInterrupts(b)
		if err != nil {
			return
		}
		r := Between(h, &Snapshot{time.Unix(1, 0), one}, &Snapshot{time.Unix(2, 0), two})
		var byCore, byIRQ float64
		for _, c := range r.Cores {
			if byCore += c.PerS; c.PerS < 0 {
				t.Fatalf("core %d: %v/s", c.CPU, c.PerS)
			}
		}
		for i := range r.IRQs {
			if byIRQ += r.IRQs[i].PerS; r.IRQs[i].PerS < 0 {
				t.Fatalf("%+v", r.IRQs[i])
			}
		}
		if d := byCore - byIRQ; d > 1e-6*byIRQ || -d > 1e-6*byIRQ {
			t.Fatalf("cores %v, interrupts %v", byCore, byIRQ)
		}
		for _, irq := range r.IRQs {
			if _, err := r.Pick(irq.Name); err != nil && irq.Numbered() {
				t.Fatalf("%q is not found: %v", irq.Name, err)
			}
		}
	})
}
