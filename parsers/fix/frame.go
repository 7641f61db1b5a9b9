package fix

import (
	"bytes"
	"errors"
)

// Framing of a stream (FIX transport, "garbled messages"): a message begins with "8=FIX" and ends where BodyLength says, if there is a trailer and
// the sum is right. What does not is garbled: it is passed over in silence as far as the peer is concerned, and the search for a message goes on one byte
// behind its begin, not behind its claimed end, so that the messages after it are found whatever its length was.
//
//	8=FIX.4.2|9=67|35=A|...|10=240|
//	          ^    ^--67--^ ^-- 7 bytes
//	          at most 10 digits

// What makes a frame garbled.
var (
	ErrBegin    = errors.New("fix: message does not begin with 8=, 9=, 35=")
	ErrTooLong  = errors.New("fix: BodyLength is above the limit for a message")
	ErrLength   = errors.New("fix: CheckSum is not where BodyLength says")
	ErrCheckSum = errors.New("fix: CheckSum is wrong")
)

const (
	// DefaultMaxMessage bounds a whole message where nothing else is said, bytes.
	DefaultMaxMessage = 1 << 20

	mostBegin    = 16 // bytes of BeginString's field with its SOH
	mostDigits   = 10 // of BodyLength
	trailerBytes = len("10=000|")
)

var beginBytes = []byte("8=FIX")

// Frame looks for the first message in b: it is b[skip : skip+n], as long as 8= to 10= with its SOH, length and sum verified, of at most max bytes
// (0: DefaultMaxMessage). Bytes before skip belong to no message. With n = 0 there is none yet:
//
//	err == nil   more bytes are needed; those from skip on must be given again
//	err != nil   something that began like a message is garbled; the search goes on from skip on
//
// Where a garbled length is believed, messages behind it wait until that many bytes came: max bounds how long. It bounds too what a peer can make this
// cost that sends begins of messages which all end rightly but for the sum: each is summed. Hot path: no allocation.
func Frame(b []byte, max int) (skip, n int, err error) {
	if max <= 0 {
		max = DefaultMaxMessage
	}
	skip = bytes.Index(b, beginBytes)
	if skip < 0 {
		return len(b) - beginAt(b), 0, nil
	}
	n, err = frameAt(b[skip:], max)
	if err != nil {
		skip++
	}
	return skip, n, err
}

// beginAt is how many of the last bytes may be a message's first.
func beginAt(b []byte) int {
	for n := min(len(b), len(beginBytes)-1); n > 0; n-- {
		if bytes.HasSuffix(b, beginBytes[:n]) {
			return n
		}
	}
	return 0
}

// frameAt is the length of the message that b begins with, 0: it is not all there.
func frameAt(b []byte, max int) (int, error) {
	head := bytes.IndexByte(b[:min(len(b), mostBegin)], soh) + 1
	if head == 0 {
		if len(b) >= mostBegin {
			return 0, ErrBegin
		}
		return 0, nil
	}
	if len(b) < head+2 {
		if len(b) > head && b[head] != '9' {
			return 0, ErrBegin
		}
		return 0, nil
	}
	if b[head] != '9' || b[head+1] != '=' {
		return 0, ErrBegin
	}
	head += 2
	length := 0
	for at := head; ; at++ {
		if at == len(b) {
			return 0, nil
		}
		if b[at] == soh && at > head {
			head = at + 1
			break
		}
		c := b[at] - '0'
		if c > 9 || at-head == mostDigits {
			return 0, ErrBegin
		}
		length = length*10 + int(c)
	}
	if length > max-head-trailerBytes {
		return 0, ErrTooLong
	}
	if typ := b[head:min(head+3, len(b))]; !bytes.HasPrefix([]byte("35="), typ) {
		return 0, ErrBegin
	}
	end := head + length
	if len(b) < end+trailerBytes {
		return 0, nil
	}
	t := b[end : end+trailerBytes]
	if length < len("35=0|") || b[end-1] != soh || t[0] != '1' || t[1] != '0' || t[2] != '=' || t[6] != soh {
		return 0, ErrLength
	}
	d0, d1, d2 := t[3]-'0', t[4]-'0', t[5]-'0'
	if d0 > 9 || d1 > 9 || d2 > 9 || int(d0)*100+int(d1)*10+int(d2) != int(Sum(b[:end])) {
		return 0, ErrCheckSum
	}
	return end + trailerBytes, nil
}

// StreamCounters say what became of a stream's bytes.
type StreamCounters struct {
	Messages uint64 // whole ones
	Bytes    uint64 // of theirs
	Garbled  uint64 // begun like a message and none: wrong length, wrong sum, 8, 9, 35 not first
	TooLong  uint64 // of those: BodyLength above the limit
	Skipped  uint64 // bytes that belong to no message, line ends between two left out: a message that lost its first byte is among them
	LineEnds uint64 // bytes CR and LF behind a message or before the first, as some recordings have them
}

// Stream takes messages out of bytes that come in pieces, such as a TCP connection's or a file's. Max bounds a message, and so the memory; 0:
// DefaultMaxMessage.
type Stream struct {
	Max      int
	Counters StreamCounters
	buf      []byte
	at       int
	lost     bool // bytes were skipped since the last message: a line end among them is skipped too, however the stream was cut
}

// Add takes the next bytes of the stream; messages that Next gave are void.
func (s *Stream) Add(b []byte) {
	if s.at > 0 {
		s.buf = s.buf[:copy(s.buf, s.buf[s.at:])]
		s.at = 0
	}
	s.buf = append(s.buf, b...)
}

// Next gives the next message, nil: more bytes are needed. Garbled ones are counted and passed over. It is valid until Add.
func (s *Stream) Next() []byte {
	for {
		for !s.lost && s.at < len(s.buf) && (s.buf[s.at] == '\r' || s.buf[s.at] == '\n') {
			s.at++
			s.Counters.LineEnds++
		}
		skip, n, err := Frame(s.buf[s.at:], s.Max)
		s.at += skip
		s.Counters.Skipped += uint64(skip)
		s.lost = s.lost || skip > 0
		if err != nil {
			s.Counters.Garbled++
			if err == ErrTooLong {
				s.Counters.TooLong++
			}
			continue
		}
		message := s.buf[s.at : s.at+n]
		s.at += n
		if n == 0 {
			return nil
		}
		s.lost = false
		s.Counters.Messages++
		s.Counters.Bytes += uint64(n)
		return message
	}
}

// Rest is what Next has not given: the begin of a message, or nothing.
func (s *Stream) Rest() []byte { return s.buf[s.at:] }
