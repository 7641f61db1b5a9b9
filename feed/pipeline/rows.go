package pipeline

import (
	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/tick"
)

// showRows hands over the rows of a batch that are published: not those of other instruments or times than were asked for, nor those that plugins dropped.
func (l *Lane) showRows() {
	b, chain := l.batch, (*plugins.Chain)(nil)
	if l.guests.ran {
		chain = l.guests.chain
	}
	from := 0
	for i := range b.N {
		k := i & tick.RowMask
		if b.Kind[k] != kindNone && (!l.only.bounded || l.only.inTime(l, k)) && (chain == nil || chain.Verdict[k] != plugins.Dropped) {
			continue
		}
		if i > from {
			l.rows(b, from, i-from, chain)
		}
		from = i + 1
	}
	if b.N > from {
		l.rows(b, from, b.N-from, chain)
	}
}

// Published is the directory as readers have it: with the symbols that plugins gave instruments. For Config.Rows.
func (l *Lane) Published() plugins.Directory { return published{l} }

type published struct{ l *Lane }

func (p published) Symbol(instrument uint32) []byte {
	if name, ok := p.l.guests.names[instrument]; ok {
		return []byte(name)
	}
	return Symbols{p.l.symbols}.Symbol(instrument)
}
