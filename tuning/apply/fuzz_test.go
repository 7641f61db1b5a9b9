package apply

import (
	"slices"
	"strings"
	"testing"

	"github.com/tickwire/tickwire/tuning"
)

// FuzzEntry: whatever a drop-in holds, an entry that is set is read as set, and when it is taken out again the file is as
// before, but for what our own files lose with their last entry.
func FuzzEntry(f *testing.F) {
	for _, text := range []string{"", "vm.swappiness = 60\n", header + "# kern.vmstat: vm.swappiness\nvm.swappiness = 60\n", "# x: vm.swappiness\n", "vm.swappiness=1\nvm.swappiness=2\n", "no end",
		header + "[Link]\nRxBufferSize=1\n", header + "[Match]\n[Link]\n[Other]\n", "w /sys/a - - - - 1\n", "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT skew_tick=0\"\n", "\x00\n\n"} {
		for kind := range 5 {
			f.Add(text, uint8(kind))
		}
	}
	h, err := tuning.Open(f.TempDir(), nil)
	if err != nil {
		f.Fatal(err)
	}
	m := &machine{h: h, root: h.Root}
	f.Fuzz(func(t *testing.T, text string, kind uint8) {
		var p place
		var err error
		switch kind % 5 {
		case 0:
			p, err = m.sysctlPlace("vm.swappiness")
		case 1:
			p, err = m.tmpfilesPlace("/sys/a")
		case 2:
			p, err = m.udevPlace("/sys/a", "b")
		case 3:
			p, err = m.linkPlace("eth0", "RxBufferSize")
		case 4:
			p = m.grubPlace("skew_tick")
		}
		if err != nil {
			t.Fatal(err)
		}
		e := p.(*entryPlace)
		e.check = "test"
		lines, err := e.split(text)
		if err != nil {
			return // it says so, and nothing is written
		}
		i, was, _ := e.find(lines)
		with, keep := e.edit(slices.Clone(lines), some("10"))
		if lines, err = e.split(with); err != nil || !keep {
			t.Fatalf("%q became %q: %v", text, with, err)
		}
		if n, v, _ := e.find(lines); n < 0 || v != "10" {
			t.Fatalf("line %d reads %q, want 10, in %q", n, v, with)
		}
		after, _ := e.edit(lines, Value{was, i >= 0})
		if lines, err = e.split(after); err != nil {
			t.Fatal(err)
		}
		if n, v, _ := e.find(lines); n >= 0 != (i >= 0) || v != was {
			t.Fatalf("line %d reads %q, was %q in line %d, in %q", n, v, was, i, after)
		}
		if i < 0 && !strings.HasPrefix(text, header) && after != text {
			t.Fatalf("it was %q, is %q", text, after)
		}
	})
}

// FuzzKernelLine: a parameter that is set in /etc/kernel/cmdline is read as set, and taking it out gives the line that was.
func FuzzKernelLine(f *testing.F) {
	for _, text := range []string{"", "root=/dev/sda1 quiet\n", "quiet -- single\n", "a=\"b c\" skew_tick=0 d", "skew_tick=0 skew_tick=1", `x="`, "skew-tick=1 y\n", " -- ", "skew_tick=01 x"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		was, err := one(tuning.ParseCommandLine(text), "skew_tick")
		if err != nil {
			return
		}
		with, err := setWord(text, "skew_tick", some("7"))
		if err != nil {
			return
		}
		if now, err := one(tuning.ParseCommandLine(with), "skew_tick"); err != nil || now != some("7") {
			t.Fatalf("reads %s (%v) in %q", now, err, with)
		}
		if after, err := setWord(with, "skew_tick", was); err != nil || after != text {
			t.Fatalf("it was %q, is %q (%v)", text, after, err)
		}
	})
}

// FuzzJournal: no journal makes a panic, and what it gives is in order.
func FuzzJournal(f *testing.F) {
	f.Add([]byte(`{"do":"begin","run":1,"time":"2026-01-02T03:04:05Z","boot_id":"x"}
{"do":"set","time":"2026-01-02T03:04:05Z","entry":{"id":1,"run":1,"time":"2026-01-02T03:04:05Z","boot_id":"x","kind":"file","target":"/proc/sys/vm/swappiness","old":"60","new":"10","method":"","risk":"r4","persistent":false}}
{"do":"undone","id":1,"time":"2026-01-02T03:04:05Z"}
{"do":"end","run":1,"time":"2026-01-02T03:04:05Z","text":"kept"}
`))
	f.Add([]byte(`{"do":"end","run":-1}` + "\n"))
	f.Add([]byte(`{"do":"set","entry":{"id":1,"run":7}}` + "\n"))
	f.Add([]byte("\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		j := &journal{}
		if j.replay(text, "x") != nil {
			return
		}
		before := 0
		for _, e := range j.entries {
			if e.ID <= before || e.ID > j.last || e.Run < 1 || e.Run > len(j.runs) {
				t.Fatalf("entry %d of run %d after %d", e.ID, e.Run, before)
			}
			before = e.ID
			_ = j.of(e.Run)
		}
		_ = j.pending("x")
	})
}

// FuzzMachine: files of a machine that its own interfaces and boot entries are told from.
func FuzzMachine(f *testing.F) {
	f.Add("Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\neth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\n",
		"00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth1\n",
		"title x\nlinux /vmlinuz\noptions root=x skew_tick=1 $kernelopts\n", `{"user":{"kernel_options":["a=1"]}}`)
	f.Add("eth0 0 0 0 0 0 0 ffffffff", "x ff", "options", "{")
	f.Fuzz(func(t *testing.T, v4, v6, bls, stub string) {
		for _, r := range parseRoutes(v4, v6) {
			if !r.to.IsValid() || r.nic == "" {
				t.Fatalf("route %v by %q", r.to, r.nic)
			}
		}
		e := parseEntry("a.conf", bls, v4)
		_, _ = one(tuning.ParseCommandLine(e.options), "skew_tick")
		_, _ = stubOptions(stub)
		_ = inGrubConfig(bls, "skew_tick=1")
	})
}
