package process

import (
	"errors"
	"hash/maphash"
	"net/netip"

	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/protocol"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/nic"
)

// Bounds of what is believed of a capture.
const (
	mostChannels = 64
	mostGroups   = 256
	recentSeen   = 1 << 12 // packets whose hash a channel remembers
)

// channels tells which packets of a capture are of which channel, and of which of its lines. A feed of one channel has it easy: its first
// group is line A, every other B. Where a venue has several channels, nothing in a packet names its own; a new group is
//
//	line B of the channel whose only group has the same port                   as generated captures have it
//	line B of a channel with one group that had the very same packet of late   as venues with ports of their own for B have it
//	line A of a new channel                                                    otherwise
type channels struct {
	proto   *protocol.Protocol
	options protocol.Options
	session session.Config
	lane    *pipeline.Lane
	groups  map[netip.AddrPort]member
	all     []*fileChannel
	seed    maphash.Seed
	err     error

	Unrecognised uint64 // packets of no channel: another protocol's
	Beyond       uint64 // packets of channels beyond those that are followed
}

type member struct {
	channel *fileChannel // nil: the group is not followed
	line    uint8
}

type fileChannel struct {
	session *session.Channel
	port    uint16
	lines   int
	recent  [recentSeen]uint64 // hashes of its packets, by hash
}

func newChannels(p *protocol.Protocol, o protocol.Options, s session.Config, lane *pipeline.Lane) *channels {
	s.Framing = p.Framing
	return &channels{proto: p, options: o, session: s, lane: lane, groups: map[netip.AddrPort]member{}, seed: maphash.MakeSeed()}
}

// route finds a packet's channel and sets its line; nil: it has none.
func (c *channels) route(p *nic.Packet) *session.Channel {
	m, known := c.groups[p.Group]
	if !known {
		if c.proto.Channels && c.proto.Looks(p.Data, p.Group) == 0 {
			c.Unrecognised++
			return nil
		}
		m = c.place(p)
		if len(c.groups) < mostGroups {
			c.groups[p.Group] = m
		}
	}
	if m.channel == nil {
		c.Beyond++
		return nil
	}
	p.Line = m.line
	if c.proto.Channels && m.channel.lines == 1 {
		h := maphash.Bytes(c.seed, p.Data)
		m.channel.recent[h%recentSeen] = h
	}
	return m.channel.session
}

// place finds the place of a group that is new.
func (c *channels) place(p *nic.Packet) member {
	if !c.proto.Channels && len(c.all) > 0 {
		return member{c.all[0], 1}
	}
	h := maphash.Bytes(c.seed, p.Data)
	for _, ch := range c.all {
		if ch.lines == 1 && (ch.port == p.Group.Port() || ch.recent[h%recentSeen] == h) {
			ch.lines = 2
			return member{ch, 1}
		}
	}
	if len(c.all) == mostChannels {
		return member{}
	}
	ch := &fileChannel{port: p.Group.Port(), lines: 1}
	if len(c.all) == 0 {
		ch.session = session.NewChannel(c.session, c.lane)
	} else {
		o := c.options
		o.Channel = uint8(len(c.all))
		decoder, err := c.proto.New(o)
		if err != nil {
			c.err = errors.Join(c.err, err)
			return member{}
		}
		ch.session = session.NewChannel(c.session, c.lane.Stream(decoder, o.Channel))
	}
	c.all = append(c.all, ch)
	return member{ch, 0}
}

// sessions are the channels so far.
func (c *channels) sessions() []*session.Channel {
	all := make([]*session.Channel, len(c.all))
	for i, ch := range c.all {
		all[i] = ch.session
	}
	return all
}
