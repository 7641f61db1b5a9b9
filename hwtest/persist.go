package hwtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/tickwire/tickwire/tuning"
)

// snapshot is what is read of a report of before: both this package's and that of `ticktune check` have these fields.
type snapshot struct {
	Schema string `json:"schema"`
	Host   struct {
		Fingerprint string `json:"fingerprint"`
	} `json:"host"`
	Checks []struct {
		ID        string          `json:"id"`
		Status    tuning.Status   `json:"status"`
		Effective json.RawMessage `json:"effective"` // text here, an object with raw there
	} `json:"checks"`
}

// earlier is one check of before.
type earlier struct {
	status    tuning.Status
	effective string
}

// readSnapshot reads checks from before by their ids.
func readSnapshot(in io.Reader) (fingerprint string, checks map[string]earlier, err error) {
	text, err := io.ReadAll(io.LimitReader(in, mostReport+1))
	if err != nil {
		return "", nil, err
	}
	if len(text) > mostReport {
		return "", nil, fmt.Errorf("longer than %d bytes", mostReport)
	}
	var s snapshot
	if err := json.Unmarshal(text, &s); err != nil {
		return "", nil, err
	}
	if s.Schema != Schema && s.Schema != tuning.Schema {
		return "", nil, fmt.Errorf("its schema is %q, want %s or %s", s.Schema, tuning.Schema, Schema)
	}
	if len(s.Checks) == 0 {
		return "", nil, errors.New("it holds no checks")
	}
	checks = map[string]earlier{}
	for _, c := range s.Checks {
		e := earlier{status: c.Status}
		var value struct {
			Raw string `json:"raw"`
		}
		if json.Unmarshal(c.Effective, &e.effective) != nil && json.Unmarshal(c.Effective, &value) == nil {
			e.effective = value.Raw
		}
		checks[c.ID] = e
	}
	return s.Host.Fingerprint, checks, nil
}

// persistence compares the catalogue with a report of before: a reboot between them shows what does not last.
func (r *run) persistence(g *Group) error {
	const id, title = "persistence.drift", "checks that are worse than before"
	if r.Since == "" {
		r.skip(g, id, title, "no report of before (--since): make one, reboot, and name it")
		return nil
	}
	f, err := os.Open(r.Since)
	if err != nil {
		return fmt.Errorf("--since: %w", err)
	}
	defer f.Close()
	fingerprint, before, err := readSnapshot(f)
	if err != nil {
		return fmt.Errorf("--since %s: %w", r.Since, err)
	}
	if fingerprint != r.report.Host.Fingerprint {
		return fmt.Errorf("--since %s is another machine's: fingerprint %.16q, here %q", r.Since, fingerprint, r.report.Host.Fingerprint)
	}
	worst, changed := drift(before, r.report.Checks)
	t := r.judged(g, id, float64(len(worst)), Figure{Name: "checks of before", Value: float64(len(before))}, Figure{Name: "other values, not worse", Value: float64(len(changed))})
	t.Found = strings.Join(worst, "; ")
	if len(changed) > 0 {
		r.note(g, "persistence.changed", "other values than before, not worse", strings.Join(changed, "; "))
	}
	return nil
}

// drift says which checks are worse than before, and which are other, not worse. What is told only (INFO) moves at every look.
func drift(before map[string]earlier, now []Check) (worst, changed []string) {
	bad := func(s tuning.Status) bool { return s == tuning.Fail || s == tuning.Warn || s == tuning.Error }
	for _, c := range now {
		b, ok := before[c.ID]
		switch {
		case !ok:
		case bad(c.Status) && c.Status > b.status:
			worst = append(worst, fmt.Sprintf("%s: %s, was %s (%s, was %s)", c.ID, c.Status, b.status, orNone(c.Effective), orNone(b.effective)))
		case b.status == tuning.Pass && c.Status == tuning.Skip:
			worst = append(worst, fmt.Sprintf("%s: %s, was %s (%s)", c.ID, c.Status, b.status, c.Reason))
		case c.Status != b.status:
			changed = append(changed, fmt.Sprintf("%s: %s, was %s", c.ID, c.Status, b.status))
		}
	}
	return worst, changed
}
