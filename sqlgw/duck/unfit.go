//go:build cgo

package duck

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tickwire/tickwire/sqlgw"
	"github.com/tickwire/tickwire/sqlgw/catalog"
)

// DuckDB's C interface has aggregates by group only. Sorted aggregation (ORDER BY among the arguments) and some windows hand over one state for all rows as if it were
// an array of them, so that what lies behind it is read as pointers; other windows give wrong results without an error (seen in 1.5.6: OVER (ROWS UNBOUNDED PRECEDING),
// DISTINCT in a window). Nothing at run time tells them apart, so such statements are refused before they are bound.

// behind are the words that may not follow an aggregate's arguments, or its FILTER.
var behind = map[string]string{
	"over": "a plugin's aggregate is none for windows", "within": "WITHIN GROUP is not supported for a plugin's aggregate",
	"export_state": "EXPORT_STATE is not supported for a plugin's aggregate", "ignore": "IGNORE NULLS is not supported for a plugin's aggregate",
	"respect": "RESPECT NULLS is not supported for a plugin's aggregate",
}

// refuseUnfit refuses a statement that has an aggregate of a plugin where DuckDB cannot have it, or that could hide one in a text.
func (e *Engine) refuseUnfit(sql string) error {
	if len(e.aggregates) == 0 {
		return nil
	}
	const (
		plain     = iota
		arguments // of a guest
		filter    // behind them
	)
	var open []int // parentheses
	var call string
	ended, filters := false, false // the token before was a guest's last parenthesis, or the FILTER behind it
	for _, t := range catalog.Lex(sql) {
		if t.Class == catalog.Comment {
			continue
		}
		text := strings.ToLower(t.Text(sql))
		refuse := func(why string) error {
			return &sqlgw.Error{State: "0A000", Message: why, Position: utf8.RuneCountInString(sql[:t.Start]) + 1, Hint: "plugins' aggregates work by group, with FILTER and DISTINCT"}
		}
		if i := strangeBlank(t, t.Text(sql)); i >= 0 {
			return &sqlgw.Error{
				State: "0A000", Message: "blanks and invisible characters that are not ASCII are not to be had where plugins have aggregates, but in texts, quoted names and comments",
				Position: utf8.RuneCountInString(sql[:t.Start+i]) + 1, Hint: "put an ordinary space there",
			}
		}
		top := plain
		if len(open) > 0 {
			top = open[len(open)-1]
		}
		wasEnded, wasFilter := ended, filters
		ended, filters = false, false
		switch {
		case t.Class == catalog.Punct && text == "(":
			what := plain
			switch {
			case wasFilter:
				what = filter
			case e.aggregates[call]:
				what = arguments
			case call == "query" || call == "json_execute_serialized_sql":
				return refuse(call + "() is not to be had where plugins have aggregates")
			}
			open = append(open, what)
		case t.Class == catalog.Punct && text == ")" && len(open) > 0:
			open = open[:len(open)-1]
			ended = top != plain
		case t.Class == catalog.Word && text == "order" && top == arguments:
			return refuse("ORDER BY among the arguments of a plugin's aggregate is not supported: its result does not depend on the order of rows")
		case t.Class == catalog.Word && wasEnded && text == "filter":
			filters = true
		case t.Class == catalog.Word && wasEnded && behind[text] != "":
			return refuse(behind[text])
		}
		call = ""
		if t.Class == catalog.Word || t.Class == catalog.Quoted {
			call = strings.Trim(text, `"`)
		}
	}
	return nil
}

// strangeBlank finds where a token, other than a text, a quoted name or a comment, has what DuckDB makes a space before it reads the statement (no-break and em spaces,
// joiners, byte order marks, but not within what it takes for quotes): what are words for it then are none for Lex. -1: nowhere.
func strangeBlank(t catalog.Token, text string) int {
	switch {
	case t.Class == catalog.Quoted:
		return -1
	case t.Class == catalog.String && text[0] != '$':
		return -1
	case t.Class == catalog.String:
		text = text[:1+strings.IndexByte(text[1:], '$')] // its tag
	}
	for i, r := range text {
		if !unicode.IsPrint(r) && r >= utf8.RuneSelf || r == utf8.RuneError { // what is no UTF-8, too
			return i
		}
	}
	return -1
}
