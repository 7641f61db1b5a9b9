package resync

import (
	"sync/atomic"
	"unsafe"
)

// Counters of a lane's rebuilds, all uint64. The lane's copy is Lane.Counters.
type Counters struct {
	Attempts      uint64 // snapshots asked for
	Failed        uint64 // of them, those that did not come whole, or could not be read
	TooOld        uint64 // attempts void because messages between snapshot and log were missing: the snapshot was old, or there was a loss since
	Future        uint64 // attempts void because the stream never reached the snapshot's number
	LogFull       uint64 // attempts void because the log had no room for what came meanwhile
	Unreadable    uint64 // attempts void because the parser refused a message behind the snapshot
	Stale         uint64 // parts of snapshots that were older than the log: newer ones were waited for
	Doubtful      uint64 // attempts void because the first messages behind the snapshot did not fit it; two in a row at most
	Abandoned     uint64 // attempts void because the session ended
	Declined      uint64 // offers that the lane could not take in one go
	Snapshots     uint64 // messages of snapshots
	Orders        uint64 // of them, live orders
	Strange       uint64 // of them, those that have no place in a snapshot: ignored
	Replayed      uint64 // logged messages applied on top of a snapshot
	Superseded    uint64 // logged messages that the snapshot had already
	AlreadyThere  uint64 // adds right after N that the snapshot had: N is too low by one or more
	UnknownAfter  uint64 // rows right after N that name an order which does not rest: N is wrong
	Jumps         uint64 // instruments whose entries did not follow their part of the snapshot: a number is wrong
	LiveLogBytes  uint64 // waiting in the log
	Rebuilt       uint64 // books exchanged (the lane's, as all below)
	Republished   uint64 // snapshot records sent to readers
	Interrupted   uint64 // republications cut short by another loss
	Logged        uint64 // messages copied to the log
	NotLogged     uint64 // messages for which the log had no room
	LiveState     uint64 // 0: nothing to do, 1: rebuilding, 2: telling readers
	LiveSinceAt   uint64 // lane time when the present state began, ns since the Unix epoch
	LastRebuiltAt uint64 // lane time when readers had been told everything, ns since the Unix epoch
}

const (
	countersWords = unsafe.Sizeof(Counters{}) / 8
	workerWords   = unsafe.Offsetof(Counters{}.Rebuilt) / 8 // those before are the worker's
)

func (c *Counters) words() *[countersWords]uint64 { return (*[countersWords]uint64)(unsafe.Pointer(c)) }

// sharedCounters is how the worker's counters reach the lane.
type sharedCounters [workerWords]atomic.Uint64

func (s *sharedCounters) publish(c *Counters) {
	for i := range s {
		s[i].Store(c.words()[i])
	}
}

func (s *sharedCounters) fetch(c *Counters) {
	for i := range s {
		c.words()[i] = s[i].Load()
	}
}
