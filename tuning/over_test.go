package tuning

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// over makes both looks of an interval by hand: what happens in between is change's.
func over(t *testing.T, h *Host, change func(), ids ...string) *Report {
	t.Helper()
	s := Select{Only: ids}
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	h.Run(s)
	h.earlier = &earlier{h.Now, h.read, h.calls}
	change()
	h.Refresh(h.Now.Add(10 * time.Second))
	return h.Run(s)
}

func find(t *testing.T, r *Report, id string) *Result {
	t.Helper()
	for i := range r.Checks {
		if r.Checks[i].ID == id {
			return &r.Checks[i]
		}
	}
	t.Fatalf("no %s in the report", id)
	return nil
}

// TestInterval: what counters went up by decides, not what they hold since boot.
func TestInterval(t *testing.T) {
	read := func(h *Host, name string) string {
		t.Helper()
		text, err := os.ReadFile(h.path(name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	const core0 = "/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count"
	const aer = "/sys/bus/pci/devices/0000:3b:00.0/aer_dev_correctable"
	const carrier = "/sys/class/net/eth2/carrier_changes"
	const dropped = "/sys/class/net/eth2/statistics/rx_dropped"
	softnet := func(dropped, squeezed string) string {
		return "00000010 00000000 00000000 0 0 0 0 0 0 0 0 0 00000000\n00000010 " + dropped + " " + squeezed + " 0 0 0 0 0 0 0 0 0 00000008\n"
	}
	prepare := func() *Host {
		h := ownMachine(t, "mlx5")
		set(t, h, core0, "5\n")
		set(t, h, aer, "RxErr 7\nTOTAL_ERR_COR 7\n")
		set(t, h, carrier, "3\n")
		set(t, h, dropped, "40\n")
		set(t, h, "/proc/net/softnet_stat", softnet("ffffffff", "00000003"))
		return h
	}
	ids := []string{"cpu.thermal", "pci.aer", "nic.link", "nic.drops", "net.backlog", "irq.hot"}

	h := prepare()
	for _, c := range over(t, h, func() {}, ids...).Checks {
		if c.Status != Pass {
			t.Errorf("nothing happened, and %s is %s: %s", c.ID, c.Status, c.Reason)
		}
	}

	h = prepare()
	hot := h.Plan.Hot[0]
	r := over(t, h, func() {
		set(t, h, core0, "6\n")
		set(t, h, aer, "RxErr 9\nTOTAL_ERR_COR 9\n")
		set(t, h, carrier, "5\n")
		set(t, h, dropped, "44\n")
		set(t, h, "/proc/net/softnet_stat", softnet("00000001", "00000004")) // the first went round
		set(t, h, "/proc/interrupts", moreInterrupts(t, read(h, "/proc/interrupts"), hot, 12))
	}, ids...)
	for id, part := range map[string]string{"cpu.thermal": "1 times in 10s", "pci.aer": "correctable 2 in 10s", "nic.link": "changed 2 times in 10s", "nic.drops": "rx_dropped 4 in 10s",
		"net.backlog": "CPU 8 dropped 2, CPU 8 was squeezed 1 times", "irq.hot": "took 12 interrupts"} {
		c := find(t, r, id)
		if c.Status != Fail && !(c.Status == Warn && id == "net.backlog") || !strings.Contains(c.Reason, part) {
			t.Errorf("%s is %s: %q, want %q in it", id, c.Status, c.Reason, part)
		}
	}

	// A counter that began anew, and files that were not there before, are no news.
	h = prepare()
	if err := errors.Join(os.Remove(h.path(carrier)), os.Remove(h.path(aer))); err != nil {
		t.Fatal(err)
	}
	r = over(t, h, func() {
		set(t, h, carrier, "900\n")
		set(t, h, aer, "TOTAL_ERR_COR 900\n")
		set(t, h, core0, "0\n")
	}, ids...)
	for _, id := range []string{"cpu.thermal", "pci.aer", "nic.link"} {
		if c := find(t, r, id); c.Status != Pass {
			t.Errorf("%s is %s: %s", id, c.Status, c.Reason)
		}
	}
}

// moreInterrupts adds to what a core took of the first numbered interrupt.
func moreInterrupts(t *testing.T, text string, cpu, n int) string {
	t.Helper()
	in, err := ParseInterrupts(text)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, c := range in.CPUs {
		b.WriteString(" CPU" + number2(c))
	}
	done := false
	for _, row := range in.Rows {
		b.WriteString("\n" + row.Name + ":")
		_, err := number(row.Name)
		for i, count := range row.Counts {
			if err == nil && !done && in.CPUs[i] == cpu {
				count, done = count+n, true
			}
			b.WriteString(" " + number2(count))
		}
		b.WriteString(" " + row.What)
	}
	if !done {
		t.Fatalf("no interrupt has a column for core %d", cpu)
	}
	return b.String() + "\n"
}

func number2(n int) string { return valueOf(n).Raw }

func TestStolenTime(t *testing.T) {
	h := ownMachine(t, "vm")
	stat := func(n string) string { return "cpu 1 1 1 1 1 1 1 " + n + " 0 0\n" }
	set(t, h, "/proc/stat", stat("7"))
	if c := find(t, over(t, h, func() {}, "plat.virt"), "plat.virt"); c.Status != Note {
		t.Errorf("%s %s", c.Status, c.Reason)
	}
	h.earlier = nil
	h.Refresh(h.Now)
	want := judge(Major, h.Plan.Profile)
	if c := find(t, over(t, h, func() { set(t, h, "/proc/stat", stat("9")) }, "plat.virt"), "plat.virt"); c.Status != want || !strings.Contains(c.Reason, "2 ticks were stolen in 10s") {
		t.Errorf("%s %s", c.Status, c.Reason)
	}
}

func TestSMIsOverAnInterval(t *testing.T) {
	h := ownMachine(t, "mlx5")
	file := "/dev/cpu/" + number2(h.Plan.Hot[0]) + "/msr"
	register := func(n byte) string {
		return strings.Repeat("\x00", smiRegister) + string([]byte{n, 255, 255, 255, 0, 0, 0, 0})
	}
	set(t, h, file, register(255))
	c := find(t, over(t, h, func() { set(t, h, file, strings.Repeat("\x00", smiRegister)+"\x01\x00\x00\x00\x00\x00\x00\x00") }, "cpu.smi"), "cpu.smi")
	if c.Status != Fail || !strings.Contains(c.Reason, "2 in 10s") {
		t.Errorf("the counter went round: %s %s", c.Status, c.Reason)
	}
}

// The kernel's own interrupts are told with what they come of; a few of the timer are not.
func TestOwnInterrupts(t *testing.T) {
	parse := func(text string) *Interrupts {
		in, err := ParseInterrupts(text)
		if err != nil {
			t.Fatal(err)
		}
		return in
	}
	was := parse("     CPU0 CPU2\n 5: 1 1 chip dev\n 6: 0 0 chip near\nLOC: 100 100 Local timer\nRES: 0 0 Rescheduling\nERR: 0\n")
	is := parse("     CPU0 CPU2\n 5: 9 1 chip dev\n 6: 0 4 chip near\nLOC: 900 200 Local timer\nRES: 9 2 Rescheduling\nERR: 3\n")
	devices, own, times := interruptsOver(was, is, CPUs{2}, 10, map[string]bool{"6": true})
	if len(devices) != 0 || times != 0 || len(own) != 1 || own[0] != "RES 2 on CPU 2 (rescheduling)" {
		t.Errorf("%v %v %d", devices, own, times)
	}
	devices, own, times = interruptsOver(was, is, CPUs{2}, 1, nil)
	if len(devices) != 1 || times != 4 || len(own) != 2 {
		t.Errorf("%v %v %d", devices, own, times)
	}
}

// TestRunOver is on this machine: it takes as long as it was told, and ends when its context does.
func TestRunOver(t *testing.T) {
	h, err := Open("/", &Plan{Hot: CPUs{0}, Interfaces: []Interface{{Name: "lo"}}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := h.RunOver(t.Context(), Select{Only: []string{"irq.hot", "nic.drops", "net.backlog", "plat.virt"}}, 50*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if r.IntervalMs < 50 || h.earlier != nil {
		t.Errorf("%g ms", r.IntervalMs)
	}
	if c := find(t, r, "net.backlog"); c.Status != Skip && !strings.Contains(c.Effective.Raw, " in ") {
		t.Errorf("%+v", c)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.RunOver(ctx, Select{Only: []string{"net.busy"}}, time.Hour); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestProbes: what is measured decides where somebody asked for it.
func TestProbes(t *testing.T) {
	h := ownMachine(t, "mlx5")
	h.Probes.Frequency = func(cores CPUs) ([]CoreFrequency, error) {
		return []CoreFrequency{{Core: cores[0], MHz: 3000, LeastMHz: 2999, SpreadPPM: 300}}, nil
	}
	h.Probes.Skew = func(cores CPUs) (Skew, error) { return Skew{MaxNs: 12}, nil }
	for _, id := range []string{"cpu.freq", "time.tsc_sync"} {
		if got := outcome(t, h, id); got.Status != Pass {
			t.Errorf("%s: %s %s", id, got.Status, got.Reason)
		}
	}
	h.Probes.Frequency = func(CPUs) ([]CoreFrequency, error) {
		return []CoreFrequency{{Core: 9, MHz: 3000, LeastMHz: 2400, SpreadPPM: 200_000}}, nil
	}
	for _, s := range []Skew{{MaxNs: 90, CertainNs: 50}, {Backwards: 1}} {
		h.Probes.Skew = func(CPUs) (Skew, error) { return s, nil }
		if got := outcome(t, h, "time.tsc_sync"); got.Status != Fail {
			t.Errorf("%+v: %s %s", s, got.Status, got.Reason)
		}
	}
	h.Probes.Skew = func(CPUs) (Skew, error) { return Skew{MaxNs: 90, CertainNs: 10}, nil }
	if got := outcome(t, h, "time.tsc_sync"); got.Status != Warn {
		t.Errorf("not known well enough: %s %s", got.Status, got.Reason)
	}
	if got := outcome(t, h, "cpu.freq"); got.Status != Fail || !strings.Contains(got.Reason, "core 9 fell to 2400") {
		t.Errorf("%s %s", got.Status, got.Reason)
	}
	guest := ownMachine(t, "vm")
	guest.Plan.Hot = CPUs{1}
	if got := outcome(t, guest, "cpu.freq"); got.Status != Skip {
		t.Errorf("a guest that nobody measures: %s %s", got.Status, got.Reason)
	}
	guest.Probes = h.Probes
	if got := outcome(t, guest, "cpu.freq"); got.Status != Warn || !strings.Contains(got.Reason, "virtual machine") {
		t.Errorf("a guest that is measured: %s %s", got.Status, got.Reason)
	}
	h.Probes.Frequency = func(CPUs) ([]CoreFrequency, error) { return nil, errors.New("no such core") }
	h.Probes.Skew = func(CPUs) (Skew, error) { return Skew{}, errors.New("no such core") }
	for _, id := range []string{"cpu.freq", "time.tsc_sync"} {
		if got := outcome(t, h, id); got.Status != Error || !strings.Contains(got.Reason, "no such core") {
			t.Errorf("%s: %s %s", id, got.Status, got.Reason)
		}
	}
}

func TestPTP4L(t *testing.T) {
	h := ownMachine(t, "mlx5")
	dir := "/proc/4242/task/4242/"
	set(t, h, dir+"stat", "4242 (ptp4l) S"+strings.Repeat(" 0", 50)+"\n")
	set(t, h, dir+"status", "Name:\tptp4l\nCpus_allowed_list:\t0\n")
	h.Refresh(noon)
	if got := outcome(t, h, "ptp.ptp4l"); got.Status != Note {
		t.Fatalf("it runs, and nobody can ask it: %s %s", got.Status, got.Reason)
	}
	good := PTP4L{Ports: []string{"SLAVE", "LISTENING"}, GMPresent: true, Grandmaster: "aabbcc.fffe.ddeeff", OffsetNs: -180}
	for _, tc := range []struct {
		name string
		said func(*PTP4L)
		err  error
		want Status
		part string
	}{
		{"as wanted", func(*PTP4L) {}, nil, Pass, ""},
		{"off", func(p *PTP4L) { p.OffsetNs = -201 }, nil, Fail, "-201 ns off"},
		{"its own master", func(p *PTP4L) { p.Ports = []string{"MASTER"} }, nil, Fail, "no port is SLAVE"},
		{"no ports", func(p *PTP4L) { p.Ports = nil }, nil, Fail, "no port is SLAVE"},
		{"lost", func(p *PTP4L) { p.GMPresent = false }, nil, Fail, "no grandmaster"},
		{"no socket", func(*PTP4L) {}, unix.ENOENT, Note, "has to be asked itself"},
		{"silent", func(*PTP4L) {}, errors.New("it does not answer"), Error, "does not answer"},
		{"no right", func(*PTP4L) {}, unix.EACCES, Error, "privilege"},
	} {
		p := good
		tc.said(&p)
		h.Refresh(noon)
		h.Probes.PTP4L = func(domain int) (PTP4L, error) { return p, tc.err }
		if got := outcome(t, h, "ptp.ptp4l"); got.Status != tc.want || !strings.Contains(got.Reason, tc.part) {
			t.Errorf("%s: %s %q, want %s with %q", tc.name, got.Status, got.Reason, tc.want, tc.part)
		}
	}
}

func TestSoftnet(t *testing.T) {
	rows := parseSoftnet("a b c\n\n1 2\nzz 3 4 0 0 0 0 0 0 0 0 0 zz\n1 ffffffff 00000002 0 0 0 0 0 0 0 0 0 00000005")
	if len(rows) != 3 || rows[2] != (softnet{5, 0xffffffff, 2}) || rows[1].cpu != 1 {
		t.Errorf("%+v", rows)
	}
	if o := softnetOver(rows[:1], rows); len(o) != 1 {
		t.Errorf("cores that were not there before: %+v", o)
	}
}

func FuzzSoftnet(f *testing.F) {
	f.Add("0001 0002 0003 0 0 0 0 0 0 0 0 0 0004\n")
	f.Fuzz(func(t *testing.T, text string) {
		rows := parseSoftnet(text)
		for _, o := range softnetOver(rows, rows) {
			if o.cpu < 0 || o.dropped > 1<<32 {
				t.Errorf("%+v", o)
			}
		}
	})
}
