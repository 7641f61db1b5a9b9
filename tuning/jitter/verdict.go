package jitter

import (
	"fmt"

	"github.com/tickwire/tickwire/tuning"
)

// Verdict is whether a core may carry what it is meant for.
type Verdict struct {
	Status  tuning.Status `json:"status"`  // PASS, FAIL, or INFO: told, not judged
	Virtual bool          `json:"virtual"` // it would have been judged, on a machine of its own
	Reasons []string      `json:"reasons"` // what is not as wanted
	Note    string        `json:"note,omitempty"`
}

// What a core may do in ten minutes under load, on bare metal. They are starting points: Rigtorp's guide shows 18 µs worst on an
// isolated core, against 9 to 17 ms on ordinary ones.
const (
	mostHotNs        = 20_000
	mostNAPINs       = 50_000
	mostOver10us     = 10
	mostStolenPPM    = 50
	mostDelayP9999Ns = 1_000
	qualifyS         = 600
)

// judge gives the verdict. Cores that are neither HOT nor NAPI are only told of, and so is Plain, which judges Go and not the core.
func (r *Result) judge(rep *Report) {
	v := Verdict{Status: tuning.Note, Reasons: []string{}}
	defer func() { r.Verdict = v }()
	if r.Role == RoleOther || r.Mode == Plain {
		return
	}
	wrong := func(format string, args ...any) { v.Reasons = append(v.Reasons, fmt.Sprintf(format, args...)) }
	most := float64(mostHotNs)
	if r.Role == RoleNAPI {
		most = mostNAPINs
	}
	if r.MaxNs >= most {
		wrong("max %s, want less than %s", Time(r.MaxNs), Time(most))
	}
	a := &r.Attribution
	if r.Role == RoleHot {
		if r.Over10us > mostOver10us {
			wrong("%d gaps above 10 µs, want at most %d", r.Over10us, mostOver10us)
		}
		if r.StolenPPM >= mostStolenPPM {
			wrong("%.0f ppm stolen, want less than %d", r.StolenPPM, mostStolenPPM)
		}
		if r.DelayP99_99Ns >= mostDelayP9999Ns && r.DelayP99_99Ns > r.ThresholdNs {
			wrong("delay p99.99 %s, want less than %s", Time(r.DelayP99_99Ns), Time(mostDelayP9999Ns))
		}
		if a.Voluntary > 0 {
			wrong("%d voluntary switches, want none", a.Voluntary)
		}
	}
	if a.SMI != nil && *a.SMI > 0 {
		wrong("%d system management interrupts, want none", *a.SMI)
	}
	if a.StealMs != nil && *a.StealMs > 0 {
		wrong("%.0f ms stolen by the hypervisor, want none", *a.StealMs)
	}
	if r.Backward > 0 {
		wrong("the counter went back %d times", r.Backward)
	}
	switch {
	case rep.Virtual:
		v.Virtual = true
		v.Note = "virtual machine: this qualifies no machine"
	case len(v.Reasons) > 0:
		v.Status = tuning.Fail
	default:
		v.Status = tuning.Pass
	}
	if !rep.Virtual && r.DurationS < qualifyS {
		v.Note = "a look: a qualification takes ten minutes under load"
	}
}

// Failed says whether a core fails.
func (r *Report) Failed() bool {
	for i := range r.Results {
		if r.Results[i].Verdict.Status == tuning.Fail {
			return true
		}
	}
	return false
}
