package ringbuf

import (
	"errors"
	"fmt"
)

// Why JoinBook refuses, besides ErrNoSnapshot, ErrTooOld, ErrTooFar and ErrRestarting.
var (
	// ErrSnapshotEpoch says that snapshot and ring are of different epochs: the producer is being started again. Wait
	// for the next snapshot.
	ErrSnapshotEpoch = errors.New("ringbuf: snapshot and ring are of different epochs")
	// ErrSnapshotReplaced says that another snapshot file has the name: close this one and open it again. Nothing will
	// come in this one any more.
	ErrSnapshotReplaced = errors.New("ringbuf: another snapshot file has the name")
	// ErrNotMbo says that the ring has other records than order events, so no place in it belongs to a snapshot.
	ErrNotMbo = errors.New("ringbuf: books are joined in an mbo ring")
)

// JoinBook gives whoever joins late, or was lapped, a book: the newest snapshot in dst, whose memory is reused, and r at
// the record behind it. The state is that of applying dst.Records (R empties an instrument's book, A adds an order at the
// end of its queue), then what r gives.
//
// After ErrTooOld, ErrNoSnapshot and ErrSnapshotEpoch wait for the next snapshot, a second at most, and try again; after
// ErrSnapshotReplaced open the file again. On an error the place of r is unchanged, and dst is undefined. It copies all
// resting orders: not for the hot path.
func JoinBook(r *Reader, s *SnapReader, dst *Snapshot) error {
	if r.Kind() != KindMbo {
		return fmt.Errorf("%w: %s has %s", ErrNotMbo, r.path, r.Kind())
	}
	if s.Replaced() {
		return fmt.Errorf("%w: %s", ErrSnapshotReplaced, s.f.path)
	}
	if err := s.Read(dst); err != nil {
		return err
	}
	next, epoch, unused, sameBoot := r.next, r.epoch, r.unused, r.sameBoot
	if err := r.Seek(dst.Seq + 1); err != nil {
		return err
	}
	if now := r.epoch; now != dst.Epoch {
		r.next, r.epoch, r.unused, r.sameBoot = next, epoch, unused, sameBoot
		return fmt.Errorf("%w: %d and %d", ErrSnapshotEpoch, dst.Epoch, now)
	}
	return nil
}
