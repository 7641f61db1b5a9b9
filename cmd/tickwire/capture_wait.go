package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tickwire/tickwire/nic/capture"
)

// captureQuiet is after how long without a packet a capture says that it still waits; each time twice as long passes until the next word.
var captureQuiet = 5 * time.Second

// waiting says what a capture waits for: somebody who asked for packets that never come should know why nothing happens.
type waiting struct {
	what    string // the packets that are wanted, and until when
	errs    io.Writer
	packets uint64    // as of when some came last
	since   time.Time // when that was
	next    time.Duration
}

// newWaiting says at once what is waited for.
func (o *captureOptions) newWaiting(errs io.Writer) *waiting {
	w := &waiting{what: o.wanted(), errs: errs, since: time.Now(), next: captureQuiet}
	fmt.Fprintf(errs, "waiting for %s\n", w.what)
	return w
}

// wanted are the packets that the flags ask for, in words.
func (o *captureOptions) wanted() string {
	var b strings.Builder
	if o.limits.Count > 0 {
		fmt.Fprintf(&b, "%d ", o.limits.Count)
	}
	b.WriteString("packets")
	list := func(before string, names []string) {
		if len(names) > 0 {
			b.WriteString(before + strings.Join(names, ", "))
		}
	}
	list(" of group ", o.groups)
	list(" on line ", o.lines)
	if list(" on ", o.interfaces); len(o.interfaces) == 0 {
		b.WriteString(" of feed " + o.feed)
	}
	if o.lane != "" {
		b.WriteString(", lane " + o.lane)
	}
	if o.limits.For > 0 {
		fmt.Fprintf(&b, ", for %s at most", o.limits.For)
	}
	b.WriteString("; Control-C ends it")
	return b.String()
}

// tell is called each second.
func (w *waiting) tell(s capture.Stats) {
	if s.Packets != w.packets {
		w.packets, w.since, w.next = s.Packets, time.Now(), captureQuiet
		return
	}
	quiet := time.Since(w.since)
	if quiet < w.next {
		return
	}
	w.next = 2 * quiet
	fmt.Fprintf(w.errs, "nothing has come for %.0f s; %d packets so far, still waiting for %s\n", quiet.Seconds(), s.Packets, w.what)
}
