package protocol

import (
	"fmt"
	"time"
)

// Midnight is the start of a day in the venue's zone, ns since the Unix epoch. It fails when the zone's rules cannot be found; programs link
// time/tzdata to have them everywhere.
func (p *Protocol) Midnight(year int, month time.Month, day int) (uint64, error) {
	zone, err := time.LoadLocation(p.Zone)
	if err != nil {
		return 0, fmt.Errorf("%s: rules of the venue's zone: %w", p.Name, err)
	}
	return uint64(time.Date(year, month, day, 0, 0, 0, 0, zone).UnixNano()), nil
}

// MidnightBefore is the start of the venue's day that a moment, ns since the Unix epoch, falls into.
func (p *Protocol) MidnightBefore(ns uint64) (uint64, error) {
	zone, err := time.LoadLocation(p.Zone)
	if err != nil {
		return 0, fmt.Errorf("%s: rules of the venue's zone: %w", p.Name, err)
	}
	return p.Midnight(time.Unix(0, int64(ns)).In(zone).Date())
}
