package ringbuf

import "errors"

// ErrSnapshotEpoch says that snapshot and ring are of different epochs: the producer is being started again. Wait for
// the next snapshot.
var ErrSnapshotEpoch = errors.New("ringbuf: snapshot and ring are of different epochs")

// JoinBook gives whoever joins late, or was lapped, a book: the newest snapshot in dst, whose memory is reused, and r at the
// record behind it. After ErrTooOld, ErrNoSnapshot and ErrSnapshotEpoch wait for the next snapshot, a second at most, and try again.
// The state is that of applying dst.Records (R empties an instrument's book, A adds an order at the end of its queue), then
// what r gives.
func JoinBook(r *Reader, s *SnapReader, dst *Snapshot) error {
	if err := s.Read(dst); err != nil {
		return err
	}
	if err := r.Seek(dst.Seq + 1); err != nil {
		return err
	}
	if r.Epoch() != dst.Epoch {
		return ErrSnapshotEpoch
	}
	return nil
}
