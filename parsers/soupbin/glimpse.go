package soupbin

// The end of a GLIMPSE snapshot, an application message inside a sequenced packet. It has none of ITCH's common fields.
//
//	0     1                     21
//	+-----+---------------------+
//	| 'G' | sequence, decimal   |   number of the real-time message to go on from
//	+-----+---------------------+
const (
	// SnapshotEnd is its type. ITCH 5.0 has no G.
	SnapshotEnd byte = 'G'
	// SnapshotEndBytes is its length.
	SnapshotEndBytes = 1 + numberBytes
)

// AppendSnapshotEnd appends the message, without a packet round it.
func AppendSnapshotEnd(dst []byte, next uint64) []byte {
	return appendNumber(append(dst, SnapshotEnd), numberBytes, next)
}

// ParseSnapshotEnd reads the message; it may have grown at its end. It returns ErrLength when it is shorter or of another type, and
// ErrNumber when it has no number.
func ParseSnapshotEnd(m []byte) (next uint64, err error) {
	if len(m) < SnapshotEndBytes || m[0] != SnapshotEnd {
		return 0, ErrLength
	}
	return ParseNumber(m[1:SnapshotEndBytes])
}
