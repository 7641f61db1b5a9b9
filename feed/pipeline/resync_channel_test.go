package pipeline

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/tickwire/tickwire/feed/session"
	"github.com/tickwire/tickwire/nic"
	"github.com/tickwire/tickwire/parsers/moldudp64"
)

// TestRebuildBehindChannel: the same with packets of two lines that both lose, through a session's channel: what it gives up, the first
// packets of a late start included, is rebuilt.
func TestRebuildBehindChannel(t *testing.T) {
	given, late := uint64(0), 0
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, seed, 10_000, nil)
			channel := session.NewChannel(session.Config{Wait: time.Millisecond}, w.lane)
			loss := 1 + w.IntN(8) // percent, of each line
			outage := [2]int{}    // packets of a line that are still to be lost
			sent := 0
			if w.IntN(2) == 0 {
				sent = w.IntN(5000)
				late++
			}
			for sent < len(w.messages) {
				n := min(1+w.IntN(10), len(w.messages)-sent)
				p := moldudp64.AppendHeader(nil, moldudp64.Header{
					Session: [10]byte([]byte("SESSION001")), Sequence: uint64(sent + 1), Count: uint16(n),
				})
				for _, m := range w.messages[sent : sent+n] {
					p = append(binary.BigEndian.AppendUint16(p, uint16(len(m))), m...)
				}
				sent += n
				if w.IntN(300) == 0 {
					outage = [2]int{w.IntN(10), w.IntN(10)}
				}
				for line := range uint8(2) {
					if outage[line]--; outage[line] < 0 && w.IntN(100) >= loss {
						channel.Packet(&nic.Packet{Data: p, TsRecv: w.now, Line: line}, w.now)
					}
				}
				channel.Tick(w.now)
				if next := channel.Next(); next > 0 {
					w.at = int(next - 1)
				}
				if w.IntN(3) == 0 {
					w.tick()
				}
			}
			heartbeat := moldudp64.AppendHeader(nil, moldudp64.Header{Session: [10]byte([]byte("SESSION001")), Sequence: uint64(sent + 1)})
			channel.Packet(&nic.Packet{Data: heartbeat, TsRecv: w.now}, w.now) // tells of a tail that was lost
			w.now += uint64(time.Second)
			channel.Flush(w.now)
			w.at = int(channel.Next() - 1)
			w.tick()
			w.settle()
			if channel.Session.LostMessages > 0 {
				w.compare()
			}
			given += channel.Session.LostMessages
		})
	}
	if given == 0 || late == 0 {
		t.Errorf("%d messages given up, %d late starts: this test shows less than it says", given, late)
	}
}
