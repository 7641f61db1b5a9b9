package catalog

import (
	"strings"
	"unicode/utf8"
)

// Class of a token.
type Class uint8

const (
	Word    Class = iota // identifier or keyword without quotes
	Quoted               // "identifier"
	String               // 'text', E'text', $$text$$, U&'text', B'01', X'ff'
	Number               // 1, 1.5, .5, 1e9, 0x1f
	Param                // $1
	Op                   // operators, as long as the characters allow
	Punct                // one of ( ) [ ] , ; .
	Comment              // -- to the line's end, /* nested */
	Unended              // a string, quoted identifier or comment that the text ends in
)

// Token is a piece of a statement. Blanks belong to no token.
type Token struct {
	Class Class
	Start int // byte offset of the first byte
	End   int // byte offset behind the last byte
}

// Text of a token in the statement it was cut from.
func (t Token) Text(sql string) string { return sql[t.Start:t.End] }

// Lex cuts SQL into tokens as PostgreSQL 15's scanner does with standard_conforming_strings on. It never fails: what
// does not end is one token of class Unended, bytes that mean nothing are operators of their own.
func Lex(sql string) []Token {
	out := make([]Token, 0, len(sql)/4+4)
	for i := 0; i < len(sql); {
		if blank(sql[i]) {
			i++
			continue
		}
		t := next(sql, i)
		out = append(out, t)
		i = t.End
	}
	return out
}

func next(sql string, i int) Token {
	c := sql[i]
	rest := sql[i:]
	switch {
	case strings.HasPrefix(rest, "--"):
		end := strings.IndexAny(rest, "\r\n")
		if end < 0 {
			end = len(rest)
		}
		return Token{Comment, i, i + end}
	case strings.HasPrefix(rest, "/*"):
		return block(sql, i)
	case c == '\'':
		return quoted(sql, i, i, '\'', false, String)
	case c == '"':
		return quoted(sql, i, i, '"', false, Quoted)
	case (c == 'e' || c == 'E') && len(rest) > 1 && rest[1] == '\'':
		return quoted(sql, i, i+1, '\'', true, String)
	case strings.IndexByte("bBxXnN", c) >= 0 && len(rest) > 1 && rest[1] == '\'':
		return quoted(sql, i, i+1, '\'', false, String)
	case (c == 'u' || c == 'U') && len(rest) > 2 && rest[1] == '&' && (rest[2] == '\'' || rest[2] == '"'):
		class := String
		if rest[2] == '"' {
			class = Quoted
		}
		return quoted(sql, i, i+2, rest[2], false, class)
	case c == '$':
		return dollar(sql, i)
	case wordStart(c):
		end := i + 1
		for end < len(sql) && wordPart(sql[end]) {
			end++
		}
		return Token{Word, i, end}
	case digit(c) || c == '.' && len(rest) > 1 && digit(rest[1]):
		return Token{Number, i, number(sql, i)}
	case strings.IndexByte("()[],;.", c) >= 0:
		return Token{Punct, i, i + 1}
	}
	return operator(sql, i)
}

// block is a comment that may hold others.
func block(sql string, i int) Token {
	depth := 0
	for j := i; j+1 < len(sql); {
		switch sql[j : j+2] {
		case "/*":
			depth++
			j += 2
		case "*/":
			depth--
			j += 2
			if depth == 0 {
				return Token{Comment, i, j}
			}
		default:
			j++
		}
	}
	return Token{Unended, i, len(sql)}
}

// quoted runs from the opening quote at open to its partner; a doubled quote is a character of the text.
func quoted(sql string, start, open int, quote byte, escapes bool, class Class) Token {
	for j := open + 1; j < len(sql); j++ {
		switch {
		case escapes && sql[j] == '\\':
			j++
		case sql[j] == quote:
			if j+1 < len(sql) && sql[j+1] == quote {
				j++
				continue
			}
			return Token{class, start, j + 1}
		}
	}
	return Token{Unended, start, len(sql)}
}

// dollar is $1, $tag$…$tag$, or a lonely sign.
func dollar(sql string, i int) Token {
	j := i + 1
	if j < len(sql) && digit(sql[j]) {
		for j < len(sql) && digit(sql[j]) {
			j++
		}
		return Token{Param, i, j}
	}
	if j < len(sql) && wordStart(sql[j]) {
		for j < len(sql) && wordPart(sql[j]) && sql[j] != '$' {
			j++
		}
	}
	if j < len(sql) && sql[j] == '$' {
		tag := sql[i : j+1]
		end := strings.Index(sql[j+1:], tag)
		if end < 0 {
			return Token{Unended, i, len(sql)}
		}
		return Token{String, i, j + 1 + end + len(tag)}
	}
	return Token{Op, i, i + 1}
}

func number(sql string, i int) int {
	if sql[i] == '0' && i+1 < len(sql) && strings.IndexByte("xXoObB", sql[i+1]) >= 0 {
		j := i + 2
		for j < len(sql) && (wordPart(sql[j]) && sql[j] != '$') {
			j++
		}
		return j
	}
	j := i
	for j < len(sql) && (digit(sql[j]) || sql[j] == '_') {
		j++
	}
	// "1..5" is a range to PostgreSQL, not a number with two points.
	if j < len(sql) && sql[j] == '.' && !strings.HasPrefix(sql[j:], "..") {
		j++
		for j < len(sql) && (digit(sql[j]) || sql[j] == '_') {
			j++
		}
	}
	if j < len(sql) && (sql[j] == 'e' || sql[j] == 'E') {
		k := j + 1
		if k < len(sql) && (sql[k] == '+' || sql[k] == '-') {
			k++
		}
		if k < len(sql) && digit(sql[k]) {
			for k < len(sql) && digit(sql[k]) {
				k++
			}
			return k
		}
	}
	return j
}

// operator takes as many operator characters as there are, but stops where a comment begins. "::", ":=" and ":" are
// PostgreSQL's own exceptions.
func operator(sql string, i int) Token {
	if sql[i] == ':' {
		if i+1 < len(sql) && (sql[i+1] == ':' || sql[i+1] == '=') {
			return Token{Op, i, i + 2}
		}
		return Token{Op, i, i + 1}
	}
	const chars = "+-*/<>=~!@#%^&|`?"
	j := i
	for j < len(sql) && strings.IndexByte(chars, sql[j]) >= 0 {
		if j > i && (strings.HasPrefix(sql[j:], "--") || strings.HasPrefix(sql[j:], "/*")) {
			break
		}
		j++
	}
	if j == i {
		_, n := utf8.DecodeRuneInString(sql[i:])
		return Token{Op, i, i + n}
	}
	// An operator ends in + or - only when it holds one of the rarer characters: "x=-1" is "=" and "-".
	for j > i+1 && (sql[j-1] == '+' || sql[j-1] == '-') && !strings.ContainsAny(sql[i:j], "~!@#%^&|`?") {
		j--
	}
	return Token{Op, i, j}
}

func blank(c byte) bool {
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'
}
func digit(c byte) bool { return c >= '0' && c <= '9' }
func wordStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
}
func wordPart(c byte) bool { return wordStart(c) || digit(c) || c == '$' }

// Piece is one statement of a text.
type Piece struct {
	SQL    string
	Offset int // of SQL in the text, in bytes
}

// Split cuts a text into statements at its semicolons. Pieces that hold nothing but blanks and comments are left out;
// the others begin and end with a token that is no comment.
func Split(text string) []Piece {
	var out []Piece
	first, last := -1, 0
	cut := func() {
		if first >= 0 {
			out = append(out, Piece{text[first:last], first})
		}
		first = -1
	}
	for _, t := range Lex(text) {
		switch {
		case t.Class == Comment:
		case t.Class == Punct && text[t.Start] == ';':
			cut()
		default:
			if first < 0 {
				first = t.Start
			}
			last = t.End
		}
	}
	cut()
	return out
}

// Fold is PostgreSQL's lower case of an identifier without quotes: ASCII letters only.
func Fold(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] >= 'A' && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if b[i] >= 'A' && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

// Name is what an identifier token means: folded, or without its quotes.
func Name(tok string) string {
	if len(tok) >= 2 && tok[0] == '"' {
		return strings.ReplaceAll(tok[1:len(tok)-1], `""`, `"`)
	}
	return Fold(tok)
}

// Unquote is the text of a string token; ok is false for kinds that stand for something other than text.
func Unquote(tok string) (text string, ok bool) {
	switch {
	case tok == "":
		return "", false
	case tok[0] == '\'' && len(tok) >= 2:
		return strings.ReplaceAll(tok[1:len(tok)-1], "''", "'"), true
	case tok[0] == '$':
		tag := strings.IndexByte(tok[1:], '$') + 2
		if tag < 2 || len(tok) < 2*tag {
			return "", false
		}
		return tok[tag : len(tok)-tag], true
	case (tok[0] == 'e' || tok[0] == 'E') && len(tok) >= 3 && tok[1] == '\'':
		return unescape(tok[2 : len(tok)-1])
	}
	return "", false
}

// unescape resolves E'…' (PostgreSQL 15, section 4.1.2.2).
func unescape(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\'' {
			i++ // doubled
			b.WriteByte('\'')
			continue
		}
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		i++
		if i >= len(s) {
			return "", false
		}
		switch c := s[i]; {
		case c == 'n':
			b.WriteByte('\n')
		case c == 't':
			b.WriteByte('\t')
		case c == 'r':
			b.WriteByte('\r')
		case c == 'b':
			b.WriteByte('\b')
		case c == 'f':
			b.WriteByte('\f')
		case c == 'x', c == 'u', c == 'U', c >= '0' && c <= '7':
			n, value := escapeCode(s[i:])
			if n == 0 {
				return "", false
			}
			if c == 'u' || c == 'U' {
				b.WriteRune(rune(value))
			} else {
				b.WriteByte(byte(value))
			}
			i += n - 1
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), utf8.ValidString(b.String())
}

// escapeCode reads \xH[H], \O[O[O]], \uHHHH and \UHHHHHHHH, without the backslash.
func escapeCode(s string) (n, value int) {
	base, least, most, from := 16, 1, 2, 1
	switch s[0] {
	case 'u':
		least, most = 4, 4
	case 'U':
		least, most = 8, 8
	case 'x':
	default:
		base, most, from = 8, 3, 0
	}
	n = from
	for n < len(s) && n-from < most {
		d := strings.IndexByte("0123456789abcdef", Fold(s[n : n+1])[0])
		if d < 0 || d >= base {
			break
		}
		value = value*base + d
		n++
	}
	if n-from < least {
		return 0, 0
	}
	return n, value
}

// Quote makes a string literal.
func Quote(s string) string {
	return "'" + strings.ReplaceAll(strings.ReplaceAll(s, "\x00", ""), "'", "''") + "'"
}
