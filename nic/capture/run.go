package capture

import (
	"context"
	"time"
)

// Input is one lane that is captured.
type Input struct {
	LaneInfo
	Reader *Reader
}

// Limits end a capture. Zero values do not.
type Limits struct {
	Count uint64
	For   time.Duration
}

// Stats of a capture.
type Stats struct {
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`   // of frames, as they were on the wire
	Dropped uint64 `json:"dropped"` // taken by the lane, overwritten before they were read
	Cut     uint64 `json:"cut"`     // packets longer than the snap length
}

const (
	turnPackets = 1024 // of one input before the next is looked at
	idleSleep   = 500 * time.Microsecond
	flushEvery  = time.Second
	drainFor    = 5 * time.Second
)

// Run writes what the inputs give until ctx or a limit ends it, or ended says that no more comes. stop is called then: it
// makes the sources stop, and what they had given is still written. tell, when it is not nil, is called each second. The last
// file is completed whatever happens.
func Run(ctx context.Context, inputs []*Input, files *Files, limits Limits, ended <-chan struct{}, stop func(), tell func(Stats)) (s Stats, err error) {
	defer func() {
		if e := files.Close(s.Dropped); err == nil {
			err = e
		}
	}()
	if limits.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limits.For)
		defer cancel()
	}
	var rec Record
	flush := time.Now().Add(flushEvery)
	var until time.Time // set: draining
	gone := false       // the source has ended by itself: nothing more comes
	for {
		got := false
		for i, in := range inputs {
			for n := 0; n < turnPackets && in.Reader.Next(&rec); n++ {
				got = true
				if err := files.Write(i, &rec); err != nil {
					stop()
					return s, err
				}
				s.Packets++
				s.Bytes += uint64(rec.Wire)
				if len(rec.Frame) < rec.Wire || len(rec.Frame) > files.o.Snap {
					s.Cut++
				}
				if s.Packets == limits.Count {
					s.Dropped = dropped(inputs)
					stop()
					return s, nil
				}
			}
		}
		s.Dropped = dropped(inputs)
		now := time.Now()
		if err := files.Rotate(now, s.Dropped); err != nil {
			stop()
			return s, err
		}
		if now.After(flush) {
			flush = now.Add(flushEvery)
			if err := files.Flush(); err != nil {
				stop()
				return s, err
			}
			if tell != nil {
				tell(s)
			}
		}
		switch {
		case !until.IsZero() && (!got && (gone || allClosed(inputs)) || now.After(until)):
			for _, in := range inputs {
				in.Reader.Finish()
			}
			s.Dropped = dropped(inputs)
			return s, nil
		case until.IsZero() && (ctx.Err() != nil || isClosed(ended)):
			gone = isClosed(ended) // asked before stop, which may end it too
			stop()
			until = now.Add(drainFor)
		}
		if !got {
			time.Sleep(idleSleep)
		}
	}
}

func dropped(inputs []*Input) (n uint64) {
	for _, in := range inputs {
		n += in.Reader.Lost()
	}
	return n
}

// allClosed says that all sources have stopped and said so.
func allClosed(inputs []*Input) bool {
	for _, in := range inputs {
		if !in.Reader.Closed() {
			return false
		}
	}
	return true
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
