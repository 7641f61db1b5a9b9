package plugins

// Plugins of the chain, in order: Reason.Stage counts them. To be read only.
func (c *Chain) Plugins() []*Plugin {
	all := make([]*Plugin, len(c.stages))
	for k := range c.stages {
		all[k] = c.stages[k].plugin
	}
	return all
}

// Taken says that a lane has taken the chain from its seat, or that it was closed. From any goroutine.
func (c *Chain) Taken() bool { return c.state.Load() != chainNew }

// Waiting says that there is another chain to be taken. The lane's; hot path.
func (s *Seat) Waiting() bool { return s.next.Load() != s.have }

// Forget begins a session: what plugins made of symbols is void, since numbers mean other instruments. The lane's.
func (c *Chain) Forget() {
	clear(c.symbols.told)
	c.symbols.changed = c.symbols.changed[:0]
	for k := range c.stages {
		if n := c.stages[k].names; n != nil {
			clear(n.by)
		}
	}
}
