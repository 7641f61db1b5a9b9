package tick

// Gap says that sequence numbers of a channel are missing, 56 bytes, inline in the mbo ring so that one reader sees
// where in the order of events the loss lies. The same record with State GapClosed says that all of them came after all.
type Gap struct {
	Header           // RTypeGap; InstrumentID 0: every book of the channel; TsEvent: last event before the gap
	First     uint64 // first missing sequence number, full width
	Last      uint64 // last missing one, inclusive
	TsRecv    uint64 // when the gap was noticed
	State     uint8  // Gap…
	ChannelID uint8
	Line      uint8 // 255: both lines
	_         [5]byte
	Messages  uint64 // Last − First + 1 when noticed; for GapClosed and GapLost how many of them did come
}

// States of a gap.
const (
	GapRecovering uint8 = 1 // noticed, asked for: books may be behind
	GapClosed     uint8 = 2 // filled, or books rebuilt from a snapshot
	GapLost       uint8 = 3 // never came, or cannot be read: books are suspect from here on (FlagMaybeBadBook)
)
