package session

// LineCounters count one line, or what the venue sent again. Owned by the lane.
type LineCounters struct {
	Packets    uint64 // of this channel's session, heartbeats included
	Bytes      uint64
	Heartbeats uint64 // and ends of the session
	Won        uint64 // packets that brought something new
	Duplicates uint64 // packets that brought nothing new: the other line was first, or a repeat
	Short      uint64 // packets without a whole header
	// Malformed packets have a block count or a length that lies: whole blocks before it were used, but none of an answer, which can be
	// asked for again. Or they number messages beyond 2^64-2, or end the session before numbers that exist: dropped.
	Malformed uint64
	Trailing  uint64 // packets with bytes after their last block
	Foreign   uint64 // packets of another session, dropped
	Zero      uint64 // packets that claim number 0, which no session has, dropped
	// Far packets jump ahead by more than is believed of one alone, dropped; and starts that were taken back. Of answers: those to what nobody
	// asked, beyond every number known to exist.
	Far      uint64
	Aside    uint64 // packets outside the sequence, whose business is another's
	Resets   uint64 // packets that begin the sequence anew, repetitions included
	Void     uint64 // packets that were sent before the last reset and came behind it, dropped: their numbers mean something else by now
	LateWins uint64 // packets that filled a hole, wholly or in part, that the other line had left
	Late     uint64 // packets with numbers that were given up before: a longer wait would have helped
	Lost     uint64 // messages that the line went past without bringing them: an estimate, since some may yet come overtaken (Behind)
	Behind   uint64 // packets numbered below where the line already was: overtaken, or repeated
	Silences uint64 // times that the line fell silent
	SilentAt uint64 // lane time when it was found silent, ns; 0: it is not, or was never heard
	LastAt   uint64 // lane time of the last packet, ns; 0: never heard
}

// Counters count what a channel did. Owned by the lane.
type Counters struct {
	Sessions     uint64 // sessions begun
	Messages     uint64 // delivered
	Gaps         uint64 // holes noticed
	Filled       uint64 // holes that the other line filled, before the venue was asked
	Recovered    uint64 // holes that were filled after the venue was asked
	Lost         uint64 // stretches of numbers given up, each a Gap
	LostMessages uint64
	HoldFull     uint64 // holes given up because a bound of holding was reached
	HeldPackets  uint64 // packets that had to wait
	PausedNs     uint64 // time that holes were open and the lane was away, ns: see Channel.Paused
	SkewNs       uint64 // sum of the skews that were measured, ns; see Skew
	LiveState    uint64 // State, at most SilentAfter/32 old
	LiveHoles    uint64 // holes open now
	LiveHeld     uint64 // messages held now
}

// AskCounters count what was asked of the venue. Owned by the lane.
type AskCounters struct {
	Asked         uint64 // stretches of numbers told as recovering, each a Gap
	AskedMessages uint64
	Requests      uint64 // for them, repeated ones included
	Retries       uint64 // requests that no answer came to in time: asked again, of the next server
	Exhausted     uint64 // requests that were not repeated any more: Tries is reached
	Unsent        uint64 // requests that found the way to the network full; they count as tried
	TooLarge      uint64 // holes larger than MostAsked: not asked for
	Refused       uint64 // times that the venue said that the missing numbers will not come: given up at once
	Closed        uint64 // stretches that came after all, each a Gap
	Recovered     uint64 // messages that came in answers, and were new
	NoRoom        uint64 // answers that there was no room to hold: dropped, asked for again later
	LiveAsks      uint64 // requests that wait for an answer now
}

// State is where a channel is in its life.
type State uint8

// States of a channel.
const (
	StateNone       State = iota // nothing came yet
	StateLive                    // everything that is known to exist was delivered, or named as lost
	StateGap                     // numbers are missing; the other line may bring them
	StateRecovering              // numbers are missing, and the venue was asked
	StateEnded                   // the venue ended the session, and nothing is missing
)

func (s State) String() string {
	return [...]string{"none", "live", "gap", "recovering", "ended"}[min(s, StateEnded)]
}

// State is where the channel is in its life.
func (c *Channel) State() State {
	switch {
	case c.next == 0:
		return StateNone
	case c.told.n != 0:
		return StateRecovering
	case c.holes.n != 0:
		return StateGap
	case c.ended:
		return StateEnded
	default:
		return StateLive
	}
}

// Silent says that every line that was ever heard is silent, and the session has not ended: nothing comes in.
func (c *Channel) Silent() bool {
	heard := false
	for i := range c.Lines {
		l := &c.Lines[i]
		if l.LastAt != 0 && l.SilentAt == 0 {
			return false
		}
		heard = heard || l.LastAt != 0
	}
	return heard && !c.ended
}
