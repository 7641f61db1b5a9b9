package xdprefresh

import (
	"fmt"
	"slices"

	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/parsers/xdp"
)

// collector puts the parts of symbols together.
//
//	packet: 35 k/n │ messages of one symbol          part 1 begins a symbol anew; part k is taken behind part k-1 of as many, or the symbol
//	                                                 is broken: a part was lost, or two snapshots came mixed
//
// Each group has its own parts under way: both lines may be joined.
type collector struct {
	cfg    *Config
	fn     func(*Symbol) error
	groups []map[uint32]*parts
	bytes  int             // of parts under way
	got    map[uint32]bool // symbols that fn got
	broken map[uint32]bool // symbols of which a part came, and that are not whole

	started bool // a part of the first symbol of all has come
	passed  bool // one of the last came behind it: the sequence went by from its beginning to its end

	Malformed uint64 // packets that contradict themselves
}

// parts are those of one symbol that came so far.
type parts struct {
	Symbol
	next, total uint16
	sentNs      uint64 // of the first part
}

// spanNs is how far apart the first and the last part of a symbol may be sent: a part of another snapshot, where one was lost, is rarely so near.
const spanNs = 1_000_000_000

func newCollector(cfg *Config, fn func(*Symbol) error) *collector {
	c := &collector{cfg: cfg, fn: fn, groups: make([]map[uint32]*parts, len(cfg.Groups)), got: map[uint32]bool{}, broken: map[uint32]bool{}}
	for i := range c.groups {
		c.groups[i] = map[uint32]*parts{}
	}
	return c
}

// begin is before something is asked for.
func (c *collector) begin() {
	c.started = false
	for _, g := range c.groups {
		clear(g)
	}
	c.bytes = 0
}

// lacking are the symbols that are known to be missing, and whether all is there.
func (c *collector) lacking(symbol uint32) (symbols []uint32, whole bool) {
	if symbol != 0 {
		return []uint32{symbol}, c.got[symbol]
	}
	for s := range c.broken {
		symbols = append(symbols, s)
	}
	for _, s := range c.cfg.Expect {
		if !c.got[s] && !c.broken[s] {
			symbols = append(symbols, s)
		}
	}
	slices.Sort(symbols)
	return symbols, len(symbols) == 0 && (c.passed || len(c.cfg.Expect) > 0) // whoever knows all symbols needs no first and last
}

// packet takes one packet; counts says that it is a refresh's, whoever asked for it.
func (c *collector) packet(p *nic.Packet) (counts bool, err error) {
	h, blocks, err := xdp.ParsePacket(p.Data)
	if err != nil {
		c.Malformed++
		return false, nil
	}
	if h.Kind != xdp.PacketRefresh {
		return false, nil // heartbeats
	}
	r, rest, ok := xdp.ParseRefreshHeader(blocks)
	if !ok {
		return false, nil // mappings, or nothing of ours
	}
	whole, used := xdp.Walk(rest, int(h.Count)-1)
	symbol := symbolOf(rest, whole)
	if symbol == 0 || whole != int(h.Count)-1 || used != len(rest) || r.Packet == 0 || r.Packet > r.Packets || r.Packet == 1 && !r.Long ||
		int(p.Flow) >= len(c.groups) {
		c.Malformed++
		return false, nil
	}
	if c.cfg.Symbol != 0 && symbol != c.cfg.Symbol {
		return false, nil
	}
	if err := c.part(p.Flow, symbol, &h, &r, rest, whole); err != nil {
		return true, err
	}
	switch h.Flag {
	case xdp.DeliveryRefreshStart:
		c.started = true
	case xdp.DeliveryRefreshEnd:
		c.passed = c.passed || c.started
	}
	return true, nil
}

// symbolOf is the one symbol of all messages, 0: they are of several, or of none.
func symbolOf(blocks []byte, count int) uint32 {
	symbol := uint32(0)
	for i := range count {
		var m []byte
		m, blocks = xdp.Next(blocks)
		s := xdp.SymbolOf(m)
		if i > 0 && s != symbol {
			return 0
		}
		symbol = s
	}
	return symbol
}

// part takes one part of a symbol.
func (c *collector) part(flow uint16, symbol uint32, h *xdp.Packet, r *xdp.RefreshHeader, messages []byte, count int) error {
	if c.got[symbol] {
		return nil
	}
	under := c.groups[flow]
	s := under[symbol]
	if r.Packet == 1 {
		if s != nil {
			c.bytes -= len(s.Messages)
		}
		s = &parts{next: 1, total: r.Packets, sentNs: h.SendNs()}
		s.Index, s.LastSequence, s.LastSymbolSequence = symbol, r.LastSequence, r.LastSymbolSequence
		under[symbol] = s
	}
	c.broken[symbol] = true
	if s == nil || r.Packet != s.next || r.Packets != s.total || h.SendNs()-s.sentNs > spanNs {
		if s != nil {
			c.bytes -= len(s.Messages)
			delete(under, symbol)
		}
		return nil
	}
	s.next++
	s.Messages = append(s.Messages, messages...)
	s.Count += count
	c.bytes += len(messages)
	if c.bytes > c.cfg.MaxBytes {
		return fmt.Errorf("%w: over %d bytes", ErrTooMuch, c.cfg.MaxBytes)
	}
	if s.next <= s.total {
		return nil
	}
	c.bytes -= len(s.Messages)
	delete(under, symbol)
	delete(c.broken, symbol)
	c.got[symbol] = true
	return c.fn(&s.Symbol)
}
