package exchange

import (
	"fmt"
	"net/netip"

	"github.com/tickwire/tickwire/sim/glimpse"
)

// Snapshots is the snapshot server: GLIMPSE over SoupBinTCP.
type Snapshots struct {
	// Addr is where it listens, port 0: any free one. The zero value is no server.
	Addr netip.AddrPort
	// Options are logins and faults, among others. Options.Session is the present session's name by default.
	glimpse.Options
}

func (s *Snapshots) validate(bad func(string, ...any)) {
	if len(s.User) > 6 || len(s.Password) > 10 {
		bad("snapshots: user %q has more than 6 characters, or the password more than 10", s.User)
	}
	if s.Addr.IsValid() && (s.Addr.Addr().IsUnspecified() || s.Addr.Addr().IsMulticast()) {
		bad("snapshots at %s: want the address of one interface, such as 127.0.0.1", s.Addr)
	}
}

// mostSkipped is how many numbers before a capture's first one a snapshot counts from: a day has fewer.
const mostSkipped = 1_000_000_000

// skipTo makes books whose next message has a number. Those before it are not known.
func skipTo(s *glimpse.State, number uint64) error {
	next := s.Next()
	if number > next+mostSkipped {
		return fmt.Errorf("exchange: message %d comes after %d: too far for snapshots", number, next-1)
	}
	for ; next < number; next++ {
		s.Apply(nil)
	}
	return nil
}
