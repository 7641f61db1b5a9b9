package mdp3loop

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/udp"
)

// pollWait is how long a look at the sockets waits for a packet.
const pollWait = 20 * time.Millisecond

// Fetch takes one snapshot of all feeds that are configured: definitions first, then levels and orders side by side. fn gets each instrument's as soon as it is whole,
// on the calling goroutine; when it answers ErrStale, a newer one of that instrument follows, any other error ends the snapshot with that error. After an
// error whatever fn got is void.
func Fetch(ctx context.Context, c Config, fn func(s *Snapshot) error) error {
	if err := c.defaults(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.Most, ErrTooSlow)
	defer cancel()
	if len(c.Definitions) > 0 {
		if err := take(ctx, &c, fn, feed{Definitions, c.Definitions}); err != nil {
			return err
		}
	}
	return take(ctx, &c, fn, feed{Levels, c.Levels}, feed{Orders, c.Orders})
}

// feed is a loop and the groups that it comes on.
type feed struct {
	kind   Kind
	groups []udp.Group
}

// take listens to feeds until all of them are whole.
func take(ctx context.Context, c *Config, fn func(s *Snapshot) error, feeds ...feed) (err error) {
	var o udp.Options
	var of []*collector // by flow
	var all []*collector
	for _, f := range feeds {
		if len(f.groups) == 0 {
			continue
		}
		x := newCollector(f.kind, c, fn)
		all = append(all, x)
		for i, g := range f.groups {
			g.Line = uint8(i)
			o.Groups = append(o.Groups, g)
			of = append(of, x)
		}
	}
	o.NoStamps = true
	src, err := udp.Open(o)
	if err != nil {
		return fmt.Errorf("mdp3loop: %w", err)
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	heard := make([]time.Time, len(all))
	for i := range heard {
		heard[i] = time.Now()
	}
	packets := make([]nic.Packet, 64)
	for {
		n, err := src.Poll(packets)
		if err != nil {
			return fmt.Errorf("mdp3loop: %w", err)
		}
		for _, p := range packets[:n] {
			if x := of[p.Flow]; !x.done() {
				if err := x.packet(p.Line, p.Data); err != nil {
					return fmt.Errorf("mdp3loop: %s: %w", x.kind, err)
				}
			}
		}
		left := 0
		for i, x := range all {
			if !x.done() {
				left++
			}
			for _, p := range packets[:n] {
				if of[p.Flow] == x {
					heard[i] = time.Now()
					break
				}
			}
			if quiet := time.Since(heard[i]); !x.done() && quiet > c.Silence {
				return fmt.Errorf("mdp3loop: %s: %w for %s, %d of %d instruments are whole", x.kind, ErrSilent, quiet.Round(time.Millisecond), len(x.whole), x.total)
			}
		}
		switch {
		case left == 0:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("mdp3loop: %w: %s", context.Cause(ctx), progress(all))
		case n == 0:
			if err := src.Wait(pollWait); err != nil {
				return fmt.Errorf("mdp3loop: %w", err)
			}
		}
	}
}

func progress(all []*collector) (s string) {
	for _, x := range all {
		s += fmt.Sprintf("%s of %d instruments of %d are whole; ", x.kind, len(x.whole), x.total)
	}
	return s[:len(s)-2]
}
