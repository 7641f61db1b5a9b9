package glimpse

import "time"

// Faults are what a server does wrong, for all logins from the time they are set. The zero value is none.
type Faults struct {
	// Refuse rejects every login with this reason ('A' or 'S'). The default, 0, is to look at user and password.
	Refuse byte
	// Silent accepts connections and says nothing, not even a heartbeat.
	Silent bool
	// NoHeartbeats leaves them out; everything else goes on.
	NoHeartbeats bool
	// CutAfter closes the connection, without Z, after so many messages of a snapshot. The default, 0, is never.
	CutAfter uint64
	// EndAfter sends Z and closes after so many messages of a snapshot. The default, 0, is never.
	EndAfter uint64
	// Shift is added to the number that a snapshot says to go on from.
	Shift int64
	// BytesPerSecond slows a snapshot down. The default, 0, is as fast as the client takes it.
	BytesPerSecond int
	// Endless sends the snapshot again and again and never its end.
	Endless bool
	// Garbage is sent in place of the first packet of a snapshot.
	Garbage []byte
	// Delay is waited between a login and its snapshot being made.
	Delay time.Duration
	// Late is waited between a snapshot being made and its first message.
	Late time.Duration
}
