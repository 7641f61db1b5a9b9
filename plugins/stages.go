package plugins

// Plugins of the chain, in order: Reason.Stage counts them. To be read only.
func (c *Chain) Plugins() []*Plugin { return nil }

// Waiting says that there is a chain to be taken. Hot path.
func (s *Seat) Waiting() bool { return false }
