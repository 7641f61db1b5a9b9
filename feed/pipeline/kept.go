package pipeline

import (
	"errors"
	"sync/atomic"

	"github.com/tickwire/tickwire/tick"
)

// Kept is copies of a lane's recent batches, as plugins get them: what a new version of a plugin is tried on. The lane writes them, anybody reads them, and
// neither waits: a copy that one side is busy with is passed over by the other.
type Kept struct {
	wanted atomic.Bool
	slots  [keptBatches]keptSlot

	next int // the lane's
	due  uint64
}

type keptSlot struct {
	busy  atomic.Bool
	batch *tick.Batch
	_     [48]byte
}

const (
	keptBatches = 4
	keptEveryNs = 50_000_000 // copying costs some 100 ns a row of a column's width: seldom enough not to matter
)

// NewKept makes room. Memory is touched when a batch is kept.
func NewKept() (*Kept, error) {
	k := &Kept{}
	for i := range k.slots {
		b, err := tick.NewBatch()
		if err != nil {
			return nil, errors.Join(err, k.Close())
		}
		k.slots[i].batch = b
	}
	return k, nil
}

// Want has the lane keep batches although no plugin runs, or no more.
func (k *Kept) Want(on bool) { k.wanted.Store(on) }

// keep copies a batch if it is time to. Hot path.
func (k *Kept) keep(b *tick.Batch, now uint64) {
	if early := k.due - now; early-1 < keptEveryNs { // more than that: the clock was set back
		return
	}
	s := &k.slots[k.next%keptBatches]
	if !s.busy.CompareAndSwap(false, true) {
		return
	}
	s.batch.CopyRows(b)
	s.busy.Store(false)
	k.next++
	k.due = now + keptEveryNs
}

// Each copies each kept batch that has rows into dst and calls fn, until it returns an error. Not from two goroutines at once.
func (k *Kept) Each(dst *tick.Batch, fn func() error) error {
	for i := range k.slots {
		s := &k.slots[i]
		if !s.busy.CompareAndSwap(false, true) {
			continue
		}
		dst.CopyRows(s.batch)
		s.busy.Store(false)
		if dst.N == 0 {
			continue
		}
		if err := fn(); err != nil {
			return err
		}
	}
	return nil
}

// Close frees the copies, once the lane has ended.
func (k *Kept) Close() error {
	var errs []error
	for i := range k.slots {
		if b := k.slots[i].batch; b != nil {
			errs = append(errs, b.Free())
		}
	}
	return errors.Join(errs...)
}
