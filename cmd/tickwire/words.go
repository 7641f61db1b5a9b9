package main

import (
	"strings"

	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/nic/afxdp"
)

// wordOf says what a counter's value stands for, where it is no count: empty for all others.
func wordOf(name string, v uint64) string {
	switch {
	case strings.Contains(name, ".afxdp.interface.") && strings.HasSuffix(name, ".mode"):
		return afxdp.Mode(v).String()
	case strings.Contains(name, ".channel.") && strings.HasSuffix(name, ".live_state"):
		return session.State(v).String()
	case strings.HasSuffix(name, ".resync.live_state"):
		return [...]string{"books are whole", "books are being rebuilt", "readers are being told of rebuilt books"}[min(v, 2)]
	}
	return ""
}
