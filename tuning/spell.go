package tuning

import "strings"

// How a change is written as commands depends on the machine: on its boot loader, and on what tells its interface from others.

const (
	grubFile  = "/etc/default/grub.d/90-feed-ticktune.cfg"
	linkNames = `NamePolicy=keep kernel database onboard slot path\nAlternativeNamesPolicy=database onboard slot path\nMACAddressPolicy=persistent\n`
)

// spell writes a change's commands as they are right here. tuning/apply does the same by its own means.
func (h *Host) spell(c *Change) {
	switch c.Kind {
	case CommandLine:
		h.spellBoot(c)
	case Link:
		h.spellLink(c)
	}
}

// spellBoot: a parameter that is there already is changed where it is. A second one would not always win, and some add up.
func (h *Host) spellBoot(c *Change) {
	arg := paramText(c.Target, c.Value, true)
	b := h.nextBoot()
	if b == nil {
		c.Command = "# " + quote(arg) + " on the kernel's command line: its boot loader is not known here"
		c.Undo = "# take " + quote(arg) + " off the kernel's command line again"
		return
	}
	value, there := lookup(b.params, c.Target)
	old := paramText(c.Target, value, true)
	change := func(file, then string) {
		c.Command = "sed -i " + quote("s|"+old+"|"+arg+"|") + " " + file + then
		c.Undo = "sed -i " + quote("s|"+arg+"|"+old+"|") + " " + file + then
	}
	switch {
	case strings.HasPrefix(b.source, "/boot/loader/"):
		c.Command, c.Undo = "grubby --update-kernel=ALL --args="+quote(arg), "grubby --update-kernel=ALL --remove-args="+quote(c.Target)
		if there {
			c.Undo = "grubby --update-kernel=ALL --args=" + quote(old)
		}
	case b.source == "/etc/kernel/cmdline":
		const then = " && kernel-install add $(uname -r) /lib/modules/$(uname -r)/vmlinuz"
		if change(b.source, then); !there {
			c.Command = "sed -i " + quote("s|$| "+arg+"|") + " " + b.source + then
			c.Undo = "sed -i " + quote("s| "+arg+"||") + " " + b.source + then
		}
	default:
		if change("/etc/default/grub", " && update-grub"); !there {
			c.Command = "echo " + quote(`GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT `+arg+`"`) + " >> " + grubFile + " && update-grub"
			c.Undo = "sed -i " + quote(`\|`+arg+`|d`) + " " + grubFile + " && update-grub"
		}
	}
}

// spellLink: the first .link file that matches is the only one, so ours has to say of names what systemd's own does; and it
// matches by what stays when the interface is renamed, as OriginalName= does not.
func (h *Host) spellLink(c *Change) {
	file, match := "/etc/systemd/network/90-feed-"+c.Target+".link", "OriginalName="+c.Target
	if bdf := h.bdf(c.Target); bdf != "" {
		match = "Path=pci-" + bdf
	}
	c.Command = "[ -e " + file + " ] || printf '[Match]\\n" + match + "\\n[Link]\\n" + linkNames + "' > " + file + "; echo " + c.Key + "=" + c.Value + " >> " + file
	c.Undo = "sed -i '/^" + c.Key + "=/d' " + file
}

// bdf is BDF without leaving evidence: it is about the remedy, not the finding.
func (h *Host) bdf(nic string) string {
	text, _ := h.quiet("/sys/class/net/" + nic + "/device/uevent")
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "PCI_SLOT_NAME="); ok && pciAddress.MatchString(v) {
			return v
		}
	}
	return ""
}

// netMatch is how a udev rule finds an interface when it appears: before it is renamed, so by its place on the bus.
func (h *Host) netMatch(nic string) string {
	if bdf := h.bdf(nic); bdf != "" {
		return `SUBSYSTEM=="net", KERNELS=="` + bdf + `"`
	}
	return `SUBSYSTEM=="net", KERNEL=="` + nic + `"`
}
