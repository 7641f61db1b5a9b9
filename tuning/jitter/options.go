package jitter

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tickwire/tickwire/tuning"
)

// Mode is how a measuring thread is set up.
type Mode string

const (
	Host    Mode = "host"    // nothing of the runtime is in the way: the machine
	Runtime Mode = "runtime" // as a feed's lane: the machine, and the runtime's share
	Plain   Mode = "plain"   // a goroutine locked to its thread: what a naive test measures
)

var modes = []Mode{Host, Runtime, Plain}

// Role is what a core is meant for: it decides what it may do.
type Role string

const (
	RoleHot   Role = "hot"
	RoleNAPI  Role = "napi"
	RoleOther Role = "other"
)

// Options of a run. The zero value measures every core that the process may use, as housekeeping.
type Options struct {
	// Hot, NAPI and Other are the cores to measure, by what they are meant for. None at all: all that the process may use, as Other.
	Hot, NAPI, Other tuning.CPUs
	// For is the length of each mode. A minute is a look, ten are a qualification under load, twelve hours a soak. The default is 30 s.
	For time.Duration
	// Warmup is measured and forgotten, once a mode. The counter's rate is taken in it, too. The default is 1 s.
	Warmup time.Duration
	// Modes, one after the other. The default is Host and Runtime.
	Modes []Mode
	// ThresholdNs is where a gap begins to count. The default is 8 times the smallest difference between two readings, at least 100 ns.
	ThresholdNs float64
	// Shared measures cores on which others run much of the time, too. The default is to refuse: that would measure them.
	Shared bool
	// Trace counts the kernel's tracepoints, to tell of each gap what it was. It makes gaps longer by some 100 ns, and each is followed by 1 to 2 µs
	// that are not measured (OwnPPM). It takes CAP_PERFMON. The default is not to.
	Trace bool
	// Before is called before each mode, for whoever waits. May be nil. It must not start anything.
	Before func(mode Mode, cores tuning.CPUs, length time.Duration)
}

// Errors that Run returns, wrapped in what was seen.
var (
	ErrOptions  = errors.New("jitter: options")                              // they make no sense; nothing was done
	ErrPlatform = errors.New("jitter: this processor has no counter for it") // other than amd64 and arm64
	ErrShared   = errors.New("jitter: a core is shared")
)

var errStill = errors.New("jitter: the processor's counter stands still, or goes back: it measures nothing")

const (
	maxCores = 1024
	leastFor = 10 * time.Millisecond
	mostFor  = 7 * 24 * time.Hour
	// leastShare is how much of a core its measuring thread must get in the warm-up, less what is late to be accounted.
	leastShare = 0.6
	// besides is how many processors the runtime has beside those that measuring threads hold.
	besides = 4
	// startNs is how long before it the start is told: all threads begin at once.
	startNs = 2_000_000
)

// Validate reports all faults at once, each ErrOptions, and fills in defaults.
func (o *Options) Validate() error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("%w: %s", ErrOptions, fmt.Sprintf(format, args...)))
	}
	if o.For == 0 {
		o.For = 30 * time.Second
	}
	if o.Warmup == 0 {
		o.Warmup = time.Second
	}
	if len(o.Modes) == 0 {
		o.Modes = []Mode{Host, Runtime}
	}
	if o.For < leastFor || o.For > mostFor {
		fault("%s is no time to measure, want %s to %s", o.For, leastFor, mostFor)
	}
	if o.Warmup < leastFor || o.Warmup > time.Minute {
		fault("a warm-up of %s, want %s to a minute", o.Warmup, leastFor)
	}
	for i, m := range o.Modes {
		if !slices.Contains(modes, m) {
			fault("mode %q, want host, runtime or plain", m)
		} else if slices.Contains(o.Modes[:i], m) {
			fault("mode %s is there twice", m)
		}
	}
	if o.ThresholdNs < 0 || o.ThresholdNs > 1e9 || o.ThresholdNs != o.ThresholdNs {
		fault("a threshold of %g ns, want 0 (by the machine) to 1e9", o.ThresholdNs)
	}
	for _, both := range []tuning.CPUs{o.Hot.And(o.NAPI), o.Hot.And(o.Other), o.NAPI.And(o.Other)} {
		if len(both) > 0 {
			fault("cores %s are there twice", both)
		}
	}
	if n := len(o.cores()); n > maxCores {
		fault("%d cores at once, at most %d", n, maxCores)
	}
	return errors.Join(faults...)
}

func (o *Options) cores() tuning.CPUs { return o.Hot.Union(o.NAPI).Union(o.Other) }

func (o *Options) role(cpu int) Role {
	switch {
	case o.Hot.Has(cpu):
		return RoleHot
	case o.NAPI.Has(cpu):
		return RoleNAPI
	}
	return RoleOther
}
