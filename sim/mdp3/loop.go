package mdp3

import (
	wire "github.com/tickwire/tickwire/parsers/mdp3"
)

// LoopKind is what a loop sends.
type LoopKind uint8

// Loops.
const (
	LoopLevels      LoopKind = iota // template 52 or 69 of each active instrument
	LoopOrders                      // template 53 of each active instrument, in pieces
	LoopDefinitions                 // 54, 55 or 56 of each instrument
)

// Loop sends the state of a channel over and over. Each round's packets count from 1 on; each instrument's snapshot is as of the moment at which it
// is made. A round without any instrument is one heartbeat. It belongs to the channel's goroutine.
type Loop struct {
	c    *Channel
	kind LoopKind
	// Cut has snapshots made while a packet of the incremental feed is being filled: LastMsgSeqNumProcessed is that packet's number then, of which the
	// snapshot has a part. Otherwise the pending packet leaves first.
	Cut bool

	round  []int // instruments of the present round
	at     int
	pieces [][]byte // of the present instrument
	p      *Packer
	Rounds uint64 // begun
}

// NewLoop makes a loop.
func NewLoop(c *Channel, kind LoopKind) (*Loop, error) {
	p, err := NewPacker(c.o.PayloadBytes)
	if err != nil {
		return nil, err
	}
	return &Loop{c: c, kind: kind, p: p}, nil
}

// Next gives the loop's next packet, valid until the next call.
func (l *Loop) Next(now uint64) ([]byte, error) {
	if l.at == len(l.round) && len(l.pieces) == 0 {
		l.begin()
		if len(l.round) == 0 {
			err := l.p.Add(wire.EncodeV13.AppendHeartbeat(nil))
			return l.p.Flush(now), err
		}
	}
	for {
		if len(l.pieces) == 0 {
			if l.at == len(l.round) {
				return l.p.Flush(now), nil
			}
			if err := l.make(l.round[l.at]); err != nil {
				return nil, err
			}
			l.at++
		}
		for len(l.pieces) > 0 {
			if l.p.Pending() && !l.p.Fits(len(l.pieces[0])) {
				return l.p.Flush(now), nil
			}
			if err := l.p.Add(l.pieces[0]); err != nil {
				return nil, err
			}
			l.pieces = l.pieces[1:]
		}
	}
}

func (l *Loop) begin() {
	l.Rounds++
	l.round, l.at = l.round[:0], 0
	for i := range l.c.m.Instruments() {
		if l.kind == LoopDefinitions || l.c.m.Active(i) {
			l.round = append(l.round, i)
		}
	}
	l.p.Restart()
}

// make takes the snapshot of one instrument.
func (l *Loop) make(i int) error {
	if !l.Cut {
		if err := l.c.Flush(); err != nil {
			return err
		}
	}
	l.pieces = l.pieces[:0]
	last, total := l.c.Reflected(), uint32(len(l.round))
	switch l.kind {
	case LoopLevels:
		l.pieces = append(l.pieces, l.c.m.AppendSnapshot(nil, i, last, total))
	case LoopOrders:
		l.c.m.EachOrderSnapshot(i, last, total, func(m []byte) { l.pieces = append(l.pieces, m) })
	case LoopDefinitions:
		l.pieces = append(l.pieces, l.c.m.AppendDefinition(nil, i, total))
	}
	return nil
}
