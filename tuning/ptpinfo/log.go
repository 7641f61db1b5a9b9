package ptpinfo

import (
	"regexp"
	"strconv"
	"strings"
)

// Line is what a line of a log says: ptp4l's and its kin's, as they write it themselves or through syslog.
//
//	ptp4l[5374.683]: master offset         -3 s2 freq   +4321 path delay       567
//	phc2sys[526.662]: CLOCK_REALTIME phc offset       -12 s2 freq   -1234 delay   1023
//	Nov 26 04:05:06 host phc2sys[900]: [526.662] eth1 sys offset 12 s0 freq +0 delay 900
//	ptp4l[17.123]: rms    8 max   13 freq  -1200 +/-   5 delay   320 +/-   1
//	ptp4l[17.123]: port 1 (eth1): UNCALIBRATED to SLAVE on MASTER_CLOCK_SELECTED
type Line struct {
	Program  string  `json:"program"`           // ptp4l, phc2sys or ts2phc
	Subject  string  `json:"subject"`           // the clock that is kept, or the port
	State    string  `json:"state,omitempty"`   // of a port, after a change
	OffsetNs int64   `json:"offset_ns"`         // in a summary the root mean square
	MaxNs    int64   `json:"max_ns,omitempty"`  // in a summary
	Summary  bool    `json:"summary,omitempty"` // of several
	Servo    string  `json:"servo,omitempty"`   // unlocked, step, locked, locked stable
	FreqPPB  int64   `json:"freq_ppb"`
	DelayNs  int64   `json:"delay_ns"`
	UptimeS  float64 `json:"uptime_s"` // when, since the boot; 0: not told
}

// maxLine bounds a line of a log, in bytes.
const maxLine = 1000

var (
	logHead   = regexp.MustCompile(`\b(ptp4l|phc2sys|ts2phc)(?:\[(\d{1,12}(?:\.\d{1,9})?)\])?: (?:\[(\d{1,12}\.\d{1,9})\] )?(?:\[[\w.-]+\] )?(.*)$`)
	logOffset = regexp.MustCompile(`^(?:([\w/.-]{1,32})\s+)?(?:(master|phc|sys)\s+)?offset\s+(-?\d{1,18})\s+s([0-3])\s+freq\s+([+-]?\d{1,10})(?:\s+(?:path )?delay\s+(-?\d{1,18}))?`)
	logRMS    = regexp.MustCompile(`^(?:([\w/.-]{1,32})\s+)?rms\s+(\d{1,18})\s+max\s+(-?\d{1,18})\s+freq\s+([+-]?\d{1,10})(?:\s+\+/-\s+\d+)?(?:\s+delay\s+(-?\d{1,18}))?`)
	logState  = regexp.MustCompile(`^(port \d{1,5}(?: \([\w.@:-]{1,32}\))?): ([A-Z_]{1,20}) to ([A-Z_]{1,20}) on `)
)

var servos = [...]string{"unlocked", "step", "locked", "locked stable"}

// ParseLine reads one line; false: it says nothing of a clock or port.
func ParseLine(line string) (l Line, ok bool) {
	if len(line) > maxLine {
		return l, false
	}
	m := logHead.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
	if m == nil {
		return l, false
	}
	l.Program = m[1]
	// Through syslog the first brackets hold the process, the second the time.
	at := m[3]
	if at == "" && strings.Contains(m[2], ".") {
		at = m[2]
	}
	l.UptimeS, _ = strconv.ParseFloat(at, 64)
	text := strings.TrimLeft(m[4], " ")
	number := func(s string) int64 { n, _ := strconv.ParseInt(strings.TrimPrefix(s, "+"), 10, 64); return n }
	if f := logOffset.FindStringSubmatch(text); f != nil {
		if l.Subject = f[1]; l.Subject == "" || l.Subject == "master" {
			l.Subject = "master"
		}
		l.OffsetNs, l.Servo, l.FreqPPB, l.DelayNs = number(f[3]), servos[f[4][0]-'0'], number(f[5]), number(f[6])
		return l, true
	}
	if f := logRMS.FindStringSubmatch(text); f != nil {
		if l.Subject = f[1]; l.Subject == "" {
			l.Subject = "master"
		}
		l.Summary, l.OffsetNs, l.MaxNs, l.FreqPPB, l.DelayNs = true, number(f[2]), number(f[3]), number(f[4]), number(f[5])
		return l, true
	}
	if f := logState.FindStringSubmatch(text); f != nil {
		l.Subject, l.State = f[1], f[3]
		return l, true
	}
	return l, false
}

// Last are the newest lines of a log, one of each program and subject, in the order of the log.
func Last(log string) (lines []Line) {
	at := map[[3]string]int{}
	var all []Line
	for line := range strings.Lines(log) {
		l, ok := ParseLine(line)
		if !ok {
			continue
		}
		kind := "offset"
		if l.State != "" {
			kind = "state"
		}
		at[[3]string{l.Program, l.Subject, kind}] = len(all)
		all = append(all, l)
	}
	for i, l := range all {
		kind := "offset"
		if l.State != "" {
			kind = "state"
		}
		if at[[3]string{l.Program, l.Subject, kind}] == i {
			lines = append(lines, l)
		}
	}
	return lines
}
