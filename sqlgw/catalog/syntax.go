package catalog

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tickwire/tickwire/sqlgw"
)

// refuse is an error at token i.
func (r *rewriter) refuse(i int, state, message string) error {
	return &sqlgw.Error{State: state, Message: message, Position: utf8.RuneCountInString(r.from[:r.toks[i].Start]) + 1}
}

// operator deals with what stands between expressions.
func (r *rewriter) operator(i int) error {
	switch r.name[i] {
	case "::":
		r.castSign(i)
	case "~", "~*", "!~", "!~*":
		r.regex(i, i+1, r.name[i])
	case "=":
		r.anyList(i)
	}
	return nil
}

// operatorCall is OPERATOR(pg_catalog.~), which psql writes.
func (r *rewriter) operatorCall(i int) error {
	closed := r.match(i + 1)
	if closed < 0 || !r.word(i+1, "(") {
		return nil
	}
	op := r.name[closed-1]
	r.done = closed + 1
	switch op {
	case "~", "~*", "!~", "!~*":
		r.regex(i, closed+1, op)
		return nil
	}
	r.replace(i, closed+1, op)
	return nil
}

// collate takes away what only says the default order.
func (r *rewriter) collate(i int) {
	at := i + 1
	if r.word(at, "pg_catalog") && r.word(at+1, ".") {
		at += 2
	}
	if !r.isName(at) {
		return
	}
	switch r.name[at] {
	case "default", "C", "c", "POSIX", "posix", "ucs_basic":
		r.remove(i, at+1)
		r.done = at + 1
	}
}

// regex turns x ~ 'pattern' into the engine's: there ~ wants the whole text to match, PostgreSQL any part of it. The
// operator's tokens are from a up to b, the pattern follows.
func (r *rewriter) regex(a, b int, op string) {
	flags := "(?s)"
	if strings.HasSuffix(op, "*") {
		flags = "(?is)"
	}
	plain := strings.TrimSuffix(op, "*")
	if r.class(b) == String {
		if pattern, ok := Unquote(r.toks[b].Text(r.from)); ok {
			r.replace(a, b+1, plain+" "+Quote(flags+".*(?:"+pattern+").*"))
			r.done = b + 1
			return
		}
	}
	end := b // last token of the pattern's expression
	switch {
	case r.word(b, "("):
		end = r.match(b)
	case r.isName(b):
		for r.word(end+1, ".") && r.isName(end+2) {
			end += 2
		}
		if r.word(end+1, "(") {
			end = r.match(end + 1)
		}
	}
	if end < b || end >= len(r.toks) {
		return
	}
	r.replace(a, b, plain+" ("+Quote(flags+".*(?:")+" || (")
	at := r.toks[end].End
	r.edits = append(r.edits, edit{at, at, ") || ').*')"})
}

// anyList turns x = ANY (list) into a call: joins on it are refused by the engine otherwise. A sub-select stays.
func (r *rewriter) anyList(i int) {
	if !(r.word(i+1, "any") || r.word(i+1, "some")) || !r.word(i+2, "(") || r.word(i+3, "select") || r.word(i+3, "with") || r.word(i+3, "values") {
		return
	}
	if r.word(i+4, ")") && r.class(i+3) == Param {
		r.anyParam(i)
		return
	}
	if r.word(i+4, ")") && r.class(i+3) == String && r.anyText(i) {
		return
	}
	depth := i + 3
	for r.word(depth, "(") {
		depth++
	}
	if r.word(depth, "select") {
		return
	}
	from := r.operand(i - 1)
	if from < 0 {
		return
	}
	r.insertBefore(from, pgSchema+".any_eq(")
	r.replace(i, i+3, ",")
	r.done = i + 3
}

// anyParam is x = ANY ($1): the parameter becomes a list of the type that the session gives its array.
func (r *rewriter) anyParam(i int) {
	n, err := strconv.Atoi(r.name[i+3][1:])
	if err != nil {
		return
	}
	oid := uint32(0)
	if r.s.Array != nil {
		oid = r.s.Array(n)
	}
	kind := "varchar"
	for _, t := range types {
		if t.array == oid && oid != 0 && casts[t.name] != "" {
			if kind = casts[t.name]; t.name == "numeric" {
				kind = "DECIMAL(38,9)"
			}
		}
	}
	r.Arrays = append(r.Arrays, n)
	r.replace(i, i+3, "in (select unnest(")
	end := r.toks[i+3].End
	r.edits = append(r.edits, edit{end, end, "::" + kind + "[])"})
	r.done = i + 4
}

// anyText is x = ANY ('{a,b}'): a list of literals, which take the type of x.
func (r *rewriter) anyText(i int) bool {
	text, ok := Unquote(r.toks[i+3].Text(r.from))
	if !ok {
		return false
	}
	elements, ok := ParseArray(text)
	if !ok {
		return false
	}
	list := literals(elements)
	if list == "" {
		list = "select null where false"
	}
	r.replace(i, i+4, "in ("+list)
	r.done = i + 4
	return true
}

func literals(elements []Element) string {
	parts := make([]string, len(elements))
	for k, e := range elements {
		if parts[k] = Quote(e.Text); e.Null {
			parts[k] = "NULL"
		}
	}
	return strings.Join(parts, ", ")
}

// typeAt reads the name of a type that begins with token i: its name, and the token behind it, before parameters and [].
func (r *rewriter) typeAt(i int) (name string, end int) {
	at := i
	if r.word(at, "pg_catalog") && r.word(at+1, ".") {
		at += 2
	}
	if !r.isName(at) {
		return "", i
	}
	return r.name[at], at + 1
}

// regTypes look up names of objects.
var regTypes = map[string]string{"regclass": "regclass", "regtype": "regtype", "regproc": "regproc", "regprocedure": "regproc",
	"regnamespace": "regnamespace", "regrole": "regrole", "regoper": "", "regoperator": "", "regconfig": "", "regdictionary": ""}

// castSign deals with ::type.
func (r *rewriter) castSign(i int) {
	name, end := r.typeAt(i + 1)
	if end == i+1 {
		return
	}
	r.done = end
	if r.class(i-1) == String && r.word(end, "[") && r.word(end+1, "]") {
		r.arrayLiteral(i - 1)
	}
	reg, isReg := regTypes[name]
	if !isReg || reg == "" {
		r.castType(i+1, end, name)
		return
	}
	from := r.operand(i - 1)
	if from < 0 {
		return
	}
	r.insertBefore(from, pgSchema+"."+reg+"_"+r.lookup(from, i, end)+"(")
	r.replace(i, end, ")")
}

// lookup says whether a cast to a reg type is to give an oid or a name. PostgreSQL's value is both: a number that shows as
// a name. A literal is compared with a number, as a rule; an expression is shown.
func (r *rewriter) lookup(from, sign, end int) string {
	if r.word(end, "::") {
		switch name, _ := r.typeAt(end + 1); name {
		case "oid", "int", "integer", "int4", "int8", "bigint":
			return "oid"
		}
		return "name"
	}
	compared := func(i int) bool {
		return r.word(i, "=") || r.word(i, "<>") || r.word(i, "!=") || r.word(i, "in")
	}
	if sign == from+1 && (r.class(from) == String || r.class(from) == Param) || compared(from-1) || compared(end) {
		return "oid"
	}
	return "name"
}

// castType writes the type between tokens a and b in the engine's words.
func (r *rewriter) castType(a, b int, name string) {
	text := ""
	switch {
	case (name == "numeric" || name == "decimal") && !r.word(b, "("):
		// PostgreSQL's has no limit; the engine would take DECIMAL(18,3) and lose digits. Prices have nine.
		text = "DECIMAL(38,9)"
	case name == "char" && r.class(b-1) == Quoted:
		text = "VARCHAR"
	case changedCasts[name]:
		text = casts[name]
	case b-a == 3: // behind pg_catalog.
		text = name
		if t, ok := casts[name]; ok {
			text = t
		}
	default:
		return
	}
	r.replace(a, b, text)
}

// arrayLiteral writes '{a,b}' as the engine's list.
func (r *rewriter) arrayLiteral(i int) {
	text, ok := Unquote(r.toks[i].Text(r.from))
	if !ok {
		return
	}
	elements, ok := ParseArray(text)
	if !ok {
		return
	}
	r.replace(i, i+1, "["+literals(elements)+"]")
}

// castCall deals with CAST(x AS type).
func (r *rewriter) castCall(i int) {
	closed := r.match(i + 1)
	if !r.word(i+1, "(") || closed < 0 {
		return
	}
	depth := 0
	for k := i + 1; k < closed; k++ {
		switch {
		case r.word(k, "("), r.word(k, "["):
			depth++
		case r.word(k, ")"), r.word(k, "]"):
			depth--
		case depth == 1 && r.word(k, "as"):
			name, end := r.typeAt(k + 1)
			if end == k+1 {
				return
			}
			if reg := regTypes[name]; reg != "" {
				r.replace(i, i+1, pgSchema+"."+reg+"_"+r.lookup(i+2, k-1, closed+1))
				r.remove(k, end)
			} else {
				r.castType(k+1, end, name)
			}
			return
		}
	}
}
