package manifest

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// Compare orders two semantic versions (semver.org 2.0, section 11): -1, 0 or 1. Both must be valid.
func Compare(a, b string) int {
	a, _, _ = strings.Cut(a, "+")
	b, _, _ = strings.Cut(b, "+")
	a, preA, hasA := strings.Cut(a, "-")
	b, preB, hasB := strings.Cut(b, "-")
	if c := parts(a, b); c != 0 {
		return c
	}
	switch {
	case hasA && hasB:
		return parts(preA, preB)
	case hasA:
		return -1
	case hasB:
		return 1
	}
	return 0
}

// parts compares dot-separated identifiers: numbers as numbers and before text, fewer before more.
func parts(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		x, errX := strconv.ParseUint(as[i], 10, 64)
		y, errY := strconv.ParseUint(bs[i], 10, 64)
		c := strings.Compare(as[i], bs[i])
		switch {
		case errX == nil && errY == nil:
			c = cmp.Compare(x, y)
		case errX == nil:
			c = -1
		case errY == nil:
			c = 1
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(len(as), len(bs))
}

// Range is a set of versions: every bound must hold.
type Range []bound

type bound struct{ op, version string }

// ParseRange reads bounds such as ">=1.2.0 <2.0.0", "=1.0.0", "1.0.0" (the same), "^1.2.0" (from there on, same major version, or same minor before 1) or "*".
func ParseRange(text string) (Range, error) {
	var r Range
	for _, word := range strings.Fields(text) {
		if word == "*" {
			continue
		}
		at := strings.IndexFunc(word, func(c rune) bool { return !strings.ContainsRune("<>=^", c) })
		if at < 0 {
			at = len(word)
		}
		op, version := word[:at], word[at:]
		if !semver.MatchString(version) {
			return nil, fmt.Errorf("range %q: %q is no version", text, version)
		}
		switch op {
		case "", "=":
			r = append(r, bound{"=", version})
		case "<", "<=", ">", ">=":
			r = append(r, bound{op, version})
		case "^":
			r = append(r, bound{">=", version}, bound{"<", next(version)})
		default:
			return nil, fmt.Errorf("range %q: %q is none of < <= = >= > ^", text, op)
		}
	}
	if strings.TrimSpace(text) == "" {
		return nil, fmt.Errorf("range %q is empty: * is any version", text)
	}
	return r, nil
}

// next is the first version that may break what version promised.
func next(version string) string {
	core, _, _ := strings.Cut(version, "-")
	core, _, _ = strings.Cut(core, "+")
	n := strings.Split(core, ".")
	major, _ := strconv.Atoi(n[0])
	minor, _ := strconv.Atoi(n[1])
	if major > 0 {
		return fmt.Sprintf("%d.0.0-0", major+1)
	}
	return fmt.Sprintf("0.%d.0-0", minor+1)
}

// Has says whether a version is within.
func (r Range) Has(version string) bool {
	for _, b := range r {
		c := Compare(version, b.version)
		ok := map[string]bool{"=": c == 0, "<": c < 0, "<=": c <= 0, ">": c > 0, ">=": c >= 0}[b.op]
		if !ok {
			return false
		}
	}
	return true
}
