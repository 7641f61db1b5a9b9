// Package trial runs a plugin away from any feed, for those who write one: on cases that stand in text files, on generated ones, and on one that failed
// somewhere. It says where its time goes, what a row costs, and what its manifest promises.
package trial

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/tickwire/tickwire/plugins/manifest"
	"github.com/tickwire/tickwire/tick"
)

// Case is rows, values or packets for one unit of a plugin, and perhaps what must come of them. As text:
//
//	# what is behind a # at the beginning of a line is for people
//	unit transform                  kind, and name of those that have one
//	param multiplier 3              as many as there are
//	now 1700000000000000000         what import now says; 0
//	publisher 40000                 column publisher_id; 0
//	in                              a table: names of columns, then a line a row
//	instrument_id price   symbol
//	7             100.5   "BRK B"
//	8             -       ""
//	want                            what comes out, as Run writes it; missing: it must not fail
//	price verdict reason
//	301.5 keep    ""
//
// Packets of a parser are a line each, in hexadecimal digits with spaces where one likes, behind a line "packets" in place of "in". Values are integers; prices
// and f64 are decimal; an undefined price is -; text is quoted as in Go; side is a letter; NULL is an argument that has no value.
type Case struct {
	Name      string // of the file, without .txt
	Unit      manifest.Kind
	UnitName  string
	Params    map[string]any
	Now       uint64
	Publisher uint16
	In        Table
	Packets   [][]byte
	Want      []string // nil: nothing is expected but that it does not fail
	notes     []string // lines before unit
}

// Table is columns by name. Cells are texts until the unit says of what type they are.
type Table struct {
	Columns []string
	Rows    [][]string
}

// Bounds of a case.
const (
	MostRows      = tick.MaxRows
	MostPackets   = 65536
	MostCaseBytes = 16 << 20
)

// ParseCase reads a case. Errors name the line.
func ParseCase(name string, text []byte) (*Case, error) {
	c := &Case{Name: name, Params: map[string]any{}}
	if len(text) > MostCaseBytes {
		return nil, fmt.Errorf("%s: %d bytes, but at most %d", name, len(text), MostCaseBytes)
	}
	where := ""
	for k, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") && where == "" && c.Unit == "" {
			c.notes = append(c.notes, line)
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		var err error
		switch {
		case line == "in" || line == "packets" || line == "want":
			switch {
			case c.Unit == "":
				err = errors.New("a table before the line `unit KIND`")
			case line == "want" && c.Want != nil, line != "want" && where != "":
				err = errors.New("a second table")
			case line == "packets" && c.Unit != manifest.Parser:
				err = fmt.Errorf("a %s has no packets", c.Unit)
			}
			if where = line; line == "want" {
				c.Want = []string{}
			}
		case where == "in":
			err = c.In.line(line)
		case where == "packets":
			var p []byte
			p, err = hex.DecodeString(strings.Join(strings.Fields(line), ""))
			if c.Packets = append(c.Packets, p); len(c.Packets) > MostPackets {
				err = fmt.Errorf("more than %d packets", MostPackets)
			}
		case where == "want":
			c.Want = append(c.Want, strings.Join(tokens(line), " "))
		default:
			err = c.head(line)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", name, k+1, err)
		}
	}
	switch parser := c.Unit == manifest.Parser; {
	case c.Unit == "":
		return nil, fmt.Errorf("%s: it has no line `unit KIND`", name)
	case parser && c.In.Columns != nil:
		return nil, fmt.Errorf("%s: a parser has packets, no table", name)
	case !parser && c.In.Columns == nil:
		return nil, fmt.Errorf("%s: it has no table `in` with names of columns", name)
	}
	return c, nil
}

// head reads a line before the tables.
func (c *Case) head(line string) (err error) {
	f := tokens(line)
	word := func(k int) string {
		if k < len(f) {
			return f[k]
		}
		return ""
	}
	switch {
	case f[0] == "unit" && (len(f) == 2 || len(f) == 3):
		c.Unit, c.UnitName = manifest.Kind(f[1]), word(2)
		if !slices.Contains(manifest.Kinds, c.Unit) {
			err = fmt.Errorf("unit %s: want one of %v", f[1], manifest.Kinds)
		}
	case f[0] == "param" && len(f) == 3:
		if c.Params[f[1]] != nil {
			return fmt.Errorf("param %s twice", f[1])
		}
		c.Params[f[1]], err = unquote(f[2])
	case f[0] == "now" && len(f) == 2:
		c.Now, err = strconv.ParseUint(f[1], 10, 64)
	case f[0] == "publisher" && len(f) == 2:
		var n uint64
		n, err = strconv.ParseUint(f[1], 10, 16)
		c.Publisher = uint16(n)
	default:
		err = fmt.Errorf("%q is none of: unit KIND [NAME], param NAME VALUE, now NS, publisher ID, in, packets, want", line)
	}
	return err
}

func (t *Table) line(line string) error {
	f := tokens(line)
	if t.Columns == nil {
		for k, name := range f {
			if slices.Contains(f[:k], name) {
				return fmt.Errorf("column %s twice", name)
			}
		}
		t.Columns = f
		return nil
	}
	if len(f) != len(t.Columns) {
		return fmt.Errorf("%d values, but there are %d columns", len(f), len(t.Columns))
	}
	if t.Rows = append(t.Rows, f); len(t.Rows) > MostRows {
		return fmt.Errorf("more than %d rows", MostRows)
	}
	return nil
}

// tokens are words, and quoted texts with their quotes.
func tokens(line string) (f []string) {
	for {
		line = strings.TrimLeftFunc(line, unicode.IsSpace)
		if line == "" {
			return f
		}
		word := line
		if quoted, err := strconv.QuotedPrefix(line); err == nil && line[0] == '"' {
			word = quoted
		} else if end := strings.IndexFunc(line, unicode.IsSpace); end >= 0 {
			word = line[:end]
		}
		f = append(f, word)
		line = line[len(word):]
	}
}

func unquote(s string) (string, error) {
	if !strings.HasPrefix(s, `"`) {
		return s, nil
	}
	return strconv.Unquote(s)
}

// Append writes a case as ParseCase reads it, columns under each other.
func (c *Case) Append(dst []byte) []byte {
	b := bytes.NewBuffer(dst)
	for _, n := range c.notes {
		fmt.Fprintln(b, n)
	}
	fmt.Fprintln(b, strings.TrimSpace("unit "+string(c.Unit)+" "+c.UnitName))
	names := make([]string, 0, len(c.Params))
	for name := range c.Params {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(b, "param %s %s\n", name, quoteWord(fmt.Sprint(c.Params[name])))
	}
	if c.Now != 0 {
		fmt.Fprintf(b, "now %d\n", c.Now)
	}
	if c.Publisher != 0 {
		fmt.Fprintf(b, "publisher %d\n", c.Publisher)
	}
	if c.Unit == manifest.Parser {
		fmt.Fprintln(b, "packets")
		for _, p := range c.Packets {
			fmt.Fprintf(b, "%x\n", p)
		}
	} else {
		fmt.Fprintln(b, "in")
		aligned(b, append([][]string{c.In.Columns}, c.In.Rows...))
	}
	if c.Want != nil {
		fmt.Fprintln(b, "want")
		rows := make([][]string, len(c.Want))
		for k, line := range c.Want {
			rows[k] = tokens(line)
		}
		aligned(b, rows)
	}
	return b.Bytes()
}

// quoteWord quotes a text that would not come back as one word.
func quoteWord(s string) string {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r == '"' || !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

func aligned(b *bytes.Buffer, rows [][]string) {
	var width []int
	for _, row := range rows {
		for k, cell := range row {
			if k == len(width) {
				width = append(width, 0)
			}
			width[k] = max(width[k], len(cell))
		}
	}
	for _, row := range rows {
		for k, cell := range row {
			if k == len(row)-1 {
				b.WriteString(cell)
				continue
			}
			fmt.Fprintf(b, "%-*s ", width[k], cell)
		}
		b.WriteByte('\n')
	}
}

// null is an argument without a value.
const null = "NULL"

// parseCell reads a number as it lies in memory; texts are left to parseText.
func parseCell(t manifest.Type, s string) (uint64, error) {
	fail := func() (uint64, error) { return 0, fmt.Errorf("%q is no %s", s, t) }
	switch t {
	case manifest.Price:
		v, ok := parsePrice(s)
		if !ok {
			return fail()
		}
		return uint64(v), nil
	case manifest.F64:
		v, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return fail()
		}
		return math.Float64bits(v), nil
	case manifest.I32, manifest.I64:
		v, err := strconv.ParseInt(s, 10, t.Bytes()*8)
		if err != nil {
			return fail()
		}
		return uint64(v), nil
	case manifest.Str:
		return fail()
	}
	v, err := strconv.ParseUint(s, 10, t.Bytes()*8)
	if err != nil {
		return fail()
	}
	return v, nil
}

// formatCell is the inverse of parseCell.
func formatCell(t manifest.Type, v uint64) string {
	switch t {
	case manifest.Price:
		return formatPrice(int64(v))
	case manifest.F64:
		return strconv.FormatFloat(math.Float64frombits(v), 'g', -1, 64)
	case manifest.I32:
		return strconv.FormatInt(int64(int32(v)), 10)
	case manifest.I64:
		return strconv.FormatInt(int64(v), 10)
	}
	return strconv.FormatUint(v, 10)
}

func formatPrice(v int64) string {
	if v == tick.UndefPrice {
		return "-"
	}
	sign, u := "", uint64(v)
	if v < 0 {
		sign, u = "-", -u
	}
	whole, rest := u/tick.PriceScale, u%tick.PriceScale
	if rest == 0 {
		return sign + strconv.FormatUint(whole, 10)
	}
	return sign + strconv.FormatUint(whole, 10) + "." + strings.TrimRight(fmt.Sprintf("%09d", rest), "0")
}

func parsePrice(s string) (int64, bool) {
	if s == "-" {
		return tick.UndefPrice, true
	}
	digits, negative := strings.CutPrefix(s, "-")
	whole, rest, point := strings.Cut(digits, ".")
	if len(rest) > 9 || whole == "" || point && rest == "" || strings.ContainsFunc(whole+rest, func(r rune) bool { return r < '0' || r > '9' }) {
		return 0, false
	}
	u, err := strconv.ParseUint(strings.TrimLeft(whole, "0")+rest+strings.Repeat("0", 9-len(rest)), 10, 64)
	switch {
	case err != nil, negative && u > 1<<63, !negative && u > math.MaxInt64:
		return 0, false
	case negative:
		return int64(-u), true
	}
	return int64(u), true
}
