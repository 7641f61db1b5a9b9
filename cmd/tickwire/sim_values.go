package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/tickwire/tickwire/parsers/soupbin"
	"github.com/tickwire/tickwire/sim/glimpse"
	"github.com/tickwire/tickwire/sim/mold"
)

// What sim's flags are written as.
//
//	share     0.1% or 50ppm: packets of a million
//	burst     SHARE:N
//	corrupt   SHARE or SHARE:header,payload
//	silence   both:10s+500ms or a:10s+2s/30s

// share is parts of a million.
type share uint32

func (s *share) Set(text string) error {
	number, unit := text, 0.0
	if n, ok := strings.CutSuffix(text, "%"); ok {
		number, unit = n, 10_000
	} else if n, ok := strings.CutSuffix(text, "ppm"); ok {
		number, unit = n, 1
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || unit == 0 && f != 0 || !(f >= 0) || f*unit > 1_000_000 {
		return fmt.Errorf("%q is no share such as 0.1%% or 50ppm", text)
	}
	*s = share(math.Round(f * unit))
	if f > 0 && *s == 0 {
		return fmt.Errorf("%q is less than one of a million", text)
	}
	return nil
}

func (s *share) String() string { return shareText(uint32(*s)) }
func (s *share) Type() string   { return "SHARE" }

func shareText(ppm uint32) string {
	if ppm == 0 {
		return "0"
	}
	return fmt.Sprintf("%dppm", ppm)
}

// burstValue is a share and a length.
type burstValue struct{ ppm, packets *uint32 }

func (v *burstValue) Set(text string) error {
	first, length, ok := strings.Cut(text, ":")
	n, err := strconv.ParseUint(length, 10, 32)
	if !ok || err != nil || n == 0 {
		return fmt.Errorf("%q is no share and number of packets such as 100ppm:20", text)
	}
	if err := (*share)(v.ppm).Set(first); err != nil {
		return err
	}
	*v.packets = uint32(n)
	return nil
}

func (v *burstValue) String() string {
	if v.ppm == nil || *v.ppm == 0 {
		return ""
	}
	return fmt.Sprintf("%s:%d", shareText(*v.ppm), *v.packets)
}
func (v *burstValue) Type() string { return "SHARE:N" }

// corruptValue is a share and ways of damage.
type corruptValue struct{ line *mold.Line }

func (v *corruptValue) Set(text string) (err error) {
	first, ways, ok := strings.Cut(text, ":")
	if ok {
		if v.line.Corrupt, err = mold.ParseCorruption(ways); err != nil {
			return err
		}
	}
	return (*share)(&v.line.CorruptPPM).Set(first)
}

func (v *corruptValue) String() string {
	if v.line == nil || v.line.CorruptPPM == 0 {
		return ""
	}
	return shareText(v.line.CorruptPPM)
}
func (v *corruptValue) Type() string { return "SHARE[:WAYS]" }

// nanos is a time that is not negative.
type nanos uint64

func (n *nanos) Set(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return fmt.Errorf("%q is no time such as 5ms", text)
	}
	*n = nanos(d)
	return nil
}

func (n *nanos) String() string { return time.Duration(*n).String() }
func (n *nanos) Type() string   { return "TIME" }

func parseSilence(text string) (s mold.Silence, err error) {
	bad := fmt.Errorf("--silence %q is none such as a:10s+500ms or both:0s+1s/30s", text)
	line, rest, ok := strings.Cut(text, ":")
	after, rest, ok2 := strings.Cut(rest, "+")
	span, every, again := strings.Cut(rest, "/")
	if !ok || !ok2 {
		return s, bad
	}
	switch strings.ToLower(line) {
	case "a":
	case "b":
		s.Line = 1
	case "both":
		s.Line = mold.Both
	default:
		return s, bad
	}
	err = errors.Join((*nanos)(&s.AfterNs).Set(after), (*nanos)(&s.ForNs).Set(span))
	if again {
		err = errors.Join(err, (*nanos)(&s.EveryNs).Set(every))
	}
	if err != nil {
		return s, bad
	}
	return s, nil
}

// parseSnapshotFaults reads words such as cut=100.
func parseSnapshotFaults(words []string) (f glimpse.Faults, err error) {
	for _, word := range words {
		name, value, has := strings.Cut(word, "=")
		var fault error
		switch {
		case name == "refuse" && !has:
			f.Refuse = soupbin.NotAuthorised
		case name == "silent" && !has:
			f.Silent = true
		case name == "no-heartbeats" && !has:
			f.NoHeartbeats = true
		case name == "endless" && !has:
			f.Endless = true
		case name == "garbage" && !has:
			f.Garbage = []byte("\x00\x00this is no SoupBinTCP\xFF\xFF")
		case name == "cut" && has:
			f.CutAfter, fault = strconv.ParseUint(value, 10, 64)
		case name == "end" && has:
			f.EndAfter, fault = strconv.ParseUint(value, 10, 64)
		case name == "shift" && has:
			f.Shift, fault = strconv.ParseInt(value, 10, 64)
		case name == "slow" && has:
			f.BytesPerSecond, fault = strconv.Atoi(value)
		case name == "delay" && has:
			f.Delay, fault = time.ParseDuration(value)
		case name == "late" && has:
			f.Late, fault = time.ParseDuration(value)
		default:
			fault = errors.New("unknown")
		}
		if fault != nil {
			err = errors.Join(err, fmt.Errorf("--snapshot-fault %q is none of: refuse, silent, no-heartbeats, endless, garbage, cut=N, end=N, shift=N, slow=N, delay=TIME, late=TIME", word))
		}
	}
	return f, err
}
