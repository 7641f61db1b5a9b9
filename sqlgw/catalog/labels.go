package catalog

// labels gives the columns of the outermost SELECT the names PostgreSQL would give them (FigureColname in
// parse_target.c): a call its function's, a cast column the column's, all else ?column?.
func (r *rewriter) labels() {
	at := 0
	switch {
	case r.word(0, "select"):
	case r.word(0, "with"):
		depth := 0
		for at = 1; at < len(r.toks); at++ {
			if r.word(at, "(") {
				depth++
			} else if r.word(at, ")") {
				depth--
			} else if depth == 0 && r.word(at, "select") {
				break
			}
		}
	default:
		return
	}
	for _, item := range r.items(at) {
		last := item[1] - 1
		if r.plain(item[0], item[1]) || r.aliased(item[0], item[1]) || r.class(last) == Op || r.class(last) == Word && joins[r.name[last]] {
			continue // or unfinished: the error should be where it is
		}
		name, _ := r.figure(item[0], item[1])
		if name == "" {
			name = "?column?"
		}
		end := r.toks[item[1]-1].End
		// Behind all else that ends there: it is put first, since insertions at one place go in last first.
		r.edits = append([]edit{{end, end, " AS " + ident(name)}}, r.edits...)
	}
}

// items are the parts of a select list; at is the word SELECT.
func (r *rewriter) items(at int) [][2]int {
	at++
	if r.word(at, "all") {
		at++
	} else if r.word(at, "distinct") {
		at++
		if r.word(at, "on") && r.word(at+1, "(") {
			if at = r.match(at+1) + 1; at == 0 {
				return nil
			}
		}
	}
	var out [][2]int
	depth, from := 0, at
	end := func(i int) {
		if i > from {
			out = append(out, [2]int{from, i})
		}
		from = i + 1
	}
	for i := at; i < len(r.toks); i++ {
		switch {
		case r.word(i, "("), r.word(i, "["), r.word(i, "{"):
			depth++
		case r.word(i, ")"), r.word(i, "]"), r.word(i, "}"):
			if depth--; depth < 0 {
				end(i)
				return out
			}
		case depth > 0:
		case r.word(i, ","):
			end(i)
		case r.class(i) == Word && ends[r.name[i]] && !(r.word(i, "from") && r.word(i-1, "distinct")):
			end(i)
			return out
		}
	}
	end(len(r.toks))
	return out
}

// ends are the words that end a select list.
var ends = map[string]bool{"from": true, "where": true, "group": true, "having": true, "order": true, "limit": true, "union": true,
	"except": true, "intersect": true, "window": true, "offset": true, "fetch": true, "into": true, "for": true, "qualify": true,
	"using": true, "sample": true}

// plain says whether an item is a column, or a star: their names are right as they are.
func (r *rewriter) plain(a, b int) bool {
	if r.word(a, "*") || r.word(a, "columns") || r.word(a+1, ":") {
		return true
	}
	for i := a; i < b; i++ {
		if r.word(i, "*") && r.word(i-1, ".") {
			return true
		}
	}
	return r.column(a, b)
}

// column says whether the tokens are a name with its qualifiers.
func (r *rewriter) column(a, b int) bool {
	for i := a; i < b; i++ {
		if (i-a)%2 == 0 && !r.isName(i) || (i-a)%2 == 1 && !r.word(i, ".") {
			return false
		}
	}
	return (b-a)%2 == 1 && !(b-a == 1 && r.class(a) == Word && keywordValue[r.name[a]] != "")
}

// keywordValue are words that stand for a value, with the name of its column.
var keywordValue = map[string]string{"null": "?column?", "true": "bool", "false": "bool", "current_date": "current_date",
	"current_time": "current_time", "current_timestamp": "current_timestamp", "localtime": "localtime", "localtimestamp": "localtimestamp",
	"current_user": "current_user", "session_user": "session_user", "user": "user", "current_schema": "current_schema",
	"current_catalog": "current_catalog", "current_role": "current_role"}

// joins are words that have an operand behind them: what follows is no alias.
var joins = map[string]bool{"is": true, "not": true, "and": true, "or": true, "in": true, "like": true, "ilike": true, "between": true,
	"then": true, "else": true, "case": true, "when": true, "distinct": true, "from": true, "similar": true, "to": true, "at": true,
	"time": true, "zone": true, "collate": true, "escape": true, "all": true}

// aliased says whether an item ends with a name given to it, with or without AS.
func (r *rewriter) aliased(a, b int) bool {
	last, before := b-1, b-2
	if before < a || !r.isName(last) {
		return false
	}
	if r.word(before, "as") {
		return true
	}
	if r.word(last, "end") || r.class(last) == Word && keywordValue[r.name[last]] != "" && r.name[last] != "user" {
		return false
	}
	switch r.class(before) {
	case Word:
		return !joins[r.name[before]]
	case Quoted, String, Number, Param:
		return true
	case Punct:
		return r.name[before] == ")" || r.name[before] == "]"
	}
	return false
}

// figure gives the name of an expression and how sure it is: 2 a name of its own, 1 a type's, 0 none.
func (r *rewriter) figure(a, b int) (string, int) {
	if b <= a {
		return "", 0
	}
	if r.column(a, b) {
		return r.name[b-1], 2
	}
	if b == a+1 {
		if r.class(a) == Word {
			return keywordValue[r.name[a]], 1
		}
		return "", 0
	}
	if r.class(b-1) != Punct && r.word(b-2, "collate") {
		return r.figure(a, b-2)
	}
	if name, sure, ok := r.figureCast(a, b); ok {
		return name, sure
	}
	switch {
	case r.word(b-1, "]") && r.back(b-1) > a:
		j := r.back(b - 1)
		if r.word(a, "array") && j == a+1 {
			return "array", 2
		}
		if r.operand(b-1) == a {
			return r.figure(a, j)
		}
	case r.word(a, "(") && r.match(a) == b-1:
		if r.word(a+1, "select") {
			if items := r.items(a + 1); len(items) > 0 {
				return r.figureItem(items[0][0], items[0][1])
			}
		}
		return r.figure(a+1, b-1)
	case r.word(a, "case") && r.word(b-1, "end") && r.operand(b-1) == a:
		return "case", 1
	case r.class(a) == Word && r.class(a+1) == String && b == a+2:
		return typeName(r.name[a]), 1
	}
	return r.figureCall(a, b)
}

// figureItem looks at an item of a sub-select, which may have an alias.
func (r *rewriter) figureItem(a, b int) (string, int) {
	if r.aliased(a, b) {
		return r.name[b-1], 2
	}
	return r.figure(a, b)
}

// figureCall is f(…), with what may follow a call of an aggregate.
func (r *rewriter) figureCall(a, b int) (string, int) {
	at := a
	for r.isName(at) && r.word(at+1, ".") {
		at += 2
	}
	if !r.isName(at) || !r.word(at+1, "(") || r.class(at) == Word && notFunctions[r.name[at]] {
		return "", 0
	}
	end := r.match(at+1) + 1
	for end > 0 && end < b {
		open := end + 1
		if r.word(end, "within") {
			open++
		}
		if !r.word(end, "over") && !r.word(end, "filter") && !r.word(end, "within") {
			return "", 0
		}
		if r.word(end, "over") && r.isName(open) {
			end = open + 1
			continue
		}
		end = r.match(open) + 1
	}
	if end != b {
		return "", 0
	}
	switch n := r.name[at]; n {
	case "cast", "try_cast":
		depth := 0
		for k := at + 1; k < b; k++ {
			if r.word(k, "(") {
				depth++
			} else if r.word(k, ")") {
				depth--
			} else if depth == 1 && r.word(k, "as") {
				if name, sure := r.figure(at+2, k); sure > 1 {
					return name, sure
				}
				name, _ := r.typeAt(k + 1)
				return typeName(name), 1
			}
		}
		return "", 0
	case "trim":
		return "btrim", 2
	default:
		return n, 2
	}
}

// figureCast looks behind the last ::type of an expression that is nothing else.
func (r *rewriter) figureCast(a, b int) (string, int, bool) {
	depth := 0
	for i := b - 1; i > a; i-- {
		switch {
		case r.word(i, ")"), r.word(i, "]"):
			depth++
		case r.word(i, "("), r.word(i, "["):
			depth--
		case depth == 0 && r.word(i, "::"):
			name, end := r.typeAt(i + 1)
			for end < b && (r.word(end, "(") || r.word(end, "[") || r.word(end, "precision") || r.word(end, "varying") ||
				r.word(end, "with") || r.word(end, "without") || r.word(end, "time") || r.word(end, "zone")) {
				if r.word(end, "(") || r.word(end, "[") {
					if end = r.match(end); end < 0 {
						return "", 0, false
					}
				}
				end++
			}
			if end != b || r.operand(i-1) != a {
				return "", 0, false
			}
			if inner, sure := r.figure(a, i); sure > 1 {
				return inner, sure, true
			}
			return typeName(name), 1, true
		case depth == 0 && r.class(i) == Op:
			return "", 0, false
		}
	}
	return "", 0, false
}

// typeName is PostgreSQL's own name of a type.
func typeName(name string) string {
	switch name {
	case "int", "integer":
		return "int4"
	case "bigint":
		return "int8"
	case "smallint":
		return "int2"
	case "double", "float":
		return "float8"
	case "real":
		return "float4"
	case "boolean":
		return "bool"
	case "decimal":
		return "numeric"
	case "character":
		return "bpchar"
	}
	return name
}
