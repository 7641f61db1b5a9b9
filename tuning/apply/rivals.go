package apply

import (
	"github.com/tickwire/tickwire/tuning"
)

// rivals are those who set the same things, and interfaces that must not be cut.
type rivals struct{}

func (m *machine) rivals([]tuning.Change) *rivals { return &rivals{} }

// against says why a change is refused; empty: it is not.
func (v *rivals) against(c *tuning.Change, was Value) string { return "" }
