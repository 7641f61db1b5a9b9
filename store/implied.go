package store

import "github.com/tickwire/tickwire/tick"

// Places of implied's own columns.
const (
	impliedAction = colOwn + iota
	impliedSide
	impliedNumber
	impliedPrice
	impliedSize
	impliedSequence
)

// impliedLevel enters a level of an implied book (tick.ExtImplied).
func (f *follower) impliedLevel(e *tick.Ext) {
	if f.implied == nil {
		return
	}
	// An ext record has no time of arrival: which session it is of is told by the venue's.
	r, ok := f.beginAs(f.implied, &e.Header, 0, f.channel, f.symbol(&e.Header, e.TsEvent))
	if !ok {
		return
	}
	r.letter(impliedAction, byte(e.C>>16))
	r.letter(impliedSide, byte(e.C))
	r.set32(impliedNumber, uint32(byte(e.C>>8)))
	f.price(r, impliedPrice, int64(e.A))
	r.set(impliedSize, int64(e.B))
	r.set32(impliedSequence, e.Seq32)
	f.end(r)
}
