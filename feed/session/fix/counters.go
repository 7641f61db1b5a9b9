package fix

import "sync/atomic"

// Counters of a session's bytes and messages: every way to lose a message has one. Any goroutine may read them.
type Counters struct {
	Bytes       atomic.Uint64 // received
	Frames      atomic.Uint64 // whole messages received, with right BodyLength and CheckSum
	Garbled     atomic.Uint64 // starts of messages whose BodyLength, CheckSum or first fields are wrong: passed over
	TooLong     atomic.Uint64 // of those, with a BodyLength beyond the limit
	Junk        atomic.Uint64 // bytes passed over, those of garbled messages among them
	NoNumber    atomic.Uint64 // whole messages without MsgSeqNum: the connection was closed
	Malformed   atomic.Uint64 // application messages whose fields break the rules of tag=value: rejected
	Slow        atomic.Uint64 // connections closed since a message, or the Logon, did not come to its end in time
	Backlog     atomic.Uint64 // connections closed since messages waited for a gap, or to be sent, beyond the limit
	Connections atomic.Uint64 // made or taken
	Refused     atomic.Uint64 // not taken, or taken back at once: too many, not allowed, already connected
	Logons      atomic.Uint64
	Logouts     atomic.Uint64 // logged-on sessions that ended, however they did

	Messages    atomic.Uint64 // application messages handed out
	Resends     atomic.Uint64 // ResendRequests received
	Reasked     atomic.Uint64 // gaps that did not close and were asked for again
	Gaps        atomic.Uint64 // gap fills and resets received while logged on: messages that nobody will see
	Rejects     atomic.Uint64 // Reject, BusinessMessageReject and MarketDataRequestReject received
	Stale       atomic.Uint64 // market data of a request that is over: not handed out
	RingFull    atomic.Uint64 // messages lost because the lane took none for a second
	Resubscribe atomic.Uint64 // times that all subscriptions were made anew within a session
	Renewed     atomic.Uint64 // times that some were, since they lacked something
}
