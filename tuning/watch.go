package tuning

import "fmt"

// Transition is a check whose outcome is another than at the last look.
type Transition struct {
	ID          string
	Was, Is     Status
	Value, Text string
}

func (t Transition) String() string {
	text := fmt.Sprintf("%-6s %s", t.Is, t.ID)
	if t.Was != t.Is {
		text += " (was " + t.Was.String() + ")"
	}
	if t.Value != "" {
		text += "  " + printable(t.Value)
	}
	if t.Text != "" && t.Text != t.Value {
		text += ": " + printable(t.Text)
	}
	return text
}

// told are the checks of which a new value counts though the status is the same: counters of what must not happen.
var told = map[string]bool{"nic.drops": true, "cpu.thermal": true, "cpu.smi": true, "pci.aer": true, "irq.hot": true, "plat.virt": true, "nic.link": true}

// Transitions are what changed between two looks, by the order of the second. Checks of one only are left out.
func Transitions(before, after *Report) (changed []Transition) {
	was := map[string]*Result{}
	for i := range before.Checks {
		was[before.Checks[i].ID] = &before.Checks[i]
	}
	text := func(r *Result) string {
		if r.Effective == nil {
			return ""
		}
		return r.Effective.Raw
	}
	for i := range after.Checks {
		is := &after.Checks[i]
		old := was[is.ID]
		if old == nil || old.Status == is.Status && !(told[is.ID] && (text(old) != text(is) || old.Reason != is.Reason)) {
			continue
		}
		changed = append(changed, Transition{is.ID, old.Status, is.Status, text(is), is.Reason})
	}
	return changed
}
