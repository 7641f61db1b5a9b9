//go:build cgo

package duck

import (
	"slices"
	"unsafe"

	"github.com/duckdb/duckdb-go/v2/mapping"

	"github.com/tickwire/tickwire/plugins/manifest"
)

// aggregate is a guest's. A group's state is state_bytes in memory of DuckDB's, which comes to the plugin for a call and goes back after it: so any instance, on any
// thread, goes on with it.
type aggregate struct{ guest }

// state is where a group's state is.
type state = unsafe.Pointer

func (e *Engine) registerAggregate(c *Conn, g *guest) error {
	a := &aggregate{*g}
	h, err := a.get()
	if err != nil {
		return err
	}
	defer a.put(h)
	if err := h.AggStart(a.unit, 1); err != nil {
		return said(err)
	}
	e.aggregates[a.u.Name] = true
	return a.registerWith(c, slices.Clone(h.Out(a.unit)[:a.u.StateBytes]))
}

// load copies states into the plugin's bytes.
func (a *aggregate) load(to []byte, states []state) {
	n := a.u.StateBytes
	for i, s := range states {
		copy(to[i*n:(i+1)*n], unsafe.Slice((*byte)(s), n))
	}
}

// store copies them back.
func (a *aggregate) store(from []byte, states []state) {
	n := a.u.StateBytes
	for i, s := range states {
		copy(unsafe.Slice((*byte)(s), n), from[i*n:(i+1)*n])
	}
}

// update adds n rows, each to its state: as many a call as the plugin takes, of as many groups as it holds.
func (a *aggregate) update(chunk mapping.DataChunk, n int, of []state) error {
	h, err := a.get()
	if err != nil {
		return err
	}
	defer a.put(h)
	args := a.arguments(h, chunk, n)
	numbers, _ := h.Column(a.unit, manifest.ColumnGroup)
	most, mostGroups := h.Rows(a.unit), h.AggGroups(a.unit)
	group := unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(numbers))), most)
	for from := 0; from < len(h.rows); {
		clear(h.groups)
		h.states = h.states[:0]
		to, last, number := from, state(nil), uint32(0)
		for to < len(h.rows) && to-from < most {
			s := of[h.rows[to]]
			if s == nil {
				return a.wrong("DuckDB gave a row no state")
			}
			if s != last { // rows of a group often follow each other
				known := false
				if number, known = h.groups[s]; !known {
					if len(h.states) == mostGroups {
						break
					}
					number = uint32(len(h.states))
					h.groups[s] = number
					h.states = append(h.states, s)
				}
				last = s
			}
			group[to-from] = number
			to++
		}
		if err := a.give(h, args, h.rows[from:to]); err != nil {
			return err
		}
		a.load(h.Out(a.unit), h.states)
		if err := h.AggUpdate(a.unit, to-from, len(h.states)); err != nil {
			return said(err)
		}
		a.store(h.Out(a.unit), h.states)
		from = to
	}
	return nil
}

// merge adds each state of from to that of to; several may go to the same, so a call ends before the second one.
func (a *aggregate) merge(from, to []state) error {
	h, err := a.get()
	if err != nil {
		return err
	}
	defer a.put(h)
	mostGroups := h.AggGroups(a.unit)
	for at := 0; at < len(from); {
		clear(h.groups)
		end := at
		for end < len(from) && end-at < mostGroups {
			if _, there := h.groups[to[end]]; there {
				break
			}
			h.groups[to[end]] = 0
			end++
		}
		a.load(h.In(a.unit), from[at:end])
		a.load(h.Out(a.unit), to[at:end])
		if err := h.AggMerge(a.unit, end-at); err != nil {
			return said(err)
		}
		a.store(h.Out(a.unit), to[at:end])
		at = end
	}
	return nil
}

// result writes the results of states from row offset on.
func (a *aggregate) result(of []state, out mapping.Vector, offset int) error {
	h, err := a.get()
	if err != nil {
		return err
	}
	defer a.put(h)
	h.nulls = h.nulls[:0]
	mostGroups := h.AggGroups(a.unit)
	for at := 0; at < len(of); {
		end := min(at+mostGroups, len(of))
		a.load(h.Out(a.unit), of[at:end])
		if err := h.AggResult(a.unit, end-at); err != nil {
			return said(err)
		}
		h.rows = h.rows[:0]
		for i := at; i < end; i++ {
			h.rows = append(h.rows, offset+i)
		}
		if err := a.take(h, out, h.rows); err != nil {
			return err
		}
		at = end
	}
	setNulls(out, h.nulls, offset+len(of))
	return nil
}
