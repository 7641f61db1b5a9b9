package latbench

import (
	"encoding/binary"
	"fmt"

	"github.com/tickwire/tickwire/parsers/moldudp64"
	"github.com/tickwire/tickwire/sim/itchgen"
	"github.com/tickwire/tickwire/sim/mold"
)

// mostPerPacket messages fit a frame whatever they are.
const mostPerPacket = 20

// warmPacket is how many messages the packets that fill the books have.
const warmPacket = mostPerPacket

// day is the beginning of a generated session in MoldUDP64 packets: first those that fill the books, then those that are paced.
type day struct {
	bytes   []byte
	ends    []int  // of each packet
	warm    int    // packets that fill the books
	answers []bool // of each paced packet: it makes a record in ring mbo
}

func (d *day) packet(i int) []byte {
	from := 0
	if i > 0 {
		from = d.ends[i-1]
	}
	return d.bytes[from:d.ends[i]]
}

// first is the number of a packet's first message.
func (d *day) first(i int) uint64 { return binary.BigEndian.Uint64(d.packet(i)[10:]) }

// paced is how many there are behind the warm ones.
func (d *day) paced() int { return len(d.ends) - d.warm }

// newDay generates: warm messages, then paced packets of each messages.
func newDay(symbols, warm, paced, each int, seed uint64) (*day, error) {
	warm = max(warm/warmPacket, 1)
	g, err := itchgen.New(itchgen.Options{Messages: uint64(warm*warmPacket + paced*each + itchgen.MinMessages), Symbols: symbols, Seed: seed})
	if err != nil {
		return nil, err
	}
	id, err := mold.SessionID("BENCH")
	if err != nil {
		return nil, err
	}
	d := &day{warm: warm, bytes: make([]byte, 0, warm*warmPacket*40+paced*(each*40+moldudp64.HeaderBytes)), ends: make([]int, 0, warm+paced)}
	var msg []byte
	next := uint64(1)
	for len(d.ends) < warm+paced {
		count := each
		if len(d.ends) < warm {
			count = warmPacket
		}
		d.bytes = moldudp64.AppendHeader(d.bytes, moldudp64.Header{Session: id, Sequence: next, Count: uint16(count)})
		answers := false
		for range count {
			var ok bool
			if msg, ok = g.Next(msg[:0]); !ok {
				return nil, fmt.Errorf("latbench: the generated session ended at message %d", next)
			}
			d.bytes, _ = moldudp64.AppendBlock(d.bytes, msg) // shorter than a frame
			answers = answers || order(msg[0])
			next++
		}
		d.ends = append(d.ends, len(d.bytes))
		if len(d.ends) > warm {
			d.answers = append(d.answers, answers)
		}
	}
	return d, nil
}

// order says that a message of this type always makes a record in ring mbo.
func order(kind byte) bool {
	switch kind {
	case 'A', 'F', 'E', 'C', 'X', 'D', 'U', 'P':
		return true
	}
	return false
}
