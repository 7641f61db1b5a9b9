package tuning

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// The parsers read what files of a machine hold, and what a person wrote: none may panic, hang or give a set that is none.

func FuzzCPUs(f *testing.F) {
	for _, s := range []string{"", "(null)", "0-3,8", "0-31:2/4", "all", "N", "domain,managed_irq,2-5", "5-3", "-1", "0-99999999", "1,1,1", "0-7:0/0", "N-N"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, boot := range []bool{false, true} {
			var set CPUs
			var err error
			if boot {
				set, _, err = ParseBootCPUs(s, CPUs{0, 1, 2, 3})
			} else {
				set, err = ParseCPUs(s)
			}
			if err != nil {
				continue
			}
			if !slices.IsSorted(set) || len(set) > 0 && (set[0] < 0 || set[len(set)-1] >= maxCPU) {
				t.Fatalf("%q gives %v", s, set)
			}
			again, err := ParseCPUs(set.String())
			if err != nil || !slices.Equal(again, set) {
				t.Fatalf("%q: %v is written %q and read as %v (%v)", s, set, set, again, err)
			}
		}
	})
}

func FuzzMask(f *testing.F) {
	for _, s := range []string{"", "f", "00000000,0000000f", "ffffffffffffffff", "1,1", "x", "0x3", strings.Repeat("0,", 600) + "1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		set, err := ParseMask(s)
		if err != nil {
			return
		}
		again, err := ParseMask(set.Mask())
		if err != nil || !slices.Equal(again, set) {
			t.Fatalf("%q: %v is written %q and read as %v (%v)", s, set, set.Mask(), again, err)
		}
	})
}

func FuzzCommandLine(f *testing.F) {
	for _, s := range []string{"", "root=/dev/sda1 quiet", `a="b c" d -- init=1`, `x="`, "--", "=", "a=b=c", "isolcpus=1 isolcpus=2", "GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX a\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, p := range ParseCommandLine(s) {
			if p.Name == "--" || strings.Contains(p.Name, "=") {
				t.Fatalf("%q gives %q", s, p)
			}
		}
		grubDefaults(s)
	})
}

func FuzzInterrupts(f *testing.F) {
	f.Add("           CPU0       CPU1\n 24:   1   0  IO-APIC   5-edge  ACPI:Ged\nERR:  0\n")
	f.Add("CPU0 CPU9\n1: 2")
	f.Add("CPU0\n: : :")
	f.Fuzz(func(t *testing.T, s string) {
		in, err := ParseInterrupts(s)
		if err != nil {
			return
		}
		for _, r := range in.Rows {
			if len(r.Counts) > len(in.CPUs) {
				t.Fatalf("row %q has %d columns of %d", r.Name, len(r.Counts), len(in.CPUs))
			}
			irqQueue(r.What)
		}
	})
}

func FuzzStat(f *testing.F) {
	f.Add("15 (rcuog/0) I 2 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0 18446744073709551615 0 0 0 0 0 0 0 2147483647 0 0 0 0 17 3 0 0 0 0 0")
	f.Add("1 (a) b (c) S 1")
	f.Add(")(")
	f.Fuzz(func(t *testing.T, s string) {
		parseStat(s)
		statusField(s, "CapEff")
		softLimit(s, "Max")
		igmpGroups(s)
	})
}

func FuzzPlan(f *testing.F) {
	for _, s := range []string{"", "hot = '4-7'\nnapi = '8'", "[[interface]]\nname = 'eth2'\nqueues = [1]\ngroups = ['233.54.12.11:26477']", "[check.'nic.rings']\nwant = '1-2|>=9'",
		"[[waiver]]\ncheck = 'cpu.smt'\nreason = 'r'\nowner = 'o'\nexpires = 2027-01-31"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePlan([]byte(s))
		if err != nil {
			return
		}
		if len(p.Digest()) != 64 {
			t.Fatal("no digest")
		}
		for _, i := range p.Interfaces {
			if strings.Contains(i.Name, "/") || i.Name == ".." {
				t.Fatalf("interface %q", i.Name)
			}
		}
		if _, err := json.Marshal(p); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzWant(f *testing.F) {
	for _, w := range []string{"0", "<=10", ">=1", "1024-4096", "-1", "0|1", "performance", "", "-5-3", "9223372036854775807"} {
		f.Add(w, "7")
	}
	f.Fuzz(func(t *testing.T, want, value string) {
		meets(value, want)
		if validNumbers(want) == nil && !meets(toSet(want), want) {
			t.Fatalf("to meet %q, %q is written, which does not", want, toSet(want))
		}
	})
}

func FuzzDriverBytes(f *testing.F) {
	f.Add(make([]byte, 256))
	f.Add([]byte{0x34: 0x40, 0x40: 0x10, 0x48: 0x20, 0x49: 0x29, 0xff: 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		pcieControl(b)
		auditMessage(b)
		if len(b) >= 168 {
			parseRule(b, 0)
		}
	})
}
