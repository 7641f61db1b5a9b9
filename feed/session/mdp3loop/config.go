package mdp3loop

import (
	"errors"
	"fmt"
	"time"

	"github.com/tickwire/tickwire/feed/resync"
	"github.com/tickwire/tickwire/nic/udp"
)

// Config says where the loops are. Levels or Orders must be given; the rest works at zero.
type Config struct {
	// Levels, Orders and Definitions are the groups of the MBP recovery, the MBO recovery and the instrument replay feeds, one side or both of each.
	Levels, Orders, Definitions []udp.Group
	// Most is how long all of it may take. The default is 2 min: rounds take some seconds to half a minute.
	Most time.Duration
	// Silence is how long nothing may come on a feed before it is taken for dead. The default is 45 s, for a feed without content sends something each
	// 30 s.
	Silence time.Duration
	// MaxInstruments and MaxBytes bound a snapshot. The defaults are 1<<18 and 1 GiB, of which only orders that wait for their last piece are held.
	MaxInstruments int
	MaxBytes       int
	// Counters are added to as things happen, if given. They are Fetch's until it returns.
	Counters *Counters
}

// Counters of what came.
type Counters struct {
	Packets   uint64 // datagrams
	Malformed uint64 // that were not whole packets: as good as lost
	Waited    uint64 // packets of rounds that had begun before anybody listened
	Messages  uint64 // snapshots and pieces of them
	Strange   uint64 // messages that have no place in the feed, or contradict themselves
	Repeated  uint64 // messages of what was whole already
	Replaced  uint64 // books by order whose last pieces came as of another number: begun anew
	Stale     uint64 // snapshots that were not taken, for they were too old
	Rounds    uint64 // that began
}

func (c *Config) defaults() error {
	if c.Most <= 0 {
		c.Most = 2 * time.Minute
	}
	if c.Silence <= 0 {
		c.Silence = 45 * time.Second
	}
	if c.MaxInstruments <= 0 {
		c.MaxInstruments = 1 << 18
	}
	if c.MaxBytes <= 0 {
		c.MaxBytes = 1 << 30
	}
	if c.Counters == nil {
		c.Counters = new(Counters)
	}
	if len(c.Levels)+len(c.Orders) == 0 {
		return errors.New("mdp3loop: no group of a snapshot feed is given")
	}
	for _, g := range [][]udp.Group{c.Levels, c.Orders, c.Definitions} {
		if len(g) > 2 {
			return fmt.Errorf("mdp3loop: %d groups of one feed, want one side or both", len(g))
		}
	}
	return nil
}

// Errors of Fetch, wrapped with what was seen.
var (
	ErrSilent  = errors.New("nothing comes on the feed")
	ErrTooSlow = errors.New("snapshot took too long")
	ErrTooMuch = errors.New("snapshot is larger than is believed")
)

// ErrStale is what Fetch's fn answers when a snapshot is older than what its taker has: a newer one of the instrument is waited for.
var ErrStale = resync.ErrStale
