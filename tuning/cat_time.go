package tuning

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func timeChecks() []*Check {
	const section = "time"
	return []*Check{
		{ID: "time.clocksource", Section: section, Title: "clock source", Severity: Crit, Risk: R1, Uncontained: true,
			Why: "hpet and acpi_pm take a µs a reading, and cores wait for each other", Look: lookClocksource},
		{ID: "time.tsc_sync", Section: section, Title: "counters of the cores agree", Severity: Major,
			Why: "time would go back when a thread reads another core's", Human: "BIOS update", Look: lookTSCSync},
		{ID: "time.single", Section: section, Title: "one steers the clock", Severity: Major, Risk: R2, Uncontained: true,
			Why: "without a daemon the clock drifts, and two pull it to and fro", Human: "keep one; the clock may step when another takes over", Look: lookSingle},
		{ID: "time.sanity", Section: section, Title: "the clock is synchronised", Severity: Major,
			Why: "records carry its time", Human: "look at chronyc tracking, or pmc", Look: lookSanity},
		{ID: "time.leap", Section: section, Title: "leap seconds", Severity: Info, Why: "conversions to UTC change with it", Look: func(h *Host) Finding {
			t, err := Ask[Adjtimex](h, "", "adjtimex")
			if err != nil {
				return unread(err)
			}
			switch {
			case t.Status&staIns != 0:
				return note("one is inserted at the end of the day", "announce it")
			case t.Status&staDel != 0:
				return note("one is deleted at the end of the day", "announce it")
			}
			return pass("none pending", "none pending")
		}},
		{ID: "time.irq", Section: section, Title: "time daemons on housekeeping", Severity: Minor, Risk: R1, Planned: true,
			Why: "they wake up many times a second", Human: "for good: CPUAffinity= in their units", Look: lookTimeIRQ},
		{ID: "ptp.phc", Section: section, Title: "clock of the NIC", Severity: Major, NICs: true,
			Why: "without it there are no hardware stamps", Human: "a NIC with a PTP hardware clock that stamps all packets", Look: lookPHC},
		{ID: "ptp.rxfilter", Section: section, Title: "all packets are stamped", Severity: Crit, Risk: R2, NICs: true,
			Why: "a filter for PTP only leaves market data without stamps", Human: "for good: hwts_filter full in ptp4l.conf", Look: lookRxFilter},
		{ID: "ptp.ptp4l", Section: section, Title: "ptp4l", Severity: Crit, Risk: R2, NICs: true, Want: "<=200", valid: validNumbers,
			Why: "somebody has to keep the NIC's clock", Human: "start ptp4l for the interface; ticktune ptp tells how it does", Look: lookPTP4L},
		{ID: "ptp.phc2sys", Section: section, Title: "NIC's clock and the system's", Severity: Major, Risk: R2, NICs: true,
			Why: "stamps and the lane's clock have to be comparable", Human: "phc2sys -a -r, or chrony with the PHC as reference", Look: lookPHC2Sys},
		{ID: "ptp.tai", Section: section, Title: "offset of TAI", Severity: Crit, Risk: R1, Uncontained: true, Want: "37", valid: validNumbers,
			Why: "a NIC's clock in TAI is taken for 37 s off when the kernel's offset is 0", Human: "ptp4l with phc2sys, or chrony with leapsectz right/UTC, sets it", Look: lookTAI},
	}
}

// Bits of adjtimex's status (linux/timex.h).
const (
	staIns    = 0x10
	staDel    = 0x20
	staUnsync = 0x40
)

const clockDir = "/sys/devices/system/clocksource/clocksource0/"

func lookClocksource(h *Host) Finding {
	now, err := h.Read(clockDir + "current_clocksource")
	if err != nil {
		return unread(err)
	}
	if now == "" {
		return Finding{Status: Error, Reason: clockDir + "current_clocksource is empty"}
	}
	others, _ := h.Read(clockDir + "available_clocksource")
	virt := h.Virt()
	good := []string{"tsc", "arch_sys_counter"}
	switch {
	case slices.Contains(good, now):
		return pass(now, "tsc")
	case virt != "" && (now == "kvm-clock" || strings.HasPrefix(now, "hyperv")):
		return Finding{Status: Warn, Effective: Value{Raw: now}, Want: "tsc", Reason: now + " is the hypervisor's: tolerable in a guest", Human: "ask for an invariant TSC in the guest"}
	}
	f := deviates(now, "tsc", now)
	if slices.Contains(strings.Fields(others), "tsc") {
		f.Changes = []Change{setFile(clockDir+"current_clocksource", "tsc", now, R1), setBoot("clocksource", "tsc", R3)}
	} else {
		f.Human = "the kernel does not offer the TSC: look at its log for the reason, then at the BIOS"
	}
	if virt != "" {
		f.bad, f.Status = false, Warn
	}
	return f
}

func lookTSCSync(h *Host) Finding {
	info, err := h.quiet("/proc/cpuinfo")
	if err != nil {
		return unread(err)
	}
	flags := strings.Fields(cpuField(info, "flags"))
	if len(flags) == 0 {
		return skip("no TSC: not an x86 processor")
	}
	var has []string
	for _, f := range []string{"constant_tsc", "nonstop_tsc", "tsc_known_freq"} {
		if slices.Contains(flags, f) {
			has = append(has, f)
		}
	}
	h.record("/proc/cpuinfo flags", strings.Join(has, " "), nil)
	others, _ := h.Read(clockDir + "available_clocksource")
	text := strings.Join(has, " ")
	const want = "constant_tsc nonstop_tsc"
	f := pass(text, want)
	switch {
	case !slices.Contains(has, "constant_tsc") || !slices.Contains(has, "nonstop_tsc"):
		f = deviates(text, want, "this TSC changes its pace")
	case others != "" && !slices.Contains(strings.Fields(others), "tsc"):
		f = deviates(text, want, "the kernel found it unstable: it is no clock source any more")
	case h.Probes.Skew != nil:
		return h.skewProbed(text)
	default:
		f.Reason = "by its flags; the skew is measured with --measure"
	}
	if f.bad && h.Virt() != "" {
		f.bad, f.Status = false, Warn
	}
	return f
}

// skewLimitNs is how far counters of two cores may be apart.
const skewLimitNs = 50

// skewProbed judges counters by what cores told each other: the plan's, or all.
func (h *Host) skewProbed(flags string) Finding {
	cores := h.Plan.Busy()
	if len(cores) < 2 {
		cores = h.Online()
	}
	if len(cores) < 2 {
		return pass(flags+", one core", "one core agrees with itself")
	}
	s, err := h.Probes.Skew(cores)
	h.record("measured: counters of "+cores.String(), fmt.Sprintf("%.0f ns apart, %.0f for certain, %d times backwards", s.MaxNs, s.CertainNs, s.Backwards), err)
	if err != nil {
		return Finding{Status: Error, Reason: err.Error()}
	}
	text, want := fmt.Sprintf("%s, %.0f ns apart", flags, s.MaxNs), fmt.Sprintf("less than %d ns apart, never backwards", skewLimitNs)
	switch {
	case s.Backwards > 0:
		return deviates(text, want, fmt.Sprintf("%d times a core's counter was behind another's where it cannot have been", s.Backwards))
	case s.CertainNs >= skewLimitNs:
		return deviates(text, want, fmt.Sprintf("%.0f ns apart for certain", s.CertainNs))
	case s.MaxNs >= skewLimitNs:
		return Finding{Status: Warn, Effective: Value{Raw: text}, Want: want, Human: "measure again when nothing else runs on these cores (in a virtual machine: on its host)",
			Reason: fmt.Sprintf("certain are %.0f ns only: lines between these cores were too slow to tell", s.CertainNs)}
	}
	return pass(text, want)
}

// steering are daemons that may steer CLOCK_REALTIME.
var steering = []string{"chronyd", "ntpd", "systemd-timesyncd", "phc2sys", "timemaster", "sfptpd", "openntpd"}

func lookSingle(h *Host) Finding {
	if _, err := h.Tasks(); err != nil {
		return unread(err)
	}
	found := h.Running(steering...)
	names := []string{}
	for _, t := range found {
		names = append(names, t.Name)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if slices.Contains(names, "timemaster") {
		names = []string{"timemaster"} // it starts the others
	}
	text := strings.Join(names, ", ")
	switch len(names) {
	case 1:
		return pass(text, "exactly one")
	case 0:
		f := deviates("none", "exactly one", "nobody steers the clock")
		f.Human = "start one: chronyd, or ptp4l with phc2sys; not needed where a host keeps its guests' time"
		return f
	}
	f := deviates(text, "exactly one", text+" run side by side")
	if slices.Contains(names, "chronyd") && slices.Contains(names, "phc2sys") {
		f.Human = "right only where phc2sys goes from the system to the NIC's clocks; else keep one"
	}
	return f
}

func lookSanity(h *Host) Finding {
	t, err := Ask[Adjtimex](h, "", "adjtimex")
	if err != nil {
		return unread(err)
	}
	text := fmt.Sprintf("offset %d ns, frequency %+.3f ppm, max error %d µs", t.OffsetNs, float64(t.FreqPPB)/1000, t.MaxErrUs)
	if t.Status&staUnsync != 0 || t.State == 5 {
		f := deviates(text, "synchronised", "the kernel says that it is not (STA_UNSYNC)")
		if h.Virt() != "" {
			f.Reason += "; the host may keep a guest's time without telling"
		}
		return f
	}
	return pass(text, "synchronised")
}

func lookTimeIRQ(h *Host) Finding {
	if _, err := h.Tasks(); err != nil {
		return unread(err)
	}
	found := h.Running(append([]string{"ptp4l", "ts2phc"}, steering...)...)
	if len(found) == 0 {
		return skip("no daemon runs")
	}
	var wrong []string
	var changes []Change
	for _, t := range found {
		if left := t.Allowed.And(h.Plan.Busy()); len(left) > 0 {
			wrong = append(wrong, t.Name+" may run on "+left.String())
			changes = append(changes, setAffinity(t, h.HK(), R1))
		}
	}
	text := strings.Join(taskNames(found), ", ")
	if len(wrong) > 0 {
		return deviates(text, "within "+h.HK().String(), strings.Join(wrong, "; "), changes...)
	}
	return pass(text, "within "+h.HK().String())
}

// Bits of SOF_TIMESTAMPING_* and of the filters (linux/net_tstamp.h).
const (
	stampRxHardware  = 4
	stampRawHardware = 64
	filterAll        = 1 << 1
)

func lookPHC(h *Host) Finding {
	return h.eachNIC(func(nic string) Finding {
		s, err := Ask[Stamping](h, nic, "stamping")
		if err != nil {
			return unread(err)
		}
		if s.PHC < 0 {
			return skip("no PTP hardware clock: stamps come from the kernel")
		}
		text := fmt.Sprintf("ptp%d", s.PHC)
		const want = "hardware stamps of all packets"
		switch {
		case s.Modes&stampRxHardware == 0 || s.Modes&stampRawHardware == 0:
			return deviates(text, want, "no hardware stamps on receipt")
		case s.Filters&filterAll == 0:
			return deviates(text, want, "only some packets can be stamped")
		}
		return pass(text+", all packets", want)
	})
}

// stamped skips checks of hardware time where there is none, or none is planned.
func (h *Host) stamped(nic string) (Stamping, *Finding) {
	s, err := Ask[Stamping](h, nic, "stamping")
	var f Finding
	switch {
	case !h.Plan.HardwareTime:
		f = skip("the plan does not want hardware time")
	case err != nil:
		f = unread(err)
	case s.PHC < 0:
		f = skip("no PTP hardware clock")
	default:
		return s, nil
	}
	return s, &f
}

func lookRxFilter(h *Host) Finding {
	return h.eachNIC(func(nic string) Finding {
		if _, f := h.stamped(nic); f != nil {
			return *f
		}
		t, err := Ask[HWTstamp](h, nic, "hwtstamp")
		if err != nil {
			return unread(err)
		}
		text := fmt.Sprintf("rx_filter %d", t.RxFilter)
		if t.RxFilter == 1 {
			return pass(text, "1 (all)")
		}
		return deviates(text, "1 (all)", text, Change{Kind: Ethtool, Target: nic, Key: "hwtstamp.rx_filter", Value: "1", Old: strconv.Itoa(t.RxFilter), Risk: R2, NIC: nic,
			Command: "hwstamp_ctl -i " + nic + " -r 1", Undo: fmt.Sprintf("hwstamp_ctl -i %s -r %d", nic, t.RxFilter)})
	})
}

// ptp4l asks it, by the means that this host has: once a look, whatever the interfaces.
func (h *Host) ptp4l() (PTP4L, error) {
	if h.ptp == nil {
		said, err := h.askPTP4L()
		h.ptp = &ptpAnswer{said, err}
	}
	return h.ptp.said, h.ptp.err
}

type ptpAnswer struct {
	said PTP4L
	err  error
}

func (h *Host) askPTP4L() (PTP4L, error) {
	said, err := Ask[PTP4L](h, "", "ptp4l:"+strconv.Itoa(h.Plan.PTPDomain))
	if errors.Is(err, unix.EOPNOTSUPP) && h.Probes.PTP4L != nil {
		said, err = h.Probes.PTP4L(h.Plan.PTPDomain)
		text, _ := json.Marshal(said)
		h.record(fmt.Sprintf("ptp4l, domain %d: TIME_STATUS_NP, PARENT_DATA_SET, PORT_DATA_SET", h.Plan.PTPDomain), string(text), err)
	}
	return said, err
}

// judgePTP4L wants a port that follows a grandmaster, near enough: limit is in ns.
func judgePTP4L(limit string, said PTP4L) Finding {
	text := fmt.Sprintf("ports %s, grandmaster %s, %+d ns", strings.Join(said.Ports, " "), said.Grandmaster, said.OffsetNs)
	want := "a port SLAVE, a grandmaster, offset " + limit + " ns"
	switch {
	case !slices.Contains(said.Ports, "SLAVE"):
		return deviates(text, want, "no port is SLAVE: it follows nobody")
	case !said.GMPresent:
		return deviates(text, want, "no grandmaster is present")
	case !meets(strconv.FormatInt(abs(said.OffsetNs), 10), limit):
		return deviates(text, want, fmt.Sprintf("%+d ns off its master", said.OffsetNs))
	}
	return pass(text, want)
}

func lookPTP4L(h *Host) Finding {
	return h.eachNIC(func(nic string) Finding {
		if _, f := h.stamped(nic); f != nil {
			return *f
		}
		if _, err := h.Tasks(); err != nil {
			return unread(err)
		}
		found := h.Running("ptp4l", "timemaster", "sfptpd")
		if len(found) == 0 {
			return deviates("not running", "running, port SLAVE", "nobody keeps the NIC's clock")
		}
		if said, err := h.ptp4l(); err == nil {
			return judgePTP4L(h.want, said)
		} else if f := unread(err); f.Status != Skip {
			f.Effective, f.Want = valueOf(found[0].Name+" runs"), "running, port SLAVE"
			return f
		}
		f := note(found[0].Name+" runs", "whether its port is SLAVE it has to be asked itself: pmc -u -b 0 'GET TIME_STATUS_NP' 'GET PORT_DATA_SET'")
		f.Want = "running, port SLAVE"
		return f
	})
}

func lookPHC2Sys(h *Host) Finding {
	return h.eachNIC(func(nic string) Finding {
		s, f := h.stamped(nic)
		if f != nil {
			return *f
		}
		p, err := Ask[PHC](h, "", "phc:"+strconv.Itoa(s.PHC))
		if err != nil {
			return unread(err)
		}
		t, err := Ask[Adjtimex](h, "", "adjtimex")
		if err != nil {
			return unread(err)
		}
		// A PHC keeps TAI as a rule, UTC where a daemon was told so.
		off := p.OffsetNs - int64(t.TAI)*1e9
		if abs(p.OffsetNs) < abs(off) {
			off = p.OffsetNs
		}
		text := fmt.Sprintf("%+d ns (read in %d ns)", off, p.WindowNs)
		if abs(off) < 1000+p.WindowNs/2 {
			return pass(text, "within 1 µs")
		}
		return deviates(text, "within 1 µs", text)
	})
}

func abs(n int64) int64 { return max(n, -n) }

func lookTAI(h *Host) Finding {
	t, err := Ask[Adjtimex](h, "", "adjtimex")
	if err != nil {
		return unread(err)
	}
	v := strconv.Itoa(t.TAI)
	if meets(v, h.want) {
		f := pass(v, h.want)
		f.Unit = "s"
		return f
	}
	f := deviates(v, h.want, "the kernel takes TAI for UTC + "+v+" s")
	f.Unit = "s"
	if !h.Plan.HardwareTime && t.TAI == 0 {
		f.bad, f.Status = false, Warn
		f.Reason += "; the plan wants no hardware time"
		f.Human = h.check.Human
	}
	return f
}
