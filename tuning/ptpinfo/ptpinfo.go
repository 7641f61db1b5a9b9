package ptpinfo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/tickwire/tickwire/tuning"
)

// Schema names the layout of a Report as JSON.
const Schema = "ticktune.ptp/1"

// Report is how time comes into the machine.
type Report struct {
	Schema  string   `json:"schema"`
	Virtual bool     `json:"virtual_machine"` // a hypervisor may keep the time
	System  System   `json:"system"`
	Clocks  []Clock  `json:"clocks"`                  // the PTP hardware clocks
	NICs    []NIC    `json:"nics"`                    // that can stamp, or were asked for
	Servers []Server `json:"servers"`                 // ptp4l, by its sockets
	Daemons []Daemon `json:"daemons"`                 // that keep clocks
	Unseen  string   `json:"daemons_error,omitempty"` // why other users' processes cannot be seen
	Lines   []Line   `json:"log"`                     // what they said last
	Notes   []string `json:"notes"`                   // what is not as it should be
}

// System is CLOCK_REALTIME.
type System struct {
	Source       string `json:"clocksource"`
	Synchronised bool   `json:"synchronised"`
	TAI          int    `json:"tai_offset_s"` // 0: the kernel does not know
	OffsetNs     int64  `json:"offset_ns"`    // that is still to be made good
	FreqPPB      int64  `json:"freq_ppb"`
	MaxErrUs     int64  `json:"maxerror_us"`
	Error        string `json:"error,omitempty"`
}

// Clock is a /dev/ptpN.
type Clock struct {
	Index    int      `json:"index"`
	Name     string   `json:"name"`
	NICs     []string `json:"nics"`
	OffsetNs int64    `json:"offset_ns"` // less CLOCK_REALTIME
	WindowNs int64    `json:"window_ns"` // the reading took so long: the offset is true to half of it
	Scale    string   `json:"scale"`     // TAI, UTC, or neither: what it is near to
	AwayNs   int64    `json:"away_ns"`   // from that scale, as the system's clock has it
	Error    string   `json:"error,omitempty"`
}

// NIC is what an interface can stamp.
type NIC struct {
	Name   string `json:"name"`
	Clock  int    `json:"phc"` // -1: it has none
	All    bool   `json:"stamps_all"`
	Some   bool   `json:"stamps_ptp"`
	Filter int    `json:"rx_filter"` // 1: all packets are stamped now; -1: not told
	Error  string `json:"error,omitempty"`
}

// Daemon is a process that keeps clocks.
type Daemon struct {
	Name string   `json:"name"`
	PID  int      `json:"pid"`
	Args []string `json:"args,omitempty"`
}

// Options of a look. The zero value works.
type Options struct {
	NICs    []string // only these. The default is all that can stamp or have a clock.
	Sockets []string // of ptp4l. The default is what its processes' options say, else /var/run/ptp4l, and /var/run/ptp4lro for those who may only read.
	Domain  int      // of PTP; -1: as its processes' options say, else 0. The default is 0.
	Log     string   // a log's text, in place of those of /var/log
}

// logs are where distributions have what ptp4l and its kin say.
var logs = []string{"/var/log/syslog", "/var/log/messages", "/var/log/daemon.log", "/var/log/ptp4l.log", "/var/log/phc2sys.log", "/var/log/ptp4l", "/var/log/phc2sys"}

// logTail is how much of a log is read, in bytes.
const logTail = 1 << 20

// keepers are daemons that keep a clock, the system's or a NIC's.
var keepers = []string{"ptp4l", "phc2sys", "ts2phc", "timemaster", "chronyd", "ntpd", "openntpd", "systemd-timesyncd", "sfptpd"}

// Look tells how time comes in. What cannot be seen is told in its place; the error is ctx's.
func Look(ctx context.Context, h *tuning.Host, o Options) (*Report, error) {
	r := &Report{Schema: Schema, Virtual: h.Virt() != "", Clocks: []Clock{}, NICs: []NIC{}, Servers: []Server{}, Daemons: []Daemon{}, Lines: []Line{}, Notes: []string{}}
	r.system(h)
	r.nics(h, o.NICs)
	r.clocks(h)
	config := r.daemons(h)
	if o.Domain < 0 {
		o.Domain = config.domain
	}
	if len(o.Sockets) == 0 {
		o.Sockets = config.sockets
	}
	if err := r.servers(ctx, h, o); err != nil {
		return nil, err
	}
	if o.Log != "" {
		r.Lines = Last(o.Log)
	} else {
		for _, name := range logs {
			if text, err := h.Tail(name, logTail); err == nil {
				r.Lines = append(r.Lines, Last(text)...)
			}
		}
	}
	r.judge()
	return r, ctx.Err()
}

func (r *Report) system(h *tuning.Host) {
	r.System.Source, _ = h.Read("/sys/devices/system/clocksource/clocksource0/current_clocksource")
	t, err := tuning.Ask[tuning.Adjtimex](h, "", "adjtimex")
	if err != nil {
		r.System.Error = tuning.Reason(err)
		return
	}
	const unsync, stateError = 0x40, 5
	r.System.Synchronised = t.Status&unsync == 0 && t.State != stateError
	r.System.TAI, r.System.OffsetNs, r.System.FreqPPB, r.System.MaxErrUs = t.TAI, t.OffsetNs, t.FreqPPB, t.MaxErrUs
}

func (r *Report) nics(h *tuning.Host, only []string) {
	names := only
	if len(only) == 0 {
		names, _ = h.Faces()
	}
	for _, name := range names {
		n := NIC{Name: name, Clock: -1, Filter: -1}
		s, err := tuning.Ask[tuning.Stamping](h, name, "stamping")
		if err == nil {
			const rxHardware, rawHardware = 1 << 2, 1 << 6
			hardware := s.Modes&rxHardware != 0 && s.Modes&rawHardware != 0
			n.Clock, n.All, n.Some = s.PHC, hardware && s.Filters&2 != 0, hardware && s.Filters>>2 != 0
			if t, err := tuning.Ask[tuning.HWTstamp](h, name, "hwtstamp"); err == nil {
				n.Filter = t.RxFilter
			}
		} else {
			n.Error = tuning.Reason(err)
		}
		if len(only) > 0 || n.Clock >= 0 || n.All || n.Some {
			r.NICs = append(r.NICs, n)
		}
	}
}

// maxClocks bounds a look.
const maxClocks = 256

func (r *Report) clocks(h *tuning.Host) {
	found := map[int]bool{}
	for _, dir := range h.Glob("/sys/class/ptp/ptp*") {
		if n, err := strconv.Atoi(strings.TrimPrefix(path.Base(dir), "ptp")); err == nil && n >= 0 {
			found[n] = true
		}
	}
	for _, n := range r.NICs {
		if n.Clock >= 0 {
			found[n.Clock] = true
		}
	}
	for i := range found {
		if len(r.Clocks) < maxClocks {
			r.Clocks = append(r.Clocks, r.clock(h, i))
		}
	}
	slices.SortFunc(r.Clocks, func(a, b Clock) int { return a.Index - b.Index })
}

func (r *Report) clock(h *tuning.Host, index int) Clock {
	c := Clock{Index: index, NICs: []string{}}
	c.Name, _ = h.Read(fmt.Sprintf("/sys/class/ptp/ptp%d/clock_name", index))
	for _, n := range r.NICs {
		if n.Clock == index {
			c.NICs = append(c.NICs, n.Name)
		}
	}
	p, err := tuning.Ask[tuning.PHC](h, "", "phc:"+strconv.Itoa(index))
	if err != nil {
		c.Error = tuning.Reason(err)
		return c
	}
	c.OffsetNs, c.WindowNs = p.OffsetNs, p.WindowNs
	c.Scale, c.AwayNs = scale(p.OffsetNs, r.System.TAI)
	return c
}

// nearNs is how near a clock must be to a scale to be on it: it may drift, but leap seconds lie between TAI and UTC.
const nearNs = 400_000_000

// taiNow is TAI less UTC since 2017, for kernels that were not told.
const taiNow = 37

// scale tells which time a clock keeps, and how far it is from that.
func scale(offsetNs int64, tai int) (name string, away int64) {
	if tai == 0 {
		tai = taiNow
	}
	fromTAI := offsetNs - int64(tai)*1e9
	switch {
	case near(offsetNs):
		return "UTC", offsetNs
	case near(fromTAI):
		return "TAI", fromTAI
	}
	return "neither", fromTAI
}

func near(ns int64) bool { return ns > -nearNs && ns < nearNs }

// config is what the options and files of ptp4l's processes say.
type config struct {
	domain  int
	sockets []string
}

func (r *Report) daemons(h *tuning.Host) (c config) {
	if _, err := h.Tasks(); err != nil {
		r.Unseen = tuning.Reason(err)
		return c
	}
	for _, t := range h.Running(keepers...) {
		d := Daemon{Name: t.Name, PID: t.PID}
		if text, err := h.Read(fmt.Sprintf("/proc/%d/cmdline", t.PID)); err == nil {
			for i, arg := range strings.Split(strings.Trim(text, "\x00"), "\x00") {
				if i > 0 {
					d.Args = append(d.Args, arg)
				}
			}
		}
		r.Daemons = append(r.Daemons, d)
		if t.Name != "ptp4l" {
			continue
		}
		for i, arg := range d.Args {
			if arg == "-f" && i+1 < len(d.Args) && path.IsAbs(d.Args[i+1]) {
				if text, err := h.Read(path.Clean(d.Args[i+1])); err == nil {
					c.read(text)
				}
			}
			if name, value, ok := strings.Cut(strings.TrimPrefix(arg, "--"), "="); ok && strings.HasPrefix(arg, "--") {
				c.set(name, value)
			} else if strings.HasPrefix(arg, "--") && i+1 < len(d.Args) {
				c.set(name, d.Args[i+1])
			}
		}
	}
	return c
}

// read takes what matters from the global section of a configuration of linuxptp.
func (c *config) read(text string) {
	section := "[global]"
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = line
			continue
		}
		if f := strings.Fields(line); len(f) == 2 && section == "[global]" {
			c.set(f[0], f[1])
		}
	}
}

func (c *config) set(name, value string) {
	switch name {
	case "domainNumber":
		if n, err := strconv.ParseUint(value, 10, 8); err == nil {
			c.domain = int(n)
		}
	case "uds_address", "uds_ro_address":
		if path.IsAbs(value) && len(c.sockets) < 16 {
			c.sockets = append(c.sockets, path.Clean(value))
		}
	}
}

func (r *Report) servers(ctx context.Context, h *tuning.Host, o Options) error {
	given := len(o.Sockets) > 0
	if !given {
		// The first can name interfaces; the second is for everybody.
		o.Sockets = []string{"/var/run/ptp4l", "/var/run/ptp4lro"}
	}
	for _, name := range o.Sockets {
		s, err := Ask(ctx, h.Path(name), o.Domain)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, fs.ErrNotExist) && !given {
			continue
		}
		if s == nil {
			s = &Server{Domain: o.Domain}
		}
		s.Socket = name
		if err != nil {
			s.Error = strings.ReplaceAll(err.Error(), h.Path(name), name)
			if errors.Is(err, ErrSilent) {
				s.Error += fmt.Sprintf("; is its domain %d? (--domain)", o.Domain)
			}
			if errors.Is(err, fs.ErrPermission) {
				s.Error = "needs privilege: " + s.Error
			}
		}
		if err == nil && !given { // both are of the same ptp4l: one that answers is enough
			r.Servers = []Server{*s}
			break
		}
		r.Servers = append(r.Servers, *s)
	}
	return nil
}

// siteLimitNs is how far a port may be from its master (host-tuning, ptp.ptp4l).
const siteLimitNs = 200

// judge says what is not as it should be.
func (r *Report) judge() {
	note := func(format string, args ...any) { r.Notes = append(r.Notes, fmt.Sprintf(format, args...)) }
	if r.System.Error == "" && !r.System.Synchronised {
		text := "the kernel says that its clock is not synchronised"
		if r.Virtual {
			text += "; in a virtual machine the host may keep it without telling"
		}
		note("%s", text)
	}
	onTAI := false
	for _, c := range r.Clocks {
		onTAI = onTAI || c.Scale == "TAI"
		if c.Error == "" && c.Scale == "neither" {
			note("ptp%d is neither near TAI nor near UTC: nobody keeps it", c.Index)
		}
	}
	if onTAI && r.System.TAI == 0 {
		note("a clock keeps TAI and the kernel's offset to it is 0: whoever converts is %d s off", taiNow)
	}
	names := map[string]bool{}
	for _, d := range r.Daemons {
		names[d.Name] = true
	}
	if len(r.Clocks) > 0 && r.Unseen == "" && !names["ptp4l"] && !names["timemaster"] && !names["sfptpd"] && len(r.Servers) == 0 {
		note("no ptp4l runs: the NICs' clocks follow nobody")
	}
	if names["phc2sys"] && (names["chronyd"] || names["ntpd"] || names["systemd-timesyncd"]) && !names["timemaster"] {
		note("phc2sys and another daemon run: right only where it goes from the system to the NICs")
	}
	for _, s := range r.Servers {
		if s.Error != "" {
			note("%s: %s", s.Socket, s.Error)
			continue
		}
		s.judge(note)
	}
	for _, l := range r.Lines {
		if l.State == "" && !l.Summary && l.Servo != "" && !strings.HasPrefix(l.Servo, "locked") {
			note("%s: %s is not locked (%s, offset %d ns)", l.Program, l.Subject, l.Servo, l.OffsetNs)
		}
	}
}

func (s *Server) judge(note func(format string, args ...any)) {
	slave, master := false, false
	for _, p := range s.Ports {
		slave = slave || p.State == "SLAVE"
		master = master || p.State == "MASTER" || p.State == "GRAND_MASTER"
		if p.State == "FAULTY" {
			note("%s: port %d is FAULTY", s.Socket, p.Number)
		}
	}
	if !slave && master {
		note("%s: this machine is the master: no port follows another clock", s.Socket)
	} else if !slave {
		note("%s: no port is SLAVE", s.Socket)
	}
	if t := s.Status; t != nil && slave {
		if !t.Present {
			note("%s: there is no grandmaster", s.Socket)
		}
		if t.OffsetNs > siteLimitNs || t.OffsetNs < -siteLimitNs {
			note("%s: %d ns from the master, more than %d", s.Socket, t.OffsetNs, siteLimitNs)
		}
	}
	if t := s.Time; t != nil && slave {
		switch {
		case !t.PTPScale:
			note("%s: the grandmaster's time is arbitrary, not TAI", s.Socket)
		case !t.Valid:
			note("%s: the grandmaster does not vouch for its offset to UTC (%d s)", s.Socket, t.UTCOffset)
		}
		if t.Leap61 || t.Leap59 {
			note("%s: a leap second is announced", s.Socket)
		}
	}
}
