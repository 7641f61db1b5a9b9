package tuning

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const pciDir = "/sys/bus/pci/devices/"

func pciChecks() []*Check {
	const section = "pcie"
	return []*Check{
		{ID: "pci.numa", Section: section, Title: "node of the NIC is known", Severity: Crit, NICs: true,
			Why: "without it nobody can put cores and memory near the NIC", Human: "the plan's cores on the NIC's node, another slot, or a firmware that tells", Look: lookPCINuma},
		{ID: "pci.link", Section: section, Title: "width and speed of the link", Severity: Crit, NICs: true,
			Why: "a link of half its width adds latency and loses bursts", Human: "another slot, seat the card again, BIOS (bifurcation)", Look: lookPCILink},
		{ID: "pci.payload", Section: section, Title: "payload and read request", Severity: Minor, Risk: R2, Bare: true, NICs: true, Want: ">=256", valid: validNumbers,
			Why: "small payloads mean more packets on the bus", Human: "BIOS; setpci changes it now, at your own risk", Look: lookPayload},
		{ID: "pci.aspm", Section: section, Title: "power saving of the link", Severity: Major, Risk: R1, Bare: true, NICs: true,
			Why: "leaving L1 takes µs", Human: "for good: BIOS, or pcie_aspm.policy=performance", Look: func(h *Host) Finding {
				return h.eachPCI(func(nic, bdf string) Finding {
					rule := `SUBSYSTEM=="pci", KERNEL=="` + bdf + `"`
					return h.settings(setting{path: pciDir + bdf + "/link/l0s_aspm", want: "0", udev: rule, attr: "link/"}, setting{path: pciDir + bdf + "/link/l1_aspm", want: "0", udev: rule, attr: "link/"},
						setting{path: pciDir + bdf + "/link/l1_1_aspm", want: "0", udev: rule, attr: "link/"}, setting{path: pciDir + bdf + "/link/l1_2_aspm", want: "0", udev: rule, attr: "link/"},
						setting{path: pciDir + bdf + "/link/clkpm", want: "0", udev: rule, attr: "link/"})
				})
			}},
		{ID: "pci.pm", Section: section, Title: "runtime power management", Severity: Minor, Risk: R1, NICs: true,
			Why: "a device that sleeps has to wake first", Look: func(h *Host) Finding {
				return h.eachPCI(func(nic, bdf string) Finding {
					return h.settings(setting{path: pciDir + bdf + "/power/control", want: "on", udev: `SUBSYSTEM=="pci", KERNEL=="` + bdf + `"`, attr: "power/"})
				})
			}},
		{ID: "pci.aer", Section: section, Title: "errors on the bus", Severity: Major, NICs: true,
			Why: "replays delay DMA, and errors come before failures", Human: "seat the card again, another slot, another card", Look: lookAER},
		{ID: "pci.iommu", Section: section, Title: "IOMMU of the NIC", Severity: Minor, Risk: R4, NICs: true,
			Why: "translation stands in the path of each DMA", Look: lookIOMMU},
	}
}

func lookPCINuma(h *Host) Finding {
	if len(h.Nodes()) < 2 {
		return skip("a single node")
	}
	return h.eachPCI(func(nic, bdf string) Finding {
		node, err := h.Int("/sys/class/net/" + nic + "/device/numa_node")
		if err != nil {
			return unread(err)
		}
		h.Read("/sys/class/net/" + nic + "/device/local_cpulist")
		if node < 0 {
			return Finding{Status: Warn, Effective: valueOf(node), Want: "a node", Reason: "the firmware does not tell", Human: h.check.Human}
		}
		if h.Plan.Named() {
			if at := h.NodeOf(h.Plan.Hot[0]); at >= 0 && at != node {
				return deviates(node, fmt.Sprintf("%d, the node of HOT", at), fmt.Sprintf("HOT is on node %d", at))
			}
		}
		return pass(node, "the node of HOT")
	})
}

var bdfRE = regexp.MustCompile(`^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$`)

// upstream are a device and the ports above it, from the bus's folders.
func (h *Host) upstream(bdf string) (all []string) {
	all = []string{bdf}
	full, err := filepath.EvalSymlinks(h.path(pciDir + bdf))
	if err != nil {
		return all
	}
	for dir := filepath.Dir(full); bdfRE.MatchString(filepath.Base(dir)); dir = filepath.Dir(dir) {
		all = append(all, filepath.Base(dir))
	}
	return all
}

func lookPCILink(h *Host) Finding {
	return h.eachPCI(func(nic, bdf string) Finding {
		var shown, wrong []string
		for i, dev := range h.upstream(bdf) {
			var v [4]string
			var err error
			for k, name := range []string{"current_link_speed", "current_link_width", "max_link_speed", "max_link_width"} {
				if v[k], err = h.Read(pciDir + dev + "/" + name); err != nil {
					break
				}
			}
			if err != nil {
				if i == 0 {
					return unread(err)
				}
				continue // a root port need not tell
			}
			if strings.HasPrefix(v[0], "Unknown") || v[1] == "0" {
				if i == 0 {
					return skip("the bus does not tell (%s, width %s)", v[0], v[1])
				}
				continue
			}
			text := fmt.Sprintf("%s: %s x%s of %s x%s", dev, v[0], v[1], v[2], v[3])
			// Links have two ends, and a port may be able to more than what is in it: the lower end judges, which is the card,
			// then each switch on the way up.
			if i%2 != 0 {
				continue
			}
			shown = append(shown, text)
			if v[0] != v[2] || v[1] != v[3] {
				wrong = append(wrong, text)
			}
		}
		if len(wrong) > 0 {
			return deviates(strings.Join(shown, ", "), "all that the card can", someOf(wrong))
		}
		return pass(strings.Join(shown, ", "), "all that the card can")
	})
}

// pcieControl finds the device control register of the PCI Express capability (number 0x10) in configuration space.
func pcieControl(config []byte) (uint16, bool) {
	if len(config) < 64 {
		return 0, false
	}
	at := int(config[0x34] &^ 3)
	for tries := 0; at >= 64 && at+10 <= len(config) && tries < 48; tries++ { // the list may lead in circles
		if config[at] == 0x10 {
			return binary.LittleEndian.Uint16(config[at+8:]), true
		}
		at = int(config[at+1] &^ 3)
	}
	return 0, false
}

func lookPayload(h *Host) Finding {
	return h.eachPCI(func(nic, bdf string) Finding {
		if b, err := h.fresh(pciDir + bdf + "/config"); err == nil && len(b) <= 64 {
			h.record(pciDir+bdf+"/config", "", fmt.Errorf("only %d bytes without root", len(b)))
			return Finding{Status: Error, Reason: "needs privilege: configuration space beyond 64 bytes is shown to root only"}
		}
		b, err := h.ReadAt(pciDir+bdf+"/config", 0, 256)
		if err != nil {
			return unread(err)
		}
		control, ok := pcieControl(b)
		if !ok {
			return skip("no PCI Express capability")
		}
		mps, mrrs := 128<<(control>>5&7), 128<<(control>>12&7)
		text := fmt.Sprintf("payload %d, read request %d", mps, mrrs)
		if !meets(strconv.Itoa(mps), h.want) {
			return deviates(text, "payload "+h.want, "payload "+strconv.Itoa(mps))
		}
		return pass(text, "payload "+h.want)
	})
}

// aerTotal is the line "TOTAL_ERR_COR 7" of a device's counters.
func aerTotal(text string) (n uint64) {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) == 2 && strings.HasPrefix(f[0], "TOTAL") {
			n, _ = strconv.ParseUint(f[1], 10, 64)
		}
	}
	return n
}

func lookAER(h *Host) Finding {
	return h.eachPCI(func(nic, bdf string) Finding {
		var wrong, newly []string
		seen := 0
		for _, kind := range []string{"correctable", "nonfatal", "fatal"} {
			name := pciDir + bdf + "/aer_dev_" + kind
			text, err := h.Read(name)
			if err != nil {
				if unread(err).Status == Error {
					return unread(err)
				}
				continue
			}
			seen++
			n := aerTotal(text)
			if n > 0 {
				wrong = append(wrong, fmt.Sprintf("%s %d", kind, n))
			}
			if was, ok := h.wasText(name); ok && n > aerTotal(was) {
				newly = append(newly, fmt.Sprintf("%s %d", kind, n-aerTotal(was)))
			}
		}
		if seen == 0 {
			return unread(&missingError{"aer_dev_correctable"})
		}
		slices.Sort(wrong)
		if over := h.interval(); over != "" {
			slices.Sort(newly)
			if len(newly) > 0 {
				return deviates(strings.Join(newly, ", "), "none", strings.Join(newly, ", ")+" in "+over)
			}
			return pass("none in "+over, "none")
		}
		if len(wrong) > 0 {
			// As with lost packets: since when, nobody knows.
			return Finding{Status: Warn, Effective: Value{Raw: strings.Join(wrong, ", ")}, Want: "none", Reason: strings.Join(wrong, ", ") + " since boot; --for tells new ones", Human: h.check.Human}
		}
		return pass("none since boot", "none")
	})
}
