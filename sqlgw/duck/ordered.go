//go:build cgo

package duck

import (
	"strings"
	"unicode/utf8"

	"github.com/tickwire/tickwire/sqlgw"
	"github.com/tickwire/tickwire/sqlgw/catalog"
)

// DuckDB's C interface cannot have an aggregate with ORDER BY among its arguments: its sorted aggregation hands over one state for all rows as if it were an array
// of them (seen in 1.5.6), and what lies behind it is read as pointers. Nothing at run time tells the two apart, so such statements are refused before they are bound.

// refuseOrdered refuses a statement that sorts the arguments of an aggregate of a plugin, or that could hide one in a text.
func (e *Engine) refuseOrdered(sql string) error {
	if len(e.aggregates) == 0 {
		return nil
	}
	var open []bool // parentheses: of a guest's arguments
	call := ""      // the name before a parenthesis
	at := func(t catalog.Token) int { return utf8.RuneCountInString(sql[:t.Start]) + 1 }
	for _, t := range catalog.Lex(sql) {
		text := t.Text(sql)
		switch {
		case t.Class == catalog.Comment:
			continue
		case t.Class == catalog.Punct && text == "(":
			if call == "query" || call == "json_execute_serialized_sql" {
				return &sqlgw.Error{State: "0A000", Message: call + "() is not to be had where plugins have aggregates", Position: at(t)}
			}
			open = append(open, e.aggregates[call])
		case t.Class == catalog.Punct && text == ")" && len(open) > 0:
			open = open[:len(open)-1]
		case t.Class == catalog.Word && strings.EqualFold(text, "order") && len(open) > 0 && open[len(open)-1]:
			return &sqlgw.Error{
				State: "0A000", Message: "ORDER BY among the arguments of a plugin's aggregate is not supported", Position: at(t),
				Hint: "its result must not depend on the order of rows; a window's ORDER BY is no argument",
			}
		}
		call = ""
		if t.Class == catalog.Word || t.Class == catalog.Quoted {
			call = strings.ToLower(strings.Trim(text, `"`))
		}
	}
	return nil
}
