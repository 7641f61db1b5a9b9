package catalog

import (
	"fmt"
	"strconv"
	"strings"
)

// word says whether token i is that word or sign, without quotes.
func (r *rewriter) word(i int, text string) bool {
	return i >= 0 && i < len(r.toks) && r.toks[i].Class != Quoted && r.toks[i].Class != String && r.name[i] == text
}

func (r *rewriter) class(i int) Class {
	if i < 0 || i >= len(r.toks) {
		return Unended
	}
	return r.toks[i].Class
}

func (r *rewriter) isName(i int) bool { return r.class(i) == Word || r.class(i) == Quoted }

// replace tokens from a up to, without, b.
func (r *rewriter) replace(a, b int, text string) {
	r.edits = append(r.edits, edit{r.toks[a].Start, r.toks[b-1].End, text})
}

func (r *rewriter) insertBefore(i int, text string) {
	r.edits = append(r.edits, edit{r.toks[i].Start, r.toks[i].Start, text})
}

// remove tokens from a up to, without, b, and the blanks behind them.
func (r *rewriter) remove(a, b int) {
	end := r.toks[b-1].End
	if b < len(r.toks) {
		end = r.toks[b].Start
	}
	if strings.Contains(r.from[r.toks[b-1].End:end], "-") || strings.Contains(r.from[r.toks[b-1].End:end], "/") {
		end = r.toks[b-1].End // a comment lies between
	}
	r.edits = append(r.edits, edit{r.toks[a].Start, end, ""})
}

// pair finds the partners of all parentheses and brackets, once.
func (r *rewriter) pair() {
	r.mate = make([]int, len(r.toks))
	var open []int
	for i, t := range r.toks {
		r.mate[i] = -1
		if t.Class != Punct {
			continue
		}
		switch r.name[i] {
		case "(", "[":
			open = append(open, i)
		case ")", "]":
			if n := len(open); n > 0 {
				r.mate[i], r.mate[open[n-1]] = open[n-1], i
				open = open[:n-1]
			}
		}
	}
}

// match finds the partner of an opening parenthesis or bracket, back that of a closing one; -1: there is none.
func (r *rewriter) match(i int) int {
	if i < 0 || i >= len(r.mate) || r.mate[i] < i {
		return -1
	}
	return r.mate[i]
}

func (r *rewriter) back(i int) int {
	if i < 0 || i >= len(r.mate) || r.mate[i] > i {
		return -1
	}
	return r.mate[i]
}

// notFunctions are words before a parenthesis that are no function's name.
var notFunctions = map[string]bool{"in": true, "and": true, "or": true, "not": true, "select": true, "when": true, "then": true, "else": true,
	"any": true, "all": true, "some": true, "where": true, "from": true, "on": true, "having": true, "by": true, "as": true, "over": true,
	"filter": true, "values": true, "using": true, "is": true, "like": true, "ilike": true, "between": true, "case": true, "limit": true,
	"offset": true, "union": true, "except": true, "intersect": true, "distinct": true, "join": true, "end": false}

// operand finds the first token of the primary expression that ends with token i: a literal, a column, a call, something
// in parentheses, with subscripts and casts behind it. -1: what is there is none.
func (r *rewriter) operand(i int) int {
	for i >= 0 {
		switch {
		case r.word(i, "]"), r.word(i, ")"):
			j := r.back(i)
			if j < 0 {
				return -1
			}
			if r.word(i, "]") && r.isName(j-1) && r.name[j-1] != "array" || r.word(i, "]") && (r.word(j-1, ")") || r.word(j-1, "]")) {
				i = j - 1
				continue
			}
			i = j
			if r.isName(j-1) && !(r.toks[j-1].Class == Word && notFunctions[r.name[j-1]]) {
				i = j - 1
			}
		case r.word(i, "end"):
			depth := 0
			for ; i >= 0; i-- {
				if r.word(i, "end") {
					depth++
				} else if r.word(i, "case") {
					if depth--; depth == 0 {
						break
					}
				}
			}
			if i < 0 {
				return -1
			}
		case r.class(i) == Punct || r.class(i) == Op || r.class(i) == Unended:
			return -1
		}
		for r.word(i-1, ".") && i >= 2 {
			i -= 2
		}
		if !r.word(i-1, "::") {
			return i
		}
		i -= 2
	}
	return -1
}

// token deals with token i, and marks those it has dealt with along.
func (r *rewriter) token(i int) error {
	switch r.class(i) {
	case Op:
		return r.operator(i)
	case Word, Quoted:
		if r.word(i-1, ".") {
			return nil
		}
		if r.class(i) == Word {
			switch r.name[i] {
			case "operator":
				return r.operatorCall(i)
			case "collate":
				r.collate(i)
				return nil
			case "cast", "try_cast":
				r.castCall(i)
				return nil
			}
		}
		return r.named(i)
	}
	return nil
}

// named deals with names of schemas, relations and functions.
func (r *rewriter) named(i int) error {
	at := i // the name itself, behind its qualifiers
	schema := ""
	if r.word(i+1, ".") && r.isName(i+2) {
		switch {
		case r.name[i] == "pg_catalog", r.name[i] == "information_schema", r.name[i] == "public":
			schema, at = r.name[i], i+2
		case r.name[i] == r.s.Database && r.word(i+3, ".") && r.isName(i+4) &&
			(r.name[i+2] == "pg_catalog" || r.name[i+2] == "information_schema" || r.name[i+2] == "public"):
			schema, at = r.name[i+2], i+4
		default:
			return nil
		}
	}
	r.done = at + 1
	call := r.word(at+1, "(")
	if schema == "" && (r.word(i-1, "as") || r.word(i+1, ".")) {
		return nil
	}
	n := r.name[at]
	if schema != "information_schema" {
		if ok, err := r.session(i, at, n, call, schema != ""); ok || err != nil {
			return err
		}
	}
	if call && rowFunctions[n] && (r.word(i-1, "from") || r.word(i-1, "join") || r.word(i-1, "lateral")) {
		r.rowFunction(at)
	}
	prefix := ""
	switch {
	case schema == "information_schema":
		prefix = infoSchema + "."
	case call && ownFunctions[n]:
		prefix = pgSchema + "."
	case !call && ownPG[n] && schema != "public":
		prefix = pgSchema + "."
	}
	if schema == "" && prefix != "" {
		r.insertBefore(i, prefix)
	} else if schema != "" {
		r.edits = append(r.edits, edit{r.toks[i].Start, r.toks[at].Start, prefix})
	}
	return nil
}

// rowFunctions give one column of rows.
var rowFunctions = map[string]bool{"generate_series": true, "generate_subscripts": true, "unnest": true, "range": true}

// rowFunction names the column of f(…) s as PostgreSQL does: like its table. To the engine s is a row otherwise.
func (r *rewriter) rowFunction(at int) {
	alias := r.match(at+1) + 1
	if alias == 0 {
		return
	}
	if r.word(alias, "as") {
		alias++
	}
	if r.isName(alias) && !(r.class(alias) == Word && clause[r.name[alias]]) && !r.word(alias+1, "(") && !r.word(alias, "with") {
		end := r.toks[alias].End
		r.edits = append(r.edits, edit{end, end, "(" + ident(r.name[alias]) + ")"})
	}
}

// session answers functions of the session with literals. From i on stands the call, at is its name.
func (r *rewriter) session(i, at int, n string, call, qualified bool) (bool, error) {
	text, closed := "", at+1
	if call {
		closed = r.match(at+1) + 1
		if closed == 0 {
			return false, nil
		}
	}
	empty := call && closed == at+3
	switch {
	case empty && n == "version":
		text = Quote("PostgreSQL " + r.s.Version + " on " + "tickwire, compiled by go, 64-bit")
	case n == "current_database" && empty, n == "current_catalog" && r.bare(at, call, qualified):
		text = Quote(r.s.Database)
	case n == "current_schema" && (empty || r.bare(at, call, qualified)):
		text = "'public'"
	case (n == "current_user" || n == "session_user" || n == "user" || n == "current_role") && r.bare(at, call, qualified):
		if r.class(at) == Quoted {
			return false, nil
		}
		text = Quote(r.s.User)
	case empty && n == "pg_backend_pid":
		text = strconv.FormatUint(uint64(r.s.PID), 10)
	case call && n == "current_setting":
		return r.currentSetting(i, at, closed)
	case call && n == "set_config":
		return r.setConfig(i, at, closed)
	case empty && n == "pg_postmaster_start_time", empty && n == "pg_conf_load_time":
		text = Quote(r.s.Started.UTC().Format("2006-01-02 15:04:05.999999")) + "::timestamptz"
	default:
		return false, nil
	}
	r.done = closed
	if r.word(i-1, "from") || r.word(i-1, "join") {
		// As a table of one row: SELECT * FROM current_schema().
		text = "(SELECT " + text + " AS " + ident(n) + ")"
		if next := closed; !r.word(next, "as") && !(r.class(next) == Word && !clause[r.name[next]]) {
			text += " AS " + ident(n)
		}
	}
	r.replace(i, closed, text)
	return true, nil
}

// clause are words that may follow a table without being its alias.
var clause = map[string]bool{"where": true, "group": true, "having": true, "order": true, "limit": true, "union": true, "except": true,
	"intersect": true, "window": true, "offset": true, "fetch": true, "for": true, "join": true, "left": true, "right": true,
	"full": true, "inner": true, "cross": true, "natural": true, "on": true, "using": true, "from": true, "into": true,
	"qualify": true, "sample": true, "tablesample": true, "lateral": true, "positional": true, "asof": true, "semi": true, "anti": true}

// bare says whether a name stands alone as a keyword that is a function: nothing qualifies it and it is no alias.
func (r *rewriter) bare(at int, call, qualified bool) bool {
	if call || qualified || r.class(at) != Word || r.word(at+1, ".") {
		return false
	}
	p := at - 1
	switch {
	case p < 0:
		return false
	case r.class(p) == Op, r.word(p, "("), r.word(p, ","), r.word(p, "["):
		return true
	case r.class(p) != Word:
		return false
	}
	switch r.name[p] {
	case "select", "distinct", "and", "or", "not", "where", "when", "then", "else", "in", "like", "ilike", "on", "having", "by", "between", "case", "from", "all":
		return true
	}
	return false
}

// arguments are the first and last+1 tokens of each argument of a call whose parenthesis is at open.
func (r *rewriter) arguments(open, closed int) [][2]int {
	var out [][2]int
	depth, from := 0, open+1
	for i := open + 1; i < closed-1; i++ {
		switch {
		case r.word(i, "("), r.word(i, "["):
			depth++
		case r.word(i, ")"), r.word(i, "]"):
			depth--
		case depth == 0 && r.word(i, ","):
			out = append(out, [2]int{from, i})
			from = i + 1
		}
	}
	if from < closed-1 {
		out = append(out, [2]int{from, closed - 1})
	}
	return out
}

// constant is the text of an argument that is a string literal, with or without a cast behind it.
func (r *rewriter) constant(a [2]int) (string, bool) {
	if r.class(a[0]) != String || a[1] > a[0]+1 && !r.word(a[0]+1, "::") {
		return "", false
	}
	return Unquote(r.toks[a[0]].Text(r.from))
}

func (r *rewriter) currentSetting(i, at, closed int) (bool, error) {
	args := r.arguments(at+1, closed)
	if len(args) < 1 || len(args) > 2 {
		return false, nil
	}
	name, ok := r.constant(args[0])
	if !ok {
		return false, nil
	}
	r.done = closed
	value, known := r.s.Setting(Fold(name))
	text := Quote(value)
	if !known {
		if len(args) < 2 || !r.word(args[1][0], "true") {
			return true, r.refuse(args[0][0], "42704", fmt.Sprintf("unrecognized configuration parameter %q", name))
		}
		text = "NULL::VARCHAR"
	}
	r.replace(i, closed, text)
	return true, nil
}

func (r *rewriter) setConfig(i, at, closed int) (bool, error) {
	args := r.arguments(at+1, closed)
	if len(args) != 3 {
		return false, nil
	}
	name, ok1 := r.constant(args[0])
	value, ok2 := r.constant(args[1])
	if !ok1 || !ok2 {
		return true, r.refuse(at, "0A000", "set_config takes literals only")
	}
	r.done = closed
	r.Sets = append(r.Sets, Set{name, value, r.word(args[2][0], "true")})
	r.replace(i, closed, Quote(value))
	return true, nil
}
