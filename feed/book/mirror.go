package book

import "github.com/tickwire/tickwire/tick"

// AppendRecord puts the row into batch, which must have room, that does to a book what the order event r says was done: A adds, C takes away, M changes, R
// empties. That is how a reader of an mbo ring keeps the lane's books for itself. False, and no row: r changes no book, as T, F and N, or it is of a level
// and not of an order (FlagMBP, FlagTOB), or no order event at all.
func AppendRecord(batch *tick.Batch, r *tick.Mbo) bool {
	if r.RType != tick.RTypeMbo || r.Flags&(tick.FlagMBP|tick.FlagTOB) != 0 {
		return false
	}
	var kind tick.Kind
	switch r.Action {
	case tick.ActionAdd:
		kind = tick.KindAdd
	case tick.ActionCancel:
		kind = tick.KindReduce
	case tick.ActionModify:
		kind = tick.KindModify
	case tick.ActionClear:
		kind = tick.KindClear
	default:
		return false
	}
	n := batch.N & tick.RowMask
	batch.Kind[n], batch.Side[n], batch.Instrument[n], batch.TsEvent[n] = kind, r.Side, r.InstrumentID, r.TsEvent
	batch.OrderID[n], batch.Price[n], batch.Size[n], batch.Aux[n] = r.OrderID, r.Price, uint64(r.Size), 0
	batch.Sub[n], batch.Flags[n] = tick.ModifyKeep, 0
	batch.State[n], batch.Sequence[n] = 0, uint64(r.Sequence)
	batch.N++
	return true
}
