package main

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tickwire/tickwire/tuning"
	"github.com/tickwire/tickwire/tuning/measure"
	"github.com/tickwire/tickwire/tuning/ptpinfo"
)

// ptpPatience is how long check looks for a ptp4l and waits for what it says: it answers between two packets, or not at all.
const ptpPatience = 2 * time.Second

// askPTP lets check ask ptp4l. The plan's domain 0 is the one that ptp4l was started with.
func askPTP(ctx context.Context, h *tuning.Host) {
	h.Probes.PTP4L = func(domain int) (said tuning.PTP4L, err error) {
		if domain == 0 {
			domain = -1
		}
		other, err := tuning.Open(h.Root, nil) // what is read there is no evidence of the check
		if err != nil {
			return said, err
		}
		ctx, cancel := context.WithTimeout(ctx, ptpPatience)
		defer cancel()
		r, err := ptpinfo.Look(ctx, other, ptpinfo.Options{Domain: domain})
		if errors.Is(err, context.DeadlineExceeded) {
			return said, ptpinfo.ErrSilent
		} else if err != nil {
			return said, err
		}
		err = unix.ENOENT
		for _, s := range r.Servers {
			if s.Status == nil || len(s.Ports) == 0 {
				if s.Error != "" {
					err = errors.New(s.Socket + ": " + s.Error)
				}
				continue
			}
			said = tuning.PTP4L{GMPresent: s.Status.Present, Grandmaster: s.Status.Grandmaster.String(), OffsetNs: s.Status.OffsetNs}
			for _, p := range s.Ports {
				said.Ports = append(said.Ports, p.State)
			}
			return said, nil
		}
		return said, err
	}
}

// measureToo lets check load cores: each check that is measured takes as long, at least half a second.
func measureToo(ctx context.Context, h *tuning.Host, length time.Duration) {
	length = max(length, 500*time.Millisecond)
	h.Probes.Frequency = func(cores tuning.CPUs) (all []tuning.CoreFrequency, err error) {
		r, err := measure.Frequency(ctx, measure.FrequencyOptions{Cores: cores, For: length})
		if err != nil {
			return nil, err
		}
		for _, c := range r.Cores {
			all = append(all, tuning.CoreFrequency{Core: c.Core, MHz: c.MHz.Median, LeastMHz: c.MHz.Min, SpreadPPM: c.SpreadPPM})
		}
		return all, nil
	}
	h.Probes.Skew = func(cores tuning.CPUs) (tuning.Skew, error) {
		r, err := measure.Clock(ctx, measure.ClockOptions{Cores: cores, For: length})
		if err != nil {
			return tuning.Skew{}, err
		}
		if len(r.Skews) < len(cores)-1 {
			return tuning.Skew{}, errors.New(r.Missing[0])
		}
		return tuning.Skew{MaxNs: r.MaxSkewNs, CertainNs: r.CertainSkewNs, Backwards: r.Backwards}, nil
	}
}
