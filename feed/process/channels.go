package process

import (
	"bytes"
	"errors"
	"hash/maphash"
	"net/netip"
	"slices"

	"github.com/tickwire/tickwire/feed/protocol"
	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/nic"
)

// Bounds of what is believed of a capture.
const (
	mostChannels = 64
	mostGroups   = 256
	recentSeen   = 1 << 12 // packets whose hash a channel remembers
	mostHeld     = 64      // packets of a group whose place is not known yet
	leastHeld    = 4       // so many, and heldNs, without a copy elsewhere: the group is nobody's line B
	heldNs       = 50_000_000
	apart        = 1 << 17 // numbers that two lines are never apart
)

// channels tells which packets of a capture are of which channel, and of which of its lines. A feed of one channel has it easy: its first
// group is line A, every other B, if its packets are of the same protocol and session. Where a venue has several channels, nothing in a packet names its
// own; a new group is
//
//	line B of a channel with one group that has the very same packets     as venues' lines have them, whichever is ahead
//	line B of the channel whose only group has the same port,             as generated captures have it
//	       unless their packets contradict each other
//	line A of a new channel                                               otherwise
//
// As long as that is not known, its packets are held: a line that is taken for a channel of its own would have every order come twice.
type channels struct {
	proto   *protocol.Protocol
	session session.Config
	sink    func(channel uint8) (session.Sink, error)
	groups  map[netip.AddrPort]member
	all     []*fileChannel
	held    []*heldGroup
	seed    maphash.Seed
	now     uint64 // time of the latest packet
	market  uint16 // protocol.Market; 0: none said so yet
	err     error

	Unrecognised uint64 // packets of no channel: another protocol's
	Beyond       uint64 // packets of channels beyond those that are followed
	Loops        uint64 // packets of groups that repeat what is known
	Elsewhere    uint64 // packets of another session, or another market, on groups of their own
}

type member struct {
	channel *fileChannel // nil: the group is not followed
	line    uint8
}

type fileChannel struct {
	session *session.Channel
	port    uint16
	lines   int
	market  uint16
	recent  [recentSeen]uint64    // hashes of its packets, by hash
	numbers [recentSeen][2]uint64 // number and hash of its packets of messages, by number
}

// heldGroup is a group whose place is not known yet.
type heldGroup struct {
	group   netip.AddrPort
	packets []nic.Packet
	hashes  []uint64
}

func newChannels(p *protocol.Protocol, s session.Config, sink func(channel uint8) (session.Sink, error)) *channels {
	s.Framing = p.Framing
	return &channels{proto: p, session: s, sink: sink, groups: map[netip.AddrPort]member{}, seed: maphash.MakeSeed()}
}

// route finds a packet's channel and sets its line; nil: it has none, or none yet.
func (c *channels) route(p *nic.Packet) *session.Channel {
	c.now = max(c.now, p.TsRecv)
	m, known := c.groups[p.Group]
	var h uint64
	if !known {
		if !c.belongs(p) {
			return nil
		}
		h = maphash.Bytes(c.seed, p.Data)
		if m, known = c.place(p, h); !known {
			return nil
		}
	}
	if m.channel == nil {
		c.Beyond++
		return nil
	}
	if c.foreign(m.channel, p) {
		c.Elsewhere++
		return nil
	}
	p.Line = m.line
	if c.proto.Channels && m.channel.lines == 1 {
		if h == 0 {
			h = maphash.Bytes(c.seed, p.Data)
		}
		c.remember(m.channel, p, h)
	}
	return m.channel.session
}

// foreign says that a channel is of another market than the first that said which it is. Its instruments have the same numbers, so that two markets' orders
// would make one book.
func (c *channels) foreign(ch *fileChannel, p *nic.Packet) bool {
	if c.proto.Market == nil {
		return false
	}
	if ch.market == 0 {
		if ch.market = c.proto.Market(p.Data); ch.market != 0 && c.market == 0 {
			c.market = ch.market
		}
	}
	return ch.market != 0 && ch.market != c.market
}

// belongs says whether a packet of a group that is not known is of the protocol, and of the session that is followed.
func (c *channels) belongs(p *nic.Packet) bool {
	looks := c.proto.Looks(p.Data, p.Group)
	if c.proto.Channels {
		switch {
		case looks == 0:
			c.Unrecognised++
		case c.proto.Loop != nil && c.proto.Loop(p.Data):
			c.Loops++
		default:
			return true
		}
		return false
	}
	if c.proto.Unnumbered {
		if looks == 0 {
			c.Unrecognised++
		}
		return looks != 0
	}
	h, blocks, err := c.proto.Framing.Parse(p.Data)
	sound := err == nil && h.Kind != session.PacketAside
	if sound && looks < 40 && (looks == 0 || len(c.all) != 0) { // it may be of types that are not known, but it must add up
		whole, used := c.proto.Framing.Walk(blocks, int(h.Count))
		sound = whole == int(h.Count) && used == len(blocks)
	}
	if !sound {
		c.Unrecognised++
		return false
	}
	if len(c.all) != 0 && !c.all[0].session.Follows(h.Session, p.TsRecv) {
		c.Elsewhere++
		return false
	}
	return true
}

// remember keeps what a copy of a packet, and what contradicts it, is known by. A group that waits for its place may have had the copy before.
func (c *channels) remember(ch *fileChannel, p *nic.Packet, h uint64) {
	ch.recent[h%recentSeen] = h
	if head, _, err := c.proto.Framing.Parse(p.Data); err == nil && head.Count != 0 {
		ch.numbers[head.Sequence%recentSeen] = [2]uint64{head.Sequence, h}
	}
	for _, g := range c.held {
		if slices.Contains(g.hashes, h) {
			c.settle(g, ch)
			return
		}
	}
}

// place finds the place of a group that is new; false: it is not known yet.
func (c *channels) place(p *nic.Packet, h uint64) (member, bool) {
	if !c.proto.Channels {
		if len(c.all) > 0 {
			return c.enter(p.Group, member{c.all[0], 1}), true
		}
		return c.open(p.Group), true
	}
	g := c.holding(p.Group)
	if len(c.all) == 0 {
		return c.open(p.Group), true
	}
	if ch := c.twin(p, h); ch != nil {
		return c.settle(g, ch), true
	}
	for _, other := range c.held {
		if other != g && slices.Contains(other.hashes, h) { // two lines of a channel that is new
			if m := c.settle(other, nil); m.channel == nil {
				return c.settle(g, nil), true
			} else {
				return c.settle(g, m.channel), true
			}
		}
	}
	if n := len(g.packets); n == mostHeld || n >= leastHeld && p.TsRecv-g.packets[0].TsRecv >= heldNs {
		return c.settle(g, nil), true
	}
	held := *p
	held.Data = bytes.Clone(p.Data)
	g.packets, g.hashes = append(g.packets, held), append(g.hashes, h)
	return member{}, false
}

// holding is what is held of a group.
func (c *channels) holding(group netip.AddrPort) *heldGroup {
	for _, g := range c.held {
		if g.group == group {
			return g
		}
	}
	g := &heldGroup{group: group}
	if len(c.all) != 0 && len(c.held) < mostGroups {
		c.held = append(c.held, g)
	}
	return g
}

// twin is the channel that a packet of another group says to be its line A.
func (c *channels) twin(p *nic.Packet, h uint64) *fileChannel {
	for _, ch := range c.all {
		if ch.lines == 1 && ch.recent[h%recentSeen] == h {
			return ch
		}
	}
	head, _, err := c.proto.Framing.Parse(p.Data)
	if err != nil {
		return nil
	}
	for _, ch := range c.all {
		if ch.lines != 1 || ch.port != p.Group.Port() {
			continue
		}
		if was := ch.numbers[head.Sequence%recentSeen]; head.Count != 0 && was[0] == head.Sequence && was[1] != h {
			continue // the same numbers are other messages there
		}
		if next := ch.session.Next(); head.Sequence > next+apart || next > head.Sequence+apart {
			continue
		}
		return ch
	}
	return nil
}

// settle gives a group its place, line B of a channel or, without one, a channel of its own, and hands over what was held of it.
func (c *channels) settle(g *heldGroup, ch *fileChannel) (m member) {
	c.held = slices.DeleteFunc(c.held, func(other *heldGroup) bool { return other == g })
	if ch != nil {
		ch.lines = 2
		m = c.enter(g.group, member{ch, 1})
	} else {
		m = c.open(g.group)
	}
	for i := range g.packets {
		if m.channel == nil {
			c.Beyond++
			continue
		}
		p := &g.packets[i]
		p.Line = m.line
		if c.foreign(m.channel, p) {
			c.Elsewhere++
			continue
		}
		if ch == nil {
			m.channel.recent[g.hashes[i]%recentSeen] = g.hashes[i]
		}
		m.channel.session.Packet(p, c.now)
	}
	return m
}

// open makes a channel whose first group it is.
func (c *channels) open(group netip.AddrPort) member {
	if len(c.all) == mostChannels {
		return c.enter(group, member{})
	}
	sink, err := c.sink(uint8(len(c.all)))
	if err != nil {
		c.err = errors.Join(c.err, err)
		return c.enter(group, member{})
	}
	ch := &fileChannel{session: session.NewChannel(c.session, sink), port: group.Port(), lines: 1}
	c.all = append(c.all, ch)
	return c.enter(group, member{ch, 0})
}

func (c *channels) enter(group netip.AddrPort, m member) member {
	if len(c.groups) < mostGroups {
		c.groups[group] = m
	}
	return m
}

// end gives those a place that still wait for one: the capture has ended.
func (c *channels) end() {
	for len(c.held) != 0 {
		if m := c.settle(c.held[0], nil); m.channel != nil {
			m.channel.session.Flush(c.now)
		}
	}
}

// sessions are the channels so far.
func (c *channels) sessions() []*session.Channel {
	all := make([]*session.Channel, len(c.all))
	for i, ch := range c.all {
		all[i] = ch.session
	}
	return all
}
