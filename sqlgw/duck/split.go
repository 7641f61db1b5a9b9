package duck

import (
	"strings"

	"github.com/tickwire/tickwire/sqlgw"
)

// split cuts a text at the semicolons that stand outside of quotes and comments. Parts that hold nothing but blanks and
// comments are left out.
//
//	'…'  E'…\'…'  "…"  $tag$…$tag$  -- …  /* … /* … */ … */
func split(sql string) ([]string, error) {
	var parts []string
	from, content := 0, false
	for at := 0; at < len(sql); {
		n, kind := token(sql[at:])
		switch kind {
		case tokenOpen:
			return nil, &sqlgw.Error{State: "42601", Message: "unterminated quoted string or comment", Position: len([]rune(sql[:at])) + 1}
		case tokenEnd:
			if content {
				parts = append(parts, strings.TrimSpace(sql[from:at]))
			}
			from, content = at+n, false
		case tokenText:
			content = true
		}
		at += n
	}
	if content {
		parts = append(parts, strings.TrimSpace(sql[from:]))
	}
	return parts, nil
}

type tokenKind uint8

const (
	tokenText  tokenKind = iota
	tokenBlank           // blanks and comments
	tokenEnd             // a semicolon
	tokenOpen            // a quote or comment without its end
)

// token gives the length and kind of what s begins with.
func token(s string) (int, tokenKind) {
	switch c := s[0]; {
	case c == ';':
		return 1, tokenEnd
	case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v':
		return 1, tokenBlank
	case strings.HasPrefix(s, "--"):
		if n := strings.IndexByte(s, '\n'); n >= 0 {
			return n + 1, tokenBlank
		}
		return len(s), tokenBlank
	case strings.HasPrefix(s, "/*"):
		return comment(s)
	case c == '\'' || c == '"':
		return quoted(s, 0, c, false)
	case (c == 'e' || c == 'E') && len(s) > 1 && s[1] == '\'':
		return quoted(s, 1, '\'', true)
	case c == '$':
		return dollar(s)
	case wordByte(c):
		n := 1 // the whole word, so that the e of abcde'…' is not taken for the mark of an escaping string
		for n < len(s) && (wordByte(s[n]) || s[n] == '$') {
			n++
		}
		return n, tokenText
	}
	return 1, tokenText
}

func wordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c >= 0x80
}

func comment(s string) (int, tokenKind) {
	depth := 0
	for i := 0; i+1 < len(s); {
		switch s[i : i+2] {
		case "/*":
			depth++
			i += 2
		case "*/":
			depth--
			i += 2
			if depth == 0 {
				return i, tokenBlank
			}
		default:
			i++
		}
	}
	return len(s), tokenOpen
}

func quoted(s string, from int, quote byte, escapes bool) (int, tokenKind) {
	for i := from + 1; i < len(s); i++ {
		switch {
		case escapes && s[i] == '\\':
			i++
		case s[i] == quote:
			if i+1 < len(s) && s[i+1] == quote {
				i++
				continue
			}
			return i + 1, tokenText
		}
	}
	return len(s), tokenOpen
}

// dollar is $tag$ … $tag$; $1 is a parameter.
func dollar(s string) (int, tokenKind) {
	end := strings.IndexByte(s[1:], '$')
	if end < 0 {
		return 1, tokenText
	}
	tag := s[:end+2]
	for i, c := range []byte(tag[1 : len(tag)-1]) {
		if !wordByte(c) || i == 0 && c >= '0' && c <= '9' {
			return 1, tokenText
		}
	}
	n := strings.Index(s[len(tag):], tag)
	if n < 0 {
		return len(s), tokenOpen
	}
	return len(tag) + n + len(tag), tokenText
}
