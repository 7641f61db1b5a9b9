package trial

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/tick"
)

// Result of a case.
type Result struct {
	Lines []string // what came out: names of columns, then a line a row; or one line a text of bytes
	Fuel  uint64   // of the kind's own calls
	Calls int
}

// merged is for Run: an aggregate's rows in two parts, the states of which are merged.
const merged = -1

// Run has a new instance of a plugin do a case, at most so many rows a call; 0: as many as it takes. An error is the plugin's failure (*plugins.Failure) or a case
// that the unit cannot be given.
func Run(p *plugins.Plugin, c *Case, rows int) (*Result, error) {
	r, err := newRunner(p, c)
	if err != nil {
		return nil, err
	}
	defer r.close()
	return r.run(rows)
}

// runner is an instance with the batch that it works on.
type runner struct {
	c      *Case
	i      *plugins.Instance
	unit   int
	m      *manifest.Unit
	b      *tick.Batch
	sides  plugins.Sides
	types  []manifest.Type // of the case's columns
	symbol map[uint32][]byte
	out    Result
}

// Symbol is the case's own directory.
func (r *runner) Symbol(instrument uint32) []byte { return r.symbol[instrument] }

func newRunner(p *plugins.Plugin, c *Case) (*runner, error) {
	r := &runner{c: c, unit: p.Unit(c.Unit, c.UnitName), symbol: map[uint32][]byte{}}
	if r.unit < 0 {
		return nil, fmt.Errorf("%s: the plugin has no %s", c.Name, strings.TrimSpace(string(c.Unit)+" "+c.UnitName))
	}
	r.m = &p.Manifest().Kinds[r.unit]
	params, err := p.Manifest().Values(c.Params)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	if r.b, err = tick.NewBatch(); err != nil {
		return nil, err
	}
	lane := c.Unit == manifest.Transform || c.Unit == manifest.Validator || c.Unit == manifest.Parser
	r.i, err = p.Instance(plugins.Env{Params: params, Directory: r, Define: r.define, Publisher: c.Publisher, Lane: lane, Now: c.Now})
	if err == nil {
		err = r.load()
	}
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *runner) define(instrument uint32, symbol []byte) bool {
	r.symbol[instrument] = slices.Clone(symbol)
	return true
}

func (r *runner) close() {
	if r.i != nil {
		_ = r.i.Close() // what counts was seen in its calls
	}
	r.b.Free()
}

// onRows says that a kind is given rows of a batch.
func onRows(k manifest.Kind) bool {
	return k == manifest.Transform || k == manifest.Validator || k == manifest.Serializer || k == manifest.Partition
}

// load reads the case's table: rows into the batch, and types of all columns.
func (r *runner) load() error {
	for k := range r.sides.Custom {
		r.sides.Custom[k] = new([tick.MaxRows]uint64)
	}
	r.sides.Verdict, r.sides.Reason = new([tick.MaxRows]plugins.Verdict), new([tick.MaxRows]plugins.Reason)
	fail := func(row int, column string, err error) error {
		return fmt.Errorf("%s: row %d: %s: %w", r.c.Name, row+1, column, err)
	}
	r.types = make([]manifest.Type, len(r.c.In.Columns))
	for k, name := range r.c.In.Columns {
		_, t, err := r.column(name)
		if err != nil {
			return fmt.Errorf("%s: %w", r.c.Name, err)
		}
		r.types[k] = t
	}
	if !onRows(r.c.Unit) {
		return nil
	}
	b := r.b
	b.N = len(r.c.In.Rows)
	symbols := map[string]uint32{}
	named := slices.Contains(r.c.In.Columns, "instrument_id")
	for row, cells := range r.c.In.Rows {
		b.Kind[row], b.Side[row], b.Price[row], b.OldPrice[row] = tick.KindAdd, 'N', tick.UndefPrice, tick.UndefPrice
		b.Before[row], b.After[row] = tick.EmptyPair, tick.EmptyPair
		symbol, spoken := "", false
		for k, text := range cells {
			name := r.c.In.Columns[k]
			id, t, _ := r.column(name)
			var err error
			switch {
			case name == "symbol":
				symbol, err = unquote(text)
				spoken = true
			case name == "mpid":
				var mpid string
				if mpid, err = unquote(text); len(mpid) > 4 {
					err = fmt.Errorf("%q is longer than 4 bytes", mpid)
				}
				for at := range len(mpid) {
					b.Aux[row] |= uint64(mpid[at]) << (8 * at)
				}
			case name == "side" && len(text) == 1 && strings.Contains("ABN", text):
				b.Side[row] = text[0]
			default:
				var v uint64
				if v, err = parseCell(t, text); err == nil {
					r.set(row, id, v)
				}
			}
			if err != nil {
				return fail(row, name, err)
			}
		}
		if !spoken {
			continue
		}
		if !named {
			if symbols[symbol] == 0 {
				symbols[symbol] = uint32(len(symbols) + 1)
			}
			b.Instrument[row] = symbols[symbol]
		}
		if was, ok := r.symbol[b.Instrument[row]]; ok && string(was) != symbol {
			return fail(row, "symbol", fmt.Errorf("instrument %d is %q, but %q in a row before", b.Instrument[row], symbol, was))
		}
		r.symbol[b.Instrument[row]] = []byte(symbol)
	}
	return nil
}

func (r *runner) set(row int, id uint16, v uint64) {
	if id >= manifest.ColumnEarlier && id < manifest.ColumnEarlier+manifest.MostCustom {
		r.sides.Custom[id-manifest.ColumnEarlier][row] = v
		return
	}
	plugins.SetCell(r.b, row, id, v)
}

// column is the number and type of a column of the case.
func (r *runner) column(name string) (uint16, manifest.Type, error) {
	if onRows(r.c.Unit) {
		if c, ok := manifest.ColumnNamed(name); ok && !c.Hidden && c.Name != "publisher_id" {
			return c.ID, c.Type, nil
		}
		for k, custom := range earlierOf(r.m) {
			if custom == name {
				id := uint16(manifest.ColumnEarlier + k)
				return id, r.i.TypeOf(r.unit, id), nil
			}
		}
		return 0, 0, fmt.Errorf("no column %q: want one of a batch (plugins/ABI.md), or a custom one that the plugin reads", name)
	}
	for _, c := range inputsOf(r.m) {
		if c.name == name {
			return c.id, c.typ, nil
		}
	}
	return 0, 0, fmt.Errorf("no column %q: a %s has %s", name, r.m.Kind, strings.Join(namesOf(inputsOf(r.m)), ", "))
}

// input is a column that a kind that is not about rows is given.
type input struct {
	name string
	id   uint16
	typ  manifest.Type
}

func inputsOf(u *manifest.Unit) (all []input) {
	switch u.Kind {
	case manifest.Function, manifest.Aggregate:
		for k, t := range u.Args {
			all = append(all, input{fmt.Sprintf("arg%d", k), uint16(manifest.ColumnArg + k), t})
		}
		if u.Kind == manifest.Aggregate {
			all = append(all, input{"group", manifest.ColumnGroup, manifest.U32})
		}
	case manifest.TypeKind:
		all = []input{{"text", 512, manifest.Str}}
	case manifest.Codec, manifest.Index:
		all = []input{{"value", 512, u.Type}}
	}
	return all
}

func namesOf(all []input) (names []string) {
	for _, c := range all {
		names = append(names, c.name)
	}
	return names
}

// earlierOf are the custom columns of other plugins that a unit reads, in the order of their numbers.
func earlierOf(u *manifest.Unit) (names []string) {
	for _, name := range u.Reads {
		if _, ok := manifest.ColumnNamed(name); !ok {
			names = append(names, name)
		}
	}
	return names
}

// run does the case, at most so many rows a call.
func (r *runner) run(rows int) (*Result, error) {
	most := r.i.Rows(r.unit)
	parts := rows == merged
	if rows <= 0 || rows > most {
		rows = most
	}
	before := r.i.Fuel()
	var err error
	switch r.c.Unit {
	case manifest.Transform, manifest.Validator:
		err = r.judge(rows)
	case manifest.Serializer:
		err = r.serialize(rows)
	case manifest.Partition:
		err = r.partition(rows)
	case manifest.Function:
		err = r.function(rows)
	case manifest.Aggregate:
		err = r.aggregate(rows, parts)
	case manifest.TypeKind:
		err = r.typed(rows)
	case manifest.Codec:
		err = r.codec(rows)
	case manifest.Index:
		err = r.index()
	case manifest.Parser:
		err = r.parse()
	}
	r.out.Fuel = r.i.Fuel() - before
	if err != nil {
		return nil, err
	}
	return &r.out, nil
}

func (r *runner) say(cells ...string) { r.out.Lines = append(r.out.Lines, strings.Join(cells, " ")) }

// slices calls f for each slice of rows.
func (r *runner) slices(n, rows int, f func(from, n int) error) error {
	for from := 0; from < n; from += rows {
		r.out.Calls++
		if err := f(from, min(rows, n-from)); err != nil {
			return err
		}
	}
	return nil
}

var verdictNames = [...]string{plugins.Keep: "keep", plugins.Refused: "refused", plugins.Flagged: "flagged", plugins.Bypassed: "bypassed", plugins.Dropped: "dropped"}

func (r *runner) judge(rows int) error {
	var head []string
	judged := r.c.Unit == manifest.Validator
	writes := []manifest.Column{}
	for _, name := range r.m.Writes {
		if c, _ := manifest.ColumnNamed(name); c.Hidden {
			judged = true
		} else {
			writes, head = append(writes, c), append(head, name)
		}
	}
	for _, c := range r.m.Custom {
		head = append(head, c.Name)
	}
	if judged {
		head = append(head, "verdict", "reason")
	}
	r.say(head...)
	return r.slices(r.b.N, rows, func(from, n int) error {
		var err error
		if r.c.Unit == manifest.Validator {
			_, err = r.i.Validate(r.unit, r.b, from, n, &r.sides)
		} else {
			err = r.i.Transform(r.unit, r.b, from, n, &r.sides)
		}
		if err != nil {
			return err
		}
		for row := from; row < from+n; row++ {
			var cells []string
			for _, c := range writes {
				cells = append(cells, r.written(c, row, row-from))
			}
			for k, c := range r.m.Custom {
				cells = append(cells, formatCell(c.Type, r.sides.Custom[k][row]))
			}
			if judged {
				v, reason := r.sides.Verdict[row], ""
				if at := r.sides.Reason[row].Index(); v != plugins.Keep && at < len(r.m.Reasons) {
					reason = r.m.Reasons[at]
				}
				cells = append(cells, verdictNames[v], strconv.Quote(reason))
			}
			r.say(cells...)
		}
		return nil
	})
}

// written is what a transform left of a column of a row, k in its call.
func (r *runner) written(c manifest.Column, row, k int) string {
	switch c.Name {
	case "symbol":
		view, stride := r.i.Column(r.unit, c.ID)
		return strconv.Quote(string(textOf(view[k*stride : (k+1)*stride])))
	case "side":
		return string(r.b.Side[row])
	}
	v, _ := plugins.Cell(r.b, row, c.ID)
	return formatCell(c.Type, v)
}

func textOf(cell []byte) []byte {
	if n := slices.Index(cell, 0); n >= 0 {
		return cell[:n]
	}
	return cell
}

// bytesOut tells bytes as texts of one line each.
func (r *runner) bytesOut(b []byte) {
	for line := range strings.Lines(string(b)) {
		r.say(strconv.Quote(line))
	}
}

func (r *runner) serialize(rows int) error {
	begin, err := r.i.Begin(r.unit)
	if err != nil {
		return err
	}
	all := slices.Clone(begin)
	err = r.slices(r.b.N, rows, func(from, n int) error {
		out, err := r.i.Serialize(r.unit, r.b, from, n, &r.sides)
		all = append(all, out...)
		return err
	})
	if err != nil {
		return err
	}
	end, err := r.i.End(r.unit)
	r.bytesOut(append(all, end...))
	return err
}

func (r *runner) partition(rows int) error {
	r.say("key")
	return r.slices(r.b.N, rows, func(from, n int) error {
		keys, err := r.i.Partition(r.unit, r.b, from, n)
		for _, k := range keys {
			r.say(strconv.FormatUint(k, 10))
		}
		return err
	})
}

// put writes cells of the case's columns, rows from … from+n-1, into the plugin's.
func (r *runner) put(from, n int) error {
	for k, name := range r.c.In.Columns {
		id, t, err := r.column(name)
		if err != nil {
			return err
		}
		nulls, _ := r.i.Column(r.unit, id+manifest.ColumnArgNull-manifest.ColumnArg)
		if id == manifest.ColumnGroup || r.c.Unit != manifest.Function && r.c.Unit != manifest.Aggregate {
			nulls = nil
		}
		for row := range n {
			text := r.c.In.Rows[from+row][k]
			if nulls != nil {
				nulls[row] = 0
			}
			if text == null {
				if nulls == nil {
					return fmt.Errorf("%s: row %d: %s: the plugin does not see NULLs: where there is one, the result is NULL without it", r.c.Name, from+row+1, name)
				}
				nulls[row], text = 1, r.zero(t)
			}
			if err := r.putCell(id, t, row, text); err != nil {
				return fmt.Errorf("%s: row %d: %s: %w", r.c.Name, from+row+1, name, err)
			}
		}
	}
	for _, c := range inputsOf(r.m) {
		if !slices.Contains(r.c.In.Columns, c.name) {
			return fmt.Errorf("%s: column %s is missing", r.c.Name, c.name)
		}
	}
	return nil
}

func (r *runner) zero(t manifest.Type) string {
	if t == manifest.Str {
		return `""`
	}
	return "0"
}

func (r *runner) putCell(id uint16, t manifest.Type, row int, text string) error {
	view, stride := r.i.Column(r.unit, id)
	cell := view[row*stride : (row+1)*stride]
	if t == manifest.Str {
		s, err := unquote(text)
		if err == nil && len(s) > stride {
			err = fmt.Errorf("a text of %d bytes, but the plugin's column has %d", len(s), stride)
		}
		clear(cell[copy(cell, s):])
		return err
	}
	v, err := parseCell(t, text)
	for k := range cell {
		cell[k] = byte(v >> (8 * k))
	}
	return err
}

// cell reads a value of the plugin's.
func (r *runner) cell(id uint16, t manifest.Type, row int) string {
	view, stride := r.i.Column(r.unit, id)
	cell := view[row*stride : (row+1)*stride]
	if t == manifest.Str {
		return strconv.Quote(string(textOf(cell)))
	}
	var word [8]byte
	copy(word[:], cell)
	return formatCell(t, binary.LittleEndian.Uint64(word[:]))
}

func (r *runner) result(row int) string {
	if nulls, _ := r.i.Column(r.unit, manifest.ColumnNull); nulls != nil && nulls[row] != 0 {
		return null
	}
	return r.cell(manifest.ColumnResult, r.m.Returns, row)
}
