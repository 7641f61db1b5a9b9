package hwtest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tickwire/tickwire/tuning"
)

// inventory is the machine as it is, beside the plan.
func (r *run) inventory(g *Group) error {
	for i := range r.look().Checks {
		if c := &r.look().Checks[i]; strings.HasPrefix(c.ID, "plat.") || slices.Contains([]string{"cpu.microcode", "nic.firmware", "nic.driver"}, c.ID) {
			r.checked(g, "inventory."+c.ID, c)
		}
	}
	m := r.report.Machine
	r.note(g, "inventory.machine", "processor and memory", m.String())
	if !r.Plan.Named() && len(r.Plan.Interfaces) == 0 {
		r.skip(g, "inventory.plan", "the plan", "no plan: name cores and interfaces (--plan, --cores, --nic)")
	} else {
		r.note(g, "inventory.plan", "the plan", fmt.Sprintf("layout %s, HOT %s, NAPI %s, %d interfaces, digest %.12s", r.Plan.Layout, orNone(r.Plan.Hot.String()), orNone(r.Plan.NAPI.String()),
			len(r.Plan.Interfaces), r.report.PlanDigest))
	}
	return nil
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// static is the catalogue: a test a check, and one for those of each section that do not apply or are told only.
func (r *run) static(g *Group) error {
	for _, section := range tuning.Sections() {
		var idle []string
		for i := range r.look().Checks {
			c := &r.look().Checks[i]
			switch {
			case c.Section != section || strings.HasPrefix(c.ID, "plat."):
			case c.Status == tuning.Skip || c.Status == tuning.Note:
				idle = append(idle, c.ID)
			default:
				r.checked(g, "static."+c.ID, c)
			}
		}
		if len(idle) > 0 {
			r.skip(g, "static."+strings.ReplaceAll(section, " ", "_")+"_others", fmt.Sprintf("%d more checks of %s", len(idle), section), "do not apply here, or are told only: "+strings.Join(idle, ", "))
		}
	}
	return nil
}

// checked adds a check of the catalogue as it is.
func (r *run) checked(g *Group, id string, c *tuning.Result) {
	t := Test{ID: id, Title: c.Title, Status: c.Status, Reason: c.Reason, Why: c.Why}
	if c.Effective != nil {
		t.Found = strings.TrimSpace(c.Effective.Raw + " " + c.Unit)
	}
	if c.Want != "" && c.Status != tuning.Pass && c.Status != tuning.Note {
		t.Wanted = c.Want
	}
	r.add(g, t, c.Severity)
}
