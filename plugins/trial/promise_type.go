package trial

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/tickwire/tickwire/plugins"
	"github.com/tickwire/tickwire/plugins/manifest"
)

func compare[T cmp.Ordered](a, b T) int { return cmp.Compare(a, b) }

// compareFloats is 2 if one is no number.
func compareFloats(a, b uint64) int {
	x, y := math.Float64frombits(a), math.Float64frombits(b)
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	case x == y:
		return 0
	}
	return 2
}

// typeOps does operations of a type on cells. They are kept as they lie in memory.
type typeOps struct{ *runner }

const ( // columns of a type
	typeText  = 512
	typeA     = 513
	typeB     = 514
	typeOut   = 515
	typeValue = 768
)

func (r typeOps) set(id uint16, row int, cell []byte) error {
	view, stride := r.i.Column(r.unit, id)
	if len(textOf(cell)) > stride {
		return fmt.Errorf("%q has %d bytes, but column %d has room for %d", textOf(cell), len(textOf(cell)), id, stride)
	}
	to := view[row*stride : (row+1)*stride]
	clear(to[copy(to, cell):])
	return nil
}

func (r typeOps) get(id uint16, row int) []byte {
	view, stride := r.i.Column(r.unit, id)
	return slices.Clone(view[row*stride : (row+1)*stride])
}

// do has op done on columns of cells, and gives the cells of a column; nil for rows that cannot be.
func (r typeOps) do(op plugins.TypeOp, to uint16, columns map[uint16][][]byte, n int) (out [][]byte, err error) {
	err = r.slices(n, r.i.Rows(r.unit), func(from, n int) error {
		for id, cells := range columns {
			for row := range n {
				if err := r.set(id, row, cells[from+row]); err != nil {
					return err
				}
			}
		}
		if err := r.i.Type(r.unit, op, n); err != nil {
			return err
		}
		bad, _ := r.i.Column(r.unit, manifest.ColumnNull)
		for row := range n {
			if bad[row] != 0 {
				out = append(out, nil)
				continue
			}
			out = append(out, r.get(to, row))
		}
		return nil
	})
	return out, err
}

// over is do of one column.
func (r typeOps) over(op plugins.TypeOp, in uint16, cells [][]byte, to uint16) ([][]byte, error) {
	return r.do(op, to, map[uint16][][]byte{in: cells}, len(cells))
}

// number reads a result.
func number(cell []byte) int64 {
	var v int64
	for k := range cell {
		v |= int64(cell[k]) << (8 * k)
	}
	return v
}

// orders compares values of two columns, row by row.
func (r typeOps) orders(a, b [][]byte) ([]int64, error) {
	cells, err := r.do(plugins.TypeCompare, typeValue, map[uint16][][]byte{typeA: a, typeB: b}, len(a))
	out := make([]int64, len(cells))
	for k, c := range cells {
		if out[k] = number(c); err == nil && (c == nil || out[k] < -1 || out[k] > 1) {
			return nil, fmt.Errorf("compare gives %d, none of -1, 0, 1", out[k])
		}
	}
	return out, err
}

const typeSample = 16 // values of which each is compared with each

// typed: validate, normalise and parse take the same texts; what is normal stays so and is the same value, and so is what format writes; compare orders values, and
// equal ones have equal hashes.
func typed(p *plugins.Plugin, c *Case, _ *Result) error {
	return with(p, c, func(run *runner) error {
		r := typeOps{run}
		texts := make([][]byte, len(c.In.Rows))
		for row, cells := range c.In.Rows {
			s, err := unquote(cells[0])
			if err != nil {
				return err
			}
			texts[row] = []byte(s)
		}
		values, normal, err := r.texts(texts)
		if err != nil {
			return err
		}
		if err := r.written(values, normal); err != nil {
			return err
		}
		made, err := r.made(len(texts))
		if err != nil {
			return err
		}
		return r.ordered(slices.Concat(values[:min(len(values), typeSample)], made[:min(len(made), typeSample/2)]))
	})
}

// texts gives the values of those texts that are some, and how they are written normally.
func (r typeOps) texts(texts [][]byte) (values, normal [][]byte, err error) {
	valid, errValid := r.over(plugins.TypeValidate, typeText, texts, typeValue)
	norm, errNorm := r.over(plugins.TypeNormalise, typeText, texts, typeOut)
	value, errValue := r.over(plugins.TypeParse, typeText, texts, typeA)
	if err := errors.Join(errValid, errNorm, errValue); err != nil {
		return nil, nil, err
	}
	for k, text := range texts {
		is := number(valid[k])
		if valid[k] == nil || is != 0 && is != 1 {
			return nil, nil, fmt.Errorf("validate gives %d for %q, none of 0, 1", is, text)
		}
		if (is == 1) != (norm[k] != nil) || (is == 1) != (value[k] != nil) {
			return nil, nil, fmt.Errorf("%q: validate says %d, but normalise %s it and parse %s it", text, is, takes(norm[k]), takes(value[k]))
		}
		if is == 1 {
			values, normal = append(values, value[k]), append(normal, norm[k])
		}
	}
	return values, normal, nil
}

func takes(cell []byte) string {
	if cell == nil {
		return "refuses"
	}
	return "takes"
}

// written sees that what is normal, and what format writes, is read as the value that it was made of.
func (r typeOps) written(values, normal [][]byte) error {
	again, err := r.over(plugins.TypeNormalise, typeText, normal, typeOut)
	if err != nil {
		return err
	}
	for k := range again {
		if again[k] == nil || string(textOf(again[k])) != string(textOf(normal[k])) {
			return fmt.Errorf("%q is normal, but becomes %q when it is normalised again", textOf(normal[k]), textOf(again[k]))
		}
	}
	formatted, err := r.over(plugins.TypeFormat, typeA, values, typeOut)
	if err != nil {
		return err
	}
	for k, f := range formatted {
		if f == nil {
			return fmt.Errorf("format cannot write what parse made of %q", textOf(normal[k]))
		}
	}
	return errors.Join(r.reads(normal, values, "normalise"), r.reads(formatted, values, "format"))
}

// reads sees that texts are read as these values.
func (r typeOps) reads(texts, values [][]byte, by string) error {
	back, err := r.over(plugins.TypeParse, typeText, texts, typeA)
	if err != nil {
		return err
	}
	for k := range back {
		if back[k] == nil {
			return fmt.Errorf("%q, as %s wrote it, cannot be parsed", textOf(texts[k]), by)
		}
	}
	orders, err := r.orders(back, values)
	for k, o := range orders {
		if o != 0 && err == nil {
			return fmt.Errorf("%q, as %s wrote it, is another value when it is parsed: compare gives %d", textOf(texts[k]), by, o)
		}
	}
	return err
}

// made are values that no text was parsed to, of those that format can write. What it writes must be read as they are.
func (r typeOps) made(seed int) (values [][]byte, err error) {
	if r.m.Base == manifest.Str {
		return nil, nil // which bytes are a value is the plugin's
	}
	g := generator{rand.New(rand.NewPCG(uint64(seed), 0x74797065))}
	var cells [][]byte
	for range 32 {
		v, err := parseCell(r.m.Base, g.value(r.m.Base, 8))
		if err != nil {
			return nil, err
		}
		cell := make([]byte, 8)
		for k := range cell {
			cell[k] = byte(v >> (8 * k))
		}
		cells = append(cells, cell)
	}
	formatted, err := r.over(plugins.TypeFormat, typeA, cells, typeOut)
	if err != nil {
		return nil, err
	}
	var texts [][]byte
	for k, f := range formatted {
		if f != nil {
			values, texts = append(values, cells[k]), append(texts, f)
		}
	}
	return values, r.reads(texts, values, "format")
}

// ordered compares each value with each.
func (r typeOps) ordered(values [][]byte) error {
	n := len(values)
	var a, b [][]byte
	for k := range n * n {
		a, b = append(a, values[k/n]), append(b, values[k%n])
	}
	o, err := r.orders(a, b)
	if err != nil {
		return err
	}
	hashes, err := r.over(plugins.TypeHash, typeA, values, typeValue)
	if err != nil {
		return err
	}
	name := func(k int) string {
		text, err := r.over(plugins.TypeFormat, typeA, values[k:k+1], typeOut)
		if err != nil {
			return strconv.Itoa(k)
		}
		return string(textOf(text[0]))
	}
	for i := range n {
		for j := range n {
			switch at := o[i*n+j]; {
			case at != -o[j*n+i]:
				return fmt.Errorf("compare gives %d of %s and %s, but %d of the two the other way round", at, name(i), name(j), o[j*n+i])
			case at == 0 && number(hashes[i]) != number(hashes[j]):
				return fmt.Errorf("%s and %s compare as equal, but their hashes are %d and %d", name(i), name(j), number(hashes[i]), number(hashes[j]))
			}
			for k := range n {
				if o[i*n+j] <= 0 && o[j*n+k] <= 0 && o[i*n+k] > 0 {
					return fmt.Errorf("compare puts %s before %s and that before %s, but not the first before the last", name(i), name(j), name(k))
				}
			}
		}
	}
	return nil
}
