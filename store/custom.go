package store

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"

	"github.com/tickwire/tickwire/ringbuf"
	"github.com/tickwire/tickwire/tick"
)

// A record of ring mbp1 has four words for what plugins add to its row; the file beside the rings (ringbuf.Plugins) says what they are. Table ticks has a column for
// each name that the store was opened with, whatever place a feed has it at, and NULL in rows of feeds and times without it.

// MostCustom bounds Options.Custom.
const MostCustom = 64

// settleNs is for how long after a change of plugins rows may still be of those before: a lane takes a new chain between two passes, and the file is written before.
// Places that mean something else by then are NULL meanwhile.
const settleNs = 2_000_000_000

// addCustom makes the store's layouts: the common ones, but for ticks where there are columns of plugins.
func (s *Store) addCustom() error {
	s.layouts, s.ticks = layouts, ticksLayout
	custom := s.options.Custom
	if len(custom) == 0 {
		return nil
	}
	if len(custom) > MostCustom {
		return fmt.Errorf("store: %d columns of plugins, but at most %d", len(custom), MostCustom)
	}
	var specs []spec
	for i, c := range custom {
		if ticksLayout.Column(c.Name) >= 0 || slices.ContainsFunc(custom[:i], func(o ringbuf.PluginColumn) bool { return o.Name == c.Name }) {
			return fmt.Errorf("store: column %s of plugin %s: ticks has a column of that name already", c.Name, c.Plugin)
		}
		comment := "of plugin " + c.Plugin
		if c.Description != "" {
			comment += ": " + c.Description
		}
		x := spec{c.Name, BigInt, keptI64, true, comment}
		switch c.Type {
		case "i64":
		case "time":
			x.comment += " (ns since 1970)"
		case "price":
			x.kind = Decimal
		case "f64":
			x.kind = Double
		default:
			return fmt.Errorf("store: column %s of plugin %s: type %q is none of i64, f64, price, time", c.Name, c.Plugin, c.Type)
		}
		specs = append(specs, x)
	}
	s.ticks = newTicks(specs)
	s.layouts = slices.Clone(layouts)
	s.layouts[slices.Index(layouts, ticksLayout)] = s.ticks
	return nil
}

// Tables are the store's, with columns of plugins.
func (s *Store) Tables() []*Table { return tablesOf(s.layouts) }

// scanCustom lists the columns of plugins.
func (s *Store) scanCustom() *Scan {
	n := len(s.options.Custom)
	names, types, from, about := make([]uint32, n), make([]uint32, n), make([]uint32, n), make([]uint32, n)
	for i, c := range s.options.Custom {
		names[i], types[i], from[i] = s.dict.add(c.Name), s.dict.add(c.Type), s.dict.add(c.Plugin)
		if c.Description != "" {
			about[i] = s.dict.add(c.Description)
		}
	}
	return made(n, Vector{Codes: names}, Vector{Codes: types}, Vector{Codes: from}, Vector{Codes: about})
}

// customPlace is what a word of a record is.
type customPlace struct {
	col int // of ticks, 0: none of the store's
	typ string
}

type customPlaces [len(ringbuf.Mbp1Slot{}.Plugin)]customPlace

// customFollow is what a follower knows of its feed's plugins.
type customFollow struct {
	file       fs.FileInfo // that was read last
	absent     bool        // before file, there was none
	now, older customPlaces
	since      uint64 // ts_publish from which now holds; before it, older
	changed    bool   // older is known too
}

// lookCustom reads the feed's file if it is another than before. It is called before records are entered: the file is written before the first record of its chain.
func (f *follower) lookCustom(log func(string, error)) {
	path := ringbuf.SidePath(f.ringDir, f.entry.Instance, f.entry.Feed, "", ringbuf.ExtPlugins)
	c := &f.custom
	st, err := os.Stat(path)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			log(path, err)
		}
		*c = customFollow{absent: true} // no plugins: the words are nothing
		return
	}
	if c.file != nil && os.SameFile(c.file, st) && c.file.ModTime().Equal(st.ModTime()) {
		return
	}
	first := c.file == nil
	c.file = st
	p, err := ringbuf.ReadPlugins(path)
	if err != nil {
		log(path, err)
		p = &ringbuf.Plugins{} // what the words are is not known: NULL
	}
	c.older, c.now, c.since, c.changed = c.now, f.s.places(p.Custom), p.Since, !first || c.absent
}

// places finds the columns of a feed's words.
func (s *Store) places(custom []ringbuf.PluginColumn) (places customPlaces) {
	for k, c := range custom {
		if i := slices.IndexFunc(s.options.Custom, func(o ringbuf.PluginColumn) bool { return o.Name == c.Name && o.Type == c.Type }); i >= 0 {
			places[k] = customPlace{ticksCustom + i, c.Type}
		}
	}
	return places
}

// customRow enters a record's words.
func (f *follower) customRow(r row, m *ringbuf.Mbp1Slot) {
	c := &f.custom
	places, settling := &c.now, false
	if m.TsPublish < c.since {
		places = &c.older
	} else {
		settling = c.changed && m.TsPublish-c.since < settleNs
	}
	for k, p := range places {
		if p.col == 0 || settling && c.older[k] != p {
			continue
		}
		switch v := m.Plugin[k]; p.typ {
		case "price":
			f.price(r, p.col, int64(v))
		case "time":
			r.maybe(p.col, int64(v), v != tick.UndefTime && v <= math.MaxInt64)
		default:
			r.maybe(p.col, int64(v), true)
		}
	}
}
