package fix

import (
	"strconv"
	"sync/atomic"
)

// sentMessages are the last application messages of a session that were sent, for a peer that asks for them again: so many, and so many bytes. In memory: what
// was sent before the process began is not kept. Numbers that are not kept, those of the session's own messages among them, the library fills.
//
//	kept                    7   9  10      12        what the library is given for 5 to 13:  7 9 10 12 and a Heartbeat 13,
//	numbers  … 4   5   6   7 8  9  10  11  12  13    for it fills up to what it is given, and not to the end of the range
//	           gone ^
type sentMessages struct {
	begin string // 8=
	most  int    // messages
	bytes int    // of theirs, most
	short func() // called when a message that was asked for is no longer kept

	resending *atomic.Bool // while messages are sent again
	room      func()       // called before each of these: waits until the peer has room for it

	kept  []sentMessage // in the order of their numbers, from first on
	first int
	size  int // bytes
	gone  int // no message up to this number is kept
}

type sentMessage struct {
	seq int
	raw []byte
}

// keep takes a message, which stays as it is. Messages of the session itself are not kept.
func (s *sentMessages) keep(seq int, raw []byte) {
	if !isAppFrame(raw) {
		return
	}
	s.kept = append(s.kept, sentMessage{seq, raw})
	s.size += len(raw)
	for len(s.kept)-s.first > s.most || s.size > s.bytes {
		m := &s.kept[s.first]
		s.size -= len(m.raw)
		s.gone = m.seq
		*m = sentMessage{}
		if s.first++; s.first == len(s.kept) {
			s.kept, s.first = s.kept[:0], 0
		}
	}
	if s.first > len(s.kept)/2 && s.first > 64 {
		n := copy(s.kept, s.kept[s.first:])
		clear(s.kept[n:])
		s.kept, s.first = s.kept[:n], 0
	}
}

// forget empties it: the number that comes next is another one, and of those before nothing is kept.
func (s *sentMessages) forget(next int) {
	clear(s.kept)
	s.kept, s.first, s.size, s.gone = s.kept[:0], 0, 0, next-1
}

// between gives the messages of a range, and what makes the library fill the range to its end.
func (s *sentMessages) between(from, to int) (out [][]byte) {
	if from <= s.gone {
		s.short()
	}
	last := from - 1
	for _, m := range s.kept[s.first:] {
		if m.seq >= from && m.seq <= to {
			out = append(out, m.raw)
			last = m.seq
		}
	}
	if last < to {
		fields := append(strconv.AppendInt([]byte("35=0\x0134="), int64(to), 10), "\x0149=-\x0152=00010101-00:00:00\x0156=-\x01"...)
		out = append(out, appendFrame(nil, s.begin, fields))
	}
	return out
}
