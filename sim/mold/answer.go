package mold

import (
	"encoding/binary"
	"slices"

	"github.com/tickwire/tickwire/parsers/moldudp64"
)

// Answer is what the venue sends back for a request (MoldUDP64 1.00, request packets): one packet, appended to dst, with as many whole
// messages from the number that was asked for on as were asked for, are known, and fit into maxPayload bytes; 0 is 1,400. It is nil where
// the protocol has silence: another session, a number not yet sent, out of what is kept, or no request at all. A request is exactly 20 bytes with a count
// of 1 to 65,534.
func (l *Log) Answer(dst, request []byte, maxPayload int) []byte {
	h, rest, err := moldudp64.Parse(request)
	if err != nil || len(rest) != 0 || h.Session != l.session || h.Count == 0 || h.Count > moldudp64.MaxRequest {
		return nil
	}
	if maxPayload <= 0 {
		maxPayload = DefaultPayload
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if h.Sequence < l.oldest() || h.Sequence >= l.next {
		return nil
	}
	start := len(dst)
	dst = moldudp64.AppendHeader(dst, h)
	count := 0
	for _, r := range l.runs[l.runOf(h.Sequence):] {
		n := h.Sequence + uint64(count)
		if n < r.first {
			break // numbers between are not known
		}
		for ; n < r.end() && count < int(h.Count); n++ {
			block := r.block(n)
			if len(dst)-start+len(block) > maxPayload {
				return finish(dst, start, count)
			}
			dst = append(dst, block...)
			count++
		}
	}
	return finish(dst, start, count)
}

// runOf is the index of the run that has number n, or of the first one behind it.
func (l *Log) runOf(n uint64) int {
	i, _ := slices.BinarySearchFunc(l.runs, n, func(r *run, n uint64) int {
		if r.end() <= n {
			return -1
		}
		return 1
	})
	return i
}

// finish writes the count into an answer; nil without a message.
func finish(dst []byte, start, count int) []byte {
	if count == 0 {
		return nil
	}
	binary.BigEndian.PutUint16(dst[start+18:], uint16(count))
	return dst
}
