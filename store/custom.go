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

// custom is the columns of plugins at one time. More may come (Options.Learn), behind those that are there: what was made with fewer goes on with them.
type custom struct {
	columns []ringbuf.PluginColumn
	ticks   *layout // with them
}

func newCustom(columns []ringbuf.PluginColumn) (*custom, error) {
	if len(columns) == 0 {
		return &custom{ticks: ticksLayout}, nil
	}
	var specs []spec
	for i, c := range columns {
		x, err := specOf(c, columns[:i])
		if err != nil {
			return nil, err
		}
		specs = append(specs, x)
	}
	all := &custom{columns, newTicks(specs)}
	all.ticks.base = ticksLayout
	return all, nil
}

// specOf is a plugin's column as ticks has it, behind others of theirs.
func specOf(c ringbuf.PluginColumn, before []ringbuf.PluginColumn) (x spec, err error) {
	switch {
	case len(before) >= MostCustom:
		return x, fmt.Errorf("store: %d columns of plugins, but at most %d", len(before)+1, MostCustom)
	case ticksLayout.Column(c.Name) >= 0 || slices.ContainsFunc(before, func(o ringbuf.PluginColumn) bool { return o.Name == c.Name }):
		return x, fmt.Errorf("store: column %s of plugin %s: ticks has a column of that name already", c.Name, c.Plugin)
	}
	comment := "of plugin " + c.Plugin
	if c.Description != "" {
		comment += ": " + c.Description
	}
	x = spec{c.Name, BigInt, keptI64, true, comment}
	switch c.Type {
	case "i64":
	case "time":
		x.comment += " (ns since 1970)"
	case "price":
		x.kind = Decimal
	case "f64":
		x.kind = Double
	default:
		return x, fmt.Errorf("store: column %s of plugin %s: type %q is none of i64, f64, price, time", c.Name, c.Plugin, c.Type)
	}
	return x, nil
}

// learn adds those of a feed's columns that are not there yet.
func (s *Store) learn(columns []ringbuf.PluginColumn) {
	s.mu.Lock()
	have := s.custom.Load()
	all := slices.Clone(have.columns)
	for _, c := range columns {
		if slices.ContainsFunc(all, func(o ringbuf.PluginColumn) bool { return o.Name == c.Name && o.Type == c.Type }) {
			continue
		}
		if _, err := specOf(c, all); err != nil {
			s.options.Log("a plugin's column is left out of ticks: "+err.Error(), c)
			continue
		}
		all = append(all, c)
	}
	learned := len(all) > len(have.columns)
	if learned {
		next, _ := newCustom(all)    // each was looked at
		for _, x := range s.series { // their next rows begin a chunk
			if x.l.Load().base == ticksLayout {
				x.l.Store(next.ticks)
			}
		}
		s.custom.Store(next) // behind them: who finds a column's place here has a chunk with it
	}
	s.mu.Unlock()
	if learned {
		s.options.Learn()
	}
}

// Custom are the columns of plugins.
func (s *Store) Custom() []ringbuf.PluginColumn { return s.custom.Load().columns }

// Tables are the store's, with columns of plugins.
func (s *Store) Tables() []*Table {
	all := tablesOf(layouts)
	all[slices.Index(layouts, ticksLayout)] = &s.custom.Load().ticks.Table
	return all
}

// scanCustom lists the columns of plugins.
func (s *Store) scanCustom() *Scan {
	all := s.Custom()
	n := len(all)
	names, types, from, about := make([]uint32, n), make([]uint32, n), make([]uint32, n), make([]uint32, n)
	for i, c := range all {
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

	all              *custom // with which the places were found, nil: there are none
	nowHas, olderHas []ringbuf.PluginColumn
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
		if c.all != f.s.custom.Load() { // another feed's plugins brought columns that this one has too
			f.placeCustom()
		}
		return
	}
	first := c.file == nil
	c.file = st
	p, err := ringbuf.ReadPlugins(path)
	if err != nil {
		log(path, err)
		p = &ringbuf.Plugins{} // what the words are is not known: NULL
	}
	if f.s.options.Learn != nil {
		f.s.learn(p.Custom)
	}
	c.olderHas, c.nowHas, c.since, c.changed = c.nowHas, p.Custom, p.Since, !first || c.absent
	f.placeCustom()
}

// placeCustom finds where the feed's words go.
func (f *follower) placeCustom() {
	c := &f.custom
	c.all = f.s.custom.Load()
	c.older, c.now = c.all.places(c.olderHas), c.all.places(c.nowHas)
}

// places finds the columns of a feed's words.
func (all *custom) places(words []ringbuf.PluginColumn) (places customPlaces) {
	for k, c := range words {
		if i := slices.IndexFunc(all.columns, func(o ringbuf.PluginColumn) bool { return o.Name == c.Name && o.Type == c.Type }); i >= 0 {
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
