package pipeline

import (
	"github.com/tickwire/tickwire/feed/book"
	"github.com/tickwire/tickwire/feed/pricebook"
	"github.com/tickwire/tickwire/tick"
)

// Implied books as a whole, in the ext ring: what a pass changes of them is expand's.

// tellImplied publishes an instrument's implied book, where it has one or had one: R, and what is there now. had: readers may have one of it.
func (l *Lane) tellImplied(id uint32, had bool) {
	p := l.depth.prices
	if p == nil || l.out.Ext == nil || !had && !p.HasImplied(id) {
		return
	}
	l.stageImplied(id, tick.SideNone, tick.ActionClear, 0, book.Level{Price: tick.UndefPrice})
	var levels [pricebook.MaxDepth]book.Level
	for _, side := range [2]byte{tick.SideBid, tick.SideAsk} {
		for at, level := range levels[:p.Implied(id, side, levels[:])] {
			l.stageImplied(id, side, tick.ActionAdd, at+1, level)
		}
	}
}

// clearImplied says that all implied books are void.
func (l *Lane) clearImplied() {
	p := l.depth.prices
	if p == nil || l.out.Ext == nil {
		return
	}
	p.Instruments(func(id uint32) bool {
		if p.HasImplied(id) {
			l.stageImplied(id, tick.SideNone, tick.ActionClear, 0, book.Level{Price: tick.UndefPrice})
		}
		return true
	})
	l.flush()
}

// stageImplied stages one record of it outside of a pass.
func (l *Lane) stageImplied(id uint32, side, action byte, number int, level book.Level) {
	if len(l.staged.ext) == cap(l.staged.ext) {
		l.flush()
	}
	l.staged.ext = append(l.staged.ext, tick.Ext{
		Header: tick.Header{Length: 14, RType: tick.RTypeExt, PublisherID: l.publisher, InstrumentID: id, TsEvent: l.lastTime},
		Kind:   tick.ExtImplied, Seq32: uint32(l.upTo()), A: uint64(level.Price), B: level.Size, C: impliedCode(side, action, uint32(number), level.Orders),
	})
}
