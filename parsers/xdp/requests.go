package xdp

import (
	"errors"
	"fmt"
)

// What travels between a client and the request server (XDP common client specification, retransmission and refresh): requests 10, 12, 13 and 15
// one way, the response 11 the other, each alone in a packet.
//
//	10  begin 4:4   end 8:4     source 12:10  product 22  channel 23                      24 bytes
//	11  request 4:4 begin 8:4   end 12:4      source 16:10 product 26 channel 27 status 28  29 bytes
//	12  source 4:10                                                                       14 bytes
//	13  symbol 4:4  source 8:10 product 18    channel 19  method 20                       21 bytes
//	15  symbol 4:4  source 8:10 product 18    channel 19                                  20 bytes

// MostRetransmitted is how many messages one request 10 may ask for.
const MostRetransmitted = 1000

// Status of a response.
const (
	Accepted           byte = '0'
	UnknownSource      byte = '1'
	InvalidRange       byte = '2'
	TooLong            byte = '3'
	TooManyRequests    byte = '4'
	TooManyRefreshes   byte = '5'
	TooOld             byte = '6'
	UnknownChannel     byte = '7'
	UnknownProduct     byte = '8'
	InvalidMessageType byte = '9'
)

// StatusText says what a response's status means.
func StatusText(status byte) string {
	texts := [...]string{
		"accepted", "unknown source id", "invalid sequence range", "range too long", "too many retransmission requests today",
		"too many refresh requests today", "numbers too old", "unknown channel", "unknown product", "invalid message type or size",
	}
	if status < '0' || status > '9' {
		return fmt.Sprintf("status %q", status)
	}
	return texts[status-'0']
}

// SourceID is a client's name at the request server, NUL padded.
type SourceID [10]byte

// ParseSourceID checks a name: 1 to 10 printable ASCII characters.
func ParseSourceID(name string) (id SourceID, err error) {
	if len(name) == 0 || len(name) > len(id) {
		return id, fmt.Errorf("xdp: source id %q has %d characters, want 1 to %d", name, len(name), len(id))
	}
	for i := range len(name) {
		if name[i] <= ' ' || name[i] > '~' {
			return id, fmt.Errorf("xdp: source id %q: character %d is not printable ASCII", name, i+1)
		}
	}
	copy(id[:], name)
	return id, nil
}

// Valid says that the id is not empty and every byte behind it is NUL, as request servers insist.
func (s SourceID) Valid() bool {
	end := false
	for _, b := range s {
		if b == 0 {
			end = true
		} else if end || b < ' ' || b > '~' {
			return false
		}
	}
	return s[0] != 0
}

func (s SourceID) String() string {
	n := 0
	for n < len(s) && s[n] != 0 {
		n++
	}
	return string(s[:n])
}

// Request is a message 10, 12, 13 or 15. Fields that the type does not have are 0.
type Request struct {
	Type       uint16
	Begin, End uint32 // message 10: the closed range
	Symbol     uint32 // messages 13 and 15: 0 is all
	Source     SourceID
	Product    uint8
	Channel    uint8
}

// ErrRequest says that a message is no request, or its size does not fit its type.
var ErrRequest = errors.New("xdp: no request, or its size does not fit its type")

// AppendRequest appends the message of a request. A type that is none gives nothing.
func AppendRequest(dst []byte, r *Request) []byte {
	var m []byte
	switch r.Type {
	case TypeRetransmissionReq:
		dst, m = grow(dst, r.Type, 24)
		words(m, 4, r.Begin, r.End)
		copy(m[12:], r.Source[:])
		m[22], m[23] = r.Product, r.Channel
	case TypeHeartbeatResponse:
		dst, m = grow(dst, r.Type, 14)
		copy(m[4:], r.Source[:])
	case TypeSymbolMappingReq, TypeRefreshReq:
		size := 20
		if r.Type == TypeSymbolMappingReq {
			size = 21 // retransmit_method 0, UDP: the only one
		}
		dst, m = grow(dst, r.Type, size)
		le.PutUint32(m[4:], r.Symbol)
		copy(m[8:], r.Source[:])
		m[18], m[19] = r.Product, r.Channel
	}
	return dst
}

// ParseRequest reads a message, msg_size and msg_type included. Servers check the size strictly.
func ParseRequest(m []byte) (r Request, err error) {
	if len(m) < 4 || int(le.Uint16(m)) != len(m) {
		return r, ErrRequest
	}
	r.Type = le.Uint16(m[2:])
	switch {
	case r.Type == TypeRetransmissionReq && len(m) == 24:
		r.Begin, r.End = le.Uint32(m[4:]), le.Uint32(m[8:])
		r.Source = SourceID(m[12:22])
		r.Product, r.Channel = m[22], m[23]
	case r.Type == TypeHeartbeatResponse && len(m) == 14:
		r.Source = SourceID(m[4:14])
	case r.Type == TypeSymbolMappingReq && len(m) == 21, r.Type == TypeRefreshReq && len(m) == 20:
		r.Symbol = le.Uint32(m[4:])
		r.Source = SourceID(m[8:18])
		r.Product, r.Channel = m[18], m[19]
	default:
		return r, ErrRequest
	}
	return r, nil
}

// Response is a message 11.
type Response struct {
	Request    uint32 // seq_num of the request's packet
	Begin, End uint32 // of message 10, else 0
	Source     SourceID
	Product    uint8
	Channel    uint8
	Status     byte
}

// AppendResponse is message 11.
func AppendResponse(dst []byte, r *Response) []byte {
	dst, m := grow(dst, TypeRequestResponse, 29)
	words(m, 4, r.Request, r.Begin, r.End)
	copy(m[16:], r.Source[:])
	m[26], m[27], m[28] = r.Product, r.Channel, r.Status
	return dst
}

// ParseResponse reads a message 11; false: it is too short for one. A longer one is of a newer release.
func ParseResponse(m []byte) (r Response, ok bool) {
	if len(m) < 29 {
		return r, false
	}
	return Response{
		Request: le.Uint32(m[4:]), Begin: le.Uint32(m[8:]), End: le.Uint32(m[12:]), Source: SourceID(m[16:26]),
		Product: m[26], Channel: m[27], Status: m[28],
	}, true
}

// Unavailable is a message 31: the closed range will not come.
type Unavailable struct {
	Begin, End       uint32
	Product, Channel uint8
}

// ParseUnavailable reads a message 31; false: it is too short for one.
func ParseUnavailable(m []byte) (u Unavailable, ok bool) {
	if len(m) < 14 {
		return u, false
	}
	return Unavailable{Begin: le.Uint32(m[4:]), End: le.Uint32(m[8:]), Product: m[12], Channel: m[13]}, true
}

// SymbolOf is the symbol index of a message of the Integrated, BBO or Trades feed, 0: its type has none, or it is too short.
func SymbolOf(m []byte) uint32 {
	at := 0
	if len(m) < 4 {
		return 0
	}
	switch typ := le.Uint16(m[2:]); {
	case typ == TypeSymbolIndexMapping:
		at = 4
	case typ >= TypeAddOrder && typ <= TypeReplaceOrder, typ >= TypeNonDisplayedTrade && typ <= TypeRetailPriceImprovement, typ == TypeQuote:
		at = 8
	case typ >= TypeSymbolClear && typ <= TypeSecurityStatus, typ == TypeImbalance, typ == TypeAddOrderRefresh, typ >= TypeTRFFractional && typ <= TypeStockSummary:
		at = 12
	default:
		return 0
	}
	if len(m) < at+4 {
		return 0
	}
	return le.Uint32(m[at:])
}
