package trial

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/tick"
)

// What each kind promises by ABI.md of what it gives, whatever that is. The host cannot look at it on every call, so it is looked at here, on the rows of every
// case. first is what came out of the case; an error is what is not kept.
var promises = map[manifest.Kind]func(p *plugins.Plugin, c *Case, first *Result) error{
	manifest.Function:   function,
	manifest.Aggregate:  aggregate,
	manifest.Parser:     parser,
	manifest.Serializer: serializer,
	manifest.Codec:      codec,
	manifest.Index:      index,
	manifest.Partition:  partition,
	manifest.TypeKind:   typed,
}

// with has a new instance at hand for f.
func with(p *plugins.Plugin, c *Case, f func(r *runner) error) error {
	r, err := newRunner(p, c)
	if err != nil {
		return err
	}
	defer r.close()
	return f(r)
}

// reversed is a case with its rows from the last to the first.
func reversed(c *Case) *Case {
	back := *c
	back.In.Rows = slices.Clone(c.In.Rows)
	slices.Reverse(back.In.Rows)
	return &back
}

// spoilt gives a few versions of bytes that are damaged, always the same ones.
func spoilt(b []byte) (all [][]byte) {
	g := generator{rand.New(rand.NewPCG(uint64(len(b)), 0x73706f69))}
	all = append(all, nil, b[:len(b)/2], b[:max(len(b)-1, 0)])
	for range 5 {
		all = append(all, g.spoil(b))
	}
	return all
}

// refuses says whether damaged bytes were taken or refused as they should be: an instance that refuses them is gone, but it said so itself.
func refuses(err error) error {
	var f *plugins.Failure
	if errors.As(err, &f) && !f.Trap {
		return nil
	}
	if err != nil {
		return fmt.Errorf("damaged bytes: %s; want a negative number", problem(err))
	}
	return nil
}

// function: unless it is volatile, the same arguments give the same, in whatever company.
func function(p *plugins.Plugin, c *Case, first *Result) error {
	if p.Manifest().Kinds[p.Unit(c.Unit, c.UnitName)].Volatile {
		return nil
	}
	back, err := Run(p, reversed(c), 0)
	if err != nil {
		return err
	}
	return sameReversed(back, first, "it is not volatile, but")
}

// sameReversed compares a line a row behind the names of columns.
func sameReversed(back, first *Result, but string) error {
	slices.Reverse(back.Lines[1:])
	if what := differ(back.Lines, first.Lines, "rows from last to first", "rows in order"); what != "" {
		return fmt.Errorf("%s %s", but, what)
	}
	return nil
}

// aggregate: rows in whatever order and in whatever parts, made in other instances and merged in a third, are the whole. Sums of floats depend on their order.
func aggregate(p *plugins.Plugin, c *Case, first *Result) error {
	if p.Manifest().Kinds[p.Unit(c.Unit, c.UnitName)].Returns == manifest.F64 {
		return nil
	}
	return with(p, c, func(r *runner) error {
		groups, err := r.groups()
		if err != nil {
			return err
		}
		back := reversed(c)
		parts := []*Case{{}, {}, {}} // the last one has no rows
		for k := range parts {
			part := *back
			part.In.Rows = nil
			for row := k; row < len(back.In.Rows) && k < 2; row += 2 {
				part.In.Rows = append(part.In.Rows, back.In.Rows[row])
			}
			parts[k] = &part
		}
		if err := r.i.AggStart(r.unit, groups); err != nil {
			return err
		}
		for _, part := range parts {
			err := with(p, part, func(other *runner) error {
				if err := other.part(0, len(part.In.Rows), groups, r.i.Rows(r.unit)); err != nil {
					return err
				}
				copy(r.i.In(r.unit), other.i.Out(other.unit)[:groups*r.m.StateBytes])
				return r.i.AggMerge(r.unit, groups)
			})
			if err != nil {
				return err
			}
		}
		if err := r.results(groups); err != nil {
			return err
		}
		if what := differ(r.out.Lines, first.Lines, "parts of other instances, merged", "one part"); what != "" {
			return errors.New(what)
		}
		return nil
	})
}

// parser: what it frames it frames alike each time; a packet that is cut off is refused; what it reads it recognises.
func parser(p *plugins.Plugin, c *Case, _ *Result) error {
	return with(p, c, func(r *runner) error {
		return with(p, c, func(other *runner) error {
			if err := errors.Join(r.i.Start(r.unit, int64(c.Now)), other.i.Start(r.unit, int64(c.Now))); err != nil {
				return err
			}
			for k, packet := range c.Packets {
				f, err := r.i.Frame(r.unit, packet)
				again, errAgain := other.i.Frame(r.unit, packet)
				sure, errLooks := other.i.Looks(r.unit, packet)
				read := err == nil
				for _, err := range []error{err, errAgain, errLooks} {
					if errors.As(err, new(*plugins.Failure)) { // what cannot be read is no failure
						return fmt.Errorf("packet %d: %w", k+1, err)
					}
				}
				switch {
				case p.Manifest().Deterministic && (f != again || (errAgain == nil) != read):
					return fmt.Errorf("packet %d: two instances read its framing as %+v and %+v", k+1, f, again)
				case c.Want != nil && read && sure == 0 && r.i.HasLooks(): // what was generated may be of another format with a byte of this one
					return fmt.Errorf("packet %d: tw_looks says 0 of a packet that tw_frame reads", k+1)
				}
			}
			return r.cut()
		})
	})
}

const ( // how many packets are cut, and to how many lengths each
	cutPackets = 4
	cutLengths = 256
)

// cut gives a parser the first bytes of packets, as many as there may be.
func (r *runner) cut() error {
	for k, packet := range r.c.Packets[:min(len(r.c.Packets), cutPackets)] {
		for n := range min(len(packet), cutLengths) {
			r.b.Reset()
			f, err := r.i.Frame(r.unit, packet[:n])
			if err == nil && (f.Kind == plugins.FrameMessages || f.Kind == plugins.FrameBeside) {
				_, err = r.i.Parse(r.unit, packet[f.At:n], f.Sequence, int(f.Count), r.b)
			}
			if r.i.Dead() {
				return fmt.Errorf("packet %d, cut to %d bytes: %w", k+1, n, err)
			}
		}
	}
	return nil
}

// serializer: bytes are of the media type that it names, as far as that is known here.
func serializer(p *plugins.Plugin, c *Case, first *Result) error {
	media, _, err := mime.ParseMediaType(p.Manifest().Kinds[p.Unit(c.Unit, c.UnitName)].MediaType)
	if err != nil {
		return nil // it names none
	}
	var all []byte
	for _, line := range first.Lines {
		text, err := strconv.Unquote(line)
		if err != nil {
			return err
		}
		all = append(all, text...)
	}
	switch media {
	case "application/json":
		if !json.Valid(all) || !utf8.Valid(all) {
			return errors.New("what it writes is no JSON")
		}
	case "application/x-ndjson", "application/jsonl", "application/json-lines":
		for k, line := range bytes.Split(bytes.TrimSuffix(all, []byte("\n")), []byte("\n")) {
			if len(all) > 0 && (!json.Valid(line) || !utf8.Valid(line)) {
				return fmt.Errorf("line %d is no JSON: %.200q", k+1, line)
			}
		}
	case "text/csv":
		records := csv.NewReader(bytes.NewReader(all))
		for err == nil {
			_, err = records.Read()
		}
		if !errors.Is(err, io.EOF) {
			return fmt.Errorf("what it writes is no CSV: %w", err)
		}
	}
	return nil
}

// longest are as many rows as there may be, each as long as it can be written: numbers of all digits, texts of what must be escaped. All of it must have room.
func longest(p *plugins.Plugin, unit int, filler byte) *Case {
	u := &p.Manifest().Kinds[unit]
	c := &Case{Name: fmt.Sprintf("rows as long as can be, of %q", filler), Unit: u.Kind, UnitName: u.Name, Params: map[string]any{}}
	var row []string
	for _, name := range u.Reads {
		col, ok := manifest.ColumnNamed(name)
		text := ""
		switch {
		case !ok || name == "publisher_id":
			continue
		case name == "symbol":
			text = strconv.Quote(strings.Repeat(string([]byte{filler}), 70))
		case name == "mpid":
			text = strconv.Quote(strings.Repeat(string([]byte{filler}), 4))
		case name == "side":
			text = "B"
		case name == "kind":
			text = strconv.Itoa(int(tick.KindCount) - 1)
		case col.Type.Wire() == manifest.I64:
			text = formatCell(col.Type, 1<<63)
		default:
			text = formatCell(col.Type, 1<<(8*col.Type.Bytes())-1)
		}
		c.In.Columns, row = append(c.In.Columns, name), append(row, text)
	}
	c.In.Rows = slices.Repeat([][]string{row}, p.Manifest().Limits.MaxRows)
	return c
}

// codec: a block holds all that it takes to decode it, elsewhere and in whatever order, and a damaged one is refused.
func codec(p *plugins.Plugin, c *Case, _ *Result) error {
	type encoded struct{ values, block []byte }
	var all []encoded
	err := with(p, c, func(r *runner) error {
		return r.slices(len(c.In.Rows), r.i.Rows(r.unit), func(from, n int) error {
			if err := r.put(from, n); err != nil {
				return err
			}
			view, stride := r.i.Column(r.unit, manifest.ColumnArg)
			values := slices.Clone(view[:n*stride])
			block, err := r.i.Encode(r.unit, n)
			all = append(all, encoded{values, slices.Clone(block)})
			return err
		})
	})
	if err != nil {
		return err
	}
	err = with(p, c, func(r *runner) error {
		for k, e := range slices.Backward(all) {
			n, err := r.i.Decode(r.unit, e.block)
			if err != nil {
				return fmt.Errorf("block %d, in another instance: %w", k+1, err)
			}
			if view, stride := r.i.Column(r.unit, manifest.ColumnResult); !bytes.Equal(view[:n*stride], e.values) {
				return fmt.Errorf("block %d decodes to other values in another instance, so not all of them is in the block", k+1)
			}
		}
		return nil
	})
	if err != nil || len(all) == 0 {
		return err
	}
	for _, b := range spoilt(all[0].block) {
		err := with(p, c, func(r *runner) error {
			_, err := r.i.Decode(r.unit, b[:min(len(b), len(r.i.In(r.unit)))])
			return refuses(err)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// index: it finds what a look at each row finds, in another instance than the one that built it, and damaged ones are refused.
func index(p *plugins.Plugin, c *Case, _ *Result) error {
	var built []byte
	var view []byte
	var stride int
	n := len(c.In.Rows)
	err := with(p, c, func(r *runner) error {
		if err := r.put(0, n); err != nil {
			return err
		}
		values, width := r.i.Column(r.unit, manifest.ColumnArg)
		view, stride = slices.Clone(values[:n*width]), width
		b, err := r.i.IndexBuild(r.unit, n)
		built = slices.Clone(b)
		return err
	})
	if err != nil {
		return err
	}
	t := p.Manifest().Kinds[p.Unit(c.Unit, c.UnitName)].Type
	cell := func(row int) []byte { return view[row*stride : (row+1)*stride] }
	err = with(p, c, func(r *runner) error {
		for least, greatest := range ranges(t, n, cell) {
			found, err := r.i.IndexProbe(r.unit, built, least, greatest, nil)
			if err != nil {
				return err
			}
			if len(found) > 0 && int(found[len(found)-1].To) > n {
				return fmt.Errorf("it finds rows %v, but there are %d", found, n)
			}
			for row := range n {
				in := func(f plugins.Range) bool { return uint32(row) >= f.From && uint32(row) < f.To }
				if within(t, cell(row), least, greatest) && !slices.ContainsFunc(found, in) {
					return fmt.Errorf("it leaves out row %d, %s, which lies within %s and %s", row+1, told(t, cell(row)), told(t, least), told(t, greatest))
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, b := range spoilt(built) {
		err := with(p, c, func(r *runner) error {
			least := make([]byte, stride)
			_, err := r.i.IndexProbe(r.unit, b[:min(len(b), len(r.i.In(r.unit)))], least, least, nil)
			return refuses(err)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

const probes = 128 // values that an index is asked for

// ranges to look for: all there is, each of some values alone, and with the one before it in order, where a row at the end of a range is left out easily.
func ranges(t manifest.Type, n int, cell func(row int) []byte) func(yield func(least, greatest []byte) bool) {
	return func(yield func(least, greatest []byte) bool) {
		sorted := make([][]byte, n)
		for row := range n {
			sorted[row] = cell(row)
		}
		slices.SortFunc(sorted, func(a, b []byte) int { return order(t, a, b) % 2 }) // NaN wherever they come to stand
		if n > 0 && !yield(sorted[0], sorted[n-1]) {
			return
		}
		for k := 0; k < n; k += max(1, n/probes) {
			if !yield(sorted[k], sorted[k]) || !yield(sorted[max(0, k-1)], sorted[k]) {
				return
			}
		}
	}
}

// order compares two cells of a number's type; a NaN is unordered, 2.
func order(t manifest.Type, a, b []byte) int {
	var x, y [8]byte
	copy(x[:], a)
	copy(y[:], b)
	u, v := binary.LittleEndian.Uint64(x[:]), binary.LittleEndian.Uint64(y[:])
	switch t.Wire() {
	case manifest.F64:
		return compareFloats(u, v)
	case manifest.I64:
		return compare(int64(u), int64(v))
	case manifest.I32:
		return compare(int32(u), int32(v))
	}
	return compare(u, v)
}

func within(t manifest.Type, v, least, greatest []byte) bool {
	low, high := order(t, v, least), order(t, v, greatest)
	return (low == 0 || low == 1) && (high == 0 || high == -1)
}

func told(t manifest.Type, cell []byte) string {
	var word [8]byte
	copy(word[:], cell)
	return formatCell(t, binary.LittleEndian.Uint64(word[:]))
}

// partition: the same row has the same key, wherever it stands and in whatever instance.
func partition(p *plugins.Plugin, c *Case, first *Result) error {
	keys := map[string]string{}
	for row, cells := range c.In.Rows {
		text, key := strings.Join(cells, " "), first.Lines[1+row]
		if was, ok := keys[text]; ok && was != key {
			return fmt.Errorf("row %d has key %s, but one before it with the same values %s", row+1, key, was)
		}
		keys[text] = key
	}
	if !slices.Contains(c.In.Columns, "instrument_id") && slices.Contains(c.In.Columns, "symbol") {
		return nil // rows are given numbers of instruments in their order
	}
	back, err := Run(p, reversed(c), 0)
	if err != nil {
		return err
	}
	return sameReversed(back, first, "the same row has another key:")
}
