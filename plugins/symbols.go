package plugins

import (
	"bytes"

	"github.com/tickwire/tickwire/tick"
)

// Rename is a symbol that plugins wrote for an instrument.
type Rename struct {
	Row        int // where it was written, -1: a plugin that wrote it is gone
	Instrument uint32
	Symbol     string
}

// symbols is what a chain's plugins make of symbols: each plugin that writes them has names of its own, which those behind it see, so that what a plugin reads
// is never what it wrote itself before.
//
//	directory ◄── names of the first that writes ◄── names of the second …    what comes out is told when it changes
type symbols struct {
	base    Directory // the venue's, nil: none
	last    *names    // of the last plugin that writes, nil: none does
	told    map[uint32]string
	changed []Rename // written anew in this pass: instrument and row
	renamed []Rename
}

// names are what one plugin wrote.
type names struct {
	before Directory
	by     map[uint32][]byte
	again  int // changes of what it had written
}

// mostAgain bounds changes: each is told to readers by a definition, in a file that lies in memory. The next one is a failure of the plugin's, and counting begins anew.
const mostAgain = 1 << 14

// Symbol is the directory of the plugins behind.
func (n *names) Symbol(instrument uint32) []byte {
	if s, ok := n.by[instrument]; ok {
		return s
	}
	if n.before == nil {
		return nil
	}
	return n.before.Symbol(instrument)
}

func (s *symbols) init(base Directory) { s.base, s.told = base, map[uint32]string{} }

// directory is what the next plugin sees.
func (s *symbols) directory() Directory {
	if s.last != nil {
		return s.last
	}
	return s.base
}

// add makes names for the next plugin, which writes.
func (s *symbols) add() *names {
	s.last = &names{before: s.directory(), by: map[uint32][]byte{}}
	return s.last
}

// take takes the symbols that a plugin wrote. It allocates when an instrument's symbol is new. Hot path.
func (s *symbols) take(n *names, cells []byte, stride int, b *tick.Batch, from, rows int) {
	for r := range rows {
		row := (from + r) & tick.RowMask
		id := b.Instrument[row]
		text := textIn(cells[r*stride : (r+1)*stride])
		if id == 0 || len(text) == 0 {
			continue
		}
		have, ok := n.by[id]
		if ok && string(have) == string(text) {
			continue
		}
		if ok {
			n.again++
		}
		n.by[id] = bytes.Clone(text)
		s.changed = append(s.changed, Rename{Row: row, Instrument: id})
	}
}

// tell collects what changed in a pass, and is not what was told last.
func (s *symbols) tell() {
	s.renamed = s.renamed[:0]
	for _, c := range s.changed {
		var now []byte
		if d := s.directory(); d != nil {
			now = d.Symbol(c.Instrument)
		}
		was, ok := s.told[c.Instrument]
		if !ok && s.base != nil {
			was = string(s.base.Symbol(c.Instrument))
		}
		if was != string(now) {
			c.Symbol = string(now)
			s.told[c.Instrument] = c.Symbol
			s.renamed = append(s.renamed, c)
		}
	}
	s.changed = s.changed[:0]
}

// follow takes over what was told. Without a plugin that writes, the venue's symbols are told again.
func (s *symbols) follow(old *symbols) {
	s.told = old.told
	if s.last != nil {
		return // what it leaves alone counts as written when it comes
	}
	for id := range s.told {
		s.changed = append(s.changed, Rename{Row: -1, Instrument: id})
	}
}
