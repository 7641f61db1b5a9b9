package plugins

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/tick"
)

// stage is a plugin in a chain. The lane owns it, but for spares, out and stats, which the keeper uses too.
type stage struct {
	plugin    *Plugin
	env       Env
	transform int            // unit, -1: none
	validator int            // unit, -1: none
	maps      [2]columnMap   // of both
	rows      int            // of a call
	live      *Instance      // nil: none
	spares    chan *Instance // one, unless it is being made. A stage has two instances: each that dies is replaced, so there is room
	out       atomic.Bool    // taken out after failures
	barren    atomic.Bool    // no spare can be made just now
	inRow     int            // batches that failed since one went well
	failures  []time.Time    // those within the window, oldest first
	names     *names         // symbols that it writes, nil: it writes none
	stats     counters

	onTrap       manifest.OnTrap        // Stage's
	maxFailures  int                    // in a row
	mostFailures int                    // within the window
	latest       atomic.Pointer[string] // failure, by the keeper
}

// build makes a stage with an instance and a spare.
func (s *stage) build(st Stage, env Env, all *symbols) error {
	m := st.Plugin.manifest
	s.plugin, s.env, s.rows = st.Plugin, env, m.Limits.MaxRows
	s.env.Params = st.Params
	if s.transform >= 0 && writesSymbol(&m.Kinds[s.transform]) {
		s.names = all.add()
	}
	s.onTrap, s.maxFailures = orElse(st.OnTrap, m.OnTrap), orElse(st.MaxFailures, st.Plugin.host.policy.MaxFailures)
	s.spares = make(chan *Instance, 2)
	s.mostFailures = max(s.maxFailures, st.Plugin.host.policy.MostFailures)
	s.failures = make([]time.Time, 0, s.mostFailures)
	var err error
	if s.live, err = s.instance(); err != nil {
		return err
	}
	spare, err := s.instance()
	if err == nil {
		s.spares <- spare
	}
	return err
}

// instance makes an instance whose custom columns are the chain's.
func (s *stage) instance() (*Instance, error) {
	i, err := s.plugin.Instance(s.env)
	if err != nil {
		return nil, err
	}
	for k, unit := range [2]int{s.transform, s.validator} {
		if unit < 0 {
			continue
		}
		u, cm := &i.units[unit], &s.maps[k]
		u.customTo, u.earlierOf = cm.to, cm.from
		for at, t := range cm.types {
			if c := u.column(uint16(manifest.ColumnEarlier + at)); c.typ != t {
				m := s.plugin.manifest
				err := fmt.Errorf("plugin %s %s: layout at %d: column %d is %s, but the custom column is %s", m.Name, m.Version, u.at, c.id, c.typ, t)
				return nil, errors.Join(err, i.Close())
			}
		}
	}
	return i, nil
}

// pass runs the stage over a batch, so many rows a call as the plugin takes. Hot path.
func (s *stage) pass(c *Chain, k int, b *tick.Batch, now uint64) {
	var did did
	for from := 0; from < b.N; from += s.rows {
		n := min(s.rows, b.N-from)
		i := s.live
		if i == nil {
			if i = s.next(); i == nil {
				s.bypass(c, k, b, from, n, s.noneBecause(), &did)
				continue
			}
		}
		i.Now = now
		used, cut := i.used, i.Cut
		err := s.slice(c, i, k, b, from, n, &did)
		did.fuel += i.used - used
		did.cut += i.Cut - cut
		if err != nil {
			s.failed(c, k, err)
			s.bypass(c, k, b, from, n, BypassFailed, &did)
			continue
		}
		s.inRow = 0
		did.rows += n
		did.batches++
	}
	s.stats.add(&did)
}

// slice is one call a kind. Hot path.
func (s *stage) slice(c *Chain, i *Instance, k int, b *tick.Batch, from, n int, did *did) error {
	if s.transform >= 0 {
		if s.names != nil && s.names.again >= mostAgain {
			s.names.again = 0
			return i.wrong(fnTransform, fmt.Errorf("it changed %d symbols that it had written before", mostAgain))
		}
		v, err := i.judge(s.transform, manifest.Transform, fnTransform, b, from, n, &c.Sides, Reason(k<<16|FromTransform<<8))
		if err != nil {
			return err
		}
		did.count(v)
		if s.names != nil {
			u := &i.units[s.transform]
			c.symbols.take(s.names, i.memory.all[u.symbol:], u.stride, b, from, n)
		}
	}
	if s.validator >= 0 {
		v, err := i.judge(s.validator, manifest.Validator, fnValidate, b, from, n, &c.Sides, Reason(k<<16|FromValidator<<8))
		if err != nil {
			return err
		}
		did.count(v)
	}
	return nil
}

// next takes the spare.
func (s *stage) next() *Instance {
	if s.out.Load() {
		return nil
	}
	select {
	case s.live = <-s.spares:
	default:
		if s.barren.Load() {
			s.out.Store(true)
		}
	}
	return s.live
}

func (s *stage) noneBecause() int {
	if s.out.Load() {
		return BypassOut
	}
	return BypassNoSpare
}

// failed gives the dead instance to the keeper, and takes the plugin out if it fails too often.
func (s *stage) failed(c *Chain, k int, err error) {
	s.stats.own.Add(1)
	var f *Failure
	if errors.As(err, &f) && f.Trap {
		s.stats.traps.Add(1)
	} else {
		s.stats.errors.Add(1)
	}
	policy, now := &c.host.policy, time.Now()
	for len(s.failures) > 0 && now.Sub(s.failures[0]) > policy.FailureWindow {
		s.failures = append(s.failures[:0], s.failures[1:]...)
	}
	s.failures = append(s.failures, now)
	s.inRow++
	out := s.inRow >= s.maxFailures || len(s.failures) >= s.mostFailures
	if out {
		s.out.Store(true)
		s.failures = s.failures[:0]
	}
	dead := s.live
	s.live = nil
	r := report{stage: k, dead: dead, err: err, out: out}
	if c.reading != nil {
		r.packet = bytes.Clone(c.reading.packet)
	}
	c.keeper.report(r)
}

// bypass marks rows that the plugin did not handle.
func (s *stage) bypass(c *Chain, k int, b *tick.Batch, from, n, code int, did *did) {
	why := Reason(k<<16 | FromHost<<8 | code)
	drop := s.onTrap == manifest.DropOutput
	if s.onTrap == manifest.StopFeed && c.stopped == nil {
		c.stopped = fmt.Errorf("%w: %s %s", ErrStopped, s.plugin.manifest.Name, s.plugin.manifest.Version)
	}
	for r := from; r < from+n; r++ {
		row := r & tick.RowMask
		b.Flags[row] |= tick.FlagPublisherSpecific
		what := Bypassed
		if drop && Droppable(b.Kind[row]) {
			what = Dropped
			did.dropped++
		}
		if was := c.Verdict[row]; was == Keep || what == Dropped && was != Refused {
			c.Verdict[row], c.Reason[row] = what, why
		}
	}
	did.bypassed += n
}

func writesSymbol(u *manifest.Unit) bool {
	for _, w := range u.Writes {
		if w == "symbol" {
			return true
		}
	}
	return false
}
