package catalog

import "strings"

// Element of an array's text form.
type Element struct {
	Text string
	Null bool
}

// ParseArray takes a one-dimensional array apart: {1,NULL,"a b"} as PostgreSQL writes it (section 8.15.2).
func ParseArray(s string) ([]Element, bool) {
	s = strings.TrimSpace(s)
	if len(s) < 2 || s[0] != '{' || s[len(s)-1] != '}' {
		return nil, false
	}
	s = s[1 : len(s)-1]
	if strings.TrimSpace(s) == "" {
		return nil, true
	}
	var out []Element
	for i := 0; ; {
		var e Element
		var ok bool
		if e, i, ok = parseElement(s, i); !ok {
			return nil, false
		}
		out = append(out, e)
		if i == len(s) {
			return out, true
		}
		i++ // the comma
	}
}

func parseElement(s string, i int) (e Element, next int, ok bool) {
	for i < len(s) && s[i] == ' ' {
		i++
	}
	var b strings.Builder
	quoted := i < len(s) && s[i] == '"'
	if quoted {
		for i++; ; i++ {
			if i >= len(s) {
				return e, i, false
			}
			if s[i] == '"' {
				i++
				break
			}
			if s[i] == '\\' && i+1 < len(s) {
				i++
			}
			b.WriteByte(s[i])
		}
		for i < len(s) && s[i] == ' ' {
			i++
		}
		if i < len(s) && s[i] != ',' {
			return e, i, false
		}
		return Element{Text: b.String()}, i, true
	}
	for i < len(s) && s[i] != ',' {
		if s[i] == '{' || s[i] == '}' || s[i] == '"' {
			return e, i, false // arrays of arrays are not taken
		}
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
		i++
	}
	text := strings.TrimRight(b.String(), " ")
	if text == "" {
		return e, i, false
	}
	return Element{Text: text, Null: strings.EqualFold(text, "null")}, i, true
}
