package exchange

import (
	"time"

	"github.com/tickwire/tickwire/sim/glimpse"
	"github.com/tickwire/tickwire/sim/mold"
)

// Span is messages of a session that a receiver cannot have from the lines, both ends inclusive.
type Span struct {
	Session string `json:"session"`
	First   uint64 `json:"first"`
	Last    uint64 `json:"last"`
}

// mostSpans bounds what is remembered of losses; further ones are counted only.
const mostSpans = 10_000

// Counters are what was done. Times are in ns.
type Counters struct {
	Sessions uint64 `json:"sessions"`
	Session  string `json:"session"`  // the present one
	Next     uint64 `json:"next"`     // number of its next message
	Messages uint64 `json:"messages"` // of all sessions
	Took     int64  `json:"took_ns"`
	mold.Counters
	// SendFails are packets that the kernel refused, by line. They are not lost on purpose.
	SendFails [2]uint64 `json:"send_fails"`
	// LastFail is why.
	LastFail string `json:"last_fail,omitempty"`
	// Late is how long after its time a packet left: half of them, all but one of a hundred, all. Zeros at pace max.
	LateP50 int64 `json:"late_p50_ns"`
	LateP99 int64 `json:"late_p99_ns"`
	LateMax int64 `json:"late_max_ns"`
	// Missing are messages that the played capture does not have, Strays its packets that are no MoldUDP64 or of no session.
	Missing uint64 `json:"missing"`
	Strays  uint64 `json:"strays"`
	// Lost are messages that no line has, Unnamed those beyond the first ten thousand spans.
	Lost    []Span `json:"lost,omitempty"`
	Unnamed uint64 `json:"lost_unnamed"`
	// Gone are messages that a receiver cannot have at all: on neither line, and not to be asked for.
	Gone uint64 `json:"gone"`
	// Stalls are packets that had to wait for the recorder: the disk or the snapshot server held the exchange up.
	Stalls uint64 `json:"stalls"`
	// Unwritten are messages that Expect cannot hold: those of length 0, which a BinaryFILE takes for its end.
	Unwritten uint64               `json:"unwritten"`
	Requests  mold.RequestCounters `json:"requests"`
	Snapshots glimpse.Counters     `json:"snapshots"`
}

// PerSecond is the packets a second that left, both lines together, and the messages.
func (c *Counters) PerSecond() (packets, messages float64) {
	s := time.Duration(c.Took).Seconds()
	if s <= 0 {
		return 0, 0
	}
	return float64(c.Lines[0].Sent+c.Lines[1].Sent) / s, float64(c.Messages) / s
}

// lose notes messages that neither line has.
func (c *Counters) lose(session [10]byte, first uint64, count int) {
	last := first + uint64(count) - 1
	if n := len(c.Lost); n > 0 && c.Lost[n-1].Last+1 == first && c.Lost[n-1].Session == name(session) {
		c.Lost[n-1].Last = last
		return
	}
	if len(c.Lost) >= mostSpans {
		c.Unnamed += uint64(count)
		return
	}
	c.Lost = append(c.Lost, Span{name(session), first, last})
}
