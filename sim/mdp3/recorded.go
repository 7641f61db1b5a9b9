package mdp3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/nic/pace"
	"github.com/tickwire/tickwire/nic/pcap"
	wire "github.com/tickwire/tickwire/parsers/mdp3"
)

// mostBehind is how far a packet's number may be below the latest one for it to be the other line's copy: farther, it begins the numbers anew.
const mostBehind = 1 << 16

// Play sends a recorded capture's packets instead of a market's, each number once, as they were, on both lines with their faults; the replay service has them too. A
// recording has no state, so there are no loops. What is no packet of a channel's feed is skipped and counted (Counters.Strays): a capture must hold one channel's
// incremental feed, for snapshots and other channels have numbers of their own. How fast: as package pace has it. It is called instead of Run.
func (e *Exchange) Play(ctx context.Context, path, how string) error {
	if len(e.loops) > 0 {
		return errors.New("mdp3: a recording has no state: loops take a market")
	}
	pacer, err := pace.Parse(how)
	if err != nil {
		return err
	}
	r, err := pcap.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	var stop atomic.Bool
	defer context.AfterFunc(ctx, func() { stop.Store(true) })()
	packets, last := make([]nic.Packet, 64), uint32(0)
	for ctx.Err() == nil {
		n, err := r.Poll(packets)
		for _, p := range packets[:n] {
			sequence, fresh := e.recorded(p.Data, last)
			if !fresh {
				continue
			}
			last = sequence
			pacer.Wait(p.TsRecv, 1, &stop)
			if stop.Load() {
				break
			}
			now := uint64(time.Now().UnixNano())
			if err := errors.Join(e.packet(sequence, now, p.Data), e.lines.Advance(now)); err != nil {
				return err
			}
		}
		e.note()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("mdp3: %s: %w", path, err)
		}
	}
	err = errors.Join(err, e.lines.Flush())
	e.mu.Lock()
	e.c.Ended = true
	e.mu.Unlock()
	e.note()
	return err
}

// recorded says whether a packet is to be sent: whole, and not the other line's copy of one that was.
func (e *Exchange) recorded(packet []byte, last uint32) (sequence uint32, fresh bool) {
	h, body, err := wire.ParsePacket(packet)
	if whole, _ := wire.Walk(body, 1); err != nil || whole == 0 || len(body) == 0 {
		e.mu.Lock()
		e.c.Strays++
		e.mu.Unlock()
		return 0, false
	}
	return h.Sequence, h.Sequence > last || last-h.Sequence > mostBehind
}
