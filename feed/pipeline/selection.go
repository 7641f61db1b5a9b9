package pipeline

import (
	"bytes"
	"slices"

	"github.com/tickwire/tickwire/tick"
)

// kindNone is a row that nobody wants: the book leaves it alone and nothing is published.
const kindNone tick.Kind = 0

// selection is what a question to a file is about: some symbols, some time. A live lane has none.
type selection struct {
	symbols  []string
	wanted   map[uint32]bool
	from, to uint64
	bounded  bool
}

func newSelection(cfg *Config) selection {
	return selection{
		symbols: cfg.Only, wanted: make(map[uint32]bool), from: cfg.From, to: cfg.To, bounded: cfg.From != 0 || cfg.To != 0,
	}
}

func (s *selection) reset() { clear(s.wanted) }

// want notes a wanted instrument by its definition.
func (s *selection) want(d *tick.Definition) {
	if len(s.symbols) == 0 {
		return
	}
	symbol := string(bytes.TrimRight(d.RawSymbol[:], "\x00"))
	s.wanted[d.InstrumentID] = slices.Contains(s.symbols, symbol)
}

// apply takes the rows of other instruments out of the batch's way.
func (s *selection) apply(l *Lane) {
	if len(s.symbols) == 0 {
		return
	}
	b := l.batch
	for i := range b.N {
		i &= tick.RowMask
		if b.Kind[i] == tick.KindDefinition {
			l.definitions(i, s.want)
		}
		if id := b.Instrument[i]; id != 0 && !s.wanted[id] {
			b.Kind[i] = kindNone
		}
	}
}

// definitions calls fn with those of row i.
func (l *Lane) definitions(i int, fn func(*tick.Definition)) {
	first, n := tick.SplitSideRows(l.batch.Aux[i&tick.RowMask])
	for k := first; k < first+n; k++ {
		fn(&l.batch.Definitions[k])
	}
}

// inTime says that row i is within the bounds of time. Definitions always are: symbols need them.
func (s *selection) inTime(l *Lane, i int) bool {
	return l.batch.Kind[i&tick.RowMask] == tick.KindDefinition || s.within(l, i)
}

func (s *selection) within(l *Lane, i int) bool {
	ts := l.batch.TsEvent[i&tick.RowMask]
	return ts >= s.from && (s.to == 0 || ts < s.to)
}

// Past says that the venue's time has passed the end of what is asked for: the rest of the file need not be read.
func (l *Lane) Past() bool { return l.only.to != 0 && l.lastTime >= l.only.to }
