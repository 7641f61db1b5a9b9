//go:build cgo

package duck

import (
	"strings"

	"github.com/tickwire/tickwire/sqlgw"
	"github.com/tickwire/tickwire/sqlgw/format"
)

// columnName gives a column the name that PostgreSQL would: a function's own name, nothing for an expression. DuckDB
// calls it by the text of the expression, which clients do not expect and some cannot hold.
func columnName(name string) string {
	for {
		inner, ok := strings.CutPrefix(name, "CAST(")
		at := strings.LastIndex(inner, " AS ")
		if !ok || at < 0 || !strings.HasSuffix(inner, ")") {
			break
		}
		name = inner[:at]
		if !isName(name) && !strings.HasPrefix(name, "CAST(") {
			return strings.ToLower(strings.TrimSuffix(inner[at+4:], ")"))
		}
	}
	if name == "" {
		return "?column?"
	}
	if name == "count_star()" {
		return "count"
	}
	switch c := name[0]; {
	case c == '(' || c == '\'' || c == '-' || c >= '0' && c <= '9':
		return "?column?"
	}
	if at := strings.IndexByte(name, '('); at > 0 && strings.HasSuffix(name, ")") && isName(name[:at]) {
		return strings.Trim(name[:at], `"`)
	}
	if strings.HasPrefix(name, "CASE ") {
		return "case"
	}
	return name
}

func isName(s string) bool {
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '.' || r == '"') {
			return false
		}
	}
	return s != "" && (s[0] < '0' || s[0] > '9')
}

// arrayElement writes a value as an element of an array: quoted where PostgreSQL would.
func arrayElement(c *sqlgw.Column, v *sqlgw.Vector, i int) string {
	text := string(format.AppendText(nil, c, v, i))
	if c.Kind != sqlgw.Text && c.Kind != sqlgw.Bytea && c.Kind < sqlgw.Date {
		return text
	}
	if text != "" && !strings.EqualFold(text, "null") && !strings.ContainsAny(text, "{}\",\\ \t\n") {
		return text
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}
