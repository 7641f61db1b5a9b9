package trial

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/tick"
)

// The kinds that are not of a feed's rows: what each of their calls is given, and what of its answer is told.

func (r *runner) function(rows int) error {
	r.say("result")
	return r.slices(len(r.c.In.Rows), rows, func(from, n int) error {
		if err := r.put(from, n); err != nil {
			return err
		}
		if err := r.i.Function(r.unit, n); err != nil {
			return err
		}
		for row := range n {
			r.say(r.result(row))
		}
		return nil
	})
}

// groups is how many groups the case's rows are of.
func (r *runner) groups() (int, error) {
	groups := 1
	for row, cells := range r.c.In.Rows {
		at := slices.Index(r.c.In.Columns, "group")
		if at < 0 {
			return 0, fmt.Errorf("%s: column group is missing", r.c.Name)
		}
		g, err := strconv.ParseUint(cells[at], 10, 16)
		if err != nil || int(g) >= r.i.AggGroups(r.unit) {
			return 0, fmt.Errorf("%s: row %d: group %s: the plugin holds %d", r.c.Name, row+1, cells[at], r.i.AggGroups(r.unit))
		}
		groups = max(groups, int(g)+1)
	}
	return groups, nil
}

// part makes the states of groups out of rows from … to-1.
func (r *runner) part(from, to, groups, rows int) error {
	if err := r.i.AggStart(r.unit, groups); err != nil {
		return err
	}
	return r.slices(to-from, rows, func(at, n int) error {
		if err := r.put(from+at, n); err != nil {
			return err
		}
		return r.i.AggUpdate(r.unit, n, groups)
	})
}

func (r *runner) aggregate(rows int, parts bool) error {
	groups, err := r.groups()
	if err != nil {
		return err
	}
	all := len(r.c.In.Rows)
	if parts { // the later rows are added to the earlier ones
		if err := r.part(all/2, all, groups, rows); err != nil {
			return err
		}
		states := slices.Clone(r.i.Out(r.unit)[:groups*r.m.StateBytes])
		if err := r.part(0, all/2, groups, rows); err != nil {
			return err
		}
		copy(r.i.In(r.unit), states)
		if err := r.i.AggMerge(r.unit, groups); err != nil {
			return err
		}
	} else if err := r.part(0, all, groups, rows); err != nil {
		return err
	}
	return r.results(groups)
}

// results tells what comes of the states.
func (r *runner) results(groups int) error {
	if err := r.i.AggResult(r.unit, groups); err != nil {
		return err
	}
	r.say("group", "result")
	for g := range groups {
		r.say(strconv.Itoa(g), r.result(g))
	}
	return nil
}

// typed has each text validated, normalised, parsed, formatted and hashed, and compared with the one before it. What cannot be is -.
func (r *runner) typed(rows int) error {
	r.say("valid", "normal", "value", "text", "compare", "hash")
	before := make([]byte, 0, 256)
	has, hash := false, ""
	return r.slices(len(r.c.In.Rows), rows, func(from, n int) error {
		op := func(op plugins.TypeOp) (bad []byte, err error) {
			if err := r.i.Type(r.unit, op, n); err != nil {
				return nil, err
			}
			view, _ := r.i.Column(r.unit, manifest.ColumnNull)
			return slices.Clone(view[:n]), nil
		}
		var texts [6][]string
		var bad [6][]byte
		for _, k := range []plugins.TypeOp{plugins.TypeValidate, plugins.TypeNormalise, plugins.TypeParse, plugins.TypeFormat, plugins.TypeHash, plugins.TypeCompare} {
			if k <= plugins.TypeParse {
				if err := r.put(from, n); err != nil {
					return err
				}
			}
			if k == plugins.TypeCompare { // 514 becomes the row's own value, 513 the one before it
				mine, stride := r.i.Column(r.unit, 513)
				other, _ := r.i.Column(r.unit, 514)
				copy(other, mine[:n*stride])
				copy(mine[stride:n*stride], other)
				copy(mine[:stride], before)
				before = append(before[:0], other[(n-1)*stride:n*stride]...)
			}
			var err error
			if bad[k], err = op(k); err != nil {
				return err
			}
			id, t := uint16(768), manifest.I64
			switch k {
			case plugins.TypeNormalise, plugins.TypeFormat:
				id, t = 515, manifest.Str
			case plugins.TypeParse:
				id, t = 513, r.m.Base
			}
			for row := range n {
				texts[k] = append(texts[k], r.cell(id, t, row))
			}
		}
		for row := range n {
			cells := []string{texts[plugins.TypeValidate][row]}
			for _, k := range []plugins.TypeOp{plugins.TypeNormalise, plugins.TypeParse, plugins.TypeFormat, plugins.TypeCompare, plugins.TypeHash} {
				text := texts[k][row]
				if bad[k][row] != 0 || k > plugins.TypeNormalise && bad[plugins.TypeParse][row] != 0 || k == plugins.TypeCompare && !has {
					text = "-"
				}
				cells = append(cells, text)
			}
			if cells[4] == "0" && cells[5] != "-" && hash != "-" && cells[5] != hash {
				return fmt.Errorf("%s: row %d compares as equal to the one before it, but their hashes are %s and %s", r.c.Name, from+row+1, cells[5], hash)
			}
			has, hash = bad[plugins.TypeParse][row] == 0, cells[5]
			r.say(cells...)
		}
		return nil
	})
}

func (r *runner) codec(rows int) error {
	return r.slices(len(r.c.In.Rows), rows, func(from, n int) error {
		if err := r.put(from, n); err != nil {
			return err
		}
		block, err := r.i.Encode(r.unit, n)
		if err != nil {
			return err
		}
		r.say(fmt.Sprintf("%x", block))
		return nil
	})
}

func (r *runner) index() error {
	n := len(r.c.In.Rows)
	if n > r.i.Rows(r.unit) {
		return fmt.Errorf("%s: %d rows, but an index is of at most %d", r.c.Name, n, r.i.Rows(r.unit))
	}
	if err := r.put(0, n); err != nil {
		return err
	}
	r.out.Calls++
	advice, err := r.i.IndexAdvise(r.unit, n)
	if err != nil {
		return err
	}
	if err := r.put(0, n); err != nil {
		return err
	}
	b, err := r.i.IndexBuild(r.unit, n)
	if err != nil {
		return err
	}
	r.say(strconv.Quote(r.m.Strategies[advice]), fmt.Sprintf("%x", b))
	return nil
}

// parse gives the rows of all packets. What cannot be read is a line of its own.
func (r *runner) parse() error {
	if err := r.i.Start(r.unit, int64(r.c.Now)); err != nil {
		return err
	}
	var columns []manifest.Column
	head := []string{"packet"}
	for _, name := range r.m.Writes {
		c, _ := manifest.ColumnNamed(name)
		if !c.Hidden {
			columns, head = append(columns, c), append(head, name)
		}
	}
	r.say(head...)
	for k, packet := range r.c.Packets {
		r.out.Calls++
		r.b.Reset()
		f, err := r.i.Frame(r.unit, packet)
		if err == nil && (f.Kind == plugins.FrameMessages || f.Kind == plugins.FrameBeside) {
			_, err = r.i.Parse(r.unit, packet[f.At:], f.Sequence, int(f.Count), r.b)
		}
		var unreadable *plugins.PacketError
		switch {
		case errors.As(err, &unreadable):
			r.say(strconv.Itoa(k+1), "unreadable", strconv.Itoa(int(unreadable.Code)), strconv.Quote(unreadable.Text))
			continue
		case errors.Is(err, plugins.ErrRows):
			r.say(strconv.Itoa(k+1), "too_long")
			continue
		case err != nil:
			return err
		}
		for row := range r.b.N {
			cells := []string{strconv.Itoa(k + 1)}
			for _, c := range columns {
				cells = append(cells, r.parsed(c, row))
			}
			r.say(cells...)
		}
	}
	return nil
}

func (r *runner) parsed(c manifest.Column, row int) string {
	switch c.Name {
	case "symbol":
		if r.b.Kind[row] != tick.KindDefinition {
			return `""`
		}
		first, _ := tick.SplitSideRows(r.b.Aux[row])
		return strconv.Quote(string(textOf(r.b.Definitions[first].RawSymbol[:])))
	case "side":
		return string(r.b.Side[row])
	case "aux":
		if r.b.Kind[row] == tick.KindDefinition {
			return "0" // where the definition stands among others
		}
	}
	v, _ := plugins.Cell(r.b, row, c.ID)
	return formatCell(c.Type, v)
}
