package tuning

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"runtime/debug"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/tickwire/tickwire/internal/buildinfo"
)

// Schema names the layout of a Report as JSON.
const Schema = "ticktune.check/1"

// Report is the catalogue over a host.
type Report struct {
	Schema      string    `json:"schema"`
	ToolVersion string    `json:"tool_version"`
	Host        HostFacts `json:"host"`
	Profile     string    `json:"profile"`
	PlanDigest  string    `json:"plan_digest"`
	Started     time.Time `json:"started"`
	DurationMs  float64   `json:"duration_ms"`
	IntervalMs  float64   `json:"interval_ms,omitempty"` // that counters were watched for; 0: a single look
	Checks      []Result  `json:"checks"`
	Summary     Summary   `json:"summary"`
}

// HostFacts tells machines apart. Nothing in it is a secret: the fingerprint is a hash.
type HostFacts struct {
	Fingerprint string   `json:"fingerprint"`
	Kernel      string   `json:"kernel"`
	Virt        string   `json:"virt"` // empty: bare metal
	Container   string   `json:"container,omitempty"`
	CPU         string   `json:"cpu"`
	NICs        []string `json:"nics"`
}

// Result is what came of one check.
type Result struct {
	ID          string       `json:"id"`
	Title       string       `json:"title"`
	Section     string       `json:"section"`
	Severity    Severity     `json:"severity"`
	Status      Status       `json:"status"`
	Effective   *Value       `json:"effective"`
	Configured  *Value       `json:"configured"`
	Persistence Persistence  `json:"persistence,omitempty"`
	Want        string       `json:"want"`
	Unit        string       `json:"unit,omitempty"`
	Evidence    []Evidence   `json:"evidence"`
	Reason      string       `json:"reason,omitempty"`
	Why         string       `json:"why,omitempty"`
	Remediation *Remediation `json:"remediation,omitempty"`
	Refs        []string     `json:"refs,omitempty"`
	Waiver      *Waiver      `json:"waiver,omitempty"`
}

// Remediation is what would make it right.
type Remediation struct {
	Runtime     []string `json:"runtime"`
	Persistent  []string `json:"persistent"`
	Revert      []string `json:"revert"`
	Human       string   `json:"human,omitempty"`
	Risk        Risk     `json:"risk"`
	NeedsReboot bool     `json:"needs_reboot"`
	Changes     []Change `json:"changes,omitempty"`
}

// Summary counts results by status.
type Summary struct {
	Pass   int `json:"pass"`
	Warn   int `json:"warn"`
	Fail   int `json:"fail"`
	Skip   int `json:"skip"`
	Error  int `json:"error"`
	Info   int `json:"info"`
	Waived int `json:"waived"`
}

func (s *Summary) add(st Status) {
	switch st {
	case Pass:
		s.Pass++
	case Warn:
		s.Warn++
	case Fail:
		s.Fail++
	case Skip:
		s.Skip++
	case Error:
		s.Error++
	case Note:
		s.Info++
	case Waived:
		s.Waived++
	}
}

// String is one line, "PASS 61 WARN 7 FAIL 3 SKIP 19 ERROR 1 INFO 12".
func (s Summary) String() string {
	text := fmt.Sprintf("PASS %d WARN %d FAIL %d SKIP %d ERROR %d INFO %d", s.Pass, s.Warn, s.Fail, s.Skip, s.Error, s.Info)
	if s.Waived > 0 {
		text += fmt.Sprintf(" WAIVED %d", s.Waived)
	}
	return text
}

// Select says which checks are made: patterns of ids as path.Match has them ("nic.*"), and sections. The zero value is all.
type Select struct{ Only, Skip, Groups []string }

// Validate finds patterns that no check and no section has: a mistyped one must not pass for a good machine.
func (s Select) Validate() error {
	for _, pattern := range append(slices.Clone(s.Only), s.Skip...) {
		if !slices.ContainsFunc(Catalogue(), func(c *Check) bool { return matches(pattern, c.ID) }) {
			return fmt.Errorf("there is no check %q", pattern)
		}
	}
	for _, g := range s.Groups {
		if !slices.Contains(Sections(), g) {
			return fmt.Errorf("there is no group %q; there are %s", g, strings.Join(Sections(), ", "))
		}
	}
	return nil
}

func (s Select) has(c *Check) bool {
	any := func(patterns []string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, c.ID) })
	}
	return (len(s.Only) == 0 || any(s.Only)) && !any(s.Skip) && (len(s.Groups) == 0 || slices.Contains(s.Groups, c.Section))
}

func matches(pattern, id string) bool {
	if pattern == id {
		return true
	}
	ok, err := path.Match(pattern, id)
	return ok && err == nil
}

// Run makes the selected checks in the order of the catalogue. A check that panics is ERROR, and the next is made.
func (h *Host) Run(s Select) *Report {
	began := time.Now()
	r := &Report{Schema: Schema, ToolVersion: buildinfo.Version, Profile: h.Plan.Profile, PlanDigest: h.Plan.Digest(), Started: h.Now.UTC().Truncate(time.Millisecond),
		Host: h.facts(), Checks: []Result{}}
	for _, c := range Catalogue() {
		if !s.has(c) {
			continue
		}
		res := h.Look(c)
		r.Summary.add(res.Status)
		r.Checks = append(r.Checks, res)
	}
	r.DurationMs = float64(time.Since(began).Microseconds()) / 1000
	return r
}

// Refresh forgets what was read, for another look.
func (h *Host) Refresh(now time.Time) {
	h.Now, h.read, h.calls, h.tasks, h.tasksErr, h.boot, h.sysctls, h.ptp = now, map[string]answer{}, map[string]string{}, nil, nil, nil, nil, nil
}

// Look makes one check.
func (h *Host) Look(c *Check) Result {
	h.evidence, h.check, h.want = nil, c, c.Want
	over := h.Plan.Overrides[c.ID]
	severity := c.Severity
	if over.Severity != "" {
		severity, _ = ParseSeverity(over.Severity)
	}
	if over.Want != "" {
		h.want = over.Want
	}
	f := h.applies(c, over)
	if f.Status != Skip {
		f = h.look(c)
	}
	if f.bad {
		f.Status = judge(severity, h.Plan.Profile)
	}
	res := Result{ID: c.ID, Title: c.Title, Section: c.Section, Severity: severity, Status: f.Status, Want: f.Want, Unit: f.Unit,
		Reason: f.Reason, Why: c.Why, Refs: c.Refs, Persistence: f.Persistence, Evidence: h.evidence}
	if res.Evidence == nil {
		res.Evidence = []Evidence{}
	}
	if res.Want == "" {
		res.Want = h.want
	}
	if f.Effective.Raw != "" || f.Effective.Parsed != nil {
		res.Effective = &f.Effective
	}
	if f.Configured.Raw != "" || f.Configured.Parsed != nil {
		res.Configured = &f.Configured
	}
	if f.bad || f.Status == Warn || f.Status == Fail {
		for i := range f.Changes {
			h.spell(&f.Changes[i])
		}
		res.Remediation = remedy(c, f)
		if w := h.Plan.waiver(c.ID, h.Now); w != nil {
			res.Status, res.Waiver = Waived, w
		}
	} else if f.Human != "" {
		res.Remediation = &Remediation{Runtime: []string{}, Persistent: []string{}, Revert: []string{}, Human: f.Human, Risk: c.Risk}
	}
	return res
}

func (h *Host) look(c *Check) (f Finding) {
	defer func() {
		if p := recover(); p != nil {
			f = Finding{Status: Error, Reason: fmt.Sprintf("internal: %v at %s", p, panicPlace(debug.Stack()))}
		}
	}()
	return c.Look(h)
}

// panicPlace is the file and line of the code that panicked, of a stack.
func panicPlace(stack []byte) string {
	lines := strings.Split(string(stack), "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, "panic(") && i+3 < len(lines) {
			return path.Base(strings.Fields(strings.TrimSpace(lines[i+3]))[0])
		}
	}
	return "?"
}

// judge is what a deviation counts for.
func judge(s Severity, profile string) Status {
	switch {
	case s == Info:
		return Note
	case s == Minor || s == Major && profile != Colo:
		return Warn
	}
	return Fail
}

// applies answers for the checks that this machine or this plan has no use for.
func (h *Host) applies(c *Check, over Override) Finding {
	if over.Skip != "" {
		return skip("by the plan: %s", over.Skip)
	}
	if c.Uncontained {
		if kind := h.Container(); kind != "" {
			return skip("in a container (%s): look at its host", kind)
		}
	}
	if c.Bare && !(c.measured && h.Probes.Frequency != nil) {
		if kind := h.Virt(); kind != "" {
			return skip("a virtual machine (%s): look at its host", kind)
		}
	}
	if c.Planned && !h.Plan.Named() {
		return skip("no plan: name the cores (--cores 4-7, or hot in a plan file)")
	}
	if c.NICs && len(h.Plan.Interfaces) == 0 {
		return skip("no plan: name the interface (--nic eth2, or [[interface]] in a plan file)")
	}
	return Finding{}
}

func remedy(c *Check, f Finding) *Remediation {
	m := &Remediation{Runtime: []string{}, Persistent: []string{}, Revert: []string{}, Risk: c.Risk, Human: f.Human, Changes: slices.Clone(f.Changes)}
	if m.Human == "" {
		m.Human = c.Human
	}
	for i := range m.Changes {
		ch := &m.Changes[i]
		ch.Check = c.ID
		if ch.Persistent {
			m.Persistent = append(m.Persistent, ch.Command)
		} else {
			m.Runtime = append(m.Runtime, ch.Command)
		}
		m.Risk = max(m.Risk, ch.Risk)
		m.NeedsReboot = m.NeedsReboot || ch.Reboot
	}
	for i := len(m.Changes) - 1; i >= 0; i-- { // last done, first undone
		m.Revert = append(m.Revert, m.Changes[i].Undo)
	}
	return m
}

// Changes are all that would make the machine as wanted, in the report's order. What two checks ask for is there once, under
// the first.
func (r *Report) Changes() (all []Change) {
	type what struct {
		kind               Kind
		target, key, value string
		persistent         bool
	}
	seen := map[what]bool{}
	for _, res := range r.Checks {
		if res.Remediation == nil || res.Status == Waived {
			continue
		}
		for _, c := range res.Remediation.Changes {
			if w := (what{c.Kind, c.Target, c.Key, c.Value, c.Persistent}); !seen[w] {
				seen[w] = true
				all = append(all, c)
			}
		}
	}
	return all
}

// BySeverity puts the worst first, and keeps the order of the catalogue within.
func (r *Report) BySeverity() {
	sort.SliceStable(r.Checks, func(i, j int) bool {
		a, b := &r.Checks[i], &r.Checks[j]
		if a.Status != b.Status {
			return a.Status > b.Status
		}
		return a.Severity > b.Severity
	})
}

// Exit codes of check.
const (
	ExitOK        = 0
	ExitFail      = 1
	ExitWarn      = 2 // only warnings, and they were asked to count
	ExitError     = 3 // something could not be determined, and nothing fails
	ExitUsage     = 64
	ExitPlan      = 65
	ExitPlatform  = 69
	ExitInternal  = 70
	ExitPrivilege = 77
)

// ExitCode is what check exits with.
func (r *Report) ExitCode(strict bool) int {
	switch {
	case r.Summary.Fail > 0:
		return ExitFail
	case r.Summary.Error > 0:
		return ExitError
	case strict && r.Summary.Warn > 0:
		return ExitWarn
	}
	return ExitOK
}

func (h *Host) facts() HostFacts {
	kernel, _ := h.Read("/proc/sys/kernel/osrelease")
	info, _ := h.quiet("/proc/cpuinfo")
	f := HostFacts{Kernel: kernel, Virt: h.Virt(), Container: h.Container(), CPU: cpuField(info, "model name"), NICs: []string{}}
	if f.CPU == "" {
		f.CPU = strings.TrimSpace("implementer " + cpuField(info, "CPU implementer") + " part " + cpuField(info, "CPU part"))
	}
	for _, name := range h.Glob("/sys/class/net/*/device") {
		nic := path.Base(path.Dir(name))
		f.NICs = append(f.NICs, nic+" ("+h.DriverOf(nic)+")")
	}
	id, _ := h.quiet("/etc/machine-id")
	sum := sha256.Sum256([]byte("ticktune\n" + id + "\n" + f.CPU + "\n" + h.Possible().String()))
	f.Fingerprint = hex.EncodeToString(sum[:8])
	return f
}
