package hwtest

import (
	"errors"
	"fmt"
	"math"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/tickwire/tickwire/tuning"
)

// Options of a run. Feed must be given for the groups latency, failover and soak; what else is zero has a default.
type Options struct {
	// Plan is what a person decided for this machine: profile, cores, interfaces. The default is the empty plan, profile colo.
	Plan *tuning.Plan
	// Ports are the interfaces of this machine that receive, lines A and B, and Peers those that send, each joined to its port by a cable:
	// one or two of each. The default is none: veth pairs in namespaces of our own. The links are set down and up, and packets are lost:
	// a port that carries the default route is refused.
	Ports, Peers []string
	// Only are the groups that are made. The default is all.
	Only []string
	// For is the length of each long measurement: the stated rate, latency, jitter, soak. The default is a minute; a qualification takes ten.
	// The whole run takes some ten times as long, and up to four minutes for the rates.
	For time.Duration
	// Quick measures less often and for two seconds (For), for a look in under two minutes.
	Quick bool
	// Rate is the packets a second that are to be taken without loss. The default hangs on the profile: 1,000,000 colo, 250,000 lab, 50,000 vm.
	Rate float64
	// Seed of generated sessions and of what goes wrong in them. The default is 1.
	Seed uint64
	// Since is a report of before: of `ticktune check --json` (or report), or of this command. The default is none: nothing is compared.
	Since string
	// Limits are thresholds in place of the profile's, by the id of the test.
	Limits map[string]float64
	// Dir is where the disk is measured. The default is the present folder.
	Dir string
	// Feed makes the command of a feed process with a configuration's file.
	Feed func(config string) (*exec.Cmd, error)
	// Progress is called as the run goes on: the group, what it does, and the share of the run that is done, 0 to 1. It may be nil.
	Progress func(group, what string, done float64)
}

const (
	defaultFor = time.Minute
	quickFor   = 2 * time.Second
	mostFor    = 7 * 24 * time.Hour
	leastFor   = 100 * time.Millisecond
)

// ErrOptions is in every error about options.
var ErrOptions = errors.New("hwtest: options")

// defaults fills them in, and reports all faults at once, each ErrOptions.
func (o *Options) defaults() error {
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if o.Plan == nil {
		o.Plan = &tuning.Plan{}
	}
	if err := o.Plan.Validate(); err != nil {
		return err
	}
	if o.Dir == "" {
		o.Dir = "."
	}
	if o.For == 0 {
		o.For = defaultFor
		if o.Quick {
			o.For = quickFor
		}
	}
	if o.For < leastFor || o.For > mostFor {
		fault("%s for each measurement, want %s to %s", o.For, leastFor, mostFor)
	}
	if o.Rate == 0 {
		o.Rate = rates[o.Plan.Profile]
	}
	if !(o.Rate >= 100 && o.Rate <= 200e6) { // NaN is none
		fault("%.0f packets a second, want 100 to 200,000,000", o.Rate)
	}
	for _, id := range o.Only {
		if find(id) == nil {
			fault("there is no group %q; there are %s", id, strings.Join(Groups(), ", "))
		}
	}
	if len(o.Ports) != len(o.Peers) || len(o.Ports) > 2 {
		fault("%d ports and %d peers: each port has its peer, one or two of them", len(o.Ports), len(o.Peers))
	}
	named := append(slices.Clone(o.Ports), o.Peers...)
	for i, name := range named {
		if name == "" || name == "lo" {
			fault("%q is no port with a cable", name)
		}
		if slices.Contains(named[:i], name) {
			fault("port %s is named twice", name)
		}
	}
	for id, v := range o.Limits {
		if by(id) == nil {
			fault("there is no threshold %q", id)
		}
		if math.IsNaN(v) || math.IsInf(v, 0) { // neither exists in JSON: the report could not be written
			fault("%s: %g is no threshold", id, v)
		}
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	if len(faults) == 0 {
		return nil
	}
	slices.Sort(faults)
	return fmt.Errorf("%w: %s", ErrOptions, strings.Join(faults, "; "))
}

// Groups are the ids of all, in the order in which they are made.
func Groups() (ids []string) {
	for _, g := range all() {
		ids = append(ids, g.id)
	}
	return ids
}

func find(id string) *group {
	known := all()
	if i := slices.IndexFunc(known, func(g group) bool { return g.id == id }); i >= 0 {
		return &known[i]
	}
	return nil
}
