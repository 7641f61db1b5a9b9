package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/nic/afxdp"
)

// wordOf says what a counter's value stands for, where it is no count: empty for all others.
func wordOf(name string, v uint64, now time.Time) string {
	switch {
	case v == 0 && !strings.HasSuffix(name, "state"):
		return ""
	case strings.HasSuffix(name, "_at"):
		at := time.Unix(0, int64(v))
		return fmt.Sprintf("%s, %s ago", at.UTC().Format("2006-01-02 15:04:05Z"), nsText(max(0, int64(now.Sub(at)))))
	case strings.HasSuffix(name, ".live_taken_out"):
		return "TAKEN OUT after failures: rows pass the plugin by, flagged"
	case strings.HasSuffix(name, "_ns"):
		return nsText(int64(v))
	case strings.HasSuffix(name, "bytes"), strings.HasSuffix(name, "bytes_out"):
		return bytesText(v)
	case strings.Contains(name, ".afxdp.interface.") && strings.HasSuffix(name, ".mode"):
		return afxdp.Mode(v).String()
	case strings.Contains(name, ".channel.") && strings.HasSuffix(name, ".live_state"):
		return session.State(v).String()
	case strings.HasSuffix(name, ".resync.live_state"):
		return [...]string{"books are whole", "books are being rebuilt", "readers are being told of rebuilt books"}[min(v, 2)]
	case strings.HasSuffix(name, ".natural.live_state"):
		return [...]string{"books are whole", "price books are being learnt from the feed itself", "orders are suspect, and do not come back by natural refresh; price books do"}[min(v, 2)]
	}
	return ""
}
