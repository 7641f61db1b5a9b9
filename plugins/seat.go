package plugins

import (
	"sync/atomic"
	"time"
)

// Seat is where a lane finds its chain. Others put a new one there; the lane takes it between two passes, so that no batch is handled by half of each, and the old
// one is closed in the background. The zero value is empty.
type Seat struct {
	next atomic.Pointer[Chain]
	have *Chain // the lane's
}

// Set puts a chain there, nil: none. One that was set and never taken is closed. From any goroutine.
func (s *Seat) Set(next *Chain) { leave(s.next.Swap(next), next) }

// SetWanted is Set of what wanted holds, for a lane, while others may store another chain in wanted and then Set it: the one that was wanted last stays.
func (s *Seat) SetWanted(wanted *atomic.Pointer[Chain]) {
	for {
		was, next := s.next.Load(), wanted.Load()
		if s.next.CompareAndSwap(was, next) {
			leave(was, next)
			return
		}
	}
}

// leave closes a chain in whose place another one was set.
func leave(was, next *Chain) {
	switch {
	case was == nil || was == next:
	case was.Drop():
	default:
		go was.finishWhenLeft()
	}
}

// finishWhenLeft waits until the lane has left the chain. The lane only stores that it has: waking a goroutine would cost it 10 µs.
func (c *Chain) finishWhenLeft() {
	for c.state.Load() != chainRetired {
		select {
		case <-c.keeper.done:
			return
		case <-time.After(time.Millisecond):
		}
	}
	c.keeper.finish()
}

// Drop ends a chain that no lane has taken yet, and says whether that was so. From any goroutine.
func (c *Chain) Drop() bool {
	if !c.state.CompareAndSwap(chainNew, chainRetired) {
		return false
	}
	c.keeper.finish()
	return true
}

// OnTake has fn called on the lane when it takes the chain: what is to change with it, between the same two passes. Before the chain is set.
func (c *Chain) OnTake(fn func()) { c.took = fn }

// Take is the lane's chain for the pass to come, nil: none. State moves from the old one to the new one if both versions of a plugin save and restore.
// Hot path: an atomic load, unless there is a new one; a plugin that has state saves and restores it here, within the fuel of a call each (1 ms at the very most).
func (s *Seat) Take() *Chain {
	if next := s.next.Load(); next != s.have {
		s.swap(next)
	}
	return s.have
}

func (s *Seat) swap(next *Chain) {
	if next != nil && !next.state.CompareAndSwap(chainNew, chainLive) {
		return // replaced or closed since: the next pass finds what is there then
	}
	old := s.have
	s.have = next
	if next != nil && next.took != nil {
		next.took()
	}
	if old == nil {
		return
	}
	if next != nil {
		next.follow(old)
	}
	old.state.Store(chainRetired)
}

// follow takes over from a chain what belongs to the plugins' names: figures, symbols, state. The lane's.
func (c *Chain) follow(old *Chain) {
	if r := c.reading; r != nil {
		old.Settle(old.reading.now)
		r.now = old.reading.now
		c.Begin(old.reading.midnight)
	} else {
		c.symbols.follow(&old.symbols)
	}
	for k := range c.stages {
		s := &c.stages[k]
		for j := range old.stages {
			o := &old.stages[j]
			if o.plugin.manifest.Name != s.plugin.manifest.Name {
				continue
			}
			s.stats.follow(&o.stats)
			if s.live == nil || o.live == nil || s.live.fns[fnRestore] == nil {
				continue
			}
			state, err := o.live.Save()
			if err != nil {
				o.failed(old, j, err)
				continue
			}
			if state == nil {
				continue
			}
			if err := s.live.Restore(state); err != nil {
				s.failed(c, k, err)
			}
		}
	}
}
