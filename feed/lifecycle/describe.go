package lifecycle

import (
	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/ringbuf"
)

// Describe is a chain as readers of rings are told of it: what a file of ringbuf.ExtPlugins beside them has.
func Describe(c *plugins.Chain) ringbuf.Plugins { return describe(c) }
