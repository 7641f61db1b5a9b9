package config

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/tickwire/tickwire/ringbuf"
)

func (c *Consolidate) validate(fs *faults, feeds []Feed) {
	if len(c.Feeds) == 0 {
		return
	}
	name(fs, "consolidate.name", c.Name)
	if len(c.Feeds) > ringbuf.MaxVenues {
		fs.add("consolidate.feeds", "names %d feeds, at most %d can be joined", len(c.Feeds), ringbuf.MaxVenues)
	}
	if c.StaleAfter < 0 {
		fs.add("consolidate.stale_after", "is negative")
	}
	if c.Slots < 1024 || bits.OnesCount64(c.Slots) != 1 {
		fs.add("consolidate.slots", "= %d, want a power of two from 1024", c.Slots)
	}
	publishers := map[uint16]string{}
	for i, feed := range c.Feeds {
		key := fmt.Sprintf("consolidate.feeds[%d]", i)
		at := slices.IndexFunc(feeds, func(f Feed) bool { return f.Name == feed })
		if at < 0 {
			fs.add(key, "= %q is no feed of this configuration", feed)
			continue
		}
		if other, taken := publishers[feeds[at].Publisher]; taken {
			fs.add(key, "= %q has publisher %d, as has %q: records could not tell the two apart", feed, feeds[at].Publisher, other)
		}
		publishers[feeds[at].Publisher] = feed
	}
	if slices.ContainsFunc(feeds, func(f Feed) bool { return f.Name == c.Name }) {
		fs.add("consolidate.name", "= %q is a feed's", c.Name)
	}
}

// Publishers are those of the feeds that are joined, in their order. The configuration is valid.
func (c *Config) Publishers() (publishers []uint16) {
	for _, feed := range c.Consolidate.Feeds {
		for i := range c.Feed {
			if c.Feed[i].Name == feed {
				publishers = append(publishers, c.Feed[i].Publisher)
			}
		}
	}
	return publishers
}
