package pipeline

import "github.com/tickwire/tickwire/tick"

// Decoder turns the messages of one channel into rows. What it must know to do so (price scales, seconds, the day) is its own
// memory and the channel's: it is told when that is void. Its methods are called on the lane, once a packet.
type Decoder interface {
	// Append decodes whole messages, as the venue's framing cut them (session.Framing), from blocks into out, at most max of them; the first has number
	// first, and each one has a number whether it becomes a row or not. A message may become several rows: all of them, or it is left for the next
	// batch. One that would not fit an empty batch is refused. It returns the bytes and the messages it used; none of either means that out
	// must be emptied first. It fills in the parser's columns of tick.Batch, Flags included, and knows nothing of time of arrival.
	// Hot path: no allocation but for an instrument that is met for the first time.
	Append(blocks []byte, first uint64, max int, out *tick.Batch) (used, messages int)
	// Start begins a session: midnight is the start of the venue's day, ns since the Unix epoch. What was known of the one before is void.
	Start(midnight uint64)
	// Refused is how many messages could not be taken since the decoder was made, because they contradict themselves or lack what must be known
	// first: what they said, and of whom, is not known. Books are suspect when it grows. A message of a type that is not known does not count.
	Refused() uint64
	// Instruments calls fn with all instruments of the channel, until it returns false. Not for the hot path.
	Instruments(fn func(id uint32) bool)
}

// strictDecoder is a decoder whose Append stops behind a message that it refuses: so the last one of those used is it.
type strictDecoder interface{ StopsAtRefused() }

// namingDecoder is a decoder that knows of whom it lacks messages: only those instruments' books are suspect then. It stands in the place of Refused.
type namingDecoder interface {
	// Doubts grows whenever messages are known to be missing. Hot path.
	Doubts() uint64
	// TakeDoubts calls fn with the instruments that they are of, since the last call. false: any may be of them.
	TakeDoubts(fn func(id uint32)) bool
}

// lackingDecoder is a decoder that leaves out what it cannot tell of an instrument.
type lackingDecoder interface {
	// Lacking calls fn with those whose books are not the venue's because of that, also when they were made anew.
	Lacking(fn func(id uint32))
	// Hopeless says that an instrument's book would be no better if it were made anew: what it lacks cannot be told of a snapshot of it either.
	Hopeless(id uint32) bool
}

// asideDecoder is a decoder that takes messages outside of the sequence: Append's twin for those, whose rows have FlagSnapshot and a number that is given.
type asideDecoder interface {
	AppendRefresh(blocks []byte, sequence uint64, max int, out *tick.Batch) (used, messages int)
}

// keepingDecoder is a decoder of a venue that does not say again what instruments are when its numbers begin anew: Keeps says so of the session that Start with the same
// midnight would begin.
type keepingDecoder interface{ Keeps(midnight uint64) bool }

// lossDecoder is a strict decoder whose venue tells, instrument by instrument, that something is missing: Append stops behind the message that shows it.
type lossDecoder interface {
	// Losses grows when one more instrument lacks something.
	Losses() uint64
	// Lost calls fn with those that do, until it returns false: a whole state of its own is what ends that.
	Lost(fn func(id uint32, symbol string) bool)
}

// passDecoder is a decoder that wants to know when a pass has ended, at now in ns since the Unix epoch: what it changes of itself holds from the next one on.
type passDecoder interface{ EndPass(now uint64) }

// sentDecoder is a decoder that wants to know when the venue sent the packet whose messages come next, ns since the Unix epoch; 0: not known.
type sentDecoder interface{ SetSendTime(ns uint64) }
