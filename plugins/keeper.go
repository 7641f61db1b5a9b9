package plugins

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// keeper is a chain's goroutine for what a lane must not do: log failures, close instances, make spares.
type keeper struct {
	reports chan report
	end     chan struct{}
	once    sync.Once
	missing []int // instances, by stage
	done    chan struct{}
	err     error // of closing, once done is closed
}

// report is a failure.
type report struct {
	stage int
	dead  *Instance
	err   error
	out   bool
	// packet that a parser failed on.
	packet []byte
}

func (k *keeper) start(c *Chain) {
	// A stage has two instances at most: alive, spare, or in a report. So a report never waits.
	k.reports = make(chan report, 2*len(c.stages))
	k.missing = make([]int, len(c.stages))
	k.end, k.done = make(chan struct{}), make(chan struct{})
	go k.run(c)
}

func (k *keeper) report(r report) { k.reports <- r }

// finish lets the keeper close the chain's instances and end. From any goroutine; the lane must not use the chain any more.
func (k *keeper) finish() { k.once.Do(func() { close(k.end) }) }

// againAfter is when a stage is given a spare again that none could be made for.
const againAfter = time.Second

func (k *keeper) run(c *Chain) {
	defer close(k.done)
	var again <-chan time.Time
	for {
		select {
		case r := <-k.reports:
			k.handle(c, r)
			if again == nil && k.replace(c) {
				again = time.After(againAfter)
			}
		case <-again:
			if again = nil; k.replace(c) {
				again = time.After(againAfter)
			}
		case <-k.end:
			for len(k.reports) > 0 {
				k.handle(c, <-k.reports)
			}
			k.err = c.free()
			return
		}
	}
}

// handle tells of a failure and closes the instance that died of it.
func (k *keeper) handle(c *Chain, r report) {
	s := &c.stages[r.stage]
	text := "plugins: a call failed"
	if r.out {
		text = "plugins: a call failed; the plugin is taken out after so many failures: reload it to have it back"
	}
	line := r.err.Error()
	if f := (*Failure)(nil); errors.As(r.err, &f) {
		line = f.Line()
	}
	s.latest.Store(&line)
	s.plugin.say(slog.LevelError, text, slog.String("error", r.err.Error()))
	if c.host.dead != nil && r.dead != nil {
		d := Dead{Instance: r.dead, Unit: r.dead.judged, Rows: r.dead.judgedRows, Packet: r.packet, Err: r.err}
		if c.reading != nil {
			d.Unit, d.Rows = c.reading.unit, 0
		}
		c.host.dead(d)
	}
	if err := r.dead.Close(); err != nil {
		s.plugin.say(slog.LevelError, "plugins: closing an instance", slog.String("error", err.Error()))
	}
	k.missing[r.stage]++
}

// replace makes the instances that stages lack, and says whether some still do. While one of a stage is alive it goes on: only a lane that finds none takes it out.
func (k *keeper) replace(c *Chain) (more bool) {
	for n := range k.missing {
		s := &c.stages[n]
		for k.missing[n] > 0 && !s.out.Load() {
			spare, err := s.instance()
			if err != nil {
				if !s.barren.Swap(true) {
					s.plugin.say(slog.LevelError, "plugins: no new instance; the plugin goes on with the one that it has, if any, and is taken out behind it", slog.String("error", err.Error()))
				}
				more = true
				break
			}
			s.barren.Store(false) // before: a lane that finds neither waits
			s.spares <- spare
			k.missing[n]--
		}
	}
	return more
}

// free closes what the chain has.
func (c *Chain) free() error {
	var all []error
	for k := range c.stages {
		s := &c.stages[k]
		for i := s.live; ; {
			if i != nil {
				all = append(all, s.end(i))
			}
			if len(s.spares) == 0 {
				break
			}
			i = <-s.spares
		}
		s.live = nil
	}
	c.Sides = Sides{}
	if c.mem != nil {
		all = append(all, unix.Munmap(c.mem))
	}
	return errors.Join(all...)
}

// end ends an instance in good order.
func (s *stage) end(i *Instance) error {
	if err := i.Shutdown(); err != nil {
		s.plugin.say(slog.LevelWarn, "plugins: shutdown", slog.String("error", err.Error()))
	}
	return i.Close()
}
