package xdp

import (
	"encoding/binary"

	wire "github.com/tickwire/tickwire/parsers/xdp"
)

// Another publisher takes over (sheet section 5.4): the channel's numbers begin anew, and before anything new is told everything that holds is told again,
// in packets with delivery flag 10.
//
//	… 11 11 │ heartbeats with number 1   message 1 …   3 32 34 105 140 106 … 2, of each symbol │ 11 11 …
//	        └────────── priming ────────┴──── flag 10 ────────────────────────────────────────┘

// Failover is what the publisher that takes over tells of each symbol: its mapping, that everything of it is void, its last status, auction and quote, its
// orders in the order of their queues, and the second of its engine. seconds and ns are the time at which it takes over.
//
// A symbol's own numbers go on: those of what is told again are the last ones before.
func (r *Record) Failover(seconds, ns uint32) (messages [][]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &r.state
	for _, index := range s.order {
		y := s.symbols[index]
		number := y.number + 1
		for _, m := range [][]byte{y.status, y.imbalance, y.quote} {
			if len(m) > 0 {
				number--
			}
		}
		messages = append(messages, clone(y.mapping), wire.AppendSymbolClear(nil, seconds, ns, index, number))
		again := func(m []byte, at int) {
			if len(m) > 0 {
				m = clone(m)
				binary.LittleEndian.PutUint32(m[at:], number)
				number++
				messages = append(messages, m)
			}
		}
		again(y.status, 16)
		again(y.imbalance, 16)
		again(y.quote, 12)
		for o := y.first; o != nil; o = o.next {
			messages = append(messages, wire.AppendAddRefresh(nil, s.version, &o.o))
		}
		if second := s.seconds[y.system]; second != 0 {
			messages = append(messages, wire.AppendTimeReference(nil, uint32(y.system), second))
		}
	}
	return messages
}

func clone(m []byte) []byte { return append([]byte(nil), m...) }

// takeover is what a player asks for another publisher.
type takeover struct {
	due   func(message uint64) bool         // before a message of the source, counted from 1
	state func(seconds, ns uint32) [][]byte // what is told again, once all that was sent before has left
	reset func(seconds, ns uint32) []byte   // message 1
}

// failover has another publisher go on.
func (pl *player) failover(t *takeover, ts uint64) error {
	if packet := pl.p.Flush(pl.o.Epoch + pl.last); packet != nil {
		if err := pl.leave(packet); err != nil {
			return err
		}
	}
	pl.last = max(pl.last, ts) + 1_000
	at := pl.o.Epoch + pl.last
	seconds, ns := uint32(at/1e9), uint32(at%1e9)
	messages := t.state(seconds, ns)
	pl.p.flag = wire.DeliveryFailover
	defer func() { pl.p.flag = wire.DeliveryOriginal }()
	pl.p.first = 1
	if err := pl.reset(t.reset(seconds, ns), pl.last); err != nil {
		return err
	}
	for _, m := range messages {
		pl.last += 1_000
		full, err := pl.p.Add(m, pl.o.Epoch+pl.last)
		if err == nil && full != nil {
			err = pl.leave(full)
		}
		if err != nil {
			return err
		}
	}
	if packet := pl.p.Flush(pl.o.Epoch + pl.last); packet != nil {
		return pl.leave(packet)
	}
	return nil
}
