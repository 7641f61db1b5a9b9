package process

import (
	"fmt"

	"github.com/tickwire/tickwire/feed/pipeline"
	"github.com/tickwire/tickwire/feed/protocol"
	"github.com/tickwire/tickwire/parsers/fix"
)

// summary says in one line each what of a capture that a lane has played did not become records: nothing, on a clean one.
func summary(played *Capture, lane *pipeline.Lane, kept *protocol.Kept) []string {
	var lines []string
	say := func(n uint64, format string) {
		if n > 0 {
			lines = append(lines, fmt.Sprintf(format, n))
		}
	}
	p := lane.Parser()
	say(p.Short, "%d messages are shorter than their type: refused, table gaps names them, books are suspect from there on")
	refused := played.Refused()
	say(refused-min(refused, p.Short), "%d messages contradict themselves, or are of symbols that were not defined before: refused, books that they may be of are suspect from there on")
	if messages, instruments := played.Undefined(); messages > 0 {
		lines = append(lines, fmt.Sprintf("%d messages of %d instruments were left out, or what in them has a price: the capture has no definitions of these, which say what CME's prices are to be multiplied by, or has them later. "+
			"Give a capture that has them (--definitions; of the instrument replay feed, for one), or take prices as on the wire (--prices wire)", messages, instruments))
	}
	say(played.Unknown(), "%d messages are of an unknown type: skipped")
	say(p.Extended, "%d types came longer than known: their known part was read")
	c := kept.Orders.Counters()
	var unknown uint64
	for _, n := range c.Unknown {
		unknown += n
	}
	say(unknown, "%d messages name an order that does not rest: ignored")
	say(c.Duplicate, "%d order references were given out again while they rested: the stale orders were removed")
	say(c.Clamped, "%d executions or cancels took more than there was: clamped")
	say(c.NoRoom+c.OverReference+c.OverInstrument+c.BadSize+c.BadSide+c.BadPrice+c.ZeroSize, "%d orders could not rest: refused")
	if kept.Prices != nil {
		p := kept.Prices.Counters()
		say(p.Absent+p.PriceMismatch+p.OverDepth+p.OverInstrument+p.BadSide+p.BadPrice+p.BadCode+p.ZeroSize,
			"%d price levels do not fit the book that was told before: not applied, their instruments are suspect")
	}
	unrecognised, beyond, elsewhere, loops := played.Strangers()
	say(unrecognised, "%d packets are not of the protocol that is read, "+played.Protocol().Name+": dropped (--protocol says which)")
	say(loops, "%d packets are of snapshot loops, of moments that the feed beside them is past: not used")
	say(elsewhere, "%d packets are of another session or market than the one that is followed: dropped")
	say(beyond, "%d packets are of channels beyond the 64 that are followed: dropped")
	for _, s := range played.Channels() {
		say(s.Session.LostMessages, "%d messages are missing on both lines: table gaps names them")
		for i := range s.Lines {
			l := &s.Lines[i]
			say(l.Short+l.Malformed, "%d packets are malformed: whole messages in them were used")
			say(l.Zero, "%d packets claim message number 0, which no session has: dropped (tickwire decode shows them)")
			say(l.Foreign, "%d packets belong to another session: dropped")
			say(l.Far, "%d packets are numbered too far ahead to be believed: dropped")
			say(l.Aside, "%d packets are outside the sequence, such as a refresh or another product: not used")
		}
	}
	if m := played.messages; m != nil {
		say(m.Counters().Skipped, "%d bytes belong to no whole message: passed over, table gaps has each place, books are suspect until their next W")
	}
	if d, ok := lane.Main().Decoder().(*fix.Decoder); ok {
		say(d.Losses(), "%d times an instrument lacked entries by the venue's own count: suspect until its next W")
		say(d.Counters.UnknownTypes, "%d entries are of a type without a row: skipped")
	}
	if n := played.Packets(); n != nil {
		say(n.Truncated, "%d frames were cut short when they were recorded: dropped")
		say(n.Malformed+n.Fragments, "%d frames are malformed or fragments: dropped")
	}
	return lines
}
