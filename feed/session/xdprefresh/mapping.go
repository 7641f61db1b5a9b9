package xdprefresh

import (
	"context"
	"slices"

	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/parsers/xdp"
)

// Mappings fetches messages 3 by request 13, of Config.Symbol or, at 0, of all symbols of the channel: for channels without a refresh, and for
// symbols whose message 3 is missing. fn gets each symbol's message once, on the calling goroutine; m is valid for the call. Its error ends the
// fetch. Nothing counts these packets: without Expect, a packet lost between the first and the last is not noticed.
func Mappings(ctx context.Context, cfg Config, fn func(index uint32, m []byte) error) error {
	cfg.defaults()
	ctx, cancel := context.WithTimeoutCause(ctx, cfg.Most, ErrTooSlow)
	defer cancel()
	m := mapper{cfg: &cfg, fn: fn, got: map[uint32]bool{}}
	return cfg.run(ctx, m.packet, func(try int) ([]uint32, bool) {
		lacking, whole := m.lacking()
		if whole || try < 0 {
			return nil, whole
		}
		m.started, m.ended = false, false
		if cfg.Symbol != 0 || try > 0 && len(lacking) > 0 && len(lacking) <= mostSingle {
			return lacking, false
		}
		return []uint32{0}, false
	}, cfg.Client.Mapping)
}

type mapper struct {
	cfg            *Config
	fn             func(index uint32, m []byte) error
	got            map[uint32]bool
	started, ended bool
}

func (m *mapper) lacking() (symbols []uint32, whole bool) {
	if s := m.cfg.Symbol; s != 0 {
		return []uint32{s}, m.got[s]
	}
	if len(m.cfg.Expect) == 0 {
		return nil, m.started && m.ended
	}
	for _, s := range m.cfg.Expect {
		if !m.got[s] {
			symbols = append(symbols, s)
		}
	}
	slices.Sort(symbols)
	return symbols, len(symbols) == 0
}

// packet takes one packet; counts says that it has mappings. Those of a refresh are as good.
func (m *mapper) packet(p *nic.Packet) (counts bool, err error) {
	h, blocks, err := xdp.ParsePacket(p.Data)
	if err != nil || h.Kind != xdp.PacketRefresh {
		return false, nil
	}
	if whole, used := xdp.Walk(blocks, int(h.Count)); whole != int(h.Count) || used != len(blocks) {
		return false, nil
	}
	_, _, refresh := xdp.ParseRefreshHeader(blocks)
	for range h.Count {
		var b []byte
		b, blocks = xdp.Next(blocks)
		if xdp.Type(b) != xdp.TypeSymbolIndexMapping {
			continue
		}
		index := xdp.SymbolOf(b)
		if index == 0 || m.cfg.Symbol != 0 && index != m.cfg.Symbol {
			continue
		}
		counts = true
		if m.got[index] {
			continue
		}
		m.got[index] = true
		if err := m.fn(index, b); err != nil {
			return true, err
		}
	}
	if refresh {
		return counts, nil
	}
	switch h.Flag {
	case xdp.DeliveryRefreshStart:
		m.started, m.ended = true, false
	case xdp.DeliveryRefreshEnd:
		m.started, m.ended = true, m.started || len(m.got) <= 32 // a single packet has this flag, and at most so many symbols
	}
	return counts, nil
}
